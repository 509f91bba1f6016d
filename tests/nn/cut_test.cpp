// SPDX-License-Identifier: MIT
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/autograd/variable.hpp>
#include <splitvit/core/parallel.hpp>
#include <splitvit/nn/cut.hpp>

#include "nn/models.hpp"
#include "support/catch.hpp"

namespace splitvit::nn {
namespace {

using test::equal_bits;
using test::small_vit;

constexpr Rng start{.seed = 15};

/// All ways to cut small_vit, which has three blocks.
const std::vector<std::vector<Index>> all_cuts{{1}, {2}, {1, 2}};

template <class T>
NamedParameters<T> parameters_of(const std::vector<Part<T>>& parts) {
  NamedParameters<T> all;
  for (const Part<T>& part : parts)
    for (auto& parameter : parameters<T>(part)) all.push_back(std::move(parameter));
  return all;
}

}  // namespace

TEMPLATE_TEST_CASE("cut: the parts have the whole model's parameters, each once", "[nn][cut]",
                   float, double) {
  using T = TestType;
  const auto whole = parameters<T>(make_vit<T>(small_vit, start));
  for (const std::vector<Index>& cuts : all_cuts) {
    const auto parts = cut<T>(small_vit, cuts, start);
    REQUIRE(parts.size() == cuts.size() + 1);
    const auto all = parameters_of<T>(parts);
    REQUIRE(all.size() == whole.size());
    for (std::size_t i = 0; i < whole.size(); ++i) {
      CHECK(all[i].first == whole[i].first);
      CHECK(equal_bits(all[i].second.value(), whole[i].second.value()));  // for any cut
    }
  }
}

TEST_CASE("cut: cut_in_two and make_part give the same parts", "[nn][cut]") {
  const auto parts = cut<float>(small_vit, {2}, start);
  const auto [client_part, server_part] = cut_in_two<float>(small_vit, 2, start);
  const auto same = [](const Part<float>& a, const Part<float>& b) {
    CHECK(a.description() == b.description());
    const auto x = parameters<float>(a), y = parameters<float>(b);
    REQUIRE(x.size() == y.size());
    for (std::size_t i = 0; i < x.size(); ++i)
      CHECK(equal_bits(x[i].second.value(), y[i].second.value()));
  };
  same(client_part, parts[0]);
  same(server_part, parts[1]);
  same(make_part<float>(small_vit, 0, 2, start), parts[0]);
  same(make_part<float>(small_vit, 2, 3, start), parts[1]);
}

TEST_CASE("cut: names of deit_tiny, cut after three and eleven blocks", "[nn][cut]") {
  const VitConfig config = vit_named("deit_tiny");
  const Part<float> first{config, 0, 3}, middle{config, 3, 11}, last{config, 11, 12};
  const auto a = test::names_of<float>(first), b = test::names_of<float>(middle),
             c = test::names_of<float>(last);
  CHECK(a.size() == 4 + 3 * 12);
  CHECK(b.size() == 8 * 12);
  CHECK(c.size() == 12 + 4);
  CHECK(a.back() == "blocks.2.mlp.fc2.bias");
  CHECK(b.front() == "blocks.3.norm1.weight");
  CHECK(b.back() == "blocks.10.mlp.fc2.bias");
  CHECK(c.front() == "blocks.11.norm1.weight");
  CHECK(c.back() == "head.bias");
  std::set<std::string> all{a.begin(), a.end()};
  all.insert(b.begin(), b.end());
  all.insert(c.begin(), c.end());
  CHECK(all.size() == 152);
  CHECK(parameter_count<float>(first) + parameter_count<float>(middle) +
            parameter_count<float>(last) ==
        5'717'416);
}

TEMPLATE_TEST_CASE("cut: logits and gradients are the whole model's, bit for bit", "[nn][cut]",
                   float, double) {
  using T = TestType;
  Rng rng{.seed = 16};
  const auto images = test::drawn_images<T>(small_vit, 3, rng);
  const std::vector<Index> ids{4, 0, 2};
  const auto pixels = Variable<T>::parameter(images);
  const auto vit = make_vit<T>(small_vit, start);
  const auto logits = vit(pixels);
  const auto loss = cross_entropy(logits, std::span<const Index>{ids});
  backward(loss);
  const auto wanted = parameters<T>(vit);

  for (const std::vector<Index>& cuts : all_cuts) {
    const auto parts = cut<T>(small_vit, cuts, start);
    const auto own_pixels = Variable<T>::parameter(images);
    std::vector<Variable<T>> received{own_pixels}, sent;  // the ends of each cut
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      sent.push_back(parts[i].to_cut(received.back()).tokens);
      CHECK(sent.back().shape() == Shape{3, 10, 12});
      received.push_back(Variable<T>::parameter(sent.back().value()));
    }
    const auto ours = parts.back().logits(received.back());
    CHECK(equal_bits(ours.value(), logits.value()));
    CHECK(equal_bits(parts.back().logits(sent.back()).value(), logits.value()));
    const auto own_loss = cross_entropy(ours, std::span<const Index>{ids});
    CHECK(equal_bits(own_loss.value(), loss.value()));
    backward(own_loss);
    for (std::size_t i = sent.size(); i-- > 0;) backward(sent[i], received[i + 1].gradient());
    CHECK(equal_bits(own_pixels.gradient(), pixels.gradient()));
    const auto all = parameters_of<T>(parts);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      INFO(wanted[i].first);
      CHECK(equal_bits(all[i].second.gradient(), wanted[i].second.gradient()));
    }
  }
}

