# SPDX-License-Identifier: Apache-2.0
"""check-symbols.py finds a leak and a missing function, in a small library built for it."""
import os
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.environ["VECQ_SOURCE"], "scripts", "check-symbols.py")
HEADER = """/* VECQ_API int vecq_in_a_comment(void); */
#define VECQ_API __attribute__((visibility("default")))
typedef struct vecq_thing vecq_thing;
VECQ_API const vecq_thing *vecq_one(int (*f)(int), const char *const *names);
VECQ_API void vecq_two(
    const vecq_thing *thing);
"""
BOTH = "const vecq_thing *vecq_one(int (*f)(int), const char *const *n) { (void)f; (void)n; return 0; }\n" \
       "void vecq_two(const vecq_thing *t) { (void)t; }\n"


class CheckSymbols(unittest.TestCase):
    def check(self, source, *options):
        with tempfile.TemporaryDirectory() as root:
            header, code, library = (os.path.join(root, name) for name in ("x.h", "x.c", "libx.so"))
            with open(header, "w", encoding="utf-8") as file:
                file.write(HEADER)
            with open(code, "w", encoding="utf-8") as file:
                file.write('#include "x.h"\n' + source)
            subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-fvisibility=hidden", "-o", library, code],
                           check=True)
            done = subprocess.run([sys.executable, SCRIPT, *options, library, header], capture_output=True, text=True)
            return done.returncode, done.stdout

    def test_equal(self):
        code, text = self.check(BOTH + "int hidden(void) { return 1; }\n", "--strict")
        self.assertEqual(code, 0, text)
        self.assertIn("2 exported, 2 declared, 0 extra, 0 missing", text)

    def test_leak(self):
        code, text = self.check(BOTH + "VECQ_API int leak(void) { return 1; }\n")
        self.assertEqual(code, 1)
        self.assertIn("not declared VECQ_API: leak", text)

    def test_missing(self):
        one = BOTH.split("\n", 1)[0] + "\n"
        self.assertEqual(self.check(one)[0], 0)
        code, text = self.check(one, "--strict")
        self.assertEqual(code, 1)
        self.assertIn("not exported: vecq_two", text)


if __name__ == "__main__":
    unittest.main()
