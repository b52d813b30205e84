//! Links the firmware, into memory without any static RAM.

use std::env;
use std::fs;
use std::path::PathBuf;

const MEMORY: &str = r#"MEMORY {
  FLASH : ORIGIN = 0x00000000, LENGTH = 4M
  RAM : ORIGIN = 0x20000000, LENGTH = 4M
}
ASSERT(SIZEOF(.data) + SIZEOF(.bss) + SIZEOF(.uninit) == 0, "xent-core has static RAM");
"#;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let arm = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "arm");
    if arm && env::var_os("CARGO_FEATURE_FIRMWARE").is_some() {
        let folder = PathBuf::from(env::var("OUT_DIR").unwrap());
        fs::write(folder.join("memory.x"), MEMORY).unwrap();
        println!("cargo:rustc-link-search={}", folder.display());
        println!("cargo:rustc-link-arg-bins=-Tlink.x");
    }
}
