// SPDX-License-Identifier: MIT
#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <splitvit/core/state.hpp>
#include <splitvit/optim/adam.hpp>
#include <splitvit/optim/optimizer.hpp>
#include <splitvit/optim/sgd.hpp>

#include "support/catch.hpp"
#include "support/random_batch.hpp"

// A rule as a stranger writes it: in another namespace, with nothing but the concept. It lists
// its state in an array of its own, and refuses what it does not like.
namespace stranger::optim {

struct Average {
  float lr = 0.25f;

  std::array<std::string_view, 1> state_names() const { return {"mean"}; }

  template <class T>
  void update(std::uint64_t step, double rate, std::span<T> p, std::span<const T> g,
              std::span<const std::span<T>> state) const {
    if (step > 2) throw std::logic_error("Average: twice is enough");
    for (std::size_t i = 0; i < p.size(); ++i) {
      state[0][i] = (state[0][i] + g[i]) / 2;
      p[i] -= static_cast<T>(rate) * state[0][i];
    }
  }
};

}  // namespace stranger::optim

namespace splitvit::optim {

static_assert(UpdateRule<AnyRule<float>, float> && UpdateRule<AnyRule<double>, double>);
static_assert(!UpdateRule<AnyRule<float>, double>);
static_assert(
    std::is_same_v<decltype(Optimizer{Adam{}, NamedParameters<float>{}}), Optimizer<float>>);
static_assert(
    std::is_same_v<decltype(Optimizer{AnyRule<double>{Adam{}}, NamedParameters<double>{}}),
                   Optimizer<double>>);
static_assert(!std::is_constructible_v<Optimizer<float>, int, NamedParameters<float>>);

TEMPLATE_TEST_CASE("AnyRule: does what the rule within does", "[optim]", float, double) {
  using T = TestType;
  const auto same = [](const auto& rule) {
    Rng rng{.seed = 4};
    auto p = test::drawn<T>({50}, rng);
    auto q = p;
    const AnyRule<T> made{rule}, any = made;
    CHECK(any.lr == rule.lr);
    const std::span<const std::string_view> names = rule.state_names();
    CHECK(std::ranges::equal(any.state_names(), names));
    std::vector<Tensor<T>> first(names.size(), Tensor<T>{{50}}), second = first;
    for (std::uint64_t step = 1; step <= 3; ++step) {
      const auto g = test::drawn<T>({50}, rng);
      const auto update = [&](const auto& with, Tensor<T>& values, std::vector<Tensor<T>>& kept) {
        std::vector<std::span<T>> state;
        for (auto& tensor : kept) state.push_back(tensor.span());
        with.update(step, 0.125, values.span(), g.span(), std::span<const std::span<T>>{state});
      };
      update(rule, p, first);
      update(any, q, second);
      CHECK(test::equal_bits(p, q));
    }
    for (std::size_t i = 0; i < first.size(); ++i) CHECK(test::equal_bits(first[i], second[i]));
  };
  same(Adam{.lr = 0.5, .weight_decay = 0.1});
  same(AdamW{});
  same(Sgd{});
  same(Sgd{.momentum = 0.9, .nesterov = true});
}

TEST_CASE("AnyRule: one variable can hold different rules", "[optim]") {
  AnyRule<float> rule = Sgd{.lr = 0.5};
  CHECK(rule.state_names().empty());
  const AnyRule<float> copy = rule;
  rule = Adam{.lr = 0.25};
  CHECK(rule.lr == 0.25);
  CHECK(rule.state_names().size() == 2);
  CHECK(copy.lr == 0.5);
  CHECK(copy.state_names().empty());
}

TEST_CASE("AnyRule: a stranger's rule, whose errors pass through", "[optim]") {
  const auto p = Variable<float>::parameter(Tensor<float>{{1}, std::vector<float>{1}});
  Optimizer optimizer{AnyRule<float>{stranger::optim::Average{}}, NamedParameters<float>{{"p", p}}};
  std::vector<std::string> names;
  optimizer.each_state([&](const std::string& name, auto&&) { names.push_back(name); });
  CHECK(names == std::vector<std::string>{"learning_rate", "updates.p", "mean.p"});
  CHECK(optimizer.learning_rate() == 0.25);
  p.add_gradient(Tensor<float>{{1}, std::vector<float>{2}});
  optimizer.step();
  CHECK(p.value()[0] == 0.75f);
  optimizer.step();
  CHECK_THROWS_WITH(optimizer.step(), ContainsSubstring("twice is enough"));
}

TEST_CASE("AnyRule: options are checked by the rule within", "[optim]") {
  CHECK_THROWS_WITH(AnyRule<float>{Adam{.beta1 = 2}}.require_options(),
                    ContainsSubstring("Adam: beta1"));
  AnyRule<float>{stranger::optim::Average{}}.require_options();  // it has nothing to check
  CHECK_THROWS_AS((Optimizer{AnyRule<float>{Sgd{.lr = -1}}, NamedParameters<float>{}}),
                  std::invalid_argument);
}

TEST_CASE("Optimizer: a copy has its own state", "[optim]") {
  const auto p = Variable<float>::parameter(Tensor<float>{{1}, std::vector<float>{1}});
  Optimizer optimizer{Adam{}, NamedParameters<float>{{"p", p}}};
  Optimizer copy = optimizer;
  const auto before = state_bytes(copy);
  p.add_gradient(Tensor<float>{{1}, std::vector<float>{2}});
  optimizer.step();
  CHECK(state_bytes(copy) == before);
  CHECK(state_bytes(optimizer) != before);
}

}  // namespace splitvit::optim
