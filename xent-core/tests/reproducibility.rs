//! The same bits: across the backends of a class, alignments, layouts, neighbours, buffers and chunks.

mod common;

use std::ops::Range;

use common::bounds::{
    binary, binary_option_sets, clipped, clipped_binary, cross_entropy, option_sets,
};
use common::{Random, assert_same_bits, classes, hard_rows, lengths, short_lengths, some_weights};
use xent_core::{
    Backend, BinaryCrossEntropy, BinaryTargets, ClippedBinaryCrossEntropy, ClippedCrossEntropy,
    CrossEntropy, Distillation, LogSumExp, LossTotal, Reduction, RowStatistics, Rows, Target,
    Targets, reference::Options,
};

/// Everything that can be computed from one row, as one list of f32.
fn everything(backend: Backend, x: &[f32]) -> Vec<f32> {
    let n = x.len();
    let mut random = Random::new(n as u64);
    let y: Vec<f32> =
        (0..n).map(|_| if random.below(3) == 0 { 0.0 } else { random.unit() }).collect();
    let p: Vec<f32> = x.iter().map(|x| 1.0 / (1.0 + x.abs())).collect();
    let (mut a, mut b) = (vec![0.0; n], vec![0.0; n]);
    backend.softmax(x, &mut a).unwrap();
    backend.log_softmax(x, &mut b).unwrap();
    let mut all = vec![backend.log_sum_exp(x)];
    all.extend(a.iter().chain(&b));
    BinaryCrossEntropy::new().backend(backend).row(x, &y, &mut a).unwrap();
    ClippedBinaryCrossEntropy::new().backend(backend).row(&p, &y, &mut b).unwrap();
    all.extend(a.iter().chain(&b));
    for label in [0, n / 2, n - 1] {
        all.push(CrossEntropy::new().backend(backend).row(x, label).unwrap());
        all.push(ClippedCrossEntropy::new().backend(backend).row(&p, label).unwrap());
        all.push(
            ClippedCrossEntropy::new().normalize(true).backend(backend).row(&p, label).unwrap(),
        );
    }
    all.push(CrossEntropy::new().backend(backend).row(x, &y[..]).unwrap());
    all.push(ClippedCrossEntropy::new().backend(backend).row(&p, &y[..]).unwrap());
    let normalized = ClippedCrossEntropy::new().normalize(true).clip(0.0, 1.0);
    all.push(normalized.backend(backend).row(&p, &y[..]).unwrap());
    all
}

/// Every loss with every option, and its gradient, of one row.
fn everything_with_options(backend: Backend, x: &[f32]) -> Vec<f32> {
    let n = x.len();
    let mut random = Random::new(n as u64);
    let y: Vec<f32> =
        (0..n).map(|_| if random.below(3) == 0 { 0.0 } else { random.unit() }).collect();
    let p: Vec<f32> = x.iter().map(|x| 1.0 / (1.0 + x.abs())).collect();
    let (weights, mut out, mut all) = (some_weights(n), vec![0.0; n], Vec::new());
    for (_, options) in option_sets(&weights) {
        for target in [Target::Label(n as i64 / 2), Target::Distribution(&y)] {
            all.push(cross_entropy(backend, &options).row_gradient(x, target, &mut out).unwrap());
            all.extend(&out);
            for normalize in [false, true] {
                let loss = clipped(backend, &Options { normalize, ..options });
                all.push(loss.row_gradient(&p, target, &mut out).unwrap());
                all.extend(&out);
            }
        }
    }
    let (xs, ps, ys) = [x, &p, &y].map(|row| Rows::new(row, 1, n).unwrap()).into();
    for (_, options) in binary_option_sets() {
        let (a, b) = (binary(backend, &options), clipped_binary(backend, &options));
        a.rows(xs, ys, &mut out).unwrap();
        all.extend(&out);
        a.gradient(xs, ys, 1.0, &mut out).unwrap();
        all.extend(&out);
        b.rows(ps, ys, &mut out).unwrap();
        all.extend(&out);
        b.gradient(ps, ys, 1.0, &mut out).unwrap();
        all.extend(&out);
    }
    all
}

