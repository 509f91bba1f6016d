// SPDX-License-Identifier: MIT
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

/// Takes all bytes out of the box and reads them as one message.
std::vector<std::byte> only_message(Outbox& box, MessageKind kind) {
  MessageReader reader;
  reader.begin(3, message_ceiling);
  std::vector<std::byte> payload;
  int messages = 0;
  test::feed(reader, test::drain(box), payload, [&](MessageKind came) {
    CHECK(came == kind);
    ++messages;
  });
  CHECK(box.empty());
  CHECK(messages == 1);
  return payload;
}

}  // namespace

TEST_CASE("Outbox: a message goes in as parts and comes out as frames", "[wire]") {
  Outbox box;
  box.begin(3, 20'000);
  CHECK(box.empty());
  const auto first = random_bytes(5), second = random_bytes(10'000);
  const Count count = box.queue(MessageKind::weights, std::array{Bytes{first}, Bytes{second}});
  CHECK(count == Count{.messages = 1, .payload = 10'005, .framed = 10'005 + 32});
  CHECK(box.bytes_queued() == count.framed);
  CHECK(box.bytes_written() == 0);
  auto wanted = first;
  wanted.insert(wanted.end(), second.begin(), second.end());
  CHECK(only_message(box, MessageKind::weights) == wanted);
  CHECK(box.bytes_written() == count.framed);
}

TEST_CASE("Outbox: the number of a step goes before its contents", "[wire]") {
  Outbox box;
  box.begin(3, 20'000);
  const auto contents = random_bytes(7);
  box.prepare(MessageKind::forward, contents.size());
  CHECK(box.empty());
  const Count count = box.queue(MessageKind::forward, {4, 2}, std::array{Bytes{contents}});
  CHECK(count == Count{.messages = 1, .payload = 19, .framed = 19 + 32});
  const auto payload = only_message(box, MessageKind::forward);
  const Event event = numbered_event(MessageKind::forward, payload);
  CHECK(event.at == StepNumber{4, 2});
  CHECK(std::ranges::equal(event.payload, contents));
}

TEST_CASE("Outbox: nothing is queued after an error", "[wire]") {
  Outbox box;
  box.begin(3, 5000);
  const auto fits = random_bytes(5000 - 12), too_long = random_bytes(5000 - 11);
  CHECK(reason_of<WireError>([&] {
          box.queue(MessageKind::backward, {1}, std::array{Bytes{too_long}});
        }) == Reason::too_long);
  CHECK(reason_of<WireError>([&] { box.prepare(MessageKind::backward, too_long.size()); }) ==
        Reason::too_long);
  CHECK(box.empty());
  CHECK(box.bytes_queued() == 0);
  box.queue(MessageKind::backward, {1}, std::array{Bytes{fits}});
  CHECK(only_message(box, MessageKind::backward).size() == 5000);
}

TEST_CASE("Outbox: parts make one payload, and long ones are not copied", "[wire]") {
  constexpr std::size_t two_frames = std::size_t{2} << 20;
  const auto first = random_bytes(10), second = random_bytes(two_frames),
             third = random_bytes(5000);
  const Bytes parts[] = {first, {}, second, third, {}};
  Outbox box;
  box.begin(3, message_ceiling);
  box.queue(MessageKind::weights, parts);
  std::size_t lent = 0, pieces = 0;
  std::vector<std::byte> stream;
  for (Bytes bytes = box.front(); !bytes.empty(); bytes = box.front()) {
    ++pieces;
    if (bytes.data() >= second.data() && bytes.data() < second.data() + second.size())
      lent += bytes.size();
    stream.insert(stream.end(), bytes.begin(), bytes.end());
    box.written(bytes.size());
  }
  CHECK(lent >= second.size() - 4096);  // the end of a long part may be short
  CHECK(pieces <= 8);

  MessageReader reader;
  reader.begin(3, message_ceiling);
  std::vector<std::byte> payload;
  test::feed(reader, stream, payload, [](MessageKind) {});
  std::vector<std::byte> expected = first;
  expected.insert(expected.end(), second.begin(), second.end());
  expected.insert(expected.end(), third.begin(), third.end());
  CHECK(payload == expected);
}

TEST_CASE("Outbox: a small message is one write", "[wire]") {
  const auto a = bytes_of("a"), b = bytes_of("b");
  Outbox box;
  CHECK(box.queue(MessageKind::hello, std::array{Bytes{a}, Bytes{b}}).framed == 34);
  CHECK(box.front().size() == 34);
}

TEST_CASE("Outbox: a message above the limit is not begun", "[wire]") {
  Outbox box;  // before the peer is admitted
  const auto payload = random_bytes(unadmitted_limit + 1);
  std::string text;
  CHECK(reason_of<WireError>([&] { box.queue(MessageKind::hello, std::array{Bytes{payload}}); },
                             &text) == Reason::too_long);
  CHECK(text == "hello: a message of at least 4097 bytes, at most 4096 are agreed");
  CHECK(box.empty());
  CHECK(reason_of<WireError>([&] { box.prepare(MessageKind::hello, 4085); }) == Reason::too_long);
  CHECK_NOTHROW(box.prepare(MessageKind::hello, 4084));
  box.begin(3, unadmitted_limit);
  box.queue(MessageKind::hello, std::array{Bytes{payload}.first(1)});
  CHECK(only_message(box, MessageKind::hello).size() == 1);  // still frame 0
}

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

TEST_CASE("OutputQueue: reserved memory does not move", "[wire]") {
  OutputQueue queue;
  queue.reserve(100, 1);
  queue.append(bytes_of("a"));
  const auto* const before = queue.front().data();
  for (int i = 0; i < 99; ++i) queue.append(bytes_of("b"));
  CHECK(queue.front().data() == before);
  CHECK(queue.front().size() == 100);
}
