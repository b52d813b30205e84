//! Calls every public function of `xent-core`, with a panic handler that nothing defines the end of:
//! it links only if the optimiser removed every panic. A WebAssembly module has an import then.
#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "calls a function that does not exist, where a panic would")]

use core::panic::PanicInfo;

#[cfg_attr(target_arch = "wasm32", link(wasm_import_module = "host"))]
unsafe extern "C" {
    fn a_panic_is_left() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: it is never called: a program that could does not link, or is not accepted.
    unsafe { a_panic_is_left() }
}

// SAFETY: no other function of this name is linked.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
fn main() -> ! {
    xent_no_panic::call_everything();
    #[cfg(feature = "panic")]
    core::hint::black_box(core::hint::black_box(&[0.0_f32][..])[core::hint::black_box(0)]);
    loop {
        core::hint::spin_loop();
    }
}
