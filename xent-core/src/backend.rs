//! Which instruction sets there are, and which of them this CPU has.

use crate::Error;
#[cfg(all(feature = "avx2", any(target_arch = "x86", target_arch = "x86_64")))]
use crate::isa::avx2::Avx2;
#[cfg(all(feature = "avx512", any(target_arch = "x86", target_arch = "x86_64")))]
use crate::isa::avx512::Avx512;
use crate::isa::portable::Portable;
use crate::isa::scalar::Scalar;
use crate::simd::Vector;

/// An instruction set that this CPU has: holding one proves that it does.
///
/// | name | what | where |
/// | --- | --- | --- |
/// | `scalar` | one lane, plain Rust | everywhere |
/// | `portable` | 8 lanes through `wide`: SSE2, NEON, wasm simd128 | chosen when the build has one |
/// | `avx2` | 8 lanes of AVX2 with FMA | x86, at run time, feature `avx2` |
/// | `avx512` | 16 lanes of AVX-512F | x86, at run time, feature `avx512` |
///
/// Every function of this crate runs on [`Backend::detected`]; the methods here run it on a chosen
/// one. The results of two backends are within the same [`accuracy`](crate::accuracy), and have the
/// same bits where [`fuses_multiply_add`](Backend::fuses_multiply_add) agrees.
///
/// ```
/// use xent_core::Backend;
///
/// let x = [1.0, 2.0, 3.0];
/// for backend in Backend::all() {
///     println!("{:8} {}", backend.name(), backend.log_sum_exp(&x));
/// }
/// assert_eq!(Backend::SCALAR.log_sum_exp(&x), 3.407606);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backend(Kind);

/// Up to here a single row takes less time with AVX2 than with AVX-512.
const SHORT_ROW: usize = 64;

// cpuid and xgetbv, asked once and kept in an atomic byte each.
#[cfg(all(feature = "avx2", any(target_arch = "x86", target_arch = "x86_64")))]
cpufeatures::new!(has_avx2, "avx2", "fma");
#[cfg(all(feature = "avx512", any(target_arch = "x86", target_arch = "x86_64")))]
// The compiler takes AVX2 and FMA for granted with AVX-512F, and so does `for_row`.
cpufeatures::new!(has_avx512, "avx512f", "avx2", "fma");

/// Makes [`Kind`] and what asks for one from a table: when the build has the backend, its kind, its
/// name, whether it fuses `a * b + c`, and whether this CPU has it.
macro_rules! backends {
    ($($(#[$built:meta])? $kind:ident, $name:literal, $fused:expr, $has:expr;)*) => {
        /// `Avx2` and `Avx512` are made only in `detected` and `by_name` below, after cpuid and
        /// xgetbv reported them, and `Avx2` of an `Avx512` in `for_row`; `dispatch.rs` relies on it.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Kind {
            $($(#[$built])? $kind,)*
        }

        impl Backend {
            /// Every name a backend can have, from the slowest to the fastest.
            ///
            /// ```
            /// assert!(xent_core::Backend::NAMES.contains(&"avx2"));
            /// ```
            pub const NAMES: [&'static str; 4] = [$($name),*];

            /// The fastest backend that this CPU and this build have.
            ///
            /// Asks the CPU once and keeps the answer; needs no std.
            ///
            /// ```
            /// use xent_core::Backend;
            /// assert_eq!(Some(Backend::detected()), Backend::all().last());
            /// ```
            #[must_use]
            #[inline]
            pub fn detected() -> Backend {
                let mut fastest = Backend::SCALAR;
                $($(#[$built])? {
                    if $has {
                        fastest = Backend(Kind::$kind);
                    }
                })*
                fastest
            }

            /// The backend of that name.
            ///
            /// Errors: [`Error::UnavailableBackend`] for one that this CPU or this build does not
            /// have and for a name that is not in [`Backend::NAMES`].
            ///
            /// ```
            /// use xent_core::{Backend, Error};
            /// assert_eq!(Backend::by_name("scalar"), Ok(Backend::SCALAR));
            /// assert_eq!(Backend::by_name("mmx"), Err(Error::UnavailableBackend { name: None }));
            /// ```
            pub fn by_name(name: &str) -> Result<Backend, Error> {
                match name {
                    $($(#[$built])? $name if $has => Ok(Backend(Kind::$kind)),)*
                    _ => {
                        let name = Backend::NAMES.into_iter().find(|&known| known == name);
                        Err(Error::UnavailableBackend { name })
                    }
                }
            }

            /// Its name, one of [`Backend::NAMES`].
            ///
            /// ```
            /// println!("this CPU computes with {}", xent_core::Backend::detected().name());
            /// ```
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($(#[$built])? Kind::$kind => $name,)*
                }
            }

            /// Whether it rounds `a * b + c` once. Backends that agree on this give the same bits.
            ///
            /// `avx2`, `avx512` and NEON do; `scalar`, SSE2 and wasm simd128 do not. `portable`
            /// follows the build: with `-C target-feature=+fma` it does on x86.
            ///
            /// ```
            /// assert!(!xent_core::Backend::SCALAR.fuses_multiply_add());
            /// ```
            #[must_use]
            pub const fn fuses_multiply_add(self) -> bool {
                match self.0 {
                    $($(#[$built])? Kind::$kind => $fused,)*
                }
            }
        }
    };
}

backends! {
    Scalar, "scalar", Scalar::FUSED, true;
    Portable, "portable", Portable::FUSED, Portable::PRESENT;
    #[cfg(all(feature = "avx2", any(target_arch = "x86", target_arch = "x86_64")))]
    Avx2, "avx2", Avx2::FUSED, has_avx2::get();
    #[cfg(all(feature = "avx512", any(target_arch = "x86", target_arch = "x86_64")))]
    Avx512, "avx512", Avx512::FUSED, has_avx512::get();
}

impl Backend {
    /// One lane, plain Rust; every CPU has it.
    ///
    /// ```
    /// assert_eq!(xent_core::Backend::SCALAR.name(), "scalar");
    /// ```
    pub const SCALAR: Backend = Backend(Kind::Scalar);

    /// Whether the build has SIMD. Without, rows side by side are code and no gain.
    pub(crate) const SIMD: bool = Portable::PRESENT;

    /// Every backend that this CPU and this build have, from the slowest to the fastest.
    ///
    /// ```
    /// use xent_core::Backend;
    /// assert_eq!(Backend::all().next(), Some(Backend::SCALAR));
    /// ```
    pub fn all() -> impl Iterator<Item = Backend> {
        Backend::NAMES.into_iter().filter_map(|name| Backend::by_name(name).ok())
    }

    /// The fastest one for a single row of `n` elements, of the same bits: the lanes of two registers of eight are added up in less
    /// time than those of one of sixteen.
    #[inline(always)]
    pub(crate) const fn for_row(self, n: usize) -> Backend {
        match (self.0, n <= SHORT_ROW) {
            // `has_avx512` has asked for AVX2 and FMA too.
            #[cfg(all(
                feature = "avx2",
                feature = "avx512",
                any(target_arch = "x86", target_arch = "x86_64")
            ))]
            (Kind::Avx512, true) => Backend(Kind::Avx2),
            _ => self,
        }
    }

    #[inline(always)]
    pub(crate) const fn kind(self) -> Kind {
        self.0
    }
}

impl core::fmt::Debug for Backend {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}
