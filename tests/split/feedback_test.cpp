// SPDX-License-Identifier: MIT
#include <cmath>
#include <memory>
#include <set>
#include <vector>

#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/codec/transform.hpp>
#include <splitvit/compress/adc.hpp>
#include <splitvit/nn/distance_correlation.hpp>
#include <splitvit/optim/adam.hpp>
#include <splitvit/split/client.hpp>
#include <splitvit/split/server.hpp>

#include "split/loopback.hpp"
#include "support/catch.hpp"

// Training with local feedback, and with patches that no block sees.

using namespace splitvit;
using test::numbers_of;
using test::RandomBatches;
using test::Serving;
using test::small_vit;

namespace {

struct Trained {
  std::vector<float> client, server;
  std::vector<split::StepReport> steps;
};

Trained train(const split::ClientOptions& options, compress::AnyStage<float> stage,
              codec::AnyCodec<float> codec, int steps, int threads = 1) {
  return with_threads(threads, [&] {
    auto [client_end, server_end] = transport::memory_pair();
    split::Server<float> server{test::server_part(), optim::Adam{.lr = 1e-2}, codec};
    Serving serving{server, std::move(server_end)};
    split::Client<float> client{test::client_part(),   optim::Adam{.lr = 1e-2},
                                std::move(stage),      codec,
                                std::move(client_end), options};
    Trained all;
    RandomBatches<float> batches;
    for (int step = 0; step < steps; ++step) {
      auto batch = batches.make();
      all.steps.push_back(client.train_step(std::move(batch.images), batch.labels));
    }
    client.close();
    serving.finish();
    all.client = numbers_of<float>(client.part());
    all.server = numbers_of<float>(server.part());
    return all;
  });
}

constexpr std::uint64_t empty_reply = split::BackwardMessage::header_bytes + 12;  // its number

}  // namespace

TEST_CASE("local feedback: the server learns as ever in a step, and sends no gradient", "[split]") {
  const codec::Transform codec{.step = 0.5};
  const Trained usual = train({}, compress::adc(0.5), codec, 1);
  const Trained local = train({.feedback = {.every = 0}}, compress::adc(0.5), codec, 1);
  CHECK(local.server == usual.server);
  CHECK(local.steps[0].loss == usual.steps[0].loss);
  CHECK(local.steps[0].traffic.up == usual.steps[0].traffic.up);
  CHECK(local.steps[0].traffic.down.payload == empty_reply);
  CHECK(usual.steps[0].traffic.down.payload > empty_reply);
}

TEST_CASE("local feedback: the client learns as its part and the head do by themselves",
          "[split]") {
  // Stages and codec do not matter to it.
  const Trained split =
      train({.feedback = {.every = 0}}, compress::adc(0.5), codec::Transform{.step = 0.5}, 4);
  const nn::Part<float> part = test::client_part();
  const nn::LocalHead<float> head{small_vit.dim, small_vit.classes};
  auto parameters = nn::parameters<float>(part);
  for (const auto& [name, parameter] : nn::parameters<float>(head))
    parameters.emplace_back("head." + name, parameter);
  optim::Optimizer<float> optimizer{optim::Adam{.lr = 1e-2}, parameters};
  RandomBatches<float> batches;
  const auto before = numbers_of<float>(part);
  for (int step = 0; step < 4; ++step) {
    const auto batch = batches.make();
    backward(head.loss(part.to_cut(Variable<float>{batch.images}).tokens, batch.labels));
    optimizer.step();
    optimizer.clear_gradients();
  }
  CHECK(split.client == numbers_of<float>(part));
  CHECK(split.client != before);
}

TEST_CASE("local feedback: every K-th step has the server's gradient", "[split]") {
  const Trained some =
      train({.feedback = {.every = 3}}, compress::Identity{}, codec::Transform{.step = 0.5}, 7);
  for (std::size_t i = 0; i < some.steps.size(); ++i)
    CHECK((some.steps[i].traffic.down.payload == empty_reply) == ((i + 1) % 3 != 0));
  for (const int threads : {2, 3}) {
    const Trained again = train({.feedback = {.every = 3}}, compress::Identity{},
                                codec::Transform{.step = 0.5}, 7, threads);
    CHECK(again.client == some.client);
    CHECK(again.server == some.server);
  }
}

