//! The operations, their sizes, and who takes part.

use std::hint::black_box;

use xent_benches::check::{self, Expected};
use xent_benches::input;
use xent_benches::naive::{self, Libm, Std};
use xent_core::{
    Backend, BinaryCrossEntropy, ClippedCrossEntropy, CrossEntropy, Reduction, Rows, log_sum_exp,
    log_sum_exp_rows,
};
use xent_std::{batch_log_sum_exp, parallel_log_sum_exp};

use crate::measure::{Case, Contender, case};
use crate::{limits, peers};

/// From the row of a small classifier to that of the largest vocabulary, and one out of memory.
const LENGTHS: [usize; 14] =
    [2, 5, 10, 16, 32, 64, 128, 256, 1000, 4096, 16_384, 32_000, 128_256, limits::FROM_MEMORY];
const CLASSES: [usize; 16] = [2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 33, 40, 48, 56, 64];
const SHORT_ROWS: usize = 4096;
/// A batch of a small classifier, ImageNet's classes, two vocabularies; the last, 512 MiB, is in no cache.
const SHAPES: [(usize, usize); 5] =
    [(4096, 10), (1024, 1000), (64, 32_000), (16, 128_256), (1024, 131_072)];

/// Contenders of the cases of threads.
pub const ONE_THREAD: &str = "one thread";
pub const ALL_THREADS: &str = "all threads";

/// What takes part with results to check.
struct Field<'a> {
    n_outputs: usize,
    expected: Vec<Expected>,
    contenders: Vec<Contender<'a>>,
}

impl<'a> Field<'a> {
    fn new(n_outputs: usize, expected: Vec<Expected>) -> Self {
        Field { n_outputs, expected, contenders: Vec::new() }
    }

    /// A contender that computes into a slice of outputs.
    fn add(&mut self, name: &str, run: impl Fn(&mut [f32]) + 'a) {
        // NaN: what is not written shows as an error.
        let mut out = vec![f32::NAN; self.n_outputs];
        run(&mut out);
        let error_ulp = Some(check::largest_error_ulp(&out, &self.expected));
        let run = Box::new(move || {
            run(black_box(&mut out));
        });
        self.contenders.push(Contender { name: name.to_string(), error_ulp, run });
    }

    fn add_backends(&mut self, run: impl Fn(Backend, &mut [f32]) + Copy + 'a) {
        for backend in Backend::all() {
            self.add(backend.name(), move |out| run(backend, out));
        }
    }

    /// A contender whose results are another's.
    fn add_unchecked(&mut self, name: &str, run: impl FnMut() + 'a) {
        self.contenders.push(Contender {
            name: name.to_string(),
            error_ulp: None,
            run: Box::new(run),
        });
    }
}

/// `log_sum_exp` of one row.
pub fn single_rows() -> Vec<Case> {
    let of_length = |n: usize| {
        let x = &input::logits(n);
        let tensor = peers::candle_tensor(x, n);
        let mut field = Field::new(1, check::log_sum_exp(x));
        field.add_backends(|backend, out| out[0] = backend.log_sum_exp(black_box(x)));
        field.add("naive_std", |out| out[0] = naive::log_sum_exp::<Std>(black_box(x)));
        field.add("naive_libm", |out| out[0] = naive::log_sum_exp::<Libm>(black_box(x)));
        field.add("wide's exp", |out| out[0] = peers::wide_log_sum_exp(black_box(x)));
        field.add("ndarray", |out| out[0] = peers::ndarray_log_sum_exp(black_box(x)));
        field.add("candle", |out| out[0] = peers::candle_log_sum_exp(black_box(&tensor))[0]);
        case("log_sum_exp", n.to_string(), n, n, field.contenders)
    };
    LENGTHS.into_iter().map(of_length).collect()
}

/// `log_sum_exp_rows` of rows of a few classes, and the same rows one call each.
pub fn short_rows() -> Vec<Case> {
    let of_classes = |classes: usize| {
        let n = SHORT_ROWS * classes;
        let x = &input::logits(n);
        let mut field = Field::new(SHORT_ROWS, check::log_sum_exp(&x[..classes]));
        field.add_backends(|backend, out| {
            let rows = Rows::new(black_box(x), SHORT_ROWS, classes).expect("the length fits");
            backend.log_sum_exp_rows(rows, out).expect("one for each row");
        });
        field.add("one by one", |out| {
            let backend = Backend::detected();
            for (x, out) in black_box(x).chunks_exact(classes).zip(out) {
                *out = backend.log_sum_exp(x);
            }
        });
        field.add("naive_std", |out| {
            for (x, out) in black_box(x).chunks_exact(classes).zip(out) {
                *out = naive::log_sum_exp::<Std>(x);
            }
        });
        let size = format!("{SHORT_ROWS}x{classes}");
        case("log_sum_exp_rows", size, classes, n, field.contenders)
    };
    CLASSES.into_iter().map(of_classes).collect()
}

