//! Calls `log_sum_exp` of 1,000 elements for an emulator that counts: `BACKEND CALLS`. Without arguments,
//! the names of the backends of this CPU.

use std::hint::black_box;

use xent_core::Backend;
use xent_vectors::{Case, Inputs, Operation, Row};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [backend, calls] = &arguments[..] else {
        return Backend::all().for_each(|backend| println!("{}", backend.name()));
    };
    // Not `expect`, which would format the error.
    let Ok(backend) = Backend::by_name(backend) else { panic!("no backend {backend} on this CPU") };
    let classes = 1000;
    let mut inputs = Inputs::EMPTY;
    inputs.fill(&Case { operation: Operation::LogSumExp, row: Row::Wide, n_rows: 1, classes });
    for _ in 0..calls.parse::<usize>().expect("a number of calls") {
        black_box(backend.log_sum_exp(black_box(&inputs.x[..classes])));
    }
}
