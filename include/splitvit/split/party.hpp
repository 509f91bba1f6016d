// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>      // minutes, nanoseconds
#include <cstdint>     // uint64_t
#include <functional>  // function
#include <string>      // to_string

#include <splitvit/core/error.hpp>       // WireError
#include <splitvit/optim/clip.hpp>       // clip_gradients
#include <splitvit/optim/optimizer.hpp>  // Optimizer
#include <splitvit/tensor/reduce.hpp>    // all_finite
#include <splitvit/wire/handshake.hpp>   // Settings
#include <splitvit/wire/message.hpp>     // message_ceiling

// What client and server have in common: how a step's gradients become new weights, and how
// long to wait for the other side.

namespace splitvit::split {

/// How a party learns, besides its update rule.
struct TrainingOptions {
  /// The learning rate of a step, counted from 0; none keeps that of the rule. See
  /// optim/schedule.hpp.
  std::function<double(std::uint64_t step)> schedule = {};
  double clip_norm = 0;  ///< gradients of this party are scaled down to this norm; 0: never
};

/// How long a party waits, how much it accepts, and on what it insists.
struct LinkOptions {
  std::chrono::nanoseconds handshake_timeout = std::chrono::seconds{10};
  /// The longest silence between two messages, on a link that has deadlines.
  std::chrono::nanoseconds patience = std::chrono::minutes{10};
  std::uint64_t largest_message = wire::message_ceiling;  ///< bytes
  /// What else must be the same on both sides, such as {"seed", "7"}; see wire/handshake.hpp.
  wire::Settings agreed = {};
};

namespace detail {

/// Clears gradients when it goes out of scope, so that a step that fails leaves none behind.
template <class Optimizer>
class ClearedGradients {
 public:
  explicit ClearedGradients(Optimizer& optimizer) : optimizer_{optimizer} {}
  ClearedGradients(const ClearedGradients&) = delete;
  ClearedGradients& operator=(const ClearedGradients&) = delete;
  ~ClearedGradients() { optimizer_.clear_gradients(); }

 private:
  Optimizer& optimizer_;
};

/// Applies the gradients that have been collected, as step `step` from 1, and clears them.
///
/// Errors  WireError (not_finite) if one of them is not finite; no weight has changed then.
template <class Optimizer>
void apply(Optimizer& optimizer, const TrainingOptions& options, std::uint64_t step) {
  for (const auto& [name, parameter] : optimizer.parameters())
    if (parameter.has_gradient() && !all_finite(parameter.gradient().view()))
      throw WireError(Reason::not_finite, "step " + std::to_string(step) + ": the gradient of " +
                                              name + " is not finite; the step is not applied");
  if (options.schedule) optimizer.set_learning_rate(options.schedule(step - 1));
  if (options.clip_norm > 0) optim::clip_gradients(optimizer.parameters(), options.clip_norm);
  optimizer.step();
  optimizer.clear_gradients();
}

}  // namespace detail

}  // namespace splitvit::split
