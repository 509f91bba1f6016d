// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // find, max, min

#include <splitvit/core/error.hpp>            // Reason, WireError
#include <splitvit/wire/handshake.hpp>        // Hello, Refusal, SessionId, Settings, Welcome
#include <splitvit/wire/session_options.hpp>  // SessionOptions
#include <splitvit/wire/session_state.hpp>    // SessionState

// Whether two parties can continue a session: hello of the client, decision of the server, and the
// check of its answer.

namespace splitvit::inline SPLITVIT_BUILD::wire {

/// The hello of a client in `state` with checkpoints of the steps `generations`.
inline Hello hello_of(const SessionState& state, Settings settings, const SessionOptions& options,
                      std::vector<std::uint64_t> generations) {
  return {.versions = options.versions,
          .largest_message = options.largest_message,
          .heartbeat_ms = options.heartbeat_ms(),
          .session = state.id,
          .connection = state.connection,
          .client = state.client,
          .last_step = state.steps.last(),
          .generations = std::move(generations),
          .settings = std::move(settings)};
}

/// A welcome, or the reason for a refusal.
struct WelcomeOrRefusal {
  Welcome welcome;
  std::optional<Refusal> refusal = {};
};

/// What a server in `state` with checkpoints of the steps `generations` answers. It refuses unless
/// both sides are at the same step, or the server is one step ahead and still has the reply, or is
/// at the newest common checkpoint, to which the client then returns; and when all connection
/// numbers are used up.
///
/// Errors  std::logic_error if the state belongs to another session than the hello.
inline WelcomeOrRefusal decide_admission(const Hello& hello, const SessionState& state,
                                         std::span<const std::uint64_t> generations,
                                         const SessionOptions& options) {
  if (state.id != SessionId{} && hello.session != SessionId{} && state.id != hello.session)
    throw std::logic_error("admit: the state belongs to another session than the hello");
  const std::uint64_t last = state.steps.last();
  Welcome welcome{.version = std::min(hello.versions.newest, options.versions.newest),
                  .largest_message = std::min(hello.largest_message, options.largest_message),
                  .heartbeat_ms = std::min(hello.heartbeat_ms, options.heartbeat_ms()),
                  .session = state.id != SessionId{} ? state.id : hello.session,
                  .connection = std::max(state.connection, hello.connection) + 1,
                  .last_step = last};
  for (const std::uint64_t step : hello.generations)
    if (std::find(generations.begin(), generations.end(), step) != generations.end() &&
        step >= welcome.generation.value_or(0))
      welcome.generation = step;

  const bool reply_lost = last > 0 && hello.last_step == last - 1 && state.steps.has_replies();
  if (hello.last_step != last && !reply_lost && welcome.generation != last)
    return {welcome, Refusal{"last step", std::to_string(hello.last_step), std::to_string(last)}};
  if (welcome.connection == 0)  // all numbers are used up
    return {welcome, Refusal{"connection", std::to_string(hello.connection),
                             std::to_string(state.connection)}};
  if (welcome.session == SessionId{}) welcome.session = random_session_id();
  return {welcome};
}

/// Checks that a client whose last step is `last` can continue after a welcome.
///
/// Errors  WireError (wrong_step) unless the server is at the same step, one step ahead, or at the
///         common checkpoint, to which this side then returns.
inline void check_welcome(const Welcome& welcome, std::uint64_t last) {
  if (welcome.last_step == last || welcome.last_step == last + 1 ||
      welcome.last_step == welcome.generation)
    return;
  throw WireError(Reason::wrong_step, {"welcome: the server has applied step ", welcome.last_step,
                                       ", this side step ", last});
}

/// Errors  WireError (refused, in_use) with the text of a refusal; as read_refusal.
[[noreturn]] inline void throw_refusal(Bytes payload) {
  const Refusal refusal = read_refusal(payload);
  throw WireError(refusal.reason(), refusal.text());
}

}  // namespace splitvit::inline SPLITVIT_BUILD::wire
