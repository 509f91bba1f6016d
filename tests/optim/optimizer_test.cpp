// SPDX-License-Identifier: MIT

#include <string>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/arithmetic.hpp>
#include <splitvit/autograd/ops/sum.hpp>
#include <splitvit/core/state.hpp>
#include <splitvit/optim/adam.hpp>
#include <splitvit/optim/optimizer.hpp>
#include <splitvit/optim/sgd.hpp>

#include "support/catch.hpp"
#include "support/random_batch.hpp"

namespace splitvit::optim {
namespace {

Variable<float> leaf(std::vector<float> values) {
  return Variable<float>::parameter(
      Tensor<float>{{static_cast<Index>(values.size())}, std::span<const float>{values}});
}

std::vector<std::string> state_names(Optimizer<float>& optimizer) {
  std::vector<std::string> names;
  optimizer.each_state([&](const std::string& name, auto&&) { names.push_back(name); });
  return names;
}

}  // namespace

TEST_CASE("Optimizer: parameters without gradient are left alone", "[optim]") {
  const auto a = leaf({1, 2}), b = leaf({3});
  Optimizer optimizer{Adam{.lr = 0.5}, NamedParameters<float>{{"a", a}, {"b", b}}};
  a.add_gradient(Tensor<float>{{2}, std::vector<float>{1, -1}});
  optimizer.step();
  CHECK(a.value()[0] == Approx(0.5f));
  CHECK(b.value()[0] == 3.0f);
  CHECK(optimizer.updates()[0] == 1);
  CHECK(optimizer.updates()[1] == 0);
  // Its first update counts as its first, not as the second of all: a full step of lr.
  optimizer.clear_gradients();
  CHECK(!a.has_gradient());
  b.add_gradient(Tensor<float>{{1}, std::vector<float>{7}});
  optimizer.step();
  CHECK(b.value()[0] == Approx(2.5f));
  CHECK(a.value()[0] == Approx(0.5f));
}

TEST_CASE("Optimizer: finds a minimum", "[optim]") {
  Rng rng{.seed = 1};
  const auto target = test::drawn<float>({20}, rng);
  const auto distance_after = [&](auto rule) {
    const auto x = Variable<float>::parameter(Tensor<float>{{20}});
    Optimizer optimizer{rule, NamedParameters<float>{{"x", x}}};
    double last = 0.0;
    for (int step = 0; step < 400; ++step) {
      const auto loss = sum(square(sub(x, Variable<float>{target})));
      last = static_cast<double>(loss.value()[0]);
      backward(loss);
      optimizer.step();
      optimizer.clear_gradients();
    }
    return last;
  };
  CHECK(distance_after(Sgd{.lr = 0.1}) < 1e-6);
  CHECK(distance_after(Sgd{.lr = 0.02, .momentum = 0.9}) < 1e-6);
  CHECK(distance_after(Sgd{.lr = 0.02, .momentum = 0.9, .nesterov = true}) < 1e-6);
  CHECK(distance_after(Adam{.lr = 0.05}) < 1e-4);
  CHECK(distance_after(AdamW{.lr = 0.05, .weight_decay = 0.0}) < 1e-4);
}

TEST_CASE("Optimizer: its state has names", "[optim]") {
  const NamedParameters<float> parameters{{"head.weight", leaf({1, 2})}, {"head.bias", leaf({3})}};
  Optimizer adam{Adam{}, parameters};
  CHECK(state_names(adam) == std::vector<std::string>{"learning_rate", "updates.head.weight",
                                                      "m.head.weight", "v.head.weight",
                                                      "updates.head.bias", "m.head.bias",
                                                      "v.head.bias"});
  Optimizer momentum{Sgd{.momentum = 0.9}, parameters};
  CHECK(state_names(momentum) ==
        std::vector<std::string>{"learning_rate", "updates.head.weight", "momentum.head.weight",
                                 "updates.head.bias", "momentum.head.bias"});
  Optimizer plain{Sgd{}, parameters};
  CHECK(state_names(plain) ==
        std::vector<std::string>{"learning_rate", "updates.head.weight", "updates.head.bias"});
}

TEMPLATE_TEST_CASE("Optimizer: stored and restored it goes on bit for bit", "[optim]", Adam, AdamW,
                   Sgd) {
  Rng rng{.seed = 2};
  TestType rule{};
  if constexpr (std::same_as<TestType, Sgd>) rule.momentum = 0.9;
  std::vector<Tensor<float>> gradients;
  for (int step = 0; step < 6; ++step) gradients.push_back(test::drawn<float>({33}, rng));
  const auto start = test::drawn<float>({33}, rng);
  const auto run = [&](auto& optimizer, const Variable<float>& x, std::size_t from,
                       std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      x.add_gradient(gradients[i]);
      optimizer.step();
      optimizer.clear_gradients();
    }
  };
  const auto whole = Variable<float>::parameter(start);
  Optimizer first{rule, NamedParameters<float>{{"x", whole}}};
  run(first, whole, 0, 6);

