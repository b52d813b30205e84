//! Every function on every backend against the f64 reference, within the bounds of `accuracy`.

mod common;

use common::{
    Ledger, Random, few_cases, hard_rows, lengths, log_sum_exp_bound, n_cases, short_lengths,
};
use proptest::prelude::*;
use xent_core::{
    Backend, BinaryCrossEntropy, ClippedBinaryCrossEntropy, ClippedCrossEntropy, CrossEntropy,
    LogSumExp, accuracy, reference,
};

/// The reference of everything that starts from logits, computed once for all backends.
struct Logits<'a> {
    x: &'a [f32],
    m: f64,
    lse: f64,
    /// `ln(1 + s)`, the loss of the maximum.
    ln_1p_sum: f64,
    distance: f64,
}

impl<'a> Logits<'a> {
    fn new(x: &'a [f32]) -> Self {
        let m = f64::from(x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let (lse, distance) = (reference::log_sum_exp(x), reference::mean_distance(x));
        let max = x.iter().position(|&x| f64::from(x) == m).unwrap_or(0);
        Logits { x, m, lse, ln_1p_sum: reference::cross_entropy(x, max), distance }
    }

    fn check_log_sum_exp(&self, ledger: &mut Ledger, case: &dyn Fn() -> String) {
        let (ulp, scale) = log_sum_exp_bound(self.x);
        for backend in Backend::all() {
            let got = backend.log_sum_exp(self.x);
            ledger.check(backend, got, self.lse, ulp, scale, case);
        }
    }

    fn check_loss(&self, ledger: &mut Ledger, label: usize, case: &dyn Fn() -> String) {
        let want = reference::cross_entropy(self.x, label);
        for backend in Backend::all() {
            let got = CrossEntropy::new().backend(backend).row(self.x, label).unwrap();
            ledger.check(backend, got, want, accuracy::LOSS + self.distance / 2.0, want, &|| {
                format!("label {label}, {}", case())
            });
        }
    }

    fn check_target_loss(&self, ledger: &mut Ledger, y: &[f32], case: &dyn Fn() -> String) {
        let want = reference::cross_entropy_target(self.x, y);
        // The terms are not negative where the targets are not.
        assert!(y.iter().all(|&y| y >= 0.0));
        for backend in Backend::all() {
            let got = CrossEntropy::new().backend(backend).row(self.x, y).unwrap();
            let ulp = accuracy::TARGET_LOSS + self.distance / 2.0;
            ledger.check(backend, got, want, ulp, want, case);
        }
    }

    /// Elements at every edge of a register, and some others.
    fn check_softmax(&self, p: &mut Ledger, ln_p: &mut Ledger, case: &dyn Fn() -> String) {
        let n = self.x.len();
        let mut elements: Vec<usize> = (0..n.min(40)).chain(n.saturating_sub(20)..n).collect();
        elements.dedup();
        let want: Vec<(f64, f64)> = elements
            .iter()
            .map(|&i| {
                let distance = f64::from(self.x[i]) - self.m;
                ((distance - self.ln_1p_sum).exp(), distance - self.ln_1p_sum)
            })
            .collect();
        for backend in Backend::all() {
            let mut probs = vec![0.0; n];
            let mut log_probs = self.x.to_vec();
            backend.softmax(self.x, &mut probs).unwrap();
            backend.log_softmax_in_place(&mut log_probs);
            for (&i, &(want_p, want_ln)) in elements.iter().zip(&want) {
                let case = || format!("element {i}, {}", case());
                let ulp = accuracy::SOFTMAX + self.distance / 2.0;
                p.check(backend, probs[i], want_p, ulp, want_p, &case);
                let ulp = accuracy::LOG_SOFTMAX + self.distance / 2.0;
                ln_p.check(backend, log_probs[i], want_ln, ulp, want_ln, &case);
            }
        }
    }
}

#[test]
fn log_sum_exp_and_losses_at_every_edge() {
    let mut lse = Ledger::new("log_sum_exp");
    let mut loss = Ledger::new("cross_entropy, label");
    let mut softmax = Ledger::new("softmax");
    let mut log_softmax = Ledger::new("log_softmax");
    for n in lengths() {
        for (name, x) in hard_rows(n) {
            let case = || format!("{n} logits, {name}");
            let logits = Logits::new(&x);
            logits.check_log_sum_exp(&mut lse, &case);
            let max = (0..n).fold(0, |k, i| if x[i] > x[k] { i } else { k });
            for label in [max, 0, n - 1, n / 3] {
                logits.check_loss(&mut loss, label, &case);
            }
            if n <= 4097 {
                logits.check_softmax(&mut softmax, &mut log_softmax, &case);
            }
        }
    }
}

#[test]
fn target_losses_at_every_edge() {
    let mut ledger = Ledger::new("cross_entropy, distribution");
    for n in short_lengths() {
        let mut random = Random::new(n as u64);
        for (name, x) in hard_rows(n) {
            let logits = Logits::new(&x);
            let spread: Vec<f32> = (0..n).map(|_| random.unit() / n as f32).collect();
            let even = vec![1.0 / n as f32; n];
            let mut sparse = vec![0.0; n];
            sparse[n / 2] = 0.9;
            sparse[n - 1] += 0.1;
            for (kind, y) in [("spread", spread), ("even", even), ("sparse", sparse)] {
                logits
                    .check_target_loss(&mut ledger, &y, &|| format!("{n} logits, {name}, {kind}"));
            }
        }
    }
}

#[test]
fn tied_backgrounds_do_not_drift() {
    // A row of one 0 and n equal others: every lane adds the same rounding errors.
    let mut ledger = Ledger::new("cross_entropy, tied background");
    for n in [31, 63, 127, 255, 511, 767, 1023, 2047, 4095, 65_535, 131_071] {
        for step in (0..200).step_by(if few_cases() { 20 } else { 1 }) {
            let mut x = vec![-1.0 - step as f32 * 0.0837; n + 1];
            x[n / 2] = 0.0;
            Logits::new(&x).check_loss(&mut ledger, n / 2, &|| format!("{n} at {}", x[0]));
        }
    }
}

#[test]
fn the_softmax_of_the_maximum_of_a_long_tied_row_has_the_error_of_its_sum() {
    // Every other element rounds x - m the same way, so that D / 2 is needed in full.
    let mut x = vec![-0.988_33; 65_000];
    x[3] = 8.090_68;
    let (mut p, mut ln_p) = (Ledger::new("softmax, tied"), Ledger::new("log_softmax, tied"));
    Logits::new(&x).check_softmax(&mut p, &mut ln_p, &|| "65,000 logits".to_string());
}

#[test]
fn rising_rows_do_not_drift() {
    // Every block brings a new maximum, so the state is rescaled 4,096 times, or 256.
    let n: usize = if few_cases() { 1 << 18 } else { 1 << 22 };
    let mut ledger = Ledger::new("cross_entropy, slowly rising");
    for slope in [1e-6_f32, 3.1e-5, 7e-4] {
        let x: Vec<f32> = (0..n).map(|i| i as f32 * slope).collect();
        let logits = Logits::new(&x);
        for label in [n - 1, 0, n / 2] {
            logits.check_loss(&mut ledger, label, &|| format!("{n} rising by {slope:e}"));
        }
    }
}

#[test]
fn states_that_are_pushed_and_merged_are_within_the_bounds() {
    let mut lse = Ledger::new("LogSumExp::value");
    let mut loss = Ledger::new("LogSumExp::loss");
    let longest = if few_cases() { 1 << 12 } else { 1 << 16 };
    for n in [1, 2, 3, 17, 100, 1000, longest] {
        for (name, x) in hard_rows(n) {
            let want = Logits::new(&x);
            let pushed: LogSumExp = x.iter().copied().collect();
            let merged = x.chunks(7).map(LogSumExp::of).fold(LogSumExp::EMPTY, LogSumExp::merge);
            let halves = LogSumExp::of(&x[n / 2..]).merge(LogSumExp::of(&x[..n / 2]));
            let (lse_ulp, scale) = log_sum_exp_bound(&x);
            for (way, state) in [("pushed", pushed), ("merged", merged), ("halves", halves)] {
                let case = || format!("{n} logits, {name}, {way}");
                for backend in Backend::all() {
                    let got = backend.log_sum_exp_value(state);
                    lse.check(backend, got, want.lse, lse_ulp, scale, &case);
                    let got = backend.log_sum_exp_loss(state, x[n - 1]);
                    let exact = reference::cross_entropy(&x, n - 1);
                    let ulp = accuracy::LOSS + want.distance / 2.0;
                    loss.check(backend, got, exact, ulp, exact, &case);
                }
            }
        }
    }
}

fn check_binary(ledger: &mut Ledger, x: f32, y: f32) {
    let want = reference::binary_cross_entropy(x, y);
    for backend in Backend::all() {
        let got = BinaryCrossEntropy::new().backend(backend).element(x, y).unwrap();
        let case = || format!("logit {x:e}, target {y:e}");
        ledger.check(backend, got, want, accuracy::BINARY_LOSS, want, &case);
    }
}

const CLIPS: [[f32; 2]; 5] =
    [[1e-7, 1.0 - 1e-7], [1e-10, 1.0], [0.0, 1.0], [0.25, 0.75], [0.5, 0.5]];

#[test]
fn clipped_losses_of_long_rows_do_not_drift() {
    let mut label_ledger = Ledger::new("clipped_cross_entropy, long, label");
    let mut target_ledger = Ledger::new("clipped_cross_entropy, long, distribution");
    let n = if few_cases() { 1 << 14 } else { 1 << 22 };
    let mut random = Random::new(22);
    let uniform: Vec<f32> = (0..n).map(|_| random.unit() / n as f32).collect();
    for (name, mut p) in [("equal", vec![0.7 / n as f32; n]), ("uniform", uniform)] {
        p[n / 3] = 0.4;
        let case = || format!("{n} probabilities, {name}");
        for clip in CLIPS {
            let loss = ClippedCrossEntropy::new().clip(clip[0], clip[1]);
            let want_target = reference::clipped_cross_entropy_target(&p, &p, clip, false);
            let labels = [n / 3, 0];
            let wants = labels.map(|t| reference::clipped_cross_entropy(&p, t, clip, true));
            for backend in Backend::all() {
                let (loss, ulp) = (loss.backend(backend), accuracy::CLIPPED_LOSS);
                let got = loss.row(&p, &p[..]).unwrap();
                target_ledger.check(backend, got, want_target, ulp, want_target, &case);
                for (label, want) in labels.into_iter().zip(wants) {
                    let got = loss.normalize(true).row(&p, label).unwrap();
                    label_ledger.check(backend, got, want, ulp, want, &case);
                }
            }
        }
    }
}

fn check_clipped_binary(ledger: &mut Ledger, p: f32, y: f32) {
    for clip in CLIPS {
        let want = reference::clipped_binary_cross_entropy(p, y, clip);
        for backend in Backend::all() {
            let loss = ClippedBinaryCrossEntropy::new().clip(clip[0], clip[1]).backend(backend);
            let case = || format!("probability {p:e}, target {y:e}, clip {clip:?}");
            let got = loss.element(p, y).unwrap();
            ledger.check(backend, got, want, accuracy::CLIPPED_BINARY_LOSS, want, &case);
        }
    }
}

#[test]
fn binary_losses_of_logits_of_every_size() {
    let mut ledger = Ledger::new("binary_cross_entropy");
    for exponent in 0..=254_u32 {
        for mantissa in [0, 1, 0x2a_aaaa, 0x40_0000, 0x7f_ffff] {
            let x = f32::from_bits(exponent << 23 | mantissa);
            for y in [0.0, 1.0, 0.5, 0.3, 1e-7, 1.0 - 6e-8, f32::MIN_POSITIVE] {
                check_binary(&mut ledger, x, y);
                check_binary(&mut ledger, -x, y);
            }
        }
    }
}

#[test]
fn clipped_binary_losses_of_probabilities_of_every_size() {
    let mut ledger = Ledger::new("clipped_binary_cross_entropy");
    for exponent in 0..127_u32 {
        for mantissa in [0, 1, 0x2a_aaaa, 0x40_0000, 0x7f_ffff] {
            let p = f32::from_bits(exponent << 23 | mantissa);
            for y in [0.0, 1.0, 0.5, 0.3, 1e-7, 1.0 - 6e-8] {
                check_clipped_binary(&mut ledger, p, y);
                check_clipped_binary(&mut ledger, 1.0 - p, y);
            }
        }
    }
}

/// Rows of probabilities, not always summing to 1, each with its name.
fn probability_rows(n: usize) -> Vec<(String, Vec<f32>)> {
    let mut random = Random::new(n as u64);
    let mut confident = |rest: f32| {
        let mut p: Vec<f32> = (0..n).map(|_| random.unit() * rest / n as f32).collect();
        p[n / 2] = 1.0 - rest;
        p
    };
    let mut rows: Vec<(String, Vec<f32>)> = [0.9, 1e-2, 1e-4, 1e-6, 3e-7, 1e-9, 1e-20, 1e-38, 0.0]
        .into_iter()
        .map(|rest| (format!("{rest} beside the largest"), confident(rest)))
        .collect();
    rows.push(("uniform".to_string(), (0..n).map(|_| random.unit() + 1e-3).collect()));
    rows.push(("even".to_string(), vec![1.0 / n as f32; n]));
    rows.push(("tied".to_string(), vec![0.7; n]));
    rows.push(("subnormal".to_string(), (1..=n).map(|i| f32::from_bits(i as u32)).collect()));
    rows.push((
        "of every size".to_string(),
        (0..n).map(|_| f32::from_bits(random.bits() >> 2)).collect(),
    ));
    rows
}

#[test]
fn clipped_losses_at_every_edge() {
    let mut label_ledger = Ledger::new("clipped_cross_entropy, label");
    let mut target_ledger = Ledger::new("clipped_cross_entropy, distribution");
    for n in short_lengths().into_iter().filter(|n| n % 3 == 0 || *n < 40) {
        let mut random = Random::new(n as u64);
        for (name, p) in probability_rows(n) {
            let mut y: Vec<f32> = (0..n).map(|_| random.unit() / n as f32).collect();
            if n > 70 {
                // The reference takes the square of the classes that count.
                y.iter_mut().enumerate().filter(|(i, _)| i % 41 != 0).for_each(|(_, y)| *y = 0.0);
            }
            for clip in CLIPS {
                for normalize in [false, true] {
                    let case = || format!("{n} probabilities, {name}, {clip:?}, {normalize}");
                    let loss =
                        ClippedCrossEntropy::new().clip(clip[0], clip[1]).normalize(normalize);
                    for label in [n / 2, 0, n - 1] {
                        let want = reference::clipped_cross_entropy(&p, label, clip, normalize);
                        for backend in Backend::all() {
                            let got = loss.backend(backend).row(&p, label).unwrap();
                            let ulp = accuracy::CLIPPED_LOSS;
                            label_ledger.check(backend, got, want, ulp, want, &|| {
                                format!("label {label}, {}", case())
                            });
                        }
                    }
                    let want = reference::clipped_cross_entropy_target(&p, &y, clip, normalize);
                    for backend in Backend::all() {
                        let got = loss.backend(backend).row(&p, &y[..]).unwrap();
                        let ulp = accuracy::CLIPPED_LOSS;
                        target_ledger.check(backend, got, want, ulp, want, &case);
                    }
                }
            }
        }
    }
}

fn logit() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => -30.0_f32..30.0,
        2 => -1e3_f32..1e3,
        1 => -1e-3_f32..1e-3,
        1 => proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL | proptest::num::f32::ZERO,
        1 => Just(f32::NEG_INFINITY),
    ]
}

