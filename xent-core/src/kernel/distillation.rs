//! The divergence between the softmax of two rows of logits, and its gradient.
//!
//! With `p` the softmax of the teacher's logits and `q` of the student's, both over the temperature, and
//! `z_c = ln(q_c / p_c)`:
//!
//! 1. Each row as its maximum `m` and the sum `s` of `exp((x - m) / T)` over the others.
//! 2. `T z_c = ((x_c - m) - (y_c - m')) - T (ln(1 + s) - ln(1 + s'))`, `x` and `m` the student's, `y` and
//!    `m'` the teacher's, with the rounding error of each difference kept: what is common to both rows,
//!    and an offset of either, cancels exactly. The difference of logarithms is one logarithm; where `T` times
//!    it is below 2^-100, it is subtracted from `z_c` itself.
//! 3. Both rows sum to 1, so the divergence is the sum of `q_c - p_c - p_c z_c`, of which none is negative,
//!    in place of `-p_c z_c`, which cancel. An error in what all `z_c` have in common drops out of that sum
//!    to first order: its derivative is `Σ q_c - p_c`.
//! 4. From `z = -1` to 2 the term is `p z^2 h(z)` with a polynomial `h(z) = (exp(z) - 1 - z) / z^2`;
//!    beyond, where the three parts cancel by no more than half, it is added up from them. The gradient
//!    `q - p` likewise is `p z (1 + z h(z))`, or the difference.
//!
//! `p` has the scale 2^64 of the exponential until it meets its factor, so that a subnormal probability
//! keeps its digits.
//!
//! Coefficients: `python3 xent-core/tools/minimax.py`, relative error 2^-26.51 on [-1, 2].

use super::map::{Map, map};
use super::tree::{BLOCK, Term, TreeSum, block_sum, lane_count};
use crate::math::exp::{SCALE, UNSCALE, exp_scaled};
use crate::math::ln_1p::ln_1p;
use crate::math::pair::{Pair, difference};
use crate::simd::Simd;

/// `exp((x - m) / T) * 2^64` where `x` is not `m`; how often it is.
struct ExpBelowMax<S: Simd> {
    m: S::F32,
    temperature: S::F32,
    n_max: S::F32,
}

impl<S: Simd> Term<S> for ExpBelowMax<S> {
    const PAD: (f32, f32) = (f32::NEG_INFINITY, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, x: S::F32, _: S::F32) -> S::F32 {
        let zero = s.splat(0.0);
        let is_max = s.eq(x, self.m);
        self.n_max = s.add(self.n_max, s.select(is_max, s.splat(1.0), zero));
        s.select(is_max, zero, exp_scaled(s, s.div(s.sub(x, self.m), self.temperature)))
    }
}

/// A row of logits over a temperature, as its maximum and the sum over the others.
#[derive(Clone, Copy)]
pub(crate) struct Tempered {
    max: f32,
    temperature: f32,
    n_max: f32,
    below: TreeSum,
}

impl Tempered {
    /// `max` is that of the whole row.
    pub(crate) const fn new(max: f32, temperature: f32) -> Self {
        Tempered { max, temperature, n_max: 0.0, below: TreeSum::EMPTY }
    }

    /// `s * 2^64`: over all elements but one that equals the maximum.
    #[inline(always)]
    fn scaled_sum(&self) -> Pair {
        self.below.value().add(Pair::new((self.n_max - 1.0) * SCALE, 0.0))
    }

    /// `(1 + s) * 2^64`.
    #[inline(always)]
    fn scaled_one_plus_sum(&self) -> f32 {
        Pair::new(SCALE, 0.0).add(self.scaled_sum()).hi
    }

    /// Whether the row has a softmax: no NaN, no +inf, not only -inf.
    #[inline(always)]
    pub(crate) fn is_valid(&self) -> bool {
        self.max.is_finite() && self.scaled_sum().hi.is_finite()
    }
}

/// Adds one or several blocks of a row to `row`.
#[inline(always)]
pub(crate) fn push<S: Simd>(s: S, row: &mut Tempered, x: &[f32]) {
    for block in x.chunks(BLOCK) {
        let mut term = ExpBelowMax {
            m: s.splat(row.max),
            temperature: s.splat(row.temperature),
            n_max: s.splat(0.0),
        };
        row.below.push(block_sum(s, block, block, &mut term));
        row.n_max += lane_count(s, term.n_max);
    }
}

