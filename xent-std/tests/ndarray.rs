//! Arrays of any layout give the bits of their rows, gathered one element at a time.
#![cfg(feature = "ndarray")]

use ndarray::{
    Array, Array1, Array2, Array3, Array4, ArrayD, ArrayView, ArrayViewD, Axis, Dimension, IxDyn,
    ShapeBuilder, arr0, arr1, arr2, array, aview0, s,
};
use xent_std::{
    ArrayBinaryLoss, ArrayDistillation, ArrayLabels, ArrayLoss, ArrayRows, BinaryCrossEntropy,
    ClippedBinaryCrossEntropy, ClippedCrossEntropy, CrossEntropy, Distillation, Error, Label,
    Reduction, RowStatistics, Rows, array_entropy, array_js_divergence, array_kl_divergence,
    array_log_softmax, array_log_sum_exp, array_softmax, array_statistics, entropy_rows,
    js_divergence_rows, kl_divergence_rows, log_softmax_rows, log_sum_exp_rows,
    row_statistics_rows, softmax_rows,
};

/// A positive value that is different for each index and the same for any layout.
fn value(i: usize) -> f32 {
    ((i * 7919 + 13) % 10_007) as f32 * 0.001 + 0.01
}

/// An array with the value of its logical index.
fn filled<D: Dimension>(shape: impl ShapeBuilder<Dim = D>) -> Array<f32, D> {
    let mut x = Array::zeros(shape);
    x.iter_mut().enumerate().for_each(|(i, x)| *x = value(i));
    x
}

/// The rows, by the definition: an index of all axes but one, and each class.
fn gathered<D: Dimension>(x: &ArrayView<'_, f32, D>, class_axis: usize) -> (Vec<f32>, Vec<usize>) {
    let x = x.view().into_dyn();
    let mut row_shape = x.shape().to_vec();
    let classes = row_shape.remove(class_axis);
    let mut data = Vec::new();
    for row in 0..row_shape.iter().product() {
        let mut index = vec![0; row_shape.len()];
        let mut rest = row;
        for axis in (0..row_shape.len()).rev() {
            index[axis] = rest % row_shape[axis];
            rest /= row_shape[axis];
        }
        for class in 0..classes {
            let mut index = index.clone();
            index.insert(class_axis, class);
            data.push(x[IxDyn(&index)]);
        }
    }
    (data, row_shape)
}

