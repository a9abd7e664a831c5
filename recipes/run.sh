#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the training runs of recipes/series.tsv one after the other, each from where it was stopped:
#   DATA=DIR recipes/run.sh NAME...     a series (lenet5-2bit: all its seeds) or one run of it (lenet5-2bit-s3); globs too
#   DATA=DIR recipes/run.sh all
#   recipes/run.sh list                 what there is, and how far it has come
# Finished runs are skipped, so it can be stopped at any moment and started again. A run of which another series is the
# start comes first by itself. Environment:
#   DATA    folder with mnist/, cifar-10-batches-bin/, imdb/{train,test}.txt, thucnews/{train,test}.txt, and models/
#   OUT     where models, checkpoints (.ckpt) and logs (.log.jsonl) go (out)
#   VECQ    the command (build/release/vecq)
#   SET     more settings for all of them, 'KEY=VALUE ...', such as threads=2
# Then scripts/results.py add OUT/*.log.jsonl && scripts/results.py docs
set -eu

here=$(cd "$(dirname "$0")" && pwd)
table=${SERIES:-$here/series.tsv}
out=${OUT:-out}
vecq=${VECQ:-$here/../build/release/vecq}
failed=
tab=$(printf '\t')

stop() {
    echo "run.sh: $1" >&2
    exit 1
}

# Every run on a line: run, series, recipe, data, model, settings.
runs() {
    awk -F '\t' '/^#/ || NF < 9 { next }
    $5 == "-" { print $1 "\t" $1 "\t" $2 "\t" $3 "\t" $4 "\t" $6; next }
    {
        n = split($5, seed, ",")
        for (i = 1; i <= n; i++)
            print $1 "-s" seed[i] "\t" $1 "\t" $2 "\t" $3 "\t" $4 "\t" ($6 == "-" ? "" : $6 " ") "seed=" seed[i]
    }' "$table"
}

is_done() { # RUN: the model is there, and the result is the last thing in its log
    [ -f "$out/$1.onnx" ] && tail -n 1 "$out/$1.onnx.log.jsonl" 2>/dev/null | grep -q '"event":"result"'
}

# shellcheck disable=SC2153 # DATA is not data
place() { # DATA'S NAME: the settings that say where it is
    case $1 in
    mnist) echo "data.train=idx:$DATA/mnist" ;;
    cifar10) echo "data.train=cifar10:$DATA/cifar-10-batches-bin" ;;
    imdb | thucnews) echo "data.train=text:$DATA/$1/train.txt data.test=text:$DATA/$1/test.txt" ;;
    *) stop "$table: no such data: $1" ;;
    esac
}

# run RUN SERIES RECIPE DATA MODEL SETTINGS
run() {
    if is_done "$1"; then
        echo "== $1: done"
        return 0
    fi
    name=$1 recipe=$3 data=$4 model=$5 settings=$6
    set --
    case $model in
    -) ;;
    *.onnx) set -- --model "$DATA/$model" ;;
    *) set -- --model "$out/$model.onnx" ;;
    esac
    [ "$settings" != - ] || settings=
    places=$(place "$data")
    for setting in $places $settings ${SET:-}; do
        set -- "$@" --set "$setting"
    done
    echo "== $name: $recipe $settings"
    status=0
    (
        if command -v flock >/dev/null 2>&1; then # held until the training ends, however this script ends
            flock -n 9 || {
                echo "run.sh: $name is running already" >&2
                exit 1
            }
        fi
        exec "$vecq" train "$here/$recipe.yaml" "$@" --resume -o "$out/$name.onnx"
    ) 9>"$out/$name.lock" || status=$?
    if [ "$status" -gt 128 ]; then
        echo "run.sh: stopped; run it again to go on" >&2
        exit "$status"
    fi
    [ "$status" -eq 0 ] || failed="$failed $name"
}

# Goes through the table and calls run for what matches a pattern; the start of a series before it.
select_runs() { # PATTERN
    found=0
    while IFS=$tab read -r run_name run_series run_recipe run_data run_model run_settings <&3; do
        # shellcheck disable=SC2254 # it is a pattern
        case $run_name in
        $1) ;;
        *) case $run_series in $1) ;; *) continue ;; esac ;;
        esac
        found=1
        case $run_model in
        - | *.onnx) ;;
        *) is_done "$run_model" || start_of "$run_model" ;;
        esac
        run "$run_name" "$run_series" "$run_recipe" "$run_data" "$run_model" "$run_settings"
    done 3<"$list"
    [ "$found" -eq 1 ] || stop "$table has no $1; 'recipes/run.sh list' shows what it has"
}

start_of() { # RUN that another one starts from
    IFS=$tab read -r first_name first_series first_recipe first_data first_model first_settings <<EOF
$(awk -F '\t' -v name="$1" '$1 == name' "$list")
EOF
    [ -n "$first_name" ] || stop "$table has no run $1 to start from"
    run "$first_name" "$first_series" "$first_recipe" "$first_data" "$first_model" "$first_settings"
}

[ $# -ge 1 ] || {
    sed -n '3,7p' "$0" | sed 's/^# \{0,1\}//'
    exit 2
}
if [ "$1" = list ]; then
    runs | while IFS=$tab read -r name _ recipe _ _ settings; do
        if is_done "$name"; then
            state="done"
        elif [ -f "$out/$name.onnx.ckpt" ]; then
            state=begun
        else
            state=-
        fi
        printf '%-22s %-6s %s %s\n' "$name" "$state" "$recipe" "$settings"
    done
    exit 0
fi
: "${DATA:?is not set: the folder with mnist/, cifar-10-batches-bin/, imdb/, thucnews/ and models/}"
mkdir -p "$out"
list=$(mktemp)
trap 'rm -f "$list"' EXIT
runs >"$list"
for pattern in "$@"; do
    [ "$pattern" != all ] || pattern='*'
    select_runs "$pattern"
done
[ -z "$failed" ] || stop "failed:$failed"
echo "run.sh: done"
