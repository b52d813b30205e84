//! The statistics of a batch have the bits of core, and an evaluation is what its rows say.

use xent_std::{
    Backend, BatchBackend, CalibrationBin, Error, Evaluation, RowStatistics, Rows,
    batch_statistics, row_statistics, row_statistics_rows,
};

/// Numbers in [-scale, scale) from a linear congruential generator.
fn numbers(n: usize, seed: u64, scale: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / 8_388_608.0 - 1.0) * scale
    };
    (0..n).map(|_| next()).collect()
}

fn labels(n_rows: usize, classes: usize) -> Vec<u32> {
    (0..n_rows).map(|row| (row * 7919 % classes) as u32).collect()
}

/// Runs `check` with pools of several sizes, or on this thread without rayon.
fn with_threads(check: impl Fn(&str) + Sync) {
    #[cfg(feature = "rayon")]
    for n_threads in [1, 2, 3, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| check(&format!("{n_threads} threads")));
    }
    #[cfg(not(feature = "rayon"))]
    check("no rayon");
}

#[test]
fn batch_statistics_have_the_bits_of_core() {
    for (n_rows, classes) in [
        (0, 5),
        (1, 1),
        (3, 10),
        (1023, 3),
        (2049, 1025),
        (60_000, 37),
        (1, 2_097_153),
        (3, 800_000),
    ] {
        let x = numbers(n_rows * classes, 1, 30.0);
        let labels = labels(n_rows, classes);
        for x in [
            Rows::new(&x, n_rows, classes).unwrap(),
            Rows::strided(&x, n_rows, classes, 1, n_rows).unwrap(),
        ] {
            let mut want = vec![RowStatistics::NAN; n_rows];
            row_statistics_rows(x, &labels, &mut want).unwrap();
            with_threads(|threads| {
                // No number is NaN, and two zeros of either sign do not come up.
                let got = batch_statistics(x, &labels).unwrap();
                assert_eq!(got, want, "{n_rows} x {classes}, {threads}");
            });
            for backend in Backend::all() {
                backend.row_statistics_rows(x, &labels, &mut want).unwrap();
                assert_eq!(backend.batch_statistics(x, &labels).unwrap(), want, "{backend:?}");
            }
        }
    }
}

#[test]
fn a_batch_has_the_errors_of_core() {
    for (n_rows, classes) in [(5, 4), (1200, 1100), (3, 500_000)] {
        let x = vec![0.5; n_rows * classes];
        let x = Rows::new(&x, n_rows, classes).unwrap();
        for wrong in [-1, classes as i64, i64::MIN, i64::MAX] {
            for row in [0, n_rows / 2, n_rows - 1] {
                let mut labels = vec![1_i64; n_rows];
                labels[row] = wrong;
                labels[n_rows - 1] = wrong;
                let want = Err(Error::LabelOutOfRange { row, label: wrong, classes });
                assert_eq!(batch_statistics(x, &labels), want);
            }
        }
        for found in [0, n_rows - 1, n_rows + 1] {
            let want = Err(Error::LengthMismatch { expected: n_rows, found });
            assert_eq!(batch_statistics(x, &vec![0_u8; found]), want);
        }
    }
    let want = Err(Error::EmptyClasses { n_rows: 3 });
    assert_eq!(batch_statistics(Rows::new(&[], 3, 0).unwrap(), &[0, 0, 0]), want);
}

/// Two classes, of which the first has about this probability.
fn row_of(confidence: f64, label: usize) -> RowStatistics {
    let logit = (confidence / (1.0 - confidence)).ln() as f32;
    row_statistics(&[logit, 0.0], label).unwrap()
}

