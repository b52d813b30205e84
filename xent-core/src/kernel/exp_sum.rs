//! The sum of exponentials over one block, each in two steps.
//!
//! 1. The exponentials of a group of the tree are reduced, `x - m = n ln 2 + r`, and left half done in memory.
//! 2. While the next group is reduced, the polynomials of this one are evaluated and added.
//!
//! Of the 15 operations of an exponential 13 wait for one another (on SSE2, where a multiply-add is two, some 20),
//! and a CPU takes operations up in the order of the program, as many as its schedulers hold. Half a chain waits
//! half as long, and other halves run beside it: 0.8 of the time on AVX2 and SSE2. On AVX-512, of which a register
//! goes to memory and back in the time of two, and as WebAssembly it takes longer that way, and on NEON it was not
//! measured: there it is [`lane_sums`]. So it is where the exponentials are kept (`kept_exps.rs`), which takes them apart
//! from their sum.

use super::tree::{
    GROUP, LaneSums, ROWS_PER_GROUP, Term, add_keeping_error, add_rest, lane_sums, rows,
};
use crate::math::exp::exp_of_reduced;
use crate::simd::Simd;

/// An exponential of `x`, and what is done beside it.
pub(super) trait ExpTerm<S: Simd>: Term<S> {
    /// What [`exp_of_reduced`] makes an exponential of.
    fn reduced(&mut self, s: S, x: S::F32) -> (S::F32, S::F32);

    /// The term of `x`, of which the exponential `exp` is known.
    fn of_exp(&mut self, s: S, x: S::F32, exp: S::F32) -> S::F32;
}

/// How the exponentials of a row are added, a block at a time.
pub(super) trait ExpSums<S: Simd> {
    /// The next block, of `n` elements, is not added.
    fn skip(&mut self, n: usize);

    /// The next block has a new maximum.
    fn restart(&mut self);

    /// The sums of the lanes over the next block, `x`, of the exponentials of `x - m`.
    fn lane_sums<T: ExpTerm<S>>(&mut self, s: S, x: &[f32], m: S::F32, term: &mut T)
    -> LaneSums<S>;
}

/// Nothing but the sums is needed.
pub(super) struct Dropped;

impl<S: Simd> ExpSums<S> for Dropped {
    #[inline(always)]
    fn skip(&mut self, _: usize) {}

    #[inline(always)]
    fn restart(&mut self) {}

    #[inline(always)]
    fn lane_sums<T: ExpTerm<S>>(
        &mut self,
        s: S,
        x: &[f32],
        _: S::F32,
        term: &mut T,
    ) -> LaneSums<S> {
        exp_lane_sums(s, x, term)
    }
}

/// The sums of the lanes over one block, with the bits of [`lane_sums`].
#[inline(always)]
fn exp_lane_sums<S: Simd, T: ExpTerm<S>>(s: S, x: &[f32], term: &mut T) -> LaneSums<S> {
    if !S::IN_TWO_STEPS {
        return lane_sums(s, x, x, term);
    }
    let mut sums = LaneSums::new(s);
    let (groups, rest) = x.as_chunks::<GROUP>();
    if let Some(first) = groups.first() {
        let (mut here, mut ahead) = (ReducedGroup::new(s), ReducedGroup::new(s));
        let (mut here, mut ahead) = (&mut here, &mut ahead);
        here.set(s, first, term);
        for i in 0..groups.len() {
            if let Some(next) = groups.get(i + 1) {
                ahead.set(s, next, term);
            }
            here.add_to(s, &mut sums);
            core::mem::swap(&mut here, &mut ahead);
        }
    }
    add_rest(s, rest, rest, term, &mut sums);
    sums
}

/// A group of exponentials that are half done.
struct ReducedGroup<S: Simd> {
    r: [S::Row; ROWS_PER_GROUP],
    exponent: [S::Row; ROWS_PER_GROUP],
}

impl<S: Simd> ReducedGroup<S> {
    #[inline(always)]
    fn new(s: S) -> Self {
        let nothing = [s.row(s.splat(0.0)); ROWS_PER_GROUP];
        ReducedGroup { r: nothing, exponent: nothing }
    }

    #[inline(always)]
    fn set<T: ExpTerm<S>>(&mut self, s: S, x: &[f32; GROUP], term: &mut T) {
        let to = self.r.iter_mut().zip(&mut self.exponent);
        for (x, (r, exponent)) in rows(x).into_iter().zip(to) {
            let to = r.as_mut().iter_mut().zip(exponent.as_mut());
            for (x, (r, exponent)) in x.chunks_exact(S::LANES).zip(to) {
                (*r, *exponent) = term.reduced(s, s.load(x, 0.0));
            }
        }
    }

    #[inline(always)]
    fn add_to(&self, s: S, sums: &mut LaneSums<S>) {
        let [r0, r1, r2, r3] = &self.r;
        let [t0, t1, t2, t3] = &self.exponent;
        let r01 = r0.as_ref().iter().zip(r1.as_ref());
        let r23 = r2.as_ref().iter().zip(r3.as_ref());
        let t01 = t0.as_ref().iter().zip(t1.as_ref());
        let t23 = t2.as_ref().iter().zip(t3.as_ref());
        let lanes = sums.sum.as_mut().iter_mut().zip(sums.error.as_mut());
        for ((sum, error), (((&r0, &r1), (&r2, &r3)), ((&t0, &t1), (&t2, &t3)))) in
            lanes.zip(r01.zip(r23).zip(t01.zip(t23)))
        {
            let e01 = s.add(exp_of_reduced(s, r0, t0), exp_of_reduced(s, r1, t1));
            let e23 = s.add(exp_of_reduced(s, r2, t2), exp_of_reduced(s, r3, t3));
            (*sum, *error) = add_keeping_error(s, *sum, *error, s.add(e01, e23));
        }
    }
}
