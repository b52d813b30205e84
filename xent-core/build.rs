//! Decides what no `cfg` of the compiler says: whether the scalar backend has code of its own for short rows.
//!
//! It has where speed is asked for, not size, and where the CPU adds and multiplies f32 itself: without that the
//! arithmetic takes the time. `src/isa/scalar.rs` has the figures.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(short_rows)");

    let variable = |name| env::var(name).unwrap_or_default();
    let target = variable("TARGET");
    let cpu = target.split('-').next().unwrap_or_default();
    let has_fpu = match variable("CARGO_CFG_TARGET_ARCH").as_str() {
        "arm" => variable("CARGO_CFG_TARGET_ABI") == "eabihf",
        // A stable compiler has no `cfg` of the extension F, but the name has it (riscv32imafc, riscv64gc), or is not
        // of a CPU that is short of flash.
        "riscv32" => cpu.trim_start_matches("riscv").contains(['f', 'g']),
        "avr" | "msp430" | "xtensa" => false,
        _ => true,
    };
    let for_size = matches!(variable("OPT_LEVEL").as_str(), "s" | "z");
    if has_fpu && !for_size {
        println!("cargo::rustc-cfg=short_rows");
    }
}
