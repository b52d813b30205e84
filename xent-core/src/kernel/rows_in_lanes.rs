//! The states of rows side by side, a row in each lane.
//!
//! Row by row, a row of ten spends its time on folding lanes and on one logarithm, and a row whose
//! classes are far apart on reading single elements. Here one vector holds a class of as many rows as
//! there are lanes, so that maximum and sum are taken, and the logarithm can be, for all of them at
//! once. The additions are those of `tree.rs`, in the same order: class `c` stands for element `c`, and
//! the 32 virtual lanes of the tree are vectors.
//!
//! 1. The maximum over the classes.
//! 2. The exponentials of what is below it, how many classes equal it, and their sum.
//! 3. What is not finite shows in the maximum, and a NaN in the sum, whatever the maximum then is.

use super::label::MAX_LANES;
use super::log_sum_exp::{BlockState, ExpBelowMax};
use super::map::is_finite;
use super::tree::{BLOCK, GROUP, Term, add_keeping_error, fold_registers};
use crate::math::exp::{SCALE, exp_of_reduced};
use crate::math::pair::Pair;
use crate::simd::{Simd, VIRTUAL_LANES};

/// Rows of up to this many classes that lie one after another are shorter here than by themselves.
pub(crate) const SHORT: usize = VIRTUAL_LANES;

/// Where a register holds many rows, the states of rows of up to this many classes are: those of 33 classes
/// take 0.43 of the time on AVX-512 and 0.57 on AVX2, those of 64 take 0.7 of it on both.
const MIDDLE: usize = 2 * VIRTUAL_LANES;

#[inline(always)]
const fn middle_gains<S: Simd>() -> bool {
    S::ONE_REGISTER && S::LANES > 1
}

/// Rows of a tile: short rows with the classes of all side by side, class `c` of row `r` at
/// `c * TILE_ROWS + r`.
pub(crate) const TILE_ROWS: usize = 32;

/// Elements of a tile.
pub(crate) const TILE: usize = SHORT * TILE_ROWS;

/// Where the elements of rows are: `c` of row `r` at `r * row_stride + c * class_stride`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) classes: usize,
    pub(crate) row_stride: usize,
    pub(crate) class_stride: usize,
}

impl Layout {
    /// One after another.
    #[inline(always)]
    pub(crate) const fn contiguous(classes: usize) -> Self {
        Layout { classes, row_stride: classes, class_stride: 1 }
    }

    /// Of the rows of a tile.
    #[inline(always)]
    pub(crate) const fn tile(classes: usize) -> Self {
        Layout { classes, row_stride: 1, class_stride: TILE_ROWS }
    }

    /// Whether rows may be taken in lanes.
    #[inline(always)]
    pub(crate) const fn fits_lanes(&self) -> bool {
        self.classes <= SHORT || (self.class_stride != 1 && self.classes <= BLOCK)
    }

    /// Whether the states of rows are taken in lanes.
    ///
    /// A group takes as long for one row as for as many as there are lanes, and one row by itself less.
    #[inline(always)]
    pub(super) fn goes_in_lanes<S: Simd>(&self, n_rows: usize) -> bool {
        let longest = if middle_gains::<S>() { MIDDLE } else { SHORT };
        let gains = self.classes <= longest && !S::ONE_BY_ONE && (n_rows > 1 || S::LANES == 1);
        gains || self.class_stride != 1
    }

    /// Stores a class of up to `n_rows` rows, the first of which is at the start of `x`.
    #[inline(always)]
    pub(super) fn store_column<S: Simd>(
        &self,
        s: S,
        v: S::F32,
        x: &mut [f32],
        class: usize,
        n_rows: usize,
    ) {
        let start = class * self.class_stride;
        let end = start + n_rows.saturating_sub(1) * self.row_stride + 1;
        let x = x.get_mut(start..end).unwrap_or_default();
        if self.row_stride == 1 {
            s.store(v, x);
        } else {
            s.store_strided(v, x, self.row_stride);
        }
    }

    /// A class of the rows in `x`, the first of which is at its start.
    #[inline(always)]
    pub(super) fn column<S: Simd>(&self, s: S, x: &[f32], class: usize) -> S::F32 {
        let x = x.get(class * self.class_stride..).unwrap_or(&[]);
        if self.row_stride == 1 { s.load(x, 0.0) } else { s.load_strided(x, self.row_stride) }
    }
}

/// The maximum over the classes; a zero is the positive one, as in `block_max`.
#[inline(always)]
pub(super) fn column_max<S: Simd>(s: S, x: &[f32], layout: Layout) -> S::F32 {
    let mut m = s.splat(f32::NEG_INFINITY);
    for class in 0..layout.classes {
        m = s.max(m, layout.column(s, x, class));
    }
    s.add(m, s.splat(0.0))
}

