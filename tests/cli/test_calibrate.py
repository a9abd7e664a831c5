# SPDX-License-Identifier: Apache-2.0
"""vecq quantize --act-bits: scales against a computation in Python, what the file computes, and what is refused."""
import math
import os
import random

import vecq_cli
from training_files import classifier, float32, message, model, node, npy, tensor, typed, write_data, write_part


def rounded(x, scale, low, high):
    """QuantizeLinear and DequantizeLinear in float32, zero point 0; Python's round is to even."""
    return float32(scale * min(max(round(float32(x / scale)), low), high))


class Calibrate(vecq_cli.Case):
    def setUp(self):
        super().setUp()
        self.data = os.path.join(self.folder, "data")
        self.images, self.labels = write_data(self.data)
        self.train, _ = write_part(self.data, "train", 300)
        rng = random.Random(5)
        self.matrix = [[float32((0.15 if p // 8 * 3 // 8 == c else 0) + rng.gauss(0, 0.25)) for c in range(3)]
                       for p in range(64)]
        self.bias = [float32(rng.gauss(0, 0.1)) for _ in range(3)]
        self.model = self.path("m.onnx", classifier(self.matrix, self.bias))
        self.out = self.path("q.onnx")
        # all samples of the training part
        self.calib = ("--calib", "idx:" + self.data, "--calib-samples", "300", "--set", "train.eval_batch=300")

    def quantize(self, source, *args):
        return self.json("quantize", source, *self.calib, "-o", self.out, "--json", *args)

    def eval(self, path, *args):
        return self.json("eval", path, "--data", "idx:" + self.data, "--json", *args)

    def expected_loss(self, scale, low, high, mean=0.0):
        total = 0
        for pixels, label in zip(self.images, self.labels):
            x = [rounded(float32(p / 255 - mean), scale, low, high) for p in pixels]
            z = [b + sum(v * row[k] for v, row in zip(x, self.matrix)) for k, b in enumerate(self.bias)]
            total += max(z) + math.log(sum(math.exp(v - max(z)) for v in z)) - z[label]
        return total / len(self.labels)

    def test_scale_and_values(self):
        largest = max(map(max, self.train)) / 255
        for bits in (8, 4, 2):
            result = self.quantize(self.model, "--layer", "*=keep", "--act-bits", str(bits), "--act-rule", "max")
            self.assertEqual(result["calibration"], {"data": "idx:" + self.data, "samples": 300, "bits": bits, "rule": "max"})
            row, = result["activations"]
            self.assertEqual((row["name"], row["node"], row["op"], row["uses"], row["unsigned"], row["output"],
                              row["bits"]), ("flat", "product", "MatMul", 1, True, False, bits))
            self.assertAlmostEqual(row["max"], largest, places=6)
            self.assertAlmostEqual(row["scale"], largest / (2**bits - 1), places=7)
            self.assertEqual((row["min"], row["zeros"], row["clipped"]), (0, 0, 0))
            x = [p / 255 for image in self.train for p in image]
            error = sum((v - rounded(v, row["scale"], 0, 2**bits - 1))**2 for v in x)
            self.assertAlmostEqual(row["sqnr_db"], 10 * math.log10(sum(v * v for v in x) / error), delta=0.6)
            self.assertAlmostEqual(self.eval(self.out)["loss"], self.expected_loss(row["scale"], 0, 2**bits - 1),
                                   places=4)

    def test_signed(self):
        mean = ("--set", "data.mean=0.5")
        row, = self.quantize(self.model, "--layer", "*=keep", "--act-bits", "8", *mean)["activations"]
        self.assertIs(row["unsigned"], False)
        self.assertAlmostEqual(self.eval(self.out, *mean)["loss"], self.expected_loss(row["scale"], -128, 127, 0.5),
                               places=4)

    def test_rules(self):
        rows = {rule: self.quantize(self.model, "--act-bits", "3", "--act-rule", rule)["activations"][0]
                for rule in ("best", "moments", "max")}
        self.assertEqual(rows["best"], self.quantize(self.model, "--act-bits", "3")["activations"][0])
        for rule in ("moments", "max"):
            self.assertGreaterEqual(rows["best"]["sqnr_db"], rows[rule]["sqnr_db"] - 1e-9)
        x = [p / 255 for image in self.train for p in image]
        bound = 2.25 * sum(v * v for v in x) / sum(x)  # c_3 of docs/methods/activations.md
        self.assertAlmostEqual(rows["moments"]["scale"], min(max(x), bound) / 7, places=5)

    def test_packed(self):
        """Onto packed weights: these stay as they are, and so does what the file says about them."""
        packed = self.path("packed.onnx")
        self.ok("quantize", self.model, "-b", "3", "-o", packed, "-q")
        result = self.quantize(packed, "--act-bits", "8")
        self.assertEqual(result["summary"]["quantized"], 0)
        before, after = (self.json("inspect", p, "--json") for p in (packed, self.out))
        self.assertEqual(before["model"]["quantized_by"], after["model"]["quantized_by"])
        for a, b in zip(before["weights"], after["weights"]):
            if a["state"] == "packed":
                self.assertEqual((a["name"], a["quantization"]), (b["name"], b["quantization"]))
        self.assertAlmostEqual(self.eval(self.out)["loss"], self.eval(packed)["loss"], delta=0.02)
        self.assertNotEqual(self.eval(self.out)["loss"], self.eval(packed)["loss"])
        # at once: the same, but for the activations of a model that was float when they were measured
        both = self.quantize(self.model, "-b", "3", "--act-bits", "8")
        self.assertEqual(both["summary"]["quantized"], 1)
        self.assertEqual(both["activations"], result["activations"])

    def test_arrays(self):
        """The same from an array as from the images that are in it, in any of the types that NumPy likes."""
        values = [p / 255 for image in self.train for p in image]
        mine = self.quantize(self.model, "--act-bits", "8")["activations"]
        for kind in ("<f4", "<f8"):
            file = self.path("x.npy", npy((300, 1, 8, 8), values, kind))
            for spec in ("npy:" + file, "npy:images=" + file):
                result = self.json("quantize", self.model, "--act-bits", "8", "--calib", spec, "-o", self.out, "--json")
                row, = result["activations"]
                self.assertEqual(result["calibration"]["samples"], 288)  # nine batches of 32
                self.assertAlmostEqual(row["max"], mine[0]["max"], delta=0.05)
                self.assertAlmostEqual(row["scale"], mine[0]["scale"], delta=1e-3)
        arrays = self.json("quantize", self.model, "--act-bits", "8", "--calib", spec, "--set", "train.eval_batch=300",
                           "--calib-samples", "300", "-o", self.out, "--json")
        self.assertEqual(arrays["activations"], mine)

    def two_inputs(self, batch):
        """a [batch, 4], b [2, 4], whose sum of rows is added: out = (a + sum b) w"""
        nodes = [node("MatMul", ["ones", "b"], ["s"], "sum"), node("Add", ["a", "s"], ["t"], "add"),
                 node("MatMul", ["t", "w"], ["out"], "product")]
        graph = message(*[(1, n) for n in nodes], (2, "g"), (5, tensor("ones", (1, 2), [1.0, 1.0])),
                        (5, tensor("w", (4, 2), [1.0, -1, 2, 0.5, -0.25, 1, 0, 3])), (11, typed("a", (batch, 4))),
                        (11, typed("b", (2, 4))), (12, typed("out", (batch, 2))))
        return self.path("two.onnx", message((1, 8), (7, graph), (8, message((2, 17)))))

    def test_two_inputs(self):
        source = self.two_inputs(3)
        a = self.path("a.npy", npy((6, 4), [float(i) - 4 for i in range(24)]))
        b = self.path("b.npy", npy((4, 4), [float(i * i) for i in range(16)]))
        result = self.json("quantize", source, "--act-bits", "8", "--layer", "*=keep", "--act-rule", "max", "--calib",
                           "npy:a=%s,b=%s" % (a, b), "-o", self.out, "--json")
        rows = {row["name"]: row for row in result["activations"]}
        self.assertEqual((rows["b"]["min"], rows["b"]["max"], rows["b"]["unsigned"]), (0, 225, True))
        # rows 3..5 of a meet rows 2 and 3 of b
        self.assertEqual((rows["t"]["min"], rows["t"]["max"]), (0, 19 + 121 + 225))
        same = self.json("eval", source, "--against", source, "--data", "npy:a=%s,b=%s" % (a, b), "--json")
        self.assertEqual((same["samples"], same["outputs"][0]["mse"], same["outputs"][0]["values"]), (6, 0, 12))
        short = self.path("short.npy", npy((3, 4), [0.0] * 12))
        for spec, words in (("npy:" + a, ["two.onnx", "npy:INPUT=FILE"]), ("npy:a=" + a, ["another input, 'b'"]),
                            ("npy:c=" + a, ["two.onnx", "no input 'c'"]), ("npy:a=%s,b=%s" % (short, b), ["b.npy", "2", "1"]),
                            ("npy:a=%s,b=%s" % (a, self.path("no.npy")), ["no.npy"]),
                            ("npy:a=" + self.path("i.npy", npy((6, 4), [1] * 24, "<i4")), ["i.npy", "int32", "float32"]),
                            ("npy:a=" + self.path("r.npy", npy((24,), [1] * 24)), ["r.npy", "1 dimensions", "2"])):
            text = self.refused(1, "quantize", source, "--act-bits", "8", "--calib", spec, "-o", self.out + "2")
            for word in words:
                self.assertIn(word, text)

    def test_same_bytes(self):
        files = []
        for threads in ("1", "2", "3"):
            self.quantize(self.model, "-b", "2", "--act-bits", "8", "-j", threads)
            with open(self.out, "rb") as file:
                files.append(file.read())
        self.assertEqual(files[0], files[1])
        self.assertEqual(files[0], files[2])

    def test_formats(self):
        for format in ("packed", "qdq", "float"):
            self.quantize(self.model, "-b", "4", "--act-bits", "8", "--format", format)
            plain = self.path("plain.onnx")
            self.ok("quantize", self.model, "-b", "4", "--format", format, "-o", plain, "-q")
            self.assertAlmostEqual(self.eval(self.out)["loss"], self.eval(plain)["loss"], delta=0.02)

    def test_excluded_and_dry_run(self):
        text = self.text("quantize", self.model, "--dry-run", "--act-bits", "8", *self.calib)
        self.assertRegex(text, r"\nflat +MatMul +uint8 ")
        self.assertIn("activations   1, measured on 300 samples", text)
        self.assertFalse(os.path.exists(self.out))
        self.assertIn("no activation to quantize", self.refused(
            1, "quantize", self.model, "--act-bits", "8", *self.calib, "--set", "quantize.act_exclude=flat", "-o", self.out))

    def test_samples(self):
        args = ("--act-bits", "8", "--calib", "idx:" + self.data, "-o", self.out, "--json")
        for wanted, used in (("1", 1), ("40", 32), ("64", 64), ("100000", 288)):
            result = self.json("quantize", self.model, *args, "--calib-samples", wanted)
            self.assertEqual(result["calibration"]["samples"], used)

    def test_usage(self):
        calib = ("--calib", "idx:" + self.data)
        self.assertIn("add --calib", self.refused(2, "quantize", self.model, "--act-bits", "8", "-o", self.out))
        self.assertIn("--act-bits", self.refused(2, "quantize", self.model, *calib, "-o", self.out))
        self.assertIn("2 to 8", self.refused(2, "quantize", self.model, *calib, "--act-bits", "9", "-o", self.out))
        self.assertIn("did you mean 'best'?", self.refused(2, "quantize", self.model, "--act-rule", "bets"))
        self.assertIn("did you mean 'mean'?", self.refused(2, "quantize", self.model, "--set", "data.maen=1"))

    def test_refused(self):
        flat = [tensor("w", (64, 3), [x for row in self.matrix for x in row])]
        nodes = [node("Flatten", ["images"], ["f"], "f"), node("MatMul", ["f", "w"], ["out"], "m")]
        twice = [node("Flatten", ["images"], ["f"], "f"), node("Log", ["f"], ["l"], "l"),
                 node("MatMul", ["l", "w"], ["out"], "m")]
        rows = [
            (self.path("old.onnx", model(nodes, flat, opset=9)), self.data, ["opset 10", "9"]),
            (self.path("nan.onnx", model(twice, flat)), self.data, ["nan.onnx", "activation 'l'", "NaN or infinity"]),
            (self.model, self.path("nowhere"), [self.path("nowhere")]),
            (self.path("garbage.onnx", b"no"), self.data, ["garbage.onnx"]),
        ]
        for path, data, words in rows:
            if "nan" in path:
                args = ("--set", "data.mean=5")
            else:
                args = ()
            text = self.refused(1, "quantize", path, "--act-bits", "8", "--calib", "idx:" + data, *args, "-o", self.out)
            for word in words:
                self.assertIn(word, text)
            self.assertFalse(os.path.exists(self.out))


if __name__ == "__main__":
    vecq_cli.main()
