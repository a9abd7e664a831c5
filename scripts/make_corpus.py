#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seed corpus of the ONNX fuzz target (needs the onnx package): make_corpus.py [fuzz/corpus/onnx]

  bad_wire_*    damaged on the wire: vecq_wire_check_model() must refuse them
  bad_tensor_*  sound on the wire, but one tensor cannot be right: vecq_tensor_proto_parse() must refuse it
  others        must pass both; the C tests rely on the names dtypes_{raw,packed,unpacked}.onnx and all_fields.onnx
"""
import pathlib
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "fuzz/corpus/onnx")


def write(name, data):
    if not isinstance(data, bytes):
        data = data.SerializeToString(deterministic=True)
    assert len(data) < 4096, (name, len(data))
    (OUT / name).write_bytes(data)


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, payload):
    """A length-delimited field, or a varint when payload is a number."""
    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def info(name, shape=(2, 3), dtype=T.FLOAT):
    return h.make_tensor_value_info(name, dtype, shape)


def model(nodes, inputs, outputs, initializers=(), opset=17, **more):
    graph = h.make_graph(nodes, "g", inputs, outputs, list(initializers))
    return h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], ir_version=8, producer_name="corpus", **more)


def holder(*tensors, sparse=()):
    """A model around tensors that need not be right."""
    m = model([h.make_node("Identity", ["x"], ["y"])], [info("x")], [info("y")])
    for t in tensors:
        m.graph.initializer.add().CopyFrom(t)
    for t in sparse:
        m.graph.sparse_initializer.add().CopyFrom(t)
    return m


# ---- dtypes and encodings ----

COUNT = 5  # odd, so that 4-bit and 2-bit tensors end inside a byte
BITS = {
    "float32": (T.FLOAT, 32), "uint8": (T.UINT8, 8), "int8": (T.INT8, 8), "uint16": (T.UINT16, 16),
    "int16": (T.INT16, 16), "int32": (T.INT32, 32), "int64": (T.INT64, 64), "bool": (T.BOOL, 8),
    "float16": (T.FLOAT16, 16), "float64": (T.DOUBLE, 64), "uint32": (T.UINT32, 32), "uint64": (T.UINT64, 64),
    "complex64": (T.COMPLEX64, 64), "complex128": (T.COMPLEX128, 128), "bfloat16": (T.BFLOAT16, 16),
    "float8e4m3fn": (T.FLOAT8E4M3FN, 8), "float8e4m3fnuz": (T.FLOAT8E4M3FNUZ, 8), "float8e5m2": (T.FLOAT8E5M2, 8),
    "float8e5m2fnuz": (T.FLOAT8E5M2FNUZ, 8), "uint4": (T.UINT4, 4), "int4": (T.INT4, 4),
    "float4e2m1": (T.FLOAT4E2M1, 4), "float8e8m0": (T.FLOAT8E8M0, 8), "uint2": (T.UINT2, 2), "int2": (T.INT2, 2),
}


def dense(name):
    """Raw bytes of COUNT elements, with the ends of the range among them."""
    dtype, bits = BITS[name]
    n = -(-COUNT * bits // 8)
    if name == "bool":
        return bytes([1, 0, 1, 1, 0])
    if name in ("float32", "complex64"):
        return np.linspace(-2.5, 1e9, n // 4, dtype=np.float32).tobytes()
    if name in ("float64", "complex128"):
        return np.linspace(-2.5, 1e300, n // 8).tobytes()
    raw = bytearray((37 * i + 0x80) & 0xFF for i in range(n))
    raw[0:bits // 8] = b"\xff" * (bits // 8)  # -1, or the largest
    if COUNT * bits % 8:
        raw[-1] &= (1 << COUNT * bits % 8) - 1
    return bytes(raw)


def entries(name, raw):
    """What the typed field of the dtype holds for these bytes, and the field's number."""
    dtype, bits = BITS[name]
    if name in ("float32", "complex64"):
        return 4, list(struct.unpack(f"<{len(raw) // 4}f", raw)), "<f"
    if name in ("float64", "complex128"):
        return 10, list(struct.unpack(f"<{len(raw) // 8}d", raw)), "<d"
    if name == "int64":
        return 7, list(struct.unpack(f"<{COUNT}q", raw)), None
    if name == "uint64":
        return 11, list(struct.unpack(f"<{COUNT}Q", raw)), None
    if name == "uint32":
        return 11, list(struct.unpack(f"<{COUNT}I", raw)), None
    code = {"int8": "b", "int16": "h", "int32": "i"}.get(name) or {8: "B", 16: "H", 4: "B", 2: "B"}[bits]
    return 5, list(struct.unpack(f"<{len(raw) // struct.calcsize(code)}{code}", raw)), None


