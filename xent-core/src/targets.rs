//! What a row should be: a class, or a distribution over the classes.

use core::ops::Range;

use crate::loss::check_length;
use crate::{Error, Rows};

mod sealed {
    pub trait Sealed {}
}

/// An integer that can be a class index: `i8` to `i64`, `u8` to `u64`, `isize`, `usize`.
///
/// Negative labels are errors, they never count from the end.
pub trait Label: Copy + sealed::Sealed {
    /// The label; `i64::MAX` for all above it.
    #[doc(hidden)]
    fn to_i64(self) -> i64;

    #[doc(hidden)]
    fn erase(labels: &[Self]) -> Labels<'_>
    where
        Self: Sized;
}

/// The target of one row. Made by `into()` from an integer or a slice.
///
/// ```
/// use xent_core::{CrossEntropy, Target};
///
/// let logits = [2.0, 1.0, 0.0];
/// assert_eq!(Target::from(2_u8), Target::Label(2));
/// assert_eq!(CrossEntropy::new().row(&logits, 0)?, 0.40760595);
/// assert_eq!(CrossEntropy::new().row(&logits, &[0.5, 0.5, 0.0])?, 0.9076059);
/// # Ok::<(), xent_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target<'a> {
    /// The index of the right class, from 0.
    Label(i64),
    /// A weight for each class, taken as given: it need not sum to 1.
    Distribution(&'a [f32]),
}

impl<'a> From<&'a [f32]> for Target<'a> {
    fn from(target: &'a [f32]) -> Self {
        Target::Distribution(target)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for Target<'a> {
    fn from(target: &'a [f32; N]) -> Self {
        Target::Distribution(target)
    }
}

