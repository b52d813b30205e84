//! The operations that kernels may use, one trait for every instruction set.
//!
//! A value of a type that implements [`Vector`] is a token: holding it proves that the CPU has the
//! instructions, so every operation is safe to call. Each is defined exactly (IEEE 754, round to
//! nearest even, nothing contracted or reordered), so that two backends that agree on
//! [`Vector::mul_add`] give the same bits.

mod in_turn;

pub(crate) use in_turn::InTurn;

/// Virtual lanes of the summation tree: element `i` of a block belongs to lane `i % 32` everywhere.
pub(crate) const VIRTUAL_LANES: usize = 32;

/// A part of a kernel that several kernels have in common: a function and its arguments.
///
/// `run` is called by [`Simd::shared`] alone.
pub(crate) trait Part<S: Simd> {
    type Output;

    fn run(self, s: S) -> Self::Output;
}

/// A vector of `LANES` f32 and the operations on each of its lanes.
///
/// Every method, and every function that is generic over it, carries `#[inline(always)]`:
/// only then does it take on the target features of the wrapper in `dispatch.rs` that calls it.
pub(crate) trait Vector: Copy {
    /// `LANES` f32.
    type F32: Copy;
    /// `LANES` i32, the bit patterns of an `F32`.
    type I32: Copy;
    /// `LANES` truth values.
    type Mask: Copy;

    /// f32 in a vector; of a [`Simd`] it divides [`VIRTUAL_LANES`].
    const LANES: usize;
    /// Whether [`mul_add`](Vector::mul_add) rounds once: the class that gives the same bits.
    const FUSED: bool;

    fn splat(self, x: f32) -> Self::F32;
    /// The first `LANES` elements of `x`; where `x` is shorter, `fill`.
    fn load(self, x: &[f32], fill: f32) -> Self::F32;
    /// Stores lanes to the first `LANES` elements of `out`, or to all of a shorter `out`.
    fn store(self, v: Self::F32, out: &mut [f32]);

    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b + c`: one rounding on every backend of the fused class, two on every other.
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// The larger one; either of two zeros; unspecified where one is NaN.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;

    /// `a < b`; false where one is NaN.
    fn lt(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a == b`; false where one is NaN.
    fn eq(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a` where the mask is true, else `b`.
    fn select(self, m: Self::Mask, a: Self::F32, b: Self::F32) -> Self::F32;
    /// Whether the mask is true in every lane.
    fn all(self, m: Self::Mask) -> bool;
    /// 0 where `a < b`, else `v`.
    #[inline(always)]
    fn zero_where_lt(self, a: Self::F32, b: Self::F32, v: Self::F32) -> Self::F32 {
        self.select(self.lt(a, b), self.splat(0.0), v)
    }
    /// `lowest` where `a` is less, else `a`, also where that is NaN.
    #[inline(always)]
    fn at_least(self, lowest: Self::F32, a: Self::F32) -> Self::F32 {
        self.select(self.lt(a, lowest), lowest, a)
    }
    /// `-|v|`.
    #[inline(always)]
    fn minus_abs(self, v: Self::F32) -> Self::F32 {
        self.select(self.lt(v, self.splat(0.0)), v, self.sub(self.splat(0.0), v))
    }

    fn splat_i32(self, x: i32) -> Self::I32;
    /// The bit patterns.
    fn bits(self, v: Self::F32) -> Self::I32;
    /// The floats that have these bit patterns.
    fn with_bits(self, v: Self::I32) -> Self::F32;
    /// `a - b`, wrapping.
    fn sub_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// Into the exponent's place: `v << 23`.
    fn shl_23(self, v: Self::I32) -> Self::I32;
    /// Out of the exponent's place: `v >> 23`, the sign filling up.
    fn shr_23(self, v: Self::I32) -> Self::I32;
    /// The values as f32, rounded to nearest even.
    fn to_f32(self, v: Self::I32) -> Self::F32;
}

/// One instruction set: a vector and what is done across its lanes.
pub(crate) trait Simd: Vector {
    /// The registers that hold the 32 virtual lanes: register `j` has lanes `j * LANES ..`.
    type Row: Copy + AsRef<[Self::F32]> + AsMut<[Self::F32]>;

    /// Whether the virtual lanes of a block are taken one after another, in a fraction of the code: where
    /// there is nothing that could take several at once.
    const ONE_BY_ONE: bool = false;

    /// Whether a row of a few elements has code of its own (`kernel/short_row.rs`).
    const SHORT_ROWS: bool = true;

    /// Whether an `F32` is one register of the CPU. Where it is several there are few, and what would stay in
    /// them goes to memory and back.
    const ONE_REGISTER: bool = true;

    /// Whether exponentials in turn, and what is done beside them, were measured to be faster (`kernel/exp_sum.rs`).
    const IN_TURN: bool = false;

    /// Whether exponentials of columns were measured to be faster in two steps, half done in memory between them
    /// (`kernel/rows_in_lanes.rs`).
    const IN_TWO_STEPS: bool = false;

    /// Runs a part. Where no instruction set is switched on for it, all callers share one copy of its code.
    fn shared<P: Part<Self>>(self, part: P) -> P::Output;
    /// A row with `x` in every register.
    fn row(self, x: Self::F32) -> Self::Row;
    /// Element `i * stride` of `x` in lane `i`; where `x` is shorter, 0.
    fn load_strided(self, x: &[f32], stride: usize) -> Self::F32;
    /// Stores lane `i` to element `i * stride` of `out`; lanes beyond its end are dropped.
    fn store_strided(self, v: Self::F32, out: &mut [f32], stride: usize);
    /// `x` in lane 0; what the other lanes hold is unspecified.
    #[inline(always)]
    fn single(self, x: f32) -> Self::F32 {
        self.splat(x)
    }
    /// Lane 0.
    fn first(self, v: Self::F32) -> f32;
    /// Swaps the halves of each `width` lanes, a power of two from 2 to `LANES`.
    fn swap_halves(self, v: Self::F32, width: usize) -> Self::F32;
    /// The same four. Where an instruction set has enough registers for it, a compiler has to have all four before what
    /// uses one of them; it would order the operations anew.
    #[inline(always)]
    fn together(self, four: [Self::F32; 4]) -> [Self::F32; 4] {
        four
    }
}
