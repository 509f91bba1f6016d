// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>  // path
#include <vector>      // vector

#include <splitvit/report/run.hpp>  // Run

// What a comparison that was cut short has left in its folder.

namespace split_train {

/// The runs of metrics.jsonl that came to their end, in its order; none if there is no such file.
///
/// Errors  StorageError naming the file and the line for what split_train does not write.
std::vector<splitvit::report::Run> finished_runs(const std::filesystem::path& metrics_jsonl);

/// Rewrites metrics.csv and metrics.jsonl of a folder so that they hold these runs alone.
void keep_only(const std::filesystem::path& folder, const std::vector<splitvit::report::Run>& runs);

}  // namespace split_train
