// SPDX-License-Identifier: MIT
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include <splitvit/core/parallel.hpp>
#include <splitvit/core/random.hpp>
#include <splitvit/kernel/float16.hpp>

#include "support/catch.hpp"

namespace splitvit::kernel {
namespace {

/// What 16 bits mean, by the definition of the format.
template <int E, int M>
double meaning(std::uint16_t bits) {
  const int exponent = bits >> M & ((1 << E) - 1), mantissa = bits & ((1 << M) - 1);
  const int bias = (1 << (E - 1)) - 1;
  const double size = exponent == 0 ? std::ldexp(mantissa, 1 - bias - M)
                                    : std::ldexp(mantissa + (1 << M), exponent - bias - M);
  return bits & 0x8000 ? -size : size;
}

template <class Type, int e, int m>
struct Kind {
  using T = Type;
  using Format = SmallFloat<e, m>;
  static double meant(std::uint16_t bits) { return meaning<e, m>(bits); }
};

template <class C>
void check_all_patterns() {
  using T = typename C::T;
  using Format = typename C::Format;
  for (std::uint32_t all = 0; all < 0x10000; ++all) {
    const auto bits = static_cast<std::uint16_t>(all);
    if (!Format::is_finite(bits)) {
      REQUIRE((bits & 0x7FFF) >= Format::infinity);
      continue;
    }
    const T value = Format::template to<T>(bits);
    REQUIRE(std::bit_cast<std::uint64_t>(static_cast<double>(value)) ==
            std::bit_cast<std::uint64_t>(C::meant(bits)));
    REQUIRE(Format::from(value) == bits);
    REQUIRE(!Format::saturates(value));
  }
}

template <class C>
void check_halfway_cases() {
  using T = typename C::T;
  using Format = typename C::Format;
  constexpr T infinity = std::numeric_limits<T>::infinity();
  for (std::uint16_t bits = 0; bits + 1 < Format::infinity; ++bits) {
    const auto next = static_cast<std::uint16_t>(bits + 1);
    const auto half = static_cast<T>((C::meant(bits) + C::meant(next)) / 2);
    const std::uint16_t even = bits % 2 == 0 ? bits : next;
    REQUIRE(Format::from(half) == even);
    REQUIRE(Format::from(-half) == (even | 0x8000));
    REQUIRE(Format::from(std::nextafter(half, T(0))) == bits);
    REQUIRE(Format::from(std::nextafter(half, infinity)) == next);
  }
}

template <class C>
void check_saturation() {
  using T = typename C::T;
  using Format = typename C::Format;
  const std::uint16_t top = Format::infinity - 1;
  const auto most = static_cast<T>(C::meant(top));
  const T more = std::nextafter(most, std::numeric_limits<T>::infinity());
  for (const T value : {more, std::numeric_limits<T>::max(), std::numeric_limits<T>::infinity()}) {
    CHECK(Format::from(value) == top);
    CHECK(Format::from(-value) == (top | 0x8000));
    CHECK(Format::saturates(value));
    CHECK(Format::saturates(-value));
  }
  CHECK(!Format::saturates(-most));
}

template <class C>
void check_all() {
  check_all_patterns<C>();
  check_halfway_cases<C>();
  check_saturation<C>();
}

}  // namespace

TEST_CASE("half and brain floats: every pattern, every halfway case, saturation", "[kernel]") {
  check_all<Kind<float, 5, 10>>();
  check_all<Kind<double, 5, 10>>();
  check_all<Kind<float, 8, 7>>();
  check_all<Kind<double, 8, 7>>();
}

TEST_CASE("half and brain floats: the same bits where small numbers count as zero", "[kernel]") {
  Rng rng{.seed = 1};
  for (int i = 0; i < 20000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(rng.bits()));
    const auto bits = static_cast<std::uint16_t>(rng.bits());
    const auto half = HalfFloat::from(value), brain = BrainFloat::from(value);
    const auto back = std::bit_cast<std::uint32_t>(BrainFloat::to<float>(bits));
    const auto wide = std::bit_cast<std::uint32_t>(HalfFloat::to<float>(bits & 0x83FF));
    const FlushDenormals flush;
    REQUIRE(HalfFloat::from(value) == half);
    REQUIRE(BrainFloat::from(value) == brain);
    REQUIRE(std::bit_cast<std::uint32_t>(BrainFloat::to<float>(bits)) == back);
    REQUIRE(std::bit_cast<std::uint32_t>(HalfFloat::to<float>(bits & 0x83FF)) == wide);
  }
}

TEST_CASE("half floats: known values", "[kernel]") {
  CHECK(HalfFloat::from(1.0f) == 0x3C00);
  CHECK(HalfFloat::from(-2.0) == 0xC000);
  CHECK(HalfFloat::from(65504.0f) == 0x7BFF);
  CHECK(HalfFloat::from(65520.0f) == 0x7BFF);  // would be infinity
  CHECK(HalfFloat::from(5.9604645e-8f) == 0x0001);
  CHECK(HalfFloat::from(0.1f) == 0x2E66);
  CHECK(BrainFloat::from(1.0f) == 0x3F80);
  CHECK(BrainFloat::from(3.1415927f) == 0x4049);
}

TEST_CASE("BrainFloat: the value of all bits", "[kernel]") {
  CHECK(BrainFloat::value<float>(0x3f80) == 1.0f);
  CHECK(BrainFloat::value<float>(0xc040) == -3.0f);
  CHECK(BrainFloat::value<float>(0x7f80) == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(BrainFloat::value<float>(0x7fc0)));
}

TEST_CASE("HalfFloat: the value of normal, tiny and special bits", "[kernel]") {
  CHECK(HalfFloat::value<float>(0x3c00) == 1.0f);
  CHECK(HalfFloat::value<float>(0xc248) == -3.140625f);
  CHECK(HalfFloat::value<float>(0x7bff) == 65504.0f);
  CHECK(HalfFloat::value<float>(0x0400) == 0x1p-14f);
  CHECK(HalfFloat::value<float>(0x0001) == 0x1p-24f);
  CHECK(HalfFloat::value<float>(0x03ff) == 1023 * 0x1p-24f);
  CHECK(HalfFloat::value<float>(0x8000) == 0.0f);
  CHECK(std::signbit(HalfFloat::value<float>(0x8000)));
  CHECK(HalfFloat::value<float>(0xfc00) == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(HalfFloat::value<float>(0x7e00)));
}

}  // namespace splitvit::kernel
