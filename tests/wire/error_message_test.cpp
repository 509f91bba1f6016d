// SPDX-License-Identifier: MIT
#include <splitvit/wire/error_message.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using test::reason_of;

TEST_CASE("error message: text and reason arrive", "[wire]") {
  std::string text;
  const auto payload = error_payload(Reason::wrong_step, "step 7 came");
  CHECK(reason_of<WireError>([&] { throw_peer_error(payload); }, &text) == Reason::peer_failed);
  CHECK(text == "the peer gave up: step 7 came (reason 8)");
}

TEST_CASE("error message: a text is cut, and cannot steer a terminal", "[wire]") {
  std::string text;
  const auto payload = error_payload(Reason::malformed, "\x1b[2J\n" + std::string(2000, 'x'));
  CHECK(reason_of<WireError>([&] { throw_peer_error(payload); }, &text) == Reason::peer_failed);
  CHECK_THAT(text, ContainsSubstring("?[2J?xxx"));
  CHECK(text.size() < 1100);
}

TEST_CASE("error message: a payload that is none", "[wire]") {
  auto payload = error_payload(Reason::malformed, "text");
  for (std::size_t size = 0; size < payload.size(); ++size)
    CHECK(reason_of<WireError>([&] { throw_peer_error(std::span{payload}.first(size)); }) ==
          Reason::truncated);
  payload.push_back(std::byte{0});
  CHECK(reason_of<WireError>([&] { throw_peer_error(payload); }) == Reason::malformed);
  payload.assign(5, std::byte{0xFF});
  CHECK(reason_of<WireError>([&] { throw_peer_error(payload); }) == Reason::too_long);
}
