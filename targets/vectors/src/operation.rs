//! What is computed of a case, and the options that it is computed with.

use core::fmt;

use xent_core::reference::{BinaryOptions, Options};
use xent_core::{
    Backend, BinaryCrossEntropy, BinaryTargets, ClippedBinaryCrossEntropy, ClippedCrossEntropy,
    CrossEntropy, Distillation, Error, LogSumExp, LossTotal, Reduction, Rows, Targets,
};

use crate::{Case, Inputs, MOST_ROWS};

/// What is computed of a case.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    /// `log_sum_exp` of a row.
    LogSumExp,
    /// The same of its halves, merged, after its last element, pushed.
    MergedLogSumExp,
    /// The loss of a row with its label.
    Loss,
    /// `softmax` of a row.
    Softmax,
    /// `log_softmax` of a row.
    LogSoftmax,
    /// Log-sum-exp, loss, largest probability, entropy, margin, argmax and rank of a row.
    Statistics,
    /// `log_sum_exp` of rows in a layout.
    LogSumExpRows(Layout),
    /// `softmax` of rows in a layout.
    SoftmaxRows(Layout),
    /// Losses of rows in a layout.
    LossRows(Layout, TargetKind),
    /// Losses of rows of probabilities, normalised, in a layout.
    ClippedRows(Layout, TargetKind),
    /// The losses of all elements of rows in a layout.
    BinaryRows(Layout),
    /// Sum, weight, count, mean and gradient of the mean: an ignored row, sample and class weights.
    Mean,
    /// Losses and gradients with options.
    CrossEntropy(TargetKind, &'static ClassOptions),
    /// The same of probabilities.
    ClippedCrossEntropy(TargetKind, &'static ClassOptions),
    /// Losses and gradients of elements with options.
    BinaryCrossEntropy(&'static ElementOptions),
    /// The same of probabilities.
    ClippedBinaryCrossEntropy(&'static ElementOptions),
    /// `entropy` of a row of probabilities.
    Entropy,
    /// `kl_divergence` of the targets from the probabilities.
    KlDivergence,
    /// `js_divergence` of the two.
    JsDivergence,
    /// Losses and gradients of a student's logits with a teacher's, at a temperature in tenths.
    Distillation(u8),
}

/// Where the elements of rows lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Rows one after another.
    RowMajor,
    /// The same, with two elements between rows.
    Apart,
    /// The columns of a matrix.
    Columns,
    /// `N, C, H, W`, in two images.
    ChannelsFirst,
}

impl Layout {
    /// Rows of this layout that begin with `data`.
    ///
    /// Errors: [`Error::LengthMismatch`] if `data` is too short.
    pub fn rows(self, data: &[f32], n_rows: usize, classes: usize) -> Result<Rows<'_>, Error> {
        let n = data.len().min(n_rows * classes);
        match self {
            Layout::RowMajor => Rows::new(&data[..n], n_rows, classes),
            Layout::Apart => Rows::strided(data, n_rows, classes, classes + 2, 1),
            Layout::Columns => Rows::strided(data, n_rows, classes, 1, n_rows),
            Layout::ChannelsFirst => Rows::channels_first(&data[..n], 2, classes, n_rows / 2),
        }
    }

    /// Where a class of a row lies.
    pub(crate) const fn place(
        self,
        n_rows: usize,
        classes: usize,
        row: usize,
        class: usize,
    ) -> usize {
        match self {
            Layout::RowMajor => row * classes + class,
            Layout::Apart => row * (classes + 2) + class,
            Layout::Columns => class * n_rows + row,
            Layout::ChannelsFirst => {
                let inner = n_rows / 2;
                (row / inner * classes + class) * inner + row % inner
            }
        }
    }
}

/// What a row should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// The class of [`Row::label`](crate::Row::label).
    Label,
    /// A distribution that does not sum to 1.
    Distribution,
}

/// Options of the losses over classes.
pub struct ClassOptions {
    name: &'static str,
    /// Whether the classes have weights, those of [`Inputs::class_weights`].
    pub is_weighted: bool,
    options: Options<'static>,
}

impl ClassOptions {
    /// As the reference takes them.
    #[must_use]
    pub fn of<'a>(&self, class_weights: &'a [f32]) -> Options<'a> {
        let class_weights = if self.is_weighted { class_weights } else { &[] };
        Options { class_weights, ..self.options }
    }
}

