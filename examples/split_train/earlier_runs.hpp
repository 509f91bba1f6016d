// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>  // path
#include <string>      // string
#include <vector>      // vector

#include <splitvit/report/run.hpp>  // Run

// What a comparison that was cut short has left in its folder.

namespace split_train {

/// What the files of a folder say of earlier runs.
struct EarlierRuns {
  std::vector<splitvit::report::Run> finished;  ///< in the order in which they ended
  std::string jsonl;                            ///< the lines of metrics.jsonl that are theirs
  std::vector<splitvit::report::Run> steps;  ///< of runs that have not ended: a row for each step
};

/// Errors  StorageError naming file and line if metrics.jsonl is missing, or holds what split_train
///         does not write.
EarlierRuns read_earlier(const std::filesystem::path& folder);

/// Rewrites metrics.csv and metrics.jsonl of a folder so that they hold the finished runs alone.
void keep_finished(const std::filesystem::path& folder, const EarlierRuns& runs);

}  // namespace split_train
