#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The networks of bench_step in PyTorch on the CPU, eager: torch_step.py [--net NAME] [--threads N] [--runs N] [--compile]

Prints the median time of a step, forward and backward with the loss, without the update, and the memory it takes.
"""
import argparse
import resource
import statistics
import time

import torch
from torch import nn


def block(channels, width, kernel):
    return [nn.Conv2d(channels, width, kernel, padding=kernel // 2), nn.ReLU(), nn.BatchNorm2d(width, eps=1e-3)]


def head(features, width, classes):
    return [nn.Flatten(), nn.Linear(features, width), nn.ReLU(), nn.BatchNorm1d(width, eps=1e-3),
            nn.Linear(width, classes)]


def lenet5():
    layers = block(1, 32, 5) + [nn.MaxPool2d(2)] + block(32, 64, 5) + [nn.MaxPool2d(2)] + head(3136, 512, 10)
    return nn.Sequential(*layers), (200, 1, 28, 28)


def vgg():
    layers, channels = [], 3
    for width in (64, 128, 256):
        layers += block(channels, width, 3) + block(width, width, 3) + [nn.MaxPool2d(2)]
        channels = width
    return nn.Sequential(*(layers + head(4096, 1024, 10))), (128, 3, 32, 32)


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(name, make, runs, compiled):
    torch.manual_seed(1)
    model, shape = make()
    x, labels, loss = torch.rand(shape) * 2 - 1, torch.randint(0, 10, shape[:1]), nn.CrossEntropyLoss()
    step = torch.compile(model) if compiled else model
    before, times = peak_mib(), []
    for i in range(runs + 2):
        start = time.perf_counter()
        model.zero_grad(set_to_none=True)
        loss(step(x), labels).backward()
        if i >= 2:
            times.append(time.perf_counter() - start)
    print("%-7s batch %d, %d threads, PyTorch %s: %8.2f ms (best %.2f), %.0f MiB more than before" % (
        name, shape[0], torch.get_num_threads(), torch.__version__, 1e3 * statistics.median(times),
        1e3 * min(times), peak_mib() - before))


def main():
    nets = {"lenet5": lenet5, "vgg": vgg}
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--net", choices=sorted(nets))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--compile", action="store_true", help="torch.compile instead of eager")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name, make in nets.items():
        if args.net in (None, name):
            measure(name, make, args.runs, args.compile)


if __name__ == "__main__":
    main()
