// SPDX-License-Identifier: MIT
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/codec/quantise.hpp>
#include <splitvit/compress/adc.hpp>
#include <splitvit/optim/sgd.hpp>
#include <splitvit/split/simulation.hpp>

#include "split/group.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using test::ClientGroup;
using test::GroupResult;
using test::numbers_of;
using test::simulate;

namespace {

/// The same training as that of a group, without sessions, messages and links.
template <class T>
class PlainLoop {
 public:
  PlainLoop(const ClientGroup<T>& group, const std::string& mode) : group_{group}, mode_{mode} {
    for (std::uint32_t client = 1; client <= group.clients(); ++client) {
      clients.emplace_back(test::client_part<T>(), group.rule);
      if (servers.empty() || mode == "averaged")
        servers.emplace_back(test::server_part<T>(), group.rule);
      batches_.push_back(group.batches(client));
    }
  }

  void run() {
    std::vector<std::uint64_t> left = group_.steps;
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < left.size(); ++i) order.push_back(i);
    for (std::size_t turn = 0;; ++turn) {
      std::vector<std::size_t> some;
      for (const std::size_t i : order)
        if (left[i] > 0) some.push_back(i);
      if (some.empty()) return;
      if (mode_ == "relay") {  // goes around among those that have steps left
        while (left[turn % order.size()] == 0) ++turn;
        some = {turn % order.size()};
      }
      std::vector<std::uint64_t> samples(left.size());
      for (std::uint64_t step = 0; step < group_.per_turn; ++step)
        for (const std::size_t i : some)
          if (left[i] > 0) {
            samples[i] += train(i);
            --left[i];
          }
      average(some, samples);
    }
  }

  std::vector<split::Learner<T>> clients, servers;

 private:
  std::uint64_t train(std::size_t i) {
    split::Learner<T>& server = servers[servers.size() == 1 ? 0 : i];
    const auto [images, ids] = batches_[i]();
    const Labels labels{ids};
    const Variable<T> tokens =
        clients[i].part().to_cut(Variable<T>{images}, NeedWeights::none).tokens;
    const auto cut = Variable<T>::parameter(tokens.value());
    backward(cross_entropy(server.part().logits(cut), target_rows<T>(labels, 5)));
    backward(tokens, cut.gradient());
    server.apply();
    clients[i].apply();
    return static_cast<std::uint64_t>(labels.row_count());
  }

  void average(const std::vector<std::size_t>& some, const std::vector<std::uint64_t>& samples) {
    for (auto* const all : {&clients, &servers}) {
      if (all == &servers && servers.size() == 1) continue;
      split::Average<T> sum{split::SampleMean{}};
      for (const std::size_t i : some)
        sum.add(static_cast<std::uint32_t>(i + 1), samples[i], nn::parameters<T>((*all)[i].part()));
      nn::Part<T> mean = test::copy_of((*all)[0].part());
      sum.finish(nn::parameters<T>(mean));
      for (split::Learner<T>& one : *all) one.set_weights(mean);
    }
  }

  const ClientGroup<T>& group_;
  std::string mode_;
  std::vector<std::function<typename test::RandomBatches<T>::Batch()>> batches_;
};

}  // namespace

TEST_CASE("simulation: shared, averaged and relay are what a plain loop computes, bit for bit",
          "[split]") {
  const std::string mode = GENERATE("shared", "averaged", "relay");
  CAPTURE(mode);
  const ClientGroup<float> group{.sharing = test::sharing_named<float>(mode)};
  PlainLoop<float> plain{group, mode};
  plain.run();
  const GroupResult result = simulate(group);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(result.weights[i] == numbers_of<float>(plain.clients[i].part()));
  CHECK(result.weights[3] == numbers_of<float>(plain.servers[0].part()));
  CHECK(result.weights[4] == numbers_of<float>(plain.clients[0].part()));
  CHECK(result.weights[4] != numbers_of<float>(test::client_part<float>()));
}

TEST_CASE("simulation: the same bits and bytes as over TCP, whatever the timing", "[split]") {
  const std::string mode = GENERATE("shared", "averaged", "relay");
  CAPTURE(mode);
  const ClientGroup<float> group{.sharing = test::sharing_named<float>(mode),
                                 .stage = compress::adc(0.3),
                                 .codec = codec::Quantise{.bits = 8}};
  const GroupResult simulated = simulate(group);
  CHECK(test::train_over_tcp(group, 1) == simulated);
  CHECK(test::train_over_tcp(group, 2) == simulated);
  CHECK(simulated.shared[0].up.payload > 0);
}

TEST_CASE("simulation: one step of SGD each, averaged, is a step on the pooled batch", "[split]") {
  const auto largest_difference = []<class T>(T) {
    const ClientGroup<T> group{
        .sharing = split::Averaged{}, .steps = {1, 1}, .rule = optim::Sgd{.lr = 0.1}};
    split::Server<T> server = group.server();
    split::Simulation<T> simulation{server};
    group.add_all(simulation);
    simulation.run();

    // Both batches as one.
    const auto [a, of_a] = group.batches(1)();
    const auto [b, of_b] = group.batches(2)();
    std::vector<T> both{a.span().begin(), a.span().end()};
    both.insert(both.end(), b.span().begin(), b.span().end());
    std::vector<Index> ids = of_a;
    ids.insert(ids.end(), of_b.begin(), of_b.end());
    const Tensor<T> images{Shape{static_cast<Index>(ids.size()), 3, 8, 8}, both};
    split::Learner<T> client{test::client_part<T>(), group.rule};
    split::Learner<T> last{test::server_part<T>(), group.rule};
    const auto tokens = client.part().to_cut(Variable<T>{images}, NeedWeights::none).tokens;
    backward(cross_entropy(last.part().logits(tokens), target_rows<T>(Labels{ids}, 5)));
    client.apply();
    last.apply();

    double largest = 0;
    const auto compare = [&](const std::vector<T>& mine, const std::vector<T>& pooled) {
      REQUIRE(mine.size() == pooled.size());
      for (std::size_t i = 0; i < mine.size(); ++i)
        largest = std::max(largest, std::abs(static_cast<double>(mine[i] - pooled[i])));
    };
    compare(numbers_of<T>(server.group()->client_parts()), numbers_of<T>(client.part()));
    compare(numbers_of<T>(server.part()), numbers_of<T>(last.part()));
    return largest;
  };
  CHECK(largest_difference(1.0f) < 1e-6);
  CHECK(largest_difference(1.0) < 1e-12);
}

