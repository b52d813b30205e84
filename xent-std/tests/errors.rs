//! A batch has the errors of core, with the same numbers, at any size.

use xent_std::{
    BatchBinaryLoss, BatchLoss, BinaryCrossEntropy, ClippedBinaryCrossEntropy, ClippedCrossEntropy,
    CrossEntropy, Error, Rows, Targets,
};

/// Small enough for one thread, large enough for several, and few long rows.
const SHAPES: [(usize, usize); 3] = [(5, 4), (2400, 1100), (3, 1_000_000)];

/// Checks losses and totals of both losses of rows against core, which must fail.
fn assert_core_error<'a>(x: Rows<'_>, targets: impl Into<Targets<'a>>, want: Error) {
    let targets = targets.into();
    let mut losses = vec![7.0; x.n_rows()];
    let loss = CrossEntropy::new();
    assert_eq!(loss.rows(x, targets, &mut losses), Err(want), "core");
    assert_eq!(loss.batch_losses(x, targets), Err(want));
    assert_eq!(loss.batch_total(x, targets), Err(want));
    for normalize in [false, true] {
        let loss = ClippedCrossEntropy::new().normalize(normalize);
        assert_eq!(loss.rows(x, targets, &mut losses), Err(want), "core");
        assert_eq!(loss.batch_losses(x, targets), Err(want));
        assert_eq!(loss.batch_total(x, targets), Err(want));
    }
}

#[test]
fn the_first_label_out_of_range_is_named_with_its_row() {
    for (n_rows, classes) in SHAPES {
        let x = vec![0.5; n_rows * classes];
        let x = Rows::new(&x, n_rows, classes).unwrap();
        for wrong in [-1, classes as i64, i64::MIN, i64::MAX] {
            for row in [0, n_rows / 2, n_rows - 1] {
                let mut labels = vec![1_i64; n_rows];
                labels[row] = wrong;
                labels[n_rows - 1] = wrong;
                let want = Error::LabelOutOfRange { row, label: wrong, classes };
                assert_core_error(x, &labels[..], want);
            }
        }
    }
}

#[test]
fn labels_too_few_or_too_many_are_counted() {
    for (n_rows, classes) in SHAPES {
        let x = vec![0.5; n_rows * classes];
        let x = Rows::new(&x, n_rows, classes).unwrap();
        for found in [0, 1, n_rows - 1, n_rows + 1, 3 * n_rows] {
            let labels = vec![1_u8; found];
            assert_core_error(x, &labels[..], Error::LengthMismatch { expected: n_rows, found });
        }
    }
}

#[test]
fn distributions_of_another_shape_are_counted() {
    for (n_rows, classes) in SHAPES {
        let x = vec![0.5; (n_rows + 1) * (classes + 1)];
        let shape = |n_rows, classes| Rows::new(&x[..n_rows * classes], n_rows, classes).unwrap();
        let expected = n_rows * classes;
        for y in [
            shape(n_rows + 1, classes),
            shape(n_rows - 1, classes),
            shape(n_rows, classes + 1),
            shape(n_rows, classes - 1),
            shape(0, classes),
            shape(n_rows, 0),
            shape(0, 0),
        ] {
            let want = Error::LengthMismatch { expected, found: y.n_elements() };
            assert_core_error(shape(n_rows, classes), y, want);
        }
    }
}

#[test]
fn rows_without_classes_are_an_error_and_no_rows_are_none() {
    let no_classes = Rows::new(&[], 3, 0).unwrap();
    assert_core_error(no_classes, &[0, 0, 0], Error::EmptyClasses { n_rows: 3 });
    assert_core_error(no_classes, no_classes, Error::EmptyClasses { n_rows: 3 });
    for classes in [0, 4] {
        let no_rows = Rows::new(&[], 0, classes).unwrap();
        let no_labels: [i32; 0] = [];
        assert_eq!(CrossEntropy::new().batch_losses(no_rows, &no_labels), Ok(vec![]));
        assert_eq!(CrossEntropy::new().batch_losses(no_rows, no_rows), Ok(vec![]));
        assert_eq!(BinaryCrossEntropy::new().batch_losses(no_rows, no_rows), Ok(vec![]));
        assert_eq!(CrossEntropy::new().batch_total(no_rows, &no_labels).unwrap().count(), 0);
        let want = Error::LengthMismatch { expected: 0, found: 2 };
        assert_core_error(no_rows, &[0, 0], want);
    }
}

/// Rows that share their memory: the product of the shape is beyond usize, and wrapped round it was 0.
#[test]
#[should_panic(expected = "capacity overflow")]
fn a_gradient_that_fits_into_no_memory_ends_as_a_vec_does() {
    let rows = Rows::strided(&[1.0, 2.0], 1 << (usize::BITS - 1), 2, 0, 1).unwrap();
    let _ = CrossEntropy::new().batch_gradient(rows, rows, 1.0);
}

#[test]
fn a_clip_range_that_is_none_is_an_error_before_any_other() {
    for (n_rows, classes) in SHAPES {
        let x = vec![0.5; n_rows * classes];
        let x = Rows::new(&x, n_rows, classes).unwrap();
        let want = Error::InvalidClip { lo: 0.5, hi: 0.25 };
        let labels = vec![0_u16; n_rows];
        let loss = ClippedCrossEntropy::new().clip(0.5, 0.25);
        for labels in [&labels[..], &[]] {
            assert_eq!(loss.batch_losses(x, labels), Err(want));
            assert_eq!(loss.batch_total(x, labels), Err(want));
        }
        let loss = ClippedBinaryCrossEntropy::new().clip(0.5, 0.25);
        for y in [x, x.range(0..0)] {
            assert_eq!(loss.batch_losses(x, y), Err(want));
            assert_eq!(loss.batch_total(x, y), Err(want));
            assert_eq!(loss.batch_losses(y, x), Err(want));
        }
    }
}

#[test]
fn binary_targets_of_another_shape_are_counted() {
    for (n_rows, classes) in SHAPES {
        let x = vec![0.5; (n_rows + 1) * (classes + 1)];
        let shape = |n_rows, classes| Rows::new(&x[..n_rows * classes], n_rows, classes).unwrap();
        let x = shape(n_rows, classes);
        for y in [shape(n_rows + 1, classes), shape(n_rows, classes - 1), shape(0, 0)] {
            let found = y.n_elements();
            let want = Error::LengthMismatch { expected: n_rows * classes, found };
            let mut losses = vec![7.0; n_rows * classes];
            assert_eq!(BinaryCrossEntropy::new().rows(x, y, &mut losses), Err(want), "core");
            assert_eq!(BinaryCrossEntropy::new().batch_losses(x, y), Err(want));
            assert_eq!(BinaryCrossEntropy::new().batch_total(x, y), Err(want));
            assert_eq!(ClippedBinaryCrossEntropy::new().batch_losses(x, y), Err(want));
            assert_eq!(ClippedBinaryCrossEntropy::new().batch_total(x, y), Err(want));
        }
    }
    let no_classes = Rows::new(&[], 3, 0).unwrap();
    let want = Error::EmptyClasses { n_rows: 3 };
    assert_eq!(BinaryCrossEntropy::new().batch_losses(no_classes, no_classes), Err(want));
    assert_eq!(BinaryCrossEntropy::new().batch_total(no_classes, no_classes), Err(want));
}
