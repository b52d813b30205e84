//! How fast is binary cross-entropy from logits?

use criterion::{Criterion, criterion_group, criterion_main};
use xent_benches::naive::{self, Libm, Std};
use xent_benches::{Contender, Shape, bench, check, criterion, input};
use xent_core::{BinaryCrossEntropy, Rows};

struct Input {
    logits: Vec<f32>,
    targets: Vec<f32>,
}

fn binary_cross_entropy(c: &mut Criterion) {
    for shape in Shape::ALL {
        let Shape { rows, classes } = shape;
        let n = shape.n_elements();
        let input = || Input { logits: input::logits(n), targets: input::indicators(n) };
        let expected = |i: &Input| check::binary_cross_entropy(&i.logits, &i.targets);
        let operation = "binary_cross_entropy";
        bench(c, operation, &shape.name(), [n, n], input, expected, |contender, i, out| {
            let Input { logits: x, targets: y } = i;
            match contender {
                Contender::Backend(backend) => {
                    let loss = BinaryCrossEntropy::new().backend(backend);
                    let y = Rows::new(y, rows, classes).expect("the length fits");
                    Rows::new(x, rows, classes)
                        .and_then(|x| loss.rows(x, y, out))
                        .expect("the lengths fit");
                }
                Contender::NaiveStd => naive::binary_cross_entropy::<Std>(x, y, out),
                Contender::NaiveLibm => naive::binary_cross_entropy::<Libm>(x, y, out),
            }
        });
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = binary_cross_entropy
}
criterion_main!(benches);
