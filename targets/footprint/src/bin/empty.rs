//! Nothing: what the others are measured against.
#![no_std]
#![no_main]

footprint::program!(|_| 0.0);
