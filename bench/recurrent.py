# SPDX-License-Identifier: Apache-2.0
"""LSTM, GRU and embeddings with packed weights beside the same layers with floats: `vecq bench --against`, one thread.

    python bench/recurrent.py --vecq build/vecq [--seconds S] [--bits 2,4,8]

Prints a table: microseconds of the fastest run with floats, and how many times as fast the fastest packed run was, for speed and
for memory; * where the weights were decoded for the float backend.
"""
import argparse
import json
import os
import subprocess
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# kind, input, hidden, steps, batch, directions
NETS = [("LSTM", 128, 128, 32, 1, 1), ("LSTM", 128, 128, 32, 16, 1), ("LSTM", 300, 128, 100, 1, 2), ("LSTM", 256, 256, 32, 1, 1),
        ("LSTM", 512, 512, 50, 1, 1), ("LSTM", 512, 512, 50, 4, 1), ("LSTM", 257, 128, 1, 1, 1), ("GRU", 128, 128, 32, 1, 1),
        ("GRU", 128, 128, 32, 16, 1), ("GRU", 512, 512, 50, 1, 1)]
TABLES = [(5000, 64, 4096), (20000, 128, 32), (20000, 128, 4096), (50000, 768, 4096)]  # rows, columns, look-ups


def save(path, nodes, inputs, outputs, arrays):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value(n, TensorProto.FLOAT, s) for n, s in inputs],
                              [value(n, TensorProto.FLOAT, s) for n, s in outputs],
                              [numpy_helper.from_array(a, n) for n, a in arrays.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def save_net(path, kind, n, hidden, steps, batch, directions):
    rng, gates = np.random.default_rng(0), 4 if kind == "LSTM" else 3
    shapes = {"W": (directions, gates * hidden, n), "R": (directions, gates * hidden, hidden), "B": (directions, 2 * gates * hidden)}
    arrays = {k: (rng.uniform(-1, 1, s) / hidden**0.5).astype(np.float32) for k, s in shapes.items()}
    options = {"hidden_size": hidden, "direction": "bidirectional" if directions == 2 else "forward"}
    if kind == "GRU":
        options["linear_before_reset"] = 1
    save(path, [helper.make_node(kind, ["x", "W", "R", "B"], ["y"], **options)], [("x", [steps, batch, n])],
         [("y", [steps, directions, batch, hidden])], arrays)


def save_table(path, rows, cols, n):
    """Look-ups all over the table: whole parts of |x| rows / 4 for normal x."""
    rng = np.random.default_rng(0)
    arrays = {"table": rng.standard_normal((rows, cols)).astype(np.float32), "m": np.float32(rows / 4), "lo": np.float32(0),
              "hi": np.float32(rows - 1)}
    nodes = [helper.make_node("Abs", ["x"], ["a"]), helper.make_node("Mul", ["a", "m"], ["b"]),
             helper.make_node("Clip", ["b", "lo", "hi"], ["c"]), helper.make_node("Cast", ["c"], ["ids"], to=TensorProto.INT64),
             helper.make_node("Gather", ["table", "ids"], ["y"])]
    save(path, nodes, [("x", [n])], [("y", [n, cols])], {k: np.asarray(a) for k, a in arrays.items()})


def ratio(vecq, plain, packed, prefer, seconds, kinds):
    command = [vecq, "bench", packed, "--threads", "1", "--prefer", prefer]
    done = subprocess.run([*command, "--against", plain, "--seconds", str(seconds), "--json"], capture_output=True, text=True,
                          check=True)
    row = json.loads(done.stdout)["rows"][0]
    layers = subprocess.run([*command, "--layers", "--runs", "2"], capture_output=True, text=True, check=True).stdout
    ours = any(line.split()[1:3] == [k, "lowbit"] for line in layers.splitlines() for k in kinds)
    return row["against"]["min"], f"{row['against']['min'] / row['min']:.2f}{'' if ours else '*'}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vecq", required=True)
    parser.add_argument("--seconds", type=float, default=0.25)
    parser.add_argument("--bits", default="2,4,8")
    arguments = parser.parse_args()
    bits = [int(b) for b in arguments.bits.split(",")]
    print("| | floats, us | " + " | ".join(f"{b} bits, speed | memory" for b in bits) + " |\n" + "|---" * (2 + 2 * len(bits)) + "|")
    cases = [(f"{k} {n} -> {h}{', both' if d == 2 else ''}, {t} steps x {b}", save_net, (k, n, h, t, b, d))
             for k, n, h, t, b, d in NETS]
    cases += [(f"{n} rows of {r} x {c}", save_table, (r, c, n)) for r, c, n in TABLES]
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = (os.path.join(folder, f) for f in ("f.onnx", "p.onnx"))
        for name, make, what in cases:
            make(plain, *what)
            cells, times = [], []
            for b in bits:
                subprocess.run([arguments.vecq, "quantize", plain, "-q", "-b", str(b), "-o", packed], check=True)
                for prefer in ("speed", "memory"):
                    seconds, cell = ratio(arguments.vecq, plain, packed, prefer, arguments.seconds, ("LSTM", "GRU", "Gather"))
                    cells.append(cell)
                    times.append(seconds)
            print(f"| {name} | {min(times) * 1e6:.1f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
