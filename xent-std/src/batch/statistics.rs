//! The statistics of the rows of a batch.

use xent_core::{Backend, Error, Label, RowStatistics, Rows};

use super::backend::BatchBackend;

/// The statistics of each row, in a `Vec`, on several threads where there is enough to gain.
///
/// `x`: logits in nats, `n_rows` by `classes`. `labels`: the right class of each row, any integer type.
/// The bits are those of [`row_statistics_rows`](xent_core::row_statistics_rows), for any number of
/// threads, and so are formulas, special values and accuracy. A row is one thread's: a single very long
/// one gains nothing. See [`Evaluation`](crate::Evaluation) for what they say together, and
/// [`BatchBackend`](crate::BatchBackend) for a chosen backend.
/// Errors: [`Error::EmptyClasses`] for rows without classes, [`Error::LabelOutOfRange`],
/// [`Error::LengthMismatch`].
///
/// ```
/// use xent_std::{Rows, batch_statistics};
/// let x = Rows::new(&[2.0, 1.0, 0.0, 0.0, 3.0, 0.0], 2, 3)?;
/// let rows = batch_statistics(x, &[0, 2])?;
/// assert_eq!((rows[0].loss(), rows[0].rank()), (0.40760595, 0));
/// assert_eq!((rows[1].argmax(), rows[1].rank()), (1, 2));
/// # Ok::<(), xent_std::Error>(())
/// ```
pub fn batch_statistics<L: Label + Sync>(
    x: Rows<'_>,
    labels: &[L],
) -> Result<Vec<RowStatistics>, Error> {
    Backend::detected().batch_statistics(x, labels)
}
