#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a large ONNX model of MatMul layers with Gaussian weights, standard library only.

    python bench/make_big_model.py [--tensors 16] [--rows 4096] [--cols 4096] [--external] OUT.onnx

Each weight is `rows x cols` floats; the rows of its matrix are its columns, so quantizing it needs a transposition. With
--external the weights stand in OUT.onnx.data. The same arguments give the same bytes. The messages are written by hand,
field by field, so that nothing of the size of the model is ever in memory and files above 2 GiB are possible.
"""
import argparse
import array
import os
import random
import sys

BLOCK = 1 << 20  # distinct weights; each tensor begins elsewhere in them


def varint(n):
    out = bytearray()
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def number(field, n):
    return varint(field << 3) + varint(n)


def head(field, n):
    return varint(field << 3 | 2) + varint(n)


def text(field, value):
    data = value if isinstance(value, bytes) else value.encode()
    return head(field, len(data)) + data


def float_value(name, dims):
    """ValueInfoProto of a float tensor."""
    shape = b"".join(text(1, number(1, d)) for d in dims)
    return text(1, name) + text(2, text(1, number(1, 1) + text(2, shape)))


def pieces(block, start, n):
    """n floats of the endless repetition of block, from start on, as buffers."""
    view, at = memoryview(block), start % len(block)
    while n > 0:
        take = min(n, len(block) - at)
        yield view[at:at + take].cast("B")
        n -= take
        at = 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("--tensors", type=int, default=16)
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--cols", type=int, default=4096)
    parser.add_argument("--external", action="store_true")
    options = parser.parse_args()
    if options.tensors > 1 and options.rows != options.cols:
        parser.error("a chain of several layers needs square weights")

    rng = random.Random(1)
    block = array.array("f", (rng.gauss(0, 0.02) for _ in range(BLOCK)))
    if sys.byteorder != "little":
        sys.exit("make_big_model: only on little-endian machines")
    count, location = options.rows * options.cols, os.path.basename(options.output) + ".data"
    n_bytes = 4 * count
    nodes, tensors = b"", []
    for t in range(options.tensors):
        last = t + 1 == options.tensors
        nodes += text(1, text(1, "x" if t == 0 else f"h{t}") + text(1, f"w{t}") +
                      text(2, "y" if last else f"h{t + 1}") + text(3, f"layer{t}") + text(4, "MatMul"))
        tensor = number(1, options.rows) + number(1, options.cols) + number(2, 1) + text(8, f"w{t}")
        if options.external:
            for key, value in (("location", location), ("offset", str(t * n_bytes)), ("length", str(n_bytes))):
                tensor += text(13, text(1, key) + text(2, value))
            tensor += number(14, 1)
        else:
            tensor += head(9, n_bytes)
        tensors.append(tensor)
    inline = 0 if options.external else n_bytes
    before = nodes + text(2, "big")
    after = text(11, float_value("x", [1, options.rows])) + text(12, float_value("y", [1, options.cols]))
    size = len(before) + len(after) + sum(len(head(5, len(t) + inline)) + len(t) + inline for t in tensors)

    with open(options.output, "wb") as model, open(options.output + ".data" if options.external else os.devnull,
                                                  "wb") as data:
        model.write(number(1, 8) + text(8, number(2, 17)) + head(7, size) + before)
        for t, tensor in enumerate(tensors):
            model.write(head(5, len(tensor) + inline) + tensor)
            for piece in pieces(block, 7919 * t, count):
                (data if options.external else model).write(piece)
        model.write(after)


if __name__ == "__main__":
    main()
