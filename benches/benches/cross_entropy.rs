//! How fast is cross-entropy from logits with labels?

use criterion::{Criterion, criterion_group, criterion_main};
use xent_benches::naive::{self, Libm, Std};
use xent_benches::{Contender, Shape, bench, check, criterion, input};
use xent_core::{CrossEntropy, Rows};

struct Input {
    logits: Vec<f32>,
    labels: Vec<i64>,
}

fn cross_entropy(c: &mut Criterion) {
    for shape in Shape::ALL {
        let Shape { rows, classes } = shape;
        let n = shape.n_elements();
        let input = || Input { logits: input::logits(n), labels: input::labels(rows, classes) };
        let expected = |i: &Input| check::cross_entropy(&i.logits, classes, &i.labels);
        bench(
            c,
            "cross_entropy",
            &shape.name(),
            [n, rows],
            input,
            expected,
            |contender, i, out| {
                let Input { logits, labels } = i;
                match contender {
                    Contender::Backend(backend) => {
                        let loss = CrossEntropy::new().backend(backend);
                        Rows::new(logits, rows, classes)
                            .and_then(|x| loss.rows(x, &labels[..], out))
                            .expect("the lengths and labels fit");
                    }
                    Contender::NaiveStd => {
                        naive::cross_entropy::<Std>(logits, classes, labels, out);
                    }
                    Contender::NaiveLibm => {
                        naive::cross_entropy::<Libm>(logits, classes, labels, out);
                    }
                }
            },
        );
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = cross_entropy
}
criterion_main!(benches);
