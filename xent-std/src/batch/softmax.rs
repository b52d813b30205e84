//! Log-sum-exp, softmax and log-softmax of a batch.

use xent_core::{Backend, Error, Label, LogSumExp, RowStatistics, Rows};

use crate::batch::statistics;
use crate::parallel;

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

mod sealed {
    pub trait Sealed {}
    impl Sealed for xent_core::Backend {}
}

/// The functions of this crate on a chosen [`Backend`].
///
/// ```
/// use xent_std::{Backend, BatchBackend, Rows};
/// let x = Rows::new(&[0.0, 0.0, 5.0, 5.0], 2, 2)?;
/// assert_eq!(Backend::SCALAR.batch_softmax(x), [0.5; 4]);
/// # Ok::<(), xent_std::Error>(())
/// ```
pub trait BatchBackend: sealed::Sealed {
    /// [`batch_log_sum_exp`] on this backend.
    ///
    /// ```
    /// use xent_std::{Backend, BatchBackend, Rows};
    /// let x = Rows::new(&[0.0; 4], 2, 2)?;
    /// assert_eq!(Backend::SCALAR.batch_log_sum_exp(x), [2_f32.ln(); 2]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    fn batch_log_sum_exp(self, x: Rows<'_>) -> Vec<f32>;

    /// [`batch_softmax`] on this backend.
    ///
    /// ```
    /// use xent_std::{Backend, BatchBackend, Rows};
    /// assert_eq!(Backend::SCALAR.batch_softmax(Rows::new(&[1.0; 4], 2, 2)?), [0.5; 4]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    fn batch_softmax(self, x: Rows<'_>) -> Vec<f32>;

    /// [`batch_log_softmax`] on this backend.
    ///
    /// ```
    /// use xent_std::{Backend, BatchBackend, Rows};
    /// let x = Rows::new(&[1.0; 2], 1, 2)?;
    /// assert_eq!(Backend::SCALAR.batch_log_softmax(x), [-2_f32.ln(); 2]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    fn batch_log_softmax(self, x: Rows<'_>) -> Vec<f32>;

    /// [`parallel_log_sum_exp`] on this backend.
    ///
    /// ```
    /// use xent_std::{Backend, BatchBackend};
    /// assert_eq!(Backend::SCALAR.parallel_log_sum_exp(&[0.0, 0.0]), 2_f32.ln());
    /// ```
    #[must_use]
    fn parallel_log_sum_exp(self, x: &[f32]) -> f32;

    /// [`batch_statistics`](crate::batch_statistics) on this backend.
    ///
    /// ```
    /// use xent_std::{Backend, BatchBackend, Rows};
    /// let x = Rows::new(&[0.0; 4], 2, 2)?;
    /// let rows = Backend::SCALAR.batch_statistics(x, &[0, 1])?;
    /// assert_eq!(rows[1].entropy(), 2_f32.ln());
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn batch_statistics<L: Label + Sync>(
        self,
        x: Rows<'_>,
        labels: &[L],
    ) -> Result<Vec<RowStatistics>, Error>;
}

impl BatchBackend for Backend {
    fn batch_log_sum_exp(self, x: Rows<'_>) -> Vec<f32> {
        let n_tasks = parallel::n_tasks(x.n_rows(), x.n_elements());
        if parallel::splits_rows(n_tasks, &x) {
            let states = parallel::row_states(self, &x);
            return states.into_iter().map(|state| self.log_sum_exp_value(state)).collect();
        }
        filled(n_tasks, x, 1, |x, out| self.log_sum_exp_rows(x, out))
    }

    fn batch_softmax(self, x: Rows<'_>) -> Vec<f32> {
        let n_tasks = parallel::n_tasks(x.n_rows(), x.n_elements());
        filled(n_tasks, x, x.classes(), |x, out| self.softmax_rows(x, out))
    }

    fn batch_log_softmax(self, x: Rows<'_>) -> Vec<f32> {
        let n_tasks = parallel::n_tasks(x.n_rows(), x.n_elements());
        filled(n_tasks, x, x.classes(), |x, out| self.log_softmax_rows(x, out))
    }

    fn parallel_log_sum_exp(self, x: &[f32]) -> f32 {
        if parallel::n_tasks(1, x.len()) == 1 {
            return self.log_sum_exp(x);
        }
        let chunks: Vec<&[f32]> = x.chunks(LogSumExp::CHUNK).collect();
        let states = parallel::map(chunks.len(), |i| self.log_sum_exp_state(chunks[i]));
        self.log_sum_exp_value(parallel::merge_states(&states))
    }

    fn batch_statistics<L: Label + Sync>(
        self,
        x: Rows<'_>,
        labels: &[L],
    ) -> Result<Vec<RowStatistics>, Error> {
        statistics::on(self, x, labels)
    }
}

/// `per_row` elements a row.
fn filled(
    n_tasks: usize,
    x: Rows<'_>,
    per_row: usize,
    fill: impl Fn(Rows<'_>, &mut [f32]) -> Result<(), Error> + Send + Sync,
) -> Vec<f32> {
    let mut out = vec![0.0; x.n_rows().saturating_mul(per_row)];
    let filled = parallel::fill_rows(n_tasks, x.n_rows(), per_row, &mut out, |rows, out| {
        fill(x.range(rows), out)
    });
    debug_assert_eq!(filled, Ok(()), "the only error is an output of another length");
    out
}
