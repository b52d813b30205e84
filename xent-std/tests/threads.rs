//! Any number of threads gives the bits of core on one.
//!
//! The losses of a batch range over many powers of two: f64 sums of losses of one size are exact, and
//! would hide the order of their additions.

use xent_std::{
    Backend, BatchBackend, BatchBinaryLoss, BatchDistillation, BatchLoss, BinaryCrossEntropy,
    BinaryTargets, ClippedBinaryCrossEntropy, ClippedCrossEntropy, CrossEntropy, Distillation,
    Error, LossTotal, Reduction, Rows, Targets, batch_entropy, batch_js_divergence,
    batch_kl_divergence, batch_log_softmax, batch_log_sum_exp, batch_softmax, entropy_rows,
    js_divergence_rows, kl_divergence_rows, log_softmax_rows, log_sum_exp_rows,
    parallel_log_sum_exp, softmax_rows,
};

/// Runs `check` with pools of several sizes, or on this thread without rayon.
fn with_threads(check: impl Fn(&str) + Sync) {
    #[cfg(feature = "rayon")]
    for n_threads in [1, 2, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| check(&format!("{n_threads} threads")));
    }
    #[cfg(not(feature = "rayon"))]
    check("no rayon");
}

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

fn probs(n: usize, seed: u64) -> Vec<f32> {
    numbers(n, seed, 1.0).into_iter().map(f32::abs).collect()
}

fn labels(n_rows: usize, classes: usize) -> Vec<u32> {
    (0..n_rows).map(|row| (row * 7919 % classes) as u32).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn total_bits(total: LossTotal) -> (u64, u64, u64) {
    (total.sum().to_bits(), total.weight().to_bits(), total.count())
}

/// The first place where two results differ.
fn assert_same(got: &[f32], want: &[f32], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert_eq!(got.to_bits(), want.to_bits(), "{what}: element {i}, got {got}, want {want}");
    }
}

/// Rows by classes: empty, around a chunk of rows, around a chunk of a row, around the work from which
/// threads are used (2^21 elements with 16 more a row), few and many.
const SHAPES: [(usize, usize); 22] = [
    (0, 0),
    (0, 5),
    (1, 1),
    (3, 10),
    (1023, 3),
    (1024, 3),
    (1025, 3),
    (2048, 1025),
    (2049, 1025),
    (2016, 1024),
    (2017, 1024),
    (16_385, 150),
    (60_000, 37),
    (1, 65_535),
    (1, 65_536),
    (1, 65_537),
    (33, 65_536),
    (33, 65_537),
    (1, 2_097_135),
    (1, 2_097_136),
    (2, 1_048_577),
    (3, 700_001),
];

/// The batch as it lies in memory, row by row and class by class.
fn layouts(x: &[f32], n_rows: usize, classes: usize) -> [(&'static str, Rows<'_>); 2] {
    [
        ("rows", Rows::new(x, n_rows, classes).unwrap()),
        ("columns", Rows::strided(x, n_rows, classes, 1, n_rows).unwrap()),
    ]
}

