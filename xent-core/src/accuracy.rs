//! Every promised error bound, one constant each. Tests hold them on every backend.
//!
//! Errors are against [`reference`](crate::reference), in units of [`ULP`] relative to what the page of
//! the constant names; beside it one step of the smallest subnormal, 2^-149, is always allowed, and with
//! a distribution one for each class, whose term may be subnormal; weights multiply the step. The bounds hold for rows of any length
//! up to 2^28 and do not grow with it.
//!
//! A loss or a gradient with options has its bound and what [`OPTIONS`], [`FOCAL`], [`Z_LOSS`], [`TEMPERATURE`] and
//! [`SOFT_CAP`] add. Where the difference of two logits overflows, or its quotient by a temperature, or the product of a loss
//! and one of its weights, the loss can be infinite although the next factor would bring it back.
//!
//! `D` is [`reference::mean_distance`](crate::reference::mean_distance): the mean of `m - x_i` over the
//! elements that are not the maximum, weighted by `exp(x_i - m)`. `m - x_i` is rounded once, which
//! moves `exp(x_i - m)` by half an ULP for each unit of it. To make up for that costs a third of an exponential: a
//! softmax does it in its elements, a sum does not.
//!
//! `ACCURACY.md`, beside this crate's manifest, has how each follows, term by term, and the largest error measured.

/// 2^-23: the distance from 1 to the next f32. A bound of `b` ULP of `v` is `b * ULP * |v|`.
pub const ULP: f64 = 1.0 / 8_388_608.0;

/// [`log_sum_exp`](crate::log_sum_exp): ULP of the larger of the result's absolute value and of `ln(1 + s)`, plus
/// `D / 2` ULP of `ln(1 + s)`, which is
/// [`reference::log_sum_exp_excess`](crate::reference::log_sum_exp_excess).
///
/// The result is `m + ln(1 + s)`: where the two nearly cancel, it keeps the absolute error of the second.
pub const LOG_SUM_EXP: f64 = 4.0;

/// [`CrossEntropy`](crate::CrossEntropy) with a class, [`LogSumExp::loss`](crate::LogSumExp::loss):
/// ULP of the loss, plus `D / 2`.
pub const LOSS: f64 = 4.0;

/// [`CrossEntropy`](crate::CrossEntropy) with a distribution: ULP of the sum of the absolute values of
/// the terms, plus `D / 2`.
pub const TARGET_LOSS: f64 = 5.5;

/// [`BinaryCrossEntropy`](crate::BinaryCrossEntropy): ULP of the sum of the absolute values of both
/// terms. The absolute value of a logit is exact, so there is no `D`. A target that label smoothing makes subnormal, which one
/// below 2^-125 can, has its step of 2^-149, which counts as often as the side costs.
pub const BINARY_LOSS: f64 = 4.0;

/// [`ClippedCrossEntropy`](crate::ClippedCrossEntropy): ULP of the loss, with a distribution of the sum
/// of the absolute values of the terms.
pub const CLIPPED_LOSS: f64 = 6.0;

/// [`ClippedBinaryCrossEntropy`](crate::ClippedBinaryCrossEntropy): ULP of the sum of the absolute
/// values of both terms. Smoothed targets as in [`BINARY_LOSS`].
pub const CLIPPED_BINARY_LOSS: f64 = 4.0;

/// [`softmax`](crate::softmax): ULP of the element, however small, plus `D / 2`, which is in the sum.
pub const SOFTMAX: f64 = 4.5;

/// [`log_softmax`](crate::log_softmax): ULP of the element, plus `D / 2`.
pub const LOG_SOFTMAX: f64 = 4.0;

/// [`entropy`](crate::entropy): ULP of the sum of the absolute values of the terms.
pub const ENTROPY: f64 = 4.0;

/// [`kl_divergence`](crate::kl_divergence): ULP of the sum of the absolute values of the terms.
pub const KL_DIVERGENCE: f64 = 4.0;

/// [`js_divergence`](crate::js_divergence): ULP of the divergence.
pub const JS_DIVERGENCE: f64 = 6.0;

