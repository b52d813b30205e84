//! Four vectors as one, an operation of all of them before the next one.
//!
//! Most operations of a function wait for the one before them. A CPU takes operations up in the order of the program, as many
//! as its schedulers hold: of four such chains one after another it sees little more than one at a time, of four in turn all.

use super::{Simd, Vector};

/// Four vectors of `S`, with the bits that each has by itself.
#[derive(Clone, Copy)]
pub(crate) struct InTurn<S>(pub(crate) S);

/// `operation` on the first of each argument, on the second, and so on.
macro_rules! in_turn {
    ($s:ident.$operation:ident($($arg:ident),+)) => {
        [
            $s.0.$operation($($arg[0]),+),
            $s.0.$operation($($arg[1]),+),
            $s.0.$operation($($arg[2]),+),
            $s.0.$operation($($arg[3]),+),
        ]
    };
}

impl<S: Simd> Vector for InTurn<S> {
    type F32 = [S::F32; 4];
    type I32 = [S::I32; 4];
    type Mask = [S::Mask; 4];

    const LANES: usize = 4 * S::LANES;
    const FUSED: bool = S::FUSED;

    #[inline(always)]
    fn splat(self, x: f32) -> [S::F32; 4] {
        [self.0.splat(x); 4]
    }
    #[inline(always)]
    fn load(self, x: &[f32], fill: f32) -> [S::F32; 4] {
        let mut vectors = self.splat(fill);
        for (vector, x) in vectors.iter_mut().zip(x.chunks(S::LANES)) {
            *vector = self.0.load(x, fill);
        }
        vectors
    }
    #[inline(always)]
    fn store(self, v: [S::F32; 4], out: &mut [f32]) {
        for (v, out) in v.into_iter().zip(out.chunks_mut(S::LANES)) {
            self.0.store(v, out);
        }
    }

    #[inline(always)]
    fn add(self, a: [S::F32; 4], b: [S::F32; 4]) -> [S::F32; 4] {
        self.0.together(in_turn!(self.add(a, b)))
    }
    #[inline(always)]
    fn sub(self, a: [S::F32; 4], b: [S::F32; 4]) -> [S::F32; 4] {
        self.0.together(in_turn!(self.sub(a, b)))
    }
    #[inline(always)]
    fn mul(self, a: [S::F32; 4], b: [S::F32; 4]) -> [S::F32; 4] {
        self.0.together(in_turn!(self.mul(a, b)))
    }
    #[inline(always)]
    fn div(self, a: [S::F32; 4], b: [S::F32; 4]) -> [S::F32; 4] {
        self.0.together(in_turn!(self.div(a, b)))
    }
    #[inline(always)]
    fn mul_add(self, a: [S::F32; 4], b: [S::F32; 4], c: [S::F32; 4]) -> [S::F32; 4] {
        self.0.together(in_turn!(self.mul_add(a, b, c)))
    }
    #[inline(always)]
    fn max(self, a: [S::F32; 4], b: [S::F32; 4]) -> [S::F32; 4] {
        self.0.together(in_turn!(self.max(a, b)))
    }

    #[inline(always)]
    fn lt(self, a: [S::F32; 4], b: [S::F32; 4]) -> [S::Mask; 4] {
        in_turn!(self.lt(a, b))
    }
    #[inline(always)]
    fn eq(self, a: [S::F32; 4], b: [S::F32; 4]) -> [S::Mask; 4] {
        in_turn!(self.eq(a, b))
    }
    #[inline(always)]
    fn select(self, m: [S::Mask; 4], a: [S::F32; 4], b: [S::F32; 4]) -> [S::F32; 4] {
        self.0.together(in_turn!(self.select(m, a, b)))
    }
    #[inline(always)]
    fn all(self, m: [S::Mask; 4]) -> bool {
        self.0.all(m[0]) && self.0.all(m[1]) && self.0.all(m[2]) && self.0.all(m[3])
    }
    #[inline(always)]
    fn zero_where_lt(self, a: [S::F32; 4], b: [S::F32; 4], v: [S::F32; 4]) -> [S::F32; 4] {
        self.0.together(in_turn!(self.zero_where_lt(a, b, v)))
    }
    #[inline(always)]
    fn minus_abs(self, v: [S::F32; 4]) -> [S::F32; 4] {
        self.0.together(in_turn!(self.minus_abs(v)))
    }
    #[inline(always)]
    fn at_least(self, lowest: [S::F32; 4], a: [S::F32; 4]) -> [S::F32; 4] {
        self.0.together(in_turn!(self.at_least(lowest, a)))
    }

    #[inline(always)]
    fn splat_i32(self, x: i32) -> [S::I32; 4] {
        [self.0.splat_i32(x); 4]
    }
    #[inline(always)]
    fn bits(self, v: [S::F32; 4]) -> [S::I32; 4] {
        in_turn!(self.bits(v))
    }
    #[inline(always)]
    fn with_bits(self, v: [S::I32; 4]) -> [S::F32; 4] {
        in_turn!(self.with_bits(v))
    }
    #[inline(always)]
    fn sub_i32(self, a: [S::I32; 4], b: [S::I32; 4]) -> [S::I32; 4] {
        in_turn!(self.sub_i32(a, b))
    }
    #[inline(always)]
    fn shl_23(self, v: [S::I32; 4]) -> [S::I32; 4] {
        in_turn!(self.shl_23(v))
    }
    #[inline(always)]
    fn shr_23(self, v: [S::I32; 4]) -> [S::I32; 4] {
        in_turn!(self.shr_23(v))
    }
    #[inline(always)]
    fn to_f32(self, v: [S::I32; 4]) -> [S::F32; 4] {
        self.0.together(in_turn!(self.to_f32(v)))
    }
}
