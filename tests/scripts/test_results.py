# SPDX-License-Identifier: Apache-2.0
"""results.py slims logs without paths, and makes tables that say what the logs say."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

SCRIPT = os.path.join(os.environ["VECQ_SOURCE"], "scripts", "results.py")
RECIPE = """# a comment
model:
  network: lenet5
data:
  train: idx:data/mnist    # elsewhere
  scale: 1/255
quantize:
  bits: 2
train: {}
optimizer:
  lr: 0.01
schedule:
  milestones: [35, 50]
""".replace("train: {}\n", "")
USED = """seed: %d
model:
  network: "lenet5"
  file: ""
data:
  train: "idx:/home/somebody/mnist"
  test: "/srv/a b/test"
  scale: 0.00392156862745098
quantize:
  bits: %d
  act_bits: 0
optimizer:
  lr: 0.01
schedule:
  milestones: [35, 50]
distill:
  teacher: "/home/somebody/float.onnx"
"""
SERIES = """# a comment
## First & best
net-float\tr\tmnist\t-\t1,2,3\tquantize.bits=0\t99.40\t-\t99.25
net-2bit\tr\tmnist\t-\t-\tquantize.bits=2\t-\t99.2\tnet-float-0.5
"""


def log_of(bits, seed=1, accuracy=0.99, steps=500, recipe=USED):
    records = [{"event": "start", "step": 0, "epoch": 0, "recipe": recipe % (seed, bits)}]
    for step in range(1, steps + 1):
        records.append({"event": "step", "step": step, "epoch": step / 100, "seconds": step * 1.0, "loss": 1 / step})
        if step % 100 == 0:
            records.append({"event": "evaluation", "step": step, "epoch": step / 100, "seconds": step * 1.0,
                            "data": "test", "accuracy": accuracy - 1 / step})
    records.append({"event": "checkpoint", "step": steps, "text": "/home/somebody/out/net.ckpt"})
    records.append({"event": "message", "step": steps, "text": "/home/somebody/out/net.ckpt"})
    records.append({"event": "result", "step": steps, "epoch": steps / 100, "seconds": steps + 20.0, "bits": bits,
                    "act_bits": 0, "seed": seed, "test_accuracy": accuracy, "start_accuracy": "NaN",
                    "file_accuracy": accuracy})
    return records


class Results(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.write("recipes/series.tsv", SERIES)
        self.write("recipes/r.yaml", RECIPE)
        self.write("docs/results.md", "before\n<!-- results: begin -->\nold\n<!-- results: end -->\nafter\n")

    def write(self, name, text):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def read(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8") as file:
            return file.read()

    def log(self, name, records):
        return self.write("out/%s.onnx.log.jsonl" % name, "".join(json.dumps(r) + "\n" for r in records))

    def run_script(self, *arguments, code=0):
        done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True,
                              env=dict(os.environ, VECQ_SOURCE=self.root))
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def row(self, name):
        line = next(l for l in self.read("docs/results.md").split("\n") if l.startswith("| %s |" % name))
        return [cell.strip() for cell in line.strip("|").split("|")]

    def test_slim(self):
        self.run_script("add", self.log("net-2bit", log_of(2)))
        text = self.read("recipes/results/net-2bit.jsonl")
        records = [json.loads(line) for line in text.splitlines()]
        events = [r["event"] for r in records]
        self.assertEqual(events.count("step"), 100)
        self.assertEqual(events.count("evaluation"), 5)
        self.assertEqual((events[0], events[-1]), ("start", "result"))
        self.assertNotIn("somebody", text)
        self.assertNotIn("/", text)
        self.assertIn('train: "idx:mnist"', records[0]["recipe"])
        self.assertIn('teacher: "float.onnx"', records[0]["recipe"])
        self.assertIn('test: "test"', records[0]["recipe"])
        steps = [r["step"] for r in records]
        self.assertEqual(steps, sorted(steps))

    def test_left_out(self):
        text = self.run_script("add", self.log("other", log_of(2)), self.log("net-2bit", log_of(2)[:-1]))
        self.assertIn("other: no run of", text)
        self.assertIn("net-2bit: not finished", text)
        self.assertEqual(os.listdir(os.path.join(self.root, "recipes/results")), [])

    def test_wrong_settings(self):
        text = self.run_script("add", self.log("net-2bit", log_of(4)), code=1)
        self.assertIn("quantize.bits is 4 in the log, 2 in", text)

    def test_tables(self):
        logs = [self.log("net-float-s%d" % s, log_of(0, s, a)) for s, a in ((1, 0.992), (2, 0.993), (3, 0.991))]
        self.run_script("add", *logs[:2])
        self.run_script("docs")
        row = self.row("net-float")
        self.assertIn("**99.25** (99.20 to 99.30), 2 of 3 runs", row)
        self.assertNotIn("yes", row)  # not before all runs are there
        self.run_script("add", *logs, self.log("net-2bit", log_of(2, 1, 0.9869)))
        self.assertIn("not what the logs say", self.run_script("check", code=1))
        self.run_script("docs")
        self.assertIn("4 logs, 0 problems", self.run_script("check"))
        row = self.row("net-float")
        self.assertIn("**99.20** (99.10 to 99.30)", row)
        self.assertIn("**no**", row)
        self.assertIn("float / float", row)
        self.assertIn("1, 2, 3", row)
        self.assertIn("9 min", row)
        row = self.row("net-2bit")
        self.assertIn("**98.69**", row)
        self.assertIn("98.70", row)  # the mean of net-float - 0.5
        self.assertIn("**no**", row)
        self.run_script("add", self.log("net-2bit", log_of(2, 1, 0.987)))
        self.run_script("docs")
        self.assertIn("yes", self.row("net-2bit"))
        text = self.read("docs/results.md")
        self.assertTrue(text.startswith("before\n") and text.endswith("after\n"))
        self.assertNotIn("old", text)
        drawn = xml.fromstring(self.read("docs/figures/results-1.svg"))
        self.assertEqual(len(drawn.findall("{http://www.w3.org/2000/svg}polyline")), 4)

    def test_changed_recipe(self):
        self.run_script("add", self.log("net-2bit", log_of(2)))
        self.run_script("docs")
        self.assertNotIn(" with ", self.row("net-2bit")[1])
        self.write("recipes/r.yaml", RECIPE.replace("[35, 50]", "[30, 50]"))
        self.run_script("docs")
        self.assertIn("with `schedule.milestones=35,50`", self.row("net-2bit")[1])

    def test_resumed(self):
        first, second = log_of(2)[:200], log_of(2)
        second = [dict(r, seconds=r["seconds"] - 150) if "seconds" in r else dict(r, event="resume", step=200)
                  for r in second if r.get("step", 0) == 0 or r["step"] > 197]
        second = [r for r in second if r["event"] != "resume" or "recipe" in r]
        self.run_script("add", self.log("net-2bit", first + second))
        self.run_script("docs")
        self.assertIn("9 min", self.row("net-2bit"))  # 197 and 370 seconds

    def test_check_finds_paths_and_leftovers(self):
        self.run_script("add", self.log("net-2bit", log_of(2)))
        self.run_script("docs")
        self.write("docs/figures/results-9.svg", "<svg/>")
        self.assertIn("results-9.svg has no logs", self.run_script("check", code=1))
        self.run_script("docs")
        self.run_script("check")
        path = "recipes/results/net-2bit.jsonl"
        self.write(path, self.read(path).replace("idx:mnist", "idx:/srv/mnist"))
        self.assertIn("net-2bit.jsonl:1: a path", self.run_script("check", code=1))

    def test_damage(self):
        self.assertIn("no JSON", self.run_script("add", self.write("out/net-2bit.onnx.log.jsonl", "{"), code=1))
        self.write("recipes/series.tsv", "a\tb\n")
        self.assertIn("2 columns", self.run_script("docs", code=1))


if __name__ == "__main__":
    unittest.main()
