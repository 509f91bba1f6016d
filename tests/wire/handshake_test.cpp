// SPDX-License-Identifier: MIT
#include <splitvit/wire/handshake.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using test::reason_of;

namespace {

const Settings own_settings{{"model", "vit"},  {"image", "32"},   {"cut", "2"},
                            {"classes", "10"}, {"method", "adc"}, {"codec", "float32"},
                            {"seed", "42"},    {"dtype", "f32"}};
const Hello full_hello{.versions = {1, 3},
                       .largest_message = 1 << 20,
                       .heartbeat_ms = 5000,
                       .session = {1, 2},
                       .connection = 4,
                       .client = 5,
                       .last_step = 70,
                       .generations = {50, 60},
                       .settings = own_settings};
const Welcome full_welcome{.version = 2,
                           .largest_message = 1 << 19,
                           .heartbeat_ms = 1000,
                           .session = {1, 2},
                           .connection = 6,
                           .last_step = 71,
                           .generation = 60};

/// The first difference between two lists as a text, or "".
std::string difference_of(const Settings& client, const Settings& server) {
  const auto refusal = compare_settings(client, server);
  return refusal ? refusal->text() : "";
}

/// Why a payload with `count` bytes from `offset` on set to `value` is refused.
std::optional<Reason> hello_reason(std::size_t offset, std::size_t count, unsigned value) {
  auto payload = hello_payload({.settings = own_settings});
  for (std::size_t i = 0; i < count; ++i) payload[offset + i] = static_cast<std::byte>(value);
  return reason_of<WireError>([&] { read_hello(payload); });
}
std::optional<Reason> welcome_reason(std::size_t offset, std::size_t count, unsigned value) {
  auto payload = welcome_payload(full_welcome);
  for (std::size_t i = 0; i < count; ++i) payload[offset + i] = static_cast<std::byte>(value);
  return reason_of<WireError>([&] { read_welcome(payload, full_hello); });
}

}  // namespace

TEST_CASE("hello: every field arrives", "[wire]") {
  const auto [came, refusal] = read_hello(hello_payload(full_hello), {2, 2});
  CHECK_FALSE(refusal);
  CHECK(came.versions == full_hello.versions);
  CHECK(came.largest_message == 1 << 20);
  CHECK(came.heartbeat_ms == 5000);
  CHECK(came.session == SessionId{1, 2});
  CHECK(came.connection == 4);
  CHECK(came.client == 5);
  CHECK(came.last_step == 70);
  CHECK(came.generations == std::vector<std::uint64_t>{50, 60});
  CHECK(came.settings == own_settings);
}

TEST_CASE("welcome: every field arrives", "[wire]") {
  const Welcome came = read_welcome(welcome_payload(full_welcome), full_hello);
  CHECK(came.version == 2);
  CHECK(came.largest_message == 1 << 19);
  CHECK(came.heartbeat_ms == 1000);
  CHECK(came.session == SessionId{1, 2});
  CHECK(came.connection == 6);
  CHECK(came.last_step == 71);
  CHECK(came.generation == std::uint64_t{60});
  Welcome none = full_welcome;
  none.generation.reset();
  CHECK_FALSE(read_welcome(welcome_payload(none), full_hello).generation);
}

TEST_CASE("refuse: a busy server says whom it serves, and may be asked again", "[wire]") {
  const Refusal came = read_refusal(refusal_payload(Refusal::busy("serving 1 of 1")));
  CHECK(came.text() == "busy: serving 1 of 1");
  CHECK(came.reason() == Reason::in_use);
  CHECK(may_retry(came.reason()));
  CHECK(Refusal{"cut", "2", "3"}.reason() == Reason::refused);
  CHECK(Refusal{"busy", "no", "yes"}.reason() == Reason::refused);  // a setting of that name
}

