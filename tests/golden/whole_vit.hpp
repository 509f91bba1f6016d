// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>  // floating_point, same_as
#include <span>      // span
#include <string>    // string
#include <utility>   // pair
#include <vector>    // vector

#include <splitvit/autograd/backward.hpp>           // backward
#include <splitvit/autograd/ops/cross_entropy.hpp>  // cross_entropy
#include <splitvit/nn/vit.hpp>                      // Vit, VitConfig

#include "support/golden.hpp"  // File, Tolerance

// A whole model, and what it computes on the way.

namespace splitvit::golden {

/// The configuration that a file of a whole model begins with.
inline nn::VitConfig config_of(const File& file) {
  const auto size = [&](const std::string& name) { return file.integer("shape/" + name); };
  return {.image = size("img_size"),
          .patch = size("patch_size"),
          .dim = size("embed_dim"),
          .heads = size("num_heads"),
          .depth = size("depth"),
          .classes = size("num_classes")};
}

/// What the README allows for logits, loss and activations.
template <std::floating_point T>
Tolerance activation_tolerance() {
  return {.rtol = std::same_as<T, double> ? 1e-10 : 1e-5};
}

/// What it allows for the gradients of a whole model.
template <std::floating_point T>
Tolerance gradient_tolerance() {
  return {.rtol = std::same_as<T, double> ? 1e-9 : 3e-5};
}

template <std::floating_point T>
struct Run {
  std::vector<std::pair<std::string, Tensor<T>>> stages;  ///< embed, block.0, ..., norm
  Tensor<T> logits, loss;
};

/// Runs a model and carries the gradient of its loss to its parameters.
template <std::floating_point T>
Run<T> run(const nn::Vit<T>& vit, const Tensor<T>& images, std::span<const Index> target) {
  Run<T> out;
  auto x = vit.stem(Variable<T>{images});
  out.stages.emplace_back("embed", x.value());
  for (std::size_t i = 0; i < vit.blocks.blocks.size(); ++i) {
    x = vit.blocks.blocks[i](x).y;
    out.stages.emplace_back("block." + std::to_string(i), x.value());
  }
  out.stages.emplace_back("norm", vit.classifier.norm(x).value());
  const auto logits = vit(Variable<T>{images});
  const auto loss = cross_entropy(logits, target);
  out.logits = logits.value();
  out.loss = loss.value();
  backward(loss);
  return out;
}

}  // namespace splitvit::golden
