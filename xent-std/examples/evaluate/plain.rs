//! The textbook loop, to compare with: what most programs do, one element at a time in f32.

/// `ln(Σ exp(x - m)) - (x_t - m)`, the maximum `m` included in the sum.
///
/// Where the label's logit is the maximum and the others are small, the sum is 1 and a rest that f32
/// rounds away beside it: from a rest of 6e-8 down, the loss is 0. `label` is one of the classes.
pub(crate) fn loss(x: &[f32], label: usize) -> f32 {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in x {
        sum += (x - max).exp();
    }
    sum.ln() - (x[label] - max)
}