fn bits<D: Dimension>(x: &Array<f32, D>) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn to_bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Every view of arrays of one to four axes that this file knows a name for.
fn for_all_views(mut check: impl FnMut(&str, ArrayViewD<'_, f32>)) {
    let mut see = |name: &str, x: ArrayViewD<'_, f32>| check(name, x);
    let x1 = filled(12);
    see("1-d", x1.view().into_dyn());
    see("1-d, every second", x1.slice(s![1..;2]).into_dyn());
    see("1-d, reversed", x1.slice(s![..;-1]).into_dyn());
    see("1-d, of one", x1.slice(s![3..4]).into_dyn());

    let (c, f) = (filled((5, 7)), filled((5, 7).f()));
    for (order, x) in [("C", &c), ("F", &f)] {
        see(&format!("2-d {order}"), x.view().into_dyn());
        see(&format!("2-d {order}, transposed"), x.t().into_dyn());
        see(&format!("2-d {order}, some rows"), x.slice(s![1..4, ..]).into_dyn());
        see(&format!("2-d {order}, some columns"), x.slice(s![.., 2..6]).into_dyn());
        see(&format!("2-d {order}, steps"), x.slice(s![..;2, ..;3]).into_dyn());
        see(&format!("2-d {order}, rows reversed"), x.slice(s![..;-1, ..]).into_dyn());
        see(&format!("2-d {order}, columns reversed"), x.slice(s![.., ..;-1]).into_dyn());
        see(&format!("2-d {order}, one row"), x.slice(s![2..3, ..]).into_dyn());
        see(&format!("2-d {order}, one column"), x.slice(s![.., 2..3]).into_dyn());
        see(&format!("2-d {order}, no rows"), x.slice(s![2..2, ..]).into_dyn());
        see(&format!("2-d {order}, no columns"), x.slice(s![.., 2..2]).into_dyn());
    }
    let row = filled(6);
    see("a row for every row", row.broadcast((4, 6)).unwrap().into_dyn());
    let column = filled((4, 1));
    see("a column for every column", column.broadcast((4, 6)).unwrap().into_dyn());
    see("one for all", arr0(0.75).broadcast((3, 2, 4)).unwrap().into_dyn());
    let backward = row.slice(s![..;-1]);
    see("a reversed row for every row", backward.broadcast((4, 6)).unwrap().into_dyn());
    see("a stepping row for every row", row.slice(s![..;2]).broadcast((4, 3)).unwrap().into_dyn());

    let (c, f) = (filled((3, 4, 5)), filled((3, 4, 5).f()));
    for (order, x) in [("C", &c), ("F", &f)] {
        see(&format!("3-d {order}"), x.view().into_dyn());
        for axes in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let x = x.view().permuted_axes(axes);
            see(&format!("3-d {order}, axes {axes:?}"), x.into_dyn());
        }
        see(&format!("3-d {order}, slice"), x.slice(s![1.., ..;2, 1..4]).into_dyn());
        see(&format!("3-d {order}, reversed"), x.slice(s![..;-1, ..;-1, ..;-1]).into_dyn());
        see(&format!("3-d {order}, one inside"), x.slice(s![.., 1..2, ..]).into_dyn());
        see(&format!("3-d {order}, no inside"), x.slice(s![.., 1..1, ..]).into_dyn());
    }
    let matrix = filled((4, 5));
    see("3-d, a matrix for all", matrix.broadcast((3, 4, 5)).unwrap().into_dyn());
    let middle = matrix.view().insert_axis(Axis(1));
    see("3-d, broadcast inside", middle.broadcast((4, 3, 5)).unwrap().into_dyn());

    let (c, f) = (filled((2, 3, 4, 5)), filled((2, 3, 4, 5).f()));
    for (order, x) in [("C", &c), ("F", &f)] {
        see(&format!("N, C, H, W {order}"), x.view().into_dyn());
        let last = x.view().permuted_axes([0, 2, 3, 1]);
        see(&format!("N, C, H, W {order} as N, H, W, C"), last.into_dyn());
        let turned = x.view().permuted_axes([0, 1, 3, 2]);
        see(&format!("N, C, W, H {order}"), turned.into_dyn());
        see(&format!("N, C, H, W {order}, crop"), x.slice(s![.., .., 1..3, 2..]).into_dyn());
        see(&format!("N, C, H, W {order}, flip"), x.slice(s![.., .., .., ..;-1]).into_dyn());
        see(&format!("N, C, H, W {order}, one image"), x.slice(s![1..2, .., .., ..]).into_dyn());
    }
}

#[test]
fn the_rows_of_every_layout_are_those_of_a_plain_gather() {
    let mut n_views = 0;
    for_all_views(|name, x| {
        for axis in 0..x.ndim() {
            n_views += 1;
            let (want, row_shape) = gathered(&x, axis);
            let rows = ArrayRows::new(x.view(), Axis(axis)).unwrap();
            let rows = rows.rows();
            let n_rows = row_shape.iter().product::<usize>();
            assert_eq!((rows.n_rows(), rows.classes()), (n_rows, x.len_of(Axis(axis))), "{name}");
            let got: Vec<f32> = (0..rows.n_rows())
                .flat_map(|row| (0..rows.classes()).map(move |class| (row, class)))
                .map(|(row, class)| rows.get(row, class).unwrap())
                .collect();
            assert_eq!(got, want, "{name}, axis {axis}");
        }
    });
    assert!(n_views > 130, "{n_views} views");
}

