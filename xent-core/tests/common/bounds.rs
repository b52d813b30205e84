//! What `accuracy` allows for a loss or a gradient with options, as an absolute error, and the losses
//! that the options of the reference stand for. The fuzz targets include this file.

use xent_core::reference::{BinaryOptions, Logits, Options, Probabilities};
use xent_core::{
    Backend, BinaryCrossEntropy, ClippedBinaryCrossEntropy, ClippedCrossEntropy, CrossEntropy,
    accuracy, reference,
};

/// The smallest subnormal.
const STEP: f64 = f64::from_bits((1023 - 149) << 52);

pub(crate) fn cross_entropy<'a>(backend: Backend, options: &Options<'a>) -> CrossEntropy<'a> {
    let loss = CrossEntropy::new()
        .backend(backend)
        .label_smoothing(options.label_smoothing)
        .focal(options.focal_gamma)
        .focal_alpha(options.focal_alpha)
        .z_loss(options.z_loss)
        .temperature(options.temperature)
        .soft_cap(options.soft_cap);
    if options.class_weights.is_empty() { loss } else { loss.class_weights(options.class_weights) }
}

pub(crate) fn clipped<'a>(backend: Backend, options: &Options<'a>) -> ClippedCrossEntropy<'a> {
    let [lo, hi] = options.clip;
    let loss = ClippedCrossEntropy::new()
        .backend(backend)
        .label_smoothing(options.label_smoothing)
        .focal(options.focal_gamma)
        .focal_alpha(options.focal_alpha)
        .clip(lo, hi)
        .normalize(options.normalize);
    if options.class_weights.is_empty() { loss } else { loss.class_weights(options.class_weights) }
}

/// Without `pos_weight`, which is one a class.
pub(crate) fn binary(backend: Backend, options: &BinaryOptions) -> BinaryCrossEntropy<'static> {
    BinaryCrossEntropy::new()
        .backend(backend)
        .label_smoothing(options.label_smoothing)
        .focal(options.focal_gamma)
        .focal_alpha(options.focal_alpha)
        .temperature(options.temperature)
        .soft_cap(options.soft_cap)
}

/// Without `pos_weight`, which is one a class.
pub(crate) fn clipped_binary(
    backend: Backend,
    options: &BinaryOptions,
) -> ClippedBinaryCrossEntropy<'static> {
    let [lo, hi] = options.clip;
    ClippedBinaryCrossEntropy::new()
        .backend(backend)
        .label_smoothing(options.label_smoothing)
        .focal(options.focal_gamma)
        .focal_alpha(options.focal_alpha)
        .clip(lo, hi)
}

/// Options by name; weights are those of `weights`, one a class.
pub(crate) fn option_sets(weights: &[f32]) -> Vec<(&'static str, Options<'_>)> {
    let none = Options::default();
    vec![
        ("none", none),
        ("smoothing", Options { label_smoothing: 0.1, ..none }),
        ("smoothing 1", Options { label_smoothing: 1.0, ..none }),
        ("weights", Options { class_weights: weights, ..none }),
        ("sample weight", Options { sample_weight: 2.3, ..none }),
        ("focal 2", Options { focal_gamma: 2.0, ..none }),
        ("focal 1", Options { focal_gamma: 1.0, ..none }),
        ("focal 0.5", Options { focal_gamma: 0.5, ..none }),
        ("focal 3.7 alpha", Options { focal_gamma: 3.7, focal_alpha: 0.25, ..none }),
        ("z-loss", Options { z_loss: 1e-4, ..none }),
        ("z-loss, temperature", Options { z_loss: 0.1, temperature: 2.5, ..none }),
        ("temperature 3", Options { temperature: 3.0, ..none }),
        ("temperature 0.7", Options { temperature: 0.7, ..none }),
        ("soft cap 30", Options { soft_cap: 30.0, ..none }),
        ("soft cap 90", Options { soft_cap: 90.0, ..none }),
        ("soft cap 5, temperature", Options { soft_cap: 5.0, temperature: 0.5, ..none }),
        ("smoothing, weights", Options { label_smoothing: 0.3, class_weights: weights, ..none }),
        (
            "weights, focal, z-loss",
            Options {
                class_weights: weights,
                focal_gamma: 1.5,
                z_loss: 1e-3,
                sample_weight: 0.7,
                ..none
            },
        ),
        (
            "everything",
            Options {
                class_weights: weights,
                label_smoothing: 0.2,
                focal_gamma: 2.0,
                focal_alpha: 0.5,
                z_loss: 1e-3,
                temperature: 1.7,
                soft_cap: 20.0,
                sample_weight: 1.3,
                ..none
            },
        ),
    ]
}

