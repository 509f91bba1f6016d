// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/core/parallel.hpp>
#include <splitvit/kernel/kmeans.hpp>
#include <splitvit/tensor/tensor.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"
#include "support/random_batch.hpp"

namespace splitvit::kernel {
namespace {

using test::at;
using test::drawn;
using test::random_attention;
using Codes = std::vector<std::uint16_t>;

template <class T>
Matrix<const T> matrix(const Tensor<T>& x) {
  return dense(x.data(), x.dim(0), x.dim(1));
}
template <class T>
Clustering<T> found_in(const Tensor<T>& rows, Index clusters, const KMeansOptions& options,
                       Rng& rng) {
  return kmeans(matrix(rows), clusters, options, rng);
}
template <class T>
Clustering<T> found_from(const Tensor<T>& rows, const Tensor<T>& start,
                         const KMeansOptions& options = {}) {
  return kmeans_from(matrix(rows), matrix(start), options);
}

/// The rows of each cluster, counted.
template <class T>
std::vector<Index> sizes_of(const Clustering<T>& found) {
  std::vector<Index> sizes(at(found.clusters));
  for (const std::uint16_t k : found.assignment) ++sizes.at(k);
  return sizes;
}

/// Rows (m, d) in which only `distinct` different ones occur.
template <class T>
Tensor<T> repeated_rows(Index m, Index d, Index distinct, Rng& rng) {
  const auto some = drawn<T>({distinct, d}, rng);
  Tensor<T> out{{m, d}};
  for (Index i = 0; i < m; ++i) {
    const Index from = i < distinct ? i : rng.below(distinct);
    std::copy_n(some.data() + from * d, d, out.data() + i * d);
  }
  return out;
}

/// What holds for every result, whatever came in.
template <class T>
void check_laws(const Tensor<T>& rows, Index wanted, const Clustering<T>& found) {
  const Index m = rows.dim(0), d = rows.dim(1), K = found.clusters;
  REQUIRE(K >= 1);
  REQUIRE(K <= std::min(wanted, m));
  REQUIRE(static_cast<Index>(found.centroids.size()) == K * d);
  REQUIRE(static_cast<Index>(found.assignment.size()) == m);
  const std::vector<Index> sizes = sizes_of(found);
  REQUIRE(*std::ranges::min_element(sizes) >= 1);
  std::vector<double> sums(at(K * d));
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < d; ++j)
      sums[at(found.assignment[at(i)] * d + j)] += static_cast<double>(rows[i * d + j]);
  for (Index i = 0; i < K * d; ++i) {
    const double mean = sums[at(i)] / static_cast<double>(sizes[at(i / d)]);
    REQUIRE(static_cast<double>(found.centroids[at(i)]) ==
            Approx(mean).epsilon(test::unit<T>).margin(test::unit<T>));  // also refuses NaN
  }
}

/// The sum of squared distances of the rows to their centroids.
template <class T>
double inertia(const Tensor<T>& rows, const Clustering<T>& found) {
  const Index d = rows.dim(1);
  double sum = 0.0;
  for (Index i = 0; i < rows.size(); ++i) {
    const T centroid = found.centroids[at(found.assignment[at(i / d)] * d + i % d)];
    sum += std::pow(static_cast<double>(rows[i]) - static_cast<double>(centroid), 2);
  }
  return sum;
}

}  // namespace

TEST_CASE("kmeans: two groups on a line", "[kernel]") {
  const Tensor<float> rows{{5, 1}, std::vector<float>{0, 1, 2, 10, 12}};
  const auto found = found_from(rows, Tensor<float>{{2, 1}, std::vector<float>{0, 1}},
                                {.stop = KMeansStop::fixpoint});
  // {0} {1 2 10 12} -> centres 0, 6.25 -> {0 1 2} {10 12} -> centres 1, 11 -> the same again
  CHECK(found.assignment == Codes{0, 0, 0, 1, 1});
  CHECK(found.centroids[0] == 1.0);
  CHECK(found.centroids[1] == 11.0);
  CHECK(sizes_of(found) == std::vector<Index>{3, 2});
  CHECK(inertia(rows, found) == 4.0);
  CHECK(found.rounds == 3);
}

TEST_CASE("kmeans: the lowest number wins a tie", "[kernel]") {
  const Tensor<double> rows{{3, 1}, std::vector<double>{-1, 0, 1}};
  const auto found =
      found_from(rows, Tensor<double>{{2, 1}, std::vector<double>{-1, 1}}, {.max_iterations = 1});
  CHECK(found.assignment == Codes{0, 0, 1});
}

