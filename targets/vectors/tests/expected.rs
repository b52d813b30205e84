//! The expected bits are those that this CPU gives, and right.

#[path = "../../../xent-core/tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::convert::Infallible;

use common::bounds::{ElementCase, LogitCase, ProbCase, one_hot};
use common::{Ledger, few_cases};
use xent_core::reference::{self, BinaryOptions, Options};
use xent_core::{Backend, accuracy};
use xent_vectors::{
    Case, ElementOptions, Inputs, NO_RESULTS, Operation, TargetKind, check, expected,
    for_each_case, for_each_part,
};

#[test]
fn every_backend_gives_the_expected_bits() {
    for backend in Backend::all() {
        match check(backend) {
            Ok(n_cases) => println!("{backend:?}: {n_cases} cases"),
            Err(failure) => panic!("{backend:?}: {failure}"),
        }
    }
}

#[test]
fn nothing_is_expected_that_is_not_computed() {
    let (mut inputs, mut results, mut n_words) = (Inputs::EMPTY, NO_RESULTS, 0);
    for_each_case(|case| {
        inputs.fill(case);
        let n = case.results(Backend::SCALAR, &inputs, &mut results)?;
        for_each_part(&results[..n], |_, _| {
            n_words += 1;
            Ok::<(), xent_core::Error>(())
        })
    })
    .unwrap();
    assert_eq!([false, true].map(|fused| expected(fused).len()), [4 * n_words; 2]);
}

/// A result in f64, and by how much a backend may differ.
type Wanted = (f64, f64);

/// The loss of a row, and its gradient.
type RowWanted = (Wanted, Vec<Wanted>);

/// ULP of `scale`.
fn within(want: f64, ulp: f64, scale: f64) -> Wanted {
    (want, ulp * accuracy::ULP * scale.abs() + 2_f64.powi(-149))
}

/// Whatever it is: rounding decides whether the gradient is there.
const ANYTHING: Wanted = (0.0, f64::INFINITY);

fn max(x: &[f32]) -> f64 {
    x.iter().copied().fold(f32::NEG_INFINITY, f32::max).into()
}

fn wanted_log_sum_exp(x: &[f32]) -> Wanted {
    let want = reference::log_sum_exp(x);
    // Without a finite maximum there is none.
    let excess = reference::log_sum_exp_excess(x).max(0.0);
    let of_distances = reference::mean_distance(x) / 2.0 * excess;
    let (want, allowed) = within(want, accuracy::LOG_SUM_EXP, want.abs().max(excess));
    (want, allowed + of_distances * accuracy::ULP)
}

fn wanted_loss(x: &[f32], label: usize) -> Wanted {
    let want = reference::cross_entropy(x, label);
    within(want, accuracy::LOSS + reference::mean_distance(x) / 2.0, want)
}

fn wanted_softmax(x: &[f32]) -> Vec<Wanted> {
    let half_distance = reference::mean_distance(x) / 2.0;
    let element = |i: usize| {
        let want = reference::softmax(x, i);
        within(want, accuracy::SOFTMAX + half_distance, want)
    };
    (0..x.len()).map(element).collect()
}

fn wanted_statistics(x: &[f32], label: usize) -> Vec<Wanted> {
    let half_distance = reference::mean_distance(x) / 2.0;
    let max_probability = reference::max_probability(x);
    let entropy = reference::entropy_of_logits(x);
    let entropy_ulp = accuracy::ENTROPY_OF_LOGITS + reference::entropy_distance(x) / 2.0;
    let margin = reference::margin(x);
    vec![
        wanted_log_sum_exp(x),
        wanted_loss(x, label),
        within(max_probability, accuracy::MAX_PROBABILITY + half_distance, max_probability),
        within(entropy, entropy_ulp, entropy),
        within(margin, accuracy::MARGIN + half_distance, margin),
        (reference::argmax(x) as f64, 0.0),
        (reference::rank(x, label) as f64, 0.0),
    ]
}

