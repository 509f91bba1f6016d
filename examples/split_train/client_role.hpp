// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string

#include <splitvit/report/run.hpp>          // Run
#include <splitvit/transport/endpoint.hpp>  // Endpoint

#include "split_train/data.hpp"     // Data
#include "split_train/options.hpp"  // Options
#include "split_train/output.hpp"   // Output

// The client's role: trains with one method and logs what it cost.

namespace split_train {

/// What the run's log says before it begins.
splitvit::report::Run describe_run(const Options& options, const std::string& method,
                                   const Data& data);

/// Connects, trains, evaluates after every epoch, and fetches the server part of the model.
splitvit::report::Run run_client(const Options& options, const std::string& method,
                                 const splitvit::transport::Endpoint& server, const Data& data,
                                 Output& output);

}  // namespace split_train
