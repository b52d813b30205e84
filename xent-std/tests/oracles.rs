//! What other libraries give for random cases, with all options and gradients, replayed through the
//! conformance driver on every backend: `oracles/LIBRARY.jsonl`, one fixture a line, made by
//! `oracles/generate.py`. Its README has the fields, and the differences that are meant.

mod driver;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use driver::{Driver, Response, numbers};
use serde::Deserialize;
use serde_json::value::RawValue;
use xent_core::Backend;

/// With fewer, a file is missing.
const MIN_FIXTURES: usize = 1_000;
/// Failures beyond these are only counted.
const MAX_SHOWN: usize = 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    library: String,
    call: String,
    /// In which the library computed; the tolerances are the looser for it.
    #[serde(rename = "dtype")]
    _dtype: String,
    request: Box<RawValue>,
    y: Vec<Number>,
    gradient: Option<Vec<Number>>,
    #[serde(default)]
    rtol: f64,
    #[serde(default)]
    atol: f64,
    #[serde(default)]
    gradient_rtol: f64,
    #[serde(default)]
    gradient_atol: f64,
    /// Why xent gives something else.
    differs: Option<String>,
    /// What it gives then, in place of the fields of the same name.
    #[serde(default)]
    expected: Expected,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    y: Option<Vec<Number>>,
    gradient: Option<Vec<Number>>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Special(String),
}

impl Number {
    fn value(&self) -> f64 {
        match self {
            Number::Finite(value) => *value,
            Number::Special(text) => text.parse().expect("nan, inf or -inf"),
        }
    }
}

impl Fixture {
    /// The request, on a backend.
    fn request_on(&self, backend: Backend) -> String {
        let fields = self.request.get().strip_prefix('{').expect("a request is an object");
        format!(r#"{{"backend":"{}",{fields}"#, backend.name())
    }

    /// What is wrong with an answer.
    fn check(&self, response: &Response) -> Result<(), String> {
        if let Some(wanted) = &self.expected.error {
            return match &response.error {
                Some(error) if error.kind == *wanted => Ok(()),
                _ => Err(format!("got {}\n  wanted {wanted}", shortened(response))),
            };
        }
        let Some(y) = &response.y else {
            return Err(format!("got {}", shortened(response)));
        };
        let wanted = self.expected.y.as_ref().unwrap_or(&self.y);
        compare("y", &numbers(y), wanted, self.rtol, self.atol)?;

        let wanted = self.expected.gradient.as_ref().or(self.gradient.as_ref());
        match (&response.gradient, wanted) {
            (None, None) => Ok(()),
            (Some(got), Some(wanted)) => {
                compare("gradient", &numbers(got), wanted, self.gradient_rtol, self.gradient_atol)
            }
            (got, _) => Err(format!("a gradient: got {}", got.is_some())),
        }
    }
}

/// The first value that is too far away: NaN and infinities must be met exactly.
fn compare(name: &str, got: &[f32], wanted: &[Number], rtol: f64, atol: f64) -> Result<(), String> {
    if got.len() != wanted.len() {
        return Err(format!("{name}: got {} values, wanted {}", got.len(), wanted.len()));
    }
    for (i, (&got, wanted)) in got.iter().zip(wanted).enumerate() {
        let wanted = wanted.value();
        let distance = (f64::from(got) - wanted).abs();
        let near = if wanted.is_finite() {
            // Not the other way round, which would take NaN for near.
            distance <= rtol * wanted.abs() + atol
        } else {
            f64::from(got) == wanted || got.is_nan() && wanted.is_nan()
        };
        if !near {
            return Err(format!(
                "{name}[{i}]: got {got:e} (bits {:#010x})\n  wanted {wanted:e}, off by {distance:e}, \
                 allowed {rtol:e} of it and {atol:e}",
                got.to_bits()
            ));
        }
    }
    Ok(())
}

fn shortened(response: &Response) -> String {
    let mut text = format!("{response:?}");
    if let Some((end, _)) = text.char_indices().nth(300) {
        text.replace_range(end.., "...");
    }
    text
}

/// The fixtures of all files, with file and line.
fn fixtures() -> Vec<(String, Fixture)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles");
    let entries = fs::read_dir(&folder).expect("the fixtures' folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    let mut fixtures = Vec::new();
    for path in paths {
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a file of fixtures");
        for (i, line) in text.lines().enumerate() {
            let place = format!("{name}:{}", i + 1);
            let fixture = serde_json::from_str(line).unwrap_or_else(|e| panic!("{place}: {e}"));
            fixtures.push((place, fixture));
        }
    }
    fixtures
}

#[test]
fn every_recorded_case_gives_what_other_libraries_give() {
    let fixtures = fixtures();
    let backends: Vec<Backend> = Backend::all().collect();
    let mut driver = Driver::start();
    for &backend in &backends {
        for (_, fixture) in &fixtures {
            driver.send(fixture.request_on(backend));
        }
    }
    let mut failures = Vec::new();
    for &backend in &backends {
        for (place, fixture) in &fixtures {
            let response = driver.answer(fixture.request.get());
            if let Err(wrong) = fixture.check(&response) {
                let Fixture { library, call, .. } = fixture;
                let mut failure =
                    format!("{place}, {}: {library}\n  {call}\n  {wrong}", backend.name());
                if let Some(reason) = &fixture.differs {
                    failure += &format!("\n  where {reason}");
                }
                failures.push(failure + &format!("\n  {}", fixture.request.get()));
            }
        }
    }
    driver.finish();

    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for (_, fixture) in &fixtures {
        let count = counts.entry(&fixture.library).or_default();
        count[0] += 1;
        count[1] += usize::from(fixture.differs.is_some());
    }
    let names: Vec<&str> = backends.iter().map(|backend| backend.name()).collect();
    for (library, [n, differing]) in counts {
        println!("{library}: {n} fixtures on {names:?}, {differing} of them meant to differ");
    }
    for failure in failures.iter().take(MAX_SHOWN) {
        println!("{failure}");
    }
    let n_answers = fixtures.len() * backends.len();
    assert!(failures.is_empty(), "{} of {n_answers} answers are wrong", failures.len());
    assert!(fixtures.len() >= MIN_FIXTURES, "only {} fixtures", fixtures.len());
}
