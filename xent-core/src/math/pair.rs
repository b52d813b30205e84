//! Double-float arithmetic: a number as the unevaluated sum of two f32, about 48 bits.
//!
//! It carries what would drift in f32: sums over blocks and the factors that rescale them. It needs
//! neither a fused multiply-add nor an f64 unit, so it gives the same bits on every CPU, and on a
//! Cortex-M4F it is a third of the code of software f64.
//!
//! The sums and products are exact in the absence of overflow and underflow; the states that use
//! them are scaled by 2^64 so that the low parts do not underflow.
//!
//! Source: T. J. Dekker, A floating-point technique for extending the available precision,
//! Numer. Math. 18 (1971); D. E. Knuth, TAOCP 2, 4.2.2, theorem B.

use crate::simd::Vector;

/// `hi + lo`, with `hi` the f32 nearest to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair {
    pub(crate) hi: f32,
    pub(crate) lo: f32,
}

impl Pair {
    pub(crate) const ZERO: Pair = Pair::new(0.0, 0.0);

    /// `lo` is at most half an ULP of `hi`.
    #[inline(always)]
    pub(crate) const fn new(hi: f32, lo: f32) -> Self {
        Pair { hi, lo }
    }

    /// `a + b`, exactly.
    #[inline(always)]
    pub(crate) fn sum(a: f32, b: f32) -> Self {
        let hi = a + b;
        let b_part = hi - a;
        Pair { hi, lo: (a - (hi - b_part)) + (b - b_part) }
    }

    /// `a + b`, exactly, where `|a| >= |b|` or `a` is 0.
    #[inline(always)]
    pub(crate) fn ordered_sum(a: f32, b: f32) -> Self {
        let hi = a + b;
        Pair { hi, lo: b - (hi - a) }
    }

    /// `a * b`, exactly, for magnitudes below 2^115. As [`Pair::add`], one copy.
    #[inline(never)]
    pub(crate) fn product(a: f32, b: f32) -> Self {
        let hi = a * b;
        let (a1, a0) = halves(a);
        let (b1, b0) = halves(b);
        Pair { hi, lo: a0 * b0 - (((hi - a1 * b1) - a0 * b1) - a1 * b0) }
    }

    /// Relative error at most 2^-46. Called once or twice a block: one copy of it is enough.
    #[inline(never)]
    pub(crate) fn add(self, other: Pair) -> Self {
        self.add_inline(other)
    }

    /// [`Pair::add`] without a call, for which a caller would have to give up its vector registers.
    #[inline(always)]
    pub(crate) fn add_inline(self, other: Pair) -> Self {
        let hi = Pair::sum(self.hi, other.hi);
        let lo = Pair::sum(self.lo, other.lo);
        let head = Pair::ordered_sum(hi.hi, hi.lo + lo.hi);
        Pair::ordered_sum(head.hi, head.lo + lo.lo)
    }

    /// Relative error at most 2^-45.
    #[inline]
    pub(crate) fn mul(self, other: Pair) -> Self {
        let p = Pair::product(self.hi, other.hi);
        Pair::ordered_sum(p.hi, p.lo + (self.hi * other.lo + self.lo * other.hi))
    }
}

/// `a - b`, and the rounding error of that.
#[inline(always)]
pub(crate) fn difference<S: Vector>(s: S, a: S::F32, b: S::F32) -> (S::F32, S::F32) {
    let hi = s.sub(a, b);
    let b_part = s.sub(a, hi);
    let a_part = s.add(hi, b_part);
    (hi, s.add(s.sub(a, a_part), s.sub(b_part, b)))
}

/// The upper and the lower 12 bits of `a`.
#[inline(always)]
fn halves(a: f32) -> (f32, f32) {
    let shifted = a * 4097.0;
    let upper = shifted - (shifted - a);
    (upper, a - upper)
}

/// Below this a factor is 0: that of a sum whose largest term is 2^-187.5 of another.
const LOWEST: f32 = -130.0;

