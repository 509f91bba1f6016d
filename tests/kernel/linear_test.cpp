// SPDX-License-Identifier: MIT
#include <vector>

#include <splitvit/kernel/linear.hpp>

#include "kernel/grid.hpp"
#include "support/catch.hpp"

namespace splitvit::kernel {
namespace {

using test::apart;
using test::Grid;
using test::plain_product;
using test::product_tolerance;

struct LayerSizes {
  Index M, K, N;
};

template <class Stored>
void check(const LayerSizes& s, Rng& rng) {
  using T = test::NumberOf<Stored>;
  INFO("M " << s.M << ", K " << s.K << ", N " << s.N);
  const Grid<T, Stored> x{s.M, s.K, 3, rng}, w{s.N, s.K, 1, rng}, dy{s.M, s.N, 2, rng};
  const std::vector<T> bias = test::drawn_vector<T>(s.N, rng);
  std::vector<double> biases;
  for (Index i = 0; i < s.M; ++i) biases.insert(biases.end(), bias.begin(), bias.end());

  Grid<T, Stored> y{s.M, s.N, 4, rng}, dx{s.M, s.K, 2, rng}, dw{s.N, s.K, 0, rng};
  const Factor<T> turned = transposed(w.matrix());
  linear_forward<T, Stored>(x.matrix(), w.matrix(), bias.data(), y.matrix());
  CHECK(apart(y.packed(), plain_product<T>(x.matrix(), turned, biases)) <=
        product_tolerance<T>(s.K));
  linear_forward<T, Stored>(x.matrix(), w.matrix(), nullptr, y.matrix());
  CHECK(apart(y.packed(), plain_product<T>(x.matrix(), turned)) <= product_tolerance<T>(s.K));
  linear_input_gradient<T, Stored>(dy.matrix(), w.matrix(), dx.matrix());
  CHECK(apart(dx.packed(), plain_product<T>(dy.matrix(), w.matrix())) <= product_tolerance<T>(s.N));
  linear_weight_gradient<T, Stored>(dy.matrix(), x.matrix(), dw.matrix());
  CHECK(apart(dw.packed(), plain_product<T>(transposed(dy.matrix()), x.matrix())) <=
        product_tolerance<T>(s.M));
  CHECK(y.gaps_untouched());
  CHECK(dx.gaps_untouched());
}

}  // namespace

TEMPLATE_TEST_CASE("linear: equals three plain loops, both directions", "[kernel][linear]", float,
                   double, BrainPair) {
  Rng rng{.seed = 9};
  for (const Index n : {0, 1, 2, 3, 5, 12, 13, 17, 31, 33, 65, 197}) {
    check<TestType>({n, 5, 7}, rng);
    check<TestType>({5, n, 7}, rng);
    check<TestType>({7, 5, n}, rng);
  }
  // Where one thread's rows, and where the parts of a weight's gradient end.
  for (const Index M : {95, 96, 97, 511, 512, 513, 2047, 2048, 2051})
    check<TestType>({M, 3, 5}, rng);
  check<TestType>({520, 2, 100}, rng);
  check<TestType>({2050, 1, 390}, rng);
}

TEMPLATE_TEST_CASE("linear: sums of columns are added to what is there", "[kernel][linear]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 10};
  for (const Index M : {0, 1, 2, 255, 256, 257, 1000}) {
    const Grid<T> x{M, 13, 2, rng};
    std::vector<T> out = test::drawn_vector<T>(13, rng);
    std::vector<double> wanted(out.begin(), out.end());
    const auto values = x.packed();
    for (std::size_t i = 0; i < values.size(); ++i)
      wanted[i % 13] += static_cast<double>(values[i]);
    add_column_sums<T>(x.matrix(), out.data());
    CHECK(apart(out, wanted) <= product_tolerance<T>(M));
  }
}

TEMPLATE_TEST_CASE("linear: the same bits for any number of threads", "[kernel][linear]", float,
                   double, BrainPair) {
  using T = test::NumberOf<TestType>;
  using Stored = TestType;
  Rng rng{.seed = 11};
  for (const LayerSizes& s : {LayerSizes{300, 31, 101}, LayerSizes{2100, 5, 33}}) {
    const Grid<T, Stored> x{s.M, s.K, 0, rng}, w{s.N, s.K, 0, rng}, dy{s.M, s.N, 0, rng};
    const auto run = [&](int threads) {
      std::vector<T> y(test::at(s.M * s.N)), dx(test::at(s.M * s.K)), dw(test::at(s.N * s.K)),
          sums(test::at(s.N));
      with_threads(threads, [&] {
        linear_forward<T, Stored>(x.matrix(), w.matrix(), sums.data(), {y.data(), s.M, s.N, s.N});
        linear_input_gradient<T, Stored>(dy.matrix(), w.matrix(), {dx.data(), s.M, s.K, s.K});
        linear_weight_gradient<T, Stored>(dy.matrix(), x.matrix(), {dw.data(), s.N, s.K, s.K});
        add_column_sums<T>(dy.matrix(), sums.data());
      });
      for (const auto* part : {&dx, &dw, &sums}) y.insert(y.end(), part->begin(), part->end());
      return y;
    };
    const auto once = run(1);
    for (const int threads : {2, 3, 8}) CHECK(test::equal_bits(run(threads), once));
  }
}

}  // namespace splitvit::kernel
