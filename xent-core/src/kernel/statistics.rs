//! The statistics of a row of logits beside its log-sum-exp, in one reading.
//!
//! 1. The blocks, their maxima and the sums of exponentials are those of `log_sum_exp.rs`, in the same
//!    order, so that the log-sum-exp and the loss have the same bits.
//! 2. Beside `s = Σ exp(x_i - m)` goes the moment `q = Σ (x_i - m) exp(x_i - m)`. Where a state moves to
//!    a larger maximum, `d` away, its `q` becomes `(q + d (1 + s)) exp(d)`.
//! 3. The entropy is `ln(1 + s) - q / (1 + s)`, a sum of two terms that are not negative.
//! 4. A block with a new maximum is searched for its place while in L1, and its second largest logit
//!    taken with the exponentials; of any other block the second largest is at most its maximum.
//! 5. The rank is counted against the label's logit, known before. Counts are integers, in any order.
//!
//! Source of 2: M. Milakov, N. Gimelshein, Online normalizer calculation for softmax (2018), whose
//! rescaling is applied to one more sum.

use super::log_sum_exp::{self, ExpBelowMax, ln_1p_sum};
use super::tree::{BLOCK, CHUNK, Term, TermPair, block_max, block_sum_pair, lane_count, lane_max};
use crate::log_sum_exp::LogSumExp;
use crate::math::exp::{LOWEST, SCALE, UNSCALE, exp_scaled};
use crate::math::pair::{self, Pair};
use crate::simd::{Simd, VIRTUAL_LANES};
use crate::statistics::RowStatistics;

/// `(x - m) e`, where `e` is `exp(x - m)`: 0 also where `x` is `-inf`.
#[inline(always)]
fn moment<S: Simd>(s: S, x: S::F32, m: S::F32, e: S::F32) -> S::F32 {
    // Below LOWEST e is 0, and -inf times it would be NaN.
    s.mul(s.max(s.sub(x, m), s.splat(LOWEST)), e)
}

/// `exp(x - m)` and `(x - m) exp(x - m)`, both times 2^64.
struct Exp<S: Simd> {
    m: S::F32,
}

impl<S: Simd> TermPair<S> for Exp<S> {
    const PAD: f32 = f32::NEG_INFINITY;

    #[inline(always)]
    fn of(&mut self, s: S, x: S::F32) -> (S::F32, S::F32) {
        let e = exp_scaled(s, s.sub(x, self.m));
        (e, moment(s, x, self.m, e))
    }
}

/// The same where `x` is not `m`; how often it is; the largest `x` that is not.
struct BelowMax<S: Simd> {
    m: S::F32,
    exp: ExpBelowMax<S>,
    second: S::F32,
}

impl<S: Simd> TermPair<S> for BelowMax<S> {
    const PAD: f32 = f32::NEG_INFINITY;

    #[inline(always)]
    fn of(&mut self, s: S, x: S::F32) -> (S::F32, S::F32) {
        let below = s.select(s.eq(x, self.m), s.splat(f32::NEG_INFINITY), x);
        self.second = s.max(self.second, below);
        let e = self.exp.of(s, x, x);
        (e, moment(s, x, self.m, e))
    }
}

/// A state of a log-sum-exp and its moment.
#[derive(Clone, Copy)]
struct Moments {
    lse: LogSumExp,
    /// `Σ (x_i - m) exp(x_i - m)`, at most 0, times 2^64; 0 where the maximum is not finite.
    moment: Pair,
}

impl Moments {
    const EMPTY: Moments = Moments { lse: LogSumExp::EMPTY, moment: Pair::ZERO };

    fn merge(self, other: Moments) -> Moments {
        let lse = self.lse.merge(other.lse);
        let (big, small) =
            if self.lse.max() >= other.lse.max() { (self, other) } else { (other, self) };
        if !lse.max().is_finite() {
            return Moments { lse, moment: Pair::ZERO };
        }
        let distance = Pair::sum(small.lse.max(), -big.lse.max());
        // Of nothing the distance is -inf.
        if distance.hi < LOWEST {
            return Moments { lse, moment: big.moment };
        }
        let one_more = Pair::new(SCALE, 0.0).add(small.lse.scaled_sum());
        let moved = pair::times_exp(small.moment.add(distance.mul(one_more)), distance);
        Moments { lse, moment: big.moment.add(moved) }
    }
}

/// A row that is read block by block: every push but the last is of a multiple of [`BLOCK`] elements.
#[derive(Clone, Copy)]
pub(crate) struct RowState {
    chunks: Moments,
    chunk: Moments,
    label: usize,
    label_logit: f32,
    /// How many elements were pushed.
    n: usize,
    /// NaN as soon as an element is: nothing changes then but `n`.
    max: f32,
    /// The first place of the maximum; of the first NaN, where there is one.
    argmax: usize,
    /// The second largest element, equal to the maximum on a tie.
    second: f32,
    /// How many elements come before the label's in the order of the logits.
    rank: usize,
}

impl RowState {
    /// Before the first push. `label`: below the length of the row; `label_logit`: its element.
    pub(crate) const fn new(label: usize, label_logit: f32) -> Self {
        RowState {
            chunks: Moments::EMPTY,
            chunk: Moments::EMPTY,
            label,
            label_logit,
            n: 0,
            max: f32::NEG_INFINITY,
            argmax: 0,
            second: f32::NEG_INFINITY,
            rank: 0,
        }
    }

