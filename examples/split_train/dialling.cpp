// SPDX-License-Identifier: MIT
#include "split_train/dialling.hpp"

#include <algorithm>  // min
#include <thread>     // sleep_for
#include <utility>    // exchange

#include <splitvit/core/error.hpp>         // Reason, ReasonedError, TransportError, WireError
#include <splitvit/transport/backoff.hpp>  // Backoff
#include <splitvit/wire/handshake.hpp>     // random_session_id

#include "split_train/cluster.hpp"     // connect_in_cluster
#include "split_train/protection.hpp"  // connect
#include "split_train/slow_link.hpp"   // through_line

namespace split_train {

namespace sv = splitvit;

bool is_of_connection(const std::exception& error) {
  if (dynamic_cast<const sv::TransportError*>(&error) != nullptr) return true;
  const auto* const of_server = dynamic_cast<const sv::WireError*>(&error);
  return of_server != nullptr && of_server->reason() == sv::Reason::in_use;
}

void dial(const Options& options, const sv::transport::Endpoint& server,
          std::chrono::nanoseconds patience, const std::function<void(sv::transport::AnyLink)>& use,
          const std::function<void()>& while_waiting) {
  using sv::transport::Clock;
  const auto end = Clock::now() + patience;
  sv::transport::Backoff backoff{{.seed = sv::wire::random_session_id()[0]}};
  bool was_refused = false;
  while (true) {
    try {
      return use(
          through_line(options, options.mpi ? connect_in_cluster() : connect(options, server)));
    } catch (const sv::ReasonedError& error) {
      const bool is_refused = error.reason() == sv::Reason::refused;
      if (!is_of_connection(error) || Clock::now() >= end) throw;
      if (std::exchange(was_refused, is_refused) && is_refused) throw;
    }
    const auto next = std::min(Clock::now() + backoff.next(), end);
    while (Clock::now() < next) {
      while_waiting();
      std::this_thread::sleep_for(
          std::min<std::chrono::nanoseconds>(next - Clock::now(), std::chrono::milliseconds{50}));
    }
  }
}

}  // namespace split_train
