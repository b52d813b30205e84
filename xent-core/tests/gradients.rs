//! Losses with options and gradients, on every backend: against the f64 reference within the bounds of
//! `accuracy`, and the reference itself against central differences.

mod common;

use common::bounds::{
    ElementCase, LogitCase, ProbCase, binary, binary_option_sets, clipped, clipped_binary,
    cross_entropy, one_hot, option_sets,
};
use common::{Ledger, Random, few_cases, hard_rows, n_cases, short_lengths, some_weights};
use proptest::prelude::*;
use xent_core::reference::{self, BinaryOptions, Options};
use xent_core::{Backend, BinaryTargets, Rows, Targets};

const CLIPS: [[f32; 2]; 5] =
    [[1e-7, 1.0 - 1e-7], [1e-10, 1.0], [0.0, 1.0], [0.25, 0.75], [0.5, 0.5]];

/// A target with its label, if it is one.
fn targets<'a>(label: &'a Option<[usize; 1]>, y: &'a [f32], weight: &'a [f32]) -> Targets<'a> {
    match label {
        Some(label) => Targets::labels(label),
        None => Targets::distributions(Rows::new(y, 1, y.len()).unwrap()),
    }
    .with_sample_weights(weight)
}

fn check_logits(
    [losses, gradients]: [&mut Ledger; 2],
    x: &[f32],
    label: Option<usize>,
    y: &[f32],
    options: &Options<'_>,
    case: &dyn Fn() -> String,
) {
    let want = LogitCase::new(x, y, options);
    let weight = [options.sample_weight];
    let rows = Rows::new(x, 1, x.len()).unwrap();
    let label = label.map(|label| [label]);
    let targets = targets(&label, y, &weight);
    for backend in Backend::all() {
        let loss = cross_entropy(backend, options);
        let (mut got, mut gradient) = ([0.0], vec![0.0; x.len()]);
        loss.rows(rows, targets, &mut got).unwrap();
        losses.check_within(backend, got[0], want.loss, want.loss_allowed, case);
        loss.gradient(rows, targets, 1.0, &mut gradient).unwrap();
        for (c, &got) in gradient.iter().enumerate() {
            let (want, allowed) = (want.gradient[c], want.gradient_allowed[c]);
            gradients.check_within(backend, got, want, allowed, &|| {
                format!("element {c} ({:e}) of label {label:?}, {}", x[c], case())
            });
        }
    }
}

#[test]
fn a_soft_cap_as_large_as_its_bound_allows() {
    // |c tanh(x / c) / T| up to 2^18, and logits a few places apart.
    let mut ledgers = [Ledger::new("large caps, loss"), Ledger::new("large caps, gradient")];
    let [losses, gradients] = &mut ledgers;
    let mut random = Random::new(18);
    for case in 0..n_cases() as usize * 10 {
        let temperature = [1.0, 3e-5, 1e-3, 40.0][case % 4];
        let largest = 2_f32.powf(14.0 + 4.0 * random.unit());
        // tanh(1.5) is 0.905.
        let soft_cap = largest * temperature / 0.91;
        let n = 2 + random.below(4);
        let base = soft_cap * (0.3 + 1.2 * random.unit());
        let sign = if random.below(2) == 0 { 1.0 } else { -1.0 };
        let step = base.next_up() - base;
        let x: Vec<f32> = (0..n).map(|_| sign * (base + step * random.below(60) as f32)).collect();
        let focal_gamma = if random.below(3) == 0 { 2.0 } else { 0.0 };
        let options = Options { soft_cap, temperature, focal_gamma, ..Options::default() };
        let label = random.below(n);
        check_logits(
            [&mut *losses, &mut *gradients],
            &x,
            Some(label),
            &one_hot(n, label),
            &options,
            &|| format!("{x:?}, {options:?}"),
        );
    }
}

