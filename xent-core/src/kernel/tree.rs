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

/// Rows of a group.
pub(super) const ROWS_PER_GROUP: usize = 4;
/// Elements that are added before the rounding error of an addition is kept.
pub(crate) const GROUP: usize = ROWS_PER_GROUP * VIRTUAL_LANES;

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
    if S::ONE_BY_ONE {
        return block_sum_by_lane(s, x, y, term);
    }
    lane_sums(s, x, y, term).fold(s, x.len())
}

/// The sums of the virtual lanes over one block, and their rounding errors.
///
/// Between the last term and the sum over the lanes an operation waits for the one before it; whoever has
/// other work to do, such as the maximum of the next block, does it in between.
pub(super) struct LaneSums<S: Simd> {
    pub(super) sum: S::Row,
    pub(super) error: S::Row,
}

impl<S: Simd> LaneSums<S> {
    #[inline(always)]
    pub(super) fn new(s: S) -> Self {
        let zero = s.row(s.splat(0.0));
        LaneSums { sum: zero, error: zero }
    }

    /// The sum over the lanes, of which only the first `n`, or all, are not 0.
    #[inline(always)]
    pub(super) fn fold(&self, s: S, n: usize) -> Pair {
        let (mut sum, mut error) = (self.sum, self.error);
        fold_lanes(s, sum.as_mut(), error.as_mut(), n)
    }
}

