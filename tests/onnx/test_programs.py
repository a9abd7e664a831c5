# SPDX-License-Identifier: Apache-2.0
"""Every real model as a program, by every backend of the build, against onnxruntime.

    test_programs.py [--csv FILE] [NAME...]     NAME: part of a model's name

Each model runs with random inputs as it is declared; models with one input also run a batch of three, whose rows must
be those of three runs of onnxruntime, whether the model declares a batch of one or any. Simplified programs must give
the same. What cannot be run must be
known here, with the words of its message: a model that is not listed fails the test, and so does one that no longer
needs to be. Where test data fit a model, it runs with a real image too. Then its packed forms of PACKED bits (written by
the command) run, weights kept packed and the program simplified.
"""
import argparse
import csv
import gzip
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx

import common

RUN = os.environ.get("VECQ_RUN_MODEL", "")
TOLERANCE = 2e-5
SIMPLIFIED = 1e-5  # simplified programs against plain ones; a tenth of the tolerance of models that have their own
SMALL = 0.05  # outputs that are all smaller (probabilities of nothing) are measured against this
# end of the name: another tolerance, and why
TOLERANCES = {
    "audio/basic_pitch_nmp.onnx": 5e-4,  # a logarithm of small values: the runtime differs from itself by 7e-5
    "image/candy.onnx": 5e-4,  # normalizes images that are nearly constant: sums in double, Winograd convolutions
    "imagenet/SqueezeNet_fp16.onnx": 2e-3,  # the runtime computes in float16
}
PACKED_TOLERANCES = {}
# end of the name: words of the refusal, as declared, and with a batch of three
REFUSED = {}
REFUSED_BATCH = {
    "detection/FastestDet.onnx": "its constant shape is for a batch of one",  # channel shuffle: [24, 2, 1936]
    "detection/yolox_nano.onnx": "its constant shape is for a batch of one",  # [6400, 85, 1]
}
# end of the name: factor and offset of the random inputs, where they must look like what the model was made for
INPUTS = {"image/candy.onnx": (60, 128)}
BATCH = 3
PACKED = (4, 1)
SLOW = 300  # milliseconds of one image above which a backend is not asked for a batch
TYPE = {np.dtype(t): n for n, t in common.NUMPY_TYPE.items()}


class Refused(Exception):
    """Something in the model is not supported: the message."""


def known(table, name):
    return next((words for end, words in table.items() if name.endswith(end)), None)


def backends():
    return subprocess.run([RUN, "--backends"], capture_output=True, text=True, check=True).stdout.split()


def run_program(path, feeds, backend, folder, repeat=1, simplify=0, packed=0):
    """Outputs in the order of the model, and the seconds of a run."""
    arguments = []
    for i, (name, value) in enumerate(feeds.items()):
        if value.dtype in (np.float16, np.float64):  # programs compute in float32
            value = value.astype(np.float32)
        file = os.path.join(folder, f"in{i}")
        np.ascontiguousarray(value).tofile(file)
        arguments.append(f"{name}={TYPE[value.dtype]}:{'x'.join(map(str, value.shape))}:{file}")
    done = subprocess.run([RUN, "--backend", backend, "--repeat", str(repeat), "--simplify",
                           str(simplify), "--packed", str(packed), path, os.path.join(folder, "out"),
                           *arguments], capture_output=True, text=True)
    if done.returncode != 0 and done.stderr.count("\n") == 1 and done.returncode in (1, 3):
        raise Refused(done.stderr.strip())
    if done.returncode != 0:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()}")
    outputs, seconds = [], 0.0
    for line in done.stdout.splitlines():
        if line.startswith("time "):
            seconds = float(line[5:])
        if line.startswith(("time ", "step ", "simplified ")):
            continue
        index, dtype, shape, _ = line.split(" ", 3)
        dims = [] if shape == "scalar" else [int(d) for d in shape.split("x")]
        file = os.path.join(folder, f"out.{index}")
        outputs.append(np.fromfile(file, dtype=common.NUMPY_TYPE[int(dtype)]).reshape(dims))
    return outputs, seconds


