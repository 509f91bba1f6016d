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
  for (const FedLite<>& codec : {FedLite<>{.sub_vectors = 12, .codewords = 5},
                                 FedLite<>{.sub_vectors = 6, .groups = 4, .codewords = 3},
                                 FedLite<>{.sub_vectors = 1, .codewords = 2},
                                 FedLite<>{.sub_vectors = 12, .groups = 12, .codewords = 64}})
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
  // 12 sub-vectors of 2 values: 120 of them with 6 codewords of 3 bits
  CHECK(bytes({.sub_vectors = 12, .codewords = 6}) == 4 + 6 * 2 * 4 + 120 * 3 / 8);
  // sub-vectors 0..3, 4..7 and 8..11 of 8: 3 + 3 + 2 of them; 27 + 27 + 18 bits in one section
  CHECK(bytes({.sub_vectors = 8, .groups = 3, .codewords = 5}) ==
        3 * (4 + 5 * 3 * 4) + (30 * 3 + 30 * 3 + 20 * 3 + 7) / 8);
}

TEST_CASE("FedLite: few distinct sub-vectors come back exactly, with as many codewords",
          "[codec]") {
  Tensor<float> x{{4, 6}};
  for (Index i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i / 2 % 3);
  const auto trip = test::make_trip<float>(FedLite<>{.sub_vectors = 3}, x, x);
  CHECK(test::equal_bits(trip.came.values, x));
  CHECK(trip.up.size() == 4 + 3 * 8 + 3);  // 12 codes of 2 bits
  const auto constant = Tensor<float>::full({4, 6}, -2.5f);
  const auto same = test::make_trip<float>(FedLite<>{.sub_vectors = 3}, constant, x);
  CHECK(test::equal_bits(same.came.values, constant));
  CHECK(same.up.size() == 4 + 8);  // one word: its number needs no bit
  CHECK(test::equal_bits(same.gradient, x));
}

TEST_CASE("FedLite: groups have codebooks of their own", "[codec]") {
  // Positions 0..1 hold 0 or 1, positions 2..3 hold 10 or 11: two codewords a group are enough.
  Tensor<float> x{{4, 4}};
  for (Index i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>((i % 4 < 2 ? 0 : 10) + (i / 4 % 2));
  CHECK(test::equal_bits(
      test::make_trip<float>(FedLite<>{.sub_vectors = 4, .groups = 2, .codewords = 2}, x, x)
          .came.values,
      x));
  CHECK_FALSE(test::equal_bits(
      test::make_trip<float>(FedLite<>{.sub_vectors = 4, .codewords = 2}, x, x).came.values, x));
}

TEST_CASE("FedLite: corrects the gradient by what was lost", "[codec]") {
  Rng rng{.seed = 9};
  const auto x = test::drawn<double>({5, 8}, rng), g = test::drawn<double>({5, 8}, rng);
  const auto trip = test::make_trip<double>(
      FedLite<>{.sub_vectors = 4, .codewords = 3, .correction = 0.25}, x, g);
  for (Index i = 0; i < x.size(); ++i)
    CHECK(trip.gradient[i] == Approx(g[i] + 0.25 * (x[i] - trip.came.values[i])));
}

TEST_CASE("FedLite: refuses options, shapes and bytes that do not fit", "[codec]") {
  Rng rng;
  std::vector<std::byte> out;
  const Tensor<float> x{{2, 6}};
  const auto refused = [&](const FedLite<>& codec) {
    return test::text_of<std::invalid_argument>([&] { encode<float>(codec, x.view(), out, rng); });
  };
  CHECK_THAT(refused({.sub_vectors = 4}),
             ContainsSubstring("4 sub-vectors do not divide the 6 values"));
  CHECK_THAT(refused({.sub_vectors = 0}), ContainsSubstring("VECTORS is 0"));
  CHECK_THAT(refused({.sub_vectors = 3, .groups = 4}),
             ContainsSubstring("groups is 4, wanted a whole number from 1 to 3"));
  CHECK_THAT(refused({.sub_vectors = 3, .codewords = 1}), ContainsSubstring("words is 1,"));
  CHECK_THAT(refused({.sub_vectors = 3, .codewords = 65537}), ContainsSubstring("words is 65537"));
  CHECK_THAT(refused({.sub_vectors = 3, .iterations = 0}), ContainsSubstring("iterations is 0"));
  CHECK_THAT(refused({.sub_vectors = 3, .correction = -1}), ContainsSubstring("correction is -1"));
  const FedLite<> codec{.sub_vectors = 3};
  CHECK_THROWS_AS(encode<float>(codec, Tensor<float>{{0, 3}}.view(), out, rng), ShapeError);
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
  const auto sent = encode<float>(codec, test::drawn<float>({2, 6}, rng).view(), up, rng);
  for (const Shape& shape : {Shape{2, 7}, Shape{0, 6}, Shape{}, Shape{Index{1} << 40, 4}})
    CHECK(test::reason_of([&] { decode<float>(codec, up, shape); }) == Reason::wrong_shape);
  CHECK(test::reason_of([&] { decode<float>(codec, up, {Index{1} << 40, 6}); }) ==
        Reason::truncated);
  CHECK(test::reason_of([&] { decode<float>(codec, up, {2, 3 * (Index{1} << 58)}); }) ==
        Reason::truncated);
  FedLite<> client = codec;
  CHECK(test::reason_of([&] {
          decode_gradient<float>(client, std::vector<std::byte>(48), sent, {3, 4});
        }) == Reason::wrong_shape);
}

}  // namespace splitvit::codec
