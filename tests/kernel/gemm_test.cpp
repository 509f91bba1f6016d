// SPDX-License-Identifier: MIT
#include <bit>
#include <cmath>
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
                         Sizes{25, 31, 600}, Sizes{0, 0, 0}, Sizes{65, 65, 65}, Sizes{65, 65, 0}})
    all.push_back(s);
  return all;
}

/// C (M, N) = start + A B as pairs, in the documented order: by the unit for matrices 16 pairs at a
/// time from the start on; else in blocks, the first one from the bias on, the others from zero on
/// and added afterwards.
std::vector<float> product_of_pairs(const Factor<float>& a, const Factor<float>& b,
                                    const float* bias, const std::vector<float>* old) {
  std::vector<float> c(at(a.rows * b.cols));
  const auto pair = [](const Factor<float>& f, Index i, Index j, Index rows_on, Index cols_on) {
    const bool second = i + rows_on < f.rows && j + cols_on < f.cols;
    return BrainPair{brain_bits(*f.at(i, j)),
                     second ? brain_bits(*f.at(i + rows_on, j + cols_on)) : std::uint16_t{0}};
  };
  constexpr Index block = 2 * detail::depth_block;
  for (Index i = 0; i < a.rows; ++i)
    for (Index j = 0; j < b.cols; ++j) {
      float& sum = c[at(i * b.cols + j)];
      if (detail::may_use_matrix_unit()) {
        sum = bias != nullptr ? bias[j] : old != nullptr ? (*old)[at(i * b.cols + j)] : 0.0f;
        for (Index k = 0; k < a.cols; k += 32) {
          std::vector<BrainPair> left, right;
          for (Index p = k; p < std::min(k + 32, a.cols); p += 2) {
            left.push_back(pair(a, i, p, 0, 1));
            right.push_back(pair(b, p, j, 1, 0));
          }
          sum = test::add_pairs(left, right, sum);
        }
        continue;
      }
      for (Index k = 0; k < a.cols; k += block) {
        float part = k == 0 && bias != nullptr ? bias[j] : 0.0f;
        for (Index p = k; p < std::min(k + block, a.cols); p += 2)
          part = add_pair(pair(a, i, p, 0, 1), pair(b, p, j, 1, 0), part);
        sum = k > 0 ? sum + part : old != nullptr ? (*old)[at(i * b.cols + j)] + part : part;
      }
    }
  return c;
}

/// The same bits, or both NaN.
int different(const std::vector<float>& a, const std::vector<float>& b) {
  int count = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    count += std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i]) &&
             !(std::isnan(a[i]) && std::isnan(b[i]));
  return count;
}

}  // namespace

TEST_CASE("gemm: pairs give the bits of plain code, extreme numbers, too", "[kernel][gemm]") {
  Rng rng{.seed = 61};
  using Limits = std::numeric_limits<float>;
  const std::vector<float> extreme{0.0f,
                                   -0.0f,
                                   1e38f,
                                   -3.4e38f,
                                   1e-38f,
                                   -2e-39f,
                                   1e-20f,
                                   1e20f,
                                   Limits::max(),
                                   Limits::infinity(),
                                   -Limits::infinity(),
                                   Limits::quiet_NaN()};
  Packed<float, BrainPair> packed;
  for (const auto& [M, N, K] :
       {Sizes{13, 33, 5}, Sizes{25, 70, 64}, Sizes{12, 32, 197}, Sizes{7, 35, 1601}})
    for (const bool with_extremes : {false, true}) {
      INFO("M " << M << ", N " << N << ", K " << K << ", extremes " << with_extremes);
      Grid<float> a{M, K, 3, rng}, b{K, N, 1, rng}, a_turned{K, M, 0, rng}, b_turned{N, K, 0, rng};
      const std::vector<float> bias = test::drawn_vector<float>(N, rng);
      if (with_extremes)
        for (std::size_t i = 0; i < extreme.size(); ++i)
          for (auto* grid : {&a, &b, &a_turned, &b_turned})
            (*grid)(static_cast<Index>(rng.below(grid->rows)),
                    static_cast<Index>(rng.below(grid->cols))) = extreme[i];
      for (const Factor<float>& left : {Factor<float>{a.matrix()}, transposed(a_turned.matrix())})
        for (const Factor<float>& right :
             {Factor<float>{b.matrix()}, transposed(b_turned.matrix())}) {
          Grid<float> c{M, N, 4, rng};
          const std::vector<float> old = c.packed();
          packed.pack(right);
          multiply<float>(left, packed, c.matrix(), Into::add);
          CHECK(different(c.packed(), product_of_pairs(left, right, nullptr, &old)) == 0);
          multiply<float>(left, packed, c.matrix(), Into::replace, bias.data());
          CHECK(different(c.packed(), product_of_pairs(left, right, bias.data(), nullptr)) == 0);
        }
    }
}