#[test]
fn row_losses_with_labels_have_the_bits_of_core() {
    for (n_rows, classes) in SHAPES {
        let mut x = numbers(n_rows * classes, 1, 30.0);
        let mut p = probs(n_rows * classes, 2);
        let labels = labels(n_rows, classes);
        for (row, &label) in labels.iter().enumerate().filter(|(row, _)| row % 2 == 0) {
            x[row * classes + label as usize] = 30.0 + (row % 41) as f32;
            p[row * classes + label as usize] = 1.0 - f32::EPSILON * (row % 41) as f32;
        }
        let y = &labels[..];
        for ((layout, x), (_, p)) in
            layouts(&x, n_rows, classes).into_iter().zip(layouts(&p, n_rows, classes))
        {
            let what = format!("{n_rows} x {classes} by {layout}");
            let cross_entropy = CrossEntropy::new();
            let (mut want, mut want_clipped) = (vec![0.0; n_rows], vec![0.0; n_rows]);
            cross_entropy.rows(x, y, &mut want).unwrap();
            let want_total = total_bits(cross_entropy.total(x, y).unwrap());
            for normalize in [false, true] {
                let clipped = ClippedCrossEntropy::new().normalize(normalize);
                clipped.rows(p, y, &mut want_clipped).unwrap();
                let want_clipped_total = total_bits(clipped.total(p, y).unwrap());
                with_threads(|threads| {
                    let what = format!("{what}, {threads}, normalize {normalize}");
                    assert_same(&cross_entropy.batch_losses(x, y).unwrap(), &want, &what);
                    assert_same(&clipped.batch_losses(p, y).unwrap(), &want_clipped, &what);
                    let total = cross_entropy.batch_total(x, y).unwrap();
                    assert_eq!(total_bits(total), want_total, "{what}: total");
                    let total = clipped.batch_total(p, y).unwrap();
                    assert_eq!(total_bits(total), want_clipped_total, "{what}: clipped total");
                });
            }
        }
    }
}

#[test]
fn row_losses_with_distributions_have_the_bits_of_core() {
    for (n_rows, classes) in SHAPES {
        let x = numbers(n_rows * classes, 3, 30.0);
        let mut p = probs(n_rows * classes, 4);
        for (row, p) in p.chunks_mut(classes.max(1)).enumerate() {
            p.iter_mut().for_each(|p| *p *= 0.5_f32.powi((row % 41) as i32));
        }
        let x = Rows::new(&x, n_rows, classes).unwrap();
        for (layout, y) in layouts(&p, n_rows, classes) {
            let what = format!("{n_rows} x {classes}, targets by {layout}");
            let loss = CrossEntropy::new();
            let mut want = vec![0.0; n_rows];
            loss.rows(x, y, &mut want).unwrap();
            let want_total = total_bits(loss.total(x, y).unwrap());
            with_threads(|threads| {
                let what = format!("{what}, {threads}");
                assert_same(&loss.batch_losses(x, y).unwrap(), &want, &what);
                assert_eq!(
                    total_bits(loss.batch_total(x, y).unwrap()),
                    want_total,
                    "{what}: total"
                );
            });
        }
    }
}

#[test]
fn element_losses_have_the_bits_of_core() {
    for (n_rows, classes) in SHAPES {
        let x = numbers(n_rows * classes, 5, 30.0);
        let mut y = probs(n_rows * classes, 6);
        y.iter_mut().step_by(2).for_each(|y| *y = y.round());
        let y = Rows::new(&y, n_rows, classes).unwrap();
        for (layout, x) in layouts(&x, n_rows, classes) {
            let what = format!("{n_rows} x {classes} by {layout}");
            let (binary, clipped) = (BinaryCrossEntropy::new(), ClippedBinaryCrossEntropy::new());
            let (mut want, mut want_clipped) =
                (vec![0.0; n_rows * classes], vec![0.0; n_rows * classes]);
            binary.rows(x, y, &mut want).unwrap();
            clipped.rows(y, y, &mut want_clipped).unwrap();
            let want_total = total_bits(binary.total(x, y).unwrap());
            let want_clipped_total = total_bits(clipped.total(y, y).unwrap());
            with_threads(|threads| {
                let what = format!("{what}, {threads}");
                assert_same(&binary.batch_losses(x, y).unwrap(), &want, &what);
                assert_same(&clipped.batch_losses(y, y).unwrap(), &want_clipped, &what);
                let total = binary.batch_total(x, y).unwrap();
                assert_eq!(total_bits(total), want_total, "{what}: total");
                let total = clipped.batch_total(y, y).unwrap();
                assert_eq!(total_bits(total), want_clipped_total, "{what}: clipped total");
            });
        }
    }
}