/// [`block_sum`] up to the sums of the lanes.
#[inline(always)]
pub(super) fn lane_sums<S: Simd, T: Term<S>>(
    s: S,
    x: &[f32],
    y: &[f32],
    term: &mut T,
) -> LaneSums<S> {
    let LaneSums { mut sum, mut error } = LaneSums::new(s);
    let (x_groups, x_rest) = x.as_chunks::<GROUP>();
    let (y_groups, y_rest) = y.as_chunks::<GROUP>();
    for (x, y) in x_groups.iter().zip(y_groups) {
        let ([x0, x1, x2, x3], [y0, y1, y2, y3]) = (rows(x), rows(y));
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

    let mut sums = LaneSums { sum, error };
    add_rest(s, x_rest, y_rest, term, &mut sums);
    sums
}

/// Adds the last group, if it is short: up to three whole rows and a part of one.
#[inline(always)]
pub(super) fn add_rest<S: Simd, T: Term<S>>(
    s: S,
    x: &[f32],
    y: &[f32],
    term: &mut T,
    sums: &mut LaneSums<S>,
) {
    if x.is_empty() {
        return;
    }
    let zero = s.splat(0.0);
    let mut rows_0_1 = s.row(zero);
    let mut rows_2_3 = s.row(zero);
    let rows = x.chunks(VIRTUAL_LANES).zip(y.chunks(VIRTUAL_LANES));
    for (i, (x, y)) in rows.enumerate() {
        let half = if i < 2 { &mut rows_0_1 } else { &mut rows_2_3 };
        let chunks = x.chunks(S::LANES).zip(y.chunks(S::LANES));
        for ((x, y), half) in chunks.zip(half.as_mut()) {
            *half = s.add(*half, load_term(s, x, y, term));
        }
    }
    let halves = rows_0_1.as_ref().iter().zip(rows_2_3.as_ref());
    let lanes = sums.sum.as_mut().iter_mut().zip(sums.error.as_mut());
    for ((sum, error), (&a, &b)) in lanes.zip(halves) {
        (*sum, *error) = add_keeping_error(s, *sum, *error, s.add(a, b));
    }
}

/// [`block_sum`] with one lane and little code: a virtual lane after the other, from the last to the first. What the
/// halves of the tree add to a lane are lanes of higher numbers, which are complete by then.
#[inline(always)]
pub(super) fn block_sum_by_lane<S: Simd, T: Term<S>>(
    s: S,
    x: &[f32],
    y: &[f32],
    term: &mut T,
) -> Pair {
    // Lane `l` takes the place of `l + HALF`, which is added to no other.
    const HALF: usize = VIRTUAL_LANES / 2;
    let n = x.len();
    let n_lanes = n.clamp(1, VIRTUAL_LANES);
    let widest = n_lanes.next_power_of_two() / 2;
    // What is read was written before; zeros would bring in `memset`.
    let nothing = s.splat(f32::NAN);
    let mut lanes = [(nothing, nothing); HALF];
    let (mut sum, mut error) = (nothing, nothing);
    for lane in (0..n_lanes).rev() {
        (sum, error) = lane_sum(s, x, y, lane, term);
        let mut half = widest;
        while half > lane {
            if lane + half < n
                && let Some(&(upper, upper_error)) = lanes.get((lane + half) % HALF)
            {
                (sum, error) = add_keeping_error(s, sum, s.add(error, upper_error), upper);
            }
            half /= 2;
        }
        if let Some(place) = lanes.get_mut(lane % HALF) {
            *place = (sum, error);
        }
    }
    or_infinite(Pair::ordered_sum(s.first(sum), s.first(error)), s.first(sum))
}

/// The sum of the virtual lane whose first element is at `at`, and its rounding errors.
#[inline(always)]
fn lane_sum<S: Simd, T: Term<S>>(
    s: S,
    x: &[f32],
    y: &[f32],
    mut at: usize,
    term: &mut T,
) -> (S::F32, S::F32) {
    const HALF_GROUP: usize = GROUP / 2;
    let zero = s.splat(0.0);
    let (mut sum, mut error, mut first_half) = (zero, zero, zero);
    while let (Some(x0), Some(y0)) = (rest(x, at), rest(y, at)) {
        let mut half = load_term(s, x0, y0, term);
        if let (Some(x1), Some(y1)) = (rest(x, at + VIRTUAL_LANES), rest(y, at + VIRTUAL_LANES)) {
            half = s.add(half, load_term(s, x1, y1, term));
        } else if at < VIRTUAL_LANES {
            return (s.add(half, zero), zero); // one element: nothing is lost
        }
        at += HALF_GROUP;
        if at & HALF_GROUP != 0 {
            first_half = half;
        } else {
            (sum, error) = add_keeping_error(s, sum, error, s.add(first_half, half));
        }
    }
    if at & HALF_GROUP == 0 { (sum, error) } else { add_keeping_error(s, sum, error, first_half) }
}

/// What begins at `at`, if there is something.
#[inline(always)]
fn rest(x: &[f32], at: usize) -> Option<&[f32]> {
    if at < x.len() { x.get(at..) } else { None }
}

/// What two sums over the same elements add up for one of them.
pub(crate) trait TermPair<S: Simd> {
    /// Stands in for elements beyond the end; both of its terms are 0.
    const PAD: f32;

    fn of(&mut self, s: S, x: S::F32) -> (S::F32, S::F32);
}

/// The sums of both terms over one block of at most [`BLOCK`] elements, each as [`block_sum`] has it.
///
/// Written once for any number of sums, the one sum of the scalar backend took 1.4 times as long (1,000
/// logits, AMD EPYC, rustc 1.95).
#[inline(always)]
pub(crate) fn block_sum_pair<S: Simd, T: TermPair<S>>(
    s: S,
    x: &[f32],
    term: &mut T,
) -> (Pair, Pair) {
    let zero = s.splat(0.0);
    let (mut sum, mut error) = (s.row(zero), s.row(zero));
    let (mut sum_b, mut error_b) = (s.row(zero), s.row(zero));

    let (groups, rest) = x.as_chunks::<GROUP>();
    for x in groups {
        let [x0, x1, x2, x3] = rows(x);
        let x01 = x0.chunks_exact(S::LANES).zip(x1.chunks_exact(S::LANES));
        let x23 = x2.chunks_exact(S::LANES).zip(x3.chunks_exact(S::LANES));
        let lanes = sum.as_mut().iter_mut().zip(error.as_mut());
        let lanes_b = sum_b.as_mut().iter_mut().zip(error_b.as_mut());
        for (((sum, error), (sum_b, error_b)), ((x0, x1), (x2, x3))) in
            lanes.zip(lanes_b).zip(x01.zip(x23))
        {
            let (a0, b0) = term.of(s, s.load(x0, T::PAD));
            let (a1, b1) = term.of(s, s.load(x1, T::PAD));
            let (a2, b2) = term.of(s, s.load(x2, T::PAD));
            let (a3, b3) = term.of(s, s.load(x3, T::PAD));
            let a = s.add(s.add(a0, a1), s.add(a2, a3));
            let b = s.add(s.add(b0, b1), s.add(b2, b3));
            (*sum, *error) = add_keeping_error(s, *sum, *error, a);
            (*sum_b, *error_b) = add_keeping_error(s, *sum_b, *error_b, b);
        }
    }

    if !rest.is_empty() {
        let (mut rows_0_1, mut rows_2_3) = (s.row(zero), s.row(zero));
        let (mut rows_0_1_b, mut rows_2_3_b) = (s.row(zero), s.row(zero));
        for (i, x) in rest.chunks(VIRTUAL_LANES).enumerate() {
            let (half, half_b) = if i < 2 {
                (&mut rows_0_1, &mut rows_0_1_b)
            } else {
                (&mut rows_2_3, &mut rows_2_3_b)
            };
            let halves = half.as_mut().iter_mut().zip(half_b.as_mut());
            for (x, (half, half_b)) in x.chunks(S::LANES).zip(halves) {
                let (a, b) = term.of(s, s.load(x, T::PAD));
                (*half, *half_b) = (s.add(*half, a), s.add(*half_b, b));
            }
        }
        let halves = rows_0_1.as_ref().iter().zip(rows_2_3.as_ref());
        for ((sum, error), (&a, &b)) in sum.as_mut().iter_mut().zip(error.as_mut()).zip(halves) {
            (*sum, *error) = add_keeping_error(s, *sum, *error, s.add(a, b));
        }
        let halves = rows_0_1_b.as_ref().iter().zip(rows_2_3_b.as_ref());
        let lanes_b = sum_b.as_mut().iter_mut().zip(error_b.as_mut());
        for ((sum, error), (&a, &b)) in lanes_b.zip(halves) {
            (*sum, *error) = add_keeping_error(s, *sum, *error, s.add(a, b));
        }
    }

    let total = fold_lanes(s, sum.as_mut(), error.as_mut(), x.len());
    (total, fold_lanes(s, sum_b.as_mut(), error_b.as_mut(), x.len()))
}

/// The four rows of a group.
#[inline(always)]
pub(super) fn rows(group: &[f32; GROUP]) -> [&[f32; VIRTUAL_LANES]; ROWS_PER_GROUP] {
    let (rows, _) = group.as_chunks::<VIRTUAL_LANES>();
    match rows {
        [x0, x1, x2, x3] => [x0, x1, x2, x3],
        _ => [&[0.0; VIRTUAL_LANES]; ROWS_PER_GROUP],
    }
}

/// The same, to be written to.
#[inline(always)]
pub(super) fn rows_mut(group: &mut [f32; GROUP]) -> [&mut [f32]; ROWS_PER_GROUP] {
    let (rows, _) = group.as_chunks_mut::<VIRTUAL_LANES>();
    match rows {
        [x0, x1, x2, x3] => [x0, x1, x2, x3],
        _ => Default::default(),
    }
}

#[inline(always)]
fn load_term<S: Simd, T: Term<S>>(s: S, x: &[f32], y: &[f32], term: &mut T) -> S::F32 {
    term.of(s, s.load(x, T::PAD.0), s.load(y, T::PAD.1))
}

/// `sum + x`, and `error` with the rounding error of that addition.
#[inline(always)]
pub(super) fn add_keeping_error<S: Simd>(
    s: S,
    sum: S::F32,
    error: S::F32,
    x: S::F32,
) -> (S::F32, S::F32) {
    let total = s.add(sum, x);
    let x_part = s.sub(total, sum);
    let lost = s.add(s.sub(sum, s.sub(total, x_part)), s.sub(x, x_part));
    (total, s.add(error, lost))
}

/// The sum over the lanes, in halves, of which only the first `n` (all, if that is more) are not 0.
///
/// Where the upper half is 0 its addition would change nothing, and is left out.
#[inline(always)]
pub(super) fn fold_lanes<S: Simd>(
    s: S,
    sum: &mut [S::F32],
    error: &mut [S::F32],
    n: usize,
) -> Pair {
    fold_registers(s, sum, error, n.div_ceil(S::LANES));
    let (Some(&mut mut sum), Some(&mut mut error)) = (sum.first_mut(), error.first_mut()) else {
        return Pair::ZERO;
    };
    let mut width = S::LANES;
    while width > 1 {
        if n > width / 2 {
            let x = s.swap_halves(sum, width);
            let x_error = s.swap_halves(error, width);
            (sum, error) = add_keeping_error(s, sum, s.add(error, x_error), x);
        }
        width /= 2;
    }
    or_infinite(Pair::ordered_sum(s.first(sum), s.first(error)), s.first(sum))
}

/// The sum over registers, in halves, into the first; only the first `n` are not 0.
#[inline(always)]
pub(crate) fn fold_registers<S: Simd>(s: S, sum: &mut [S::F32], error: &mut [S::F32], n: usize) {
    let mut half = sum.len() / 2;
    while half > 0 {
        let (low, high) = sum.split_at_mut(half);
        let (low_error, high_error) = error.split_at_mut(half);
        let highs = high.iter().zip(high_error.iter()).take(n.saturating_sub(half));
        for ((sum, error), (&x, &x_error)) in low.iter_mut().zip(low_error).zip(highs) {
            (*sum, *error) = add_keeping_error(s, *sum, s.add(*error, x_error), x);
        }
        half /= 2;
    }
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
        count = s.add(count, s.swap_halves(count, width));
        width /= 2;
    }
    s.first(count)
}

