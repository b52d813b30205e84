//! The state of a row whose exponentials are kept for its softmax or its gradient.
//!
//! An exponential is relative to the running maximum, and of use where that was the maximum of the row: from the
//! block that has it to the end of the chunk. Those before it and of other chunks are taken again, relative to the
//! maximum of the row, so that every element has the bits that it has in place, where nothing can be kept.

use core::ops::Range;

use super::exp_sum::Keep;
use super::log_sum_exp::{self, Exp, after, push_blocks};
use super::map::{Map, MapOnto, map, map_onto};
use super::short_row;
use super::tree::CHUNK;
use crate::log_sum_exp::LogSumExp;
use crate::math::exp::exp_scaled;
use crate::simd::{Simd, Vector};

/// The state of a row, and, if that is finite, where `out` has `exp(x - m) * 2^64`. `out` has to be as long as the row:
/// the sum is taken from it.
///
/// Everywhere in a row that is added up in registers; nowhere where elements are taken one by one, for less code.
#[inline(always)]
pub(super) fn state_and_exps<S: Simd>(
    s: S,
    x: &[f32],
    out: &mut [f32],
) -> (LogSumExp, Range<usize>) {
    if S::ONE_BY_ONE {
        return (log_sum_exp::state(s, x), 0..0);
    }
    if S::LANES > 1
        && let Some(state) = short_row::state_and_exps(s, x, out)
    {
        return (state, 0..x.len());
    }
    let is_long = x.len() > CHUNK;
    let (mut state, mut kept) = (LogSumExp::EMPTY, 0..0);
    for (i, (x, out)) in x.chunks(CHUNK).zip(out.chunks_mut(CHUNK)).enumerate() {
        let start = i * CHUNK;
        let mut exps = Kept { rest: out, done: start, start, is_long };
        let chunk = push_blocks(s, LogSumExp::EMPTY, x, &mut exps);
        if chunk.max() > state.max() {
            kept = exps.start..exps.done;
        }
        state = after::<S>(state, chunk);
    }
    (state, kept)
}

/// What becomes of an element and its exponential `exp(x - m) * 2^64`.
pub(super) trait ExpMap<S: Simd>: Map<S> {
    fn of_exp(&self, s: S, x: S::F32, exp: S::F32) -> S::F32;
}

/// [`map`] of a row, of which `out` has the exponentials `kept`.
#[inline(always)]
pub(super) fn map_kept<S: Simd, M: ExpMap<S>>(
    s: S,
    x: &[f32],
    out: &mut [f32],
    kept: Range<usize>,
    each: &M,
) {
    if S::ONE_BY_ONE {
        return map(s, x, x, out, each);
    }
    let (x, x_behind) = x.split_at_checked(kept.end).unwrap_or_default();
    let (out, behind) = out.split_at_mut_checked(kept.end).unwrap_or_default();
    let (x_before, x_kept) = x.split_at_checked(kept.start).unwrap_or_default();
    let (before, exps) = out.split_at_mut_checked(kept.start).unwrap_or_default();
    map(s, x_before, x_before, before, each);
    map_onto(s, x_kept, x_kept, exps, &OfExp(each));
    map(s, x_behind, x_behind, behind, each);
}

/// A map of an element and its exponential.
struct OfExp<'a, M>(&'a M);

impl<S: Simd, M: ExpMap<S>> MapOnto<S> for OfExp<'_, M> {
    #[inline(always)]
    fn of(&self, s: S, x: S::F32, _: S::F32, exp: S::F32) -> S::F32 {
        self.0.of_exp(s, x, exp)
    }
}

/// Exponentials that are kept, of a chunk.
struct Kept<'a> {
    /// For the next blocks.
    rest: &'a mut [f32],
    /// Elements of the row before the next block.
    done: usize,
    /// The first element of those that are relative to the running maximum.
    start: usize,
    /// Whether the row is longer than a chunk: it and `rest` are more than caches beside a core hold.
    is_long: bool,
}

impl Keep for Kept<'_> {
    #[inline(always)]
    fn next(&mut self, n: usize) -> &mut [f32] {
        let rest = core::mem::take(&mut self.rest);
        let (next, rest) = rest.split_at_mut_checked(n).unwrap_or_default();
        self.rest = rest;
        self.done += n;
        next
    }

    #[inline(always)]
    fn restart(&mut self) {
        self.start = self.done;
    }

    #[inline(always)]
    fn in_order(&self) -> bool {
        self.is_long
    }
}

impl<S: Vector> Map<S> for Exp<S> {
    #[inline(always)]
    fn of(&self, s: S, x: S::F32, _: S::F32) -> S::F32 {
        exp_scaled(s, s.sub(x, self.m))
    }
}