TEST_CASE("refuse: its texts arrive, cut and fit for a terminal", "[wire]") {
  const Refusal came = read_refusal(refusal_payload({"cut", "2", "3"}));
  CHECK(came.text() == "handshake refused: cut: the client has 2, the server has 3");
  const Refusal odd =
      read_refusal(refusal_payload({std::string(100, 'k'), "\x1b[2J", std::string(2000, 'v')}));
  CHECK(odd.field == std::string(64, 'k'));
  CHECK(odd.client == "?[2J");
  CHECK(odd.server == std::string(1024, 'v'));
  auto payload = refusal_payload({"cut", "2", "3"});
  for (std::size_t size = 0; size < payload.size(); ++size)
    CHECK(reason_of<WireError>([&] { read_refusal(Bytes{payload}.first(size)); }) ==
          Reason::truncated);
  payload.push_back(std::byte{0});
  CHECK(reason_of<WireError>([&] { read_refusal(payload); }) == Reason::malformed);
  payload[3] = std::byte{0xFF};
  CHECK(reason_of<WireError>([&] { read_refusal(payload); }) == Reason::too_long);
}

TEST_CASE("compare_settings: the order does not matter", "[wire]") {
  CHECK(difference_of(own_settings, {own_settings.rbegin(), own_settings.rend()}) == "");
  CHECK(difference_of({}, {}) == "");
}

TEST_CASE("compare_settings: any setting that differs is named with both values", "[wire]") {
  for (std::size_t i = 0; i < own_settings.size(); ++i) {
    Settings other = own_settings;
    other[i].value = "other";
    const auto& [key, value] = own_settings[i];
    CHECK(difference_of(other, own_settings) ==
          "handshake refused: " + key + ": the client has other, the server has " + value);
    CHECK(difference_of(own_settings, other) ==
          "handshake refused: " + key + ": the client has " + value + ", the server has other");
  }
}

TEST_CASE("compare_settings: a server that takes any value takes it only for that key", "[wire]") {
  Settings open = own_settings;
  open[4].value = any_value;
  Settings other = own_settings;
  other[4].value = "identity";
  CHECK(difference_of(other, open) == "");
  CHECK(difference_of(open, own_settings) != "");  // a client has no such choice
  other[5].value = "float16";
  CHECK(difference_of(other, open) != "");
  other.erase(other.begin() + 4);
  CHECK(difference_of(other, open) != "");
}

TEST_CASE("compare_settings: a setting that one side lacks is named", "[wire]") {
  for (std::size_t i = 0; i < own_settings.size(); ++i) {
    Settings fewer = own_settings;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    const std::string& key = own_settings[i].key;
    CHECK_THAT(difference_of(fewer, own_settings),
               ContainsSubstring(key + ": the client has no such setting"));
    CHECK_THAT(difference_of(own_settings, fewer),
               ContainsSubstring(key + ": the client has " + own_settings[i].value +
                                 ", the server has no such setting"));
  }
  CHECK_THROWS_AS(compare_settings({}, {{"", "x"}}), std::invalid_argument);
}

TEST_CASE("hello: versions without overlap refuse each other politely", "[wire]") {
  const auto text = [](Bytes payload, const Versions& own) {
    const auto came = read_hello(payload, own);
    return came.refusal ? came.refusal->text() : "";
  };
  const auto payload = hello_payload({.settings = own_settings});
  CHECK(text(payload, {2, 3}) ==
        "handshake refused: protocol version: the client has 1 to 1, the server has 2 to 3");
  CHECK(text(payload, {0, 0}) != "");
  CHECK(text(payload, {0, 7}) == "");

  // A client from the future may say things behind the versions that nobody understands yet.
  auto future = test::random_bytes(50);
  future[0] = std::byte{9}, future[1] = std::byte{0}, future[2] = std::byte{9},
  future[3] = std::byte{0};
  CHECK_THAT(text(future, {}), ContainsSubstring("9 to 9"));
  CHECK_THAT(text(Bytes{future}.first(4), {}), ContainsSubstring("9 to 9"));
}

TEST_CASE("hello: a capability that must be there and is not", "[wire]") {
  auto payload = hello_payload({.settings = own_settings});
  payload[8] = std::byte{255};  // optional ones are ignored
  CHECK_FALSE(read_hello(payload).refusal);
  payload[4] = std::byte{2};
  REQUIRE(read_hello(payload).refusal);
  CHECK(read_hello(payload).refusal->field == "required capabilities");
}

