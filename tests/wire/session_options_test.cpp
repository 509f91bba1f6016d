// SPDX-License-Identifier: MIT
#include <splitvit/wire/session_options.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using namespace std::chrono_literals;

TEST_CASE("SessionOptions: the heartbeat is proposed in milliseconds, up to a day", "[wire]") {
  const auto proposed = [](std::chrono::nanoseconds heartbeat) {
    return SessionOptions{.heartbeat = heartbeat}.heartbeat_ms();
  };
  CHECK(SessionOptions{}.heartbeat_ms() == 5000);
  CHECK(proposed(5s) == 5000);
  CHECK(proposed(1999us) == 1);
  CHECK(proposed(-1s) == 0);
  CHECK(proposed(25h) == 86'400'000);
  CHECK(proposed(std::chrono::nanoseconds::max()) == 86'400'000);
}

TEST_CASE("Silence: the handshake has one deadline, whatever comes meanwhile", "[wire]") {
  const Time start = Time{} + 1h;
  Silence silence{{.handshake_timeout = 10s, .heartbeat = 1s}, start};
  CHECK(silence.give_up_at() == start + 10s);
  CHECK(silence.speak_at() == Time::max());  // nothing is agreed yet
  silence.heard(start + 9s, 1, false, true);
  silence.spoke(start + 9s);
  CHECK(silence.give_up_at() == start + 10s);
  CHECK(silence.speak_at() == Time::max());
}

TEST_CASE("Silence: with heartbeats, two of them and a second", "[wire]") {
  const Time start = Time{} + 1h;
  Silence silence{{}, start};
  silence.heard(start + 3s, 32, false, false);
  silence.spoke(start + 4s);
  silence.open(5s);
  CHECK(silence.give_up_at() == start + 3s + 11s);
  CHECK(silence.speak_at() == start + 4s + 5s);
  silence.heard(start + 20s, 32, false, false);  // the two directions do not touch each other
  CHECK(silence.give_up_at() == start + 31s);
  CHECK(silence.speak_at() == start + 9s);
  silence.spoke(start + 21s);
  CHECK(silence.give_up_at() == start + 31s);
  CHECK(silence.speak_at() == start + 26s);
}

TEST_CASE("Silence: without heartbeats, the step timeout, or ten minutes", "[wire]") {
  const Time start = Time{} + 1h;
  Silence silence{{.heartbeat = 5s, .step_timeout = 60s}, start};  // the peer wants none
  silence.heard(start + 1s, 1, false, true);
  silence.open(0s);
  CHECK(silence.give_up_at() == start + 61s);
  CHECK(silence.speak_at() == Time::max());
  Silence other{{}, start};
  other.open(0s);
  CHECK(other.give_up_at() == start + 10min);
}

TEST_CASE("Silence: a step timeout counts from the last byte of a message", "[wire]") {
  const Time start = Time{} + 1h;
  Silence silence{{.step_timeout = 60s}, start};
  silence.open(5s);
  silence.waits(start + 1s);
  silence.heard(start + 55s, 32, false, false);  // a heartbeat
  CHECK(silence.give_up_at() == start + 61s);
  CHECK_THAT(silence.timed_out(start + 61s, "step 1").what(),
             ContainsSubstring("only heartbeats came for 60.0 s"));
  silence.heard(start + 56s, 32, false, true);
  CHECK(silence.give_up_at() == start + 56s + 11s);
}

TEST_CASE("FrameRate: 30 KiB in 30 s, while a frame is under way", "[wire]") {
  const Time start = Time{} + 1h;
  FrameRate rate;
  CHECK(rate.give_up_at() == Time::max());
  rate.received(1, true, start);
  rate.received(30 * 1024 - 1, true, start + 10s);
  CHECK(rate.give_up_at() == start + 30s);
  rate.received(1, true, start + 29s);
  CHECK(rate.give_up_at() == start + 59s);
  rate.listen(start + 40s);  // this side has computed meanwhile
  CHECK(rate.give_up_at() == start + 70s);
  rate.received(1, false, start + 41s);
  CHECK(rate.give_up_at() == Time::max());
  rate.listen(start + 42s);
  CHECK(rate.give_up_at() == Time::max());
}

TEST_CASE("Silence: for ever does not overflow", "[wire]") {
  const Time start = Time{} + 1h;
  Silence silence{{.handshake_timeout = std::chrono::nanoseconds::max(),
                   .step_timeout = std::chrono::nanoseconds::max()},
                  start};
  CHECK(silence.give_up_at() == Time::max());
  silence.open(0s);
  CHECK(silence.give_up_at() == Time::max());
}

TEST_CASE("Silence: the error says for what this side waited, and how long", "[wire]") {
  const Time start = Time{} + 1h;
  Silence silence{{}, start};
  silence.heard(start + 4s, 1, false, true);
  const TransportError early = silence.timed_out(start + 12s, "handshake");
  CHECK(early.reason() == Reason::timed_out);
  CHECK(std::string{early.what()} == "handshake: the peer was silent for 12.0 s");
  silence.open(1s);
  CHECK(std::string{silence.timed_out(start + 7250ms, "waiting for step 1 to go on").what()} ==
        "waiting for step 1 to go on: the peer was silent for 3.2 s");
}
