//! Calls every public function of `xent-core`, with a panic handler that nothing defines the end of:
//! it links only if the optimiser removed every panic.
#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "calls a function that does not exist, where a panic would")]

use core::panic::PanicInfo;

unsafe extern "C" {
    fn a_panic_is_left() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: it is never called: a program that could does not link.
    unsafe { a_panic_is_left() }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    xent_no_panic::call_everything();
    #[cfg(feature = "panic")]
    core::hint::black_box(core::hint::black_box(&[0.0_f32][..])[core::hint::black_box(0)]);
    loop {
        core::hint::spin_loop();
    }
}
