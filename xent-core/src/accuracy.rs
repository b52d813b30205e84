//! Every promised error bound, one constant each. Tests hold them on every backend.
//!
//! Errors are against [`reference`](crate::reference), in units of [`ULP`] relative to what the page of
//! the constant names; beside it one step of the smallest subnormal, 2^-149, is always allowed, and with
//! a distribution one for each class, whose term may be subnormal. The bounds hold for rows of any length
//! up to 2^28 and do not grow with it.
//!
//! `D` is [`reference::mean_distance`](crate::reference::mean_distance): the mean of `m - x_i` over the
//! elements that are not the maximum, weighted by `exp(x_i - m)`. `m - x_i` is rounded once, which
//! moves `exp(x_i - m)` by half an ULP for each unit of it; no f32 input can be read without that.

/// 2^-23: the distance from 1 to the next f32. A bound of `b` ULP of `v` is `b * ULP * |v|`.
pub const ULP: f64 = 1.0 / 8_388_608.0;

/// [`log_sum_exp`](crate::log_sum_exp): ULP of the larger of `|m|` and the result.
pub const LOG_SUM_EXP: f64 = 4.0;

/// [`CrossEntropy`](crate::CrossEntropy) with a class, [`LogSumExp::loss`](crate::LogSumExp::loss):
/// ULP of the loss, plus `D / 2`.
pub const LOSS: f64 = 4.0;

/// [`CrossEntropy`](crate::CrossEntropy) with a distribution: ULP of the sum of the absolute values of
/// the terms, plus `D / 2`.
pub const TARGET_LOSS: f64 = 4.0;

/// [`BinaryCrossEntropy`](crate::BinaryCrossEntropy): ULP of the sum of the absolute values of both
/// terms. The absolute value of a logit is exact, so there is no `D`.
pub const BINARY_LOSS: f64 = 4.0;

/// [`ClippedCrossEntropy`](crate::ClippedCrossEntropy): ULP of the loss, with a distribution of the sum
/// of the absolute values of the terms; for rows of up to 2^20 classes.
pub const CLIPPED_LOSS: f64 = 4.0;

/// [`ClippedBinaryCrossEntropy`](crate::ClippedBinaryCrossEntropy): ULP of the sum of the absolute
/// values of both terms.
pub const CLIPPED_BINARY_LOSS: f64 = 4.0;

/// [`softmax`](crate::softmax): ULP of the element, plus half an ULP for each unit of `m - x_i`,
/// plus `D / 2`: the first is in the exponential of the element, the second in the sum.
pub const SOFTMAX: f64 = 4.0;

/// [`log_softmax`](crate::log_softmax): ULP of the element, plus `D / 2`.
pub const LOG_SOFTMAX: f64 = 4.0;

/// `exp` of the kernels on `(-inf, 0]`: ULP of the result (its own last place, not relative to a
/// power of two), over all inputs. Results below 2^-187 are 0.
pub const EXP: f64 = 1.0;

/// `ln` of the kernels: ULP of the result, over all inputs.
pub const LN: f64 = 1.0;

/// `ln_1p` of the kernels: ULP of the result, over all inputs.
pub const LN_1P: f64 = 1.0;