/// The targets of many rows. Made by `into()` from a slice or array of integers or from [`Rows`].
///
/// ```
/// use xent_core::{CrossEntropy, Rows, Targets};
///
/// let logits = Rows::new(&[2.0, 1.0, 0.0, 0.0, 3.0, 0.0], 2, 3)?;
/// let labels: Vec<u16> = vec![0, 1];
/// let total = CrossEntropy::new().total(logits, Targets::labels(&labels))?;
/// assert_eq!(total.count(), 2);
/// # Ok::<(), xent_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Targets<'a> {
    pub(crate) kind: Kind<'a>,
    sample_weights: Option<&'a [f32]>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind<'a> {
    Labels(Labels<'a>),
    Distributions(Rows<'a>),
}

impl<'a> Targets<'a> {
    /// One class index a row.
    ///
    /// ```
    /// let labels: Vec<i64> = vec![3, 1];
    /// let targets = xent_core::Targets::labels(&labels);
    /// ```
    #[must_use]
    pub fn labels<L: Label>(labels: &'a [L]) -> Self {
        Targets { kind: Kind::Labels(L::erase(labels)), sample_weights: None }
    }

    /// One distribution a row, of the shape of the logits or probabilities.
    ///
    /// ```
    /// use xent_core::{Rows, Targets};
    /// let targets = Targets::distributions(Rows::new(&[0.5, 0.5, 1.0, 0.0], 2, 2)?);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub const fn distributions(rows: Rows<'a>) -> Self {
        Targets { kind: Kind::Distributions(rows), sample_weights: None }
    }

    /// The same, each row with a weight that multiplies its loss and its weight in a mean.
    ///
    /// `weights`: one a row, finite and not negative; a row of weight 0 costs 0, whatever its logits
    /// hold. Errors are those of the call that uses them: [`Error::LengthMismatch`],
    /// [`Error::InvalidOption`].
    ///
    /// ```
    /// use xent_core::{CrossEntropy, Rows, Targets};
    /// let logits = Rows::new(&[2.0, 1.0, 0.0, 0.0, 3.0, 0.0], 2, 3)?;
    /// let targets = Targets::labels(&[0, 1]).with_sample_weights(&[1.0, 3.0]);
    /// let total = CrossEntropy::new().total(logits, targets)?;
    /// assert_eq!((total.weight(), total.mean() as f32), (4.0, 0.1730937));
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub const fn with_sample_weights(self, weights: &'a [f32]) -> Self {
        Targets { sample_weights: Some(weights), ..self }
    }

    /// The weight of a row; 1 where none are given.
    #[inline]
    pub(crate) fn sample_weight(&self, row: usize) -> f32 {
        sample_weight(self.sample_weights, row)
    }

    /// The same without sample weights.
    pub(crate) const fn unweighted(self) -> Self {
        Targets { sample_weights: None, ..self }
    }

    /// Whether the rows have sample weights.
    ///
    /// ```
    /// use xent_core::Targets;
    /// let targets = Targets::labels(&[0, 1]);
    /// assert!(!targets.are_weighted() && targets.with_sample_weights(&[1.0; 2]).are_weighted());
    /// ```
    #[must_use]
    pub const fn are_weighted(&self) -> bool {
        self.sample_weights.is_some()
    }

    /// The labels, where no row has a weight.
    #[inline]
    pub(crate) const fn unweighted_labels(&self) -> Option<&Labels<'a>> {
        match &self.kind {
            Kind::Labels(labels) if self.sample_weights.is_none() => Some(labels),
            _ => None,
        }
    }

    /// Those of some of the rows; a range that reaches beyond the last row ends there.
    ///
    /// ```
    /// use xent_core::{CrossEntropy, Rows, Targets};
    /// let logits = Rows::new(&[2.0, 1.0, 0.0, 0.0, 3.0, 0.0], 2, 3)?;
    /// let labels = Targets::labels(&[0, 1]);
    /// let loss = CrossEntropy::new();
    /// let (first, last) = (0..1, 1..2);
    /// let first = loss.total(logits.range(first.clone()), labels.range(first))?;
    /// let last = loss.total(logits.range(last.clone()), labels.range(last))?;
    /// assert_eq!(first.merge(last), loss.total(logits, labels)?);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub fn range(&self, range: Range<usize>) -> Self {
        Targets {
            sample_weights: weights_of_range(self.sample_weights, &range),
            kind: match &self.kind {
                Kind::Labels(labels) => Kind::Labels(labels.range(range)),
                Kind::Distributions(rows) => Kind::Distributions(rows.range(range)),
            },
        }
    }

    /// The label of a row; `None` outside, and where the targets are distributions.
    ///
    /// ```
    /// use xent_core::Targets;
    /// let targets = Targets::labels(&[3_u8, 1]);
    /// assert_eq!((targets.label(1), targets.label(2)), (Some(1), None));
    /// ```
    #[must_use]
    pub fn label(&self, row: usize) -> Option<i64> {
        match &self.kind {
            Kind::Labels(labels) if row < labels.len() => Some(labels.get(row)),
            _ => None,
        }
    }

    /// Calls `of` with those of some of the `n_rows` rows at a time, distributions as in [`Rows::for_tiles`].
    pub(crate) fn for_tiles(&self, n_rows: usize, mut of: impl FnMut(Range<usize>, &Targets<'_>)) {
        match &self.kind {
            Kind::Labels(_) => of(0..n_rows, self),
            Kind::Distributions(y) => y.for_tiles(|rows, y| {
                let sample_weights = weights_of_range(self.sample_weights, &rows);
                of(rows, &Targets { kind: Kind::Distributions(*y), sample_weights });
            }),
        }
    }

    /// As [`for_tiles`](Targets::for_tiles), with the rows of `x` that they belong to.
    pub(crate) fn for_tiles_of(
        &self,
        x: &Rows<'_>,
        mut of: impl FnMut(Range<usize>, &Rows<'_>, &Targets<'_>),
    ) {
        x.for_tiles(|rows, x| {
            self.range(rows.clone()).for_tiles(x.n_rows(), |part, targets| {
                of(rows.start + part.start..rows.start + part.end, &x.range(part), targets);
            });
        });
    }

    /// Whether they fit `rows` for a loss: as many, labels in range, distributions of as many classes.
    ///
    /// Every loss checks this before it computes or writes anything; one that ignores a label takes
    /// that too.
    /// Errors: [`Error::EmptyClasses`] for rows without classes, [`Error::LengthMismatch`],
    /// [`Error::LabelOutOfRange`], [`Error::InvalidOption`] for a sample weight.
    ///
    /// ```
    /// use xent_core::{Error, Rows, Targets};
    /// let rows = Rows::new(&[0.0; 6], 2, 3)?;
    /// let error = Error::LabelOutOfRange { row: 1, label: 3, classes: 3 };
    /// assert_eq!(Targets::labels(&[0, 3]).check(&rows), Err(error));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn check(&self, rows: &Rows<'_>) -> Result<(), Error> {
        self.check_but(rows, None)
    }

    /// As [`check`](Targets::check), but a label may be `ignored`.
    pub(crate) fn check_but(&self, rows: &Rows<'_>, ignored: Option<i64>) -> Result<(), Error> {
        let (n_rows, classes) = (rows.n_rows(), rows.classes());
        if n_rows > 0 && classes == 0 {
            return Err(Error::EmptyClasses { n_rows });
        }
        match &self.kind {
            Kind::Labels(labels) => {
                check_length(n_rows, labels.len())?;
                for row in 0..n_rows {
                    let label = labels.get(row);
                    if ignored != Some(label) {
                        check_label(label, row, classes)?;
                    }
                }
            }
            Kind::Distributions(targets) => rows.check_shape_of(targets)?,
        }
        check_sample_weights(self.sample_weights, n_rows)
    }

    /// Whether there are targets for `n_rows` rows.
    pub(crate) fn check_n_rows(&self, n_rows: usize) -> Result<(), Error> {
        let found = match &self.kind {
            Kind::Labels(labels) => labels.len(),
            Kind::Distributions(targets) => targets.n_rows(),
        };
        check_length(n_rows, found)?;
        check_sample_weights(self.sample_weights, n_rows)
    }
}

