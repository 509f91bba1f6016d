// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/report/progress.hpp>  // Progress
#include <splitvit/split/report.hpp>     // EpochReport

#include "split_train/options.hpp"  // Options

namespace split_train {

/// Shows on stderr how far training is, as --progress says.
splitvit::report::Progress make_progress(const Options& options);

/// Says how many activations of these steps were too large for the codec, if any were.
void note_saturated(splitvit::report::Progress& progress,
                    const splitvit::split::EpochReport& steps);

}  // namespace split_train
