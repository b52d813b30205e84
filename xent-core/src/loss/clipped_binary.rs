//! Binary cross-entropy from probabilities.

use super::ElementLoss;
use super::clip::Clip;
use crate::{Backend, Error, LossTotal, Rows};

/// Binary cross-entropy of clipped probabilities with targets in [0, 1], in nats, an element at a
/// time.
///
/// `-(y ln(q) + (1 - y) ln(1 - q))` with `q = clip(p, lo, hi)`. The clip range is Keras'
/// `[1e-7, 1 - 1e-7]` in f32 (the upper end is 0.99999988) unless [`clip`](Self::clip) sets another.
/// `ln(1 - q)` is computed from `q`, not from the rounded `1 - q`: `y = 0, p = 0` costs 1e-7, where
/// Keras has 1.1920929e-7. Targets are taken as given.
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
pub struct ClippedBinaryCrossEntropy {
    backend: Backend,
    clip: Clip,
}

impl ClippedBinaryCrossEntropy {
    /// Keras' clip range, on the detected backend.
    ///
    /// ```
    /// let loss = xent_core::ClippedBinaryCrossEntropy::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        ClippedBinaryCrossEntropy { backend: Backend::detected(), clip: Clip::KERAS }
    }

    /// On a chosen backend.
    ///
    /// ```
    /// use xent_core::{Backend, ClippedBinaryCrossEntropy};
    /// let loss = ClippedBinaryCrossEntropy::new().backend(Backend::SCALAR);
    /// ```
    #[must_use]
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
    pub const fn clip(self, lo: f32, hi: f32) -> Self {
        ClippedBinaryCrossEntropy { clip: Clip { lo, hi }, ..self }
    }

    /// The loss of one probability and its target.
    ///
    /// Errors: [`Error::InvalidClip`].
    ///
    /// ```
    /// let loss = xent_core::ClippedBinaryCrossEntropy::new();
    /// assert_eq!(loss.element(0.5, 1.0), Ok(2_f32.ln()));
    /// ```
    pub fn element(&self, prob: f32, target: f32) -> Result<f32, Error> {
        self.clip.validate()?;
        let mut out = [0.0];
        self.losses(&[prob], &[target], &mut out);
        Ok(out[0])
    }

    /// The losses of one row: `losses[i]` is that of `probs[i]` and `targets[i]`.
    ///
    /// Errors: [`Error::InvalidClip`], [`Error::EmptyClasses`], [`Error::LengthMismatch`]; then nothing
    /// is written.
    ///
    /// ```
    /// let mut losses = [0.0; 2];
    /// xent_core::ClippedBinaryCrossEntropy::new().row(&[0.8, 0.2], &[1.0, 0.0], &mut losses)?;
    /// assert_eq!(losses, [0.22314353, 0.22314355]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn row(&self, probs: &[f32], targets: &[f32], losses: &mut [f32]) -> Result<(), Error> {
        self.rows(Rows::new(probs, 1, probs.len())?, Rows::new(targets, 1, targets.len())?, losses)
    }

    /// The losses of many rows, row-major.
    ///
    /// `probs`, `targets`: of one shape, `n_rows` by `classes`, each in its own layout. `losses`:
    /// `n_rows * classes` elements.
    /// Errors: [`Error::InvalidClip`], [`Error::EmptyClasses`] for rows without classes,
    /// [`Error::LengthMismatch`]; then nothing is written.
    ///
    /// ```
    /// use xent_core::{ClippedBinaryCrossEntropy, Rows};
    /// let probs = Rows::new(&[0.8, 0.2], 2, 1)?;
    /// let mut losses = [0.0; 2];
    /// ClippedBinaryCrossEntropy::new().rows(probs, Rows::new(&[1.0, 0.0], 2, 1)?, &mut losses)?;
    /// assert_eq!(losses, [0.22314353, 0.22314355]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn rows(
        &self,
        probs: Rows<'_>,
        targets: Rows<'_>,
        losses: &mut [f32],
    ) -> Result<(), Error> {
        self.clip.validate()?;
        self.checked_losses(&probs, &targets, losses)
    }

    /// The total over all elements of many rows, for their sum or mean.
    ///
    /// Arguments and errors are those of [`rows`](Self::rows).
    ///
    /// ```
    /// use xent_core::{ClippedBinaryCrossEntropy, Rows};
    /// let probs = Rows::new(&[0.8, 0.2], 2, 1)?;
    /// let total = ClippedBinaryCrossEntropy::new().total(probs, Rows::new(&[1.0, 0.0], 2, 1)?)?;
    /// assert_eq!(total.mean() as f32, 0.22314355);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn total(&self, probs: Rows<'_>, targets: Rows<'_>) -> Result<LossTotal, Error> {
        self.clip.validate()?;
        self.checked_total(&probs, &targets)
    }
}

impl Default for ClippedBinaryCrossEntropy {
    fn default() -> Self {
        ClippedBinaryCrossEntropy::new()
    }
}

impl ElementLoss for ClippedBinaryCrossEntropy {
    fn losses(&self, p: &[f32], y: &[f32], out: &mut [f32]) {
        self.backend.clipped_binary_losses(p, y, self.clip.lo, self.clip.hi, out);
    }
}
