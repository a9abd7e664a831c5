# SPDX-License-Identifier: Apache-2.0
"""recipes/run.sh runs what is not finished, starts before what starts from them, and says what failed."""
import os
import subprocess
import tempfile
import unittest

SCRIPT = os.path.join(os.environ["VECQ_SOURCE"], "recipes", "run.sh")
# Stands for the command: writes what it was called with, a model and a log; fails for names with "bad".
COMMAND = """#!/bin/sh
echo "$*" >>"$CALLS"
while [ $# -gt 0 ]; do
    [ "$1" = -o ] && out=$2
    shift
done
echo '{"event":"start"}' >"$out.log.jsonl"
touch "$out.ckpt"
case $out in *bad*) exit 1 ;; *stopped*) kill -INT $$ ;; esac
echo model >"$out"
echo '{"event":"result"}' >>"$out.log.jsonl"
"""
SERIES = """# comment
## Heading
tuned\tfine\tmnist\tfloat\t-\tquantize.bits=2\t-\t-\t-
float\tscratch\tmnist\t-\t-\t-\t-\t-\t-
seeds\tscratch\tcifar10\t-\t1,2\tquantize.bits=1 quantize.act_bits=8\t-\t-\t-
file\tfine\timdb\tmodels/m.onnx\t-\t-\t-\t-\t-
bad\tscratch\tmnist\t-\t-\t-\t-\t-\t-
stopped\tscratch\tmnist\t-\t-\t-\t-\t-\t-
lost\tscratch\tnowhere\t-\t-\t-\t-\t-\t-
"""


class RunSeries(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.out = os.path.join(self.folder, "out")
        command = self.write("vecq", COMMAND)
        os.chmod(command, 0o755)
        self.environment = dict(os.environ, VECQ=command, OUT=self.out, DATA="/d", CALLS=os.path.join(self.folder, "calls"),
                                SERIES=self.write("series.tsv", SERIES))
        self.environment.pop("SET", None)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def run_script(self, *arguments, code=0, **more):
        done = subprocess.run(["sh", SCRIPT, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env=dict(self.environment, **more))
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def calls(self):
        """[(output, arguments)] since the last call"""
        path = os.path.join(self.folder, "calls")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        os.remove(path)
        return [(line.rsplit("/", 1)[1], line) for line in lines]

    def test_start_comes_first_and_once(self):
        self.run_script("tuned")
        calls = self.calls()
        self.assertEqual([name for name, _ in calls], ["float.onnx", "tuned.onnx"])
        self.assertIn("scratch.yaml --set data.train=idx:/d/mnist --resume", calls[0][1])
        self.assertIn("--model %s/float.onnx --set data.train=idx:/d/mnist --set quantize.bits=2 --resume" % self.out,
                      calls[1][1])
        self.assertIn("== float: done", self.run_script("float", "tuned"))
        self.assertEqual(self.calls(), [])

    def test_seeds_files_and_settings(self):
        self.run_script("seeds", "fi*", SET="threads=2")
        calls = self.calls()
        self.assertEqual([name for name, _ in calls], ["seeds-s1.onnx", "seeds-s2.onnx", "file.onnx"])
        self.assertIn("--set quantize.bits=1 --set quantize.act_bits=8 --set seed=2 --set threads=2", calls[1][1])
        self.assertIn("--set data.train=cifar10:/d/cifar-10-batches-bin", calls[0][1])
        self.assertIn("--model /d/models/m.onnx --set data.train=text:/d/imdb/train.txt --set data.test=text:/d/imdb/"
                      "test.txt --set threads=2", calls[2][1])

    def test_unfinished_is_run_again(self):
        self.run_script("seeds-s2")
        self.assertEqual([name for name, _ in self.calls()], ["seeds-s2.onnx"])
        os.remove(os.path.join(self.out, "seeds-s2.onnx"))
        self.run_script("seeds-s2")
        self.assertEqual([name for name, _ in self.calls()], ["seeds-s2.onnx"])

    def test_failure_does_not_stop_the_others(self):
        self.assertIn("failed: bad", self.run_script("bad", "float", code=1))
        self.assertEqual([name for name, _ in self.calls()], ["bad.onnx", "float.onnx"])

    def test_interrupt_stops_all(self):
        self.assertIn("run it again", self.run_script("stopped", "float", code=130))
        self.assertEqual([name for name, _ in self.calls()], ["stopped.onnx"])

    def test_list_and_mistakes(self):
        self.run_script("float")
        lines = {line.split()[0]: line.split()[1] for line in self.run_script("list").splitlines()}
        self.assertEqual(lines["float"], "done")
        self.assertEqual(lines["tuned"], "-")
        self.assertEqual(len(lines), 8)
        self.assertIn("has no nosuch", self.run_script("nosuch", code=1))
        self.assertIn("no such data: nowhere", self.run_script("lost", code=1))
        self.assertIn("all", self.run_script(code=2))
        self.environment.pop("DATA")
        self.assertIn("DATA", self.run_script("float", code=2))


if __name__ == "__main__":
    unittest.main()
