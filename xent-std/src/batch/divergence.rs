//! Entropy and divergences of a batch of probabilities.

use xent_core::{Backend, Error, Rows};

use super::backend::BatchBackend;

/// The entropy of each row, in a `Vec`, on several threads where there is enough to gain.
///
/// `p`: probabilities, `n_rows` by `classes`. Special values and accuracy are those of
/// [`entropy`](xent_core::entropy); the bits are those of [`entropy_rows`](xent_core::entropy_rows), for
/// any number of threads.
///
/// ```
/// use xent_std::{Rows, batch_entropy};
/// let p = Rows::new(&[0.5, 0.5, 1.0, 0.0], 2, 2)?;
/// assert_eq!(batch_entropy(p), [2_f32.ln(), 0.0]);
/// # Ok::<(), xent_std::Error>(())
/// ```
#[must_use]
pub fn batch_entropy(p: Rows<'_>) -> Vec<f32> {
    Backend::detected().batch_entropy(p)
}

/// The Kullback-Leibler divergence of each row of `p` from that of `q`, in a `Vec`, on several threads
/// where there is enough to gain.
///
/// `p`, `q`: probabilities of one shape, `n_rows` by `classes`, each in its own layout. Special values and
/// accuracy are those of [`kl_divergence`](xent_core::kl_divergence); the bits are those of
/// [`kl_divergence_rows`](xent_core::kl_divergence_rows), for any number of threads.
/// Errors: [`Error::LengthMismatch`].
///
/// ```
/// use xent_std::{Rows, batch_kl_divergence};
/// let (p, q) = (Rows::new(&[0.5; 4], 2, 2)?, Rows::new(&[0.75, 0.25, 0.5, 0.5], 2, 2)?);
/// assert_eq!(batch_kl_divergence(p, q)?, [0.14384104, 0.0]);
/// # Ok::<(), xent_std::Error>(())
/// ```
#[doc(alias = "relative_entropy", alias = "kullback_leibler")]
pub fn batch_kl_divergence(p: Rows<'_>, q: Rows<'_>) -> Result<Vec<f32>, Error> {
    Backend::detected().batch_kl_divergence(p, q)
}

/// The Jensen-Shannon divergence of each row of `p` and of `q`, in a `Vec`, on several threads where there
/// is enough to gain.
///
/// `p`, `q`: probabilities of one shape, `n_rows` by `classes`, each in its own layout. Special values and
/// accuracy are those of [`js_divergence`](xent_core::js_divergence); the bits are those of
/// [`js_divergence_rows`](xent_core::js_divergence_rows), for any number of threads.
/// Errors: [`Error::LengthMismatch`].
///
/// ```
/// use xent_std::{Rows, batch_js_divergence};
/// let (p, q) = (Rows::new(&[1.0, 0.0, 0.5, 0.5], 2, 2)?, Rows::new(&[0.0, 1.0, 0.5, 0.5], 2, 2)?);
/// assert_eq!(batch_js_divergence(p, q)?, [2_f32.ln(), 0.0]);
/// # Ok::<(), xent_std::Error>(())
/// ```
#[doc(alias = "jensen_shannon")]
pub fn batch_js_divergence(p: Rows<'_>, q: Rows<'_>) -> Result<Vec<f32>, Error> {
    Backend::detected().batch_js_divergence(p, q)
}
