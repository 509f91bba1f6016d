// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstring>

#include <splitvit/wire/message.hpp>
#include <splitvit/wire/outbox.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/drain.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using test::bytes_of;
using test::random_bytes;
using test::reason_of;

namespace {

constexpr std::size_t mib = std::size_t{1} << 20;

/// The frames of one message.
std::vector<std::byte> frames_of(Outbox& writer, MessageKind kind, Bytes payload) {
  const std::uint64_t framed = writer.queue(kind, std::array{payload}).framed;
  auto out = test::drain(writer);
  CHECK(framed == out.size());
  return out;
}

/// One frame with any header; checksums are right.
std::vector<std::byte> frame(FrameHeader header, Bytes payload) {
  header.payload_crc = crc32c(payload);
  std::vector<std::byte> out;
  put_header(out, header);
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

/// Why a fresh reader refuses these bytes.
std::optional<Reason> refusal(Bytes bytes, std::uint64_t limit = unadmitted_limit) {
  return reason_of<WireError>([&] {
    MessageReader reader;
    reader.begin(0, limit);
    std::vector<std::byte> payload;
    test::feed(reader, bytes, payload, [](MessageKind) {});
  });
}

/// The names of all that may come, in the order of their numbers.
std::string may_come_now(Phase phase, Role role) {
  std::string names;
  for (std::size_t number = 1; number < message_kinds; ++number)
    if (const auto kind = static_cast<MessageKind>(number); may_come(kind, phase, role))
      names += std::string{names.empty() ? "" : " "} + name(kind);
  return names;
}

}  // namespace

TEST_CASE("Outbox, MessageReader: messages of every size come through", "[wire]") {
  Outbox writer;
  MessageReader reader;
  writer.begin(3, message_ceiling);
  reader.begin(3, message_ceiling);
  std::vector<std::byte> payload;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4096}, mib - 1, mib,
                                 mib + 1, 2 * mib, 3 * mib + 7, std::size_t{5}}) {
    const auto sent = random_bytes(size, {.seed = size});
    const auto frames = frames_of(writer, MessageKind::forward, sent);
    const std::size_t count = std::max<std::size_t>(1, (size + mib - 1) / mib);
    CHECK(frames.size() == size + count * frame_header_bytes);
    int messages = 0;
    test::feed(reader, frames, payload, [&](MessageKind kind) {
      CHECK(kind == MessageKind::forward);
      CHECK(payload == sent);
      ++messages;
    });
    CHECK(messages == 1);
    CHECK(reader.last_framed() == frames.size());
  }
}

TEST_CASE("MessageReader: does not care how the bytes are cut", "[wire]") {
  Outbox writer;
  std::vector<std::byte> stream;
  for (const auto* text : {"", "a", "some more text"}) {
    const auto frames = frames_of(writer, MessageKind::hello, bytes_of(text));
    stream.insert(stream.end(), frames.begin(), frames.end());
  }
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    MessageReader reader;
    std::vector<std::byte> payload;
    std::vector<std::vector<std::byte>> messages;
    for (std::size_t at = 0; at < stream.size(); at += piece)
      test::feed(reader, Bytes{stream}.subspan(at, std::min(piece, stream.size() - at)), payload,
                 [&](MessageKind) { messages.push_back(payload); });
    REQUIRE(messages == std::vector{bytes_of(""), bytes_of("a"), bytes_of("some more text")});
  }
}

TEST_CASE("MessageReader: wrong bytes are refused as soon as they come", "[wire]") {
  std::string text;
  const auto refused = [&](const char* bytes) {
    return reason_of<WireError>(
        [&] {
          MessageReader reader;
          reader.begin(0, unadmitted_limit);
          std::vector<std::byte> payload;
          test::feed(reader, bytes_of(bytes), payload, [](MessageKind) {});
        },
        &text);
  };
  for (const char* const begin : {"S", "SP", "SPV", "SPVT", "SPVT and"})
    CHECK(refused(begin) == std::nullopt);
  for (const char* const begin : {"G", "SX", "SPVX", "SPVt and more"}) {
    CHECK(refused(begin) == Reason::bad_magic);
    CHECK_THAT(text, ContainsSubstring("not from splitvit"));
  }
  for (const char* const begin : {"\x16\x03\x01", "\x15\x03\x03\x02"}) {
    CHECK(refused(begin) == Reason::bad_magic);
    CHECK_THAT(text, ContainsSubstring("these bytes are TLS, which this side does not use"));
  }
}

