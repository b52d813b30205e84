//! NaN, infinities, masked classes, subnormals and zeros, in every lane, tail and block, on every
//! backend.

mod common;

use common::{Random, assert_same_bits, places};
use xent_core::{
    Backend, BinaryCrossEntropy, ClippedBinaryCrossEntropy, ClippedCrossEntropy, CrossEntropy,
    LogSumExp, Reduction, Rows,
};

const INF: f32 = f32::INFINITY;
/// NaN of either sign, quiet and signalling, with payloads.
const NANS: [u32; 6] =
    [0x7fc0_0000, 0xffc0_0000, 0x7fc0_0001, 0x7f80_0001, 0xffff_ffff, 0x7fff_ffff];
/// Lengths whose last element is in another lane, row, group, block or chunk.
const LENGTHS: [usize; 16] = [1, 2, 7, 8, 9, 16, 17, 31, 32, 33, 127, 129, 160, 1024, 1025, 2100];

fn row(n: usize) -> Vec<f32> {
    let mut random = Random::new(n as u64);
    (0..n).map(|_| random.unit() * 20.0 - 10.0).collect()
}

#[track_caller]
fn assert_nan(x: f32) {
    assert_eq!(x.to_bits(), f32::NAN.to_bits(), "{x:e}, not the canonical NaN");
}

/// Everything that reads a whole row of logits.
fn assert_row_is_nan(backend: Backend, x: &[f32]) {
    let loss = CrossEntropy::new().backend(backend);
    for label in [0, x.len() / 2, x.len() - 1] {
        assert_nan(loss.row(x, label).unwrap());
    }
    let y = vec![1.0 / x.len() as f32; x.len()];
    assert_nan(loss.row(x, &y[..]).unwrap());
    let mut p = vec![0.0; x.len()];
    backend.softmax(x, &mut p).unwrap();
    p.iter().for_each(|&p| assert_nan(p));
    backend.log_softmax(x, &mut p).unwrap();
    p.iter().for_each(|&p| assert_nan(p));
    let (mut a, mut b) = (x.to_vec(), x.to_vec());
    backend.softmax_in_place(&mut a);
    backend.log_softmax_in_place(&mut b);
    a.iter().chain(&b).for_each(|&p| assert_nan(p));
}

#[test]
fn a_nan_anywhere_in_the_logits_gives_nan() {
    for n in LENGTHS {
        for at in places(n) {
            // Every position; each NaN comes up in every lane.
            let nan = f32::from_bits(NANS[at % NANS.len()]);
            for background in [row(n), vec![-INF; n], vec![INF; n], vec![0.0; n]] {
                let mut x = background;
                x[at] = nan;
                for backend in Backend::all() {
                    assert_nan(backend.log_sum_exp(&x));
                    assert_nan(backend.log_sum_exp_state(&x).max());
                    if n <= 33 || at % 37 == 0 {
                        assert_row_is_nan(backend, &x);
                    }
                }
            }
        }
    }
}

#[test]
fn a_nan_in_a_later_chunk_gives_nan() {
    let n = LogSumExp::CHUNK * 2 + 77;
    for at in [0, LogSumExp::CHUNK - 1, LogSumExp::CHUNK, n - 1] {
        let mut x = row(n);
        x[at] = f32::NAN;
        for backend in Backend::all() {
            assert_nan(backend.log_sum_exp(&x));
        }
    }
}

#[test]
fn log_sum_exp_of_nothing_and_of_only_neg_inf_is_neg_inf() {
    for backend in Backend::all() {
        assert_eq!(backend.log_sum_exp(&[]), -INF);
        for n in LENGTHS.into_iter().chain([LogSumExp::CHUNK + 5]) {
            assert_eq!(backend.log_sum_exp(&vec![-INF; n]), -INF, "{backend:?}, {n}");
            if n < 3000 {
                assert_row_is_nan(backend, &vec![-INF; n]);
            }
        }
    }
}

#[test]
fn a_positive_infinity_makes_the_log_sum_exp_infinite_and_the_rest_nan() {
    for n in LENGTHS {
        for at in places(n) {
            for background in [row(n), vec![-INF; n]] {
                let mut x = background;
                x[at] = INF;
                x[n / 2] = INF;
                let side_by_side = [row(n), x.clone(), row(n)].concat();
                let rows = Rows::new(&side_by_side, 3, n).unwrap();
                for backend in Backend::all() {
                    assert_eq!(backend.log_sum_exp(&x), INF, "{backend:?}, {n}, {at}");
                    let finite = backend.log_sum_exp(&row(n));
                    let mut out = [0.0; 3];
                    backend.log_sum_exp_rows(rows, &mut out).unwrap();
                    assert_eq!(out, [finite, INF, finite], "{backend:?}, {n}, {at}");
                    if n <= 33 || at % 37 == 0 {
                        assert_row_is_nan(backend, &x);
                    }
                }
            }
        }
    }
}

