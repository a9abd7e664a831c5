#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Removes the files the last `make install` wrote: scripts/uninstall.sh [DESTDIR]
set -eu

cd "$(dirname "$0")/.."
manifest=build/release/install_manifest.txt
test -f "$manifest" || {
    echo "uninstall: $manifest is missing; nothing was installed from here" >&2
    exit 1
}
while IFS= read -r file || [ -n "$file" ]; do
    rm -f -- "${1:-}$file" && echo "removed ${1:-}$file"
done <"$manifest"
