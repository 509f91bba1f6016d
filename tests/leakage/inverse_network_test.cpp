// SPDX-License-Identifier: MIT
#include <cmath>

#include <splitvit/autograd/gradcheck.hpp>
#include <splitvit/leakage/inverse_network.hpp>
#include <splitvit/leakage/similarity.hpp>
#include <splitvit/leakage/tap.hpp>
#include <splitvit/spec/stages.hpp>

#include "split/loopback.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::leakage {

using test::client_part;
using test::drawn;
using test::small_vit;

namespace {

constexpr nn::VitConfig drawer{
    .image = 8, .patch = 4, .channels = 3, .dim = 32, .heads = 2, .depth = 1};

/// Eight pixels on each side, of two random colours that meet at a random place.
Tensor<float> two_colours(Index count, Rng& rng) {
  Tensor<float> images{{count, 3, 8, 8}};
  for (Index b = 0; b < count; ++b) {
    const Index edge = rng.below(8);
    for (Index c = 0; c < 3; ++c) {
      const auto left = static_cast<float>(rng.uniform()),
                 right = static_cast<float>(rng.uniform());
      for (Index i = 0; i < 64; ++i) images[(b * 3 + c) * 64 + i] = i % 8 < edge ? left : right;
    }
  }
  return images;
}

double error_of(const Tensor<float>& drawn_images, const Tensor<float>& images) {
  double sum = 0;
  for (Index i = 0; i < images.size(); ++i)
    sum += std::pow(static_cast<double>(drawn_images[i] - images[i]), 2);
  return sum / static_cast<double>(images.size());
}

}  // namespace

TEST_CASE("inverse network: draws images that it has not learnt from, in any order of tokens",
          "[leakage]") {
  for (const char* stage : {"none", "shuffle"}) {
    Rng rng{.seed = 2};
    Tap<float> tap{client_part(), spec::parse_stage<float>(stage), {}};
    Inverter<float> attacker{drawer, small_vit.dim, rng, 3e-3};
    const auto secret = two_colours(20, rng);
    const double before = error_of(attacker.draw(tap(secret).tokens), secret);
    for (int step = 0; step < 250; ++step) {
      const auto images = two_colours(32, rng);
      attacker.learn(tap(images), images);
    }
    const double after = error_of(attacker.draw(tap(secret).tokens), secret);
    CAPTURE(stage, before, after);
    CHECK(after < 0.2 * before);
    CHECK(after < 0.03);
  }
}

TEST_CASE("inverse network: nothing can be drawn of noise but the mean image", "[leakage]") {
  Rng rng{.seed = 3};
  Tap<float> tap{client_part(), spec::parse_stage<float>("noise:100"), {}};
  Inverter<float> attacker{drawer, small_vit.dim, rng, 3e-3};
  for (int step = 0; step < 150; ++step) {
    const auto images = two_colours(32, rng);
    attacker.learn(tap(images), images);
  }
  const auto secret = two_colours(50, rng);
  CHECK(error_of(attacker.draw(tap(secret).tokens), secret) > 0.95 / 12);  // their variance
}

TEST_CASE("inverse network: rows of several images teach their mean", "[leakage]") {
  Rng rng{.seed = 4};
  const Seen<float> seen{.tokens = drawn<float>({1, 2, 16}, rng), .members = {{0, 1}}};
  auto images = two_colours(2, rng);
  auto other = images;
  for (Index i = 0; i < images.size() / 2; ++i) std::swap(other[i], other[i + images.size() / 2]);
  Inverter<float> one{drawer, 16, Rng{.seed = 5}}, two{drawer, 16, Rng{.seed = 5}};
  CHECK(one.learn(seen, images) == two.learn(seen, other));
}

TEST_CASE("inverse network: places before the tokens, and their gradients", "[leakage]") {
  Rng rng{.seed = 6};
  const auto places = Variable<double>::parameter(drawn<double>({1, 2, 3}, rng));
  for (const Index tokens : {3, 5}) {  // with a token for each place, and with others
    const auto x = Variable<double>::parameter(drawn<double>({4, tokens, 3}, rng));
    const auto y = detail::places_before(places, x);
    CHECK(y.shape() == Shape{4, 2 + tokens, 3});
    CHECK(y.value()[4] == places.value()[4] + (tokens == 3 ? x.value()[7] : 0));
    CHECK(y.value()[6] == x.value()[0]);
    CHECK(gradcheck(
        [&](const Variable<double>& v) { return mean(square(detail::places_before(v, x))); },
        places.value()));
    CHECK(gradcheck(
        [&](const Variable<double>& v) { return mean(square(detail::places_before(places, v))); },
        x.value()));
  }
}

}  // namespace splitvit::leakage
