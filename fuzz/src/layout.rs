//! Rows in every layout over the same elements.

use xent_core::{Error, Rows};

use crate::bytes::Bytes;

/// How rows lie in memory.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Contiguous,
    Strided { row_stride: usize, class_stride: usize },
    ChannelsFirst { outer: usize, inner: usize },
}

/// Elements, embedded in memory that is NaN elsewhere: a read of another element shows.
#[derive(Debug)]
pub struct Layout {
    kind: Kind,
    n_rows: usize,
    classes: usize,
    data: Vec<f32>,
}

impl Layout {
    /// Puts `n_rows` by `classes` elements into a layout of the bytes' choice.
    pub fn new(bytes: &mut Bytes<'_>, elements: &[f32], n_rows: usize, classes: usize) -> Self {
        let kind = match bytes.byte() % 4 {
            0 => Kind::Contiguous,
            // Row after row with something between, or class after class.
            1 => {
                let row_stride = classes + bytes.below(4);
                Kind::Strided { row_stride, class_stride: 1 }
            }
            2 => {
                let class_stride = (n_rows + bytes.below(4)).max(1);
                Kind::Strided { row_stride: 1, class_stride }
            }
            _ => {
                let inner = 1 + bytes.below(4);
                let inner = if n_rows.is_multiple_of(inner) { inner } else { n_rows };
                Kind::ChannelsFirst { outer: n_rows.checked_div(inner).unwrap_or(0), inner }
            }
        };
        let mut layout = Layout { kind, n_rows, classes, data: Vec::new() };
        let len = match kind {
            Kind::Strided { .. } if !elements.is_empty() => {
                layout.index(n_rows - 1, classes - 1) + 1
            }
            _ => elements.len(),
        };
        layout.data = vec![f32::NAN; len];
        for row in 0..n_rows {
            for class in 0..classes {
                let i = layout.index(row, class);
                layout.data[i] = elements[row * classes + class];
            }
        }
        layout
    }

    fn index(&self, row: usize, class: usize) -> usize {
        match self.kind {
            Kind::Contiguous => row * self.classes + class,
            Kind::Strided { row_stride, class_stride } => row * row_stride + class * class_stride,
            Kind::ChannelsFirst { inner, .. } => {
                (row / inner * self.classes + class) * inner + row % inner
            }
        }
    }

    /// The rows. Fails unless they have the shape and the elements.
    #[must_use]
    pub fn rows(&self) -> Rows<'_> {
        let rows = self.over(&self.data).expect("the length fits");
        assert_eq!((rows.n_rows(), rows.classes()), (self.n_rows, self.classes));
        assert_eq!(rows.get(self.n_rows, 0), None);
        assert_eq!(rows.get(0, self.classes), None);
        rows
    }

    fn over<'a>(&self, data: &'a [f32]) -> Result<Rows<'a>, Error> {
        match self.kind {
            Kind::Contiguous => Rows::new(data, self.n_rows, self.classes),
            Kind::Strided { row_stride, class_stride } => {
                Rows::strided(data, self.n_rows, self.classes, row_stride, class_stride)
            }
            Kind::ChannelsFirst { outer, inner } => {
                Rows::channels_first(data, outer, self.classes, inner)
            }
        }
    }

    /// Fails unless memory that is one element short is an error.
    pub fn assert_checked(&self) {
        let Some((_, shorter)) = self.data.split_last() else { return };
        let error = self.over(shorter).err();
        let due = Error::LengthMismatch { expected: self.data.len(), found: shorter.len() };
        assert_eq!(error, Some(due), "{self:?}");
    }
}

/// Fails unless shapes and strides of any size are errors exactly where their last element is beyond
/// the slice, computed in u128.
pub fn check_extreme_shapes(bytes: &mut Bytes<'_>) {
    const SIZES: [usize; 12] = [
        0,
        1,
        2,
        3,
        7,
        1 << 16,
        1 << 32,
        1 << 63,
        (1 << 63) + 1,
        isize::MAX as usize,
        usize::MAX - 1,
        usize::MAX,
    ];
    let data = [0.5; 9];
    let [n_rows, classes, a, b] = [(); 4].map(|()| SIZES[usize::from(bytes.byte()) % SIZES.len()]);
    let wide = [n_rows, classes, a, b].map(|n| n as u128);
    let saturated = |n: u128| usize::try_from(n).unwrap_or(usize::MAX);

    let expected = saturated(wide[0] * wide[1]);
    let new = Rows::new(&data, n_rows, classes);
    assert_eq!(new.is_ok(), expected == data.len(), "{new:?}");
    if let Err(error) = new {
        assert_eq!(error, Error::LengthMismatch { expected, found: data.len() });
    }

    let expected = if n_rows == 0 || classes == 0 {
        0
    } else {
        let last_row = wide[2].saturating_mul(wide[0] - 1);
        let last_class = wide[3].saturating_mul(wide[1] - 1);
        saturated(last_row.saturating_add(last_class).saturating_add(1))
    };
    let strided = Rows::strided(&data, n_rows, classes, a, b);
    assert_eq!(strided.is_ok(), expected <= data.len(), "{strided:?}");
    if let Ok(rows) = strided
        && n_rows > 0
        && classes > 0
    {
        assert_eq!(rows.get(n_rows - 1, classes - 1), Some(0.5), "{rows:?}");
    }

    let channels = Rows::channels_first(&data, n_rows, classes, a);
    let expected = (wide[0] * wide[1]).checked_mul(wide[2]).map_or(usize::MAX, saturated);
    assert_eq!(channels.is_ok(), expected == data.len(), "{channels:?}");
}

/// The error that is due where a shape of rows and classes should be another.
pub(crate) fn shape_error(expected: [usize; 2], found: [usize; 2]) -> Option<Error> {
    let [n_expected, n_found] = [expected, found].map(|[n_rows, classes]| n_rows * classes);
    if expected == found {
        None
    } else if n_expected == n_found {
        Some(Error::LengthMismatch { expected: expected[0], found: found[0] })
    } else {
        Some(Error::LengthMismatch { expected: n_expected, found: n_found })
    }
}
