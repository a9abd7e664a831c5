# SPDX-License-Identifier: Apache-2.0
"""ptq.py runs what is missing and no more, and makes tables that say what the results say."""
import json
import os
import stat
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.environ["VECQ_SOURCE"], "scripts", "ptq.py")
NETWORKS = """# a comment
Net A\ta.onnx\tidx:digits\t.1\t.2
Net B\tb.onnx\tcifar10:images\t.1,.2,.3\t.4,.5,.6
"""
# Writes a file as large as the bits say; evaluates to what its size says. Arguments go to a log.
COMMAND = """#!/usr/bin/env python3
import json, os, sys
open(os.environ["LOG"], "a").write(" ".join(sys.argv[1:]) + "\\n")
args = sys.argv[2:]
if sys.argv[1] == "quantize":
    open(args[args.index("-o") + 1], "wb").write(bytes(1 << 20 if "--layer" in args else int(args[args.index("-b") + 1]) << 17))
    print("{}")
else:
    print(json.dumps({"samples": 10, "accuracy": 0.5 + os.path.getsize(args[0]) / 2**23, "loss": 1.5,
                      "against": {"same": 0.75, "sqnr_db": None, "p_value": 1}}))
"""


class Ptq(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        for name in ("recipes", "docs", "models"):
            os.mkdir(os.path.join(self.root, name))
        self.write("recipes/ptq.tsv", NETWORKS)
        self.write("docs/post-training.md", "before\n<!-- ptq: begin -->\n<!-- ptq: end -->\nafter\n")
        self.write("models/a.onnx", "x" * 2**20)
        self.write("models/b.onnx", "x" * 2**21)
        os.chmod(self.write("vecq", COMMAND), stat.S_IRWXU)

    def write(self, name, text):
        path = os.path.join(self.root, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def read(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8") as file:
            return file.read()

    def script(self, *arguments, **environment):
        environment = dict(os.environ, VECQ_SOURCE=self.root, DATA=self.root, VECQ=os.path.join(self.root, "vecq"),
                           LOG=os.path.join(self.root, "log"), **environment)
        return subprocess.run([sys.executable, SCRIPT, *arguments], env=environment, capture_output=True, text=True)

    def test_runs(self):
        done = self.script("run", "net a", SET="threads=2")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        records = [json.loads(line) for line in self.read("recipes/ptq.jsonl").splitlines()]
        self.assertEqual([(r["name"], r["weights"], r["activations"]) for r in records],
                         [("Net A", w, a) for w in (0, 8, 4, 3, 2) for a in (0, 8, "run") if w or a != "run"])
        self.assertEqual([r["bytes"] for r in records if r["weights"] == 4], [4 << 17] * 3)
        log = self.read("log")
        self.assertIn("--calib idx:%s/digits --set data.mean=.1 --set data.std=.2 --set threads=2" % self.root, log)
        self.assertIn("--layer *=keep --act-bits 8", log)
        self.assertEqual(log.count("quantize "), 13)  # float as it is
        self.assertEqual(sum(line.startswith("eval ") and line.endswith(" --act-bits 8 --json") for line in
                             log.splitlines()), 4)
        self.assertNotIn(self.root, self.read("recipes/ptq.jsonl"))
        # what is there is not run again; a stopped run goes on
        self.write("recipes/ptq.jsonl", "".join(line + "\n" for line in self.read("recipes/ptq.jsonl").splitlines()[:7]))
        os.remove(os.path.join(self.root, "log"))
        self.assertEqual(self.script("run", "Net A").returncode, 0)
        self.assertEqual(self.read("log").count("eval "), 7)

    def test_tables(self):
        self.assertEqual(self.script("run", "net b").returncode, 0)
        self.assertEqual(self.script("check").returncode, 1)
        self.assertEqual(self.script("docs").returncode, 0)
        self.assertEqual(self.script("check").returncode, 0)
        text = self.read("docs/post-training.md")
        self.assertTrue(text.startswith("before\n") and text.endswith("after\n"))
        self.assertIn("| float | 2.00 | 75.00 | | 62.50 | 75.00 |", text)
        self.assertIn("| 4 bits | 0.50 | 56.25 | 75.00 | 56.25 | 75.00 |", text)
        self.assertEqual(text.count("not run yet"), 14)  # Net A
        self.write("docs/post-training.md", text.replace("56.25", "57.25"))
        self.assertEqual(self.script("check").returncode, 1)

    def test_troubles(self):
        self.write("vecq", "#!/bin/sh\necho vecq: no >&2\nexit 1\n")
        done = self.script("run")
        self.assertEqual(done.returncode, 1)
        self.assertIn("ptq.py: vecq eval", done.stderr)
        self.write("docs/post-training.md", "no marks")
        self.assertEqual(self.script("docs").returncode, 1)
        self.assertEqual(self.script("nonsense").returncode, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
