// SPDX-License-Identifier: MIT
#include <splitvit/codec/float32.hpp>
#include <splitvit/codec/half.hpp>
#include <splitvit/codec/quantise.hpp>
#include <splitvit/codec/two_way.hpp>

#include "codec/laws.hpp"

namespace splitvit::codec {

using test::make_trip;

static_assert(StraightThrough<TwoWay<Quantise, Float32>, float>);

TEMPLATE_TEST_CASE("TwoWay: up by one codec, down by another", "[codec]", float, double) {
  using T = TestType;
  Rng rng{.seed = 1};
  const auto x = test::drawn<T>({3, 5, 8}, rng), g = test::drawn<T>({3, 5, 8}, rng);
  const TwoWay<Quantise, Float16> codec{.up = {.bits = 3}};
  const auto trip = make_trip<T>(codec, x, g);
  const auto up = make_trip<T>(codec.up, x, g);
  const auto down = make_trip<T>(codec.down, x, g);
  CHECK(trip.up == up.up);
  CHECK(trip.down == down.down);
  CHECK(test::equal_bits(trip.came.values, up.came.values));
  CHECK(test::equal_bits(trip.gradient, down.gradient));
  test::check_laws<T>(codec, {2, 3, 4});
  test::check_extremes<T>(codec, {2, 3, 4});
}

TEST_CASE("TwoWay: counts what was too large; says what it does", "[codec]") {
  Rng rng;
  std::vector<std::byte> out;
  static TwoWay<Float16, Float32> codec{};
  const auto large = Tensor<float>::full({3}, 1e9f);
  CHECK(saturated_values(encode<float>(codec, large.view(), out, rng)) == 3);
  CHECK(codec.description() == "float16:scaled=yes/float32");
}

}  // namespace splitvit::codec