fn sample_weight(weights: Option<&[f32]>, row: usize) -> f32 {
    weights.map_or(1.0, |weights| weights.get(row).copied().unwrap_or(0.0))
}

fn weights_of_range<'a>(weights: Option<&'a [f32]>, range: &Range<usize>) -> Option<&'a [f32]> {
    let weights = weights?;
    let end = range.end.min(weights.len());
    Some(weights.get(range.start.min(end)..end).unwrap_or(&[]))
}

fn check_sample_weights(weights: Option<&[f32]>, n_rows: usize) -> Result<(), Error> {
    let Some(weights) = weights else { return Ok(()) };
    check_length(n_rows, weights.len())?;
    for &value in weights {
        if !(0.0..f32::INFINITY).contains(&value) {
            return Err(Error::InvalidOption { name: "sample_weights", value });
        }
    }
    Ok(())
}

/// The targets of many rows of yes-or-no elements. Made by `into()` from [`Rows`].
///
/// ```
/// use xent_core::{BinaryCrossEntropy, BinaryTargets, Rows};
///
/// let logits = Rows::new(&[3.0, -1.0], 2, 1)?;
/// let targets = BinaryTargets::new(Rows::new(&[1.0, 0.0], 2, 1)?);
/// let total = BinaryCrossEntropy::new().total(logits, targets.with_sample_weights(&[1.0, 0.0]))?;
/// assert_eq!((total.mean() as f32, total.count()), (0.04858735, 2));
/// # Ok::<(), xent_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BinaryTargets<'a> {
    pub(crate) rows: Rows<'a>,
    sample_weights: Option<&'a [f32]>,
}

impl<'a> BinaryTargets<'a> {
    /// A target in [0, 1] for each element, in the shape of the logits or probabilities.
    ///
    /// ```
    /// use xent_core::{BinaryTargets, Rows};
    /// let targets = BinaryTargets::new(Rows::new(&[1.0, 0.0], 1, 2)?);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub const fn new(rows: Rows<'a>) -> Self {
        BinaryTargets { rows, sample_weights: None }
    }

    /// The same, each row with a weight that multiplies the losses of its elements and their weights
    /// in a mean.
    ///
    /// `weights`: one a row, finite and not negative; elements of weight 0 cost 0, whatever they hold.
    /// Errors are those of the call that uses them: [`Error::LengthMismatch`],
    /// [`Error::InvalidOption`].
    ///
    /// ```
    /// use xent_core::{BinaryTargets, Rows};
    /// let targets = BinaryTargets::new(Rows::new(&[1.0, 0.0], 2, 1)?);
    /// let targets = targets.with_sample_weights(&[0.5, 1.0]);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub const fn with_sample_weights(self, weights: &'a [f32]) -> Self {
        BinaryTargets { sample_weights: Some(weights), ..self }
    }

    /// Those of some of the rows; a range that reaches beyond the last row ends there.
    ///
    /// ```
    /// use xent_core::{BinaryTargets, Rows};
    /// let targets = BinaryTargets::new(Rows::new(&[1.0, 0.0], 2, 1)?).range(1..2);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub fn range(&self, range: Range<usize>) -> Self {
        BinaryTargets {
            sample_weights: weights_of_range(self.sample_weights, &range),
            rows: self.rows.range(range),
        }
    }

    /// Calls `of` with some rows of `x` at a time, as in [`Rows::for_tiles`], and their targets.
    pub(crate) fn for_tiles_of(
        &self,
        x: &Rows<'_>,
        mut of: impl FnMut(Range<usize>, &Rows<'_>, &BinaryTargets<'_>),
    ) {
        x.for_tile_pairs(&self.rows, |rows, x, y| {
            let sample_weights = weights_of_range(self.sample_weights, &rows);
            of(rows, x, &BinaryTargets { rows: *y, sample_weights });
        });
    }

    /// Whether they fit `rows` for a loss. Every loss checks this before it computes anything.
    ///
    /// Errors: [`Error::EmptyClasses`] for rows without classes, [`Error::LengthMismatch`],
    /// [`Error::InvalidOption`] for a sample weight.
    ///
    /// ```
    /// use xent_core::{BinaryTargets, Error, Rows};
    /// let targets = BinaryTargets::new(Rows::new(&[1.0, 0.0], 1, 2)?);
    /// let error = Error::LengthMismatch { expected: 3, found: 2 };
    /// assert_eq!(targets.check(&Rows::new(&[0.0; 3], 1, 3)?), Err(error));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn check(&self, rows: &Rows<'_>) -> Result<(), Error> {
        if rows.n_rows() > 0 && rows.classes() == 0 {
            return Err(Error::EmptyClasses { n_rows: rows.n_rows() });
        }
        rows.check_shape_of(&self.rows)?;
        check_sample_weights(self.sample_weights, rows.n_rows())
    }

    /// The weight of the elements of a row; 1 where none are given.
    #[inline]
    pub(crate) fn sample_weight(&self, row: usize) -> f32 {
        sample_weight(self.sample_weights, row)
    }

    #[inline]
    pub(crate) const fn are_weighted(&self) -> bool {
        self.sample_weights.is_some()
    }
}

