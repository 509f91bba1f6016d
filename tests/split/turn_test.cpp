// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <vector>

#include <splitvit/core/error.hpp>
#include <splitvit/split/turn.hpp>

#include "split/loopback.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using split::Turn;
using split::TurnRequest;

namespace {

const std::vector<std::byte> some_weights{std::byte{7}, std::byte{8}, std::byte{9}};

}  // namespace

TEST_CASE("turn: what is sent comes back, with weights and without", "[split]") {
  for (const bool has_weights : {true, false}) {
    const std::span<const std::byte> weights = has_weights ? some_weights : wire::Bytes{};
    const auto sent = TurnRequest{.turn = 3, .steps = 40, .start = 5, .weights = weights}.payload();
    const TurnRequest request = TurnRequest::read(sent);
    CHECK(request.turn == 3);
    CHECK(request.steps == 40);
    CHECK(request.start == 5);
    CHECK(std::ranges::equal(request.weights, weights));

    const auto answered =
        Turn{.number = 4, .round = 9, .steps = 40, .what = Turn::What::train, .weights = weights}
            .payload();
    const Turn turn = Turn::read(answered, 4);
    CHECK(turn.round == 9);
    CHECK(turn.steps == 40);
    CHECK(turn.what == Turn::What::train);
    CHECK(std::ranges::equal(turn.weights, weights));
  }
}

TEST_CASE("turn: bytes that are none are refused", "[split]") {
  const auto request = TurnRequest{}.payload(), answer = Turn{.number = 1}.payload();
  for (std::size_t size = 0; size < request.size(); ++size)
    CHECK(test::reason_of<WireError>([&] { TurnRequest::read(std::span{request}.first(size)); }) ==
          Reason::truncated);
  for (std::size_t size = 0; size < answer.size(); ++size)
    CHECK(test::reason_of<WireError>([&] { Turn::read(std::span{answer}.first(size), 1); }) ==
          Reason::truncated);
  CHECK_THROWS_WITH(Turn::read(answer, 2), "turn: turn 1 came, wanted turn 2");
  auto other = answer;
  other[24] = std::byte{4};
  CHECK(test::reason_of<WireError>([&] { Turn::read(other, 1); }) == Reason::malformed);
}

TEST_CASE("turn: a plan's last turn is shorter, and then there is none", "[split]") {
  const split::TurnPlan plan{.steps = 7, .per_turn = 3};
  CHECK(plan.next(0) == 3);
  CHECK(plan.next(3) == 3);
  CHECK(plan.next(6) == 1);
  CHECK(plan.next(7) == 0);
  CHECK(plan.next(9) == 0);
}

TEST_CASE("turn: the checksum of weights changes with each of them", "[split]") {
  const auto part = test::client_part<float>();
  const std::uint32_t before = split::weights_checksum<float>(part);
  CHECK(split::weights_checksum<float>(test::client_part<float>()) == before);
  for (const auto& [name, parameter] : nn::parameters<float>(part)) {
    float& last = parameter.mutable_value().span().back();
    const float was = std::exchange(last, last + 1);
    CHECK(split::weights_checksum<float>(part) != before);
    last = was;
  }
}
