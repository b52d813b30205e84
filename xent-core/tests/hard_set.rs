//! The reference against 100 digits, and the kernels against those digits without the reference between:
//! long rows, confident ones, ties, common offsets, subnormals, one huge and many tiny terms, sorted
//! and reversed rows.
//!
//! `hard_set/rows.txt` has the rows and what they give, made by `tools/hard_set.py`; `hard_set/losses.txt` losses
//! with options, divergences and gradients, made by `tools/hard_losses.py`.

mod common;

use common::{Ledger, few_cases, log_sum_exp_bound};
use xent_core::reference::{self, BinaryOptions, Options};
use xent_core::{Backend, CrossEntropy, accuracy};

/// A line of the file.
struct Hard {
    name: &'static str,
    logits: Vec<f32>,
    label: usize,
    lse: f64,
    loss: f64,
    mean_distance: f64,
    max_probability: f64,
    entropy: f64,
}

impl Hard {
    fn parse(line: &'static str) -> Self {
        let [name, runs, label, values] = fields(line, " | ");
        let mut logits = Vec::new();
        for run in runs.split(' ') {
            let [count, bits] = fields(run, "*");
            let x = f32::from_bits(u32::from_str_radix(bits, 16).unwrap());
            logits.resize(logits.len() + count.parse::<usize>().unwrap(), x);
        }
        let [lse, loss, mean_distance, max_probability, entropy] =
            fields(values, " ").map(|value| value.parse().unwrap());
        let label = label.parse().unwrap();
        Hard { name, logits, label, lse, loss, mean_distance, max_probability, entropy }
    }
}

fn fields<'a, const N: usize>(text: &'a str, separator: &str) -> [&'a str; N] {
    text.split(separator).collect::<Vec<_>>().try_into().unwrap()
}

fn rows() -> impl Iterator<Item = Hard> {
    let rows = include_str!("hard_set/rows.txt").lines().map(Hard::parse);
    rows.filter(|row| row.logits.len() <= longest())
}

/// Of rows that a target has memory for, and an emulator time.
fn longest() -> usize {
    let of_memory = if cfg!(target_pointer_width = "64") { 1 << 26 } else { 1 << 20 };
    if few_cases() { 1 << 14 } else { of_memory }
}

#[test]
fn the_reference_has_the_digits_of_a_hundred() {
    /// Of the rounding of the f64 functions of libm, of the sums and of the differences.
    const BOUND: f64 = 1.0 / (1_u64 << 50) as f64;
    let mut worst = (0.0, String::new());
    for row in rows() {
        let x = &row.logits;
        let mut check = |what, got: f64, want: f64, scale: f64| {
            let error = (got - want).abs();
            assert!(error <= BOUND * scale, "{what} of {}: {got:e}, exactly {want:e}", row.name);
            let error = if error > 0.0 { error / scale } else { 0.0 };
            if error > worst.0 {
                worst = (error, format!("{what} of {}", row.name));
            }
        };
        check("log_sum_exp", reference::log_sum_exp(x), row.lse, log_sum_exp_bound(x).1);
        check("loss", reference::cross_entropy(x, row.label), row.loss, row.loss);
        check("log_softmax", reference::log_softmax(x, row.label), -row.loss, row.loss);
        // The digits of the loss are those of the probability, but for what an exponential makes of their rounding.
        let (p, want) = (reference::softmax(x, row.label), (-row.loss).exp());
        check(
            "softmax",
            p,
            want,
            if p > 0.0 { want * (1.0 + row.loss) + f64::MIN_POSITIVE } else { 0.0 },
        );
        let largest = reference::max_probability(x);
        check("max_probability", largest, row.max_probability, row.max_probability);
        check("entropy", reference::entropy_of_logits(x), row.entropy, row.entropy);
        let distance = reference::mean_distance(x);
        check("mean_distance", distance, row.mean_distance, row.mean_distance.max(1.0));
        if let Some(second) = second_largest(x) {
            let margin = row.max_probability - reference::softmax(x, second);
            check("margin", reference::margin(x), margin, row.max_probability);
        }
    }
    let (error, place) = worst;
    println!("at most 2^{:.2}, {place}", error.log2());
}

