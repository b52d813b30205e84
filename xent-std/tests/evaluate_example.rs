//! The example `evaluate`, run as its user runs it: what it prints and how it refuses bad files.
//!
//! The files are written here byte by byte, by no code of the example or of its `.npy` crate.

#[path = "driver/command.rs"]
mod command;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

use command::command;

/// Three rows of two classes, in row order: exact in f16, f32 and f64.
const LOGITS: [f64; 6] = [2.0, 0.0, 0.5, 1.5, -1.0, 3.0];
const LABELS: [i64; 3] = [0, 1, 0];
/// The mean of ln(1 + e^-2), ln(1 + e^-1), 4 + ln(1 + e^-4).
const MEAN: f64 = (0.126_928_011_042_972_5 + 0.313_261_687_518_222_9 + 4.018_149_927_917_81) / 3.0;

// Built-in data.

#[test]
fn without_files_it_reports_the_digits() {
    let run = evaluate(&["--no-speed"]);
    run.assert_success();
    assert_eq!(run.value("rows"), 1797.0);
    assert_eq!(run.value("classes"), 10.0);
    assert_close(run.value("mean loss"), 0.103_751_688_521, 5e-8);
    assert_close(run.value("perplexity"), 1.109_324_962_591, 5e-8);
    assert_eq!(run.value("accuracy"), 0.973845);
    assert!(run.stdout.contains("(1750 of 1797)"), "{}", run.stdout);
}

/// Rows, sum of confidences and right predictions of ten bins, and the mean entropy, in f64 from the
/// bytes of the files.
fn digits_by_hand() -> ([(usize, f64, usize); 10], f64) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/evaluate");
    let [logits, labels] = ["digits_logits.npy", "digits_labels.npy"]
        .map(|name| fs::read(folder.join(name)).unwrap().split_off(128));
    let logits: Vec<f64> = logits
        .chunks_exact(4)
        .map(|bytes| f64::from(f32::from_le_bytes(bytes.try_into().unwrap())))
        .collect();
    assert_eq!((logits.len(), labels.len()), (17_970, 1797));
    let (mut bins, mut entropy) = ([(0, 0.0, 0); 10], 0.0);
    for (x, &label) in logits.chunks_exact(10).zip(&labels) {
        let sum: f64 = x.iter().map(|x| x.exp()).sum();
        let probs: Vec<f64> = x.iter().map(|x| x.exp() / sum).collect();
        let confidence = probs.iter().copied().fold(0.0, f64::max);
        let right = probs[usize::from(label)] == confidence;
        let upper_ends = (1..=10).map(|i| f64::from(i) / 10.0);
        let bin = upper_ends.take_while(|&end| confidence > end).count().min(9);
        bins[bin].0 += 1;
        bins[bin].1 += confidence;
        bins[bin].2 += usize::from(right);
        entropy -= probs.iter().map(|p| p * p.ln()).sum::<f64>();
    }
    (bins, entropy / labels.len() as f64)
}

#[test]
fn the_calibration_of_the_digits_is_that_of_a_computation_by_hand() {
    let run = evaluate(&["--no-speed"]);
    let (bins, entropy) = digits_by_hand();
    let gaps = bins.iter().map(|&(_, confidence, right)| (right as f64 - confidence).abs());
    let error = gaps.sum::<f64>() / 1797.0;
    assert!((run.value("ECE") - error).abs() <= 6e-7, "{error}:\n{}", run.stdout);
    assert_close(run.value("entropy"), entropy, 1e-6);

    let diagram = run.diagram();
    let first = bins.iter().position(|bin| bin.0 > 0).unwrap();
    assert_eq!(diagram.len(), 10 - first, "{}", run.stdout);
    for (line, (i, &(count, confidence, right))) in
        diagram.iter().zip(bins.iter().enumerate().skip(first))
    {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let range = format!("{:.2}-{:.2}", i as f64 / 10.0, (i + 1) as f64 / 10.0);
        let [confidence, accuracy] = [confidence, right as f64].map(|sum| sum / count as f64);
        let want = [range, count.to_string(), format!("{confidence:.3}"), format!("{accuracy:.3}")];
        assert_eq!(columns[..4], want, "{line}");
        // The bar reaches as far as the accuracy, the mark is at the confidence.
        let bar = &line[36..];
        let [mark, end] = [confidence, accuracy].map(|x| (x * 40.0).round() as usize);
        assert_eq!(bar.find('|'), Some(mark), "{line}");
        let filled = bar.matches('=').count() + usize::from(mark < end);
        assert_eq!(filled, end, "{line}");
        assert!(line.len() <= 80, "{line}");
    }
}

