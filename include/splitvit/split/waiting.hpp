// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>              // milliseconds
#include <condition_variable>  // condition_variable
#include <functional>          // function
#include <mutex>               // mutex, unique_lock

#include <splitvit/core/error.hpp>  // WireError

namespace splitvit::inline SPLITVIT_BUILD::split {

/// Threads that wait, each for something else that is guarded by one mutex. Of many only those are
/// woken that can go on. Use it under that mutex.
class Waiting {
 public:
  /// Waits until `is_ready()`. `look_around()` is called ten times a second meanwhile. What they
  /// throw ends the wait.
  void wait(std::unique_lock<std::mutex>& guard, const std::predicate<> auto& is_ready,
            const std::invocable<> auto& look_around) {
    if (is_ready()) return;
    One mine{[&is_ready] { return is_ready(); }};
    const Listed listed{all_, &mine};
    do {
      mine.changed.wait_for(guard, std::chrono::milliseconds{100});
      look_around();
    } while (!is_ready());
  }

  /// Something has changed: wakes those that are ready now.
  void wake() {
    for (One* const one : all_) {
      bool goes_on = true;
      try {
        goes_on = one->is_ready();
      } catch (const WireError&) {  // its thread hears of it
      }
      if (goes_on) one->changed.notify_one();
    }
  }

 private:
  struct One {
    std::function<bool()> is_ready;
    std::condition_variable changed = {};
  };
  /// It is in the list as long as this lives.
  struct Listed {
    Listed(std::vector<One*>& list, One* one) : all{list}, mine{one} { all.push_back(mine); }
    Listed(const Listed&) = delete;
    Listed& operator=(const Listed&) = delete;
    ~Listed() { std::erase(all, mine); }

    std::vector<One*>& all;
    One* mine;
  };

  std::vector<One*> all_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
