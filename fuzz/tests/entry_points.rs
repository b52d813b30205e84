//! Every public function of core is called by a target: the list is that of `targets/no-panic`, which its own
//! test compares with the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What `xent-std` splits a batch with: called by target `batches` through it.
const THROUGH_STD: [&str; 5] = [
    "CrossEntropy::is_plain",
    "ClippedCrossEntropy::reads_all_classes",
    "Rows::range",
    "Targets::range",
    "BinaryTargets::range",
];

/// `Type::function` or `xent_core::function` of each call.
fn calls(source: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let called = source.split('(').filter_map(|before| before.rsplit(|c| !is_name(c)).next());
    called.filter(|path| path.contains("::")).map(str::to_string).collect()
}

#[test]
fn every_public_function_of_core_is_called_by_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut targets = fs::read_to_string(root.join("../xent-core/tests/common/bounds.rs")).unwrap();
    for file in fs::read_dir(root.join("src")).unwrap() {
        targets += &fs::read_to_string(file.unwrap().path()).unwrap();
    }
    let is_called = |path: &str| {
        let name = path.rsplit("::").next().unwrap_or(path);
        // A function of the crate with its path; a method by its name, or taken as a value.
        let of_crate = path.starts_with("xent_core::") && targets.contains(path);
        let method = !path.starts_with("xent_core::")
            && [
                format!(".{name}("),
                format!("::{name}("),
                format!("::{name},"),
                format!(", {name}("),
            ]
            .iter()
            .any(|call| targets.contains(call));
        of_crate || method
    };
    let list = fs::read_to_string(root.join("../targets/no-panic/src/lib.rs")).unwrap();
    let functions: BTreeSet<String> = calls(&list)
        .into_iter()
        .filter(|path| {
            path.starts_with("xent_core::") || path.starts_with(|c: char| c.is_uppercase())
        })
        // Its documentation has a `Type::method`.
        .filter(|path| path != "Type::method")
        .filter(|path| !THROUGH_STD.contains(&path.as_str()) && !path.ends_with("::default"))
        .collect();
    assert!(functions.len() > 100, "no list: {functions:?}");
    let missing: Vec<&String> = functions.iter().filter(|path| !is_called(path)).collect();
    assert!(missing.is_empty(), "in no target: {missing:?}");
}
