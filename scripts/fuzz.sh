#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fuzzes every libFuzzer target, one after the other: scripts/fuzz.sh [SECONDS in all]
# Without an argument each target gets FUZZ_SECONDS (60). Seeds: fuzz/corpus/<target>, never changed; new inputs
# gather in build/fuzz-work/<target>; a crash is left there and printed, and belongs into the corpus with its fix.
set -eu

cd "$(dirname "$0")/.."
if [ ! -f fuzz/CMakeLists.txt ]; then
    echo "fuzz: there are no targets in fuzz/" >&2
    exit 1
fi
scripts/build.sh fuzz
targets=$(find build/fuzz/fuzz -maxdepth 1 -type f -perm -u+x -name 'fuzz_*' | sort)
count=$(echo "$targets" | grep -c .) || {
    echo "fuzz: the build made no program build/fuzz/fuzz/fuzz_*" >&2
    exit 1
}
seconds=${1:+$((${1} / count))}
seconds=${seconds:-${FUZZ_SECONDS:-60}}
bad=0
for target in $targets; do
    stem=$(basename "$target")
    work=build/fuzz-work/$stem
    mkdir -p "$work/corpus"
    seeds=
    for folder in "fuzz/corpus/$stem" "fuzz/corpus/${stem#fuzz_}"; do
        [ ! -d "$folder" ] || seeds="$seeds $folder"
    done
    echo "fuzz: $stem for $seconds s, seeds:${seeds:- none}"
    # shellcheck disable=SC2086
    "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$work/" "$work/corpus" $seeds </dev/null || bad=$((bad + 1))
done
if [ "$bad" -gt 0 ]; then
    echo "fuzz: $bad of $count targets found something; see build/fuzz-work" >&2
    exit 1
fi
echo "fuzz: $count targets, $seconds s each, nothing found"