#[test]
fn backends_of_a_class_give_the_same_bits() {
    let mut n_pairs = 0;
    for n in lengths() {
        for (name, x) in hard_rows(n) {
            for class in classes() {
                for pair in class.windows(2) {
                    let (a, b) = (everything(pair[0], &x), everything(pair[1], &x));
                    assert_same_bits(&a, &b, &|| format!("{n} logits, {name}, {pair:?}"));
                    n_pairs += 1;
                }
            }
        }
    }
    println!(
        "{n_pairs} pairs of results compared, backends {:?}",
        Backend::all().collect::<Vec<_>>()
    );
}

#[test]
fn alignment_changes_no_bit() {
    for n in [10, 64, 130, 1030] {
        let (_, x) = hard_rows(n).swap_remove(1);
        for backend in Backend::all() {
            let want = everything(backend, &x);
            let mut padded = vec![f32::NAN; n + 32];
            for shift in 0..16 {
                padded.fill(f32::NAN);
                padded[shift..shift + n].copy_from_slice(&x);
                let got = everything(backend, &padded[shift..shift + n]);
                assert_same_bits(&got, &want, &|| format!("{backend:?}, {n}, shifted by {shift}"));
            }
        }
    }
    for n in [10, 130] {
        let (_, x) = hard_rows(n).swap_remove(1);
        for backend in Backend::all() {
            let want = everything_with_options(backend, &x);
            for shift in [1, 2, 4, 8, 15] {
                let padded = [&[f32::NAN; 15][..shift], &x].concat();
                let got = everything_with_options(backend, &padded[shift..]);
                let what = || format!("options, {backend:?}, {n}, shifted by {shift}");
                assert_same_bits(&got, &want, &what);
            }
        }
    }
}

/// The same rows in several layouts; what is between them is NaN.
fn layouts(x: &[f32], n_rows: usize, classes: usize) -> Vec<(&'static str, Vec<f32>, [usize; 2])> {
    let mut layouts = Vec::new();
    for (name, row_stride, class_stride) in [
        ("rows apart", classes + 3, 1),
        ("classes apart", classes * 2 + 1, 2),
        ("columns", 1, n_rows),
        ("columns apart", 2, 2 * n_rows + 1),
    ] {
        let end = (n_rows - 1) * row_stride + (classes - 1) * class_stride + 1;
        let mut data = vec![f32::NAN; end];
        for row in 0..n_rows {
            for class in 0..classes {
                data[row * row_stride + class * class_stride] = x[row * classes + class];
            }
        }
        layouts.push((name, data, [row_stride, class_stride]));
    }
    layouts
}

