// SPDX-License-Identifier: MIT
#include <cstdint>
#include <memory>

#include <splitvit/split/aggregator.hpp>
#include <splitvit/split/group.hpp>

#include "split/loopback.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;

TEST_CASE("Group: turns and steps of two clients, as a server asks for them", "[split]") {
  const std::unique_ptr<split::Group<float>> group = std::make_unique<split::Aggregator<float>>(
      split::Shared{}, test::server_part(), split::GroupOptions{.clients = 2});
  const split::ServerRole<float> role{
      std::make_shared<split::Learner<float>>(test::server_part(), optim::Adam{}),
      split::CutReceiver<float>{{}}};
  CHECK(group->clients() == 2);
  for (const std::uint32_t client : {1u, 2u}) {
    CHECK(!group->has_turn(1));
    group->ask(client, role, split::TurnRequest{.turn = 0, .steps = 1}.payload());
  }
  for (const std::uint32_t client : {1u, 2u}) {
    REQUIRE(group->has_turn(client));
    const auto answer = group->answer(client);
    CHECK(split::Turn::read(answer, 1).what == split::Turn::What::train);
    CHECK(!group->has_turn(client));
  }
  CHECK(!group->may_step(2));
  REQUIRE(group->may_step(1));
  group->step(1, {});
  CHECK(group->may_step(2));
  CHECK(test::reason_of([&] { group->may_step(1); }) == Reason::wrong_step);
}
