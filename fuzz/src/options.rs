//! The options of a loss, sample weights, and the scale of a gradient.
//!
//! Values are mostly those in use; now and then any float, valid or not.

use xent_core::reference::{self, BinaryOptions};
use xent_core::{Error, GradientScale, LossTotal, Reduction, accuracy};

use crate::bytes::Bytes;
use crate::compare::assert_same_f64;

/// The options of a loss, as its setters take them; those of other losses are not used.
#[derive(Debug)]
pub(crate) struct Drawn {
    /// Of classes, for categorical losses; of the positive terms, for binary ones.
    pub(crate) weights: Option<Vec<f32>>,
    pub(crate) sample_weights: Option<Vec<f32>>,
    pub(crate) ignore: Option<i64>,
    pub(crate) label_smoothing: f32,
    pub(crate) focal_gamma: f32,
    pub(crate) focal_alpha: Option<f32>,
    pub(crate) z_loss: f32,
    pub(crate) temperature: f32,
    pub(crate) soft_cap: f32,
    pub(crate) scale: GradientScale,
    /// Whether all are in the range in which results are compared with the reference.
    pub(crate) usual: bool,
}

impl Drawn {
    pub(crate) fn new(bytes: &mut Bytes<'_>, n_rows: usize, classes: usize) -> Self {
        let mut usual = true;
        let weights = weights(bytes, classes, &mut usual);
        let sample_weights = self::weights(bytes, n_rows, &mut usual);
        let ignore = match bytes.byte() % 4 {
            0 => Some(bytes.below(classes.max(1)) as i64),
            1 => Some(-1),
            _ => None,
        };
        let label_smoothing = value(bytes, &[0.0, 0.0, 0.1, 0.5, 1.0], &mut usual);
        let focal_gamma = value(bytes, &[0.0, 0.0, 0.5, 1.0, 2.0, 5.0], &mut usual);
        let focal_alpha =
            bytes.flag().then(|| value(bytes, &[1.0, 0.25, 0.5, 0.0, 0.75], &mut usual));
        let z_loss = value(bytes, &[0.0, 0.0, 1e-4, 0.01, 1.0], &mut usual);
        let temperature = temperature(bytes, &mut usual);
        let soft_cap = value(bytes, &[f32::INFINITY, f32::INFINITY, 30.0, 5.0, 50.0], &mut usual);
        let scale = scale(bytes, &mut usual);
        Drawn {
            weights,
            sample_weights,
            ignore,
            label_smoothing,
            focal_gamma,
            focal_alpha,
            z_loss,
            temperature,
            soft_cap,
            scale,
            usual,
        }
    }

    /// Whether a weight is so small, or so large, that a total takes losses in f64 before their weight.
    pub(crate) fn has_far_weights(&self) -> bool {
        let near = f32::from_bits((127 - 32) << 23)..f32::from_bits((127 + 32) << 23);
        let all = self.weights.iter().chain(&self.sample_weights).flatten();
        all.copied().chain(self.focal_alpha).any(|weight| weight != 0.0 && !near.contains(&weight))
    }

    pub(crate) fn sample_weight(&self, row: usize) -> f32 {
        self.sample_weights.as_ref().map_or(1.0, |weights| weights[row])
    }

    /// Those of a loss of rows from logits, as the reference takes them.
    pub(crate) fn of_rows(&self, sample_weight: f32) -> reference::Options<'_> {
        reference::Options {
            class_weights: self.weights.as_deref().unwrap_or_default(),
            label_smoothing: self.label_smoothing,
            focal_gamma: self.focal_gamma,
            focal_alpha: self.focal_alpha.unwrap_or(1.0),
            z_loss: self.z_loss,
            temperature: self.temperature,
            soft_cap: self.soft_cap,
            sample_weight,
            ..reference::Options::default()
        }
    }

    /// Those of a binary loss without `pos_weights`, from logits or from clipped probabilities.
    pub(crate) fn of_elements(&self, clip: Option<[f32; 2]>) -> BinaryOptions {
        let none = BinaryOptions::default();
        BinaryOptions {
            label_smoothing: self.label_smoothing,
            focal_gamma: self.focal_gamma,
            focal_alpha: self.focal_alpha,
            temperature: self.temperature,
            soft_cap: self.soft_cap,
            clip: clip.unwrap_or(none.clip),
            ..none
        }
    }

    /// The errors of the options that every loss has. `weights`: their name.
    pub(crate) fn due_errors(
        &self,
        n_rows: usize,
        classes: usize,
        weights: &'static str,
    ) -> Vec<Error> {
        let mut due = Vec::new();
        for (name, n, values) in
            [(weights, classes, &self.weights), ("sample_weights", n_rows, &self.sample_weights)]
        {
            let Some(values) = values else { continue };
            if values.len() != n {
                due.push(Error::LengthMismatch { expected: n, found: values.len() });
            }
            due.extend(values.iter().find(|&&w| !is_weight(w)).map(|&value| invalid(name, value)));
        }
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            due.push(invalid("label_smoothing", self.label_smoothing));
        }
        if !is_weight(self.focal_gamma) {
            due.push(invalid("focal_gamma", self.focal_gamma));
        }
        due
    }

    /// The errors of the options of losses from logits.
    pub(crate) fn due_logit_errors(&self) -> Vec<Error> {
        let mut due = Vec::new();
        if !(self.temperature > 0.0 && self.temperature < f32::INFINITY) {
            due.push(invalid("temperature", self.temperature));
        }
        if self.soft_cap.is_nan() || self.soft_cap <= 0.0 {
            due.push(invalid("soft_cap", self.soft_cap));
        }
        due
    }

    /// The error of a gradient alone.
    pub(crate) fn due_scale_error(&self) -> Option<Error> {
        scale_error(self.scale)
    }

    /// The factor of a gradient, where the weights and the number of what is counted are these.
    pub(crate) fn factor(&self, weight: f64, count: u64) -> f64 {
        factor(self.scale, weight, count)
    }
}

