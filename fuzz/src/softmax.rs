//! Softmax and log-softmax of rows: to a buffer, in place, in every layout.

use xent_core::{Backend, Error, Rows, accuracy, reference};

use crate::bytes::Bytes;
use crate::compare::{Classes, Output, Promise, assert_due, assert_same_bits, bits};
use crate::layout::Layout;

/// See the module.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let n_rows = [1, 2, 3, 4, 6, 12, 0, 1][bytes.below(8)];
    let n = bytes.row_len(n_rows == 1);
    let x = bytes.logits(n_rows * n);
    let layout = Layout::new(&mut bytes, &x, n_rows, n);
    layout.assert_checked();
    let out_len = if bytes.rarely() { bytes.below(2 * x.len() + 2) } else { x.len() };
    let due = if out_len == x.len() {
        vec![]
    } else {
        vec![Error::LengthMismatch { expected: x.len(), found: out_len }]
    };

    for function in FUNCTIONS {
        let expected: Vec<Promise> = x.chunks(n.max(1)).flat_map(function.expected).collect();
        let mut classes = Classes::default();
        for backend in Backend::all() {
            let context =
                || format!("{backend:?}: {} of {n_rows} x {n} {:x?}", function.name, bits(&x));
            let mut out = Output::new(out_len);
            let result = (function.rows)(backend, layout.rows(), out.slice());
            assert_due(&result, &due, context);
            if result.is_err() {
                out.assert_untouched(context);
                continue;
            }
            let got = out.written(context);
            classes.assert_same(backend, got, context);
            if backend == Backend::detected() {
                let mut of_free = Output::new(out_len);
                (function.free_rows)(layout.rows(), of_free.slice()).expect("as on the backend");
                assert_same_bits(of_free.written(context), got, context);
            }
            for (i, (expected, &got)) in expected.iter().zip(got).enumerate() {
                expected.assert(got, || format!("element {i}: {}", context()));
            }
            check_one_row(function, backend, &x, &context);
            // The rows of a batch have the bits that each has alone.
            for (x, got) in x.chunks(n.max(1)).zip(got.chunks(n.max(1))) {
                let mut alone = x.to_vec();
                (function.in_place)(backend, &mut alone);
                assert_same_bits(got, &alone, context);
            }
        }
    }
}

/// All elements as one row: to a buffer, in place, to a buffer of the wrong length.
fn check_one_row(function: &Function, backend: Backend, x: &[f32], context: &dyn Fn() -> String) {
    let mut out = Output::new(x.len());
    assert_due(&(function.slice)(backend, x, out.slice()), &[], context);
    let mut in_place = x.to_vec();
    (function.in_place)(backend, &mut in_place);
    assert_same_bits(&in_place, out.written(context), context);

    if backend == Backend::detected() {
        let mut of_free = Output::new(x.len());
        (function.free)(x, of_free.slice()).expect("of one length");
        assert_same_bits(of_free.written(context), &in_place, context);
        let mut of_free = x.to_vec();
        (function.free_in_place)(&mut of_free);
        assert_same_bits(&of_free, &in_place, context);
    }
    let mut longer = Output::new(x.len() + 1);
    let due = Error::LengthMismatch { expected: x.len(), found: x.len() + 1 };
    assert_due(&(function.slice)(backend, x, longer.slice()), &[due], context);
    longer.assert_untouched(context);
}

type ToBuffer = fn(Backend, &[f32], &mut [f32]) -> Result<(), Error>;
type RowsToBuffer = fn(Backend, Rows<'_>, &mut [f32]) -> Result<(), Error>;

/// The doors to one function.
struct Function {
    name: &'static str,
    slice: ToBuffer,
    in_place: fn(Backend, &mut [f32]),
    rows: RowsToBuffer,
    /// On the detected backend.
    free: fn(&[f32], &mut [f32]) -> Result<(), Error>,
    free_in_place: fn(&mut [f32]),
    free_rows: fn(Rows<'_>, &mut [f32]) -> Result<(), Error>,
    expected: fn(&[f32]) -> Vec<Promise>,
}

const FUNCTIONS: &[Function] = &[
    Function {
        name: "softmax",
        slice: Backend::softmax,
        in_place: Backend::softmax_in_place,
        rows: Backend::softmax_rows,
        free: xent_core::softmax,
        free_in_place: xent_core::softmax_in_place,
        free_rows: xent_core::softmax_rows,
        expected: expected_softmax,
    },
    Function {
        name: "log_softmax",
        slice: Backend::log_softmax,
        in_place: Backend::log_softmax_in_place,
        rows: Backend::log_softmax_rows,
        free: xent_core::log_softmax,
        free_in_place: xent_core::log_softmax_in_place,
        free_rows: xent_core::log_softmax_rows,
        expected: expected_log_softmax,
    },
];

/// The reference takes time of the length for one element. All are that of the maximum, times
/// `exp(x - m)`.
fn expected_softmax(x: &[f32]) -> Vec<Promise> {
    let (k, m) = max(x);
    let of_max = reference::softmax(x, k);
    let ulp = accuracy::SOFTMAX + reference::mean_distance(x) / 2.0;
    x.iter().map(|&x| Promise::value(of_max * (f64::from(x) - m).exp(), ulp)).collect()
}

/// As `expected_softmax`.
fn expected_log_softmax(x: &[f32]) -> Vec<Promise> {
    let (k, m) = max(x);
    let of_max = reference::log_softmax(x, k);
    let ulp = accuracy::LOG_SOFTMAX + reference::mean_distance(x) / 2.0;
    x.iter().map(|&x| Promise::value((f64::from(x) - m) + of_max, ulp)).collect()
}

fn max(x: &[f32]) -> (usize, f64) {
    let mut max = (0, f64::NEG_INFINITY);
    for (i, &x) in x.iter().enumerate() {
        if f64::from(x) > max.1 {
            max = (i, f64::from(x));
        }
    }
    max
}
