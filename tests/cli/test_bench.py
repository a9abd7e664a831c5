# SPDX-License-Identifier: Apache-2.0
"""vecq bench: that its numbers fit together, and what is refused. How fast anything is, is no test."""
import random

import vecq_cli
from training_files import classifier, float32, model, node


class Bench(vecq_cli.Case):
    def setUp(self):
        super().setUp()
        rng = random.Random(3)
        matrix = [[float32(rng.gauss(0, 1)) for _ in range(3)] for _ in range(64)]
        self.model = self.path("m.onnx", classifier(matrix, [0.5, 0, 1]))

    def check_times(self, t, batch, runs):
        self.assertTrue(0 < t["min"] <= t["median"] <= t["p95"])
        self.assertAlmostEqual(t["per_second"] * t["median"], batch)
        self.assertEqual(t["runs"], runs)
        self.assertGreater(t["load_seconds"], 0)

    def test_rows(self):
        packed = self.path("p.onnx")
        self.ok("quantize", self.model, "-b", "4", "-o", packed, "-q")
        result = self.json("bench", packed, "--against", self.model, "--batch", "1,5", "--threads", "1,2", "--runs",
                           "7", "--layers", "--json")
        self.assertEqual((result["command"], result["model"], result["against"]), ("bench", packed, self.model))
        self.assertEqual([(r["threads"], r["batch"]) for r in result["rows"]], [(1, 1), (1, 5), (2, 1), (2, 5)])
        for row in result["rows"]:
            self.check_times(row, row["batch"], 7)
            self.check_times(row["against"], row["batch"], 7)
            self.assertAlmostEqual(row["ratio"], row["against"]["median"] / row["median"])
            for limit in ("fma_flops", "dot_ops", "read_bandwidth"):
                self.assertGreater(row["machine"][limit], 0)
            self.assertGreater(row["memory"]["peak"], row["memory"]["workspace"])
            self.assertEqual(sum(s["macs"] for s in row["steps"]), 64 * 3 * row["batch"])
            self.assertGreater(sum(s["seconds"] for s in row["steps"] if not s["once"]), 0)
            self.assertFalse(any(s["integer"] for s in row["steps"]))

    def test_table(self):
        text = self.text("bench", self.model, "--threads", "1", "--seconds", "0.01", "--layers")
        self.assertRegex(text, r"1 thread: \d+ GFLOP/s, \d+ GOP/s of bytes, [\d.]+ GB/s read \(measured\)\n")
        self.assertRegex(text, r"\n +1 +1( +[\d.e-]+){4} +\d+\n")
        self.assertRegex(text, r"product +(Gemm|MatMul) ")
        self.assertRegex(text, r"peak memory [\d.]+ MiB\n$")

    def test_shapes(self):
        rest = self.path("o.onnx", model([node("Relu", ["images"], ["out"], "r")], [], dims=("N", "C", "L"),
                                         out=("N", "C", "L")))
        self.assertIn("give --shape or --dim", self.refused_after_header(1, rest))
        for args in (("--shape", "images=1x2x3"), ("--dim", "C=2", "--dim", "L=3")):
            rows = self.json("bench", rest, "--runs", "2", "--json", "--batch", "4", "--threads", "1", "--layers", *args)
            self.assertEqual(rows["rows"][0]["steps"][0]["written_bytes"], 4 * 2 * 3 * 4)

    def refused_after_header(self, status, *args):
        return self.refused(status, "bench", "--json", *args)

    def test_refusals(self):
        for status, words, args in ((2, "no model", ()), (2, "--batch", (self.model, "--batch", "0")),
                                    (2, "--threads", (self.model, "-j", "1,x")),
                                    (2, "--seconds", (self.model, "--seconds", "0")),
                                    (2, "--runs", (self.model, "--runs", "0")),
                                    (2, "--shape takes", (self.model, "--shape", "x")),
                                    (1, "nothing.onnx", (self.path("nothing.onnx"),)),
                                    (1, "nothing.onnx", (self.model, "--against", self.path("nothing.onnx"),
                                                         "--runs", "1"))):
            self.assertIn(words, self.refused_after_header(status, *args), args)


if __name__ == "__main__":
    vecq_cli.main()
