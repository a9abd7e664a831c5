# SPDX-License-Identifier: Apache-2.0
"""Data and models for tests of train and eval: three classes of 8 x 8 pixels, and classifiers of a few nodes."""
import os
import random
import struct

from vecq_cli import field, message, node, tensor


def write_part(folder, part, n, side=8, classes=3, seed=1):
    """Class c has bright rows in the c-th part of the image. Returns images (lists of bytes) and labels."""
    rng = random.Random("%s %d" % (part, seed))
    labels = [i % classes for i in range(n)]
    images = [[(130 if y * classes // side == label else 60) + rng.randrange(100)
               for y in range(side) for _ in range(side)] for label in labels]
    with open(os.path.join(folder, part + "-images-idx3-ubyte"), "wb") as file:
        file.write(struct.pack(">IIII", 0x803, n, side, side) + b"".join(map(bytes, images)))
    with open(os.path.join(folder, part + "-labels-idx1-ubyte"), "wb") as file:
        file.write(struct.pack(">II", 0x801, n) + bytes(labels))
    return images, labels


def write_data(folder, n_train=300, n_test=60, side=8, classes=3):
    """The test part."""
    os.mkdir(folder)
    write_part(folder, "train", n_train, side, classes)
    return write_part(folder, "t10k", n_test, side, classes)


def typed(name, dims, dtype=1):
    """ValueInfoProto; a dimension that is a string is a symbol."""
    shape = message(*[(1, message((2, d) if isinstance(d, str) else (1, d))) for d in dims])
    return message((1, name), (2, message((1, message((1, dtype), (2, shape))))))


def model(nodes, tensors, dims=("N", 1, 8, 8), out=("N", 3), output="out", opset=17):
    graph = message(*[(1, n) for n in nodes], (2, "g"), *[(5, t) for t in tensors], (11, typed("images", dims)),
                    (12, typed(output, out)))
    return message((1, 8), (2, "test"), (7, graph), (8, message((2, opset))))


def classifier(matrix, bias, ends=(), extra=()):
    """images -> Flatten -> extra operators -> MatMul(matrix [64][classes]) -> Add(bias) -> end operators"""
    classes = len(bias)
    nodes, value = [node("Flatten", ["images"], ["flat"], "flatten")], "flat"
    for op in extra:
        nodes.append(node(op, [value], [value + "_" + op], "the_" + op))
        value += "_" + op
    nodes += [node("MatMul", [value, "w"], ["m"], "product"),
              node("Add", ["m", "b"], ["logits" if ends else "out"], "sum")]
    value = "logits"
    for i, op in enumerate(ends):
        after = "out" if i == len(ends) - 1 else "end%d" % i
        nodes.append(node(op, [value], [after], op))
        value = after
    flat = [x for row in matrix for x in row]
    return model(nodes, [tensor("w", (len(matrix), classes), flat), tensor("b", (classes,), bias)], out=("N", classes))


def npy(shape, values, kind="<f4"):
    """A .npy file of version 1."""
    header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (kind, "".join("%d," % d for d in shape))
    header += " " * (-(len(header) + 11) % 64) + "\n"
    code = {"<f4": "f", "<f8": "d", "<i4": "i", "<i8": "q"}[kind]
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack(
        "<%d%s" % (len(values), code), *values)


def float32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


__all__ = ["classifier", "field", "float32", "message", "model", "node", "npy", "tensor", "typed", "write_data", "write_part"]
