//! What up to [`BATCH`] rows count, in arrays that kernels read.

use core::ops::Range;

use super::BATCH;
use super::options::{ClassOptions, Row};
use crate::kernel::distribution::{ClassRows, ClassTargets};
use crate::kernel::label::LabelRows;
use crate::targets::{Kind, Targets};

/// The labels of rows and their factors; rows that are ignored, and places without a row, count nothing.
pub(super) struct LabelBatch {
    pub(super) labels: [usize; BATCH],
    /// Factors of the term of the label.
    pub(super) weights: [f32; BATCH],
    /// Factors of the row.
    pub(super) scales: [f32; BATCH],
    /// What the logits of the row were lowered by.
    pub(super) offsets: [f32; BATCH],
}

impl LabelBatch {
    const NONE: LabelBatch = LabelBatch {
        labels: [0; BATCH],
        weights: [0.0; BATCH],
        scales: [0.0; BATCH],
        offsets: [0.0; BATCH],
    };

    pub(super) fn rows(&self, range: Range<usize>, factor: f32) -> LabelRows<'_> {
        LabelRows {
            labels: self.labels.get(range.clone()).unwrap_or(&[]),
            weights: self.weights.get(range.clone()).unwrap_or(&[]),
            scales: self.scales.get(range.clone()).unwrap_or(&[]),
            offsets: self.offsets.get(range).unwrap_or(&[]),
            factor,
        }
    }

    /// What is read of the targets of these rows by kernels with a row in each lane, if such can read them.
    pub(super) fn class_targets<'a>(&'a self, targets: &Targets<'a>) -> Option<ClassTargets<'a>> {
        match &targets.kind {
            Kind::Labels(_) => Some(ClassTargets::Labels(&self.labels)),
            Kind::Distributions(y) => {
                y.as_run().map(|(y, layout)| ClassTargets::Distributions(y, layout))
            }
        }
    }

    pub(super) fn class_rows<'a>(
        &'a self,
        targets: ClassTargets<'a>,
        options: &ClassOptions<'a>,
        classes: usize,
    ) -> ClassRows<'a> {
        ClassRows {
            targets,
            terms: options.terms(classes),
            alpha: options.focal_alpha,
            scales: &self.scales,
            offsets: &self.offsets,
        }
    }
}

impl ClassOptions<'_> {
    /// What the rows of a batch count, which were lowered by `offsets`, or not at all.
    pub(super) fn label_batch(
        &self,
        targets: &Targets<'_>,
        offsets: &[f32],
        n_rows: usize,
    ) -> LabelBatch {
        let mut batch = LabelBatch::NONE;
        for (to, &offset) in batch.offsets.iter_mut().zip(offsets) {
            *to = offset;
        }
        for row in 0..n_rows.min(BATCH) {
            let Some(Row { label, sample_weight }) = self.row(targets, row) else {
                continue;
            };
            // Without a label only the sample weight is of use.
            let label = label.unwrap_or(0);
            let to = batch.labels.get_mut(row).zip(batch.weights.get_mut(row));
            if let (Some((to, weight)), Some(scale)) = (to, batch.scales.get_mut(row)) {
                *to = label;
                *weight = self.class_weight(label) * self.focal_alpha;
                *scale = sample_weight;
            }
        }
        batch
    }
}
