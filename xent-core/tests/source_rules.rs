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
        let simd_impl = in_room(&file, &["isa"]);
        let mut generic_impl = false;
        for (i, line) in lines.iter().enumerate() {
            if line.starts_with("impl") {
                generic_impl = line.contains("S: Simd");
            } else if *line == "}" {
                generic_impl = false;
            }
            let code = line.trim_start();
            let is_function =
                code.starts_with("fn ") || code.starts_with("pub") && code.contains(" fn ");
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
            let over_simd = signature.contains("S: Simd") || signature.contains("s: S");
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
        for file in rust_files(&src().join(room)) {
            if file.ends_with("tests.rs") {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            for (i, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap();
                let starts = ["(|", ", |", "= |", "{ |", "move |", "return |"];
                let closure = starts.iter().any(|start| code.contains(start))
                    || code.trim_start().starts_with('|') && code.matches('|').count() > 1;
                assert!(!closure, "{}:{}: a closure: {line}", file.display(), i + 1);
                assert!(!code.contains("cfg"), "{}:{}: a cfg: {line}", file.display(), i + 1);
            }
        }
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
        9,
        "the intrinsics, by a token that proves them; loads and stores of whole vectors, of tails \
         and of masks; an element within a bound that was checked, read and written",
    ),
    ("isa/avx512.rs", 7, "the same, without the loads of masks"),
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
    let forbidden = [
        (
            "kernel",
            &["crate::loss", "crate::dispatch", "crate::backend", "crate::isa", "crate::Backend"][..],
        ),
        (
            "math",
            &["crate::kernel", "crate::loss", "crate::dispatch", "crate::isa", "crate::backend"][..],
        ),
        ("isa", &["crate::kernel", "crate::math", "crate::loss", "crate::dispatch"][..]),
        ("simd.rs", &["crate::"][..]),
        ("reference", &["crate::kernel", "crate::math", "crate::loss", "crate::Backend"][..]),
        ("reference.rs", &["crate::kernel", "crate::math", "crate::loss", "crate::Backend"][..]),
        ("accuracy.rs", &["crate::"][..]),
        ("error.rs", &["crate::"][..]),
    ];
    for (room, imports) in forbidden {
        let path = src().join(room);
        let files = if path.is_dir() { rust_files(&path) } else { vec![path] };
        for file in files {
            if file.ends_with("tests.rs") {
                continue;
            }
            for line in fs::read_to_string(&file).unwrap().lines() {
                // Also a path in a body. Of a list it would take more to read.
                let code = line.split("//").next().unwrap();
                for import in imports.iter().chain(&["crate::{", "crate::*", "super::super"]) {
                    assert!(!code.contains(import), "{}: {line}", file.display());
                }
            }
        }
    }
}