#[test]
fn losses_with_labels_have_the_bits_of_the_gathered_rows() {
    for_all_views(|name, x| {
        for axis in 0..x.ndim() {
            let (data, row_shape) = gathered(&x, axis);
            let classes = x.len_of(Axis(axis));
            let n_rows = row_shape.iter().product();
            let rows = Rows::new(&data, n_rows, classes).unwrap();
            let labels: Vec<i32> = (0..n_rows).map(|row| (row % classes.max(1)) as i32).collect();
            let label_array = ArrayD::from_shape_vec(row_shape.clone(), labels.clone()).unwrap();
            let mut want = vec![0.0; n_rows];

            let loss = CrossEntropy::new();
            let expected = loss.rows(rows, &labels[..], &mut want);
            let got = loss.array_losses(x.view(), Axis(axis), &label_array);
            assert_eq!(got.as_ref().err(), expected.err().as_ref(), "{name}, axis {axis}");
            if let Ok(got) = got {
                assert_eq!(got.shape(), row_shape, "{name}, axis {axis}");
                assert_eq!(bits(&got), to_bits(&want), "{name}, axis {axis}");
            }
            let total = loss.array_total(x.view(), Axis(axis), &label_array);
            assert_eq!(total, loss.total(rows, &labels[..]), "{name}, axis {axis}");

            let loss = ClippedCrossEntropy::new().normalize(true);
            if loss.rows(rows, &labels[..], &mut want).is_ok() {
                let got = loss.array_losses(x.view(), Axis(axis), &label_array).unwrap();
                assert_eq!(bits(&got), to_bits(&want), "{name}, axis {axis}, clipped");
            }
        }
    });
}

#[test]
fn losses_with_distributions_have_the_bits_of_the_gathered_rows() {
    for_all_views(|name, x| {
        for axis in 0..x.ndim() {
            let (data, row_shape) = gathered(&x, axis);
            let classes = x.len_of(Axis(axis));
            let n_rows = row_shape.iter().product();
            let rows = Rows::new(&data, n_rows, classes).unwrap();
            // Targets in another layout than x.
            let mut y = ArrayD::zeros(IxDyn(x.shape()).f());
            y.iter_mut().enumerate().for_each(|(i, y)| *y = value(i + 5) * 0.1);
            let (y_data, _) = gathered(&y.view(), axis);
            let y_rows = Rows::new(&y_data, n_rows, classes).unwrap();
            let mut want = vec![0.0; n_rows];

            let loss = CrossEntropy::new();
            let expected = loss.rows(rows, y_rows, &mut want);
            let got = loss.array_target_losses(x.view(), Axis(axis), &y);
            assert_eq!(got.as_ref().err(), expected.err().as_ref(), "{name}, axis {axis}");
            if let Ok(got) = got {
                assert_eq!(got.shape(), row_shape, "{name}, axis {axis}");
                assert_eq!(bits(&got), to_bits(&want), "{name}, axis {axis}");
            }
            let total = loss.array_target_total(x.view(), Axis(axis), &y);
            assert_eq!(total, loss.total(rows, y_rows), "{name}, axis {axis}");
        }
    });
}

#[test]
fn log_sum_exp_softmax_and_log_softmax_have_the_bits_of_the_gathered_rows() {
    for_all_views(|name, x| {
        for axis in 0..x.ndim() {
            let (data, row_shape) = gathered(&x, axis);
            let n_rows = row_shape.iter().product();
            let rows = Rows::new(&data, n_rows, x.len_of(Axis(axis))).unwrap();
            let mut want = vec![0.0; n_rows];
            log_sum_exp_rows(rows, &mut want).unwrap();
            let got = array_log_sum_exp(x.view(), Axis(axis)).unwrap();
            assert_eq!(got.shape(), row_shape, "{name}, axis {axis}");
            assert_eq!(bits(&got), to_bits(&want), "{name}, axis {axis}");

            let mut want = vec![0.0; x.len()];
            softmax_rows(rows, &mut want).unwrap();
            let got = array_softmax(x.view(), Axis(axis)).unwrap();
            assert_eq!(got.shape(), x.shape(), "{name}, axis {axis}");
            let (got, _) = gathered(&got.view(), axis);
            assert_eq!(to_bits(&got), to_bits(&want), "{name}, axis {axis}, softmax");

            log_softmax_rows(rows, &mut want).unwrap();
            let got = array_log_softmax(x.view(), Axis(axis)).unwrap();
            assert_eq!(got.shape(), x.shape(), "{name}, axis {axis}");
            let (got, _) = gathered(&got.view(), axis);
            assert_eq!(to_bits(&got), to_bits(&want), "{name}, axis {axis}, log-softmax");
        }
    });
}

