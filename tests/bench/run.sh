#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The scripts in bench/ say at once which program they lack, and how to get it; and their drawings
# have room for long names.
set -euo pipefail
bench=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../bench" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
  echo "run.sh: $1" >&2
  exit 1
}

# lacks TEXT COMMAND...: it fails with one line that has this text.
lacks() {
  local text=$1 code=0
  shift
  "$@" >"$folder/stdout" 2>"$folder/stderr" || code=$?
  [[ $code == 1 ]] || fail "exit code $code instead of 1: $*"
  [[ ! -s $folder/stdout ]] || fail "output before the error: $*"
  [[ $(wc -l <"$folder/stderr") == 1 ]] || fail "not one line: $(cat "$folder/stderr")"
  grep -qF -- "$text" "$folder/stderr" || fail "no '$text' in: $(cat "$folder/stderr")"
}

export SPLIT_TRAIN=$folder/none/split_train
lacks "no program $SPLIT_TRAIN; build it with: cmake" bash "$bench/study.sh" small a b "$folder/out"
lacks "--target split_train" bash "$bench/study.sh" real a b c "$folder/out"
lacks "--target split_train" bash "$bench/study.sh" traffic a b c "$folder/out"
[[ ! -e $folder/out ]] || fail "study.sh has left a folder behind"
CXX=no-such-compiler lacks "no compiler no-such-compiler" bash "$bench/compile_time.sh"

command -v python3 >/dev/null || { echo "skipped: the scripts in Python"; exit 0; }
export PYTHONDONTWRITEBYTECODE=1
lacks "no program $folder/step; build it with: cmake" \
  python3 "$bench/compare_programs.py" name "$folder/step cifar" "true cifar"
lacks "--target bench_step" python3 "$bench/compare_programs.py" name "true cifar" "$folder/step cifar"
lacks "wanted a program and the name of its row" \
  python3 "$bench/compare_programs.py" name true "true cifar"
# Without torch that is what it lacks.
if python3 -c "import torch" 2>/dev/null; then
  lacks "no program $folder/step" python3 "$bench/compare_pytorch.py" "$folder"
else
  lacks "pip install torch" python3 "$bench/compare_pytorch.py" "$folder"
fi

name=a-name-of-a-method-that-goes-on-and-on-for-sixty-characters-x
printf 'method,seed,epoch,step,loss,test_accuracy,bytes_up,bytes_down\n%s\n%s\n' \
  none,1,1,10,0.5,0.9,1000,1000 "adc,1,1,10,0.5,0.8,100,100" >"$folder/metrics.csv"
python3 "$bench/draw_study.py" title "$folder/metrics.csv" --line "$name=adc" >"$folder/study.svg"
printf '%s\n' method,seed,epoch,step,loss,test_accuracy,bytes_up,bytes_down \
  none,1,1,1,0.5,0.3,9000000,9000000 none,1,1,2,0.5,0.5,18000000,18000000 \
  adc,1,1,1,0.5,0.2,900000,900000 adc,1,1,2,0.5,0.4,1800000,1800000 adc,1,1,3,0.5,0.6,2700000,2700000 \
  adc,2,1,1,0.5,0.4,900000,900000 adc,2,1,2,0.5,0.6,1800000,1800000 >"$folder/curves.csv"
python3 "$bench/draw_study.py" title "$folder/curves.csv" --line line=adc --traffic >"$folder/curves.svg"
[[ $(grep -c "<circle" "$folder/curves.svg") == 4 ]] || fail "not two points a method: $(cat "$folder/curves.svg")"
grep -q "MiB so far" "$folder/curves.svg" || fail "another axis: $(cat "$folder/curves.svg")"
python3 - "$folder/study.svg" "$name" <<'CODE'
import re, sys
text = open(sys.argv[1]).read()
width = float(re.search(r'viewBox="0 0 (\d+)', text)[1])
x = float(re.search(r'<text x="([\d.]+)"[^>]*>' + sys.argv[2], text)[1])
if x + 8.5 * len(sys.argv[2]) > width:
    sys.exit(f"draw_study.py: a name begins at {x} of {width} and is cut off")
CODE
