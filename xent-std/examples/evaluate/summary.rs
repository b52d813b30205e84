//! What the statistics of its rows say about a classifier.

use std::fmt;

use xent_std::{Evaluation, LossTotal, RowStatistics, Rows, batch_statistics, reference};

use crate::plain;
use crate::problem::Problem;
use crate::progress::Progress;
use crate::reliability::Reliability;

/// Logits that are evaluated at a time: 4 MB of f32.
const SLICE: usize = 1 << 20;

/// Rows that are listed.
const LISTED: usize = 5;

/// Bins of the reliability diagram: as many as a terminal shows well.
const N_BINS: usize = 10;

/// A row and its loss.
#[derive(Clone, Copy)]
struct RowLoss {
    row: usize,
    label: usize,
    predicted: usize,
    loss: f32,
}

/// The smallest loss, and what other ways to compute it give.
struct Smallest {
    row: usize,
    loss: f32,
    plain_f32: f32,
    exact: f64,
}

/// Of all rows. Made by [`Summary::of`], printed by `{}`.
pub(crate) struct Summary {
    n_rows: usize,
    classes: usize,
    /// All rows.
    all: Evaluation,
    /// The losses that are numbers.
    finite: LossTotal,
    /// Rows whose loss is NaN: how many, and the first.
    nan: usize,
    first_nan: Option<usize>,
    /// Rows whose loss is infinite, likewise.
    infinite: usize,
    first_infinite: Option<usize>,
    /// The largest losses, largest first.
    worst: Vec<RowLoss>,
    smallest: Option<Smallest>,
}

impl Summary {
    /// Evaluates all rows. `labels`: one a row, each below `logits.classes()`; `top_k`: from 1.
    pub(crate) fn of(logits: Rows<'_>, labels: &[usize], top_k: usize) -> Result<Self, Problem> {
        let slice_rows = (SLICE / logits.classes().max(1)).max(1);
        let progress = Progress::new("evaluating", logits.n_rows());
        let mut summary = Summary::of_nothing(logits, Evaluation::new(top_k, N_BINS)?);
        let mut smallest: Option<RowLoss> = None;

        for (slice, labels) in labels.chunks(slice_rows).enumerate() {
            let start = slice * slice_rows;
            let rows = logits.range(start..start + slice_rows);
            let statistics = batch_statistics(rows, labels)?;

            for (i, (&label, statistics)) in labels.iter().zip(&statistics).enumerate() {
                let (predicted, loss) = (statistics.argmax(), statistics.loss());
                let row = RowLoss { row: start + i, label, predicted, loss };
                summary.add(row, statistics);
                if smallest.is_none_or(|smallest| loss < smallest.loss) && !loss.is_nan() {
                    smallest = Some(row);
                }
            }
            progress.advance(labels.len());
        }
        summary.smallest = smallest.map(|row| Smallest::of(&logits, row));
        Ok(summary)
    }

    fn of_nothing(logits: Rows<'_>, all: Evaluation) -> Self {
        Summary {
            n_rows: logits.n_rows(),
            classes: logits.classes(),
            all,
            finite: LossTotal::EMPTY,
            nan: 0,
            first_nan: None,
            infinite: 0,
            first_infinite: None,
            worst: Vec::with_capacity(LISTED + 1),
            smallest: None,
        }
    }

    fn add(&mut self, row: RowLoss, statistics: &RowStatistics) {
        self.all.push(statistics);
        if row.loss.is_nan() {
            self.nan += 1;
            self.first_nan.get_or_insert(row.row);
            return;
        }
        if row.loss.is_finite() {
            self.finite.push(row.loss, 1.0);
        } else {
            self.infinite += 1;
            self.first_infinite.get_or_insert(row.row);
        }
        // Rows come in order, so the first of equal losses stays ahead.
        let place = self.worst.partition_point(|worse| worse.loss >= row.loss);
        if place < LISTED {
            self.worst.insert(place, row);
            self.worst.truncate(LISTED);
        }
    }
}

