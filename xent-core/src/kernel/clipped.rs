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

use super::distribution::{ClassRows, LaneTerms};
use super::map::{Map, canonical, map_in_place};
use super::rows_in_lanes::{self, Layout, Values, Workspace};
use super::tree::{BLOCK, Term, TreeSum, block_max, block_sum, lane_count};
use crate::math::ln::{ln, ln_of_normal};
use crate::math::ln_1p::ln_1p;
use crate::math::pair::Pair;
use crate::math::power::power;
use crate::simd::Simd;

/// `p` limited to `lo ..= hi`; NaN stays NaN.
#[inline(always)]
pub(super) fn clip<S: Simd>(s: S, p: S::F32, lo: S::F32, hi: S::F32) -> S::F32 {
    let p = s.select(s.lt(p, lo), lo, p);
    s.select(s.lt(hi, p), hi, p)
}

/// Whether [`clip`] changes `p`.
#[inline(always)]
pub(super) fn is_clipped<S: Simd>(s: S, p: S::F32, lo: S::F32, hi: S::F32) -> S::Mask {
    let (zero, one) = (s.splat(0.0), s.splat(1.0));
    s.lt(zero, s.select(s.lt(p, lo), one, s.select(s.lt(hi, p), one, zero)))
}

/// `(1 - q)^gamma`, the focal factor.
#[inline(always)]
fn focal_factor<S: Simd>(s: S, rest: S::F32, gamma: f32) -> S::F32 {
    if gamma == 0.0 { s.splat(1.0) } else { power(s, rest, gamma) }
}

/// `(1 - q)^gamma (1 + gamma q l / (1 - q))`, which is `q` times the slope of the focal loss `l` of a
/// probability `q`; at `1 - q = 0` the limit.
#[inline(always)]
fn focal_slope<S: Simd>(s: S, q: S::F32, rest: S::F32, loss: S::F32, gamma: f32) -> S::F32 {
    let (zero, one) = (s.splat(0.0), s.splat(1.0));
    if gamma == 0.0 {
        return one;
    }
    let turn = s.mul(s.splat(gamma), s.div(s.mul(q, loss), rest));
    let turn = s.select(s.eq(q, zero), zero, turn);
    let slope = s.mul(power(s, rest, gamma), s.add(one, turn));
    s.select(s.eq(rest, zero), zero, slope)
}

/// `-ln(clip(p))`, or `-v ln(clip(p))`, with a focal factor.
struct Clipped<S: Simd> {
    lo: S::F32,
    hi: S::F32,
    gamma: f32,
    /// What a NaN probability gives under a `v` of 0.
    hidden: S::F32,
}

impl<S: Simd> Clipped<S> {
    #[inline(always)]
    fn new(s: S, range: ClipRange, gamma: f32, hides: bool) -> Self {
        let hidden = s.splat(if hides { 0.0 } else { f32::NAN });
        Clipped { lo: s.splat(range.lo), hi: s.splat(range.hi), gamma, hidden }
    }
}

/// The range that probabilities are clipped into.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ClipRange {
    pub(crate) lo: f32,
    pub(crate) hi: f32,
}

impl ClipRange {
    /// Whether there is neither 0 nor a subnormal in it.
    pub(super) const fn is_normal(self) -> bool {
        self.lo >= f32::MIN_POSITIVE
    }
}

/// `-v ln(clip(p))` with a range that is normal: the logarithm needs no selection.
struct ClippedNormal<S: Simd>(Clipped<S>);

impl<S: Simd> Term<S> for ClippedNormal<S> {
    const PAD: (f32, f32) = Clipped::<S>::PAD;

    #[inline(always)]
    fn of(&mut self, s: S, p: S::F32, v: S::F32) -> S::F32 {
        let Clipped { lo, hi, hidden, .. } = self.0;
        let loss = s.sub(s.splat(0.0), ln_of_normal(s, clip(s, p, lo, hi)));
        let (absent, is_number) = (s.eq(v, s.splat(0.0)), s.eq(p, p));
        let term = s.select(absent, s.splat(0.0), s.mul(v, loss));
        s.select(is_number, term, s.select(absent, hidden, p))
    }
}