#[test]
fn log_sum_exp_softmax_and_log_softmax_have_the_bits_of_core() {
    for (n_rows, classes) in SHAPES.into_iter().chain([(4, 0), (2000, 0)]) {
        let x = numbers(n_rows * classes, 7, 30.0);
        for (layout, x) in layouts(&x, n_rows, classes) {
            let what = format!("{n_rows} x {classes} by {layout}");
            let mut lse = vec![0.0; n_rows];
            let (mut softmax, mut log_softmax) =
                (vec![0.0; n_rows * classes], vec![0.0; n_rows * classes]);
            log_sum_exp_rows(x, &mut lse).unwrap();
            softmax_rows(x, &mut softmax).unwrap();
            log_softmax_rows(x, &mut log_softmax).unwrap();
            with_threads(|threads| {
                let what = format!("{what}, {threads}");
                assert_same(&batch_log_sum_exp(x), &lse, &format!("{what}: log-sum-exp"));
                assert_same(&batch_softmax(x), &softmax, &format!("{what}: softmax"));
                assert_same(&batch_log_softmax(x), &log_softmax, &format!("{what}: log-softmax"));
                if let (1, Some(row)) = (n_rows, x.as_slice(0)) {
                    assert_same(&[parallel_log_sum_exp(row)], &lse, &format!("{what}: one row"));
                }
            });
        }
    }
}

#[test]
fn a_loss_and_a_function_stay_on_the_backend_that_was_chosen() {
    let (n_rows, classes) = (7, 160_000);
    // Each row is the exponential of one number, in the block of the maximum: the numbers are such
    // that it shows on which backend it was taken, where this CPU has two kinds.
    let loss_of_state_on = |backend: Backend, d| {
        Backend::SCALAR.log_sum_exp_loss(backend.log_sum_exp_state(&[0.0, d]), 0.0)
    };
    let shows =
        |&d: &f32| loss_of_state_on(Backend::SCALAR, d) != loss_of_state_on(Backend::detected(), d);
    let mut telling: Vec<f32> =
        (0..10_000).map(|i| -1.0 - i as f32 * 0.000_4).filter(shows).take(n_rows).collect();
    let two_kinds = Backend::all().any(Backend::fuses_multiply_add);
    assert_eq!(telling.len(), if two_kinds { n_rows } else { 0 }, "numbers that tell backends");
    telling.resize(n_rows, -1.0);

    let mut x = vec![-200.0; n_rows * classes];
    for (x, &d) in x.chunks_mut(classes).zip(&telling) {
        x[5] = 0.0;
        x[6] = d;
    }
    let mut long = x[..classes].to_vec();
    long.resize(n_rows * classes, -200.0);
    let x = Rows::new(&x, n_rows, classes).unwrap();
    let labels = [5; 7];
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend);
        let (mut losses, mut lse) = ([0.0; 7], [0.0; 7]);
        loss.rows(x, &labels, &mut losses).unwrap();
        backend.log_sum_exp_rows(x, &mut lse).unwrap();
        with_threads(|threads| {
            let what = format!("{}, {threads}", backend.name());
            assert_same(&loss.batch_losses(x, &labels).unwrap(), &losses, &what);
            assert_same(&backend.batch_log_sum_exp(x), &lse, &what);
            assert_same(&[backend.parallel_log_sum_exp(&long)], &lse[..1], &what);
        });
    }
}

#[test]
fn special_values_in_a_split_row_are_those_of_core() {
    let classes = 1_100_000;
    for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for place in [0, 65_535, 65_536, 700_000, classes - 1] {
            for all in [false, true] {
                let mut x = if all { vec![special; classes] } else { numbers(classes, 9, 30.0) };
                x[place] = special;
                let x = Rows::new(&x, 1, classes).unwrap();
                let label = [place as i32];
                let (mut loss, mut lse) = ([0.0], [0.0]);
                CrossEntropy::new().rows(x, &label, &mut loss).unwrap();
                log_sum_exp_rows(x, &mut lse).unwrap();
                with_threads(|threads| {
                    let what = format!("{special} at {place}, all {all}, {threads}");
                    let got = CrossEntropy::new().batch_losses(x, &label).unwrap();
                    assert_same(&got, &loss, &what);
                    assert_same(&batch_log_sum_exp(x), &lse, &what);
                });
            }
        }
    }
}

