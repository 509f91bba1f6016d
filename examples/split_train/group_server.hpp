// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string

#include <splitvit/report/run.hpp>  // Run

#include "split_train/data.hpp"     // Data
#include "split_train/options.hpp"  // Options
#include "split_train/output.hpp"   // Output

namespace split_train {

/// The server of a group: serves all its clients at the same time until they have finished, and
/// says every ten seconds for whom it waits. Writes a row, and the joined model, whenever client 1
/// has evaluated the average. What fails after the start is part of the run.
///
/// Errors  UsageError where the images cannot be shared out so.
splitvit::report::Run run_group_server(const Options& options, const std::string& method,
                                       const Data& data, Output& output);

}  // namespace split_train
