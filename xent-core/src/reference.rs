//! What "correct" means: the definitions in f64, scalar, reading like the formulas.
//!
//! They share no code with the kernels. Sums are compensated, so that their own error stays below
//! 2^-50 at any length. They are slow; use them to check, not to compute.
//!
//! The functions of this page are the losses without options. With options there are, for one row each,
//! [`cross_entropy_with`], [`clipped_cross_entropy_with`], [`binary_cross_entropy_with`] and
//! [`clipped_binary_cross_entropy_with`], their gradients, and the scales that the bounds of
//! [`accuracy`] are relative to; a label is a `y` of one 1 among zeros.

mod binary;
mod clipped;
mod logits;
mod options;

use libm::{exp, expm1, log, log1p};

use crate::accuracy;

pub use binary::{
    BinaryOptions, binary_cross_entropy_gradient, binary_cross_entropy_gradient_scale,
    binary_cross_entropy_with, clipped_binary_cross_entropy_gradient,
    clipped_binary_cross_entropy_gradient_scale, clipped_binary_cross_entropy_with,
};
pub use clipped::{
    Probabilities, clipped_cross_entropy_gradient, clipped_cross_entropy_gradient_scale,
    clipped_cross_entropy_with,
};
pub use logits::{
    Logits, cross_entropy_gradient, cross_entropy_gradient_scale, cross_entropy_with,
};
pub use options::Options;

/// A sum with the rounding errors of its additions beside it.
///
/// Source: A. Neumaier, Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen (1974).
#[derive(Clone, Copy)]
struct Sum {
    value: f64,
    error: f64,
}

impl Sum {
    fn of(terms: impl Iterator<Item = f64>) -> f64 {
        let mut sum = Sum { value: 0.0, error: 0.0 };
        for x in terms {
            let total = sum.value + x;
            if total.is_finite() {
                let (big, small) =
                    if sum.value.abs() >= x.abs() { (sum.value, x) } else { (x, sum.value) };
                sum.error += (big - total) + small;
            }
            sum.value = total;
        }
        sum.value + sum.error
    }
}

/// The index of the first maximum and the maximum; NaN if there is one, `-inf` of nothing.
fn max(x: &[f32]) -> (usize, f64) {
    let mut k = (0, f64::NEG_INFINITY);
    for (i, &x) in x.iter().enumerate() {
        if x.is_nan() {
            return (i, f64::NAN);
        }
        if f64::from(x) > k.1 {
            k = (i, f64::from(x));
        }
    }
    k
}

/// `m` and `s = Σ exp(x_i - m)` over all elements but the first maximum, for a finite `m`.
fn max_and_sum(x: &[f32]) -> (f64, f64) {
    let (k, m) = max(x);
    if !m.is_finite() {
        return (m, 0.0);
    }
    let others = x.iter().enumerate().filter(|&(i, _)| i != k);
    (m, Sum::of(others.map(|(_, &x)| exp(f64::from(x) - m))))
}

fn at(x: &[f32], i: usize) -> f64 {
    x.get(i).map_or(f64::NAN, |&x| f64::from(x))
}

/// `ln Σ exp(x_i) = m + ln(1 + s)`.
///
/// ```
/// assert_eq!(xent_core::reference::log_sum_exp(&[0.0, 0.0]), 2_f64.ln());
/// ```
#[must_use]
pub fn log_sum_exp(x: &[f32]) -> f64 {
    let (m, s) = max_and_sum(x);
    if m.is_finite() { m + log1p(s) } else { m }
}

/// `ln(1 + s)`: by how much the log-sum-exp exceeds the maximum, which is the loss of the maximum.
///
/// ```
/// assert_eq!(xent_core::reference::log_sum_exp_excess(&[-3.0, -3.0]), 2_f64.ln());
/// ```
#[must_use]
pub fn log_sum_exp_excess(x: &[f32]) -> f64 {
    let (m, s) = max_and_sum(x);
    if m.is_finite() { log1p(s) } else { f64::NAN }
}