/// Where the second largest logit is: not at the first of the largest.
fn second_largest(x: &[f32]) -> Option<usize> {
    let first = reference::argmax(x);
    (0..x.len()).filter(|&i| i != first).max_by(|&i, &j| x[i].total_cmp(&x[j]))
}

#[test]
fn kernels_are_within_their_bounds_of_the_exact_values() {
    let (mut lse, mut loss) = (Ledger::new("log_sum_exp"), Ledger::new("cross_entropy"));
    let mut probability = Ledger::new("max_probability");
    let mut entropy = Ledger::new("entropy");
    for row in rows() {
        let x = &row.logits;
        let case = || row.name.to_string();
        let half_distance = row.mean_distance / 2.0;
        let (lse_ulp, scale) = log_sum_exp_bound(x);
        let half_entropy_distance = reference::entropy_distance(x) / 2.0;
        for backend in Backend::all() {
            let got = backend.log_sum_exp(x);
            lse.check(backend, got, row.lse, lse_ulp, scale, &case);
            let got = CrossEntropy::new().backend(backend).row(x, row.label).unwrap();
            let ulp = accuracy::LOSS + half_distance;
            loss.check(backend, got, row.loss, ulp, row.loss, &case);
            let statistics = backend.row_statistics(x, row.label).unwrap();
            let ulp = accuracy::MAX_PROBABILITY + half_distance;
            let want = row.max_probability;
            probability.check(backend, statistics.max_probability(), want, ulp, want, &case);
            let ulp = accuracy::ENTROPY_OF_LOGITS + half_entropy_distance;
            entropy.check(backend, statistics.entropy(), row.entropy, ulp, row.entropy, &case);
        }
    }
}

/// A line of `hard_set/losses.txt`.
struct HardLoss {
    line: &'static str,
    function: &'static str,
    options: &'static str,
    x: Vec<f32>,
    y: Vec<f32>,
    /// The loss, and the derivatives by some elements of `x`.
    values: Vec<f64>,
}

impl HardLoss {
    fn parse(line: &'static str) -> Self {
        let [function, options, x, y, values] = fields(line, " | ");
        let [x, y] = [x, y].map(|list| list.split(' ').filter(|&x| x != "-").map(f32_of).collect());
        let values = values.split(' ').map(|value| value.parse().unwrap()).collect();
        HardLoss { line, function, options, x, y, values }
    }

    /// The values of an option.
    fn option(&self, name: &str) -> Option<Vec<f32>> {
        let values =
            self.options.split(' ').find_map(|o| o.strip_prefix(name)?.strip_prefix('='))?;
        Some(values.split(',').map(f32_of).collect())
    }

    fn number(&self, name: &str, default: f32) -> f32 {
        self.option(name).map_or(default, |values| values[0])
    }

    fn clip(&self) -> [f32; 2] {
        self.option("clip").map_or([0.0, 1.0], |clip| [clip[0], clip[1]])
    }

