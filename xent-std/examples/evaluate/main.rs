//! Evaluates a classifier: reads its logits and the right labels from `.npy` files, prints mean loss,
//! perplexity, accuracy, calibration and the most surprising rows, and times the backends of this CPU on
//! them.
//!
//! ```text
//! cargo run --release -p xent-std --example evaluate
//! cargo run --release -p xent-std --example evaluate -- LOGITS.npy LABELS.npy
//! ```
//!
//! | file | what |
//! | --- | --- |
//! | `main.rs` | the command line |
//! | `npy.rs` | `.npy` files to logits and labels |
//! | `summary.rs` | logits and labels to statistics, and what they say: the part to copy |
//! | `reliability.rs` | the reliability diagram |
//! | `plain.rs` | the textbook formula in f32, to compare with |
//! | `speed.rs` | the times |
//! | `progress.rs` | the progress bar |
//! | `problem.rs` | what can be wrong, and how it is said |

mod npy;
mod plain;
mod problem;
mod progress;
mod reliability;
mod speed;
mod summary;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::npy::{Labels, Logits, Npy};
use crate::problem::Problem;
use crate::summary::Summary;

/// Cross-entropy, perplexity, accuracy and calibration of a classifier, from its logits.
///
/// Without files: a small network's held-out logits for 1797 handwritten digits.
#[derive(Parser)]
#[command(
    name = "evaluate",
    override_usage = "evaluate [--top-k K] [--no-speed] [LOGITS.npy LABELS.npy]",
    after_help = FILES
)]
struct Arguments {
    /// Logits, one row a sample: shape (rows, classes), float16, float32 or float64
    #[arg(value_name = "LOGITS.npy", requires = "labels")]
    logits: Option<PathBuf>,

    /// The right class of each row, from 0: shape (rows,) or (rows, 1), any integer type
    #[arg(value_name = "LABELS.npy")]
    labels: Option<PathBuf>,

    /// Count the rows whose class is among the K with the largest logits [default: 5, or all classes]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    top_k: Option<u32>,

    /// Leave out the times of the backends
    #[arg(long)]
    no_speed: bool,
}

const FILES: &str = "\
Files are NumPy's .npy, in C or Fortran order and either byte order:

    numpy.save(\"logits.npy\", logits)    # before the softmax
    numpy.save(\"labels.npy\", labels)

float64 logits are rounded to float32. Losses are in nats.
The exit code is 0, 1 for a file that does not fit, 2 for a wrong command line.";

/// Unless there are fewer classes or the command line has another.
const TOP_K: usize = 5;

const DIGITS_LOGITS: &[u8] = include_bytes!("digits_logits.npy");
const DIGITS_LABELS: &[u8] = include_bytes!("digits_labels.npy");

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe has seen enough: `evaluate | head`.
        Err(Problem::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(problem) => {
            // Nothing is left to say if stderr is closed too.
            let _ = writeln!(io::stderr(), "error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Problem> {
    let mut out = io::stdout().lock();

    let (logits, labels) = read(arguments)?;
    writeln!(out, "logits  {}\nlabels  {}\n", logits.description, labels.description)
        .map_err(Problem::Output)?;

    let rows = logits.rows()?;
    let top_k = match arguments.top_k {
        Some(k) => usize::try_from(k).unwrap_or(usize::MAX),
        None => rows.classes().clamp(1, TOP_K),
    };
    let summary = Summary::of(rows, &labels.values, top_k)?;
    writeln!(out, "{summary}").map_err(Problem::Output)?;

    if !arguments.no_speed {
        speed::report(logits.rows()?, &labels.values, &mut out)?;
    }
    Ok(())
}

/// The two files of the command line, or the digits.
fn read(arguments: &Arguments) -> Result<(Logits, Labels), Problem> {
    let (logits, labels) = match (&arguments.logits, &arguments.labels) {
        (Some(logits), Some(labels)) => (Npy::open(logits)?, Npy::open(labels)?),
        _ => (
            Npy::built_in("digits_logits.npy (built in)", DIGITS_LOGITS)?,
            Npy::built_in("digits_labels.npy (built in)", DIGITS_LABELS)?,
        ),
    };
    npy::read_pair(logits, labels)
}