#[test]
fn a_nan_counts_more_than_a_positive_infinity_in_any_block() {
    for n in LENGTHS {
        for at in places(n) {
            for infinite in [0, n / 2, n - 1] {
                let mut x = row(n);
                x[infinite] = INF;
                x[at] = f32::NAN;
                for backend in Backend::all() {
                    assert_nan(backend.log_sum_exp(&x));
                }
            }
        }
    }
}

#[test]
fn a_nan_leaves_nothing_else_in_a_state() {
    // Of a state that is NaN no other part can be seen but so.
    let nan = format!("{:?}", LogSumExp::of(&[f32::NAN]));
    for n in LENGTHS {
        for at in places(n) {
            let mut x = row(n);
            x[at] = f32::NAN;
            for backend in Backend::all() {
                let state = backend.log_sum_exp_state(&x);
                assert_eq!(format!("{state:?}"), nan, "{backend:?}, {n}, {at}");
            }
        }
    }
}

#[test]
fn a_masked_class_has_no_effect() {
    for n in LENGTHS {
        let x = row(n);
        for backend in Backend::all() {
            let loss = CrossEntropy::new().backend(backend);
            let lse = f64::from(backend.log_sum_exp(&x));
            let mut masked = vec![-INF; 3 * n];
            for (i, &x) in x.iter().enumerate() {
                masked[3 * i + 1] = x;
            }
            // Within the bounds of both: the mask moves elements to other lanes.
            assert!(
                (f64::from(backend.log_sum_exp(&masked)) - lse).abs() <= 1e-6 * lse.abs().max(1.0)
            );
            let (a, b) =
                (loss.row(&x, n / 2).unwrap(), loss.row(&masked, 3 * (n / 2) + 1).unwrap());
            assert!((a - b).abs() <= 2e-6 * a, "{backend:?}, {n}: {a:e}, masked {b:e}");
            let mut p = vec![7.0; 3 * n];
            backend.softmax(&masked, &mut p).unwrap();
            assert!(p.iter().step_by(3).all(|&p| p.to_bits() == 0));
            backend.log_softmax(&masked, &mut p).unwrap();
            assert!(p.iter().step_by(3).all(|&p| p == -INF));
        }
    }
}

#[test]
fn one_finite_logit_among_masked_ones_costs_nothing() {
    for n in LENGTHS {
        for at in places(n) {
            let mut x = vec![-INF; n];
            x[at] = -3.5;
            for backend in Backend::all() {
                let loss = CrossEntropy::new().backend(backend);
                assert_eq!(backend.log_sum_exp(&x), -3.5);
                assert_eq!(loss.row(&x, at).unwrap().to_bits(), 0, "{backend:?}, {at} of {n}");
                if n > 1 {
                    assert_eq!(loss.row(&x, (at + 1) % n), Ok(INF));
                }
            }
        }
    }
}

#[test]
fn a_target_of_0_on_a_masked_class_contributes_0() {
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend);
        assert_eq!(loss.row(&[1.0, -INF, 1.0], &[0.5, 0.0, 0.5]), Ok(2_f32.ln()));
        assert_eq!(loss.row(&[1.0, -INF, 1.0], &[0.5, -0.0, 0.5]), Ok(2_f32.ln()));
        assert_eq!(loss.row(&[1.0, -INF, 1.0], &[0.5, 1e-30, 0.5]), Ok(INF));
        assert_nan(loss.row(&[1.0, 2.0, 1.0], &[0.5, f32::NAN, 0.5]).unwrap());
        assert_eq!(loss.row(&[0.0, 1e37], &[0.0, f32::MAX]), Ok(0.0));
        // Targets are taken as given: of nothing, nothing.
        assert_eq!(loss.row(&[1.0, 2.0], &[0.0, 0.0]), Ok(0.0));
    }
}

