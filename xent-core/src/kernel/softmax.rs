//! Softmax and log-softmax, of a row or of rows side by side, and the scaled exponential of a gradient.

use super::kept_exps::{ExpMap, map_kept, state_and_exps};
use super::log_sum_exp::state;
use super::map::{Map, canonical, is_finite, map, map_in_place};
use super::rows_in_lanes::{self, Layout, LogitsAndExps, Workspace};
use crate::log_sum_exp::LogSumExp;
use crate::math::exp::{LOWEST, SCALE, UNSCALE, exp_of_exponent, exp_scaled, exponent};
use crate::math::ln_1p::ln_1p;
use crate::math::pair::{Pair, difference};
use crate::simd::Simd;

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

impl<S: Simd> ExpMap<S> for Softmax<S> {
    /// What the difference of `x` and `m` lost counts as a factor of `1 + lost`: half an ULP for each unit of the
    /// distance.
    #[inline(always)]
    fn of_exp(&self, s: S, x: S::F32, exp: S::F32) -> S::F32 {
        let (below, lost) = difference(s, x, self.m);
        let exp = s.mul_add(exp, lost, exp);
        // At -inf nothing is lost but NaN.
        s.mul(s.zero_where_lt(below, s.splat(LOWEST), exp), self.factor)
    }
}

impl<S: Simd> Map<S> for Softmax<S> {
    #[inline(always)]
    fn of(&self, s: S, x: S::F32, _: S::F32) -> S::F32 {
        let below = s.sub(x, self.m);
        self.of_exp(s, x, exp_of_exponent(s, below, exponent(s, below)))
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

/// The softmax of one row.
#[inline(always)]
pub(crate) fn softmax<S: Simd>(s: S, x: &[f32], out: &mut [f32]) {
    let (state, kept) = state_and_exps(s, x, out);
    if state.max().is_finite() {
        map_kept(s, x, out, kept, &Softmax::new(s, &state));
    } else {
        out.fill(f32::NAN);
    }
}

#[inline(always)]
pub(crate) fn softmax_in_place<S: Simd>(s: S, x: &mut [f32]) {
    let state = state(s, x);
    if state.max().is_finite() {
        map_in_place(s, x, &Softmax::new(s, &state));
    } else {
        x.fill(f32::NAN);
    }
}

/// The log-softmax of one row.
#[inline(always)]
pub(crate) fn log_softmax<S: Simd>(s: S, x: &[f32], out: &mut [f32]) {
    let state = state(s, x);
    if state.max().is_finite() {
        map(s, x, x, out, &LogSoftmax::new(s, &state));
    } else {
        out.fill(f32::NAN);
    }
}

#[inline(always)]
pub(crate) fn log_softmax_in_place<S: Simd>(s: S, x: &mut [f32]) {
    let state = state(s, x);
    if state.max().is_finite() {
        map_in_place(s, x, &LogSoftmax::new(s, &state));
    } else {
        x.fill(f32::NAN);
    }
}

/// The softmax of rows of up to [`SHORT`](rows_in_lanes::SHORT) classes, side by side; `out` has one after another.
#[inline(always)]
pub(crate) fn softmaxes<S: Simd>(s: S, x: &[f32], layout: Layout, out: &mut [f32]) {
    let nan = s.splat(f32::NAN);
    let mut columns = LogitsAndExps::new(s);
    let out_layout = Layout::contiguous(layout.classes);
    for (group, out) in out.chunks_mut((S::LANES * layout.classes).max(1)).enumerate() {
        let x = x.get(group * S::LANES * layout.row_stride..).unwrap_or(&[]);
        let n_rows = out.len() / layout.classes.max(1);
        let (m, sum) = columns.set(s, x, layout);
        let (one_plus_sum, _) = rows_in_lanes::add_to(s, s.splat(SCALE), sum);
        let factor = s.div(s.splat(1.0), one_plus_sum);
        // An infinite maximum, or a NaN sum.
        let row = Softmax { m, factor: s.select(is_finite(s, m), factor, nan) };
        let elements = columns.logits.iter().zip(&columns.exps).take(layout.classes);
        for (class, (&x, &exp)) in elements.enumerate() {
            let v = canonical(s, row.of_exp(s, x, exp));
            out_layout.store_column(s, v, out, class, n_rows);
        }
    }
}

/// The same for the log-softmax.
#[inline(always)]
pub(crate) fn log_softmaxes<S: Simd>(s: S, x: &[f32], layout: Layout, out: &mut [f32]) {
    let mut work = Workspace::new(s);
    let out_layout = Layout::contiguous(layout.classes);
    for (group, out) in out.chunks_mut((S::LANES * layout.classes).max(1)).enumerate() {
        let x = x.get(group * S::LANES * layout.row_stride..).unwrap_or(&[]);
        let n_rows = out.len() / layout.classes.max(1);
        let (m, sum) = rows_in_lanes::states(s, x, layout, &mut work);
        let ln_1p_sum = ln_1p(s, s.mul(sum, s.splat(UNSCALE)));
        let m = s.select(is_finite(s, m), m, s.splat(f32::NAN));
        let row = LogSoftmax { m, ln_1p_sum };
        for class in 0..layout.classes {
            let x = layout.column(s, x, class);
            out_layout.store_column(s, canonical(s, row.of(s, x, x)), out, class, n_rows);
        }
    }
}

/// `factor exp(x - m)`.
///
/// The factor can be as small as an f32, so that the scale of the exponential is undone first.
pub(super) struct ScaledExp<S: Simd> {
    m: S::F32,
    factor: S::F32,
}

impl<S: Simd> ScaledExp<S> {
    #[inline(always)]
    pub(super) fn new(s: S, m: f32, factor: f32) -> Self {
        ScaledExp { m: s.splat(m), factor: s.splat(factor) }
    }
}

impl<S: Simd> Map<S> for ScaledExp<S> {
    #[inline(always)]
    fn of(&self, s: S, x: S::F32, _: S::F32) -> S::F32 {
        self.of_exp(s, x, exp_scaled(s, s.sub(x, self.m)))
    }
}

impl<S: Simd> ExpMap<S> for ScaledExp<S> {
    #[inline(always)]
    fn of_exp(&self, s: S, _: S::F32, exp: S::F32) -> S::F32 {
        s.mul(s.mul(exp, s.splat(UNSCALE)), self.factor)
    }
}
