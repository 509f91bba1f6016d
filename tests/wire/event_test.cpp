// SPDX-License-Identifier: MIT
#include <splitvit/wire/event.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::wire;

TEST_CASE("Event: the number of a step is split from the rest", "[wire]") {
  std::vector<std::byte> payload;
  ByteWriter out{payload};
  out.put(std::uint64_t{7});
  out.put(std::uint32_t{2});
  out.put_bytes(test::bytes_of("batch"));
  const Event event = numbered_event(MessageKind::forward, payload);
  CHECK(event.kind == MessageKind::forward);
  CHECK(event.at == StepNumber{7, 2});
  CHECK(std::ranges::equal(event.payload, test::bytes_of("batch")));
  CHECK(numbered_event(MessageKind::backward, Bytes{payload}.first(12)).payload.empty());
  for (std::size_t size = 0; size < 12; ++size)
    CHECK(test::reason_of<WireError>([&] {
            numbered_event(MessageKind::forward, Bytes{payload}.first(size));
          }) == Reason::truncated);
}
