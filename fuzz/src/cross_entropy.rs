//! Cross-entropy from logits: labels of every type, distributions, layouts, wrong lengths and labels.
//!
//! With options and gradients, for every second input, in `rows_with_options.rs`.
//! Targets are taken as given. Finite ones of any sign are held to the bound, which is relative to the
//! sum of the absolute values of the terms, while that sum is an f32; beyond it partial sums may
//! overflow. With an infinite target only that all backends of a class agree, and that the loss is
//! not finite, is checked: whether `inf * loss` is NaN depends on whether the loss underflows. The same
//! where an infinite term stands beside negative targets, whose terms may overflow to the other side.
//! Nor is anything compared where the sum of the terms is below 2^-100, a target is beyond 2^100, or a
//! difference of logits may overflow before a small target makes an f32 of it.

use xent_core::{
    Backend, CrossEntropy, Error, LogSumExp, LossTotal, Rows, Target, accuracy, reference,
};

use crate::bytes::Bytes;
use crate::compare::{
    Classes, Output, Promise, assert_due, assert_same_bits, assert_same_f64, bits,
};
use crate::labels::{Labels, due_errors};
use crate::layout::{Layout, shape_error};
use crate::rows_with_options::{self, Input};

/// See the module.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    if bytes.flag() {
        return rows_with_options::check(&mut bytes, Input::Logits);
    }
    let (n_rows, classes) = shape(&mut bytes);
    let x = bytes.logits(n_rows * classes);
    let layout = Layout::new(&mut bytes, &x, n_rows, classes);
    let case = Case::new(&mut bytes, n_rows, classes);
    let out_len = if bytes.rarely() { bytes.below(2 * n_rows + 2) } else { n_rows };

    let due = case.due_errors(n_rows, classes);
    let mut due_with_out = due.clone();
    if out_len != n_rows {
        due_with_out.push(Error::LengthMismatch { expected: n_rows, found: out_len });
    }
    let expected: Vec<Promise> = if due.is_empty() {
        let rows = x.chunks(classes.max(1)).enumerate();
        rows.map(|(row, x)| case.expected(row, x, label_loss, target_loss)).collect()
    } else {
        Vec::new()
    };
    let mut agree = Classes::default();
    for backend in Backend::all() {
        let context = || format!("{backend:?}: {n_rows} x {classes} {:x?}, {case:?}", bits(&x));
        let loss = CrossEntropy::new().backend(backend);
        let mut out = Output::new(out_len);
        let (result, total) = match &case {
            Case::Labels(labels) => (
                loss.rows(layout.rows(), labels.targets(), out.slice()),
                loss.total(layout.rows(), labels.targets()),
            ),
            Case::Distributions { layout: y, .. } => (
                loss.rows(layout.rows(), y.rows(), out.slice()),
                loss.total(layout.rows(), y.rows()),
            ),
        };
        assert_due(&result, &due_with_out, context);
        assert_due(&total, &due, context);
        if result.is_err() {
            out.assert_untouched(context);
            continue;
        }
        let losses = out.written(context);
        agree.assert_same(backend, losses, context);
        let total = total.expect("no error is due");
        assert_same_f64(total.sum(), fold(losses).sum(), context);
        assert_eq!(total.count(), n_rows as u64, "{}", context());
        for (row, (x, &got)) in x.chunks(classes.max(1)).zip(losses).enumerate() {
            let context = || format!("row {row}, {:x?}: {}", bits(x), context());
            let alone = match &case {
                Case::Labels(labels) => loss.row(x, Target::Label(labels.to_i64()[row])),
                Case::Distributions { y, .. } => loss.row(x, &y[row * classes..][..classes]),
            };
            assert_same_bits(&[alone.expect("as in the batch")], &[got], context);
            expected[row].assert(got, context);
        }
    }
    check_one_row(&mut bytes, &x);
}

/// Rows and classes: few of any number of classes, or many of few, beyond the ends of batches and of
/// the chunks of a total.
pub(crate) fn shape(bytes: &mut Bytes<'_>) -> (usize, usize) {
    match bytes.byte() {
        // Beyond the end of a chunk: slow, and rare.
        0 => (1, LogSumExp::CHUNK - 2 + bytes.below(2000)),
        1..120 => (1 + bytes.below(3), bytes.row_len(false)),
        120..200 => (bytes.below(70), bytes.below(12)),
        200..250 => (bytes.below(6), bytes.below(40)),
        _ => (LossTotal::CHUNK_ROWS - 2 + bytes.below(40), 1 + bytes.below(3)),
    }
}

/// The total of losses of weight 1, one after another within chunks, as it is documented.
pub(crate) fn fold(losses: &[f32]) -> LossTotal {
    losses.chunks(LossTotal::CHUNK_ROWS).fold(LossTotal::EMPTY, |total, chunk| {
        let mut chunk_total = LossTotal::EMPTY;
        for &loss in chunk {
            chunk_total.push(loss, 1.0);
        }
        total.merge(chunk_total)
    })
}

/// What the rows should be.
#[derive(Debug)]
pub(crate) enum Case {
    Labels(Labels),
    Distributions { y: Vec<f32>, layout: Layout, n_rows: usize, classes: usize },
}

