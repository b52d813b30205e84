//! What the machine can do at most: the arithmetic of an exponential, and memory that is read or copied.

use std::hint::black_box;

use crate::cases::{ALL_THREADS, ONE_THREAD};
use crate::measure::{Case, Contender, case};

/// Floating-point operations of an exponential's polynomial and reduction: nine fused multiply-adds.
pub const OPERATIONS: usize = 9;
/// Elements of what is read from memory: 512 MiB, more than any cache.
pub const FROM_MEMORY: usize = 1 << 27;

pub const ON_THREADS: &str = "nine multiply-adds on threads";

/// Independent fused multiply-adds, `OPERATIONS` an element, on one thread and on all; a maximum of elements in memory; elements that
/// are read, changed and written back.
pub fn measure() -> Vec<Case> {
    let mut cases = Vec::new();
    let n = 1 << 20;
    let mut contenders = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: AVX-512F was detected.
            contenders.push(contender("avx512", move || unsafe { x86::fma_avx512(black_box(n)) }));
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: AVX2 and FMA were detected.
            contenders.push(contender("avx2", move || unsafe { x86::fma_avx2(black_box(n)) }));
        }
    }
    cases.push(case("nine multiply-adds", n.to_string(), n, n, contenders));
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // A few milliseconds, beside which it takes no time to start a thread.
        let n = 1 << 24;
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
        // SAFETY: AVX2 and FMA were detected.
        let of = move |n| unsafe { x86::fma_avx2(black_box(n)) };
        let one = contender(ONE_THREAD, move || of(n));
        let all = contender(ALL_THREADS, move || {
            std::thread::scope(|scope| {
                let others: Vec<_> =
                    (1..n_threads).map(|_| scope.spawn(move || of(n / n_threads))).collect();
                let mine = of(n / n_threads);
                others.into_iter().map(|thread| thread.join().expect("no panic")).sum::<f32>()
                    + mine
            })
        });
        cases.push(case(ON_THREADS, n.to_string(), n, n, vec![one, all]));
    }

    let mut x = vec![1.0_f32; FROM_MEMORY];
    let read = contender("read", || maximum(black_box(&x)));
    cases.push(case("memory, read", FROM_MEMORY.to_string(), FROM_MEMORY, FROM_MEMORY, vec![read]));
    let update = Contender {
        name: "update".to_string(),
        error_ulp: None,
        run: Box::new(|| {
            black_box(&mut x[..]).iter_mut().for_each(|x| *x *= 1.000_000_1);
        }),
    };
    let n = FROM_MEMORY;
    cases.push(case("memory, read and written", n.to_string(), n, n, vec![update]));
    cases
}

fn contender<'a>(name: &str, run: impl Fn() -> f32 + 'a) -> Contender<'a> {
    let run = Box::new(move || {
        black_box(run());
    });
    Contender { name: name.to_string(), error_ulp: None, run }
}

/// The lanes are those of several registers, so that compilers vectorize the loop.
fn maximum(x: &[f32]) -> f32 {
    let mut max = [f32::NEG_INFINITY; 64];
    for x in x.as_chunks::<64>().0 {
        for (max, &x) in max.iter_mut().zip(x) {
            *max = if *max > x { *max } else { x };
        }
    }
    max.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::OPERATIONS;

    /// Chains that do not wait for each other.
    const CHAINS: usize = 12;

    #[target_feature(enable = "avx512f")]
    pub fn fma_avx512(n_elements: usize) -> f32 {
        // Hidden from the compiler, which would find that 1 stays 1.
        let mut chains = [_mm512_set1_ps(black_box(2.0)); CHAINS];
        let (a, b) = (_mm512_set1_ps(0.999), _mm512_set1_ps(0.001));
        for _ in 0..n_elements * OPERATIONS / (16 * CHAINS) {
            for chain in &mut chains {
                *chain = _mm512_fmadd_ps(*chain, a, b);
            }
        }
        let sum =
            chains.into_iter().fold(_mm512_set1_ps(0.0), |sum, chain| _mm512_add_ps(sum, chain));
        _mm512_reduce_add_ps(sum)
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn fma_avx2(n_elements: usize) -> f32 {
        let mut chains = [_mm256_set1_ps(black_box(2.0)); CHAINS];
        let (a, b) = (_mm256_set1_ps(0.999), _mm256_set1_ps(0.001));
        for _ in 0..n_elements * OPERATIONS / (8 * CHAINS) {
            for chain in &mut chains {
                *chain = _mm256_fmadd_ps(*chain, a, b);
            }
        }
        let sum =
            chains.into_iter().fold(_mm256_set1_ps(0.0), |sum, chain| _mm256_add_ps(sum, chain));
        let halves = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let pairs = _mm_add_ps(halves, _mm_movehl_ps(halves, halves));
        _mm_cvtss_f32(_mm_add_ss(pairs, _mm_movehdup_ps(pairs)))
    }
}
