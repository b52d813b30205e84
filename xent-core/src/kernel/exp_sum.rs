//! The sum of exponentials over one block, and what is done beside it.
//!
//! A CPU takes operations up in the order of the program, as many as its schedulers hold, and of the 14 of an exponential
//! 13 wait for one another. So four exponentials are taken in turn, an operation of each after the other, and the first half of
//! the next four comes before what is done with these: two chains of half the length, of which neither waits for the other. Beside
//! them goes what would take time of its own at the end of a block: the sum over the lanes of the block before, and the maximum
//! of the next one. The bits are the same.
//!
//! As WebAssembly that is 8 % more code, of the scalar backend compilers make vectors by themselves, and on NEON it was
//! not measured: there it is [`lane_sums`], and what is not done beside it is done after it.

use super::log_sum_exp::Exp;
use super::map::map;
use super::tree::{
    GROUP, LaneSums, Maxima, Term, add_keeping_error, add_rest, lane_sums, rows, rows_mut,
};
use crate::math::exp::{exp_of_reduced, reduced};
use crate::math::pair::Pair;
use crate::simd::{InTurn, Simd, VIRTUAL_LANES, Vector};

/// An exponential of `x - m`, and what is done beside it.
pub(super) trait ExpTerm<S: Simd>: Term<S> {
    fn m(&self) -> S::F32;

    /// The term of `x`, of which the exponential `exp` is known.
    fn of_exp(&mut self, s: S, x: S::F32, exp: S::F32) -> S::F32;
}

/// A term of an element and its exponential, which was kept.
struct OfKept<'a, T>(&'a mut T);

impl<S: Simd, T: ExpTerm<S>> Term<S> for OfKept<'_, T> {
    const PAD: (f32, f32) = (f32::NEG_INFINITY, 0.0);

    #[inline(always)]
    fn of(&mut self, s: S, x: S::F32, exp: S::F32) -> S::F32 {
        self.0.of_exp(s, x, exp)
    }
}

/// Where the exponentials of a row are kept, a block at a time.
pub(super) trait Keep {
    /// The place of the next block, of `n` elements; empty where nothing is kept.
    fn next(&mut self, n: usize) -> &mut [f32];

    /// The next block has a new maximum.
    fn restart(&mut self);

    /// Whether all of a block are to be kept before they are added: memory takes them faster in its own order than in that
    /// of the tree.
    fn in_order(&self) -> bool;
}

/// Nothing is kept.
pub(super) struct Dropped;

impl Keep for Dropped {
    #[inline(always)]
    fn next(&mut self, _: usize) -> &mut [f32] {
        &mut []
    }

    #[inline(always)]
    fn restart(&mut self) {}

    #[inline(always)]
    fn in_order(&self) -> bool {
        false
    }
}

/// The sums of the lanes over a block, `x`, of terms, of which the exponentials are kept in `exps`, unless that is empty; the sum
/// over the lanes of the block before. Steps of the maximum of the next block are taken beside. `in_order`: [`Keep::in_order`].
#[inline(always)]
pub(super) fn lane_sums_of_exps<S: Simd, T: ExpTerm<S>>(
    s: S,
    x: &[f32],
    exps: &mut [f32],
    in_order: bool,
    term: &mut T,
    before: Option<&LaneSums<S>>,
    max_of_next: &mut Maxima<'_, S>,
) -> (LaneSums<S>, Pair) {
    let mut sum_before = Pair::ZERO;
    if !S::IN_TURN {
        if exps.is_empty() {
            return (lane_sums(s, x, x, term), sum_before);
        }
        map(s, x, x, exps, &Exp { m: term.m() });
        return (lane_sums(s, x, exps, &mut OfKept(term)), sum_before);
    }
    if in_order {
        map(InTurn(s), x, x, exps, &Exp { m: [term.m(); 4] });
        if let Some(before) = before {
            sum_before = before.fold(s, VIRTUAL_LANES);
        }
        return (lane_sums(s, x, exps, &mut OfKept(term)), sum_before);
    }

    let mut sums = LaneSums::new(s);
    let (groups, rest) = x.as_chunks::<GROUP>();
    let (kept, kept_rest) = exps.as_chunks_mut::<GROUP>();
    let (mut groups, mut kept) = (groups.iter(), kept.iter_mut());
    let mut next = groups.next();
    let mut half_done = match next {
        Some(x) => half_of_first(s, x, term),
        None => half_of_nothing(s),
    };
    if let Some(before) = before {
        sum_before = before.fold(s, VIRTUAL_LANES);
    }
    while let Some(x) = next {
        next = groups.next();
        add_group(s, x, next, kept.next(), &mut half_done, term, &mut sums);
        max_of_next.step(s);
    }
    if kept_rest.is_empty() {
        add_rest(s, rest, rest, term, &mut sums);
    } else {
        map(s, rest, rest, kept_rest, &Exp { m: term.m() });
        add_rest(s, rest, kept_rest, &mut OfKept(term), &mut sums);
    }
    (sums, sum_before)
}