#[test]
fn bins_include_their_upper_end() {
    // Of 2^k equal logits the confidence is 2^-k exactly, the upper end of a bin of 64.
    for k in 0..7 {
        let row = row_statistics(&vec![0.0; 1 << k], 0_u8).unwrap();
        for (n_bins, bin) in [(64, (64 >> k) - 1), (1, 0)] {
            let mut evaluation = Evaluation::new(1, n_bins).unwrap();
            evaluation.push(&row);
            let counts: Vec<u64> = evaluation.bins().iter().map(CalibrationBin::count).collect();
            assert_eq!(counts.iter().position(|&n| n == 1), Some(bin), "2^-{k} of {n_bins}");
            assert_eq!(counts.iter().sum::<u64>(), 1);
        }
    }
    // A probability below the first upper end.
    let mut evaluation = Evaluation::new(1, 3).unwrap();
    evaluation.push(&row_statistics(&[0.0; 100], 0).unwrap());
    assert_eq!(evaluation.bins()[0].count(), 1);
}

#[test]
fn every_number_is_that_of_its_definition() {
    let (n_rows, classes, n_bins, top_k) = (2000, 7, 15, 3);
    let x = numbers(n_rows * classes, 5, 4.0);
    let labels = labels(n_rows, classes);
    let mut evaluation = Evaluation::new(top_k, n_bins).unwrap();
    evaluation.extend(batch_statistics(Rows::new(&x, n_rows, classes).unwrap(), &labels).unwrap());

    let (mut loss, mut entropy, mut correct, mut in_top_k) = (0.0, 0.0, 0, 0);
    let mut bins = vec![(0, 0.0, 0.0); n_bins];
    for (x, &label) in x.chunks(classes).zip(&labels) {
        let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        let sum: f64 = x.iter().map(|x| x.exp()).sum();
        let probs: Vec<f64> = x.iter().map(|x| x.exp() / sum).collect();
        let p = probs[label as usize];
        let ahead = probs.iter().filter(|&&q| q > p).count();
        loss -= p.ln();
        entropy -= probs.iter().map(|p| p * p.ln()).sum::<f64>();
        correct += u64::from(ahead == 0);
        in_top_k += u64::from(ahead < top_k);
        let confidence = probs.iter().copied().fold(0.0, f64::max);
        let bin = (1..n_bins).take_while(|&i| confidence > i as f64 / n_bins as f64).count();
        bins[bin].0 += 1;
        bins[bin].1 += confidence;
        bins[bin].2 += f64::from(u8::from(ahead == 0));
    }
    let n = n_rows as f64;
    let near = |got: f64, want: f64| assert!((got - want).abs() <= 1e-6 * want, "{got}, {want}");
    assert_eq!((evaluation.count(), evaluation.nan_count()), (n_rows as u64, 0));
    assert_eq!((evaluation.n_correct(), evaluation.accuracy()), (correct, correct as f64 / n));
    assert_eq!(evaluation.top_k_accuracy(), in_top_k as f64 / n);
    near(evaluation.mean_loss(), loss / n);
    near(evaluation.perplexity(), (loss / n).exp());
    near(evaluation.mean_entropy(), entropy / n);
    let mut error = 0.0;
    for (bin, &(count, confidence, right)) in evaluation.bins().iter().zip(&bins) {
        assert_eq!(bin.count(), count);
        if count == 0 {
            assert!(bin.mean_confidence().is_nan() && bin.accuracy().is_nan());
            continue;
        }
        let share = count as f64;
        near(bin.mean_confidence(), confidence / share);
        assert_eq!(bin.accuracy(), right / share);
        error += share / n * (right / share - confidence / share).abs();
    }
    near(evaluation.expected_calibration_error(), error);
}