#[test]
fn the_top_k_is_five_or_all_classes_or_what_is_asked_for() {
    assert_eq!(evaluate(&["--no-speed"]).value("top 5"), 0.998331);
    let run = evaluate(&["--no-speed", "--top-k", "1"]);
    assert_eq!(run.value("top 1"), run.value("accuracy"));
    assert_eq!(evaluate(&["--no-speed", "--top-k", "4000000000"]).value("top 4000000000"), 1.0);
    let files = Files::new("top_k").logits("<f4", false, &[3, 2]).labels("<i8", &[3]);
    assert_eq!(files.evaluate().value("top 2"), 1.0);
    for wrong in ["0", "-1", "x"] {
        assert_eq!(evaluate(&["--no-speed", "--top-k", wrong]).code, Some(2), "{wrong}");
    }
}

#[test]
fn the_worst_digits_are_listed_worst_first() {
    let rows = evaluate(&["--no-speed"]).worst_rows();
    let indices: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(indices, ["502", "87", "5", "1658", "1572"]);
    assert_eq!(rows[0], ["502", "2", "5", "24.0796"]);
    assert_eq!(rows[1], ["87", "4", "1", "20.0136"]);
}

#[test]
fn the_smallest_digit_loss_is_not_zero_and_the_plain_one_is() {
    let run = evaluate(&["--no-speed"]);
    assert!(run.stdout.contains("Smallest loss, in row 1290\n"), "{}", run.stdout);
    assert_close(run.value("    xent"), 2.062_870_33e-8, 4.0 / 8_388_608.0);
    assert_close(run.value("    exact"), 2.062_870_33e-8, 1e-8);
    assert_eq!(run.value("    plain f32"), 0.0);
}

#[test]
fn the_digits_from_files_give_the_report_of_the_built_in_ones() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/evaluate");
    let [logits, labels] = ["digits_logits.npy", "digits_labels.npy"].map(|name| folder.join(name));
    let run = evaluate(&[text(&logits), text(&labels), "--no-speed"]);
    assert_eq!(run.report(), evaluate(&["--no-speed"]).report());
}

#[test]
fn the_speed_of_every_backend_is_reported() {
    let files = Files::new("speed").logits("<f4", false, &[3, 2]).labels("<i8", &[3]);
    let run = files.evaluate_with(&[]);
    run.assert_success();
    let (_, table) = run.stdout.split_once("Speed of the loss").expect("a table of speeds");
    let backends = xent_std::Backend::all().map(xent_std::Backend::name);
    for name in backends.chain(["plain f32"]) {
        let line = table.lines().find(|line| line.trim_start().starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no line for {name}:\n{}", run.stdout));
        let columns: Vec<&str> = line.trim_start()[name.len()..].split_whitespace().collect();
        assert_eq!(columns.len(), 6, "{line}");
        for column in [columns[0], columns[3]] {
            assert!(column.parse::<f64>().unwrap() > 0.0, "{line}");
        }
        assert_close(columns[2].parse().unwrap(), MEAN, 1e-5);
    }
}

// The user's files.

#[test]
fn logits_of_each_type_byte_order_and_layout_are_read() {
    for descr in ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"] {
        for fortran in [false, true] {
            let name = format!("logits_{}_{fortran}", descr.replace('<', "le").replace('>', "be"));
            let files = Files::new(&name).logits(descr, fortran, &[3, 2]).labels("|u1", &[3]);
            assert_small_report(&files.evaluate(), &format!("{descr}, Fortran {fortran}"));
        }
    }
}

