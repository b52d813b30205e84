//! How the rows of a [`ClippedCrossEntropy`] are computed.

use super::ClippedCrossEntropy;
use crate::Backend;
use crate::kernel::clipped::Normalizer;
use crate::kernel::tree::{BLOCK, TreeSum};
use crate::loss::options::{ClassOptions, Row};
use crate::loss::{BATCH, RowLoss, Scratch, canonical, weighted};
use crate::targets::{Kind, Targets};
use crate::{Error, Rows};

impl ClippedCrossEntropy<'_> {
    /// What the loss of a row with a label is multiplied by.
    fn label_weight(&self, label: usize) -> f32 {
        self.options.class_weight(label) * self.options.focal_alpha
    }

    /// A row in any layout as its maximum and the sum of the others; `None` where its sum is not
    /// positive and finite.
    fn normalizer(&self, p: &Rows<'_>, row: usize) -> Option<Normalizer> {
        let mut max = f32::NEG_INFINITY;
        p.for_blocks(row, |p| max = self.backend.max(max, p));
        let mut normalizer = Normalizer::new(max);
        p.for_blocks(row, |p| self.backend.normalizer_push(&mut normalizer, p));
        normalizer.is_valid().then_some(normalizer)
    }

    /// What the classes `start ..`, those of `p`, of a row count.
    fn class_terms<'b>(
        &self,
        targets: &'b Targets<'_>,
        position: (usize, usize),
        start: usize,
        p: &[f32],
        buffer: &'b mut [f32; BLOCK],
    ) -> &'b [f32] {
        let place = (start, p.len());
        let shown = if self.hides_nan() { p } else { &[] };
        self.options.class_terms(self.backend, targets, position, place, shown, buffer)
    }

    /// Whether a NaN probability may stand under a class that counts 0: one of weight 0.
    fn hides_nan(&self) -> bool {
        self.options.class_weights.is_some()
    }

    /// Calls `push` with the probabilities of a row and what their classes count, block by block.
    fn for_blocks(
        &self,
        p: &Rows<'_>,
        row: usize,
        targets: &Targets<'_>,
        position: (usize, usize),
        scratch: &mut Scratch,
        mut push: impl FnMut(&[f32], &[f32]),
    ) {
        for start in (0..p.classes()).step_by(BLOCK) {
            let p = p.block(row, start, &mut scratch.x);
            push(p, self.class_terms(targets, position, start, p, &mut scratch.v));
        }
    }

    /// What is known of row `p_row` of `p`, which is row `row` of `targets`, before its terms.
    fn prepared(&self, p: &Rows<'_>, p_row: usize, targets: &Targets<'_>, row: usize) -> Prepared {
        let Some(Row { label, sample_weight }) = self.options.row(targets, row) else {
            return Prepared::Absent;
        };
        let label_weight = label.map_or(1.0, |label| self.label_weight(label));
        let counts = label_weight != 0.0 || self.options.label_smoothing != 0.0;
        if sample_weight == 0.0 || !counts || self.options.focal_alpha == 0.0 {
            return Prepared::Absent;
        }
        if !self.normalize {
            return Prepared::Counts { label, sample_weight, normalizer: None };
        }
        match self.normalizer(p, p_row) {
            Some(n) => Prepared::Counts { label, sample_weight, normalizer: Some(n) },
            None => Prepared::HasNoSum,
        }
    }

    /// The loss of a row before its sample weight.
    fn loss_of(
        &self,
        p: &Rows<'_>,
        p_row: usize,
        targets: &Targets<'_>,
        (row, label): (usize, Option<usize>),
        normalizer: Option<&Normalizer>,
        scratch: &mut Scratch,
    ) -> f32 {
        let (backend, clip, gamma) = (self.backend, self.clip, self.options.focal_gamma);
        if let (Some(label), true) = (label, self.options.label_smoothing == 0.0) {
            let mut loss = [p.get(p_row, label).unwrap_or(f32::NAN)];
            match normalizer {
                None => backend.clipped_label_losses(&mut loss, clip, gamma),
                Some(n) => backend.normalized_label_losses(&mut loss, n, clip, gamma),
            }
            return weighted(self.label_weight(label), loss[0]);
        }
        let (mut sum, hides) = (TreeSum::EMPTY, self.hides_nan());
        let position = (row, p.classes());
        self.for_blocks(p, p_row, targets, position, scratch, |p, v| match normalizer {
            None => backend.clipped_loss_sum(&mut sum, p, v, clip, gamma, hides),
            Some(n) => backend.normalized_loss_sum(&mut sum, p, v, n, clip, gamma),
        });
        weighted(self.options.focal_alpha, sum.value().hi)
    }

    fn row_loss(
        &self,
        p: &Rows<'_>,
        targets: &Targets<'_>,
        row: usize,
        scratch: &mut Scratch,
    ) -> f32 {
        match self.prepared(p, row, targets, row) {
            Prepared::Absent => 0.0,
            Prepared::HasNoSum => f32::NAN,
            Prepared::Counts { label, sample_weight, normalizer } => {
                let normalizer = normalizer.as_ref();
                let loss = self.loss_of(p, row, targets, (row, label), normalizer, scratch);
                canonical(sample_weight * loss)
            }
        }
    }

    /// The losses of rows whose terms are summed over the classes: in lanes where they fit, else row by row.
    fn class_losses(&self, p: &Rows<'_>, targets: &Targets<'_>, out: &mut [f32]) {
        if self.options.focal_alpha == 0.0 {
            return out.fill(0.0);
        }
        p.for_runs(BATCH, |rows, run, layout| {
            let (p, targets) = (p.range(rows.clone()), targets.range(rows.clone()));
            let out = out.get_mut(rows).unwrap_or_default();
            let batch = self.options.label_batch(&targets, &[], out.len());
            // One row by itself takes less.
            let gains = Backend::SIMD && out.len() > 1 && layout.fits_lanes();
            if let (Some(targets), true) = (batch.class_targets(&targets), gains && !self.normalize)
            {
                let rows = batch.class_rows(targets, &self.options, p.classes());
                let (clip, gamma) = (self.clip, self.options.focal_gamma);
                return self.backend.clipped_losses_in_lanes(run, layout, rows, clip, gamma, out);
            }
            let (mut scratch, mut out) = (Scratch::CLEAR, out.iter_mut());
            targets.for_tiles_of(&p, |rows, p, targets| {
                for (row, out) in (0..rows.len()).zip(&mut out) {
                    *out = self.row_loss(p, targets, row, &mut scratch);
                }
            });
        });
    }

    /// The loss of a row, and `factor` times its gradient in the place of its probabilities.
    fn row_gradient_of(
        &self,
        p: &mut [f32],
        targets: &Targets<'_>,
        row: usize,
        factor: f32,
        scratch: &mut Scratch,
    ) -> Result<f32, Error> {
        let view = Rows::new(p, 1, p.len())?;
        let (label, sample_weight, normalizer) = match self.prepared(&view, 0, targets, row) {
            Prepared::Absent => {
                p.fill(0.0);
                return Ok(0.0);
            }
            Prepared::HasNoSum => {
                p.fill(if factor == 0.0 { 0.0 } else { f32::NAN });
                return Ok(f32::NAN);
            }
            Prepared::Counts { label, sample_weight, normalizer } => {
                (label, sample_weight, normalizer)
            }
        };
        let loss = self.loss_of(&view, 0, targets, (row, label), normalizer.as_ref(), scratch);
        let loss = canonical(sample_weight * loss);
        let (backend, clip, gamma) = (self.backend, self.clip, self.options.focal_gamma);
        let scale = sample_weight * factor * self.options.focal_alpha;
        if scale == 0.0 {
            p.fill(0.0);
            return Ok(loss);
        }
        let position = (row, p.len());
        if let (Some(label), false) = (label, self.reads_all_classes()) {
            let mut gradient = [p.get(label).copied().unwrap_or(f32::NAN)];
            let weight = [self.options.class_weight(label)];
            backend.clipped_gradient_in_place(&mut gradient, &weight, clip, gamma, scale, false);
            p.fill(0.0);
            if let Some(to) = p.get_mut(label) {
                *to = gradient[0];
            }
            return Ok(loss);
        }
        let mut sum = TreeSum::EMPTY;
        if let Some(n) = &normalizer {
            self.for_blocks(&view, 0, targets, position, scratch, |p, v| {
                backend.normalized_slope_sum(&mut sum, p, v, n, clip, gamma);
            });
        }
        let total = sum.value().hi;
        for (i, p) in p.chunks_mut(BLOCK).enumerate() {
            let v = self.class_terms(targets, position, i * BLOCK, p, &mut scratch.v);
            match &normalizer {
                None => {
                    let hides = self.hides_nan();
                    backend.clipped_gradient_in_place(p, v, clip, gamma, scale, hides);
                }
                Some(n) => {
                    backend.normalized_gradient_in_place(p, v, n, clip, gamma, [total, scale]);
                }
            }
        }
        Ok(loss)
    }
}

