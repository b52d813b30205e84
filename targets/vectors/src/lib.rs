//! Test vectors: the bits that `xent-core` gives for some thousand inputs, to be checked on any CPU.
//!
//! ```
//! use xent_core::Backend;
//!
//! for backend in Backend::all() {
//!     match xent_vectors::check(backend) {
//!         Ok(n_cases) => println!("{}: {n_cases} cases", backend.name()),
//!         Err(failure) => panic!("{}: {failure}", backend.name()),
//!     }
//! }
//! ```
//!
//! 1. A [`Case`] is an [`Operation`] on rows that integers make ([`Row`]), at lengths around every
//!    edge of the summation tree, special values among them. [`for_each_case`] goes through all.
//! 2. `expected/` has the bits of the results, one file for backends that round after each
//!    multiplication and one for those that fuse multiply-add: of each case the first, the middle and
//!    the last result, and where there are more, a hash of all.
//! 3. `cargo run --example expect` writes these files, on a host; `tests/expected.rs` writes them again
//!    and compares, and holds every result against `xent_core::reference` within the bounds of
//!    `xent_core::accuracy`, so that they do not enshrine an error.
//!
//! No std, no allocation, no static RAM: [`check`] takes 12 KiB of stack, and what the library does.
#![no_std]

mod operation;
mod row;

use core::fmt;

pub use operation::{ClassOptions, ElementOptions, Layout, Operation, TargetKind};
pub use row::Row;
use row::{Random, probability, targets};
use xent_core::{Backend, Error};

/// Rows of a case at most.
const MOST_ROWS: usize = 4;
/// Elements of the first operand at most.
const LONGEST: usize = 1040;
/// Elements of the second operand at most.
const LONGEST_SECOND: usize = 264;

/// One row at all of them: around lanes, groups and blocks of the summation tree.
static LENGTHS: &[usize] = &{
    let mut lengths = [0; 71 + 11];
    let mut n = 0;
    while n <= 70 {
        lengths[n] = n;
        n += 1;
    }
    let edges = [96, 127, 128, 129, 160, 255, 256, 257, 1023, 1024, 1025];
    while n < lengths.len() {
        lengths[n] = edges[n - 71];
        n += 1;
    }
    lengths
};
static EDGES: &[usize] =
    &[1, 2, 3, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 256, 257, 1024, 1025];
static SECOND_EDGES: &[usize] = &[1, 2, 8, 9, 17, 31, 32, 33, 64, 65, 128, 129, 257];
static FEW_CLASSES: &[usize] = &[2, 10, 33];
static LAYOUT_CLASSES: &[usize] = &[1, 5, 32, 33];

/// Operations that run on the same rows.
struct Group {
    operations: &'static [Operation],
    rows: &'static [Row],
    n_rows: usize,
    classes: &'static [usize],
}

static GROUPS: &[Group] = {
    use operation::*;
    let all = &Row::ALL;
    let few = &Row::FEW;
    &[
        Group { operations: ONE_ROW, rows: all, n_rows: 1, classes: LENGTHS },
        Group { operations: ONE_ROW_AT_EDGES, rows: all, n_rows: 1, classes: EDGES },
        Group { operations: LAYOUTS, rows: few, n_rows: 4, classes: LAYOUT_CLASSES },
        Group { operations: REDUCTION, rows: all, n_rows: 4, classes: FEW_CLASSES },
        Group { operations: CROSS_ENTROPY, rows: few, n_rows: 3, classes: FEW_CLASSES },
        Group { operations: CLIPPED_CROSS_ENTROPY, rows: few, n_rows: 3, classes: FEW_CLASSES },
        Group { operations: BINARY_CROSS_ENTROPY, rows: few, n_rows: 3, classes: FEW_CLASSES },
        Group {
            operations: CLIPPED_BINARY_CROSS_ENTROPY,
            rows: few,
            n_rows: 3,
            classes: FEW_CLASSES,
        },
        Group { operations: TWO_OPERANDS, rows: all, n_rows: 1, classes: SECOND_EDGES },
        Group { operations: DISTILLATION, rows: all, n_rows: 2, classes: FEW_CLASSES },
    ]
};

/// An operation on rows.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What is computed.
    pub operation: Operation,
    /// What each row is like.
    pub row: Row,
    /// How many rows there are, each with a seed of its own.
    pub n_rows: usize,
    /// Elements of each.
    pub classes: usize,
}

