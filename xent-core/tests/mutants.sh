#!/bin/sh
# Puts plausible bugs into a copy of xent-core, one at a time, and says which tests catch each.
#
#     xent-core/tests/mutants.sh             all of them
#     xent-core/tests/mutants.sh 7 12        those with these numbers
#     xent-core/tests/mutants.sh --stale     none: whether each still changes what it is to change
#
# The copy is made in a temporary directory; cargo's files go to CARGO_TARGET_DIR if it is set. Only the suites
# that are to catch a bug run.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Not that of the workspace, whose files are older than what a bug was compiled to.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$work}/mutants
# The suites compile once for each bug.
export CARGO_TARGET_DIR CARGO_PROFILE_TEST_OPT_LEVEL=0 CARGO_PROFILE_TEST_DEBUG=0 RUST_BACKTRACE=0
export PROPTEST_CASES=40
stale_only=
if [ "${1-}" = --stale ]; then
    stale_only=1
    shift
fi
only=" $* "
number=0
failed=0

mkdir "$work/tree"
cp "$root/Cargo.toml" "$root/Cargo.lock" "$root/README.md" "$work/tree"
cp -r "$root/xent-core" "$root/xent-std" "$work/tree"
# Its other member is not there.
sed -i 's/^members = .*/members = ["xent-core", "xent-std"]/' "$work/tree/Cargo.toml"

# mutant SUITES FILE SED-SCRIPT: what the script changes in the file, one of the suites must catch.
mutant() {
    suites=$1 file=xent-core/src/$2 script=$3
    number=$((number + 1))
    case $only in "  " | *" $number "*) ;; *) return ;; esac
    cp "$root/$file" "$work/tree/$file"
    sed -i "$script" "$work/tree/$file"
    if cmp -s "$root/$file" "$work/tree/$file"; then
        echo "$number STALE  $file: $script changes nothing"
        failed=1
        return
    fi
    if [ -n "$stale_only" ]; then
        cp "$root/$file" "$work/tree/$file"
        return
    fi
    arguments=
    for suite in $suites; do
        case $suite in
        lib) arguments="$arguments --lib" ;;
        *) arguments="$arguments --test $suite" ;;
        esac
    done
    # shellcheck disable=SC2086 # one argument for each suite
    if (cd "$work/tree" && cargo test -p xent-core $arguments --no-fail-fast) > "$work/log" 2>&1; then
        echo "$number MISSED $file: $script"
        failed=1
    elif by=$(sed -n 's/^test \([a-z0-9_:]*\) \.\.\. FAILED$/\1/p' "$work/log" | sort -u) && [ -n "$by" ]; then
        echo "$number caught $file: $script"
        echo "$by" | sed 's/^/       by /'
    elif grep -q '(signal: ' "$work/log"; then
        echo "$number caught $file: $script"
        sed -n 's/.*deps\/\([a-z_]*\)-.*(\(signal: .*\)).*/       by \1, which ends by \2/p' "$work/log"
    else
        tail -n 20 "$work/log"
        echo "$number BROKEN $file: $script"
        failed=1
    fi
    cp "$root/$file" "$work/tree/$file"
}

# Tails: a mask one lane too wide; one too narrow; the last lane of a row is not stored.
mutant "borders" isa/avx512.rs 's/(1 << (n % LANES)) - 1/(2 << (n % LANES)) - 1/'
mutant "reproducibility" isa/avx2.rs 's/TAIL.get(LANES.saturating_sub(n)\.\.)/TAIL.get((LANES + 1).saturating_sub(n)..)/'
mutant "reproducibility" kernel/map.rs 's/let end = out.len().saturating_sub(S::LANES);/let end = out.len().saturating_sub(S::LANES + 1);/'
# A dropped lane: of a fold; of a strided load; of a strided store.
mutant "reproducibility" isa/avx512.rs 's/0b01_01_01_01/0b00_00_00_00/'
mutant "reproducibility" isa/avx2.rs 's/at(2), at(1), at(0)/at(2), at(0), at(0)/'
mutant "reproducibility" kernel/rows_in_lanes.rs \
    's/n_rows.saturating_sub(1) \* self.row_stride + 1;/n_rows.saturating_sub(1) * self.row_stride;/'
