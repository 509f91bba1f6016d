// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>  // atomic
#include <string>  // string
#include <vector>  // vector

#include <splitvit/core/shape.hpp>           // Index
#include <splitvit/split/service.hpp>        // Service
#include <splitvit/split/session_event.hpp>  // SessionEvent

namespace split_train {

/// What a server prints while it serves: a line with time, peer and session whenever a client
/// connects, is lost, comes back or has finished, and, on SIGUSR1, who is served. There is one.
class ServerLog {
 public:
  /// A quiet log prints only what goes wrong, and answers SIGUSR1.
  explicit ServerLog(bool quiet);

  void add(const std::string& peer, const splitvit::split::SessionEvent& event);
  /// How many trainings have ended with a goodbye.
  splitvit::Index finished() const { return finished_; }

  /// If SIGUSR1 came since the last call, prints who is served and the step reached.
  void answer_signal(splitvit::split::Service<float>& service) const;

 private:
  bool quiet_;
  std::atomic<splitvit::Index> finished_ = 0;
};

}  // namespace split_train
