# SPDX-License-Identifier: Apache-2.0
"""vecq eval: numbers against a computation in Python, and what is refused."""
import math
import os
import random

import vecq_cli
from training_files import classifier, float32, message, model, node, npy, tensor, write_data


def judge(images, labels, matrix, bias, mean=0.0, std=1.0):
    """Accuracy and mean cross-entropy in double precision."""
    right = loss = 0
    for pixels, label in zip(images, labels):
        x = [(p / 255 - mean) / std for p in pixels]
        z = [b + sum(v * row[k] for v, row in zip(x, matrix)) for k, b in enumerate(bias)]
        top = max(z)
        loss += top + math.log(sum(math.exp(v - top) for v in z)) - z[label]
        right += z.index(top) == label
    return right / len(labels), loss / len(labels)


class Eval(vecq_cli.Case):
    def setUp(self):
        super().setUp()
        self.data = os.path.join(self.folder, "data")
        self.images, self.labels = write_data(self.data)
        rng = random.Random(5)
        # Rows of a class vote for it, noise keeps some from being right.
        self.matrix = [[float32((0.15 if p // 8 * 3 // 8 == c else 0) + rng.gauss(0, 0.25)) for c in range(3)]
                       for p in range(64)]
        self.bias = [float32(rng.gauss(0, 0.1)) for _ in range(3)]
        self.model = self.path("m.onnx", classifier(self.matrix, self.bias))

    def eval(self, *args):
        return self.json("eval", self.model, "--data", "idx:" + self.data, "--json", *args)

    def test_numbers(self):
        accuracy, loss = judge(self.images, self.labels, self.matrix, self.bias)
        self.assertTrue(0.3 < accuracy < 1)
        result = self.eval()
        self.assertEqual(result["command"], "eval")
        self.assertEqual(result["model"], self.model)
        self.assertEqual(result["data"], "idx:" + self.data)
        self.assertEqual((result["samples"], result["classes"], result["not_finite"]), (60, 3, 0))
        self.assertAlmostEqual(result["accuracy"], accuracy, places=12)
        self.assertAlmostEqual(result["loss"], loss, places=4)
        self.assertIsNone(result["top5"])
        self.assertIs(result["undivided"], False)

    def test_normalisation(self):
        _, loss = judge(self.images, self.labels, self.matrix, self.bias, 0.4, 0.3)
        result = self.eval("--set", "data.mean=0.4", "--set", "data.std=0.3")
        self.assertAlmostEqual(result["loss"], loss, places=4)
        plain = self.eval("--set", "data.scale=1/510")
        half = self.eval("--set", "data.std=2")
        self.assertAlmostEqual(plain["loss"], half["loss"], places=6)

    def test_parts_and_batches(self):
        self.assertEqual(self.eval("--split", "train")["samples"], 300)
        one = self.eval()
        for batch in ("1", "7", "60", "61"):
            other = self.eval("--set", "train.eval_batch=" + batch, "-j", "2")
            self.assertEqual(other["accuracy"], one["accuracy"])
            self.assertAlmostEqual(other["loss"], one["loss"], places=6)
        held = self.eval("--split", "validation", "--set", "data.holdout=45")
        self.assertEqual(held["samples"], 45)
        self.assertIn("validation", self.refused(1, "eval", self.model, "--data", "idx:" + self.data, "--split",
                                                 "validation"))

    def test_rounded_activations(self):
        """The same whatever the batch and backend; close to float, and not the same."""
        packed = self.path("p.onnx")
        self.ok("quantize", self.model, "-b", "4", "-o", packed, "-q")
        ask = ["eval", packed, "--data", "idx:" + self.data, "--json"]
        plain = self.json(*ask)
        self.assertNotIn("rounded_layers", plain)
        one = self.json(*ask, "--act-bits", "8", "--against", packed)
        self.assertEqual(one["rounded_layers"], 1)
        self.assertNotEqual(one["loss"], plain["loss"])
        self.assertAlmostEqual(one["loss"], plain["loss"], places=2)
        self.assertEqual(one["against"]["loss"], plain["loss"])
        for more in ("--batch", "1"), ("--batch", "7"), ("--backend", "ref"), ("--backend", "lowbit"):
            other = self.json(*ask, "--act-bits", "8", *more)
            self.assertEqual(other["accuracy"], one["accuracy"])
            self.assertAlmostEqual(other["loss"], one["loss"], places=5)
        outputs = self.json(*ask, "--act-bits", "8", "--against", packed, "--outputs")["outputs"]
        self.assertTrue(25 < outputs[0]["sqnr_db"] < 80)
        done = self.ok("eval", self.model, "--data", "idx:" + self.data, "--act-bits", "8", "-q")
        self.assertIn(b"rounded nothing", done.stderr)

    def test_ends_are_left_out(self):
        plain = self.eval()
        for ends in (["Softmax"], ["LogSoftmax"], ["Sigmoid"], ["Softmax", "Identity"]):
            self.path("m.onnx", classifier(self.matrix, self.bias, ends))
            same = self.eval()
            self.assertEqual((same["accuracy"], same["loss"]), (plain["accuracy"], plain["loss"]), ends)
        named = self.eval("--set", "model.output=out")
        self.assertNotEqual(named["loss"], plain["loss"])

    def test_top5_and_binary(self):
        rng = random.Random(2)
        matrix = [[float32(rng.gauss(0, 1)) for _ in range(7)] for _ in range(64)]
        self.path("m.onnx", classifier(matrix, [0.0] * 7))
        result = self.eval()
        self.assertTrue(result["accuracy"] <= result["top5"] <= 1)
        two = os.path.join(self.folder, "two")
        images, labels = write_data(two, classes=2)
        column = [[0.1 if p >= 32 else -0.1] for p in range(64)]
        self.path("m.onnx", classifier(column, [0.0]))
        result = self.json("eval", self.model, "--data", "idx:" + two, "--json")
        z = [sum(x / 255 * c[0] for x, c in zip(image, column)) for image in images]
        self.assertEqual(result["accuracy"], sum((v > 0) == label for v, label in zip(z, labels)) / len(labels))
        self.assertAlmostEqual(result["loss"], sum(math.log1p(math.exp(-v if label else v)) for v, label
                                                   in zip(z, labels)) / len(labels), places=5)

    def test_packed_models_have_the_values_they_decode_to(self):
        packed, unpacked = self.path("packed.onnx"), self.path("float.onnx")
        self.ok("quantize", self.model, "-b", "3", "-o", packed, "-q")
        self.ok("unpack", packed, "-o", unpacked, "-q")
        args = ("--data", "idx:" + self.data, "--json")
        a, b = self.json("eval", packed, *args), self.json("eval", unpacked, *args)
        self.assertEqual((a["accuracy"], a["loss"]), (b["accuracy"], b["loss"]))
        self.assertNotEqual(a["loss"], self.eval()["loss"])

    def logits(self, image):
        return [b + sum(p / 255 * row[k] for p, row in zip(image, self.matrix)) for k, b in enumerate(self.bias)]

    def test_ranks_and_classes(self):
        csv = self.path("confusion.csv")
        result = self.eval("--top", "1,2,3", "--per-class", "--confusion", "--confusion-csv", csv)
        counts = [[0] * 3 for _ in range(3)]
        ranks = []
        for image, label in zip(self.images, self.labels):
            z = self.logits(image)
            counts[label][z.index(max(z))] += 1
            ranks.append(sum(v > z[label] for v in z))
        self.assertEqual([row["counts"] for row in result["confusion"]], counts)
        self.assertEqual([(row["k"], row["accuracy"]) for row in result["top"]],
                         [(k, sum(r < k for r in ranks) / 60) for k in (1, 2, 3)])
        self.assertEqual([(row["name"], row["samples"], row["accuracy"]) for row in result["per_class"]],
                         [("", 20, counts[c][c] / 20) for c in range(3)])
        with open(csv, encoding="utf-8") as file:
            rows = [line.split(",") for line in file.read().splitlines()]
        self.assertEqual(rows[0], ["label", "0", "1", "2"])
        self.assertEqual([[int(cell) for cell in row[1:]] for row in rows[1:]], counts)
        text = self.text("eval", self.model, "--data", "idx:" + self.data, "--per-class", "--confusion", "--top", "2")
        self.assertIn("top 2         %.2f %%" % (100 * result["top"][1]["accuracy"]), text)
        self.assertRegex(text, r"\n1 +20 +%.2f" % (5 * counts[1][1]))
        self.assertRegex(text, r"\n2 +%d +%d +%d\n" % tuple(counts[2]))
        self.assertNotIn("confusion", self.eval())

    def test_against(self):
        packed = self.path("packed.onnx")
        self.ok("quantize", self.model, "-b", "2", "-o", packed, "-q")
        mine, other = self.eval("--against", packed), self.json("eval", packed, "--data", "idx:" + self.data, "--json")
        against = mine["against"]
        self.assertEqual((against["model"], against["accuracy"], against["loss"], against["samples"]),
                         (packed, other["accuracy"], other["loss"], 60))
        self.assertEqual(against["both_right"] + against["only_this_right"], round(60 * mine["accuracy"]))
        self.assertEqual(against["both_right"] + against["only_other_right"], round(60 * other["accuracy"]))
        self.assertEqual(sum(against[k] for k in ("both_right", "only_this_right", "only_other_right", "none_right")), 60)
        b, c = against["only_this_right"], against["only_other_right"]
        p = sum(math.comb(b + c, i) for i in range(min(b, c) + 1)) * 2 / 2**(b + c)
        self.assertAlmostEqual(against["p_value"], min(1, p))
        self.assertGreater(against["largest_difference"], against["mean_difference"])
        back = self.json("eval", packed, "--data", "idx:" + self.data, "--json", "--against", self.model)["against"]
        for key in ("same", "mean_difference", "largest_difference", "p_value", "both_right"):
            self.assertEqual(back[key], against[key])
        same = self.eval("--against", self.model)["against"]
        self.assertEqual((same["same"], same["largest_difference"], same["sqnr_db"]), (1, 0, None))
        text = self.text("eval", self.model, "--data", "idx:" + self.data, "--against", packed)
        self.assertIn("same answer   %.2f %% of 60" % (100 * against["same"]), text)

    def test_against_has_its_own_preprocessing(self):
        # What is trained on x - 1/2 remembers it: the other model is the same function of other pixels.
        shifted = [b + sum(row[k] for row in self.matrix) / 2 for k, b in enumerate(self.bias)]
        entry = message((1, "ai.vecq.data"), (2, "data.mean=0.5\n"))
        other = self.path("other.onnx", classifier(self.matrix, [float32(b) for b in shifted]) + message((14, entry)))
        against = self.eval("--against", other)["against"]
        self.assertLess(against["largest_difference"], 1e-4)
        self.assertEqual(against["same"], 1)

    def test_outputs(self):
        packed = self.path("packed.onnx")
        self.ok("quantize", self.model, "-b", "2", "-o", packed, "-q")
        values = [p / 255 for image in self.images for p in image]
        data = "npy:" + self.path("x.npy", npy((60, 1, 8, 8), values))
        args = ("eval", packed, "--against", self.model)
        result = self.json(*args, "--data", data, "--batch", "10", "--json")
        row, = result["outputs"]
        images = self.json(*args, "--data", "idx:" + self.data, "--outputs", "--batch", "20", "--json")["outputs"][0]
        against = self.json(*args, "--data", "idx:" + self.data, "--json")["against"]
        self.assertEqual((result["samples"], row["name"], row["values"], row["not_finite"]), (60, "out", 180, 0))
        for other in (images, against):
            for key in ("mean_difference", "largest_difference", "sqnr_db"):
                self.assertAlmostEqual(row[key], other[key], places=4)
        z = [v for image in self.images for v in self.logits(image)]
        self.assertAlmostEqual(row["psnr_db"], 10 * math.log10((max(z) - min(z))**2 / row["mse"]), places=4)
        self.assertAlmostEqual(row["sqnr_db"], 10 * math.log10(sum(v * v for v in z) / 180 / row["mse"]), places=4)
        text = self.text(*args, "--data", data)
        self.assertIn("samples       48\n", text)  # three batches of 16
        self.assertRegex(text, r"\nout +144 ")
        self.assertIn("add --against", self.refused(2, "eval", packed, "--data", data))
        self.assertIn("leave out --top", self.refused(2, *args, "--data", data, "--top", "1"))
        wide = self.path("wide.onnx", classifier([[0.1] * 4] * 64, [0.0] * 4))
        self.assertIn("16x4", self.refused(1, "eval", packed, "--against", wide, "--data", data))

    def test_backends_and_batch(self):
        one = self.eval()
        ref = self.eval("--backend", "ref", "--batch", "7")
        self.assertEqual(ref["accuracy"], one["accuracy"])
        self.assertAlmostEqual(ref["loss"], one["loss"], places=6)

    def test_not_finite(self):
        self.bias[0] = float("inf")
        self.path("m.onnx", classifier(self.matrix, self.bias))
        result = self.eval()
        self.assertEqual((result["not_finite"], result["accuracy"], result["loss"]), (60, 0, None))
        self.assertIn("not finite    60 samples", self.text("eval", self.model, "--data", "idx:" + self.data))

    def test_text(self):
        text = self.text("eval", self.model, "--data", "idx:" + self.data)
        accuracy, loss = judge(self.images, self.labels, self.matrix, self.bias)
        self.assertIn("accuracy      %.2f %% (%d of 60)" % (100 * accuracy, round(accuracy * 60)), text)
        self.assertIn("loss          %.4f" % loss, text)
        self.assertNotIn("top 5", text)

    def test_usage(self):
        self.assertIn("no model", self.refused(2, "eval"))
        self.assertIn("no data: add --data", self.refused(2, "eval", self.model))
        self.assertIn("did you mean 'test'?", self.refused(2, "eval", self.model, "--split", "tset"))
        self.assertIn("did you mean 'mean'?", self.refused(2, "eval", self.model, "--set", "data.maen=1"))
        self.assertIn("top 'x'", self.refused(2, "eval", self.model, "--top", "1,x"))
        self.assertIn("1 to 100000", self.refused(2, "eval", self.model, "--top", "0"))
        self.assertIn("did you mean 'ref'?", self.refused(2, "eval", self.model, "--backend", "rev"))
        self.assertIn("'abc'", self.refused(2, "eval", self.model, "--set", "data.std=abc"))

    def test_refused(self):
        data = ["--data", "idx:" + self.data]
        small = os.path.join(self.folder, "small")
        write_data(small, classes=4)
        flat = [tensor("w", (64, 3), [x for row in self.matrix for x in row])]
        rows = [
            (["eval", "missing.onnx", *data], ["missing.onnx: cannot open"]),
            (["eval", self.model, "--data", "idx:" + self.path("nowhere")], ["vecq: " + self.path("nowhere")]),
            (["eval", self.model, "--data", "idy:x"], ["did you mean idx:"]),
            (["eval", self.model, *data, "--set", "model.input=x"], [self.model + ": ", "no input 'x'"]),
            (["eval", self.model, *data, "--set", "model.output=x"], [self.model + ": ", "no value 'x'"]),
            (["eval", self.model, "--data", "idx:" + small], [self.model + ": ", "3 classes", "the data have 4"]),
            (["eval", self.model, *data, "--set", "data.height=9", "--set", "data.width=9"],
             [self.model + ": input 'images' is ?x1x8x8", "1x9x9", "data.height"]),
            (["eval", self.path("op.onnx", model([node("Flatten", ["images"], ["f"], "f"),
                                                  node("Unique", ["f"], ["h"], "odd"),
                                                  node("MatMul", ["h", "w"], ["out"], "m")], flat)), *data],
             ["op.onnx: Unique 'odd'", "cannot be run"]),
            (["eval", self.path("two.onnx", model([node("Add", ["images", "other"], ["s"], "s"),
                                                   node("Flatten", ["s"], ["f"], "f"),
                                                   node("MatMul", ["f", "w"], ["out"], "m")], flat)), *data],
             ["two.onnx: "]),
            (["eval", self.path("garbage.onnx", b"no model"), *data], ["garbage.onnx: "]),
            (["eval", self.model, *data, "--against", self.path("garbage.onnx", b"no model")], ["garbage.onnx: "]),
            (["eval", self.model, *data, "--against", self.path("wide.onnx", classifier([[0.1] * 4] * 64, [0.0] * 4))],
             ["wide.onnx: ", "4 logits", "has 3"]),
            (["eval", self.model, *data, "--confusion-csv", self.path("no") + "/where.csv"], ["where.csv: cannot write"]),
        ]
        for args, words in rows:
            with self.subTest(args=args[1:]):
                text = self.refused(1, *args)
                for word in words:
                    self.assertIn(word, text)
                self.assertEqual(text.count("vecq: "), 1)

    def test_metadata_of_others_is_checked(self):
        entry = message((1, "ai.vecq.data"), (2, "data.mean=0.4\ndata.std=0.3\n"))
        good = self.path("good.onnx", classifier(self.matrix, self.bias) + message((14, entry)))
        _, plain = judge(self.images, self.labels, self.matrix, self.bias)
        result = self.json("eval", good, "--data", "idx:" + self.data, "--json", "--set", "data.mean=0", "--set",
                           "data.std=1")
        self.assertAlmostEqual(result["loss"], plain, places=4)  # settings given win over what a file says


if __name__ == "__main__":
    vecq_cli.main()
