//! Loops that make one element of output from one of input: softmax, log-softmax, and the losses of
//! single elements.

use super::clipped::clip;
use crate::log_sum_exp::LogSumExp;
use crate::math::exp::{SCALE, UNSCALE, exp_scaled};
use crate::math::ln::ln;
use crate::math::ln_1p::ln_1p;
use crate::math::pair::Pair;
use crate::simd::Simd;

/// What becomes of an element of `x` and one of `y`.
pub(super) trait Map<S: Simd> {
    fn of(&self, s: S, x: S::F32, y: S::F32) -> S::F32;
}

#[inline(always)]
fn map<S: Simd, M: Map<S>>(s: S, x: &[f32], y: &[f32], out: &mut [f32], map: &M) {
    let x = x.chunks_exact(S::LANES);
    let y = y.chunks_exact(S::LANES);
    let (x_tail, y_tail) = (x.remainder(), y.remainder());
    let mut out = out.chunks_exact_mut(S::LANES);
    for ((x, y), out) in x.zip(y).zip(&mut out) {
        s.store(map.of(s, s.load(x, 0.0), s.load(y, 0.0)), out);
    }
    s.store(map.of(s, s.load(x_tail, 0.0), s.load(y_tail, 0.0)), out.into_remainder());
}

/// A map that looks at one slice gets its element twice.
#[inline(always)]
pub(super) fn map_in_place<S: Simd, M: Map<S>>(s: S, x: &mut [f32], map: &M) {
    let mut chunks = x.chunks_exact_mut(S::LANES);
    for x in &mut chunks {
        let v = s.load(x, 0.0);
        s.store(map.of(s, v, v), x);
    }
    let x = chunks.into_remainder();
    let v = s.load(x, 0.0);
    s.store(map.of(s, v, v), x);
}

/// `exp(x - m) / (1 + s)`, for a finite state.
struct Softmax<S: Simd> {
    m: S::F32,
    /// `2^-64 / (1 + s)`: undoes the scale of the exponential in the one rounding of the product.
    factor: S::F32,
}

impl<S: Simd> Softmax<S> {
    #[inline(always)]
    fn new(s: S, state: &LogSumExp) -> Self {
        let one_plus_sum = Pair::new(SCALE, 0.0).add(state.scaled_sum()).hi;
        Softmax { m: s.splat(state.max()), factor: s.splat(1.0 / one_plus_sum) }
    }
}

impl<S: Simd> Map<S> for Softmax<S> {
    #[inline(always)]
    fn of(&self, s: S, x: S::F32, _: S::F32) -> S::F32 {
        s.mul(exp_scaled(s, s.sub(x, self.m)), self.factor)
    }
}

/// `(x - m) - ln(1 + s)`, for a finite state.
struct LogSoftmax<S: Simd> {
    m: S::F32,
    ln_1p_sum: S::F32,
}

impl<S: Simd> LogSoftmax<S> {
    #[inline(always)]
    fn new(s: S, state: &LogSumExp) -> Self {
        let ln_1p_sum = ln_1p(s, s.splat(state.scaled_sum().hi * UNSCALE));
        LogSoftmax { m: s.splat(state.max()), ln_1p_sum }
    }
}

impl<S: Simd> Map<S> for LogSoftmax<S> {
    #[inline(always)]
    fn of(&self, s: S, x: S::F32, _: S::F32) -> S::F32 {
        s.sub(s.sub(x, self.m), self.ln_1p_sum)
    }
}

#[inline(always)]
pub(crate) fn softmax<S: Simd>(s: S, x: &[f32], state: &LogSumExp, out: &mut [f32]) {
    map(s, x, x, out, &Softmax::new(s, state));
}

#[inline(always)]
pub(crate) fn softmax_in_place<S: Simd>(s: S, x: &mut [f32], state: &LogSumExp) {
    map_in_place(s, x, &Softmax::new(s, state));
}

#[inline(always)]
pub(crate) fn log_softmax<S: Simd>(s: S, x: &[f32], state: &LogSumExp, out: &mut [f32]) {
    map(s, x, x, out, &LogSoftmax::new(s, state));
}

#[inline(always)]
pub(crate) fn log_softmax_in_place<S: Simd>(s: S, x: &mut [f32], state: &LogSumExp) {
    map_in_place(s, x, &LogSoftmax::new(s, state));
}

/// `y softplus(-x) + (1 - y) softplus(x)`, `softplus(x) = max(x, 0) + ln(1 + exp(-|x|))`.
struct Binary;

impl<S: Simd> Map<S> for Binary {
    #[inline(always)]
    fn of(&self, s: S, x: S::F32, y: S::F32) -> S::F32 {
        let zero = s.splat(0.0);
        let minus_x = s.sub(zero, x);
        let negative = s.lt(x, zero);
        // Selections, not maxima: a NaN must come through.
        let minus_abs = s.select(negative, x, minus_x);
        let exp = s.mul(exp_scaled(s, minus_abs), s.splat(UNSCALE));
        let ln_1p_exp = ln_1p(s, exp);
        let softplus = s.add(s.select(negative, zero, x), ln_1p_exp);
        let softplus_minus = s.add(s.select(s.lt(zero, x), zero, minus_x), ln_1p_exp);
        weigh(s, y, softplus_minus, softplus)
    }
}

/// `-(y ln(q) + (1 - y) ln(1 - q))`, `q = clip(p)`.
struct ClippedBinary<S: Simd> {
    lo: S::F32,
    hi: S::F32,
}

impl<S: Simd> Map<S> for ClippedBinary<S> {
    #[inline(always)]
    fn of(&self, s: S, p: S::F32, y: S::F32) -> S::F32 {
        let zero = s.splat(0.0);
        let q = clip(s, p, self.lo, self.hi);
        let minus_ln = s.sub(zero, ln(s, q));
        let minus_ln_1m = s.sub(zero, ln_1p(s, s.sub(zero, q)));
        weigh(s, y, minus_ln, minus_ln_1m)
    }
}

/// `y positive + (1 - y) negative`; a term of weight 0 contributes 0, also where it is infinite.
#[inline(always)]
fn weigh<S: Simd>(s: S, y: S::F32, positive: S::F32, negative: S::F32) -> S::F32 {
    let zero = s.splat(0.0);
    let rest = s.sub(s.splat(1.0), y);
    let sum = s.add(
        s.select(s.eq(y, zero), zero, s.mul(y, positive)),
        s.select(s.eq(rest, zero), zero, s.mul(rest, negative)),
    );
    canonical(s, sum)
}

/// One bit pattern for all NaN: which payload and sign an operation gives depends on the CPU.
#[inline(always)]
pub(super) fn canonical<S: Simd>(s: S, x: S::F32) -> S::F32 {
    s.select(s.eq(x, x), x, s.splat(f32::NAN))
}

#[inline(always)]
pub(crate) fn binary<S: Simd>(s: S, x: &[f32], y: &[f32], out: &mut [f32]) {
    map(s, x, y, out, &Binary);
}

#[inline(always)]
pub(crate) fn clipped_binary<S: Simd>(
    s: S,
    p: &[f32],
    y: &[f32],
    lo: f32,
    hi: f32,
    out: &mut [f32],
) {
    map(s, p, y, out, &ClippedBinary { lo: s.splat(lo), hi: s.splat(hi) });
}
