//! Losses of rows with a distribution, and their gradients: sums and maps over the classes of a row
//! whose state is known.
//!
//! With what each class counts, `v`, and `l_c = (m - x_c) + ln(1 + s)`, `p = softmax(x)`, `q = 1 - p`:
//!
//! 1. the loss is the sum of `v q^gamma l`;
//! 2. with `u = v q^gamma (1 + gamma p l / q)`, the gradient is `p_c (U - u_c) - u_c q_c`, where `U` is
//!    the sum of `u`, to which a z-loss adds `2 z lse`. So that of a class that counts alone is
//!    `-u q`, which does not cancel.
//!
//! Source: as `label.rs`.

use super::label::{Extras, MAX_LANES, States};
use super::map::canonical;
use super::rows_in_lanes::{self, Layout, Values, Workspace};
use super::tree::{BLOCK, Term, TreeSum, block_sum};
use crate::log_sum_exp::LogSumExp;
use crate::math::exp::{SCALE, UNSCALE, exp_scaled};
use crate::math::power::power;
use crate::simd::Simd;

/// What each class of a row counts, from its place in a distribution `y`: `w (keep y + add)`.
///
/// An empty slice of weights stands for 1. A class of weight 0 counts 0, whatever else; any other
/// counts NaN where `shown`, if it is not empty, is NaN.
#[derive(Clone, Copy)]
pub(crate) struct ClassTerms<'a> {
    pub(crate) class_weights: &'a [f32],
    pub(crate) shown: &'a [f32],
    pub(crate) keep: f32,
    pub(crate) add: f32,
}

/// `weight term` of a `weight` that is finite; 0 without a weight, whatever the term. A product that underflows is the smallest f32, not 0,
/// which would be absent, also where its loss is infinite.
#[inline(always)]
fn counted<S: Simd>(s: S, weight: S::F32, term: S::F32) -> S::F32 {
    let (zero, product) = (s.splat(0.0), s.mul(weight, term));
    let at_least = s.max(product, s.splat(f32::from_bits(1)));
    let product = s.select(s.lt(zero, term), at_least, product);
    s.select(s.eq(weight, zero), zero, product)
}

#[inline(always)]
pub(crate) fn class_terms_in_place<S: Simd>(s: S, y: &mut [f32], terms: ClassTerms<'_>) {
    let ClassTerms { class_weights: mut weights, mut shown, keep, add } = terms;
    for y in y.chunks_mut(S::LANES) {
        let term = s.mul_add(s.splat(keep), s.load(y, 0.0), s.splat(add));
        let shown_term = s.load(shown, 0.0);
        let term = s.select(s.eq(shown_term, shown_term), term, shown_term);
        s.store(counted(s, s.load(weights, 1.0), term), y);
        weights = weights.get(S::LANES..).unwrap_or(&[]);
        shown = shown.get(S::LANES..).unwrap_or(&[]);
    }
}

/// `v ((m - x) + ln(1 + s))`.
#[derive(Clone, Copy)]
struct NearTargetLoss<S: Simd> {
    m: S::F32,
    ln_1p_sum: S::F32,
}

/// Up to this `|m|`, `m - x` does not overflow but where no loss is finite.
const NEAR: f32 = 1e30;

impl<S: Simd> Term<S> for NearTargetLoss<S> {
    const PAD: (f32, f32) = (0.0, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, x: S::F32, v: S::F32) -> S::F32 {
        let loss = s.add(s.sub(self.m, x), self.ln_1p_sum);
        s.select(s.eq(v, s.splat(0.0)), s.splat(0.0), s.mul(v, loss))
    }
}

/// The same for any `m`, with a power of two `h` as `v ((h m - h x) + h ln(1 + s)) / h`.
#[derive(Clone, Copy)]
struct TargetLoss<S: Simd> {
    minus_h: S::F32,
    one_by_h: S::F32,
    h_m: S::F32,
    h_ln_1p_sum: S::F32,
}

impl<S: Simd> TargetLoss<S> {
    /// For finite states. `h` is 1, or 1/2 where `m - x` could overflow.
    #[inline(always)]
    fn new(s: S, states: &States<S>) -> Self {
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        let m = states.m;
        let abs = s.select(s.lt(m, zero), s.sub(zero, m), m);
        let small = s.lt(abs, s.splat(NEAR));
        let h = s.select(small, one, s.splat(0.5));
        TargetLoss {
            minus_h: s.sub(zero, h),
            one_by_h: s.select(small, one, s.splat(2.0)),
            h_m: s.mul(h, m),
            h_ln_1p_sum: s.mul(h, states.ln_1p_sum(s)),
        }
    }
}

