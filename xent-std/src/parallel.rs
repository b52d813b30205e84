//! Work on several threads: those of rayon's current pool with the feature `rayon`, else the caller's.
//!
//! Nothing here changes a bit of a result. A row is computed by one thread, or chunk by chunk as core
//! computes it alone, and what is folded is folded by one thread in order.

use std::ops::Range;

#[cfg(feature = "rayon")]
use rayon::prelude::*;
use xent_core::{Backend, Error, LogSumExp, Rows};

/// Below this much work one thread is as fast.
///
/// Measured with log-sum-exp, which costs least an element (0.14 to 0.3 ns), from threads that sleep, as
/// rayon's do between calls. Two of them run at 0.7 times the speed of one at 2^19 elements, 0.85 to 1.5 at
/// 2^20 and 1.1 to 1.2 at 2^21 (Intel Xeon, Sapphire Rapids, 2026-11-28); 0.7 at 2^19 and 1.2 at 2^20 (AMD EPYC,
/// Zen 5, 2026-11-22); each 2 cores, AVX-512, rows of 10 and of 1,000. Threads still awake run at 1.8 to 2.1
/// from 2^18 on: `cargo test --release -p xent-std --lib two_threads -- --ignored --nocapture`.
const MIN_WORK: usize = 1 << 21;

/// What a row costs beside its elements, in elements: a row of 10 classes takes 6 ns, as long as 40
/// elements of a long one. This is less: with it rows of 10 are shared from 2^20 elements on.
const ROW_WORK: usize = 16;

/// A task has at least this much.
const MIN_TASK_WORK: usize = 1 << 14;

/// So that threads that are done early find more.
const TASKS_PER_THREAD: usize = 4;

/// Into how many tasks `n_rows` that read `n_elements` are split; 1 stands for no threads at all.
pub(crate) fn n_tasks(n_rows: usize, n_elements: usize) -> usize {
    let work = n_rows.saturating_mul(ROW_WORK).saturating_add(n_elements);
    if work < MIN_WORK {
        return 1;
    }
    match n_threads() {
        1 => 1,
        n_threads => (work / MIN_TASK_WORK).clamp(1, TASKS_PER_THREAD * n_threads),
    }
}

fn n_threads() -> usize {
    #[cfg(feature = "rayon")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "rayon"))]
    return 1;
}

/// `of(0)` to `of(n - 1)`, in order.
pub(crate) fn map<T: Send>(n: usize, of: impl Fn(usize) -> T + Send + Sync) -> Vec<T> {
    #[cfg(feature = "rayon")]
    return (0..n).into_par_iter().map(of).collect();
    #[cfg(not(feature = "rayon"))]
    return (0..n).map(of).collect();
}

/// Fills `out`, which has `per_row` elements for each of `n_rows` rows, by calls of `fill` with
/// consecutive runs of rows.
pub(crate) fn fill_rows<T: Send>(
    n_tasks: usize,
    n_rows: usize,
    per_row: usize,
    out: &mut [T],
    fill: impl Fn(Range<usize>, &mut [T]) -> Result<(), Error> + Send + Sync,
) -> Result<(), Error> {
    if n_tasks == 1 {
        return fill(0..n_rows, out);
    }
    let rows_per_task = n_rows.div_ceil(n_tasks).max(1);
    let fill_task = |(task, out): (usize, &mut [T])| {
        let start = task * rows_per_task;
        fill(start..n_rows.min(start + rows_per_task), out)
    };
    let task_len = (rows_per_task * per_row).max(1);
    #[cfg(feature = "rayon")]
    return out.par_chunks_mut(task_len).enumerate().try_for_each(fill_task);
    #[cfg(not(feature = "rayon"))]
    return out.chunks_mut(task_len).enumerate().try_for_each(fill_task);
}

/// `of(0, part)`, `of(1, part)`, ... of the consecutive parts of `out` of `len` elements, in order.
pub(crate) fn map_parts<T: Send>(
    out: &mut [f32],
    len: usize,
    of: impl Fn(usize, &mut [f32]) -> Result<T, Error> + Send + Sync,
) -> Result<Vec<T>, Error> {
    let len = len.max(1);
    #[cfg(feature = "rayon")]
    return out.par_chunks_mut(len).enumerate().map(|(i, part)| of(i, part)).collect();
    #[cfg(not(feature = "rayon"))]
    return out.chunks_mut(len).enumerate().map(|(i, part)| of(i, part)).collect();
}