/// The mean of `m - x_i` over the elements that are not the first maximum, weighted by
/// `exp(x_i - m)`: the `D` of [`accuracy`]. 0 where the weights are 0.
///
/// ```
/// assert_eq!(xent_core::reference::mean_distance(&[3.0, 1.0]), 2.0);
/// ```
#[must_use]
pub fn mean_distance(x: &[f32]) -> f64 {
    let (k, m) = max(x);
    let (_, s) = max_and_sum(x);
    if s.is_nan() || s <= 0.0 {
        return 0.0;
    }
    let others = x.iter().enumerate().filter(|&(i, &x)| i != k && x > f32::NEG_INFINITY);
    Sum::of(others.map(|(_, &x)| (m - f64::from(x)) * exp(f64::from(x) - m))) / s
}

/// `exp(x_i) / Σ exp(x_j)`; NaN outside the row.
///
/// ```
/// assert_eq!(xent_core::reference::softmax(&[1.0, 1.0], 0), 0.5);
/// ```
#[must_use]
pub fn softmax(x: &[f32], i: usize) -> f64 {
    let (m, s) = max_and_sum(x);
    if m.is_finite() { exp(at(x, i) - m) / (1.0 + s) } else { f64::NAN }
}

/// `(x_i - m) - ln(1 + s)`; NaN outside the row.
///
/// ```
/// assert_eq!(xent_core::reference::log_softmax(&[1.0, 1.0], 0), -2_f64.ln());
/// ```
#[must_use]
pub fn log_softmax(x: &[f32], i: usize) -> f64 {
    let (m, s) = max_and_sum(x);
    if m.is_finite() { (at(x, i) - m) - log1p(s) } else { f64::NAN }
}

/// `(m - x_t) + ln(1 + s)`; NaN outside the row.
///
/// ```
/// assert_eq!(xent_core::reference::cross_entropy(&[1.0, 1.0], 0), 2_f64.ln());
/// ```
#[must_use]
pub fn cross_entropy(x: &[f32], label: usize) -> f64 {
    -log_softmax(x, label)
}

/// `Σ y_c ((m - x_c) + ln(1 + s))` over the classes with `y_c != 0`.
///
/// ```
/// assert_eq!(xent_core::reference::cross_entropy_target(&[1.0, 1.0], &[0.5, 0.5]), 2_f64.ln());
/// ```
#[must_use]
pub fn cross_entropy_target(x: &[f32], y: &[f32]) -> f64 {
    let (m, s) = max_and_sum(x);
    if !m.is_finite() {
        return f64::NAN;
    }
    let terms = x.iter().zip(y).filter(|&(_, &y)| y != 0.0);
    Sum::of(terms.map(|(&x, &y)| f64::from(y) * ((m - f64::from(x)) + log1p(s))))
}

/// `y softplus(-x) + (1 - y) softplus(x)`; a term of weight 0 is 0.
///
/// ```
/// assert_eq!(xent_core::reference::binary_cross_entropy(0.0, 1.0), 2_f64.ln());
/// ```
#[must_use]
pub fn binary_cross_entropy(x: f32, y: f32) -> f64 {
    let (x, y) = (f64::from(x), f64::from(y));
    weighted(y, softplus(-x)) + weighted(1.0 - y, softplus(x))
}

/// `ln(1 + exp(x))`.
fn softplus(x: f64) -> f64 {
    if x > 0.0 { x + log1p(exp(-x)) } else { log1p(exp(x)) }
}

/// `weight * term`; 0 where the weight is 0.
fn weighted(weight: f64, term: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { weight * term }
}

/// `q` limited to `lo ..= hi`. The range is taken as given: the losses check it, nothing here does.
fn clip_to(q: f64, lo: f64, hi: f64) -> f64 {
    if q < lo {
        lo
    } else if q > hi {
        hi
    } else {
        q
    }
}

