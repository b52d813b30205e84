//! The natural logarithm.
//!
//! 1. `x = 2^k (1 + f)` with `1 + f` between `sqrt(1/2)` and `sqrt(2)`, by integer arithmetic on the
//!    bits; a subnormal is scaled by 2^24 first. `f` is exact.
//! 2. `ln(1 + f) = f - f^2/2 + f^3 d(f)`, `d` of degree 8.
//! 3. `k ln 2` is added in two parts. `k LN_2_HI` is exact and, if not 0, larger than `f`, so the
//!    rounding error of `k LN_2_HI + f` is known and goes into the small terms: the result has one
//!    rounding that matters, also at `k = -1`, where half of the leading digit cancels.
//!
//! Source: W. J. Cody and W. Waite, Software Manual for the Elementary Functions (1980), chapter 5,
//! with a polynomial in place of the quotient.
//! Coefficients: `python3 xent-core/tools/minimax.py`, relative error of `ln(1 + f)` 2^-30.28.

use super::exp::{LN_2_HI, LN_2_LO};
use crate::simd::Vector;

/// The bits of sqrt(1/2): less these, the exponent's place of a float holds its `k`.
pub(super) const SQRT_HALF_BITS: i32 = 0x3f35_04f3;

const D: [f32; 9] = [
    f32::from_bits(0x3eaa_aaa4), // 0.33333313
    f32::from_bits(0xbe80_0003), // -0.2500001
    f32::from_bits(0x3e4c_d23b), // 0.20002072
    f32::from_bits(0xbe2a_ae22), // -0.16667989
    f32::from_bits(0x3e11_9dd1), // 0.14220358
    f32::from_bits(0xbdfe_1464), // -0.12406233
    f32::from_bits(0x3df3_6004), // 0.11883548
    f32::from_bits(0xbdef_00fb), // -0.11670109
    f32::from_bits(0x3d8a_39b6), // 0.06749289
];

/// `ln(x)`; -inf at 0, NaN below it, +inf at +inf, NaN at NaN. Within 1 ULP, subnormals included.
#[inline(always)]
pub(crate) fn ln<S: Vector>(s: S, x: S::F32) -> S::F32 {
    let subnormal = s.lt(x, s.splat(f32::MIN_POSITIVE));
    let normal = s.select(subnormal, s.mul(x, s.splat(16_777_216.0)), x);
    let shift = s.select(subnormal, s.splat(24.0), s.splat(0.0));

    let y = ln_shifted(s, normal, shift);

    // In this order: 0 and NaN are not positive, +inf is not finite.
    let y = s.select(s.lt(x, s.splat(f32::INFINITY)), y, x);
    let at_most_0 = s.select(s.eq(x, s.splat(0.0)), s.splat(f32::NEG_INFINITY), s.splat(f32::NAN));
    s.select(s.lt(s.splat(0.0), x), y, at_most_0)
}

/// The bits of [`ln`] for normal positive `x`, which need no selection; unspecified for others.
#[inline(always)]
pub(crate) fn ln_of_normal<S: Vector>(s: S, x: S::F32) -> S::F32 {
    ln_shifted(s, x, s.splat(0.0))
}

/// `ln(x) - shift ln 2` for a normal positive `x`.
#[inline(always)]
fn ln_shifted<S: Vector>(s: S, x: S::F32, shift: S::F32) -> S::F32 {
    let bits = s.bits(x);
    let k = s.shr_23(s.sub_i32(bits, s.splat_i32(SQRT_HALF_BITS)));
    let f = s.sub(s.with_bits(s.sub_i32(bits, s.shl_23(k))), s.splat(1.0));
    ln_reduced(s, s.sub(s.to_f32(k), shift), f)
}

/// `k ln 2 + ln(1 + f)` for an integer `k` and `1 + f` in [sqrt(1/2), sqrt(2)].
#[inline(always)]
pub(super) fn ln_reduced<S: Vector>(s: S, k: S::F32, f: S::F32) -> S::F32 {
    let (_, small) = squares(s, f);
    with_exponent(s, k, f, small)
}

/// `f^2`, and `ln(1 + f) - f`, for `1 + f` in [sqrt(1/2), sqrt(2)].
#[inline(always)]
pub(super) fn squares<S: Vector>(s: S, f: S::F32) -> (S::F32, S::F32) {
    let (f2, factor) = square_and_factor(s, f, &D);
    (f2, s.mul(f2, factor))
}

/// `f^2`, and `-1/2 + f d(f)`, which it is multiplied by in `ln(1 + f) - f`, of coefficients `d`.
#[inline(always)]
pub(super) fn square_and_factor<S: Vector>(s: S, f: S::F32, d: &[f32; 9]) -> (S::F32, S::F32) {
    let f2 = s.mul(f, f);
    let f4 = s.mul(f2, f2);
    // Pairs of terms first, which shortens the chain of dependent operations by half.
    let d01 = s.mul_add(f, s.splat(d[1]), s.splat(d[0]));
    let d23 = s.mul_add(f, s.splat(d[3]), s.splat(d[2]));
    let d45 = s.mul_add(f, s.splat(d[5]), s.splat(d[4]));
    let d67 = s.mul_add(f, s.splat(d[7]), s.splat(d[6]));
    let d47 = s.mul_add(f2, d67, d45);
    let d03 = s.mul_add(f2, d23, d01);
    let d48 = s.mul_add(f4, s.splat(d[8]), d47);
    let d08 = s.mul_add(f4, d48, d03);

    (f2, s.mul_add(f, d08, s.splat(-0.5)))
}

/// `k ln 2 + (f + small)` for an integer `k`.
#[inline(always)]
pub(super) fn with_exponent<S: Vector>(s: S, k: S::F32, f: S::F32, small: S::F32) -> S::F32 {
    let small = s.mul_add(k, s.splat(LN_2_LO), small);
    // 0, or larger than f.
    let k_ln_2 = s.mul(k, s.splat(LN_2_HI));
    let large = s.add(k_ln_2, f);
    let rest = s.sub(f, s.sub(large, k_ln_2));
    s.add(large, s.add(rest, small))
}
