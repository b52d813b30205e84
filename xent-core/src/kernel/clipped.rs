//! Cross-entropy from probabilities, clipped, as they are or divided by their row's sum.
//!
//! Divided by the sum, a probability near 1 would lose the digits of its loss twice: in the sum and
//! in the quotient. Only the largest probability of a row can be there, so the row is held as
//! `(m, o)`: its maximum and the sum of the others.
//!
//! 1. The maximum; then the sum of the elements that are not equal to it, and how many are.
//! 2. The loss of the maximum is `ln(1 + o / m)`, where it is inside the clip range.
//! 3. That of any other is `-ln(p / (m + o))`, a quotient of at most about 1/2. Where the quotient is
//!    tiny or subnormal, `ln(m + o) - ln(p)`.

use super::map::{Map, canonical, map_in_place};
use super::tree::{BLOCK, Term, TreeSum, block_max, block_sum, lane_count};
use crate::math::ln::ln;
use crate::math::ln_1p::ln_1p;
use crate::math::pair::Pair;
use crate::simd::Simd;

/// `p` limited to `lo ..= hi`; NaN stays NaN.
#[inline(always)]
pub(super) fn clip<S: Simd>(s: S, p: S::F32, lo: S::F32, hi: S::F32) -> S::F32 {
    let p = s.select(s.lt(p, lo), lo, p);
    s.select(s.lt(hi, p), hi, p)
}

/// `-ln(clip(p))`, or `-y ln(clip(p))`.
struct Clipped<S: Simd> {
    lo: S::F32,
    hi: S::F32,
}

impl<S: Simd> Map<S> for Clipped<S> {
    #[inline(always)]
    fn of(&self, s: S, p: S::F32, _: S::F32) -> S::F32 {
        canonical(s, s.sub(s.splat(0.0), ln(s, clip(s, p, self.lo, self.hi))))
    }
}

impl<S: Simd> Term<S> for Clipped<S> {
    const PAD: (f32, f32) = (1.0, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, p: S::F32, y: S::F32) -> S::F32 {
        let loss = Map::of(self, s, p, p);
        // A NaN probability shows under any target, an infinite loss only where it counts.
        let absent = s.select(s.eq(p, p), s.splat(0.0), p);
        s.select(s.eq(y, s.splat(0.0)), absent, s.mul(y, loss))
    }
}

/// Turns probabilities into their losses.
#[inline(always)]
pub(crate) fn label_losses_in_place<S: Simd>(s: S, p: &mut [f32], lo: f32, hi: f32) {
    map_in_place(s, p, &Clipped { lo: s.splat(lo), hi: s.splat(hi) });
}

/// Adds the terms of one or several blocks of a row to `sum`.
#[inline(always)]
pub(crate) fn target_sum<S: Simd>(s: S, sum: &mut TreeSum, p: &[f32], y: &[f32], lo: f32, hi: f32) {
    for (p, y) in p.chunks(BLOCK).zip(y.chunks(BLOCK)) {
        sum.push(block_sum(s, p, y, &mut Clipped { lo: s.splat(lo), hi: s.splat(hi) }));
    }
}

/// The maximum of one or several blocks of a row and of `m`; unspecified where there is a NaN.
#[inline(always)]
pub(crate) fn max<S: Simd>(s: S, m: f32, p: &[f32]) -> f32 {
    let mut max = m;
    for block in p.chunks(BLOCK) {
        let m = block_max(s, block);
        max = if m > max { m } else { max };
    }
    max
}

/// Elements that are not `m`; how many are.
struct BelowMax<S: Simd> {
    m: S::F32,
    n_max: S::F32,
}

impl<S: Simd> Term<S> for BelowMax<S> {
    const PAD: (f32, f32) = (0.0, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, p: S::F32, _: S::F32) -> S::F32 {
        let zero = s.splat(0.0);
        let is_max = s.eq(p, self.m);
        self.n_max = s.add(self.n_max, s.select(is_max, s.splat(1.0), zero));
        s.select(is_max, zero, p)
    }
}

/// A row of probabilities as its maximum, how many equal it, and the sum of the others.
#[derive(Clone, Copy)]
pub(crate) struct Normalizer {
    max: f32,
    n_max: f32,
    below: TreeSum,
}

