#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# demo.sh [options of split_train...]: installs what is missing, builds split_train, and trains a
# small ViT on the 60,000 images of Fashion-MNIST: with everything on the wire, with a tenth of it by
# ADC, and with a twentieth by merged tokens of 4 bits. One table, one report. Where no package of
# these images can be installed it trains on drawn shapes. Options replace those of the demo.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/build.sh"

package=dataset-fashion-mnist
images=/usr/share/datasets/fashion-mnist
out=$root/build/demo
job=(--role both --out "$out")

# unless_given "OTHER NAMES" OPTION VALUE...: adds the option unless the command line has it or
# one of the other names.
arguments=" $* "
unless_given() {
  local name
  for name in $1 "$2"; do [[ $arguments != *" $name"[\ =]* ]] || return 0; done
  job+=("${@:2}")
}

if [[ ! -e $images/train-images-idx3-ubyte.gz ]] && command -v apt-get >/dev/null; then
  SPLITVIT_EXTRA_PACKAGES=$package bash "$root/cmake/setup.sh" || true
fi
build_release split_train
if [[ -e $images/train-images-idx3-ubyte.gz ]]; then
  all=$(printf ",$images/%s-ubyte.gz" {train,t10k}-{images-idx3,labels-idx1})
  unless_given "" --data "idx:${all#,}"
  unless_given "" --lr 3e-3
  unless_given "--budget-mib" --schedule cosine
  unless_given "" --warmup 300
  unless_given "--steps --budget-mib" --epochs 4
else
  echo "demo: no package $package here; training on drawn shapes instead" >&2
  unless_given "" --data shapes
  unless_given "--steps --budget-mib" --epochs 12
fi
unless_given "" --model vit_micro
unless_given "" --cut 2
unless_given "" --compress none adc:0.1 merge-tokens:0.31@q:4
unless_given "" --seed 1

rm -rf "$out"  # of an earlier demo; split_train itself overwrites nothing
"$build/examples/split_train" "${job[@]}" "$@"
