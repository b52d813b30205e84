//! The largest errors of xent and of other libraries on the rows of the hard set, as tables.
//!
//! xent on every backend of this CPU, rten-vecmath and candle as they are; torch, JAX, TensorFlow and ONNX
//! Runtime as `record.py` recorded them. Names the lines in which xent's error is not the smallest, and fails if
//! there are any.
//!
//!     cargo run --release --manifest-path benches/peers/Cargo.toml --bin accuracy

use std::process::ExitCode;

use candle_core::{Device, Tensor};
use rten_simd::SimdOp;
use rten_vecmath::{LogSoftmax, Softmax};
use xent_core::{Backend, CrossEntropy, accuracy, reference};

/// Rows longer than this were not recorded.
const LONGEST: usize = 1 << 24;
const OPERATIONS: [&str; 3] = ["log_sum_exp", "loss", "softmax"];
/// Kinds of rows, and how their names are known, in this order.
const KINDS: [(&str, &[&str]); 6] = [
    ("confident", &["confident"]),
    ("common offset", &["offset"]),
    ("random", &["uniform"]),
    ("long", &["one and", "and one", "2^", "above 0"]),
    ("ties", &["equal", "tied"]),
    ("subnormal and huge", &[""]),
];

/// Log-sum-exp, loss of the label, and softmax of the elements [`samples`]; `None` where a library has no such
/// operation.
struct Values {
    lse: Option<f32>,
    loss: f32,
    softmax: Vec<f32>,
}

struct Row {
    name: &'static str,
    x: Vec<f32>,
    label: usize,
}

fn rows() -> impl Iterator<Item = Row> {
    let lines = include_str!("../../../../xent-core/tests/hard_set/rows.txt").lines();
    let rows = lines.map(|line| {
        let [name, runs, label] = [0, 1, 2].map(|i| line.split(" | ").nth(i).unwrap());
        let mut x = Vec::new();
        for run in runs.split(' ') {
            let (count, bits) = run.split_once('*').unwrap();
            let value = f32::from_bits(u32::from_str_radix(bits, 16).unwrap());
            x.resize((x.len() + count.parse::<usize>().unwrap()).min(LONGEST + 1), value);
        }
        Row { name, x, label: label.parse().unwrap() }
    });
    rows.filter(|row| row.x.len() <= LONGEST)
}

fn samples(row: &Row) -> [usize; 5] {
    let n = row.x.len();
    [0, n / 3, n / 2, n - 1, row.label]
}

fn xent(backend: Backend, row: &Row) -> Values {
    let mut softmax = vec![0.0; row.x.len()];
    backend.softmax(&row.x, &mut softmax).unwrap();
    Values {
        lse: Some(backend.log_sum_exp(&row.x)),
        loss: CrossEntropy::new().backend(backend).row(&row.x, row.label).unwrap(),
        softmax: samples(row).map(|i| softmax[i]).to_vec(),
    }
}

fn rten(row: &Row) -> Values {
    let (mut softmax, mut log_softmax) = (row.x.clone(), row.x.clone());
    Softmax::new_mut(&mut softmax).dispatch();
    LogSoftmax::new_mut(&mut log_softmax).dispatch();
    let softmax = samples(row).map(|i| softmax[i]).to_vec();
    Values { lse: None, loss: -log_softmax[row.label], softmax }
}

fn candle(row: &Row) -> candle_core::Result<Values> {
    let x = Tensor::from_slice(&row.x, (1, row.x.len()), &Device::Cpu)?;
    let label = Tensor::new(&[row.label as u32], &Device::Cpu)?;
    let softmax = candle_nn::ops::softmax(&x, 1)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(Values {
        lse: Some(x.log_sum_exp(1)?.to_vec1::<f32>()?[0]),
        loss: candle_nn::loss::cross_entropy(&x, &label)?.to_scalar()?,
        softmax: samples(row).map(|i| softmax[i]).to_vec(),
    })
}

/// A file of `record.py`, read line by line.
struct Recorded {
    version: &'static str,
    lines: std::str::Lines<'static>,
}

impl Recorded {
    fn new(file: &'static str) -> Self {
        let mut lines = file.lines();
        Recorded { version: lines.next().unwrap(), lines }
    }

    fn next(&mut self, row: &Row) -> Values {
        let (name, bits) = self.lines.next().unwrap().split_once(" | ").unwrap();
        assert_eq!(name, row.name, "{}: record again", self.version);
        let values = bits.split(' ').map(|b| f32::from_bits(u32::from_str_radix(b, 16).unwrap()));
        let values: Vec<f32> = values.collect();
        Values { lse: Some(values[0]), loss: values[1], softmax: values[2..].to_vec() }
    }
}

