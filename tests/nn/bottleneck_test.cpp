// SPDX-License-Identifier: MIT
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/autograd/gradcheck.hpp>
#include <splitvit/autograd/ops/arithmetic.hpp>
#include <splitvit/autograd/ops/sum.hpp>
#include <splitvit/nn/bottleneck.hpp>
#include <splitvit/nn/part.hpp>
#include <splitvit/nn/principal_axes.hpp>
#include <splitvit/optim/optimizer.hpp>
#include <splitvit/optim/sgd.hpp>

#include "nn/models.hpp"
#include "support/catch.hpp"

namespace splitvit::nn {
namespace {

using test::drawn;
using test::equal_bits;
using test::small_vit;

static_assert(Module<Encoder<float>, float> && Module<Decoder<double>, double>);

constexpr Rng seeded{.seed = 15};

/// How much of the tokens is lost on the way through a pair: the sum of squares.
template <class T>
double lost(const Bottleneck<T>& pair, const Tensor<T>& x) {
  const auto back = pair.decoder(pair.encoder(Variable<T>{x})).value();
  double sum = 0.0;
  for (Index i = 0; i < x.size(); ++i) sum += std::pow(static_cast<double>(x[i] - back[i]), 2.0);
  return sum;
}

template <class T>
TokenMoments moments_of(const Tensor<T>& tokens) {
  TokenMoments moments{tokens.shape().back()};
  moments.add(tokens);
  return moments;
}

}  // namespace

TEST_CASE("bottleneck: widths", "[nn][bottleneck]") {
  CHECK(bottleneck_width(192, {.ratio = .05}) == 10);  // 9.6
  CHECK(bottleneck_width(192, {.ratio = .1}) == 19);   // 19.2
  CHECK(bottleneck_width(10, {.ratio = .25}) == 2);    // halves to the even number
  CHECK(bottleneck_width(10, {.ratio = .35}) == 4);
  CHECK(bottleneck_width(7, {.ratio = 1.0}) == 7);
  CHECK(widths_between(192, 48, 2) == std::vector<Index>{192, 120, 48});
  CHECK(widths_between(12, 3, 2) == std::vector<Index>{12, 7, 3});
  CHECK(widths_between(3, 12, 2) == std::vector<Index>{3, 7, 12});
  CHECK(widths_between(10, 3, 1) == std::vector<Index>{10, 3});
  CHECK(widths_between(10, 3, 4) == std::vector<Index>{10, 8, 6, 4, 3});
}

TEST_CASE("bottleneck: options that make none", "[nn][bottleneck]") {
  for (const double ratio : {0.0, -1.0, 1.01, std::nan("")})
    CHECK_THROWS_AS(bottleneck_width(10, {.ratio = ratio}), std::invalid_argument);
  CHECK_THROWS_WITH(bottleneck_width(10, {.ratio = 0.05}), ContainsSubstring("leaves nothing"));
  CHECK_THROWS_WITH(bottleneck_width(10, {.layers = 0}),
                    ContainsSubstring("layers is 0, wanted a whole number from 1 to 64"));
  CHECK_THROWS_WITH(bottleneck_width(10, {.start = BottleneckStart::pca}),
                    ContainsSubstring("layers is 2, wanted 1"));
  CHECK_THROWS_AS(bottleneck_width(0, {}), std::invalid_argument);
  CHECK_THROWS_AS((Encoder<float>{10, {.ratio = 0.01}}), std::invalid_argument);
  CHECK_THROWS_AS((Decoder<float>{10, {.layers = -1}}), std::invalid_argument);
}

TEST_CASE("bottleneck: description names every option", "[nn][bottleneck]") {
  CHECK(BottleneckOptions{.ratio = 0.1}.description() ==
        "bottleneck:0.1:start=random:layers=2:decoder_relu=no:frozen=no");
  CHECK(BottleneckOptions{.layers = 1, .decoder_relu = true}.description() ==
        "bottleneck:0.25:start=random:layers=1:decoder_relu=yes:frozen=no");
}

TEMPLATE_TEST_CASE("bottleneck: parameters and shapes of both halves", "[nn][bottleneck]", float,
                   double) {
  using T = TestType;
  const BottleneckOptions options{.ratio = 0.25, .layers = 2};
  const auto encoder = make_encoder<T>(12, options, seeded);
  const auto decoder = make_decoder<T>(12, options, seeded);
  const std::vector<std::string> names{"0.weight", "0.bias", "1.weight", "1.bias"};
  CHECK(test::names_of<T>(encoder) == names);
  CHECK(test::names_of<T>(decoder) == names);
  CHECK(encoder.layers[0].weight.shape() == Shape{7, 12});
  CHECK(decoder.layers[1].weight.shape() == Shape{12, 7});
  Rng rng{.seed = 1};
  for (const Index B : {1, 3})
    for (const Index N : {1, 5}) {
      const auto sent = encoder(Variable<T>{drawn<T>({B, N, 12}, rng)});
      CHECK(sent.shape() == Shape{B, N, 3});
      CHECK(decoder(sent).shape() == Shape{B, N, 12});
    }
  CHECK_THROWS_AS(encoder(Variable<T>{Tensor<T>{{2, 5, 11}}}), ShapeError);
}

TEST_CASE("bottleneck: ReLU between the layers, and behind them where asked for",
          "[nn][bottleneck]") {
  const auto least = [](const Tensor<double>& x) { return *std::ranges::min_element(x.span()); };
  Rng rng{.seed = 2};
  const Variable<double> x{drawn<double>({40, 12}, rng)};
  const auto encoder = make_encoder<double>(12, {}, seeded);
  const auto sent = encoder(x);
  CHECK(least(sent.value()) < 0.0);
  const auto by_hand = encoder.layers[1](relu(encoder.layers[0](x)));
  CHECK(equal_bits(sent.value(), by_hand.value()));
  CHECK(least(make_decoder<double>(12, {}, seeded)(sent).value()) < 0.0);
  CHECK(least(make_decoder<double>(12, {.decoder_relu = true}, seeded)(sent).value()) == 0.0);
}

TEST_CASE("bottleneck: the start is uniform, depends on seed and name, and differs between halves",
          "[nn][bottleneck]") {
  const BottleneckOptions square{.ratio = 1.0, .layers = 2};
  const auto encoder = make_encoder<double>(64, square, seeded);
  for (const auto& [name, parameter] : parameters<double>(encoder)) {
    INFO(name);
    double largest = 0.0, squares = 0.0;
    for (const double v : parameter.value().span()) {
      largest = std::max(largest, std::abs(v));
      squares += v * v / static_cast<double>(parameter.value().size());
    }
    CHECK(largest <= 0.125);
    CHECK(largest > 0.115);
    CHECK(std::sqrt(squares) == Approx(0.125 / std::sqrt(3.0)).epsilon(0.25));
  }
  const auto& once = encoder.layers[0].weight.value();
  CHECK(equal_bits(
      make_encoder<double>(64, square, {.seed = 15, .position = 9}).layers[0].weight.value(),
      once));
  CHECK(!equal_bits(make_encoder<double>(64, square, {.seed = 16}).layers[0].weight.value(), once));
  CHECK(!equal_bits(make_decoder<double>(64, square, seeded).layers[0].weight.value(), once));
  CHECK(!equal_bits(encoder.layers[1].weight.value(), once));
}

TEST_CASE("bottleneck: gradients agree with finite differences", "[nn][bottleneck]") {
  Rng rng{.seed = 3};
  const auto x = drawn<double>({2, 3, 8}, rng);
  for (const bool decoder_relu : {false, true}) {
    const BottleneckOptions options{.ratio = 0.5, .layers = 2, .decoder_relu = decoder_relu};
    const auto encoder = make_encoder<double>(8, options, seeded);
    const auto decoder = make_decoder<double>(8, options, seeded);
    // square() so that the incoming gradient is not constant
    const auto through = [&](const Variable<double>& tokens) {
      return sum(square(decoder(encoder(tokens))));
    };
    backward(through(Variable<double>{x}));
    for (const auto& half : {parameters<double>(encoder), parameters<double>(decoder)})
      for (const auto& [name, parameter] : half) {
        INFO(name);
        REQUIRE(parameter.has_gradient());
        const Variable<double> leaf = parameter;  // a lambda of clang 14 cannot hold the other
        const Index i = leaf.value().size() / 2;
        const auto moved = [&](double by) {
          leaf.mutable_value()[i] += by;
          const double y = through(Variable<double>{x}).value()[0];
          leaf.mutable_value()[i] -= by;
          return y;
        };
        const double slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
        CHECK(std::abs(leaf.gradient()[i] - slope) <= 1e-6 * std::max(1.0, std::abs(slope)));
      }
    CHECK(gradcheck(through, x, {.step = 1e-6, .tolerance = 1e-7}));
  }
}

TEMPLATE_TEST_CASE("pca_bottleneck: loses nothing where tokens need no more than w directions",
                   "[nn][bottleneck]", float, double) {
  using T = TestType;
  Rng rng{.seed = 4};
  const auto low = drawn<T>({60, 3}, rng);
  const auto axes = drawn<T>({3, 12}, rng), offset = drawn<T>({12}, rng);
  Tensor<T> tokens{{60, 12}};
  for (Index i = 0; i < 60; ++i)
    for (Index d = 0; d < 12; ++d) {
      tokens[i * 12 + d] = offset[d];
      for (Index k = 0; k < 3; ++k) tokens[i * 12 + d] += low[i * 3 + k] * axes[k * 12 + d];
    }
  const auto pair = pca_bottleneck<T>(moments_of(tokens), {.ratio = 0.25, .layers = 1});
  CHECK(pair.encoder.output_width() == 3);
  CHECK(lost(pair, tokens) <= 1e4 * test::unit<T> * test::unit<T> * 720);
  CHECK(lost(pca_bottleneck<T>(moments_of(tokens), {.ratio = 0.17, .layers = 1}), tokens) > 1.0);
}

TEST_CASE("pca_bottleneck: loses exactly the variance of the axes that it leaves out",
          "[nn][bottleneck]") {
  Rng rng{.seed = 5};
  auto tokens = drawn<double>({300, 10}, rng);
  for (Index i = 0; i < tokens.size(); ++i) tokens[i] *= static_cast<double>(1 + i % 10);
  const auto moments = moments_of(tokens);
  const auto variance = principal_axes(moments).variance;
  for (const double ratio : {0.1, 0.3, 0.5, 1.0}) {
    const auto pair = pca_bottleneck<double>(moments, {.ratio = ratio, .layers = 1});
    double left_out = 0.0;
    for (std::size_t k = test::at(pair.encoder.output_width()); k < 10; ++k)
      left_out += 300.0 * variance[k];
    CHECK(lost(pair, tokens) == Approx(left_out).epsilon(1e-10).margin(1e-18));
  }
}

TEST_CASE("pca_bottleneck: fewer tokens than directions, and equal tokens", "[nn][bottleneck]") {
  Rng rng{.seed = 6};
  for (const auto& tokens :
       {drawn<float>({2, 8}, rng), Tensor<float>::full({5, 8}, 0.7f), Tensor<float>{{3, 8}}}) {
    const auto pair = pca_bottleneck<float>(moments_of(tokens), {.ratio = 0.5, .layers = 1});
    for (const auto& half : {parameters<float>(pair.encoder), parameters<float>(pair.decoder)})
      for (const auto& [name, parameter] : half) CHECK(all_finite<float>(parameter.value().span()));
    CHECK(lost(pair, tokens) < 1e-10);
  }
  CHECK_THROWS_AS(pca_bottleneck<float>(TokenMoments{8}, {.ratio = 0.5, .layers = 1}),
                  std::invalid_argument);
  CHECK_THROWS_AS(pca_bottleneck<float>(TokenMoments{8}, {.ratio = 0.0, .layers = 1}),
                  std::invalid_argument);
}

TEST_CASE("pca_bottleneck: one layer", "[nn][bottleneck]") {
  CHECK_THROWS_WITH(pca_bottleneck<float>(TokenMoments{8}, {.ratio = 0.5}),
                    ContainsSubstring("2 layers, wanted one"));
}

TEST_CASE("bottleneck: frozen, an optimiser passes it by and gradients pass through",
          "[nn][bottleneck]") {
  auto part = make_part<float>(small_vit, 0, 1, seeded);
  part.encoder = make_encoder<float>(small_vit.dim, {.frozen = true}, seeded);
  const auto before = part.encoder->layers[0].weight.value();
  const auto patches = parameters<float>(part)[2];
  const auto patches_before = patches.second.value();
  Rng rng{.seed = 8};
  optim::Optimizer optimizer{optim::Sgd{}, parameters<float>(part)};
  const Variable<float> images{test::drawn_images<float>(small_vit, 2, rng)};
  backward(sum(square(part.encode(part.to_cut(images).tokens))));
  optimizer.step();
  CHECK(equal_bits(part.encoder->layers[0].weight.value(), before));
  INFO(patches.first);
  CHECK(!equal_bits(patches.second.value(), patches_before));
}

}  // namespace splitvit::nn
