//! Cross-entropy losses over whole batches: results in a `Vec`, rows on several threads, and
//! `ndarray` views; on top of [`xent_core`], all of which is found here too.
//!
//! | | [`xent_core`] | added here |
//! | --- | --- | --- |
//! | losses of rows | [`CrossEntropy::rows`], to a slice | [`BatchLoss::batch_losses`], a `Vec` |
//! | their sum or mean | [`CrossEntropy::total`] | [`BatchLoss::batch_total`] |
//! | losses of elements | [`BinaryCrossEntropy::rows`] | [`BatchBinaryLoss::batch_losses`] |
//! | divergences of logits | [`Distillation::rows`] | [`BatchDistillation::batch_losses`] |
//! | log-sum-exp, softmax | [`log_sum_exp_rows`], [`softmax_rows`] | [`batch_log_sum_exp`], [`batch_softmax`] |
//! | entropy, divergences | [`entropy_rows`], [`kl_divergence_rows`] | [`batch_entropy`], [`batch_kl_divergence`], [`batch_js_divergence`] |
//! | one very long row | [`log_sum_exp`] | [`parallel_log_sum_exp`] |
//! | statistics of rows | [`row_statistics_rows`] | [`batch_statistics`] |
//! | what they say of a classifier | | [`Evaluation`]: accuracy, top k, calibration |
//!
//! ```
//! use xent_std::{BatchLoss, CrossEntropy, Rows};
//!
//! let logits = Rows::new(&[20.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0], 2, 4)?;
//! let labels: Vec<i64> = vec![0, 3];
//! let loss = CrossEntropy::new();
//! assert_eq!(loss.batch_losses(logits, &labels[..])?, [6.183461e-9, 0.44018972]);
//! assert_eq!(loss.batch_total(logits, &labels[..])?.mean() as f32, 0.22009486);
//! # Ok::<(), xent_std::Error>(())
//! ```
//!
//! Calls of PyTorch, Keras, optax and ONNX, and those here with the same results: [`migration`].
//!
//! With the feature `ndarray`, each of these in a `Vec` has a form for arrays of any layout, with any class
//! axis: `ArrayLoss`, `ArrayBinaryLoss`, `ArrayDistillation`, `array_softmax`, `array_kl_divergence`,
//! `array_statistics` and so on.
//!
//! # Threads
//!
//! What is added here uses the threads of rayon's current pool where there are enough elements to gain
//! by it; what core has never leaves the caller's thread. Both give the same bits, with any number of
//! threads. For a number of your own, call from inside `ThreadPool::install`.
//!
//! # Memory
//!
//! A `Vec` that does not fit into memory ends as every `Vec` does. That aside, a caller's mistake is
//! an [`Error`], as in core.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `rayon` | yes | threads; without it the same functions run on one |
//! | `avx2`, `avx512` | yes | the run-time backends of [`xent_core`] on x86 |
//! | `ndarray` | no | arrays of any layout, with any class axis |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod batch;
mod evaluation;
pub mod migration;
#[cfg(feature = "ndarray")]
mod ndarray;
mod parallel;

#[cfg(feature = "ndarray")]
pub use crate::ndarray::{
    ArrayBinaryLoss, ArrayDistillation, ArrayLabels, ArrayLoss, ArrayRows, array_entropy,
    array_js_divergence, array_kl_divergence, array_log_softmax, array_log_sum_exp, array_softmax,
    array_statistics,
};
pub use batch::backend::BatchBackend;
pub use batch::binary_loss::BatchBinaryLoss;
pub use batch::distillation::BatchDistillation;
pub use batch::divergence::{batch_entropy, batch_js_divergence, batch_kl_divergence};
pub use batch::loss::BatchLoss;
pub use batch::softmax::{
    batch_log_softmax, batch_log_sum_exp, batch_softmax, parallel_log_sum_exp,
};
pub use batch::statistics::batch_statistics;
pub use evaluation::{CalibrationBin, Evaluation};
#[doc(no_inline)]
pub use xent_core;
#[doc(inline)]
pub use xent_core::*;
