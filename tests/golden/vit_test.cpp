// SPDX-License-Identifier: MIT
// A small whole model against PyTorch, complete: parameters, activations, loss and gradients.

#include <algorithm>
#include <string>
#include <vector>

#include <splitvit/autograd/variable.hpp>
#include <splitvit/nn/cut.hpp>

#include "golden/cases.hpp"
#include "golden/whole_vit.hpp"
#include "support/catch.hpp"

namespace splitvit {
namespace {

template <class T>
void check_vit_file(const golden::File& file) {
  const auto images = file.get<T>("input");
  nn::VitConfig config = golden::config_of(file);
  config.channels = images.dim(1);
  config.mlp_ratio = file.shape("param/blocks.0.mlp.fc1.weight")[0] / config.dim;
  const auto vit = nn::make_vit<T>(config, Rng{});
  const auto parameters = nn::parameters<T>(vit);
  const auto stored = [&](const char* prefix) {
    return std::ranges::count_if(file.names(),
                                 [&](const std::string& n) { return n.starts_with(prefix); });
  };
  REQUIRE(stored("param/") == static_cast<std::ptrdiff_t>(parameters.size()));
  REQUIRE(stored("f64/grad.") == static_cast<std::ptrdiff_t>(parameters.size()));
  for (const auto& [key, parameter] : parameters) {
    REQUIRE(file.shape("param/" + key) == parameter.shape());
    parameter.mutable_value() = file.get<T>("param/" + key);
  }

  const std::vector<Index> target = file.indices("target");
  const auto out = golden::run(vit, images, std::span<const Index>{target});
  const auto close = golden::activation_tolerance<T>();
  for (const auto& [stage, value] : out.stages)
    CHECK(file.compare("f64/" + stage, value, close) == "");
  CHECK(file.compare("f64/logits", out.logits, close) == "");
  CHECK(file.compare("f64/loss", out.loss, close) == "");
  for (const auto& [key, parameter] : parameters)
    CHECK(file.compare("f64/grad." + key, parameter.gradient(), golden::gradient_tolerance<T>()) ==
          "");
  if constexpr (std::same_as<T, float>) {
    CHECK(file.compare("f32/logits", out.logits, close) == "");
    CHECK(file.compare("f32/loss", out.loss, close) == "");
  }

  // Cut anywhere, the scores are the same.
  const NoGrad no_grad;
  for (Index cut = 1; cut < config.depth; ++cut) {
    const nn::Part<T> client_part{config, 0, cut};
    const nn::Part<T> server_part{config, cut, config.depth};
    const auto load = [&](const std::string& key, const Variable<T>& parameter) {
      parameter.mutable_value() = file.get<T>("param/" + key);
    };
    client_part.each_parameter(load);
    server_part.each_parameter(load);
    const auto scores = server_part.logits(client_part.to_cut(Variable<T>{images}).tokens);
    CHECK(golden::difference("cut " + std::to_string(cut), scores.value(), out.logits, {}) == "");
  }
}

}  // namespace

TEMPLATE_TEST_CASE("golden: a small ViT", "[golden][vit]", double, float) {
  golden::each_file<TestType>("tiny_vit", check_vit_file<TestType>);
}

}  // namespace splitvit
