// SPDX-License-Identifier: MIT
#include <cmath>
#include <span>

#include <splitvit/codec/half.hpp>
#include <splitvit/codec/transform.hpp>
#include <splitvit/compress/adc.hpp>
#include <splitvit/compress/then.hpp>
#include <splitvit/nn/loss.hpp>
#include <splitvit/optim/adam.hpp>
#include <splitvit/spec/stages.hpp>
#include <splitvit/split/client.hpp>
#include <splitvit/split/server.hpp>
#include <splitvit/transport/memory.hpp>

#include "split/loopback.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using test::numbers_of;
using test::RandomBatches;
using test::Serving;
using test::small_vit;
using test::start;

namespace {

/// Trains a few steps over a link and returns both halves' weights.
template <class T, class Stage, class Links>
std::vector<T> train_split(const Stage& stage, Links links, int threads, Index steps = 3,
                           Compute client_compute = Compute::float32,
                           Compute server_compute = Compute::float32) {
  return with_threads(threads, [&] {
    split::Server server{test::server_part<T>(server_compute), optim::Adam{.lr = 1e-2}};
    Serving serving{server, std::move(links.second)};
    split::Client client{test::client_part<T>(client_compute),
                         optim::Adam{.lr = 1e-2},
                         stage,
                         std::move(links.first),
                         {.seed = 3}};
    client.train_epoch(RandomBatches<T>{.left = steps});
    client.close();
    serving.finish();
    std::vector<T> all = numbers_of<T>(client.part());
    const std::vector<T> rest = numbers_of<T>(server.part());
    all.insert(all.end(), rest.begin(), rest.end());
    return all;
  });
}

/// The same steps with one model and one optimiser, nothing in between.
template <class T>
std::vector<T> train_uncut(Index steps = 3) {
  const auto vit = nn::make_vit<T>(small_vit, start);
  optim::Optimizer optimizer{optim::Adam{.lr = 1e-2}, nn::parameters<T>(vit)};
  RandomBatches<T> batches{.left = steps};
  while (const auto batch = batches.next()) {
    backward(cross_entropy(vit(Variable<T>{batch->images}), batch->labels));
    optimizer.step();
    optimizer.clear_gradients();
  }
  return numbers_of<T>(vit);
}

}  // namespace

TEMPLATE_TEST_CASE("client: without compression a split step equals the uncut one, bit for bit",
                   "[split]", float, double) {
  CHECK(train_split<TestType>(compress::Identity{}, transport::memory_pair(), 2) ==
        train_uncut<TestType>());
}

TEST_CASE("client: equal bits for any number of threads, over memory and TCP", "[split]") {
  const auto expected = train_split<float>(compress::adc(0.4), transport::memory_pair(), 1, 5);
  for (const int threads : {2, 3, 8})
    CHECK(train_split<float>(compress::adc(0.4), transport::memory_pair(), threads, 5) == expected);
  CHECK(train_split<float>(compress::adc(0.4), test::tcp_pair(), 2, 5) == expected);
}

TEST_CASE("client: a codec that learns, behind stages, over memory and TCP, with any threads",
          "[split]") {
  const codec::Transform codec{.step = 0.5, .refresh = 3};
  for (const char* stage : {"none", "adc:0.4", "merge-tokens:0.6"}) {
    INFO(stage);
    const auto run = [&](auto links, int threads) {
      return with_threads(threads, [&] {
        split::Server server{test::server_part(), optim::Adam{.lr = 1e-2}, codec};
        Serving serving{server, std::move(links.second)};
        split::Client client{test::client_part(),
                             optim::Adam{.lr = 1e-2},
                             spec::parse_stage<float>(stage),
                             codec,
                             std::move(links.first),
                             {.seed = 3}};
        const split::EpochReport report = client.train_epoch(RandomBatches<float>{.left = 7});
        CHECK(std::isfinite(report.loss));
        client.close();
        serving.finish();
        return std::pair{numbers_of<float>(client.part()), report.traffic.total()};
      });
    };
    const auto once = run(transport::memory_pair(), 1);
    CHECK(run(transport::memory_pair(), 2) == once);
    CHECK(run(test::tcp_pair(), 2) == once);
  }
}

