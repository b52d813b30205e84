//! Classifies a few rows of logits on a Cortex-M, and prints class, confidence and loss of each.
//!
//! The logits are those of five digits in the held-out data of xent-std's example `evaluate`, whose
//! README has their source and licence.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use panic_semihosting as _; // of hprintln!: xent-core does not panic
use xent_core::{Error, LossTotal, row_statistics};

/// The digit, and what a network of one hidden layer made of it: a logit for each class.
static DIGITS: [(u8, [f32; 10]); 5] = [
    (0, [10.89, -7.216, -4.628, -5.546, -1.301, -1.577, -2.069, 0.065, -2.977, -1.618]),
    (1, [-6.787, 11.988, -3.526, -3.428, -0.355, -4.707, -2.212, -2.361, 1.759, -5.869]),
    (2, [-4.396, 2.255, 8.197, -7.185, -1.487, -10.603, -1.949, -3.418, 2.646, -8.482]),
    (3, [-7.004, -2.983, -0.123, 10.063, -4.653, -1.977, -5.994, -2.746, -2.491, -0.739]),
    (5, [-4.527, -0.631, -6.64, 0.466, -5.12, -1.412, -5.627, -4.768, -2.89, 6.299]),
];

#[entry]
fn main() -> ! {
    let status = match classify() {
        Ok(()) => debug::EXIT_SUCCESS,
        Err(error) => {
            hprintln!("{}", error);
            debug::EXIT_FAILURE
        }
    };
    loop {
        debug::exit(status); // Ends QEMU; a debugger stops here.
    }
}

fn classify() -> Result<(), Error> {
    let mut total = LossTotal::EMPTY;
    hprintln!("digit  class  confidence  loss");
    for (digit, logits) in &DIGITS {
        // All in one reading of the row; for a loss alone there is CrossEntropy::new().row.
        let row = row_statistics(logits, *digit)?;
        let (class, confidence) = (row.argmax(), row.max_probability());
        hprintln!("{:5}  {:5}  {:10.6}  {:e}", digit, class, confidence, row.loss());
        total.push(row.loss(), 1.0);
    }
    hprintln!("mean loss {:.6}", total.mean());
    Ok(())
}