/// `-ln(clip(q_c))`, the loss of one class.
fn clipped_term(p: &[f32], c: usize, clip: [f32; 2], normalize: bool) -> f64 {
    let [lo, hi] = clip.map(f64::from);
    let p_c = at(p, c);
    if !normalize {
        return if p_c.is_nan() { p_c } else { -log(clip_to(p_c, lo, hi)) };
    }
    let others = p.iter().enumerate().filter(|&(i, _)| i != c);
    let others = Sum::of(others.map(|(_, &p)| f64::from(p)));
    let sum = others + p_c;
    // Positive, and finite as an f32.
    if !(sum > 0.0 && sum < f64::from(f32::MAX) * (1.0 + 0.25 * accuracy::ULP)) {
        return f64::NAN;
    }
    let q = p_c / sum;
    if q < lo {
        -log(lo)
    } else if q > hi {
        -log(hi)
    } else if p_c == 0.0 {
        f64::INFINITY
    } else {
        log1p(others / p_c)
    }
}

/// `-ln(q_t)`, `q = clip(p)` or `clip(p / Σ p)`; NaN outside the row.
///
/// ```
/// use xent_core::reference::clipped_cross_entropy;
/// assert_eq!(clipped_cross_entropy(&[0.5, 0.5], 0, [0.0, 1.0], false), 2_f64.ln());
/// ```
#[must_use]
pub fn clipped_cross_entropy(p: &[f32], label: usize, clip: [f32; 2], normalize: bool) -> f64 {
    clipped_term(p, label, clip, normalize)
}

/// `-Σ y_c ln(q_c)` over the classes with `y_c != 0`; NaN if a probability is.
///
/// Takes time of the square of the number of classes where `normalize` is asked for.
///
/// ```
/// use xent_core::reference::clipped_cross_entropy_target;
/// let loss = clipped_cross_entropy_target(&[0.5, 0.5], &[0.5, 0.5], [0.0, 1.0], false);
/// assert_eq!(loss, 2_f64.ln());
/// ```
#[must_use]
pub fn clipped_cross_entropy_target(p: &[f32], y: &[f32], clip: [f32; 2], normalize: bool) -> f64 {
    if p.iter().any(|p| p.is_nan()) || (normalize && clipped_term(p, 0, clip, true).is_nan()) {
        return f64::NAN;
    }
    let classes = y.iter().enumerate().filter(|&(_, &y)| y != 0.0);
    Sum::of(classes.map(|(c, &y)| f64::from(y) * clipped_term(p, c, clip, normalize)))
}

/// `-(y ln(q) + (1 - y) ln(1 - q))`, `q = clip(p)`; a term of weight 0 is 0.
///
/// ```
/// use xent_core::reference::clipped_binary_cross_entropy;
/// assert_eq!(clipped_binary_cross_entropy(0.5, 1.0, [0.0, 1.0]), 2_f64.ln());
/// ```
#[must_use]
pub fn clipped_binary_cross_entropy(p: f32, y: f32, clip: [f32; 2]) -> f64 {
    if p.is_nan() {
        return f64::NAN;
    }
    let [lo, hi] = clip.map(f64::from);
    let (q, y) = (clip_to(f64::from(p), lo, hi), f64::from(y));
    weighted(y, -log(q)) + weighted(1.0 - y, -log1p(-q))
}

/// `-Σ p_c ln(p_c)`; a term with `p_c = 0` is 0.
///
/// ```
/// assert_eq!(xent_core::reference::entropy(&[0.5, 0.5]), 2_f64.ln());
/// ```
#[must_use]
pub fn entropy(p: &[f32]) -> f64 {
    Sum::of(p.iter().map(|&p| -weighted(f64::from(p), log(f64::from(p)))))
}

/// `Σ p_c ln(p_c / q_c)`; a term with `p_c = 0` is 0, NaN or negative probabilities give NaN.
///
/// ```
/// assert_eq!(xent_core::reference::kl_divergence(&[1.0, 0.0], &[0.5, 0.5]), 2_f64.ln());
/// ```
#[must_use]
pub fn kl_divergence(p: &[f32], q: &[f32]) -> f64 {
    Sum::of(p.iter().zip(q).map(|(&p, &q)| kl_term(p, q)))
}

