// SPDX-License-Identifier: MIT
#pragma once

#include <functional>  // function

#include <splitvit/wire/handshake.hpp>  // SessionId

namespace splitvit::inline SPLITVIT_BUILD::split {

/// What has become of a client's session at the server.
struct SessionEvent {
  enum class Kind {
    refused,  ///< the client was not admitted
    began,
    resumed,  ///< after an earlier connection
    lost,     ///< without a goodbye; it may be resumed
    ended,    ///< with a goodbye
  };

  Kind kind = Kind::refused;
  wire::SessionId id = {};  ///< zero if it was not admitted
  std::uint64_t step = 0;   ///< the last one that is applied
  std::string reason = {};  ///< of refused and lost
};

using OnSessionEvent = std::function<void(const SessionEvent&)>;

}  // namespace splitvit::inline SPLITVIT_BUILD::split
