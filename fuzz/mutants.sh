#!/bin/sh
# Puts bugs into copies of the workspace and expects each fuzz target to find its own within a minute.
#
#     fuzz/mutants.sh            all of them
#     fuzz/mutants.sh softmax    those of one target
#     fuzz/mutants.sh --stale    none: whether each still changes what it is to change
#
# The copies are made in a temporary directory; cargo's files go to CARGO_TARGET_DIR if it is set.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
target_dir=${CARGO_TARGET_DIR:-$work/target}
stale_only=
if [ "${1-}" = --stale ]; then
    stale_only=1
    shift
fi
only=${1:-}
if [ -n "$only" ] && [ ! -f "$root/fuzz/fuzz_targets/$only.rs" ]; then
    echo "no target is named $only" >&2
    exit 2
fi
failed=0

# mutant TARGETS FILE SED-SCRIPT: what the script changes in the file, the targets must find.
mutant() {
    targets=$1 file=$2 script=$3
    case $targets in *"$only"*) ;; *) return ;; esac
    rm -rf "$work/tree"
    mkdir "$work/tree"
    cp -r "$root/Cargo.toml" "$root/xent-core" "$root/xent-std" "$root/README.md" "$work/tree"
    mkdir "$work/tree/fuzz"
    cp -r "$root/fuzz/Cargo.toml" "$root/fuzz/Cargo.lock" "$root/fuzz/src" "$root/fuzz/fuzz_targets" "$work/tree/fuzz"
    # Its other members are not there.
    sed -i 's/^members = .*/members = ["xent-core", "xent-std"]/' "$work/tree/Cargo.toml"
    sed -i "$script" "$work/tree/$file"
    if cmp -s "$root/$file" "$work/tree/$file"; then
        echo "STALE  $file: $script changes nothing"
        failed=1
        return
    fi
    [ -z "$stale_only" ] || return 0
    for target in $targets; do
        if [ -n "$only" ] && [ "$only" != "$target" ]; then continue; fi
        # Without a sanitizer: faster, and what is looked for is a wrong result.
        (cd "$work/tree/fuzz" && cargo +nightly fuzz build -s none "$target" \
            --target-dir "$target_dir") > "$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
        mkdir -p "$work/corpus"
        start=$(date +%s)
        if "$target_dir/$(rustc +nightly -vV | sed -n 's/^host: //p')/release/$target" \
            "$work/corpus" -max_total_time=60 -max_len=512 -len_control=0 -artifact_prefix="$work/" \
            > "$work/run.log" 2>&1; then
            echo "MISSED $target: $file: $script"
            failed=1
        elif grep -aq 'panicked at' "$work/run.log"; then
            echo "found  $target, $(($(date +%s) - start)) s: $file: $script"
        else
            tail -5 "$work/run.log"
            echo "BROKEN $target: $file: $script"
            failed=1
        fi
        rm -rf "$work/corpus"
    done
}

kernel=xent-core/src/kernel
# The first chunk of a sum.
mutant "clipped_cross_entropy" $kernel/tree.rs \
    's/\*self = TreeSum { chunks: self.value(),/*self = TreeSum { chunks: self.chunks,/'
# The tail of a sum; the tail of an output.
mutant "log_sum_exp cross_entropy clipped_cross_entropy" $kernel/tree.rs \
    's/let chunks = x.chunks(S::LANES).zip(y.chunks(S::LANES));/let chunks = x.chunks_exact(S::LANES).zip(y.chunks_exact(S::LANES));/'
mutant "softmax binary_losses" $kernel/map.rs \
    's/^        s.store(v, out.get_mut(end..).unwrap_or_default());$//'
# What the difference of two logits loses.
mutant "softmax" $kernel/softmax.rs 's/s.mul_add(exp, lost, exp)/s.mul_add(exp, s.sub(lost, lost), exp)/'
# One label too many; a row of another image; a clip range that is not
# checked; the digits of a small loss.
mutant "cross_entropy" xent-core/src/targets.rs 's/if index < classes =>/if index <= classes =>/'
mutant "softmax cross_entropy binary_losses" xent-core/src/rows.rs \
    's/outer \* self.outer_stride + (row - outer \* self.inner)/row * self.outer_stride + (row - outer * self.inner)/'
mutant "clipped_cross_entropy" xent-core/src/loss/clip.rs 's/ \&\& self.hi <= 1.0//'
mutant "clipped_cross_entropy" $kernel/clipped.rs \
    's/^        let loss = s.select(is_max, self.loss_of_max, loss);$//'
# An option that is not applied to a gradient; a probability of -0.
mutant "binary_losses" $kernel/binary.rs \
    's/let q = s.mul(s.add(q, zero), /let q = s.mul(q, /'
mutant "clipped_cross_entropy" $kernel/clipped.rs \
    's/slope), s.add(x, zero));/slope), x);/'
mutant "binary_losses" $kernel/binary.rs \
    's/let asymmetry = s.sub(sides.negative, sides.positive);/let asymmetry = s.sub(sides.positive, sides.negative);/'
mutant "cross_entropy" $kernel/distribution.rs \
    's/let slope = s.mul(power(s, class.q, self.gamma), s.add(one, turn));/let slope = power(s, class.q, self.gamma);/'
# The place of a tie; a polynomial beyond its interval; a sign.
mutant "statistics_and_divergences" $kernel/statistics.rs \
    's/n += u32::from(x >= self.label_logit);/n += u32::from(x > self.label_logit);/'
mutant "statistics_and_divergences" $kernel/divergence.rs \
    's/let term = s.select(s.lt(d2, half), near,/let term = s.select(s.lt(d2, s.splat(0.75)), near,/'
mutant "statistics_and_divergences" $kernel/distillation.rs \
    's/scale \* if difference < 0.0 { -ln } else { ln };/scale * ln;/'
# Another backend than was asked for; rows of another part of a batch; a stride that is not the rows'.
mutant "batches" xent-std/src/batch/backend.rs \
    's/filled(x, x.classes(), |x, out| self.log_softmax_rows(x, out))/filled(x, x.classes(), |x, out| Backend::SCALAR.log_softmax_rows(x, out))/'
mutant "batches" xent-std/src/parallel.rs \
    's/fill(start..n_rows.min(start + rows_per_task), out)/fill(0..n_rows.min(rows_per_task), out)/'
mutant "arrays" xent-std/src/ndarray/rows.rs \
    's/Some(last) if last.1 == len.checked_mul(stride)? =>/Some(last) if last.1 >= stride =>/'
exit $failed
