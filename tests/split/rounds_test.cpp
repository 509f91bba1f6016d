// SPDX-License-Identifier: MIT
#include <span>
#include <stdexcept>
#include <vector>

#include <splitvit/split/rounds.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using split::Candidate;
using split::Order;
using split::Rounds;
using Numbers = std::vector<std::uint32_t>;

namespace {

Rounds rounds_of(std::uint32_t clients, const auto& sharing, Order order = Order::fixed) {
  return {
      clients,
      [sharing](std::span<const Candidate> ready, Rng rng) { return sharing.choose(ready, rng); },
      7, order};
}

/// Takes all steps of the round in the fixed order, and returns whose they were.
Numbers take_round(Rounds& rounds) {
  Numbers order;
  for (std::uint32_t client = rounds.next(); client != 0; client = rounds.next()) {
    CHECK(rounds.may_step(client));
    rounds.step(client);
    order.push_back(client);
  }
  return order;
}

}  // namespace

TEST_CASE("rounds: steps in turn, and a client with fewer is passed over", "[split]") {
  Rounds rounds = rounds_of(3, split::Shared{});
  CHECK(rounds.awaited() == Numbers{1, 2, 3});
  rounds.ready(2, 1);
  rounds.ready(3, 3);
  CHECK(!rounds.is_complete());
  CHECK(rounds.awaited() == Numbers{1});
  rounds.ready(1, 2);
  CHECK(rounds.is_complete());
  CHECK(!rounds.is_over());
  rounds.begin();
  CHECK(rounds.number() == 1);
  CHECK(rounds.members() == Numbers{1, 2, 3});
  CHECK(rounds.steps(3) == 3);
  CHECK(!rounds.may_step(3));
  CHECK(take_round(rounds) == Numbers{1, 2, 3, 1, 3, 3});
  CHECK(rounds.awaited() == Numbers{1, 2, 3});
  for (const std::uint32_t client : {3u, 1u, 2u}) rounds.ready(client, client == 2 ? 1 : 0);
  rounds.begin();
  CHECK(rounds.members() == Numbers{2});  // the others have taken all their steps
  CHECK(take_round(rounds) == Numbers{2});
  CHECK(!rounds.is_over());
  rounds.ready(2, 0);
  CHECK(rounds.is_over());
  CHECK_THROWS_AS(rounds.begin(), std::logic_error);
}

TEST_CASE("rounds: a client that is not in order waits, or need not where arrival counts",
          "[split]") {
  for (const Order order : {Order::fixed, Order::arrival}) {
    Rounds rounds = rounds_of(2, split::Shared{}, order);
    rounds.ready(1, 1);
    rounds.ready(2, 2);
    rounds.begin();
    CHECK(rounds.may_step(2) == (order == Order::arrival));
    if (order == Order::fixed) continue;
    rounds.step(2);
    rounds.step(2);
    CHECK(rounds.may_step(1));
  }
}

TEST_CASE("rounds: who takes part is drawn, and the others stay ready", "[split]") {
  Rounds rounds = rounds_of(6, split::Shared<>{.per_round = 2});
  for (std::uint32_t client = 1; client <= 6; ++client) rounds.ready(client, 1);
  std::vector<int> taken(7);
  for (int round = 1; round <= 3; ++round) {  // a round each, two at a time
    rounds.begin();
    CHECK(rounds.members().size() == 2);
    const Numbers members = rounds.members();
    CHECK(take_round(rounds) == members);
    for (const std::uint32_t client : members) {
      CHECK(rounds.is_member(client));
      ++taken[client];
      rounds.ready(client, 0);
    }
  }
  CHECK(rounds.is_over());
  CHECK(taken == std::vector<int>{0, 1, 1, 1, 1, 1, 1});
}

TEST_CASE("rounds: relay goes around", "[split]") {
  Rounds rounds = rounds_of(3, split::Relay{});
  for (std::uint32_t client = 1; client <= 3; ++client) rounds.ready(client, 2);
  Numbers order;
  for (std::uint64_t turn = 0; turn < 6; ++turn) {
    rounds.begin();
    const std::uint32_t client = rounds.members().front();
    CHECK(rounds.members().size() == 1);
    CHECK(take_round(rounds) == Numbers{client, client});
    order.push_back(client);
    rounds.ready(client, turn < 3 ? 2 : 0);
  }
  CHECK(order == Numbers{1, 2, 3, 1, 2, 3});
  CHECK(rounds.is_over());
}

