#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every method on the same real images, at several sizes of its messages; the tables and the
# figures of STUDY.md. Files in CIFAR-10's binary layout.
#
#   bench/study.sh small TRAIN.bin TEST.bin OUT [OPTION...]
#   bench/study.sh real TRAIN.bin TEST.bin WEIGHTS.safetensors OUT [OPTION...]
#   bench/study.sh traffic TRAIN.bin TEST.bin WEIGHTS.safetensors OUT [OPTION...]
#   bench/study.sh clients TRAIN.bin TEST.bin OUT [OPTION...]
#
# small: a ViT of 4 blocks and 65 tokens from scratch, until 48 MiB have crossed the link; half of
# the patches dropped in OUT/half_the_patches. real: pretrained DeiT-Tiny at 224 pixels, cut after
# block 3, 32 steps of 32 images; in OUT/five_seeds, evaluated with stages and codec, too, and in
# OUT/three_seeds. traffic: the same model until 300 MiB have crossed the link, but no more than 400
# steps, evaluated 16 times. clients: ten clients of the model of `small`, 20,000 images a run, in
# OUT/PARTITION/SHARING. Three seeds where nothing else is said.
# OPTIONs go to split_train, which stands in $SPLIT_TRAIN (build/release/examples/split_train);
# --resume goes on with what was begun.
set -euo pipefail
program=${SPLIT_TRAIN:-$(dirname "${BASH_SOURCE[0]}")/../build/release/examples/split_train}

# A family of methods a line, from its largest messages to its smallest ones.
small=(
  none
  none@fedlite:{2080,520},words=64
  adc:{0.25,0.1,0.05}
  adc:{0.9,0.36,0.18}@q:8
  adc:{0.62,0.31}@q:4
  none@q:8 none@q:2 none@q:1,range=sample
  none@topk:{0.23,0.09,0.045}
  none@random_topk:{0.23,0.09,0.045}
  none@c3:{4,10,20}
  none@splitfc:1,up_bits=8,down_bits=8 none@splitfc:{0.75,0.375}
  none@slacc:4,min_bits=6,max_bits=8
  none@slacc:4,min_bits=2,max_bits=4
  none@slacc:4,min_bits=1,max_bits=2
  none@slfac:0.9,mid_bits=7,min_bits=5,max_bits=9
  none@slfac:0.9,mid_bits=3,min_bits=2,max_bits=4
  none@slfac:0.9,mid_bits=1,min_bits=1,max_bits=2
  bottleneck:{0.25,0.1,0.05}
  bottleneck:{0.25,0.125}@q:8
  select:{0.62,0.31}@q:4
  merge-tokens:0.9@q:8 merge-tokens:{0.62,0.31}@q:4
  none@transform:rate={0.1,0.05,0.025}
  merge-tokens:0.5@transform:rate={0.05,0.025}
  none@coded:q:4
  # Without the server's gradient, in all steps or in three of four.
  none,feedback:{local,every:4}
  merge-tokens:0.62,feedback:{local,every:4}@q:4
  none,feedback:{local,every:4}@transform:rate=0.05
  # Controls, each of about a tenth of the bytes.
  merge:0.1 select:0.1
  drop:0.316,select:0.316
  merge:0.316:grouping=random,select:0.316
  merge:0.316,select:0.316:score={random,even}
)
small_half_the_patches=(none merge-tokens:0.62@q:4 none@transform:rate=0.05)

