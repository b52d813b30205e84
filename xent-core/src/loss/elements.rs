//! Losses that give one value an element: what the binary losses share.

use core::ops::Range;

use super::{GradientScale, LossTotal, check_length, exponent, is_far, is_in_f32, power_of_two};
use crate::kernel::binary::{BinaryTerms, Elements};
use crate::targets::BinaryTargets;
use crate::{Error, Rows};

use super::options::{check_option, check_smoothing, check_weight, check_weights, have_far};

/// Elements are computed this many at a time where they have weights, or do not lie side by side.
const PIECE: usize = 256;

/// The options of a binary loss, from logits or from probabilities.
#[derive(Clone, Copy, Debug)]
pub(super) struct BinaryOptions<'w> {
    pub(super) pos_weights: Option<&'w [f32]>,
    pub(super) terms: BinaryTerms,
}

impl BinaryOptions<'_> {
    pub(super) const NONE: BinaryOptions<'static> = BinaryOptions {
        pos_weights: None,
        terms: BinaryTerms { label_smoothing: 0.0, gamma: 0.0, alpha: None },
    };

    #[inline]
    pub(super) fn are_none(&self) -> bool {
        self.pos_weights.is_none()
            && self.terms.label_smoothing == 0.0
            && self.terms.gamma == 0.0
            && self.terms.alpha.is_none()
    }

    /// Whether a weight of the options [`is_far`].
    fn are_far(&self) -> bool {
        self.terms.alpha.is_some_and(|alpha| is_far(f64::from(alpha))) || have_far(self.pos_weights)
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        check_smoothing(self.terms.label_smoothing)?;
        check_weight("focal_gamma", self.terms.gamma)?;
        if let Some(alpha) = self.terms.alpha {
            check_option("focal_alpha", alpha, (0.0..=1.0).contains(&alpha))?;
        }
        check_weights("pos_weights", self.pos_weights.unwrap_or_default())
    }
}

/// A loss that gives one value an element.
pub(super) trait ElementLoss {
    fn options(&self) -> &BinaryOptions<'_>;

    /// Whether the options, but for the number of `pos_weights`, are in their ranges.
    fn validate(&self) -> Result<(), Error>;

    /// Whether there is no option that changes what an element costs.
    fn is_plain(&self) -> bool;

    /// The losses of slices of one length, without options.
    fn plain_losses(&self, x: &[f32], y: &[f32], out: &mut [f32]);

