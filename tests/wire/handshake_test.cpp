// SPDX-License-Identifier: MIT
#include <splitvit/wire/handshake.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using test::reason_of;

namespace {

const Settings settings{{"model", "vit"},  {"image", "32"},      {"cut", "2"},   {"classes", "10"},
                        {"method", "adc"}, {"codec", "float32"}, {"seed", "42"}, {"dtype", "f32"}};
const ServerSide server{.id = {1, 2}, .attach = 3};

/// What the client learns when both sides have these settings.
std::optional<Reason> outcome(const Settings& client, const Settings& at_server,
                              std::string* text = nullptr, const ServerSide& side = server) {
  const Answer answer = answer_hello(hello_payload(client), at_server, side);
  const auto reason = reason_of<WireError>([&] { read_answer(answer.kind, answer.payload); }, text);
  CHECK((answer.kind == MessageKind::welcome) == (reason == std::nullopt));
  if (text != nullptr) CHECK(answer.refusal == *text);
  return reason;
}

}  // namespace

TEST_CASE("handshake: equal settings agree on a session", "[wire]") {
  const Answer answer = answer_hello(hello_payload(settings, 1 << 20), settings, server);
  REQUIRE(answer.kind == MessageKind::welcome);
  const Session session = read_answer(answer.kind, answer.payload, 1 << 20);
  for (const Session& side : {session, answer.session}) {
    CHECK(side.version == 1);
    CHECK(side.id == SessionId{1, 2});
    CHECK(side.attach == 3);
    CHECK(side.largest_message == 1 << 20);  // the smaller of both
  }
}

TEST_CASE("handshake: the order of settings does not matter", "[wire]") {
  CHECK(outcome(settings, {settings.rbegin(), settings.rend()}) == std::nullopt);
  CHECK(outcome({}, {}) == std::nullopt);
}

TEST_CASE("handshake: any setting that differs is named with both values", "[wire]") {
  for (std::size_t i = 0; i < settings.size(); ++i) {
    Settings other = settings;
    other[i].value = "other";
    std::string text;
    CHECK(outcome(other, settings, &text) == Reason::refused);
    CHECK(text == "handshake refused: " + settings[i].key +
                      ": the client has other, the server has " + settings[i].value);
    CHECK(outcome(settings, other) == Reason::refused);
  }
}

TEST_CASE("handshake: a server that takes any value takes it only for that key", "[wire]") {
  Settings open = settings;
  open[4].value = any_value;
  Settings other = settings;
  other[4].value = "identity";
  CHECK(outcome(other, open) == std::nullopt);
  CHECK(outcome(open, settings) == Reason::refused);  // a client has no such choice
  other[5].value = "float16";
  CHECK(outcome(other, open) == Reason::refused);
  other.erase(other.begin() + 4);
  CHECK(outcome(other, open) == Reason::refused);
}

TEST_CASE("handshake: a setting that one side lacks is named", "[wire]") {
  for (std::size_t i = 0; i < settings.size(); ++i) {
    Settings fewer = settings;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    std::string text;
    CHECK(outcome(fewer, settings, &text) == Reason::refused);
    CHECK_THAT(text, ContainsSubstring(settings[i].key + ": the client has no such setting"));
    CHECK(outcome(settings, fewer, &text) == Reason::refused);
    CHECK_THAT(text, ContainsSubstring("the server has no such setting"));
  }
}

TEST_CASE("handshake: versions without overlap refuse each other politely", "[wire]") {
  std::string text;
  CHECK(outcome(settings, settings, &text, {.oldest = 2, .newest = 3}) == Reason::refused);
  CHECK(text ==
        "handshake refused: protocol version: the client has 1 to 1, the server has 2 to 3");
  CHECK(outcome(settings, settings, nullptr, {.oldest = 0, .newest = 0}) == Reason::refused);
  CHECK(outcome(settings, settings, nullptr, {.oldest = 0, .newest = 7}) == std::nullopt);

  // A client from the future may say things behind the versions that nobody understands yet.
  auto future = test::random_bytes(50);
  future[0] = std::byte{9}, future[1] = std::byte{0}, future[2] = std::byte{9},
  future[3] = std::byte{0};
  CHECK_THAT(answer_hello(future, settings, server).refusal, ContainsSubstring("9 to 9"));
}

TEST_CASE("handshake: a capability that must be there and is not", "[wire]") {
  auto hello = hello_payload(settings);
  hello[8] = std::byte{255};  // optional ones are ignored
  CHECK(answer_hello(hello, settings, server).kind == MessageKind::welcome);
  hello[4] = std::byte{2};
  const Answer answer = answer_hello(hello, settings, server);
  CHECK(answer.kind == MessageKind::refuse);
  CHECK_THAT(answer.refusal, ContainsSubstring("required capabilities"));
}

