//! Losses of a batch whose rows are split over the threads.
//!
//! Rows go in chunks of [`LossTotal::CHUNK_ROWS`], whose totals merge in order as core merges them, or, where
//! these are fewer than the threads, one by one.

use std::ops::Range;

use xent_core::{Error, LossTotal};

use crate::parallel;

/// A number of rows, and of elements that are read.
#[derive(Clone, Copy)]
pub(super) struct Work {
    n_rows: usize,
    n_elements: usize,
}

impl Work {
    pub(super) fn new(n_rows: usize, n_elements: usize) -> Self {
        Work { n_rows, n_elements }
    }

    pub(super) fn n_tasks(self) -> usize {
        parallel::n_tasks(self.n_rows, self.n_elements)
    }

    /// One element a row.
    pub(super) fn losses(
        self,
        of: impl Fn(Range<usize>, &mut [f32]) -> Result<(), Error> + Send + Sync,
    ) -> Result<Vec<f32>, Error> {
        let mut losses = vec![0.0; self.n_rows];
        parallel::fill_rows(self.n_tasks(), self.n_rows, 1, &mut losses, of)?;
        Ok(losses)
    }

    pub(super) fn total(
        self,
        of: impl Fn(Range<usize>) -> Result<LossTotal, Error> + Send + Sync,
    ) -> Result<LossTotal, Error> {
        if self.n_tasks() == 1 {
            return of(0..self.n_rows);
        }
        let len = self.rows_per_part();
        let totals = parallel::map(self.n_rows.div_ceil(len), |i| of(i * len..i * len + len));
        let totals = totals.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(merge(&totals, LossTotal::CHUNK_ROWS / len))
    }

    /// The total, and `classes` elements a row, row-major.
    pub(super) fn gradient(
        self,
        classes: usize,
        of: impl Fn(Range<usize>, &mut [f32]) -> Result<LossTotal, Error> + Send + Sync,
    ) -> Result<(LossTotal, Vec<f32>), Error> {
        // Rows that share their memory can be more than fit into one.
        let mut gradient = vec![0.0; self.n_rows.saturating_mul(classes)];
        if self.n_tasks() == 1 {
            let total = of(0..self.n_rows, &mut gradient)?;
            return Ok((total, gradient));
        }
        let len = self.rows_per_part();
        let totals = parallel::map_parts(&mut gradient, len * classes, |i, gradient| {
            of(i * len..i * len + len, gradient)
        })?;
        Ok((merge(&totals, LossTotal::CHUNK_ROWS / len), gradient))
    }

    fn rows_per_part(self) -> usize {
        let chunk = LossTotal::CHUNK_ROWS;
        if self.n_rows.div_ceil(chunk) < self.n_tasks() { 1 } else { chunk }
    }
}

/// The total of `totals`, merged in order in chunks.
///
/// Merging the total of one loss is the addition that pushing the loss is.
pub(super) fn merge(totals: &[LossTotal], per_chunk: usize) -> LossTotal {
    let merged =
        |totals: &[LossTotal]| totals.iter().copied().fold(LossTotal::EMPTY, LossTotal::merge);
    totals.chunks(per_chunk.max(1)).map(merged).fold(LossTotal::EMPTY, LossTotal::merge)
}
