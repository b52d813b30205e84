//! Cross-entropy from probabilities.

mod rows;

use super::clip::ClipRange;
use super::options::ClassOptions;
use super::{GradientScale, RowLoss};
use crate::targets::{Target, Targets};
use crate::{Backend, Error, LossTotal, Rows};

/// Cross-entropy of clipped probabilities with a class or a distribution, in nats.
///
/// With `q = clip(p, lo, hi)`, or `q = clip(p / Σ p, lo, hi)` with [`normalize`](Self::normalize):
///
/// - a class `t`: `-ln(q_t)`;
/// - a distribution `y`: `-Σ y_c ln(q_c)`, terms with `y_c = 0` contribute 0.
///
/// The clip range is Keras' `[1e-7, 1 - 1e-7]` in f32 unless [`clip`](Self::clip) sets another; its
/// upper end is 0.99999988, so a perfect prediction costs 1.192093e-7. Keras also divides each row by
/// its sum: ask for it with [`normalize`](Self::normalize). A normalised probability near 1 is taken as
/// `ln(1 + rest / p)`, so its loss keeps its digits. For logits there is
/// [`CrossEntropy`](crate::CrossEntropy); taking one for the other is the classic mistake.
///
/// Options act in this order: the target is smoothed ([`label_smoothing`](Self::label_smoothing)); each
/// class' term is multiplied by its weight ([`class_weights`](Self::class_weights)) and by
/// `alpha (1 - q_c)^gamma` ([`focal`](Self::focal)); the row is multiplied by its sample weight
/// ([`Targets::with_sample_weights`]). A row with the label that is [`ignored`](Self::ignore) costs 0 and
/// counts nowhere.
///
/// Special values: with a class and no `normalize`, only `p_t` is read. Otherwise a NaN probability
/// gives NaN, also under `y_c = 0`. A normalised row whose sum is not positive and finite gives NaN.
/// `p = 0` under a positive target costs `-ln(lo)`, which is `+inf` for `lo = 0`.
///
/// Accuracy: [`accuracy::CLIPPED_LOSS`](crate::accuracy::CLIPPED_LOSS), against
/// [`reference::clipped_cross_entropy`](crate::reference::clipped_cross_entropy).
///
/// ```
/// use xent_core::ClippedCrossEntropy;
/// let loss = ClippedCrossEntropy::new();
/// assert_eq!(loss.row(&[0.1, 0.8, 0.1], 1)?, 0.22314353);
/// assert_eq!(loss.normalize(true).row(&[0.4, 2.0, 1.3], 0)?, 2.2246234);
/// # Ok::<(), xent_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ClippedCrossEntropy<'w> {
    backend: Backend,
    options: ClassOptions<'w>,
    clip: ClipRange,
    normalize: bool,
}

impl ClippedCrossEntropy<'static> {
    /// Keras' clip range, rows taken as they are, no other option, on the detected backend.
    ///
    /// ```
    /// let loss = xent_core::ClippedCrossEntropy::new();
    /// ```
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        ClippedCrossEntropy {
            backend: Backend::detected(),
            options: ClassOptions::NONE,
            clip: ClipRange::KERAS,
            normalize: false,
        }
    }
}

impl<'w> ClippedCrossEntropy<'w> {
    /// On a chosen backend.
    ///
    /// ```
    /// use xent_core::{Backend, ClippedCrossEntropy};
    /// let loss = ClippedCrossEntropy::new().backend(Backend::SCALAR);
    /// ```
    #[must_use]
    #[inline]
    pub const fn backend(self, backend: Backend) -> Self {
        ClippedCrossEntropy { backend, ..self }
    }

    /// Clips probabilities into `[lo, hi]`, `0 <= lo <= hi <= 1`; `[0, 1]` changes none.
    ///
    /// Another range is an [`Error::InvalidClip`] of the call that uses it.
    ///
    /// ```
    /// let loss = xent_core::ClippedCrossEntropy::new().clip(1e-10, 1.0);
    /// assert_eq!(loss.row(&[1.0, 0.0], 0), Ok(0.0));
    /// ```
    #[must_use]
    #[inline]
    pub const fn clip(self, lo: f32, hi: f32) -> Self {
        ClippedCrossEntropy { clip: ClipRange { lo, hi }, ..self }
    }