#[test]
fn subnormal_losses_are_not_flushed() {
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend);
        for gap in 88..104 {
            let want = (-f64::from(gap)).exp();
            let got = f64::from(loss.row(&[0.0, -(gap as f32)], 0).unwrap());
            assert!(
                (got - want).abs() <= 2_f64.powi(-149),
                "{backend:?}: {got:e}, exactly {want:e}"
            );
        }
        // A thousand terms of 3.4e-46, each of which rounds to 0.
        let mut x = vec![-104.7; 1001];
        x[0] = 0.0;
        let want = 1000.0 * (-f64::from(104.7_f32)).exp();
        let got = f64::from(loss.row(&x, 0).unwrap());
        assert!((got / want - 1.0).abs() < 1e-2, "{backend:?}: {got:e}, exactly {want:e}");
    }
}

#[test]
fn zeros_of_either_sign_are_the_same() {
    for n in [1, 2, 9, 33] {
        for mask in 0..16_u32 {
            let x: Vec<f32> =
                (0..n).map(|i| if mask >> (i % 4) & 1 == 1 { -0.0 } else { 0.0 }).collect();
            for backend in Backend::all() {
                let got = backend.log_sum_exp(&x);
                assert_eq!(got.to_bits(), backend.log_sum_exp(&vec![0.0; n]).to_bits());
                let state = backend.log_sum_exp_state(&x);
                assert_eq!(state, backend.log_sum_exp_state(&vec![0.0; n]));
                assert_eq!(state.max().to_bits(), 0, "{backend:?}");
            }
            assert_eq!(x.iter().copied().collect::<LogSumExp>().max().to_bits(), 0);
        }
    }
}

#[test]
fn a_gradient_of_a_label_that_underflows_is_not_minus_0() {
    // The rest beside the label is 2^-149; a quarter of it is nothing.
    let (x, mut gradient) = ([103.0, 0.0].repeat(4), [7.0; 8]);
    let x = Rows::new(&x, 4, 2).unwrap();
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend);
        loss.gradient(x, &[0; 4], Reduction::Mean, &mut gradient).unwrap();
        assert_eq!(gradient.map(f32::to_bits), [0; 8], "{backend:?}");
    }
}

/// Found by fuzzing: `1 / p` was `-inf` at -0.
#[test]
fn gradients_by_probabilities_do_not_see_the_sign_of_a_zero() {
    let y = Rows::new(&[1.0, 0.0, 1.0], 1, 3).unwrap();
    for backend in Backend::all() {
        for gamma in [0.0, 0.5, 2.0] {
            let gradients = |zero: f32| {
                let p = [zero, zero, 0.5];
                let p = Rows::new(&p, 1, 3).unwrap();
                let mut out = [[0.0; 3]; 4];
                let [plain, label, normalized, binary] = &mut out;
                let loss = ClippedCrossEntropy::new().backend(backend).clip(0.0, 1.0).focal(gamma);
                loss.gradient(p, y, 1.0, plain).unwrap();
                loss.gradient(p, &[0], 1.0, label).unwrap();
                loss.normalize(true).gradient(p, y, 1.0, normalized).unwrap();
                let loss = ClippedBinaryCrossEntropy::new().backend(backend);
                loss.clip(0.0, 1.0).focal(gamma).gradient(p, y, 1.0, binary).unwrap();
                out
            };
            let of_zero = gradients(0.0);
            assert_eq!(of_zero.map(|gradient| gradient[0]), [-INF; 4], "{backend:?}, {gamma}");
            assert_same_bits(gradients(-0.0).as_flattened(), of_zero.as_flattened(), &|| {
                format!("{backend:?}, focal {gamma}")
            });
        }
    }
}

#[test]
fn a_common_offset_changes_no_loss_by_more_than_the_rounding_of_the_inputs() {
    for backend in Backend::all() {
        let loss = CrossEntropy::new().backend(backend);
        // Quarters are exact up to an offset of 2^21.
        let x: Vec<f32> = (0..100).map(|i| (i * 37 % 100) as f32 * 0.25).collect();
        for offset in [-2_097_152.0, -1e4, 1.0, 65_536.0, 2_000_000.0] {
            let moved: Vec<f32> = x.iter().map(|x| x + offset).collect();
            for label in [0, 50, 99] {
                let (a, b) = (loss.row(&x, label).unwrap(), loss.row(&moved, label).unwrap());
                assert_eq!(a.to_bits(), b.to_bits(), "{backend:?}, offset {offset}");
            }
        }
    }
}