#[test]
fn binary_losses_have_the_bits_of_the_elements() {
    for_all_views(|name, x| {
        let mut y = ArrayD::zeros(IxDyn(x.shape()).f());
        y.iter_mut().enumerate().for_each(|(i, y)| *y = value(i + 5) * 0.1);
        let (loss, clipped) = (BinaryCrossEntropy::new(), ClippedBinaryCrossEntropy::new());
        let Ok(got) = loss.array_losses(x.view(), &y) else {
            assert_eq!(x.len(), 0, "{name}");
            return;
        };
        let got_clipped = clipped.array_losses(&y, x.view()).unwrap();
        assert_eq!((got.shape(), got_clipped.shape()), (x.shape(), x.shape()), "{name}");
        let mut sum = 0.0;
        for ((&x, &y), (got, clipped_got)) in x.iter().zip(&y).zip(got.iter().zip(&got_clipped)) {
            assert_eq!(got.to_bits(), loss.element(x, y).unwrap().to_bits(), "{name}");
            assert_eq!(*clipped_got, clipped.element(y, x).unwrap(), "{name}");
            sum += f64::from(*got);
        }
        let total = loss.array_total(x.view(), &y).unwrap();
        assert_eq!(
            (total.sum().to_bits(), total.count()),
            (sum.to_bits(), x.len() as u64),
            "{name}"
        );
    });
    // A single element has a loss too.
    let got = BinaryCrossEntropy::new().array_losses(aview0(&0.0), aview0(&1.0)).unwrap();
    assert_eq!(got, arr0(2_f32.ln()));
}

#[test]
fn gradients_lie_in_the_shape_of_x_and_have_the_bits_of_the_gathered_rows() {
    for_all_views(|name, x| {
        for axis in 0..x.ndim() {
            let (data, row_shape) = gathered(&x, axis);
            let classes = x.len_of(Axis(axis));
            let n_rows = row_shape.iter().product();
            let rows = Rows::new(&data, n_rows, classes).unwrap();
            let labels: Vec<i32> = (0..n_rows).map(|row| (row % classes.max(1)) as i32).collect();
            let label_array = ArrayD::from_shape_vec(row_shape.clone(), labels.clone()).unwrap();
            let mut y = ArrayD::zeros(IxDyn(x.shape()).f());
            y.iter_mut().enumerate().for_each(|(i, y)| *y = value(i + 5) * 0.1);
            let (y_data, _) = gathered(&y.view(), axis);
            let y_rows = Rows::new(&y_data, n_rows, classes).unwrap();
            macro_rules! check {
                ($loss:expr, $scale:expr) => {{
                    let (loss, scale) = ($loss, $scale);
                    let what = format!("{name}, axis {axis}, {loss:?}, {scale:?}");
                    let mut want = vec![0.0; data.len()];
                    let total = loss.gradient(rows, &labels[..], scale, &mut want);
                    let got = loss.array_gradient(x.view(), Axis(axis), &label_array, scale);
                    assert_eq!(got.as_ref().err(), total.as_ref().err(), "{what}");
                    if let (Ok((got_total, got)), Ok(total)) = (got, total) {
                        assert_eq!((got_total, got.shape()), (total, x.shape()), "{what}");
                        let (got, _) = gathered(&got.view(), axis);
                        assert_eq!(to_bits(&got), to_bits(&want), "{what}");
                    }
                    let total = loss.gradient(rows, y_rows, scale, &mut want);
                    let got = loss.array_target_gradient(x.view(), Axis(axis), &y, scale);
                    assert_eq!(got.as_ref().err(), total.as_ref().err(), "{what}, distributions");
                    if let (Ok((got_total, got)), Ok(total)) = (got, total) {
                        assert_eq!((got_total, got.shape()), (total, x.shape()), "{what}");
                        let (got, _) = gathered(&got.view(), axis);
                        assert_eq!(to_bits(&got), to_bits(&want), "{what}, distributions");
                    }
                }};
            }
            check!(CrossEntropy::new(), Reduction::Mean);
            check!(CrossEntropy::new().ignore(0).label_smoothing(0.1), Reduction::MeanCount);
            check!(ClippedCrossEntropy::new().normalize(true), Reduction::Sum);
            check!(CrossEntropy::new(), f32::INFINITY);
        }
    });
}

