// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // any_of, find
#include <array>      // array
#include <concepts>   // floating_point
#include <set>        // set
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string
#include <utility>    // move, pair
#include <vector>     // vector

#include <splitvit/io/safetensors.hpp>  // SafeTensors, NamedTensor
#include <splitvit/nn/concepts.hpp>     // Module, NamedParameters, parameters
#include <splitvit/nn/part.hpp>         // Part
#include <splitvit/nn/pos_embed.hpp>    // resample_positions
#include <splitvit/nn/vit.hpp>          // Vit, VitConfig

// Reads and writes the weights of a ViT, or of parts of one, as safetensors files with timm's
// names.

namespace splitvit::nn {

/// What load_weights did besides copying.
struct LoadReport {
  bool head_kept = false;            ///< another number of classes: head.* was left unchanged
  bool bottleneck_kept = false;      ///< not in the file: encoder and decoder were left unchanged
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

/// The parameters of several parts of one model.
///
/// Errors  std::invalid_argument if two of them have the same name.
template <std::floating_point T>
NamedParameters<T> joined_parameters(const std::string& operation, std::span<const Part<T>> parts) {
  NamedParameters<T> all;
  std::set<std::string> seen;
  for (const Part<T>& part : parts)
    for (auto& named : parameters<T>(part)) {
      if (!seen.insert(named.first).second)
        throw std::invalid_argument(operation + ": two parts have " + named.first +
                                    (of_bottleneck(named.first)
                                         ? "; the parts can have the bottleneck of one cut only"
                                         : "; the parts must not overlap"));
      all.push_back(std::move(named));
    }
  return all;
}

/// See load_weights.
template <std::floating_point T>
LoadReport load_parameters(const NamedParameters<T>& into, const VitConfig& config,
                           const io::SafeTensors& file) {
  LoadReport report;
  std::vector<std::string> missing, unexpected, mis_shaped;
  std::vector<std::pair<Variable<T>, Tensor<T>>> found;
  const bool file_has_bottleneck = std::ranges::any_of(file.names(), of_bottleneck);
  bool has_bottleneck = false;
  for (const auto& [name, parameter] : into) {
    if (of_bottleneck(name)) {
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
                         resample_positions(file.template get<T>(name), grid_of(config)));
      report.positions_resampled = true;
    } else {
      mis_shaped.push_back(name + " " + shape.text() + " for " + parameter.shape().text());
    }
  }
  // The names depend on the depth only, so the smallest model of that depth knows them all.
  std::vector<std::string> known;
  Vit<T>{{.image = 1,
          .patch = 1,
          .channels = 1,
          .dim = 1,
          .heads = 1,
          .depth = config.depth,
          .classes = 1,
          .mlp_ratio = 1}}
      .each_parameter([&](const std::string& name, const auto&) { known.push_back(name); });
  for (const std::string& name : file.names())
    if (std::ranges::find(known, name) == known.end() && !(has_bottleneck && of_bottleneck(name)))
      unexpected.push_back(name);

  if (!missing.empty() || !unexpected.empty() || !mis_shaped.empty())
    throw StorageError(Reason::wrong_content, file.source() + ": not the weights of this model" +
                                                  listed("missing:", missing) +
                                                  listed("unexpected:", unexpected) +
                                                  listed("of another shape:", mis_shaped));
  for (auto& [parameter, value] : found) parameter.mutable_value() = std::move(value);
  return report;
}

}  // namespace detail

/// Fills a ViT or one part of it from a file with the weights of a whole model.
///
/// If the file has another number of classes, `head.weight` and `head.bias` are left unchanged. If
/// the file has no bottleneck, encoder and decoder are left unchanged. If the file was made for
/// another image size, the positions are resampled.
///
/// Errors  StorageError (wrong_content) naming the file and the keys that are missing,
///         unexpected or of another shape. A bottleneck in the file is unexpected unless the
///         module has its encoder or its decoder. Nothing is changed then.
template <std::floating_point T, Module<T> M>
LoadReport load_weights(const M& module, const VitConfig& config, const io::SafeTensors& file) {
  return detail::load_parameters<T>(parameters<T>(module), config, file);
}

/// Fills several parts of one model at once, for example for a client that has the first part and
/// the last. A bottleneck in the file is expected if any of the parts has its encoder or decoder.
///
/// Errors  as above; std::invalid_argument for no part, or as joined_weights.
template <std::floating_point T>
LoadReport load_weights(std::span<const Part<T>> parts, const io::SafeTensors& file) {
  if (parts.empty()) throw std::invalid_argument("load_weights: no part, wanted at least one");
  return detail::load_parameters<T>(detail::joined_parameters<T>("load_weights", parts),
                                    parts.front().config, file);
}

/// A module's parameters, for io::write_safetensors. Borrows them.
template <std::floating_point T, Module<T> M>
std::vector<io::NamedTensor> weights_of(const M& module) {
  std::vector<io::NamedTensor> all;
  for (const auto& [name, parameter] : parameters<T>(module))
    all.emplace_back(name, parameter.value());
  return all;
}

/// The weights of all parts of a cut model, with the names that they have in the whole model.
/// Borrows them from the parts.
///
/// Errors  std::invalid_argument if two parts have a parameter of the same name: they overlap, or
///         there are bottlenecks at two cuts, while a file holds one.
template <std::floating_point T>
std::vector<io::NamedTensor> joined_weights(std::span<const Part<T>> parts) {
  std::vector<io::NamedTensor> all;
  for (const auto& [name, parameter] : detail::joined_parameters<T>("joined_weights", parts))
    all.emplace_back(name, parameter.value());
  return all;
}
template <std::floating_point T>
std::vector<io::NamedTensor> joined_weights(const Part<T>& client_part,
                                            const Part<T>& server_part) {
  const std::array<Part<T>, 2> parts{client_part, server_part};
  return joined_weights<T>(std::span<const Part<T>>{parts});
}

}  // namespace splitvit::nn
