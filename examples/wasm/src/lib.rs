//! Losses, classes and confidences of rows of logits, for JavaScript.
//!
//! The module has no allocator: of its memory, what lies behind `__heap_base` belongs to the caller, who
//! writes logits and labels there and reads the results there. Nothing is copied.
#![no_std]

use core::panic::PanicInfo;
use core::slice;

use xent_core::{Backend, CrossEntropy, Error, Rows, row_statistics};

/// Whether the kernels of this module use SIMD.
// SAFETY: no other function of this name is linked.
#[unsafe(no_mangle)]
pub extern "C" fn has_simd() -> bool {
    Backend::detected() != Backend::SCALAR
}

/// The loss of each row; `true`, or `false` and nothing is written if a label is not one of the classes.
///
/// # Safety
///
/// `logits` leads to `n_rows * classes` elements, the others to `n_rows`, all aligned; `losses` overlaps
/// with nothing.
// SAFETY: no other function of this name is linked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn losses(
    logits: *const f32,
    n_rows: usize,
    classes: usize,
    labels: *const i32,
    losses: *mut f32,
) -> bool {
    // SAFETY: `logits` leads to so many elements, as the caller promises.
    let logits = unsafe { slice::from_raw_parts(logits, n_rows * classes) };
    // SAFETY: `labels` leads to so many elements, as the caller promises.
    let labels = unsafe { slice::from_raw_parts(labels, n_rows) };
    // SAFETY: `losses` leads to so many elements that nothing overlaps, as the caller promises.
    let losses = unsafe { slice::from_raw_parts_mut(losses, n_rows) };
    Rows::new(logits, n_rows, classes)
        .and_then(|rows| CrossEntropy::new().rows(rows, labels, losses))
        .is_ok()
}

/// What [`predictions`] gives of a row.
#[repr(C)]
pub struct Prediction {
    /// The loss with the label of the row.
    loss: f32,
    /// The largest probability.
    confidence: f32,
    /// The class that has it.
    class: u32,
}

/// Loss, confidence and class of each row; `true`, or `false` and nothing is written if a label is not
/// one of the classes.
///
/// # Safety
///
/// `logits` leads to `n_rows * classes` elements, the others to `n_rows`, all aligned; `predictions`
/// overlaps with nothing.
// SAFETY: no other function of this name is linked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn predictions(
    logits: *const f32,
    n_rows: usize,
    classes: usize,
    labels: *const i32,
    predictions: *mut Prediction,
) -> bool {
    // SAFETY: `logits` leads to so many elements, as the caller promises.
    let logits = unsafe { slice::from_raw_parts(logits, n_rows * classes) };
    // SAFETY: `labels` leads to so many elements, as the caller promises.
    let labels = unsafe { slice::from_raw_parts(labels, n_rows) };
    // SAFETY: `predictions` leads to so many elements that nothing overlaps, as the caller promises.
    let predictions = unsafe { slice::from_raw_parts_mut(predictions, n_rows) };
    predict(logits, n_rows, classes, labels, predictions).is_ok()
}

fn predict(
    logits: &[f32],
    n_rows: usize,
    classes: usize,
    labels: &[i32],
    predictions: &mut [Prediction],
) -> Result<(), Error> {
    let rows = Rows::new(logits, n_rows, classes)?;
    CrossEntropy::new().check(rows, labels)?;
    for (row, (&label, prediction)) in labels.iter().zip(predictions).enumerate() {
        // All in one reading of the row.
        let row = row_statistics(rows.as_slice(row).unwrap_or(&[]), label)?;
        *prediction = Prediction {
            loss: row.loss(),
            confidence: row.max_probability(),
            class: row.argmax() as u32,
        };
    }
    Ok(())
}

/// Never called, and not in the module: no function of `xent-core` panics.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
