//! One file per implementation of [`Simd`](crate::simd::Simd): tables, operation = instruction.
//!
//! The only unsafe code outside `dispatch.rs`, and in the x86 files alone.

pub(crate) mod portable;
pub(crate) mod scalar;

#[cfg(all(feature = "avx2", any(target_arch = "x86", target_arch = "x86_64")))]
pub(crate) mod avx2;

#[cfg(all(feature = "avx512", any(target_arch = "x86", target_arch = "x86_64")))]
pub(crate) mod avx512;
