//! The checks without libFuzzer, on pseudo-random bytes.

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
