//! Every family of functions, with its options. Every public function, in every layout, is in `targets/no-panic`.
#![no_std]
#![no_main]

use core::hint::black_box;
use xent_core::{
    BinaryCrossEntropy, ClippedBinaryCrossEntropy, ClippedCrossEntropy, CrossEntropy, Distillation,
    Error, LossTotal, Reduction, Rows, Targets, entropy, js_divergence, kl_divergence, log_softmax,
    log_sum_exp, row_statistics, softmax,
};

footprint::program!(|x| everything(x).unwrap_or(f32::NAN));

/// A program's own limit; longer rows are cut.
const CLASSES: usize = 16;

fn everything(x: &[f32]) -> Result<f32, Error> {
    let x = x.get(..x.len().min(CLASSES)).unwrap_or(&[]);
    let n = x.len();
    let (mut p, mut log_p, mut gradient) = ([0.0; CLASSES], [0.0; CLASSES], [0.0; CLASSES]);
    let p = p.get_mut(..n).unwrap_or_default();
    let log_p = log_p.get_mut(..n).unwrap_or_default();
    let gradient = gradient.get_mut(..n).unwrap_or_default();
    softmax(x, p)?;
    log_softmax(x, log_p)?;
    let (logits, probs) = (Rows::new(x, 1, n)?, Rows::new(p, 1, n)?);
    let (weights, labels) = (black_box([1.5; CLASSES]), black_box([3_u8]));
    let weights = weights.get(..n).unwrap_or(&[]);
    let option = black_box(0.25);

    let loss = CrossEntropy::new()
        .label_smoothing(option)
        .class_weights(weights)
        .ignore(black_box(-100))
        .focal(option)
        .focal_alpha(option)
        .z_loss(option)
        .temperature(option)
        .soft_cap(option);
    let mut total = LossTotal::EMPTY;
    total =
        total.merge(loss.total(logits, Targets::labels(&labels).with_sample_weights(&[option]))?);
    total = total.merge(loss.gradient(logits, probs, Reduction::Mean, gradient)?);
    total.push(loss.row(x, labels[0])? + loss.row_gradient(x, &*p, gradient)?, option);
    let loss = ClippedCrossEntropy::new()
        .clip(0.0, option)
        .normalize(black_box(true))
        .label_smoothing(option)
        .class_weights(weights)
        .ignore(black_box(-100))
        .focal(option)
        .focal_alpha(option);
    total = total.merge(loss.total(probs, &labels)?);
    total = total.merge(loss.gradient(probs, probs, Reduction::MeanCount, gradient)?);
    let loss = BinaryCrossEntropy::new()
        .label_smoothing(option)
        .pos_weights(weights)
        .focal(option)
        .focal_alpha(option)
        .temperature(option)
        .soft_cap(option);
    total = total.merge(loss.total(logits, probs)?);
    total = total.merge(loss.gradient(logits, probs, Reduction::Sum, gradient)?);
    let loss = ClippedBinaryCrossEntropy::new()
        .clip(0.0, option)
        .label_smoothing(option)
        .pos_weights(weights)
        .focal(option)
        .focal_alpha(option);
    total = total.merge(loss.total(probs, probs)?);
    total = total.merge(loss.gradient(probs, probs, Reduction::Sum, gradient)?);
    let loss = Distillation::new().temperature(option);
    total = total.merge(loss.total(logits, logits)?);
    total.push(loss.row_gradient(x, x, gradient)?, option);

    let statistics = row_statistics(x, labels[0])?;
    let divergences = entropy(p) + kl_divergence(p, p)? + js_divergence(p, p)?;
    Ok(total.mean() as f32 + log_sum_exp(x) + statistics.entropy() + divergences)
}
