//! Eight lanes through `wide`: SSE2, NEON, wasm simd128, and AVX2 or AVX-512 where the whole build
//! enables them. `wide` chooses at compile time.

use wide::bytemuck::cast;
use wide::{f32x8, i32x8};

use crate::simd::{Part, Simd, VIRTUAL_LANES, Vector};

/// What the whole build was compiled for.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Portable {
    /// Whether the build has SIMD for it. Where not, `wide` would emulate eight lanes at two to three
    /// times the cost of scalar code.
    pub(crate) const PRESENT: bool = cfg!(any(
        target_feature = "sse2",
        all(target_arch = "aarch64", target_feature = "neon"),
        target_feature = "simd128"
    ));
}

const LANES: usize = 8;

impl Vector for Portable {
    type F32 = f32x8;
    type I32 = i32x8;
    type Mask = f32x8;
    const LANES: usize = LANES;
    const FUSED: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));
    #[inline(always)]
    fn splat(self, x: f32) -> f32x8 {
        f32x8::splat(x)
    }
    #[inline(always)]
    fn load(self, x: &[f32], fill: f32) -> f32x8 {
        match x.first_chunk::<LANES>() {
            Some(&x) => f32x8::new(x),
            None => {
                let mut lanes = [fill; LANES];
                for (lane, &x) in lanes.iter_mut().zip(x) {
                    *lane = x;
                }
                f32x8::new(lanes)
            }
        }
    }
    #[inline(always)]
    fn store(self, v: f32x8, out: &mut [f32]) {
        match out.first_chunk_mut::<LANES>() {
            Some(out) => *out = v.to_array(),
            None => {
                for (out, lane) in out.iter_mut().zip(v.to_array()) {
                    *out = lane;
                }
            }
        }
    }
    #[inline(always)]
    fn add(self, a: f32x8, b: f32x8) -> f32x8 {
        a + b
    }
    #[inline(always)]
    fn sub(self, a: f32x8, b: f32x8) -> f32x8 {
        a - b
    }
    #[inline(always)]
    fn mul(self, a: f32x8, b: f32x8) -> f32x8 {
        a * b
    }
    #[inline(always)]
    fn div(self, a: f32x8, b: f32x8) -> f32x8 {
        a / b
    }
    #[inline(always)]
    fn mul_add(self, a: f32x8, b: f32x8, c: f32x8) -> f32x8 {
        a.mul_add(b, c)
    }
    #[inline(always)]
    fn max(self, a: f32x8, b: f32x8) -> f32x8 {
        a.fast_max(b)
    }
    // Where one is NaN, the second one on x86, the first as WebAssembly, NaN on NEON.
    #[inline(always)]
    fn at_least(self, lowest: f32x8, a: f32x8) -> f32x8 {
        if cfg!(target_arch = "wasm32") { a.fast_max(lowest) } else { lowest.fast_max(a) }
    }
    #[inline(always)]
    fn lt(self, a: f32x8, b: f32x8) -> f32x8 {
        a.simd_lt(b)
    }
    #[inline(always)]
    fn eq(self, a: f32x8, b: f32x8) -> f32x8 {
        a.simd_eq(b)
    }
    #[inline(always)]
    fn select(self, m: f32x8, a: f32x8, b: f32x8) -> f32x8 {
        m.select(a, b)
    }
    #[inline(always)]
    fn minus_abs(self, v: f32x8) -> f32x8 {
        v | f32x8::splat(-0.0)
    }
    #[inline(always)]
    fn all(self, m: f32x8) -> bool {
        m.all()
    }
    #[inline(always)]
    fn splat_i32(self, x: i32) -> i32x8 {
        i32x8::splat(x)
    }
    #[inline(always)]
    fn bits(self, v: f32x8) -> i32x8 {
        cast(v)
    }
    #[inline(always)]
    fn with_bits(self, v: i32x8) -> f32x8 {
        cast(v)
    }
    #[inline(always)]
    fn sub_i32(self, a: i32x8, b: i32x8) -> i32x8 {
        a - b
    }
    #[inline(always)]
    fn shl_23(self, v: i32x8) -> i32x8 {
        v << 23_u32
    }
    #[inline(always)]
    fn shr_23(self, v: i32x8) -> i32x8 {
        v >> 23_u32
    }
    #[inline(always)]
    fn to_f32(self, v: i32x8) -> f32x8 {
        v.round_float()
    }
}

impl Simd for Portable {
    type Row = [f32x8; VIRTUAL_LANES / LANES];
    const ONE_REGISTER: bool = false; // on SSE2, NEON and WebAssembly two
    // Measured on SSE2; the code that node makes for WebAssembly takes 1.25 times as long in two steps.
    const IN_TURN: bool = cfg!(any(target_arch = "x86", target_arch = "x86_64"));
    const IN_TWO_STEPS: bool = Self::IN_TURN;

    #[inline(always)]
    fn shared<P: Part<Self>>(self, part: P) -> P::Output {
        part.run(self)
    }
    #[inline(always)]
    fn row(self, x: f32x8) -> Self::Row {
        [x; VIRTUAL_LANES / LANES]
    }
    #[inline(always)]
    fn load_strided(self, x: &[f32], stride: usize) -> f32x8 {
        let at = |i: usize| x.get(i.wrapping_mul(stride)).copied().unwrap_or(0.0);
        f32x8::new([at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)])
    }
    #[inline(always)]
    fn store_strided(self, v: f32x8, out: &mut [f32], stride: usize) {
        for (out, lane) in out.iter_mut().step_by(stride.max(1)).zip(v.to_array()) {
            *out = lane;
        }
    }
    #[inline(always)]
    fn first(self, v: f32x8) -> f32 {
        v.to_array()[0]
    }
    #[inline(always)]
    fn swap_halves(self, v: f32x8, width: usize) -> f32x8 {
        let [a0, a1, a2, a3, a4, a5, a6, a7] = v.to_array();
        f32x8::new(match width {
            8 => [a4, a5, a6, a7, a0, a1, a2, a3],
            4 => [a2, a3, a0, a1, a6, a7, a4, a5],
            _ => [a1, a0, a3, a2, a5, a4, a7, a6],
        })
    }
}
