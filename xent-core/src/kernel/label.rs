//! Losses of rows with a label, and their gradients.
//!
//! 1. The state of each row, `m` and `s`: sixteen or so short rows side by side, longer ones by
//!    themselves.
//! 2. What depends on the state and the label alone, for as many rows at once as there are lanes:
//!    the loss `(m - x_t) + ln(1 + s)`, its focal factor, its class weight, the z-loss.
//! 3. For a gradient, each row again while it is in cache: every element is `p_c` times one factor of
//!    the row, but that of the label. Short rows stay in their lanes; exponentials are kept where they can be.
//!
//! With `p = softmax(x)` and `q = 1 - p_t`, which is `s / (1 + s)` where `x_t = m` and otherwise
//! `(1 + s - exp(x_t - m)) / (1 + s)`, so that it never cancels, a row of weight `w` has
//!
//! ```text
//! loss       w q^gamma l + z lse^2              with l = (m - x_t) + ln(1 + s)
//! gradient   p_c (u + 2 z lse)                  with u = w q^gamma (1 + gamma p_t l / q)
//! at t       2 z lse p_t - u q
//! ```
//!
//! Source: the chain rule; T.-Y. Lin et al., Focal Loss for Dense Object Detection (2017), for the
//! focal factor; PaLM (A. Chowdhery et al., 2022), section 5, for the z-loss.

use core::ops::Range;

use super::kept_exps::{map_kept, state_and_exps};
use super::log_sum_exp::{self, state};
use super::map::{canonical, is_finite, map_in_place};
use super::rows_in_lanes::{self, Layout, LogitsAndExps, SHORT, Workspace};
use super::softmax::ScaledExp;
use crate::log_sum_exp::LogSumExp;
use crate::math::exp::{SCALE, UNSCALE, exp_scaled};
use crate::math::ln_1p::ln_1p;
use crate::math::power::power;
use crate::simd::Simd;

/// The most lanes of any backend: rows of a group.
pub(super) const MAX_LANES: usize = 16;

/// Rows are taken in groups for a gradient up to this many classes: 16 of them and their gradients stay in L2.
const MAX_GROUP_CLASSES: usize = 2048;

/// What is added to cross-entropy, the same for every row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extras {
    /// Exponent of the focal factor; 0 is no factor.
    pub(crate) gamma: f32,
    /// Factor of `lse^2`.
    pub(crate) z_loss: f32,
}

/// The labels of some rows and what the rows count; all slices are of one length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LabelRows<'a> {
    /// Classes; those of ignored rows are any.
    pub(crate) labels: &'a [usize],
    /// Class weight of the label, times the focal factor's constant.
    pub(crate) weights: &'a [f32],
    /// Factor of loss and gradient; 0 for what is absent, whatever its logits hold.
    pub(crate) scales: &'a [f32],
    /// What the logits of the row were lowered by.
    pub(crate) offsets: &'a [f32],
    /// Factor of every gradient.
    pub(crate) factor: f32,
}

/// The sums of some rows: the states in lanes.
pub(super) struct States<S: Simd> {
    pub(super) m: S::F32,
    /// `s * 2^64`.
    pub(super) sum: S::F32,
}

impl<S: Simd> States<S> {
    #[inline(always)]
    pub(super) fn splat(s: S, state: &LogSumExp) -> Self {
        States { m: s.splat(state.max()), sum: s.splat(state.scaled_sum().hi) }
    }

    /// Of as many rows as there are lanes; the first is at the start of `x`.
    #[inline(always)]
    pub(super) fn in_lanes(s: S, x: &[f32], layout: Layout, work: &mut Workspace<S>) -> Self {
        let (m, sum) = rows_in_lanes::states(s, x, layout, work);
        States { m, sum }
    }

    /// `ln(1 + s)`.
    #[inline(always)]
    pub(super) fn ln_1p_sum(&self, s: S) -> S::F32 {
        ln_1p(s, s.mul(self.sum, s.splat(UNSCALE)))
    }

    /// Whether a row has neither an infinite maximum nor a NaN.
    #[inline(always)]
    pub(super) fn are_finite(&self, s: S) -> S::Mask {
        is_finite(s, s.select(s.eq(self.sum, self.sum), self.m, self.sum))
    }

