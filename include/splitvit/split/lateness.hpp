// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>  // nanoseconds
#include <map>     // map
#include <mutex>   // lock_guard, mutex

#include <splitvit/transport/concepts.hpp>  // Clock, deadline_in

namespace splitvit::inline SPLITVIT_BUILD::split {

/// For how long the others have waited for each client of a group. A client whose message waits to
/// be computed is not waited for. Any thread may call it.
class Lateness {
 public:
  using Time = transport::Deadline;

  /// A client is late after the others have waited for it so long; 0: never.
  explicit Lateness(std::chrono::nanoseconds deadline) : deadline_{deadline} {}

  /// A message of the client has come, and is being computed while this object lives.
  class Hearing {
   public:
    Hearing(Lateness& lateness, std::uint32_t client) : lateness_{lateness}, client_{client} {
      const std::lock_guard lock{lateness_.guard_};
      ++lateness_.heard_[client_];
    }
    ~Hearing() {
      const std::lock_guard lock{lateness_.guard_};
      if (--lateness_.heard_[client_] == 0) lateness_.heard_.erase(client_);
      lateness_.since_.erase(client_);
    }
    Hearing(const Hearing&) = delete;
    Hearing& operator=(const Hearing&) = delete;

   private:
    Lateness& lateness_;
    std::uint32_t client_;
  };

  /// Those that are late, of those that are waited for now: from the first call with a client on,
  /// as long as every further call names it.
  std::vector<std::uint32_t> late(const std::vector<std::uint32_t>& awaited,
                                  Time now = transport::Clock::now()) {
    const std::lock_guard lock{guard_};
    std::map<std::uint32_t, Time> since;
    std::vector<std::uint32_t> some;
    for (const std::uint32_t client : awaited) {
      if (heard_.contains(client)) continue;
      const auto known = since_.find(client);
      const Time from = since[client] = known == since_.end() ? now : known->second;
      if (deadline_.count() > 0 && transport::deadline_in(deadline_, from) <= now)
        some.push_back(client);
    }
    since_ = std::move(since);
    return some;
  }

 private:
  std::chrono::nanoseconds deadline_;
  std::mutex guard_;
  std::map<std::uint32_t, int> heard_;   // messages that are being computed
  std::map<std::uint32_t, Time> since_;  // when the wait for it began
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
