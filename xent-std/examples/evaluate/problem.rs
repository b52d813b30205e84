//! What can be wrong with the files, in words for the person who made them: the file, what was found
//! in it, and what was needed.

use std::fmt;
use std::io;

pub(crate) enum Problem {
    /// The file is missing, a directory, not ours to read, or on a failing disk.
    Unreadable {
        file: String,
        error: io::Error,
    },
    /// The file begins as no `.npy` file does.
    NotNpy {
        file: String,
        start: Vec<u8>,
    },
    /// The magic bytes are there; what follows them makes no sense.
    BadHeader {
        file: String,
        reason: String,
    },
    /// The file ends before its header does.
    TruncatedHeader {
        file: String,
    },
    /// The file ends before its numbers do.
    Truncated {
        file: String,
        shape: Vec<u64>,
        needed: usize,
        found: usize,
    },
    WrongShape {
        file: String,
        shape: Vec<u64>,
        needed: &'static str,
    },
    TooLarge {
        file: String,
        shape: Vec<u64>,
    },
    WrongType {
        file: String,
        found: String,
        needed: &'static str,
    },
    /// There are more or fewer labels than rows.
    LengthMismatch {
        labels_file: String,
        labels: usize,
        logits_file: String,
        rows: usize,
    },
    LabelOutOfRange {
        file: String,
        row: usize,
        label: i128,
        classes: usize,
    },
    /// What xent found wrong. The checks above leave nothing for it here; in a program without them
    /// this is the one that speaks.
    Loss(xent_std::Error),
    /// The report could not be written.
    Output(io::Error),
}

impl From<xent_std::Error> for Problem {
    fn from(error: xent_std::Error) -> Self {
        Problem::Loss(error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Unreadable { file, error } => {
                write!(f, "{file}: cannot be read: {error}; an .npy file is needed")
            }
            Problem::NotNpy { file, start } if start.is_empty() => {
                write!(f, "{file}: is empty; an .npy file as numpy.save writes it is needed")
            }
            Problem::NotNpy { file, start } => {
                let start = start.escape_ascii();
                write!(
                    f,
                    "{file}: begins with \"{start}\", but an .npy file as numpy.save writes it begins \
                     with \"\\x93NUMPY\""
                )
            }
            Problem::BadHeader { file, reason } => {
                write!(
                    f,
                    "{file}: has a header that cannot be understood ({reason}), but an .npy file needs \
                     one with type, order and shape"
                )
            }
            Problem::TruncatedHeader { file } => {
                write!(f, "{file}: ends inside its header; a complete .npy file is needed")
            }
            Problem::Truncated { file, shape, needed, found } => {
                let shape = Shape(shape);
                write!(
                    f,
                    "{file}: ends after {found} numbers, but its shape {shape} needs {needed}"
                )
            }
            Problem::WrongShape { file, shape, needed } => {
                write!(f, "{file}: has shape {}, but {needed}", Shape(shape))
            }
            Problem::TooLarge { file, shape } => {
                let shape = Shape(shape);
                write!(f, "{file}: has shape {shape}, but all of it must fit in memory")
            }
            Problem::WrongType { file, found, needed } => {
                write!(f, "{file}: holds {found}, but {needed}")
            }
            Problem::LengthMismatch { labels_file, labels, logits_file, rows } => {
                write!(
                    f,
                    "{labels_file}: has {labels} labels, but the {rows} rows of {logits_file} need \
                     {rows}"
                )
            }
            Problem::LabelOutOfRange { file, row, label, classes } => {
                let last = classes.saturating_sub(1);
                write!(
                    f,
                    "{file}: label {label} in row {row} is not one of the {classes} classes (0 to \
                     {last})"
                )
            }
            Problem::Loss(error) => write!(f, "{error}"),
            Problem::Output(error) => write!(f, "the report cannot be written: {error}"),
        }
    }
}

/// As Python writes it: `(1797, 10)`, `(1797,)`, `()`.
struct Shape<'a>(&'a [u64]);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [only] => write!(f, "({only},)"),
            all => {
                let sizes: Vec<String> = all.iter().map(u64::to_string).collect();
                write!(f, "({})", sizes.join(", "))
            }
        }
    }
}
