// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <splitvit/core/parallel.hpp>
#include <splitvit/kernel/sub_vectors.hpp>
#include <splitvit/tensor/tensor.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {
namespace {

using test::at;

template <class T>
SubVectors<T> sub_vectors(const Tensor<T>& x, T unit = T{1}) {
  return {dense(x.data(), x.dim(0), x.dim(1)), unit};
}

/// The row at each place; every row must have one place.
template <class T>
std::vector<Index> rows_in_order(const SubVectors<T>& x) {
  std::vector<Index> rows(at(x.count), -1), seen(at(x.count));
  x.each_place([&](Index place, Index row) { rows[at(place)] = row; });
  for (const Index row : rows) ++seen.at(at(row));
  CHECK(std::ranges::count(seen, 1) == x.count);
  return rows;
}

/// How far it is from each place to the next one, along the number that differs most, on average.
template <class T>
double distance_to_next(const Tensor<T>& x, const std::vector<Index>& rows) {
  double sum = 0;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    double most = 0;
    for (Index j = 0; j < x.dim(1); ++j)
      most = std::max(most, std::abs(static_cast<double>(x[rows[i] * x.dim(1) + j] -
                                                         x[rows[i - 1] * x.dim(1) + j])));
    sum += most;
  }
  return sum / static_cast<double>(rows.size());
}

/// The nearest codeword (K, d) of the vector at a place by the definition, in double.
template <class T>
T nearest_to(const SubVectors<T>& x, Index place, const Tensor<T>& codewords) {
  double least = std::numeric_limits<double>::infinity();
  Index best = 0;
  for (Index k = 0; k < codewords.dim(0); ++k) {
    double sum = 0;
    for (Index j = 0; j < x.width; ++j)
      sum += std::pow(
          static_cast<double>(x.column(j)[place]) - static_cast<double>(codewords[k * x.width + j]),
          2);
    if (sum < least) {
      least = sum;
      best = k;
    }
  }
  return static_cast<T>(best);
}

}  // namespace

