// SPDX-License-Identifier: MIT
#include <vector>

#include <Eigen/Core>

#include <splitvit/kernel/gemm.hpp>

#include "kernel/grid.hpp"
#include "support/catch.hpp"

namespace splitvit::kernel {
namespace {

using test::apart;
using test::at;
using test::Grid;
using test::plain_product;
using test::product_tolerance;

template <class T>
std::vector<double> doubles(const std::vector<T>& x) {
  return {x.begin(), x.end()};
}

struct Sizes {
  Index M, N, K;
};

/// Odd sizes: each extent once with small others, and a few that cross the blocks.
std::vector<Sizes> odd_sizes() {
  std::vector<Sizes> all;
  for (const Index n : {0, 1, 2, 3, 5, 12, 13, 17, 31, 33, 65, 197}) {
    all.push_back({n, 13, 5});
    all.push_back({7, n, 5});
    all.push_back({7, 13, n});
  }
  for (const Sizes& s : {Sizes{1, 1, 1}, Sizes{12, 32, 256}, Sizes{13, 33, 257}, Sizes{5, 3, 512},
                         Sizes{25, 31, 600}, Sizes{0, 0, 0}, Sizes{65, 65, 65}})
    all.push_back(s);
  return all;
}

}  // namespace

TEMPLATE_TEST_CASE("gemm: equals three plain loops for every size and layout", "[kernel][gemm]",
                   float, double) {
  using T = TestType;
  Rng rng{.seed = 5};
  Packed<T> packed;  // one memory for all, as in attention
  for (const auto& [M, N, K] : odd_sizes()) {
    INFO("M " << M << ", N " << N << ", K " << K);
    const double tolerance = product_tolerance<T>(K);
    const Grid<T> a{M, K, 3, rng}, b{K, N, 1, rng}, a_turned{K, M, 2, rng}, b_turned{N, K, 5, rng};
    const std::vector<T> bias = test::drawn_vector<T>(N, rng);
    std::vector<double> biases;
    for (Index i = 0; i < M; ++i) biases.insert(biases.end(), bias.begin(), bias.end());
    Grid<T> c{M, N, 4, rng};
    const auto old = doubles(c.packed());

    const Factor<T> left = a.matrix(), left_turned = transposed(a_turned.matrix());
    const Factor<T> right = b.matrix(), right_turned = transposed(b_turned.matrix());
    packed.pack(right);
    CHECK(packed.rows() == K);
    CHECK(packed.cols() == N);
    multiply<T>(left, packed, c.matrix(), Into::add);
    CHECK(apart(c.packed(), plain_product<T>(left, right, old)) <= tolerance);
    multiply<T>(left, packed, c.matrix(), Into::replace, bias.data());
    CHECK(apart(c.packed(), plain_product<T>(left, right, biases)) <= tolerance);
    multiply<T>(left_turned, packed, c.matrix());
    CHECK(apart(c.packed(), plain_product<T>(left_turned, right)) <= tolerance);
    packed.pack(right_turned);
    multiply<T>(left, packed, c.matrix());
    CHECK(apart(c.packed(), plain_product<T>(left, right_turned)) <= tolerance);
    multiply<T>(left_turned, packed, c.matrix());
    CHECK(apart(c.packed(), plain_product<T>(left_turned, right_turned)) <= tolerance);
    CHECK(c.gaps_untouched());
  }
}

TEMPLATE_TEST_CASE("gemm: multiply_long equals three plain loops", "[kernel][gemm]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 6};
  Packed<T> packed;
  for (const auto& [M, N, K] : odd_sizes()) {
    INFO("M " << M << ", N " << N << ", K " << K);
    const double tolerance = product_tolerance<T>(K);
    const Grid<T> a{K, M, 3, rng}, b{K, N, 1, rng};
    Grid<T> c{M, N, 2, rng};
    const auto old = doubles(c.packed());
    const Factor<T> left = transposed(a.matrix()), right = b.matrix();
    multiply_long<T>(a.matrix(), b.matrix(), c.matrix(), Into::add, packed);
    CHECK(apart(c.packed(), plain_product<T>(left, right, old)) <= tolerance);
    multiply_long<T>(a.matrix(), b.matrix(), c.matrix(), Into::replace, packed);
    CHECK(apart(c.packed(), plain_product<T>(left, right)) <= tolerance);
    CHECK(c.gaps_untouched());
  }
}

TEMPLATE_TEST_CASE("gemm: agrees with Eigen", "[kernel][gemm]", float, double) {
  using T = TestType;
  using Plain = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Rng rng{.seed = 7};
  for (const auto& [M, N, K] :
       {Sizes{197, 197, 64}, Sizes{97, 31, 300}, Sizes{33, 130, 197}, Sizes{13, 530, 260}}) {
    const Grid<T> a{M, K, 0, rng}, b{K, N, 0, rng};
    Grid<T> c{M, N, 0, rng}, long_c{M, N, 0, rng};
    const Eigen::Map<const Plain> left(a.numbers.data(), M, K), right(b.numbers.data(), K, N);
    const Plain wanted = left * right;
    const std::vector<T> theirs(wanted.data(), wanted.data() + wanted.size());
    Packed<T> packed;
    packed.pack(b.matrix());
    multiply<T>(a.matrix(), packed, c.matrix());
    CHECK(apart(c.packed(), theirs) <= product_tolerance<T>(K));
    const Plain turned = left.transpose();
    multiply_long<T>({turned.data(), K, M, M}, b.matrix(), long_c.matrix(), Into::replace, packed);
    CHECK(apart(long_c.packed(), theirs) <= product_tolerance<T>(K));
  }
}

TEMPLATE_TEST_CASE("gemm: packing on several threads gives the same panels", "[kernel][gemm]",
                   float, double) {
  using T = TestType;
  Rng rng{.seed = 8};
  for (const Index N : {1, 31, 197}) {
    const Grid<T> b{19, N, 2, rng}, a{5, 19, 0, rng};
    Grid<T> once{5, N, 0, rng};
    Packed<T> alone;
    alone.pack(b.matrix());
    multiply<T>(a.matrix(), alone, once.matrix());
    for (const int threads : {1, 2, 3, 8}) {
      Packed<T> packed;
      with_threads(threads, [&] { packed.pack_in_parallel(b.matrix()); });
      Grid<T> c{5, N, 0, rng};
      multiply<T>(a.matrix(), packed, c.matrix());
      CHECK(test::equal_bits(c.numbers, once.numbers));
    }
  }
}

}  // namespace splitvit::kernel
