// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <numeric>

#include <splitvit/wire/tensor_payload.hpp>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace splitvit;
using namespace splitvit::wire;
using test::reason_of;

namespace {

template <class T>
std::vector<T> counted(std::size_t n) {
  std::vector<T> values(n);
  std::iota(values.begin(), values.end(), T{1});
  return values;
}

template <class T>
void check_round_trip() {
  const auto a = counted<T>(24), b = counted<T>(1);
  PayloadWriter out;
  out.put(std::uint64_t{7});
  out.put_tensor<T>({2, 3, 4}, a);
  out.put_text("between");
  out.put_tensor<T>({}, b);
  out.put_tensor<T>({1, 1, 1, 24}, a);
  const auto payload = out.gather();
  CHECK(payload.size() == out.size());

  PayloadReader in{payload};
  CHECK(in.get<std::uint64_t>() == 7);
  std::vector<T> back(24);
  const auto first = in.get_tensor<T>();
  CHECK(first.shape == Shape{2, 3, 4});
  CHECK((first.bytes.data() - payload.data()) % 64 == 0);
  first.copy_to(back);
  CHECK(back == a);
  CHECK(in.get_text(100) == "between");
  const auto scalar = in.get_tensor<T>();
  CHECK(scalar.shape == Shape{});
  CHECK((scalar.bytes.data() - payload.data()) % 64 == 0);
  CHECK(in.get_tensor<T>().shape == Shape{1, 1, 1, 24});
  CHECK_NOTHROW(in.expect_end());
}

/// A payload that claims these extents, with `data` zero bytes behind the padding.
std::vector<std::byte> claim(unsigned dtype, unsigned rank, std::span<const std::uint32_t> extents,
                             std::size_t data) {
  std::vector<std::byte> payload;
  ByteWriter out{payload};
  out.put(static_cast<std::uint8_t>(dtype));
  out.put(static_cast<std::uint8_t>(rank));
  for (const std::uint32_t extent : extents) out.put(extent);
  while (payload.size() % 64 != 0) out.put(std::uint8_t{0});
  payload.resize(payload.size() + data);
  return payload;
}

std::optional<Reason> payload_refusal(std::span<const std::byte> payload) {
  return reason_of<WireError>([&] { PayloadReader{payload}.get_tensor<float>(); });
}

}  // namespace

TEST_CASE("PayloadWriter, PayloadReader: tensors of every type come back", "[wire]") {
  check_round_trip<float>();
  check_round_trip<double>();
  check_round_trip<std::int32_t>();
  check_round_trip<std::uint8_t>();
}

TEST_CASE("PayloadWriter: the bytes of a known tensor", "[wire]") {
  const float values[] = {1.0f, -2.0f};
  PayloadWriter out;
  out.put_tensor<float>({1, 2}, values);
  const auto payload = out.gather();
  REQUIRE(payload.size() == 72);
  const unsigned head[] = {1, 2, 1, 0, 0, 0, 2, 0, 0, 0, 0};
  for (std::size_t i = 0; i < std::size(head); ++i)
    CHECK(static_cast<unsigned>(payload[i]) == head[i]);
  const unsigned data[] = {0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0};
  for (std::size_t i = 0; i < 8; ++i) CHECK(static_cast<unsigned>(payload[64 + i]) == data[i]);
}

TEST_CASE("PayloadWriter: lends the numbers of a tensor instead of copying them", "[wire]") {
  const auto values = counted<float>(1000);
  PayloadWriter out;
  out.put_tensor<float>({1000}, values);
  const auto parts = out.parts();
  if constexpr (std::endian::native == std::endian::little) {
    REQUIRE(parts.size() == 2);
    CHECK(parts[1].data() == std::as_bytes(std::span{values}).data());
  }
}

TEST_CASE("PayloadWriter: shapes that cannot be sent", "[wire]") {
  PayloadWriter out;
  const auto values = counted<float>(4);
  CHECK_THROWS_AS(out.put_tensor<float>({1, 1, 1, 1, 4}, values), ShapeError);
  CHECK_THROWS_AS(out.put_tensor<float>({5}, values), ShapeError);
  CHECK_THROWS_AS(out.put_tensor<float>({0}, {}), ShapeError);
  CHECK_THROWS_AS(out.put_tensor<float>({(Index{1} << 24) + 1}, values), ShapeError);
  CHECK(out.size() == 0);
}

