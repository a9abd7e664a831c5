#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make demo: installs what is missing, builds, trains LeNet5 on Fashion-MNIST in float, shows what rounding it to 2 bits
# costs, fine-tunes it through the quantizer, evaluates the packed files, and prints one table. No Python.
#   scripts/demo.sh                  the above, a few minutes on two cores
#   scripts/demo.sh MODEL.onnx       quantize a model of your own instead (scripts/demo-quantize.sh)
# Environment:
#   FASHION_MNIST=DIR                the four IDX files, or others of that form (MNIST), elsewhere than Debian puts them
#   DEMO_EPOCHS=N DEMO_TUNE_EPOCHS=N epochs in float (3) and at 2 bits (1)
#   DEMO_SET='KEY=VALUE ...'         other settings for both (docs/recipes.md)
#   DEMO_OUT=DIR                     where the files go (build/demo)
#   VECQ=FILE                        use this command: nothing is installed or built
set -eu

cd "$(dirname "$0")/.."
[ $# -eq 0 ] || exec scripts/demo-quantize.sh "$@"

out=${DEMO_OUT:-build/demo}
data=${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
epochs=${DEMO_EPOCHS:-3}
tune_epochs=${DEMO_TUNE_EPOCHS:-1}
vecq=${VECQ:-build/release/vecq}
log=$out/demo.log
begun=$(date +%s)
mkdir -p "$out"
: >"$log"

say() {
    printf '\n== %s\n' "$1"
}

stop() {
    echo "demo: $1" >&2
    exit 1
}

# show COMMAND...: prints the command and runs it; its progress stays on the terminal.
show() {
    echo "\$ $*"
    "$@" || stop "'$*' failed"
}

if [ -z "${VECQ:-}" ]; then
    say "1. what is needed: compiler, libraries, the images"
    job=demo
    [ -z "${FASHION_MNIST:-}" ] || job=build
    scripts/install-deps.sh "$job" || stop "packages are missing and could not be installed (above)"

    say "2. build"
    scripts/build.sh release -DVECQ_TESTS=OFF -DVECQ_BENCH=OFF >>"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        stop "the build failed; all of its output is in $log"
    }
fi
echo "$vecq: $("$vecq" --version | head -n 1)"

for file in train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte; do
    [ -f "$data/$file" ] || [ -f "$data/$file.gz" ] || stop "no $data/$file(.gz): install the package \
dataset-fashion-mnist, or say 'FASHION_MNIST=DIR make demo' with a folder that has the four IDX files (MNIST's will do)"
done

float=$out/float.onnx
rounded=$out/2bit-rounded.onnx
tuned=$out/2bit-finetuned.onnx
set -- --data "idx:$data"
for setting in ${DEMO_SET:-}; do
    set -- "$@" --set "$setting"
done

say "3. train LeNet5 in float: recipes/lenet5-fashion.yaml"
show "$vecq" train recipes/lenet5-fashion.yaml "$@" --epochs "$epochs" -o "$float"

say "4. round its weights to 2 bits, without data: small, but it costs accuracy"
show "$vecq" quantize "$float" -b 2 -o "$rounded"

say "5. fine-tune it through the quantizer: recipes/lenet5-fashion-finetune.yaml"
show "$vecq" train recipes/lenet5-fashion-finetune.yaml "$@" --model "$float" --epochs "$tune_epochs" -o "$tuned"

say "6. run the packed files on the test images"
number_of() { # KEY FILE
    sed -n "s/.*\"$1\":[[:space:]]*\\([-+0-9.eE][-+0-9.eE]*\\).*/\\1/p" "$2" | head -n 1
}
evaluate() { # FILE: twice, the faster time counts
    echo "\$ $vecq eval $1 --data idx:$data"
    for turn in 1 2; do
        "$vecq" eval "$1" --data "idx:$data" --json >"$1.eval$turn.json" || stop "'$vecq eval $1' failed"
    done
}
evaluate "$float"
evaluate "$rounded"
evaluate "$tuned"

say "7. result"
bytes_of() {
    wc -c <"$1" | tr -d ' '
}
rows() { # LABEL FILE...
    while [ $# -ge 2 ]; do
        [ -n "$(number_of accuracy "$2.eval1.json")" ] || stop "no accuracy in $2.eval1.json"
        echo "$1|$2|$(bytes_of "$2")|$(number_of samples "$2.eval1.json")|$(number_of accuracy "$2.eval1.json")|$(
            number_of loss "$2.eval1.json")|$(number_of seconds "$2.eval1.json")|$(number_of seconds "$2.eval2.json")"
        shift 2
    done
}
rows "float" "$float" "2 bits, rounded" "$rounded" "2 bits, fine-tuned" "$tuned" >"$out/rows"
awk -F '|' '
BEGIN {
    form = "%-18s  %-*s %10s %8s %9s %8s %11s %9s\n"
}
{ # the first row is the float model, the others are measured against it
    name[NR] = $1
    file[NR] = $2
    bytes[NR] = $3
    accuracy[NR] = 100 * $5
    loss[NR] = $6
    rate[NR] = $4 / ($7 < $8 ? $7 : $8)
    if (length($2) > width)
        width = length($2)
}
END {
    printf form, "", width, "file", "bytes", "smaller", "accuracy", "loss", "samples/s", "speed"
    for (i = 1; i <= NR; i++)
        printf form, name[i], width, file[i], bytes[i], sprintf("%.1f x", bytes[1] / bytes[i]),
            sprintf("%.2f %%", accuracy[i]), sprintf("%.4f", loss[i]), sprintf("%.0f", rate[i]),
            sprintf("%.2f x", rate[i] / rate[1])
}' "$out/rows"
awk -F '|' -v seconds="$(($(date +%s) - begun))" '
{
    bytes[NR] = $3
    accuracy[NR] = 100 * $5
}
END {
    printf "\ndemo: done in %d s: 2 bits a weight, %.1f times smaller; accuracy %.2f %% in float, %.2f %% rounded, " \
        "%.2f %% fine-tuned\n", seconds, bytes[1] / bytes[3], accuracy[1], accuracy[2], accuracy[3]
}' "$out/rows"
