//! The range that probabilities are clipped into.

use crate::Error;
pub(super) use crate::kernel::clipped::ClipRange;

impl ClipRange {
    /// Keras' `[1e-7, 1 - 1e-7]` in f32.
    pub(super) const KERAS: ClipRange = ClipRange { lo: 1e-7, hi: 1.0 - 1e-7 };

    /// `0 <= lo <= hi <= 1`, which no NaN satisfies.
    pub(super) fn validate(self) -> Result<(), Error> {
        if 0.0 <= self.lo && self.lo <= self.hi && self.hi <= 1.0 {
            Ok(())
        } else {
            Err(Error::InvalidClip { lo: self.lo, hi: self.hi })
        }
    }
}
