//! Divergence of a student's logits from a teacher's.

use super::{GradientScale, check_length, check_shapes, is_in_f32};
use crate::kernel::distillation::Tempered;
use crate::kernel::logits::LogitTransform;
use crate::kernel::tree::{BLOCK, TreeSum};
use crate::{Backend, Error, LossTotal, Rows};

/// Kullback-Leibler divergence of the softmax of a student's logits from that of a teacher's, in nats.
///
/// `Σ p_c ln(p_c / q_c)` with `p = softmax(teacher / T)` and `q = softmax(student / T)`, computed as
/// `Σ q_c - p_c - p_c ln(q_c / p_c)`: the same, since both sum to 1, but no term is negative, and a student
/// that comes near its teacher has a small divergence with all of its digits. Equal rows, also at an
/// offset that their numbers can hold, have exactly 0.
///
/// The gradient with respect to the student's logits is `(q - p) / T`. G. Hinton et al., Distilling the
/// Knowledge in a Neural Network (2015), multiply loss and gradient by `T^2` so that they keep their size
/// when `T` changes: give [`gradient`](Self::gradient) the factor `T * T`, and multiply the loss.
///
/// Special values: a row, of either, with a NaN or `+inf` logit or with only `-inf` gives NaN. A `-inf`
/// logit is a masked class: where the teacher masks it, `p_c` is 0 and it contributes nothing; where the
/// student masks it and the teacher does not, the divergence is `+inf` and the gradient `-p_c / T`.
///
/// Accuracy: [`accuracy::DISTILLATION`](crate::accuracy::DISTILLATION) and
/// [`accuracy::DISTILLATION_GRADIENT`](crate::accuracy::DISTILLATION_GRADIENT), against
/// [`reference::distillation`](crate::reference::distillation) and
/// [`reference::distillation_gradient`](crate::reference::distillation_gradient).
///
/// ```
/// use xent_core::Distillation;
///
/// let loss = Distillation::new();
/// assert_eq!(loss.row(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0])?, 1.1504207);
/// assert_eq!(loss.temperature(4.0).row(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0])?, 0.08247688);
/// assert_eq!(loss.row(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.001])?, 1.11307045e-7);
/// # Ok::<(), xent_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Distillation {
    backend: Backend,
    temperature: f32,
}

