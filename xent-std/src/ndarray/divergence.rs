//! Entropy and divergences of arrays of probabilities.

use ::ndarray::{Array, ArrayView, Axis, RemoveAxis};
use xent_core::{Error, Rows};

use super::{ArrayRows, array_of_rows, rows_of_both};
use crate::{batch_entropy, batch_js_divergence, batch_kl_divergence};

/// The entropy along an axis, which is then gone.
///
/// Feature `ndarray`. `p`: probabilities, in any layout (see [`ArrayRows`]). Special values, accuracy,
/// threads and bits are those of [`batch_entropy`].
/// Errors: [`Error::InvalidOption`] of the name `class_axis` for an axis that `p` does not have.
///
/// ```
/// use ndarray::{Axis, array};
/// let p = array![[0.5, 0.5], [1.0, 0.0]];
/// assert_eq!(xent_std::array_entropy(&p, Axis(1))?, array![2_f32.ln(), 0.0]);
/// # Ok::<(), xent_std::Error>(())
/// ```
pub fn array_entropy<'p, D: RemoveAxis>(
    p: impl Into<ArrayView<'p, f32, D>>,
    class_axis: Axis,
) -> Result<Array<f32, D::Smaller>, Error> {
    let p = p.into();
    let shape = p.raw_dim();
    let rows = ArrayRows::new(p, class_axis)?;
    array_of_rows(shape, class_axis, batch_entropy(rows.rows()))
}

/// The Kullback-Leibler divergence of `p` from `q` along an axis, which is then gone.
///
/// Feature `ndarray`. `p`, `q`: probabilities of one shape, each in its own layout (see [`ArrayRows`]).
/// Special values, accuracy, threads and bits are those of [`batch_kl_divergence`].
/// Errors: [`Error::InvalidOption`] of the name `class_axis` for an axis that `p` does not have;
/// [`Error::LengthMismatch`] for a `q` of another shape, with the number of elements, or where these are as
/// many, the lengths of the first axis that differs.
///
/// ```
/// use ndarray::{Axis, array};
/// let (p, q) = (array![[0.5, 0.5], [1.0, 0.0]], array![[0.75, 0.25], [0.5, 0.5]]);
/// let kl = xent_std::array_kl_divergence(&p, &q, Axis(1))?;
/// assert_eq!(kl, array![0.14384104, 2_f32.ln()]);
/// # Ok::<(), xent_std::Error>(())
/// ```
#[doc(alias = "relative_entropy", alias = "kullback_leibler")]
pub fn array_kl_divergence<'p, 'q, D: RemoveAxis>(
    p: impl Into<ArrayView<'p, f32, D>>,
    q: impl Into<ArrayView<'q, f32, D>>,
    class_axis: Axis,
) -> Result<Array<f32, D::Smaller>, Error> {
    divergences(p.into(), q.into(), class_axis, batch_kl_divergence)
}

/// The Jensen-Shannon divergence of `p` and `q` along an axis, which is then gone.
///
/// Feature `ndarray`. Arguments and errors are those of [`array_kl_divergence`]; special values, accuracy,
/// threads and bits those of [`batch_js_divergence`].
///
/// ```
/// use ndarray::{Axis, array};
/// let (p, q) = (array![[1.0, 0.0], [0.5, 0.5]], array![[0.0, 1.0], [0.5, 0.5]]);
/// assert_eq!(xent_std::array_js_divergence(&p, &q, Axis(1))?, array![2_f32.ln(), 0.0]);
/// # Ok::<(), xent_std::Error>(())
/// ```
#[doc(alias = "jensen_shannon")]
pub fn array_js_divergence<'p, 'q, D: RemoveAxis>(
    p: impl Into<ArrayView<'p, f32, D>>,
    q: impl Into<ArrayView<'q, f32, D>>,
    class_axis: Axis,
) -> Result<Array<f32, D::Smaller>, Error> {
    divergences(p.into(), q.into(), class_axis, batch_js_divergence)
}

fn divergences<D: RemoveAxis>(
    p: ArrayView<'_, f32, D>,
    q: ArrayView<'_, f32, D>,
    class_axis: Axis,
    of_rows: impl Fn(Rows<'_>, Rows<'_>) -> Result<Vec<f32>, Error>,
) -> Result<Array<f32, D::Smaller>, Error> {
    let shape = p.raw_dim();
    let (p, q) = rows_of_both(p, q, class_axis)?;
    array_of_rows(shape, class_axis, of_rows(p.rows(), q.rows())?)
}