fn wanted_distillation(student: &[f32], teacher: &[f32], temperature: f32) -> Vec<Wanted> {
    let step = 2_f64.powi(-149);
    let want = reference::distillation(student, teacher, temperature);
    let distance = reference::distillation_distance(student, teacher, temperature);
    let rest = reference::distillation_rest(student, teacher, temperature);
    let e = (accuracy::DISTILLATION + distance) * accuracy::ULP;
    let n = student.len();
    let mut all = vec![(want, e * want + (e * rest).powi(2) / 2.0 + n as f64 * step)];
    let t = f64::from(temperature);
    let distances = |x: &[f32], c: usize| (max(x) - f64::from(x[c])) / t;
    // The logits divided by T are of f64; of these softmax has a definition in f32 alone.
    let probability = |x: &[f32], c: usize| {
        let sum: f64 = (0..n).map(|c| (-distances(x, c)).exp()).sum();
        (-distances(x, c)).exp() / sum
    };
    for c in 0..n {
        let want = reference::distillation_gradient(student, teacher, temperature, c);
        let nearer = distances(student, c).min(distances(teacher, c)).min(1e6);
        let e = (accuracy::DISTILLATION_GRADIENT + distance + nearer) * accuracy::ULP;
        let smaller = probability(student, c).min(probability(teacher, c));
        all.push((want, e * (want.abs() + smaller / t * rest) + step / t.min(1.0)));
    }
    all
}

/// The mean over all rows but the last, which is ignored.
fn wanted_mean(case: &Case, xs: &[Vec<f32>], class_weights: &[f32]) -> Vec<Wanted> {
    let label = case.row.label(case.classes);
    let y = one_hot(case.classes, label);
    let (mut sum, mut allowed, mut weight) = (0.0, 0.0, 0.0);
    let mut gradient = Vec::new();
    for (x, sample_weight) in xs[..case.n_rows - 1].iter().zip(Inputs::SAMPLE_WEIGHTS) {
        let options = Options { class_weights, sample_weight, ..Options::default() };
        let row = LogitCase::new(x, &y, &options);
        sum += row.loss;
        allowed += row.loss_allowed;
        // QEMU 7.2 multiplies two f32 to an f64 wrongly on s390x (MDEBR), but adds the product rightly.
        weight = f64::from(sample_weight).mul_add(f64::from(class_weights[label]), weight);
        gradient.extend(row.gradient.into_iter().zip(row.gradient_allowed));
    }
    gradient.resize(case.n_rows * case.classes, (0.0, 0.0));
    let (mean, factor) = (sum / weight, if weight == 0.0 { 0.0 } else { 1.0 / weight });
    // f32 of a sum in f64, and what it leaves.
    let parts = |value: f64, allowed: f64| {
        let rest = if value.is_finite() { accuracy::ULP * value.abs() } else { 0.0 };
        [(value, allowed + rest), (0.0, rest)]
    };
    let mut all = [parts(sum, allowed), parts(mean, allowed * factor)].concat();
    all.extend([(weight, accuracy::ULP * weight), ((case.n_rows - 1) as f64, 0.0)]);
    let step = 2_f64.powi(-149);
    all.extend(gradient.into_iter().map(|(want, allowed)| {
        if factor == 0.0 { (0.0, 0.0) } else { (want * factor, allowed * factor + step) }
    }));
    all
}

/// Losses, then gradients, of rows of probabilities or logits with the options of each.
fn losses_and_gradients(rows: Vec<RowWanted>) -> Vec<Wanted> {
    let losses: Vec<Wanted> = rows.iter().map(|(loss, _)| *loss).collect();
    losses.into_iter().chain(rows.into_iter().flat_map(|(_, gradient)| gradient)).collect()
}

fn logit_row(x: &[f32], y: &[f32], options: &Options<'_>) -> RowWanted {
    let row = LogitCase::new(x, y, options);
    let gradient = row.gradient.into_iter().zip(row.gradient_allowed).collect();
    ((row.loss, row.loss_allowed), gradient)
}

