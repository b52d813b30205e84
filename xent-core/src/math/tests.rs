//! The elementary functions over all their inputs, on every backend; the double-float exponential on
//! random ones.

use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::vec::Vec;
use std::{print, println};

use super::exp::{LOWEST, SCALE, UNSCALE};
use super::pair::{EXP2_BY_8, EXP2_BY_64, Pair, times_exp};
use crate::{Backend, accuracy};

/// The distance of `got` from `want` in the last place of `want`; 0 where both are the same infinity
/// or NaN, infinite where only one is.
fn error_ulp(got: f32, want: f64) -> f64 {
    let got = f64::from(got);
    if want.is_nan() || want.abs() > f64::from(f32::MAX) * (1.0 + 2_f64.powi(-25)) {
        let same = if want.is_nan() { got.is_nan() } else { got == want.signum() * f64::INFINITY };
        return if same { 0.0 } else { f64::INFINITY };
    }
    let error = (got - want).abs() * last_places(want);
    if error.is_nan() { f64::INFINITY } else { error }
}

/// How many units in the last place of an f32 near `x` make 1: from the exponent's bits, for 2^32 numbers on
/// every backend wait for it.
fn last_places(x: f64) -> f64 {
    let biased = (x.to_bits() >> 52) & 0x7ff;
    f64::from_bits((2 * 1023 + 23 - biased.max(1023 - 126)) << 52)
}

/// The same relative to `want`, in [`accuracy::ULP`]; 0 where that is not a normal f32.
fn relative_error_ulp(got: f32, want: f64) -> f64 {
    let normal = f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX);
    let error = ((f64::from(got) - want) / want).abs() / accuracy::ULP;
    if normal.contains(&want.abs()) { error } else { 0.0 }
}

/// The largest error in the last place, where it is, and the largest relative one; how many errors there are in
/// each eighth of an ULP.
#[derive(Clone, Copy)]
struct Errors {
    largest: f64,
    input: f32,
    got: f32,
    want: f64,
    relative: f64,
    histogram: [u64; 16],
}

impl Errors {
    const NONE: Errors = Errors {
        largest: -1.0,
        input: 0.0,
        got: 0.0,
        want: 0.0,
        relative: 0.0,
        histogram: [0; 16],
    };

    fn of(inputs: &[f32], got: &[f32], want: &[f64]) -> Errors {
        let mut errors = Errors::NONE;
        for ((&input, &got), &want) in inputs.iter().zip(got).zip(want) {
            errors.push(input, got, want);
        }
        errors
    }

    fn push(&mut self, input: f32, got: f32, want: f64) {
        let error = error_ulp(got, want);
        self.relative = self.relative.max(relative_error_ulp(got, want));
        self.histogram[((error * 8.0) as usize).min(15)] += 1;
        if error > self.largest {
            (self.largest, self.input, self.got, self.want) = (error, input, got, want);
        }
    }

    fn merge(self, other: Errors) -> Errors {
        let relative = self.relative.max(other.relative);
        let histogram = std::array::from_fn(|i| self.histogram[i] + other.histogram[i]);
        let larger = if other.largest > self.largest { other } else { self };
        Errors { relative, histogram, ..larger }
    }

    /// Parts of all in per cent, to the last eighth that has one.
    fn parts(&self) -> Vec<f64> {
        let n: u64 = self.histogram.iter().sum();
        let n_eighths = self.histogram.iter().rposition(|&n| n > 0).map_or(0, |last| last + 1);
        self.histogram[..n_eighths].iter().map(|&k| k as f64 * 100.0 / n as f64).collect()
    }
}

/// One function: how to compute it in place on a backend, what it should give, its bound in ULP, and the
/// relative error that the analysis in `ACCURACY.md` takes.
struct Function {
    name: &'static str,
    compute: fn(Backend, &mut [f32]),
    reference: fn(f64) -> f64,
    bound: f64,
    relative: f64,
}

