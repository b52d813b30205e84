//! The check of a result, before it is timed.

use xent_core::accuracy;
use xent_core::reference::{self, Options};

use crate::Contender;

/// At most so many results of a bench are compared: the reference is slow, and that the tail of every
/// length is right is the business of the tests.
const SAMPLES: usize = 16;

/// What the naive loops may be off by, relative.
const LOOSE: f64 = 1e-3;

/// A result as it should be: where it is, its value, the library's bound in ULP.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    index: usize,
    value: f64,
    ulp: f64,
}

/// Fails unless the results of `contender` are within the library's bounds, or near for a naive loop.
pub fn assert_results(contender: Contender, got: &[f32], expected: &[Expected]) {
    for &Expected { index, value, ulp } in expected {
        let bound = match contender {
            Contender::Backend(_) => ulp * accuracy::ULP,
            Contender::NaiveStd | Contender::NaiveLibm => LOOSE,
        };
        let distance = (f64::from(got[index]) - value).abs();
        assert!(
            distance <= bound * value.abs(),
            "{}: result {index} is {:e} instead of {value:e}, {:.2} ULP away",
            contender.name(),
            got[index],
            distance / (accuracy::ULP * value.abs())
        );
    }
}

/// The largest error among the results, in ULP of each.
#[must_use]
pub fn largest_error_ulp(got: &[f32], expected: &[Expected]) -> f64 {
    let errors = expected
        .iter()
        .map(|e| (f64::from(got[e.index]) - e.value).abs() / (accuracy::ULP * e.value.abs()));
    errors.fold(0.0, f64::max)
}

/// Up to [`SAMPLES`] indices below `n`, the first and the last among them.
fn samples(n: usize) -> impl Iterator<Item = usize> {
    let count = SAMPLES.min(n);
    (0..count).map(move |i| if count == 1 { 0 } else { i * (n - 1) / (count - 1) })
}

/// Of one row.
#[must_use]
pub fn log_sum_exp(x: &[f32]) -> Vec<Expected> {
    let value = reference::log_sum_exp(x);
    // Relative to the larger of both.
    let excess = reference::log_sum_exp_excess(x) / value.abs();
    let ulp = accuracy::LOG_SUM_EXP * excess.max(1.0) + reference::mean_distance(x) / 2.0 * excess;
    vec![Expected { index: 0, value, ulp }]
}

/// Of an element in some rows.
#[must_use]
pub fn softmax(x: &[f32], classes: usize) -> Vec<Expected> {
    let expected = |index: usize| {
        let row = &x[index / classes * classes..][..classes];
        let ulp = accuracy::SOFTMAX + reference::mean_distance(row) / 2.0;
        Expected { index, value: reference::softmax(row, index % classes), ulp }
    };
    samples(x.len()).map(expected).collect()
}

/// Of some rows.
#[must_use]
pub fn cross_entropy(x: &[f32], classes: usize, labels: &[i64]) -> Vec<Expected> {
    let expected = |index: usize| {
        let row = &x[index * classes..][..classes];
        let value = reference::cross_entropy(row, labels[index] as usize);
        Expected { index, value, ulp: accuracy::LOSS + reference::mean_distance(row) / 2.0 }
    };
    samples(labels.len()).map(expected).collect()
}

/// Of some rows with options, of the bound of the loss and those of the options.
#[must_use]
pub fn cross_entropy_with(
    x: &[f32],
    classes: usize,
    labels: &[i64],
    sample_weights: &[f32],
    options: &Options<'_>,
) -> Vec<Expected> {
    let expected = |index: usize| {
        let row = &x[index * classes..][..classes];
        let mut y = vec![0.0; classes];
        y[labels[index] as usize] = 1.0;
        let sample_weight = sample_weights.get(index).copied().unwrap_or(1.0);
        let options = Options { sample_weight, ..*options };
        let value = reference::cross_entropy_with(row, &y, &options);
        // The options add to the bound what depends on the row; a formula that is wrong is off by more.
        Expected { index, value, ulp: 64.0 }
    };
    samples(labels.len()).map(expected).collect()
}

