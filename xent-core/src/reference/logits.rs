//! Cross-entropy from logits, with options, and its gradient.

use libm::{exp, log1p, tanh};

use super::options::Options;
use super::{Sum, at, weighted};

/// A row of logits as its loss sees them, `z = c tanh(x / c) / T`.
///
/// ```
/// use xent_core::reference::{Logits, Options};
/// let logits = Logits::new(&[3.0, 1.0], &Options { temperature: 2.0, ..Options::default() });
/// assert_eq!((logits.max(), logits.distance(1)), (1.5, 1.0));
/// assert_eq!(logits.softmax(1), logits.rest(0));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Logits<'a> {
    x: &'a [f32],
    soft_cap: f64,
    temperature: f64,
    /// Index of the first maximum.
    first_max: usize,
    capped_max: f64,
    /// `s = Σ exp(z_i - m)` over all but the first maximum.
    sum: f64,
}

impl<'a> Logits<'a> {
    /// The row `x` with the cap and the temperature of `options`.
    #[must_use]
    pub fn new(x: &'a [f32], options: &Options<'_>) -> Self {
        let (soft_cap, temperature) = (f64::from(options.soft_cap), f64::from(options.temperature));
        let (first_max, _) = super::max(x);
        let mut row = Logits { x, soft_cap, temperature, first_max, capped_max: 0.0, sum: 0.0 };
        row.capped_max = row.capped(first_max);
        if row.is_finite() {
            let others = (0..x.len()).filter(|&c| c != first_max);
            row.sum = Sum::of(others.map(|c| exp(-row.distance(c))));
        }
        row
    }

    /// Whether the row has a loss: its maximum is finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.capped_max.is_finite()
    }

    /// `c tanh(x_c / c)`; NaN outside the row.
    #[must_use]
    pub fn capped(&self, class: usize) -> f64 {
        let x = at(self.x, class);
        if self.soft_cap < f64::INFINITY { self.soft_cap * tanh(x / self.soft_cap) } else { x }
    }

    /// The derivative of `z` by `x`: `(1 - tanh(x / c)^2) / T`, of which nothing cancels.
    #[must_use]
    pub fn slope(&self, class: usize) -> f64 {
        if self.soft_cap < f64::INFINITY {
            let e = exp(-2.0 * (at(self.x, class) / self.soft_cap).abs());
            4.0 * e / ((1.0 + e) * (1.0 + e)) / self.temperature
        } else {
            1.0 / self.temperature
        }
    }

    /// `m`, the maximum of `z`.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.capped_max / self.temperature
    }

    /// `m - z_c`.
    #[must_use]
    pub fn distance(&self, class: usize) -> f64 {
        (self.capped_max - self.capped(class)) / self.temperature
    }

    /// `m + ln(1 + s)`.
    #[must_use]
    pub fn log_sum_exp(&self) -> f64 {
        self.max() + self.log_sum_exp_excess()
    }

    /// `ln(1 + s)`: by how much the log-sum-exp exceeds the maximum.
    #[must_use]
    pub fn log_sum_exp_excess(&self) -> f64 {
        log1p(self.sum)
    }

    /// The mean of `m - z_c` over all but the first maximum, weighted by `exp(z_c - m)`: the `D` of
    /// [`accuracy`](crate::accuracy). 0 where the weights are 0.
    #[must_use]
    pub fn mean_distance(&self) -> f64 {
        if !self.is_finite() || self.sum <= 0.0 {
            return 0.0;
        }
        let others = (0..self.x.len()).filter(|&c| c != self.first_max);
        let distances = others.map(|c| self.distance(c)).filter(|&d| d < f64::INFINITY);
        Sum::of(distances.map(|d| d * exp(-d))) / self.sum
    }

    /// `p_c = exp(z_c - m) / (1 + s)`.
    #[must_use]
    pub fn softmax(&self, class: usize) -> f64 {
        exp(-self.distance(class)) / (1.0 + self.sum)
    }

    /// `1 - p_c`, from the sum over the other classes.
    #[must_use]
    pub fn rest(&self, class: usize) -> f64 {
        let others = if class == self.first_max {
            self.sum
        } else {
            1.0 + (self.sum - exp(-self.distance(class)))
        };
        others / (1.0 + self.sum)
    }

    /// `-ln p_c = (m - z_c) + ln(1 + s)`.
    #[must_use]
    pub fn loss(&self, class: usize) -> f64 {
        self.distance(class) + log1p(self.sum)
    }
}