#[test]
fn cross_entropy_with_options_at_every_edge() {
    let mut names: Vec<&'static str> = option_sets(&[]).into_iter().map(|(name, _)| name).collect();
    names.dedup();
    let mut ledgers: Vec<[Ledger; 4]> =
        names.iter().map(|&name| [name, name, name, name].map(Ledger::new)).collect();
    for (i, n) in short_lengths().into_iter().enumerate() {
        let (mut random, weights) = (Random::new(n as u64), some_weights(n));
        for (j, (name, x)) in hard_rows(n).into_iter().enumerate() {
            if name == "the largest f32" {
                continue;
            }
            let max = (0..n).fold(0, |k, i| if x[i] > x[k] { i } else { k });
            let labels = [max, random.below(n)];
            let spread: Vec<f32> = (0..n)
                .map(|_| if random.below(3) == 0 { 0.0 } else { random.unit() / n as f32 })
                .collect();
            for (k, (option, options)) in option_sets(&weights).into_iter().enumerate() {
                if (n > 40 || few_cases()) && (i + j + k) % 6 != 0 {
                    continue;
                }
                let case = || format!("{n} logits, {name}, {option}");
                let [a, b, c, d] = &mut ledgers[k];
                for label in labels {
                    check_logits([a, b], &x, Some(label), &one_hot(n, label), &options, &case);
                }
                check_logits([c, d], &x, None, &spread, &options, &case);
            }
        }
    }
}

/// Found by fuzzing: 803 steps of 2^-149 became 0, since `exp(-2 x / c)` did.
#[test]
fn the_slope_of_a_cap_may_be_subnormal() {
    let mut ledgers = ["loss", "gradient"].map(Ledger::new);
    let x: Vec<f32> = (0..200).map(|i| 1300.0 + 2.0 * i as f32).collect();
    let y = one_hot(x.len(), 3);
    let options = Options { z_loss: 1.0, temperature: 0.125, soft_cap: 30.0, ..Options::default() };
    check_logits(ledgers.each_mut(), &x, Some(3), &y, &options, &|| "far beyond a cap".to_string());
    // The same of few classes, each of which has a large share.
    for x in x.windows(3) {
        let y = one_hot(x.len(), 0);
        check_logits(ledgers.each_mut(), x, Some(0), &y, &options, &|| format!("{x:?}"));
    }
}

/// Found by fuzzing: divided by the cap such a logit is a few steps of 2^-149, and 0 the next time.
#[test]
fn a_cap_leaves_a_subnormal_logit_what_it_is() {
    let mut ledgers = ["loss", "gradient"].map(Ledger::new);
    let options = Options { z_loss: 1.0, temperature: 0.75, soft_cap: 50.0, ..Options::default() };
    for steps in (0..200).chain([10_000, 0x0080_0000, 0x1000_0000]) {
        let x = [f32::from_bits(steps)];
        check_logits(ledgers.each_mut(), &x, Some(0), &[1.0], &options, &|| format!("{x:?}"));
        check_logits(ledgers.each_mut(), &x, None, &[1.0], &options, &|| format!("{x:?}"));
    }
}

/// Found by fuzzing: a mean over 1,041 rows weighs a gradient before it is divided by 1/8.
#[test]
fn a_temperature_multiplies_the_step_of_a_small_weight() {
    let mut ledgers = ["loss", "gradient"].map(Ledger::new);
    let options = Options { sample_weight: 1.0 / 1041.0, temperature: 0.125, ..Options::default() };
    for i in 0..400 {
        let x = [0.0, -9.5 - 0.01 * i as f32];
        let case = || format!("{x:?}");
        check_logits(ledgers.each_mut(), &x, Some(0), &[1.0, 0.0], &options, &case);
        check_logits(ledgers.each_mut(), &x, None, &[1.0, 0.0], &options, &case);
    }
}

