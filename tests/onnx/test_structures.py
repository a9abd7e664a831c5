#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Small models of every structure a weight can stand in, judged by onnx and onnxruntime.

For each model: quantize to float, packed, packed --inline and qdq (where it applies); the checker accepts each
file; outputs of all of them are equal in onnxruntime; unpack gives the values of the float file.

    test_structures.py [--all] [CASE...]

Every case runs under three option sets, taken in turn so that neighbours differ (--all or VECQ_TEST_FULL=1:
under all of them).
"""
import itertools
import multiprocessing
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as TP
from onnx import helper as H
from onnx import numpy_helper as NH

VECQ = os.environ["VECQ_BIN"]
RNG = np.random.default_rng(7)
NEWEST = min(onnx.defs.onnx_opset_version(), 25)


def w(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


def init(name, array):
    return NH.from_array(np.asarray(array, order="C"), name)


def info(name, shape, kind=TP.FLOAT):
    return H.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return H.make_node("Constant", [], [name], value=init(name + "_value", array))


def make(nodes, inputs, outputs, inits=(), opset=17, ir=8, functions=(), imports=(), inits_as_inputs=False):
    inputs = list(inputs)
    if inits_as_inputs:
        inputs += [info(t.name, list(t.dims), t.data_type) for t in inits]
    graph = H.make_graph(list(nodes), "g", inputs, list(outputs), list(inits))
    return H.make_model(graph, ir_version=ir, functions=list(functions),
                        opset_imports=[H.make_opsetid("", opset)] + [H.make_opsetid(d, v) for d, v in imports])


def x_of(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


CASES = {}


def case(f):
    CASES[f.__name__] = f
    return f


def conv(opset=17, ir=8, shape=(6, 3, 3, 3), group=1, rank=2, inits_as_inputs=False, constants=False, bias=True):
    xs = [1, shape[1] * group] + [9] * rank
    nodes, inits = [], []
    for name, a in [("w", w(*shape))] + ([("b", w(shape[0]))] if bias else []):
        if constants:
            nodes.append(constant(name, a))
        else:
            inits.append(init(name, a))
    nodes.append(H.make_node("Conv", ["x", "w"] + (["b"] if bias else []), ["y"], group=group))
    return make(nodes, [info("x", xs)], [info("y", None)], inits, opset, ir,
                inits_as_inputs=inits_as_inputs), {"x": x_of(*xs)}


for opset_ in range(7, NEWEST + 1):
    CASES[f"conv_opset{opset_}"] = lambda o=opset_: conv(o, ir=3 if o < 9 else 8, inits_as_inputs=o < 9)
    CASES[f"conv_constant_opset{opset_}"] = lambda o=opset_: conv(o, constants=True)
CASES["conv_ir3"] = lambda: conv(8, ir=3, inits_as_inputs=True)
CASES["conv_ir7_inits_as_inputs"] = lambda: conv(12, ir=7, inits_as_inputs=True)
CASES["conv_depthwise"] = lambda: conv(shape=(10, 1, 3, 3), group=10)
CASES["conv_grouped"] = lambda: conv(shape=(12, 2, 3, 3), group=3)
CASES["conv_1d"] = lambda: conv(shape=(5, 4, 3), rank=1)
CASES["conv_3d"] = lambda: conv(shape=(5, 2, 3, 3, 3), rank=3)
CASES["conv_one_row"] = lambda: conv(shape=(1, 3, 3, 3))
CASES["conv_1x1"] = lambda: conv(shape=(7, 13, 1, 1))


def conv_transpose(group, out):
    shape = (4, out, 3, 3)
    return make([H.make_node("ConvTranspose", ["x", "w"], ["y"], group=group, strides=[2, 2])], [info("x", [1, 4, 5, 5])],
                [info("y", None)], [init("w", w(*shape))]), {"x": x_of(1, 4, 5, 5)}


for group_ in (1, 2, 4):
    CASES[f"conv_transpose_group{group_}"] = lambda g=group_: conv_transpose(g, 3)
CASES["conv_transpose_one_output"] = lambda: conv_transpose(1, 1)


def gemm(trans_a, trans_b, const):
    a, b = (7, 5) if not trans_a else (5, 7), (5, 11) if not trans_b else (11, 5)
    weight = b if const == "B" else a
    other = a if const == "B" else b
    ins = ["x", "w", "c"] if const == "B" else ["w", "x", "c"]
    return make([H.make_node("Gemm", ins, ["y"], transA=int(trans_a), transB=int(trans_b), alpha=0.5)],
                [info("x", list(other))], [info("y", None)], [init("w", w(*weight)), init("c", w(11))]), {"x": x_of(*other)}


for ta, tb, side in itertools.product((0, 1), (0, 1), "AB"):
    CASES[f"gemm_{ta}{tb}_{side}"] = lambda ta=ta, tb=tb, side=side: gemm(ta, tb, side)


def matmul(x, weight, left=False, opset=17):
    return make([H.make_node("MatMul", ["w", "x"] if left else ["x", "w"], ["y"])], [info("x", list(x))],
                [info("y", None)], [init("w", w(*weight))], opset), {"x": x_of(*x)}


CASES["matmul_2d"] = lambda: matmul((3, 20), (20, 9))
CASES["matmul_batch"] = lambda: matmul((2, 3, 4, 5), (2, 3, 5, 6))
CASES["matmul_broadcast"] = lambda: matmul((2, 3, 4, 5), (5, 6))
CASES["matmul_vector"] = lambda: matmul((4, 9), (9,))
CASES["matmul_left"] = lambda: matmul((5, 3), (8, 5), left=True)
CASES["matmul_left_batch"] = lambda: matmul((2, 5, 3), (2, 8, 5), left=True)
CASES["matmul_large"] = lambda: matmul((2, 70), (70, 130))
CASES["matmul_opset7"] = lambda: matmul((3, 20), (20, 9), opset=7)
CASES["matmul_opset21"] = lambda: matmul((3, 20), (20, 9), opset=21)
CASES["matmul_batch_opset21"] = lambda: matmul((2, 3, 4, 5), (2, 3, 5, 6), opset=21)
CASES["matmul_left_opset21"] = lambda: matmul((5, 3), (8, 5), left=True, opset=21)
CASES["matmul_newest"] = lambda: matmul((3, 20), (20, 9), opset=NEWEST)
CASES["matmul_opset10"] = lambda: matmul((3, 20), (20, 9), opset=10)


@case
def matmul_add_bias():
    return make([H.make_node("MatMul", ["x", "w"], ["m"]), H.make_node("Add", ["m", "b"], ["y"])], [info("x", [3, 8])],
                [info("y", None)], [init("w", w(8, 6)), init("b", w(6))]), {"x": x_of(3, 8)}


def gather(axis, shape):
    return make([H.make_node("Gather", ["w", "i"], ["y"], axis=axis)], [info("i", [4], TP.INT64)], [info("y", None)],
                [init("w", w(*shape))]), {"i": np.array([0, 2, 1, 2], np.int64)}


CASES["gather_0"] = lambda: gather(0, (5, 16))
CASES["gather_1"] = lambda: gather(1, (6, 5, 4))
CASES["gather_minus1"] = lambda: gather(-1, (6, 5))


def recurrent(op, gates, directions):
    hidden, inputs, steps = 6, 5, 4
    attrs = {"hidden_size": hidden}
    if directions == 2:
        attrs["direction"] = "bidirectional"
    inits = [init("w", w(directions, gates * hidden, inputs)), init("r", w(directions, gates * hidden, hidden)),
             init("b", w(directions, 2 * gates * hidden))]
    ins = ["x", "w", "r", "b"]
    if op == "LSTM":
        inits.append(init("p", w(directions, 3 * hidden)))
        ins += ["", "", "", "p"]
    return make([H.make_node(op, ins, ["y"], **attrs)], [info("x", [steps, 2, inputs])], [info("y", None)],
                inits), {"x": x_of(steps, 2, inputs)}


for op_, gates_ in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
    for d_ in (1, 2):
        CASES[f"{op_.lower()}_{d_}"] = lambda o=op_, g=gates_, d=d_: recurrent(o, g, d)


# ---- weights that reach their operator through constant-only subgraphs ----

def through(nodes, inits, weight_of, x=(2, 8), opset=17):
    return make(list(nodes) + [H.make_node("MatMul", ["x", weight_of], ["y"])], [info("x", list(x))],
                [info("y", None)], inits, opset), {"x": x_of(*x)}


@case
def through_transpose():
    return through([H.make_node("Transpose", ["w"], ["t"], perm=[1, 0])], [init("w", w(6, 8))], "t")


@case
def through_two_transposes():
    return through([H.make_node("Transpose", ["w"], ["s"]), H.make_node("Identity", ["s"], ["i"]),
                    H.make_node("Transpose", ["i"], ["t"])], [init("w", w(8, 6))], "t")


@case
def through_reshape():
    return through([H.make_node("Reshape", ["w", "s"], ["t"])],
                   [init("w", w(4, 2, 6)), init("s", np.array([8, 6], np.int64))], "t")


@case
def through_cast_from_half():
    return through([H.make_node("Cast", ["w"], ["t"], to=TP.FLOAT)], [init("w", w(8, 6, dtype=np.float16))], "t")


@case
def through_cast_from_double():
    return through([H.make_node("Cast", ["w"], ["t"], to=TP.FLOAT)], [init("w", w(8, 6, dtype=np.float64))], "t")


@case
def through_dequantize():
    return through([H.make_node("DequantizeLinear", ["q", "s", "z"], ["t"], axis=1)],
                   [init("q", RNG.integers(-128, 127, (8, 6)).astype(np.int8)), init("s", np.abs(w(6)) + 0.1),
                    init("z", RNG.integers(-3, 3, 6).astype(np.int8))], "t")


def dequantize_small(kind, opset, block=0, scale_type=TP.FLOAT):
    """A weight of 4 or 2 bits, per axis or in blocks along axis 0."""
    low, high = (-8, 7) if kind == TP.INT4 else (0, 15) if kind == TP.UINT4 else (-2, 1)
    q = RNG.integers(low, high, (8, 6))
    scale = np.abs(w(*((8 // block, 6) if block else (6,)))) + 0.1
    attrs = {"axis": 0, "block_size": block} if block else {"axis": 1}
    nodes = [H.make_node("DequantizeLinear", ["q", "s"], ["d"], **attrs)]
    if scale_type != TP.FLOAT:
        nodes.append(H.make_node("Cast", ["d"], ["t"], to=TP.FLOAT))
    tensors = [H.make_tensor("q", kind, [8, 6], q.ravel().tolist()),
               H.make_tensor("s", scale_type, list(scale.shape), scale.ravel().tolist())]
    return through(nodes, tensors, "d" if scale_type == TP.FLOAT else "t", opset=opset)


CASES["through_dequantize_int4"] = lambda: dequantize_small(TP.INT4, 21)
CASES["through_dequantize_uint4"] = lambda: dequantize_small(TP.UINT4, 21)
CASES["through_dequantize_int4_blocked"] = lambda: dequantize_small(TP.INT4, 21, 4)
CASES["through_dequantize_half_scale"] = lambda: dequantize_small(TP.INT4, 21, 4, TP.FLOAT16)
if NEWEST >= 25:
    CASES["through_dequantize_int2"] = lambda: dequantize_small(TP.INT2, 25)


@case
def through_cast_from_bfloat16():
    values = (w(8, 6).view(np.uint32) >> 16).astype(np.uint16)
    t = TP(name="w", data_type=TP.BFLOAT16, dims=[8, 6], raw_data=values.tobytes())
    return through([H.make_node("Cast", ["w"], ["t"], to=TP.FLOAT)], [t], "t")


@case
def through_cast_from_bfloat16_fields():
    values = (w(8, 6).view(np.uint32) >> 16).astype(np.uint16)
    t = TP(name="w", data_type=TP.BFLOAT16, dims=[8, 6], int32_data=values.ravel().tolist())
    return through([H.make_node("Cast", ["w"], ["t"], to=TP.FLOAT)], [t], "t", opset=21)


@case
def through_arithmetic():
    return through([H.make_node("Mul", ["w", "g"], ["m"]), H.make_node("Add", ["m", "h"], ["t"])],
                   [init("w", w(8, 6)), init("g", w(6)), init("h", w(8, 1))], "t")


@case
def through_split_used_in_part():
    nodes = [H.make_node("Split", ["w"], ["a", "b", "c"], axis=1), H.make_node("MatMul", ["x", "a"], ["p"]),
             H.make_node("MatMul", ["x", "c"], ["q"]), H.make_node("Mul", ["p", "q"], ["m"]),
             H.make_node("Concat", ["m", "b"], ["y"], axis=0)]
    return make(nodes, [info("x", [2, 8])], [info("y", None)], [init("w", w(8, 18))], 13), {"x": x_of(2, 8)}


@case
def through_concat_of_constants():
    return through([constant("a", w(8, 2)), constant("b", w(8, 4)), H.make_node("Concat", ["a", "b"], ["t"], axis=1)],
                   [], "t")


@case
def through_constant_of_floats():
    nodes = [H.make_node("Constant", [], ["v"], value_floats=[float(v) for v in w(48)]),
             H.make_node("Reshape", ["v", "s"], ["t"])]
    return through(nodes, [init("s", np.array([8, 6], np.int64))], "t")


# ---- sharing ----

@case
def shared_by_two_operators():
    nodes = [H.make_node("MatMul", ["x", "w"], ["a"]), H.make_node("MatMul", ["a", "w"], ["y"])]
    return make(nodes, [info("x", [2, 8])], [info("y", None)], [init("w", w(8, 8))]), {"x": x_of(2, 8)}


@case
def tied_embedding():
    nodes = [H.make_node("Gather", ["w", "i"], ["e"]), H.make_node("Transpose", ["w"], ["t"]),
             H.make_node("MatMul", ["e", "t"], ["y"])]
    return make(nodes, [info("i", [3], TP.INT64)], [info("y", None)], [init("w", w(7, 8))]), {
        "i": np.array([1, 6, 0], np.int64)}


@case
def weight_is_output_too():
    return make([H.make_node("MatMul", ["x", "w"], ["y"])], [info("x", [2, 8])], [info("y", None), info("w", [8, 6])],
                [init("w", w(8, 6))]), {"x": x_of(2, 8)}


# ---- control flow and functions ----

def branch(name, weight, as_constant, out="z"):
    a = w(8, 6)
    return H.make_graph(([constant(weight, a)] if as_constant else []) +
                        [H.make_node("MatMul", ["x", weight], [out])], name, [], [info(out, None)],
                        [] if as_constant else [init(weight, a)])


def if_model(name_a, name_b, as_constant):
    node = H.make_node("If", ["c"], ["y"], then_branch=branch("t", name_a, as_constant, "za"),
                       else_branch=branch("e", name_b, as_constant, "zb"))
    return make([node], [info("x", [2, 8]), info("c", [], TP.BOOL)], [info("y", None)]), {
        "x": x_of(2, 8), "c": np.array(True)}


CASES["if_own_names"] = lambda: if_model("wa", "wb", False)
CASES["if_own_names_constant"] = lambda: if_model("wa", "wb", True)
CASES["if_same_name"] = lambda: if_model("w", "w", False)
CASES["if_same_name_constant"] = lambda: if_model("w", "w", True)


@case
def if_weight_is_branch_output():
    a = H.make_graph([H.make_node("MatMul", ["x", "wa"], ["m"]), H.make_node("ReduceSum", ["m"], ["s"], keepdims=0)], "t",
                     [], [info("wa", [8, 6]), info("s", [])], [init("wa", w(8, 6))])
    b = H.make_graph([H.make_node("MatMul", ["x", "wb"], ["n"]), H.make_node("ReduceSum", ["n"], ["u"], keepdims=0)], "e",
                     [], [info("wb", [8, 6]), info("u", [])], [init("wb", w(8, 6))])
    node = H.make_node("If", ["c"], ["y", "z"], then_branch=a, else_branch=b)
    return make([node], [info("x", [2, 8]), info("c", [], TP.BOOL)], [info("y", None), info("z", None)]), {
        "x": x_of(2, 8), "c": np.array(False)}


@case
def loop_body():
    body = H.make_graph([H.make_node("MatMul", ["s", "w"], ["t"]), H.make_node("Tanh", ["t"], ["u"]),
                         H.make_node("Identity", ["k"], ["l"])], "body",
                        [info("n", [], TP.INT64), info("k", [], TP.BOOL), info("s", [2, 8])],
                        [info("l", [], TP.BOOL), info("u", [2, 8])], [init("w", w(8, 8))])
    nodes = [H.make_node("Loop", ["trips", "go", "x"], ["y"], body=body)]
    return make(nodes, [info("x", [2, 8])], [info("y", None)],
                [init("trips", np.array(3, np.int64)), init("go", np.array(True))]), {"x": x_of(2, 8)}


@case
def scan_body():
    body = H.make_graph([constant("w", w(8, 8)), H.make_node("MatMul", ["s", "w"], ["m"]), H.make_node("Add", ["m", "v"], ["u"]),
                         H.make_node("Identity", ["u"], ["o"])], "body", [info("s", [8]), info("v", [8])],
                        [info("u", [8]), info("o", [8])])
    return make([H.make_node("Scan", ["h", "x"], ["last", "y"], body=body, num_scan_inputs=1)],
                [info("h", [8]), info("x", [4, 8])], [info("last", None), info("y", None)]), {"h": x_of(8), "x": x_of(4, 8)}


@case
def if_in_loop():
    inner = if_model("wa", "wb", False)[0].graph.node[0]
    body = H.make_graph([inner, H.make_node("Identity", ["k"], ["l"]), H.make_node("MatMul", ["y", "back"], ["u"])], "body",
                        [info("n", [], TP.INT64), info("k", [], TP.BOOL), info("x", [2, 8])],
                        [info("l", [], TP.BOOL), info("u", [2, 8])], [init("back", w(6, 8))])
    nodes = [H.make_node("Loop", ["trips", "go", "a"], ["r"], body=body)]
    return make(nodes, [info("a", [2, 8]), info("c", [], TP.BOOL)], [info("r", None)],
                [init("trips", np.array(2, np.int64)), init("go", np.array(True))]), {"a": x_of(2, 8), "c": np.array(True)}


@case
def local_function():
    f = H.make_function("my.layers", "Layer", ["x"], ["y"],
                        [constant("w", w(8, 8)), H.make_node("MatMul", ["x", "w"], ["m"]), H.make_node("Tanh", ["m"], ["y"])],
                        [H.make_opsetid("", 17)])
    nodes = [H.make_node("Layer", ["x"], ["h"], domain="my.layers"), H.make_node("MatMul", ["h", "v"], ["y"])]
    return make(nodes, [info("x", [2, 8])], [info("y", None)], [init("v", w(8, 5))], functions=[f],
                imports=[("my.layers", 1)]), {"x": x_of(2, 8)}


@case
def local_function_called_twice():
    f = H.make_function("my.layers", "Layer", ["x"], ["y"],
                        [constant("w", w(8, 8)), H.make_node("Transpose", ["w"], ["t"]), H.make_node("MatMul", ["x", "t"], ["y"])],
                        [H.make_opsetid("", 17)])
    nodes = [H.make_node("Layer", ["x"], ["h"], domain="my.layers"), H.make_node("Layer", ["h"], ["y"], domain="my.layers")]
    return make(nodes, [info("x", [2, 8])], [info("y", None)], functions=[f], imports=[("my.layers", 1)]), {
        "x": x_of(2, 8)}


# ---- dtypes ----

@case
def half():
    nodes = [H.make_node("MatMul", ["x", "w"], ["m"]), H.make_node("Cast", ["m"], ["y"], to=TP.FLOAT)]
    return make(nodes, [info("x", [2, 8], TP.FLOAT16)], [info("y", None)], [init("w", w(8, 6, dtype=np.float16))]), {
        "x": x_of(2, 8).astype(np.float16)}


@case
def half_opset21():
    m, feeds = half()
    m.opset_import[0].version = 21
    return m, feeds


@case
def double():
    return make([H.make_node("MatMul", ["x", "w"], ["y"])], [info("x", [2, 8], TP.DOUBLE)],
                [info("y", None, TP.DOUBLE)], [init("w", w(8, 6, dtype=np.float64))]), {"x": x_of(2, 8).astype(np.float64)}


@case
def float_data_field():
    m, feeds = matmul((3, 20), (20, 9))
    t = m.graph.initializer[0]
    values = NH.to_array(t).ravel()
    t.ClearField("raw_data")
    t.float_data.extend(values.tolist())
    return m, feeds


@case
def special_values():
    a = w(8, 6)
    a[:, 0] = 0.0          # all zero
    a[:, 1] = 0.25         # constant
    a[:, 2] = 1e-41        # denormal
    a[:, 3] *= 1e18
    return make([H.make_node("MatMul", ["x", "w"], ["y"])], [info("x", [2, 8])], [info("y", None)], [init("w", a)]), {
        "x": x_of(2, 8)}


@case
def other_domain_untouched():
    m, feeds = matmul((3, 20), (20, 9))
    m.metadata_props.add(key="author", value="someone")
    m.graph.doc_string = "kept"
    m.graph.node[0].doc_string = "kept too"
    return m, feeds


# ---- the judge ----

def run_vecq(*args, ok=True):
    done = subprocess.run([VECQ, *args], capture_output=True, text=True, timeout=120)
    if ok and done.returncode != 0:
        raise AssertionError(f"vecq {' '.join(args)}: exit {done.returncode}: {done.stderr.strip()}")
    return done


def outputs(path, feeds, level=ort.GraphOptimizationLevel.ORT_ENABLE_ALL):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    # The runtime may run DequantizeLinear + MatMul with 8-bit activations: its own choice, not the file's values.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def close(a, b, tolerance=1e-5):
    for p, q in zip(a, b):
        p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
        assert p.shape == q.shape, (p.shape, q.shape)
        assert np.all(np.isfinite(p) == np.isfinite(q))
        if p.size and np.any(p != q):
            worst = np.max(np.abs(p - q)) / max(np.max(np.abs(q)), 1e-30)
            assert worst <= tolerance, f"outputs differ by {worst:.2e} of the largest"


def state_shapes(model, feeds):
    """The checker wants shapes of outputs; the cases leave them to the runtime."""
    for value, array in zip(model.graph.output, outputs(model.SerializeToString(), feeds)):
        value.CopyFrom(info(value.name, list(array.shape), value.type.tensor_type.elem_type))
    return model


def save(model, path, external):
    if external:
        onnx.save(model, path, save_as_external_data=True, all_tensors_to_one_file=external == "one",
                  location="weights.bin" if external == "one" else None, size_threshold=0)
        assert all(t.data_location == TP.EXTERNAL for t in onnx.load(path, load_external_data=False).graph.initializer)
    else:
        onnx.save(model, path)


def widest_qdq(bits, opset):
    """The narrowest type that holds the odd integers of `bits`, of those that DequantizeLinear takes at `opset`."""
    return TP.INT2 if bits == 1 and opset >= 25 else TP.INT4 if bits <= 3 and opset >= 21 else TP.INT8


def bits_of(options):
    return int(options[options.index("-b") + 1])


def check(name, options, external=None):
    model, feeds = CASES[name]()
    state_shapes(model, feeds)
    with tempfile.TemporaryDirectory() as folder:
        src = os.path.join(folder, "m.onnx")
        save(model, src, external)
        onnx.checker.check_model(src)
        outputs(src, feeds)
        ref_path = os.path.join(folder, "float.onnx")
        run_vecq("quantize", src, "-o", ref_path, "--format", "float", "-q", *options)
        onnx.checker.check_model(ref_path)
        assert onnx.load(ref_path).ir_version == model.ir_version
        want = outputs(ref_path, feeds)
        want_plain = outputs(ref_path, feeds, ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
        opset = model.opset_import[0].version
        for extra in (["--format", "packed"], ["--format", "packed", "--inline"], ["--format", "qdq"]):
            check_format(folder, src, name, model, feeds, opset, extra, options, want, want_plain)


def check_format(folder, src, name, model, feeds, opset, extra, options, want, want_plain):
    path, back = os.path.join(folder, "q.onnx"), os.path.join(folder, "u.onnx")
    # --strict: weights that DequantizeLinear cannot express would stay float and compare with nothing
    done = run_vecq("quantize", src, "-o", path, "-q", "--strict", *extra, *options, ok=extra[-1] != "qdq")
    if done.returncode != 0:
        assert "opset" in done.stderr or "DequantizeLinear" in done.stderr or "bits" in done.stderr, done.stderr
        assert not os.path.exists(path)
        # from opset 13 on all that is told per tensor or channel, from 21 on groups too
        assert opset < 13 or bits_of(options) > 7 or ("group" in " ".join(options) and opset < 21), done.stderr
        return
    onnx.checker.check_model(path)
    if "--external-data" in options and options[options.index("--external-data") + 1] == "no":
        assert not os.path.exists(path + ".data")
    if name.endswith("_large") and "yes" in options:
        assert os.path.exists(path + ".data")
    written = onnx.load(path)
    assert written.opset_import[0].version == opset
    assert [o.name for o in written.graph.output] == [o.name for o in model.graph.output]
    if model.ir_version < 4:
        assert [i.name for i in written.graph.input] == list(feeds), "initializers left the inputs"
    if extra[-1] == "qdq" and name.startswith(("matmul_opset21", "matmul_newest")) and "paper" not in options:
        types = {t.data_type for t in written.graph.initializer}
        assert widest_qdq(bits_of(options), opset) in types, (types, opset)
    close(outputs(path, feeds), want)
    # Without optimizations the runtime still removes the pair of Casts float32 -> float16 -> float32 around
    # float16 weights, and so computes with unrounded ones.
    close(outputs(path, feeds, ort.GraphOptimizationLevel.ORT_DISABLE_ALL), want_plain,
          1e-3 if name.startswith("half") else 1e-5)
    run_vecq("unpack", path, "-o", back, "-q")
    onnx.checker.check_model(back)
    unpacked = onnx.load(back)
    assert not any(f.domain == "ai.vecq" for f in unpacked.functions)
    assert not any(o.domain == "ai.vecq" for o in unpacked.opset_import)
    close(outputs(back, feeds), want)
    again = os.path.join(folder, "again")
    os.mkdir(again)
    again = os.path.join(again, "q.onnx")  # the same name: the data file's is part of the model
    run_vecq("quantize", src, "-o", again, "-q", *extra, *options)
    for tail in ("", ".data"):
        if os.path.exists(path + tail):
            assert open(path + tail, "rb").read() == open(again + tail, "rb").read(), "same input, other bytes"
            os.unlink(path + tail)
            os.unlink(again + tail)
        if os.path.exists(back + tail):
            os.unlink(back + tail)
    os.rmdir(os.path.dirname(again))


SWEEPS = [["-b", str(k)] for k in range(1, 9)] + [
    ["-b", "4", "-g", "tensor", "--biases"], ["-b", "5", "-g", "group:3", "--biases"], ["-b", "2", "-g", "group:4"],
    ["-b", "3", "--preset", "paper"]]
# Where every option set goes another way through the writer.
THOROUGH = {"matmul_opset21", "matmul_newest", "half_opset21", "half"}
# Models whose own data lies in one file, or in one for each tensor; outputs of both kinds.
EXTERNAL = [(name, ["-b", "4", "--external-data", when] + more, kind)
            for name in ("matmul_large", "conv_opset17", "gemm_01_B", "lstm_2", "through_dequantize", "if_own_names")
            for when, kind, more in (("auto", "one", []), ("yes", "each", ["-g", "group:16"]), ("no", "one", []))]
EXTERNAL += [("matmul_large", ["-b", "3", "--external-data", "yes"], None)]


def jobs(everything, only):
    for i, name in enumerate(CASES):
        if only and name not in only:
            continue
        whole = everything or name in THOROUGH
        for options in SWEEPS if whole else [SWEEPS[(i + shift) % len(SWEEPS)] for shift in (0, 4, 9)]:
            yield name, options, None
    for job in EXTERNAL:
        if not only or job[0] in only:
            yield job


def run_job(job):
    name, options, external = job
    RNG.bit_generator.state = np.random.default_rng(sum(name.encode())).bit_generator.state
    try:
        check(name, options, external)
    except Exception as e:  # noqa: BLE001 - every failure is reported
        return f"FAIL {name} {' '.join(options)} {external or ''}: {type(e).__name__}: {str(e)[:400]}"
    return None


def main():
    only = [a for a in sys.argv[1:] if not a.startswith("-")]
    todo = list(jobs("--all" in sys.argv or bool(os.environ.get("VECQ_TEST_FULL")), only))
    failed = 0
    with multiprocessing.Pool(min(4, os.cpu_count() or 1)) as pool:
        for message in pool.imap_unordered(run_job, todo, 4):
            if message:
                failed += 1
                print(message, flush=True)
    print(f"{len(todo) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not todo else 0


if __name__ == "__main__":
    sys.exit(main())
