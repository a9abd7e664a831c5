#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sums the JUnit reports of several ctest runs: summarize.py FOLDER

FOLDER holds one <run>.xml for each run, and perhaps a file failed-steps with one line for each step (a build)
that failed outside of the tests. Skips are listed by name: programs that returned 77, and single cmocka cases
that skipped inside a program that passed. The last line is "N passed, N failed, N skipped".
"""
import glob
import os
import re
import sys
import xml.etree.ElementTree as xml

CMOCKA_SKIP = re.compile(r"\[  SKIPPED \] (?!\d+ test)(\S+)")


def main(folder):
    passed, failed, skipped = 0, [], []
    for path in sorted(glob.glob(os.path.join(folder, "*.xml"))):
        run = os.path.splitext(os.path.basename(path))[0]
        for case in xml.parse(path).getroot().iter("testcase"):
            name = "%s: %s" % (run, case.get("name"))
            output = case.findtext("system-out") or ""
            if case.get("status") == "fail" or case.find("failure") is not None:
                failed.append(name)
            elif case.get("status") == "run":
                passed += 1
                skipped += ["%s: %s" % (name, inner) for inner in sorted(set(CMOCKA_SKIP.findall(output)))]
            elif case.find("skipped") is not None and "SKIP" in (case.find("skipped").get("message") or ""):
                skipped.append("%s (%s)" % (name, reason(output)))
            else:  # not found, not run because of a fixture, disabled
                failed.append("%s (not run)" % name)
    steps = os.path.join(folder, "failed-steps")
    if os.path.exists(steps):
        with open(steps, encoding="utf-8") as lines:
            failed += [line.strip() for line in lines if line.strip()]
    for name in skipped:
        print("skipped: " + name)
    for name in failed:
        print("failed:  " + name)
    if passed == 0 and not failed:
        failed.append("no test ran")
        print("failed:  no test ran")
    print("%d passed, %d failed, %d skipped" % (passed, len(failed), len(skipped)))
    return 1 if failed else 0


def reason(output):
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:160] if lines else "no reason given"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: summarize.py FOLDER")
    sys.exit(main(sys.argv[1]))
