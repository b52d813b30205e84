//! Weights are finite and not negative: a mean does not depend on their size, nor does its gradient, also
//! where their sum, or one over it, is beyond f32.

use xent_core::{
    Backend, BinaryCrossEntropy, BinaryTargets, ClippedBinaryCrossEntropy, ClippedCrossEntropy,
    CrossEntropy, GradientScale, LossTotal, Reduction, Rows, Targets,
};

const SIZES: [f32; 9] = [1e-45, 1e-40, 1e-30, 1e-20, 1.0, 1e10, 1e20, 1e30, 3e38];

const LOGITS: [f32; 9] = [0.5, -1.0, 2.0, 30.0, 0.25, 1.5, -3.0, -2.0, 4.0];
const PROBS: [f32; 9] = [0.5, 0.25, 0.25, 0.9, 0.05, 0.05, 0.125, 0.125, 0.75];
const LABELS: [u8; 3] = [1, 0, 2];

/// The step of 2^-149 that a bound always allows is multiplied by factors and weights.
const NOTHING: f64 = 1e-15;

fn assert_near(got: f64, want: f64, what: &str) {
    assert!(
        (got - want).abs() <= 2e-6 * want.abs() + NOTHING,
        "{what}: got {got:e}, want {want:e}"
    );
}

fn assert_same_mean(
    (total, gradient): (LossTotal, &[f32]),
    (want_total, want): (LossTotal, &[f32]),
    what: &str,
) {
    assert_near(total.mean(), want_total.mean(), &format!("{what}: mean"));
    for (c, (&got, &want)) in gradient.iter().zip(want).enumerate() {
        assert_near(f64::from(got), f64::from(want), &format!("{what}: element {c}"));
    }
}

/// The total and gradient by all three ways to them.
macro_rules! mean_and_gradient {
    ($loss:expr, $x:expr, $targets:expr $(, $dim:expr)*) => {{
        let (loss, x, targets) = ($loss, Rows::new(&$x, 3, 3).unwrap(), $targets);
        let mut gradient = [0.0; 9];
        let total = loss.gradient(x, targets, Reduction::Mean, &mut gradient).unwrap();
        assert_eq!(loss.total(x, targets), Ok(total));
        let mut in_place = $x;
        let mean = Reduction::Mean;
        assert_eq!(loss.gradient_in_place(&mut in_place, $($dim,)* targets, mean), Ok(total));
        assert_eq!(in_place.map(f32::to_bits), gradient.map(f32::to_bits));
        (total, gradient)
    }};
}

#[test]
fn a_mean_and_its_gradient_do_not_depend_on_the_size_of_the_weights() {
    let y = Rows::new(&PROBS, 3, 3).unwrap();
    for backend in Backend::all() {
        for sample_weight in SIZES {
            for class_weight in SIZES {
                let (samples, classes) = ([sample_weight; 3], [class_weight; 3]);
                let what = format!("{}, {sample_weight:e} {class_weight:e}", backend.name());
                macro_rules! check {
                    ($loss:expr, $x:expr, $targets:expr, $name:literal) => {{
                        let loss = $loss.backend(backend);
                        let targets = $targets;
                        let want = mean_and_gradient!(loss, $x, targets, 3, 3);
                        let weighted = targets.with_sample_weights(&samples);
                        let loss = loss.class_weights(&classes);
                        let got = mean_and_gradient!(loss, $x, weighted, 3, 3);
                        let what = format!("{what}, {}", $name);
                        assert_same_mean((got.0, &got.1), (want.0, &want.1), &what);
                    }};
                }
                let labels = Targets::labels(&LABELS);
                check!(CrossEntropy::new(), LOGITS, labels, "label");
                check!(CrossEntropy::new().focal(2.0), LOGITS, labels, "focal");
                if (1e-30..=1e30).contains(&class_weight) {
                    // What a class counts is f32 before the factor comes to it.
                    check!(CrossEntropy::new().temperature(2.0), LOGITS, labels, "temperature");
                    check!(ClippedCrossEntropy::new(), PROBS, labels, "clipped");
                    check!(ClippedCrossEntropy::new().normalize(true), PROBS, labels, "clipped");
                    let smoothed = CrossEntropy::new().label_smoothing(0.1);
                    check!(smoothed, LOGITS, labels, "smoothed");
                    check!(
                        ClippedCrossEntropy::new().label_smoothing(0.1),
                        PROBS,
                        labels,
                        "clipped"
                    );
                }
                if class_weight == 1.0 {
                    // The mean over distributions does not divide by class weights.
                    let targets = Targets::distributions(y);
                    check!(CrossEntropy::new(), LOGITS, targets, "distribution");
                    check!(CrossEntropy::new().z_loss(0.1), LOGITS, targets, "z-loss");
                    check!(CrossEntropy::new().z_loss(0.1), LOGITS, labels, "z-loss, label");
                    check!(ClippedCrossEntropy::new(), PROBS, targets, "clipped");
                }
            }
        }
    }
}

