//! The reliability diagram, in text.

use std::fmt;

use xent_std::Evaluation;

/// Characters from accuracy 0 to 1.
const WIDTH: usize = 40;

/// Of each bin of an evaluation a line: its rows, their mean confidence and accuracy, and a bar.
pub(crate) struct Reliability<'a>(pub(crate) &'a Evaluation);

impl fmt::Display for Reliability<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bins = self.0.bins();
        // With ten classes no row is less confident than 0.1.
        let Some(first) = bins.iter().position(|bin| bin.count() > 0) else {
            return Ok(());
        };
        writeln!(f, "\nHow often the prediction is right (=), by how sure it is (|)")?;
        let (zero, one) = ("0", "1");
        writeln!(f, " confidence     rows  sure  right   {zero:<WIDTH$}{one}")?;
        for (i, bin) in bins.iter().enumerate().skip(first) {
            let [low, high] = [i, i + 1].map(|i| i as f64 / bins.len() as f64);
            write!(f, "{low:5.2}-{high:.2} {:9}", bin.count())?;
            if bin.count() == 0 {
                writeln!(f)?;
                continue;
            }
            let (confidence, accuracy) = (bin.mean_confidence(), bin.accuracy());
            let bar = bar(confidence, accuracy);
            writeln!(f, " {confidence:5.3}  {accuracy:5.3}   {}", bar.trim_end())?;
        }
        match self.0.nan_count() {
            0 => Ok(()),
            n => writeln!(f, "      none {n:9}"),
        }
    }
}

/// `=` up to the accuracy, and `|` at the confidence.
fn bar(confidence: f64, accuracy: f64) -> String {
    let place = |x: f64| (x * WIDTH as f64).round() as usize;
    let (mark, end) = (place(confidence), place(accuracy));
    let character = |i| match i {
        i if i == mark => '|',
        i if i < end => '=',
        _ => ' ',
    };
    (0..=WIDTH).map(character).collect()
}
