//! What the statistics of many rows say about a classifier.

use xent_core::{Error, LossTotal, RowStatistics};

/// Loss, perplexity, accuracy, top-k accuracy, entropy and calibration over rows, which merges.
///
/// Evaluations of batches, threads or devices merge into the evaluation of all. Sums are f64.
///
/// Confidence is [`RowStatistics::max_probability`]. It is in bin `i` of `n` where
/// `i / n < confidence <= (i + 1) / n`. The expected calibration error is
/// `Σ_b n_b / n |accuracy_b - confidence_b|` over the bins `b`, with the mean confidence of each.
///
/// Special values: a row without a softmax (a NaN or `+inf` logit, or only `-inf`) has no confidence. It
/// is in no bin and not in the calibration error, and [`nan_count`](Self::nan_count) counts it. It is one
/// of the rows of everything else: its loss makes [`mean_loss`](Self::mean_loss),
/// [`perplexity`](Self::perplexity) and [`mean_entropy`](Self::mean_entropy) NaN, and its prediction is
/// right or wrong as [`RowStatistics::rank`] says, wrong with a NaN. Of no rows every mean is NaN.
///
/// Source: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, On Calibration of Modern Neural Networks (2017),
/// section 2.
///
/// ```
/// use xent_std::{Evaluation, Rows, batch_statistics};
///
/// let logits = Rows::new(&[2.0, 1.0, 0.0, 0.0, 3.0, 0.0, 1.0, 2.0, 0.0], 3, 3)?;
/// let mut evaluation = Evaluation::new(2, 10)?; // top 2, 10 bins
/// evaluation.extend(batch_statistics(logits, &[0, 1, 0])?);
/// assert_eq!(evaluation.count(), 3);
/// assert_eq!(evaluation.accuracy(), 2.0 / 3.0);
/// assert_eq!(evaluation.top_k_accuracy(), 1.0);
/// assert_eq!(evaluation.perplexity() as f32, 1.8902547);
/// assert_eq!(evaluation.bins()[6].count(), 2);
/// assert_eq!(evaluation.expected_calibration_error() as f32, 0.14034629);
/// # Ok::<(), xent_std::Error>(())
/// ```
#[doc(alias = "ece")]
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    top_k: usize,
    losses: LossTotal,
    entropies: LossTotal,
    correct: u64,
    in_top_k: u64,
    nan_count: u64,
    bins: Vec<CalibrationBin>,
}

/// The rows whose confidence is in one range: made by [`Evaluation::bins`].
///
/// ```
/// use xent_std::{Evaluation, row_statistics};
/// let mut evaluation = Evaluation::new(1, 4)?;
/// evaluation.push(&row_statistics(&[0.0, 0.0], 1)?);
/// let bin = evaluation.bins()[1]; // 1/4 to 1/2, the upper end included
/// assert_eq!((bin.count(), bin.mean_confidence(), bin.accuracy()), (1, 0.5, 0.0));
/// # Ok::<(), xent_std::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationBin {
    count: u64,
    correct: u64,
    confidence: f64,
}

impl CalibrationBin {
    const EMPTY: CalibrationBin = CalibrationBin { count: 0, correct: 0, confidence: 0.0 };

    /// The number of rows.
    ///
    /// ```
    /// assert_eq!(xent_std::Evaluation::new(1, 4)?.bins()[0].count(), 0);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The mean of the confidences; NaN of no rows.
    ///
    /// ```
    /// assert!(xent_std::Evaluation::new(1, 4)?.bins()[0].mean_confidence().is_nan());
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    pub fn mean_confidence(&self) -> f64 {
        mean(self.confidence, self.count)
    }

    /// The part of the rows whose prediction is right; NaN of no rows.
    ///
    /// ```
    /// assert!(xent_std::Evaluation::new(1, 4)?.bins()[0].accuracy().is_nan());
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        mean(self.correct as f64, self.count)
    }
}

