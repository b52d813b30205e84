//! The loops that a user would otherwise write: textbook formulas in plain f32, one element after
//! another, over std's or libm's `exp` and `ln`.

/// Where `exp` and `ln` come from.
pub trait Math {
    /// `exp(x)`.
    fn exp(x: f32) -> f32;
    /// `ln(x)`.
    fn ln(x: f32) -> f32;
}

/// `f32::exp` and `f32::ln`: those of the platform's C library.
#[derive(Debug)]
pub enum Std {}

/// The crate `libm`, as without std.
#[derive(Debug)]
pub enum Libm {}

impl Math for Std {
    fn exp(x: f32) -> f32 {
        x.exp()
    }
    fn ln(x: f32) -> f32 {
        x.ln()
    }
}

impl Math for Libm {
    fn exp(x: f32) -> f32 {
        libm::expf(x)
    }
    fn ln(x: f32) -> f32 {
        libm::logf(x)
    }
}

/// `max + ln(Σ exp(x_i - max))`.
#[must_use]
pub fn log_sum_exp<M: Math>(x: &[f32]) -> f32 {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = x.iter().map(|&x| M::exp(x - max)).sum();
    max + M::ln(sum)
}

/// Of each row: `exp(x_i - max)`, then the division by the sum.
pub fn softmax<M: Math>(x: &[f32], classes: usize, out: &mut [f32]) {
    for (x, out) in x.chunks_exact(classes).zip(out.chunks_exact_mut(classes)) {
        let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for (&x, out) in x.iter().zip(&mut *out) {
            *out = M::exp(x - max);
            sum += *out;
        }
        for out in out {
            *out /= sum;
        }
    }
}

/// Of each row: `log_sum_exp(x) - x[label]`.
pub fn cross_entropy<M: Math>(x: &[f32], classes: usize, labels: &[i64], out: &mut [f32]) {
    for ((x, &label), out) in x.chunks_exact(classes).zip(labels).zip(out) {
        *out = log_sum_exp::<M>(x) - x[label as usize];
    }
}

/// Of each row: `softmax(x)`, less 1 at the label. The loss is computed too, as the library does.
pub fn cross_entropy_gradient<M: Math>(x: &[f32], classes: usize, labels: &[i64], out: &mut [f32]) {
    let mut total = 0.0;
    let rows = x.chunks_exact(classes).zip(out.chunks_exact_mut(classes));
    for ((x, out), &label) in rows.zip(labels) {
        softmax::<M>(x, classes, out);
        total -= M::ln(out[label as usize]);
        out[label as usize] -= 1.0;
    }
    std::hint::black_box(total);
}

/// Of each row: `-Σ y_c ln(clip(p_c))`.
pub fn clipped_cross_entropy<M: Math>(p: &[f32], classes: usize, y: &[f32], out: &mut [f32]) {
    for ((p, y), out) in p.chunks_exact(classes).zip(y.chunks_exact(classes)).zip(out) {
        let terms = p.iter().zip(y).map(|(&p, &y)| y * M::ln(p.clamp(1e-7, 1.0 - 1e-7)));
        *out = -terms.sum::<f32>();
    }
}

/// Of each row: `-ln(clip(p[label] / Σ p))`.
pub fn normalized_cross_entropy<M: Math>(
    p: &[f32],
    classes: usize,
    labels: &[i64],
    out: &mut [f32],
) {
    for ((p, &label), out) in p.chunks_exact(classes).zip(labels).zip(out) {
        let sum: f32 = p.iter().sum();
        *out = -M::ln((p[label as usize] / sum).clamp(1e-7, 1.0 - 1e-7));
    }
}

/// `max(x, 0) - x y + ln(1 + exp(-|x|))`.
pub fn binary_cross_entropy<M: Math>(x: &[f32], y: &[f32], out: &mut [f32]) {
    for ((&x, &y), out) in x.iter().zip(y).zip(out) {
        *out = x.max(0.0) - x * y + M::ln(1.0 + M::exp(-x.abs()));
    }
}