TEST_CASE("client: bf16 with bf16 or float32: equal bits for any number of threads", "[split]") {
  if (!kernel::has_brain_unit) return;
  const auto exact = train_split<float>(compress::adc(0.4), transport::memory_pair(), 1);
  for (const auto& [client, server] :
       {std::pair{Compute::bf16, Compute::bf16}, std::pair{Compute::bf16, Compute::float32},
        std::pair{Compute::float32, Compute::bf16}}) {
    const auto run = [&, client = client, server = server](int threads) {
      return train_split<float>(compress::adc(0.4), transport::memory_pair(), threads, 3, client,
                                server);
    };
    const auto once = run(1);
    CHECK(once != exact);
    for (const int threads : {1, 2, 3, 4, 5, 6, 7, 8}) CHECK(run(threads) == once);
  }
}

TEST_CASE("client: bf16 learns a batch by heart with bf16 or float32, as fast as float32",
          "[split]") {
  if (!kernel::has_brain_unit) return;
  const auto last_loss = [](Compute client_compute, Compute server_compute) {
    auto links = transport::memory_pair();
    split::Server server{test::server_part(server_compute), optim::Adam{}};
    Serving serving{server, std::move(links.second)};
    split::Client client{test::client_part(client_compute), optim::Adam{}, compress::Identity{},
                         std::move(links.first)};
    const auto batch = RandomBatches<float>{}.make();
    double loss = 0;
    for (int step = 0; step < 100; ++step)
      loss = client.train_step(batch.images, batch.labels).loss;
    client.close();
    serving.finish();
    return loss;
  };
  const double exact = last_loss(Compute::float32, Compute::float32);
  CHECK(exact < 0.5);
  for (const auto& [client, server] :
       {std::pair{Compute::bf16, Compute::bf16}, std::pair{Compute::bf16, Compute::float32},
        std::pair{Compute::float32, Compute::bf16}})
    CHECK(last_loss(client, server) == Approx(exact).epsilon(0.1));
}

TEST_CASE("client: compression changes what is learnt and what is sent", "[split]") {
  test::Parties parties{compress::adc({.samples = 0.5, .tokens = 0.5})};
  const auto batch = RandomBatches<float>{}.make();
  const split::StepReport step = parties.client.train_step(batch.images, batch.labels);
  CHECK(step.step == 1);
  CHECK(step.samples == 6);
  CHECK(step.sent_samples == 3);
  CHECK(step.sent_tokens == 2);
  CHECK(std::isfinite(step.loss));
  const std::uint64_t numbers = 3 * 2 * 16 * sizeof(float);
  // up: number of the step, header, labels, activations; down: number, header, gradient
  constexpr std::uint64_t header = 12 + split::ForwardMessage::header_bytes;
  CHECK(step.traffic.up.payload > numbers + header);
  CHECK(step.traffic.up.payload < numbers + header + 3 * 5 * 4);
  CHECK(step.traffic.down.payload == numbers + 12 + split::BackwardMessage::header_bytes);
  CHECK(step.traffic.up.framing == 32);
  CHECK(step.traffic.down.framing == 32);
  parties.finish();
}

TEST_CASE("client: a compressed training learns a batch by heart", "[split]") {
  test::Parties parties{compress::SelectTokens{.keep = 0.4}};
  const auto batch = RandomBatches<float>{}.make();
  const double first = parties.client.train_step(batch.images, batch.labels).loss;
  double last = first;
  for (int step = 0; step < 100; ++step)
    last = parties.client.train_step(batch.images, batch.labels).loss;
  CHECK(first > 1.3);  // guessing among five classes: 1.6
  CHECK(last < 0.5);   // 0.31 where it was written
  parties.finish();
}

