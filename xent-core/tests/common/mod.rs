//! What the suites share: lengths at every edge of the summation tree, rows that have broken other
//! libraries, and a ledger that compares, remembers the worst, and prints it.
#![allow(dead_code, reason = "each suite uses a part")]

pub(crate) mod bounds;
pub(crate) mod calls;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use xent_core::{Backend, accuracy, reference};

/// Lengths around every lane, group, block and chunk edge; a fifth of those up to 1,200 for few cases.
pub(crate) fn lengths() -> Vec<usize> {
    let mut lengths: Vec<usize> = (1..=70).collect();
    for edge in [96, 128, 160, 192, 256, 512, 1024, 1056, 1152, 2048, 4096, 65_536, 66_560, 131_072]
    {
        lengths.extend([edge - 1, edge, edge + 1]);
    }
    lengths.sort_unstable();
    lengths.dedup();
    if few_cases() {
        lengths.retain(|&n| n <= 1200);
        lengths = lengths.into_iter().step_by(5).collect();
    }
    lengths
}

/// As [`lengths`], without those beyond a few blocks.
pub(crate) fn short_lengths() -> Vec<usize> {
    lengths().into_iter().filter(|&n| n <= 4097).collect()
}

/// Lengths beyond a chunk; none for few cases.
pub(crate) fn long_lengths() -> impl Iterator<Item = usize> {
    [65_537, 131_073].into_iter().filter(|_| !few_cases())
}

/// Where in a row an element can be: everywhere; for few cases in some 40 places, an odd step apart: in each lane.
pub(crate) fn places(n: usize) -> impl Iterator<Item = usize> {
    (0..n).step_by(if few_cases() { (n / 40) | 1 } else { 1 })
}

/// Cases of a property, unless `PROPTEST_CASES` says otherwise.
const N_CASES: u32 = 400;

pub(crate) fn n_cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES");
    asked.map_or(N_CASES, |n| n.parse().expect("PROPTEST_CASES is a number"))
}

/// Fewer cases than usual are asked for, as an emulator is slow: lengths are fewer too, rows shorter.
pub(crate) fn few_cases() -> bool {
    n_cases() < N_CASES
}

/// Numbers from a seed, the same on every machine.
pub(crate) struct Random(Xoshiro256PlusPlus);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    pub(crate) fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// In [0, 1).
    pub(crate) fn unit(&mut self) -> f32 {
        (self.bits() >> 8) as f32 / 16_777_216.0
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.bits() as usize % n
    }
}

/// Rows of finite logits, each with its name.
pub(crate) fn hard_rows(n: usize) -> Vec<(String, Vec<f32>)> {
    let mut random = Random::new(n as u64);
    let mut uniform =
        |scale: f32| (0..n).map(|_| (random.unit() - 0.5) * scale).collect::<Vec<f32>>();
    let one_above = |rest: f32| {
        let mut x = vec![rest; n];
        x[n / 2] = 0.0;
        x
    };
    let mut rows = vec![
        ("uniform in 2".to_string(), uniform(2.0)),
        ("uniform in 20".to_string(), uniform(20.0)),
        ("uniform in 200".to_string(), uniform(200.0)),
        ("all equal".to_string(), vec![1.5; n]),
        ("all but one equal, 1 below".to_string(), one_above(-1.0)),
        ("all but one equal, 8.3 below".to_string(), one_above(-8.3)),
        ("all but one equal, 17 below".to_string(), one_above(-17.0)),
        ("all but one equal, 40 below".to_string(), one_above(-40.0)),
        ("all but one subnormal, 103.5 below".to_string(), one_above(-103.5)),
        ("rising".to_string(), (0..n).map(|i| i as f32 * 1e-3).collect()),
        ("rising fast".to_string(), (0..n).map(|i| i as f32 * 0.37).collect()),
        ("falling".to_string(), (0..n).map(|i| i as f32 * -1e-3).collect()),
        ("masked but two".to_string(), {
            let mut x = vec![f32::NEG_INFINITY; n];
            x[n - 1] = 3.0;
            x[n / 3] = 1.0;
            x
        }),
        ("the largest f32".to_string(), {
            let mut x = vec![f32::MIN; n];
            x[0] = f32::MAX;
            x[n - 1] = f32::MAX;
            x
        }),
        ("subnormal logits".to_string(), (0..n).map(|i| f32::from_bits(i as u32)).collect()),
    ];
    let offset = |by: f32| uniform(12.0).iter().map(|x| x + by).collect::<Vec<f32>>();
    let mut offset = offset;
    rows.push(("offset 1e4".to_string(), offset(1e4)));
    rows.push(("offset -1e30".to_string(), offset(-1e30)));
    rows
}

