// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>  // byte
#include <cstdint>  // uint64_t
#include <string>   // to_string
#include <utility>  // exchange, move
#include <vector>   // vector

#include <splitvit/core/error.hpp>  // WireError
#include <splitvit/wire/frame.hpp>  // MessageKind

// StepGate: the server applies every step exactly once, however often it is asked.

namespace splitvit::wire {

/// Numbers steps from 1 and keeps the reply to the last one.
class StepGate {
 public:
  enum class Verdict {
    compute,  ///< a new step: compute it, commit it, send the reply
    resend,   ///< the last step again: send reply(), compute nothing
  };

  explicit StepGate(std::uint64_t last = 0) : last_{last} {}

  /// What to do with step s.
  ///
  /// Errors  WireError (wrong_step) unless s is the last step or the one after it, or if it is
  ///         the last step and its reply is not here.
  Verdict arrive(std::uint64_t step) const {
    if (step == last_ + 1) return Verdict::compute;
    if (step == last_ && !reply_.empty()) return Verdict::resend;
    throw WireError(Reason::wrong_step, "step " + std::to_string(step) + " came, step " +
                                            std::to_string(last_ + 1) + " was expected");
  }

  /// Step s is applied and this is the payload of its reply. Returns the reply before it, whose
  /// memory may be used again.
  ///
  /// Errors  WireError (wrong_step) unless s is the step after the last.
  std::vector<std::byte> commit(std::uint64_t step, std::vector<std::byte> reply) {
    if (step != last_ + 1)
      throw WireError(Reason::wrong_step, "commit: step " + std::to_string(step) + " after step " +
                                              std::to_string(last_));
    last_ = step;
    return std::exchange(reply_, std::move(reply));
  }

  std::uint64_t last() const { return last_; }
  const std::vector<std::byte>& reply() const { return reply_; }

 private:
  std::uint64_t last_;
  std::vector<std::byte> reply_;
};

}  // namespace splitvit::wire
