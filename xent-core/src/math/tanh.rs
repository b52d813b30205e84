//! The hyperbolic tangent, and the derivative of a logit that it caps.
//!
//! 1. Below 0.55: `x + x u t(u)` with `u = x^2` and `t` of degree 4.
//!    Where that holds in every lane, as it does for most logits under a cap, nothing else is computed.
//! 2. Above: `1 - 2e / (1 + e)` with `e = exp(-2|x|)`, of which at most half cancels.
//! 3. `1 - tanh(x)^2 = 4e / (1 + e)^2`, in which nothing cancels.
//!
//! Source: W. J. Cody and W. Waite, Software Manual for the Elementary Functions (1980), chapter 13,
//! with a polynomial in place of the quotient.
//! Coefficients: `python3 xent-core/tools/minimax.py`, relative error 2^-29.73 up to 0.55.

use super::exp::{UNSCALE, exp_scaled};
use crate::simd::Vector;

/// From here on the exponential is taken.
const SMALL: f32 = 0.55;

const T: [f32; 5] = [
    f32::from_bits(0xbeaa_aaa6), // -0.3333332
    f32::from_bits(0x3e08_86b3), // 0.13332634
    f32::from_bits(0xbd5c_987e), // -0.053856365
    f32::from_bits(0x3cac_bc48), // 0.021085873
    f32::from_bits(0xbbce_2b53), // -0.0062917857
];

/// `exp(-2|x|)`, and whether `x` is negative.
#[inline(always)]
fn decay<S: Vector>(s: S, x: S::F32) -> (S::F32, S::Mask) {
    let minus_abs = s.minus_abs(x);
    let e = s.mul(exp_scaled(s, s.add(minus_abs, minus_abs)), s.splat(UNSCALE));
    (e, s.lt(x, s.splat(0.0)))
}

/// `tanh(x)`; NaN at NaN. Within 2 ULP.
#[inline(always)]
pub(crate) fn tanh<S: Vector>(s: S, x: S::F32) -> S::F32 {
    let u = s.mul(x, x);
    let t = s.mul_add(u, s.splat(T[4]), s.splat(T[3]));
    let t = s.mul_add(u, t, s.splat(T[2]));
    let t = s.mul_add(u, t, s.splat(T[1]));
    let t = s.mul_add(u, t, s.splat(T[0]));
    let small = s.mul_add(s.mul(x, u), t, x);

    let is_small = s.lt(u, s.splat(SMALL * SMALL));
    if s.all(is_small) {
        return small;
    }

    let (one, (e, negative)) = (s.splat(1.0), decay(s, x));
    let abs = s.sub(one, s.div(s.add(e, e), s.add(one, e)));
    let large = s.select(negative, s.sub(s.splat(0.0), abs), abs);
    s.select(is_small, small, large)
}

/// `1 - tanh(x)^2`, the derivative of `tanh`; NaN at NaN.
#[inline(always)]
pub(crate) fn tanh_derivative<S: Vector>(s: S, x: S::F32) -> S::F32 {
    let (e, _) = decay(s, x);
    let one_plus = s.add(s.splat(1.0), e);
    s.div(s.mul(e, s.splat(4.0)), s.mul(one_plus, one_plus))
}
