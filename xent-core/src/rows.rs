//! Many rows of classes in one slice.

use core::ops::Range;

use crate::kernel::rows_in_lanes::Layout;
use crate::kernel::tree::BLOCK;
use crate::{Backend, Error};

/// Elements of rows whose classes are apart that are copied to lie side by side: 16 KiB.
const COPY: usize = 4096;

/// `n_rows` rows of `classes` elements over a slice, in any regular layout.
///
/// Row `r` and class `c` are at `(r / inner) * outer_stride + (r % inner) * inner_stride +
/// c * class_stride`. Rows one after another have `inner = 1` and `class_stride = 1`; the pixels of
/// images `N, C, H, W` have `inner = H * W`, `inner_stride = 1` and `class_stride = H * W`.
///
/// Many rows whose classes are apart are taken together, so that memory is read in its order. Log-sum-exps and
/// cross-entropies of labels are computed where the rows are, a vector of rows at a time, and so are those of
/// distributions of up to 1,024 classes. Elsewhere rows of up to 2,048 classes are copied together, up to 16 KiB
/// of logits and 16 KiB of targets (48 KiB of stack in all), and longer ones one by one. Without SIMD rows are
/// read where they are. The results have the same bits.
///
/// ```
/// use xent_core::{CrossEntropy, Rows};
///
/// let logits = [2.0, 1.0, 0.0, 0.0, 3.0, 0.0];
/// let mut losses = [0.0; 2];
/// CrossEntropy::new().rows(Rows::new(&logits, 2, 3)?, &[0, 1], &mut losses)?;
/// assert_eq!(losses, [0.40760595, 0.09492295]);
/// # Ok::<(), xent_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    data: &'a [f32],
    first_row: usize,
    n_rows: usize,
    classes: usize,
    inner: usize,
    outer_stride: usize,
    inner_stride: usize,
    class_stride: usize,
}

impl<'a> Rows<'a> {
    /// Rows one after another.
    ///
    /// `data`: `n_rows * classes` elements, row-major.
    /// Errors: [`Error::LengthMismatch`] if it has another length.
    ///
    /// ```
    /// use xent_core::{Error, Rows};
    /// assert_eq!(Rows::new(&[1.0; 6], 2, 3)?.get(1, 2), Some(1.0));
    /// assert_eq!(
    ///     Rows::new(&[1.0; 5], 2, 3).unwrap_err(),
    ///     Error::LengthMismatch { expected: 6, found: 5 },
    /// );
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(data: &'a [f32], n_rows: usize, classes: usize) -> Result<Self, Error> {
        let expected = n_rows.saturating_mul(classes);
        if data.len() != expected {
            return Err(Error::LengthMismatch { expected, found: data.len() });
        }
        Rows::strided(data, n_rows, classes, classes, 1)
    }

    /// Rows `row_stride` elements apart, their classes `class_stride` apart. Rows may overlap.
    ///
    /// Errors: [`Error::LengthMismatch`] if `data` does not reach to the last class of the last row.
    ///
    /// ```
    /// use xent_core::Rows;
    /// // The columns of a 2 x 3 matrix.
    /// let columns = Rows::strided(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 3, 2, 1, 3)?;
    /// assert_eq!(columns.get(2, 1), Some(5.0));
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn strided(
        data: &'a [f32],
        n_rows: usize,
        classes: usize,
        row_stride: usize,
        class_stride: usize,
    ) -> Result<Self, Error> {
        let rows = Rows {
            data,
            first_row: 0,
            n_rows,
            classes,
            inner: 1,
            outer_stride: row_stride,
            inner_stride: 0,
            class_stride,
        };
        rows.checked()
    }

    /// The positions of `outer` images with `classes` channels of `inner` positions each: PyTorch's
    /// `N, C, d1, d2, ...`. Row `r` is position `r % inner` of image `r / inner`.
    ///
    /// `data`: `outer * classes * inner` elements.
    /// Errors: [`Error::LengthMismatch`] if it has another length.
    ///
    /// ```
    /// use xent_core::Rows;
    /// // One image, two channels of 1 x 3.
    /// let pixels = Rows::channels_first(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 1, 2, 3)?;
    /// assert_eq!((pixels.n_rows(), pixels.get(0, 1)), (3, Some(3.0)));
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    pub fn channels_first(
        data: &'a [f32],
        outer: usize,
        classes: usize,
        inner: usize,
    ) -> Result<Self, Error> {
        let expected = outer.saturating_mul(classes).saturating_mul(inner);
        if data.len() != expected {
            return Err(Error::LengthMismatch { expected, found: data.len() });
        }
        Ok(Rows {
            data,
            first_row: 0,
            n_rows: outer.saturating_mul(inner),
            classes,
            inner: inner.max(1),
            outer_stride: classes.saturating_mul(inner),
            inner_stride: 1,
            class_stride: inner,
        })
    }

