# SPDX-License-Identifier: Apache-2.0
"""Operators on images, one node at a time with random attributes, by every backend of the build against onnxruntime.

    test_image_operators.py [--seed N] [--count N] [NAME...]     NAME: an operator

Nodes that onnxruntime does not run are not counted; those that we refuse must be of the kinds in REFUSED.
"""
import argparse
import os
import sys
import tempfile

import numpy as np
import onnx
from onnx import helper, numpy_helper

import common
import test_programs

TOLERANCE = 1e-5
# operator: words of refusals that are meant
REFUSED = {
    "Resize": ["grows along one axis and shrinks along another", "half_pixel_symmetric"],
}


def pick(rng, *values):
    return values[rng.integers(len(values))]


def image(rng, spatial, channels=None, low=1, high=13):
    return [int(rng.integers(1, 4)), channels or int(rng.integers(1, 7)),
            *(int(n) for n in rng.integers(low, high, spatial))]


def floats(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def window(rng, spatial, kernel, dilations=True, limit=None):
    """strides, dilations and pads (or auto_pad), as far as not left to their defaults."""
    attributes = {}
    if rng.random() < 0.7:
        attributes["strides"] = [int(s) for s in rng.integers(1, 4, spatial)]
    if dilations and rng.random() < 0.4:
        attributes["dilations"] = [int(d) for d in rng.integers(1, 3, spatial)]
    how = rng.random()
    if how < 0.5:
        high = [1 + ((k - 1) if limit else 3) for k in kernel] * 2
        attributes["pads"] = [int(rng.integers(0, h)) for h in high]
    elif how < 0.8:
        attributes["auto_pad"] = pick(rng, "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")
    return attributes


def extents(attributes, kernel):
    return [(k - 1) * d + 1 for k, d in zip(kernel, attributes.get("dilations", [1] * len(kernel)), strict=True)]


def conv(rng):
    spatial = int(rng.integers(1, 4))
    group = int(pick(rng, 1, 1, 2, 3))
    c, m = group * int(rng.integers(1, 4)), group * int(rng.integers(1, 4))
    if rng.random() < 0.25:
        group = c = m = int(rng.integers(1, 7))
    kernel = [int(k) for k in rng.integers(1, 5 if spatial < 3 else 4, spatial)]
    x = image(rng, spatial, c, 3, 12 if spatial < 3 else 8)
    attributes = window(rng, spatial, kernel)
    if group > 1:
        attributes["group"] = group
    if rng.random() < 0.5:
        attributes["kernel_shape"] = kernel
    constants = [floats(rng, m, c // group, *kernel)]
    if rng.random() < 0.6:
        constants.append(floats(rng, m))
    return "Conv", pick(rng, 7, 11, 13, 22), x, constants, attributes


def conv_transpose(rng):
    spatial = int(rng.integers(1, 3))
    group = int(pick(rng, 1, 1, 2, 3))
    c, m = group * int(rng.integers(1, 4)), int(rng.integers(1, 4))
    kernel = [int(k) for k in rng.integers(1, 5, spatial)]
    x = image(rng, spatial, c, 1, 7)
    attributes = window(rng, spatial, kernel, limit=True)
    if group > 1:
        attributes["group"] = group
    strides, dilations = attributes.get("strides", [1] * spatial), attributes.get("dilations", [1] * spatial)
    if any(e < s for e, s in zip(extents(attributes, kernel), strides, strict=True)):
        attributes.pop("auto_pad", None)  # onnxruntime does not make the size that ONNX demands
    if rng.random() < 0.4:
        attributes["output_padding"] = [int(rng.integers(0, max(s, d))) for s, d in zip(strides, dilations, strict=True)]
    if rng.random() < 0.25 and attributes.get("auto_pad", "NOTSET") != "VALID":
        attributes.pop("pads", None)
        attributes["output_shape"] = [max(1, (n - 1) * s + 1 + int(rng.integers(-1, 2)))
                                      for n, s in zip(x[2:], strides, strict=True)]
    constants = [floats(rng, c, m, *kernel)]
    if rng.random() < 0.6:
        constants.append(floats(rng, m * group))
    return "ConvTranspose", pick(rng, 7, 11, 22), x, constants, attributes


def pool(rng, name):
    spatial = int(rng.integers(1, 4))
    kernel = [int(k) for k in rng.integers(1, 5 if spatial < 3 else 3, spatial)]
    opset = pick(rng, 8, 10, 12, 19) if name == "MaxPool" else pick(rng, 7, 10, 11, 19)
    attributes = {"kernel_shape": kernel}
    dilations = opset >= (10 if name == "MaxPool" else 19)
    attributes |= window(rng, spatial, kernel, dilations, limit=True)
    if opset >= 10 and "auto_pad" not in attributes and rng.random() < 0.5:
        attributes["ceil_mode"] = 1
    if name == "AveragePool" and rng.random() < 0.5:
        attributes["count_include_pad"] = 1
    if "dilations" in attributes:
        attributes.pop("auto_pad", None)  # onnxruntime leaves the dilation out of the padding
    low = max(extents(attributes, kernel))  # where a window does not fit, onnxruntime invents one
    return name, opset, image(rng, spatial, None, low, low + (9 if spatial < 3 else 5)), [], attributes


def max_pool(rng):
    return pool(rng, "MaxPool")


def average_pool(rng):
    return pool(rng, "AveragePool")


def global_pool(rng):
    return pick(rng, "GlobalMaxPool", "GlobalAveragePool"), pick(rng, 1, 22), image(rng, int(rng.integers(1, 4))), [], {}


def batch_norm(rng):
    x = image(rng, int(rng.integers(0, 4)))
    constants = [floats(rng, x[1]) for _ in range(3)] + [floats(rng, x[1]) ** 2]
    attributes = {"epsilon": 1e-3} if rng.random() < 0.5 else {}
    return "BatchNormalization", pick(rng, 7, 9, 14, 15), x, constants, attributes


def instance_norm(rng):
    x = image(rng, int(rng.integers(1, 4)), None, 2)
    attributes = {"epsilon": 1e-2} if rng.random() < 0.5 else {}
    return "InstanceNormalization", pick(rng, 6, 22), x, [floats(rng, x[1]), floats(rng, x[1])], attributes


def lrn(rng):
    attributes = {"size": int(pick(rng, 1, 3, 5, 7)), "alpha": 0.3, "beta": 0.6, "bias": 2.0}
    return "LRN", pick(rng, 1, 13), image(rng, 2), [], attributes


def scales_of(rng, x, low):
    """For height and width. Not one that is rounded away: onnxruntime copies images whose size stays."""
    values = np.ones(4, np.float32)
    for a in (2, 3):
        values[a] = pick(rng, 2, 3, 1.5, 1, 1.2, 0.5, 0.7, 0.6) if low < 1 else pick(rng, 1, 2, 3, 1.5, 2.6)
        if int(values[a] * np.float32(x[a])) == x[a]:
            values[a] = 1
    return values


def resize(rng):
    opset = pick(rng, 10, 11, 13, 18, 19)
    x = image(rng, 2, None, 2)
    mode = pick(rng, "nearest", "linear")
    scales, sizes = scales_of(rng, x, 0.5), None
    attributes = {"mode": mode}
    if opset == 10:
        return "Resize", opset, x, [scales], attributes
    if rng.random() < 0.5:
        sizes = np.array([*x[:2], *rng.integers(1, 20, 2)], np.int64)
    modes = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
    attributes["coordinate_transformation_mode"] = pick(rng, *modes, *(["half_pixel_symmetric"] if opset >= 19 else []))
    if mode == "nearest":
        attributes["nearest_mode"] = pick(rng, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    if opset >= 18 and rng.random() < 0.5:
        attributes["axes"] = [3, 2] if rng.random() < 0.3 else [2, 3]
        scales = scales[attributes["axes"]]
        sizes = sizes[attributes["axes"]] if sizes is not None else None
    if sizes is None:
        return "Resize", opset, x, [np.zeros(0, np.float32), scales], attributes
    return "Resize", opset, x, [np.zeros(0, np.float32), np.zeros(0, np.float32), sizes], attributes


def upsample(rng):
    x = image(rng, 2)
    scales, attributes = scales_of(rng, x, 1), {"mode": pick(rng, "nearest", "linear")}
    if rng.random() < 0.5:
        return "Upsample", 7, x, [], attributes | {"scales": [float(s) for s in scales]}
    return "Upsample", 9, x, [scales], attributes


def pad(rng):
    opset = pick(rng, 2, 11, 13, 18)
    x = image(rng, 2, None, 4)
    mode = pick(rng, "constant", "reflect", "edge")
    negative = mode == "constant"
    axes = list(range(4)) if opset < 18 or rng.random() < 0.5 else [int(a) for a in rng.permutation(4)[:2]]
    pads = [int(rng.integers(max(-(x[a] // 2), -1) if negative else 0, min(4, x[a]))) for a in axes * 2]
    attributes = {"mode": mode}
    if opset < 11:
        return "Pad", opset, x, [], attributes | {"pads": pads, "value": 1.5}
    constants = [np.array(pads, np.int64)]
    if rng.random() < 0.5 or len(axes) < 4:
        constants.append(np.float32(-0.5))
    if len(axes) < 4:
        constants.append(np.array(axes, np.int64))
    return "Pad", opset, x, constants, attributes


MAKERS = [conv, conv_transpose, max_pool, average_pool, global_pool, batch_norm, instance_norm, lrn, resize, upsample,
          pad]


def make_model(op, opset, shape, constants, attributes):
    names = ["x", *(f"c{i}" for i in range(len(constants)))]
    inputs = [n if i == 0 or constants[i - 1].size > 0 or op != "Resize" or opset < 13 else ""
              for i, n in enumerate(names)]
    tensors = [numpy_helper.from_array(np.asarray(c), n) for c, n in zip(constants, names[1:], strict=True) if n in inputs]
    node = helper.make_node(op, inputs, ["y"], name="node", **attributes)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)], tensors)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])


def wanted(model, feeds):
    """What onnxruntime makes of it; None when it does not take the node."""
    try:
        return common.session(model).run(None, feeds)
    except Exception:  # noqa: BLE001: it has an exception for each kind of refusal
        return None


def check(op, model, feeds, want, backend):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        onnx.save(model, path)
        try:
            have, _ = test_programs.run_program(path, feeds, backend, folder)
        except test_programs.Refused as refused:
            if any(words in str(refused) for words in REFUSED.get(op, [])):
                return "refused"
            return f"refused: {refused}"
    worst = common.largest_difference(have, want)
    return "" if worst <= TOLERANCE else f"differs by {worst:.2e}, shapes {have[0].shape} {want[0].shape}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    if not os.access(test_programs.RUN, os.X_OK):
        print("skipped: VECQ_RUN_MODEL is not the program run_model")
        sys.exit(common.SKIP)
    passed = failed = 0
    for maker in MAKERS:
        tally = {"same": 0, "refused": 0, "not in onnxruntime": 0}
        rng = np.random.default_rng(arguments.seed)
        for _ in range(arguments.count):
            op, opset, shape, constants, attributes = maker(rng)
            if arguments.names and op not in arguments.names:
                continue
            model = make_model(op, opset, shape, constants, attributes)
            feeds = {"x": floats(rng, *shape)}
            want = wanted(model, feeds)
            if want is None:
                tally["not in onnxruntime"] += 1
                continue
            for backend in test_programs.backends():
                problem = check(op, model, feeds, want, backend)
                if problem in ("", "refused"):
                    tally["refused" if problem else "same"] += 1
                    passed += 1
                    continue
                failed += 1
                print(f"FAILED {op}-{opset} {backend} {shape} {[np.shape(c) for c in constants]} {attributes}: {problem}")
        print(maker.__name__, tally, flush=True)
        if not arguments.names and tally["same"] < arguments.count / 2:
            print(f"FAILED {maker.__name__}: too few of its nodes could be compared")
            failed += 1
    common.finish(passed, failed)


if __name__ == "__main__":
    main()