impl<S: Simd> Term<S> for TargetLoss<S> {
    const PAD: (f32, f32) = (0.0, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, x: S::F32, v: S::F32) -> S::F32 {
        let zero = s.splat(0.0);
        // The product is exact, so that this is one rounding in either class.
        let distance = s.mul_add(x, self.minus_h, self.h_m);
        let h_loss = s.add(distance, self.h_ln_1p_sum);
        s.select(s.eq(v, zero), zero, s.mul(s.mul(v, h_loss), self.one_by_h))
    }
}

/// A class of a row with a finite state.
struct Class<S: Simd> {
    p: S::F32,
    q: S::F32,
    /// `exp(x - m) * 2^64`, and the sum of all the others.
    exp: S::F32,
    rest: S::F32,
    loss: S::F32,
}

/// Classes from the state of their row.
struct Classes<S: Simd> {
    m: S::F32,
    sum: S::F32,
    total: S::F32,
    one_by_total: S::F32,
    ln_1p_sum: S::F32,
    gamma: f32,
}

impl<S: Simd> Classes<S> {
    #[inline(always)]
    fn new(s: S, states: &States<S>, gamma: f32) -> Self {
        let total = s.add(s.splat(SCALE), states.sum);
        Classes {
            m: states.m,
            sum: states.sum,
            total,
            one_by_total: s.div(s.splat(1.0), total),
            ln_1p_sum: states.ln_1p_sum(s),
            gamma,
        }
    }

    #[inline(always)]
    fn class(&self, s: S, x: S::F32) -> Class<S> {
        let distance = s.sub(self.m, x);
        let exp = exp_scaled(s, s.sub(s.splat(0.0), distance));
        // Where x is the maximum, 1 + s - exp(0) would lose the digits of a small s.
        let is_max = s.eq(distance, s.splat(0.0));
        let rest = s.select(is_max, self.sum, s.sub(self.total, exp));
        Class {
            p: s.mul(exp, self.one_by_total),
            q: s.mul(rest, self.one_by_total),
            exp,
            rest,
            loss: s.add(distance, self.ln_1p_sum),
        }
    }

    /// `q^gamma (1 + gamma p l / q)`; where `p` or `q` is 0, the limits.
    #[inline(always)]
    fn slope(&self, s: S, class: &Class<S>) -> S::F32 {
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        if self.gamma == 0.0 {
            return one;
        }
        let turn = s.mul(s.splat(self.gamma), s.div(s.mul(class.p, class.loss), class.q));
        let turn = s.select(s.eq(class.p, zero), zero, turn);
        let slope = s.mul(power(s, class.q, self.gamma), s.add(one, turn));
        s.select(s.eq(class.q, zero), zero, slope)
    }
}

/// `v q^gamma l`.
struct FocalLoss<S: Simd>(Classes<S>);

impl<S: Simd> Term<S> for FocalLoss<S> {
    const PAD: (f32, f32) = (f32::NEG_INFINITY, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, x: S::F32, v: S::F32) -> S::F32 {
        let zero = s.splat(0.0);
        let class = self.0.class(s, x);
        let loss = s.mul(power(s, class.q, self.0.gamma), class.loss);
        let loss = s.select(s.eq(class.q, zero), zero, loss);
        s.select(s.eq(v, zero), zero, s.mul(v, loss))
    }
}

/// `u = v q^gamma (1 + gamma p l / q)`.
struct FocalSlope<S: Simd>(Classes<S>);

impl<S: Simd> Term<S> for FocalSlope<S> {
    const PAD: (f32, f32) = (f32::NEG_INFINITY, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, x: S::F32, v: S::F32) -> S::F32 {
        s.mul(v, self.0.slope(s, &self.0.class(s, x)))
    }
}

/// `v` itself.
struct Weight;

impl<S: Simd> Term<S> for Weight {
    const PAD: (f32, f32) = (0.0, 0.0);

    #[inline(always)]
    fn of(&mut self, _: S, _: S::F32, v: S::F32) -> S::F32 {
        v
    }
}