#[test]
fn layout_and_neighbours_change_no_bit() {
    for (n_rows, classes) in [
        (1, 1),
        (40, 2),
        (19, 5),
        (33, 9),
        (50, 10),
        (17, 17),
        (35, 31),
        (18, 32),
        (40, 33),
        (150, 33),
        (5, 1024),
        (2, 1025),
        (3, 2500),
        (2, 66_000),
    ] {
        let mut random = Random::new(classes as u64);
        let x: Vec<f32> = (0..n_rows * classes).map(|_| random.unit() * 30.0 - 15.0).collect();
        let y: Vec<f32> = (0..n_rows * classes).map(|_| random.unit()).collect();
        let labels: Vec<usize> = (0..n_rows).map(|_| random.below(classes)).collect();
        let y_rows = Rows::new(&y, n_rows, classes).unwrap();
        for backend in Backend::all() {
            let loss = CrossEntropy::new().backend(backend);
            let clipped = ClippedCrossEntropy::new().backend(backend).clip(0.0, 1.0);
            let binary = BinaryCrossEntropy::new().backend(backend);
            let compute = |rows: Rows<'_>| {
                let mut all = Vec::<f32>::new();
                let mut out = vec![0.0; n_rows];
                loss.rows(rows, &labels[..], &mut out).unwrap();
                all.extend(&out);
                loss.rows(rows, y_rows, &mut out).unwrap();
                all.extend(&out);
                for clipped in [clipped, clipped.normalize(true)] {
                    clipped.rows(rows, &labels[..], &mut out).unwrap();
                    all.extend(&out);
                    clipped.rows(rows, y_rows, &mut out).unwrap();
                    all.extend(&out);
                }
                backend.log_sum_exp_rows(rows, &mut out).unwrap();
                all.extend(&out);
                let mut out = vec![0.0; n_rows * classes];
                backend.softmax_rows(rows, &mut out).unwrap();
                all.extend(&out);
                backend.log_softmax_rows(rows, &mut out).unwrap();
                all.extend(&out);
                binary.rows(rows, y_rows, &mut out).unwrap();
                all.extend(&out);
                all
            };
            let want = compute(Rows::new(&x, n_rows, classes).unwrap());
            // Row by row, without neighbours.
            let mut lse = vec![0.0; n_rows];
            backend.log_sum_exp_rows(Rows::new(&x, n_rows, classes).unwrap(), &mut lse).unwrap();
            for (row, x) in x.chunks(classes).enumerate() {
                let alone = backend.log_sum_exp(x);
                assert_eq!(alone.to_bits(), lse[row].to_bits(), "{backend:?}, row {row} alone");
            }
            for row in 0..n_rows {
                let x = &x[row * classes..][..classes];
                let alone = loss.row(x, labels[row]).unwrap();
                assert_eq!(alone.to_bits(), want[row].to_bits(), "{backend:?}, row {row} alone");
                let y = &y[row * classes..][..classes];
                let alone = loss.row(x, y).unwrap();
                assert_eq!(
                    alone.to_bits(),
                    want[n_rows + row].to_bits(),
                    "{backend:?}, row {row} alone"
                );
            }
            for (name, data, [row_stride, class_stride]) in layouts(&x, n_rows, classes) {
                let rows = Rows::strided(&data, n_rows, classes, row_stride, class_stride).unwrap();
                let what = || format!("{backend:?}, {n_rows} x {classes}, {name}");
                assert_same_bits(&compute(rows), &want, &what);
            }
        }
    }
}

#[test]
fn channels_first_is_a_layout_like_any_other() {
    // Images of several tiles of copies, and tiles of several images.
    for (outer, classes, inner) in [(3, 7, 10), (2, 33, 150), (5, 1024, 3)] {
        let n_rows = outer * inner;
        let mut random = Random::new(3);
        let mut images = || -> (Vec<f32>, Vec<f32>) {
            let x: Vec<f32> = (0..n_rows * classes).map(|_| random.unit() * 9.0).collect();
            let at = |row, class| x[(row / inner * classes + class) * inner + row % inner];
            let gathered = (0..x.len()).map(|i| at(i / classes, i % classes)).collect();
            (x, gathered)
        };
        let ((x, x_gathered), (y, y_gathered)) = (images(), images());
        let labels: Vec<u8> = (0..n_rows).map(|i| (i % classes) as u8).collect();
        let weights: Vec<f32> = (0..n_rows).map(|i| [1.0, 0.5, 0.0][i % 3]).collect();
        for backend in Backend::all() {
            let compute = |x: Rows<'_>, y: Rows<'_>, rows: Range<usize>| {
                let (labels, weights) = (&labels[rows.clone()], &weights[rows]);
                let n_rows = x.n_rows();
                let (mut out, mut all) = (vec![0.0; n_rows], Vec::new());
                let loss = CrossEntropy::new().backend(backend);
                let clipped = ClippedCrossEntropy::new().backend(backend);
                for loss in [loss, loss.label_smoothing(0.1), loss.temperature(2.0)] {
                    loss.rows(x, labels, &mut out).unwrap();
                    all.extend(&out);
                    loss.rows(x, y, &mut out).unwrap();
                    all.extend(&out);
                }
                for clipped in [clipped, clipped.normalize(true), clipped.label_smoothing(0.1)] {
                    clipped.rows(x, labels, &mut out).unwrap();
                    all.extend(&out);
                    clipped.rows(x, y, &mut out).unwrap();
                    all.extend(&out);
                }
                Distillation::new().backend(backend).rows(x, y, &mut out).unwrap();
                all.extend(&out);
                backend.entropy_rows(x, &mut out).unwrap();
                all.extend(&out);
                backend.kl_divergence_rows(x, y, &mut out).unwrap();
                all.extend(&out);
                backend.js_divergence_rows(x, y, &mut out).unwrap();
                all.extend(&out);
                let mut statistics = vec![RowStatistics::NAN; n_rows];
                backend.row_statistics_rows(x, labels, &mut statistics).unwrap();
                all.extend(statistics.iter().map(|row| row.loss() + row.argmax() as f32));
                let mut out = vec![0.0; n_rows * classes];
                backend.softmax_rows(x, &mut out).unwrap();
                all.extend(&out);
                backend.log_softmax_rows(x, &mut out).unwrap();
                all.extend(&out);
                for targets in [y.into(), BinaryTargets::new(y).with_sample_weights(weights)] {
                    let binary = BinaryCrossEntropy::new().backend(backend);
                    binary.rows(x, targets, &mut out).unwrap();
                    all.extend(&out);
                    binary.gradient(x, targets, 1.0, &mut out).unwrap();
                    all.extend(&out);
                }
                let targets = Targets::distributions(y).with_sample_weights(weights);
                for loss in [loss, loss.label_smoothing(0.1)] {
                    loss.gradient(x, targets, 1.0, &mut out).unwrap();
                    all.extend(&out);
                }
                let total = clipped.gradient(x, targets, 1.0, &mut out).unwrap();
                all.extend(&out);
                all.push(total.sum() as f32);
                all
            };
            let (x, y) = (
                Rows::channels_first(&x, outer, classes, inner).unwrap(),
                Rows::channels_first(&y, outer, classes, inner).unwrap(),
            );
            let (want_x, want_y) = (
                Rows::new(&x_gathered, n_rows, classes).unwrap(),
                Rows::new(&y_gathered, n_rows, classes).unwrap(),
            );
            let what = || format!("{backend:?}, {outer} x {classes} x {inner}");
            let want = compute(want_x, want_y, 0..n_rows);
            for (x, y) in [(x, y), (x, want_y), (want_x, y)] {
                assert_same_bits(&compute(x, y, 0..n_rows), &want, &what);
            }
            // A part of the rows begins inside an image.
            let part = 4..n_rows - 2;
            let compute = |x: Rows<'_>, y: Rows<'_>| {
                compute(x.range(part.clone()), y.range(part.clone()), part.clone())
            };
            assert_same_bits(&compute(x, y), &compute(want_x, want_y), &what);
        }
    }
}