    /// How many elements of a block that begins at `start` are larger than the label's, or equal and
    /// before it.
    #[inline(always)]
    fn count_ahead(&self, start: usize, x: &[f32]) -> usize {
        let (before, behind) = x.split_at(x.len().min(self.label.saturating_sub(start)));
        let mut n = 0_u32;
        for &x in before {
            n += u32::from(x >= self.label_logit);
        }
        for &x in behind {
            n += u32::from(x > self.label_logit);
        }
        n as usize
    }
}

/// The first place of `m` in `x`, 32 elements at a time; the length where it is not there.
#[inline(always)]
fn first_place(x: &[f32], m: f32) -> usize {
    let mut place = 0;
    let (rows, _) = x.as_chunks::<VIRTUAL_LANES>();
    for row in rows {
        let mut found = false;
        for &x in row {
            found |= x == m;
        }
        if found {
            break;
        }
        place += VIRTUAL_LANES;
    }
    for &x in x.get(place..).unwrap_or(&[]) {
        if x == m {
            break;
        }
        place += 1;
    }
    place
}

/// The state of `x`, whose maximum `m` is finite, and its second largest element.
#[inline(always)]
fn block_moments<S: Simd>(s: S, x: &[f32], m: f32) -> (Moments, f32) {
    let max = s.splat(m);
    let second = s.splat(f32::NEG_INFINITY);
    let mut term = BelowMax { m: max, exp: ExpBelowMax::new(s, max), second };
    let (sum, moment) = block_sum_pair(s, x, &mut term);
    let ties = lane_count(s, term.exp.n_max()) - 1.0;
    let (sum, second) = if ties > 0.0 {
        (Pair::new(ties * SCALE, 0.0).add(sum), m)
    } else {
        (sum, lane_max(s, term.second))
    };
    (Moments { lse: LogSumExp::from_parts(m, sum), moment }, second)
}

/// One block of at most [`BLOCK`] elements.
#[inline(always)]
fn push_block<S: Simd>(s: S, state: &mut RowState, x: &[f32]) {
    let start = state.n;
    state.n += x.len();
    if state.max.is_nan() {
        return;
    }
    state.rank += state.count_ahead(start, x);

    let m = block_max(s, x);
    let running = state.chunk.lse.max();
    // Of the block, where its maximum is that of the row.
    let mut second = m;
    let next = if m <= running && running.is_finite() {
        let (sum, moment) = block_sum_pair(s, x, &mut Exp { m: s.splat(running) });
        let sum = state.chunk.lse.scaled_sum().add(sum);
        let lse = LogSumExp::from_parts(running, sum);
        Moments { lse, moment: state.chunk.moment.add(moment) }
    } else if m > running && m < f32::INFINITY {
        let block;
        (block, second) = block_moments(s, x, m);
        block.merge(state.chunk)
    } else {
        return push_special(state, start, x);
    };
    if next.lse.scaled_sum().hi.is_nan() {
        return push_special(state, start, x);
    }

    state.chunk = next;
    if m > state.max {
        state.second = if second > state.max { second } else { state.max };
        state.max = m;
        state.argmax = start + first_place(x, m);
    } else if m > state.second {
        state.second = m;
    }
}

/// A block with a NaN or +inf, or with nothing but -inf before and in it.
#[cold]
#[inline(never)]
fn push_special(state: &mut RowState, start: usize, x: &[f32]) {
    for (i, &x) in x.iter().enumerate() {
        if x.is_nan() {
            state.chunk = Moments { lse: LogSumExp::NAN, ..Moments::EMPTY };
            (state.max, state.argmax) = (f32::NAN, start + i);
            return;
        }
        if x == f32::INFINITY && state.max < x {
            state.chunk = Moments { lse: LogSumExp::INFINITY, ..Moments::EMPTY };
            (state.max, state.argmax) = (x, start + i);
        }
    }
}

#[inline(always)]
pub(crate) fn push<S: Simd>(s: S, state: &mut RowState, x: &[f32]) {
    for block in x.chunks(BLOCK) {
        push_block(s, state, block);
        if state.n.is_multiple_of(CHUNK) {
            state.chunks = state.chunks.merge(state.chunk);
            state.chunk = Moments::EMPTY;
        }
    }
}

/// The statistics of a row that was pushed to its end.
#[inline(always)]
pub(crate) fn value<S: Simd>(s: S, state: &RowState) -> RowStatistics {
    let Moments { lse, moment } = state.chunks.merge(state.chunk);
    let m = lse.max();
    let statistics = RowStatistics {
        log_sum_exp: log_sum_exp::value(s, &lse),
        argmax: state.argmax,
        rank: if m.is_nan() { state.n } else { state.rank },
        ..RowStatistics::NAN
    };
    if !m.is_finite() {
        return statistics;
    }
    let one_plus_sum = Pair::new(SCALE, 0.0).add(lse.scaled_sum()).hi;
    let one_minus_ratio = pair::one_minus_exp(Pair::sum(state.second, -m));
    RowStatistics {
        loss: log_sum_exp::loss(s, &lse, state.label_logit),
        max_probability: SCALE / one_plus_sum,
        entropy: ln_1p_sum(s, &lse) - moment.hi / one_plus_sum,
        margin: one_minus_ratio / (one_plus_sum * UNSCALE),
        ..statistics
    }
}