/// What a group adds to a register of the lanes.
type Four<'a> = ((&'a [f32], &'a [f32]), (&'a [f32], &'a [f32]));

/// The fours of a group, register by register.
#[inline(always)]
fn fours<S: Simd>(group: &[f32; GROUP]) -> impl Iterator<Item = Four<'_>> {
    let [x0, x1, x2, x3] = rows(group);
    let x01 = x0.chunks_exact(S::LANES).zip(x1.chunks_exact(S::LANES));
    let x23 = x2.chunks_exact(S::LANES).zip(x3.chunks_exact(S::LANES));
    x01.zip(x23)
}

#[inline(always)]
fn load<S: Simd>(s: S, ((x0, x1), (x2, x3)): Four<'_>) -> [S::F32; 4] {
    [s.load(x0, 0.0), s.load(x1, 0.0), s.load(x2, 0.0), s.load(x3, 0.0)]
}

/// What [`reduced`] makes of four: half of their exponentials.
type Half<S> = (<InTurn<S> as Vector>::F32, <InTurn<S> as Vector>::F32);

#[inline(always)]
fn half<S: Simd, T: ExpTerm<S>>(s: S, four: Four<'_>, term: &T) -> Half<S> {
    let s4 = InTurn(s);
    reduced(s4, s4.sub(load(s, four), [term.m(); 4]))
}

#[inline(always)]
fn half_of_nothing<S: Simd>(s: S) -> Half<S> {
    ([s.splat(0.0); 4], [s.splat(0.0); 4])
}

#[inline(always)]
fn half_of_first<S: Simd, T: ExpTerm<S>>(s: S, x: &[f32; GROUP], term: &T) -> Half<S> {
    match fours::<S>(x).next() {
        Some(four) => half(s, four, term),
        None => half_of_nothing(s),
    }
}

/// A group of the tree, of which the first four are half done; then those of the next group are.
#[inline(always)]
fn add_group<S: Simd, T: ExpTerm<S>>(
    s: S,
    x: &[f32; GROUP],
    next: Option<&[f32; GROUP]>,
    kept: Option<&mut [f32; GROUP]>,
    half_done: &mut Half<S>,
    term: &mut T,
    LaneSums { sum, error }: &mut LaneSums<S>,
) {
    let [k0, k1, k2, k3] = match kept {
        Some(kept) => rows_mut(kept),
        None => Default::default(),
    };
    let kept01 = k0.chunks_exact_mut(S::LANES).zip(k1.chunks_exact_mut(S::LANES));
    let kept23 = k2.chunks_exact_mut(S::LANES).zip(k3.chunks_exact_mut(S::LANES));
    let mut kept = kept01.zip(kept23);
    let mut following = fours::<S>(x).skip(1);

    for ((sum, error), x) in sum.as_mut().iter_mut().zip(error.as_mut()).zip(fours::<S>(x)) {
        let (r, t) = *half_done;
        let mut exps = exp_of_reduced(InTurn(s), r, t);
        if let Some(x) = following.next() {
            *half_done = half(s, x, term);
        } else if let Some(next) = next {
            *half_done = half_of_first(s, next, term);
        }
        if let Some(((k0, k1), (k2, k3))) = kept.next() {
            for (exp, kept) in exps.into_iter().zip([k0, k1, k2, k3]) {
                s.store(exp, kept);
            }
        }
        for (exp, x) in exps.iter_mut().zip(load(s, x)) {
            *exp = term.of_exp(s, x, *exp);
        }
        let [e0, e1, e2, e3] = exps;
        let group = s.add(s.add(e0, e1), s.add(e2, e3));
        (*sum, *error) = add_keeping_error(s, *sum, *error, group);
    }
}
