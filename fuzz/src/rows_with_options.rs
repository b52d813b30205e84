//! Both losses of rows with options, sample weights and ignored labels, and their gradients.
//!
//! Losses and gradients are compared with the reference, within the bounds that the suites of core hold
//! too, where all options are usual ones, inputs are below 2^100 and targets neither negative nor beyond
//! it; so are rows to normalise as in [`clipped_cross_entropy`](crate::clipped_cross_entropy), and gradients of
//! probabilities where no class counts less than 2^-100. Elsewhere only that backends of a class and all doors agree is checked. So it is for the sum of losses of which a
//! weight is far from 1: it is taken in f64, of losses before their weight.

use xent_core::{
    Backend, ClippedCrossEntropy, CrossEntropy, Error, GradientScale, LossTotal, Rows, Target,
    Targets, accuracy,
};

use crate::bounds::{self, LogitCase, ProbCase, one_hot};
use crate::bytes::Bytes;
use crate::clipped_cross_entropy::{clip, clip_error, unpromised};
use crate::compare::{
    Classes, Output, Promise, assert_due, assert_same_bits, assert_same_f64, bits,
};
use crate::cross_entropy::{Case, HUGE, shape};
use crate::layout::Layout;
use crate::options::{Drawn, assert_factor, assert_reductions, invalid, is_weight};

/// 2^-100: what counts less, times the factor of a gradient, may be subnormal.
const SMALL: f64 = f64::from_bits((1023 - 100) << 52);

/// What the rows are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    Logits,
    Probs { clip: [f32; 2], normalize: bool },
}

impl Input {
    pub(crate) fn probs(bytes: &mut Bytes<'_>) -> Self {
        Input::Probs { clip: clip(bytes), normalize: bytes.flag() }
    }
}

/// See the module.
pub(crate) fn check(bytes: &mut Bytes<'_>, input: Input) {
    let (n_rows, classes) = shape(bytes);
    let options = Drawn::new(bytes, n_rows, classes);
    let x = match input {
        Input::Logits => bytes.logits(n_rows * classes),
        Input::Probs { .. } => bytes.probs(n_rows * classes),
    };
    let layout = Layout::new(bytes, &x, n_rows, classes);
    let case = Case::new(bytes, n_rows, classes);
    let out_len = if bytes.rarely() { bytes.below(2 * n_rows + 2) } else { n_rows };
    let gradient_len = if bytes.rarely() { bytes.below(2 * x.len() + 2) } else { x.len() };
    let call = Call { input, options: &options, case: &case, x: &x, n_rows, classes };
    call.check(&layout, out_len, gradient_len);
}

struct Call<'a> {
    input: Input,
    options: &'a Drawn,
    case: &'a Case,
    x: &'a [f32],
    n_rows: usize,
    classes: usize,
}