const EXP: Function = Function {
    name: "exp",
    compute: |backend, x| {
        backend.exp_in_place(x);
        for x in x {
            *x *= UNSCALE;
        }
    },
    reference: libm::exp,
    bound: accuracy::EXP,
    relative: 0.675,
};
/// Before the scale is taken away the result is normal, and a relative error shows.
const EXP_SCALED: Function = Function {
    name: "exp_scaled",
    compute: Backend::exp_in_place,
    reference: |x| if x <= f64::from(LOWEST) { 0.0 } else { libm::exp(x) * 2_f64.powi(64) },
    bound: accuracy::EXP,
    relative: 0.675,
};
const LN: Function = Function {
    name: "ln",
    compute: Backend::ln_in_place,
    reference: libm::log,
    bound: accuracy::LN,
    relative: 0.675,
};
const LN_1P: Function = Function {
    name: "ln_1p",
    compute: Backend::ln_1p_in_place,
    reference: libm::log1p,
    bound: accuracy::LN_1P,
    relative: 0.675,
};
const LN_1P_OF_FRACTION: Function = Function {
    name: "ln_1p of a fraction",
    compute: Backend::ln_1p_of_fraction_in_place,
    reference: libm::log1p,
    bound: accuracy::LN_1P_OF_FRACTION,
    relative: 1.125,
};

const TANH: Function = Function {
    name: "tanh",
    compute: Backend::tanh_in_place,
    reference: libm::tanh,
    bound: accuracy::TANH,
    relative: 1.52,
};

/// And NaN of either sign.
const NOT_POSITIVE: [RangeInclusive<u32>; 3] =
    [0..=0, 0x7f80_0001..=0x7fff_ffff, 0x8000_0000..=0xffff_ffff];
const FRACTIONS: [RangeInclusive<u32>; 2] = [0..=0x3f80_0000, 0x7f80_0001..=0x7fff_ffff];
const EVERYTHING: [RangeInclusive<u32>; 2] = [0..=0x7fff_ffff, 0x8000_0000..=0xffff_ffff];

/// Compares a function on every backend with its reference, at every `step`-th bit pattern of
/// `inputs`; the reference is computed once for all backends, and what is off once for all that have the same bits.
/// Prints the worst of each, and a histogram.
fn check(function: &Function, inputs: &[RangeInclusive<u32>], step: usize) {
    const BATCH: usize = 1 << 16;
    let backends: Vec<Backend> = Backend::all().collect();
    let all = Mutex::new(std::vec![Errors::NONE; backends.len()]);
    let batches: Vec<(u32, u32)> = inputs
        .iter()
        .flat_map(|range| {
            let starts = (*range.start()..=*range.end()).step_by(BATCH * step);
            starts.map(|start| (start, *range.end()))
        })
        .collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                let mut mine = std::vec![Errors::NONE; backends.len()];
                loop {
                    let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(&(start, end)) = batches.get(i) else { break };
                    let x: Vec<f32> =
                        (start..=end).step_by(step).take(BATCH).map(f32::from_bits).collect();
                    let want: Vec<f64> =
                        x.iter().map(|&x| (function.reference)(f64::from(x))).collect();
                    let mut known: Vec<(Vec<u32>, Errors)> = Vec::new();
                    for (&backend, errors) in backends.iter().zip(&mut mine) {
                        let mut got = x.clone();
                        (function.compute)(backend, &mut got);
                        let bits: Vec<u32> = got.iter().map(|x| x.to_bits()).collect();
                        let same = known.iter().find(|(known, _)| *known == bits);
                        let of_batch =
                            same.map_or_else(|| Errors::of(&x, &got, &want), |same| same.1);
                        known.push((bits, of_batch));
                        *errors = errors.merge(of_batch);
                    }
                }
                for (errors, mine) in all.lock().unwrap().iter_mut().zip(mine) {
                    *errors = errors.merge(mine);
                }
            });
        }
    });
    for (backend, errors) in backends.iter().zip(all.into_inner().unwrap()) {
        let Errors { largest: error, input, got, want, relative, .. } = errors;
        print!("{:10} {:8} at most {error:.4} ULP", function.name, backend.name());
        print!(" at {input:e} (0x{:08x}): {got:e}, exactly {want:e}", input.to_bits());
        println!("; {relative:.4} relative");
        println!("{:19} % in each eighth of an ULP: {:.3?}", "", errors.parts());
        assert!(error >= 0.0, "{}: nothing was compared", function.name);
        assert!(
            error <= function.bound,
            "{} on {}: {error} ULP at {input:e} (0x{:08x}): {got:e}, not {want:e}",
            function.name,
            backend.name(),
            input.to_bits(),
        );
        assert!(
            relative <= function.relative,
            "{} on {}: a relative error of {relative} ULP",
            function.name,
            backend.name(),
        );
    }
}