#[test]
fn binary_gradients_lie_in_the_shape_of_x_and_have_the_bits_of_the_elements() {
    for_all_views(|name, x| {
        let mut y = ArrayD::zeros(IxDyn(x.shape()).f());
        y.iter_mut().enumerate().for_each(|(i, y)| *y = value(i + 5) * 0.1);
        // The elements in logical order, as rows along the last axis.
        let classes = x.shape().last().copied().unwrap_or(1);
        let n_rows = x.shape().iter().rev().skip(1).product();
        let [x_data, y_data]: [Vec<f32>; 2] =
            [x.iter().copied().collect(), y.iter().copied().collect()];
        let x_rows = Rows::new(&x_data, n_rows, classes).unwrap();
        let y_rows = Rows::new(&y_data, n_rows, classes).unwrap();
        let loss = BinaryCrossEntropy::new().focal(2.0);
        let clipped = ClippedBinaryCrossEntropy::new().label_smoothing(0.1);
        let [mut want, mut want_clipped] = [(); 2].map(|()| vec![0.0; x.len()]);
        let total = loss.gradient(x_rows, y_rows, Reduction::Mean, &mut want);
        let clipped_total = clipped.gradient(y_rows, x_rows, 3.0, &mut want_clipped);
        let got = loss.array_gradient(x.view(), &y, Reduction::Mean);
        let got_clipped = clipped.array_gradient(&y, x.view(), 3.0);
        for (got, total, want) in [(got, total, want), (got_clipped, clipped_total, want_clipped)] {
            assert_eq!(got.as_ref().err(), total.as_ref().err(), "{name}");
            if let (Ok((got_total, got)), Ok(total)) = (got, total) {
                assert_eq!((got_total, got.shape()), (total, x.shape()), "{name}");
                assert_eq!(bits(&got), to_bits(&want), "{name}");
            }
        }
    });
}

#[test]
fn a_gradient_of_another_shape_or_axis_is_the_error_of_the_losses() {
    let x = Array3::<f32>::zeros((2, 3, 4));
    let labels = Array2::<u8>::zeros((2, 3));
    let loss = CrossEntropy::new();
    for axis in [0, 1, 3] {
        let want = loss.array_losses(&x, Axis(axis), &labels).unwrap_err();
        let got = loss.array_gradient(&x, Axis(axis), &labels, Reduction::Sum);
        assert_eq!(got, Err(want), "axis {axis}");
    }
    let y = Array3::<f32>::zeros((2, 4, 3));
    let want = loss.array_target_losses(&x, Axis(2), &y).unwrap_err();
    assert_eq!(loss.array_target_gradient(&x, Axis(2), &y, 1.0), Err(want));
    let binary = BinaryCrossEntropy::new();
    let want = binary.array_losses(&x, &y).unwrap_err();
    assert_eq!(binary.array_gradient(&x, &y, 1.0), Err(want));
}

#[test]
fn statistics_have_the_bits_of_the_gathered_rows() {
    for_all_views(|name, x| {
        for axis in 0..x.ndim() {
            let (data, row_shape) = gathered(&x, axis);
            let classes = x.len_of(Axis(axis));
            let n_rows = row_shape.iter().product();
            let labels: Vec<u8> = (0..n_rows).map(|row| (row % classes.max(1)) as u8).collect();
            // Labels in another layout than the rows.
            let mut label_array = ArrayD::zeros(IxDyn(&row_shape).f());
            label_array.iter_mut().zip(&labels).for_each(|(to, &label)| *to = label);
            let mut want = vec![RowStatistics::NAN; n_rows];
            let rows = Rows::new(&data, n_rows, classes).unwrap();
            let expected = row_statistics_rows(rows, &labels, &mut want);
            let got = array_statistics(x.view(), Axis(axis), &label_array);
            assert_eq!(got.as_ref().err(), expected.err().as_ref(), "{name}, axis {axis}");
            if let Ok(got) = got {
                assert_eq!(got.shape(), row_shape, "{name}, axis {axis}");
                // None is NaN: equal numbers are equal bits.
                assert_eq!(got.into_iter().collect::<Vec<_>>(), want, "{name}, axis {axis}");
            }
        }
    });
}

