// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <splitvit/compress/concepts.hpp>
#include <splitvit/compress/then.hpp>
#include <splitvit/nn/bottleneck.hpp>
#include <splitvit/optim/sgd.hpp>
#include <splitvit/split/aggregator.hpp>

#include "split/loopback.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using split::Aggregator;
using split::Turn;
using split::TurnRequest;
using test::numbers_of;

namespace {

/// Not an average: what it must not do with huge weights.
struct EqualSum {
  void add(const split::Contribution&, std::span<const float> values,
           std::span<double> mean) const {
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += static_cast<double>(values[i]);
  }
};

/// A server's side of some clients, each with a part whose weights a test can set.
struct Table {
  explicit Table(split::AnySharing<float> sharing, split::GroupOptions options = {.clients = 3})
      : has_part_for_each{sharing.has_part_for_each}, clients{options.clients} {
    options.on_left_out = [this](std::uint32_t client, std::uint64_t round, const WireError& why) {
      left_out.push_back(joined({client, " in round ", round, ": ", why.what()}));
    };
    for (std::uint32_t i = 0; i < options.clients; ++i) {
      if (i == 0 || has_part_for_each)
        learners.push_back(std::make_shared<split::Learner<float>>(test::server_part<float>(),
                                                                   optim::Sgd{.lr = 1}));
      roles.emplace_back(learners.back(), split::CutReceiver<float>{{}});
      parts.push_back(test::client_part<float>());
    }
    aggregator.emplace(std::move(sharing), test::server_part<float>(), options);
  }

  /// A client asks, with the weights of its part if it `has_trained`.
  void ask(std::uint32_t client, std::uint64_t steps, bool has_trained, std::uint64_t turn) {
    const nn::Part<float>& part = parts[client - 1];
    const auto weights =
        has_trained ? split::weights_payload<float>(part) : std::vector<std::byte>{};
    ask(client, {.turn = turn,
                 .steps = steps,
                 .start = turn == 0 ? split::weights_checksum<float>(part) : 0,
                 .weights = weights});
  }
  void ask(std::uint32_t client, const TurnRequest& request) {
    aggregator->ask(client, roles[client - 1], request.payload());
  }
  /// Gives a client its turn, and its part the weights that come with it.
  Turn take(std::uint32_t client, std::uint64_t number) {
    const auto payload = aggregator->answer(client);
    const Turn turn = Turn::read(payload, number);
    came_with_weights = !turn.weights.empty();
    if (came_with_weights) split::read_weights<float>(turn.weights, parts[client - 1]);
    return {.number = turn.number, .round = turn.round, .steps = turn.steps, .what = turn.what};
  }
  /// So many images in a step.
  void train(std::uint32_t client, Index images, float value) {
    auto& role = roles[client - 1];
    const Rng rng{.seed = client};
    test::RandomBatches<float> batches{.samples = images, .rng = rng};
    const auto batch = batches.make();
    split::ClientRole<float> sender{
        split::Learner<float>{test::client_part<float>(), optim::Sgd{.lr = 0}},
        split::CutSender<float>{compress::Identity{}, {}}};
    split::StepReport report;
    const auto message =
        test::joined_pieces(sender.forward({.client = client}, batch.images, batch.labels, report));
    std::vector<std::byte> reply;
    role.forward({.client = client}, message, 1 << 20, reply);
    role.commit(reply);
    REQUIRE(aggregator->may_step(client));
    aggregator->step(client, {});
    set(client, value);
  }
  void set(std::uint32_t client, float value) {
    for (const auto& [name, parameter] : nn::parameters<float>(parts[client - 1]))
      for (float& one : parameter.mutable_value().span()) one = value;
  }
  float weight(std::uint32_t client) const { return numbers_of<float>(parts[client - 1]).front(); }

  bool has_part_for_each;
  std::uint32_t clients;
  std::vector<std::shared_ptr<split::Learner<float>>> learners;
  std::vector<split::ServerRole<float>> roles;
  std::vector<nn::Part<float>> parts;
  std::optional<Aggregator<float>> aggregator;
  std::vector<std::string> left_out;
  bool came_with_weights = false;
};

}  // namespace

