//! The summation tree: the one order in which every backend adds.
//!
//! 1. A sum runs over blocks of [`BLOCK`] elements; [`CHUNK`] elements make a chunk. Block sums add
//!    up within their chunk in order, chunk sums in order, both in double-float.
//! 2. In a block, element `i` belongs to virtual lane `i mod 32`. A row is 32 elements, one a lane;
//!    four rows make a group, which a lane adds as `(e0 + e1) + (e2 + e3)`.
//! 3. The groups of a lane, and then the lanes in halves (lane `l` with `l + 16`, then `l + 8`, ...),
//!    add up with the rounding error of each addition kept beside the sum.
//!
//! So a sum of non-negative terms carries the two roundings of its group and nothing that grows with
//! its length; and since only the layout of registers over the 32 lanes differs, so do the bits on no
//! backend. Elements beyond the end of a short row or group count as 0, which changes no sum.
//!
//! Source of 3: D. E. Knuth, TAOCP 2, 4.2.2, theorem B (the error of an addition).

use crate::math::pair::Pair;
use crate::simd::{Simd, VIRTUAL_LANES};

/// Elements of a block: what stays in L1 while its maximum is taken and its terms are added.
pub(crate) const BLOCK: usize = 1024;
/// Elements of a chunk: what one thread sums alone.
pub(crate) const CHUNK: usize = 65_536;

const ROWS_PER_GROUP: usize = 4;

/// What a sum adds up for an element of `x` and one of `y`.
pub(crate) trait Term<S: Simd> {
    /// Stand in for elements beyond the end; their term is 0.
    const PAD: (f32, f32);

    fn of(&mut self, s: S, x: S::F32, y: S::F32) -> S::F32;
}

/// The sum of `term` over one block of at most [`BLOCK`] elements of `x` and `y`.
///
/// A term that looks at one slice gets it twice.
#[inline(always)]
pub(crate) fn block_sum<S: Simd, T: Term<S>>(s: S, x: &[f32], y: &[f32], term: &mut T) -> Pair {
    let zero = s.splat(0.0);
    let mut sum = s.row(zero);
    let mut error = s.row(zero);

    let (x_rows, x_tail) = x.as_chunks::<VIRTUAL_LANES>();
    let (y_rows, y_tail) = y.as_chunks::<VIRTUAL_LANES>();
    let (x_groups, x_rows) = x_rows.as_chunks::<ROWS_PER_GROUP>();
    let (y_groups, y_rows) = y_rows.as_chunks::<ROWS_PER_GROUP>();

    for ([x0, x1, x2, x3], [y0, y1, y2, y3]) in x_groups.iter().zip(y_groups) {
        let x01 = x0.chunks_exact(S::LANES).zip(x1.chunks_exact(S::LANES));
        let x23 = x2.chunks_exact(S::LANES).zip(x3.chunks_exact(S::LANES));
        let y01 = y0.chunks_exact(S::LANES).zip(y1.chunks_exact(S::LANES));
        let y23 = y2.chunks_exact(S::LANES).zip(y3.chunks_exact(S::LANES));
        let lanes = sum.as_mut().iter_mut().zip(error.as_mut());
        for (((sum, error), ((x0, x1), (x2, x3))), ((y0, y1), (y2, y3))) in
            lanes.zip(x01.zip(x23)).zip(y01.zip(y23))
        {
            let e0 = load_term(s, x0, y0, term);
            let e1 = load_term(s, x1, y1, term);
            let e2 = load_term(s, x2, y2, term);
            let e3 = load_term(s, x3, y3, term);
            let group = s.add(s.add(e0, e1), s.add(e2, e3));
            (*sum, *error) = add_keeping_error(s, *sum, *error, group);
        }
    }

    // The last group is short: up to three whole rows and a part of one.
    let mut rows_0_1 = s.row(zero);
    let mut rows_2_3 = s.row(zero);
    for (i, (x, y)) in x_rows.iter().zip(y_rows).enumerate() {
        let half = if i < 2 { &mut rows_0_1 } else { &mut rows_2_3 };
        add_row(s, x, y, half, term);
    }
    let half = if x_rows.len() < 2 { &mut rows_0_1 } else { &mut rows_2_3 };
    add_row(s, x_tail, y_tail, half, term);
    let halves = rows_0_1.as_ref().iter().zip(rows_2_3.as_ref());
    for ((sum, error), (&a, &b)) in sum.as_mut().iter_mut().zip(error.as_mut()).zip(halves) {
        (*sum, *error) = add_keeping_error(s, *sum, *error, s.add(a, b));
    }

    fold_lanes(s, sum, error)
}

/// Adds the terms of at most one row to `half`.
#[inline(always)]
fn add_row<S: Simd, T: Term<S>>(s: S, x: &[f32], y: &[f32], half: &mut S::Row, term: &mut T) {
    let chunks = x.chunks(S::LANES).zip(y.chunks(S::LANES));
    for ((x, y), sum) in chunks.zip(half.as_mut()) {
        *sum = s.add(*sum, load_term(s, x, y, term));
    }
}

#[inline(always)]
fn load_term<S: Simd, T: Term<S>>(s: S, x: &[f32], y: &[f32], term: &mut T) -> S::F32 {
    term.of(s, s.load(x, T::PAD.0), s.load(y, T::PAD.1))
}

