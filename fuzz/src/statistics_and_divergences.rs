//! Statistics of rows; entropy and divergences of probabilities; distillation and its gradient.
//!
//! Logits and probabilities may be any floats. Not compared with the reference are sums of terms that
//! may overflow, and distillation beyond what its bound is promised for: temperatures outside
//! 2^-100 to 2^100, and rows of which a distance from the maximum is beyond f32, or 2^38 after the temperature.

use xent_core::{
    Backend, CrossEntropy, Distillation, Error, RowStatistics, Rows, accuracy, reference,
};

use crate::bounds::DistillationCase;
use crate::bytes::Bytes;
use crate::compare::{
    Classes, Output, Promise, STEP, assert_due, assert_same_bits, assert_same_f64, bits,
};
use crate::cross_entropy::{fold, shape};
use crate::labels::{Labels, due_errors};
use crate::layout::{Layout, shape_error};
use crate::options::{self, invalid};

/// See the module.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    match bytes.byte() % 3 {
        0 => check_statistics(&mut bytes),
        1 => check_divergences(&mut bytes),
        _ => check_distillation(&mut bytes),
    }
}

/// The error of a number of results that is not the number of rows.
fn length_error(expected: usize, found: usize) -> Option<Error> {
    (expected != found).then_some(Error::LengthMismatch { expected, found })
}

fn check_statistics(bytes: &mut Bytes<'_>) {
    let (n_rows, classes) = shape(bytes);
    let x = bytes.logits(n_rows * classes);
    let layout = Layout::new(bytes, &x, n_rows, classes);
    let n_labels = if bytes.rarely() { bytes.below(2 * n_rows + 2) } else { n_rows };
    let labels = Labels::new(bytes, n_labels, classes);
    let out_len = if bytes.rarely() { bytes.below(2 * n_rows + 2) } else { n_rows };

    let mut due = due_errors(&labels.to_i64(), n_rows, classes, None);
    if n_rows > 0 && classes == 0 {
        due.push(Error::EmptyClasses { n_rows });
    }
    due.extend(length_error(n_rows, out_len));
    let mut expected = Vec::new();
    if due.is_empty() {
        let rows = x.chunks(classes.max(1)).zip(labels.to_i64());
        expected.extend(rows.map(|(x, label)| Statistics::new(x, label as usize)));
    }
    let mut agree = Classes::default();
    for backend in Backend::all() {
        let context = || {
            format!("{backend:?}: statistics of {n_rows} x {classes} {:x?}, {labels:?}", bits(&x))
        };
        // Of no row is the rank that of a buffer that was not written.
        let mut out = vec![RowStatistics::NAN; out_len];
        let is_untouched = |row: &RowStatistics| row.rank() == usize::MAX;
        let result = labels.row_statistics_rows(backend, layout.rows(), &mut out);
        assert_due(&result, &due, context);
        if result.is_err() {
            assert!(out.iter().all(is_untouched), "written in spite of an error\n{}", context());
            continue;
        }
        assert!(!out.iter().any(is_untouched), "a row is not written\n{}", context());
        let all: Vec<f32> = out.iter().flat_map(numbers).collect();
        agree.assert_same(backend, &all, context);
        for (got, expected) in out.iter().zip(&expected) {
            expected.assert(backend, got, &context);
        }
    }
}

fn numbers(row: &RowStatistics) -> [f32; 6] {
    [
        row.log_sum_exp(),
        row.energy(),
        row.loss(),
        row.max_probability(),
        row.entropy(),
        row.margin(),
    ]
}

/// What the statistics of a row should be.
struct Statistics<'a> {
    x: &'a [f32],
    label: usize,
    max_probability: Promise,
    entropy: Promise,
    margin: Promise,
}

impl<'a> Statistics<'a> {
    fn new(x: &'a [f32], label: usize) -> Self {
        let half_distance = reference::mean_distance(x) / 2.0;
        let entropy_ulp = accuracy::ENTROPY_OF_LOGITS + reference::entropy_distance(x) / 2.0;
        Statistics {
            x,
            label,
            max_probability: Promise::value(
                reference::max_probability(x),
                accuracy::MAX_PROBABILITY + half_distance,
            ),
            entropy: Promise::value(reference::entropy_of_logits(x), entropy_ulp),
            margin: Promise::value(reference::margin(x), accuracy::MARGIN + half_distance),
        }
    }

