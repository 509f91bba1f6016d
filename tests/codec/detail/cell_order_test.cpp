// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <splitvit/codec/detail/cell_order.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::codec::detail {
namespace {

using test::at;

/// The piece at each place; every place must have one, and every piece a place.
template <class T>
std::vector<Index> pieces_in_order(const CellOrder<T>& order, Index pieces) {
  std::vector<Index> at_place(at(pieces), -1);
  std::vector<int> seen(at(pieces));
  with_threads(1, [&] {
    order.visit_runs([&](const auto& run) {
      for (std::size_t i = 0; i < run.within.size(); ++i) {
        const Index piece = run.first + run.within[i];
        REQUIRE(at_place[at(run.place) + i] == -1);
        at_place[at(run.place) + i] = piece;
        ++seen[at(piece)];
      }
    });
  });
  CHECK(std::ranges::count(seen, 1) == pieces);
  return at_place;
}

/// How far it is from each place to the next one, along the number that differs most, on average.
template <class T>
double stride(const Tensor<T>& x, const std::vector<Index>& at_place) {
  double sum = 0;
  for (std::size_t i = 1; i < at_place.size(); ++i) {
    double most = 0;
    for (Index j = 0; j < x.dim(1); ++j)
      most = std::max(most, std::abs(static_cast<double>(x[at_place[i] * x.dim(1) + j] -
                                                         x[at_place[i - 1] * x.dim(1) + j])));
    sum += most;
  }
  return sum / static_cast<double>(at_place.size());
}

}  // namespace

TEMPLATE_TEST_CASE("CellOrder: every piece has a place, near to pieces like it", "[codec]", float,
                   double) {
  using T = TestType;
  constexpr Index m = 150'000;  // more than two parts
  for (const Index d : {1, 2, 3, 4}) {
    CAPTURE(d);
    Rng rng{.seed = 2};
    const auto x = test::drawn<T>({m, d}, rng);
    const auto order = pieces_in_order(CellOrder<T>{x.view(), T{1}, 600}, m);
    std::vector<Index> as_drawn(at(m));
    std::iota(as_drawn.begin(), as_drawn.end(), Index{0});
    CHECK(stride(x, order) < 3 * stride(x, as_drawn) / std::pow(600.0, 1 / static_cast<double>(d)));
    // The order that a power of two leaves, and one that any number of threads finds.
    Tensor<T> large = x;
    for (T& value : large.span()) value *= T{1024};
    const auto again = with_threads(3, [&] { return CellOrder<T>{large.view(), T{1024}, 600}; });
    CHECK(pieces_in_order(again, m) == order);
  }
}

TEST_CASE("CellOrder: pieces of one cell stay as they came, in all parts", "[codec]") {
  Tensor<float> x{{140'000, 2}};
  for (Index i = 0; i < 140'000; ++i) x[2 * i] = i % 3 == 0 ? 1.0f : 2.0f;
  const auto order = pieces_in_order(CellOrder<float>{x.view(), 1.0f, 100}, 140'000);
  for (std::size_t i = 1; i < order.size(); ++i) {
    const bool same = x[2 * order[i]] == x[2 * order[i - 1]];
    REQUIRE((!same || order[i] > order[i - 1]));
  }
  CHECK(order.front() % 3 == 0);
  CHECK(order.back() % 3 != 0);
}

TEST_CASE("CellOrder: a place even for outliers, infinity and NaN", "[codec]") {
  constexpr float infinite = std::numeric_limits<float>::infinity();
  Rng rng{.seed = 3};
  Tensor<float> x{{20'000, 2}};
  for (float& value : x.span()) value = static_cast<float>(rng.normal());
  for (Index i = 0; i < x.size(); i += 101) {
    const Index kind = i % 5;
    x[i] = kind == 0   ? infinite
           : kind == 1 ? -infinite
           : kind == 2 ? std::numeric_limits<float>::quiet_NaN()
           : kind == 3 ? std::numeric_limits<float>::max()
                       : -1e30f;
  }
  pieces_in_order(CellOrder<float>{x.view(), 1.0f, 78}, 20'000);
  for (float& value : x.span()) value = std::numeric_limits<float>::quiet_NaN();
  pieces_in_order(CellOrder<float>{x.view(), 1.0f, 78}, 20'000);
}

}  // namespace splitvit::codec::detail
