//! The natural logarithm of a quotient, without the rounding, overflow or underflow of the quotient.
//!
//! 1. `a = 2^i a'` and `b = 2^j b'`, both mantissas between `sqrt(1/2)` and `sqrt(2)`, by integer
//!    arithmetic on the bits as in `ln.rs`.
//! 2. `a'` is doubled or halved if that brings `a' / b'` between `sqrt(1/2)` and `sqrt(2)`, and `k` is
//!    what remains of `i - j`.
//! 3. `f = (a' - b') / b'`: the difference is exact (P. H. Sterbenz, Floating-Point Computation, 1974,
//!    4.3), so the division has the one rounding of `f`, and a quotient near 1 keeps its digits.
//! 4. `k ln 2 + ln(1 + f)` as in `ln.rs`.

use super::ln::{SQRT_HALF_BITS, ln_reduced};
use crate::simd::Vector;

/// `ln(a / b)` for positive finite `a` and `b`, within 1.5 ULP; some finite number where one is 0.
#[inline(always)]
pub(crate) fn ln_ratio<S: Vector>(s: S, a: S::F32, b: S::F32) -> S::F32 {
    let (a, i) = mantissa_and_exponent(s, a);
    let (b, j) = mantissa_and_exponent(s, b);
    let k = s.sub(i, j);

    let sqrt_2 = s.splat(core::f32::consts::SQRT_2);
    let above = s.lt(s.mul(b, sqrt_2), a);
    let below = s.lt(s.mul(a, sqrt_2), b);
    let (zero, one) = (s.splat(0.0), s.splat(1.0));
    let carry = s.select(above, one, s.select(below, s.splat(-1.0), zero));
    let scale = s.select(above, s.splat(0.5), s.select(below, s.splat(2.0), one));

    let f = s.div(s.sub(s.mul(a, scale), b), b);
    ln_reduced(s, s.add(k, carry), f)
}

/// `(x', k)` with `x = 2^k x'` and `x'` between `sqrt(1/2)` and `sqrt(2)`.
#[inline(always)]
fn mantissa_and_exponent<S: Vector>(s: S, x: S::F32) -> (S::F32, S::F32) {
    let subnormal = s.lt(x, s.splat(f32::MIN_POSITIVE));
    let normal = s.select(subnormal, s.mul(x, s.splat(16_777_216.0)), x);
    let shift = s.select(subnormal, s.splat(24.0), s.splat(0.0));
    let bits = s.bits(normal);
    let k = s.shr_23(s.sub_i32(bits, s.splat_i32(SQRT_HALF_BITS)));
    (s.with_bits(s.sub_i32(bits, s.shl_23(k))), s.sub(s.to_f32(k), shift))
}
