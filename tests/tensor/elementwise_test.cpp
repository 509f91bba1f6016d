// SPDX-License-Identifier: MIT
#include <splitvit/core/parallel.hpp>
#include <splitvit/tensor/elementwise.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit {

using test::tensor;

TEMPLATE_TEST_CASE("elementwise: known values", "[tensor][elementwise]", float, double) {
  using T = TestType;
  const auto a = tensor<T>({2, 2}, {1, -2, 3, 0.5});
  const auto b = tensor<T>({2, 2}, {4, 5, -6, 2});
  CHECK(test::equal_bits(add(a, b), tensor<T>({2, 2}, {5, 3, -3, 2.5})));
  CHECK(test::equal_bits(sub(a, b), tensor<T>({2, 2}, {-3, -7, 9, -1.5})));
  CHECK(test::equal_bits(mul(a, b), tensor<T>({2, 2}, {4, -10, -18, 1})));
  CHECK(test::equal_bits(scale(a, T{-2}), tensor<T>({2, 2}, {-2, 4, -6, -1})));
  Tensor<T> sum = a;
  add_to(sum, b);
  CHECK(test::equal_bits(sum, add(a, b)));
  add_to(sum, sum);
  CHECK(test::equal_bits(sum, scale(add(a, b), T{2})));
}

TEST_CASE("elementwise: tensors of any size, on any number of threads", "[tensor][elementwise]") {
  Rng rng{.seed = 1};
  for (const Index n : {Index{0}, Index{1}, Index{17}, detail::elementwise_grain - 1,
                        detail::elementwise_grain + 1, 3 * detail::elementwise_grain + 5}) {
    Tensor<float> a{Shape{n}}, b{Shape{n}}, plain{Shape{n}};
    for (Index i = 0; i < n; ++i) {  // small whole numbers, with which nothing is rounded
      a[i] = static_cast<float>(rng.below(99));
      b[i] = static_cast<float>(rng.below(99));
    }
    for (Index i = 0; i < n; ++i) plain[i] = (a[i] + b[i]) * a[i] - 3.0f * b[i];
    for (const int threads : {1, 2, 3, 8}) {
      const auto ours =
          with_threads(threads, [&] { return sub(mul(add(a, b), a), scale(b, 3.0f)); });
      CHECK(test::equal_bits(ours, plain));
      auto sum = a;
      with_threads(threads, [&] { add_to(sum, b); });
      CHECK(test::equal_bits(sum, add(a, b)));
    }
  }
}

TEST_CASE("elementwise: shapes must be equal", "[tensor][elementwise]") {
  Tensor<float> a{{2, 3}};
  const Tensor<float> b{{3, 2}}, c{{1, 2, 3}};
  CHECK(test::text_of<ShapeError>([&] { add(a, b); }) ==
        "add: (2, 3) and (3, 2): both shapes must be equal");
  CHECK(test::text_of<ShapeError>([&] { sub(a, c); }) ==
        "sub: (2, 3) and (1, 2, 3): both shapes must be equal");
  CHECK(test::text_of<ShapeError>([&] { mul(a, Tensor<float>{}); }) ==
        "mul: (2, 3) and (0): both shapes must be equal");
  CHECK(test::text_of<ShapeError>([&] { add_to(a, b); }) ==
        "add_to: (2, 3) and (3, 2): both shapes must be equal");
}

}  // namespace splitvit
