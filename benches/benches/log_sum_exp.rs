//! How fast is the log-sum-exp of one row, at which length?

use criterion::{Criterion, criterion_group, criterion_main};
use xent_benches::naive::{self, Libm, Std};
use xent_benches::{Contender, bench, check, criterion, input};

fn log_sum_exp(c: &mut Criterion) {
    for len in [10, 64, 1000, 32_000, 128_256] {
        let input = || input::logits(len);
        let expected = |x: &Vec<f32>| check::log_sum_exp(x);
        bench(
            c,
            "log_sum_exp",
            &len.to_string(),
            [len, 1],
            input,
            expected,
            |contender, x, out| {
                out[0] = match contender {
                    Contender::Backend(backend) => backend.log_sum_exp(x),
                    Contender::NaiveStd => naive::log_sum_exp::<Std>(x),
                    Contender::NaiveLibm => naive::log_sum_exp::<Libm>(x),
                };
            },
        );
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = log_sum_exp
}
criterion_main!(benches);
