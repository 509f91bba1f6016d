// SPDX-License-Identifier: MIT
#include <optional>
#include <stdexcept>
#include <vector>

#include <splitvit/codec/transform.hpp>
#include <splitvit/compress/adc.hpp>
#include <splitvit/compress/drop_samples.hpp>
#include <splitvit/compress/merge_tokens.hpp>
#include <splitvit/core/state.hpp>
#include <splitvit/optim/adam.hpp>
#include <splitvit/split/client.hpp>
#include <splitvit/split/server.hpp>

#include "split/loopback.hpp"
#include "support/catch.hpp"

// Evaluations with the stages that keep all samples, and the codec.

using namespace splitvit;
using split::EvaluationMode;
using test::RandomBatches;
using test::Serving;

namespace {

RandomBatches<float> test_images() { return {.left = 2, .rng = {.seed = 77}}; }

/// Both parties with a method, over memory.
struct TwoParties {
  explicit TwoParties(compress::AnyStage<float> stage, codec::AnyCodec<float> codec)
      : server{test::server_part(), optim::Adam{.lr = 1e-2}, codec},
        client{test::client_part(), optim::Adam{.lr = 1e-2}, std::move(stage), codec,
               test::dial(server, serving)} {}

  void train(Index steps) {
    for (; steps > 0; --steps) {
      auto batch = batches.make();
      client.train_step(std::move(batch.images), batch.labels);
    }
  }
  void finish() {
    client.close();
    serving->finish();
  }

  RandomBatches<float> batches;
  split::Server<float> server;
  std::optional<Serving<split::Server<float>>> serving;
  split::Client<float> client;
};

}  // namespace

TEST_CASE("evaluation: without stages and codec both modes find the same", "[split]") {
  TwoParties pair{compress::Identity{}, codec::Float32{}};
  pair.train(2);
  const auto plain = pair.client.evaluate(test_images());
  const auto same = pair.client.evaluate(test_images(), EvaluationMode::compressed);
  CHECK(same.loss == plain.loss);
  CHECK(same.correct == plain.correct);
  CHECK(same.classes == plain.classes);
  CHECK(same.traffic == plain.traffic);
  CHECK(same.samples == 12);
  pair.finish();
}

TEST_CASE("evaluation: compressed, samples are neither merged nor dropped, and bytes are counted",
          "[split]") {
  const auto of = [](compress::AnyStage<float> stage, codec::AnyCodec<float> codec) {
    TwoParties pair{std::move(stage), std::move(codec)};
    pair.train(3);
    const auto plain = pair.client.evaluate(test_images());
    const auto before = pair.client.traffic(split::Column::evaluation).total();
    const auto training = pair.client.traffic(split::Column::training);
    const auto found = pair.client.evaluate(test_images(), EvaluationMode::compressed);
    CHECK(found.samples == 12);
    CHECK(found.traffic.total() == pair.client.traffic(split::Column::evaluation).total() - before);
    CHECK(pair.client.traffic(split::Column::training) == training);
    CHECK(plain.traffic.down == found.traffic.down);
    const auto up = found.traffic.up.total();
    CHECK(up < plain.traffic.up.total());
    pair.finish();
    return std::pair{found.loss, up};
  };
  const codec::Float32 exact;
  const auto select = of(compress::SelectTokens{.keep = 0.6}, exact);
  CHECK(select.second == of(compress::adc({.samples = 0.5, .tokens = 0.6}), exact).second);
  CHECK(select.second ==
        of(compress::DropSamples{.keep = 0.5} | compress::SelectTokens{.keep = 0.6}, exact).second);
  CHECK(of(compress::MergeTokens{.keep = 0.6, .send_sizes = true}, exact).second ==
        select.second + 2 * 6 * 3);  // a byte a token
  CHECK(of(compress::Identity{}, codec::Transform{.step = 1}).second < select.second);
}

TEST_CASE("evaluation: compressed, it leaves nothing behind, whatever it meets", "[split]") {
  const codec::Transform codec{.step = 0.5, .refresh = 3};
  const auto stage = compress::adc(0.5);
  TwoParties watched{stage, codec}, undisturbed{stage, codec};
  for (int round = 0; round < 3; ++round) {
    // Before the first step, too, where the codec has no tables yet.
    const auto first = watched.client.evaluate(test_images(), EvaluationMode::compressed);
    const auto again = watched.client.evaluate(test_images(), EvaluationMode::compressed);
    CHECK(first.loss == again.loss);
    CHECK(first.traffic == again.traffic);
    watched.train(2);
    undisturbed.train(2);
    CHECK(test::numbers_of<float>(watched.client.part()) ==
          test::numbers_of<float>(undisturbed.client.part()));
    auto its = watched.client.role().sender().codec();
    auto other = undisturbed.client.role().sender().codec();
    CHECK(state_bytes(its) == state_bytes(other));
  }
  CHECK(watched.client.traffic(split::Column::training) ==
        undisturbed.client.traffic(split::Column::training));
  watched.finish();
  undisturbed.finish();
}

namespace {

/// A stage that says nothing of evaluations.
struct FirstSample {
  template <std::floating_point T>
  compress::CutBatch<T> operator()(compress::CutBatch<T> batch, Rng&) const {
    const Index kept[] = {0};
    return compress::gather_samples(std::move(batch), std::span<const Index>{kept});
  }
  std::string description() const { return "first"; }
};

}  // namespace

TEST_CASE("evaluation: compressed, a stage that makes samples fewer is named", "[split]") {
  TwoParties pair{FirstSample{}, codec::Float32{}};
  pair.train(1);
  CHECK_THROWS_WITH(pair.client.evaluate(test_images(), EvaluationMode::compressed),
                    ContainsSubstring("first made 1 of 6 samples"));
  CHECK(pair.client.evaluate(test_images()).samples == 12);
  pair.finish();
}

TEST_CASE("evaluation: flags of another message are refused", "[split]") {
  split::ServerRole<float> role{
      std::make_shared<split::Learner<float>>(test::server_part(), optim::Adam{}),
      split::CutReceiver<float>{codec::Float32{}}};
  const std::vector<std::byte> labels(2), tokens(2 * 16 * 4);  // class ids, of class 0
  const auto payload = [&](split::ForwardMessage message) {
    std::vector<std::byte> out;
    message.samples = 1;
    message.tokens = 2;
    message.labels = labels;
    message.put_header(out);
    out.insert(out.end(), tokens.begin(), tokens.end());
    return out;
  };
  constexpr std::uint64_t largest = 1 << 20;
  CHECK_NOTHROW(role.evaluate(payload({}), largest));
  CHECK_NOTHROW(role.evaluate(payload({.is_coded = true}), largest));
  CHECK_THROWS_AS(role.evaluate(payload({.wants_gradient = false}), largest), WireError);
  const std::vector<std::byte> sizes(2, std::byte{1});
  CHECK_THROWS_AS(role.evaluate(payload({.token_sizes = sizes}), largest), WireError);
  CHECK_NOTHROW(role.evaluate(payload({.token_sizes = sizes, .is_coded = true}), largest));
  std::vector<std::byte> reply;
  CHECK_THROWS_AS(role.forward({.step = 1}, payload({.is_coded = true}), largest, reply),
                  WireError);
}
