#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Configures and builds one preset of CMakePresets.json: scripts/build.sh PRESET [cmake options]
set -eu

cd "$(dirname "$0")/.."
preset=$1
shift
for tool in cmake ninja; do
    command -v "$tool" >/dev/null || {
        echo "build: $tool is missing; 'make deps' installs what is needed" >&2
        exit 1
    }
done
cmake --preset "$preset" "$@"
cmake --build --preset "$preset"
