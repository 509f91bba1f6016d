// SPDX-License-Identifier: MIT
#include <memory>
#include <stdexcept>
#include <vector>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/arithmetic.hpp>
#include <splitvit/autograd/ops/sum.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit {

using test::equal_bits;
using test::tensor;
using test::text_of;

TEST_CASE("backward: of a small expression, by hand", "[autograd][backward]") {
  const auto a = Variable<double>::parameter(tensor<double>({2}, {2, 3}));
  const auto b = Variable<double>::parameter(tensor<double>({2}, {5, 7}));
  const auto c = mul(a, b);
  const auto y = add(mul(c, a), scale(b, 10.0));  // a^2 b + 10 b
  backward(y, tensor<double>({2}, {1, 100}));
  CHECK(equal_bits(a.gradient(), tensor<double>({2}, {20, 4200})));  // 2 a b
  CHECK(equal_bits(b.gradient(), tensor<double>({2}, {14, 1900})));  // a^2 + 10
}

TEST_CASE("backward: a value used by many gets the sum of their shares", "[autograd][backward]") {
  const auto x = Variable<float>::parameter(tensor<float>({1}, {1}));
  auto y = x;
  for (int i = 0; i < 5; ++i) y = add(y, y);  // a walk of every path would take 2^5 steps
  backward(add(y, x));
  CHECK(x.gradient()[0] == 33);
}

TEST_CASE("backward: constants and frozen leaves get nothing", "[autograd][backward]") {
  const auto x = Variable<float>::parameter(tensor<float>({1}, {2}));
  const Variable<float> constant{tensor<float>({1}, {3})};
  const auto frozen = Variable<float>::parameter(tensor<float>({1}, {4}));
  frozen.set_requires_grad(false);
  backward(mul(mul(x, constant), frozen));
  CHECK(x.gradient()[0] == 12);
  CHECK(!constant.has_gradient());
  CHECK(!frozen.has_gradient());
}

TEST_CASE("backward: a second one adds", "[autograd][backward]") {
  const auto x = Variable<float>::parameter(tensor<float>({2}, {2, 3}));
  backward(sum(square(x)));
  backward(sum(square(x)));
  CHECK(equal_bits(x.gradient(), tensor<float>({2}, {8, 12})));
  backward(x, tensor<float>({2}, {1, 1}));  // of a leaf itself
  CHECK(equal_bits(x.gradient(), tensor<float>({2}, {9, 13})));
}

TEST_CASE("backward: frees the graph and leaves the result's value", "[autograd][backward]") {
  const auto x = Variable<float>::parameter(tensor<float>({1}, {2}));
  std::vector<std::weak_ptr<detail::Node<float>>> inner;
  Variable<float> result;
  {
    const auto a = square(x), b = scale(a, 3.0f), c = add(a, b);
    for (const auto& v : {a, b, c}) inner.push_back(v.node());
    result = sum(c);
  }
  for (const auto& node : inner) CHECK(!node.expired());
  backward(result);
  for (const auto& node : inner) CHECK(node.expired());
  CHECK(result.value()[0] == 16);
  CHECK(!result.requires_grad());
  CHECK(x.gradient()[0] == 16);
  CHECK(x.node().use_count() == 1);
}

TEST_CASE("backward: frees each value as soon as it is used up", "[autograd][backward]") {
  // While the first operation of the chain works, those after it are gone.
  const auto x = Variable<float>::parameter(tensor<float>({1}, {2}));
  std::weak_ptr<detail::Node<float>> later;
  bool gone = false;
  Variable<float> result;
  {
    const auto first = record(x.value(), {x}, [&, x](const Tensor<float>&, Tensor<float> dy) {
      gone = later.expired();
      x.add_gradient(std::move(dy));
    });
    const auto second = scale(scale(first, 2.0f), 3.0f);
    later = second.node();
    result = sum(second);
  }
  CHECK(!later.expired());
  backward(result);
  CHECK(gone);
  CHECK(x.gradient()[0] == 6);
}

TEST_CASE("backward: a deep graph does not overflow the stack", "[autograd][backward]") {
  const auto x = Variable<float>::parameter(tensor<float>({1}, {1}));
  const auto one = Variable<float>::parameter(tensor<float>({1}, {1}));
  Variable<float> y = x;
  for (int i = 0; i < 100'000; ++i) y = add(y, one);
  backward(y);
  CHECK(x.gradient()[0] == 1);
  CHECK(one.gradient()[0] == 100'000);
}

TEST_CASE("backward: an input without a share passes nothing on", "[autograd][backward]") {
  const auto x = Variable<float>::parameter(tensor<float>({2}, {1, 2}));
  const auto ignored = square(x);
  const auto y = record(x.value(), {x, ignored}, [x](const Tensor<float>&, Tensor<float> dy) {
    x.add_gradient(std::move(dy));
  });
  backward(sum(y));
  CHECK(equal_bits(x.gradient(), tensor<float>({2}, {1, 1})));
}

TEST_CASE("backward: of an empty result", "[autograd][backward]") {
  const auto x = Variable<float>::parameter(Tensor<float>{{0, 3}});
  backward(sum(square(x)));
  CHECK(x.gradient().shape() == Shape{0, 3});
}

TEST_CASE("backward: misuse", "[autograd][backward]") {
  const auto x = Variable<float>::parameter(tensor<float>({2}, {1, 2}));
  CHECK(text_of<ShapeError>([&] { backward(square(x)); }) ==
        "backward: a loss has one element, not shape (2); give a gradient");
  CHECK(text_of<ShapeError>([&] { backward(square(x), Tensor<float>{{3}}); }) ==
        "add_gradient: a gradient (3) for a value (2)");
  CHECK(!x.has_gradient());
  const std::string independent =
      "backward: the result does not depend on anything that needs a gradient";
  const Variable<float> constant{Tensor<float>{{1}}};
  CHECK(text_of<std::invalid_argument>([&] { backward(sum(constant)); }) == independent);
  CHECK(text_of<std::invalid_argument>([&] { backward(Variable<float>{}, Tensor<float>{}); }) ==
        independent);
  const auto loss = sum(square(x));
  backward(loss);
  CHECK(text_of<std::invalid_argument>([&] { backward(loss); }) == independent);
}

TEST_CASE("backward: two results of one graph must go together", "[autograd][backward]") {
  const auto x = Variable<float>::parameter(tensor<float>({1}, {3}));
  const auto common = square(x);
  const auto first = scale(common, 2.0f), second = scale(common, 5.0f);
  backward(first);
  CHECK(x.gradient()[0] == 12);
  CHECK_THROWS_WITH(backward(second), ContainsSubstring("an earlier call has used up"));
  CHECK(x.gradient()[0] == 12);
  // What is recorded after backward() takes such a value as data.
  backward(mul(common, x));
  CHECK(x.gradient()[0] == 21);
}

TEST_CASE("backward: an operation that throws leaves a graph that can be let go",
          "[autograd][backward]") {
  const auto x = Variable<float>::parameter(tensor<float>({1}, {1}));
  auto y = record(x.value(), {x}, [](const Tensor<float>&, const Tensor<float>&) {
    throw std::runtime_error("not today");
  });
  const std::weak_ptr<detail::Node<float>> watch = y.node();
  for (int i = 0; i < 10'000; ++i) y = scale(y, 1.0f);
  CHECK_THROWS_WITH(backward(y), ContainsSubstring("not today"));
  y = {};
  CHECK(watch.expired());
}

}  // namespace splitvit
