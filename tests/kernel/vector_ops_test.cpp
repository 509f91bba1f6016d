// SPDX-License-Identifier: MIT
#include <splitvit/kernel/vector_ops.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {

TEMPLATE_TEST_CASE("numbers: agree with plain loops, for whole packs and the rest", "[kernel]",
                   float, double) {
  using T = TestType;
  Rng rng{.seed = 4};
  for (const Index n : {0, 1, 7, 16, 33, 64, 101}) {
    CAPTURE(n);
    const auto a = test::drawn<T>({n}, rng), b = test::drawn<T>({n}, rng);
    double product = 0;
    for (Index i = 0; i < n; ++i) product += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    CHECK(static_cast<double>(dot(a.data(), b.data(), n)) == Approx(product).margin(1e-4));

    Tensor<T> scaled{{n}}, sum{{n}, a.span()}, weighted{{n}, a.span()};
    scale_numbers(a.data(), T{3}, scaled.data(), n);
    add_numbers(sum.data(), b.data(), n);
    add_scaled(weighted.data(), b.data(), T{0.5}, n);
    for (Index i = 0; i < n; ++i) {
      CHECK(scaled[i] == a[i] * T{3});
      CHECK(sum[i] == a[i] + b[i]);
      CHECK(static_cast<double>(weighted[i]) ==
            Approx(static_cast<double>(a[i] + b[i] / T{2})).margin(1e-6));
    }
  }
}

}  // namespace splitvit::kernel
