//! A call of every public function of `xent-core`, with what only the run can know.
//!
//! Formatting is left out, for `core::fmt` has panics of its own, and so is the f64 `reference`, which is
//! for tests. `tests/every_function.rs` compares the calls with the sources of `xent-core`; it finds
//! them by their paths, so a method is called as `Type::method(..)`.
#![no_std]

use core::hint::black_box;

use xent_core::{
    Backend, BinaryCrossEntropy, BinaryTargets, ClippedBinaryCrossEntropy, ClippedCrossEntropy,
    CrossEntropy, Distillation, GradientScale, LogSumExp, LossTotal, Reduction, RowStatistics,
    Rows, Target, Targets,
};

/// Hides from the optimiser what a value is, and that nobody needs it.
macro_rules! calls {
    ($($call:expr;)*) => {
        $(let _ = black_box($call);)*
    };
}

/// Elements of each operand; the calls do not know.
const N: usize = 24;

/// An operand whose length and elements the optimiser does not know.
fn unknown<T>(x: &[T]) -> &[T] {
    black_box(x)
}

/// Rows whose shape and strides the optimiser does not know; none if they do not fit `x`.
fn unknown_rows(x: &[f32]) -> impl Iterator<Item = Rows<'_>> {
    let (n_rows, classes, stride) = black_box((2, 3, 4));
    [
        Rows::new(unknown(x), n_rows, classes),
        Rows::strided(unknown(x), n_rows, classes, stride, stride),
        Rows::channels_first(unknown(x), n_rows, classes, stride),
    ]
    .into_iter()
    .filter_map(Result::ok)
    .map(black_box)
}

/// Calls all of them.
pub fn call_everything() {
    let (x, y) = (&[0.5; N], &[0.25; N]);
    for backend in Backend::all() {
        let backend = black_box(backend);
        backends(backend);
        for rows in unknown_rows(x) {
            for targets in unknown_rows(y) {
                row_functions(backend, unknown(x), unknown(y), rows, targets);
                cross_entropy(backend, unknown(x), unknown(y), rows, targets);
                clipped_cross_entropy(backend, unknown(x), unknown(y), rows, targets);
                binary_cross_entropy(backend, unknown(x), unknown(y), rows, targets);
                clipped_binary_cross_entropy(backend, unknown(x), unknown(y), rows, targets);
                distillation(backend, unknown(x), unknown(y), rows, targets);
            }
        }
    }
    states(unknown(x));
    totals();
    statistics();
}

fn backends(backend: Backend) {
    calls! {
        Backend::detected();
        Backend::by_name(black_box("scalar"));
        Backend::name(backend);
        Backend::fuses_multiply_add(backend);
    }
}

fn row_functions(backend: Backend, x: &[f32], y: &[f32], rows: Rows<'_>, others: Rows<'_>) {
    let (a, b) = (&mut [0.0; N], &mut [RowStatistics::NAN; N]);
    let (out, statistics) = (black_box(&mut a[..]), black_box(&mut b[..]));
    let (labels, state, logit) = (unknown(&[0_u8; N]), black_box(LogSumExp::EMPTY), black_box(0.5));
    let (label, row, class) = black_box((1_i64, 1, 2));
    let targets = black_box(Targets::labels(labels));
    let distributions = black_box(Targets::from(others));
    calls! {
        xent_core::log_sum_exp(x);
        xent_core::log_sum_exp_rows(rows, out);
        xent_core::softmax(x, out);
        xent_core::softmax_in_place(out);
        xent_core::softmax_rows(rows, out);
        xent_core::log_softmax(x, out);
        xent_core::log_softmax_in_place(out);
        xent_core::log_softmax_rows(rows, out);
        xent_core::entropy(x);
        xent_core::entropy_rows(rows, out);
        xent_core::kl_divergence(x, y);
        xent_core::kl_divergence_rows(rows, others, out);
        xent_core::js_divergence(x, y);
        xent_core::js_divergence_rows(rows, others, out);
        xent_core::row_statistics(x, label);
        xent_core::row_statistics_rows(rows, labels, statistics);
        Backend::log_sum_exp(backend, x);
        Backend::log_sum_exp_rows(backend, rows, out);
        Backend::log_sum_exp_state(backend, x);
        Backend::log_sum_exp_value(backend, state);
        Backend::log_sum_exp_loss(backend, state, logit);
        Backend::softmax(backend, x, out);
        Backend::softmax_in_place(backend, out);
        Backend::softmax_rows(backend, rows, out);
        Backend::log_softmax(backend, x, out);
        Backend::log_softmax_in_place(backend, out);
        Backend::log_softmax_rows(backend, rows, out);
        Backend::entropy(backend, x);
        Backend::entropy_rows(backend, rows, out);
        Backend::kl_divergence(backend, x, y);
        Backend::kl_divergence_rows(backend, rows, others, out);
        Backend::js_divergence(backend, x, y);
        Backend::js_divergence_rows(backend, rows, others, out);
        Backend::row_statistics(backend, x, label);
        Backend::row_statistics_rows(backend, rows, labels, statistics);
        Rows::n_rows(&rows);
        Rows::classes(&rows);
        Rows::n_elements(&rows);
        Rows::get(&rows, row, class);
        Rows::as_slice(&rows, row);
        Rows::range(&rows, row..class);
        Target::from(label);
        Target::from(y);
        Targets::from(labels);
        Targets::are_weighted(&targets);
        Targets::range(&targets, row..class);
        Targets::range(&distributions, row..class);
        Targets::label(&targets, row);
        Targets::check(&targets, &rows);
        Targets::check(&distributions, &rows);
    }
}