#[test]
fn a_mean_of_elements_and_its_gradient_do_not_depend_on_the_size_of_the_weights() {
    let y = Rows::new(&PROBS, 3, 3).unwrap();
    for backend in Backend::all() {
        macro_rules! check {
            ($loss:expr, $x:expr) => {{
                let loss = $loss.backend(backend);
                let of = |targets: BinaryTargets<'_>| mean_and_gradient!(loss, $x, targets);
                let want = of(BinaryTargets::new(y));
                for weight in SIZES {
                    let weights = [weight; 3];
                    let got = of(BinaryTargets::new(y).with_sample_weights(&weights));
                    let what = format!("{}, {weight:e}, {loss:?}", backend.name());
                    assert_same_mean((got.0, &got.1), (want.0, &want.1), &what);
                }
            }};
        }
        check!(BinaryCrossEntropy::new(), LOGITS);
        check!(BinaryCrossEntropy::new().focal(2.0), LOGITS);
        for weight in [1e-30, 1e-10, 1e10, 1e30] {
            let pos_weights = [weight; 3];
            check!(BinaryCrossEntropy::new().pos_weights(&pos_weights), LOGITS);
            check!(ClippedBinaryCrossEntropy::new().pos_weights(&pos_weights), PROBS);
        }
        check!(BinaryCrossEntropy::new().focal_alpha(1e-20), LOGITS);
        check!(ClippedBinaryCrossEntropy::new(), PROBS);
    }
}

#[test]
fn a_mean_over_distributions_does_not_depend_on_the_size_of_the_sample_weights() {
    let y = Rows::new(&PROBS, 3, 3).unwrap();
    for backend in Backend::all() {
        macro_rules! check {
            ($loss:expr, $x:expr) => {{
                let loss = $loss.backend(backend);
                let of = |targets: Targets<'_>| mean_and_gradient!(loss, $x, targets, 3, 3);
                let want = of(Targets::distributions(y));
                for weight in SIZES {
                    let weights = [weight; 3];
                    let got = of(Targets::distributions(y).with_sample_weights(&weights));
                    let what = format!("{}, {weight:e}, {loss:?}", backend.name());
                    assert_same_mean((got.0, &got.1), (want.0, &want.1), &what);
                }
            }};
        }
        for weight in [1e-30, 1e-10, 1e10, 1e30] {
            let classes = [weight; 3];
            check!(CrossEntropy::new().class_weights(&classes), LOGITS);
            check!(CrossEntropy::new().class_weights(&classes).label_smoothing(0.1), LOGITS);
            check!(ClippedCrossEntropy::new().class_weights(&classes), PROBS);
            check!(CrossEntropy::new().focal_alpha(weight), LOGITS);
        }
    }
}

#[test]
fn rows_of_weights_of_all_sizes_share_a_mean() {
    // 3e38 and 1e-45 in one batch: the second row is too light to show, and nothing overflows.
    let x = Rows::new(&[0.0; 4], 2, 2).unwrap();
    let targets = Targets::labels(&[0_u8, 1]).with_sample_weights(&[3e38, 1e-45]);
    let mut gradient = [9.0; 4];
    let total = CrossEntropy::new().gradient(x, targets, Reduction::Mean, &mut gradient).unwrap();
    assert_near(total.mean(), 2.0_f64.ln(), "mean");
    assert_eq!(gradient, [-0.5, 0.5, 0.0, 0.0]);
    // The sum of weighted losses beyond f32.
    let targets = Targets::labels(&[0_u8, 0]).with_sample_weights(&[3e38; 2]);
    let total = CrossEntropy::new().class_weights(&[3e38, 1.0]).total(x, targets).unwrap();
    assert_near(total.sum(), 2.0 * f64::from(3e38_f32).powi(2) * 2.0_f64.ln(), "sum");
}

