//! What can be wrong with a call.

use core::fmt;

/// A caller's mistake, with its numbers. Nothing has been written to an output.
///
/// Data never is one: NaN and infinities have defined results.
///
/// ```
/// use xent_core::{CrossEntropy, Error};
///
/// let loss = CrossEntropy::new().row(&[1.0, 2.0, 3.0], -1);
/// assert_eq!(loss, Err(Error::LabelOutOfRange { row: 0, label: -1, classes: 3 }));
/// assert_eq!(loss.unwrap_err().to_string(), "label -1 in row 0 is not one of 3 classes (0 to 2)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A slice has another length than its shape or its partner asks for; of two shapes with as many
    /// elements, another number of rows.
    LengthMismatch {
        /// Elements that are needed; `usize::MAX` where the count does not fit.
        expected: usize,
        /// Elements that are there.
        found: usize,
    },
    /// A label is negative or not below the number of classes.
    LabelOutOfRange {
        /// The first row with such a label.
        row: usize,
        /// The label; `i64::MAX` stands for all above it.
        label: i64,
        /// The number of classes.
        classes: usize,
    },
    /// A loss over rows of no classes.
    EmptyClasses {
        /// The number of rows.
        n_rows: usize,
    },
    /// A clip range that does not satisfy `0 <= lo <= hi <= 1`.
    InvalidClip {
        /// The lower bound.
        lo: f32,
        /// The upper bound.
        hi: f32,
    },
    /// An option's value is outside its range.
    InvalidOption {
        /// The option.
        name: &'static str,
        /// Its value.
        value: f32,
    },
    /// A backend that this CPU or this build does not have.
    UnavailableBackend {
        /// The backend, or `None` for a name that no backend has.
        name: Option<&'static str>,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::LengthMismatch { expected, found } => {
                write!(f, "found {found} elements where {expected} were expected")
            }
            Error::LabelOutOfRange { row, label, classes } => {
                let last = classes.saturating_sub(1);
                write!(
                    f,
                    "label {label} in row {row} is not one of {classes} classes (0 to {last})"
                )
            }
            Error::EmptyClasses { n_rows } => {
                write!(f, "{n_rows} rows have no classes, and a loss needs at least one")
            }
            Error::InvalidClip { lo, hi } => {
                write!(f, "clip range [{lo}, {hi}] does not satisfy 0 <= lo <= hi <= 1")
            }
            Error::InvalidOption { name, value } => {
                write!(f, "{value} is no valid value of {name}")
            }
            Error::UnavailableBackend { name: Some(name) } => {
                write!(f, "this CPU or this build does not have the backend {name}")
            }
            Error::UnavailableBackend { name: None } => f.write_str("no backend has this name"),
        }
    }
}

impl core::error::Error for Error {}
