//! Powers of a number in [0, 1]: the factor of the focal loss.
//!
//! `q^gamma = exp(gamma ln q)`. The error of `gamma ln q` grows with it, so that of the power has a
//! bound of its own; the usual exponents, 1 and 2, are products.

use super::exp::{UNSCALE, exp_scaled};
use super::ln::ln;
use crate::simd::Vector;

/// `q^gamma` for `q` in [0, 1] and a finite `gamma > 0`; 0 at 0, NaN at NaN.
#[inline(always)]
pub(crate) fn power<S: Vector>(s: S, q: S::F32, gamma: f32) -> S::F32 {
    if gamma == 1.0 {
        q
    } else if gamma == 2.0 {
        s.mul(q, q)
    } else {
        s.mul(exp_scaled(s, s.mul(s.splat(gamma), ln(s, q))), s.splat(UNSCALE))
    }
}
