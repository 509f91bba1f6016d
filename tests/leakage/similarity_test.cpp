// SPDX-License-Identifier: MIT
#include <cmath>

#include <splitvit/leakage/similarity.hpp>

#include "support/catch.hpp"

namespace splitvit::leakage {

namespace {

Tensor<double> waves(Index channels, Index height, Index width, double k) {
  Tensor<double> image{{channels, height, width}};
  Index place = 0;
  for (Index c = 1; c <= channels; ++c)
    for (Index i = 1; i <= height; ++i)
      for (Index j = 0; j < width; ++j)
        image[place++] =
            0.5 + 0.5 * std::sin(k * 0.37 * static_cast<double>(i * c) +
                                 0.11 * (static_cast<double>(j) + k) * static_cast<double>(j + 1));
  return image;
}

}  // namespace

TEST_CASE("similarity: the numbers of scikit-image", "[leakage]") {
  struct Case {
    Index channels, height, width;
    double ssim, psnr, ssim_of_mix, psnr_of_mix, ssim_of_two, psnr_of_two;
  };
  // scikit-image 0.26.0: structural_similarity(..., channel_axis=0), peak_signal_noise_ratio
  for (const Case& one :
       {Case{1, 7, 7, -0.2149839847685761, 5.006601572870961, 0.9374673990705095,
             18.986001659591338, -0.2025438952806171, 11.027201486150584},
        Case{3, 12, 10, -0.1725243369407908, 5.371268547412504, 0.9399566594586156,
             19.35066863413288, -0.1602178231656667, 11.39186846069213}}) {
    const auto a = waves(one.channels, one.height, one.width, 1),
               b = waves(one.channels, one.height, one.width, 2);
    auto mix = a;
    for (Index i = 0; i < a.size(); ++i) mix[i] = 0.8 * a[i] + 0.2 * b[i];
    CHECK(std::abs(ssim(a, b, 1) - one.ssim) < 1e-9);
    CHECK(std::abs(psnr(a, b, 1) - one.psnr) < 1e-9);
    CHECK(std::abs(ssim(a, mix, 1) - one.ssim_of_mix) < 1e-9);
    CHECK(std::abs(psnr(a, mix, 1) - one.psnr_of_mix) < 1e-9);
    CHECK(std::abs(ssim(a, b, 2) - one.ssim_of_two) < 1e-9);
    CHECK(std::abs(psnr(a, b, 2) - one.psnr_of_two) < 1e-9);
    CHECK(ssim(a, a, 1) == Approx(1));
    CHECK(std::isinf(psnr(a, a, 1)));
  }
}

TEST_CASE("similarity: images that cannot be compared are refused", "[leakage]") {
  const auto a = waves(1, 8, 8, 1);
  CHECK_THROWS_AS(ssim(a, waves(1, 8, 9, 1), 1), ShapeError);
  CHECK_THROWS_AS(psnr(a, waves(3, 8, 8, 1), 1), ShapeError);
  CHECK_THROWS_WITH(ssim(waves(1, 6, 9, 1), waves(1, 6, 9, 1), 1),
                    ContainsSubstring("at least 7 pixels wide"));
}

}  // namespace splitvit::leakage
