#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How long does a file take to compile that includes splitvit.hpp and trains deit_tiny?
#
#   compile_time.sh [--rounds N] [--json FILE]      CXX and CXXFLAGS (-O2 -march=native) from outside
set -euo pipefail
rounds=3 json=
while (($# > 0)); do
  case $1 in
    --rounds) rounds=$2; shift 2 ;;
    --json) json=$2; shift 2 ;;
    *) echo "usage: compile_time.sh [--rounds N] [--json FILE]" >&2; exit 2 ;;
  esac
done
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/train.cpp" <<'CODE'
#include <splitvit/splitvit.hpp>
using namespace splitvit;
int main() {
  const auto vit = nn::make_vit<float>(nn::vit_named("deit_tiny"), Rng{.seed = 1});
  optim::Optimizer optimizer{optim::Adam{}, nn::parameters<float>(vit)};
  const Tensor<float> images{Shape{2, 3, 224, 224}};
  const std::vector<Index> labels{1, 2};
  backward(cross_entropy(vit(Variable<float>{images}), labels));
  optimizer.step();
}
CODE
times=()
for ((i = 0; i < rounds; ++i)); do
  begin=$(date +%s.%N)
  # shellcheck disable=SC2086
  "${CXX:-g++}" -std=c++20 ${CXXFLAGS:--O2 -march=native} -DSPLITVIT_USE_TBB=1 \
    -DSPLITVIT_USE_XSIMD=1 -I"$root/include" -isystem /usr/include/eigen3 -c "$work/train.cpp" \
    -o "$work/train.o"
  times+=("$(awk -v a="$begin" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')")
done
readarray -t sorted < <(printf '%s\n' "${times[@]}" | sort -g)
median=${sorted[$((rounds / 2))]}
echo "${CXX:-g++} ${CXXFLAGS:--O2 -march=native}: median $median s (${sorted[0]} to ${sorted[-1]}, $rounds rounds)"
if [[ -n $json ]]; then
  printf '[{"name": "compile time", "value": %s, "unit": "s", "min": %s, "max": %s, "rounds": %s}]\n' \
    "$median" "${sorted[0]}" "${sorted[-1]}" "$rounds" >"$json"
fi