fn prob_row(p: &[f32], y: &[f32], options: &Options<'_>) -> RowWanted {
    let row = ProbCase::new(p, y, options);
    let mut gradient: Vec<Wanted> = row.gradient.into_iter().zip(row.gradient_allowed).collect();
    if row.at_an_end {
        gradient.fill(ANYTHING);
    }
    ((row.loss, row.loss_allowed), gradient)
}

fn elements(
    xs: &[Vec<f32>],
    ys: &[Vec<f32>],
    of: impl Fn(f32, f32) -> ElementCase,
) -> (Vec<Wanted>, Vec<Wanted>) {
    let elements = xs.concat().into_iter().zip(ys.concat());
    let cases = elements.map(|(x, y)| of(x, y));
    cases.map(|c| ((c.loss, c.loss_allowed), (c.gradient, c.gradient_allowed))).unzip()
}

/// What the reference has for each result of a case.
fn wanted(case: &Case, inputs: &Inputs) -> Vec<Wanted> {
    let &Case { operation, row, n_rows, classes } = case;
    let label = row.label(classes);
    let rows = operation.layout().rows(&inputs.x, n_rows, classes).unwrap();
    let gathered = |row| (0..classes).map(|class| rows.get(row, class).unwrap()).collect();
    let xs: Vec<Vec<f32>> = (0..n_rows).map(gathered).collect();
    let y_of = |row: usize| inputs.y.get(row * classes..(row + 1) * classes).unwrap_or(&[]);
    let ys: Vec<Vec<f32>> = (0..n_rows).map(|row| y_of(row).to_vec()).collect();
    let x = &xs[0];
    let class_weights = &inputs.class_weights[..classes.min(Inputs::MOST_WEIGHTS)];
    let targets = |kind| match kind {
        TargetKind::Label => vec![one_hot(classes, label); n_rows],
        TargetKind::Distribution => ys.clone(),
    };
    let class_rows = |kind, of: &dyn Fn(&[f32], &[f32]) -> RowWanted| {
        xs.iter().zip(targets(kind)).map(|(x, y)| of(x, &y)).collect::<Vec<_>>()
    };
    let losses = |rows: Vec<RowWanted>| rows.into_iter().map(|(loss, _)| loss).collect();
    match operation {
        Operation::LogSumExp | Operation::MergedLogSumExp => {
            let mut x = x.clone();
            if matches!(operation, Operation::MergedLogSumExp) {
                // Its last element was pushed as well.
                x.extend(x.last().copied());
            }
            vec![wanted_log_sum_exp(&x)]
        }
        Operation::Loss => vec![wanted_loss(x, label)],
        Operation::Softmax => wanted_softmax(x),
        Operation::LogSoftmax => {
            let ulp = accuracy::LOG_SOFTMAX + reference::mean_distance(x) / 2.0;
            let element = |i| reference::log_softmax(x, i);
            (0..classes).map(element).map(|want| within(want, ulp, want)).collect()
        }
        Operation::Statistics => wanted_statistics(x, label),
        Operation::LogSumExpRows(_) => xs.iter().map(|x| wanted_log_sum_exp(x)).collect(),
        Operation::SoftmaxRows(_) => xs.iter().flat_map(|x| wanted_softmax(x)).collect(),
        Operation::LossRows(_, kind) => {
            losses(class_rows(kind, &|x, y| logit_row(x, y, &Options::default())))
        }
        Operation::ClippedRows(_, kind) => {
            let options = Options { normalize: true, ..Options::default() };
            losses(class_rows(kind, &|p, y| prob_row(p, y, &options)))
        }
        Operation::BinaryRows(_) => {
            elements(&xs, &ys, |x, y| ElementCase::of_logit(x, y, &BinaryOptions::default())).0
        }
        Operation::Mean => wanted_mean(case, &xs, class_weights),
        Operation::CrossEntropy(kind, options) => {
            let options = options.of(class_weights);
            losses_and_gradients(class_rows(kind, &|x, y| logit_row(x, y, &options)))
        }
        Operation::ClippedCrossEntropy(kind, options) => {
            let options = options.of(class_weights);
            losses_and_gradients(class_rows(kind, &|p, y| {
                let is_read = |class| kind == TargetKind::Distribution || class == label;
                if options.normalize {
                    return prob_row(p, y, &options);
                }
                // A NaN that is not read has no effect, and one that is makes the loss and its own
                // derivative NaN.
                let clean: Vec<f32> = p.iter().map(|p| if p.is_nan() { 0.5 } else { *p }).collect();
                let (mut loss, mut gradient) = prob_row(&clean, y, &options);
                for class in (0..classes).filter(|&class| p[class].is_nan() && is_read(class)) {
                    (loss, gradient[class]) = ((f64::NAN, 0.0), (f64::NAN, 0.0));
                }
                (loss, gradient)
            }))
        }
        Operation::BinaryCrossEntropy(ElementOptions { options, .. }) => {
            let of = |x, y| ElementCase::of_logit(x, y, options);
            let (losses, gradients) = elements(&xs, &ys, of);
            [losses, gradients].concat()
        }
        Operation::ClippedBinaryCrossEntropy(ElementOptions { options, .. }) => {
            let of = |p, y| ElementCase::of_prob(p, y, options);
            let (losses, gradients) = elements(&xs, &ys, of);
            [losses, gradients].concat()
        }
        Operation::Entropy => {
            let want = reference::entropy(x);
            vec![(want, accuracy::ENTROPY * accuracy::ULP * want.abs() + steps(classes))]
        }
        Operation::KlDivergence => {
            let want = reference::kl_divergence(&ys[0], x);
            let scale: f64 =
                ys[0].iter().zip(x).map(|(&y, &p)| reference::kl_term(y, p).abs()).sum();
            vec![(want, accuracy::KL_DIVERGENCE * accuracy::ULP * scale + steps(classes))]
        }
        Operation::JsDivergence => {
            let want = reference::js_divergence(&ys[0], x);
            vec![(want, accuracy::JS_DIVERGENCE * accuracy::ULP * want + steps(classes))]
        }
        Operation::Distillation(tenths) => {
            let temperature = f32::from(tenths) / 10.0;
            let rows = xs.iter().zip(&ys).map(|(x, y)| {
                let mut all = wanted_distillation(x, y, temperature);
                (all.remove(0), all)
            });
            losses_and_gradients(rows.collect())
        }
    }
}

