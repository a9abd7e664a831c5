# SPDX-License-Identifier: Apache-2.0
"""scripts/demo.sh on a few small made images: it trains, rounds, fine-tunes, evaluates, and its table is true."""
import os
import random
import re
import struct
import subprocess
import unittest

import vecq_cli

DEMO = os.path.join(vecq_cli.SOURCE, "scripts", "demo.sh")
SIZE, CLASSES = 28, 10


def image(label, source):
    """A bright bar whose place is the class, in noise."""
    rows = []
    for y in range(SIZE):
        bright = 200 if y // 3 == label else 0
        rows.append(bytes(min(255, bright + source.randrange(40)) for _ in range(SIZE)))
    return b"".join(rows)


class Demo(vecq_cli.Case):
    def data(self):
        source = random.Random(1)
        for part, n in (("train", 320), ("t10k", 100)):
            labels = bytes(i % CLASSES for i in range(n))
            self.path("%s-labels-idx1-ubyte" % part, struct.pack(">II", 0x801, n) + labels)
            self.path("%s-images-idx3-ubyte" % part, struct.pack(">IIII", 0x803, n, SIZE, SIZE) +
                      b"".join(image(label, source) for label in labels))

    def demo(self, *arguments, code=0, **more):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("DEMO_")}
        environment.update(VECQ=vecq_cli.VECQ, FASHION_MNIST=self.folder, DEMO_OUT=self.path("out"), DEMO_EPOCHS="2",
                           DEMO_TUNE_EPOCHS="1", DEMO_SET="train.batch=32 threads=2 augment.flip=false", **more)
        done = subprocess.run(["sh", DEMO, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              stdin=subprocess.DEVNULL, env=environment, timeout=800)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def test_table(self):
        self.data()
        lines = self.demo().stdout.rstrip("\n").split("\n")
        head = next(i for i, line in enumerate(lines) if re.match(r"\s+file\s+bytes\s", line))
        rows = [re.split(r"\s{2,}", line.strip()) for line in lines[head + 1:head + 4]]
        self.assertEqual(len({len(line) for line in lines[head:head + 4]}), 1, lines[head:head + 4])
        self.assertEqual([row[0] for row in rows], ["float", "2 bits, rounded", "2 bits, fine-tuned"])
        sizes = [os.path.getsize(row[1]) for row in rows]
        for row, size in zip(rows, sizes):
            self.assertEqual(int(row[2]), size)
            self.assertEqual(row[3], "%.1f x" % (sizes[0] / size))
            said = self.json("eval", row[1], "--data", "idx:" + self.folder, "--json", "-j", "2")
            self.assertAlmostEqual(float(row[4].split()[0]), 100 * said["accuracy"], delta=1.01)
            self.assertAlmostEqual(float(row[5]), said["loss"], delta=0.01 + 0.01 * said["loss"])
            self.assertGreater(int(row[6]), 0)
        self.assertGreater(sizes[0] / sizes[2], 14)
        self.assertGreater(float(rows[0][4].split()[0]), 50)  # it did learn
        self.assertGreater(float(rows[2][4].split()[0]), 50)
        self.assertRegex(lines[-1], r"^demo: done in \d+ s: 2 bits a weight, 1[45]\.\d times smaller; accuracy ")

    def test_without_data(self):
        done = self.demo(code=1)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn("dataset-fashion-mnist", done.stderr)
        self.assertIn("FASHION_MNIST=DIR", done.stderr)

    def test_failure_is_said(self):
        self.data()
        os.truncate(self.path("train-images-idx3-ubyte"), 1000)
        self.assertIn("demo: 'vecq", re.sub(r"'\S*vecq", "'vecq", self.demo(code=1).stderr))


if __name__ == "__main__":
    unittest.main()