pub(crate) fn binary_option_sets() -> Vec<(&'static str, BinaryOptions)> {
    let none = BinaryOptions::default();
    vec![
        ("none", none),
        ("smoothing", BinaryOptions { label_smoothing: 0.1, ..none }),
        // So little that 1 less the other side would have lost its digits.
        ("smoothing 0.0013", BinaryOptions { label_smoothing: 0.0013, ..none }),
        ("smoothing 1", BinaryOptions { label_smoothing: 1.0, ..none }),
        ("pos_weight", BinaryOptions { pos_weight: 3.3, ..none }),
        ("pos_weight 0", BinaryOptions { pos_weight: 0.0, ..none }),
        ("sample weight", BinaryOptions { sample_weight: 2.3, ..none }),
        ("focal 2", BinaryOptions { focal_gamma: 2.0, ..none }),
        ("focal 1", BinaryOptions { focal_gamma: 1.0, ..none }),
        ("focal 0.5", BinaryOptions { focal_gamma: 0.5, ..none }),
        ("focal 4.3", BinaryOptions { focal_gamma: 4.3, ..none }),
        ("alpha", BinaryOptions { focal_alpha: Some(0.25), ..none }),
        ("alpha 1", BinaryOptions { focal_alpha: Some(1.0), ..none }),
        ("temperature", BinaryOptions { temperature: 1.7, ..none }),
        ("soft cap", BinaryOptions { soft_cap: 7.0, ..none }),
        ("soft cap 90", BinaryOptions { soft_cap: 90.0, ..none }),
        (
            "everything",
            BinaryOptions {
                pos_weight: 0.6,
                label_smoothing: 0.2,
                focal_gamma: 1.5,
                focal_alpha: Some(0.7),
                temperature: 0.8,
                soft_cap: 20.0,
                sample_weight: 1.3,
                ..none
            },
        ),
    ]
}

/// A label as a distribution.
pub(crate) fn one_hot(classes: usize, label: usize) -> Vec<f32> {
    let mut y = vec![0.0; classes];
    y[label] = 1.0;
    y
}

/// ULP that weights, smoothing and factors add.
fn options_ulp(has_any: bool) -> f64 {
    if has_any { accuracy::OPTIONS } else { 0.0 }
}

fn has_weights(options: &Options<'_>) -> bool {
    !options.class_weights.is_empty()
        || options.label_smoothing != 0.0
        || options.focal_alpha != 1.0
        || options.sample_weight != 1.0
}

/// ULP that a focal factor adds to a term, `rest` being `1 - p`, each of whose units of relative error
/// counts `gamma` times.
fn focal_ulp(gamma: f32, rest: f64, distance_ulp: f64) -> f64 {
    if gamma == 0.0 || rest == 0.0 {
        return 0.0;
    }
    let gamma = f64::from(gamma);
    accuracy::FOCAL * (1.0 + gamma * (1.0 + rest.ln().abs())) + gamma * distance_ulp
}

/// A row of logits with its target, the reference of its loss and gradient, and what is allowed.
pub(crate) struct LogitCase {
    pub(crate) loss: f64,
    pub(crate) loss_allowed: f64,
    pub(crate) gradient: Vec<f64>,
    pub(crate) gradient_allowed: Vec<f64>,
}

