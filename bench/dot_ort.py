#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What onnxruntime's MatMulNBits takes for the products of bench_dot: dot_ort.py [--rows N] [--cols N] [--batch M]

One thread, accuracy_level 4 (8-bit activations inside), blocks of 128 and 32 columns; sessions with weights of their own take
turns, so that weights come out of memory. Medians of the clock, and of the processor time of the thread.
"""
import argparse
import statistics
import time

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper


def session(rows, cols, bits, block, seed, options):
    rng = np.random.default_rng(seed)
    groups = (cols + block - 1) // block
    weight = rng.integers(0, 256, (rows, groups, block * bits // 8), dtype=np.uint8)
    scale = rng.random((rows, groups), dtype=np.float32) * 0.01
    node = helper.make_node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=cols, N=rows, bits=bits,
                            block_size=block, accuracy_level=4)
    graph = helper.make_graph(
        [node], "products", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["m", cols])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["m", rows])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(scale, "s")])
    model = helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--cols", type=int, default=4096)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5, help="rounds over all sessions")
    parser.add_argument("--mib", type=int, default=160, help="weights in all")
    args = parser.parse_args()
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    x = np.random.default_rng(1).standard_normal((args.batch, args.cols), dtype=np.float32)
    print(f"onnxruntime {ort.__version__}, {args.rows} x {args.cols}, batch {args.batch}, one thread; ms")
    for bits in (4, 2, 8):
        for block in (128, 32):
            count = max(2, args.mib * 8 * 2**20 // (args.rows * args.cols * bits))
            try:
                sessions = [session(args.rows, args.cols, bits, block, i, options) for i in range(count)]
                clock, processor = [], []
                for turn in range(args.runs + 1):
                    for one in sessions:
                        start = time.perf_counter(), time.thread_time()
                        one.run(None, {"x": x})
                        if turn > 0:
                            clock.append(1e3 * (time.perf_counter() - start[0]))
                            processor.append(1e3 * (time.thread_time() - start[1]))
            except Exception as error:  # a width or block that this version does not take
                print(f"{bits} bits, blocks of {block}: {str(error).splitlines()[0][:100]}")
                continue
            print(f"{bits} bits, blocks of {block}: {statistics.median(clock):.3f} clock, "
                  f"{statistics.median(processor):.3f} processor")


if __name__ == "__main__":
    main()