TEST_CASE("aggregator: a round waits for all, and its average counts samples", "[split]") {
  Table table{split::Shared{}};
  using Numbers = std::vector<std::uint32_t>;
  CHECK(table.aggregator->awaited() == Numbers{1, 2, 3});
  table.ask(2, 1, false, 0);
  table.ask(1, 1, false, 0);
  CHECK(!table.aggregator->has_turn(1));
  CHECK_THROWS_AS(table.aggregator->answer(1), std::logic_error);
  CHECK(table.aggregator->awaited() == Numbers{3});
  table.ask(3, 1, false, 0);
  for (const std::uint32_t client : {1u, 2u, 3u}) {
    REQUIRE(table.aggregator->has_turn(client));
    CHECK(table.take(client, 1).what == Turn::What::train);
    CHECK(!table.came_with_weights);
    CHECK(!table.aggregator->has_turn(client));
  }
  CHECK(table.aggregator->awaited() == Numbers{1});
  table.train(1, 2, 1);
  CHECK(table.aggregator->awaited() == Numbers{2});
  table.train(2, 6, 2);
  table.train(3, 4, 4);
  CHECK(table.aggregator->awaited() == Numbers{1, 2, 3});
  table.ask(3, 0, true, 1);  // the last one comes first
  table.ask(1, 1, true, 1);
  CHECK(table.aggregator->awaited() == Numbers{2});
  CHECK(!table.aggregator->has_turn(1));
  table.ask(2, 0, true, 1);
  const Turn turn = table.take(1, 2);
  CHECK(turn.what == Turn::What::train);
  CHECK(turn.round == 2);
  CHECK(turn.steps == 1);
  CHECK(table.weight(1) == Approx((2 * 1 + 6 * 2 + 4 * 4) / 12.0));
  CHECK(!table.aggregator->has_turn(2));
  table.train(1, 3, 9);
  table.ask(1, 0, true, 2);
  CHECK(table.aggregator->is_over());
  CHECK(table.aggregator->awaited().empty());
  for (const std::uint32_t client : {1u, 2u, 3u}) {
    CHECK(table.take(client, client == 1 ? 3 : 2).what == Turn::What::over);
    CHECK(table.weight(client) == 9);
  }
  CHECK(numbers_of<float>(table.aggregator->client_parts()).front() == 9);
}

TEST_CASE("aggregator: server parts of the clients are averaged, and their optimisers stay",
          "[split]") {
  Table table{split::Averaged{}, {.clients = 2}};
  for (const std::uint32_t client : {1u, 2u}) table.ask(client, 1, false, 0);
  for (const std::uint32_t client : {1u, 2u}) table.take(client, 1);
  table.train(1, 2, 1);
  table.train(2, 6, 2);
  const auto first = numbers_of<float>(table.learners[0]->part());
  const auto second = numbers_of<float>(table.learners[1]->part());
  CHECK(first != second);
  table.ask(1, 1, true, 1);
  table.ask(2, 1, true, 1);
  CHECK(table.aggregator->turns_given() == 4);  // before they hear of it
  CHECK(numbers_of<float>(table.learners[0]->part()) ==
        numbers_of<float>(table.aggregator->server_part()));
  for (const std::uint32_t client : {1u, 2u}) table.take(client, 2);
  const auto average = numbers_of<float>(table.aggregator->server_part());
  for (std::size_t i = 0; i < first.size(); ++i)
    CHECK(average[i] == Approx((2.0 * first[i] + 6.0 * second[i]) / 8).margin(1e-6));
  for (const auto& learner : table.learners) {
    CHECK(numbers_of<float>(learner->part()) == average);
    CHECK(learner->steps() == 1);
    CHECK(learner->optimizer().updates()[0] == 1);
  }
}

TEST_CASE("aggregator: weights that are not finite, or not of this part, are left out by name",
          "[split]") {
  Table table{split::Shared{}, {.clients = 4}};
  for (const std::uint32_t client : {1u, 2u, 3u, 4u}) table.ask(client, 1, false, 0);
  for (const std::uint32_t client : {1u, 2u, 3u, 4u}) table.take(client, 1);
  for (const std::uint32_t client : {1u, 2u, 3u, 4u})
    table.train(client, 2, static_cast<float>(client));
  auto bad = split::weights_payload<float>(table.parts[0]);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(bad.data() + bad.size() - sizeof nan, &nan, sizeof nan);
  table.ask(1, {.turn = 1, .steps = 1, .weights = bad});
  auto few = split::weights_payload<float>(table.parts[1]);
  few.pop_back();
  table.ask(2, {.turn = 1, .steps = 1, .weights = few});
  auto many = split::weights_payload<float>(table.parts[3]);
  many.resize(many.size() + 1'000'000);
  table.ask(4, {.turn = 1, .steps = 1, .weights = many});
  table.ask(3, 1, true, 1);
  REQUIRE(table.left_out.size() == 3);
  CHECK_THAT(table.left_out[0], ContainsSubstring("1 in round 1: weights: blocks.0.") &&
                                    ContainsSubstring("NaN or infinity"));
  CHECK_THAT(table.left_out[1], ContainsSubstring("2 in round 1: weights: "));
  CHECK_THAT(table.left_out[2], ContainsSubstring("4 in round 1: weights: "));
  for (const std::uint32_t client : {1u, 2u, 3u, 4u}) {
    CHECK(table.take(client, 2).what == Turn::What::train);
    CHECK(table.weight(client) == 3);
  }
}

