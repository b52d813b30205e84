//! A caller's mistake is an error with its numbers, and nothing is written.

mod common;

use common::calls::{assert_class_error, assert_element_error, assert_error, assert_row_error};
use xent_core::{
    Backend, BinaryCrossEntropy, BinaryTargets, ClippedBinaryCrossEntropy, ClippedCrossEntropy,
    CrossEntropy, Error, GradientScale, LossTotal, Reduction, Rows, Target, Targets, reference,
};

const UNTOUCHED: f32 = -77.0;

fn mismatch<T>(expected: usize, found: usize) -> Result<T, Error> {
    Err(Error::LengthMismatch { expected, found })
}

#[test]
fn rows_that_do_not_fit_their_slice() {
    let data = [0.0; 12];
    assert_eq!(Rows::new(&data, 3, 5).map(|_| ()), mismatch(15, 12));
    assert_eq!(Rows::new(&data, 2, 5).map(|_| ()), mismatch(10, 12));
    assert_eq!(Rows::new(&data, usize::MAX, 2).map(|_| ()), mismatch(usize::MAX, 12));
    assert_eq!(Rows::channels_first(&data, 2, 3, 4).map(|_| ()), mismatch(24, 12));
    assert_eq!(Rows::channels_first(&data, usize::MAX, 3, 4).map(|_| ()), mismatch(usize::MAX, 12));
    assert_eq!(Rows::strided(&data, 3, 4, 4, 1).map(|rows| rows.n_elements()), Ok(12));
    assert_eq!(Rows::strided(&data[..11], 3, 4, 4, 1).map(|_| ()), mismatch(12, 11));
    assert_eq!(Rows::strided(&data, 3, 4, 5, 1).map(|_| ()), mismatch(14, 12));
    assert_eq!(Rows::strided(&data, 3, 4, 1, 4).map(|_| ()), mismatch(15, 12));
    assert_eq!(Rows::strided(&data, 2, 2, usize::MAX, 1).map(|_| ()), mismatch(usize::MAX, 12));
    assert_eq!(Rows::strided(&data, 2, 2, 1, usize::MAX).map(|_| ()), mismatch(usize::MAX, 12));
    // Nothing is read of nothing, whatever the strides.
    assert!(Rows::strided(&[], 0, 9, usize::MAX, usize::MAX).is_ok());
    assert!(Rows::strided(&[], 9, 0, usize::MAX, usize::MAX).is_ok());
    let nothing = Rows::strided(&[1.0], usize::MAX, 0, usize::MAX, usize::MAX).unwrap();
    assert_eq!(nothing.as_slice(2), Some(&[][..]));
    assert_eq!(nothing.range(usize::MAX - 3..usize::MAX).range(1..9).as_slice(1), Some(&[][..]));
    assert_eq!(nothing.get(2, 0), None);
    let mut lse = [UNTOUCHED; 3];
    Backend::detected().log_sum_exp_rows(nothing.range(5..8), &mut lse).unwrap();
    assert_eq!(lse, [f32::NEG_INFINITY; 3]);
    // A stride of 0 repeats a row.
    assert_eq!(Rows::strided(&data, 100, 12, 0, 1).map(|rows| rows.n_rows()), Ok(100));
}