TEST_CASE("kmeans: an empty cluster takes the farthest row", "[kernel]") {
  // All rows are nearest to centroid 0; 9 is farthest from it, then 8.
  const Tensor<double> rows{{4, 1}, std::vector<double>{0, 1, 9, 8}};
  const auto found = found_from(rows, Tensor<double>{{3, 1}, std::vector<double>{0, 100, 200}},
                                {.max_iterations = 1});
  CHECK(found.assignment == Codes{0, 0, 1, 2});
  CHECK(found.centroids[0] == 0.5);
}

TEST_CASE("kmeans: of equally far rows the lowest fills an empty cluster", "[kernel]") {
  const Tensor<double> rows{{4, 1}, std::vector<double>{0, 5, -5, 5}};
  const auto found =
      found_from(rows, Tensor<double>{{2, 1}, std::vector<double>{0, 100}}, {.max_iterations = 1});
  CHECK(found.assignment == Codes{0, 1, 0, 0});
}

TEST_CASE("kmeans: the shift rule may end earlier than the fixpoint", "[kernel]") {
  Rng rng{.seed = 11};
  auto rows = random_attention<double>(60, 50, rng);
  for (double& value : rows.span()) value *= 1e-4;  // below the absolute tolerance at once
  Rng first = rng, second = rng;
  const auto shift = found_in(rows, 6, {.stop = KMeansStop::shift}, first);
  const auto fixpoint = found_in(rows, 6, {.stop = KMeansStop::fixpoint}, second);
  CHECK(shift.rounds == 1);
  CHECK(fixpoint.rounds > 1);
  CHECK(inertia(rows, fixpoint) < inertia(rows, shift));
}

TEMPLATE_TEST_CASE("kmeans: laws hold for any rows", "[kernel]", float, double) {
  Rng rng{.seed = 3};
  for (int run = 0; run < 300; ++run) {
    const Index m = 1 + rng.below(24), d = rng.below(20), K = 1 + rng.below(30);
    const Index distinct = 1 + rng.below(m);
    const auto rows = repeated_rows<TestType>(m, d, distinct, rng);
    const KMeansOptions options{
        .max_iterations = 1 + static_cast<int>(rng.below(20)),
        .start = rng.below(2) == 0 ? KMeansStart::random : KMeansStart::plus_plus,
        .stop = rng.below(2) == 0 ? KMeansStop::shift : KMeansStop::fixpoint};
    INFO("run " << run << ": m " << m << " d " << d << " K " << K << " distinct " << distinct);
    const auto found = found_in(rows, K, options, rng);
    check_laws(rows, K, found);
    const Index possible = d == 0 ? 1 : distinct;
    REQUIRE(found.clusters == std::min(K, possible));

    const auto start = drawn<TestType>({1 + rng.below(m), d}, rng);
    check_laws(rows, start.dim(0), found_from(rows, start, options));
  }
}

TEMPLATE_TEST_CASE("kmeans: huge, tiny and almost equal numbers", "[kernel]", float, double) {
  using T = TestType;
  Rng rng{.seed = 5};
  constexpr T largest = std::numeric_limits<T>::max(), smallest = std::numeric_limits<T>::min();
  for (const T scale : {largest, largest / 4, smallest, smallest / 64, T{1}}) {
    for (const KMeansStart start : {KMeansStart::random, KMeansStart::plus_plus}) {
      Tensor<T> rows{{9, 5}};
      for (T& value : rows.span())
        value = static_cast<T>(scale * static_cast<T>(rng.uniform(-1.0, 1.0)));
      rows[0] = scale;
      rows[5] = -scale;
      const auto found = found_in(rows, 4, {.start = start}, rng);
      CHECK(std::ranges::all_of(found.centroids, [](T v) { return std::isfinite(v); }));
      CHECK(std::ranges::min(sizes_of(found)) >= 1);
    }
  }
  // All at the limit: means must not overflow.
  const auto found = found_in(Tensor<T>::full({3, 2}, largest), 2, {}, rng);
  CHECK(sizes_of(found) == std::vector<Index>{3});
  CHECK(found.centroids[0] == largest);
}

TEST_CASE("kmeans: minus zero equals zero", "[kernel]") {
  Rng rng;
  const Tensor<float> rows{{2, 2}, std::vector<float>{0.0f, 1.0f, -0.0f, 1.0f}};
  CHECK(sizes_of(found_in(rows, 2, {}, rng)) == std::vector<Index>{2});
}

