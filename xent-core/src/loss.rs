//! The losses a caller sees, one file each, and what they share: options, batches of rows and of
//! elements, totals.

mod binary;
mod clip;
mod clipped;
mod clipped_binary;
mod cross_entropy;
mod distillation;
mod elements;
mod label_batch;
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

use crate::kernel::rows_in_lanes::TILE_ROWS;
use crate::kernel::tree::BLOCK;
use crate::targets::{Target, Targets};
use crate::{Error, Rows};
use options::ClassOptions;

/// Rows are computed this many at a time, plain losses of labels twice as many.
const BATCH: usize = TILE_ROWS;

/// Room for a block of a row and for what its classes count. All rows share it: to clear it takes longer
/// than a short row.
struct Scratch {
    x: [f32; BLOCK],
    v: [f32; BLOCK],
}

impl Scratch {
    const CLEAR: Scratch = Scratch { x: [0.0; BLOCK], v: [0.0; BLOCK] };
}

/// A loss that gives one value a row.
trait RowLoss: Sized {
    fn options(&self) -> &ClassOptions<'_>;

    /// The loss that costs `factor` times as much.
    fn times(&self, factor: f32) -> Self;

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
            let far = self.far_losses(&x, &targets);
            self.push_losses(&targets, losses, &far, chunk_total);
        });
        Ok(total)
    }

    /// Adds the losses of rows that are not ignored; `far` are of [`far_losses`](Self::far_losses).
    fn push_losses(
        &self,
        targets: &Targets<'_>,
        losses: &[f32],
        far: &FarLosses,
        total: &mut LossTotal,
    ) {
        for (row, &loss) in losses.iter().enumerate() {
            if let Some(weight) = self.options().weight(targets, row) {
                let far_loss = far.as_ref().and_then(|far| far.get(row).copied().flatten());
                total.push_weighted(far_loss.unwrap_or(f64::from(loss)), weight);
            }
        }
    }

    /// The weighted losses, in f64, of those of up to [`BATCH`] rows one of whose
    /// weights is [`is_far`].
    fn far_losses(&self, x: &Rows<'_>, targets: &Targets<'_>) -> FarLosses {
        let options = self.options();
        if !targets.are_weighted() && options.class_weights.is_none() {
            return None;
        }
        let (mut far, far_options) = (None, options.are_far());
        for row in 0..x.n_rows().min(BATCH) {
            let weight = options.weight(targets, row).unwrap_or(0.0);
            let sample_weight = f64::from(targets.sample_weight(row));
            let class_weight = weight / sample_weight;
            if weight == 0.0 || !(far_options || is_far(sample_weight) || is_far(class_weight)) {
                continue;
            }
            // With the class weight near 1, and the sample weight afterwards.
            let near = power_of_two((-exponent(class_weight)).clamp(-64, 64));
            let (x, targets) = (x.range(row..row + 1), targets.range(row..row + 1));
            let mut loss = [0.0];
            self.times(near).losses(&x, &targets.unweighted(), &mut loss);
            let loss = sample_weight * (f64::from(loss[0]) / f64::from(near));
            if let Some(to) = far.get_or_insert([None; BATCH]).get_mut(row) {
                *to = Some(loss);
            }
        }
        far
    }

    /// Whether f32 holds `factor`, and what each row is multiplied by: what class weights multiply may be
    /// beyond it.
    fn is_near(&self, targets: &Targets<'_>, n_rows: usize, factor: f64) -> bool {
        let weighted = targets.are_weighted() && self.options().class_weights.is_some();
        let scale = |row| f64::from(targets.sample_weight(row)) * factor;
        is_in_f32(factor) && (!weighted || (0..n_rows).all(|row| is_in_f32(scale(row))))
    }

    /// [`gradients`](Self::gradients) with a factor that may be beyond f32: where weights are so small, or
    /// so large, that one over their sum is.
    fn gradients_times(
        &self,
        x: Option<&Rows<'_>>,
        targets: &Targets<'_>,
        factor: f64,
        losses: &mut [f32],
        out: &mut [f32],
    ) {
        if self.is_near(targets, losses.len(), factor) {
            return self.gradients(x, targets, factor as f32, losses, out);
        }
        let classes = out.len().checked_div(losses.len()).unwrap_or(0).max(1);
        if let Some(x) = x {
            x.copy_rows(out);
        }
        if let Ok(x) = Rows::new(out, losses.len(), classes) {
            self.losses(&x, targets, losses);
        }
        for (row, x) in out.chunks_exact_mut(classes).enumerate() {
            // In two factors: the first meets the class weights, and brings that of a label near 1.
            let sample_weight =
                self.options().row(targets, row).map_or(0.0, |row| f64::from(row.sample_weight));
            let scale = sample_weight * factor;
            let class_weight =
                self.options().weight(targets, row).map_or(0.0, |weight| weight / sample_weight);
            let with_weights = if class_weight > 0.0 && class_weight != 1.0 {
                -exponent(class_weight)
            } else {
                exponent(scale) / 2
            };
            let near = power_of_two(with_weights.clamp(-100, 100));
            let rest = (scale / f64::from(near)) as f32;
            let targets = targets.range(row..row + 1).unweighted();
            self.times(near).gradients(None, &targets, rest, &mut [0.0], x);
        }
    }

    /// What the gradient of a sum is multiplied by.
    fn checked_factor(
        &self,
        targets: &Targets<'_>,
        n_rows: usize,
        scale: GradientScale,
    ) -> Result<f64, Error> {
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
            self.gradients_times(Some(&x), &targets, factor, losses, out);
            let far = self.far_losses(&x, &targets);
            self.push_losses(&targets, losses, &far, chunk_total);
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
            let logits = Rows::new(x, rows.len(), classes);
            let far = logits.map_or(None, |x| self.far_losses(&x, &targets));
            self.gradients_times(None, &targets, factor, losses, x);
            self.push_losses(&targets, losses, &far, chunk_total);
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
    for start in (0..n_rows).step_by(LossTotal::CHUNK_ROWS) {
        let chunk = LossTotal::chunk_at(start, n_rows);
        let mut chunk_total = LossTotal::EMPTY;
        for start in chunk.clone().step_by(BATCH) {
            push(start..chunk.end.min(start.saturating_add(BATCH)), &mut chunk_total);
        }
        *total = total.merge(chunk_total);
    }
}

/// `None` where no row has one.
type FarLosses = Option<[Option<f64>; BATCH]>;

/// Whether a weight is so small, or so large, that a weighted loss could be lost in f32.
fn is_far(weight: f64) -> bool {
    let near = f64::from(power_of_two(-32))..f64::from(power_of_two(32));
    weight != 0.0 && !near.contains(&weight)
}

/// Whether f32 has the digits of a factor.
fn is_in_f32(factor: f64) -> bool {
    factor == 0.0 || (factor as f32).is_normal()
}

/// `e` with `2^e <= |x| < 2^(e + 1)`, of a normal number.
fn exponent(x: f64) -> i32 {
    ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023
}

/// `2^exponent`, for exponents from -126 to 127.
fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits(((127 + exponent) as u32) << 23)
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
