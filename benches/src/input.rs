//! Inputs: the same at every run, on every machine.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// Numbers in [0, 1), the same for the same seed.
fn uniform(seed: u64, n: usize) -> impl Iterator<Item = f32> {
    Xoshiro256PlusPlus::seed_from_u64(seed).random_iter().take(n)
}

/// `n` logits in [-4, 4): no loss is so small that the naive loops lose it.
#[must_use]
pub fn logits(n: usize) -> Vec<f32> {
    uniform(1, n).map(|u| 8.0 * u - 4.0).collect()
}

/// Probabilities of `classes` each: positive, every row near a sum of 1.
#[must_use]
pub fn probs(n: usize, classes: usize) -> Vec<f32> {
    let scale = 2.0 / classes as f32;
    uniform(2, n).map(|u| scale * (0.001 + 0.998 * u)).map(|p| p.min(0.99)).collect()
}

/// Target distributions of `classes` each: positive, every row near a sum of 1.
#[must_use]
pub fn distributions(n: usize, classes: usize) -> Vec<f32> {
    let scale = 2.0 / classes as f32;
    uniform(3, n).map(|u| scale * u).collect()
}

/// `n` targets that are 0 or 1.
#[must_use]
pub fn indicators(n: usize) -> Vec<f32> {
    uniform(4, n).map(f32::round).collect()
}

/// `n` labels, as 64-bit integers, which is what frameworks have.
#[must_use]
pub fn labels(n: usize, classes: usize) -> Vec<i64> {
    uniform(5, n).map(|u| (u * classes as f32) as i64).map(|l| l.min(classes as i64 - 1)).collect()
}

/// `n` weights around 1, and one of 0.
#[must_use]
pub fn weights(n: usize) -> Vec<f32> {
    let mut weights: Vec<f32> = uniform(6, n).map(|u| 0.5 + u).collect();
    weights[n / 2] = 0.0;
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_repeat_and_stay_in_their_ranges() {
        assert_eq!(logits(100), logits(100));
        assert!(logits(10_000).iter().all(|x| (-4.0..4.0).contains(x)));
        for classes in [1, 2, 10, 1000] {
            assert!(probs(10_000, classes).iter().all(|p| (0.0..1.0).contains(p) && *p > 0.0));
            assert!(labels(10_000, classes).iter().all(|l| (0..classes as i64).contains(l)));
        }
        let ones = indicators(10_000).iter().filter(|&&y| y == 1.0).count();
        assert!(indicators(10_000).iter().all(|&y| y == 0.0 || y == 1.0));
        assert!((4_000..6_000).contains(&ones));
        let sum: f32 = distributions(1000, 1000).iter().sum();
        assert!((sum - 1.0).abs() < 0.1);
    }
}
