//! Logits as a loss sees them: capped, lowered by the maximum of their row, divided by a temperature.
//!
//! `z = (c tanh(x / c) - shift) / T`, a block at a time into a buffer, so that every other kernel
//! takes them for plain logits. The maximum is taken away before the division: the digits of a
//! difference do not depend on a common offset.
//!
//! Source: G. Hinton et al., Distilling the Knowledge in a Neural Network (2015), for the temperature;
//! Gemma 2 (Gemma Team, 2024), section 2, for the cap.

use super::map::{Map, canonical, map, map_in_place};
use super::rows_in_lanes::{Layout, column_max};
use super::tree::{BLOCK, block_max};
use crate::math::tanh::{tanh, tanh_derivative};
use crate::simd::Simd;

/// What becomes of every logit before anything else sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LogitTransform {
    /// `+inf` is no cap.
    pub(crate) soft_cap: f32,
    pub(crate) temperature: f32,
}

impl LogitTransform {
    pub(crate) const NONE: LogitTransform =
        LogitTransform { soft_cap: f32::INFINITY, temperature: 1.0 };

    #[inline(always)]
    fn caps(&self) -> bool {
        self.soft_cap < f32::INFINITY
    }
}

/// A transform in vectors, and what is taken away after the cap.
pub(super) struct Transform<S: Simd> {
    caps: bool,
    tempers: bool,
    cap: S::F32,
    temperature: S::F32,
    shift: S::F32,
}

impl<S: Simd> Transform<S> {
    #[inline(always)]
    pub(super) fn new(s: S, transform: &LogitTransform, shift: f32) -> Self {
        Transform {
            caps: transform.caps(),
            tempers: transform.temperature != 1.0,
            cap: s.splat(transform.soft_cap),
            temperature: s.splat(transform.temperature),
            shift: s.splat(shift),
        }
    }

    #[inline(always)]
    fn capped(&self, s: S, x: S::F32) -> S::F32 {
        if !self.caps {
            return x;
        }
        let quotient = s.div(x, self.cap);
        let capped = s.mul(self.cap, tanh(s, quotient));
        // Up to 2^-75 the cap changes nothing, and a quotient that is subnormal would.
        s.select(s.eq(s.mul(quotient, quotient), s.splat(0.0)), x, capped)
    }

    #[inline(always)]
    fn tempered(&self, s: S, x: S::F32) -> S::F32 {
        if self.tempers { s.div(x, self.temperature) } else { x }
    }

    /// `z` of `x`.
    #[inline(always)]
    pub(super) fn of(&self, s: S, x: S::F32) -> S::F32 {
        self.tempered(s, s.sub(self.capped(s, x), self.shift))
    }

    /// The derivative by `x`, where that by `z` is `gradient`.
    #[inline(always)]
    pub(super) fn back(&self, s: S, x: S::F32, gradient: S::F32) -> S::F32 {
        let gradient = self.tempered(s, gradient);
        if self.caps { s.mul(gradient, tanh_derivative(s, s.div(x, self.cap))) } else { gradient }
    }
}

impl<S: Simd> Map<S> for Transform<S> {
    #[inline(always)]
    fn of(&self, s: S, x: S::F32, _: S::F32) -> S::F32 {
        Transform::of(self, s, x)
    }
}

/// The capped maximum of one or several blocks of a row and of `m`, which is taken away from all;
/// unspecified where there is a NaN.
#[inline(always)]
pub(crate) fn capped_max<S: Simd>(s: S, m: f32, x: &[f32], transform: &LogitTransform) -> f32 {
    let mut max = f32::NEG_INFINITY;
    for block in x.chunks(BLOCK) {
        let m = block_max(s, block);
        max = if m > max { m } else { max };
    }
    let capped = s.first(Transform::new(s, transform, 0.0).capped(s, s.splat(max)));
    if capped > m { capped } else { m }
}

/// `z` of a block.
#[inline(always)]
pub(crate) fn transformed<S: Simd>(
    s: S,
    x: &[f32],
    transform: &LogitTransform,
    shift: f32,
    out: &mut [f32],
) {
    map(s, x, x, out, &Transform::new(s, transform, shift));
}