#[test]
fn labels_of_each_type_and_byte_order_are_read() {
    for descr in [
        "|i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8", "|u1", "<u2", ">u2", "<u4", ">u4", "<u8",
        ">u8",
    ] {
        let name = format!("labels_{}", descr.replace(['<', '|'], "le").replace('>', "be"));
        let files = Files::new(&name).logits("<f4", false, &[3, 2]).labels(descr, &[3]);
        assert_small_report(&files.evaluate(), descr);
    }
}

#[test]
fn labels_may_be_a_column() {
    let files = Files::new("column").logits("<f4", false, &[3, 2]).labels("<i8", &[3, 1]);
    assert_small_report(&files.evaluate(), "shape (3, 1)");
}

#[test]
fn float64_is_rounded_to_the_nearest_float32() {
    // The label's logit lies between 2^24 and 2^24 + 2, nearer to the second; the other is 2^24 + 4.
    let logits = [16_777_217.5, 16_777_220.0];
    let files = Files::new("rounding").logits_of("<f8", false, &[1, 2], &logits);
    let run = files.labels_of("|u1", &[1], &[0]).evaluate();
    run.assert_success();
    assert_close(run.value("mean loss"), 2.0 + (-2_f64).exp().ln_1p(), 1e-7);
}

#[test]
fn more_rows_than_a_slice_are_all_counted() {
    // 600,000 rows of two classes: more than 2^20 logits. Row 599,999 is the worst.
    let n = 600_000;
    let mut logits = vec![0.0; 2 * n];
    logits[2 * n - 1] = 8.0;
    for fortran in [false, true] {
        let files = Files::new(&format!("slices_{fortran}"));
        let files = files.logits_of("<f4", fortran, &[n, 2], &logits);
        let run = files.labels_of("|u1", &[n], &vec![0; n]).evaluate();
        run.assert_success();
        let expected = ((n - 1) as f64 * 2_f64.ln() + 8.0 + (-8_f64).exp().ln_1p()) / n as f64;
        assert_close(run.value("mean loss"), expected, 1e-7);
        assert_eq!(run.value("rows"), n as f64);
        assert_eq!(run.worst_rows()[0][..], ["599999", "0", "1", "8.0003"]);
        // Of equal logits the first class, of equal losses the first rows.
        assert!(run.stdout.contains("(599999 of 600000)"), "{}", run.stdout);
        assert_eq!(run.worst_rows()[1][..], ["0", "0", "0", "0.6931"]);
        assert_eq!(run.worst_rows()[4][0], "3");
    }
}

#[test]
fn nan_and_infinite_losses_are_counted_and_the_mean_of_the_others_is_given() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let logits = [2.0, 0.0, nan, 1.0, 0.5, 1.5, -inf, 0.0, inf, 0.0, -1.0, 3.0];
    let files = Files::new("not_finite").logits_of("<f4", false, &[6, 2], &logits);
    let run = files.labels_of("|u1", &[6], &[0, 1, 1, 0, 0, 0]).evaluate();
    run.assert_success();
    assert!(run.value("mean loss").is_nan(), "{}", run.stdout);
    assert!(run.stdout.contains("The mean is NaN"), "{}", run.stdout);
    assert!(run.stdout.contains("NaN          2, first in row 1"), "{}", run.stdout);
    assert!(run.stdout.contains("infinite     1, first in row 3"), "{}", run.stdout);
    assert_eq!(run.value("    finite"), 3.0);
    assert_close(run.value("    their mean"), MEAN, 1e-7);
    let worst = run.worst_rows();
    assert_eq!(worst.len(), 4, "NaN rows are not ranked:\n{}", run.stdout);
    assert_eq!(worst[0], ["3", "0", "1", "inf"]);
    // The row with the NaN predicts nothing, the one with +inf its class.
    assert!(run.stdout.contains("(3 of 6)"), "{}", run.stdout);
    // Neither has a confidence.
    assert_eq!(run.diagram().last().unwrap().trim(), "none         2", "{}", run.stdout);
    assert!(run.value("entropy").is_nan() && run.value("ECE").is_finite(), "{}", run.stdout);
}

