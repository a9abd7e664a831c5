#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, quantizes a model to 8, 4 and 2 bits without data, unpacks it again, and prints one
# table. No Python, no download.
#   scripts/demo-quantize.sh [MODEL.onnx]    without MODEL.onnx it makes one with random weights
set -eu

cd "$(dirname "$0")/.."
out=build/demo-quantize
vecq=build/release/vecq
log=$out/log
mkdir -p "$out"
: >"$log"

say() {
    printf '\n== %s\n' "$1"
}

stop() {
    echo "demo-quantize: $1; the whole output is in $log" >&2
    tail -n 20 "$log" >&2
    exit 1
}

# show COMMAND...: prints the command and runs it.
show() {
    echo "\$ $*"
    "$@" || stop "'$*' failed"
}

say "1. what the build needs"
scripts/install-deps.sh build

say "2. build (release)"
scripts/build.sh release -DVECQ_TESTS=OFF -DVECQ_BENCH=OFF >>"$log" 2>&1 || stop "the build failed"
echo "$vecq: $("$vecq" --version | head -n 1)"

if [ $# -ge 1 ]; then
    model=$1
else
    say "3. a convolutional network with random bell-shaped weights, written by examples/make_model.c"
    model=$out/model.onnx
    show build/release/examples/make_model "$model"
fi

say "4. what is in it"
show "$vecq" inspect "$model"

say "5. quantize: one scale for each output channel, the exact best step for each"
for bits in 8 4 2; do
    echo "\$ $vecq quantize -b $bits $model -o $out/w$bits.onnx"
    "$vecq" quantize -b "$bits" "$model" -o "$out/w$bits.onnx" --json >"$out/w$bits.json" 2>>"$log" || {
        cat "$out/w$bits.json" >>"$log"
        stop "quantizing to $bits bits failed"
    }
done
echo "\$ $vecq quantize -b 2 --preset paper $model -o $out/paper2.onnx"
"$vecq" quantize -b 2 --preset paper "$model" -o "$out/paper2.onnx" --json >"$out/paper2.json" 2>>"$log" ||
    stop "the paper's settings failed"

say "6. how the widths and ways to choose the step compare"
show "$vecq" compare "$model" -b 2,4,8

say "7. back to float: any runtime reads the packed file, this is for tools that want plain weights"
show "$vecq" unpack "$out/w4.onnx" -o "$out/w4-float.onnx"

say "8. result"
bytes_of() {
    wc -c <"$1" | tr -d ' '
}
number_of() { # KEY FILE
    sed -n "s/.*\"$1\":[[:space:]]*\\([-+0-9.eE][-+0-9.eE]*\\).*/\\1/p" "$2" | head -n 1
}
row() { # LABEL FILE [REPORT]
    size=$(bytes_of "$2")
    loss=
    if [ -n "${3:-}" ]; then
        loss=$(number_of mean_orientation "$3")
        [ -n "$loss" ] || stop "no mean_orientation in $3"
    fi
    awk -v label="$1" -v file="$(basename "$2")" -v size="$size" -v whole="$float_bytes" -v loss="$loss" 'BEGIN {
        if (loss != "") {
            c = 1 - loss
            angle = sprintf("%.2f", atan2(sqrt(1 - c * c), c) * 57.29577951308232)
            loss = sprintf("%.6f", loss)
        } else {
            angle = "0.00"
            loss = "0"
        }
        printf "%-28s %-16s %12d %7.2fx %12s %10s\n", label, file, size, whole / size, loss, angle
    }'
}
float_bytes=$(bytes_of "$model")
printf '%-28s %-16s %12s %8s %12s %10s\n' "" file bytes smaller "mean J_o" "angle/deg"
row "float32" "$model"
row "8 bits" "$out/w8.onnx" "$out/w8.json"
row "4 bits" "$out/w4.onnx" "$out/w4.json"
row "2 bits" "$out/w2.onnx" "$out/w2.json"
row "2 bits, paper's settings" "$out/paper2.onnx" "$out/paper2.json"
echo
four=$(awk -v a="$float_bytes" -v b="$(bytes_of "$out/w4.onnx")" 'BEGIN { printf "%.1f", a / b }')
echo "demo-quantize: done: 4 bits a weight make the file $four times smaller; the files are in $out"
