//! A caller's mistake is an error with its numbers, and nothing is written.

use xent_core::{
    Backend, BinaryCrossEntropy, ClippedBinaryCrossEntropy, ClippedCrossEntropy, CrossEntropy,
    Error, LossTotal, Rows, Target, Targets, reference,
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
