//! See `xent_fuzz::binary_losses`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xent_fuzz::binary_losses::check(data));
