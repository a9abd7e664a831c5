# SPDX-License-Identifier: Apache-2.0
"""check-layers.py finds a bad include of every kind, and leaves good ones alone."""
import os
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.environ["VECQ_SOURCE"], "scripts", "check-layers.py")

GOOD = {
    "include/vecq/api.h": "",
    "include/vecq/status.h": '#include "vecq/api.h"\n#include <stddef.h>\n',
    "include/vecq/cpu.h": '#include "vecq/api.h"\n',
    "include/vecq/quant.h": '#include "vecq/status.h"\n',
    "include/vecq/model.h": '#include "vecq/quant.h"\n',
    "include/vecq/vecq.h": '#include "vecq/model.h"\n',
    "src/base/alloc.h": '#include "vecq/status.h"\n',
    "src/base/threads.c": "#include <omp.h>\n#include <pthread.h>\n",
    "src/tensor/tensor.h": '#include "base/alloc.h"\n',
    "src/kernels/decode/decode.h": "#include <stdint.h>\n",
    "src/kernels/decode/decode_avx2.c": '#include "kernels/decode/decode.h"\n#include <immintrin.h>\n',
    "src/kernels/decode/decode.c": '#include "kernels/decode/decode.h"\n#include "vecq/cpu.h"\n',
    "src/quant/search.h": "",
    "src/quant/search.c": '#include "quant/search.h"\n#include "kernels/decode/decode.h"\n#include "vecq/quant.h"\n',
    "src/graph/graph.h": "",
    "src/onnx/reader.c": '#include "graph/graph.h"\n#include "vecq/model.h"\n',
    "cli/cli.h": '#include "vecq/vecq.h"\n',
    "cli/main.c": '#include "cli.h"\n#include "vecq/model.h"\n#include <cjson/cJSON.h>\n',
}
# file, text, words the report must have
BAD = [
    ("src/base/status.c", '#include "tensor/tensor.h"\n', "tensor is not below base"),
    ("src/tensor/npy.c", '#include "quant/search.h"\n', "quant is not below tensor"),
    ("src/coding/strips.c", '#include "vecq/quant.h"\n', "quant is not below coding"),
    ("src/codebook/pq.c", '#include "quant/search.h"\n', "quant is not below codebook"),
    ("src/quant/vecq.c", '#include "onnx/reader.h"\n', "no such header"),
    ("src/quant/vecq.c", '#include "search.h"\n', "no such header"),
    ("src/quant/vecq.c", '#include "../graph/graph.h"\n', "without"),
    ("src/quant/vecq.c", '#include "vecq/vecq.h"\n', "include what you need"),
    ("src/quant/vecq.c", "#  include <vecq/model.h>\n", "graph is not below quant"),
    ("src/kernels/decode/decode_ref.c", '#include "base/alloc.h"\n', "kernels are leaves"),
    ("src/kernels/decode/decode_ref.c", "#include <immintrin.h>\n", "immintrin.h"),
    ("src/quant/threads.c", "#include <omp.h>\n", "omp.h"),
    ("src/onnx/json.c", "#include <cjson/cJSON.h>\n", "cJSON"),
    ("src/secret/x.c", "#include <stdio.h>\n", "not in a layer"),
    ("src/loose.c", "int x;\n", "not in a layer"),
    ("include/vecq/extra.h", '#include "base/alloc.h"\n', "public headers only"),
    ("cli/cmd_x.c", '#include "base/alloc.h"\n', "public headers"),
    ("cli/cmd_x.c", '#include "../src/base/alloc.h"\n', "public headers"),
    ("examples/x.c", '#include "onnx/reader.h"\n', "public headers"),
]


class CheckLayers(unittest.TestCase):
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
        code, text = self.check(GOOD)
        self.assertEqual(code, 0, text)

    def test_empty_is_an_error(self):
        self.assertEqual(self.check({})[0], 1)

    def test_bad(self):
        for name, text, words in BAD:
            with self.subTest(name=name, text=text):
                files = dict(GOOD)
                files[name] = files.get(name, "") + text
                code, report = self.check(files)
                self.assertEqual(code, 1, report)
                line = files[name].count("\n")
                self.assertIn("%s:%d: " % (name, line), report)
                self.assertIn(words, report)
                self.assertIn(", 1 against", report)


if __name__ == "__main__":
    unittest.main()