impl Call<'_> {
    fn check(&self, layout: &Layout, out_len: usize, gradient_len: usize) {
        let (n_rows, classes) = (self.n_rows, self.classes);
        let due = self.due_errors();
        let with_length = |expected: usize, found: usize| {
            let wrong = (expected != found).then_some(Error::LengthMismatch { expected, found });
            due.iter().copied().chain(wrong).collect::<Vec<_>>()
        };
        let due_of_losses = with_length(n_rows, out_len);
        let mut due_of_gradient = with_length(self.x.len(), gradient_len);
        due_of_gradient.extend(self.options.due_scale_error());
        let mut due_in_place = due.clone();
        due_in_place.extend(self.options.due_scale_error());
        let expected: Vec<Expected> = if due.is_empty() {
            (0..n_rows).map(|row| self.expected(row)).collect()
        } else {
            Vec::new()
        };
        let (mut agree, mut gradients_agree) = (Classes::default(), Classes::default());
        for backend in Backend::all() {
            let context = || {
                format!(
                    "{backend:?}: {:?}, {:?}, {n_rows} x {classes} {:x?}, {:?}",
                    self.input,
                    self.options,
                    bits(self.x),
                    self.case
                )
            };
            let loss = self.loss(backend);
            let targets = self.targets();
            assert_due(&loss.check(layout.rows(), targets), &due, context);
            let mut out = Output::new(out_len);
            let result = loss.rows(layout.rows(), targets, out.slice());
            assert_due(&result, &due_of_losses, context);
            let total = loss.total(layout.rows(), targets);
            assert_due(&total, &due, context);
            let mut gradient = Output::new(gradient_len);
            let scale = self.options.scale;
            let of_gradient = loss.gradient(layout.rows(), targets, scale, gradient.slice());
            assert_due(&of_gradient, &due_of_gradient, context);
            let mut in_place = Output::new(self.x.len());
            in_place.slice().copy_from_slice(self.x);
            let shape = [n_rows, classes];
            let of_in_place = loss.gradient_in_place(in_place.slice(), shape, targets, scale);
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
            assert_eq!(targets.are_weighted(), self.options.sample_weights.is_some());
            let folded = self.fold(losses);
            if !self.options.has_far_weights() {
                assert_same_f64(total.sum(), folded.sum, context);
            }
            assert_same_f64(total.weight(), folded.weight, context);
            assert_eq!(total.count(), folded.count, "{}", context());
            for (row, &got) in losses.iter().enumerate() {
                let context = || format!("loss of row {row}: {}", context());
                expected[row].loss.assert(got, context);
                if self.options.sample_weights.is_none() {
                    let alone = loss.row(self.row(row), self.target(row));
                    assert_same_bits(&[alone.expect("as in the batch")], &[got], context);
                }
            }
            let (Ok(of_gradient), Ok(of_in_place)) = (of_gradient, of_in_place) else { continue };
            let gradient = gradient.written(context);
            gradients_agree.assert_same(backend, gradient, context);
            assert_same_bits(in_place.written(context), gradient, context);
            assert_same_f64(of_in_place.sum(), of_gradient.sum(), context);
            for of_gradient in [of_gradient, of_in_place] {
                assert_same_f64(of_gradient.sum(), total.sum(), context);
                assert_same_f64(of_gradient.weight(), total.weight(), context);
                assert_eq!(of_gradient.count(), total.count(), "{}", context());
            }
            let factor = self.options.factor(folded.weight, folded.count);
            let of_loss = loss.gradient_factor(targets, n_rows, scale);
            assert_factor(of_loss.expect("as of the gradient"), factor, context);
            for (row, got) in gradient.chunks(classes.max(1)).enumerate() {
                let context = || format!("gradient of row {row}: {}", context());
                self.check_row_gradient(&loss, row, losses[row], got, &context);
                if factor == 0.0 {
                    assert!(got.iter().all(|&g| g == 0.0), "no zeros\n{}", context());
                } else if self.options.usual {
                    let temperature = self.options.temperature;
                    expected[row].assert_gradient(factor, temperature, got, &context);
                }
            }
        }
    }

    /// The doors to the gradient of one row.
    fn check_row_gradient(
        &self,
        loss: &Loss<'_>,
        row: usize,
        row_loss: f32,
        got: &[f32],
        context: &dyn Fn() -> String,
    ) {
        if self.options.sample_weights.is_some() {
            return;
        }
        let mut gradient = Output::new(self.classes);
        let result = loss.row_gradient(self.row(row), self.target(row), gradient.slice());
        let of_gradient = result.expect("as in the batch");
        assert_same_bits(&[of_gradient], &[row_loss], context);
        let mut in_place = self.row(row).to_vec();
        let result = loss.row_gradient_in_place(&mut in_place, self.target(row));
        assert_same_bits(&[result.expect("as in the batch")], &[of_gradient], context);
        assert_same_bits(&in_place, gradient.written(context), context);
        if self.options.factor(2.0, 2) == 1.0 {
            assert_same_bits(&in_place, got, context);
        }
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.x[row * self.classes..][..self.classes]
    }

    fn target(&self, row: usize) -> Target<'_> {
        match self.case {
            Case::Labels(labels) => Target::Label(labels.to_i64()[row]),
            Case::Distributions { y, .. } => (&y[row * self.classes..][..self.classes]).into(),
        }
    }

    fn targets(&self) -> Targets<'_> {
        let targets = match self.case {
            Case::Labels(labels) => labels.targets(),
            Case::Distributions { layout, .. } => Targets::distributions(layout.rows()),
        };
        match &self.options.sample_weights {
            Some(weights) => targets.with_sample_weights(weights),
            None => targets,
        }
    }

    fn is_ignored(&self, row: usize) -> bool {
        let label = match self.case {
            Case::Labels(labels) => labels.to_i64().get(row).copied(),
            Case::Distributions { .. } => None,
        };
        label.is_some() && label == self.options.ignore
    }

    fn due_errors(&self) -> Vec<Error> {
        let (n_rows, classes) = (self.n_rows, self.classes);
        let mut due = self.options.due_errors(n_rows, classes, "class_weights");
        if let Some(alpha) = self.options.focal_alpha
            && !is_weight(alpha)
        {
            due.push(invalid("focal_alpha", alpha));
        }
        match self.input {
            Input::Logits => {
                due.extend(self.options.due_logit_errors());
                if !is_weight(self.options.z_loss) {
                    due.push(invalid("z_loss", self.options.z_loss));
                }
            }
            Input::Probs { clip, .. } => due.extend(clip_error(clip)),
        }
        due.extend(self.case.due_errors_but(n_rows, classes, self.options.ignore));
        due
    }

    fn loss(&self, backend: Backend) -> Loss<'_> {
        let (mut options, ignore) = (self.options.of_rows(1.0), self.options.ignore);
        let weights = self.options.weights.as_deref();
        match self.input {
            Input::Logits => {
                let loss = bounds::cross_entropy(backend, &options).ignore(ignore);
                Loss::Logits(weights.map_or(loss, |weights| loss.class_weights(weights)))
            }
            Input::Probs { clip, normalize } => {
                (options.clip, options.normalize) = (clip, normalize);
                let loss = bounds::clipped(backend, &options).ignore(ignore);
                Loss::Probs(weights.map_or(loss, |weights| loss.class_weights(weights)))
            }
        }
    }

    /// The total of losses that have their weights already, as it is documented.
    fn fold(&self, losses: &[f32]) -> Folded {
        let mut total = Folded::default();
        for start in (0..losses.len()).step_by(LossTotal::CHUNK_ROWS) {
            let mut chunk = Folded::default();
            let rows = losses.iter().enumerate().skip(start);
            for (row, &loss) in rows.take(LossTotal::CHUNK_ROWS) {
                if self.is_ignored(row) {
                    continue;
                }
                let class_weight = match (&self.options.weights, self.target(row)) {
                    (Some(weights), Target::Label(label)) => weights[label as usize],
                    _ => 1.0,
                };
                chunk.sum += f64::from(loss);
                chunk.weight +=
                    f64::from(self.options.sample_weight(row)) * f64::from(class_weight);
                chunk.count += 1;
            }
            total.sum += chunk.sum;
            total.weight += chunk.weight;
            total.count += chunk.count;
        }
        total
    }

    fn expected(&self, row: usize) -> Expected {
        let (x, classes) = (self.row(row), self.classes);
        if self.is_ignored(row) {
            return Expected::nothing_counts(classes);
        }
        let y = match self.target(row) {
            Target::Label(label) => one_hot(classes, label as usize),
            Target::Distribution(y) => y.to_vec(),
        };
        let sample_weight = self.options.sample_weight(row);
        let z_loss = matches!(self.input, Input::Logits) && self.options.z_loss != 0.0;
        let of_label = match (&self.options.weights, self.target(row)) {
            (Some(weights), Target::Label(label)) => weights[label as usize],
            _ => 1.0,
        };
        // Smoothed, a label counts other classes too.
        let one_counts = of_label != 0.0 || self.options.label_smoothing != 0.0;
        let terms_count = self.options.focal_alpha != Some(0.0) && one_counts;
        if sample_weight == 0.0 || !(terms_count || z_loss) {
            return Expected::nothing_counts(classes);
        }
        let huge = |x: &f32| x.is_finite() && x.abs() > HUGE;
        let odd_target = |y: &f32| !(0.0..=HUGE).contains(y);
        let unusual = !self.options.usual || x.iter().any(huge) || y.iter().any(odd_target);
        if unusual {
            return Expected::nothing_promised();
        }
        let mut options = self.options.of_rows(sample_weight);
        match self.input {
            Input::Logits => {
                let case = LogitCase::new(x, &y, &options);
                Expected::new(case.loss, case.loss_allowed, case.gradient, case.gradient_allowed)
            }
            Input::Probs { clip, normalize } => {
                options.clip = clip;
                options.normalize = normalize;
                if x.iter().any(|p| p.is_nan()) || unpromised(x, normalize).is_some() {
                    return Expected::nothing_promised();
                }
                let case = ProbCase::new(x, &y, &options);
                // What a class counts is multiplied by a factor before it is divided.
                let count = |c| bounds::count(&y, c, &options) * f64::from(sample_weight);
                let is_coarse = |c| (f64::MIN_POSITIVE..SMALL).contains(&count(c));
                let nothing = case.at_an_end || (0..classes).any(is_coarse);
                let gradient = if nothing { vec![] } else { case.gradient };
                Expected::new(case.loss, case.loss_allowed, gradient, case.gradient_allowed)
            }
        }
    }
}

