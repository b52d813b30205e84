//! The loops that make one element of output from one of input.
//!
//! What is left at the end is done with the last whole register, of which some elements were done before:
//! on AVX2 a masked store takes longer than to compute them twice.

use crate::simd::Vector;

/// What becomes of an element of `x` and one of `y`.
pub(super) trait Map<S: Vector> {
    fn of(&self, s: S, x: S::F32, y: S::F32) -> S::F32;
}

#[inline(always)]
pub(super) fn map<S: Vector, M: Map<S>>(s: S, x: &[f32], y: &[f32], out: &mut [f32], map: &M) {
    let end = out.len().saturating_sub(S::LANES);
    let (x_end, y_end) = (x.get(end..).unwrap_or(&[]), y.get(end..).unwrap_or(&[]));
    let chunks = x.chunks_exact(S::LANES).zip(y.chunks_exact(S::LANES));
    for ((x, y), out) in chunks.zip(out.chunks_exact_mut(S::LANES)) {
        s.store(map.of(s, s.load(x, 0.0), s.load(y, 0.0)), out);
    }
    if !out.len().is_multiple_of(S::LANES) {
        let v = map.of(s, s.load(x_end, 0.0), s.load(y_end, 0.0));
        s.store(v, out.get_mut(end..).unwrap_or_default());
    }
}

/// What becomes of an element of `x`, one of `y`, and what was made of them before, whose place it takes.
pub(super) trait MapOnto<S: Vector> {
    fn of(&self, s: S, x: S::F32, y: S::F32, before: S::F32) -> S::F32;
}

/// As [`map`], of what `out` holds too.
#[inline(always)]
pub(super) fn map_onto<S: Vector, M: MapOnto<S>>(
    s: S,
    x: &[f32],
    y: &[f32],
    out: &mut [f32],
    map: &M,
) {
    let end = out.len().saturating_sub(S::LANES);
    let x_end = s.load(x.get(end..).unwrap_or(&[]), 0.0);
    let y_end = s.load(y.get(end..).unwrap_or(&[]), 0.0);
    let before_end = s.load(out.get(end..).unwrap_or(&[]), 0.0);
    let chunks = x.chunks_exact(S::LANES).zip(y.chunks_exact(S::LANES));
    for ((x, y), out) in chunks.zip(out.chunks_exact_mut(S::LANES)) {
        s.store(map.of(s, s.load(x, 0.0), s.load(y, 0.0), s.load(out, 0.0)), out);
    }
    if !out.len().is_multiple_of(S::LANES) {
        s.store(map.of(s, x_end, y_end, before_end), out.get_mut(end..).unwrap_or_default());
    }
}

/// A map that looks at one slice gets its element twice.
#[inline(always)]
pub(super) fn map_in_place<S: Vector, M: Map<S>>(s: S, x: &mut [f32], map: &M) {
    let end = x.len().saturating_sub(S::LANES);
    let v_end = s.load(x.get(end..).unwrap_or(&[]), 0.0);
    for x in x.chunks_exact_mut(S::LANES) {
        let v = s.load(x, 0.0);
        s.store(map.of(s, v, v), x);
    }
    if !x.len().is_multiple_of(S::LANES) {
        s.store(map.of(s, v_end, v_end), x.get_mut(end..).unwrap_or_default());
    }
}

/// One bit pattern for all NaN: which payload and sign an operation gives depends on the CPU.
#[inline(always)]
pub(super) fn canonical<S: Vector>(s: S, x: S::F32) -> S::F32 {
    s.select(s.eq(x, x), x, s.splat(f32::NAN))
}

#[inline(always)]
pub(super) fn is_finite<S: Vector>(s: S, x: S::F32) -> S::Mask {
    s.eq(s.sub(x, x), s.splat(0.0))
}
