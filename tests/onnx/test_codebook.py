# SPDX-License-Identifier: Apache-2.0
"""Files with codebooks (written by dump_codebook) in onnxruntime, in the decoder of docs/format/packed.md, and in the command.

A model with a convolution, an embedding, an LSTM, a GRU and matrix products, and small real models; every width, a table for
each tensor and for each row: outputs of onnxruntime and of `vecq run` (both preferences) agree, and `vecq unpack` gives the
bits that the page says.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import common
import test_format

DUMP = os.environ.get("VECQ_DUMP_CODEBOOK", "")
TOLERANCE = 2e-5
SMALL = 0.05  # outputs that are all smaller (probabilities of nothing) are measured against this


def made_model():
    """ids [6, 2] -> embedding 24 -> LSTM 16, both directions -> GRU 20 -> Conv over steps -> Gemm."""
    rng = np.random.default_rng(5)
    arrays = {"table": (40, 24), "w": (2, 64, 24), "r": (2, 64, 16), "b": (2, 128), "w2": (1, 60, 32), "r2": (1, 60, 20),
              "k": (8, 2, 3, 3), "m": (8 * 6 * 20, 10)}
    tensors = [numpy_helper.from_array((rng.standard_normal(s) * 0.3).astype(np.float32), n) for n, s in arrays.items()]
    tensors.append(numpy_helper.from_array(np.array([6, 2, 32], np.int64), "joined"))
    tensors.append(numpy_helper.from_array(np.array([1, 2, 6, 20], np.int64), "image"))
    tensors.append(numpy_helper.from_array(np.array([1, -1], np.int64), "flat"))
    nodes = [helper.make_node("Gather", ["table", "ids"], ["x"]),
             helper.make_node("LSTM", ["x", "w", "r", "b"], ["h"], hidden_size=16, direction="bidirectional"),
             helper.make_node("Transpose", ["h"], ["ht"], perm=[0, 2, 1, 3]),
             helper.make_node("Reshape", ["ht", "joined"], ["hj"]),
             helper.make_node("GRU", ["hj", "w2", "r2"], ["g"], hidden_size=20),
             helper.make_node("Transpose", ["g"], ["gt"], perm=[1, 2, 0, 3]),
             helper.make_node("Reshape", ["gt", "image"], ["i"]),
             helper.make_node("Conv", ["i", "k"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["cr"]),
             helper.make_node("Reshape", ["cr", "flat"], ["f"]), helper.make_node("MatMul", ["f", "m"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("ids", TensorProto.INT64, [6, 2])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def outputs(path, feeds, folder, *options):
    """Of the command, in the order of the graph."""
    np.savez(os.path.join(folder, "in.npz"), **feeds)
    target = os.path.join(folder, "out.npz")
    common.vecq("run", path, "-i", os.path.join(folder, "in.npz"), "-o", target, *options)
    with np.load(target) as got:
        return {name: got[name] for name in got.files}


def check_values(path, folder, decode):
    """The page's decoder against `vecq unpack`; the number of weights."""
    plain = os.path.join(folder, "plain.onnx")
    common.vecq("unpack", path, "-o", plain)
    model, found = onnx.load(path), common.constants(onnx.load(plain))
    values = decode(model)
    for node in model.graph.node:  # what stands behind a call
        if node.name.startswith("vecq") and node.domain == "":
            values[node.output[0]] = test_format.restore(model, node, values.pop(node.input[0]))
    for name, value in values.items():
        want = common.array(found[name][0])
        assert value.shape == want.shape and value.tobytes() == want.tobytes(), name
    return len(values)


def check(name, path, bits, tables, folder, decode):
    written = os.path.join(folder, "book.onnx")
    done = subprocess.run([DUMP, path, written, str(bits), tables], capture_output=True, text=True)
    if done.returncode != 0 and "needs opset 11" in done.stderr:
        return 0
    assert done.returncode == 0, done.stderr
    onnx.checker.check_model(written)
    model = onnx.load(written)
    assert any(n.op_type.startswith("Lookup") for n in model.graph.node)
    n = check_values(written, folder, decode)
    feeds = common.inputs(onnx.load(path), name)
    session = common.session(written)
    want = dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))
    for options in (("-j", "1"), ("--prefer", "memory", "-j", "2")):
        got = outputs(written, feeds, folder, *options)
        for k, y in want.items():
            assert got[k].shape == y.shape and got[k].dtype == y.dtype, (options, k)
            worst = np.abs(got[k] - y).max() / max(np.abs(y).max(), SMALL)
            assert worst <= TOLERANCE, f"{options}: {k}: {worst:.2g}"
    return n


def main():
    common.need("command")
    if not os.access(DUMP, os.X_OK):
        print("skipped: VECQ_DUMP_CODEBOOK names no program")
        return common.SKIP
    _, decode = test_format.read_page()
    passed = failed = weights = 0
    with tempfile.TemporaryDirectory() as folder:
        made = os.path.join(folder, "made.onnx")
        onnx.save(made_model(), made)
        cases = [("made", made, bits, tables) for bits in range(1, 9) for tables in ("tensor", "rows")]
        if os.path.isdir(os.path.join(common.DATA, "models")):
            cases += [(name, path, 4, tables) for name, path in common.models() if os.path.getsize(path) < 400_000
                      for tables in ("tensor", "rows")]
        for name, path, bits, tables in cases:
            try:
                weights += check(name, path, bits, tables, folder, decode)
                passed += 1
            except Exception as e:  # a test fails by any exception
                failed += 1
                print(f"FAILED {name}, {bits} bits, {tables}: {type(e).__name__}: {str(e)[:300]}", flush=True)
    print(f"{weights} weights")
    return common.finish(passed, failed)


if __name__ == "__main__":
    sys.exit(main())
