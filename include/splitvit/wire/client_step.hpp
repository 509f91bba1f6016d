// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>    // uint32_t, uint64_t
#include <stdexcept>  // logic_error
#include <string>     // to_string

#include <splitvit/core/error.hpp>        // Reason, WireError
#include <splitvit/wire/reply_cache.hpp>  // StepNumber

// ClientStep: the parts of a client's current step. The server answers them in order.

namespace splitvit::wire {

/// Counts the parts of a step that are sent and answered. `last` is the last step that the client
/// has applied.
class ClientStep {
 public:
  /// The number of the part that is sent next.
  StepNumber next(std::uint64_t last) const { return {last + 1, sent_}; }
  void sent() { ++sent_; }

  /// An answer has come.
  ///
  /// Errors  WireError (wrong_step) unless it answers the first part that waits for one.
  void answered(StepNumber at, std::uint64_t last) {
    const StepNumber expected{last + 1, answered_};
    if (answered_ == sent_ || at != expected)
      throw WireError(Reason::wrong_step,
                      "backward: an answer to " + at.text() + " came, " +
                          (answered_ == sent_ ? "none" : "one to " + expected.text()) +
                          " was expected");
    ++answered_;
  }

  /// Errors  std::logic_error unless parts are sent and all of them are answered.
  void require_answers(std::uint64_t last) const {
    if (sent_ == 0 || answered_ != sent_)
      throw std::logic_error("commit: " + std::to_string(answered_) + " of " +
                             std::to_string(sent_) + " parts of step " + std::to_string(last + 1) +
                             " are answered");
  }

 private:
  std::uint32_t sent_ = 0, answered_ = 0;
};

}  // namespace splitvit::wire
