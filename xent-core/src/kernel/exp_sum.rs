//! The sum of exponentials over one block, and what is done beside it.
//!
//! A CPU takes operations up in the order of the program, as many as its schedulers hold, and of the 14 of an exponential
//! 13 wait for one another. So four exponentials are taken in turn, an operation of each after the other. Beside them
//! goes what would take time of its own at the end of a block: the sum over the lanes of the block before, a step after each
//! group, and the maximum of the next one. A long row takes 0.84 to 0.94 of the time, the bits are the same.
//!
//! As WebAssembly that is 8 % more code, of the scalar backend compilers make vectors by themselves, and on NEON it was
//! not measured: there it is [`lane_sums`], and what is not done beside it is done after it. Where the exponentials are kept
//! (`kept_exps.rs`) they are taken apart from their sum.

use super::tree::{
    Fold, GROUP, LaneSums, Maxima, Term, add_keeping_error, add_rest, lane_sums, rows,
};
use crate::math::exp::exps_scaled;
use crate::simd::Simd;

/// An exponential of `x - m`, and what is done beside it.
pub(super) trait ExpTerm<S: Simd>: Term<S> {
    fn m(&self) -> S::F32;

    /// The term of `x`, of which the exponential `exp` is known.
    fn of_exp(&mut self, s: S, x: S::F32, exp: S::F32) -> S::F32;

    /// The terms of four, in turn.
    #[inline(always)]
    fn of_four(&mut self, s: S, x: [S::F32; 4]) -> [S::F32; 4] {
        let (m, mut exps) = (self.m(), x);
        for exp in &mut exps {
            *exp = s.sub(*exp, m);
        }
        exps = exps_scaled(s, s.together(exps));
        for (exp, x) in exps.iter_mut().zip(x) {
            *exp = self.of_exp(s, x, *exp);
        }
        exps
    }
}

/// How the exponentials of a row are added, a block at a time.
pub(super) trait ExpSums<S: Simd> {
    /// The next block, of `n` elements, is not added.
    fn skip(&mut self, n: usize);

    /// The next block has a new maximum.
    fn restart(&mut self);

    /// The sums of the lanes over the next block, `x`, of terms.
    fn lane_sums<T: ExpTerm<S>>(&mut self, s: S, x: &[f32], term: &mut T) -> LaneSums<S>;

    /// The same; steps of the sum over the lanes of the block before, and of the maximum of the next one, may be taken.
    fn lane_sums_beside<T: ExpTerm<S>>(
        &mut self,
        s: S,
        x: &[f32],
        term: &mut T,
        before: &mut Fold<S>,
        next: &mut Maxima<'_, S>,
    ) -> LaneSums<S>;
}

/// Nothing but the sums is needed.
pub(super) struct Dropped;

impl<S: Simd> ExpSums<S> for Dropped {
    #[inline(always)]
    fn skip(&mut self, _: usize) {}

    #[inline(always)]
    fn restart(&mut self) {}

    #[inline(always)]
    fn lane_sums<T: ExpTerm<S>>(&mut self, s: S, x: &[f32], term: &mut T) -> LaneSums<S> {
        if !S::IN_TURN {
            return lane_sums(s, x, x, term);
        }
        let mut sums = LaneSums::new(s);
        let (groups, rest) = x.as_chunks::<GROUP>();
        for x in groups {
            add_group(s, x, term, &mut sums);
        }
        add_rest(s, rest, rest, term, &mut sums);
        sums
    }

    #[inline(always)]
    fn lane_sums_beside<T: ExpTerm<S>>(
        &mut self,
        s: S,
        x: &[f32],
        term: &mut T,
        before: &mut Fold<S>,
        next: &mut Maxima<'_, S>,
    ) -> LaneSums<S> {
        if !S::IN_TURN {
            return lane_sums(s, x, x, term);
        }
        let mut sums = LaneSums::new(s);
        let (groups, rest) = x.as_chunks::<GROUP>();
        for x in groups {
            add_group(s, x, term, &mut sums);
            next.step(s);
            before.step(s);
        }
        add_rest(s, rest, rest, term, &mut sums);
        sums
    }
}

/// A group of the tree.
#[inline(always)]
fn add_group<S: Simd, T: ExpTerm<S>>(
    s: S,
    x: &[f32; GROUP],
    term: &mut T,
    LaneSums { sum, error }: &mut LaneSums<S>,
) {
    let [x0, x1, x2, x3] = rows(x);
    let x01 = x0.chunks_exact(S::LANES).zip(x1.chunks_exact(S::LANES));
    let x23 = x2.chunks_exact(S::LANES).zip(x3.chunks_exact(S::LANES));
    let lanes = sum.as_mut().iter_mut().zip(error.as_mut());
    for ((sum, error), ((x0, x1), (x2, x3))) in lanes.zip(x01.zip(x23)) {
        let x = [s.load(x0, 0.0), s.load(x1, 0.0), s.load(x2, 0.0), s.load(x3, 0.0)];
        let [e0, e1, e2, e3] = term.of_four(s, x);
        let group = s.add(s.add(e0, e1), s.add(e2, e3));
        (*sum, *error) = add_keeping_error(s, *sum, *error, group);
    }
}