/// The largest of the lanes of one register; unspecified where one is NaN.
#[inline(always)]
pub(crate) fn lane_max<S: Simd>(s: S, max: S::F32) -> f32 {
    s.first(lane_max_in_all(s, max))
}

/// [`lane_max`] in every lane, either of two zeros.
#[inline(always)]
pub(super) fn lane_max_in_all<S: Simd>(s: S, mut max: S::F32) -> S::F32 {
    let mut width = S::LANES;
    while width > 1 {
        max = s.max(max, s.swap_halves(max, width));
        width /= 2;
    }
    max
}

/// The maximum of a block; unspecified where it holds a NaN, -inf where it is empty.
#[inline(always)]
pub(crate) fn block_max<S: Simd>(s: S, x: &[f32]) -> f32 {
    if S::ONE_BY_ONE {
        let (mut max, mut rest) = (s.splat(f32::NEG_INFINITY), x);
        // In fives, not by an iterator, from which the compiler makes slower code.
        while let [a, b, c, d, e, others @ ..] = rest {
            max = larger(s, max, s.splat(*a));
            max = larger(s, max, s.splat(*b));
            max = larger(s, max, s.splat(*c));
            max = larger(s, max, s.splat(*d));
            max = larger(s, max, s.splat(*e));
            rest = others;
        }
        for x in rest {
            max = larger(s, max, s.splat(*x));
        }
        return s.first(max) + 0.0;
    }
    Maxima::new(s, x).finish(s)
}