/// A temperature, rarely one that is not valid.
pub(crate) fn temperature(bytes: &mut Bytes<'_>, usual: &mut bool) -> f32 {
    value(bytes, &[1.0, 1.0, 2.0, 0.5, 10.0, 0.125, 0.7], usual)
}

/// The scale of a gradient.
pub(crate) fn scale(bytes: &mut Bytes<'_>, usual: &mut bool) -> GradientScale {
    match bytes.byte() % 8 {
        0..3 => Reduction::Sum.into(),
        3 | 4 => Reduction::Mean.into(),
        5 => Reduction::MeanCount.into(),
        6 => [1.0, 0.5, -2.0, 0.0][usize::from(bytes.byte()) % 4].into(),
        _ => value(bytes, &[1.0, 1e-3, 8.0], usual).into(),
    }
}

/// The error of a scale that is a factor, if it is not finite.
pub(crate) fn scale_error(scale: GradientScale) -> Option<Error> {
    match scale {
        GradientScale::Factor(factor) if !factor.is_finite() => {
            Some(invalid("gradient_scale", factor as f32))
        }
        _ => None,
    }
}

/// The factor of a scale, where the weights and the number of what is counted are these.
pub(crate) fn factor(scale: GradientScale, weight: f64, count: u64) -> f64 {
    let over = |n: f64| if n == 0.0 { 0.0 } else { 1.0 / n };
    match scale {
        GradientScale::Factor(factor) => factor,
        GradientScale::Reduction(Reduction::Sum) => 1.0,
        GradientScale::Reduction(Reduction::Mean) => over(weight),
        GradientScale::Reduction(Reduction::MeanCount) => over(count as f64),
    }
}

/// Fails unless the reductions of a total are quotients of what it counts.
#[track_caller]
pub(crate) fn assert_reductions(total: LossTotal, context: impl Fn() -> String) {
    let (sum, weight, count) = (total.sum(), total.weight(), total.count());
    let mean_count = if count == 0 { f64::NAN } else { sum / count as f64 };
    for (reduction, wanted) in [
        (Reduction::Sum, sum),
        (Reduction::Mean, if weight == 0.0 { f64::NAN } else { sum / weight }),
        (Reduction::MeanCount, mean_count),
    ] {
        assert_same_f64(total.reduce(reduction), wanted, &context);
    }
    assert_same_f64(total.mean(), total.reduce(Reduction::Mean), &context);
    assert_same_f64(total.mean_count(), mean_count, context);
}

/// Fails unless a factor is one of 1 over a sum, which is rounded to f32.
#[track_caller]
pub(crate) fn assert_factor(got: f64, wanted: f64, context: impl Fn() -> String) {
    let near = (got - wanted).abs() <= accuracy::ULP * wanted.abs();
    assert!(near || got == wanted, "a factor of {got:e}, not {wanted:e}\n{}", context());
}

pub(crate) fn is_weight(weight: f32) -> bool {
    (0.0..f32::INFINITY).contains(&weight)
}

pub(crate) fn invalid(name: &'static str, value: f32) -> Error {
    Error::InvalidOption { name, value }
}

/// One of the values, or rarely any float.
fn value(bytes: &mut Bytes<'_>, values: &[f32], usual: &mut bool) -> f32 {
    if bytes.rarely() {
        *usual = false;
        return bytes.float();
    }
    values[usize::from(bytes.byte()) % values.len()]
}

/// Weights for `n`, mostly as many and valid.
fn weights(bytes: &mut Bytes<'_>, n: usize, usual: &mut bool) -> Option<Vec<f32>> {
    if !bytes.flag() {
        return None;
    }
    let n = if bytes.rarely() { bytes.below(2 * n + 2) } else { n };
    let step = bytes.below(5);
    let some = [1.0, 0.0, 2.0, 0.3, 1.5];
    let mut weights: Vec<f32> = (0..n).map(|i| some[(i * step + i / 5) % some.len()]).collect();
    if n > 0 && bytes.rarely() {
        *usual = false;
        weights[bytes.below(n)] = bytes.float();
    }
    Some(weights)
}