#[derive(Default)]
struct Folded {
    sum: f64,
    weight: f64,
    count: u64,
}

/// What is promised of a row.
struct Expected {
    loss: Promise,
    /// Before the factor; empty where nothing is promised.
    gradient: Vec<Promise>,
}

impl Expected {
    fn new(loss: f64, allowed: f64, gradient: Vec<f64>, gradient_allowed: Vec<f64>) -> Self {
        let gradient = gradient.into_iter().zip(gradient_allowed);
        Expected {
            loss: unless_huge(loss, allowed),
            gradient: gradient.map(|(value, allowed)| unless_huge(value, allowed)).collect(),
        }
    }

    fn nothing_promised() -> Self {
        Expected { loss: Promise::Nothing, gradient: vec![] }
    }

    /// A row that is ignored or of weight 0: zeros, whatever it holds.
    fn nothing_counts(classes: usize) -> Self {
        Expected { loss: Promise::ZERO, gradient: vec![Promise::ZERO; classes] }
    }

    #[track_caller]
    fn assert_gradient(
        &self,
        factor: f64,
        temperature: f32,
        got: &[f32],
        context: &dyn Fn() -> String,
    ) {
        for (c, (&promise, &got)) in self.gradient.iter().zip(got).enumerate() {
            promise.times(factor, temperature).assert(got, || format!("class {c}: {}", context()));
        }
    }
}

