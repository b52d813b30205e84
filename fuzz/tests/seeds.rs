//! The checks without libFuzzer: on pseudo-random bytes, and on every input that once found something.

use std::fs;
use std::path::Path;

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

#[test]
fn random_bytes_find_nothing() {
    const INPUTS: u64 = 2_000;
    let mut found = Vec::new();
    for (name, check) in TARGETS {
        let finds = |&seed: &u64| {
            std::panic::catch_unwind(|| check(&bytes(seed, seed as usize % 200))).is_err()
        };
        found.extend((0..INPUTS).find(finds).map(|seed| format!("{name}, seed {seed}")));
    }
    assert_eq!(found, [""; 0], "see above");
}

/// `regressions/TARGET/` holds inputs as libFuzzer wrote them.
#[test]
fn inputs_that_once_found_something_find_nothing() {
    for (name, check) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(name);
        let Ok(files) = fs::read_dir(folder) else { continue };
        for file in files {
            let path = file.expect("a readable folder").path();
            let data = fs::read(&path).expect("a readable file");
            if std::panic::catch_unwind(|| check(&data)).is_err() {
                panic!("{}: see above", path.display());
            }
        }
    }
}