#[test]
fn labels_of_every_integer_type_give_the_same_losses_in_split_rows_and_in_batches() {
    for (n_rows, classes) in [(2, 600_000), (1030, 1100)] {
        let x = numbers(n_rows * classes, 10, 30.0);
        let x = Rows::new(&x, n_rows, classes).unwrap();
        let labels: Vec<u8> = (0..n_rows).map(|row| (row % 127) as u8).collect();
        let mut want = vec![0.0; n_rows];
        CrossEntropy::new().rows(x, &labels[..], &mut want).unwrap();
        with_threads(|threads| {
            macro_rules! check {
                ($($int:ty)*) => {$({
                    let labels: Vec<$int> = labels.iter().map(|&label| label as $int).collect();
                    let got = CrossEntropy::new().batch_losses(x, Targets::labels(&labels)).unwrap();
                    assert_eq!(bits(&got), bits(&want), "{}, {threads}", stringify!($int));
                })*};
            }
            check!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);
        });
    }
}

#[test]
fn entropies_and_divergences_have_the_bits_of_core() {
    for (n_rows, classes) in SHAPES {
        let (p, q) = (probs(n_rows * classes, 11), probs(n_rows * classes, 12));
        let q = Rows::new(&q, n_rows, classes).unwrap();
        for (layout, p) in layouts(&p, n_rows, classes) {
            let [mut entropy, mut kl, mut js] = [(); 3].map(|()| vec![0.0; n_rows]);
            entropy_rows(p, &mut entropy).unwrap();
            kl_divergence_rows(p, q, &mut kl).unwrap();
            js_divergence_rows(p, q, &mut js).unwrap();
            with_threads(|threads| {
                let what = format!("{n_rows} x {classes} by {layout}, {threads}");
                assert_same(&batch_entropy(p), &entropy, &what);
                assert_same(&batch_kl_divergence(p, q).unwrap(), &kl, &what);
                assert_same(&batch_js_divergence(p, q).unwrap(), &js, &what);
            });
        }
    }
}

#[test]
fn entropies_and_divergences_on_a_chosen_backend_have_its_bits() {
    let (n_rows, classes) = (8193, 150);
    let (p, q) = (probs(n_rows * classes, 13), probs(n_rows * classes, 14));
    let p = Rows::new(&p, n_rows, classes).unwrap();
    let q = Rows::new(&q, n_rows, classes).unwrap();
    let mut of_classes = Vec::new();
    for backend in Backend::all() {
        let mut want = [(); 3].map(|()| vec![0.0; n_rows]);
        backend.entropy_rows(p, &mut want[0]).unwrap();
        backend.kl_divergence_rows(p, q, &mut want[1]).unwrap();
        backend.js_divergence_rows(p, q, &mut want[2]).unwrap();
        with_threads(|threads| {
            let what = format!("{}, {threads}", backend.name());
            assert_same(&backend.batch_entropy(p), &want[0], &what);
            assert_same(&backend.batch_kl_divergence(p, q).unwrap(), &want[1], &what);
            assert_same(&backend.batch_js_divergence(p, q).unwrap(), &want[2], &what);
        });
        of_classes.push((backend.fuses_multiply_add(), want));
    }
    // The numbers tell the two kinds of backends apart.
    for (fuses, want) in &of_classes {
        let same = want.iter().zip(&of_classes[0].1).all(|(a, b)| bits(a) == bits(b));
        assert_eq!(same, *fuses == of_classes[0].0);
    }
}