    fn assert(&self, backend: Backend, got: &RowStatistics, context: &dyn Fn() -> String) {
        let (x, label) = (self.x, self.label);
        let context = |what| format!("{what} of {:x?}, label {label}: {}", bits(x), context());
        self.max_probability.assert(got.max_probability(), || context("max_probability"));
        self.entropy.assert(got.entropy(), || context("entropy"));
        self.margin.assert(got.margin(), || context("margin"));
        assert_eq!(got.argmax(), reference::argmax(x), "{}", context("argmax"));
        let rank = reference::rank(x, label);
        assert_eq!(got.rank(), rank, "{}", context("rank"));
        let has_nan = x.iter().any(|x| x.is_nan());
        for k in [0, 1, rank, rank + 1, usize::MAX] {
            assert_eq!(got.is_in_top(k), rank < k && !has_nan, "top {k}: {}", context("rank"));
        }
        // The other functions of core say the same.
        let lse = backend.log_sum_exp(x);
        let energy = if lse.is_nan() { f32::NAN } else { -lse };
        let loss = CrossEntropy::new().backend(backend).row(x, label).expect("a class");
        let mut probs = x.to_vec();
        backend.softmax_in_place(&mut probs);
        let of_others = [lse, energy, loss, probs[got.argmax()]];
        assert_same_bits(&numbers(got)[..4], &of_others, || context("statistics"));
        let alone = backend.row_statistics(x, label).expect("a class");
        assert_same_bits(&numbers(&alone), &numbers(got), || context("one row"));
        assert_eq!((alone.argmax(), alone.rank()), (got.argmax(), rank), "{}", context("one row"));
        if backend == Backend::detected() {
            let free = xent_core::row_statistics(x, label).expect("a class");
            let mut of_rows = [RowStatistics::NAN];
            let rows = Rows::new(x, 1, x.len()).expect("one row");
            xent_core::row_statistics_rows(rows, &[label], &mut of_rows).expect("a class");
            for free in [free, of_rows[0]] {
                assert_same_bits(&numbers(&free), &numbers(got), || context("no backend"));
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Divergence {
    Entropy,
    KullbackLeibler,
    JensenShannon,
}

impl Divergence {
    const ALL: [Divergence; 3] =
        [Divergence::Entropy, Divergence::KullbackLeibler, Divergence::JensenShannon];

    fn rows(self, on: Backend, p: Rows<'_>, q: Rows<'_>, out: &mut [f32]) -> Result<(), Error> {
        match self {
            Divergence::Entropy => on.entropy_rows(p, out),
            Divergence::KullbackLeibler => on.kl_divergence_rows(p, q, out),
            Divergence::JensenShannon => on.js_divergence_rows(p, q, out),
        }
    }

    fn row(self, on: Backend, p: &[f32], q: &[f32]) -> Result<f32, Error> {
        match self {
            Divergence::Entropy => Ok(on.entropy(p)),
            Divergence::KullbackLeibler => on.kl_divergence(p, q),
            Divergence::JensenShannon => on.js_divergence(p, q),
        }
    }

    /// On the detected backend.
    fn free_rows(self, p: Rows<'_>, q: Rows<'_>, out: &mut [f32]) -> Result<(), Error> {
        match self {
            Divergence::Entropy => xent_core::entropy_rows(p, out),
            Divergence::KullbackLeibler => xent_core::kl_divergence_rows(p, q, out),
            Divergence::JensenShannon => xent_core::js_divergence_rows(p, q, out),
        }
    }

    fn free_row(self, p: &[f32], q: &[f32]) -> Result<f32, Error> {
        match self {
            Divergence::Entropy => Ok(xent_core::entropy(p)),
            Divergence::KullbackLeibler => xent_core::kl_divergence(p, q),
            Divergence::JensenShannon => xent_core::js_divergence(p, q),
        }
    }

    fn expected(self, p: &[f32], q: &[f32]) -> Promise {
        let of = |p: &[f32], q: &[f32]| match self {
            Divergence::Entropy => reference::entropy(p),
            Divergence::KullbackLeibler => reference::kl_divergence(p, q),
            Divergence::JensenShannon => reference::js_divergence(p, q),
        };
        let ulp = match self {
            Divergence::Entropy => accuracy::ENTROPY,
            Divergence::KullbackLeibler => accuracy::KL_DIVERGENCE,
            Divergence::JensenShannon => accuracy::JS_DIVERGENCE,
        };
        let value = of(p, q);
        let terms = p.iter().zip(q).map(|(&p, &q)| of(&[p], &[q]).abs());
        let scale: f64 = terms.filter(|term| term.is_finite()).sum();
        if !value.is_nan() && scale > f64::from(f32::MAX) / 2.0 {
            return Promise::Nothing;
        }
        // Each term may be subnormal.
        let steps = STEP * (1 + p.len()) as f64;
        Promise::Within { value, allowed: ulp * accuracy::ULP * scale + steps }
    }
}

fn check_divergences(bytes: &mut Bytes<'_>) {
    let (n_rows, classes) = shape(bytes);
    let p = bytes.probs(n_rows * classes);
    let p_layout = Layout::new(bytes, &p, n_rows, classes);
    let [q_rows, q_classes] = other_shape(bytes, [n_rows, classes]);
    let q = if q_rows * q_classes != p.len() || bytes.flag() {
        bytes.probs(q_rows * q_classes)
    } else if bytes.flag() {
        p.iter().rev().copied().collect()
    } else {
        // As near as an ULP.
        let by = bytes.unit() * bytes.unit() * bytes.unit();
        p.iter().enumerate().map(|(i, p)| p * (1.0 + by * ((i % 5) as f32 - 2.0))).collect()
    };
    let q_layout = Layout::new(bytes, &q, q_rows, q_classes);
    let out_len = if bytes.rarely() { bytes.below(2 * n_rows + 2) } else { n_rows };
    let due_of_shape = shape_error([n_rows, classes], [q_rows, q_classes]);
    let due_of_length = length_error(n_rows, out_len);

    for divergence in Divergence::ALL {
        let takes_two = !matches!(divergence, Divergence::Entropy);
        let due: Vec<Error> =
            due_of_length.into_iter().chain(due_of_shape.filter(|_| takes_two)).collect();
        let row = |of: usize| {
            // Entropy takes no second operand, whatever its shape.
            let q = if due_of_shape.is_some() { &p } else { &q };
            (&p[of * classes..][..classes], &q[of * classes..][..classes])
        };
        let expected: Vec<Promise> = if due.is_empty() {
            (0..n_rows).map(row).map(|(p, q)| divergence.expected(p, q)).collect()
        } else {
            Vec::new()
        };
        let mut agree = Classes::default();
        for backend in Backend::all() {
            let context = || {
                format!(
                    "{backend:?}: {divergence:?} of {n_rows} x {classes} {:x?} and {q_rows} x {q_classes} {:x?}",
                    bits(&p),
                    bits(&q)
                )
            };
            let alone = divergence.row(backend, &p, &q);
            let due_alone = length_error(p.len(), q.len()).filter(|_| takes_two);
            assert_due(&alone, due_alone.as_slice(), context);
            let mut out = Output::new(out_len);
            let result = divergence.rows(backend, p_layout.rows(), q_layout.rows(), out.slice());
            assert_due(&result, &due, context);
            if result.is_err() {
                out.assert_untouched(context);
                continue;
            }
            let got = out.written(context);
            agree.assert_same(backend, got, context);
            if backend == Backend::detected() {
                let mut free = Output::new(out_len);
                let result = divergence.free_rows(p_layout.rows(), q_layout.rows(), free.slice());
                result.expect("as on the backend");
                assert_same_bits(free.written(context), got, context);
                let free_alone = divergence.free_row(&p, &q);
                assert_eq!(free_alone.is_ok(), alone.is_ok(), "{}", context());
                if let (Ok(free), Ok(alone)) = (free_alone, alone) {
                    assert_same_bits(&[free], &[alone], context);
                }
            }
            for (i, &got) in got.iter().enumerate() {
                let (p, q) = row(i);
                let context =
                    || format!("row {i}, {:x?} and {:x?}: {}", bits(p), bits(q), context());
                expected[i].assert(got, context);
                let alone = divergence.row(backend, p, q).expect("as in the batch");
                assert_same_bits(&[alone], &[got], context);
                if matches!(divergence, Divergence::JensenShannon) {
                    assert!(got.is_nan() || got >= 0.0, "a negative {got:e}\n{}", context());
                    let exchanged = divergence.row(backend, q, p).expect("of one length");
                    assert_same_bits(&[exchanged], &[got], context);
                }
            }
        }
    }
}

/// The shape, or rarely another.
fn other_shape(bytes: &mut Bytes<'_>, [n_rows, classes]: [usize; 2]) -> [usize; 2] {
    if bytes.rarely() {
        [bytes.below(n_rows + 3), bytes.below(classes + 3)]
    } else {
        [n_rows, classes]
    }
}

fn check_distillation(bytes: &mut Bytes<'_>) {
    let (n_rows, classes) = shape(bytes);
    let student = bytes.logits(n_rows * classes);
    let [teacher_rows, teacher_classes] = other_shape(bytes, [n_rows, classes]);
    let n_of_teacher = teacher_rows * teacher_classes;
    let teacher = if n_of_teacher != student.len() || bytes.flag() {
        bytes.logits(n_of_teacher)
    } else if bytes.flag() {
        student.iter().rev().copied().collect()
    } else {
        let by = bytes.unit() * bytes.unit() * bytes.unit();
        student.iter().enumerate().map(|(i, x)| x + by * ((i % 5) as f32 - 2.0)).collect()
    };
    let [x, y] = [(&student, [n_rows, classes]), (&teacher, [teacher_rows, teacher_classes])]
        .map(|(elements, [n_rows, classes])| Layout::new(bytes, elements, n_rows, classes));
    let mut usual = true;
    let temperature = options::temperature(bytes, &mut usual);
    let scale = options::scale(bytes, &mut usual);
    let out_len = if bytes.rarely() { bytes.below(2 * n_rows + 2) } else { n_rows };
    let gradient_len =
        if bytes.rarely() { bytes.below(2 * student.len() + 2) } else { student.len() };

    let mut due = Vec::new();
    if !(temperature > 0.0 && temperature < f32::INFINITY) {
        due.push(invalid("temperature", temperature));
    }
    if n_rows > 0 && classes == 0 {
        due.push(Error::EmptyClasses { n_rows });
    }
    due.extend(shape_error([n_rows, classes], [teacher_rows, teacher_classes]));
    let with = |more: [Option<Error>; 2]| {
        due.iter().copied().chain(more.into_iter().flatten()).collect::<Vec<_>>()
    };
    let due_of_losses = with([length_error(n_rows, out_len), None]);
    let due_of_gradient =
        with([length_error(student.len(), gradient_len), options::scale_error(scale)]);

    let row = |of: usize| [&student, &teacher].map(|x| &x[of * classes..][..classes]);
    let cases: Vec<Option<DistillationCase<'_>>> = if due.is_empty() {
        (0..n_rows).map(|of| distillation_case(row(of), temperature)).collect()
    } else {
        Vec::new()
    };
    let (mut agree, mut gradients_agree) = (Classes::default(), Classes::default());
    for backend in Backend::all() {
        let context = || {
            format!(
                "{backend:?}: distillation, temperature {temperature:e}, {scale:?}, {n_rows} x {classes} \
                 {:x?} by {teacher_rows} x {teacher_classes} {:x?}",
                bits(&student),
                bits(&teacher)
            )
        };
        let loss = Distillation::new().temperature(temperature).backend(backend);
        assert_eq!(loss.backend_used(), backend);
        assert_due(&loss.check(x.rows(), y.rows()), &due, context);
        let mut out = Output::new(out_len);
        let result = loss.rows(x.rows(), y.rows(), out.slice());
        assert_due(&result, &due_of_losses, context);
        let total = loss.total(x.rows(), y.rows());
        assert_due(&total, &due, context);
        let mut gradient = Output::new(gradient_len);
        let of_gradient = loss.gradient(x.rows(), y.rows(), scale, gradient.slice());
        assert_due(&of_gradient, &due_of_gradient, context);
        if of_gradient.is_err() {
            gradient.assert_untouched(context);
        }
        if result.is_err() {
            out.assert_untouched(context);
            continue;
        }
        let losses = out.written(context);
        agree.assert_same(backend, losses, context);
        let total = total.expect("no error is due");
        assert_same_f64(total.sum(), fold(losses).sum(), context);
        assert_eq!((total.weight(), total.count()), (n_rows as f64, n_rows as u64));
        for (i, &got) in losses.iter().enumerate() {
            let context = || format!("row {i}: {}", context());
            assert!(got.is_nan() || got >= 0.0, "a negative {got:e}\n{}", context());
            if let Some(case) = &cases[i] {
                Promise::Within { value: case.loss, allowed: case.loss_allowed }
                    .assert(got, context);
            }
            let alone = loss.row(row(i)[0], row(i)[1]).expect("as in the batch");
            assert_same_bits(&[alone], &[got], context);
        }
        let Ok(of_gradient) = of_gradient else { continue };
        assert_same_f64(of_gradient.sum(), total.sum(), context);
        assert_eq!((of_gradient.weight(), of_gradient.count()), (total.weight(), total.count()));
        let gradient = gradient.written(context);
        gradients_agree.assert_same(backend, gradient, context);
        let mut in_place: Vec<f32> = (0..n_rows).flat_map(|i| row(i)[0].iter().copied()).collect();
        let of_in_place = loss.gradient_in_place(&mut in_place, y.rows(), scale);
        assert_eq!(of_in_place.map(|t| t.count()), Ok(total.count()), "{}", context());
        assert_same_bits(&in_place, gradient, context);
        let factor = loss.gradient_factor(n_rows, scale).expect("as of the gradient");
        let wanted = options::factor(scale, n_rows as f64, n_rows as u64);
        options::assert_factor(factor, wanted, context);
        for (i, got) in gradient.chunks(classes.max(1)).enumerate() {
            let context = || format!("gradient of row {i}: {}", context());
            let mut alone = Output::new(classes);
            let of_alone = loss.row_gradient(row(i)[0], row(i)[1], alone.slice());
            assert_same_bits(&[of_alone.expect("as in the batch")], &losses[i..=i], context);
            let alone = alone.written(context);
            if factor == 1.0 {
                assert_same_bits(alone, got, context);
            }
            let Some(case) = &cases[i] else { continue };
            // The reference takes time of the length for one element.
            for c in (0..classes).step_by(1 + classes / 40) {
                for (factor, got) in [(1.0, alone[c]), (factor as f32, got[c])] {
                    let [value, allowed] = case.gradient(c, factor);
                    Promise::Within { value, allowed }
                        .assert(got, || format!("class {c}: {}", context()));
                }
            }
        }
    }
}

/// `None` where nothing is promised; see the module.
fn distillation_case<'a>(
    [student, teacher]: [&'a [f32]; 2],
    temperature: f32,
) -> Option<DistillationCase<'a>> {
    let power = |exponent| 2_f64.powi(exponent);
    if !(power(-100)..=power(100)).contains(&f64::from(temperature)) {
        return None;
    }
    for x in [student, teacher] {
        let finite = x.iter().copied().filter(|x| x.is_finite()).map(f64::from);
        let (min, max) = (finite.clone().fold(f64::MAX, f64::min), finite.fold(f64::MIN, f64::max));
        let distance = max - min;
        if distance > f64::from(f32::MAX) || distance / f64::from(temperature) > power(38) {
            return None;
        }
    }
    Some(DistillationCase::new(student, teacher, temperature))
}
