//! Cross-entropy losses, softmax and log-sum-exp over `f32` slices: no std, no allocation, no panic on
//! data, explicitly vectorized, with published error bounds.
//!
//! | from | one class of many | yes or no |
//! | --- | --- | --- |
//! | logits | [`CrossEntropy`] | [`BinaryCrossEntropy`] |
//! | probabilities | [`ClippedCrossEntropy`] | [`ClippedBinaryCrossEntropy`] |
//!
//! Each takes one row or many ([`Rows`], contiguous or strided), class indices of any integer type or
//! target distributions ([`Target`], [`Targets`]), writes to the caller's slice, or folds into a
//! [`LossTotal`] that merges across batches and threads. Below them are [`log_sum_exp`], [`softmax`]
//! and [`log_softmax`], and [`LogSumExp`], the state of a reduction that merges. [`row_statistics`] has
//! what an evaluation asks of a row, in one reading.
//!
//! Each has options, such as class weights, label smoothing and focal (on its page), and `gradient`, into the
//! caller's slice, of the loss under a [`Reduction`].
//!
//! Two distributions are compared by [`kl_divergence`] and [`js_divergence`], beside [`entropy`], and two
//! rows of logits by [`Distillation`].
//!
//! ```
//! use xent_core::{CrossEntropy, Rows};
//!
//! let logits = Rows::new(&[20.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0], 2, 4)?;
//! let mut losses = [0.0; 2];
//! CrossEntropy::new().rows(logits, &[0, 3], &mut losses)?;
//! assert_eq!(losses, [6.183461e-9, 0.44018972]); // the first is 0 in f32 elsewhere
//! # Ok::<(), xent_core::Error>(())
//! ```
//!
//! # Promises
//!
//! - **Accuracy.** [`accuracy`] has one constant for each function; tests hold each on every backend
//!   against [`mod@reference`], the definitions in f64. `ACCURACY.md` has where each comes from.
//! - **Special values.** NaN, infinities, subnormals and masked classes have defined results, on the
//!   page of each function. NaN results are [`f32::NAN`]; an `f64` total may be any NaN.
//! - **Reproducibility.** The same input on the same backend gives the same bits, whatever the
//!   alignment, the layout or the rows around it; so do all backends that agree on
//!   [`Backend::fuses_multiply_add`], on every CPU.
//! - **Errors.** A caller's mistake is an [`Error`] with its numbers, and nothing has been written.
//!
//! # Backends
//!
//! [`Backend`] lists what this CPU has. On x86 the AVX2 and AVX-512 backends are chosen at run time;
//! the features `avx2` and `avx512`, on by default, can leave them out.
//!
//! # Firmware
//!
//! A target without SIMD uses scalar code. Compile this crate with `opt-level = 3` where the rest is
//! compiled for size, or leave it at `"s"`, where a row of few elements has no code of its own: less
//! flash, and up to twice the time for ten classes.
//!
//! ```toml
//! [profile.release.package.xent-core]
//! opt-level = 3
//! ```
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
extern crate std;

pub mod accuracy;
mod backend;
mod dispatch;
mod divergence;
mod error;
mod isa;
mod kernel;
mod log_sum_exp;
mod loss;
mod math;
pub mod reference;
mod rows;
mod simd;
mod softmax;
mod statistics;
mod targets;

pub use backend::Backend;
pub use divergence::{
    entropy, entropy_rows, js_divergence, js_divergence_rows, kl_divergence, kl_divergence_rows,
};
pub use error::Error;
pub use log_sum_exp::LogSumExp;
pub use loss::{
    BinaryCrossEntropy, ClippedBinaryCrossEntropy, ClippedCrossEntropy, CrossEntropy, Distillation,
    GradientScale, LossTotal, Reduction,
};
pub use rows::Rows;
pub use softmax::{
    log_softmax, log_softmax_in_place, log_softmax_rows, log_sum_exp, log_sum_exp_rows, softmax,
    softmax_in_place, softmax_rows,
};
pub use statistics::{RowStatistics, row_statistics, row_statistics_rows};
pub use targets::{BinaryTargets, Label, Target, Targets};
