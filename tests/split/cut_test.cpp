// SPDX-License-Identifier: MIT
#include <cstddef>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/compress/adc.hpp>
#include <splitvit/compress/merge_samples.hpp>
#include <splitvit/compress/then.hpp>
#include <splitvit/nn/cut.hpp>
#include <splitvit/optim/sgd.hpp>
#include <splitvit/spec/codecs.hpp>
#include <splitvit/split/cut.hpp>
#include <splitvit/split/learner.hpp>

#include "split/loopback.hpp"
#include "support/catch.hpp"
#include "support/codec_texts.hpp"

// Both ends of a cut, without a link between them.

using namespace splitvit;
using split::CutReceiver;
using split::CutSender;
using split::ForwardMessage;
using split::StepId;
using test::RandomBatches;

namespace {

/// What one exchange has sent.
struct Exchange {
  std::vector<std::byte> up, down;
  friend bool operator==(const Exchange&, const Exchange&) = default;
};

/// One exchange; gradients collect in both parts.
template <class T>
Exchange exchange(const StepId& id, CutSender<T>& sender, const nn::Part<T>& client,
                  CutReceiver<T>& receiver, const nn::Part<T>& server,
                  const typename RandomBatches<T>::Batch& batch) {
  ForwardMessage message;
  Exchange bytes;
  const auto at_cut =
      client.to_cut(Variable<T>{batch.images}, NeedWeights::cls, sender.required_statistic());
  const auto sent = sender.send(id, client, at_cut, batch.labels, message);
  bytes.up.assign(message.encoded.begin(), message.encoded.end());
  const auto came = receiver.receive(id, server, message);
  backward(came.loss(server)), receiver.send(came, bytes.down);
  sender.receive(sent, bytes.down);
  return bytes;
}

}  // namespace

TEMPLATE_TEST_CASE("cut: a step without a link equals the uncut one, bit for bit", "[split]", float,
                   double) {
  using T = TestType;
  const auto [client, server] = nn::cut_in_two<T>(test::small_vit, 1, test::start);
  const auto vit = nn::make_vit<T>(test::small_vit, test::start);
  const auto batch = RandomBatches<T>{}.make();
  CutSender<T> sender{compress::Identity{}, codec::Float32{}};
  CutReceiver<T> receiver{codec::Float32{}};
  exchange<T>({.step = 1}, sender, client, receiver, server, batch);
  const Labels labels = batch.labels;
  backward(cross_entropy(vit(Variable<T>{batch.images}),
                         target_rows<T>(labels, test::small_vit.classes)));

  std::vector<std::pair<std::string, Variable<T>>> cut = nn::parameters<T>(client);
  for (auto& named : nn::parameters<T>(server)) cut.push_back(named);
  const auto whole = nn::parameters<T>(vit);
  REQUIRE(cut.size() == whole.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    INFO(whole[i].first);
    REQUIRE(cut[i].first == whole[i].first);
    CHECK(std::ranges::equal(cut[i].second.gradient().span(), whole[i].second.gradient().span()));
  }
}

TEST_CASE("cut: several exchanges may be under way", "[split]") {
  const auto parts = nn::cut_in_two<float>(test::small_vit, 1, test::start);
  const nn::Part<float>&client = parts.first, &server = parts.second;
  RandomBatches<float> batches{.samples = 2};
  const auto first = batches.make(), second = batches.make();
  const auto gradient = [&] {
    const auto weight = nn::parameters<float>(client)[0].second;
    const std::vector<float> numbers(weight.gradient().span().begin(),
                                     weight.gradient().span().end());
    for (const auto* part : {&client, &server})
      for (const auto& [name, parameter] : nn::parameters<float>(*part)) parameter.clear_gradient();
    return numbers;
  };
  CutSender<float> sender{compress::Identity{}, codec::Quantise{.bits = 8}};
  CutReceiver<float> receiver{codec::Quantise{.bits = 8}};
  exchange<float>({.step = 1, .micro = 0}, sender, client, receiver, server, first);
  exchange<float>({.step = 1, .micro = 1}, sender, client, receiver, server, second);
  const auto one_by_one = gradient();

  ForwardMessage up;
  std::vector<std::byte> down[2];
  typename CutSender<float>::Pending sent[2];
  for (std::uint32_t micro : {0u, 1u}) {
    const auto& batch = micro == 0 ? first : second;
    const StepId id{.step = 1, .micro = micro};
    sent[micro] =
        sender.send(id, client, client.to_cut(Variable<float>{batch.images}), batch.labels, up);
    const auto came = receiver.receive(id, server, up);
    backward(came.loss(server)), receiver.send(came, down[micro]);
  }
  for (int micro : {0, 1}) sender.receive(sent[micro], down[micro]);
  CHECK(gradient() == one_by_one);
}

TEST_CASE("cut: a step that is discarded and sent again gives the same bytes, for every codec",
          "[split]") {
  for (const std::string& text : test::codec_texts()) {
    INFO(text);
    const auto parts = nn::cut_in_two<float>(test::small_vit, 1, test::start);
    const nn::Part<float>&client = parts.first, &server = parts.second;
    CutSender<float> sender{compress::MergeSamples{.keep = 0.7}, spec::parse_codec<float>(text), 3};
    CutReceiver<float> receiver{spec::parse_codec<float>(text), 4};
    RandomBatches<float> batches;
    const auto state = [&] {
      auto all = state_bytes(sender);
      const auto more = state_bytes(receiver);
      all.insert(all.end(), more.begin(), more.end());
      return all;
    };
    bool moves = false;
    for (std::uint64_t step = 1; step <= 3; ++step) {
      const auto batch = batches.make();
      const auto before = state();
      const auto first = exchange<float>({.step = step}, sender, client, receiver, server, batch);
      sender.discard(), receiver.discard();
      CHECK(state() == before);
      const auto again = exchange<float>({.step = step}, sender, client, receiver, server, batch);
      CHECK(first == again);
      CHECK(state() == before);
      sender.commit(), receiver.commit();
      moves = moves || state() != before;
    }
    // those whose choices depend on the steps before
    CHECK(moves ==
          (text.find("slacc") != std::string::npos || text.find("transform") != std::string::npos ||
           text.find("coded") != std::string::npos));
  }
}

TEST_CASE("cut: random draws are a function of seed, client, step and part", "[split]") {
  const auto parts = nn::cut_in_two<float>(test::small_vit, 1, test::start);
  const nn::Part<float>&client = parts.first, &server = parts.second;
  const auto batch = RandomBatches<float>{}.make();
  const auto bytes = [&](std::uint64_t seed, const StepId& id) {
    const codec::Quantise stochastic{.bits = 2, .rounding = codec::Rounding::stochastic};
    CutSender<float> sender{compress::Identity{}, stochastic, seed};
    CutReceiver<float> receiver{stochastic, seed};
    return exchange<float>(id, sender, client, receiver, server, batch);
  };
  const Exchange once = bytes(1, {.step = 1});
  CHECK(bytes(1, {.step = 1}) == once);
  for (const auto& other :
       {bytes(2, {.step = 1}), bytes(1, {.step = 2}), bytes(1, {.client = 1, .step = 1}),
        bytes(1, {.step = 1, .micro = 1})}) {
    CHECK(other.up != once.up);
    CHECK(other.down != once.down);
  }
}
