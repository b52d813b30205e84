//! Which fields an operation takes, and its call of the library.
//!
//! What is wrong with a request is looked for in this order: what makes it no valid request, the
//! backend, fields that the operation does not take, and then what the library finds.

use xent_core::{
    Backend, BinaryCrossEntropy, BinaryTargets, ClippedBinaryCrossEntropy, ClippedCrossEntropy,
    CrossEntropy, Error, LossTotal, Reduction, RowStatistics, Rows, Targets,
};

use crate::request::{Request, floats};
use crate::response::{Failure, Response};

/// Rows without classes need no input, and could be more than an answer can hold.
const MAX_EMPTY_ROWS: usize = 1 << 20;

/// The answer to a request.
pub(crate) fn run(request: &Request) -> Result<Response, Failure> {
    let op = Op::of(request)?;
    let reduction = Reduced::of(request)?;
    check_needed_fields(op, request)?;
    let backend = match &request.backend {
        Some(name) => Backend::by_name(name)?,
        None => Backend::detected(),
    };
    check_taken_fields(op, request)?;
    if op == Op::Backends {
        return Ok(Response::backends());
    }

    let [n_rows, classes] = request.shape()?;
    let data = floats(request.x.as_deref().unwrap_or_default());
    let x = Rows::new(&data, n_rows, classes)?;
    match op {
        Op::Backends => Ok(Response::backends()),
        Op::LogSumExp if n_rows > data.len().max(MAX_EMPTY_ROWS) => Err(too_many_rows(n_rows)),
        Op::LogSumExp => values(n_rows, |y| backend.log_sum_exp_rows(x, y)),
        Op::Softmax => values(data.len(), |y| backend.softmax_rows(x, y)),
        Op::LogSoftmax => values(data.len(), |y| backend.log_softmax_rows(x, y)),
        Op::CrossEntropy => {
            let options = Options::of(request);
            let mut loss = CrossEntropy::new().backend(backend).ignore(options.ignore_index);
            if let Some(weights) = &options.class_weights {
                loss = loss.class_weights(weights);
            }
            if let Some(smoothing) = options.label_smoothing {
                loss = loss.label_smoothing(smoothing);
            }
            if let Some(gamma) = options.focal_gamma {
                loss = loss.focal(gamma);
            }
            if let Some(alpha) = options.focal_alpha {
                loss = loss.focal_alpha(alpha);
            }
            if let Some(z_loss) = options.z_loss {
                loss = loss.z_loss(z_loss);
            }
            if let Some(temperature) = options.temperature {
                loss = loss.temperature(temperature);
            }
            if let Some(soft_cap) = options.soft_cap {
                loss = loss.soft_cap(soft_cap);
            }
            let given = Given::of(request);
            let targets = given.targets(&x, &options)?;
            reduction.losses(
                [n_losses(&x, &data), data.len()],
                options.gradient,
                |y| loss.rows(x, targets, y),
                || loss.total(x, targets),
                |scale, gradient| loss.gradient(x, targets, scale, gradient),
            )
        }
        Op::ClippedCrossEntropy => {
            let options = Options::of(request);
            let mut loss = ClippedCrossEntropy::new().backend(backend).ignore(options.ignore_index);
            if let Some([lo, hi]) = request.clip()? {
                loss = loss.clip(lo, hi);
            }
            loss = loss.normalize(request.normalize.unwrap_or_default());
            if let Some(weights) = &options.class_weights {
                loss = loss.class_weights(weights);
            }
            if let Some(smoothing) = options.label_smoothing {
                loss = loss.label_smoothing(smoothing);
            }
            if let Some(gamma) = options.focal_gamma {
                loss = loss.focal(gamma);
            }
            if let Some(alpha) = options.focal_alpha {
                loss = loss.focal_alpha(alpha);
            }
            let given = Given::of(request);
            let targets = given.targets(&x, &options)?;
            reduction.losses(
                [n_losses(&x, &data), data.len()],
                options.gradient,
                |y| loss.rows(x, targets, y),
                || loss.total(x, targets),
                |scale, gradient| loss.gradient(x, targets, scale, gradient),
            )
        }
        Op::BinaryCrossEntropy => {
            let options = Options::of(request);
            let mut loss =
                BinaryCrossEntropy::new().backend(backend).focal_alpha(options.focal_alpha);
            if let Some(weights) = &options.pos_weights {
                loss = loss.pos_weights(weights);
            }
            if let Some(smoothing) = options.label_smoothing {
                loss = loss.label_smoothing(smoothing);
            }
            if let Some(gamma) = options.focal_gamma {
                loss = loss.focal(gamma);
            }
            if let Some(temperature) = options.temperature {
                loss = loss.temperature(temperature);
            }
            if let Some(soft_cap) = options.soft_cap {
                loss = loss.soft_cap(soft_cap);
            }
            let targets = floats(request.targets.as_deref().unwrap_or_default());
            let targets = options.binary_targets(Rows::new(&targets, n_rows, classes)?);
            reduction.losses(
                [data.len(); 2],
                options.gradient,
                |y| loss.rows(x, targets, y),
                || loss.total(x, targets),
                |scale, gradient| loss.gradient(x, targets, scale, gradient),
            )
        }
        Op::ClippedBinaryCrossEntropy => {
            let options = Options::of(request);
            let mut loss =
                ClippedBinaryCrossEntropy::new().backend(backend).focal_alpha(options.focal_alpha);
            if let Some([lo, hi]) = request.clip()? {
                loss = loss.clip(lo, hi);
            }
            if let Some(weights) = &options.pos_weights {
                loss = loss.pos_weights(weights);
            }
            if let Some(smoothing) = options.label_smoothing {
                loss = loss.label_smoothing(smoothing);
            }
            if let Some(gamma) = options.focal_gamma {
                loss = loss.focal(gamma);
            }
            let targets = floats(request.targets.as_deref().unwrap_or_default());
            let targets = options.binary_targets(Rows::new(&targets, n_rows, classes)?);
            reduction.losses(
                [data.len(); 2],
                options.gradient,
                |y| loss.rows(x, targets, y),
                || loss.total(x, targets),
                |scale, gradient| loss.gradient(x, targets, scale, gradient),
            )
        }
        Op::Entropy | Op::KlDivergence | Op::JsDivergence
            if n_rows > data.len().max(MAX_EMPTY_ROWS) =>
        {
            Err(too_many_rows(n_rows))
        }
        Op::Entropy => values(n_rows, |y| backend.entropy_rows(x, y)),
        Op::KlDivergence | Op::JsDivergence => {
            let targets = floats(request.targets.as_deref().unwrap_or_default());
            let targets = Rows::new(&targets, n_rows, classes)?;
            values(n_rows, |y| match op {
                Op::KlDivergence => backend.kl_divergence_rows(targets, x, y),
                _ => backend.js_divergence_rows(targets, x, y),
            })
        }
        Op::RowStatistics => {
            let labels: Vec<i64> = request.labels.iter().flatten().map(|label| label.0).collect();
            let mut statistics = vec![RowStatistics::NAN; n_losses(&x, &data)];
            backend.row_statistics_rows(x, &labels, &mut statistics)?;
            Ok(Response::statistics(&statistics))
        }
    }
}

