// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/autograd/no_grad.hpp>
#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/core/parallel.hpp>
#include <splitvit/nn/cut.hpp>

#include "nn/models.hpp"
#include "support/catch.hpp"

namespace splitvit::nn {
namespace {

using test::equal_bits;
using test::small_vit;

constexpr Rng start{.seed = 15};

/// Both halves of one model.
template <class T>
struct Halves {
  Head<T> head;
  Tail<T> tail;

  explicit Halves(Index cut, const VitConfig& config = small_vit)
      : head{make_head<T>(config, cut, start)}, tail{make_tail<T>(config, cut, start)} {}

  NamedParameters<T> all() const {
    auto both = parameters<T>(head);
    for (auto& parameter : parameters<T>(tail)) both.push_back(std::move(parameter));
    return both;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("cut: the halves have the whole model's parameters, each once", "[nn][cut]",
                   float, double) {
  using T = TestType;
  const auto whole = parameters<T>(make_vit<T>(small_vit, start));
  for (Index cut = 1; cut < small_vit.depth; ++cut) {
    const auto both = Halves<T>{cut}.all();
    REQUIRE(both.size() == whole.size());
    for (std::size_t i = 0; i < whole.size(); ++i) {
      CHECK(both[i].first == whole[i].first);
      CHECK(equal_bits(both[i].second.value(), whole[i].second.value()));  // for any cut
    }
  }
}

TEST_CASE("cut: names of deit_tiny, cut after three blocks", "[nn][cut]") {
  const Head<float> head{vit_named("deit_tiny"), 3};
  const Tail<float> tail{vit_named("deit_tiny"), 3};
  const auto client = test::names_of<float>(head), server = test::names_of<float>(tail);
  CHECK(client.size() == 4 + 3 * 12);
  CHECK(server.size() == 9 * 12 + 4);
  CHECK(client.back() == "blocks.2.mlp.fc2.bias");
  CHECK(server.front() == "blocks.3.norm1.weight");
  CHECK(server.back() == "head.bias");
  std::set<std::string> all{client.begin(), client.end()};
  all.insert(server.begin(), server.end());
  CHECK(all.size() == 152);
  CHECK(parameter_count<float>(head) + parameter_count<float>(tail) == 5'717'416);
}

TEMPLATE_TEST_CASE("cut: scores and gradients are the whole model's, bit for bit", "[nn][cut]",
                   float, double) {
  using T = TestType;
  Rng rng{.seed = 16};
  const auto images = test::drawn_images<T>(small_vit, 3, rng);
  const std::vector<Index> ids{4, 0, 2};
  const auto pixels = Variable<T>::parameter(images);
  const auto vit = make_vit<T>(small_vit, start);
  const auto scores = vit(pixels);
  const auto loss = cross_entropy(scores, std::span<const Index>{ids});
  backward(loss);
  const auto wanted = parameters<T>(vit);

  for (Index cut = 1; cut < small_vit.depth; ++cut) {
    const Halves<T> halves{cut};
    const auto own_pixels = Variable<T>::parameter(images);
    const auto sent = halves.head(own_pixels);
    CHECK(sent.y.shape() == Shape{3, 10, 12});
    const auto received = Variable<T>::parameter(sent.y.value());  // what crosses the cut
    const auto ours = halves.tail(received);
    CHECK(equal_bits(ours.value(), scores.value()));
    CHECK(equal_bits(halves.tail(sent.y).value(), scores.value()));
    const auto own_loss = cross_entropy(ours, std::span<const Index>{ids});
    CHECK(equal_bits(own_loss.value(), loss.value()));
    backward(own_loss);
    backward(sent.y, received.gradient());
    CHECK(equal_bits(own_pixels.gradient(), pixels.gradient()));
    const auto all = halves.all();
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      INFO(wanted[i].first);
      CHECK(equal_bits(all[i].second.gradient(), wanted[i].second.gradient()));
    }
  }
}

TEMPLATE_TEST_CASE("cut: CLS attention is a distribution over tokens and changes nothing",
                   "[nn][cut]", float, double) {
  using T = TestType;
  Rng rng{.seed = 17};
  const Variable<T> images{test::drawn_images<T>(small_vit, 4, rng)};
  const auto head = make_head<T>(small_vit, 2, start);
  const auto with = head(images);  // asked for, unless told otherwise
  const auto without = head(images, NeedWeights::none);
  CHECK(equal_bits(with.y.value(), without.y.value()));
  CHECK(without.cls_attention.empty());
  REQUIRE(with.cls_attention.shape() == Shape{4, 10});
  for (Index b = 0; b < 4; ++b) {
    double sum = 0;
    for (Index j = 0; j < 10; ++j) sum += static_cast<double>(with.cls_attention[b * 10 + j]);
    CHECK(sum == Approx(1.0).epsilon(16 * test::unit<T>));
  }
}

TEST_CASE("cut: the tail takes any number of samples and tokens", "[nn][cut]") {
  Rng rng{.seed = 18};
  const auto tail = make_tail<float>(small_vit, 1, start);
  for (const Index B : {0, 1, 5})
    for (const Index N : {1, 3, 10, 12})
      CHECK(tail(Variable<float>{test::drawn<float>({B, N, 12}, rng)}).shape() == Shape{B, 5});
  CHECK_THROWS_AS(tail(Variable<float>{Tensor<float>{{2, 10, 11}}}), ShapeError);
  CHECK_THROWS_AS(tail(Variable<float>{Tensor<float>{{2, 0, 12}}}), ShapeError);
}

TEST_CASE("cut: to the tail, a token of size 3 is three equal tokens", "[nn][cut]") {
  Rng rng{.seed = 20};
  const auto tail = make_tail<double>(small_vit, 1, start);
  test::draw_parameters<double>(tail, rng);
  const auto three = Variable<double>::parameter(test::drawn<double>({1, 3, 12}, rng));
  Tensor<double> repeated{{1, 5, 12}}, log_sizes{{1, 3}};
  for (Index p = 0; p < 5; ++p)
    std::copy_n(three.value().data() + std::min<Index>(p, 2) * 12, 12, repeated.data() + p * 12);
  log_sizes[2] = std::log(3.0);
  const auto five = Variable<double>::parameter(std::move(repeated));
  const std::vector<Index> ids{2};
  const auto loss = cross_entropy(tail(three, log_sizes), std::span<const Index>{ids});
  const auto wanted = cross_entropy(tail(five), std::span<const Index>{ids});
  CHECK(loss.value()[0] == Approx(wanted.value()[0]));
  backward(loss);
  backward(wanted);
  for (Index i = 0; i < 12; ++i) {
    const double* const g = five.gradient().data() + i;
    CHECK(three.gradient()[i] == Approx(g[0]).margin(1e-12));
    CHECK(three.gradient()[24 + i] == Approx(g[24] + g[36] + g[48]).margin(1e-12));
  }
  CHECK_THROWS_AS(tail(five, log_sizes), ShapeError);
}

TEST_CASE("cut: the order of the tokens after CLS does not matter to the tail", "[nn][cut]") {
  Rng rng{.seed = 19};
  const auto tail = make_tail<double>(small_vit, 1, start);
  test::draw_parameters<double>(tail, rng);
  const auto tokens = test::drawn<double>({1, 4, 12}, rng);
  Tensor<double> turned = tokens;
  for (Index p = 1; p < 4; ++p)
    std::copy_n(tokens.data() + p * 12, 12, turned.data() + (4 - p) * 12);
  CHECK(test::apart(tail(Variable<double>{turned}).value(),
                    tail(Variable<double>{tokens}).value()) <= 1e-13);
}

TEST_CASE("cut: without a graph, the same scores", "[nn][cut]") {
  Rng rng{.seed = 20};
  const auto vit = make_vit<float>(small_vit, start);
  const Variable<float> images{test::drawn_images<float>(small_vit, 2, rng)};
  const auto scores = vit(images);
  CHECK(scores.requires_grad());
  const NoGrad no_grad;
  const auto again = vit(images);
  CHECK(!again.requires_grad());
  CHECK(equal_bits(again.value(), scores.value()));
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
  const auto complaint = [](Index cut, const VitConfig& config = small_vit) {
    const auto head = test::text_of<std::invalid_argument>([&] { Head<float>{config, cut}; });
    const auto tail =
        test::text_of<std::invalid_argument>([&] { make_tail<float>(config, cut, start); });
    CHECK(head == tail);
    return head;
  };
  CHECK(complaint(1) == "");
  CHECK(complaint(2) == "");
  for (const Index cut : {-1, 0, 3, 100})
    CHECK(complaint(cut) ==
          "cut " + std::to_string(cut) + ": a model of 3 blocks can be cut after 1 to 2");
  CHECK(complaint(1, {.image = 30, .patch = 16}) ==
        "VitConfig: image 30 is no multiple of patch 16");
}

}  // namespace splitvit::nn