TEST_CASE("rounds: a client that breaks the order is refused by number", "[split]") {
  Rounds rounds = rounds_of(2, split::Shared<>{.per_round = 1});
  rounds.ready(1, 2);
  rounds.ready(2, 2);
  CHECK(test::reason_of<WireError>([&] { rounds.may_step(1); }) == Reason::wrong_step);
  rounds.begin();
  const std::uint32_t in = rounds.members().front(), out = 3 - in;
  CHECK_THROWS_WITH(rounds.may_step(out), ContainsSubstring("client " + std::to_string(out)) &&
                                              ContainsSubstring("no step left in round 1"));
  rounds.step(in);
  CHECK_THROWS_WITH(rounds.ready(in, 2), ContainsSubstring("has taken 1 of its 2 steps"));
  rounds.step(in);
  CHECK_THROWS_AS(rounds.step(in), std::logic_error);
  CHECK_THROWS_AS(rounds.may_step(in), WireError);
  CHECK_THROWS_AS((rounds_of(0, split::Shared{})), std::invalid_argument);
}

TEST_CASE("rounds: a policy that chooses nobody, somebody twice or a stranger", "[split]") {
  const Numbers chosen = GENERATE(values<Numbers>({{}, {1, 1}, {3}}));
  Rounds rounds{2, [&](std::span<const Candidate>, Rng) { return chosen; }, 0};
  rounds.ready(1, 1);
  rounds.ready(2, 1);
  CHECK_THROWS_WITH(rounds.begin(), ContainsSubstring("of 2 clients for round 1"));
}

TEST_CASE("rounds: none begins before all are ready, or without steps to take", "[split]") {
  Rounds rounds{2, [](std::span<const Candidate>, Rng) { return Numbers{1}; }, 0};
  rounds.ready(1, 1);
  CHECK_THROWS_WITH(rounds.begin(), ContainsSubstring("no round can begin now"));
  CHECK(!rounds.is_over());
  rounds.ready(1, 0);
  rounds.ready(2, 0);
  CHECK(rounds.is_over());
  CHECK_THROWS_WITH(rounds.begin(), ContainsSubstring("no round can begin now"));
}

TEST_CASE("rounds: the others go on without a client that is skipped, until it is ready again",
          "[split]") {
  Rounds rounds = rounds_of(3, split::Shared{});
  rounds.ready(1, 2);
  rounds.ready(2, 2);
  rounds.skip(3);  // it has never come
  CHECK(rounds.is_away(3));
  CHECK(rounds.is_complete());
  rounds.begin();
  CHECK(rounds.members() == Numbers{1, 2});
  rounds.step(1);
  CHECK(rounds.awaited() == Numbers{1, 2});
  rounds.skip(2);  // in the middle of its steps
  CHECK(rounds.members() == Numbers{1});
  CHECK(rounds.next() == 1);
  CHECK(test::reason_of([&] { rounds.may_step(2); }) == Reason::wrong_step);
  rounds.ready(2, 1);  // back before the round is over: it waits for the next one
  CHECK(!rounds.is_away(2));
  CHECK(rounds.awaited() == Numbers{1});
  rounds.step(1);
  rounds.ready(1, 1);
  rounds.begin();
  CHECK(rounds.members() == Numbers{1, 2});
  CHECK(rounds.all_taken(1) == 2);
  take_round(rounds);
  CHECK(rounds.all_taken(2) == 1);
}

TEST_CASE("rounds: the training is over when those have finished that were never skipped",
          "[split]") {
  Rounds rounds = rounds_of(2, split::Shared{});
  rounds.ready(1, 1);
  rounds.ready(2, 1);
  rounds.begin();
  rounds.skip(2);
  take_round(rounds);
  rounds.ready(2, 5);  // it would have to take five more
  rounds.ready(1, 0);
  CHECK(rounds.is_over());

  // Where nobody is left that was not skipped once, all take their steps.
  rounds.skip(1);
  CHECK(!rounds.is_over());
  CHECK(rounds.can_begin());
  rounds.begin();
  CHECK(take_round(rounds).size() == 5);
  rounds.skip(2);
  CHECK(rounds.is_complete());
  CHECK(!rounds.is_over());  // nobody is there
  CHECK(!rounds.can_begin());
  rounds.ready(2, 0);
  CHECK(rounds.is_over());
}
