#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Habits of CONTRIBUTING.md that a machine can see: check-sources.py [ROOT]

Each source file has the licence line on top, no tab, no trailing blank, a final newline, at most 1000 lines; stems
of .c files are unique below src/ (a kernel family may bear the name of what it serves).
"""
import collections
import os
import re
import sys

FOLDERS = ["include", "src", "cli", "tests", "fuzz", "bench", "examples", "bindings", "scripts", "cmake"]
KINDS = (".c", ".h", ".cc", ".def", ".inc", ".py", ".sh", ".cmake")
LICENCE = "SPDX-License-Identifier: Apache-2.0"
LINES_MAX = 1000


def files(root):
    for folder in FOLDERS:
        for here, folders, names in os.walk(os.path.join(root, folder)):
            folders[:] = sorted(f for f in folders if f != "__pycache__")
            for name in sorted(names):
                if name.endswith(KINDS) or name == "CMakeLists.txt":
                    yield os.path.relpath(os.path.join(here, name), root).replace(os.sep, "/")


def problems_of(name, text):
    lines = text.split("\n")
    if not any(LICENCE in line for line in lines[:2]):
        yield 1, "the licence line (%s) is missing on top" % LICENCE
    if text and not text.endswith("\n"):
        yield len(lines), "no newline at the end"
    if len(lines) - 1 > LINES_MAX:
        yield len(lines) - 1, "longer than %d lines: split it" % LINES_MAX
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield number, "blank at the end of the line"
        if "\t" in line:
            yield number, "tab"


def main(root):
    count, bad, stems = 0, 0, collections.defaultdict(list)
    for name in files(root):
        with open(os.path.join(root, name), encoding="utf-8") as file:
            text = file.read()
        count += 1
        for line, problem in problems_of(name, text):
            print("%s:%d: %s" % (name, line, problem))
            bad += 1
        if re.match(r"src/(?!kernels/).*\.c$", name):
            stems[os.path.basename(name)].append(name)
    for names in stems.values():
        if len(names) > 1:
            print("one name, several files: " + " ".join(names))
            bad += 1
    print("check-sources: %d files, %d problems" % (count, bad))
    return 1 if bad or count == 0 else 0


if __name__ == "__main__":
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main(os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else here))