TEST_CASE("MessageReader: lengths above the limit are refused by the header alone", "[wire]") {
  const auto claims = [](std::uint32_t length) {
    std::vector<std::byte> out;
    put_header(out, {.kind = MessageKind::hello, .length = length});
    return out;
  };
  CHECK(refusal(claims(4096)) == std::nullopt);
  CHECK(refusal(claims(4097)) == Reason::too_long);
  CHECK(refusal(claims(0xFFFFFFFF)) == Reason::too_long);
  CHECK(refusal(claims(mib), message_ceiling) == std::nullopt);
  CHECK(refusal(claims(mib + 1), message_ceiling) == Reason::too_long);
  CHECK(refusal(claims(0xFFFFFFFF), ~std::uint64_t{0}) == Reason::too_long);

  // Frame by frame is no way around it.
  auto stream =
      frame({.kind = MessageKind::hello, .continues = true, .length = 4000}, random_bytes(4000));
  const auto more =
      frame({.kind = MessageKind::hello, .length = 97, .sequence = 1}, random_bytes(97));
  stream.insert(stream.end(), more.begin(), more.end());
  CHECK(refusal(stream) == Reason::too_long);
}

TEST_CASE("MessageReader: memory follows what has come, not what is claimed", "[wire]") {
  MessageReader reader;
  reader.begin(0, message_ceiling);
  std::vector<std::byte> payload;
  Outbox writer;
  writer.begin(0, message_ceiling);
  const auto frames = frames_of(writer, MessageKind::weights, random_bytes(2 * mib));
  std::size_t fed = 0;
  for (const std::size_t step : {33u, 1u, 1000u, 64000u, 1000u, 70000u, 500000u, 1000000u}) {
    test::feed(reader, Bytes{frames}.subspan(fed, step), payload, [](MessageKind) {});
    fed += step;
    CHECK(payload.capacity() <= 2 * fed + 65536);
  }
  test::feed(reader, Bytes{frames}.subspan(fed), payload, [](MessageKind) {});
  CHECK(payload == random_bytes(2 * mib));
}

TEST_CASE("MessageReader: a buffer that is used again keeps its memory", "[wire]") {
  Outbox writer;
  MessageReader reader;
  writer.begin(0, message_ceiling);
  reader.begin(0, message_ceiling);
  std::vector<std::byte> payload;
  for (const std::size_t size : {mib, std::size_t{10}, mib, std::size_t{3}}) {
    const auto sent = random_bytes(size, {.seed = size});
    const auto* const before = payload.data();
    const bool first = payload.capacity() < size;
    test::feed(reader, frames_of(writer, MessageKind::forward, sent), payload, [](MessageKind) {});
    CHECK(payload == sent);
    CHECK((first || payload.data() == before));
  }
}

TEST_CASE("MessageReader: frames out of order", "[wire]") {
  const auto text = bytes_of("text");
  const FrameHeader good{.kind = MessageKind::hello, .length = 4};
  CHECK(refusal(frame(good, text)) == std::nullopt);
  auto bad = good;
  bad.sequence = 1;  // a gap
  CHECK(refusal(frame(bad, text)) == Reason::wrong_step);
  bad.sequence = std::uint64_t{1} << 60;
  CHECK(refusal(frame(bad, text)) == Reason::wrong_step);
  bad = good;
  bad.connection = 1;
  CHECK(refusal(frame(bad, text)) == Reason::wrong_step);

  auto twice = frame(good, text);  // a replay
  const auto copy = twice;
  twice.insert(twice.end(), copy.begin(), copy.end());
  CHECK(refusal(twice) == Reason::wrong_step);

  auto mixed = frame({.kind = MessageKind::hello, .continues = true, .length = 4}, text);
  const auto other = frame({.kind = MessageKind::bye, .length = 4, .sequence = 1}, text);
  mixed.insert(mixed.end(), other.begin(), other.end());
  CHECK(refusal(mixed) == Reason::wrong_message);

  CHECK(refusal(frame({.kind = MessageKind::hello, .continues = true, .length = 0}, {})) ==
        Reason::malformed);
}