#[test]
fn elements_outside_are_none_and_ranges_outside_are_empty() {
    let rows = Rows::new(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap();
    assert_eq!(
        (rows.get(2, 0), rows.get(0, 2), rows.get(usize::MAX, usize::MAX)),
        (None, None, None)
    );
    assert_eq!(rows.as_slice(2), None);
    assert_eq!(rows.range(1..9).n_rows(), 1);
    assert_eq!(rows.range(5..9).n_rows(), 0);
    assert_eq!(rows.range(1..2).range(0..1).get(0, 1), Some(4.0));
    assert_eq!(rows.range(1..2).get(1, 0), None);
    assert_eq!(rows.range(usize::MAX..usize::MAX).n_rows(), 0);
}

/// Each loss over rows of logits or probabilities with labels.
fn label_losses(x: Rows<'_>, targets: Targets<'_>, out: &mut [f32]) -> Vec<Result<(), Error>> {
    Backend::all()
        .flat_map(|backend| {
            let cross_entropy = CrossEntropy::new().backend(backend);
            let clipped = ClippedCrossEntropy::new().backend(backend);
            [
                cross_entropy.rows(x, targets, out),
                clipped.rows(x, targets, out),
                clipped.normalize(true).rows(x, targets, out),
            ]
        })
        .collect()
}

#[test]
fn labels_out_of_range_are_errors_and_never_wrap_around() {
    let x = [1.0; 12];
    let rows = Rows::new(&x, 4, 3).unwrap();
    let columns = Rows::strided(&x, 4, 3, 1, 4).unwrap();
    for rows in [rows, columns] {
        for label in [-1_i64, 3, 4, i64::MIN, i64::MAX, -3, 255, 1 << 32] {
            for row in 0..4 {
                let mut labels = [0_i64; 4];
                labels[row] = label;
                let mut out = [UNTOUCHED; 4];
                for result in label_losses(rows, Targets::labels(&labels), &mut out) {
                    assert_eq!(result, Err(Error::LabelOutOfRange { row, label, classes: 3 }));
                }
                assert_eq!(out, [UNTOUCHED; 4]);
                let total = CrossEntropy::new().total(rows, &labels);
                assert_eq!(total, Err(Error::LabelOutOfRange { row, label, classes: 3 }));
            }
        }
    }
    let wide = Error::LabelOutOfRange { row: 0, label: i64::MAX, classes: 2 };
    assert_eq!(CrossEntropy::new().row(&[1.0, 2.0], u64::MAX), Err(wide));
    let label = i64::try_from(usize::MAX).unwrap_or(i64::MAX); // 2^32 - 1 where usize has 32 bits
    let wide = Error::LabelOutOfRange { row: 0, label, classes: 2 };
    assert_eq!(CrossEntropy::new().row(&[1.0, 2.0], usize::MAX), Err(wide));
    let negative = Error::LabelOutOfRange { row: 0, label: -1, classes: 2 };
    assert_eq!(CrossEntropy::new().row(&[1.0, 2.0], -1_i8), Err(negative));
    assert_eq!(ClippedCrossEntropy::new().row(&[1.0, 2.0], -1_isize), Err(negative));
}

#[test]
fn labels_of_every_integer_type_are_the_same() {
    let logits = [0.5, 1.5, -2.0];
    let rows = Rows::new(&logits, 1, 3).unwrap();
    let loss = CrossEntropy::new();
    let want = loss.row(&logits, 2);
    macro_rules! check {
        ($($int:ty)*) => {$(
            assert_eq!(loss.row(&logits, 2 as $int), want);
            assert_eq!(Target::from(2 as $int), Target::Label(2));
            let mut out = [0.0];
            loss.rows(rows, &[2 as $int], &mut out).unwrap();
            assert_eq!(Ok(out[0]), want);
            loss.rows(rows, &[2 as $int][..], &mut out).unwrap();
            loss.rows(rows, Targets::labels(&[2 as $int]), &mut out).unwrap();
            assert_eq!(Ok(out[0]), want);
        )*};
    }
    check!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);
}