fn cross_entropy(backend: Backend, x: &[f32], y: &[f32], rows: Rows<'_>, targets: Rows<'_>) {
    let (option, label, scale, n) = black_box((0.5, 1_i64, Reduction::Mean, 3));
    let (weights, labels) = (unknown(&[1.0; N]), unknown(&[0_u8; N]));
    let (a, b) = (&mut [0.0; N], &mut [0.0; N]);
    let (losses, out) = (black_box(&mut a[..]), black_box(&mut b[..]));
    let mut loss = CrossEntropy::backend(CrossEntropy::new(), backend);
    calls! {
        CrossEntropy::default();
        CrossEntropy::backend_used(&loss);
        CrossEntropy::is_plain(&loss);
    }
    for set in 0..black_box(10) {
        // In any order, so that no option is known to be there or not.
        loss = black_box(match set {
            0 => CrossEntropy::label_smoothing(loss, option),
            1 => CrossEntropy::class_weights(loss, weights),
            2 => CrossEntropy::ignore(loss, label),
            3 => CrossEntropy::focal(loss, option),
            4 => CrossEntropy::focal_alpha(loss, option),
            5 => CrossEntropy::z_loss(loss, option),
            6 => CrossEntropy::temperature(loss, option),
            _ => CrossEntropy::soft_cap(loss, option),
        });
    }
    for targets in [
        Targets::labels(labels),
        Targets::distributions(targets),
        Targets::with_sample_weights(Targets::labels(labels), weights),
    ] {
        let targets = black_box(targets);
        calls! {
            CrossEntropy::check(&loss, rows, targets);
            CrossEntropy::rows(&loss, rows, targets, losses);
            CrossEntropy::total(&loss, rows, targets);
            CrossEntropy::gradient(&loss, rows, targets, scale, out);
            CrossEntropy::gradient(&loss, rows, targets, option, out);
            CrossEntropy::gradient_in_place(&loss, out, n, n, targets, scale);
            CrossEntropy::gradient_factor(&loss, targets, n, scale);
        }
    }
    for target in [Target::Label(label), Target::Distribution(y)] {
        let target = black_box(target);
        calls! {
            CrossEntropy::row(&loss, x, target);
            CrossEntropy::row_gradient(&loss, x, target, out);
            CrossEntropy::row_gradient_in_place(&loss, out, target);
        }
    }
}

