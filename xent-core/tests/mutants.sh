#!/bin/sh
# Puts plausible bugs into a copy of both crates, one at a time, and says which tests catch each.
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
export CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=0 # of the examples, which suites of xent-std run
export PROPTEST_CASES=40
stale_only=
if [ "${1-}" = --stale ]; then
    stale_only=1
    shift
fi
only=" $* "
number=0
failed=0
passed= # suites, before the first bug

mkdir "$work/tree"
cp "$root/Cargo.toml" "$root/Cargo.lock" "$root/README.md" "$work/tree"
cp -r "$root/xent-core" "$root/xent-std" "$work/tree"
# Its other member is not there.
sed -i 's/^members = .*/members = ["xent-core", "xent-std"]/' "$work/tree/Cargo.toml"

# Whether the suites pass, with a log.
suites_pass() {
    arguments=
    for suite in $suites; do
        case $suite in
        lib) arguments="$arguments --lib" ;;
        *) arguments="$arguments --test $suite" ;;
        esac
    done
    # shellcheck disable=SC2086 # one argument for each suite
    (cd "$work/tree" && { [ "$crate" = xent-core ] || cargo build -p xent-std --all-features --examples; } &&
        cargo test -p "$crate" --all-features $arguments --no-fail-fast) > "$work/log" 2>&1
}

# mutant SUITES FILE SED-SCRIPT: what the script changes in the file of the folder $in, one of the suites of its
# crate must catch.
mutant() {
    suites=$1 file=$in/$2 script=$3 crate=${in%%/*}
    number=$((number + 1))
    case $only in "  " | *" $number "*) ;; *) return ;; esac
    # A suite that fails without a bug would catch every one.
    case $stale_only$passed in
    1* | *"; $crate $suites;"*) ;;
    *)
        passed="$passed; $crate $suites;"
        suites_pass || { echo "$number BROKEN without a bug: $suites of $crate"; failed=1; return; }
        ;;
    esac
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
    if suites_pass; then
        echo "$number MISSED $file: $script"
        failed=1
    elif by=$(sed -n 's/^test \([a-z0-9_:]*\)\( - should panic\)\{0,1\} \.\.\. FAILED$/\1/p' "$work/log" | sort -u) && [ -n "$by" ]; then
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

in=xent-core/src
# Tails: a mask one lane too wide; one too narrow; the last lane of a row is not stored.
mutant "borders" isa/avx512.rs 's/(1 << (n % LANES)) - 1/(2 << (n % LANES)) - 1/'
mutant "reproducibility" isa/avx2.rs 's/TAIL.get(LANES.saturating_sub(n)\.\.)/TAIL.get((LANES + 1).saturating_sub(n)..)/'
mutant "reproducibility" kernel/map.rs 's/let end = out.len().saturating_sub(S::LANES);/let end = out.len().saturating_sub(S::LANES + 1);/'
# A dropped lane: of a fold; of a strided load; of a strided store.
mutant "reproducibility" isa/avx512.rs 's/0b10_11_00_01>(v, v)/0b11_10_01_00>(v, v)/'
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
# Another order of addition. The last of 33 to 64 classes is dropped. A lower bound that forgets NaN.
mutant "lib" kernel/short_row.rs 's/\*e0 = s.add(s.add(\*e0, e1), s.add(e2, e3));/*e0 = s.add(s.add(s.add(*e0, e1), e2), e3);/'
mutant "reproducibility" kernel/rows_in_lanes.rs 's/layout.classes - SHORT)/layout.classes - SHORT - 1)/'
mutant "lib special_values" isa/avx512.rs 's/_mm512_max_ps(lowest, a)/_mm512_max_ps(a, lowest)/'
# The low part of an exponential. An element before the first that is aligned is left out; chunks of another length.
mutant "lib" math/pair.rs 's/(lo + (lo \* expm1.hi + hi \* expm1_lo))/(lo * expm1.hi + hi * expm1_lo)/'
mutant "reproducibility" kernel/log_sum_exp.rs 's/^    s.shared(StateOf(x))$/    s.shared(StateOf(x.get(x.as_ptr().align_offset(8)..).unwrap_or_default()))/'
mutant "reproducibility" kernel/log_sum_exp.rs 's/self.0.chunks(CHUNK)/self.0.chunks(2 * CHUNK)/'
# The error of a lane of a short row that is taken one by one.
mutant "lib" kernel/short_row.rs 's/s.add(e0, e4), s4/e0, s4/'

in=xent-std/src
# Evaluations: a bin without its upper end; a merge that forgets rows.
mutant "evaluation" evaluation.rs 's/(confidence \* n_bins as f64).ceil()/(confidence * n_bins as f64).floor()/'
mutant "evaluation" evaluation.rs 's/self.nan_count += other.nan_count;//'
# Errors: rows counted from the first of a part; a product that wraps around.
mutant "errors" batch/loss.rs 's/^        self.check_of(x, targets)?;$//'
mutant "errors" batch/split.rs 's/saturating_mul/wrapping_mul/'
# Arrays: axes passed back in the wrong order.
mutant "ndarray" ndarray.rs 's/(class_axis.index() + 1..ndim).rev()/class_axis.index() + 1..ndim/'
# A result that is made twice.
mutant "allocation" batch/split.rs 's/let mut gradient = .*/&\n        let _copy = gradient.clone();/'

in=xent-std/examples
# The layout of a file; a row of a slice for one of the file; a number that is rounded twice.
mutant "evaluate_example" evaluate/npy.rs 's/Order::Fortran => (1, self.n_rows)/Order::Fortran => (self.classes, 1)/'
mutant "evaluate_example" evaluate/summary.rs 's/row: start + i, label/row: i, label/'
mutant "conformance" conformance/number.rs 's/&& let Ok(number) = text.parse()$/\&\& let Ok(number) = text.parse::<f64>().map(|x| x as f32)/'

in=xent-core/src
# Four exponentials that are half done twice; a block that waits for one that is not there; a NaN in one that waits. A weight that
# leaves out a small target.
mutant "reproducibility" kernel/exp_sum.rs 's/fours::<S>(x).skip(1)/fours::<S>(x).skip(0)/'
mutant "reproducibility" kernel/log_sum_exp.rs 's/if S::IN_TURN \&\& next.is_some() {/if S::IN_TURN {/'
mutant "special_values" kernel/log_sum_exp.rs 's/state = push_special(state, x_before);/let _ = x_before;/'
mutant "extreme_weights" kernel/binary.rs 's/s.mul(sides.positive, self.positive)/s.mul(s.mul(sides.positive, sides.pos_weight), s.div(self.positive, sides.pos_weight))/'
exit $failed
