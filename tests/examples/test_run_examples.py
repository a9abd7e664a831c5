# SPDX-License-Identifier: Apache-2.0
"""test_run_examples.py MAKE_MODEL RUN_ONE RUN_THREADS"""
import os
import subprocess
import sys
import tempfile


def run(*args, status=0):
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
    return done.stdout if status == 0 else done.stderr


def main():
    make, one, threads = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "m.onnx")
        run(make, model)
        said = run(one, model)
        assert ": float32, " in said, said
        assert said == run(one, model), "two runs differ"
        assert "no.npy" in run(one, model, os.path.join(folder, "no.npy"), status=1)
        assert "no.onnx" in run(one, os.path.join(folder, "no.onnx"), status=1)
        run(one, status=2)
        sums = [run(threads, model, n, "3").split("sum ")[1] for n in ("1", "4")]
        assert sums[0] == sums[1] and float(sums[0]) != 0, sums
        run(threads, os.path.join(folder, "no.onnx"), status=1)


main()
