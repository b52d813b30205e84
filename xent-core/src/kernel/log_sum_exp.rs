//! The state of a log-sum-exp over a slice.
//!
//! 1. The maximum of a block is taken while the block is in L1.
//! 2. If it is no new maximum, the exponentials are taken relative to the running one and added: one
//!    subtraction a element, no rescaling.
//! 3. If it is, elements equal to it are counted instead of added, and the old state is merged in
//!    with a factor in double-float. One of the counted elements is the 1 that stays out of `s`.
//! 4. What is not finite is sorted out aside, a block at a time.
//!
//! Source: M. Milakov, N. Gimelshein, Online normalizer calculation for softmax (2018), by blocks.

use super::short_rows;
use super::tree::{BLOCK, CHUNK, Term, TreeSum, block_max, block_sum, lane_count};
use crate::log_sum_exp::LogSumExp;
use crate::math::exp::{SCALE, UNSCALE, exp_scaled};
use crate::math::ln_1p::ln_1p;
use crate::math::pair::Pair;
use crate::simd::Simd;

/// `exp(x - m) * 2^64`.
struct Exp<S: Simd> {
    m: S::F32,
}

impl<S: Simd> Term<S> for Exp<S> {
    const PAD: (f32, f32) = (f32::NEG_INFINITY, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, x: S::F32, _: S::F32) -> S::F32 {
        exp_scaled(s, s.sub(x, self.m))
    }
}

/// `exp(x - m) * 2^64` where `x` is not `m`; how often it is.
pub(super) struct ExpBelowMax<S: Simd> {
    m: S::F32,
    n_max: S::F32,
}

impl<S: Simd> ExpBelowMax<S> {
    /// Nothing counted yet.
    #[inline(always)]
    pub(super) fn new(s: S, m: S::F32) -> Self {
        ExpBelowMax { m, n_max: s.splat(0.0) }
    }

    /// How many elements were the maximum, by lanes.
    #[inline(always)]
    pub(super) fn n_max(&self) -> S::F32 {
        self.n_max
    }
}

impl<S: Simd> Term<S> for ExpBelowMax<S> {
    const PAD: (f32, f32) = (f32::NEG_INFINITY, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, x: S::F32, _: S::F32) -> S::F32 {
        let is_max = s.eq(x, self.m);
        let zero = s.splat(0.0);
        self.n_max = s.add(self.n_max, s.select(is_max, s.splat(1.0), zero));
        s.select(is_max, zero, exp_scaled(s, s.sub(x, self.m)))
    }
}

/// The state of `x` whose elements equal to the finite maximum `m` are counted.
#[inline(always)]
fn block_state<S: Simd>(s: S, x: &[f32], m: f32) -> LogSumExp {
    let mut term = ExpBelowMax::new(s, s.splat(m));
    let sum = block_sum(s, x, x, &mut term);
    let ties = lane_count(s, term.n_max()) - 1.0;
    let sum = if ties > 0.0 { Pair::new(ties * SCALE, 0.0).add(sum) } else { sum };
    LogSumExp::from_parts(m, sum)
}

/// `state` and one block of at most [`BLOCK`] elements.
#[inline(always)]
fn push_block<S: Simd>(s: S, state: LogSumExp, x: &[f32]) -> LogSumExp {
    let m = block_max(s, x);
    let running = state.max();
    let next = if m <= running && running.is_finite() {
        let sum = block_sum(s, x, x, &mut Exp { m: s.splat(running) });
        LogSumExp::from_parts(running, state.scaled_sum().add(sum))
    } else if m > running && m < f32::INFINITY {
        block_state(s, x, m).merge(state)
    } else {
        return push_special(state, x);
    };
    if next.scaled_sum().hi.is_nan() { LogSumExp::NAN } else { next }
}

/// `state` and a block with a NaN or +inf, or with nothing but -inf before and in it.
#[cold]
#[inline(never)]
fn push_special(state: LogSumExp, x: &[f32]) -> LogSumExp {
    let mut next = state;
    for &x in x {
        if x.is_nan() {
            return LogSumExp::NAN;
        }
        if x == f32::INFINITY && !next.max().is_nan() {
            next = LogSumExp::INFINITY;
        }
    }
    next
}

/// A state that grows block by block and merges at the ends of chunks.
///
/// Every push but the last is of a multiple of [`BLOCK`] elements, so that the blocks are those of
/// one push of everything.
#[derive(Clone, Copy)]
pub(crate) struct BlockState {
    chunks: LogSumExp,
    chunk: LogSumExp,
    in_chunk: usize,
}

impl BlockState {
    pub(crate) const EMPTY: BlockState =
        BlockState { chunks: LogSumExp::EMPTY, chunk: LogSumExp::EMPTY, in_chunk: 0 };

    #[inline(always)]
    pub(crate) fn state(&self) -> LogSumExp {
        self.chunks.merge(self.chunk)
    }
}

