//! Losses of a batch that give one value an element.

use xent_core::{
    BinaryCrossEntropy, BinaryTargets, ClippedBinaryCrossEntropy, Error, GradientScale, LossTotal,
    Rows,
};

use crate::parallel;

mod sealed {
    use super::*;

    /// The single-threaded loss.
    pub trait ElementLoss: Sync {
        fn rows_of(
            &self,
            x: Rows<'_>,
            targets: BinaryTargets<'_>,
            losses: &mut [f32],
        ) -> Result<(), Error>;

        fn total_of(&self, x: Rows<'_>, targets: BinaryTargets<'_>) -> Result<LossTotal, Error>;

        fn gradient_of(
            &self,
            x: Rows<'_>,
            targets: BinaryTargets<'_>,
            factor: f64,
            gradient: &mut [f32],
        ) -> Result<LossTotal, Error>;

        fn factor_of(&self, targets: BinaryTargets<'_>, scale: GradientScale)
        -> Result<f64, Error>;

        fn check_of(&self, x: Rows<'_>, targets: BinaryTargets<'_>) -> Result<(), Error>;
    }
}

use sealed::ElementLoss;

/// The losses of a batch of elements: [`BinaryCrossEntropy`] and [`ClippedBinaryCrossEntropy`].
///
/// The rows are split over the threads of rayon's current pool where there are enough elements to
/// gain by it (feature `rayon`). The results have the bits of [`BinaryCrossEntropy::rows`] and
/// [`BinaryCrossEntropy::total`], which never leave the caller's thread, for any number of threads.
///
/// ```
/// use xent_std::{BatchBinaryLoss, BinaryCrossEntropy, Rows};
///
/// let logits = Rows::new(&[3.0, -1.0], 2, 1)?;
/// let targets = Rows::new(&[1.0, 0.0], 2, 1)?;
/// let losses = BinaryCrossEntropy::new().batch_losses(logits, targets)?;
/// assert_eq!(losses, [0.04858735, 0.3132617]);
/// # Ok::<(), xent_std::Error>(())
/// ```
pub trait BatchBinaryLoss: ElementLoss {
    /// The loss of each element, in nats, row-major.
    ///
    /// `x`: logits or probabilities. `targets`: of the same shape, in [0, 1].
    /// Special values, errors and accuracy are those of the loss.
    ///
    /// ```
    /// use xent_std::{BatchBinaryLoss, ClippedBinaryCrossEntropy, Error, Rows};
    ///
    /// let probs = Rows::new(&[0.8, 0.2], 1, 2)?;
    /// let loss = ClippedBinaryCrossEntropy::new();
    /// let targets = Rows::new(&[1.0, 0.0], 1, 2)?;
    /// assert_eq!(loss.batch_losses(probs, targets)?, [0.22314353, 0.22314355]);
    /// let too_many = Rows::new(&[1.0, 0.0, 1.0], 1, 3)?;
    /// assert_eq!(
    ///     loss.batch_losses(probs, too_many),
    ///     Err(Error::LengthMismatch { expected: 2, found: 3 }),
    /// );
    /// # Ok::<(), Error>(())
    /// ```
    fn batch_losses<'a>(
        &self,
        x: Rows<'_>,
        targets: impl Into<BinaryTargets<'a>>,
    ) -> Result<Vec<f32>, Error> {
        let targets = targets.into();
        self.check_of(x, targets)?;
        let n_tasks = parallel::n_tasks(x.n_rows(), x.n_elements());
        let mut losses = vec![0.0; x.n_elements()];
        parallel::fill_rows(n_tasks, x.n_rows(), x.classes(), &mut losses, |rows, losses| {
            self.rows_of(x.range(rows.clone()), targets.range(rows), losses)
        })?;
        Ok(losses)
    }

