// SPDX-License-Identifier: MIT
#pragma once

#include "split_train/data.hpp"     // Data
#include "split_train/options.hpp"  // Options

// What a training would cost.

namespace split_train {

/// For each method takes a few real steps and prints the bytes, the time and the memory of a step,
/// of an epoch and of the run. Writes no file. Returns the exit code.
int dry_run(const Options& options, const Data& data);

}  // namespace split_train