impl fmt::Debug for ClassOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Options of the losses of elements.
pub struct ElementOptions {
    name: &'static str,
    /// As the reference takes them.
    pub options: BinaryOptions,
}

impl fmt::Debug for ElementOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const NONE: Options<'static> = Options {
    class_weights: &[],
    label_smoothing: 0.0,
    focal_gamma: 0.0,
    focal_alpha: 1.0,
    z_loss: 0.0,
    temperature: 1.0,
    soft_cap: f32::INFINITY,
    clip: [1e-7, 1.0 - 1e-7],
    normalize: false,
    sample_weight: 1.0,
};

const NO_ELEMENT_OPTIONS: BinaryOptions = BinaryOptions {
    pos_weight: 1.0,
    label_smoothing: 0.0,
    focal_gamma: 0.0,
    focal_alpha: None,
    temperature: 1.0,
    soft_cap: f32::INFINITY,
    clip: [1e-7, 1.0 - 1e-7],
    sample_weight: 1.0,
};

macro_rules! class_options {
    ($($list:ident: $loss:ident { $($name:literal $is_weighted:literal {$($field:tt)*})* })*) => {$(
        /// Labels, then distributions, with each set of options.
        pub(crate) static $list: &[Operation] = &[
            $(Operation::$loss(TargetKind::Label, &ClassOptions {
                name: $name,
                is_weighted: $is_weighted,
                options: Options { $($field)* ..NONE },
            }),)*
            $(Operation::$loss(TargetKind::Distribution, &ClassOptions {
                name: $name,
                is_weighted: $is_weighted,
                options: Options { $($field)* ..NONE },
            }),)*
        ];
    )*};
}

class_options! {
    CROSS_ENTROPY: CrossEntropy {
        "none" false {}
        "smoothing" false { label_smoothing: 0.1, }
        "class weights" true {}
        "sample weight" false { sample_weight: 2.3, }
        "focal 2" false { focal_gamma: 2.0, }
        "focal 3.7 alpha" false { focal_gamma: 3.7, focal_alpha: 0.25, }
        "z-loss" false { z_loss: 1e-4, }
        "temperature" false { temperature: 0.7, }
        "soft cap" false { soft_cap: 30.0, }
        "smoothing, class weights" true { label_smoothing: 0.3, }
        "everything" true {
            label_smoothing: 0.2, focal_gamma: 1.5, focal_alpha: 0.5, z_loss: 1e-3,
            temperature: 1.7, soft_cap: 20.0, sample_weight: 1.3,
        }
    }
    CLIPPED_CROSS_ENTROPY: ClippedCrossEntropy {
        "none" false {}
        "no clip" false { clip: [0.0, 1.0], }
        "narrow clip" false { clip: [0.25, 0.75], }
        "normalized" false { normalize: true, }
        "normalized, smoothing" false { normalize: true, label_smoothing: 0.1, }
        "focal 2" false { focal_gamma: 2.0, }
        "everything" true {
            label_smoothing: 0.2, focal_gamma: 1.5, focal_alpha: 0.5, clip: [1e-10, 1.0],
            normalize: true, sample_weight: 1.3,
        }
    }
}

macro_rules! element_options {
    ($($list:ident: $loss:ident { $($name:literal {$($field:tt)*})* })*) => {$(
        pub(crate) static $list: &[Operation] = &[
            $(Operation::$loss(&ElementOptions {
                name: $name,
                options: BinaryOptions { $($field)* ..NO_ELEMENT_OPTIONS },
            }),)*
        ];
    )*};
}

element_options! {
    BINARY_CROSS_ENTROPY: BinaryCrossEntropy {
        "none" {}
        "smoothing" { label_smoothing: 0.1, }
        "pos weight" { pos_weight: 3.3, }
        "focal 2" { focal_gamma: 2.0, }
        "focal 4.3 alpha" { focal_gamma: 4.3, focal_alpha: Some(0.25), }
        "temperature" { temperature: 1.7, }
        "soft cap" { soft_cap: 7.0, }
        "everything" {
            pos_weight: 0.6, label_smoothing: 0.2, focal_gamma: 1.5, focal_alpha: Some(0.7),
            temperature: 0.8, soft_cap: 20.0, sample_weight: 1.3,
        }
    }
    CLIPPED_BINARY_CROSS_ENTROPY: ClippedBinaryCrossEntropy {
        "none" {}
        "no clip" { clip: [0.0, 1.0], }
        "smoothing" { label_smoothing: 0.1, }
        "everything" {
            pos_weight: 0.6, label_smoothing: 0.2, focal_gamma: 1.5, focal_alpha: Some(0.7),
            clip: [0.25, 0.75], sample_weight: 1.3,
        }
    }
}

