// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <splitvit/codec/detail/range_quantiser.hpp>
#include <splitvit/core/parallel.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::codec::detail {
namespace {

using test::reason_of;

template <class T>
struct Coded {
  Range<T> range;
  std::vector<std::uint16_t> codes;
  std::vector<T> values;
};

template <class T>
Coded<T> coded(const std::vector<T>& values, int bits) {
  const std::span<const T> all{values};
  Coded<T> out{range_between(find_extremes(all), bits), std::vector<std::uint16_t>(values.size()),
               std::vector<T>(values.size())};
  if (out.range.scale != T{0}) quantise<T>(all, out.range, bits, out.codes.data(), to_nearest);
  dequantise<T>(out.codes.data(), out.range, bits, std::span{out.values});
  return out;
}

}  // namespace

TEMPLATE_TEST_CASE("range quantiser: halves go to the even code", "[codec]", float, double) {
  using T = TestType;
  const auto out = coded<T>({T(0), T(0.5), T(1), T(1.5), T(2), T(2.5), T(3)}, 2);
  CHECK(out.range.low == T(0));
  CHECK(out.range.scale == T(1));
  CHECK(out.codes == std::vector<std::uint16_t>{0, 0, 1, 2, 2, 2, 3});
  CHECK(out.values == std::vector<T>{0, 0, 1, 2, 2, 2, 3});
}

TEMPLATE_TEST_CASE("range quantiser: equal values come back exactly", "[codec]", float, double) {
  using T = TestType;
  for (const T value : {T(0), T(0.1), T(-7), std::numeric_limits<T>::max(),
                        std::numeric_limits<T>::lowest(), std::numeric_limits<T>::min()}) {
    const auto out = coded<T>(std::vector<T>(5, value), 3);
    CHECK(out.range.scale == T(0));
    CHECK(test::equal_bits(out.values, std::vector<T>(5, value)));
  }
  // -0 equals +0, and so does what is too small for full precision: always the same bits.
  const T tiny = std::numeric_limits<T>::denorm_min();
  for (const auto& zeros :
       {std::vector<T>{T(0), -T(0)}, {-T(0), T(0)}, {-T(0), -tiny}, {tiny, tiny}})
    CHECK(test::equal_bits(coded<T>(zeros, 8).values, std::vector<T>(2)));
}

TEMPLATE_TEST_CASE("range quantiser: half a scale off at most, ends exact", "[codec]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 2};
  for (int bits = 1; bits <= 16; ++bits)
    for (const double size : {1e-30, 1.0, 1e30}) {
      auto values = test::drawn_vector<T>(1 + rng.below(100), rng);
      for (T& value : values) value *= static_cast<T>(size);
      const auto out = coded(values, bits);
      const T low = *std::ranges::min_element(values), high = *std::ranges::max_element(values);
      CHECK(out.range.low == low);
      const double scale = static_cast<double>(out.range.scale);
      const double rounding =
          2 * test::unit<T> *
          std::max(std::abs(static_cast<double>(low)), std::abs(static_cast<double>(high)));
      for (std::size_t i = 0; i < values.size(); ++i) {
        REQUIRE(std::abs(static_cast<double>(out.values[i]) - static_cast<double>(values[i])) <=
                scale / 2 + rounding);
        REQUIRE(out.codes[i] < (1u << bits));
        if (values[i] == low) REQUIRE(out.values[i] == low);
      }
    }
}

TEMPLATE_TEST_CASE("range quantiser: the largest spans neither overflow nor lose half a scale",
                   "[codec]", float, double) {
  using T = TestType;
  constexpr T most = std::numeric_limits<T>::max();
  for (int bits = 1; bits <= 16; ++bits) {
    const std::vector<T> values{-most, most, T(0), most / 3, -most / 7};
    const auto out = coded(values, bits);
    for (std::size_t i = 0; i < values.size(); ++i) {
      REQUIRE(std::isfinite(out.values[i]));
      // Quarters, so that differences do not overflow.
      CHECK(std::abs(out.values[i] / 4 - values[i] / 4) <=
            out.range.scale / 8 * (1 + 8 * std::numeric_limits<T>::epsilon() * T(1 << bits)));
    }
  }
  // The largest number as the end of a range, and ranges that only a stranger would send.
  CHECK(coded<T>({most, most * T(0.75)}, 4).values[0] >= most * T(0.999));
  std::vector<std::uint16_t> codes{0, 1, 65535};
  std::vector<T> values(3);
  for (const Range<T> range :
       {Range<T>{most, most}, {-most, most}, {most, std::numeric_limits<T>::min()}}) {
    dequantise<T>(codes.data(), range, 16, std::span{values});
    for (const T value : values) CHECK(std::isfinite(value));
  }
}