    /// The loss of the reference and its scale; of each element the derivative and its scale.
    fn of_reference(&self) -> ([f64; 2], Vec<[f64; 2]>) {
        let (x, y) = (&self.x[..], &self.y[..]);
        let weights = self.option("weights").unwrap_or_default();
        let options = Options {
            class_weights: &weights,
            label_smoothing: self.number("smoothing", 0.0),
            focal_gamma: self.number("gamma", 0.0),
            z_loss: self.number("z_loss", 0.0),
            temperature: self.number("temperature", 1.0),
            soft_cap: self.number("cap", f32::INFINITY),
            clip: self.clip(),
            normalize: self.option("normalize").is_some(),
            sample_weight: self.number("weight", 1.0),
            ..Options::default()
        };
        let binary = BinaryOptions {
            pos_weight: self.number("pos_weight", 1.0),
            label_smoothing: options.label_smoothing,
            focal_gamma: options.focal_gamma,
            focal_alpha: self.option("alpha").map(|alpha| alpha[0]),
            temperature: options.temperature,
            soft_cap: options.soft_cap,
            clip: options.clip,
            sample_weight: options.sample_weight,
        };
        let n = x.len();
        let (mut gradient, mut scale) = (vec![0.0; n], vec![0.0; n]);
        let relative = |loss: f64| [loss, loss];
        let loss = match self.function {
            "cross_entropy" => {
                reference::cross_entropy_gradient(x, y, &options, &mut gradient);
                reference::cross_entropy_gradient_scale(x, y, &options, &mut scale);
                relative(reference::cross_entropy_with(x, y, &options))
            }
            "clipped_cross_entropy" => {
                reference::clipped_cross_entropy_gradient(x, y, &options, &mut gradient);
                reference::clipped_cross_entropy_gradient_scale(x, y, &options, &mut scale);
                relative(reference::clipped_cross_entropy_with(x, y, &options))
            }
            "binary_cross_entropy" => {
                gradient = vec![reference::binary_cross_entropy_gradient(x[0], y[0], &binary)];
                scale = vec![reference::binary_cross_entropy_gradient_scale(x[0], y[0], &binary)];
                relative(reference::binary_cross_entropy_with(x[0], y[0], &binary))
            }
            "clipped_binary_cross_entropy" => {
                let [p, y] = [x[0], y[0]];
                gradient = vec![reference::clipped_binary_cross_entropy_gradient(p, y, &binary)];
                scale = vec![reference::clipped_binary_cross_entropy_gradient_scale(p, y, &binary)];
                relative(reference::clipped_binary_cross_entropy_with(p, y, &binary))
            }
            "entropy" => relative(reference::entropy(x)),
            "kl_divergence" => {
                let terms = x.iter().zip(y).map(|(&p, &q)| reference::kl_term(p, q).abs());
                [reference::kl_divergence(x, y), terms.sum()]
            }
            "js_divergence" => relative(reference::js_divergence(x, y)),
            "distillation" => {
                let t = options.temperature;
                let rest = reference::distillation_rest(x, y, t);
                let tempered = |x: &[f32], c| reference::Logits::new(x, &options).softmax(c);
                for c in 0..n {
                    gradient[c] = reference::distillation_gradient(x, y, t, c);
                    let smaller = tempered(x, c).min(tempered(y, c));
                    scale[c] = gradient[c].abs() + smaller / f64::from(t) * rest;
                }
                relative(reference::distillation(x, y, t))
            }
            function => panic!("{function} is no function of the reference"),
        };
        (loss, gradient.into_iter().zip(scale).map(|(g, scale)| [g, scale]).collect())
    }
}

fn f32_of(bits: &str) -> f32 {
    f32::from_bits(u32::from_str_radix(bits, 16).unwrap())
}

#[test]
fn the_reference_of_losses_and_gradients_has_the_digits_of_a_hundred() {
    /// Of the functions of libm, of the sums, and of exponents up to 150, which are rounded.
    const BOUND: f64 = 1.0 / (1_u64 << 45) as f64;
    let mut worst = std::collections::BTreeMap::new();
    for line in include_str!("hard_set/losses.txt").lines() {
        let hard = HardLoss::parse(line);
        let (loss, gradient) = hard.of_reference();
        let n = hard.x.len();
        let mut elements = vec![0, n / 3, n / 2, 2 * n / 3, n - 1];
        elements.dedup();
        let mut check = |what, [got, scale]: [f64; 2], want: f64| {
            let error = if got == want { 0.0 } else { (got - want).abs() / scale.abs() };
            let worst = worst.entry((hard.function, what)).or_insert((0.0, hard.line));
            if error > worst.0 || error.is_nan() {
                *worst = (error, hard.line);
            }
        };
        check("loss", loss, hard.values[0]);
        for (&c, &want) in elements.iter().zip(&hard.values[1..]) {
            check("gradient", gradient[c], want);
        }
    }
    for ((function, what), (error, line)) in &worst {
        println!("{what} of {function}: at most 2^{:.2}, {line}", error.log2());
        assert!(*error <= BOUND, "{what} of {function}: off by {error:e} of its scale, {line}");
    }
}
