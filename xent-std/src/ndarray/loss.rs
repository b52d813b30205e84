//! The losses of arrays.

use ::ndarray::{Array, ArrayView, ArrayViewD, Axis, Dimension, RemoveAxis};
use xent_core::{
    BinaryCrossEntropy, ClippedBinaryCrossEntropy, ClippedCrossEntropy, CrossEntropy, Error,
    GradientScale, Label, LossTotal,
};

use super::{ArrayRows, array_of, array_of_elements, array_of_rows, rows_and_labels, rows_of_both};
use crate::{BatchBinaryLoss, BatchLoss};

/// The losses of an array with one axis of classes: [`CrossEntropy`] and [`ClippedCrossEntropy`].
///
/// Feature `ndarray`. `x` and the labels or targets are arrays or views of any layout; see
/// [`ArrayRows`] for which are copied. Threads, bits, special values and accuracy are those of
/// [`BatchLoss`].
///
/// ```
/// use ndarray::{Axis, array};
/// use xent_std::{ArrayLoss, CrossEntropy};
///
/// let logits = array![[2.0, 1.0, 0.0], [0.0, 3.0, 0.0]];
/// let losses = CrossEntropy::new().array_losses(&logits, Axis(1), &array![0, 1])?;
/// assert_eq!(losses, array![0.40760595, 0.09492295]);
/// # Ok::<(), xent_std::Error>(())
/// ```
///
/// # Sample weights
///
/// They are part of the targets of a batch, so that arrays with them go through [`ArrayRows`] and
/// [`ArrayLabels`](crate::ArrayLabels). Weights, one a row in the logical order of the labels:
///
/// ```
/// use ndarray::{Axis, array};
/// use xent_std::{ArrayLabels, ArrayRows, BatchLoss, CrossEntropy};
///
/// let logits = array![[2.0, 1.0, 0.0], [0.0, 3.0, 0.0]];
/// let (labels, weights) = (array![0, 1], array![1.0, 3.0]);
/// let (rows, labels) = (ArrayRows::new(&logits, Axis(1))?, ArrayLabels::new(&labels));
/// let targets = labels.targets().with_sample_weights(weights.as_slice().unwrap_or_default());
/// let total = CrossEntropy::new().batch_total(rows.rows(), targets)?;
/// assert_eq!((total.weight(), total.mean() as f32), (4.0, 0.1730937));
/// # Ok::<(), xent_std::Error>(())
/// ```
pub trait ArrayLoss: BatchLoss {
    /// The loss of each row, in an array of the shape of `labels`.
    ///
    /// `x`: logits or probabilities. `labels`: of any integer type, in the shape of `x` without
    /// `class_axis`.
    /// Errors: those of [`BatchLoss`]; [`Error::InvalidOption`] of the name `class_axis` for an axis
    /// that `x` does not have; [`Error::LengthMismatch`] for labels of another shape, with the number
    /// of rows and labels, or where these are as many, the lengths of the first axis that differs.
    ///
    /// ```
    /// use ndarray::{Array4, Axis, arr3};
    /// use xent_std::{ArrayLoss, CrossEntropy, Error};
    ///
    /// // One image of 1 by 2 pixels in N, C, H, W, with 2 classes.
    /// let logits = Array4::zeros((1, 2, 1, 2));
    /// let loss = CrossEntropy::new();
    /// let losses = loss.array_losses(&logits, Axis(1), &arr3(&[[[0, 1]]]))?;
    /// assert_eq!(losses, arr3(&[[[2_f32.ln(); 2]]]));
    /// let error = loss.array_losses(&logits, Axis(1), &arr3(&[[[0, 1, 0]]])).unwrap_err();
    /// assert_eq!(error, Error::LengthMismatch { expected: 2, found: 3 });
    /// # Ok::<(), Error>(())
    /// ```
    fn array_losses<'x, 'l, D: RemoveAxis, L: Label + 'l>(
        &self,
        x: impl Into<ArrayView<'x, f32, D>>,
        class_axis: Axis,
        labels: impl Into<ArrayView<'l, L, D::Smaller>>,
    ) -> Result<Array<f32, D::Smaller>, Error> {
        let (x, labels) = (x.into(), labels.into());
        let shape = x.raw_dim();
        let (rows, labels) = rows_and_labels(x, class_axis, labels)?;
        array_of_rows(shape, class_axis, self.batch_losses(rows.rows(), labels.targets())?)
    }

    /// The total over all rows, for their sum or mean.
    ///
    /// Arguments and errors are those of [`array_losses`](ArrayLoss::array_losses).
    ///
    /// ```
    /// use ndarray::{Axis, array};
    /// use xent_std::{ArrayLoss, CrossEntropy};
    ///
    /// let logits = array![[0.4, 2.0, 1.3], [1.2, 0.3, 0.2]];
    /// let total = CrossEntropy::new().array_total(&logits, Axis(1), &array![0, 2])?;
    /// assert_eq!(total.mean() as f32, 1.8516123);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn array_total<'x, 'l, D: RemoveAxis, L: Label + 'l>(
        &self,
        x: impl Into<ArrayView<'x, f32, D>>,
        class_axis: Axis,
        labels: impl Into<ArrayView<'l, L, D::Smaller>>,
    ) -> Result<LossTotal, Error> {
        let (rows, labels) = rows_and_labels(x.into(), class_axis, labels.into())?;
        self.batch_total(rows.rows(), labels.targets())
    }

    /// The loss of each row with a distribution, in an array of the shape of `x` without
    /// `class_axis`.
    ///
    /// `x`: logits or probabilities. `targets`: a weight for each class, in the shape of `x`.
    /// Errors: those of [`array_losses`](ArrayLoss::array_losses).
    ///
    /// ```
    /// use ndarray::{Axis, array};
    /// use xent_std::{ArrayLoss, CrossEntropy};
    ///
    /// let (logits, targets) = (array![[1.2, 0.3, 0.2]], array![[0.9, 0.1, 0.0]]);
    /// let losses = CrossEntropy::new().array_target_losses(&logits, Axis(1), &targets)?;
    /// assert_eq!(losses, array![0.66349]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn array_target_losses<'x, 'y, D: RemoveAxis>(
        &self,
        x: impl Into<ArrayView<'x, f32, D>>,
        class_axis: Axis,
        targets: impl Into<ArrayView<'y, f32, D>>,
    ) -> Result<Array<f32, D::Smaller>, Error> {
        let x = x.into();
        let shape = x.raw_dim();
        let (rows, targets) = rows_of_both(x, targets.into(), class_axis)?;
        array_of_rows(shape, class_axis, self.batch_losses(rows.rows(), targets.rows())?)
    }

    /// The total over all rows with distributions, for their sum or mean.
    ///
    /// Arguments and errors are those of [`array_target_losses`](ArrayLoss::array_target_losses).
    ///
    /// ```
    /// use ndarray::{Axis, array};
    /// use xent_std::{ArrayLoss, CrossEntropy};
    ///
    /// let (logits, targets) = (array![[1.2, 0.3, 0.2]], array![[0.9, 0.1, 0.0]]);
    /// let total = CrossEntropy::new().array_target_total(&logits, Axis(1), &targets)?;
    /// assert_eq!(total.mean() as f32, 0.66349);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn array_target_total<'x, 'y, D: RemoveAxis>(
        &self,
        x: impl Into<ArrayView<'x, f32, D>>,
        class_axis: Axis,
        targets: impl Into<ArrayView<'y, f32, D>>,
    ) -> Result<LossTotal, Error> {
        let (rows, targets) = rows_of_both(x.into(), targets.into(), class_axis)?;
        self.batch_total(rows.rows(), targets.rows())
    }

    /// The total over all rows, and the gradient of their reduced loss with respect to `x`, in an array
    /// of its shape.
    ///
    /// `scale`: a [`Reduction`](crate::Reduction), or a finite factor of the gradient of the sum.
    /// `class_axis` is the one along which the elements of the gradient lie side by side.
    /// Other arguments and errors are those of [`array_losses`](ArrayLoss::array_losses), and
    /// [`Error::InvalidOption`] for a factor that is not finite.
    ///
    /// ```
    /// use ndarray::{Axis, array};
    /// use xent_std::{ArrayLoss, CrossEntropy, Reduction};
    ///
    /// // Class by row.
    /// let logits = array![[0.0, 0.0], [0.0, 0.0]];
    /// let loss = CrossEntropy::new();
    /// let (total, gradient) =
    ///     loss.array_gradient(&logits, Axis(0), &array![0, 0], Reduction::Mean)?;
    /// assert_eq!(total.mean() as f32, 2_f32.ln());
    /// assert_eq!(gradient, array![[-0.25, -0.25], [0.25, 0.25]]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn array_gradient<'x, 'l, D: RemoveAxis, L: Label + 'l>(
        &self,
        x: impl Into<ArrayView<'x, f32, D>>,
        class_axis: Axis,
        labels: impl Into<ArrayView<'l, L, D::Smaller>>,
        scale: impl Into<GradientScale>,
    ) -> Result<(LossTotal, Array<f32, D>), Error> {
        let x = x.into();
        let shape = x.raw_dim();
        let (rows, labels) = rows_and_labels(x, class_axis, labels.into())?;
        let (total, gradient) = self.batch_gradient(rows.rows(), labels.targets(), scale)?;
        Ok((total, array_of_elements(shape, class_axis, gradient)?))
    }

    /// The total over all rows with distributions, and the gradient of their reduced loss with respect
    /// to `x`.
    ///
    /// Arguments and errors are those of [`array_target_losses`](ArrayLoss::array_target_losses), `scale`
    /// and the gradient those of [`array_gradient`](ArrayLoss::array_gradient).
    ///
    /// ```
    /// use ndarray::{Axis, array};
    /// use xent_std::{ArrayLoss, CrossEntropy};
    ///
    /// let (logits, targets) = (array![[0.0, 0.0]], array![[0.75, 0.25]]);
    /// let (total, gradient) =
    ///     CrossEntropy::new().array_target_gradient(&logits, Axis(1), &targets, 2.0)?;
    /// assert_eq!((total.count(), gradient), (1, array![[-0.5, 0.5]]));
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn array_target_gradient<'x, 'y, D: RemoveAxis>(
        &self,
        x: impl Into<ArrayView<'x, f32, D>>,
        class_axis: Axis,
        targets: impl Into<ArrayView<'y, f32, D>>,
        scale: impl Into<GradientScale>,
    ) -> Result<(LossTotal, Array<f32, D>), Error> {
        let x = x.into();
        let shape = x.raw_dim();
        let (rows, targets) = rows_of_both(x, targets.into(), class_axis)?;
        let (total, gradient) = self.batch_gradient(rows.rows(), targets.rows(), scale)?;
        Ok((total, array_of_elements(shape, class_axis, gradient)?))
    }
}

