//! See `xent_fuzz::clipped_cross_entropy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xent_fuzz::clipped_cross_entropy::check(data));