/// [`Distillation`](crate::Distillation): with `e` this many ULP plus 2.5 `D` ULP, at most `e` of the loss plus
/// `(e R)^2 / 2`.
///
/// `D` is [`reference::distillation_distance`](crate::reference::distillation_distance), `R`
/// [`reference::distillation_rest`](crate::reference::distillation_rest), at most 2: the square is what an
/// error of `e R` in the difference of the two log-sum-exps leaves. For temperatures from 2^-100 to
/// 2^100, and `(m - x_c) / T` up to 2^38.
pub const DISTILLATION: f64 = 13.5;

/// The gradient of [`Distillation`](crate::Distillation), before its factor: with `e` this many ULP plus
/// 2.5 `D` ULP, at most `e` of the element plus `e R` of the smaller of `p_c / T` and `q_c / T`; and for distances an ULP
/// of the element for each unit of the teacher's `(m - y_c) / T`, or, where `q_c / p_c` is not between `1 / e` and `e^2`,
/// of `p_c / T` for each unit of that and of `q_c / T` for each of the student's. `D` and `R` are those of
/// [`DISTILLATION`]; a subnormal probability has its step, which counts over `T`.
pub const DISTILLATION_GRADIENT: f64 = 10.0;

/// [`RowStatistics::max_probability`](crate::RowStatistics::max_probability): ULP of it, plus `D / 2`.
pub const MAX_PROBABILITY: f64 = 4.0;

/// [`RowStatistics::entropy`](crate::RowStatistics::entropy): ULP of the entropy, plus half of
/// [`reference::entropy_distance`](crate::reference::entropy_distance), which is to the entropy what `D`
/// is to a loss.
pub const ENTROPY_OF_LOGITS: f64 = 6.5;

/// [`RowStatistics::margin`](crate::RowStatistics::margin): ULP of it, plus `D / 2`.
pub const MARGIN: f64 = 4.0;

/// `exp` of the kernels on `(-inf, 0]`: ULP of the result (its own last place, not relative to a
/// power of two), over all inputs. Results below 2^-187 are 0.
pub const EXP: f64 = 1.0;

/// `ln` of the kernels: ULP of the result, over all inputs.
pub const LN: f64 = 1.0;

/// `ln_1p` of the kernels but those for binary losses of logits: ULP of the result, over all inputs.
pub const LN_1P: f64 = 1.0;

/// `ln_1p` of the kernels for binary losses of logits: ULP of the result, over all inputs from 0 to 1.
pub const LN_1P_OF_FRACTION: f64 = 1.6;

/// [`CrossEntropy::gradient`](crate::CrossEntropy::gradient) where one class counts alone, as with a label: ULP of the
/// element, plus half an ULP for each unit of `m - x_c`, plus `D / 2`: the first is in the exponential of the
/// element, the second in the sum.
///
/// Weights, factors, what the row counts and `1 / T` multiply the step of 2^-149 that is always allowed. So does a z-loss, whose `z_loss lse` is rounded to two
/// such steps before it is multiplied. A class weight beyond 2^-100 or 2^100 can make a gradient infinite or
/// 0, also of a mean that divides by it, where it is from probabilities or where more than one class counts:
/// what a class counts is f32. Other class weights, and sample weights of any size, do not.
pub const GRADIENT: f64 = 4.5;

/// The same where more than one class counts, with a distribution, with smoothing or with a z-loss: ULP of the
/// sum of the absolute values of what is added,
/// [`reference::cross_entropy_gradient_scale`](crate::reference::cross_entropy_gradient_scale), with what [`GRADIENT`]
/// has for distances.
pub const TARGET_GRADIENT: f64 = 7.5;

/// [`ClippedCrossEntropy::gradient`](crate::ClippedCrossEntropy::gradient): ULP of the element; with
/// `normalize`, where more than one class counts, of
/// [`reference::clipped_cross_entropy_gradient_scale`](crate::reference::clipped_cross_entropy_gradient_scale).
/// A normalised probability within 8 ULP of an end of the clip range can be taken as inside or outside. What a class
/// counts, times the factor, has its step of 2^-149 where it is subnormal, and is then divided: by the probability, or
/// by the sum of the row.
pub const CLIPPED_GRADIENT: f64 = 7.0;