/// The maximum of a block, a group at a time.
pub(super) struct Maxima<'a, S: Simd> {
    /// Of the lanes so far.
    max: S::Row,
    rest: &'a [f32],
}

impl<'a, S: Simd> Maxima<'a, S> {
    #[inline(always)]
    pub(super) fn new(s: S, x: &'a [f32]) -> Self {
        Maxima { max: s.row(s.splat(f32::NEG_INFINITY)), rest: x }
    }

    /// A group, if there is one.
    #[inline(always)]
    pub(super) fn step(&mut self, s: S) {
        if let Some((group, rest)) = self.rest.split_first_chunk() {
            max_with_group(s, &mut self.max, group);
            self.rest = rest;
        }
    }

    /// The maximum, after the groups that are left.
    #[inline(always)]
    pub(super) fn finish(self, s: S) -> f32 {
        let Maxima { mut max, rest } = self;
        let (groups, rest) = rest.as_chunks();
        for group in groups {
            max_with_group(s, &mut max, group);
        }
        let max = max.as_mut();
        for row in rest.chunks(VIRTUAL_LANES) {
            for (x, max) in row.chunks(S::LANES).zip(&mut *max) {
                *max = s.max(*max, s.load(x, f32::NEG_INFINITY));
            }
        }

        let mut half = max.len() / 2;
        while half > 0 {
            let (low, high) = max.split_at_mut(half);
            for (low, &mut high) in low.iter_mut().zip(high) {
                *low = s.max(*low, high);
            }
            half /= 2;
        }
        let Some(&mut max) = max.first_mut() else {
            return f32::NEG_INFINITY;
        };
        // Which of two zeros a maximum gives is open; + 0 makes it the positive one.
        lane_max(s, max) + 0.0
    }
}

/// `max`, by lanes, with a group.
#[inline(always)]
fn max_with_group<S: Simd>(s: S, max: &mut S::Row, group: &[f32; GROUP]) {
    let [x0, x1, x2, x3] = rows(group);
    let x01 = x0.chunks_exact(S::LANES).zip(x1.chunks_exact(S::LANES));
    let x23 = x2.chunks_exact(S::LANES).zip(x3.chunks_exact(S::LANES));
    for (max, ((x0, x1), (x2, x3))) in max.as_mut().iter_mut().zip(x01.zip(x23)) {
        for x in [x0, x1, x2, x3] {
            *max = s.max(*max, s.load(x, 0.0));
        }
    }
}

/// `x` where it is larger than `max`: by a branch, which a new maximum takes seldom.
#[inline(always)]
pub(super) fn larger<S: Simd>(s: S, max: S::F32, x: S::F32) -> S::F32 {
    if s.all(s.lt(max, x)) {
        seldom();
        x
    } else {
        max
    }
}

/// In a branch that is seldom taken, keeps it one: a compiler would make a selection of it, which costs an
/// instruction more, and unroll the loop around it.
#[inline(always)]
pub(super) fn seldom() {
    core::hint::black_box(());
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
