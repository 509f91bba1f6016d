// SPDX-License-Identifier: MIT
// What SPLITVIT_ONCE names (core/build.hpp), compiled for all files with SPLITVIT_SEPARATE 1.
#define SPLITVIT_SEPARATE_SOURCE 1
#include <splitvit/split/aggregator.hpp>
#include <splitvit/split/group_checkpoints.hpp>
#include <splitvit/splitvit.hpp>
