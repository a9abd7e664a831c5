# SPDX-License-Identifier: Apache-2.0
"""Arguments: what is refused, with what status, and with what hint."""
import os
import subprocess

import vecq_cli


class Usage(vecq_cli.Case):
    def test_no_command(self):
        done = vecq_cli.run()
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stdout, b"")
        self.assertIn(b"Usage: vecq COMMAND", done.stderr)

    def test_hints(self):
        rows = [
            (["quantise"], "unknown command 'quantise'; did you mean 'quantize'?"),
            (["--versoin"], "did you mean '--version'?"),
            (["help", "inspct"], "did you mean 'inspect'?"),
            (["quantize", "--bit", "3", "m"], "unknown option '--bit'; did you mean '--bits'?"),
            (["quantize", "--granularty=x", "m"], "did you mean '--granularity'?"),
            (["quantize", "m", "-m", "vec"], "did you mean 'vecq'?"),
            (["quantize", "m", "--lambda", "serch"], "did you mean 'search'?"),
            (["quantize", "m", "--format", "pack"], "did you mean 'packed'?"),
            (["quantize", "m", "--layer", "a=bit:4"], "did you mean 'bits'?"),
            (["template", "--jsn"], "did you mean '--json'?"),
            (["inspect", "--histo", "m"], "did you mean '--histogram'?"),
            (["compare", "--per-layers", "m"], "did you mean '--per-layer'?"),
        ]
        for args, expected in rows:
            with self.subTest(args=args):
                self.assertIn(expected, self.refused(2, *args))

    def test_unknown_without_hint(self):
        message = self.refused(2, "quantize", "--zzzzzzzz")
        self.assertIn("unknown option '--zzzzzzzz'; see 'vecq quantize --help'", message)
        self.assertIn("unknown option '-z'", self.refused(2, "quantize", "-qz"))
        self.assertIn("unknown command 'zzzzzzzzzz'", self.refused(2, "zzzzzzzzzz"))

    def test_values(self):
        rows = [
            (["quantize", "m", "-b", "0", "-o", "x"], "from 1 to 16"),
            (["quantize", "m", "-b", "17", "-o", "x"], "from 1 to 16"),
            (["quantize", "m", "-b", "4.5", "-o", "x"], "from 1 to 16"),
            (["quantize", "m", "-b", "", "-o", "x"], "from 1 to 16"),
            (["quantize", "m", "-b", "9", "-o", "x"], "--format float"),
            (["quantize", "m", "-b", "9", "--format", "qdq", "-o", "x"], "--format float"),
            (["quantize", "m", "--layer", "fc=bits:12", "-o", "x"], "--format float"),
            (["quantize", "m", "--layer", "fc", "-o", "x"], "GLOB=SETTING"),
            (["quantize", "m", "--layer", "=keep", "-o", "x"], "GLOB=SETTING"),
            (["quantize", "m", "--layer", "fc=bits", "-o", "x"], "needs a value"),
            (["quantize", "m", "--layer", "fc=keep:1", "-o", "x"], "takes no value"),
            (["quantize", "m", "--layer", "fc=", "-o", "x"], "unknown setting"),
            (["quantize", "m", "-g", "group", "-o", "x"], "group:64"),
            (["quantize", "m", "-g", "group:0", "-o", "x"], "1 or more"),
            (["quantize", "m", "-g", "group:x", "-o", "x"], "1 or more"),
            (["quantize", "m", "--inline", "--format", "float", "-o", "x"], "--inline"),
            (["quantize", "m", "--preset", "none", "-o", "x"], "unknown preset"),
            (["quantize", "m", "--cpu", "mmx", "-o", "x"], "unknown instruction set"),
            (["quantize", "m", "-j", "-1", "-o", "x"], "threads"),
            (["quantize", "m", "--external-data", "maybe", "-o", "x"], "external-data"),
            (["quantize", "m"], "no output"),
            (["quantize", "-o", "x"], "no model"),
            (["quantize", "m", "n", "-o", "x"], "unexpected argument 'n'"),
            (["quantize", "m", "-o"], "option '-o' needs FILE"),
            (["quantize", "m", "--output"], "option '--output' needs FILE"),
            (["quantize", "m", "--strict=yes"], "takes no value"),
            (["unpack", "m"], "no output"),
            (["unpack"], "no model"),
            (["inspect"], "no model"),
            (["template", "-b", "1-17"], "list like"),
            (["template", "-b", "3-2"], "list like"),
            (["template", "-b", "2,,3"], "list like"),
            (["template", "4"], "unexpected argument"),
            (["compare"], "nothing to compare"),
            (["compare", "m", "--gaussian", "10"], "give one of"),
            (["compare", "--gaussian", "10", "--laplace", "10"], "give one of"),
            (["compare", "--gaussian", "0"], "gaussian '0'"),
            (["compare", "--student", "0.1"], "degrees of freedom"),
            (["compare", "--student", "nan"], "degrees of freedom"),
            (["compare", "--gaussian", "10", "--samples", "20"], "--samples"),
            (["compare", "--gaussian", "10", "-g", "channel"], "no channels"),
            (["compare", "--gaussian", "10", "--per-layer"], "models"),
            (["compare", "--gaussian", "10", "--json", "--csv"], "give one of"),
            (["compare", "--gaussian", "10", "-m", "vecq,"], "unknown method ''"),
        ]
        for args, expected in rows:
            with self.subTest(args=args):
                self.assertIn(expected, self.refused(2, *args, cwd=self.folder))
        self.assertEqual(os.listdir(self.folder), [])

    def test_forms(self):
        expected = self.text("template", "-b", "3", "--json")
        for args in (["-b3"], ["--bits=3"], ["--bits", "3"], ["-b", "3", "--"]):
            with self.subTest(args=args):
                self.assertEqual(self.text("template", "--json", *args), expected)
        self.assertEqual(self.text("template", "--json", "-b", "1-3,5"), self.text("template", "--json", "-b", "5,3,2,1"))

    def test_dashes_end_options(self):
        self.assertIn("--bits: ", self.refused(1, "inspect", "--", "--bits", cwd=self.folder))

    def test_control_bytes_do_not_reach_the_terminal(self):
        message = self.refused(2, "quantize", "--\x1b[31m")
        self.assertNotIn("\x1b", message)
        self.assertIn("\\x1b", message)
        done = vecq_cli.run("inspect", b"\xff\x07missing")
        self.assertIn(b"\\xff\\x07missing", done.stderr)

    def test_version(self):
        self.assertRegex(self.text("--version"), r"^vecq \d+\.\d+\.\d+\n$")
        self.assertEqual(self.text("-V"), self.text("--version"))

    def test_methods_are_listed(self):
        self.assertIn("vecq", [line.split()[0] for line in self.text("quantize", "-m", "list").splitlines()])

    def test_full_disk_and_closed_output(self):
        for args in (["--help"], ["template"], ["quantize", "--help"], ["template", "--json"], ["--version"]):
            with self.subTest(args=args):
                if os.path.exists("/dev/full"):
                    with open("/dev/full", "wb") as full:
                        self.assertIn("standard output: ", self.refused(1, *args, stdout=full))
                done = subprocess.run(["/bin/sh", "-c", '"$0" "$@" >&-', vecq_cli.VECQ, *args],
                                      stderr=subprocess.PIPE, timeout=60)
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"standard output", done.stderr)

    def test_reader_that_goes_away(self):
        read, write = os.pipe()
        os.close(read)
        done = vecq_cli.run("template", stdout=write)
        os.close(write)
        self.assertEqual((done.returncode, done.stderr), (1, b""))


if __name__ == "__main__":
    vecq_cli.main()