TEST_CASE("client: a bottleneck is trained by both sides as in one model, bit for bit", "[split]") {
  constexpr nn::BottleneckOptions options{.ratio = 0.5};
  constexpr optim::Adam adam{.lr = 1e-2};
  auto client_part = test::client_part<double>();
  auto server_part = test::server_part<double>();
  client_part.encoder = nn::make_encoder<double>(16, options, start);
  server_part.decoder = nn::make_decoder<double>(16, options, start);

  nn::Part<double> whole_client = test::copy_of<double>(client_part);
  nn::Part<double> whole_server = test::copy_of<double>(server_part);
  auto all = nn::parameters<double>(whole_client);
  for (auto& named : nn::parameters<double>(whole_server)) all.push_back(named);
  optim::Optimizer optimizer{adam, all};
  RandomBatches<double> batches;
  while (const auto batch = batches.next()) {
    const auto sent =
        whole_client.encode(whole_client.to_cut(Variable<double>{batch->images}).tokens);
    CHECK(sent.shape() == Shape{6, 5, 8});
    backward(cross_entropy(whole_server.logits(sent), batch->labels));
    optimizer.step();
    optimizer.clear_gradients();
  }

  auto links = transport::memory_pair();
  split::Server server{std::move(server_part), adam};
  Serving serving{server, std::move(links.second)};
  split::Client client{std::move(client_part), adam, compress::Identity{}, std::move(links.first)};
  const auto epoch = client.train_epoch(RandomBatches<double>{});
  const std::uint64_t numbers = 3 * 6 * 5 * 8 * sizeof(double);
  CHECK(epoch.traffic.down.payload == numbers + 3 * (12 + split::BackwardMessage::header_bytes));
  CHECK(numbers_of<double>(client.part()) == numbers_of<double>(whole_client));
  CHECK(numbers_of<double>(server.part()) == numbers_of<double>(whole_server));
  CHECK(numbers_of<double>(client.fetch_server_part()) == numbers_of<double>(whole_server));

  // It stays on in an evaluation.
  const auto evaluation = client.evaluate(RandomBatches<double>{.left = 1});
  CHECK(evaluation.traffic.up.payload < 6 * 5 * 16 * sizeof(double));
  client.close();
  serving.finish();
}

TEST_CASE("client: gives the server a decoder, before the first step only", "[split]") {
  constexpr nn::BottleneckOptions options{.ratio = 0.5, .layers = 1};
  auto client_part = test::client_part<float>();
  auto server_part = test::server_part<float>();
  client_part.encoder = nn::make_encoder<float>(16, options, start);
  server_part.decoder = nn::make_decoder<float>(16, options, start);
  auto links = transport::memory_pair();
  split::Server server{std::move(server_part), optim::Adam{.lr = 0}};
  Serving serving{server, std::move(links.second)};
  split::Client client{std::move(client_part), optim::Adam{.lr = 0}, compress::Identity{},
                       std::move(links.first)};
  const auto before = client.traffic(split::Column::training);
  const auto decoder = nn::make_decoder<float>(16, options, Rng{.seed = 77});
  client.give_decoder(decoder);
  const auto cost = client.traffic(split::Column::training) - before;
  CHECK(cost.up.payload > (8 * 16 + 16) * sizeof(float));
  CHECK(cost.down.total() == 0);
  CHECK(numbers_of<float>(*client.fetch_server_part().decoder) == numbers_of<float>(decoder));
  CHECK_THROWS_WITH(client.give_decoder(nn::make_decoder<float>(16, {.ratio = 0.25}, start)),
                    ContainsSubstring("bottleneck:0.25") && ContainsSubstring("bottleneck:0.5"));
  CHECK_THROWS_WITH(client.give_decoder(nn::make_decoder<float>(12, options, start)),
                    ContainsSubstring("width 12"));
  client.train_epoch(RandomBatches<float>{.left = 1});
  CHECK_THROWS_WITH(client.give_decoder(decoder), ContainsSubstring("step 1 has been taken"));
  client.close();
  serving.finish();
}

