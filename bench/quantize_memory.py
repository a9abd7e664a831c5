#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Peak anonymous memory of `vecq quantize`, standard library only.

    python bench/quantize_memory.py [--vecq build/vecq] [--options "-b 4"]... [--exact] MODEL.onnx...

Two independent ways:

    sampled  resident minus file pages of /proc/PID/statm, read every half millisecond. File mappings (the model, the
             result, the temporary file of results) are not anonymous: the kernel may drop or write them at any time.
             A peak shorter than the period is missed, so this is a lower bound.
    limit    the same command under RLIMIT_DATA: the kernel refuses private writable memory, touched or not, beyond the
             limit, so a run that succeeds proves the bound for all that is allocated. Tried once at 3 x the model file
             (external data: 3 x the largest tensor); with --exact the least limit that succeeds is searched to 1 %. The
             main stack and relocated pages of libraries, some 1 MiB, count above and not here.
"""
import argparse
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time

PAGE = os.sysconf("SC_PAGESIZE")
MIB = 1 << 20
DEFAULTS = ["", "--format float", "--format qdq -b 7", "-g tensor --lambda table", "-g tensor", "-j 2"]


def under(limit):
    def apply():
        resource.setrlimit(resource.RLIMIT_STACK, (MIB, MIB))  # what a thread's stack counts for
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    return apply


def command(vecq, options, model, out):
    threads = [] if "-j" in options else ["-j", "1"]
    return [vecq, "quantize", model, "-o", out, "-q"] + threads + options


def sampled(args):
    """Peak in bytes."""
    peak = 0
    child = subprocess.Popen(args, preexec_fn=under(None), stderr=subprocess.PIPE)
    statm = os.open(f"/proc/{child.pid}/statm", os.O_RDONLY)
    while child.poll() is None:
        fields = os.pread(statm, 256, 0).split()
        if len(fields) > 2:
            peak = max(peak, (int(fields[1]) - int(fields[2])) * PAGE)
        time.sleep(0.0005)
    os.close(statm)
    message = child.stderr.read().decode().strip()
    if child.returncode:
        raise RuntimeError(f"{shlex.join(args)}: {message}")
    return peak


def succeeds(args, limit):
    done = subprocess.run(args, preexec_fn=under(limit), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    if done.returncode and b"memory" not in done.stderr:
        raise RuntimeError(f"{shlex.join(args)} under {limit} bytes: {done.stderr.decode().strip()}")
    return done.returncode == 0


def least_limit(args, at_least):
    low, high = at_least // 2, at_least
    while not succeeds(args, high):
        low, high = high, high + max(high // 4, MIB)
    while high - low > max(high // 100, 256 << 10):
        middle = (low + high) // 2
        if succeeds(args, middle):
            high = middle
        else:
            low = middle
    return high


def largest_tensor(model):
    """Bytes of the largest external tensor, from the entries of the file; 0 without external data."""
    if not os.path.exists(model + ".data"):
        return 0
    with open(model, "rb") as f:
        return max(int(n) for n in re.findall(rb"length\x12.(\d+)", f.read()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--vecq", default="build/vecq")
    parser.add_argument("--options", action="append", help="options of quantize; may be repeated")
    parser.add_argument("--times", type=float, default=3, help="the bound, times the file or the largest tensor")
    parser.add_argument("--exact", action="store_true")
    options = parser.parse_args()
    print("| model | options | MiB | sampled peak MiB | of the file | of the largest tensor | "
          f"runs within {options.times:g} x |{' least limit MiB |' if options.exact else ''}\n"
          f"|---|---|---|---|---|---|---|{'---|' if options.exact else ''}")
    missed = 0
    for model in options.models:
        largest = largest_tensor(model)
        size = os.path.getsize(model) + (os.path.getsize(model + ".data") if largest else 0)
        bound = int(options.times * (largest or size))
        for given in options.options or DEFAULTS:
            with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(model))) as folder:
                args = command(options.vecq, shlex.split(given), model, os.path.join(folder, "out.onnx"))
                try:
                    peak = sampled(args)
                except RuntimeError as error:  # e.g. qdq below opset 13
                    print(f"| {os.path.basename(model)} | `{given}` | {size / MIB:.1f} | {str(error)[-120:]} |", flush=True)
                    continue
                within = succeeds(args, bound)
                missed += not within
                exact = f" {least_limit(args, peak) / MIB:.1f} |" if options.exact else ""
            print(f"| {os.path.basename(model)} | `{given}` | {size / MIB:.1f} | {peak / MIB:.1f} | {peak / size:.2f} | "
                  f"{f'{peak / largest:.2f}' if largest else ''} | {'yes' if within else 'NO'} |{exact}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