/// Weights of classes, some of them 0.
pub(crate) fn some_weights(n: usize) -> Vec<f32> {
    let mut random = Random::new(n as u64 + 1000);
    (0..n).map(|_| if random.below(7) == 0 { 0.0 } else { random.unit() * 3.0 }).collect()
}

/// ULP of `scale` that a log-sum-exp of these logits may be off by, and that `scale`.
pub(crate) fn log_sum_exp_bound(x: &[f32]) -> (f64, f64) {
    let excess = reference::log_sum_exp_excess(x);
    let scale = reference::log_sum_exp(x).abs().max(excess);
    let share = if excess > 0.0 { excess / scale } else { 0.0 };
    (accuracy::LOG_SUM_EXP + reference::mean_distance(x) / 2.0 * share, scale)
}

/// Compares results with the reference and keeps the worst, as a share of what is allowed.
pub(crate) struct Ledger {
    what: &'static str,
    worst: f64,
    worst_case: String,
    n: usize,
    quiet: bool,
}

impl Ledger {
    pub(crate) fn new(what: &'static str) -> Self {
        Ledger { what, worst: 0.0, worst_case: String::new(), n: 0, quiet: false }
    }

    /// For one case of a property: prints nothing.
    pub(crate) fn of_one_case(what: &'static str) -> Self {
        Ledger { what, worst: 0.0, worst_case: String::new(), n: 0, quiet: true }
    }

    /// `got` is within `ulp` units of `scale` of `want`, or the same special value.
    pub(crate) fn check(
        &mut self,
        backend: Backend,
        got: f32,
        want: f64,
        ulp: f64,
        scale: f64,
        case: &dyn Fn() -> String,
    ) {
        self.n += 1;
        let what = self.what;
        let got_f64 = f64::from(got);
        if want.is_nan() {
            let canonical = got.to_bits() == f32::NAN.to_bits();
            assert!(canonical, "{what} on {backend:?}: {got:e} for NaN, {}", case());
            return;
        }
        // What rounds to an infinity is one; at the border either neighbour will do.
        let overflow = f64::from(f32::MAX) * (1.0 + 2_f64.powi(-25));
        if want.abs() >= overflow {
            assert!(
                got_f64 == want.signum() * f64::INFINITY,
                "{what} on {backend:?}: {got:e} for {want:e}, {}",
                case()
            );
            return;
        }
        let allowed = ulp * accuracy::ULP * scale.abs() + 2_f64.powi(-149);
        self.check_finite(backend, got, want, allowed, case);
    }

    /// `got` is within `allowed` of `want`, or the same special value.
    pub(crate) fn check_within(
        &mut self,
        backend: Backend,
        got: f32,
        want: f64,
        allowed: f64,
        case: &dyn Fn() -> String,
    ) {
        if want.is_nan() || want.abs() >= f64::from(f32::MAX) {
            return self.check(backend, got, want, 0.0, 0.0, case);
        }
        self.n += 1;
        self.check_finite(backend, got, want, allowed, case);
    }

    fn check_finite(
        &mut self,
        backend: Backend,
        got: f32,
        want: f64,
        allowed: f64,
        case: &dyn Fn() -> String,
    ) {
        let (what, got_f64) = (self.what, f64::from(got));
        let error = (got_f64 - want).abs();
        let share = error / allowed;
        if share > self.worst {
            self.worst = share;
            self.worst_case = format!("{backend:?}, {}: {got:e}, exactly {want:e}", case());
        }
        assert!(
            error <= allowed,
            "{what} on {backend:?}: got {got:e} (0x{:08x}), exactly {want:e}, off by {:.3} ULP of it, \
             {share:.3} of what is allowed; {}",
            got.to_bits(),
            error / (accuracy::ULP * want.abs()),
            case(),
        );
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            if self.quiet {
                return;
            }
            assert!(self.n > 0, "{}: nothing was compared", self.what);
            let Ledger { what, worst, worst_case, n, .. } = self;
            println!(
                "{what:28}: {n} compared, at most {worst:.3} of what is allowed, at {worst_case}"
            );
        }
    }
}

/// The bits of both agree, or both are NaN.
pub(crate) fn assert_same_bits(a: &[f32], b: &[f32], what: &dyn Fn() -> String) {
    assert_eq!(a.len(), b.len(), "{}", what());
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        assert!(
            x.to_bits() == y.to_bits(),
            "{}: element {i} is {x:e} (0x{:08x}) and {y:e} (0x{:08x})",
            what(),
            x.to_bits(),
            y.to_bits(),
        );
    }
}

/// The backends of one class, for both classes.
pub(crate) fn classes() -> [Vec<Backend>; 2] {
    [false, true].map(|fused| Backend::all().filter(|b| b.fuses_multiply_add() == fused).collect())
}