fn check_probs(
    [losses, gradients]: [&mut Ledger; 2],
    p: &[f32],
    label: Option<usize>,
    y: &[f32],
    options: &Options<'_>,
    case: &dyn Fn() -> String,
) {
    let want = ProbCase::new(p, y, options);
    let (weight, label) = ([options.sample_weight], label.map(|label| [label]));
    let (rows, targets) = (Rows::new(p, 1, p.len()).unwrap(), targets(&label, y, &weight));
    for backend in Backend::all() {
        let loss = clipped(backend, options);
        let (mut got, mut gradient) = ([0.0], vec![0.0; p.len()]);
        loss.rows(rows, targets, &mut got).unwrap();
        losses.check_within(backend, got[0], want.loss, want.loss_allowed, case);
        loss.gradient(rows, targets, 1.0, &mut gradient).unwrap();
        if want.at_an_end {
            continue;
        }
        for (c, &got) in gradient.iter().enumerate() {
            let (want, allowed) = (want.gradient[c], want.gradient_allowed[c]);
            gradients.check_within(backend, got, want, allowed, &|| {
                format!("element {c} ({:e}) of label {label:?}, {}", p[c], case())
            });
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
    let mut rows: Vec<(String, Vec<f32>)> = [0.9, 1e-2, 1e-4, 3e-7, 1e-20, 0.0]
        .into_iter()
        .map(|rest| (format!("{rest} beside the largest"), confident(rest)))
        .collect();
    rows.push(("uniform".to_string(), (0..n).map(|_| random.unit() + 1e-3).collect()));
    rows.push(("even".to_string(), vec![1.0 / n as f32; n]));
    rows.push(("tied".to_string(), vec![0.7; n]));
    let sizes = |i: usize| [1.0, 1e-3, 0.3, 1e-9, 0.7, 1e-20, 2.0][i % 7];
    rows.push(("of many sizes".to_string(), (0..n).map(|i| random.unit() * sizes(i)).collect()));
    rows
}

#[test]
fn clipped_cross_entropy_with_options_at_every_edge() {
    let mut ledgers =
        ["clipped, label", "gradient", "clipped, distribution", "gradient"].map(Ledger::new);
    for (i, n) in short_lengths().into_iter().enumerate() {
        let (mut random, weights) = (Random::new(n as u64), some_weights(n));
        for (j, (name, p)) in probability_rows(n).into_iter().enumerate() {
            let labels = [n / 2, random.below(n)];
            let spread: Vec<f32> = (0..n)
                .map(|_| if random.below(3) == 0 { 0.0 } else { random.unit() / n as f32 })
                .collect();
            for (k, (option, options)) in option_sets(&weights).into_iter().enumerate() {
                if (n > 20 || few_cases()) && (i + j + k) % 7 != 0 {
                    continue;
                }
                for (l, clip) in CLIPS.into_iter().enumerate() {
                    if n > 8 && (i + j + l) % 2 != 0 {
                        continue;
                    }
                    for normalize in [false, true] {
                        let options = Options { clip, normalize, ..options };
                        let case = || {
                            format!("{n} probabilities, {name}, {option}, {clip:?}, {normalize}")
                        };
                        let [a, b, c, d] = &mut ledgers;
                        for label in labels {
                            check_probs(
                                [a, b],
                                &p,
                                Some(label),
                                &one_hot(n, label),
                                &options,
                                &case,
                            );
                        }
                        check_probs([c, d], &p, None, &spread, &options, &case);
                    }
                }
            }
        }
    }
}

fn check_binary(
    [losses, gradients]: [&mut Ledger; 2],
    x: &[f32],
    y: f32,
    options: &BinaryOptions,
    case: &str,
) {
    let ys = vec![y; x.len()];
    let weights = vec![options.sample_weight; x.len()];
    let (rows, ys) = (Rows::new(x, x.len(), 1).unwrap(), Rows::new(&ys, x.len(), 1).unwrap());
    let targets = BinaryTargets::new(ys).with_sample_weights(&weights);
    let pos_weight = [options.pos_weight];
    let cases: Vec<ElementCase> = x.iter().map(|&x| ElementCase::of_logit(x, y, options)).collect();
    for backend in Backend::all() {
        let (mut got, mut gradient) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let loss = binary(backend, options).pos_weights(&pos_weight);
        loss.rows(rows, targets, &mut got).unwrap();
        loss.gradient(rows, targets, 1.0, &mut gradient).unwrap();
        for (i, want) in cases.iter().enumerate() {
            let case = || format!("logit {:e}, target {y:e}, {case}", x[i]);
            losses.check_within(backend, got[i], want.loss, want.loss_allowed, &case);
            gradients.check_within(
                backend,
                gradient[i],
                want.gradient,
                want.gradient_allowed,
                &case,
            );
        }
    }
}

fn check_clipped_binary(
    [losses, gradients]: [&mut Ledger; 2],
    p: &[f32],
    y: f32,
    options: &BinaryOptions,
    case: &str,
) {
    let ys = vec![y; p.len()];
    let weights = vec![options.sample_weight; p.len()];
    let (rows, ys) = (Rows::new(p, p.len(), 1).unwrap(), Rows::new(&ys, p.len(), 1).unwrap());
    let targets = BinaryTargets::new(ys).with_sample_weights(&weights);
    let pos_weight = [options.pos_weight];
    let cases: Vec<ElementCase> = p.iter().map(|&p| ElementCase::of_prob(p, y, options)).collect();
    for backend in Backend::all() {
        let (mut got, mut gradient) = (vec![0.0; p.len()], vec![0.0; p.len()]);
        let loss = clipped_binary(backend, options).pos_weights(&pos_weight);
        loss.rows(rows, targets, &mut got).unwrap();
        loss.gradient(rows, targets, 1.0, &mut gradient).unwrap();
        for (i, want) in cases.iter().enumerate() {
            let case =
                || format!("probability {:e}, target {y:e}, {case}, {:?}", p[i], options.clip);
            losses.check_within(backend, got[i], want.loss, want.loss_allowed, &case);
            gradients.check_within(
                backend,
                gradient[i],
                want.gradient,
                want.gradient_allowed,
                &case,
            );
        }
    }
}

const TARGETS: [f32; 7] = [0.0, 1.0, 0.5, 0.3, 1e-7, 1.0 - 6e-8, f32::MIN_POSITIVE];

#[test]
fn binary_cross_entropy_with_options_of_logits_of_every_size() {
    let mut x: Vec<f32> = Vec::new();
    for exponent in 0..=254_u32 {
        for mantissa in [0, 1, 0x2a_aaaa, 0x40_0000, 0x7f_ffff] {
            let logit = f32::from_bits(exponent << 23 | mantissa);
            x.extend([logit, -logit]);
        }
    }
    x.extend((-2000..2000).map(|i| i as f32 * 0.0537));
    for (name, options) in binary_option_sets() {
        let mut ledgers = [name, name].map(Ledger::new);
        for y in TARGETS {
            check_binary(ledgers.each_mut(), &x, y, &options, name);
        }
    }
}

/// Found by fuzzing: 1.5 times one step is two, and a logit of -10,590 counts both.
#[test]
fn options_whose_roundings_go_one_way_are_within_what_they_add() {
    // Each was above a bound of 4 ULP that said nothing of options.
    let mut ledgers = ["loss", "gradient"].map(Ledger::new);
    let none = BinaryOptions::default();
    for (x, y, label_smoothing, alpha) in [
        (2.563998, 0.221571, 0.069_647_73, 0.367_028_4),
        (6.256_960_4, 0.473_072_68, 0.148_051_74, 0.368_418),
    ] {
        let options = BinaryOptions { label_smoothing, focal_alpha: Some(alpha), ..none };
        check_binary(ledgers.each_mut(), &[x], y, &options, "smoothing and alpha");
    }
    let (label_smoothing, alpha) = (0.389_261_66, 0.310_655_15);
    let options = BinaryOptions { label_smoothing, focal_alpha: Some(alpha), ..none };
    check_clipped_binary(ledgers.each_mut(), &[0.983_525_04], 0.498_785_05, &options, "the same");
}

#[test]
fn a_subnormal_target_counts_its_step_over_its_probability() {
    let mut ledgers = ["loss", "gradient"].map(Ledger::new);
    for normalize in [false, true] {
        for focal_gamma in [0.0, 1.0] {
            let options =
                Options { normalize, focal_gamma, clip: [1e-30, 1.0], ..Options::default() };
            for p in [[3.83e-31, 4.84e-31], [0.25, 0.75], [1e-20, 1.0]] {
                for y in [[0.0, 6.35e-43], [1e-45, 1e-40], [1e-41, 1.0]] {
                    let case = || format!("{p:?}, {y:?}, normalize {normalize}");
                    check_probs(ledgers.each_mut(), &p, None, &y, &options, &case);
                }
            }
        }
    }
}

#[test]
fn a_subnormal_probability_leaves_the_digits_of_a_gradient_that_is_not_large() {
    let mut ledgers = ["loss", "gradient"].map(Ledger::new);
    for focal_gamma in [0.5, 0.7, 0.8] {
        let options = BinaryOptions { focal_gamma, clip: [0.0, 1.0], ..BinaryOptions::default() };
        for y in [0.0, 1e-30, 1.0] {
            let case = format!("exponent {focal_gamma}");
            check_clipped_binary(ledgers.each_mut(), &[1e-45, 1e-40, 1e-38], y, &options, &case);
        }
    }
}

#[test]
fn a_subnormal_target_keeps_its_digits_under_a_weight() {
    let mut ledgers = ["loss", "gradient"].map(Ledger::new);
    for pos_weight in [0.3, 1.0, 1.5] {
        let options = BinaryOptions { pos_weight, ..BinaryOptions::default() };
        for y in [1e-45, 1e-44, 1e-40] {
            let case = format!("{pos_weight}");
            check_binary(ledgers.each_mut(), &[-10_590.0, -3.0, 0.0, 5.0], y, &options, &case);
            check_clipped_binary(ledgers.each_mut(), &[1e-30, 0.25, 0.75], y, &options, &case);
        }
    }
}

#[test]
fn a_subnormal_focal_factor_counts_its_step_as_often_as_the_loss() {
    let mut ledgers = ["loss", "gradient"].map(Ledger::new);
    for focal_gamma in [2.0, 4.0, 4.5, 5.0] {
        let options = BinaryOptions { focal_gamma, temperature: 10.0, ..BinaryOptions::default() };
        for y in [1e-20, 1.173284e-10, 1e-9] {
            let case = format!("exponent {focal_gamma}");
            check_binary(ledgers.each_mut(), &[-1.9983972e18, -1e3], y, &options, &case);
            check_clipped_binary(ledgers.each_mut(), &[1e-30, 1e-20], y, &options, &case);
        }
    }
}

#[test]
fn clipped_binary_cross_entropy_with_options_of_probabilities_of_every_size() {
    let mut p: Vec<f32> = Vec::new();
    for exponent in 1..127_u32 {
        for mantissa in [0, 1, 0x2a_aaaa, 0x40_0000, 0x7f_ffff] {
            let prob = f32::from_bits(exponent << 23 | mantissa);
            p.extend([prob, 1.0 - prob]);
        }
    }
    p.extend((0..1000).map(|i| i as f32 / 999.0));
    for (name, options) in binary_option_sets() {
        let mut ledgers = [name, name].map(Ledger::new);
        for clip in CLIPS {
            for y in TARGETS {
                check_clipped_binary(
                    ledgers.each_mut(),
                    &p,
                    y,
                    &BinaryOptions { clip, ..options },
                    name,
                );
            }
        }
    }
}

/// The derivative of `of` at 0, from values beside it.
fn central_difference(h: f64, mut of: impl FnMut(f32) -> f64) -> f64 {
    let near = of(h as f32) - of(-h as f32);
    let far = of(2.0 * h as f32) - of(-2.0 * h as f32);
    (8.0 * near - far) / (12.0 * h)
}

#[track_caller]
fn assert_near(got: f64, want: f64, case: &str) {
    assert!((got - want).abs() <= 1e-7 * (1.0 + want.abs()), "{got} for {want}, {case}");
}

#[test]
fn the_reference_gradients_are_central_differences_of_the_reference_losses() {
    // Multiples of 1/64, so that what is added to them is exact.
    let h = 1.0 / 512.0;
    let mut random = Random::new(7);
    for n in [1, 2, 3, 7] {
        let weights: Vec<f32> = (0..n).map(|i| [0.5, 2.0, 1.0, 0.0][i % 4]).collect();
        let mut sixty_fourths = |from: usize, to: usize| -> Vec<f32> {
            (0..n).map(|_| (from + random.below(to - from)) as f32 / 64.0).collect()
        };
        for _ in 0..20 {
            let x: Vec<f32> = sixty_fourths(0, 384).iter().map(|x| x - 3.0).collect();
            let (p, y) = (sixty_fourths(4, 60), sixty_fourths(0, 64));
            for (name, options) in option_sets(&weights) {
                let mut gradient = vec![0.0; n];
                let options = Options { z_loss: options.z_loss * 100.0, ..options };
                reference::cross_entropy_gradient(&x, &y, &options, &mut gradient);
                for c in 0..n {
                    let want = central_difference(h, |by| {
                        let mut x = x.clone();
                        x[c] += by;
                        reference::cross_entropy_with(&x, &y, &options)
                    });
                    assert_near(gradient[c], want, name);
                }
                for (clip, normalize) in
                    [([0.0, 1.0], true), ([0.0, 1.0], false), ([0.26, 0.74], false)]
                {
                    let options = Options { clip, normalize, ..options };
                    reference::clipped_cross_entropy_gradient(&p, &y, &options, &mut gradient);
                    for c in 0..n {
                        // A thirtieth of the smallest probability.
                        let want = central_difference(h / 16.0, |by| {
                            let mut p = p.clone();
                            p[c] += by;
                            reference::clipped_cross_entropy_with(&p, &y, &options)
                        });
                        assert_near(gradient[c], want, name);
                    }
                }
            }
            for (name, options) in binary_option_sets() {
                let (x, p, y) = (x[0], p[0], y[0]);
                let want = central_difference(h, |by| {
                    reference::binary_cross_entropy_with(x + by, y, &options)
                });
                assert_near(reference::binary_cross_entropy_gradient(x, y, &options), want, name);
                for clip in [[0.0, 1.0], [0.26, 0.74]] {
                    let options = BinaryOptions { clip, ..options };
                    let want = central_difference(h / 16.0, |by| {
                        reference::clipped_binary_cross_entropy_with(p + by, y, &options)
                    });
                    let got = reference::clipped_binary_cross_entropy_gradient(p, y, &options);
                    assert_near(got, want, name);
                }
            }
        }
    }
}

#[test]
fn the_reference_without_options_is_the_plain_reference() {
    let (x, p, y) = ([1.0, -2.5, 3.0], [0.2, 0.7, 0.4], [0.1, 0.0, 0.7]);
    let (none, clip) = (Options::default(), Options::default().clip);
    let near = |a: f64, b: f64| assert!((a - b).abs() <= 1e-15 * b, "{a} and {b}");
    near(reference::cross_entropy_with(&x, &y, &none), reference::cross_entropy_target(&x, &y));
    for label in 0..3 {
        let y = one_hot(3, label);
        near(reference::cross_entropy_with(&x, &y, &none), reference::cross_entropy(&x, label));
    }
    for normalize in [false, true] {
        let options = Options { normalize, ..none };
        let want = reference::clipped_cross_entropy_target(&p, &y, clip, normalize);
        near(reference::clipped_cross_entropy_with(&p, &y, &options), want);
    }
    let none = BinaryOptions::default();
    near(
        reference::binary_cross_entropy_with(1.5, 0.3, &none),
        reference::binary_cross_entropy(1.5, 0.3),
    );
    let want = reference::clipped_binary_cross_entropy(0.2, 0.3, clip);
    near(reference::clipped_binary_cross_entropy_with(0.2, 0.3, &none), want);
}

#[test]
fn the_gradient_at_a_label_keeps_the_digits_of_a_small_rest() {
    // -(1 - p) of 1.0000000251: p - 1 in f32 is 0.
    for backend in Backend::all() {
        for options in [
            Options::default(),
            Options { temperature: 2.0, ..Options::default() },
            Options { soft_cap: 1e6, ..Options::default() },
        ] {
            for gap in [10.0_f32, 17.5, 30.0, 60.0] {
                let x = [gap * options.temperature, 0.0];
                let mut gradient = [0.0; 2];
                cross_entropy(backend, &options).row_gradient(&x, 0, &mut gradient).unwrap();
                let e = (-f64::from(gap)).exp();
                let want = e / (1.0 + e) / f64::from(options.temperature);
                for (got, want) in gradient.into_iter().zip([-want, want]) {
                    let error = (f64::from(got) / want - 1.0).abs();
                    assert!(error < 2e-5, "{backend:?}: {got:e}, exactly {want:e}, {options:?}");
                }
            }
        }
    }
}

/// An option that is often not there.
fn often(default: f32, values: std::ops::Range<f32>) -> impl Strategy<Value = f32> {
    prop_oneof![2 => Just(default), 1 => values]
}

fn random_options() -> impl Strategy<Value = Options<'static>> {
    let gamma = prop_oneof![3 => Just(0.0_f32), 1 => Just(1.0), 1 => Just(2.0), 2 => 0.1_f32..6.0];
    let caps = prop_oneof![2 => Just(f32::INFINITY), 1 => 0.5_f32..60.0];
    let first = (often(0.0, 0.0..1.0), gamma, often(1.0, 0.0..3.0), often(0.0, 1e-5..1e-2));
    (
        first,
        often(1.0, 0.2..5.0),
        caps,
        often(1.0, 0.1..9.0),
        prop::sample::select(CLIPS.to_vec()),
        any::<bool>(),
    )
        .prop_map(
            |(
                (label_smoothing, focal_gamma, focal_alpha, z_loss),
                temperature,
                soft_cap,
                sample_weight,
                clip,
                normalize,
            )| Options {
                class_weights: &[],
                label_smoothing,
                focal_gamma,
                focal_alpha,
                z_loss,
                temperature,
                soft_cap,
                sample_weight,
                clip,
                normalize,
            },
        )
}

fn random_binary_options() -> impl Strategy<Value = BinaryOptions> {
    let alpha = prop_oneof![Just(None), (0.0_f32..1.0).prop_map(Some)];
    (random_options(), alpha, often(1.0, 0.0..5.0)).prop_map(|(o, focal_alpha, pos_weight)| {
        BinaryOptions {
            pos_weight,
            label_smoothing: o.label_smoothing,
            focal_gamma: o.focal_gamma,
            focal_alpha,
            temperature: o.temperature,
            soft_cap: o.soft_cap,
            clip: o.clip,
            sample_weight: o.sample_weight,
        }
    })
}

fn logits() -> impl Strategy<Value = Vec<f32>> {
    let logit = prop_oneof![6 => -30.0_f32..30.0, 1 => -300.0_f32..300.0, 1 => -1e-3_f32..1e-3, 1 => Just(f32::NEG_INFINITY)];
    prop_oneof![4 => prop::collection::vec(logit, 1..80), 1 => prop::collection::vec(-20.0_f32..20.0, 1..1300)]
        .prop_filter("a row without a maximum has no loss", |x| x.iter().any(|x| x.is_finite()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: n_cases(), max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_logits_and_options(x in logits(), options in random_options(), weighted in any::<bool>(), at in any::<prop::sample::Index>(), seed in any::<u64>()) {
        let mut random = Random::new(seed);
        let weights = if weighted { some_weights(x.len()) } else { Vec::new() };
        let options = Options { class_weights: &weights, ..options };
        let case = || format!("{options:?}, {x:?}");
        let mut ledgers = ["cross_entropy", "gradient"].map(Ledger::of_one_case);
        let label = at.index(x.len());
        check_logits(ledgers.each_mut(), &x, Some(label), &one_hot(x.len(), label), &options, &case);
        let y: Vec<f32> = x.iter().map(|_| if random.below(3) == 0 { 0.0 } else { random.unit() }).collect();
        check_logits(ledgers.each_mut(), &x, None, &y, &options, &case);
    }

    #[test]
    fn any_probabilities_and_options(
        p in prop::collection::vec(prop_oneof![0.0_f32..1.0, Just(0.0_f32), 0.0_f32..1e-6], 1..200)
            .prop_filter("a row without a sum has no loss", |p| p.iter().any(|&p| p > 0.0)),
        options in random_options(), weighted in any::<bool>(), at in any::<prop::sample::Index>(),
    ) {
        let weights = if weighted { some_weights(p.len()) } else { Vec::new() };
        let options = Options { class_weights: &weights, ..options };
        let case = || format!("{options:?}, {p:?}");
        let mut ledgers = ["clipped", "gradient"].map(Ledger::of_one_case);
        let label = at.index(p.len());
        check_probs(ledgers.each_mut(), &p, Some(label), &one_hot(p.len(), label), &options, &case);
        let y: Vec<f32> = p.iter().rev().copied().collect();
        check_probs(ledgers.each_mut(), &p, None, &y, &options, &case);
    }

    #[test]
    fn any_elements_and_options(x in prop::collection::vec(-40.0_f32..40.0, 1..40), y in prop_oneof![Just(0.0_f32), Just(1.0_f32), 0.0_f32..1.0], options in random_binary_options()) {
        let case = format!("{options:?}");
        check_binary(["binary", "gradient"].map(Ledger::of_one_case).each_mut(), &x, y, &options, &case);
        let p: Vec<f32> = x.iter().map(|x| 1.0 / (1.0 + x.abs())).collect();
        check_clipped_binary(["clipped binary", "gradient"].map(Ledger::of_one_case).each_mut(), &p, y, &options, &case);
    }
}