#[test]
fn a_binary_gradient_is_as_far_as_all_its_factors_together() {
    // Of x = 0 (p = 1/2) and y = 1 the gradient is half the factors (twice the factors).
    let (y, w) = (Rows::new(&[1.0; 2], 2, 1).unwrap(), [1e30, 1e-16]);
    for backend in Backend::all() {
        let of_both = |pos_weight: f32, weights: [f32; 2], scale: GradientScale| {
            let (pos_weights, mut out) = ([pos_weight], [[7.0; 2]; 4]);
            let [a, b, c, d] = &mut out;
            let targets = BinaryTargets::new(y).with_sample_weights(&weights);
            let loss = BinaryCrossEntropy::new().backend(backend).pos_weights(&pos_weights);
            loss.gradient(Rows::new(&[0.0; 2], 2, 1).unwrap(), targets, scale, a).unwrap();
            *b = [0.0; 2];
            loss.gradient_in_place(b, targets, scale).unwrap();
            let loss = ClippedBinaryCrossEntropy::new().backend(backend).pos_weights(&pos_weights);
            loss.gradient(Rows::new(&[0.5; 2], 2, 1).unwrap(), targets, scale, c).unwrap();
            *d = [0.5; 2];
            loss.gradient_in_place(d, targets, scale).unwrap();
            assert_eq!((*a, *c), (*b, *d));
            [-2.0 * f64::from(a[1]), -f64::from(c[1]) / 2.0]
        };
        let mean = Reduction::Mean.into();
        for (pos_weight, weights, scale, factor) in [
            (1e10, w, mean, 1e-16 / (1e30 + 1e-16)),
            (1e30, [3e38, 1e-10], mean, 1e-10 / 3e38),
            (1e20, [1e30, 1e-10], mean, 1e-10 / 1e30),
            (1e30, [1.0; 2], GradientScale::Factor(1e-50), 1e-50),
            (1e-30, [1.0; 2], GradientScale::Factor(1e50), 1e50),
        ] {
            let want = f64::from(pos_weight) * factor;
            for got in of_both(pos_weight, weights, scale) {
                assert!((got / want - 1.0).abs() < 1e-6, "{backend:?}: {got:e}, {want:e}");
            }
        }
        let loss = ClippedBinaryCrossEntropy::new().backend(backend).clip(0.0, 1.0);
        let (x, y) = (Rows::new(&[1e-40], 1, 1).unwrap(), Rows::new(&[1.0], 1, 1).unwrap());
        let mut out = [7.0];
        loss.gradient(x, y, 1e-50, &mut out).unwrap();
        assert!((f64::from(out[0]) / -1e-10 - 1.0).abs() < 1e-4, "{backend:?}: {out:?}");
    }
}

#[test]
fn a_total_of_elements_keeps_its_digits_under_two_weights_that_are_small_together() {
    let x = Rows::new(&LOGITS, 3, 3).unwrap();
    let y = Rows::new(&[1.0; 9], 3, 3).unwrap();
    let sum: f64 = LOGITS.iter().map(|&x| (-f64::from(x)).exp().ln_1p()).sum();
    // Their product is subnormal, neither is, and the second is not even small by itself.
    let (positive, sample) = (1e-37_f32, 1e-8_f32);
    let want = sum * f64::from(positive) * f64::from(sample);
    let (pos_weights, sample_weights) = ([positive; 3], [sample; 3]);
    for backend in Backend::all() {
        let loss = BinaryCrossEntropy::new().backend(backend).pos_weights(&pos_weights);
        let targets = BinaryTargets::new(y).with_sample_weights(&sample_weights);
        let total = loss.total(x, targets).unwrap();
        assert!(
            (total.sum() / want - 1.0).abs() < 1e-6,
            "{backend:?}: {:e}, {want:e}",
            total.sum()
        );
        let of_gradient = loss.gradient(x, targets, Reduction::Sum, &mut [0.0; 9]).unwrap();
        assert_eq!(of_gradient, total);
    }
}

