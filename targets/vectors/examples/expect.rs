//! Writes the expected bits of both classes of backends, from this CPU.

use std::path::Path;

use xent_core::Backend;
use xent_vectors::{Inputs, NO_RESULTS, for_each_case, for_each_part};

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("expected");
    for (name, fused) in [("plain", false), ("fused", true)] {
        let Some(backend) = Backend::all().find(|b| b.fuses_multiply_add() == fused) else {
            println!("{name}: no backend of this CPU");
            continue;
        };
        let (mut inputs, mut results, mut bits) = (Inputs::EMPTY, NO_RESULTS, Vec::new());
        let mut n_cases = 0;
        for_each_case(|case| {
            n_cases += 1;
            inputs.fill(case);
            let n = case.results(backend, &inputs, &mut results)?;
            for_each_part(&results[..n], |_, word| {
                bits.extend(word.to_le_bytes());
                Ok(())
            })
        })
        .unwrap_or_else(|error: xent_core::Error| panic!("{name}: {error}"));
        let file = folder.join(name).with_extension("bits");
        std::fs::write(&file, &bits).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        println!("{}: {n_cases} cases, {} words, from {backend:?}", file.display(), bits.len() / 4);
    }
}
