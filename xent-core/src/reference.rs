//! What "correct" means: the definitions in f64, scalar, reading like the formulas.
//!
//! They share no code with the kernels. Sums are compensated, so that their own error stays below
//! 2^-50 at any length. They are slow; use them to check, not to compute.

use libm::{exp, log, log1p};

use crate::accuracy;

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