impl<S: Simd> Map<S> for Clipped<S> {
    #[inline(always)]
    fn of(&self, s: S, p: S::F32, _: S::F32) -> S::F32 {
        let q = clip(s, p, self.lo, self.hi);
        let loss = s.sub(s.splat(0.0), ln(s, q));
        if self.gamma == 0.0 {
            return canonical(s, loss);
        }
        let rest = s.sub(s.splat(1.0), q);
        let focal = s.mul(focal_factor(s, rest, self.gamma), loss);
        canonical(s, s.select(s.eq(rest, s.splat(0.0)), rest, focal))
    }
}

impl<S: Simd> Term<S> for Clipped<S> {
    const PAD: (f32, f32) = (1.0, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, p: S::F32, v: S::F32) -> S::F32 {
        let loss = Map::of(self, s, p, p);
        // A NaN probability shows under any target, an infinite loss only where it counts.
        let absent = s.select(s.eq(p, p), s.splat(0.0), self.hidden);
        s.select(s.eq(v, s.splat(0.0)), absent, s.mul(v, loss))
    }
}

/// Turns probabilities into their losses.
#[inline(always)]
pub(crate) fn label_losses_in_place<S: Simd>(s: S, p: &mut [f32], range: ClipRange, gamma: f32) {
    map_in_place(s, p, &Clipped::new(s, range, gamma, false));
}

/// Adds the terms of one or several blocks of a row to `sum`. `hides`: a NaN probability counts 0
/// where `v` is 0.
#[inline(always)]
pub(crate) fn loss_sum<S: Simd>(
    s: S,
    sum: &mut TreeSum,
    p: &[f32],
    v: &[f32],
    range: ClipRange,
    gamma: f32,
    hides: bool,
) {
    for (p, v) in p.chunks(BLOCK).zip(v.chunks(BLOCK)) {
        let mut term = Clipped::new(s, range, gamma, hides);
        sum.push(if gamma == 0.0 && range.is_normal() {
            block_sum(s, p, v, &mut ClippedNormal(term))
        } else {
            block_sum(s, p, v, &mut term)
        });
    }
}

/// What the classes of rows side by side count; of a class that has a weight, NaN where its probability is.
struct ShownTerms<'a, S: Simd> {
    terms: LaneTerms<'a, S>,
    class_weights: &'a [f32],
}

impl<S: Simd> Values<S> for ShownTerms<'_, S> {
    #[inline(always)]
    fn of(&self, s: S, class: usize, column: S::F32) -> S::F32 {
        let v = self.terms.of(s, class, column);
        let weight = self.class_weights.get(class).copied().unwrap_or(0.0);
        if weight == 0.0 { v } else { s.select(s.eq(column, column), v, column) }
    }
}

/// Losses of rows whose terms are summed over the classes and that fit in lanes, one for each element of
/// `out`.
#[inline(always)]
pub(crate) fn losses_in_lanes<S: Simd>(
    s: S,
    p: &[f32],
    layout: Layout,
    rows: ClassRows<'_>,
    range: ClipRange,
    gamma: f32,
    out: &mut [f32],
) {
    let class_weights = rows.terms.class_weights;
    let mut work = Workspace::new(s);
    for (group, out) in out.chunks_mut(S::LANES).enumerate() {
        let first = group * S::LANES;
        let p = p.get(first * layout.row_stride..).unwrap_or(&[]);
        let values = ShownTerms { terms: LaneTerms::new(s, &rows, first), class_weights };
        let mut term = Clipped::new(s, range, gamma, !class_weights.is_empty());
        let sum = if gamma == 0.0 && range.is_normal() {
            rows_in_lanes::sums(s, p, layout, &mut ClippedNormal(term), &values, &mut work)
        } else {
            rows_in_lanes::sums(s, p, layout, &mut term, &values, &mut work)
        };
        s.store(values.terms.scaled(s, values.terms.times_alpha(s, sum)), out);
    }
}

