# SPDX-License-Identifier: Apache-2.0
"""What the tests of this folder share: where models and data are, the command, sessions, inputs, tensors."""
import lzma
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = os.environ.get("VECQ_TEST_DATA") or os.path.join(ROOT, "..", "shared")
BUILD = os.environ.get("VECQ_BUILD") or os.path.join(ROOT, "build")
SKIP = 77

# Dynamic dimensions that are not a batch, by the end of the model's name.
DYNAMIC = {
    "audio/silero_vad_16k_op15.onnx": {"sequence": 512},
    "text/byte_sb_bidi_lstm.onnx": {"length": 24},
    "text/ch_PP-OCRv3_det_infer.onnx": {"p2o.DynamicDimension.1": 64, "p2o.DynamicDimension.2": 96},
}
INTEGERS = {"audio/silero_vad_16k_op15.onnx": (16000, 16001), "text/byte_sb_bidi_lstm.onnx": (0, 256)}
NUMPY_TYPE = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 9: bool, 10: np.float16, 11: np.float64}
# Element types that programs hold, by ONNX number; floats of other widths are computed in float32, integers below
# 8 bits lie in a byte each.
TYPE_NUMPY = {t: np.dtype(v) for t, v in {**NUMPY_TYPE, 4: np.uint16, 5: np.int16, 12: np.uint32, 13: np.uint64}.items()}
TYPE_NAME = {1: np.dtype(np.float32), 2: np.dtype(np.uint8), 3: np.dtype(np.int8), 4: np.dtype(np.uint16),
             5: np.dtype(np.int16), 6: np.dtype(np.int32), 7: np.dtype(np.int64), 9: np.dtype(bool),
             12: np.dtype(np.uint32), 13: np.dtype(np.uint64)}
FLOATS = {1, 10, 11, 16}
NARROW = {21: np.uint8, 22: np.int8, 25: np.uint8, 26: np.int8}


def need(*names):
    """Ends the test as skipped when something is missing."""
    for name in names:
        if name == "data" and not os.path.isdir(os.path.join(DATA, "models")):
            print(f"skipped: no models below {DATA} (VECQ_TEST_DATA)")
            sys.exit(SKIP)
        if name == "command" and not os.access(os.environ.get("VECQ_BIN", ""), os.X_OK):
            print("skipped: VECQ_BIN is not the vecq command")
            sys.exit(SKIP)


def unpacked(path, target):
    """Content of an .xz file as the file `target`, made once."""
    if not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with lzma.open(path) as src, open(f"{target}.{os.getpid()}", "wb") as dst:
            dst.write(src.read())
        os.replace(dst.name, target)
    return target


def models():
    """(name, path) of every model, .xz unpacked, smallest first."""
    base = os.path.join(DATA, "models")
    found = []
    for folder, _, files in os.walk(base):
        for file in files:
            path = os.path.join(folder, file)
            name = os.path.relpath(path, base)
            if file.endswith(".onnx.xz"):
                name = name[:-3]
                path = unpacked(path, os.path.join(BUILD, "test-models", name))
            if file.endswith((".onnx", ".onnx.xz")):
                found.append((name, path))
    return sorted(found, key=lambda m: (os.path.getsize(m[1]), m[0]))


class Refused(Exception):
    """The command ended with exit code 1: its message."""


def vecq(*arguments):
    """Runs the command; its standard output."""
    done = subprocess.run([os.environ["VECQ_BIN"], *map(str, arguments)], capture_output=True, text=True)
    if done.returncode == 1 and done.stderr.count("\n") == 1:
        raise Refused(done.stderr.strip())
    if done.returncode != 0:
        raise RuntimeError(f"vecq {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def session(model, level=ort.GraphOptimizationLevel.ORT_ENABLE_ALL, save="", threads=1):
    """A session of a path or ModelProto. The runtime may not quantize activations around DequantizeLinear: that
    would be its own approximation, not what the file says."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.graph_optimization_level = level
    options.optimized_model_filepath = save
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    source = model if isinstance(model, str) else model.SerializeToString()
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def shape_of(value, name):
    """Shape of a graph input, dynamic dimensions filled in."""
    known = next((d for end, d in DYNAMIC.items() if name.endswith(end)), {})
    return [d.dim_value or known.get(d.dim_param, 1) for d in value.type.tensor_type.shape.dim]


def inputs(model, name, seed=0):
    """Random inputs by name, the same for every file made from a model."""
    rng = np.random.default_rng(seed)
    constant = {t.name for t in model.graph.initializer}
    feeds = {}
    for value in model.graph.input:
        if value.name in constant:
            continue
        dtype = np.dtype(NUMPY_TYPE[value.type.tensor_type.elem_type])
        shape = shape_of(value, name)
        if dtype.kind == "f":
            feeds[value.name] = rng.standard_normal(shape).astype(dtype)
        else:
            low, high = next((r for end, r in INTEGERS.items() if name.endswith(end)), (0, 2))
            feeds[value.name] = rng.integers(low, high, shape).astype(dtype)
    return feeds


def graphs(model):
    """Every graph: the main one, those inside nodes, and functions (which have no initializers)."""
    todo = [model.graph, *model.functions]
    while todo:
        graph = todo.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                todo += [attribute.g] if attribute.HasField("g") else []
                todo += attribute.graphs


def constants(model):
    """Name -> TensorProtos of that name, initializers and Constant nodes, in every graph."""
    found = {}
    for graph in graphs(model):
        for tensor in getattr(graph, "initializer", ()):
            found.setdefault(tensor.name, []).append(tensor)
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                found.setdefault(node.output[0], []).append(node.attribute[0].t)
    return found


def decoded(model):
    """Names of the weights that nodes called vecq<i>... of the main graph end in, in order."""
    ours = [n for n in model.graph.node if n.name.startswith("vecq")]
    inner = {i for n in ours for i in n.input}
    return [o for n in ours for o in n.output if o not in inner]


def array(tensor):
    return numpy_helper.to_array(tensor)


def largest_difference(a, b):
    """Of lists of outputs: 0.0 when equal bit for bit, else max |a - b| / max |b|, the worst output counting."""
    worst = 0.0
    for x, y in zip(a, b, strict=True):
        x, y = np.asarray(x), np.asarray(y)
        if x.shape != y.shape or x.dtype != y.dtype:
            return np.inf
        if x.tobytes() == y.tobytes() or np.array_equal(x, y, equal_nan=x.dtype.kind == "f"):
            continue
        x, y = x.astype(np.float64), y.astype(np.float64)
        if not np.array_equal(np.isfinite(x), np.isfinite(y)):
            return np.inf
        finite = np.isfinite(y)
        worst = max(worst, np.abs(x - y)[finite].max() / max(np.abs(y[finite]).max(), 1e-300))
    return worst


def finish(passed, failed, skipped=0):
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)
