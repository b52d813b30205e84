//! Writes `memory.x`, the flash and the RAM of the machine that QEMU emulates for the target.

use std::env;
use std::fs;
use std::path::PathBuf;

/// `FLASH` and `RAM` of the machine in `../.cargo/config.toml`.
fn memory(target: &str) -> &'static str {
    match target {
        // mps2-an386
        "thumbv7em-none-eabihf" => {
            "FLASH : ORIGIN = 0x00000000, LENGTH = 4M\n RAM : ORIGIN = 0x20000000, LENGTH = 4M"
        }
        // microbit, with more flash and RAM: everything at once is more than a firmware calls
        "thumbv6m-none-eabi" => {
            "FLASH : ORIGIN = 0x00000000, LENGTH = 1M\n RAM : ORIGIN = 0x20000000, LENGTH = 64K"
        }
        // mps2-an505
        "thumbv8m.main-none-eabihf" => {
            "FLASH : ORIGIN = 0x10000000, LENGTH = 4M\n RAM : ORIGIN = 0x38000000, LENGTH = 4M"
        }
        // virt
        "riscv32imac-unknown-none-elf" | "riscv32imafc-unknown-none-elf" => {
            "FLASH : ORIGIN = 0x80000000, LENGTH = 4M\n RAM : ORIGIN = 0x80400000, LENGTH = 4M"
        }
        _ => panic!("no machine for {target}"),
    }
}

/// Where riscv-rt puts its sections; cortex-m-rt knows.
const RISCV_REGIONS: &str = r#"REGION_ALIAS("REGION_TEXT", FLASH);
REGION_ALIAS("REGION_RODATA", FLASH);
REGION_ALIAS("REGION_DATA", RAM);
REGION_ALIAS("REGION_BSS", RAM);
REGION_ALIAS("REGION_HEAP", RAM);
REGION_ALIAS("REGION_STACK", RAM);
"#;

fn main() {
    let target = env::var("TARGET").unwrap();
    let folder = PathBuf::from(env::var("OUT_DIR").unwrap());
    let mut regions = "";
    if target.starts_with("riscv") {
        regions = RISCV_REGIONS;
        // cortex-m-rt's `link.x` reads it by itself.
        println!("cargo:rustc-link-arg-bins=-Tmemory.x");
    }
    let script = format!("MEMORY {{\n {}\n}}\n{regions}", memory(&target));
    fs::write(folder.join("memory.x"), script).unwrap();
    println!("cargo:rustc-link-search={}", folder.display());
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rerun-if-changed=build.rs");
}
