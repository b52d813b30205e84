//! What `xent-std` makes of core has the bits of core, and its errors: batches in a `Vec`, on one to
//! three threads.
//!
//! Whether the results of core are right is a matter of the other targets.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};
use xent_core::{Backend, Distillation, Error, LossTotal, RowStatistics, Targets};
use xent_std::{
    BatchBackend, BatchBinaryLoss, BatchDistillation, BatchLoss, CalibrationBin, Evaluation,
};

use crate::bounds;
use crate::bytes::Bytes;
use crate::clipped_cross_entropy::clip;
use crate::compare::{assert_same_bits, assert_same_f64, bits};
use crate::cross_entropy::{Case, shape};
use crate::labels::Labels;
use crate::layout::Layout;
use crate::options::{self, Drawn};

/// See the module.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let pool = pool(usize::from(bytes.byte() % 3));
    pool.install(|| {
        let large = bytes.byte() == u8::MAX;
        let (n_rows, classes) = if large { large_shape(&mut bytes) } else { shape(&mut bytes) };
        // Those of a large batch take long.
        let backends: Vec<Backend> =
            if large { vec![Backend::detected()] } else { Backend::all().collect() };
        let batch = Batch { n_rows, classes, backends };
        match bytes.byte() % 4 {
            0 => batch.check_functions(&mut bytes),
            1 => batch.check_losses(&mut bytes),
            2 => batch.check_binary_losses(&mut bytes),
            _ => batch.check_divergences(&mut bytes),
        }
    });
}

/// Of one thread more than `more`.
fn pool(more: usize) -> &'static ThreadPool {
    static POOLS: [OnceLock<ThreadPool>; 3] = [const { OnceLock::new() }; 3];
    POOLS[more].get_or_init(|| {
        ThreadPoolBuilder::new().num_threads(1 + more).build().expect("threads can be had")
    })
}

/// Enough work to be shared by threads: many short rows, long ones, or some of both.
fn large_shape(bytes: &mut Bytes<'_>) -> (usize, usize) {
    match bytes.byte() % 3 {
        0 => (131_072 + bytes.below(3000), 1 + bytes.below(2)),
        1 => (1 + bytes.below(2), (1 << 21) + bytes.below(3)),
        _ => (1400 + bytes.below(99), 1500),
    }
}

struct Batch {
    n_rows: usize,
    classes: usize,
    backends: Vec<Backend>,
}

/// What core writes to a slice of that length, and says.
pub(crate) fn of_core<T>(
    len: usize,
    fill: impl FnOnce(&mut [f32]) -> Result<T, Error>,
) -> Result<(T, Vec<f32>), Error> {
    let mut out = vec![0.0; len];
    fill(&mut out).map(|said| (said, out))
}

/// Fails unless both are the same error, or have the same bits.
#[track_caller]
pub(crate) fn assert_same_values<T>(
    got: Result<Vec<f32>, Error>,
    of_core: Result<(T, Vec<f32>), Error>,
    context: impl Fn() -> String,
) {
    match (got, of_core) {
        (Ok(got), Ok((_, expected))) => assert_same_bits(&got, &expected, context),
        (got, of_core) => assert_same_errors(got.err(), of_core.err(), context),
    }
}

#[track_caller]
fn assert_same_errors(got: Option<Error>, of_core: Option<Error>, context: impl Fn() -> String) {
    // Which of two mistakes is reported is not promised; that of the scale comes first or last.
    let is_of_scale = |error: &Error| matches!(error, Error::InvalidOption { name, .. } if *name == "gradient_scale");
    if let (Some(got), Some(of_core)) = (&got, &of_core)
        && is_of_scale(got) != is_of_scale(of_core)
    {
        return;
    }
    // As text, in which NaN equals NaN.
    assert_eq!(format!("{got:?}"), format!("{of_core:?}"), "{}", context());
}

/// The same of totals.
#[track_caller]
pub(crate) fn assert_same_totals(
    got: Result<LossTotal, Error>,
    of_core: Result<LossTotal, Error>,
    context: impl Fn() -> String,
) {
    match (got, of_core) {
        (Ok(got), Ok(expected)) => {
            assert_same_f64(got.sum(), expected.sum(), &context);
            assert_same_f64(got.weight(), expected.weight(), &context);
            assert_eq!(got.count(), expected.count(), "{}", context());
        }
        (got, of_core) => assert_same_errors(got.err(), of_core.err(), context),
    }
}

