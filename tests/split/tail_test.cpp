// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <splitvit/codec/quantise.hpp>
#include <splitvit/compress/adc.hpp>
#include <splitvit/compress/merge_tokens.hpp>
#include <splitvit/compress/then.hpp>
#include <splitvit/core/state.hpp>
#include <splitvit/nn/cut.hpp>
#include <splitvit/nn/feedback.hpp>
#include <splitvit/split/client.hpp>
#include <splitvit/split/server.hpp>
#include <splitvit/transport/simulated.hpp>
#include <splitvit/wire/message.hpp>

#include "split/loopback.hpp"
#include "support/bytes.hpp"
#include "support/catch.hpp"

// A client that keeps its labels has the last part of the model, too.

using namespace splitvit;
using test::joined_pieces;
using test::numbers_of;
using test::RandomBatches;
using test::Serving;
using test::small_vit;

namespace {

/// All bytes that a client has sent.
class Recorded {
 public:
  explicit Recorded(transport::MemoryLink link)
      : link_{std::make_unique<transport::MemoryLink>(std::move(link))} {}

  std::size_t read_some(std::span<std::byte> into) { return link_->read_some(into); }
  std::size_t write_some(std::span<const std::byte> from) {
    const std::size_t n = link_->write_some(from);
    sent_->insert(sent_->end(), from.begin(), from.begin() + static_cast<std::ptrdiff_t>(n));
    return n;
  }
  void set_deadline(transport::Deadline when) { link_->set_deadline(when); }
  std::shared_ptr<const std::vector<std::byte>> sent() const { return sent_; }

 private:
  std::unique_ptr<transport::MemoryLink> link_;
  std::shared_ptr<std::vector<std::byte>> sent_ = std::make_shared<std::vector<std::byte>>();
};

/// A server between two cuts, and a client around it.
struct Around {
  std::vector<nn::Part<float>> parts;
  compress::AnyStage<float> stage = compress::Identity{};
  codec::AnyCodec<float> codec = {};
  split::Server<float> server{parts.at(1), optim::Adam{.lr = 1e-2}, codec, {.seed = 3}};

  explicit Around(const std::vector<Index>& cuts,
                  compress::AnyStage<float> s = compress::Identity{}, codec::AnyCodec<float> c = {})
      : parts{nn::cut<float>(small_vit, cuts, test::start)},
        stage{std::move(s)},
        codec{std::move(c)} {}

  split::ClientRole<float> role() const {
    return {split::Learner<float>{parts[0], optim::Adam{.lr = 1e-2}, {}, {}, parts[2]},
            split::CutSender<float>{stage, codec, 3}};
  }
  /// Of all parts, in their order.
  std::vector<float> weights() const {
    std::vector<float> all;
    for (const auto& part : parts)
      for (const float value : numbers_of<float>(part)) all.push_back(value);
    return all;
  }
};

/// Trains three steps, and evaluates. Returns the bytes of the steps, too.
std::pair<split::Evaluation, split::Traffic> train(Around& parties) {
  auto [near, far] = transport::memory_pair();
  Serving serving{parties.server, std::move(far)};
  split::Client<float> client{parties.role(), std::move(near), {.seed = 3}};
  client.train_epoch(RandomBatches<float>{});
  const auto found = client.evaluate(RandomBatches<float>{.left = 1, .rng = {.seed = 99}});
  client.close();
  serving.finish();
  return {found, client.traffic(split::Column::training)};
}

/// The same with the labels at the server.
std::pair<std::vector<float>, split::Evaluation> train_in_two(Index cut) {
  auto [first, rest] = nn::cut_in_two<float>(small_vit, cut, test::start);
  split::Server<float> server{rest, optim::Adam{.lr = 1e-2}, {.seed = 3}};
  auto [near, far] = transport::memory_pair();
  Serving serving{server, std::move(far)};
  split::Client<float> client{
      first, optim::Adam{.lr = 1e-2}, compress::Identity{}, std::move(near), {.seed = 3}};
  client.train_epoch(RandomBatches<float>{});
  const auto found = client.evaluate(RandomBatches<float>{.left = 1, .rng = {.seed = 99}});
  client.close();
  serving.finish();
  std::vector<float> all = numbers_of<float>(first);
  for (const float value : numbers_of<float>(rest)) all.push_back(value);
  return {all, found};
}

}  // namespace