/// Terms whose sum is relative to more than 2^100 may overflow one by one.
pub(crate) fn unless_huge(value: f64, allowed: f64) -> Promise {
    if value.is_finite() && allowed > accuracy::ULP * f64::from(HUGE) {
        Promise::Nothing
    } else {
        Promise::Within { value, allowed }
    }
}

/// Either loss.
enum Loss<'w> {
    Logits(CrossEntropy<'w>),
    Probs(ClippedCrossEntropy<'w>),
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
    fn check(&self, x: Rows<'_>, targets: Targets<'_>) -> Result<(), Error> {
        both!(self, check(x, targets))
    }

    fn rows(&self, x: Rows<'_>, targets: Targets<'_>, out: &mut [f32]) -> Result<(), Error> {
        both!(self, rows(x, targets, out))
    }

    fn row(&self, x: &[f32], target: Target<'_>) -> Result<f32, Error> {
        both!(self, row(x, target))
    }

    fn total(&self, x: Rows<'_>, targets: Targets<'_>) -> Result<LossTotal, Error> {
        both!(self, total(x, targets))
    }

    fn gradient(
        &self,
        x: Rows<'_>,
        targets: Targets<'_>,
        scale: GradientScale,
        out: &mut [f32],
    ) -> Result<LossTotal, Error> {
        both!(self, gradient(x, targets, scale, out))
    }

    fn gradient_in_place(
        &self,
        x: &mut [f32],
        [n_rows, classes]: [usize; 2],
        targets: Targets<'_>,
        scale: GradientScale,
    ) -> Result<LossTotal, Error> {
        both!(self, gradient_in_place(x, n_rows, classes, targets, scale))
    }

    fn gradient_factor(
        &self,
        targets: Targets<'_>,
        n_rows: usize,
        scale: GradientScale,
    ) -> Result<f64, Error> {
        both!(self, gradient_factor(targets, n_rows, scale))
    }

    fn row_gradient(&self, x: &[f32], target: Target<'_>, out: &mut [f32]) -> Result<f32, Error> {
        both!(self, row_gradient(x, target, out))
    }

    fn row_gradient_in_place(&self, x: &mut [f32], target: Target<'_>) -> Result<f32, Error> {
        both!(self, row_gradient_in_place(x, target))
    }
}
