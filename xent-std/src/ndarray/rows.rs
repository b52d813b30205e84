//! The rows of an array: what its class axis runs through.

use std::borrow::Cow;

use ::ndarray::{ArrayView, Axis, Dimension};
use xent_core::{Error, Rows};

use super::check_axis;

/// The rows of an array, one for each position of its other axes, in their logical order.
///
/// Feature `ndarray`. The elements stay where they are if the array (apart from broadcast axes) is
/// contiguous with no axis reversed, and [`Rows`] can express the positions of its rows: C order with
/// any class axis, Fortran order of two dimensions or with the classes first, and rows that are
/// broadcast. Elsewhere they are copied, the classes of a row side by side; a slice of an array is
/// such a case, because the elements between its rows belong to others. The results have the same
/// bits.
///
/// ```
/// use ndarray::{Axis, array};
/// use xent_std::{ArrayRows, BatchLoss, CrossEntropy};
///
/// // Class by row.
/// let logits = array![[2.0, 0.0], [1.0, 3.0], [0.0, 0.0]];
/// let rows = ArrayRows::new(&logits, Axis(0))?;
/// assert_eq!((rows.rows().n_rows(), rows.rows().classes(), rows.is_copy()), (2, 3, false));
/// let losses = CrossEntropy::new().batch_losses(rows.rows(), &[0, 1])?;
/// assert_eq!(losses, [0.40760595, 0.09492295]);
/// # Ok::<(), xent_std::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ArrayRows<'a> {
    data: Cow<'a, [f32]>,
    layout: Layout,
}

/// A layout that [`Rows`] has a constructor for, with its arguments.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Strided { n_rows: usize, classes: usize, row_stride: usize, class_stride: usize },
    ChannelsFirst { outer: usize, classes: usize, inner: usize },
}

impl Layout {
    fn rows(self, data: &[f32]) -> Result<Rows<'_>, Error> {
        match self {
            Layout::Strided { n_rows, classes, row_stride, class_stride } => {
                Rows::strided(data, n_rows, classes, row_stride, class_stride)
            }
            Layout::ChannelsFirst { outer, classes, inner } => {
                Rows::channels_first(data, outer, classes, inner)
            }
        }
    }
}

impl<'a> ArrayRows<'a> {
    /// Of `x`, an array or a view, whose classes lie along `class_axis`.
    ///
    /// Errors: [`Error::InvalidOption`] of the name `class_axis` for an axis that `x` does not have.
    ///
    /// ```
    /// use ndarray::{Array3, Axis};
    /// use xent_std::{ArrayRows, Error};
    ///
    /// let x = Array3::zeros((2, 3, 4));
    /// assert_eq!(ArrayRows::new(&x, Axis(1))?.rows().n_rows(), 8);
    /// let error = ArrayRows::new(&x, Axis(3)).unwrap_err();
    /// assert_eq!(error, Error::InvalidOption { name: "class_axis", value: 3.0 });
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new<D: Dimension>(
        x: impl Into<ArrayView<'a, f32, D>>,
        class_axis: Axis,
    ) -> Result<Self, Error> {
        let x = x.into();
        check_axis(x.ndim(), class_axis)?;
        match in_place(&x, class_axis) {
            Some(rows) => Ok(rows),
            None => Ok(copied(x, class_axis)),
        }
    }

    /// The rows, as every loss takes them.
    ///
    /// ```
    /// use ndarray::{Axis, array};
    /// let x = array![[0.0, 1.0], [2.0, 3.0]];
    /// let rows = xent_std::ArrayRows::new(&x, Axis(0))?;
    /// assert_eq!(rows.rows().get(1, 0), Some(1.0));
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    pub fn rows(&self) -> Rows<'_> {
        self.layout.rows(&self.data).expect("the layout was made for the data")
    }

    /// Whether the elements had to be copied.
    ///
    /// ```
    /// use ndarray::{Axis, array, s};
    /// let x = array![[0.0, 1.0], [2.0, 3.0]];
    /// let last_class_first = xent_std::ArrayRows::new(x.slice(s![.., ..;-1]), Axis(1))?;
    /// assert!(last_class_first.is_copy());
    /// # Ok::<(), xent_std::Error>(())
    /// ```
    #[must_use]
    pub fn is_copy(&self) -> bool {
        matches!(self.data, Cow::Owned(_))
    }
}

/// Where nothing needs to be copied.
fn in_place<'a, D: Dimension>(
    x: &ArrayView<'a, f32, D>,
    class_axis: Axis,
) -> Option<ArrayRows<'a>> {
    let mut x_once = x.clone();
    for axis in 0..x.ndim() {
        // One index of a broadcast axis is all of them.
        if x.strides()[axis] == 0 && x.len_of(Axis(axis)) > 1 {
            x_once.collapse_axis(Axis(axis), 0);
        }
    }
    let data = x_once.to_slice_memory_order()?;
    let classes = x.len_of(class_axis);
    let class_stride = stride(x, class_axis)?;
    let layout = match row_axes(x, class_axis)?[..] {
        [] => Layout::Strided { n_rows: 1, classes, row_stride: 0, class_stride },
        [(n_rows, row_stride)] => Layout::Strided { n_rows, classes, row_stride, class_stride },
        [(outer, outer_stride), (inner, 1)]
            if class_stride == inner && outer_stride == classes * inner =>
        {
            Layout::ChannelsFirst { outer, classes, inner }
        }
        _ => return None,
    };
    layout.rows(data).ok()?;
    Some(ArrayRows { data: Cow::Borrowed(data), layout })
}

/// The lengths and strides of the axes of the rows, as few as can express them.
fn row_axes<D: Dimension>(
    x: &ArrayView<'_, f32, D>,
    class_axis: Axis,
) -> Option<Vec<(usize, usize)>> {
    let mut axes: Vec<(usize, usize)> = Vec::with_capacity(x.ndim());
    for axis in (0..x.ndim()).map(Axis).filter(|&axis| axis != class_axis) {
        let (len, stride) = (x.len_of(axis), stride(x, axis)?);
        match axes.last_mut() {
            _ if len == 1 => {}
            // One step of the axis before is a walk through this one.
            Some(last) if last.1 == len.checked_mul(stride)? => *last = (last.0 * len, stride),
            _ => axes.push((len, stride)),
        }
    }
    Some(axes)
}

/// The stride of an axis, `None` where it is reversed; 0 for an axis of one index, which has none.
fn stride<D: Dimension>(x: &ArrayView<'_, f32, D>, axis: Axis) -> Option<usize> {
    if x.len_of(axis) <= 1 { Some(0) } else { usize::try_from(x.stride_of(axis)).ok() }
}

/// The classes of each row side by side.
fn copied<'a, D: Dimension>(mut x: ArrayView<'a, f32, D>, class_axis: Axis) -> ArrayRows<'a> {
    let classes = x.len_of(class_axis);
    for axis in class_axis.index() + 1..x.ndim() {
        x.swap_axes(axis - 1, axis);
    }
    let row_axes = x.shape().split_last().map_or(&[][..], |(_, row_axes)| row_axes);
    let n_rows = row_axes.iter().product();
    let data = x.iter().copied().collect();
    let layout = Layout::Strided { n_rows, classes, row_stride: classes, class_stride: 1 };
    ArrayRows { data: Cow::Owned(data), layout }
}
