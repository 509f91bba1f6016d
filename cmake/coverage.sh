#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# coverage.sh [PERCENT]: how many branches of wire, split, io/checkpoint* and transport/tls* the tests
# of wire, split, io and tls take, as a table. It fails below PERCENT, 95 unless given. Counted are the
# conditions in the source, each once true and once false, by clang and llvm-cov: branches that compilers
# make for exceptions are not among them. Needs OpenSSL 3.
#
# SPLITVIT_CLANG (14) is the version of clang. `llvm-cov show -show-branches=count` on what it leaves in
# build/coverage names the branches that are not taken.
set -euo pipefail

least=${1:-95}
clang=${SPLITVIT_CLANG:-14}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=build/coverage
folders=(wire split io tls)
for tool in "clang++-$clang" "llvm-cov-$clang" "llvm-profdata-$clang"; do
  command -v "$tool" >/dev/null || { echo "coverage.sh: skipped: $tool is missing (apt-get install clang-$clang llvm-$clang)"; exit 77; }
done

cmake -B "$build" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_COMPILER="clang++-$clang" \
  -DCMAKE_CXX_FLAGS="-fprofile-instr-generate -fcoverage-mapping" -DCMAKE_CXX_FLAGS_DEBUG=-O1 \
  -DSPLITVIT_BUILD_BENCH=OFF -DSPLITVIT_USE_TLS=ON >/dev/null
cmake --build "$build" --parallel "${SPLITVIT_JOBS:-$(nproc)}" --target "${folders[@]/#/test_}" >&2

objects=()
for folder in "${folders[@]}"; do
  LLVM_PROFILE_FILE=$build/$folder.profraw SPLITVIT_SCHEDULES=${SPLITVIT_SCHEDULES:-3000} \
    "$build/tests/test_$folder" >&2
  objects+=(-object "$build/tests/test_$folder")
done
"llvm-profdata-$clang" merge -o "$build/all.profdata" "$build"/*.profraw

# The columns of a file: regions, missed, %; functions, ...; lines, ...; branches, missed, %.
"llvm-cov-$clang" report "${objects[@]:1}" -instr-profile "$build/all.profdata" -show-branch-summary \
  include/splitvit/wire include/splitvit/split include/splitvit/io/checkpoint*.hpp \
  include/splitvit/transport/tls*.hpp |
  awk -v least="$least" '
    $1 ~ /\.hpp$/ && $(NF - 2) > 0 {
      printf "%-36s %5d branches, %4d not taken\n", $1, $(NF - 2), $(NF - 1)
      all += $(NF - 2)
      missed += $(NF - 1)
    }
    END {
      taken = all > 0 ? 100 * (all - missed) / all : 0
      printf "%.1f %% of %d branches are taken, wanted %d %%\n", taken, all, least
      exit taken < least
    }'