    /// The losses of elements with options.
    fn losses(&self, elements: Elements<'_>, out: &mut [f32]);

    /// Their gradients, times their scales.
    fn gradients(&self, elements: Elements<'_>, out: &mut [f32]);

    fn check(&self, x: &Rows<'_>, targets: &BinaryTargets<'_>) -> Result<(), Error> {
        self.validate()?;
        if let Some(weights) = self.options().pos_weights {
            check_length(x.classes(), weights.len())?;
        }
        targets.check(x)
    }

    /// The losses of the elements `range` in row-major order, as many as `out` has.
    fn losses_of_range(
        &self,
        x: &Rows<'_>,
        targets: &BinaryTargets<'_>,
        range: Range<usize>,
        out: &mut [f32],
    ) {
        let plain = self.is_plain() && !targets.are_weighted();
        if let (true, Some(x), Some(y)) = (plain, x.as_contiguous(), targets.rows.as_contiguous()) {
            let x = x.get(range.clone()).unwrap_or_default();
            return self.plain_losses(x, y.get(range).unwrap_or_default(), out);
        }
        for (start, out) in range.step_by(PIECE).zip(out.chunks_mut(PIECE)) {
            let mut piece = Piece::new(start, out.len());
            piece.read_x(x);
            piece.read_targets(targets, self.options().pos_weights);
            if plain {
                let Elements { x, y, .. } = piece.elements();
                self.plain_losses(x, y, out);
            } else {
                self.losses(piece.elements(), out);
            }
        }
    }

    fn checked_losses(
        &self,
        x: &Rows<'_>,
        targets: &BinaryTargets<'_>,
        out: &mut [f32],
    ) -> Result<(), Error> {
        self.check(x, targets)?;
        check_length(x.n_elements(), out.len())?;
        targets.for_tiles_of(x, |rows, x, targets| {
            let elements = rows.start * x.classes()..rows.end * x.classes();
            let out = out.get_mut(elements).unwrap_or_default();
            self.losses_of_range(x, targets, 0..x.n_elements(), out);
        });
        Ok(())
    }

    fn checked_total(&self, x: &Rows<'_>, targets: &BinaryTargets<'_>) -> Result<LossTotal, Error> {
        self.check(x, targets)?;
        let (mut total, far_options) = (LossTotal::EMPTY, self.options().are_far());
        for_pieces(x, targets, &mut total, |_, x, targets, range, chunk_total| {
            let mut buffer = [0.0; PIECE];
            let losses = buffer.get_mut(..range.len()).unwrap_or_default();
            self.losses_of_range(x, targets, range.clone(), losses);
            for_positions(x.classes(), range.clone(), |i, row, _| {
                let (loss, weight) = (losses.get(i).copied(), targets.sample_weight(row));
                let mut loss = f64::from(loss.unwrap_or(f32::NAN));
                if is_far(f64::from(weight)) || far_options && weight != 0.0 {
                    let mut piece = Piece::new(range.start + i, 1);
                    piece.read_x(x);
                    piece.read_targets(targets, self.options().pos_weights);
                    loss = self.far_loss(&piece, 0);
                }
                chunk_total.push_weighted(loss, f64::from(weight));
            });
        });
        Ok(total)
    }

    /// The weighted loss of element `i` of a piece, in f64: of one a weight of which [`is_far`].
    fn far_loss(&self, piece: &Piece, i: usize) -> f64 {
        let (Elements { x, y, pos_weights, scales }, mut loss) = (piece.elements(), [0.0]);
        let one = |of: &[f32]| [of.get(i).copied().unwrap_or(f32::NAN)];
        let (x, y, pos_weights, [weight]) = (one(x), one(y), one(pos_weights), one(scales));
        let element = Elements { x: &x, y: &y, pos_weights: &pos_weights, scales: &[1.0] };
        self.losses(element, &mut loss);
        f64::from(weight) * f64::from(loss[0])
    }

    /// What the gradient of a sum is multiplied by.
    fn checked_factor(
        &self,
        targets: &BinaryTargets<'_>,
        scale: GradientScale,
    ) -> Result<f64, Error> {
        scale.validate()?;
        let rows = targets.rows;
        Ok(scale.factor(|| {
            let mut weights = LossTotal::EMPTY;
            for row in 0..rows.n_rows() {
                weights.push_nothing(rows.classes(), targets.sample_weight(row));
            }
            weights
        }))
    }

    /// `factor` times the gradients of the elements of a piece whose `x` is there; adds their losses.
    /// `far_options`: whether the options [are far](BinaryOptions::are_far), which reads all weights.
    fn gradients_of_piece(
        &self,
        piece: &mut Piece,
        targets: &BinaryTargets<'_>,
        (factor, far_options): (f64, bool),
        out: &mut [f32],
        total: &mut LossTotal,
    ) {
        piece.read_targets(targets, self.options().pos_weights);
        // The losses first, in the place of the gradients.
        self.losses(piece.elements(), out);
        for (i, (&loss, &weight)) in out.iter().zip(&piece.scales).enumerate() {
            let weight = f64::from(weight);
            let far = is_far(weight) || far_options && weight != 0.0;
            let loss = if far { self.far_loss(piece, i) } else { f64::from(loss) };
            total.push_weighted(loss, weight);
        }
        let exact = |weight: f32| f64::from(weight) * factor;
        if piece.scales.iter().all(|&weight| is_in_f32(exact(weight))) {
            for scale in &mut piece.scales {
                *scale = exact(*scale) as f32;
            }
            return self.gradients(piece.elements(), out);
        }
        // In two factors: a half before what else may be far, and the rest afterwards.
        let weights = piece.scales;
        let near = |scale: f64| power_of_two((exponent(scale) / 2).clamp(-100, 100));
        for scale in &mut piece.scales {
            *scale = if exact(*scale) == 0.0 { 0.0 } else { near(exact(*scale)) };
        }
        self.gradients(piece.elements(), out);
        for (out, scale) in out.iter_mut().zip(weights.map(exact)) {
            if scale != 0.0 {
                *out = (f64::from(*out) * (scale / f64::from(near(scale)))) as f32;
            }
        }
    }

    fn checked_gradient(
        &self,
        x: &Rows<'_>,
        targets: &BinaryTargets<'_>,
        scale: GradientScale,
        out: &mut [f32],
    ) -> Result<LossTotal, Error> {
        self.check(x, targets)?;
        check_length(x.n_elements(), out.len())?;
        let factors = (self.checked_factor(targets, scale)?, self.options().are_far());
        let mut total = LossTotal::EMPTY;
        for_pieces(x, targets, &mut total, |at, x, targets, range, chunk_total| {
            let out = out.get_mut(at..at + range.len()).unwrap_or_default();
            let mut piece = Piece::new(range.start, out.len());
            piece.read_x(x);
            self.gradients_of_piece(&mut piece, targets, factors, out, chunk_total);
        });
        Ok(total)
    }

    fn checked_gradient_in_place(
        &self,
        x: &mut [f32],
        targets: &BinaryTargets<'_>,
        scale: GradientScale,
    ) -> Result<LossTotal, Error> {
        let shape = targets.rows;
        self.check(&Rows::new(x, shape.n_rows(), shape.classes())?, targets)?;
        let factors = (self.checked_factor(targets, scale)?, self.options().are_far());
        let mut total = LossTotal::EMPTY;
        for_pieces(&shape, targets, &mut total, |at, _, targets, range, chunk_total| {
            let x = x.get_mut(at..at + range.len()).unwrap_or_default();
            let mut piece = Piece::new(range.start, x.len());
            piece.set_x(x);
            self.gradients_of_piece(&mut piece, targets, factors, x, chunk_total);
        });
        Ok(total)
    }
}

/// Calls `push` for up to [`PIECE`] elements at a time, in row-major order: with the place of the first,
/// some rows and their targets, which of their elements they are, and a total that merges into `total`
/// every [`LossTotal::CHUNK_ROWS`] rows.
fn for_pieces(
    x: &Rows<'_>,
    targets: &BinaryTargets<'_>,
    total: &mut LossTotal,
    mut push: impl FnMut(usize, &Rows<'_>, &BinaryTargets<'_>, Range<usize>, &mut LossTotal),
) {
    let mut at = 0;
    for start in (0..x.n_rows()).step_by(LossTotal::CHUNK_ROWS) {
        let chunk = LossTotal::chunk_at(start, x.n_rows());
        let mut chunk_total = LossTotal::EMPTY;
        targets.range(chunk.clone()).for_tiles_of(&x.range(chunk), |_, x, targets| {
            for start in (0..x.n_elements()).step_by(PIECE) {
                let range = start..x.n_elements().min(start.saturating_add(PIECE));
                let len = range.len();
                push(at, x, targets, range, &mut chunk_total);
                at += len;
            }
        });
        *total = total.merge(chunk_total);
    }
}

/// Calls `of` with the index in `range`, the row and the class of each of its elements.
fn for_positions(classes: usize, range: Range<usize>, mut of: impl FnMut(usize, usize, usize)) {
    let mut row = range.start.checked_div(classes).unwrap_or(0);
    let mut class = range.start - row * classes;
    for i in 0..range.len() {
        of(i, row, class);
        class += 1;
        if class == classes {
            (row, class) = (row + 1, 0);
        }
    }
}

/// Some elements, copied side by side with what they count.
pub(super) struct Piece {
    start: usize,
    len: usize,
    x: [f32; PIECE],
    y: [f32; PIECE],
    pos_weights: [f32; PIECE],
    scales: [f32; PIECE],
}

impl Piece {
    /// The `len` elements, at most [`PIECE`], from `start` on.
    fn new(start: usize, len: usize) -> Self {
        Piece {
            start,
            len,
            x: [0.0; PIECE],
            y: [0.0; PIECE],
            pos_weights: [1.0; PIECE],
            scales: [1.0; PIECE],
        }
    }

    fn elements(&self) -> Elements<'_> {
        Elements {
            x: self.x.get(..self.len).unwrap_or_default(),
            y: self.y.get(..self.len).unwrap_or_default(),
            pos_weights: self.pos_weights.get(..self.len).unwrap_or_default(),
            scales: self.scales.get(..self.len).unwrap_or_default(),
        }
    }

    fn set_x(&mut self, x: &[f32]) {
        for (to, &x) in self.x.iter_mut().zip(x) {
            *to = x;
        }
    }

    fn read_x(&mut self, rows: &Rows<'_>) {
        read(rows, self.start..self.start + self.len, &mut self.x);
    }

    fn read_targets(&mut self, targets: &BinaryTargets<'_>, pos_weights: Option<&[f32]>) {
        let range = self.start..self.start + self.len;
        read(&targets.rows, range.clone(), &mut self.y);
        if !targets.are_weighted() && pos_weights.is_none() {
            return;
        }
        let Piece { pos_weights: to_pos_weights, scales, .. } = self;
        for_positions(targets.rows.classes(), range, |i, row, class| {
            if let Some(scale) = scales.get_mut(i) {
                *scale = targets.sample_weight(row);
            }
            let pos_weight = pos_weights.and_then(|weights| weights.get(class));
            if let (Some(to), Some(&weight)) = (to_pos_weights.get_mut(i), pos_weight) {
                *to = weight;
            }
        });
    }
}

/// Copies elements in row-major order.
fn read(rows: &Rows<'_>, range: Range<usize>, to: &mut [f32; PIECE]) {
    if let Some(from) = rows.as_contiguous().and_then(|all| all.get(range.clone())) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = from;
        }
        return;
    }
    let classes = rows.classes();
    let mut row = range.start.checked_div(classes).unwrap_or(0);
    let mut class = range.start - row * classes;
    let mut to = to.get_mut(..range.len()).unwrap_or_default();
    while !to.is_empty() && class < classes {
        let len = to.len().min(classes - class);
        let Some((now, rest)) = to.split_at_mut_checked(len) else { return };
        match rows.as_slice(row).and_then(|row| row.get(class..)) {
            Some(from) => {
                for (to, &from) in now.iter_mut().zip(from) {
                    *to = from;
                }
            }
            None => {
                for (to, class) in now.iter_mut().zip(class..) {
                    *to = rows.get(row, class).unwrap_or(f32::NAN);
                }
            }
        }
        (row, class, to) = (row + 1, 0, rest);
    }
}
