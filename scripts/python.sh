#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the Python to use: the system's own before any other in PATH, since its venv module comes by package.
set -eu
for python in ${VECQ_SYSTEM_PYTHON:-} /usr/bin/python3 "$(command -v python3 || true)"; do
    if [ -n "$python" ] && [ -x "$python" ]; then
        echo "$python"
        exit 0
    fi
done
echo "python3 is missing" >&2
exit 1
