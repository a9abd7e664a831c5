#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Includes go down the layers only: check-layers.py [ROOT]

The order is that of docs/architecture.md. A file may include its own layer and those of a lower rank, not a
neighbour of its own rank. Kernels are leaves: of the library they see vecq/cpu.h and each other only. The
command, the examples and the bindings see public headers only. Headers of other libraries are confined to one
folder each, and intrinsics to files that are compiled with the flags for them.
"""
import os
import re
import sys

RANKS = ["base", "tensor", "kernels", "coding", "quant codebook", "graph", "onnx backend", "session",
         "data zoo", "eval", "train lvq"]
RANK = {layer: rank for rank, layers in enumerate(RANKS) for layer in layers.split()}
# Public headers by the lowest layer that may see them: model.h is implemented by onnx, but its options and reports
# are what the passes of graph work on. vecq.h is everything and not for use below src/.
PUBLIC = {"api.h": "base", "status.h": "base", "cpu.h": "base", "random.h": "base", "tensor.h": "tensor",
          "quant.h": "quant", "model.h": "graph", "run.h": "session", "train.h": "train"}
KERNELS_SEE = {"vecq/cpu.h", "vecq/api.h"}
OUTSIDE = ["cli", "examples", "bindings"]
LIBRARIES = [  # header, who may include it
    (r"cjson/|cJSON\.h", r"cli/"),
    (r"omp\.h$", r"src/base/threads\.c$"),
    (r"pthread\.h$", r"src/base/|^examples/"),
    (r"(oneapi/)?dnnl", r"src/backend/onednn/"),
    (r"cuda|cudnn|cublas", r"src/backend/cuda/"),
    (r"mpi\.h$", r"src/train/"),
    (r"yaml\.h$", r"src/train/recipe_yaml\.c$"),
    (r"(zlib|jpeglib|jerror|png)\.h$", r"src/data/|^src/tensor/npz\.c$"),
    (r"immintrin\.h$|x86intrin\.h$", r"_(avx2|avxvnni|avx512|avx512vnni|x86)\.[ch]$"),
    (r"arm_neon\.h$", r"_neon(dot)?\.[ch]$"),
]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)


def sources(root, folder):
    for here, folders, files in os.walk(os.path.join(root, folder)):
        folders.sort()
        for name in sorted(files):
            if name.endswith((".c", ".h", ".def", ".inc", ".cu")):
                path = os.path.join(here, name)
                yield os.path.relpath(path, root).replace(os.sep, "/"), path


def includes(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1) == '"', match.group(2)


def check_library(name, target):
    for header, allowed in LIBRARIES:
        if re.match(header, target) and not re.search("^" + allowed if "/" in allowed else allowed, name):
            return "<%s> belongs to %s only" % (target, allowed.replace("\\", ""))
    return None


def check_src(root, name, target):
    layer = name.split("/")[1]
    if ".." in target.split("/"):
        return '"%s": include from src/, without ".."' % target
    if target.startswith("vecq/"):
        owner = PUBLIC.get(target[len("vecq/"):])
        if owner is None:
            return '"%s" is not for use inside the library: include what you need' % target
    else:
        owner = target.split("/")[0] if "/" in target else None
        if owner is None or not os.path.exists(os.path.join(root, "src", target)):
            return '"%s": no such header below src/ (write "layer/header.h")' % target
    if layer == "kernels" and owner != "kernels" and target not in KERNELS_SEE:
        return '"%s": kernels are leaves; they include kernels/ and %s' % (target, ", ".join(sorted(KERNELS_SEE)))
    if owner != layer and RANK.get(owner, len(RANKS)) >= RANK[layer]:
        return '"%s": %s is not below %s' % (target, owner, layer)
    return None


def check_include(root, target):
    if not target.startswith("vecq/") or not os.path.exists(os.path.join(root, "include", target)):
        return '"%s": a public header includes public headers only' % target
    return None


def check_outside(root, name, target):
    folder = name.split("/")[0]
    own = os.path.join(root, os.path.dirname(name), target)
    if target.startswith("vecq/") and os.path.exists(os.path.join(root, "include", target)):
        return None
    if ".." not in target.split("/") and os.path.exists(own):
        return None
    return '"%s": %s/ uses public headers (vecq/*.h) and its own only' % (target, folder)


def main(root):
    problems, count = [], 0
    for folder in ["src", "include"] + OUTSIDE:
        for name, path in sources(root, folder):
            if folder == "src" and name.split("/")[1] not in RANK:
                problems.append("%s:1: not in a layer; see RANKS in scripts/check-layers.py" % name)
                continue
            for line, quoted, target in includes(path):
                count += 1
                problem = check_library(name, target)
                if problem is None and (quoted or target.startswith("vecq/")):
                    if folder == "src":
                        problem = check_src(root, name, target)
                    elif folder == "include":
                        problem = check_include(root, target)
                    else:
                        problem = check_outside(root, name, target)
                if problem is not None:
                    problems.append("%s:%d: %s" % (name, line, problem))
    for problem in problems:
        print(problem)
    if count == 0:
        problems.append("nothing to check")
        print("check-layers: no includes found below %s" % root)
    print("check-layers: %d includes, %d against the layers" % (count, len(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main(os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else here))
