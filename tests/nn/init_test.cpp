// SPDX-License-Identifier: MIT
#include <cmath>
#include <string>

#include <splitvit/nn/init.hpp>
#include <splitvit/nn/vit.hpp>

#include "nn/models.hpp"
#include "support/catch.hpp"

namespace splitvit::nn {
namespace {

struct Statistics {
  double mean = 0, deviation = 0, largest = 0;
};

template <class T>
Statistics statistics(const Tensor<T>& x) {
  Statistics s;
  double squares = 0;
  const auto n = static_cast<double>(x.size());
  for (const T v : x.span()) {
    const auto number = static_cast<double>(v);
    s.mean += number / n;
    squares += number * number / n;
    s.largest = std::max(s.largest, std::abs(number));
  }
  s.deviation = std::sqrt(squares - s.mean * s.mean);
  return s;
}

/// Layers enough for statistics.
constexpr VitConfig wide{.image = 32, .patch = 8, .dim = 96, .heads = 3, .depth = 1, .classes = 50};

}  // namespace

TEMPLATE_TEST_CASE("initialise: timm's distributions", "[nn][init]", float, double) {
  using T = TestType;
  const Vit<T> vit{wide};
  initialise<T>(vit, Rng{.seed = 12});
  vit.each_parameter([](const std::string& name, const Variable<T>& parameter) {
    INFO(name);
    const auto& value = parameter.value();
    const auto s = statistics(value);
    // the mean and deviation of n draws are themselves uncertain; four times as much is allowed
    const double slack = 4 / std::sqrt(static_cast<double>(value.size()));
    if (name.starts_with("patch_embed.")) {
      const double bound = 1 / std::sqrt(3.0 * 8 * 8);
      CHECK(s.largest <= bound);
      CHECK(s.largest > 0.9 * bound);
      CHECK(s.deviation == Approx(bound / std::sqrt(3.0)).epsilon(slack));
      CHECK(std::abs(s.mean) <= slack * bound);
    } else if (name == "cls_token") {
      CHECK(s.deviation == Approx(1e-6).epsilon(slack));
      CHECK(s.largest < 1e-5);
    } else if (name == "pos_embed" || value.shape().rank() == 2) {
      CHECK(s.deviation == Approx(0.02).epsilon(slack));
      CHECK(std::abs(s.mean) <= slack * 0.02);
      CHECK(s.largest < 0.2);
    } else {
      const bool ones = name.find("norm") != std::string::npos && name.ends_with("weight");
      CHECK(test::equal_bits(value, Tensor<T>::full(value.shape(), ones ? T{1} : T{0})));
    }
  });
}

TEST_CASE("initialise: depends on seed, stream and name, not on position", "[nn][init]") {
  const auto started = [](const Rng& rng) {
    const Vit<float> vit{test::small_vit};
    initialise<float>(vit, rng);
    return vit.blocks.blocks[1].mlp.fc1.weight.value();
  };
  const auto once = started({.seed = 1});
  CHECK(test::equal_bits(started({.seed = 1}), once));
  CHECK(test::equal_bits(started({.seed = 1, .position = 99}), once));
  CHECK(!test::equal_bits(started({.seed = 2}), once));
  CHECK(!test::equal_bits(started({.seed = 1, .stream = 1}), once));
}

TEST_CASE("initialise: no two parameters start alike", "[nn][init]") {
  const Vit<double> vit{test::small_vit};
  initialise<double>(vit, {.seed = 3});
  const auto all = parameters<double>(vit);
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const auto &a = all[i].second.value(), &b = all[j].second.value();
      if (a.shape().rank() < 2 || b.shape().rank() < 2) continue;
      INFO(all[i].first << " and " << all[j].first);
      CHECK(a[0] != b[0]);
    }
}

TEST_CASE("initialise: float starts as double does, rounded", "[nn][init]") {
  const Vit<double> exact{test::small_vit};
  const Vit<float> rounded{test::small_vit};
  initialise<double>(exact, {.seed = 4});
  initialise<float>(rounded, {.seed = 4});
  const auto a = parameters<double>(exact);
  const auto b = parameters<float>(rounded);
  for (std::size_t i = 0; i < a.size(); ++i)
    CHECK(test::equal_bits(test::as<float>(a[i].second.value()), b[i].second.value()));
}

TEST_CASE("initialise: a normal number beyond 2 is drawn again", "[nn][init]") {
  Rng rng{.seed = 5};
  double largest = 0;
  for (int i = 0; i < 20'000; ++i)
    largest = std::max(largest, std::abs(detail::truncated_normal(1.0, rng)));
  CHECK(largest <= 2.0);
  CHECK(largest > 1.9);
}

}  // namespace splitvit::nn