/// Calls `of` with every case, in the order of the expected bits, as long as it gives `Ok`.
///
/// Errors: those of `of`.
pub fn for_each_case<E>(mut of: impl FnMut(&Case) -> Result<(), E>) -> Result<(), E> {
    for &Group { operations, rows, n_rows, classes } in GROUPS {
        for &operation in operations {
            for &row in rows {
                for &classes in classes {
                    // Of no elements there is a log-sum-exp, but no loss.
                    if classes > 0 || matches!(operation, Operation::LogSumExp) {
                        of(&Case { operation, row, n_rows, classes })?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// The operands of a case.
pub struct Inputs {
    /// Logits or probabilities, in the layout of the operation.
    pub x: [f32; LONGEST],
    /// Targets or the logits of a teacher, row-major.
    pub y: [f32; LONGEST_SECOND],
    /// The weights of classes, some of them 0.
    pub class_weights: [f32; Inputs::MOST_WEIGHTS],
}

impl Inputs {
    /// Classes that can have weights, at most.
    pub const MOST_WEIGHTS: usize = 40;
    /// The weights of the rows of [`Operation::Mean`].
    pub const SAMPLE_WEIGHTS: [f32; MOST_ROWS] = [0.5, 2.0, 1.0, 3.0];
    /// Before the first case.
    pub const EMPTY: Inputs = Inputs {
        x: [0.0; LONGEST],
        y: [0.0; LONGEST_SECOND],
        class_weights: [0.0; Inputs::MOST_WEIGHTS],
    };

    /// Makes those of a case.
    pub fn fill(&mut self, case: &Case) {
        let &Case { operation, row, n_rows, classes } = case;
        // What lies between rows would show.
        self.x[..n_rows * (classes + 2)].fill(f32::NAN);
        for r in 0..n_rows {
            for (class, x) in row.logits(classes, r as u32).enumerate() {
                self.x[operation.layout().place(n_rows, classes, r, class)] =
                    if operation.takes_probabilities() { probability(x) } else { x };
            }
            if n_rows * classes <= LONGEST_SECOND {
                let y = &mut self.y[r * classes..][..classes];
                if matches!(operation, Operation::Distillation(_)) {
                    let teacher = row.logits(classes, 100 + r as u32);
                    y.iter_mut().zip(teacher).for_each(|(y, teacher)| *y = teacher);
                } else {
                    let targets = targets(row, classes, r as u32);
                    y.iter_mut().zip(targets).for_each(|(y, target)| *y = target);
                }
            }
        }
        let mut random = Random::new(classes as u32);
        for weight in &mut self.class_weights {
            *weight = if random.below(7) == 0 { 0.0 } else { random.unit() * 3.0 };
        }
    }
}

/// A buffer that has place for the results of any case.
pub const NO_RESULTS: [f32; LONGEST] = [0.0; LONGEST];

/// A part of the results of a case that the expected bits have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The result at this index.
    Result(usize),
    /// A hash of that many, all there are.
    HashOf(usize),
}

/// Calls `of` with the parts of the results of a case, and their bits.
///
/// Errors: those of `of`.
pub fn for_each_part<E>(
    results: &[f32],
    mut of: impl FnMut(Part, u32) -> Result<(), E>,
) -> Result<(), E> {
    let n = results.len();
    // Of one result or two each once.
    let indices = if n > 2 { [0, n / 2, n - 1] } else { [0, 1, 2] };
    for index in indices.into_iter().take(n) {
        of(Part::Result(index), results[index].to_bits())?;
    }
    if n > 3 {
        // FNV-1a, over words.
        let hash = results
            .iter()
            .fold(0x811c_9dc5_u32, |hash, x| (hash ^ x.to_bits()).wrapping_mul(0x0100_0193));
        of(Part::HashOf(n), hash)?;
    }
    Ok(())
}

/// The expected bits of the backends that fuse multiply-add, or of those that do not: words of 32 bits,
/// little-endian.
#[must_use]
pub fn expected(fuses_multiply_add: bool) -> &'static [u8] {
    if fuses_multiply_add {
        include_bytes!("../expected/fused.bits")
    } else {
        include_bytes!("../expected/plain.bits")
    }
}

/// Why a backend failed the check.
#[derive(Clone, Copy, Debug)]
pub enum Failure {
    /// The library gave an error for what it should take.
    Refused {
        /// The case.
        case: Case,
        /// What the library gave.
        error: Error,
    },
    /// A result is another than expected.
    Mismatch {
        /// The case.
        case: Case,
        /// Which of its results.
        part: Part,
        /// Bits of what was computed.
        got: u32,
        /// Bits of what was expected; `None` where the expected bits ended.
        wanted: Option<u32>,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused { case, error } => write!(f, "{case:?}: {error:?}"),
            Failure::Mismatch { case, part, got, wanted: Some(wanted) } => {
                write!(f, "{case:?}: {part:?} is 0x{got:08x}, wanted 0x{wanted:08x}")
            }
            Failure::Mismatch { case, part, got, wanted: None } => {
                write!(f, "{case:?}: {part:?} is 0x{got:08x}, and nothing was expected")
            }
        }
    }
}

/// Computes every case on `backend` and compares the bits with the expected ones; how many cases.
///
/// Errors: the first [`Failure`].
pub fn check(backend: Backend) -> Result<usize, Failure> {
    let (words, _) = expected(backend.fuses_multiply_add()).as_chunks::<4>();
    let mut expected = words.iter().map(|&word| u32::from_le_bytes(word));
    let (mut inputs, mut results) = (Inputs::EMPTY, NO_RESULTS);
    let mut n_cases = 0;
    for_each_case(|&case| {
        inputs.fill(&case);
        let n = case
            .results(backend, &inputs, &mut results)
            .map_err(|error| Failure::Refused { case, error })?;
        n_cases += 1;
        for_each_part(&results[..n], |part, got| match expected.next() {
            Some(wanted) if wanted == got => Ok(()),
            wanted => Err(Failure::Mismatch { case, part, got, wanted }),
        })
    })?;
    Ok(n_cases)
}