    /// The total over all elements, for their sum or mean.
    ///
    /// It is threads that share chunks of [`LossTotal::CHUNK_ROWS`] rows: fewer rows than two chunks
    /// stay on one.
    /// Arguments and errors are those of [`batch_losses`](BatchBinaryLoss::batch_losses).
    ///
    /// ```
    /// use xent_std::{BatchBinaryLoss, BinaryCrossEntropy, Rows};
    ///
    /// let logits = Rows::new(&[3.0, -1.0], 2, 1)?;
    /// let total = BinaryCrossEntropy::new().batch_total(logits, Rows::new(&[1.0, 0.0], 2, 1)?)?;
    /// assert_eq!(total.mean() as f32, 0.18092452);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn batch_total<'a>(
        &self,
        x: Rows<'_>,
        targets: impl Into<BinaryTargets<'a>>,
    ) -> Result<LossTotal, Error> {
        let targets = targets.into();
        self.check_of(x, targets)?;
        if parallel::n_tasks(x.n_rows(), x.n_elements()) == 1 {
            return self.total_of(x, targets);
        }
        // The additions of a chunk wait for each other: a loss takes no longer than its addition,
        // and a chunk on several threads would gain nothing.
        let totals = parallel::map(x.n_rows().div_ceil(LossTotal::CHUNK_ROWS), |chunk| {
            let start = chunk * LossTotal::CHUNK_ROWS;
            let rows = start..x.n_rows().min(start.saturating_add(LossTotal::CHUNK_ROWS));
            self.total_of(x.range(rows.clone()), targets.range(rows))
        });
        let mut total = LossTotal::EMPTY;
        for chunk_total in totals {
            total = total.merge(chunk_total?);
        }
        Ok(total)
    }

    /// The total over all elements, and the gradient of their reduced loss with respect to `x`,
    /// row-major.
    ///
    /// `scale`: a [`Reduction`](crate::Reduction), or a finite factor of the gradient of the sum.
    /// Other arguments and errors are those of [`batch_losses`](BatchBinaryLoss::batch_losses), and
    /// [`Error::InvalidOption`] for a factor that is not finite.
    ///
    /// ```
    /// use xent_std::{BatchBinaryLoss, BinaryCrossEntropy, Reduction, Rows};
    ///
    /// let (logits, targets) = (Rows::new(&[0.0; 2], 2, 1)?, Rows::new(&[1.0, 0.0], 2, 1)?);
    /// let loss = BinaryCrossEntropy::new();
    /// let (total, gradient) = loss.batch_gradient(logits, targets, Reduction::Mean)?;
    /// assert_eq!(total.mean() as f32, 2_f32.ln());
    /// assert_eq!(gradient, [-0.25, 0.25]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    fn batch_gradient<'a>(
        &self,
        x: Rows<'_>,
        targets: impl Into<BinaryTargets<'a>>,
        scale: impl Into<GradientScale>,
    ) -> Result<(LossTotal, Vec<f32>), Error> {
        let targets = targets.into();
        self.check_of(x, targets)?;
        let factor = self.factor_of(targets, scale.into())?;
        let mut gradient = vec![0.0; x.n_elements()];
        if parallel::n_tasks(x.n_rows(), x.n_elements()) == 1 {
            let total = self.gradient_of(x, targets, factor, &mut gradient)?;
            return Ok((total, gradient));
        }
        let len = LossTotal::CHUNK_ROWS;
        let totals = parallel::map_parts(&mut gradient, len * x.classes(), |i, gradient| {
            let rows = i * len..i * len + len;
            self.gradient_of(x.range(rows.clone()), targets.range(rows), factor, gradient)
        })?;
        Ok((totals.into_iter().fold(LossTotal::EMPTY, LossTotal::merge), gradient))
    }
}

impl BatchBinaryLoss for BinaryCrossEntropy<'_> {}

impl ElementLoss for BinaryCrossEntropy<'_> {
    fn rows_of(
        &self,
        x: Rows<'_>,
        targets: BinaryTargets<'_>,
        losses: &mut [f32],
    ) -> Result<(), Error> {
        self.rows(x, targets, losses)
    }

    fn total_of(&self, x: Rows<'_>, targets: BinaryTargets<'_>) -> Result<LossTotal, Error> {
        self.total(x, targets)
    }

    fn gradient_of(
        &self,
        x: Rows<'_>,
        targets: BinaryTargets<'_>,
        factor: f64,
        gradient: &mut [f32],
    ) -> Result<LossTotal, Error> {
        self.gradient(x, targets, factor, gradient)
    }

    fn factor_of(&self, targets: BinaryTargets<'_>, scale: GradientScale) -> Result<f64, Error> {
        self.gradient_factor(targets, scale)
    }

    fn check_of(&self, x: Rows<'_>, targets: BinaryTargets<'_>) -> Result<(), Error> {
        self.check(x, targets)
    }
}

impl BatchBinaryLoss for ClippedBinaryCrossEntropy<'_> {}

impl ElementLoss for ClippedBinaryCrossEntropy<'_> {
    fn rows_of(
        &self,
        x: Rows<'_>,
        targets: BinaryTargets<'_>,
        losses: &mut [f32],
    ) -> Result<(), Error> {
        self.rows(x, targets, losses)
    }

    fn total_of(&self, x: Rows<'_>, targets: BinaryTargets<'_>) -> Result<LossTotal, Error> {
        self.total(x, targets)
    }

    fn gradient_of(
        &self,
        x: Rows<'_>,
        targets: BinaryTargets<'_>,
        factor: f64,
        gradient: &mut [f32],
    ) -> Result<LossTotal, Error> {
        self.gradient(x, targets, factor, gradient)
    }

    fn factor_of(&self, targets: BinaryTargets<'_>, scale: GradientScale) -> Result<f64, Error> {
        self.gradient_factor(targets, scale)
    }

    fn check_of(&self, x: Rows<'_>, targets: BinaryTargets<'_>) -> Result<(), Error> {
        self.check(x, targets)
    }
}
