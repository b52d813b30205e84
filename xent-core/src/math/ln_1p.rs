//! `ln(1 + x)` with the digits of a small `x`.
//!
//! 1. `k` is taken from the rounded `1 + x` as in `ln.rs`.
//! 2. `1 + f = 2^-k (1 + x)`: `f = 2^-k x + (2^-k - 1)`, both terms exact, their sum kept with its
//!    rounding error. With `k = 0`, `f` is `x` itself, so no digit of it is lost and no quotient
//!    corrects for one.
//! 3. The rest is that of `ln.rs`, with what the error adds to the small terms.
//!
//! Coefficients of [`ln_1p_of_fraction`]: `python3 xent-core/tools/minimax.py`, relative error 2^-29.71.

use super::ln::{SQRT_HALF_BITS, square_and_factor, squares, with_exponent};
use crate::simd::Vector;

/// Of [`ln_1p_of_fraction`].
const D_UP_TO_1: [f32; 9] = [
    f32::from_bits(0x3eaa_aa5a), // 0.33333093
    f32::from_bits(0xbe7f_ee78), // -0.24993312
    f32::from_bits(0x3e4c_0bab), // 0.19926326
    f32::from_bits(0xbe26_2d6c), // -0.16228265
    f32::from_bits(0x3e01_d57e), // 0.12679097
    f32::from_bits(0xbdaf_f0f6), // -0.085908815
    f32::from_bits(0x3d35_6734), // 0.044287875
    f32::from_bits(0xbc70_74bc), // -0.014676269
    f32::from_bits(0x3b15_182b), // 0.002275
];

/// `ln(1 + x)`; -inf at -1, NaN below it, +inf at +inf, NaN at NaN. Within 1 ULP.
#[inline(always)]
pub(crate) fn ln_1p<S: Vector>(s: S, x: S::F32) -> S::F32 {
    let (k, power) = exponent(s, x);
    // 2^-k leaves the range of the exponent above 2^126, where it no longer counts.
    let power = s.select(s.lt(x, s.splat(18_446_744_073_709_551_616.0)), power, s.splat(0.0));
    let y = ln_1p_of_exponent(s, x, k, power);

    let y = s.select(s.lt(x, s.splat(f32::INFINITY)), y, x);
    let minus_one = s.splat(-1.0);
    let at_most_minus_one =
        s.select(s.eq(x, minus_one), s.splat(f32::NEG_INFINITY), s.splat(f32::NAN));
    s.select(s.lt(minus_one, x), y, at_most_minus_one)
}

/// The bits of [`ln_1p`] for `x` above -1 and up to 2^126, which need no selection; unspecified for others.
#[inline(always)]
pub(crate) fn ln_1p_inside<S: Vector>(s: S, x: S::F32) -> S::F32 {
    let (k, power) = exponent(s, x);
    ln_1p_of_exponent(s, x, k, power)
}

/// `ln(1 + x)` for `x` from 0 to 1, `x - x^2/2 + x^3 d(x)`; NaN at NaN. Within 1.6 ULP.
///
/// That far a polynomial of the degree that [`ln_1p`] has is as good, and it needs neither `k` nor the error of a sum: half of
/// the operations.
#[inline(always)]
pub(crate) fn ln_1p_of_fraction<S: Vector>(s: S, x: S::F32) -> S::F32 {
    let (x2, factor) = square_and_factor(s, x, &D_UP_TO_1);
    s.mul_add(x2, factor, x)
}

/// `k` and `2^-k`.
#[inline(always)]
fn exponent<S: Vector>(s: S, x: S::F32) -> (S::I32, S::F32) {
    let one = s.splat(1.0);
    let k = s.shr_23(s.sub_i32(s.bits(s.add(one, x)), s.splat_i32(SQRT_HALF_BITS)));
    (k, s.with_bits(s.sub_i32(s.bits(one), s.shl_23(k))))
}

#[inline(always)]
fn ln_1p_of_exponent<S: Vector>(s: S, x: S::F32, k: S::I32, power: S::F32) -> S::F32 {
    let a = s.with_bits(s.sub_i32(s.bits(x), s.shl_23(k)));
    let b = s.sub(power, s.splat(1.0));

    let (f, small) = sum_and_small(s, a, b);
    with_exponent(s, s.to_f32(k), f, small)
}

/// `f = a + b`, rounded, and `ln(1 + a + b) - f`.
#[inline(always)]
fn sum_and_small<S: Vector>(s: S, a: S::F32, b: S::F32) -> (S::F32, S::F32) {
    let f = s.add(a, b);
    // The error of the sum: b is 0, or both are within a factor of 2 of each other, and there is none; or |b| is the
    // larger one.
    let f_lo = s.sub(a, s.sub(f, b));

    // What f_lo adds: f_lo / (1 + f), of which f_lo (1 - f + f^2) is enough.
    let (f2, small) = squares(s, f);
    (f, s.add(small, s.mul(f_lo, s.add(s.sub(s.splat(1.0), f), f2))))
}
