//! The summation tree by itself.

use std::println;
use std::vec::Vec;

use super::clipped::Normalizer;
use super::log_sum_exp::BlockState;
use super::tree::{BLOCK, CHUNK, GROUP, Term, TreeSum, block_sum, block_sum_by_lane};
use crate::isa::scalar::Scalar;
use crate::math::pair::Pair;
use crate::{Backend, LogSumExp, accuracy};

struct Itself;

impl Term<Scalar> for Itself {
    const PAD: (f32, f32) = (0.0, 0.0);

    fn of(&mut self, _: Scalar, x: f32, _: f32) -> f32 {
        x
    }
}

#[test]
fn lanes_one_by_one_give_the_bits_of_all_at_once() {
    // Miri is thousands of times slower.
    for n in (0..=BLOCK).step_by(if cfg!(miri) { 37 } else { 1 }) {
        let x: Vec<f32> = (0..n).map(|i| ((i * 7919 + n) % 1009) as f32 * 0.013 + 1e-3).collect();
        let wanted = block_sum(Scalar, &x, &x, &mut Itself);
        assert_eq!(block_sum_by_lane(Scalar, &x, &x, &mut Itself), wanted, "{n} elements");
    }
}

#[test]
fn a_short_row_has_the_state_of_its_block() {
    for backend in Backend::all() {
        for n in (0..2 * GROUP).step_by(if cfg!(miri) { 29 } else { 1 }) {
            let at = |i| ((i * 7919 + n) % 1009) as f32 * 0.013 - 7.0;
            // What is not finite, ties of the maximum, and a zero of either sign as the maximum.
            for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 9.0, 0.0, -0.0] {
                let is_zero = special == 0.0;
                let mut x: Vec<f32> =
                    (0..n).map(|i| if is_zero { at(i).min(-1.0) } else { at(i) }).collect();
                for place in [n / 3, n.saturating_sub(1)] {
                    if let Some(x) = x.get_mut(place) {
                        *x = special;
                    }
                    let mut block = BlockState::EMPTY;
                    backend.lse_push(&mut block, &x);
                    let bits = |state: LogSumExp| {
                        let sum = state.scaled_sum();
                        [state.max().to_bits(), sum.hi.to_bits(), sum.lo.to_bits()]
                    };
                    let (got, wanted) = (bits(backend.lse_state(&x)), bits(block.state()));
                    assert_eq!(got, wanted, "{backend:?}: {n} elements, {special} at {place}");
                }
            }
        }
    }
}

#[test]
fn blocks_that_are_pushed_have_the_state_of_the_row() {
    // Where chunks end shows in the pair, though in no f32. Miri is thousands of times slower.
    let n = if cfg!(miri) { 100 } else { 2 * CHUNK + 3 * BLOCK + 5 };
    let x: Vec<f32> = (0..n).map(|i| (i * 7919 % 100_003) as f32 * 1e-5).collect();
    for backend in Backend::all() {
        let wanted = backend.lse_state(&x);
        for step in [BLOCK, 5 * BLOCK, x.len()] {
            let mut blocks = BlockState::EMPTY;
            for x in x.chunks(step) {
                backend.lse_push(&mut blocks, x);
            }
            let got = blocks.state();
            assert_eq!(got.max(), wanted.max());
            assert_eq!(got.scaled_sum(), wanted.scaled_sum(), "{backend:?}, {step} at a time");
        }
    }
}

#[test]
fn sums_of_blocks_add_up_within_their_chunk() {
    // The order shows in the low parts, though in no f32.
    let blocks: Vec<Pair> = (1..3 * CHUNK / BLOCK + 7)
        .map(|i| Pair::sum((i * 7919 % 1009) as f32, i as f32 * 1e-5))
        .collect();
    let sum_of = |pairs: &[Pair]| pairs.iter().fold(Pair::ZERO, |sum, &pair| sum.add(pair));
    // Miri is thousands of times slower.
    for n in (0..=blocks.len()).step_by(if cfg!(miri) { 66 } else { 1 }) {
        let mut sum = TreeSum::EMPTY;
        blocks[..n].iter().for_each(|&block| sum.push(block));
        let chunks: Vec<Pair> = blocks[..n].chunks(CHUNK / BLOCK).map(sum_of).collect();
        assert_eq!(sum.value(), sum_of(&chunks), "{n} blocks");
    }
}

#[test]
fn a_sum_carries_the_two_roundings_of_its_group_and_no_more() {
    // Equal terms: every lane makes the same errors, and the ends of short groups make others.
    let mut worst = 0.0;
    for n in [5, 37, 100, 511, 777, BLOCK - 1] {
        for step in 0..if cfg!(miri) { 1 } else { 400 } {
            let term = 1.0 + step as f32 * 0.002_497;
            let mut x: Vec<f32> = std::vec![term; n + 1];
            x[n / 2] = 4.0; // the maximum, which is left out
            let want = f64::from(term) * n as f64;
            for backend in Backend::all() {
                let mut normalizer = Normalizer::new(4.0);
                backend.normalizer_push(&mut normalizer, &x);
                let (got, _) = normalizer.sums();
                let error = (f64::from(got) / want - 1.0).abs() / accuracy::ULP;
                // Two roundings of half an ULP, which never all go one way with the last to an f32.
                assert!(error <= 1.0, "{backend:?}: {n} times {term} is {got}, off by {error} ULP");
                worst = f64::max(worst, error);
            }
        }
    }
    println!("block_sum: at most {worst:.3} ULP");
}