#[test]
fn divergences_and_distillation_have_the_bits_of_the_gathered_rows() {
    for_all_views(|name, x| {
        // In another layout than x.
        let mut y = ArrayD::zeros(IxDyn(x.shape()).f());
        y.iter_mut().enumerate().for_each(|(i, y)| *y = value(i + 5) * 0.1);
        for axis in 0..x.ndim() {
            let what = format!("{name}, axis {axis}");
            let (data, row_shape) = gathered(&x, axis);
            let (y_data, _) = gathered(&y.view(), axis);
            let (n_rows, classes) = (row_shape.iter().product(), x.len_of(Axis(axis)));
            let rows = Rows::new(&data, n_rows, classes).unwrap();
            let y_rows = Rows::new(&y_data, n_rows, classes).unwrap();
            let [mut entropy, mut kl, mut js] = [(); 3].map(|()| vec![0.0; n_rows]);
            entropy_rows(rows, &mut entropy).unwrap();
            kl_divergence_rows(rows, y_rows, &mut kl).unwrap();
            js_divergence_rows(rows, y_rows, &mut js).unwrap();
            for (got, want) in [
                (array_entropy(x.view(), Axis(axis)).unwrap(), entropy),
                (array_kl_divergence(x.view(), &y, Axis(axis)).unwrap(), kl),
                (array_js_divergence(x.view(), &y, Axis(axis)).unwrap(), js),
            ] {
                assert_eq!(got.shape(), row_shape, "{what}");
                assert_eq!(bits(&got), to_bits(&want), "{what}");
            }

            let loss = Distillation::new().temperature(2.0);
            let (mut losses, mut gradient) = (vec![0.0; n_rows], vec![0.0; data.len()]);
            let expected = loss.rows(rows, y_rows, &mut losses);
            let total = loss.gradient(rows, y_rows, Reduction::Mean, &mut gradient);
            let got = loss.array_losses(x.view(), &y, Axis(axis));
            assert_eq!(got.as_ref().err(), expected.err().as_ref(), "{what}");
            assert_eq!(loss.array_total(x.view(), &y, Axis(axis)), total, "{what}");
            let with_gradient = loss.array_gradient(x.view(), &y, Axis(axis), Reduction::Mean);
            assert_eq!(with_gradient.as_ref().err(), total.as_ref().err(), "{what}");
            if let (Ok(got), Ok((got_total, got_gradient))) = (got, with_gradient) {
                assert_eq!((got.shape(), bits(&got)), (&row_shape[..], to_bits(&losses)), "{what}");
                assert_eq!((Ok(got_total), got_gradient.shape()), (total, x.shape()), "{what}");
                let (got, _) = gathered(&got_gradient.view(), axis);
                assert_eq!(to_bits(&got), to_bits(&gradient), "{what}");
            }
        }
    });
}

#[test]
fn what_rows_can_express_stays_where_it_is() {
    fn is_copy<D: Dimension>(x: ArrayView<'_, f32, D>, axis: usize) -> bool {
        ArrayRows::new(x, Axis(axis)).unwrap().is_copy()
    }
    let (c, f) = (filled((2, 3, 4, 5)), filled((2, 3, 4, 5).f()));
    for axis in 0..4 {
        assert!(!is_copy(c.view(), axis), "C order, axis {axis}");
    }
    let matrix = filled((5, 7).f());
    assert!(!is_copy(matrix.view(), 0));
    assert!(!is_copy(matrix.view(), 1));
    assert!(!is_copy(matrix.t(), 0));
    assert!(!is_copy(c.slice(s![1..2, .., .., ..]), 1));
    assert!(!is_copy(filled(9).view(), 0));
    assert!(!is_copy(filled(6).broadcast((1000, 6)).unwrap(), 1), "one row for all");
    assert!(!is_copy(filled((3, 6)).broadcast((5, 3, 6)).unwrap(), 0), "broadcast classes");
    // No axis reversed, nothing left out, no order of rows that takes three strides.
    assert!(is_copy(c.slice(s![.., .., .., ..;-1]), 1));
    assert!(is_copy(c.slice(s![.., .., 1..3, ..]), 1));
    assert!(is_copy(f.view(), 1));

    let labels = array![[0_u8, 1], [2, 3]];
    assert!(!ArrayLabels::new(&labels).is_copy());
    assert!(ArrayLabels::new(labels.t()).is_copy());
}

