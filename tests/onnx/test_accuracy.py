# SPDX-License-Identifier: Apache-2.0
"""Accuracy on the CIFAR-10 test set after quantizing without data, measured in onnxruntime on packed files.

    test_accuracy.py [--images 10000] [--table]      --table: also the rows without a bound, for the README

Writes build/accuracy.csv. The bounds are those the project promises; --images below 10,000 prints only.
"""
import argparse
import csv
import hashlib
import json
import lzma
import os
import sys
import tempfile

import numpy as np

import common

MEAN, DEVIATION = (.4914, .4822, .4465), (.2470, .2435, .2616)
CHANNEL, PAPER = ("-g", "channel", "--lambda", "search"), ("-g", "tensor", "--lambda", "table")
RESNET, MOBILENET = "resnet20-cifar10.onnx", "mobilenetv2-cifar10.onnx"
# model, options, bits, least accuracy in percent (None: no promise), most (None: none)
CASES = [
    (RESNET, None, 32, 91.6, None), (MOBILENET, None, 32, 92.3, None),
    (RESNET, CHANNEL, 8, 91.5, None), (RESNET, CHANNEL, 6, 91.4, None), (RESNET, CHANNEL, 5, 91.0, None),
    (RESNET, CHANNEL, 4, 90.0, None), (RESNET, CHANNEL, 3, 71.0, None),
    (RESNET, PAPER, 4, 68.0, 72.0),  # "about 69.9": shows what search and channel are worth
    (MOBILENET, CHANNEL, 8, 92.2, None), (MOBILENET, CHANNEL, 4, 91.2, None),
]
TABLE = [(RESNET, CHANNEL, 2, None, None)] + [
    (RESNET, o, b, None, None) for b in (8, 6, 5, 4, 3, 2)
    for o in (PAPER, ("-g", "tensor", "--lambda", "search"), ("-g", "channel", "--lambda", "table"))
    if (o, b) != (PAPER, 4)]


def test_set(n):
    """Images [n, 3, 32, 32], normalised, and labels: decoded once by the unpack.py that comes with the data."""
    path = os.path.join(common.BUILD, "cifar10-test.bin")
    if not os.path.exists(path):
        folder = os.path.join(common.DATA, "data")
        with open(os.path.join(folder, "unpack.py"), encoding="utf-8") as f:
            source = f.read().rsplit("\nmain()", 1)[0]  # its functions, without running it
        unpack = {"__file__": os.path.join(folder, "unpack.py"), "__name__": "unpack"}
        exec(compile(source, "unpack.py", "exec"), unpack)
        with lzma.open(os.path.join(folder, "cifar10", "test_batch.res.xz")) as f:
            data = unpack["cifar_batch"](f.read())
        if hashlib.sha256(data).hexdigest() != unpack["CIFAR_SHA256"]["test_batch"]:
            raise SystemExit("CIFAR-10 test set: checksum differs")
        with open(path + ".part", "wb") as f:
            f.write(data)
        os.replace(path + ".part", path)
    records = np.fromfile(path, np.uint8).reshape(10000, 3073)[:n]
    pixels = records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255
    mean, deviation = (np.array(v, np.float32).reshape(3, 1, 1) for v in (MEAN, DEVIATION))
    return (pixels - mean) / deviation, records[:, 0]


def accuracy(path, images, labels):
    run = common.session(path, threads=2)
    name = run.get_inputs()[0].name
    right = sum(int((run.run(None, {name: images[i:i + 250]})[0].argmax(1) == labels[i:i + 250]).sum())
                for i in range(0, len(images), 250))
    return 100 * right / len(images)


def run_case(case, images, labels, folder):
    """A row of the table."""
    model, options, bits, least, most = case
    source = os.path.join(common.DATA, "models", model)
    row = {"model": model, "bits": bits, "options": "float", "bytes": os.path.getsize(source), "mean_jo": "",
           "accuracy": 0.0, "least": least or "", "most": most or "", "ok": True}
    path = source
    if options is not None:
        path = os.path.join(folder, "q.onnx")
        report = json.loads(common.vecq("quantize", source, "-b", bits, "-o", path, "--json", *options))
        row |= {"options": " ".join(options), "bytes": os.path.getsize(path), "mean_jo": round(report["summary"]["mean_orientation"], 6)}
    row["accuracy"] = round(accuracy(path, images, labels), 2)
    if len(images) == 10000:
        row["ok"] = (least is None or row["accuracy"] >= least) and (most is None or row["accuracy"] <= most)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--csv", default=os.path.join(common.BUILD, "accuracy.csv"))
    options = parser.parse_args()
    common.need("command", "data")
    if not os.path.exists(os.path.join(common.DATA, "data", "cifar10", "test_batch.res.xz")):
        print("skipped: no CIFAR-10 below VECQ_TEST_DATA")
        sys.exit(common.SKIP)
    images, labels = test_set(options.images)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES + (TABLE if options.table else []):
            row = run_case(case, images, labels, folder)
            rows.append(row)
            print(f"{row['model']:26} {row['bits']:2} bits  {row['options']:28} {row['bytes']:9} bytes  "
                  f"J_o {row['mean_jo'] or '-':<9} {row['accuracy']:6.2f} %"
                  f"{'' if row['ok'] else '  FAILED, must be ' + str(row['least']) + '..' + str(row['most'])}",
                  flush=True)
    with open(options.csv, "w", newline="") as f:
        writer = csv.DictWriter(f, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    failed = sum(not r["ok"] for r in rows)
    common.finish(len(rows) - failed, failed)


if __name__ == "__main__":
    main()
