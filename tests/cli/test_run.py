# SPDX-License-Identifier: Apache-2.0
"""vecq run: results against a computation in Python, files in and out, test cases of ONNX, and what is refused."""
import io
import os
import random
import re
import struct
import zipfile
import zlib

import vecq_cli
from training_files import classifier, float32, message, model, node, tensor


def npy(shape, values, descr="<f4", code="f"):
    text = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (descr, repr(tuple(shape)))
    text += " " * (-(11 + len(text)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + struct.pack(
        "<%d%s" % (len(values), code), *values)


def read_npy(data):
    length = struct.unpack("<H", data[8:10])[0]
    header = eval(data[10:10 + length], {})  # pylint: disable=eval-used
    rest = data[10 + length:]
    return header["shape"], list(struct.unpack("<%df" % (len(rest) // 4), rest))


def png(width, height, rows):
    """8-bit grey."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    raw = b"".join(b"\0" + bytes(row) for row in rows)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


class Run(vecq_cli.Case):
    def setUp(self):
        super().setUp()
        rng = random.Random(3)
        self.matrix = [[float32(rng.gauss(0, 1)) for _ in range(3)] for _ in range(64)]
        self.bias = [float32(rng.gauss(0, 1)) for _ in range(3)]
        self.model = self.path("m.onnx", classifier(self.matrix, self.bias))

    def want(self, x):
        return [b + sum(v * row[k] for v, row in zip(x, self.matrix)) for k, b in enumerate(self.bias)]

    def check(self, have, x):
        for a, b in zip(have, self.want(x)):
            self.assertAlmostEqual(a, b, places=4)

    def sample(self, n=1, seed=1):
        rng = random.Random(seed)
        return [float32(rng.gauss(0, 1)) for _ in range(64 * n)]

    def test_arrays(self):
        x = self.sample(2)
        source, target = self.path("x.npy", npy((2, 1, 8, 8), x)), self.path("y.npy")
        for spec_in, spec_out in ((source, target), ("images=" + source, "out=" + target)):
            self.assertEqual(self.text("run", self.model, "-i", spec_in, "-o", spec_out), "")
            with open(target, "rb") as file:
                shape, values = read_npy(file.read())
            os.unlink(target)
            self.assertEqual(shape, (2, 3))
            self.check(values[:3], x[:64])
            self.check(values[3:], x[64:])

    def test_archives_and_folders(self):
        x = self.sample()
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            archive = io.BytesIO()
            with zipfile.ZipFile(archive, "w", method) as file:
                file.writestr("images.npy", npy((1, 1, 8, 8), x))
            source = self.path("in.npz", archive.getvalue())
            target, folder = self.path("out.npz"), self.path("results")
            os.makedirs(folder, exist_ok=True)
            self.ok("run", self.model, "-i", source, "-o", target, "-o", folder)
            with zipfile.ZipFile(target) as file:
                self.assertIsNone(file.testzip())
                self.assertEqual(file.namelist(), ["out.npy"])
                data = file.read("out.npy")
            self.check(read_npy(data)[1], x)
            with open(os.path.join(folder, "out.npy"), "rb") as file:
                self.assertEqual(file.read(), data)

    def test_summary(self):
        x = self.sample()
        source = self.path("x.npy", npy((1, 1, 8, 8), x))
        want = self.want(x)
        text = self.text("run", self.model, "-i", source)
        self.assertRegex(text, r"^out  float32 1x3  min ")
        order = sorted(range(3), key=lambda k: -want[k])
        self.assertEqual([int(k) for k in re.findall(r"class (\d+)", text)], order)
        self.assertEqual(len(re.findall("class", self.text("run", self.model, "-i", source, "--top", "2"))), 2)
        result = self.json("run", self.model, "-i", source, "--json", "--explain", "-j", "1")
        self.assertEqual((result["command"], result["model"]), ("run", self.model))
        out = result["outputs"][0]
        self.assertEqual((out["name"], out["dtype"], out["shape"], out["not_finite"]), ("out", "float32", [1, 3], 0))
        self.assertAlmostEqual(out["min"], min(want), places=4)
        self.assertAlmostEqual(out["max"], max(want), places=4)
        self.assertAlmostEqual(out["mean"], sum(want) / 3, places=4)
        self.check(out["first"], x)
        self.assertEqual([t["class"] for t in out["top"]], order)
        self.assertEqual(result["memory"]["file"], os.path.getsize(self.model))
        self.assertEqual(sum(s["macs"] for s in result["steps"]), 64 * 3)
        self.assertTrue(all(s["seconds"] >= 0 for s in result["steps"] if not s["once"]))
        text = self.text("run", self.model, "-i", source, "--explain", "--backend", "ref")
        self.assertRegex(text, r"product +(Gemm|MatMul) +ref")

    def test_every_level_and_preference(self):
        x = self.sample()
        source = self.path("x.npy", npy((1, 1, 8, 8), x))
        packed = self.path("p.onnx")
        self.ok("quantize", self.model, "-b", "8", "-o", packed, "-q")
        results = [self.json("run", packed, "-i", source, "--json", *more)["outputs"][0]["first"]
                   for more in ((), ("--prefer", "memory"), ("--cpu", "ref"), ("--backend", "ref"))]
        for other in results[1:]:
            for a, b in zip(results[0], other):
                self.assertAlmostEqual(a, b, places=4)

    def test_rounded_activations(self):
        """A row rounded as DynamicQuantizeLinear does gives what it gives when it comes rounded already."""
        x = self.sample(3)
        rows = []
        for i in range(3):
            row = [v * 3 ** i + i for v in x[64 * i:64 * i + 64]]
            low, high = min(0, *row), max(0, *row)
            scale = float32((float32(high) - float32(low)) / 255)
            zero = round(-low / scale)
            rows.append((row, [scale * (min(max(round(float32(v) / scale) + zero, 0), 255) - zero) for v in row]))
        given, rounded = (self.path(name, npy((3, 1, 8, 8), [v for pair in rows for v in pair[k]]))
                          for k, name in enumerate(("x.npy", "r.npy")))
        packed = self.path("p.onnx")
        for bits in "3", "8":
            self.ok("quantize", self.model, "-b", bits, "-o", packed, "-q")
            for more in (), ("--backend", "ref"), ("--prefer", "memory"), ("-j", "2"):
                have = self.json("run", packed, "-i", given, "--json", "--act-bits", "8", "--explain", *more)
                want = self.json("run", packed, "-i", rounded, "--json")["outputs"][0]
                for a, b in zip(have["outputs"][0]["first"], want["first"]):
                    self.assertAlmostEqual(a, b, places=3)
                self.assertIn("QuantizeDynamic", [step["op"] for step in have["steps"]])
        done = self.ok("run", packed, "-i", given, "--act-bits", "8")
        self.assertEqual(done.stderr, b"")
        done = self.ok("run", self.model, "-i", given, "--act-bits", "8")
        self.assertEqual(done.stderr.decode(), "vecq: %s: no layer has packed weights: --act-bits 8 rounded nothing\n"
                         % self.model)
        bad = self.path("bad.npy", npy((1, 1, 8, 8), x[:63] + [float("nan")]))
        self.assertIn("cannot be rounded to 8 bits", self.refused(1, "run", packed, "-i", bad, "--act-bits", "8"))

    def test_images(self):
        rng = random.Random(9)
        rows = [[rng.randrange(256) for _ in range(8)] for _ in range(8)]
        source = self.path("cat.png", png(8, 8, rows))
        pixels = [p / 255 for row in rows for p in row]
        self.check(self.json("run", self.model, "-i", source, "--json")["outputs"][0]["first"], pixels)
        result = self.json("run", self.model, "-i", source, "--json", "--set", "data.mean=.5", "--set", "data.std=.25")
        self.check(result["outputs"][0]["first"], [(p - .5) / .25 for p in pixels])

    def test_remembers_preprocessing(self):
        marked = classifier(self.matrix, self.bias) + message((14, message((1, "ai.vecq.data"),
                                                                           (2, "data.mean=0.5\ndata.std=0.25\n"))))
        path = self.path("r.onnx", marked)
        source = self.path("cat.png", png(8, 8, [[9 * y + x for x in range(8)] for y in range(8)]))
        pixels = [(p / 255 - .5) / .25 for p in (9 * y + x for y in range(8) for x in range(8))]
        self.check(self.json("run", path, "-i", source, "--json")["outputs"][0]["first"], pixels)

    def test_cases_of_onnx(self):
        folder = self.path("case")
        for i in range(2):
            os.makedirs(os.path.join(folder, "test_data_set_%d" % i))
            x = self.sample(seed=i)
            y = self.want(x)
            for name, dims, values in (("input_0", (1, 1, 8, 8), x), ("output_0", (1, 3), y)):
                with open(os.path.join(folder, "test_data_set_%d" % i, name + ".pb"), "wb") as file:
                    file.write(tensor(name, dims, values))
        text = self.text("run", "--test-dir", folder, self.model)
        self.assertEqual(len(re.findall("^pass  test_data_set_", text, re.M)), 2)
        os.rename(self.model, os.path.join(folder, "model.onnx"))
        result = self.json("run", "--test-dir", folder, "--json")
        self.assertEqual(result["failed"], 0)
        self.assertEqual([(c["passed"], c["values"]) for c in result["cases"]], [(True, 3)] * 2)
        y[1] += 1
        with open(os.path.join(folder, "test_data_set_1", "output_0.pb"), "wb") as file:
            file.write(tensor("output_0", (1, 3), y))
        done = vecq_cli.run("run", "--test-dir", folder)
        self.assertEqual((done.returncode, done.stderr), (1, b""))
        self.assertRegex(done.stdout.decode(), r"FAIL  test_data_set_1 .*: output 'out', element 1: ")
        self.assertEqual(vecq_cli.run("run", "--test-dir", folder, "--atol", "1.5").returncode, 0)
        with open(os.path.join(folder, "test_data_set_1", "output_0.pb"), "wb") as file:
            file.write(tensor("output_0", (3, 1), y))
        self.assertIn(b"is float32 1x3, not float32 3x1", vecq_cli.run("run", "--test-dir", folder).stdout)
        os.unlink(os.path.join(folder, "test_data_set_0", "input_0.pb"))
        self.assertIn(b"FAIL  test_data_set_0", vecq_cli.run("run", "--test-dir", folder).stdout)

    def test_refusals(self):
        good = self.path("x.npy", npy((1, 1, 8, 8), self.sample()))
        wide = self.path("w.npy", npy((1, 1, 8, 9), self.sample()[:8] * 9))
        whole = self.path("i.npy", npy((1, 1, 8, 8), [1] * 64, "<i4", "i"))
        junk = self.path("j.npy", b"junk")
        nan = self.path("n.npy", npy((1, 1, 8, 8), [float("nan")] + [0] * 63))
        strange = self.path("s.onnx", model([node("Frobnicate", ["images"], ["out"], "f")], []))
        for status, words, args in (
                (1, "input 'images' is missing", (self.model,)),
                (1, "input 'images' is Nx1x8x8, the data are 1x1x8x9", (self.model, "-i", wide)),
                (1, "input 'images' is float32, the data are int32", (self.model, "-i", whole)),
                (1, "this is no NumPy array", (self.model, "-i", junk)),
                (1, "nothing.npy", (self.model, "-i", self.path("nothing.npy"))),
                (1, "holds NaN", (self.model, "-i", nan, "--check")),
                (1, "Frobnicate 'f'", (strange, "-i", good)),
                (1, "nothing.onnx", (self.path("nothing.onnx"), "-i", good)),
                (1, "no vocabulary", (self.model, "--text", "a b c")),
                (2, "no model", ("-i", good)),
                (2, "preference", (self.model, "--prefer", "size")),
                (2, "backend", (self.model, "--backend", "abacus")),
                (2, "--dim takes NAME=N", (self.model, "--dim", "N")),
                (1, "no input 'foo', only", (self.model, "-i", "foo=" + good)),
                (1, "no output 'foo', only", (self.model, "-i", good, "-o", "foo=y.npy")),
                (1, "no input has a dimension 'M'", (self.model, "--dim", "M=3", "-i", good)),
                (1, "is 2x1x8x8, the data are 1x1x8x8", (self.model, "--dim", "N=2", "-i", good)),
                (2, "--rtol takes", (self.model, "--rtol", "-1")),
                (2, "drop -i", ("--test-dir", self.folder, "-i", good)),
                (1, "model.onnx", ("--test-dir", self.folder))):
            self.assertIn(words, self.refused(status, "run", *args), args)
        target = self.path("never.npy")
        self.refused(1, "run", self.model, "-i", nan, "--check", "-o", target)
        self.assertFalse(os.path.exists(target))


if __name__ == "__main__":
    vecq_cli.main()