/// [`BinaryCrossEntropy::gradient`](crate::BinaryCrossEntropy::gradient): ULP of
/// [`reference::binary_cross_entropy_gradient_scale`](crate::reference::binary_cross_entropy_gradient_scale),
/// which is the element itself for a target of 0 or 1.
pub const BINARY_GRADIENT: f64 = 4.0;

/// [`ClippedBinaryCrossEntropy::gradient`](crate::ClippedBinaryCrossEntropy::gradient): ULP of
/// [`reference::clipped_binary_cross_entropy_gradient_scale`](crate::reference::clipped_binary_cross_entropy_gradient_scale).
pub const CLIPPED_BINARY_GRADIENT: f64 = 4.0;

/// What label smoothing, weights (of a class, of positives, of a row), `focal_alpha` and the factor of a gradient add to a
/// bound, all together: ULP of the same.
///
/// Each weight and factor rounds once; a smoothed target three times, and so does the binary `focal_alpha`, of two such
/// targets.
pub const OPTIONS: f64 = 6.5;

/// What a focal factor of exponent `gamma` adds to the bound of a term of a loss, with `q` the
/// probability of being wrong, `1 - p_c`: `FOCAL (1 + gamma (1 + |ln q|))` ULP of the term, plus `gamma`
/// times what the bound has for distances (`D / 2`, [`TEMPERATURE`], [`SOFT_CAP`]).
///
/// The power is `exp(gamma ln q)`, whose exponent is rounded: that is the part that grows with
/// `gamma |ln q|`; for exponents of 1 and 2 it is a product and has no such part. A power below 2^-126 has its step of
/// 2^-149, which counts as often as what it is multiplied with: the loss or its slope, and weights.
/// To a gradient: the same for the class that counts whose share is largest, once more `FOCAL`, and twice
/// more `D / 2`, for the slope of the factor.
pub const FOCAL: f64 = 5.0;

/// What a z-loss adds to the error of a loss: ULP of `z_loss lse^2`, and twice what [`LOSS`] allows for
/// `ln(1 + s)`, times `z_loss |lse|`.
///
/// With `lse = m + ln(1 + s)`, the first is the roundings of the sum, the square and the products.
pub const Z_LOSS: f64 = 4.0;

/// What a temperature, or a soft cap, adds for each unit of distance of the quotients: `m - z_c` and `D`
/// count one ULP instead of half an ULP. Binary losses: ULP for each unit of `|z|`, of loss and gradient.
///
/// The difference of the logits is rounded before the quotient is.
pub const TEMPERATURE: f64 = 0.5;

/// What a soft cap adds: each capped logit is within that many ULP of itself, so that its loss moves by
/// as much as its slope says.
///
/// With `M` the largest `|c tanh(x_c / c) / T|` of the row, a loss is off by `2 M SOFT_CAP` ULP of
/// `Σ u_c (1 - p_c)`, of [`reference::cross_entropy_gradient`](crate::reference::cross_entropy_gradient),
/// which is at most what the row counts, and of `z_loss |lse|`; an element of a gradient by
/// `(1 + gamma) 2 M SOFT_CAP` ULP of its scale, and for the slope of the cap by
/// `SOFT_CAP (1 + |x_c / c|)` ULP; where that slope is subnormal it is off by two steps of 2^-149, which are
/// multiplied as that of [`GRADIENT`]. Binary losses: ULP for each unit of `|c tanh(x / c) / T|`.
///
/// For `M` up to 2^18: beyond it a rounding of a capped logit moves its exponential by more than its proportion.
pub const SOFT_CAP: f64 = 2.75;

/// `tanh` of the kernels, of a soft cap: ULP of the result, over all inputs.
pub const TANH: f64 = 2.0;
