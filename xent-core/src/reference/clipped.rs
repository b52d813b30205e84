//! Cross-entropy from probabilities, with options, and its gradient.

use libm::{log, log1p};

use super::options::Options;
use super::{Sum, at, clip_to, max, weighted};
use crate::accuracy;

/// A row of probabilities as its loss sees them, `q = clip(p)` or `clip(p / Σ p)`.
///
/// ```
/// use xent_core::reference::{Options, Probabilities};
/// let probs = Probabilities::new(&[3.0, 1.0], &Options { normalize: true, ..Options::default() });
/// assert_eq!((probs.share(0), probs.rest(0), probs.is_clipped(0)), (0.75, 0.25, false));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Probabilities<'a> {
    p: &'a [f32],
    clip: [f64; 2],
    normalize: bool,
    /// Index of the first maximum.
    first_max: usize,
    /// The sum of all but it.
    others: f64,
    sum: f64,
}

impl<'a> Probabilities<'a> {
    /// The row `p` with the clip range of `options`, and its `normalize`.
    #[must_use]
    pub fn new(p: &'a [f32], options: &Options<'_>) -> Self {
        let (first_max, max) = max(p);
        let others = p.iter().enumerate().filter(|&(c, _)| c != first_max);
        let others = Sum::of(others.map(|(_, &p)| f64::from(p)));
        let (clip, normalize) = (options.clip.map(f64::from), options.normalize);
        Probabilities { p, clip, normalize, first_max, others, sum: others + max }
    }

    /// Whether the row has a loss: no NaN, and a sum to divide by that is positive, and finite as an
    /// f32.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let largest = f64::from(f32::MAX) * (1.0 + 0.25 * accuracy::ULP);
        let divides = self.sum > 0.0 && self.sum < largest;
        !self.p.iter().any(|p| p.is_nan()) && (divides || !self.normalize)
    }

    /// The probability before it is clipped.
    #[must_use]
    pub fn share(&self, class: usize) -> f64 {
        let p = at(self.p, class);
        if self.normalize { p / self.sum } else { p }
    }

    /// The sum of the other probabilities.
    #[must_use]
    pub fn others(&self, class: usize) -> f64 {
        if class == self.first_max { self.others } else { self.sum - at(self.p, class) }
    }

    /// Whether the probability is outside the clip range, whose ends are inside.
    #[must_use]
    pub fn is_clipped(&self, class: usize) -> bool {
        let [lo, hi] = self.clip;
        let q = self.share(class);
        q < lo || q > hi
    }

    /// `1 - q_c`.
    #[must_use]
    pub fn rest(&self, class: usize) -> f64 {
        let [lo, hi] = self.clip;
        if self.normalize && !self.is_clipped(class) {
            self.others(class) / self.sum
        } else {
            1.0 - clip_to(self.share(class), lo, hi)
        }
    }

    /// `-ln q_c`.
    #[must_use]
    pub fn loss(&self, class: usize) -> f64 {
        let [lo, hi] = self.clip;
        let q = clip_to(self.share(class), lo, hi);
        if self.normalize && !self.is_clipped(class) && q > 0.5 {
            log1p(self.others(class) / at(self.p, class))
        } else {
            -log(q)
        }
    }
}

/// `w Σ_c v_c (1 - q_c)^gamma (-ln q_c)`, with `v_c = alpha w_c ((1 - a) y_c + a / C)` and
/// `q = clip(p)` or `clip(p / Σ p)`.
///
/// A NaN probability gives NaN.
///
/// ```
/// use xent_core::reference::{Options, clipped_cross_entropy_with};
/// let options = Options { class_weights: &[3.0, 0.0], ..Options::default() };
/// assert_eq!(clipped_cross_entropy_with(&[0.5, 0.5], &[1.0, 0.0], &options), 3.0 * 2_f64.ln());
/// ```
#[must_use]
pub fn clipped_cross_entropy_with(p: &[f32], y: &[f32], options: &Options<'_>) -> f64 {
    let probs = Probabilities::new(p, options);
    if options.sample_weight == 0.0 {
        return 0.0;
    }
    if !probs.is_valid() {
        return f64::NAN;
    }
    let terms = (0..p.len())
        .map(|c| weighted(options.count(y, c), options.focal_loss(probs.rest(c), probs.loss(c))));
    f64::from(options.sample_weight) * Sum::of(terms)
}

/// The gradient of [`clipped_cross_entropy_with`] with respect to `p`.
///
/// With `k_c = v_c (1 - q_c)^gamma (1 + gamma q_c (-ln q_c) / (1 - q_c))` inside the clip range, its ends
/// included, and 0 outside: `-w k_c / p_c`; with `normalize`, by the sum `S` of the row,
/// `w (Σ_{i != c} k_i - k_c (S - p_c) / p_c) / S`.
/// `out`: one element a class.
///
/// ```
/// use xent_core::reference::{Options, clipped_cross_entropy_gradient};
/// let mut gradient = [0.0; 2];
/// clipped_cross_entropy_gradient(&[0.5, 0.5], &[1.0, 0.0], &Options::default(), &mut gradient);
/// assert_eq!(gradient, [-2.0, 0.0]);
/// ```
pub fn clipped_cross_entropy_gradient(
    p: &[f32],
    y: &[f32],
    options: &Options<'_>,
    out: &mut [f64],
) {
    gradient(p, y, options, out, -1.0);
}

/// The sums of the absolute values of what [`clipped_cross_entropy_gradient`] adds, for a `y` that is
/// not negative: `w k_c / p_c`; with `normalize`, `w (Σ k_i + k_c (S - p_c) / p_c) / S`, the sum over all
/// classes, or without `k_c` where one class counts alone, as with a label.
///
/// ```
/// use xent_core::reference::{Options, clipped_cross_entropy_gradient_scale};
/// let options = Options { normalize: true, ..Options::default() };
/// let mut scale = [0.0; 2];
/// clipped_cross_entropy_gradient_scale(&[0.5, 0.5], &[0.5, 0.5], &options, &mut scale);
/// assert_eq!(scale, [1.5, 1.5]);
/// ```
pub fn clipped_cross_entropy_gradient_scale(
    p: &[f32],
    y: &[f32],
    options: &Options<'_>,
    out: &mut [f64],
) {
    gradient(p, y, options, out, 1.0);
}

/// `sign`: that of what a class adds to its own element.
fn gradient(p: &[f32], y: &[f32], options: &Options<'_>, out: &mut [f64], sign: f64) {
    let probs = Probabilities::new(p, options);
    if options.sample_weight == 0.0 || !probs.is_valid() {
        out.fill(if options.sample_weight == 0.0 { 0.0 } else { f64::NAN });
        return;
    }
    let k = |c| {
        if probs.is_clipped(c) {
            return 0.0;
        }
        let slope = options.focal_slope(probs.share(c), probs.rest(c), probs.loss(c));
        weighted(options.count(y, c), slope)
    };
    let total = if options.normalize { Sum::of((0..p.len()).map(k)) } else { 0.0 };
    let with_own = sign > 0.0 && (0..p.len()).filter(|&c| k(c) != 0.0).count() > 1;
    for (c, out) in out.iter_mut().enumerate().take(p.len()) {
        // 1 / 0 is +inf, also where the 0 is -0.
        let p_c = at(p, c) + 0.0;
        let own = if options.normalize {
            let own = weighted(k(c), probs.others(c) / p_c);
            ((if with_own { total } else { total - k(c) }) + sign * own) / probs.sum
        } else {
            sign * weighted(k(c), 1.0 / p_c)
        };
        *out = f64::from(options.sample_weight) * own;
    }
}
