#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A training step beside PyTorch's on the CPU, in turn: step.sh [RUNS [THREADS]]
#
# PYTHON names the interpreter that has torch (Debian: python3-torch, whose matrix products are slow; PyPI's wheel
# is the fairer opponent), BENCH the program when it is not build/bench/bench_step. Prints, for both networks, our
# step, the oneDNN primitives alone, and PyTorch's step; twice, so that a busy machine shows.
set -eu
cd "$(dirname "$0")/.."
runs=${1:-21} threads=${2:-2}
python=${PYTHON:-python3} bench=${BENCH:-build/bench/bench_step}
if ! "$python" -c 'import torch' 2> /dev/null; then
    echo "step.sh: $python has no torch (PYTHON=... names another interpreter)" >&2
    exit 1
fi
for round in 1 2; do
    for net in lenet5 vgg; do
        echo "== round $round"
        "$bench" --net $net --runs "$runs" --threads "$threads"
        OMP_NUM_THREADS=$threads "$python" bench/torch_step.py --net $net --runs "$runs" --threads "$threads"
    done
done
