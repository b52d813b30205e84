//! The mergeable state of a log-sum-exp.

use crate::Backend;
use crate::kernel::tree;
use crate::math::exp::SCALE;
use crate::math::pair::{self, Pair};

/// The state of a log-sum-exp reduction, which takes elements and merges with other states.
///
/// It is the pair `(m, s)` with `m = max(x)` and `s = Σ exp(x_i - m)` over all elements but one that
/// equals `m`, so that `ln Σ exp(x_i) = m + ln(1 + s)`. The 1 that the maximum contributes is never
/// added to `s`: a loss `(m - x_t) + ln(1 + s)` keeps its digits however small it is. `s` is held in
/// about 48 bits.
///
/// That is all that blocks, streams, shards of a vocabulary and threads need: each reduces its part,
/// and the parts merge. The state of nothing, `(-inf, 0)`, is the identity, and so is one of only
/// `-inf`. NaN absorbs everything, then `+inf`. A state holds up to 2^60 elements.
///
/// Source: M. Milakov, N. Gimelshein, Online normalizer calculation for softmax (2018).
///
/// ```
/// use xent_core::LogSumExp;
///
/// let (left, right) = ([20.0, 0.0], [0.0, 0.0]);
/// let state = LogSumExp::of(&left).merge(LogSumExp::of(&right));
/// assert_eq!(state.value(), 20.0);
/// assert_eq!(state.loss(20.0), 6.183461e-9); // of the class whose logit is 20
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSumExp {
    max: f32,
    /// `s * 2^64`: what is far below the maximum stays normal. 0 where `max` is not finite.
    scaled_sum: Pair,
}

impl LogSumExp {
    /// The state of nothing: `(-inf, 0)`.
    ///
    /// ```
    /// use xent_core::LogSumExp;
    /// assert_eq!(LogSumExp::EMPTY.value(), f32::NEG_INFINITY);
    /// ```
    pub const EMPTY: LogSumExp = LogSumExp::from_parts(f32::NEG_INFINITY, Pair::ZERO);
    pub(crate) const INFINITY: LogSumExp = LogSumExp::from_parts(f32::INFINITY, Pair::ZERO);
    pub(crate) const NAN: LogSumExp = LogSumExp::from_parts(f32::NAN, Pair::ZERO);

    /// Elements that the kernels reduce before they merge: 65,536.
    ///
    /// States of consecutive slices of this length, merged in order into [`LogSumExp::EMPTY`], give
    /// the bits of [`log_sum_exp`](crate::log_sum_exp) over the whole, on the same backend. So several
    /// threads can share a long row.
    ///
    /// ```
    /// use xent_core::{LogSumExp, log_sum_exp};
    /// let x: Vec<f32> = (0..200_000).map(|i| (i % 97) as f32 * 0.1).collect();
    /// let parts = x.chunks(LogSumExp::CHUNK).map(LogSumExp::of);
    /// let state = parts.fold(LogSumExp::EMPTY, LogSumExp::merge);
    /// assert_eq!(state.value().to_bits(), log_sum_exp(&x).to_bits());
    /// ```
    pub const CHUNK: usize = tree::CHUNK;

    #[inline(always)]
    pub(crate) const fn from_parts(max: f32, scaled_sum: Pair) -> Self {
        LogSumExp { max, scaled_sum }
    }

    /// The state of a slice, on the detected backend.
    ///
    /// Accuracy: that of [`log_sum_exp`](crate::log_sum_exp). See
    /// [`Backend::log_sum_exp_state`] for a chosen backend.
    ///
    /// ```
    /// use xent_core::LogSumExp;
    /// assert_eq!(LogSumExp::of(&[0.0, 0.0]).value(), 2_f32.ln());
    /// ```
    #[must_use]
    pub fn of(x: &[f32]) -> Self {
        Backend::detected().log_sum_exp_state(x)
    }

