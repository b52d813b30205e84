//! See `xent_fuzz::arrays`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xent_fuzz::arrays::check(data));