/// `sum + x`, and `error` with the rounding error of that addition.
#[inline(always)]
fn add_keeping_error<S: Simd>(s: S, sum: S::F32, error: S::F32, x: S::F32) -> (S::F32, S::F32) {
    let total = s.add(sum, x);
    let x_part = s.sub(total, sum);
    let lost = s.add(s.sub(sum, s.sub(total, x_part)), s.sub(x, x_part));
    (total, s.add(error, lost))
}

/// The sum over the 32 lanes, in halves.
#[inline(always)]
fn fold_lanes<S: Simd>(s: S, mut sum: S::Row, mut error: S::Row) -> Pair {
    let (sum, error) = (sum.as_mut(), error.as_mut());
    let mut n_registers = VIRTUAL_LANES / S::LANES;
    while n_registers > 1 {
        n_registers /= 2;
        let (low, high) = sum.split_at_mut(n_registers);
        let (low_error, high_error) = error.split_at_mut(n_registers);
        let highs = high.iter().zip(high_error.iter());
        for ((sum, error), (&x, &x_error)) in low.iter_mut().zip(low_error).zip(highs) {
            (*sum, *error) = add_keeping_error(s, *sum, s.add(*error, x_error), x);
        }
    }
    let (Some(&mut mut sum), Some(&mut mut error)) = (sum.first_mut(), error.first_mut()) else {
        return Pair::ZERO;
    };
    let mut width = S::LANES;
    while width > 1 {
        let x = s.upper_half(sum, width);
        let x_error = s.upper_half(error, width);
        (sum, error) = add_keeping_error(s, sum, s.add(error, x_error), x);
        width /= 2;
    }
    or_infinite(Pair::ordered_sum(s.first(sum), s.first(error)), s.first(sum))
}

/// `sum`, unless an infinity among its terms or an overflow has made its error NaN: then the plain
/// sum, which is that infinity, or NaN where both are there.
#[inline(always)]
fn or_infinite(sum: Pair, plain: f32) -> Pair {
    if sum.hi.is_finite() { sum } else { Pair::new(plain, 0.0) }
}

/// The sum of counts of at most [`BLOCK`] in the lanes of one register: exact in any order.
#[inline(always)]
pub(crate) fn lane_count<S: Simd>(s: S, mut count: S::F32) -> f32 {
    let mut width = S::LANES;
    while width > 1 {
        count = s.add(count, s.upper_half(count, width));
        width /= 2;
    }
    s.first(count)
}

/// The maximum of a block; unspecified where it holds a NaN, -inf where it is empty.
#[inline(always)]
pub(crate) fn block_max<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut max = s.row(s.splat(f32::NEG_INFINITY));
    let (rows, tail) = x.as_chunks::<VIRTUAL_LANES>();
    let (groups, rows) = rows.as_chunks::<ROWS_PER_GROUP>();
    for [x0, x1, x2, x3] in groups {
        let x01 = x0.chunks_exact(S::LANES).zip(x1.chunks_exact(S::LANES));
        let x23 = x2.chunks_exact(S::LANES).zip(x3.chunks_exact(S::LANES));
        for (max, ((x0, x1), (x2, x3))) in max.as_mut().iter_mut().zip(x01.zip(x23)) {
            let a = s.max(s.load(x0, 0.0), s.load(x1, 0.0));
            let b = s.max(s.load(x2, 0.0), s.load(x3, 0.0));
            *max = s.max(*max, s.max(a, b));
        }
    }
    for row in rows {
        max_row(s, row, &mut max);
    }
    max_row(s, tail, &mut max);

    let max = max.as_mut();
    let mut n_registers = VIRTUAL_LANES / S::LANES;
    while n_registers > 1 {
        n_registers /= 2;
        let (low, high) = max.split_at_mut(n_registers);
        for (low, &mut high) in low.iter_mut().zip(high) {
            *low = s.max(*low, high);
        }
    }
    let Some(&mut mut max) = max.first_mut() else {
        return f32::NEG_INFINITY;
    };
    let mut width = S::LANES;
    while width > 1 {
        max = s.max(max, s.upper_half(max, width));
        width /= 2;
    }
    // Which of two zeros a maximum gives is open; + 0 makes it the positive one.
    s.first(max) + 0.0
}

#[inline(always)]
fn max_row<S: Simd>(s: S, row: &[f32], max: &mut S::Row) {
    for (x, max) in row.chunks(S::LANES).zip(max.as_mut()) {
        *max = s.max(*max, s.load(x, f32::NEG_INFINITY));
    }
}

/// A sum over blocks: within chunks of [`CHUNK`] elements, then over the chunks.
#[derive(Clone, Copy)]
pub(crate) struct TreeSum {
    chunks: Pair,
    chunk: Pair,
    blocks_in_chunk: usize,
}

impl TreeSum {
    pub(crate) const EMPTY: TreeSum =
        TreeSum { chunks: Pair::ZERO, chunk: Pair::ZERO, blocks_in_chunk: 0 };

    #[inline(always)]
    pub(crate) fn push(&mut self, block: Pair) {
        self.chunk = or_infinite(self.chunk.add(block), self.chunk.hi + block.hi);
        self.blocks_in_chunk += 1;
        if self.blocks_in_chunk == CHUNK / BLOCK {
            *self = TreeSum { chunks: self.value(), chunk: Pair::ZERO, blocks_in_chunk: 0 };
        }
    }

    #[inline(always)]
    pub(crate) fn value(&self) -> Pair {
        or_infinite(self.chunks.add(self.chunk), self.chunks.hi + self.chunk.hi)
    }
}