pub(crate) static ONE_ROW: &[Operation] = &[Operation::LogSumExp, Operation::Loss];
pub(crate) static ONE_ROW_AT_EDGES: &[Operation] =
    &[Operation::MergedLogSumExp, Operation::Softmax, Operation::LogSoftmax, Operation::Statistics];
pub(crate) static TWO_OPERANDS: &[Operation] =
    &[Operation::Entropy, Operation::KlDivergence, Operation::JsDivergence];
pub(crate) static DISTILLATION: &[Operation] =
    &[Operation::Distillation(10), Operation::Distillation(30)];
pub(crate) static REDUCTION: &[Operation] = &[Operation::Mean];

macro_rules! layouts {
    ($($layout:ident)*) => {
        pub(crate) static LAYOUTS: &[Operation] = &[$(
            Operation::LogSumExpRows(Layout::$layout),
            Operation::SoftmaxRows(Layout::$layout),
            Operation::LossRows(Layout::$layout, TargetKind::Label),
            Operation::LossRows(Layout::$layout, TargetKind::Distribution),
            Operation::ClippedRows(Layout::$layout, TargetKind::Label),
            Operation::ClippedRows(Layout::$layout, TargetKind::Distribution),
            Operation::BinaryRows(Layout::$layout),
        )*];
    };
}

layouts! { RowMajor Apart Columns ChannelsFirst }

impl Operation {
    /// The layout of its first operand.
    #[must_use]
    pub const fn layout(self) -> Layout {
        match self {
            Operation::LogSumExpRows(layout)
            | Operation::SoftmaxRows(layout)
            | Operation::LossRows(layout, _)
            | Operation::ClippedRows(layout, _)
            | Operation::BinaryRows(layout) => layout,
            _ => Layout::RowMajor,
        }
    }

    /// Whether its first operand are probabilities.
    #[must_use]
    pub const fn takes_probabilities(self) -> bool {
        matches!(
            self,
            Operation::ClippedRows(..)
                | Operation::ClippedCrossEntropy(..)
                | Operation::ClippedBinaryCrossEntropy(_)
                | Operation::Entropy
                | Operation::KlDivergence
                | Operation::JsDivergence
        )
    }
}

/// The loss with these options; `options.sample_weight` belongs to the targets.
fn cross_entropy<'a>(backend: Backend, options: &Options<'a>) -> CrossEntropy<'a> {
    let loss = CrossEntropy::new()
        .backend(backend)
        .label_smoothing(options.label_smoothing)
        .focal(options.focal_gamma)
        .focal_alpha(options.focal_alpha)
        .z_loss(options.z_loss)
        .temperature(options.temperature)
        .soft_cap(options.soft_cap);
    if options.class_weights.is_empty() { loss } else { loss.class_weights(options.class_weights) }
}

fn clipped<'a>(backend: Backend, options: &Options<'a>) -> ClippedCrossEntropy<'a> {
    let [lo, hi] = options.clip;
    let loss = ClippedCrossEntropy::new()
        .backend(backend)
        .label_smoothing(options.label_smoothing)
        .focal(options.focal_gamma)
        .focal_alpha(options.focal_alpha)
        .clip(lo, hi)
        .normalize(options.normalize);
    if options.class_weights.is_empty() { loss } else { loss.class_weights(options.class_weights) }
}

fn binary<'a>(
    backend: Backend,
    options: &BinaryOptions,
    pos_weights: &'a [f32],
) -> BinaryCrossEntropy<'a> {
    BinaryCrossEntropy::new()
        .backend(backend)
        .label_smoothing(options.label_smoothing)
        .pos_weights(pos_weights)
        .focal(options.focal_gamma)
        .focal_alpha(options.focal_alpha)
        .temperature(options.temperature)
        .soft_cap(options.soft_cap)
}