#[test]
fn one_row_may_stand_for_many() {
    // Found by fuzzing: a row stride of 0, with classes apart.
    let (n_rows, classes) = (23, 9);
    let mut random = Random::new(9);
    let x: Vec<f32> = (0..2 * classes).map(|_| random.unit()).collect();
    let alone: Vec<f32> = x.iter().copied().step_by(2).collect();
    for class_stride in [1, 2] {
        let data = if class_stride == 1 { &alone } else { &x };
        let rows = Rows::strided(data, n_rows, classes, 0, class_stride).unwrap();
        for backend in Backend::all() {
            let mut out = vec![0.0; n_rows];
            backend.entropy_rows(rows, &mut out).unwrap();
            assert_eq!(out, vec![backend.entropy(&alone); n_rows], "{backend:?}");
            let (mut out, mut want) = (vec![0.0; n_rows * classes], vec![0.0; classes]);
            backend.softmax_rows(rows, &mut out).unwrap();
            backend.softmax(&alone, &mut want).unwrap();
            assert_eq!(out, want.repeat(n_rows), "{backend:?}");
        }
    }
}

#[test]
fn in_place_gives_the_bits_of_a_buffer() {
    for n in short_lengths() {
        for (name, x) in hard_rows(n).into_iter().step_by(3) {
            for backend in Backend::all() {
                let (mut buffer, mut in_place) = (vec![0.0; n], x.clone());
                backend.softmax(&x, &mut buffer).unwrap();
                backend.softmax_in_place(&mut in_place);
                assert_same_bits(&in_place, &buffer, &|| {
                    format!("softmax, {backend:?}, {n}, {name}")
                });
                in_place.copy_from_slice(&x);
                backend.log_softmax(&x, &mut buffer).unwrap();
                backend.log_softmax_in_place(&mut in_place);
                assert_same_bits(&in_place, &buffer, &|| {
                    format!("log_softmax, {backend:?}, {n}, {name}")
                });
            }
        }
    }
}