// Files that do not fit. Each message names the file, what was found and what is needed.

#[test]
fn a_missing_file_is_an_error() {
    let files = Files::new("missing").labels("|u1", &[3]);
    files.assert_refused(&["logits.npy", "cannot be read: ", "an .npy file is needed"]);
}

#[test]
fn a_folder_is_an_error() {
    let files = Files::new("folder").labels("|u1", &[3]);
    fs::create_dir_all(files.path("logits.npy")).unwrap();
    files.assert_refused(&["logits.npy", "cannot be read: ", "an .npy file is needed"]);
}

#[test]
fn a_file_that_is_no_npy_is_an_error() {
    let files = Files::new("zip").raw("logits.npy", b"PK\x03\x04 an archive").labels("|u1", &[3]);
    files.assert_refused(&["logits.npy", r#"begins with "PK\x03\x04"#, r#"with "\x93NUMPY""#]);
    let files = Files::new("empty").logits("<f4", false, &[3, 2]).raw("labels.npy", b"");
    files.assert_refused(&["labels.npy", "is empty", "an .npy file"]);
}

#[test]
fn a_header_without_sense_is_an_error() {
    for (name, header) in [
        ("words", "no dictionary"),
        ("no_shape", "{'descr': '<f4', 'fortran_order': False}"),
        ("negative", "{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 2)}"),
        ("unknown_type", "{'descr': '<q4', 'fortran_order': False, 'shape': (3, 2)}"),
    ] {
        let bytes = with_header(header, &[0; 24]);
        let files = Files::new(&format!("header_{name}")).raw("logits.npy", &bytes);
        let needed = "needs one with type, order and shape";
        files.labels("|u1", &[3]).assert_refused(&["logits.npy", "cannot be understood", needed]);
    }
    // Of version 2, with four bytes of length.
    for (length, said) in [(u32::MAX, "have 4294967295 bytes"), (1 << 21, "have 2097152 bytes")] {
        let bytes = [b"\x93NUMPY\x02\0", &length.to_le_bytes()[..]].concat();
        let files = Files::new(&format!("header_of_{length}")).raw("logits.npy", &bytes);
        files.labels("|u1", &[3]).assert_refused(&["logits.npy", "cannot be understood", said]);
    }
}

#[test]
fn a_header_of_version_2_is_read() {
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\n";
    let length = u32::try_from(header.len()).unwrap().to_le_bytes();
    let numbers = [1_f32.to_le_bytes(), 0_f32.to_le_bytes()].concat();
    let bytes = [b"\x93NUMPY\x02\0", &length[..], header.as_bytes(), &numbers].concat();
    let files = Files::new("version_2").raw("logits.npy", &bytes).labels("|u1", &[1]);
    let run = files.evaluate();
    run.assert_success();
    assert!(run.stdout.contains("mean loss"), "{}", run.stdout);
}

#[test]
fn a_truncated_file_is_an_error() {
    let files = Files::new("truncated").logits("<f4", false, &[3, 2]).labels("|u1", &[3]);
    let bytes = fs::read(files.path("logits.npy")).unwrap();
    // In the middle of the fifth number.
    let files = files.raw("logits.npy", &bytes[..bytes.len() - 6]);
    files.assert_refused(&["logits.npy", "after 4 numbers", "shape (3, 2) needs 6"]);
    // Inside the header.
    let files = files.raw("logits.npy", &bytes[..40]);
    files.assert_refused(&["logits.npy", "ends inside its header", "a complete .npy file"]);

    let files = Files::new("truncated_labels").logits("<f4", false, &[3, 2]).labels("<i8", &[3]);
    let bytes = fs::read(files.path("labels.npy")).unwrap();
    let files = files.raw("labels.npy", &bytes[..bytes.len() - 1]);
    files.assert_refused(&["labels.npy", "after 2 numbers", "shape (3,) needs 3"]);
}

#[test]
fn a_wrong_number_of_dimensions_is_an_error() {
    for (name, shape, found) in [
        ("0d", &[][..], "has shape ()"),
        ("1d", &[6], "has shape (6,)"),
        ("3d", &[3, 2, 1], "has shape (3, 2, 1)"),
    ] {
        let files = Files::new(&format!("logits_{name}")).logits("<f4", false, shape);
        let needed = "logits need shape (rows, classes)";
        files.labels("|u1", &[3]).assert_refused(&["logits.npy", found, needed]);
    }
    for (name, shape, found) in [
        ("0d", &[][..], "has shape ()"),
        ("2d", &[3, 2], "has shape (3, 2)"),
        ("3d", &[3, 1, 1], "has shape (3, 1, 1)"),
    ] {
        let files = Files::new(&format!("labels_{name}")).logits("<f4", false, &[3, 2]);
        let needed = "labels need shape (rows,) or (rows, 1)";
        files.labels("|u1", shape).assert_refused(&["labels.npy", found, needed]);
    }
}

#[test]
fn no_rows_or_no_classes_is_an_error() {
    for (name, shape, found) in
        [("rows", &[0, 2], "has shape (0, 2)"), ("classes", &[3, 0], "has shape (3, 0)")]
    {
        let files = Files::new(&format!("no_{name}")).logits("<f4", false, shape);
        let needed = "at least one row and one class";
        files.labels("|u1", &[shape[0]]).assert_refused(&["logits.npy", found, needed]);
    }
}

#[test]
fn logits_of_a_wrong_type_are_an_error() {
    for (descr, found) in [
        ("<i8", "holds int64"),
        ("|b1", "holds bool"),
        ("<c8", "holds complex64"),
        ("<f16", "holds float128"),
        ("|O", "holds Python objects"),
        ("<U4", "holds strings"),
    ] {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (3, 2)}}");
        let files = Files::new(&format!("type_{}", &descr[1..]));
        let files = files.raw("logits.npy", &with_header(&header, &[0; 96]));
        let needed = "logits need float16, float32 or float64";
        files.labels("|u1", &[3]).assert_refused(&["logits.npy", found, needed]);
    }
    let header = "{'descr': [('a', '<f4'), ('b', '<f4')], 'fortran_order': False, 'shape': (3, 2)}";
    let files = Files::new("type_records").raw("logits.npy", &with_header(header, &[0; 48]));
    files.labels("|u1", &[3]).assert_refused(&["logits.npy", "holds records", "logits need"]);
}

