// SPDX-License-Identifier: MIT
#include <splitvit/split/report.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::split;
using wire::MessageKind;

TEST_CASE("report: an epoch adds up its steps", "[split]") {
  EpochReport epoch;
  const Traffic traffic{{.payload = 100, .framing = 32}, {.payload = 50, .framing = 32}};
  epoch.add({.step = 1, .loss = 2, .samples = 4, .traffic = traffic, .seconds = {.client = 1}});
  epoch.add({.step = 2, .loss = 1, .samples = 2, .traffic = traffic, .seconds = {.server = 3}});
  CHECK(epoch.steps == 2);
  CHECK(epoch.loss == Approx(1.5));
  CHECK(epoch.samples == 6);
  CHECK(epoch.traffic.up.total() == 264);
  CHECK(epoch.traffic.total() == 428);
  CHECK(epoch.traffic - traffic == traffic);
  CHECK(epoch.seconds.total() == Approx(4));
}

TEST_CASE("report: accuracy is correct over samples", "[split]") {
  CHECK(Evaluation{}.accuracy() == 0);
  CHECK(Evaluation{.loss = 1, .correct = 3, .samples = 4, .traffic = {}}.accuracy() ==
        Approx(0.75));
}

TEST_CASE("traffic: every message is in one column, and all columns are the link", "[split]") {
  wire::SessionState session;
  std::uint64_t sent = 0, received = 0;
  for (std::size_t i = 1; i < wire::message_kinds; ++i) {
    const auto kind = static_cast<MessageKind>(i);
    session.sent.add(kind, {.messages = 1, .payload = 10 * i, .framed = 10 * i + 32});
    session.received.add(kind, {.messages = 1, .payload = 7 * i, .framed = 7 * i + 64}, i % 2 == 0);
    sent += 10 * i + 32;
    received += 7 * i + 64;
  }
  split::Traffic all;
  for (const Column column :
       {Column::training, Column::evaluation, Column::weights, Column::upkeep})
    all += split::traffic_of(session, column);
  CHECK(all.up.total() == sent);
  CHECK(all.down.total() == received);
  CHECK(all.up.framing == 32 * (wire::message_kinds - 1));
}

TEST_CASE("traffic: weights are training where a client gives them, repeats are upkeep",
          "[split]") {
  wire::SessionState session;
  const wire::Count count{.messages = 1, .payload = 100, .framed = 132};
  session.sent.add(MessageKind::weights, count);
  session.received.add(MessageKind::weights, count);
  session.sent.add(MessageKind::forward, count, true);
  session.received.add(MessageKind::checkpoint, count);
  CHECK(split::traffic_of(session, Column::training).up == split::Bytes{100, 32});
  CHECK(split::traffic_of(session, Column::training).down.total() == 0);
  CHECK(split::traffic_of(session, Column::weights).down == split::Bytes{100, 32});
  CHECK(split::traffic_of(session, Column::upkeep).up == split::Bytes{100, 32});
  CHECK(split::traffic_of(session, Column::upkeep).down == split::Bytes{100, 32});
}

TEST_CASE("timer: laps follow each other and are never negative", "[split]") {
  splitvit::split::Timer timer;
  CHECK(timer.lap() >= 0);
  CHECK(timer.lap() >= 0);
}

TEST_CASE("report: what differs in one number is not equal", "[split]") {
  const split::Bytes bytes{.payload = 1, .framing = 2};
  CHECK(bytes != split::Bytes{.payload = 2, .framing = 2});
  CHECK(bytes != split::Bytes{.payload = 1, .framing = 1});
  const split::Traffic traffic{.up = bytes, .down = {}};
  CHECK(traffic != split::Traffic{.up = {}, .down = {}});
  CHECK(traffic != split::Traffic{.up = bytes, .down = bytes});
  using Class = split::Evaluation::Class;
  CHECK(Class{.correct = 1, .samples = 2} != Class{.correct = 2, .samples = 2});
  CHECK(Class{.correct = 1, .samples = 2} != Class{.correct = 1, .samples = 3});
}
