// SPDX-License-Identifier: MIT
#include <algorithm>

#include <splitvit/wire/message.hpp>

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
std::vector<std::byte> frames_of(MessageWriter& writer, MessageKind kind,
                                 std::span<const Bytes> parts) {
  OutputQueue queue;
  const std::uint64_t framed = writer.write(kind, parts, queue);
  auto out = test::drain(queue);
  CHECK(framed == out.size());
  return out;
}
std::vector<std::byte> frames_of(MessageWriter& writer, MessageKind kind, Bytes payload) {
  return frames_of(writer, kind, std::span{&payload, 1});
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
    reader.feed(bytes, payload, [](MessageKind) {});
  });
}

}  // namespace

TEST_CASE("MessageWriter, MessageReader: messages of every size come through", "[wire]") {
  MessageWriter writer;
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
    reader.feed(frames, payload, [&](MessageKind kind) {
      CHECK(kind == MessageKind::forward);
      CHECK(payload == sent);
      ++messages;
    });
    CHECK(messages == 1);
    CHECK(reader.last_framed() == frames.size());
  }
}

TEST_CASE("MessageReader: does not care how the bytes are cut", "[wire]") {
  MessageWriter writer;
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
      reader.feed(Bytes{stream}.subspan(at, std::min(piece, stream.size() - at)), payload,
                  [&](MessageKind) { messages.push_back(payload); });
    REQUIRE(messages == std::vector{bytes_of(""), bytes_of("a"), bytes_of("some more text")});
  }
}

TEST_CASE("MessageWriter: parts make one payload, and long ones are not copied", "[wire]") {
  const auto first = random_bytes(10), second = random_bytes(2 * mib), third = random_bytes(5000);
  const Bytes parts[] = {first, {}, second, third, {}};
  MessageWriter writer;
  writer.begin(0, message_ceiling);
  std::size_t lent = 0, pieces = 0;
  std::vector<std::byte> stream;
  OutputQueue queue;
  writer.write(MessageKind::weights, parts, queue);
  for (Bytes bytes = queue.front(); !bytes.empty(); bytes = queue.front()) {
    ++pieces;
    if (bytes.data() >= second.data() && bytes.data() < second.data() + second.size())
      lent += bytes.size();
    stream.insert(stream.end(), bytes.begin(), bytes.end());
    queue.written(bytes.size());
  }
  CHECK(lent >= second.size() - 4096);  // the end of a long part may be short
  CHECK(pieces <= 8);

  MessageReader reader;
  reader.begin(0, message_ceiling);
  std::vector<std::byte> payload;
  reader.feed(stream, payload, [](MessageKind) {});
  std::vector<std::byte> expected = first;
  expected.insert(expected.end(), second.begin(), second.end());
  expected.insert(expected.end(), third.begin(), third.end());
  CHECK(payload == expected);
}

TEST_CASE("MessageWriter: a small message is one write", "[wire]") {
  MessageWriter writer;
  const auto a = bytes_of("a"), b = bytes_of("b");
  const Bytes parts[] = {a, b};
  OutputQueue queue;
  CHECK(writer.write(MessageKind::hello, parts, queue) == 34);
  CHECK(queue.front().size() == 34);
}

TEST_CASE("MessageWriter: a message above the limit is not begun", "[wire]") {
  MessageWriter writer;
  CHECK(writer.limit() == unadmitted_limit);
  OutputQueue queue;
  const auto payload = random_bytes(unadmitted_limit + 1);
  const Bytes parts[] = {payload};
  std::string text;
  CHECK(reason_of<WireError>([&] { writer.write(MessageKind::hello, parts, queue); }, &text) ==
        Reason::too_long);
  CHECK(text == "hello: a message of at least 4097 bytes, at most 4096 are agreed");
  CHECK(queue.empty());
  CHECK(reason_of<WireError>([&] { writer.prepare(MessageKind::hello, 97, 4000, queue); }) ==
        Reason::too_long);
  CHECK_NOTHROW(writer.prepare(MessageKind::hello, 96, 4000, queue));
  CHECK_FALSE(refusal(frames_of(writer, MessageKind::hello, bytes_of("x"))));  // still frame 0
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
  MessageWriter writer;
  writer.begin(0, message_ceiling);
  const auto frames = frames_of(writer, MessageKind::weights, random_bytes(2 * mib));
  std::size_t fed = 0;
  for (const std::size_t step : {33u, 1u, 1000u, 64000u, 1000u, 70000u, 500000u, 1000000u}) {
    reader.feed(Bytes{frames}.subspan(fed, step), payload, [](MessageKind) {});
    fed += step;
    CHECK(payload.capacity() <= 2 * fed + 65536);
  }
  reader.feed(Bytes{frames}.subspan(fed), payload, [](MessageKind) {});
  CHECK(payload == random_bytes(2 * mib));
}

TEST_CASE("MessageReader: a buffer that is used again keeps its memory", "[wire]") {
  MessageWriter writer;
  MessageReader reader;
  writer.begin(0, message_ceiling);
  reader.begin(0, message_ceiling);
  std::vector<std::byte> payload;
  for (const std::size_t size : {mib, std::size_t{10}, mib, std::size_t{3}}) {
    const auto sent = random_bytes(size, {.seed = size});
    const auto* const before = payload.data();
    const bool first = payload.capacity() < size;
    reader.feed(frames_of(writer, MessageKind::forward, sent), payload, [](MessageKind) {});
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
  MessageWriter writer;
  MessageReader reader;
  std::vector<std::byte> payload;
  const auto pass = [&] {
    reader.feed(frames_of(writer, MessageKind::hello, bytes_of("x")), payload, [](MessageKind) {});
  };
  pass();
  writer.begin(1, unadmitted_limit);
  reader.begin(1, unadmitted_limit);
  CHECK_NOTHROW(pass());
  writer.begin(1, unadmitted_limit);  // a stale peer that begins the same connection once more
  CHECK(reason_of<WireError>(pass) == Reason::wrong_step);
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
      reader.feed(Bytes{stream}.subspan(at, std::min(piece, stream.size() - at)), payload,
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
  MessageWriter writer;
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