def difference(have, want):
    """Largest |have - want| of an output, relative to its largest value."""
    worst = 0.0
    for x, y in zip(have, want, strict=True):
        if x.shape != y.shape or x.dtype.kind != y.dtype.kind:
            return np.inf
        x, y = x.astype(np.float64), y.astype(np.float64)
        if not np.isfinite(x).all() or not np.isfinite(y).all():
            return 0.0 if np.array_equal(x, y, equal_nan=True) else np.inf
        if x.size:
            worst = max(worst, np.abs(x - y).max() / max(np.abs(y).max(), SMALL))
    return worst


def inputs(model, name, seed):
    factor, offset = known(INPUTS, name) or (1, 0)
    feeds = common.inputs(model, name, seed)
    return {k: (v * factor + offset).astype(v.dtype) if factor != 1 else v for k, v in feeds.items()}


def batch_of(model, name):
    """Inputs of a batch, and one set for each of its rows; None when there is no telling which axis is the batch."""
    feeds = inputs(model, name, 1)
    if len(feeds) != 1:
        return None
    (key, value), = feeds.items()
    if value.ndim < 2 or value.shape[0] != 1:
        return None
    rows = [value, *(inputs(model, name, s)[key] for s in range(2, 1 + BATCH))]
    return {key: np.concatenate(rows)}, [{key: row} for row in rows]


def real_input(shape):
    """An image of the test data in an input's shape, or None: CIFAR-10 or MNIST, as it is from 0 to 1, minus a half."""
    if shape[1:] in ([3, 32, 32], [32, 32, 3]) and os.path.isdir(os.path.join(common.DATA, "data", "cifar10")):
        import test_accuracy
        image = test_accuracy.test_set(1)[0] / 4
        return image if shape[1] == 3 else image.transpose(0, 2, 3, 1)
    file = os.path.join(common.DATA, "data", "mnist", "t10k-images-idx3-ubyte.gz")
    if shape[1:] in ([1, 28, 28], [784, 1], [784]) and os.path.exists(file):
        with gzip.open(file) as images:
            pixels = np.frombuffer(images.read(16 + 784), np.uint8, offset=16)
        return (pixels.astype(np.float32) / 255 - 0.5).reshape(1, *shape[1:])
    return None


def check_packed(row, name, path, feeds):
    """Files of a few bits against the runtime on the same file; every backend, weights kept packed."""
    for bits in PACKED:
        with tempfile.TemporaryDirectory() as folder:
            packed = os.path.join(folder, "packed.onnx")
            common.vecq("quantize", path, "-q", "-b", bits, "-o", packed)
            want = common.session(packed).run(None, feeds)
            for backend in backends():
                have, seconds = run_program(packed, feeds, backend, folder, simplify=1, packed=1)
                worst = difference(have, want)
                row[f"{bits} bits {backend}"] = f"{worst:.1e}"
                row[f"{bits} bits {backend} ms"] = f"{1000 * seconds:.1f}"
                limit = known(PACKED_TOLERANCES, name) or known(TOLERANCES, name) or TOLERANCE
                assert worst <= limit, f"{bits} bits, {backend}: outputs differ by {worst:.2e} of the largest"


def check(row, name, feeds, want, path, words, column):
    for backend in backends():
        if column and float(row.get(f"{backend} ms", 0)) > SLOW:
            continue
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
        assert worst <= (known(TOLERANCES, name) or TOLERANCE), f"{backend}: outputs differ by {worst:.2e} of the largest"
        with tempfile.TemporaryDirectory() as folder:
            simple, seconds = run_program(path, feeds, backend, folder, simplify=1)
        change = difference(simple, have)
        row[f"{column}{backend} simplified"] = f"{change:.1e}"
        row[f"{column}{backend} simplified ms"] = f"{1000 * seconds:.1f}"
        limit = max(SIMPLIFIED, (known(TOLERANCES, name) or 0) / 10)
        assert change <= limit, f"{backend}: simplified, outputs differ by {change:.2e} of the largest"


def check_model(name, path, row):
    model = onnx.load(path)
    session = common.session(path)
    feeds = inputs(model, name, 0)
    check(row, name, feeds, session.run(None, feeds), path, known(REFUSED, name), "")
    if known(REFUSED, name) is not None:
        return
    if len(feeds) == 1:
        (key, value), = feeds.items()
        image = real_input(list(value.shape))
        if image is not None:
            feeds = {key: np.ascontiguousarray(image, dtype=value.dtype)}
            check(row, name, feeds, session.run(None, feeds), path, None, "real ")
    check_packed(row, name, path, feeds)
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
    common.need("data", "command")
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