TEST_CASE("gemm: pairs differ from float by the rounding of both factors", "[kernel][gemm]") {
  // Each factor is off by at most 2^-8 of itself, so a term by 2^-7 and a little: a sum by 2^-7 of
  // the sum of its terms' sizes, besides the error of float sums.
  Rng rng{.seed = 62};
  for (const Index K : {1, 8, 64, 192, 768}) {
    const Index M = 24, N = 40;
    const Grid<float> a{M, K, 0, rng}, b{K, N, 0, rng};
    Grid<float> c{M, N, 0, rng};
    Packed<float, BrainPair> packed{b.matrix()};
    multiply<float>(a.matrix(), packed, c.matrix());
    double worst = 0;
    for (Index i = 0; i < M; ++i)
      for (Index j = 0; j < N; ++j) {
        double sum = 0, sizes = 0;
        for (Index k = 0; k < K; ++k) {
          const double term =
              static_cast<double>(a.matrix().row(i)[k]) * static_cast<double>(b.matrix().row(k)[j]);
          sum += term;
          sizes += std::abs(term);
        }
        worst = std::max(worst, std::abs(static_cast<double>(c(i, j)) - sum) / sizes);
      }
    INFO("K " << K);
    CHECK(worst <= 0x1p-7 + 0x1p-16 + test::unit<float> * static_cast<double>(K));
    CHECK(worst > 0x1p-16);  // it does round
  }
}

TEST_CASE("gemm: a packed factor can be written by rows", "[kernel][gemm]") {
  Rng rng{.seed = 63};
  for (const Index K : {1, 2, 7, 24})
    for (const Index N : {1, 32, 70}) {
      const Grid<float> a{5, K, 0, rng}, b{K, N, 0, rng};
      Grid<float> c{5, N, 0, rng}, written{5, N, 0, rng};
      const auto check = [&](auto packed) {
        packed.pack(b.matrix());
        multiply<float>(a.matrix(), packed, c.matrix());
        packed.begin(K, N);
        for (Index row = 0; row < K; row += 4)
          packed.write(row, std::min<Index>(4, K - row), 0, N,
                       [&](Index i, Index j, Index count, float* to) {
                         std::copy_n(b.matrix().row(i) + j, count, to);
                       });
        multiply<float>(a.matrix(), packed, written.matrix());
        CHECK(test::equal_bits(written.numbers, c.numbers));
      };
      check(Packed<float>{});
      check(Packed<float, BrainPair>{});
    }
}