/// Adds the losses of one or several blocks of a row with a finite `state` to `sum`.
#[inline(always)]
pub(crate) fn loss_sum<S: Simd>(
    s: S,
    sum: &mut TreeSum,
    x: &[f32],
    v: &[f32],
    state: &LogSumExp,
    gamma: f32,
) {
    for (x, v) in x.chunks(BLOCK).zip(v.chunks(BLOCK)) {
        let states = States::splat(s, state);
        sum.push(if gamma != 0.0 {
            block_sum(s, x, v, &mut FocalLoss(Classes::new(s, &states, gamma)))
        } else if state.max().abs() < NEAR {
            let (m, ln_1p_sum) = (states.m, states.ln_1p_sum(s));
            block_sum(s, x, v, &mut NearTargetLoss { m, ln_1p_sum })
        } else {
            block_sum(s, x, v, &mut TargetLoss::new(s, &states))
        });
    }
}

/// Adds the `u` of one or several blocks of a row with a finite `state` to `sum`.
#[inline(always)]
pub(crate) fn slope_sum<S: Simd>(
    s: S,
    sum: &mut TreeSum,
    x: &[f32],
    v: &[f32],
    state: &LogSumExp,
    gamma: f32,
) {
    for (x, v) in x.chunks(BLOCK).zip(v.chunks(BLOCK)) {
        sum.push(if gamma == 0.0 {
            block_sum(s, v, v, &mut Weight)
        } else {
            block_sum(s, x, v, &mut FocalSlope(Classes::new(s, &States::splat(s, state), gamma)))
        });
    }
}

/// What the gradient of a row with a distribution is made of, beside its state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GradientTerms {
    pub(crate) gamma: f32,
    /// Factor of every `u`.
    pub(crate) alpha: f32,
    /// `U`, the sum of `u`: from the same terms, so that `U - u` is 0 where one class counts alone.
    pub(crate) total: f32,
    /// `2 z lse`, apart: added to `U` it would lose its digits.
    pub(crate) z_slope: f32,
    /// Factor of everything.
    pub(crate) scale: f32,
}

/// The gradient of classes from the states of their rows.
struct Gradient<S: Simd> {
    classes: Classes<S>,
    alpha: S::F32,
    total: S::F32,
    z_slope: S::F32,
    scale: S::F32,
    share: S::F32,
    down: S::F32,
}

impl<S: Simd> Gradient<S> {
    /// `alpha` and `gamma` are those of [`GradientTerms`], as are the vectors; the states are finite.
    #[inline(always)]
    fn new(
        s: S,
        states: &States<S>,
        [gamma, alpha]: [f32; 2],
        total: S::F32,
        z_slope: S::F32,
        scale: S::F32,
    ) -> Self {
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        let classes = Classes::new(s, states, gamma);
        // So that products of p do not pass through subnormal numbers; nor do they overflow.
        let abs = s.select(s.lt(total, zero), s.sub(zero, total), total);
        let small = s.lt(abs, s.splat(1e18));
        let up = s.select(small, s.splat(SCALE), one);
        let down = s.select(small, s.splat(UNSCALE), one);
        let share = s.mul(classes.one_by_total, up);
        Gradient { classes, alpha: s.splat(alpha), total, z_slope, scale, share, down }
    }

    #[inline(always)]
    fn of(&self, s: S, x: S::F32, v: S::F32) -> S::F32 {
        let class = self.classes.class(s, x);
        let u = s.mul(v, self.classes.slope(s, &class));
        let (p, q) = (s.mul(class.exp, self.share), s.mul(class.rest, self.share));
        let own = s.mul(s.sub(s.mul(p, s.sub(self.total, u)), s.mul(u, q)), self.down);
        let by_z = s.mul_add(self.alpha, own, s.mul(self.z_slope, class.p));
        canonical(s, s.mul(self.scale, by_z))
    }
}

/// Turns a block of logits of a row with a finite `state` into its gradient.
#[inline(always)]
pub(crate) fn gradient_in_place<S: Simd>(
    s: S,
    x: &mut [f32],
    v: &[f32],
    state: &LogSumExp,
    terms: GradientTerms,
) {
    let GradientTerms { gamma, alpha, total, z_slope, scale } = terms;
    let (total, z_slope, scale) = (s.splat(total), s.splat(z_slope), s.splat(scale));
    let states = States::splat(s, state);
    let gradient = Gradient::new(s, &states, [gamma, alpha], total, z_slope, scale);
    for (x, v) in x.chunks_mut(S::LANES).zip(v.chunks(S::LANES)) {
        s.store(gradient.of(s, s.load(x, 0.0), s.load(v, 0.0)), x);
    }
}

