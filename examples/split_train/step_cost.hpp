// SPDX-License-Identifier: MIT
#pragma once

#include <functional>  // function
#include <string>      // string

#include <splitvit/split/report.hpp>        // Seconds, Traffic
#include <splitvit/transport/endpoint.hpp>  // Endpoint

#include "split_train/data.hpp"     // Data
#include "split_train/options.hpp"  // Options

namespace split_train {

/// What the steps of a training cost.
struct StepCost {
  splitvit::Index measured = 0;  ///< steps that were measured
  splitvit::Index steps_of_epoch = 0;
  splitvit::split::Traffic traffic = {};     ///< of a step, a mean
  splitvit::split::Seconds seconds = {};     ///< of a step, a mean
  splitvit::split::Traffic evaluation = {};  ///< of an evaluation, from one batch of it
};

/// Connects, takes a few steps and evaluates one batch. `before_goodbye` is called while the server
/// still waits for more.
StepCost measure_steps(const Options& options, const std::string& method,
                       const splitvit::transport::Endpoint& server, const Data& data,
                       const std::function<void()>& before_goodbye);

}  // namespace split_train
