# SPDX-License-Identifier: Apache-2.0
"""vecq train: arguments, listings, what is printed and written, interruptions, and what is refused."""
import json
import os
import re
import signal
import subprocess
import time

import vecq_cli
from training_files import classifier, model, node, tensor, write_data


class Train(vecq_cli.Case):
    def setUp(self):
        super().setUp()
        self.data = os.path.join(self.folder, "data")
        write_data(self.data)
        self.out = os.path.join(self.folder, "m.onnx")
        self.args = ["train", "--network", "lenet-300-100", "--data", "idx:" + self.data, "--set", "train.batch=30",
                     "--set", "optimizer.lr=0.05", "--epochs", "3", "-j", "1"]

    def log(self, path=None):
        with open(path or self.out + ".log.jsonl", encoding="utf-8") as file:
            return [json.loads(line, parse_constant=self.fail) for line in file]

    def bytes(self, path):
        with open(path, "rb") as file:
            return file.read()

    # ---- listings ----

    def test_keys(self):
        text = self.text("train", "--keys")
        with open(os.path.join(vecq_cli.SOURCE, "src", "train", "recipe.def"), encoding="utf-8") as file:
            source = file.read()
        keys = re.findall(r"^KEY\((\w+), (\w+),", source, re.M)
        self.assertGreater(len(keys), 60)
        for section, name in keys:
            self.assertRegex(text, r"\n  %s\.%s = " % (section, name))
        for name in re.findall(r"^TOP\((\w+),", source, re.M):
            self.assertRegex(text, r"\n  %s = " % name)

    def test_networks(self):
        names = [line.split()[0] for line in self.text("train", "--networks").splitlines()]
        with open(os.path.join(vecq_cli.SOURCE, "docs", "networks.md"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn("lenet5", names)
        for name in names:
            self.assertIn("`%s`" % name, text)

    # ---- runs ----

    def test_run(self):
        result = self.json(*self.args, "--json", "-o", self.out, "-b", "3", stderr=subprocess.DEVNULL)
        self.assertEqual((result["command"], result["recipe"], result["output"]), ("train", None, self.out))
        self.assertEqual((result["steps"], result["test_samples"], result["parameters"]), (30, 60, 49903))
        self.assertGreater(result["test_accuracy"], 0.9)
        self.assertIsNone(result["start_accuracy"])
        self.assertIsNone(result["holdout_accuracy"])
        log = self.log()
        self.assertEqual(log[0]["event"], "start")
        self.assertEqual(log[-1]["event"], "result")
        self.assertEqual(log[-1]["test_accuracy"], result["test_accuracy"])
        self.assertIn("network: \"lenet-300-100\"", log[0]["recipe"])
        self.assertEqual([r["step"] for r in log if r["event"] == "evaluation"], [10, 20, 30])
        steps = [r["step"] for r in log]
        self.assertEqual(steps, sorted(steps))
        self.assertTrue(os.path.exists(self.out + ".ckpt"))

    def test_remembers_preprocessing(self):
        first = self.json(*self.args, "--json", "-o", self.out, "--set", "data.mean=0.3", "--set", "data.std=0.01",
                          stderr=subprocess.DEVNULL)
        common = ["train", "--model", self.out, "--data", "idx:" + self.data, "--set", "train.batch=30", "--json",
                  "--set", "train.limit_steps=1", "-j", "1"]
        again = self.json(*common, "-o", self.out + "2", stderr=subprocess.DEVNULL)
        self.assertEqual(again["start_accuracy"], first["file_accuracy"])
        start = [r for r in self.log(self.out + "2.log.jsonl") if r["event"] == "evaluation"][0]
        self.assertEqual(start["loss"], first["test_loss"])
        other = self.json(*common, "-o", self.out + "3", "--set", "data.std=1", stderr=subprocess.DEVNULL)
        start = [r for r in self.log(self.out + "3.log.jsonl") if r["event"] == "evaluation"][0]
        self.assertNotEqual(start["loss"], first["test_loss"])  # what is given wins
        self.assertIsNotNone(other["start_accuracy"])

    def test_text(self):
        text = self.text(*self.args)
        self.assertRegex(text, r"(?m)^epoch 1/3 +test: accuracy \d+\.\d\d % \(\d+ of 60\), loss \d")
        self.assertRegex(text, r"(?m)^trained +49903 parameters, 30 steps, ")
        self.assertRegex(text, r"(?m)^test +\d+\.\d\d %$")
        quiet = self.ok(*self.args, "-q")
        self.assertNotIn(b"epoch", quiet.stdout)
        self.assertEqual(quiet.stderr, b"")
        done = self.ok(*self.args, "--json")
        self.assertEqual(done.stdout.count(b"\n{"), 0)
        json.loads(done.stdout)
        self.assertIn(b"epoch 1/3", done.stderr)

    def test_nothing_is_written_without_output(self):
        before = sorted(os.listdir(self.folder))
        self.ok(*self.args, cwd=self.folder)
        self.assertEqual(sorted(os.listdir(self.folder)), before)
        places = [self.path("c"), self.path("l")]
        self.ok(*self.args, "--checkpoint", places[0], "--log", places[1])
        self.assertEqual(sorted(os.listdir(self.folder)), sorted(before + ["c", "l"]))
        self.assertEqual(self.log(places[1])[0]["event"], "start")

    def test_recipe_and_options(self):
        recipe = self.path("r.yaml", b"model: {network: lenet-300-100}\ntrain:\n  epochs: 7\n  batch: 30\n")
        args = ["train", recipe, "--data", "idx:" + self.data, "-o", self.out, "-q"]
        self.ok(*args, "--epochs", "1", "--set", "seed=9", "--set", "seed=4")
        self.assertIn("epochs: 1\n", self.log()[0]["recipe"])
        self.assertIn("seed: 4\n", self.log()[0]["recipe"])
        with open(recipe, "rb") as file:
            self.ok("train", "-", "--data", "idx:" + self.data, "--epochs", "1", stdin=file)

    def test_same_seed_same_bytes(self):
        saved = []
        for threads in ("1", "1", "2"):
            self.ok(*self.args, "-o", self.out, "-q", "--set", "backend=ref", "-b", "2", "--set", "threads=" + threads)
            saved.append(self.bytes(self.out + ".ckpt").replace(b"threads: 2", b"threads: 1"))
        self.assertEqual(saved[0], saved[1])
        # the text of the recipe has another hash; all before it and all arrays are the same
        self.assertEqual(len(saved[0]), len(saved[2]))
        self.assertLess(sum(a != b for a, b in zip(saved[0], saved[2])), 30)

    # ---- interruptions ----

    def test_resume(self):
        whole, part = self.path("whole.ckpt"), self.path("part.ckpt")
        self.ok(*self.args, "--checkpoint", whole)
        self.ok(*self.args, "--checkpoint", part, "--set", "train.limit_steps=13")
        self.assertNotEqual(self.bytes(whole), self.bytes(part))
        result = self.json(*self.args, "--checkpoint", part, "--resume", "--json")
        self.assertEqual(result["steps"], 17)
        self.assertEqual(self.bytes(whole), self.bytes(part))
        message = self.refused(1, *self.args, "--checkpoint", part, "--resume", "--set", "optimizer.momentum=0.5")
        self.assertIn("part.ckpt", message)
        self.assertIn("momentum: 0.9", message)
        with open(part, "r+b") as file:
            file.seek(300)
            file.write(b"\xff\xee")
        self.assertIn("damaged", self.refused(1, *self.args, "--checkpoint", part, "--resume"))

    def test_interrupt(self):
        part, log = self.path("part.ckpt"), self.path("log")
        args = self.args + ["--epochs", "3000", "--set", "train.eval_every=never", "--set", "train.limit_steps=0",
                            "--set", "train.log_every=1 step"]
        for number in (signal.SIGINT, signal.SIGTERM):
            if os.path.exists(log):
                os.remove(log)
            process = subprocess.Popen([vecq_cli.VECQ, *args, "--checkpoint", part, "--log", log],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            end = time.monotonic() + 60
            while time.monotonic() < end and not (os.path.exists(log) and b'"step":20' in self.bytes(log)):
                time.sleep(0.01)
            process.send_signal(number)
            _, text = process.communicate(timeout=60)
            self.assertEqual(process.returncode, -number, text)
            self.assertRegex(text.decode(), r"^vecq: interrupted after step \d+; --resume goes on")
            self.assertEqual(text.count(b"\n"), 1)
            self.assertTrue(os.path.exists(part))
            steps = [r["step"] for r in self.log(log) if r["event"] == "step"]
            self.assertEqual(steps, list(range(1, len(steps) + 1)))
            at = len(steps)
        short = [a if a != "3000" else "3" for a in args]
        self.assertIn("epochs: 3000", self.refused(1, *short, "--checkpoint", part, "--resume"))
        result = self.json(*args, "--checkpoint", part, "--resume", "--json", "--set",
                           "train.limit_steps=%d" % (at + 5))
        self.assertEqual(result["steps"], 5)

    # ---- what is refused ----

    def test_usage(self):
        rows = [
            ([], "nothing to train"),
            (["-o", "x"], "nothing to train"),
            (["--networks", "--frob"], "unknown option '--frob'"),
            (["--epoch", "3"], "did you mean '--epochs'?"),
            (["--set", "optimizer.lrr=1"], "did you mean 'lr'?"),
            (["--set", "optimiser.lr=1"], "did you mean 'optimizer'?"),
            (["--set", "optimizer.lr"], "KEY=VALUE"),
            (["--set", "optimizer.lr=fast"], "'fast'"),
            (["--bits", "17"], "quantize.bits"),
            (["--act-bits", "9"], "quantize.act_bits"),
            (["--epochs", "-1"], "train.epochs"),
            (["--network", "lenet5", "-o", "-"], "-o takes a file"),
            (["--network", "lenet5", "--resume"], "--resume needs"),
            (["a.yaml", "b.yaml"], "b.yaml"),
        ]
        for args, word in rows:
            with self.subTest(args=args):
                self.assertIn(word, self.refused(2, "train", *args))

    def test_refused(self):
        data = "idx:" + self.data
        matrix, bias = [[0.01 * (p % 7 + c) for c in range(3)] for p in range(64)], [0.0] * 3
        plain = self.path("plain.onnx", classifier(matrix, bias))
        flat = [tensor("w", (64, 3), [x for row in matrix for x in row])]
        other = self.path("shape.onnx", model([node("Flatten", ["images"], ["f"], "f"),
                                               node("MatMul", ["f", "w"], ["out"], "m")], flat, dims=("N", 4, 4, 4)))
        signs = self.path("sign.onnx", model([node("Flatten", ["images"], ["f"], "f"),
                                              node("MatMul", ["f", "w"], ["m"], "m"),
                                              node("Sign", ["m"], ["out"], "hard")], flat))
        odd = self.path("odd.onnx", model([node("Flatten", ["images"], ["f"], "f"),
                                           node("Unique", ["f"], ["h"], "odd"),
                                           node("MatMul", ["h", "w"], ["out"], "m")], flat))
        recipe = self.path("bad.yaml", b"train:\n  epochs: 3\n  bach: 4\n")
        rows = [
            (["--network", "lenet-301", "--data", data], ["no network 'lenet-301'", "--networks"]),
            (["--network", "lenet5"], ["data.train"]),
            (["--model", "missing.onnx", "--data", data], ["missing.onnx: cannot open"]),
            (["--model", plain, "--data", "idx:" + self.path("nowhere")], [self.path("nowhere")]),
            (["--model", plain, "--network", "lenet5", "--data", data], ["both set"]),
            (["--model", other, "--data", data], ["'images' is ?x4x4x4", "data.channels"]),
            (["--model", signs, "--data", data], ["Sign 'hard' has no gradient"]),
            (["--model", odd, "--data", data], ["Unique 'odd'", "cannot be trained"]),
            (["--model", plain, "--data", data, "--set", "train.batch=999"], ["train.batch is 999", "300"]),
            (["--model", plain, "--data", data, "-b", "3", "--set", "quantize.include=nothing*"], ["no weight"]),
            (["--model", plain, "--data", data, "--set", "train.freeze=*"], ["nothing to train"]),
            ([recipe], ["bad.yaml:3: ", "did you mean 'batch'?"]),
            ([self.path("missing.yaml")], ["missing.yaml: cannot open"]),
        ]
        for args, words in rows:
            with self.subTest(args=args):
                text = self.refused(1, "train", *args, "-o", self.out)
                for word in words:
                    self.assertIn(word, text)
        # before any work: nothing is there
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("m.onnx")], [])

    def test_diverges(self):
        done = vecq_cli.run(*self.args, "--set", "optimizer.lr=1000", "--set", "train.clip_grad_norm=0", "--set",
                            "schedule.name=constant", "--epochs", "5", "--set", "data.scale=1e9", "-q")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.decode(), r"^vecq: step \d+ \(epoch .*optimizer\.lr \(now 1000\)")

    def test_warnings(self):
        done = self.ok(*self.args, "--checkpoint", os.path.join(self.data, "t10k-labels-idx1-ubyte", "x"))
        self.assertEqual(done.stderr.count(b"vecq: warning: the checkpoint of step "), 3)


if __name__ == "__main__":
    vecq_cli.main()
