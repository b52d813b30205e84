//! Arrays of `ndarray` with any strides and any class axis: the bits, and the errors, that core has for their
//! rows side by side.
//!
//! Arrays whose shapes differ, and a class axis that there is none of, are errors; which is not compared.

use std::fmt::Debug;

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, ShapeBuilder, Slice};
use xent_core::{
    Backend, BinaryTargets, Distillation, Error, LossTotal, RowStatistics, Rows, Targets,
};
use xent_std::{
    ArrayBinaryLoss, ArrayDistillation, ArrayLabels, ArrayLoss, ArrayRows, array_entropy,
    array_js_divergence, array_kl_divergence, array_log_softmax, array_log_sum_exp, array_softmax,
    array_statistics,
};

use crate::batches::{assert_same_gradients, assert_same_totals, assert_same_values, of_core};
use crate::bounds;
use crate::bytes::Bytes;
use crate::clipped_cross_entropy::clip;
use crate::compare::assert_same_bits;
use crate::options::Drawn;

/// See the module.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let shape = shape(&mut bytes);
    let of_probs = bytes.flag();
    let elements = if of_probs { Bytes::probs } else { Bytes::logits };
    let whole = strided(&mut bytes, &shape, elements);
    // Rarely its first part along an axis is all of them: a stride of 0.
    let repeated = bytes.below(shape.len());
    let repeats = bytes.byte() >= 224 && shape[repeated] > 0;
    let of_axis = Slice::from(if repeats { 0..1 } else { 0..shape[repeated] });
    let part = whole.slice_axis(Axis(repeated), of_axis);
    let x = part.broadcast(IxDyn(&shape)).expect("one repeats");
    let y_shape = if bytes.rarely() { self::shape(&mut bytes) } else { shape.clone() };
    let y = if bytes.flag() {
        strided(&mut bytes, &y_shape, Bytes::targets)
    } else {
        strided(&mut bytes, &y_shape, elements)
    };
    let axis = if bytes.rarely() { shape.len() + bytes.below(3) } else { bytes.below(shape.len()) };
    let Some(&classes) = shape.get(axis) else {
        let axis = Axis(axis);
        assert_eq!(
            array_log_sum_exp(x.view(), axis).err(),
            Some(Error::InvalidOption { name: "class_axis", value: axis.index() as f32 })
        );
        assert!(array_softmax(x.view(), axis).is_err() && ArrayRows::new(x.view(), axis).is_err());
        assert!(array_kl_divergence(x.view(), y.view(), axis).is_err());
        return;
    };
    let mut row_shape = shape.clone();
    row_shape.remove(axis);
    let n_rows = row_shape.iter().product();
    let label_shape = if bytes.rarely() { self::shape(&mut bytes) } else { row_shape.clone() };
    let labels = labels(&mut bytes, &label_shape, classes);
    let mut drawn = Drawn::new(&mut bytes, n_rows, classes);
    drawn.sample_weights = None;
    let clip = clip(&mut bytes);
    let axis = Axis(axis);
    let [x_rows, y_rows] = [x.view(), y.view()].map(|array| side_by_side(array, axis));
    let y_fits = x.shape() == y.shape();
    let flat_labels: Vec<i64> = labels.iter().copied().collect();
    let arrays = Arrays {
        x: x.view(),
        y: y.view(),
        labels: labels.view(),
        axis,
        rows: Rows::new(&x_rows, n_rows, classes).expect("as many as the shape has"),
        targets: y_fits
            .then(|| Rows::new(&y_rows, n_rows, classes).expect("as many as the shape has")),
        flat_labels: (labels.shape() == row_shape).then_some(&flat_labels),
    };
    arrays.check_functions();
    arrays.check_losses(&drawn, clip);
    arrays.check_binary_losses(&drawn, clip);
}

/// The rows of an array, one after another.
fn side_by_side(x: ArrayViewD<'_, f32>, axis: Axis) -> Vec<f32> {
    if axis.index() < x.ndim() {
        x.lanes(axis).into_iter().flatten().copied().collect()
    } else {
        Vec::new()
    }
}