/// `p ln(p / q)`, one term of [`kl_divergence`].
///
/// ```
/// assert_eq!(xent_core::reference::kl_term(0.5, 0.5), 0.0);
/// ```
#[must_use]
pub fn kl_term(p: f32, q: f32) -> f64 {
    if !(p >= 0.0 && q >= 0.0) {
        return f64::NAN;
    }
    // p / 0 is +inf, also where the 0 is -0.
    let (p, q) = (f64::from(p), f64::from(q) + 0.0);
    let relative = (p - q) / q;
    weighted(p, if relative.abs() < 0.5 { log1p(relative) } else { log(p / q) })
}

/// `Σ (p_c ln(p_c / m_c) + q_c ln(q_c / m_c)) / 2`, `m = (p + q) / 2`; a term of weight 0 is 0, NaN or
/// negative probabilities give NaN.
///
/// ```
/// assert_eq!(xent_core::reference::js_divergence(&[1.0, 0.0], &[0.0, 1.0]), 2_f64.ln());
/// ```
#[must_use]
pub fn js_divergence(p: &[f32], q: &[f32]) -> f64 {
    Sum::of(p.iter().zip(q).map(|(&p, &q)| js_term(p, q)))
}

fn js_term(p: f32, q: f32) -> f64 {
    if !(p >= 0.0 && q >= 0.0) {
        return f64::NAN;
    }
    if p.is_infinite() || q.is_infinite() {
        return f64::from((p - q).abs());
    }
    let (p, q) = (f64::from(p), f64::from(q));
    let (m, d) = (0.5 * (p + q), (p - q) / (p + q));
    if d.abs() < 1.0 / 64.0 {
        // Both terms cancel but for m Σ d^2k / (2k (2k - 1)).
        let d2 = d * d;
        return m * d2 * (1.0 / 2.0 + d2 * (1.0 / 12.0 + d2 * (1.0 / 30.0 + d2 * (1.0 / 56.0))));
    }
    // p / m = 1 + d, whose logarithm near 1 needs the digits of d, and near 0 those of p.
    let ln_by_m = |p: f64, d: f64| if d.abs() < 0.5 { log1p(d) } else { log(p / m) };
    0.5 * (weighted(p, ln_by_m(p, d)) + weighted(q, ln_by_m(q, -d)))
}

/// The softmax of a row of logits over a temperature.
struct Tempered<'a> {
    x: &'a [f32],
    temperature: f64,
    /// The maximum; NaN where the row has no softmax.
    m: f64,
    s: f64,
}

impl<'a> Tempered<'a> {
    fn new(x: &'a [f32], temperature: f32) -> Self {
        let temperature = f64::from(temperature);
        let (k, m) = max(x);
        let m = if m.is_finite() { m } else { f64::NAN };
        let others = x.iter().enumerate().filter(|&(i, _)| i != k);
        let s = Sum::of(others.map(|(_, &x)| exp((f64::from(x) - m) / temperature)));
        Tempered { x, temperature, m, s }
    }

    /// `(m - x_c) / T`.
    fn distance(&self, class: usize) -> f64 {
        (self.m - at(self.x, class)) / self.temperature
    }

    fn ln(&self, class: usize) -> f64 {
        -self.distance(class) - log1p(self.s)
    }

    /// [`mean_distance`], over the temperature.
    fn mean_distance(&self) -> f64 {
        let term = |c| match self.distance(c) {
            distance if distance < f64::INFINITY => exp(-distance) * distance,
            _ => 0.0,
        };
        let terms = (0..self.x.len()).map(term);
        if self.s > 0.0 { Sum::of(terms) / self.s } else { 0.0 }
    }
}

/// `exp(z) - 1 - z`.
fn expm1_beyond(z: f64) -> f64 {
    if z.abs() >= 1.0 / 64.0 {
        return expm1(z) - z;
    }
    // Σ z^k / k! from k = 2 on.
    let mut factor = 1.0;
    for k in (3..=9).rev() {
        factor = 1.0 + factor * z / f64::from(k);
    }
    z * z / 2.0 * factor
}

/// The softmax of a teacher's and a student's row.
struct Distilled<'a> {
    p: Tempered<'a>,
    q: Tempered<'a>,
}