TEMPLATE_TEST_CASE("SubVectors: number j of every row, divided by the unit", "[kernel]", float,
                   double) {
  using T = TestType;
  for (const Index m : {1, 300, 70'000})  // in float, the last ones are sorted unless they are long
    for (const Index d : {1, 2, 4, 6}) {
      CAPTURE(m, d);
      Rng rng{.seed = 4};
      const auto x = test::drawn<T>({m, d}, rng);
      const auto vectors = sub_vectors(x, T{4});
      CHECK(vectors.sorted() == (may_be_short<T> && m > 300 && d <= 4));
      CHECK(vectors.blocks() == (m + vectors.block - 1) / vectors.block);
      const auto rows = rows_in_order(vectors);
      for (Index j = 0; j < d; ++j) {
        const T* const column = vectors.column(j);
        Index wrong = 0;
        for (Index i = 0; i < m; ++i) wrong += column[i] == x[rows[at(i)] * d + j] / 4 ? 0 : 1;
        CHECK(wrong == 0);
        CHECK(std::all_of(column + m, column + vectors.stride, [](T pad) { return pad == 0; }));
      }
    }
}

TEST_CASE("SubVectors: the range and the sum of a block", "[kernel]") {
  Rng rng{.seed = 5};
  const Index m = 20'001;  // 78 whole blocks and one of 33 vectors
  const auto vectors = sub_vectors(test::drawn<float>({m, 2}, rng));
  REQUIRE(vectors.sorted());
  for (Index b = 0; b < vectors.blocks(); ++b)
    for (const Index j : {0, 1}) {
      const float* const begin = vectors.column(j) + b * vectors.block;
      const float* const end = begin + vectors.filled(b);
      const auto& summary = vectors.summary(b)[j];
      CHECK(summary.least == *std::min_element(begin, end));
      CHECK(summary.largest == *std::max_element(begin, end));
      CHECK(summary.sum == Approx(std::accumulate(begin, end, 0.0)).epsilon(1e-12).margin(1e-12));
    }
}

TEST_CASE("SubVectors: rows that lie together are like each other", "[kernel]") {
  using T = float;
  constexpr Index m = 150'000;  // more than two sections
  for (const Index d : {1, 2, 3, 4}) {
    CAPTURE(d);
    Rng rng{.seed = 2};
    const auto x = test::drawn<T>({m, d}, rng);
    const auto order = rows_in_order(sub_vectors(x));
    std::vector<Index> as_drawn(at(m));
    std::iota(as_drawn.begin(), as_drawn.end(), Index{0});
    const double cells = std::pow(585.0, 1 / static_cast<double>(d));  // along one number
    CHECK(distance_to_next(x, order) < 3 * distance_to_next(x, as_drawn) / cells);
    // The order stays the same with any number of threads, and if a power of two scales all.
    Tensor<T> large = x;
    for (T& value : large.span()) value *= T{1024};
    CHECK(rows_in_order(with_threads(3, [&] { return sub_vectors(large, T{1024}); })) == order);
  }
}

TEST_CASE("SubVectors: rows of one cell stay as they came, in all sections", "[kernel]") {
  Tensor<float> x{{140'000, 2}};
  for (Index i = 0; i < 140'000; ++i) x[2 * i] = i % 3 == 0 ? 1.0f : 2.0f;
  const auto order = rows_in_order(sub_vectors(x));
  for (std::size_t i = 1; i < order.size(); ++i) {
    const bool same = x[2 * order[i]] == x[2 * order[i - 1]];
    REQUIRE((!same || order[i] > order[i - 1]));
  }
  CHECK(order.front() % 3 == 0);
  CHECK(order.back() % 3 != 0);
}

TEST_CASE("SubVectors: a place even for outliers, infinity and NaN", "[kernel]") {
  constexpr float infinite = std::numeric_limits<float>::infinity();
  Rng rng{.seed = 3};
  auto x = test::drawn<float>({20'000, 2}, rng);
  for (Index i = 0; i < x.size(); i += 101) {
    const Index kind = i % 5;
    x[i] = kind == 0   ? infinite
           : kind == 1 ? -infinite
           : kind == 2 ? std::numeric_limits<float>::quiet_NaN()
           : kind == 3 ? std::numeric_limits<float>::max()
                       : -1e30f;
  }
  rows_in_order(sub_vectors(x));
  for (float& value : x.span()) value = std::numeric_limits<float>::quiet_NaN();
  rows_in_order(sub_vectors(x));
}

TEMPLATE_TEST_CASE("NearestCodeword: agrees with the definition", "[kernel]", float, double) {
  using T = TestType;
  for (const Index m : {700, 20'000})  // the second ones are sorted, unless they are long
    for (const Index d : {1, 2, 3, 4, 5, 9})
      for (const Index K : {1, 3, 4, 66}) {
        CAPTURE(m, d, K);
        Rng rng{.seed = 8};
        const auto rows = test::drawn<T>({m, d}, rng), codewords = test::drawn<T>({K, d}, rng);
        const SubVectors<T> x{dense(rows.data(), m, d), T{1}};
        NearestCodeword<T> search{x, dense(codewords.data(), K, d)};
        Index wrong = 0, candidates = 0;
        for (const Index b : {Index{0}, x.blocks() / 2, x.blocks() - 1}) {
          search.find(b);
          candidates += static_cast<Index>(search.candidates().size());
          CHECK(std::ranges::is_sorted(search.candidates()));
          for (Index i = 0; i < x.block; ++i) {
            const T code = search.codes()[test::at(i)];
            const T wanted = i < x.filled(b) ? nearest_to(x, b * x.block + i, codewords) : T{-1};
            wrong += code == wanted ? 0 : 1;
            if (code >= 0) wrong += std::ranges::count(search.candidates(), code) == 1 ? 0 : 1;
          }
        }
        CHECK(wrong == 0);
        if (K == 66 && d <= 2) CHECK((candidates < 3 * K) == x.sorted());
      }
}

}  // namespace splitvit::kernel
