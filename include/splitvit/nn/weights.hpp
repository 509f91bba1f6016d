// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // any_of, copy_n, fill
#include <set>        // set

#include <splitvit/core/finite.hpp>      // all_finite
#include <splitvit/io/safetensors.hpp>   // NamedTensor
#include <splitvit/kernel/resample.hpp>  // Resample
#include <splitvit/nn/concepts.hpp>      // Module, NamedParameters, parameters
#include <splitvit/nn/part.hpp>          // Part
#include <splitvit/nn/vit.hpp>           // Vit, VitConfig
#include <splitvit/nn/vit_weights.hpp>   // grid_side, listed, VitWeights
#include <splitvit/tensor/tensor.hpp>    // Tensor

// The weights of a ViT, or of parts of one, from and to safetensors files. Written with timm's
// names.

namespace splitvit::inline SPLITVIT_BUILD::nn {

/// Resamples the positions of a square grid of patches, bicubic; the position of CLS stays.
/// Shapes  positions (1, 1 + G * G, D) -> (1, 1 + grid * grid, D).
/// Errors  ShapeError unless the number of patches is a square and grid is at least 1.
/// Source  timm's resample_abs_pos_embed.
template <std::floating_point T>
Tensor<T> resample_positions(const Tensor<T>& positions, Index grid) {
  const Shape& shape = positions.shape();
  const Index patches = shape.rank() == 3 ? shape[1] - 1 : 0;
  const Index old = grid_side(patches);
  if (shape.rank() != 3 || shape[0] != 1 || old < 1 || grid < 1)
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

/// What load_weights does besides copying.
struct LoadReport {
  bool head_kept = false;            ///< no classifier, or other classes: head.* is left unchanged
  bool bottleneck_kept = false;      ///< not in the file: encoder and decoder are left unchanged
  bool positions_resampled = false;  ///< another image size
};

/// Whether a file has a classifier for these classes.
inline bool has_classifier(const VitWeights& file, Index classes) {
  return file.contains("head.weight") && file.shape("head.weight").rank() == 2 &&
         file.shape("head.weight")[0] == classes;
}

/// What happens when a file's weights are loaded into a model of these sizes: names that are
/// changed, tensors that are left out, replaced or resampled; on one line, empty for nothing.
inline std::string load_notes(const VitConfig& config, const VitWeights& file) {
  std::vector<std::string> all = file.notes();
  if (!file.dropped().empty()) all.push_back("left out: " + listed(file.dropped()));
  std::string why = file.classifier_fault();
  if (why.empty() && !file.contains("head.weight")) why = "the file has none";
  if (why.empty() && !has_classifier(file, config.classes))
    why = joined(
        {"the file's has ", file.shape("head.weight")[0], " classes, wanted ", config.classes});
  if (!why.empty()) all.push_back("the classifier starts anew: " + why);
  if (file.contains("pos_embed") && file.shape("pos_embed").rank() == 3) {
    const Index from = grid_side(file.shape("pos_embed")[1] - 1);
    const Index to = config.image / config.patch;
    if (from != to)
      all.push_back(
          joined({"positions resampled from ", from, " x ", from, " to ", to, " x ", to}));
  }
  std::string text;
  for (const std::string& one : all) text += (text.empty() ? "" : "; ") + one;
  return text;
}

namespace detail {
inline std::string listed_as(const char* what, const std::vector<std::string>& names) {
  return names.empty() ? "" : joined({"; ", what, " ", listed(names)});
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

using NamedShapes = std::vector<std::pair<std::string, Shape>>;

/// Names and shapes of all parameters of a model without a bottleneck.
inline NamedShapes parameter_shapes(const VitConfig& c) {
  const Index D = c.dim;
  NamedShapes all;
  const auto both = [&](const std::string& layer, const Shape& weight) {
    all.emplace_back(layer + ".weight", weight);
    all.emplace_back(layer + ".bias", Shape{weight[0]});
  };
  all.emplace_back("cls_token", Shape{1, 1, D});
  all.emplace_back("pos_embed", Shape{1, c.tokens(), D});
  both("patch_embed.proj", {D, c.channels, c.patch, c.patch});
  for (Index i = 0; i < c.depth; ++i) {
    const std::string block = joined({"blocks.", i, "."});
    both(block + "norm1", {D});
    both(block + "attn.qkv", {3 * D, D});
    both(block + "attn.proj", {D, D});
    both(block + "norm2", {D});
    both(block + "mlp.fc1", {c.mlp_ratio * D, D});
    both(block + "mlp.fc2", {D, c.mlp_ratio * D});
  }
  both("norm", {D});
  both("head", {c.classes, D});
  return all;
}

/// What loading does to a parameter.
enum class Loading : std::uint8_t { copied, resampled, kept };

/// Compares names and shapes. Returns what happens to each of `wanted`.
/// Errors  as load_weights.
inline std::vector<Loading> require_fit(const NamedShapes& wanted, bool takes_bottleneck,
                                        const VitConfig& config, const VitWeights& file) {
  std::vector<std::string> missing, unexpected, mis_shaped;
  std::vector<Loading> all;
  const bool has_bottleneck = std::ranges::any_of(file.names(), of_bottleneck);
  const bool keeps_head = !has_classifier(file, config.classes) &&
                          file.contains("head.weight") == file.contains("head.bias");
  for (const auto& [name, shape] : wanted) {
    all.push_back(Loading::kept);
    if ((of_bottleneck(name) && !has_bottleneck) || (name.starts_with("head.") && keeps_head))
      continue;
    if (!file.contains(name)) {
      // A classifier that averages tokens has a norm of its own instead.
      if (!name.starts_with("norm.") || file.classifier_fault().empty()) missing.push_back(name);
      continue;
    }
    const Shape& came = file.shape(name);
    const bool resampled = name == "pos_embed" && came.rank() == 3 && came[0] == 1 &&
                           came[2] == config.dim && grid_side(came[1] - 1) > 0;
    all.back() = came == shape ? Loading::copied : Loading::resampled;
    if (came != shape && !resampled)
      mis_shaped.push_back(name + " " + came.text() + " for " + shape.text());
  }
  std::set<std::string> known;
  for (const auto& [name, shape] : parameter_shapes(config)) known.insert(name);
  for (const std::string& name : file.names())
    if (!known.contains(name) && !(takes_bottleneck && of_bottleneck(name)))
      unexpected.push_back(name);
  if (!missing.empty() || !unexpected.empty() || !mis_shaped.empty())
    throw StorageError(
        Reason::wrong_content,
        {file.source(), ": not the weights of this model", listed_as("missing:", missing),
         listed_as("unexpected:", unexpected), listed_as("of another shape:", mis_shaped)});
  return all;
}

template <std::floating_point T>
LoadReport load_parameters(const NamedParameters<T>& into, const VitConfig& config,
                           const VitWeights& file) {
  NamedShapes wanted;
  LoadReport report{.head_kept = !has_classifier(file, config.classes)};
  bool has_bottleneck = false;
  for (const auto& [name, parameter] : into) {
    wanted.emplace_back(name, parameter.shape());
    has_bottleneck = has_bottleneck || of_bottleneck(name);
  }
  const std::vector<Loading> all = require_fit(wanted, has_bottleneck, config, file);
  std::vector<Tensor<T>> values(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string& name = into[i].first;
    if (all[i] == Loading::kept) {
      report.bottleneck_kept = report.bottleneck_kept || of_bottleneck(name);
      continue;
    }
    values[i] = file.template get<T>(name);
    if (!all_finite(std::span<const T>{values[i].span()}))
      throw StorageError(Reason::wrong_content,
                         {file.source(), ": ", name, " has values that are not finite"});
    if (all[i] == Loading::copied) continue;
    values[i] = resample_positions(values[i], config.image / config.patch);
    report.positions_resampled = true;
  }
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all[i] != Loading::kept) into[i].second.mutable_value() = std::move(values[i]);
  return report;
}
}  // namespace detail

/// Whether a file has all weights of a model of these sizes, and nothing unknown, from names and
/// shapes alone. A bottleneck in it is not looked at.
/// Errors  as load_weights.
inline void require_fit(const VitConfig& config, const VitWeights& file) {
  detail::require_fit(detail::parameter_shapes(config), true, config, file);
}

/// Fills a ViT or one part of it from a file with the weights of a whole model, io::SafeTensors or
/// VitWeights; LoadReport and load_notes say what may differ.
/// Errors  StorageError (wrong_content) naming the file and the keys that are missing, unexpected,
///         of another shape or not finite. A bottleneck in the file is unexpected unless the
///         module has its encoder or its decoder. Nothing is changed then.
template <std::floating_point T, Module<T> M>
LoadReport load_weights(const M& module, const VitConfig& config, const VitWeights& file) {
  return detail::load_parameters<T>(parameters<T>(module), config, file);
}

/// Fills several parts of one model at once, for example for a client that has the first part and
/// the last. A bottleneck in the file is expected if any of the parts has its encoder or decoder.
/// Errors  as above; std::invalid_argument for no part, or as joined_weights.
template <std::floating_point T>
LoadReport load_weights(std::span<const Part<T>> parts, const VitWeights& file) {
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
