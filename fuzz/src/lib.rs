//! What the fuzz targets check, without libFuzzer: each target is a function of bytes that panics
//! where xent breaks a promise.
//!
//! - Every backend is within [`accuracy`](xent_core::accuracy) of [`reference`](xent_core::reference),
//!   special values included, and NaN is the canonical one.
//! - Backends of one class ([`Backend::fuses_multiply_add`](xent_core::Backend::fuses_multiply_add))
//!   give the same bits, and so do all layouts, alignments and doors to the same function.
//! - There is an error exactly where one is due, with the numbers that it should carry, and then the
//!   output is as it was. No write beside an output, ever.
//!
//! What is not promised is not compared; each module says what that is.

pub mod arrays;
pub mod batches;
pub mod binary_losses;
#[path = "../../xent-core/tests/common/bounds.rs"]
#[expect(dead_code, reason = "the suites of core use the rest")]
mod bounds;
pub mod bytes;
pub mod clipped_cross_entropy;
pub mod compare;
pub mod cross_entropy;
pub mod labels;
pub mod layout;
pub mod log_sum_exp;
mod options;
mod rows_with_options;
pub mod softmax;
pub mod statistics_and_divergences;

/// A target: its name and its check.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("log_sum_exp", log_sum_exp::check),
    ("softmax", softmax::check),
    ("cross_entropy", cross_entropy::check),
    ("clipped_cross_entropy", clipped_cross_entropy::check),
    ("binary_losses", binary_losses::check),
    ("statistics_and_divergences", statistics_and_divergences::check),
    ("batches", batches::check),
    ("arrays", arrays::check),
];