#[test]
fn exponentials_that_are_kept_have_the_bits_of_those_taken_again() {
    // Kept are those from the block of the maximum to the end of its chunk, and in place none.
    for n in [129, 1000, 1024, 1025, 3000, 65_536, 65_537, 140_000] {
        let mut random = Random::new(n as u64);
        let mut x: Vec<f32> = (0..n).map(|_| random.unit() * 20.0 - 15.0).collect();
        x[3] = f32::NEG_INFINITY;
        let mut rows = vec![x.clone()];
        for places in [[0, 0], [n / 2, n / 2], [n - 1, n - 1], [n / 3, n - 2]] {
            let mut row = x.clone();
            row[places[0]] = 6.5;
            row[places[1]] = 6.5;
            rows.push(row);
        }
        // Blocks without a finite maximum before the one that has it.
        let mut masked = vec![f32::NEG_INFINITY; n];
        masked[n / 2..].copy_from_slice(&x[n / 2..]);
        rows.push(masked);
        for special in [f32::NAN, f32::INFINITY] {
            let mut row = x.clone();
            row[n - 2] = special;
            rows.push(row);
        }
        x.sort_by(f32::total_cmp);
        rows.push(x);
        for backend in Backend::all() {
            let loss = CrossEntropy::new().backend(backend);
            let mut in_place = rows.concat();
            let (x, mut buffer) = (in_place.clone(), vec![7.0; in_place.len()]);
            let labels = vec![n - 1; rows.len()];
            let (targets, sum) = (Targets::labels(&labels), Reduction::Sum);
            let x = Rows::new(&x, rows.len(), n).unwrap();
            loss.gradient(x, targets, sum, &mut buffer).unwrap();
            loss.gradient_in_place(&mut in_place, rows.len(), n, targets, sum).unwrap();
            assert_same_bits(&in_place, &buffer, &|| format!("{backend:?}, {n}"));
        }
        for (i, x) in rows.iter().enumerate() {
            for backend in Backend::all() {
                let what = || format!("{backend:?}, {n}, {i}");
                let (mut buffer, mut in_place) = (vec![7.0; n], x.clone());
                backend.softmax(x, &mut buffer).unwrap();
                backend.softmax_in_place(&mut in_place);
                assert_same_bits(&in_place, &buffer, &what);
                let loss = CrossEntropy::new().backend(backend);
                in_place.copy_from_slice(x);
                let want = loss.row_gradient_in_place(&mut in_place, n / 2).unwrap();
                let got = loss.row_gradient(x, n / 2, &mut buffer).unwrap();
                assert_same_bits(&[got], &[want], &what);
                assert_same_bits(&in_place, &buffer, &what);
            }
        }
    }
}

#[test]
fn chunks_merged_in_order_give_the_bits_of_the_whole() {
    for n in [1, 65_535, 65_536, 65_537, 200_000, 4 * 65_536, 5 * 65_536 + 1000] {
        for (name, x) in hard_rows(n).into_iter().step_by(2) {
            for backend in Backend::all() {
                let states = x.chunks(LogSumExp::CHUNK).map(|x| backend.log_sum_exp_state(x));
                let state = states.fold(LogSumExp::EMPTY, LogSumExp::merge);
                let got =
                    [backend.log_sum_exp_value(state), backend.log_sum_exp_loss(state, x[n - 1])];
                let loss = CrossEntropy::new().backend(backend);
                let want = [backend.log_sum_exp(&x), loss.row(&x, n - 1).unwrap()];
                assert_same_bits(&got, &want, &|| format!("{backend:?}, {n}, {name}"));
            }
        }
    }
}

