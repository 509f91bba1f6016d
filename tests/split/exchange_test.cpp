// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <splitvit/compress/adc.hpp>
#include <splitvit/compress/then.hpp>
#include <splitvit/optim/sgd.hpp>
#include <splitvit/spec/codecs.hpp>
#include <splitvit/spec/method.hpp>
#include <splitvit/split/client.hpp>
#include <splitvit/split/exchange.hpp>
#include <splitvit/split/server.hpp>
#include <splitvit/split/simulation.hpp>
#include <splitvit/transport/simulated.hpp>

#include "split/group.hpp"
#include "split/loopback.hpp"
#include "support/catch.hpp"
#include "support/codec_texts.hpp"
#include "support/links.hpp"
#include "support/sanitizer.hpp"

// Steps whose batch is cut into parts.

using namespace splitvit;
using test::numbers_of;
using test::RandomBatches;

namespace {

/// What a training leaves.
struct PartsOutcome {
  std::vector<float> client, server;
  std::vector<double> losses;
  split::Traffic bytes = {};
  friend bool operator==(const PartsOutcome&, const PartsOutcome&) = default;
};

/// How a model is trained in parts.
struct PartsTraining {
  std::uint32_t micro_batches = 1;
  std::string codec = "float32";
  compress::AnyStage<float> stage = compress::Identity{};
  optim::AnyRule<float> rule = optim::Adam{.lr = 1e-2};
  nn::Feedback feedback = {};
  double drop_patches = 0;
  int steps = 3;
  Index samples = 7;

  split::ClientRole<float> client() const {
    return {split::Learner<float>{test::client_part(), rule, {}, feedback},
            split::CutSender<float>{stage, spec::parse_codec<float>(codec), 5}, drop_patches};
  }
  split::Server<float> server() const {
    return {test::server_part(), rule, spec::parse_codec<float>(codec), {.seed = 5}};
  }
  std::vector<RandomBatches<float>::Batch> batches() const {
    RandomBatches<float> all{.samples = samples};
    std::vector<RandomBatches<float>::Batch> some;
    for (int step = 0; step < steps; ++step) some.push_back(all.make());
    return some;
  }

  /// By a client and a server. Without deadlines no thread reads ahead at the client.
  PartsOutcome by_link(bool with_deadlines = true) const {
    auto own = server();
    std::optional<test::Serving<split::Server<float>>> serving;
    transport::AnyLink link = test::dial(own, serving);
    if (!with_deadlines) link = test::WithoutDeadlines{std::move(link)};
    split::Client<float> one{client(),
                             std::move(link),
                             {.seed = 5, .feedback = feedback, .micro_batches = micro_batches}};
    PartsOutcome outcome;
    for (auto& batch : batches())
      outcome.losses.push_back(one.train_step(std::move(batch.images), batch.labels).loss);
    one.close();
    serving->finish();
    outcome.client = numbers_of<float>(one.part());
    outcome.server = numbers_of<float>(own.part());
    return outcome;
  }