#[test]
fn distillation_has_the_bits_of_core() {
    for (n_rows, classes) in [(0, 5), (1, 1)].into_iter().chain(GRADIENT_SHAPES) {
        let n = n_rows * classes;
        // Rows of all sizes of divergence: the order of additions shows in the total.
        let teacher = numbers(n, 15, 9.0);
        let mut student = teacher.clone();
        for (row, x) in student.chunks_mut(classes.max(1)).enumerate() {
            x.iter_mut().step_by(3).for_each(|x| *x += 0.5_f32.powi((row % 17) as i32));
        }
        let teacher = Rows::new(&teacher, n_rows, classes).unwrap();
        for backend in [Backend::SCALAR, Backend::detected()] {
            let loss = Distillation::new().temperature(2.0).backend(backend);
            for (layout, student) in layouts(&student, n_rows, classes) {
                let what = format!("{n_rows} x {classes} by {layout}, {}", backend.name());
                let (mut losses, mut gradient) = (vec![0.0; n_rows], vec![0.0; n]);
                loss.rows(student, teacher, &mut losses).unwrap();
                let total = loss.total(student, teacher).unwrap();
                let mean = Reduction::Mean;
                let with_gradient = loss.gradient(student, teacher, mean, &mut gradient).unwrap();
                assert_eq!(total_bits(with_gradient), total_bits(total), "{what}");
                with_threads(|threads| {
                    let what = format!("{what}, {threads}");
                    let got = loss.batch_losses(student, teacher).unwrap();
                    assert_same(&got, &losses, &what);
                    let got = loss.batch_total(student, teacher).unwrap();
                    assert_eq!(total_bits(got), total_bits(total), "{what}: total");
                    let (got, x) = loss.batch_gradient(student, teacher, mean).unwrap();
                    assert_eq!(total_bits(got), total_bits(total), "{what}: with gradient");
                    assert_same(&x, &gradient, &what);
                });
            }
        }
    }
}

#[test]
fn distillation_has_the_errors_of_core() {
    let x = vec![0.5; 3_000_000];
    let rows = Rows::new(&x, 3000, 1000).unwrap();
    let no_classes = Rows::new(&[], 3, 0).unwrap();
    let loss = Distillation::new();
    let cold = loss.temperature(0.0);
    for (loss, teacher, student) in [
        (cold, rows, rows),
        (loss, rows, Rows::new(&x, 1000, 3000).unwrap()),
        (loss, rows, rows.range(0..2999)),
        (loss, no_classes, no_classes),
    ] {
        let error = loss.rows(student, teacher, &mut vec![0.0; student.n_rows()]).unwrap_err();
        with_threads(|threads| {
            assert_eq!(loss.batch_losses(student, teacher), Err(error), "{threads}");
            assert_eq!(loss.batch_total(student, teacher), Err(error), "{threads}");
            let got = loss.batch_gradient(student, teacher, Reduction::Sum);
            assert_eq!(got, Err(error), "{threads}");
        });
    }
    let error = Error::InvalidOption { name: "gradient_scale", value: f32::INFINITY };
    assert_eq!(loss.batch_gradient(rows, rows, f32::INFINITY), Err(error));
}

#[test]
fn divergences_of_other_shapes_have_the_error_of_core() {
    let x = vec![0.5; 3_000_000];
    let (p, q) = (Rows::new(&x, 3000, 1000).unwrap(), Rows::new(&x, 1000, 3000).unwrap());
    for q in [q, p.range(0..2999)] {
        let error = Err(kl_divergence_rows(p, q, &mut [0.0; 3000]).unwrap_err());
        with_threads(|threads| {
            assert_eq!(batch_kl_divergence(p, q), error, "{threads}");
            assert_eq!(batch_js_divergence(p, q), error, "{threads}");
        });
    }
}

/// Around a chunk of rows, and around the work from which threads are used.
const GRADIENT_SHAPES: [(usize, usize); 6] =
    [(3, 10), (1025, 3), (993, 1024), (8193, 150), (30_000, 37), (9, 131_073)];

