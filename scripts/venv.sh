#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The environment of the tests that judge our files by other programs: build/venv with tests/onnx/requirements.txt.
# Made again only when that list or the Python changed.
set -eu

cd "$(dirname "$0")/.."
python=$(scripts/python.sh)
stamp=build/venv/.made-from
want=$("$python" --version && cat tests/onnx/requirements.txt)
if [ -f "$stamp" ] && [ "$want" = "$(cat "$stamp")" ]; then
    echo "venv: build/venv is up to date"
    exit 0
fi
rm -rf build/venv
mkdir -p build
"$python" -m venv build/venv
build/venv/bin/python3 -m pip install --quiet --disable-pip-version-check --no-input --retries 5 \
    -r tests/onnx/requirements.txt
echo "$want" >"$stamp"