TEST_CASE("aggregator: a round of which all weights are left out has no average", "[split]") {
  Table table{split::Shared{}, {.clients = 1}};
  table.ask(1, 2, false, 0);
  table.take(1, 1);
  table.train(1, 2, 1);
  table.train(1, 2, 2);
  const std::vector<std::byte> nonsense(3);
  table.ask(1, {.turn = 1, .steps = 1, .weights = nonsense});
  CHECK(table.left_out.size() == 1);
  CHECK(table.take(1, 2).what == Turn::What::train);
  CHECK(!table.came_with_weights);
}

TEST_CASE("aggregator: with a bottleneck the clients' average has an encoder", "[split]") {
  auto part = test::server_part<float>();
  part.decoder = nn::make_decoder<float>(test::small_vit.dim, {.ratio = 0.5}, Rng{.seed = 1});
  const Aggregator<float> aggregator{split::Shared{}, part, {.clients = 2}};
  REQUIRE(aggregator.client_parts().first.encoder);
  CHECK(aggregator.client_parts().first.encoder->options.ratio == 0.5);
}

TEST_CASE("aggregator: an average of huge weights leaves the former one", "[split]") {
  Table table{split::Shared<EqualSum>{}, {.clients = 2}};
  for (const std::uint32_t client : {1u, 2u}) table.ask(client, 1, false, 0);
  for (const std::uint64_t turn : {1u, 2u}) {
    for (const std::uint32_t client : {1u, 2u}) table.take(client, turn);
    for (const std::uint32_t client : {1u, 2u})
      table.train(client, 2, turn == 1 ? 5.0f : std::numeric_limits<float>::max());
    for (const std::uint32_t client : {1u, 2u}) table.ask(client, 1, true, turn);
  }
  REQUIRE(table.left_out.size() == 1);
  CHECK_THAT(table.left_out[0], ContainsSubstring("0 in round 2: the average of "));
  table.take(1, 3);
  CHECK(table.weight(1) == 10);
}

TEST_CASE("aggregator: the evaluator has the average while nobody trains", "[split]") {
  std::vector<std::pair<std::uint64_t, Index>> heard;  // round, images
  Table table{split::Averaged{},
              {.clients = 2,
               .evaluator = 1,
               .evaluate_every = 2,
               .on_evaluated = [&](std::uint64_t round, const split::Evaluation& found) {
                 heard.emplace_back(round, found.samples);
               }}};
  CHECK(table.aggregator->evaluation(1) == nullptr);
  for (const std::uint32_t client : {1u, 2u}) table.ask(client, 1, false, 0);
  std::uint64_t turn = 0;  // of client 1; client 2 has one less after each evaluation
  for (std::uint64_t round = 1; round <= 3; ++round) {
    CHECK(table.take(1, ++turn).what == Turn::What::train);
    table.take(2, round);
    for (const std::uint32_t client : {1u, 2u}) table.train(client, 2, 1);
    table.ask(1, round == 3 ? 0 : 1, true, turn);
    table.ask(2, round == 3 ? 0 : 1, true, round);
    if (round == 1) continue;
    CHECK(!table.aggregator->has_turn(2));
    const Turn evaluation = table.take(1, ++turn);
    CHECK(evaluation.what == Turn::What::evaluate);
    CHECK(evaluation.round == round);
    CHECK(numbers_of<float>(table.learners[0]->part()) ==
          numbers_of<float>(table.aggregator->server_part()));
    CHECK(!table.aggregator->has_turn(2));
    CHECK(table.aggregator->awaited() == std::vector<std::uint32_t>{1});
    CHECK(table.aggregator->evaluation(2) == nullptr);
    REQUIRE(table.aggregator->evaluation(1) != nullptr);
    table.aggregator->evaluation(1)->samples += 7;
    table.aggregator->came_back(2);
    if (round == 3) table.aggregator->came_back(1);  // and begins anew
    table.aggregator->evaluation(1)->samples += 4;
    table.ask(1, round == 3 ? 0 : 1, false, turn);
    CHECK(table.aggregator->has_turn(2));
  }
  CHECK(table.take(2, 4).what == Turn::What::over);
  CHECK(heard == std::vector<std::pair<std::uint64_t, Index>>{{2, 11}, {3, 4}});
}

