// SPDX-License-Identifier: MIT
#include <splitvit/wire/event.hpp>
#include <splitvit/wire/outbox.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using test::random_bytes;
using test::reason_of;

namespace {

/// Takes all bytes out of the box and reads them as one message.
std::vector<std::byte> only_message(Outbox& box, MessageKind kind) {
  MessageReader reader;
  reader.begin(3, message_ceiling);
  std::vector<std::byte> payload;
  int messages = 0;
  while (!box.empty()) {
    reader.feed(box.front(), payload, [&](MessageKind came) {
      CHECK(came == kind);
      ++messages;
    });
    box.written(box.front().size());
  }
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
