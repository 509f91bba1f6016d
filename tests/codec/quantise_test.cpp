// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <vector>

#include <splitvit/codec/quantise.hpp>
#include <splitvit/core/parallel.hpp>

#include "codec/laws.hpp"

namespace splitvit::codec {
namespace {

using test::make_trip;
using test::tensor;

constexpr RangePer all_ranges[] = {RangePer::tensor, RangePer::sample, RangePer::token,
                                   RangePer::channel};

Index group_count(const Shape& shape, RangePer per) {
  return per == RangePer::tensor   ? 1
         : per == RangePer::sample ? shape[0]
         : per == RangePer::token  ? shape.rows()
                                   : shape.back();
}

/// Which group the number at i of a tensor (B, N, D) belongs to.
Index group_of(Index i, const Shape& shape, RangePer per) {
  const Index D = shape.back(), n = shape.elements() / shape[0];
  return per == RangePer::tensor   ? 0
         : per == RangePer::sample ? i / n
         : per == RangePer::token  ? i / D
                                   : i % D;
}

/// What Q makes of each group, taken out and put back one by one.
template <class T>
Tensor<T> group_by_group(const Tensor<T>& x, RangePer per, int bits) {
  Tensor<T> y{x.shape()};
  for (Index g = 0; g < group_count(x.shape(), per); ++g) {
    std::vector<Index> own;
    for (Index i = 0; i < x.size(); ++i)
      if (group_of(i, x.shape(), per) == g) own.push_back(i);
    T low = x[own[0]], high = low;
    for (const Index i : own) {
      low = std::min(low, x[i]);
      high = std::max(high, x[i]);
    }
    const T top = static_cast<T>((1 << bits) - 1), scale = (high - low) / top;
    for (const Index i : own) {
      const T code = std::min(top, std::nearbyint((x[i] - low) / scale));
      const volatile T product = code * scale;  // no fused multiply-add
      y[i] = scale == T{0} ? low : product + low;
    }
  }
  return y;
}

}  // namespace

static_assert(StraightThrough<Quantise, float> && StraightThrough<Quantise, double>);

TEST_CASE("Quantise: bytes worked by hand", "[codec]") {
  const auto x = tensor<float>({1, 2, 4}, {0, 1, 2, 3, 5, 5, 5, 5});
  const auto trip = make_trip<float>(Quantise{.bits = 2}, x, x);
  std::vector<std::byte> wanted;
  ByteWriter writer{wanted};
  for (const float number : {0.0f, 1.0f, 5.0f, 0.0f}) writer.put(number);  // low, scale, twice
  writer.put(std::uint8_t{0b11'10'01'00});  // the second token is constant: no codes
  CHECK(trip.up == wanted);
  CHECK(trip.down == wanted);
  CHECK(test::equal_bits(trip.came.values, x));
  CHECK(test::equal_bits(trip.gradient, x));
}

TEMPLATE_TEST_CASE("Quantise: each group by itself, and how many bytes", "[codec]", float, double) {
  using T = TestType;
  Rng rng{.seed = 1};
  for (const Shape& shape : {Shape{3, 5, 7}, Shape{2, 3, 1}, Shape{1, 1, 33}, Shape{4, 40, 130}})
    for (const RangePer per : all_ranges)
      for (const int bits : {1, 3, 8, 13, 16}) {
        const auto x = test::drawn<T>(shape, rng), g = test::drawn<T>(shape, rng);
        const Quantise codec{.bits = bits, .range = per, .gradient_range = per};
        const auto trip = make_trip<T>(codec, x, g);
        REQUIRE(test::equal_bits(trip.came.values, group_by_group(x, per, bits)));
        REQUIRE(test::equal_bits(trip.gradient, group_by_group(g, per, bits)));
        const Index groups = group_count(shape, per);
        const bool constant = groups == shape.elements();  // groups of one number
        const auto code_bits = constant ? Index{0} : shape.elements() * bits;
        REQUIRE(trip.up.size() == 2 * sizeof(T) * static_cast<std::size_t>(groups) +
                                      static_cast<std::size_t>((code_bits + 7) / 8));
      }
}

TEMPLATE_TEST_CASE("Quantise: laws", "[codec]", float, double) {
  using T = TestType;
  for (const RangePer per : all_ranges) {
    for (const Rounding rounding : {Rounding::nearest, Rounding::stochastic})
      test::check_laws<T>(
          Quantise{.bits = 5, .range = per, .gradient_range = per, .rounding = rounding},
          {2, 3, 6});
    test::check_extremes<T>(Quantise{.bits = 3, .range = per, .gradient_range = per}, {2, 3, 6});
    // Constant tensors of any group come back exactly.
    const auto x = Tensor<T>::full({2, 3, 5}, T(0.1));
    CHECK(test::equal_bits(make_trip<T>(Quantise{.bits = 1, .range = per}, x, x).came.values, x));
  }
  test::check_laws<T>(Quantise{}, {9});
  const Tensor<T> empty{{0, 4}};
  CHECK(make_trip<T>(Quantise{}, empty, empty).up.empty());
}

TEST_CASE("Quantise: some channels constant", "[codec]") {
  Rng rng{.seed = 2};
  auto x = test::drawn<float>({3, 4, 5}, rng);
  for (Index row = 0; row < 12; ++row) x[row * 5 + 1] = x[row * 5 + 4] = 0.25f;
  const Quantise codec{.bits = 8, .range = RangePer::channel, .gradient_range = RangePer::channel};
  const auto trip = make_trip<float>(codec, x, x);
  CHECK(trip.up.size() == 5 * 8 + 12 * 3);
  CHECK(test::equal_bits(trip.came.values, group_by_group(x, RangePer::channel, 8)));
}

TEST_CASE("Quantise: the gradient has its own bits and ranges", "[codec]") {
  Rng rng{.seed = 3};
  const auto x = test::drawn<float>({2, 3, 8}, rng), g = test::drawn<float>({2, 3, 8}, rng);
  const Quantise codec{.bits = 8, .gradient_bits = 4, .range = RangePer::tensor};
  const auto trip = make_trip<float>(codec, x, g);
  CHECK(trip.up.size() == 8 + 48);
  CHECK(trip.down.size() == 6 * 8 + 24);
  CHECK(test::equal_bits(trip.gradient, group_by_group(g, RangePer::token, 4)));
}

TEST_CASE("Quantise: stochastic rounding draws once a number and is right on average", "[codec]") {
  Rng rng{.seed = 4};
  const auto x = test::drawn<double>({2, 3, 6}, rng);
  for (const RangePer per : all_ranges) {
    const Quantise codec{.bits = 2, .range = per, .rounding = Rounding::stochastic};
    Tensor<double> mean{x.shape()};
    constexpr int runs = 4000;
    for (int run = 0; run < runs; ++run) {
      std::vector<std::byte> out;
      const auto before = rng.position;
      encode<double>(codec, x.view(), out, rng);
      REQUIRE(rng.position == before + 36);
      const auto y = decode<double>(codec, out, x.shape()).values;
      for (Index i = 0; i < 36; ++i) mean[i] += y[i] / runs;
    }
    CHECK(test::apart(mean, x) < 0.05);
  }
  std::vector<std::byte> out;
  const auto before = rng.position;
  encode<double>(Quantise{}, x.view(), out, rng);
  CHECK(rng.position == before);
}

TEST_CASE("Quantise: number i has draw i, also by channel", "[codec]") {
  Rng numbers{.seed = 6};
  Tensor<float> x = test::drawn<float>({2, 3, 4}, numbers);
  for (float& value : x.span()) value = std::clamp(value + 1.5f, 0.0f, 3.0f);
  for (Index d = 0; d < 4; ++d) {  // all channels span what the tensor spans
    x[d] = 0;
    x[4 + d] = 3;
  }
  const auto rounded = [&](RangePer per) {
    const Quantise codec{.bits = 2, .range = per, .rounding = Rounding::stochastic};
    Rng rng{.seed = 7};
    std::vector<std::byte> out;
    encode<float>(codec, x.view(), out, rng);
    return decode<float>(codec, out, x.shape()).values;
  };
  CHECK(test::equal_bits(rounded(RangePer::channel), rounded(RangePer::tensor)));
}

TEST_CASE("Quantise: the same bits for any number of threads", "[codec]") {
  Rng rng{.seed = 5};
  const auto x = test::drawn<float>({6, 50, 190}, rng);
  for (const RangePer per : all_ranges)
    for (const Rounding rounding : {Rounding::nearest, Rounding::stochastic}) {
      const Quantise codec{.bits = 7, .range = per, .gradient_range = per, .rounding = rounding};
      const auto one = with_threads(1, [&] { return make_trip<float>(codec, x, x); });
      const auto many = with_threads(4, [&] { return make_trip<float>(codec, x, x); });
      CHECK(one.up == many.up);
      CHECK(one.down == many.down);
      CHECK(test::equal_bits(one.came.values, many.came.values));
    }
}

TEST_CASE("Quantise: bad options and hostile shapes", "[codec]") {
  Rng rng;
  std::vector<std::byte> out;
  const Tensor<float> x{{2}};
  for (const int bits : {0, -1, 17}) {
    CHECK_THROWS_AS(encode<float>(Quantise{.bits = bits}, x.view(), out, rng),
                    std::invalid_argument);
    CHECK_THROWS_AS(decode_gradient<float>(Quantise{.gradient_bits = bits}, out, {}, {2}),
                    std::invalid_argument);
  }
  constexpr Index huge = Index{1} << 60;
  for (const RangePer per : all_ranges) {
    const std::vector<std::byte> in(20, std::byte{1});
    CHECK(test::reason_of([&] { decode<float>(Quantise{.range = per}, in, {huge / 4, 2, 2}); }) ==
          Reason::truncated);
  }
  CHECK(Quantise{.bits = 4}.description() ==
        "q:4:gradient_bits=4:range=token:gradient_range=token:rounding=nearest");
}

}  // namespace splitvit::codec
