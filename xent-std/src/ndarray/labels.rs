//! The labels in an array.

use std::borrow::Cow;

use ::ndarray::{ArrayView, Dimension};
use xent_core::{Label, Targets};

/// The labels in an array of any integer type, in its logical order.
///
/// Feature `ndarray`. They stay where they are if they lie in that order side by side, and are copied
/// otherwise.
///
/// ```
/// use ndarray::{Axis, array};
/// use xent_std::{ArrayLabels, ArrayRows, BatchLoss, CrossEntropy};
///
/// let logits = array![[2.0, 1.0, 0.0], [0.0, 3.0, 0.0]];
/// let (rows, labels) = (ArrayRows::new(&logits, Axis(1))?, array![0_u8, 1]);
/// let labels = ArrayLabels::new(&labels);
/// let losses = CrossEntropy::new().batch_losses(rows.rows(), labels.targets())?;
/// assert_eq!(losses, [0.40760595, 0.09492295]);
/// # Ok::<(), xent_std::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ArrayLabels<'a, L: Label>(Cow<'a, [L]>);

impl<'a, L: Label> ArrayLabels<'a, L> {
    /// Of an array or a view.
    ///
    /// ```
    /// use ndarray::array;
    /// let labels = array![[0, 1], [2, 3]];
    /// assert!(!xent_std::ArrayLabels::new(&labels).is_copy());
    /// ```
    #[must_use]
    pub fn new<D: Dimension>(labels: impl Into<ArrayView<'a, L, D>>) -> Self {
        let labels = labels.into();
        ArrayLabels(match labels.to_slice() {
            Some(labels) => Cow::Borrowed(labels),
            None => Cow::Owned(labels.iter().copied().collect()),
        })
    }

    /// The labels, as every loss takes them.
    ///
    /// ```
    /// use ndarray::array;
    /// let labels = array![0_i64, 2];
    /// let labels = xent_std::ArrayLabels::new(&labels);
    /// let targets = labels.targets();
    /// ```
    #[must_use]
    pub fn targets(&self) -> Targets<'_> {
        Targets::labels(&self.0)
    }

    pub(super) fn as_slice(&self) -> &[L] {
        &self.0
    }

    /// Whether the labels had to be copied.
    ///
    /// ```
    /// use ndarray::{array, s};
    /// let labels = array![0, 1, 2, 3];
    /// assert!(xent_std::ArrayLabels::new(labels.slice(s![..;2])).is_copy());
    /// ```
    #[must_use]
    pub fn is_copy(&self) -> bool {
        matches!(self.0, Cow::Owned(_))
    }
}
