//! Checks the test vectors on every backend of a CPU without an operating system. QEMU ends with
//! status 0 if all have the expected bits.
#![no_std]
#![no_main]

use semihosting::{println, process};
use xent_core::Backend;

#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
/// Where the runtime begins.
fn main() -> ! {
    let detected = Backend::detected().name();
    println!("detected: {detected}");
    if detected != "scalar" {
        println!("there is no other on these CPUs");
        process::exit(1);
    }
    for backend in Backend::all() {
        match xent_vectors::check(backend) {
            Ok(n_cases) => println!("{}: {n_cases} cases passed", backend.name()),
            Err(failure) => {
                println!("{}: {failure}", backend.name());
                process::exit(1);
            }
        }
    }
    process::exit(0)
}