    /// Of up to as many rows as there are lanes; the first is at the start of `x`. Without registers where no
    /// group of the call goes in lanes.
    #[inline(always)]
    fn of_rows(
        s: S,
        x: &[f32],
        layout: Layout,
        n_rows: usize,
        work: Option<&mut Workspace<S>>,
    ) -> Self {
        if let Some(work) = work
            && layout.goes_in_lanes::<S>(n_rows)
        {
            return States::in_lanes(s, x, layout, work);
        }
        let mut m = [f32::NEG_INFINITY; MAX_LANES];
        let mut sum = [0.0; MAX_LANES];
        for (row, (m, sum)) in m.iter_mut().zip(&mut sum).take(n_rows).enumerate() {
            let start = row * layout.row_stride;
            let state = state(s, x.get(start..start + layout.classes).unwrap_or(&[]));
            (*m, *sum) = (state.max(), state.scaled_sum().hi);
        }
        States { m: s.load(&m, 0.0), sum: s.load(&sum, 0.0) }
    }
}

/// States as of [`States::of_rows`], and for each row which of its exponentials are kept in `out`.
#[inline(always)]
fn states_and_exps<S: Simd>(
    s: S,
    x: &[f32],
    classes: usize,
    out: &mut [f32],
) -> (States<S>, [Range<usize>; MAX_LANES]) {
    let (mut m, mut sum) = ([f32::NEG_INFINITY; MAX_LANES], [0.0; MAX_LANES]);
    let mut kept = [const { 0..0 }; MAX_LANES];
    let to = m.iter_mut().zip(&mut sum).zip(&mut kept);
    for (((m, sum), kept), (x, out)) in to.zip(x.chunks(classes).zip(out.chunks_mut(classes))) {
        let state;
        (state, *kept) = state_and_exps(s, x, out);
        (*m, *sum) = (state.max(), state.scaled_sum().hi);
    }
    (States { m: s.load(&m, 0.0), sum: s.load(&sum, 0.0) }, kept)
}

/// What becomes of a state and the logit of a label.
trait Finish<S: Simd> {
    /// The losses of rows `first ..`, whose label logits are `x_t`.
    fn losses(&self, s: S, states: &States<S>, x_t: S::F32, first: usize) -> S::F32;
}

/// `(m - x_t) + ln(1 + s)`.
///
/// The two terms are not negative: adding `ln(1 + s)` to `m` first loses a small loss.
struct Plain;

impl<S: Simd> Finish<S> for Plain {
    #[inline(always)]
    fn losses(&self, s: S, states: &States<S>, x_t: S::F32, _: usize) -> S::F32 {
        let loss = s.add(s.sub(states.m, x_t), states.ln_1p_sum(s));
        canonical(s, s.select(is_finite(s, states.m), loss, s.splat(f32::NAN)))
    }
}

struct Weighted<'a> {
    rows: LabelRows<'a>,
    extras: Extras,
}

/// The loss of a row, and the factors of its gradient.
struct Terms<S: Simd> {
    loss: S::F32,
    /// `factor scale (u + 2 z lse) / (1 + s)`, the factor of `exp(x_c - m)`.
    others: S::F32,
    /// The element at the label.
    label: S::F32,
}

impl Weighted<'_> {
    #[inline(always)]
    fn terms<S: Simd>(&self, s: S, states: &States<S>, x_t: S::F32, first: usize) -> Terms<S> {
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        let &States { m, sum } = states;
        let weight = s.load(self.rows.weights.get(first..).unwrap_or(&[]), 0.0);
        let scale = s.load(self.rows.scales.get(first..).unwrap_or(&[]), 0.0);
        let finite = is_finite(s, m);

        let ln_1p_sum = states.ln_1p_sum(s);
        let distance = s.sub(m, x_t);
        let label_loss = s.add(distance, ln_1p_sum);
        let total = s.add(s.splat(SCALE), sum);
        let exp_t = exp_scaled(s, s.sub(zero, distance));
        let rest = s.select(s.eq(distance, zero), sum, s.sub(total, exp_t));
        let (p, q) = (s.div(exp_t, total), s.div(rest, total));

        let (mut loss, mut u) = (label_loss, one);
        if self.extras.gamma != 0.0 {
            let factor = power(s, q, self.extras.gamma);
            let slope = s.mul(s.splat(self.extras.gamma), s.div(s.mul(p, label_loss), q));
            // Where p or q is 0, the limits.
            let slope = s.select(s.eq(p, zero), zero, slope);
            let certain = s.eq(q, zero);
            loss = s.select(certain, zero, s.mul(factor, label_loss));
            u = s.select(certain, zero, s.mul(factor, s.add(one, slope)));
        }
        // A term of weight 0 is absent, also where it is infinite or NaN.
        let absent = s.eq(weight, zero);
        let nan = s.splat(f32::NAN);
        let mut loss = s.select(absent, zero, s.select(finite, s.mul(weight, loss), nan));
        let mut u = s.select(absent, zero, s.mul(weight, u));

        let mut label = s.select(absent, zero, s.sub(zero, s.mul(u, q)));
        if self.extras.z_loss != 0.0 {
            let offset = s.load(self.rows.offsets.get(first..).unwrap_or(&[]), 0.0);
            let lse = s.add(s.add(offset, m), ln_1p_sum);
            let z_lse = s.mul(s.splat(self.extras.z_loss), lse);
            loss = s.add(loss, s.select(finite, s.mul(z_lse, lse), nan));
            let slope = s.add(z_lse, z_lse);
            u = s.add(u, slope);
            label = s.mul_add(slope, p, label);
        }
        let one_plus_sum = s.mul(total, s.splat(UNSCALE));
        let factor = s.mul(scale, s.splat(self.rows.factor));
        let slope = s.mul(factor, u);
        // Also where the sum is NaN: of a class that is absent.
        let others = s.select(s.eq(slope, zero), zero, s.div(slope, one_plus_sum));
        let loss = s.select(s.eq(scale, zero), zero, s.mul(scale, loss));
        // The factor is 0 for a mean over nothing too.
        let absent = s.eq(factor, zero);
        Terms {
            loss: canonical(s, loss),
            others: s.select(absent, zero, others),
            // + 0: one that underflows is 0, not -0.
            label: s.select(absent, zero, s.add(s.mul(factor, label), zero)),
        }
    }
}

