//! The line that answers a request.

use serde::Serialize;
use xent_core::{Backend, Error, RowStatistics};

use crate::number::Float;

/// What a line is answered with.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Response {
    Values {
        y: Vec<Float>,
        #[serde(skip_serializing_if = "Option::is_none")]
        gradient: Option<Vec<Float>>,
    },
    /// One of each a row.
    Statistics {
        lse: Vec<Float>,
        loss: Vec<Float>,
        argmax: Vec<usize>,
        rank: Vec<usize>,
        max_probability: Vec<Float>,
        entropy: Vec<Float>,
        margin: Vec<Float>,
    },
    Backends {
        backends: Vec<&'static str>,
        detected: &'static str,
    },
    Error {
        error: Description,
    },
}

/// The kind of an error, and its message.
#[derive(Debug, Serialize)]
pub(crate) struct Description {
    kind: String,
    message: String,
}

impl Response {
    pub(crate) fn values(y: &[f32]) -> Response {
        Response::values_and_gradient(y, None)
    }

    pub(crate) fn values_and_gradient(y: &[f32], gradient: Option<&Vec<f32>>) -> Response {
        let floats = |x: &[f32]| x.iter().copied().map(Float).collect();
        Response::Values { y: floats(y), gradient: gradient.map(|gradient| floats(gradient)) }
    }

    pub(crate) fn statistics(rows: &[RowStatistics]) -> Response {
        let floats = |of: fn(&RowStatistics) -> f32| rows.iter().map(of).map(Float).collect();
        Response::Statistics {
            lse: floats(RowStatistics::log_sum_exp),
            loss: floats(RowStatistics::loss),
            argmax: rows.iter().map(RowStatistics::argmax).collect(),
            rank: rows.iter().map(RowStatistics::rank).collect(),
            max_probability: floats(RowStatistics::max_probability),
            entropy: floats(RowStatistics::entropy),
            margin: floats(RowStatistics::margin),
        }
    }

    pub(crate) fn backends() -> Response {
        Response::Backends {
            backends: Backend::all().map(Backend::name).collect(),
            detected: Backend::detected().name(),
        }
    }
}

/// Why a request has no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No valid request.
    BadRequest(String),
    /// A field that the operation does not take, or an operation or a field that xent does not have
    /// yet. The library has nothing to say about them: it cannot be asked.
    InvalidOption(String),
    /// The library's answer.
    Library(Error),
}

impl Failure {
    pub(crate) fn missing(field: &str) -> Failure {
        Failure::BadRequest(format!("the field `{field}` is missing"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Library(error)
    }
}

impl From<Failure> for Response {
    fn from(failure: Failure) -> Self {
        let (kind, message) = match failure {
            Failure::BadRequest(message) => ("BadRequest".to_owned(), message),
            Failure::InvalidOption(message) => ("InvalidOption".to_owned(), message),
            Failure::Library(error) => (variant_name(error), error.to_string()),
        };
        Response::Error { error: Description { kind, message } }
    }
}

/// The variant's name, which is where its debug output begins. So a new variant needs nothing here.
fn variant_name(error: Error) -> String {
    let debug = format!("{error:?}");
    debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}
