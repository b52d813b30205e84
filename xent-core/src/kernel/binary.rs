//! Binary cross-entropy of single elements, from logits and from probabilities, and its gradients.
//!
//! With smoothed targets `P = (1 - a) y + a/2` and `N = (1 - a)(1 - y) + a/2`, a weight `w` of what is
//! positive, and for logits `z = cap(x) / T`, `p = sigmoid(z)`, `q = 1 - p = sigmoid(-z)`:
//!
//! 1. `B = w P softplus(-z) + N softplus(z)`; from probabilities `-(w P ln p + N ln(1 - p))`. Neither
//!    term cancels, and one of weight 0 is absent, also where it is infinite.
//! 2. `r = P q + N p`, the probability of being wrong; the loss is `A r^gamma B`, with
//!    `A = alpha P + (1 - alpha) N`, or 1.
//! 3. Its derivative by `z` is `A r^gamma (N p - w P q + gamma (p q / r) (N - P) B)`; by a probability
//!    inside the clip range `A r^gamma (N / (1 - p) - w P / p + gamma (N - P) B / r)`.
//!
//! Source: T.-Y. Lin et al., Focal Loss for Dense Object Detection (2017).

use super::clipped::{ClipRange, LARGE_UNIT, SMALL_UNIT, clip, is_clipped};
use super::logits::{LogitTransform, Transform};
use super::map::{Map, MapOnto, canonical, is_finite, map, map_onto};
use super::tree::BLOCK;
use crate::math::exp::{UNSCALE, exp_scaled};
use crate::math::ln::{ln, ln_of_normal};
use crate::math::ln_1p::{ln_1p, ln_1p_inside, ln_1p_of_fraction};
use crate::math::power::power;
use crate::simd::{InTurn, Simd, Vector};

/// `exp(-|x|)`; NaN at NaN.
#[inline(always)]
fn decay<S: Vector>(s: S, x: S::F32) -> S::F32 {
    s.mul(exp_scaled(s, s.minus_abs(x)), s.splat(UNSCALE))
}

/// `softplus(-x)` and `softplus(x)`, `softplus(x) = max(x, 0) + ln(1 + exp(-|x|))`.
#[inline(always)]
fn softplus_of_both<S: Vector>(s: S, x: S::F32, ln_1p_exp: S::F32) -> (S::F32, S::F32) {
    let zero = s.splat(0.0);
    // Selections, not maxima: a NaN must come through.
    let positive = s.zero_where_lt(x, zero, x);
    let negative = s.zero_where_lt(zero, x, s.sub(zero, x));
    (s.add(negative, ln_1p_exp), s.add(positive, ln_1p_exp))
}

/// `weight * term`; 0 where the weight is 0.
#[inline(always)]
fn weighted<S: Vector>(s: S, weight: S::F32, term: S::F32) -> S::F32 {
    let zero = s.splat(0.0);
    s.select(s.eq(weight, zero), zero, s.mul(weight, term))
}

/// The first step of [`losses`].
struct Decay;

impl<S: Vector> Map<S> for Decay {
    #[inline(always)]
    fn of(&self, s: S, x: S::F32, _: S::F32) -> S::F32 {
        decay(s, x)
    }
}

/// `y softplus(-x) + (1 - y) softplus(x)`: at once, or onto `exp(-|x|)`, the second step.
struct Binary;

impl Binary {
    #[inline(always)]
    fn of_decay<S: Vector>(s: S, x: S::F32, y: S::F32, decay: S::F32) -> S::F32 {
        let ln_1p_exp = ln_1p_of_fraction(s, decay);
        let rest = s.sub(s.splat(1.0), y);
        let above = s.max(x, s.splat(0.0));
        let (positive, negative) = (s.add(s.sub(above, x), ln_1p_exp), s.add(above, ln_1p_exp));
        let loss = s.add(s.mul(y, positive), s.mul(rest, negative));
        if s.all(s.eq(loss, loss)) {
            return loss;
        }
        // A NaN has one bit pattern, and an infinite term of weight 0 is absent.
        let (positive, negative) = softplus_of_both(s, x, ln_1p_exp);
        canonical(s, s.add(weighted(s, y, positive), weighted(s, rest, negative)))
    }
}

impl<S: Vector> Map<S> for Binary {
    #[inline(always)]
    fn of(&self, s: S, x: S::F32, y: S::F32) -> S::F32 {
        Self::of_decay(s, x, y, decay(s, x))
    }
}