# Off-by-one edges: of a copied block; of a chunk; of the groups of a row.
mutant "reproducibility" rows.rs 's/self.classes.saturating_sub(start).min(BLOCK);/self.classes.saturating_sub(start).min(BLOCK - 1);/'
mutant "lib" kernel/log_sum_exp.rs 's/if self.in_chunk == CHUNK {/if self.in_chunk > CHUNK {/'
mutant "reproducibility" kernel/rows_in_lanes.rs 's/let half = if i < 2 { 0 } else { 1 };/let half = if i < 3 { 0 } else { 1 };/'
# The last bit of a coefficient: of a logarithm; of a hyperbolic tangent; of a table.
mutant "reproducibility" math/ln.rs 's/0x3e11_9dd1/0x3e11_9dd0/'
mutant "reproducibility" math/tanh.rs 's/0x3e08_86b3/0x3e08_86b2/'
mutant "lib" math/pair.rs 's/\[0x3fb5_04f3, 0x32cf_e77a\]/[0x3fb5_04f3, 0x32cf_e77b]/'
# A missing attribute.
mutant "source_rules" math/ln_1p.rs '0,/#\[inline(always)\]/s//#[inline]/'
# Off-by-one checks: of a label; of what rows need of their slice.
mutant "errors" targets.rs 's/if index < classes =>/if index <= classes =>/'
mutant "errors" rows.rs 's/if expected > self.data.len() {/if expected > self.data.len() + 1 {/'
# The sign of a zero: of a pushed logit; of a gradient that underflows.
mutant "special_values" log_sum_exp.rs 's/LogSumExp::from_parts(x + 0.0, Pair::ZERO)/LogSumExp::from_parts(x, Pair::ZERO)/'
mutant "special_values" kernel/label.rs 's/s.add(s.mul(factor, label), zero)/s.mul(factor, label)/'
# A lost error term: of an addition of pairs; of a sum that a divergence is taken from.
mutant "lib" math/pair.rs 's/Pair::ordered_sum(head.hi, head.lo + lo.lo)/Pair::ordered_sum(head.hi, head.lo)/'
mutant "divergences" kernel/divergence.rs 's/s.sub(s.mul(b, ln_b), lost)/s.mul(b, ln_b)/'
# Swapped: maximum and minimum; which of two states is the larger; the sides of a selection.
mutant "special_values reproducibility" isa/scalar.rs 's/if a > b { a } else { b }/if a < b { a } else { b }/'
mutant "accuracy reproducibility" log_sum_exp.rs 's/if self.max >= other.max { (self, other)/if self.max <= other.max { (self, other)/'
mutant "special_values reproducibility" isa/avx512.rs 's/_mm512_mask_blend_ps(m, b, a)/_mm512_mask_blend_ps(m, a, b)/'
# A comparison that is true at NaN.
mutant "special_values lib" isa/avx512.rs 's/_CMP_LT_OQ/_CMP_NGE_UQ/'
# Totals: a merge without its weight; a mean that divides by the count; a NaN of weight 0.
mutant "reproducibility options" loss/total.rs 's/weight: self.weight + other.weight/weight: self.weight/'
mutant "options gradients" loss/reduction.rs 's/reciprocal(weights().weight())/reciprocal(weights().count() as f64)/'
mutant "options errors" loss/total.rs 's/if weight == 0.0 { 0.0 } else { f64::from(weight) \* f64::from(loss) }/f64::from(weight) * f64::from(loss)/'
# The place of a maximum in its block, not in its row; a range of a range; a kernel for another.
mutant "statistics" kernel/statistics.rs 's/state.argmax = start + first_place(x, m);/state.argmax = first_place(x, m);/'
mutant "reproducibility errors" rows.rs 's/first_row: self.first_row + start,/first_row: start,/'
mutant "reproducibility" dispatch.rs 's/= softmax::log_softmax_in_place;/= softmax::softmax_in_place;/'
# A backend that fuses and says that it does not.
mutant "reproducibility errors backends" backend.rs 's/Avx2, "avx2", Avx2::FUSED/Avx2, "avx2", !Avx2::FUSED/'
# Another order of addition. The last of 33 to 64 classes is dropped. A mask of what stays that forgets NaN.
mutant "lib" kernel/short_row.rs 's/\*e0 = s.add(s.add(\*e0, e1), s.add(e2, e3));/*e0 = s.add(s.add(s.add(*e0, e1), e2), e3);/'
mutant "reproducibility" kernel/rows_in_lanes.rs 's/layout.classes - SHORT)/layout.classes - SHORT - 1)/'
mutant "lib special_values" isa/avx512.rs 's/_CMP_NLT_UQ/_CMP_GE_OQ/'
exit $failed