TEST_CASE("handshake: settings that cannot be sent", "[wire]") {
  const auto sends = [](const Settings& list) { hello_payload(list); };
  CHECK_THROWS_AS(sends({{"", "x"}}), std::invalid_argument);
  CHECK_THROWS_AS(sends({{std::string(65, 'k'), "x"}}), std::invalid_argument);
  CHECK_THROWS_AS(sends({{"k\n", "x"}}), std::invalid_argument);
  CHECK_THROWS_AS(sends({{"k", "\x1b"}}), std::invalid_argument);
  CHECK_THROWS_AS(sends({{"k", std::string(1025, 'v')}}), std::invalid_argument);
  CHECK_THROWS_AS(sends({{"k", "1"}, {"k", "2"}}), std::invalid_argument);
  Settings long_list;
  for (int i = 0; i < 5; ++i) long_list.push_back({std::to_string(i), std::string(1000, 'v')});
  CHECK_THROWS_AS(sends(long_list), std::invalid_argument);
  CHECK_THROWS_AS(hello_payload({}, 100), std::invalid_argument);
  CHECK_THROWS_AS(hello_payload({}, message_ceiling + 1), std::invalid_argument);
  CHECK_THROWS_AS(answer_hello(hello_payload({}), {{"", "x"}}, server), std::invalid_argument);
}

TEST_CASE("answer_hello: every truncation and every extra byte is noticed", "[wire]") {
  auto hello = hello_payload(settings);
  for (std::size_t size = 0; size < hello.size(); ++size)
    REQUIRE(reason_of<WireError>([&] {
              answer_hello(Bytes{hello}.first(size), settings, server);
            }) == Reason::truncated);
  hello.push_back(std::byte{0});
  CHECK(reason_of<WireError>([&] { answer_hello(hello, settings, server); }) == Reason::malformed);
}

TEST_CASE("answer_hello: hostile numbers", "[wire]") {
  const auto with = [](std::size_t offset, std::size_t count, unsigned value) {
    auto hello = hello_payload(settings);
    for (std::size_t i = 0; i < count; ++i) hello[offset + i] = static_cast<std::byte>(value);
    return reason_of<WireError>([&] { answer_hello(hello, settings, server); });
  };
  CHECK(with(0, 2, 0xFF) == Reason::malformed);   // oldest above newest
  CHECK(with(12, 8, 0xFF) == Reason::malformed);  // largest message 2^64 - 1
  CHECK(with(19, 1, 0x10) == Reason::malformed);  // largest message 2^60
  CHECK(with(12, 8, 0x00) == Reason::malformed);  // largest message 0
  CHECK(with(20, 2, 0xFF) == Reason::truncated);  // 65535 settings
  CHECK(with(20, 2, 0x00) == Reason::malformed);  // none, but bytes are left
  CHECK(with(22, 4, 0xFF) == Reason::too_long);   // a key of 2^32 - 1 characters
  CHECK(with(26, 1, 0x00) == Reason::malformed);  // a key with a zero in it
}

TEST_CASE("answer_hello: lists that hello_payload would not send", "[wire]") {
  const auto reason = [](const Settings& list) {
    std::vector<std::byte> hello = hello_payload({});
    hello.resize(hello.size() - 2);  // how many settings: the last number of an empty list
    ByteWriter out{hello};
    out.put(static_cast<std::uint16_t>(list.size()));
    for (const Setting& setting : list) {
      out.put_text(setting.key);
      out.put_text(setting.value);
    }
    return reason_of<WireError>([&] { answer_hello(hello, settings, server); });
  };
  CHECK(reason(settings) == std::nullopt);
  CHECK(reason({{"", ""}}) == Reason::malformed);
  CHECK(reason({{"k", "\x1b[2J"}}) == Reason::malformed);
  CHECK(reason({{"k", "1"}, {"k", "1"}}) == Reason::malformed);
  CHECK(reason({{std::string(65, 'k'), ""}}) == Reason::too_long);
  CHECK(reason({{"k", std::string(1025, 'v')}}) == Reason::too_long);
}

TEST_CASE("read_answer: what a server must not say", "[wire]") {
  const Answer good = answer_hello(hello_payload(settings), settings, server);
  const auto with = [&](std::size_t offset, std::size_t count, unsigned value) {
    auto payload = good.payload;
    for (std::size_t i = 0; i < count; ++i) payload[offset + i] = static_cast<std::byte>(value);
    return reason_of<WireError>([&] { read_answer(MessageKind::welcome, payload); });
  };
  CHECK(with(0, 1, 2) == Reason::malformed);      // a version that was not offered
  CHECK(with(18, 4, 0) == Reason::malformed);     // attach 0
  CHECK(with(29, 1, 0x10) == Reason::malformed);  // largest message 2^60
  CHECK(reason_of<WireError>([&] { read_answer(good.kind, good.payload, 4096); }) ==
        Reason::malformed);  // more than was offered
  for (std::size_t size = 0; size < good.payload.size(); ++size)
    CHECK(reason_of<WireError>([&] { read_answer(good.kind, Bytes{good.payload}.first(size)); }) ==
          Reason::truncated);
  CHECK(reason_of<WireError>([&] { read_answer(MessageKind::backward, good.payload); }) ==
        Reason::wrong_message);
  CHECK(reason_of<WireError>([&] {
          read_answer(MessageKind::error, error_payload(Reason::malformed, "no"));
        }) == Reason::peer_failed);
}

TEST_CASE("random_session_id: never the same", "[wire]") {
  CHECK(random_session_id() != random_session_id());
}
