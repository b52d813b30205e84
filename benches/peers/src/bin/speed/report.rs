//! The page and its charts.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use xent_core::Backend;

use crate::cases::{ALL_THREADS, ONE_THREAD};
use crate::chart::{Chart, Series};
use crate::limits::{FROM_MEMORY, ON_THREADS};
use crate::measure::{Case, Timing};

pub struct Report {
    pub bounds: Vec<Case>,
    pub single_rows: Vec<Case>,
    pub short_rows: Vec<Case>,
    pub batches: Vec<Case>,
    pub threads: Vec<Case>,
}

/// What every other contender of a case is compared with.
const BASE: &str = "naive_std";

impl Report {
    /// Writes `speed.md`, `log_sum_exp.svg`, `short_rows.svg` and `threads.svg`.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        self.chart_of_lengths().write(&folder.join("log_sum_exp.svg"))?;
        chart_of("4,096 rows side by side: ns an element", "classes", &self.short_rows)
            .write(&folder.join("short_rows.svg"))?;
        self.chart_of_threads().write(&folder.join("threads.svg"))?;
        fs::write(folder.join("speed.md"), self.page())
    }

    fn bound(&self, operation: &str, name: &str) -> Option<&Timing> {
        self.bounds.iter().find(|case| case.operation == operation)?.timing(name)
    }

    fn chart_of_lengths(&self) -> Chart {
        let mut chart = chart_of(
            "log_sum_exp of one row: ns an element",
            "elements of the row",
            &self.single_rows,
        );
        for (operation, name, label) in [
            ("nine multiply-adds", "avx512", "limit: 9 FMAs, avx512"),
            ("nine multiply-adds", "avx2", "limit: 9 FMAs, avx2"),
            ("memory, read", "read", "limit: reading memory"),
        ] {
            if let Some(bound) = self.bound(operation, name) {
                chart.limits.push((label.to_string(), bound.median));
            }
        }
        chart
    }

    fn chart_of_threads(&self) -> Chart {
        let mut series: Vec<Series> = Vec::new();
        for case in &self.threads {
            let (Some(one), Some(all)) = (case.timing(ONE_THREAD), case.timing(ALL_THREADS)) else {
                continue;
            };
            let point = (case.x as f64, all.times_as_fast_as(one));
            match series.iter_mut().find(|series| series.name == case.operation) {
                Some(series) => series.points.push(point),
                None => {
                    series.push(Series { name: case.operation.to_string(), points: vec![point] })
                }
            }
        }
        let limits = vec![("as one".to_string(), 1.0), ("twice".to_string(), 2.0)];
        Chart {
            title: "all threads, times one".to_string(),
            x_label: "elements".to_string(),
            series,
            limits,
        }
    }

    fn page(&self) -> String {
        let mut page = String::from("# Speed\n\n");
        let _ = writeln!(
            page,
            "{}, {} CPUs, {}, {}. Made by\n\n    cargo run --release --manifest-path benches/peers/Cargo.toml --bin speed -- benches/results\n",
            cpu(),
            std::thread::available_parallelism().map_or(0, usize::from),
            output("rustc", &["--version"]),
            output("date", &["-u", "+%F"]),
        );
        let names: Vec<&str> = Backend::all().map(Backend::name).collect();
        let _ = writeln!(
            page,
            "Backends: {}; fastest: {}. One thread, but in the last table. Nanoseconds an element: the median over the rounds,\n\
             the first and third quartile in brackets; how many times as fast as the plain loop over std's functions, median\n\
             of the rounds' ratios; the largest error in ULP on these inputs. [benches/README.md](../README.md) says more.\n",
            names.join(", "),
            Backend::detected().name(),
        );
        page.push_str("![ns an element over the length of a row](log_sum_exp.svg)\n\n");
        page.push_str("![ns an element over the classes of short rows](short_rows.svg)\n\n");
        page.push_str("![all threads, times one, over the elements](threads.svg)\n\n");
        page.push_str("## Limits and ratios\n\n| | |\n| --- | --- |\n");
        for (what, value) in self.ratios() {
            let _ = writeln!(page, "| {what} | {value:.3} |");
        }
        page.push_str("\n## Times as fast as the plain loop\n\n");
        let header: String = names.iter().map(|name| format!(" {name} |")).collect();
        let _ = writeln!(
            page,
            "| operation | size |{header}\n| --- | --- |{}",
            " --- |".repeat(names.len())
        );
        for case in [&self.single_rows, &self.short_rows, &self.batches].into_iter().flatten() {
            let Some(base) = case.timing(BASE) else { continue };
            let ratio = |name: &&str| match case.timing(name) {
                Some(timing) => format!(" {:.2} |", timing.times_as_fast_as(base)),
                None => " - |".to_string(),
            };
            let ratios: String = names.iter().map(ratio).collect();
            let _ = writeln!(page, "| {} | {} |{ratios}", case.operation, case.size);
        }
        for (title, cases) in [
            ("What the machine can do", &self.bounds),
            ("One row", &self.single_rows),
            ("Short rows", &self.short_rows),
            ("Batches", &self.batches),
            ("Threads", &self.threads),
        ] {
            let _ = writeln!(page, "\n## {title}\n");
            page.push_str(
                "| operation | size | contender | ns an element | times `naive_std` | ULP |\n",
            );
            page.push_str("| --- | --- | --- | --- | --- | --- |\n");
            for case in cases {
                for timing in &case.timings {
                    let ratio = case.timing(BASE).map(|base| timing.times_as_fast_as(base));
                    let _ = writeln!(
                        page,
                        "| {} | {} | {} | {:.3} [{:.3}, {:.3}] | {} | {} |",
                        case.operation,
                        case.size,
                        timing.name,
                        timing.median,
                        timing.quartiles[0],
                        timing.quartiles[1],
                        ratio.map_or("-".to_string(), |ratio| format!("{ratio:.2}")),
                        timing.error_ulp.map_or("-".to_string(), |error| format!("{error:.2}")),
                    );
                }
            }
        }
        page
    }

    /// The figures that say how far from the limits everything is.
    fn ratios(&self) -> Vec<(String, f64)> {
        let mut ratios = Vec::new();
        let mut add =
            |what: String, value: Option<f64>| ratios.extend(value.map(|value| (what, value)));
        let single = |n: usize, name: &str| {
            self.single_rows.iter().find(|case| case.x == n).and_then(|case| case.timing(name))
        };
        let batch = |operation: &str, size: &str, name: &str| {
            let is = |case: &&Case| case.operation == operation && case.size == size;
            self.batches.iter().find(is).and_then(|case| case.timing(name))
        };
        let over = |a: Option<&Timing>, b: Option<&Timing>| Some(a?.median / b?.median);
        for backend in ["avx512", "avx2"] {
            let bound = self.bound("nine multiply-adds", backend);
            add(
                format!(
                    "time of `log_sum_exp` of 32,000, {backend}, over that of nine multiply-adds"
                ),
                over(single(32_000, backend), bound),
            );
        }
        let fastest = Backend::detected().name();
        let read = self.bound("memory, read", "read");
        let in_cache = single(32_000, fastest);
        let larger = match (read, in_cache) {
            (Some(read), Some(cached)) if cached.median > read.median => Some(cached),
            _ => read,
        };
        add(
            "`log_sum_exp` of 512 MiB over the larger of its time in cache and a maximum over that memory"
                .to_string(),
            over(single(FROM_MEMORY, fastest), larger),
        );
        add(
            "`log_sum_exp` of 32,000 over reading and writing as much of 512 MiB".to_string(),
            over(in_cache, self.bound("memory, read and written", "update")),
        );
        let memory = "1024x131072";
        add(
            "loss of 512 MiB over the same".to_string(),
            over(batch("cross_entropy", memory, fastest), larger),
        );
        for (size, what) in [("1024x1000", "1,000 classes"), (memory, "512 MiB")] {
            add(
                format!("loss and gradient over `log_sum_exp_rows`, {what}"),
                over(
                    batch("cross_entropy_gradient", size, fastest),
                    batch("cross_entropy_gradient", size, "log_sum_exp_rows"),
                ),
            );
        }
        add(
            "loss and gradient in place of 512 MiB over reading and writing that memory"
                .to_string(),
            over(
                batch("cross_entropy_gradient", memory, "in place"),
                self.bound("memory, read and written", "update"),
            ),
        );
        add(
            format!("all threads, times one: {}", ON_THREADS),
            over(self.bound(ON_THREADS, ONE_THREAD), self.bound(ON_THREADS, ALL_THREADS)),
        );
        for case in &self.threads {
            if let (Some(one), Some(all)) = (case.timing(ONE_THREAD), case.timing(ALL_THREADS)) {
                add(
                    format!("all threads, times one: {}, {} elements", case.operation, case.size),
                    Some(all.times_as_fast_as(one)),
                );
            }
        }
        ratios
    }
}

/// A line for each contender.
fn chart_of(title: &str, x_label: &str, cases: &[Case]) -> Chart {
    let mut series: Vec<Series> = Vec::new();
    for case in cases {
        for timing in &case.timings {
            let point = (case.x as f64, timing.median);
            match series.iter_mut().find(|series| series.name == timing.name) {
                Some(series) => series.points.push(point),
                None => series.push(Series { name: timing.name.clone(), points: vec![point] }),
            }
        }
    }
    Chart { title: title.to_string(), x_label: x_label.to_string(), series, limits: Vec::new() }
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("an unknown CPU".to_string(), |(_, model)| model.to_string())
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output
        .map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_string())
}
