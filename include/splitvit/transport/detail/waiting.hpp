// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>  // condition_variable
#include <mutex>               // mutex, unique_lock

#include <splitvit/transport/concepts.hpp>  // Clock, Deadline, no_deadline

namespace splitvit::inline SPLITVIT_BUILD::transport::detail {

/// Waits until `is_ready()` or the deadline, and returns whether it is ready. Another thread may
/// change the deadline meanwhile, under the lock; it then notifies.
inline bool wait_until_ready(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                             const Deadline& deadline, const auto& is_ready) {
  while (!is_ready()) {
    if (Clock::now() >= deadline) return false;
    if (deadline == no_deadline)
      changed.wait(lock);
    else
      changed.wait_until(lock, Deadline{deadline});  // a copy, since it may change
  }
  return true;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::transport::detail