def typed(name, packed):
    number, values, fixed = entries(name, dense(name))
    head = field(1, COUNT) + field(2, BITS[name][0]) + field(8, name.encode())
    if packed:
        return head + field(number, b"".join(struct.pack(fixed, v) if fixed else varint(v) for v in values))
    if fixed:
        tag = varint(number << 3 | (5 if fixed == "<f" else 1))
        return head + b"".join(tag + struct.pack(fixed, v) for v in values)
    return head + b"".join(field(number, v & (1 << 64) - 1) for v in values)


def tensor(raw_message):
    t = T()
    t.ParseFromString(raw_message)
    return t


def with_tensors(messages):
    """The tensors as they are written here: the package would pack them again."""
    head = holder().SerializeToString(deterministic=True)
    parsed = onnx.ModelProto.FromString(head)
    graph = parsed.graph.SerializeToString(deterministic=True)
    parsed.ClearField("graph")
    body = graph + b"".join(field(5, m) for m in messages)
    return parsed.SerializeToString(deterministic=True) + field(7, body)


def dtypes():
    raw = [T(dims=[COUNT], data_type=BITS[n][0], name=n, raw_data=dense(n)) for n in BITS]
    write("dtypes_raw.onnx", holder(*raw))
    write("dtypes_packed.onnx", with_tensors([typed(n, True) for n in BITS]))
    write("dtypes_unpacked.onnx", with_tensors([typed(n, False) for n in BITS]))
    for n in BITS:  # the package's own reader agrees
        try:
            want = onnx.numpy_helper.to_array(T(dims=[COUNT], data_type=BITS[n][0], raw_data=dense(n)))
        except Exception:
            continue
        for packed in (True, False):
            got = onnx.numpy_helper.to_array(tensor(typed(n, packed)))
            assert got.tobytes() == want.tobytes(), n
    write("tensor_forms.onnx", holder(
        T(dims=[0, 3], data_type=T.FLOAT, name="empty, no data"),
        T(dims=[0, 3], data_type=T.FLOAT, name="empty, raw", raw_data=b""),
        T(dims=[1 << 40, 0, 1 << 6], data_type=T.FLOAT, name="empty, large dims"),
        T(data_type=T.FLOAT, name="scalar", float_data=[1.5]),
        T(dims=[2], data_type=T.STRING, name="strings", string_data=[b"a\0b", b""]),
        T(dims=[1] * 17, data_type=T.FLOAT, name="rank 17", raw_data=b"\0\0\0\0"),
        T(dims=[8], data_type=T.FLOAT, name="segment", segment=T.Segment(begin=0, end=2), raw_data=bytes(8)),
        T(dims=[3], data_type=27, name="float6e2m3", raw_data=b"\1\2\3"),
        T(dims=[3], data_type=999, name="newer than us", raw_data=b"\1\2\3"),
        T(dims=[1], name="no dtype"),
    ))
    write("tensor_dims_packed.onnx", with_tensors(
        [field(1, varint(2) + varint(3)) + field(2, T.FLOAT) + field(9, bytes(24)) + field(8, b"w")]))


# ---- whole models ----