/// What the classes of some rows count, and what the rows do; slices of rows are of one length.
#[derive(Clone, Copy)]
pub(crate) struct ClassRows<'a> {
    pub(crate) targets: ClassTargets<'a>,
    /// `w`, `keep` and `add` of [`ClassTerms`].
    pub(crate) terms: ClassTerms<'a>,
    /// Factor of every term.
    pub(crate) alpha: f32,
    /// Factor of the loss; 0 for what is absent, whatever its logits hold.
    pub(crate) scales: &'a [f32],
    /// What the logits of the row were lowered by.
    pub(crate) offsets: &'a [f32],
}

/// The `y` of [`ClassTerms`] for many rows.
#[derive(Clone, Copy)]
pub(crate) enum ClassTargets<'a> {
    /// 1 at a class, 0 elsewhere.
    Labels(&'a [usize]),
    /// From the first row on.
    Distributions(&'a [f32], Layout),
}

/// What the classes of the rows `first ..` count, a row in each lane.
pub(super) struct LaneTerms<'a, S: Simd> {
    rows: &'a ClassRows<'a>,
    first: usize,
    /// The labels as numbers.
    labels: S::F32,
}

impl<'a, S: Simd> LaneTerms<'a, S> {
    #[inline(always)]
    pub(super) fn new(s: S, rows: &'a ClassRows<'a>, first: usize) -> Self {
        let mut numbers = [0.0; MAX_LANES];
        if let ClassTargets::Labels(labels) = rows.targets {
            for (to, &label) in numbers.iter_mut().zip(labels.get(first..).unwrap_or(&[])) {
                *to = label as f32;
            }
        }
        LaneTerms { rows, first, labels: s.load(&numbers, 0.0) }
    }
}

impl<S: Simd> Values<S> for LaneTerms<'_, S> {
    #[inline(always)]
    fn of(&self, s: S, class: usize, _: S::F32) -> S::F32 {
        let ClassTerms { class_weights, keep, add, .. } = self.rows.terms;
        let weight = s.splat(class_weights.get(class).copied().unwrap_or(1.0));
        match self.rows.targets {
            ClassTargets::Labels(_) => {
                let is_label = s.eq(self.labels, s.splat(class as f32));
                counted(s, weight, s.select(is_label, s.splat(keep + add), s.splat(add)))
            }
            ClassTargets::Distributions(y, layout) => {
                let y = y.get(self.first * layout.row_stride..).unwrap_or(&[]);
                let y = layout.column(s, y, class);
                // As it is given, a zero with its sign.
                if class_weights.is_empty() && keep == 1.0 && add == 0.0 {
                    return y;
                }
                counted(s, weight, s.mul_add(s.splat(keep), y, s.splat(add)))
            }
        }
    }
}

