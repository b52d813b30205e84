//! The binary losses of one element, with options, and their derivatives.

use libm::{exp, log, log1p, pow, tanh};

use super::{clip_to, softplus, weighted};

/// The options of a binary loss as its setters take them, with the weights of the element.
///
/// ```
/// use xent_core::reference::{BinaryOptions, binary_cross_entropy_with};
/// let options = BinaryOptions { pos_weight: 3.0, ..BinaryOptions::default() };
/// assert_eq!(binary_cross_entropy_with(0.0, 1.0, &options), 3.0 * 2_f64.ln());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BinaryOptions {
    /// Factor of the positive term.
    pub pos_weight: f32,
    /// `a` of `(1 - a) y + a / 2`.
    pub label_smoothing: f32,
    /// Exponent of `1 - p_t`.
    pub focal_gamma: f32,
    /// The weight of positives against that of negatives, if they are balanced.
    pub focal_alpha: Option<f32>,
    /// What the logit is divided by.
    pub temperature: f32,
    /// What the logit is capped at; `+inf` is no cap.
    pub soft_cap: f32,
    /// The range that a probability is clipped into.
    pub clip: [f32; 2],
    /// Factor of the element; 0 is one that is absent.
    pub sample_weight: f32,
}

impl Default for BinaryOptions {
    /// None of them; Keras' clip range.
    fn default() -> Self {
        BinaryOptions {
            pos_weight: 1.0,
            label_smoothing: 0.0,
            focal_gamma: 0.0,
            focal_alpha: None,
            temperature: 1.0,
            soft_cap: f32::INFINITY,
            clip: [1e-7, 1.0 - 1e-7],
            sample_weight: 1.0,
        }
    }
}

impl BinaryOptions {
    /// `(1 - a) y + a / 2`, and the same of `1 - y`.
    fn sides(&self, y: f32) -> [f64; 2] {
        let (a, y) = (f64::from(self.label_smoothing), f64::from(y));
        [(1.0 - a) * y + 0.5 * a, (1.0 - a) * (1.0 - y) + 0.5 * a]
    }

    /// `alpha P + (1 - alpha) N`, or 1.
    fn balance(&self, [positive, negative]: [f64; 2]) -> f64 {
        self.focal_alpha.map(f64::from).map_or(1.0, |a| a * positive + (1.0 - a) * negative)
    }

    /// `z = c tanh(x / c) / T`.
    fn logit(&self, x: f32) -> f64 {
        let (x, cap) = (f64::from(x), f64::from(self.soft_cap));
        let capped = if cap < f64::INFINITY { cap * tanh(x / cap) } else { x };
        capped / f64::from(self.temperature)
    }

    /// Its derivative by `x`.
    fn logit_slope(&self, x: f32) -> f64 {
        let (x, cap) = (f64::from(x), f64::from(self.soft_cap));
        let e = exp(-2.0 * (x / cap).abs());
        let slope = if cap < f64::INFINITY { 4.0 * e / ((1.0 + e) * (1.0 + e)) } else { 1.0 };
        slope / f64::from(self.temperature)
    }
}

/// What the loss of an element is made of.
struct Element {
    /// `P` and `N`, the smoothed targets.
    sides: [f64; 2],
    /// `w P`.
    weighted_positive: f64,
    /// `p` and `1 - p`.
    probs: [f64; 2],
    /// `B`, the loss without the focal factor.
    base: f64,
}

impl Element {
    /// `losses`: `-ln p` and `-ln(1 - p)`.
    fn new(y: f32, probs: [f64; 2], losses: [f64; 2], options: &BinaryOptions) -> Self {
        let sides = options.sides(y);
        let weighted_positive = weighted(f64::from(options.pos_weight), sides[0]);
        let base = weighted(weighted_positive, losses[0]) + weighted(sides[1], losses[1]);
        Element { sides, weighted_positive, probs, base }
    }