/// `scaled * exp(x)` for `x <= 0`, relative error of the factor at most 2^-45; 0 below -130.
///
/// 1. `k = round(64 x / ln 2)`, `c = x - k ln2/64`, in four parts, so `|c| <= ln2/128 = 0.0055`.
/// 2. `exp(x) = 2^(k div 64) * 2^((k mod 64)/64) * exp(c)`: a power of two, two table entries, and
///    `1 + c + c^2/2` in double-float with `c^3/6 + c^4/24 + c^5/120` in f32.
pub(crate) fn times_exp(scaled: Pair, x: Pair) -> Pair {
    if x.hi < LOWEST {
        return Pair::ZERO;
    }
    let t = x.hi * SIXTY_FOUR_BY_LN_2 + ROUND;
    let k = t - ROUND;
    let n = t.to_bits().wrapping_sub(ROUND.to_bits()).cast_signed();

    // k has at most 14 bits and the first three parts 10, so their products are exact, and the first
    // difference too: its operands are within a factor of two.
    let [a, b, c, d] = LN_2_BY_64;
    let c = Pair::sum(x.hi - k * a, -(k * b)).add(Pair::sum(x.lo, -(k * c)));
    let c = Pair::ordered_sum(c.hi, c.lo - k * d);

    // expm1(c), small enough for its rounding errors to vanish beside the table entry.
    let half_square = Pair::product(c.hi, 0.5 * c.hi);
    let cube = c.hi * half_square.hi * (1.0 / 3.0 + c.hi * (1.0 / 12.0 + c.hi * (1.0 / 60.0)));
    let tail = Pair::sum(half_square.hi, cube);
    let expm1 = Pair::sum(c.hi, tail.hi);
    let expm1_lo = expm1.lo + (tail.lo + (half_square.lo + (c.lo + c.hi * c.lo)));

    let Pair { hi, lo } = entry(&EXP2_BY_64, n);
    let product = Pair::product(hi, expm1.hi);
    let sum = Pair::ordered_sum(hi, product.hi);
    let sum_lo = product.lo + (lo + (lo * expm1.hi + hi * expm1_lo));
    let by_8 = scaled.mul(entry(&EXP2_BY_8, n >> 3));
    let y = by_8.mul(Pair::ordered_sum(sum.hi, sum.lo + sum_lo));
    // In two steps: n div 64 goes down to -188, and y up to 2^93.
    let exponent = n >> 6;
    let (p, q) = (power_of_two(exponent >> 1), power_of_two(exponent - (exponent >> 1)));
    Pair::new(y.hi * p * q, y.lo * p * q)
}

/// The entry of the last three bits of `n`.
#[inline(always)]
fn entry(table: &[[u32; 2]; 8], n: i32) -> Pair {
    let [hi, lo] = match table.get((n & 7).cast_unsigned() as usize) {
        Some(&entry) => entry,
        None => [0, 0],
    };
    Pair::new(f32::from_bits(hi), f32::from_bits(lo))
}

/// `1 - exp(x)` for `x <= 0`; 1 below -130.
///
/// A small one keeps its digits: near 0 the exponential is 1 and a low part, which is the result. Where
/// it comes from a table entry the result is at least 1/190, to which 45 bits of 1 are enough.
pub(crate) fn one_minus_exp(x: Pair) -> f32 {
    let exp = times_exp(Pair::new(1.0, 0.0), x);
    let head = Pair::sum(1.0, -exp.hi);
    head.hi + (head.lo - exp.lo)
}

/// `2^n` for `n` from -126 to 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n + 127).cast_unsigned() << 23)
}

/// Added to and taken from a number below 2^22, it rounds to an integer.
const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23

// python3 xent-core/tools/pair_tables.py
const SIXTY_FOUR_BY_LN_2: f32 = f32::from_bits(0x42b8_aa3b); // 92.33248
/// ln 2 / 64 as 10 bits, the next 10, the next 10, and the f32 nearest to the rest.
const LN_2_BY_64: [f32; 4] = [
    f32::from_bits(0x3c31_4000),
    f32::from_bits(0x3748_4000),
    f32::from_bits(0x31fe_c000),
    f32::from_bits(0x2ce8_e7bd),
];
/// 2^(j/8) and 2^(j/64): the bits of the f32 nearest to it, and of the f32 nearest to the rest. One table of
/// 64 would be 384 bytes of flash more.
#[rustfmt::skip]
pub(super) const EXP2_BY_8: [[u32; 2]; 8] = [
    [0x3f80_0000, 0x0000_0000], [0x3f8b_95c2, 0xb260_aba1], [0x3f98_37f0, 0x3323_1b71], [0x3fa5_fed7, 0xb32c_9d5e],
    [0x3fb5_04f3, 0x32cf_e77a], [0x3fc5_672a, 0x320a_a837], [0x3fd7_44fd, 0xb2d4_a58a], [0x3fea_c0c7, 0xb241_16de],
];
#[rustfmt::skip]
pub(super) const EXP2_BY_64: [[u32; 2]; 8] = [
    [0x3f80_0000, 0x0000_0000], [0x3f81_64d2, 0xb1c4_3fd0], [0x3f82_cd87, 0xb34e_a7a9], [0x3f84_3a29, 0xb2f1_4c87],
    [0x3f85_aac3, 0x334f_9891], [0x3f87_1f62, 0xb352_c2e6], [0x3f88_980f, 0xb37e_da4b], [0x3f8a_14d5, 0x336a_92de],
];