#[test]
fn gradients_and_totals_with_options_have_the_bits_of_core() {
    for (n_rows, classes) in GRADIENT_SHAPES {
        let n = n_rows * classes;
        let (x, y) = (numbers(n, 1, 9.0), probs(n, 2));
        let (class_weights, sample_weights) = (probs(classes, 3), probs(n_rows, 4));
        let labels = labels(n_rows, classes);
        let x = Rows::new(&x, n_rows, classes).unwrap();
        let y = Rows::new(&y, n_rows, classes).unwrap();
        let loss = CrossEntropy::new().ignore(1).class_weights(&class_weights).z_loss(1e-3);
        let smoothed = loss.label_smoothing(0.1);
        let clipped = ClippedCrossEntropy::new().normalize(true).focal(2.0);
        let by_label = Targets::labels(&labels).with_sample_weights(&sample_weights);
        let by_target = Targets::distributions(y);
        for reduction in [Reduction::Mean, Reduction::MeanCount] {
            let mut want = vec![vec![0.0; n]; 4];
            let totals = [
                loss.gradient(x, by_label, reduction, &mut want[0]).unwrap(),
                smoothed.gradient(x, by_label, reduction, &mut want[1]).unwrap(),
                loss.gradient(x, by_target, reduction, &mut want[2]).unwrap(),
                clipped.gradient(y, by_label, reduction, &mut want[3]).unwrap(),
            ];
            with_threads(|threads| {
                let got = [
                    loss.batch_gradient(x, by_label, reduction).unwrap(),
                    smoothed.batch_gradient(x, by_label, reduction).unwrap(),
                    loss.batch_gradient(x, by_target, reduction).unwrap(),
                    clipped.batch_gradient(y, by_label, reduction).unwrap(),
                ];
                for (i, (total, gradient)) in got.iter().enumerate() {
                    let what = format!("loss {i}, {n_rows} x {classes}, {reduction:?}, {threads}");
                    assert_same(gradient, &want[i], &what);
                    assert_eq!(total_bits(*total), total_bits(totals[i]), "{what}");
                }
                let total = loss.batch_total(x, by_label).unwrap();
                assert_eq!(total_bits(total), total_bits(totals[0]), "{threads}");
            });
        }
    }
}

#[test]
fn binary_gradients_have_the_bits_of_core() {
    for (n_rows, classes) in GRADIENT_SHAPES {
        let n = n_rows * classes;
        let (x, y) = (numbers(n, 1, 9.0), probs(n, 2));
        let (pos_weights, sample_weights) = (probs(classes, 3), probs(n_rows, 4));
        let x = Rows::new(&x, n_rows, classes).unwrap();
        let y = Rows::new(&y, n_rows, classes).unwrap();
        let loss = BinaryCrossEntropy::new().pos_weights(&pos_weights).focal(1.5);
        let clipped = ClippedBinaryCrossEntropy::new().label_smoothing(0.1);
        let targets = BinaryTargets::new(y).with_sample_weights(&sample_weights);
        let mut want = [vec![0.0; n], vec![0.0; n]];
        let totals = [
            loss.gradient(x, targets, Reduction::Mean, &mut want[0]).unwrap(),
            clipped.gradient(y, targets, Reduction::Mean, &mut want[1]).unwrap(),
        ];
        with_threads(|threads| {
            let got = [
                loss.batch_gradient(x, targets, Reduction::Mean).unwrap(),
                clipped.batch_gradient(y, targets, Reduction::Mean).unwrap(),
            ];
            for (i, (total, gradient)) in got.iter().enumerate() {
                let what = format!("loss {i}, {n_rows} x {classes}, {threads}");
                assert_same(gradient, &want[i], &what);
                assert_eq!(total_bits(*total), total_bits(totals[i]), "{what}");
            }
            let losses = loss.batch_losses(x, targets).unwrap();
            let mut alone = vec![0.0; n];
            loss.rows(x, targets, &mut alone).unwrap();
            assert_same(&losses, &alone, threads);
        });
    }
}
