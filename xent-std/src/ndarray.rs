//! Arrays of the crate `ndarray`: any dimension, any layout, any class axis.

mod distillation;
mod divergence;
mod labels;
mod loss;
mod rows;
mod softmax;
mod statistics;

pub use distillation::ArrayDistillation;
pub use divergence::{array_entropy, array_js_divergence, array_kl_divergence};
pub use labels::ArrayLabels;
pub use loss::{ArrayBinaryLoss, ArrayLoss};
pub use rows::ArrayRows;
pub use softmax::{array_log_softmax, array_log_sum_exp, array_softmax};
pub use statistics::array_statistics;

use ::ndarray::{Array, ArrayView, Axis, Dimension, RemoveAxis};
use xent_core::{Error, Label};

/// `class_axis`, if the array has it.
fn check_axis(n_dims: usize, class_axis: Axis) -> Result<(), Error> {
    if class_axis.index() < n_dims {
        return Ok(());
    }
    Err(Error::InvalidOption { name: "class_axis", value: class_axis.index() as f32 })
}

/// Two shapes that have to be one: the elements of both, or where these are as many, the lengths of
/// the first axis that differs, or the dimensions.
fn check_shape(expected: &[usize], found: &[usize]) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    let counts = (expected.iter().product(), found.iter().product());
    let differ = |(expected, found): &(usize, usize)| expected != found;
    let mut axes = expected.iter().copied().zip(found.iter().copied());
    let (expected, found) = if differ(&counts) {
        counts
    } else {
        axes.find(differ).unwrap_or((expected.len(), found.len()))
    };
    Err(Error::LengthMismatch { expected, found })
}

/// The rows of `x` and a label for each.
fn rows_and_labels<'x, 'l, D: RemoveAxis, L: Label>(
    x: ArrayView<'x, f32, D>,
    class_axis: Axis,
    labels: ArrayView<'l, L, D::Smaller>,
) -> Result<(ArrayRows<'x>, ArrayLabels<'l, L>), Error> {
    check_axis(x.ndim(), class_axis)?;
    check_shape(x.raw_dim().remove_axis(class_axis).slice(), labels.shape())?;
    Ok((ArrayRows::new(x, class_axis)?, ArrayLabels::new(labels)))
}

/// The rows of two arrays of one shape.
fn rows_of_both<'x, 'y, D: Dimension>(
    x: ArrayView<'x, f32, D>,
    y: ArrayView<'y, f32, D>,
    class_axis: Axis,
) -> Result<(ArrayRows<'x>, ArrayRows<'y>), Error> {
    check_axis(x.ndim(), class_axis)?;
    check_shape(x.shape(), y.shape())?;
    Ok((ArrayRows::new(x, class_axis)?, ArrayRows::new(y, class_axis)?))
}

/// An array of one value a row: the shape of the logits without the class axis.
fn array_of_rows<T, D: RemoveAxis>(
    shape: D,
    class_axis: Axis,
    values: Vec<T>,
) -> Result<Array<T, D::Smaller>, Error> {
    array_of(shape.remove_axis(class_axis), values)
}

/// An array of `values` in their order.
fn array_of<T, D: Dimension>(shape: D, values: Vec<T>) -> Result<Array<T, D>, Error> {
    let mismatch = Error::LengthMismatch { expected: shape.size(), found: values.len() };
    Array::from_shape_vec(shape, values).map_err(|_| mismatch)
}

/// An array of that shape of `values` that come row by row, the classes of each side by side.
fn array_of_elements<D: Dimension>(
    mut shape: D,
    class_axis: Axis,
    values: Vec<f32>,
) -> Result<Array<f32, D>, Error> {
    // The values come with the classes last; the axes they pass on the way there are passed back.
    let ndim = shape.ndim();
    for axis in class_axis.index() + 1..ndim {
        shape.slice_mut().swap(axis - 1, axis);
    }
    let mut out = array_of(shape, values)?;
    for axis in (class_axis.index() + 1..ndim).rev() {
        out.swap_axes(axis - 1, axis);
    }
    Ok(out)
}