#[test]
fn labels_of_a_wrong_type_are_an_error() {
    for (descr, found) in
        [("<f4", "holds float32"), ("|b1", "holds bool"), ("<m8[s]", "holds type")]
    {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (3,)}}");
        let files = Files::new(&format!("label_type_{}", &descr[1..3]));
        let files = files.logits("<f4", false, &[3, 2]);
        let files = files.raw("labels.npy", &with_header(&header, &[0; 24]));
        files.assert_refused(&["labels.npy", found, "labels need an integer type"]);
    }
}

#[test]
fn different_lengths_are_an_error() {
    let files = Files::new("lengths").logits("<f4", false, &[3, 2]);
    let files = files.labels_of("|u1", &[2], &[0, 1]);
    files.assert_refused(&["labels.npy: has 2 labels", "3 rows of", "logits.npy need 3"]);
}

#[test]
fn a_label_out_of_range_is_an_error() {
    for (name, descr, label, found) in [
        ("next", "|u1", 2, "label 2 in row 1"),
        ("negative", "|i1", -1, "label -1 in row 1"),
        ("all_bits", "<u8", -1, "label 18446744073709551615 in row 1"),
        ("lowest", "<i8", i64::MIN, "label -9223372036854775808 in row 1"),
    ] {
        let files = Files::new(&format!("label_{name}")).logits("<f4", false, &[3, 2]);
        let files = files.labels_of(descr, &[3], &[0, label, 0]);
        files.assert_refused(&["labels.npy", found, "the 2 classes (0 to 1)"]);
    }
}

