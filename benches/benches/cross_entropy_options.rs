//! What does each option of cross-entropy with labels cost, and what do all of them?

use criterion::{Criterion, criterion_group, criterion_main};
use xent_benches::{Shape, bench_backends, check, criterion, input};
use xent_core::reference::Options;
use xent_core::{Backend, CrossEntropy, Rows, Targets};

const SHAPES: [Shape; 3] = [
    Shape { rows: 4096, classes: 10 },
    Shape { rows: 1024, classes: 1000 },
    Shape { rows: 16, classes: 128_256 },
];

struct Input {
    logits: Vec<f32>,
    labels: Vec<i64>,
    class_weights: Vec<f32>,
    sample_weights: Vec<f32>,
}

type With = fn(CrossEntropy<'static>) -> CrossEntropy<'static>;

/// The options by themselves, and together: all that needs the classes once, the sum over all of
/// them, and what changes each logit.
const OPTIONS: [(&str, bool, With); 10] = [
    ("plain", false, |loss| loss),
    ("weights", true, |loss| loss.ignore(-1)),
    ("z_loss", false, |loss| loss.z_loss(1e-4)),
    ("focal", false, |loss| loss.focal(2.0)),
    ("focal_1_5", false, |loss| loss.focal(1.5)),
    ("label_smoothing", false, |loss| loss.label_smoothing(0.1)),
    ("temperature", false, |loss| loss.temperature(0.7)),
    ("soft_cap", false, |loss| loss.soft_cap(30.0)),
    ("all_of_labels", true, |loss| loss.ignore(-1).z_loss(1e-4).focal(2.0).focal_alpha(0.25)),
    ("all", true, |loss| {
        let loss = loss.ignore(-1).z_loss(1e-4).focal(2.0).focal_alpha(0.25);
        loss.label_smoothing(0.1).temperature(0.7).soft_cap(30.0)
    }),
];

fn loss_of<'w>(i: &'w Input, backend: Backend, weighted: bool, with: With) -> CrossEntropy<'w> {
    let loss = with(CrossEntropy::new().backend(backend));
    if weighted { loss.class_weights(&i.class_weights) } else { loss }
}

fn reference_of<'w>(i: &'w Input, name: &str, weighted: bool) -> Options<'w> {
    let mut options = Options::default();
    let (all_of_labels, all) = (name.starts_with("all"), name == "all");
    if weighted {
        options.class_weights = &i.class_weights;
    }
    if all_of_labels {
        options.focal_alpha = 0.25;
    }
    if all_of_labels || name == "z_loss" {
        options.z_loss = 1e-4;
    }
    if all_of_labels || name == "focal" {
        options.focal_gamma = 2.0;
    }
    if name == "focal_1_5" {
        options.focal_gamma = 1.5;
    }
    if all || name == "label_smoothing" {
        options.label_smoothing = 0.1;
    }
    if all || name == "temperature" {
        options.temperature = 0.7;
    }
    if all || name == "soft_cap" {
        options.soft_cap = 30.0;
    }
    options
}

fn cross_entropy_options(c: &mut Criterion) {
    for shape in SHAPES {
        let Shape { rows, classes } = shape;
        let n = shape.n_elements();
        for (name, weighted, with) in OPTIONS {
            let input = || Input {
                logits: input::logits(n),
                labels: input::labels(rows, classes),
                class_weights: input::weights(classes),
                sample_weights: input::weights(rows),
            };
            let expected = |i: &Input| {
                let weights = if weighted { &i.sample_weights[..] } else { &[] };
                let options = reference_of(i, name, weighted);
                check::cross_entropy_with(&i.logits, classes, &i.labels, weights, &options)
            };
            let size = format!("{name}/{}", shape.name());
            bench_backends(
                c,
                "cross_entropy_options",
                &size,
                [n, rows],
                input,
                expected,
                |backend, i, out| {
                    let loss = loss_of(i, backend, weighted, with);
                    let mut targets = Targets::labels(&i.labels);
                    if weighted {
                        targets = targets.with_sample_weights(&i.sample_weights);
                    }
                    Rows::new(&i.logits, rows, classes)
                        .and_then(|x| loss.rows(x, targets, out))
                        .expect("the lengths and labels fit");
                },
            );
        }
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = cross_entropy_options
}
criterion_main!(benches);