TEST_CASE("client: rows count as often as they are large, where the stage asks for it", "[split]") {
  // Merging equal samples then changes nothing in the loss.
  const auto loss_of = [](const auto& stage) {
    test::Parties parties{stage};
    auto batch = RandomBatches<float>{.samples = 4}.make();
    for (const Index sample : {1, 2}) {
      std::copy_n(batch.images.data(), 3 * 8 * 8, batch.images.data() + sample * 3 * 8 * 8);
      batch.labels[static_cast<std::size_t>(sample)] = batch.labels[0];
    }
    batch.labels[3] = (batch.labels[0] + 1) % 5;
    const split::StepReport step = parties.client.train_step(batch.images, batch.labels);
    parties.finish();
    return step;
  };
  const auto merged = loss_of(compress::MergeSamples{.weight_by_size = true});
  CHECK(merged.sent_samples == 2);
  const auto alike = loss_of(compress::MergeSamples{});
  const auto whole = loss_of(compress::Identity{});
  CHECK(merged.loss == Approx(whole.loss).epsilon(1e-5));
  CHECK(std::abs(alike.loss - whole.loss) > 1e-3);
  CHECK(merged.traffic.up.payload == alike.traffic.up.payload + 2 * 2);
}

TEST_CASE("client: the server knows how many tokens each one stands for, if it is told",
          "[split]") {
  const auto batch = RandomBatches<float>{}.make();
  const auto step_of = [&](const compress::MergeTokens& stage) {
    test::Parties parties{stage};
    const split::StepReport step = parties.client.train_step(batch.images, batch.labels);
    parties.finish();
    return step;
  };
  const compress::MergeTokens stage{.keep = 0.7, .send_sizes = true};
  const auto told = step_of(stage), untold = step_of({.keep = 0.7});
  CHECK(told.traffic.up.payload == untold.traffic.up.payload + 6 * 3);

  const auto at_cut = test::client_part<float>().to_cut(Variable<float>{batch.images});
  const Labels labels = batch.labels;
  Rng rng;
  const auto merged = stage(
      compress::CutBatch<float>{
          .tokens = at_cut.tokens, .cls_attention = at_cut.cls_attention, .labels = batch.labels},
      rng);
  Tensor<float> log_sizes = merged.token_sizes;
  for (float& size : log_sizes.span()) size = std::log(size);
  const auto server_part = test::server_part<float>();
  const auto loss_of = [&](const Variable<float>& scores) {
    return static_cast<double>(cross_entropy(scores, labels).value()[0]);
  };
  CHECK(told.loss == Approx(loss_of(server_part.logits(merged.tokens, log_sizes))).epsilon(1e-6));
  CHECK(untold.loss == Approx(loss_of(server_part.logits(merged.tokens))).epsilon(1e-6));
}

TEST_CASE("client: a stage finds in the batch what it wants to know of the tokens", "[split]") {
  for (const char* text :
       {"select:0.5:score=received", "select:0.5:score=value", "merge:0.5,select:0.5:score=rollout",
        "merge-tokens:0.5:features=keys"}) {
    INFO(text);
    test::Parties parties{spec::parse_stage<float>(text)};
    const auto batch = RandomBatches<float>{}.make();
    CHECK(parties.client.train_step(batch.images, batch.labels).sent_tokens == 2);
    parties.finish();
  }
}

TEST_CASE("client: reports activations that were too large for the codec", "[split]") {
  auto client_part = test::client_part<float>();
  for (float& value : client_part.blocks.blocks[0].mlp.fc2.bias.mutable_value().span())
    value = 1e6f;
  auto links = transport::memory_pair();
  split::Server server{test::server_part<float>(), optim::Adam{}, codec::Float16{}};
  Serving serving{server, std::move(links.second)};
  split::Client client{std::move(client_part), optim::Adam{}, compress::Identity{},
                       codec::Float16{}, std::move(links.first)};
  const auto epoch = client.train_epoch(RandomBatches<float>{.left = 1});
  CHECK(epoch.saturated == 6 * 5 * 16);
  client.close();
  serving.finish();
}

TEST_CASE("client: the framers' count of bytes is the link's own", "[split]") {
  test::Parties parties{compress::Identity{}};
  parties.client.train_epoch(RandomBatches<float>{});
  parties.client.evaluate(RandomBatches<float>{});
  parties.client.fetch_server_part();
  parties.finish();
  split::Traffic all = parties.client.traffic(split::Column::training);
  all += parties.client.traffic(split::Column::evaluation);
  all += parties.client.traffic(split::Column::weights);
  CHECK(parties.client.traffic(split::Column::upkeep).total() == 0);
  CHECK(all.up.total() == parties.counted->sent());
  CHECK(all.down.total() == parties.counted->received());
  CHECK(parties.client.traffic(split::Column::evaluation).total() > 0);
}