    fn of_logit(x: f32, y: f32, options: &BinaryOptions) -> Self {
        let z = options.logit(x);
        let (e, large) = (exp(-z.abs()), 1.0 / (1.0 + exp(-z.abs())));
        let probs = if z < 0.0 { [e * large, large] } else { [large, e * large] };
        Element::new(y, probs, [softplus(-z), softplus(z)], options)
    }

    fn of_prob(p: f32, y: f32, options: &BinaryOptions) -> Self {
        let [lo, hi] = options.clip.map(f64::from);
        let q = clip_to(f64::from(p), lo, hi);
        Element::new(y, [q, 1.0 - q], [-log(q), -log1p(-q)], options)
    }

    /// `r = P (1 - p) + N p`, the probability of being wrong.
    fn wrong(&self) -> f64 {
        weighted(self.sides[0], self.probs[1]) + weighted(self.sides[1], self.probs[0])
    }

    /// `w A r^gamma B`; 0 where `B` or `r` is.
    fn loss(&self, options: &BinaryOptions) -> f64 {
        let (wrong, gamma) = (self.wrong(), f64::from(options.focal_gamma));
        let factor = if gamma == 0.0 { 1.0 } else { pow(wrong, gamma) };
        // Where nothing counts, r can be NaN.
        let loss = if self.base == 0.0 { 0.0 } else { weighted(factor, self.base) };
        weighted(f64::from(options.sample_weight), weighted(options.balance(self.sides), loss))
    }

    /// `w A r^gamma (N n - w P p + gamma t (N - P) B / r)`; with `absolute` every term without its
    /// sign. `n`, `p`, `t`: the derivatives of `-ln(1 - p)`, `ln p` and `p`.
    fn slope(&self, [n, p, t]: [f64; 3], options: &BinaryOptions, absolute: bool) -> f64 {
        let (wrong, gamma) = (self.wrong(), f64::from(options.focal_gamma));
        let negative = weighted(self.sides[1], n);
        let positive = weighted(self.weighted_positive, p);
        // Where B is infinite it is so as ln p, beside which the terms of 1 / p decide.
        // Where nothing counts, r can be NaN.
        let turns = gamma != 0.0 && t != 0.0 && self.base != 0.0 && self.base != f64::INFINITY;
        let turn = if turns { gamma * t * self.base / wrong } else { 0.0 };
        let sum = if absolute {
            negative + positive + turn * (self.sides[0] + self.sides[1])
        } else {
            negative - positive + weighted(self.sides[1] - self.sides[0], turn)
        };
        let slope = if gamma == 0.0 {
            sum
        } else if wrong == 0.0 {
            0.0
        } else {
            weighted(sum, pow(wrong, gamma))
        };
        weighted(f64::from(options.sample_weight), weighted(options.balance(self.sides), slope))
    }

    fn slope_of_logit(x: f32, y: f32, options: &BinaryOptions, absolute: bool) -> f64 {
        let element = Element::of_logit(x, y, options);
        let [p, q] = element.probs;
        element.slope([p, q, p * q], options, absolute) * options.logit_slope(x)
    }

    fn slope_of_prob(p: f32, y: f32, options: &BinaryOptions, absolute: bool) -> f64 {
        let [lo, hi] = options.clip;
        if p < lo || p > hi {
            return 0.0;
        }
        let element = Element::of_prob(p, y, options);
        let [q, rest] = element.probs;
        // 1 / 0 is +inf, also where the 0 is -0.
        element.slope([1.0 / rest, 1.0 / (q + 0.0), 1.0], options, absolute)
    }
}