impl<S: Vector> MapOnto<S> for Binary {
    #[inline(always)]
    fn of(&self, s: S, x: S::F32, y: S::F32, decay: S::F32) -> S::F32 {
        Self::of_decay(s, x, y, decay)
    }
}

/// `-ln(q)` and `-ln(1 - q)`.
#[inline(always)]
fn minus_ln_of_both<S: Simd>(s: S, q: S::F32) -> (S::F32, S::F32) {
    let zero = s.splat(0.0);
    (s.sub(zero, ln(s, q)), s.sub(zero, ln_1p(s, s.sub(zero, q))))
}

/// `-(y ln(q) + (1 - y) ln(1 - q))`, `q = clip(p)`. `NORMAL`: the range is normal ([`ClipRange::is_normal`])
/// and ends below 1, so that the logarithms need no selections.
struct ClippedBinary<S: Simd, const NORMAL: bool> {
    lo: S::F32,
    hi: S::F32,
}

impl<S: Simd, const NORMAL: bool> ClippedBinary<S, NORMAL> {
    #[inline(always)]
    fn new(s: S, range: ClipRange) -> Self {
        ClippedBinary { lo: s.splat(range.lo), hi: s.splat(range.hi) }
    }
}

impl<S: Simd, const NORMAL: bool> Map<S> for ClippedBinary<S, NORMAL> {
    #[inline(always)]
    fn of(&self, s: S, p: S::F32, y: S::F32) -> S::F32 {
        let (zero, q) = (s.splat(0.0), clip(s, p, self.lo, self.hi));
        let (positive, negative) = if NORMAL {
            let ln_of_rest = ln_1p_inside(s, s.sub(zero, q));
            (s.sub(zero, ln_of_normal(s, q)), s.sub(zero, ln_of_rest))
        } else {
            minus_ln_of_both(s, q)
        };
        let rest = s.sub(s.splat(1.0), y);
        let loss = s.add(weighted(s, y, positive), weighted(s, rest, negative));
        canonical(s, if NORMAL { s.select(s.eq(p, p), loss, p) } else { loss })
    }
}

/// Each block in two steps: of some 35 operations most wait for the one before, which leaves little room for those of other
/// elements in what a CPU can hold ready. A few registers have no others.
#[inline(always)]
pub(crate) fn losses<S: Simd>(s: S, x: &[f32], y: &[f32], out: &mut [f32]) {
    if S::ONE_BY_ONE || out.len() < 3 * S::LANES {
        return map(s, x, y, out, &Binary);
    }
    for ((x, y), out) in x.chunks(BLOCK).zip(y.chunks(BLOCK)).zip(out.chunks_mut(BLOCK)) {
        if S::IN_TURN && out.len() >= 4 * InTurn::<S>::LANES {
            losses_in_two_steps(InTurn(s), x, y, out);
        } else {
            losses_in_two_steps(s, x, y, out);
        }
    }
}

#[inline(always)]
fn losses_in_two_steps<S: Vector>(s: S, x: &[f32], y: &[f32], out: &mut [f32]) {
    map(s, x, x, out, &Decay);
    map_onto(s, x, y, out, &Binary);
}

#[inline(always)]
pub(crate) fn clipped_losses<S: Simd>(
    s: S,
    p: &[f32],
    y: &[f32],
    range: ClipRange,
    out: &mut [f32],
) {
    if range.is_normal() && range.hi < 1.0 {
        map(s, p, y, out, &ClippedBinary::<S, true>::new(s, range));
    } else {
        map(s, p, y, out, &ClippedBinary::<S, false>::new(s, range));
    }
}

/// Some elements and what they count; all slices are of one length.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'a> {
    /// Logits or probabilities.
    pub(crate) x: &'a [f32],
    pub(crate) y: &'a [f32],
    /// Weights of the positive terms.
    pub(crate) pos_weights: &'a [f32],
    /// Factors of loss and gradient; 0 for what is absent.
    pub(crate) scales: &'a [f32],
}

/// The options of a binary loss, the same for every element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BinaryTerms {
    pub(crate) label_smoothing: f32,
    /// Exponent of the focal factor; 0 is no factor.
    pub(crate) gamma: f32,
    /// The weight of positives against that of negatives, if they are balanced.
    pub(crate) alpha: Option<f32>,
}

