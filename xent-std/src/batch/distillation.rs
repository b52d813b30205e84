//! Distillation of a batch.

use xent_core::{Distillation, Error, GradientScale, LossTotal, Rows};

use super::split::Work;

mod sealed {
    pub trait Sealed {}
    impl Sealed for xent_core::Distillation {}
}

/// The divergences of a batch of a student's rows from a teacher's: [`Distillation`].
///
/// The rows are split over the threads of rayon's current pool where there are enough elements to gain by it
/// (feature `rayon`). The results have the bits of [`Distillation::rows`], [`Distillation::total`] and
/// [`Distillation::gradient`], for any number of threads. A row is one thread's.
///
/// ```
/// use xent_std::{BatchDistillation, Distillation, Rows};
///
/// let student = Rows::new(&[1.0, 2.0, 3.0, 0.0, 0.0, 0.0], 2, 3)?;
/// let teacher = Rows::new(&[3.0, 2.0, 1.0, 7.0, 7.0, 7.0], 2, 3)?;
/// assert_eq!(Distillation::new().batch_losses(student, teacher)?, [1.1504207, 0.0]);
/// # Ok::<(), xent_std::Error>(())
/// ```
pub trait BatchDistillation: sealed::Sealed {
    /// The divergence of each row, in nats.
    ///
    /// `student`, `teacher`: logits of one shape, `n_rows` by `classes`, each in its own layout.
    /// Special values, errors and accuracy are those of [`Distillation`].
    ///
    /// ```
    /// use xent_std::{BatchDistillation, Distillation, Rows};
    ///
    /// let student = Rows::new(&[1.0, 2.0, 3.0], 1, 3)?;
    /// let teacher = Rows::new(&[3.0, 2.0, 1.0], 1, 3)?;
    /// let loss = Distillation::new().temperature(4.0);
    /// assert_eq!(loss.batch_losses(student, teacher)?, [0.08247688]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn batch_losses(&self, student: Rows<'_>, teacher: Rows<'_>) -> Result<Vec<f32>, Error>;

    /// The total over all rows, for their sum or mean.
    ///
    /// Arguments and errors are those of [`batch_losses`](BatchDistillation::batch_losses).
    ///
    /// ```
    /// use xent_std::{BatchDistillation, Distillation, Rows};
    ///
    /// let student = Rows::new(&[1.0, 2.0, 3.0, 0.0, 0.0, 0.0], 2, 3)?;
    /// let teacher = Rows::new(&[3.0, 2.0, 1.0, 7.0, 7.0, 7.0], 2, 3)?;
    /// let total = Distillation::new().batch_total(student, teacher)?;
    /// assert_eq!(total.mean() as f32, 0.57521033);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn batch_total(&self, student: Rows<'_>, teacher: Rows<'_>) -> Result<LossTotal, Error>;

    /// The total over all rows, and the gradient of their reduced divergence with respect to the student's
    /// logits, row-major.
    ///
    /// `scale`: a [`Reduction`](crate::Reduction), or a finite factor, as `T^2 / n_rows` for Hinton's.
    /// Other arguments and errors are those of [`batch_losses`](BatchDistillation::batch_losses), and
    /// [`Error::InvalidOption`] for a factor that is not finite.
    ///
    /// ```
    /// use xent_std::{BatchDistillation, Distillation, Reduction, Rows};
    ///
    /// let student = Rows::new(&[0.0, 0.0, 1.0, 1.0], 2, 2)?;
    /// let teacher = Rows::new(&[20.0, 0.0, 5.0, 5.0], 2, 2)?;
    /// let (total, gradient) =
    ///     Distillation::new().batch_gradient(student, teacher, Reduction::Mean)?;
    /// assert_eq!(total.mean() as f32, 0.3465736);
    /// assert_eq!(gradient, [-0.25, 0.25, 0.0, 0.0]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn batch_gradient(
        &self,
        student: Rows<'_>,
        teacher: Rows<'_>,
        scale: impl Into<GradientScale>,
    ) -> Result<(LossTotal, Vec<f32>), Error>;
}

impl BatchDistillation for Distillation {
    fn batch_losses(&self, student: Rows<'_>, teacher: Rows<'_>) -> Result<Vec<f32>, Error> {
        self.check(student, teacher)?;
        work(&student).losses(|rows, losses| {
            self.rows(student.range(rows.clone()), teacher.range(rows), losses)
        })
    }

    fn batch_total(&self, student: Rows<'_>, teacher: Rows<'_>) -> Result<LossTotal, Error> {
        self.check(student, teacher)?;
        work(&student).total(|rows| self.total(student.range(rows.clone()), teacher.range(rows)))
    }

    fn batch_gradient(
        &self,
        student: Rows<'_>,
        teacher: Rows<'_>,
        scale: impl Into<GradientScale>,
    ) -> Result<(LossTotal, Vec<f32>), Error> {
        let factor = self.gradient_factor(student.n_rows(), scale)?;
        self.check(student, teacher)?;
        work(&student).gradient(student.classes(), |rows, gradient| {
            self.gradient(student.range(rows.clone()), teacher.range(rows), factor, gradient)
        })
    }
}

/// Both rows are read.
fn work(student: &Rows<'_>) -> Work {
    Work::new(student.n_rows(), student.n_elements().saturating_mul(2))
}