#[test]
fn lengths_that_differ() {
    let x = [1.0; 6];
    let rows = Rows::new(&x, 2, 3).unwrap();
    let other = Rows::new(&x, 3, 2).unwrap();
    let mut out = [UNTOUCHED; 6];
    for n_labels in [0, 1, 3] {
        for result in label_losses(rows, Targets::labels(&vec![0_u8; n_labels]), &mut out[..2]) {
            assert_eq!(result, mismatch(2, n_labels));
        }
    }
    for n_out in [0, 1, 3] {
        for result in label_losses(rows, (&[0, 0]).into(), &mut out[..n_out]) {
            assert_eq!(result, mismatch(2, n_out));
        }
    }
    // As many elements, another shape: the rows tell.
    for result in label_losses(rows, other.into(), &mut out[..2]) {
        assert_eq!(result, mismatch(2, 3));
    }
    for result in label_losses(rows, rows.range(0..1).into(), &mut out[..2]) {
        assert_eq!(result, mismatch(6, 3));
    }
    for backend in Backend::all() {
        let binary = BinaryCrossEntropy::new().backend(backend);
        let clipped = ClippedBinaryCrossEntropy::new().backend(backend);
        assert_eq!(binary.row(&x, &x[..5], &mut out), mismatch(6, 5));
        assert_eq!(binary.row(&x, &x, &mut out[..5]), mismatch(6, 5));
        assert_eq!(binary.rows(rows, other, &mut out), mismatch(2, 3));
        assert_eq!(binary.total(rows, rows.range(0..1)), mismatch(6, 3));
        assert_eq!(clipped.row(&x, &x[..5], &mut out), mismatch(6, 5));
        assert_eq!(clipped.row(&x, &x, &mut out[..5]), mismatch(6, 5));
        assert_eq!(clipped.total(rows, rows.range(0..1)), mismatch(6, 3));
        assert_eq!(backend.softmax(&x, &mut out[..5]), mismatch(6, 5));
        assert_eq!(backend.log_softmax(&x[..5], &mut out), mismatch(5, 6));
        assert_eq!(backend.softmax_rows(rows, &mut out[..5]), mismatch(6, 5));
        assert_eq!(backend.log_softmax_rows(rows, &mut out[..5]), mismatch(6, 5));
        assert_eq!(backend.log_sum_exp_rows(rows, &mut out), mismatch(2, 6));
        let cross_entropy = CrossEntropy::new().backend(backend);
        assert_eq!(cross_entropy.row(&x, &x[..5]), mismatch(6, 5));
        assert_eq!(ClippedCrossEntropy::new().backend(backend).row(&x, &x[..5]), mismatch(6, 5));
    }
    assert_eq!(out, [UNTOUCHED; 6]);
}

/// Of no elements there can be any number of rows, each of which would take its time.
#[test]
fn rows_without_classes_are_not_gone_through() {
    let rows = Rows::channels_first(&[], usize::MAX / 4, 0, 2).unwrap();
    for backend in Backend::all() {
        assert_eq!(backend.softmax_rows(rows, &mut []), Ok(()));
        assert_eq!(backend.log_softmax_rows(rows, &mut []), Ok(()));
    }
}

#[test]
fn rows_without_classes_have_no_loss_and_no_rows_have_an_empty_one() {
    let empty = Err(Error::EmptyClasses { n_rows: 3 });
    let rows = Rows::new(&[], 3, 0).unwrap();
    let mut out = [UNTOUCHED; 3];
    for result in label_losses(rows, (&[0, 0, 0]).into(), &mut out) {
        assert_eq!(result, empty);
    }
    for result in label_losses(rows, rows.into(), &mut out) {
        assert_eq!(result, empty);
    }
    assert_eq!(BinaryCrossEntropy::new().rows(rows, rows, &mut []), empty);
    assert_eq!(ClippedBinaryCrossEntropy::new().rows(rows, rows, &mut []), empty);
    assert_eq!(out, [UNTOUCHED; 3]);
    let one = Error::EmptyClasses { n_rows: 1 };
    assert_eq!(CrossEntropy::new().row(&[], 0), Err(one));
    assert_eq!(ClippedCrossEntropy::new().row(&[], 0), Err(one));
    assert_eq!(BinaryCrossEntropy::new().row(&[], &[], &mut []), Err(one));

    for classes in [0, 5] {
        let none = Rows::new(&[], 0, classes).unwrap();
        for result in label_losses(none, Targets::labels::<u8>(&[]), &mut []) {
            assert_eq!(result, Ok(()));
        }
        let total = CrossEntropy::new().total(none, none).unwrap();
        assert_eq!((total.sum(), total.count()), (0.0, 0));
        assert!(total.mean().is_nan() && total.mean_count().is_nan());
        assert_eq!(BinaryCrossEntropy::new().rows(none, none, &mut []), Ok(()));
        assert_eq!(Backend::SCALAR.softmax_rows(none, &mut []), Ok(()));
        assert_eq!(Backend::SCALAR.log_sum_exp_rows(none, &mut []), Ok(()));
    }
    // Of a row without classes the log-sum-exp is that of nothing, and there is no softmax to write.
    let mut lse = [UNTOUCHED; 3];
    Backend::detected().log_sum_exp_rows(rows, &mut lse).unwrap();
    assert_eq!(lse, [f32::NEG_INFINITY; 3]);
    assert_eq!(Backend::detected().softmax_rows(rows, &mut []), Ok(()));
}

