//! Which fields an operation takes, and its call of the library.
//!
//! What is wrong with a request is looked for in this order: what makes it no valid request, the
//! backend, fields that the operation does not take, and then what the library finds.

use xent_core::{
    Backend, BinaryCrossEntropy, ClippedBinaryCrossEntropy, ClippedCrossEntropy, CrossEntropy,
    Error, LossTotal, Rows, Targets,
};

use crate::request::{Request, floats};
use crate::response::{Failure, Response};

/// Rows without classes need no input, and could be more than an answer can hold.
const MAX_EMPTY_ROWS: usize = 1 << 20;

/// The answer to a request.
pub(crate) fn run(request: &Request) -> Result<Response, Failure> {
    let op = Op::of(request)?;
    let reduction = Reduction::of(request)?;
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
        Op::LogSumExp if n_rows > data.len().max(MAX_EMPTY_ROWS) => {
            Err(Failure::BadRequest(format!("{n_rows} rows without classes are too many")))
        }
        Op::LogSumExp => values(n_rows, |y| backend.log_sum_exp_rows(x, y)),
        Op::Softmax => values(data.len(), |y| backend.softmax_rows(x, y)),
        Op::LogSoftmax => values(data.len(), |y| backend.log_softmax_rows(x, y)),
        Op::CrossEntropy => {
            let loss = CrossEntropy::new().backend(backend);
            let given = Given::of(request);
            let targets = given.targets(&x)?;
            reduction.losses(
                n_losses(&x, &data),
                |y| loss.rows(x, targets, y),
                || loss.total(x, targets),
            )
        }
        Op::ClippedCrossEntropy => {
            let mut loss = ClippedCrossEntropy::new().backend(backend);
            if let Some([lo, hi]) = request.clip()? {
                loss = loss.clip(lo, hi);
            }
            loss = loss.normalize(request.normalize.unwrap_or_default());
            let given = Given::of(request);
            let targets = given.targets(&x)?;
            reduction.losses(
                n_losses(&x, &data),
                |y| loss.rows(x, targets, y),
                || loss.total(x, targets),
            )
        }
        Op::BinaryCrossEntropy => {
            let loss = BinaryCrossEntropy::new().backend(backend);
            let targets = floats(request.targets.as_deref().unwrap_or_default());
            let targets = Rows::new(&targets, n_rows, classes)?;
            reduction.losses(data.len(), |y| loss.rows(x, targets, y), || loss.total(x, targets))
        }
        Op::ClippedBinaryCrossEntropy => {
            let mut loss = ClippedBinaryCrossEntropy::new().backend(backend);
            if let Some([lo, hi]) = request.clip()? {
                loss = loss.clip(lo, hi);
            }
            let targets = floats(request.targets.as_deref().unwrap_or_default());
            let targets = Rows::new(&targets, n_rows, classes)?;
            reduction.losses(data.len(), |y| loss.rows(x, targets, y), || loss.total(x, targets))
        }
        Op::Entropy | Op::KlDivergence | Op::JsDivergence | Op::RowStatistics => {
            Err(Failure::InvalidOption(format!("xent does not have `{}` yet", op.name())))
        }
    }
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
    const NOT_YET: bool = false;
    let fields = [
        ("shape", request.shape.is_some(), op != Op::Backends),
        ("x", request.x.is_some(), op != Op::Backends),
        ("labels", request.labels.is_some(), op.is_categorical_loss() || op == Op::RowStatistics),
        ("targets", request.targets.is_some(), op.is_loss() || op.is_divergence()),
        ("class_weights", request.class_weights.is_some(), NOT_YET),
        ("pos_weights", request.pos_weights.is_some(), NOT_YET),
        ("sample_weights", request.sample_weights.is_some(), NOT_YET),
        ("ignore_index", request.ignore_index.is_some(), NOT_YET),
        ("label_smoothing", request.label_smoothing.is_some(), NOT_YET),
        ("focal_gamma", request.focal_gamma.is_some(), NOT_YET),
        ("focal_alpha", request.focal_alpha.is_some(), NOT_YET),
        ("z_loss", request.z_loss.is_some(), NOT_YET),
        ("temperature", request.temperature.is_some(), NOT_YET),
        ("soft_cap", request.soft_cap.is_some(), NOT_YET),
        ("clip", request.clip.is_some(), op.is_clipped_loss()),
        ("normalize", request.normalize.is_some(), op == Op::ClippedCrossEntropy),
        ("reduction", request.reduction.is_some(), op.is_loss()),
        ("gradient", request.gradient == Some(true), NOT_YET),
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

    fn targets(&self, x: &Rows<'_>) -> Result<Targets<'_>, Error> {
        match self {
            Given::Labels(labels) => Ok(Targets::labels(labels)),
            Given::Targets(targets) => Ok(Rows::new(targets, x.n_rows(), x.classes())?.into()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Reduction {
    None,
    Sum,
    Mean,
    MeanCount,
}

impl Reduction {
    fn of(request: &Request) -> Result<Reduction, Failure> {
        match request.reduction.as_deref() {
            None | Some("none") => Ok(Reduction::None),
            Some("sum") => Ok(Reduction::Sum),
            Some("mean") => Ok(Reduction::Mean),
            Some("mean_count") => Ok(Reduction::MeanCount),
            Some(_) => Err(Failure::BadRequest("there is no such `reduction`".to_owned())),
        }
    }

    /// The losses, of which there are `n`, or their total reduced to the nearest f32.
    fn losses(
        self,
        n: usize,
        losses: impl FnOnce(&mut [f32]) -> Result<(), Error>,
        total: impl FnOnce() -> Result<LossTotal, Error>,
    ) -> Result<Response, Failure> {
        let reduced = match self {
            Reduction::None => return values(n, losses),
            Reduction::Sum => total()?.sum(),
            Reduction::Mean => total()?.mean(),
            Reduction::MeanCount => total()?.mean_count(),
        };
        Ok(Response::values(&[reduced as f32]))
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