fn clipped_binary<'a>(
    backend: Backend,
    options: &BinaryOptions,
    pos_weights: &'a [f32],
) -> ClippedBinaryCrossEntropy<'a> {
    let [lo, hi] = options.clip;
    ClippedBinaryCrossEntropy::new()
        .backend(backend)
        .label_smoothing(options.label_smoothing)
        .pos_weights(pos_weights)
        .focal(options.focal_gamma)
        .focal_alpha(options.focal_alpha)
        .clip(lo, hi)
}

/// `value` as two f32 that sum to it, as far as these reach.
fn parts(value: f64) -> [f32; 2] {
    let high = value as f32;
    // Of an infinity and a NaN the rest is a NaN, whose bits no two CPUs agree on.
    [high, if high.is_finite() { (value - f64::from(high)) as f32 } else { 0.0 }]
}

/// A NaN of an f64 may lose its bits on the way.
fn mean_parts(total: &LossTotal) -> [f32; 4] {
    let canonical = |x: f32| if x.is_nan() { f32::NAN } else { x };
    let ([sum, sum_rest], [mean, mean_rest]) = (parts(total.sum()), parts(total.mean()));
    [canonical(sum), sum_rest, canonical(mean), mean_rest]
}

impl Case {
    /// Computes the case on `backend`, into the beginning of `out`; how many results there are.
    ///
    /// Errors: none, unless the library refuses what it should take.
    pub fn results(
        &self,
        backend: Backend,
        inputs: &Inputs,
        out: &mut [f32],
    ) -> Result<usize, Error> {
        let (n_rows, classes) = (self.n_rows, self.classes);
        let n = n_rows * classes;
        let x = &inputs.x[..n];
        let label = self.row.label(classes);
        let rows = self.operation.layout().rows(&inputs.x, n_rows, classes)?;
        // Of a first operand that is longer, no operation takes a second.
        let y = Rows::new(inputs.y.get(..n).unwrap_or(&[]), n_rows, classes);
        let labels = &[label; MOST_ROWS][..n_rows];
        let targets = |kind| match kind {
            TargetKind::Label => Ok(Targets::labels(labels)),
            TargetKind::Distribution => y.map(Targets::distributions),
        };
        match self.operation {
            Operation::LogSumExp => {
                out[0] = backend.log_sum_exp(x);
                Ok(1)
            }
            Operation::MergedLogSumExp => {
                let (left, right) = x.split_at(n / 2);
                let mut state = LogSumExp::EMPTY;
                state.extend(x.last().copied());
                state = state.merge(backend.log_sum_exp_state(left));
                state = state.merge(backend.log_sum_exp_state(right));
                out[0] = backend.log_sum_exp_value(state);
                Ok(1)
            }
            Operation::Loss => {
                out[0] = CrossEntropy::new().backend(backend).row(x, label)?;
                Ok(1)
            }
            Operation::Softmax => backend.softmax(x, &mut out[..n]).map(|()| n),
            Operation::LogSoftmax => backend.log_softmax(x, &mut out[..n]).map(|()| n),
            Operation::Statistics => {
                let row = backend.row_statistics(x, label)?;
                let (argmax, rank) = (row.argmax() as f32, row.rank() as f32);
                let numbers = [row.log_sum_exp(), row.loss(), row.max_probability(), row.entropy()];
                out[..4].copy_from_slice(&numbers);
                out[4..7].copy_from_slice(&[row.margin(), argmax, rank]);
                Ok(7)
            }
            Operation::LogSumExpRows(_) => {
                backend.log_sum_exp_rows(rows, &mut out[..n_rows]).map(|()| n_rows)
            }
            Operation::SoftmaxRows(_) => backend.softmax_rows(rows, &mut out[..n]).map(|()| n),
            Operation::LossRows(_, kind) => {
                let loss = CrossEntropy::new().backend(backend);
                loss.rows(rows, targets(kind)?, &mut out[..n_rows]).map(|()| n_rows)
            }
            Operation::ClippedRows(_, kind) => {
                let loss = ClippedCrossEntropy::new().normalize(true).backend(backend);
                loss.rows(rows, targets(kind)?, &mut out[..n_rows]).map(|()| n_rows)
            }
            Operation::BinaryRows(_) => {
                let loss = BinaryCrossEntropy::new().backend(backend);
                loss.rows(rows, y?, &mut out[..n]).map(|()| n)
            }
            Operation::Mean => {
                // The last row has a label of its own, and is ignored.
                let mut labels = [label as i64; MOST_ROWS];
                labels[n_rows - 1] = -100;
                let loss = CrossEntropy::new().backend(backend).ignore(-100);
                let loss = loss.class_weights(&inputs.class_weights[..classes]);
                let targets = Targets::labels(&labels[..n_rows]);
                let targets = targets.with_sample_weights(&Inputs::SAMPLE_WEIGHTS[..n_rows]);
                let (numbers, gradient) = out.split_at_mut(6);
                let gradient = &mut gradient[..n];
                let total = loss.gradient(rows, targets, Reduction::Mean, gradient)?;
                numbers[..4].copy_from_slice(&mean_parts(&total));
                numbers[4..].copy_from_slice(&[total.weight() as f32, total.count() as f32]);
                Ok(6 + n)
            }
            Operation::CrossEntropy(kind, options) => {
                let options = options.of(&inputs.class_weights[..classes]);
                let loss = cross_entropy(backend, &options);
                let weights = [options.sample_weight; MOST_ROWS];
                let targets = targets(kind)?.with_sample_weights(&weights[..n_rows]);
                let (losses, gradient) = out.split_at_mut(n_rows);
                loss.rows(rows, targets, losses)?;
                loss.gradient(rows, targets, 1.0, &mut gradient[..n])?;
                Ok(n_rows + n)
            }
            Operation::ClippedCrossEntropy(kind, options) => {
                let options = options.of(&inputs.class_weights[..classes]);
                let loss = clipped(backend, &options);
                let weights = [options.sample_weight; MOST_ROWS];
                let targets = targets(kind)?.with_sample_weights(&weights[..n_rows]);
                let (losses, gradient) = out.split_at_mut(n_rows);
                loss.rows(rows, targets, losses)?;
                loss.gradient(rows, targets, 1.0, &mut gradient[..n])?;
                Ok(n_rows + n)
            }
            Operation::BinaryCrossEntropy(ElementOptions { options, .. }) => {
                let pos_weights = [options.pos_weight; Inputs::MOST_WEIGHTS];
                let loss = binary(backend, options, &pos_weights[..classes]);
                let weights = [options.sample_weight; MOST_ROWS];
                let targets = BinaryTargets::new(y?).with_sample_weights(&weights[..n_rows]);
                let (losses, gradient) = out.split_at_mut(n);
                loss.rows(rows, targets, losses)?;
                loss.gradient(rows, targets, 1.0, &mut gradient[..n])?;
                Ok(2 * n)
            }
            Operation::ClippedBinaryCrossEntropy(ElementOptions { options, .. }) => {
                let pos_weights = [options.pos_weight; Inputs::MOST_WEIGHTS];
                let loss = clipped_binary(backend, options, &pos_weights[..classes]);
                let weights = [options.sample_weight; MOST_ROWS];
                let targets = BinaryTargets::new(y?).with_sample_weights(&weights[..n_rows]);
                let (losses, gradient) = out.split_at_mut(n);
                loss.rows(rows, targets, losses)?;
                loss.gradient(rows, targets, 1.0, &mut gradient[..n])?;
                Ok(2 * n)
            }
            Operation::Entropy => backend.entropy_rows(rows, &mut out[..n_rows]).map(|()| n_rows),
            Operation::KlDivergence => {
                backend.kl_divergence_rows(y?, rows, &mut out[..n_rows]).map(|()| n_rows)
            }
            Operation::JsDivergence => {
                backend.js_divergence_rows(y?, rows, &mut out[..n_rows]).map(|()| n_rows)
            }
            Operation::Distillation(tenths) => {
                let loss = Distillation::new().backend(backend);
                let loss = loss.temperature(f32::from(tenths) / 10.0);
                let (losses, gradient) = out.split_at_mut(n_rows);
                loss.rows(rows, y?, losses)?;
                loss.gradient(rows, y?, 1.0, &mut gradient[..n])?;
                Ok(n_rows + n)
            }
        }
    }
}
