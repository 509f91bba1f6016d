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

#include <cstdint>
#include <cstdlib>
#include <vector>

#include <splitvit/core/error.hpp>
#include <splitvit/wire/session.hpp>

#include "fuzz/recording.hpp"
#include "support/links.hpp"

namespace {

using namespace splitvit;

const wire::Settings settings{{"model", "vit"}, {"cut", "2"}, {"seed", "42"}};

void check(const wire::Session& session) {
  if (session.version != 1 || session.attach == 0 ||
      session.largest_message < wire::unadmitted_limit ||
      session.largest_message > wire::message_ceiling)
    std::abort();
}

void check(const wire::Answer& answer) {
  if (answer.payload.size() > wire::unadmitted_limit) std::abort();
  if (answer.kind == wire::MessageKind::welcome) check(answer.session);
  // The client must understand whatever the server says, and agree with it.
  try {
    wire::read_answer(answer.kind, answer.payload);
    if (answer.kind != wire::MessageKind::welcome) std::abort();
  } catch (const WireError& error) {
    if (error.reason() != Reason::refused) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const test::Recording came{data, size};
  const auto& [choice, bytes] = came;
  try {
    if ((choice & 2) != 0) {  // a payload
      if ((choice & 4) != 0)
        check(wire::answer_hello(bytes, settings, {}));
      else
        check(wire::read_answer(static_cast<wire::MessageKind>(choice / 16 % wire::message_kinds),
                                bytes));
    } else {  // frames
      wire::Channel channel{test::ScriptLink{bytes, came.piece()}};
      const wire::SessionOptions options{.id = {1, 2}};
      if ((choice & 4) != 0)
        check(wire::accept_session(channel, settings, options));
      else
        check(wire::connect_session(channel, settings, options));
    }
  } catch (const WireError&) {
  } catch (const TransportError&) {
  }
  return 0;
}
