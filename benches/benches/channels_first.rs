//! What do rows cost whose classes are apart, the pixels of images `N, C, H, W`?
//!
//! The ids are `channels_first/operation/layout/classes x pixels`: the same rows in both layouts.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use xent_benches::{criterion, input};
use xent_core::{
    BinaryCrossEntropy, ClippedCrossEntropy, CrossEntropy, Distillation, RowStatistics, Rows,
    entropy_rows, kl_divergence_rows, log_sum_exp_rows, row_statistics_rows, softmax_rows,
};

const IMAGES: usize = 4;

/// Classes, and pixels of an image: of a segmentation, and of a feature map over ImageNet's classes.
const SHAPES: [[usize; 2]; 3] = [[21, 64 * 64], [150, 32 * 32], [1000, 16 * 16]];

/// What the operations write to.
struct Output {
    rows: Vec<f32>,
    elements: Vec<f32>,
    statistics: Vec<RowStatistics>,
}

struct Input {
    classes: usize,
    pixels: usize,
    labels: Vec<i64>,
    logits: Vec<f32>,
    others: Vec<f32>,
    probs: Vec<f32>,
    distributions: Vec<f32>,
}

impl Input {
    fn new([classes, pixels]: [usize; 2]) -> Self {
        let n = IMAGES * classes * pixels;
        let mut others = input::logits(n);
        others.reverse();
        Input {
            classes,
            pixels,
            labels: input::labels(IMAGES * pixels, classes),
            logits: input::logits(n),
            others,
            probs: input::probs(n, classes),
            distributions: input::distributions(n, classes),
        }
    }

    fn rows<'a>(&self, data: &'a [f32], layout: &str) -> Rows<'a> {
        match layout {
            "channels_first" => Rows::channels_first(data, IMAGES, self.classes, self.pixels),
            _ => Rows::new(data, IMAGES * self.pixels, self.classes),
        }
        .expect("the length fits")
    }
}

type Operation = fn(&Input, &str, &mut Output) -> Result<(), xent_core::Error>;

const OPERATIONS: [(&str, Operation); 10] = [
    ("log_sum_exp", |i, l, out| log_sum_exp_rows(i.rows(&i.logits, l), &mut out.rows)),
    ("softmax", |i, l, out| softmax_rows(i.rows(&i.logits, l), &mut out.elements)),
    ("cross_entropy", |i, l, out| {
        CrossEntropy::new().rows(i.rows(&i.logits, l), &i.labels[..], &mut out.rows)
    }),
    ("label_smoothing", |i, l, out| {
        let loss = CrossEntropy::new().label_smoothing(0.1);
        loss.rows(i.rows(&i.logits, l), &i.labels[..], &mut out.rows)
    }),
    ("statistics", |i, l, out| {
        row_statistics_rows(i.rows(&i.logits, l), &i.labels[..], &mut out.statistics)
    }),
    ("clipped_cross_entropy", |i, l, out| {
        let loss = ClippedCrossEntropy::new();
        loss.rows(i.rows(&i.probs, l), i.rows(&i.distributions, l), &mut out.rows)
    }),
    ("binary_cross_entropy", |i, l, out| {
        let loss = BinaryCrossEntropy::new();
        loss.rows(i.rows(&i.logits, l), i.rows(&i.probs, l), &mut out.elements)
    }),
    ("entropy", |i, l, out| entropy_rows(i.rows(&i.probs, l), &mut out.rows)),
    ("kl_divergence", |i, l, out| {
        kl_divergence_rows(i.rows(&i.probs, l), i.rows(&i.distributions, l), &mut out.rows)
    }),
    ("distillation", |i, l, out| {
        Distillation::new().rows(i.rows(&i.logits, l), i.rows(&i.others, l), &mut out.rows)
    }),
];

fn channels_first(c: &mut Criterion) {
    for shape in SHAPES {
        let input = Input::new(shape);
        let n = input.logits.len();
        let n_rows = input.labels.len();
        let mut output = Output {
            rows: vec![0.0; n_rows],
            elements: vec![0.0; n],
            statistics: vec![RowStatistics::NAN; n_rows],
        };
        for (operation, run) in OPERATIONS {
            let mut group = c.benchmark_group(format!("channels_first/{operation}"));
            group.throughput(Throughput::Elements(n as u64));
            for layout in ["channels_first", "contiguous"] {
                let size = format!("{}x{}", shape[0], shape[1]);
                group.bench_function(BenchmarkId::new(layout, size), |bencher| {
                    bencher.iter(|| {
                        run(black_box(&input), layout, &mut output).expect("the lengths fit");
                        black_box(&mut output);
                    });
                });
            }
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = channels_first
}
criterion_main!(benches);