TEMPLATE_TEST_CASE("gemm: equals three plain loops for every size and layout", "[kernel][gemm]",
                   float, double, BrainPair) {
  using T = test::NumberOf<TestType>;
  using Stored = TestType;
  Rng rng{.seed = 5};
  Packed<T, Stored> packed;  // one memory for all, as in attention
  for (const auto& [M, N, K] : odd_sizes()) {
    INFO("M " << M << ", N " << N << ", K " << K);
    const double tolerance = product_tolerance<T>(K);
    const Grid<T, Stored> a{M, K, 3, rng}, b{K, N, 1, rng}, a_turned{K, M, 2, rng},
        b_turned{N, K, 5, rng};
    const std::vector<T> bias = test::drawn_vector<T>(N, rng);
    std::vector<double> biases;
    for (Index i = 0; i < M; ++i) biases.insert(biases.end(), bias.begin(), bias.end());
    Grid<T, Stored> c{M, N, 4, rng};
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

TEMPLATE_TEST_CASE("gemm: multiply_long equals three plain loops", "[kernel][gemm]", float, double,
                   BrainPair) {
  using T = test::NumberOf<TestType>;
  using Stored = TestType;
  Rng rng{.seed = 6};
  Packed<T, Stored> packed;
  for (const auto& [M, N, K] : odd_sizes()) {
    INFO("M " << M << ", N " << N << ", K " << K);
    const double tolerance = product_tolerance<T>(K);
    const Grid<T, Stored> a{K, M, 3, rng}, b{K, N, 1, rng};
    Grid<T, Stored> c{M, N, 2, rng};
    const auto old = doubles(c.packed());
    const Factor<T> left = transposed(a.matrix()), right = b.matrix();
    multiply_long<T>(a.matrix(), b.matrix(), c.matrix(), Into::add, packed);
    CHECK(apart(c.packed(), plain_product<T>(left, right, old)) <= tolerance);
    multiply_long<T>(a.matrix(), b.matrix(), c.matrix(), Into::replace, packed);
    CHECK(apart(c.packed(), plain_product<T>(left, right)) <= tolerance);
    CHECK(c.gaps_untouched());
  }
}

TEMPLATE_TEST_CASE("gemm: agrees with Eigen", "[kernel][gemm]", float, double, BrainPair) {
  using T = test::NumberOf<TestType>;
  using Stored = TestType;
  using Plain = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Rng rng{.seed = 7};
  for (const auto& [M, N, K] :
       {Sizes{197, 197, 64}, Sizes{97, 31, 300}, Sizes{33, 130, 197}, Sizes{13, 530, 260}}) {
    const Grid<T, Stored> a{M, K, 0, rng}, b{K, N, 0, rng};
    Grid<T, Stored> c{M, N, 0, rng}, long_c{M, N, 0, rng};
    const Eigen::Map<const Plain> left(a.numbers.data(), M, K), right(b.numbers.data(), K, N);
    const Plain wanted = left * right;
    const std::vector<T> theirs(wanted.data(), wanted.data() + wanted.size());
    Packed<T, Stored> packed;
    packed.pack(b.matrix());
    multiply<T>(a.matrix(), packed, c.matrix());
    CHECK(apart(c.packed(), theirs) <= product_tolerance<T>(K));
    const Plain turned = left.transpose();
    multiply_long<T>({turned.data(), K, M, M}, b.matrix(), long_c.matrix(), Into::replace, packed);
    CHECK(apart(long_c.packed(), theirs) <= product_tolerance<T>(K));
  }
}

TEMPLATE_TEST_CASE("gemm: packing on several threads gives the same panels", "[kernel][gemm]",
                   float, double, BrainPair) {
  using T = test::NumberOf<TestType>;
  using Stored = TestType;
  Rng rng{.seed = 8};
  for (const auto& [M, N, K] :
       {Sizes{5, 1, 19}, Sizes{5, 31, 19}, Sizes{5, 197, 19}, Sizes{5, 197, 0}}) {
    const Grid<T, Stored> b{K, N, 2, rng}, a{M, K, 0, rng};
    Grid<T, Stored> once{M, N, 0, rng};
    Packed<T, Stored> alone;
    alone.pack(b.matrix());
    multiply<T>(a.matrix(), alone, once.matrix());
    for (const int threads : {1, 2, 3, 8}) {
      Packed<T, Stored> packed;
      with_threads(threads, [&] { packed.pack_in_parallel(b.matrix()); });
      Grid<T, Stored> c{M, N, 0, rng};
      multiply<T>(a.matrix(), packed, c.matrix());
      CHECK(test::equal_bits(c.numbers, once.numbers));
    }
  }
}

}  // namespace splitvit::kernel
