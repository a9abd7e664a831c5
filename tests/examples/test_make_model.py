# SPDX-License-Identifier: Apache-2.0
"""test_make_model.py bytes|runtime PROGRAM"""
import os
import subprocess
import sys
import tempfile


def make(program, path, *seed):
    done = subprocess.run([program, path, *seed], capture_output=True, text=True, check=True)
    with open(path, "rb") as file:
        data = file.read()
    assert "%d bytes" % len(data) in done.stdout, done.stdout
    return data, int(done.stdout.split(": ")[1].split()[0])


def check_bytes(program, folder):
    first, weights = make(program, os.path.join(folder, "a.onnx"))
    assert 1000000 < weights < 3000000, weights
    assert 4 * weights < len(first) < 4 * weights + 8192, (weights, len(first))
    assert make(program, os.path.join(folder, "b.onnx"), "1")[0] == first, "same seed, other bytes"
    other = make(program, os.path.join(folder, "c.onnx"), "2")[0]
    assert len(other) == len(first) and other != first, "the seed does nothing"
    assert subprocess.run([program], capture_output=True).returncode == 2
    assert subprocess.run([program, os.path.join(folder, "no", "d.onnx")], capture_output=True).returncode == 1


def check_runtime(program, folder):
    try:
        import numpy
        import onnx
        import onnxruntime
    except ImportError as error:
        print("no %s in %s" % (error.name, sys.executable))
        return 77
    path = os.path.join(folder, "m.onnx")
    weights = make(program, path)[1]
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    tensors = [onnx.numpy_helper.to_array(t) for t in model.graph.initializer]
    assert sum(t.size for t in tensors) == weights
    assert all(numpy.isfinite(t).all() for t in tensors)
    wide = next(onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name == "stage2.wide.weight")
    rows = wide.reshape(256, -1) / wide.reshape(256, -1).std(axis=1, keepdims=True)
    assert abs((rows**4).mean() - 3) < 0.1, (rows**4).mean()  # Gaussian within a channel
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    image = numpy.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=numpy.float32)
    scores = session.run(None, {"image": image})[0]
    assert scores.shape == (2, 1000) and numpy.isfinite(scores).all() and scores.std() > 1e-3
    return 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit({"bytes": check_bytes, "runtime": check_runtime}[sys.argv[1]](sys.argv[2], temporary))
