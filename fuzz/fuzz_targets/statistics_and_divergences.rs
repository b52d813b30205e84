//! See `xent_fuzz::statistics_and_divergences`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xent_fuzz::statistics_and_divergences::check(data));
