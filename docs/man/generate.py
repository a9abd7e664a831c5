#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Man pages of the subcommands, from `vecq COMMAND --help`.

    generate.py VECQ            writes docs/man/vecq-*.1
    generate.py VECQ --check    fails when a page is not what would be written

The options of a command are declared once, in its table in cli/cmd_<name>.c; help and man pages follow from it.
vecq.1 is written by hand.
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def run(vecq, *args):
    return subprocess.run([vecq, *args], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return re.sub(r"^\.", r"\\&.", text, flags=re.M)


def commands(vecq):
    lines = run(vecq, "--help").split("Commands:\n")[1].split("\n\n")[0].splitlines()
    rows = [line.split(None, 1) for line in lines]
    return [(name, summary) for name, summary in rows if name != "help"]


def sections(text):
    """usage lines, description paragraphs, (option, help) pairs, example lines, exit status"""
    head, rest = text.split("\nOptions:\n")
    options, rest = rest.split("\nExamples:\n")
    examples, status = rest.split("\nExit status: ")
    usage, description = head.split("\n\n", 1)
    usage = [line.replace("Usage:", "").strip() for line in usage.splitlines()]
    pairs = []
    for line in options.splitlines():
        found = re.match(r"  (-., |    )(--\S+( \S+)?)\s*(.*)", line)
        if found:
            pairs.append([(found[1].strip() + " " + found[2]).strip(), found[4]])
        else:
            pairs[-1][1] = (pairs[-1][1] + " " + line.strip()).strip()
    paragraphs = [" ".join(p.split()) for p in description.strip().split("\n\n")]
    return usage, paragraphs, pairs, [line.strip() for line in examples.splitlines() if line.strip()], " ".join(status.split())


def option_line(option):
    """bold what is typed, italic what is replaced"""
    words = re.sub(r"(--\S+) (\S+)$", r"\1 \\fI\2\\fR", option)
    return re.sub(r"(--?[\w-]+)", lambda m: "\\fB" + m[1].replace("-", "\\-") + "\\fR", words)


def page(vecq, name, summary, version):
    usage, paragraphs, pairs, examples, status = sections(run(vecq, name, "--help"))
    out = ['.\\" Written by docs/man/generate.py from "vecq %s --help".' % name,
           '.TH VECQ\\-%s 1 "" "vecq %s" "VecQ manual"' % (name.upper(), version),
           ".SH NAME", "vecq\\-%s \\- %s" % (name, roff(summary)), ".SH SYNOPSIS"]
    for i, line in enumerate(usage):
        out += ([".br"] if i else []) + [".B " + roff(line)]
    out.append(".SH DESCRIPTION")
    for i, paragraph in enumerate(paragraphs):
        out += ([".PP"] if i else []) + [roff(paragraph)]
    out.append(".SH OPTIONS")
    for option, text in pairs:
        out += [".TP", option_line(option), roff(text)]
    out += [".SH EXIT STATUS", roff(status), ".SH EXAMPLES", ".nf"] + [roff(line) for line in examples] + [".fi"]
    out += [".SH SEE ALSO", ".BR vecq (1)"]
    return "\n".join(out) + "\n"


def main():
    vecq, check = sys.argv[1], "--check" in sys.argv[2:]
    version = run(vecq, "--version").split()[1]
    wrong = 0
    for name, summary in commands(vecq):
        path = os.path.join(HERE, "vecq-%s.1" % name)
        text = page(vecq, name, summary, version)
        if not check:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        elif not os.path.exists(path) or open(path, encoding="utf-8").read() != text:
            print("%s is out of date: run docs/man/generate.py build/vecq" % path)
            wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