/// Whether rows are so few and so long that each is split.
pub(crate) fn splits_rows(n_tasks: usize, x: &Rows<'_>) -> bool {
    x.n_rows() < n_tasks && x.classes() > LogSumExp::CHUNK
}

/// The state of each row, all chunks of all rows side by side.
pub(crate) fn row_states(backend: Backend, x: &Rows<'_>) -> Vec<LogSumExp> {
    let chunks_per_row = x.classes().div_ceil(LogSumExp::CHUNK).max(1);
    let states = map(x.n_rows() * chunks_per_row, |i| {
        chunk_state(backend, x, i / chunks_per_row, i % chunks_per_row)
    });
    states.chunks(chunks_per_row).map(merge_states).collect()
}

/// The state of a row from those of its chunks, as core merges them.
pub(crate) fn merge_states(chunks: &[LogSumExp]) -> LogSumExp {
    chunks.iter().copied().fold(LogSumExp::EMPTY, LogSumExp::merge)
}

/// The state of one chunk of a row in any layout.
fn chunk_state(backend: Backend, x: &Rows<'_>, row: usize, chunk: usize) -> LogSumExp {
    let start = chunk * LogSumExp::CHUNK;
    let classes = start..x.classes().min(start + LogSumExp::CHUNK);
    match x.as_slice(row) {
        Some(x) => backend.log_sum_exp_state(x.get(classes).unwrap_or_default()),
        None => {
            let copied: Vec<f32> = classes.filter_map(|class| x.get(row, class)).collect();
            backend.log_sum_exp_state(&copied)
        }
    }
}

#[cfg(all(test, feature = "rayon"))]
mod tests {
    use std::collections::HashSet;
    use std::sync::Mutex;
    use std::thread::{current, sleep};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn threads_are_used_from_the_least_work_on() {
        let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        for (n_rows, n_elements, n_tasks_of_two) in [
            (0, 0, 1),
            (1, MIN_WORK - ROW_WORK - 1, 1),
            (1, MIN_WORK - ROW_WORK, 8),
            (MIN_WORK / (ROW_WORK + 16) + 1, MIN_WORK / (ROW_WORK + 16) * 16 + 16, 8),
            (usize::MAX, usize::MAX, 8),
        ] {
            let what = format!("{n_rows} rows, {n_elements} elements");
            assert_eq!(pool(1).install(|| n_tasks(n_rows, n_elements)), 1, "{what}");
            assert_eq!(pool(2).install(|| n_tasks(n_rows, n_elements)), n_tasks_of_two, "{what}");
        }
    }

