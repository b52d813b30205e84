//! No kernel touches memory beside its slices: every call, on every backend, at every length up to
//! 200, with inputs and outputs that begin or end where a page without access does.
//!
//! What is computed there has the bits of what is computed in an ordinary `Vec`. Miri, which knows where each
//! `Vec` ends and has no pages, goes through fewer lengths and options, and holds them to the scalar bits.
#![cfg(unix)]
#![allow(unsafe_code, reason = "a read beside a slice, to see the borders work")]

#[path = "common/borders.rs"]
mod borders;
mod common;

#[cfg(not(miri))]
use std::process::Command;

use borders::Memory;
#[cfg(not(miri))]
use borders::{AtEnd, AtStart};
use common::bounds::{
    binary, binary_option_sets, clipped, clipped_binary, cross_entropy, option_sets,
};
use common::calls::{ClassLoss, ElementLoss};
use common::{Random, assert_same_bits, few_cases, n_cases, some_weights};
use xent_core::reference::Options;
use xent_core::{
    Backend, BinaryTargets, Distillation, LogSumExp, Reduction, RowStatistics, Rows, Target,
    Targets,
};

/// All up to 200; for Miri some beside the edges of lanes and rows.
fn lengths() -> Vec<usize> {
    // Steps of 7 and 67 leave another remainder each time, by a number of lanes and by 11.
    let step = if few_cases() { if n_cases() >= 100 { 7 } else { 67 } } else { 1 };
    if cfg!(miri) { vec![0, 10, 11] } else { (0..=200).step_by(step).collect() }
}

/// Every set of options. With few cases a third of them by turns: 3 and the number of lanes have no common
/// factor, so each set meets every tail. For Miri the one without options, or that with all of them.
fn in_turn<T>(sets: Vec<(&'static str, T)>, n: usize) -> impl Iterator<Item = T> {
    let sets = sets.into_iter().enumerate().filter(move |(i, (name, _))| {
        if cfg!(miri) {
            *name == ["none", "everything"][n % 2]
        } else {
            !few_cases() || (i + n).is_multiple_of(3)
        }
    });
    sets.map(|(_, (_, options))| options)
}

/// Calls `check` for each backend, all side by side.
#[cfg(not(miri))]
fn on_every_backend(check: impl Fn(Backend) + Sync) {
    std::thread::scope(|scope| {
        for backend in Backend::all() {
            let check = &check;
            scope.spawn(move || check(backend));
        }
    });
}

/// `n` numbers made of the unit interval.
fn fill<M: Memory>(n: usize, f: fn(f32) -> f32) -> M {
    let mut random = Random::new(n as u64);
    M::of(&(0..n).map(|_| f(random.unit())).collect::<Vec<_>>())
}

fn logits<M: Memory>(n: usize) -> M {
    fill(n, |u| u * 30.0 - 15.0)
}

fn probs<M: Memory>(n: usize) -> M {
    fill(n, |u| 1.0 - u)
}

fn targets<M: Memory>(n: usize) -> M {
    fill(n, |u| if u < 0.3 { 0.0 } else { u })
}

/// What one row gives that has no options.
fn row<M: Memory>(backend: Backend, n: usize) -> Vec<f32> {
    let (x, p, y): (M, M, M) = (logits(n), probs(n), targets(n));
    let state = backend.log_sum_exp_state(&x).merge(LogSumExp::of(&y));
    let mut results = vec![
        backend.log_sum_exp(&x),
        backend.log_sum_exp_value(state),
        backend.entropy(&p),
        backend.kl_divergence(&y, &p).unwrap(),
        backend.js_divergence(&p, &y).unwrap(),
    ];
    let mut out = M::zeros(n);
    backend.softmax(&x, &mut out).unwrap();
    results.extend(out.iter());
    backend.log_softmax(&x, &mut out).unwrap();
    results.extend(out.iter());
    for in_place in [Backend::softmax_in_place, Backend::log_softmax_in_place] {
        out.copy_from_slice(&x);
        in_place(backend, &mut out);
        results.extend(out.iter());
    }
    if n > 0 {
        results.push(backend.log_sum_exp_loss(state, x[n - 1]));
        let statistics = backend.row_statistics(&x, n - 1).unwrap();
        results.extend(numbers(&statistics));
        let loss = Distillation::new().backend(backend).temperature(2.0);
        results.push(loss.row(&x, &y).unwrap());
        results.push(loss.row_gradient(&x, &y, &mut out).unwrap());
        results.extend(out.iter());
        let weights = M::of(&some_weights(n));
        for target in [Target::Label(n as i64 - 1), Target::Distribution(&y)] {
            for options in in_turn(option_sets(&weights), n) {
                let loss = cross_entropy(backend, &options);
                results.extend(row_of_class_loss(loss, &x, target, &mut out));
                let loss = clipped(backend, &options);
                results.extend(row_of_class_loss(loss, &p, target, &mut out));
            }
        }
        for options in in_turn(binary_option_sets(), n) {
            ElementLoss::row(&binary(backend, &options), &x, &y, &mut out).unwrap();
            results.extend(out.iter());
            ElementLoss::row(&clipped_binary(backend, &options), &p, &y, &mut out).unwrap();
            results.extend(out.iter());
        }
    }
    results
}

fn numbers(row: &RowStatistics) -> [f32; 4] {
    [row.loss(), row.entropy(), row.margin(), row.log_sum_exp()]
}

/// The loss of one row and both its gradients.
fn row_of_class_loss<M: Memory>(
    loss: impl ClassLoss,
    x: &[f32],
    target: Target<'_>,
    out: &mut M,
) -> Vec<f32> {
    let mut results = vec![loss.row(x, target).unwrap()];
    results.push(loss.row_gradient(x, target, out).unwrap());
    results.extend(out.iter());
    out.copy_from_slice(x);
    results.push(loss.row_gradient_in_place(out, target).unwrap());
    results.extend(out.iter());
    results
}

/// How rows lie. The last element of the last one is the last of the slice.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// One after another.
    Rows,
    /// Side by side.
    Columns,
    /// Side by side, in two images if they are even in number.
    Images,
    /// With room between classes, and between rows.
    Apart,
}

