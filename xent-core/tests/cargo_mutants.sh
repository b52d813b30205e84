#!/usr/bin/env bash
# Changes one operator, one result or one condition of math/, kernel/ or loss/ after the other, and says which
# changes no test notices. README.md beside this has those that are left, and why.
#
#     xent-core/tests/cargo_mutants.sh                                             all, some hours
#     xent-core/tests/cargo_mutants.sh -f 'xent-core/src/kernel/tree.rs'           those of a file
#     xent-core/tests/cargo_mutants.sh -F 'replace < with <= in push_block'        those of these names
#
# What is given goes to `cargo mutants` (`cargo install cargo-mutants`); SUITES, if it is set, is a filter of test
# names, such as `special_values:: no_rounding` for a first sieve. Results go to mutants.out in the current folder.
#
# A change takes seconds, not minutes, since nothing is optimised and the suites are one program, which ends at the
# first failure. Without run-time backends: FEATURES=1 has them, at twice the time.
set -euo pipefail

here=$PWD
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_PROFILE_TEST_OPT_LEVEL=0 CARGO_PROFILE_TEST_DEBUG=0 CARGO_PROFILE_DEV_DEBUG=0 RUST_BACKTRACE=0
export PROPTEST_CASES="${PROPTEST_CASES:-20}"
unset CARGO_TARGET_DIR # each job has its own

cp -r "$root"/{Cargo.toml,Cargo.lock,README.md,xent-core,xent-std} "$work"
# Its other member is not there.
sed -i 's/^members = .*/members = ["xent-core", "xent-std"]/' "$work/Cargo.toml"
cd "$work/xent-core"
sed -i 's/^rust-version.workspace = true/&\nautotests = false/' Cargo.toml
printf '\n[lib]\ndoctest = false\n\n[[test]]\nname = "all"\n' >>Cargo.toml

# In this order, from the fastest to the slowest.
{
    echo '#![allow(missing_docs, unsafe_code, dead_code, unused_imports, reason = "the suites as modules")]'
    i=a
    for suite in special_values figures errors extreme_weights accuracy reproducibility hard_set borders \
        gradients options statistics divergences backends; do
        printf '#[path = "%s.rs"]\nmod %s_%s;\n' "$suite" "$i" "$suite"
        i=$(tr a-y b-z <<<"$i")
    done
    cat <<'END'
extern "C" fn exit_at_first_failure() {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        std::process::exit(101);
    }));
}
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = exit_at_first_failure;
END
} >tests/all.rs

files=(-f 'xent-core/src/math/**' -f 'xent-core/src/kernel/**' -f 'xent-core/src/loss/**')
[[ " $*" != *" -f "* ]] || files=()
features=(--no-default-features)
[[ -z ${FEATURES-} ]] || features=()
read -r -a suites <<<"${SUITES-}"
cd "$work"
cargo mutants -p xent-core "${features[@]}" "${files[@]}" -e '**/tests.rs' --cap-lints=true --timeout 300 \
    -o "$here" "$@" -- -- --test-threads=1 "${suites[@]}"
