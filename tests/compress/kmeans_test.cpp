// SPDX-License-Identifier: MIT

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <splitvit/compress/kmeans.hpp>

#include "support/catch.hpp"
#include "support/random_batch.hpp"

namespace splitvit::compress {
namespace {

using test::drawn;
using test::random_attention;

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

/// The textbook distance, the plain version of detail::squared_distance.
double plain_distance(const double* a, const double* b, Index d) {
  double sum = 0.0;
  for (Index j = 0; j < d; ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
  return sum;
}

/// What holds for every result, whatever came in.
template <class T>
void check_laws(const Tensor<T>& rows, Index wanted, const Clustering& found) {
  const Index m = rows.dim(0), d = rows.dim(1);
  const auto K = static_cast<Index>(found.sizes.size());
  REQUIRE(K >= 1);
  REQUIRE(K <= std::min(wanted, m));
  REQUIRE(found.centroids.shape() == Shape{K, d});
  REQUIRE(static_cast<Index>(found.assignment.size()) == m);
  std::vector<Index> counted(found.sizes.size());
  Tensor<double> mean{{K, d}};
  for (Index i = 0; i < m; ++i) {
    const Index k = found.assignment[static_cast<std::size_t>(i)];
    REQUIRE((k >= 0 && k < K));
    ++counted[static_cast<std::size_t>(k)];
    for (Index j = 0; j < d; ++j) mean[k * d + j] += static_cast<double>(rows[i * d + j]);
  }
  REQUIRE(counted == found.sizes);
  REQUIRE(*std::ranges::min_element(counted) >= 1);
  for (Index k = 0; k < K; ++k)
    for (Index j = 0; j < d; ++j) {
      const double exact =
          mean[k * d + j] / static_cast<double>(counted[static_cast<std::size_t>(k)]);
      REQUIRE(found.centroids[k * d + j] == exact);  // also refuses NaN
    }
  REQUIRE(found.inertia >= 0.0);
}

}  // namespace

TEST_CASE("kmeans: two groups on a line", "[compress]") {
  const Tensor<float> rows{{5, 1}, std::vector<float>{0, 1, 2, 10, 12}};
  const auto found = kmeans_from(rows, Tensor<float>{{2, 1}, std::vector<float>{0, 1}},
                                 {.stop = KMeansStop::fixpoint});
  // {0} {1 2 10 12} -> centres 0, 6.25 -> {0 1 2} {10 12} -> centres 1, 11 -> the same again
  CHECK(found.assignment == std::vector<Index>{0, 0, 0, 1, 1});
  CHECK(found.centroids[0] == 1.0);
  CHECK(found.centroids[1] == 11.0);
  CHECK(found.sizes == std::vector<Index>{3, 2});
  CHECK(found.inertia == 4.0);
  CHECK(found.rounds == 3);
}

TEST_CASE("kmeans: the lowest number wins a tie", "[compress]") {
  const Tensor<double> rows{{3, 1}, std::vector<double>{-1, 0, 1}};
  const auto found =
      kmeans_from(rows, Tensor<double>{{2, 1}, std::vector<double>{-1, 1}}, {.max_iterations = 1});
  CHECK(found.assignment == std::vector<Index>{0, 0, 1});
}

TEST_CASE("kmeans: an empty cluster takes the farthest row", "[compress]") {
  // All rows are nearest to centroid 0; 9 is farthest from it, then 8.
  const Tensor<double> rows{{4, 1}, std::vector<double>{0, 1, 9, 8}};
  const auto found = kmeans_from(rows, Tensor<double>{{3, 1}, std::vector<double>{0, 100, 200}},
                                 {.max_iterations = 1});
  CHECK(found.assignment == std::vector<Index>{0, 0, 1, 2});
  CHECK(found.centroids[0] == 0.5);
}

TEST_CASE("kmeans: of equally far rows the lowest fills an empty cluster", "[compress]") {
  const Tensor<double> rows{{4, 1}, std::vector<double>{0, 5, -5, 5}};
  const auto found =
      kmeans_from(rows, Tensor<double>{{2, 1}, std::vector<double>{0, 100}}, {.max_iterations = 1});
  CHECK(found.assignment == std::vector<Index>{0, 1, 0, 0});
}

TEST_CASE("kmeans: the shift rule may end earlier than the fixpoint", "[compress]") {
  Rng rng{.seed = 11};
  auto rows = random_attention<double>(60, 50, rng);
  for (double& value : rows.span()) value *= 1e-4;  // below the absolute tolerance at once
  Rng first = rng, second = rng;
  const auto shift = kmeans(rows, 6, {.stop = KMeansStop::shift}, first);
  const auto fixpoint = kmeans(rows, 6, {.stop = KMeansStop::fixpoint}, second);
  CHECK(shift.rounds == 1);
  CHECK(fixpoint.rounds > 1);
  CHECK(fixpoint.inertia < shift.inertia);
}

TEMPLATE_TEST_CASE("kmeans: laws hold for any rows", "[compress]", float, double) {
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
    const auto found = kmeans(rows, K, options, rng);
    check_laws(rows, K, found);
    const Index possible = d == 0 ? 1 : distinct;
    REQUIRE(static_cast<Index>(found.sizes.size()) == std::min(K, possible));

    const auto start = drawn<TestType>({1 + rng.below(m), d}, rng);
    check_laws(rows, start.dim(0), kmeans_from(rows, start, options));
  }
}

TEMPLATE_TEST_CASE("kmeans: huge, tiny and almost equal numbers", "[compress]", float, double) {
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
      const auto found = kmeans(rows, 4, {.start = start}, rng);
      CHECK(std::ranges::all_of(found.centroids.span(), [](double v) { return std::isfinite(v); }));
      CHECK(!std::isnan(found.inertia));
      CHECK(*std::ranges::min_element(found.sizes) >= 1);
    }
  }
  // All at the limit: means must not overflow.
  const auto found = kmeans(Tensor<T>::full({3, 2}, largest), 2, {}, rng);
  CHECK(found.sizes == std::vector<Index>{3});
  CHECK(found.centroids[0] == static_cast<double>(largest));
}