/// As of elements: an option and a sample weight, the product of which is subnormal.
#[test]
fn a_total_of_rows_keeps_its_digits_under_an_option_and_a_weight_that_are_small_together() {
    let x = Rows::new(&LOGITS, 3, 3).unwrap();
    let y = [0.5, 0.25, 0.25, 0.0, 1.0, 0.0, 0.25, 0.5, 0.25];
    let y = Rows::new(&y, 3, 3).unwrap();
    let (option, sample) = (1e-37_f32, 1e-8_f32);
    let (class_weights, sample_weights) = ([option; 3], [sample; 3]);
    let factor = f64::from(option) * f64::from(sample);
    for backend in Backend::all() {
        let plain = CrossEntropy::new().backend(backend);
        for (loss, targets) in [
            (plain.focal_alpha(option), Targets::labels(&LABELS)),
            (plain.focal_alpha(option), y.into()),
            (plain.class_weights(&class_weights), y.into()),
        ] {
            let want = factor * plain.total(x, targets).unwrap().sum();
            let total = loss.total(x, targets.with_sample_weights(&sample_weights)).unwrap();
            let what = format!("{backend:?}: {:e}, {want:e}", total.sum());
            assert!((total.sum() / want - 1.0).abs() < 1e-6, "{what}");
        }
    }
}

#[test]
fn a_gradient_by_a_subnormal_probability_is_weighted_before_it_overflows() {
    let (tiny, weight) = (1e-40_f32, 1e-10_f32);
    let want = -f64::from(weight) / f64::from(tiny);
    for backend in Backend::all() {
        let what = backend.name();
        let one = Rows::new(&[1.0], 1, 1).unwrap();
        let p = Rows::new(std::slice::from_ref(&tiny), 1, 1).unwrap();
        let binary = ClippedBinaryCrossEntropy::new().clip(0.0, 1.0).backend(backend);
        let mut gradient = [0.0];
        for (sample, pos) in [([weight], [1.0]), ([1.0], [weight])] {
            let targets = BinaryTargets::new(one).with_sample_weights(&sample);
            let loss = binary.pos_weights(&pos);
            loss.gradient(p, targets, 1.0, &mut gradient).unwrap();
            assert_near(f64::from(gradient[0]), want, what);
        }
        binary.gradient(p, one, 1.0, &mut gradient).unwrap();
        assert_eq!(gradient, [f32::NEG_INFINITY], "{what}");

        let (row, mut gradient) = ([1.0, tiny], [0.0; 2]);
        let p = Rows::new(&row, 1, 2).unwrap();
        let targets = Targets::labels(&[1_u8]).with_sample_weights(std::slice::from_ref(&weight));
        let clipped = ClippedCrossEntropy::new().clip(0.0, 1.0).backend(backend);
        clipped.gradient(p, targets, 1.0, &mut gradient).unwrap();
        assert_near(f64::from(gradient[1]), want, what);
        assert_eq!(gradient[0], 0.0, "{what}");
        clipped.normalize(true).gradient(p, targets, 1.0, &mut gradient).unwrap();
        assert_near(f64::from(gradient[1]), want, what);
        assert_near(f64::from(gradient[0]), f64::from(weight), what);
        // Where the whole row is subnormal there is nothing to overflow.
        let (row, mut gradient) = ([9.0 * tiny, tiny], [0.0; 2]);
        let p = Rows::new(&row, 1, 2).unwrap();
        clipped.normalize(true).gradient(p, targets, 1.0, &mut gradient).unwrap();
        let [large, small] = row.map(f64::from);
        let want = -f64::from(weight) * (large / small) / (large + small);
        assert_near(f64::from(gradient[1]), want, what);
    }
}

#[test]
fn a_normalised_gradient_by_a_small_part_of_a_large_sum_is_scaled_before_it_overflows() {
    // Their quotient is beyond f32, the gradient is not.
    let row = [1e-30_f32, 4e8, 1.6e9, 1.0];
    let y = [0.25, 0.25, 0.25, 0.25];
    let sum: f64 = row.iter().map(|&p| f64::from(p)).sum();
    for backend in Backend::all() {
        let loss = ClippedCrossEntropy::new().clip(0.0, 1.0).normalize(true).backend(backend);
        let mut gradient = [0.0; 4];
        loss.row_gradient(&row, &y, &mut gradient).unwrap();
        for (got, p) in gradient.into_iter().zip(row) {
            let want = 1.0 / sum - 0.25 / f64::from(p);
            assert_near(f64::from(got), want, backend.name());
        }
    }
}