/// The same of totals with gradients.
#[track_caller]
pub(crate) fn assert_same_gradients(
    got: Result<(LossTotal, Vec<f32>), Error>,
    of_core: Result<(LossTotal, Vec<f32>), Error>,
    context: impl Fn() -> String,
) {
    let totals = [&got, &of_core].map(|result| match result {
        Ok((total, _)) => Ok(*total),
        Err(error) => Err(*error),
    });
    assert_same_totals(totals[0], totals[1], &context);
    assert_same_values(got.map(|(_, gradient)| gradient), of_core, context);
}

/// Fails unless the batch functions of a loss do as those of core; `n_losses` is the number of its losses.
macro_rules! assert_batch_as_core {
    ($loss:expr, $x:expr, $targets:expr, $scale:expr, $n_losses:expr, $context:expr) => {{
        let (loss, x, targets, scale) = (&$loss, $x, $targets, $scale);
        assert_same_values(
            loss.batch_losses(x, targets),
            of_core($n_losses, |out| loss.rows(x, targets, out)),
            || format!("losses: {}", $context()),
        );
        assert_same_totals(loss.batch_total(x, targets), loss.total(x, targets), || {
            format!("total: {}", $context())
        });
        assert_same_gradients(
            loss.batch_gradient(x, targets, scale),
            of_core(x.n_elements(), |out| loss.gradient(x, targets, scale, out)),
            || format!("gradient: {}", $context()),
        );
    }};
}

impl Batch {
    fn len(&self) -> usize {
        self.n_rows * self.classes
    }

    fn context(&self, what: &str, x: &[f32]) -> String {
        format!("{what} of {} x {} {:x?}", self.n_rows, self.classes, bits(x))
    }

    /// What depends on logits, and on labels.
    fn check_functions(&self, bytes: &mut Bytes<'_>) {
        let x = bytes.logits(self.len());
        let layout = Layout::new(bytes, &x, self.n_rows, self.classes);
        let n_labels = if bytes.rarely() { bytes.below(9) } else { self.n_rows };
        let labels = Labels::new(bytes, n_labels, self.classes);
        let [top_k, n_bins] = [1 + bytes.below(6), 1 + bytes.below(20)];
        let split = bytes.below(self.n_rows + 1);
        let rows = layout.rows();
        for &backend in &self.backends {
            let context = |what: &str| format!("{backend:?}: {}", self.context(what, &x));
            let of_rows = [
                ("log_sum_exp", backend.batch_log_sum_exp(rows), self.n_rows),
                ("softmax", backend.batch_softmax(rows), x.len()),
                ("log_softmax", backend.batch_log_softmax(rows), x.len()),
            ];
            for (what, got, len) in of_rows {
                let expected = of_core(len, |out| match what {
                    "log_sum_exp" => backend.log_sum_exp_rows(rows, out),
                    "softmax" => backend.softmax_rows(rows, out),
                    _ => backend.log_softmax_rows(rows, out),
                });
                assert_same_values(Ok(got), expected, || context(what));
            }
            let parallel = backend.parallel_log_sum_exp(&x);
            assert_same_bits(&[parallel], &[backend.log_sum_exp(&x)], || context("one row"));

            let mut expected = vec![RowStatistics::NAN; self.n_rows];
            let of_core = labels.row_statistics_rows(backend, rows, &mut expected);
            let got = labels.batch_statistics(backend, rows);
            // As text, in which NaN equals NaN.
            let [got_text, core_text] =
                [format!("{got:?}"), format!("{:?}", of_core.map(|()| &expected))];
            assert!(got_text == core_text, "{}", context("statistics"));
            if let Ok(statistics) = got {
                check_evaluation(&statistics, [top_k, n_bins], split, || context("evaluation"));
            }
        }
        let detected = [
            (xent_std::batch_log_sum_exp(rows), Backend::detected().batch_log_sum_exp(rows)),
            (xent_std::batch_softmax(rows), Backend::detected().batch_softmax(rows)),
            (xent_std::batch_log_softmax(rows), Backend::detected().batch_log_softmax(rows)),
            (
                vec![xent_std::parallel_log_sum_exp(&x)],
                vec![Backend::detected().parallel_log_sum_exp(&x)],
            ),
        ];
        for (got, expected) in detected {
            assert_same_bits(&got, &expected, || self.context("the detected backend", &x));
        }
    }