/// One step of the smallest subnormal for each of `n` terms.
fn steps(n: usize) -> f64 {
    n as f64 * 2_f64.powi(-149)
}

#[test]
fn every_result_is_within_the_bounds_of_the_reference() {
    let mut n_results = BTreeMap::new();
    let (mut inputs, mut results) = (Inputs::EMPTY, NO_RESULTS);
    let backends: Vec<Backend> = Backend::all().collect();
    let mut ledger = Ledger::new("all");
    let mut n_cases = 0;
    for_each_case(|case| {
        n_cases += 1;
        // These bits are those of the host, where every case is compared.
        if few_cases() && n_cases % 20 != 1 {
            return Ok(());
        }
        inputs.fill(case);
        let wanted = wanted(case, &inputs);
        for &backend in &backends {
            let n = case.results(backend, &inputs, &mut results).unwrap();
            assert_eq!(n, wanted.len(), "{case:?}");
            for (i, (&got, &(want, allowed))) in results[..n].iter().zip(&wanted).enumerate() {
                if allowed < f64::INFINITY || !want.is_finite() {
                    let what = || format!("result {i} of {case:?}");
                    ledger.check_within(backend, got, want, allowed, &what);
                }
            }
            let name = format!("{:?}", case.operation);
            *n_results.entry(name).or_insert(0) += n;
        }
        Ok::<(), Infallible>(())
    })
    .unwrap();
    println!("{n_results:#?}");
}