TEST_CASE("range quantiser: a product is rounded once", "[codec]") {
  Rng rng{.seed = 3};
  for (int i = 0; i < 2000; ++i) {
    const auto code = static_cast<std::uint16_t>(rng.below(65536));
    const double scale = rng.normal(), wide = static_cast<double>(code) * scale;
    const float narrow = static_cast<float>(code) * static_cast<float>(scale);
    CHECK(product(code, std::abs(scale)) == std::abs(wide));
    CHECK(product(code, std::abs(static_cast<float>(scale))) == std::abs(narrow));
  }
}

TEMPLATE_TEST_CASE("range quantiser: the same bits where small numbers count as zero", "[codec]",
                   float, double) {
  using T = TestType;
  Rng rng{.seed = 4};
  auto values = test::drawn_vector<T>(64, rng);
  for (T& value : values) value *= least_scale<T> * T(4);
  const auto plain = coded(values, 2);
  CHECK(plain.range.scale > T(0));
  const FlushDenormals flush;
  const auto flushed = coded(values, 2);
  CHECK(plain.codes == flushed.codes);
  CHECK(test::equal_bits(plain.values, flushed.values));
}

TEST_CASE("range quantiser: stochastic rounding is right on average and leaves codes alone",
          "[codec]") {
  const Range<double> range{.low = -1, .scale = 0.5};
  const std::vector<double> values{-1, -0.9, -0.75, 0.0, 0.3, 0.5};  // codes 0, .2, .5, 2, 2.6, 3
  std::vector<double> sums(values.size());
  std::vector<std::uint16_t> codes(values.size());
  Rng rng{.seed = 6};
  const auto drawn = [](const Rng& draws) {
    return [&draws](double place, std::size_t i) {
      return rounded_by(draw_after(draws, static_cast<Index>(i)), place);
    };
  };
  constexpr int runs = 20000;
  for (int run = 0; run < runs; ++run) {
    quantise<double>(values, range, 2, codes.data(), drawn(rng));
    rng.position += values.size();
    CHECK(codes[0] == 0);
    CHECK(codes[3] == 2);
    CHECK(codes[5] == 3);
    for (std::size_t i = 0; i < codes.size(); ++i) sums[i] += codes[i];
  }
  CHECK(sums[1] / runs == Approx(0.2).margin(0.015));
  CHECK(sums[2] / runs == Approx(0.5).margin(0.015));
  CHECK(sums[4] / runs == Approx(2.6).margin(0.015));
}

TEMPLATE_TEST_CASE("range quantiser: ranges as bytes", "[codec]", float, double) {
  using T = TestType;
  using Limits = std::numeric_limits<T>;
  const auto read = [](T low, T scale) {
    std::vector<std::byte> bytes;
    ByteWriter writer{bytes};
    put_range<T>(writer, {low, scale});
    CHECK(bytes.size() == 2 * sizeof(T));
    ByteReader reader{bytes};
    return get_range<T>(reader);
  };
  CHECK(read(T(-3), T(0.5)).low == T(-3));
  CHECK(read(T(-3), T(0.5)).scale == T(0.5));
  CHECK(read(T(1), Limits::denorm_min()).scale == T(0));
  CHECK(reason_of([&] { read(T(0), T(-1)); }) == Reason::malformed);
  CHECK(reason_of([&] { read(Limits::infinity(), T(1)); }) == Reason::not_finite);
  CHECK(reason_of([&] { read(T(0), Limits::quiet_NaN()); }) == Reason::not_finite);
  CHECK(reason_of([&] {
          const std::vector<std::byte> bytes(2 * sizeof(T) - 1);
          ByteReader reader{bytes};
          get_range<T>(reader);
        }) == Reason::truncated);
}

}  // namespace splitvit::codec::detail
