//! The fields of a request.

use serde::Deserialize;
use xent_core::Error;

use crate::number::{Float, Integer, Size};
use crate::response::Failure;

/// One request as it came. Every field may be left out or `null`; which ones an operation needs and
/// takes is in `operation.rs`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) op: Option<String>,
    pub(crate) backend: Option<String>,
    pub(crate) shape: Option<Vec<Size>>,
    pub(crate) x: Option<Vec<Float>>,
    pub(crate) labels: Option<Vec<Integer>>,
    pub(crate) targets: Option<Vec<Float>>,
    pub(crate) class_weights: Option<Vec<Float>>,
    pub(crate) pos_weights: Option<Vec<Float>>,
    pub(crate) sample_weights: Option<Vec<Float>>,
    pub(crate) ignore_index: Option<Integer>,
    pub(crate) label_smoothing: Option<Float>,
    pub(crate) focal_gamma: Option<Float>,
    pub(crate) focal_alpha: Option<Float>,
    pub(crate) z_loss: Option<Float>,
    pub(crate) temperature: Option<Float>,
    pub(crate) soft_cap: Option<Float>,
    pub(crate) clip: Option<Vec<Float>>,
    pub(crate) normalize: Option<bool>,
    pub(crate) reduction: Option<String>,
    pub(crate) gradient: Option<bool>,
}

impl Request {
    /// The request on a line: a JSON object whose fields are those above, each at most once.
    pub(crate) fn parse(line: &str) -> Result<Request, Failure> {
        // serde would also take an array, field by field.
        if !line.trim_start().starts_with('{') {
            return Err(Failure::BadRequest("a request is a JSON object".to_owned()));
        }
        serde_json::from_str(line).map_err(|error| Failure::BadRequest(error.to_string()))
    }

    /// Rows and classes.
    pub(crate) fn shape(&self) -> Result<[usize; 2], Failure> {
        let shape = self.shape.as_ref().ok_or_else(|| Failure::missing("shape"))?;
        let [rows, classes] = exactly(shape)?;
        Ok([rows.0, classes.0])
    }

    /// The clip range, if there is one.
    pub(crate) fn clip(&self) -> Result<Option<[f32; 2]>, Failure> {
        let Some(clip) = &self.clip else { return Ok(None) };
        let [lo, hi] = exactly(clip)?;
        Ok(Some([lo.0, hi.0]))
    }
}

/// The elements of an array of known length.
fn exactly<T: Copy, const N: usize>(array: &[T]) -> Result<[T; N], Failure> {
    let found = array.len();
    array.try_into().map_err(|_| Failure::Library(Error::LengthMismatch { expected: N, found }))
}

/// The numbers of an array.
pub(crate) fn floats(array: &[Float]) -> Vec<f32> {
    array.iter().map(|x| x.0).collect()
}