#[test]
fn clip_ranges_outside_0_to_1_or_in_the_wrong_order() {
    let rows = Rows::new(&[0.5; 4], 2, 2).unwrap();
    let nan = f32::NAN;
    for [lo, hi] in
        [[-1e-9, 1.0], [0.0, 1.1], [0.6, 0.5], [nan, 1.0], [0.0, nan], [nan, nan], [1.0, 0.0]]
    {
        let is_right = |error: Error| match error {
            Error::InvalidClip { lo: a, hi: b } => {
                a.to_bits() == lo.to_bits() && b.to_bits() == hi.to_bits()
            }
            _ => false,
        };
        let clipped = ClippedCrossEntropy::new().clip(lo, hi);
        let binary = ClippedBinaryCrossEntropy::new().clip(lo, hi);
        let mut out = [UNTOUCHED; 4];
        assert!(is_right(clipped.row(&[0.5, 0.5], 0).unwrap_err()));
        assert!(is_right(clipped.rows(rows, &[0, 0], &mut out[..2]).unwrap_err()));
        assert!(is_right(clipped.total(rows, rows).unwrap_err()));
        assert!(is_right(binary.element(0.5, 1.0).unwrap_err()));
        assert!(is_right(binary.row(&[0.5], &[0.5], &mut out[..1]).unwrap_err()));
        assert!(is_right(binary.rows(rows, rows, &mut out).unwrap_err()));
        assert!(is_right(binary.total(rows, rows).unwrap_err()));
        assert_eq!(out, [UNTOUCHED; 4]);
    }
    for [lo, hi] in [[0.0, 1.0], [0.0, 0.0], [1.0, 1.0], [0.5, 0.5], [-0.0, 1.0]] {
        assert!(ClippedCrossEntropy::new().clip(lo, hi).row(&[0.5], 0).is_ok());
    }
}

#[test]
fn backends_by_name() {
    for backend in Backend::all() {
        assert_eq!(Backend::by_name(backend.name()), Ok(backend));
    }
    for name in Backend::NAMES {
        match Backend::by_name(name) {
            Ok(backend) => assert_eq!(backend.name(), name),
            Err(error) => {
                println!("not run here: {name}");
                assert_eq!(error, Error::UnavailableBackend { name: Some(name) });
            }
        }
    }
    for name in ["", "AVX2", "sse9", "scalar "] {
        assert_eq!(Backend::by_name(name), Err(Error::UnavailableBackend { name: None }));
    }
    assert_eq!(Some(Backend::detected()), Backend::all().last());
}

#[test]
fn messages_say_what_was_found_and_what_was_needed() {
    let messages = [
        (
            Error::LengthMismatch { expected: 10, found: 9 },
            "found 9 elements where 10 were expected",
        ),
        (
            Error::LabelOutOfRange { row: 4, label: -1, classes: 10 },
            "label -1 in row 4 is not one of 10 classes (0 to 9)",
        ),
        (
            Error::EmptyClasses { n_rows: 2 },
            "2 rows have no classes, and a loss needs at least one",
        ),
        (
            Error::InvalidClip { lo: 0.5, hi: 0.25 },
            "clip range [0.5, 0.25] does not satisfy 0 <= lo <= hi <= 1",
        ),
        (
            Error::InvalidOption { name: "label_smoothing", value: 2.0 },
            "2 is no valid value of label_smoothing",
        ),
        (
            Error::UnavailableBackend { name: Some("avx512") },
            "this CPU or this build does not have the backend avx512",
        ),
        (Error::UnavailableBackend { name: None }, "no backend has this name"),
    ];
    for (error, message) in messages {
        assert_eq!(error.to_string(), message);
        let _: &dyn core::error::Error = &error;
    }
}