impl LogitCase {
    /// `y`: not negative. `label`: whether it is one, whose gradient is not relative to a sum.
    pub(crate) fn new(x: &[f32], y: &[f32], options: &Options<'_>) -> Self {
        let n = x.len();
        let logits = Logits::new(x, options);
        let (mut gradient, mut scale) = (vec![0.0; n], vec![0.0; n]);
        reference::cross_entropy_gradient(x, y, options, &mut gradient);
        reference::cross_entropy_gradient_scale(x, y, options, &mut scale);
        let loss = reference::cross_entropy_with(x, y, options);
        if !loss.is_finite() && !logits.is_finite() {
            let nothing = vec![0.0; n];
            return LogitCase { loss, loss_allowed: 0.0, gradient, gradient_allowed: nothing };
        }

        let count = |c: usize| count(y, c, options);
        let (gamma, sample) = (f64::from(options.focal_gamma), f64::from(options.sample_weight));
        let caps = options.soft_cap < f32::INFINITY;
        let tempers = options.temperature != 1.0;
        // ULP for each unit of a distance.
        let unit = 0.5 + if tempers || caps { accuracy::TEMPERATURE } else { 0.0 };
        let distance_ulp = unit * logits.mean_distance();
        let largest = (0..n).map(|c| logits.capped(c)).filter(|z| z.is_finite());
        let largest = largest.fold(0.0, |max, z| f64::max(max, z.abs()));
        let cap_ulp =
            if caps { accuracy::SOFT_CAP * largest / f64::from(options.temperature) } else { 0.0 };

        let (lse, excess) = (logits.log_sum_exp(), logits.log_sum_exp_excess());
        let z_loss = sample * f64::from(options.z_loss) * lse.abs();
        let options_ulp = options_ulp(has_weights(options));
        let mut allowed = (accuracy::Z_LOSS + options_ulp) * z_loss * lse.abs()
            + 2.0 * (accuracy::LOSS + distance_ulp) * z_loss * excess;
        // The largest of what the classes that count add to a gradient.
        let mut focal_gradient_ulp = 0.0;
        let (mut n_counted, mut steps_counted, mut total_slope) = (0, 0.0, 0.0);
        for c in (0..n).filter(|&c| count(c) != 0.0) {
            let (rest, p, l) = (logits.rest(c), logits.softmax(c), logits.loss(c));
            let focal_ulp = focal_ulp(options.focal_gamma, rest, distance_ulp);
            let factor = if gamma == 0.0 { 1.0 } else { rest.powf(gamma) };
            let term = if rest == 0.0 && gamma != 0.0 { 0.0 } else { count(c) * factor * l };
            allowed +=
                sample * term * (accuracy::TARGET_LOSS + distance_ulp + focal_ulp + options_ulp);
            let slope = if gamma == 0.0 || p == 0.0 || rest == 0.0 {
                factor
            } else {
                factor * (1.0 + gamma * p * l / rest)
            };
            allowed += sample * count(c) * slope * rest * 2.0 * cap_ulp;
            total_slope += count(c) * slope;
            let with_slope =
                focal_ulp + if gamma == 0.0 { 0.0 } else { accuracy::FOCAL + 2.0 * distance_ulp };
            focal_gradient_ulp = f64::max(focal_gradient_ulp, with_slope);
            n_counted += 1;
            steps_counted += step_factor(c, options);
        }
        let z_slope = 2.0 * f64::from(options.z_loss) * lse.abs();
        allowed += sample * z_slope * cap_ulp;
        total_slope += z_slope;
        let loss_allowed = allowed * accuracy::ULP + STEP * (1.0 + sample * (1.0 + steps_counted));

        // That of the cap is `4 e`, with `e` rounded to half a step.
        let steps = (if caps { 2.0 } else { 1.0 } / f64::from(options.temperature)).max(1.0);
        let gradient_allowed = (0..n).map(|c| {
            let distance = logits.distance(c).min(1e6);
            let of_label = n_counted == 1 && options.z_loss == 0.0;
            let mut ulp = if of_label { accuracy::GRADIENT } else { accuracy::TARGET_GRADIENT };
            ulp += unit * distance + distance_ulp + focal_gradient_ulp + options_ulp;
            ulp += (1.0 + gamma) * 2.0 * cap_ulp;
            if caps {
                ulp += accuracy::SOFT_CAP
                    * (1.0 + f64::from((x[c] / options.soft_cap).abs()).min(1e6));
            }
            ulp * accuracy::ULP * scale[c]
                + STEP * (1.0 + sample.max(1.0) * (2.0 + total_slope) * steps)
        });
        let gradient_allowed = gradient_allowed.collect();
        LogitCase { loss, loss_allowed, gradient, gradient_allowed }
    }
}