def models():
    w = h.make_tensor("w", T.FLOAT, [4, 1, 3, 3], np.arange(36, dtype=np.float32))
    b = h.make_tensor("b", T.FLOAT, [4], [0, 1, 2, 3])
    m = model([h.make_node("Conv", ["x", "w", "b"], ["c"], "conv", pads=[1] * 4, kernel_shape=[3, 3]),
               h.make_node("Relu", ["c"], ["y"])],
              [info("x", ["n", 1, 8, 8])], [info("y", ["n", 4, 8, 8])], [w, b])
    m.metadata_props.add(key="k", value="v")
    m.graph.doc_string = "a convolution"
    onnx.checker.check_model(m)
    write("conv.onnx", m)

    m = model([h.make_node("MatMul", ["x", "w"], ["y"])], [info("x", [1, 2]), info("w", [2, 2])], [info("y", [1, 2])],
              [h.make_tensor("w", T.FLOAT16, [2, 2], np.ones(4, np.float16))], opset=7)
    m.ir_version = 3
    write("matmul_ir3.onnx", m)

    then = h.make_graph([h.make_node("Constant", [], ["t"], value=h.make_tensor("", T.FLOAT, [1], [1.0]))], "then", [],
                        [info("t", [1])])
    other = h.make_graph([h.make_node("MatMul", ["x", "inner"], ["e"])], "else", [], [info("e", [1])],
                         [h.make_tensor("inner", T.FLOAT, [3, 1], [1, 2, 3])])
    write("if.onnx", model([h.make_node("If", ["cond"], ["y"], then_branch=then, else_branch=other)],
                           [info("cond", [], T.BOOL), info("x", [1, 3])], [info("y", [1])]))

    body = h.make_graph([h.make_node("Identity", ["c_in"], ["c_out"]), h.make_node("MatMul", ["s_in", "w"], ["s_out"])],
                        "body", [info("i", [], T.INT64), info("c_in", [], T.BOOL), info("s_in", [1, 2])],
                        [info("c_out", [], T.BOOL), info("s_out", [1, 2])],
                        [h.make_tensor("w", T.FLOAT, [2, 2], [1, 0, 0, 1])])
    write("loop.onnx", model([h.make_node("Loop", ["n", "", "x"], ["y"], body=body)],
                             [info("n", [], T.INT64), info("x", [1, 2])], [info("y", [1, 2])]))

    body = h.make_graph([h.make_node("Add", ["s", "e"], ["s2"]), h.make_node("Identity", ["s2"], ["o"])], "body",
                        [info("s", [2]), info("e", [2])], [info("s2", [2]), info("o", [2])])
    write("scan.onnx", model([h.make_node("Scan", ["s0", "x"], ["s1", "y"], body=body, num_scan_inputs=1)],
                             [info("s0", [2]), info("x", [3, 2])], [info("s1", [2]), info("y", [3, 2])]))

    alpha = h.make_node("LeakyRelu", ["a"], ["r"])
    alpha.attribute.add(name="alpha", type=onnx.AttributeProto.FLOAT, ref_attr_name="slope")
    f = h.make_function("my", "F", ["a"], ["r"], [alpha], [h.make_opsetid("", 17)], ["slope"])
    f.attribute_proto.add().CopyFrom(h.make_attribute("with_default", 0.5))
    m = model([h.make_node("F", ["x"], ["y"], domain="my", slope=0.1)], [info("x")], [info("y")], functions=[f])
    m.opset_import.add(domain="my", version=1)
    onnx.checker.check_model(m)
    write("function.onnx", m)

    values = {"value_float": 1.0, "value_int": 3, "value_string": "s", "value_floats": [1.0, 2.0],
              "value_ints": [1, -2], "value_strings": ["a", "b"]}
    nodes = [h.make_node("Constant", [], [k], **{k: v}) for k, v in values.items()]
    sparse = h.make_sparse_tensor(h.make_tensor("sv", T.FLOAT, [2], [1, 2]),
                                  h.make_tensor("si", T.INT64, [2], [0, 5]), [2, 3])
    nodes.append(h.make_node("Constant", [], ["y"], sparse_value=sparse))
    m = model(nodes, [], [info("y")])
    m.graph.sparse_initializer.add().CopyFrom(sparse)
    write("constants_sparse.onnx", m)

    sequence = h.make_sequence_type_proto(h.make_optional_type_proto(h.make_tensor_type_proto(T.FLOAT, ["a", None, 3])))
    mapping = onnx.TypeProto()
    mapping.map_type.key_type = T.INT64
    mapping.map_type.value_type.CopyFrom(sequence)
    m = model([h.make_node("Identity", ["x"], ["y"])], [h.make_value_info("x", sequence)],
              [h.make_value_info("y", mapping)])
    nest = onnx.TypeProto()
    at = nest
    for _ in range(40):
        at = at.sequence_type.elem_type
    at.tensor_type.elem_type = T.FLOAT
    m.graph.value_info.add(name="deep").type.CopyFrom(nest)
    write("types.onnx", m)

    def external(**keys):
        t = T(dims=[4], data_type=T.FLOAT, name="w", data_location=T.EXTERNAL)
        for key, value in keys.items():
            t.external_data.add(key=key, value=value)
        return holder(t)

    write("external.onnx", external(location="weights.bin", offset="4096", length="16", checksum="0" * 40))
    write("external_plain.onnx", external(location="sub/./weights.bin"))
    for name, keys in {
        "parent": {"location": "../weights.bin"}, "absolute": {"location": "/etc/passwd"},
        "length": {"location": "w", "length": "15"},
    }.items():
        write(f"bad_tensor_external_{name}.onnx", external(**keys))

    known = model([h.make_node("Identity", ["x"], ["y"])], [info("x")], [info("y")])
    unknown = field(1000, b"text") + field(2001, 7) + varint(3000 << 3 | 5) + b"\1\2\3\4" + varint(
        (1 << 29) - 1 << 3 | 1) + bytes(8)
    graph = known.graph.SerializeToString()
    node = known.graph.node[0].SerializeToString()
    write("unknown_fields.onnx", unknown + field(1, 8) + field(7, unknown + graph + field(1, node + unknown))
          + b"\xc0\xbb\x80\x00\x85\x00" + unknown)  # a tag and a number with needless bytes are legal


