//! The clock.

use std::time::Instant;

/// A contender takes at least so long a turn, if it is not one call that takes longer.
const TURN_SECONDS: f64 = 1e-3;
const MOST_ROUNDS: usize = 25;
const FEWEST_ROUNDS: usize = 5;
/// After so many seconds no further round begins.
const CASE_SECONDS: f64 = 4.0;

/// What is timed, and how wrong its result is.
pub struct Contender<'a> {
    pub name: String,
    /// The largest error in ULP of what `run` computes.
    pub error_ulp: Option<f64>,
    pub run: Box<dyn FnMut() + 'a>,
}

/// Nanoseconds per element.
#[derive(Clone)]
pub struct Timing {
    pub name: String,
    pub error_ulp: Option<f64>,
    pub median: f64,
    /// First and third quartile.
    pub quartiles: [f64; 2],
    /// Of each round.
    pub rounds: Vec<f64>,
}

impl Timing {
    /// The median over the rounds of the time of `other` divided by this one's.
    pub fn times_as_fast_as(&self, other: &Timing) -> f64 {
        let mut ratios: Vec<f64> =
            other.rounds.iter().zip(&self.rounds).map(|(theirs, ours)| theirs / ours).collect();
        quantile(&mut ratios, 0.5)
    }
}

/// The contenders of one operation on inputs of one size.
pub struct Case {
    pub operation: &'static str,
    pub size: String,
    /// What charts have on their axis.
    pub x: usize,
    pub timings: Vec<Timing>,
}

impl Case {
    pub fn timing(&self, name: &str) -> Option<&Timing> {
        self.timings.iter().find(|timing| timing.name == name)
    }
}

/// Times every contender in every round.
pub fn case(
    operation: &'static str,
    size: String,
    x: usize,
    n_elements: usize,
    mut contenders: Vec<Contender<'_>>,
) -> Case {
    let begin = Instant::now();
    let seconds = |contender: &mut Contender<'_>, calls: usize| {
        let start = Instant::now();
        for _ in 0..calls {
            (contender.run)();
        }
        start.elapsed().as_secs_f64()
    };
    let calls: Vec<usize> = contenders
        .iter_mut()
        .map(|contender| {
            let first = seconds(contender, 1).min(seconds(contender, 1)).max(1e-8);
            let some = ((0.1 * TURN_SECONDS / first) as usize).max(1);
            let each = seconds(contender, some) / some as f64;
            ((TURN_SECONDS / each) as usize).max(1)
        })
        .collect();
    let mut rounds = vec![Vec::new(); contenders.len()];
    for round in 0..MOST_ROUNDS {
        if round >= FEWEST_ROUNDS && begin.elapsed().as_secs_f64() > CASE_SECONDS {
            break;
        }
        for ((contender, &calls), times) in contenders.iter_mut().zip(&calls).zip(&mut rounds) {
            times.push(seconds(contender, calls) * 1e9 / (calls * n_elements) as f64);
        }
    }
    let timings = contenders.into_iter().zip(rounds).map(|(contender, rounds)| {
        let mut sorted = rounds.clone();
        Timing {
            name: contender.name,
            error_ulp: contender.error_ulp,
            median: quantile(&mut sorted, 0.5),
            quartiles: [0.25, 0.75].map(|q| quantile(&mut sorted, q)),
            rounds,
        }
    });
    let case = Case { operation, size, x, timings: timings.collect() };
    eprintln!("{operation} {}: {:.1} s", case.size, begin.elapsed().as_secs_f64());
    case
}

fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * q).round() as usize]
}
