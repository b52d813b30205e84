//! How fast is cross-entropy from probabilities: with distributions, and with labels of rows that are
//! normalised?
//!
//! With labels of rows as they are it reads one element a row, which is nothing to time.

use criterion::{Criterion, criterion_group, criterion_main};
use xent_benches::naive::{self, Libm, Std};
use xent_benches::{Contender, Shape, bench, check, criterion, input};
use xent_core::{ClippedCrossEntropy, Rows};

struct Dense {
    probs: Vec<f32>,
    targets: Vec<f32>,
}

fn clipped_cross_entropy(c: &mut Criterion) {
    for shape in Shape::ALL {
        let Shape { rows, classes } = shape;
        let n = shape.n_elements();
        let input =
            || Dense { probs: input::probs(n, classes), targets: input::distributions(n, classes) };
        let expected = |i: &Dense| check::clipped_cross_entropy(&i.probs, classes, &i.targets);
        let operation = "clipped_cross_entropy";
        bench(c, operation, &shape.name(), [n, rows], input, expected, |contender, i, out| {
            let Dense { probs: p, targets: y } = i;
            match contender {
                Contender::Backend(backend) => {
                    let loss = ClippedCrossEntropy::new().backend(backend);
                    let y = Rows::new(y, rows, classes).expect("the length fits");
                    Rows::new(p, rows, classes)
                        .and_then(|p| loss.rows(p, y, out))
                        .expect("the lengths fit");
                }
                Contender::NaiveStd => naive::clipped_cross_entropy::<Std>(p, classes, y, out),
                Contender::NaiveLibm => naive::clipped_cross_entropy::<Libm>(p, classes, y, out),
            }
        });
    }
}

struct Labelled {
    probs: Vec<f32>,
    labels: Vec<i64>,
}

fn normalized_cross_entropy(c: &mut Criterion) {
    for shape in Shape::ALL {
        let Shape { rows, classes } = shape;
        let n = shape.n_elements();
        let input =
            || Labelled { probs: input::probs(n, classes), labels: input::labels(rows, classes) };
        let expected = |i: &Labelled| check::normalized_cross_entropy(&i.probs, classes, &i.labels);
        let operation = "normalized_cross_entropy";
        bench(c, operation, &shape.name(), [n, rows], input, expected, |contender, i, out| {
            let Labelled { probs: p, labels } = i;
            match contender {
                Contender::Backend(backend) => {
                    let loss = ClippedCrossEntropy::new().backend(backend).normalize(true);
                    Rows::new(p, rows, classes)
                        .and_then(|p| loss.rows(p, &labels[..], out))
                        .expect("the lengths and labels fit");
                }
                Contender::NaiveStd => {
                    naive::normalized_cross_entropy::<Std>(p, classes, labels, out);
                }
                Contender::NaiveLibm => {
                    naive::normalized_cross_entropy::<Libm>(p, classes, labels, out);
                }
            }
        });
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = clipped_cross_entropy, normalized_cross_entropy
}
criterion_main!(benches);
