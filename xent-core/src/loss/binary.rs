//! Binary cross-entropy from logits.

use super::GradientScale;
use super::elements::{BinaryOptions, ElementLoss};
use crate::kernel::binary::{BinaryTerms, Elements};
use crate::kernel::logits::LogitTransform;
use crate::targets::BinaryTargets;
use crate::{Backend, Error, LossTotal, Rows};

/// Binary cross-entropy of logits with targets in [0, 1], in nats, an element at a time.
///
/// `y softplus(-x) + (1 - y) softplus(x)` with `softplus(x) = max(x, 0) + ln(1 + exp(-|x|))`, which is
/// `-(y ln p + (1 - y) ln(1 - p))` for `p = sigmoid(x)`. Neither term cancels. Targets are taken as
/// given. Keras calls this `from_logits=True`, PyTorch `BCEWithLogitsLoss`.
///
/// Options act in this order: the logit becomes `z = c tanh(x / c) / T` ([`soft_cap`](Self::soft_cap),
/// [`temperature`](Self::temperature)); the target `(1 - a) y + a / 2`
/// ([`label_smoothing`](Self::label_smoothing)); its positive term is multiplied by the weight of its
/// class ([`pos_weights`](Self::pos_weights)); the whole by the factors of [`focal`](Self::focal) and
/// [`focal_alpha`](Self::focal_alpha), and by the sample weight of the row
/// ([`BinaryTargets::with_sample_weights`]).
///
/// Special values: a NaN logit or target gives NaN. A term whose weight `y` or `1 - y` is 0
/// contributes 0, so an infinite logit costs 0 where the target agrees and `+inf` where not.
///
/// Accuracy: [`accuracy::BINARY_LOSS`](crate::accuracy::BINARY_LOSS), against
/// [`reference::binary_cross_entropy`](crate::reference::binary_cross_entropy).
///
/// ```
/// use xent_core::BinaryCrossEntropy;
/// let loss = BinaryCrossEntropy::new();
/// assert_eq!(loss.element(20.0, 1.0), Ok(2.0611537e-9));
/// assert_eq!(loss.element(f32::INFINITY, 1.0), Ok(0.0));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BinaryCrossEntropy<'w> {
    backend: Backend,
    options: BinaryOptions<'w>,
    transform: LogitTransform,
}

impl BinaryCrossEntropy<'static> {
    /// Without options, on the detected backend.
    ///
    /// ```
    /// let loss = xent_core::BinaryCrossEntropy::new();
    /// ```
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        BinaryCrossEntropy {
            backend: Backend::detected(),
            options: BinaryOptions::NONE,
            transform: LogitTransform::NONE,
        }
    }
}

impl<'w> BinaryCrossEntropy<'w> {
    /// On a chosen backend.
    ///
    /// ```
    /// use xent_core::{Backend, BinaryCrossEntropy};
    /// let loss = BinaryCrossEntropy::new().backend(Backend::SCALAR);
    /// ```
    #[must_use]
    #[inline]
    pub const fn backend(self, backend: Backend) -> Self {
        BinaryCrossEntropy { backend, ..self }
    }

