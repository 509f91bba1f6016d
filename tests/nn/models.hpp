// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/backward.hpp>  // backward
#include <splitvit/nn/concepts.hpp>        // parameters
#include <splitvit/nn/vit.hpp>             // VitConfig

#include "support/numbers.hpp"  // drawn

// A model that is quick to run, and its parameters.

namespace splitvit::test {

inline constexpr nn::VitConfig small_vit{.image = 12,
                                         .patch = 4,
                                         .channels = 2,
                                         .dim = 12,
                                         .heads = 3,
                                         .depth = 3,
                                         .classes = 5,
                                         .mlp_ratio = 2};

template <std::floating_point T>
Tensor<T> drawn_images(const nn::VitConfig& c, Index B, Rng& rng) {
  return drawn<T>({B, c.channels, c.image, c.image}, rng);
}

/// Gives every parameter drawn values, so that none is without effect.
template <std::floating_point T, class M>
void draw_parameters(const M& module, Rng& rng) {
  for (const auto& [name, parameter] : nn::parameters<T>(module))
    parameter.mutable_value() = scale(drawn<T>(parameter.shape(), rng), T(0.3));
}

/// The names of a module's parameters, in its order.
template <std::floating_point T, class M>
std::vector<std::string> names_of(const M& module) {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : nn::parameters<T>(module)) names.push_back(name);
  return names;
}

}  // namespace splitvit::test
