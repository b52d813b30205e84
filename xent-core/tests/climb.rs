//! A search for inputs that are further off than `accuracy` allows: from the worst of some random inputs it
//! climbs, by steps of some last places of a number, towards larger errors. Random inputs do not have the roundings
//! that all go one way; the search finds most of them.

mod common;

use common::bounds::{
    DistillationCase, ElementCase, LogitCase, ProbCase, binary, clipped, clipped_binary,
    cross_entropy, one_hot,
};
use common::{Random, few_cases};
use xent_core::reference::{self, BinaryOptions, Options};
use xent_core::{Backend, Distillation, Reduction, Rows, accuracy};

/// What is varied.
#[derive(Clone, Debug)]
struct Input {
    x: Vec<f32>,
    y: Vec<f32>,
    weights: Vec<f32>,
    smoothing: f32,
    gamma: f32,
    alpha: f32,
    temperature: f32,
}

/// What `x` and `y` are.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Logits and targets.
    Logits,
    /// Probabilities and targets.
    Probabilities,
    /// Logits of a student and of a teacher.
    TwoLogits,
    /// Two distributions, which need not sum to 1.
    TwoProbabilities,
}

impl Input {
    fn random(random: &mut Random, kind: Kind, n: usize) -> Self {
        let mut sometimes =
            |default: f32, value: f32| if random.unit() < 0.5 { default } else { value };
        let [smoothing, gamma] = [0.2, 1.7].map(|value| sometimes(0.0, value));
        let [alpha, temperature] = [0.37, 1.58].map(|value| sometimes(1.0, value));
        let weights = if sometimes(0.0, 1.0) == 0.0 { vec![] } else { vec![0.7; n] };
        let size = (random.unit() * 12.0 - 6.0).exp2();
        let logit = |random: &mut Random| (random.unit() * 2.0 - 1.0) * size;
        let (x, y): (Vec<f32>, Vec<f32>) = match kind {
            Kind::Logits => (0..n).map(|_| (logit(random), random.unit())).unzip(),
            Kind::TwoLogits => (0..n).map(|_| (logit(random), logit(random))).unzip(),
            _ => (0..n).map(|_| (random.unit().max(1e-7), random.unit().max(1e-7))).unzip(),
        };
        Input { x, y, weights, smoothing, gamma, alpha, temperature }
    }

    /// Another, some numbers of which have moved by some last places.
    fn moved(&self, random: &mut Random, kind: Kind) -> Self {
        let mut input = self.clone();
        for _ in 0..=random.below(2) {
            let i = random.below(self.x.len());
            let by = 1 << random.below(22);
            let by = if random.unit() < 0.5 { by } else { -by };
            let moves = |x: &mut f32, range: std::ops::RangeInclusive<f32>| {
                let moved = f32::from_bits(x.to_bits().wrapping_add_signed(by));
                if range.contains(&moved) && moved.is_sign_negative() == x.is_sign_negative() {
                    *x = moved;
                }
            };
            let logits = -1e3..=1e3;
            let of_x = if matches!(kind, Kind::Logits | Kind::TwoLogits) {
                logits.clone()
            } else {
                1e-30..=1.0
            };
            let of_y = if kind == Kind::TwoLogits { logits } else { 1e-30..=1.0 };
            match random.below(8) {
                0..4 => moves(&mut input.x[i], of_x),
                4 | 5 => moves(&mut input.y[i], of_y),
                6 => input.weights.get_mut(i).into_iter().for_each(|w| moves(w, 0.01..=100.0)),
                _ => match random.below(4) {
                    0 if input.smoothing != 0.0 => moves(&mut input.smoothing, 1e-9..=1.0),
                    1 if input.gamma != 0.0 => moves(&mut input.gamma, 0.1..=5.0),
                    2 if input.alpha != 1.0 => moves(&mut input.alpha, 0.01..=0.99),
                    3 if input.temperature != 1.0 => moves(&mut input.temperature, 0.1..=10.0),
                    _ => {}
                },
            }
        }
        input
    }

    fn options(&self, normalize: bool) -> Options<'_> {
        Options {
            class_weights: &self.weights,
            label_smoothing: self.smoothing,
            focal_gamma: self.gamma,
            focal_alpha: self.alpha,
            normalize,
            ..Options::default()
        }
    }

    fn binary_options(&self) -> BinaryOptions {
        BinaryOptions {
            label_smoothing: self.smoothing,
            focal_gamma: self.gamma,
            focal_alpha: (self.alpha != 1.0).then_some(self.alpha),
            ..BinaryOptions::default()
        }
    }
}

