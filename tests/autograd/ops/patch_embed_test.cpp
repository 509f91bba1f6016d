// SPDX-License-Identifier: MIT
#include <splitvit/autograd/ops/patch_embed.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

namespace splitvit {
namespace {

/// 0, 1, 2, ...
template <class T>
Tensor<T> counted(const Shape& shape) {
  Tensor<T> out{shape};
  for (Index i = 0; i < out.size(); ++i) out[i] = static_cast<T>(i);
  return out;
}

}  // namespace

using test::drawn;
using test::equal_bits;
using test::probe;
using test::tensor;

TEMPLATE_TEST_CASE("patches: left to right, top to bottom, channel by channel", "[autograd]", float,
                   double) {
  using T = TestType;
  const auto images = Variable<T>::parameter(counted<T>({1, 2, 2, 4}));
  const auto rows = patches(images, 2);
  CHECK(equal_bits(rows.value(), tensor<T>({1, 2, 8}, {0, 1, 4, 5, 8, 9, 12, 13,  //
                                                       2, 3, 6, 7, 10, 11, 14, 15})));
  backward(rows, rows.value());  // every pixel is in one patch, so its gradient comes back to it
  CHECK(equal_bits(images.gradient(), images.value()));
  CHECK(equal_bits(patches(images, 1).value().reshaped({1, 8, 2}),
                   tensor<T>({1, 8, 2}, {0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15})));
}

TEMPLATE_TEST_CASE("patch_embed: is a convolution whose stride is its size", "[autograd]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 15};
  const Index B = 2, C = 3, height = 6, width = 9, P = 3, D = 5;
  const auto x = drawn<T>({B, C, height, width}, rng), w = drawn<T>({D, C, P, P}, rng),
             b = drawn<T>({D}, rng);
  Tensor<double> plain{{B, 6, D}};
  for (Index s = 0; s < B; ++s)
    for (Index py = 0; py < height / P; ++py)
      for (Index px = 0; px < width / P; ++px)
        for (Index d = 0; d < D; ++d) {
          auto sum = static_cast<double>(b[d]);
          for (Index c = 0; c < C; ++c)
            for (Index y = 0; y < P; ++y)
              for (Index u = 0; u < P; ++u)
                sum += static_cast<double>(
                           x[((s * C + c) * height + py * P + y) * width + px * P + u]) *
                       static_cast<double>(w[((d * C + c) * P + y) * P + u]);
          plain[(s * 6 + py * 3 + px) * D + d] = sum;
        }
  const auto y = patch_embed(Variable<T>{x}, Variable<T>{w}, Variable<T>{b});
  CHECK(test::apart(y.value(), plain) <= 32 * test::unit<T>);
}

TEST_CASE("patch_embed: gradients agree with finite differences", "[autograd]") {
  Rng rng{.seed = 16};
  using V = Variable<double>;
  const auto x = drawn<double>({2, 2, 4, 2}, rng), w = drawn<double>({3, 2, 2, 2}, rng),
             b = drawn<double>({3}, rng);
  CHECK(gradcheck([&](const V& v) { return probe(patches(v, 2)); }, x));
  CHECK(gradcheck([&](const V& v) { return probe(patch_embed(v, V{w}, V{b})); }, x));
  CHECK(gradcheck([&](const V& v) { return probe(patch_embed(V{x}, v, V{b})); }, w));
  CHECK(gradcheck([&](const V& v) { return probe(patch_embed(V{x}, V{w}, v)); }, b));
}

TEST_CASE("patch_embed: misuse", "[autograd]") {
  const auto of = [](const Shape& shape) { return Variable<float>{Tensor<float>{shape}}; };
  CHECK(test::text_of<ShapeError>([&] { patches(of({1, 3, 8, 9}), 4); }) ==
        "patches: images (1, 3, 8, 9) in patches of 4: wanted (B, channels, H, W) with H and W "
        "multiples of the patch");
  CHECK_THROWS_AS(patches(of({1, 3, 8, 8}), 0), ShapeError);
  CHECK_THROWS_AS(patches(of({3, 8, 8}), 4), ShapeError);
  const std::string wanted = ", bias (5): wanted (B, channels, H, W), (D, channels, P, P), (D)";
  CHECK(test::text_of<ShapeError>([&] {
          patch_embed(of({1, 3, 8, 8}), of({5, 1, 4, 4}), of({5}));
        }) == "patch_embed: images (1, 3, 8, 8), weight (5, 1, 4, 4)" + wanted);
  CHECK(test::text_of<ShapeError>([&] {
          patch_embed(of({1, 3, 8, 8}), of({5, 3, 4, 2}), of({5}));
        }) == "patch_embed: images (1, 3, 8, 8), weight (5, 3, 4, 2)" + wanted);
  CHECK_THROWS_AS(patch_embed(of({1, 3, 8, 8}), of({5, 3, 4, 4}), of({4})), ShapeError);
  CHECK_THROWS_AS(patch_embed(of({3, 8, 8}), of({5, 3, 4, 4}), of({5})), ShapeError);
}

}  // namespace splitvit
