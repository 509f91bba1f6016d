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
  std::vector<std::byte> payload;
  ByteWriter out{payload};
  out.put(std::uint64_t{7});
  put_tensor<T>(payload, {2, 3, 4}, a);
  CHECK(payload.size() == 64 + 24 * sizeof(T));  // the numbers begin at a multiple of 64
  out.put_text("between");
  put_tensor<T>(payload, {}, b);
  put_tensor<T>(payload, {1, 1, 1, 24}, a);

  ByteReader in{payload};
  CHECK(in.get<std::uint64_t>() == 7);
  std::vector<T> back(24), scalar(1);
  get_tensor<T>(in, {2, 3, 4}, back, "a");
  CHECK(back == a);
  CHECK(in.get_text(100) == "between");
  get_tensor<T>(in, {}, scalar, "b");
  CHECK(scalar == b);
  get_tensor<T>(in, {1, 1, 1, 24}, back, "a");
  CHECK(back == a);
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

std::optional<Reason> payload_refusal(std::span<const std::byte> payload,
                                      const Shape& agreed = {2, 3}, std::string* text = nullptr) {
  std::vector<float> values(static_cast<std::size_t>(agreed.elements()));
  return reason_of<WireError>(
      [&] {
        ByteReader in{payload};
        get_tensor<float>(in, agreed, values, "tokens");
      },
      text);
}

}  // namespace

TEST_CASE("tensors: every type comes back", "[wire]") {
  check_round_trip<float>();
  check_round_trip<double>();
  check_round_trip<std::int32_t>();
  check_round_trip<std::uint8_t>();
}

TEST_CASE("tensors: the bytes of a known one", "[wire]") {
  const float values[] = {1.0f, -2.0f};
  std::vector<std::byte> payload;
  put_tensor<float>(payload, {1, 2}, values);
  REQUIRE(payload.size() == 72);
  const unsigned head[] = {1, 2, 1, 0, 0, 0, 2, 0, 0, 0, 0};
  for (std::size_t i = 0; i < std::size(head); ++i)
    CHECK(static_cast<unsigned>(payload[i]) == head[i]);
  const unsigned data[] = {0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0};
  for (std::size_t i = 0; i < 8; ++i) CHECK(static_cast<unsigned>(payload[64 + i]) == data[i]);
}

TEST_CASE("tensors: shapes that cannot be sent", "[wire]") {
  std::vector<std::byte> out;
  const auto values = counted<float>(4);
  CHECK_THROWS_AS(put_tensor<float>(out, {1, 1, 1, 1, 4}, values), ShapeError);
  CHECK_THROWS_AS(put_tensor<float>(out, {5}, values), ShapeError);
  CHECK_THROWS_AS(put_tensor<float>(out, {0}, {}), ShapeError);
  CHECK_THROWS_AS(put_tensor<float>(out, {(Index{1} << 24) + 1}, values), ShapeError);
  CHECK(out.empty());
}

TEST_CASE("tensors: NaN and infinity are neither sent nor taken", "[wire]") {
  using Limits = std::numeric_limits<double>;
  for (const double bad : {Limits::quiet_NaN(), -Limits::quiet_NaN(), Limits::signaling_NaN(),
                           Limits::infinity(), -Limits::infinity()})
    for (std::size_t at = 0; at < 9; ++at) {
      std::vector<double> values(9, Limits::max());
      values[at] = bad;
      std::vector<std::byte> out;
      CHECK(reason_of<WireError>([&] { put_tensor<double>(out, {9}, values); }) ==
            Reason::not_finite);
      put_tensor<double>(out, {9}, std::vector<double>(9));
      ByteWriter{out}.put_array(std::span<const double>{values});
      out.erase(out.begin() + 64, out.begin() + 64 + 9 * 8);  // the finite numbers
      ByteReader in{out};
      CHECK(reason_of<WireError>([&] { get_tensor<double>(in, {9}, values, "x"); }) ==
            Reason::not_finite);
    }
  const float extremes[] = {std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest(),
                            std::numeric_limits<float>::denorm_min(), -0.0f};
  std::vector<std::byte> out;
  CHECK_NOTHROW(put_tensor<float>(out, {4}, extremes));
}

TEST_CASE("tensors: another type or shape than agreed is refused", "[wire]") {
  using E = std::vector<std::uint32_t>;
  constexpr std::uint32_t most = 1u << 24, huge = 0xFFFFFFFFu;
  CHECK(payload_refusal(claim(1, 2, E{2, 3}, 24)) == std::nullopt);
  CHECK(payload_refusal(claim(2, 2, E{2, 3}, 48)) == Reason::wrong_shape);  // doubles
  CHECK(payload_refusal(claim(0, 2, E{2, 3}, 24)) == Reason::wrong_shape);
  CHECK(payload_refusal(claim(1, 5, E{2, 3, 1, 1, 1}, 24)) == Reason::wrong_shape);
  CHECK(payload_refusal(claim(1, 255, E{}, 24)) == Reason::truncated);
  CHECK(payload_refusal(claim(1, 255, E(255, 1), 24)) == Reason::wrong_shape);
  CHECK(payload_refusal(claim(1, 2, E{0, 3}, 24)) == Reason::wrong_shape);
  CHECK(payload_refusal(claim(1, 1, E{huge}, 24)) == Reason::wrong_shape);
  CHECK(payload_refusal(claim(1, 4, E{most, most, most, most}, 24)) == Reason::wrong_shape);
  CHECK(payload_refusal(claim(1, 2, E{2, 3}, 23)) == Reason::truncated);
  CHECK(payload_refusal({}) == Reason::truncated);
  std::string text;
  CHECK(payload_refusal(claim(1, 2, E{2, 3}, 24), {3, 2}, &text) == Reason::wrong_shape);
  CHECK(text == "tokens: shape (2, 3) came, (3, 2) was agreed");
}

TEST_CASE("tensors: every truncation is noticed", "[wire]") {
  std::vector<std::byte> payload;
  put_tensor<float>(payload, {2, 3}, counted<float>(6));
  for (std::size_t size = 0; size < payload.size(); ++size)
    CHECK(payload_refusal(std::span{payload}.first(size)) == Reason::truncated);
  CHECK(payload_refusal(payload) == std::nullopt);
}

TEST_CASE("tensors: padding must be zero, and the room must fit", "[wire]") {
  auto payload = claim(1, 2, std::vector<std::uint32_t>{2, 3}, 24);
  ByteReader in{payload};
  std::vector<float> too_small(5);
  CHECK_THROWS_AS(get_tensor<float>(in, {2, 3}, too_small, "tokens"), ShapeError);
  payload[40] = std::byte{1};
  CHECK(payload_refusal(payload) == Reason::malformed);
}
