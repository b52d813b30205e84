//! Eight lanes of AVX2 with fused multiply-add, chosen at run time.
#![allow(unsafe_code, reason = "intrinsics of a run-time detected instruction set")]

use core::arch::asm;
#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

use crate::simd::{Part, Simd, VIRTUAL_LANES, Vector};

/// Proof that this CPU, and the code that runs, have AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The features are the proof: safe code can call this only where they are enabled.
    #[target_feature(enable = "avx2,fma")]
    pub(crate) const fn new() -> Self {
        Avx2(())
    }
}

const LANES: usize = 8;

/// `LANES` ones, then `LANES` zeros: the window that starts at `LANES - n` has `n` ones.
const TAIL: [i32; 2 * LANES] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// The mask of the first `n` lanes; of all where `n` is larger.
#[inline(always)]
fn first_lanes(n: usize) -> [i32; LANES] {
    match TAIL.get(LANES.saturating_sub(n)..).and_then(<[i32]>::first_chunk) {
        Some(mask) => *mask,
        None => [0; LANES],
    }
}

/// All four at one point of the program: an `asm!` without an instruction that may have changed them.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn in_registers([mut a, mut b, mut c, mut d]: [__m256; 4]) -> [__m256; 4] {
    // SAFETY: it does nothing.
    unsafe {
        asm!("/* {} {} {} {} */", inout(ymm_reg) a, inout(ymm_reg) b, inout(ymm_reg) c, inout(ymm_reg) d,
            options(pure, nomem, nostack, preserves_flags));
    }
    [a, b, c, d]
}

/// One intrinsic in a method of [`Avx2`].
macro_rules! avx2 {
    ($($call:tt)*) => {
        // SAFETY: an Avx2 is made only by Avx2::new, in code compiled with AVX2 and FMA, which
        // dispatch.rs enters only for a Backend made after cpuid and xgetbv reported both.
        unsafe { $($call)* }
    };
}

impl Vector for Avx2 {
    type F32 = __m256;
    type I32 = __m256i;
    type Mask = __m256;
    const LANES: usize = LANES;
    const FUSED: bool = true;
    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        avx2!(_mm256_set1_ps(x))
    }
    #[inline(always)]
    fn load(self, x: &[f32], fill: f32) -> __m256 {
        match x.first_chunk::<LANES>() {
            // SAFETY: the pointer is to LANES f32, and no alignment is needed.
            Some(x) => unsafe { _mm256_loadu_ps(x.as_ptr()) },
            // Masked in all lanes, a load from where no memory is takes hundreds of cycles.
            None if x.is_empty() => self.splat(fill),
            None => {
                let mask = first_lanes(x.len());
                // SAFETY: the pointer is to LANES i32, and no alignment is needed.
                let mask = unsafe { _mm256_loadu_si256(mask.as_ptr().cast()) };
                // SAFETY: lanes at and behind x.len() are masked, and a masked lane is not read.
                let x = unsafe { _mm256_maskload_ps(x.as_ptr(), mask) };
                self.select(self.with_bits(mask), x, self.splat(fill))
            }
        }
    }
    #[inline(always)]
    fn store(self, v: __m256, out: &mut [f32]) {
        match out.first_chunk_mut::<LANES>() {
            // SAFETY: the pointer is to LANES f32, and no alignment is needed.
            Some(out) => unsafe { _mm256_storeu_ps(out.as_mut_ptr(), v) },
            None => {
                let mask = first_lanes(out.len());
                // SAFETY: the pointer is to LANES i32, and no alignment is needed.
                let mask = unsafe { _mm256_loadu_si256(mask.as_ptr().cast()) };
                // SAFETY: lanes at and behind out.len() are masked, and a masked lane is not written.
                unsafe { _mm256_maskstore_ps(out.as_mut_ptr(), mask, v) }
            }
        }
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_div_ps(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        avx2!(_mm256_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_max_ps(a, b))
    }
    // The second one where one is NaN.
    #[inline(always)]
    fn at_least(self, lowest: __m256, a: __m256) -> __m256 {
        avx2!(_mm256_max_ps(lowest, a))
    }
    #[inline(always)]
    fn lt(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_cmp_ps::<_CMP_LT_OQ>(a, b))
    }
    #[inline(always)]
    fn eq(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_cmp_ps::<_CMP_EQ_OQ>(a, b))
    }
    #[inline(always)]
    fn select(self, m: __m256, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_blendv_ps(b, a, m))
    }
    // One operation, where a selection takes two or three.
    #[inline(always)]
    fn zero_where_lt(self, a: __m256, b: __m256, v: __m256) -> __m256 {
        let less = self.lt(a, b);
        avx2!(_mm256_andnot_ps(less, v))
    }
    #[inline(always)]
    fn minus_abs(self, v: __m256) -> __m256 {
        avx2!(_mm256_or_ps(v, self.splat(-0.0)))
    }
    #[inline(always)]
    fn all(self, m: __m256) -> bool {
        avx2!(_mm256_movemask_ps(m)) == 0xff
    }
    #[inline(always)]
    fn splat_i32(self, x: i32) -> __m256i {
        avx2!(_mm256_set1_epi32(x))
    }
    #[inline(always)]
    fn bits(self, v: __m256) -> __m256i {
        avx2!(_mm256_castps_si256(v))
    }
    #[inline(always)]
    fn with_bits(self, v: __m256i) -> __m256 {
        avx2!(_mm256_castsi256_ps(v))
    }
    #[inline(always)]
    fn sub_i32(self, a: __m256i, b: __m256i) -> __m256i {
        avx2!(_mm256_sub_epi32(a, b))
    }
    #[inline(always)]
    fn shl_23(self, v: __m256i) -> __m256i {
        avx2!(_mm256_slli_epi32::<23>(v))
    }
    #[inline(always)]
    fn shr_23(self, v: __m256i) -> __m256i {
        avx2!(_mm256_srai_epi32::<23>(v))
    }
    #[inline(always)]
    fn to_f32(self, v: __m256i) -> __m256 {
        avx2!(_mm256_cvtepi32_ps(v))
    }
}

