//! What else computes these functions in Rust: other libraries as they are, and the usual ways to write them.

use candle_core::{Device, Tensor};
use ndarray::ArrayView1;
use rten_simd::SimdOp;
use rten_vecmath::{LogSoftmax, Softmax};
use wide::f32x8;

/// `max + ln(Σ exp(x_i - max))` over the `exp` of the crate wide, eight at a time.
pub fn wide_log_sum_exp(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<8>();
    let max =
        chunks.iter().fold(f32x8::splat(f32::NEG_INFINITY), |max, &x| max.max(f32x8::from(x)));
    let max =
        max.to_array().into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, f32::max);
    let mut sum = f32x8::ZERO;
    for &x in chunks {
        sum += (f32x8::from(x) - f32x8::splat(max)).exp();
    }
    let rest: f32 = rest.iter().map(|x| (x - max).exp()).sum();
    max + (sum.reduce_add() + rest).ln()
}

/// The same over an ndarray.
pub fn ndarray_log_sum_exp(x: &[f32]) -> f32 {
    let x = ArrayView1::from(x);
    let max = x.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    max + x.mapv(|x| (x - max).exp()).sum().ln()
}

/// rten-vecmath has a softmax and a log-softmax, which work in place.
pub fn rten_softmax(x: &[f32], classes: usize, out: &mut [f32]) {
    out.copy_from_slice(x);
    for row in out.chunks_exact_mut(classes) {
        Softmax::new_mut(row).dispatch();
    }
}

pub fn rten_cross_entropy(
    x: &[f32],
    classes: usize,
    labels: &[i64],
    scratch: &mut [f32],
    out: &mut [f32],
) {
    for ((x, &label), out) in x.chunks_exact(classes).zip(labels).zip(out) {
        scratch.copy_from_slice(x);
        LogSoftmax::new_mut(scratch).dispatch();
        *out = -scratch[label as usize];
    }
}

/// Rows as a tensor of candle, made before the clock starts.
pub fn candle_tensor(x: &[f32], classes: usize) -> Tensor {
    Tensor::from_slice(x, (x.len() / classes, classes), &Device::Cpu)
        .expect("the shape is that of the rows")
}

pub fn candle_log_sum_exp(x: &Tensor) -> Vec<f32> {
    x.log_sum_exp(1).and_then(|y| y.to_vec1()).expect("two dimensions")
}

pub fn candle_softmax(x: &Tensor) -> Tensor {
    candle_nn::ops::softmax_last_dim(x).expect("two dimensions")
}

/// The loss of every row is computed on the way; what comes out is their mean.
pub fn candle_cross_entropy(x: &Tensor, labels: &Tensor) -> f32 {
    candle_nn::loss::cross_entropy(x, labels)
        .and_then(|y| y.to_scalar())
        .expect("a label for each row")
}

pub fn candle_labels(labels: &[i64]) -> Tensor {
    Tensor::from_slice(labels, labels.len(), &Device::Cpu).expect("a vector")
}
