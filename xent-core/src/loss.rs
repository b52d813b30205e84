//! The losses a caller sees, one file each, and what they share: options, batches of rows and of
//! elements, totals.

mod binary;
mod clip;
mod clipped;
mod clipped_binary;
mod cross_entropy;
mod distillation;
mod elements;
mod logit_row;
mod options;
mod reduction;
mod total;

pub use binary::BinaryCrossEntropy;
pub use clipped::ClippedCrossEntropy;
pub use clipped_binary::ClippedBinaryCrossEntropy;
pub use cross_entropy::CrossEntropy;
pub use distillation::Distillation;
pub use reduction::{GradientScale, Reduction};
pub use total::LossTotal;

use crate::targets::{Target, Targets};
use crate::{Error, Rows};
use options::ClassOptions;

/// Rows are computed this many at a time.
const BATCH: usize = 32;

/// A loss that gives one value a row.
trait RowLoss {
    fn options(&self) -> &ClassOptions<'_>;

    /// Whether the options are in their ranges.
    fn validate(&self, classes: usize) -> Result<(), Error>;

    /// The losses of all rows. Everything is checked; `out` has one element a row.
    fn losses(&self, x: &Rows<'_>, targets: &Targets<'_>, out: &mut [f32]);

    /// The losses of up to [`BATCH`] rows, and `factor` times their gradients.
    ///
    /// Everything is checked. `out` has the elements of all rows; where `x` is `None` it holds the
    /// input.
    fn gradients(
        &self,
        x: Option<&Rows<'_>>,
        targets: &Targets<'_>,
        factor: f32,
        losses: &mut [f32],
        out: &mut [f32],
    );

    fn check(&self, x: &Rows<'_>, targets: &Targets<'_>) -> Result<(), Error> {
        self.validate(x.classes())?;
        targets.check_but(x, self.options().ignore)
    }

    fn checked_losses(
        &self,
        x: &Rows<'_>,
        targets: &Targets<'_>,
        out: &mut [f32],
    ) -> Result<(), Error> {
        self.check(x, targets)?;
        check_length(x.n_rows(), out.len())?;
        self.losses(x, targets, out);
        Ok(())
    }

    /// The loss of one row.
    fn checked_loss(&self, x: &[f32], target: Target<'_>) -> Result<f32, Error> {
        let mut loss = [0.0];
        with_one_row(target, |targets| {
            self.checked_losses(&Rows::new(x, 1, x.len())?, &targets, &mut loss)
        })?;
        Ok(loss[0])
    }

    fn checked_total(&self, x: &Rows<'_>, targets: &Targets<'_>) -> Result<LossTotal, Error> {
        self.check(x, targets)?;
        let mut total = LossTotal::EMPTY;
        for_batches(x.n_rows(), &mut total, |rows, chunk_total| {
            let (x, targets) = (x.range(rows.clone()), targets.range(rows.clone()));
            let mut buffer = [0.0; BATCH];
            let losses = buffer.get_mut(..rows.len()).unwrap_or_default();
            self.losses(&x, &targets, losses);
            self.push_losses(&targets, losses, chunk_total);
        });
        Ok(total)
    }

    /// Adds the losses of rows that are not ignored.
    fn push_losses(&self, targets: &Targets<'_>, losses: &[f32], total: &mut LossTotal) {
        for (row, &loss) in losses.iter().enumerate() {
            if let Some(weight) = self.options().weight(targets, row) {
                total.push_weighted(f64::from(loss), weight);
            }
        }
    }

    /// What the gradient of a sum is multiplied by.
    fn checked_factor(
        &self,
        targets: &Targets<'_>,
        n_rows: usize,
        scale: GradientScale,
    ) -> Result<f32, Error> {
        scale.validate()?;
        Ok(scale.factor(|| {
            let mut weights = LossTotal::EMPTY;
            for row in 0..n_rows {
                if let Some(weight) = self.options().weight(targets, row) {
                    weights.push_weighted(0.0, weight);
                }
            }
            weights
        }))
    }

