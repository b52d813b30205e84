//! The state of a log-sum-exp over a slice.
//!
//! 1. The maximum of a block is taken while the block is in L1.
//! 2. If it is no new maximum, the exponentials are taken relative to the running one and added: one
//!    subtraction a element, no rescaling.
//! 3. If it is, elements equal to it are counted instead of added, and the old state is merged in
//!    with a factor in double-float. One of the counted elements is the 1 that stays out of `s`.
//! 4. What is not finite is sorted out aside, a block at a time.
//!
//! A row of up to a group of the tree goes through `short_row.rs`.
//!
//! Source: M. Milakov, N. Gimelshein, Online normalizer calculation for softmax (2018), by blocks.

use super::exp_sum::{Dropped, ExpTerm, Keep, lane_sums_of_exps};
use super::map::canonical;
use super::rows_in_lanes::{self, Layout, Workspace};
use super::short_row;
use super::tree::{BLOCK, CHUNK, LaneSums, Maxima, Term, block_max, block_sum, lane_count, seldom};
use crate::log_sum_exp::LogSumExp;
use crate::math::exp::{
    LOWEST, SCALE, UNSCALE, exp_of_exponent, exp_scaled, exponent, is_plain, reduced,
};
use crate::math::ln_1p::{ln_1p, ln_1p_inside};
use crate::math::pair::Pair;
use crate::simd::{Part, Simd, Vector};

/// `exp(x - m) * 2^64`.
pub(super) struct Exp<S: Vector> {
    pub(super) m: S::F32,
}

impl<S: Simd> Term<S> for Exp<S> {
    const PAD: (f32, f32) = (f32::NEG_INFINITY, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, x: S::F32, _: S::F32) -> S::F32 {
        exp_scaled(s, s.sub(x, self.m))
    }
}

impl<S: Simd> ExpTerm<S> for Exp<S> {
    #[inline(always)]
    fn m(&self) -> S::F32 {
        self.m
    }

    #[inline(always)]
    fn of_exp(&mut self, _: S, _: S::F32, exp: S::F32) -> S::F32 {
        exp
    }
}

/// `exp(x - m) * 2^64` where `x` is not `m`; how often it is.
pub(super) struct ExpBelowMax<S: Simd> {
    pub(super) m: S::F32,
    /// What is counted: `m`, or NaN for nothing.
    counted: S::F32,
    n_max: S::F32,
}

impl<S: Simd> ExpBelowMax<S> {
    /// Nothing counted yet.
    #[inline(always)]
    pub(super) fn new(s: S, m: S::F32) -> Self {
        ExpBelowMax { m, counted: m, n_max: s.splat(0.0) }
    }

    /// The same, but what is counted is `counted`; NaN counts nothing, and elements that are `m` are added.
    #[inline(always)]
    pub(super) fn counting(s: S, m: S::F32, counted: S::F32) -> Self {
        ExpBelowMax { m, counted, n_max: s.splat(0.0) }
    }

    /// The first of two steps, of which `exp_of_reduced` is the second.
    #[inline(always)]
    pub(super) fn reduced(&mut self, s: S, x: S::F32) -> (S::F32, S::F32) {
        let is_max = s.eq(x, self.counted);
        self.n_max = s.add(self.n_max, s.select(is_max, s.splat(1.0), s.splat(0.0)));
        // What is counted has a term of 0, also where it is infinite.
        let nothing = s.splat(f32::NEG_INFINITY);
        reduced(s, s.select(is_max, nothing, s.sub(x, self.m)))
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
        let zero = s.splat(0.0);
        if S::ONE_BY_ONE {
            // A branch that is seldom taken costs less than two selections.
            let below = s.sub(x, self.m);
            let t = exponent(s, below);
            if !is_plain(s.first(t)) {
                if s.first(x) == s.first(self.counted) {
                    self.n_max = s.add(self.n_max, s.splat(1.0));
                    return zero;
                }
                if s.first(below) < LOWEST {
                    return zero;
                }
            }
            return exp_of_exponent(s, below, t);
        }
        self.of_exp(s, x, exp_scaled(s, s.sub(x, self.m)))
    }
}

