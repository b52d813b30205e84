//! The backend of each target and CPU.

use xent_core::Backend;

/// The fastest one that the CPU has, asked of std.
fn fastest() -> &'static str {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        if cfg!(feature = "avx512") && avx2 && is_x86_feature_detected!("avx512f") {
            return "avx512";
        }
        if cfg!(feature = "avx2") && avx2 {
            return "avx2";
        }
    }
    if cfg!(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")) {
        "portable"
    } else {
        "scalar"
    }
}

/// `XENT_BACKEND` is that of an emulated CPU, from `targets/.cargo/config.toml`.
#[test]
fn the_backend_is_that_of_the_cpu() {
    let wanted = std::env::var("XENT_BACKEND").unwrap_or_else(|_| fastest().to_string());
    assert_eq!(Backend::detected().name(), wanted);
}

#[test]
fn what_fuses_multiply_add_is_known_of_each_target() {
    let portable_fuses = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
    for backend in Backend::all() {
        let wanted = match backend.name() {
            "scalar" => false,
            "portable" => portable_fuses,
            _ => true,
        };
        assert_eq!(backend.fuses_multiply_add(), wanted, "{backend:?}");
    }
}