TEST_CASE("aggregator: a turn whose answer was lost is given again, and nothing counts twice",
          "[split]") {
  Table table{split::Shared{}, {.clients = 2}};
  for (const std::uint32_t client : {1u, 2u}) table.ask(client, 2, false, 0);
  for (const std::uint32_t client : {1u, 2u}) table.take(client, 1);
  table.ask(1, 2, false, 0);  // it does not have the answer
  CHECK(table.aggregator->has_turn(1));
  CHECK(table.take(1, 1).steps == 2);
  for (int step = 0; step < 2; ++step)
    for (const std::uint32_t client : {1u, 2u}) table.train(client, 2, static_cast<float>(client));
  table.ask(1, 1, true, 1);
  table.ask(1, 1, true, 1);  // it does not know whether the first one came
  CHECK(!table.aggregator->has_turn(1));
  table.ask(2, 1, true, 1);
  table.take(1, 2);
  CHECK(table.weight(1) == 1.5f);
  table.set(1, 0);
  table.ask(1, 1, true, 1);  // again, with the weights that it still has
  table.take(1, 2);
  CHECK(table.weight(1) == 1.5f);
}

TEST_CASE("aggregator: a client that breaks the order is refused by number", "[split]") {
  Table table{split::Shared{}, {.clients = 2}};
  const auto text_of = [&](Reason wanted, const auto& work) {
    std::string text;
    CHECK(test::reason_of<WireError>(work, &text) == wanted);
    return text;
  };
  CHECK_THAT(text_of(Reason::wrong_step, [&] { table.ask(1, 1, false, 5); }),
             ContainsSubstring("client 1 has come to turn 5, wanted 0"));
  CHECK_THAT(text_of(Reason::wrong_message, [&] { table.ask(1, 1, true, 0); }),
             ContainsSubstring("client 1 sent weights without any steps"));
  table.ask(1, 2, false, 0);
  table.set(2, 1);
  CHECK_THAT(text_of(Reason::refused, [&] { table.ask(2, 2, false, 0); }),
             ContainsSubstring("client 2 does not begin with the weights of the other clients"));
  table.parts[1] = test::client_part<float>();
  CHECK_THROWS_AS(table.aggregator->answer(1), std::logic_error);
  table.ask(2, 2, false, 0);
  table.take(1, 1);
  CHECK_THAT(text_of(Reason::wrong_message, [&] { table.ask(1, 2, false, 1); }),
             ContainsSubstring("client 1 sent no weights after its steps"));
  table.train(1, 2, 1);
  CHECK_THAT(text_of(Reason::wrong_step, [&] { table.ask(1, 2, true, 1); }),
             ContainsSubstring("client 1 has taken 1 of its 2 steps"));
  CHECK(test::reason_of<WireError>([&] { table.ask(1, TurnRequest{.turn = ~0ull}); }) ==
        Reason::wrong_step);
}

TEST_CASE("aggregator: options that do not fit", "[split]") {
  CHECK_THROWS_WITH((Table{split::Shared{}, {.clients = 2, .evaluator = 3}}),
                    ContainsSubstring("the evaluator is client 3 of 2"));
  CHECK_THROWS_AS((Table{split::Shared{}, {.clients = 0}}), std::invalid_argument);
  CHECK_THROWS_AS((Table{split::Shared{}, {.evaluate_every = 0}}), std::invalid_argument);
}

