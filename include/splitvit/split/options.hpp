// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>     // size_t
#include <cstdint>     // uint32_t, uint64_t
#include <functional>  // function
#include <stdexcept>   // invalid_argument
#include <string>      // string

#include <splitvit/wire/handshake.hpp>        // Settings, any_value
#include <splitvit/wire/session_options.hpp>  // SessionOptions

// Options of the parties: how they train, and how they communicate.

namespace splitvit::split {

/// How a party trains, besides its update rule.
struct TrainingOptions {
  /// The learning rate of a step, counted from 0; empty: the rule's own. See optim/schedule.hpp.
  std::function<double(std::uint64_t step)> schedule = {};
  double clip_norm = 0;  ///< gradients of this party are scaled down to this norm; 0: never
};

struct ClientOptions {
  std::uint64_t seed = 0;    ///< of the random draws of stage and codec
  std::uint32_t client = 0;  ///< number of this client; clients with equal seeds draw differently
  std::string method = {};   ///< name of the stage in the handshake; empty: its description
  TrainingOptions training = {};
  wire::SessionOptions session = {};  ///< times and limits
  /// What else must be the same on both sides, such as {"seed", "7"}; see wire/handshake.hpp.
  wire::Settings agreed = {};
};

struct ServerOptions {
  std::uint64_t seed = 0;                ///< of the random draws of the codec
  std::string method = wire::any_value;  ///< the name that the client must give its stage
  TrainingOptions training = {};
  wire::SessionOptions session = {};  ///< times and limits
  wire::Settings agreed = {};         ///< as the client's
  /// Sessions that are open, or kept so that a client whose link broke can come back. Where there
  /// is no room for a new one, the oldest that is not open is forgotten.
  std::size_t most_sessions = 64;
};

/// Errors  std::invalid_argument for heartbeats: a party that sends them must read and tick while
///         it computes, and the drivers do not.
inline void require_no_heartbeat(const char* party, const wire::SessionOptions& options) {
  if (options.heartbeat.count() != 0)
    throw std::invalid_argument(std::string{party} +
                                ": session.heartbeat must be 0, since this party does not read "
                                "while it computes; use idle_timeout");
}

}  // namespace splitvit::split