TEST_CASE("kmeans: rows that differ by less than their squares can show", "[kernel]") {
  Rng rng{.seed = 1};
  const Tensor<double> rows{{3, 1}, std::vector<double>{0, 1e-200, 2e-200}};
  for (const KMeansStart start : {KMeansStart::random, KMeansStart::plus_plus})
    CHECK(sizes_of(found_in(rows, 3, {.start = start}, rng)) == std::vector<Index>{1, 1, 1});
}

TEST_CASE("kmeans: equal seeds, and any number of threads, give the same bits", "[kernel]") {
  Rng rng{.seed = 17};
  const auto rows = random_attention<float>(128, 197, rng);
  for (const KMeansStart start : {KMeansStart::random, KMeansStart::plus_plus}) {
    const KMeansOptions options{.start = start, .stop = KMeansStop::fixpoint};
    Rng seeded = rng;
    const auto once = found_in(rows, 40, options, seeded);
    CHECK(once.rounds > 2);
    for (const int threads : {1, 2, 3, 8}) {
      Rng same = rng;
      const auto again = with_threads(threads, [&] { return found_in(rows, 40, options, same); });
      CHECK(again.assignment == once.assignment);
      CHECK(again.centroids == once.centroids);
      CHECK(same.position == seeded.position);
    }
  }
}

TEST_CASE("kmeans: plus_plus finds groups that are far apart", "[kernel]") {
  // Four tight groups far apart: from far apart rows one round is enough.
  Rng rng{.seed = 23};
  Tensor<double> rows{{40, 2}};
  for (Index i = 0; i < 40; ++i) {
    rows[2 * i] = 100.0 * static_cast<double>(i % 4) + rng.uniform();
    rows[2 * i + 1] = rng.uniform();
  }
  for (int run = 0; run < 20; ++run) {
    const auto found = found_in(rows, 4, {.start = KMeansStart::plus_plus}, rng);
    CHECK(sizes_of(found) == std::vector<Index>{10, 10, 10, 10});
  }
}

