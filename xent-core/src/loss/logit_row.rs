//! A row of logits as a loss sees it, a block at a time.

use crate::kernel::log_sum_exp::BlockState;
use crate::kernel::logits::LogitTransform;
use crate::kernel::tree::BLOCK;
use crate::{Backend, LogSumExp, Rows};

/// A row whose logits are capped, lowered by its maximum and divided by the temperature; or as it is,
/// where there is neither cap nor temperature.
pub(super) struct LogitRow<'a> {
    backend: Backend,
    x: Rows<'a>,
    row: usize,
    transform: LogitTransform,
    shift: f32,
    offset: f32,
}

impl<'a> LogitRow<'a> {
    /// `offset`: what the logits were lowered by already.
    pub(super) fn new(
        backend: Backend,
        x: &Rows<'a>,
        row: usize,
        transform: LogitTransform,
        offset: f32,
    ) -> Self {
        let mut shift = 0.0;
        if transform != LogitTransform::NONE {
            shift = f32::NEG_INFINITY;
            x.for_blocks(row, |x| shift = backend.capped_max(shift, x, &transform));
        }
        LogitRow { backend, x: *x, row, transform, shift, offset }
    }

    /// What the row was lowered by, before the division.
    pub(super) fn shift(&self) -> f32 {
        self.shift
    }

    /// What the row was lowered by, as its log-sum-exp sees it.
    pub(super) fn offset(&self) -> f32 {
        self.offset + self.shift / self.transform.temperature
    }

    /// The classes `start ..`, at most [`BLOCK`] of them.
    pub(super) fn block<'b>(&'b self, start: usize, buffer: &'b mut [f32; BLOCK]) -> &'b [f32] {
        if self.transform == LogitTransform::NONE {
            return self.x.block(self.row, start, buffer);
        }
        match self.x.as_slice(self.row) {
            Some(x) => {
                let end = x.len().min(start + BLOCK);
                self.transformed(x.get(start..end).unwrap_or(&[]), buffer)
            }
            None => self.transformed_copy(start, buffer),
        }
    }

    /// The raw logits need a buffer too: it is in a frame of its own.
    #[inline(never)]
    fn transformed_copy<'b>(&self, start: usize, buffer: &'b mut [f32; BLOCK]) -> &'b [f32] {
        let mut raw = [0.0; BLOCK];
        let x = self.x.copy_block(self.row, start, &mut raw);
        self.transformed(x, buffer)
    }

    fn transformed<'b>(&self, x: &[f32], buffer: &'b mut [f32; BLOCK]) -> &'b [f32] {
        let out = buffer.get_mut(..x.len()).unwrap_or_default();
        self.backend.transformed(x, &self.transform, self.shift, out);
        out
    }

    /// The state of the row.
    pub(super) fn state(&self, buffer: &mut [f32; BLOCK]) -> LogSumExp {
        if self.transform == LogitTransform::NONE {
            return self.backend.row_state(&self.x, self.row);
        }
        let mut state = BlockState::EMPTY;
        for start in (0..self.x.classes()).step_by(BLOCK) {
            self.backend.lse_push(&mut state, self.block(start, buffer));
        }
        state.state()
    }
}