TEST_CASE("hello: what cannot be sent", "[wire]") {
  const auto sends = [](const Settings& list) { hello_payload({.settings = list}); };
  CHECK_THROWS_AS(sends({{"", "x"}}), std::invalid_argument);
  CHECK_THROWS_AS(sends({{std::string(65, 'k'), "x"}}), std::invalid_argument);
  CHECK_THROWS_AS(sends({{"k\n", "x"}}), std::invalid_argument);
  CHECK_THROWS_AS(sends({{"k", "\x1b"}}), std::invalid_argument);
  CHECK_THROWS_AS(sends({{"k", std::string(1025, 'v')}}), std::invalid_argument);
  CHECK_THROWS_AS(sends({{"k", "1"}, {"k", "2"}}), std::invalid_argument);
  CHECK_NOTHROW(sends({{std::string(64, 'k'), std::string(1024, 'v')}}));
  Settings long_list;
  for (int i = 0; i < 5; ++i) long_list.push_back({std::to_string(i), std::string(1000, 'v')});
  CHECK_THROWS_AS(sends(long_list), std::invalid_argument);
  CHECK_THROWS_AS(hello_payload({.largest_message = 100}), std::invalid_argument);
  CHECK_THROWS_AS(hello_payload({.largest_message = message_ceiling + 1}), std::invalid_argument);
  CHECK_THROWS_AS(hello_payload({.versions = {2, 1}}), std::invalid_argument);
  CHECK_NOTHROW(hello_payload({.generations = std::vector<std::uint64_t>(64)}));
  CHECK_THROWS_AS(hello_payload({.generations = std::vector<std::uint64_t>(65)}),
                  std::invalid_argument);
}

TEST_CASE("hello: every truncation and every extra byte is noticed", "[wire]") {
  auto payload = hello_payload(full_hello);
  for (std::size_t size = 0; size < payload.size(); ++size)
    REQUIRE(reason_of<WireError>([&] { read_hello(Bytes{payload}.first(size)); }) ==
            Reason::truncated);
  payload.push_back(std::byte{0});
  CHECK(reason_of<WireError>([&] { read_hello(payload); }) == Reason::malformed);
}

TEST_CASE("hello: hostile numbers", "[wire]") {
  CHECK(hello_reason(0, 0, 0) == std::nullopt);
  CHECK(hello_reason(0, 2, 0xFF) == Reason::malformed);   // oldest above newest
  CHECK(hello_reason(12, 8, 0xFF) == Reason::malformed);  // largest message 2^64 - 1
  CHECK(hello_reason(19, 1, 0x10) == Reason::malformed);  // largest message 2^60
  CHECK(hello_reason(12, 8, 0x00) == Reason::malformed);  // largest message 0
  CHECK(hello_reason(56, 2, 0xFF) == Reason::truncated);  // 65535 generations
  CHECK(hello_reason(58, 2, 0xFF) == Reason::truncated);  // 65535 settings
  CHECK(hello_reason(58, 2, 0x00) == Reason::malformed);  // none, but bytes are left
  CHECK(hello_reason(60, 4, 0xFF) == Reason::too_long);   // a key of 2^32 - 1 characters
  CHECK(hello_reason(64, 1, 0x00) == Reason::malformed);  // a key with a zero in it
  CHECK(hello_reason(20, 36, 0xFF) == std::nullopt);      // any id, any numbers
}

TEST_CASE("hello: lists that hello_payload would not send", "[wire]") {
  const auto reason = [](std::size_t generations, const Settings& list) {
    std::vector<std::byte> payload = hello_payload({});
    payload.resize(payload.size() - 4);  // the two counts
    ByteWriter out{payload};
    out.put(static_cast<std::uint16_t>(generations));
    for (std::size_t i = 0; i < generations; ++i) out.put(std::uint64_t{i});
    out.put(static_cast<std::uint16_t>(list.size()));
    for (const Setting& setting : list) {
      out.put_text(setting.key);
      out.put_text(setting.value);
    }
    return reason_of<WireError>([&] { read_hello(payload); });
  };
  CHECK(reason(64, own_settings) == std::nullopt);
  CHECK(reason(65, own_settings) == Reason::malformed);
  CHECK(reason(0, {{"", ""}}) == Reason::malformed);
  CHECK(reason(0, {{"k", "\x1b[2J"}}) == Reason::malformed);
  CHECK(reason(0, {{"k", "1"}, {"k", "1"}}) == Reason::malformed);
  CHECK(reason(0, {{std::string(65, 'k'), ""}}) == Reason::too_long);
  CHECK(reason(0, {{"k", std::string(1025, 'v')}}) == Reason::too_long);
}

