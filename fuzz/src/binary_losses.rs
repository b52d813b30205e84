//! Binary cross-entropy from logits and from clipped probabilities, an element at a time: plain, or with
//! options, `pos_weights` and sample weights; losses, totals and gradients.
//!
//! Logits and probabilities may be any floats. Without options targets are taken as given: finite ones
//! outside [0, 1] are held to the bound too, which is relative to the sum of the absolute values of both
//! terms, while that is an f32. With options, and for gradients, targets in [0, 1] are compared, where all
//! options are usual ones and the logit is below 2^100 or infinite. Elsewhere only that backends of a class
//! and all doors agree is checked. So it is for the sum of losses whose weight is far from 1: it is taken in
//! f64, of losses before their weight.

use xent_core::reference::{self, BinaryOptions};
use xent_core::{
    Backend, BinaryCrossEntropy, BinaryTargets, ClippedBinaryCrossEntropy, Error, GradientScale,
    LossTotal, Rows, accuracy,
};

use crate::bounds::{self, ElementCase};
use crate::bytes::Bytes;
use crate::clipped_cross_entropy::{clip, clip_error};
use crate::compare::{
    Classes, Output, Promise, assert_due, assert_same_bits, assert_same_f64, bits,
};
use crate::cross_entropy::{HUGE, shape};
use crate::layout::{Layout, shape_error};
use crate::options::{Drawn, assert_factor, assert_reductions, invalid};
use crate::rows_with_options::unless_huge;

/// See the module.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (n_rows, classes) = shape(&mut bytes);
    let n = n_rows * classes;
    let clip = bytes.flag().then(|| clip(&mut bytes));
    let options = bytes.flag().then(|| Drawn::new(&mut bytes, n_rows, classes));
    let x = if clip.is_some() && bytes.flag() { bytes.probs(n) } else { bytes.logits(n) };
    let x_layout = Layout::new(&mut bytes, &x, n_rows, classes);
    let y_shape = if bytes.rarely() {
        [bytes.below(n_rows + 3), bytes.below(classes + 3)]
    } else {
        [n_rows, classes]
    };
    let y = bytes.targets(y_shape[0] * y_shape[1]);
    let y_layout = Layout::new(&mut bytes, &y, y_shape[0], y_shape[1]);
    let out_len = if bytes.rarely() { bytes.below(2 * n + 2) } else { n };
    let call = Call { clip, options, x: &x, y: &y, shape: [n_rows, classes], y_shape };
    call.check(&x_layout, &y_layout, out_len);
}

struct Call<'a> {
    clip: Option<[f32; 2]>,
    options: Option<Drawn>,
    x: &'a [f32],
    y: &'a [f32],
    shape: [usize; 2],
    y_shape: [usize; 2],
}

