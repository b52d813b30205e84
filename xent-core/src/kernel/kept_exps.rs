//! The state of a row whose exponentials are kept for its softmax or its gradient.
//!
//! An exponential is relative to the running maximum, and of use where that was the maximum of the row: from the
//! block that has it to the end of the chunk. Those before it and of other chunks are taken again, relative to the
//! maximum of the row, so that every element has the bits that it has in place, where nothing can be kept.

use core::ops::Range;

use super::exp_sum::{ExpSums, ExpTerm};
use super::log_sum_exp::{self, Exp, after, push_blocks};
use super::map::{Map, MapOnto, map, map_onto};
use super::short_row;
use super::tree::{CHUNK, Fold, LaneSums, Maxima, Term, lane_sums};
use crate::log_sum_exp::LogSumExp;
use crate::math::exp::exp_scaled;
use crate::simd::Simd;

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
    let (mut state, mut kept) = (LogSumExp::EMPTY, 0..0);
    for (i, (x, out)) in x.chunks(CHUNK).zip(out.chunks_mut(CHUNK)).enumerate() {
        let start = i * CHUNK;
        let mut exps = Kept { rest: out, done: start, start };
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
}

impl<'a> Kept<'a> {
    /// The place of the next block, of `n` elements.
    #[inline(always)]
    fn next(&mut self, n: usize) -> &'a mut [f32] {
        let rest = core::mem::take(&mut self.rest);
        let (next, rest) = rest.split_at_mut_checked(n).unwrap_or_default();
        self.rest = rest;
        self.done += n;
        next
    }
}

impl<S: Simd> ExpSums<S> for Kept<'_> {
    #[inline(always)]
    fn skip(&mut self, n: usize) {
        self.next(n);
    }

    #[inline(always)]
    fn restart(&mut self) {
        self.start = self.done;
    }

    #[inline(always)]
    fn lane_sums<T: ExpTerm<S>>(&mut self, s: S, x: &[f32], term: &mut T) -> LaneSums<S> {
        let exps = self.next(x.len());
        map(s, x, x, exps, &Exp { m: term.m() });
        lane_sums(s, x, exps, &mut OfKept(term))
    }

    #[inline(always)]
    fn lane_sums_beside<T: ExpTerm<S>>(
        &mut self,
        s: S,
        x: &[f32],
        term: &mut T,
        _: &mut Fold<S>,
        _: &mut Maxima<'_, S>,
    ) -> LaneSums<S> {
        self.lane_sums(s, x, term)
    }
}

impl<S: Simd> Map<S> for Exp<S> {
    #[inline(always)]
    fn of(&self, s: S, x: S::F32, _: S::F32) -> S::F32 {
        exp_scaled(s, s.sub(x, self.m))
    }
}

/// A term of an element and its exponential.
struct OfKept<'a, T>(&'a mut T);

impl<S: Simd, T: ExpTerm<S>> Term<S> for OfKept<'_, T> {
    const PAD: (f32, f32) = (f32::NEG_INFINITY, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, x: S::F32, exp: S::F32) -> S::F32 {
        self.0.of_exp(s, x, exp)
    }
}
