//! How fast is softmax to a buffer?

use criterion::{Criterion, criterion_group, criterion_main};
use xent_benches::naive::{self, Libm, Std};
use xent_benches::{Contender, Shape, bench, check, criterion, input};
use xent_core::Rows;

fn softmax(c: &mut Criterion) {
    for shape in Shape::ALL {
        let Shape { rows, classes } = shape;
        let n = shape.n_elements();
        let input = || input::logits(n);
        let expected = |x: &Vec<f32>| check::softmax(x, classes);
        bench(c, "softmax", &shape.name(), [n, n], input, expected, |contender, x, out| {
            match contender {
                Contender::Backend(backend) => Rows::new(x, rows, classes)
                    .and_then(|x| backend.softmax_rows(x, out))
                    .expect("the lengths fit"),
                Contender::NaiveStd => naive::softmax::<Std>(x, classes, out),
                Contender::NaiveLibm => naive::softmax::<Libm>(x, classes, out),
            }
        });
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = softmax
}
criterion_main!(benches);