/// What an element counts on either side: `P` and `N`, the weight `w` of the positive side, and `A`.
struct Sides<S: Simd> {
    positive: S::F32,
    pos_weight: S::F32,
    negative: S::F32,
    balance: S::F32,
}

impl<S: Simd> Sides<S> {
    /// `w product`, of a product with `P`; 0 where the positive side does not count. The weight comes last: `w P` can
    /// underflow to 0, which would be absent also from an infinite loss, or to half of its digits.
    #[inline(always)]
    fn of_positive(&self, s: S, product: S::F32) -> S::F32 {
        self.if_positive(s, s.mul(self.pos_weight, product), s.splat(0.0))
    }

    /// `value` where the positive side counts: without a weight it does not, also with a NaN target.
    #[inline(always)]
    fn if_positive(&self, s: S, value: S::F32, otherwise: S::F32) -> S::F32 {
        let zero = s.splat(0.0);
        let value = s.select(s.eq(self.positive, zero), otherwise, value);
        s.select(s.eq(self.pos_weight, zero), otherwise, value)
    }
}

impl BinaryTerms {
    #[inline(always)]
    fn sides<S: Simd>(&self, s: S, y: S::F32, pos_weight: S::F32) -> Sides<S> {
        let keep = s.splat(1.0 - self.label_smoothing);
        let half = s.splat(self.label_smoothing * 0.5);
        // Both from y: 1 less the smoothed target would lose the digits of a small rest.
        let positive = s.mul_add(keep, y, half);
        let negative = s.mul_add(keep, s.sub(s.splat(1.0), y), half);
        let balance = match self.alpha {
            Some(alpha) => {
                s.mul_add(s.splat(alpha), positive, s.mul(s.splat(1.0 - alpha), negative))
            }
            None => s.splat(1.0),
        };
        Sides { positive, pos_weight, negative, balance }
    }

    /// `A r^gamma B` from `B` and `r`.
    #[inline(always)]
    fn loss<S: Simd>(&self, s: S, sides: &Sides<S>, base: S::F32, wrong: S::F32) -> S::F32 {
        let loss = if self.gamma == 0.0 {
            base
        } else {
            let product = weighted(s, base, power(s, wrong, self.gamma));
            // A power that underflows leaves an infinite loss what it is.
            s.select(is_finite(s, base), product, base)
        };
        weighted(s, sides.balance, loss)
    }

    /// `A r^gamma (slope + gamma turn)`; where `r` is 0, the limit.
    #[inline(always)]
    fn slope<S: Simd>(
        &self,
        s: S,
        sides: &Sides<S>,
        slope: S::F32,
        turn: S::F32,
        wrong: S::F32,
    ) -> S::F32 {
        let zero = s.splat(0.0);
        let slope = if self.gamma == 0.0 {
            slope
        } else {
            let sum = s.add(slope, s.mul(s.splat(self.gamma), turn));
            let product = s.mul(power(s, wrong, self.gamma), sum);
            let product = s.select(is_finite(s, sum), product, sum);
            let product = s.select(s.eq(wrong, zero), zero, product);
            // Where neither side counts, a NaN does not either.
            let rest = s.select(s.eq(sides.negative, zero), zero, product);
            sides.if_positive(s, product, rest)
        };
        weighted(s, sides.balance, slope)
    }
}

/// What becomes of an element: `x`, `y` and the weight of its positive term.
trait ElementMap<S: Simd> {
    fn of(&self, s: S, x: S::F32, y: S::F32, pos_weight: S::F32) -> S::F32;

    /// A power of two that the result of [`of`](Self::of) is short of, so that it does not overflow before
    /// it is scaled.
    #[inline(always)]
    fn unit(&self, s: S, _x: S::F32, _y: S::F32, _pos_weight: S::F32) -> S::F32 {
        s.splat(1.0)
    }
}

/// `scale` times what `map` makes of each element; 0 where the scale is 0.
#[inline(always)]
fn map_elements<S: Simd, M: ElementMap<S>>(s: S, elements: Elements<'_>, map: &M, out: &mut [f32]) {
    let Elements { x, y, pos_weights, scales } = elements;
    let xy = x.chunks(S::LANES).zip(y.chunks(S::LANES));
    let weights = pos_weights.chunks(S::LANES).zip(scales.chunks(S::LANES));
    for (((x, y), (pos_weight, scale)), out) in xy.zip(weights).zip(out.chunks_mut(S::LANES)) {
        let (x, y, pos_weight) = (s.load(x, 0.0), s.load(y, 0.0), s.load(pos_weight, 1.0));
        let value = weighted(s, s.load(scale, 0.0), map.of(s, x, y, pos_weight));
        s.store(canonical(s, s.mul(value, map.unit(s, x, y, pos_weight))), out);
    }
}

