//! Checks the test vectors on every backend of a WebAssembly build; `check.mjs` runs it.
#![no_std]
#![allow(unsafe_code, reason = "the names and calls at the border of a module")]

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use xent_core::Backend;

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Prints UTF-8 that lies in the memory of the module.
    fn print(text: *const u8, len: usize);
}

/// What the module runs in.
struct Host;

impl Write for Host {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: `text` is readable as long as the call lasts, and `print` keeps nothing.
        unsafe { print(text.as_ptr(), text.len()) };
        Ok(())
    }
}

/// Checks all vectors and prints; whether all have the expected bits.
// SAFETY: no other function of this name is linked.
#[unsafe(no_mangle)]
pub extern "C" fn check() -> bool {
    let mut passed = writeln!(Host, "detected: {}", Backend::detected().name()).is_ok();
    for backend in Backend::all() {
        let name = backend.name();
        passed &= match xent_vectors::check(backend) {
            Ok(n_cases) => writeln!(Host, "{name}: {n_cases} cases passed").is_ok(),
            Err(failure) => writeln!(Host, "{name}: {failure}").is_err(),
        };
    }
    passed
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // Nothing to do where it fails: the trap says the rest.
    let _ = writeln!(Host, "{info}");
    core::arch::wasm32::unreachable()
}
