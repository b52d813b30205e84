//! Entropy, divergences and distillation: bounds, special values, errors and bits, on every backend.

mod common;

use common::bounds::DistillationCase;
use common::{
    Ledger, Random, assert_same_bits, classes, few_cases, hard_rows, long_lengths, n_cases, places,
    short_lengths,
};
use proptest::prelude::*;
use xent_core::{
    Backend, Distillation, Error, LossTotal, Reduction, Rows, accuracy, entropy_rows,
    js_divergence_rows, kl_divergence_rows, reference,
};

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;
const UNTOUCHED: f32 = -77.0;
/// Lengths whose last element is in another lane, row, group or block.
const LENGTHS: [usize; 14] = [1, 2, 7, 8, 9, 16, 17, 31, 33, 127, 129, 160, 1025, 2100];

/// `scale`, and one step of the smallest subnormal for each of `n` terms, in units of a bound.
fn with_steps(scale: f64, n: usize, ulp: f64) -> f64 {
    scale + n as f64 * 2_f64.powi(-149) / (ulp * accuracy::ULP)
}

/// Pairs of rows of probabilities, not always summing to 1, each with its name.
fn probability_pairs(n: usize) -> Vec<(String, Vec<f32>, Vec<f32>)> {
    let mut random = Random::new(n as u64);
    let mut pairs = Vec::new();
    let spread: Vec<f32> = (0..n).map(|_| random.unit() * 2.0 / n as f32).collect();
    let mut add = |name: &str, p: &[f32], q: Vec<f32>| {
        pairs.push((format!("{name}, forth"), p.to_vec(), q.clone()));
        pairs.push((format!("{name}, back"), q, p.to_vec()));
    };
    add("itself", &spread, spread.clone());
    for distance in [1e-7, 1e-5, 1e-3, 0.1, 0.9] {
        let near = spread.iter().map(|p| p * (1.0 + distance * (random.unit() - 0.5))).collect();
        add(&format!("within {distance}"), &spread, near);
    }
    let other = (0..n).map(|_| random.unit() * 2.0 / n as f32).collect();
    add("another", &spread, other);
    add("twice", &spread, spread.iter().map(|p| 2.0 * p).collect());
    add("5.8 times", &spread, spread.iter().map(|p| 5.83 * p).collect());
    let mut confident = vec![1e-9 / n as f32; n];
    confident[n / 2] = 1.0;
    add("confident", &confident, spread.clone());
    let sparse: Vec<f32> =
        spread.iter().map(|&p| if random.below(3) == 0 { 0.0 } else { p }).collect();
    add("sparse", &sparse, sparse.iter().map(|&p| 0.3 * p).collect());
    let subnormal: Vec<f32> = (0..n).map(|i| f32::from_bits(i as u32 * 31)).collect();
    add("subnormal", &subnormal, (0..n).map(|i| f32::from_bits(i as u32 * 37)).collect());
    add("subnormal and not", &subnormal, spread.clone());
    let any: Vec<f32> = (0..n).map(|_| f32::from_bits(random.bits() >> 2)).collect();
    add("of every size", &any, (0..n).map(|_| f32::from_bits(random.bits() >> 2)).collect());
    pairs
}

struct Ledgers {
    entropy: Ledger,
    kl: Ledger,
    js: Ledger,
}

