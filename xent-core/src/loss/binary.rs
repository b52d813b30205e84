//! Binary cross-entropy from logits.

use super::ElementLoss;
use crate::{Backend, Error, LossTotal, Rows};

/// Binary cross-entropy of logits with targets in [0, 1], in nats, an element at a time.
///
/// `y softplus(-x) + (1 - y) softplus(x)` with `softplus(x) = max(x, 0) + ln(1 + exp(-|x|))`, which is
/// `-(y ln p + (1 - y) ln(1 - p))` for `p = sigmoid(x)`. Neither term cancels. Targets are taken as
/// given. Keras calls this `from_logits=True`, PyTorch `BCEWithLogitsLoss`.
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
/// assert_eq!(loss.element(20.0, 1.0), 2.0611537e-9);
/// assert_eq!(loss.element(f32::INFINITY, 1.0), 0.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BinaryCrossEntropy {
    backend: Backend,
}

impl BinaryCrossEntropy {
    /// On the detected backend.
    ///
    /// ```
    /// let loss = xent_core::BinaryCrossEntropy::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        BinaryCrossEntropy { backend: Backend::detected() }
    }

    /// On a chosen backend.
    ///
    /// ```
    /// use xent_core::{Backend, BinaryCrossEntropy};
    /// let loss = BinaryCrossEntropy::new().backend(Backend::SCALAR);
    /// ```
    #[must_use]
    pub const fn backend(self, backend: Backend) -> Self {
        BinaryCrossEntropy { backend }
    }

    /// The loss of one logit and its target.
    ///
    /// ```
    /// let loss = xent_core::BinaryCrossEntropy::new();
    /// assert_eq!(loss.element(0.0, 1.0), 2_f32.ln());
    /// ```
    #[must_use]
    pub fn element(&self, logit: f32, target: f32) -> f32 {
        let mut out = [0.0];
        self.losses(&[logit], &[target], &mut out);
        out[0]
    }

    /// The losses of one row: `losses[i]` is that of `logits[i]` and `targets[i]`.
    ///
    /// Errors: [`Error::EmptyClasses`], [`Error::LengthMismatch`]; then nothing is written.
    ///
    /// ```
    /// let mut losses = [0.0; 2];
    /// xent_core::BinaryCrossEntropy::new().row(&[3.0, -1.0], &[1.0, 0.0], &mut losses)?;
    /// assert_eq!(losses, [0.048587352, 0.3132617]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn row(&self, logits: &[f32], targets: &[f32], losses: &mut [f32]) -> Result<(), Error> {
        let (x, y) = (Rows::new(logits, 1, logits.len())?, Rows::new(targets, 1, targets.len())?);
        self.checked_losses(&x, &y, losses)
    }

    /// The losses of many rows, row-major.
    ///
    /// `logits`, `targets`: of one shape, `n_rows` by `classes`, each in its own layout. `losses`:
    /// `n_rows * classes` elements.
    /// Errors: [`Error::EmptyClasses`] for rows without classes, [`Error::LengthMismatch`]; then
    /// nothing is written.
    ///
    /// ```
    /// use xent_core::{BinaryCrossEntropy, Rows};
    /// let logits = Rows::new(&[3.0, -1.0], 2, 1)?;
    /// let mut losses = [0.0; 2];
    /// BinaryCrossEntropy::new().rows(logits, Rows::new(&[1.0, 0.0], 2, 1)?, &mut losses)?;
    /// assert_eq!(losses, [0.048587352, 0.3132617]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn rows(
        &self,
        logits: Rows<'_>,
        targets: Rows<'_>,
        losses: &mut [f32],
    ) -> Result<(), Error> {
        self.checked_losses(&logits, &targets, losses)
    }

    /// The total over all elements of many rows, for their sum or mean.
    ///
    /// Arguments and errors are those of [`rows`](BinaryCrossEntropy::rows).
    ///
    /// ```
    /// use xent_core::{BinaryCrossEntropy, Rows};
    /// let logits = Rows::new(&[3.0, -1.0], 2, 1)?;
    /// let total = BinaryCrossEntropy::new().total(logits, Rows::new(&[1.0, 0.0], 2, 1)?)?;
    /// assert_eq!(total.mean() as f32, 0.18092452);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn total(&self, logits: Rows<'_>, targets: Rows<'_>) -> Result<LossTotal, Error> {
        self.checked_total(&logits, &targets)
    }
}

impl Default for BinaryCrossEntropy {
    fn default() -> Self {
        BinaryCrossEntropy::new()
    }
}

impl ElementLoss for BinaryCrossEntropy {
    fn losses(&self, x: &[f32], y: &[f32], out: &mut [f32]) {
        self.backend.binary_losses(x, y, out);
    }
}
