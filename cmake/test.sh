#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# test.sh [what to pass to ctest...]: installs what is missing, builds, and runs all tests.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/build.sh"

build_release
ctest --test-dir "$build" --output-on-failure --parallel "${SPLITVIT_JOBS:-$(nproc)}" "$@"
