//! Cross-entropy from logits.

mod rows;

use super::options::ClassOptions;
use super::{GradientScale, RowLoss, check_length};
use crate::kernel::logits::LogitTransform;
use crate::targets::{Target, Targets};
use crate::{Backend, Error, LossTotal, Rows};
use rows::{plain_label_loss, plain_label_losses};

/// Cross-entropy of logits with a class or a distribution, in nats.
///
/// With `m = max(x)` and `s = Σ exp(x_i - m)` over all elements but one maximum:
///
/// - a class `t`: `(m - x_t) + ln(1 + s)`, which is `-ln softmax(x)_t`;
/// - a distribution `y`: `Σ y_c ((m - x_c) + ln(1 + s))`, terms with `y_c = 0` contribute 0.
///
/// That is the loss without options. With them, in this order: the logits become
/// `z = c tanh(x / c) / T` ([`soft_cap`](Self::soft_cap), [`temperature`](Self::temperature)); the
/// target is smoothed ([`label_smoothing`](Self::label_smoothing)); each class' term is multiplied by its
/// weight ([`class_weights`](Self::class_weights)) and by `alpha (1 - p_c)^gamma`
/// ([`focal`](Self::focal)); `z_loss lse(z)^2` is added ([`z_loss`](Self::z_loss)); the row is multiplied
/// by its sample weight ([`Targets::with_sample_weights`]). A row with the label that is
/// [`ignored`](Self::ignore) costs 0 and counts nowhere.
///
/// No term cancels, so a loss of 6e-9 comes out as 6e-9. Keras calls this `from_logits=True`; for
/// probabilities there is [`ClippedCrossEntropy`](crate::ClippedCrossEntropy).
///
/// Special values: a NaN or `+inf` logit, or only `-inf`, gives NaN; a `-inf` logit elsewhere than at
/// the label is a masked class and has no effect; at the label (or where `y_c > 0`) it gives `+inf`.
///
/// Accuracy: [`accuracy::LOSS`](crate::accuracy::LOSS) for a class,
/// [`accuracy::TARGET_LOSS`](crate::accuracy::TARGET_LOSS) for a distribution, against
/// [`reference::cross_entropy`](crate::reference::cross_entropy).
///
/// ```
/// use xent_core::CrossEntropy;
///
/// let loss = CrossEntropy::new();
/// assert_eq!(loss.row(&[20.0, 0.0, 0.0, 0.0], 0)?, 6.183461e-9);
/// # Ok::<(), xent_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy<'w> {
    backend: Backend,
    options: ClassOptions<'w>,
    z_loss: f32,
    transform: LogitTransform,
}

impl CrossEntropy<'static> {
    /// Without options, on the detected backend.
    ///
    /// ```
    /// let loss = xent_core::CrossEntropy::new();
    /// ```
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        CrossEntropy {
            backend: Backend::detected(),
            options: ClassOptions::NONE,
            z_loss: 0.0,
            transform: LogitTransform::NONE,
        }
    }
}

impl<'w> CrossEntropy<'w> {
    /// On a chosen backend.
    ///
    /// ```
    /// use xent_core::{Backend, CrossEntropy};
    /// let loss = CrossEntropy::new().backend(Backend::SCALAR);
    /// ```
    #[must_use]
    #[inline]
    pub const fn backend(self, backend: Backend) -> Self {
        CrossEntropy { backend, ..self }
    }

    /// The backend it runs on.
    ///
    /// ```
    /// use xent_core::{Backend, CrossEntropy};
    /// assert_eq!(CrossEntropy::new().backend(Backend::SCALAR).backend_used(), Backend::SCALAR);
    /// ```
    #[must_use]
    pub const fn backend_used(&self) -> Backend {
        self.backend
    }

