//! One file per implementation of [`Simd`](crate::simd::Simd): tables, operation = instruction.
//!
//! The only unsafe code outside `dispatch.rs`, and in the x86 files alone.

pub(crate) mod scalar;

#[cfg(any(
    target_feature = "sse2",
    all(target_arch = "aarch64", target_feature = "neon"),
    target_feature = "simd128"
))]
pub(crate) mod portable;

#[cfg(all(feature = "avx2", any(target_arch = "x86", target_arch = "x86_64")))]
pub(crate) mod avx2;

#[cfg(all(feature = "avx512", any(target_arch = "x86", target_arch = "x86_64")))]
pub(crate) mod avx512;
