// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // any_of, copy_n, fill, max
#include <cmath>      // lround, sqrt
#include <set>        // set

#include <splitvit/io/safetensors.hpp>   // SafeTensors, NamedTensor
#include <splitvit/kernel/resample.hpp>  // Resample
#include <splitvit/nn/concepts.hpp>      // Module, NamedParameters, parameters
#include <splitvit/nn/part.hpp>          // Part
#include <splitvit/nn/vit.hpp>           // Vit, VitConfig
#include <splitvit/tensor/tensor.hpp>    // Tensor

// The weights of a ViT, or of parts of one, as safetensors files with timm's names.

namespace splitvit::inline SPLITVIT_BUILD::nn {

/// Resamples the positions of a square grid of patches, bicubic; the position of CLS stays.
/// Shapes  positions (1, 1 + G * G, D) -> (1, 1 + grid * grid, D).
/// Errors  ShapeError unless the number of patches is a square and grid is at least 1.
/// Source  timm's resample_abs_pos_embed.
template <std::floating_point T>
Tensor<T> resample_positions(const Tensor<T>& positions, Index grid) {
  const Shape& shape = positions.shape();
  const Index patches = shape.rank() == 3 ? shape[1] - 1 : 0;
  const Index old = std::lround(std::sqrt(static_cast<double>(std::max<Index>(patches, 0))));
  if (shape.rank() != 3 || shape[0] != 1 || patches < 1 || old * old != patches || grid < 1)
    throw ShapeError({"resample_positions: positions ", shape.text(), " to a grid of ", grid,
                      ": wanted (1, 1 + G * G, D)"});
  const Index D = shape[2];
  const kernel::Resample axis{old, grid};
  Tensor<T> out = Tensor<T>::uninitialised(Shape{1, 1 + grid * grid, D});
  std::copy_n(positions.data(), D, out.data());

  std::vector<double> sum(static_cast<std::size_t>(D));
  for (Index y = 0; y < grid; ++y)
    for (Index x = 0; x < grid; ++x) {
      std::ranges::fill(sum, 0.0);
      const auto row = static_cast<std::size_t>(y), column = static_cast<std::size_t>(x);
      for (Index i = 0; i < axis.count[row]; ++i)
        for (Index j = 0; j < axis.count[column]; ++j) {
          const double weight = axis.weights[static_cast<std::size_t>(y * axis.taps + i)] *
                                axis.weights[static_cast<std::size_t>(x * axis.taps + j)];
          const T* from =
              positions.data() + (1 + (axis.first[row] + i) * old + axis.first[column] + j) * D;
          for (Index d = 0; d < D; ++d)
            sum[static_cast<std::size_t>(d)] += weight * static_cast<double>(from[d]);
        }
      T* to = out.data() + (1 + y * grid + x) * D;
      for (Index d = 0; d < D; ++d) to[d] = static_cast<T>(sum[static_cast<std::size_t>(d)]);
    }
  return out;
}

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
  if (names.size() > most) text += joined({" and ", names.size() - most, " more"});
  return text;
}

inline bool of_bottleneck(const std::string& name) {
  return name.starts_with("encoder.") || name.starts_with("decoder.");
}

/// The parameters of several parts of one model.
/// Errors  std::invalid_argument if two of them have the same name.
template <std::floating_point T>
NamedParameters<T> joined_parameters(const std::string& operation, std::span<const Part<T>> parts) {
  NamedParameters<T> all;
  std::set<std::string> seen;
  for (const Part<T>& part : parts)
    for (auto& named : parameters<T>(part)) {
      const char* const why = of_bottleneck(named.first)
                                  ? "; the parts can have the bottleneck of one cut only"
                                  : "; the parts must not overlap";
      if (!seen.insert(named.first).second)
        throw std::invalid_argument(operation + ": two parts have " + named.first + why);
      all.push_back(std::move(named));
    }
  return all;
}

template <std::floating_point T>
std::vector<io::NamedTensor> borrowed(const NamedParameters<T>& parameters) {
  std::vector<io::NamedTensor> all;
  for (const auto& [name, parameter] : parameters) all.emplace_back(name, parameter.value());
  return all;
}

template <std::floating_point T>
LoadReport load_parameters(const NamedParameters<T>& into, const VitConfig& config,
                           const io::SafeTensors& file) {
  LoadReport report;
  std::vector<std::string> missing, unexpected, mis_shaped;
  std::vector<std::pair<Variable<T>, Tensor<T>>> found;
  const bool file_has_bottleneck = std::ranges::any_of(file.names(), of_bottleneck);
  bool has_bottleneck = false;
  for (const auto& [name, parameter] : into) {
    if (of_bottleneck(name)) has_bottleneck = true;
    if (of_bottleneck(name) && !file_has_bottleneck) {
      report.bottleneck_kept = true;
      continue;
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
      found.emplace_back(
          parameter, resample_positions(file.template get<T>(name), config.image / config.patch));
      report.positions_resampled = true;
    } else {
      mis_shaped.push_back(name + " " + shape.text() + " for " + parameter.shape().text());
    }
  }
  // The names depend on the depth only: a model of width 1 has all of them.
  std::set<std::string> known;
  for (const auto& [name, parameter] :
       parameters<T>(Vit<T>{{.image = 1, .patch = 1, .dim = 1, .heads = 1, .depth = config.depth}}))
    known.insert(name);
  for (const std::string& name : file.names())
    if (!known.contains(name) && !(has_bottleneck && of_bottleneck(name)))
      unexpected.push_back(name);

  if (!missing.empty() || !unexpected.empty() || !mis_shaped.empty())
    throw StorageError(
        Reason::wrong_content,
        {file.source(), ": not the weights of this model", listed("missing:", missing),
         listed("unexpected:", unexpected), listed("of another shape:", mis_shaped)});
  for (auto& [parameter, value] : found) parameter.mutable_value() = std::move(value);
  return report;
}
}  // namespace detail

/// Fills a ViT or one part of it from a file with the weights of a whole model; LoadReport says
/// what may differ.
/// Errors  StorageError (wrong_content) naming the file and the keys that are missing,
///         unexpected or of another shape. A bottleneck in the file is unexpected unless the
///         module has its encoder or its decoder. Nothing is changed then.
template <std::floating_point T, Module<T> M>
LoadReport load_weights(const M& module, const VitConfig& config, const io::SafeTensors& file) {
  return detail::load_parameters<T>(parameters<T>(module), config, file);
}

/// Fills several parts of one model at once, for example for a client that has the first part and
/// the last. A bottleneck in the file is expected if any of the parts has its encoder or decoder.
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
  return detail::borrowed<T>(parameters<T>(module));
}

/// The weights of all parts of a cut model, with their names in the whole model. Borrows them.
/// Errors  std::invalid_argument if two parts have a parameter of the same name: they overlap, or
///         there are bottlenecks at two cuts, while a file holds one.
template <std::floating_point T>
std::vector<io::NamedTensor> joined_weights(std::span<const Part<T>> parts) {
  return detail::borrowed<T>(detail::joined_parameters<T>("joined_weights", parts));
}
template <std::floating_point T>
std::vector<io::NamedTensor> joined_weights(const Part<T>& client_part,
                                            const Part<T>& server_part) {
  const std::array<Part<T>, 2> parts{client_part, server_part};
  return joined_weights<T>(std::span<const Part<T>>{parts});
}

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