TEST_CASE("client: evaluation equals that of the whole model and learns nothing", "[split]") {
  test::Parties parties{compress::adc(0.2)};
  const split::Evaluation result = parties.client.evaluate(RandomBatches<float>{});

  const auto vit = nn::make_vit<float>(small_vit, start);
  RandomBatches<float> batches;
  Index correct = 0;
  std::vector<split::Evaluation::Class> classes(static_cast<std::size_t>(small_vit.classes));
  double loss = 0;
  while (const auto batch = batches.next()) {
    const Variable<float> logits = vit(Variable<float>{batch->images});
    const Labels labels = batch->labels;
    correct += nn::count_correct(logits.value(), labels);
    const auto predicted = nn::argmax(logits.value());
    for (Index i = 0; i < labels.row_count(); ++i) {
      const Index label = labels.row(i).argmax();
      ++classes[static_cast<std::size_t>(label)].samples;
      if (predicted[static_cast<std::size_t>(i)] == label)
        ++classes[static_cast<std::size_t>(label)].correct;
    }
    loss += static_cast<double>(cross_entropy(logits, batch->labels).value()[0]);
  }
  CHECK(result.samples == 18);
  CHECK(result.correct == correct);
  CHECK(result.classes == classes);
  CHECK(result.loss == Approx(loss / 3));
  CHECK(numbers_of<float>(parties.client.part()) == numbers_of<float>(test::client_part<float>()));
  CHECK(nn::parameters<float>(parties.client.part()).front().second.requires_grad());
  parties.finish();
}

TEST_CASE("client: predictions without labels are the scores of the whole model", "[split]") {
  test::Parties parties{compress::adc(0.2)};
  RandomBatches<float> batches;
  const auto vit = nn::make_vit<float>(small_vit, start);
  const auto handshake = parties.client.traffic(split::Column::training).total();
  while (const auto batch = batches.next()) {
    const Tensor<float> scores = parties.client.predict(batch->images);
    const Tensor<float> wanted = vit(Variable<float>{batch->images}).value();
    REQUIRE(scores.shape() == Shape{6, 5});
    for (Index i = 0; i < scores.size(); ++i) CHECK(scores[i] == Approx(wanted[i]).margin(1e-5));
  }
  CHECK(parties.client.traffic(split::Column::training).total() == handshake);
  CHECK(parties.client.traffic(split::Column::evaluation).total() > 0);
  CHECK_THROWS_WITH(parties.client.predict(Tensor<float>{Shape{2, 3, 8, 9}}),
                    ContainsSubstring("predict: images (2, 3, 8, 9)"));
  CHECK_THROWS_AS(parties.client.predict(Tensor<float>{}), ShapeError);
  CHECK_THROWS_AS(parties.client.predict(Tensor<float>{Shape{}}), ShapeError);
  parties.finish();
}

TEST_CASE("client: fetches the server's weights", "[split]") {
  test::Parties parties{compress::Identity{}};
  parties.client.train_epoch(RandomBatches<float>{});
  const auto server_part = parties.client.fetch_server_part();
  parties.finish();
  CHECK(numbers_of<float>(server_part) == numbers_of<float>(parties.server.part()));
}

TEST_CASE("client: a step can be the last of an epoch", "[split]") {
  test::Parties parties{compress::Identity{}};
  const auto report = parties.client.train_epoch(
      RandomBatches<float>{.left = 9}, [](const split::StepReport& s) { return s.step < 4; });
  CHECK(report.steps == 4);
  CHECK(parties.server.steps() == 4);
  parties.finish();
}

TEST_CASE("client: schedule and clipping reach the optimiser", "[split]") {
  test::Parties parties{
      compress::Identity{},
      {.training = {.schedule = [](std::uint64_t) { return 0.0; }, .clip_norm = 1e-3}}};
  parties.client.train_epoch(RandomBatches<float>{});
  parties.finish();
  CHECK(numbers_of<float>(parties.client.part()) == numbers_of<float>(test::client_part<float>()));
}

