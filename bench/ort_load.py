#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What loading a model costs in onnxruntime: seconds to make a session, and peak memory.

    python bench/ort_load.py [--runs 5] [--threads 1] FILE.onnx...
    python bench/ort_load.py --square 4096 [--opsets 10,13,18] [--forms call,inline] [--bits 1,2,..] \\
                             --dump build/tests/onnx/dump_functions

The second form measures one MatMul weight of that size, decoded by the bodies of src/onnx/functions.c, next to the
same weight as float and as int8 DequantizeLinear. Every run is a fresh process.
Processor time says more than the clock when the machine is busy. Memory is the high-water mark of the
resident set (VmHWM) while the session is made, minus what the process had before it (interpreter and libraries);
the mark that getrusage() reports is not used because a child inherits it from its parent on Linux.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile

CHILD = """
import sys, time
import onnxruntime as ort
def mark():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
options = ort.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
options.log_severity_level = 3
before, start, cpu = mark(), time.perf_counter(), time.process_time()
ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
print(time.perf_counter() - start, time.process_time() - cpu, mark() - before)
"""


def measure(path, runs, threads):
    """One row: size, milliseconds (median, least, most; processor time), MiB."""
    wall, cpu, kib = [], [], []
    for _ in range(runs):
        done = subprocess.run([sys.executable, "-c", CHILD, path, str(threads)], capture_output=True, text=True)
        if done.returncode:
            return f"fails: {done.stderr.strip().splitlines()[-1][:120]}"
        for values, text in zip((wall, cpu, kib), done.stdout.split()):
            values.append(float(text))
    return (f"{os.path.getsize(path) / 2**20:9.2f} {statistics.median(wall) * 1e3:8.0f} {min(wall) * 1e3:8.0f} "
            f"{max(wall) * 1e3:8.0f} {statistics.median(cpu) * 1e3:8.0f} {statistics.median(kib) / 1024:8.0f}")


def report(name, path, options):
    print(f"{name:36} {measure(path, options.runs, options.threads)}", flush=True)


def square_models(options):
    """Yields (name, model) of one weight in every form."""
    import numpy as np
    from onnx import helper, numpy_helper
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "onnx"))
    import packed
    import test_functions as tf

    n = options.square
    rng = np.random.default_rng(0)
    scale = rng.random((n, 1)).astype(np.float32)
    use, x_shape = tf.consumer((n, n))

    def plain(nodes, tensors):
        graph = helper.make_graph(nodes + [use], "g", [tf.float_value("x", x_shape)], [tf.float_value("y", [2, n])],
                                  [numpy_helper.from_array(a, name) for name, a in tensors.items()])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)

    yield "float", plain([], {"w": rng.standard_normal((n, n)).astype(np.float32)})
    yield "qdq int8", plain(
        [helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["w"], axis=0)],
        {"q": rng.integers(-127, 128, (n, n)).astype(np.int8), "scale": scale[:, 0], "zero": np.zeros(n, np.int8)})
    program = tf.Dump(options.dump)
    for bits in options.bits:
        codes = rng.integers(0, 2**bits, (n, n)).astype(np.uint8)
        arrays = {f"f{i}": f for i, f in enumerate(packed.pack(codes, bits))}
        arrays |= {"scale": scale, "shape": np.array([n, n], np.int64)}
        for opset in options.opsets:
            dump = program.get(opset, bits, 0, n * n, n)
            for form in options.forms:
                yield (f"k {bits} opset {opset} {form}",
                       tf.make_model(opset, form, dump, arrays, (n, n), False)[0])
    program.process.stdin.close()
    program.process.wait()


def main():
    numbers = lambda text: [int(t) for t in text.split(",")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--square", type=int)
    parser.add_argument("--opsets", type=numbers, default=[10, 13, 18])
    parser.add_argument("--bits", type=numbers, default=list(range(1, 9)))
    parser.add_argument("--forms", type=lambda t: t.split(","), default=["call"])
    parser.add_argument("--dump", help="the program tests/onnx/dump_functions of the build")
    options = parser.parse_args()
    if bool(options.square) == bool(options.files) or bool(options.square) != bool(options.dump):
        parser.error("give files, or --square and --dump")
    print(f"{'':36} {'MiB':>9} {'ms':>8} {'least':>8} {'most':>8} {'cpu ms':>8} {'peak MiB':>8}")
    for path in options.files:
        report(os.path.basename(path), path, options)
    if options.square:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.onnx")
            for name, model in square_models(options):
                with open(path, "wb") as f:
                    f.write(model.SerializeToString())
                del model
                report(name, path, options)


if __name__ == "__main__":
    main()