  const auto part = Variable<float>::parameter(start);
  Optimizer second{rule, NamedParameters<float>{{"x", part}}};
  run(second, part, 0, 3);
  second.set_learning_rate(rule.lr / 2);

  const auto rest = Variable<float>::parameter(part.value());
  Optimizer third{rule, NamedParameters<float>{{"x", rest}}};
  set_state_bytes(third, state_bytes(second));
  CHECK(third.learning_rate() == rule.lr / 2);
  CHECK(third.updates()[0] == 3);
  CHECK(state_bytes(third) == state_bytes(second));
  third.set_learning_rate(rule.lr);
  run(third, rest, 3, 6);
  CHECK(test::equal_bits(rest.value(), whole.value()));
}

TEST_CASE("Optimizer: state of other parameters is refused", "[optim]") {
  const auto of = [](const char* name, std::vector<float> values) {
    return Optimizer{Adam{}, NamedParameters<float>{{name, leaf(std::move(values))}}};
  };
  auto one = of("a", {1}), named = of("b", {1}), longer = of("a", {1, 2});
  CHECK_THROWS_WITH(set_state_bytes(named, state_bytes(one)), ContainsSubstring("updates.a"));
  CHECK_THROWS_WITH(set_state_bytes(longer, state_bytes(one)),
                    ContainsSubstring("'m.a', wanted 2"));
}

TEST_CASE("Optimizer: the learning rate can be set", "[optim]") {
  const auto x = leaf({1});
  Optimizer optimizer{Sgd{.lr = 0.5}, NamedParameters<float>{{"x", x}}};
  CHECK(optimizer.learning_rate() == 0.5);
  optimizer.set_learning_rate(0.25);
  CHECK(optimizer.learning_rate() == 0.25);
  x.add_gradient(Tensor<float>{{1}, std::vector<float>{1}});
  optimizer.step();
  CHECK(x.value()[0] == 0.75f);
}

TEMPLATE_TEST_CASE("Optimizer: the same bits for any number of threads", "[optim]", float, double) {
  using T = TestType;
  Rng rng{.seed = 3};
  const auto start = test::drawn<T>({70001}, rng);
  const auto gradient = test::drawn<T>({70001}, rng);
  const auto run = [&](auto rule, int threads) {
    return with_threads(threads, [&] {
      const auto x = Variable<T>::parameter(start);
      Optimizer optimizer{rule, NamedParameters<T>{{"x", x}}};
      x.add_gradient(gradient);
      for (int step = 0; step < 3; ++step) optimizer.step();
      return x.value();
    });
  };
  for (const int threads : {2, 3, 8}) {
    CHECK(test::equal_bits(run(Adam{.weight_decay = 0.1}, threads),
                           run(Adam{.weight_decay = 0.1}, 1)));
    CHECK(test::equal_bits(run(Sgd{.momentum = 0.9}, threads), run(Sgd{.momentum = 0.9}, 1)));
  }
}

TEST_CASE("Optimizer: misuse", "[optim]") {
  const auto x = leaf({1});
  const auto make = [&](auto rule) { Optimizer{rule, NamedParameters<float>{{"x", x}}}; };
  CHECK_THROWS_AS(make(Adam{.lr = -1.0}), std::invalid_argument);
  CHECK_THROWS_AS(make(Adam{.beta1 = 1.0}), std::invalid_argument);
  CHECK_THROWS_AS(make(Adam{.beta2 = -0.1}), std::invalid_argument);
  CHECK_THROWS_AS(make(AdamW{.eps = -1e-9}), std::invalid_argument);
  CHECK_THROWS_AS(make(AdamW{.weight_decay = -1.0}), std::invalid_argument);
  CHECK_THROWS_WITH(make(Sgd{.momentum = -0.5}), ContainsSubstring("Sgd: momentum is -0.5"));
  CHECK_THROWS_WITH(make(Sgd{.nesterov = true}), ContainsSubstring("momentum is 0"));
  CHECK_THROWS_WITH((Optimizer{Sgd{}, NamedParameters<float>{{"x", x}, {"x", leaf({2})}}}),
                    ContainsSubstring("two parameters are called x"));
  CHECK_THROWS_AS((Optimizer{Sgd{}, NamedParameters<float>{{"x", Variable<float>{}}}}),
                  std::invalid_argument);
}

}  // namespace splitvit::optim