TEST_CASE("welcome: what a server must not say", "[wire]") {
  CHECK(welcome_reason(0, 0, 0) == std::nullopt);
  CHECK(welcome_reason(0, 1, 4) == Reason::malformed);      // a version that was not offered
  CHECK(welcome_reason(2, 1, 1) == Reason::malformed);      // a capability that does not exist
  CHECK(welcome_reason(13, 1, 0x10) == Reason::malformed);  // largest message 2^60
  CHECK(welcome_reason(6, 8, 0) == Reason::malformed);      // largest message 0
  CHECK(welcome_reason(15, 1, 0xFF) == Reason::malformed);  // a longer heartbeat
  CHECK(welcome_reason(14, 4, 0) == std::nullopt);          // none: the server has a say
  CHECK(welcome_reason(18, 1, 9) == Reason::malformed);     // another session
  CHECK(welcome_reason(34, 4, 0) == Reason::malformed);     // connection 0
  CHECK(welcome_reason(34, 1, 4) == Reason::malformed);     // the last connection's number
  CHECK(welcome_reason(34, 1, 5) == std::nullopt);
  CHECK(welcome_reason(46, 1, 2) == Reason::malformed);
  CHECK(welcome_reason(46, 1, 0) == Reason::malformed);   // no generation, but a number
  CHECK(welcome_reason(47, 1, 51) == Reason::malformed);  // a generation that the client lacks
  CHECK(welcome_reason(47, 1, 50) == std::nullopt);

  Hello fresh = full_hello;
  fresh.session = {};
  CHECK_NOTHROW(read_welcome(welcome_payload(full_welcome), fresh));  // the server draws one
  Welcome nameless = full_welcome;
  nameless.session = {};
  CHECK(reason_of<WireError>([&] { read_welcome(welcome_payload(nameless), fresh); }) ==
        Reason::malformed);

  auto payload = welcome_payload(full_welcome);
  for (std::size_t size = 0; size < payload.size(); ++size)
    CHECK(reason_of<WireError>([&] { read_welcome(Bytes{payload}.first(size), full_hello); }) ==
          Reason::truncated);
  payload.push_back(std::byte{0});
  CHECK(reason_of<WireError>([&] { read_welcome(payload, full_hello); }) == Reason::malformed);
}

TEST_CASE("random_session_id: never the same, never zero", "[wire]") {
  CHECK(random_session_id() != random_session_id());
  CHECK(random_session_id() != SessionId{});
}

TEST_CASE("error message: text and reason arrive", "[wire]") {
  std::string text;
  const auto payload = error_payload(Reason::wrong_step, "step 7 came");
  CHECK(reason_of<WireError>([&] { throw_peer_error(payload); }, &text) == Reason::peer_failed);
  CHECK(text == "the peer gave up: step 7 came");
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

TEST_CASE("printable: only plain characters are left", "[wire]") {
  CHECK(wire::detail::printable("cut = 6 ~ ok!") == "cut = 6 ~ ok!");
  CHECK(wire::detail::printable(std::string{"a\0b\n\x1b[31m\x7f\xc3\xa9", 12}) == "a?b??[31m???");
  CHECK(wire::detail::printable("") == "");
}

TEST_CASE("handshake: versions and settings that differ in one value are not equal", "[wire]") {
  CHECK(Versions{.oldest = 1, .newest = 2} != Versions{.oldest = 2, .newest = 2});
  CHECK(Versions{.oldest = 1, .newest = 2} != Versions{.oldest = 1, .newest = 3});
  CHECK(Setting{"cut", "6"} != Setting{"cut", "7"});
  CHECK(Setting{"cut", "6"} != Setting{"dim", "6"});
}
