// SPDX-License-Identifier: MIT
#include <splitvit/wire/client_step.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using test::reason_of;

TEST_CASE("ClientStep: parts are answered in order, and all of them", "[wire]") {
  ClientStep step;
  CHECK(step.next(4) == StepNumber{5, 0});
  CHECK_THROWS_AS(step.require_answers(4), std::logic_error);  // nothing is sent
  step.sent();
  CHECK(step.next(4) == StepNumber{5, 1});
  step.sent();
  step.answered({5, 0}, 4);
  CHECK_THROWS_WITH(step.require_answers(4), "commit: 1 of 2 parts of step 5 are answered");
  step.answered({5, 1}, 4);
  CHECK_NOTHROW(step.require_answers(4));
  CHECK(step.next(4) == StepNumber{5, 2});
}

TEST_CASE("ClientStep: an answer that nobody waits for", "[wire]") {
  ClientStep step;
  std::string text;
  CHECK(reason_of<WireError>([&] { step.answered({5, 0}, 4); }, &text) == Reason::wrong_step);
  CHECK(text == "backward: an answer to step 5 came, none was expected");
  step.sent();
  for (const StepNumber wrong : {StepNumber{4, 0}, StepNumber{5, 1}, StepNumber{6, 0}})
    CHECK(reason_of<WireError>([&] { step.answered(wrong, 4); }, &text) == Reason::wrong_step);
  CHECK(text == "backward: an answer to step 6 came, one to step 5 was expected");
  step.answered({5, 0}, 4);
  CHECK(reason_of<WireError>([&] { step.answered({5, 0}, 4); }) == Reason::wrong_step);
}