/// Both parts of the gradient count: that of the sum, or of `1 - p`, and that by the small probability.
#[test]
fn a_target_as_small_as_its_probability_has_a_gradient_of_two_parts() {
    let (p, y) = ([1e-33_f32, 1.0], [5e-34_f32, 1.0]);
    for backend in Backend::all() {
        let loss = ClippedCrossEntropy::new().clip(0.0, 1.0).normalize(true).backend(backend);
        let mut gradient = [0.0; 2];
        loss.row_gradient(&p, &y, &mut gradient).unwrap();
        assert_near(
            f64::from(gradient[0]),
            1.0 - f64::from(y[0]) / f64::from(p[0]),
            backend.name(),
        );

        let (p, y) = (2e-42_f32, 1e-42_f32);
        let want = 1.0 - f64::from(y) / f64::from(p);
        let of_one = |x| Rows::new(std::slice::from_ref(x), 1, 1).unwrap();
        let loss = ClippedBinaryCrossEntropy::new().clip(0.0, 1.0).backend(backend);
        loss.gradient(of_one(&p), of_one(&y), 1.0, &mut gradient[..1]).unwrap();
        assert_near(f64::from(gradient[0]), want, backend.name());
    }
}

/// The smallest targets under weights that would make 0 of them, or another number.
#[test]
fn a_weight_does_not_leave_out_a_target_that_is_not_0() {
    let (tiny, weight, weights) = (1e-45_f32, 0.3_f32, [0.3]);
    fn one(x: &f32) -> Rows<'_> {
        Rows::new(std::slice::from_ref(x), 1, 1).unwrap()
    }
    let (row, y, class_weights) = ([0.0, 1.0], [tiny, 1.0], [weight, 1.0]);
    for backend in Backend::all() {
        let what = backend.name();
        let loss = BinaryCrossEntropy::new().backend(backend).pos_weights(&weights);
        for loss in [loss, loss.focal(1.0)] {
            let total = loss.total(one(&f32::NEG_INFINITY), one(&tiny)).unwrap();
            assert_eq!(total.sum(), f64::INFINITY, "{what}");
        }
        let loss = ClippedBinaryCrossEntropy::new().clip(0.0, 1.0).backend(backend);
        let loss = loss.pos_weights(&weights);
        assert_eq!(loss.total(one(&0.0), one(&tiny)).unwrap().sum(), f64::INFINITY);
        for y in [tiny, 3.1e-43] {
            let mut gradient = [0.0];
            loss.gradient(one(&tiny), one(&y), 1.0, &mut gradient).unwrap();
            let want = 1.0 - f64::from(weight) * (f64::from(y) / f64::from(tiny));
            assert_near(f64::from(gradient[0]), want, what);
        }

        let loss = CrossEntropy::new().class_weights(&class_weights).backend(backend);
        assert_eq!(loss.row(&row.map(f32::ln), &y), Ok(f32::INFINITY), "{what}");
        let loss = ClippedCrossEntropy::new().class_weights(&class_weights).backend(backend);
        assert_eq!(loss.clip(0.0, 1.0).row(&row, &y), Ok(f32::INFINITY), "{what}");
    }
}

#[test]
fn a_probability_of_0_beside_a_label_keeps_the_digits_of_a_small_gradient() {
    // Classes that are not the label have one and the same gradient, whatever their probabilities.
    let p = [0.0, 4.736932e-7, 0.7333161, 1e-40, 5.871207e-7, 6.1905814e-7];
    for backend in Backend::all() {
        let loss = ClippedCrossEntropy::new().backend(backend).normalize(true).focal(3.894262);
        let mut gradient = [7.0; 6];
        loss.focal_alpha(0.05).row_gradient(&p, 2, &mut gradient).unwrap();
        assert!(gradient[1] > 0.0 && gradient[1] < 1e-20, "{backend:?}: {gradient:?}");
        for other in [0, 3, 4, 5] {
            assert_eq!(
                gradient[other].to_bits(),
                gradient[1].to_bits(),
                "{backend:?}: {gradient:?}"
            );
        }
    }
}

#[test]
fn a_gradient_of_a_long_row_with_weights_takes_time_of_its_length() {
    // Of 16 times the elements about 16 times as long; 256 times where each piece reads all weights.
    let seconds = |n: usize| {
        let (x, y, weights) = (vec![0.5; n], vec![1.0; n], vec![2.0; n]);
        let (x, y) = (Rows::new(&x, 1, n).unwrap(), Rows::new(&y, 1, n).unwrap());
        let (loss, mut out) = (BinaryCrossEntropy::new().pos_weights(&weights), vec![0.0; n]);
        let run = |_| {
            let start = std::time::Instant::now();
            loss.gradient(x, y, 1.0, &mut out).unwrap();
            start.elapsed().as_secs_f64()
        };
        (0..3).map(run).fold(f64::INFINITY, f64::min)
    };
    let ratio = seconds(1 << 19) / seconds(1 << 15);
    assert!(ratio < 64.0, "{ratio} times as long for 16 times the elements");
}