impl Normalizer {
    /// `max` is that of the whole row.
    pub(crate) const fn new(max: f32) -> Self {
        Normalizer { max, n_max: 0.0, below: TreeSum::EMPTY }
    }

    /// The sum of all elements but one that equals the maximum, and the sum of all.
    #[inline(always)]
    pub(super) fn sums(&self) -> (f32, f32) {
        let others = self.below.value().add(Pair::new(self.max * (self.n_max - 1.0), 0.0));
        (others.hi, others.add(Pair::new(self.max, 0.0)).hi)
    }

    /// Whether the sum of the row is positive and finite.
    #[inline(always)]
    pub(crate) fn is_valid(&self) -> bool {
        let (_, sum) = self.sums();
        sum > 0.0 && sum < f32::INFINITY
    }
}

/// Adds one or several blocks of a row to `n`.
#[inline(always)]
pub(crate) fn normalizer_push<S: Simd>(s: S, n: &mut Normalizer, p: &[f32]) {
    for block in p.chunks(BLOCK) {
        let mut term = BelowMax { m: s.splat(n.max), n_max: s.splat(0.0) };
        n.below.push(block_sum(s, block, block, &mut term));
        n.n_max += lane_count(s, term.n_max);
    }
}

/// `-ln(clip(p / sum))`, clipped as a loss: a quotient near 1 is too coarse to compare with `hi`.
struct Normalized<S: Simd> {
    max: S::F32,
    loss_of_max: S::F32,
    sum: S::F32,
    ln_sum: S::F32,
    loss_of_lo: S::F32,
    loss_of_hi: S::F32,
}

impl<S: Simd> Normalized<S> {
    #[inline(always)]
    fn new(s: S, n: &Normalizer, lo: f32, hi: f32) -> Self {
        let (others, sum) = n.sums();
        let (max, sum, zero) = (s.splat(n.max), s.splat(sum), s.splat(0.0));
        Normalized {
            max,
            loss_of_max: ln_1p(s, s.div(s.splat(others), max)),
            sum,
            ln_sum: ln(s, sum),
            loss_of_lo: s.sub(zero, ln(s, s.splat(lo))),
            loss_of_hi: s.sub(zero, ln(s, s.splat(hi))),
        }
    }
}

impl<S: Simd> Map<S> for Normalized<S> {
    #[inline(always)]
    fn of(&self, s: S, p: S::F32, _: S::F32) -> S::F32 {
        let zero = s.splat(0.0);
        let q = s.div(p, self.sum);
        let tiny = s.lt(q, s.splat(TINY));
        let argument = s.select(tiny, p, q);
        let offset = s.select(tiny, self.ln_sum, zero);
        let loss = s.sub(offset, ln(s, argument));
        let loss = s.select(s.eq(p, self.max), self.loss_of_max, loss);

        let loss = s.select(s.lt(p, zero), self.loss_of_lo, loss);
        let loss = s.select(s.lt(self.loss_of_lo, loss), self.loss_of_lo, loss);
        s.select(s.lt(loss, self.loss_of_hi), self.loss_of_hi, loss)
    }
}

/// 2^-100: quotients below it are near the subnormals.
const TINY: f32 = f32::from_bits((127 - 100) << 23);

impl<S: Simd> Term<S> for Normalized<S> {
    const PAD: (f32, f32) = (1.0, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, p: S::F32, y: S::F32) -> S::F32 {
        let zero = s.splat(0.0);
        s.select(s.eq(y, zero), zero, s.mul(y, Map::of(self, s, p, p)))
    }
}

/// Turns probabilities of a valid row into their losses.
#[inline(always)]
pub(crate) fn normalized_losses_in_place<S: Simd>(
    s: S,
    p: &mut [f32],
    n: &Normalizer,
    lo: f32,
    hi: f32,
) {
    map_in_place(s, p, &Normalized::new(s, n, lo, hi));
}

/// Adds the terms of one or several blocks of a valid row to `sum`.
#[inline(always)]
pub(crate) fn normalized_target_sum<S: Simd>(
    s: S,
    sum: &mut TreeSum,
    p: &[f32],
    y: &[f32],
    n: &Normalizer,
    lo: f32,
    hi: f32,
) {
    for (p, y) in p.chunks(BLOCK).zip(y.chunks(BLOCK)) {
        sum.push(block_sum(s, p, y, &mut Normalized::new(s, n, lo, hi)));
    }
}
