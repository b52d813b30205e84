//! Rules that the compiler does not hold, read from the sources.

use std::fs;
use std::path::{Path, PathBuf};

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn in_room(file: &Path, rooms: &[&str]) -> bool {
    let path = file.strip_prefix(src()).unwrap();
    rooms.iter().any(|room| path.starts_with(room))
}

#[test]
fn every_function_over_simd_is_always_inlined() {
    // One forgotten attribute costs a factor of 40 to 60: the function is then compiled without the
    // target features of its caller.
    let mut n_functions = 0;
    for file in rust_files(&src()) {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let simd_impl = in_room(&file, &["isa", "simd"]);
        let mut generic_impl = false;
        for (i, line) in lines.iter().enumerate() {
            if line.starts_with("impl") {
                generic_impl = line.contains(": Simd") || line.contains(": Vector");
            } else if *line == "}" {
                generic_impl = false;
            }
            let code = line.trim_start();
            let mut words = code.split_whitespace();
            let is_modifier =
                |word: &str| word.starts_with("pub") || ["const", "unsafe"].contains(&word);
            let is_function = words.find(|word| !is_modifier(word)) == Some("fn");
            if !is_function {
                continue;
            }
            let signature: String = lines[i..]
                .iter()
                .take_while(|l| !l.contains('{') && !l.ends_with(';'))
                .copied()
                .chain(lines[i..].iter().find(|l| l.contains('{') || l.ends_with(';')).copied())
                .collect();
            let is_declaration = signature.trim_end().ends_with(';');
            let over_simd = [": Simd", ": Vector", ": crate::simd::Simd", "s: S"]
                .iter()
                .any(|bound| signature.contains(bound));
            let operation = simd_impl && signature.contains("(self");
            let helper = simd_impl && signature.contains("fn first_lanes");
            if is_declaration || !(over_simd || generic_impl || operation || helper) {
                continue;
            }
            n_functions += 1;
            let attributes =
                lines[..i].iter().rev().take_while(|l| l.trim_start().starts_with('#'));
            let inlined = attributes.into_iter().any(|l| l.contains("#[inline(always)]"));
            // Plain code has no target features to lose: its callers share a copy of a part.
            let plain_part = file.ends_with("scalar.rs") && code.starts_with("fn shared<");
            let place = format!("{}:{}", file.display(), i + 1);
            assert!(inlined || plain_part, "{place}: no #[inline(always)]: {code}");
        }
    }
    assert!(n_functions > 120, "only {n_functions} functions over S: Simd were found");
}

#[test]
fn kernels_and_math_are_plain_loops_without_closures_or_conditional_compilation() {
    for room in ["kernel", "math"] {
        for_each_code_line(room, |place, code| {
            let starts = ["(|", ", |", "= |", "{ |", "&|", "mut |", "move |", "return |"];
            let closure = starts.iter().any(|start| code.contains(start))
                || code.trim_start().starts_with('|') && code.matches('|').count() > 1;
            assert!(!closure, "{place}: a closure: {code}");
            assert!(!code.contains("cfg"), "{place}: a cfg: {code}");
        });
    }
}

/// The unsafe blocks of both libraries: where, how many, and what they do. A new one is stated here.
const UNSAFE: [(&str, usize, &str); 3] = [
    (
        "dispatch.rs",
        2,
        "calls of what is compiled for AVX2 and for AVX-512, by a Backend that proves them",
    ),
    (
        "isa/avx2.rs",
        10,
        "the intrinsics, by a token that proves them; loads and stores of whole vectors, of tails \
         and of masks; an element within a bound that was checked, read and written; an `asm!` \
         without an instruction",
    ),
    ("isa/avx512.rs", 8, "the same, without the loads of masks"),
];

/// Occurrences of the word, not as a part of another.
fn count_of_unsafe(code: &str) -> usize {
    let part = |c: char| c == '_' || c.is_alphanumeric();
    let alone = |at: usize| !code[..at].ends_with(part) && !code[at + 6..].starts_with(part);
    code.match_indices("unsafe").filter(|&(at, _)| alone(at)).count()
}

#[test]
fn unsafe_code_is_counted_and_says_why() {
    let std = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xent-std/src");
    let mut found = Vec::new();
    for file in [rust_files(&src()), rust_files(&std)].concat() {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let mut count = 0;
        for (i, line) in lines.iter().enumerate() {
            let here = count_of_unsafe(line.split("//").next().unwrap());
            count += here;
            let near = &lines[i.saturating_sub(3)..i];
            let says_why = here == 0 || near.iter().any(|l| l.contains("// SAFETY:"));
            assert!(says_why, "{}:{}: no SAFETY comment", file.display(), i + 1);
        }
        if count > 0 {
            // One outside the first library has no name that could be stated.
            let name = file.strip_prefix(src()).unwrap_or(&file);
            found.push((name.to_string_lossy().replace('\\', "/"), count));
        }
    }
    found.sort();
    let stated = UNSAFE.map(|(file, count, _)| (file.to_string(), count));
    assert_eq!(found, stated, "found, and stated in this file");
}

#[test]
fn imports_flow_one_way() {
    // lib -> loss -> dispatch -> kernel -> math -> simd <- isa
    let allowed = [
        ("dispatch.rs", &["backend", "isa", "kernel", "log_sum_exp", "statistics"][..]),
        ("kernel", &["log_sum_exp", "math", "simd", "statistics"]),
        ("math", &["simd"]),
        ("isa", &["simd"]),
        ("isa.rs", &["simd"]),
        ("reference", &["accuracy"]),
        ("reference.rs", &["accuracy"]),
        ("simd.rs", &[]),
        ("accuracy.rs", &[]),
        ("error.rs", &[]),
    ];
    for (room, allowed) in allowed {
        for_each_code_line(room, |place, code| {
            // Also a path in a body. Of a list it would take more to read.
            for (at, start) in code.match_indices("crate::") {
                let rest = &code[at + start.len()..];
                let name: String =
                    rest.chars().take_while(|&c| c == '_' || c.is_alphanumeric()).collect();
                assert!(allowed.contains(&&*name), "{place}: not of {allowed:?}: {code}");
            }
            assert!(!code.contains("super::super"), "{place}: {code}");
        });
    }
    for room in
        ["loss", "loss.rs", "softmax.rs", "divergence.rs", "statistics.rs", "rows.rs", "targets.rs"]
    {
        for_each_code_line(room, |place, code| {
            for path in ["isa::", "math::", "simd::"] {
                assert!(!code.contains(path), "{place}: below dispatch: {code}");
            }
        });
    }
    // What it computes in f64 is the reference's alone.
    for room in ["kernel", "math", "isa", "loss", "dispatch.rs", "simd.rs"] {
        for_each_code_line(room, |place, code| assert!(!code.contains("libm"), "{place}: {code}"));
    }
}

/// Calls `check` with the place and the code, without its comment, of each line of a room but for its tests.
fn for_each_code_line(room: &str, check: impl Fn(&str, &str)) {
    let path = src().join(room);
    let files = if path.is_dir() { rust_files(&path) } else { vec![path] };
    for file in files.iter().filter(|file| !file.ends_with("tests.rs")) {
        for (i, line) in fs::read_to_string(file).unwrap().lines().enumerate() {
            check(&format!("{}:{}", file.display(), i + 1), line.split("//").next().unwrap());
        }
    }
}
