//! The expected bits are what this CPU gives, and right.

use xent_core::Backend;
use xent_vectors::check;

#[test]
fn every_backend_gives_the_expected_bits() {
    for backend in Backend::all() {
        match check(backend) {
            Ok(n_cases) => println!("{backend:?}: {n_cases} cases"),
            Err(failure) => panic!("{backend:?}: {failure}"),
        }
    }
}