/// `w (Σ_c v_c (1 - p_c)^gamma (-ln p_c) + z_loss lse^2)`, with
/// `v_c = alpha w_c ((1 - a) y_c + a / C)`, `p = softmax(z)`, `z = c tanh(x / c) / T`.
///
/// ```
/// use xent_core::reference::{Options, cross_entropy_with};
/// let options = Options { temperature: 2.0, sample_weight: 3.0, ..Options::default() };
/// assert_eq!(cross_entropy_with(&[5.0, 5.0], &[0.0, 1.0], &options), 3.0 * 2_f64.ln());
/// ```
#[must_use]
pub fn cross_entropy_with(x: &[f32], y: &[f32], options: &Options<'_>) -> f64 {
    let logits = Logits::new(x, options);
    if options.sample_weight == 0.0 {
        return 0.0;
    }
    if !logits.is_finite() {
        return f64::NAN;
    }
    let terms = (0..x.len())
        .map(|c| weighted(options.count(y, c), options.focal_loss(logits.rest(c), logits.loss(c))));
    let lse = logits.log_sum_exp();
    f64::from(options.sample_weight) * (Sum::of(terms) + f64::from(options.z_loss) * lse * lse)
}

/// The gradient of [`cross_entropy_with`] with respect to `x`.
///
/// With `u_c = v_c (1 - p_c)^gamma (1 + gamma p_c (-ln p_c) / (1 - p_c))` and `U = Σ u_c`, by `z_c` it is
/// `w (p_c (U - u_c) - u_c (1 - p_c) + 2 z_loss lse p_c)`.
/// `out`: one element a class.
///
/// ```
/// use xent_core::reference::{Options, cross_entropy_gradient};
/// let mut gradient = [0.0; 2];
/// cross_entropy_gradient(&[1.0, 1.0], &[1.0, 0.0], &Options::default(), &mut gradient);
/// assert_eq!(gradient, [-0.5, 0.5]);
/// ```
pub fn cross_entropy_gradient(x: &[f32], y: &[f32], options: &Options<'_>, out: &mut [f64]) {
    gradient(x, y, options, out, false);
}

/// The sums of the absolute values of what [`cross_entropy_gradient`] adds: by `z_c`,
/// `w (p_c Σ |u| + |u_c| (1 - p_c) + 2 z_loss max(|lse|, ln(1 + s)) p_c)`; where one class counts alone,
/// as with a label, `p_c |u_c|` is not in it.
///
/// ```
/// use xent_core::reference::{Options, cross_entropy_gradient_scale};
/// let mut scale = [0.0; 2];
/// cross_entropy_gradient_scale(&[1.0, 1.0], &[1.0, 0.0], &Options::default(), &mut scale);
/// assert_eq!(scale, [0.5, 0.5]);
/// cross_entropy_gradient_scale(&[1.0, 1.0], &[0.5, 0.5], &Options::default(), &mut scale);
/// assert_eq!(scale, [0.75, 0.75]);
/// ```
pub fn cross_entropy_gradient_scale(x: &[f32], y: &[f32], options: &Options<'_>, out: &mut [f64]) {
    gradient(x, y, options, out, true);
}

fn gradient(x: &[f32], y: &[f32], options: &Options<'_>, out: &mut [f64], absolute: bool) {
    let logits = Logits::new(x, options);
    if options.sample_weight == 0.0 || !logits.is_finite() {
        out.fill(if options.sample_weight == 0.0 { 0.0 } else { f64::NAN });
        return;
    }
    let u = |c| {
        let slope = options.focal_slope(logits.softmax(c), logits.rest(c), logits.loss(c));
        let u = weighted(options.count(y, c), slope);
        if absolute { u.abs() } else { u }
    };
    let total = Sum::of((0..x.len()).map(u));
    let one_counts = (0..x.len()).filter(|&c| options.count(y, c) != 0.0).count() == 1;
    let lse = logits.log_sum_exp();
    let lse = if absolute { lse.abs().max(logits.log_sum_exp_excess()) } else { lse };
    let z_slope = 2.0 * f64::from(options.z_loss) * lse;
    for (c, out) in out.iter_mut().enumerate().take(x.len()) {
        let (p, own) = (logits.softmax(c), u(c) * logits.rest(c));
        let own = if absolute { own } else { -own };
        let others = if absolute && !one_counts { total } else { total - u(c) };
        let by_z = p * others + own + z_slope * p;
        *out = f64::from(options.sample_weight) * by_z * logits.slope(c);
    }
}
