// SPDX-License-Identifier: MIT
#include <limits>
#include <span>
#include <stdexcept>
#include <vector>

#include <splitvit/codec/fedlite.hpp>

#include "codec/laws.hpp"
#include "support/catch.hpp"

namespace splitvit::codec {

static_assert(Codec<FedLite<>, float> && Codec<FedLite<>, double> && Described<FedLite<>>);

TEMPLATE_TEST_CASE("FedLite: keeps the laws of codecs", "[codec]", float, double) {
  using T = TestType;
  for (const FedLite<>& codec :
       {FedLite<>{.pieces = 12, .words = 5}, FedLite<>{.pieces = 6, .groups = 4, .words = 3},
        FedLite<>{.pieces = 1, .words = 2}, FedLite<>{.pieces = 12, .groups = 12, .words = 64}})
    for (const Shape& shape : {Shape{8, 6, 4}, Shape{1, 2, 6}, Shape{7, 12}}) {
      CAPTURE(codec.description(), shape.text());
      test::check_laws<T>(codec, shape);
      test::check_extremes<T>(codec, shape);
    }
}

TEST_CASE("FedLite: sends as many bytes as it says", "[codec]") {
  Rng rng{.seed = 4};
  const auto x = test::drawn<float>({10, 6, 4}, rng);
  const auto bytes = [&](const FedLite<>& codec) {
    const auto trip = test::make_trip<float>(codec, x, x);
    CHECK(trip.down.size() == 960);
    return trip.up.size();
  };
  // 12 pieces of 2 values: 120 pieces in 6 words of 3 bits
  CHECK(bytes({.pieces = 12, .words = 6}) == 4 + 6 * 2 * 4 + 120 * 3 / 8);
  // pieces 0..3, 4..7 and 8..11 of 8 pieces: 3 + 3 + 2 of them; 27 + 27 + 18 bits in one section
  CHECK(bytes({.pieces = 8, .groups = 3, .words = 5}) ==
        3 * (4 + 5 * 3 * 4) + (30 * 3 + 30 * 3 + 20 * 3 + 7) / 8);
}

TEST_CASE("FedLite: few distinct pieces come back exactly, in as many words", "[codec]") {
  Tensor<float> x{{4, 6}};
  for (Index i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i / 2 % 3);
  const auto trip = test::make_trip<float>(FedLite<>{.pieces = 3}, x, x);
  CHECK(test::equal_bits(trip.came.values, x));
  CHECK(trip.up.size() == 4 + 3 * 8 + 3);  // 12 codes of 2 bits
  const auto constant = Tensor<float>::full({4, 6}, -2.5f);
  const auto same = test::make_trip<float>(FedLite<>{.pieces = 3}, constant, x);
  CHECK(test::equal_bits(same.came.values, constant));
  CHECK(same.up.size() == 4 + 8);  // one word: its number needs no bit
  CHECK(test::equal_bits(same.gradient, x));
}

TEST_CASE("FedLite: groups have words of their own", "[codec]") {
  // Positions 0..1 hold 0 or 1, positions 2..3 hold 10 or 11: two words a group are enough.
  Tensor<float> x{{4, 4}};
  for (Index i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>((i % 4 < 2 ? 0 : 10) + (i / 4 % 2));
  CHECK(test::equal_bits(
      test::make_trip<float>(FedLite<>{.pieces = 4, .groups = 2, .words = 2}, x, x).came.values,
      x));
  CHECK_FALSE(test::equal_bits(
      test::make_trip<float>(FedLite<>{.pieces = 4, .words = 2}, x, x).came.values, x));
}

TEST_CASE("FedLite: corrects the gradient by what was lost", "[codec]") {
  Rng rng{.seed = 9};
  const auto x = test::drawn<double>({5, 8}, rng), g = test::drawn<double>({5, 8}, rng);
  const auto trip =
      test::make_trip<double>(FedLite<>{.pieces = 4, .words = 3, .correction = 0.25}, x, g);
  for (Index i = 0; i < x.size(); ++i)
    CHECK(trip.gradient[i] == Approx(g[i] + 0.25 * (x[i] - trip.came.values[i])));
}

TEST_CASE("FedLite: refuses options, shapes and bytes that do not fit", "[codec]") {
  Rng rng;
  std::vector<std::byte> out;
  const Tensor<float> x{{2, 6}};
  const auto refused = [&](const FedLite<>& codec) {
    return test::text_of<std::invalid_argument>([&] { codec.encode<float>(x.view(), out, rng); });
  };
  CHECK_THAT(refused({.pieces = 4}), ContainsSubstring("4 pieces do not divide the 6 values"));
  CHECK_THAT(refused({.pieces = 0}), ContainsSubstring("0 pieces"));
  CHECK_THAT(refused({.pieces = 3, .groups = 4}), ContainsSubstring("4 groups of 3 pieces"));
  CHECK_THAT(refused({.pieces = 3, .words = 1}), ContainsSubstring("1 words"));
  CHECK_THAT(refused({.pieces = 3, .words = 65537}), ContainsSubstring("65537 words"));
  CHECK_THAT(refused({.pieces = 3, .iterations = 0}), ContainsSubstring("0 iterations"));
  CHECK_THAT(refused({.pieces = 3, .correction = -1}), ContainsSubstring("correction is -1"));
  const FedLite<> codec{.pieces = 3};
  CHECK_THROWS_AS(codec.encode<float>(Tensor<float>{{0, 3}}.view(), out, rng), ShapeError);
  CHECK_THROWS_AS(codec.encode_with<float>(x.view(), {}, out), ShapeError);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Tensor<float> book{{2, 2}};
    book[2] = bad;
    CHECK(test::reason_of([&] { codec.encode_with<float>(x.view(), std::span{&book, 1}, out); }) ==
          Reason::not_finite);
  }
  CHECK(out.empty());

  std::vector<std::byte> up;
  const auto sent = codec.encode<float>(test::drawn<float>({2, 6}, rng).view(), up, rng);
  for (const Shape& shape : {Shape{2, 7}, Shape{0, 6}, Shape{}, Shape{Index{1} << 40, 4}})
    CHECK(test::reason_of([&] { codec.decode<float>(up, shape); }) == Reason::wrong_shape);
  CHECK(test::reason_of([&] { codec.decode<float>(up, {Index{1} << 40, 6}); }) ==
        Reason::truncated);
  CHECK(test::reason_of([&] { codec.decode<float>(up, {2, 3 * (Index{1} << 58)}); }) ==
        Reason::truncated);
  FedLite<> client = codec;
  CHECK(test::reason_of([&] {
          client.decode_gradient<float>(std::vector<std::byte>(48), sent, {3, 4});
        }) == Reason::wrong_shape);
}

}  // namespace splitvit::codec
