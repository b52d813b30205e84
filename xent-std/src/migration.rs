//! From PyTorch, Keras, TensorFlow, optax and ONNX: each call, and the one here with the same result.
//!
//! This module has no items. `x` are logits and `p` probabilities ([`Rows`](crate::Rows)); `t` labels,
//! `y` targets, `w` weights. "Recorded" names the functions of `xent-std/tests/oracles/from_*.py` whose
//! calls are replayed as tests; "below" is an example on this page, with the library's numbers in f64;
//! "formula" is the library's documented formula, without a run of the library.
//! A call that gives one loss a row is [`batch_losses`](crate::BatchLoss::batch_losses), one that
//! reduces is [`batch_total`](crate::BatchLoss::batch_total) and then as in this table; `rows`, `total`
//! and `gradient` of `xent-core` do the same without a `Vec`. The gradient of a reduced loss is
//! [`batch_gradient`](crate::BatchLoss::batch_gradient) with the same [`Reduction`](crate::Reduction).
//!
//! | PyTorch, ONNX | Keras | here |
//! | --- | --- | --- |
//! | `none` | `none` | `batch_losses` |
//! | `sum` | `sum` | `Reduction::Sum`, `total.sum()` |
//! | `mean`, labels | | `Reduction::Mean`, `total.mean()`: over the class weights of the labels |
//! | `mean`, target distributions | | either mean: over the rows |
//! | `mean`, binary losses | | `Reduction::MeanCount`, whatever the elements weigh |
//! | | `sum_over_batch_size`, `mean` | `Reduction::MeanCount`, `total.mean_count()` |
//! | | `mean_with_sample_weight` | `Reduction::Mean` |
//!
//! Keras' binary losses are the mean over the last axis first: its `none` is the mean of each row of
//! `batch_losses`, its `sum` is `total.sum() / classes`; the means are the same. With Keras'
//! `sample_weight`, or `jnp.average(.., weights)`, the targets are
//! `Targets::labels(t).with_sample_weights(w)`, [`Targets`](crate::Targets) or
//! [`BinaryTargets`](crate::BinaryTargets). Keras' `class_weight` is `class_weights(w)` with `MeanCount`.
//!
//! # PyTorch
//!
//! | `torch.nn.functional` | here | checked |
//! | --- | --- | --- |
//! | `cross_entropy(x, t)` | `CrossEntropy::new().ignore(-100)`; -100 is PyTorch's default | `index_labels`, below |
//! | `ignore_index=i` | `.ignore(i)` | `index_labels` |
//! | `weight=w` | `.class_weights(&w)` | `index_labels` |
//! | `label_smoothing=a` | `.label_smoothing(a)` | `index_labels`, below |
//! | `cross_entropy(x, y)`, `y` of the shape of `x` | targets `Rows`; no ignored label | `target_distributions`, below |
//! | `x` of `N, C, d1, ...` | `Rows::channels_first(&x, n, c, d1 * ...)`, labels in order | `index_labels`, below |
//! | `nll_loss(log_softmax(x, 1), t, w)` | `CrossEntropy` of `x` | `index_labels` |
//! | `nll_loss(p.log(), t, w)` | `ClippedCrossEntropy::new().clip(0.0, 1.0)` of `p` | `composed_clipped` |
//! | `binary_cross_entropy_with_logits(x, y)` | `BinaryCrossEntropy::new()` | `binary_logits` |
//! | `pos_weight=w`, one a class | `.pos_weights(&w)` | `binary_logits`, below |
//! | `weight=w`, of `N, 1` | `BinaryTargets::new(y).with_sample_weights(&w)` | `binary_logits` |
//! | `weight=w`, one a class | the same of `x` and `y` seen by columns, `Rows::strided` | below |
//! | `weight=w`, one an element | the same of rows of one, `Rows::new(&x, n * c, 1)` | `binary_logits` |
//! | `binary_cross_entropy(p, y)` | `ClippedBinaryCrossEntropy::new().clip(0.0, 1.0)` | `binary_probabilities`, below |
//! | `soft_margin_loss(x, s)`, `s` of -1 and 1 | `BinaryCrossEntropy`, `y = (s + 1) / 2` | below |
//! | `multilabel_soft_margin_loss(x, y)` | `BinaryCrossEntropy`, `MeanCount` | below |
//! | `torchvision.ops.sigmoid_focal_loss(x, y, alpha, gamma)` | `BinaryCrossEntropy::new().focal(gamma).focal_alpha(alpha)`; `alpha < 0` is `None` | formula: `composed_binary`, below |
//! | `kl_div(q.log(), p, reduction="none").sum(1)` | `batch_kl_divergence(p, q)`, `p` first | `divergences`, below |
//! | `kl_div(.., reduction="batchmean")` | the mean of these | formula |
//! | `kl_div(log_softmax(s / T), log_softmax(t / T), log_target=True)` | `Distillation::new().temperature(T)` of `s`, `t` | below |
//! | `softmax`, `log_softmax`, `logsumexp` | `batch_softmax`, `batch_log_softmax`, `batch_log_sum_exp` | `softmax_family`, below |
//!
//! ```
//! use xent_std::{BatchLoss, CrossEntropy, Error, Rows, Targets, batch_log_sum_exp};
//! # fn close(found: f64, wanted: f64) { assert!((found - wanted).abs() < 1e-6 * wanted, "{found} {wanted}"); }
//! # fn main() -> Result<(), Error> {
//! let x = Rows::new(&[2.0, 1.0, 0.0, 0.0, 3.0, 0.0, 0.5, 0.5, 1.0], 3, 3)?;
//! let (t, w) = ([0, 1, -100], [1.0, 2.0, 3.0]);
//! let loss = CrossEntropy::new().ignore(-100);
//! // F.cross_entropy(x, t), and with reduction="sum"
//! close(loss.batch_total(x, &t)?.mean(), 0.25126446043267053);
//! close(loss.batch_total(x, &t)?.sum(), 0.5025289208653411);
//! // F.nll_loss(F.log_softmax(x, 1), t, w); F.cross_entropy(x, t, w, label_smoothing=0.1)
//! let weighted = loss.class_weights(&w);
//! close(weighted.batch_total(x, &t)?.mean(), 0.1991506257621006);
//! close(weighted.label_smoothing(0.1).batch_total(x, &t)?.mean(), 0.4349597134658022);
//! // F.cross_entropy(x, y, w): here the mean is over the rows
//! let y = Rows::new(&[0.5, 0.5, 0.0, 0.0, 1.0, 0.0, 0.2, 0.2, 0.6], 3, 3)?;
//! close(weighted.batch_total(x, Targets::distributions(y))?.mean(), 1.3359197020369449);
//! // F.cross_entropy(images, [[0, 2], [1, 1]]) of N, C, d1 = 2, 3, 2
//! let images = [1.0, 0.0, 2.0, 3.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 2.0, 0.0];
//! let positions = Rows::channels_first(&images, 2, 3, 2)?;
//! close(CrossEntropy::new().batch_total(positions, &[0, 2, 1, 1])?.mean(), 1.3841256655942744);
//! // torch.logsumexp(x, 1)
//! close(batch_log_sum_exp(x)[0].into(), 2.4076059644443804);
//! # Ok(()) }
//! ```
//!
//! ```
//! use xent_std::{BatchBinaryLoss, BinaryCrossEntropy, BinaryTargets, ClippedBinaryCrossEntropy, Error, Rows};
//! # fn close(found: f64, wanted: f64) { assert!((found - wanted).abs() < 1e-6 * wanted, "{found} {wanted}"); }
//! # fn main() -> Result<(), Error> {
//! let (data, target_data) = ([3.0, -1.0, 0.5, 2.0], [1.0, 0.0, 0.0, 1.0]);
//! let (x, y) = (Rows::new(&data, 2, 2)?, Rows::new(&target_data, 2, 2)?);
//! let loss = BinaryCrossEntropy::new();
//! // F.binary_cross_entropy_with_logits(x, y, pos_weight=[2, 3])
//! close(loss.pos_weights(&[2.0, 3.0]).batch_total(x, y)?.mean_count(), 0.4413243519936828);
//! // weight=[[1], [0.5]]
//! let rows = BinaryTargets::new(y).with_sample_weights(&[1.0, 0.5]);
//! close(loss.batch_total(x, rows)?.mean_count(), 0.2280878841758761);
//! // weight=[1, 0.5], one a class: each column is a row
//! let columns = BinaryTargets::new(Rows::strided(&target_data, 2, 2, 1, 2)?);
//! let total = loss.batch_total(Rows::strided(&data, 2, 2, 1, 2)?, columns.with_sample_weights(&[1.0, 0.5]))?;
//! close(total.mean_count(), 0.3106897962586116); // also F.multilabel_soft_margin_loss(x, y, weight)
//! // weight=[[1, 0.5], [0.25, 2]]: each element is a row
//! let elements = BinaryTargets::new(Rows::new(&target_data, 4, 1)?);
//! let total = loss.batch_total(Rows::new(&data, 4, 1)?, elements.with_sample_weights(&[1.0, 0.5, 0.25, 2.0]))?;
//! close(total.mean_count(), 0.17564836586595634);
//! // F.soft_margin_loss(x, 2 * y - 1)
//! close(loss.batch_total(x, y)?.mean(), 0.36571350857876106);
//! // torchvision.ops.sigmoid_focal_loss(x, y, 0.25, 2, "mean"), by its formula
//! close(loss.focal(2.0).focal_alpha(0.25).batch_total(x, y)?.mean(), 0.07513261382896055);
//! // F.binary_cross_entropy(p, y)
//! let p = Rows::new(&[0.8, 0.2, 0.6, 0.9], 2, 2)?;
//! close(ClippedBinaryCrossEntropy::new().clip(0.0, 1.0).batch_total(p, y)?.mean(), 0.3669845875401002);
//! # Ok(()) }
//! ```
//!
//! ```
//! use xent_std::{Distillation, Error, Rows, batch_kl_divergence};
//! # fn close(found: f64, wanted: f64) { assert!((found - wanted).abs() < 1e-6 * wanted, "{found} {wanted}"); }
//! # fn main() -> Result<(), Error> {
//! // F.kl_div(q.log(), p, reduction="none").sum(1)
//! let (p, q) = (Rows::new(&[0.5, 0.5, 1.0, 0.0], 2, 2)?, Rows::new(&[0.75, 0.25, 0.5, 0.5], 2, 2)?);
//! close(batch_kl_divergence(p, q)?[0].into(), 0.14384103622589045);
//! // T * T * F.kl_div(log_softmax(s / T, 1), log_softmax(t / T, 1), log_target=True, reduction="batchmean"), T = 4
//! let s = Rows::new(&[1.0, 2.0, 3.0, 0.0, 1.0, 0.0], 2, 3)?;
//! let t = Rows::new(&[3.0, 2.0, 1.0, 0.0, 2.0, 0.0], 2, 3)?;
//! close(16.0 * Distillation::new().temperature(4.0).total(s, t)?.mean(), 0.7210857733863459);
//! # Ok(()) }
//! ```
//!
//! # Keras and TensorFlow
//!
//! | `keras.losses` | here | checked |
//! | --- | --- | --- |
//! | `CategoricalCrossentropy(from_logits=True)` | `CrossEntropy::new()`, targets `Rows` | `categorical_logits`, below |
//! | `CategoricalCrossentropy()` | `ClippedCrossEntropy::new().normalize(true)` | `categorical_probabilities`, below |
//! | `SparseCategoricalCrossentropy(from_logits=True)` | `CrossEntropy::new()`, labels | `sparse_logits` |
//! | `SparseCategoricalCrossentropy()` | `ClippedCrossEntropy::new().normalize(true)`, labels | `sparse_probabilities`, below |
//! | `ignore_class=i` | `.ignore(i)` | both sparse, below |
//! | `BinaryCrossentropy(from_logits=True)` | `BinaryCrossEntropy::new()` | `binary_logits`, below |
//! | `BinaryCrossentropy()` | `ClippedBinaryCrossEntropy::new()` | `binary_probabilities`, below |
//! | `label_smoothing=a` | `.label_smoothing(a)` | all but the sparse |
//! | `CategoricalFocalCrossentropy(alpha=0.25, gamma=2.0)` | `ClippedCrossEntropy::new().normalize(true).focal(2.0).focal_alpha(0.25)`; from logits `CrossEntropy` | `categorical_focal`, below |
//! | `alpha=[a, b, c]`, one a class | `.class_weights(&[a, b, c])`, the mean `mean_count` | formula, below |
//! | `BinaryFocalCrossentropy(gamma=2.0)` | `ClippedBinaryCrossEntropy::new().focal(2.0)`; from logits `BinaryCrossEntropy` | `binary_focal`, below |
//! | `apply_class_balancing=True, alpha=a` | `.focal_alpha(a)` | `binary_focal`, below |
//! | `KLDivergence()(y, p)` | `batch_kl_divergence(y, p)`, of both clipped if the clip matters | `kl_divergence` |
//! | `axis=1` | `Rows::channels_first` | formula |
//! | `fit(class_weight=w)` | `.class_weights(&w)`, `MeanCount` | formula |
//! | `tf.nn.softmax_cross_entropy_with_logits`, `sparse_...` | `CrossEntropy` | as Keras' |
//! | `tf.nn.sigmoid_cross_entropy_with_logits` | `BinaryCrossEntropy` | as Keras' |
//! | `tf.nn.weighted_cross_entropy_with_logits(y, x, w)` | `.pos_weights(&[w; C])` | below |
//!
//! ```
//! use xent_std::{
//!     BatchBinaryLoss, BatchLoss, BinaryCrossEntropy, BinaryTargets, ClippedBinaryCrossEntropy,
//!     ClippedCrossEntropy, CrossEntropy, Error, Rows, Targets,
//! };
//! # fn close(found: f64, wanted: f64) { assert!((found - wanted).abs() < 1e-6 * wanted, "{found} {wanted}"); }
//! # fn main() -> Result<(), Error> {
//! let x = Rows::new(&[2.0, 1.0, 0.0, 0.0, 3.0, 0.0], 2, 3)?;
//! let y = Targets::distributions(Rows::new(&[0.5, 0.5, 0.0, 0.0, 1.0, 0.0], 2, 3)?);
//! let (loss, weighted) = (CrossEntropy::new(), y.with_sample_weights(&[1.0, 3.0]));
//! // CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)(y, x, sample_weight=[1, 3])
//! close(loss.label_smoothing(0.1).batch_total(x, weighted)?.mean_count(), 0.9211874168536311);
//! // CategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")(..)
//! close(loss.batch_total(x, weighted)?.mean(), 0.2980937084268156);
//! // SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)([0, -1], x)
//! close(loss.ignore(-1).batch_total(x, &[0, -1])?.mean_count(), 0.4076059644443804);
//! // CategoricalCrossentropy(reduction="none")(y, p)
//! let p = Rows::new(&[0.4, 0.2, 0.4, 0.2, 1.2, 0.6], 2, 3)?;
//! let clipped = ClippedCrossEntropy::new().normalize(true);
//! close(clipped.batch_losses(p, y)?[0].into(), 1.2628643221541276);
//! // SparseCategoricalCrossentropy()([0, 1], [[0.2, 0.6, 0.2], [0.1, 0.8, 0.1]])
//! let q = Rows::new(&[0.2, 0.6, 0.2, 0.1, 0.8, 0.1], 2, 3)?;
//! close(clipped.batch_total(q, &[0, 1])?.mean_count(), 0.9162907318741551);
//! // CategoricalFocalCrossentropy()(y, p), and with from_logits=True of x
//! close(clipped.focal(2.0).focal_alpha(0.25).batch_total(p, y)?.mean_count(), 0.09521057043985233);
//! close(loss.focal(2.0).focal_alpha(0.25).batch_total(x, y)?.mean_count(), 0.05313640425799441);
//! // CategoricalFocalCrossentropy(alpha=[0.25, 0.5, 1])(y, p)
//! let a = clipped.focal(2.0).class_weights(&[0.25, 0.5, 1.0]);
//! close(a.batch_total(p, y)?.mean_count(), 0.16980459941253617);
//!
//! let (x, y) = (Rows::new(&[3.0, -1.0, 0.5, 2.0], 2, 2)?, Rows::new(&[1.0, 0.0, 0.0, 1.0], 2, 2)?);
//! let (loss, weighted) = (BinaryCrossEntropy::new(), BinaryTargets::new(y).with_sample_weights(&[1.0, 3.0]));
//! // BinaryCrossentropy(from_logits=True, reduction="none")(y, x): the mean of each row
//! let losses = loss.batch_losses(x, y)?;
//! close(f64::from(losses[0] + losses[1]) / 2.0, 0.18092451954598243);
//! // reduction="sum"; sample_weight=[1, 3]; the same with reduction="mean_with_sample_weight"
//! close(loss.batch_total(x, y)?.sum() / 2.0, 0.731427017157522);
//! close(loss.batch_total(x, weighted)?.mean_count(), 0.9162160061903006);
//! close(loss.batch_total(x, weighted)?.mean(), 0.4581080030951503);
//! // BinaryCrossentropy()(y, p); BinaryFocalCrossentropy()(y, p)
//! let p = Rows::new(&[0.8, 0.2, 0.6, 0.9], 2, 2)?;
//! let clipped = ClippedBinaryCrossEntropy::new();
//! close(clipped.batch_total(p, y)?.mean_count(), 0.36698458754010016);
//! close(clipped.focal(2.0).batch_total(p, y)?.mean_count(), 0.0871924381841027);
//! // BinaryFocalCrossentropy(apply_class_balancing=True, from_logits=True)(y, x)
//! close(loss.focal(2.0).focal_alpha(0.25).batch_total(x, y)?.mean_count(), 0.07513261382896057);
//! // tf.nn.weighted_cross_entropy_with_logits(y, x, pos_weight=2)
//! close(loss.pos_weights(&[2.0; 2]).batch_losses(x, y)?[0].into(), 0.09717470314748411);
//! # Ok(()) }
//! ```
//!
//! # optax
//!
//! | `optax` | here | checked |
//! | --- | --- | --- |
//! | `softmax_cross_entropy_with_integer_labels(x, t)` | `CrossEntropy::new()`, labels | `integer_labels` |
//! | `softmax_cross_entropy(x, y)`, `safe_...` | `CrossEntropy::new()`, targets `Rows` | `distributions`, below |
//! | `smooth_labels(y, a)` | `.label_smoothing(a)` | `distributions` |
//! | `sigmoid_binary_cross_entropy(x, y)` | `BinaryCrossEntropy::new()` | `sigmoid` |
//! | `sigmoid_focal_loss(x, y, alpha, gamma)` | `BinaryCrossEntropy::new().focal(gamma).focal_alpha(alpha)` | `sigmoid_focal` |
//! | `kl_divergence(jnp.log(q), p)` | `batch_kl_divergence(p, q)` | `divergences` |
//! | `kl_divergence_with_log_targets(log_softmax(s), log_softmax(t))` | `Distillation::new()` of `s`, `t` | formula |
//! | `convex_kl_divergence(jnp.log(q), p)`, where both sum to 1 | `batch_kl_divergence(p, q)` | formula |
//! | `axis=i` | `Rows::channels_first`, or `array_losses(x, Axis(i), ..)` | formula |
//! | `where=mask` of classes | logits of `-inf` where it is false, and targets of 0 | formula |
//! | `.mean()` of unweighted losses | either mean | all |
//!
//! ```
//! // optax.safe_softmax_cross_entropy([2, 1, -inf], [0.5, 0.5, 0]): a masked class of target 0 costs 0
//! let loss = xent_std::CrossEntropy::new().row(&[2.0, 1.0, f32::NEG_INFINITY], &[0.5, 0.5, 0.0])?;
//! assert!((loss - 0.81326169).abs() < 1e-6);
//! # Ok::<(), xent_std::Error>(())
//! ```
//!
//! # ONNX
//!
//! | operator | here | checked |
//! | --- | --- | --- |
//! | `SoftmaxCrossEntropyLoss(x, t, w)`, `ignore_index` | as PyTorch's `cross_entropy`; no label is ignored unless given | `loss`, `node_cases` |
//! | its output `log_prob` | `batch_log_softmax` | `node_cases` |
//! | `NegativeLogLikelihoodLoss(LogSoftmax(x), t, w)` | the same `CrossEntropy` of `x` | `loss`, `node_cases` |
//! | `Softmax`, `LogSoftmax`, `ReduceLogSumExp` along an axis | `batch_softmax`, `batch_log_softmax`, `batch_log_sum_exp`; `Rows::channels_first` | `softmax_family` |
//!
//! # As models write them
//!
//! | formula | here | checked |
//! | --- | --- | --- |
//! | T5X, PaLM: `loss + z * logsumexp(x)**2` | `.z_loss(z)` | `composed`, below |
//! | Gemma: `x = cap * tanh(x / cap)` | `.soft_cap(cap)` | `composed`, below |
//! | `x / T` | `.temperature(T)`, after the cap | `composed`, below |
//! | T5X: `label_smoothing=a`, `a / (C - 1)` for each other class, less the entropy of that target | `.label_smoothing(a * C / (C - 1))`, and subtract it | formula, below |
//!
//! ```
//! use xent_std::{BatchLoss, CrossEntropy, Error, Rows};
//! # fn close(found: f64, wanted: f64) { assert!((found - wanted).abs() < 1e-6 * wanted, "{found} {wanted}"); }
//! # fn main() -> Result<(), Error> {
//! let (x, t) = (Rows::new(&[2.0, 1.0, 0.0, 0.0, 3.0, 0.0], 2, 3)?, [0, 1]);
//! close(CrossEntropy::new().z_loss(1e-2).batch_total(x, &t)?.mean(), 0.32814003336371866);
//! // F.cross_entropy(30 * torch.tanh(x / 30) / 0.7, t)
//! let capped = CrossEntropy::new().soft_cap(30.0).temperature(0.7);
//! close(capped.batch_total(x, &t)?.mean(), 0.14426453660970295);
//! // T5X, label_smoothing 0.1 and z_loss 1e-4 over 3 classes
//! let entropy = -(0.9_f64 * 0.9_f64.ln() + 2.0 * 0.05 * 0.05_f64.ln());
//! let losses = CrossEntropy::new().label_smoothing(0.15).z_loss(1e-4).batch_losses(x, &t)?;
//! close(f64::from(losses[0]) - entropy, 0.1637879296449406);
//! # Ok(()) }
//! ```
//!
//! # What differs, on purpose
//!
//! | library | there | here |
//! | --- | --- | --- |
//! | PyTorch, TensorFlow, optax | a target or class weight of 0 times an infinite term is NaN (not in `safe_softmax_cross_entropy`) | 0: absent |
//! | PyTorch, TensorFlow, optax | NaN for infinite binary logits | 0 where the target agrees, `+inf` where not |
//! | PyTorch | NaN gradient of an ignored row of NaN or of only `-inf`, and of a mean whose weights sum to 0 | 0 |
//! | PyTorch | `binary_cross_entropy` clamps `ln p` at -100 | clips `p`: `+inf` in `[0, 1]`, 16.1 in the default range |
//! | PyTorch, optax | in f32, a small loss has lost its digits | has them |
//! | TensorFlow | the gradient is `p - y` where `y` does not sum to 1 | `(Σ y) p - y` |
//! | Keras | the mean of no rows is 0 | NaN |
//! | Keras | labels and probabilities: clips before it normalizes | after, as with targets |
//! | Keras | `y = 0, p = 0` costs 1.1920929e-7 | 1.0000001e-7: `ln(1 - p)` is not of a rounded `1 - p` |
//! | Keras | focal losses from logits clip the probabilities | nothing is clipped |
//! | Keras | the binary focal factor takes `p` before the clip, so a clipped `p` has a gradient | 0 |
//! | Keras | `KLDivergence` clips both distributions | neither |
//! | ONNX Runtime, optax | a negative label counts from the last class | [`Error::LabelOutOfRange`](crate::Error::LabelOutOfRange) |
//! | ONNX Runtime, optax | a row with a `+inf` logit costs `+inf` | NaN |
//! | ONNX Runtime | a NaN logit of another class is passed over | NaN |
//!
//! # What has no call here
//!
//! - PyTorch: a binary `weight` of classes or elements together with `pos_weight`, in one call; negative weights.
//! - Keras: `CategoricalGeneralizedCrossEntropy`.
//! - optax: `poly_loss_cross_entropy`; `convex_kl_divergence` of what does not sum to 1; `ctc_loss`, which is
//!   over sequences. PyTorch: `ctc_loss`, `poisson_nll_loss` and `gaussian_nll_loss`, which are over others.
//! - A gradient in the layout of its input: it is row-major, of images `N, H, W, C`.
//! - The gradient of a divergence with respect to probabilities; that of `Distillation` is with respect to logits.
