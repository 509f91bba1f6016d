// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include <splitvit/codec/sl_acc.hpp>
#include <splitvit/core/error.hpp>
#include <splitvit/core/options.hpp>
#include <splitvit/core/state.hpp>

#include "codec/laws.hpp"
#include "support/catch.hpp"

namespace splitvit::codec {
namespace {

/// Channel d spreads `widths[d]` times as wide as the first one.
Tensor<float> spread(Index B, Index N, const std::vector<float>& widths, Rng rng = {.seed = 2}) {
  const auto D = static_cast<Index>(widths.size());
  auto x = test::drawn<float>({B, N, D}, rng);
  for (Index i = 0; i < x.size(); ++i) x[i] *= widths[test::at(i % D)];
  return x;
}

}  // namespace

static_assert(Codec<SlAcc, float> && Codec<SlAcc, double> && Described<SlAcc>);

TEMPLATE_TEST_CASE("SlAcc: keeps the laws of codecs", "[codec]", float, double) {
  using T = TestType;
  for (const SlAcc& codec :
       {SlAcc{}, SlAcc{.groups = 1}, SlAcc{.groups = 16, .min_bits = 1, .max_bits = 16},
        SlAcc{.direction = -1, .range = SlAccRange::channel}})
    for (const Shape& shape : {Shape{4, 5, 7}, Shape{1, 1, 3}, Shape{2, 9, 1}, Shape{6}}) {
      CAPTURE(codec.description(), shape.text());
      test::check_laws<T>(codec, shape);
      test::check_extremes<T>(codec, shape);
    }
}

TEST_CASE("SlAcc: wide channels get few bits, or many in the other direction", "[codec]") {
  const auto x = spread(8, 20, {0.1f, 9.0f, 0.1f, 3.0f, 1.0f, 9.0f});
  std::vector<std::byte> up;
  Rng rng;
  SlAcc codec{.groups = 4};
  encode<float>(codec, x.view(), up, rng);
  // u8 4, then ids of 2 bits, bits 2 4 6 8 by ascending entropy
  REQUIRE(up.size() > 7);
  CHECK(up[0] == std::byte{4});
  const int ids = std::to_integer<int>(up[1]) + 256 * std::to_integer<int>(up[2]);
  CHECK(ids == (3 | 0 << 2 | 3 << 4 | 1 << 6 | 2 << 8 | 0 << 10));
  for (const std::size_t g : {0u, 1u, 2u, 3u})
    CHECK(std::to_integer<std::size_t>(up[3 + g]) == 2 + 2 * g);
  // ranges of 4 groups, 160 values a channel
  CHECK(up.size() == 1 + 2 + 4 + 4 * 8 + 160 * (2 + 2 + 4 + 6 + 8 + 8) / 8);

  std::vector<std::byte> reversed;
  SlAcc other{.groups = 4, .direction = -1, .range = SlAccRange::channel};
  encode<float>(other, x.view(), reversed, rng);
  for (const std::size_t g : {0u, 1u, 2u, 3u})
    CHECK(std::to_integer<std::size_t>(reversed[3 + g]) == 8 - 2 * g);
  CHECK(reversed.size() == 1 + 2 + 4 + 6 * 8 + 160 * (8 + 8 + 6 + 4 + 2 + 2) / 8);
}

TEST_CASE("SlAcc: one group has bits of the middle, halves to even", "[codec]") {
  const auto x = spread(2, 6, {1.0f, 2.0f});
  const auto bits = [&](int min, int max) {
    std::vector<std::byte> up;
    Rng rng;
    encode<float>(SlAcc{.groups = 1, .min_bits = min, .max_bits = max}, x.view(), up, rng);
    return std::to_integer<int>(up[1]);
  };
  CHECK(bits(2, 8) == 5);
  CHECK(bits(2, 9) == 6);
  CHECK(bits(2, 7) == 4);
  CHECK(bits(3, 6) == 4);
}

TEST_CASE("SlAcc: a step can be taken again from a copy, or from stored state", "[codec]") {
  Rng rng{.seed = 6};
  SlAcc codec;
  const auto step = [&](SlAcc& by) {
    Rng numbers{.seed = 7};
    const auto x = test::drawn<float>({3, 2, 5}, numbers);
    std::vector<std::byte> up, down;
    encode<float>(by, x.view(), up, rng);
    encode_gradient<float>(by, x.view(), {}, down, rng);
    up.insert(up.end(), down.begin(), down.end());
    return up;
  };
  codec.history.forward = {0, 1, 0, 1, 0.5};  // not what the step finds
  SlAcc before = codec, stored;
  set_state_bytes(stored, state_bytes(codec));
  const auto bytes = step(codec);
  CHECK(state_bytes(codec) != state_bytes(before));
  CHECK(step(before) == bytes);
  CHECK(step(stored) == bytes);
  CHECK(state_bytes(before) == state_bytes(codec));

  // A tensor that is refused leaves the state as it was.
  const auto bad = Tensor<float>::full({3, 2, 5}, std::numeric_limits<float>::infinity());
  std::vector<std::byte> up;
  CHECK_THROWS_AS(encode<float>(codec, bad.view(), up, rng), WireError);
  CHECK(state_bytes(before) == state_bytes(codec));
}

TEST_CASE("SlAcc: blends with the history of its side, which a checkpoint can keep", "[codec]") {
  const auto x = spread(4, 9, {0.1f, 5.0f, 1.0f}), later = spread(4, 9, {5.0f, 0.1f, 1.0f});
  Rng rng;
  SlAcc codec{.groups = 3, .blend = 0.75};
  std::vector<std::byte> out;
  encode<float>(codec, x.view(), out, rng);
  CHECK(codec.history.backward.empty());
  REQUIRE(codec.history.forward.size() == 3);
  const auto first = codec.history.forward;
  CHECK(first[1] < first[2]);
  CHECK(first[2] < first[0]);

  SlAcc restored{.groups = 3, .blend = 0.75, .history = {.forward = first, .backward = {}}};
  SlAcc fresh{.groups = 3, .blend = 0.75};
  std::vector<std::byte> a, b, c;
  encode<float>(codec, later.view(), a, rng);
  encode<float>(restored, later.view(), b, rng);
  encode<float>(fresh, later.view(), c, rng);
  CHECK(a == b);
  CHECK(a != c);
  for (std::size_t d = 0; d < 3; ++d)
    CHECK(codec.history.forward[d] == Approx(0.75 * first[d] + 0.25 * fresh.history.forward[d]));

  encode_gradient<float>(codec, x.view(), {}, out, rng);
  CHECK(codec.history.backward == first);
  encode<float>(codec, spread(4, 9, {1.0f, 2.0f}).view(), out, rng);  // another width: anew
  CHECK(codec.history.forward.size() == 2);
}

TEST_CASE("SlAcc: constants come back exactly and have no codes", "[codec]") {
  for (const float value : {0.0f, -3.25f}) {
    const auto x = Tensor<float>::full({3, 4, 5}, value);
    const auto trip = test::make_trip<float>(SlAcc{}, x, x);
    CHECK(test::equal_bits(trip.came.values, x));
    CHECK(trip.up.size() == 1 + 0 + 1 + 8);  // all channels are alike: one group
  }
  auto x = spread(3, 4, {1.0f, 1.0f, 1.0f});
  for (Index i = 1; i < x.size(); i += 3) x[i] = 7.5f;
  const auto trip = test::make_trip<float>(SlAcc{.range = SlAccRange::channel}, x, x);
  for (Index i = 1; i < x.size(); i += 3) CHECK(trip.came.values[i] == 7.5f);
}

TEST_CASE("SlAcc: more bits, less error", "[codec]") {
  const auto x = spread(16, 20, {0.1f, 0.5f, 1.0f, 2.0f, 4.0f, 8.0f, 1.5f, 0.7f});
  double last = 1;
  for (const int bits : {4, 6, 8, 10, 12}) {
    const auto trip = test::make_trip<float>(SlAcc{.min_bits = bits, .max_bits = bits}, x, x);
    const double error = test::relative_error(trip.came.values, x);
    CHECK(error < last / 8);  // two bits: sixteen times less
    last = error;
  }
}

TEST_CASE("SlAcc: refuses options and shapes that make no sense", "[codec]") {
  Rng rng;
  std::vector<std::byte> out;
  const Tensor<float> x{{2, 3, 4}};
  const auto refused = [&](SlAcc codec) {
    return test::text_of<std::invalid_argument>([&] { encode<float>(codec, x.view(), out, rng); });
  };
  CHECK_THAT(refused({.groups = 0}), ContainsSubstring("GROUPS is 0"));
  CHECK_THAT(refused({.groups = 17}), ContainsSubstring("GROUPS is 17"));
  CHECK_THAT(refused({.min_bits = 0}), ContainsSubstring("min_bits is 0"));
  CHECK_THAT(refused({.max_bits = 17}), ContainsSubstring("max_bits is 17"));
  CHECK_THAT(refused({.min_bits = 9}),
             ContainsSubstring("min_bits is 9, wanted a whole number from 1 to 8"));
  CHECK_THAT(refused({.blend = 1}), ContainsSubstring("blend is 1"));
  CHECK_THAT(refused({.direction = 0}), ContainsSubstring("direction is 0"));
  SlAcc codec;
  CHECK_THROWS_AS(encode<float>(codec, Tensor<float>{{2, 0, 4}}.view(), out, rng), ShapeError);
  encode<float>(codec, x.view(), out, rng);
  const auto reason = [&](const Shape& shape) {
    return test::reason_of([&] { decode<float>(codec, out, shape); });
  };
  CHECK(reason({0, 3, 4}) == Reason::wrong_shape);
  CHECK(decode<float>(codec, out, {Index{1} << 10, 3, 4}).values.size() == 12288);  // no codes
  std::vector<std::byte> codes;
  encode<float>(codec, spread(2, 3, {1.0f, 2.0f}).view(), codes, rng);
  for (const Shape& shape : {Shape{Index{1} << 50, 3, 2}, Shape{2, 3, Index{1} << 55}})
    CHECK(test::reason_of([&] { decode<float>(codec, codes, shape); }) == Reason::truncated);
}

}  // namespace splitvit::codec
