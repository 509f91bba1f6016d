#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two files of one program, for two instruction sets, linked in both orders. Exit status 77: not here.
#
#   run.sh CXX FLAGS-FILE
set -euo pipefail
grep -qw avx2 /proc/cpuinfo 2>/dev/null || { echo "no AVX2 here: nothing to compare"; exit 77; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compile() { "$1" -std=c++20 -O2 "@$2" "${@:3}"; }
compile "$1" "$2" -march=x86-64 -DPART=narrow -c "$here/part.cpp" -o "$work/narrow.o"
compile "$1" "$2" -march=x86-64-v3 -DPART=wide -c "$here/part.cpp" -o "$work/wide.o"
for order in "narrow wide" "wide narrow"; do
  read -r first second <<<"$order"
  "$1" -std=c++20 "$here/main.cpp" "$work/$first.o" "$work/$second.o" -o "$work/program" -pthread ${3:+"$3"}
  "$work/program"
done