impl Distillation {
    /// At temperature 1, on the detected backend.
    ///
    /// ```
    /// let loss = xent_core::Distillation::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Distillation { backend: Backend::detected(), temperature: 1.0 }
    }

    /// On a chosen backend.
    ///
    /// ```
    /// use xent_core::{Backend, Distillation};
    /// let loss = Distillation::new().backend(Backend::SCALAR);
    /// ```
    #[must_use]
    pub const fn backend(self, backend: Backend) -> Self {
        Distillation { backend, ..self }
    }

    /// The backend it runs on.
    ///
    /// ```
    /// use xent_core::{Backend, Distillation};
    /// assert_eq!(Distillation::new().backend(Backend::SCALAR).backend_used(), Backend::SCALAR);
    /// ```
    #[must_use]
    pub const fn backend_used(&self) -> Backend {
        self.backend
    }

    /// Divides the logits of both by `temperature`, after the difference to their maximum is taken.
    ///
    /// `temperature`: finite and positive; another is an [`Error::InvalidOption`] of the call that uses it.
    ///
    /// ```
    /// let loss = xent_core::Distillation::new().temperature(2.0);
    /// assert_eq!(loss.row(&[0.0, 2.0], &[0.0, -2.0])?, 0.4621172);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub const fn temperature(self, temperature: f32) -> Self {
        Distillation { temperature, ..self }
    }

    /// Whether a call with these arguments has an error: every call asks this first.
    ///
    /// Errors: [`Error::InvalidOption`], [`Error::EmptyClasses`] for rows without classes,
    /// [`Error::LengthMismatch`].
    ///
    /// ```
    /// use xent_core::{Distillation, Error, Rows};
    /// let x = Rows::new(&[0.0; 6], 3, 2)?;
    /// let error = Error::LengthMismatch { expected: 6, found: 4 };
    /// assert_eq!(Distillation::new().check(x, x.range(0..2)), Err(error));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn check(&self, student: Rows<'_>, teacher: Rows<'_>) -> Result<(), Error> {
        self.validate()?;
        check_shapes(&student, &teacher)
    }

    /// The divergence of one row.
    ///
    /// `student`, `teacher`: logits of at least one class, of one length.
    /// Errors: [`Error::InvalidOption`], [`Error::EmptyClasses`], [`Error::LengthMismatch`].
    ///
    /// ```
    /// let loss = xent_core::Distillation::new();
    /// assert_eq!(loss.row(&[0.0, 0.0], &[1.0, f32::NEG_INFINITY])?, 2_f32.ln());
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn row(&self, student: &[f32], teacher: &[f32]) -> Result<f32, Error> {
        let (x, y) = (Rows::new(student, 1, student.len())?, Rows::new(teacher, 1, teacher.len())?);
        self.check(x, y)?;
        Ok(self.loss(&x, &y, 0, self.row_pair(&x, &y, 0)))
    }

    /// The divergences of many rows.
    ///
    /// `student`, `teacher`: logits of one shape, `n_rows` by `classes`, each in its own layout. `losses`:
    /// one element a row.
    /// Errors: [`Error::InvalidOption`], [`Error::EmptyClasses`] for rows without classes,
    /// [`Error::LengthMismatch`]; then nothing is written.
    ///
    /// ```
    /// use xent_core::{Distillation, Rows};
    /// let student = Rows::new(&[1.0, 2.0, 3.0, 0.0, 0.0, 0.0], 2, 3)?;
    /// let teacher = Rows::new(&[3.0, 2.0, 1.0, 7.0, 7.0, 7.0], 2, 3)?;
    /// let mut losses = [0.0; 2];
    /// Distillation::new().rows(student, teacher, &mut losses)?;
    /// assert_eq!(losses, [1.1504207, 0.0]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn rows(
        &self,
        student: Rows<'_>,
        teacher: Rows<'_>,
        losses: &mut [f32],
    ) -> Result<(), Error> {
        self.check(student, teacher)?;
        check_length(student.n_rows(), losses.len())?;
        let mut losses = losses.iter_mut();
        student.for_tile_pairs(&teacher, |rows, x, y| {
            for (row, loss) in (0..rows.len()).zip(&mut losses) {
                *loss = self.loss(x, y, row, self.row_pair(x, y, row));
            }
        });
        Ok(())
    }

    /// The total over many rows, for their sum or mean.
    ///
    /// Arguments and errors are those of [`rows`](Self::rows).
    ///
    /// ```
    /// use xent_core::{Distillation, Rows};
    /// let student = Rows::new(&[1.0, 2.0, 3.0, 0.0, 0.0, 0.0], 2, 3)?;
    /// let teacher = Rows::new(&[3.0, 2.0, 1.0, 7.0, 7.0, 7.0], 2, 3)?;
    /// let total = Distillation::new().total(student, teacher)?;
    /// assert_eq!(total.mean() as f32, 0.57521033);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn total(&self, student: Rows<'_>, teacher: Rows<'_>) -> Result<LossTotal, Error> {
        self.check(student, teacher)?;
        Ok(total(&student, &teacher, |x, y, row| self.loss(x, y, row, self.row_pair(x, y, row))))
    }

    /// The divergence of one row, and its gradient with respect to the student's logits.
    ///
    /// `student`, `teacher`: logits of at least one class, of one length. `gradient`: of the same length;
    /// receives `(q_c - p_c) / T`, or NaN where the divergence is NaN.
    /// Errors: [`Error::InvalidOption`], [`Error::EmptyClasses`], [`Error::LengthMismatch`]; then nothing
    /// is written.
    ///
    /// ```
    /// let mut gradient = [0.0; 2];
    /// let loss = xent_core::Distillation::new().row_gradient(&[0.0, 0.0], &[20.0, 0.0], &mut gradient)?;
    /// assert_eq!((loss, gradient), (2_f32.ln(), [-0.5, 0.5]));
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn row_gradient(
        &self,
        student: &[f32],
        teacher: &[f32],
        gradient: &mut [f32],
    ) -> Result<f32, Error> {
        let (x, y) = (Rows::new(student, 1, student.len())?, Rows::new(teacher, 1, teacher.len())?);
        self.check(x, y)?;
        check_length(student.len(), gradient.len())?;
        Ok(self.loss_and_gradient(&x, &y, 0, 1.0, gradient))
    }

    /// The total over many rows, and the gradient of each row's divergence times `factor`.
    ///
    /// `student`, `teacher`: logits of one shape, `n_rows` by `classes`, each in its own layout. `scale`: a
    /// [`Reduction`](crate::Reduction) of the divergences, or a finite factor, as `T^2 / n_rows` for Hinton's.
    /// `gradient`: row-major, `n_rows * classes` elements; receives `factor * (q_c - p_c) / T`, or NaN in a
    /// row whose divergence is NaN. The total has no factor.
    /// Errors: [`Error::InvalidOption`], [`Error::EmptyClasses`] for rows without classes,
    /// [`Error::LengthMismatch`]; then nothing is written.
    ///
    /// ```
    /// use xent_core::{Distillation, Reduction, Rows};
    /// let student = Rows::new(&[0.0, 0.0, 1.0, 1.0], 2, 2)?;
    /// let teacher = Rows::new(&[20.0, 0.0, 5.0, 5.0], 2, 2)?;
    /// let mut gradient = [0.0; 4];
    /// let total = Distillation::new().gradient(student, teacher, Reduction::Mean, &mut gradient)?;
    /// assert_eq!(total.mean() as f32, 0.3465736);
    /// assert_eq!(gradient, [-0.25, 0.25, 0.0, 0.0]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn gradient(
        &self,
        student: Rows<'_>,
        teacher: Rows<'_>,
        scale: impl Into<GradientScale>,
        gradient: &mut [f32],
    ) -> Result<LossTotal, Error> {
        // Options first, the factor among them.
        self.validate()?;
        let factor = self.gradient_factor(student.n_rows(), scale)?;
        self.check(student, teacher)?;
        check_length(student.n_elements(), gradient.len())?;
        let mut gradients = gradient.chunks_exact_mut(student.classes().max(1));
        Ok(total(&student, &teacher, |x, y, row| {
            let gradient = gradients.next().unwrap_or_default();
            self.loss_and_gradient(x, y, row, factor, gradient)
        }))
    }

    /// As [`gradient`](Self::gradient), with the gradient in the place of the student's logits.
    ///
    /// `student`: `n_rows * classes` elements, row-major.
    ///
    /// ```
    /// use xent_core::{Distillation, Reduction, Rows};
    /// let mut student = [0.0, 0.0, 1.0, 1.0];
    /// let teacher = Rows::new(&[20.0, 0.0, 5.0, 5.0], 2, 2)?;
    /// Distillation::new().gradient_in_place(&mut student, teacher, Reduction::Mean)?;
    /// assert_eq!(student, [-0.25, 0.25, 0.0, 0.0]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn gradient_in_place(
        &self,
        student: &mut [f32],
        teacher: Rows<'_>,
        scale: impl Into<GradientScale>,
    ) -> Result<LossTotal, Error> {
        self.validate()?;
        let (n_rows, classes) = (teacher.n_rows(), teacher.classes());
        let factor = self.gradient_factor(n_rows, scale)?;
        self.check(Rows::new(student, n_rows, classes)?, teacher)?;
        let mut students = student.chunks_exact_mut(classes.max(1));
        Ok(total(&teacher, &teacher, |_, y, row| {
            self.gradient_of(students.next().unwrap_or_default(), y, row, factor)
        }))
    }

    fn validate(&self) -> Result<(), Error> {
        let transform = LogitTransform { temperature: self.temperature, ..LogitTransform::NONE };
        transform.validate()
    }

    /// What `scale` multiplies the gradient of the sum over `n_rows` rows by. For those who split a batch.
    ///
    /// Errors: [`Error::InvalidOption`] for a factor that is not finite.
    ///
    /// ```
    /// use xent_core::{Distillation, Reduction};
    /// assert_eq!(Distillation::new().gradient_factor(4, Reduction::Mean)?, 0.25);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn gradient_factor(
        &self,
        n_rows: usize,
        scale: impl Into<GradientScale>,
    ) -> Result<f64, Error> {
        let scale = scale.into();
        scale.validate()?;
        Ok(scale.factor(|| LossTotal::of_weights(n_rows, 1.0)))
    }

    /// A row in any layout as its maximum and the sum over the others.
    fn tempered(&self, x: &Rows<'_>, row: usize) -> Tempered {
        let mut max = f32::NEG_INFINITY;
        x.for_blocks(row, |x| max = self.backend.max(max, x));
        let mut tempered = Tempered::new(max, self.temperature);
        x.for_blocks(row, |x| self.backend.tempered_push(&mut tempered, x));
        tempered
    }

    /// A row of the student and of the teacher; `None` where one has no softmax.
    fn row_pair(&self, x: &Rows<'_>, y: &Rows<'_>, row: usize) -> Option<[Tempered; 2]> {
        let pair = [self.tempered(x, row), self.tempered(y, row)];
        pair.iter().all(Tempered::is_valid).then_some(pair)
    }

    fn loss(&self, x: &Rows<'_>, y: &Rows<'_>, row: usize, pair: Option<[Tempered; 2]>) -> f32 {
        let Some([student, teacher]) = pair else {
            return f32::NAN;
        };
        let mut sum = TreeSum::EMPTY;
        x.for_block_pairs(y, row, |x, y| {
            self.backend.distillation_sum(&mut sum, x, y, &student, &teacher);
        });
        sum.value().hi
    }

    fn loss_and_gradient(
        &self,
        x: &Rows<'_>,
        y: &Rows<'_>,
        row: usize,
        factor: f64,
        gradient: &mut [f32],
    ) -> f32 {
        let pair = self.row_pair(x, y, row);
        match pair {
            Some([student, teacher]) => {
                let (mut start, near) = (0, near(factor));
                x.for_block_pairs(y, row, |x, y| {
                    let out = gradient.get_mut(start..start + x.len()).unwrap_or_default();
                    self.backend.distillation_gradient(x, y, &student, &teacher, near, out);
                    start += x.len();
                });
                times_far(gradient, factor);
            }
            None => gradient.fill(f32::NAN),
        }
        self.loss(x, y, row, pair)
    }

    /// The loss of `x` and row `row` of `y`, and `factor` times its gradient in the place of `x`.
    fn gradient_of(&self, x: &mut [f32], y: &Rows<'_>, row: usize, factor: f64) -> f32 {
        let y = y.range(row..row + 1);
        let Ok(view) = Rows::new(x, 1, x.len()) else { return f32::NAN };
        let pair = self.row_pair(&view, &y, 0);
        let loss = self.loss(&view, &y, 0, pair);
        let Some([student, teacher]) = pair else {
            x.fill(f32::NAN);
            return loss;
        };
        let (mut x_buffer, mut y_buffer) = ([0.0; BLOCK], [0.0; BLOCK]);
        let near = near(factor);
        for (i, out) in x.chunks_mut(BLOCK).enumerate() {
            let x = x_buffer.get_mut(..out.len()).unwrap_or_default();
            for (x, &out) in x.iter_mut().zip(&*out) {
                *x = out;
            }
            let y = y.block(0, i * BLOCK, &mut y_buffer);
            self.backend.distillation_gradient(x, y, &student, &teacher, near, out);
        }
        times_far(x, factor);
        loss
    }
}