/// A prime, so that every low bit pattern comes up. Miri is thousands of times slower.
const SAMPLE: usize = if cfg!(miri) { 86_028_121 } else { 4093 };

#[test]
fn exp_is_within_its_bound_at_sampled_inputs() {
    check(&EXP, &NOT_POSITIVE, SAMPLE);
    check(&EXP_SCALED, &NOT_POSITIVE, SAMPLE);
}

#[test]
fn ln_is_within_its_bound_at_sampled_inputs() {
    check(&LN, &EVERYTHING, SAMPLE);
}

#[test]
fn ln_1p_is_within_its_bound_at_sampled_inputs() {
    check(&LN_1P, &EVERYTHING, SAMPLE);
    check(&LN_1P_OF_FRACTION, &FRACTIONS, SAMPLE);
}

#[test]
fn tanh_is_within_its_bound_at_sampled_inputs() {
    check(&TANH, &EVERYTHING, SAMPLE);
}

#[test]
#[ignore = "2^32 inputs: run in release"]
fn tanh_is_within_its_bound_at_all_inputs() {
    check(&TANH, &EVERYTHING, 1);
}

#[test]
#[ignore = "2^31 inputs, above 0 there is no promise: run in release"]
fn exp_is_within_its_bound_at_all_inputs() {
    check(&EXP, &NOT_POSITIVE, 1);
    check(&EXP_SCALED, &NOT_POSITIVE, 1);
}

#[test]
#[ignore = "2^32 inputs: run in release"]
fn ln_is_within_its_bound_at_all_inputs() {
    check(&LN, &EVERYTHING, 1);
}

#[test]
#[ignore = "2^32 inputs: run in release"]
fn ln_1p_is_within_its_bound_at_all_inputs() {
    check(&LN_1P, &EVERYTHING, 1);
    check(&LN_1P_OF_FRACTION, &FRACTIONS, 1);
}

#[test]
fn elementary_functions_have_the_same_bits_within_a_class() {
    for function in [EXP_SCALED, LN, LN_1P, LN_1P_OF_FRACTION, TANH] {
        for fused in [false, true] {
            let class: Vec<Backend> =
                Backend::all().filter(|b| b.fuses_multiply_add() == fused).collect();
            let x: Vec<f32> = (0..=u32::MAX).step_by(SAMPLE).map(f32::from_bits).collect();
            let results = class.iter().map(|&backend| {
                let mut y = x.clone();
                (function.compute)(backend, &mut y);
                (backend, y)
            });
            let results: Vec<_> = results.collect();
            for pair in results.windows(2) {
                let ((a_name, a), (b_name, b)) = (&pair[0], &pair[1]);
                for ((&x, &a), &b) in x.iter().zip(a).zip(b) {
                    // exp has no promise above 0.
                    let promised = function.name != "exp_scaled" || x <= 0.0 || x.is_nan();
                    assert!(
                        !promised || a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
                        "{} at {x:e}: {a:e} on {a_name:?}, {b:e} on {b_name:?}",
                        function.name,
                    );
                }
            }
        }
    }
}

/// A function that has the bits of another at some inputs, which it needs less time for.
struct Variant {
    name: &'static str,
    compute: fn(Backend, &mut [f32]),
    whole: fn(Backend, &mut [f32]),
    inputs: &'static [RangeInclusive<u32>],
    /// Of the inputs, those that are taken whatever the step is.
    always: &'static [RangeInclusive<u32>],
}

const VARIANTS: [Variant; 3] = [
    Variant {
        name: "exp in turn",
        compute: Backend::exp_in_turn_in_place,
        whole: Backend::exp_in_place,
        inputs: &NOT_POSITIVE,
        // Around LOWEST, and -inf.
        always: &[0..=0, 0xc304_0b57..=0xc304_0b77, 0xff7f_fff0..=0xff80_0000],
    },
    Variant {
        name: "ln of a normal number",
        compute: Backend::ln_of_normal_in_place,
        whole: Backend::ln_in_place,
        inputs: &[0x0080_0000..=0x7f7f_ffff],
        always: &[0x0080_0000..=0x0080_000f, 0x7f7f_fff0..=0x7f7f_ffff],
    },
    Variant {
        name: "ln_1p inside its range",
        compute: Backend::ln_1p_inside_in_place,
        whole: Backend::ln_1p_in_place,
        // To 2^126, and above -1.
        inputs: &[0..=0x7e80_0000, 0x8000_0000..=0xbf7f_ffff],
        always: &[0x7e7f_fff0..=0x7e80_0000, 0xbf7f_fff0..=0xbf7f_ffff],
    },
];

