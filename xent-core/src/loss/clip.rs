//! The range that probabilities are clipped into.

use crate::Error;

/// `[lo, hi]`, checked before it is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Clip {
    pub(super) lo: f32,
    pub(super) hi: f32,
}

impl Clip {
    /// Keras' `[1e-7, 1 - 1e-7]` in f32.
    pub(super) const KERAS: Clip = Clip { lo: 1e-7, hi: 1.0 - 1e-7 };

    /// `0 <= lo <= hi <= 1`, which no NaN satisfies.
    pub(super) fn validate(self) -> Result<Clip, Error> {
        if 0.0 <= self.lo && self.lo <= self.hi && self.hi <= 1.0 {
            Ok(self)
        } else {
            Err(Error::InvalidClip { lo: self.lo, hi: self.hi })
        }
    }
}