/// `w A r^gamma (pw P softplus(-z) + N softplus(z))`.
///
/// `P = (1 - a) y + a / 2`, `N = (1 - a) (1 - y) + a / 2`, `A = alpha P + (1 - alpha) N` or 1,
/// `r = P sigmoid(-z) + N sigmoid(z)`, `z = c tanh(x / c) / T`.
///
/// ```
/// use xent_core::reference::{BinaryOptions, binary_cross_entropy_with};
/// let options = BinaryOptions { focal_gamma: 2.0, ..BinaryOptions::default() };
/// assert_eq!(binary_cross_entropy_with(0.0, 1.0, &options), 0.25 * 2_f64.ln());
/// ```
#[must_use]
pub fn binary_cross_entropy_with(x: f32, y: f32, options: &BinaryOptions) -> f64 {
    Element::of_logit(x, y, options).loss(options)
}

/// The derivative of [`binary_cross_entropy_with`] by `x`.
///
/// By `z` it is `w A r^gamma (N p - pw P q + gamma p q (N - P) B / r)`, `p = sigmoid(z)`,
/// `q = sigmoid(-z)`, `B` the loss without the factors.
///
/// ```
/// use xent_core::reference::{BinaryOptions, binary_cross_entropy_gradient};
/// assert_eq!(binary_cross_entropy_gradient(0.0, 1.0, &BinaryOptions::default()), -0.5);
/// ```
#[must_use]
pub fn binary_cross_entropy_gradient(x: f32, y: f32, options: &BinaryOptions) -> f64 {
    Element::slope_of_logit(x, y, options, false)
}

/// The sum of the absolute values of what [`binary_cross_entropy_gradient`] adds.
///
/// ```
/// use xent_core::reference::{BinaryOptions, binary_cross_entropy_gradient_scale};
/// assert_eq!(binary_cross_entropy_gradient_scale(0.0, 0.5, &BinaryOptions::default()), 0.5);
/// ```
#[must_use]
pub fn binary_cross_entropy_gradient_scale(x: f32, y: f32, options: &BinaryOptions) -> f64 {
    Element::slope_of_logit(x, y, options, true)
}

/// `-w A r^gamma (pw P ln q + N ln(1 - q))`, `q = clip(p)`, the rest as in
/// [`binary_cross_entropy_with`] with `r = P (1 - q) + N q`.
///
/// ```
/// use xent_core::reference::{BinaryOptions, clipped_binary_cross_entropy_with};
/// let options = BinaryOptions { focal_alpha: Some(0.25), ..BinaryOptions::default() };
/// assert_eq!(clipped_binary_cross_entropy_with(0.5, 1.0, &options), 0.25 * 2_f64.ln());
/// ```
#[must_use]
pub fn clipped_binary_cross_entropy_with(p: f32, y: f32, options: &BinaryOptions) -> f64 {
    Element::of_prob(p, y, options).loss(options)
}

/// The derivative of [`clipped_binary_cross_entropy_with`] by `p`: 0 outside the clip range, otherwise
/// `w A r^gamma (N / (1 - p) - pw P / p + gamma (N - P) B / r)`.
///
/// ```
/// use xent_core::reference::{BinaryOptions, clipped_binary_cross_entropy_gradient};
/// assert_eq!(clipped_binary_cross_entropy_gradient(0.5, 1.0, &BinaryOptions::default()), -2.0);
/// ```
#[must_use]
pub fn clipped_binary_cross_entropy_gradient(p: f32, y: f32, options: &BinaryOptions) -> f64 {
    Element::slope_of_prob(p, y, options, false)
}

/// The sum of the absolute values of what [`clipped_binary_cross_entropy_gradient`] adds.
///
/// ```
/// use xent_core::reference::{BinaryOptions, clipped_binary_cross_entropy_gradient_scale};
/// assert_eq!(clipped_binary_cross_entropy_gradient_scale(0.5, 0.5, &BinaryOptions::default()), 2.0);
/// ```
#[must_use]
pub fn clipped_binary_cross_entropy_gradient_scale(p: f32, y: f32, options: &BinaryOptions) -> f64 {
    Element::slope_of_prob(p, y, options, true)
}
