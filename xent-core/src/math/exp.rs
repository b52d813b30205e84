//! `exp(x) * 2^64` for `x <= 0`.
//!
//! 1. `n = round(x / ln 2)` and `r = x - n ln 2`, so `|r| <= ln2 / 2`. The upper part of `ln 2` has
//!    15 bits, so `n * LN_2_HI` is exact with or without a fused multiply-add.
//! 2. `exp(r) = 1 + r + r^2 q(r)` with `q` of degree 4, in the order that rounds least: fused as
//!    `1 + r (1 + r q)`, otherwise as `1 + (r + r^2 q)`. The other way round each is off by a little
//!    more than 1 ULP.
//! 3. The factor `2^(n + 64)` is made in the exponent's place. It is a factor, not an addition to
//!    the exponent, so that a NaN stays NaN.
//!
//! The 64 keeps every term of a sum normal that can matter to an f32 result: a thousand terms of
//! 1e-44 add up to their 1e-41, where subnormal terms would each be off by a quarter.
//!
//! Source: W. J. Cody and W. Waite, Software Manual for the Elementary Functions (1980), chapter 6.
//! Coefficients: `python3 xent-core/tools/minimax.py`, relative error 2^-28.25 on
//! [-0.34691, 0.34691].

use crate::simd::Vector;

/// 2^64, the scale of the result.
pub(crate) const SCALE: f32 = f32::from_bits((64 + 127) << 23);
/// 2^-64.
pub(crate) const UNSCALE: f32 = f32::from_bits((127 - 64) << 23);

/// From here down the result is 0: the first number whose `n` is -191, of which the factor is 0. `2^-190` is nothing in any
/// f32 sum of 2^28 terms.
pub(crate) const LOWEST: f32 = f32::from_bits(0xc304_0b67); // -132.04454

/// Adding it rounds a number below 2^22 to an integer and leaves that plus 191, the biased exponent
/// of `2^(n + 64)`, in the low bits.
const ROUND: f32 = 12_582_912.0 + 64.0 + 127.0; // 1.5 * 2^23 + 191

const LOG2_E: f32 = core::f32::consts::LOG2_E;
pub(super) const LN_2_HI: f32 = f32::from_bits(0x3f31_7200); // 0.69314575, 15 bits
pub(super) const LN_2_LO: f32 = f32::from_bits(0x35bf_be8e); // 1.4286068e-6

const C2: f32 = f32::from_bits(0x3eff_fffe); // 0.49999994
const C3: f32 = f32::from_bits(0x3e2a_aa49); // 0.16666521
const C4: f32 = f32::from_bits(0x3d2a_ac5a); // 0.041668274
const C5: f32 = f32::from_bits(0x3c09_1ccd); // 0.008368683
const C6: f32 = f32::from_bits(0x3ab5_246c); // 0.0013820059

/// `exp(x) * 2^64` for `x <= 0`; exactly 2^64 at 0, exactly 0 from [`LOWEST`] down; NaN at NaN.
///
/// Within 1 ULP.
#[inline(always)]
pub(crate) fn exp_scaled<S: Vector>(s: S, x: S::F32) -> S::F32 {
    let (r, t) = reduced(s, x);
    exp_of_reduced(s, r, t)
}

/// `n = round(x / ln 2)`, plus [`ROUND`].
#[inline(always)]
pub(crate) fn exponent<S: Vector>(s: S, x: S::F32) -> S::F32 {
    s.mul_add(x, s.splat(LOG2_E), s.splat(ROUND))
}

/// `exp(x) * 2^64` for `x` from [`LOWEST`] to 0, whose [`exponent`] is `t`; NaN at NaN.
#[inline(always)]
pub(crate) fn exp_of_exponent<S: Vector>(s: S, x: S::F32, t: S::F32) -> S::F32 {
    exp_of_reduced(s, rest(s, x, t), t)
}

/// `r` and the [`exponent`], of which [`exp_of_reduced`] makes the bits of [`exp_scaled`].
#[inline(always)]
pub(crate) fn reduced<S: Vector>(s: S, x: S::F32) -> (S::F32, S::F32) {
    // Below it n would run out of the exponent's range; at -inf r would be NaN.
    let x = s.at_least(s.splat(LOWEST), x);
    let t = exponent(s, x);
    (rest(s, x, t), t)
}

/// `r` of `x`, whose [`exponent`] is `t`.
#[inline(always)]
fn rest<S: Vector>(s: S, x: S::F32, t: S::F32) -> S::F32 {
    let n = s.sub(t, s.splat(ROUND));
    let r = s.mul_add(n, s.splat(-LN_2_HI), x);
    s.mul_add(n, s.splat(-LN_2_LO), r)
}

/// `exp(r) 2^(n + 64)`, where the exponent is `t`.
#[inline(always)]
pub(crate) fn exp_of_reduced<S: Vector>(s: S, r: S::F32, t: S::F32) -> S::F32 {
    let q = s.mul_add(r, s.splat(C6), s.splat(C5));
    let q = s.mul_add(r, q, s.splat(C4));
    let q = s.mul_add(r, q, s.splat(C3));
    let q = s.mul_add(r, q, s.splat(C2));
    let one = s.splat(1.0);
    let p = if S::FUSED {
        s.mul_add(r, s.mul_add(r, q, one), one)
    } else {
        s.add(one, s.mul_add(s.mul(r, r), q, r))
    };
    s.mul(p, power(s, t))
}

/// `2^(n + 64)`, where the exponent is `t`.
#[inline(always)]
fn power<S: Vector>(s: S, t: S::F32) -> S::F32 {
    s.with_bits(s.shl_23(s.bits(t)))
}

/// Whether `exp_of_exponent` is all there is to do: `x` is neither 0 or just below it, nor below
/// [`LOWEST`], nor NaN. `t` is its `exponent`; one comparison, of its bits.
#[inline(always)]
pub(crate) fn is_plain(t: f32) -> bool {
    const LOWEST_N: u32 = 190;
    t.to_bits().wrapping_sub(ROUND.to_bits() - LOWEST_N) < LOWEST_N
}
