//! How fast are cross-entropy and its gradient together?

use criterion::{Criterion, criterion_group, criterion_main};
use xent_benches::naive::{self, Libm, Std};
use xent_benches::{Contender, Shape, bench, check, criterion, input};
use xent_core::{CrossEntropy, Reduction, Rows};

struct Input {
    logits: Vec<f32>,
    labels: Vec<i64>,
}

fn cross_entropy_gradient(c: &mut Criterion) {
    for shape in Shape::ALL {
        let Shape { rows, classes } = shape;
        let n = shape.n_elements();
        let input = || Input { logits: input::logits(n), labels: input::labels(rows, classes) };
        let expected = |i: &Input| check::cross_entropy_gradient(&i.logits, classes, &i.labels);
        bench(
            c,
            "cross_entropy_gradient",
            &shape.name(),
            [n, n],
            input,
            expected,
            |contender, i, out| {
                let Input { logits, labels } = i;
                match contender {
                    Contender::Backend(backend) => {
                        let loss = CrossEntropy::new().backend(backend);
                        Rows::new(logits, rows, classes)
                            .and_then(|x| loss.gradient(x, &labels[..], Reduction::Sum, out))
                            .expect("the lengths and labels fit");
                    }
                    Contender::NaiveStd => {
                        naive::cross_entropy_gradient::<Std>(logits, classes, labels, out);
                    }
                    Contender::NaiveLibm => {
                        naive::cross_entropy_gradient::<Libm>(logits, classes, labels, out);
                    }
                }
            },
        );
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = cross_entropy_gradient
}
criterion_main!(benches);
