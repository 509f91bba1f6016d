// SPDX-License-Identifier: MIT
#include <vector>

#include <splitvit/core/parallel.hpp>
#include <splitvit/kernel/patch_embed.hpp>

#include "kernel/grid.hpp"
#include "support/catch.hpp"

namespace splitvit::kernel {

using test::apart;
using test::at;
using test::drawn_vector;

namespace {

template <class T>
std::vector<T> cut(const std::vector<T>& images, Index B, const PatchSizes& s) {
  std::vector<T> rows(images.size());
  for (Index b = 0; b < B; ++b)
    cut_patches(images.data() + b * s.image(), rows.data() + b * s.image(), s);
  return rows;
}

template <class Stored>
void check(Index B, Index D, const PatchSizes& s, Rng& rng) {
  using T = test::NumberOf<Stored>;
  INFO(B << " images " << s.channels << " x " << s.height << " x " << s.width << ", patch "
         << s.patch << ", D " << D);
  const auto drawn = [&](Index n) { return test::storable<Stored>(drawn_vector<T>(n, rng)); };
  const auto images = drawn(B * s.image()), w = drawn(D * s.pixels()), bias = drawn(D),
             dy = drawn(B * s.patches() * D);
  const std::vector<T> pixels = cut(images, B, s);
  const auto rows = dense(pixels.data(), B * s.patches(), s.pixels());
  const auto weight = dense(w.data(), D, s.pixels());
  const auto d_rows = dense(dy.data(), B * s.patches(), D);
  std::vector<double> biases;
  for (Index i = 0; i < B * s.patches(); ++i) biases.insert(biases.end(), bias.begin(), bias.end());

  std::vector<T> y(dy.size()), dw(w.size(), T(7)), d_pixels(images.size());
  patch_embed_forward<T, Stored>(images.data(), B, weight, bias.data(), y.data(), s);
  CHECK(apart(y, test::plain_product<T>(rows, transposed(weight), biases)) <=
        test::product_tolerance<T>(s.pixels()));
  patch_embed_weight_gradient<T, Stored>(images.data(), dy.data(), B,
                                         dense(dw.data(), D, s.pixels()), s);
  CHECK(apart(dw, test::plain_product<T>(transposed(d_rows), rows)) <=
        test::product_tolerance<T>(B * s.patches()));
  patch_embed_image_gradient<T, Stored>(dy.data(), B, weight, d_pixels.data(), s);
  CHECK(apart(cut(d_pixels, B, s), test::plain_product<T>(d_rows, weight)) <=
        test::product_tolerance<T>(D));
}

}  // namespace

TEST_CASE("patch_embed: patches are cut channel by channel, and joined again",
          "[kernel][patch_embed]") {
  const PatchSizes s{.channels = 2, .height = 2, .width = 6, .patch = 2};
  CHECK(s.patches() == 3);
  CHECK(s.pixels() == 8);
  std::vector<float> image(at(s.image()));
  for (Index i = 0; i < s.image(); ++i) image[at(i)] = static_cast<float>(i);
  const std::vector<float> rows = cut(image, 1, s);
  CHECK(rows == std::vector<float>{0, 1, 6,  7,  12, 13, 18, 19,  //
                                   2, 3, 8,  9,  14, 15, 20, 21,  //
                                   4, 5, 10, 11, 16, 17, 22, 23});
  std::vector<float> back(image.size());
  join_patches(rows.data(), back.data(), s);
  CHECK(back == image);
}

TEMPLATE_TEST_CASE("patch_embed: equals plain loops over all patches, both directions",
                   "[kernel][patch_embed]", float, double, BrainPair) {
  Rng rng{.seed = 10};
  for (const Index B : {0, 1, 3, 4, 5, 9})
    for (const Index D : {1, 7, 33})
      check<TestType>(B, D, {.channels = 3, .height = 6, .width = 9, .patch = 3}, rng);
  check<TestType>(2, 12, {.channels = 1, .height = 40, .width = 40, .patch = 2}, rng);
  check<TestType>(3, 5, {.channels = 3, .height = 16, .width = 32, .patch = 16}, rng);
}

TEST_CASE("patch_embed: the same bits for any number of threads", "[kernel][patch_embed]") {
  const PatchSizes s{.channels = 3, .height = 8, .width = 8, .patch = 4};
  const Index B = 11, D = 20;
  Rng rng{.seed = 11};
  const auto images = drawn_vector<float>(B * s.image(), rng),
             dy = drawn_vector<float>(B * s.patches() * D, rng);
  const auto run = [&](int threads) {
    std::vector<float> dw(at(D * s.pixels()));
    with_threads(threads, [&] {
      patch_embed_weight_gradient<float>(images.data(), dy.data(), B,
                                         dense(dw.data(), D, s.pixels()), s);
    });
    return dw;
  };
  const auto one = run(1);
  for (const int threads : {2, 3, 8}) CHECK(run(threads) == one);
}

}  // namespace splitvit::kernel
