//! Log-sum-exp, softmax and log-softmax of a batch.

use xent_core::{Backend, Rows};

use super::backend::BatchBackend;

/// The log-sum-exp of each row, in a `Vec`, on several threads where there is enough to gain.
///
/// `x`: logits in nats, `n_rows` by `classes`. Special values and accuracy are those of
/// [`log_sum_exp`](xent_core::log_sum_exp); the bits are those of
/// [`log_sum_exp_rows`](xent_core::log_sum_exp_rows), for any number of threads. A few very long rows
/// are split too.
///
/// ```
/// use xent_std::{Rows, batch_log_sum_exp};
/// let x = Rows::new(&[1.0, 2.0, 3.0, 0.0, 0.0, 0.0], 2, 3)?;
/// assert_eq!(batch_log_sum_exp(x), [3.407606, 1.0986123]);
/// # Ok::<(), xent_std::Error>(())
/// ```
#[doc(alias = "logsumexp", alias = "lse")]
#[must_use]
pub fn batch_log_sum_exp(x: Rows<'_>) -> Vec<f32> {
    Backend::detected().batch_log_sum_exp(x)
}

/// The softmax of each row, row-major in a `Vec`, on several threads where there is enough to gain.
///
/// `x`: logits in nats, `n_rows` by `classes`. Special values and accuracy are those of
/// [`softmax`](xent_core::softmax); the bits are those of [`softmax_rows`](xent_core::softmax_rows),
/// for any number of threads.
///
/// ```
/// use xent_std::{Rows, batch_softmax};
/// let x = Rows::new(&[0.0, 0.0, 5.0, 5.0], 2, 2)?;
/// assert_eq!(batch_softmax(x), [0.5; 4]);
/// # Ok::<(), xent_std::Error>(())
/// ```
#[must_use]
pub fn batch_softmax(x: Rows<'_>) -> Vec<f32> {
    Backend::detected().batch_softmax(x)
}

/// The log-softmax of each row, row-major in a `Vec`, on several threads where there is enough to
/// gain.
///
/// `x`: logits in nats, `n_rows` by `classes`. Special values and accuracy are those of
/// [`log_softmax`](xent_core::log_softmax); the bits are those of
/// [`log_softmax_rows`](xent_core::log_softmax_rows), for any number of threads.
///
/// ```
/// use xent_std::{Rows, batch_log_softmax};
/// let x = Rows::new(&[7.0, 7.0], 1, 2)?;
/// assert_eq!(batch_log_softmax(x), [-2_f32.ln(); 2]);
/// # Ok::<(), xent_std::Error>(())
/// ```
#[must_use]
pub fn batch_log_softmax(x: Rows<'_>) -> Vec<f32> {
    Backend::detected().batch_log_softmax(x)
}

/// The log-sum-exp of one row, on several threads where it is long enough to gain.
///
/// `x`: logits in nats. Special values, accuracy and bits are those of
/// [`log_sum_exp`](xent_core::log_sum_exp), for any number of threads.
///
/// ```
/// use xent_std::{log_sum_exp, parallel_log_sum_exp};
/// let x: Vec<f32> = (0..300_000).map(|i| (i % 97) as f32 * 0.1).collect();
/// assert_eq!(parallel_log_sum_exp(&x).to_bits(), log_sum_exp(&x).to_bits());
/// ```
#[must_use]
pub fn parallel_log_sum_exp(x: &[f32]) -> f32 {
    Backend::detected().parallel_log_sum_exp(x)
}