    #[test]
    fn tasks_run_on_all_threads_of_the_current_pool() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let seen = Mutex::new(HashSet::new());
        let see = || {
            // Long enough for the other threads to wake and take a task.
            sleep(Duration::from_millis(20));
            seen.lock().unwrap().insert(current().id());
        };
        pool.install(|| map(12, |_| see()));
        assert_eq!(seen.lock().unwrap().len(), 3, "map");
        seen.lock().unwrap().clear();
        let fill = |_, _: &mut [f32]| {
            see();
            Ok(())
        };
        pool.install(|| fill_rows(12, 24, 2, &mut [0.0; 48], fill)).unwrap();
        assert_eq!(seen.lock().unwrap().len(), 3, "fill_rows");
    }

    #[test]
    fn every_row_is_filled_once_and_belongs_to_its_number() {
        for (n_rows, per_row) in [(1, 1), (7, 1), (8, 3), (9, 3), (100, 2), (5, 0)] {
            for n_tasks in [1, 2, 8, 9, 1000] {
                let mut out = vec![-1.0; n_rows * per_row];
                fill_rows(n_tasks, n_rows, per_row, &mut out, |rows, out| {
                    assert_eq!(out.len(), rows.len() * per_row);
                    for (i, out) in out.iter_mut().enumerate() {
                        *out = (rows.start * per_row + i) as f32;
                    }
                    Ok(())
                })
                .unwrap();
                let want: Vec<f32> = (0..n_rows * per_row).map(|i| i as f32).collect();
                assert_eq!(out, want, "{n_rows} rows of {per_row}, {n_tasks} tasks");
            }
        }
    }

    /// A value hides most of the bits of its state, and with them the order of the merges.
    #[test]
    fn split_rows_have_all_bits_of_the_states_of_core() {
        let x: Vec<f32> = (0..1_200_000_u64).map(|i| ((i * 7919) % 10_007) as f32 * 1e-3).collect();
        for classes in [65_535, 65_536, 65_537, 131_072, 300_000, 1_200_000] {
            let n_rows = x.len() / classes;
            let x = &x[..n_rows * classes];
            let columns: Vec<f32> =
                (0..x.len()).map(|i| x[i % n_rows * classes + i / n_rows]).collect();
            for backend in Backend::all() {
                let want: Vec<LogSumExp> =
                    x.chunks(classes).map(|row| backend.log_sum_exp_state(row)).collect();
                let by_row = Rows::new(x, n_rows, classes).unwrap();
                let by_column = Rows::strided(&columns, n_rows, classes, 1, n_rows).unwrap();
                let what = format!("{n_rows} x {classes}, {}", backend.name());
                assert_eq!(row_states(backend, &by_row), want, "{what}");
                assert_eq!(row_states(backend, &by_column), want, "{what}, strided");
            }
        }
    }

    /// The shortest of many runs, in microseconds.
    fn shortest(mut run: impl FnMut()) -> f64 {
        let mut shortest = f64::INFINITY;
        for _ in 0..400 {
            let start = Instant::now();
            run();
            shortest = shortest.min(start.elapsed().as_secs_f64() * 1e6);
        }
        shortest
    }

    /// The median of many runs with a pause before each, so that rayon's threads sleep.
    fn median_from_sleep(mut run: impl FnMut()) -> f64 {
        let mut times = [0.0; 61];
        for time in &mut times {
            sleep(Duration::from_millis(2));
            let start = Instant::now();
            run();
            *time = start.elapsed().as_secs_f64() * 1e6;
        }
        times.sort_by(f64::total_cmp);
        times[30]
    }

    #[test]
    #[ignore = "a measurement"]
    fn two_threads_against_one() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let x: Vec<f32> = (0..1 << 22).map(|i| ((i * 7919) % 1009) as f32 * 0.02).collect();
        println!("microseconds  | busy threads      | sleeping threads");
        println!("classes     n | one  two   ratio  | one  two   ratio");
        for classes in [10, 1000, 1 << 30_usize] {
            for log_n in 13..=22 {
                let classes = classes.min(1 << log_n);
                let n_rows = (1 << log_n) / classes;
                let x = Rows::new(&x[..n_rows * classes], n_rows, classes).unwrap();
                let mut out = vec![0.0; n_rows];
                let backend = Backend::detected();
                let mut one = || backend.log_sum_exp_rows(x, &mut out).unwrap();
                let (busy_1, slept_1) = (shortest(&mut one), median_from_sleep(&mut one));
                let mut out = vec![0.0; n_rows];
                let n_tasks = (x.n_elements() / MIN_TASK_WORK).clamp(2, 2 * TASKS_PER_THREAD);
                let mut two = || {
                    if n_rows == 1 {
                        let state = row_states(backend, &x)[0];
                        out[0] = backend.log_sum_exp_value(state);
                    } else {
                        fill_rows(n_tasks, n_rows, 1, &mut out, |rows, out| {
                            backend.log_sum_exp_rows(x.range(rows), out)
                        })
                        .unwrap();
                    }
                };
                let busy_2 = pool.install(|| shortest(&mut two));
                // From outside a pool, as a caller's thread would: on those of the global one.
                let slept_2 = median_from_sleep(&mut two);
                println!(
                    "{classes:7} 2^{log_n} | {busy_1:6.1} {busy_2:6.1} {:5.2} | {slept_1:6.1} {slept_2:6.1} {:5.2}",
                    busy_1 / busy_2,
                    slept_1 / slept_2,
                );
            }
        }
    }
}