// The command line.

#[test]
fn one_file_alone_is_a_wrong_command_line() {
    let run = evaluate(&["logits.npy"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("LABELS.npy"), "{}", run.stderr);
}

#[test]
fn help_says_what_the_files_are() {
    let run = evaluate(&["--help"]);
    run.assert_success();
    for needed in
        ["LOGITS.npy", "LABELS.npy", "--top-k", "--no-speed", "numpy.save", "(rows, classes)"]
    {
        assert!(run.stdout.contains(needed), "{needed}:\n{}", run.stdout);
    }
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = command(example())
        .arg("--no-speed")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

// Helpers.

/// The example's binary. `cargo test` builds it before it runs the tests; `cargo test --test` does not.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap().join("examples");
    let binary = folder.join(format!("evaluate{}", std::env::consts::EXE_SUFFIX));
    let advice = "run cargo build -p xent-std --example evaluate, with the profile of this test";
    assert!(binary.is_file(), "{} is missing; {advice}", binary.display());

    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/evaluate");
    for file in fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "rs" || extension == "npy") {
            let old = modified(&binary) < modified(&file);
            assert!(!old, "{} is older than {}; {advice}", binary.display(), file.display());
        }
    }
    binary
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn evaluate(arguments: &[&str]) -> Run {
    let output = command(example()).args(arguments).output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn assert_close(got: f64, wanted: f64, tolerance: f64) {
    let error = (got - wanted).abs() / wanted.abs();
    assert!(error <= tolerance, "got {got}, wanted {wanted}, relative error {error:e}");
}

/// The report on [`LOGITS`] and [`LABELS`].
fn assert_small_report(run: &Run, of: &str) {
    run.assert_success();
    assert_close(run.value("mean loss"), MEAN, 1e-7);
    assert!(run.stdout.contains("(2 of 3)"), "{of}:\n{}", run.stdout);
    let rows = [["2", "0", "1", "4.0181"], ["1", "1", "1", "0.3133"], ["0", "0", "0", "0.1269"]];
    assert_eq!(run.worst_rows(), rows, "{of}");
}

/// What a run left behind.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    #[track_caller]
    fn assert_success(&self) {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
    }

    /// The number after `name` at the start of a line.
    #[track_caller]
    fn value(&self, name: &str) -> f64 {
        let rest = self.stdout.lines().find_map(|line| line.strip_prefix(name));
        let number = rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no number after {name:?}:\n{}", self.stdout))
    }

    /// Row, label, predicted class and loss of the listed rows.
    fn worst_rows(&self) -> Vec<Vec<String>> {
        let lines = self.stdout.lines().skip_while(|line| *line != "Most surprising rows");
        let rows = lines.skip(2).take_while(|line| !line.is_empty());
        rows.map(|row| row.split_whitespace().map(str::to_owned).collect()).collect()
    }

    /// The lines of the reliability diagram.
    fn diagram(&self) -> Vec<&str> {
        let lines = self.stdout.lines().skip_while(|line| !line.starts_with("How often"));
        lines.skip(2).take_while(|line| !line.is_empty()).collect()
    }

    /// All but the lines that name the files.
    fn report(&self) -> &str {
        self.stdout.split_once("\n\n").expect("a blank line after the files").1
    }
}