    /// `self`, if its last element is inside `data`.
    fn checked(self) -> Result<Self, Error> {
        if self.n_rows == 0 || self.classes == 0 {
            // No element is ever asked for, so that the strides need not fit.
            return Ok(Rows { outer_stride: 0, class_stride: 0, ..self });
        }
        let last_row = (self.n_rows - 1).saturating_mul(self.outer_stride);
        let last_class = (self.classes - 1).saturating_mul(self.class_stride);
        let expected = last_row.saturating_add(last_class).saturating_add(1);
        if expected > self.data.len() {
            return Err(Error::LengthMismatch { expected, found: self.data.len() });
        }
        Ok(self)
    }

    /// The number of rows.
    ///
    /// ```
    /// assert_eq!(xent_core::Rows::new(&[0.0; 6], 2, 3)?.n_rows(), 2);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub const fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The number of classes of each row.
    ///
    /// ```
    /// assert_eq!(xent_core::Rows::new(&[0.0; 6], 2, 3)?.classes(), 3);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// `n_rows * classes`.
    ///
    /// ```
    /// assert_eq!(xent_core::Rows::new(&[0.0; 6], 2, 3)?.n_elements(), 6);
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub const fn n_elements(&self) -> usize {
        self.n_rows.saturating_mul(self.classes)
    }

    /// Whether `other` has the shape of `self`. The error has the elements of both, or where these are
    /// as many, the rows.
    pub(crate) fn check_shape_of(&self, other: &Rows<'_>) -> Result<(), Error> {
        if self.n_rows == other.n_rows && self.classes == other.classes {
            return Ok(());
        }
        let (mut expected, mut found) = (self.n_elements(), other.n_elements());
        if expected == found {
            (expected, found) = (self.n_rows, other.n_rows);
        }
        Err(Error::LengthMismatch { expected, found })
    }

    /// The element of a row and a class, `None` outside.
    ///
    /// ```
    /// let rows = xent_core::Rows::new(&[0.0, 1.0, 2.0, 3.0], 2, 2)?;
    /// assert_eq!((rows.get(1, 0), rows.get(2, 0)), (Some(2.0), None));
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub fn get(&self, row: usize, class: usize) -> Option<f32> {
        if row >= self.n_rows || class >= self.classes {
            return None;
        }
        self.data.get(self.offset(row) + class * self.class_stride).copied()
    }