TEST_CASE("tail: without compression the weights are those with the labels at the server",
          "[split]") {
  for (const std::vector<Index>& cuts : {std::vector<Index>{1, 2}, {1, 3}, {2, 3}}) {
    CAPTURE(cuts[0], cuts[1]);
    Around parties{cuts};
    const split::Evaluation found = train(parties).first;
    const auto [weights, wanted] = train_in_two(cuts[0]);
    CHECK((parties.weights() == weights));
    CHECK(found.loss == wanted.loss);
    CHECK(found.accuracy() == wanted.accuracy());
    CHECK(found.samples == wanted.samples);
  }
}

TEST_CASE("tail: scores and the server's part come from the server", "[split]") {
  Around parties{{1, 3}};
  auto [near, far] = transport::memory_pair();
  Serving serving{parties.server, std::move(far)};
  split::Client<float> client{parties.role(), std::move(near), {.seed = 3}};
  const auto images = RandomBatches<float>{}.make().images;
  const auto whole = nn::make_vit<float>(small_vit, test::start);
  const Tensor<float> scores = client.predict(images),
                      wanted = whole(Variable<float>{images}).value();
  CHECK(std::ranges::equal(scores.span(), wanted.span()));
  const nn::Part<float> fetched = client.fetch_server_part();
  CHECK(fetched.description() == "blocks [1, 3) of 3");
  CHECK((numbers_of<float>(fetched) == numbers_of<float>(parties.parts[1])));
  CHECK_THROWS_AS(client.evaluate(RandomBatches<float>{}, split::EvaluationMode::compressed),
                  std::logic_error);
  client.close();
  serving.finish();
}

TEST_CASE("tail: stages act at the first cut, the codec at both, both ways", "[split]") {
  const compress::AnyStage<float> adc = compress::adc(0.5),
                                  merge = compress::MergeTokens{.keep = 0.6, .send_sizes = true};
  for (const auto& [name, stage] : {std::pair{"adc", adc}, std::pair{"merge", merge}})
    for (const std::vector<Index>& cuts : {std::vector<Index>{1, 2}, {1, 3}}) {
      CAPTURE(name, cuts[1]);
      const codec::Quantise codec{.bits = 8, .rounding = codec::Rounding::stochastic};
      Around parties{cuts, stage, codec}, again{cuts, stage, codec}, uncompressed{cuts};
      const split::Traffic few = train(parties).second;
      train(again);
      const split::Traffic many = train(uncompressed).second;
      CHECK((parties.weights() == again.weights()));
      CHECK((parties.weights() != uncompressed.weights()));
      CHECK(few.up.payload < many.up.payload / 2);
      CHECK(few.down.payload < many.down.payload / 2);
    }
}

TEST_CASE("tail: no message has a label", "[split]") {
  Around parties{{1, 2}, compress::adc(0.5)};
  auto [near, far] = transport::memory_pair();
  Serving serving{parties.server, std::move(far)};
  Recorded link{std::move(near)};
  const auto sent = link.sent();
  split::Client<float> client{parties.role(), std::move(link), {.seed = 3}};
  client.train_epoch(RandomBatches<float>{});
  client.evaluate(RandomBatches<float>{});
  client.close();
  serving.finish();

  wire::MessageReader reader;
  std::vector<std::byte> payload;
  std::span<const std::byte> rest{*sent};
  int activations = 0, gradients = 0, questions = 0;
  const split::ForwardLimits limits{
      .tokens = small_vit.tokens(), .width = small_vit.dim, .classes = 5, .bytes = 1 << 20};
  while (!rest.empty()) {
    const auto space = reader.space(payload);
    const std::size_t n = std::min(space.size(), rest.size());
    std::ranges::copy(rest.first(n), space.begin());
    rest = rest.subspan(n);
    const auto kind = reader.filled(n, payload);
    if (kind == wire::MessageKind::hello) reader.begin(1, 1 << 20);
    if (kind == wire::MessageKind::evaluate) {
      CHECK(split::ForwardMessage::read(payload, limits).labels.empty());
      ++questions;
    }
    if (kind != wire::MessageKind::forward) continue;
    const wire::Event event = wire::numbered_event(*kind, payload);
    if (event.at.micro == 0) {
      CHECK(split::ForwardMessage::read(event.payload, limits).labels.empty());
      ++activations;
    } else {
      CHECK(split::BackwardMessage::read(event.payload).loss > 0);
      ++gradients;
    }
  }
  CHECK(activations == 3);
  CHECK(gradients == 3);
  CHECK(questions == 3);
}

