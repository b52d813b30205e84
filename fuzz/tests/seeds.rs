//! The checks without libFuzzer: on the corpus, and on pseudo-random bytes.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use xent_fuzz::TARGETS;

/// `n` bytes from a seed. Source: S. Vigna, splitmix64 (2015).
fn bytes(mut seed: u64, n: usize) -> Vec<u8> {
    let mut next = || {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    (0..n).map(|_| next() as u8).collect()
}

/// What is in a folder beside this crate's manifest, sorted.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn the_corpus_finds_nothing() {
    let mut found = Vec::new();
    for (name, check) in TARGETS {
        let seeds = files(&format!("seeds/{name}"));
        assert!(seeds.len() >= 10, "{name} has {} seeds", seeds.len());
        for seed in seeds {
            let data = fs::read(&seed).unwrap();
            if catch_unwind(|| check(&data)).is_err() {
                found.push(seed);
            }
        }
    }
    assert!(found.is_empty(), "see above: {found:?}");
}

#[test]
fn every_fuzz_target_is_listed() {
    let mut names: Vec<String> = TARGETS.iter().map(|(name, _)| format!("{name}.rs")).collect();
    names.sort();
    let files = files("fuzz_targets");
    let files: Vec<_> = files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
    assert_eq!(files, names);
}

#[test]
fn random_bytes_find_nothing() {
    const INPUTS: u64 = 2_000;
    let mut found = Vec::new();
    for (name, check) in TARGETS {
        let finds =
            |&seed: &u64| catch_unwind(|| check(&bytes(seed, seed as usize % 200))).is_err();
        found.extend((0..INPUTS).find(finds).map(|seed| format!("{name}, seed {seed}")));
    }
    assert_eq!(found, [""; 0], "see above");
}
