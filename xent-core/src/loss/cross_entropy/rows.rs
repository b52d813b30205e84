//! How the rows of a [`CrossEntropy`] are computed: many at a time where their layout, classes and options
//! have a kernel for it, else one by one.

use super::CrossEntropy;
use crate::kernel::distribution::{ClassTargets, GradientTerms};
use crate::kernel::label::Extras;
use crate::kernel::logits::LogitTransform;
use crate::kernel::rows_in_lanes::{Layout, SHORT, TILE};
use crate::kernel::tree::{BLOCK, TreeSum};
use crate::loss::label_batch::LabelBatch;
use crate::loss::logit_row::LogitRow;
use crate::loss::options::{ClassOptions, Row, check_weight};
use crate::loss::{BATCH, RowLoss, Scratch, canonical, weighted};
use crate::targets::{Kind, Labels, Targets, check_label};
use crate::{Backend, Error, LogSumExp, Rows};

impl CrossEntropy<'_> {
    fn extras(&self) -> Extras {
        Extras { gamma: self.options.focal_gamma, z_loss: self.z_loss }
    }

    /// Whether every term is multiplied by 0, and nothing is added.
    fn costs_nothing(&self) -> bool {
        self.options.focal_alpha == 0.0 && self.z_loss == 0.0
    }

    /// Whether a row with a label needs no sum over the classes but its state.
    fn reads_label_only(&self) -> bool {
        self.options.label_smoothing == 0.0
    }

    /// The same loss of logits that the transform was done to.
    fn of_transformed(&self) -> Self {
        CrossEntropy { transform: LogitTransform::NONE, ..*self }
    }

    /// The losses of rows of at most [`BLOCK`] classes, as many transformed at a time as there is place for.
    fn transformed_losses(&self, x: &Rows<'_>, targets: &Targets<'_>, out: &mut [f32]) {
        let classes = x.classes();
        let side_by_side = classes <= SHORT && Backend::SIMD;
        let most = BLOCK.checked_div(classes).unwrap_or(0).clamp(1, BATCH);
        let (mut buffer, mut offsets) = ([0.0; BLOCK], [0.0; BATCH]);
        x.for_runs(most, |rows, run, layout| {
            let (n_rows, transform) = (rows.len(), &self.transform);
            let z = if side_by_side {
                let offsets = offsets.get_mut(..n_rows).unwrap_or_default();
                self.backend.transformed_tile(run, layout, transform, &mut buffer, offsets);
                let Layout { row_stride, class_stride, .. } = Layout::tile(classes);
                Rows::strided(&buffer, n_rows, classes, row_stride, class_stride)
            } else {
                let copy = buffer.get_mut(..n_rows * classes).unwrap_or_default();
                x.range(rows.clone()).copy_rows(copy);
                self.backend.transformed_rows(copy, classes, transform, &mut offsets);
                Rows::new(copy, n_rows, classes)
            };
            let out = out.get_mut(rows.clone()).unwrap_or_default();
            if let Ok(z) = z {
                self.of_transformed().losses_at(&z, &targets.range(rows), &offsets, out);
            }
        });
    }

    /// The losses of rows of at most [`SHORT`] classes, and `factor` times their gradients in the place of
    /// the logits, which lie one after another: in a tile, where a vector holds a class of many rows.
    fn short_gradients(
        &self,
        x: &mut [f32],
        classes: usize,
        (targets, class_targets): (&Targets<'_>, Option<ClassTargets<'_>>),
        factor: f32,
        losses: &mut [f32],
    ) {
        let (mut tile, mut offsets) = ([0.0; TILE], [0.0; BATCH]);
        let (n_rows, layout) = (losses.len(), Layout::tile(classes));
        let row_offsets = offsets.get_mut(..n_rows).unwrap_or_default();
        let rows = Layout::contiguous(classes);
        self.backend.transformed_tile(x, rows, &self.transform, &mut tile, row_offsets);
        let mut batch = self.options.label_batch(targets, &offsets, n_rows);
        let label_only = class_targets.is_none() && self.reads_label_only();
        if label_only && self.z_loss == 0.0 {
            // As in the kernel of rows with labels, a label of weight 0 takes its row with it.
            for (scale, &weight) in batch.scales.iter_mut().zip(&batch.weights) {
                *scale = if weight == 0.0 { 0.0 } else { *scale };
            }
        }
        let class_targets = class_targets.unwrap_or(ClassTargets::Labels(&batch.labels));
        let class_rows = batch.class_rows(class_targets, &self.options, classes);
        let (extras, mut class_losses) = (self.extras(), [0.0; BATCH]);
        let out = if label_only {
            // The bits of the loss without a gradient.
            let rows = batch.rows(0..n_rows, 1.0);
            self.backend.weighted_label_losses(&tile, layout, rows, extras, losses);
            class_losses.get_mut(..n_rows).unwrap_or_default()
        } else {
            losses
        };
        self.backend.gradients_in_lanes(&mut tile, layout, class_rows, extras, factor, out);
        if factor == 0.0 {
            x.fill(0.0);
        } else {
            self.backend.tile_back_in_place(x, classes, &self.transform, &tile, n_rows);
        }
    }

    /// The losses of rows that were lowered by `offsets`, or not at all.
    fn losses_at(&self, x: &Rows<'_>, targets: &Targets<'_>, offsets: &[f32], out: &mut [f32]) {
        let label_only = matches!(targets.kind, Kind::Labels(_)) && self.reads_label_only();
        x.for_runs(BATCH, |rows, run, layout| {
            let (x, targets) = (x.range(rows.clone()), targets.range(rows.clone()));
            let offsets = offsets.get(rows.clone()).unwrap_or(&[]);
            let out = out.get_mut(rows).unwrap_or_default();
            let mut batch = self.options.label_batch(&targets, offsets, out.len());
            if label_only {
                self.label_losses(&x, &mut batch, run, layout, out);
            } else {
                self.class_losses(&x, &targets, &batch, run, layout, out);
            }
        });
    }

    /// The losses of a run of rows with labels that need no sum over the classes but their state.
    fn label_losses(
        &self,
        x: &Rows<'_>,
        batch: &mut LabelBatch,
        run: &[f32],
        layout: Layout,
        out: &mut [f32],
    ) {
        if self.transform == LogitTransform::NONE {
            let rows = batch.rows(0..out.len(), 1.0);
            return self.backend.weighted_label_losses(run, layout, rows, self.extras(), out);
        }
        let mut scratch = Scratch::CLEAR;
        for (row, out) in out.iter_mut().enumerate() {
            let logits = LogitRow::new(self.backend, x, row, self.transform, 0.0);
            let state = logits.state(&mut scratch.x);
            *out = self.label_loss(&logits, &state, batch, row, &mut scratch);
        }
    }

    /// The losses of a run of rows that need a sum over the classes: in lanes where they fit, else row by
    /// row.
    fn class_losses(
        &self,
        x: &Rows<'_>,
        targets: &Targets<'_>,
        batch: &LabelBatch,
        run: &[f32],
        layout: Layout,
        out: &mut [f32],
    ) {
        let in_lanes = layout.fits_lanes() && self.transform == LogitTransform::NONE;
        if let (Some(targets), true) = (batch.class_targets(targets), in_lanes) {
            let rows = batch.class_rows(targets, &self.options, x.classes());
            return self.backend.losses_in_lanes(run, layout, rows, self.extras(), out);
        }
        let (mut scratch, mut out) = (Scratch::CLEAR, out.iter_mut().zip(&batch.offsets));
        targets.for_tiles_of(x, |rows, x, targets| {
            for (row, (out, &offset)) in (0..rows.len()).zip(&mut out) {
                *out = self.row_loss(x, targets, row, offset, &mut scratch);
            }
        });
    }

    /// The loss of row `row` of a batch with labels, from its state.
    fn label_loss(
        &self,
        logits: &LogitRow<'_>,
        state: &LogSumExp,
        batch: &mut LabelBatch,
        row: usize,
        scratch: &mut Scratch,
    ) -> f32 {
        if let Some(offset) = batch.offsets.get_mut(row) {
            *offset = logits.offset();
        }
        let label = batch.labels.get(row).copied().unwrap_or(0);
        let start = label - label % BLOCK;
        let block = logits.block(start, &mut scratch.x);
        let x_t = block.get(label - start).copied().unwrap_or(f32::NAN);
        let rows = batch.rows(row..row + 1, 1.0);
        self.backend.weighted_label_loss(state, x_t, rows, self.extras())
    }

    /// The sum over the classes of what each costs, and `z_loss lse^2`; the state of the row must be
    /// finite.
    fn class_loss(
        &self,
        logits: &LogitRow<'_>,
        state: &LogSumExp,
        targets: &Targets<'_>,
        position: (usize, usize),
        scratch: &mut Scratch,
    ) -> f32 {
        let mut sum = TreeSum::EMPTY;
        let gamma = self.options.focal_gamma;
        self.for_blocks(logits, targets, position, scratch, |x, v| {
            self.backend.target_loss_sum(&mut sum, x, v, state, gamma);
        });
        let loss = weighted(self.options.focal_alpha, sum.value().hi);
        if self.z_loss == 0.0 {
            return loss;
        }
        let lse = self.lse(logits, state);
        loss + self.z_loss * lse * lse
    }

    fn lse(&self, logits: &LogitRow<'_>, state: &LogSumExp) -> f32 {
        (logits.offset() + state.max()) + self.backend.ln_1p_sum(state)
    }

    /// Calls `push` with the logits of a row and what their classes count, block by block.
    fn for_blocks(
        &self,
        logits: &LogitRow<'_>,
        targets: &Targets<'_>,
        (row, classes): (usize, usize),
        scratch: &mut Scratch,
        mut push: impl FnMut(&[f32], &[f32]),
    ) {
        for start in (0..classes).step_by(BLOCK) {
            let x = logits.block(start, &mut scratch.x);
            let place = (start, x.len());
            let v = self.options.class_terms(
                self.backend,
                targets,
                (row, classes),
                place,
                &[],
                &mut scratch.v,
            );
            push(x, v);
        }
    }

    /// The loss of a row that needs a sum over the classes.
    fn row_loss(
        &self,
        x: &Rows<'_>,
        targets: &Targets<'_>,
        row: usize,
        offset: f32,
        scratch: &mut Scratch,
    ) -> f32 {
        let Some(Row { sample_weight, .. }) = self.options.row(targets, row) else { return 0.0 };
        if sample_weight == 0.0 {
            return 0.0;
        }
        let logits = LogitRow::new(self.backend, x, row, self.transform, offset);
        let state = logits.state(&mut scratch.x);
        if !state.max().is_finite() {
            return f32::NAN;
        }
        let position = (row, x.classes());
        canonical(sample_weight * self.class_loss(&logits, &state, targets, position, scratch))
    }

    /// As [`row_loss`](Self::row_loss), with `factor` times the gradient in the place of the logits.
    fn row_gradient_of(
        &self,
        x: &mut [f32],
        targets: &Targets<'_>,
        row: usize,
        (factor, offset): (f32, f32),
        scratch: &mut Scratch,
    ) -> Result<f32, Error> {
        let (label, sample_weight) = match self.options.row(targets, row) {
            Some(Row { label, sample_weight }) => (label, sample_weight),
            None => (None, 0.0),
        };
        let label = label.filter(|_| self.reads_label_only());
        // As in the kernel of rows with labels, a label of weight 0 takes its row with it.
        let counts = label.is_none_or(|label| {
            self.z_loss != 0.0 || self.options.class_weight(label) * self.options.focal_alpha != 0.0
        });
        if sample_weight == 0.0 || !counts {
            x.fill(0.0);
            return Ok(0.0);
        }
        if self.transform != LogitTransform::NONE && x.len() <= BLOCK {
            // Transformed once, for all that follows.
            let (mut buffer, mut offset) = ([0.0; BLOCK], [0.0]);
            let z = buffer.get_mut(..x.len()).unwrap_or_default();
            z.copy_from_slice(x);
            self.backend.transformed_rows(z, x.len(), &self.transform, &mut offset);
            let plain = self.of_transformed();
            let loss = plain.row_gradient_of(z, targets, row, (factor, offset[0]), scratch)?;
            if factor == 0.0 {
                x.fill(0.0);
            } else {
                self.backend.transform_back_in_place(x, z, &self.transform);
            }
            return Ok(loss);
        }
        let position = (row, x.len());
        let view = Rows::new(x, 1, x.len())?;
        let logits = LogitRow::new(self.backend, &view, 0, self.transform, offset);
        let state = logits.state(&mut scratch.x);
        if !state.max().is_finite() {
            // Of a mean over nothing the gradient is 0, also that of a row without a loss.
            x.fill(if factor == 0.0 { 0.0 } else { f32::NAN });
            return Ok(f32::NAN);
        }
        let loss = if label.is_some() {
            // The bits of the loss without a gradient.
            let mut batch = self.options.label_batch(&targets.range(row..row + 1), &[], 1);
            self.label_loss(&logits, &state, &mut batch, 0, scratch)
        } else {
            canonical(sample_weight * self.class_loss(&logits, &state, targets, position, scratch))
        };
        if factor == 0.0 {
            x.fill(0.0);
            return Ok(loss);
        }
        let (mut sum, gamma) = (TreeSum::EMPTY, self.options.focal_gamma);
        self.for_blocks(&logits, targets, position, scratch, |x, v| {
            self.backend.target_slope_sum(&mut sum, x, v, &state, gamma);
        });
        let alpha = self.options.focal_alpha;
        let z_slope =
            if self.z_loss == 0.0 { 0.0 } else { 2.0 * (self.z_loss * self.lse(&logits, &state)) };
        let terms = GradientTerms {
            gamma,
            alpha,
            total: sum.value().hi,
            z_slope,
            scale: sample_weight * factor,
        };
        let shift = logits.shift();
        for (i, x) in x.chunks_mut(BLOCK).enumerate() {
            let place = (i * BLOCK, x.len());
            let v = self.options.class_terms(
                self.backend,
                targets,
                position,
                place,
                &[],
                &mut scratch.v,
            );
            if self.transform == LogitTransform::NONE {
                self.backend.target_gradient_in_place(x, v, &state, terms);
            } else {
                let z = scratch.x.get_mut(..x.len()).unwrap_or_default();
                self.backend.transformed(x, &self.transform, shift, z);
                self.backend.target_gradient_in_place(z, v, &state, terms);
                self.backend.transform_back_in_place(x, z, &self.transform);
            }
        }
        Ok(loss)
    }
}

