// SPDX-License-Identifier: MIT

#include <cstring>
#include <limits>
#include <vector>

#include <splitvit/codec/float32.hpp>

#include "support/catch.hpp"

namespace splitvit::codec {
namespace {

template <class F>
Reason reason_of(const F& f) {
  try {
    f();
  } catch (const WireError& error) {
    return error.reason();
  }
  FAIL("no WireError");
  return {};
}

}  // namespace

TEST_CASE("Float32: bytes worked by hand", "[codec]") {
  Rng rng;
  const Tensor<float> x{{1, 2}, std::vector<float>{1.0f, -2.5f}};
  std::vector<std::byte> out{std::byte{9}};  // what was there stays
  encode<float>(Float32{}, x.view(), out, rng);
  const std::vector<int> wanted{9, 0, 0, 0x80, 0x3F, 0, 0, 0x20, 0xC0};
  REQUIRE(out.size() == wanted.size());
  for (std::size_t i = 0; i < out.size(); ++i) CHECK(std::to_integer<int>(out[i]) == wanted[i]);
}

TEMPLATE_TEST_CASE("Float32: decode of encode is the value, both ways", "[codec]", float, double) {
  using T = TestType;
  using Limits = std::numeric_limits<T>;
  Rng rng{.seed = 1};
  Tensor<T> x{{3, 5, 2}};
  for (T& value : x.span()) value = static_cast<T>(rng.normal());
  x[0] = -T{0};
  x[1] = Limits::denorm_min();
  x[2] = Limits::max();
  x[3] = Limits::lowest();
  const Float32 codec;
  std::vector<std::byte> up, down;
  const Rng before = rng;
  const auto sent = encode<T>(codec, x.view(), up, rng);
  const auto decoded = decode<T>(codec, up, x.shape());
  encode_gradient<T>(codec, x.view(), decoded.context, down, rng);
  const auto gradient = decode_gradient<T>(codec, down, sent, x.shape());
  CHECK(up.size() == 30 * sizeof(T));
  CHECK(up == down);
  CHECK(decoded.values.shape() == x.shape());
  CHECK(std::memcmp(decoded.values.data(), x.data(), up.size()) == 0);
  CHECK(std::memcmp(gradient.data(), x.data(), up.size()) == 0);
  CHECK(rng.position == before.position);  // draws nothing
}

TEST_CASE("Float32: refuses other sizes before taking memory", "[codec]") {
  const std::vector<std::byte> in(24);
  const auto decoded = [&](const Shape& shape) {
    return reason_of([&] { decode<float>(Float32{}, in, shape); });
  };
  CHECK(decode<float>(Float32{}, in, {2, 3}).values.size() == 6);
  CHECK(decoded({2, 4}) == Reason::wrong_shape);
  CHECK(decoded({5}) == Reason::wrong_shape);
  CHECK(decoded({0}) == Reason::wrong_shape);
  CHECK(decoded({std::numeric_limits<Index>::max() / 2 + 4}) == Reason::wrong_shape);  // times 4: 8
  CHECK(reason_of([&] { decode<float>(Float32{}, std::span{in}.first(23), {2, 3}); }) ==
        Reason::wrong_shape);
  CHECK(reason_of([&] { decode_gradient<double>(Float32{}, in, {}, {2, 3}); }) ==
        Reason::wrong_shape);
}

TEMPLATE_TEST_CASE("Float32: refuses NaN and infinity", "[codec]", float, double) {
  using T = TestType;
  Rng rng;
  for (const T bad : {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity(),
                      -std::numeric_limits<T>::infinity()}) {
    Tensor<T> x{{3}};
    x[2] = bad;
    std::vector<std::byte> out;
    CHECK(reason_of([&] { encode<T>(Float32{}, x.view(), out, rng); }) == Reason::not_finite);
    CHECK(reason_of([&] { encode_gradient<T>(Float32{}, x.view(), {}, out, rng); }) ==
          Reason::not_finite);
    CHECK(out.empty());
    std::vector<std::byte> in(3 * sizeof(T));
    std::memcpy(in.data(), x.data(), in.size());
    CHECK(reason_of([&] { decode<T>(Float32{}, in, x.shape()); }) == Reason::not_finite);
    CHECK(reason_of([&] { decode_gradient<T>(Float32{}, in, {}, x.shape()); }) ==
          Reason::not_finite);
  }
}

}  // namespace splitvit::codec