struct LogitLoss<'a> {
    terms: &'a BinaryTerms,
    transform: &'a LogitTransform,
}

/// A logit as the loss sees it: both probabilities and both softplus.
struct Logit<S: Simd> {
    p: S::F32,
    q: S::F32,
    positive: S::F32,
    negative: S::F32,
}

impl<S: Simd> Logit<S> {
    #[inline(always)]
    fn new(s: S, x: S::F32, transform: &LogitTransform) -> Self {
        let z = Transform::new(s, transform, 0.0).of(s, x);
        let e = decay(s, z);
        let (positive, negative) = softplus_of_both(s, z, ln_1p_of_fraction(s, e));
        let one_plus = s.add(s.splat(1.0), e);
        let (big, small) = (s.div(s.splat(1.0), one_plus), s.div(e, one_plus));
        let is_negative = s.lt(z, s.splat(0.0));
        let p = s.select(is_negative, small, big);
        let q = s.select(is_negative, big, small);
        Logit { p, q, positive, negative }
    }

    /// `B` and `r`.
    #[inline(always)]
    fn base_and_wrong(&self, s: S, sides: &Sides<S>) -> (S::F32, S::F32) {
        let base = s.add(
            sides.of_positive(s, s.mul(sides.positive, self.positive)),
            weighted(s, sides.negative, self.negative),
        );
        let wrong = s.mul_add(sides.positive, self.q, s.mul(sides.negative, self.p));
        (base, wrong)
    }
}

impl<S: Simd> ElementMap<S> for LogitLoss<'_> {
    #[inline(always)]
    fn of(&self, s: S, x: S::F32, y: S::F32, pos_weight: S::F32) -> S::F32 {
        let logit = Logit::new(s, x, self.transform);
        let sides = self.terms.sides(s, y, pos_weight);
        let (base, wrong) = logit.base_and_wrong(s, &sides);
        self.terms.loss(s, &sides, base, wrong)
    }
}

struct LogitGradient<'a>(LogitLoss<'a>);

impl<S: Simd> ElementMap<S> for LogitGradient<'_> {
    #[inline(always)]
    fn of(&self, s: S, x: S::F32, y: S::F32, pos_weight: S::F32) -> S::F32 {
        let LogitLoss { terms, transform } = self.0;
        let zero = s.splat(0.0);
        let logit = Logit::new(s, x, transform);
        let sides = terms.sides(s, y, pos_weight);
        let slope = s.sub(
            weighted(s, sides.negative, logit.p),
            sides.of_positive(s, s.mul(sides.positive, logit.q)),
        );
        let (base, wrong) = logit.base_and_wrong(s, &sides);
        // Where p q is 0 the product is, also with an infinite B.
        let spread = s.div(s.mul(logit.p, logit.q), wrong);
        let turn = s.mul(s.mul(spread, s.sub(sides.negative, sides.positive)), base);
        let turn = s.select(s.eq(spread, zero), zero, turn);
        let slope = terms.slope(s, &sides, slope, turn, wrong);
        Transform::new(s, transform, 0.0).back(s, x, slope)
    }
}

struct ProbabilityLoss<'a> {
    terms: &'a BinaryTerms,
    range: ClipRange,
}

impl ProbabilityLoss<'_> {
    /// `q = clip(p)`, `1 - q`, `B` and `r`.
    #[inline(always)]
    fn parts<S: Simd>(&self, s: S, p: S::F32, sides: &Sides<S>) -> [S::F32; 4] {
        let q = clip(s, p, s.splat(self.range.lo), s.splat(self.range.hi));
        let rest = s.sub(s.splat(1.0), q);
        let (positive, negative) = minus_ln_of_both(s, q);
        let base = s.add(
            sides.of_positive(s, s.mul(sides.positive, positive)),
            weighted(s, sides.negative, negative),
        );
        let wrong = s.mul_add(sides.positive, rest, s.mul(sides.negative, q));
        [q, rest, base, wrong]
    }
}

