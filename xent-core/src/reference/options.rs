//! The options of the losses over classes.

/// The options of a loss over classes as its setters take them, and the sample weight of the row.
///
/// ```
/// use xent_core::reference::{Options, cross_entropy_with};
/// let options = Options { focal_gamma: 1.0, ..Options::default() };
/// assert_eq!(cross_entropy_with(&[1.0, 1.0], &[1.0, 0.0], &options), 0.5 * 2_f64.ln());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// One a class; empty stands for ones.
    pub class_weights: &'a [f32],
    /// `a` of `(1 - a) y + a / C`.
    pub label_smoothing: f32,
    /// Exponent of `1 - p_c`.
    pub focal_gamma: f32,
    /// Factor of the terms of all classes.
    pub focal_alpha: f32,
    /// Factor of `lse^2`; logits only.
    pub z_loss: f32,
    /// What the logits are divided by.
    pub temperature: f32,
    /// What the logits are capped at; `+inf` is no cap.
    pub soft_cap: f32,
    /// The range that probabilities are clipped into.
    pub clip: [f32; 2],
    /// Whether probabilities are divided by their sum.
    pub normalize: bool,
    /// Factor of the row; 0 is a row that is absent.
    pub sample_weight: f32,
}

impl Default for Options<'_> {
    /// None of them; Keras' clip range.
    fn default() -> Self {
        Options {
            class_weights: &[],
            label_smoothing: 0.0,
            focal_gamma: 0.0,
            focal_alpha: 1.0,
            z_loss: 0.0,
            temperature: 1.0,
            soft_cap: f32::INFINITY,
            clip: [1e-7, 1.0 - 1e-7],
            normalize: false,
            sample_weight: 1.0,
        }
    }
}

impl Options<'_> {
    /// `alpha w_c ((1 - a) y_c + a / C)`; 0 where the weight is 0.
    pub(super) fn count(&self, y: &[f32], c: usize) -> f64 {
        let weight = self.class_weights.get(c).map_or(1.0, |&w| f64::from(w));
        let weight = weight * f64::from(self.focal_alpha);
        if weight == 0.0 {
            return 0.0;
        }
        let smoothing = f64::from(self.label_smoothing);
        weight * ((1.0 - smoothing) * super::at(y, c) + smoothing / y.len() as f64)
    }

    /// `rest^gamma loss`; 0 where `rest` is 0.
    pub(super) fn focal_loss(&self, rest: f64, loss: f64) -> f64 {
        if self.focal_gamma == 0.0 {
            loss
        } else if rest == 0.0 {
            0.0
        } else {
            libm::pow(rest, f64::from(self.focal_gamma)) * loss
        }
    }

    /// `-p` times the derivative of `rest^gamma loss` by `p`, with `loss = -ln p` and `rest = 1 - p`:
    /// `rest^gamma (1 + gamma p loss / rest)`; at `p = 0` and `rest = 0` the limits.
    pub(super) fn focal_slope(&self, p: f64, rest: f64, loss: f64) -> f64 {
        let gamma = f64::from(self.focal_gamma);
        if gamma == 0.0 {
            1.0
        } else if rest == 0.0 {
            0.0
        } else {
            let turn = if p == 0.0 { 0.0 } else { gamma * p * loss / rest };
            libm::pow(rest, gamma) * (1.0 + turn)
        }
    }
}