TEST_CASE("tail: what crosses before the loss does not depend on the labels", "[split]") {
  const Around parties{{1, 3}, compress::adc(0.5)};
  const auto batch = RandomBatches<float>{}.make();
  std::vector<std::vector<std::byte>> messages;
  for (const Index label : {0, 4}) {
    split::ClientRole<float> role = parties.role();
    split::StepReport report;
    messages.push_back(joined_pieces(
        role.forward({.step = 1}, batch.images,
                     Labels{std::vector<Index>(batch.labels.size(), label)}, report)));
    role.discard();
  }
  CHECK((messages[0] == messages[1]));
}

TEST_CASE("tail: a link that breaks anywhere in a step changes nothing", "[split]") {
  const codec::Quantise codec{.bits = 8, .rounding = codec::Rounding::stochastic};
  Around undisturbed{{1, 2}, compress::adc(0.5), codec};
  train(undisturbed);
  for (std::uint64_t cut_at = 400; cut_at < 6000; cut_at += 137) {
    CAPTURE(cut_at);
    Around parties{{1, 2}, compress::adc(0.5), codec};
    split::Client<float> client{parties.role(), {.seed = 3}};
    std::optional<Serving<split::Server<float>>> serving;
    const bool cuts_sent = cut_at % 2 == 0;
    auto link =
        transport::Simulated{test::dial(parties.server, serving),
                             {},
                             {.cut_sent_at = cuts_sent ? cut_at : transport::Faults::never,
                              .cut_received_at = cuts_sent ? transport::Faults::never : cut_at}};
    try {
      client.reconnect(std::move(link));
    } catch (const TransportError&) {
      continue;  // within the handshake
    }
    RandomBatches<float> batches;
    while (auto batch = batches.next()) {
      const std::uint64_t step = client.steps();
      while (client.steps() == step) try {
          client.train_step(batch->images, batch->labels);
        } catch (const TransportError&) {
          serving.reset();
          client.reconnect(test::dial(parties.server, serving));
        }
    }
    client.close();
    serving->finish();
    CHECK((parties.weights() == undisturbed.weights()));
  }
}

TEST_CASE("tail: a server refuses labels, and a gradient of another size", "[split]") {
  const Around parties{{1, 2}};
  const auto learner = std::make_shared<split::Learner<float>>(parties.parts[1], optim::Adam{});
  split::ServerRole<float> role{learner, split::CutReceiver<float>{{}}};
  const auto batch = RandomBatches<float>{}.make();
  split::ClientRole<float> other{
      split::Learner<float>{nn::make_part<float>(small_vit, 0, 1, test::start), optim::Adam{}},
      split::CutSender<float>{compress::Identity{}, {}}};
  split::StepReport report;
  std::vector<std::byte> reply;
  const auto with_labels =
      joined_pieces(other.forward({.step = 1}, batch.images, batch.labels, report));
  CHECK(test::reason_of([&] { role.forward({.step = 1}, with_labels, 1 << 20, reply); }) ==
        Reason::malformed);
  role.discard();

  split::ClientRole<float> around = parties.role();
  const auto without =
      joined_pieces(around.forward({.step = 1}, batch.images, batch.labels, report));
  role.forward({.step = 1}, without, 1 << 20, reply);
  CHECK(!role.is_complete());
  std::vector<std::byte> second = joined_pieces(around.take_loss({.step = 1}, reply, report));
  second.pop_back();
  CHECK(test::reason_of([&] { role.forward({.step = 1, .micro = 1}, second, 1 << 20, reply); }));
  role.discard();
  role.forward({.step = 1}, without, 1 << 20, reply);  // again from its first part
  second = joined_pieces(around.take_loss({.step = 1}, reply, report));
  role.forward({.step = 1, .micro = 1}, second, 1 << 20, reply);
  CHECK(role.is_complete());
  role.commit(reply);
  around.backward(reply, report);
  around.commit(report);
  CHECK(report.loss == role.last_step().loss);

  const auto question = other.evaluate(batch.images, batch.labels);
  CHECK(test::reason_of([&] { role.answer(question, 1 << 20); }) == Reason::malformed);
}

