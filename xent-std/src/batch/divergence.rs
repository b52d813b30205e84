//! Entropy and divergences of a batch of probabilities.

use xent_core::{Backend, Error, Rows};

use crate::parallel;

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
    let backend = Backend::detected();
    let entropies = filled(p, p, |rows, out| backend.entropy_rows(p.range(rows), out));
    debug_assert!(entropies.is_ok(), "the only error is an output of another length");
    entropies.unwrap_or_default()
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
    let backend = Backend::detected();
    filled(p, q, |rows, out| backend.kl_divergence_rows(p.range(rows.clone()), q.range(rows), out))
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
    let backend = Backend::detected();
    filled(p, q, |rows, out| backend.js_divergence_rows(p.range(rows.clone()), q.range(rows), out))
}

/// One element a row of `p` and `q`, which have one shape.
fn filled(
    p: Rows<'_>,
    q: Rows<'_>,
    fill: impl Fn(std::ops::Range<usize>, &mut [f32]) -> Result<(), Error> + Send + Sync,
) -> Result<Vec<f32>, Error> {
    check_shapes(&p, &q)?;
    let n_tasks = parallel::n_tasks(p.n_rows(), p.n_elements());
    let mut out = vec![0.0; p.n_rows()];
    parallel::fill_rows(n_tasks, p.n_rows(), 1, &mut out, fill)?;
    Ok(out)
}

/// The error that core has of the whole, which a part of the rows would have with other numbers.
fn check_shapes(p: &Rows<'_>, q: &Rows<'_>) -> Result<(), Error> {
    if p.n_rows() == q.n_rows() && p.classes() == q.classes() {
        return Ok(());
    }
    let (mut expected, mut found) = (p.n_elements(), q.n_elements());
    if expected == found {
        (expected, found) = (p.n_rows(), q.n_rows());
    }
    Err(Error::LengthMismatch { expected, found })
}