TEST_CASE("local feedback: where the server's gradient comes, the head changes nothing else",
          "[split]") {
  const auto after = [](nn::Feedback feedback) {
    split::ClientRole<float> client{{test::client_part(), optim::Adam{.lr = 1e-2}, {}, feedback},
                                    {compress::Identity{}, {}}};
    split::ServerRole<float> server{
        std::make_shared<split::Learner<float>>(test::server_part(), optim::Adam{}),
        split::CutReceiver<float>{codec::Float32{}}};
    const auto batch = RandomBatches<float>{}.make();
    split::StepReport report;
    const auto payload =
        test::joined_pieces(client.forward({.step = 3}, batch.images, batch.labels, report));
    std::vector<std::byte> reply;
    server.forward({.step = 3}, payload, 1 << 20, reply);
    server.commit(reply);
    client.backward(reply, report);
    client.commit(report);
    return std::pair{numbers_of<float>(client.part()), client.learner().local_head()};
  };
  const auto [without, no_head] = after({});
  const auto [with, head] = after({.every = 3});
  CHECK(with == without);
  CHECK(!no_head);
  REQUIRE(head);
  CHECK(numbers_of<float>(*head) != numbers_of<float>(nn::LocalHead<float>{16, 5}));
}

TEST_CASE("local feedback: an encoder learns, too, and the head is no part of the model",
          "[split]") {
  nn::Part<float> part = test::client_part();
  part.encoder = nn::make_encoder<float>(small_vit.dim, {.ratio = 0.5}, test::start);
  const std::size_t parameters = nn::parameters<float>(part).size();
  const auto before = numbers_of<float>(*part.encoder);
  split::Learner<float> learner{part, optim::Adam{.lr = 1e-2}, {}, {.every = 0}};
  CHECK(nn::parameters<float>(learner.part()).size() == parameters);
  CHECK(learner.optimizer().parameters().size() == parameters + 4);
  CHECK(learner.optimizer().parameters().back().first == "local_head.head.bias");
  split::ClientRole<float> role{std::move(learner), {compress::Identity{}, {}}};
  RandomBatches<float> batches;
  split::StepReport report;
  for (std::uint64_t step = 1; step <= 3; ++step) {
    const auto batch = batches.make();
    role.forward({.step = step}, batch.images, batch.labels, report);
    std::vector<std::byte> reply;
    split::BackwardMessage{}.put_header(reply);
    role.backward(reply, report);
    role.commit(report);
  }
  CHECK(numbers_of<float>(*part.encoder) != before);

  const auto batch = batches.make();
  const auto state = state_bytes(role);
  role.forward({.step = 4}, batch.images, batch.labels, report);
  std::vector<std::byte> unwanted;
  split::BackwardMessage{}.put_header(unwanted);
  unwanted.resize(unwanted.size() + 64);
  CHECK_THROWS_WITH(role.backward(unwanted, report), ContainsSubstring("was not asked for"));
  role.discard();
  CHECK(state_bytes(role) == state);
  CHECK_THROWS_WITH((split::Learner<float>{test::server_part(), optim::Adam{}, {}, {.every = 0}}),
                    ContainsSubstring("feedback:local for blocks [1, 3)"));
}

