//! Binary cross-entropy from probabilities.

use super::GradientScale;
use super::clip::ClipRange;
use super::elements::{BinaryOptions, ElementLoss};
use crate::kernel::binary::{BinaryTerms, Elements};
use crate::targets::BinaryTargets;
use crate::{Backend, Error, LossTotal, Rows};

/// Binary cross-entropy of clipped probabilities with targets in [0, 1], in nats, an element at a
/// time.
///
/// `-(y ln(q) + (1 - y) ln(1 - q))` with `q = clip(p, lo, hi)`. The clip range is Keras'
/// `[1e-7, 1 - 1e-7]` in f32 (the upper end is 0.99999988) unless [`clip`](Self::clip) sets another.
/// `ln(1 - q)` is computed from `q`, not from the rounded `1 - q`: `y = 0, p = 0` costs 1e-7, where
/// Keras has 1.1920929e-7. Targets are taken as given.
///
/// Options act in this order: the target becomes `(1 - a) y + a / 2`
/// ([`label_smoothing`](Self::label_smoothing)); its positive term is multiplied by the weight of its
/// class ([`pos_weights`](Self::pos_weights)); the whole by the factors of [`focal`](Self::focal) and
/// [`focal_alpha`](Self::focal_alpha), and by the sample weight of the row
/// ([`BinaryTargets::with_sample_weights`]).
///
/// Special values: a NaN probability or target gives NaN; a term whose weight `y` or `1 - y` is 0
/// contributes 0, also where it is infinite.
///
/// Accuracy: [`accuracy::CLIPPED_BINARY_LOSS`](crate::accuracy::CLIPPED_BINARY_LOSS), against
/// [`reference::clipped_binary_cross_entropy`](crate::reference::clipped_binary_cross_entropy).
///
/// ```
/// use xent_core::{ClippedBinaryCrossEntropy, Rows};
/// let probs = Rows::new(&[0.8, 0.2, 0.6, 0.9, 0.3], 1, 5)?;
/// let targets = Rows::new(&[1.0, 0.0, 1.0, 1.0, 0.0], 1, 5)?;
/// let total = ClippedBinaryCrossEntropy::new().total(probs, targets)?;
/// assert_eq!(total.mean() as f32, 0.28382963);
/// # Ok::<(), xent_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ClippedBinaryCrossEntropy<'w> {
    backend: Backend,
    options: BinaryOptions<'w>,
    clip: ClipRange,
}

impl ClippedBinaryCrossEntropy<'static> {
    /// Keras' clip range, no other option, on the detected backend.
    ///
    /// ```
    /// let loss = xent_core::ClippedBinaryCrossEntropy::new();
    /// ```
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        ClippedBinaryCrossEntropy {
            backend: Backend::detected(),
            options: BinaryOptions::NONE,
            clip: ClipRange::KERAS,
        }
    }
}

impl<'w> ClippedBinaryCrossEntropy<'w> {
    /// On a chosen backend.
    ///
    /// ```
    /// use xent_core::{Backend, ClippedBinaryCrossEntropy};
    /// let loss = ClippedBinaryCrossEntropy::new().backend(Backend::SCALAR);
    /// ```
    #[must_use]
    #[inline]
    pub const fn backend(self, backend: Backend) -> Self {
        ClippedBinaryCrossEntropy { backend, ..self }
    }

    /// Clips probabilities into `[lo, hi]`, `0 <= lo <= hi <= 1`; `[0, 1]` changes none.
    ///
    /// Another range is an [`Error::InvalidClip`] of the call that uses it.
    ///
    /// ```
    /// let loss = xent_core::ClippedBinaryCrossEntropy::new().clip(0.0, 1.0);
    /// assert_eq!(loss.element(0.0, 1.0), Ok(f32::INFINITY));
    /// ```
    #[must_use]
    #[inline]
    pub const fn clip(self, lo: f32, hi: f32) -> Self {
        ClippedBinaryCrossEntropy { clip: ClipRange { lo, hi }, ..self }
    }