/// Two valid rows and the temperature they share.
struct Distilled<S: Simd> {
    temperature: S::F32,
    student_max: S::F32,
    teacher_max: S::F32,
    /// `2^-64 / (1 + s)` of the student: undoes the scale of the exponential.
    student_factor: S::F32,
    /// `1 / (1 + s)` of the teacher: keeps the scale.
    teacher_factor: S::F32,
    /// A power of two, less than 1 where a difference of logits could overflow.
    scale: S::F32,
    unscale: S::F32,
    scaled_student_max: S::F32,
    scaled_teacher_max: S::F32,
    /// `T (ln(1 + s) - ln(1 + s'))`, or 0 where it is too small to have all its digits.
    scaled_shift: S::F32,
    /// `ln(1 + s) - ln(1 + s')` where that is 0, else 0.
    scaled_rest: S::F32,
    factor: S::F32,
}

/// What becomes of a class.
struct Class<S: Simd> {
    /// `p * 2^64`.
    scaled_p: S::F32,
    q: S::F32,
    /// `ln(q / p)`; not a number where one of them is of a masked class.
    z: S::F32,
    /// The same times the scale, where it is finite.
    scaled_z: S::F32,
    /// `(exp(z) - 1 - z) / z^2`, from -1 to 2.
    h: S::F32,
}

impl<S: Simd> Distilled<S> {
    #[inline(always)]
    fn new(s: S, student: &Tempered, teacher: &Tempered, factor: f32) -> Self {
        let temperature = student.temperature;
        let largest = student.max.abs().max(teacher.max.abs()).max(temperature);
        let scale = if largest < LARGE { 1.0 } else { 1.0 / 256.0 };

        // ln((1 + s) / (1 + s')) = ±ln(1 + |s - s'| / (1 + the smaller)).
        let minus_teacher = teacher.scaled_sum();
        let minus_teacher = Pair::new(-minus_teacher.hi, -minus_teacher.lo);
        let difference = student.scaled_sum().add(minus_teacher).hi;
        let (student_sum, teacher_sum) =
            (student.scaled_one_plus_sum(), teacher.scaled_one_plus_sum());
        let smaller = if difference < 0.0 { student_sum } else { teacher_sum };
        let ln = s.first(ln_1p(s, s.splat(difference.abs() / smaller)));
        let shift = scale * if difference < 0.0 { -ln } else { ln };
        let t_shift = temperature * shift;
        let (t_shift, rest) = if t_shift.abs() < TINY { (0.0, shift) } else { (t_shift, 0.0) };

        Distilled {
            temperature: s.splat(temperature),
            student_max: s.splat(student.max),
            teacher_max: s.splat(teacher.max),
            student_factor: s.splat(1.0 / student_sum),
            teacher_factor: s.splat(SCALE / teacher_sum),
            scale: s.splat(scale),
            unscale: s.splat(1.0 / scale),
            scaled_student_max: s.splat(scale * student.max),
            scaled_teacher_max: s.splat(scale * teacher.max),
            scaled_shift: s.splat(t_shift),
            scaled_rest: s.splat(rest),
            factor: s.splat(factor),
        }
    }

    #[inline(always)]
    fn class(&self, s: S, x: S::F32, y: S::F32) -> Class<S> {
        let student = exp_scaled(s, s.div(s.sub(x, self.student_max), self.temperature));
        let teacher = exp_scaled(s, s.div(s.sub(y, self.teacher_max), self.temperature));

        let (a, a_lo) = difference(s, s.mul(x, self.scale), self.scaled_student_max);
        let (b, b_lo) = difference(s, s.mul(y, self.scale), self.scaled_teacher_max);
        let (c, c_lo) = difference(s, a, b);
        let (d, d_lo) = difference(s, c, self.scaled_shift);
        let scaled_t_z = s.add(d, s.add(d_lo, s.add(c_lo, s.sub(a_lo, b_lo))));
        let scaled_z = s.sub(s.div(scaled_t_z, self.temperature), self.scaled_rest);
        let z = s.mul(scaled_z, self.unscale);

        Class {
            scaled_p: s.mul(teacher, self.teacher_factor),
            q: s.mul(student, self.student_factor),
            z,
            scaled_z,
            h: expm1_beyond_z(s, z),
        }
    }
}

/// Below it the difference of two logits, less a shift of up to 20 temperatures, is finite: that moves the
/// largest f32 by less than half its last place.
const LARGE: f32 = 1e29;

/// A product below it may have lost digits.
const TINY: f32 = f32::from_bits((127 - 100) << 23);

