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
use crate::kernel::binary::{self, BinaryTerms, Elements};
use crate::kernel::clipped::{self, ClipRange, Normalizer};
use crate::kernel::distillation::{self, Tempered};
use crate::kernel::distribution::{self, ClassRows, ClassTerms, GradientTerms};
use crate::kernel::divergence;
#[cfg(test)]
use crate::kernel::elementary;
use crate::kernel::label::{self, Extras, LabelRows};
use crate::kernel::log_sum_exp::{self, BlockState};
use crate::kernel::logits::{self, LogitTransform};
use crate::kernel::rows_in_lanes::Layout;
use crate::kernel::softmax;
use crate::kernel::statistics::{self, RowState};
use crate::kernel::tree::TreeSum;
use crate::log_sum_exp::LogSumExp;
use crate::statistics::RowStatistics;

macro_rules! kernels {
    ($($(#[$meta:meta])* $name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)? = $kernel:path;)*) => {
        $(
            // A module for each, which a compiler takes for a unit of its own: those of one are compiled by one
            // thread. Never inlined, so that the features, and a caller's, end here.
            $(#[$meta])*
            mod $name {
                use super::*;

                #[inline(never)]
                pub(super) fn scalar($($arg: $ty),*) $(-> $out)? {
                    $kernel(Scalar, $($arg),*)
                }
                #[inline(never)]
                pub(super) fn portable($($arg: $ty),*) $(-> $out)? {
                    $kernel(Portable, $($arg),*)
                }
                #[cfg(all(feature = "avx2", any(target_arch = "x86", target_arch = "x86_64")))]
                #[target_feature(enable = "avx2,fma")]
                pub(super) fn avx2($($arg: $ty),*) $(-> $out)? {
                    $kernel(Avx2::new(), $($arg),*)
                }
                #[cfg(all(feature = "avx512", any(target_arch = "x86", target_arch = "x86_64")))]
                #[target_feature(enable = "avx512f")]
                pub(super) fn avx512($($arg: $ty),*) $(-> $out)? {
                    $kernel(Avx512::new(), $($arg),*)
                }
            }
        )*

        impl Backend {$(
            $(#[$meta])*
            #[inline]
            pub(crate) fn $name(self, $($arg: $ty),*) $(-> $out)? {
                match self.kind() {
                    // Absent, it is never made; the guard keeps its code out of the binary.
                    Kind::Portable if Portable::PRESENT => $name::portable($($arg),*),
                    Kind::Scalar | Kind::Portable => $name::scalar($($arg),*),
                    #[cfg(all(feature = "avx2", any(target_arch = "x86", target_arch = "x86_64")))]
                    // SAFETY: backend.rs makes Kind::Avx2 only after cpuid and xgetbv reported AVX2
                    // and FMA.
                    Kind::Avx2 => unsafe { $name::avx2($($arg),*) },
                    #[cfg(all(feature = "avx512", any(target_arch = "x86", target_arch = "x86_64")))]
                    // SAFETY: backend.rs makes Kind::Avx512 only after cpuid and xgetbv reported
                    // AVX-512F.
                    Kind::Avx512 => unsafe { $name::avx512($($arg),*) },
                }
            }
        )*}
    };
}

kernels! {
    lse(x: &[f32]) -> f32 = log_sum_exp::log_sum_exp;
    lse_of_short(x: &[f32]) -> Option<f32> = log_sum_exp::log_sum_exp_of_short;
    lse_rows(x: &[f32], layout: Layout, out: &mut [f32]) = log_sum_exp::log_sum_exps;
    lse_state(x: &[f32]) -> LogSumExp = log_sum_exp::state;
    lse_push(state: &mut BlockState, x: &[f32]) = log_sum_exp::push;
    lse_value(state: &LogSumExp) -> f32 = log_sum_exp::value;
    lse_loss(state: &LogSumExp, x_t: f32) -> f32 = log_sum_exp::loss;
    softmax_of(x: &[f32], out: &mut [f32]) = softmax::softmax;
    softmax_of_in_place(x: &mut [f32]) = softmax::softmax_in_place;
    log_softmax_of(x: &[f32], out: &mut [f32]) = softmax::log_softmax;
    log_softmax_of_in_place(x: &mut [f32]) = softmax::log_softmax_in_place;
    softmaxes(x: &[f32], layout: Layout, out: &mut [f32]) = softmax::softmaxes;
    log_softmaxes(x: &[f32], layout: Layout, out: &mut [f32]) = softmax::log_softmaxes;

    label_loss(x: &[f32], label: usize) -> f32 = label::loss;
    label_losses(x: &[f32], layout: Layout, labels: &[usize], out: &mut [f32]) = label::losses;
    weighted_label_losses(
        x: &[f32], layout: Layout, rows: LabelRows<'_>, extras: Extras, out: &mut [f32]
    ) = label::weighted_losses;
    weighted_label_loss(state: &LogSumExp, x_t: f32, rows: LabelRows<'_>, extras: Extras) -> f32
        = label::weighted_loss_of_state;
    label_gradients(
        x: &[f32], classes: usize, rows: LabelRows<'_>, extras: Extras, losses: &mut [f32],
        out: &mut [f32]
    ) = label::gradients;
    label_gradients_in_place(
        x: &mut [f32], classes: usize, rows: LabelRows<'_>, extras: Extras, losses: &mut [f32]
    ) = label::gradients_in_place;

    class_terms_in_place(y: &mut [f32], terms: ClassTerms<'_>) = distribution::class_terms_in_place;
    ln_1p_sum(state: &LogSumExp) -> f32 = log_sum_exp::ln_1p_sum;
    losses_in_lanes(
        x: &[f32], layout: Layout, rows: ClassRows<'_>, extras: Extras, out: &mut [f32]
    ) = distribution::losses_in_lanes;
    gradients_in_lanes(
        x: &mut [f32], layout: Layout, rows: ClassRows<'_>, extras: Extras, factor: f32,
        losses: &mut [f32]
    ) = distribution::gradients_in_lanes;
    target_loss_sum(sum: &mut TreeSum, x: &[f32], v: &[f32], state: &LogSumExp, gamma: f32)
        = distribution::loss_sum;
    target_slope_sum(sum: &mut TreeSum, x: &[f32], v: &[f32], state: &LogSumExp, gamma: f32)
        = distribution::slope_sum;
    target_gradient_in_place(x: &mut [f32], v: &[f32], state: &LogSumExp, terms: GradientTerms)
        = distribution::gradient_in_place;

    capped_max(m: f32, x: &[f32], transform: &LogitTransform) -> f32 = logits::capped_max;
    transformed(x: &[f32], transform: &LogitTransform, shift: f32, out: &mut [f32])
        = logits::transformed;
    transformed_rows(
        x: &mut [f32], classes: usize, transform: &LogitTransform, offsets: &mut [f32]
    ) = logits::transformed_rows;
    transformed_tile(
        x: &[f32], layout: Layout, transform: &LogitTransform, tile: &mut [f32],
        offsets: &mut [f32]
    ) = logits::transformed_tile;
    tile_back_in_place(
        x: &mut [f32], classes: usize, transform: &LogitTransform, tile: &[f32], n_rows: usize
    ) = logits::tile_back_in_place;
    transform_back_in_place(x: &mut [f32], gradient: &[f32], transform: &LogitTransform)
        = logits::back_in_place;

    binary_losses(x: &[f32], y: &[f32], out: &mut [f32]) = binary::losses;
    weighted_binary_losses(
        elements: Elements<'_>, terms: &BinaryTerms, transform: &LogitTransform, out: &mut [f32]
    ) = binary::weighted_losses;
    binary_gradients(
        elements: Elements<'_>, terms: &BinaryTerms, transform: &LogitTransform, out: &mut [f32]
    ) = binary::gradients;
    clipped_binary_losses(p: &[f32], y: &[f32], range: ClipRange, out: &mut [f32])
        = binary::clipped_losses;
    weighted_clipped_binary_losses(
        elements: Elements<'_>, terms: &BinaryTerms, range: ClipRange, out: &mut [f32]
    ) = binary::weighted_clipped_losses;
    clipped_binary_gradients(
        elements: Elements<'_>, terms: &BinaryTerms, range: ClipRange, out: &mut [f32]
    ) = binary::clipped_gradients;

    clipped_label_losses(p: &mut [f32], range: ClipRange, gamma: f32)
        = clipped::label_losses_in_place;
    clipped_losses_in_lanes(
        p: &[f32], layout: Layout, rows: ClassRows<'_>, range: ClipRange, gamma: f32,
        out: &mut [f32]
    ) = clipped::losses_in_lanes;
    clipped_loss_sum(
        sum: &mut TreeSum, p: &[f32], v: &[f32], range: ClipRange, gamma: f32, hides: bool
    ) = clipped::loss_sum;
    clipped_gradient_in_place(
        p: &mut [f32], v: &[f32], range: ClipRange, gamma: f32, scale: f32, hides: bool
    ) = clipped::gradient_in_place;
    max(m: f32, p: &[f32]) -> f32 = clipped::max;
    normalizer_push(n: &mut Normalizer, p: &[f32]) = clipped::normalizer_push;
    normalized_label_losses(p: &mut [f32], n: &Normalizer, range: ClipRange, gamma: f32)
        = clipped::normalized_losses_in_place;
    normalized_loss_sum(
        sum: &mut TreeSum, p: &[f32], v: &[f32], n: &Normalizer, range: ClipRange, gamma: f32
    ) = clipped::normalized_loss_sum;
    normalized_slope_sum(
        sum: &mut TreeSum, p: &[f32], v: &[f32], n: &Normalizer, range: ClipRange, gamma: f32
    ) = clipped::normalized_slope_sum;
    normalized_gradient_in_place(
        p: &mut [f32], v: &[f32], n: &Normalizer, range: ClipRange, gamma: f32,
        total_and_scale: [f32; 2]
    ) = clipped::normalized_gradient_in_place;

    entropy_sum(sum: &mut TreeSum, p: &[f32]) = divergence::entropy_sum;
    kl_sum(sum: &mut TreeSum, p: &[f32], q: &[f32]) = divergence::kl_sum;
    js_sum(sum: &mut TreeSum, p: &[f32], q: &[f32]) = divergence::js_sum;
    tempered_push(row: &mut Tempered, x: &[f32]) = distillation::push;
    distillation_sum(
        sum: &mut TreeSum, x: &[f32], y: &[f32], student: &Tempered, teacher: &Tempered
    ) = distillation::loss_sum;
    distillation_gradient(
        x: &[f32], y: &[f32], student: &Tempered, teacher: &Tempered, factor: f32, out: &mut [f32]
    ) = distillation::gradient;

    statistics_push(state: &mut RowState, x: &[f32]) = statistics::push;
    statistics_value(state: &RowState) -> RowStatistics = statistics::value;

    #[cfg(test)]
    exp_in_place(x: &mut [f32]) = elementary::exp_in_place;
    #[cfg(test)]
    exp_in_turn_in_place(x: &mut [f32]) = elementary::exp_in_turn_in_place;
    #[cfg(test)]
    ln_in_place(x: &mut [f32]) = elementary::ln_in_place;
    #[cfg(test)]
    ln_of_normal_in_place(x: &mut [f32]) = elementary::ln_of_normal_in_place;
    #[cfg(test)]
    ln_1p_in_place(x: &mut [f32]) = elementary::ln_1p_in_place;
    #[cfg(test)]
    ln_1p_of_fraction_in_place(x: &mut [f32]) = elementary::ln_1p_of_fraction_in_place;
    #[cfg(test)]
    ln_1p_inside_in_place(x: &mut [f32]) = elementary::ln_1p_inside_in_place;
    #[cfg(test)]
    tanh_in_place(x: &mut [f32]) = elementary::tanh_in_place;
}