/// Arrays, and what core sees of them.
struct Arrays<'a> {
    x: ArrayViewD<'a, f32>,
    y: ArrayViewD<'a, f32>,
    labels: ArrayViewD<'a, i64>,
    axis: Axis,
    rows: Rows<'a>,
    /// `None` where the shape is another.
    targets: Option<Rows<'a>>,
    /// `None` where the shape is another.
    flat_labels: Option<&'a Vec<i64>>,
}

type OfCore = Result<((), Vec<f32>), Error>;

impl Arrays<'_> {
    fn context(&self, what: &str) -> String {
        format!(
            "{what} of {:?} strides {:?} and {:?} strides {:?}, {:?}, {:?}: {:x?}",
            self.x.shape(),
            self.x.strides(),
            self.y.shape(),
            self.y.strides(),
            self.axis,
            self.labels,
            self.x.iter().take(80).map(|x| x.to_bits()).collect::<Vec<_>>()
        )
    }

    /// What core writes to one element a row.
    fn of_rows(&self, fill: impl FnOnce(&mut [f32]) -> Result<(), Error>) -> OfCore {
        of_core(self.rows.n_rows(), fill)
    }

    /// What core writes to all elements.
    fn of_elements<T>(
        &self,
        fill: impl FnOnce(&mut [f32]) -> Result<T, Error>,
    ) -> Result<(T, Vec<f32>), Error> {
        of_core(self.rows.n_elements(), fill)
    }

    /// An array of elements, row by row.
    fn by_rows(&self, array: ArrayD<f32>) -> Vec<f32> {
        assert_eq!(array.shape(), self.x.shape());
        side_by_side(array.view(), self.axis)
    }

    fn check_functions(&self) {
        let (backend, axis, rows) = (Backend::detected(), self.axis, self.rows);
        let x = || self.x.view();
        let of_array = ArrayRows::new(x(), axis).expect("an axis that it has");
        let (of_array, flat) = (of_array.rows(), rows);
        assert_eq!((of_array.n_rows(), of_array.classes()), (flat.n_rows(), flat.classes()));
        for row in 0..flat.n_rows() {
            let both = [of_array, flat].map(|rows| {
                (0..rows.classes()).filter_map(|class| rows.get(row, class)).collect::<Vec<_>>()
            });
            assert_same_bits(&both[0], &both[1], || self.context("rows"));
        }

        let (lse, probs, log_probs) = (
            self.of_rows(|out| backend.log_sum_exp_rows(rows, out)),
            self.of_elements(|out| backend.softmax_rows(rows, out)),
            self.of_elements(|out| backend.log_softmax_rows(rows, out)),
        );
        assert_same_values(array_log_sum_exp(x(), axis).map(values), lse, || self.context("lse"));
        let got = array_softmax(x(), axis).map(|array| self.by_rows(array));
        assert_same_values(got, probs, || self.context("softmax"));
        let got = array_log_softmax(x(), axis).map(|array| self.by_rows(array));
        assert_same_values(got, log_probs, || self.context("log_softmax"));
        let entropy = self.of_rows(|out| backend.entropy_rows(rows, out));
        assert_same_values(array_entropy(x(), axis).map(values), entropy, || {
            self.context("entropy")
        });

        let y = || self.y.view();
        let divergences = [
            ("kl_divergence", array_kl_divergence(x(), y(), axis)),
            ("js_divergence", array_js_divergence(x(), y(), axis)),
            ("distillation", Distillation::new().array_losses(x(), y(), axis)),
        ];
        for (what, got) in divergences {
            let Some(targets) = self.targets else {
                assert!(got.is_err(), "{}", self.context(what));
                continue;
            };
            let expected = self.of_rows(|out| match what {
                "kl_divergence" => backend.kl_divergence_rows(rows, targets, out),
                "js_divergence" => backend.js_divergence_rows(rows, targets, out),
                _ => Distillation::new().rows(rows, targets, out),
            });
            assert_same_values(got.map(values), expected, || self.context(what));
        }
        let loss = Distillation::new().temperature(2.0);
        if let Some(targets) = self.targets {
            let got = loss.array_total(x(), y(), axis);
            assert_same_totals(got, loss.total(rows, targets), || self.context("distillation"));
            let got = loss.array_gradient(x(), y(), axis, 0.5);
            let got = got.map(|(total, gradient)| (total, self.by_rows(gradient)));
            let expected = self.of_elements(|out| loss.gradient(rows, targets, 0.5, out));
            assert_same_gradients(got, expected, || self.context("distillation"));
        }

        let got = array_statistics(x(), axis, self.labels.view());
        let Some(labels) = self.flat_labels else {
            assert!(got.is_err(), "{}", self.context("statistics"));
            return;
        };
        let mut expected = vec![RowStatistics::NAN; rows.n_rows()];
        let of_core = backend.row_statistics_rows(rows, labels, &mut expected).map(|()| expected);
        let got = got.map(|array| array.iter().copied().collect::<Vec<_>>());
        // As text, in which NaN equals NaN.
        assert!(text(&got) == text(&of_core), "{}", self.context("statistics"));
        let of_array = ArrayLabels::new(self.labels.view());
        for (row, &label) in labels.iter().enumerate() {
            let of_targets = of_array.targets().label(row);
            assert_eq!(of_targets, Some(label), "{}", self.context("labels"));
        }
    }

    fn check_losses(&self, drawn: &Drawn, clip: [f32; 2]) {
        let mut options = drawn.of_rows(1.0);
        options.clip = clip;
        let loss = bounds::cross_entropy(Backend::detected(), &options).ignore(drawn.ignore);
        self.check_loss(
            &loss,
            drawn,
            |targets, out| loss.rows(self.rows, targets, out),
            |targets| loss.total(self.rows, targets),
            |targets, out| loss.gradient(self.rows, targets, drawn.scale, out),
        );
        let loss = bounds::clipped(Backend::detected(), &options).ignore(drawn.ignore);
        self.check_loss(
            &loss,
            drawn,
            |targets, out| loss.rows(self.rows, targets, out),
            |targets| loss.total(self.rows, targets),
            |targets, out| loss.gradient(self.rows, targets, drawn.scale, out),
        );
    }

    /// A loss of arrays against the `rows`, the `total` and the `gradient` of core.
    fn check_loss(
        &self,
        loss: &impl ArrayLoss,
        drawn: &Drawn,
        rows: impl Fn(Targets<'_>, &mut [f32]) -> Result<(), Error>,
        total: impl Fn(Targets<'_>) -> Result<LossTotal, Error>,
        gradient: impl Fn(Targets<'_>, &mut [f32]) -> Result<LossTotal, Error>,
    ) {
        let (axis, scale) = (self.axis, drawn.scale);
        let x = || self.x.view();
        let context = |what: &str| self.context(&format!("{what}, {drawn:?}"));
        let with_labels = (
            loss.array_losses(x(), axis, self.labels.view()),
            loss.array_total(x(), axis, self.labels.view()),
            loss.array_gradient(x(), axis, self.labels.view(), scale),
            self.flat_labels.map(|labels| Targets::labels(labels)),
        );
        let with_targets = (
            loss.array_target_losses(x(), axis, self.y.view()),
            loss.array_target_total(x(), axis, self.y.view()),
            loss.array_target_gradient(x(), axis, self.y.view(), scale),
            self.targets.map(Targets::distributions),
        );
        for (losses, of_all, gradients, targets) in [with_labels, with_targets] {
            let Some(targets) = targets else {
                let errors = [losses.err(), of_all.err(), gradients.err()];
                assert!(errors.iter().all(Option::is_some), "{}", context("another shape"));
                continue;
            };
            let expected = self.of_rows(|out| rows(targets, out));
            assert_same_values(losses.map(values), expected, || context("losses"));
            assert_same_totals(of_all, total(targets), || context("total"));
            let gradients = gradients.map(|(total, gradient)| (total, self.by_rows(gradient)));
            let expected = self.of_elements(|out| gradient(targets, out));
            assert_same_gradients(gradients, expected, || context("gradient"));
        }
    }

    fn check_binary_losses(&self, drawn: &Drawn, clip: [f32; 2]) {
        let (backend, scale) = (Backend::detected(), drawn.scale);
        let logits = bounds::binary(backend, &drawn.of_elements(None));
        let probs = bounds::clipped_binary(backend, &drawn.of_elements(Some(clip)));
        let (x, y) = (|| self.x.view(), || self.y.view());
        let got = [
            (
                logits.array_losses(x(), y()),
                logits.array_total(x(), y()),
                logits.array_gradient(x(), y(), scale),
            ),
            (
                probs.array_losses(x(), y()),
                probs.array_total(x(), y()),
                probs.array_gradient(x(), y(), scale),
            ),
        ];
        // The class axis is the last one.
        let last = Axis(self.x.ndim() - 1);
        let classes = self.x.len_of(last);
        let [x, y] = [&self.x, &self.y].map(|array| array.iter().copied().collect::<Vec<f32>>());
        let n_rows = self.x.shape()[..last.index()].iter().product();
        for (i, (losses, total, gradient)) in got.into_iter().enumerate() {
            let context = || self.context(&format!("elements, {drawn:?}, {clip:?}"));
            if self.targets.is_none() {
                let errors = [losses.err(), total.err(), gradient.err()];
                assert!(errors.iter().all(Option::is_some), "{}", context());
                continue;
            }
            let [x, y] =
                [&x, &y].map(|x| Rows::new(x, n_rows, classes).expect("as many as the shape has"));
            let y = BinaryTargets::new(y);
            let (of_losses, of_total, of_gradient) = if i == 0 {
                (
                    self.of_elements(|out| logits.rows(x, y, out)),
                    logits.total(x, y),
                    self.of_elements(|out| logits.gradient(x, y, scale, out)),
                )
            } else {
                (
                    self.of_elements(|out| probs.rows(x, y, out)),
                    probs.total(x, y),
                    self.of_elements(|out| probs.gradient(x, y, scale, out)),
                )
            };
            assert_same_values(losses.map(values), of_losses, context);
            assert_same_totals(total, of_total, context);
            let gradient = gradient.map(|(total, gradient)| (total, values(gradient)));
            assert_same_gradients(gradient, of_gradient, context);
        }
    }
}

/// The elements of an array, in order.
fn values(array: ArrayD<f32>) -> Vec<f32> {
    array.iter().copied().collect()
}

fn text(x: &impl Debug) -> String {
    format!("{x:?}")
}

/// One to four axes, the last of which may be long.
fn shape(bytes: &mut Bytes<'_>) -> Vec<usize> {
    let n_axes = 1 + bytes.below(4);
    let mut shape: Vec<usize> =
        (0..n_axes).map(|_| [1, 2, 3, 4, 5, 1, 7, 0][bytes.below(8)]).collect();
    if bytes.flag() {
        let axis = bytes.below(n_axes);
        shape[axis] = bytes.below(70);
    }
    shape
}

/// An array whose axes lie in any order, apart, or backwards in memory.
fn strided<'a>(
    bytes: &mut Bytes<'a>,
    shape: &[usize],
    elements: fn(&mut Bytes<'a>, usize) -> Vec<f32>,
) -> ArrayD<f32> {
    let mut order: Vec<usize> = (0..shape.len()).collect();
    for i in 1..order.len() {
        order.swap(i, bytes.below(i + 1));
    }
    let steps: Vec<isize> = shape.iter().map(|_| [1, 1, 1, 2, -1, -2][bytes.below(6)]).collect();
    let in_memory: Vec<usize> =
        order.iter().map(|&axis| shape[axis] * steps[axis].unsigned_abs()).collect();
    let data = elements(bytes, in_memory.iter().product());
    let array = ArrayD::from_shape_vec(in_memory, data).expect("as many as the shape has");
    let mut places = order.clone();
    for (place, &axis) in order.iter().enumerate() {
        places[axis] = place;
    }
    let mut array = array.permuted_axes(places);
    for (axis, &step) in steps.iter().enumerate() {
        array.slice_axis_inplace(Axis(axis), Slice::new(0, None, step));
    }
    assert_eq!(array.shape(), shape);
    array
}

/// Labels, mostly in range, in either order of memory.
fn labels(bytes: &mut Bytes<'_>, shape: &[usize], classes: usize) -> ArrayD<i64> {
    let n = shape.iter().product();
    let wrong = bytes.byte() >= 240;
    let labels: Vec<i64> = (0..n)
        .map(|_| bytes.below(classes.max(1) + usize::from(wrong)) as i64 - i64::from(wrong))
        .collect();
    let shape = IxDyn(shape).set_f(bytes.flag());
    ArrayD::from_shape_vec(shape, labels).expect("as many as the shape has")
}
