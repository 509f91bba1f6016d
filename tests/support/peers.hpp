// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // min
#include <array>       // array
#include <chrono>      // nanoseconds
#include <cstddef>     // byte, size_t
#include <cstring>     // memcpy
#include <functional>  // function
#include <optional>    // optional
#include <vector>      // vector

#include <splitvit/wire/session.hpp>  // Session

#include "support/drain.hpp"  // drain

// Two sessions in virtual time, without a link.

namespace splitvit::test {

using OnEvent = std::function<void(const wire::Event&)>;

/// Gives bytes to a session, and each message to `on_event`.
inline void feed(
    wire::Session& session, wire::Bytes bytes, wire::Time now,
    const OnEvent& on_event = [](const wire::Event&) {}) {
  while (!bytes.empty()) {
    const auto into = session.space();
    const std::size_t n = std::min(into.size(), bytes.size());
    std::memcpy(into.data(), bytes.data(), n);
    bytes = bytes.subspan(n);
    if (const auto event = session.filled(n, now)) on_event(*event);
  }
}

/// A client and a server with their states. `connect` begins another connection.
struct Peers {
  wire::SessionOptions client_options = {}, server_options = {};
  wire::SessionState at_client = {}, at_server = {};
  std::vector<std::uint64_t> client_generations = {}, server_generations = {};
  wire::Time now = {};
  std::optional<wire::Session> client = {}, server = {};

  void begin() {
    client.emplace(wire::Session::client(at_client, {}, client_options, now, client_generations));
    server.emplace(wire::Session::server(server_options, now));
  }
  void say_hello() { feed(*server, drain(*client, now), now); }
  void connect() {
    begin();
    say_hello();
    server->admit(at_server, server_generations);
    feed(*client, drain(*server, now), now);
  }
  void pass(std::chrono::nanoseconds time) { now += time; }

  void ask(wire::Bytes contents = {}) { client->send_step(std::array{contents}); }
  /// What the client has queued arrives.
  void up(const OnEvent& on_event = [](const wire::Event&) {}) {
    feed(*server, drain(*client, now), now, on_event);
  }
  void down(const OnEvent& on_event = [](const wire::Event&) {}) {
    feed(*client, drain(*server, now), now, on_event);
  }
  void answer(wire::Bytes contents = {}) {
    server->new_reply().assign(contents.begin(), contents.end());
    server->prepare();
    server->commit();
  }
  /// A whole step of one part.
  void step() {
    ask();
    up();
    answer();
    down();
    client->commit();
  }
};

}  // namespace splitvit::test
