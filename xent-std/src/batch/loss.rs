//! Losses of a batch that give one value a row.

use xent_core::{
    ClippedCrossEntropy, CrossEntropy, Error, GradientScale, LogSumExp, LossTotal, Rows, Targets,
};

use super::split::{self, Work};
use crate::parallel;

mod sealed {
    use super::*;

    /// The single-threaded loss, and what is needed to split it.
    pub trait RowLoss: Sync {
        fn rows_of(
            &self,
            x: Rows<'_>,
            targets: Targets<'_>,
            losses: &mut [f32],
        ) -> Result<(), Error>;

        fn total_of(&self, x: Rows<'_>, targets: Targets<'_>) -> Result<LossTotal, Error>;

        fn gradient_of(
            &self,
            x: Rows<'_>,
            targets: Targets<'_>,
            factor: f64,
            gradient: &mut [f32],
        ) -> Result<LossTotal, Error>;

        fn factor_of(
            &self,
            targets: Targets<'_>,
            n_rows: usize,
            scale: GradientScale,
        ) -> Result<f64, Error>;

        /// The errors of all, of which only these count rows from the first of the batch.
        fn check_of(&self, x: Rows<'_>, targets: Targets<'_>) -> Result<(), Error>;

        /// How many elements of `x` are read.
        fn n_elements_read(&self, x: Rows<'_>, targets: Targets<'_>) -> usize;

        /// The losses of rows each of which is split over the threads, where the loss can do that.
        fn split_row_losses(&self, x: Rows<'_>, targets: Targets<'_>) -> Option<Vec<f32>>;
    }
}

use sealed::RowLoss;

/// The losses of a batch of rows: [`CrossEntropy`] and [`ClippedCrossEntropy`].
///
/// The rows are split over the threads of rayon's current pool where there are enough elements to
/// gain by it (feature `rayon`); so are the classes of a few very long rows with labels. The results
/// have the bits of [`CrossEntropy::rows`] and [`CrossEntropy::total`], which never leave the
/// caller's thread, for any number of threads.
///
/// ```
/// use xent_std::{BatchLoss, CrossEntropy, Rows};
///
/// let logits = Rows::new(&[2.0, 1.0, 0.0, 0.0, 3.0, 0.0], 2, 3)?;
/// let losses = CrossEntropy::new().batch_losses(logits, &[0, 1])?;
/// assert_eq!(losses, [0.40760595, 0.09492295]);
/// # Ok::<(), xent_std::Error>(())
/// ```
pub trait BatchLoss: RowLoss {
    /// The loss of each row, in nats.
    ///
    /// `x`: logits or probabilities, `n_rows` by `classes`. `targets`: a label a row, as a slice or
    /// array of any integer type, or [`Rows`] of the same shape.
    /// Special values, errors and accuracy are those of the loss.
    ///
    /// ```
    /// use xent_std::{BatchLoss, ClippedCrossEntropy, Error, Rows};
    ///
    /// let probs = Rows::new(&[0.2, 0.6, 0.2, 0.8, 0.1, 0.1], 2, 3)?;
    /// let loss = ClippedCrossEntropy::new();
    /// assert_eq!(loss.batch_losses(probs, &[1_u8, 0])?, [0.5108256, 0.22314353]);
    /// assert_eq!(
    ///     loss.batch_losses(probs, &[1, 3]),
    ///     Err(Error::LabelOutOfRange { row: 1, label: 3, classes: 3 }),
    /// );
    /// # Ok::<(), Error>(())
    /// ```
    fn batch_losses<'a>(
        &self,
        x: Rows<'_>,
        targets: impl Into<Targets<'a>>,
    ) -> Result<Vec<f32>, Error> {
        let targets = targets.into();
        self.check_of(x, targets)?;
        let work = Work::new(x.n_rows(), self.n_elements_read(x, targets));
        if parallel::splits_rows(work.n_tasks(), &x)
            && let Some(losses) = self.split_row_losses(x, targets)
        {
            return Ok(losses);
        }
        work.losses(|rows, losses| self.rows_of(x.range(rows.clone()), targets.range(rows), losses))
    }

    /// The total over all rows, for their sum or mean.
    ///
    /// Arguments and errors are those of [`batch_losses`](BatchLoss::batch_losses).
    ///
    /// ```
    /// use xent_std::{BatchLoss, CrossEntropy, Rows};
    ///
    /// let logits = Rows::new(&[0.4, 2.0, 1.3, 1.2, 0.3, 0.2], 2, 3)?;
    /// let total = CrossEntropy::new().batch_total(logits, &[0, 2])?;
    /// assert_eq!(total.mean() as f32, 1.8516123);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn batch_total<'a>(
        &self,
        x: Rows<'_>,
        targets: impl Into<Targets<'a>>,
    ) -> Result<LossTotal, Error> {
        let targets = targets.into();
        self.check_of(x, targets)?;
        let work = Work::new(x.n_rows(), self.n_elements_read(x, targets));
        if parallel::splits_rows(work.n_tasks(), &x)
            && let Some(losses) = self.split_row_losses(x, targets)
        {
            let totals: Vec<LossTotal> = losses.into_iter().map(total_of_one).collect();
            return Ok(split::merge(&totals, LossTotal::CHUNK_ROWS));
        }
        work.total(|rows| self.total_of(x.range(rows.clone()), targets.range(rows)))
    }

    /// The total over all rows, and the gradient of their reduced loss with respect to `x`, row-major.
    ///
    /// `scale`: a [`Reduction`](crate::Reduction), or a finite factor of the gradient of the sum.
    /// Other arguments and errors are those of [`batch_losses`](BatchLoss::batch_losses), and
    /// [`Error::InvalidOption`] for a factor that is not finite.
    ///
    /// ```
    /// use xent_std::{BatchLoss, CrossEntropy, Reduction, Rows};
    ///
    /// let logits = Rows::new(&[0.0; 4], 2, 2)?;
    /// let (total, gradient) =
    ///     CrossEntropy::new().batch_gradient(logits, &[0, 1], Reduction::Mean)?;
    /// assert_eq!(total.mean() as f32, 2_f32.ln());
    /// assert_eq!(gradient, [-0.25, 0.25, 0.25, -0.25]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn batch_gradient<'a>(
        &self,
        x: Rows<'_>,
        targets: impl Into<Targets<'a>>,
        scale: impl Into<GradientScale>,
    ) -> Result<(LossTotal, Vec<f32>), Error> {
        let targets = targets.into();
        self.check_of(x, targets)?;
        let factor = self.factor_of(targets, x.n_rows(), scale.into())?;
        Work::new(x.n_rows(), x.n_elements()).gradient(x.classes(), |rows, gradient| {
            self.gradient_of(x.range(rows.clone()), targets.range(rows), factor, gradient)
        })
    }
}

