// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <vector>

#include <splitvit/codec/float32.hpp>
#include <splitvit/codec/quantise.hpp>
#include <splitvit/codec/token_scaled.hpp>
#include <splitvit/codec/top_k.hpp>

#include "codec/laws.hpp"

namespace splitvit::codec {

using test::make_trip;
using test::tensor;

static_assert(StraightThrough<TokenScaled<Quantise>, float>);
static_assert(Codec<TokenScaled<TopK<>>, float> && !StraightThrough<TokenScaled<TopK<>>, float>);

TEST_CASE("TokenScaled: bytes worked by hand", "[codec]") {
  const auto x = tensor<float>({1, 3, 2}, {1, -4, 0, 0, 0.5f, 0.25f});
  const auto trip = make_trip<float>(TokenScaled<Float32>{}, x, x);
  std::vector<std::byte> wanted;
  ByteWriter writer{wanted};
  for (const float v : {4.0f, 1.0f, 0.5f}) writer.put(v);                      // scales
  for (const float v : {0.25f, -1.0f, 0.0f, 0.0f, 1.0f, 0.5f}) writer.put(v);  // quotients
  CHECK(trip.up == wanted);
  CHECK(trip.down == wanted);
  CHECK(test::equal_bits(trip.came.values, x));
}

TEMPLATE_TEST_CASE("TokenScaled: tokens of any size share a range", "[codec]", float, double) {
  using T = TestType;
  Rng rng{.seed = 1};
  auto g = test::drawn<T>({4, 10, 32}, rng);
  for (Index i = 0; i < g.size(); ++i)
    g[i] *= static_cast<T>(std::pow(10.0, static_cast<double>(i / 32 % 7) - 6));
  const Quantise shared{.bits = 8, .gradient_range = RangePer::tensor};
  const auto plain = make_trip<T>(shared, g, g);
  const auto scaled = make_trip<T>(TokenScaled<Quantise>{shared}, g, g);
  CHECK(scaled.down.size() == 40 * sizeof(T) + plain.down.size());
  for (Index row = 0; row < 40; ++row) {
    const Shape one{32};
    const auto own = [&](const Tensor<T>& from) {
      return Tensor<T>{one, from.span().subspan(test::at(row * 32), 32)};
    };
    CHECK(test::relative_error(own(scaled.gradient), own(g)) < 1e-4);
  }
}

TEMPLATE_TEST_CASE("TokenScaled: laws", "[codec]", float, double) {
  using T = TestType;
  test::check_laws<T>(TokenScaled<Quantise>{}, {2, 3, 4});
  test::check_laws<T>(TokenScaled<TopK<>>{.inner = {.rate = 0.5}}, {2, 3, 4});
  test::check_extremes<T>(TokenScaled<Quantise>{}, {2, 3, 4});
  test::check_extremes<T>(TokenScaled<Float32>{}, {2, 3, 4});
  const Tensor<T> empty{{2, 0, 4}};
  CHECK(make_trip<T>(TokenScaled<Float32>{}, empty, empty).up.empty());
}

TEST_CASE("TokenScaled: hostile scales are refused, large ones stay finite", "[codec]") {
  using Limits = std::numeric_limits<float>;
  const auto decoded = [](float scale, float quotient) {
    std::vector<std::byte> in;
    ByteWriter writer{in};
    writer.put(scale);
    writer.put(quotient);
    return decode<float>(TokenScaled<Float32>{}, in, {1, 1, 1}).values[0];
  };
  using test::reason_of;
  CHECK(decoded(2.0f, 0.75f) == 1.5f);
  CHECK(decoded(Limits::max(), -2.0f) == Limits::lowest());
  for (const float scale : {0.0f, -1.0f, Limits::denorm_min()})
    CHECK(reason_of([&] { decoded(scale, 1.0f); }) == Reason::malformed);
  CHECK(reason_of([&] { decoded(Limits::infinity(), 1.0f); }) == Reason::not_finite);
  CHECK(reason_of([&] { decoded(Limits::quiet_NaN(), 1.0f); }) == Reason::not_finite);
  const std::vector<std::byte> in(8);
  CHECK(reason_of([&] { decode<float>(TokenScaled<Float32>{}, in, {Index{1} << 60, 1}); }) ==
        Reason::truncated);
  CHECK(TokenScaled<Float32>{}.description() == "scaled(float32)");
}

}  // namespace splitvit::codec