fn too_many_rows(n_rows: usize) -> Failure {
    Failure::BadRequest(format!("{n_rows} rows without classes are too many"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Backends,
    LogSumExp,
    Softmax,
    LogSoftmax,
    CrossEntropy,
    ClippedCrossEntropy,
    BinaryCrossEntropy,
    ClippedBinaryCrossEntropy,
    Entropy,
    KlDivergence,
    JsDivergence,
    RowStatistics,
}

impl Op {
    const ALL: [Op; 12] = [
        Op::Backends,
        Op::LogSumExp,
        Op::Softmax,
        Op::LogSoftmax,
        Op::CrossEntropy,
        Op::ClippedCrossEntropy,
        Op::BinaryCrossEntropy,
        Op::ClippedBinaryCrossEntropy,
        Op::Entropy,
        Op::KlDivergence,
        Op::JsDivergence,
        Op::RowStatistics,
    ];

    const fn name(self) -> &'static str {
        match self {
            Op::Backends => "backends",
            Op::LogSumExp => "log_sum_exp",
            Op::Softmax => "softmax",
            Op::LogSoftmax => "log_softmax",
            Op::CrossEntropy => "cross_entropy",
            Op::ClippedCrossEntropy => "clipped_cross_entropy",
            Op::BinaryCrossEntropy => "binary_cross_entropy",
            Op::ClippedBinaryCrossEntropy => "clipped_binary_cross_entropy",
            Op::Entropy => "entropy",
            Op::KlDivergence => "kl_divergence",
            Op::JsDivergence => "js_divergence",
            Op::RowStatistics => "row_statistics",
        }
    }

    fn of(request: &Request) -> Result<Op, Failure> {
        let name = request.op.as_deref().ok_or_else(|| Failure::missing("op"))?;
        Op::ALL
            .into_iter()
            .find(|op| op.name() == name)
            .ok_or_else(|| Failure::BadRequest("there is no such `op`".to_owned()))
    }

    const fn is_categorical_loss(self) -> bool {
        matches!(self, Op::CrossEntropy | Op::ClippedCrossEntropy)
    }

    const fn is_binary_loss(self) -> bool {
        matches!(self, Op::BinaryCrossEntropy | Op::ClippedBinaryCrossEntropy)
    }

    const fn is_clipped_loss(self) -> bool {
        matches!(self, Op::ClippedCrossEntropy | Op::ClippedBinaryCrossEntropy)
    }

    const fn is_loss(self) -> bool {
        self.is_categorical_loss() || self.is_binary_loss()
    }

    const fn is_divergence(self) -> bool {
        matches!(self, Op::KlDivergence | Op::JsDivergence)
    }
}

/// Without these it is no valid request.
fn check_needed_fields(op: Op, request: &Request) -> Result<(), Failure> {
    let (labels, targets) = (request.labels.is_some(), request.targets.is_some());
    if labels && targets {
        return Err(Failure::BadRequest("both `labels` and `targets` are given".to_owned()));
    }
    if request.gradient.is_some() && !op.is_loss() {
        return Err(Failure::BadRequest(format!("`{}` is no loss: no `gradient`", op.name())));
    }
    if op == Op::Backends {
        return Ok(());
    }
    if request.shape.is_none() {
        return Err(Failure::missing("shape"));
    }
    if request.x.is_none() {
        return Err(Failure::missing("x"));
    }
    if op.is_loss() && !labels && !targets {
        return Err(Failure::BadRequest("neither `labels` nor `targets` are given".to_owned()));
    }
    if op.is_divergence() && !targets {
        return Err(Failure::missing("targets"));
    }
    if op == Op::RowStatistics && !labels {
        return Err(Failure::missing("labels"));
    }
    Ok(())
}

/// A field that is given, and that the operation does not take, is an invalid option.
///
/// A feature that the library gets is one line here, and its call in [`run`].
fn check_taken_fields(op: Op, request: &Request) -> Result<(), Failure> {
    let from_logits = matches!(op, Op::CrossEntropy | Op::BinaryCrossEntropy);
    let fields = [
        ("shape", request.shape.is_some(), op != Op::Backends),
        ("x", request.x.is_some(), op != Op::Backends),
        ("labels", request.labels.is_some(), op.is_categorical_loss() || op == Op::RowStatistics),
        ("targets", request.targets.is_some(), op.is_loss() || op.is_divergence()),
        ("class_weights", request.class_weights.is_some(), op.is_categorical_loss()),
        ("pos_weights", request.pos_weights.is_some(), op.is_binary_loss()),
        ("sample_weights", request.sample_weights.is_some(), op.is_loss()),
        (
            "ignore_index",
            request.ignore_index.is_some(),
            op.is_categorical_loss() && request.labels.is_some(),
        ),
        ("label_smoothing", request.label_smoothing.is_some(), op.is_loss()),
        ("focal_gamma", request.focal_gamma.is_some(), op.is_loss()),
        ("focal_alpha", request.focal_alpha.is_some(), op.is_loss()),
        ("z_loss", request.z_loss.is_some(), op == Op::CrossEntropy),
        ("temperature", request.temperature.is_some(), from_logits),
        ("soft_cap", request.soft_cap.is_some(), from_logits),
        ("clip", request.clip.is_some(), op.is_clipped_loss()),
        ("normalize", request.normalize.is_some(), op == Op::ClippedCrossEntropy),
        ("reduction", request.reduction.is_some(), op.is_loss()),
        ("gradient", request.gradient == Some(true), op.is_loss()),
    ];
    match fields.into_iter().find(|&(_, given, taken)| given && !taken) {
        Some((name, ..)) => {
            Err(Failure::InvalidOption(format!("`{}` does not take `{name}`", op.name())))
        }
        None => Ok(()),
    }
}

/// What the rows of a categorical loss should be, as it was given.
enum Given {
    Labels(Vec<i64>),
    Targets(Vec<f32>),
}

impl Given {
    fn of(request: &Request) -> Given {
        match &request.labels {
            Some(labels) => Given::Labels(labels.iter().map(|label| label.0).collect()),
            None => Given::Targets(floats(request.targets.as_deref().unwrap_or_default())),
        }
    }

    fn targets<'a>(&'a self, x: &Rows<'_>, options: &'a Options) -> Result<Targets<'a>, Error> {
        let targets = match self {
            Given::Labels(labels) => Targets::labels(labels),
            Given::Targets(targets) => Rows::new(targets, x.n_rows(), x.classes())?.into(),
        };
        Ok(match &options.sample_weights {
            Some(weights) => targets.with_sample_weights(weights),
            None => targets,
        })
    }
}