impl<S: Simd> ExpTerm<S> for ExpBelowMax<S> {
    #[inline(always)]
    fn m(&self) -> S::F32 {
        self.m
    }

    #[inline(always)]
    fn of_exp(&mut self, s: S, x: S::F32, exp: S::F32) -> S::F32 {
        let (zero, is_max) = (s.splat(0.0), s.eq(x, self.counted));
        self.n_max = s.add(self.n_max, s.select(is_max, s.splat(1.0), zero));
        s.select(is_max, zero, exp)
    }
}

/// The state of a block whose maximum is there `n_max` times and whose other terms are `sum`.
#[inline(always)]
pub(super) fn with_ties(m: f32, sum: Pair, n_max: f32) -> LogSumExp {
    let ties = n_max - 1.0;
    let sum = if ties > 0.0 { Pair::new(ties * SCALE, 0.0).add(sum) } else { sum };
    LogSumExp::from_parts(m, sum)
}

/// `before.merge(state)`; most often there is nothing before, and no call to make but where flash is scarce.
#[inline(always)]
pub(super) fn after<S: Simd>(before: LogSumExp, state: LogSumExp) -> LogSumExp {
    if !S::ONE_BY_ONE && before.max() == f32::NEG_INFINITY { state } else { before.merge(state) }
}

/// What the sum of a block is relative to.
#[derive(Clone, Copy)]
enum Maximum {
    /// That of the state before it.
    Running,
    /// Its own, which is larger, and there `n_max` times.
    New { m: f32, n_max: f32 },
}

/// `state` and a block of which `sum` is known.
#[inline(always)]
fn with_block<S: Simd>(state: LogSumExp, max: Maximum, sum: Pair) -> LogSumExp {
    let state = match max {
        Maximum::Running if S::IN_TURN => {
            LogSumExp::from_parts(state.max(), state.scaled_sum().add_inline(sum))
        }
        Maximum::Running => LogSumExp::from_parts(state.max(), state.scaled_sum().add(sum)),
        Maximum::New { m, n_max } => after::<S>(state, with_ties(m, sum, n_max)),
    };
    // A NaN has come into the sum alone; or, where blocks wait, into the state after the maximum was taken from it.
    let was_nan = !S::ONE_BY_ONE && state.max().is_nan();
    let is_nan = was_nan || state.scaled_sum().hi.is_nan();
    if is_nan { LogSumExp::NAN } else { state }
}