    fn check_losses(&self, bytes: &mut Bytes<'_>) {
        let drawn = Drawn::new(bytes, self.n_rows, self.classes);
        let clipped = bytes.flag().then(|| (clip(bytes), bytes.flag()));
        let x = if clipped.is_some() { bytes.probs(self.len()) } else { bytes.logits(self.len()) };
        let layout = Layout::new(bytes, &x, self.n_rows, self.classes);
        let case = Case::new(bytes, self.n_rows, self.classes);
        let targets = match &case {
            Case::Labels(labels) => labels.targets(),
            Case::Distributions { layout, .. } => Targets::distributions(layout.rows()),
        };
        let targets = match &drawn.sample_weights {
            Some(weights) => targets.with_sample_weights(weights),
            None => targets,
        };
        let mut options = drawn.of_rows(1.0);
        for &backend in &self.backends {
            let context =
                || format!("{backend:?}: {}, {clipped:?}, {drawn:?}", self.context("losses", &x));
            match clipped {
                Some((clip, normalize)) => {
                    (options.clip, options.normalize) = (clip, normalize);
                    let loss = bounds::clipped(backend, &options).ignore(drawn.ignore);
                    let rows = layout.rows();
                    assert_batch_as_core!(loss, rows, targets, drawn.scale, self.n_rows, context);
                }
                None => {
                    let loss = bounds::cross_entropy(backend, &options).ignore(drawn.ignore);
                    let rows = layout.rows();
                    assert_batch_as_core!(loss, rows, targets, drawn.scale, self.n_rows, context);
                }
            }
        }
    }

    fn check_binary_losses(&self, bytes: &mut Bytes<'_>) {
        let drawn = Drawn::new(bytes, self.n_rows, self.classes);
        let clip = bytes.flag().then(|| clip(bytes));
        let x = if clip.is_some() { bytes.probs(self.len()) } else { bytes.logits(self.len()) };
        let layout = Layout::new(bytes, &x, self.n_rows, self.classes);
        let n_rows = if bytes.rarely() { bytes.below(9) } else { self.n_rows };
        let y = bytes.targets(n_rows * self.classes);
        let y_layout = Layout::new(bytes, &y, n_rows, self.classes);
        let targets = xent_core::BinaryTargets::new(y_layout.rows());
        let targets = match &drawn.sample_weights {
            Some(weights) => targets.with_sample_weights(weights),
            None => targets,
        };
        let options = drawn.of_elements(clip);
        for &backend in &self.backends {
            let context =
                || format!("{backend:?}: {}, {clip:?}, {drawn:?}", self.context("elements", &x));
            let (rows, weights) = (layout.rows(), drawn.weights.as_deref());
            if clip.is_some() {
                let loss = bounds::clipped_binary(backend, &options);
                let loss = weights.map_or(loss, |weights| loss.pos_weights(weights));
                assert_batch_as_core!(loss, rows, targets, drawn.scale, x.len(), context);
            } else {
                let loss = bounds::binary(backend, &options);
                let loss = weights.map_or(loss, |weights| loss.pos_weights(weights));
                assert_batch_as_core!(loss, rows, targets, drawn.scale, x.len(), context);
            }
        }
    }

