// SPDX-License-Identifier: MIT
// A model of DeiT-Tiny's size against PyTorch. Its parameters come from a formula, and large
// tensors are stored as samples and sums.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <splitvit/nn/cut.hpp>

#include "golden/cases.hpp"
#include "golden/formula.hpp"
#include "golden/whole_vit.hpp"
#include "support/catch.hpp"

namespace splitvit {
namespace {

template <class T>
void check_deit_tiny_file(const golden::File& file) {
  const nn::VitConfig config = golden::config_of(file);
  const auto seed = static_cast<std::uint64_t>(file.integer("fill_seed"));
  const std::vector<Index> target = file.indices("target");

  // 1. The filler.
  const auto images = golden::filled<T>(
      "input", {static_cast<Index>(target.size()), config.channels, config.image, config.image},
      2.0, 0.0, seed);
  CHECK(golden::sampled_difference(file, "input", images, 1e-12) == "");
  const nn::Vit<T> vit{config};
  for (const auto& [key, parameter] : nn::parameters<T>(vit)) {
    parameter.mutable_value() = golden::filled_parameter<T>(key, parameter.shape(), seed);
    CHECK(golden::sampled_difference(file, "param." + key, parameter.value(), 1e-12) == "");
  }

  // 2. The model.
  const auto out = golden::run(vit, images, std::span<const Index>{target});
  const auto close = golden::activation_tolerance<T>();
  CHECK(file.compare("f64/logits", out.logits, close) == "");
  CHECK(file.compare("f64/loss", out.loss, close) == "");
  for (const auto& [stage, value] : out.stages)
    CHECK(golden::sampled_difference(file, "f64/" + stage, value, close.rtol) == "");
  const Tensor<T> cls = cls_token(Variable<T>{out.stages.back().second}).value();
  CHECK(file.compare("f64/cls_out", cls, close) == "");
  if constexpr (std::same_as<T, float>) {
    CHECK(file.compare("f32/logits", out.logits, close) == "");
    CHECK(file.compare("f32/loss", out.loss, close) == "");
    CHECK(file.compare("f32/cls_out", cls, close) == "");
  }

  // 3. Its gradients; some are stored complete, rounded to float.
  const double allowed = golden::gradient_tolerance<T>().rtol;
  for (const auto& [key, parameter] : nn::parameters<T>(vit)) {
    CHECK(golden::sampled_difference(file, "f64/grad." + key, parameter.gradient(), allowed) == "");
    if (file.has("f64/gradfull." + key))
      CHECK(file.compare("f64/gradfull." + key, parameter.gradient(),
                         {.rtol = std::max(allowed, 1e-7)}) == "");
  }
}

}  // namespace

TEST_CASE("golden: the filler gives the README's numbers", "[golden][deit_tiny]") {
  const auto input = golden::filled<float>("input", {3}, 2.0, 0.0, 0);
  CHECK(input[0] == 1.5985107421875f);
  CHECK(input[1] == -1.7950439453125f);
  CHECK(input[2] == 0.08282470703125f);
  const auto cls = golden::filled_parameter<double>("cls_token", {1, 1, 2}, 0);
  CHECK(cls[0] == -0.2635650634765625);
  CHECK(cls[1] == -0.2752532958984375);
  const auto norm = golden::filled_parameter<double>("norm.weight", {2}, 0);
  CHECK(norm[0] == 1.0712509155273438);
  CHECK(norm[1] == 0.9411201477050781);
}

TEST_CASE("golden: DeiT-Tiny's size in double", "[golden][deit_tiny]") {
#ifdef NDEBUG
  golden::each_file<double>("deit_tiny", check_deit_tiny_file<double>);
#else
  std::printf("skipped: DeiT-Tiny in double takes minutes in a Debug build\n");
#endif
}

TEST_CASE("golden: DeiT-Tiny's size in float", "[golden][deit_tiny]") {
  golden::each_file<float>("deit_tiny", check_deit_tiny_file<float>);
}

}  // namespace splitvit
