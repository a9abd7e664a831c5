#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Wall-clock and processor time of `vecq quantize` on a model, standard library only.

    python bench/quantize_time.py [--vecq build/vecq] [--runs 5] [--bits 1,2,..] [--threads 1,2] MODEL.onnx...

One row for each width and way to choose the step. Runs are interleaved: all combinations once, then all again, so that
a busy minute of the machine falls on all of them. Each cell is median wall / median processor seconds (user + system),
from start to the file in its place, reading back included.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time


def once(args):
    start = time.perf_counter()
    child = subprocess.Popen(args)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"quantize_time: {' '.join(args)} failed")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime


def main():
    numbers = lambda text: [int(t) for t in text.split(",")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--vecq", default="build/vecq")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bits", type=numbers, default=list(range(1, 9)))
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    options = parser.parse_args()
    modes = ["table", "search"]
    for model in options.models:
        cells = {(b, m, j): [] for b in options.bits for m in modes for j in options.threads}
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out.onnx")
            for _ in range(options.runs):
                for (b, m, j), times in cells.items():
                    times.append(once([options.vecq, "quantize", model, "-o", out, "-q", "-b", str(b), "--lambda", m,
                                       "-j", str(j)]))
        print(f"{os.path.basename(model)}, {options.runs} runs, wall / processor seconds\n")
        print("| bits |" + "".join(f" {m}, {j} thread{'s' * (j > 1)} |" for m in modes for j in options.threads))
        print("|---|" + "---|" * (len(modes) * len(options.threads)))
        for b in options.bits:
            row = (cells[b, m, j] for m in modes for j in options.threads)
            print(f"| {b} |" + "".join(f" {statistics.median(t[0] for t in times):.2f} / "
                                       f"{statistics.median(t[1] for t in times):.2f} |" for times in row))


if __name__ == "__main__":
    main()
