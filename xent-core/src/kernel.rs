//! The loops over slices, one file each, written once for every instruction set.
//!
//! Plain loops and no closures: everything here must inline into the wrappers of `dispatch.rs`.

pub(crate) mod clipped;
#[cfg(test)]
pub(crate) mod elementary;
pub(crate) mod log_sum_exp;
pub(crate) mod map;
mod short_rows;
pub(crate) mod tree;

#[cfg(test)]
mod tests;