fn row() -> impl Strategy<Value = Vec<f32>> {
    prop_oneof![
        4 => prop::collection::vec(logit(), 1..80),
        2 => prop::collection::vec(-20.0_f32..20.0, 1..1200),
        1 => prop::collection::vec(-0.5_f32..0.5, 900..3300),
    ]
    .prop_filter("a row without a maximum has no loss", |x| x.iter().any(|x| x.is_finite()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: n_cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_row_of_logits(x in row(), at in any::<prop::sample::Index>(), seed in any::<u64>()) {
        let case = || format!("{x:?}");
        let logits = Logits::new(&x);
        logits.check_log_sum_exp(&mut Ledger::of_one_case("log_sum_exp"), &case);
        logits.check_loss(&mut Ledger::of_one_case("cross_entropy, label"), at.index(x.len()), &case);
        let (mut p, mut ln_p) = (Ledger::of_one_case("softmax"), Ledger::of_one_case("log_softmax"));
        logits.check_softmax(&mut p, &mut ln_p, &case);
        let mut random = Random::new(seed);
        let y: Vec<f32> = x.iter().map(|_| if random.below(3) == 0 { 0.0 } else { random.unit() }).collect();
        logits.check_target_loss(&mut Ledger::of_one_case("cross_entropy, distribution"), &y, &case);
    }

    #[test]
    fn any_logit_and_target(x in logit(), y in prop_oneof![Just(0.0_f32), Just(1.0_f32), 0.0_f32..1.0]) {
        check_binary(&mut Ledger::of_one_case("binary_cross_entropy"), x, y);
    }

    #[test]
    fn any_probability_and_target(p in 0.0_f32..=1.0, y in 0.0_f32..=1.0) {
        check_clipped_binary(&mut Ledger::of_one_case("clipped_binary_cross_entropy"), p, y);
    }

    #[test]
    fn any_row_of_probabilities(
        p in prop::collection::vec(prop_oneof![0.0_f32..1.0, Just(0.0_f32), 0.0_f32..1e-6], 1..200),
        at in any::<prop::sample::Index>(),
        clip in prop::sample::select(CLIPS.to_vec()),
        normalize in any::<bool>(),
    ) {
        let label = at.index(p.len());
        let y: Vec<f32> = p.iter().rev().copied().collect();
        let want_target = reference::clipped_cross_entropy_target(&p, &y, clip, normalize);
        let mut target_ledger = Ledger::of_one_case("clipped_cross_entropy, distribution");
        let want = reference::clipped_cross_entropy(&p, label, clip, normalize);
        let mut ledger = Ledger::of_one_case("clipped_cross_entropy, label");
        for backend in Backend::all() {
            let loss = ClippedCrossEntropy::new().clip(clip[0], clip[1]).normalize(normalize);
            let got = loss.backend(backend).row(&p, &y[..]).unwrap();
            let ulp = accuracy::CLIPPED_LOSS;
            target_ledger.check(backend, got, want_target, ulp, want_target, &|| format!("{y:?} of {p:?}"));
            let got = loss.backend(backend).row(&p, label).unwrap();
            ledger.check(backend, got, want, accuracy::CLIPPED_LOSS, want, &|| format!("{label} in {p:?}"));
        }
    }
}
