//! `.npy` files to logits and labels.
//!
//! Every check that needs only the headers comes before the first number is read: a wrong file of
//! many GB is refused at once.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

use npyz::half::f16;
use npyz::{DType, Deserialize, NpyFile, Order, TypeChar};
use xent_std::Rows;

use crate::problem::Problem;
use crate::progress::Progress;

const LOGITS_SHAPE: &str = "logits need shape (rows, classes)";
const LOGITS_SIZE: &str = "logits need at least one row and one class";
const LOGITS_TYPE: &str = "logits need float16, float32 or float64";
const LABELS_SHAPE: &str = "labels need shape (rows,) or (rows, 1)";
const LABELS_TYPE: &str = "labels need an integer type: int8 to int64 or uint8 to uint64";

/// Bytes of a header: type, order and shape take a hundred.
const MOST_HEADER: u32 = 1 << 20;

/// Numbers between two movements of the bar.
const STEP: usize = 1 << 20;

/// A file whose header has been read.
pub(crate) struct Npy {
    name: String,
    file: NpyFile<Box<dyn BufRead>>,
}

/// The logits of all rows, as f32, in the order of the file.
pub(crate) struct Logits {
    pub(crate) description: String,
    values: Vec<f32>,
    n_rows: usize,
    classes: usize,
    order: Order,
}

/// One class a row, each below the number of classes.
pub(crate) struct Labels {
    pub(crate) description: String,
    pub(crate) values: Vec<usize>,
}

impl Npy {
    pub(crate) fn open(path: &Path) -> Result<Self, Problem> {
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Npy::read_header(name, Box::new(BufReader::new(file))),
            Err(error) => Err(Problem::Unreadable { file: name, error }),
        }
    }

    pub(crate) fn built_in(name: &str, bytes: &'static [u8]) -> Result<Self, Problem> {
        Npy::read_header(name.to_owned(), Box::new(bytes))
    }

    fn read_header(name: String, mut reader: Box<dyn BufRead>) -> Result<Self, Problem> {
        const MAGIC: &[u8] = b"\x93NUMPY";
        // Two bytes of version, and from version 2 on four of the length of what follows.
        const START: u64 = 12;
        let mut start = Vec::new();
        if let Err(error) = reader.by_ref().take(START).read_to_end(&mut start) {
            return Err(Problem::Unreadable { file: name, error });
        }
        if !start.starts_with(MAGIC) {
            start.truncate(MAGIC.len());
            return Err(Problem::NotNpy { file: name, start });
        }
        // The length is allocated before the file is found to end.
        if let [_, _, _, _, _, _, version, _, a, b, c, d] = start[..]
            && version >= 2
            && u32::from_le_bytes([a, b, c, d]) > MOST_HEADER
        {
            let length = u32::from_le_bytes([a, b, c, d]);
            let reason = format!("it says to have {length} bytes, of at most {MOST_HEADER}");
            return Err(Problem::BadHeader { file: name, reason });
        }
        match NpyFile::new(Box::new(Cursor::new(start).chain(reader)) as Box<dyn BufRead>) {
            Ok(file) => Ok(Npy { name, file }),
            Err(error) => Err(match error.kind() {
                ErrorKind::UnexpectedEof => Problem::TruncatedHeader { file: name },
                ErrorKind::InvalidData => bad_header(name, &error),
                _ => Problem::Unreadable { file: name, error },
            }),
        }
    }

    /// `(rows, classes)`, both at least 1.
    fn logits_shape(&self) -> Result<(usize, usize), Problem> {
        match *self.file.shape() {
            [0, _] | [_, 0] => Err(self.wrong_shape(LOGITS_SIZE)),
            [rows, classes] => self.checked(rows, classes),
            _ => Err(self.wrong_shape(LOGITS_SHAPE)),
        }
    }

    fn labels_len(&self) -> Result<usize, Problem> {
        match *self.file.shape() {
            [rows] | [rows, 1] => Ok(self.checked(rows, 1)?.0),
            _ => Err(self.wrong_shape(LABELS_SHAPE)),
        }
    }

    /// The two, if as many numbers can be counted in memory.
    fn checked(&self, rows: u64, classes: u64) -> Result<(usize, usize), Problem> {
        match (usize::try_from(rows), usize::try_from(classes)) {
            (Ok(rows), Ok(classes)) if rows.checked_mul(classes).is_some() => Ok((rows, classes)),
            _ => Err(Problem::TooLarge {
                file: self.name.clone(),
                shape: self.file.shape().to_vec(),
            }),
        }
    }

    /// All numbers as f32.
    fn logits(self, n: usize) -> Result<Vec<f32>, Problem> {
        match kind(&self.file.dtype()) {
            Some((TypeChar::Float, 2)) => self.numbers(n, |x: f16, _| Ok(x.to_f32())),
            Some((TypeChar::Float, 4)) => self.numbers(n, |x: f32, _| Ok(x)),
            Some((TypeChar::Float, 8)) => self.numbers(n, |x: f64, _| Ok(x as f32)),
            _ => Err(self.wrong_type(LOGITS_TYPE)),
        }
    }

    /// All labels as indices below `classes`.
    fn labels(self, n: usize, classes: usize) -> Result<Vec<usize>, Problem> {
        match kind(&self.file.dtype()) {
            Some((TypeChar::Int, 1)) => self.labels_as::<i8>(n, classes),
            Some((TypeChar::Int, 2)) => self.labels_as::<i16>(n, classes),
            Some((TypeChar::Int, 4)) => self.labels_as::<i32>(n, classes),
            Some((TypeChar::Int, 8)) => self.labels_as::<i64>(n, classes),
            Some((TypeChar::Uint, 1)) => self.labels_as::<u8>(n, classes),
            Some((TypeChar::Uint, 2)) => self.labels_as::<u16>(n, classes),
            Some((TypeChar::Uint, 4)) => self.labels_as::<u32>(n, classes),
            Some((TypeChar::Uint, 8)) => self.labels_as::<u64>(n, classes),
            _ => Err(self.wrong_type(LABELS_TYPE)),
        }
    }

    /// As [`labels`](Npy::labels), from a file of `T`.
    ///
    /// `CrossEntropy` takes each of these types as it is and makes the same check. Here the file is
    /// named, and the row is that of the file, not that of a slice of it.
    fn labels_as<T: Deserialize + Into<i128>>(
        self,
        n: usize,
        classes: usize,
    ) -> Result<Vec<usize>, Problem> {
        let file = self.name.clone();
        self.numbers(n, |label: T, row| {
            let label = label.into();
            match usize::try_from(label) {
                Ok(index) if index < classes => Ok(index),
                _ => Err(Problem::LabelOutOfRange { file: file.clone(), row, label, classes }),
            }
        })
    }

    /// `n` numbers of type `T`, each through `convert`, which is told its index.
    fn numbers<T: Deserialize, U>(
        self,
        n: usize,
        convert: impl Fn(T, usize) -> Result<U, Problem>,
    ) -> Result<Vec<U>, Problem> {
        let (file, shape) = (self.name, self.file.shape().to_vec());
        let progress = Progress::new("reading   ", n);
        let mut numbers = Vec::new();
        let data = match self.file.data::<T>() {
            Ok(data) => data,
            Err(error) => return Err(bad_header(file, &error)),
        };
        for number in data {
            let found = numbers.len();
            match number {
                Ok(number) => numbers.push(convert(number, found)?),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Err(Problem::Truncated { file, shape, needed: n, found });
                }
                Err(error) => return Err(Problem::Unreadable { file, error }),
            }
            if numbers.len() % STEP == 0 {
                progress.advance(STEP);
            }
        }
        Ok(numbers)
    }

    /// The file, its type, and its order if that is not the usual one.
    fn description(&self) -> String {
        let order = match self.file.order() {
            Order::C => "",
            Order::Fortran => ", Fortran order",
        };
        format!("{}: {}{order}", self.name, type_name(&self.file.dtype()))
    }

    fn wrong_shape(&self, needed: &'static str) -> Problem {
        Problem::WrongShape { file: self.name.clone(), shape: self.file.shape().to_vec(), needed }
    }

    fn wrong_type(&self, needed: &'static str) -> Problem {
        let found = type_name(&self.file.dtype());
        Problem::WrongType { file: self.name.clone(), found, needed }
    }
}