impl Call<'_> {
    fn check(&self, x_layout: &Layout, y_layout: &Layout, out_len: usize) {
        let mut due = self.due_errors(self.shape);
        due.extend(shape_error(self.shape, self.y_shape));
        let mut due_with_out = due.clone();
        if out_len != self.x.len() {
            let (expected, found) = (self.x.len(), out_len);
            due_with_out.push(Error::LengthMismatch { expected, found });
        }
        let due_scale = self.options.as_ref().and_then(Drawn::due_scale_error);
        // The shape is that of the targets.
        let mut due_in_place = self.due_errors(self.y_shape);
        if self.y.len() != self.x.len() {
            let (expected, found) = (self.y.len(), self.x.len());
            due_in_place.push(Error::LengthMismatch { expected, found });
        }
        due_in_place.extend(due_scale);

        let expected: Vec<[Promise; 2]> = if due.is_empty() {
            (0..self.x.len()).map(|i| self.expected(i)).collect()
        } else {
            Vec::new()
        };
        let scale = self.options.as_ref().map_or(1.0.into(), |options| options.scale);
        let (mut agree, mut gradients_agree) = (Classes::default(), Classes::default());
        for backend in Backend::all() {
            let context = || {
                format!(
                    "{backend:?}: clip {:?}, {:?}, {:?} {:x?}, targets {:x?}",
                    self.clip,
                    self.options,
                    self.shape,
                    bits(self.x),
                    bits(self.y)
                )
            };
            let loss = self.loss(backend);
            let (x, y) = (x_layout.rows(), self.targets(y_layout));
            assert_due(&loss.check(x, y), &due, context);
            let mut out = Output::new(out_len);
            let result = loss.rows(x, y, out.slice());
            assert_due(&result, &due_with_out, context);
            let total = loss.total(x, y);
            assert_due(&total, &due, context);
            let mut gradient = Output::new(out_len);
            let of_gradient = loss.gradient(x, y, scale, gradient.slice());
            let due_gradient: Vec<Error> = due_with_out.iter().copied().chain(due_scale).collect();
            assert_due(&of_gradient, &due_gradient, context);
            let mut in_place = Output::new(self.x.len());
            in_place.slice().copy_from_slice(self.x);
            let of_in_place = loss.gradient_in_place(in_place.slice(), y, scale);
            assert_due(&of_in_place, &due_in_place, context);
            if of_in_place.is_err() {
                assert_same_bits(in_place.slice(), self.x, context);
            }
            if of_gradient.is_err() {
                gradient.assert_untouched(context);
            }
            if result.is_err() {
                out.assert_untouched(context);
                continue;
            }
            let losses = out.written(context);
            agree.assert_same(backend, losses, context);
            let total = total.expect("no error is due");
            assert_reductions(total, context);
            let [sum, weight] = self.fold(losses);
            if !self.options.as_ref().is_some_and(Drawn::has_far_weights) {
                assert_same_f64(total.sum(), sum, context);
            }
            assert_same_f64(total.weight(), weight, context);
            assert_eq!(total.count(), self.x.len() as u64, "{}", context());
            self.check_rows_alone(&loss, losses, &context);
            for (i, &got) in losses.iter().enumerate() {
                expected[i][0].assert(got, || self.element_context(i, &context));
            }
            let (Ok(of_gradient), Ok(of_in_place)) = (of_gradient, of_in_place) else { continue };
            let gradient = gradient.written(context);
            gradients_agree.assert_same(backend, gradient, context);
            assert_same_bits(in_place.written(context), gradient, context);
            for of_gradient in [of_gradient, of_in_place] {
                assert_same_f64(of_gradient.sum(), total.sum(), context);
                assert_same_f64(of_gradient.weight(), total.weight(), context);
                assert_eq!(of_gradient.count(), total.count(), "{}", context());
            }
            let factor = loss.factor(y, scale).expect("as of the gradient");
            let wanted =
                self.options.as_ref().map_or(1.0, |o| o.factor(total.weight(), total.count()));
            assert_factor(factor, wanted, context);
            for (i, &got) in gradient.iter().enumerate() {
                let context = || format!("gradient of {}", self.element_context(i, &context));
                if wanted == 0.0 {
                    assert!(got == 0.0, "{got:e} is not 0\n{}", context());
                } else {
                    expected[i][1]
                        .times(wanted, self.options_of(0).temperature)
                        .assert(got, context);
                }
            }
        }
    }

    fn element_context(&self, i: usize, context: &dyn Fn() -> String) -> String {
        format!("element {i}: {:e}, target {:e}, {}", self.x[i], self.y[i], context())
    }

    /// The doors to one row, and to one element.
    fn check_rows_alone(&self, loss: &Loss<'_>, losses: &[f32], context: &dyn Fn() -> String) {
        if self.sample_weights().is_some() {
            return;
        }
        let classes = self.shape[1].max(1);
        let rows = self.x.chunks(classes).zip(self.y.chunks(classes)).zip(losses.chunks(classes));
        for ((x, y), wanted) in rows.step_by(1 + losses.len() / 500) {
            let mut out = Output::new(x.len());
            loss.row(x, y, out.slice()).expect("as in the batch");
            assert_same_bits(out.written(context), wanted, context);
        }
        if self.options.is_none() {
            for i in (0..losses.len()).step_by(7) {
                assert_same_bits(&[loss.element(self.x[i], self.y[i])], &losses[i..=i], context);
            }
        }
    }

    fn sample_weights(&self) -> Option<&[f32]> {
        self.options.as_ref().and_then(|options| options.sample_weights.as_deref())
    }

    fn sample_weight(&self, i: usize) -> f32 {
        self.options.as_ref().map_or(1.0, |options| options.sample_weight(i / self.shape[1]))
    }

    fn targets<'a>(&'a self, layout: &'a Layout) -> BinaryTargets<'a> {
        let targets = BinaryTargets::new(layout.rows());
        match self.sample_weights() {
            Some(weights) => targets.with_sample_weights(weights),
            None => targets,
        }
    }

    /// But for that of shapes that differ.
    fn due_errors(&self, [n_rows, classes]: [usize; 2]) -> Vec<Error> {
        let mut due = Vec::new();
        due.extend(self.clip.and_then(clip_error));
        if let Some(options) = &self.options {
            due.extend(options.due_errors(n_rows, classes, "pos_weights"));
            if self.clip.is_none() {
                due.extend(options.due_logit_errors());
            }
            if let Some(alpha) = options.focal_alpha
                && !(0.0..=1.0).contains(&alpha)
            {
                due.push(invalid("focal_alpha", alpha));
            }
        }
        if n_rows > 0 && classes == 0 {
            due.push(Error::EmptyClasses { n_rows });
        }
        due
    }

    /// The options of the element `i`, but for its sample weight.
    fn options_of(&self, i: usize) -> BinaryOptions {
        let Some(options) = &self.options else {
            let none = BinaryOptions::default();
            return BinaryOptions { clip: self.clip.unwrap_or(none.clip), ..none };
        };
        let pos_weight = |weights: &Vec<f32>| weights.get(i % self.shape[1].max(1)).copied();
        let pos_weight = options.weights.as_ref().and_then(pos_weight).unwrap_or(1.0);
        BinaryOptions { pos_weight, ..options.of_elements(self.clip) }
    }

    fn loss(&self, backend: Backend) -> Loss<'_> {
        let (of_all, pos_weights) = (
            self.options_of(0),
            self.options.as_ref().and_then(|options| options.weights.as_ref()),
        );
        if self.clip.is_some() {
            let loss = bounds::clipped_binary(backend, &of_all);
            Loss::Probs(pos_weights.map_or(loss, |weights| loss.pos_weights(weights)))
        } else {
            let loss = bounds::binary(backend, &of_all);
            Loss::Logits(pos_weights.map_or(loss, |weights| loss.pos_weights(weights)))
        }
    }

    /// The sum of losses that have their weights already, and the weight, in chunks of rows, as documented.
    fn fold(&self, losses: &[f32]) -> [f64; 2] {
        let (mut sum, mut weight) = (0.0, 0.0);
        let len = (LossTotal::CHUNK_ROWS * self.shape[1]).max(1);
        for (chunk, losses) in losses.chunks(len).enumerate() {
            let (mut chunk_sum, mut chunk_weight) = (0.0, 0.0);
            for (i, &loss) in losses.iter().enumerate() {
                chunk_sum += f64::from(loss);
                chunk_weight += f64::from(self.sample_weight(chunk * len + i));
            }
            sum += chunk_sum;
            weight += chunk_weight;
        }
        [sum, weight]
    }

    /// What is promised of the loss and, before its factor, of the gradient of an element.
    fn expected(&self, i: usize) -> [Promise; 2] {
        let (x, y, usual) =
            (self.x[i], self.y[i], self.options.as_ref().is_none_or(|options| options.usual));
        let sample_weight = self.sample_weight(i);
        if sample_weight == 0.0 {
            return [Promise::ZERO; 2];
        }
        let options = BinaryOptions { sample_weight, ..self.options_of(i) };
        let huge = x.is_finite() && x.abs() > HUGE && self.clip.is_none();
        let [loss, gradient] = if !usual || huge || !(0.0..=1.0).contains(&y) {
            [Promise::Nothing; 2]
        } else {
            let case = match self.clip {
                Some(_) => ElementCase::of_prob(x, y, &options),
                None => ElementCase::of_logit(x, y, &options),
            };
            [(case.loss, case.loss_allowed), (case.gradient, case.gradient_allowed)]
                .map(|(value, allowed)| unless_huge(value, allowed))
        };
        let loss = if self.options.is_none() { plain(x, y, self.clip) } else { loss };
        [loss, gradient]
    }
}

