//! The losses a caller sees, one file each, and what they share: batches of rows, and their total.

mod binary;
mod clip;
mod clipped;
mod clipped_binary;
mod cross_entropy;
mod total;

pub use binary::BinaryCrossEntropy;
pub use clipped::ClippedCrossEntropy;
pub use clipped_binary::ClippedBinaryCrossEntropy;
pub use cross_entropy::CrossEntropy;
pub use total::LossTotal;

use crate::targets::Targets;
use crate::{Error, Rows};

/// Losses are computed this many at a time where they are folded into a total.
const BATCH: usize = 32;

/// A loss that gives one value a row.
trait RowLoss {
    /// The losses of all rows. Targets are checked; `out` has one element a row.
    fn losses(&self, x: &Rows<'_>, targets: &Targets<'_>, out: &mut [f32]);

    fn checked_losses(
        &self,
        x: &Rows<'_>,
        targets: &Targets<'_>,
        out: &mut [f32],
    ) -> Result<(), Error> {
        targets.check(x)?;
        check_length(x.n_rows(), out.len())?;
        self.losses(x, targets, out);
        Ok(())
    }

    fn checked_total(&self, x: &Rows<'_>, targets: &Targets<'_>) -> Result<LossTotal, Error> {
        targets.check(x)?;
        let mut total = LossTotal::EMPTY;
        for chunk in (0..x.n_rows()).step_by(LossTotal::CHUNK_ROWS) {
            let end = x.n_rows().min(chunk + LossTotal::CHUNK_ROWS);
            let mut chunk_total = LossTotal::EMPTY;
            for start in (chunk..end).step_by(BATCH) {
                let rows = start..end.min(start + BATCH);
                let mut buffer = [0.0; BATCH];
                let losses = buffer.get_mut(..rows.len()).unwrap_or_default();
                self.losses(&x.range(rows.clone()), &targets.range(rows), losses);
                for &loss in &*losses {
                    chunk_total.push(loss, 1.0);
                }
            }
            total = total.merge(chunk_total);
        }
        Ok(total)
    }
}

/// A loss that gives one value an element.
trait ElementLoss {
    /// The losses of slices of one length.
    fn losses(&self, x: &[f32], y: &[f32], out: &mut [f32]);

    fn checked_losses(&self, x: &Rows<'_>, y: &Rows<'_>, out: &mut [f32]) -> Result<(), Error> {
        check_shapes(x, y)?;
        check_length(x.n_elements(), out.len())?;
        if x.classes() == 0 {
            return Ok(());
        }
        for (row, out) in out.chunks_exact_mut(x.classes()).enumerate() {
            let mut start = 0;
            x.for_block_pairs(y, row, |x, y| {
                let out = out.get_mut(start..start + x.len()).unwrap_or_default();
                self.losses(x, y, out);
                start += x.len();
            });
        }
        Ok(())
    }

    fn checked_total(&self, x: &Rows<'_>, y: &Rows<'_>) -> Result<LossTotal, Error> {
        check_shapes(x, y)?;
        let mut total = LossTotal::EMPTY;
        for chunk in (0..x.n_rows()).step_by(LossTotal::CHUNK_ROWS) {
            let mut chunk_total = LossTotal::EMPTY;
            for row in chunk..x.n_rows().min(chunk + LossTotal::CHUNK_ROWS) {
                x.for_block_pairs(y, row, |x, y| {
                    for (x, y) in x.chunks(BATCH).zip(y.chunks(BATCH)) {
                        let mut buffer = [0.0; BATCH];
                        let losses = buffer.get_mut(..x.len()).unwrap_or_default();
                        self.losses(x, y, losses);
                        for &loss in &*losses {
                            chunk_total.push(loss, 1.0);
                        }
                    }
                });
            }
            total = total.merge(chunk_total);
        }
        Ok(total)
    }
}

pub(crate) fn check_length(expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::LengthMismatch { expected, found }) }
}

fn check_shapes(x: &Rows<'_>, y: &Rows<'_>) -> Result<(), Error> {
    if x.n_rows() > 0 && x.classes() == 0 {
        return Err(Error::EmptyClasses { n_rows: x.n_rows() });
    }
    x.check_shape_of(y)
}