/// Registers for the classes of a group of rows, made once for all groups, and only if one is taken in lanes: to
/// clear them for each takes a fifth of the time of rows of ten on AVX-512. What is read was written for the group,
/// or is 0.
pub(super) struct Workspace<S: Simd> {
    terms: [S::F32; SHORT],
    errors: [S::F32; SHORT],
}

impl<S: Simd> Workspace<S> {
    #[inline(always)]
    pub(super) fn new(s: S) -> Self {
        let nothing = [s.splat(0.0); SHORT];
        Workspace { terms: nothing, errors: nothing }
    }
}

/// `m` and `s * 2^64` of as many rows as there are lanes, or fewer; the first is at the start of `x`.
///
/// A row with an infinite or NaN element has an infinite `m` or a NaN sum.
#[inline(always)]
pub(super) fn states<S: Simd>(
    s: S,
    x: &[f32],
    layout: Layout,
    work: &mut Workspace<S>,
) -> (S::F32, S::F32) {
    if layout.classes <= SHORT {
        short_states(s, x, layout, work)
    } else if middle_gains::<S>() && layout.classes <= MIDDLE {
        middle_states(s, x, layout, work)
    } else if layout.classes <= BLOCK {
        long_states(s, x, layout)
    } else {
        merged_states(s, x, layout)
    }
}

/// Of any number of classes: the states of blocks, each merged into that of its row as in
/// `log_sum_exp.rs`.
#[inline(always)]
fn merged_states<S: Simd>(s: S, x: &[f32], layout: Layout) -> (S::F32, S::F32) {
    let mut rows = [BlockState::EMPTY; MAX_LANES];
    for start in (0..layout.classes).step_by(BLOCK) {
        let x = x.get(start * layout.class_stride..).unwrap_or(&[]);
        let block = Layout { classes: BLOCK.min(layout.classes - start), ..layout };
        push_blocks(s, x, block, &mut rows);
    }
    let (mut m, mut sum) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
    for ((row, m), sum) in rows.iter().zip(&mut m).zip(&mut sum) {
        let state = row.state();
        (*m, *sum) = (state.max(), state.scaled_sum().hi);
    }
    (s.load(&m, 0.0), s.load(&sum, 0.0))
}

/// Adds a block of classes of each row to its state.
///
/// Where the block brings a new maximum its exponentials are taken relative to that, and where not to
/// the running one, as the kernel of single rows does.
#[inline(always)]
fn push_blocks<S: Simd>(s: S, x: &[f32], block: Layout, rows: &mut [BlockState; MAX_LANES]) {
    let zero = s.splat(0.0);
    let mut running = [f32::NEG_INFINITY; MAX_LANES];
    for (to, row) in running.iter_mut().zip(&*rows) {
        *to = row.chunk_max();
    }
    let block_max = column_max(s, x, block);
    let running_max = s.load(&running, 0.0);
    let is_new = s.lt(running_max, block_max);
    let m = s.select(is_new, block_max, running_max);
    // An infinite maximum is counted too: its difference from itself is NaN.
    let old = s.select(is_finite(s, m), s.splat(f32::NAN), m);
    let mut term = ExpBelowMax::counting(s, m, s.select(is_new, m, old));
    let (mut sums, mut errors) = ([zero; VIRTUAL_LANES], [zero; VIRTUAL_LANES]);
    add_groups(s, x, block, &mut term, &Columns, &mut sums, &mut errors);
    fold_registers(s, &mut sums, &mut errors, block.classes.min(VIRTUAL_LANES));

    let (mut max, mut sum) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
    let (mut error, mut n_max) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
    s.store(block_max, &mut max);
    s.store(sums[0], &mut sum);
    s.store(errors[0], &mut error);
    s.store(term.n_max(), &mut n_max);
    let values = max.iter().zip(&sum).zip(error.iter().zip(&n_max));
    for (row, ((&max, &sum), (&error, &n_max))) in rows.iter_mut().zip(values).take(S::LANES) {
        row.push_block(max, Pair::ordered_sum(sum, error), n_max);
    }
}

/// The maximum of `m` and the columns from class `first` on, which go to `columns`; with 0 added a zero is the
/// positive one, as in `block_max`.
#[inline(always)]
fn load_columns<S: Simd>(
    s: S,
    x: &[f32],
    layout: Layout,
    first: usize,
    mut m: S::F32,
    columns: &mut [S::F32],
) -> S::F32 {
    for (column, class) in columns.iter_mut().zip(first..layout.classes) {
        *column = layout.column(s, x, class);
        m = s.max(m, *column);
    }
    m
}

