//! What a call of `xent-std` allocates is in proportion to its input, its output and the number of rows.
#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::mem::size_of_val;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use xent_std::{
    BatchBinaryLoss, BatchDistillation, BatchLoss, BinaryCrossEntropy, ClippedBinaryCrossEntropy,
    ClippedCrossEntropy, CrossEntropy, Distillation, LossTotal, Reduction, RowStatistics, Rows,
    batch_entropy, batch_js_divergence, batch_kl_divergence, batch_log_softmax, batch_log_sum_exp,
    batch_softmax, batch_statistics,
};

/// Bytes that are allocated, and the most that have been.
static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: what the caller has promised.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: what the caller has promised.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that `call` had allocated at its peak, its result among them; the bytes of the result.
fn allocated<T>(call: impl Fn() -> T, size: impl Fn(&T) -> usize) -> (usize, usize) {
    drop(call()); // Threads and what they keep are made by the first call.
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = call();
    (PEAK.load(Relaxed) - before, size(&result))
}

// One test: another thread would be counted too.
#[test]
fn a_call_allocates_its_result_and_little_else() {
    // Of more than 2^21 elements, so that threads share them.
    for (n_rows, classes) in [(1, 2_200_000), (2_200, 1_000), (220_000, 10)] {
        let x: Vec<f32> = (0..n_rows * classes).map(|i| (i * 7919 % 1009) as f32 * 0.01).collect();
        let labels: Vec<u32> = (0..n_rows).map(|row| (row % classes) as u32).collect();
        let by_row = Rows::new(&x, n_rows, classes).unwrap();
        let apart = Rows::channels_first(&x, 1, classes, n_rows).unwrap();
        for (layout, rows) in [("by row", by_row), ("channels first", apart)] {
            let loss = CrossEntropy::new().label_smoothing(0.1).temperature(2.0);
            let clipped = ClippedCrossEntropy::new().normalize(true);
            let of_losses = |losses: &Vec<f32>| size_of_val(&losses[..]);
            let of_gradient = |(_, gradient): &(LossTotal, Vec<f32>)| size_of_val(&gradient[..]);
            let binary = BinaryCrossEntropy::new();
            let clipped_binary = ClippedBinaryCrossEntropy::new();
            let calls = [
                ("log_sum_exp", allocated(|| batch_log_sum_exp(rows), of_losses)),
                ("softmax", allocated(|| batch_softmax(rows), of_losses)),
                ("losses", allocated(|| loss.batch_losses(rows, &labels[..]).unwrap(), of_losses)),
                ("clipped", allocated(|| clipped.batch_losses(rows, by_row).unwrap(), of_losses)),
                ("total", allocated(|| loss.batch_total(rows, &labels[..]).unwrap(), |_| 0)),
                (
                    "gradient",
                    allocated(
                        || loss.batch_gradient(rows, by_row, Reduction::Mean).unwrap(),
                        of_gradient,
                    ),
                ),
                ("binary", allocated(|| binary.batch_losses(rows, by_row).unwrap(), of_losses)),
                (
                    "binary gradient",
                    allocated(
                        || binary.batch_gradient(rows, by_row, Reduction::Mean).unwrap(),
                        of_gradient,
                    ),
                ),
                (
                    "clipped binary",
                    allocated(|| clipped_binary.batch_losses(rows, by_row).unwrap(), of_losses),
                ),
                (
                    "clipped gradient",
                    allocated(
                        || clipped.batch_gradient(rows, &labels[..], Reduction::Sum).unwrap(),
                        of_gradient,
                    ),
                ),
                ("log_softmax", allocated(|| batch_log_softmax(rows), of_losses)),
                ("entropy", allocated(|| batch_entropy(rows), of_losses)),
                ("kl", allocated(|| batch_kl_divergence(rows, by_row).unwrap(), of_losses)),
                (
                    "distillation",
                    allocated(
                        || {
                            let loss = Distillation::new();
                            loss.batch_gradient(rows, by_row, Reduction::Sum).unwrap()
                        },
                        of_gradient,
                    ),
                ),
                ("js", allocated(|| batch_js_divergence(rows, by_row).unwrap(), of_losses)),
                (
                    "statistics",
                    allocated(
                        || batch_statistics(rows, &labels[..]).unwrap(),
                        |all: &Vec<RowStatistics>| size_of_val(&all[..]),
                    ),
                ),
            ];
            for (call, (peak, result)) in calls {
                let rest = peak.saturating_sub(result);
                println!(
                    "{n_rows} x {classes}, {layout}, {call}: {rest} bytes beside a result of {result}"
                );
                // A total of each row or of a chunk of rows, of which a chunk has as many as its rows are short.
                let most = (80 * n_rows).min(size_of_val(&x[..]) / 8) + 64 * 1024;
                assert!(
                    rest <= most,
                    "{n_rows} x {classes}, {layout}, {call}: {rest} bytes beside the result, at most {most}"
                );
            }
        }
    }
}