TEST_CASE("client: soft labels that are sure train like class ids", "[split]") {
  const auto weights_after = [](bool soft) {
    test::Parties parties{compress::adc(0.3)};
    RandomBatches<float> batches{.samples = 12};
    while (const auto batch = batches.next()) {
      std::vector<std::vector<ClassWeight>> rows;
      for (const Index id : batch->labels) rows.push_back({{id, 1.0f}});
      const Labels hard = batch->labels;
      parties.client.train_step(batch->images, soft ? Labels::weighted(rows) : hard);
    }
    parties.finish();
    return numbers_of<float>(parties.client.part());
  };
  CHECK(weights_after(true) == weights_after(false));
}

TEST_CASE("client: mixed labels have the loss that their mixture has", "[split]") {
  test::Parties parties{compress::Identity{}};
  const auto batch = RandomBatches<float>{.samples = 2}.make();
  const auto mixed = Labels::weighted({{{0, 0.75f}, {3, 0.25f}}, {{4, 1.0f}}});
  const auto vit = nn::make_vit<float>(small_vit, start);
  const auto loss = [&](const std::vector<Index>& ids) {
    return static_cast<double>(cross_entropy(vit(Variable<float>{batch.images}), ids).value()[0]);
  };
  CHECK(parties.client.train_step(batch.images, mixed).loss ==
        Approx(0.75 * loss({0, 4}) + 0.25 * loss({3, 4})));
  parties.finish();
}

TEST_CASE("client: batches that do not fit are refused before anything is sent", "[split]") {
  test::Parties parties{compress::Identity{}};
  const split::Traffic before = parties.client.traffic(split::Column::training);
  auto batch = RandomBatches<float>{}.make();
  batch.labels[2] = 5;
  CHECK_THROWS_WITH(parties.client.train_step(batch.images, batch.labels),
                    ContainsSubstring("class 5"));
  batch.labels.assign(4, 0);
  CHECK_THROWS_AS(parties.client.train_step(batch.images, batch.labels), ShapeError);
  batch.labels.assign(6, 0);
  CHECK_THROWS_AS(parties.client.train_step(Tensor<float>{Shape{6, 3, 12, 12}}, batch.labels),
                  ShapeError);
  CHECK(parties.client.traffic(split::Column::training) == before);
  CHECK_NOTHROW(parties.client.train_step(batch.images, batch.labels));  // and it goes on
  parties.finish();
}

TEST_CASE("client: tells the server why it gives up", "[split]") {
  split::Server server{test::server_part<float>(), optim::Adam{}};
  auto [client_end, server_end] = transport::memory_pair();
  Serving serving{server, std::move(server_end)};
  split::Client client{test::client_part<float>(), optim::Adam{}, compress::Identity{},
                       std::move(client_end)};
  const auto batch = RandomBatches<float>{}.make();
  client.train_step(batch.images, batch.labels);
  const StorageError why{Reason::cannot_open, "7.png: cannot be read"};
  client.give_up(why);
  CHECK_THROWS_WITH(serving.finish(), ContainsSubstring("the peer gave up: 7.png: cannot be read"));
  CHECK(client.steps() == 1);
  CHECK_THROWS_AS(client.train_step(batch.images, batch.labels), std::logic_error);
  CHECK_NOTHROW(client.give_up(why));  // there is nobody to tell
}

TEST_CASE("client: no finite images lead to NaN", "[split]") {
  for (const float value : {0.0f, 1.0f, -300.0f, 1e6f}) {
    test::Parties parties{compress::adc(0.1)};
    for (const Index samples : {6, 1, 2}) {
      const std::vector<Index> labels(static_cast<std::size_t>(samples), 1);
      const auto images = Tensor<float>::full(Shape{samples, 3, 8, 8}, value);
      for (int i = 0; i < 3; ++i)
        CHECK(std::isfinite(parties.client.train_step(images, labels).loss));
    }
    parties.finish();
    for (const float number : numbers_of<float>(parties.client.part()))
      REQUIRE(std::isfinite(number));
  }
}
