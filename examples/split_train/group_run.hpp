// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string

#include <splitvit/report/run.hpp>  // Run

#include "split_train/data.hpp"     // Data
#include "split_train/options.hpp"  // Options
#include "split_train/output.hpp"   // Output

namespace split_train {

/// Trains with several clients, which this process simulates with their server. About once an
/// epoch, and at the end, client 1 evaluates the average on the test images, and the joined model
/// is saved. What fails after the start is part of the run.
///
/// Errors  UsageError where the images cannot be shared out so; Interrupted after a signal.
splitvit::report::Run run_group(const Options& options, const std::string& method, const Data& data,
                                Output& output);

}  // namespace split_train