#[test]
fn evaluations_of_parts_merge_into_that_of_all() {
    let rows: Vec<RowStatistics> =
        (1..500).map(|i| row_of(f64::from(i) / 500.0, i as usize % 2)).collect();
    let without_softmax = row_statistics(&[f32::NAN, 0.0], 1).unwrap();
    let of = |rows: &[RowStatistics]| {
        let mut evaluation = Evaluation::new(1, 10).unwrap();
        evaluation.extend(rows.iter().copied());
        evaluation
    };
    let whole = of(&rows);
    let mut merged = of(&[]);
    for part in rows.chunks(37) {
        merged.merge(&of(part)).unwrap();
    }
    assert_eq!((merged.count(), merged.n_correct()), (whole.count(), whole.n_correct()));
    for (a, b) in merged.bins().iter().zip(whole.bins()) {
        assert_eq!(a.count(), b.count());
        assert!(a.count() == 0 || a.accuracy() == b.accuracy(), "{a:?}, {b:?}");
    }
    for (a, b) in [
        (merged.mean_loss(), whole.mean_loss()),
        (merged.mean_entropy(), whole.mean_entropy()),
        (merged.expected_calibration_error(), whole.expected_calibration_error()),
        (merged.top_k_accuracy(), whole.top_k_accuracy()),
    ] {
        assert!((a - b).abs() <= 1e-12 * b, "{a}, {b}");
    }
    let mut of_nan = merged.clone();
    of_nan.merge(&of(&[without_softmax; 3])).unwrap();
    of_nan.merge(&of(&[without_softmax])).unwrap();
    assert_eq!((of_nan.count(), of_nan.nan_count()), (whole.count() + 4, 4));
    let before = merged.clone();
    merged.merge(&of(&[])).unwrap();
    assert_eq!(merged, before);
    for (other, name, value) in
        [(Evaluation::new(2, 10), "top_k", 2.0), (Evaluation::new(1, 11), "n_bins", 11.0)]
    {
        let mut other = other.unwrap();
        other.push(&rows[0]);
        assert_eq!(merged.merge(&other), Err(Error::InvalidOption { name, value }));
        assert_eq!(merged, before, "nothing is added");
    }
}

#[test]
fn settings_of_0_are_errors() {
    for (top_k, n_bins, name) in [(0, 10, "top_k"), (1, 0, "n_bins"), (0, 0, "top_k")] {
        let want = Error::InvalidOption { name, value: 0.0 };
        assert_eq!(Evaluation::new(top_k, n_bins), Err(want));
    }
    let none = Evaluation::new(usize::MAX, 1).unwrap();
    assert_eq!((none.count(), none.nan_count(), none.top_k()), (0, 0, usize::MAX));
    for mean in [
        none.mean_loss(),
        none.perplexity(),
        none.mean_entropy(),
        none.accuracy(),
        none.top_k_accuracy(),
        none.expected_calibration_error(),
    ] {
        assert!(mean.is_nan());
    }
}

#[test]
fn rows_without_a_softmax_are_counted_apart() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let mut evaluation = Evaluation::new(5, 10).unwrap();
    let row = |x: [f32; 2], label| row_statistics(&x, label).unwrap();
    evaluation.push(&row([2.0, 0.0], 0));
    let error = evaluation.expected_calibration_error();
    for (x, is_right) in
        [([nan, 1.0], false), ([inf, 1.0], true), ([-inf, -inf], true), ([1.0, inf], false)]
    {
        let before = evaluation.n_correct();
        evaluation.push(&row(x, 0));
        assert_eq!(evaluation.n_correct(), before + u64::from(is_right), "{x:?}");
    }
    assert_eq!((evaluation.count(), evaluation.nan_count()), (5, 4));
    assert_eq!(evaluation.expected_calibration_error(), error);
    // The one with a NaN is in no top k.
    assert_eq!((evaluation.accuracy(), evaluation.top_k_accuracy()), (0.6, 0.8));
    assert!(evaluation.mean_loss().is_nan() && evaluation.mean_entropy().is_nan());
    // A masked label costs infinity, and has a confidence.
    let mut evaluation = Evaluation::new(1, 10).unwrap();
    evaluation.push(&row([-inf, 0.0], 0));
    assert_eq!((evaluation.mean_loss(), evaluation.perplexity()), (f64::INFINITY, f64::INFINITY));
    assert_eq!((evaluation.nan_count(), evaluation.expected_calibration_error()), (0, 1.0));
}