    /// Whether each row is divided by its sum before it is clipped, as Keras does.
    ///
    /// ```
    /// let loss = xent_core::ClippedCrossEntropy::new().normalize(true);
    /// assert_eq!(loss.row(&[3.0, 1.0], 1), Ok(4_f32.ln()));
    /// ```
    #[must_use]
    #[inline]
    pub const fn normalize(self, normalize: bool) -> Self {
        ClippedCrossEntropy { normalize, ..self }
    }

    /// Whether a row with a label reads all its classes, not only that of the label.
    ///
    /// ```
    /// use xent_core::ClippedCrossEntropy;
    /// let loss = ClippedCrossEntropy::new();
    /// assert!(!loss.reads_all_classes() && loss.normalize(true).reads_all_classes());
    /// ```
    #[must_use]
    pub fn reads_all_classes(&self) -> bool {
        self.normalize || self.options.label_smoothing != 0.0
    }

    /// Smooths the target: `(1 - a) y + a / C` over `C` classes, where `y` is 1 at a label and 0
    /// elsewhere, or the distribution.
    ///
    /// In [0, 1], else an [`Error::InvalidOption`] of the call that uses it; 0 is none. It makes the
    /// loss with a label read every class.
    ///
    /// ```
    /// let loss = xent_core::ClippedCrossEntropy::new().label_smoothing(0.1);
    /// assert_eq!(loss.row(&[0.2, 0.6, 0.2], 1)?, 0.5840664);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn label_smoothing(self, label_smoothing: f32) -> Self {
        ClippedCrossEntropy { options: ClassOptions { label_smoothing, ..self.options }, ..self }
    }

    /// Multiplies the term of each class by its weight.
    ///
    /// The weight of a row in [`LossTotal::mean`] is that of its label, as in PyTorch, and 1 with a
    /// distribution. `weights`: one a class, finite and not negative, else an [`Error::LengthMismatch`]
    /// or [`Error::InvalidOption`] of the call that uses them. A class of weight 0 costs 0, also where
    /// its term is infinite or NaN.
    ///
    /// ```
    /// let loss = xent_core::ClippedCrossEntropy::new().class_weights(&[1.0, 2.0]);
    /// assert_eq!(loss.row(&[0.5, 0.5], 1)?, 2.0 * 2_f32.ln());
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn class_weights<'a>(self, weights: &'a [f32]) -> ClippedCrossEntropy<'a>
    where
        'w: 'a,
    {
        ClippedCrossEntropy {
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
    /// use xent_core::{ClippedCrossEntropy, Rows};
    /// let x = Rows::new(&[0.5, 0.5, f32::NAN, 0.5], 2, 2)?;
    /// let total = ClippedCrossEntropy::new().ignore(-100).total(x, &[1, -100])?;
    /// assert_eq!((total.count(), total.mean() as f32), (1, 2_f32.ln()));
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn ignore(self, label: impl Into<Option<i64>>) -> Self {
        ClippedCrossEntropy {
            options: ClassOptions { ignore: label.into(), ..self.options },
            ..self
        }
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
    /// let loss = xent_core::ClippedCrossEntropy::new().focal(2.0);
    /// assert_eq!(loss.row(&[0.5, 0.5], 0)?, 0.25 * 2_f32.ln());
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn focal(self, gamma: f32) -> Self {
        ClippedCrossEntropy { options: ClassOptions { focal_gamma: gamma, ..self.options }, ..self }
    }

    /// Multiplies the terms of all classes by a constant: the `alpha` of Keras' categorical focal loss.
    ///
    /// Not in the weights of a mean. Finite and not negative, else an [`Error::InvalidOption`] of the
    /// call that uses it; 1 is none.
    ///
    /// ```
    /// let loss = xent_core::ClippedCrossEntropy::new().focal(2.0).focal_alpha(0.25);
    /// assert_eq!(loss.row(&[0.5, 0.5], 0)?, 0.0625 * 2_f32.ln());
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn focal_alpha(self, alpha: f32) -> Self {
        ClippedCrossEntropy { options: ClassOptions { focal_alpha: alpha, ..self.options }, ..self }
    }

    /// Whether a call with these arguments has an error: every call asks this first.
    ///
    /// Errors: [`Error::InvalidOption`], [`Error::InvalidClip`], [`Error::EmptyClasses`] for rows without classes,
    /// [`Error::LengthMismatch`], [`Error::LabelOutOfRange`].
    ///
    /// ```
    /// use xent_core::{ClippedCrossEntropy, Error, Rows};
    /// let x = Rows::new(&[0.5, 0.5], 1, 2)?;
    /// let error = Error::InvalidOption { name: "label_smoothing", value: 1.5 };
    /// assert_eq!(ClippedCrossEntropy::new().label_smoothing(1.5).check(x, &[0]), Err(error));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn check<'a>(&self, probs: Rows<'_>, targets: impl Into<Targets<'a>>) -> Result<(), Error> {
        RowLoss::check(self, &probs, &targets.into())
    }

    /// The loss of one row.
    ///
    /// `probs`: at least one class. `target`: a class index of any integer type, or a `&[f32]` of
    /// the length of `probs`.
    /// Errors: those of [`check`](Self::check).
    ///
    /// ```
    /// let loss = xent_core::ClippedCrossEntropy::new();
    /// assert_eq!(loss.row(&[0.2, 0.6, 0.2], &[0.0, 1.0, 0.0])?, 0.5108256);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[inline]
    pub fn row<'a>(&self, probs: &[f32], target: impl Into<Target<'a>>) -> Result<f32, Error> {
        self.checked_loss(probs, target.into())
    }

    /// The losses of many rows.
    ///
    /// `probs`: `n_rows` by `classes`. `targets`: a label a row, as a slice or array of any integer
    /// type, or [`Rows`] of the same shape; [`Targets`], with sample weights. `losses`: one element a
    /// row.
    /// Errors: those of [`check`](Self::check), and [`Error::LengthMismatch`]; then nothing is written.
    ///
    /// ```
    /// use xent_core::{ClippedCrossEntropy, Rows};
    /// let probs = Rows::new(&[0.2, 0.6, 0.2, 0.8, 0.1, 0.1], 2, 3)?;
    /// let mut losses = [0.0; 2];
    /// ClippedCrossEntropy::new().rows(probs, &[1, 0], &mut losses)?;
    /// assert_eq!(losses, [0.5108256, 0.22314353]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[inline]
    pub fn rows<'a>(
        &self,
        probs: Rows<'_>,
        targets: impl Into<Targets<'a>>,
        losses: &mut [f32],
    ) -> Result<(), Error> {
        self.checked_losses(&probs, &targets.into(), losses)
    }

    /// The total over many rows, for their sum or mean.
    ///
    /// Arguments and errors are those of [`rows`](Self::rows).
    ///
    /// ```
    /// use xent_core::{ClippedCrossEntropy, Rows};
    /// let probs = Rows::new(&[0.2, 0.6, 0.2, 0.8, 0.1, 0.1, 0.3, 0.2, 0.5], 3, 3)?;
    /// let total = ClippedCrossEntropy::new().total(probs, &[1, 0, 2])?;
    /// assert_eq!(total.mean() as f32, 0.47570544);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn total<'a>(
        &self,
        probs: Rows<'_>,
        targets: impl Into<Targets<'a>>,
    ) -> Result<LossTotal, Error> {
        self.checked_total(&probs, &targets.into())
    }

    /// The loss of one row, and its gradient with respect to the probabilities.
    ///
    /// Without options `-y_c / q_c` where `p_c` is inside the clip range, its ends included, and 0 where it
    /// is clipped; with [`normalize`](Self::normalize), through the division.
    /// `probs`, `target` and errors: those of [`row`](Self::row). `gradient`: of the length of `probs`;
    /// after an error nothing is written. Special values: where the loss of a normalised row
    /// is NaN, the whole gradient is.
    /// Accuracy: [`accuracy::CLIPPED_GRADIENT`](crate::accuracy::CLIPPED_GRADIENT).
    ///
    /// ```
    /// let mut gradient = [0.0; 2];
    /// xent_core::ClippedCrossEntropy::new().row_gradient(&[0.5, 0.5], 0, &mut gradient)?;
    /// assert_eq!(gradient, [-2.0, 0.0]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn row_gradient<'a>(
        &self,
        probs: &[f32],
        target: impl Into<Target<'a>>,
        gradient: &mut [f32],
    ) -> Result<f32, Error> {
        self.checked_row_gradient(probs, target.into(), gradient)
    }

    /// As [`row_gradient`](Self::row_gradient), with the gradient in the place of the probabilities.
    ///
    /// ```
    /// let mut p = [0.5, 0.5];
    /// xent_core::ClippedCrossEntropy::new().normalize(true).row_gradient_in_place(&mut p, 0)?;
    /// assert_eq!(p, [-1.0, 1.0]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn row_gradient_in_place<'a>(
        &self,
        probs: &mut [f32],
        target: impl Into<Target<'a>>,
    ) -> Result<f32, Error> {
        self.checked_row_gradient_in_place(probs, target.into())
    }

    /// The total over many rows, and the gradient of their reduced loss with respect to the probabilities.
    ///
    /// `probs`, `targets` and errors: those of [`rows`](Self::rows). `scale`: a [`Reduction`](crate::Reduction)
    /// of the losses, or a finite factor of the gradient of their sum. `gradient`: `n_rows * classes`
    /// elements, row-major.
    /// Special values and accuracy: those of [`row_gradient`](Self::row_gradient); a row that is ignored
    /// or of weight 0 has a gradient of 0, and so have all rows of a mean over nothing.
    ///
    /// ```
    /// use xent_core::{ClippedCrossEntropy, Reduction, Rows};
    /// let probs = Rows::new(&[0.5; 4], 2, 2)?;
    /// let mut gradient = [0.0; 4];
    /// ClippedCrossEntropy::new().gradient(probs, &[0, 1], Reduction::Mean, &mut gradient)?;
    /// assert_eq!(gradient, [-1.0, 0.0, 0.0, -1.0]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn gradient<'a>(
        &self,
        probs: Rows<'_>,
        targets: impl Into<Targets<'a>>,
        scale: impl Into<GradientScale>,
        gradient: &mut [f32],
    ) -> Result<LossTotal, Error> {
        self.checked_gradient(&probs, &targets.into(), scale.into(), gradient)
    }

    /// As [`gradient`](Self::gradient), with the gradient in the place of the probabilities.
    ///
    /// `probs`: `n_rows * classes` elements, row-major.
    ///
    /// ```
    /// use xent_core::{ClippedCrossEntropy, Reduction};
    /// let mut p = [0.5; 4];
    /// ClippedCrossEntropy::new().gradient_in_place(&mut p, 2, 2, &[0, 1], Reduction::Sum)?;
    /// assert_eq!(p, [-2.0, 0.0, 0.0, -2.0]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn gradient_in_place<'a>(
        &self,
        probs: &mut [f32],
        n_rows: usize,
        classes: usize,
        targets: impl Into<Targets<'a>>,
        scale: impl Into<GradientScale>,
    ) -> Result<LossTotal, Error> {
        self.checked_gradient_in_place(probs, [n_rows, classes], &targets.into(), scale.into())
    }

    /// What `scale` multiplies the gradient of the sum over all rows by: 1, or 1 over the weight or the
    /// number of the rows. For those who split a batch.
    ///
    /// `targets`: those of the whole batch, for `n_rows` rows.
    /// Errors: those of the targets alone; [`Error::InvalidOption`] for a factor that is not finite.
    ///
    /// ```
    /// use xent_core::{ClippedCrossEntropy, Reduction, Targets};
    /// let targets = Targets::labels(&[0, 1, -1, 2]);
    /// let loss = ClippedCrossEntropy::new().ignore(-1);
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
}

impl Default for ClippedCrossEntropy<'static> {
    fn default() -> Self {
        ClippedCrossEntropy::new()
    }
}