impl<'a> Distilled<'a> {
    fn new(student: &'a [f32], teacher: &'a [f32], temperature: f32) -> Self {
        let [p, q] = [teacher, student].map(|x| Tempered::new(x, temperature));
        Distilled { p, q }
    }

    fn p(&self, class: usize) -> f64 {
        exp(self.p.ln(class))
    }

    fn q(&self, class: usize) -> f64 {
        exp(self.q.ln(class))
    }

    /// `ln(q_c / p_c)`: the difference of the logits first, which is exact where the rows are near.
    fn z(&self, class: usize) -> f64 {
        let (p, q) = (&self.p, &self.q);
        let difference = Sum::of([at(q.x, class), -q.m, -at(p.x, class), p.m].into_iter());
        difference / p.temperature - (log1p(q.s) - log1p(p.s))
    }

    /// `q_c - p_c - p_c ln(q_c / p_c)`.
    fn term(&self, class: usize) -> f64 {
        let (p, q, z) = (self.p(class), self.q(class), self.z(class));
        if z == f64::NEG_INFINITY {
            // Masked by the student alone, however small p is.
            f64::INFINITY
        } else if p == 0.0 {
            q
        } else if z < 1.0 {
            p * expm1_beyond(z)
        } else {
            q - p * (1.0 + z)
        }
    }
}

/// `Σ p_c ln(p_c / q_c)` with `p = softmax(teacher / T)` and `q = softmax(student / T)`; a class that the
/// teacher masks contributes 0.
///
/// Both sum to 1, so it is `Σ q_c - p_c - p_c ln(q_c / p_c)`, which does not cancel.
///
/// ```
/// use xent_core::reference::distillation;
/// assert_eq!(distillation(&[0.0, 0.0], &[1.0, f32::NEG_INFINITY], 1.0) as f32, 2_f32.ln());
/// ```
#[must_use]
pub fn distillation(student: &[f32], teacher: &[f32], temperature: f32) -> f64 {
    let rows = Distilled::new(student, teacher, temperature);
    Sum::of((0..student.len()).map(|c| rows.term(c)))
}

/// The `D` of [`accuracy::DISTILLATION`]: the [`mean_distance`] of both rows, over the temperature, and the
/// mean over the terms `q_c - p_c - p_c ln(q_c / p_c)`, weighted by them, of the smaller of
/// `(m - x_c) / T` in both rows.
///
/// ```
/// assert_eq!(xent_core::reference::distillation_distance(&[2.0, 0.0], &[3.0, 1.0], 1.0), 4.0);
/// ```
#[must_use]
pub fn distillation_distance(student: &[f32], teacher: &[f32], temperature: f32) -> f64 {
    let rows = Distilled::new(student, teacher, temperature);
    let sum = distillation(student, teacher, temperature);
    let smaller = |c: usize| rows.q.distance(c).min(rows.p.distance(c));
    let weighted_sum = Sum::of((0..student.len()).map(|c| weighted(rows.term(c), smaller(c))));
    let of_terms = if sum > 0.0 && sum.is_finite() { weighted_sum / sum } else { 0.0 };
    rows.q.mean_distance() + rows.p.mean_distance() + of_terms
}

/// The `R` of [`accuracy::DISTILLATION`]: the sum over both rows of the probability of all classes but the
/// first maximum.
///
/// ```
/// assert_eq!(xent_core::reference::distillation_rest(&[7.0, 7.0], &[3.0, 3.0], 2.0), 1.0);
/// ```
#[must_use]
pub fn distillation_rest(student: &[f32], teacher: &[f32], temperature: f32) -> f64 {
    let rows = Distilled::new(student, teacher, temperature);
    let rest = |s: f64| s / (1.0 + s);
    rest(rows.p.s) + rest(rows.q.s)
}