TEST_CASE("tensors: NaN and infinity are neither sent nor taken", "[wire]") {
  using Limits = std::numeric_limits<double>;
  for (const double bad : {Limits::quiet_NaN(), -Limits::quiet_NaN(), Limits::signaling_NaN(),
                           Limits::infinity(), -Limits::infinity()})
    for (std::size_t at = 0; at < 9; ++at) {
      std::vector<double> values(9, Limits::max());
      values[at] = bad;
      PayloadWriter out;
      CHECK(reason_of<WireError>([&] { out.put_tensor<double>({9}, values); }) ==
            Reason::not_finite);
      const TensorPayload<double> tensor{Shape{9}, std::as_bytes(std::span{values})};
      CHECK(reason_of<WireError>([&] { tensor.copy_to(values); }) == Reason::not_finite);
    }
  const float extremes[] = {std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest(),
                            std::numeric_limits<float>::denorm_min(), -0.0f};
  PayloadWriter out;
  CHECK_NOTHROW(out.put_tensor<float>({4}, extremes));
}

TEST_CASE("PayloadReader: hostile shapes are refused before anything is allocated", "[wire]") {
  using E = std::vector<std::uint32_t>;
  constexpr std::uint32_t most = 1u << 24, huge = 0xFFFFFFFFu;
  CHECK(payload_refusal(claim(1, 2, E{2, 3}, 24)) == std::nullopt);
  CHECK(payload_refusal(claim(2, 2, E{2, 3}, 48)) == Reason::wrong_shape);  // doubles
  CHECK(payload_refusal(claim(0, 2, E{2, 3}, 24)) == Reason::wrong_shape);
  CHECK(payload_refusal(claim(1, 5, E{1, 1, 1, 1, 1}, 4)) == Reason::wrong_shape);
  CHECK(payload_refusal(claim(1, 255, E{}, 4)) == Reason::wrong_shape);
  CHECK(payload_refusal(claim(1, 2, E{0, 3}, 24)) == Reason::wrong_shape);
  CHECK(payload_refusal(claim(1, 1, E{most + 1}, 24)) == Reason::wrong_shape);
  CHECK(payload_refusal(claim(1, 1, E{huge}, 24)) == Reason::wrong_shape);
  CHECK(payload_refusal(claim(1, 1, E{most}, 24)) == Reason::truncated);
  CHECK(payload_refusal(claim(1, 4, E{most, most, most, most}, 24)) ==
        Reason::truncated);  // 2^98 bytes
  CHECK(payload_refusal(claim(1, 4, E{1u << 16, 1u << 16, 1u << 16, 1u << 16}, 0)) ==
        Reason::truncated);
  CHECK(payload_refusal(claim(1, 2, E{2, 3}, 23)) == Reason::truncated);
  CHECK(payload_refusal({}) == Reason::truncated);
}

TEST_CASE("PayloadReader: every truncation is noticed", "[wire]") {
  const auto values = counted<float>(6);
  PayloadWriter out;
  out.put_tensor<float>({2, 3}, values);
  const auto payload = out.gather();
  for (std::size_t size = 0; size < payload.size(); ++size)
    CHECK(payload_refusal(std::span{payload}.first(size)) == Reason::truncated);
  CHECK(payload_refusal(payload) == std::nullopt);
}

TEST_CASE("PayloadReader: padding must be zero", "[wire]") {
  auto payload = claim(1, 1, std::vector<std::uint32_t>{2}, 8);
  payload[40] = std::byte{1};
  CHECK(payload_refusal(payload) == Reason::malformed);
}

TEST_CASE("TensorPayload: another shape than agreed", "[wire]") {
  const auto payload = claim(1, 2, std::vector<std::uint32_t>{2, 3}, 24);
  const auto tensor = PayloadReader{payload}.get_tensor<float>();
  CHECK_NOTHROW(tensor.require_shape({2, 3}, "tokens"));
  std::string text;
  CHECK(reason_of<WireError>([&] { tensor.require_shape({3, 2}, "tokens"); }, &text) ==
        Reason::wrong_shape);
  CHECK(text == "tokens: shape (2, 3) came, (3, 2) was agreed");
  std::vector<float> too_small(5);
  CHECK_THROWS_AS(tensor.copy_to(too_small), ShapeError);
}
