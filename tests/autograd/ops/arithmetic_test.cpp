// SPDX-License-Identifier: MIT
#include <splitvit/autograd/ops/arithmetic.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

namespace splitvit {

using test::drawn;
using test::equal_bits;
using test::probe;
using test::tensor;

TEMPLATE_TEST_CASE("arithmetic: known values and gradients", "[autograd]", float, double) {
  using T = TestType;
  const auto a = Variable<T>::parameter(tensor<T>({3}, {1, -2, 4}));
  const auto b = Variable<T>::parameter(tensor<T>({3}, {3, 5, 0.5}));
  const auto dy = tensor<T>({3}, {1, 10, 100});
  const auto check = [&](const Variable<T>& y, const Tensor<T>& value, const Tensor<T>& da,
                         const Tensor<T>& db) {
    CHECK(equal_bits(y.value(), value));
    backward(y, dy);
    CHECK(equal_bits(a.gradient(), da));
    CHECK(equal_bits(b.gradient(), db));
    a.clear_gradient();
    b.clear_gradient();
  };
  check(add(a, b), tensor<T>({3}, {4, 3, 4.5}), dy, dy);
  check(sub(a, b), tensor<T>({3}, {-2, -7, 3.5}), dy, tensor<T>({3}, {-1, -10, -100}));
  check(mul(a, b), tensor<T>({3}, {3, -10, 2}), tensor<T>({3}, {3, 50, 50}),
        tensor<T>({3}, {1, -20, 400}));
  check(scale(a, T{-2}), tensor<T>({3}, {-2, 4, -8}), tensor<T>({3}, {-2, -20, -200}), Tensor<T>{});
  check(square(a), tensor<T>({3}, {1, 4, 16}), tensor<T>({3}, {2, -40, 800}), Tensor<T>{});
  check(sub(b, b), tensor<T>({3}, {0, 0, 0}), Tensor<T>{}, tensor<T>({3}, {0, 0, 0}));
}

TEST_CASE("arithmetic: gradients agree with finite differences", "[autograd]") {
  Rng rng{.seed = 4};
  const auto x = drawn<double>({2, 3}, rng);
  const Variable<double> other{drawn<double>({2, 3}, rng)};
  CHECK(gradcheck([&](const auto& v) { return probe(add(v, other)); }, x));
  CHECK(gradcheck([&](const auto& v) { return probe(add(other, v)); }, x));
  CHECK(gradcheck([&](const auto& v) { return probe(sub(v, other)); }, x));
  CHECK(gradcheck([&](const auto& v) { return probe(sub(other, v)); }, x));
  CHECK(gradcheck([&](const auto& v) { return probe(mul(v, other)); }, x));
  CHECK(gradcheck([&](const auto& v) { return probe(mul(other, v)); }, x));
  CHECK(gradcheck([&](const auto& v) { return probe(mul(add(v, v), sub(other, v))); }, x));
  CHECK(gradcheck([&](const auto& v) { return probe(scale(v, -1.5)); }, x));
  CHECK(gradcheck([&](const auto& v) { return probe(square(v)); }, x));
}

TEST_CASE("arithmetic: shapes must be equal", "[autograd]") {
  const auto a = Variable<float>::parameter(Tensor<float>{{2, 3}});
  const Variable<float> b{Tensor<float>{{3, 2}}};
  CHECK(test::text_of<ShapeError>([&] { add(a, b); }) ==
        "add: (2, 3) and (3, 2): both shapes must be equal");
  CHECK(test::text_of<ShapeError>([&] { sub(a, b); }) ==
        "sub: (2, 3) and (3, 2): both shapes must be equal");
  CHECK(test::text_of<ShapeError>([&] { mul(a, b); }) ==
        "mul: (2, 3) and (3, 2): both shapes must be equal");
}

}  // namespace splitvit
