//! Cross-entropy from probabilities.

use super::clip::Clip;
use super::cross_entropy::canonical;
use super::{BATCH, RowLoss, check_length};
use crate::kernel::clipped::Normalizer;
use crate::kernel::tree::TreeSum;
use crate::targets::{Kind, Target, Targets, check_label};
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
pub struct ClippedCrossEntropy {
    backend: Backend,
    clip: Clip,
    normalize: bool,
}

impl ClippedCrossEntropy {
    /// Keras' clip range, rows taken as they are, on the detected backend.
    ///
    /// ```
    /// let loss = xent_core::ClippedCrossEntropy::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        ClippedCrossEntropy { backend: Backend::detected(), clip: Clip::KERAS, normalize: false }
    }

    /// On a chosen backend.
    ///
    /// ```
    /// use xent_core::{Backend, ClippedCrossEntropy};
    /// let loss = ClippedCrossEntropy::new().backend(Backend::SCALAR);
    /// ```
    #[must_use]
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
    pub const fn clip(self, lo: f32, hi: f32) -> Self {
        ClippedCrossEntropy { clip: Clip { lo, hi }, ..self }
    }

    /// Whether each row is divided by its sum before it is clipped, as Keras does.
    ///
    /// ```
    /// let loss = xent_core::ClippedCrossEntropy::new().normalize(true);
    /// assert_eq!(loss.row(&[3.0, 1.0], 1), Ok(4_f32.ln()));
    /// ```
    #[must_use]
    pub const fn normalize(self, normalize: bool) -> Self {
        ClippedCrossEntropy { normalize, ..self }
    }

    /// Whether each row is divided by its sum first.
    ///
    /// ```
    /// assert!(!xent_core::ClippedCrossEntropy::new().normalizes());
    /// ```
    #[must_use]
    pub const fn normalizes(&self) -> bool {
        self.normalize
    }

    /// The loss of one row.
    ///
    /// `probs`: at least one class. `target`: a class index of any integer type, or a `&[f32]` of the
    /// length of `probs`.
    /// Errors: [`Error::InvalidClip`], [`Error::EmptyClasses`], [`Error::LabelOutOfRange`],
    /// [`Error::LengthMismatch`].
    ///
    /// ```
    /// let loss = xent_core::ClippedCrossEntropy::new();
    /// assert_eq!(loss.row(&[0.2, 0.6, 0.2], &[0.0, 1.0, 0.0])?, 0.5108256);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn row<'a>(&self, probs: &[f32], target: impl Into<Target<'a>>) -> Result<f32, Error> {
        self.clip.validate()?;
        if probs.is_empty() {
            return Err(Error::EmptyClasses { n_rows: 1 });
        }
        let x = Rows::new(probs, 1, probs.len())?;
        match target.into() {
            Target::Label(label) => {
                let label = check_label(label, 0, probs.len())?;
                Ok(self.label_loss(&x, 0, label))
            }
            Target::Distribution(y) => {
                check_length(probs.len(), y.len())?;
                Ok(self.target_loss(&x, &Rows::new(y, 1, y.len())?, 0))
            }
        }
    }

    /// The losses of many rows.
    ///
    /// `probs`: `n_rows` by `classes`. `targets`: a label a row, as a slice or array of any integer
    /// type, or [`Rows`] of the same shape. `losses`: one element a row.
    /// Errors: [`Error::InvalidClip`], [`Error::EmptyClasses`] for rows without classes,
    /// [`Error::LabelOutOfRange`], [`Error::LengthMismatch`]; then nothing is written.
    ///
    /// ```
    /// use xent_core::{ClippedCrossEntropy, Rows};
    /// let probs = Rows::new(&[0.2, 0.6, 0.2, 0.8, 0.1, 0.1], 2, 3)?;
    /// let mut losses = [0.0; 2];
    /// ClippedCrossEntropy::new().rows(probs, &[1, 0], &mut losses)?;
    /// assert_eq!(losses, [0.5108256, 0.22314353]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn rows<'a>(
        &self,
        probs: Rows<'_>,
        targets: impl Into<Targets<'a>>,
        losses: &mut [f32],
    ) -> Result<(), Error> {
        self.clip.validate()?;
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
        self.clip.validate()?;
        self.checked_total(&probs, &targets.into())
    }

    /// A row in any layout as its maximum and the sum of the others; `None` where its sum is not
    /// positive and finite.
    fn normalizer(&self, p: &Rows<'_>, row: usize) -> Option<Normalizer> {
        let mut max = f32::NEG_INFINITY;
        p.for_blocks(row, |p| max = self.backend.max(max, p));
        let mut normalizer = Normalizer::new(max);
        p.for_blocks(row, |p| self.backend.normalizer_push(&mut normalizer, p));
        normalizer.is_valid().then_some(normalizer)
    }

    fn label_loss(&self, p: &Rows<'_>, row: usize, label: usize) -> f32 {
        let mut loss = [p.get(row, label).unwrap_or(f32::NAN)];
        let Clip { lo, hi } = self.clip;
        if !self.normalize {
            self.backend.clipped_label_losses(&mut loss, lo, hi);
        } else if let Some(normalizer) = self.normalizer(p, row) {
            self.backend.normalized_label_losses(&mut loss, &normalizer, lo, hi);
        } else {
            return f32::NAN;
        }
        loss[0]
    }

    fn target_loss(&self, p: &Rows<'_>, y: &Rows<'_>, row: usize) -> f32 {
        let mut sum = TreeSum::EMPTY;
        let Clip { lo, hi } = self.clip;
        if !self.normalize {
            p.for_block_pairs(y, row, |p, y| {
                self.backend.clipped_target_sum(&mut sum, p, y, lo, hi);
            });
        } else if let Some(normalizer) = self.normalizer(p, row) {
            p.for_block_pairs(y, row, |p, y| {
                self.backend.normalized_target_sum(&mut sum, p, y, &normalizer, lo, hi);
            });
        } else {
            return f32::NAN;
        }
        canonical(sum.value().hi)
    }
}

impl Default for ClippedCrossEntropy {
    fn default() -> Self {
        ClippedCrossEntropy::new()
    }
}

impl RowLoss for ClippedCrossEntropy {
    fn losses(&self, p: &Rows<'_>, targets: &Targets<'_>, out: &mut [f32]) {
        match &targets.0 {
            // The labels were checked: 0 stands for none of them.
            Kind::Labels(labels) if self.normalize => {
                for (row, out) in out.iter_mut().enumerate() {
                    let label = usize::try_from(labels.get(row)).unwrap_or(0);
                    *out = self.label_loss(p, row, label);
                }
            }
            Kind::Labels(labels) => {
                let mut row = 0;
                for out in out.chunks_mut(BATCH) {
                    for out in &mut *out {
                        let label = usize::try_from(labels.get(row)).unwrap_or(0);
                        *out = p.get(row, label).unwrap_or(f32::NAN);
                        row += 1;
                    }
                    self.backend.clipped_label_losses(out, self.clip.lo, self.clip.hi);
                }
            }
            Kind::Distributions(y) => {
                for (row, out) in out.iter_mut().enumerate() {
                    *out = self.target_loss(p, y, row);
                }
            }
        }
    }
}