#[test]
fn the_reference_and_the_total_take_anything() {
    for [lo, hi] in [[1.0, 0.0], [f32::NAN, 1.0], [0.0, f32::NAN], [-1.0, 2.0]] {
        for p in [0.5, f32::NAN, -1.0, f32::INFINITY] {
            let _ = reference::clipped_binary_cross_entropy(p, 1.0, [lo, hi]);
            for normalize in [false, true] {
                let (x, y) = ([p, 0.5], [0.5, 0.5]);
                let _ = reference::clipped_cross_entropy(&x, 0, [lo, hi], normalize);
                let _ = reference::clipped_cross_entropy(&x, usize::MAX, [lo, hi], normalize);
                let _ = reference::clipped_cross_entropy_target(&x, &y, [lo, hi], normalize);
            }
        }
    }
    let mut total = LossTotal::EMPTY;
    total.push(1.0, 1.0);
    for _ in 0..70 {
        total = total.merge(total);
    }
    assert_eq!((total.count(), total.mean()), (u64::MAX, 1.0));
}

const NAN: f32 = f32::NAN;
const INF: f32 = f32::INFINITY;

fn invalid(name: &'static str, value: f32) -> Error {
    Error::InvalidOption { name, value }
}

/// Values that are no weight, and those that are outside [0, 1].
const NO_WEIGHTS: [f32; 5] = [-1.0, -1e-45, INF, f32::NEG_INFINITY, NAN];
const NO_SHARES: [f32; 6] = [-1e-9, 1.000_000_1, -INF, INF, NAN, 2.0];

#[test]
fn invalid_options_of_class_losses_are_errors_of_every_call() {
    let data = [0.5; 6];
    let rows = Rows::new(&data, 2, 3).unwrap();
    let x = &data[..3];
    for backend in Backend::all() {
        let (a, b) =
            (CrossEntropy::new().backend(backend), ClippedCrossEntropy::new().backend(backend));
        let check = |loss: (CrossEntropy<'_>, Option<ClippedCrossEntropy<'_>>), error: Error| {
            for targets in [Targets::labels(&[0, 2]), rows.into()] {
                assert_class_error(loss.0, rows, targets, error);
                if let Some(loss) = loss.1 {
                    assert_class_error(loss, rows, targets, error);
                    assert_class_error(loss.normalize(true), rows, targets, error);
                }
            }
            for target in [Target::Label(1), Target::Distribution(x)] {
                assert_row_error(loss.0, x, target, error);
                if let Some(loss) = loss.1 {
                    assert_row_error(loss, x, target, error);
                }
            }
        };
        for value in NO_SHARES {
            let losses = (a.label_smoothing(value), Some(b.label_smoothing(value)));
            check(losses, invalid("label_smoothing", value));
        }
        for value in NO_WEIGHTS {
            check((a.focal(value), Some(b.focal(value))), invalid("focal_gamma", value));
            let losses = (a.focal_alpha(value), Some(b.focal_alpha(value)));
            check(losses, invalid("focal_alpha", value));
            check((a.z_loss(value), None), invalid("z_loss", value));
            for at in 0..3 {
                let mut weights = [1.0; 3];
                weights[at] = value;
                let losses = (a.class_weights(&weights), Some(b.class_weights(&weights)));
                check(losses, invalid("class_weights", value));
            }
        }
        for n_weights in [0, 1, 2, 4] {
            let weights = vec![1.0; n_weights];
            let error = Error::LengthMismatch { expected: 3, found: n_weights };
            check((a.class_weights(&weights), Some(b.class_weights(&weights))), error);
        }
        for value in [0.0, -0.0, -1.0, INF, -INF, NAN] {
            check((a.temperature(value), None), invalid("temperature", value));
        }
        for value in [0.0, -0.0, -1.0, -INF, NAN] {
            check((a.soft_cap(value), None), invalid("soft_cap", value));
        }
        let clipped = b.clip(0.5, 0.25);
        let error = Error::InvalidClip { lo: 0.5, hi: 0.25 };
        assert_class_error(clipped, rows, Targets::labels(&[0, 2]), error);
        assert_row_error(clipped, x, Target::Label(0), error);
        // The ends of the ranges are inside.
        assert!(a.label_smoothing(1.0).soft_cap(INF).focal(0.0).focal_alpha(0.0).row(x, 0).is_ok());
        assert!(
            a.temperature(f32::MIN_POSITIVE)
                .z_loss(-0.0)
                .class_weights(&[0.0; 3])
                .row(x, 0)
                .is_ok()
        );
    }
}