TEST_CASE("tail: what belongs to no question and to no step of such a server is refused",
          "[split]") {
  const Around parties{{1, 2}};
  const auto message_of = [](split::ForwardMessage message) {
    message.samples = 1;
    message.tokens = small_vit.tokens();
    std::vector<std::byte> payload;
    message.put_header(payload);
    payload.resize(payload.size() + static_cast<std::size_t>(5 * small_vit.dim) * sizeof(float));
    return payload;
  };
  const std::vector<std::byte> ones(5, std::byte{1});
  split::ForwardMessage sizes, token_sizes, of_part, without_gradient, coded;
  sizes.sizes = {2};
  token_sizes.token_sizes = ones;
  of_part.share = {.images = 1, .images_of_step = 2};
  without_gradient.wants_gradient = false;
  coded.is_coded = true;
  split::ServerRole<float> middle{
      std::make_shared<split::Learner<float>>(parties.parts[1], optim::Adam{}),
      split::CutReceiver<float>{{}}};
  const auto answer_to = [&](const split::ForwardMessage& question) {
    return test::reason_of([&] { middle.answer(message_of(question), 1 << 20); });
  };
  CHECK(!answer_to({}));
  for (const auto& wrong : {sizes, token_sizes, of_part, without_gradient, coded})
    CHECK(answer_to(wrong) == Reason::malformed);
  std::vector<std::byte> reply;
  CHECK(test::reason_of([&] {
          middle.forward({.step = 1}, message_of(without_gradient), 1 << 20, reply);
        }) == Reason::malformed);

  // One that has the classifier takes no sizes of samples in a question, either.
  const split::ServerRole<float> last{
      std::make_shared<split::Learner<float>>(test::server_part(), optim::Adam{}),
      split::CutReceiver<float>{{}}};
  CHECK(test::reason_of([&] { last.answer(message_of(sizes), 1 << 20); }) == Reason::malformed);
}

TEST_CASE("tail: a loss that is not finite ends the step", "[split]") {
  const Around parties{{1, 2}};
  for (const auto& [name, parameter] : nn::parameters<float>(parties.parts[2]))
    if (name == "head.bias") parameter.mutable_value()[0] = std::numeric_limits<float>::quiet_NaN();
  split::ServerRole<float> middle{
      std::make_shared<split::Learner<float>>(parties.parts[1], optim::Adam{}),
      split::CutReceiver<float>{{}}};
  split::ClientRole<float> around = parties.role();
  const auto batch = RandomBatches<float>{}.make();
  split::StepReport report;
  const auto message =
      joined_pieces(around.forward({.step = 1}, batch.images, batch.labels, report));
  std::vector<std::byte> reply;
  middle.forward({.step = 1}, message, 1 << 20, reply);
  CHECK(test::reason_of([&] { around.take_loss({.step = 1}, reply, report); }) ==
        Reason::not_finite);

  split::ClientRole<float> other{split::Learner<float>{test::client_part(), optim::Adam{}},
                                 split::CutSender<float>{compress::Identity{}, {}}};
  CHECK_THROWS_AS(other.take_loss({.step = 1}, reply, report), std::logic_error);
}

TEST_CASE("tail: which parts a client can have", "[split]") {
  const Around parties{{1, 2}};
  const auto client_of = [&](const nn::Part<float>& tail, nn::Feedback feedback = {}) {
    return split::ClientRole<float>{
        split::Learner<float>{parties.parts[0], optim::Adam{}, {}, feedback, tail},
        split::CutSender<float>{compress::Identity{}, {}}};
  };
  client_of(parties.parts[2]);
  CHECK_THROWS_AS(client_of(parties.parts[1]), std::invalid_argument);
  CHECK_THROWS_AS(client_of(nn::make_part<float>(small_vit, 1, 3, test::start)),
                  std::invalid_argument);
  CHECK_THROWS_AS(client_of(parties.parts[2], nn::Feedback{.every = 0}), std::invalid_argument);
  CHECK_THROWS_AS((split::Client<float>{client_of(parties.parts[2]), {.micro_batches = 2}}),
                  std::invalid_argument);

  // The state holds both parts, and both ends of the cuts.
  split::ClientRole<float> role = parties.role();
  std::vector<std::string> names;
  show_state(role, [&](const std::string& name, auto&&) { names.push_back(name); });
  for (const char* name : {"weights.blocks.0.norm1.weight", "weights.head.bias"})
    CHECK(std::ranges::find(names, name) != names.end());
}
