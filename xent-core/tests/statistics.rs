//! The statistics of rows: bounds, special values, ties, bits and errors, on every backend.

mod common;

use common::{
    Ledger, Random, classes, few_cases, hard_rows, lengths, n_cases, places, short_lengths,
};
use proptest::prelude::*;
use xent_core::{
    Backend, CrossEntropy, Error, LogSumExp, RowStatistics, Rows, accuracy, reference,
    row_statistics, row_statistics_rows,
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
fn of(backend: Backend, x: &[f32], label: usize) -> RowStatistics {
    backend.row_statistics(x, label).unwrap()
}

/// Every number as bits.
fn bits(row: &RowStatistics) -> [u64; 7] {
    let [lse, loss, max_probability, entropy, margin] = numbers(row);
    [
        u64::from(lse.to_bits()),
        u64::from(loss.to_bits()),
        u64::from(max_probability.to_bits()),
        u64::from(entropy.to_bits()),
        u64::from(margin.to_bits()),
        row.argmax() as u64,
        row.rank() as u64,
    ]
}

fn numbers(row: &RowStatistics) -> [f32; 5] {
    [row.log_sum_exp(), row.loss(), row.max_probability(), row.entropy(), row.margin()]
}

#[track_caller]
fn assert_nan(x: f32) {
    assert_eq!(x.to_bits(), f32::NAN.to_bits(), "{x:e}, not the canonical NaN");
}

/// All but the log-sum-exp and what is counted are NaN.
#[track_caller]
fn assert_no_softmax(row: &RowStatistics) {
    for x in [row.loss(), row.max_probability(), row.entropy(), row.margin()] {
        assert_nan(x);
    }
}

struct Ledgers {
    max_probability: Ledger,
    entropy: Ledger,
    margin: Ledger,
}

impl Ledgers {
    fn new(of: fn(&'static str) -> Ledger) -> Self {
        Ledgers {
            max_probability: of("max_probability"),
            entropy: of("entropy"),
            margin: of("margin"),
        }
    }

    /// What does not depend on the label against the reference, what does against the other
    /// functions of core.
    fn check(&mut self, x: &[f32], labels: &[usize], case: &dyn Fn() -> String) {
        let half_distance = reference::mean_distance(x) / 2.0;
        let half_entropy_distance = reference::entropy_distance(x) / 2.0;
        let max_probability = reference::max_probability(x);
        let entropy = reference::entropy_of_logits(x);
        let margin = reference::margin(x);
        let argmax = reference::argmax(x);
        let ranks: Vec<usize> = labels.iter().map(|&label| reference::rank(x, label)).collect();
        for backend in Backend::all() {
            let got = of(backend, x, labels[0]);
            self.max_probability.check(
                backend,
                got.max_probability(),
                max_probability,
                accuracy::MAX_PROBABILITY + half_distance,
                max_probability,
                case,
            );
            self.entropy.check(
                backend,
                got.entropy(),
                entropy,
                accuracy::ENTROPY_OF_LOGITS + half_entropy_distance,
                entropy,
                case,
            );
            let ulp = accuracy::MARGIN + half_distance;
            self.margin.check(backend, got.margin(), margin, ulp, margin, case);
            assert_eq!(got.argmax(), argmax, "{backend:?}, {}", case());
            for (&label, &rank) in labels.iter().zip(&ranks) {
                let what = || format!("{backend:?}, label {label}, {}", case());
                let with_label = of(backend, x, label);
                assert_eq!(with_label.rank(), rank, "{}", what());
                assert_eq!(rank == 0, argmax == label, "{}", what());
                for k in [0, 1, 2, rank, rank + 1, usize::MAX] {
                    assert_eq!(with_label.is_in_top(k), rank < k, "top {k}, {}", what());
                }
                let loss = CrossEntropy::new().backend(backend).row(x, label).unwrap();
                assert_eq!(with_label.loss().to_bits(), loss.to_bits(), "{}", what());
            }
            let lse = backend.log_sum_exp(x);
            assert_eq!(got.log_sum_exp().to_bits(), lse.to_bits(), "{backend:?}, {}", case());
            assert_eq!(got.energy().to_bits(), (-lse).to_bits(), "{backend:?}, {}", case());
        }
    }
}

#[test]
fn statistics_at_every_edge() {
    let mut ledgers = Ledgers::new(Ledger::new);
    for n in lengths() {
        for (name, x) in hard_rows(n) {
            let mut labels = vec![n / 2, 0, n - 1, n / 3, reference::argmax(&x)];
            labels.dedup();
            ledgers.check(&x, &labels, &|| format!("{n} logits, {name}"));
        }
    }
}

#[test]
fn tied_backgrounds_do_not_drift() {
    // A row of one 0 and n equal others: every lane adds the same rounding errors.
    let mut ledgers = Ledgers::new(Ledger::new);
    for n in [31, 63, 127, 255, 511, 767, 1023, 2047, 4095, 65_535, 131_071] {
        for step in (0..120).step_by(if few_cases() { 20 } else { 1 }) {
            let mut x = vec![-1.0 - step as f32 * 0.1393; n + 1];
            x[n / 2] = 0.0;
            ledgers.check(&x, &[n / 2], &|| format!("{n} at {}", x[0]));
        }
    }
}

#[test]
fn rising_rows_do_not_drift() {
    // Every block brings a new maximum, so that the moment is moved 4,096 times, or 256.
    let n: usize = if few_cases() { 1 << 18 } else { 1 << 22 };
    let mut ledgers = Ledgers::new(Ledger::new);
    for slope in [1e-6_f32, 3.1e-5, 7e-4] {
        let x: Vec<f32> = (0..n).map(|i| i as f32 * slope).collect();
        ledgers.check(&x, &[n - 1, n / 2], &|| format!("{n} rising by {slope:e}"));
    }
}

#[test]
fn small_entropies_and_margins_keep_their_digits() {
    let mut ledgers = Ledgers::new(Ledger::new);
    for step in 0..4000 {
        // From 1e-12 to 130, in ratios of 0.8 %.
        let distance = 1e-12 * 1.0082_f32.powi(step);
        for x in [
            vec![0.0, -distance],
            vec![-distance, 0.0, -2.0 * distance],
            vec![distance, -distance, -90.0, 0.0],
            vec![3.0, 3.0 - distance, 1.0],
            vec![1.0, 1.0 - distance, -INF, 1.0 - 2.0 * distance],
        ] {
            ledgers.check(&x, &[0], &|| format!("{x:?}"));
        }
    }
}

#[test]
fn the_largest_probability_has_the_bits_of_softmax() {
    for n in short_lengths() {
        for (name, x) in hard_rows(n) {
            for backend in Backend::all() {
                let mut probs = vec![0.0; n];
                backend.softmax(&x, &mut probs).unwrap();
                let got = of(backend, &x, 0);
                let want = probs[got.argmax()];
                assert_eq!(
                    got.max_probability().to_bits(),
                    want.to_bits(),
                    "{backend:?}, {n}, {name}"
                );
            }
        }
    }
}

#[test]
fn one_class_is_certain() {
    for backend in Backend::all() {
        for x in [0.0, -0.0, 1e30, -7.5, 1e-45] {
            let got = of(backend, &[x], 0);
            assert_eq!(bits(&got)[1..], [0, 0x3f80_0000, 0, 0x3f80_0000, 0, 0], "{backend:?}, {x}");
            assert_eq!(got.log_sum_exp(), x);
        }
    }
}

#[test]
fn ties_have_no_margin_and_the_first_of_them_is_predicted() {
    for n in LENGTHS.into_iter().filter(|&n| n > 1) {
        for at in places(n - 1) {
            for other in [at + 1, n - 1, (at + n) / 2 + 1] {
                let other = other.min(n - 1);
                // 0 and -0 are equal.
                for [a, b] in [[11.0, 11.0], [0.0, -0.0], [-0.0, 0.0]] {
                    let mut x: Vec<f32> = row(n).iter().map(|x| x - 10.5).collect();
                    if a > 0.0 {
                        x = row(n);
                    }
                    (x[at], x[other]) = (a, b);
                    for backend in Backend::all() {
                        let [first, second] = [at, other].map(|label| of(backend, &x, label));
                        let what = format!("{backend:?}, {n}, {a} at {at}, {b} at {other}");
                        assert_eq!(first.argmax(), at, "{what}");
                        assert_eq!(first.margin().to_bits(), 0, "{what}");
                        assert_eq!((first.rank(), second.rank()), (0, 1), "{what}");
                        assert!(!second.is_in_top(1) && second.is_in_top(2), "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_rank_counts_equal_logits_before_the_label_alone() {
    for n in LENGTHS {
        let equal = vec![-2.5; n];
        let masked = vec![-INF; n];
        // The values 0 to 4 over and over, so that every rank has ties on both sides.
        let stairs: Vec<f32> = (0..n).map(|i| (i * 7 % 5) as f32).collect();
        for label in places(n) {
            let ahead = stairs.iter().filter(|&&x| x > stairs[label]).count();
            let ahead = ahead + stairs[..label].iter().filter(|&&x| x == stairs[label]).count();
            for backend in Backend::all() {
                assert_eq!(of(backend, &equal, label).rank(), label, "{backend:?}, {n}");
                assert_eq!(of(backend, &masked, label).rank(), label, "{backend:?}, {n}");
                assert_eq!(of(backend, &stairs, label).rank(), ahead, "{backend:?}, {n}, {label}");
            }
        }
    }
}

#[test]
fn the_second_largest_logit_is_found_wherever_it_is() {
    // The largest and the second largest in every pair of blocks and in every lane.
    for n in [2, 3, 8, 9, 33, 130, 1024, 1030, 2100, LogSumExp::CHUNK + 1100] {
        let mut places: Vec<usize> = (0..40)
            .step_by(if few_cases() { 3 } else { 1 })
            .chain([127, 128, 1023, 1024, 1029, 2047, 2048, 65_535, 65_536, n - 1])
            .collect();
        places.retain(|&place| place < n);
        places.dedup();
        let mut x = vec![-50.0; n];
        for &first in &places {
            for &second in places.iter().filter(|&&second| second != first) {
                if n > 3000 && (first + second) % 7 != 0 {
                    continue;
                }
                (x[first], x[second]) = (3.0, 2.0);
                let want = reference::margin(&[3.0, 2.0]) as f32;
                for backend in Backend::all().skip(if n > 3000 { 1 } else { 0 }) {
                    let got = of(backend, &x, second);
                    let what = format!("{backend:?}, {n}, at {first} and {second}");
                    assert!((got.margin() - want).abs() <= 1e-6 * want, "{what}: {got:?}");
                    assert_eq!((got.argmax(), got.rank()), (first, 1), "{what}");
                }
                (x[first], x[second]) = (-50.0, -50.0);
            }
        }
    }
}

#[test]
fn a_nan_anywhere_is_predicted_and_in_no_top_k() {
    for n in LENGTHS {
        for at in places(n) {
            let nan = f32::from_bits(NANS[at % NANS.len()]);
            for background in [row(n), vec![-INF; n], vec![INF; n], vec![0.0; n]] {
                let mut x = background;
                x[at] = nan;
                // A later NaN changes nothing.
                x[n - 1] = if at % 3 == 0 { f32::NAN } else { x[n - 1] };
                for backend in Backend::all() {
                    for label in [at, 0, n - 1] {
                        let got = of(backend, &x, label);
                        let what = format!("{backend:?}, {n}, {at}");
                        assert_nan(got.log_sum_exp());
                        assert_nan(got.energy());
                        assert_no_softmax(&got);
                        assert_eq!((got.argmax(), got.rank()), (at, n), "{what}");
                        assert!([0, 1, n, n + 1, usize::MAX].iter().all(|&k| !got.is_in_top(k)));
                    }
                }
            }
        }
    }
}

#[test]
fn a_nan_in_a_later_chunk_is_predicted() {
    let n = LogSumExp::CHUNK * 2 + 77;
    for at in [0, LogSumExp::CHUNK - 1, LogSumExp::CHUNK, n - 1] {
        for before in [None, Some(INF)] {
            let mut x = row(n);
            x[n / 3] = before.unwrap_or(x[n / 3]);
            x[at] = f32::NAN;
            for backend in Backend::all() {
                let got = of(backend, &x, 5);
                assert_eq!((got.argmax(), got.rank()), (at, n), "{backend:?}");
                assert_nan(got.log_sum_exp());
                assert_no_softmax(&got);
            }
        }
    }
}

#[test]
fn a_positive_infinity_is_predicted_and_has_no_softmax() {
    for n in LENGTHS.into_iter().chain([LogSumExp::CHUNK + 9]) {
        for at in (0..n).step_by(if n > 3000 { 4093 } else { 1 }) {
            for background in [row(n), vec![-INF; n]] {
                let mut x = background;
                x[at] = INF;
                x[n - 1] = if at % 2 == 0 { INF } else { x[n - 1] };
                for backend in Backend::all() {
                    let got = of(backend, &x, at);
                    let what = format!("{backend:?}, {n}, {at}");
                    assert_eq!((got.log_sum_exp(), got.energy()), (INF, -INF), "{what}");
                    assert_no_softmax(&got);
                    assert_eq!((got.argmax(), got.rank()), (at, 0), "{what}");
                    assert_eq!(of(backend, &x, n - 1).rank(), reference::rank(&x, n - 1), "{what}");
                }
            }
        }
    }
}

#[test]
fn only_neg_inf_has_no_softmax() {
    for n in LENGTHS.into_iter().chain([LogSumExp::CHUNK + 5]) {
        let x = vec![-INF; n];
        for backend in Backend::all() {
            let got = of(backend, &x, n - 1);
            assert_eq!((got.log_sum_exp(), got.energy()), (-INF, INF), "{backend:?}, {n}");
            assert_no_softmax(&got);
            assert_eq!((got.argmax(), got.rank()), (0, n - 1), "{backend:?}, {n}");
        }
    }
}

#[test]
fn a_masked_class_has_no_effect_and_a_masked_label_costs_infinity() {
    for n in LENGTHS {
        for at in places(n) {
            let mut x = vec![-INF; n];
            x[at] = 2.0;
            for backend in Backend::all() {
                let got = of(backend, &x, at);
                let what = format!("{backend:?}, {n}, {at}");
                assert_eq!(numbers(&got), numbers(&of(backend, &[2.0], 0)), "{what}");
                assert_eq!((got.argmax(), got.rank()), (at, 0), "{what}");
                let other = of(backend, &x, (at + 1) % n);
                assert_eq!(other.loss(), if n == 1 { 0.0 } else { INF }, "{what}");
                let mut two = x.clone();
                two[(at + n / 2) % n] = 2.0;
                let got = of(backend, &two, at);
                let entropy = if n == 1 { 0.0 } else { 2_f32.ln() };
                assert_eq!(got.entropy(), entropy, "{what}");
            }
        }
    }
}

#[test]
fn backends_of_a_class_give_the_same_bits() {
    for n in lengths() {
        for (name, x) in hard_rows(n) {
            for class in classes() {
                for pair in class.windows(2) {
                    let [a, b] = [pair[0], pair[1]].map(|backend| bits(&of(backend, &x, n / 2)));
                    assert_eq!(a, b, "{n} logits, {name}, {pair:?}");
                }
            }
        }
    }
}

#[test]
fn alignment_layout_and_neighbours_change_no_bit() {
    for (n_rows, classes) in
        [(1, 1), (9, 2), (19, 5), (50, 10), (35, 31), (40, 33), (5, 1024), (3, 2500), (2, 66_000)]
    {
        let mut random = Random::new(classes as u64);
        let x: Vec<f32> = (0..n_rows * classes).map(|_| random.unit() * 30.0 - 15.0).collect();
        let labels: Vec<u32> = (0..n_rows).map(|_| random.below(classes) as u32).collect();
        // Shifted, apart, by columns; what is between them is NaN.
        let layouts = [
            (0, classes, 1),
            (3, classes, 1),
            (1, classes + 3, 1),
            (0, 2 * classes + 1, 2),
            (5, 1, n_rows),
            (0, 2, 2 * n_rows + 1),
        ];
        for backend in Backend::all() {
            let alone: Vec<[u64; 7]> = x
                .chunks(classes)
                .zip(&labels)
                .map(|(x, &label)| bits(&backend.row_statistics(x, label).unwrap()))
                .collect();
            for (shift, row_stride, class_stride) in layouts {
                let end = (n_rows - 1) * row_stride + (classes - 1) * class_stride + 1;
                let mut data = vec![f32::NAN; shift + end];
                for (i, &x) in x.iter().enumerate() {
                    let (row, class) = (i / classes, i % classes);
                    data[shift + row * row_stride + class * class_stride] = x;
                }
                let data = &data[shift..];
                let rows = Rows::strided(data, n_rows, classes, row_stride, class_stride).unwrap();
                let mut out = vec![RowStatistics::NAN; n_rows];
                backend.row_statistics_rows(rows, &labels, &mut out).unwrap();
                let got: Vec<[u64; 7]> = out.iter().map(bits).collect();
                assert_eq!(
                    got, alone,
                    "{backend:?}, {n_rows} x {classes}, {row_stride}, {class_stride}"
                );
            }
        }
    }
}

/// FNV-1a.
fn hash(rows: &[[u64; 7]]) -> u64 {
    let bytes = rows.iter().flatten().flat_map(|x| x.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[test]
fn no_rounding_has_changed() {
    // A change of these is a change of results: list it in the changelog.
    let golden = [0x8ede_952f_518b_513a, 0x544c_8476_73d2_8580];
    for (class, want) in classes().into_iter().zip(golden) {
        for backend in class {
            let mut rows = Vec::new();
            // One group of the tree, whole and not: a long row's rounding hides the order of its additions.
            for seed in 0..60 {
                let mut random = Random::new(seed);
                let x: Vec<f32> = (0..128).map(|_| random.unit() * 8.0).collect();
                rows.push(bits(&of(backend, &x, 64)));
                rows.push(bits(&of(backend, &x[..66 + seed as usize], 64)));
            }
            for n in [1, 2, 10, 31, 32, 33, 100, 128, 700, 1024, 1500, 5000, 70_000] {
                let mut random = Random::new(n as u64);
                for scale in [1.0, 30.0, 300.0] {
                    let x: Vec<f32> = (0..n).map(|_| (random.unit() - 0.5) * scale).collect();
                    rows.push(bits(&of(backend, &x, n / 2)));
                }
            }
            let got = hash(&rows);
            assert_eq!(got, want, "{backend:?}: the bits of the rows hash to {got:#x}");
        }
    }
}

#[test]
fn a_callers_mistake_is_an_error_and_nothing_is_written() {
    let x = [1.0; 12];
    let mut out = [RowStatistics::NAN; 4];
    let untouched = out.map(|row| bits(&row));
    for backend in Backend::all() {
        for rows in [Rows::new(&x, 4, 3).unwrap(), Rows::strided(&x, 4, 3, 1, 4).unwrap()] {
            for label in [-1_i64, 3, 4, i64::MIN, i64::MAX, -3, 255, 1 << 32] {
                for row in 0..4 {
                    let mut labels = [0; 4];
                    labels[row] = label;
                    let want = Err(Error::LabelOutOfRange { row, label, classes: 3 });
                    assert_eq!(backend.row_statistics_rows(rows, &labels, &mut out), want);
                }
            }
            for found in [0, 3, 5] {
                let want = Err(Error::LengthMismatch { expected: 4, found });
                let labels = vec![0_u8; found];
                assert_eq!(backend.row_statistics_rows(rows, &labels, &mut out), want);
            }
            for found in [0, 3] {
                let want = Err(Error::LengthMismatch { expected: 4, found });
                let got = backend.row_statistics_rows(rows, &[0; 4], &mut out[..found]);
                assert_eq!(got, want);
            }
        }
        let empty = Rows::new(&[], 4, 0).unwrap();
        let want = Err(Error::EmptyClasses { n_rows: 4 });
        assert_eq!(backend.row_statistics_rows(empty, &[0; 4], &mut out), want);
        let want = Err(Error::EmptyClasses { n_rows: 1 });
        assert_eq!(backend.row_statistics(&[], 0).map(|_| ()), want);
        let negative = Err(Error::LabelOutOfRange { row: 0, label: -1, classes: 2 });
        assert_eq!(backend.row_statistics(&[1.0, 2.0], -1_i8).map(|_| ()), negative);
        let wide = Err(Error::LabelOutOfRange { row: 0, label: i64::MAX, classes: 2 });
        assert_eq!(backend.row_statistics(&[1.0, 2.0], u64::MAX).map(|_| ()), wide);
        for classes in [0, 5] {
            let none = Rows::new(&[], 0, classes).unwrap();
            assert_eq!(backend.row_statistics_rows::<u8>(none, &[], &mut []), Ok(()));
        }
    }
    assert_eq!(out.map(|row| bits(&row)), untouched);
}

#[test]
fn labels_of_every_integer_type_are_the_same() {
    let x = [0.5, 1.5, -2.0];
    let want = row_statistics(&x, 2).unwrap();
    let rows = Rows::new(&x, 1, 3).unwrap();
    macro_rules! check {
        ($($int:ty)*) => {$(
            assert_eq!(row_statistics(&x, 2 as $int), Ok(want));
            let mut out = [RowStatistics::default()];
            row_statistics_rows(rows, &[2 as $int], &mut out).unwrap();
            assert_eq!(out, [want]);
        )*};
    }
    check!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);
}

#[test]
fn nan_and_infinities_never_panic() {
    let values = [f32::NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, f32::MAX, f32::MIN, 1e-45];
    for backend in Backend::all() {
        for &a in &values {
            for &b in &values {
                for &c in &values {
                    for label in 0..3 {
                        let x = [a, b, c];
                        let got = of(backend, &x, label);
                        assert_eq!(got.argmax(), reference::argmax(&x), "{backend:?}, {x:?}");
                        assert_eq!(got.rank(), reference::rank(&x, label), "{backend:?}, {x:?}");
                    }
                }
            }
        }
    }
    for x in [&[][..], &[1.0], &[f32::NAN, 1.0], &[-INF], &[INF]] {
        for label in [0, 1, usize::MAX] {
            let _ = (reference::rank(x, label), reference::argmax(x), reference::margin(x));
            let _ = (reference::entropy_of_logits(x), reference::entropy_distance(x));
            let _ = reference::max_probability(x);
        }
    }
}

fn logit() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => -30.0_f32..30.0,
        // Few values, so that there are ties.
        3 => (-3_i8..3).prop_map(f32::from),
        2 => -1e3_f32..1e3,
        1 => -1e-3_f32..1e-3,
        1 => proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL | proptest::num::f32::ZERO,
        1 => Just(-INF),
    ]
}

fn logits() -> impl Strategy<Value = Vec<f32>> {
    prop_oneof![
        4 => prop::collection::vec(logit(), 1..80),
        2 => prop::collection::vec(-20.0_f32..20.0, 1..1200),
        1 => prop::collection::vec(-0.5_f32..0.5, 900..3300),
        1 => prop::collection::vec((-9_i8..9).prop_map(f32::from), 900..3300),
    ]
    .prop_filter("a row without a maximum has no statistics", |x| x.iter().any(|x| x.is_finite()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: n_cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_row_of_logits(x in logits(), at in any::<prop::sample::Index>()) {
        let mut ledgers = Ledgers::new(Ledger::of_one_case);
        ledgers.check(&x, &[at.index(x.len()), reference::argmax(&x)], &|| format!("{x:?}"));
    }

    #[test]
    fn a_row_stays_inside_its_ranges(x in logits(), at in any::<prop::sample::Index>()) {
        let label = at.index(x.len());
        let classes = x.len() as f32;
        for backend in Backend::all() {
            let row = of(backend, &x, label);
            prop_assert!((0.999_999 / classes..=1.0).contains(&row.max_probability()), "{row:?}");
            prop_assert!((0.0..=row.max_probability()).contains(&row.margin()), "{row:?}");
            prop_assert!(row.entropy() >= 0.0 && row.entropy() <= classes.ln() + 1e-5, "{row:?}");
            // The entropy is a mean of -ln(p), of which the smallest is that of the maximum.
            let least = of(backend, &x, row.argmax()).loss();
            prop_assert!(row.entropy() >= least * 0.999_999, "{row:?}");
            prop_assert!(row.rank() < x.len() && row.loss() >= least, "{row:?}");
        }
    }

    #[test]
    fn a_permutation_moves_the_prediction(x in logits(), turn in any::<prop::sample::Index>()) {
        let turn = turn.index(x.len());
        let mut turned = x.clone();
        turned.rotate_left(turn);
        for backend in Backend::all() {
            let (a, b) = (of(backend, &x, turn), of(backend, &turned, 0));
            // The logit of the label is the same, and so is what is larger; ties move.
            prop_assert_eq!(x[a.argmax()], turned[b.argmax()]);
            let ties = x.iter().filter(|&&y| y == x[turn]).count();
            prop_assert!(b.rank() <= a.rank() && a.rank() < b.rank() + ties);
        }
    }
}
