//! One lane, plain Rust: for targets without SIMD, and to compare the others with.

use super::portable::Portable;
use crate::simd::{Part, Simd, VIRTUAL_LANES, Vector};

/// Every CPU can do this.
#[derive(Clone, Copy)]
pub(crate) struct Scalar;

impl Vector for Scalar {
    type F32 = f32;
    type I32 = i32;
    type Mask = bool;
    const LANES: usize = 1;
    const FUSED: bool = false;
    #[inline(always)]
    fn splat(self, x: f32) -> f32 {
        x
    }
    #[inline(always)]
    fn load(self, x: &[f32], fill: f32) -> f32 {
        match x.first() {
            Some(&x) => x,
            None => fill,
        }
    }
    #[inline(always)]
    fn store(self, v: f32, out: &mut [f32]) {
        if let Some(out) = out.first_mut() {
            *out = v;
        }
    }
    #[inline(always)]
    fn add(self, a: f32, b: f32) -> f32 {
        a + b
    }
    #[inline(always)]
    fn sub(self, a: f32, b: f32) -> f32 {
        a - b
    }
    #[inline(always)]
    fn mul(self, a: f32, b: f32) -> f32 {
        a * b
    }
    #[inline(always)]
    fn div(self, a: f32, b: f32) -> f32 {
        a / b
    }
    #[inline(always)]
    fn mul_add(self, a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
    #[inline(always)]
    fn max(self, a: f32, b: f32) -> f32 {
        if a > b { a } else { b }
    }
    #[inline(always)]
    fn lt(self, a: f32, b: f32) -> bool {
        a < b
    }
    #[inline(always)]
    fn eq(self, a: f32, b: f32) -> bool {
        a == b
    }
    #[inline(always)]
    fn select(self, m: bool, a: f32, b: f32) -> f32 {
        if m { a } else { b }
    }
    #[inline(always)]
    fn all(self, m: bool) -> bool {
        m
    }
    #[inline(always)]
    fn splat_i32(self, x: i32) -> i32 {
        x
    }
    #[inline(always)]
    fn bits(self, v: f32) -> i32 {
        v.to_bits().cast_signed()
    }
    #[inline(always)]
    fn with_bits(self, v: i32) -> f32 {
        f32::from_bits(v.cast_unsigned())
    }
    #[inline(always)]
    fn sub_i32(self, a: i32, b: i32) -> i32 {
        a.wrapping_sub(b)
    }
    #[inline(always)]
    fn shl_23(self, v: i32) -> i32 {
        v << 23
    }
    #[inline(always)]
    fn shr_23(self, v: i32) -> i32 {
        v >> 23
    }
    #[inline(always)]
    fn to_f32(self, v: i32) -> f32 {
        v as f32
    }
}

impl Simd for Scalar {
    type Row = [f32; VIRTUAL_LANES];
    // Where the build has SIMD, compilers vectorize the loops over all lanes to three times the speed.
    const ONE_BY_ONE: bool = !Portable::PRESENT;
    // It takes 1.7 KiB of flash and saves 4 of 10 instructions (the loss of ten classes, Cortex-M4F); without an FPU 2 KiB
    // for 4 of 100 (M0).
    const SHORT_ROWS: bool = cfg!(short_rows);

    // Never inlined: plain code needs no target features, and flash is scarce where it runs.
    #[inline(never)]
    fn shared<P: Part<Self>>(self, part: P) -> P::Output {
        part.run(self)
    }
    #[inline(always)]
    fn row(self, x: f32) -> Self::Row {
        [x; VIRTUAL_LANES]
    }
    #[inline(always)]
    fn load_strided(self, x: &[f32], _stride: usize) -> f32 {
        self.load(x, 0.0)
    }
    #[inline(always)]
    fn store_strided(self, v: f32, out: &mut [f32], _stride: usize) {
        self.store(v, out);
    }
    #[inline(always)]
    fn first(self, v: f32) -> f32 {
        v
    }
    #[inline(always)]
    fn swap_halves(self, v: f32, _width: usize) -> f32 {
        v
    }
}