/// What `term` makes of columns, in their place; the other registers are 0 then.
///
/// In two steps half a chain of operations that wait for each other waits half as long, beside the halves of other columns.
#[inline(always)]
fn exponentials<S: Simd>(
    s: S,
    term: &mut ExpBelowMax<S>,
    columns: &mut [S::F32],
    exponents: &mut [S::F32],
) {
    if !S::IN_TWO_STEPS {
        for (column, exponent) in columns.iter_mut().zip(exponents) {
            (*column, *exponent) = (term.of(s, *column, *column), s.splat(0.0));
        }
        return;
    }
    for (column, exponent) in columns.iter_mut().zip(&mut *exponents) {
        (*column, *exponent) = term.reduced(s, *column);
    }
    for (column, exponent) in columns.iter_mut().zip(exponents) {
        *column = exp_of_reduced(s, *column, *exponent);
        *exponent = s.splat(0.0);
    }
}

/// Of up to [`SHORT`] classes, each of which is a virtual lane.
#[inline(always)]
fn short_states<S: Simd>(
    s: S,
    x: &[f32],
    layout: Layout,
    work: &mut Workspace<S>,
) -> (S::F32, S::F32) {
    let terms = work.terms.get_mut(..layout.classes).unwrap_or_default();
    let errors = work.errors.get_mut(..layout.classes).unwrap_or_default();
    let m = load_columns(s, x, layout, 0, s.splat(f32::NEG_INFINITY), terms);
    let m = s.add(m, s.splat(0.0));
    let mut term = ExpBelowMax::new(s, m);
    exponentials(s, &mut term, terms, errors);
    (m, total(s, &mut work.terms, &mut work.errors, layout.classes, term.n_max()).0)
}

/// Of more than [`SHORT`] and up to [`MIDDLE`] classes, two of which may be in a virtual lane.
#[inline(always)]
fn middle_states<S: Simd>(
    s: S,
    x: &[f32],
    layout: Layout,
    work: &mut Workspace<S>,
) -> (S::F32, S::F32) {
    let mut upper = [s.splat(0.0); MIDDLE - SHORT];
    let upper = upper.get_mut(..layout.classes - SHORT).unwrap_or_default();
    let m = load_columns(s, x, layout, 0, s.splat(f32::NEG_INFINITY), &mut work.terms);
    let m = s.add(load_columns(s, x, layout, SHORT, m, upper), s.splat(0.0));
    let mut term = ExpBelowMax::new(s, m);
    exponentials(s, &mut term, &mut work.terms, &mut work.errors);
    exponentials(s, &mut term, upper, &mut work.errors);
    for (sum, &upper) in work.terms.iter_mut().zip(&*upper) {
        *sum = s.add(*sum, upper);
    }
    (m, total(s, &mut work.terms, &mut work.errors, SHORT, term.n_max()).0)
}

/// The logits of up to [`SHORT`] classes, and `exp(x - m) * 2^64` of each.
pub(super) struct LogitsAndExps<S: Simd> {
    pub(super) logits: [S::F32; SHORT],
    pub(super) exps: [S::F32; SHORT],
    pub(super) work: Workspace<S>,
}

impl<S: Simd> LogitsAndExps<S> {
    #[inline(always)]
    pub(super) fn new(s: S) -> Self {
        let nothing = [s.splat(0.0); SHORT];
        LogitsAndExps { logits: nothing, exps: nothing, work: Workspace::new(s) }
    }

    /// Those of a group of rows; their maxima and their sums, as pairs.
    #[inline(always)]
    pub(super) fn set(&mut self, s: S, x: &[f32], layout: Layout) -> (S::F32, (S::F32, S::F32)) {
        let (n, work) = (layout.classes, &mut self.work);
        let m = load_columns(s, x, layout, 0, s.splat(f32::NEG_INFINITY), &mut self.logits);
        let m = s.add(m, s.splat(0.0));
        let terms = work.terms.get_mut(..n).unwrap_or_default();
        let errors = work.errors.get_mut(..n).unwrap_or_default();
        for (term, &logit) in terms.iter_mut().zip(&self.logits) {
            *term = logit;
        }
        let mut term = ExpBelowMax::new(s, m);
        exponentials(s, &mut term, terms, errors);
        for ((exp, &logit), &term) in self.exps.iter_mut().zip(&self.logits).zip(&*terms) {
            *exp = s.select(s.eq(logit, m), s.splat(SCALE), term);
        }
        (m, total(s, &mut work.terms, &mut work.errors, n, term.n_max()))
    }
}

