//! No public function of `xent-core` is forgotten, and calling them all does nothing unexpected.

use std::fs;
use std::path::{Path, PathBuf};

/// Private rooms, and those that are left out.
const NOT_CALLED: [&str; 8] =
    ["accuracy.rs", "dispatch.rs", "isa", "kernel", "math", "reference", "reference.rs", "simd.rs"];

/// Traits that are functions of the public face, and their method. Derived ones and formatting are not.
const TRAITS: [(&str, &str); 4] =
    [("Default", "default"), ("Extend", "extend"), ("From", "from"), ("FromIterator", "from_iter")];

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if NOT_CALLED.iter().any(|room| path.ends_with(Path::new("src").join(room))) {
            continue;
        }
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The name that `code` begins with.
fn name(code: &str) -> &str {
    code.split(|c: char| c != '_' && !c.is_alphanumeric()).next().unwrap()
}

/// `code` behind the generics that it begins with, if it does.
fn behind_generics(code: &str) -> &str {
    let mut depth = 0;
    for (i, c) in code.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return if c == '>' { &code[i + 1..] } else { code };
        }
    }
    code
}

/// Trait, if it is of one, and type of an `impl`.
fn implementation(code: &str) -> Option<(Option<&str>, &str)> {
    let code = behind_generics(code.strip_prefix("impl")?).trim_start();
    match code.split_once(" for ") {
        Some((of, on)) => Some((Some(name(of)), name(on))),
        None => Some((None, name(code))),
    }
}

/// The public functions of a file, as they are called.
fn public_functions(text: &str) -> Vec<String> {
    let mut functions = Vec::new();
    let mut of = "xent_core";
    for line in text.lines() {
        let code = line.trim_start();
        if let Some((of_trait, on)) = implementation(code) {
            of = on;
            let known = TRAITS.iter().find(|(name, _)| Some(*name) == of_trait);
            functions.extend(known.map(|(_, method)| format!("{on}::{method}(")));
        } else if line == "}" {
            of = "xent_core";
        }
        let public = ["pub fn ", "pub const fn "];
        if let Some(function) = public.iter().find_map(|prefix| code.strip_prefix(prefix)) {
            functions.push(format!("{of}::{}(", name(function)));
        }
    }
    functions
}

/// Whether `call` is in `text`, and not as the end of a longer name.
fn has_call(text: &str, call: &str) -> bool {
    text.match_indices(call).any(|(at, _)| !text[..at].ends_with(char::is_alphanumeric))
}

#[test]
fn every_public_function_is_called() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../xent-core/src");
    let calls = include_str!("../src/lib.rs");
    let mut functions: Vec<String> = rust_files(&src)
        .iter()
        .flat_map(|file| public_functions(&fs::read_to_string(file).unwrap()))
        .collect();
    functions.sort();
    functions.dedup();
    let forgotten: Vec<&String> = functions.iter().filter(|&call| !has_call(calls, call)).collect();
    assert!(forgotten.is_empty(), "not called in src/lib.rs: {forgotten:?}");
    println!("{} public functions of xent-core are called", functions.len());
    assert!(functions.len() > 170, "only {} were found", functions.len());
}

#[test]
fn all_of_them_can_be_called_on_this_cpu() {
    xent_no_panic::call_everything();
}