impl Case {
    /// Mostly of the right shape.
    pub(crate) fn new(bytes: &mut Bytes<'_>, n_rows: usize, classes: usize) -> Self {
        if bytes.flag() {
            let n = if bytes.rarely() { bytes.below(2 * n_rows + 2) } else { n_rows };
            return Case::Labels(Labels::new(bytes, n, classes));
        }
        let (n_rows, classes) = if bytes.rarely() {
            (bytes.below(n_rows + 3), bytes.below(classes + 3))
        } else {
            (n_rows, classes)
        };
        let y = bytes.targets(n_rows * classes);
        let layout = Layout::new(bytes, &y, n_rows, classes);
        Case::Distributions { y, layout, n_rows, classes }
    }

    /// What is promised of a row, of which both functions are given the logits or probabilities.
    pub(crate) fn expected(
        &self,
        row: usize,
        x: &[f32],
        label_loss: impl Fn(&[f32], usize) -> Promise,
        target_loss: impl Fn(&[f32], &[f32]) -> Promise,
    ) -> Promise {
        match self {
            Case::Labels(labels) => label_loss(x, labels.to_i64()[row] as usize),
            Case::Distributions { y, classes, .. } => {
                target_loss(x, &y[row * classes..][..*classes])
            }
        }
    }

    /// The errors that are due for logits or probabilities of that shape.
    pub(crate) fn due_errors(&self, n_rows: usize, classes: usize) -> Vec<Error> {
        self.due_errors_but(n_rows, classes, None)
    }

    /// The same, for a loss that ignores a label.
    pub(crate) fn due_errors_but(
        &self,
        n_rows: usize,
        classes: usize,
        ignored: Option<i64>,
    ) -> Vec<Error> {
        let mut due = match self {
            Case::Labels(labels) => due_errors(&labels.to_i64(), n_rows, classes, ignored),
            Case::Distributions { n_rows: found_rows, classes: found_classes, .. } => {
                shape_error([n_rows, classes], [*found_rows, *found_classes]).into_iter().collect()
            }
        };
        if n_rows > 0 && classes == 0 {
            due.push(Error::EmptyClasses { n_rows });
        }
        due
    }
}

fn label_loss(x: &[f32], label: usize) -> Promise {
    let ulp = accuracy::LOSS + reference::mean_distance(x) / 2.0;
    Promise::value(reference::cross_entropy(x, label), ulp)
}

/// 2^100.
pub(crate) const HUGE: f32 = f32::from_bits((127 + 100) << 23);
/// 2^-100. The terms of a sum below it may be subnormal, each off by a part of a step.
pub(crate) const TINY: f64 = 7.888_609_052_210_118e-31;

fn target_loss(x: &[f32], y: &[f32]) -> Promise {
    let value = reference::cross_entropy_target(x, y);
    let mixed_infinities = value.is_infinite() && y.iter().any(|&y| y < 0.0);
    if mixed_infinities || y.iter().any(|y| y.is_infinite()) {
        return Promise::NotFinite;
    }
    // No term is negative but for its target.
    let absolute: Vec<f32> = y.iter().map(|y| y.abs()).collect();
    let scale = reference::cross_entropy_target(x, &absolute);
    let sum_overflows = scale.is_finite() && scale > f64::from(f32::MAX) / 2.0;
    let difference_overflows = x.iter().any(|x| x.is_finite() && x.abs() > f32::MAX / 2.0);
    let terms_underflow = scale > 0.0 && scale < TINY;
    if sum_overflows || terms_underflow || difference_overflows || y.iter().any(|y| y.abs() > HUGE)
    {
        return Promise::Nothing;
    }
    let ulp = accuracy::TARGET_LOSS + reference::mean_distance(x) / 2.0;
    Promise::within(value, ulp, scale)
}

/// The errors of a single row.
fn check_one_row(bytes: &mut Bytes<'_>, x: &[f32]) {
    let loss = CrossEntropy::new();
    let classes = x.len();
    let context = || format!("one row of {classes}");
    let label = i64::from(bytes.bits() as i32) >> (bytes.byte() % 32);
    let due = [
        Error::EmptyClasses { n_rows: 1 },
        Error::LabelOutOfRange { row: 0, label, classes },
        Error::LengthMismatch { expected: classes, found: classes + 1 },
    ];
    let good = classes > 0 && (0..classes as i64).contains(&label);
    let due_of_label = match (good, classes) {
        (true, _) => &[][..],
        (false, 0) => &due[..1],
        (false, _) => &due[1..2],
    };
    assert_due(&loss.row(x, Target::Label(label)), due_of_label, context);
    let longer = vec![0.0; classes + 1];
    let due_of_target = if classes == 0 { &due[..1] } else { &due[2..] };
    assert_due(&loss.row(x, &longer[..]), due_of_target, context);

    // A batch of one row of the same, for the memory of another shape.
    let mut out = Output::new(1);
    if let Ok(rows) = Rows::new(x, 1, classes) {
        let result = loss.rows(rows, &[label], out.slice());
        assert_due(&result, due_of_label, context);
        if result.is_err() {
            out.assert_untouched(context);
        }
    }
}
