// SPDX-License-Identifier: MIT
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <vector>

#include <splitvit/codec/sl_fac.hpp>
#include <splitvit/core/options.hpp>

#include "codec/laws.hpp"
#include "support/catch.hpp"

namespace splitvit::codec {

static_assert(Codec<SlFac, float> && Codec<SlFac, double> && Described<SlFac>);

TEMPLATE_TEST_CASE("SlFac: keeps the laws of codecs", "[codec]", float, double) {
  using T = TestType;
  for (const SlFac& codec :
       {SlFac{}, SlFac{.theta = 1.0, .mid_bits = 16, .min_bits = 1, .max_bits = 16},
        SlFac{.theta = 0.5, .grid = TokenGrid{2, 3}}})
    for (const Shape& shape : {Shape{4, 7, 5}, Shape{1, 2, 3}, Shape{3, 1, 4}, Shape{1, 1, 1}}) {
      CAPTURE(codec.description(), shape.text());
      test::check_laws<T>(codec, shape);
      test::check_extremes<T>(codec, shape);
    }
}

TEMPLATE_TEST_CASE("SlFac: coefficients keep energy, order and inverse", "[codec]", float, double) {
  using T = TestType;
  struct Case {
    Index h, w;
  };
  for (const auto& [h, w] : {Case{12, 1}, Case{3, 4}, Case{1, 1}, Case{14, 14}}) {
    CAPTURE(h, w);
    Rng rng{.seed = 4};
    const Index B = 3, D = 20, count = h * w;
    const auto x = test::drawn<T>({B, count + 1, D}, rng);
    const detail::TokenSpectra spectra{x.shape(), h, w};
    const auto values = spectra.forward(x.view());
    REQUIRE(values.shape() == Shape{D, count, B});
    double before = 0, after = 0;
    for (Index i = 0; i < x.size(); ++i)
      if (i / D % (count + 1) != 0) before += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    for (const T v : values.span()) after += static_cast<double>(v) * static_cast<double>(v);
    CHECK(after == Approx(before).epsilon(100 * test::unit<T>));
    Tensor<T> back = x;
    for (T& v : back.span()) v = T{9};
    spectra.inverse(values, back);
    for (Index i = 0; i < x.size(); ++i) {
      const double wanted = i / D % (count + 1) == 0 ? 9.0 : static_cast<double>(x[i]);
      CHECK(static_cast<double>(back[i]) == Approx(wanted).margin(20 * test::unit<T>));
    }
  }
}

TEST_CASE("SlFac: frequencies ascend by their sum, then by the first one", "[codec]") {
  // One cosine a sample: frequency (u, v) of a grid of 3 rows and 4 columns.
  constexpr Index h = 3, w = 4;
  const std::vector<std::pair<int, int>> order{{0, 0}, {0, 1}, {1, 0}, {0, 2}, {1, 1}, {2, 0},
                                               {0, 3}, {1, 2}, {2, 1}, {1, 3}, {2, 2}, {2, 3}};
  for (std::size_t place = 0; place < order.size(); ++place) {
    CAPTURE(place);
    Tensor<double> x{{1, 1 + h * w, 1}};
    for (Index r = 0; r < h; ++r)
      for (Index c = 0; c < w; ++c)
        x[1 + r * w + c] =
            std::cos(std::numbers::pi * static_cast<double>((2 * r + 1) * order[place].first) / 6) *
            std::cos(std::numbers::pi * static_cast<double>((2 * c + 1) * order[place].second) / 8);
    const auto values = detail::TokenSpectra{x.shape(), h, w}.forward<double>(x.view());
    for (Index i = 0; i < h * w; ++i)
      CHECK((std::abs(values[i]) > 0.1) == (i == static_cast<Index>(place)));
  }
}

TEST_CASE("SlFac: bytes and bits worked by hand", "[codec]") {
  // Two channels, two samples, T = 4. Channel 0: a constant token of 2 and of -2 makes
  // coefficient 0 +-4; channel 1 alternates, +-1/4 in all samples: highest frequency only.
  Tensor<float> x{{2, 5, 2}};
  for (Index b = 0; b < 2; ++b)
    for (Index t = 0; t < 5; ++t) {
      x[(b * 5 + t) * 2] = b == 0 ? 2.0f : -2.0f;
      x[(b * 5 + t) * 2 + 1] = 0.0f;
    }
  std::vector<std::byte> up;
  Rng rng;
  encode<float>(SlFac{}, x.view(), up, rng);
  // CLS 2 * 2 * 4; two channels with u16, u8 and two ranges; channel 0 has f = 1: energy 32 in
  // 2 numbers, 16 times the mean of 16 numbers, half of it: log2(8) / 2 = 1.5, 5.5 -> 6 bits.
  CHECK(up.size() == 16 + 2 * (2 + 1 + 16) + 2);  // 2 codes of 6 bits; all else is constant
  CHECK(up[16] == std::byte{1});
  CHECK(up[18] == std::byte{5 | 1 << 4});
  CHECK(up[16 + 19] == std::byte{1});               // no energy: f = 1
  CHECK(up[16 + 19 + 2] == std::byte{1 | 1 << 4});  // and min_bits
  const auto came = decode<float>(SlFac{}, up, x.shape());
  CHECK(test::apart(came.values, x) < 1e-6);
}

TEST_CASE("SlFac: a high part that is empty has no range", "[codec]") {
  Rng rng{.seed = 6};
  const auto x = test::drawn<float>({2, 6, 3}, rng);
  const auto trip = test::make_trip<float>(SlFac{.theta = 1.0, .min_bits = 4, .max_bits = 4}, x, x);
  // f = T or less where the sum is reached by rounding; here all coefficients count
  CHECK(trip.up.size() == 4 * 2 * 3 + 3 * (2 + 1 + 8) + 3 * 5 * 2 * 4 / 8);
}

TEST_CASE("SlFac: CLS is exact; N = 1 is CLS alone; constants are nearly exact", "[codec]") {
  Rng rng{.seed = 7};
  const auto x = test::drawn<float>({5, 9, 4}, rng);
  const auto trip = test::make_trip<float>(SlFac{}, x, x);
  for (Index b = 0; b < 5; ++b)
    for (Index d = 0; d < 4; ++d) {
      CHECK(trip.came.values[b * 36 + d] == x[b * 36 + d]);
      CHECK(trip.gradient[b * 36 + d] == x[b * 36 + d]);
    }
  const auto alone = test::drawn<float>({5, 1, 4}, rng);
  const auto cls = test::make_trip<float>(SlFac{}, alone, alone);
  CHECK(test::equal_bits(cls.came.values, alone));
  CHECK(cls.up.size() == 80);
  const auto same = Tensor<float>::full({5, 9, 4}, 1.75f);
  CHECK(test::apart(test::make_trip<float>(SlFac{}, same, same).came.values, same) < 1e-6);
}

TEST_CASE("SlFac: smooth tokens take fewer bits for less error", "[codec]") {
  Rng rng{.seed = 8};
  Tensor<float> smooth{{8, 50, 6}};
  for (Index b = 0; b < 8; ++b)
    for (Index d = 0; d < 6; ++d) {
      const double phase = rng.uniform(0, 6), slope = rng.uniform(1, 3);
      for (Index t = 0; t < 50; ++t)
        smooth[(b * 50 + t) * 6 + d] =
            static_cast<float>(std::sin(phase + slope * static_cast<double>(t) / 25));
    }
  const auto rough = test::drawn<float>({8, 50, 6}, rng);
  const SlFac codec{.theta = 0.999};
  const auto easy = test::make_trip<float>(codec, smooth, smooth);
  const auto hard = test::make_trip<float>(codec, rough, rough);
  CHECK(easy.up.size() < hard.up.size() * 4 / 5);
  CHECK(test::relative_error(easy.came.values, smooth) <
        0.5 * test::relative_error(hard.came.values, rough));
}

TEST_CASE("SlFac: a grid that does not fit is not guessed", "[codec]") {
  Rng rng{.seed = 9};
  const auto x = test::drawn<float>({2, 7, 3}, rng);
  const auto bytes = [&](std::optional<TokenGrid> grid) {
    return test::make_trip<float>(SlFac{.grid = grid}, x, x).up;
  };
  CHECK(bytes(TokenGrid{2, 4}) == bytes({}));
  CHECK(bytes(TokenGrid{6, 1}) == bytes({}));
  CHECK(bytes(TokenGrid{2, 3}) != bytes({}));
}

TEST_CASE("SlFac: refuses options and shapes that make no sense", "[codec]") {
  Rng rng;
  std::vector<std::byte> out;
  const Tensor<float> x{{2, 3, 4}};
  const auto refused = [&](const SlFac& codec) {
    return test::text_of<std::invalid_argument>([&] { encode<float>(codec, x.view(), out, rng); });
  };
  CHECK_THAT(refused({.theta = 0}), ContainsSubstring("THETA is 0"));
  CHECK_THAT(refused({.theta = 1.5}), ContainsSubstring("THETA is 1.5"));
  CHECK_THAT(refused({.mid_bits = 0}), ContainsSubstring("mid_bits is 0"));
  CHECK_THAT(refused({.min_bits = 9}), ContainsSubstring("min_bits is 9"));
  CHECK_THAT(refused({.max_bits = 17}), ContainsSubstring("max_bits is 17"));
  CHECK_THAT(refused({.grid = TokenGrid{0, 3}}), ContainsSubstring("grid is 0x3"));
  for (const Shape& shape : {Shape{2, 3}, Shape{2, 0, 3}, Shape{1, 65537, 1}})
    CHECK_THROWS_AS(encode<float>(SlFac{}, Tensor<float>{shape}.view(), out, rng), ShapeError);
  CHECK(out.empty());
  encode<float>(SlFac{}, test::drawn<float>({2, 3, 4}, rng).view(), out, rng);
  for (const Shape& shape : {Shape{2, 12}, Shape{2, 0, 4}, Shape{2, 65537, 4}})
    CHECK(test::reason_of([&] { decode<float>(SlFac{}, out, shape); }) == Reason::wrong_shape);
  for (const Shape& shape : {Shape{Index{1} << 45, 3, 4}, Shape{2, 3, Index{1} << 50},
                             Shape{1, 1, Index{1} << 62}, Shape{1, 1, (Index{1} << 62) + 1}})
    CHECK(test::reason_of([&] { decode<float>(SlFac{}, out, shape); }) == Reason::truncated);
}

}  // namespace splitvit::codec
