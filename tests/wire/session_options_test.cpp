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
  CHECK(SessionOptions{}.heartbeat_ms() == 0);
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
  silence.heard(start + 9s);
  silence.spoke(start + 9s);
  CHECK(silence.give_up_at() == start + 10s);
  CHECK(silence.speak_at() == Time::max());
}

TEST_CASE("Silence: with heartbeats, two of them and a second", "[wire]") {
  const Time start = Time{} + 1h;
  Silence silence{{.idle_timeout = 1s}, start};
  silence.heard(start + 3s);
  silence.spoke(start + 4s);
  silence.open(5s);
  CHECK(silence.give_up_at() == start + 3s + 11s);
  CHECK(silence.speak_at() == start + 4s + 5s);
  silence.heard(start + 20s);  // the two directions do not touch each other
  CHECK(silence.give_up_at() == start + 31s);
  CHECK(silence.speak_at() == start + 9s);
  silence.spoke(start + 21s);
  CHECK(silence.give_up_at() == start + 31s);
  CHECK(silence.speak_at() == start + 26s);
}

TEST_CASE("Silence: without heartbeats, the idle timeout", "[wire]") {
  const Time start = Time{} + 1h;
  Silence silence{{.heartbeat = 5s, .idle_timeout = 60s}, start};  // the peer wants none
  silence.heard(start + 1s);
  silence.open(0s);
  CHECK(silence.give_up_at() == start + 61s);
  CHECK(silence.speak_at() == Time::max());
}

TEST_CASE("Silence: for ever does not overflow", "[wire]") {
  const Time start = Time{} + 1h;
  Silence silence{{.handshake_timeout = std::chrono::nanoseconds::max(),
                   .idle_timeout = std::chrono::nanoseconds::max()},
                  start};
  CHECK(silence.give_up_at() == Time::max());
  silence.open(0s);
  CHECK(silence.give_up_at() == Time::max());
}

TEST_CASE("Silence: the error says for what this side waited, and how long", "[wire]") {
  const Time start = Time{} + 1h;
  Silence silence{{}, start};
  silence.heard(start + 4s);
  const TransportError early = silence.timed_out(start + 12s, "handshake");
  CHECK(early.reason() == Reason::timed_out);
  CHECK(std::string{early.what()} == "handshake: the peer was silent for 12.0 s");
  silence.open(1s);
  CHECK(std::string{silence.timed_out(start + 7250ms, "waiting for step 1 to go on").what()} ==
        "waiting for step 1 to go on: the peer was silent for 3.2 s");
}