fn check_variants(step: usize) {
    for Variant { name, compute, whole, inputs, always } in &VARIANTS {
        let inputs = inputs.iter().flat_map(|bits| bits.clone().step_by(step));
        let mut inputs = inputs.chain(always.iter().flat_map(Clone::clone)).map(f32::from_bits);
        loop {
            let x: Vec<f32> = inputs.by_ref().take(1 << 16).collect();
            if x.is_empty() {
                break;
            }
            for backend in Backend::all() {
                let (mut want, mut got) = (x.clone(), x.clone());
                whole(backend, &mut want);
                compute(backend, &mut got);
                for ((&x, want), got) in x.iter().zip(want).zip(got) {
                    let same = want.to_bits() == got.to_bits() || want.is_nan() && got.is_nan();
                    assert!(same, "{name}, {backend:?} at {x:e}: {got:e}, not {want:e}");
                }
            }
        }
    }
}

#[test]
fn variants_have_the_bits_of_the_function_at_sampled_inputs() {
    check_variants(SAMPLE);
}

#[test]
#[ignore = "1.2 billion inputs: run in release"]
fn variants_have_the_bits_of_the_function_at_every_seventh_input() {
    check_variants(7);
}

#[test]
fn the_tables_of_the_exponential_have_the_nearest_pairs() {
    for (n, table) in [(8.0, EXP2_BY_8), (64.0, EXP2_BY_64)] {
        for (j, [hi, lo]) in (0_u8..).zip(table) {
            let (hi, lo) = (f32::from_bits(hi), f32::from_bits(lo));
            let exact = libm::exp2(f64::from(j) / n);
            assert_eq!(hi, exact as f32, "2^({j}/{n})");
            let half_ulp = (f64::from(lo.next_up()) - f64::from(lo)).abs() / 2.0;
            let error = (f64::from(hi) + f64::from(lo) - exact).abs();
            // What the f64 is off by, and the sum of the two.
            assert!(error <= half_ulp + 2_f64.powi(-52), "2^({j}/{n}): {error:e}");
        }
    }
}

#[test]
fn a_sum_of_pairs_that_cancel_keeps_every_bit() {
    let (a, b) = (1.0 / 67_108_864.0 + f32::EPSILON / 67_108_864.0, f32::EPSILON / 536_870_912.0);
    let sum = Pair::new(1.0, a).add(Pair::new(-1.0, b));
    assert_eq!(f64::from(sum.hi) + f64::from(sum.lo), f64::from(a) + f64::from(b));
    assert_ne!(sum.lo, 0.0, "the sum has more bits than one f32");
}

#[test]
fn times_exp_carries_45_bits() {
    let mut worst = (0.0, 0.0, 0.0);
    let mut seed = 1_u64;
    for i in 0..if cfg!(miri) { 400 } else { 400_000 } {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let unit = (seed >> 40) as f32 / 16_777_216.0;
        let a = unit * [0.01, 1.0, 30.0, 60.0][i % 4];
        let b = (seed as u32 >> 8) as f32 / 16_777_216.0 * [0.0, 1e-6, 0.3, 40.0][(i / 4) % 4];
        let x = Pair::sum(-a, -b);
        let got = times_exp(Pair::new(SCALE, SCALE * 1e-9), x);
        let got = (f64::from(got.hi) + f64::from(got.lo)) / f64::from(SCALE);
        let want = (1.0 + f64::from(1e-9_f32)) * libm::exp(f64::from(x.hi) + f64::from(x.lo));
        let error = (got / want - 1.0).abs();
        if error > worst.0 {
            worst = (error, x.hi, x.lo);
        }
    }
    println!("times_exp: relative error 2^{:.2} at {:e} + {:e}", worst.0.log2(), worst.1, worst.2);
    assert!(worst.0 < 2_f64.powi(-45), "{worst:?}");
}