TEST_CASE("MessageReader: a new connection counts from 0 again", "[wire]") {
  Outbox writer;
  MessageReader reader;
  std::vector<std::byte> payload;
  const auto pass = [&] {
    test::feed(reader, frames_of(writer, MessageKind::hello, bytes_of("x")), payload,
               [](MessageKind) {});
  };
  pass();
  writer.begin(1, unadmitted_limit);
  reader.begin(1, unadmitted_limit);
  CHECK_NOTHROW(pass());
  writer.begin(1, unadmitted_limit);  // a stale peer that begins the same connection once more
  CHECK(reason_of<WireError>(pass) == Reason::wrong_step);
}

TEST_CASE("MessageReader: says where in a frame and a message it is", "[wire]") {
  const auto text = bytes_of("text");
  auto stream = frame({.kind = MessageKind::heartbeat}, {});
  const auto message = frame({.kind = MessageKind::forward, .length = 4, .sequence = 1}, text);
  stream.insert(stream.end(), message.begin(), message.end());
  MessageReader reader;
  std::vector<std::byte> payload;
  for (std::size_t at = 0; at < stream.size(); ++at) {
    INFO("byte " << at);
    CHECK(reader.is_in_frame() == (at % 32 != 0 || at >= 64));
    CHECK(reader.is_in_message() == (at >= 64));
    std::memcpy(reader.space(payload).data(), stream.data() + at, 1);
    CHECK(reader.completes_header(1) == (at == 63));  // not of a heartbeat
    reader.filled(1, payload);
  }
  CHECK(payload == text);
  CHECK_FALSE(reader.is_in_frame());
  CHECK_FALSE(reader.is_in_message());
}

TEST_CASE("MessageReader: heartbeats between the frames of a message", "[wire]") {
  const auto text = bytes_of("text");
  const auto joined = [](std::initializer_list<std::vector<std::byte>> frames) {
    std::vector<std::byte> all;
    for (const auto& one : frames) all.insert(all.end(), one.begin(), one.end());
    return all;
  };
  const auto beat = [](std::uint64_t sequence) {
    return frame({.kind = MessageKind::heartbeat, .sequence = sequence}, {});
  };
  const auto stream = joined(
      {beat(0),
       frame({.kind = MessageKind::forward, .continues = true, .length = 4, .sequence = 1}, text),
       beat(2), beat(3), frame({.kind = MessageKind::forward, .length = 4, .sequence = 4}, text)});
  for (const std::size_t piece : {std::size_t{1}, std::size_t{31}, stream.size()}) {
    MessageReader reader;
    std::vector<std::byte> payload;
    std::vector<MessageKind> kinds;
    for (std::size_t at = 0; at < stream.size(); at += piece)
      test::feed(reader, Bytes{stream}.subspan(at, std::min(piece, stream.size() - at)), payload,
                 [&](MessageKind kind) { kinds.push_back(kind); });
    using enum MessageKind;
    CHECK(kinds == std::vector{heartbeat, heartbeat, heartbeat, forward});
    CHECK(payload == bytes_of("texttext"));
    CHECK(reader.last_framed() == 2 * 36);  // heartbeats are not part of it
  }
  CHECK(refusal(frame({.kind = MessageKind::heartbeat, .length = 4}, text)) == Reason::malformed);
  CHECK(refusal(frame({.kind = MessageKind::heartbeat, .continues = true}, {})) ==
        Reason::malformed);
  auto damaged = beat(0);
  damaged[24] = std::byte{1};  // a payload checksum, but no payload
  const std::uint32_t crc = crc32c(Bytes{damaged}.first(28));
  for (std::size_t i = 0; i < 4; ++i) damaged[28 + i] = static_cast<std::byte>(crc >> (8 * i));
  CHECK(refusal(damaged) == Reason::bad_checksum);
}

