//! How fast each backend is on this CPU, beside a plain loop.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use xent_std::{Backend, CrossEntropy, Rows};

use crate::plain;
use crate::problem::Problem;

/// Each time is the median of this many.
const REPETITIONS: usize = 15;

/// A repetition calls the function until this much time has passed.
const REPETITION: Duration = Duration::from_millis(4);

/// No more logits than this are timed: 64 MB of f32.
const MAX_LOGITS: usize = 1 << 24;

/// The vocabulary of a large language model.
const LONG_ROW: usize = 128_256;

/// A way to compute losses.
#[derive(Clone, Copy)]
enum Way {
    Plain,
    Xent(Backend),
}

/// Rows to time, one after another in memory.
struct Input {
    title: String,
    logits: Vec<f32>,
    classes: usize,
    labels: Vec<usize>,
}

/// What a way took and gave.
struct Measured {
    ns_per_logit: f64,
    mean_loss: f64,
}

/// Times all ways on these logits and on one long row made of them, and writes a table.
pub(crate) fn report(
    logits: Rows<'_>,
    labels: &[usize],
    out: &mut impl Write,
) -> Result<(), Problem> {
    let rows = Input::of(logits, labels);
    let long = rows.as_one_long_row();
    let mut ways = vec![Way::Plain];
    ways.extend(Backend::all().map(Way::Xent));

    write_title(out, &[&rows, &long]).map_err(Problem::Output)?;
    let rows = measure(&ways, &rows)?;
    let long = measure(&ways, &long)?;
    write_table(out, &ways, &[rows, long]).map_err(Problem::Output)
}

impl Input {
    /// The rows, or the first of them if they are many.
    fn of(logits: Rows<'_>, labels: &[usize]) -> Self {
        let classes = logits.classes();
        let n_rows = logits.n_rows().min((MAX_LOGITS / classes.max(1)).max(1));
        let mut copy = Vec::with_capacity(n_rows * classes);
        for row in 0..n_rows {
            copy.extend((0..classes).filter_map(|class| logits.get(row, class)));
        }
        let first = if n_rows < logits.n_rows() { "first " } else { "" };
        let title = format!("{first}{n_rows} rows of {classes}");
        Input {
            title,
            logits: copy,
            classes,
            labels: labels.iter().take(n_rows).copied().collect(),
        }
    }

    /// The same logits over and over, as one row.
    fn as_one_long_row(&self) -> Self {
        let title = format!("1 row of {LONG_ROW}");
        let logits = self.logits.iter().copied().cycle().take(LONG_ROW).collect();
        Input { title, logits, classes: LONG_ROW, labels: vec![0] }
    }
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::Plain => "plain f32",
            Way::Xent(backend) => backend.name(),
        }
    }

    fn losses(self, input: &Input, losses: &mut [f32]) -> Result<(), Problem> {
        match self {
            Way::Plain => {
                let rows = input.logits.chunks_exact(input.classes);
                for ((x, &label), loss) in rows.zip(&input.labels).zip(losses) {
                    *loss = plain::loss(x, label);
                }
            }
            Way::Xent(backend) => {
                let rows = Rows::new(&input.logits, input.labels.len(), input.classes)?;
                CrossEntropy::new().backend(backend).rows(rows, &input.labels[..], losses)?;
            }
        }
        Ok(())
    }
}

/// Times all ways in turn, again and again, so that a change of the clock rate meets them all.
fn measure(ways: &[Way], input: &Input) -> Result<Vec<Measured>, Problem> {
    let mut losses = vec![0.0; input.labels.len()];
    let mut times = vec![Vec::with_capacity(REPETITIONS); ways.len()];
    let mut mean_losses = Vec::with_capacity(ways.len());
    for way in ways {
        // Also warms the caches.
        way.losses(input, &mut losses)?;
        mean_losses.push(mean(&losses));
    }
    for _ in 0..REPETITIONS {
        for (way, times) in ways.iter().zip(&mut times) {
            times.push(repetition(*way, input, &mut losses)?);
        }
    }
    let measured = times.into_iter().zip(mean_losses).map(|(times, mean_loss)| Measured {
        ns_per_logit: median(times) / input.logits.len() as f64,
        mean_loss,
    });
    Ok(measured.collect())
}

/// The mean time of a call, in ns.
fn repetition(way: Way, input: &Input, losses: &mut [f32]) -> Result<f64, Problem> {
    let mut calls = 0;
    let start = Instant::now();
    loop {
        way.losses(black_box(input), black_box(losses))?;
        calls += 1;
        let elapsed = start.elapsed();
        if elapsed >= REPETITION {
            return Ok(elapsed.as_nanos() as f64 / f64::from(calls));
        }
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn mean(losses: &[f32]) -> f64 {
    losses.iter().copied().map(f64::from).sum::<f64>() / losses.len() as f64
}

fn write_title(out: &mut impl Write, inputs: &[&Input]) -> io::Result<()> {
    writeln!(
        out,
        "Speed of the loss on this CPU, one thread, median of {REPETITIONS} repetitions"
    )?;
    if cfg!(debug_assertions) {
        writeln!(out, "(built without --release: these times say nothing)")?;
    }
    write!(out, "\n{:13}", "")?;
    for input in inputs {
        write!(out, "{:>37}", input.title)?;
    }
    write!(out, "\n{:13}", "")?;
    for _ in inputs {
        write!(out, "{:>15}{:>10}{:>12}", "ns per logit", "vs plain", "mean loss")?;
    }
    writeln!(out)?;
    // The table takes a second or so.
    out.flush()
}

fn write_table(out: &mut impl Write, ways: &[Way], inputs: &[Vec<Measured>]) -> io::Result<()> {
    for (i, way) in ways.iter().enumerate() {
        write!(out, "    {:9}", way.name())?;
        for measured in inputs {
            let Measured { ns_per_logit, mean_loss } = measured[i];
            let speed = format!("{:.1}x", measured[0].ns_per_logit / ns_per_logit);
            write!(out, "{ns_per_logit:>15.3}{speed:>10}{mean_loss:>12.6}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}
