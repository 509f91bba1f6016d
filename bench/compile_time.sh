#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How long do two files take to compile, and how much memory does the compiler ask for (g++ only)?
# 01_quickstart trains over a link; the other file trains an uncut deit_tiny. Each is compiled with
# the headers alone, and separately, with SPLITVIT_SEPARATE (core/build.hpp).
#
#   compile_time.sh [--rounds N] [--against DIR] [--json FILE]
#
# --against compiles the same files of another checkout in turn, from its own tree and with the
# headers alone, and shows the ratios. CXX and CXXFLAGS (-O2 -march=native) come from outside.
set -euo pipefail
rounds=5 against='' json=''
while (($# > 0)); do
  case $1 in
    --rounds) rounds=$2; shift 2 ;;
    --against) against=$(cd "$2" && pwd); shift 2 ;;
    --json) json=$2; shift 2 ;;
    *) echo "usage: compile_time.sh [--rounds N] [--against DIR] [--json FILE]" >&2; exit 2 ;;
  esac
done
command -v "${CXX:-g++}" >/dev/null || {
  echo "compile_time.sh: there is no compiler ${CXX:-g++} (apt-get install g++, or set CXX)" >&2
  exit 1
}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/uncut.cpp" <<'CODE'
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

# compile TREE FILE FLAG...: user seconds, and megabytes, 0 if the compiler does not say.
compile() {
  # shellcheck disable=SC2086
  (TIMEFORMAT='seconds %U'; time "${CXX:-g++}" -std=c++20 ${CXXFLAGS:--O2 -march=native} -ftime-report \
    -DSPLITVIT_USE_TBB=1 -DSPLITVIT_USE_XSIMD=1 -I"$1/include" -isystem /usr/include/eigen3 \
    "${@:3}" -c "$2" -o "$work/out.o") >"$work/log" 2>&1 || { cat "$work/log" >&2; return 1; }
  awk '/^ *TOTAL/ && $NF ~ /^[0-9]+M$/ { memory = $NF + 0 } /^seconds/ { seconds = $2 }
       END { print seconds, memory + 0 }' "$work/log"
}

# The median, the smallest and the largest number of a column of stdin.
spread() { awk '{ print $'"$1"' }' | sort -g | awk '{ x[NR] = $1 } END { print x[int((NR + 1) / 2)], x[1], x[NR] }'; }

records=()
for file in 01_quickstart uncut; do
  source=$root/examples/$file.cpp
  [[ $file == uncut ]] && source=$work/uncut.cpp
  for ((round = 0; round < rounds; ++round)); do
    compile "$root" "$source" >>"$work/$file.header-only"
    compile "$root" "$source" -DSPLITVIT_SEPARATE=1 >>"$work/$file.separate"
    [[ -n $against ]] || continue
    other=$against/examples/$file.cpp
    if [[ $file == uncut ]]; then
      other=$work/other_uncut.cpp
      sed -n '/^cat >/,/^CODE$/p' "$against/bench/compile_time.sh" | sed '1d;$d' >"$other"
    fi
    compile "$against" "$other" >>"$work/$file.other"
  done
  for way in header-only separate; do
    read -r seconds least most < <(spread 1 <"$work/$file.$way")
    read -r memory _ < <(spread 2 <"$work/$file.$way")
    echo "$file, $way: ${CXX:-g++} ${CXXFLAGS:--O2 -march=native}: $seconds user seconds" \
      "($least to $most, $rounds rounds), $memory MB"
    if [[ -n $against ]]; then
      paste -d' ' "$work/$file.$way" "$work/$file.other" |
        awk '{ print $1 / $3, $4 ? $2 / $4 : 0 }' >"$work/ratios"
      read -r ratio lower upper < <(spread 1 <"$work/ratios")
      read -r of_memory _ < <(spread 2 <"$work/ratios")
      echo "$file, $way: over $against: seconds $ratio ($lower to $upper), memory $of_memory"
    fi
    records+=("$(printf '{"name": "compile time, %s, %s", "value": %s, "unit": "s", "min": %s, "max": %s, "rounds": %s}' \
      "$file" "$way" "$seconds" "$least" "$most" "$rounds")")
  done
done
if [[ -n $json ]]; then
  printf '[%s]\n' "$(IFS=,; echo "${records[*]}")" >"$json"
fi