/// `state` and up to a chunk of elements.
#[inline(always)]
pub(super) fn push_blocks<S: Simd, K: Keep>(
    s: S,
    mut state: LogSumExp,
    x: &[f32],
    exps: &mut K,
) -> LogSumExp {
    let mut blocks = x.chunks(BLOCK);
    if S::ONE_BY_ONE {
        for x in blocks {
            state = push_block_one_by_one(s, state, x);
        }
        return state;
    }
    let (mut next, mut known) = (blocks.next(), None);
    // The block before, of which the sum over the lanes is taken beside this one: the maximum is known before the state is.
    let (mut max, mut waiting, mut lanes) = (state.max(), None, LaneSums::new(s));
    let in_order = exps.in_order();
    while let Some(x) = next {
        next = blocks.next();
        let m = match known {
            Some(m) => m,
            None => block_max(s, x),
        };
        let is_new = m > max;
        if is_new {
            max = m;
        }
        if !max.is_finite() {
            if let Some((_, x_before)) = waiting.take() {
                // Of what waits nothing counts but a NaN.
                state = push_special(state, x_before);
            }
            exps.next(x.len());
            state = push_special(state, x);
            (max, known) = (state.max(), None);
            continue;
        }

        let mut maxima = Maxima::new(s, next.unwrap_or(&[]));
        let before = if waiting.is_some() { Some(&lanes) } else { None };
        let (next_lanes, sum_before, relative_to);
        if is_new {
            let mut term = ExpBelowMax::new(s, s.splat(max));
            exps.restart();
            (next_lanes, sum_before) = lane_sums_of_exps(
                s,
                x,
                exps.next(x.len()),
                in_order,
                &mut term,
                before,
                &mut maxima,
            );
            relative_to = Maximum::New { m, n_max: lane_count(s, term.n_max()) };
        } else {
            let mut term = Exp { m: s.splat(max) };
            (next_lanes, sum_before) = lane_sums_of_exps(
                s,
                x,
                exps.next(x.len()),
                in_order,
                &mut term,
                before,
                &mut maxima,
            );
            relative_to = Maximum::Running;
        }
        known = Some(maxima.finish(s));

        if let Some((relative_to, _)) = waiting.take() {
            state = with_block::<S>(state, relative_to, sum_before);
        }
        if S::IN_TURN && next.is_some() {
            (waiting, lanes) = (Some((relative_to, x)), next_lanes);
        } else {
            state = with_block::<S>(state, relative_to, next_lanes.fold(s, x.len()));
        }
    }
    state
}

/// `state` and one block of at most [`BLOCK`] elements: in one loop, with a new maximum or without, for the comparison
/// that counts is made anyway.
#[inline(always)]
fn push_block_one_by_one<S: Simd>(s: S, state: LogSumExp, x: &[f32]) -> LogSumExp {
    let (m, running) = (block_max(s, x), state.max());
    let is_new = m > running;
    let max = if is_new { m } else { running };
    if !max.is_finite() {
        return push_special(state, x);
    }
    let counted = if is_new { max } else { f32::NAN };
    let mut term = ExpBelowMax::counting(s, s.splat(max), s.splat(counted));
    let sum = block_sum(s, x, x, &mut term);
    let relative_to = if is_new {
        Maximum::New { m, n_max: lane_count(s, term.n_max()) }
    } else {
        Maximum::Running
    };
    with_block::<S>(state, relative_to, sum)
}

/// `state` and a block with a NaN or +inf, or with nothing but -inf before and in it.
#[cold]
#[inline(never)]
fn push_special(state: LogSumExp, x: &[f32]) -> LogSumExp {
    let mut next = state;
    for &x in x {
        if x.is_nan() || next.max().is_nan() {
            return LogSumExp::NAN;
        }
        if x == f32::INFINITY {
            seldom();
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

    /// The maximum that the next block is held against.
    #[inline(always)]
    pub(super) fn chunk_max(&self) -> f32 {
        self.chunk.max()
    }

    /// Adds a block of which `sum` is known: relative to its maximum `max`, which is there `n_max` times,
    /// if that is new, else to the running one.
    #[inline(always)]
    pub(super) fn push_block(&mut self, max: f32, sum: Pair, n_max: f32) {
        let running = self.chunk.max();
        let next = if sum.hi.is_nan() || running.is_nan() {
            LogSumExp::NAN
        } else if max == f32::INFINITY || running == f32::INFINITY {
            LogSumExp::INFINITY
        } else if max > running {
            with_ties(max, sum, n_max).merge(self.chunk)
        } else if running.is_finite() {
            LogSumExp::from_parts(running, self.chunk.scaled_sum().add(sum))
        } else {
            self.chunk
        };
        self.step(next);
    }

    #[inline(always)]
    fn step(&mut self, chunk: LogSumExp) {
        self.chunk = chunk;
        self.in_chunk += BLOCK;
        if self.in_chunk == CHUNK {
            *self = BlockState { chunks: self.state(), ..BlockState::EMPTY };
        }
    }
}

#[inline(always)]
pub(crate) fn push<S: Simd>(s: S, state: &mut BlockState, x: &[f32]) {
    for block in x.chunks(BLOCK) {
        state.step(push_blocks(s, state.chunk, block, &mut Dropped));
    }
}

#[inline(always)]
pub(crate) fn state<S: Simd>(s: S, x: &[f32]) -> LogSumExp {
    // A part of its own: in one function the loops of the other would have fewer registers.
    if S::SHORT_ROWS
        && let Some(state) = s.shared(ShortStateOf(x))
    {
        return state;
    }
    s.shared(StateOf(x))
}

struct ShortStateOf<'a>(&'a [f32]);

impl<S: Simd> Part<S> for ShortStateOf<'_> {
    type Output = Option<LogSumExp>;

    #[inline(always)]
    fn run(self, s: S) -> Option<LogSumExp> {
        short_row::state(s, self.0)
    }
}