#[test]
fn invalid_options_of_binary_losses_are_errors_of_every_call() {
    let data = [0.5; 6];
    let rows = Rows::new(&data, 2, 3).unwrap();
    let targets = BinaryTargets::new(rows);
    for backend in Backend::all() {
        let a = BinaryCrossEntropy::new().backend(backend);
        let b = ClippedBinaryCrossEntropy::new().backend(backend);
        for value in NO_SHARES {
            let error = invalid("label_smoothing", value);
            assert_element_error(a.label_smoothing(value), rows, targets, error);
            assert_element_error(b.label_smoothing(value), rows, targets, error);
            assert!(a.label_smoothing(value).element(0.5, 1.0).is_err());
            assert!(b.label_smoothing(value).element(0.5, 1.0).is_err());
            let error = invalid("focal_alpha", value);
            assert_element_error(a.focal_alpha(value), rows, targets, error);
            assert_element_error(b.focal_alpha(value), rows, targets, error);
        }
        for value in NO_WEIGHTS {
            let error = invalid("focal_gamma", value);
            assert_element_error(a.focal(value), rows, targets, error);
            assert_element_error(b.focal(value), rows, targets, error);
            let weights = [1.0, 0.0, value];
            let error = invalid("pos_weights", value);
            assert_element_error(a.pos_weights(&weights), rows, targets, error);
            assert_element_error(b.pos_weights(&weights), rows, targets, error);
            let sample_weights = [value, 1.0];
            let error = invalid("sample_weights", value);
            assert_element_error(a, rows, targets.with_sample_weights(&sample_weights), error);
            assert_element_error(b, rows, targets.with_sample_weights(&sample_weights), error);
        }
        for n in [0, 1, 2, 4, 6] {
            let weights = vec![1.0; n];
            let error = Error::LengthMismatch { expected: 3, found: n };
            assert_element_error(a.pos_weights(&weights), rows, targets, error);
            assert_element_error(b.pos_weights(&weights), rows, targets, error);
        }
        for n in [0, 1, 3] {
            let weights = vec![1.0; n];
            let error = Error::LengthMismatch { expected: 2, found: n };
            assert_element_error(a, rows, targets.with_sample_weights(&weights), error);
            assert_element_error(b, rows, targets.with_sample_weights(&weights), error);
        }
        for value in [0.0, -1.0, INF, NAN] {
            assert_element_error(
                a.temperature(value),
                rows,
                targets,
                invalid("temperature", value),
            );
        }
        for value in [0.0, -1.0, -INF, NAN] {
            assert_element_error(a.soft_cap(value), rows, targets, invalid("soft_cap", value));
        }
        let error = Error::InvalidClip { lo: 0.5, hi: 0.25 };
        assert_element_error(b.clip(0.5, 0.25), rows, targets, error);
        let other = BinaryTargets::new(Rows::new(&data, 3, 2).unwrap());
        let mut out = [UNTOUCHED; 6];
        let error = Error::LengthMismatch { expected: 2, found: 3 };
        assert_error(a.gradient(rows, other, 1.0, &mut out), error);
        assert_error(b.gradient(rows, other, 1.0, &mut out), error);
        assert_eq!(out, [UNTOUCHED; 6]);
    }
}

