//! See `xent_fuzz::log_sum_exp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xent_fuzz::log_sum_exp::check(data));