/// Turns a block of probabilities into `scale` times the gradient of its terms: `-v / p` without a
/// focal factor, 0 where the probability is clipped or counts nothing; `hides` as in [`loss_sum`].
#[inline(always)]
pub(crate) fn gradient_in_place<S: Simd>(
    s: S,
    p: &mut [f32],
    v: &[f32],
    range: ClipRange,
    gamma: f32,
    scale: f32,
    hides: bool,
) {
    let hidden = s.splat(if hides { 0.0 } else { f32::NAN });
    let (zero, one, lo, hi) = (s.splat(0.0), s.splat(1.0), s.splat(range.lo), s.splat(range.hi));
    for (p, v) in p.chunks_mut(S::LANES).zip(v.chunks(S::LANES)) {
        let (x, v) = (s.load(p, 1.0), s.load(v, 0.0));
        let loss = s.sub(zero, ln(s, x));
        let slope = focal_slope(s, x, s.sub(one, x), loss, gamma);
        // With 0 added, for 1 / -0 is -inf.
        let gradient = s.div(s.mul(s.mul(s.splat(-scale), v), slope), s.add(x, zero));
        let absent = s.select(s.eq(x, x), zero, hidden);
        let gradient = s.select(s.eq(v, zero), absent, gradient);
        s.store(canonical(s, s.select(is_clipped(s, x, lo, hi), zero, gradient)), p);
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
    rest_of_lo: S::F32,
    rest_of_hi: S::F32,
    /// The sum of all but the maximum.
    others: S::F32,
    gamma: f32,
}

/// A probability divided by the sum of its row, and clipped.
struct Share<S: Simd> {
    loss: S::F32,
    /// `1 - q`.
    rest: S::F32,
    /// 0 where it is clipped, else 1.
    inside: S::F32,
}

impl<S: Simd> Normalized<S> {
    #[inline(always)]
    fn new(s: S, n: &Normalizer, range: ClipRange, gamma: f32) -> Self {
        let ClipRange { lo, hi } = range;
        let (others, sum) = n.sums();
        let (max, sum, zero) = (s.splat(n.max), s.splat(sum), s.splat(0.0));
        Normalized {
            max,
            loss_of_max: ln_1p(s, s.div(s.splat(others), max)),
            sum,
            ln_sum: ln(s, sum),
            loss_of_lo: s.sub(zero, ln(s, s.splat(lo))),
            loss_of_hi: s.sub(zero, ln(s, s.splat(hi))),
            rest_of_lo: s.splat(1.0 - lo),
            rest_of_hi: s.splat(1.0 - hi),
            others: s.splat(others),
            gamma,
        }
    }

    #[inline(always)]
    fn share(&self, s: S, p: S::F32) -> Share<S> {
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        let q = s.div(p, self.sum);
        let tiny = s.lt(q, s.splat(TINY));
        let argument = s.select(tiny, p, q);
        let offset = s.select(tiny, self.ln_sum, zero);
        let loss = s.sub(offset, ln(s, argument));
        let is_max = s.eq(p, self.max);
        let loss = s.select(is_max, self.loss_of_max, loss);
        let rest = s.select(is_max, s.div(self.others, self.sum), s.sub(one, q));

        // What is negative has a NaN for its loss, and is below any range.
        let loss = s.select(s.lt(p, zero), s.splat(f32::INFINITY), loss);
        let (low, high) = (s.lt(self.loss_of_lo, loss), s.lt(loss, self.loss_of_hi));
        Share {
            loss: s.select(low, self.loss_of_lo, s.select(high, self.loss_of_hi, loss)),
            rest: s.select(low, self.rest_of_lo, s.select(high, self.rest_of_hi, rest)),
            inside: s.select(low, zero, s.select(high, zero, one)),
        }
    }

    /// `v (1 - q)^gamma (1 + gamma q l / (1 - q))` inside the clip range.
    #[inline(always)]
    fn slope(&self, s: S, p: S::F32, v: S::F32) -> S::F32 {
        let zero = s.splat(0.0);
        let share = self.share(s, p);
        let q = s.div(p, self.sum);
        let slope = focal_slope(s, q, share.rest, share.loss, self.gamma);
        let weight = s.mul(v, share.inside);
        s.select(s.eq(weight, zero), zero, s.mul(weight, slope))
    }
}

impl<S: Simd> Map<S> for Normalized<S> {
    #[inline(always)]
    fn of(&self, s: S, p: S::F32, _: S::F32) -> S::F32 {
        let share = self.share(s, p);
        if self.gamma == 0.0 {
            return share.loss;
        }
        let focal = s.mul(focal_factor(s, share.rest, self.gamma), share.loss);
        s.select(s.eq(share.rest, s.splat(0.0)), share.rest, focal)
    }
}

/// 2^64 and 2^-64: what is divided by a subnormal is brought down before, and back when it is scaled.
pub(super) const LARGE_UNIT: f32 = f32::from_bits((127 + 64) << 23);
pub(super) const SMALL_UNIT: f32 = f32::from_bits((127 - 64) << 23);

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

/// `K_c`: what a class of a normalised row weighs in its gradient.
struct NormalizedSlope<S: Simd>(Normalized<S>);

impl<S: Simd> Term<S> for NormalizedSlope<S> {
    const PAD: (f32, f32) = (1.0, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, p: S::F32, v: S::F32) -> S::F32 {
        self.0.slope(s, p, v)
    }
}

/// Turns probabilities of a valid row into their losses.
#[inline(always)]
pub(crate) fn normalized_losses_in_place<S: Simd>(
    s: S,
    p: &mut [f32],
    n: &Normalizer,
    range: ClipRange,
    gamma: f32,
) {
    map_in_place(s, p, &Normalized::new(s, n, range, gamma));
}

/// Adds the terms of one or several blocks of a valid row to `sum`.
#[inline(always)]
pub(crate) fn normalized_loss_sum<S: Simd>(
    s: S,
    sum: &mut TreeSum,
    p: &[f32],
    v: &[f32],
    n: &Normalizer,
    range: ClipRange,
    gamma: f32,
) {
    for (p, v) in p.chunks(BLOCK).zip(v.chunks(BLOCK)) {
        sum.push(block_sum(s, p, v, &mut Normalized::new(s, n, range, gamma)));
    }
}

/// Adds the `K` of one or several blocks of a valid row to `sum`.
#[inline(always)]
pub(crate) fn normalized_slope_sum<S: Simd>(
    s: S,
    sum: &mut TreeSum,
    p: &[f32],
    v: &[f32],
    n: &Normalizer,
    range: ClipRange,
    gamma: f32,
) {
    for (p, v) in p.chunks(BLOCK).zip(v.chunks(BLOCK)) {
        let slope = &mut NormalizedSlope(Normalized::new(s, n, range, gamma));
        sum.push(block_sum(s, p, v, slope));
    }
}

/// Turns a block of probabilities of a valid row into `scale` times its gradient,
/// `((K - K_c) - K_c (S - p_c) / p_c) / S` with `S` the sum of the row and `K` that of all `K_c`.
#[inline(always)]
pub(crate) fn normalized_gradient_in_place<S: Simd>(
    s: S,
    p: &mut [f32],
    v: &[f32],
    n: &Normalizer,
    range: ClipRange,
    gamma: f32,
    [total, scale]: [f32; 2],
) {
    let normalized = Normalized::new(s, n, range, gamma);
    let (zero, one, total) = (s.splat(0.0), s.splat(1.0), s.splat(total));
    let scale = s.div(s.splat(scale), normalized.sum);
    let (large, small) = (s.splat(LARGE_UNIT), s.splat(SMALL_UNIT));
    // A quotient by what is less than these would overflow before it is scaled.
    let (_, sum) = n.sums();
    let far = s.splat((TINY * sum).max(f32::MIN_POSITIVE));
    for (p, v) in p.chunks_mut(S::LANES).zip(v.chunks(S::LANES)) {
        let (x, v) = (s.load(p, 1.0), s.load(v, 0.0));
        let slope = normalized.slope(s, x, v);
        let others = s.select(s.eq(x, normalized.max), normalized.others, s.sub(normalized.sum, x));
        // Without a term of its own the unit would only take digits of a small total.
        let is_far = s.lt(s.select(s.eq(slope, zero), far, x), far);
        let (unit, by_unit) = (s.select(is_far, large, one), s.select(is_far, small, one));
        // With 0 added, for 1 / -0 is -inf.
        let quotient = s.div(others, s.mul(s.add(x, zero), unit));
        let own = s.select(s.eq(slope, zero), zero, s.mul(slope, quotient));
        let slope = s.sub(s.mul(s.sub(total, slope), by_unit), own);
        // The sum of the row can be so small that the scale is infinite.
        let gradient = s.select(s.eq(slope, zero), zero, s.mul(s.mul(scale, slope), unit));
        s.store(canonical(s, gradient), p);
    }
}
