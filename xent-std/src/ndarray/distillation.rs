//! Distillation of arrays.

use ::ndarray::{Array, ArrayView, Axis, RemoveAxis};
use xent_core::{Distillation, Error, GradientScale, LossTotal};

use super::{array_of_elements, array_of_rows, rows_of_both};
use crate::BatchDistillation;

/// The divergences of an array of a student's logits from a teacher's: [`Distillation`].
///
/// Feature `ndarray`. `student` and `teacher` are arrays or views of one shape, each in its own layout; see
/// [`ArrayRows`](crate::ArrayRows) for which are copied. Threads, bits, special values and accuracy are those
/// of [`BatchDistillation`].
///
/// ```
/// use ndarray::{Axis, array};
/// use xent_std::{ArrayDistillation, Distillation};
///
/// let (student, teacher) = (array![[1.0, 2.0, 3.0]], array![[3.0, 2.0, 1.0]]);
/// let losses = Distillation::new().array_losses(&student, &teacher, Axis(1))?;
/// assert_eq!(losses, array![1.1504207]);
/// # Ok::<(), xent_std::Error>(())
/// ```
pub trait ArrayDistillation: BatchDistillation {
    /// The divergence of each row, in an array of the shape of `student` without `class_axis`.
    ///
    /// `student`, `teacher`: logits.
    /// Errors: those of [`BatchDistillation`]; [`Error::InvalidOption`] of the name `class_axis` for an axis
    /// that `student` does not have; [`Error::LengthMismatch`] for a `teacher` of another shape, with the
    /// number of elements, or where these are as many, the lengths of the first axis that differs.
    ///
    /// ```
    /// use ndarray::{Axis, array};
    /// use xent_std::{ArrayDistillation, Distillation};
    ///
    /// // Class by row.
    /// let (student, teacher) = (array![[0.0, 1.0], [0.0, 1.0]], array![[40.0, 5.0], [0.0, 5.0]]);
    /// let losses = Distillation::new().array_losses(&student, &teacher, Axis(0))?;
    /// assert_eq!(losses, array![2_f32.ln(), 0.0]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn array_losses<'x, 'y, D: RemoveAxis>(
        &self,
        student: impl Into<ArrayView<'x, f32, D>>,
        teacher: impl Into<ArrayView<'y, f32, D>>,
        class_axis: Axis,
    ) -> Result<Array<f32, D::Smaller>, Error> {
        let student = student.into();
        let shape = student.raw_dim();
        let (student, teacher) = rows_of_both(student, teacher.into(), class_axis)?;
        array_of_rows(shape, class_axis, self.batch_losses(student.rows(), teacher.rows())?)
    }

    /// The total over all rows, for their sum or mean.
    ///
    /// Arguments and errors are those of [`array_losses`](ArrayDistillation::array_losses).
    ///
    /// ```
    /// use ndarray::{Axis, array};
    /// use xent_std::{ArrayDistillation, Distillation};
    ///
    /// let (student, teacher) = (array![[1.0, 2.0, 3.0]], array![[3.0, 2.0, 1.0]]);
    /// let total = Distillation::new().array_total(&student, &teacher, Axis(1))?;
    /// assert_eq!((total.count(), total.mean() as f32), (1, 1.1504207));
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn array_total<'x, 'y, D: RemoveAxis>(
        &self,
        student: impl Into<ArrayView<'x, f32, D>>,
        teacher: impl Into<ArrayView<'y, f32, D>>,
        class_axis: Axis,
    ) -> Result<LossTotal, Error> {
        let (student, teacher) = rows_of_both(student.into(), teacher.into(), class_axis)?;
        self.batch_total(student.rows(), teacher.rows())
    }

    /// The total over all rows, and the gradient of their reduced divergence with respect to the student's
    /// logits, in an array of their shape.
    ///
    /// `scale`: a [`Reduction`](crate::Reduction), or a finite factor, as `T^2 / n_rows` for Hinton's.
    /// `class_axis` is the one along which the elements of the gradient lie side by side.
    /// Other arguments and errors are those of [`array_losses`](ArrayDistillation::array_losses), and
    /// [`Error::InvalidOption`] for a factor that is not finite.
    ///
    /// ```
    /// use ndarray::{Axis, array};
    /// use xent_std::{ArrayDistillation, Distillation, Reduction};
    ///
    /// let (student, teacher) = (array![[0.0, 1.0], [0.0, 1.0]], array![[20.0, 5.0], [0.0, 5.0]]);
    /// let loss = Distillation::new();
    /// let (_, gradient) = loss.array_gradient(&student, &teacher, Axis(0), Reduction::Mean)?;
    /// assert_eq!(gradient, array![[-0.25, 0.0], [0.25, 0.0]]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn array_gradient<'x, 'y, D: RemoveAxis>(
        &self,
        student: impl Into<ArrayView<'x, f32, D>>,
        teacher: impl Into<ArrayView<'y, f32, D>>,
        class_axis: Axis,
        scale: impl Into<GradientScale>,
    ) -> Result<(LossTotal, Array<f32, D>), Error> {
        let student = student.into();
        let shape = student.raw_dim();
        let (student, teacher) = rows_of_both(student, teacher.into(), class_axis)?;
        let (total, gradient) = self.batch_gradient(student.rows(), teacher.rows(), scale)?;
        Ok((total, array_of_elements(shape, class_axis, gradient)?))
    }
}

impl ArrayDistillation for Distillation {}
