#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# setup.sh: makes sure that what splitvit is built with is there. On Debian and Ubuntu what is
# missing is installed, as root or through sudo; elsewhere it is named. Nothing missing: nothing
# done. SPLITVIT_EXTRA_PACKAGES adds packages, for the checks of contributors.
set -euo pipefail

packages=(g++ cmake ninja-build libeigen3-dev libtbb-dev libxsimd-dev catch2 libcli11-dev
  libjpeg-dev libpng-dev zlib1g-dev libssl-dev openssl)

say() { echo "setup: $*" >&2; }

older() {  # older A B: version A is before version B
  [[ $1 != "$2" && $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n1) == "$1" ]]
}

# Does a compiler there, named by CXX or the default one, know C++20 well enough?
compiler_fits() {
  local cxx=$1 version
  command -v "$cxx" >/dev/null || return 1
  version=$("$cxx" -dumpfullversion -dumpversion 2>/dev/null | head -n1) || return 1
  if "$cxx" --version 2>/dev/null | grep -qi clang; then
    ! older "$version" 14
  else
    ! older "$version" 12
  fi
}

cmake_fits() {
  command -v cmake >/dev/null || return 1
  local version
  version=$(cmake --version | sed -nE '1s/^cmake version ([0-9.]+).*/\1/p')
  [[ -n $version ]] && ! older "$version" 3.24
}

has_package() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed$'; }

# A package is needed unless it is installed or what it brings is there by other means.
needed() {
  case $1 in
    g++) ! compiler_fits "${CXX:-c++}" && [[ -z ${CXX:-} ]] ;;
    cmake) ! cmake_fits ;;
    ninja-build) ! command -v ninja >/dev/null ;;
    # A name that brings libjpeg-turbo on Debian and on Ubuntu.
    libjpeg-dev) ! has_package libjpeg62-turbo-dev && ! has_package libjpeg-turbo8-dev ;;
    clang-14) ! command -v clang++-14 >/dev/null ;;
    *) ! has_package "$1" ;;
  esac
}

finish() {
  local cxx=${CXX:-c++}
  if ! compiler_fits "$cxx"; then
    say "$cxx is missing or too old: splitvit needs g++ 12 or clang 14, or newer (set CXX)"
    exit 1
  fi
  if ! cmake_fits; then
    say "cmake is missing or older than 3.24 (a newer one: pipx install cmake)"
    exit 1
  fi
  exit 0
}

if ! command -v apt-get >/dev/null; then
  if ! compiler_fits "${CXX:-c++}" || ! cmake_fits; then
    say "please install a C++20 compiler (g++ 12 or clang 14, or newer), CMake 3.24 or newer,"
    say "Eigen 3.4 or newer and Catch2, and if you can oneTBB, xsimd, CLI11, Ninja,"
    say "libjpeg-turbo, libpng, zlib and OpenSSL 3"
  fi
  finish
fi

missing=()
for package in "${packages[@]}" ${SPLITVIT_EXTRA_PACKAGES:-}; do
  if needed "$package"; then missing+=("$package"); fi
done
((${#missing[@]} == 0)) && finish

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    say "please run as root: apt-get install ${missing[*]}"
    exit 1
  fi
  as_root=(sudo)
fi
say "installing ${missing[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
finish
