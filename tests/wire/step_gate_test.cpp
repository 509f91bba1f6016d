// SPDX-License-Identifier: MIT
#include <splitvit/wire/step_gate.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using test::bytes_of;
using test::reason_of;
using Verdict = StepGate::Verdict;

TEST_CASE("StepGate: computes the next step, repeats the last, refuses the rest", "[wire]") {
  StepGate gate;
  CHECK(gate.arrive(1) == Verdict::compute);
  CHECK(gate.arrive(1) == Verdict::compute);  // not committed yet
  CHECK(reason_of<WireError>([&] { gate.arrive(0); }) == Reason::wrong_step);
  CHECK(reason_of<WireError>([&] { gate.arrive(2); }) == Reason::wrong_step);
  gate.commit(1, bytes_of("first"));
  CHECK(gate.arrive(1) == Verdict::resend);
  CHECK(gate.reply() == bytes_of("first"));
  CHECK(gate.arrive(2) == Verdict::compute);
  gate.commit(2, bytes_of("second"));
  CHECK(gate.last() == 2);
  CHECK(gate.reply() == bytes_of("second"));
  std::string text;
  CHECK(reason_of<WireError>([&] { gate.arrive(1); }, &text) == Reason::wrong_step);
  CHECK(text == "step 1 came, step 3 was expected");
  CHECK(reason_of<WireError>([&] { gate.arrive(~std::uint64_t{0}); }) == Reason::wrong_step);
}

TEST_CASE("StepGate: a step is committed once", "[wire]") {
  StepGate gate{7};
  CHECK(reason_of<WireError>([&] { gate.commit(7, {}); }) == Reason::wrong_step);
  CHECK(reason_of<WireError>([&] { gate.commit(9, {}); }) == Reason::wrong_step);
  CHECK(reason_of<WireError>([&] { gate.arrive(7); }) == Reason::wrong_step);  // reply unknown
  CHECK_NOTHROW(gate.commit(8, bytes_of("x")));
}

TEST_CASE("StepGate: any schedule applies every step once, in order", "[wire]") {
  Rng rng{.seed = 11};
  StepGate gate;
  std::uint64_t applied = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto step = static_cast<std::uint64_t>(rng.below(4)) + (applied > 1 ? applied - 1 : 0);
    const auto reason = reason_of<WireError>([&] {
      if (gate.arrive(step) == Verdict::compute) {
        REQUIRE(step == applied + 1);
        applied = step;
        gate.commit(step, bytes_of(std::to_string(step)));
      } else {
        REQUIRE(step == applied);
        REQUIRE(gate.reply() == bytes_of(std::to_string(step)));
      }
    });
    REQUIRE((reason == std::nullopt || step < applied || step > applied + 1 || applied == 0));
  }
  CHECK(applied > 1000);
}