    /// Smooths the targets: `(1 - a) y + a / 2`.
    ///
    /// In [0, 1], else an [`Error::InvalidOption`] of the call that uses it; 0 is none.
    ///
    /// ```
    /// let loss = xent_core::ClippedBinaryCrossEntropy::new().label_smoothing(0.5);
    /// let mut losses = [0.0];
    /// loss.row(&[0.5], &[1.0], &mut losses)?;
    /// assert_eq!(losses, [2_f32.ln()]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn label_smoothing(self, label_smoothing: f32) -> Self {
        let terms = BinaryTerms { label_smoothing, ..self.options.terms };
        ClippedBinaryCrossEntropy { options: BinaryOptions { terms, ..self.options }, ..self }
    }

    /// Multiplies the positive term of each class by its weight: PyTorch's `pos_weight`.
    ///
    /// Not in the weights of a mean. `weights`: one a class, finite and not negative, else an
    /// [`Error::LengthMismatch`] or [`Error::InvalidOption`] of the call that uses them. A term of
    /// weight 0 is 0, also where it is infinite or NaN.
    ///
    /// ```
    /// let loss = xent_core::ClippedBinaryCrossEntropy::new().pos_weights(&[3.0]);
    /// let mut losses = [0.0];
    /// loss.row(&[0.5], &[1.0], &mut losses)?;
    /// assert_eq!(losses, [3.0 * 2_f32.ln()]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn pos_weights<'a>(self, weights: &'a [f32]) -> ClippedBinaryCrossEntropy<'a>
    where
        'w: 'a,
    {
        ClippedBinaryCrossEntropy {
            options: BinaryOptions { pos_weights: Some(weights), ..self.options },
            ..self
        }
    }

    /// Multiplies the loss by `(1 - p_t)^gamma`, with `1 - p_t = y (1 - p) + (1 - y) p` the probability
    /// of being wrong.
    ///
    /// It is no difference that cancels; where it is 0, loss and gradient are 0. Finite and not
    /// negative, else an [`Error::InvalidOption`] of the call that uses it; 0 is none.
    /// Accuracy: [`accuracy::FOCAL`](crate::accuracy::FOCAL). Source: T.-Y. Lin et al., Focal Loss for
    /// Dense Object Detection (2017); Keras and torchvision agree.
    ///
    /// ```
    /// let loss = xent_core::ClippedBinaryCrossEntropy::new().focal(2.0);
    /// let mut losses = [0.0];
    /// loss.row(&[0.5], &[1.0], &mut losses)?;
    /// assert_eq!(losses, [0.25 * 2_f32.ln()]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn focal(self, gamma: f32) -> Self {
        let terms = BinaryTerms { gamma, ..self.options.terms };
        ClippedBinaryCrossEntropy { options: BinaryOptions { terms, ..self.options }, ..self }
    }

    /// Balances positives against negatives: multiplies the loss by `alpha y + (1 - alpha) (1 - y)`.
    /// Keras' `apply_class_balancing`.
    ///
    /// In [0, 1], else an [`Error::InvalidOption`] of the call that uses it; `None` is none.
    ///
    /// ```
    /// let loss = xent_core::ClippedBinaryCrossEntropy::new().focal_alpha(0.25);
    /// let mut losses = [0.0];
    /// loss.row(&[0.5], &[1.0], &mut losses)?;
    /// assert_eq!(losses, [0.25 * 2_f32.ln()]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn focal_alpha(self, alpha: impl Into<Option<f32>>) -> Self {
        let terms = BinaryTerms { alpha: alpha.into(), ..self.options.terms };
        ClippedBinaryCrossEntropy { options: BinaryOptions { terms, ..self.options }, ..self }
    }

    /// Whether a call with these arguments has an error: every call asks this first.
    ///
    /// Errors: [`Error::InvalidOption`], [`Error::InvalidClip`], [`Error::EmptyClasses`] for rows without classes,
    /// [`Error::LengthMismatch`].
    ///
    /// ```
    /// use xent_core::{ClippedBinaryCrossEntropy, Error, Rows};
    /// let x = Rows::new(&[0.5, 0.5], 1, 2)?;
    /// let error = Error::InvalidOption { name: "focal_gamma", value: -1.0 };
    /// assert_eq!(ClippedBinaryCrossEntropy::new().focal(-1.0).check(x, x), Err(error));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn check<'a>(
        &self,
        probs: Rows<'_>,
        targets: impl Into<BinaryTargets<'a>>,
    ) -> Result<(), Error> {
        ElementLoss::check(self, &probs, &targets.into())
    }

    /// The loss of one probability and its target: [`row`](Self::row), of one element.
    ///
    /// Errors: those of [`check`](Self::check).
    ///
    /// ```
    /// let loss = xent_core::ClippedBinaryCrossEntropy::new();
    /// assert_eq!(loss.element(0.5, 1.0), Ok(2_f32.ln()));
    /// assert_eq!(loss.focal(2.0).element(0.5, 1.0), Ok(0.25 * 2_f32.ln()));
    /// ```
    pub fn element(&self, prob: f32, target: f32) -> Result<f32, Error> {
        let mut out = [0.0];
        self.row(&[prob], &[target], &mut out)?;
        Ok(out[0])
    }

    /// The losses of one row: `losses[i]` is that of `probs[i]` and `targets[i]`.
    ///
    /// Errors: those of [`check`](Self::check); then nothing is written.
    ///
    /// ```
    /// let mut losses = [0.0; 2];
    /// xent_core::ClippedBinaryCrossEntropy::new().row(&[0.8, 0.2], &[1.0, 0.0], &mut losses)?;
    /// assert_eq!(losses, [0.22314353, 0.22314355]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn row(&self, probs: &[f32], targets: &[f32], losses: &mut [f32]) -> Result<(), Error> {
        let (x, y) = (Rows::new(probs, 1, probs.len())?, Rows::new(targets, 1, targets.len())?);
        self.rows(x, y, losses)
    }

    /// The losses of many rows, row-major.
    ///
    /// `probs`, `targets`: of one shape, `n_rows` by `classes`, each in its own layout; or
    /// [`BinaryTargets`], with sample weights. `losses`: `n_rows * classes` elements.
    /// Errors: those of [`check`](Self::check), and [`Error::LengthMismatch`]; then nothing is written.
    ///
    /// ```
    /// use xent_core::{ClippedBinaryCrossEntropy, Rows};
    /// let x = Rows::new(&[0.8, 0.2], 2, 1)?;
    /// let mut losses = [0.0; 2];
    /// ClippedBinaryCrossEntropy::new().rows(x, Rows::new(&[1.0, 0.0], 2, 1)?, &mut losses)?;
    /// assert_eq!(losses, [0.22314353, 0.22314355]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn rows<'a>(
        &self,
        probs: Rows<'_>,
        targets: impl Into<BinaryTargets<'a>>,
        losses: &mut [f32],
    ) -> Result<(), Error> {
        self.checked_losses(&probs, &targets.into(), losses)
    }

    /// The total over all elements of many rows, for their sum or mean.
    ///
    /// Arguments and errors are those of [`rows`](Self::rows).
    ///
    /// ```
    /// use xent_core::{ClippedBinaryCrossEntropy, Rows};
    /// let x = Rows::new(&[0.8, 0.2], 2, 1)?;
    /// let total = ClippedBinaryCrossEntropy::new().total(x, Rows::new(&[1.0, 0.0], 2, 1)?)?;
    /// assert_eq!(total.mean() as f32, 0.22314355);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn total<'a>(
        &self,
        probs: Rows<'_>,
        targets: impl Into<BinaryTargets<'a>>,
    ) -> Result<LossTotal, Error> {
        self.checked_total(&probs, &targets.into())
    }

    /// The total over all elements, and the gradient of their reduced loss with respect to the probabilities.
    ///
    /// Without options `(1 - y) / (1 - q) - y / q` inside the clip range, its ends included; 0 where it is
    /// clipped.
    /// `probs`, `targets` and errors: those of [`rows`](Self::rows). `scale`: a
    /// [`Reduction`](crate::Reduction) of the losses, or a finite factor of the gradient of their sum.
    /// `gradient`: `n_rows * classes` elements, row-major.
    /// Special values: where the loss is NaN, the gradient is; elements of weight 0 have a gradient of 0.
    /// Accuracy: [`accuracy::CLIPPED_BINARY_GRADIENT`](crate::accuracy::CLIPPED_BINARY_GRADIENT).
    ///
    /// ```
    /// use xent_core::{ClippedBinaryCrossEntropy, Reduction, Rows};
    /// let (x, y) = (Rows::new(&[0.5; 2], 2, 1)?, Rows::new(&[1.0, 0.0], 2, 1)?);
    /// let mut gradient = [0.0; 2];
    /// ClippedBinaryCrossEntropy::new().gradient(x, y, Reduction::Mean, &mut gradient)?;
    /// assert_eq!(gradient, [-1.0, 1.0]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn gradient<'a>(
        &self,
        probs: Rows<'_>,
        targets: impl Into<BinaryTargets<'a>>,
        scale: impl Into<GradientScale>,
        gradient: &mut [f32],
    ) -> Result<LossTotal, Error> {
        self.checked_gradient(&probs, &targets.into(), scale.into(), gradient)
    }

    /// As [`gradient`](Self::gradient), with the gradient in the place of the probabilities.
    ///
    /// `probs`: row-major, in the shape of `targets`.
    ///
    /// ```
    /// use xent_core::{ClippedBinaryCrossEntropy, Reduction, Rows};
    /// let mut x = [0.5; 2];
    /// let y = Rows::new(&[1.0, 0.0], 2, 1)?;
    /// ClippedBinaryCrossEntropy::new().gradient_in_place(&mut x, y, Reduction::Mean)?;
    /// assert_eq!(x, [-1.0, 1.0]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn gradient_in_place<'a>(
        &self,
        probs: &mut [f32],
        targets: impl Into<BinaryTargets<'a>>,
        scale: impl Into<GradientScale>,
    ) -> Result<LossTotal, Error> {
        self.checked_gradient_in_place(probs, &targets.into(), scale.into())
    }

    /// What `scale` multiplies the gradient of the sum over all elements by. For those who split a batch.
    ///
    /// `targets`: those of the whole batch.
    /// Errors: those of the targets alone; [`Error::InvalidOption`] for a factor that is not finite.
    ///
    /// ```
    /// use xent_core::{ClippedBinaryCrossEntropy, Reduction, Rows};
    /// let y = Rows::new(&[1.0, 0.0], 1, 2)?;
    /// assert_eq!(ClippedBinaryCrossEntropy::new().gradient_factor(y, Reduction::Mean)?, 0.5);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn gradient_factor<'a>(
        &self,
        targets: impl Into<BinaryTargets<'a>>,
        scale: impl Into<GradientScale>,
    ) -> Result<f64, Error> {
        let targets = targets.into();
        targets.check(&targets.rows)?;
        self.checked_factor(&targets, scale.into())
    }
}

impl Default for ClippedBinaryCrossEntropy<'static> {
    fn default() -> Self {
        ClippedBinaryCrossEntropy::new()
    }
}

impl ElementLoss for ClippedBinaryCrossEntropy<'_> {
    fn options(&self) -> &BinaryOptions<'_> {
        &self.options
    }

    fn validate(&self) -> Result<(), Error> {
        self.clip.validate()?;
        self.options.validate()
    }

    fn is_plain(&self) -> bool {
        self.options.are_none()
    }

    fn plain_losses(&self, p: &[f32], y: &[f32], out: &mut [f32]) {
        self.backend.clipped_binary_losses(p, y, self.clip, out);
    }

    fn losses(&self, elements: Elements<'_>, out: &mut [f32]) {
        let terms = &self.options.terms;
        self.backend.weighted_clipped_binary_losses(elements, terms, self.clip, out);
    }

    fn gradients(&self, elements: Elements<'_>, out: &mut [f32]) {
        self.backend.clipped_binary_gradients(elements, &self.options.terms, self.clip, out);
    }
}