/// What is known of a row before its terms are.
enum Prepared {
    /// It is ignored, or counts nothing.
    Absent,
    /// It is to be divided by a sum that is not positive and finite.
    HasNoSum,
    Counts {
        label: Option<usize>,
        sample_weight: f32,
        normalizer: Option<Normalizer>,
    },
}

impl RowLoss for ClippedCrossEntropy<'_> {
    fn options(&self) -> &ClassOptions<'_> {
        &self.options
    }

    fn times(&self, factor: f32) -> Self {
        ClippedCrossEntropy { options: self.options.times(factor), ..*self }
    }

    fn validate(&self, classes: usize) -> Result<(), Error> {
        self.clip.validate()?;
        self.options.validate(classes)
    }

    fn losses(&self, p: &Rows<'_>, targets: &Targets<'_>, out: &mut [f32]) {
        if matches!(targets.kind, Kind::Distributions(_)) || self.reads_all_classes() {
            return self.class_losses(p, targets, out);
        }
        for (row, out) in out.iter_mut().enumerate() {
            let label = self.options.row(targets, row).and_then(|row| row.label);
            *out = p.get(row, label.unwrap_or(0)).unwrap_or(f32::NAN);
        }
        self.backend.clipped_label_losses(out, self.clip, self.options.focal_gamma);
        if self.options.are_none() && targets.unweighted_labels().is_some() {
            return;
        }
        for (row, out) in out.iter_mut().enumerate() {
            *out = match self.options.row(targets, row) {
                Some(Row { label, sample_weight }) => {
                    let weight = self.label_weight(label.unwrap_or(0));
                    weighted(sample_weight, weighted(weight, *out))
                }
                None => 0.0,
            };
        }
    }

    fn gradients(
        &self,
        p: Option<&Rows<'_>>,
        targets: &Targets<'_>,
        factor: f32,
        losses: &mut [f32],
        out: &mut [f32],
    ) {
        if let Some(p) = p {
            p.copy_rows(out);
        }
        let classes = out.len().checked_div(losses.len()).unwrap_or(0).max(1);
        let mut scratch = Scratch::CLEAR;
        let n_rows = losses.len();
        let mut rows_out = out.chunks_exact_mut(classes).zip(losses);
        targets.for_tiles(n_rows, |rows, targets| {
            for (row, (p, loss)) in (0..rows.len()).zip(&mut rows_out) {
                let gradient = self.row_gradient_of(p, targets, row, factor, &mut scratch);
                *loss = gradient.unwrap_or(f32::NAN);
            }
        });
    }
}
