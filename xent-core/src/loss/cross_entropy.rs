//! Cross-entropy from logits.

use super::{BATCH, RowLoss, check_length};
use crate::kernel::tree::TreeSum;
use crate::targets::{Kind, Target, Targets, check_label};
use crate::{Backend, Error, LossTotal, Rows};

/// Cross-entropy of logits with a class or a distribution, in nats.
///
/// With `m = max(x)` and `s = Σ exp(x_i - m)` over all elements but one maximum:
///
/// - a class `t`: `(m - x_t) + ln(1 + s)`, which is `-ln softmax(x)_t`;
/// - a distribution `y`: `Σ y_c ((m - x_c) + ln(1 + s))`, terms with `y_c = 0` contribute 0.
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
pub struct CrossEntropy {
    backend: Backend,
}

impl CrossEntropy {
    /// On the detected backend.
    ///
    /// ```
    /// let loss = xent_core::CrossEntropy::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        CrossEntropy { backend: Backend::detected() }
    }

    /// On a chosen backend.
    ///
    /// ```
    /// use xent_core::{Backend, CrossEntropy};
    /// let loss = CrossEntropy::new().backend(Backend::SCALAR);
    /// ```
    #[must_use]
    pub const fn backend(self, backend: Backend) -> Self {
        CrossEntropy { backend }
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

    /// The loss of one row.
    ///
    /// `logits`: at least one class. `target`: a class index of any integer type, or a `&[f32]` of
    /// the length of `logits`.
    /// Errors: [`Error::EmptyClasses`], [`Error::LabelOutOfRange`], [`Error::LengthMismatch`].
    ///
    /// ```
    /// use xent_core::CrossEntropy;
    /// let loss = CrossEntropy::new();
    /// assert_eq!(loss.row(&[1.2, 0.3, 0.2], 0)?, 0.57349);
    /// assert_eq!(loss.row(&[1.2, 0.3, 0.2], &[0.9, 0.1, 0.0])?, 0.66349);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn row<'a>(&self, logits: &[f32], target: impl Into<Target<'a>>) -> Result<f32, Error> {
        if logits.is_empty() {
            return Err(Error::EmptyClasses { n_rows: 1 });
        }
        match target.into() {
            Target::Label(label) => {
                let label = check_label(label, 0, logits.len())?;
                let mut out = [0.0];
                self.backend.label_losses(logits, logits.len(), &[label], &mut out);
                Ok(out[0])
            }
            Target::Distribution(y) => {
                check_length(logits.len(), y.len())?;
                let state = self.backend.lse_state(logits);
                if !state.max().is_finite() {
                    return Ok(f32::NAN);
                }
                let mut sum = TreeSum::EMPTY;
                self.backend.target_sum(&mut sum, logits, y, &state);
                Ok(canonical(sum.value().hi))
            }
        }
    }

    /// The losses of many rows.
    ///
    /// `logits`: `n_rows` by `classes`. `targets`: a label a row, as a slice or array of any integer
    /// type, or [`Rows`] of the same shape. `losses`: one element a row.
    /// Errors: [`Error::EmptyClasses`] for rows without classes, [`Error::LabelOutOfRange`],
    /// [`Error::LengthMismatch`]; then nothing is written.
    ///
    /// ```
    /// use xent_core::{CrossEntropy, Rows};
    /// let logits = Rows::new(&[0.4, 2.0, 1.3, 1.2, 0.3, 0.2], 2, 3)?;
    /// let mut losses = [0.0; 2];
    /// CrossEntropy::new().rows(logits, &[0_u8, 2], &mut losses)?;
    /// assert_eq!(losses, [2.1297348, 1.57349]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn rows<'a>(
        &self,
        logits: Rows<'_>,
        targets: impl Into<Targets<'a>>,
        losses: &mut [f32],
    ) -> Result<(), Error> {
        self.checked_losses(&logits, &targets.into(), losses)
    }

    /// The total over many rows, for their sum or mean.
    ///
    /// Arguments and errors are those of [`rows`](CrossEntropy::rows).
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
}

impl Default for CrossEntropy {
    fn default() -> Self {
        CrossEntropy::new()
    }
}

impl RowLoss for CrossEntropy {
    fn losses(&self, x: &Rows<'_>, targets: &Targets<'_>, out: &mut [f32]) {
        match &targets.0 {
            Kind::Labels(labels) => {
                let mut start = 0;
                for out in out.chunks_mut(BATCH) {
                    let mut indices = [0; BATCH];
                    for (i, index) in indices.iter_mut().enumerate().take(out.len()) {
                        // The labels were checked: 0 stands for none of them.
                        *index = usize::try_from(labels.get(start + i)).unwrap_or(0);
                    }
                    let x = x.range(start..start + out.len());
                    if let Some(contiguous) = x.as_contiguous() {
                        self.backend.label_losses(contiguous, x.classes(), &indices, out);
                    } else {
                        for ((row, &label), out) in indices.iter().enumerate().zip(&mut *out) {
                            let x_t = x.get(row, label).unwrap_or(f32::NAN);
                            *out = self.backend.lse_loss(&self.backend.row_state(&x, row), x_t);
                        }
                    }
                    start += out.len();
                }
            }
            Kind::Distributions(y) => {
                for (row, out) in out.iter_mut().enumerate() {
                    let state = self.backend.row_state(x, row);
                    let mut sum = TreeSum::EMPTY;
                    x.for_block_pairs(y, row, |x, y| {
                        self.backend.target_sum(&mut sum, x, y, &state);
                    });
                    let finite = state.max().is_finite();
                    *out = if finite { canonical(sum.value().hi) } else { f32::NAN };
                }
            }
        }
    }
}

/// `x`, with one bit pattern for all NaN.
pub(super) fn canonical(x: f32) -> f32 {
    if x.is_nan() { f32::NAN } else { x }
}
