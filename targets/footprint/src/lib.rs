//! The frame of the programs: what each of them does but for the one call that is measured.
//!
//! A program takes its own measure while QEMU runs it, and prints hexadecimal numbers, so that the
//! frame needs no division: the flash and the static RAM that it occupies, and for slices of
//! [`LENGTHS`] the instructions of the call and the stack under it. Nothing here is called by
//! `xent-core` too (no `memset`, no formatting): less the empty program, the flash is that of the call.

#![no_std]

use core::arch::asm;
use core::hint::black_box;
use core::ptr::{read_volatile, write_volatile};

/// Elements of the slices that a program is measured with.
pub const LENGTHS: [usize; 3] = [10, 37, 1000];

/// Makes a program of the function that is measured.
#[macro_export]
macro_rules! program {
    ($call:expr) => {
        #[unsafe(no_mangle)]
        extern "C" fn program() {
            $crate::measure($call);
        }
    };
}

/// Logits from -8 to 8 in steps of 1/64, in no order.
static LOGITS: [f32; 1000] = {
    let mut logits = [0.0; 1000];
    let mut i = 0;
    while i < logits.len() {
        logits[i] = ((i as u32).wrapping_mul(2_654_435_761) >> 22) as f32 / 64.0 - 8.0;
        i += 1;
    }
    logits
};

unsafe extern "C" {
    fn program();
    static flash_end: u8;
    static static_start: u8;
    static static_end: u8;
}

#[used]
#[unsafe(link_section = ".vectors")]
static RESET: extern "C" fn() -> ! = reset;

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    #[cfg(target_abi = "eabihf")]
    {
        const CPACR: *mut u32 = 0xe000_ed88 as *mut u32;
        // SAFETY: the architecture's register that grants access to the FPU, before its first use.
        unsafe { write_volatile(CPACR, 0xf << 20) };
        // SAFETY: barriers, after which the grant holds.
        unsafe { asm!("dsb", "isb") };
    }
    // SAFETY: `program!` defines it.
    unsafe { program() };
    semihosting(0x18, 0x2_0026); // SYS_EXIT, the application ended
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    semihosting(0x18, 0x2_0023); // SYS_EXIT, an error
    loop {
        core::hint::spin_loop();
    }
}

/// A request to the debugger, which QEMU is.
fn semihosting(operation: usize, argument: usize) {
    // SAFETY: the semihosting call of M-profile cores; the requests made here write no memory.
    unsafe { asm!("bkpt 0xab", inout("r0") operation => _, in("r1") argument) };
}

/// One line: a name of at most 12 letters, and a number.
fn print(name: &str, number: usize) {
    for &c in name.as_bytes().iter().chain(b" 0x") {
        semihosting(0x03, &raw const c as usize); // SYS_WRITEC
    }
    for digit in (0..8).rev() {
        let c = b"0123456789abcdef"[(number >> (4 * digit)) & 15];
        semihosting(0x03, &raw const c as usize);
    }
    semihosting(0x03, b"\n".as_ptr() as usize);
}

/// Counts instructions: QEMU's `-icount shift=5` gives each 32 ns, the SysTick 40 ns a tick.
mod clock {
    use super::{read_volatile, write_volatile};

    const CONTROL: *mut u32 = 0xe000_e010 as *mut u32;
    const RELOAD: *mut u32 = 0xe000_e014 as *mut u32;
    const CURRENT: *mut u32 = 0xe000_e018 as *mut u32;
    const MAX: u32 = 0xff_ffff; // it counts down from here again and again: twenty million instructions

    pub(crate) fn start() {
        for (register, value) in [(RELOAD, MAX), (CURRENT, 0), (CONTROL, 0b101)] {
            // SAFETY: the SysTick's registers, which nothing else uses.
            unsafe { write_volatile(register, value) };
        }
    }

    pub(crate) fn now() -> u32 {
        // SAFETY: as in `start`; reading has no effect.
        unsafe { read_volatile(CURRENT) }
    }

    pub(crate) fn ticks(start: u32, end: u32) -> usize {
        (start.wrapping_sub(end) & MAX) as usize
    }
}

/// What no call leaves on the stack.
const PAINT: u32 = 0x5a5a_a5a5;
/// Bytes that are painted: more than the budget of any call.
const PAINTED: usize = 64 * 1024;

/// The stack that `call` needs: how far below this frame it has written.
#[inline(never)]
fn stack_under(call: fn(&[f32]) -> f32, x: &[f32]) -> usize {
    let top: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) top, options(nomem, nostack)) };
    let words = top / 4 - PAINTED / 4..top / 4;
    for word in words.clone() {
        // SAFETY: the stack below this frame, which calls nothing meanwhile; RAM is larger.
        unsafe { write_volatile((word * 4) as *mut u32, PAINT) };
    }
    black_box(call(x));
    let mut untouched = words.start;
    // SAFETY: as above.
    while untouched < words.end && unsafe { read_volatile((untouched * 4) as *const u32) } == PAINT
    {
        untouched += 1;
    }
    top - untouched * 4
}

/// Prints what the program occupies and what `call` takes.
#[inline(never)]
pub fn measure(call: fn(&[f32]) -> f32) {
    let (start, end) = (&raw const static_start as usize, &raw const static_end as usize);
    print("flash", &raw const flash_end as usize);
    print("static", end - start);
    clock::start();
    for n in LENGTHS {
        let (call, x) = black_box((call, LOGITS.get(..n).unwrap_or(&[])));
        print("elements", n);
        print("stack", stack_under(call, x));
        let start = clock::now();
        let value = call(x);
        let end = clock::now();
        print("ticks", clock::ticks(start, end));
        print("value", value.to_bits() as usize);
    }
}