  /// By roles, one message after the other: nothing overlaps.
  PartsOutcome by_hand() const {
    split::ClientRole<float> one = client();
    const auto learner = std::make_shared<split::Learner<float>>(test::server_part(), rule);
    split::ServerRole<float> other{learner,
                                   split::CutReceiver<float>{spec::parse_codec<float>(codec), 5}};
    PartsOutcome outcome;
    std::uint64_t step = 0;
    for (const auto& batch : batches()) {
      ++step;
      split::StepReport report;
      std::vector<std::byte> reply;
      const auto n = std::min<Index>(micro_batches, samples);
      for (Index i = 0; i < n; ++i) {
        const auto [images, labels] = split::batch_part<float>(batch.images, batch.labels, i, n);
        const split::StepId id{.step = step, .micro = static_cast<std::uint32_t>(i)};
        const auto bytes =
            test::joined_pieces(one.forward(id, images, labels, report, n == 1 ? 0 : samples));
        other.forward(id, bytes, 1 << 20, reply);
        CHECK(other.is_complete() == (i + 1 == n));
        if (other.is_complete()) other.commit(reply);
        one.backward(reply, report);
      }
      one.commit(report);
      outcome.losses.push_back(report.loss);
    }
    outcome.client = numbers_of<float>(one.part());
    outcome.server = numbers_of<float>(other.part());
    return outcome;
  }
};

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  float largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace

TEST_CASE("exchange: a batch is cut into parts of nearly equal size, in order", "[split]") {
  const auto batch = RandomBatches<float>{.samples = 7}.make();
  const Labels labels = batch.labels;
  Index rows = 0;
  std::vector<float> numbers;
  for (Index i = 0; i < 3; ++i) {
    const auto [images, some] = split::batch_part<float>(batch.images, labels, i, 3);
    CHECK(images.shape() == Shape{some.row_count(), 3, 8, 8});
    CHECK((some.row_count() == 2 || some.row_count() == 3));
    for (Index row = 0; row < some.row_count(); ++row)
      CHECK(some.row(row).argmax() == labels.row(rows++).argmax());
    numbers.insert(numbers.end(), images.span().begin(), images.span().end());
  }
  CHECK(rows == 7);
  CHECK(std::ranges::equal(numbers, batch.images.span()));
}

TEST_CASE("exchange: without compression a step in parts is the step of the whole batch",
          "[split]") {
  for (const nn::Feedback feedback : {nn::Feedback{}, nn::Feedback{.every = 2}}) {
    const PartsTraining whole{
        .rule = optim::Sgd{.lr = 0.1, .momentum = 0.9}, .feedback = feedback, .steps = 5};
    const PartsOutcome wanted = whole.by_link();
    for (const std::uint32_t parts : {2u, 3u, 7u, 64u}) {
      PartsTraining some = whole;
      some.micro_batches = parts;
      const PartsOutcome came = some.by_link();
      CHECK(largest_difference(came.client, wanted.client) < 1e-5f);
      CHECK(largest_difference(came.server, wanted.server) < 1e-5f);
      for (std::size_t step = 0; step < wanted.losses.size(); ++step)
        CHECK(std::abs(came.losses[step] - wanted.losses[step]) < 1e-5);
      CHECK(came.client != wanted.client);  // it was in parts
    }
  }
}

TEST_CASE("exchange: the bits do not depend on what overlaps, for any codec", "[split]") {
  std::vector<std::string> codecs = test::codec_texts();
  for (const char* const more :
       {"transform:rate=0.2", "coded(q:3)/float16", "topk:0.3,values=(q:4)"})
    codecs.push_back(more);
  for (const std::string& codec : codecs) {
    CAPTURE(codec);
    const PartsTraining training{.micro_batches = 3, .codec = codec};
    const PartsOutcome wanted = training.by_hand();
    CHECK(training.by_link() == wanted);
    CHECK(training.by_link(false) == wanted);
  }
}

TEST_CASE("exchange: the bits do not depend on what overlaps, for stages and feedback", "[split]") {
  const compress::AnyStage<float> stages[] = {
      compress::adc(0.5), spec::parse_method<float>("drop:0.4").stage,
      compress::MergeSamples{.keep = 0.5, .weight_by_size = true}};
  for (const auto& stage : stages)
    for (const std::uint64_t every : {1u, 2u, 0u})
      for (const double dropped : {0.0, 0.5}) {
        CAPTURE(stage.description(), every, dropped);
        const PartsTraining training{.micro_batches = 3,
                                     .codec = "transform:0.5",
                                     .stage = stage,
                                     .feedback = {.every = every},
                                     .drop_patches = dropped,
                                     .steps = 4};
        const PartsOutcome wanted = training.by_hand();
        CHECK(training.by_link() == wanted);
        CHECK(training.by_link(false) == wanted);
        for (const double loss : wanted.losses) CHECK(loss > 0);
      }
}

TEST_CASE("exchange: parts that are larger than all buffers of the link do not block each other",
          "[split]") {
  const PartsTraining training{.micro_batches = 5, .steps = 2, .samples = 40};
  const PartsOutcome wanted = training.by_hand();
  auto own = training.server();
  auto [client_end, server_end] = transport::memory_pair(256);
  test::Serving serving{own, std::move(server_end)};
  split::Client<float> one{
      training.client(), std::move(client_end), {.seed = 5, .micro_batches = 5}};
  for (auto& batch : training.batches()) one.train_step(std::move(batch.images), batch.labels);
  one.close();
  serving.finish();
  CHECK(numbers_of<float>(one.part()) == wanted.client);
  CHECK(numbers_of<float>(own.part()) == wanted.server);
}

TEST_CASE("exchange: a simulation takes the same steps in parts as a network", "[split]") {
  const test::ClientGroup<float> group{.stage = compress::adc(0.5)};
  std::vector<float> wanted;
  for (const std::uint32_t parts : {1u, 2u}) {
    split::Server<float> server = group.server();
    split::Simulation<float> simulation{server};
    for (std::uint32_t client = 1; client <= group.clients(); ++client) {
      split::ClientOptions options = group.client_options(client);
      options.micro_batches = parts;
      simulation.add(group.role(), options, {group.plan(client), group.batches(client)});
    }
    simulation.run();
    CHECK(server.steps() == 9);
    CHECK(numbers_of<float>(server.part()) != wanted);
    wanted = numbers_of<float>(server.part());
  }
  split::Server<float> server = group.server();
  std::vector<std::jthread> threads;
  std::vector<std::optional<test::Serving<split::Server<float>>>> serving(group.clients());
  for (std::uint32_t number = 1; number <= group.clients(); ++number)
    threads.emplace_back([&, number] {
      split::ClientOptions options = group.client_options(number);
      options.micro_batches = 2;
      split::Client<float> client{group.role(), options};
      client.reconnect(test::dial(server, serving[number - 1]));
      auto next = group.batches(number);
      const split::TurnPlan plan = group.plan(number);
      while (true) {
        client.request_turn(plan.next(client.steps()));
        if (client.await_turn().what == split::Turn::What::over) break;
        while (client.role().steps_left() > 0) {
          auto batch = next();
          client.train_step(std::move(batch.images), batch.labels);
        }
      }
      client.close();
    });
  threads.clear();
  for (auto& one : serving) one->finish();
  CHECK(numbers_of<float>(server.part()) == wanted);
}

TEST_CASE("exchange: a link that breaks within a step loses nothing and counts nothing twice",
          "[split]") {
  const PartsTraining training{.micro_batches = 3,
                               .codec = "transform:0.5",
                               .stage = compress::adc(0.5),
                               .steps = 2,
                               .samples = 6};
  struct Run {
    PartsOutcome outcome;
    split::Traffic at_server;
    std::uint64_t hello = 0, welcome = 0, up = 0, down = 0;  // bytes of the first connection
    int cuts = 0;
  };
  const auto run = [&](const transport::Faults& faults) {
    Run result;
    auto own = training.server();
    std::optional<test::Serving<split::Server<float>>> serving;
    transport::Metered first{transport::Simulated{test::dial(own, serving), {}, faults}};
    const auto counted = first.traffic();
    split::Client<float> one{training.client(), {.seed = 5, .micro_batches = 3}};
    one.reconnect(std::move(first));
    result.hello = counted->sent();
    result.welcome = counted->received();
    for (const auto& batch : training.batches())
      while (true) {
        try {
          result.outcome.losses.push_back(one.train_step(batch.images, batch.labels).loss);
          break;
        } catch (const ReasonedError&) {
          one.disconnect();
          CHECK_THROWS_AS(serving->finish(), ReasonedError);
          one.reconnect(test::dial(own, serving));
          REQUIRE(++result.cuts == 1);
        }
      }
    if (result.cuts == 0) {
      result.up = counted->sent();
      result.down = counted->received();
    }
    const auto session = own.session_of(0);
    REQUIRE(session);
    result.at_server = split::traffic_of(*session, split::Column::training, true);
    result.outcome.bytes = one.traffic(split::Column::training);
    one.close();
    serving->finish();
    result.outcome.client = numbers_of<float>(one.part());
    result.outcome.server = numbers_of<float>(own.part());
    return result;
  };
  const Run wanted = run({});
  CHECK(wanted.outcome.client == training.by_hand().client);
  CHECK(wanted.outcome.bytes == wanted.at_server);
  int broken = 0;
  const std::uint64_t stride = SPLITVIT_SANITIZED ? 397 : 61;
  const auto cut_by = [&](const transport::Faults& faults) {
    CAPTURE(faults.cut_sent_at, faults.cut_received_at);
    const Run came = run(faults);
    broken += came.cuts;
    CHECK(came.outcome == wanted.outcome);
    CHECK(came.at_server == wanted.at_server);
  };
  for (std::uint64_t at = wanted.hello; at < wanted.up; at += stride) cut_by({.cut_sent_at = at});
  for (std::uint64_t at = wanted.welcome; at < wanted.down; at += stride)
    cut_by({.cut_received_at = at});
  CHECK(broken > 5);  // with a sanitizer 7
}

TEST_CASE("exchange: numbers of parts outside the range are refused", "[split]") {
  for (const std::uint32_t parts : {0u, 65u})
    CHECK_THROWS_WITH((split::Client<float>{PartsTraining{}.client(), {.micro_batches = parts}}),
                      ContainsSubstring("wanted 1 to 64"));
}
