//! How fast is xent beside plain loops, other libraries, and what the machine can do at most?
//!
//! Every contender of a case takes its turn in every round, so that what slows the machine slows all of
//! them; a figure is the median over the rounds, a ratio the median of the rounds' ratios. Results are held
//! against the reference before they are timed, and their largest error stands beside the time.
//!
//!     cargo run --release --manifest-path benches/peers/Cargo.toml --bin speed -- benches/results
//!
//! writes `speed.md` and the charts to that folder. Nothing else may run meanwhile.

mod cases;
mod chart;
mod limits;
mod measure;
mod peers;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: speed FOLDER");
        return ExitCode::FAILURE;
    };
    let report = report::Report {
        bounds: limits::measure(),
        single_rows: cases::single_rows(),
        short_rows: cases::short_rows(),
        batches: cases::batches(),
        threads: cases::threads(),
    };
    match report.write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