struct StateOf<'a>(&'a [f32]);

impl<S: Simd> Part<S> for StateOf<'_> {
    type Output = LogSumExp;

    #[inline(always)]
    fn run(self, s: S) -> LogSumExp {
        let mut chunks = LogSumExp::EMPTY;
        for chunk in self.0.chunks(CHUNK) {
            chunks = after::<S>(chunks, push_blocks(s, LogSumExp::EMPTY, chunk, &mut Dropped));
        }
        chunks
    }
}

/// `ln(1 + s)` of a finite state.
#[inline(always)]
pub(crate) fn ln_1p_sum<S: Simd>(s: S, state: &LogSumExp) -> f32 {
    s.shared(Ln1p(state.scaled_sum().hi * UNSCALE))
}

/// Of a sum of at most 2^60.
struct Ln1p(f32);

impl<S: Simd> Part<S> for Ln1p {
    type Output = f32;

    #[inline(always)]
    fn run(self, s: S) -> f32 {
        s.first(ln_1p_inside(s, s.single(self.0)))
    }
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
    let state = if S::LANES == 1 { state(s, x) } else { s.shared(StateOf(x)) };
    value(s, &state)
}

/// [`log_sum_exp`] of a row that is short enough for the code of such: a function of its own, which saves and restores few
/// registers. In vectors; the other has that code with one lane alone.
#[inline(always)]
pub(crate) fn log_sum_exp_of_short<S: Simd>(s: S, x: &[f32]) -> Option<f32> {
    if S::LANES == 1 {
        return None;
    }
    let state = short_row::state(s, x)?;
    Some(value(s, &state))
}

/// Log-sum-exps of the rows in `x`.
#[inline(always)]
pub(crate) fn log_sum_exps<S: Simd>(s: S, x: &[f32], layout: Layout, out: &mut [f32]) {
    let mut registers;
    let mut work = None;
    if layout.goes_in_lanes::<S>(out.len()) {
        registers = Workspace::new(s);
        work = Some(&mut registers);
    }
    for (group, out) in out.chunks_mut(S::LANES).enumerate() {
        let x = x.get(group * S::LANES * layout.row_stride..).unwrap_or(&[]);
        if let Some(work) = work.as_deref_mut()
            && layout.goes_in_lanes::<S>(out.len())
        {
            let (m, sum) = rows_in_lanes::states(s, x, layout, work);
            let value = s.add(m, ln_1p(s, s.mul(sum, s.splat(UNSCALE))));
            // An infinite maximum is the value, unless there is a NaN.
            let infinite = s.select(s.eq(sum, sum), m, s.splat(f32::NAN));
            let finite = s.eq(s.sub(m, m), s.splat(0.0));
            s.store(canonical(s, s.select(finite, value, infinite)), out);
        } else {
            for (row, out) in out.iter_mut().enumerate() {
                let start = row * layout.row_stride;
                let x = x.get(start..start + layout.classes).unwrap_or(&[]);
                *out = value(s, &state(s, x));
            }
        }
    }
}
