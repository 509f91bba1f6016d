// SPDX-License-Identifier: MIT
#include <cstdint>
#include <vector>

#include <splitvit/codec/detail/coded_streams.hpp>
#include <splitvit/core/state.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

namespace splitvit::codec::detail {
namespace {

struct StreamsHolder {
  MessageChain chain;
  void each_state(auto&& see) { chain.each_state(see, ""); }
};

SymbolsSeen seen_with(std::uint64_t value) {
  SymbolsSeen seen{1, 1};
  seen.mix(value);
  return seen;
}

/// Codes as many numbers of 7 bits in each stream as its number says.
constexpr auto code = [](auto& coder, Index stream, SymbolsSeen& seen) {
  for (Index i = 0; i < stream; ++i) {
    const auto value = coder.bits(7, static_cast<std::uint32_t>(10 * stream + i));
    seen.mix(value);
    seen.sums[0] += value;
    ++seen.counts[0][value % alphabet];
  }
};

}  // namespace

TEST_CASE("coded streams: what each stream has is seen by both sides", "[codec]") {
  std::vector<std::byte> bytes{std::byte{1}};
  const SymbolsSeen sent = put_streams(4, {1, 1}, bytes, code);
  CHECK(sent.sums[0] == 10 + 20 + 21 + 30 + 31 + 32);
  CHECK(bytes.size() <= 1 + 16 + 0 + 1 + 2 + 3);
  ByteReader reader{std::span{bytes}.subspan(1), "test"};
  const SymbolsSeen came = get_streams(reader, 4, {1, 1}, code);
  reader.expect_end();
  CHECK(came.check == sent.check);
  CHECK(came.counts == sent.counts);
  CHECK(came.sums == sent.sums);

  for (std::size_t size = 1; size < bytes.size(); ++size) {
    ByteReader shorter{std::span{bytes}.subspan(1, size - 1), "test"};
    CHECK(test::reason_of([&] { get_streams(shorter, 4, {1, 1}, code); }) == Reason::truncated);
  }
  // A stream with more bytes than its symbols take.
  const auto longer = test::bytes_of({9, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  ByteReader more{longer, "test"};
  CHECK(test::reason_of([&] { get_streams(more, 1, {1, 1}, code); }) == Reason::malformed);
}

TEST_CASE("coded streams: a chain tells messages that were missed, or had other values",
          "[codec]") {
  StreamsHolder sender, receiver;
  const auto message = [&](std::uint64_t value) {
    std::vector<std::byte> bytes;
    ByteWriter writer{bytes};
    writer.put(static_cast<std::uint32_t>(sender.chain.messages));
    writer.put(sender.chain.append(seen_with(value)));
    return bytes;
  };
  const auto read = [&](const std::vector<std::byte>& bytes, std::uint64_t value) {
    return test::reason_of([&] {
      MessageChain next = receiver.chain;
      ByteReader reader{bytes, "test"};
      next.expect_number(reader);
      next.expect_check(reader, seen_with(value));
      receiver.chain = next;
    });
  };
  const auto first = message(5), second = message(6), third = message(7);
  CHECK(read(second, 6) == Reason::wrong_step);
  CHECK(read(first, 4) == Reason::bad_checksum);
  CHECK(!read(first, 5));
  CHECK(read(first, 5) == Reason::wrong_step);
  CHECK(!read(second, 6));
  StreamsHolder other;
  set_state_bytes(other, state_bytes(receiver));
  CHECK(other.chain.check == receiver.chain.check);
  CHECK(!read(third, 7));
  CHECK(sender.chain.messages == 3);
  CHECK(sender.chain.check == receiver.chain.check);
}

TEST_CASE("coded streams: short messages are filled up, and must be", "[codec]") {
  std::vector<std::byte> bytes = test::bytes_of({9, 8, 7});
  put_padding(bytes, 1, 10 * 2048);
  CHECK(bytes.size() == 11);
  put_padding(bytes, 1, 3 * 2048);
  CHECK(bytes.size() == 11);
  const auto reason = [&](const std::vector<std::byte>& in, Index values) {
    return test::reason_of([&] {
      ByteReader reader{in, "test"};
      reader.get<std::uint8_t>();
      require_least(reader, values);
      const std::size_t begin = reader.position();
      reader.get<std::uint16_t>();
      expect_padding(reader, begin, values);
    });
  };
  CHECK(!reason(bytes, 10 * 2048));
  CHECK(reason(bytes, 9 * 2048) == Reason::malformed);
  CHECK(reason(bytes, 11 * 2048) == Reason::truncated);
  bytes[5] = std::byte{1};
  CHECK(reason(bytes, 10 * 2048) == Reason::malformed);
}

TEST_CASE("coded streams: as many as there is work for", "[codec]") {
  CHECK(stream_count(0, 0) == 0);
  CHECK(stream_count(1, 5) == 1);
  CHECK(stream_count(1 << 17, 100) == 4);
  CHECK(stream_count(1 << 17, 3) == 3);
  CHECK(stream_count(Index{1} << 30, 100) == 16);
}

}  // namespace splitvit::codec::detail