    /// Smooths the target: `(1 - a) y + a / C` over `C` classes, where `y` is 1 at a label and 0
    /// elsewhere, or the distribution.
    ///
    /// In [0, 1], else an [`Error::InvalidOption`] of the call that uses it; 0 is none. A masked
    /// class, whose logit is `-inf`, then has a share in the target, and the loss is `+inf`.
    ///
    /// ```
    /// let loss = xent_core::CrossEntropy::new().label_smoothing(0.1);
    /// assert_eq!(loss.row(&[1.2, 0.3, 0.2], 0)?, 0.63682336);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn label_smoothing(self, label_smoothing: f32) -> Self {
        CrossEntropy { options: ClassOptions { label_smoothing, ..self.options }, ..self }
    }

    /// Multiplies the term of each class by its weight.
    ///
    /// The weight of a row in [`LossTotal::mean`] is that of its label, as in PyTorch, and 1 with a
    /// distribution. `weights`: one a class, finite and not negative, else an [`Error::LengthMismatch`]
    /// or [`Error::InvalidOption`] of the call that uses them. A class of weight 0 costs 0, also where
    /// its term is infinite or NaN.
    ///
    /// ```
    /// let loss = xent_core::CrossEntropy::new().class_weights(&[1.0, 2.0]);
    /// assert_eq!(loss.row(&[0.5, 0.5], 1)?, 2.0 * 2_f32.ln());
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn class_weights<'a>(self, weights: &'a [f32]) -> CrossEntropy<'a>
    where
        'w: 'a,
    {
        CrossEntropy {
            options: ClassOptions { class_weights: Some(weights), ..self.options },
            ..self
        }
    }

    /// The label of rows that cost 0 and count nowhere, whatever they hold; `None` is none. PyTorch's
    /// `ignore_index`, Keras' `ignore_class`.
    ///
    /// Any integer, a class or not: it is looked for before labels are checked. Labels above `i64::MAX`, as
    /// `usize::MAX`, count as `i64::MAX`. A row with a distribution has no label.
    ///
    /// ```
    /// use xent_core::{CrossEntropy, Rows};
    /// let x = Rows::new(&[0.5, 0.5, f32::NAN, 0.5], 2, 2)?;
    /// let total = CrossEntropy::new().ignore(-100).total(x, &[1, -100])?;
    /// assert_eq!((total.count(), total.mean() as f32), (1, 2_f32.ln()));
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn ignore(self, label: impl Into<Option<i64>>) -> Self {
        CrossEntropy { options: ClassOptions { ignore: label.into(), ..self.options }, ..self }
    }

    /// Multiplies the term of each class by `(1 - p_c)^gamma`, which takes weight from what is already
    /// right.
    ///
    /// `1 - p_c` is no difference that cancels; where it is 0, loss and gradient are 0. Finite and not
    /// negative, else an [`Error::InvalidOption`] of the call that uses it; 0 is none.
    /// Accuracy: [`accuracy::FOCAL`](crate::accuracy::FOCAL). Source: T.-Y. Lin et al., Focal Loss for
    /// Dense Object Detection (2017).
    ///
    /// ```
    /// let loss = xent_core::CrossEntropy::new().focal(2.0);
    /// assert_eq!(loss.row(&[0.5, 0.5], 0)?, 0.25 * 2_f32.ln());
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn focal(self, gamma: f32) -> Self {
        CrossEntropy { options: ClassOptions { focal_gamma: gamma, ..self.options }, ..self }
    }

    /// Multiplies the terms of all classes by a constant: the `alpha` of Keras' categorical focal loss.
    ///
    /// Not in the weights of a mean. Finite and not negative, else an [`Error::InvalidOption`] of the
    /// call that uses it; 1 is none.
    ///
    /// ```
    /// let loss = xent_core::CrossEntropy::new().focal(2.0).focal_alpha(0.25);
    /// assert_eq!(loss.row(&[0.5, 0.5], 0)?, 0.0625 * 2_f32.ln());
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn focal_alpha(self, alpha: f32) -> Self {
        CrossEntropy { options: ClassOptions { focal_alpha: alpha, ..self.options }, ..self }
    }

    /// Adds `z_loss lse^2` to the loss of a row, `lse` the log-sum-exp of its logits: it keeps them
    /// near those of normalised probabilities.
    ///
    /// After class weights, before the sample weight; it is in the sum of a mean, not in its weights.
    /// Finite and not negative, else an [`Error::InvalidOption`] of the call that uses it; 0 is none.
    /// Accuracy: [`accuracy::Z_LOSS`](crate::accuracy::Z_LOSS). Source: PaLM (A. Chowdhery et al.,
    /// 2022), section 5.
    ///
    /// ```
    /// let loss = xent_core::CrossEntropy::new().z_loss(1e-4);
    /// assert_eq!(loss.row(&[0.0, 0.0], 0)?, 0.69319522);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn z_loss(self, z_loss: f32) -> Self {
        CrossEntropy { z_loss, ..self }
    }

    /// Divides the logits by a temperature, after the soft cap; everything else sees the quotients.
    ///
    /// The differences from the maximum are divided, so that a common offset of a row changes nothing.
    /// Finite and positive, else an [`Error::InvalidOption`] of the call that uses it; 1 is none.
    /// Accuracy: [`accuracy::TEMPERATURE`](crate::accuracy::TEMPERATURE).
    ///
    /// ```
    /// let loss = xent_core::CrossEntropy::new().temperature(2.0);
    /// assert_eq!(loss.row(&[2.0, 4.0, 6.0], 0)?, 2.407606);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn temperature(self, temperature: f32) -> Self {
        let transform = LogitTransform { temperature, ..self.transform };
        CrossEntropy { transform, ..self }
    }

    /// Caps the logits before anything else: `c tanh(x / c)`.
    ///
    /// So a `+inf` logit is `c`, and a `-inf` one `-c`: it masks no class any more.
    /// Positive, else an [`Error::InvalidOption`] of the call that uses it; `+inf` is no cap.
    /// Accuracy: [`accuracy::SOFT_CAP`](crate::accuracy::SOFT_CAP). Source: Gemma 2 (Gemma Team, 2024),
    /// section 2.
    ///
    /// ```
    /// let loss = xent_core::CrossEntropy::new().soft_cap(30.0);
    /// assert_eq!(loss.row(&[60.0, 0.0], 1)?, 28.920828);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn soft_cap(self, soft_cap: f32) -> Self {
        let transform = LogitTransform { soft_cap, ..self.transform };
        CrossEntropy { transform, ..self }
    }

    /// Whether a call with these arguments has an error: every call asks this first.
    ///
    /// Errors: [`Error::InvalidOption`], [`Error::EmptyClasses`] for rows without classes,
    /// [`Error::LengthMismatch`], [`Error::LabelOutOfRange`].
    ///
    /// ```
    /// use xent_core::{CrossEntropy, Error, Rows};
    /// let x = Rows::new(&[0.5, 0.5], 1, 2)?;
    /// let error = Error::InvalidOption { name: "label_smoothing", value: 1.5 };
    /// assert_eq!(CrossEntropy::new().label_smoothing(1.5).check(x, &[0]), Err(error));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn check<'a>(
        &self,
        logits: Rows<'_>,
        targets: impl Into<Targets<'a>>,
    ) -> Result<(), Error> {
        RowLoss::check(self, &logits, &targets.into())
    }

    /// The loss of one row.
    ///
    /// `logits`: at least one class. `target`: a class index of any integer type, or a `&[f32]` of
    /// the length of `logits`.
    /// Errors: those of [`check`](Self::check).
    ///
    /// ```
    /// use xent_core::CrossEntropy;
    /// let loss = CrossEntropy::new();
    /// assert_eq!(loss.row(&[1.2, 0.3, 0.2], 0)?, 0.57349);
    /// assert_eq!(loss.row(&[1.2, 0.3, 0.2], &[0.9, 0.1, 0.0])?, 0.66349);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[inline]
    pub fn row<'a>(&self, logits: &[f32], target: impl Into<Target<'a>>) -> Result<f32, Error> {
        let target = target.into();
        match target {
            // So that what no program asks for is not in its binary.
            Target::Label(label) if self.is_plain() => {
                plain_label_loss(self.backend, logits, label)
            }
            _ => self.checked_loss(logits, target),
        }
    }

    /// The losses of many rows.
    ///
    /// `logits`: `n_rows` by `classes`. `targets`: a label a row, as a slice or array of any integer
    /// type, or [`Rows`] of the same shape; [`Targets`], with sample weights. `losses`: one element a
    /// row.
    /// Errors: those of [`check`](Self::check), and [`Error::LengthMismatch`]; then nothing is written.
    ///
    /// ```
    /// use xent_core::{CrossEntropy, Rows};
    /// let logits = Rows::new(&[0.4, 2.0, 1.3, 1.2, 0.3, 0.2], 2, 3)?;
    /// let mut losses = [0.0; 2];
    /// CrossEntropy::new().rows(logits, &[0_u8, 2], &mut losses)?;
    /// assert_eq!(losses, [2.1297348, 1.57349]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[inline]
    pub fn rows<'a>(
        &self,
        logits: Rows<'_>,
        targets: impl Into<Targets<'a>>,
        losses: &mut [f32],
    ) -> Result<(), Error> {
        let targets = targets.into();
        if let (true, Some(labels)) = (self.is_plain(), targets.unweighted_labels()) {
            targets.check(&logits)?;
            check_length(logits.n_rows(), losses.len())?;
            plain_label_losses(self.backend, &logits, labels, losses);
            return Ok(());
        }
        self.checked_losses(&logits, &targets, losses)
    }

    /// The total over many rows, for their sum or mean.
    ///
    /// Arguments and errors are those of [`rows`](Self::rows).
    ///
    /// ```
    /// use xent_core::{CrossEntropy, Rows};
    /// let logits = Rows::new(&[0.4, 2.0, 1.3, 1.2, 0.3, 0.2], 2, 3)?;
    /// let total = CrossEntropy::new().total(logits, &[0, 2])?;
    /// assert_eq!(total.mean() as f32, 1.8516123);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn total<'a>(
        &self,
        logits: Rows<'_>,
        targets: impl Into<Targets<'a>>,
    ) -> Result<LossTotal, Error> {
        self.checked_total(&logits, &targets.into())
    }

    /// The loss of one row, and its gradient with respect to the logits.
    ///
    /// Without options `p_c - y_c` for a label, `(Σ y) p_c - y_c` for a distribution, `p = softmax(x)`; at a
    /// label it is `-(1 - p_t)` from the sum over the others, which does not cancel.
    /// `logits`, `target` and errors: those of [`row`](Self::row). `gradient`: of the length of `logits`;
    /// after an error nothing is written. Special values: a row whose loss is NaN has a
    /// gradient of NaN; with the label on a `-inf` logit it is -1 there and `p_c` elsewhere.
    /// Accuracy: [`accuracy::GRADIENT`](crate::accuracy::GRADIENT).
    ///
    /// ```
    /// let mut gradient = [0.0; 2];
    /// let loss = xent_core::CrossEntropy::new().row_gradient(&[17.5, 0.0], 0, &mut gradient)?;
    /// assert_eq!((loss, gradient), (2.5109992e-8, [-2.5109992e-8, 2.5109992e-8]));
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn row_gradient<'a>(
        &self,
        logits: &[f32],
        target: impl Into<Target<'a>>,
        gradient: &mut [f32],
    ) -> Result<f32, Error> {
        self.checked_row_gradient(logits, target.into(), gradient)
    }

    /// As [`row_gradient`](Self::row_gradient), with the gradient in the place of the logits.
    ///
    /// ```
    /// let mut x = [17.5, 0.0];
    /// xent_core::CrossEntropy::new().row_gradient_in_place(&mut x, 0)?;
    /// assert_eq!(x, [-2.5109992e-8, 2.5109992e-8]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn row_gradient_in_place<'a>(
        &self,
        logits: &mut [f32],
        target: impl Into<Target<'a>>,
    ) -> Result<f32, Error> {
        self.checked_row_gradient_in_place(logits, target.into())
    }

    /// The total over many rows, and the gradient of their reduced loss with respect to the logits.
    ///
    /// `logits`, `targets` and errors: those of [`rows`](Self::rows). `scale`: a [`Reduction`](crate::Reduction)
    /// of the losses, or a finite factor of the gradient of their sum. `gradient`: `n_rows * classes`
    /// elements, row-major.
    /// Special values and accuracy: those of [`row_gradient`](Self::row_gradient); a row that is ignored
    /// or of weight 0 has a gradient of 0, and so have all rows of a mean over nothing.
    ///
    /// ```
    /// use xent_core::{CrossEntropy, Reduction, Rows};
    /// let logits = Rows::new(&[0.0; 4], 2, 2)?;
    /// let mut gradient = [0.0; 4];
    /// let total = CrossEntropy::new().gradient(logits, &[0, 1], Reduction::Mean, &mut gradient)?;
    /// assert_eq!(total.mean() as f32, 2_f32.ln());
    /// assert_eq!(gradient, [-0.25, 0.25, 0.25, -0.25]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn gradient<'a>(
        &self,
        logits: Rows<'_>,
        targets: impl Into<Targets<'a>>,
        scale: impl Into<GradientScale>,
        gradient: &mut [f32],
    ) -> Result<LossTotal, Error> {
        self.checked_gradient(&logits, &targets.into(), scale.into(), gradient)
    }

    /// As [`gradient`](Self::gradient), with the gradient in the place of the logits.
    ///
    /// `logits`: `n_rows * classes` elements, row-major.
    ///
    /// ```
    /// use xent_core::{CrossEntropy, Reduction};
    /// let mut x = [0.0; 4];
    /// CrossEntropy::new().gradient_in_place(&mut x, 2, 2, &[0, 1], Reduction::Mean)?;
    /// assert_eq!(x, [-0.25, 0.25, 0.25, -0.25]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn gradient_in_place<'a>(
        &self,
        logits: &mut [f32],
        n_rows: usize,
        classes: usize,
        targets: impl Into<Targets<'a>>,
        scale: impl Into<GradientScale>,
    ) -> Result<LossTotal, Error> {
        self.checked_gradient_in_place(logits, [n_rows, classes], &targets.into(), scale.into())
    }

    /// What `scale` multiplies the gradient of the sum over all rows by: 1, or 1 over the weight or the
    /// number of the rows. For those who split a batch.
    ///
    /// `targets`: those of the whole batch, for `n_rows` rows.
    /// Errors: those of the targets alone; [`Error::InvalidOption`] for a factor that is not finite.
    ///
    /// ```
    /// use xent_core::{CrossEntropy, Reduction, Targets};
    /// let targets = Targets::labels(&[0, 1, -1, 2]);
    /// let loss = CrossEntropy::new().ignore(-1);
    /// assert_eq!(loss.gradient_factor(targets, 4, Reduction::MeanCount)? as f32, 1.0 / 3.0);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn gradient_factor<'a>(
        &self,
        targets: impl Into<Targets<'a>>,
        n_rows: usize,
        scale: impl Into<GradientScale>,
    ) -> Result<f64, Error> {
        let targets = targets.into();
        targets.check_n_rows(n_rows)?;
        self.checked_factor(&targets, n_rows, scale.into())
    }

    /// Whether a row with a label costs `(m - x_t) + ln(1 + s)`, and nothing is ignored.
    ///
    /// ```
    /// use xent_core::CrossEntropy;
    /// assert!(CrossEntropy::new().is_plain() && !CrossEntropy::new().z_loss(1e-4).is_plain());
    /// ```
    #[must_use]
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.options.are_none() && self.z_loss == 0.0 && self.transform == LogitTransform::NONE
    }
}

impl Default for CrossEntropy<'static> {
    fn default() -> Self {
        CrossEntropy::new()
    }
}
