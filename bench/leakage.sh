#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How much a server sees, by cut, method and defence: the rows of LEAKAGE.md.
#
#   bench/leakage.sh NAME DATA OUT [SEED...]
#
# DATA is idx: or cifar: as split_train has it, NAME what it is called. Each row trains vit_mini with
# split_train, and lets an attacker learn its inverse (leakage). What is there already is not done
# again, so a run can be interrupted. Three seeds unless told otherwise. Programs stand in
# $SPLIT_TRAIN and $LEAKAGE; $COMPUTE may be bf16; $STEPS of training (600) and of the attack ($ATTACK, 500)
# may be fewer for a trial. Then:
#
#   python3 bench/draw_leakage.py OUT
set -euo pipefail
build=$(dirname "${BASH_SOURCE[0]}")/../build/release
split_train=${SPLIT_TRAIN:-$build/examples/split_train}
leakage=${LEAKAGE:-$build/bench/leakage}

# CUT METHOD [OPTION...]
rows=(
  "0 none"
  "1 none" "2 none" "3 none" "5 none"
  "1 adc:0.1" "2 adc:0.1" "3 adc:0.1" "5 adc:0.1"
  "3 adc:0.3"
  "3 select:0.3"
  "3 merge-tokens:0.3@q:4"
  "3 none@q:4"
  "3 none@transform:rate=0.05"
  # Defences.
  "3 shuffle"
  "3 merge:0.3:min_cluster_size=2,select:0.3"
  "3 noise:0.5" "3 noise:2" "3 noise:100"
  "3 none --distance-correlation 0.1" "3 none --distance-correlation 1"
  "3 none --drop-patches 0.5"
  "3,5 none --labels client"
)

if (($# < 3)); then
  sed -n '/^#   bench/s/^# *//p' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
for program in "$split_train" "$leakage"; do
  command -v "$program" >/dev/null && continue
  echo "leakage.sh: there is no program $program; build it with: cmake --preset release &&" \
    "cmake --build build/release --target split_train bench_leakage" >&2
  exit 1
done
name=$1 data=$2 out=$3
shift 3
seeds=("$@")
((${#seeds[@]})) || seeds=(1 2 3)
common=(--threads 1 --compute "${COMPUTE:-float32}")

# trained FOLDER CUT METHOD [OPTION...]: a model in FOLDER.
trained() {
  [[ ! -s $1/model.safetensors ]] || return 0
  rm -rf "$1"
  mkdir -p "$(dirname "$1")"
  "$split_train" --data "$data" --model vit_mini --cut "$2" --compress "$3" --batch 64 --steps "${STEPS:-600}" --lr 1e-3 \
    --schedule cosine --warmup 60 --seed "$seed" "${common[@]}" --progress none "${@:4}" --out "$1" >"$1.log"
}

for seed in "${seeds[@]}"; do
  for row in "${rows[@]}"; do
    folder=$out/$name/seed$seed/${row//[ :,]/_}
    [[ ! -s $folder/leakage.json ]] || continue
    read -r cut method options <<<"$row"
    read -ra options <<<"$options"
    # Without compression the weights are the same wherever the model is cut.
    model=$folder/trained
    if [[ $method == none ]] && ((${#options[@]} == 0)); then
      model=$out/$name/seed$seed/none
      trained "$model" 3 none
    else
      trained "$model" "$cut" "$method" ${options[@]+"${options[@]}"}
    fi
    attack=()
    [[ ${options[0]:-} != --drop-patches ]] || attack=("${options[@]}")
    mkdir -p "$folder"
    "$leakage" "$model/model.safetensors" "$data" "$method" "${cut%,*}" --steps "${ATTACK:-500}" --seed "$seed" \
      "${common[@]}" ${attack[@]+"${attack[@]}"} --pictures "$folder/pictures.ppm" --json "$folder/part.json"
    cp "$model/metrics.jsonl" "$folder"
    echo "$row" >"$folder/row.txt"
    mv "$folder/part.json" "$folder/leakage.json"
  done
done
