//! The state of one row that is no longer than a group of the tree, with every element in a register.
//!
//! A row of ten takes less time to add up than the loops over blocks and groups take to begin and to end.
//! Here there are none, and the additions are those of the tree: of a group an addition loses nothing that is
//! kept, so the sum of a lane is `(e0 + e1) + (e2 + e3)`, without an error.

use super::exp_sum::ExpTerm;
use super::log_sum_exp::{ExpBelowMax, with_ties};
use super::tree::{GROUP, fold_lanes, lane_count, lane_max};
use crate::log_sum_exp::LogSumExp;
use crate::math::exp::exp_scaled;
use crate::simd::{Simd, VIRTUAL_LANES};

/// The state of up to [`GROUP`] elements, or where a vector is several registers of up to 32; none where there
/// are more, where the maximum is infinite, or where one is NaN.
#[inline(always)]
pub(super) fn state<S: Simd>(s: S, x: &[f32]) -> Option<LogSumExp> {
    state_and_exps(s, x, &mut [])
}

/// The same, and in `exps`, if it is not empty, `exp(x - m) * 2^64`; anything where there is no state.
#[inline(always)]
pub(super) fn state_and_exps<S: Simd>(s: S, x: &[f32], exps: &mut [f32]) -> Option<LogSumExp> {
    let zero = s.splat(0.0);
    if S::ONE_REGISTER && x.len() <= S::LANES {
        state_in(s, x, &mut [[zero]], exps)
    } else if x.len() <= VIRTUAL_LANES {
        state_in(s, x, &mut [s.row(zero)], exps)
    } else if S::ONE_REGISTER && x.len() <= GROUP {
        state_in(s, x, &mut [s.row(zero); GROUP / VIRTUAL_LANES], exps)
    } else {
        None
    }
}

/// With `rows` for registers, which are 0: one row, of which one register may be enough, or the four of a group.
#[inline(always)]
fn state_in<S: Simd, R: AsRef<[S::F32]> + AsMut<[S::F32]>>(
    s: S,
    x: &[f32],
    rows: &mut [R],
    mut exps: &mut [f32],
) -> Option<LogSumExp> {
    let mut max = s.splat(f32::NEG_INFINITY);
    for (row, x) in rows.iter_mut().zip(x.chunks(VIRTUAL_LANES)) {
        for (register, x) in row.as_mut().iter_mut().zip(x.chunks(S::LANES)) {
            *register = s.load(x, f32::NEG_INFINITY);
            max = s.max(max, *register);
        }
    }
    // + 0 makes a zero the positive one, as in `block_max`.
    let m = lane_max(s, max) + 0.0;
    if !m.is_finite() {
        return None;
    }

    let mut term = ExpBelowMax::new(s, s.splat(m));
    for (row, x) in rows.iter_mut().zip(x.chunks(VIRTUAL_LANES)) {
        for (register, _) in row.as_mut().iter_mut().zip(x.chunks(S::LANES)) {
            let (x, exp) = (*register, exp_scaled(s, s.sub(*register, term.m)));
            if !exps.is_empty() {
                s.store(exp, exps);
                exps = core::mem::take(&mut exps).get_mut(S::LANES..).unwrap_or_default();
            }
            *register = term.of_exp(s, x, exp);
        }
    }
    let sum = match rows {
        [row] => row.as_mut(),
        [e0, e1, e2, e3] => {
            let (e01, e23) =
                (e0.as_mut().iter_mut().zip(e1.as_ref()), e2.as_ref().iter().zip(e3.as_ref()));
            for ((e0, &e1), (&e2, &e3)) in e01.zip(e23) {
                *e0 = s.add(s.add(*e0, e1), s.add(e2, e3));
            }
            e0.as_mut()
        }
        _ => return None,
    };
    let mut error = s.row(s.splat(0.0));
    let error = error.as_mut().get_mut(..sum.len()).unwrap_or_default();
    let sum = fold_lanes(s, sum, error, x.len());
    if sum.hi.is_nan() { None } else { Some(with_ties(m, sum, lane_count(s, term.n_max()))) }
}
