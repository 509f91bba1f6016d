// SPDX-License-Identifier: MIT
#include <functional>

#include <splitvit/wire/frame.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using test::reason_of;

namespace {

std::array<std::byte, frame_header_bytes> header_bytes(const FrameHeader& header) {
  std::vector<std::byte> out;
  put_header(out, header);
  REQUIRE(out.size() == frame_header_bytes);
  std::array<std::byte, frame_header_bytes> bytes;
  std::copy(out.begin(), out.end(), bytes.begin());
  return bytes;
}

/// The reason why a header with one byte replaced, and its checksum corrected, is refused.
std::optional<Reason> reason_with(std::size_t offset, unsigned value) {
  auto bytes = header_bytes({.kind = MessageKind::forward, .length = 5});
  bytes[offset] = static_cast<std::byte>(value);
  const std::uint32_t crc = crc32c(std::span{bytes}.first(28));
  for (std::size_t i = 0; i < 4; ++i) bytes[28 + i] = static_cast<std::byte>(crc >> (8 * i));
  return reason_of<WireError>([&] { read_header(bytes); });
}

}  // namespace

TEST_CASE("put_header: the bytes of a known header", "[wire]") {
  const auto bytes = header_bytes({.kind = MessageKind::backward,
                                   .continues = true,
                                   .length = 0x00030201,
                                   .connection = 0x13121110,
                                   .sequence = 0x2726252423222120,
                                   .payload_crc = 0x33323130});
  const unsigned char expected[] = {'S',  'P',  'V',  'T',  1,    5,    1,    0,    0x01, 0x02,
                                    0x03, 0x00, 0x10, 0x11, 0x12, 0x13, 0x20, 0x21, 0x22, 0x23,
                                    0x24, 0x25, 0x26, 0x27, 0x30, 0x31, 0x32, 0x33};
  for (std::size_t i = 0; i < 28; ++i)
    CHECK(static_cast<unsigned>(bytes[i]) == static_cast<unsigned>(expected[i]));
}

TEST_CASE("read_header: what put_header wrote", "[wire]") {
  const auto header = read_header(header_bytes({.kind = MessageKind::weights,
                                                .continues = true,
                                                .length = largest_frame,
                                                .connection = 7,
                                                .sequence = std::uint64_t{1} << 60,
                                                .payload_crc = 0xFFFFFFFF}));
  CHECK(header.kind == MessageKind::weights);
  CHECK(header.continues);
  CHECK(header.length == largest_frame);
  CHECK(header.connection == 7);
  CHECK(header.sequence == std::uint64_t{1} << 60);
  CHECK(header.payload_crc == 0xFFFFFFFF);
}

TEST_CASE("read_header: every field out of its range has its reason", "[wire]") {
  CHECK(reason_with(0, 'S') == std::nullopt);
  CHECK(reason_with(5, 14) == std::nullopt);
  CHECK(reason_with(0, 'H') == Reason::bad_magic);
  CHECK(reason_with(4, 2) == Reason::bad_version);
  CHECK(reason_with(4, 0) == Reason::bad_version);
  CHECK(reason_with(5, 0) == Reason::bad_kind);
  CHECK(reason_with(5, 15) == Reason::bad_kind);
  CHECK(reason_with(5, 255) == Reason::bad_kind);
  CHECK(reason_with(6, 2) == Reason::bad_flags);
  CHECK(reason_with(7, 0x80) == Reason::bad_flags);
  CHECK(reason_with(10, 0x10) == Reason::too_long);  // 1 MiB and 5 bytes
  CHECK(reason_with(11, 0xFF) == Reason::too_long);
}

TEST_CASE("read_header: any flipped bit is found", "[wire]") {
  const auto good = header_bytes({.kind = MessageKind::forward, .length = 5, .sequence = 3});
  for (std::size_t bit = 0; bit < 8 * frame_header_bytes; ++bit) {
    auto bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    const auto reason = reason_of<WireError>([&] { read_header(bad); });
    REQUIRE(reason == (bit < 32 ? Reason::bad_magic : Reason::bad_checksum));
  }
}

TEST_CASE("MessageKind: every kind has a name", "[wire]") {
  CHECK(std::string{name(MessageKind::hello)} == "hello");
  CHECK(std::string{name(MessageKind::error)} == "error");
  CHECK(std::string{name(MessageKind::heartbeat)} == "heartbeat");
  for (std::size_t kind = 1; kind < message_kinds; ++kind)
    CHECK(std::string{name(static_cast<MessageKind>(kind))} != "unknown");
  CHECK(std::string{name(static_cast<MessageKind>(200))} == "unknown");
}
