//! The state of one row that is no longer than a group of the tree, with every element in a register.
//!
//! A row of ten takes less time to add up than the loops over blocks and groups take to begin and to end.
//! Here there are none, and the additions are those of the tree: of a group an addition loses nothing that is
//! kept, so the sum of a lane is `(e0 + e1) + (e2 + e3)`, without an error.
//!
//! With one lane a row of up to 64 has code of its own too, with no more loops than its elements need: on a Cortex-M4F
//! ten take 0.6 of the instructions, and 37 take 0.7.

use super::exp_sum::ExpTerm;
use super::log_sum_exp::{ExpBelowMax, with_ties};
use super::tree::{
    GROUP, Term, add_keeping_error, fold_lanes, lane_count, lane_max_in_all, larger, seldom,
};
use crate::log_sum_exp::LogSumExp;
use crate::math::exp::exp_scaled;
use crate::math::pair::Pair;
use crate::simd::{Simd, VIRTUAL_LANES};

/// The state of up to [`GROUP`] elements, or where a vector is several registers of up to 32, or where it is a single
/// element of up to 64; none where there are more, where the maximum is infinite, or where one is NaN.
#[inline(always)]
pub(super) fn state<S: Simd>(s: S, x: &[f32]) -> Option<LogSumExp> {
    if S::LANES == 1 { state_of_elements(s, x) } else { state_and_exps(s, x, &mut []) }
}

/// The same in vectors, and in `exps`, if it is not empty, `exp(x - m) * 2^64`; anything where there is no state.
#[inline(always)]
pub(super) fn state_and_exps<S: Simd>(s: S, x: &[f32], exps: &mut [f32]) -> Option<LogSumExp> {
    let n = x.len();
    // Of registers that are there for nothing all is computed too: each is a copy of code without branches.
    let register = s.splat(0.0);
    if S::ONE_REGISTER && n <= S::LANES {
        state_in(s, x, [[register]], exps)
    } else if n <= 2 * S::LANES {
        state_in(s, x, [[register; 2]], exps)
    } else if n <= VIRTUAL_LANES {
        state_in(s, x, [s.row(register)], exps)
    } else if S::ONE_REGISTER && n <= 2 * VIRTUAL_LANES {
        state_in(s, x, [s.row(register); 2], exps)
    } else if S::ONE_REGISTER && n <= GROUP {
        state_in(s, x, [s.row(register); GROUP / VIRTUAL_LANES], exps)
    } else {
        None
    }
}

/// In the registers of `rows`: of one row, of which one or two may be enough, or of the rows of a group.
#[inline(always)]
fn state_in<S: Simd, R: AsRef<[S::F32]> + AsMut<[S::F32]>, const N: usize>(
    s: S,
    x: &[f32],
    mut rows: [R; N],
    mut exps: &mut [f32],
) -> Option<LogSumExp> {
    let (mut max, mut rest) = (s.splat(f32::NEG_INFINITY), x);
    for row in &mut rows {
        for register in row.as_mut() {
            *register = s.load(rest, f32::NEG_INFINITY);
            max = s.max(max, *register);
            rest = rest.get(S::LANES..).unwrap_or_default();
        }
    }
    let max = lane_max_in_all(s, max);
    // + 0 makes a zero the positive one, as in `block_max`.
    let m = s.first(max) + 0.0;
    if !m.is_finite() {
        return None;
    }

    let mut term = ExpBelowMax::new(s, max);
    for row in &mut rows {
        for register in row.as_mut() {
            let (x, exp) = (*register, exp_scaled(s, s.sub(*register, term.m)));
            if !exps.is_empty() {
                s.store(exp, exps);
                exps = core::mem::take(&mut exps).get_mut(S::LANES..).unwrap_or_default();
            }
            *register = term.of_exp(s, x, exp);
        }
    }
    let [first, others @ ..] = &mut rows[..] else {
        return None;
    };
    let sum = first.as_mut();
    match others {
        [] => {}
        [e1] => {
            for (e0, &e1) in sum.iter_mut().zip(e1.as_ref()) {
                *e0 = s.add(*e0, e1);
            }
        }
        [e1, e2, e3] => {
            let others = e1.as_ref().iter().zip(e2.as_ref().iter().zip(e3.as_ref()));
            for (e0, (&e1, (&e2, &e3))) in sum.iter_mut().zip(others) {
                *e0 = s.add(s.add(*e0, e1), s.add(e2, e3));
            }
        }
        _ => return None,
    }
    let mut error = s.row(s.splat(0.0));
    let error = error.as_mut().get_mut(..sum.len()).unwrap_or_default();
    let sum = fold_lanes(s, sum, error, x.len());
    if sum.hi.is_nan() { None } else { Some(with_ties(m, sum, lane_count(s, term.n_max()))) }
}