    /// Of two operands.
    fn check_divergences(&self, bytes: &mut Bytes<'_>) {
        let n_rows = if bytes.rarely() { bytes.below(9) } else { self.n_rows };
        let (of_logits, mut usual) = (bytes.flag(), true);
        let (temperature, scale) =
            (options::temperature(bytes, &mut usual), options::scale(bytes, &mut usual));
        let [p, q] = [self.n_rows, n_rows].map(|n_rows| {
            let n = n_rows * self.classes;
            let elements = if of_logits { bytes.logits(n) } else { bytes.probs(n) };
            (Layout::new(bytes, &elements, n_rows, self.classes), elements)
        });
        let (x, y) = (p.0.rows(), q.0.rows());
        for &backend in &self.backends {
            let context = |what: &str| {
                format!("{backend:?}: {} and {:x?}", self.context(what, &p.1), bits(&q.1))
            };
            if of_logits {
                let loss = Distillation::new().temperature(temperature).backend(backend);
                assert_batch_as_core!(loss, x, y, scale, self.n_rows, || context("distillation"));
                continue;
            }
            let entropy = of_core(self.n_rows, |out| backend.entropy_rows(x, out));
            assert_same_values(Ok(backend.batch_entropy(x)), entropy, || context("entropy"));
            let kl = of_core(self.n_rows, |out| backend.kl_divergence_rows(x, y, out));
            assert_same_values(backend.batch_kl_divergence(x, y), kl, || context("kl_divergence"));
            let js = of_core(self.n_rows, |out| backend.js_divergence_rows(x, y, out));
            assert_same_values(backend.batch_js_divergence(x, y), js, || context("js_divergence"));
            if backend == Backend::detected() {
                let context = || context("the detected backend");
                let detected = of_core(self.n_rows, |out| backend.entropy_rows(x, out));
                assert_same_values(Ok(xent_std::batch_entropy(x)), detected, context);
                let detected = of_core(self.n_rows, |out| backend.kl_divergence_rows(x, y, out));
                assert_same_values(xent_std::batch_kl_divergence(x, y), detected, context);
                let detected = of_core(self.n_rows, |out| backend.js_divergence_rows(x, y, out));
                assert_same_values(xent_std::batch_js_divergence(x, y), detected, context);
            }
        }
    }
}

/// Fails unless an evaluation counts what its rows say, whole and of two parts.
fn check_evaluation(
    rows: &[RowStatistics],
    [top_k, n_bins]: [usize; 2],
    split: usize,
    context: impl Fn() -> String,
) {
    let of = |rows: &[RowStatistics]| {
        let mut evaluation = Evaluation::new(top_k, n_bins).expect("neither is 0");
        evaluation.extend(rows.iter().copied());
        evaluation
    };
    let whole = of(rows);
    let (left, right) = rows.split_at(split);
    let mut merged = of(left);
    merged.merge(&of(right)).expect("made alike");
    let count =
        |is: &dyn Fn(&RowStatistics) -> bool| rows.iter().filter(|row| is(row)).count() as u64;
    let n_correct = count(&|row| row.is_in_top(1));
    let n_in_top = count(&|row| row.is_in_top(top_k));
    let nan_count = count(&|row| row.max_probability().is_nan());
    let n_rows = rows.len() as u64;
    for evaluation in [&whole, &merged] {
        assert_eq!(evaluation.count(), n_rows, "{}", context());
        assert_eq!(evaluation.n_correct(), n_correct, "{}", context());
        assert_eq!(evaluation.nan_count(), nan_count, "{}", context());
        let of_all = |n: u64| if n_rows == 0 { f64::NAN } else { n as f64 / n_rows as f64 };
        assert_same_f64(evaluation.accuracy(), of_all(n_correct), &context);
        assert_same_f64(evaluation.top_k_accuracy(), of_all(n_in_top), &context);
        let bins = evaluation.bins();
        assert_eq!(bins.len(), n_bins);
        let in_bins: u64 = bins.iter().map(CalibrationBin::count).sum();
        assert_eq!(in_bins, n_rows - nan_count, "{}", context());
        for (i, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.count() > 0) {
            let [lo, hi] = [i, i + 1].map(|end| end as f64 / n_bins as f64);
            let confidence = bin.mean_confidence();
            let inside = lo - 1e-12 <= confidence && confidence <= hi + 1e-12;
            assert!(inside, "{confidence} in bin {i}: {}", context());
            assert!((0.0..=1.0).contains(&bin.accuracy()), "{}", context());
        }
        let error = evaluation.expected_calibration_error();
        assert_eq!(error.is_nan(), in_bins == 0, "{}", context());
        assert!(error.is_nan() || (0.0..=1.0).contains(&error), "{error}: {}", context());
    }
    let (mut losses, mut entropies) = (LossTotal::EMPTY, LossTotal::EMPTY);
    rows.iter().for_each(|row| losses.push(row.loss(), 1.0));
    rows.iter().for_each(|row| entropies.push(row.entropy(), 1.0));
    assert_same_f64(whole.mean_entropy(), entropies.mean(), &context);
    assert_same_f64(whole.mean_loss(), losses.mean(), &context);
    assert_same_f64(whole.perplexity(), losses.mean().exp(), &context);
}