    /// A row whose classes lie side by side, as a slice; `None` for another layout or row.
    ///
    /// ```
    /// let rows = xent_core::Rows::new(&[0.0, 1.0, 2.0, 3.0], 2, 2)?;
    /// assert_eq!(rows.as_slice(1), Some(&[2.0, 3.0][..]));
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn as_slice(&self, row: usize) -> Option<&'a [f32]> {
        if row >= self.n_rows || (self.class_stride != 1 && self.classes > 1) {
            return None;
        }
        self.data.get(self.offset(row)..)?.get(..self.classes)
    }

    /// Some of the rows; a range that reaches beyond the last row ends there.
    ///
    /// ```
    /// let rows = xent_core::Rows::new(&[0.0, 1.0, 2.0, 3.0], 2, 2)?;
    /// assert_eq!(rows.range(1..2).get(0, 0), Some(2.0));
    /// # Ok::<(), xent_core::Error>(())
    /// ```
    #[must_use]
    pub fn range(&self, range: Range<usize>) -> Self {
        let end = range.end.min(self.n_rows);
        let start = range.start.min(end);
        Rows { first_row: self.first_row + start, n_rows: end - start, ..*self }
    }

    /// All rows as one slice, if they lie one after another.
    #[inline]
    pub(crate) fn as_contiguous(&self) -> Option<&'a [f32]> {
        if self.class_stride != 1 || self.inner != 1 || self.outer_stride != self.classes {
            return None;
        }
        self.data.get(self.offset(0)..)?.get(..self.n_elements())
    }

    /// Calls `of` with runs of up to `most` consecutive rows that are one stride apart: a slice that
    /// begins with the first of them, and their layout.
    #[inline]
    pub(crate) fn for_runs(&self, most: usize, mut of: impl FnMut(Range<usize>, &[f32], Layout)) {
        let Rows { classes, class_stride, inner, .. } = *self;
        let row_stride = if inner == 1 { self.outer_stride } else { self.inner_stride };
        let layout = Layout { classes, row_stride, class_stride };
        let mut row = 0;
        while row < self.n_rows {
            let place = (self.first_row + row).checked_rem(inner).unwrap_or(0);
            let in_run = if inner == 1 { most } else { most.min(inner - place) };
            let end = self.n_rows.min(row + in_run.max(1));
            of(row..end, self.data.get(self.offset(row)..).unwrap_or(&[]), layout);
            row = end;
        }
    }

    /// All rows as one run, if they are one stride apart.
    pub(crate) fn as_run(&self) -> Option<(&'a [f32], Layout)> {
        let Rows { classes, class_stride, inner, .. } = *self;
        let place = self.first_row.checked_rem(inner).unwrap_or(0);
        if inner != 1 && self.n_rows > inner - place {
            return None;
        }
        let row_stride = if inner == 1 { self.outer_stride } else { self.inner_stride };
        let layout = Layout { classes, row_stride, class_stride };
        Some((self.data.get(self.offset(0)..)?, layout))
    }

    #[inline]
    fn offset(&self, row: usize) -> usize {
        let row = self.first_row + row;
        if self.inner == 1 {
            return row * self.outer_stride;
        }
        // inner is at least 1 by construction; checked_div keeps a panic out of the binary.
        let outer = row.checked_div(self.inner).unwrap_or(0);
        outer * self.outer_stride + (row - outer * self.inner) * self.inner_stride
    }

    /// Calls `push` with the elements of a row in order, in slices of a multiple of [`BLOCK`] (the
    /// last may be shorter).
    #[inline]
    pub(crate) fn for_blocks(&self, row: usize, mut push: impl FnMut(&[f32])) {
        match self.as_slice(row) {
            Some(x) => push(x),
            None => self.for_copied_blocks(row, push),
        }
    }

    /// The buffer is in a frame of its own: a caller whose rows are contiguous has no need for it.
    #[inline(never)]
    fn for_copied_blocks(&self, row: usize, mut push: impl FnMut(&[f32])) {
        let mut buffer = [0.0; BLOCK];
        for start in (0..self.classes).step_by(BLOCK) {
            push(self.copy_block(row, start, &mut buffer));
        }
    }

    /// As [`for_blocks`](Rows::for_blocks), with the elements of `y` beside them. Both have `row`.
    #[inline]
    pub(crate) fn for_block_pairs(
        &self,
        y: &Rows<'_>,
        row: usize,
        mut push: impl FnMut(&[f32], &[f32]),
    ) {
        match (self.as_slice(row), y.as_slice(row)) {
            (Some(x), Some(y)) => push(x, y),
            _ => self.for_copied_block_pairs(y, row, push),
        }
    }

    #[inline(never)]
    fn for_copied_block_pairs(
        &self,
        y: &Rows<'_>,
        row: usize,
        mut push: impl FnMut(&[f32], &[f32]),
    ) {
        let mut x_buffer = [0.0; BLOCK];
        let mut y_buffer = [0.0; BLOCK];
        for start in (0..self.classes).step_by(BLOCK) {
            push(
                self.copy_block(row, start, &mut x_buffer),
                y.copy_block(row, start, &mut y_buffer),
            );
        }
    }

    /// Copies at most [`BLOCK`] elements of a row, from class `start` on.
    pub(crate) fn copy_block<'b>(
        &self,
        row: usize,
        start: usize,
        buffer: &'b mut [f32; BLOCK],
    ) -> &'b mut [f32] {
        let len = self.classes.saturating_sub(start).min(BLOCK);
        let to = buffer.get_mut(..len).unwrap_or_default();
        match self.as_slice(row).and_then(|row| row.get(start..start + len)) {
            Some(from) => to.copy_from_slice(from),
            None => {
                for (to, class) in to.iter_mut().zip(start..) {
                    *to = self.get(row, class).unwrap_or(f32::NAN);
                }
            }
        }
        to
    }

    /// At most [`BLOCK`] elements of a row, from class `start` on: where they are if they lie side by
    /// side, else copied.
    #[inline]
    pub(crate) fn block<'b>(
        &'b self,
        row: usize,
        start: usize,
        buffer: &'b mut [f32; BLOCK],
    ) -> &'b [f32] {
        let end = self.classes.min(start + BLOCK);
        match self.as_slice(row).and_then(|row| row.get(start..end)) {
            Some(block) => block,
            None => self.copy_block(row, start, buffer),
        }
    }

    /// Calls `of` with all rows in order, as rows that can be read one after another: themselves, or where
    /// their classes are apart, copies of as many at a time as there is place for.
    ///
    /// Without SIMD there is no cache to speak of either: a row is read where it is.
    #[inline]
    pub(crate) fn for_tiles(&self, mut of: impl FnMut(Range<usize>, &Rows<'_>)) {
        let in_tile = COPY.checked_div(self.classes).unwrap_or(0);
        if !Backend::SIMD || self.class_stride == 1 || in_tile < 2 {
            of(0..self.n_rows, self);
        } else {
            self.for_copied_tiles(in_tile, &mut of);
        }
    }

    /// The copies are in a frame of their own: a caller whose rows are contiguous has no need for it.
    #[inline(never)]
    fn for_copied_tiles(&self, in_tile: usize, of: &mut dyn FnMut(Range<usize>, &Rows<'_>)) {
        let mut tile = [0.0; COPY];
        for start in (0..self.n_rows).step_by(in_tile.max(1)) {
            let rows = start..self.n_rows.min(start.saturating_add(in_tile));
            let copies = tile.get_mut(..rows.len() * self.classes).unwrap_or_default();
            self.range(rows.clone()).copy_rows(copies);
            if let Ok(copies) = Rows::new(copies, rows.len(), self.classes) {
                of(rows, &copies);
            }
        }
    }

    /// As [`for_tiles`](Rows::for_tiles), with the same rows of `y`, which has the shape of `self`.
    #[inline]
    pub(crate) fn for_tile_pairs(
        &self,
        y: &Rows<'_>,
        mut of: impl FnMut(Range<usize>, &Rows<'_>, &Rows<'_>),
    ) {
        self.for_tiles(|rows, x| {
            y.range(rows.clone()).for_tiles(|part, y| {
                of(rows.start + part.start..rows.start + part.end, &x.range(part), y);
            });
        });
    }

    /// Copies all rows, one after another, to `out`, and calls `of` with each while it is in a cache.
    pub(crate) fn for_copies(&self, out: &mut [f32], mut of: impl FnMut(&mut [f32])) {
        let classes = self.classes.max(1);
        let in_tile = (COPY / classes).max(1);
        for (tile, out) in out.chunks_mut((in_tile * classes).max(1)).enumerate() {
            self.range(tile * in_tile..(tile + 1) * in_tile).copy_rows(out);
            for row in out.chunks_exact_mut(classes) {
                of(row);
            }
        }
    }

    /// Copies all rows, one after another, to `out`. Some are read class by class, so that rows that lie
    /// side by side are read together.
    pub(crate) fn copy_rows(&self, out: &mut [f32]) {
        const SIDE_BY_SIDE: usize = 32;
        self.for_runs(SIDE_BY_SIDE, |rows, x, layout| {
            let Layout { classes, row_stride, class_stride } = layout;
            let out = out.get_mut(rows.start * classes..rows.end * classes).unwrap_or_default();
            if class_stride == 1 {
                for (row, to) in out.chunks_exact_mut(classes.max(1)).enumerate() {
                    let start = row * row_stride;
                    if let Some(from) = x.get(start..start + to.len()) {
                        to.copy_from_slice(from);
                    }
                }
                return;
            }
            let mut class = 0;
            while class + SQUARE <= classes && row_stride == 1 {
                copy_columns(x.get(class * class_stride..).unwrap_or(&[]), layout, class, out);
                class += SQUARE;
            }
            for class in class..classes {
                let column = x.get(class * class_stride..).unwrap_or(&[]);
                let to = out.chunks_exact_mut(classes.max(1)).filter_map(|row| row.get_mut(class));
                for (row, to) in to.enumerate() {
                    *to = column.get(row * row_stride).copied().unwrap_or(f32::NAN);
                }
            }
        });
    }
}

/// Classes and rows that are turned at once: what fits in registers.
const SQUARE: usize = 4;

/// Copies the classes `class ..`, [`SQUARE`] of them, the first of which is at the start of `x`, of rows that
/// are one element apart.
fn copy_columns(x: &[f32], layout: Layout, class: usize, out: &mut [f32]) {
    let Layout { classes, class_stride, .. } = layout;
    let classes = classes.max(1);
    let column = |i: usize| x.get(i * class_stride..).unwrap_or(&[]);
    let [a, b, c, d] = [column(0), column(1), column(2), column(3)];
    let of_squares = a.as_chunks::<SQUARE>().0.iter().zip(b.as_chunks::<SQUARE>().0);
    let of_squares =
        of_squares.zip(c.as_chunks::<SQUARE>().0.iter().zip(d.as_chunks::<SQUARE>().0));
    let (mut squares, mut n) = (out.chunks_exact_mut(SQUARE.saturating_mul(classes).max(1)), 0);
    for (rows, ((a, b), (c, d))) in squares.by_ref().zip(of_squares) {
        for ((((row, a), b), c), d) in rows.chunks_exact_mut(classes).zip(a).zip(b).zip(c).zip(d) {
            if let Some(to) = row.get_mut(class..).and_then(|row| row.first_chunk_mut()) {
                *to = [*a, *b, *c, *d];
            }
        }
        n += SQUARE;
    }
    for (i, row) in squares.into_remainder().chunks_exact_mut(classes).enumerate() {
        for (to, column) in row.iter_mut().skip(class).zip([a, b, c, d]) {
            *to = column.get(n + i).copied().unwrap_or(f32::NAN);
        }
    }
}