#[test]
fn totals_of_chunks_merged_in_order_give_the_bits_of_the_whole() {
    let classes = 7;
    for n_rows in [0, 1, 31, 32, 33, 1023, 1024, 1025, 5000] {
        let mut random = Random::new(n_rows as u64);
        let x: Vec<f32> = (0..n_rows * classes).map(|_| random.unit() * 8.0).collect();
        let labels: Vec<i32> = (0..n_rows).map(|_| random.below(classes) as i32).collect();
        let rows = Rows::new(&x, n_rows, classes).unwrap();
        for backend in Backend::all() {
            let loss = CrossEntropy::new().backend(backend);
            let mut total = LossTotal::EMPTY;
            for (chunk, labels) in labels.chunks(LossTotal::CHUNK_ROWS).enumerate() {
                let start = chunk * LossTotal::CHUNK_ROWS;
                let rows = rows.range(start..start + labels.len());
                total = total.merge(loss.total(rows, labels).unwrap());
            }
            let whole = loss.total(rows, &labels[..]).unwrap();
            assert_eq!(total.sum().to_bits(), whole.sum().to_bits(), "{n_rows}");
            assert_eq!((total.weight(), total.count()), (n_rows as f64, n_rows as u64));
            let mut losses = vec![0.0; n_rows];
            loss.rows(rows, &labels[..], &mut losses).unwrap();
            let sum: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
            assert!((whole.sum() - sum).abs() <= 1e-12 * sum, "{n_rows}");
        }
    }
}

/// FNV-1a over bit patterns.
fn hash(values: &[f32]) -> u64 {
    let bytes = values.iter().flat_map(|x| x.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[test]
fn the_softmax_of_rows_is_that_of_each_row() {
    for classes in [1, 2, 7, 10, 31, 32, 33, 64, 100] {
        for n_rows in [1, 2, 3, 7, 8, 9, 17, 33] {
            let mut random = Random::new((classes * n_rows) as u64);
            let x: Vec<f32> = (0..n_rows * classes).map(|_| (random.unit() - 0.5) * 30.0).collect();
            let rows = Rows::new(&x, n_rows, classes).unwrap();
            for backend in Backend::all() {
                let (mut p, mut ln_p) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
                backend.softmax_rows(rows, &mut p).unwrap();
                backend.log_softmax_rows(rows, &mut ln_p).unwrap();
                let (mut want_p, mut want_ln_p) = (p.clone(), p.clone());
                let want = want_p.chunks_mut(classes).zip(want_ln_p.chunks_mut(classes));
                for (x, (p, ln_p)) in x.chunks(classes).zip(want) {
                    backend.softmax(x, p).unwrap();
                    backend.log_softmax(x, ln_p).unwrap();
                }
                let what = || format!("{backend:?}, {n_rows} rows of {classes}");
                assert_same_bits(&p, &want_p, &what);
                assert_same_bits(&ln_p, &want_ln_p, &what);
            }
        }
    }
}

#[test]
fn no_rounding_has_changed() {
    // A change of these is a change of results: list it in the changelog.
    let golden = [0x37be_6c0c_f2ce_da66, 0x46ef_4e70_9877_9ab5];
    for (class, want) in classes().into_iter().zip(golden) {
        for backend in class {
            let mut results = Vec::new();
            for n in [1, 2, 10, 31, 32, 33, 100, 128, 700, 1024, 1500, 5000, 70_000] {
                let mut random = Random::new(n as u64);
                for scale in [1.0, 30.0, 300.0] {
                    let x: Vec<f32> = (0..n).map(|_| (random.unit() - 0.5) * scale).collect();
                    results.extend(everything(backend, &x));
                }
            }
            let got = hash(&results);
            assert_eq!(
                got,
                want,
                "{backend:?}: the bits of {} results hash to {got:#x}",
                results.len()
            );
        }
    }
}

#[test]
fn no_rounding_of_an_option_or_a_gradient_has_changed() {
    // A change of these is a change of results: list it in the changelog.
    let golden = [0x4354_2577_ed48_9d84, 0x99e5_66a5_8b46_e986];
    for (class, want) in classes().into_iter().zip(golden) {
        for backend in class {
            let mut results = Vec::new();
            for n in [1, 2, 10, 31, 32, 33, 100, 128, 700, 1024, 1500, 5000] {
                let mut random = Random::new(n as u64);
                for scale in [1.0, 30.0, 300.0] {
                    let x: Vec<f32> = (0..n).map(|_| (random.unit() - 0.5) * scale).collect();
                    results.extend(everything_with_options(backend, &x));
                }
            }
            let got = hash(&results);
            let n = results.len();
            assert_eq!(got, want, "{backend:?}: the bits of {n} results hash to {got:#x}");
        }
    }
}
