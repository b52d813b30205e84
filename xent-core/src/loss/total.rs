//! Sums and means of losses, which merge.

use super::Reduction;

/// The sum of weighted losses, the sum of their weights, and their number.
///
/// Totals of batches, threads or devices merge into the total of all, where means do not: the mean of
/// means is wrong for batches of different size. The sums are f64.
///
/// ```
/// use xent_core::{CrossEntropy, LossTotal, Rows};
///
/// let loss = CrossEntropy::new();
/// let first = loss.total(Rows::new(&[2.0, 1.0, 0.0, 0.0, 3.0, 0.0], 2, 3)?, &[0, 1])?;
/// let second = loss.total(Rows::new(&[1.0, 1.0, 1.0], 1, 3)?, &[2])?;
/// let total = first.merge(second);
/// assert_eq!(total.count(), 3);
/// assert_eq!(total.mean() as f32, 0.53371376);
/// assert!(LossTotal::EMPTY.mean().is_nan());
/// # Ok::<(), xent_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossTotal {
    sum: f64,
    weight: f64,
    count: u64,
}

impl LossTotal {
    /// The total of nothing: the identity of [`merge`](LossTotal::merge).
    ///
    /// ```
    /// assert_eq!(xent_core::LossTotal::EMPTY.sum(), 0.0);
    /// ```
    pub const EMPTY: LossTotal = LossTotal { sum: 0.0, weight: 0.0, count: 0 };

    /// Rows that are folded before they merge: 1,024.
    ///
    /// Totals of consecutive runs of this many rows, merged in order into [`LossTotal::EMPTY`], have
    /// the bits of the total over all rows. So several threads can share a batch.
    ///
    /// ```
    /// assert_eq!(xent_core::LossTotal::CHUNK_ROWS, 1024);
    /// ```
    pub const CHUNK_ROWS: usize = 1024;

    /// The rows of the chunk that begins at `start`, of `n_rows`: as many as a `usize` counts, where they share memory.
    #[inline]
    pub(crate) fn chunk_at(start: usize, n_rows: usize) -> core::ops::Range<usize> {
        start..n_rows.min(start.saturating_add(Self::CHUNK_ROWS))
    }

    /// Adds one loss: `weight * loss` to the sum, `weight` to the weights, 1 to the count.
    ///
    /// `weight`: finite and not negative. A loss of weight 0 contributes 0, also where it is NaN or
    /// infinite.
    ///
    /// ```
    /// let mut total = xent_core::LossTotal::EMPTY;
    /// total.push(3.0, 0.5);
    /// total.push(f32::INFINITY, 0.0);
    /// assert_eq!((total.sum(), total.mean(), total.mean_count()), (1.5, 3.0, 0.75));
    /// ```
    pub fn push(&mut self, loss: f32, weight: f32) {
        let weighted = if weight == 0.0 { 0.0 } else { f64::from(weight) * f64::from(loss) };
        self.push_weighted(weighted, f64::from(weight));
    }

    /// Adds a loss that its weight is already in: rounded to f32, but where a weight is below 2^-32 or from 2^32 on.
    pub(super) fn push_weighted(&mut self, weighted_loss: f64, weight: f64) {
        self.sum += weighted_loss;
        self.weight += weight;
        self.count = self.count.saturating_add(1);
    }

    /// Counts `n` losses of one weight, without the losses.
    pub(super) fn push_nothing(&mut self, n: usize, weight: f32) {
        self.weight += f64::from(weight) * n as f64;
        self.count = self.count.saturating_add(n as u64);
    }

    /// Of `n` losses of one weight, without the losses.
    pub(super) fn of_weights(n: usize, weight: f32) -> LossTotal {
        let mut total = LossTotal::EMPTY;
        total.push_nothing(n, weight);
        total
    }

    /// The sum or a mean, as `reduction` says.
    ///
    /// ```
    /// use xent_core::{LossTotal, Reduction};
    /// let mut total = LossTotal::EMPTY;
    /// total.push(3.0, 0.5);
    /// assert_eq!(total.reduce(Reduction::Mean), 3.0);
    /// ```
    #[must_use]
    pub fn reduce(&self, reduction: Reduction) -> f64 {
        match reduction {
            Reduction::Sum => self.sum(),
            Reduction::Mean => self.mean(),
            Reduction::MeanCount => self.mean_count(),
        }
    }

    /// The total of both.
    ///
    /// ```
    /// use xent_core::LossTotal;
    /// let mut total = LossTotal::EMPTY;
    /// total.push(3.0, 1.0);
    /// assert_eq!(total.merge(total).sum(), 6.0);
    /// ```
    #[must_use]
    pub fn merge(self, other: LossTotal) -> LossTotal {
        LossTotal {
            sum: self.sum + other.sum,
            weight: self.weight + other.weight,
            count: self.count.saturating_add(other.count),
        }
    }

    /// The sum of weighted losses, in nats; 0 of nothing.
    ///
    /// ```
    /// assert_eq!(xent_core::LossTotal::EMPTY.sum(), 0.0);
    /// ```
    #[must_use]
    pub const fn sum(&self) -> f64 {
        self.sum
    }

    /// The sum of the weights.
    ///
    /// ```
    /// assert_eq!(xent_core::LossTotal::EMPTY.weight(), 0.0);
    /// ```
    #[must_use]
    pub const fn weight(&self) -> f64 {
        self.weight
    }

    /// The number of losses: rows that are not ignored, or elements of the binary losses.
    ///
    /// ```
    /// assert_eq!(xent_core::LossTotal::EMPTY.count(), 0);
    /// ```
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The sum over the sum of the weights; NaN where that is 0.
    ///
    /// ```
    /// let mut total = xent_core::LossTotal::EMPTY;
    /// total.push(3.0, 2.0);
    /// total.push(6.0, 1.0);
    /// assert_eq!(total.mean(), 4.0);
    /// ```
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.weight == 0.0 { f64::NAN } else { self.sum / self.weight }
    }

    /// The sum over the number of losses; NaN of nothing.
    ///
    /// ```
    /// let mut total = xent_core::LossTotal::EMPTY;
    /// total.push(3.0, 2.0);
    /// total.push(6.0, 1.0);
    /// assert_eq!(total.mean_count(), 6.0);
    /// ```
    #[must_use]
    pub fn mean_count(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.sum / self.count as f64 }
    }
}

impl Default for LossTotal {
    fn default() -> Self {
        LossTotal::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use super::LossTotal;

    #[test]
    fn a_chunk_ends_with_the_rows_also_where_these_are_as_many_as_can_be() {
        assert_eq!(LossTotal::chunk_at(0, 3), 0..3);
        assert_eq!(LossTotal::chunk_at(1024, 4096), 1024..2048);
        assert_eq!(LossTotal::chunk_at(usize::MAX - 9, usize::MAX), usize::MAX - 9..usize::MAX);
    }
}