/// The options of a loss, as they were given.
struct Options {
    class_weights: Option<Vec<f32>>,
    pos_weights: Option<Vec<f32>>,
    sample_weights: Option<Vec<f32>>,
    ignore_index: Option<i64>,
    label_smoothing: Option<f32>,
    focal_gamma: Option<f32>,
    focal_alpha: Option<f32>,
    z_loss: Option<f32>,
    temperature: Option<f32>,
    soft_cap: Option<f32>,
    gradient: bool,
}

impl Options {
    fn of(request: &Request) -> Options {
        Options {
            class_weights: request.class_weights.as_deref().map(floats),
            pos_weights: request.pos_weights.as_deref().map(floats),
            sample_weights: request.sample_weights.as_deref().map(floats),
            ignore_index: request.ignore_index.map(|label| label.0),
            label_smoothing: request.label_smoothing.map(|x| x.0),
            focal_gamma: request.focal_gamma.map(|x| x.0),
            focal_alpha: request.focal_alpha.map(|x| x.0),
            z_loss: request.z_loss.map(|x| x.0),
            temperature: request.temperature.map(|x| x.0),
            soft_cap: request.soft_cap.map(|x| x.0),
            gradient: request.gradient == Some(true),
        }
    }

    fn binary_targets<'a>(&'a self, targets: Rows<'a>) -> BinaryTargets<'a> {
        let targets = BinaryTargets::new(targets);
        match &self.sample_weights {
            Some(weights) => targets.with_sample_weights(weights),
            None => targets,
        }
    }
}