/// [`state`] with one lane: of up to two rows of virtual lanes.
#[inline(always)]
fn state_of_elements<S: Simd>(s: S, x: &[f32]) -> Option<LogSumExp> {
    const HALF: usize = VIRTUAL_LANES / 2;
    const QUARTER: usize = HALF / 2;
    if x.len() > 2 * VIRTUAL_LANES {
        return None;
    }
    // A loop as short as this one takes fewer bytes than that of `block_max`.
    let mut max = s.splat(f32::NEG_INFINITY);
    for &x in x {
        max = larger(s, max, s.splat(x));
    }
    let m = s.first(max) + 0.0;
    if !m.is_finite() {
        return None;
    }

    // Adding -0 changes no number, and an array of it is filled without `memset`.
    let mut lanes = [s.splat(-0.0); VIRTUAL_LANES];
    let mut term = ExpBelowMax::new(s, s.splat(m));
    // The first row by itself: one loop for both would take two instructions more an element.
    for (lane, &x) in lanes.iter_mut().zip(x) {
        let x = s.splat(x);
        *lane = term.of(s, x, x);
    }
    for (lane, &x) in lanes.iter_mut().zip(x.get(VIRTUAL_LANES..).unwrap_or_default()) {
        let x = s.splat(x);
        *lane = s.add(*lane, term.of(s, x, x));
    }
    // A lane of the upper half is added to its partner and leaves its place to the error of that. The places of
    // the others are free.
    let (sums, errors) = lanes.split_at_mut(HALF);
    for (sum, error) in sums.iter_mut().zip(&mut *errors).take(x.len().saturating_sub(HALF)) {
        seldom();
        (*sum, *error) = add_keeping_error(s, *sum, s.splat(0.0), *error);
    }
    let (sums, upper) = sums.split_at_mut(QUARTER);
    let (errors, upper_errors) = errors.split_at_mut(QUARTER);
    let uppers = upper.iter().zip(&*upper_errors).take(x.len().saturating_sub(QUARTER));
    for ((sum, error), (&upper, &upper_error)) in sums.iter_mut().zip(&mut *errors).zip(uppers) {
        (*sum, *error) = add_keeping_error(s, *sum, s.add(*error, upper_error), upper);
    }
    let (&mut [s0, s1, s2, s3, s4, s5, s6, s7], &mut [e0, e1, e2, e3, e4, e5, e6, e7]) =
        (sums, errors)
    else {
        return None;
    };
    let (s0, e0) = add_keeping_error(s, s0, s.add(e0, e4), s4);
    let (s1, e1) = add_keeping_error(s, s1, s.add(e1, e5), s5);
    let (s2, e2) = add_keeping_error(s, s2, s.add(e2, e6), s6);
    let (s3, e3) = add_keeping_error(s, s3, s.add(e3, e7), s7);
    let (s0, e0) = add_keeping_error(s, s0, s.add(e0, e2), s2);
    let (s1, e1) = add_keeping_error(s, s1, s.add(e1, e3), s3);
    let (sum, error) = add_keeping_error(s, s0, s.add(e0, e1), s1);
    let sum = Pair::ordered_sum(s.first(sum), s.first(error));
    if sum.hi.is_nan() { None } else { Some(with_ties(m, sum, lane_count(s, term.n_max()))) }
}
