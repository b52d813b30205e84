//! Sixteen lanes of AVX-512F, chosen at run time.
#![allow(unsafe_code, reason = "intrinsics of a run-time detected instruction set")]

use core::arch::asm;
#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

use crate::simd::{Part, Simd, VIRTUAL_LANES, Vector};

/// Proof that this CPU, and the code that runs, have AVX-512F.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// The feature is the proof: safe code can call this only where it is enabled.
    #[target_feature(enable = "avx512f")]
    pub(crate) const fn new() -> Self {
        Avx512(())
    }
}

const LANES: usize = 16;

/// The mask of the first `n` lanes, `n < LANES`.
#[inline(always)]
fn first_lanes(n: usize) -> __mmask16 {
    (1 << (n % LANES)) - 1
}

/// All four at one point of the program: an `asm!` without an instruction that may have changed them.
#[inline]
#[target_feature(enable = "avx512f")]
fn in_registers([mut a, mut b, mut c, mut d]: [__m512; 4]) -> [__m512; 4] {
    // SAFETY: it does nothing.
    unsafe {
        asm!("/* {} {} {} {} */", inout(zmm_reg) a, inout(zmm_reg) b, inout(zmm_reg) c, inout(zmm_reg) d,
            options(pure, nomem, nostack, preserves_flags));
    }
    [a, b, c, d]
}

/// One intrinsic in a method of [`Avx512`].
macro_rules! avx512 {
    ($($call:tt)*) => {
        // SAFETY: an Avx512 is made only by Avx512::new, in code compiled with AVX-512F, which
        // dispatch.rs enters only for a Backend made after cpuid and xgetbv reported it.
        unsafe { $($call)* }
    };
}

impl Vector for Avx512 {
    type F32 = __m512;
    type I32 = __m512i;
    type Mask = __mmask16;
    const LANES: usize = LANES;
    const FUSED: bool = true;
    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        avx512!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    fn load(self, x: &[f32], fill: f32) -> __m512 {
        match x.first_chunk::<LANES>() {
            // SAFETY: the pointer is to LANES f32, and no alignment is needed.
            Some(x) => unsafe { _mm512_loadu_ps(x.as_ptr()) },
            // Masked in all lanes, a load from where no memory is takes hundreds of cycles.
            None if x.is_empty() => self.splat(fill),
            None => {
                let fill = self.splat(fill);
                // SAFETY: lanes at and behind x.len() are masked, and a masked lane is not read.
                unsafe { _mm512_mask_loadu_ps(fill, first_lanes(x.len()), x.as_ptr()) }
            }
        }
    }
    #[inline(always)]
    fn store(self, v: __m512, out: &mut [f32]) {
        match out.first_chunk_mut::<LANES>() {
            // SAFETY: the pointer is to LANES f32, and no alignment is needed.
            Some(out) => unsafe { _mm512_storeu_ps(out.as_mut_ptr(), v) },
            // SAFETY: lanes at and behind out.len() are masked, and a masked lane is not written.
            None => unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), first_lanes(out.len()), v) },
        }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        avx512!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_max_ps(a, b))
    }
    // The second one where one is NaN.
    #[inline(always)]
    fn at_least(self, lowest: __m512, a: __m512) -> __m512 {
        avx512!(_mm512_max_ps(lowest, a))
    }
    #[inline(always)]
    fn lt(self, a: __m512, b: __m512) -> __mmask16 {
        avx512!(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b))
    }
    #[inline(always)]
    fn eq(self, a: __m512, b: __m512) -> __mmask16 {
        avx512!(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b))
    }
    #[inline(always)]
    fn select(self, m: __mmask16, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_mask_blend_ps(m, b, a))
    }
    // Compilers compare, then complement the mask; here the mask is that of the lanes that stay.
    #[inline(always)]
    fn zero_where_lt(self, a: __m512, b: __m512, v: __m512) -> __m512 {
        let stays = avx512!(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(a, b));
        avx512!(_mm512_maskz_mov_ps(stays, v))
    }
    #[inline(always)]
    fn minus_abs(self, v: __m512) -> __m512 {
        let sign = self.bits(self.splat(-0.0));
        self.with_bits(avx512!(_mm512_or_epi32(self.bits(v), sign)))
    }
    #[inline(always)]
    fn all(self, m: __mmask16) -> bool {
        m == 0xffff
    }
    #[inline(always)]
    fn splat_i32(self, x: i32) -> __m512i {
        avx512!(_mm512_set1_epi32(x))
    }
    #[inline(always)]
    fn bits(self, v: __m512) -> __m512i {
        avx512!(_mm512_castps_si512(v))
    }
    #[inline(always)]
    fn with_bits(self, v: __m512i) -> __m512 {
        avx512!(_mm512_castsi512_ps(v))
    }
    #[inline(always)]
    fn sub_i32(self, a: __m512i, b: __m512i) -> __m512i {
        avx512!(_mm512_sub_epi32(a, b))
    }
    #[inline(always)]
    fn shl_23(self, v: __m512i) -> __m512i {
        avx512!(_mm512_slli_epi32::<23>(v))
    }
    #[inline(always)]
    fn shr_23(self, v: __m512i) -> __m512i {
        avx512!(_mm512_srai_epi32::<23>(v))
    }
    #[inline(always)]
    fn to_f32(self, v: __m512i) -> __m512 {
        avx512!(_mm512_cvtepi32_ps(v))
    }
}