#[test]
fn labels_of_every_integer_type_and_layout_are_taken_in_logical_order() {
    fn check<L: Label>(of: impl Fn(usize) -> L) {
        let name = std::any::type_name::<L>();
        let logits = filled((4, 3, 5));
        let plain: Vec<L> = (0..20).map(|i| of(i % 3)).collect();
        let (data, _) = gathered(&logits.view(), 1);
        let mut want = vec![0.0; 20];
        let loss = CrossEntropy::new();
        let targets = xent_std::Targets::labels(&plain);
        loss.rows(Rows::new(&data, 20, 3).unwrap(), targets, &mut want).unwrap();

        let c = Array2::from_shape_fn((4, 5), |(i, j)| of((i * 5 + j) % 3));
        let f = Array2::from_shape_fn((4, 5).f(), |(i, j)| of((i * 5 + j) % 3));
        let mut reversed = Array2::from_shape_fn((4, 5), |(i, j)| of((19 - (i * 5 + j)) % 3));
        reversed.invert_axis(Axis(0));
        reversed.invert_axis(Axis(1));
        let wide = Array2::from_shape_fn((4, 10), |(i, j)| of((i * 5 + j / 2) % 3));
        let views = [c.view(), f.view(), reversed.view(), wide.slice(s![.., ..;2])];
        for (i, labels) in views.into_iter().enumerate() {
            let got = loss.array_losses(&logits, Axis(1), labels).unwrap();
            assert_eq!(bits(&got), to_bits(&want), "{name}, layout {i}");
        }
        // One label for all.
        let one = Array::from_elem((), of(2));
        let all = Array2::from_elem((4, 5), of(2));
        let got = loss.array_losses(&logits, Axis(1), one.broadcast((4, 5)).unwrap());
        assert_eq!(got, loss.array_losses(&logits, Axis(1), &all), "{name}");
    }
    check(|i| i as i8);
    check(|i| i as i16);
    check(|i| i as i32);
    check(|i| i as i64);
    check(|i| i as isize);
    check(|i| i as u8);
    check(|i| i as u16);
    check(|i| i as u32);
    check(|i| i as u64);
    check(|i| i);
}

#[test]
fn a_class_axis_that_is_not_there_is_an_error() {
    fn error(axis: usize) -> Error {
        Error::InvalidOption { name: "class_axis", value: axis as f32 }
    }
    let x = Array3::<f32>::zeros((2, 3, 4));
    let labels = Array2::<u8>::zeros((2, 3));
    let loss = CrossEntropy::new();
    for axis in [3, 4, usize::MAX] {
        let (want, at) = (error(axis), Axis(axis));
        assert_eq!(ArrayRows::new(&x, at).unwrap_err(), want);
        assert_eq!(loss.array_losses(&x, at, &labels), Err(want));
        assert_eq!(loss.array_total(&x, at, &labels), Err(want));
        assert_eq!(loss.array_target_losses(&x, at, &x), Err(want));
        assert_eq!(loss.array_target_total(&x, at, &x), Err(want));
        assert_eq!(array_log_sum_exp(&x, at), Err(want));
        assert_eq!(array_softmax(&x, at), Err(want));
        assert_eq!(array_log_softmax(&x, at), Err(want));
        assert_eq!(array_statistics(&x, at, &labels), Err(want));
        assert_eq!(array_entropy(&x, at), Err(want));
        assert_eq!(array_kl_divergence(&x, &x, at), Err(want));
        assert_eq!(array_js_divergence(&x, &x, at), Err(want));
        assert_eq!(Distillation::new().array_losses(&x, &x, at), Err(want));
        assert_eq!(Distillation::new().array_total(&x, &x, at), Err(want));
        assert_eq!(Distillation::new().array_gradient(&x, &x, at, 1.0), Err(want));
    }
    let no_axis = ArrayD::<f32>::zeros(IxDyn(&[]));
    let no_labels = ArrayD::<u8>::zeros(IxDyn(&[]));
    assert_eq!(loss.array_losses(&no_axis, Axis(0), &no_labels), Err(error(0)));
    assert_eq!(array_softmax(&arr0(1.0), Axis(0)), Err(error(0)));
    assert_eq!(array_log_sum_exp(&no_axis, Axis(0)), Err(error(0)));
}

