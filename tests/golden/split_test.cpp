// SPDX-License-Identifier: MIT
// Training steps through the cut with given clusters, against PyTorch: a small model in full,
// one of DeiT-Tiny's size by samples. Any split_step* or split_deit_tiny* file is run.

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <splitvit/compress/merge_samples.hpp>
#include <splitvit/compress/select_tokens.hpp>
#include <splitvit/nn/cut.hpp>
#include <splitvit/optim/adam.hpp>
#include <splitvit/split/client.hpp>
#include <splitvit/split/cut.hpp>
#include <splitvit/split/server.hpp>
#include <splitvit/transport/memory.hpp>

#include "golden/cases.hpp"
#include "golden/formula.hpp"
#include "golden/whole_vit.hpp"
#include "split/loopback.hpp"
#include "support/catch.hpp"

namespace splitvit {
namespace {

/// ADC with clusters that are given, one assignment a step.
struct GivenClusters {
  std::vector<std::vector<Index>> ids;
  Index clusters = 0;
  Index kept = 0;
  std::shared_ptr<std::size_t> step = std::make_shared<std::size_t>(0);

  template <std::floating_point T>
  compress::CutBatch<T> operator()(compress::CutBatch<T> batch, Rng&) const {
    batch = compress::merge_clusters(batch, std::span<const Index>{ids.at((*step)++)}, clusters);
    const Tensor<Index> best = compress::best_tokens(batch.cls_attention, kept);
    return compress::gather_tokens(std::move(batch), best);
  }
};

/// What one step computes on the way.
template <class T>
struct Step {
  Tensor<T> embedded, cls_attention, centroids, merged, merged_labels, logits, loss;
  Tensor<T> grad_merged, grad_embedded;
  Tensor<Index> tokens;
};

template <class T>
Step<T> run_step(const nn::Part<T>& client_part, const nn::Part<T>& server_part,
                 const Tensor<T>& images, std::span<const Index> labels, std::span<const Index> ids,
                 Index clusters, Index kept) {
  const nn::AtCut<T> at_cut = client_part.to_cut(Variable<T>{images});
  const auto leaf = Variable<T>::parameter(at_cut.tokens.value());  // to see the gradient there
  const auto centroids = compress::merge_clusters(
      compress::CutBatch<T>{leaf, at_cut.cls_attention, labels}, ids, clusters);

  split::CutSender<T> sender{
      GivenClusters{.ids = {{ids.begin(), ids.end()}}, .clusters = clusters, .kept = kept},
      codec::Float32{}};
  split::CutReceiver<T> receiver{codec::Float32{}};
  const split::StepId id{.step = 1};
  split::ForwardMessage message;
  std::vector<std::byte> gradient;
  const auto sent = sender.send(id, client_part, {leaf, at_cut.cls_attention, {}}, labels, message);
  const auto came = receiver.receive(id, server_part, message);
  const Variable<T> logits = server_part.logits(came.tokens);
  const Variable<T> loss = cross_entropy(logits, came.targets);
  backward(loss), receiver.send(came, gradient);
  sender.receive(sent, gradient);
  backward(at_cut.tokens, leaf.gradient());
  return {.embedded = at_cut.tokens.value(),
          .cls_attention = at_cut.cls_attention,
          .centroids = centroids.cls_attention,
          .merged = sent.crossing.value(),
          .merged_labels = came.targets,
          .logits = logits.value(),
          .loss = loss.value(),
          .grad_merged = came.tokens.gradient(),
          .grad_embedded = leaf.gradient(),
          .tokens = compress::best_tokens(centroids.cls_attention, kept)};
}

/// Stored tokens come by falling score, ours ascending: for each of their places, our place.
/// Checks that both chose the same tokens.
std::vector<Index> places_of(const golden::File& file, const std::string& name,
                             const Tensor<Index>& ours) {
  const std::vector<Index> theirs = file.indices(name);
  REQUIRE(theirs.size() == ours.span().size());
  const Index P = ours.dim(1);
  std::vector<Index> places;
  for (Index i = 0; i < ours.size(); ++i) {
    const auto row =
        ours.span().subspan(static_cast<std::size_t>(i / P * P), static_cast<std::size_t>(P));
    const auto found = std::ranges::find(row, theirs[static_cast<std::size_t>(i)]);
    INFO(name << ": token " << theirs[static_cast<std::size_t>(i)] << " of row " << i / P);
    REQUIRE(found != row.end());
    places.push_back(i / P * P + (found - row.begin()));
  }
  return places;
}

/// x (K, P, D) with its tokens in the stored order.
template <class T>
Tensor<T> in_their_order(const Tensor<T>& x, const std::vector<Index>& places) {
  const Index D = x.dim(2);
  Tensor<T> out{x.shape()};
  for (std::size_t i = 0; i < places.size(); ++i)
    std::copy_n(x.data() + places[i] * D, D, out.data() + static_cast<Index>(i) * D);
  return out;
}

/// Part i of the first axis.
template <class T>
Tensor<T> part(const Tensor<T>& x, Index i) {
  std::vector<Index> extents(x.shape().extents().begin() + 1, x.shape().extents().end());
  return {Shape{std::span<const Index>{extents}}, x.view().slice(i, i + 1).span()};
}
std::vector<Index> part(const std::vector<Index>& all, Index parts, Index i) {
  const auto size = static_cast<Index>(all.size()) / parts;
  return {all.begin() + i * size, all.begin() + (i + 1) * size};
}

/// The key third of a qkv bias, whose true gradient is zero: Adam turns its noise into steps.
template <class T>
std::pair<Index, Index> noise_of(const std::string& name, Index D) {
  if (std::same_as<T, float> && name.ends_with("qkv.bias")) return {D, 2 * D};
  return {0, 0};
}

template <class T>
void check_steps(const golden::File& file) {
  const nn::VitConfig config = golden::config_of(file);
  const Index cut = file.integer("cut"), clusters = file.integer("clusters"),
              kept = file.integer("kept"), steps = file.shape("images")[0];
  CHECK(clusters ==
        compress::kept_count(file.real("batch_compression"), file.shape("images")[1], 2));
  CHECK(kept == compress::kept_count(file.real("token_compression"), config.tokens(), 1));
  const auto images = file.get<T>("images");
  const auto all_ids = file.indices("cluster_ids"), all_labels = file.indices("labels");
  const optim::Adam adam{.lr = file.real("lr"),
                         .beta1 = file.real("beta1"),
                         .beta2 = file.real("beta2"),
                         .eps = file.real("eps")};
  const auto start = [&](const auto& module) {
    const golden::File whole{"tiny_vit"};
    const golden::File& from = file.has("param/cls_token") ? file : whole;
    for (const auto& [key, parameter] : nn::parameters<T>(module))
      parameter.mutable_value() = from.get<T>("param/" + key);
  };
  const golden::Tolerance close = golden::activation_tolerance<T>();
  const golden::Tolerance slopes = golden::gradient_tolerance<T>();

  // 1. Step by step, everything on the way compared.
  nn::Part<T> client_part{config, 0, cut};
  nn::Part<T> server_part{config, cut, config.depth};
  start(client_part);
  start(server_part);
  optim::Optimizer client_optimizer{adam, nn::parameters<T>(client_part)};
  optim::Optimizer server_optimizer{adam, nn::parameters<T>(server_part)};
  for (Index step = 1; step <= steps; ++step) {
    INFO("step " << step);
    const std::string at = "f64/step." + std::to_string(step) + "/";
    const auto labels = part(all_labels, steps, step - 1), ids = part(all_ids, steps, step - 1);
    const auto got =
        run_step(client_part, server_part, part(images, step - 1), std::span<const Index>{labels},
                 std::span<const Index>{ids}, clusters, kept);
    const auto places = places_of(file, at + "token_index", got.tokens);
    CHECK(file.compare(at + "logits", got.logits, {.rtol = close.rtol * 10}) == "");
    CHECK(file.compare(at + "loss", got.loss, {.rtol = close.rtol * 10}) == "");
    if (step == 1) {
      CHECK(file.compare(at + "embedded", got.embedded, close) == "");
      CHECK(file.compare(at + "cls_attn", got.cls_attention, close) == "");
      CHECK(file.compare(at + "centroids", got.centroids, close) == "");
      CHECK(file.compare(at + "merged", in_their_order(got.merged, places), close) == "");
      CHECK(file.compare(at + "merged_labels", got.merged_labels, close) == "");
      CHECK(file.compare(at + "logits", got.logits, close) == "");
      CHECK(file.compare(at + "loss", got.loss, close) == "");
      CHECK(file.compare(at + "grad_merged", in_their_order(got.grad_merged, places), slopes) ==
            "");
      CHECK(file.compare(at + "grad_embedded", got.grad_embedded, slopes) == "");
      for (const auto* optimizer : {&client_optimizer, &server_optimizer})
        for (const auto& [key, parameter] : optimizer->parameters()) {
          golden::Tolerance allowed = slopes;
          allowed.left_out = noise_of<T>(key, config.dim);
          CHECK(file.compare(at + "grad." + key, parameter.gradient(), allowed) == "");
        }
    }
    for (auto* optimizer : {&client_optimizer, &server_optimizer}) {
      optimizer->step();
      optimizer->clear_gradients();
    }
  }
  const auto check_after = [&](const auto& module) {
    for (const auto& [key, parameter] : nn::parameters<T>(module))
      CHECK(file.compare("f64/after/" + key, parameter.value(),
                         {.atol = std::same_as<T, double> ? 1e-9 : 3e-5,
                          .left_out = noise_of<T>(key, config.dim)}) == "");
  };
  check_after(client_part);
  check_after(server_part);

  // 2. The same through client and server.
  std::vector<std::vector<Index>> ids;
  for (Index step = 0; step < steps; ++step) ids.push_back(part(all_ids, steps, step));
  nn::Part<T> linked_client_part{config, 0, cut};
  nn::Part<T> linked_server_part{config, cut, config.depth};
  start(linked_client_part);
  start(linked_server_part);
  auto [client_end, server_end] = transport::memory_pair();
  split::Server server{linked_server_part, adam};
  test::Serving serving{server, std::move(server_end)};
  split::Client client{linked_client_part, adam,
                       GivenClusters{.ids = ids, .clusters = clusters, .kept = kept},
                       std::move(client_end)};
  for (Index step = 0; step < steps; ++step)
    client.train_step(part(images, step), part(all_labels, steps, step));
  client.close();
  serving.finish();
  check_after(client.part());
  check_after(server.part());
}

template <class T>
void check_large_step(const golden::File& file) {
  const nn::VitConfig config = golden::config_of(file);
  const auto param_seed = static_cast<std::uint64_t>(file.integer("param_seed"));
  const auto image_seed = static_cast<std::uint64_t>(file.integer("image_seed"));
  const auto labels = file.indices("labels"), ids = file.indices("cluster_ids");
  const auto images = golden::filled<T>(
      "images", {static_cast<Index>(labels.size()), config.channels, config.image, config.image},
      2.0, 0.0, image_seed);
  const Index cut = file.integer("cut");
  nn::Part<T> client_part{config, 0, cut};
  nn::Part<T> server_part{config, cut, config.depth};
  const auto start = [&](const auto& module) {
    for (const auto& [key, parameter] : nn::parameters<T>(module))
      parameter.mutable_value() = golden::filled_parameter<T>(key, parameter.shape(), param_seed);
  };
  start(client_part);
  start(server_part);
  const auto got =
      run_step(client_part, server_part, images, std::span<const Index>{labels},
               std::span<const Index>{ids}, file.integer("clusters"), file.integer("kept"));
  const auto places = places_of(file, "f64/token_index", got.tokens);
  const golden::Tolerance close = golden::activation_tolerance<T>();
  const double slopes = golden::gradient_tolerance<T>().rtol;
  CHECK(file.compare("f64/cls_attn", got.cls_attention, close) == "");
  CHECK(file.compare("f64/centroids", got.centroids, close) == "");
  CHECK(file.compare("f64/merged_labels", got.merged_labels, close) == "");
  CHECK(file.compare("f64/logits", got.logits, close) == "");
  CHECK(file.compare("f64/loss", got.loss, close) == "");
  const auto sampled = [&](const std::string& what, const Tensor<T>& ours, double rtol) {
    CHECK(golden::sampled_difference(file, "f64/" + what, ours, rtol) == "");
  };
  sampled("embedded", got.embedded, close.rtol);
  sampled("merged", in_their_order(got.merged, places), close.rtol);
  sampled("grad_merged", in_their_order(got.grad_merged, places), slopes);
  sampled("grad_embedded", got.grad_embedded, slopes);
  for (const auto& all : {nn::parameters<T>(client_part), nn::parameters<T>(server_part)})
    for (const auto& [key, parameter] : all) sampled("grad." + key, parameter.gradient(), slopes);
}

}  // namespace

TEMPLATE_TEST_CASE("golden: training steps through the cut", "[golden][split]", double, float) {
  golden::each_file<TestType>("split_step", check_steps<TestType>);
}

TEMPLATE_TEST_CASE("golden: a split step at DeiT-Tiny's size", "[golden][split][deit_tiny]", double,
                   float) {
  golden::each_file<TestType>("split_deit_tiny", check_large_step<TestType>);
}

}  // namespace splitvit
