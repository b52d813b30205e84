//! What one reading of a row of logits says about a prediction.

use crate::kernel::statistics::RowState;
use crate::loss::check_length;
use crate::targets::{Label, Targets};
use crate::{Backend, Error, Rows};

/// What a row of logits and its label say about a prediction: made by [`row_statistics`].
///
/// With `m = max(x)`, `s = Σ exp(x_i - m)` over all elements but one maximum, `p = softmax(x)`, and `t`
/// the label:
///
/// | method | formula | range |
/// | --- | --- | --- |
/// | [`log_sum_exp`](Self::log_sum_exp) | `m + ln(1 + s)` | nats |
/// | [`energy`](Self::energy) | `-(m + ln(1 + s))` | nats |
/// | [`loss`](Self::loss) | `(m - x_t) + ln(1 + s)` | nats, from 0 |
/// | [`entropy`](Self::entropy) | `ln(1 + s) + Σ p_i (m - x_i)` | nats, 0 to `ln(classes)` |
/// | [`max_probability`](Self::max_probability) | `1 / (1 + s)` | `1 / classes` to 1 |
/// | [`margin`](Self::margin) | `(1 - exp(x_2 - m)) / (1 + s)`, `x_2` the second largest logit | 0 to 1 |
/// | [`argmax`](Self::argmax) | the first class whose logit is `m` | |
/// | [`rank`](Self::rank) | classes ahead of the label | 0 to `classes - 1` |
///
/// Special values: a row with a NaN or `+inf`, or with only `-inf`, has no softmax: its loss, entropy,
/// maximum probability and margin are NaN, and its log-sum-exp is as [`log_sum_exp`](crate::log_sum_exp)
/// has it. A row with a NaN has a rank that is in no top k. A `-inf` logit elsewhere than at the label is a
/// masked class and has no effect on the probabilities.
///
/// ```
/// use xent_core::row_statistics;
///
/// let row = row_statistics(&[1.0, 3.0, 2.0], 2)?;
/// assert_eq!((row.argmax(), row.rank()), (1, 1));
/// assert!(row.is_in_top(2) && !row.is_in_top(1));
/// assert_eq!((row.log_sum_exp(), row.loss()), (3.407606, 1.4076059));
/// assert_eq!((row.max_probability(), row.margin()), (0.66524094, 0.42051247));
/// assert_eq!(row.entropy(), 0.83239555);
/// # Ok::<(), xent_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowStatistics {
    pub(crate) log_sum_exp: f32,
    pub(crate) loss: f32,
    pub(crate) max_probability: f32,
    pub(crate) entropy: f32,
    pub(crate) margin: f32,
    pub(crate) argmax: usize,
    pub(crate) rank: usize,
}

impl RowStatistics {
    /// Of no row: every number is NaN, and the label is in no top k. Fills a buffer that
    /// [`row_statistics_rows`] then writes.
    ///
    /// ```
    /// use xent_core::RowStatistics;
    /// assert!(RowStatistics::NAN.loss().is_nan() && !RowStatistics::NAN.is_in_top(usize::MAX));
    /// ```
    pub const NAN: RowStatistics = RowStatistics {
        log_sum_exp: f32::NAN,
        loss: f32::NAN,
        max_probability: f32::NAN,
        entropy: f32::NAN,
        margin: f32::NAN,
        argmax: 0,
        rank: usize::MAX,
    };