#[test]
fn a_state_merges_special_values_by_rank() {
    let nan = LogSumExp::of(&[f32::NAN]);
    let inf = LogSumExp::of(&[INF]);
    let masked = LogSumExp::of(&[-INF, -INF]);
    let finite = LogSumExp::of(&[1.0, 2.0]);
    for (a, b, want) in [
        (nan, inf, f32::NAN),
        (nan, masked, f32::NAN),
        (nan, finite, f32::NAN),
        (inf, masked, INF),
        (inf, finite, INF),
        (inf, inf, INF),
        (masked, LogSumExp::EMPTY, -INF),
        (masked, finite, finite.value()),
        (finite, LogSumExp::EMPTY, finite.value()),
    ] {
        for state in [a.merge(b), b.merge(a)] {
            assert_eq!(state.value().to_bits(), want.to_bits(), "{a:?}, {b:?}");
        }
    }
    assert_nan(inf.loss(INF));
    assert_nan(masked.loss(-INF));
    assert_nan(nan.loss(0.0));
    assert_nan(finite.loss(f32::NAN));
    assert_eq!(finite.loss(-INF), INF);
    let mut pushed = LogSumExp::EMPTY;
    pushed.push(-INF);
    assert_eq!(pushed, LogSumExp::EMPTY);
}

#[test]
fn binary_losses_of_infinite_logits() {
    for backend in Backend::all() {
        let loss = BinaryCrossEntropy::new().backend(backend);
        assert_eq!(loss.element(INF, 1.0).unwrap().to_bits(), 0);
        assert_eq!(loss.element(-INF, 0.0).unwrap().to_bits(), 0);
        assert_eq!(loss.element(INF, 0.0).unwrap(), INF);
        assert_eq!(loss.element(-INF, 1.0).unwrap(), INF);
        assert_eq!(loss.element(INF, 0.5).unwrap(), INF);
        assert_eq!(loss.element(f32::MAX, 0.0).unwrap(), f32::MAX);
        assert_eq!(loss.element(f32::MAX, 1.0).unwrap(), 0.0);
        for nan in NANS.map(f32::from_bits) {
            assert_nan(loss.element(nan, 0.0).unwrap());
            assert_nan(loss.element(nan, 1.0).unwrap());
            assert_nan(loss.element(3.0, nan).unwrap());
        }
    }
}

#[test]
fn a_nan_is_in_the_element_that_has_it_and_in_no_other() {
    for n in LENGTHS {
        for at in (0..n).step_by(1 + n / 40) {
            for backend in Backend::all() {
                let (mut x, y) = (row(n), vec![1.0; n]);
                x[at] = f32::NAN;
                let mut losses = vec![0.0; n];
                BinaryCrossEntropy::new().backend(backend).row(&x, &y, &mut losses).unwrap();
                assert!(losses.iter().enumerate().all(|(i, l)| l.is_nan() == (i == at)));
                x.iter_mut().for_each(|x| *x = 1.0 / (1.0 + x.abs()));
                let clipped = ClippedBinaryCrossEntropy::new().backend(backend);
                clipped.row(&x, &y, &mut losses).unwrap();
                assert!(losses.iter().enumerate().all(|(i, l)| l.is_nan() == (i == at)));
                assert_nan(losses[at]);
            }
        }
    }
}

#[test]
fn clipped_losses_of_special_probabilities() {
    for backend in Backend::all() {
        let clipped = ClippedCrossEntropy::new().backend(backend);
        let open = clipped.clip(0.0, 1.0);
        let nan = f32::from_bits(0xffc0_1234);
        // With a label and no normalisation only p[t] is read.
        assert_eq!(clipped.row(&[0.5, nan, INF], 0), Ok(2_f32.ln()));
        assert_nan(clipped.row(&[0.5, nan], 1).unwrap());
        // With targets a NaN shows, also under 0; an infinite loss counts only where y does.
        assert_nan(clipped.row(&[0.5, nan], &[1.0, 0.0]).unwrap());
        assert_eq!(open.row(&[1.0, 0.0], &[1.0, 0.0]), Ok(0.0));
        assert_eq!(open.row(&[0.5, 0.0], &[0.5, 0.5]), Ok(INF));
        assert_eq!(open.row(&[0.0, 1.0], 0), Ok(INF));
        assert_eq!(open.row(&[1.0, 0.0], 0).unwrap().to_bits(), 0);
        // Outside [0, 1] a probability is clipped.
        assert_eq!(open.row(&[2.0, -3.0], 0), Ok(0.0));
        assert_eq!(clipped.row(&[2.0, -3.0], 1), clipped.row(&[1.0, 0.0], 1));
        for normalized in [clipped.normalize(true), open.normalize(true)] {
            for p in [
                [0.0, 0.0],
                [1.0, INF],
                [1.0, nan],
                [f32::MAX, f32::MAX],
                [1.0, -1.0],
                [-1.0, -3.0],
            ] {
                assert_nan(normalized.row(&p, 0).unwrap());
                assert_nan(normalized.row(&p, &[0.5, 0.5]).unwrap());
            }
            assert_eq!(normalized.row(&[2.0, 2.0, 0.0], 0), Ok(2_f32.ln()));
        }
        assert_eq!(open.normalize(true).row(&[2.0, 0.0], 1), Ok(INF));
        assert_eq!(open.normalize(true).row(&[2.0, 0.0], &[1.0, 0.0]).unwrap().to_bits(), 0);
        // A masked class beside a confident one: 1e-30 of rest, and all of its digits.
        let got = open.normalize(true).row(&[1.0, 1e-30], 0).unwrap();
        assert_eq!(got, 1e-30, "{backend:?}");
    }
}