fn total_of_one(loss: f32) -> LossTotal {
    let mut total = LossTotal::EMPTY;
    total.push(loss, 1.0);
    total
}

impl BatchLoss for CrossEntropy<'_> {}

impl RowLoss for CrossEntropy<'_> {
    fn rows_of(&self, x: Rows<'_>, targets: Targets<'_>, losses: &mut [f32]) -> Result<(), Error> {
        self.rows(x, targets, losses)
    }

    fn total_of(&self, x: Rows<'_>, targets: Targets<'_>) -> Result<LossTotal, Error> {
        self.total(x, targets)
    }

    fn gradient_of(
        &self,
        x: Rows<'_>,
        targets: Targets<'_>,
        factor: f64,
        gradient: &mut [f32],
    ) -> Result<LossTotal, Error> {
        self.gradient(x, targets, factor, gradient)
    }

    fn factor_of(
        &self,
        targets: Targets<'_>,
        n_rows: usize,
        scale: GradientScale,
    ) -> Result<f64, Error> {
        self.gradient_factor(targets, n_rows, scale)
    }

    fn check_of(&self, x: Rows<'_>, targets: Targets<'_>) -> Result<(), Error> {
        self.check(x, targets)
    }

    fn n_elements_read(&self, x: Rows<'_>, _: Targets<'_>) -> usize {
        x.n_elements()
    }

    /// Of rows with labels, without options.
    fn split_row_losses(&self, x: Rows<'_>, targets: Targets<'_>) -> Option<Vec<f32>> {
        if !self.is_plain() || targets.are_weighted() {
            return None;
        }
        let mut label_logits = Vec::with_capacity(x.n_rows());
        for row in 0..x.n_rows() {
            label_logits.push(x.get(row, usize::try_from(targets.label(row)?).ok()?)?);
        }
        let backend = self.backend_used();
        let states = parallel::row_states(backend, &x);
        let loss = |(state, x_t): (LogSumExp, f32)| backend.log_sum_exp_loss(state, x_t);
        Some(states.into_iter().zip(label_logits).map(loss).collect())
    }
}

impl BatchLoss for ClippedCrossEntropy<'_> {}

impl RowLoss for ClippedCrossEntropy<'_> {
    fn rows_of(&self, x: Rows<'_>, targets: Targets<'_>, losses: &mut [f32]) -> Result<(), Error> {
        self.rows(x, targets, losses)
    }

    fn total_of(&self, x: Rows<'_>, targets: Targets<'_>) -> Result<LossTotal, Error> {
        self.total(x, targets)
    }

    fn gradient_of(
        &self,
        x: Rows<'_>,
        targets: Targets<'_>,
        factor: f64,
        gradient: &mut [f32],
    ) -> Result<LossTotal, Error> {
        self.gradient(x, targets, factor, gradient)
    }

    fn factor_of(
        &self,
        targets: Targets<'_>,
        n_rows: usize,
        scale: GradientScale,
    ) -> Result<f64, Error> {
        self.gradient_factor(targets, n_rows, scale)
    }

    fn check_of(&self, x: Rows<'_>, targets: Targets<'_>) -> Result<(), Error> {
        self.check(x, targets)
    }

    /// With labels and no need of the other classes, one a row.
    fn n_elements_read(&self, x: Rows<'_>, targets: Targets<'_>) -> usize {
        let reads_labels_only = targets.label(0).is_some() && !self.reads_all_classes();
        if reads_labels_only { x.n_rows() } else { x.n_elements() }
    }

    fn split_row_losses(&self, _: Rows<'_>, _: Targets<'_>) -> Option<Vec<f32>> {
        None
    }
}
