#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs every benchmark program build/release/bench/bench_*.
set -eu

cd "$(dirname "$0")/.."
scripts/build.sh release -DVECQ_BENCH=ON >build/bench-build.log 2>&1 || {
    tail -n 40 build/bench-build.log
    exit 1
}
programs=$(find build/release/bench -maxdepth 1 -type f -perm -u+x -name 'bench_*' 2>/dev/null | sort)
if [ -z "$programs" ]; then
    echo "bench: there are no benchmarks in bench/" >&2
    exit 1
fi
for program in $programs; do
    echo "== $(basename "$program")"
    "$program"
done
