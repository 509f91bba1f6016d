// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <vector>

#include <splitvit/codec/half.hpp>
#include <splitvit/core/parallel.hpp>

#include "codec/laws.hpp"

namespace splitvit::codec {
namespace {

using test::make_trip;
using test::tensor;

int byte(const std::vector<std::byte>& bytes, std::size_t i) {
  return std::to_integer<int>(bytes.at(i));
}

}  // namespace

static_assert(StraightThrough<Float16, float> && StraightThrough<Bfloat16, double>);

TEMPLATE_TEST_CASE("half: laws and sizes", "[codec]", float, double) {
  using T = TestType;
  for (const Shape& shape : {Shape{3, 5, 4}, Shape{1}, Shape{2, 70, 300}}) {
    Rng rng{.seed = 1};
    const auto x = test::drawn<T>(shape, rng);
    const auto M = static_cast<std::size_t>(shape.elements());
    const auto half = make_trip<T>(Float16{}, x, x), plain = make_trip<T>(Float16{false}, x, x);
    const auto brain = make_trip<T>(Bfloat16{}, x, x);
    CHECK(half.up.size() == 2 * M);
    CHECK(half.down.size() == 2 + 2 * M);
    CHECK(plain.down == half.up);
    CHECK(brain.up.size() == 2 * M);
    CHECK(brain.down == brain.up);
    for (Index i = 0; i < x.size(); ++i) {  // half a unit in the last place of 11 or 8 bits
      const auto size = std::abs(static_cast<double>(x[i])) + 0x1p-14;
      const auto off = [&](const Tensor<T>& y) {
        return std::abs(static_cast<double>(y[i] - x[i]));
      };
      REQUIRE(off(half.came.values) <= size * 0x1p-11);
      REQUIRE(off(half.gradient) <= size * 0x1p-11);
      REQUIRE(off(brain.came.values) <= size * 0x1p-8);
    }
  }
  test::check_laws<T>(Float16{}, {2, 3, 7});
  test::check_laws<T>(Float16{.scaled = false}, {2, 3, 7});
  test::check_laws<T>(Bfloat16{}, {2, 3, 7});
  test::check_extremes<T>(Float16{}, {2, 3});
  test::check_extremes<T>(Bfloat16{}, {2, 3});
}

TEST_CASE("half: bytes worked by hand", "[codec]") {
  const auto x = tensor<float>({3}, {1.0f, -2.0f, 0.0f});
  const auto half = make_trip<float>(Float16{}, x, x);
  CHECK(half.up == std::vector<std::byte>{std::byte{0}, std::byte{0x3C}, std::byte{0},
                                          std::byte{0xC0}, std::byte{0}, std::byte{0}});
  // The largest gradient is 2 = 2^1, so all are multiplied by 2^13.
  CHECK(byte(half.down, 0) == 13);
  CHECK(byte(half.down, 1) == 0);
  CHECK(byte(half.down, 3) == 0x70);  // 2^13 is 0x7000
  CHECK(test::equal_bits(half.gradient, x));
  CHECK(make_trip<float>(Bfloat16{}, x, x).up[1] == std::byte{0x3F});
}

TEST_CASE("half: numbers too large become the largest one and are counted", "[codec]") {
  Rng rng;
  std::vector<std::byte> out;
  const auto x = tensor<float>({5}, {65504.0f, 65505.0f, -1e30f, 3.4e38f, 1.0f});
  CHECK(saturated_values(encode<float>(Float16{}, x.view(), out, rng)) == 3);
  const auto came = decode<float>(Float16{}, out, x.shape()).values;
  CHECK(
      test::equal_bits(came, tensor<float>({5}, {65504.0f, 65504.0f, -65504.0f, 65504.0f, 1.0f})));
  out.clear();
  CHECK(saturated_values(encode<float>(Bfloat16{}, x.view(), out, rng)) == 1);
  CHECK(decode<float>(Bfloat16{}, out, x.shape()).values[3] == 0x1.FEp127f);
}

TEMPLATE_TEST_CASE("half: small gradients survive when scaled", "[codec]", float, double) {
  using T = TestType;
  Rng rng{.seed = 2};
  auto g = test::drawn<T>({4, 50}, rng);
  for (const double size : {1e-30, 1e-9, 1.0, 1e30}) {
    auto scaled = g;
    for (T& value : scaled.span()) value *= static_cast<T>(size);
    const auto trip = make_trip<T>(Float16{}, scaled, scaled);
    CHECK(test::relative_error(trip.gradient, scaled) < 1e-6);
  }
  for (T& value : g.span()) value *= T(1e-9);
  CHECK(test::relative_error(make_trip<T>(Float16{false}, g, g).gradient, g) == 1.0);
  const Tensor<T> zeros{{3}};
  CHECK(test::equal_bits(make_trip<T>(Float16{}, zeros, zeros).gradient, zeros));
}

TEST_CASE("half: hostile bytes are refused", "[codec]") {
  using test::reason_of;
  const auto decoded = [](std::size_t bytes, const Shape& shape) {
    const std::vector<std::byte> in(bytes);
    return reason_of([&] { decode<float>(Float16{}, in, shape); });
  };
  CHECK(decoded(12, {2, 3}) == std::nullopt);
  CHECK(decoded(11, {2, 3}) == Reason::wrong_shape);
  CHECK(decoded(12, {7}) == Reason::wrong_shape);
  CHECK(decoded(12, {std::numeric_limits<Index>::max() / 2 + 7}) == Reason::wrong_shape);
  for (const int exponent : {127, -127, 32767, -32768}) {
    std::vector<std::byte> in;
    ByteWriter{in}.put(static_cast<std::int16_t>(exponent));
    in.resize(4);
    CHECK(reason_of([&] { decode_gradient<float>(Float16{}, in, {}, {1}); }) == Reason::malformed);
  }
  const std::vector<std::byte> infinity{std::byte{0}, std::byte{0xFC}};
  CHECK(reason_of([&] { decode<float>(Float16{}, infinity, {1}); }) == Reason::not_finite);
  CHECK(reason_of([&] { decode<float>(Bfloat16{}, infinity, {1}); }) == std::nullopt);
}

TEST_CASE("half: the same bits for any number of threads", "[codec]") {
  Rng rng{.seed = 3};
  const auto x = test::drawn<float>({7, 30, 999}, rng);
  const auto one = with_threads(1, [&] { return make_trip<float>(Float16{}, x, x); });
  const auto many = with_threads(4, [&] { return make_trip<float>(Float16{}, x, x); });
  CHECK(one.up == many.up);
  CHECK(one.down == many.down);
  CHECK(test::equal_bits(one.gradient, many.gradient));
}

TEST_CASE("half: descriptions", "[codec]") {
  CHECK(Float16{}.description() == "float16:scaled=yes");
  CHECK(Bfloat16{}.description() == "bfloat16");
}

}  // namespace splitvit::codec
