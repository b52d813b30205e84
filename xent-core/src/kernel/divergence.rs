//! Entropy and divergences of probabilities.
//!
//! 1. Entropy: `-p ln(p)`.
//! 2. Kullback-Leibler: `p ln(p / q)`, with the logarithm of `ln_ratio.rs`: rounded to an f32, the
//!    quotient of two like probabilities would lose the digits of its logarithm.
//! 3. Jensen-Shannon: with `S = p + q` and `d = |p - q| / S`, the probabilities are `S (1 ± d) / 2`, and
//!    the two terms of a class add up to `S / 4 ((1 + d) ln(1 + d) + (1 - d) ln(1 - d))`. That is not
//!    negative, so that classes do not cancel, and of second order where the terms are of first.
//! 4. Up to `d^2 = 1/2` it is `|p - q| d / 4` times a polynomial in `d^2`; beyond, the larger term is more
//!    than twice the smaller one, and they are taken one by one.
//!
//! Coefficients: `python3 xent-core/tools/minimax.py`, relative error 2^-26.95 on [0, 1/2].

use super::tree::{BLOCK, Term, TreeSum, block_sum};
use crate::math::ln::ln;
use crate::math::ln_ratio::ln_ratio;
use crate::simd::Simd;

/// `-p ln(p)`.
struct Entropy;

impl<S: Simd> Term<S> for Entropy {
    const PAD: (f32, f32) = (0.0, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, p: S::F32, _: S::F32) -> S::F32 {
        let zero = s.splat(0.0);
        s.select(s.eq(p, zero), zero, s.sub(zero, s.mul(p, ln(s, p))))
    }
}

/// `p ln(p / q)`.
struct KullbackLeibler;

impl<S: Simd> Term<S> for KullbackLeibler {
    const PAD: (f32, f32) = (0.0, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, p: S::F32, q: S::F32) -> S::F32 {
        let (zero, infinity) = (s.splat(0.0), s.splat(f32::INFINITY));
        let term = s.mul(p, ln_ratio(s, p, q));
        let term = s.select(s.eq(q, zero), infinity, term);
        // +inf where p is infinite, -inf where q is, NaN where both are.
        let term = s.select(s.lt(p, infinity), term, s.sub(p, q));
        let term = s.select(s.lt(q, infinity), term, s.sub(p, q));
        let term = s.select(s.eq(p, zero), zero, term);
        or_invalid(s, p, q, term)
    }
}

/// `(p ln(p / m) + q ln(q / m)) / 2`, `m = (p + q) / 2`.
struct JensenShannon;

impl<S: Simd> Term<S> for JensenShannon {
    const PAD: (f32, f32) = (0.0, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, p: S::F32, q: S::F32) -> S::F32 {
        let (zero, half, one) = (s.splat(0.0), s.splat(0.5), s.splat(1.0));
        let ordered = s.lt(q, p);
        let (large, small) = (s.select(ordered, p, q), s.select(ordered, q, p));
        // Halved where the sum could overflow.
        let huge = s.lt(s.splat(HUGE), large);
        let scale = s.select(huge, half, one);
        let (a, b) = (s.mul(large, scale), s.mul(small, scale));

        let (sum, difference) = (s.add(a, b), s.sub(a, b));
        let d = s.div(difference, sum);
        let d2 = s.mul(d, d);
        let near = s.mul(difference, s.mul(d, s.mul(s.splat(0.25), mean_of_logs(s, d2))));
        // 2 a / S for a / m: half of a subnormal sum is not exact.
        let ln_a = ln_ratio(s, s.add(a, a), sum);
        let ln_b = ln_ratio(s, s.add(b, b), sum);
        // a ln(2 a / S) + b ln(2 b / S) with the S that was not rounded is less by its rounding error.
        let lost = s.sub(b, s.sub(sum, a));
        let far = s.add(s.mul(a, ln_a), s.sub(s.mul(b, ln_b), lost));
        let term = s.select(s.lt(d2, half), near, s.mul(half, far));

        let term = s.mul(term, s.select(huge, s.splat(2.0), one));
        let term = s.select(s.eq(large, zero), zero, term);
        // +inf where one is infinite, NaN where both are.
        let term = s.select(s.lt(large, s.splat(f32::INFINITY)), term, difference);
        or_invalid(s, p, q, term)
    }
}

/// 2^126: the sum of two numbers up to it, and their double, is finite.
const HUGE: f32 = f32::from_bits((127 + 126) << 23);

const P: [f32; 8] = [
    f32::from_bits(0x3f80_0000), // 1.0
    f32::from_bits(0x3e2a_aafa), // 0.16666785
    f32::from_bits(0x3d88_6a76), // 0.06660931
    f32::from_bits(0x3d16_195f), // 0.03664529
    f32::from_bits(0x3c78_b4f8), // 0.015179865
    f32::from_bits(0x3d2f_49c7), // 0.04279497
    f32::from_bits(0xbd38_e590), // -0.045140803
    f32::from_bits(0x3d70_9b10), // 0.05874163
];

/// `((1 + d) ln(1 + d) + (1 - d) ln(1 - d)) / d^2` of `d^2` in [0, 1/2].
#[inline(always)]
fn mean_of_logs<S: Simd>(s: S, d2: S::F32) -> S::F32 {
    let mut y = s.splat(P[7]);
    y = s.mul_add(y, d2, s.splat(P[6]));
    y = s.mul_add(y, d2, s.splat(P[5]));
    y = s.mul_add(y, d2, s.splat(P[4]));
    y = s.mul_add(y, d2, s.splat(P[3]));
    y = s.mul_add(y, d2, s.splat(P[2]));
    y = s.mul_add(y, d2, s.splat(P[1]));
    s.mul_add(y, d2, s.splat(P[0]))
}

/// `term`, or NaN where `p` or `q` is NaN or negative.
#[inline(always)]
fn or_invalid<S: Simd>(s: S, p: S::F32, q: S::F32, term: S::F32) -> S::F32 {
    // No f32 is between the largest negative one and 0.
    let negative = s.splat(-f32::from_bits(1));
    let nan = s.splat(f32::NAN);
    s.select(s.lt(negative, p), s.select(s.lt(negative, q), term, nan), nan)
}

/// Adds `-p ln(p)` over one or several blocks of a row to `sum`.
#[inline(always)]
pub(crate) fn entropy_sum<S: Simd>(s: S, sum: &mut TreeSum, p: &[f32]) {
    for p in p.chunks(BLOCK) {
        sum.push(block_sum(s, p, p, &mut Entropy));
    }
}

/// Adds `p ln(p / q)` over one or several blocks of a row to `sum`.
#[inline(always)]
pub(crate) fn kl_sum<S: Simd>(s: S, sum: &mut TreeSum, p: &[f32], q: &[f32]) {
    for (p, q) in p.chunks(BLOCK).zip(q.chunks(BLOCK)) {
        sum.push(block_sum(s, p, q, &mut KullbackLeibler));
    }
}

/// Adds `(p ln(p / m) + q ln(q / m)) / 2` over one or several blocks of a row to `sum`.
#[inline(always)]
pub(crate) fn js_sum<S: Simd>(s: S, sum: &mut TreeSum, p: &[f32], q: &[f32]) {
    for (p, q) in p.chunks(BLOCK).zip(q.chunks(BLOCK)) {
        sum.push(block_sum(s, p, q, &mut JensenShannon));
    }
}