impl Evaluation {
    /// Of no rows.
    ///
    /// `top_k`: from 1, more than there are classes counts all rows. `n_bins`: from 1, of equal width; 15
    /// is usual.
    /// Errors: [`Error::InvalidOption`] for a 0, and for more bins than there is memory.
    ///
    /// ```
    /// use xent_std::{Error, Evaluation};
    /// assert!(Evaluation::new(5, 15)?.mean_loss().is_nan());
    /// let error = Error::InvalidOption { name: "top_k", value: 0.0 };
    /// assert_eq!(Evaluation::new(0, 15), Err(error));
    /// assert!(Evaluation::new(1, usize::MAX).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(top_k: usize, n_bins: usize) -> Result<Self, Error> {
        for (name, value) in [("top_k", top_k), ("n_bins", n_bins)] {
            if value == 0 {
                return Err(invalid(name, value));
            }
        }
        let mut bins = Vec::new();
        bins.try_reserve_exact(n_bins).map_err(|_| invalid("n_bins", n_bins))?;
        bins.resize(n_bins, CalibrationBin::EMPTY);
        Ok(Evaluation {
            top_k,
            losses: LossTotal::EMPTY,
            entropies: LossTotal::EMPTY,
            correct: 0,
            in_top_k: 0,
            nan_count: 0,
            bins,
        })
    }

    /// Adds one row.
    ///
    /// ```
    /// use xent_std::{Evaluation, row_statistics};
    /// let mut evaluation = Evaluation::new(1, 15)?;
    /// evaluation.push(&row_statistics(&[2.0, 1.0, 0.0], 0)?);
    /// assert_eq!((evaluation.count(), evaluation.accuracy()), (1, 1.0));
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    pub fn push(&mut self, row: &RowStatistics) {
        let correct = u64::from(row.is_in_top(1));
        self.losses.push(row.loss(), 1.0);
        self.entropies.push(row.entropy(), 1.0);
        self.correct += correct;
        self.in_top_k += u64::from(row.is_in_top(self.top_k));
        let confidence = f64::from(row.max_probability());
        if confidence.is_nan() {
            self.nan_count += 1;
            return;
        }
        // Exact for up to 2^29 bins: the confidence has 24 bits. It is above 0.
        let n_bins = self.bins.len();
        let bin = (confidence * n_bins as f64).ceil() as usize;
        if let Some(bin) = self.bins.get_mut(bin.clamp(1, n_bins) - 1) {
            bin.count += 1;
            bin.correct += correct;
            bin.confidence += confidence;
        }
    }

    /// Adds the rows of another evaluation.
    ///
    /// Errors: [`Error::InvalidOption`] with the other's `top_k` or `n_bins` where it differs; then
    /// nothing is added.
    ///
    /// ```
    /// use xent_std::{Error, Evaluation, row_statistics};
    /// let mut first = Evaluation::new(2, 15)?;
    /// first.push(&row_statistics(&[2.0, 1.0, 0.0], 0)?);
    /// let second = first.clone();
    /// first.merge(&second)?;
    /// assert_eq!(first.count(), 2);
    /// let error = Error::InvalidOption { name: "top_k", value: 5.0 };
    /// assert_eq!(first.merge(&Evaluation::new(5, 15)?), Err(error));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn merge(&mut self, other: &Evaluation) -> Result<(), Error> {
        if other.top_k != self.top_k {
            return Err(invalid("top_k", other.top_k));
        }
        if other.bins.len() != self.bins.len() {
            return Err(invalid("n_bins", other.bins.len()));
        }
        self.losses = self.losses.merge(other.losses);
        self.entropies = self.entropies.merge(other.entropies);
        self.correct += other.correct;
        self.in_top_k += other.in_top_k;
        self.nan_count += other.nan_count;
        for (bin, other) in self.bins.iter_mut().zip(&other.bins) {
            bin.count += other.count;
            bin.correct += other.correct;
            bin.confidence += other.confidence;
        }
        Ok(())
    }

    /// The number of rows.
    ///
    /// ```
    /// assert_eq!(xent_std::Evaluation::new(1, 15)?.count(), 0);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.losses.count()
    }

    /// The number of rows without a softmax, which are in no bin.
    ///
    /// ```
    /// use xent_std::{Evaluation, row_statistics};
    /// let mut evaluation = Evaluation::new(1, 15)?;
    /// evaluation.push(&row_statistics(&[f32::NAN, 0.0], 0)?);
    /// assert_eq!((evaluation.count(), evaluation.nan_count()), (1, 1));
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    pub const fn nan_count(&self) -> u64 {
        self.nan_count
    }

    /// How many predictions are right.
    ///
    /// ```
    /// assert_eq!(xent_std::Evaluation::new(1, 15)?.n_correct(), 0);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    pub const fn n_correct(&self) -> u64 {
        self.correct
    }

    /// The `k` of [`top_k_accuracy`](Self::top_k_accuracy).
    ///
    /// ```
    /// assert_eq!(xent_std::Evaluation::new(5, 15)?.top_k(), 5);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    pub const fn top_k(&self) -> usize {
        self.top_k
    }

    /// The mean of the losses, in nats.
    ///
    /// ```
    /// use xent_std::{Evaluation, row_statistics};
    /// let mut evaluation = Evaluation::new(1, 15)?;
    /// evaluation.push(&row_statistics(&[20.0, 0.0, 0.0, 0.0], 0)?);
    /// assert_eq!(evaluation.mean_loss() as f32, 6.183461e-9);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    pub fn mean_loss(&self) -> f64 {
        self.losses.mean()
    }

    /// The exponential of the mean loss: over how many classes a guess as good would be even.
    ///
    /// ```
    /// use xent_std::{Evaluation, row_statistics};
    /// let mut evaluation = Evaluation::new(1, 15)?;
    /// evaluation.push(&row_statistics(&[0.0; 4], 0)?);
    /// assert_eq!(evaluation.perplexity() as f32, 4.0);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    pub fn perplexity(&self) -> f64 {
        self.mean_loss().exp()
    }

    /// The mean of the entropies, in nats.
    ///
    /// ```
    /// use xent_std::{Evaluation, row_statistics};
    /// let mut evaluation = Evaluation::new(1, 15)?;
    /// evaluation.push(&row_statistics(&[0.0; 2], 0)?);
    /// assert_eq!(evaluation.mean_entropy() as f32, 2_f32.ln());
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    pub fn mean_entropy(&self) -> f64 {
        self.entropies.mean()
    }

    /// The part of the rows whose prediction is right.
    ///
    /// ```
    /// use xent_std::{Evaluation, row_statistics};
    /// let mut evaluation = Evaluation::new(1, 15)?;
    /// evaluation.push(&row_statistics(&[2.0, 1.0], 0)?);
    /// evaluation.push(&row_statistics(&[2.0, 1.0], 1)?);
    /// assert_eq!(evaluation.accuracy(), 0.5);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        mean(self.correct as f64, self.count())
    }

    /// The part of the rows whose label is among the [`top_k`](Self::top_k) classes with the largest
    /// logits.
    ///
    /// ```
    /// use xent_std::{Evaluation, row_statistics};
    /// let mut evaluation = Evaluation::new(2, 15)?;
    /// evaluation.push(&row_statistics(&[2.0, 1.0, 0.0], 1)?);
    /// assert_eq!((evaluation.accuracy(), evaluation.top_k_accuracy()), (0.0, 1.0));
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    pub fn top_k_accuracy(&self) -> f64 {
        mean(self.in_top_k as f64, self.count())
    }

    /// `Σ_b n_b / n |accuracy_b - confidence_b|` over the bins `b`, from 0 to 1, of the rows that have a
    /// confidence; NaN of none.
    ///
    /// ```
    /// use xent_std::{Evaluation, row_statistics};
    /// let mut evaluation = Evaluation::new(1, 15)?;
    /// evaluation.push(&row_statistics(&[0.0; 4], 0)?);
    /// assert_eq!(evaluation.expected_calibration_error(), 0.75);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[doc(alias = "ece")]
    #[must_use]
    pub fn expected_calibration_error(&self) -> f64 {
        // n_b |accuracy_b - confidence_b| is the difference of two sums.
        let gaps = self.bins.iter().map(|bin| (bin.correct as f64 - bin.confidence).abs());
        mean(gaps.sum(), self.count() - self.nan_count)
    }

    /// The bins, from confidence 0 to 1, all of one width: the reliability diagram.
    ///
    /// ```
    /// use xent_std::{Evaluation, row_statistics};
    /// let mut evaluation = Evaluation::new(1, 10)?;
    /// evaluation.push(&row_statistics(&[9.0, 0.0], 0)?);
    /// let counts: Vec<u64> = evaluation.bins().iter().map(|bin| bin.count()).collect();
    /// assert_eq!(counts, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    pub fn bins(&self) -> &[CalibrationBin] {
        &self.bins
    }
}

impl Extend<RowStatistics> for Evaluation {
    fn extend<I: IntoIterator<Item = RowStatistics>>(&mut self, rows: I) {
        for row in rows {
            self.push(&row);
        }
    }
}

/// NaN of nothing.
fn mean(sum: f64, count: u64) -> f64 {
    if count == 0 { f64::NAN } else { sum / count as f64 }
}

fn invalid(name: &'static str, value: usize) -> Error {
    Error::InvalidOption { name, value: value as f32 }
}
