# SPDX-License-Identifier: Apache-2.0
"""Every real model as a program, by every backend of the build, against onnxruntime.

    test_programs.py [--csv FILE] [NAME...]     NAME: part of a model's name

Each model runs with random inputs as it is declared; models with one input also run a batch of three, whose rows must
be those of three runs of onnxruntime, whether the model declares a batch of one or any. What cannot be run must be
known here, with the words of its message: a model that is not listed fails the test, and so does one that no longer
needs to be.
"""
import argparse
import csv
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx

import common

RUN = os.environ.get("VECQ_RUN_MODEL", "")
TOLERANCE = 2e-5
# end of the name: words of the refusal, as declared and (if different) with a batch of three
REFUSED = {
}
REFUSED_BATCH = {
}
BATCH = 3
TYPE = {np.dtype(t): n for n, t in common.NUMPY_TYPE.items()}


class Refused(Exception):
    """Something in the model is not supported: the message."""


def known(table, name):
    return next((words for end, words in table.items() if name.endswith(end)), None)


def backends():
    return subprocess.run([RUN, "--backends"], capture_output=True, text=True, check=True).stdout.split()


def run_program(path, feeds, backend, folder, repeat=1):
    """Outputs in the order of the model, and the seconds of a run."""
    arguments = []
    for i, (name, value) in enumerate(feeds.items()):
        if value.dtype in (np.float16, np.float64):  # programs compute in float32
            value = value.astype(np.float32)
        file = os.path.join(folder, f"in{i}")
        np.ascontiguousarray(value).tofile(file)
        arguments.append(f"{name}={TYPE[value.dtype]}:{'x'.join(map(str, value.shape))}:{file}")
    done = subprocess.run([RUN, "--backend", backend, "--repeat", str(repeat), path, os.path.join(folder, "out"),
                           *arguments], capture_output=True, text=True)
    if done.returncode != 0 and done.stderr.count("\n") == 1 and done.returncode in (1, 3):
        raise Refused(done.stderr.strip())
    if done.returncode != 0:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()}")
    outputs, seconds = [], 0.0
    for line in done.stdout.splitlines():
        if line.startswith("time "):
            seconds = float(line[5:])
            continue
        index, dtype, shape, _ = line.split(" ", 3)
        dims = [] if shape == "scalar" else [int(d) for d in shape.split("x")]
        file = os.path.join(folder, f"out.{index}")
        outputs.append(np.fromfile(file, dtype=common.NUMPY_TYPE[int(dtype)]).reshape(dims))
    return outputs, seconds


def difference(have, want):
    want = [w.astype(np.float32) if w.dtype in (np.float16, np.float64) else w for w in want]
    return common.largest_difference(have, want)


def batch_of(model, name):
    """Inputs of a batch, and one set for each of its rows; None when there is no telling which axis is the batch."""
    feeds = common.inputs(model, name, seed=1)
    if len(feeds) != 1:
        return None
    (key, value), = feeds.items()
    if value.ndim < 2 or value.shape[0] != 1:
        return None
    rows = [value, *(common.inputs(model, name, seed=s)[key] for s in range(2, 1 + BATCH))]
    return {key: np.concatenate(rows)}, [{key: row} for row in rows]


def check(row, name, feeds, want, path, words, column):
    for backend in backends():
        with tempfile.TemporaryDirectory() as folder:
            try:
                have, seconds = run_program(path, feeds, backend, folder)
            except Refused as refused:
                message = str(refused)
                assert words is not None, message
                assert words in message, f"'{message}' does not say '{words}'"
                row[f"{column}{backend}"] = "refused"
                row["reason"] = message
                continue
        assert words is None, f"it runs: take it off the list ('{words}')"
        worst = difference(have, want)
        row[f"{column}{backend}"] = f"{worst:.1e}"
        row[f"{column}{backend} ms"] = f"{1000 * seconds:.1f}"
        assert worst <= TOLERANCE, f"{backend}: outputs differ by {worst:.2e} of the largest"


def check_model(name, path, row):
    model = onnx.load(path)
    session = common.session(path)
    feeds = common.inputs(model, name)
    check(row, name, feeds, session.run(None, feeds), path, known(REFUSED, name), "")
    if known(REFUSED, name) is not None:
        return
    batch = batch_of(model, name)
    if batch is None:
        return
    whole, rows = batch
    parts = [session.run(None, r) for r in rows]
    want = [np.concatenate(p) if p[0].ndim > 0 and p[0].shape[0] == 1 else None for p in zip(*parts, strict=True)]
    if any(w is None for w in want):
        row["reason"] = "its outputs have no batch"
        return
    check(row, name, whole, want, path, known(REFUSED_BATCH, name), "batch ")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--csv")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    common.need("data")
    if not os.access(RUN, os.X_OK):
        print("skipped: VECQ_RUN_MODEL is not the program run_model")
        sys.exit(common.SKIP)
    rows, failed = [], 0
    for name, path in common.models():
        if arguments.names and not any(part in name for part in arguments.names):
            continue
        row = {"model": name}
        try:
            check_model(name, path, row)
        except Exception as error:  # noqa: BLE001: one model must not hide the others
            row["reason"] = f"FAILED: {error}"
            failed += 1
        rows.append(row)
        print(" ".join(f"{k}={v}" if k != "model" else v for k, v in row.items()), flush=True)
    if arguments.csv:
        fields = ["model", *dict.fromkeys(k for r in rows for k in r if k != "model")]
        with open(arguments.csv, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fields)
            writer.writeheader()
            writer.writerows(rows)
    common.finish(len(rows) - failed, failed)


if __name__ == "__main__":
    main()
