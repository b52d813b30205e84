//! Log-sum-exp of a row, and its state: slices, layouts, pushes, merges, losses.
//!
//! The bits of a user's own merges and pushes are not promised beyond those at the ends of chunks;
//! they are held to the same bounds.

use xent_core::{Backend, LogSumExp, accuracy, reference};

use crate::bytes::Bytes;
use crate::compare::{Classes, Output, assert_due, assert_same_bits, assert_within, bits};
use crate::layout::{Layout, check_extreme_shapes};

/// See the module.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let n = bytes.row_len(true);
    let x = bytes.logits(n);
    let label = bytes.below(n.max(1));
    let split = bytes.below(n + 1);
    let offset = 1 + bytes.below(15);
    let layout = Layout::new(&mut bytes, &x, 1, n);
    layout.assert_checked();
    check_extreme_shapes(&mut bytes);

    let expected = Expected::of(&x, label);
    let context = |what: &str| format!("{what} of {n} elements {:x?}, label {label}", bits(&x));
    let assert_value = |got: f32, what: &str| {
        let (value, scale) = (expected.value, expected.scale);
        assert_within(got, value, expected.ulp, scale, || context(what));
    };

    let unaligned: Vec<f32> = std::iter::repeat_n(f32::NAN, offset).chain(x.clone()).collect();
    let (left, right) = x.split_at(split);
    let pushed = (n <= 5000).then(|| pushed(&x));
    check_detected(&x, &layout, label, &|| context("the detected backend"));
    let mut classes = Classes::default();
    for backend in Backend::all() {
        let context = |what: &str| context(&format!("{backend:?}: {what}"));
        assert_eq!(Backend::by_name(backend.name()), Ok(backend));
        let got = backend.log_sum_exp(&x);
        assert_value(got, &format!("{backend:?}: log_sum_exp"));
        classes.assert_same(backend, &[got], || context("log_sum_exp"));

        let again = backend.log_sum_exp(&unaligned[offset..]);
        assert_same_bits(&[again], &[got], || context("unaligned log_sum_exp"));
        let mut out = Output::new(1);
        let result = backend.log_sum_exp_rows(layout.rows(), out.slice());
        assert_due(&result, &[], || context("log_sum_exp_rows"));
        assert_same_bits(out.written(|| context("rows")), &[got], || context("layout"));

        let state = backend.log_sum_exp_state(&x);
        let value = backend.log_sum_exp_value(state);
        assert_same_bits(&[value], &[got], || context("value of the state"));
        let chunks = x.chunks(LogSumExp::CHUNK).map(|x| backend.log_sum_exp_state(x));
        let chunks = chunks.fold(LogSumExp::EMPTY, LogSumExp::merge);
        let value = backend.log_sum_exp_value(chunks);
        assert_same_bits(&[value], &[got], || context("chunks"));
        let with_nothing = LogSumExp::EMPTY.merge(state).merge(LogSumExp::EMPTY);
        let value = backend.log_sum_exp_value(with_nothing);
        assert_same_bits(&[value], &[got], || context("merge with nothing"));

        let merged = backend.log_sum_exp_state(left).merge(backend.log_sum_exp_state(right));
        let mut states = vec![("the state", state), ("a merge", merged)];
        states.extend(pushed.map(|pushed| ("pushes", pushed)));
        for (what, state) in states {
            let what = format!("{backend:?}: {what}, split at {split}");
            assert_value(backend.log_sum_exp_value(state), &what);
            assert_same_bits(&[state.max() + 0.0], &[expected.max], || context("maximum"));
            if let Some(&x_t) = x.get(label) {
                let (loss, ulp) = (expected.loss, accuracy::LOSS + expected.distance / 2.0);
                let got = backend.log_sum_exp_loss(state, x_t);
                assert_within(got, loss, ulp, loss.abs(), || context(&what));
            }
        }
    }

    let wrong = bytes.byte() % 3;
    if wrong != 1 {
        let mut out = Output::new(usize::from(wrong));
        let result = xent_core::log_sum_exp_rows(layout.rows(), out.slice());
        let due = xent_core::Error::LengthMismatch { expected: 1, found: usize::from(wrong) };
        assert_due(&result, &[due], || context("wrong length"));
        out.assert_untouched(|| context("wrong length"));
    }
}

/// The state of elements that come one by one, which is the same whoever takes them.
fn pushed(x: &[f32]) -> LogSumExp {
    let (mut pushed, mut extended) = (LogSumExp::EMPTY, LogSumExp::EMPTY);
    x.iter().for_each(|&x| pushed.push(x));
    extended.extend(x.iter().copied());
    let collected = LogSumExp::from_iter(x.iter().copied());
    for state in [extended, collected] {
        assert_same_bits(&[state.value()], &[pushed.value()], || {
            format!("pushes of {:x?}", bits(x))
        });
    }
    pushed
}

/// Without a backend, the detected one does it.
fn check_detected(x: &[f32], layout: &Layout, label: usize, context: &dyn Fn() -> String) {
    let backend = Backend::detected();
    let state = backend.log_sum_exp_state(x);
    let expected = [backend.log_sum_exp_value(state); 3];
    let mut of_rows = [0.0];
    xent_core::log_sum_exp_rows(layout.rows(), &mut of_rows).expect("one row");
    let got = [xent_core::log_sum_exp(x), LogSumExp::of(x).value(), of_rows[0]];
    assert_same_bits(&got, &expected, context);
    if let Some(&x_t) = x.get(label) {
        let expected = backend.log_sum_exp_loss(state, x_t);
        assert_same_bits(&[state.loss(x_t)], &[expected], context);
    }
}

struct Expected {
    value: f64,
    scale: f64,
    ulp: f64,
    loss: f64,
    distance: f64,
    max: f32,
}

impl Expected {
    fn of(x: &[f32], label: usize) -> Self {
        let has_nan = x.iter().any(|x| x.is_nan());
        let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (value, excess) = (reference::log_sum_exp(x), reference::log_sum_exp_excess(x));
        let scale = value.abs().max(excess);
        let share = if excess > 0.0 { excess / scale } else { 0.0 };
        let distance = reference::mean_distance(x);
        Expected {
            value,
            scale,
            ulp: accuracy::LOG_SUM_EXP + distance / 2.0 * share,
            loss: reference::cross_entropy(x, label),
            distance,
            // A zero is the positive one.
            max: if has_nan { f32::NAN } else { max + 0.0 },
        }
    }
}