    /// Adds one element, in nats.
    ///
    /// Accuracy: [`accuracy::LOG_SUM_EXP`](crate::accuracy::LOG_SUM_EXP), for up to 2^20 pushes; a
    /// slice goes faster through [`LogSumExp::of`].
    ///
    /// ```
    /// use xent_core::LogSumExp;
    /// let mut state = LogSumExp::EMPTY;
    /// for x in [1.0, 2.0, 3.0] {
    ///     state.push(x);
    /// }
    /// assert_eq!(state.value(), 3.407606);
    /// ```
    pub fn push(&mut self, x: f32) {
        // + 0 makes a zero the positive one, as in the kernels.
        *self = self.merge(LogSumExp::from_parts(x + 0.0, Pair::ZERO));
    }

    /// The state of the elements of both.
    ///
    /// ```
    /// use xent_core::LogSumExp;
    /// let state = LogSumExp::of(&[1.0, 2.0]);
    /// assert_eq!(state.merge(LogSumExp::EMPTY), state);
    /// ```
    #[must_use]
    #[inline(never)] // once a block and more: one copy of it
    pub fn merge(self, other: LogSumExp) -> LogSumExp {
        let (big, small) = if self.max >= other.max { (self, other) } else { (other, self) };
        if !(big.max - small.max).is_finite() {
            return LogSumExp::merge_special(big, small);
        }
        let one_more = Pair::new(SCALE, 0.0).add(small.scaled_sum);
        let one_more = if big.max == small.max {
            one_more
        } else {
            pair::times_exp(one_more, Pair::sum(small.max, -big.max))
        };
        LogSumExp::from_parts(big.max, big.scaled_sum.add(one_more))
    }

    /// Where one side is empty, infinite or NaN, or the smaller counts for nothing.
    fn merge_special(big: LogSumExp, small: LogSumExp) -> LogSumExp {
        if big.max.is_nan() || small.max.is_nan() { LogSumExp::NAN } else { big }
    }

    /// The maximum of the elements: `-inf` of nothing, NaN if one is NaN.
    ///
    /// ```
    /// use xent_core::LogSumExp;
    /// assert_eq!(LogSumExp::of(&[1.0, 3.0, 2.0]).max(), 3.0);
    /// ```
    #[must_use]
    #[inline(always)]
    pub const fn max(&self) -> f32 {
        self.max
    }

    #[inline(always)]
    pub(crate) const fn scaled_sum(&self) -> Pair {
        self.scaled_sum
    }

    /// `m + ln(1 + s)`, the log-sum-exp of the elements, in nats, on the detected backend.
    ///
    /// `-inf` of nothing and of only `-inf`; NaN if an element is NaN, otherwise `+inf` if one is
    /// `+inf`. Accuracy: [`accuracy::LOG_SUM_EXP`](crate::accuracy::LOG_SUM_EXP). See
    /// [`Backend::log_sum_exp_value`] for a chosen backend.
    ///
    /// ```
    /// use xent_core::LogSumExp;
    /// assert_eq!(LogSumExp::of(&[1.0, 2.0, 3.0]).value(), 3.407606);
    /// ```
    #[must_use]
    pub fn value(&self) -> f32 {
        Backend::detected().log_sum_exp_value(*self)
    }

    /// `(m - x_t) + ln(1 + s)`, the cross-entropy in nats of a class whose logit is `label_logit`,
    /// on the detected backend.
    ///
    /// The logit is one of the elements; `-inf` gives `+inf`. NaN if an element is NaN or `+inf` or
    /// all are `-inf`. Accuracy: [`accuracy::LOSS`](crate::accuracy::LOSS).
    ///
    /// ```
    /// use xent_core::LogSumExp;
    /// let mut state = LogSumExp::of(&[17.0, 0.0]);
    /// assert_eq!(state.loss(17.0), 4.1399375e-8);
    /// ```
    #[must_use]
    pub fn loss(&self, label_logit: f32) -> f32 {
        Backend::detected().log_sum_exp_loss(*self, label_logit)
    }
}

impl Default for LogSumExp {
    fn default() -> Self {
        LogSumExp::EMPTY
    }
}

impl Extend<f32> for LogSumExp {
    fn extend<I: IntoIterator<Item = f32>>(&mut self, x: I) {
        for x in x {
            self.push(x);
        }
    }
}

impl FromIterator<f32> for LogSumExp {
    fn from_iter<I: IntoIterator<Item = f32>>(x: I) -> Self {
        let mut state = LogSumExp::EMPTY;
        state.extend(x);
        state
    }
}