TEST_CASE("kmeans: an empty cluster takes the farthest of many sorted rows", "[kernel]") {
  Rng rng{.seed = 7};
  const auto x = drawn<double>({20'000, 2}, rng);
  const auto start = test::tensor<double>({2, 2}, {0.0, 0.0, 1000.0, 1000.0});
  const auto found = found_from(x, start, {.max_iterations = 1});
  Index farthest = 0;
  for (Index i = 1; i < 20'000; ++i)
    if (std::hypot(x[2 * i], x[2 * i + 1]) > std::hypot(x[2 * farthest], x[2 * farthest + 1]))
      farthest = i;
  CHECK(sizes_of(found)[1] == 1);
  CHECK(found.assignment[at(farthest)] == 1);
  CHECK(found.centroids[2] == x[2 * farthest]);
}

TEST_CASE("kmeans: small numbers count beside large ones", "[kernel]") {
  Rng rng{.seed = 9};
  Tensor<float> x{{20'000, 1}};
  double sum = 0, count = 0;
  for (Index i = 0; i < x.size(); ++i) {
    const bool large = rng.below(200) == 0;
    x[i] = static_cast<float>((large ? 1e8 : 1e-8) * (1 + rng.uniform()));
    sum += large ? 0 : static_cast<double>(x[i]);
    count += large ? 0 : 1;
  }
  const auto start = test::tensor<float>({2, 1}, {1e8f, 0.0f});
  const auto found = found_from(x, start, {.max_iterations = 1});
  CHECK(static_cast<double>(found.centroids[1]) == Approx(sum / count).epsilon(1e-6));
}

TEST_CASE("kmeans: many short rows, for any number of threads; reassigned if asked for",
          "[kernel]") {
  Rng draws{.seed = 5};
  const auto x = drawn<float>({200'000, 2}, draws);
  const auto found = [&](int threads, std::uint64_t seed, bool reassign) {
    Rng rng{.seed = seed};
    const KMeansOptions options{
        .max_iterations = 3, .stop = KMeansStop::fixpoint, .reassign = reassign};
    return with_threads(threads, [&] { return found_in(x, 20, options, rng); });
  };
  const auto one = found(1, 6, false), two = found(2, 6, true);
  check_laws(x, 20, one);
  CHECK(one.centroids == two.centroids);
  CHECK(one.assignment == found(3, 6, false).assignment);
  CHECK(two.assignment ==
        nearest_codewords(matrix(x), dense<const float>(two.centroids.data(), 20, 2)));
  CHECK(found(1, 7, false).centroids != one.centroids);
}

TEMPLATE_TEST_CASE("kmeans: at a fixpoint each row is at its nearest centroid", "[kernel]", float,
                   double) {
  using T = TestType;
  for (const Index d : {1, 2, 6})
    for (const Index K : {2, 7, 40}) {
      CAPTURE(d, K);
      Rng rng{.seed = 3};
      const auto x = drawn<T>({900, d}, rng);
      const auto found = found_in(x, K, {.max_iterations = 300, .stop = KMeansStop::fixpoint}, rng);
      check_laws(x, K, found);
      CHECK(nearest_codewords(matrix(x), dense<const T>(found.centroids.data(), K, d)) ==
            found.assignment);
    }
}

TEMPLATE_TEST_CASE("nearest_codewords: sorted rows get the codewords of few rows", "[kernel]",
                   float, double) {
  using T = TestType;
  Rng rng{.seed = 4};
  for (const Index d : {1, 2, 3, 4, 5})
    for (const char* kind : {"normal", "lattice", "huge"}) {
      CAPTURE(d, kind);
      const bool lattice = std::string{kind} == "lattice";  // many distances are equal
      const T unit = std::string{kind} == "huge" ? std::numeric_limits<T>::max() / 8 : T{1};
      const Index m = d == 2 ? 140'000 : 20'000;  // of which some are sorted in sections
      Tensor<T> x{{m, d}}, codewords{{50, d}};
      for (Tensor<T>* const numbers : {&x, &codewords})
        for (T& value : numbers->span())
          value = unit * (lattice ? static_cast<T>(rng.below(5)) : static_cast<T>(rng.normal()));
      const auto codes = nearest_codewords(matrix(x), matrix(codewords));
      for (Index first = 0; first < m; first += 1000) {
        const auto own = nearest_codewords(matrix(x).slice(first, first + 1000), matrix(codewords));
        CHECK(std::equal(own.begin(), own.end(), codes.begin() + first));
      }
    }
}

TEST_CASE("nearest_codewords: the first of equally near ones; huge numbers", "[kernel]") {
  const auto codewords = test::tensor<float>({4, 1}, {1.0f, 3.0f, 3.0f, 5.0f});
  const auto x = test::tensor<float>({4, 1}, {2.0f, 3.0f, 4.0f, 9.0f});
  CHECK(nearest_codewords(matrix(x), matrix(codewords)) == Codes{0, 1, 1, 3});
  constexpr float most = std::numeric_limits<float>::max();
  const auto huge = test::tensor<float>({2, 2}, {most, -most, -most, most});
  CHECK(nearest_codewords(matrix(huge), matrix(huge)) == Codes{0, 1});
}

TEMPLATE_TEST_CASE("nearest_codewords: an infinite number among many rows", "[kernel]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 9};
  auto x = drawn<T>({20000, 2}, rng);
  const auto codewords = drawn<T>({3, 2}, rng);
  x[1000] = -std::numeric_limits<T>::infinity();
  CHECK(std::ranges::max(nearest_codewords(matrix(x), matrix(codewords))) < 3);
}

TEST_CASE("kmeans: misuse", "[kernel]") {
  Rng rng;
  const Tensor<float> rows{{3, 2}}, wide{{4, 3}}, none{{0, 2}};
  CHECK_THROWS_AS(found_in(none, 2, {}, rng), ShapeError);
  CHECK_THROWS_AS(kmeans(matrix(wide).columns(0, 2), 2, {}, rng), ShapeError);
  CHECK_THROWS_AS(found_from(rows, wide), ShapeError);
  CHECK_THROWS_AS(found_from(rows, none), ShapeError);
  CHECK_THROWS_AS(nearest_codewords(matrix(rows), matrix(wide)), ShapeError);
  CHECK_THROWS_AS(nearest_codewords(matrix(rows), matrix(none)), ShapeError);
  CHECK_THROWS_AS(found_in(rows, 0, {}, rng), std::invalid_argument);
  CHECK_THROWS_AS(found_in(rows, 65537, {}, rng), std::invalid_argument);
  CHECK_THROWS_AS(found_in(rows, 2, {.max_iterations = 0}, rng), std::invalid_argument);
  CHECK_THROWS_AS(found_from(rows, rows, {.max_iterations = 0}), std::invalid_argument);
  CHECK_THROWS_AS(found_in(rows, 2, {.tolerance = -1.0}, rng), std::invalid_argument);
  CHECK_THROWS_AS(found_in(rows, 2, {.tolerance = std::nan("")}, rng), std::invalid_argument);
}

}  // namespace splitvit::kernel
