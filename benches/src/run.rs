//! Contenders, shapes, and the loop over them.

use std::cell::LazyCell;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use xent_core::Backend;

use crate::check::{Expected, assert_results};

/// What is timed: a backend of the library, or a loop that a user would otherwise write.
#[derive(Clone, Copy, Debug)]
pub enum Contender {
    /// The library on a backend.
    Backend(Backend),
    /// Plain f32 over std's `exp` and `ln`.
    NaiveStd,
    /// Plain f32 over libm's.
    NaiveLibm,
}

impl Contender {
    /// The backends of this CPU, then the loops.
    pub fn all() -> impl Iterator<Item = Contender> {
        Backend::all().map(Contender::Backend).chain([Contender::NaiveStd, Contender::NaiveLibm])
    }

    /// As it stands in an id.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Contender::Backend(backend) => backend.name(),
            Contender::NaiveStd => "naive_std",
            Contender::NaiveLibm => "naive_libm",
        }
    }
}

/// Rows and classes.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The number of rows.
    pub rows: usize,
    /// The number of classes.
    pub classes: usize,
}

impl Shape {
    /// What the losses and softmax are timed on: a row of firmware, a batch of a small classifier,
    /// ImageNet's classes, two vocabularies, and the second of them from DRAM.
    pub const ALL: [Shape; 7] = [
        Shape { rows: 1, classes: 10 },
        Shape { rows: 1, classes: 64 },
        Shape { rows: 4096, classes: 10 },
        Shape { rows: 1024, classes: 1000 },
        Shape { rows: 64, classes: 32_000 },
        Shape { rows: 16, classes: 128_256 },
        Shape { rows: 256, classes: 128_256 },
    ];

    /// Rows times classes.
    #[must_use]
    pub const fn n_elements(self) -> usize {
        self.rows * self.classes
    }

    /// As it stands in an id.
    #[must_use]
    pub fn name(self) -> String {
        format!("{}x{}", self.rows, self.classes)
    }
}

/// Half a second to warm up and two to measure for each id; the command line can change it.
#[must_use]
pub fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50)
        .configure_from_args()
}

/// Times every contender on inputs of one size, `n_elements` of them, under the ids
/// `operation/contender/size`.
///
/// `input` makes the inputs and `expected` some of their results, once, and only if an id is asked
/// for. `run` computes into the output of `n_outputs` elements; it is checked before it is timed.
pub fn bench<I>(
    c: &mut Criterion,
    operation: &str,
    size: &str,
    shape: [usize; 2],
    input: impl Fn() -> I,
    expected: impl Fn(&I) -> Vec<Expected>,
    run: impl Fn(Contender, &I, &mut [f32]),
) {
    bench_all(c, Contender::all(), operation, size, shape, input, expected, run);
}

/// As [`bench()`], without the loops: for what has no textbook loop.
pub fn bench_backends<I>(
    c: &mut Criterion,
    operation: &str,
    size: &str,
    shape: [usize; 2],
    input: impl Fn() -> I,
    expected: impl Fn(&I) -> Vec<Expected>,
    run: impl Fn(Backend, &I, &mut [f32]),
) {
    let contenders = Backend::all().map(Contender::Backend);
    bench_all(c, contenders, operation, size, shape, input, expected, |contender, i, out| {
        if let Contender::Backend(backend) = contender {
            run(backend, i, out);
        }
    });
}

#[expect(clippy::too_many_arguments, reason = "those of its two callers, and the contenders")]
fn bench_all<I>(
    c: &mut Criterion,
    contenders: impl Iterator<Item = Contender>,
    operation: &str,
    size: &str,
    [n_elements, n_outputs]: [usize; 2],
    input: impl Fn() -> I,
    expected: impl Fn(&I) -> Vec<Expected>,
    run: impl Fn(Contender, &I, &mut [f32]),
) {
    /// From here on a run takes milliseconds.
    const LARGE: usize = 1_000_000;
    let input = LazyCell::new(input);
    let expected = LazyCell::new(|| expected(&input));
    let mut group = c.benchmark_group(operation);
    group.throughput(Throughput::Elements(n_elements as u64));
    if n_elements >= LARGE {
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
    }
    for contender in contenders {
        let mut checked_output = None;
        group.bench_function(BenchmarkId::new(contender.name(), size), |bencher| {
            let output = checked_output.get_or_insert_with(|| {
                // NaN: what is not written fails the check.
                let mut output = vec![f32::NAN; n_outputs];
                run(contender, &input, &mut output);
                assert_results(contender, &output, &expected);
                output
            });
            bencher.iter(|| {
                run(contender, black_box(&input), output);
                black_box(&mut *output);
            });
        });
    }
    group.finish();
}
