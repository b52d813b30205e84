//! Log-sum-exp, softmax and log-softmax of arrays.

use ::ndarray::{Array, ArrayView, Axis, Dimension, RemoveAxis};
use xent_core::{Error, Rows};

use super::{ArrayRows, array_of_elements, array_of_rows, check_axis};
use crate::{batch_log_softmax, batch_log_sum_exp, batch_softmax};

/// The log-sum-exp along an axis, which is then gone.
///
/// Feature `ndarray`. `x`: logits in nats, in any layout (see [`ArrayRows`]). Special values,
/// accuracy, threads and bits are those of [`batch_log_sum_exp`].
/// Errors: [`Error::InvalidOption`] of the name `class_axis` for an axis that `x` does not have.
///
/// ```
/// use ndarray::{Axis, array};
/// let x = array![[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]];
/// assert_eq!(xent_std::array_log_sum_exp(&x, Axis(1))?, array![3.407606, 1.0986123]);
/// # Ok::<(), xent_std::Error>(())
/// ```
#[doc(alias = "logsumexp", alias = "lse")]
pub fn array_log_sum_exp<'a, D: RemoveAxis>(
    x: impl Into<ArrayView<'a, f32, D>>,
    class_axis: Axis,
) -> Result<Array<f32, D::Smaller>, Error> {
    let x = x.into();
    let shape = x.raw_dim();
    let rows = ArrayRows::new(x, class_axis)?;
    array_of_rows(shape, class_axis, batch_log_sum_exp(rows.rows()))
}

/// The softmax along an axis.
///
/// Feature `ndarray`. `x`: logits in nats, in any layout (see [`ArrayRows`]). The result has its shape;
/// `class_axis` is the one along which its elements lie side by side. Special values, accuracy,
/// threads and bits are those of [`batch_softmax`].
/// Errors: [`Error::InvalidOption`] of the name `class_axis` for an axis that `x` does not have.
///
/// ```
/// use ndarray::{Axis, array};
/// let x = array![[1.0, 0.0], [1.0, 0.0]];
/// assert_eq!(xent_std::array_softmax(&x, Axis(0))?, array![[0.5, 0.5], [0.5, 0.5]]);
/// # Ok::<(), xent_std::Error>(())
/// ```
pub fn array_softmax<'a, D: Dimension>(
    x: impl Into<ArrayView<'a, f32, D>>,
    class_axis: Axis,
) -> Result<Array<f32, D>, Error> {
    along_axis(x.into(), class_axis, batch_softmax)
}

/// The log-softmax along an axis.
///
/// Feature `ndarray`. `x`: logits in nats, in any layout (see [`ArrayRows`]). The result has its shape;
/// `class_axis` is the one along which its elements lie side by side. Special values, accuracy,
/// threads and bits are those of [`batch_log_softmax`].
/// Errors: [`Error::InvalidOption`] of the name `class_axis` for an axis that `x` does not have.
///
/// ```
/// use ndarray::{Axis, array};
/// let x = array![[7.0, 7.0]];
/// assert_eq!(xent_std::array_log_softmax(&x, Axis(1))?, array![[-2_f32.ln(), -2_f32.ln()]]);
/// # Ok::<(), xent_std::Error>(())
/// ```
pub fn array_log_softmax<'a, D: Dimension>(
    x: impl Into<ArrayView<'a, f32, D>>,
    class_axis: Axis,
) -> Result<Array<f32, D>, Error> {
    along_axis(x.into(), class_axis, batch_log_softmax)
}

fn along_axis<D: Dimension>(
    x: ArrayView<'_, f32, D>,
    class_axis: Axis,
    of_rows: impl Fn(Rows<'_>) -> Vec<f32>,
) -> Result<Array<f32, D>, Error> {
    check_axis(x.ndim(), class_axis)?;
    let shape = x.raw_dim();
    let values = of_rows(ArrayRows::new(x, class_axis)?.rows());
    array_of_elements(shape, class_axis, values)
}