    /// Smooths the targets: `(1 - a) y + a / 2`.
    ///
    /// In [0, 1], else an [`Error::InvalidOption`] of the call that uses it; 0 is none.
    ///
    /// ```
    /// let loss = xent_core::BinaryCrossEntropy::new().label_smoothing(0.5);
    /// let mut losses = [0.0];
    /// loss.row(&[0.0], &[1.0], &mut losses)?;
    /// assert_eq!(losses, [2_f32.ln()]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn label_smoothing(self, label_smoothing: f32) -> Self {
        let terms = BinaryTerms { label_smoothing, ..self.options.terms };
        BinaryCrossEntropy { options: BinaryOptions { terms, ..self.options }, ..self }
    }

    /// Multiplies the positive term of each class by its weight: PyTorch's `pos_weight`.
    ///
    /// Not in the weights of a mean. `weights`: one a class, finite and not negative, else an
    /// [`Error::LengthMismatch`] or [`Error::InvalidOption`] of the call that uses them. A term of
    /// weight 0 is 0, also where it is infinite or NaN.
    ///
    /// ```
    /// let loss = xent_core::BinaryCrossEntropy::new().pos_weights(&[3.0]);
    /// let mut losses = [0.0];
    /// loss.row(&[0.0], &[1.0], &mut losses)?;
    /// assert_eq!(losses, [3.0 * 2_f32.ln()]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn pos_weights<'a>(self, weights: &'a [f32]) -> BinaryCrossEntropy<'a>
    where
        'w: 'a,
    {
        BinaryCrossEntropy {
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
    /// let loss = xent_core::BinaryCrossEntropy::new().focal(2.0);
    /// let mut losses = [0.0];
    /// loss.row(&[0.0], &[1.0], &mut losses)?;
    /// assert_eq!(losses, [0.25 * 2_f32.ln()]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn focal(self, gamma: f32) -> Self {
        let terms = BinaryTerms { gamma, ..self.options.terms };
        BinaryCrossEntropy { options: BinaryOptions { terms, ..self.options }, ..self }
    }

    /// Balances positives against negatives: multiplies the loss by `alpha y + (1 - alpha) (1 - y)`.
    /// Keras' `apply_class_balancing`.
    ///
    /// In [0, 1], else an [`Error::InvalidOption`] of the call that uses it; `None` is none.
    ///
    /// ```
    /// let loss = xent_core::BinaryCrossEntropy::new().focal_alpha(0.25);
    /// let mut losses = [0.0];
    /// loss.row(&[0.0], &[1.0], &mut losses)?;
    /// assert_eq!(losses, [0.25 * 2_f32.ln()]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn focal_alpha(self, alpha: impl Into<Option<f32>>) -> Self {
        let terms = BinaryTerms { alpha: alpha.into(), ..self.options.terms };
        BinaryCrossEntropy { options: BinaryOptions { terms, ..self.options }, ..self }
    }

    /// Divides the logits by a temperature, after the soft cap.
    ///
    /// Finite and positive, else an [`Error::InvalidOption`] of the call that uses it; 1 is none.
    /// Accuracy: [`accuracy::TEMPERATURE`](crate::accuracy::TEMPERATURE).
    ///
    /// ```
    /// let loss = xent_core::BinaryCrossEntropy::new().temperature(2.0);
    /// let mut losses = [0.0];
    /// loss.row(&[6.0], &[1.0], &mut losses)?;
    /// assert_eq!(losses, [0.04858735]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn temperature(self, temperature: f32) -> Self {
        let transform = LogitTransform { temperature, ..self.transform };
        BinaryCrossEntropy { transform, ..self }
    }

    /// Caps the logits before anything else: `c tanh(x / c)`.
    ///
    /// Positive, else an [`Error::InvalidOption`] of the call that uses it; `+inf` is no cap.
    /// Accuracy: [`accuracy::SOFT_CAP`](crate::accuracy::SOFT_CAP).
    ///
    /// ```
    /// let loss = xent_core::BinaryCrossEntropy::new().soft_cap(3.0);
    /// let mut losses = [0.0];
    /// loss.row(&[f32::INFINITY], &[1.0], &mut losses)?;
    /// assert_eq!(losses, [0.04858735]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn soft_cap(self, soft_cap: f32) -> Self {
        let transform = LogitTransform { soft_cap, ..self.transform };
        BinaryCrossEntropy { transform, ..self }
    }

    /// Whether a call with these arguments has an error: every call asks this first.
    ///
    /// Errors: [`Error::InvalidOption`], [`Error::EmptyClasses`] for rows without classes,
    /// [`Error::LengthMismatch`].
    ///
    /// ```
    /// use xent_core::{BinaryCrossEntropy, Error, Rows};
    /// let x = Rows::new(&[0.5, 0.5], 1, 2)?;
    /// let error = Error::InvalidOption { name: "focal_gamma", value: -1.0 };
    /// assert_eq!(BinaryCrossEntropy::new().focal(-1.0).check(x, x), Err(error));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn check<'a>(
        &self,
        logits: Rows<'_>,
        targets: impl Into<BinaryTargets<'a>>,
    ) -> Result<(), Error> {
        ElementLoss::check(self, &logits, &targets.into())
    }

    /// The loss of one logit and its target: [`row`](Self::row), of one element.
    ///
    /// Errors: those of [`check`](Self::check).
    ///
    /// ```
    /// let loss = xent_core::BinaryCrossEntropy::new();
    /// assert_eq!(loss.element(0.0, 1.0), Ok(2_f32.ln()));
    /// assert_eq!(loss.focal(2.0).element(0.0, 1.0), Ok(0.25 * 2_f32.ln()));
    /// ```
    pub fn element(&self, logit: f32, target: f32) -> Result<f32, Error> {
        let mut out = [0.0];
        self.row(&[logit], &[target], &mut out)?;
        Ok(out[0])
    }

    /// The losses of one row: `losses[i]` is that of `logits[i]` and `targets[i]`.
    ///
    /// Errors: those of [`check`](Self::check); then nothing is written.
    ///
    /// ```
    /// let mut losses = [0.0; 2];
    /// xent_core::BinaryCrossEntropy::new().row(&[3.0, -1.0], &[1.0, 0.0], &mut losses)?;
    /// assert_eq!(losses, [0.04858735, 0.3132617]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn row(&self, logits: &[f32], targets: &[f32], losses: &mut [f32]) -> Result<(), Error> {
        let (x, y) = (Rows::new(logits, 1, logits.len())?, Rows::new(targets, 1, targets.len())?);
        self.rows(x, y, losses)
    }

    /// The losses of many rows, row-major.
    ///
    /// `logits`, `targets`: of one shape, `n_rows` by `classes`, each in its own layout; or
    /// [`BinaryTargets`], with sample weights. `losses`: `n_rows * classes` elements.
    /// Errors: those of [`check`](Self::check), and [`Error::LengthMismatch`]; then nothing is written.
    ///
    /// ```
    /// use xent_core::{BinaryCrossEntropy, Rows};
    /// let x = Rows::new(&[3.0, -1.0], 2, 1)?;
    /// let mut losses = [0.0; 2];
    /// BinaryCrossEntropy::new().rows(x, Rows::new(&[1.0, 0.0], 2, 1)?, &mut losses)?;
    /// assert_eq!(losses, [0.04858735, 0.3132617]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn rows<'a>(
        &self,
        logits: Rows<'_>,
        targets: impl Into<BinaryTargets<'a>>,
        losses: &mut [f32],
    ) -> Result<(), Error> {
        self.checked_losses(&logits, &targets.into(), losses)
    }

    /// The total over all elements of many rows, for their sum or mean.
    ///
    /// Arguments and errors are those of [`rows`](Self::rows).
    ///
    /// ```
    /// use xent_core::{BinaryCrossEntropy, Rows};
    /// let x = Rows::new(&[3.0, -1.0], 2, 1)?;
    /// let total = BinaryCrossEntropy::new().total(x, Rows::new(&[1.0, 0.0], 2, 1)?)?;
    /// assert_eq!(total.mean() as f32, 0.18092452);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn total<'a>(
        &self,
        logits: Rows<'_>,
        targets: impl Into<BinaryTargets<'a>>,
    ) -> Result<LossTotal, Error> {
        self.checked_total(&logits, &targets.into())
    }

    /// The total over all elements, and the gradient of their reduced loss with respect to the logits.
    ///
    /// Without options `(1 - y) sigmoid(x) - y sigmoid(-x)`, in which nothing cancels.
    /// `logits`, `targets` and errors: those of [`rows`](Self::rows). `scale`: a
    /// [`Reduction`](crate::Reduction) of the losses, or a finite factor of the gradient of their sum.
    /// `gradient`: `n_rows * classes` elements, row-major.
    /// Special values: where the loss is NaN, the gradient is; elements of weight 0 have a gradient of 0.
    /// Accuracy: [`accuracy::BINARY_GRADIENT`](crate::accuracy::BINARY_GRADIENT).
    ///
    /// ```
    /// use xent_core::{BinaryCrossEntropy, Reduction, Rows};
    /// let (x, y) = (Rows::new(&[0.0; 2], 2, 1)?, Rows::new(&[1.0, 0.0], 2, 1)?);
    /// let mut gradient = [0.0; 2];
    /// BinaryCrossEntropy::new().gradient(x, y, Reduction::Mean, &mut gradient)?;
    /// assert_eq!(gradient, [-0.25, 0.25]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn gradient<'a>(
        &self,
        logits: Rows<'_>,
        targets: impl Into<BinaryTargets<'a>>,
        scale: impl Into<GradientScale>,
        gradient: &mut [f32],
    ) -> Result<LossTotal, Error> {
        self.checked_gradient(&logits, &targets.into(), scale.into(), gradient)
    }

    /// As [`gradient`](Self::gradient), with the gradient in the place of the logits.
    ///
    /// `logits`: row-major, in the shape of `targets`.
    ///
    /// ```
    /// use xent_core::{BinaryCrossEntropy, Reduction, Rows};
    /// let mut x = [0.0; 2];
    /// let y = Rows::new(&[1.0, 0.0], 2, 1)?;
    /// BinaryCrossEntropy::new().gradient_in_place(&mut x, y, Reduction::Mean)?;
    /// assert_eq!(x, [-0.25, 0.25]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn gradient_in_place<'a>(
        &self,
        logits: &mut [f32],
        targets: impl Into<BinaryTargets<'a>>,
        scale: impl Into<GradientScale>,
    ) -> Result<LossTotal, Error> {
        self.checked_gradient_in_place(logits, &targets.into(), scale.into())
    }

    /// What `scale` multiplies the gradient of the sum over all elements by. For those who split a batch.
    ///
    /// `targets`: those of the whole batch.
    /// Errors: those of the targets alone; [`Error::InvalidOption`] for a factor that is not finite.
    ///
    /// ```
    /// use xent_core::{BinaryCrossEntropy, Reduction, Rows};
    /// let y = Rows::new(&[1.0, 0.0], 1, 2)?;
    /// assert_eq!(BinaryCrossEntropy::new().gradient_factor(y, Reduction::Mean)?, 0.5);
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

impl Default for BinaryCrossEntropy<'static> {
    fn default() -> Self {
        BinaryCrossEntropy::new()
    }
}

impl ElementLoss for BinaryCrossEntropy<'_> {
    fn options(&self) -> &BinaryOptions<'_> {
        &self.options
    }

    fn validate(&self) -> Result<(), Error> {
        self.options.validate()?;
        self.transform.validate()
    }

    fn is_plain(&self) -> bool {
        self.options.are_none() && self.transform == LogitTransform::NONE
    }

    fn plain_losses(&self, x: &[f32], y: &[f32], out: &mut [f32]) {
        self.backend.binary_losses(x, y, out);
    }

    fn losses(&self, elements: Elements<'_>, out: &mut [f32]) {
        let terms = &self.options.terms;
        self.backend.weighted_binary_losses(elements, terms, &self.transform, out);
    }

    fn gradients(&self, elements: Elements<'_>, out: &mut [f32]) {
        self.backend.binary_gradients(elements, &self.options.terms, &self.transform, out);
    }
}