/// A folder for `logits.npy` and `labels.npy` of one test.
struct Files {
    folder: PathBuf,
}

impl Files {
    fn new(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("evaluate").join(test);
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        Files { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn raw(self, name: &str, bytes: &[u8]) -> Self {
        fs::write(self.path(name), bytes).unwrap();
        self
    }

    fn logits(self, descr: &str, fortran: bool, shape: &[usize]) -> Self {
        self.logits_of(descr, fortran, shape, &LOGITS)
    }

    /// `values`: in row order.
    fn logits_of(self, descr: &str, fortran: bool, shape: &[usize], values: &[f64]) -> Self {
        let mut bytes = Vec::new();
        for i in 0..values.len() {
            // Fortran: down the columns, so element i is row i % rows, class i / rows.
            let value = match (fortran, shape) {
                (true, &[rows, classes]) => values[(i % rows) * classes + i / rows],
                _ => values[i],
            };
            bytes.extend(float(descr, value));
        }
        self.raw("logits.npy", &npy(descr, fortran, shape, &bytes))
    }

    fn labels(self, descr: &str, shape: &[usize]) -> Self {
        self.labels_of(descr, shape, &LABELS)
    }

    fn labels_of(self, descr: &str, shape: &[usize], labels: &[i64]) -> Self {
        let bytes: Vec<u8> = labels.iter().flat_map(|&label| integer(descr, label)).collect();
        self.raw("labels.npy", &npy(descr, false, shape, &bytes))
    }

    fn evaluate(&self) -> Run {
        self.evaluate_with(&["--no-speed"])
    }

    fn evaluate_with(&self, options: &[&str]) -> Run {
        let [logits, labels] = ["logits.npy", "labels.npy"].map(|name| self.path(name));
        evaluate(&[&[text(&logits), text(&labels)], options].concat())
    }

    /// Exit code 1, nothing on stdout, and one line on stderr that holds all of `parts`.
    #[track_caller]
    fn assert_refused(&self, parts: &[&str]) {
        let run = self.evaluate();
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{}", run.stderr);
        assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        for part in parts {
            assert!(run.stderr.contains(part), "{part:?} is not in: {}", run.stderr);
        }
    }
}

/// An `.npy` file of format 1.0.
fn npy(descr: &str, fortran: bool, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let shape: String = shape.iter().map(|size| format!("{size}, ")).collect();
    // (3, 2, ) is what Python reads as (3, 2).
    let shape = shape.trim_end();
    with_header(
        &format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape})}}"),
        data,
    )
}

fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let padded = format!("{header:117}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend(u16::try_from(padded.len()).unwrap().to_le_bytes());
    file.extend(padded.into_bytes());
    file.extend(data);
    file
}

fn float(descr: &str, value: f64) -> Vec<u8> {
    let little = match &descr[1..] {
        "f2" => half_bits(value).to_le_bytes().to_vec(),
        "f4" => (value as f32).to_le_bytes().to_vec(),
        "f8" => value.to_le_bytes().to_vec(),
        other => panic!("no float type {other}"),
    };
    in_order(descr, little)
}

/// f16 of a value that is one, neither subnormal nor special.
fn half_bits(value: f64) -> u16 {
    if value == 0.0 {
        return 0;
    }
    let bits = value.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32 - 1023;
    assert!((-14..=15).contains(&exponent) && bits & ((1 << 42) - 1) == 0, "{value} is no f16");
    let sign = (bits >> 48) as u16 & 0x8000;
    sign | ((exponent + 15) as u16) << 10 | (bits >> 42) as u16 & 0x3ff
}

fn integer(descr: &str, value: i64) -> Vec<u8> {
    let n_bytes: usize = descr[2..].parse().unwrap();
    in_order(descr, value.to_le_bytes()[..n_bytes].to_vec())
}

fn in_order(descr: &str, mut little: Vec<u8>) -> Vec<u8> {
    if descr.starts_with('>') {
        little.reverse();
    }
    little
}
