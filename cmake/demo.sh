#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# demo.sh [options of split_train...]: installs what is missing, builds split_train, and trains
# a small ViT on drawn shapes twice: with everything on the wire, and with a tenth of it. Both
# curves end up in one report.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/build.sh"

out=$root/build/demo
job=(--role both --data shapes --model vit_micro --cut 3 --compress none adc:0.1
     --epochs 12 --out "$out")
if [[ " $* " != *" --seed"* ]]; then job+=(--seed 1); fi

build_release split_train
rm -rf "$out"  # of an earlier demo; split_train itself overwrites nothing
"$build/examples/split_train" "${job[@]}" "$@"