/// `z` of rows of `classes` elements that lie one after another in `x`, each lowered by its maximum;
/// `offsets` are what they are lowered by, divided by the temperature.
#[inline(always)]
pub(crate) fn transformed_rows<S: Simd>(
    s: S,
    x: &mut [f32],
    classes: usize,
    transform: &LogitTransform,
    offsets: &mut [f32],
) {
    for (row, offset) in x.chunks_exact_mut(classes.max(1)).zip(offsets) {
        let shift = capped_max(s, f32::NEG_INFINITY, row, transform);
        map_in_place(s, row, &Transform::new(s, transform, shift));
        *offset = shift / transform.temperature;
    }
}

/// Where a block of logits was, its gradient, from that of its `z`.
#[inline(always)]
pub(crate) fn back_in_place<S: Simd>(
    s: S,
    x: &mut [f32],
    gradient: &[f32],
    transform: &LogitTransform,
) {
    let back = Transform::new(s, transform, 0.0);
    let blocks = x.chunks_mut(S::LANES).zip(gradient.chunks(S::LANES));
    for (x, gradient) in blocks {
        let v = back.back(s, s.load(x, 0.0), s.load(gradient, 0.0));
        s.store(canonical(s, v), x);
    }
}

/// `z` of up to `TILE_ROWS` rows of at most `SHORT` classes in a tile, each lowered by its maximum, and what
/// it was lowered by, as [`transformed_rows`] has them; without a transform, the rows as they are.
#[inline(always)]
pub(crate) fn transformed_tile<S: Simd>(
    s: S,
    x: &[f32],
    layout: Layout,
    transform: &LogitTransform,
    tile: &mut [f32],
    offsets: &mut [f32],
) {
    let tile_layout = Layout::tile(layout.classes);
    let plain = *transform == LogitTransform::NONE;
    for (group, offsets) in offsets.chunks_mut(S::LANES).enumerate() {
        let first = group * S::LANES;
        let x = x.get(first * layout.row_stride..).unwrap_or(&[]);
        let tile = tile.get_mut(first..).unwrap_or_default();
        for class in 0..layout.classes {
            tile_layout.store_column(s, layout.column(s, x, class), tile, class, S::LANES);
        }
        if plain {
            continue;
        }
        let none = s.splat(f32::NEG_INFINITY);
        let unshifted = Transform::new(s, transform, 0.0);
        let capped = unshifted.capped(s, column_max(s, tile, tile_layout));
        let shift = s.select(s.lt(none, capped), capped, none);
        let z = Transform { shift, ..unshifted };
        for class in 0..layout.classes {
            let v = Transform::of(&z, s, tile_layout.column(s, tile, class));
            tile_layout.store_column(s, v, tile, class, S::LANES);
        }
        s.store(s.div(shift, z.temperature), offsets);
    }
}

/// Where `n_rows` logits lie one after another, their gradients, from those of their `z` in a tile.
///
/// The gradient of a NaN is that of its row: NaN, or 0 in one that is absent.
#[inline(always)]
pub(crate) fn tile_back_in_place<S: Simd>(
    s: S,
    x: &mut [f32],
    classes: usize,
    transform: &LogitTransform,
    tile: &[f32],
    n_rows: usize,
) {
    let (layout, tile_layout) = (Layout::contiguous(classes), Layout::tile(classes));
    let plain = *transform == LogitTransform::NONE;
    let back = Transform::new(s, transform, 0.0);
    for first in (0..n_rows).step_by(S::LANES) {
        let x = x.get_mut(first * classes..).unwrap_or_default();
        let tile = tile.get(first..).unwrap_or(&[]);
        for class in 0..classes {
            let mut v = tile_layout.column(s, tile, class);
            if !plain {
                let column = layout.column(s, x, class);
                let by_x = canonical(s, back.back(s, column, v));
                v = s.select(s.eq(column, column), by_x, v);
            }
            layout.store_column(s, v, x, class, S::LANES.min(n_rows - first));
        }
    }
}