impl Lie {
    #[cfg(not(miri))]
    const ALL: [Lie; 4] = [Lie::Rows, Lie::Columns, Lie::Images, Lie::Apart];

    /// Of the slice.
    fn len(self, n_rows: usize, classes: usize) -> usize {
        match self {
            Lie::Apart if n_rows > 0 => (n_rows - 1) * (2 * classes + 1) + (classes - 1) * 2 + 1,
            _ => n_rows * classes,
        }
    }

    fn of(self, x: &[f32], n_rows: usize, classes: usize) -> Rows<'_> {
        match self {
            Lie::Rows => Rows::new(x, n_rows, classes),
            Lie::Columns => Rows::strided(x, n_rows, classes, 1, n_rows),
            Lie::Images if n_rows.is_multiple_of(2) => {
                Rows::channels_first(x, 2, classes, n_rows / 2)
            }
            Lie::Images => Rows::channels_first(x, 1, classes, n_rows),
            Lie::Apart => Rows::strided(x, n_rows, classes, 2 * classes + 1, 2),
        }
        .unwrap()
    }
}

/// The losses, the total and both gradients, through buffers of so many rows and elements.
fn class_loss<M: Memory>(
    loss: impl ClassLoss,
    (x, rows): (&[f32], Rows<'_>),
    targets: Targets<'_>,
    (losses, gradient): (&mut M, &mut M),
) -> Vec<f32> {
    loss.rows(rows, targets, losses).unwrap();
    let mut results = losses.to_vec();
    results.push(loss.total(rows, targets).unwrap().sum() as f32);
    loss.gradient(rows, targets, 1.0.into(), gradient).unwrap();
    results.extend(gradient.iter());
    gradient.copy_from_slice(x);
    let shape = [rows.n_rows(), rows.classes()];
    loss.gradient_in_place(gradient, shape, targets, 1.0.into()).unwrap();
    results.extend(gradient.iter());
    results
}

/// The losses, the total and both gradients, through a buffer of so many elements.
fn element_loss<M: Memory>(
    loss: impl ElementLoss,
    (x, rows): (&[f32], Rows<'_>),
    targets: BinaryTargets<'_>,
    out: &mut M,
) -> Vec<f32> {
    loss.rows(rows, targets, out).unwrap();
    let mut results = out.to_vec();
    results.push(loss.total(rows, targets).unwrap().sum() as f32);
    loss.gradient(rows, targets, 1.0.into(), out).unwrap();
    results.extend(out.iter());
    out.copy_from_slice(x);
    loss.gradient_in_place(out, targets, 1.0.into()).unwrap();
    results.extend(out.iter());
    results
}

/// What rows give, and their losses with every option.
fn rows<M: Memory>(backend: Backend, n_rows: usize, classes: usize, lie: Lie) -> Vec<f32> {
    let n = n_rows * classes;
    let len = lie.len(n_rows, classes);
    let (x, p, y): (M, M, M) = (logits(len), probs(len), targets(len));
    let [x_rows, p_rows, y_rows] = [&x, &p, &y].map(|x| lie.of(x, n_rows, classes));
    // In place, rows lie one after another.
    let (x, p) = (&x[..n], &p[..n]);
    let (mut out, mut elements) = (M::zeros(n_rows), M::zeros(n));
    let mut results = Vec::new();
    backend.log_sum_exp_rows(x_rows, &mut out).unwrap();
    results.extend(out.iter());
    backend.entropy_rows(p_rows, &mut out).unwrap();
    results.extend(out.iter());
    backend.kl_divergence_rows(y_rows, p_rows, &mut out).unwrap();
    results.extend(out.iter());
    backend.js_divergence_rows(y_rows, p_rows, &mut out).unwrap();
    results.extend(out.iter());
    let distillation = Distillation::new().backend(backend);
    distillation.rows(x_rows, y_rows, &mut out).unwrap();
    results.extend(out.iter());
    results.push(distillation.total(x_rows, y_rows).unwrap().sum() as f32);
    distillation.gradient(x_rows, y_rows, Reduction::Sum, &mut elements).unwrap();
    results.extend(elements.iter());
    elements.copy_from_slice(x);
    distillation.gradient_in_place(&mut elements, y_rows, Reduction::Sum).unwrap();
    results.extend(elements.iter());
    for softmax_rows in [Backend::softmax_rows, Backend::log_softmax_rows] {
        softmax_rows(backend, x_rows, &mut elements).unwrap();
        results.extend(elements.iter());
    }

    let [weights, sample_weights] = [classes, n_rows].map(|n| M::of(&some_weights(n)));
    let labels: Vec<usize> = (0..n_rows).map(|row| row * 7 % classes).collect();
    let mut statistics = vec![RowStatistics::NAN; n_rows];
    backend.row_statistics_rows(x_rows, &labels, &mut statistics).unwrap();
    results.extend(statistics.iter().flat_map(numbers));
    let labels = Targets::labels(&labels);
    for targets in [labels, labels.with_sample_weights(&sample_weights), y_rows.into()] {
        for options in in_turn(option_sets(&weights), n) {
            let loss = cross_entropy(backend, &options);
            results.extend(class_loss(loss, (x, x_rows), targets, (&mut out, &mut elements)));
            for normalize in [false, true] {
                let loss = clipped(backend, &Options { normalize, ..options });
                results.extend(class_loss(loss, (p, p_rows), targets, (&mut out, &mut elements)));
            }
        }
    }
    for options in in_turn(binary_option_sets(), n) {
        for pos_weights in [&[][..], &weights] {
            let (mut a, mut b) = (binary(backend, &options), clipped_binary(backend, &options));
            if !pos_weights.is_empty() {
                (a, b) = (a.pos_weights(pos_weights), b.pos_weights(pos_weights));
            }
            let targets = BinaryTargets::from(y_rows).with_sample_weights(&sample_weights);
            results.extend(element_loss(a, (x, x_rows), targets, &mut elements));
            results.extend(element_loss(b, (p, p_rows), targets, &mut elements));
        }
    }
    results
}

/// Rows, classes, and how they lie: one row of each length, as many of 1 to 11 classes as have room, and three.
#[cfg(not(miri))]
fn shapes() -> impl Iterator<Item = (usize, usize, Lie)> {
    let shapes = lengths().into_iter().filter(|&n| n > 0).flat_map(|n| {
        let few = n % 11 + 1;
        [(1, n), (n / few, few), (3, n / 3)]
    });
    let shapes = shapes.filter(|&(_, classes)| classes > 0);
    shapes.flat_map(|(n_rows, classes)| Lie::ALL.map(|lie| (n_rows, classes, lie)))
}

/// More rows than lanes without options, and a few with all of them.
#[cfg(miri)]
fn shapes() -> [(usize, usize, Lie); 2] {
    [(10, 3, Lie::Images), (3, 3, Lie::Apart)]
}

#[test]
#[cfg(not(miri))]
fn a_row_of_any_length_can_lie_at_a_border() {
    on_every_backend(|backend| {
        for n in lengths() {
            let want = row::<Vec<f32>>(backend, n);
            let what = || format!("{backend:?}, {n} elements");
            assert_same_bits(&row::<AtStart>(backend, n), &want, &what);
            assert_same_bits(&row::<AtEnd>(backend, n), &want, &what);
        }
    });
}

#[test]
#[cfg(not(miri))]
fn rows_of_every_loss_can_lie_at_a_border() {
    on_every_backend(|backend| {
        for (n_rows, classes, lie) in shapes() {
            let want = rows::<Vec<f32>>(backend, n_rows, classes, lie);
            let what = || format!("{backend:?}, {n_rows} x {classes}, {lie:?}");
            assert_same_bits(&rows::<AtStart>(backend, n_rows, classes, lie), &want, &what);
            assert_same_bits(&rows::<AtEnd>(backend, n_rows, classes, lie), &want, &what);
        }
    });
}

#[test]
#[cfg(miri)]
fn a_row_of_any_length_stays_inside_a_vec() {
    for n in lengths() {
        let want = row::<Vec<f32>>(Backend::SCALAR, n);
        for backend in Backend::all().skip(1) {
            let what = || format!("{backend:?}, {n} elements");
            assert_same_bits(&row::<Vec<f32>>(backend, n), &want, &what);
        }
    }
}

#[test]
#[cfg(miri)]
fn rows_of_every_loss_stay_inside_a_vec() {
    for (n_rows, classes, lie) in shapes() {
        let want = rows::<Vec<f32>>(Backend::SCALAR, n_rows, classes, lie);
        for backend in Backend::all().skip(1) {
            let what = || format!("{backend:?}, {n_rows} x {classes}, {lie:?}");
            assert_same_bits(&rows::<Vec<f32>>(backend, n_rows, classes, lie), &want, &what);
        }
    }
}

/// The borders are there: this test runs itself, reads beside a slice, and must end by a signal.
#[test]
#[cfg(not(miri))]
fn a_read_beside_a_slice_ends_the_process() {
    const BESIDE: &str = "XENT_TEST_READ_BESIDE";
    let beside = |slice: &[f32], i: isize| {
        // SAFETY: none; the read is meant to end the process.
        unsafe { slice.as_ptr().wrapping_offset(i).read_volatile() }
    };
    match std::env::var(BESIDE).as_deref() {
        Ok("start") => println!("read {}", beside(&AtStart::zeros(3), -1)),
        Ok("end") => println!("read {}", beside(&AtEnd::zeros(3), 3)),
        _ => {
            for border in ["start", "end"] {
                let test = std::env::current_exe().unwrap();
                // An emulator of one process does not run what the process starts.
                let mut this = match std::env::var_os("XENT_EMULATOR") {
                    Some(emulator) => {
                        let mut this = Command::new(emulator);
                        this.arg(test);
                        this
                    }
                    None => Command::new(test),
                };
                this.args(["a_read_beside_a_slice_ends_the_process", "--nocapture"]);
                let output = this.env(BESIDE, border).output().unwrap();
                assert_eq!(output.status.code(), None, "{border}: {output:?}");
            }
        }
    }
}
