//! Results against the reference, against each other, and outputs that must not be touched.

use std::fmt::Debug;

use xent_core::{Backend, Error, accuracy};

/// Fails unless `got` is within `ulp` ULP of `scale` of `expected`; see [`accuracy`].
///
/// One step of the smallest subnormal is always allowed. NaN must be the canonical one. A result may
/// be infinite where the bound reaches beyond the largest f32.
#[track_caller]
pub fn assert_within(got: f32, expected: f64, ulp: f64, scale: f64, context: impl Fn() -> String) {
    assert_near(got, expected, ulp * accuracy::ULP * scale + STEP, context);
}

/// The smallest subnormal.
pub(crate) const STEP: f64 = 1.401_298_464_324_817e-45;

/// As [`assert_within`], of the error that is allowed.
#[track_caller]
fn assert_near(got: f32, expected: f64, allowed: f64, context: impl Fn() -> String) {
    /// What rounds to infinity: `f32::MAX` and half an ULP.
    const OVERFLOW: f64 = f32::MAX as f64 + 1.014_120_480_182_583_5e31;
    let distance = (f64::from(got) - expected).abs();
    let good = if expected.is_nan() {
        got.to_bits() == f32::NAN.to_bits()
    } else if expected.is_infinite() {
        f64::from(got) == expected
    } else if got.is_infinite() {
        expected.abs() + allowed >= OVERFLOW && (got > 0.0) == (expected > 0.0)
    } else {
        // What is allowed of a value without any terms may be NaN.
        distance == 0.0 || distance <= allowed
    };
    assert!(
        good,
        "got {got:e} ({:#010x}), wanted {expected:e}, off by {distance:e} = {:.2} ULP of it, {:.3} of \
         what is allowed\n{}",
        got.to_bits(),
        distance / (accuracy::ULP * expected.abs()),
        distance / allowed,
        context()
    );
}

/// What is promised of a result.
#[derive(Clone, Copy, Debug)]
pub enum Promise {
    /// A value, but for an error that is allowed.
    Within {
        /// The reference's value.
        value: f64,
        /// The largest error.
        allowed: f64,
    },
    /// A NaN or an infinity.
    NotFinite,
    /// Nothing but that the backends of a class agree.
    Nothing,
}

impl Promise {
    /// A value, and the bound in ULP of it.
    #[must_use]
    pub fn value(value: f64, ulp: f64) -> Self {
        Promise::within(value, ulp, value.abs())
    }

    /// A value, and the bound in ULP of `scale`.
    #[must_use]
    pub fn within(value: f64, ulp: f64, scale: f64) -> Self {
        Promise::Within { value, allowed: ulp * accuracy::ULP * scale + STEP }
    }

    /// That of a gradient, for the gradient times `factor` of which a product may be subnormal, and off by
    /// two steps, before it is divided by the temperature.
    pub(crate) fn times(self, factor: f64, temperature: f32) -> Self {
        let steps = 1.0 + 2.0 * (1.0 / f64::from(temperature)).max(1.0);
        match self {
            Promise::Within { value, allowed } if allowed > 0.0 => Promise::Within {
                value: factor * value,
                allowed: factor.abs() * allowed + steps * STEP,
            },
            other => other,
        }
    }

    /// Exactly 0.
    pub(crate) const ZERO: Promise = Promise::Within { value: 0.0, allowed: 0.0 };

    /// Fails unless `got` is as promised.
    #[track_caller]
    pub fn assert(self, got: f32, context: impl Fn() -> String) {
        match self {
            Promise::Within { value, allowed } => assert_near(got, value, allowed, context),
            Promise::NotFinite => assert!(!got.is_finite(), "got {got:e}\n{}", context()),
            Promise::Nothing => {}
        }
    }
}

/// The results of the first backend of each class, which the others of the class must repeat.
#[derive(Debug, Default)]
pub struct Classes {
    first: [Option<(Backend, Vec<u32>)>; 2],
}

impl Classes {
    /// Fails unless `got` has the bits that another backend of the same class gave before.
    #[track_caller]
    pub fn assert_same(&mut self, backend: Backend, got: &[f32], context: impl Fn() -> String) {
        let got: Vec<u32> = got.iter().map(|x| x.to_bits()).collect();
        let first = &mut self.first[usize::from(backend.fuses_multiply_add())];
        match first {
            None => *first = Some((backend, got)),
            Some((other, bits)) => {
                assert!(
                    *bits == got,
                    "{backend:?} and {other:?} are of one class and differ: {got:x?} and {bits:x?}\n{}",
                    context()
                );
            }
        }
    }
}

/// Fails unless both have the same bits.
#[track_caller]
pub fn assert_same_bits(got: &[f32], expected: &[f32], context: impl Fn() -> String) {
    let same = got.len() == expected.len()
        && got.iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits());
    assert!(same, "got {:x?}, wanted {:x?}\n{}", bits(got), bits(expected), context());
}

/// Fails unless the sums of two totals have the same bits.
#[track_caller]
pub fn assert_same_f64(got: f64, expected: f64, context: impl Fn() -> String) {
    let same = got.to_bits() == expected.to_bits() || (got.is_nan() && expected.is_nan());
    assert!(same, "got {got:e}, wanted {expected:e}\n{}", context());
}

/// The bits of a row, as they go into a failure's message; of a long row, its first elements.
#[must_use]
pub fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().take(80).map(|x| x.to_bits()).collect()
}