impl Smallest {
    fn of(logits: &Rows<'_>, RowLoss { row, label, loss, .. }: RowLoss) -> Self {
        let x: Vec<f32> = elements(logits, row).collect();
        let exact = reference::cross_entropy(&x, label);
        Smallest { row, loss, plain_f32: plain::loss(&x, label), exact }
    }
}

/// The logits of a row, also where they do not lie side by side.
fn elements<'a>(logits: &'a Rows<'_>, row: usize) -> impl Iterator<Item = f32> + 'a {
    (0..logits.classes()).filter_map(move |class| logits.get(row, class))
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { all, .. } = self;
        let top_k = format!("top {}", all.top_k());
        writeln!(f, "rows         {}", self.n_rows)?;
        writeln!(f, "classes      {}", self.classes)?;
        writeln!(f, "mean loss    {} nats", Number(all.mean_loss()))?;
        writeln!(f, "perplexity   {}", Number(all.perplexity()))?;
        let (accuracy, n_correct) = (all.accuracy(), all.n_correct());
        writeln!(f, "accuracy     {accuracy:.6} ({n_correct} of {})", self.n_rows)?;
        writeln!(f, "{top_k:12} {:.6}", all.top_k_accuracy())?;
        writeln!(f, "entropy      {} nats, mean", Number(all.mean_entropy()))?;
        let ece = all.expected_calibration_error();
        writeln!(f, "ECE          {ece:.6} expected calibration error, {N_BINS} bins")?;
        self.write_not_finite(f)?;
        write!(f, "{}", Reliability(all))?;
        self.write_worst(f)?;
        self.smallest.as_ref().map_or(Ok(()), |smallest| smallest.write(f))
    }
}

impl Summary {
    /// What NaN and infinite losses do to the mean, and what it is without them.
    fn write_not_finite(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { nan, infinite, finite, .. } = self;
        if nan + infinite == 0 {
            return Ok(());
        }
        writeln!(
            f,
            "\nThe mean is {} because of losses that are no finite number",
            self.all.mean_loss()
        )?;
        if let Some(row) = self.first_nan {
            writeln!(
                f,
                "    NaN          {nan}, first in row {row}: a logit is NaN or +inf, or all are -inf"
            )?;
        }
        if let Some(row) = self.first_infinite {
            writeln!(
                f,
                "    infinite     {infinite}, first in row {row}: the label has probability 0"
            )?;
        }
        writeln!(f, "    finite       {}", finite.count())?;
        if finite.count() > 0 {
            writeln!(f, "    their mean   {} nats", Number(finite.mean()))?;
            writeln!(f, "    perplexity   {}", Number(finite.mean().exp()))?;
        }
        Ok(())
    }

    fn write_worst(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.worst.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nMost surprising rows")?;
        writeln!(f, "{:>12} {:>9} {:>11} {:>10}", "row", "label", "predicted", "loss")?;
        for RowLoss { row, label, predicted, loss } in &self.worst {
            writeln!(f, "{row:>12} {label:>9} {predicted:>11} {loss:>10.4}")?;
        }
        Ok(())
    }
}

impl Smallest {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nSmallest loss, in row {}", self.row)?;
        writeln!(f, "    xent         {}", Number(f64::from(self.loss)))?;
        writeln!(f, "    exact        {}", Number(self.exact))?;
        let plain = Number(f64::from(self.plain_f32));
        writeln!(
            f,
            "    plain f32    {plain:<16} ln(sum(exp(x - m))) - (x_t - m), all of it in f32"
        )
    }
}

/// Nine digits or so of a number of any size.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        if size == 0.0 || !size.is_finite() {
            f.pad(&self.0.to_string())
        } else if (1e-2..1e6).contains(&size) {
            f.pad(&format!("{:.8}", self.0))
        } else {
            f.pad(&format!("{:.8e}", self.0))
        }
    }
}