impl Simd for Avx512 {
    type Row = [__m512; VIRTUAL_LANES / LANES];
    const IN_TURN: bool = true;

    #[inline(always)]
    fn shared<P: Part<Self>>(self, part: P) -> P::Output {
        part.run(self)
    }
    #[inline(always)]
    fn row(self, x: __m512) -> Self::Row {
        [x; VIRTUAL_LANES / LANES]
    }
    #[inline(always)]
    fn load_strided(self, x: &[f32], stride: usize) -> __m512 {
        if (LANES - 1).checked_mul(stride).is_some_and(|last| last < x.len()) {
            // SAFETY: i is at most LANES - 1, and element (LANES - 1) * stride was found inside x.
            let at = |i: usize| unsafe { *x.get_unchecked(i * stride) };
            avx512!(_mm512_set_ps(
                at(15),
                at(14),
                at(13),
                at(12),
                at(11),
                at(10),
                at(9),
                at(8),
                at(7),
                at(6),
                at(5),
                at(4),
                at(3),
                at(2),
                at(1),
                at(0)
            ))
        } else {
            let mut lanes = [0.0; LANES];
            for (lane, x) in lanes.iter_mut().zip(x.iter().step_by(stride.max(1))) {
                *lane = *x;
            }
            self.load(&lanes, 0.0)
        }
    }
    #[inline(always)]
    fn store_strided(self, v: __m512, out: &mut [f32], stride: usize) {
        let mut lanes = [0.0; LANES];
        self.store(v, &mut lanes);
        if (LANES - 1).checked_mul(stride).is_some_and(|last| last < out.len()) {
            for (i, lane) in lanes.into_iter().enumerate() {
                // SAFETY: i is at most LANES - 1, and element (LANES - 1) * stride was found inside out.
                unsafe { *out.get_unchecked_mut(i * stride) = lane };
            }
        } else {
            for (out, lane) in out.iter_mut().step_by(stride.max(1)).zip(lanes) {
                *out = lane;
            }
        }
    }
    #[inline(always)]
    fn single(self, x: f32) -> __m512 {
        avx512!(_mm512_castps128_ps512(_mm_set_ss(x)))
    }
    #[inline(always)]
    fn first(self, v: __m512) -> f32 {
        avx512!(_mm512_cvtss_f32(v))
    }
    #[inline(always)]
    fn swap_halves(self, v: __m512, width: usize) -> __m512 {
        match width {
            16 => avx512!(_mm512_shuffle_f32x4::<0b01_00_11_10>(v, v)),
            8 => avx512!(_mm512_shuffle_f32x4::<0b10_11_00_01>(v, v)),
            4 => avx512!(_mm512_permute_ps::<0b01_00_11_10>(v)),
            _ => avx512!(_mm512_permute_ps::<0b10_11_00_01>(v)),
        }
    }
    #[inline(always)]
    fn together(self, four: [__m512; 4]) -> [__m512; 4] {
        avx512!(in_registers(four))
    }
}