TEST_CASE("cut: without a graph, the same logits", "[nn][cut]") {
  Rng rng{.seed = 20};
  const auto vit = make_vit<float>(small_vit, start);
  const Variable<float> images{test::drawn_images<float>(small_vit, 2, rng)};
  const auto logits = vit(images);
  CHECK(logits.requires_grad());
  const NoGrad no_grad;
  const auto again = vit(images);
  CHECK(!again.requires_grad());
  CHECK(equal_bits(again.value(), logits.value()));
}

TEST_CASE("cut: the same bits for any number of threads", "[nn][cut]") {
  Rng rng{.seed = 21};
  const auto images = test::drawn_images<float>(small_vit, 9, rng);
  const auto run = [&](int threads) {
    return with_threads(threads, [&] {
      const auto vit = make_vit<float>(small_vit, start);
      const std::vector<Index> ids(9, 1);
      backward(cross_entropy(vit(Variable<float>{images}), std::span<const Index>{ids}));
      return parameters<float>(vit);
    });
  };
  const auto once = run(1);
  for (const int threads : {2, 3, 8}) {
    const auto again = run(threads);
    for (std::size_t i = 0; i < once.size(); ++i)
      CHECK(equal_bits(again[i].second.gradient(), once[i].second.gradient()));
  }
}

TEST_CASE("cut: where a model can be cut", "[nn][cut]") {
  const auto complaint = [](const std::vector<Index>& cuts, const VitConfig& config = small_vit) {
    return test::text_of<std::invalid_argument>([&] { cut<float>(config, cuts, start); });
  };
  for (const std::vector<Index>& cuts : all_cuts) CHECK(complaint(cuts) == "");
  const std::string wanted =
      "): a model of 3 blocks can be cut after 1 to 2, at least once, in ascending order";
  for (const Index after : {-1, 0, 3, 100}) {
    const std::string text = "cuts (" + std::to_string(after) + wanted;
    CHECK(complaint({after}) == text);
    CHECK(test::text_of<std::invalid_argument>(
              [&] { cut_in_two<float>(small_vit, after, start); }) == text);
  }
  CHECK(complaint({}) == "cuts (" + wanted);
  CHECK(complaint({1, 1}) == "cuts (1, 1" + wanted);
  CHECK(complaint({2, 1}) == "cuts (2, 1" + wanted);
  CHECK(complaint({1, 3}) == "");  // norm and classifier follow
  CHECK(complaint({3, 3}) == "cuts (3, 3" + wanted);
  CHECK(complaint({1, 4}) == "cuts (1, 4" + wanted);
  CHECK_THROWS_AS(cut<float>(small_vit, {}, start), std::invalid_argument);
  VitConfig shallow = small_vit;
  shallow.depth = 1;
  CHECK(complaint({1}, shallow) == "cuts (1): a model of 1 block cannot be cut");
  CHECK(complaint({1}, {.image = 30, .patch = 16}) ==
        "VitConfig: image 30 is no multiple of patch 16");
}

}  // namespace splitvit::nn