#[inline(always)]
pub(crate) fn push<S: Simd>(s: S, state: &mut BlockState, x: &[f32]) {
    for block in x.chunks(BLOCK) {
        state.chunk = push_block(s, state.chunk, block);
        state.in_chunk += BLOCK;
        if state.in_chunk == CHUNK {
            let chunks = state.state();
            *state = BlockState { chunks, ..BlockState::EMPTY };
        }
    }
}

#[inline(always)]
pub(crate) fn state<S: Simd>(s: S, x: &[f32]) -> LogSumExp {
    let mut state = BlockState::EMPTY;
    push(s, &mut state, x);
    state.state()
}

/// `ln(1 + s)` of a finite state.
#[inline(always)]
pub(crate) fn ln_1p_sum<S: Simd>(s: S, state: &LogSumExp) -> f32 {
    s.first(ln_1p(s, s.splat(state.scaled_sum().hi * UNSCALE)))
}

/// `m + ln(1 + s)`; the maximum itself where that is infinite or NaN.
#[inline(always)]
pub(crate) fn value<S: Simd>(s: S, state: &LogSumExp) -> f32 {
    if state.max().is_finite() { state.max() + ln_1p_sum(s, state) } else { state.max() }
}

/// `(m - x_t) + ln(1 + s)`, the loss of the class whose logit is `x_t`.
///
/// The two terms are not negative: adding `ln(1 + s)` to `m` first loses a small loss.
#[inline(always)]
pub(crate) fn loss<S: Simd>(s: S, state: &LogSumExp, x_t: f32) -> f32 {
    if state.max().is_finite() && !x_t.is_nan() {
        (state.max() - x_t) + ln_1p_sum(s, state)
    } else {
        f32::NAN
    }
}

#[inline(always)]
pub(crate) fn log_sum_exp<S: Simd>(s: S, x: &[f32]) -> f32 {
    value(s, &state(s, x))
}

/// Log-sum-exps of the rows of `classes` elements that lie one after another in `x`.
#[inline(always)]
pub(crate) fn log_sum_exps<S: Simd>(s: S, x: &[f32], classes: usize, out: &mut [f32]) {
    if classes <= short_rows::MAX_CLASSES {
        return short_rows::log_sum_exps(s, x, classes.max(1), out);
    }
    for (row, out) in x.chunks_exact(classes).zip(out) {
        *out = log_sum_exp(s, row);
    }
}

/// Losses of the rows of `classes` elements that lie one after another in `x`.
#[inline(always)]
pub(crate) fn label_losses<S: Simd>(
    s: S,
    x: &[f32],
    classes: usize,
    labels: &[usize],
    out: &mut [f32],
) {
    if classes <= short_rows::MAX_CLASSES {
        return short_rows::label_losses(s, x, classes.max(1), labels, out);
    }
    for ((row, &label), out) in x.chunks_exact(classes).zip(labels).zip(out) {
        let x_t = row.get(label).copied().unwrap_or(f32::NAN);
        *out = loss(s, &state(s, row), x_t);
    }
}

/// `y ((m - x) + ln(1 + s))`, with a power of two `h` as `y ((h m - h x) + h ln(1 + s)) / h`.
#[derive(Clone, Copy)]
struct TargetLoss<S: Simd> {
    minus_h: S::F32,
    one_by_h: S::F32,
    h_m: S::F32,
    h_ln_1p_sum: S::F32,
}

impl<S: Simd> TargetLoss<S> {
    /// For a finite `state`. `h` is 1, or 1/2 where `m - x` could overflow.
    #[inline(always)]
    fn new(s: S, state: &LogSumExp) -> Self {
        let m = state.max();
        let h = if m.abs() < 1e30 { 1.0 } else { 0.5 };
        TargetLoss {
            minus_h: s.splat(-h),
            one_by_h: s.splat(1.0 / h),
            h_m: s.splat(h * m),
            h_ln_1p_sum: s.splat(h * ln_1p_sum(s, state)),
        }
    }
}

impl<S: Simd> Term<S> for TargetLoss<S> {
    const PAD: (f32, f32) = (0.0, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, x: S::F32, y: S::F32) -> S::F32 {
        let zero = s.splat(0.0);
        // The product is exact, so that this is one rounding in either class.
        let distance = s.mul_add(x, self.minus_h, self.h_m);
        let h_loss = s.add(distance, self.h_ln_1p_sum);
        s.select(s.eq(y, zero), zero, s.mul(s.mul(y, h_loss), self.one_by_h))
    }
}

/// Adds the terms of one or several blocks of a row with a finite `state` to `sum`.
#[inline(always)]
pub(crate) fn target_sum<S: Simd>(
    s: S,
    sum: &mut TreeSum,
    x: &[f32],
    y: &[f32],
    state: &LogSumExp,
) {
    let mut term = TargetLoss::new(s, state);
    for (x, y) in x.chunks(BLOCK).zip(y.chunks(BLOCK)) {
        sum.push(block_sum(s, x, y, &mut term));
    }
}