impl Simd for Avx2 {
    type Row = [__m256; VIRTUAL_LANES / LANES];
    const IN_TURN: bool = true;
    const IN_TWO_STEPS: bool = true;

    #[inline(always)]
    fn shared<P: Part<Self>>(self, part: P) -> P::Output {
        part.run(self)
    }
    #[inline(always)]
    fn row(self, x: __m256) -> Self::Row {
        [x; VIRTUAL_LANES / LANES]
    }
    #[inline(always)]
    fn load_strided(self, x: &[f32], stride: usize) -> __m256 {
        if (LANES - 1).checked_mul(stride).is_some_and(|last| last < x.len()) {
            // SAFETY: i is at most LANES - 1, and element (LANES - 1) * stride was found inside x.
            let at = |i: usize| unsafe { *x.get_unchecked(i * stride) };
            avx2!(_mm256_set_ps(at(7), at(6), at(5), at(4), at(3), at(2), at(1), at(0)))
        } else {
            let mut lanes = [0.0; LANES];
            for (lane, x) in lanes.iter_mut().zip(x.iter().step_by(stride.max(1))) {
                *lane = *x;
            }
            self.load(&lanes, 0.0)
        }
    }
    #[inline(always)]
    fn store_strided(self, v: __m256, out: &mut [f32], stride: usize) {
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
    fn single(self, x: f32) -> __m256 {
        avx2!(_mm256_castps128_ps256(_mm_set_ss(x)))
    }
    #[inline(always)]
    fn first(self, v: __m256) -> f32 {
        avx2!(_mm256_cvtss_f32(v))
    }
    #[inline(always)]
    fn swap_halves(self, v: __m256, width: usize) -> __m256 {
        match width {
            8 => avx2!(_mm256_permute2f128_ps::<0x01>(v, v)),
            4 => avx2!(_mm256_permute_ps::<0b01_00_11_10>(v)),
            _ => avx2!(_mm256_permute_ps::<0b10_11_00_01>(v)),
        }
    }
    #[inline(always)]
    fn together(self, four: [__m256; 4]) -> [__m256; 4] {
        avx2!(in_registers(four))
    }
}