impl Ledgers {
    fn new(ledger: fn(&'static str) -> Ledger) -> Self {
        Ledgers {
            entropy: ledger("entropy"),
            kl: ledger("kl_divergence"),
            js: ledger("js_divergence"),
        }
    }

    /// All three of probabilities that are finite and not negative, against the reference.
    fn check(&mut self, p: &[f32], q: &[f32], case: &dyn Fn() -> String) {
        let want_entropy = reference::entropy(p);
        let entropy_scale: f64 = p.iter().map(|&p| reference::entropy(&[p]).abs()).sum();
        let want_kl = reference::kl_divergence(p, q);
        let kl_scale: f64 = p.iter().zip(q).map(|(&p, &q)| reference::kl_term(p, q).abs()).sum();
        let want_js = reference::js_divergence(p, q);
        for backend in Backend::all() {
            let (ulp, scale) = (accuracy::ENTROPY, entropy_scale);
            let scale = with_steps(scale, p.len(), ulp);
            self.entropy.check(backend, backend.entropy(p), want_entropy, ulp, scale, case);
            let (ulp, got) = (accuracy::KL_DIVERGENCE, backend.kl_divergence(p, q).unwrap());
            self.kl.check(backend, got, want_kl, ulp, with_steps(kl_scale, p.len(), ulp), case);
            let (ulp, got) = (accuracy::JS_DIVERGENCE, backend.js_divergence(p, q).unwrap());
            self.js.check(backend, got, want_js, ulp, with_steps(want_js, p.len(), ulp), case);
            assert!(got >= 0.0, "{backend:?}, {}: a negative {got:e}", case());
        }
    }
}

#[test]
fn divergences_at_every_edge() {
    let mut ledgers = Ledgers::new(Ledger::new);
    for n in short_lengths().into_iter().chain(long_lengths()) {
        for (name, p, q) in probability_pairs(n) {
            ledgers.check(&p, &q, &|| format!("{n} probabilities, {name}"));
        }
    }
}

#[test]
fn divergences_of_single_probabilities_of_every_size_and_quotient() {
    let mut ledgers = Ledgers::new(Ledger::new);
    let mut random = Random::new(1);
    for i in 0..750 * n_cases() {
        let any = |random: &mut Random| f32::from_bits(random.bits() % 0x7f80_0000);
        let p = any(&mut random);
        let q = match i % 4 {
            0 => any(&mut random),
            1 => f32::from_bits((p.to_bits() + random.bits() % 64).min(0x7f7f_ffff)),
            2 => (p * (0.05 + 20.0 * random.unit() * random.unit())).min(f32::MAX),
            _ => (p * (0.5 + random.unit())).min(f32::MAX),
        };
        ledgers.check(&[p], &[q], &|| format!("{p:e} (0x{:08x}), {q:e}", p.to_bits()));
        ledgers.check(&[q], &[p], &|| format!("{q:e} (0x{:08x}), {p:e}", q.to_bits()));
    }
    // Every exponent of either, from the smallest subnormal to the largest f32.
    let step = if few_cases() { 20 * 0x0031_0d0d } else { 0x0031_0d0d };
    for i in (0..0x7f80_0000_u32).step_by(step) {
        for j in (1..0x7f80_0000_u32).step_by(0x0131_0d0d) {
            let (p, q) = (f32::from_bits(i), f32::from_bits(j));
            ledgers.check(&[p], &[q], &|| format!("{p:e}, {q:e}"));
        }
    }
}

#[test]
fn neighbouring_probabilities_keep_the_digits_of_their_divergence() {
    for backend in Backend::all() {
        let p = f32::from_bits(0.7_f32.to_bits() + 1);
        let difference = f64::from(p) - f64::from(0.7_f32);
        let kl = f64::from(backend.kl_divergence(&[p], &[0.7]).unwrap());
        assert!((kl / difference - 1.0).abs() < 2e-7, "{backend:?}: {kl:e}");
        let js = f64::from(backend.js_divergence(&[p], &[0.7]).unwrap());
        let want = difference * difference / (8.0 * f64::from(p));
        assert!((js / want - 1.0).abs() < 4e-7, "{backend:?}: {js:e}, not {want:e}");
    }
}

#[test]
fn known_values() {
    // By mpmath, of the decimals.
    let (p, q) = ([0.1, 0.4, 0.5], [0.8, 0.15, 0.05]);
    for backend in Backend::all() {
        let near = |got: f32, want: f64| assert!((f64::from(got) / want - 1.0).abs() < 3e-7);
        near(backend.entropy(&p), 0.943_348_392_329_039_2);
        near(backend.kl_divergence(&p, &q).unwrap(), 1.335_680_093_533_73);
        near(backend.kl_divergence(&q, &p).unwrap(), 1.401_299_590_742_408);
        near(backend.js_divergence(&p, &q).unwrap(), 0.291_260_840_626_064);
        assert_eq!(backend.entropy(&[1.0, 0.0, -0.0]).to_bits(), 0);
        assert_eq!(backend.js_divergence(&[1.0, 0.0], &[0.0, 1.0]), Ok(2_f32.ln()));
    }
}

#[test]
fn jensen_shannon_does_not_depend_on_the_order() {
    for n in short_lengths().into_iter().step_by(5) {
        for (name, p, q) in probability_pairs(n) {
            for backend in Backend::all() {
                let (a, b) = (backend.js_divergence(&p, &q), backend.js_divergence(&q, &p));
                assert_eq!(a, b, "{backend:?}, {n}, {name}");
                assert_eq!(backend.js_divergence(&p, &p).unwrap().to_bits(), 0);
                assert_eq!(backend.kl_divergence(&p, &p).unwrap().to_bits(), 0);
            }
        }
    }
}

#[track_caller]
fn assert_is(got: f32, want: f32) {
    assert_eq!(got.to_bits(), want.to_bits(), "got {got:e}, not {want:e}");
}

#[test]
fn special_probabilities_in_every_lane() {
    let nan = f32::from_bits(0xffc0_1234);
    // p, q, and what the row becomes with them: entropy, kl, js; 0 stands for a finite value.
    let cases = [
        (nan, 0.5, NAN, NAN, NAN),
        (0.5, nan, 0.0, NAN, NAN),
        (0.0, nan, 0.0, NAN, NAN),
        (nan, 0.0, NAN, NAN, NAN),
        (nan, INF, NAN, NAN, NAN),
        (-0.5, 0.5, NAN, NAN, NAN),
        (0.5, -0.5, 0.0, NAN, NAN),
        (0.0, -1e-45, 0.0, NAN, NAN),
        (-1e-45, 0.0, NAN, NAN, NAN),
        (-INF, 0.5, NAN, NAN, NAN),
        (0.5, 0.0, 0.0, INF, 0.0),
        (1e-45, 0.0, 0.0, INF, 0.0),
        (0.5, -0.0, 0.0, INF, 0.0),
        (0.0, 0.0, 0.0, 0.0, 0.0),
        (-0.0, 0.5, 0.0, 0.0, 0.0),
        (0.0, INF, 0.0, 0.0, INF),
        (0.5, INF, 0.0, -INF, INF),
        (INF, 0.5, -INF, INF, INF),
        (INF, 0.0, -INF, INF, INF),
        (INF, INF, -INF, NAN, NAN),
    ];
    for n in LENGTHS {
        let mut random = Random::new(n as u64);
        let background: Vec<f32> = (0..n).map(|_| random.unit() + 0.1).collect();
        for at in places(n) {
            for (p_at, q_at, entropy, kl, js) in cases {
                if n > 160 && at % 37 != 0 {
                    continue;
                }
                let (mut p, mut q) = (background.clone(), background.clone());
                (p[at], q[at]) = (p_at, q_at);
                for backend in Backend::all() {
                    let got = [
                        (backend.entropy(&p), entropy),
                        (backend.kl_divergence(&p, &q).unwrap(), kl),
                        (backend.js_divergence(&p, &q).unwrap(), js),
                    ];
                    for (got, want) in got {
                        let as_wanted = if want == 0.0 {
                            got.is_finite()
                        } else {
                            got.to_bits() == want.to_bits()
                        };
                        assert!(as_wanted, "{backend:?}, {p_at:e}, {q_at:e}, {at} of {n}: {got:e}");
                    }
                }
            }
        }
    }
    for backend in Backend::all() {
        // 0 ln 0 adds nothing, and p ln(p / inf) and p ln(p / 0) have no sum.
        assert_is(backend.entropy(&[0.5, 0.0, 0.5, -0.0]), 2_f32.ln());
        assert_eq!(backend.kl_divergence(&[0.0, 1.0], &[0.7, 0.5]), Ok(2_f32.ln()));
        assert_is(backend.kl_divergence(&[0.5, 0.5], &[INF, 0.0]).unwrap(), NAN);
        assert_eq!(backend.js_divergence(&[0.0, 1.0], &[0.0, 1.0]), Ok(0.0));
        // Nothing.
        assert_is(backend.entropy(&[]), 0.0);
        assert_is(backend.kl_divergence(&[], &[]).unwrap(), 0.0);
        assert_is(backend.js_divergence(&[], &[]).unwrap(), 0.0);
        // Sums beyond f32::MAX that need not be taken.
        let want = f32::MAX * (2_f32.ln() * 0.5);
        let got = backend.js_divergence(&[f32::MAX], &[0.0]).unwrap();
        assert!((got / want - 1.0).abs() < 4e-7, "{backend:?}: {got:e}");
        assert_eq!(backend.js_divergence(&[f32::MAX], &[f32::MAX]), Ok(0.0));
    }
}

#[test]
fn shapes_that_differ_are_errors_and_nothing_is_written() {
    let x = [0.5; 12];
    let (rows, other) = (Rows::new(&x, 3, 4).unwrap(), Rows::new(&x, 4, 3).unwrap());
    let mismatch = |expected, found| Err(Error::LengthMismatch { expected, found });
    let mut out = [UNTOUCHED; 4];
    for backend in Backend::all() {
        assert_eq!(
            backend.kl_divergence(&x, &x[..7]),
            Err(Error::LengthMismatch { expected: 12, found: 7 })
        );
        assert_eq!(
            backend.js_divergence(&x[..7], &x),
            Err(Error::LengthMismatch { expected: 7, found: 12 })
        );
        assert_eq!(backend.entropy_rows(rows, &mut out), mismatch(3, 4));
        assert_eq!(backend.kl_divergence_rows(rows, rows, &mut out), mismatch(3, 4));
        assert_eq!(backend.js_divergence_rows(rows, rows, &mut out[..2]), mismatch(3, 2));
        assert_eq!(backend.kl_divergence_rows(rows, other, &mut out[..3]), mismatch(3, 4));
        assert_eq!(backend.js_divergence_rows(rows, other, &mut out[..3]), mismatch(3, 4));
        let two = rows.range(0..2);
        assert_eq!(backend.kl_divergence_rows(rows, two, &mut out[..3]), mismatch(12, 8));
        assert_eq!(backend.js_divergence_rows(two, rows, &mut out[..2]), mismatch(8, 12));
        assert_eq!(out, [UNTOUCHED; 4]);
    }
    // Of rows without classes each value is a sum over nothing; no rows have none.
    let (empty, none) = (Rows::new(&[], 4, 0).unwrap(), Rows::new(&[], 0, 4).unwrap());
    for fill in [
        |p: Rows<'_>, out: &mut [f32]| entropy_rows(p, out),
        |p: Rows<'_>, out: &mut [f32]| kl_divergence_rows(p, p, out),
        |p: Rows<'_>, out: &mut [f32]| js_divergence_rows(p, p, out),
    ] {
        out.fill(UNTOUCHED);
        assert_eq!(fill(none, &mut []), Ok(()));
        assert_eq!(fill(empty, &mut out), Ok(()));
        assert_eq!(out, [0.0; 4]);
    }
}

// ---- Distillation ---------------------------------------------------------------------------------------

fn check_loss(row: &DistillationCase<'_>, ledger: &mut Ledger, case: &dyn Fn() -> String) {
    for backend in Backend::all() {
        let loss = Distillation::new().temperature(row.temperature).backend(backend);
        let got = loss.row(row.student, row.teacher).unwrap();
        ledger.check_within(backend, got, row.loss, row.loss_allowed, case);
        assert!(got >= 0.0, "{backend:?}, {}: a negative {got:e}", case());
    }
}

fn check_gradient(
    row: &DistillationCase<'_>,
    ledger: &mut Ledger,
    factor: f32,
    case: &dyn Fn() -> String,
) {
    let n = row.student.len();
    let rows = [row.student, row.teacher].map(|x| Rows::new(x, 1, n).unwrap());
    let mut classes: Vec<usize> = (0..n.min(9)).chain(n.saturating_sub(3)..n).collect();
    classes.dedup();
    for backend in Backend::all() {
        let loss = Distillation::new().temperature(row.temperature).backend(backend);
        let mut gradient = vec![UNTOUCHED; n];
        loss.gradient(rows[0], rows[1], factor, &mut gradient).unwrap();
        for &c in &classes {
            let [want, allowed] = row.gradient(c, factor);
            let case = || format!("class {c}, {}", case());
            ledger.check_within(backend, gradient[c], want, allowed, &case);
        }
    }
}

/// Teachers of a student's row, each with its name.
fn teachers(x: &[f32]) -> Vec<(String, Vec<f32>)> {
    let mut random = Random::new(x.len() as u64 + 7);
    let mut teachers: Vec<(String, Vec<f32>)> = [0.0, 1e-4, 1e-3, 1e-2, 0.1, 3.0, 30.0]
        .into_iter()
        .map(|by| {
            let teacher = x.iter().map(|x| x + (random.unit() - 0.5) * by).collect();
            (format!("teacher within {by}"), teacher)
        })
        .collect();
    teachers.push(("teacher reversed".to_string(), x.iter().rev().copied().collect()));
    teachers.push(("teacher all equal".to_string(), vec![1.0; x.len()]));
    teachers
}

#[test]
fn distillation_at_every_edge() {
    let mut loss = Ledger::new("distillation");
    let mut gradient = Ledger::new("distillation, gradient");
    for n in short_lengths().into_iter().chain(long_lengths().take(1)) {
        for (name, x) in hard_rows(n) {
            // All teachers and temperatures for short rows, some for others, and for few cases.
            let all = n < 70 && !few_cases();
            let step = if all { 1 } else { 5 };
            for (teacher_name, y) in teachers(&x).into_iter().skip(n % step).step_by(step) {
                for temperature in if all { &[1.0, 3.0, 0.3][..] } else { &[2.0][..] } {
                    let case = || format!("{n}, {name}, {teacher_name}, T {temperature}");
                    for (student, teacher) in [(&x, &y), (&y, &x)] {
                        let row = DistillationCase::new(student, teacher, *temperature);
                        check_loss(&row, &mut loss, &case);
                        if n < 70 {
                            check_gradient(&row, &mut gradient, -0.37, &case);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_student_that_comes_near_its_teacher_keeps_the_digits_of_its_loss() {
    // Second order in f32 steps of the logits: KL = p (1 - p) d^2 / 2 for two classes.
    for backend in Backend::all() {
        for bits in [1, 10, 1000] {
            let near = f32::from_bits(1_f32.to_bits() + bits);
            let d = f64::from(near) - 1.0;
            let want = d * d / 8.0;
            let loss = Distillation::new().backend(backend);
            let got = f64::from(loss.row(&[1.0, 1.0], &[1.0, near]).unwrap());
            // (e R)^2 / 2 of the bound would be 1e-13.
            assert!(
                (got - want).abs() <= 3e-15_f64.max(1e-3 * want),
                "{backend:?}: {got:e}, {want:e}"
            );
        }
        // Of confident rows: sums of 2e-9 and 4e-18 beside 1.
        for (student, teacher) in [([21.0, 0.0], [20.0, 0.0]), ([40.0, 0.0], [41.0, 0.0])] {
            let mut gradient = [0.0; 2];
            let loss = Distillation::new().backend(backend);
            let got = loss.row_gradient(&student, &teacher, &mut gradient).unwrap();
            let want = reference::distillation(&student, &teacher, 1.0);
            assert!((f64::from(got) / want - 1.0).abs() < 1e-6, "{backend:?}: {got:e}, {want:e}");
            for (c, got) in gradient.into_iter().enumerate() {
                let want = reference::distillation_gradient(&student, &teacher, 1.0, c);
                assert!((f64::from(got) / want - 1.0).abs() < 1e-6, "{backend:?}: {got:e}");
            }
        }
    }
}

#[test]
fn a_small_temperature_leaves_the_digits_of_a_difference_of_log_sum_exps() {
    let mut ledger = Ledger::new("distillation, T times the difference is subnormal");
    for exponent in [-3, -20, -60, -100] {
        let t = 2_f32.powi(exponent);
        for (student, teacher) in [(100.5, 103.0), (70.0, 69.5), (30.0, 31.0), (1.0, 0.5)] {
            let (x, y) = ([3.0 * t, (3.0 - student) * t], [-t, (-1.0 - teacher) * t]);
            let case = || format!("{student} and {teacher} below, T = {t:e}");
            let row = DistillationCase::new(&x, &y, t);
            check_gradient(&row, &mut ledger, 1.0, &case);
            check_loss(&row, &mut ledger, &case);
        }
    }
}

#[test]
fn divergences_whose_roundings_go_one_way_are_within_their_bounds() {
    // Each was up to 1.09 times as far off as `D` and 4 ULP allow.
    let mut ledger = Ledger::new("distillation, roundings of one sign");
    let rows: [(&[f32], &[f32], f32); 3] = [
        (
            &[-7.749_429, -0.178_523_96, -0.013_694_536],
            &[-10.971_662_5, -0.166_580_53, -0.008_724_596],
            1.579_230_7,
        ),
        (
            &[-0.697_180_5, -7.429_693_7, -33.477_295, 0.036_165_237, -0.206_060_36],
            &[1.012_182_2, -2.592_801_7e-5, -32.05175, -1.186_132_2e-5, -1.268_199e-5],
            0.414_267_57,
        ),
        (
            &[-45.645_046, 42.02912, 11.098_739, 0.052_043_92, 23.581_463],
            &[-46.574_547, 0.731_814_86, 11.49126, 0.148_507_13, 38.711_918],
            2.332_485_2,
        ),
    ];
    for (student, teacher, temperature) in rows {
        let row = DistillationCase::new(student, teacher, temperature);
        let case = || format!("{student:?}, {teacher:?}");
        check_gradient(&row, &mut ledger, 1.0, &case);
        check_loss(&row, &mut ledger, &case);
    }
}

#[test]
fn a_gradient_has_the_digits_of_a_difference_far_below_the_distance_of_its_logits() {
    // Over the distance of 66, in f64 too, nothing would be left of the difference.
    let (difference, distance) = (7.2164497e-15_f32, 65.98826_f32);
    let (student, teacher) = ([distance, 0.0, -48.7], [distance, -difference, -48.7]);
    let row = DistillationCase::new(&student, &teacher, 1.0);
    let [value, _] = row.gradient(1, 1.0);
    let want = (-f64::from(distance)).exp() * f64::from(difference);
    assert!((value / want - 1.0).abs() < 1e-9, "the reference: {value:e}, {want:e}");
    let mut ledger = Ledger::new("distillation, gradient of a small difference");
    check_gradient(&row, &mut ledger, 1.0, &|| "a small difference".to_string());
    check_loss(&row, &mut ledger, &|| "a small difference".to_string());
}

#[test]
fn equal_rows_have_no_divergence_and_an_offset_changes_none() {
    for n in LENGTHS {
        let mut random = Random::new(n as u64);
        // 1/16 is exact up to an offset of 2^19.
        let x: Vec<f32> = (0..n).map(|_| (random.unit() * 320.0).round() / 16.0).collect();
        let y: Vec<f32> = (0..n).map(|_| (random.unit() * 320.0).round() / 16.0).collect();
        for backend in Backend::all() {
            for temperature in [1.0, 0.7, 4.0] {
                let loss = Distillation::new().temperature(temperature).backend(backend);
                let (mut want, mut got) = (vec![0.0; n], vec![0.0; n]);
                let want_loss = loss.row_gradient(&x, &y, &mut want).unwrap();
                for offset in [-524_288.0, -1.0, 3.0, 500_000.0] {
                    let moved: Vec<f32> = y.iter().map(|y| y + offset).collect();
                    let got_loss = loss.row_gradient(&x, &moved, &mut got).unwrap();
                    assert_is(got_loss, want_loss);
                    assert_same_bits(&got, &want, &|| format!("{backend:?}, {n}, {offset}"));
                    let zero = loss.row_gradient(&y, &moved, &mut got).unwrap();
                    assert_is(zero, 0.0);
                    assert!(got.iter().all(|&g| g == 0.0), "{backend:?}, {n}, {offset}");
                }
            }
        }
    }
}

#[test]
fn the_gradient_is_that_of_the_reference() {
    // Central differences in f64 over a step of f32 logits, quarters, that is exact.
    let mut random = Random::new(11);
    for n in [2, 3, 5, 17] {
        let x: Vec<f32> = (0..n).map(|_| (random.unit() * 24.0).round() / 4.0).collect();
        let y: Vec<f32> = (0..n).map(|_| (random.unit() * 24.0).round() / 4.0).collect();
        for temperature in [0.5, 1.0, 2.0, 8.0] {
            for c in 0..n {
                let moved = |by: f32| {
                    let mut x = x.clone();
                    x[c] += by;
                    reference::distillation(&x, &y, temperature)
                };
                let step = 2_f32.powi(-10);
                let slope = |step: f32| (moved(step) - moved(-step)) / (2.0 * f64::from(step));
                // Richardson: the error of second order drops out.
                let want = (4.0 * slope(step) - slope(2.0 * step)) / 3.0;
                for backend in Backend::all() {
                    let mut gradient = vec![0.0; n];
                    let loss = Distillation::new().temperature(temperature).backend(backend);
                    loss.row_gradient(&x, &y, &mut gradient).unwrap();
                    let got = f64::from(gradient[c]);
                    assert!((got - want).abs() < 1e-6 / f64::from(temperature), "{got:e} {want:e}");
                }
            }
        }
    }
}

#[test]
fn special_logits_of_student_and_teacher() {
    for n in LENGTHS.into_iter().filter(|&n| n > 1) {
        let mut random = Random::new(n as u64);
        let x: Vec<f32> = (0..n).map(|_| random.unit() * 9.0).collect();
        let y: Vec<f32> = (0..n).map(|_| random.unit() * 9.0).collect();
        for at in places(n).filter(|at| n <= 160 || at % 37 == 0) {
            let with = |x: &[f32], value: f32| {
                let mut x = x.to_vec();
                x[at] = value;
                x
            };
            let case = || format!("{at} of {n}");
            let masked = [with(&x, -INF), with(&y, -INF)];
            let rest = |x: &[f32]| [&x[..at], &x[at + 1..]].concat();
            for backend in Backend::all() {
                let loss = Distillation::new().temperature(2.0).backend(backend);
                let mut gradient = vec![UNTOUCHED; n];
                for bad in [NAN, f32::from_bits(0xff80_0001), INF] {
                    assert_is(loss.row_gradient(&with(&x, bad), &y, &mut gradient).unwrap(), NAN);
                    gradient.iter().for_each(|&g| assert_is(g, NAN));
                    assert_is(loss.row(&x, &with(&y, bad)).unwrap(), NAN);
                    assert_is(loss.row(&masked[0], &with(&y, bad)).unwrap(), NAN);
                }
                // Masked by the student alone, by the teacher alone, by both.
                let infinite = loss.row_gradient(&masked[0], &y, &mut gradient).unwrap();
                assert_is(infinite, INF);
                assert!(gradient.iter().all(|g| g.is_finite()) && gradient[at] < 0.0);
                let finite = loss.row_gradient(&x, &masked[1], &mut gradient).unwrap();
                assert!(finite.is_finite() && gradient[at] > 0.0, "{}", case());
                let row = DistillationCase::new(&x, &masked[1], 2.0);
                check_loss(&row, &mut Ledger::of_one_case("distillation, masked"), &case);
                let both = loss.row_gradient(&masked[0], &masked[1], &mut gradient).unwrap();
                let without = loss.row(&rest(&x), &rest(&y)).unwrap();
                assert!((both - without).abs() <= 1e-5 * without, "{}", case());
                assert_eq!(gradient[at], 0.0);
            }
        }
        let all_masked = vec![-INF; n];
        for backend in Backend::all() {
            let loss = Distillation::new().backend(backend);
            assert_is(loss.row(&all_masked, &y).unwrap(), NAN);
            assert_is(loss.row(&x, &all_masked).unwrap(), NAN);
            assert_is(loss.row(&all_masked, &all_masked).unwrap(), NAN);
        }
    }
    for backend in Backend::all() {
        let loss = Distillation::new().backend(backend);
        // However unlikely the teacher finds it.
        assert_eq!(loss.row(&[0.0, -INF], &[0.0, -1e4]), Ok(INF));
        assert_eq!(reference::distillation(&[0.0, -INF], &[0.0, -1e4], 1.0), f64::INFINITY);
        assert_eq!(loss.row(&[-INF, 0.0], &[f32::MIN, f32::MAX]), Ok(INF));
        assert_eq!(loss.row(&[3.0], &[-7.0]), Ok(0.0));
    }
}

#[test]
fn logits_and_temperatures_of_every_size() {
    let max = f32::MAX;
    for backend in Backend::all() {
        let loss = Distillation::new().backend(backend);
        // -p ln q with ln q = -2 MAX, p = 1/4 and a little.
        let got = loss.row(&[max, -max], &[1.1, 0.0]).unwrap();
        let want = 2.0 * f64::from(max) / (1.0 + 1.1_f64.exp());
        assert!((f64::from(got) / want - 1.0).abs() < 1e-6, "{backend:?}: {got:e}");
        assert_eq!(loss.row(&[max, -max], &[-max, max]), Ok(INF));
        assert_eq!(loss.row(&[max, -max], &[max, -max]), Ok(0.0));
        assert_eq!(loss.row(&[max, -max], &[0.0, -200.0]), Ok(0.0));
        for temperature in [1e-45, 1e-38, 1e-30, 1e-20, 1e20, 1e30, 1e38, max] {
            let loss = loss.temperature(temperature);
            for (x, y) in
                [([1.0, 2.0], [2.0, 1.0]), ([max, -max], [0.0, 1.0]), ([0.0, 1e-40], [1e-40; 2])]
            {
                let mut gradient = [0.0; 2];
                let got = loss.row_gradient(&x, &y, &mut gradient).unwrap();
                assert!(got >= 0.0, "{backend:?}, {temperature:e}, {x:?}, {y:?}: {got:e}");
                assert!(!gradient.iter().any(|g| g.is_nan()), "{temperature:e}, {gradient:?}");
                let want = reference::distillation(&x, &y, temperature);
                if (1e-30..=1e30).contains(&temperature) && want < 1e38 {
                    let row = DistillationCase::new(&x, &y, temperature);
                    let mut ledger = Ledger::of_one_case("distillation");
                    check_loss(&row, &mut ledger, &|| format!("{temperature:e}"));
                }
            }
        }
    }
}

#[test]
fn distillation_errors_come_in_order_and_nothing_is_written() {
    let x = [0.5; 12];
    let (rows, other) = (Rows::new(&x, 3, 4).unwrap(), Rows::new(&x, 4, 3).unwrap());
    let empty = Rows::new(&[], 3, 0).unwrap();
    let mut out = [UNTOUCHED; 12];
    let option = |error: Error| match error {
        Error::InvalidOption { name, value } => (name, value.to_bits()),
        other => panic!("{other}"),
    };
    for temperature in [0.0, -0.0, -1.0, NAN, INF, -INF] {
        let loss = Distillation::new().temperature(temperature);
        let want = ("temperature", temperature.to_bits());
        // First, also where the shapes are wrong.
        assert_eq!(option(loss.row(&x, &x[..3]).unwrap_err()), want);
        assert_eq!(option(loss.rows(rows, other, &mut out).unwrap_err()), want);
        assert_eq!(option(loss.total(empty, empty).unwrap_err()), want);
        assert_eq!(option(loss.row_gradient(&[], &[], &mut out).unwrap_err()), want);
        assert_eq!(option(loss.gradient(rows, rows, NAN, &mut out).unwrap_err()), want);
    }
    let loss = Distillation::new();
    for factor in [NAN, INF, -INF] {
        let error = loss.gradient(rows, other, factor, &mut out).unwrap_err();
        assert_eq!(option(error), ("gradient_scale", factor.to_bits()));
    }
    let no_classes = |n_rows| Error::EmptyClasses { n_rows };
    assert_eq!(loss.row(&[], &x), Err(no_classes(1)));
    assert_eq!(loss.rows(empty, rows, &mut out), Err(no_classes(3)));
    assert_eq!(loss.total(empty, empty), Err(no_classes(3)));
    assert_eq!(loss.row_gradient(&[], &[], &mut out), Err(no_classes(1)));
    assert_eq!(loss.gradient(empty, empty, 1.0, &mut out), Err(no_classes(3)));
    let mismatch = |expected, found| Error::LengthMismatch { expected, found };
    assert_eq!(loss.row(&x, &x[..5]), Err(mismatch(12, 5)));
    assert_eq!(loss.rows(rows, other, &mut out[..3]), Err(mismatch(3, 4)));
    assert_eq!(loss.rows(rows, rows, &mut out[..4]), Err(mismatch(3, 4)));
    assert_eq!(loss.total(rows, rows.range(1..3)), Err(mismatch(12, 8)));
    assert_eq!(loss.row_gradient(&x, &x, &mut out[..7]), Err(mismatch(12, 7)));
    assert_eq!(loss.row_gradient(&x, &x[..5], &mut out), Err(mismatch(12, 5)));
    assert_eq!(loss.gradient(rows, other, 1.0, &mut out), Err(mismatch(3, 4)));
    assert_eq!(loss.gradient(rows, rows, 1.0, &mut out[..11]), Err(mismatch(12, 11)));
    assert_eq!(out, [UNTOUCHED; 12]);
    let none = Rows::new(&[], 0, 4).unwrap();
    assert_eq!(loss.rows(none, none, &mut []), Ok(()));
    assert_eq!(loss.gradient(none, none, 1.0, &mut []), Ok(LossTotal::EMPTY));
}

// ---- The same bits --------------------------------------------------------------------------------------

/// Everything of two rows, of which those of probabilities take absolute values over the length.
fn everything(backend: Backend, x: &[f32], y: &[f32]) -> Vec<f32> {
    let probs = |x: &[f32]| -> Vec<f32> {
        x.iter().map(|x| x.abs().min(1e9) / (1.0 + x.abs().min(1e9))).collect()
    };
    let (p, q) = (probs(x), probs(y));
    let mut all = vec![
        backend.entropy(&p),
        backend.kl_divergence(&p, &q).unwrap(),
        backend.js_divergence(&p, &q).unwrap(),
    ];
    for temperature in [1.0, 3.0] {
        let loss = Distillation::new().temperature(temperature).backend(backend);
        let mut gradient = vec![0.0; x.len()];
        all.push(loss.row_gradient(x, y, &mut gradient).unwrap());
        all.extend(gradient);
    }
    all
}

#[test]
fn backends_of_a_class_give_the_same_bits() {
    for n in short_lengths().into_iter().chain(long_lengths()) {
        for (name, x) in hard_rows(n) {
            let (teacher, y) = teachers(&x).swap_remove(n % 9);
            for class in classes() {
                for pair in class.windows(2) {
                    let (a, b) = (everything(pair[0], &x, &y), everything(pair[1], &x, &y));
                    assert_same_bits(&a, &b, &|| format!("{n}, {name}, {teacher}, {pair:?}"));
                }
            }
        }
    }
}

#[test]
fn alignment_changes_no_bit() {
    for n in [10, 64, 130, 1030] {
        let (_, x) = hard_rows(n).swap_remove(1);
        let (_, y) = teachers(&x).swap_remove(5);
        for backend in Backend::all() {
            let want = everything(backend, &x, &y);
            let (mut a, mut b) = (vec![NAN; n + 32], vec![NAN; n + 32]);
            for shift in 0..16 {
                a[shift..shift + n].copy_from_slice(&x);
                b[16 - shift..16 - shift + n].copy_from_slice(&y);
                let got = everything(backend, &a[shift..][..n], &b[16 - shift..][..n]);
                assert_same_bits(&got, &want, &|| format!("{backend:?}, {n}, shifted by {shift}"));
            }
        }
    }
}

/// Entropies, divergences and gradients of all rows.
fn of_rows(backend: Backend, x: Rows<'_>, y: Rows<'_>) -> Vec<f32> {
    let mut all = Vec::new();
    let mut out = vec![0.0; x.n_rows()];
    backend.entropy_rows(x, &mut out).unwrap();
    all.extend(&out);
    backend.kl_divergence_rows(x, y, &mut out).unwrap();
    all.extend(&out);
    backend.js_divergence_rows(x, y, &mut out).unwrap();
    all.extend(&out);
    let loss = Distillation::new().temperature(1.7).backend(backend);
    loss.rows(x, y, &mut out).unwrap();
    all.extend(&out);
    let mut gradient = vec![0.0; x.n_elements()];
    let total = loss.gradient(x, y, 0.7, &mut gradient).unwrap();
    assert_eq!(total, loss.total(x, y).unwrap());
    let mut in_place: Vec<f32> =
        (0..x.n_elements()).map(|i| x.get(i / x.classes(), i % x.classes()).unwrap()).collect();
    assert_eq!(loss.gradient_in_place(&mut in_place, y, 0.7), Ok(total));
    assert_same_bits(&in_place, &gradient, &|| format!("{backend:?}, in place"));
    assert_eq!(total.count(), x.n_rows() as u64);
    let sum: f64 = out.iter().map(|&loss| f64::from(loss)).sum();
    assert!((total.sum() - sum).abs() <= 1e-12 * sum.abs(), "{total:?}, {sum}");
    all.extend(gradient);
    all
}

#[test]
fn layout_and_neighbours_change_no_bit_of_a_divergence() {
    for (n_rows, classes) in
        [(1, 1), (40, 2), (50, 10), (150, 33), (5, 1024), (3, 2500), (2, 66_000)]
    {
        if few_cases() && classes > 3000 {
            continue;
        }
        let mut random = Random::new(classes as u64);
        let mut numbers =
            || -> Vec<f32> { (0..n_rows * classes).map(|_| random.unit() * 3.0).collect() };
        let (x, y) = (numbers(), numbers());
        let columns = |x: &[f32]| -> Vec<f32> {
            (0..x.len()).map(|i| x[i % n_rows * classes + i / n_rows]).collect()
        };
        let (x_columns, y_columns) = (columns(&x), columns(&y));
        let by_row = |x| Rows::new(x, n_rows, classes).unwrap();
        for backend in Backend::all() {
            let want = of_rows(backend, by_row(&x), by_row(&y));
            let x_by_column = Rows::strided(&x_columns, n_rows, classes, 1, n_rows).unwrap();
            let y_by_column = Rows::channels_first(&y_columns, 1, classes, n_rows).unwrap();
            let what = || format!("{backend:?}, {n_rows} x {classes}");
            assert_same_bits(&of_rows(backend, x_by_column, by_row(&y)), &want, &what);
            assert_same_bits(&of_rows(backend, by_row(&x), y_by_column), &want, &what);
            assert_same_bits(&of_rows(backend, x_by_column, y_by_column), &want, &what);
            for (row, (x, y)) in x.chunks(classes).zip(y.chunks(classes)).enumerate() {
                assert_is(backend.entropy(x), want[row]);
                assert_is(backend.kl_divergence(x, y).unwrap(), want[n_rows + row]);
                assert_is(backend.js_divergence(x, y).unwrap(), want[2 * n_rows + row]);
                let loss = Distillation::new().temperature(1.7).backend(backend);
                assert_is(loss.row(x, y).unwrap(), want[3 * n_rows + row]);
            }
        }
    }
}

#[test]
fn rows_without_a_softmax_have_a_gradient_of_nan_in_place_too() {
    for backend in Backend::all() {
        let loss = Distillation::new().backend(backend);
        for (student, teacher) in [([NAN, 0.0], [0.0, 1.0]), ([0.0, 1.0], [0.0, INF])] {
            let mut gradient = [UNTOUCHED; 2];
            let of_row = loss.row_gradient(&student, &teacher, &mut gradient).unwrap();
            assert!(of_row.is_nan() && gradient.iter().all(|g| g.is_nan()), "{backend:?}");
            let mut x = student;
            let teacher = Rows::new(&teacher, 1, 2).unwrap();
            let total = loss.gradient_in_place(&mut x, teacher, Reduction::Sum).unwrap();
            assert!(total.sum().is_nan() && x.iter().all(|g| g.is_nan()), "{backend:?}");
        }
    }
}

#[test]
fn a_mean_of_divergences_is_over_the_rows() {
    let (x, y) = ([0.5, 1.0, -2.0, 3.0, 0.0, 0.25], [1.0, 0.0, 0.0, 2.0, -1.0, 0.0]);
    let [x, y] = [&x, &y].map(|x| Rows::new(x, 3, 2).unwrap());
    for backend in Backend::all() {
        let loss = Distillation::new().backend(backend);
        let (mut sum, mut mean) = ([UNTOUCHED; 6], [UNTOUCHED; 6]);
        let total = loss.gradient(x, y, Reduction::Sum, &mut sum).unwrap();
        assert_eq!(loss.gradient(x, y, Reduction::Mean, &mut mean), Ok(total));
        assert_eq!((total.weight(), total.count()), (3.0, 3));
        for reduction in [Reduction::Mean, Reduction::MeanCount] {
            assert_eq!(loss.gradient_factor(3, reduction), Ok(f64::from(1.0_f32 / 3.0)));
        }
        for (mean, sum) in mean.into_iter().zip(sum) {
            assert!((3.0 * mean - sum).abs() <= 2e-7 * sum.abs(), "{backend:?}: {mean}, {sum}");
        }
    }
}

#[test]
fn a_factor_beyond_f32_is_no_limit_of_the_gradient() {
    // Both gradients are near 1e-30.
    let x = [0.0, -70.0, -70.0];
    for backend in Backend::all() {
        let loss = Distillation::new().backend(backend);
        let (x, y) = (Rows::new(&x, 1, 3).unwrap(), Rows::new(&[0.0, -90.0, -90.0], 1, 3).unwrap());
        let (mut one, mut got) = ([0.0; 3], [0.0; 3]);
        loss.gradient(x, y, 1.0, &mut one).unwrap();
        for factor in [1e50, -1e50, 1e-40] {
            loss.gradient(x, y, factor, &mut got).unwrap();
            for (one, got) in one.iter().zip(got) {
                let want = (f64::from(*one) * factor) as f32;
                assert_eq!(got, want, "{backend:?}, {factor:e}");
            }
        }
    }
}

#[test]
fn totals_of_chunks_merged_in_order_give_the_bits_of_the_whole() {
    let (n_rows, classes) = (3000, 3);
    let mut random = Random::new(5);
    let x: Vec<f32> = (0..n_rows * classes).map(|_| random.unit() * 8.0).collect();
    let y: Vec<f32> = (0..n_rows * classes).map(|_| random.unit() * 8.0).collect();
    let (x, y) = (Rows::new(&x, n_rows, classes).unwrap(), Rows::new(&y, n_rows, classes).unwrap());
    for backend in Backend::all() {
        let loss = Distillation::new().backend(backend);
        let mut merged = LossTotal::EMPTY;
        for start in (0..n_rows).step_by(LossTotal::CHUNK_ROWS) {
            let rows = start..start + LossTotal::CHUNK_ROWS;
            merged = merged.merge(loss.total(x.range(rows.clone()), y.range(rows)).unwrap());
        }
        assert_eq!(merged, loss.total(x, y).unwrap(), "{backend:?}");
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
fn no_rounding_has_changed() {
    // A change of these is a change of results: list it in the changelog.
    let golden = [0xfba7_c7d8_5cfb_9fec, 0x9114_7c94_19ef_5b25];
    for (class, want) in classes().into_iter().zip(golden) {
        for backend in class {
            let mut results = Vec::new();
            for n in [1, 2, 10, 31, 33, 100, 128, 700, 1024, 1500, 5000, 70_000] {
                let mut random = Random::new(n as u64);
                for scale in [1.0, 30.0, 300.0] {
                    let x: Vec<f32> = (0..n).map(|_| (random.unit() - 0.5) * scale).collect();
                    let y: Vec<f32> = x.iter().map(|x| x + random.unit() * 0.1 * scale).collect();
                    results.extend(everything(backend, &x, &y));
                }
            }
            let (got, n) = (hash(&results), results.len());
            assert_eq!(got, want, "{backend:?}: the bits of {n} results hash to {got:#x}");
        }
    }
}

// ---- Properties -----------------------------------------------------------------------------------------

fn probability() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => 0.0_f32..1.0,
        2 => 0.0_f32..1e-6,
        1 => Just(0.0_f32),
        1 => (0..0x7f80_0000_u32).prop_map(f32::from_bits),
    ]
}

fn logit() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => -30.0_f32..30.0,
        2 => -1e3_f32..1e3,
        1 => -1e-3_f32..1e-3,
        1 => Just(f32::NEG_INFINITY),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: n_cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_rows_of_probabilities(
        rows in prop::collection::vec((probability(), probability(), 0.0_f32..1.0), 1..200),
        near in any::<bool>(),
    ) {
        let p: Vec<f32> = rows.iter().map(|row| row.0).collect();
        let q: Vec<f32> = rows
            .iter()
            .map(|row| if near { (row.0 * (1.0 + 1e-3 * row.2)).min(f32::MAX) } else { row.1 })
            .collect();
        Ledgers::new(Ledger::of_one_case).check(&p, &q, &|| format!("{p:?}, {q:?}"));
    }

    #[test]
    fn any_rows_of_logits(
        rows in prop::collection::vec((logit(), logit()), 1..200),
        by in prop_oneof![Just(1.0_f32), Just(1e-2_f32), Just(1e-4_f32)],
        temperature in prop_oneof![Just(1.0_f32), 0.05_f32..20.0],
        factor in -3.0_f32..3.0,
    ) {
        let x: Vec<f32> = rows.iter().map(|row| row.0).collect();
        let y: Vec<f32> = rows.iter().map(|row| row.0 + by * row.1).collect();
        prop_assume!([&x, &y].iter().all(|x| x.iter().any(|x| x.is_finite())));
        let masked_by_the_student = x.iter().zip(&y).any(|(x, y)| *x == -INF && *y > -INF);
        prop_assume!(!masked_by_the_student);
        let case = || format!("{x:?}, {y:?}, {temperature:e}");
        let row = DistillationCase::new(&x, &y, temperature);
        check_loss(&row, &mut Ledger::of_one_case("distillation"), &case);
        let mut ledger = Ledger::of_one_case("distillation, gradient");
        check_gradient(&row, &mut ledger, factor, &case);
    }
}