/// `v_c`, what a class counts in a row of weight 1.
pub(crate) fn count(y: &[f32], class: usize, options: &Options<'_>) -> f64 {
    let weight = options.class_weights.get(class).map_or(1.0, |&w| f64::from(w));
    let smoothing = f64::from(options.label_smoothing);
    let target = (1.0 - smoothing) * f64::from(y[class]) + smoothing / y.len() as f64;
    f64::from(options.focal_alpha) * weight * target
}

/// What weights make of a step: each may come after the others.
fn step_factor(class: usize, options: &Options<'_>) -> f64 {
    let weight = options.class_weights.get(class).map_or(1.0, |&w| f64::from(w));
    f64::from(options.focal_alpha).max(1.0) * weight.max(1.0)
}

/// As [`LogitCase`], of probabilities.
pub(crate) struct ProbCase {
    pub(crate) loss: f64,
    pub(crate) loss_allowed: f64,
    pub(crate) gradient: Vec<f64>,
    pub(crate) gradient_allowed: Vec<f64>,
    /// Whether a share is so near to an end of the clip range that rounding decides.
    pub(crate) at_an_end: bool,
}

impl ProbCase {
    pub(crate) fn new(p: &[f32], y: &[f32], options: &Options<'_>) -> Self {
        let n = p.len();
        let probs = Probabilities::new(p, options);
        let (mut gradient, mut scale) = (vec![0.0; n], vec![0.0; n]);
        reference::clipped_cross_entropy_gradient(p, y, options, &mut gradient);
        reference::clipped_cross_entropy_gradient_scale(p, y, options, &mut scale);
        let loss = reference::clipped_cross_entropy_with(p, y, options);
        let near = |q: f64, end: f32| (q - f64::from(end)).abs() < 8.0 * accuracy::ULP * q;
        let at_an_end = options.normalize
            && (0..n).any(|c| options.clip.iter().any(|&end| near(probs.share(c), end)));
        if !probs.is_valid() {
            let nothing = vec![0.0; n];
            return ProbCase {
                loss,
                loss_allowed: 0.0,
                gradient,
                gradient_allowed: nothing,
                at_an_end,
            };
        }
        let (gamma, sample) = (options.focal_gamma, f64::from(options.sample_weight));
        let mut focal: f64 = 0.0;
        for (c, &y) in y.iter().enumerate() {
            // Without a target, or with a weight of 0, it does not count.
            let weight = options.class_weights.get(c).map_or(1.0, |&w| w);
            if weight != 0.0 && (y != 0.0 || options.label_smoothing != 0.0) {
                focal = focal.max(focal_ulp(gamma, probs.rest(c), 0.0));
            }
        }
        let focal = focal + options_ulp(has_weights(options));
        let ulp = accuracy::CLIPPED_LOSS + focal;
        // A power that is subnormal has its step before it meets loss and weight.
        let is_subnormal = |c: usize| {
            gamma != 0.0 && probs.rest(c).powf(f64::from(gamma)) < f64::from(f32::MIN_POSITIVE)
        };
        let of_class = |c: usize| {
            let of_power = if is_subnormal(c) { probs.loss(c) } else { 0.0 };
            let counts = count(y, c, options) != 0.0;
            if counts { step_factor(c, options) * (1.0 + of_power) } else { 0.0 }
        };
        let steps = 1.0 + sample * (n as f64 + (0..n).map(of_class).sum::<f64>());
        let loss_allowed = ulp * accuracy::ULP * loss.abs() + STEP * steps;
        let gradient_ulp =
            accuracy::CLIPPED_GRADIENT + focal + if gamma == 0.0 { 0.0 } else { accuracy::FOCAL };
        // What a class counts, its weights included, has its step where it is subnormal.
        let step = |c: usize| {
            let v = count(y, c, options) * sample.min(1.0);
            let is_coarse = v > 0.0 && v < f64::from(f32::MIN_POSITIVE);
            let of_power = if is_subnormal(c) { v.max(1.0) } else { 1.0 };
            let is_coarse = is_coarse || v > 0.0 && is_subnormal(c);
            if is_coarse {
                STEP * (2.0 + f64::from(gamma)) * of_power * sample.max(1.0)
            } else {
                0.0
            }
        };
        let of_all: f64 = (0..n).map(step).sum();
        let sum: f64 = p.iter().map(|&p| f64::from(p)).sum();
        let steps = |c: usize| match (step(c), options.normalize) {
            (0.0, false) => 0.0,
            (own, false) => own / f64::from(p[c]).abs(),
            (0.0, true) => of_all / sum,
            (own, true) => (of_all + own * probs.others(c) / f64::from(p[c]).abs()) / sum,
        };
        let gradient_allowed =
            (0..n).map(|c| gradient_ulp * accuracy::ULP * scale[c] + STEP + steps(c)).collect();
        ProbCase { loss, loss_allowed, gradient, gradient_allowed, at_an_end }
    }
}