fn clipped_cross_entropy(
    backend: Backend,
    x: &[f32],
    y: &[f32],
    rows: Rows<'_>,
    targets: Rows<'_>,
) {
    let (option, label, scale, n) = black_box((0.5, 1_i64, Reduction::Mean, 3));
    let (weights, labels) = (unknown(&[1.0; N]), unknown(&[0_u8; N]));
    let (a, b) = (&mut [0.0; N], &mut [0.0; N]);
    let (losses, out) = (black_box(&mut a[..]), black_box(&mut b[..]));
    let mut loss = ClippedCrossEntropy::backend(ClippedCrossEntropy::new(), backend);
    calls! {
        ClippedCrossEntropy::default();
        ClippedCrossEntropy::reads_all_classes(&loss);
    }
    for set in 0..black_box(10) {
        // In any order, so that no option is known to be there or not.
        loss = black_box(match set {
            0 => ClippedCrossEntropy::label_smoothing(loss, option),
            1 => ClippedCrossEntropy::class_weights(loss, weights),
            2 => ClippedCrossEntropy::ignore(loss, label),
            3 => ClippedCrossEntropy::focal(loss, option),
            4 => ClippedCrossEntropy::focal_alpha(loss, option),
            5 => ClippedCrossEntropy::clip(loss, option, option),
            _ => ClippedCrossEntropy::normalize(loss, black_box(true)),
        });
    }
    for targets in [
        Targets::labels(labels),
        Targets::distributions(targets),
        Targets::with_sample_weights(Targets::labels(labels), weights),
    ] {
        let targets = black_box(targets);
        calls! {
            ClippedCrossEntropy::check(&loss, rows, targets);
            ClippedCrossEntropy::rows(&loss, rows, targets, losses);
            ClippedCrossEntropy::total(&loss, rows, targets);
            ClippedCrossEntropy::gradient(&loss, rows, targets, scale, out);
            ClippedCrossEntropy::gradient(&loss, rows, targets, option, out);
            ClippedCrossEntropy::gradient_in_place(&loss, out, n, n, targets, scale);
            ClippedCrossEntropy::gradient_factor(&loss, targets, n, scale);
        }
    }
    for target in [Target::Label(label), Target::Distribution(y)] {
        let target = black_box(target);
        calls! {
            ClippedCrossEntropy::row(&loss, x, target);
            ClippedCrossEntropy::row_gradient(&loss, x, target, out);
            ClippedCrossEntropy::row_gradient_in_place(&loss, out, target);
        }
    }
}

fn binary_cross_entropy(backend: Backend, x: &[f32], y: &[f32], rows: Rows<'_>, targets: Rows<'_>) {
    let (option, scale) = black_box((0.5, Reduction::Mean));
    let weights = unknown(&[1.0; N]);
    let (a, b) = (&mut [0.0; N], &mut [0.0; N]);
    let (losses, out) = (black_box(&mut a[..]), black_box(&mut b[..]));
    let mut loss = BinaryCrossEntropy::backend(BinaryCrossEntropy::new(), backend);
    calls! {
        BinaryCrossEntropy::default();
    }
    for set in 0..black_box(10) {
        // In any order, so that no option is known to be there or not.
        loss = black_box(match set {
            0 => BinaryCrossEntropy::label_smoothing(loss, option),
            1 => BinaryCrossEntropy::pos_weights(loss, weights),
            2 => BinaryCrossEntropy::focal(loss, option),
            3 => BinaryCrossEntropy::focal_alpha(loss, option),
            4 => BinaryCrossEntropy::temperature(loss, option),
            _ => BinaryCrossEntropy::soft_cap(loss, option),
        });
    }
    for targets in [
        BinaryTargets::new(targets),
        BinaryTargets::with_sample_weights(BinaryTargets::from(targets), weights),
    ] {
        let targets = black_box(targets);
        calls! {
            BinaryTargets::check(&targets, &rows);
            BinaryTargets::range(&targets, 1..black_box(2));
            BinaryCrossEntropy::check(&loss, rows, targets);
            BinaryCrossEntropy::rows(&loss, rows, targets, losses);
            BinaryCrossEntropy::total(&loss, rows, targets);
            BinaryCrossEntropy::gradient(&loss, rows, targets, scale, out);
            BinaryCrossEntropy::gradient_in_place(&loss, out, targets, scale);
            BinaryCrossEntropy::gradient_factor(&loss, targets, scale);
        }
    }
    calls! {
        BinaryCrossEntropy::element(&loss, option, option);
        BinaryCrossEntropy::row(&loss, x, y, out);
    }
}

