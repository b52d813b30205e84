//! Log-sum-exps and losses of many short rows, a row in each lane.
//!
//! Row by row, a row of ten spends its time on folding lanes and on one logarithm. Here one vector
//! holds a class of as many rows as there are lanes, so that maximum, sum and logarithm are taken for
//! all of them at once. The additions are those of `tree.rs`, in the same order: class `c` stands for
//! virtual lane `c`, and the halves of the tree are vectors.
//!
//! 1. Transpose a group of rows into one vector a class.
//! 2. The maximum, the exponentials of what is below it, how many classes equal it, and their sum.
//! 3. `m + ln(1 + s)`, or `(m - x_t) + ln(1 + s)`, for all rows of the group.
//! 4. A row whose result is not finite is taken again by itself: `log_sum_exp.rs` knows why. So is the
//!    row of a group of one, which would gain nothing.

use super::log_sum_exp::{ExpBelowMax, log_sum_exp, loss, state};
use super::tree::{Term, fold_registers};
use crate::math::exp::{SCALE, UNSCALE};
use crate::math::ln_1p::ln_1p;
use crate::simd::{Simd, VIRTUAL_LANES};

/// Rows of up to this many classes are shorter here than by themselves.
pub(crate) const MAX_CLASSES: usize = VIRTUAL_LANES;

/// The most lanes of any backend.
const MAX_LANES: usize = 16;

/// Losses of the rows of `classes` elements, at most [`MAX_CLASSES`], one after another in `x`.
#[inline(always)]
pub(crate) fn label_losses<S: Simd>(
    s: S,
    x: &[f32],
    classes: usize,
    labels: &[usize],
    out: &mut [f32],
) {
    let groups = x.chunks(classes * S::LANES).zip(labels.chunks(S::LANES));
    for ((rows, labels), out) in groups.zip(out.chunks_mut(S::LANES)) {
        let mut label_logits = [f32::NAN; MAX_LANES];
        for ((to, row), &label) in
            label_logits.iter_mut().zip(rows.chunks_exact(classes)).zip(labels)
        {
            *to = row.get(label).copied().unwrap_or(f32::NAN);
        }
        if is_worth_a_group::<S>(out.len()) {
            let (m, ln_1p_sum) = group_state(s, rows, classes);
            s.store(s.add(s.sub(m, s.load(&label_logits, 0.0)), ln_1p_sum), out);
        } else {
            out.fill(f32::NAN);
        }
        for ((row, out), &x_t) in rows.chunks_exact(classes).zip(out).zip(&label_logits) {
            if !out.is_finite() {
                *out = loss(s, &state(s, row), x_t);
            }
        }
    }
}

/// Log-sum-exps of the rows of `classes` elements, at most [`MAX_CLASSES`], one after another in `x`.
#[inline(always)]
pub(crate) fn log_sum_exps<S: Simd>(s: S, x: &[f32], classes: usize, out: &mut [f32]) {
    let groups = x.chunks(classes * S::LANES);
    for (rows, out) in groups.zip(out.chunks_mut(S::LANES)) {
        if is_worth_a_group::<S>(out.len()) {
            let (m, ln_1p_sum) = group_state(s, rows, classes);
            s.store(s.add(m, ln_1p_sum), out);
        } else {
            out.fill(f32::NAN);
        }
        for (row, out) in rows.chunks_exact(classes).zip(out) {
            if !out.is_finite() {
                *out = log_sum_exp(s, row);
            }
        }
    }
}

/// A group takes as long for one row as for as many as there are lanes, and one row by itself less.
///
/// With 10 classes a call takes AVX-512 118 ns for two rows as a group and 158 row by row, and for one
/// row 118 and 96.
#[inline(always)]
fn is_worth_a_group<S: Simd>(n_rows: usize) -> bool {
    n_rows > 1 || S::LANES == 1
}

/// `m` and `ln(1 + s)` of as many rows as there are lanes, or fewer.
#[inline(always)]
fn group_state<S: Simd>(s: S, rows: &[f32], classes: usize) -> (S::F32, S::F32) {
    let zero = s.splat(0.0);
    let mut columns = [zero; MAX_CLASSES];
    let mut m = s.splat(f32::NEG_INFINITY);
    for (class, column) in columns.iter_mut().enumerate().take(classes) {
        *column = s.load_strided(rows.get(class..).unwrap_or(&[]), classes);
        m = s.max(m, *column);
    }
    // A zero maximum is the positive one, as in block_max.
    let m = s.add(m, zero);

    let mut term = ExpBelowMax::new(s, m);
    for column in columns.iter_mut().take(classes) {
        *column = term.of(s, *column, *column);
    }
    let mut errors = [zero; MAX_CLASSES];
    fold_registers(s, &mut columns, &mut errors, classes);
    let (Some(&sum), Some(&error)) = (columns.first(), errors.first()) else {
        return (m, zero);
    };
    // The sum as an f32, then the classes beside one that equal the maximum: the additions of
    // block_state.
    let ordered = s.add(sum, error);
    let ordered_error = s.sub(error, s.sub(ordered, sum));
    let ties = s.mul(s.sub(term.n_max(), s.splat(1.0)), s.splat(SCALE));
    let total = s.add(ties, ordered);
    let part = s.sub(total, ties);
    let lost = s.add(s.sub(ties, s.sub(total, part)), s.sub(ordered, part));
    let total = s.add(total, s.add(lost, ordered_error));

    (m, ln_1p(s, s.mul(total, s.splat(UNSCALE))))
}