#[test]
fn another_shape_is_an_error_with_the_numbers_that_differ() {
    let x = Array4::<f32>::zeros((2, 3, 4, 5));
    let loss = CrossEntropy::new();
    for (shape, expected, found) in [
        ((2, 4, 6), 40, 48),
        ((0, 4, 5), 40, 0),
        ((2, 5, 4), 4, 5),
        ((4, 2, 5), 2, 4),
        ((40, 1, 1), 2, 40),
    ] {
        let want = Error::LengthMismatch { expected, found };
        let labels = Array3::<i64>::zeros(shape);
        assert_eq!(loss.array_losses(&x, Axis(1), &labels), Err(want));
        assert_eq!(loss.array_total(&x, Axis(1), &labels), Err(want));
        assert_eq!(array_statistics(&x, Axis(1), &labels), Err(want));
    }
    let y = Array4::<f32>::zeros((2, 3, 5, 4));
    let want = Error::LengthMismatch { expected: 4, found: 5 };
    assert_eq!(loss.array_target_losses(&x, Axis(1), &y), Err(want));
    assert_eq!(loss.array_target_total(&x, Axis(1), &y), Err(want));
    assert_eq!(BinaryCrossEntropy::new().array_losses(&x, &y), Err(want));
    assert_eq!(BinaryCrossEntropy::new().array_total(&x, &y), Err(want));
    assert_eq!(array_kl_divergence(&x, &y, Axis(1)), Err(want));
    assert_eq!(array_js_divergence(&x, &y, Axis(1)), Err(want));
    assert_eq!(Distillation::new().array_losses(&x, &y, Axis(1)), Err(want));
    assert_eq!(Distillation::new().array_total(&x, &y, Axis(1)), Err(want));
    assert_eq!(Distillation::new().array_gradient(&x, &y, Axis(1), 1.0), Err(want));
    // Dimensions that are known at run time only.
    let x = x.into_dyn();
    for (shape, expected, found) in [(&[40][..], 2, 40), (&[2, 4, 5, 1], 3, 4), (&[2, 20], 4, 20)] {
        let want = Error::LengthMismatch { expected, found };
        let labels = ArrayD::<i64>::zeros(shape);
        assert_eq!(loss.array_losses(&x, Axis(1), &labels), Err(want), "{shape:?}");
    }
}

#[test]
fn the_errors_of_core_come_through() {
    let loss = CrossEntropy::new();
    let x = arr2(&[[1.0, 2.0], [3.0, 4.0]]);
    let want = Error::LabelOutOfRange { row: 1, label: -1, classes: 2 };
    assert_eq!(loss.array_losses(&x, Axis(1), &arr1(&[0, -1])), Err(want));
    assert_eq!(loss.array_total(&x, Axis(1), &arr1(&[0, -1])), Err(want));
    let none = Array2::<f32>::zeros((3, 0));
    let want = Error::EmptyClasses { n_rows: 3 };
    assert_eq!(loss.array_losses(&none, Axis(1), &arr1(&[0, 0, 0])), Err(want));
    let no_labels = Array1::<u8>::zeros(0);
    assert_eq!(loss.array_losses(&none, Axis(0), &no_labels), Ok(Array1::zeros(0)));
    assert_eq!(array_log_sum_exp(&none, Axis(1)), Ok(arr1(&[f32::NEG_INFINITY; 3])));
    let clipped = ClippedCrossEntropy::new().clip(1.0, 0.0);
    let want = Error::InvalidClip { lo: 1.0, hi: 0.0 };
    assert_eq!(clipped.array_losses(&x, Axis(1), &arr1(&[0, 1])), Err(want));
}

#[test]
fn a_broadcast_array_of_a_million_rows_needs_no_copy_and_has_the_loss_of_its_row() {
    let row = arr1(&[2.0, 1.0, 0.0]);
    let x = row.broadcast((1 << 20, 3)).unwrap();
    let labels = Array1::<u8>::zeros(1 << 20);
    let losses = CrossEntropy::new().array_losses(x, Axis(1), &labels).unwrap();
    assert_eq!(losses, Array1::from_elem(1 << 20, 0.40760595));
}
