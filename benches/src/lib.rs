//! What the benches share: inputs, the loops to compare with, and the check before the clock starts.
//!
//! A bench has ids `operation/contender/size`. The contenders are every backend of this CPU and the
//! two loops that a user would otherwise write.

pub mod check;
pub mod input;
pub mod naive;
mod run;

pub use run::{Contender, Shape, bench, bench_backends, criterion};
