// SPDX-License-Identifier: MIT
#include <vector>

#include <splitvit/codec/cls_exact.hpp>
#include <splitvit/codec/half.hpp>
#include <splitvit/codec/quantise.hpp>
#include <splitvit/codec/top_k.hpp>

#include "codec/laws.hpp"

namespace splitvit::codec {
namespace {

using test::make_trip;

/// Tokens [first, last) of each sample of (B, N, D).
template <class T>
Tensor<T> tokens(const Tensor<T>& x, Index first, Index last) {
  Tensor<T> out{x.shape().with(1, last - first)};
  Index next = 0;
  for (Index i = 0; i < x.size(); ++i) {
    const Index token = i / x.dim(2) % x.dim(1);
    if (token >= first && token < last) out[next++] = x[i];
  }
  return out;
}

}  // namespace

static_assert(StraightThrough<ClsExact<Quantise>, float>);
static_assert(StraightThrough<ClsExact<Quantise, Float16>, double>);
static_assert(Codec<ClsExact<TopK<>>, float> && !StraightThrough<ClsExact<TopK<>>, float>);

TEMPLATE_TEST_CASE("ClsExact: CLS by one codec, the rest by another", "[codec]", float, double) {
  using T = TestType;
  Rng rng{.seed = 1};
  const auto x = test::drawn<T>({3, 5, 8}, rng), g = test::drawn<T>({3, 5, 8}, rng);
  const Quantise few{.bits = 3, .range = RangePer::tensor};
  const auto trip = make_trip<T>(ClsExact<Quantise>{few}, x, g);
  const auto rest = make_trip<T>(few, tokens(x, 1, 5), tokens(g, 1, 5));
  CHECK(test::equal_bits(tokens(trip.came.values, 0, 1), tokens(x, 0, 1)));
  CHECK(test::equal_bits(tokens(trip.gradient, 0, 1), tokens(g, 0, 1)));
  CHECK(test::equal_bits(tokens(trip.came.values, 1, 5), rest.came.values));
  CHECK(test::equal_bits(tokens(trip.gradient, 1, 5), rest.gradient));
  CHECK(trip.up.size() == 4 + sizeof(T) * 24 + rest.up.size());
  CHECK(trip.down.size() == 4 + sizeof(T) * 24 + rest.down.size());

  const auto half = make_trip<T>(ClsExact<Quantise, Float16>{few}, x, g);
  CHECK(half.up.size() == 4 + 48 + rest.up.size());
  // A rest with contexts.
  const auto sparse = make_trip<T>(ClsExact<TopK<>>{.rest = {.rate = 0.25}}, x, g);
  const auto alone = make_trip<T>(TopK<>{.rate = 0.25}, tokens(x, 1, 5), tokens(g, 1, 5));
  CHECK(test::equal_bits(tokens(sparse.gradient, 1, 5), alone.gradient));
}

TEST_CASE("ClsExact: CLS alone", "[codec]") {
  Rng rng{.seed = 2};
  const auto x = test::drawn<float>({3, 1, 8}, rng);
  const auto trip = make_trip<float>(ClsExact<Quantise>{}, x, x);
  CHECK(trip.up.size() == 96);
  CHECK(test::equal_bits(trip.came.values, x));
  CHECK(test::equal_bits(trip.gradient, x));
}

TEMPLATE_TEST_CASE("ClsExact: laws", "[codec]", float, double) {
  using T = TestType;
  test::check_laws<T>(ClsExact<Quantise>{}, {2, 4, 5});
  test::check_laws<T>(ClsExact<TopK<>, Float16>{.rest = {.rate = 0.3}}, {2, 4, 5});
  test::check_laws<T>(ClsExact<Quantise>{}, {2, 1, 5});
  test::check_extremes<T>(ClsExact<Quantise, Bfloat16>{}, {2, 3, 4});
}

TEST_CASE("ClsExact: misuse", "[codec]") {
  Rng rng;
  std::vector<std::byte> out;
  ClsExact<Float16, Float16> codec{};
  for (const Shape& shape : {Shape{4}, Shape{2, 3}, Shape{2, 0, 3}}) {
    const Tensor<float> x{shape};
    CHECK_THROWS_AS(encode<float>(codec, x.view(), out, rng), ShapeError);
    CHECK(test::reason_of([&] { decode<float>(codec, out, shape); }) == Reason::wrong_shape);
  }
  const auto large = Tensor<float>::full({1, 3, 2}, 1e9f);
  CHECK(saturated_values(encode<float>(codec, large.view(), out, rng)) == 6);
  CHECK(codec.description() == "cls-exact(float16:scaled=yes):cls=(float16:scaled=yes)");
}

}  // namespace splitvit::codec