/// `factor`, or 1 where f32 does not have its digits, and [`times_far`] follows.
fn near(factor: f64) -> f32 {
    if is_in_f32(factor) { factor as f32 } else { 1.0 }
}

/// Multiplies by a factor whose digits f32 does not have.
fn times_far(gradient: &mut [f32], factor: f64) {
    if !is_in_f32(factor) {
        for x in gradient {
            *x = (f64::from(*x) * factor) as f32;
        }
    }
}

impl Default for Distillation {
    fn default() -> Self {
        Distillation::new()
    }
}

/// The total of the losses of all rows, folded in chunks.
fn total(
    x: &Rows<'_>,
    y: &Rows<'_>,
    mut loss: impl FnMut(&Rows<'_>, &Rows<'_>, usize) -> f32,
) -> LossTotal {
    let mut total = LossTotal::EMPTY;
    for start in (0..x.n_rows()).step_by(LossTotal::CHUNK_ROWS) {
        let chunk = LossTotal::chunk_at(start, x.n_rows());
        let mut chunk_total = LossTotal::EMPTY;
        x.range(chunk.clone()).for_tile_pairs(&y.range(chunk), |rows, x, y| {
            for row in 0..rows.len() {
                chunk_total.push(loss(x, y, row), 1.0);
            }
        });
        total = total.merge(chunk_total);
    }
    total
}
