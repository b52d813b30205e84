//! Whole batches: results in a `Vec`, rows on several threads.

pub(crate) mod binary_loss;
pub(crate) mod divergence;
pub(crate) mod loss;
pub(crate) mod softmax;
pub(crate) mod statistics;