/// `(q_c - p_c) / T`, an element of the gradient of [`distillation`] with respect to the student's
/// logits; NaN outside the row.
///
/// ```
/// use xent_core::reference::distillation_gradient;
/// assert_eq!(distillation_gradient(&[0.0, 0.0], &[1.0, f32::NEG_INFINITY], 1.0, 0), -0.5);
/// ```
#[must_use]
pub fn distillation_gradient(
    student: &[f32],
    teacher: &[f32],
    temperature: f32,
    class: usize,
) -> f64 {
    let rows = Distilled::new(student, teacher, temperature);
    let (p, q, z) = (rows.p(class), rows.q(class), rows.z(class));
    let difference = if z.abs() < 1.0 { p * expm1(z) } else { q - p };
    difference / rows.p.temperature
}

/// `1 / (1 + s)`, the largest element of the softmax.
///
/// ```
/// assert_eq!(xent_core::reference::max_probability(&[1.0, 1.0]), 0.5);
/// ```
#[must_use]
pub fn max_probability(x: &[f32]) -> f64 {
    let (m, s) = max_and_sum(x);
    if m.is_finite() { 1.0 / (1.0 + s) } else { f64::NAN }
}

/// `-Σ p_i ln(p_i)` of the softmax `p`, as `ln(1 + s) + Σ p_i (m - x_i)` over the classes with
/// `x_i > -inf`, in nats.
///
/// ```
/// assert_eq!(xent_core::reference::entropy_of_logits(&[1.0, 1.0]), 2_f64.ln());
/// ```
#[must_use]
pub fn entropy_of_logits(x: &[f32]) -> f64 {
    let (m, s) = max_and_sum(x);
    if !m.is_finite() {
        return f64::NAN;
    }
    let present = x.iter().map(|&x| f64::from(x)).filter(|&x| x > f64::NEG_INFINITY);
    log1p(s) + Sum::of(present.map(|x| exp(x - m) * (m - x))) / (1.0 + s)
}

/// The mean of `m - x_i`, weighted by `(m - x_i) exp(x_i - m)`: what the rounding of `m - x_i` can do to
/// an entropy. 0 where the weights are 0.
///
/// ```
/// assert_eq!(xent_core::reference::entropy_distance(&[3.0, 1.0, 3.0]), 2.0);
/// ```
#[must_use]
pub fn entropy_distance(x: &[f32]) -> f64 {
    let (_, m) = max(x);
    let distances = x.iter().map(|&x| m - f64::from(x)).filter(|d| d.is_finite());
    let weights = Sum::of(distances.clone().map(|d| d * exp(-d)));
    if weights > 0.0 { Sum::of(distances.map(|d| d * d * exp(-d))) / weights } else { 0.0 }
}

/// The difference of the two largest elements of the softmax, `(1 - exp(x_2 - m)) / (1 + s)` with `x_2`
/// the second largest logit; of one class 1.
///
/// ```
/// assert_eq!(xent_core::reference::margin(&[1.0, 1.0]), 0.0);
/// ```
#[must_use]
pub fn margin(x: &[f32]) -> f64 {
    let (k, m) = max(x);
    if !m.is_finite() {
        return f64::NAN;
    }
    let others = x.iter().enumerate().filter(|&(i, _)| i != k).map(|(_, &x)| f64::from(x));
    let second = others.fold(f64::NEG_INFINITY, f64::max);
    (0.0 - expm1(second - m)) * max_probability(x)
}

/// The first index of the maximum, of the first NaN where there is one; 0 of nothing.
///
/// ```
/// assert_eq!(xent_core::reference::argmax(&[1.0, 2.0, 2.0]), 1);
/// ```
#[must_use]
pub fn argmax(x: &[f32]) -> usize {
    max(x).0
}

/// How many logits are larger than the label's, and equal ones before it; the number of classes where
/// one is NaN or the label is outside the row.
///
/// ```
/// assert_eq!(xent_core::reference::rank(&[1.0, 2.0, 1.0], 2), 2);
/// ```
#[must_use]
pub fn rank(x: &[f32], label: usize) -> usize {
    match x.get(label) {
        Some(&x_t) if !x.iter().any(|x| x.is_nan()) => {
            let ahead = |&(i, &x): &(usize, &f32)| x > x_t || (x == x_t && i < label);
            x.iter().enumerate().filter(ahead).count()
        }
        _ => x.len(),
    }
}
