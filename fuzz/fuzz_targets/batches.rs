//! See `xent_fuzz::batches`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xent_fuzz::batches::check(data));
