// SPDX-License-Identifier: MIT
#include <splitvit/wire/output_queue.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/drain.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using test::bytes_of;
using test::random_bytes;

TEST_CASE("OutputQueue: bytes come out in order, however they are taken", "[wire]") {
  Rng rng{.seed = 3};
  for (int round = 0; round < 200; ++round) {
    OutputQueue queue;
    std::vector<std::vector<std::byte>> pieces;
    pieces.reserve(8);  // borrowed ones must stay where they are
    std::vector<std::byte> expected, came;
    for (int i = 0; i < 8; ++i) {
      const Index size = rng.below(3) == 0 ? 4090 + rng.below(20) : rng.below(50);
      pieces.push_back(random_bytes(static_cast<std::size_t>(size), rng.at(1)));
      queue.append(pieces.back());
      expected.insert(expected.end(), pieces.back().begin(), pieces.back().end());
      for (Index calls = rng.below(4); calls > 0 && !queue.empty(); --calls) {
        const Bytes front = queue.front();
        REQUIRE_FALSE(front.empty());
        const auto n = static_cast<std::size_t>(rng.below(static_cast<Index>(front.size()) + 1));
        came.insert(came.end(), front.begin(), front.begin() + static_cast<std::ptrdiff_t>(n));
        queue.written(n);
      }
    }
    const auto rest = test::drain(queue);
    came.insert(came.end(), rest.begin(), rest.end());
    REQUIRE(came == expected);
    REQUIRE(queue.empty());
    REQUIRE(queue.front().empty());
  }
}

TEST_CASE("OutputQueue: short pieces are joined, long ones are borrowed", "[wire]") {
  const auto longest = random_bytes(OutputQueue::longest_copy);
  const auto longer = random_bytes(OutputQueue::longest_copy + 1);
  OutputQueue queue;
  queue.append(FrameHeader{.kind = MessageKind::bye});
  queue.append(Bytes{});
  queue.append(longest);
  CHECK(queue.front().size() == frame_header_bytes + longest.size());
  queue.append(longer);
  queue.append(bytes_of("end"));
  queue.written(frame_header_bytes + longest.size());
  CHECK(queue.front().data() == longer.data());
  CHECK(queue.front().size() == longer.size());
  queue.written(longer.size());
  CHECK(std::ranges::equal(queue.front(), bytes_of("end")));
  queue.written(1000);  // more than there is
  CHECK(queue.empty());
  queue.written(1);
  CHECK(queue.empty());
}

TEST_CASE("OutputQueue: what was appended is taken back", "[wire]") {
  const auto longer = random_bytes(5000);
  OutputQueue queue;
  const auto empty = queue.mark();
  queue.append(bytes_of("x"));
  queue.rollback(empty);
  CHECK(queue.empty());
  queue.append(bytes_of("one"));
  const auto mark = queue.mark();
  queue.append(bytes_of("two"));
  queue.append(longer);
  queue.append(bytes_of("three"));
  queue.rollback(mark);
  CHECK(std::ranges::equal(queue.front(), bytes_of("one")));
  queue.append(bytes_of("!"));
  CHECK(test::drain(queue) == bytes_of("one!"));
}

TEST_CASE("OutputQueue: cleared, and reserved", "[wire]") {
  OutputQueue queue;
  queue.append(bytes_of("text"));
  queue.written(1);
  queue.clear();
  CHECK(queue.empty());
  queue.reserve(100, 1);
  queue.append(bytes_of("a"));
  const auto* const before = queue.front().data();
  for (int i = 0; i < 99; ++i) queue.append(bytes_of("b"));
  CHECK(queue.front().data() == before);
  CHECK(queue.front().size() == 100);
}