TEST_CASE("MessageReader: damage is found", "[wire]") {
  Outbox writer;
  writer.begin(0, message_ceiling);
  const auto good = frames_of(writer, MessageKind::forward, random_bytes(65536));
  const auto found = [&](std::span<const std::size_t> bits) {
    auto bad = good;
    for (const std::size_t bit : bits) bad[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    return refusal(bad, message_ceiling);
  };
  REQUIRE(found({}) == std::nullopt);
  for (std::size_t bit = 8 * 32; bit < 8 * good.size(); bit += 1999)
    REQUIRE(found(std::array{bit}) == Reason::bad_checksum);
  Rng rng{.seed = 3};
  for (int i = 0; i < 200; ++i) {
    std::vector<std::size_t> bits;
    const Index count = 2 + rng.below(20);
    for (Index k = 0; k < count; ++k)
      bits.push_back(static_cast<std::size_t>(256 + rng.below(8 * 65536)));
    std::sort(bits.begin(), bits.end());
    bits.erase(std::unique(bits.begin(), bits.end()), bits.end());
    REQUIRE(found(bits) == Reason::bad_checksum);
  }
}

TEST_CASE("Phase: what may come when", "[wire]") {
  CHECK(may_come_now(Phase::awaits_hello, Role::server) == "hello error");
  CHECK(may_come_now(Phase::decides, Role::server) == "error");
  CHECK(may_come_now(Phase::awaits_welcome, Role::server) == "welcome refuse error");
  CHECK(may_come_now(Phase::open, Role::server) ==
        "forward evaluate fetch_weights weights bye error heartbeat checkpoint turn");
  CHECK(may_come_now(Phase::open, Role::client) ==
        "backward evaluated weights bye error heartbeat checkpoint turn");
  CHECK(may_come_now(Phase::ended, Role::server) == "error");
}

TEST_CASE("Phase: the error says when", "[wire]") {
  const auto text_of = [](MessageKind kind, Phase phase) {
    std::string text;
    CHECK(reason_of<WireError>([&] { require_may_come(kind, phase, Role::server); }, &text) ==
          Reason::wrong_message);
    return text;
  };
  using enum MessageKind;
  CHECK(text_of(forward, Phase::awaits_hello) == "forward must not come before hello");
  CHECK(text_of(hello, Phase::decides) == "hello must not come before the answer to hello");
  CHECK(text_of(bye, Phase::awaits_welcome) == "bye must not come in answer to hello");
  CHECK(text_of(backward, Phase::open) == "backward must not come now");
  CHECK(text_of(weights, Phase::ended) == "weights must not come after the end");
  CHECK_NOTHROW(require_may_come(forward, Phase::open, Role::server));
}

TEST_CASE("Event: the number of a step is split from the rest", "[wire]") {
  std::vector<std::byte> payload;
  ByteWriter out{payload};
  out.put(std::uint64_t{7});
  out.put(std::uint32_t{2});
  out.put_bytes(bytes_of("batch"));
  const Event event = numbered_event(MessageKind::forward, payload);
  CHECK(event.kind == MessageKind::forward);
  CHECK(event.at == StepNumber{7, 2});
  CHECK(std::ranges::equal(event.payload, bytes_of("batch")));
  CHECK(numbered_event(MessageKind::backward, Bytes{payload}.first(12)).payload.empty());
  for (std::size_t size = 0; size < 12; ++size)
    CHECK(reason_of<WireError>([&] {
            numbered_event(MessageKind::forward, Bytes{payload}.first(size));
          }) == Reason::truncated);
}