impl Logits {
    /// A view that knows the order: row `r` and class `c` are `r * row_stride + c * class_stride`
    /// numbers from the start, and nothing is copied.
    pub(crate) fn rows(&self) -> Result<Rows<'_>, Problem> {
        let (row_stride, class_stride) = match self.order {
            Order::C => (self.classes, 1),
            Order::Fortran => (1, self.n_rows),
        };
        Ok(Rows::strided(&self.values, self.n_rows, self.classes, row_stride, class_stride)?)
    }
}

/// The numbers of both files, if the files fit each other.
pub(crate) fn read_pair(logits: Npy, labels: Npy) -> Result<(Logits, Labels), Problem> {
    let (n_rows, classes) = logits.logits_shape()?;
    let n_labels = labels.labels_len()?;
    if kind(&logits.file.dtype()).is_none_or(|(kind, _)| kind != TypeChar::Float) {
        return Err(logits.wrong_type(LOGITS_TYPE));
    }
    if n_labels != n_rows {
        return Err(Problem::LengthMismatch {
            labels_file: labels.name,
            labels: n_labels,
            logits_file: logits.name,
            rows: n_rows,
        });
    }
    let labels =
        Labels { description: labels.description(), values: labels.labels(n_labels, classes)? };
    let logits = Logits {
        description: logits.description(),
        n_rows,
        classes,
        order: logits.file.order(),
        values: logits.logits(n_rows * classes)?,
    };
    Ok((logits, labels))
}

/// What npyz found, in one line: where Python's syntax is wrong it draws a picture below.
fn bad_header(file: String, error: &dyn Error) -> Problem {
    let reason = error.to_string();
    let reason = match reason.split_once(": ") {
        Some((first, rest)) if rest.contains('\n') => first.to_owned(),
        _ => reason,
    };
    Problem::BadHeader { file, reason }
}

/// The letter and the size in bytes of a type that is a plain number or string.
fn kind(dtype: &DType) -> Option<(TypeChar, u64)> {
    match dtype {
        DType::Plain(plain) => Some((plain.type_char(), plain.size_field())),
        _ => None,
    }
}

/// NumPy's name of a type, as in `array.dtype`.
fn type_name(dtype: &DType) -> String {
    let Some((type_char, bytes)) = kind(dtype) else {
        return format!("records of {}", dtype.descr());
    };
    let bits = bytes * 8;
    match type_char {
        TypeChar::Bool => "bool".to_owned(),
        TypeChar::Int => format!("int{bits}"),
        TypeChar::Uint => format!("uint{bits}"),
        TypeChar::Float => format!("float{bits}"),
        TypeChar::Complex => format!("complex{bits}"),
        TypeChar::Object => "Python objects".to_owned(),
        TypeChar::ByteStr | TypeChar::UnicodeStr => "strings".to_owned(),
        _ => format!("type {}", dtype.descr()),
    }
}
