#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Inference beside onnxruntime, in turn in one run:

    compare_ort.py [--threads 1,2] [--batch 1,16] [--seconds 2] [--kind float|packed:K|int8]
                   [--prefer speed|memory] [--against onnxruntime|vecq] [--processor-time] [--profile]
                   [NAME|FILE...]

Without names: the networks of the zoo with random weights (written by dump_zoo) and the real models of the test data. A
burst of our runs follows a burst of theirs until each has had --seconds; the table has medians in milliseconds of both and
their ratio (above 1: we are faster; on a busy machine that of the 10 % quickest runs says more), and the difference of the first outputs relative to the largest value. Inputs and
outputs of onnxruntime are bound, so that nothing of Python is measured.

--kind packed:K: our side runs the file that `vecq quantize -b K` makes, with --prefer as `vecq run` has it, the other side the float
model. --against vecq: the other side is ours too. --processor-time: of the whole process, for one thread on a busy machine. int8: both run the QDQ
file that onnxruntime's quantizer makes from random calibration inputs. --profile: the nodes of both
sides, each in its quickest run.

Programs come from --build (build/release): bench/bench_model, tests/onnx/dump_zoo, vecq.
"""
import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "onnx"))
import common  # noqa: E402

ZOO = ["lenet5", "resnet20", "mobilenetv2-cifar", "vgg-like", "resnet18", "mobilenetv2"]
TYPE = {np.dtype(t): n for n, t in common.NUMPY_TYPE.items()}
BURST = 0.15  # seconds
PAUSE = 0.03  # between bursts: waiting threads of the other side have gone to sleep


class Refused(Exception):
    """A side does not take the model: its message."""


class Ours:
    def __init__(self, program, path, feeds, threads, folder, prefer="speed", clock=()):
        arguments = []
        os.makedirs(folder, exist_ok=True)
        for i, (name, value) in enumerate(feeds.items()):
            if value.dtype in (np.float16, np.float64):
                value = value.astype(np.float32)
            file = os.path.join(folder, f"in{i}")
            np.ascontiguousarray(value).tofile(file)
            arguments.append(f"{name}={TYPE[value.dtype]}:{'x'.join(map(str, value.shape))}:{file}")
        self.process = subprocess.Popen([program, "--threads", str(threads), "--prefer", prefer, *clock, path,
                                         *arguments], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.output_file = os.path.join(folder, "out")

    def ask(self, line):
        try:
            print(line, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass
        answer = self.process.stdout.readline()
        if not answer:
            raise Refused("vecq: " + self.process.stderr.read().strip())
        return answer

    def run(self, n):
        return [float(t) for t in self.ask(f"run {n}").split()]

    def output(self, dtype=np.float32):
        self.run(1)
        self.ask(f"output {self.output_file}")
        return np.fromfile(self.output_file, dtype=np.float32 if dtype == np.float16 else dtype)

    def steps(self, n):
        line, rows = self.ask(f"steps {n}"), []
        while line.strip():
            name, op, backend, detail, seconds = line.rstrip("\n").split("\t")
            rows.append((op, f"{name} ({backend} {detail})", float(seconds)))
            line = self.process.stdout.readline()
        return rows

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:  # it has ended
            pass
        self.process.wait()


class Theirs:
    def __init__(self, path, feeds, threads, profile=None, clock=time.perf_counter):
        self.clock = clock
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        if profile:
            options.enable_profiling = True
            options.profile_file_prefix = profile
        try:
            self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001: the runtime has many classes of them
            raise Refused(f"onnxruntime: {str(error).splitlines()[0][:160]}") from error
        self.binding = self.session.io_binding()
        for name, value in feeds.items():
            self.binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value)))
        for value in self.session.get_outputs():
            self.binding.bind_output(value.name)

    def run(self, n):
        times = []
        for _ in range(n):
            start = self.clock()
            self.session.run_with_iobinding(self.binding)
            times.append(self.clock() - start)
        return times

    def output(self):
        self.run(1)
        return self.binding.copy_outputs_to_cpu()[0]

    def profile(self, n):
        self.run(n)
        with open(self.session.end_profiling(), encoding="utf-8") as file:
            events = json.load(file)
        seconds, kinds = {}, {}
        for e in events:
            if e.get("cat") == "Node" and e["name"].endswith("_kernel_time"):
                seconds[e["name"][:-12]] = min(seconds.get(e["name"][:-12], np.inf), e["dur"] / 1e6)
                kinds[e["name"][:-12]] = e["args"].get("op_name", "")
        return [(kinds[name], name, t) for name, t in seconds.items()]


def burst(side, seconds):
    """As many runs as fit, the first left out."""
    first = side.run(2)[1]
    return side.run(max(1, int(seconds / max(first, 1e-7))))


def measure(ours, theirs, seconds):
    mine, other = [], []
    while sum(mine) < seconds or sum(other) < seconds:
        for side, times in ((ours, mine), (theirs, other)):
            time.sleep(PAUSE)
            times += burst(side, min(BURST, seconds / 3))
    return [(statistics.median(t), np.percentile(t, 10)) for t in (mine, other)]


def by_kind(rows):
    sums = collections.Counter()
    for kind, _, seconds in rows:
        sums[kind] += seconds
    return ", ".join(f"{kind} {1e3 * t:.3f}" for kind, t in sums.most_common(8))


def show_profile(ours, theirs, path, feeds, threads, folder):
    n = 60
    mine = ours.steps(n)
    if isinstance(theirs, Ours):
        other = theirs.steps(n)
    else:
        other = Theirs(path, feeds, threads, os.path.join(folder, "profile")).profile(n)
    for who, rows in (("vecq", mine), ("the other", other)):
        print(f"    {who}: {1e3 * sum(t for _, _, t in rows):.3f} ms in {len(rows)} steps: {by_kind(rows)}")
        for kind, name, t in sorted(rows, key=lambda r: -r[2])[:12]:
            print(f"        {1e3 * t:8.3f}  {kind} {name}")


def feeds_of(path, name, batch):
    """Random inputs; None when the model has no such batch."""
    model = onnx.load(path)
    feeds = common.inputs(model, name)
    if batch == 1:
        return feeds
    constant = {t.name for t in model.graph.initializer}
    first = [v.type.tensor_type.shape.dim[0] for v in model.graph.input if v.name not in constant
             and len(v.type.tensor_type.shape.dim) > 0]
    if len(feeds) != 1 or len(first) != 1 or first[0].dim_value:
        return None
    return {k: np.concatenate([v] * batch) for k, v in feeds.items()}


def quantize_int8(path, feeds, target):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.rest = [{k: (v + 0.1 * i).astype(v.dtype) for k, v in feeds.items()} for i in range(4)]

        def get_next(self):
            return self.rest.pop() if self.rest else None

    quant_pre_process(path, target + ".pre", skip_symbolic_shape=True)
    quantize_static(target + ".pre", target, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    return target


def sides(kind, build, path, name, folder):
    """The file of our side and theirs."""
    if kind == "float":
        return path, path
    target = os.path.join(folder, "quantized.onnx")
    if kind == "int8":
        return (quantize_int8(path, common.inputs(onnx.load(path), name), target),) * 2
    done = subprocess.run([os.path.join(build, "vecq"), "quantize", path, "-b", kind.split(":")[1], "-o", target],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Refused("vecq quantize: " + done.stderr.strip())
    return target, path


def compare(arguments, name, path, batch, threads):
    with tempfile.TemporaryDirectory() as folder:
        feeds = feeds_of(path, name, batch)
        if feeds is None:
            return None
        mine, other = sides(arguments.kind, arguments.build, path, name, folder)
        program, theirs = os.path.join(arguments.build, "bench", "bench_model"), None
        clock = ["--processor-time"] if arguments.processor_time else []
        ours = Ours(program, mine, feeds, threads, os.path.join(folder, "ours"), arguments.prefer, clock)
        try:
            if arguments.against == "vecq":
                theirs = Ours(program, other, feeds, threads, os.path.join(folder, "theirs"), clock=clock)
            else:
                theirs = Theirs(other, feeds, threads, clock=time.process_time if clock else time.perf_counter)
            want = theirs.output().ravel()
            have, want = ours.output(want.dtype).astype(np.float64), want.astype(np.float64)
            difference = np.abs(have - want).max() / max(np.abs(want).max(), 1e-9) if have.shape == want.shape else np.inf
            a, b = measure(ours, theirs, arguments.seconds)
            print(f"| {name} | {batch} | {threads} | {1e3 * a[0]:.3f} | {1e3 * b[0]:.3f} | {b[0] / a[0]:.2f} | {b[1] / a[1]:.2f} | "
                  f"{difference:.0e} |", flush=True)
            if arguments.profile:
                show_profile(ours, theirs, other, feeds, threads, folder)
            return b[0] / a[0], b[1] / a[1]
        finally:
            ours.close()
            if isinstance(theirs, Ours):
                theirs.close()


def models(arguments, folder):
    names = arguments.names
    for name in ZOO:
        if not names or any(n in f"zoo:{name}" for n in names):
            path = os.path.join(folder, name + ".onnx")
            subprocess.run([os.path.join(arguments.build, "tests", "onnx", "dump_zoo"), name, path], check=True)
            yield f"zoo:{name}", path
    for path in names:
        if os.path.exists(path):
            yield os.path.basename(path), path
    for name, path in common.models():
        if not names or any(n in name and not os.path.exists(n) for n in names):
            yield name, path


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--batch", default="1,16")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--kind", default="float")
    parser.add_argument("--prefer", choices=("speed", "memory"), default="speed")
    parser.add_argument("--against", choices=("onnxruntime", "vecq"), default="onnxruntime")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    print(f"onnxruntime {ort.__version__}, {arguments.kind}, prefer {arguments.prefer}\n\n| model | batch | threads | vecq ms | "
          f"{'vecq, float' if arguments.against == 'vecq' else arguments.against} ms | ratio | of the quickest tenth | difference |")
    print("|---|---|---|---|---|---|---|---|")
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for name, path in models(arguments, folder):
            for batch in map(int, arguments.batch.split(",")):
                for threads in map(int, arguments.threads.split(",")):
                    try:
                        ratios.append(compare(arguments, name, path, batch, threads))
                    except Refused as refused:
                        print(f"| {name} | {batch} | {threads} | {refused} |", flush=True)
    ratios = [r for r in ratios if r]
    for i, of in enumerate(("of the medians", "of the quickest tenth") if ratios else ()):
        worst = [r[i] for r in ratios]
        print(f"\n{len(ratios)} comparisons, {of}: geometric mean {statistics.geometric_mean(worst):.2f}, worst {min(worst):.2f}, "
              f"{sum(r < 0.9 for r in worst)} below 0.9")


if __name__ == "__main__":
    main()
