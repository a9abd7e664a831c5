# SPDX-License-Identifier: Apache-2.0
"""Running the command, and ONNX files small enough to write by hand."""
import functools
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest

VECQ = os.path.abspath(os.environ["VECQ"])
SOURCE = os.path.abspath(os.environ["VECQ_SOURCE"])


def run(*args, **kwargs):
    """CompletedProcess with bytes; standard input is empty unless given."""
    kwargs.setdefault("stdin", None if "input" in kwargs else subprocess.DEVNULL)
    if kwargs["stdin"] is None:
        del kwargs["stdin"]
    kwargs.setdefault("stdout", subprocess.PIPE)
    kwargs.setdefault("stderr", subprocess.PIPE)
    return subprocess.run([VECQ, *args], timeout=600, **kwargs)


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name, data=None):
        path = os.path.join(self.folder, name)
        if data is not None:
            with open(path, "wb") as file:
                file.write(data)
        return path

    def ok(self, *args, **kwargs):
        done = run(*args, **kwargs)
        self.assertEqual(done.returncode, 0, (args, done.stderr))
        return done

    def text(self, *args, **kwargs):
        return self.ok(*args, **kwargs).stdout.decode("utf-8")

    def json(self, *args, **kwargs):
        return json.loads(self.text(*args, **kwargs), parse_constant=self.fail)

    def refused(self, status, *args, **kwargs):
        """Standard error of a call that must fail with one line and print nothing else."""
        done = run(*args, **kwargs)
        self.assertEqual(done.returncode, status, (args, done.stderr))
        message = done.stderr.decode("utf-8")
        self.assertEqual(message.count("\n"), 1, message)
        self.assertTrue(message.startswith("vecq"), message)
        if done.stdout is not None:
            self.assertEqual(done.stdout, b"")
        return message


def main():
    unittest.main(verbosity=2)


# ---- protobuf ----


def varint(x):
    out = bytearray()
    while True:
        out.append((x & 0x7F) | (0x80 if x > 0x7F else 0))
        x >>= 7
        if x == 0:
            return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value & 0xFFFFFFFFFFFFFFFF)
    if isinstance(value, str):
        value = value.encode("utf-8")
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(*fields):
    return b"".join(field(number, value) for number, value in fields)


def tensor(name, dims, values):
    """TensorProto, float32 raw_data."""
    return message(*[(1, d) for d in dims], (2, 1), (8, name), (9, struct.pack("<%df" % len(values), *values)))


def value_info(name, dims):
    shape = message(*[(1, message((1, d))) for d in dims])
    return message((1, name), (2, message((1, message((1, 1), (2, shape))))))


def node(op, inputs, outputs, name):
    return message(*[(1, i) for i in inputs], *[(2, o) for o in outputs], (3, name), (4, op))


@functools.lru_cache(maxsize=None)
def weights(n, seed=1):
    rng = random.Random(seed)
    return tuple(rng.gauss(0, 1) for _ in range(n))


def gemm_model(names=("w1", "w2"), size=64, values=None, opset=17):
    """input[1,size] -> MatMul(w) -> Add(bias) for each name -> output."""
    nodes, initializers, previous = [], [], "input"
    for i, name in enumerate(names):
        data = values if values is not None and i == 0 else weights(size * size, i % 3)
        initializers.append(tensor(name, (size, size), data))
        initializers.append(tensor("bias%d" % i, (size,), weights(size, 100)))
        nodes.append(node("MatMul", [previous, name], ["m%d" % i], "matmul%d" % i))
        nodes.append(node("Add", ["m%d" % i, "bias%d" % i], ["a%d" % i], "add%d" % i))
        previous = "a%d" % i
    graph = message(*[(1, n) for n in nodes], (2, "g"), *[(5, t) for t in initializers],
                    (11, value_info("input", (1, size))), (12, value_info(previous, (1, size))))
    return message((1, 8), (2, "test"), (7, graph), (8, message((2, opset))))


def read_message(data):
    """[(field number, int or bytes)]; what tests need of the wire format"""
    out, at = [], 0

    def read_varint():
        nonlocal at
        x = shift = 0
        while True:
            byte = data[at]
            at += 1
            x |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return x

    while at < len(data):
        key = read_varint()
        if key & 7 == 0:
            out.append((key >> 3, read_varint()))
        else:
            size = {1: 8, 5: 4}[key & 7] if key & 7 in (1, 5) else read_varint()
            out.append((key >> 3, data[at:at + size]))
            at += size
    return out


def initializers(model):
    """{name: raw bytes} of the main graph; name as bytes"""
    graph = next(value for number, value in read_message(model) if number == 7)
    found = {}
    for number, value in read_message(graph):
        if number == 5:
            parts = dict(read_message(value))
            found[parts[8]] = parts.get(9, b"")
    return found
