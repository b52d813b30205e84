//! How the losses of many rows become one, and the factor that this brings into a gradient.

use super::options::check_option;
use crate::{Error, LossTotal};

/// How many losses become one.
///
/// ```
/// use xent_core::{LossTotal, Reduction};
/// let mut total = LossTotal::EMPTY;
/// total.push(3.0, 2.0);
/// total.push(6.0, 1.0);
/// let reduced = [Reduction::Sum, Reduction::Mean, Reduction::MeanCount].map(|r| total.reduce(r));
/// assert_eq!(reduced, [12.0, 4.0, 6.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// The sum of the weighted losses; 0 of nothing.
    Sum,
    /// The sum over the sum of the weights; NaN where that is 0. PyTorch's `mean` of labels.
    Mean,
    /// The sum over the number of rows, for binary losses of elements, that are not ignored; NaN of
    /// nothing. Keras' `sum_over_batch_size`.
    MeanCount,
}

/// What a gradient is multiplied by: the factor of a reduction, or a given one.
///
/// Made by `into()` from a [`Reduction`], an `f32` or an `f64`. The weights that a mean divides by depend on the
/// targets alone, so that the gradient needs no second pass.
///
/// ```
/// use xent_core::{CrossEntropy, Reduction, Rows};
/// let logits = Rows::new(&[0.0; 4], 2, 2)?;
/// let (loss, mut gradient) = (CrossEntropy::new(), [0.0; 4]);
/// loss.gradient(logits, &[0, 1], Reduction::Mean, &mut gradient)?;
/// assert_eq!(gradient, [-0.25, 0.25, 0.25, -0.25]);
/// loss.gradient(logits, &[0, 1], 2.0, &mut gradient)?;
/// assert_eq!(gradient, [-1.0, 1.0, 1.0, -1.0]);
/// # Ok::<(), xent_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GradientScale {
    /// The gradient of the reduced loss; all zeros where that is a mean over nothing.
    Reduction(Reduction),
    /// A finite number of times the gradient of the sum. It is rounded to f32, but where that is subnormal
    /// or infinite: beside weights of 1e-40 it may be 1e40.
    Factor(f64),
}

impl From<Reduction> for GradientScale {
    fn from(reduction: Reduction) -> Self {
        GradientScale::Reduction(reduction)
    }
}

impl From<f32> for GradientScale {
    fn from(factor: f32) -> Self {
        GradientScale::Factor(f64::from(factor))
    }
}

impl From<f64> for GradientScale {
    fn from(factor: f64) -> Self {
        GradientScale::Factor(factor)
    }
}

impl GradientScale {
    pub(super) fn validate(self) -> Result<(), Error> {
        match self {
            GradientScale::Reduction(_) => Ok(()),
            GradientScale::Factor(factor) => {
                check_option("gradient_scale", factor as f32, factor.is_finite())
            }
        }
    }

    /// The factor, for losses whose weights and number are those of `weights`.
    pub(super) fn factor(self, weights: impl FnOnce() -> LossTotal) -> f64 {
        let reciprocal = |divisor: f64| if divisor == 0.0 { 0.0 } else { 1.0 / divisor };
        let factor = match self {
            GradientScale::Factor(factor) => factor,
            GradientScale::Reduction(Reduction::Sum) => 1.0,
            GradientScale::Reduction(Reduction::Mean) => reciprocal(weights().weight()),
            GradientScale::Reduction(Reduction::MeanCount) => reciprocal(weights().count() as f64),
        };
        let rounded = factor as f32;
        if rounded.is_normal() { f64::from(rounded) } else { factor }
    }
}
