//! Labels of every integer type.

use xent_core::{Backend, Error, RowStatistics, Rows, Targets};
use xent_std::BatchBackend;

use crate::bytes::Bytes;

macro_rules! labels {
    ($($variant:ident $int:ty),*) => {
        /// Labels of some integer type.
        #[derive(Debug)]
        pub enum Labels {
            $(
                #[doc = concat!("Of type `", stringify!($int), "`.")]
                $variant(Vec<$int>),
            )*
        }

        impl Labels {
            /// `n` labels for `classes` classes, of a type that the bytes choose: mostly in range.
            pub fn new(bytes: &mut Bytes<'_>, n: usize, classes: usize) -> Self {
                let kinds = [$(stringify!($variant)),*];
                let kind = kinds[usize::from(bytes.byte()) % kinds.len()];
                let wrong = bytes.byte() >= 224;
                let labels: Vec<u64> = (0..n).map(|_| label(bytes, classes, wrong)).collect();
                // Truncation makes labels that are negative or out of range.
                match kind {
                    $(stringify!($variant) => {
                        Labels::$variant(labels.iter().map(|&label| label as $int).collect())
                    })*
                    _ => unreachable!(),
                }
            }

            /// As an argument of a loss.
            #[must_use]
            pub fn targets(&self) -> Targets<'_> {
                match self {
                    $(Labels::$variant(labels) => Targets::labels(labels),)*
                }
            }

            /// The statistics of rows with these labels.
            pub fn row_statistics_rows(
                &self,
                backend: Backend,
                logits: Rows<'_>,
                out: &mut [RowStatistics],
            ) -> Result<(), Error> {
                match self {
                    $(Labels::$variant(labels) => {
                        backend.row_statistics_rows(logits, labels, out)
                    })*
                }
            }

            /// The same, as a batch.
            pub fn batch_statistics(
                &self,
                backend: Backend,
                logits: Rows<'_>,
            ) -> Result<Vec<RowStatistics>, Error> {
                match self {
                    $(Labels::$variant(labels) => backend.batch_statistics(logits, labels),)*
                }
            }

            /// As `i64`, which stands at its end for larger ones.
            #[must_use]
            pub fn to_i64(&self) -> Vec<i64> {
                match self {
                    $(Labels::$variant(labels) => {
                        labels.iter().map(|&l| i64::try_from(l).unwrap_or(i64::MAX)).collect()
                    })*
                }
            }
        }
    };
}

labels! {
    I64 i64, U8 u8, I8 i8, U16 u16, I16 i16, U32 u32, I32 i32, U64 u64, Usize usize, Isize isize
}

fn label(bytes: &mut Bytes<'_>, classes: usize, wrong: bool) -> u64 {
    let label = bytes.below(classes.max(1)) as u64;
    if !wrong {
        return label;
    }
    let extremes =
        [label, u64::MAX, classes as u64, i64::MAX as u64, i64::MIN as u64, 1 << 32, 1 << 31, 128];
    extremes[usize::from(bytes.byte()) % extremes.len()]
}

/// The error of the first label that is no class and not ignored, and of a number of labels that is not
/// `n_rows`.
#[must_use]
pub fn due_errors(
    labels: &[i64],
    n_rows: usize,
    classes: usize,
    ignored: Option<i64>,
) -> Vec<Error> {
    let mut due = Vec::new();
    if labels.len() != n_rows {
        due.push(Error::LengthMismatch { expected: n_rows, found: labels.len() });
    }
    let is_wrong = |&label: &i64| Some(label) != ignored && !(0..classes as i64).contains(&label);
    let wrong = labels.iter().position(is_wrong);
    if let Some(row) = wrong {
        due.push(Error::LabelOutOfRange { row, label: labels[row], classes });
    }
    due
}