/// The reference of the loss and the gradient of a binary element, and what is allowed.
pub(crate) struct ElementCase {
    pub(crate) loss: f64,
    pub(crate) loss_allowed: f64,
    pub(crate) gradient: f64,
    pub(crate) gradient_allowed: f64,
}

impl ElementCase {
    /// `wrong`: the probability of it.
    fn new(
        [loss, loss_ulp]: [f64; 2],
        [gradient, scale, gradient_ulp]: [f64; 3],
        wrong: f64,
        options: &BinaryOptions,
    ) -> Self {
        // What a step is multiplied by.
        let weight = f64::from(options.sample_weight) * (1.0 + f64::from(options.pos_weight));
        let by_temperature = f64::from(1.0 / options.temperature).max(1.0);
        let has_weights = options.label_smoothing != 0.0
            || options.pos_weight != 1.0
            || options.focal_alpha.is_some()
            || options.sample_weight != 1.0;
        let ulp = options_ulp(has_weights);
        let steps = STEP * (1.0 + weight * 2.0 * by_temperature);
        // A power that is subnormal has its step before it meets loss and weights.
        let power = wrong.powf(f64::from(options.focal_gamma));
        let is_subnormal = power > 0.0 && power < f64::from(f32::MIN_POSITIVE);
        let of_power = if is_subnormal { STEP / power } else { 0.0 };
        ElementCase {
            loss,
            loss_allowed: ((loss_ulp + ulp) * accuracy::ULP + of_power) * loss.abs() + steps,
            gradient,
            gradient_allowed: ((gradient_ulp + ulp) * accuracy::ULP + of_power) * scale + steps,
        }
    }

    pub(crate) fn of_logit(x: f32, y: f32, options: &BinaryOptions) -> Self {
        let loss = reference::binary_cross_entropy_with(x, y, options);
        let gradient = reference::binary_cross_entropy_gradient(x, y, options);
        let scale = reference::binary_cross_entropy_gradient_scale(x, y, options);
        let (gamma, cap) = (options.focal_gamma, f64::from(options.soft_cap));
        let x = f64::from(x);
        let capped = if cap < f64::INFINITY { cap * (x / cap).tanh() } else { x };
        let z = capped / f64::from(options.temperature);
        // ULP for each unit of the logit.
        let mut unit = if options.temperature != 1.0 { accuracy::TEMPERATURE } else { 0.0 };
        let mut by_cap = 0.0;
        if cap < f64::INFINITY {
            unit += accuracy::SOFT_CAP;
            by_cap = accuracy::SOFT_CAP * (1.0 + (x / cap).abs().min(1e6));
        }
        let logit_ulp = unit * z.abs().min(1e6);
        let e = (-z.abs()).exp();
        let (large, small) = (1.0 / (1.0 + e), e / (1.0 + e));
        let (p, q) = if z < 0.0 { (small, large) } else { (large, small) };
        let wrong = wrong(y, [p, q], options);
        let focal = focal_ulp(gamma, wrong, logit_ulp);
        let turn = if gamma == 0.0 { 0.0 } else { accuracy::FOCAL + logit_ulp };
        ElementCase::new(
            [loss, accuracy::BINARY_LOSS + logit_ulp + focal],
            [gradient, scale, accuracy::BINARY_GRADIENT + logit_ulp + by_cap + focal + turn],
            wrong,
            options,
        )
    }