#[test]
fn sample_weights_and_labels_of_every_call() {
    let data = [0.5; 6];
    let rows = Rows::new(&data, 2, 3).unwrap();
    for backend in Backend::all() {
        let (a, b) =
            (CrossEntropy::new().backend(backend), ClippedCrossEntropy::new().backend(backend));
        for (a, b) in [(a, b), (a.ignore(-1), b.ignore(-1)), (a.focal(2.0), b.normalize(true))] {
            for targets in [Targets::labels(&[0, 2]), rows.into()] {
                for value in NO_WEIGHTS {
                    let weights = [1.0, value];
                    let targets = targets.with_sample_weights(&weights);
                    assert_class_error(a, rows, targets, invalid("sample_weights", value));
                    assert_class_error(b, rows, targets, invalid("sample_weights", value));
                }
                for n in [0, 1, 3] {
                    let weights = vec![1.0; n];
                    let targets = targets.with_sample_weights(&weights);
                    let error = Error::LengthMismatch { expected: 2, found: n };
                    assert_class_error(a, rows, targets, error);
                    assert_class_error(b, rows, targets, error);
                }
            }
            for label in [-2_i64, 3, i64::MAX, i64::MIN] {
                let error = Error::LabelOutOfRange { row: 1, label, classes: 3 };
                assert_class_error(a, rows, Targets::labels(&[0, label]), error);
                assert_class_error(b, rows, Targets::labels(&[0, label]), error);
                let error = Error::LabelOutOfRange { row: 0, label, classes: 3 };
                assert_row_error(a, &data[..3], Target::Label(label), error);
                assert_row_error(b, &data[..3], Target::Label(label), error);
            }
            for n in [0, 1, 3] {
                let labels = vec![0_u8; n];
                let error = Error::LengthMismatch { expected: 2, found: n };
                assert_class_error(a, rows, Targets::labels(&labels), error);
                assert_class_error(b, rows, Targets::labels(&labels), error);
            }
            let error = Error::LengthMismatch { expected: 3, found: 2 };
            assert_row_error(a, &data[..3], Target::Distribution(&data[..2]), error);
            assert_row_error(b, &data[..3], Target::Distribution(&data[..2]), error);
        }
        // An ignored row's label is not looked at, whatever it is; all others are.
        assert_eq!(a.ignore(-1).check(rows, &[-1, 2]), Ok(()));
        let error = Error::LabelOutOfRange { row: 1, label: -1, classes: 3 };
        assert_class_error(a.ignore(-100), rows, Targets::labels(&[-100, -1]), error);
        assert_class_error(b.ignore(-100), rows, Targets::labels(&[-100, -1]), error);
        assert_class_error(a.ignore(None), rows, Targets::labels(&[0, -1]), error);
    }
}

#[test]
fn outputs_of_another_length_and_factors_that_are_not_finite() {
    let data = [0.5; 6];
    let rows = Rows::new(&data, 2, 3).unwrap();
    let labels = Targets::labels(&[0, 2]);
    for backend in Backend::all() {
        let (a, b) =
            (CrossEntropy::new().backend(backend), ClippedCrossEntropy::new().backend(backend));
        let (c, d) = (
            BinaryCrossEntropy::new().backend(backend),
            ClippedBinaryCrossEntropy::new().backend(backend),
        );
        let mut out = [UNTOUCHED; 9];
        for n in [0, 2, 5, 7, 9] {
            let error = Error::LengthMismatch { expected: 6, found: n };
            for scale in [GradientScale::Factor(2.0), Reduction::Mean.into()] {
                assert_error(a.gradient(rows, labels, scale, &mut out[..n]), error);
                assert_error(a.focal(2.0).gradient(rows, rows, scale, &mut out[..n]), error);
                assert_error(b.gradient(rows, labels, scale, &mut out[..n]), error);
                assert_error(c.gradient(rows, rows, scale, &mut out[..n]), error);
                assert_error(d.gradient(rows, rows, scale, &mut out[..n]), error);
            }
        }
        for n in [0, 2, 4] {
            let error = Error::LengthMismatch { expected: 3, found: n };
            assert_error(a.row_gradient(&data[..3], 0, &mut out[..n]), error);
            assert_error(b.row_gradient(&data[..3], 0, &mut out[..n]), error);
        }
        for n in [0, 1, 3] {
            let error = Error::LengthMismatch { expected: 2, found: n };
            assert_error(a.z_loss(0.1).rows(rows, labels, &mut out[..n]), error);
            assert_error(a.label_smoothing(0.1).rows(rows, labels, &mut out[..n]), error);
            assert_error(b.focal(1.0).rows(rows, labels, &mut out[..n]), error);
        }
        assert_error(
            a.gradient_in_place(&mut out[..6], 3, 3, labels, 1.0),
            Error::LengthMismatch { expected: 9, found: 6 },
        );
        assert_error(
            a.gradient_in_place(&mut out[..6], 3, 2, labels, 1.0),
            Error::LengthMismatch { expected: 3, found: 2 },
        );
        assert_error(
            a.gradient_in_place(&mut out, usize::MAX, 2, labels, 1.0),
            Error::LengthMismatch { expected: usize::MAX, found: 9 },
        );
        assert_error(
            c.gradient_in_place(&mut out[..5], rows, 1.0),
            Error::LengthMismatch { expected: 6, found: 5 },
        );
        for factor in [NAN, INF, -INF] {
            let error = invalid("gradient_scale", factor);
            assert_error(a.gradient(rows, labels, factor, &mut out[..6]), error);
            assert_error(a.gradient_in_place(&mut out[..6], 2, 3, labels, factor), error);
            assert_error(a.gradient_factor(labels, 2, factor), error);
            assert_error(b.gradient(rows, rows, factor, &mut out[..6]), error);
            assert_error(b.gradient_in_place(&mut out[..6], 2, 3, labels, factor), error);
            assert_error(c.gradient(rows, rows, factor, &mut out[..6]), error);
            assert_error(c.gradient_in_place(&mut out[..6], rows, factor), error);
            assert_error(c.gradient_factor(rows, factor), error);
            assert_error(d.gradient(rows, rows, factor, &mut out[..6]), error);
        }
        assert_eq!(out, [UNTOUCHED; 9]);
        // Negative factors and 0 are factors.
        a.gradient(rows, labels, -2.0, &mut out[..6]).unwrap();
        assert!(out[0] > 0.0 && out[1] < 0.0);
    }
}