/// The loss of one row with a label, without options.
pub(super) fn plain_label_loss(backend: Backend, logits: &[f32], label: i64) -> Result<f32, Error> {
    if logits.is_empty() {
        return Err(Error::EmptyClasses { n_rows: 1 });
    }
    let label = check_label(label, 0, logits.len())?;
    Ok(backend.for_row(logits.len()).label_loss(logits, label))
}

/// The losses of rows with labels, without options. The labels were checked.
pub(super) fn plain_label_losses(
    backend: Backend,
    x: &Rows<'_>,
    labels: &Labels<'_>,
    out: &mut [f32],
) {
    // A kernel prepares its registers once a call.
    const CALL: usize = 2 * BATCH;
    x.for_runs(CALL, |rows, run, layout| {
        let mut indices = [0; CALL];
        for (index, row) in indices.iter_mut().zip(rows.clone()) {
            // 0 stands for none of them.
            *index = usize::try_from(labels.get(row)).unwrap_or(0);
        }
        let labels = indices.get(..rows.len()).unwrap_or(&[]);
        let out = out.get_mut(rows).unwrap_or_default();
        backend.label_losses(run, layout, labels, out);
    });
}

impl RowLoss for CrossEntropy<'_> {
    fn options(&self) -> &ClassOptions<'_> {
        &self.options
    }

    fn times(&self, factor: f32) -> Self {
        let options = self.options.times(factor);
        CrossEntropy { options, z_loss: self.z_loss * factor, ..*self }
    }

    fn validate(&self, classes: usize) -> Result<(), Error> {
        self.options.validate(classes)?;
        check_weight("z_loss", self.z_loss)?;
        self.transform.validate()
    }

    fn losses(&self, x: &Rows<'_>, targets: &Targets<'_>, out: &mut [f32]) {
        if let (true, Some(labels)) = (self.is_plain(), targets.unweighted_labels()) {
            plain_label_losses(self.backend, x, labels, out);
        } else if self.costs_nothing() {
            out.fill(0.0);
        } else if self.transform != LogitTransform::NONE && x.classes() <= BLOCK {
            self.transformed_losses(x, targets, out);
        } else {
            self.losses_at(x, targets, &[], out);
        }
    }

    fn gradients(
        &self,
        x: Option<&Rows<'_>>,
        targets: &Targets<'_>,
        factor: f32,
        losses: &mut [f32],
        out: &mut [f32],
    ) {
        if self.costs_nothing() {
            losses.fill(0.0);
            out.fill(0.0);
            return;
        }
        let classes = out.len().checked_div(losses.len()).unwrap_or(0).max(1);
        let plain_logits = self.transform == LogitTransform::NONE;
        if matches!(targets.kind, Kind::Labels(_)) && self.reads_label_only() && plain_logits {
            let batch = self.options.label_batch(targets, &[], losses.len());
            let (rows, extras) = (batch.rows(0..losses.len(), factor), self.extras());
            if let Some(x) = x.and_then(Rows::as_contiguous) {
                return self.backend.label_gradients(x, classes, rows, extras, losses, out);
            }
            if let Some(x) = x {
                x.copy_rows(out);
            }
            return self.backend.label_gradients_in_place(out, classes, rows, extras, losses);
        }
        if let Some(x) = x {
            x.copy_rows(out);
        }
        let class_targets = match &targets.kind {
            Kind::Labels(_) => Some(None),
            Kind::Distributions(y) => {
                y.as_run().map(|(y, layout)| Some(ClassTargets::Distributions(y, layout)))
            }
        };
        let short = classes <= SHORT && Backend::SIMD;
        if let (Some(class_targets), true) = (class_targets, short) {
            return self.short_gradients(out, classes, (targets, class_targets), factor, losses);
        }
        let (mut scratch, n_rows) = (Scratch::CLEAR, losses.len());
        let mut out = out.chunks_exact_mut(classes).zip(losses);
        targets.for_tiles(n_rows, |rows, targets| {
            for (row, (x, loss)) in (0..rows.len()).zip(&mut out) {
                let gradient = self.row_gradient_of(x, targets, row, (factor, 0.0), &mut scratch);
                *loss = gradient.unwrap_or(f32::NAN);
            }
        });
    }
}
