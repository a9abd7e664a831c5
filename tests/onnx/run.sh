#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a test with the Python of $VECQ_PYTHON, else the one CMake was given; says so and skips (77) when there is none or it lacks a package.
python=${VECQ_PYTHON:-${VECQ_PYTHON_DEFAULT:-}}
if [ -z "$python" ]; then
    echo "skipped: VECQ_PYTHON names no Python with tests/onnx/requirements.txt installed"
    exit 77
fi
if ! "$python" -c 'import numpy, onnx, onnxruntime'; then
    echo "skipped: $python lacks numpy, onnx or onnxruntime (tests/onnx/requirements.txt)"
    exit 77
fi
exec "$python" "$@"
