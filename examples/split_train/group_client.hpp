// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string

#include <splitvit/report/run.hpp>  // Run

#include "split_train/data.hpp"     // Data
#include "split_train/options.hpp"  // Options
#include "split_train/output.hpp"   // Output

namespace split_train {

/// One client of a group: trains with its share of the images whenever its turn
/// has come. Client 1 evaluates the averages. Its run has its own steps and
/// bytes; the server has the model.
///
/// Errors  UsageError where the images cannot be shared out so. What the link
/// throws, once dialling
///         again is over.
splitvit::report::Run run_group_client(const Options& options, const std::string& method,
                                       const Data& data, Output& output);

}  // namespace split_train
