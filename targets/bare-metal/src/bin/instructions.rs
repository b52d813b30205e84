//! Calls `log_sum_exp` of 1,000 elements as often as the environment's `CALLS` said when it was built, for an emulator
//! that counts.
#![no_std]
#![no_main]

use core::hint::black_box;

use semihosting::{println, process};
use xent_core::Backend;
use xent_vectors::{Case, Inputs, Operation, Row};

const CLASSES: usize = 1000;

#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
/// Where the runtime begins.
fn main() -> ! {
    let mut inputs = Inputs::EMPTY;
    let case =
        Case { operation: Operation::LogSumExp, row: Row::Wide, n_rows: 1, classes: CLASSES };
    inputs.fill(&case);
    let calls = option_env!("CALLS").and_then(|calls| calls.parse().ok()).unwrap_or(1_usize);
    let backend = Backend::detected();
    for _ in 0..calls {
        black_box(backend.log_sum_exp(black_box(inputs.x.get(..CLASSES).unwrap_or_default())));
    }
    println!("{}", backend.name());
    process::exit(0)
}
