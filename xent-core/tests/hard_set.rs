//! The reference against 100 digits, and the kernels against those digits without the reference between:
//! long rows, confident ones, ties, common offsets, subnormals, one huge and many tiny terms, sorted
//! and reversed rows.
//!
//! `hard_set/rows.txt` has the rows and what they give, made by `tools/hard_set.py`.

mod common;

use common::{Ledger, few_cases, log_sum_exp_bound};
use xent_core::{Backend, CrossEntropy, accuracy, reference};

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
        let largest = reference::max_probability(x);
        check("max_probability", largest, row.max_probability, row.max_probability);
        check("entropy", reference::entropy_of_logits(x), row.entropy, row.entropy);
        let distance = reference::mean_distance(x);
        check("mean_distance", distance, row.mean_distance, row.mean_distance.max(1.0));
    }
    let (error, place) = worst;
    println!("at most 2^{:.2}, {place}", error.log2());
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