# Pretrained. Those that are compared with each other, paired by seed.
real_five=(
  none
  merge-tokens:{0.75,0.37,0.18}@q:4
  bottleneck:0.2:start=pca@q:8,range=channel
  none@transform:{1.2:gradient_step=0.8,1.2:gradient_step=2,2,3}
  merge-tokens:0.5@transform:{2,3}
  none@transform:rate={0.02,0.01}
  merge-tokens:0.5@transform:rate={0.01,0.005}
  none,feedback:local
  none,feedback:local@transform:2
)
real_three=(
  adc:{0.3,0.1,0.05,0.025}
  adc:{0.38,0.2,0.1}@q:8 adc:0.19@q:4
  none@splitfc:1,up_bits=8,down_bits=8
  none@splitfc:1,up_bits=2.5,down_bits=2.5
  none@splitfc:1,up_bits=1,down_bits=1
  none@splitfc:0.4,up_bits=2,down_bits=2
  merge-tokens:0.9@q:8 merge-tokens:0.37:send_sizes=yes@q:4
  none@q:8 none@q:3 none@q:1
  none@coded:q:{8,4,3}
  none@topk:{0.27,0.09,0.046,0.023}
  none@random_topk:{0.27,0.09,0.046,0.023}
  none@c3:10
  none@fedlite:{18912,4728},words=64
  none@slacc:4,min_bits=6,max_bits=8
  none@slacc:4,min_bits=2,max_bits=4
  none@slacc:4,min_bits=1,max_bits=2
  none@slfac:0.9,mid_bits=3,min_bits=2,max_bits=4
  none@slfac:0.9,mid_bits=1,min_bits=1,max_bits=2
  bottleneck:{0.1,0.05,0.025}
  bottleneck:{0.4,0.1}:start=pca@q:8,range=channel
  select:{0.75,0.37,0.18}@q:4
  # What each part of the transform brings.
  none@transform:2:basis={none,channel}
  none@transform:2:refresh={1,8,1000}
  none@transform:2:dead_zone=0.17
  none@transform:2:gradient_step=4 none@transform:4:gradient_step=2
  none,feedback:every:4@transform:2
)
traffic=(
  none
  adc:0.1
  adc:0.1@q:8
  none@topk:0.09
  none@q:4
  none@splitfc:1,up_bits=2.5,down_bits=2.5
  bottleneck:0.2:start=pca@q:8,range=channel
  merge-tokens:{0.75,0.37}@q:4
  none@transform:{2,3}
  merge-tokens:0.5@transform:2
  none,feedback:local@transform:2
)

# Before anything else is done.
require_program() {
  command -v "$program" >/dev/null && return
  echo "study.sh: there is no program $program; build it with: cmake --preset release &&" \
    "cmake --build build/release --target split_train" >&2
  exit 1
}

usage() {
  sed -n '/^#   bench/s/^# *//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

case ${1:-} in
  small)
    (($# >= 4)) || usage
    require_program
    common=(--data "cifar:$2,$3" --model vit_micro --image 64 --cut 1 --batch 64 --lr 1e-3
      --augment flip,crop --budget-mib 48 --seed 1 2 3 --threads 1)
    "$program" "${common[@]}" --out "$4" --compress "${small[@]}" "${@:5}"
    exec "$program" "${common[@]}" --out "$4/half_the_patches" --drop-patches 0.5 \
      --compress "${small_half_the_patches[@]}" "${@:5}"
    ;;
  real)
    (($# >= 5)) || usage
    require_program
    common=(--data "cifar:$2,$3" --weights "$4" --model deit_tiny --image 224 --cut 3 --batch 32
      --lr 1e-4 --steps 32 --threads 1)
    "$program" "${common[@]}" --out "$5/five_seeds" --seed 1 2 3 4 5 --evaluate both \
      --compress "${real_five[@]}" "${@:6}"
    exec "$program" "${common[@]}" --out "$5/three_seeds" --seed 1 2 3 \
      --compress "${real_three[@]}" "${@:6}"
    ;;
  traffic)
    (($# >= 5)) || usage
    require_program
    exec "$program" --data "cifar:$2,$3" --weights "$4" --model deit_tiny --image 224 --cut 3 \
      --batch 32 --lr 1e-4 --budget-mib 300 --steps 400 --evaluate-at 16 --seed 1 2 3 --threads 1 \
      --out "$5" --compress "${traffic[@]}" "${@:6}"
    ;;
  clients)
    (($# >= 4)) || usage
    require_program
    for partition in iid dirichlet:0.5 dirichlet:0.1; do
      for sharing in relay averaged shared; do
        methods=(none)
        [[ $partition != dirichlet:0.5 ]] || methods+=(merge-tokens:0.31@q:4)
        [[ $sharing == relay ]] && turns=(--turn 10) || turns=(--average-every 10)
        "$program" --data "cifar:$2,$3" --model vit_micro --image 64 --cut 1 --batch 32 --lr 1e-3 \
          --augment flip,crop --clients 10 --steps 62 --partition "$partition" --sharing "$sharing" \
          "${turns[@]}" --seed 1 2 3 --threads 1 --out "$4/${partition/:/-}/$sharing" \
          --compress "${methods[@]}" "${@:5}"
      done
    done
    ;;
  *) usage ;;
esac
