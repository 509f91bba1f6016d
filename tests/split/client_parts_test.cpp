// SPDX-License-Identifier: MIT
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <splitvit/codec/quantise.hpp>
#include <splitvit/compress/adc.hpp>
#include <splitvit/nn/bottleneck.hpp>
#include <splitvit/split/aggregator.hpp>
#include <splitvit/split/client_parts.hpp>

#include "split/group.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"

// Clients of a group that keep their labels.

using namespace splitvit;
using split::TurnRequest;
using test::ClientGroup;
using test::GroupResult;
using test::small_vit;

TEST_CASE("client parts: those around a server's part", "[split]") {
  const auto alone = split::parts_around(test::server_part());
  CHECK(alone.first.description() == "blocks [0, 1) of 3, with stem");
  CHECK(!alone.tail);

  nn::Part<float> middle{small_vit, 1, 2};
  middle.decoder = nn::make_decoder<float>(small_vit.dim, {.ratio = 0.5}, Rng{.seed = 1});
  const auto around = split::parts_around(middle);
  REQUIRE(around.first.encoder);
  CHECK(around.first.encoder->options.ratio == 0.5);
  REQUIRE(around.tail);
  CHECK(around.tail->description() == "blocks [2, 3) of 3, with classifier");
  std::vector<std::string> names;
  for (const auto& [name, parameter] : nn::parameters<float>(around)) names.push_back(name);
  CHECK(names.front() == "cls_token");
  CHECK(names.back() == "head.bias");
}

TEST_CASE("client parts: where every client has all parts, labels at home change no bit",
          "[split]") {
  ClientGroup<float> group{.sharing = split::Averaged{}};
  const GroupResult at_server = test::simulate(group);
  for (const Index second_cut : {2, 3}) {
    CAPTURE(second_cut);
    group.second_cut = second_cut;
    const GroupResult at_home = test::simulate(group);
    // The clients' numbers, the server's, the average of the clients': all of the model each time,
    // if the server's stand before the tail.
    const auto whole = [&](const GroupResult& result, std::size_t client) {
      const auto& ours = result.weights[client];
      const auto& theirs = result.weights[group.clients()];
      const auto head = static_cast<std::ptrdiff_t>(at_server.weights[client].size());
      std::vector<float> all(ours.begin(), ours.begin() + head);
      all.insert(all.end(), theirs.begin(), theirs.end());
      all.insert(all.end(), ours.begin() + head, ours.end());
      return all;
    };
    const std::size_t average = group.clients() + 1;
    CHECK((whole(at_home, average) == whole(at_server, average)));
    CHECK((whole(at_home, 0) == whole(at_server, 0)));
  }
}

TEST_CASE("client parts: a simulation and TCP agree, and the evaluator tells what it has found",
          "[split]") {
  const std::string mode = GENERATE("shared", "averaged", "relay");
  CAPTURE(mode);
  std::vector<std::pair<std::uint64_t, split::Evaluation>> heard;
  const ClientGroup<float> group{
      .sharing = test::sharing_named<float>(mode),
      .stage = compress::adc(0.5),
      .codec = codec::Quantise{.bits = 8, .rounding = codec::Rounding::stochastic},
      .options = {.evaluator = 2,
                  .on_evaluated =
                      [&](std::uint64_t round, const split::Evaluation& found) {
                        heard.emplace_back(round, found);
                      }},
      .second_cut = 2};
  const GroupResult simulated = test::simulate(group);
  const auto heard_in_simulation = std::exchange(heard, {});
  CHECK(test::train_over_tcp(group, 1) == simulated);
  REQUIRE(heard.size() == heard_in_simulation.size());
  REQUIRE(heard.size() > 1);
  for (std::size_t i = 0; i < heard.size(); ++i) {
    CHECK(heard[i].first == heard_in_simulation[i].first);
    CHECK(heard[i].second.samples == 2 * 6);
    CHECK(heard[i].second.correct == heard_in_simulation[i].second.correct);
    CHECK(heard[i].second.loss == heard_in_simulation[i].second.loss);
    CHECK(heard[i].second.loss > 0.5);
    CHECK(heard[i].second.loss < 5);
  }
}

TEST_CASE(
    "client parts: a client without steps in its turn sends neither weights nor what it found",
    "[split]") {
  const ClientGroup<float> group{.second_cut = 2};
  split::ClientRole<float> role = group.role();
  const std::size_t bare = TurnRequest{}.payload().size();
  CHECK(role.turn_request(3).size() == bare);
  role.take_turn(split::Turn{.number = 1, .steps = 2, .what = split::Turn::What::train}.payload());
  CHECK(role.turn_request(3).size() == bare);
  role.take_turn(split::Turn{.number = 2, .what = split::Turn::What::evaluate}.payload());
  CHECK(role.turn_request(3).size() == bare + split::Found::bytes);

  // A turn that it has not missed cannot be missed.
  for (const split::Turn& other : {split::Turn{.number = 2, .what = split::Turn::What::train},
                                   split::Turn{.number = 3, .what = split::Turn::What::missed}})
    CHECK(test::reason_of<WireError>([&] { role.miss_turn(other.payload()); }) ==
          Reason::wrong_message);
  CHECK_THROWS_AS(role.predict(Tensor<float>{{0, 3, 8, 8}}), ShapeError);
}

TEST_CASE("client parts: what an evaluator says of itself is checked", "[split]") {
  const split::Found found{.loss_sum = 2.5, .correct = 3, .samples = 4};
  const auto payload = TurnRequest{.turn = 1, .steps = 2, .found = found}.payload();
  const TurnRequest read = TurnRequest::read(payload, true);
  REQUIRE(read.found);
  CHECK(read.found->loss_sum == 2.5);
  CHECK(read.found->correct == 3);
  CHECK(read.found->samples == 4);
  CHECK(read.weights.empty());
  const auto reason_of = [](const std::vector<std::byte>& bytes) {
    return test::reason_of<WireError>([&] { TurnRequest::read(bytes, true); });
  };
  for (std::size_t size = 0; size < payload.size(); ++size)
    CHECK(reason_of({payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(size)}) ==
          Reason::truncated);
  auto longer = payload;
  longer.push_back({});
  CHECK(reason_of(longer) == Reason::malformed);
  CHECK(reason_of(TurnRequest{.found = {{.correct = 5, .samples = 4}}}.payload()) ==
        Reason::malformed);
  CHECK(reason_of(TurnRequest{.found = {{.loss_sum = std::numeric_limits<double>::quiet_NaN()}}}
                      .payload()) == Reason::not_finite);
}
