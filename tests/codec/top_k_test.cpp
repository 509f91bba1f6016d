// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <splitvit/codec/half.hpp>
#include <splitvit/codec/quantise.hpp>
#include <splitvit/codec/receipts.hpp>
#include <splitvit/codec/top_k.hpp>

#include "codec/laws.hpp"

namespace splitvit::codec {
namespace {

using test::make_trip;
using test::tensor;

/// By sorting: larger magnitudes first, of equal ones the first.
template <class T>
std::vector<std::uint32_t> sorted_out(std::span<const T> values, std::size_t k) {
  std::vector<std::uint32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::stable_sort(
      order, [&](auto a, auto b) { return std::abs(values[a]) > std::abs(values[b]); });
  order.resize(k);
  std::ranges::sort(order);
  return order;
}

template <class T>
Tensor<T> only_at(const Tensor<T>& x, const std::vector<std::uint32_t>& indices, Index k) {
  Tensor<T> y{x.shape()};
  const Index n = x.size() / x.dim(0);
  for (Index i = 0; i < static_cast<Index>(indices.size()); ++i) {
    const Index at = i / k * n + indices[static_cast<std::size_t>(i)];
    y[at] = x[at];
  }
  return y;
}

}  // namespace

static_assert(Codec<TopK<>, float> && Codec<TopK<Quantise>, double>);
static_assert(!StraightThrough<TopK<>, float>);

TEST_CASE("TopK: how many", "[codec]") {
  CHECK(detail::kept_entries(0.05, 50) == 2);  // 2.5: half to even
  CHECK(detail::kept_entries(0.07, 50) == 4);  // 3.5
  CHECK(detail::kept_entries(0.001, 50) == 1);
  CHECK(detail::kept_entries(1.0, 50) == 50);
}

TEMPLATE_TEST_CASE("TopK: the largest entries, as sorting finds them", "[codec]", float, double) {
  using T = TestType;
  Rng rng{.seed = 1};
  for (int run = 0; run < 300; ++run) {
    auto values = test::drawn_vector<T>(1 + rng.below(run % 10 == 0 ? 5000 : 60), rng);
    if (run % 3 == 0)  // many ties, zeros of both signs, very large and small ones
      for (T& value : values)
        value = static_cast<T>(std::ldexp(static_cast<double>(rng.below(5) - 2),
                                          static_cast<int>(rng.below(3) - 1) * 120));
    const auto k = static_cast<std::size_t>(1 + rng.below(static_cast<Index>(values.size())));
    std::vector<std::uint32_t> kept(k);
    detail::largest_entries<T>(values, kept);
    REQUIRE(kept == sorted_out<T>(values, k));
  }
}

TEST_CASE("TopK: bytes worked by hand", "[codec]") {
  const auto x = tensor<float>({2, 2, 2}, {1, -3, 2, 0, 5, 5, -5, 1});
  const auto g = tensor<float>({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  const auto trip = make_trip<float>(TopK<>{.rate = 0.5}, x, g);
  std::vector<std::byte> up, down;
  ByteWriter to{up}, from{down};
  to.put(std::uint8_t{1});
  to.put(std::uint8_t{0b0011'0110});  // ties: the first ones
  for (const float v : {-3.0f, 2.0f, 5.0f, 5.0f}) to.put(v);
  for (const float v : {2.0f, 3.0f, 5.0f, 6.0f}) from.put(v);
  CHECK(trip.up == up);
  CHECK(trip.down == down);
  CHECK(test::equal_bits(trip.came.values, tensor<float>({2, 2, 2}, {0, -3, 2, 0, 5, 5, 0, 0})));
  CHECK(test::equal_bits(trip.gradient, tensor<float>({2, 2, 2}, {0, 2, 3, 0, 5, 6, 0, 0})));
}

TEMPLATE_TEST_CASE("TopK: values, gradients and sizes", "[codec]", float, double) {
  using T = TestType;
  Rng rng{.seed = 2};
  const Shape shape{4, 9, 16};
  const auto x = test::drawn<T>(shape, rng), g = test::drawn<T>(shape, rng);
  for (const double rate : {0.01, 0.1, 0.5, 1.0}) {
    const Index k = detail::kept_entries(rate, 144);
    const auto trip = make_trip<T>(TopK<>{.rate = rate}, x, g);
    const auto& indices = trip.sent.indices;
    CHECK(indices == trip.came.receipt.indices);
    for (Index b = 0; b < 4; ++b)
      CHECK(std::vector(indices.begin() + b * k, indices.begin() + (b + 1) * k) ==
            sorted_out<T>({x.data() + b * 144, 144}, static_cast<std::size_t>(k)));
    CHECK(test::equal_bits(trip.came.values, only_at(x, indices, k)));
    CHECK(test::equal_bits(trip.gradient, only_at(g, indices, k)));
    std::vector<std::byte> sets;
    detail::put_index_sets(indices, k, 144, sets);
    CHECK(trip.up.size() == sets.size() + sizeof(T) * static_cast<std::size_t>(4 * k));
    CHECK(trip.down.size() == sizeof(T) * static_cast<std::size_t>(4 * k));
    if (rate == 1.0) CHECK(test::equal_bits(trip.came.values, x));
  }
  // With another codec for the values: k numbers a sample, a range for each.
  const auto few = make_trip<T>(TopK<Quantise>{.rate = 0.25, .values = {.bits = 4}}, x, g);
  CHECK(few.down.size() == 4 * (2 * sizeof(T) + 18));
  CHECK(few.gradient[few.sent.indices[0]] != T{0});
}

TEMPLATE_TEST_CASE("TopK: laws", "[codec]", float, double) {
  using T = TestType;
  for (const double rate : {0.05, 0.4, 1.0}) test::check_laws<T>(TopK<>{.rate = rate}, {3, 4, 5});
  test::check_laws<T>(TopK<Quantise>{.rate = 0.3, .values = {.bits = 3}}, {3, 4, 5});
  test::check_extremes<T>(TopK<>{}, {2, 3, 4});
}

TEST_CASE("TopK: misuse", "[codec]") {
  Rng rng;
  std::vector<std::byte> out;
  const Tensor<float> x{{2, 3}};
  for (const double rate : {0.0, -0.1, 1.1, std::nan("")}) {
    CHECK_THROWS_AS(TopK<>{.rate = rate}.encode<float>(x.view(), out, rng), std::invalid_argument);
    CHECK_THROWS_AS(TopK<>{.rate = rate}.decode<float>(out, {2, 3}), std::invalid_argument);
  }
  CHECK_THROWS_AS(TopK<>{}.encode<float>(Tensor<float>{{2, 0}}.view(), out, rng), ShapeError);
  CHECK(test::reason_of([&] { TopK<>{}.decode<float>(out, {2, 0}); }) == Reason::wrong_shape);
  const auto trip = make_trip<float>(TopK<>{}, x, x);
  CHECK_THROWS_AS(
      TopK<>{}.encode_gradient<float>(Tensor<float>{{3, 2}}.view(), trip.came.receipt, out, rng),
      ShapeError);
  CHECK(test::reason_of([&] { TopK<>{}.decode_gradient<float>(trip.down, trip.sent, {3, 2}); }) ==
        Reason::wrong_shape);
  // Saturated values of the codec for values are counted.
  const auto large = tensor<float>({1, 4}, {1e30f, 1, 2, -1e30f});
  CHECK(saturated_values(TopK<Float16>{.rate = 0.5}.encode<float>(large.view(), out, rng)) == 2);
  CHECK(TopK<>{}.description() == "top_k rate=0.1 values=(float32)");
}

}  // namespace splitvit::codec
