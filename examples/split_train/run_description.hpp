// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string

#include <splitvit/report/run.hpp>  // Run

#include "split_train/data.hpp"     // Data
#include "split_train/options.hpp"  // Options

namespace split_train {

/// What the run's log says before it begins.
splitvit::report::Run describe_run(const Options& options, const std::string& method,
                                   const Data& data);

}  // namespace split_train