impl<S: Simd> LaneTerms<'_, S> {
    /// The losses of the rows in `x`, as many as there are lanes.
    #[inline(always)]
    fn losses(
        &self,
        s: S,
        x: &[f32],
        layout: Layout,
        states: &States<S>,
        extras: Extras,
        work: &mut Workspace<S>,
    ) -> S::F32 {
        let sum = if extras.gamma == 0.0 {
            rows_in_lanes::sums(s, x, layout, &mut TargetLoss::new(s, states), self, work)
        } else {
            let term = &mut FocalLoss(Classes::new(s, states, extras.gamma));
            rows_in_lanes::sums(s, x, layout, term, self, work)
        };
        let mut loss = self.times_alpha(s, sum);
        if extras.z_loss != 0.0 {
            let lse = self.lse(s, states);
            loss = s.add(loss, s.mul(s.mul(s.splat(extras.z_loss), lse), lse));
        }
        self.scaled(s, s.select(states.are_finite(s), loss, s.splat(f32::NAN)))
    }

    /// The sums of terms times the factor of every term.
    #[inline(always)]
    pub(super) fn times_alpha(&self, s: S, sum: S::F32) -> S::F32 {
        let alpha = self.rows.alpha;
        if alpha == 0.0 { s.splat(0.0) } else { s.mul(s.splat(alpha), sum) }
    }

    /// The losses of rows times the factors of the rows; 0 in a row that counts nothing.
    #[inline(always)]
    pub(super) fn scaled(&self, s: S, loss: S::F32) -> S::F32 {
        let (zero, scale) = (s.splat(0.0), self.scales(s));
        canonical(s, s.select(s.eq(scale, zero), zero, s.mul(scale, loss)))
    }

    /// The gradients of the rows in `x`, of which there are states; 0 in a row that counts nothing.
    #[inline(always)]
    fn gradients_in_place(
        &self,
        s: S,
        (x, layout, n_rows): (&mut [f32], Layout, usize),
        states: &States<S>,
        extras: Extras,
        factor: f32,
        work: &mut Workspace<S>,
    ) {
        let zero = s.splat(0.0);
        let Extras { gamma, z_loss } = extras;
        let total = if gamma == 0.0 {
            rows_in_lanes::sums(s, x, layout, &mut Weight, self, work)
        } else {
            let term = &mut FocalSlope(Classes::new(s, states, gamma));
            rows_in_lanes::sums(s, x, layout, term, self, work)
        };
        let mut z_slope = zero;
        if z_loss != 0.0 {
            let z_lse = s.mul(s.splat(z_loss), self.lse(s, states));
            z_slope = s.add(z_lse, z_lse);
        }
        let scale = self.scales(s);
        let by_factor = s.mul(scale, s.splat(factor));
        let gradient =
            Gradient::new(s, states, [gamma, self.rows.alpha], total, z_slope, by_factor);
        // Of a mean over nothing the gradient is 0, also that of a row without a loss.
        let without_loss = s.splat(if factor == 0.0 { 0.0 } else { f32::NAN });
        let (finite, absent) = (states.are_finite(s), s.eq(scale, zero));
        for class in 0..layout.classes {
            let column = layout.column(s, x, class);
            let v = gradient.of(s, column, self.of(s, class, column));
            let v = s.select(absent, zero, s.select(finite, v, without_loss));
            layout.store_column(s, v, x, class, n_rows);
        }
    }

    #[inline(always)]
    fn scales(&self, s: S) -> S::F32 {
        s.load(self.rows.scales.get(self.first..).unwrap_or(&[]), 0.0)
    }

    #[inline(always)]
    fn lse(&self, s: S, states: &States<S>) -> S::F32 {
        let offset = s.load(self.rows.offsets.get(self.first..).unwrap_or(&[]), 0.0);
        s.add(s.add(offset, states.m), states.ln_1p_sum(s))
    }
}

/// Losses of rows with a sum over the classes that fit in lanes, one for each element of `out`.
#[inline(always)]
pub(crate) fn losses_in_lanes<S: Simd>(
    s: S,
    x: &[f32],
    layout: Layout,
    rows: ClassRows<'_>,
    extras: Extras,
    out: &mut [f32],
) {
    let mut work = Workspace::new(s);
    for (group, out) in out.chunks_mut(S::LANES).enumerate() {
        let first = group * S::LANES;
        let x = x.get(first * layout.row_stride..).unwrap_or(&[]);
        let states = States::in_lanes(s, x, layout, &mut work);
        let terms = LaneTerms::new(s, &rows, first);
        s.store(terms.losses(s, x, layout, &states, extras, &mut work), out);
    }
}

/// As [`losses_in_lanes`], with `factor` times their gradients in the place of the logits.
#[inline(always)]
pub(crate) fn gradients_in_lanes<S: Simd>(
    s: S,
    x: &mut [f32],
    layout: Layout,
    rows: ClassRows<'_>,
    extras: Extras,
    factor: f32,
    losses: &mut [f32],
) {
    let mut work = Workspace::new(s);
    for (group, losses) in losses.chunks_mut(S::LANES).enumerate() {
        let first = group * S::LANES;
        let x = x.get_mut(first * layout.row_stride..).unwrap_or_default();
        let states = States::in_lanes(s, x, layout, &mut work);
        let terms = LaneTerms::new(s, &rows, first);
        s.store(terms.losses(s, x, layout, &states, extras, &mut work), losses);
        let x = (x, layout, losses.len());
        terms.gradients_in_place(s, x, &states, extras, factor, &mut work);
    }
}
