// SPDX-License-Identifier: MIT
#include <string>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/arithmetic.hpp>
#include <splitvit/autograd/ops/sum.hpp>
#include <splitvit/nn/block.hpp>
#include <splitvit/nn/concepts.hpp>

#include "nn/models.hpp"
#include "support/catch.hpp"

// A module as a user writes it: in another namespace, with nothing but the headers.
namespace stranger {
namespace {

/// y = factor x, element by element.
template <class T>
struct Scaled {
  splitvit::Variable<T> factor;

  splitvit::Variable<T> operator()(const splitvit::Variable<T>& x) const { return mul(factor, x); }
  void each_parameter(auto&& see) const { see("factor", factor); }
};

template <class T>
struct Pair {
  Scaled<T> inner;
  splitvit::nn::Linear<T> linear;

  splitvit::Variable<T> operator()(const splitvit::Variable<T>& x) const {
    return linear(inner(x));
  }
  void each_parameter(auto&& see) const {
    splitvit::nn::nested("inner.", inner, see);
    splitvit::nn::nested("linear.", linear, see);
  }
};

}  // namespace
}  // namespace stranger

namespace splitvit::nn {
namespace {

stranger::Pair<double> make_pair() {
  Rng rng{.seed = 1};
  stranger::Pair<double> pair{{Variable<double>::parameter(Tensor<double>{{2, 3}})}, {3, 4}};
  test::draw_parameters<double>(pair, rng);
  return pair;
}

}  // namespace

TEST_CASE("Module: names, order and count of a user's module", "[nn][module]") {
  const auto pair = make_pair();
  CHECK(test::names_of<double>(pair) ==
        std::vector<std::string>{"inner.factor", "linear.weight", "linear.bias"});
  CHECK(parameter_count<double>(pair) == 6 + 12 + 4);
  const auto all = parameters<double>(pair);
  CHECK(all[0].second.node() == pair.inner.factor.node());
  CHECK(all[2].second.node() == pair.linear.bias.node());
}

TEST_CASE("Module: a user's module learns", "[nn][module]") {
  const auto pair = make_pair();
  Rng rng{.seed = 2};
  const Variable<double> x{test::drawn<double>({2, 3}, rng)};
  const auto loss = [&] { return sum(square(pair(x))); };
  const double before = loss().value()[0];
  backward(loss());
  for (const auto& [name, parameter] : parameters<double>(pair))
    add_to(parameter.mutable_value(), scale(parameter.gradient(), -1e-3));
  CHECK(loss().value()[0] < before);
}

TEST_CASE("Module: a copy shares its parameters", "[nn][module]") {
  const auto pair = make_pair();
  const auto copy = pair;
  copy.linear.bias.mutable_value()[0] = 42;
  CHECK(pair.linear.bias.value()[0] == 42);
}

}  // namespace splitvit::nn
