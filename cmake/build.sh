# SPDX-License-Identifier: MIT
# For demo.sh and test.sh, which read this file with `source`: set-up, then a release build.
#
# build_release TARGET...  builds those programs, or all if none is named. Afterwards $build is
# the build directory: build/release, or build/release-<CXX> if CXX names a compiler, so that
# the compilers do not disturb each other.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/release${CXX:+-${CXX##*/}}

build_release() {
  bash "$root/cmake/setup.sh"
  if [[ -z ${CMAKE_GENERATOR:-} && ! -e $build/CMakeCache.txt ]] && command -v ninja >/dev/null; then
    export CMAKE_GENERATOR=Ninja
  fi
  (cd "$root" && cmake --preset release -B "$build")
  local targets=()
  if (($# > 0)); then targets=(--target "$@"); fi
  cmake --build "$build" --parallel "${SPLITVIT_JOBS:-$(nproc)}" "${targets[@]}"
}
