//! The conformance driver as another process sees it: every operation on every backend, every error,
//! and lines that mean it harm, each of which gets one line.

mod driver;

use std::io::Write;

use driver::{Driver, Response, numbers, shown};
use xent_core::{Backend, accuracy};

/// Whether each is near: within the library's bounds and the digits of the expected figure.
#[track_caller]
fn assert_near(got: &[f32], expected: &[f64], digits: f64, context: &str) {
    assert_eq!(got.len(), expected.len(), "{context}: {got:?}");
    for (&got, &expected) in got.iter().zip(expected) {
        let got = f64::from(got);
        // Tighter than any bound of these calls: 4 ULP.
        let bound = (accuracy::LOSS * accuracy::ULP + digits) * expected.abs();
        let both_nan = got.is_nan() && expected.is_nan();
        let near = got == expected || (got - expected).abs() <= bound;
        assert!(both_nan || near, "{context}: got {got:e}, wanted {expected:e}");
    }
}

/// Figures of the documents that xent began from, with eight digits.
const EIGHT_DIGITS: f64 = 6e-8;

const ROWS: &str = "[0.4, 2, 1.3, 1.2, 0.3, 0.2, 0.4, 0.5, 2.3]";

/// What follows `"op":`, and its values, at eight digits.
const FIGURES: &[(&str, &[f64])] = &[
    (
        r#""clipped_cross_entropy", "shape": [3, 3], "x": ROWS, "labels": [0, 2, 1], "normalize": true"#,
        &[2.2246234, 2.1400661, 1.856298],
    ),
    (
        r#""cross_entropy", "shape": [3, 3], "x": ROWS, "labels": [0, 2, 1]"#,
        &[2.1297348, 1.57349, 2.073736],
    ),
    (
        r#""cross_entropy", "shape": [3, 3], "x": ROWS, "targets": [1,0,0, 0,0,1, 0,1,0], "reduction": "none""#,
        &[2.1297348, 1.57349, 2.073736],
    ),
    (
        r#""cross_entropy", "shape": [3, 3], "x": ROWS, "labels": [0, 2, 1], "reduction": "sum""#,
        &[5.7769608],
    ),
    (
        r#""cross_entropy", "shape": [3, 3], "x": ROWS, "labels": [0, 2, 1], "reduction": "mean""#,
        &[1.9256536],
    ),
    (
        r#""cross_entropy", "shape": [3, 3], "x": ROWS, "labels": [0, 2, 1], "reduction": "mean_count""#,
        &[1.9256536],
    ),
    (
        r#""clipped_cross_entropy", "shape": [2, 3], "x": SOFTMAX, "targets": TARGETS, "clip": [1e-10, 1]"#,
        &[1.3354208, 2.2868938],
    ),
    (
        r#""clipped_cross_entropy", "shape": [2, 3], "x": SOFTMAX, "targets": TARGETS, "clip": [1e-10, 1], "reduction": "mean""#,
        &[1.8111573],
    ),
    (
        r#""clipped_binary_cross_entropy", "shape": [1, 5], "x": [0.8, 0.2, 0.6, 0.9, 0.3], "targets": [1, 0, 1, 1, 0], "reduction": "mean""#,
        &[0.28382963],
    ),
    (
        r#""clipped_binary_cross_entropy", "shape": [5, 1], "x": [0.8, 0.2, 0.6, 0.9, 0.3], "targets": [1, 0, 1, 1, 0], "reduction": "mean_count""#,
        &[0.28382963],
    ),
    (
        r#""clipped_binary_cross_entropy", "shape": [1, 2], "x": [0.5, 0], "targets": [1, 1], "clip": [0, 1]"#,
        &[std::f64::consts::LN_2, f64::INFINITY],
    ),
    (
        r#""clipped_cross_entropy", "shape": [3, 3], "x": [0.2,0.6,0.2, 0.8,0.1,0.1, 0.3,0.2,0.5], "labels": [1, 0, 2], "reduction": "mean""#,
        &[0.47570545],
    ),
    (
        r#""clipped_cross_entropy", "shape": [1, 3], "x": [0.1, 0.8, 0.1], "labels": [1]"#,
        &[0.22314353],
    ),
    (
        r#""clipped_cross_entropy", "shape": [1, 3], "x": [0.1, 0.8, 0.1], "targets": [0, 1, 0], "normalize": false"#,
        &[0.22314353],
    ),
    (r#""cross_entropy", "shape": [1, 3], "x": [0.1, 0.8, 0.1], "labels": [1]"#, &[0.6897266]),
    (
        r#""binary_cross_entropy", "shape": [1, 4], "x": [0, 20, "inf", "-inf"], "targets": [1, 1, 1, 0]"#,
        &[std::f64::consts::LN_2, 2.0611536e-9, 0.0, 0.0],
    ),
    (
        r#""binary_cross_entropy", "shape": [2, 1], "x": [0, 0], "targets": [1, 0], "reduction": "sum""#,
        &[2.0 * std::f64::consts::LN_2],
    ),
    (r#""log_sum_exp", "shape": [2, 3], "x": [1, 2, 3, 0, 0, 0]"#, &[3.4076059644, 1.0986122887]),
    (r#""log_sum_exp", "shape": [2, 0], "x": []"#, &[f64::NEG_INFINITY, f64::NEG_INFINITY]),
    (r#""softmax", "shape": [1, 3], "x": [1, 2, 3]"#, &[0.09003057317, 0.2447284711, 0.6652409558]),
    (
        r#""log_softmax", "shape": [1, 3], "x": [1, 2, 3]"#,
        &[-2.4076059644, -1.4076059644, -0.4076059644],
    ),
    (r#""softmax", "shape": [1, 2], "x": ["nan", 0]"#, &[f64::NAN, f64::NAN]),
    (r#""cross_entropy", "shape": [0, 3], "x": [], "labels": []"#, &[]),
    (r#""cross_entropy", "shape": [0, 3], "x": [], "labels": [], "reduction": "sum""#, &[0.0]),
    (
        r#""cross_entropy", "shape": [0, 3], "x": [], "labels": [], "reduction": "mean""#,
        &[f64::NAN],
    ),
    (r#""cross_entropy", "shape": [1, 2], "x": ["-inf", 0], "labels": [0]"#, &[f64::INFINITY]),
    (
        r#""cross_entropy", "shape": [1, 1], "x": [5], "labels": [0], "gradient": false, "z_loss": null"#,
        &[0.0],
    ),
];

/// Logits, label, loss at four digits: small losses, of which others lose all digits.
const SMALL_LOSSES: &[(&str, &str, f64)] = &[
    ("[20, 0, 0, 0]", "0", 6.183e-9),
    ("[17, 0]", "0", 4.140e-8),
    ("[0, -40]", "0", 4.248e-18),
    ("[10000, 9990.5, 9989]", "0", 9.155e-5),
    ("[10000, 9999.5]", "1", 0.974077),
];

fn n_elements(array: &str) -> usize {
    array.split(',').count()
}

#[test]
fn every_operation_gives_the_figures_of_the_sources_on_every_backend() {
    let mut driver = Driver::start();
    // Softmax of [[1,2,3],[4,5,6]] and of [[-1,2,0],[3,1,-4]], as the driver gives them.
    let softmax = driver.ask(r#"{"op": "softmax", "shape": [2, 3], "x": [1, 2, 3, 4, 5, 6]}"#);
    let targets = driver.ask(r#"{"op": "softmax", "shape": [2, 3], "x": [-1, 2, 0, 3, 1, -4]}"#);
    let softmax = format!("{:?}", softmax.values());
    let targets = format!("{:?}", targets.values());

    let available: Vec<Backend> = Backend::all().collect();
    for name in Backend::NAMES {
        if Backend::by_name(name).is_err() {
            println!("skipped: this CPU or this build does not have {name}");
        }
    }
    for backend in &available {
        let backend = backend.name();
        for (request, expected) in FIGURES {
            let request = request
                .replace("ROWS", ROWS)
                .replace("SOFTMAX", &softmax)
                .replace("TARGETS", &targets);
            let request = format!(r#"{{"backend": "{backend}", "op": {request}}}"#);
            let got = driver.ask(&request).values();
            assert_near(&got, expected, EIGHT_DIGITS, &request);
        }
        for &(x, label, expected) in SMALL_LOSSES {
            let n = n_elements(x);
            let request = format!(
                r#"{{"backend": "{backend}", "op": "cross_entropy", "shape": [1, {n}], "x": {x}, "labels": [{label}]}}"#
            );
            // Half of the fourth digit.
            assert_near(&driver.ask(&request).values(), &[expected], 5e-4, &request);
        }
    }
    driver.finish();
}

#[test]
fn backends_are_those_of_the_library() {
    let mut driver = Driver::start();
    let response = driver.ask(r#"{"op": "backends"}"#);
    let names: Vec<&str> = Backend::all().map(Backend::name).collect();
    assert_eq!(response.backends.expect("names"), names);
    assert_eq!(response.detected.as_deref(), Some(Backend::detected().name()));
    driver.finish();
}

#[test]
fn a_chosen_backend_is_the_one_that_computes() {
    // Two classes of reproducibility differ somewhere among many rows; within one nothing does.
    let x: Vec<String> = (0..30_000).map(|i| format!("{}e-3", (i * 7_919) % 9_973)).collect();
    let x = x.join(",");
    let mut driver = Driver::start();
    for backend in Backend::all() {
        let name = backend.name();
        let request = format!(
            r#"{{"op": "log_sum_exp", "backend": "{name}", "shape": [300, 100], "x": [{x}]}}"#
        );
        let got = driver.ask(&request).values();
        let data: Vec<f32> = x.split(',').map(|x| x.parse().expect("a number")).collect();
        let expected: Vec<f32> = data.chunks(100).map(|row| backend.log_sum_exp(row)).collect();
        assert_eq!(got, expected, "{name}");
    }
    driver.finish();
}

/// Log-sum-exp of a row of one is that element, so it shows how numbers are read and written.
#[track_caller]
fn echo(driver: &mut Driver, number: &str) -> f32 {
    let request = format!(r#"{{"op": "log_sum_exp", "shape": [1, 1], "x": [{number}]}}"#);
    driver.ask(request).values()[0]
}

#[test]
fn numbers_are_read_as_the_nearest_f32() {
    let mut driver = Driver::start();
    for (text, expected) in [
        // Just above a tie: through f64 it would be the tie, and round to even, to 1.
        ("1.00000005960464477540", 1.0 + f32::EPSILON),
        ("1.00000005960464477539", 1.0),
        ("1.00000005960464477538", 1.0),
        ("7.0064923216240853547e-46", f32::from_bits(1)),
        ("7.0064923216240853546e-46", 0.0),
        ("3.4028235677973366163753939545814e38", f32::MAX),
        ("3.4028235677973366163753939545815e38", f32::INFINITY),
        ("1e39", f32::INFINITY),
        ("-1e400", f32::NEG_INFINITY),
        ("1e-400", 0.0),
        ("1E+2", 100.0),
        ("123456789012345678901234567890", 1.2345679e29),
        (r#""inf""#, f32::INFINITY),
        (r#""-inf""#, f32::NEG_INFINITY),
    ] {
        assert_eq!(echo(&mut driver, text), expected, "{text}");
    }
    assert!(echo(&mut driver, r#""nan""#).is_nan());
    driver.finish();
}

#[test]
fn numbers_are_written_so_that_they_read_back() {
    let mut driver = Driver::start();
    // All exponents, odd mantissas.
    let bits = (0..0x7F80_0000_u32).step_by(0x0001_2345);
    let numbers: Vec<f32> =
        bits.flat_map(|bits| [f32::from_bits(bits), -f32::from_bits(bits | 1)]).collect();
    let text: Vec<String> = numbers.iter().map(|x| format!("{x:e}")).collect();
    let request = format!(
        r#"{{"op": "log_sum_exp", "shape": [{}, 1], "x": [{}]}}"#,
        numbers.len(),
        text.join(",")
    );
    let response = driver.ask(request);
    assert_eq!(response.values(), numbers);
    // So does a reader that takes them for f64 first, as Python does.
    let through_f64: Vec<f32> = response
        .y
        .iter()
        .flatten()
        .map(|text| text.get().parse::<f64>().expect("a JSON number") as f32)
        .collect();
    assert_eq!(through_f64, numbers);
    driver.finish();
}

/// What follows `{`, and the kind of error.
const ERRORS: &[(&str, &str)] = &[
    // BadRequest
    (r#""shape": [1, 1], "x": [0]"#, "BadRequest"),
    (r#""op": null, "shape": [1, 1], "x": [0]"#, "BadRequest"),
    (r#""op": "logsumexp", "shape": [1, 1], "x": [0]"#, "BadRequest"),
    (r#""op": "softmax", "shape": [1, 1]"#, "BadRequest"),
    (r#""op": "softmax", "x": [0]"#, "BadRequest"),
    (r#""op": "softmax", "shape": [1, 1], "x": [0], "gradient": true"#, "BadRequest"),
    (r#""op": "backends", "gradient": true"#, "BadRequest"),
    (r#""op": "softmax", "shape": [1, 1], "x": [0], "axis": 1"#, "BadRequest"),
    (r#""op": "cross_entropy", "shape": [1, 1], "x": [0]"#, "BadRequest"),
    (r#""op": "binary_cross_entropy", "shape": [1, 1], "x": [0]"#, "BadRequest"),
    (
        r#""op": "cross_entropy", "shape": [1, 1], "x": [0], "labels": [0], "targets": [1]"#,
        "BadRequest",
    ),
    (
        r#""op": "cross_entropy", "shape": [1, 1], "x": [0], "labels": [0], "reduction": "max""#,
        "BadRequest",
    ),
    (r#""op": "kl_divergence", "shape": [1, 1], "x": [1]"#, "BadRequest"),
    (r#""op": "row_statistics", "shape": [1, 1], "x": [1]"#, "BadRequest"),
    // UnavailableBackend
    (r#""op": "softmax", "shape": [1, 1], "x": [0], "backend": "mmx""#, "UnavailableBackend"),
    (r#""op": "backends", "backend": """#, "UnavailableBackend"),
    // InvalidOption: fields that an operation does not take
    (r#""op": "backends", "x": [1]"#, "InvalidOption"),
    (r#""op": "softmax", "shape": [1, 1], "x": [0], "labels": [0]"#, "InvalidOption"),
    (r#""op": "softmax", "shape": [1, 1], "x": [0], "targets": [0]"#, "InvalidOption"),
    (r#""op": "softmax", "shape": [1, 1], "x": [0], "reduction": "none""#, "InvalidOption"),
    (r#""op": "log_sum_exp", "shape": [1, 1], "x": [0], "clip": [0, 1]"#, "InvalidOption"),
    (r#""op": "log_sum_exp", "shape": [1, 1], "x": [0], "normalize": true"#, "InvalidOption"),
    (r#""op": "binary_cross_entropy", "shape": [1, 1], "x": [0], "labels": [0]"#, "InvalidOption"),
    (
        r#""op": "cross_entropy", "shape": [1, 1], "x": [0], "labels": [0], "clip": [0, 1]"#,
        "InvalidOption",
    ),
    (
        r#""op": "clipped_binary_cross_entropy", "shape": [1, 1], "x": [0], "targets": [0], "normalize": true"#,
        "InvalidOption",
    ),
    (r#""op": "softmax", "shape": [1, 1], "x": [0], "temperature": 2"#, "InvalidOption"),
    (
        r#""op": "binary_cross_entropy", "shape": [1, 1], "x": [0], "targets": [0], "z_loss": 1"#,
        "InvalidOption",
    ),
    (
        r#""op": "cross_entropy", "shape": [1, 1], "x": [0], "targets": [1], "ignore_index": 0"#,
        "InvalidOption",
    ),
    (
        r#""op": "clipped_cross_entropy", "shape": [1, 1], "x": [0], "labels": [0], "soft_cap": 1"#,
        "InvalidOption",
    ),
    (
        r#""op": "cross_entropy", "shape": [1, 1], "x": [0], "labels": [0], "pos_weights": [1]"#,
        "InvalidOption",
    ),
    // InvalidOption: values
    (
        r#""op": "cross_entropy", "shape": [1, 1], "x": [0], "labels": [0], "label_smoothing": 1.5"#,
        "InvalidOption",
    ),
    (
        r#""op": "cross_entropy", "shape": [1, 1], "x": [0], "labels": [0], "temperature": 0"#,
        "InvalidOption",
    ),
    (
        r#""op": "cross_entropy", "shape": [1, 1], "x": [0], "labels": [0], "class_weights": [-1]"#,
        "InvalidOption",
    ),
    (
        r#""op": "cross_entropy", "shape": [1, 1], "x": [0], "labels": [0], "class_weights": [1, 1]"#,
        "LengthMismatch",
    ),
    (
        r#""op": "binary_cross_entropy", "shape": [1, 1], "x": [0], "targets": [0], "pos_weights": []"#,
        "LengthMismatch",
    ),
    (
        r#""op": "cross_entropy", "shape": [1, 1], "x": [0], "labels": [0], "sample_weights": ["inf"]"#,
        "InvalidOption",
    ),
    // LengthMismatch
    (r#""op": "softmax", "shape": [2, 2], "x": [0, 0, 0]"#, "LengthMismatch"),
    (r#""op": "softmax", "shape": [2], "x": [0, 0]"#, "LengthMismatch"),
    (r#""op": "softmax", "shape": [1, 1, 2], "x": [0, 0]"#, "LengthMismatch"),
    (
        r#""op": "softmax", "shape": [1000000000000000000, 1000000000000000000], "x": [0]"#,
        "LengthMismatch",
    ),
    (r#""op": "softmax", "shape": [18446744073709551615, 2], "x": [0, 0]"#, "LengthMismatch"),
    (r#""op": "softmax", "shape": [2, 36893488147419103232], "x": [0, 0]"#, "LengthMismatch"),
    (
        r#""op": "cross_entropy", "shape": [2, 2], "x": [0, 0, 0, 0], "labels": [0]"#,
        "LengthMismatch",
    ),
    (
        r#""op": "cross_entropy", "shape": [2, 2], "x": [0, 0, 0, 0], "targets": [0, 1]"#,
        "LengthMismatch",
    ),
    (
        r#""op": "clipped_cross_entropy", "shape": [1, 2], "x": [0, 1], "targets": [0, 1, 0]"#,
        "LengthMismatch",
    ),
    (
        r#""op": "binary_cross_entropy", "shape": [1, 2], "x": [0, 0], "targets": []"#,
        "LengthMismatch",
    ),
    (
        r#""op": "clipped_binary_cross_entropy", "shape": [1, 1], "x": [0], "targets": [0], "clip": [0]"#,
        "LengthMismatch",
    ),
    // LabelOutOfRange
    (r#""op": "cross_entropy", "shape": [1, 2], "x": [0, 0], "labels": [2]"#, "LabelOutOfRange"),
    (r#""op": "cross_entropy", "shape": [1, 2], "x": [0, 0], "labels": [-1]"#, "LabelOutOfRange"),
    (
        r#""op": "cross_entropy", "shape": [1, 2], "x": [0, 0], "labels": [4294967296], "reduction": "mean""#,
        "LabelOutOfRange",
    ),
    (
        r#""op": "clipped_cross_entropy", "shape": [2, 1], "x": [1, 1], "labels": [0, 99999999999999999999999]"#,
        "LabelOutOfRange",
    ),
    // EmptyClasses
    (r#""op": "cross_entropy", "shape": [2, 0], "x": [], "labels": [0, 0]"#, "EmptyClasses"),
    (
        r#""op": "clipped_cross_entropy", "shape": [1000000000000000000, 0], "x": [], "targets": []"#,
        "EmptyClasses",
    ),
    (
        r#""op": "binary_cross_entropy", "shape": [18446744073709551615, 0], "x": [], "targets": []"#,
        "EmptyClasses",
    ),
    (
        r#""op": "clipped_binary_cross_entropy", "shape": [1, 0], "x": [], "targets": [], "reduction": "sum""#,
        "EmptyClasses",
    ),
    // InvalidClip
    (
        r#""op": "clipped_cross_entropy", "shape": [1, 1], "x": [1], "labels": [0], "clip": [0.5, 0.1]"#,
        "InvalidClip",
    ),
    (
        r#""op": "clipped_cross_entropy", "shape": [1, 1], "x": [1], "labels": [0], "clip": ["nan", 1]"#,
        "InvalidClip",
    ),
    (
        r#""op": "clipped_binary_cross_entropy", "shape": [1, 1], "x": [1], "targets": [0], "clip": [0, 1e39]"#,
        "InvalidClip",
    ),
];

/// Requests with every field that an operation takes, and their answers.
const TAKEN: &[(&str, &str, &[f64], &[f64])] = &[
    (
        "cross_entropy",
        r#""shape": [2, 2], "x": [0, 0, 1, 1], "labels": [0, -1], "class_weights": [2, 1],
        "sample_weights": [3, 1], "ignore_index": -1, "focal_gamma": 1, "focal_alpha": 0.5, "z_loss": 0,
        "label_smoothing": 0, "temperature": 1, "soft_cap": "inf", "reduction": "mean", "gradient": true"#,
        // alpha (1 - p) ln 2; its slope is alpha ((1 - p) + p ln 2) (1 - p).
        &[0.25 * core::f64::consts::LN_2],
        &[-0.211_643_4, 0.211_643_4, 0.0, 0.0],
    ),
    (
        "clipped_cross_entropy",
        r#""shape": [1, 2], "x": [1, 1], "labels": [0], "class_weights": [2, 1], "sample_weights": [1],
        "ignore_index": null, "focal_gamma": 0, "focal_alpha": 1, "label_smoothing": 0, "normalize": true,
        "clip": [0, 1], "reduction": "sum", "gradient": true"#,
        &[2.0 * core::f64::consts::LN_2],
        &[-1.0, 1.0],
    ),
    (
        "binary_cross_entropy",
        r#""shape": [1, 1], "x": [0], "targets": [1], "pos_weights": [2], "sample_weights": [3],
        "label_smoothing": 0, "focal_gamma": 0, "focal_alpha": 0.5, "temperature": 2, "soft_cap": 10,
        "reduction": "mean_count", "gradient": true"#,
        &[3.0 * core::f64::consts::LN_2],
        &[-0.75],
    ),
    (
        "clipped_binary_cross_entropy",
        r#""shape": [1, 1], "x": [0.5], "targets": [1], "pos_weights": [2], "sample_weights": [3],
        "label_smoothing": 0, "focal_gamma": 0, "focal_alpha": 0.5, "clip": [0, 1], "gradient": true"#,
        &[3.0 * core::f64::consts::LN_2],
        &[-6.0],
    ),
    ("entropy", r#""shape": [1, 2], "x": [0.5, 0.5]"#, &[core::f64::consts::LN_2], &[]),
    (
        "kl_divergence",
        r#""shape": [1, 2], "x": [0.5, 0.5], "targets": [1, 0]"#,
        &[core::f64::consts::LN_2],
        &[],
    ),
    (
        "js_divergence",
        r#""shape": [1, 2], "x": [0, 1], "targets": [1, 0]"#,
        &[core::f64::consts::LN_2],
        &[],
    ),
];

#[test]
fn every_operation_takes_its_fields() {
    let mut driver = Driver::start();
    for (op, fields, y, gradient) in TAKEN {
        let request = format!(r#"{{"op": "{op}", {fields}}}"#).replace('\n', " ");
        let answer = driver.ask(&request);
        assert_near(&answer.values(), y, 1e-6, &request);
        let got = answer.gradient.as_deref().map(numbers).unwrap_or_default();
        assert_near(&got, gradient, 1e-6, &request);
    }
    let request = r#"{"op": "row_statistics", "shape": [1, 2], "x": [1, 0], "labels": [1]}"#;
    driver.send(request);
    let answer = driver.answer_line(request);
    for part in [r#""argmax":[0]"#, r#""rank":[1]"#, r#""loss":[1.313261"#, r#""lse":[1.313261"#] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    driver.finish();
}

/// A field with a valid value for one row of two classes, and the operations that take it.
const OPTIONS: &[(&str, &[&str])] = &[
    (r#""class_weights": [1, 2]"#, CATEGORICAL),
    (r#""pos_weights": [1, 2]"#, BINARY),
    (r#""sample_weights": [2]"#, LOSSES),
    (r#""ignore_index": -100"#, CATEGORICAL),
    (r#""label_smoothing": 0.1"#, LOSSES),
    (r#""focal_gamma": 2"#, LOSSES),
    (r#""focal_alpha": 0.25"#, LOSSES),
    (r#""z_loss": 1e-4"#, &["cross_entropy"]),
    (r#""temperature": 2"#, LOGITS),
    (r#""soft_cap": 30"#, LOGITS),
    (r#""clip": [0, 1]"#, CLIPPED),
    (r#""normalize": true"#, &["clipped_cross_entropy"]),
    (r#""reduction": "mean""#, LOSSES),
];

const CATEGORICAL: &[&str] = &["cross_entropy", "clipped_cross_entropy"];
const BINARY: &[&str] = &["binary_cross_entropy", "clipped_binary_cross_entropy"];
const LOGITS: &[&str] = &["cross_entropy", "binary_cross_entropy"];
const CLIPPED: &[&str] = &["clipped_cross_entropy", "clipped_binary_cross_entropy"];
const LOSSES: &[&str] = &[
    "cross_entropy",
    "clipped_cross_entropy",
    "binary_cross_entropy",
    "clipped_binary_cross_entropy",
];

/// Every operation on a row, with what it needs.
const OPERATIONS: &[(&str, &str)] = &[
    ("log_sum_exp", ""),
    ("softmax", ""),
    ("log_softmax", ""),
    ("cross_entropy", r#", "labels": [0]"#),
    ("clipped_cross_entropy", r#", "labels": [0]"#),
    ("binary_cross_entropy", r#", "targets": [0, 1]"#),
    ("clipped_binary_cross_entropy", r#", "targets": [0, 1]"#),
    ("entropy", ""),
    ("kl_divergence", r#", "targets": [0.5, 0.5]"#),
    ("js_divergence", r#", "targets": [0.5, 0.5]"#),
    ("row_statistics", r#", "labels": [0]"#),
];

#[test]
fn every_field_is_taken_where_it_belongs_and_nowhere_else() {
    let mut driver = Driver::start();
    for (op, needed) in OPERATIONS {
        let request = format!(r#"{{"op": "{op}", "shape": [1, 2], "x": [0.5, 0.5]{needed}"#);
        for (field, taken_by) in OPTIONS {
            let asked = format!("{request}, {field}}}");
            let answer = driver.ask(&asked);
            if taken_by.contains(op) {
                assert!(answer.error.is_none() && answer.y.is_some(), "{asked}: {answer:?}");
            } else {
                assert_eq!(answer.kind(), "InvalidOption", "{asked}");
            }
        }
        let asked = format!(r#"{request}, "gradient": true}}"#);
        let answer = driver.ask(&asked);
        if LOSSES.contains(op) {
            let gradient = answer.gradient.as_ref().map(Vec::len);
            assert_eq!(gradient, Some(2), "{asked}: {answer:?}");
        } else {
            assert_eq!(answer.kind(), "BadRequest", "{asked}");
        }
    }
    driver.finish();
}

const GOOD: &str = r#"{"op": "log_sum_exp", "shape": [1, 3], "x": [1, 2, 3]}"#;

#[test]
fn every_mistake_has_its_kind() {
    let mut driver = Driver::start();
    for (request, kind) in ERRORS {
        assert_eq!(driver.ask(format!("{{{request}}}")).kind(), *kind, "{request}");
    }
    for name in Backend::NAMES.into_iter().filter(|name| Backend::by_name(name).is_err()) {
        let request = format!(r#"{{"op": "backends", "backend": "{name}"}}"#);
        assert_eq!(driver.ask(&request).kind(), "UnavailableBackend", "{request}");
    }
    assert_eq!(driver.ask(GOOD).values(), [3.407606]);
    driver.finish();
}

/// Each is one line, and no valid request.
fn hostile_lines() -> Vec<Vec<u8>> {
    let with_x = |x: &str| format!(r#"{{"op": "softmax", "shape": [1, 1], "x": {x}}}"#);
    let with_shape = |shape: &str| format!(r#"{{"op": "softmax", "shape": {shape}, "x": [0]}}"#);
    let with_labels = |labels: &str| {
        format!(r#"{{"op": "cross_entropy", "shape": [1, 1], "x": [0], "labels": {labels}}}"#)
    };
    let deep = 1_000_000;
    let mut lines: Vec<Vec<u8>> = [
        // No JSON, or no object.
        "",
        " ",
        "\r",
        "\t\t",
        "null",
        "true",
        "0",
        "\"softmax\"",
        "[]",
        "[\"log_sum_exp\",null,[1,1],[0]]",
        "{",
        "}",
        "{}",
        "{}{}",
        "{\"op\"}",
        "{\"op\":}",
        "{\"op\": \"backends\",}",
        "{\"op\": \"backends\"} x",
        "{\"op\": \"backends\"} {\"op\": \"backends\"}",
        "{'op': 'backends'}",
        "{op: backends}",
        "// {\"op\": \"backends\"}",
        "{\"op\": \"backends\" /* */}",
        "\u{feff}{\"op\": \"backends\"}",
        "{\"op\": \"back\u{0}ends\"}",
        "{\"op\": \"\\ud800\"}",
        "{\"op\": \"\\x\"}",
        "GET / HTTP/1.1",
        "\u{1F600}",
        // Wrong types and names.
        "{\"op\": 1}",
        "{\"op\": [\"backends\"]}",
        "{\"op\": {\"backends\": null}}",
        "{\"OP\": \"backends\"}",
        "{\"op\": \"Backends\"}",
        "{\"op\": \"backends\", \"\": 0}",
        "{\"op\": \"backends\", \"unknown\": null}",
        "{\"op\": \"backends\", \"op\": \"backends\"}",
        "{\"op\": \"backends\", \"op\": null}",
        "{\"op\": \"backends\", \"backend\": 1}",
        "{\"op\": \"softmax\", \"shape\": [1, 1], \"x\": [0], \"x\": [0]}",
        "{\"op\": \"softmax\", \"shape\": [1, 1], \"x\": [0], \"normalize\": 1}",
        "{\"op\": \"softmax\", \"shape\": [1, 1], \"x\": [0], \"normalize\": \"true\"}",
        "{\"op\": \"softmax\", \"shape\": [1, 1], \"x\": [0], \"gradient\": 0}",
        "{\"op\": \"softmax\", \"shape\": [1, 1], \"x\": [0], \"reduction\": [\"sum\"]}",
        "{\"op\": \"softmax\", \"shape\": [1, 1], \"x\": [0], \"clip\": 0.1}",
        "{\"op\": \"softmax\", \"shape\": [1, 1], \"x\": [0], \"z_loss\": \"0.1\"}",
        "{\"op\": \"softmax\", \"shape\": [1, 1], \"x\": [0], \"ignore_index\": 0.5}",
        "{\"op\": \"softmax\", \"shape\": [1, 1], \"x\": [0], \"sample_weights\": [true]}",
    ]
    .map(|line| line.as_bytes().to_vec())
    .to_vec();
    let x = [
        "0",
        "\"nan\"",
        "{}",
        "[[0]]",
        "[null]",
        "[true]",
        "[\"\"]",
        "[\"NaN\"]",
        "[\"+inf\"]",
        "[\"Infinity\"]",
        "[\"0\"]",
        "[NaN]",
        "[nan]",
        "[Infinity]",
        "[-Infinity]",
        "[inf]",
        "[+1]",
        "[01]",
        "[.5]",
        "[1.]",
        "[1e]",
        "[1e+]",
        "[0x10]",
        "[1_000]",
        "[--1]",
        "[-]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1",
        "[1}",
        "[1e1e1]",
    ];
    lines.extend(x.into_iter().map(|x| with_x(x).into_bytes()));
    let shapes = [
        "1",
        "{}",
        "[1.0, 1]",
        "[1, 1e0]",
        "[1e18, 1e18]",
        "[-1, 1]",
        "[-1, -1]",
        "[-0, 1]",
        "[\"1\", 1]",
        "[null, 1]",
        "[[1], 1]",
        "[true, 1]",
        "[\"inf\", 1]",
    ];
    lines.extend(shapes.into_iter().map(|shape| with_shape(shape).into_bytes()));
    let labels =
        ["0", "[0.0]", "[0.5]", "[1e0]", "[\"0\"]", "[\"nan\"]", "[null]", "[[0]]", "[true]", "{}"];
    lines.extend(labels.into_iter().map(|labels| with_labels(labels).into_bytes()));
    // Deep and long.
    lines.extend(
        [
            "[".repeat(deep),
            "{\"op\":".repeat(deep),
            format!("{{\"x\": {}", "[".repeat(deep)),
            with_x(&format!("{}{}", "[".repeat(deep), "]".repeat(deep))),
            format!("{{\"unknown\": {}{}}}", "[".repeat(deep), "]".repeat(deep)),
            format!("{{\"unknown\": {}1{}}}", "{\"a\":".repeat(deep), "}".repeat(deep)),
            with_x(&format!("[{}", "0,".repeat(deep))),
            format!("{{\"op\": \"{}\"}}", "x".repeat(deep)),
            "{\"op\": \"log_sum_exp\", \"shape\": [1000000000000000000, 0], \"x\": []}".to_owned(),
            "{\"op\": \"log_sum_exp\", \"shape\": [18446744073709551615, 0], \"x\": []}".to_owned(),
        ]
        .map(String::into_bytes),
    );
    // No UTF-8.
    lines.push(vec![0xFF]);
    lines.push(vec![0; 100]);
    lines.push(b"{\"op\": \"back\xFFends\"}".to_vec());
    lines.push(b"{\"op\": \"\xED\xA0\x80\"}".to_vec());
    lines.push(b"{\"op\": \"softmax\", \"shape\": [1, 1], \"x\": [\xC0\xB1]}".to_vec());
    lines
}

#[test]
fn every_hostile_line_gets_one_answer_and_the_next_request_its_own() {
    let mut driver = Driver::start();
    for line in hostile_lines() {
        assert!(!line.contains(&b'\n'), "{}", shown(&line));
        assert_eq!(driver.ask(&line).kind(), "BadRequest", "{}", shown(&line));
        assert_eq!(driver.ask(GOOD).values(), [3.407606], "after {}", shown(&line));
    }
    driver.finish();
}

#[test]
fn a_last_line_without_its_end_is_answered() {
    let mut driver = Driver::start();
    let mut input = driver.requests.take().expect("the driver runs");
    input.write_all(b"{\"op\": \"backends\"}\r\n").expect("the driver reads");
    input.write_all(GOOD.as_bytes()).expect("the driver reads");
    drop(input);
    let status = driver.process.wait().expect("the driver ends");
    assert!(status.success(), "{status}");
    let lines: Vec<String> = driver.responses.iter().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(Response::parse(&lines[1]).values(), [3.407606]);
}
