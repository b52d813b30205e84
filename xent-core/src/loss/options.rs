//! The options of the losses, their ranges, and what each row and class counts.

use crate::kernel::distribution::ClassTerms;
use crate::kernel::logits::LogitTransform;
use crate::kernel::tree::BLOCK;
use crate::targets::{Kind, Targets};
use crate::{Backend, Error};

use super::{check_length, is_far};

/// `value`, if it is in its range.
pub(super) fn check_option(name: &'static str, value: f32, valid: bool) -> Result<(), Error> {
    if valid { Ok(()) } else { Err(Error::InvalidOption { name, value }) }
}

/// Weights are finite and not negative.
pub(super) fn check_weight(name: &'static str, weight: f32) -> Result<(), Error> {
    check_option(name, weight, (0.0..f32::INFINITY).contains(&weight))
}

pub(super) fn check_weights(name: &'static str, weights: &[f32]) -> Result<(), Error> {
    // Without an exit from the loop, which is then vectorized.
    let mut n_valid = 0_usize;
    for &weight in weights {
        n_valid += usize::from((0.0..f32::INFINITY).contains(&weight));
    }
    if n_valid == weights.len() {
        return Ok(());
    }
    weights.iter().try_for_each(|&weight| check_weight(name, weight))
}

pub(super) fn check_smoothing(smoothing: f32) -> Result<(), Error> {
    check_option("label_smoothing", smoothing, (0.0..=1.0).contains(&smoothing))
}

impl LogitTransform {
    pub(super) fn validate(&self) -> Result<(), Error> {
        let temperature = self.temperature;
        let valid = temperature > 0.0 && temperature < f32::INFINITY;
        check_option("temperature", temperature, valid)?;
        // +inf is no cap.
        check_option("soft_cap", self.soft_cap, self.soft_cap > 0.0)
    }
}

/// The options of a loss over classes, from logits or from probabilities.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClassOptions<'w> {
    pub(super) class_weights: Option<&'w [f32]>,
    pub(super) ignore: Option<i64>,
    pub(super) label_smoothing: f32,
    pub(super) focal_gamma: f32,
    pub(super) focal_alpha: f32,
}

impl<'w> ClassOptions<'w> {
    pub(super) const NONE: ClassOptions<'static> = ClassOptions {
        class_weights: None,
        ignore: None,
        label_smoothing: 0.0,
        focal_gamma: 0.0,
        focal_alpha: 1.0,
    };

    /// Whether a row with a label costs what its label costs.
    #[inline]
    pub(super) fn are_none(&self) -> bool {
        self.class_weights.is_none()
            && self.ignore.is_none()
            && self.label_smoothing == 0.0
            && self.focal_gamma == 0.0
            && self.focal_alpha == 1.0
    }

    pub(super) fn validate(&self, classes: usize) -> Result<(), Error> {
        check_smoothing(self.label_smoothing)?;
        check_weight("focal_gamma", self.focal_gamma)?;
        check_weight("focal_alpha", self.focal_alpha)?;
        if let Some(weights) = self.class_weights {
            check_length(classes, weights.len())?;
            check_weights("class_weights", weights)?;
        }
        Ok(())
    }

    /// Whether a weight of the options [`is_far`].
    pub(super) fn are_far(&self) -> bool {
        is_far(f64::from(self.focal_alpha)) || have_far(self.class_weights)
    }

    /// Those of a loss that costs `factor` times as much.
    pub(super) fn times(&self, factor: f32) -> ClassOptions<'w> {
        ClassOptions { focal_alpha: self.focal_alpha * factor, ..*self }
    }

    #[inline]
    pub(super) fn class_weight(&self, class: usize) -> f32 {
        self.class_weights.map_or(1.0, |weights| weights.get(class).copied().unwrap_or(0.0))
    }

    /// What a row is computed as; `None` if it is ignored.
    #[inline]
    pub(super) fn row(&self, targets: &Targets<'_>, row: usize) -> Option<Row> {
        let label = match &targets.kind {
            Kind::Labels(labels) => {
                let label = labels.get(row);
                if self.ignore == Some(label) {
                    return None;
                }
                // The labels were checked: 0 stands for none of them.
                Some(usize::try_from(label).unwrap_or(0))
            }
            Kind::Distributions(_) => None,
        };
        Some(Row { label, sample_weight: targets.sample_weight(row) })
    }

    /// The weight of a row in a mean; `None` if it is ignored.
    #[inline]
    pub(super) fn weight(&self, targets: &Targets<'_>, row: usize) -> Option<f64> {
        let Row { label, sample_weight } = self.row(targets, row)?;
        let class_weight = label.map_or(1.0, |label| self.class_weight(label));
        Some(f64::from(sample_weight) * f64::from(class_weight))
    }

    /// What makes of a target what its class counts, for rows of `classes`.
    pub(super) fn terms(&self, classes: usize) -> ClassTerms<'w> {
        ClassTerms {
            class_weights: self.class_weights.unwrap_or(&[]),
            shown: &[],
            keep: 1.0 - self.label_smoothing,
            add: self.label_smoothing / classes as f32,
        }
    }

    /// What the classes `start .. start + len`, at most [`BLOCK`] of them, of a row of `classes`
    /// count, with class weights and smoothing.
    ///
    /// `shown`: a NaN in it is one in what its class counts, unless that has no weight.
    pub(super) fn class_terms<'b>(
        &self,
        backend: Backend,
        targets: &'b Targets<'_>,
        (row, classes): (usize, usize),
        (start, len): (usize, usize),
        shown: &[f32],
        buffer: &'b mut [f32; BLOCK],
    ) -> &'b [f32] {
        let weights = self.class_weights.and_then(|w| w.get(start..start + len)).unwrap_or(&[]);
        let terms = ClassTerms { class_weights: weights, shown, ..self.terms(classes) };
        match &targets.kind {
            Kind::Distributions(y) if weights.is_empty() && self.label_smoothing == 0.0 => {
                y.block(row, start, buffer)
            }
            Kind::Distributions(y) => {
                let out = y.copy_block(row, start, buffer);
                backend.class_terms_in_place(out, terms);
                out
            }
            Kind::Labels(labels) => {
                let out = buffer.get_mut(..len).unwrap_or_default();
                let is_plain = weights.is_empty() && shown.is_empty();
                let ClassTerms { keep, add, .. } = terms;
                let (of_label, of_others) = if is_plain { (keep + add, add) } else { (1.0, 0.0) };
                out.fill(of_others);
                let label = usize::try_from(labels.get(row)).unwrap_or(0);
                if let Some(out) = label.checked_sub(start).and_then(|i| out.get_mut(i)) {
                    *out = of_label;
                }
                if !is_plain {
                    backend.class_terms_in_place(out, terms);
                }
                out
            }
        }
    }
}

/// A row that is not ignored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// `None` with a distribution.
    pub(super) label: Option<usize>,
    pub(super) sample_weight: f32,
}

/// Whether one of the weights [`is_far`].
pub(super) fn have_far(weights: Option<&[f32]>) -> bool {
    weights.unwrap_or_default().iter().any(|&weight| is_far(f64::from(weight)))
}
