// SPDX-License-Identifier: MIT
// Models and counter-models of UpdateRule and Schedule.

#include <array>
#include <cmath>
#include <functional>
#include <string_view>

#include <splitvit/optim/adam.hpp>
#include <splitvit/optim/concepts.hpp>
#include <splitvit/optim/optimizer.hpp>
#include <splitvit/optim/schedule.hpp>
#include <splitvit/optim/sgd.hpp>

#include "support/catch.hpp"

// Rules as a stranger writes them: in another namespace, with nothing but the headers.
namespace stranger::rules {

/// Steps of lr in the direction of the sign.
struct SignDescent {
  double lr = 0.25;

  std::span<const std::string_view> state_names() const { return {}; }

  template <class T>
  void update(std::uint64_t, double rate, std::span<T> p, std::span<const T> g,
              std::span<const std::span<T>>) const {
    for (std::size_t i = 0; i < p.size(); ++i) p[i] -= std::copysign(static_cast<T>(rate), g[i]);
  }
};

struct WithoutRate {
  std::span<const std::string_view> state_names() const { return {}; }
  template <class T>
  void update(std::uint64_t, double, std::span<T>, std::span<const T>,
              std::span<const std::span<T>>) const {}
};
struct WithoutNames {
  double lr = 1.0;
  template <class T>
  void update(std::uint64_t, double, std::span<T>, std::span<const T>,
              std::span<const std::span<T>>) const {}
};
struct ChangesItself : SignDescent {
  template <class T>
  void update(std::uint64_t, double, std::span<T>, std::span<const T>,
              std::span<const std::span<T>>) {}
};
struct FloatOnly : SignDescent {
  void update(std::uint64_t, double, std::span<float>, std::span<const float>,
              std::span<const std::span<float>>) const {}
};

}  // namespace stranger::rules

namespace splitvit::optim {

static_assert(UpdateRule<Adam, float> && UpdateRule<Adam, double>);
static_assert(UpdateRule<AdamW, float> && UpdateRule<AdamW, double>);
static_assert(UpdateRule<Sgd, float> && UpdateRule<Sgd, double>);
static_assert(UpdateRule<stranger::rules::SignDescent, float>);
static_assert(UpdateRule<stranger::rules::FloatOnly, float>);

static_assert(!UpdateRule<stranger::rules::FloatOnly, double>);
static_assert(!UpdateRule<stranger::rules::WithoutRate, float>);
static_assert(!UpdateRule<stranger::rules::WithoutNames, float>);
static_assert(!UpdateRule<stranger::rules::ChangesItself, float>);
static_assert(!UpdateRule<int, float>);

static_assert(Schedule<Constant> && Schedule<Cosine> && Schedule<WarmUp<Cosine>>);
static_assert(Schedule<std::function<double(std::uint64_t)>>);
static_assert(!Schedule<double>);

TEST_CASE("update rules: a stranger's rule in our Optimizer", "[concepts]") {
  const auto p = Variable<float>::parameter(Tensor<float>{{2}, std::vector<float>{1, 2}});
  Optimizer optimizer{stranger::rules::SignDescent{}, NamedParameters<float>{{"p", p}}};
  p.add_gradient(Tensor<float>{{2}, std::vector<float>{3, -4}});
  optimizer.step();
  CHECK(p.value()[0] == 0.75f);
  CHECK(p.value()[1] == 2.25f);
}

}  // namespace splitvit::optim
