// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // find
#include <concepts>   // floating_point
#include <string>     // string
#include <utility>    // move, pair
#include <vector>     // vector

#include <splitvit/io/safetensors.hpp>  // SafeTensors, NamedTensor
#include <splitvit/nn/concepts.hpp>     // Module, parameters
#include <splitvit/nn/pos_embed.hpp>    // resample_positions
#include <splitvit/nn/vit.hpp>          // Vit, VitConfig

// Weights of a ViT, or of a part of one, from and to safetensors files with timm's names.

namespace splitvit::nn {

/// What load_weights did besides copying.
struct LoadReport {
  bool head_kept = false;            ///< another number of classes: the head keeps its start
  bool bottleneck_kept = false;      ///< the file has none: encoder or decoder keeps its start
  bool positions_resampled = false;  ///< another image size
};

namespace detail {

inline std::string listed(const std::string& what, const std::vector<std::string>& names) {
  constexpr std::size_t most = 5;
  if (names.empty()) return {};
  std::string text = "; " + what + " ";
  for (std::size_t i = 0; i < names.size() && i < most; ++i) text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > most) text += " and " + std::to_string(names.size() - most) + " more";
  return text;
}

/// The square grid that a position embedding belongs to.
inline Index grid_of(const VitConfig& config) { return config.image / config.patch; }

inline bool of_bottleneck(const std::string& name) {
  return name.starts_with("encoder.") || name.starts_with("decoder.");
}

}  // namespace detail

/// Fills a ViT, its head or its tail with the weights of a whole model.
///
/// Where the file has another number of classes, `head.weight` and `head.bias` keep the
/// values that they have, and so does an encoder or decoder of which the file has nothing; where
/// it was made for another image size, positions are resampled.
///
/// Errors  StorageError (wrong_content) naming the file and the keys that are missing,
///         unexpected or of another shape. Nothing is changed then.
template <std::floating_point T, Module<T> M>
LoadReport load_weights(const M& module, const VitConfig& config, const io::SafeTensors& file) {
  LoadReport report;
  std::vector<std::string> missing, unexpected, mis_shaped;
  std::vector<std::pair<Variable<T>, Tensor<T>>> found;
  const bool file_has_bottleneck = std::ranges::any_of(file.names(), detail::of_bottleneck);
  bool has_bottleneck = false;
  for (const auto& [name, parameter] : parameters<T>(module)) {
    if (detail::of_bottleneck(name)) {
      has_bottleneck = true;
      if (!file_has_bottleneck) {
        report.bottleneck_kept = true;
        continue;
      }
    }
    if (!file.contains(name)) {
      missing.push_back(name);
      continue;
    }
    const Shape& shape = file.shape(name);
    if (shape == parameter.shape()) {
      found.emplace_back(parameter, file.template get<T>(name));
    } else if (name.starts_with("head.") && shape.rank() == parameter.shape().rank() &&
               shape.with(0, 1) == parameter.shape().with(0, 1)) {
      report.head_kept = true;
    } else if (name == "pos_embed" && shape.rank() == 3 && shape[2] == config.dim) {
      found.emplace_back(parameter,
                         resample_positions(file.template get<T>(name), detail::grid_of(config)));
      report.positions_resampled = true;
    } else {
      mis_shaped.push_back(name + " " + shape.text() + " for " + parameter.shape().text());
    }
  }
  std::vector<std::string> known;
  Vit<T>{config}.each_parameter(
      [&](const std::string& name, const auto&) { known.push_back(name); });
  for (const std::string& name : file.names())
    if (std::ranges::find(known, name) == known.end() &&
        !(has_bottleneck && detail::of_bottleneck(name)))
      unexpected.push_back(name);

  if (!missing.empty() || !unexpected.empty() || !mis_shaped.empty())
    throw StorageError(Reason::wrong_content, file.source() + ": not the weights of this model" +
                                                  detail::listed("missing:", missing) +
                                                  detail::listed("unexpected:", unexpected) +
                                                  detail::listed("of another shape:", mis_shaped));
  for (auto& [parameter, value] : found) parameter.mutable_value() = std::move(value);
  return report;
}

/// A module's parameters, for io::write_safetensors. Borrows them.
template <std::floating_point T, Module<T> M>
std::vector<io::NamedTensor> weights_of(const M& module) {
  std::vector<io::NamedTensor> all;
  for (const auto& [name, parameter] : parameters<T>(module))
    all.emplace_back(name, parameter.value());
  return all;
}

/// The weights of a cut model, joined to those of the whole one. Borrows both.
template <std::floating_point T, Module<T> Head, Module<T> Tail>
std::vector<io::NamedTensor> joined_weights(const Head& head, const Tail& tail) {
  std::vector<io::NamedTensor> all = weights_of<T>(head);
  for (io::NamedTensor& tensor : weights_of<T>(tail)) all.push_back(std::move(tensor));
  return all;
}

}  // namespace splitvit::nn
