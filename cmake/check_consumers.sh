#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check_consumers.sh: builds and runs tests/consumers/main.cpp as users would: splitvit in a
# folder, fetched, installed, by pkg-config, and with nothing but -I. Respects CXX and CMAKE_GENERATOR.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wpedantic -Werror"
consumers=$root/tests/consumers

fail() {
  echo "check_consumers: $1" >&2
  exit 1
}

# No consumer has modules; newer CMake would look for them, by a program that clang does not bring along.
configure() {  # name, then what to pass to cmake
  local name=$1
  shift
  if ! cmake -S "$consumers/$name" -B "$work/$name" -DCMAKE_CXX_FLAGS="$flags" \
      -DCMAKE_CXX_SCAN_FOR_MODULES=OFF "$@" \
      >"$work/$name.log" 2>&1; then
    cat "$work/$name.log" >&2
    fail "$name cannot be configured"
  fi
}

build_and_run() {
  cmake --build "$work/$1" >"$work/$1.log" 2>&1 || {
    cat "$work/$1.log" >&2
    fail "$1 cannot be built"
  }
  "$work/$1/consumer" | sed "s/^/$1: /"
}

# run_parts NAME PART...: runs the consumers of optional parts, as far as their libraries are here.
run_parts() {
  local name=$1 part
  shift
  for part in "$@"; do
    if [[ -x $work/$name/$part ]]; then
      "$work/$name/$part" | sed "s/^/$name, $part: /"
    else
      echo "-- a library is not here: a consumer of splitvit::$part is left out"
    fi
  done
}

echo "-- add_subdirectory, which must say nothing and build nothing of ours"
configure add_subdirectory -DSPLITVIT_DIR="$root"
if grep -i splitvit "$work/add_subdirectory.log" | grep -v '^-- Build files'; then
  fail "splitvit speaks while it is configured as a folder"
fi
build_and_run add_subdirectory
run_parts add_subdirectory mpi
if find "$work/add_subdirectory/splitvit" -name '*.o' | grep -q .; then
  fail "programs of splitvit were built as part of a user's project"
fi

echo "-- FetchContent"
tar -C "$root" --exclude=./build --exclude=./.git -czf "$work/splitvit.tar.gz" .
configure fetch_content -DSPLITVIT_URL="$work/splitvit.tar.gz"
build_and_run fetch_content

echo "-- install and find_package"
cmake -S "$root" -B "$work/build" -DSPLITVIT_BUILD_TESTS=OFF -DSPLITVIT_BUILD_EXAMPLES=OFF \
  -DSPLITVIT_BUILD_BENCH=OFF -DCMAKE_INSTALL_PREFIX="$work/prefix" >/dev/null
cmake --install "$work/build" >/dev/null
listed() { (cd "$1" && find . -type f | sort); }
diff <(listed "$root/include") <(listed "$work/prefix/include") || fail "not all was installed"
version=$(sed -nE 's/^#define SPLITVIT_VERSION_(MAJOR|MINOR|PATCH) ([0-9]+)$/\2/p' \
  "$root/include/splitvit/version.hpp" | paste -sd.)
configure find_package -DCMAKE_PREFIX_PATH="$work/prefix" -DSPLITVIT_WANTED="$version"
build_and_run find_package
run_parts find_package images tls mpi
if cmake -S "$consumers/find_package" -B "$work/newer" -DCMAKE_PREFIX_PATH="$work/prefix" \
    -DSPLITVIT_WANTED=99.0 >/dev/null 2>&1; then
  fail "version 99.0 was found, but $version is installed"
fi

echo "-- splitvit::separate, whose templates the user's file does not compile"
configure separate -DCMAKE_PREFIX_PATH="$work/prefix"
build_and_run separate
symbols=$(nm -C "$(find "$work/separate/CMakeFiles/consumer.dir" -name main.cpp.o)")
grep -q ' U .*Client<float>::train_step' <<<"$symbols" || fail "nothing is left to the library"
if grep ' W .*kernel::multiply' <<<"$symbols"; then
  fail "products were compiled in the user's file"
fi

# What a package of the system brings counts as the system's: its warnings are not ours.
as_system() { sed -E "s#-I(\\S*/eigen3)#-isystem \\1#" <<<"$1"; }

if command -v pkg-config >/dev/null; then
  echo "-- pkg-config, from another folder than the one installed to"
  mv "$work/prefix" "$work/moved"
  export PKG_CONFIG_PATH=$work/moved/share/pkgconfig
  found=$(pkg-config --modversion splitvit)
  [[ $found == "$version" ]] || fail "pkg-config says that $found is installed, not $version"
  # shellcheck disable=SC2046,SC2086
  "${CXX:-c++}" -std=c++20 -O1 $flags $(as_system "$(pkg-config --cflags splitvit)") \
    "$consumers/main.cpp" -o "$work/by_pkg_config" $(pkg-config --libs splitvit)
  "$work/by_pkg_config" | sed 's/^/pkg-config: /'
else
  echo "-- pkg-config is not here: left out"
fi

echo "-- a compile line without CMake"
eigen=$(pkg-config --cflags eigen3 2>/dev/null || echo -I/usr/include/eigen3)
# shellcheck disable=SC2046,SC2086
"${CXX:-c++}" -std=c++20 -O1 $flags -I"$root/include" $(as_system "$eigen") \
  "$consumers/main.cpp" -o "$work/plain" -pthread
"$work/plain" | sed 's/^/plain: /'