impl ArrayLoss for CrossEntropy<'_> {}

impl ArrayLoss for ClippedCrossEntropy<'_> {}

/// The losses of an array an element at a time: [`BinaryCrossEntropy`] and
/// [`ClippedBinaryCrossEntropy`].
///
/// Feature `ndarray`. `x` and `targets` are arrays or views of one shape, each in any layout; see
/// [`ArrayRows`] for which are copied. Threads, bits, special values and accuracy are those of
/// [`BatchBinaryLoss`], with rows along the last axis.
///
/// ```
/// use ndarray::array;
/// use xent_std::{ArrayBinaryLoss, BinaryCrossEntropy};
///
/// let losses = BinaryCrossEntropy::new().array_losses(&array![3.0, -1.0], &array![1.0, 0.0])?;
/// assert_eq!(losses, array![0.04858735, 0.3132617]);
/// # Ok::<(), xent_std::Error>(())
/// ```
///
/// # Weights, and classes along another axis
///
/// Sample weights are part of the targets of a batch, and `pos_weights` run along the axis of [`ArrayRows`]:
///
/// ```
/// use ndarray::{Axis, array};
/// use xent_std::{ArrayRows, BatchBinaryLoss, BinaryCrossEntropy, BinaryTargets};
///
/// // Two labels, the rows, of three samples, the columns.
/// let (x, y) = (array![[3.0, -1.0, 0.5], [0.0, 2.0, 1.0]], array![[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]);
/// let (x, y) = (ArrayRows::new(&x, Axis(0))?, ArrayRows::new(&y, Axis(0))?);
/// let targets = BinaryTargets::new(y.rows()).with_sample_weights(&[1.0, 0.5, 0.0]);
/// let total = BinaryCrossEntropy::new().pos_weights(&[2.0, 3.0]).batch_total(x.rows(), targets)?;
/// assert_eq!((total.weight(), total.mean() as f32), (3.0, 0.84121305));
/// # Ok::<(), xent_std::Error>(())
/// ```
pub trait ArrayBinaryLoss: BatchBinaryLoss {
    /// The loss of each element, in an array of their shape.
    ///
    /// `x`: logits or probabilities. `targets`: of the shape of `x`, in [0, 1].
    /// Errors: those of [`BatchBinaryLoss`]; [`Error::LengthMismatch`] for targets of another shape,
    /// with the number of elements, or where these are as many, the lengths of the first axis that
    /// differs.
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use xent_std::{ArrayBinaryLoss, BinaryCrossEntropy, Error};
    ///
    /// let loss = BinaryCrossEntropy::new();
    /// let x = Array3::zeros((2, 3, 4));
    /// assert_eq!(loss.array_losses(&x, &x)?, Array3::from_elem((2, 3, 4), 2_f32.ln()));
    /// let error = loss.array_losses(&array![0.0, 0.0], &array![1.0]).unwrap_err();
    /// assert_eq!(error, Error::LengthMismatch { expected: 2, found: 1 });
    /// # Ok::<(), Error>(())
    /// ```
    fn array_losses<'x, 'y, D: Dimension>(
        &self,
        x: impl Into<ArrayView<'x, f32, D>>,
        targets: impl Into<ArrayView<'y, f32, D>>,
    ) -> Result<Array<f32, D>, Error> {
        let x = x.into();
        let shape = x.raw_dim();
        let (rows, targets) = rows_along_last_axis(x, targets.into())?;
        array_of(shape, self.batch_losses(rows.rows(), targets.rows())?)
    }