impl<S: Simd> ElementMap<S> for ProbabilityLoss<'_> {
    #[inline(always)]
    fn of(&self, s: S, p: S::F32, y: S::F32, pos_weight: S::F32) -> S::F32 {
        let sides = self.terms.sides(s, y, pos_weight);
        let [_, _, base, wrong] = self.parts(s, p, &sides);
        self.terms.loss(s, &sides, base, wrong)
    }
}

struct ProbabilityGradient<'a>(ProbabilityLoss<'a>);

/// A quotient of at most 2^100 is left as it is.
const HUGE: f32 = f32::from_bits((127 + 100) << 23);

impl ProbabilityGradient<'_> {
    /// `unit` where `P / q` or `w P / q` could overflow, else 1; neither does where the clip range has no subnormal.
    #[inline(always)]
    fn of_tiny<S: Simd>(&self, s: S, q: S::F32, sides: &Sides<S>, unit: f32) -> S::F32 {
        let one = s.splat(1.0);
        if self.0.range.is_normal() {
            return one;
        }
        let weight = s.max(sides.pos_weight, one);
        let is_tiny = s.lt(s.mul(q, s.splat(HUGE)), s.mul(weight, sides.positive));
        s.select(is_tiny, s.splat(unit), one)
    }
}

impl<S: Simd> ElementMap<S> for ProbabilityGradient<'_> {
    #[inline(always)]
    fn of(&self, s: S, p: S::F32, y: S::F32, pos_weight: S::F32) -> S::F32 {
        let ProbabilityLoss { terms, range } = self.0;
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        let sides = terms.sides(s, y, pos_weight);
        let [q, rest, base, wrong] = self.0.parts(s, p, &sides);
        // All over the unit.
        let small = self.of_tiny(s, q, &sides, SMALL_UNIT);
        // With 0 added, for 1 / -0 is -inf.
        let q = s.mul(s.add(q, zero), self.of_tiny(s, q, &sides, LARGE_UNIT));
        let slope = s.sub(
            weighted(s, sides.negative, s.mul(small, s.div(one, rest))),
            sides.of_positive(s, s.div(sides.positive, q)),
        );
        let asymmetry = s.sub(sides.negative, sides.positive);
        let turn = weighted(s, asymmetry, s.mul(small, s.div(base, wrong)));
        // Where B is infinite it is so as ln p, beside which 1 / p decides.
        let turn = s.select(s.eq(base, s.splat(f32::INFINITY)), zero, turn);
        let slope = terms.slope(s, &sides, slope, turn, wrong);
        s.select(is_clipped(s, p, s.splat(range.lo), s.splat(range.hi)), zero, slope)
    }

    #[inline(always)]
    fn unit(&self, s: S, p: S::F32, y: S::F32, pos_weight: S::F32) -> S::F32 {
        let q = clip(s, p, s.splat(self.0.range.lo), s.splat(self.0.range.hi));
        self.of_tiny(s, q, &self.0.terms.sides(s, y, pos_weight), LARGE_UNIT)
    }
}

/// Losses with weights and options.
#[inline(always)]
pub(crate) fn weighted_losses<S: Simd>(
    s: S,
    elements: Elements<'_>,
    terms: &BinaryTerms,
    transform: &LogitTransform,
    out: &mut [f32],
) {
    map_elements(s, elements, &LogitLoss { terms, transform }, out);
}

/// Gradients with respect to the logits.
#[inline(always)]
pub(crate) fn gradients<S: Simd>(
    s: S,
    elements: Elements<'_>,
    terms: &BinaryTerms,
    transform: &LogitTransform,
    out: &mut [f32],
) {
    map_elements(s, elements, &LogitGradient(LogitLoss { terms, transform }), out);
}

/// Losses from probabilities, with weights and options.
#[inline(always)]
pub(crate) fn weighted_clipped_losses<S: Simd>(
    s: S,
    elements: Elements<'_>,
    terms: &BinaryTerms,
    range: ClipRange,
    out: &mut [f32],
) {
    map_elements(s, elements, &ProbabilityLoss { terms, range }, out);
}

/// Gradients with respect to the probabilities.
#[inline(always)]
pub(crate) fn clipped_gradients<S: Simd>(
    s: S,
    elements: Elements<'_>,
    terms: &BinaryTerms,
    range: ClipRange,
    out: &mut [f32],
) {
    map_elements(s, elements, &ProbabilityGradient(ProbabilityLoss { terms, range }), out);
}