const H: [f32; 9] = [
    f32::from_bits(0x3f00_0000), // 0.5
    f32::from_bits(0x3e2a_aaac), // 0.16666669
    f32::from_bits(0x3d2a_aaa3), // 0.041666638
    f32::from_bits(0x3c08_87d7), // 0.008333168
    f32::from_bits(0x3ab6_1025), // 0.001389031
    f32::from_bits(0x3950_5aa2), // 0.00019870189
    f32::from_bits(0x37cd_f4c1), // 2.4551877e-5
    f32::from_bits(0x3630_f9aa), // 2.6371367e-6
    f32::from_bits(0x34e0_374d), // 4.1763488e-7
];

/// `(exp(z) - 1 - z) / z^2` for `z` from -1 to 2.
#[inline(always)]
fn expm1_beyond_z<S: Simd>(s: S, z: S::F32) -> S::F32 {
    let mut y = s.splat(H[8]);
    y = s.mul_add(y, z, s.splat(H[7]));
    y = s.mul_add(y, z, s.splat(H[6]));
    y = s.mul_add(y, z, s.splat(H[5]));
    y = s.mul_add(y, z, s.splat(H[4]));
    y = s.mul_add(y, z, s.splat(H[3]));
    y = s.mul_add(y, z, s.splat(H[2]));
    y = s.mul_add(y, z, s.splat(H[1]));
    s.mul_add(y, z, s.splat(H[0]))
}

/// `near` for `z` from -1 to 2, else, and where `z` is not a number, `far`.
#[inline(always)]
fn by_distance<S: Simd>(s: S, z: S::F32, near: S::F32, far: S::F32) -> S::F32 {
    s.select(s.lt(s.splat(-1.0), z), s.select(s.lt(z, s.splat(2.0)), near, far), far)
}

/// `q - p - p ln(q / p)`.
impl<S: Simd> Term<S> for Distilled<S> {
    const PAD: (f32, f32) = (f32::NEG_INFINITY, f32::NEG_INFINITY);

    #[inline(always)]
    fn of(&mut self, s: S, x: S::F32, y: S::F32) -> S::F32 {
        let Class { scaled_p, q, z, scaled_z, h } = self.class(s, x, y);
        let (zero, unscale) = (s.splat(0.0), s.splat(UNSCALE));
        let near = s.mul(s.mul(scaled_p, z), s.mul(s.mul(z, h), unscale));
        let minus_1_minus_z = s.sub(s.sub(zero, self.scale), scaled_z);
        let p_part = s.mul(s.mul(scaled_p, s.mul(minus_1_minus_z, unscale)), self.unscale);
        let far = s.add(p_part, q);
        let term = by_distance(s, z, near, far);

        let term = s.select(s.eq(scaled_p, zero), q, term);
        let masked = s.splat(f32::NEG_INFINITY);
        let infinite = s.select(s.eq(y, masked), zero, s.splat(f32::INFINITY));
        s.select(s.eq(x, masked), infinite, term)
    }
}

/// `factor (q - p) / T`.
impl<S: Simd> Map<S> for Distilled<S> {
    #[inline(always)]
    fn of(&self, s: S, x: S::F32, y: S::F32) -> S::F32 {
        let Class { scaled_p, q, z, h, .. } = self.class(s, x, y);
        let unscale = s.splat(UNSCALE);
        let near = s.mul(s.mul(scaled_p, s.mul(z, s.mul_add(z, h, s.splat(1.0)))), unscale);
        let difference = by_distance(s, z, near, s.sub(q, s.mul(scaled_p, unscale)));
        s.mul(s.div(difference, self.temperature), self.factor)
    }
}

/// Adds the terms of one or several blocks of two valid rows to `sum`.
#[inline(always)]
pub(crate) fn loss_sum<S: Simd>(
    s: S,
    sum: &mut TreeSum,
    x: &[f32],
    y: &[f32],
    student: &Tempered,
    teacher: &Tempered,
) {
    let mut term = Distilled::new(s, student, teacher, 1.0);
    for (x, y) in x.chunks(BLOCK).zip(y.chunks(BLOCK)) {
        sum.push(block_sum(s, x, y, &mut term));
    }
}

/// The gradient with respect to the student's logits, times `factor`, of a part of two valid rows.
#[inline(always)]
pub(crate) fn gradient<S: Simd>(
    s: S,
    x: &[f32],
    y: &[f32],
    student: &Tempered,
    teacher: &Tempered,
    factor: f32,
    out: &mut [f32],
) {
    map(s, x, y, out, &Distilled::new(s, student, teacher, factor));
}
