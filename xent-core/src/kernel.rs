//! The loops over slices, one file each, written once for every instruction set.
//!
//! Plain loops and no closures: everything here must inline into the wrappers of `dispatch.rs`.

pub(crate) mod binary;
pub(crate) mod clipped;
pub(crate) mod distillation;
pub(crate) mod distribution;
pub(crate) mod divergence;
#[cfg(test)]
pub(crate) mod elementary;
mod exp_sum;
mod kept_exps;
pub(crate) mod label;
pub(crate) mod log_sum_exp;
pub(crate) mod logits;
mod map;
pub(crate) mod rows_in_lanes;
mod short_row;
pub(crate) mod softmax;
pub(crate) mod statistics;
pub(crate) mod tree;

#[cfg(test)]
mod tests;
