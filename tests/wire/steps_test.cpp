// SPDX-License-Identifier: MIT
#include <functional>
#include <map>

#include <splitvit/core/state.hpp>
#include <splitvit/wire/steps.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using test::bytes_of;
using test::reason_of;
using Verdict = ReplyCache::Verdict;

namespace {

void keep_reply(ReplyCache& cache, std::string_view text) {
  cache.new_reply() = bytes_of(text);
  cache.keep();
}
std::string reply_text(const ReplyCache& cache, StepNumber at) {
  std::string text;
  for (const std::byte b : cache.reply_to(at)) text.push_back(static_cast<char>(b));
  return text;
}
std::optional<Reason> check_reason(const ReplyCache& cache, StepNumber at,
                                   std::string* text = nullptr) {
  return reason_of<WireError>([&] { cache.check(at); }, text);
}

}  // namespace

TEST_CASE("StepMark: what has passed, and what has not", "[wire]") {
  StepMark mark;
  CHECK_FALSE(mark.has_passed({1, 0}));
  CHECK_FALSE(mark.pass({4, 1}));
  CHECK(mark.pass({4, 1}));
  CHECK(mark.pass({3, 0}));
  CHECK(mark.has_passed({3, 7}));
  CHECK(mark.has_passed({4, 0}));
  CHECK(mark.has_passed({4, 1}));
  CHECK_FALSE(mark.has_passed({4, 2}));
  CHECK_FALSE(mark.has_passed({5, 0}));
}

TEST_CASE("ReplyCache: computes the next step, repeats the last, refuses the rest", "[wire]") {
  ReplyCache cache;
  CHECK(cache.last() == 0);
  CHECK_FALSE(cache.has_replies());
  CHECK(cache.check({1}) == Verdict::compute);
  CHECK(cache.check({1}) == Verdict::compute);  // not committed yet
  CHECK(check_reason(cache, {0}) == Reason::wrong_step);
  CHECK(check_reason(cache, {2}) == Reason::wrong_step);
  CHECK(check_reason(cache, {1, 1}) == Reason::wrong_step);
  keep_reply(cache, "first");
  cache.commit();
  CHECK(cache.last() == 1);
  CHECK(cache.has_replies());
  CHECK(cache.check({1}) == Verdict::resend);
  CHECK(reply_text(cache, {1}) == "first");
  CHECK(cache.check({2}) == Verdict::compute);
  keep_reply(cache, "second");
  cache.commit();
  CHECK(reply_text(cache, {2}) == "second");
  std::string text;
  CHECK(check_reason(cache, {1}, &text) == Reason::wrong_step);
  CHECK(text == "step 1 came, step 3 was expected");
  CHECK(check_reason(cache, {2, 1}, &text) == Reason::wrong_step);
  CHECK(text == "step 2 (part 1) came, step 3 was expected");
  CHECK(check_reason(cache, {~std::uint64_t{0}, ~std::uint32_t{0}}) == Reason::wrong_step);
}

TEST_CASE("ReplyCache: a step of several parts", "[wire]") {
  ReplyCache cache;
  keep_reply(cache, "1.0");
  CHECK(cache.next() == StepNumber{1, 1});
  CHECK(reply_text(cache, {1, 0}) == "1.0");
  CHECK(check_reason(cache, {1, 0}) == Reason::wrong_step);  // it is under way
  CHECK(check_reason(cache, {2, 0}) == Reason::wrong_step);
  keep_reply(cache, "1.1");
  cache.commit();
  CHECK(cache.check({1, 0}) == Verdict::resend);
  CHECK(cache.check({1, 1}) == Verdict::resend);
  CHECK(check_reason(cache, {1, 2}) == Reason::wrong_step);
  keep_reply(cache, "2.0");  // the replies to step 1 are still there
  CHECK(cache.check({1, 1}) == Verdict::resend);
  CHECK(reply_text(cache, {1, 1}) == "1.1");
  cache.commit();
  CHECK(check_reason(cache, {2, 1}) == Reason::wrong_step);
}

TEST_CASE("ReplyCache: a step has 64 parts at most, whose replies are limited together", "[wire]") {
  ReplyCache cache;
  for (std::uint32_t part = 0; part < most_parts; ++part) {
    CHECK(cache.check({1, part}) == Verdict::compute);
    cache.new_reply().assign(10, std::byte{1});
    const std::uint64_t bytes = 10 * (part + 1);
    CHECK_NOTHROW(cache.require_room(bytes));
    CHECK_THROWS_AS(cache.require_room(bytes - 1), WireError);
    cache.keep();
  }
  CHECK(most_parts == 64);
  CHECK(check_reason(cache, {1, most_parts}) == Reason::wrong_step);
}

TEST_CASE("ReplyCache: a step that is cut begins again", "[wire]") {
  ReplyCache cache;
  keep_reply(cache, "1.0");
  cache.commit();
  keep_reply(cache, "2.0");
  cache.new_reply() = bytes_of("half");
  REQUIRE(cache.begun_reply() != nullptr);
  CHECK(*cache.begun_reply() == bytes_of("half"));
  cache.discard();
  CHECK(cache.begun_reply() == nullptr);
  CHECK(cache.next() == StepNumber{2, 0});
  CHECK(cache.check({1}) == Verdict::resend);
  CHECK(cache.new_reply().empty());
  cache.restart(40);
  CHECK(cache.next() == StepNumber{41, 0});
  CHECK_FALSE(cache.has_replies());
  CHECK(check_reason(cache, {40}) == Reason::wrong_step);  // its reply is not here
}

TEST_CASE("ReplyCache: memory is used again, and a reply stays while the next is made", "[wire]") {
  ReplyCache cache;
  std::vector<const std::byte*> places;
  for (int step = 0; step < 6; ++step) {
    cache.new_reply().assign(1000, std::byte{1});
    places.push_back(cache.begun_reply()->data());
    cache.keep();
    cache.commit();
  }
  for (std::size_t i = 2; i < places.size(); ++i) CHECK(places[i] == places[i - 2]);
  CHECK(places[0] != places[1]);
}

TEST_CASE("ReplyCache: its state is stored and set back", "[wire]") {
  ReplyCache cache;
  keep_reply(cache, "1.0");
  keep_reply(cache, "1.1");
  cache.commit();
  const auto stored = state_bytes(cache);
  ReplyCache other;
  set_state_bytes(other, stored);
  CHECK(other.last() == 1);
  CHECK(other.check({1, 1}) == Verdict::resend);
  CHECK(std::ranges::equal(other.reply_to({1, 1}), bytes_of("1.1")));
  CHECK(state_bytes(other) == stored);
  ReplyCache empty;
  set_state_bytes(cache, state_bytes(empty));
  CHECK(cache.last() == 0);
  CHECK_FALSE(cache.has_replies());

  auto cut = stored;
  cut[cut.size() - 11] = std::byte{200};  // the length of the last reply
  CHECK_THROWS_AS(set_state_bytes(other, cut), std::invalid_argument);
}

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