#[test]
fn any_option_value_is_an_error_or_a_number_and_never_a_panic() {
    let values = [NAN, INF, -INF, 0.0, -1.0, 1.0, 0.5, 1e-45, f32::MAX, 1e30];
    let x = [0.5, -3.0, INF, 7.0, NAN, -INF];
    let rows = Rows::new(&x, 2, 3).unwrap();
    let mut out = [0.0; 6];
    for a in values {
        for b in values {
            let weights = [a, b, 1.0];
            let loss = CrossEntropy::new().label_smoothing(a).focal(b).z_loss(b).soft_cap(a);
            let _ =
                loss.temperature(b).class_weights(&weights).gradient(rows, &[0, 2], a, &mut out);
            let loss = CrossEntropy::new().temperature(a).soft_cap(b).focal_alpha(a);
            let _ = loss.gradient(rows, rows, Reduction::Mean, &mut out);
            let targets = Targets::labels(&[1, 1]).with_sample_weights(&weights[..2]);
            let _ = CrossEntropy::new().focal(a).gradient(rows, targets, b, &mut out);
            let loss = ClippedCrossEntropy::new().focal(a).label_smoothing(b).normalize(true);
            let _ = loss.gradient(rows, targets, Reduction::MeanCount, &mut out);
            let loss = BinaryCrossEntropy::new().focal(a).focal_alpha(b).pos_weights(&weights);
            let _ = loss.temperature(a).soft_cap(b).gradient(rows, rows, a, &mut out);
            let loss = ClippedBinaryCrossEntropy::new().focal(a).focal_alpha(b).clip(0.0, 1.0);
            let _ = loss.pos_weights(&weights).gradient(rows, rows, b, &mut out);
        }
    }
}

#[test]
fn the_factor_of_a_gradient_is_of_targets_that_fit() {
    let none: [u8; 0] = [];
    for n_rows in [5, usize::MAX] {
        let error = Error::LengthMismatch { expected: n_rows, found: 0 };
        let targets = Targets::labels(&none);
        assert_eq!(
            CrossEntropy::new().gradient_factor(targets, n_rows, Reduction::Mean),
            Err(error)
        );
        let loss = ClippedCrossEntropy::new();
        assert_eq!(loss.gradient_factor(targets, n_rows, Reduction::Mean), Err(error));
    }
    let rows = Rows::new(&[], usize::MAX, 0).unwrap();
    let error = Error::EmptyClasses { n_rows: usize::MAX };
    assert_eq!(BinaryCrossEntropy::new().gradient_factor(rows, Reduction::Mean), Err(error));
    assert_eq!(ClippedBinaryCrossEntropy::new().gradient_factor(rows, Reduction::Mean), Err(error));
}