TEST_CASE("simulation: each client takes its own steps, in rounds with some of them", "[split]") {
  const ClientGroup<float> group{.sharing = split::Shared<>{.per_round = 2},
                                 .steps = {4, 1, 6, 5, 3},
                                 .options = {.seed = 8, .evaluator = 2, .evaluate_every = 3}};
  split::Server<float> server = group.server();
  split::Simulation<float> simulation{server};
  group.add_all(simulation);
  std::vector<std::uint64_t> evaluated;
  std::uint64_t steps = 0;
  simulation.run(
      [&](split::Client<float>&, const split::StepReport& report) {
        ++steps;
        CHECK(report.samples > 4);
      },
      [&](split::Client<float>& client, std::uint64_t round) {
        evaluated.push_back(round);
        CHECK(&client == &simulation.client(2));
        CHECK(numbers_of<float>(client.part()) ==
              numbers_of<float>(server.group()->client_parts()));
        client.evaluate(test::RandomBatches<float>{});
      });
  for (std::uint32_t i = 1; i <= 5; ++i) CHECK(simulation.client(i).steps() == group.steps[i - 1]);
  CHECK(steps == 19);
  CHECK(server.steps() == 19);
  const std::uint64_t rounds = server.group()->rounds().number();
  CHECK(rounds >= 5);  // eleven turns of one or two steps, two clients a round
  REQUIRE(!evaluated.empty());
  CHECK(evaluated.back() == rounds);
  for (std::size_t i = 0; i + 1 < evaluated.size(); ++i) CHECK(evaluated[i] == 3 * (i + 1));
}

TEST_CASE("simulation: of steps, evaluations and bytes the server knows what its clients know",
          "[split]") {
  using Steps = std::vector<std::pair<double, Index>>;  // loss and images
  Steps told, taken;
  std::vector<split::Evaluation> heard, found;
  ClientGroup<float> group{.options = {.evaluator = 2}};
  group.options.on_step = [&](std::uint32_t, const split::StepReport& step) {
    told.emplace_back(step.loss, step.samples);
    CHECK(step.seconds.server > 0);
  };
  group.options.on_evaluated = [&](std::uint64_t round, const split::Evaluation& evaluation) {
    heard.push_back(evaluation);
    CHECK(round == heard.size());
  };
  split::Server<float> server = group.server();
  CHECK(server.awaited() == std::vector<std::uint32_t>{1, 2, 3});
  split::Simulation<float> simulation{server};
  group.add_all(simulation);
  simulation.run(
      [&](split::Client<float>&, const split::StepReport& step) {
        taken.emplace_back(step.loss, step.samples);
      },
      [&](split::Client<float>& client, std::uint64_t) {
        CHECK(server.awaited() == std::vector<std::uint32_t>{2});
        found.push_back(client.evaluate(test::RandomBatches<float>{}));
      });
  CHECK(told == taken);
  CHECK(told.size() == 9);
  REQUIRE(heard.size() == found.size());
  CHECK(heard.size() == 2);
  for (std::size_t i = 0; i < heard.size(); ++i) {
    CHECK(heard[i].loss == found[i].loss);
    CHECK(heard[i].samples == found[i].samples);
    CHECK(heard[i].classes == found[i].classes);
    CHECK(heard[i].correct == found[i].correct);
  }
  for (std::uint32_t i = 1; i <= 3; ++i) {
    const auto session = server.session_of(i);
    REQUIRE(session);
    CHECK(session->steps.last() == group.steps[i - 1]);
    using enum split::Column;
    for (const split::Column column : {training, evaluation, weights})
      CHECK(split::traffic_of(*session, column, true) == simulation.client(i).traffic(column));
  }
  CHECK(!server.session_of(4));
  CHECK(server.awaited().empty());
}

TEST_CASE("simulation: what does not fit together is refused", "[split]") {
  const ClientGroup<float> group;
  split::Server alone{test::server_part<float>(), optim::Adam{}};
  CHECK_THROWS_WITH((split::Simulation<float>{alone}), ContainsSubstring("no group of clients"));

  split::Server<float> server = group.server();
  split::Simulation<float> simulation{server};
  const auto add = [&](std::uint32_t client) {
    simulation.add(group.role(), group.client_options(client), {group.plan(1), group.batches(1)});
  };
  CHECK_THROWS_WITH(add(2), ContainsSubstring("client 2 came, wanted client 1"));
  add(1);
  CHECK_THROWS_WITH(simulation.run(), ContainsSubstring("1 of 3 clients"));
  add(2);
  add(3);
  CHECK_THROWS_WITH(add(4), ContainsSubstring("client 4 came, 3 are registered"));
  simulation.connect();
  simulation.run();
  CHECK_THROWS_AS(simulation.run(), std::logic_error);
}
