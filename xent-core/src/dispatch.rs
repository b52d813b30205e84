//! Kernel by backend: the only match on backends.
//!
//! A line of the table below makes a method of [`Backend`] that calls a kernel through a thin wrapper
//! per instruction set. The wrapper carries the target features, and the kernel, all of whose
//! functions are `#[inline(always)]`, is compiled into it with them.
#![allow(unsafe_code, reason = "calls into functions compiled for a detected instruction set")]

use crate::backend::{Backend, Kind};
#[cfg(all(feature = "avx2", any(target_arch = "x86", target_arch = "x86_64")))]
use crate::isa::avx2::Avx2;
#[cfg(all(feature = "avx512", any(target_arch = "x86", target_arch = "x86_64")))]
use crate::isa::avx512::Avx512;
use crate::isa::portable::Portable;
use crate::isa::scalar::Scalar;
use crate::kernel::clipped::Normalizer;
#[cfg(test)]
use crate::kernel::elementary;
use crate::kernel::log_sum_exp::{self, BlockState};
use crate::kernel::tree::TreeSum;
use crate::kernel::{clipped, map};
use crate::log_sum_exp::LogSumExp;

macro_rules! kernels {
    ($($(#[$meta:meta])* $name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)? = $kernel:path;)*) => {
        impl Backend {$(
            $(#[$meta])*
            #[inline]
            pub(crate) fn $name(self, $($arg: $ty),*) $(-> $out)? {
                // Never inlined, so that the features, and a caller's, end here.
                #[inline(never)]
                fn scalar($($arg: $ty),*) $(-> $out)? {
                    $kernel(Scalar, $($arg),*)
                }
                #[inline(never)]
                fn portable($($arg: $ty),*) $(-> $out)? {
                    $kernel(Portable, $($arg),*)
                }
                #[cfg(all(feature = "avx2", any(target_arch = "x86", target_arch = "x86_64")))]
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $out)? {
                    $kernel(Avx2::new(), $($arg),*)
                }
                #[cfg(all(feature = "avx512", any(target_arch = "x86", target_arch = "x86_64")))]
                #[target_feature(enable = "avx512f")]
                fn avx512($($arg: $ty),*) $(-> $out)? {
                    $kernel(Avx512::new(), $($arg),*)
                }
                match self.kind() {
                    // Absent, it is never made; the guard keeps its code out of the binary.
                    Kind::Portable if Portable::PRESENT => portable($($arg),*),
                    Kind::Scalar | Kind::Portable => scalar($($arg),*),
                    #[cfg(all(feature = "avx2", any(target_arch = "x86", target_arch = "x86_64")))]
                    // SAFETY: backend.rs makes Kind::Avx2 only after cpuid and xgetbv reported AVX2
                    // and FMA.
                    Kind::Avx2 => unsafe { avx2($($arg),*) },
                    #[cfg(all(feature = "avx512", any(target_arch = "x86", target_arch = "x86_64")))]
                    // SAFETY: backend.rs makes Kind::Avx512 only after cpuid and xgetbv reported
                    // AVX-512F.
                    Kind::Avx512 => unsafe { avx512($($arg),*) },
                }
            }
        )*}
    };
}

kernels! {
    lse(x: &[f32]) -> f32 = log_sum_exp::log_sum_exp;
    lse_rows(x: &[f32], classes: usize, out: &mut [f32]) = log_sum_exp::log_sum_exps;
    lse_state(x: &[f32]) -> LogSumExp = log_sum_exp::state;
    lse_push(state: &mut BlockState, x: &[f32]) = log_sum_exp::push;
    lse_value(state: &LogSumExp) -> f32 = log_sum_exp::value;
    lse_loss(state: &LogSumExp, x_t: f32) -> f32 = log_sum_exp::loss;
    label_losses(x: &[f32], classes: usize, labels: &[usize], out: &mut [f32])
        = log_sum_exp::label_losses;
    target_sum(sum: &mut TreeSum, x: &[f32], y: &[f32], state: &LogSumExp) = log_sum_exp::target_sum;
    softmax_of(x: &[f32], state: &LogSumExp, out: &mut [f32]) = map::softmax;
    softmax_of_in_place(x: &mut [f32], state: &LogSumExp) = map::softmax_in_place;
    log_softmax_of(x: &[f32], state: &LogSumExp, out: &mut [f32]) = map::log_softmax;
    log_softmax_of_in_place(x: &mut [f32], state: &LogSumExp) = map::log_softmax_in_place;
    binary_losses(x: &[f32], y: &[f32], out: &mut [f32]) = map::binary;
    clipped_binary_losses(p: &[f32], y: &[f32], lo: f32, hi: f32, out: &mut [f32])
        = map::clipped_binary;
    clipped_label_losses(p: &mut [f32], lo: f32, hi: f32) = clipped::label_losses_in_place;
    max(m: f32, p: &[f32]) -> f32 = clipped::max;
    normalizer_push(n: &mut Normalizer, p: &[f32]) = clipped::normalizer_push;
    normalized_label_losses(p: &mut [f32], n: &Normalizer, lo: f32, hi: f32)
        = clipped::normalized_losses_in_place;
    normalized_target_sum(
        sum: &mut TreeSum, p: &[f32], y: &[f32], n: &Normalizer, lo: f32, hi: f32
    ) = clipped::normalized_target_sum;
    clipped_target_sum(sum: &mut TreeSum, p: &[f32], y: &[f32], lo: f32, hi: f32)
        = clipped::target_sum;
    #[cfg(test)]
    exp_in_place(x: &mut [f32]) = elementary::exp_in_place;
    #[cfg(test)]
    ln_in_place(x: &mut [f32]) = elementary::ln_in_place;
    #[cfg(test)]
    ln_1p_in_place(x: &mut [f32]) = elementary::ln_1p_in_place;
}