/// In units of the last place of an f32 as large as `scale`; 0 where both are infinite as f32.
fn error_ulp(got: f32, want: f64, scale: f64) -> f64 {
    if want.abs() > f64::from(f32::MAX) && f64::from(got) == want.signum() * f64::INFINITY {
        return 0.0;
    }
    let error = (f64::from(got) - want).abs() / (accuracy::ULP * scale).max(2_f64.powi(-149));
    if error.is_nan() { f64::INFINITY } else { error }
}

/// What the operations of a row should give.
struct Exact {
    lse: f64,
    /// The result is `m + ln(1 + s)`; where they cancel, it has the error of both.
    lse_scale: f64,
    loss: f64,
    softmax: [f64; 5],
}

impl Exact {
    fn new(row: &Row) -> Self {
        let lse = reference::log_sum_exp(&row.x);
        Exact {
            lse,
            lse_scale: reference::log_sum_exp_excess(&row.x).max(lse.abs()),
            loss: reference::cross_entropy(&row.x, row.label),
            softmax: samples(row).map(|i| reference::softmax(&row.x, i)),
        }
    }

    /// The error of each operation.
    fn errors(&self, got: &Values) -> [Option<f64>; 3] {
        let softmax =
            got.softmax.iter().zip(self.softmax).map(|(&p, want)| error_ulp(p, want, want));
        [
            got.lse.map(|got| error_ulp(got, self.lse, self.lse_scale)),
            Some(error_ulp(got.loss, self.loss, self.loss)),
            Some(softmax.fold(0.0, f64::max)),
        ]
    }
}

fn text(error: Option<f64>) -> String {
    match error {
        None => "-".to_string(),
        Some(error) if error < 1000.0 => format!("{error:.2}"),
        Some(error) if error.is_finite() => format!("{error:.0e}"),
        Some(_) => "not finite".to_string(),
    }
}

fn main() -> ExitCode {
    let mut recorded = [
        include_str!("../../recorded/torch.txt"),
        include_str!("../../recorded/jax.txt"),
        include_str!("../../recorded/tensorflow.txt"),
        include_str!("../../recorded/onnxruntime.txt"),
    ]
    .map(Recorded::new);
    let backends: Vec<Backend> = Backend::all().collect();
    let mut names: Vec<String> = backends.iter().map(|b| format!("xent, {}", b.name())).collect();
    names.extend(["rten-vecmath 0.27".to_string(), "candle 0.11".to_string()]);
    names.extend(recorded.iter().map(|library| library.version.to_string()));

    let mut worst = vec![vec![[None; OPERATIONS.len()]; names.len()]; KINDS.len()];
    for row in rows() {
        let is = |(_, words): &(_, &[&str])| words.iter().any(|word| row.name.contains(word));
        let kind = KINDS.iter().position(is).unwrap();
        let mut values: Vec<Values> = backends.iter().map(|&backend| xent(backend, &row)).collect();
        values.push(rten(&row));
        values.push(candle(&row).unwrap());
        values.extend(recorded.iter_mut().map(|library| library.next(&row)));
        let exact = Exact::new(&row);
        for (values, worst) in values.iter().zip(&mut worst[kind]) {
            for (error, worst) in exact.errors(values).into_iter().zip(worst) {
                *worst = error.map(|error| worst.unwrap_or(0.0_f64).max(error));
            }
        }
    }

    let mut is_behind = false;
    println!("| ULP | rows | {} |", names.join(" | "));
    println!("| --- | --- |{}", " --- |".repeat(names.len()));
    for (operation, name) in OPERATIONS.iter().enumerate() {
        for ((kind, _), worst) in KINDS.iter().zip(&worst) {
            let errors: Vec<Option<f64>> = worst.iter().map(|errors| errors[operation]).collect();
            let (ours, theirs) = errors.split_at(backends.len());
            let largest = ours.iter().flatten().fold(0.0, |a: f64, &b| a.max(b));
            let smallest = theirs.iter().flatten().fold(f64::INFINITY, |a: f64, &b| a.min(b));
            let cells: Vec<String> = errors.iter().map(|&error| text(error)).collect();
            println!("| {name} | {kind} | {} |", cells.join(" | "));
            if largest > smallest {
                is_behind = true;
                eprintln!("{name}, {kind}: {largest:.4} is not the smallest, {smallest:.4} is");
            }
        }
    }
    if is_behind { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
