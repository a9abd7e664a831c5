# SPDX-License-Identifier: Apache-2.0
"""summarize.py counts passes, failures, skips of programs and of cmocka cases, and failed steps."""
import os
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.environ["VECQ_SOURCE"], "scripts", "summarize.py")
PASS = '<testcase name="unit/a" status="run"><system-out>[       OK ] a</system-out></testcase>'
PASS_WITH_SKIP = ('<testcase name="unit/b" status="run"><system-out>[ RUN      ] real\n[  SKIPPED ] real\n'
                  '[==========] 2 test(s) run.\n[  SKIPPED ] 1 test(s).\n[  SKIPPED ] real\n</system-out></testcase>')
SKIP = ('<testcase name="onnx/c" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/>'
        '<system-out>no onnxruntime here\n</system-out></testcase>')
FAIL = '<testcase name="unit/d" status="fail"><failure message=""/><system-out/></testcase>'
LOST = '<testcase name="unit/e" status="notrun"><skipped message="Unable to find executable"/></testcase>'


class Summarize(unittest.TestCase):
    def run_on(self, steps=None, **runs):
        with tempfile.TemporaryDirectory() as folder:
            for name, cases in runs.items():
                with open(os.path.join(folder, name + ".xml"), "w", encoding="utf-8") as file:
                    file.write("<testsuite>%s</testsuite>" % "".join(cases))
            if steps:
                with open(os.path.join(folder, "failed-steps"), "w", encoding="utf-8") as file:
                    file.write(steps)
            done = subprocess.run([sys.executable, SCRIPT, folder], capture_output=True, text=True)
            return done.returncode, done.stdout.strip().split("\n")

    def test_sum(self):
        code, lines = self.run_on(one=[PASS, PASS_WITH_SKIP], two=[PASS, SKIP])
        self.assertEqual(code, 0)
        self.assertEqual(lines[-1], "3 passed, 0 failed, 2 skipped")
        self.assertIn("skipped: one: unit/b: real", lines)
        self.assertIn("skipped: two: onnx/c (no onnxruntime here)", lines)

    def test_failures(self):
        code, lines = self.run_on(one=[PASS, FAIL, LOST], steps="build asan\n")
        self.assertEqual(code, 1)
        self.assertEqual(lines[-1], "1 passed, 3 failed, 0 skipped")
        self.assertIn("failed:  build asan", lines)
        self.assertIn("failed:  one: unit/e (not run)", lines)

    def test_nothing_is_a_failure(self):
        self.assertEqual(self.run_on()[0], 1)


if __name__ == "__main__":
    unittest.main()
