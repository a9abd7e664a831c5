# SPDX-License-Identifier: Apache-2.0
"""check-sources.py finds each fault it is for."""
import os
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.environ["VECQ_SOURCE"], "scripts", "check-sources.py")
TOP = "/* SPDX-License-Identifier: Apache-2.0 */\n"


class CheckSources(unittest.TestCase):
    def check(self, files):
        with tempfile.TemporaryDirectory() as root:
            for name, text in files.items():
                path = os.path.join(root, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            done = subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True)
            return done.returncode, done.stdout

    def test_good(self):
        code, text = self.check({"src/a/b.c": TOP + "int x;\n", "scripts/run.sh": "#!/bin/sh\n# " + TOP})
        self.assertEqual(code, 0, text)

    def test_bad(self):
        for name, text, words in [
            ("src/a/b.c", "int x;\n", "b.c:1: the licence line"),
            ("src/a/b.c", TOP + "int x; \n", "b.c:2: blank"),
            ("src/a/b.c", TOP + "\tint x;\n", "b.c:2: tab"),
            ("src/a/b.c", TOP + "int x;", "no newline"),
            ("src/a/b.c", TOP + "int x;\n" * 1000, "longer"),
            ("tests/CMakeLists.txt", "project(x)\n", "licence"),
        ]:
            with self.subTest(words=words):
                code, report = self.check({name: text})
                self.assertEqual(code, 1, report)
                self.assertIn(words, report)

    def test_unique_stems(self):
        code, report = self.check({"src/a/b.c": TOP, "src/c/b.c": TOP})
        self.assertEqual(code, 1)
        self.assertIn("src/a/b.c src/c/b.c", report)


if __name__ == "__main__":
    unittest.main()