/// How the losses become one; `None` not at all.
#[derive(Clone, Copy, Debug)]
struct Reduced(Option<Reduction>);

impl Reduced {
    fn of(request: &Request) -> Result<Reduced, Failure> {
        Ok(Reduced(match request.reduction.as_deref() {
            None | Some("none") => None,
            Some("sum") => Some(Reduction::Sum),
            Some("mean") => Some(Reduction::Mean),
            Some("mean_count") => Some(Reduction::MeanCount),
            Some(_) => {
                return Err(Failure::BadRequest("there is no such `reduction`".to_owned()));
            }
        }))
    }

    /// The losses, of which there are `n_losses`, or their total reduced to the nearest f32; and the
    /// gradient, which is that of the sum of what is not reduced.
    fn losses(
        self,
        [n_losses, n_elements]: [usize; 2],
        with_gradient: bool,
        losses: impl FnOnce(&mut [f32]) -> Result<(), Error>,
        total: impl FnOnce() -> Result<LossTotal, Error>,
        gradient: impl FnOnce(Reduction, &mut [f32]) -> Result<LossTotal, Error>,
    ) -> Result<Response, Failure> {
        let mut elements = vec![0.0; if with_gradient { n_elements } else { 0 }];
        let scale = self.0.unwrap_or(Reduction::Sum);
        let total = match (with_gradient, self.0) {
            (true, _) => Some(gradient(scale, &mut elements)?),
            (false, Some(_)) => Some(total()?),
            (false, None) => None,
        };
        let y = match (self.0, total) {
            (Some(reduction), Some(total)) => vec![total.reduce(reduction) as f32],
            _ => {
                let mut y = vec![0.0; n_losses];
                losses(&mut y)?;
                y
            }
        };
        Ok(Response::values_and_gradient(&y, with_gradient.then_some(&elements)))
    }
}

/// The number of losses of rows: no more than there are elements, for a loss has a class.
///
/// A shape such as `[1e18, 0]` needs no elements; the library answers it without looking at an output.
fn n_losses(x: &Rows<'_>, data: &[f32]) -> usize {
    x.n_rows().min(data.len())
}

/// `n` values that `write` writes.
fn values(
    n: usize,
    write: impl FnOnce(&mut [f32]) -> Result<(), Error>,
) -> Result<Response, Failure> {
    let mut y = vec![0.0; n];
    write(&mut y)?;
    Ok(Response::values(&y))
}
