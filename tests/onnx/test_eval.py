# SPDX-License-Identifier: Apache-2.0
"""Accuracy that `vecq eval` tells of a file is that of onnxruntime on the same file, to one sample in a thousand; and
so is the loss, to a thousandth.

    test_eval.py [--images 2000]        of each data set; 10000 (with VECQ_TEST_FULL): all

Float, packed, activations quantized too, in every format. MNIST and CIFAR-10 are looked for below VECQ_TEST_DATA.

Where activations are rounded in every layer, a difference in the last bit of a sum makes another integer now and
then, and layer by layer more of them: onnxruntime with and without its optimizations agrees with itself to 48 dB
(ResNet-20) and differs in the answer to one image of a thousand, as it does with ours. Such answers are right or
wrong by chance: on a part of the images they are given three deviations; on all of them no allowance is made.
"""
import argparse
import gzip
import json
import os
import sys
import tempfile

import numpy as np

import common
from test_accuracy import test_set

MODELS = {
    "lenet5-mnist.onnx": ("mnist", ".1307", ".3081"),
    "resnet20-cifar10.onnx": ("cifar10", ".4914,.4822,.4465", ".2470,.2435,.2616"),
    "mobilenetv2-cifar10.onnx": ("cifar10", ".4914,.4822,.4465", ".2470,.2435,.2616"),
}
ACTIVATIONS = ("--act-bits", "8", "--calib-samples", "64")
WAYS = [
    None, ("-b", "8"), ("-b", "4"), ("-b", "3"), ("-b", "4", "--inline"), ("-b", "4", "--format", "float"),
    ("-b", "8", *ACTIVATIONS), ("-b", "4", *ACTIVATIONS), ("-b", "2", "-g", "tensor", *ACTIVATIONS),
    ("-b", "4", "--format", "qdq", *ACTIVATIONS), ("-b", "4", "--act-bits", "5", "--calib-samples", "64"),
    ("--layer", "*=keep", *ACTIVATIONS),
]
FEW = [None, ("-b", "4"), ("-b", "8", *ACTIVATIONS)]  # of a network that takes its time
UNSTABLE = 0.003  # share of answers that rounding may turn


def find(*names):
    paths = [os.path.join(common.DATA, *folder, *names) for folder in (("data",), ())]
    return next((path for path in paths if os.path.exists(path)), None)


def mnist(n):
    """(--data, images [n, 1, 28, 28] in 0..1, labels), or None."""
    place = find("mnist", "t10k-images-idx3-ubyte.gz")
    if place is None:
        return None
    with gzip.open(place) as f:
        pixels = np.frombuffer(f.read(), np.uint8)[16:].reshape(-1, 1, 28, 28)[:n]
    with gzip.open(place.replace("images-idx3", "labels-idx1")) as f:
        labels = np.frombuffer(f.read(), np.uint8)[8:][:n]
    return "idx:" + os.path.dirname(place), pixels, labels


def cifar10(n, folder):
    """The test part stands in for the training part: what scales are measured on makes no difference here."""
    place = find("cifar-10-batches-bin", "test_batch.bin")
    if place is None and find("cifar10", "test_batch.res.xz") is not None:
        test_set(1)  # unpacks it
        place = os.path.join(common.BUILD, "cifar10-test.bin")
    if place is None:
        return None
    for name in ["test_batch"] + ["data_batch_%d" % (i + 1) for i in range(5)]:
        os.symlink(os.path.abspath(place), os.path.join(folder, name + ".bin"))
    records = np.fromfile(place, np.uint8).reshape(-1, 3073)[:n]
    return "cifar10:" + folder, records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def judge(path, pixels, labels, mean, deviation):
    """Accuracy and loss in onnxruntime."""
    run = common.session(path, threads=2)
    name = run.get_inputs()[0].name
    mean, deviation = (np.array([float(v) for v in text.split(",")]).reshape(-1, 1, 1) for text in (mean, deviation))
    right = loss = 0
    for i in range(0, len(pixels), 250):
        images = ((pixels[i:i + 250] / 255 - mean) / deviation).astype(np.float32)
        z = run.run(None, {name: images})[0].astype(np.float64)
        part = labels[i:i + 250]
        right += int((z.argmax(1) == part).sum())
        top = z.max(1)
        loss += (top + np.log(np.exp(z - top[:, None]).sum(1)) - z[np.arange(len(part)), part]).sum()
    return right / len(pixels), loss / len(pixels)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10000 if os.environ.get("VECQ_TEST_FULL") else 2000)
    n = parser.parse_args().images
    common.need("command", "data")
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory() as folder:
        data = {"mnist": mnist(n), "cifar10": cifar10(n, folder)}
        for model, (kind, mean, deviation) in MODELS.items():
            source = os.path.join(common.DATA, "models", model)
            if data[kind] is None or not os.path.exists(source):
                print(f"{model}: skipped, no {kind if os.path.exists(source) else 'such model'} below {common.DATA}")
                skipped += len(WAYS)
                continue
            place, pixels, labels = data[kind]
            settings = ("--set", "data.mean=" + mean, "--set", "data.std=" + deviation)
            for way in FEW if model.startswith("mobilenet") else WAYS:
                path = source if way is None else os.path.join(folder, "q.onnx")
                if way is not None:
                    calib = ("--calib", place, *settings) if "--act-bits" in way else ()
                    common.vecq("quantize", source, "-o", path, "-q", *way, *calib)
                ours = json.loads(common.vecq("eval", path, "--data", place, *settings, "--set",
                                              f"data.test_limit={n}", "--json"))
                accuracy, loss = judge(path, pixels, labels, mean, deviation)
                is_rounded = way is not None and "--act-bits" in way
                chance = 3 * (UNSTABLE / len(pixels))**0.5 if is_rounded and n < 10000 else 0
                ok = (ours["samples"] == len(pixels) and abs(ours["accuracy"] - accuracy) <= 1e-3 + chance
                      and abs(ours["loss"] - loss) <= (1e-2 if is_rounded else 1e-3) * (1 + loss))
                passed, failed = passed + ok, failed + (not ok)
                print(f"{model:26} {' '.join(way or ['float']):56} {100 * ours['accuracy']:6.2f} % {ours['loss']:.5f}  "
                      f"onnxruntime {100 * accuracy:6.2f} % {loss:.5f}{'' if ok else '  FAILED'}", flush=True)
    if passed + failed == 0:
        print("skipped: no data")
        sys.exit(common.SKIP)
    common.finish(passed, failed, skipped)


if __name__ == "__main__":
    main()