    /// The total over all elements, for their sum or mean.
    ///
    /// Arguments and errors are those of [`array_losses`](ArrayBinaryLoss::array_losses).
    ///
    /// ```
    /// use ndarray::array;
    /// use xent_std::{ArrayBinaryLoss, BinaryCrossEntropy};
    ///
    /// let total = BinaryCrossEntropy::new().array_total(&array![3.0, -1.0], &array![1.0, 0.0])?;
    /// assert_eq!(total.mean() as f32, 0.18092452);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn array_total<'x, 'y, D: Dimension>(
        &self,
        x: impl Into<ArrayView<'x, f32, D>>,
        targets: impl Into<ArrayView<'y, f32, D>>,
    ) -> Result<LossTotal, Error> {
        let (rows, targets) = rows_along_last_axis(x.into(), targets.into())?;
        self.batch_total(rows.rows(), targets.rows())
    }

    /// The total over all elements, and the gradient of their reduced loss with respect to `x`, in an
    /// array of its shape.
    ///
    /// `scale`: a [`Reduction`](crate::Reduction), or a finite factor of the gradient of the sum.
    /// Other arguments and errors are those of [`array_losses`](ArrayBinaryLoss::array_losses), and
    /// [`Error::InvalidOption`] for a factor that is not finite.
    ///
    /// ```
    /// use ndarray::array;
    /// use xent_std::{ArrayBinaryLoss, BinaryCrossEntropy, Reduction};
    ///
    /// let loss = BinaryCrossEntropy::new();
    /// let (x, y) = (array![[0.0], [0.0]], array![[1.0], [0.0]]);
    /// let (total, gradient) = loss.array_gradient(&x, &y, Reduction::Mean)?;
    /// assert_eq!(total.mean() as f32, 2_f32.ln());
    /// assert_eq!(gradient, array![[-0.25], [0.25]]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn array_gradient<'x, 'y, D: Dimension>(
        &self,
        x: impl Into<ArrayView<'x, f32, D>>,
        targets: impl Into<ArrayView<'y, f32, D>>,
        scale: impl Into<GradientScale>,
    ) -> Result<(LossTotal, Array<f32, D>), Error> {
        let x = x.into();
        let shape = x.raw_dim();
        let (rows, targets) = rows_along_last_axis(x, targets.into())?;
        let (total, gradient) = self.batch_gradient(rows.rows(), targets.rows(), scale)?;
        Ok((total, array_of(shape, gradient)?))
    }
}

impl ArrayBinaryLoss for BinaryCrossEntropy<'_> {}

impl ArrayBinaryLoss for ClippedBinaryCrossEntropy<'_> {}

fn rows_along_last_axis<'x, 'y, D: Dimension>(
    x: ArrayView<'x, f32, D>,
    y: ArrayView<'y, f32, D>,
) -> Result<(ArrayRows<'x>, ArrayRows<'y>), Error> {
    let (x, y) = (with_an_axis(x), with_an_axis(y));
    let last_axis = Axis(x.ndim() - 1);
    rows_of_both(x, y, last_axis)
}

/// A single element gets an axis.
fn with_an_axis<D: Dimension>(x: ArrayView<'_, f32, D>) -> ArrayViewD<'_, f32> {
    let x = x.into_dyn();
    if x.ndim() == 0 { x.insert_axis(Axis(0)) } else { x }
}
