//! Clipped cross-entropy from probabilities: clip ranges valid and not, normalised or not, labels and
//! distributions. With options and gradients, for every second input, in `rows_with_options.rs`.
//!
//! As given, probabilities may be any floats: they are clipped. Normalised, the bound holds for rows
//! without negative elements; with one, a sum can cancel, and only that backends agree and that a sum
//! that is clearly not positive gives NaN is checked. Nor is a row compared whose sum is about to
//! overflow: f32 and f64 may disagree on whether it does. Targets as in
//! [`cross_entropy`](crate::cross_entropy).

use xent_core::{Backend, ClippedCrossEntropy, Error, Target, accuracy, reference};

use crate::bytes::Bytes;
use crate::compare::{
    Classes, Output, Promise, assert_due, assert_same_bits, assert_same_f64, bits,
};
use crate::cross_entropy::{Case, HUGE, TINY, fold, shape};
use crate::layout::Layout;
use crate::rows_with_options::{self, Input};

/// See the module.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    if bytes.flag() {
        let input = Input::probs(&mut bytes);
        return rows_with_options::check(&mut bytes, input);
    }
    let (n_rows, classes) = shape(&mut bytes);
    let clip = clip(&mut bytes);
    let normalize = bytes.flag();
    let p = bytes.probs(n_rows * classes);
    let layout = Layout::new(&mut bytes, &p, n_rows, classes);
    let case = Case::new(&mut bytes, n_rows, classes);
    let out_len = if bytes.rarely() { bytes.below(2 * n_rows + 2) } else { n_rows };

    let mut due = case.due_errors(n_rows, classes);
    due.extend(clip_error(clip));
    let mut due_with_out = due.clone();
    if out_len != n_rows {
        due_with_out.push(Error::LengthMismatch { expected: n_rows, found: out_len });
    }
    let [lo, hi] = clip;
    let expected: Vec<Promise> = if due.is_empty() {
        let label_loss = |p: &[f32], label: usize| label_loss(p, label, clip, normalize);
        let target_loss = |p: &[f32], y: &[f32]| target_loss(p, y, clip, normalize);
        let rows = p.chunks(classes.max(1)).enumerate();
        rows.map(|(row, p)| case.expected(row, p, label_loss, target_loss)).collect()
    } else {
        Vec::new()
    };
    let mut agree = Classes::default();
    for backend in Backend::all() {
        let context = || {
            format!(
                "{backend:?}: clip {clip:?}, normalize {normalize}, {n_rows} x {classes} {:x?}, {case:?}",
                bits(&p)
            )
        };
        let loss = ClippedCrossEntropy::new().backend(backend).clip(lo, hi).normalize(normalize);
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
        assert_same_f64(total.expect("no error is due").sum(), fold(losses).sum(), context);
        for (row, (p, &got)) in p.chunks(classes.max(1)).zip(losses).enumerate() {
            let context = || format!("row {row}, {:x?}: {}", bits(p), context());
            let alone = match &case {
                Case::Labels(labels) => loss.row(p, Target::Label(labels.to_i64()[row])),
                Case::Distributions { y, .. } => loss.row(p, &y[row * classes..][..classes]),
            };
            assert_same_bits(&[alone.expect("as in the batch")], &[got], context);
            expected[row].assert(got, context);
        }
    }
}

/// A clip range: those in use, others, and invalid ones.
pub(crate) fn clip(bytes: &mut Bytes<'_>) -> [f32; 2] {
    match bytes.byte() {
        0..80 => [1e-7, 1.0 - 1e-7],
        80..130 => [0.0, 1.0],
        130..160 => [1e-10, 1.0],
        160..220 => {
            let (a, b) = (bytes.unit(), bytes.unit());
            [a.min(b), a.max(b)]
        }
        220..240 => [bytes.unit(); 2],
        _ => [bytes.float(), bytes.float()],
    }
}

/// The error that is due for a clip range.
pub(crate) fn clip_error([lo, hi]: [f32; 2]) -> Option<Error> {
    let in_unit = |x: f32| (0.0..=1.0).contains(&x);
    let valid = in_unit(lo) && in_unit(hi) && lo <= hi;
    (!valid).then_some(Error::InvalidClip { lo, hi })
}

fn label_loss(p: &[f32], label: usize, clip: [f32; 2], normalize: bool) -> Promise {
    let value = || reference::clipped_cross_entropy(p, label, clip, normalize);
    unpromised(p, normalize).unwrap_or_else(|| Promise::value(value(), accuracy::CLIPPED_LOSS))
}

fn target_loss(p: &[f32], y: &[f32], clip: [f32; 2], normalize: bool) -> Promise {
    // Normalised, the reference takes time of the square of the classes.
    if normalize && p.len() > 300 {
        return Promise::Nothing;
    }
    if let Some(promise) = unpromised(p, normalize) {
        return promise;
    }
    let loss = |y: &[f32]| reference::clipped_cross_entropy_target(p, y, clip, normalize);
    let value = loss(y);
    let absolute: Vec<f32> = y.iter().map(|y| y.abs()).collect();
    let scale = loss(&absolute);
    let mixed_infinities = value.is_infinite() && y.iter().any(|&y| y < 0.0);
    let sum_overflows = scale.is_finite() && scale > f64::from(f32::MAX) / 2.0;
    let terms_underflow = scale > 0.0 && scale < TINY;
    if mixed_infinities || sum_overflows || terms_underflow || y.iter().any(|y| y.abs() > HUGE) {
        return Promise::Nothing;
    }
    Promise::within(value, accuracy::CLIPPED_LOSS, scale)
}

/// What is left of the promise where a row cannot be compared with the reference; see the module.
pub(crate) fn unpromised(p: &[f32], normalize: bool) -> Option<Promise> {
    if !normalize || p.iter().any(|p| p.is_nan()) {
        return None;
    }
    let sum: f64 = p.iter().map(|&p| f64::from(p)).sum();
    let absolute: f64 = p.iter().map(|&p| f64::from(p).abs()).sum();
    if p.iter().any(|&p| p < 0.0) {
        let not_positive = sum < -1e-5 * absolute;
        return Some(if not_positive { Promise::value(f64::NAN, 0.0) } else { Promise::Nothing });
    }
    let about_to_overflow = sum.is_finite() && (sum / f64::from(f32::MAX) - 1.0).abs() < 1e-5;
    about_to_overflow.then_some(Promise::Nothing)
}