TEST_CASE("kmeans: minus zero equals zero", "[compress]") {
  Rng rng;
  const Tensor<float> rows{{2, 2}, std::vector<float>{0.0f, 1.0f, -0.0f, 1.0f}};
  CHECK(kmeans(rows, 2, {}, rng).sizes == std::vector<Index>{2});
}

TEST_CASE("kmeans: rows that differ by less than their squares can show", "[compress]") {
  Rng rng{.seed = 1};
  const Tensor<double> rows{{3, 1}, std::vector<double>{0, 1e-200, 2e-200}};
  for (const KMeansStart start : {KMeansStart::random, KMeansStart::plus_plus})
    CHECK(kmeans(rows, 3, {.start = start}, rng).sizes == std::vector<Index>{1, 1, 1});
}

TEST_CASE("kmeans: equal seeds, and any number of threads, give the same bits", "[compress]") {
  Rng rng{.seed = 17};
  const auto rows = random_attention<float>(128, 197, rng);
  for (const KMeansStart start : {KMeansStart::random, KMeansStart::plus_plus}) {
    const KMeansOptions options{.start = start, .stop = KMeansStop::fixpoint};
    Rng seeded = rng;
    const auto once = kmeans(rows, 40, options, seeded);
    CHECK(once.rounds > 2);
    for (const int threads : {1, 2, 3, 8}) {
      Rng same = rng;
      const auto again = with_threads(threads, [&] { return kmeans(rows, 40, options, same); });
      CHECK(again.assignment == once.assignment);
      CHECK(test::equal_bits(again.centroids, once.centroids));
      CHECK(again.inertia == once.inertia);
      CHECK(same.position == seeded.position);
    }
  }
}

TEST_CASE("kmeans: plus_plus finds groups that are far apart", "[compress]") {
  // Four tight groups far apart: from far apart rows one round is enough.
  Rng rng{.seed = 23};
  Tensor<double> rows{{40, 2}};
  for (Index i = 0; i < 40; ++i) {
    rows[2 * i] = 100.0 * static_cast<double>(i % 4) + rng.uniform();
    rows[2 * i + 1] = rng.uniform();
  }
  for (int run = 0; run < 20; ++run) {
    const auto found = kmeans(rows, 4, {.start = KMeansStart::plus_plus}, rng);
    CHECK(found.sizes == std::vector<Index>{10, 10, 10, 10});
  }
}

TEST_CASE("kmeans: a random start takes each row equally often", "[compress]") {
  Rng rng{.seed = 29};
  std::vector<int> taken(4);
  for (int run = 0; run < 4000; ++run)
    ++taken[static_cast<std::size_t>(detail::start_random({0, 1, 2, 3}, 1, rng)[0])];
  for (const int count : taken) CHECK(std::abs(count - 1000) < 150);
}

TEST_CASE("kmeans: the fast distance agrees with the plain one", "[compress]") {
  Rng rng{.seed = 31};
  for (const Index d : {1, 7, 8, 9, 31, 32, 33, 64, 197, 300}) {
    const detail::Points x = detail::points_of(drawn<double>({2, d}, rng), 1.0);
    const double plain = plain_distance(x.row(0).data(), x.row(1).data(), d);
    CHECK(detail::squared_distance(x.row(0), x.row(1)) == Approx(plain).epsilon(1e-14));
    // Whether it may stop early changes no decision.
    for (const double share : {0.1, 0.5, 1.0})
      CHECK(detail::squared_distance(x.row(0), x.row(1), share * plain) >=
            std::min(share * plain, detail::squared_distance(x.row(0), x.row(1))));
    CHECK(detail::squared_distance(x.row(0), x.row(1), 2.0 * plain) ==
          detail::squared_distance(x.row(0), x.row(1)));
  }
}

TEST_CASE("kmeans: misuse", "[compress]") {
  Rng rng;
  const Tensor<float> rows{{3, 2}};
  CHECK_THROWS_AS(kmeans(Tensor<float>{{3}}, 2, {}, rng), ShapeError);
  CHECK_THROWS_AS(kmeans(Tensor<float>{{0, 2}}, 2, {}, rng), ShapeError);
  CHECK_THROWS_AS(kmeans_from(rows, Tensor<float>{{2, 3}}), ShapeError);
  CHECK_THROWS_AS(kmeans(rows, 0, {}, rng), std::invalid_argument);
  CHECK_THROWS_AS(kmeans_from(rows, Tensor<float>{{0, 2}}), std::invalid_argument);
  CHECK_THROWS_AS(kmeans(rows, 2, {.max_iterations = 0}, rng), std::invalid_argument);
  CHECK_THROWS_AS(kmeans(rows, 2, {.tolerance = -1.0}, rng), std::invalid_argument);
  CHECK_THROWS_AS(kmeans(rows, 2, {.tolerance = std::nan("")}, rng), std::invalid_argument);
  auto bad = rows;
  bad[1] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(kmeans(bad, 2, {}, rng), std::invalid_argument);
  bad[1] = std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH(kmeans(bad, 2, {}, rng), ContainsSubstring("not finite"));
}

}  // namespace splitvit::compress
