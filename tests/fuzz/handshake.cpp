// SPDX-License-Identifier: MIT

// Fuzz target: a handshake in both roles with a hostile peer. Only our own errors may come out,
// and only a peer with the very same settings is welcome.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Itests
//       tests/fuzz/handshake.cpp -o handshake
//   ./handshake -malloc_limit_mb=4 -max_len=8192 <a new folder> tests/fuzz/corpus/handshake
//
// An input is a test::Recording; bit 2 of its choice is the role, and with bit 1 what came is not
// frames but the payload of one.
// corpus/make_corpus.cpp makes the first inputs.

#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <splitvit/core/error.hpp>
#include <splitvit/wire/io.hpp>

#include "fuzz/recording.hpp"
#include "support/links.hpp"

namespace {

using namespace splitvit;

const wire::Settings settings{{"model", "vit"}, {"cut", "2"}, {"seed", "42"}};
const wire::Hello own{.heartbeat_ms = 5000,
                      .session = {1, 2},
                      .connection = 3,
                      .last_step = 7,
                      .generations = {4, 6},
                      .settings = settings};

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const wire::Welcome& welcome) {
  require(welcome.version == 1 && welcome.connection > 0);
  require(welcome.session != wire::SessionId{});
  require(welcome.largest_message >= wire::unadmitted_limit);
  require(welcome.largest_message <= wire::message_ceiling);
}

/// What was understood can be sent, and is understood as the same.
void check(const wire::HelloOrRefusal& came) {
  if (came.refusal) {
    const auto payload = wire::refusal_payload(*came.refusal);
    require(wire::read_refusal(payload).text() == came.refusal->text());
    return;
  }
  const auto payload = wire::hello_payload(came.hello);
  require(wire::hello_payload(wire::read_hello(payload).hello) == payload);
  if (const auto refusal = wire::compare_settings(came.hello.settings, settings))
    require(wire::read_refusal(wire::refusal_payload(*refusal)).text() == refusal->text());
}

void read_payload(unsigned choice, wire::Bytes payload) {
  if ((choice & 4) != 0)
    check(wire::read_hello(payload));
  else if ((choice & 16) != 0)
    require(wire::read_refusal(payload).field.size() <= 64);
  else
    check(wire::read_welcome(payload, own));
}

/// A server that admits a client with the same settings, or a client that shakes hands.
void shake_hands(bool is_server, test::ScriptLink link) {
  wire::SessionState state{.id = {1, 2}, .connection = is_server ? 0u : 3u};
  state.steps.restart(7);
  const auto now = transport::Clock::now();
  auto session = is_server ? wire::Session::server({}, now)
                           : wire::Session::client(state, settings, {}, now, {4, 6});
  if (is_server) {
    state.id = {};
    wire::next(link, session, wire::MessageKind::hello);
    if (const auto refusal = wire::compare_settings(session.hello().settings, settings))
      session.refuse(*refusal);
    session.admit(state, {4, 6});
    wire::flush(link, session);
  } else {
    wire::next(link, session, wire::MessageKind::welcome);
  }
  require(session.is_open());
  check(session.agreed());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const test::Recording came{data, size};
  const auto& [choice, bytes] = came;
  try {
    if ((choice & 2) != 0)
      read_payload(choice, bytes);
    else
      shake_hands((choice & 4) != 0, test::ScriptLink{bytes, came.piece()});
  } catch (const WireError&) {
  } catch (const TransportError&) {
  }
  return 0;
}