/// The error as a share of what is allowed.
fn share(got: f32, want: f64, allowed: f64) -> f64 {
    let error = (f64::from(got) - want).abs();
    if error == 0.0 { 0.0 } else { error / allowed }
}

/// The same, of ULP.
fn share_of_ulp(got: f32, want: f64, ulp: f64, scale: f64) -> f64 {
    share(got, want, ulp * accuracy::ULP * scale + 2_f64.powi(-149) * 8.0)
}

fn largest(shares: impl Iterator<Item = f64>) -> f64 {
    shares.fold(0.0, f64::max)
}

fn of_logits(backend: Backend, input: &Input, label: Option<usize>, gradient: bool) -> f64 {
    let options = Options { temperature: input.temperature, ..input.options(false) };
    let y = label.map_or_else(|| input.y.clone(), |label| one_hot(input.x.len(), label));
    let case = LogitCase::new(&input.x, &y, &options);
    let loss = cross_entropy(backend, &options);
    let mut out = vec![0.0; input.x.len()];
    let got = match label {
        Some(label) => loss.row_gradient(&input.x, label, &mut out).unwrap(),
        None => loss.row_gradient(&input.x, &y[..], &mut out).unwrap(),
    };
    if gradient {
        let want = case.gradient.iter().zip(&case.gradient_allowed);
        largest(out.iter().zip(want).map(|(&got, (&want, &allowed))| share(got, want, allowed)))
    } else {
        share(got, case.loss, case.loss_allowed)
    }
}

fn of_probabilities(backend: Backend, input: &Input, normalize: bool, gradient: bool) -> f64 {
    let options = input.options(normalize);
    let case = ProbCase::new(&input.x, &input.y, &options);
    let mut out = vec![0.0; input.x.len()];
    let got = clipped(backend, &options).row_gradient(&input.x, &input.y[..], &mut out).unwrap();
    if gradient && !case.at_an_end {
        let want = case.gradient.iter().zip(&case.gradient_allowed);
        largest(out.iter().zip(want).map(|(&got, (&want, &allowed))| share(got, want, allowed)))
    } else {
        share(got, case.loss, case.loss_allowed)
    }
}

fn of_element(backend: Backend, input: &Input, is_logit: bool, gradient: bool) -> f64 {
    let (x, y, options, mut out) = (input.x[0], input.y[0], input.binary_options(), [0.0]);
    let (rows, ys) =
        (Rows::new(&input.x[..1], 1, 1).unwrap(), Rows::new(&input.y[..1], 1, 1).unwrap());
    let (got, case) = if is_logit {
        let loss = binary(backend, &options);
        loss.gradient(rows, ys, Reduction::Sum, &mut out).unwrap();
        (loss.element(x, y).unwrap(), ElementCase::of_logit(x, y, &options))
    } else {
        let loss = clipped_binary(backend, &options);
        loss.gradient(rows, ys, Reduction::Sum, &mut out).unwrap();
        (loss.element(x, y).unwrap(), ElementCase::of_prob(x, y, &options))
    };
    if gradient {
        share(out[0], case.gradient, case.gradient_allowed)
    } else {
        share(got, case.loss, case.loss_allowed)
    }
}

fn of_distillation(backend: Backend, input: &Input, gradient: bool) -> f64 {
    let case = DistillationCase::new(&input.x, &input.y, input.temperature);
    let loss = Distillation::new().backend(backend).temperature(input.temperature);
    let mut out = vec![0.0; input.x.len()];
    let got = loss.row_gradient(&input.x, &input.y, &mut out).unwrap();
    if gradient {
        largest(out.iter().enumerate().map(|(c, &got)| {
            let [want, allowed] = case.gradient(c, 1.0);
            share(got, want, allowed)
        }))
    } else {
        share(got, case.loss, case.loss_allowed)
    }
}

fn of_divergence(backend: Backend, input: &Input) -> f64 {
    let (p, q) = (&input.x[..], &input.y[..]);
    let js = reference::js_divergence(p, q);
    let kl_scale: f64 = p.iter().zip(q).map(|(&p, &q)| reference::kl_term(p, q).abs()).sum();
    let (kl, ulp) = (reference::kl_divergence(p, q), accuracy::KL_DIVERGENCE);
    f64::max(
        share_of_ulp(backend.js_divergence(p, q).unwrap(), js, accuracy::JS_DIVERGENCE, js),
        share_of_ulp(backend.kl_divergence(p, q).unwrap(), kl, ulp, kl_scale),
    )
}