impl<S: Simd> Finish<S> for Weighted<'_> {
    #[inline(always)]
    fn losses(&self, s: S, states: &States<S>, x_t: S::F32, first: usize) -> S::F32 {
        self.terms(s, states, x_t, first).loss
    }
}

/// The logits of the labels of up to as many rows as there are lanes, the first of which is at the
/// start of `x`; NaN where there is none.
#[inline(always)]
fn label_logits(x: &[f32], layout: Layout, labels: &[usize]) -> [f32; MAX_LANES] {
    let mut logits = [f32::NAN; MAX_LANES];
    for (row, (to, &label)) in logits.iter_mut().zip(labels).enumerate() {
        let at = row * layout.row_stride + label * layout.class_stride;
        *to = x.get(at).copied().unwrap_or(f32::NAN);
    }
    logits
}

#[inline(always)]
fn losses_of<S: Simd, F: Finish<S>>(
    s: S,
    x: &[f32],
    layout: Layout,
    labels: &[usize],
    finish: &F,
    out: &mut [f32],
) {
    let mut registers;
    let mut work = None;
    if layout.goes_in_lanes::<S>(out.len()) {
        registers = Workspace::new(s);
        work = Some(&mut registers);
    }
    let groups = labels.chunks(S::LANES).zip(out.chunks_mut(S::LANES));
    for (group, (labels, out)) in groups.enumerate() {
        let first = group * S::LANES;
        let x = x.get(first * layout.row_stride..).unwrap_or(&[]);
        let label_logits = label_logits(x, layout, labels);
        let states = States::of_rows(s, x, layout, out.len(), work.as_deref_mut());
        s.store(finish.losses(s, &states, s.load(&label_logits, 0.0), first), out);
    }
}

/// The loss of one row.
#[inline(always)]
pub(crate) fn loss<S: Simd>(s: S, x: &[f32], label: usize) -> f32 {
    log_sum_exp::loss(s, &state(s, x), x.get(label).copied().unwrap_or(f32::NAN))
}

/// Losses of the rows in `x`, one for each element of `out`.
#[inline(always)]
pub(crate) fn losses<S: Simd>(s: S, x: &[f32], layout: Layout, labels: &[usize], out: &mut [f32]) {
    losses_of(s, x, layout, labels, &Plain, out);
}

/// As [`losses`], with weights and extras.
#[inline(always)]
pub(crate) fn weighted_losses<S: Simd>(
    s: S,
    x: &[f32],
    layout: Layout,
    rows: LabelRows<'_>,
    extras: Extras,
    out: &mut [f32],
) {
    losses_of(s, x, layout, rows.labels, &Weighted { rows, extras }, out);
}

/// The loss of one row from its state and the logit of its label, with weights and extras.
#[inline(always)]
pub(crate) fn weighted_loss_of_state<S: Simd>(
    s: S,
    state: &LogSumExp,
    x_t: f32,
    rows: LabelRows<'_>,
    extras: Extras,
) -> f32 {
    let finish = Weighted { rows, extras };
    s.first(finish.losses(s, &States::splat(s, state), s.splat(x_t), 0))
}