/// Of up to [`BLOCK`] classes.
#[inline(always)]
fn long_states<S: Simd>(s: S, x: &[f32], layout: Layout) -> (S::F32, S::F32) {
    let (zero, m) = (s.splat(0.0), column_max(s, x, layout));
    let mut term = ExpBelowMax::new(s, m);
    let (mut sums, mut errors) = ([zero; VIRTUAL_LANES], [zero; VIRTUAL_LANES]);
    add_groups(s, x, layout, &mut term, &Columns, &mut sums, &mut errors);
    (m, total(s, &mut sums, &mut errors, VIRTUAL_LANES, term.n_max()).0)
}

/// What stands beside a class in a sum of terms: the `y` of [`Term::of`].
pub(super) trait Values<S: Simd> {
    fn of(&self, s: S, class: usize, column: S::F32) -> S::F32;
}

/// The class itself.
struct Columns;

impl<S: Simd> Values<S> for Columns {
    #[inline(always)]
    fn of(&self, _: S, _: usize, column: S::F32) -> S::F32 {
        column
    }
}

/// The loop of `tree::block_sum`, with vectors for virtual lanes.
#[inline(always)]
fn add_groups<S: Simd, T: Term<S>, V: Values<S>>(
    s: S,
    x: &[f32],
    layout: Layout,
    term: &mut T,
    values: &V,
    sums: &mut [S::F32; VIRTUAL_LANES],
    errors: &mut [S::F32; VIRTUAL_LANES],
) {
    for group in (0..layout.classes).step_by(GROUP) {
        let end = layout.classes.min(group + GROUP);
        for (lane, (sum, error)) in sums.iter_mut().zip(&mut *errors).enumerate() {
            let mut halves = [s.splat(0.0); 2];
            for (i, class) in (group + lane..end).step_by(VIRTUAL_LANES).enumerate() {
                let column = layout.column(s, x, class);
                let half = if i < 2 { 0 } else { 1 };
                halves[half] = s.add(halves[half], term.of(s, column, values.of(s, class, column)));
            }
            let [half_0, half_1] = halves;
            (*sum, *error) = add_keeping_error(s, *sum, *error, s.add(half_0, half_1));
        }
    }
}

/// The sums of `term` over the classes, at most [`BLOCK`], of as many rows as there are lanes: those of
/// `tree::block_sum`, as f32.
#[inline(always)]
pub(super) fn sums<S: Simd, T: Term<S>, V: Values<S>>(
    s: S,
    x: &[f32],
    layout: Layout,
    term: &mut T,
    values: &V,
    work: &mut Workspace<S>,
) -> S::F32 {
    let zero = s.splat(0.0);
    let (sums, errors) = (&mut work.terms, &mut work.errors);
    for (sum, error) in sums.iter_mut().zip(&mut *errors).take(layout.classes) {
        (*sum, *error) = (zero, zero);
    }
    if layout.classes <= SHORT {
        for (class, sum) in sums.iter_mut().enumerate().take(layout.classes) {
            let column = layout.column(s, x, class);
            *sum = term.of(s, column, values.of(s, class, column));
        }
    } else {
        add_groups(s, x, layout, term, values, sums, errors);
    }
    fold_registers(s, sums, errors, layout.classes.min(VIRTUAL_LANES));
    // As in the tree: an infinity among the terms makes their errors NaN, but not their sum.
    let sum = s.add(sums[0], errors[0]);
    let finite = s.eq(s.sub(sum, sum), zero);
    s.select(finite, sum, sums[0])
}

/// The sum over the lanes, then the classes beside one that equal the maximum: the additions of
/// `block_state`, as a pair.
#[inline(always)]
fn total<S: Simd>(
    s: S,
    sums: &mut [S::F32; VIRTUAL_LANES],
    errors: &mut [S::F32; VIRTUAL_LANES],
    n: usize,
    n_max: S::F32,
) -> (S::F32, S::F32) {
    fold_registers(s, sums, errors, n);
    let (sum, error) = (sums[0], errors[0]);
    let ordered = s.add(sum, error);
    let ordered_error = s.sub(error, s.sub(ordered, sum));
    let ties = s.mul(s.sub(n_max, s.splat(1.0)), s.splat(SCALE));
    add_to(s, ties, (ordered, ordered_error))
}

/// `a + b` of an f32 and a pair: the additions of `Pair::add`.
#[inline(always)]
pub(super) fn add_to<S: Simd>(s: S, a: S::F32, b: (S::F32, S::F32)) -> (S::F32, S::F32) {
    let (total, lost) = add_keeping_error(s, a, s.splat(0.0), b.0);
    let rest = s.add(lost, b.1);
    let hi = s.add(total, rest);
    (hi, s.sub(rest, s.sub(hi, total)))
}