/// An output in the middle of a larger slice, so that a write beside it shows.
#[derive(Debug)]
pub struct Output {
    buffer: Vec<f32>,
    len: usize,
}

impl Output {
    const EDGE: usize = 37;
    /// A NaN that no function writes.
    const UNTOUCHED: u32 = 0x7FED_CBA9;

    /// `len` elements that no function could have written.
    #[must_use]
    pub fn new(len: usize) -> Self {
        let buffer = vec![f32::from_bits(Self::UNTOUCHED); Self::EDGE + len + Self::EDGE];
        Output { buffer, len }
    }

    /// What a function is given to write to.
    pub fn slice(&mut self) -> &mut [f32] {
        &mut self.buffer[Self::EDGE..Self::EDGE + self.len]
    }

    /// What was written. Fails if an element was not, or one beside the output was.
    #[track_caller]
    pub fn written(&self, context: impl Fn() -> String) -> &[f32] {
        let touched: Vec<bool> =
            self.buffer.iter().map(|x| x.to_bits() != Self::UNTOUCHED).collect();
        let inside = Self::EDGE..Self::EDGE + self.len;
        for (i, &touched) in touched.iter().enumerate() {
            let i = i as isize - Self::EDGE as isize;
            let wanted = inside.contains(&(i + Self::EDGE as isize).unsigned_abs());
            assert!(touched == wanted, "element {i} written: {touched}\n{}", context());
        }
        &self.buffer[inside]
    }

    /// Fails if anything was written.
    #[track_caller]
    pub fn assert_untouched(&self, context: impl Fn() -> String) {
        let touched = self.buffer.iter().position(|x| x.to_bits() != Self::UNTOUCHED);
        assert_eq!(touched, None, "written in spite of an error\n{}", context());
    }
}

/// Fails unless `result` is one of the errors that are due, or none is and it is `Ok`.
///
/// Which of several mistakes is reported is not promised.
#[track_caller]
pub fn assert_due<T: Debug>(
    result: &Result<T, Error>,
    due: &[Error],
    context: impl Fn() -> String,
) {
    let good = match result {
        Ok(_) => due.is_empty(),
        // As text, in which NaN equals NaN.
        Err(error) => due.iter().any(|due| format!("{due:?}") == format!("{error:?}")),
    };
    assert!(good, "got {result:?}, due {due:?}\n{}", context());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(got: f32, expected: f64, ulp: f64) -> bool {
        let check = || assert_within(got, expected, ulp, expected.abs(), String::new);
        std::panic::catch_unwind(check).is_ok()
    }

    #[test]
    fn a_bound_is_kept_and_not_widened() {
        let next = 1.0 + f32::EPSILON;
        assert!(within(1.0, 1.0, 0.0) && within(next, 1.0, 1.0) && !within(next, 1.0, 0.99));
        assert!(within(f32::from_bits(1), 0.0, 4.0) && !within(f32::from_bits(2), 0.0, 4.0));
        assert!(within(f32::INFINITY, 1e39, 4.0) && !within(f32::NEG_INFINITY, 1e39, 4.0));
        assert!(within(f32::INFINITY, f64::from(f32::MAX), 4.0));
        assert!(!within(f32::INFINITY, f64::from(f32::MAX) * 0.999, 4.0));
        assert!(!within(f32::MAX, f64::INFINITY, 4.0) && within(f32::INFINITY, f64::INFINITY, 4.0));
    }

    #[test]
    fn only_the_canonical_nan_is_nan() {
        assert!(within(f32::NAN, f64::NAN, 4.0) && !within(-f32::NAN, f64::NAN, 4.0));
        assert!(!within(0.0, f64::NAN, 4.0) && !within(f32::NAN, 0.0, 4.0));
    }

    #[test]
    fn a_write_beside_an_output_and_a_missing_one_show() {
        let mut output = Output::new(3);
        output.assert_untouched(String::new);
        output.slice().fill(1.0);
        assert_eq!(output.written(String::new), [1.0; 3]);
        for wrong in [
            |output: &mut Output| output.buffer[Output::EDGE - 1] = 1.0,
            |output: &mut Output| output.buffer[Output::EDGE + 3] = 1.0,
            |output: &mut Output| output.slice()[2] = f32::from_bits(Output::UNTOUCHED),
        ] {
            let mut output = Output::new(3);
            output.slice().fill(1.0);
            wrong(&mut output);
            assert!(std::panic::catch_unwind(|| output.written(String::new).len()).is_err());
        }
    }

    #[test]
    fn backends_of_one_class_must_agree() {
        let mut classes = Classes::default();
        classes.assert_same(Backend::SCALAR, &[1.0], String::new);
        classes.assert_same(Backend::SCALAR, &[1.0], String::new);
        let differ = move || classes.assert_same(Backend::SCALAR, &[-1.0], String::new);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(differ)).is_err());
    }

    #[test]
    fn an_error_must_be_one_that_is_due() {
        let (a, b) = (Error::EmptyClasses { n_rows: 1 }, Error::EmptyClasses { n_rows: 2 });
        assert_due::<()>(&Err(a), &[b, a], String::new);
        assert_due(&Ok(()), &[], String::new);
        for (result, due) in [(Ok(()), vec![a]), (Err(a), vec![]), (Err(a), vec![b])] {
            let check = || assert_due(&result, &due, String::new);
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err());
        }
    }
}
