//! Numbers as they are written in JSON.
//!
//! A number is parsed from its decimal text, once: reading it as f64 and rounding that to f32 would
//! round twice, and the second time a tie can go the wrong way.

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A float: a JSON number, or one of `"nan"`, `"inf"`, `"-inf"`.
///
/// Read as the nearest f32, which is infinite from 3.4028236e38 on (1e39, 1e400); written with the
/// fewest digits that read back to the same f32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Float(pub(crate) f32);

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        if is_number(text)
            && let Ok(number) = text.parse()
        {
            return Ok(Float(number));
        }
        match serde_json::from_str::<String>(text).as_deref() {
            Ok("nan") => Ok(Float(f32::NAN)),
            Ok("inf") => Ok(Float(f32::INFINITY)),
            Ok("-inf") => Ok(Float(f32::NEG_INFINITY)),
            _ => Err(unexpected(text, "a number, \"nan\", \"inf\" or \"-inf\"")),
        }
    }
}

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            f32::INFINITY => serializer.serialize_str("inf"),
            f32::NEG_INFINITY => serializer.serialize_str("-inf"),
            x if x.is_nan() => serializer.serialize_str("nan"),
            x => serializer.serialize_f32(x),
        }
    }
}

/// An integer: a JSON number without fraction and exponent.
///
/// One that does not fit is the nearest i64, which is no class either: the library answers it as any
/// other label that is out of range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Integer(pub(crate) i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        if !is_integer(text) {
            return Err(unexpected(text, "an integer"));
        }
        let limit = if text.starts_with('-') { i64::MIN } else { i64::MAX };
        Ok(Integer(text.parse().unwrap_or(limit)))
    }
}

/// A size: an integer that is not negative.
///
/// One that does not fit is `usize::MAX`, as in the library's own errors; no array is that long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size(pub(crate) usize);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        if !is_integer(text) || text.starts_with('-') {
            return Err(unexpected(text, "an integer that is not negative"));
        }
        Ok(Size(text.parse().unwrap_or(usize::MAX)))
    }
}

/// Whether a JSON value is a number.
fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

/// Whether a JSON value is a number of digits alone.
fn is_integer(text: &str) -> bool {
    is_number(text) && !text.contains(['.', 'e', 'E'])
}

fn unexpected<E: de::Error>(text: &str, expected: &str) -> E {
    /// Longer values are cut: a line can be one value of any length.
    const SHOWN: usize = 40;
    let end = text.char_indices().nth(SHOWN).map_or(text.len(), |(i, _)| i);
    let dots = if end < text.len() { "..." } else { "" };
    E::custom(format_args!("found {}{dots} where {expected} was expected", &text[..end]))
}