impl<'a> From<Rows<'a>> for BinaryTargets<'a> {
    fn from(rows: Rows<'a>) -> Self {
        BinaryTargets::new(rows)
    }
}

/// The label as an index, if there is such a class.
pub(crate) fn check_label(label: i64, row: usize, classes: usize) -> Result<usize, Error> {
    match usize::try_from(label) {
        Ok(index) if index < classes => Ok(index),
        _ => Err(Error::LabelOutOfRange { row, label, classes }),
    }
}

impl<'a> From<Rows<'a>> for Targets<'a> {
    fn from(rows: Rows<'a>) -> Self {
        Targets::distributions(rows)
    }
}

macro_rules! labels {
    ($($variant:ident $int:ty,)*) => {
        /// Labels of any integer type, so that the loops over them are compiled once.
        #[doc(hidden)]
        #[derive(Clone, Copy, Debug)]
        #[allow(missing_docs, reason = "hidden; the variants are the types")]
        pub enum Labels<'a> {
            $($variant(&'a [$int]),)*
        }

        impl Labels<'_> {
            pub(crate) fn len(&self) -> usize {
                match self {
                    $(Labels::$variant(labels) => labels.len(),)*
                }
            }

            fn range(&self, range: Range<usize>) -> Self {
                match *self {
                    $(Labels::$variant(labels) => {
                        let end = range.end.min(labels.len());
                        Labels::$variant(labels.get(range.start.min(end)..end).unwrap_or(&[]))
                    })*
                }
            }

            /// -1, which is no label, outside.
            #[inline]
            pub(crate) fn get(&self, row: usize) -> i64 {
                match self {
                    $(Labels::$variant(labels) => labels.get(row).map_or(-1, |l| l.to_i64()),)*
                }
            }
        }

        $(
            impl sealed::Sealed for $int {}

            impl Label for $int {
                #[inline]
                fn to_i64(self) -> i64 {
                    i64::try_from(self).unwrap_or(i64::MAX)
                }
                fn erase(labels: &[Self]) -> Labels<'_> {
                    Labels::$variant(labels)
                }
            }

            impl From<$int> for Target<'_> {
                fn from(label: $int) -> Self {
                    Target::Label(label.to_i64())
                }
            }

            impl<'a> From<&'a [$int]> for Targets<'a> {
                fn from(labels: &'a [$int]) -> Self {
                    Targets::labels(labels)
                }
            }

            impl<'a, const N: usize> From<&'a [$int; N]> for Targets<'a> {
                fn from(labels: &'a [$int; N]) -> Self {
                    Targets::labels(labels)
                }
            }
        )*
    };
}

labels! {
    I8 i8, I16 i16, I32 i32, I64 i64, Isize isize,
    U8 u8, U16 u16, U32 u32, U64 u64, Usize usize,
}