/// Of some elements of the gradients, the labels' among them.
#[must_use]
pub fn cross_entropy_gradient(x: &[f32], classes: usize, labels: &[i64]) -> Vec<Expected> {
    let of_row = |row: usize| {
        let (row_x, label) = (&x[row * classes..][..classes], labels[row] as usize);
        let mut y = vec![0.0; classes];
        y[label] = 1.0;
        let mut gradient = vec![0.0; classes];
        reference::cross_entropy_gradient(row_x, &y, &Options::default(), &mut gradient);
        let m = row_x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let distance = reference::mean_distance(row_x);
        [0, label, classes - 1].map(|class| Expected {
            index: row * classes + class,
            value: gradient[class],
            ulp: accuracy::GRADIENT + (f64::from(m - row_x[class]) + distance) / 2.0,
        })
    };
    samples(labels.len()).flat_map(of_row).collect()
}

/// Keras' clip range, which is the default.
const CLIP: [f32; 2] = [1e-7, 1.0 - 1e-7];

/// Of some rows, whose terms are all positive.
#[must_use]
pub fn clipped_cross_entropy(p: &[f32], classes: usize, y: &[f32]) -> Vec<Expected> {
    let expected = |index: usize| {
        let row = index * classes..(index + 1) * classes;
        let (p, y) = (&p[row.clone()], &y[row]);
        let value = reference::clipped_cross_entropy_target(p, y, CLIP, false);
        Expected { index, value, ulp: accuracy::CLIPPED_LOSS }
    };
    samples(p.len() / classes).map(expected).collect()
}

/// Of some rows.
#[must_use]
pub fn normalized_cross_entropy(p: &[f32], classes: usize, labels: &[i64]) -> Vec<Expected> {
    let expected = |index: usize| {
        let p = &p[index * classes..][..classes];
        let value = reference::clipped_cross_entropy(p, labels[index] as usize, CLIP, true);
        Expected { index, value, ulp: accuracy::CLIPPED_LOSS }
    };
    samples(labels.len()).map(expected).collect()
}

/// Of some elements.
#[must_use]
pub fn binary_cross_entropy(x: &[f32], y: &[f32]) -> Vec<Expected> {
    let expected = |index: usize| {
        let value = reference::binary_cross_entropy(x[index], y[index]);
        Expected { index, value, ulp: accuracy::BINARY_LOSS }
    };
    samples(x.len()).map(expected).collect()
}

#[cfg(test)]
mod tests {
    use xent_core::Backend;

    use super::*;
    use crate::input;

    fn passes(contender: Contender, got: f32) -> bool {
        let expected = [Expected { index: 0, value: 1.0, ulp: 4.0 }];
        std::panic::catch_unwind(|| assert_results(contender, &[got], &expected)).is_ok()
    }

    #[test]
    fn a_backend_is_held_to_the_bound_and_a_naive_loop_to_a_thousandth() {
        let backend = Contender::Backend(Backend::SCALAR);
        assert!(passes(backend, 1.0 + 4.0 * f32::EPSILON));
        assert!(!passes(backend, 1.0 + 5.0 * f32::EPSILON));
        assert!(!passes(backend, f32::NAN) && !passes(backend, f32::INFINITY));
        for naive in [Contender::NaiveStd, Contender::NaiveLibm] {
            assert!(passes(naive, 1.0009) && !passes(naive, 1.0011) && !passes(naive, f32::NAN));
        }
    }

    #[test]
    fn the_largest_error_is_in_ulp_of_its_result() {
        let at = |index, value| Expected { index, value, ulp: 4.0 };
        let got = [1.0, 2.0 + 6.0 * f32::EPSILON];
        assert_eq!(largest_error_ulp(&got, &[at(0, 1.0), at(1, 2.0)]), 3.0); // of 2
    }

    #[test]
    fn samples_have_both_ends() {
        assert_eq!(samples(0).count(), 0);
        assert_eq!(samples(1).collect::<Vec<_>>(), [0]);
        assert_eq!(samples(3).collect::<Vec<_>>(), [0, 1, 2]);
        let many: Vec<_> = samples(1000).collect();
        assert_eq!((many.len(), many[0], many[SAMPLES - 1]), (SAMPLES, 0, 999));
    }

    #[test]
    fn what_is_expected_is_of_the_element_at_its_index() {
        let x = input::logits(6);
        for e in softmax(&x, 3) {
            let mut probs = [0.0; 3];
            let row = e.index / 3 * 3;
            xent_core::softmax(&x[row..row + 3], &mut probs).expect("three elements");
            assert!((f64::from(probs[e.index % 3]) - e.value).abs() < 1e-6);
        }
        assert_eq!(cross_entropy(&x, 3, &[2, 1]).len(), 2);
    }
}