/// What the gradient of a row is made of.
#[derive(Clone, Copy)]
struct RowFactors {
    m: f32,
    /// Factor of `exp(x_c - m)`.
    others: f32,
    /// The element at the label.
    label: f32,
}

impl RowFactors {
    const NONE: RowFactors = RowFactors { m: 0.0, others: 0.0, label: 0.0 };

    /// What every element of the row is, where that needs none of its logits: 0 in a row that counts
    /// nothing, also where it holds a NaN; NaN in one that has no loss.
    #[inline(always)]
    fn constant(&self) -> Option<f32> {
        if self.others == 0.0 && self.label == 0.0 {
            Some(0.0)
        } else if self.m.is_finite() && !self.others.is_nan() {
            None
        } else {
            Some(f32::NAN)
        }
    }
}

/// The factors of the rows `first ..` in `rows`, as many as `losses`, which are written.
#[inline(always)]
fn group_factors<S: Simd>(
    s: S,
    rows: &[f32],
    layout: Layout,
    finish: &Weighted<'_>,
    first: usize,
    losses: &mut [f32],
    states: &States<S>,
) -> [RowFactors; MAX_LANES] {
    let labels = finish.rows.labels.get(first..).unwrap_or(&[]);
    let label_logits = label_logits(rows, layout, labels);
    let terms = finish.terms(s, states, s.load(&label_logits, 0.0), first);
    s.store(terms.loss, losses);
    let (mut m, mut others, mut label) = ([0.0; MAX_LANES], [0.0; MAX_LANES], [0.0; MAX_LANES]);
    s.store(states.m, &mut m);
    s.store(terms.others, &mut others);
    s.store(terms.label, &mut label);

    let mut group = [RowFactors::NONE; MAX_LANES];
    let values = m.iter().zip(&others).zip(&label);
    for (to, ((&m, &others), &label)) in group.iter_mut().zip(values) {
        *to = RowFactors { m, others, label };
    }
    group
}

/// The gradients of a group of rows of few classes, a row in each lane.
struct ShortGradients<'a, S: Simd> {
    columns: &'a LogitsAndExps<S>,
    labels: S::F32,
    terms: Terms<S>,
    /// Rows whose elements are all 0, and all NaN, as in [`RowFactors::constant`].
    absent: S::Mask,
    finite: S::Mask,
}

impl<'a, S: Simd> ShortGradients<'a, S> {
    /// Of the rows `first ..` in `x`, as many as `losses`, which are written.
    #[inline(always)]
    fn new(
        s: S,
        x: &[f32],
        layout: Layout,
        finish: &Weighted<'_>,
        first: usize,
        losses: &mut [f32],
        columns: &'a mut LogitsAndExps<S>,
    ) -> Self {
        let (zero, nan) = (s.splat(0.0), s.splat(f32::NAN));
        let labels = finish.rows.labels.get(first..).unwrap_or(&[]);
        let label_logits = s.load(&label_logits(x, layout, labels), 0.0);
        let (m, (sum, _)) = columns.set(s, x, layout);
        let terms = finish.terms(s, &States { m, sum }, label_logits, first);
        s.store(terms.loss, losses);

        let &Terms { others, label, .. } = &terms;
        let absent = s.eq(s.select(s.eq(others, zero), label, s.splat(1.0)), zero);
        let finite = is_finite(s, s.select(s.eq(others, others), m, nan));
        let mut indices = [0.0; MAX_LANES];
        for (to, &label) in indices.iter_mut().zip(labels) {
            *to = label as f32;
        }
        ShortGradients { columns, labels: s.load(&indices, 0.0), terms, absent, finite }
    }

    /// Writes them to `out`, which has the layout of the logits and `n_rows` rows.
    #[inline(always)]
    fn store(&self, s: S, out: &mut [f32], layout: Layout, n_rows: usize) {
        let (zero, nan) = (s.splat(0.0), s.splat(f32::NAN));
        for (class, &exp) in self.columns.exps.iter().enumerate().take(layout.classes) {
            let other = s.mul(s.mul(exp, s.splat(UNSCALE)), self.terms.others);
            let is_label = s.eq(self.labels, s.splat(class as f32));
            let v = s.select(self.finite, s.select(is_label, self.terms.label, other), nan);
            layout.store_column(s, s.select(self.absent, zero, v), out, class, n_rows);
        }
    }
}

