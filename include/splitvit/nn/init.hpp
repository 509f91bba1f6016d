// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>  // sqrt, abs

#include <splitvit/core/random.hpp>  // Rng
#include <splitvit/nn/concepts.hpp>  // Module, ParameterVisitor

namespace splitvit::inline SPLITVIT_BUILD::nn {

namespace detail {
/// FNV-1a of a name.
inline std::uint64_t name_hash(std::string_view name) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash;
}

/// Normal with the given standard deviation; values beyond +-2 are drawn again, as in timm.
inline double truncated_normal(double deviation, Rng& rng) {
  double value = 0;
  do value = deviation * rng.normal();
  while (std::abs(value) > 2);
  return value;
}
}  // namespace detail

/// Gives every parameter of a ViT, or of a part of one, its starting value.
///
/// Linear weights and positions: normal, standard deviation 0.02. Class token: normal, 1e-6. Patch
/// embedding: uniform within 1 / sqrt(inputs). Norm weights one, other biases zero. A value depends
/// on rng and the parameter's name alone: the parts of a cut model start exactly as the whole one.
/// Source  timm's VisionTransformer, weight_init ''.
template <std::floating_point T, Module<T> M>
void initialise(const M& module, const Rng& rng) {
  double patch_bound = 0;  // set by the weight, which comes before its bias
  const auto set = [&](const std::string& name, const Variable<T>& parameter) {
    Rng own = rng.at(detail::name_hash(name));
    Tensor<T>& value = parameter.mutable_value();
    const auto fill = [&](const auto& draw) {
      for (T& element : value.span()) element = static_cast<T>(draw());
    };
    const bool is_weight = name.ends_with("weight");
    if (name.starts_with("patch_embed.")) {
      if (is_weight) patch_bound = 1 / std::sqrt(static_cast<double>(value.size() / value.dim(0)));
      fill([&] { return own.uniform(-patch_bound, patch_bound); });
    } else if (name == "cls_token") {
      fill([&] { return 1e-6 * own.normal(); });
    } else if (name == "pos_embed" || (is_weight && value.shape().rank() >= 2)) {
      fill([&] { return detail::truncated_normal(0.02, own); });
    } else {
      fill([&] { return is_weight ? 1.0 : 0.0; });
    }
  };
  module.each_parameter(ParameterVisitor<T>{set});
}

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
