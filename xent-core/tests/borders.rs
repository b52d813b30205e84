//! No kernel touches memory beside its slices: every call, on every backend, at every length up to
//! 200, with inputs and outputs that begin or end where a page without access does.
//!
//! What is computed there has the bits of what is computed in an ordinary `Vec`.
#![cfg(unix)]
#![allow(unsafe_code, reason = "a read beside a slice, to see the borders work")]

#[path = "common/borders.rs"]
mod borders;
mod common;

use std::process::Command;

use borders::{AtEnd, AtStart, Memory};
use common::bounds::{
    binary, binary_option_sets, clipped, clipped_binary, cross_entropy, option_sets,
};
use common::calls::{ClassLoss, ElementLoss};
use common::{Random, assert_same_bits, few_cases, some_weights};
use xent_core::reference::Options;
use xent_core::{Backend, BinaryTargets, Distillation, LogSumExp, Rows, Targets};

const MAX_LEN: usize = 200;

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
        let statistics = backend.row_statistics(&x, n - 1).unwrap();
        results.extend([statistics.loss(), statistics.entropy(), statistics.margin()]);
        let loss = Distillation::new().backend(backend).temperature(2.0);
        results.push(loss.row_gradient(&x, &y, &mut out).unwrap());
        results.extend(out.iter());
    }
    results
}

/// A row for each `classes` elements, or a column.
fn in_rows(x: &[f32], classes: usize, columns: bool) -> Rows<'_> {
    let n_rows = x.len() / classes;
    let strides = if columns { [1, n_rows] } else { [classes, 1] };
    Rows::strided(x, n_rows, classes, strides[0], strides[1]).unwrap()
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

/// What rows give, or columns, and their losses with every option.
fn rows<M: Memory>(backend: Backend, n_rows: usize, classes: usize, columns: bool) -> Vec<f32> {
    let n = n_rows * classes;
    let (x, p, y): (M, M, M) = (logits(n), probs(n), targets(n));
    let [x_rows, p_rows, y_rows] = [&x, &p, &y].map(|x| in_rows(x, classes, columns));
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
    Distillation::new().backend(backend).rows(x_rows, y_rows, &mut out).unwrap();
    results.extend(out.iter());
    for softmax_rows in [Backend::softmax_rows, Backend::log_softmax_rows] {
        softmax_rows(backend, x_rows, &mut elements).unwrap();
        results.extend(elements.iter());
    }

    let [weights, sample_weights] = [classes, n_rows].map(|n| M::of(&some_weights(n)));
    let labels: Vec<usize> = (0..n_rows).map(|row| row * 7 % classes).collect();
    let labels = Targets::labels(&labels);
    for targets in [labels, labels.with_sample_weights(&sample_weights), y_rows.into()] {
        for (_, options) in option_sets(&weights) {
            let loss = cross_entropy(backend, &options);
            results.extend(class_loss(loss, (&x, x_rows), targets, (&mut out, &mut elements)));
            for normalize in [false, true] {
                let loss = clipped(backend, &Options { normalize, ..options });
                results.extend(class_loss(loss, (&p, p_rows), targets, (&mut out, &mut elements)));
            }
        }
    }
    for (_, options) in binary_option_sets() {
        for pos_weights in [&[][..], &weights] {
            let (mut a, mut b) = (binary(backend, &options), clipped_binary(backend, &options));
            if !pos_weights.is_empty() {
                (a, b) = (a.pos_weights(pos_weights), b.pos_weights(pos_weights));
            }
            let targets = BinaryTargets::from(y_rows).with_sample_weights(&sample_weights);
            results.extend(element_loss(a, (&x, x_rows), targets, &mut elements));
            results.extend(element_loss(b, (&p, p_rows), targets, &mut elements));
        }
    }
    results
}

#[test]
fn a_row_of_any_length_can_lie_at_a_border() {
    for backend in Backend::all() {
        for n in 0..=MAX_LEN {
            let want = row::<Vec<f32>>(backend, n);
            let what = || format!("{backend:?}, {n} elements");
            assert_same_bits(&row::<AtStart>(backend, n), &want, &what);
            assert_same_bits(&row::<AtEnd>(backend, n), &want, &what);
        }
    }
}

#[test]
fn rows_and_columns_of_every_loss_can_lie_at_a_border() {
    // 67 leaves another remainder each time, by a number of lanes and by 11.
    let step = if few_cases() { 67 } else { 1 };
    for backend in Backend::all() {
        for n in (1..=MAX_LEN).step_by(step) {
            // One row, and as many of 1 to 11 classes as have room.
            for [n_rows, classes] in [[1, n], [n / (n % 11 + 1), n % 11 + 1]] {
                for columns in [false, true] {
                    let want = rows::<Vec<f32>>(backend, n_rows, classes, columns);
                    let what = || format!("{backend:?}, {n_rows} x {classes}, columns: {columns}");
                    let at_start = rows::<AtStart>(backend, n_rows, classes, columns);
                    assert_same_bits(&at_start, &want, &what);
                    let at_end = rows::<AtEnd>(backend, n_rows, classes, columns);
                    assert_same_bits(&at_end, &want, &what);
                }
            }
        }
    }
}

/// The borders are there: this test runs itself, reads beside a slice, and must end by a signal.
#[test]
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