/// What is promised of a loss without options.
fn plain(x: f32, y: f32, clip: Option<[f32; 2]>) -> Promise {
    if y.is_infinite() {
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

/// Either loss.
enum Loss<'w> {
    Logits(BinaryCrossEntropy<'w>),
    Probs(ClippedBinaryCrossEntropy<'w>),
}

/// A method that both losses have.
macro_rules! both {
    ($self:ident, $method:ident($($argument:expr),*)) => {
        match $self {
            Loss::Logits(loss) => loss.$method($($argument),*),
            Loss::Probs(loss) => loss.$method($($argument),*),
        }
    };
}

impl Loss<'_> {
    fn check(&self, x: Rows<'_>, y: BinaryTargets<'_>) -> Result<(), Error> {
        both!(self, check(x, y))
    }

    fn rows(&self, x: Rows<'_>, y: BinaryTargets<'_>, out: &mut [f32]) -> Result<(), Error> {
        both!(self, rows(x, y, out))
    }

    fn row(&self, x: &[f32], y: &[f32], out: &mut [f32]) -> Result<(), Error> {
        both!(self, row(x, y, out))
    }

    /// Of a loss without options, whose clip range is valid.
    fn element(&self, x: f32, y: f32) -> f32 {
        match self {
            Loss::Logits(loss) => loss.element(x, y).expect("as in the batch"),
            Loss::Probs(loss) => loss.element(x, y).expect("as in the batch"),
        }
    }

    fn total(&self, x: Rows<'_>, y: BinaryTargets<'_>) -> Result<LossTotal, Error> {
        both!(self, total(x, y))
    }

    fn gradient(
        &self,
        x: Rows<'_>,
        y: BinaryTargets<'_>,
        scale: GradientScale,
        out: &mut [f32],
    ) -> Result<LossTotal, Error> {
        both!(self, gradient(x, y, scale, out))
    }

    fn gradient_in_place(
        &self,
        x: &mut [f32],
        y: BinaryTargets<'_>,
        scale: GradientScale,
    ) -> Result<LossTotal, Error> {
        both!(self, gradient_in_place(x, y, scale))
    }

    fn factor(&self, y: BinaryTargets<'_>, scale: GradientScale) -> Result<f64, Error> {
        both!(self, gradient_factor(y, scale))
    }
}
