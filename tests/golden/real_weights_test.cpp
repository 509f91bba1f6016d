// SPDX-License-Identifier: MIT
// The published weights of DeiT-Tiny on four photographs, against timm. Needs files that are not
// in the repository; see support/real_data.hpp.

#include <cstdint>
#include <string>

#include <splitvit/autograd/variable.hpp>
#include <splitvit/io/safetensors.hpp>
#include <splitvit/nn/cut.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/real_data.hpp"

namespace splitvit {
namespace {

constexpr double mean[3] = {0.485, 0.456, 0.406};
constexpr double deviation[3] = {0.229, 0.224, 0.225};

/// Bytes as the model wants to see them.
Tensor<float> normalised(const Tensor<std::uint8_t>& pixels) {
  Tensor<float> images{pixels.shape()};
  const Index plane = pixels.dim(2) * pixels.dim(3);
  for (Index i = 0; i < pixels.size(); ++i) {
    const Index channel = i / plane % 3;
    images[i] = static_cast<float>((pixels[i] / 255.0 - mean[channel]) / deviation[channel]);
  }
  return images;
}

/// Entry i of the first axis.
Tensor<float> entry(const Tensor<float>& x, Index i) {
  const auto part = x.view().slice(i, i + 1);
  return {Shape{part.shape().extents().subspan(1)}, part.span()};
}

/// (B, H, N) -> (B, N)
Tensor<float> mean_over_heads(const Tensor<float>& x) {
  const Index B = x.dim(0), H = x.dim(1), N = x.dim(2);
  Tensor<float> out{{B, N}};
  for (Index i = 0; i < x.size(); ++i) out[i / (H * N) * N + i % N] += x[i] / static_cast<float>(H);
  return out;
}

}  // namespace

TEST_CASE("golden: the published DeiT-Tiny", "[golden][real]") {
  const auto weights_path = support::real_data("deit-tiny/deit_tiny_patch16_224.safetensors");
  const auto golden_path = support::real_data("deit-tiny/golden.safetensors");
  if (!weights_path || !golden_path) return;
  const auto weights = io::read_safetensors(*weights_path);
  const auto golden = io::read_safetensors(*golden_path);

  const auto vit = nn::make_vit<float>(nn::vit_named("deit_tiny"), Rng{});
  const NoGrad no_grad;
  REQUIRE(weights.names().size() == 152);
  for (const auto& [name, parameter] : nn::parameters<float>(vit)) {
    REQUIRE(weights.shape(name) == parameter.shape());
    parameter.mutable_value() = weights.get<float>(name);
  }

  const Variable<float> images{normalised(golden.get<std::uint8_t>("input"))};
  const auto logits = vit(images).value();
  CHECK(golden::difference("logits", logits, golden.get<float>("logits"), {.atol = 1e-4}) == "");

  const auto cls_attention = golden.get<float>("cls_attention");        // (12, B, H, N)
  const auto after_block = golden.get<float>("cls_token_after_block");  // (12, B, D)
  auto x = vit.stem(images);
  for (Index i = 0; i < vit.config.depth; ++i) {
    const auto out = vit.blocks.blocks[static_cast<std::size_t>(i)](x, NeedWeights::cls);
    x = out.y;
    const std::string block = "block " + std::to_string(i);
    CHECK(golden::difference(block + ", attention of CLS", out.cls_attention,
                             mean_over_heads(entry(cls_attention, i)),
                             {.rtol = 1e-5, .atol = 1e-7}) == "");
    CHECK(golden::difference(block + ", CLS", cls_token(x).value(), entry(after_block, i),
                             {.rtol = 1e-5}) == "");
  }
}

}  // namespace splitvit