    fn checked_gradient(
        &self,
        x: &Rows<'_>,
        targets: &Targets<'_>,
        scale: GradientScale,
        out: &mut [f32],
    ) -> Result<LossTotal, Error> {
        self.check(x, targets)?;
        check_length(x.n_elements(), out.len())?;
        let factor = self.checked_factor(targets, x.n_rows(), scale)?;
        let mut total = LossTotal::EMPTY;
        for_batches(x.n_rows(), &mut total, |rows, chunk_total| {
            let (x, targets) = (x.range(rows.clone()), targets.range(rows.clone()));
            let elements = rows.start * x.classes()..rows.end * x.classes();
            let out = out.get_mut(elements).unwrap_or_default();
            let mut buffer = [0.0; BATCH];
            let losses = buffer.get_mut(..rows.len()).unwrap_or_default();
            self.gradients(Some(&x), &targets, factor, losses, out);
            self.push_losses(&targets, losses, chunk_total);
        });
        Ok(total)
    }

    fn checked_gradient_in_place(
        &self,
        x: &mut [f32],
        [n_rows, classes]: [usize; 2],
        targets: &Targets<'_>,
        scale: GradientScale,
    ) -> Result<LossTotal, Error> {
        self.check(&Rows::new(x, n_rows, classes)?, targets)?;
        let factor = self.checked_factor(targets, n_rows, scale)?;
        let mut total = LossTotal::EMPTY;
        for_batches(n_rows, &mut total, |rows, chunk_total| {
            let targets = targets.range(rows.clone());
            let x = x.get_mut(rows.start * classes..rows.end * classes).unwrap_or_default();
            let mut buffer = [0.0; BATCH];
            let losses = buffer.get_mut(..rows.len()).unwrap_or_default();
            self.gradients(None, &targets, factor, losses, x);
            self.push_losses(&targets, losses, chunk_total);
        });
        Ok(total)
    }

    /// The loss and the gradient of one row.
    fn checked_row_gradient(
        &self,
        x: &[f32],
        target: Target<'_>,
        out: &mut [f32],
    ) -> Result<f32, Error> {
        let mut loss = [0.0];
        with_one_row(target, |targets| {
            let x = Rows::new(x, 1, x.len())?;
            self.check(&x, &targets)?;
            check_length(x.classes(), out.len())?;
            self.gradients(Some(&x), &targets, 1.0, &mut loss, out);
            Ok(())
        })?;
        Ok(loss[0])
    }

    fn checked_row_gradient_in_place(
        &self,
        x: &mut [f32],
        target: Target<'_>,
    ) -> Result<f32, Error> {
        let mut loss = [0.0];
        with_one_row(target, |targets| {
            self.check(&Rows::new(x, 1, x.len())?, &targets)?;
            self.gradients(None, &targets, 1.0, &mut loss, x);
            Ok(())
        })?;
        Ok(loss[0])
    }
}

/// Calls `of` with the target of one row as those of many.
fn with_one_row(
    target: Target<'_>,
    of: impl FnOnce(Targets<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    match target {
        Target::Label(label) => of(Targets::labels(&[label])),
        Target::Distribution(y) => of(Targets::distributions(Rows::new(y, 1, y.len())?)),
    }
}

/// Calls `push` for up to [`BATCH`] rows at a time, with a total that merges into `total` every
/// [`LossTotal::CHUNK_ROWS`] rows.
fn for_batches(
    n_rows: usize,
    total: &mut LossTotal,
    mut push: impl FnMut(core::ops::Range<usize>, &mut LossTotal),
) {
    for chunk in (0..n_rows).step_by(LossTotal::CHUNK_ROWS) {
        let end = n_rows.min(chunk + LossTotal::CHUNK_ROWS);
        let mut chunk_total = LossTotal::EMPTY;
        for start in (chunk..end).step_by(BATCH) {
            push(start..end.min(start + BATCH), &mut chunk_total);
        }
        *total = total.merge(chunk_total);
    }
}

/// `weight * loss`; 0 where the weight is 0, also of what is infinite or NaN.
fn weighted(weight: f32, loss: f32) -> f32 {
    if weight == 0.0 { 0.0 } else { weight * loss }
}

/// `x`, with one bit pattern for all NaN.
fn canonical(x: f32) -> f32 {
    if x.is_nan() { f32::NAN } else { x }
}

pub(crate) fn check_length(expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::LengthMismatch { expected, found }) }
}

/// Two operands of one shape, with classes.
fn check_shapes(x: &Rows<'_>, y: &Rows<'_>) -> Result<(), Error> {
    if x.n_rows() > 0 && x.classes() == 0 {
        return Err(Error::EmptyClasses { n_rows: x.n_rows() });
    }
    x.check_shape_of(y)
}