    pub(crate) fn of_prob(p: f32, y: f32, options: &BinaryOptions) -> Self {
        let loss = reference::clipped_binary_cross_entropy_with(p, y, options);
        let gradient = reference::clipped_binary_cross_entropy_gradient(p, y, options);
        let scale = reference::clipped_binary_cross_entropy_gradient_scale(p, y, options);
        let [lo, hi] = options.clip.map(f64::from);
        let q = f64::from(p).clamp(lo, hi);
        let wrong = wrong(y, [q, 1.0 - q], options);
        let focal = focal_ulp(options.focal_gamma, wrong, 0.0);
        let turn = if options.focal_gamma == 0.0 { 0.0 } else { accuracy::FOCAL };
        ElementCase::new(
            [loss, accuracy::CLIPPED_BINARY_LOSS + focal],
            [gradient, scale, accuracy::CLIPPED_BINARY_GRADIENT + focal + turn],
            wrong,
            options,
        )
    }
}

/// The probability of being wrong.
fn wrong(y: f32, [p, q]: [f64; 2], options: &BinaryOptions) -> f64 {
    let (a, y) = (f64::from(options.label_smoothing), f64::from(y));
    let (positive, negative) = ((1.0 - a) * y + a / 2.0, (1.0 - a) * (1.0 - y) + a / 2.0);
    positive * q + negative * p
}

/// A row of a student's and of a teacher's logits, the reference of their divergence, and what is allowed.
pub(crate) struct DistillationCase<'a> {
    pub(crate) student: &'a [f32],
    pub(crate) teacher: &'a [f32],
    pub(crate) temperature: f32,
    pub(crate) loss: f64,
    pub(crate) loss_allowed: f64,
    distance: f64,
    rest: f64,
    /// `(m - x_c) / T` and the probability of each class, of the teacher and of the student.
    probs: [Vec<[f64; 2]>; 2],
}

impl<'a> DistillationCase<'a> {
    pub(crate) fn new(student: &'a [f32], teacher: &'a [f32], temperature: f32) -> Self {
        let loss = reference::distillation(student, teacher, temperature);
        let distance = reference::distillation_distance(student, teacher, temperature);
        let rest = reference::distillation_rest(student, teacher, temperature);
        let error = (accuracy::DISTILLATION + 2.5 * distance) * accuracy::ULP;
        let steps = STEP * (1 + student.len()) as f64;
        let loss_allowed = error * loss + (error * rest) * (error * rest) / 2.0 + steps;
        let probs = [teacher, student].map(|x| {
            let m = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let distance = |&x: &f32| (f64::from(m) - f64::from(x)) / f64::from(temperature);
            let sum: f64 = x.iter().map(|x| (-distance(x)).exp()).sum();
            x.iter().map(|x| [distance(x), (-distance(x)).exp() / sum]).collect()
        });
        DistillationCase {
            student,
            teacher,
            temperature,
            loss,
            loss_allowed,
            distance,
            rest,
            probs,
        }
    }

    /// An element of the gradient, times `factor`, and what is allowed.
    pub(crate) fn gradient(&self, class: usize, factor: f32) -> [f64; 2] {
        let (student, teacher, t) = (self.student, self.teacher, f64::from(self.temperature));
        let value = reference::distillation_gradient(student, teacher, self.temperature, class);
        let [[d, p], [e, q]] =
            [self.probs[0][class], self.probs[1][class]].map(|[d, p]| [d.min(1e6), p]);
        let ulp = accuracy::DISTILLATION_GRADIENT + 2.5 * self.distance;
        let scale = value.abs() + p.min(q) / t * self.rest;
        // At an end either way may be taken.
        let of_near = if q < 0.367 * p || q > 7.4 * p { 0.0 } else { d * value.abs() };
        let of_far = if q > 0.369 * p && q < 7.38 * p { 0.0 } else { (d * p + e * q) / t };
        let of_distances = f64::max(of_near, of_far);
        let allowed = (ulp * scale + of_distances) * accuracy::ULP + STEP / t.min(1.0);
        let factor = f64::from(factor);
        [value * factor, allowed * factor.abs() + STEP]
    }
}
