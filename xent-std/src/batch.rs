//! Whole batches: results in a `Vec`, rows on several threads.

pub(crate) mod backend;
pub(crate) mod binary_loss;
pub(crate) mod distillation;
pub(crate) mod divergence;
pub(crate) mod loss;
pub(crate) mod softmax;
mod split;
pub(crate) mod statistics;