    /// `m + ln(1 + s)`, in nats, with the bits of [`log_sum_exp`](crate::log_sum_exp).
    ///
    /// Special values: NaN with a NaN, otherwise `+inf` with a `+inf`; `-inf` of only `-inf`.
    /// Accuracy: [`accuracy::LOG_SUM_EXP`](crate::accuracy::LOG_SUM_EXP).
    ///
    /// ```
    /// assert_eq!(xent_core::row_statistics(&[1.0, 2.0, 3.0], 0)?.log_sum_exp(), 3.407606);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub const fn log_sum_exp(&self) -> f32 {
        self.log_sum_exp
    }

    /// `-(m + ln(1 + s))`, in nats: low where the logits are large, a score for what a classifier was
    /// not trained on.
    ///
    /// Special values: NaN with a NaN, otherwise `-inf` with a `+inf`; `+inf` of only `-inf`.
    /// Accuracy: [`accuracy::LOG_SUM_EXP`](crate::accuracy::LOG_SUM_EXP).
    /// Source: W. Liu, X. Wang, J. Owens, Y. Li, Energy-based Out-of-distribution Detection (2020).
    ///
    /// ```
    /// assert_eq!(xent_core::row_statistics(&[1.0, 2.0, 3.0], 0)?.energy(), -3.407606);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub fn energy(&self) -> f32 {
        // Of NaN the one bit pattern; a negation flips its sign.
        if self.log_sum_exp.is_nan() { f32::NAN } else { -self.log_sum_exp }
    }

    /// `(m - x_t) + ln(1 + s)`, in nats, with the bits of [`CrossEntropy::row`](crate::CrossEntropy::row).
    ///
    /// Special values: NaN without a softmax; `+inf` where the label's logit is `-inf`.
    /// Accuracy: [`accuracy::LOSS`](crate::accuracy::LOSS), against
    /// [`reference::cross_entropy`](crate::reference::cross_entropy).
    ///
    /// ```
    /// assert_eq!(xent_core::row_statistics(&[20.0, 0.0, 0.0, 0.0], 0)?.loss(), 6.183461e-9);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub const fn loss(&self) -> f32 {
        self.loss
    }

    /// `1 / (1 + s)`, the probability of the predicted class: its confidence. It has the bits of the
    /// largest element of [`softmax`](crate::softmax).
    ///
    /// Special values: NaN without a softmax.
    /// Accuracy: [`accuracy::MAX_PROBABILITY`](crate::accuracy::MAX_PROBABILITY), against
    /// [`reference::max_probability`](crate::reference::max_probability).
    ///
    /// ```
    /// assert_eq!(xent_core::row_statistics(&[5.0, 5.0], 0)?.max_probability(), 0.5);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub const fn max_probability(&self) -> f32 {
        self.max_probability
    }

    /// `-Σ p_i ln(p_i)` of the softmax, in nats, computed as `ln(1 + s) + Σ p_i (m - x_i)`: neither
    /// term is negative, so that a small entropy keeps its digits.
    ///
    /// Special values: NaN without a softmax; a masked class contributes 0.
    /// Accuracy: [`accuracy::ENTROPY_OF_LOGITS`](crate::accuracy::ENTROPY_OF_LOGITS), against
    /// [`reference::entropy_of_logits`](crate::reference::entropy_of_logits).
    ///
    /// ```
    /// use xent_core::row_statistics;
    /// assert_eq!(row_statistics(&[5.0, 5.0], 0)?.entropy(), 2_f32.ln());
    /// assert_eq!(row_statistics(&[20.0, 0.0, 0.0, 0.0], 0)?.entropy(), 1.2985268e-7);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub const fn entropy(&self) -> f32 {
        self.entropy
    }

    /// The largest probability less the second largest, `(1 - exp(x_2 - m)) / (1 + s)` with `x_2` the
    /// second largest logit: it keeps its digits where the two are close. 0 on a tie; of one class 1.
    ///
    /// Special values: NaN without a softmax.
    /// Accuracy: [`accuracy::MARGIN`](crate::accuracy::MARGIN), against
    /// [`reference::margin`](crate::reference::margin).
    ///
    /// ```
    /// use xent_core::row_statistics;
    /// assert_eq!(row_statistics(&[1.0, 3.0, 2.0], 0)?.margin(), 0.42051247);
    /// assert_eq!(row_statistics(&[1e-9, 0.0], 0)?.margin(), 5e-10);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub const fn margin(&self) -> f32 {
        self.margin
    }

    /// The predicted class: the first whose logit is the maximum.
    ///
    /// Special values: the first NaN, where there is one, as NumPy has it; 0 of only `-inf`.
    ///
    /// ```
    /// assert_eq!(xent_core::row_statistics(&[1.0, 3.0, 3.0], 0)?.argmax(), 1);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub const fn argmax(&self) -> usize {
        self.argmax
    }

    /// How many classes are ahead of the label: those with a larger logit, and before it those with an
    /// equal one. So it is 0 where the label is [`argmax`](Self::argmax), and only there.
    ///
    /// Special values: the number of classes where a logit is NaN.
    ///
    /// ```
    /// use xent_core::row_statistics;
    /// assert_eq!(row_statistics(&[1.0, 3.0, 3.0], 1)?.rank(), 0);
    /// assert_eq!(row_statistics(&[1.0, 3.0, 3.0], 2)?.rank(), 1);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub const fn rank(&self) -> usize {
        self.rank
    }

    /// Whether the label is among the `k` classes with the largest logits; `is_in_top(1)` is whether the
    /// prediction is right.
    ///
    /// Of equal logits the first comes first. In the top 0 there is no class.
    /// Special values: false where a logit is NaN, also with `k` above the number of classes.
    ///
    /// ```
    /// let row = xent_core::row_statistics(&[1.0, 3.0, 2.0], 2)?;
    /// assert!(row.is_in_top(2) && !row.is_in_top(1));
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[doc(alias = "top_k")]
    #[must_use]
    pub const fn is_in_top(&self, k: usize) -> bool {
        self.rank < k && !self.log_sum_exp.is_nan()
    }
}

