//! The log-sum-exp alone.
#![no_std]
#![no_main]

footprint::program!(xent_core::log_sum_exp);
