#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The shared library exports what the public headers declare: check-symbols.py [--strict] LIBRARY HEADER...

A symbol that no header declares with VECQ_API is always an error (a leak of the inside, or of a runtime linked
in). A declared function that is missing is an error with --strict, else only reported.
"""
import re
import subprocess
import sys

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
DECLARATION = re.compile(r"\bVECQ_API\b([^;{]*)[;{]", re.S)
NAME = re.compile(r"\b(\w+)\s*(?:\(|\[|=|$)")


def declared(paths):
    names = set()
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = COMMENT.sub(" ", file.read())
        text = re.sub(r"^[ \t]*#.*(?:\\\n.*)*$", "", text, flags=re.M)
        for match in DECLARATION.finditer(text):
            name = NAME.search(match.group(1).strip())
            if name is None:
                sys.exit("%s: cannot find the name in: VECQ_API%s" % (path, match.group(1)))
            names.add(name.group(1))
    return names


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    names = set()
    for line in lines.splitlines():
        fields = line.split()
        names.add(fields[-1].split("@")[0])
    return names


def main(arguments):
    strict = arguments[:1] == ["--strict"]
    library, *headers = arguments[1 if strict else 0:]
    want, have = declared(headers), exported(library)
    extra, missing = sorted(have - want), sorted(want - have)
    for name in extra:
        print("exported but not declared VECQ_API: " + name)
    for name in missing:
        print("declared but not exported%s: %s" % ("" if strict else " (allowed so far)", name))
    print("check-symbols: %d exported, %d declared, %d extra, %d missing" % (len(have), len(want), len(extra), len(missing)))
    return 1 if extra or not have or (strict and missing) else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: check-symbols.py [--strict] LIBRARY HEADER...")
    sys.exit(main(sys.argv[1:]))