/// Whether a group of rows is taken side by side, with its exponentials kept for the gradient.
#[inline(always)]
fn is_short<S: Simd>(layout: Layout, n_rows: usize) -> bool {
    layout.classes <= SHORT && layout.goes_in_lanes::<S>(n_rows)
}

/// How many rows are taken at a time for a gradient.
#[inline(always)]
fn rows_per_group<S: Simd>(classes: usize) -> usize {
    if classes <= MAX_GROUP_CLASSES { S::LANES } else { 1 }
}

/// Losses of the rows of `classes` elements that lie one after another in `x`, and their gradients
/// with respect to `x`.
#[inline(always)]
pub(crate) fn gradients<S: Simd>(
    s: S,
    x: &[f32],
    classes: usize,
    rows: LabelRows<'_>,
    extras: Extras,
    losses: &mut [f32],
    out: &mut [f32],
) {
    let (classes, finish) = (classes.max(1), Weighted { rows, extras });
    let (group_rows, layout) = (rows_per_group::<S>(classes), Layout::contiguous(classes));
    let mut registers;
    let mut columns = None;
    if layout.goes_in_lanes::<S>(losses.len()) {
        registers = LogitsAndExps::new(s);
        columns = Some(&mut registers);
    }
    let groups = x.chunks(classes * group_rows).zip(out.chunks_mut(classes * group_rows));
    for (group, ((x, out), losses)) in groups.zip(losses.chunks_mut(group_rows)).enumerate() {
        let first = group * group_rows;
        if let Some(columns) = columns.as_deref_mut()
            && is_short::<S>(layout, losses.len())
        {
            let gradients = ShortGradients::new(s, x, layout, &finish, first, losses, columns);
            gradients.store(s, out, layout, losses.len());
            continue;
        }
        let (states, kept) = match columns.as_deref_mut() {
            Some(columns) if layout.goes_in_lanes::<S>(losses.len()) => {
                let states = States::in_lanes(s, x, layout, &mut columns.work);
                (states, [const { 0..0 }; MAX_LANES])
            }
            _ => states_and_exps(s, x, classes, out),
        };
        let factors = group_factors(s, x, layout, &finish, first, losses, &states);
        let labels = rows.labels.get(first..).unwrap_or(&[]);
        let each = x.chunks_exact(classes).zip(out.chunks_exact_mut(classes));
        for ((((x, out), factors), kept), &label) in each.zip(&factors).zip(kept).zip(labels) {
            if let Some(constant) = factors.constant() {
                out.fill(constant);
                continue;
            }
            map_kept(s, x, out, kept, &ScaledExp::new(s, factors.m, factors.others));
            if let Some(out) = out.get_mut(label) {
                *out = factors.label;
            }
        }
    }
}

/// As [`gradients`], which take the place of the logits.
#[inline(always)]
pub(crate) fn gradients_in_place<S: Simd>(
    s: S,
    x: &mut [f32],
    classes: usize,
    rows: LabelRows<'_>,
    extras: Extras,
    losses: &mut [f32],
) {
    let (classes, finish) = (classes.max(1), Weighted { rows, extras });
    let (group_rows, layout) = (rows_per_group::<S>(classes), Layout::contiguous(classes));
    let mut registers;
    let mut columns = None;
    if layout.goes_in_lanes::<S>(losses.len()) {
        registers = LogitsAndExps::new(s);
        columns = Some(&mut registers);
    }
    let groups = x.chunks_mut(classes * group_rows);
    for (group, (x, losses)) in groups.zip(losses.chunks_mut(group_rows)).enumerate() {
        let first = group * group_rows;
        if let Some(columns) = columns.as_deref_mut()
            && is_short::<S>(layout, losses.len())
        {
            let gradients = ShortGradients::new(s, x, layout, &finish, first, losses, columns);
            gradients.store(s, x, layout, losses.len());
            continue;
        }
        let work = match columns.as_deref_mut() {
            Some(columns) => Some(&mut columns.work),
            None => None,
        };
        let states = States::of_rows(s, x, layout, losses.len(), work);
        let factors = group_factors(s, x, layout, &finish, first, losses, &states);
        let labels = rows.labels.get(first..).unwrap_or(&[]);
        for ((x, factors), &label) in x.chunks_exact_mut(classes).zip(&factors).zip(labels) {
            if let Some(constant) = factors.constant() {
                x.fill(constant);
                continue;
            }
            map_in_place(s, x, &ScaledExp::new(s, factors.m, factors.others));
            if let Some(x) = x.get_mut(label) {
                *x = factors.label;
            }
        }
    }
}