TEST_CASE("aggregator: the others go on without a client, which takes the next average",
          "[split]") {
  for (const bool has_part_for_each : {false, true}) {
    Table table{has_part_for_each ? split::AnySharing<float>{split::Averaged{}} : split::Shared{},
                {.clients = 3, .deadline = std::chrono::seconds{1}}};
    for (const std::uint32_t client : {1u, 2u, 3u}) table.ask(client, 2, false, 0);
    for (const std::uint32_t client : {1u, 2u, 3u}) table.take(client, 1);
    for (const std::uint32_t client : {1u, 2u, 3u})
      table.train(client, 4, 1.0f + static_cast<float>(client));
    table.train(1, 4, 2);
    table.aggregator->skip(2);
    CHECK(table.aggregator->is_away(2));
    REQUIRE(table.left_out.size() == 1);
    CHECK_THAT(table.left_out[0], ContainsSubstring("2 in round 1: "));
    CHECK(table.aggregator->awaited() == std::vector<std::uint32_t>{3});
    table.train(3, 4, 4);
    table.ask(3, 2, true, 1);
    table.ask(1, 2, true, 1);
    for (const std::uint32_t client : {1u, 3u}) {
      const Turn turn = table.take(client, 2);
      CHECK(turn.round == 2);
      CHECK(table.weight(client) == 3);  // of 2 and 4
    }

    // It sends a step, and hears that it has missed the round.
    const auto missed = table.aggregator->answer_missed(2);
    CHECK(Turn::read(missed, 1).what == Turn::What::missed);
    CHECK(Turn::read(missed, 1).number == 1);
    CHECK(test::reason_of([&] { table.ask(2, 2, false, 2); }) == Reason::wrong_step);
    table.ask(2, 2, false, 1);
    CHECK(!table.aggregator->is_away(2));
    CHECK(!table.aggregator->has_turn(2));  // round 2 goes on
    for (int step = 0; step < 2; ++step)
      for (const std::uint32_t client : {1u, 3u}) table.train(client, 4, 6);
    for (const std::uint32_t client : {1u, 3u}) table.ask(client, 1, true, 2);
    for (const std::uint32_t client : {1u, 2u, 3u}) {
      table.take(client, client == 2 ? 2 : 3);
      CHECK(table.weight(client) == 6);
    }
    if (has_part_for_each)
      CHECK(numbers_of<float>(table.learners[1]->part()) ==
            numbers_of<float>(table.aggregator->server_part()));

    // Its images of the missed round do not count, nor does a later turn that it did not hear of.
    table.train(1, 4, 1);
    table.aggregator->skip(2);
    table.train(3, 4, 1);
    for (const std::uint32_t client : {1u, 3u}) table.ask(client, 0, true, 3);
    CHECK(table.aggregator->is_over());
    CHECK(table.take(1, 4).what == Turn::What::over);
    table.ask(2, 1, false, 1);
    CHECK(table.take(2, 3).what == Turn::What::over);
    CHECK(table.weight(2) == 1);
  }
}

TEST_CASE("aggregator: a client in a new session begins with the average", "[split]") {
  Table table{split::Shared{}, {.clients = 2, .deadline = std::chrono::seconds{1}}};
  for (const std::uint32_t client : {1u, 2u}) table.ask(client, 1, false, 0);
  for (const std::uint32_t client : {1u, 2u}) table.take(client, 1);
  for (const std::uint32_t client : {1u, 2u}) table.train(client, 4, 5);
  table.aggregator->came_anew(2);  // its weights of this round are lost
  table.ask(1, 1, true, 1);
  table.take(1, 2);
  table.roles[1] = split::ServerRole<float>{table.learners[0], split::CutReceiver<float>{{}}};
  table.parts[1] = test::client_part<float>();
  table.ask(2, 1, false, 0);
  table.train(1, 4, 7);
  table.ask(1, 1, true, 2);
  CHECK(table.take(2, 2).what == Turn::What::train);
  CHECK(table.weight(2) == 7);
  CHECK(table.left_out.size() == 1);
}

TEST_CASE("aggregator: another client evaluates where the evaluator is late", "[split]") {
  std::vector<std::uint64_t> rounds;
  Table table{split::Shared{},
              {.clients = 2,
               .deadline = std::chrono::seconds{1},
               .evaluator = 2,
               .on_evaluated = [&](std::uint64_t round, const split::Evaluation&) {
                 rounds.push_back(round);
               }}};
  for (const std::uint32_t client : {1u, 2u}) table.ask(client, 1, false, 0);
  for (const std::uint32_t client : {1u, 2u}) table.take(client, 1);
  for (const std::uint32_t client : {1u, 2u}) table.train(client, 4, 5);
  for (const std::uint32_t client : {1u, 2u}) table.ask(client, 1, true, 1);
  CHECK(table.aggregator->awaited() == std::vector<std::uint32_t>{2});
  table.aggregator->skip(2);
  CHECK(table.take(1, 2).what == Turn::What::evaluate);
  CHECK(table.aggregator->evaluation(2) == nullptr);
  CHECK(table.aggregator->evaluation(1) != nullptr);
  table.ask(1, 1, false, 2);
  CHECK(rounds == std::vector<std::uint64_t>{1});

  // And where nobody is left, there is no evaluation.
  CHECK(table.take(1, 3).what == Turn::What::train);
  table.train(1, 4, 5);
  table.ask(1, 1, true, 3);
  CHECK(table.take(1, 4).what == Turn::What::evaluate);
  table.aggregator->skip(1);
  CHECK(table.aggregator->awaited().empty());
  CHECK(!table.aggregator->is_over());
  table.ask(2, 1, false, 2);
  CHECK(table.take(2, 3).what == Turn::What::train);
  CHECK(rounds.size() == 1);
}