impl Default for RowStatistics {
    fn default() -> Self {
        RowStatistics::NAN
    }
}

/// The statistics of one row, in one reading of its logits.
///
/// `logits`: in nats, one a class. `label`: the right class, from 0, any integer type.
/// The formulas and special values are those of [`RowStatistics`].
/// Errors: [`Error::EmptyClasses`], [`Error::LabelOutOfRange`].
///
/// ```
/// use xent_core::{Error, row_statistics};
/// let row = row_statistics(&[2.0, 1.0, 0.0], 0_u8)?;
/// assert_eq!((row.loss(), row.rank()), (0.40760595, 0));
/// let error = Error::LabelOutOfRange { row: 0, label: 3, classes: 3 };
/// assert_eq!(row_statistics(&[2.0, 1.0, 0.0], 3), Err(error));
/// # Ok::<(), Error>(())
/// ```
pub fn row_statistics(logits: &[f32], label: impl Label) -> Result<RowStatistics, Error> {
    Backend::detected().row_statistics(logits, label)
}

/// The statistics of each row, in one reading of the logits.
///
/// `logits`: `n_rows` by `classes`, in nats. `labels`: one a row. `out`: one element a row.
/// The formulas and special values are those of [`RowStatistics`].
/// Errors: [`Error::EmptyClasses`] for rows without classes, [`Error::LabelOutOfRange`],
/// [`Error::LengthMismatch`]; then nothing is written.
///
/// ```
/// use xent_core::{RowStatistics, Rows, row_statistics_rows};
/// let logits = Rows::new(&[2.0, 1.0, 0.0, 0.0, 3.0, 0.0], 2, 3)?;
/// let mut out = [RowStatistics::NAN; 2];
/// row_statistics_rows(logits, &[0, 2], &mut out)?;
/// assert_eq!(out.map(|row| row.argmax()), [0, 1]);
/// assert_eq!(out.map(|row| row.loss()), [0.40760595, 3.094923]);
/// # Ok::<(), xent_core::Error>(())
/// ```
pub fn row_statistics_rows<L: Label>(
    logits: Rows<'_>,
    labels: &[L],
    out: &mut [RowStatistics],
) -> Result<(), Error> {
    Backend::detected().row_statistics_rows(logits, labels, out)
}

/// The statistics of rows on a chosen backend.
impl Backend {
    /// [`row_statistics`] on this backend.
    ///
    /// ```
    /// use xent_core::Backend;
    /// assert_eq!(Backend::SCALAR.row_statistics(&[0.0, 0.0], 1)?.entropy(), 2_f32.ln());
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn row_statistics(self, logits: &[f32], label: impl Label) -> Result<RowStatistics, Error> {
        let row = Rows::new(logits, 1, logits.len())?;
        Targets::labels(&[label]).check(&row)?;
        Ok(self.statistics_of(&row, 0, label))
    }

    /// [`row_statistics_rows`] on this backend.
    ///
    /// ```
    /// use xent_core::{Backend, RowStatistics, Rows};
    /// let mut out = [RowStatistics::NAN; 2];
    /// Backend::SCALAR.row_statistics_rows(Rows::new(&[0.0; 4], 2, 2)?, &[0, 1], &mut out)?;
    /// assert_eq!(out.map(|row| row.rank()), [0, 1]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn row_statistics_rows<L: Label>(
        self,
        logits: Rows<'_>,
        labels: &[L],
        out: &mut [RowStatistics],
    ) -> Result<(), Error> {
        Targets::labels(labels).check(&logits)?;
        check_length(logits.n_rows(), out.len())?;
        let mut rows = labels.iter().zip(out);
        logits.for_tiles(|tile, logits| {
            for (row, (label, out)) in (0..tile.len()).zip(&mut rows) {
                *out = self.statistics_of(logits, row, *label);
            }
        });
        Ok(())
    }

    /// Of a row whose label was checked.
    fn statistics_of(self, logits: &Rows<'_>, row: usize, label: impl Label) -> RowStatistics {
        let label = usize::try_from(label.to_i64()).unwrap_or(0);
        let mut state = RowState::new(label, logits.get(row, label).unwrap_or(f32::NAN));
        logits.for_blocks(row, |x| self.statistics_push(&mut state, x));
        self.statistics_value(&state)
    }
}
