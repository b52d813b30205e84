//! `ln(1 + x)` with the digits of a small `x`.
//!
//! 1. `k` is taken from the rounded `1 + x` as in `ln.rs`.
//! 2. `1 + f = 2^-k (1 + x)`: `f = 2^-k x + (2^-k - 1)`, both terms exact, their sum kept with its
//!    rounding error. With `k = 0`, `f` is `x` itself, so no digit of it is lost and no quotient
//!    corrects for one.
//! 3. The rest is that of `ln.rs`, with what the error adds to the small terms.

use super::exp::{LN_2_HI, LN_2_LO};
use super::ln::{SQRT_HALF_BITS, squares, with_exponent, with_ln_2};
use crate::simd::Simd;

/// The first `x` of which `1 + x`, rounded, is not below the double of the float whose bits are [`SQRT_HALF_BITS`].
const FIRST_OF_K_1: f32 = f32::from_bits(0x3ed4_13cb); // 0.4142135

/// `ln(1 + x)`; -inf at -1, NaN below it, +inf at +inf, NaN at NaN. Within 1 ULP.
#[inline(always)]
pub(crate) fn ln_1p<S: Simd>(s: S, x: S::F32) -> S::F32 {
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
pub(crate) fn ln_1p_inside<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (k, power) = exponent(s, x);
    ln_1p_of_exponent(s, x, k, power)
}

/// The bits of [`ln_1p`] for `x` from 0 to 1, where `k` is 0 or 1; NaN at NaN.
#[inline(always)]
pub(crate) fn ln_1p_of_fraction<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let k_is_0 = s.lt(x, s.splat(FIRST_OF_K_1));
    let zero = s.splat(0.0);
    let a = s.select(k_is_0, x, s.mul(x, s.splat(0.5)));
    let (f, small) = sum_and_small(s, a, s.select(k_is_0, zero, s.splat(-0.5)));
    with_ln_2(
        s,
        s.select(k_is_0, zero, s.splat(LN_2_HI)),
        f,
        s.add(small, s.select(k_is_0, zero, s.splat(LN_2_LO))),
    )
}

/// `k` and `2^-k`.
#[inline(always)]
fn exponent<S: Simd>(s: S, x: S::F32) -> (S::I32, S::F32) {
    let one = s.splat(1.0);
    let k = s.shr_23(s.sub_i32(s.bits(s.add(one, x)), s.splat_i32(SQRT_HALF_BITS)));
    (k, s.with_bits(s.sub_i32(s.bits(one), s.shl_23(k))))
}

#[inline(always)]
fn ln_1p_of_exponent<S: Simd>(s: S, x: S::F32, k: S::I32, power: S::F32) -> S::F32 {
    let a = s.with_bits(s.sub_i32(s.bits(x), s.shl_23(k)));
    let b = s.sub(power, s.splat(1.0));

    let (f, small) = sum_and_small(s, a, b);
    with_exponent(s, s.to_f32(k), f, small)
}

/// `f = a + b`, rounded, and `ln(1 + a + b) - f`.
#[inline(always)]
fn sum_and_small<S: Simd>(s: S, a: S::F32, b: S::F32) -> (S::F32, S::F32) {
    let f = s.add(a, b);
    // The error of the sum: b is 0, or both are within a factor of 2 of each other, and there is none; or |b| is the
    // larger one.
    let f_lo = s.sub(a, s.sub(f, b));

    // What f_lo adds: f_lo / (1 + f), of which f_lo (1 - f + f^2) is enough.
    let (f2, small) = squares(s, f);
    (f, s.add(small, s.mul(f_lo, s.add(s.sub(s.splat(1.0), f), f2))))
}
