// SPDX-License-Identifier: MIT
#include <stdexcept>
#include <vector>

#include <splitvit/codec/c3.hpp>
#include <splitvit/core/options.hpp>

#include "codec/laws.hpp"
#include "support/catch.hpp"

namespace splitvit::codec {

static_assert(Codec<C3, float> && Codec<C3, double> && Described<C3>);

TEMPLATE_TEST_CASE("C3: keeps the laws of codecs", "[codec]", float, double) {
  using T = TestType;
  for (const C3& codec :
       {C3{}, C3{.ratio = 1}, C3{.ratio = 2, .seed = 3, .unitary = true}, C3{.ratio = 9}})
    for (const Shape& shape : {Shape{8, 5, 6}, Shape{7, 3, 4}, Shape{1, 1, 2}, Shape{3, 7}}) {
      CAPTURE(codec.description(), shape.text());
      test::check_laws<T>(codec, shape);
      test::check_extremes<T>(codec, shape);
      const auto trip = test::make_trip<T>(codec, Tensor<T>{shape}, Tensor<T>{shape});
      const Index sums = (shape[0] + codec.ratio - 1) / codec.ratio;
      CHECK(trip.up.size() == sizeof(T) * test::at(sums * shape.elements() / shape[0]));
      CHECK(trip.down.size() == trip.up.size());
    }
}

TEST_CASE("C3: noise to signal is about R, and R - 1 with unitary keys", "[codec]") {
  Rng rng{.seed = 5};
  const auto x = test::drawn<float>({32, 20, 24}, rng), g = test::drawn<float>({32, 20, 24}, rng);
  for (const Index R : {2, 4, 8}) {
    CAPTURE(R);
    const auto random = test::make_trip<float>(C3{.ratio = R}, x, g);
    CHECK(test::relative_error(random.came.values, x) == Approx(R).epsilon(0.12));
    CHECK(test::relative_error(random.gradient, g) == Approx(R).epsilon(0.12));
    const auto unitary = test::make_trip<float>(C3{.ratio = R, .unitary = true}, x, g);
    CHECK(test::relative_error(unitary.came.values, x) == Approx(R - 1).epsilon(0.06));
    CHECK(test::relative_error(unitary.gradient, g) == Approx(R - 1).epsilon(0.06));
  }
}

TEST_CASE("C3: a ratio of 1 sends the numbers as they are", "[codec]") {
  Rng rng{.seed = 5};
  const auto x = test::drawn<float>({3, 4, 5}, rng), g = test::drawn<float>({3, 4, 5}, rng);
  const auto trip = test::make_trip<float>(C3{.ratio = 1, .unitary = true}, x, g);
  CHECK(test::equal_bits(trip.came.values, x));
  CHECK(test::equal_bits(trip.gradient, g));
}

TEST_CASE("C3: another seed, other bytes; draws nothing itself", "[codec]") {
  Rng rng{.seed = 5};
  const auto x = test::drawn<float>({4, 4, 5}, rng);
  std::vector<std::byte> one, two;
  C3 first, second{.seed = 1};
  const Rng before = rng;
  encode<float>(first, x.view(), one, rng);
  encode<float>(second, x.view(), two, rng);
  CHECK(one.size() == two.size());
  CHECK(one != two);
  CHECK(rng.position == before.position);
}

TEST_CASE("C3: nothing comes back as nothing", "[codec]") {
  for (const Shape& shape : {Shape{0, 3, 4}, Shape{3, 0, 4}}) {
    const auto trip = test::make_trip<float>(C3{}, Tensor<float>{shape}, Tensor<float>{shape});
    CHECK(trip.up.empty());
    CHECK(trip.came.values.shape() == shape);
  }
}

TEST_CASE("C3: refuses a ratio below 1 and shapes that do not fit the bytes", "[codec]") {
  Rng rng;
  std::vector<std::byte> out;
  const Tensor<float> x{{2, 3}};
  C3 wrong{.ratio = 0};
  CHECK_THAT(
      test::text_of<std::invalid_argument>([&] { encode<float>(wrong, x.view(), out, rng); }),
      ContainsSubstring("RATIO is 0, wanted a whole number from 1 to 65536"));
  CHECK_THROWS_AS(decode<float>(wrong, out, x.shape()), std::invalid_argument);
  C3 codec;
  CHECK_THROWS_AS(encode<float>(codec, Tensor<float>{Shape{}}.view(), out, rng), ShapeError);
  const std::vector<std::byte> in(12);
  CHECK(decode<float>(codec, in, {4, 3}).values.size() == 12);
  for (const Shape& shape :
       {Shape{5, 3}, Shape{4, 4}, Shape{}, Shape{Index{1} << 40, 3}, Shape{1, Index{1} << 61}})
    CHECK(test::reason_of([&] { decode<float>(codec, in, shape); }) == Reason::wrong_shape);
}

}  // namespace splitvit::codec