fn of_statistics(backend: Backend, input: &Input) -> f64 {
    let x = &input.x[..];
    let statistics = backend.row_statistics(x, 0).unwrap();
    let half = reference::mean_distance(x) / 2.0;
    let [entropy, margin] = [reference::entropy_of_logits(x), reference::margin(x)];
    let largest = reference::max_probability(x);
    let of_entropy = accuracy::ENTROPY_OF_LOGITS + reference::entropy_distance(x) / 2.0;
    share_of_ulp(statistics.entropy(), entropy, of_entropy, entropy)
        .max(share_of_ulp(statistics.margin(), margin, accuracy::MARGIN + half, margin))
        .max(share_of_ulp(
            statistics.max_probability(),
            largest,
            accuracy::MAX_PROBABILITY + half,
            largest,
        ))
}

fn of_softmax(backend: Backend, input: &Input) -> f64 {
    let ulp = accuracy::SOFTMAX + reference::mean_distance(&input.x) / 2.0;
    let mut out = vec![0.0; input.x.len()];
    backend.softmax(&input.x, &mut out).unwrap();
    largest(out.iter().enumerate().map(|(i, &got)| {
        let want = reference::softmax(&input.x, i);
        share_of_ulp(got, want, ulp, want)
    }))
}

/// The largest share that the search comes to.
fn climb(kind: Kind, of: impl Fn(Backend, &Input) -> f64) -> (f64, Input) {
    let climbs = if few_cases() { 3 } else { 200 };
    // One of each class: the others give the same bits.
    let fused = Backend::all().find(|backend| backend.fuses_multiply_add());
    let backends: Vec<Backend> = [Backend::SCALAR].into_iter().chain(fused).collect();
    let mut random = Random::new(20);
    let mut worst = (0.0, Input::random(&mut random, kind, 1));
    for climb in 0..climbs {
        let (backend, n) = (backends[climb % backends.len()], 1 + random.below(5));
        let shares = (0..30).map(|_| Input::random(&mut random, kind, n));
        let shares = shares.map(|input| (of(backend, &input), input));
        let mut best = shares.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        let mut in_vain = 0;
        while in_vain < 300 {
            let input = best.1.moved(&mut random, kind);
            let share = of(backend, &input);
            in_vain = if share > best.0 { 0 } else { in_vain + 1 };
            if share >= best.0 {
                best = (share, input);
            }
        }
        if best.0 > worst.0 {
            worst = best;
        }
    }
    worst
}

fn assert_within(name: &str, kind: Kind, of: impl Fn(Backend, &Input) -> f64) {
    let (share, input) = climb(kind, of);
    println!("{name}: at most {share:.3} of what is allowed, {input:?}");
    assert!(share <= 1.0, "{name}: {share} of what is allowed, {input:?}");
}

#[test]
fn no_climb_leaves_the_bounds_of_losses_of_logits() {
    for gradient in [false, true] {
        let name = if gradient { "gradient" } else { "loss" };
        assert_within(&format!("{name} of a label"), Kind::Logits, |backend, input| {
            of_logits(backend, input, Some(0), gradient)
        });
        assert_within(&format!("{name} of a distribution"), Kind::Logits, |backend, input| {
            of_logits(backend, input, None, gradient)
        });
        assert_within(&format!("binary {name}"), Kind::Logits, |backend, input| {
            of_element(backend, input, true, gradient)
        });
    }
}

#[test]
fn no_climb_leaves_the_bounds_of_losses_of_probabilities() {
    for gradient in [false, true] {
        let name = if gradient { "gradient" } else { "loss" };
        for normalize in [false, true] {
            let name = format!("clipped {name}, normalize {normalize}");
            assert_within(&name, Kind::Probabilities, |backend, input| {
                of_probabilities(backend, input, normalize, gradient)
            });
        }
        assert_within(&format!("clipped binary {name}"), Kind::Probabilities, |backend, input| {
            of_element(backend, input, false, gradient)
        });
    }
}

#[test]
fn no_climb_leaves_the_bounds_of_divergences() {
    for gradient in [false, true] {
        let name = if gradient { "distillation, gradient" } else { "distillation" };
        assert_within(name, Kind::TwoLogits, |backend, input| {
            of_distillation(backend, input, gradient)
        });
    }
    assert_within("divergences", Kind::TwoProbabilities, of_divergence);
}

#[test]
fn no_climb_leaves_the_bounds_of_statistics_and_softmax() {
    assert_within("statistics", Kind::Logits, of_statistics);
    assert_within("softmax", Kind::Logits, of_softmax);
}