# ---- every field of onnx.proto ----

class Filler:
    """Sets every field of every message type at least once; of a oneof, another member at each visit."""

    def __init__(self):
        self.pending = {}

    def visit(self, message, depth=0):
        d = message.DESCRIPTOR
        pending = self.pending.setdefault(d.full_name, {f.name for f in d.fields})
        done = set()
        for f in d.fields:
            group = f.containing_oneof
            if f.name not in pending or (group is not None and group.name in done):
                continue
            pending.discard(f.name)
            if group is not None:
                done.add(group.name)
            if f.message_type is not None:
                child = getattr(message, f.name)
                child = child.add() if f.is_repeated else child
                child.SetInParent() if not f.is_repeated else None
                self.visit(child, depth + 1)
            else:
                value = {f.TYPE_STRING: "s", f.TYPE_BYTES: b"b", f.TYPE_ENUM: 1}.get(f.type, 1)
                if f.is_repeated:
                    getattr(message, f.name).extend([value, value])
                else:
                    setattr(message, f.name, value)


def all_fields():
    m = onnx.ModelProto()
    fill = Filler()
    fill.visit(m)
    node = m.graph.node.add(op_type="More", output=["o"])
    a = node.attribute.add(name="types", type=onnx.AttributeProto.TYPE_PROTOS)
    for _ in range(20):
        fill.visit(a.type_protos.add())
        fill.visit(a.type_protos.add().tensor_type.shape.dim.add())
    sharding = node.device_configurations.add().sharding_spec.add()
    fill.visit(sharding.sharded_dim.add().simple_sharding.add())
    left = {k: v for k, v in fill.pending.items() if v}
    assert not left, left
    write("all_fields.onnx", m)


# ---- damaged files ----

def bad():
    good = model([h.make_node("Identity", ["x"], ["y"])], [info("x")], [info("y")]).SerializeToString(
        deterministic=True)
    wire = {
        "empty": b"",
        "truncated": good[:-3],
        "group": good + varint(900 << 3 | 3) + varint(900 << 3 | 4),
        "field_zero": good + b"\0\0",
        "overlong_varint": good + varint(900 << 3) + b"\x80" * 10 + b"\1",
        "length_past_end": good + field(900, b"1234")[:-1],
        "length_past_parent": field(1, 8) + field(7, field(1, b"\x0a\x7fx")) + bytes(200),
        "two_graphs": good + field(7, b""),
        "wrong_wire_type": good + varint(7 << 3) + b"\1",
        "packed_floats": field(7, field(5, field(4, b"12345"))),
        "nul_in_name": field(7, field(1, field(1, b"a\0b"))),
        "deep": field(7, field(11, field(2, nested(150)))),
    }
    for name, data in wire.items():
        write(f"bad_wire_{name}.onnx", data)
    tensors = {
        "negative_dim": T(dims=[-1, 2], data_type=T.FLOAT, raw_data=bytes(8)),
        "huge_dims": T(dims=[1 << 40, 1 << 40], data_type=T.FLOAT),
        "raw_short": T(dims=[3], data_type=T.FLOAT, raw_data=bytes(8)),
        "data_twice": T(dims=[1], data_type=T.FLOAT, raw_data=bytes(4), float_data=[0]),
        "location": T(dims=[1], data_type=T.FLOAT, raw_data=bytes(4)),
    }
    for name, t in tensors.items():
        t.name = "t"
        if name == "location":
            message = t.SerializeToString() + field(14, 2)
            write(f"bad_tensor_{name}.onnx", with_tensors([message]))
        else:
            write(f"bad_tensor_{name}.onnx", holder(t))


def nested(levels):
    """TypeProto of sequences of sequences; two messages a level."""
    message = b""
    for _ in range(levels):
        message = field(4, field(1, message))
    return message


OUT.mkdir(parents=True, exist_ok=True)
for old in OUT.glob("*.onnx"):
    old.unlink()
dtypes()
models()
all_fields()
bad()
files = sorted(OUT.glob("*.onnx"))
print(f"{len(files)} files, {sum(f.stat().st_size for f in files)} bytes, onnx {onnx.__version__}")