fn clipped_binary_cross_entropy(
    backend: Backend,
    x: &[f32],
    y: &[f32],
    rows: Rows<'_>,
    targets: Rows<'_>,
) {
    let (option, scale) = black_box((0.5, Reduction::Mean));
    let weights = unknown(&[1.0; N]);
    let (a, b) = (&mut [0.0; N], &mut [0.0; N]);
    let (losses, out) = (black_box(&mut a[..]), black_box(&mut b[..]));
    let mut loss = ClippedBinaryCrossEntropy::backend(ClippedBinaryCrossEntropy::new(), backend);
    calls! {
        ClippedBinaryCrossEntropy::default();
    }
    for set in 0..black_box(10) {
        // In any order, so that no option is known to be there or not.
        loss = black_box(match set {
            0 => ClippedBinaryCrossEntropy::label_smoothing(loss, option),
            1 => ClippedBinaryCrossEntropy::pos_weights(loss, weights),
            2 => ClippedBinaryCrossEntropy::focal(loss, option),
            3 => ClippedBinaryCrossEntropy::focal_alpha(loss, option),
            _ => ClippedBinaryCrossEntropy::clip(loss, option, option),
        });
    }
    for targets in [
        BinaryTargets::new(targets),
        BinaryTargets::with_sample_weights(BinaryTargets::from(targets), weights),
    ] {
        let targets = black_box(targets);
        calls! {
            BinaryTargets::check(&targets, &rows);
            BinaryTargets::range(&targets, 1..black_box(2));
            ClippedBinaryCrossEntropy::check(&loss, rows, targets);
            ClippedBinaryCrossEntropy::rows(&loss, rows, targets, losses);
            ClippedBinaryCrossEntropy::total(&loss, rows, targets);
            ClippedBinaryCrossEntropy::gradient(&loss, rows, targets, scale, out);
            ClippedBinaryCrossEntropy::gradient_in_place(&loss, out, targets, scale);
            ClippedBinaryCrossEntropy::gradient_factor(&loss, targets, scale);
        }
    }
    calls! {
        ClippedBinaryCrossEntropy::element(&loss, option, option);
        ClippedBinaryCrossEntropy::row(&loss, x, y, out);
    }
}

fn distillation(backend: Backend, x: &[f32], y: &[f32], rows: Rows<'_>, teachers: Rows<'_>) {
    let (temperature, scale, n) = black_box((0.5, Reduction::Mean, 3));
    let (a, b) = (&mut [0.0; N], &mut [0.0; N]);
    let (losses, out) = (black_box(&mut a[..]), black_box(&mut b[..]));
    let loss = Distillation::backend(Distillation::new(), backend);
    let loss = black_box(Distillation::temperature(loss, temperature));
    calls! {
        Distillation::default();
        Distillation::backend_used(&loss);
        Distillation::check(&loss, rows, teachers);
        Distillation::row(&loss, x, y);
        Distillation::rows(&loss, rows, teachers, losses);
        Distillation::total(&loss, rows, teachers);
        Distillation::row_gradient(&loss, x, y, out);
        Distillation::gradient(&loss, rows, teachers, scale, out);
        Distillation::gradient_in_place(&loss, out, teachers, scale);
        Distillation::gradient_factor(&loss, n, scale);
    }
}

fn states(x: &[f32]) {
    let (mut state, logit) = black_box((LogSumExp::default(), 0.5));
    calls! {
        LogSumExp::of(x);
        LogSumExp::push(&mut state, logit);
        LogSumExp::merge(state, black_box(state));
        LogSumExp::max(&state);
        LogSumExp::value(&state);
        LogSumExp::loss(&state, logit);
        LogSumExp::extend(&mut state, x.iter().copied());
        LogSumExp::from_iter(x.iter().copied());
    }
}

fn totals() {
    let (mut total, loss, reduction) = black_box((LossTotal::default(), 0.5, Reduction::Mean));
    calls! {
        LossTotal::push(&mut total, loss, loss);
        LossTotal::reduce(&total, reduction);
        LossTotal::merge(total, black_box(total));
        LossTotal::sum(&total);
        LossTotal::weight(&total);
        LossTotal::count(&total);
        LossTotal::mean(&total);
        LossTotal::mean_count(&total);
        GradientScale::from(reduction);
        GradientScale::from(loss);
    }
}

fn statistics() {
    let (row, k) = black_box((RowStatistics::default(), 5));
    calls! {
        RowStatistics::log_sum_exp(&row);
        RowStatistics::energy(&row);
        RowStatistics::loss(&row);
        RowStatistics::max_probability(&row);
        RowStatistics::entropy(&row);
        RowStatistics::margin(&row);
        RowStatistics::argmax(&row);
        RowStatistics::rank(&row);
        RowStatistics::is_in_top(&row, k);
    }
}