#[test]
fn clipped_binary_losses_of_special_probabilities() {
    for backend in Backend::all() {
        let open = ClippedBinaryCrossEntropy::new().clip(0.0, 1.0).backend(backend);
        assert_eq!(open.element(0.0, 0.0).unwrap().to_bits(), 0);
        assert_eq!(open.element(1.0, 1.0).unwrap().to_bits(), 0);
        assert_eq!(open.element(1.0, 0.0), Ok(INF));
        assert_eq!(open.element(0.0, 1.0), Ok(INF));
        assert_nan(open.element(f32::NAN, 0.0).unwrap());
        assert_nan(open.element(0.5, f32::NAN).unwrap());
        assert_eq!(open.element(1e-40, 0.0), Ok(1e-40));
    }
}

#[test]
fn nan_and_infinities_in_every_argument_never_panic() {
    let values = [f32::NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, f32::MAX, f32::MIN, 1e-45];
    for backend in Backend::all() {
        for &a in &values {
            for &b in &values {
                for &c in &values {
                    let (x, y) = ([a, b, c], [c, a, b]);
                    let rows = Rows::new(&x, 1, 3).unwrap();
                    let ys = Rows::new(&y, 1, 3).unwrap();
                    let _ = backend.log_sum_exp(&x);
                    let _ = CrossEntropy::new().backend(backend).total(rows, ys);
                    let _ = BinaryCrossEntropy::new().backend(backend).total(rows, ys);
                    for normalize in [false, true] {
                        let loss = ClippedCrossEntropy::new().clip(a, b).normalize(normalize);
                        let _ = loss.backend(backend).total(rows, ys);
                        let _ = ClippedCrossEntropy::new().normalize(normalize).total(rows, ys);
                    }
                    let _ = ClippedBinaryCrossEntropy::new().clip(a, b).total(rows, ys);
                }
            }
        }
    }
}

#[test]
fn long_rows_whose_classes_are_apart_have_the_values_of_rows_side_by_side() {
    const CLASSES: usize = 2500;
    let specials = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 0.0];
    let rows: Vec<Vec<f32>> = (0..40)
        .map(|row| {
            let mut x: Vec<f32> =
                (0..CLASSES).map(|c| ((c * 7919 + row) % 97) as f32 * 0.1).collect();
            if row % 4 == 1 {
                x.fill(f32::NEG_INFINITY);
            }
            if row % 4 != 0 {
                x[row * 61] = specials[row % 5];
                x[(row * 977) % CLASSES] = specials[(row / 5) % 5];
            }
            x
        })
        .collect();
    let by_row: Vec<f32> = rows.concat();
    let by_class: Vec<f32> = (0..CLASSES).flat_map(|c| rows.iter().map(move |x| x[c])).collect();
    let labels: Vec<usize> = (0..rows.len()).map(|row| row * 61).collect();
    for backend in Backend::all() {
        let (mut a, mut b) = (vec![0.0; rows.len()], vec![1.0; rows.len()]);
        let by_row = Rows::new(&by_row, rows.len(), CLASSES).unwrap();
        let by_class = Rows::strided(&by_class, rows.len(), CLASSES, 1, rows.len()).unwrap();
        backend.log_sum_exp_rows(by_row, &mut a).unwrap();
        backend.log_sum_exp_rows(by_class, &mut b).unwrap();
        assert_same_bits(&a, &b, &|| format!("log_sum_exp on {backend:?}"));
        let loss = CrossEntropy::new().backend(backend);
        loss.rows(by_row, &labels[..], &mut a).unwrap();
        loss.rows(by_class, &labels[..], &mut b).unwrap();
        assert_same_bits(&a, &b, &|| format!("cross_entropy on {backend:?}"));
    }
}