/// The losses and softmax of many rows.
pub fn batches() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n_rows, classes) in SHAPES {
        let n = n_rows * classes;
        let add = |operation, field: Field<'_>| {
            case(operation, format!("{n_rows}x{classes}"), classes, n, field.contenders)
        };
        let (x, labels) = (&input::logits(n), &input::labels(n_rows, classes));
        let rows = Rows::new(x, n_rows, classes).expect("the length fits");
        {
            let (tensor, of_tensor) =
                (peers::candle_tensor(x, classes), peers::candle_labels(labels));
            let mut field = Field::new(n_rows, check::cross_entropy(x, classes, labels));
            field.add_backends(|backend, out| {
                let loss = CrossEntropy::new().backend(backend);
                loss.rows(black_box(rows), &labels[..], out).expect("one for each row");
            });
            field.add("naive_std", |out| {
                naive::cross_entropy::<Std>(black_box(x), classes, labels, out)
            });
            field.add("naive_libm", |out| {
                naive::cross_entropy::<Libm>(black_box(x), classes, labels, out)
            });
            field.add("rten-vecmath", |out| {
                let scratch = &mut vec![0.0; classes];
                peers::rten_cross_entropy(black_box(x), classes, labels, scratch, out);
            });
            field.add_unchecked("candle", || {
                black_box(peers::candle_cross_entropy(black_box(&tensor), &of_tensor));
            });
            cases.push(add("cross_entropy", field));
        }
        {
            let mut field = Field::new(n, check::cross_entropy_gradient(x, classes, labels));
            field.add_backends(|backend, out| {
                let loss = CrossEntropy::new().backend(backend);
                loss.gradient(black_box(rows), &labels[..], Reduction::Sum, out)
                    .expect("the lengths fit");
            });
            field.add("naive_std", |out| {
                naive::cross_entropy_gradient::<Std>(black_box(x), classes, labels, out);
            });
            let mut in_place = x.clone();
            field.add_unchecked("in place", move || {
                CrossEntropy::new()
                    .gradient_in_place(
                        black_box(&mut in_place),
                        n_rows,
                        classes,
                        &labels[..],
                        Reduction::Sum,
                    )
                    .expect("the lengths fit");
            });
            field.add_unchecked("log_sum_exp_rows", {
                let mut out = vec![0.0; n_rows];
                move || log_sum_exp_rows(black_box(rows), &mut out).expect("one for each row")
            });
            cases.push(add("cross_entropy_gradient", field));
        }
        {
            let mut field = Field::new(n, check::softmax(x, classes));
            field.add_backends(|backend, out| {
                backend.softmax_rows(black_box(rows), out).expect("the lengths fit");
            });
            field.add("naive_std", |out| naive::softmax::<Std>(black_box(x), classes, out));
            field.add("rten-vecmath", |out| peers::rten_softmax(black_box(x), classes, out));
            let tensor = peers::candle_tensor(x, classes);
            field.add_unchecked("candle", move || {
                black_box(peers::candle_softmax(black_box(&tensor)));
            });
            cases.push(add("softmax", field));
        }
        {
            let (p, y) = (&input::probs(n, classes), &input::distributions(n, classes));
            let mut field = Field::new(n_rows, check::clipped_cross_entropy(p, classes, y));
            field.add_backends(|backend, out| {
                let [p, y] =
                    [p, y].map(|x| Rows::new(x, n_rows, classes).expect("the length fits"));
                let loss = ClippedCrossEntropy::new().backend(backend);
                loss.rows(black_box(p), y, out).expect("the lengths fit");
            });
            field.add("naive_std", |out| {
                naive::clipped_cross_entropy::<Std>(black_box(p), classes, y, out)
            });
            cases.push(add("clipped_cross_entropy", field));
        }
        {
            let y = &input::indicators(n);
            let mut field = Field::new(n, check::binary_cross_entropy(x, y));
            field.add_backends(|backend, out| {
                let y = Rows::new(y, n_rows, classes).expect("the length fits");
                let loss = BinaryCrossEntropy::new().backend(backend);
                loss.rows(black_box(rows), y, out).expect("the lengths fit");
            });
            field.add("naive_std", |out| naive::binary_cross_entropy::<Std>(black_box(x), y, out));
            cases.push(add("binary_cross_entropy", field));
        }
    }
    cases
}

/// `xent-std`'s functions as they are called, from a thread of the program's, and core's on that thread alone.
pub fn threads() -> Vec<Case> {
    let mut cases = Vec::new();
    for n in (10..=24).step_by(2).map(|bits| 1_usize << bits) {
        let x = &input::logits(n);
        let rows = Rows::new(x, n / 16, 16).expect("the length fits");
        let mut one_row = Field::new(1, check::log_sum_exp(x));
        one_row.add(ONE_THREAD, |out| out[0] = log_sum_exp(black_box(x)));
        one_row.add(ALL_THREADS, |out| out[0] = parallel_log_sum_exp(black_box(x)));
        cases.push(case("parallel_log_sum_exp", n.to_string(), n, n, one_row.contenders));
        let mut many = Field::new(n / 16, check::log_sum_exp(&x[..16]));
        many.add(ONE_THREAD, |out| {
            // The results in a new Vec too.
            let mut losses = vec![0.0; out.len()];
            log_sum_exp_rows(black_box(rows), &mut losses).expect("one for each row");
            out[0] = black_box(losses)[0];
        });
        many.add(ALL_THREADS, |out| out[0] = batch_log_sum_exp(black_box(rows))[0]);
        cases.push(case("batch_log_sum_exp of rows of 16", n.to_string(), n, n, many.contenders));
    }
    cases
}
