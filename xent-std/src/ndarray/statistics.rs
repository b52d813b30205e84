//! The statistics of the rows of an array.

use ::ndarray::{Array, ArrayView, Axis, RemoveAxis};
use xent_core::{Error, Label, RowStatistics};

use super::{array_of_rows, rows_and_labels};
use crate::batch_statistics;

/// The statistics of each row along an axis, which is then gone.
///
/// Feature `ndarray`. `x`: logits in nats, in any layout (see [`ArrayRows`](crate::ArrayRows)). `labels`: the
/// right class of each row, of any integer type, in the shape of `x` without `class_axis`. Formulas, special
/// values, accuracy, threads and bits are those of [`batch_statistics`]. An
/// [`Evaluation`](crate::Evaluation) takes them all.
/// Errors: those of [`batch_statistics`]; [`Error::InvalidOption`] of the name `class_axis` for an axis that
/// `x` does not have; [`Error::LengthMismatch`] for labels of another shape.
///
/// ```
/// use ndarray::{Axis, array};
/// use xent_std::{Evaluation, array_statistics};
///
/// // Class by row.
/// let x = array![[2.0, 0.0], [1.0, 3.0], [0.0, 0.0]];
/// let rows = array_statistics(&x, Axis(0), &array![0, 2])?;
/// assert_eq!(rows.map(|row| row.argmax()), array![0, 1]);
/// let mut evaluation = Evaluation::new(2, 10)?;
/// evaluation.extend(rows);
/// assert_eq!(evaluation.accuracy(), 0.5);
/// # Ok::<(), xent_std::Error>(())
/// ```
pub fn array_statistics<'x, 'l, D: RemoveAxis, L: Label + Sync + 'l>(
    x: impl Into<ArrayView<'x, f32, D>>,
    class_axis: Axis,
    labels: impl Into<ArrayView<'l, L, D::Smaller>>,
) -> Result<Array<RowStatistics, D::Smaller>, Error> {
    let x = x.into();
    let shape = x.raw_dim();
    let (rows, labels) = rows_and_labels(x, class_axis, labels.into())?;
    array_of_rows(shape, class_axis, batch_statistics(rows.rows(), labels.as_slice())?)
}
