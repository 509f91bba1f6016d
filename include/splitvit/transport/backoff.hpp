// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min
#include <chrono>     // milliseconds, nanoseconds, seconds

#include <splitvit/core/random.hpp>  // Rng

namespace splitvit::inline SPLITVIT_BUILD::transport {

/// How long to wait before each attempt to connect again: a random part of a limit, which doubles
/// from 0.2 s to 20 s, so that many clients of one server do not come back together.
///
///   for (Backoff backoff{rng}; !connected(); std::this_thread::sleep_for(backoff.next())) ...
class Backoff {
 public:
  explicit Backoff(Rng draws) : draws_{draws} {}

  std::chrono::nanoseconds next() {
    const auto wait = std::chrono::duration_cast<std::chrono::nanoseconds>(
        draws_.uniform() * std::chrono::duration<double>{limit_});
    limit_ = std::min<std::chrono::milliseconds>(2 * limit_, std::chrono::seconds{20});
    return wait;
  }

 private:
  Rng draws_;
  std::chrono::milliseconds limit_{200};
};

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
