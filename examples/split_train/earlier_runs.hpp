// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>     // uint64_t
#include <filesystem>  // path
#include <string>      // string
#include <vector>      // vector

#include <splitvit/report/run.hpp>  // Row, Run

// What earlier runs have written into a folder.

namespace split_train {

/// What metrics.jsonl says of a run.
struct EarlierRun {
  splitvit::report::Run run = {};
  std::vector<splitvit::report::Row> steps = {};  ///< of --log-steps
  std::string lines = {};
  bool has_ended = false;
};

/// Whether both are runs of one method and seed.
inline bool is_same(const splitvit::report::Run& a, const splitvit::report::Run& b) {
  return a.method == b.method && a.seed == b.seed;
}

/// Whether a run with these settings goes on where `before` has ended: its length, such as "10
/// epochs", is a larger number of the same.
bool is_longer(const splitvit::report::Run& run, const splitvit::report::Run& before);

/// The runs of a metrics.jsonl, in the order in which they began.
/// Errors  StorageError naming file and line if it is missing, or holds what split_train does not
///         write.
std::vector<EarlierRun> read_earlier(const std::filesystem::path& jsonl);

/// Rewrites a metrics.jsonl: a run that has not ended has these rows, and its steps up to `step`.
/// Other runs stay.
/// Errors  StorageError.
void rewrite_jsonl(const std::filesystem::path& jsonl, const splitvit::report::Run& run,
                   std::uint64_t step);
/// The same for a metrics.csv.
void rewrite_csv(const std::filesystem::path& csv, const splitvit::report::Run& run);

}  // namespace split_train
