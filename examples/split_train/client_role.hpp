// SPDX-License-Identifier: MIT
#pragma once

#include <functional>  // function
#include <string>      // string

#include <splitvit/report/run.hpp>          // Run
#include <splitvit/transport/endpoint.hpp>  // Endpoint

#include "split_train/data.hpp"     // Data
#include "split_train/options.hpp"  // Options
#include "split_train/output.hpp"   // Output

namespace split_train {

/// The client's role: connects, trains with one method, and logs what it cost. Evaluates after
/// every epoch, and saves the joined model then. Goes on from a checkpoint where --resume finds
/// one, and over another connection where one is lost. What fails after the start is part of the
/// run.
///
/// Errors  UsageError for checkpoints that the run cannot go on from, or cannot be kept;
///         in role client a link that failed or a busy server, see is_of_connection; Interrupted
///         after a signal, when `on_interrupted` has been called and before the link is closed.
splitvit::report::Run run_client(
    const Options& options, const std::string& method, const splitvit::transport::Endpoint& server,
    const Data& data, Output& output, const std::function<void()>& on_interrupted = [] {});

}  // namespace split_train
