#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds for AArch64 with a cross compiler (preset arm64) and runs unit tests under QEMU, once on a processor with
# dot products and once on one without. On AArch64 itself `make check` does all of this and more.
#   scripts/check-arm64.sh [REGEX]   tests whose names match; default: all of kernels, and what finds the levels
# Packages: scripts/install-deps.sh arm64. Times mean nothing under QEMU; only results do.
set -eu

cd "$(dirname "$0")/.."
tests=${1:-'^unit/test_(.*_kernels|cpu)$'}
jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc 2>/dev/null || echo 2)}

scripts/install-deps.sh arm64
cmake --preset arm64 >/dev/null
# What a test is called is what its program is called.
programs=$(ctest --preset arm64 -N -R "$tests" | sed -n 's|^ *Test *#[0-9]*: unit/||p')
[ -n "$programs" ] || {
    echo "check-arm64: no unit test matches $tests" >&2
    exit 1
}
# shellcheck disable=SC2086
cmake --build --preset arm64 -j "$jobs" --target $programs
for cpu in max cortex-a53; do
    echo "== $cpu"
    cmake --preset arm64 -DVECQ_ARM64_CPU="$cpu" >/dev/null
    ctest --preset arm64 -j "$jobs" --no-tests=error -R "$tests"
done
