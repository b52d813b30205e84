//! The figures of the documents that xent began from, and the small losses that other libraries lose,
//! on every backend.

use xent_core::{
    Backend, BinaryCrossEntropy, ClippedBinaryCrossEntropy, ClippedCrossEntropy, CrossEntropy,
    Rows, reference,
};

/// The figures are printed with up to eight digits: `got` agrees with all of them.
fn assert_figure(backend: Backend, got: f32, printed: &str) {
    let want: f64 = printed.parse().unwrap();
    let digits = printed.split_once('.').map_or(0, |(_, digits)| digits.len());
    // Half a unit of the last printed digit, and half an ULP for the f32 that was printed.
    let allowed = 0.5 * 10_f64.powi(-(digits as i32)) + want.abs() * 2_f64.powi(-24);
    let error = (f64::from(got) - want).abs();
    assert!(error <= allowed, "{backend:?}: {got} where the document prints {printed}");
}

const ROWS_000: [f32; 9] = [0.4, 2.0, 1.3, 1.2, 0.3, 0.2, 0.4, 0.5, 2.3];

#[test]
fn document_000_clipped_and_normalized() {
    for backend in Backend::all() {
        let loss = ClippedCrossEntropy::new().normalize(true).backend(backend);
        let onehot = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0];
        for (row, printed) in ["2.2246234", "2.1400661", "1.856298"].into_iter().enumerate() {
            let (p, y) = (&ROWS_000[3 * row..][..3], &onehot[3 * row..][..3]);
            assert_figure(backend, loss.row(p, [0, 2, 1][row]).unwrap(), printed);
            assert_figure(backend, loss.row(p, y).unwrap(), printed);
        }
    }
}

#[test]
fn document_000_as_logits() {
    for backend in Backend::all() {
        let mut losses = [0.0; 3];
        let rows = Rows::new(&ROWS_000, 3, 3).unwrap();
        CrossEntropy::new().backend(backend).rows(rows, &[0, 2, 1], &mut losses).unwrap();
        for (got, printed) in losses.into_iter().zip(["2.1297348", "1.57349", "2.073736"]) {
            assert_figure(backend, got, printed);
        }
    }
}

#[test]
fn document_001_mean_with_its_own_clip_range() {
    for backend in Backend::all() {
        let mut probs = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut targets = [-1.0, 2.0, 0.0, 3.0, 1.0, -4.0];
        for row in probs.chunks_mut(3).chain(targets.chunks_mut(3)) {
            backend.softmax_in_place(row);
        }
        let (p, y) = (Rows::new(&probs, 2, 3).unwrap(), Rows::new(&targets, 2, 3).unwrap());
        let loss = ClippedCrossEntropy::new().clip(1e-10, 1.0).backend(backend);
        let mut losses = [0.0; 2];
        loss.rows(p, y, &mut losses).unwrap();
        assert_figure(backend, losses[0], "1.3354208");
        assert_figure(backend, losses[1], "2.2868938");
        assert_figure(backend, loss.total(p, y).unwrap().mean() as f32, "1.8111573");
    }
}

#[test]
fn document_002_binary_and_categorical_means() {
    for backend in Backend::all() {
        let p = Rows::new(&[0.8, 0.2, 0.6, 0.9, 0.3], 1, 5).unwrap();
        let y = Rows::new(&[1.0, 0.0, 1.0, 1.0, 0.0], 1, 5).unwrap();
        let total = ClippedBinaryCrossEntropy::new().backend(backend).total(p, y).unwrap();
        assert_figure(backend, total.mean() as f32, "0.28382963");

        let p = Rows::new(&[0.2, 0.6, 0.2, 0.8, 0.1, 0.1, 0.3, 0.2, 0.5], 3, 3).unwrap();
        let total = ClippedCrossEntropy::new().backend(backend).total(p, &[1, 0, 2]).unwrap();
        assert_figure(backend, total.mean() as f32, "0.47570545");
    }
}

#[test]
fn document_003_sparse_labels_and_reductions() {
    for backend in Backend::all() {
        let rows = Rows::new(&ROWS_000, 3, 3).unwrap();
        let logits = CrossEntropy::new().backend(backend);
        let probs = ClippedCrossEntropy::new().normalize(true).backend(backend);
        let (mut a, mut b) = ([0.0; 3], [0.0; 3]);
        logits.rows(rows, &[0_u8, 2, 1], &mut a).unwrap();
        probs.rows(rows, &[0_i64, 2, 1], &mut b).unwrap();
        for (total, losses) in [
            (logits.total(rows, &[0_u16, 2, 1]).unwrap(), a),
            (probs.total(rows, &[0_usize, 2, 1]).unwrap(), b),
        ] {
            let sum: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
            assert_eq!((total.sum(), total.mean(), total.count()), (sum, sum / 3.0, 3));
        }
    }
}

#[test]
fn document_004_and_its_classic_mistake() {
    for backend in Backend::all() {
        let p = [0.1, 0.8, 0.1];
        let clipped = ClippedCrossEntropy::new().backend(backend);
        assert_figure(backend, clipped.row(&p, 1).unwrap(), "0.22314353");
        let logits = CrossEntropy::new().backend(backend);
        assert_figure(backend, logits.row(&p, 1).unwrap(), "0.6897266");
    }
}

#[test]
fn small_losses_keep_their_digits() {
    let cases: [(&[f32], usize, f64); 5] = [
        (&[20.0, 0.0, 0.0, 0.0], 0, 6.183e-9),
        (&[17.0, 0.0], 0, 4.140e-8),
        (&[0.0, -40.0], 0, 4.248e-18),
        (&[1e4, 1e4 - 9.5, 1e4 - 11.0], 0, 9.155e-5),
        (&[1e4, 1e4 - 0.5], 1, 0.974077),
    ];
    for (logits, label, printed) in cases {
        let want = reference::cross_entropy(logits, label);
        assert!((want / printed - 1.0).abs() < 2e-4, "{logits:?}: {want:e}, not {printed:e}");
        for backend in Backend::all() {
            let got = CrossEntropy::new().backend(backend).row(logits, label).unwrap();
            let error = (f64::from(got) / want - 1.0).abs();
            assert!(error < 3e-7, "{backend:?}, {logits:?}: {got:e}, exactly {want:e}");
        }
    }
}

#[test]
fn a_confident_binary_loss_keeps_its_digits() {
    for backend in Backend::all() {
        let loss = BinaryCrossEntropy::new().backend(backend);
        assert_eq!(loss.element(20.0, 1.0), Ok(2.0611537e-9), "{backend:?}");
        assert_eq!(loss.element(-100.0, 0.0), Ok(3.8e-44), "{backend:?}");
    }
}

#[test]
fn a_perfect_prediction_costs_what_the_clip_range_says() {
    for backend in Backend::all() {
        let categorical = ClippedCrossEntropy::new().backend(backend);
        let binary = ClippedBinaryCrossEntropy::new().backend(backend);
        // -ln(1 - 2^-23) = 2^-23 + 2^-47 + ...: one step above the 2^-23 that a rounded logarithm gives.
        assert_eq!(categorical.row(&[1.0, 0.0], 0), Ok(1.192093e-7), "{backend:?}");
        assert_eq!(binary.element(1.0, 1.0), Ok(1.192093e-7), "{backend:?}");
        // Keras has 1.1920929e-7 here too, from the rounded 1 - 1e-7.
        assert_eq!(binary.element(0.0, 0.0), Ok(1.0000001e-7), "{backend:?}");
    }
}