TEST_CASE("dropped patches: no block, codec or server sees them, other ones in each step",
          "[split]") {
  const Trained usual = train({}, compress::Identity{}, {}, 2);
  const Trained half = train({.drop_patches = 0.5}, compress::Identity{}, {}, 2);
  const Index width = small_vit.dim * 4, samples = 6;  // bytes of a token
  REQUIRE(small_vit.tokens() == 5);
  CHECK(half.steps[0].sent_tokens == 3);
  CHECK(usual.steps[0].traffic.up.payload - half.steps[0].traffic.up.payload ==
        static_cast<std::uint64_t>(2 * width * samples));
  CHECK(usual.steps[0].traffic.down.payload - half.steps[0].traffic.down.payload ==
        static_cast<std::uint64_t>(2 * width * samples));
  CHECK(half.client != usual.client);
  CHECK(train({.drop_patches = 0.5}, compress::Identity{}, {}, 2, 3).client == half.client);
  CHECK(train({.seed = 1, .drop_patches = 0.5}, compress::Identity{}, {}, 2).client != half.client);
  CHECK(train({.drop_patches = 0.2}, compress::Identity{}, {}, 2).client == usual.client);  // none
  CHECK(train({.drop_patches = 0.999}, compress::Identity{}, {}, 1).steps[0].sent_tokens == 2);

  // What is sent are the tokens of CLS and the chosen patches, as if the others were not there.
  split::ClientRole<float> role{
      {test::client_part(), optim::Adam{}}, {compress::Identity{}, {}, 9}, 0.5};
  RandomBatches<float> batches;
  const auto batch = batches.make();
  std::set<std::vector<std::byte>> sent;
  split::StepReport report;
  for (std::uint64_t step = 1; step <= 3; ++step) {
    const auto parts = role.forward({.step = step}, batch.images, batch.labels, report);
    sent.emplace(parts[1].begin(), parts[1].end());
    role.discard();
  }
  CHECK(sent.size() == 3);
  for (const double wrong : {-0.1, 1.0, std::nan("")})
    CHECK_THROWS_WITH((split::ClientRole<float>{
                          {test::client_part(), optim::Adam{}}, {compress::Identity{}, {}}, wrong}),
                      ContainsSubstring("drop_patches"));
}

TEST_CASE("distance correlation: a term of the client's loss that no message shows", "[split]") {
  const auto part = test::client_part();
  const auto rest = test::server_part();
  optim::Optimizer<float> of_part{optim::Adam{.lr = 1e-2}, nn::parameters<float>(part)};
  optim::Optimizer<float> of_rest{optim::Adam{.lr = 1e-2}, nn::parameters<float>(rest)};
  RandomBatches<float> batches;
  for (int step = 0; step < 3; ++step) {
    const auto batch = batches.make();
    const auto tokens = part.to_cut(Variable<float>{batch.images}).tokens;
    backward(cross_entropy(rest.logits(nn::with_distance_correlation(tokens, batch.images, 0.5)),
                           batch.labels));
    for (auto* optimizer : {&of_part, &of_rest}) {
      optimizer->step();
      optimizer->clear_gradients();
    }
  }
  const Trained usual = train({}, compress::Identity{}, {}, 3);
  const Trained with_term = train({.distance_correlation = 0.5}, compress::Identity{}, {}, 3);
  CHECK(with_term.client == numbers_of<float>(part));
  CHECK(with_term.server == numbers_of<float>(rest));
  CHECK(with_term.client != usual.client);
  CHECK(with_term.steps[0].loss == usual.steps[0].loss);
  CHECK(with_term.steps[0].traffic == usual.steps[0].traffic);
  CHECK_THROWS_WITH(train({.distance_correlation = -1}, compress::Identity{}, {}, 1),
                    ContainsSubstring("distance_correlation"));
}

TEST_CASE("distance correlation: falls while it is learnt from, also with local feedback",
          "[split]") {
  const auto found = [](double weight, nn::Feedback feedback) {
    split::ClientRole<float> role{{test::client_part(), optim::Adam{.lr = 1e-2}, {}, feedback},
                                  {compress::Identity{}, {}, 9},
                                  0,
                                  weight};
    const auto batch = RandomBatches<float>{.samples = 24}.make();
    split::StepReport report;
    for (std::uint64_t step = 1; step <= 30; ++step) {
      role.forward({.step = step}, batch.images, batch.labels, report);
      // No gradient comes from the server.
      std::vector<std::byte> reply;
      split::BackwardMessage{}.put_header(reply);
      if (!feedback.needs_head()) reply.resize(reply.size() + 24 * 5 * 16 * sizeof(float));
      role.backward(reply, report);
      role.commit(report);
    }
    return nn::distance_correlation(
        batch.images, role.part().to_cut(Variable<float>{batch.images}).tokens.value());
  };
  CHECK(found(1, {}) < 0.8 * found(0, {}));
  CHECK(found(1, {.every = 0}) < found(0, {.every = 0}));
}
