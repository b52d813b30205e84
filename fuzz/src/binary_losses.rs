//! Binary cross-entropy from logits and from clipped probabilities, an element at a time.
//!
//! Logits and probabilities may be any floats. Targets are taken as given: finite ones outside [0, 1]
//! are held to the bound too, which is relative to the sum of the absolute values of both terms, while
//! that is an f32. With an infinite target only that backends agree is checked.

use xent_core::{
    Backend, BinaryCrossEntropy, ClippedBinaryCrossEntropy, Error, LossTotal, Rows, accuracy,
    reference,
};

use crate::bytes::Bytes;
use crate::clipped_cross_entropy::{clip, clip_error};
use crate::compare::{
    Classes, Output, Promise, assert_due, assert_same_bits, assert_same_f64, bits,
};
use crate::cross_entropy::shape;
use crate::layout::{Layout, shape_error};

/// See the module.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (n_rows, classes) = shape(&mut bytes);
    let n = n_rows * classes;
    let clip = bytes.flag().then(|| clip(&mut bytes));
    let x = if clip.is_some() && bytes.flag() { bytes.probs(n) } else { bytes.logits(n) };
    let x_layout = Layout::new(&mut bytes, &x, n_rows, classes);
    let [y_rows, y_classes] = if bytes.rarely() {
        [bytes.below(n_rows + 3), bytes.below(classes + 3)]
    } else {
        [n_rows, classes]
    };
    let y = bytes.targets(y_rows * y_classes);
    let y_layout = Layout::new(&mut bytes, &y, y_rows, y_classes);
    let out_len = if bytes.rarely() { bytes.below(2 * n + 2) } else { n };

    let mut due = Vec::new();
    due.extend(clip.and_then(clip_error));
    if n_rows > 0 && classes == 0 {
        due.push(Error::EmptyClasses { n_rows });
    }
    due.extend(shape_error([n_rows, classes], [y_rows, y_classes]));
    let mut due_with_out = due.clone();
    if out_len != n {
        due_with_out.push(Error::LengthMismatch { expected: n, found: out_len });
    }

    let expected: Vec<Promise> = x.iter().zip(&y).map(|(&x, &y)| element(x, y, clip)).collect();
    let mut agree = Classes::default();
    for backend in Backend::all() {
        let context = || {
            format!(
                "{backend:?}: clip {clip:?}, {n_rows} x {classes} {:x?}, targets {:x?}",
                bits(&x),
                bits(&y)
            )
        };
        let loss = Loss { backend, clip };
        let mut out = Output::new(out_len);
        let result = loss.rows(x_layout.rows(), y_layout.rows(), out.slice());
        let total = loss.total(x_layout.rows(), y_layout.rows());
        assert_due(&result, &due_with_out, context);
        assert_due(&total, &due, context);
        if result.is_err() {
            out.assert_untouched(context);
            continue;
        }
        let losses = out.written(context);
        agree.assert_same(backend, losses, context);
        assert_same_f64(
            total.expect("no error is due").sum(),
            fold(losses, classes).sum(),
            context,
        );
        for (i, ((&x, &y), &got)) in x.iter().zip(&y).zip(losses).enumerate() {
            let context = || format!("element {i}: {x:e}, target {y:e}, {}", context());
            expected[i].assert(got, context);
            if i % 7 == 0 {
                assert_same_bits(&[loss.element(x, y)], &[got], context);
            }
        }
    }
}

/// Either loss.
struct Loss {
    backend: Backend,
    clip: Option<[f32; 2]>,
}

impl Loss {
    fn clipped(&self, [lo, hi]: [f32; 2]) -> ClippedBinaryCrossEntropy<'_> {
        ClippedBinaryCrossEntropy::new().backend(self.backend).clip(lo, hi)
    }

    fn logits(&self) -> BinaryCrossEntropy<'_> {
        BinaryCrossEntropy::new().backend(self.backend)
    }

    fn rows(&self, x: Rows<'_>, y: Rows<'_>, out: &mut [f32]) -> Result<(), Error> {
        match self.clip {
            Some(clip) => self.clipped(clip).rows(x, y, out),
            None => self.logits().rows(x, y, out),
        }
    }

    fn total(&self, x: Rows<'_>, y: Rows<'_>) -> Result<LossTotal, Error> {
        match self.clip {
            Some(clip) => self.clipped(clip).total(x, y),
            None => self.logits().total(x, y),
        }
    }

    fn element(&self, x: f32, y: f32) -> f32 {
        match self.clip {
            Some(clip) => self.clipped(clip).element(x, y).expect("the clip range is valid"),
            None => self.logits().element(x, y),
        }
    }
}

/// The total, in chunks of rows, as it is documented.
fn fold(losses: &[f32], classes: usize) -> LossTotal {
    losses.chunks((LossTotal::CHUNK_ROWS * classes).max(1)).fold(
        LossTotal::EMPTY,
        |total, chunk| {
            let mut chunk_total = LossTotal::EMPTY;
            for &loss in chunk {
                chunk_total.push(loss, 1.0);
            }
            total.merge(chunk_total)
        },
    )
}

fn element(x: f32, y: f32, clip: Option<[f32; 2]>) -> Promise {
    if y.is_infinite() || clip.and_then(clip_error).is_some() {
        return Promise::Nothing;
    }
    let loss = |y: f32| match clip {
        Some(clip) => reference::clipped_binary_cross_entropy(x, y, clip),
        None => reference::binary_cross_entropy(x, y),
    };
    let weighted = |weight: f64, term: f64| if weight == 0.0 { 0.0 } else { weight * term };
    let weight = f64::from(y);
    let scale = weighted(weight.abs(), loss(1.0)) + weighted((1.0 - weight).abs(), loss(0.0));
    if scale.is_finite() && scale > f64::from(f32::MAX) / 2.0 {
        return Promise::Nothing;
    }
    let ulp = if clip.is_some() { accuracy::CLIPPED_BINARY_LOSS } else { accuracy::BINARY_LOSS };
    Promise::within(loss(y), ulp, scale)
}
