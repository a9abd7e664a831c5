# SPDX-License-Identifier: Apache-2.0
"""The command on real models of $VECQ_TEST_DATA/models; what runtimes make of the files is tested in tests/onnx."""
import glob
import os
import sys

import vecq_cli

FOLDER = os.path.join(os.environ.get("VECQ_TEST_DATA") or "", "models")
MODELS = sorted(glob.glob(os.path.join(FOLDER, "**", "*.onnx"), recursive=True)) if os.environ.get("VECQ_TEST_DATA") else []


class Models(vecq_cli.Case):
    def each(self, limit, check):
        models = [m for m in MODELS if os.path.getsize(m) <= limit]
        self.assertGreater(len(models), 0)
        for model in models:
            with self.subTest(model=os.path.relpath(model, FOLDER)):
                check(model)

    def test_plan_agrees_with_result(self):
        self.each(4 << 20, self.check_plan_agrees_with_result)

    def check_plan_agrees_with_result(self, model):
        plan = self.json("quantize", model, "-b", "4", "--dry-run", "--json")
        out = self.path("out.onnx")
        report = self.json("quantize", model, "-b", "4", "--lambda", "template", "-o", out, "--json")
        self.assertEqual([w["name"] for w in plan["weights"]], [w["name"] for w in report["weights"]])
        for before, after in zip(plan["weights"], report["weights"]):
            self.assertEqual((before["state"] == "planned"), (after["state"] == "quantized"), before)
            self.assertEqual((before["reason"], before["bytes_after"]), (after["reason"], after["bytes_after"]))
            self.assertEqual(after["reason"] != "", after["state"] == "float")
        summary = report["summary"]
        self.assertGreater(summary["quantized"], 0)
        self.assertEqual(summary["file_bytes_before"], os.path.getsize(model))
        self.assertEqual(summary["file_bytes_after"], os.path.getsize(out))
        self.assertEqual(summary["quantized"], sum(w["state"] == "quantized" for w in report["weights"]))
        self.assertEqual(summary["weight_bytes_after"],
                         sum(w["bytes_after"] for w in report["weights"] if w["state"] == "quantized"))

    def test_inspect_sees_what_was_done_and_unpack_undoes_it(self):
        self.each(4 << 20, self.check_inspect_sees_what_was_done_and_unpack_undoes_it)

    def check_inspect_sees_what_was_done_and_unpack_undoes_it(self, model):
        packed, floats = self.path("packed.onnx"), self.path("floats.onnx")
        report = self.json("quantize", model, "-b", "3", "--lambda", "table", "-o", packed, "--json")
        done = {w["name"] for w in report["weights"] if w["state"] == "quantized"}
        seen = self.json("inspect", packed, "--json")
        self.assertEqual(len(done), seen["summary"]["packed"])
        self.assertIn("bits:3", seen["model"]["quantized_by"])
        for w in seen["weights"]:
            if w["state"] == "packed":
                self.assertEqual((w["quantization"]["bits"], w["quantization"]["method"]), (3, "vecq"))
        undone = self.json("unpack", packed, "-o", floats, "--json")
        self.assertEqual(undone["summary"]["quantized"], len(done))
        self.assertEqual(self.json("inspect", floats, "--json")["summary"]["packed"], 0)
        self.assertGreater(os.path.getsize(floats), os.path.getsize(packed))

    def test_same_bytes(self):
        self.each(1 << 20, self.check_same_bytes)

    def check_same_bytes(self, model):
        outputs = set()
        for args in (["-j1"], ["-j2"], ["-j2", "--cpu", "ref"], ["-j2", "--cpu", "avx2"], ["-j2", "--cpu", "avx512"]):
            done = vecq_cli.run("quantize", model, "-b", "3", "-o", "-", *args)
            if done.returncode == 1 and b"this processor does not have" in done.stderr:
                continue
            self.assertEqual(done.returncode, 0, done.stderr)
            outputs.add(done.stdout)
        self.assertEqual(len(outputs), 1)

    def test_compare_prefers_search(self):
        self.each(1 << 20, self.check_compare_prefers_search)

    def check_compare_prefers_search(self, model):
        rows = self.json("compare", model, "-b", "2,4", "--json")["results"]
        for bits in (2, 4):
            loss = {r["lambda_mode"]: r["orientation"] for r in rows if r["bits"] == bits}
            self.assertLessEqual(loss["search"], min(loss["table"], loss["template"]) + 1e-12)


if __name__ == "__main__":
    if not MODELS:
        print("skipped: no models; set VECQ_TEST_DATA to a folder that has models/*.onnx")
        sys.exit(77)
    vecq_cli.main()
