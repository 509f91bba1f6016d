// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <splitvit/codec/half.hpp>
#include <splitvit/codec/quantise.hpp>
#include <splitvit/codec/top_k.hpp>

#include "codec/laws.hpp"

namespace splitvit::codec {
namespace {

using test::make_trip;
using test::tensor;

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
    const Index k = kernel::kept_entries(rate, 144);
    const auto trip = make_trip<T>(TopK<>{.rate = rate}, x, g);
    const auto& indices = trip.sent.indices;
    CHECK(indices == trip.came.context.indices);
    for (Index b = 0; b < 4; ++b)
      CHECK(std::vector(indices.begin() + b * k, indices.begin() + (b + 1) * k) ==
            test::largest_by_sorting<T>({x.data() + b * 144, 144}, static_cast<std::size_t>(k)));
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
    CHECK_THROWS_AS(encode<float>(TopK<>{.rate = rate}, x.view(), out, rng), std::invalid_argument);
    CHECK_THROWS_AS(decode<float>(TopK<>{.rate = rate}, out, {2, 3}), std::invalid_argument);
  }
  CHECK_THROWS_AS(encode<float>(TopK<>{}, Tensor<float>{{2, 0}}.view(), out, rng), ShapeError);
  CHECK(test::reason_of([&] { decode<float>(TopK<>{}, out, {2, 0}); }) == Reason::wrong_shape);
  const auto trip = make_trip<float>(TopK<>{}, x, x);
  CHECK_THROWS_AS(
      encode_gradient<float>(TopK<>{}, Tensor<float>{{3, 2}}.view(), trip.came.context, out, rng),
      ShapeError);
  CHECK(test::reason_of([&] { decode_gradient<float>(TopK<>{}, trip.down, trip.sent, {3, 2}); }) ==
        Reason::wrong_shape);
  // Saturated values of the codec for values are counted.
  const auto large = tensor<float>({1, 4}, {1e30f, 1, 2, -1e30f});
  CHECK(saturated_values(encode<float>(TopK<Float16>{.rate = 0.5}, large.view(), out, rng)) == 2);
  CHECK(TopK<>{}.description() == "topk:0.1:alpha=0:values=(float32)");
}

TEMPLATE_TEST_CASE("TopK: draws change the choice, unless all values are sent", "[codec]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 2};
  const auto x = test::drawn<T>({3, 4, 10}, rng), g = test::drawn<T>({3, 4, 10}, rng);
  for (const double rate : {0.1, 0.5, 1.0}) {
    const auto plain = make_trip<T>(TopK<>{.rate = rate}, x, g);
    const auto drawn = make_trip<T>(TopK<>{.rate = rate, .alpha = 0.9}, x, g);
    CHECK((drawn.up == plain.up) == (rate == 1.0));
  }
}

TEMPLATE_TEST_CASE("TopK: k draws, most of them large; laws", "[codec]", float, double) {
  using T = TestType;
  Rng rng{.seed = 3};
  const auto x = test::drawn<T>({16, 20, 30}, rng);
  const TopK<> codec{.rate = 0.1, .alpha = 0.2};
  const auto trip = make_trip<T>(codec, x, x);
  CHECK(trip.sent.indices.size() == 16 * 60);
  const auto top = detail::largest_of_samples<T>(x.view(), 60);
  Index both = 0;
  for (Index b = 0; b < 16; ++b) {
    std::vector<std::uint32_t> common;
    std::ranges::set_intersection(std::span{top}.subspan(test::at(b * 60), 60),
                                  std::span{trip.sent.indices}.subspan(test::at(b * 60), 60),
                                  std::back_inserter(common));
    both += static_cast<Index>(common.size());
  }
  // Without replacement the largest become rarer while they are drawn: about a third are others.
  CHECK(both > 16 * 30);
  CHECK(both < 16 * 48);
  // A receiver without draws can read it.
  CHECK(test::equal_bits(decode<T>(TopK<>{}, trip.up, x.shape()).values, trip.came.values));
  CHECK(make_trip<T>(codec, x, x, Rng{.seed = 99}).up != trip.up);
  test::check_laws<T>(codec, {3, 4, 5});
  test::check_extremes<T>(codec, {3, 4, 5});
}

TEST_CASE("TopK: misuse of draws", "[codec]") {
  Rng rng;
  std::vector<std::byte> out;
  const Tensor<float> x{{2, 3}};
  for (const double alpha : {-0.1, 1.0, std::nan("")})
    CHECK_THROWS_AS(encode<float>(TopK<>{.alpha = alpha}, x.view(), out, rng),
                    std::invalid_argument);
  CHECK_THROWS_AS(encode<float>(TopK<>{.rate = 0}, x.view(), out, rng), std::invalid_argument);
  CHECK_THROWS_AS(decode<float>(TopK<>{.rate = 2}, out, {2, 3}), std::invalid_argument);
}

}  // namespace splitvit::codec
