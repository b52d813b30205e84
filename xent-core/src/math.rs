//! One file per elementary function on a vector, generic over the instruction set, and the
//! double-float arithmetic that carries the state of a reduction.

pub(crate) mod exp;
pub(crate) mod ln;
pub(crate) mod ln_1p;
pub(crate) mod ln_ratio;
pub(crate) mod pair;
pub(crate) mod power;
pub(crate) mod tanh;

#[cfg(test)]
mod tests;
