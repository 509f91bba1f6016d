// SPDX-License-Identifier: MIT
#include <cmath>
#include <numeric>
#include <set>
#include <stdexcept>
#include <vector>

#include <splitvit/codec/split_fc.hpp>
#include <splitvit/core/options.hpp>

#include "codec/laws.hpp"
#include "support/catch.hpp"

namespace splitvit::codec {
namespace {

using test::at;

double sum_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

/// Columns that deviate very differently, with values around an offset.
Tensor<double> uneven(Index B, Index N, Index D, Rng rng = {.seed = 5}) {
  Tensor<double> x{{B, N, D}};
  for (Index i = 0; i < x.size(); ++i)
    x[i] = 1.0 + rng.normal() * (0.1 + static_cast<double>(i % (N * D) % 7));
  return x;
}

}  // namespace

static_assert(Codec<SplitFc, float> && Codec<SplitFc, double> && Described<SplitFc>);

TEMPLATE_TEST_CASE("SplitFc: keeps the laws of codecs", "[codec]", float, double) {
  using T = TestType;
  for (const SplitFc& codec :
       {SplitFc{}, SplitFc{.keep = 1.0, .up_bits = 8}, SplitFc{.fill = SplitFcFill::mean},
        SplitFc{.keep = 0.2, .up_bits = 0.5, .end_bits = 16, .mean_bits = 1, .keep_cls = false}})
    for (const Shape& shape :
         {Shape{8, 5, 6}, Shape{1, 3, 4}, Shape{5, 1, 7}, Shape{6, 9}, Shape{4}}) {
      CAPTURE(codec.description(), shape.text());
      test::check_laws<T>(codec, shape);
      test::check_extremes<T>(codec, shape);
    }
}

TEST_CASE("SplitFc: probabilities grow with the deviation and sum to J", "[codec]") {
  const std::vector<double> known{1.0, 2.0, 10.0, 3.0};
  // J = 2: 10 has 1, and the others share 1 by 1 : 2 : 3
  CHECK(test::apart(detail::keep_probabilities(known, 2),
                    std::vector<double>{1.0 / 6, 2.0 / 6, 1.0, 0.5}) < 1e-15);
  // no more than J deviate: they are kept, the others share the rest
  CHECK(detail::keep_probabilities(std::vector<double>{0.0, 5.0, 0.0, 0.0}, 2) ==
        std::vector<double>{1.0 / 3, 1.0, 1.0 / 3, 1.0 / 3});
  CHECK(detail::keep_probabilities(known, 4) == std::vector<double>(4, 1.0));
  CHECK(detail::keep_probabilities(known, 0) == std::vector<double>(4, 0.0));

  Rng rng{.seed = 6};
  std::vector<double> deviations(500);
  for (double& v : deviations) v = rng.below(10) == 0 ? 0.0 : std::exp(2 * rng.normal());
  for (const Index J : {1, 50, 250, 440, 460, 499, 500}) {
    const auto p = detail::keep_probabilities(deviations, J);
    CHECK(sum_of(p) == Approx(static_cast<double>(J)).epsilon(1e-12));
    for (std::size_t i = 0; i < p.size(); ++i) {
      CHECK((p[i] >= 0 && p[i] <= 1));
      if (i > 0 && deviations[i] > deviations[i - 1]) CHECK(p[i] >= p[i - 1]);
    }
  }
}

TEST_CASE("SplitFc: exactly J columns are kept, each as often as it should be", "[codec]") {
  Rng rng{.seed = 7};
  std::vector<double> deviations(40);
  for (double& v : deviations) v = std::exp(rng.normal());
  const auto p = detail::keep_probabilities(deviations, 15);
  std::vector<double> times(p.size());
  constexpr int rounds = 20000;
  for (int round = 0; round < rounds; ++round) {
    const auto kept = detail::choose_columns(p, 15, rng.uniform());
    REQUIRE(kept.size() == 15);
    for (const std::uint32_t j : kept) times[j] += 1.0 / rounds;
  }
  for (std::size_t j = 0; j < p.size(); ++j)
    CHECK(std::abs(times[j] - p[j]) < 4 * std::sqrt(0.25 / rounds));
  for (const double u : {0.0, 0x1p-53, 1.0 - 0x1p-53})
    for (const Index J : {1, 7, 39})
      CHECK(detail::choose_columns(detail::keep_probabilities(deviations, J), J, u).size() ==
            at(J));
}

TEST_CASE("SplitFc: bits follow the logarithm of the range within the budget", "[codec]") {
  CHECK(detail::allot_bits(std::vector<double>{1.0, 0.25, 0.0}, 12) ==
        std::vector<std::uint8_t>{7, 5, 0});
  CHECK(detail::allot_bits(std::vector<double>{1.0, 1.0}, 3) == std::vector<std::uint8_t>{0, 0});
  CHECK(detail::allot_bits(std::vector<double>{0.0, 0.0}, 16) == std::vector<std::uint8_t>{0, 0});
  CHECK(detail::allot_bits(std::vector<double>{1.0, 1e-30}, 16) == std::vector<std::uint8_t>{8, 8});
  Rng rng{.seed = 8};
  std::vector<double> ranges(300);
  for (double& r : ranges) r = std::exp(3 * rng.normal());
  for (const double mean : {0.0, 0.1, 1.0, 3.5, 6.0, 8.0}) {
    const auto bits = detail::allot_bits(ranges, 300 * mean);
    const int sum = std::accumulate(bits.begin(), bits.end(), 0);
    CHECK(sum <= 300 * mean);
    CHECK(sum >= 300 * mean - 8);  // widths go up one after the other
  }
}

TEST_CASE("SplitFc: sends as many bytes as it says", "[codec]") {
  const auto x = uneven(16, 5, 8);
  const SplitFc codec{.up_bits = 6, .down_bits = 0, .fill = SplitFcFill::mean};
  std::vector<std::byte> up, down;
  Rng rng{.seed = 2};
  const auto sent = encode<double>(codec, x.view(), up, rng);
  CHECK(sent.columns.size() == 20);
  std::vector<std::byte> set;
  detail::put_index_sets(sent.columns, 20, 40, set);
  // Widths are 4 bits each, after the set, 2 * 40 bytes of means and two ranges of 16 bytes.
  const std::size_t begin = set.size() + 80 + 32;
  std::size_t wide = 0, bits = 0;
  for (std::size_t j = 0; j < 20; ++j) {
    const std::size_t width = std::to_integer<std::size_t>(up[begin + j / 2]) >> (4 * (j % 2)) & 15;
    bits += width;
    wide += width > 0 ? 1 : 0;
  }
  CHECK(bits <= 120);
  CHECK(bits >= 100);
  CHECK(up.size() == begin + 10 + 2 * wide + (20 - wide) + 16 * bits / 8);
  // No bits for gradients: 20 narrow columns.
  const auto came = decode<double>(codec, up, x.shape());
  encode_gradient<double>(codec, x.view(), came.context, down, rng);
  CHECK(down.size() == 32 + 10 + 20);
}

TEST_CASE("SplitFc: right on average over many draws", "[codec]") {
  const auto x = uneven(4, 3, 4), g = uneven(4, 3, 4, {.seed = 9});
  for (const SplitFcFill fill : {SplitFcFill::zero, SplitFcFill::mean}) {
    const SplitFc codec{
        .keep = 0.7, .up_bits = 8, .down_bits = 8, .end_bits = 16, .fill = fill, .keep_cls = false};
    Tensor<double> mean{x.shape()}, back{x.shape()};
    constexpr int rounds = 4000;
    for (int i = 0; i < rounds; ++i) {
      const auto trip =
          test::make_trip<double>(codec, x, g, Rng{.seed = 1000u + static_cast<std::uint64_t>(i)});
      for (Index j = 0; j < x.size(); ++j) {
        mean[j] += trip.came.values[j] / rounds;
        back[j] += trip.gradient[j] / rounds;
      }
    }
    CHECK(test::relative_error(mean, x) < 2e-3);
    CHECK(test::relative_error(back, g) < 2e-3);
  }
}

TEST_CASE("SplitFc: what is not kept is its base, and has no gradient", "[codec]") {
  const auto x = uneven(6, 4, 5), g = uneven(6, 4, 5, {.seed = 4});
  for (const SplitFcFill fill : {SplitFcFill::zero, SplitFcFill::mean}) {
    const auto trip = test::make_trip<double>(SplitFc{.keep = 0.5, .fill = fill}, x, g);
    CHECK(trip.sent.columns == trip.came.context.columns);
    const std::set<std::uint32_t> kept{trip.sent.columns.begin(), trip.sent.columns.end()};
    CHECK(kept.size() == 10);
    for (std::uint32_t j = 0; j < 5; ++j) CHECK(kept.contains(j));  // CLS
    for (std::uint32_t j = 0; j < 20; ++j) {
      if (kept.contains(j)) continue;
      double mean = 0;
      for (Index b = 0; b < 6; ++b) mean += x[b * 20 + j] / 6;
      for (Index b = 0; b < 6; ++b) {
        CHECK(trip.gradient[b * 20 + j] == 0.0);
        CHECK(trip.came.values[b * 20 + j] ==
              Approx(fill == SplitFcFill::zero ? 0.0 : mean).epsilon(1e-3));
      }
    }
  }
}

TEST_CASE("SplitFc: with everything kept constants are exact, and 8 bits are close", "[codec]") {
  for (const float value : {0.0f, 3.7f}) {
    const auto x = Tensor<float>::full({8, 3, 4}, value);
    const auto trip = test::make_trip<float>(SplitFc{.keep = 1.0}, x, x);
    CHECK(test::equal_bits(trip.came.values, x));
    CHECK(test::equal_bits(trip.gradient, x));
  }
  const auto x = uneven(16, 4, 6);
  double last = 1;
  for (const double bits : {3.0, 5.0, 7.0}) {
    const auto trip =
        test::make_trip<double>(SplitFc{.keep = 1.0, .up_bits = bits, .end_bits = 16}, x, x);
    const double error = test::relative_error(trip.came.values, x);
    CHECK(error < last / 8);
    last = error;
  }
}

TEST_CASE("SplitFc: equal seeds, equal bytes; another draw, other columns", "[codec]") {
  const auto x = uneven(6, 10, 8);
  const auto columns = [&](std::uint64_t seed) {
    std::vector<std::byte> out;
    Rng rng{.seed = seed};
    const auto sent = encode<double>(SplitFc{}, x.view(), out, rng);
    CHECK(rng.position == 1);
    return sent.columns;
  };
  CHECK(columns(1) == columns(1));
  CHECK(columns(1) != columns(2));
}

TEST_CASE("SplitFc: refuses options and shapes that make no sense", "[codec]") {
  Rng rng;
  std::vector<std::byte> out;
  const auto x = uneven(2, 3, 4);
  const auto refused = [&](const SplitFc& codec) {
    return test::text_of<std::invalid_argument>([&] { encode<double>(codec, x.view(), out, rng); });
  };
  CHECK_THAT(refused({.keep = 0}), ContainsSubstring("KEEP is 0"));
  CHECK_THAT(refused({.keep = 1.1}), ContainsSubstring("KEEP is 1.1"));
  CHECK_THAT(refused({.up_bits = 9}), ContainsSubstring("up_bits is 9"));
  CHECK_THAT(refused({.down_bits = -1}), ContainsSubstring("down_bits is -1"));
  CHECK_THAT(refused({.end_bits = 0}), ContainsSubstring("end_bits is 0"));
  CHECK_THAT(refused({.mean_bits = 17}), ContainsSubstring("mean_bits is 17"));
  const SplitFc codec;
  CHECK_THROWS_AS(encode<double>(codec, Tensor<double>{{0, 4}}.view(), out, rng), ShapeError);
  CHECK(out.empty());
  const auto sent = encode<double>(codec, x.view(), out, rng);
  const auto came = decode<double>(codec, out, x.shape());
  CHECK_THROWS_AS(encode_gradient<double>(codec, uneven(2, 4, 3).view(), came.context, out, rng),
                  ShapeError);
  CHECK(test::reason_of([&] { decode_gradient<double>(codec, out, sent, {2, 4, 3}); }) ==
        Reason::wrong_shape);
  for (const Shape& shape : {Shape{0, 3, 4}, Shape{}, Shape{1, Index{1} << 40}})
    CHECK(test::reason_of([&] { decode<double>(codec, out, shape); }) == Reason::wrong_shape);
  for (const Shape& shape : {Shape{Index{1} << 50, 3, 4}, Shape{2, Index{1} << 28, 4}})
    CHECK(test::reason_of([&] { decode<double>(codec, out, shape); }) == Reason::truncated);
}

}  // namespace splitvit::codec
