// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // any_of, copy, count_if, find, sort
#include <cmath>      // lround, sqrt
#include <map>        // map
#include <set>        // set

#include <splitvit/core/error.hpp>       // Reason, StorageError
#include <splitvit/io/safetensors.hpp>   // SafeTensors
#include <splitvit/nn/vit.hpp>           // VitConfig
#include <splitvit/nn/weight_names.hpp>  // weight_name, WeightUse
#include <splitvit/tensor/tensor.hpp>    // Tensor

namespace splitvit::inline SPLITVIT_BUILD::nn {

/// At most five names, for messages: "a, b and 3 more".
inline std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t most = 5;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < most; ++i) text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > most) text += joined({" and ", names.size() - most, " more"});
  return text;
}

/// The side of the square grid of so many patches; 0 if they are none, or more than 2^40.
inline Index grid_side(Index patches) {
  if (patches > Index{1} << 40) return 0;
  const Index side = std::lround(std::sqrt(static_cast<double>(std::max<Index>(patches, 0))));
  return side * side == patches ? side : 0;
}

/// The weights of a ViT under timm's names, from a file that may use another library's, behind any
/// prefix such as "module." or "backbone.". What has the same effect here is computed from it:
///
///   queries, keys, values apart   one tensor
///   LayerScale                    multiplied into the layer before it
///   no bias of qkv                zeros
///   positions without CLS         zeros for CLS
///
/// Left out, and named in dropped(): tokens between CLS and the patches (distillation, registers)
/// with their positions; a classifier that averages tokens or has several layers; what only
/// training needs; other parts of a larger model. Other names stay as they are.
///
/// Source  the models' own code: timm's vision_transformer.py, transformers' modeling_vit.py,
///         modeling_deit.py and modeling_dinov2.py, torchvision's vision_transformer.py.
class VitWeights {
 public:
  /// Reads names and shapes only.
  /// Errors  StorageError (wrong_content) naming the file, for several models in it, two tensors
  ///         for one parameter, or tensors that do not fit together.
  VitWeights(io::SafeTensors file) : file_{std::move(file)} {
    const std::string prefix = find_prefix();
    if (!prefix.empty()) notes_.push_back("prefix '" + prefix + "' removed");
    for (const std::string& name : file_.names()) sort_in(name, prefix);
    join_projections();
    apply_scales();
    add_missing_biases();
    fit_positions();
    fit_classifier();
    if (extra_tokens_ > 0)
      notes_.emplace_back("without its further tokens the model gives other results");
    for (const auto& [name, from] : tensors_) names_.push_back(name);
    std::ranges::sort(dropped_);
  }

  const std::vector<std::string>& names() const { return names_; }  ///< sorted
  bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  const std::string& source() const { return file_.source(); }
  const io::Metadata& metadata() const { return file_.metadata(); }
  /// The tensors that were left out, as the file calls them; sorted.
  const std::vector<std::string>& dropped() const { return dropped_; }
  /// What was done to names and tensors, besides leaving some out: parts of a sentence.
  const std::vector<std::string>& notes() const { return notes_; }
  /// Why the file's classifier, if it has one, is left out; the final norm may be missing then.
  const std::string& classifier_fault() const { return classifier_fault_; }

  /// Errors  StorageError (wrong_content) if there is no such tensor.
  const Shape& shape(std::string_view name) const { return tensor(name).shape; }

  /// Errors  StorageError (wrong_content) if there is no such tensor, or it holds whole numbers.
  template <std::floating_point T>
  Tensor<T> get(std::string_view name) const {
    const Origin& origin = tensor(name);
    Tensor<T> out{origin.shape};
    T* to = out.data();
    for (const auto& [from, first, rows] : origin.from) {
      const Tensor<T> values = from.empty() ? Tensor<T>{} : file_.template get<T>(from);
      const Index width = origin.row_width;
      if (!from.empty()) std::copy_n(values.data() + first * width, rows * width, to);
      to += rows * width;
    }
    if (!origin.scale.empty()) {
      const Tensor<double> scale = file_.template get<double>(origin.scale);
      const Index width = out.size() / std::max<Index>(scale.size(), 1);
      for (Index i = 0; i < out.size(); ++i)
        out[i] = static_cast<T>(static_cast<double>(out[i]) * scale[i / width]);
    }
    return out;
  }

 private:
  /// Rows of a tensor of the file; zeros if `name` is empty.
  struct Rows {
    std::string name;
    Index first, count;
  };
  struct Origin {
    Shape shape;
    std::vector<Rows> from;
    Index row_width = 1;  // numbers in a row
    std::string scale = {};
  };

  [[noreturn]] void fail(TextParts why) const {
    throw StorageError(Reason::wrong_content, {source(), ": ", joined(why)});
  }
  const Origin& tensor(std::string_view name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) fail({"no tensor '", name, "'"});
    return found->second;
  }

  /// What stands before the names of the model: it has one embedding of patches.
  std::string find_prefix() {
    using Style = std::pair<std::string_view, const char*>;
    std::set<std::string> prefixes;
    for (const std::string& name : file_.names())
      for (const auto& [end, style] :
           {Style{"patch_embed.proj.weight", ""}, Style{"conv_proj.weight", "torchvision's names"},
            Style{"embeddings.patch_embeddings.projection.weight", "Hugging Face's names"}}) {
        if (!name.ends_with(end)) continue;
        const std::string before = name.substr(0, name.size() - end.size());
        if (!before.empty() && !before.ends_with('.')) continue;
        if (prefixes.insert(before).second && *style != '\0') notes_.emplace_back(style);
      }
    if (prefixes.size() > 1)
      fail({"there are several models, with names that begin with '",
            listed({prefixes.begin(), prefixes.end()}), "'; wanted a file with one of them"});
    return prefixes.empty() ? "" : *prefixes.begin();
  }

  void sort_in(const std::string& name, const std::string& prefix) {
    if (name.starts_with(prefix)) return sort_in(name, weight_name(name.substr(prefix.size())));
    // A classifier may stand outside of a backbone, behind a part of its prefix.
    for (std::size_t point = prefix.size(); point != std::string::npos && point > 0;) {
      point = point == 1 ? std::string::npos : prefix.rfind('.', point - 2);
      const std::size_t length = point == std::string::npos ? 0 : point + 1;
      if (!name.starts_with(prefix.substr(0, length))) continue;
      const WeightName meaning = weight_name(name.substr(length));
      const bool of_model =
          meaning.use == WeightUse::parameter && meaning.name.starts_with("head.");
      if (of_model || meaning.use == WeightUse::averages || meaning.use == WeightUse::of_classifier)
        return sort_in(name, meaning);
      break;
    }
    dropped_.push_back(name);
  }

  void sort_in(const std::string& name, const WeightName& meaning) {
    using enum WeightUse;
    const Shape& shape = file_.shape(name);
    const auto third = [&](std::size_t i) { thirds_[meaning.name][i] = name; };
    switch (meaning.use) {
      case parameter:
        if (contains(meaning.name)) fail({"two tensors are ", meaning.name, ", ", name, " is one"});
        tensors_[meaning.name] = whole(name);
        return;
      case query:
        return third(0);
      case key:
        return third(1);
      case value:
        return third(2);
      case scale:
        scales_[meaning.name] = name;
        return;
      case extra_token:
        extra_tokens_ += shape.rank() == 3 && shape.elements() > 0 ? shape[1] : 1;
        break;
      case averages:
        classifier_fault_ = "the file's averages tokens";
        break;
      case of_classifier:
        classifier_fault_ = "the file's has several layers";
        break;
      case unneeded:
        break;
      case unknown:
        tensors_[name] = whole(name);
        return;
    }
    dropped_.push_back(name);
  }

  Origin whole(const std::string& name) const {
    const Shape& shape = file_.shape(name);
    const Index rows = shape.rank() == 0 ? 1 : shape[0];
    return {shape, {{name, 0, rows}}, rows == 0 ? 0 : shape.elements() / rows};
  }

  void join_projections() {
    for (const auto& [name, parts] : thirds_) {
      Origin joined_parts;
      for (const std::string& part : parts) {
        if (part.empty()) fail({name, ": queries, keys or values are missing"});
        Origin one = whole(part);
        const bool first = joined_parts.from.empty();
        if (one.shape.rank() < 1 || one.shape.elements() == 0 ||
            (!first && one.row_width != joined_parts.row_width))
          fail({part, " ", one.shape, " does not fit the others of ", name});
        const Index rows = first ? 0 : joined_parts.shape[0];
        joined_parts.shape = one.shape.with(0, rows + one.shape[0]);
        joined_parts.row_width = one.row_width;
        joined_parts.from.push_back(one.from[0]);
      }
      if (contains(name)) fail({"two tensors are ", name, ", ", parts[0], " is one"});
      tensors_[name] = joined_parts;
    }
    if (!thirds_.empty()) notes_.emplace_back("queries, keys and values joined");
  }

  void apply_scales() {
    for (const auto& [layer, scale] : scales_) {
      const Shape& shape = file_.shape(scale);
      for (const char* const end : {".weight", ".bias"}) {
        const auto found = tensors_.find(layer + end);
        if (found == tensors_.end()) continue;
        if (shape.rank() != 1 || found->second.shape.rank() < 1 ||
            found->second.shape[0] != shape[0])
          fail({scale, " ", shape, " does not fit ", layer, end, " ", found->second.shape});
        found->second.scale = scale;
      }
    }
    if (!scales_.empty())
      notes_.push_back(joined({"LayerScale multiplied into ", scales_.size(), " layers"}));
  }

  /// A model whose layers for queries, keys and values have no bias has zeros there.
  void add_missing_biases() {
    const auto is_bias = [](const auto& one) { return one.first.ends_with(".attn.qkv.bias"); };
    if (std::ranges::any_of(tensors_, is_bias)) return;
    std::vector<std::pair<std::string, Index>> missing;
    for (const auto& [name, origin] : tensors_)
      if (name.ends_with(".attn.qkv.weight") && origin.shape.rank() == 2 &&
          origin.shape.elements() > 0)
        missing.emplace_back(name.substr(0, name.size() - 6) + "bias", origin.shape[0]);
    for (const auto& [name, size] : missing) tensors_[name] = {Shape{size}, {{"", 0, size}}};
    if (!missing.empty()) notes_.emplace_back("no bias of queries, keys and values: zeros");
  }

  /// CLS and patches only: positions of other tokens are left out, that of CLS may be added.
  void fit_positions() {
    const auto found = tensors_.find("pos_embed");
    if (found == tensors_.end() || found->second.shape.rank() != 3 || found->second.shape[0] != 1)
      return;
    Origin& positions = found->second;
    const std::string from = positions.from[0].name;
    const Index tokens = positions.shape[1];
    positions.row_width = positions.shape[2];
    positions.from = {{from, 0, tokens}};
    if (grid_side(tokens - 1) > 0 && tokens > 1) return;
    if (extra_tokens_ > 0 && tokens - 1 > extra_tokens_ &&
        grid_side(tokens - 1 - extra_tokens_) > 0) {
      const Index patches = tokens - 1 - extra_tokens_;
      positions.from = {{from, 0, 1}, {from, 1 + extra_tokens_, patches}};
      positions.shape = positions.shape.with(1, 1 + patches);
    } else if (grid_side(tokens) > 0) {  // also where registers have no positions
      positions.from = {{"", 0, 1}, {from, 0, tokens}};
      positions.shape = positions.shape.with(1, 1 + tokens);
      notes_.emplace_back("no position of CLS: zeros");
    }
  }

  /// Leaves out a classifier that does not read CLS alone.
  void fit_classifier() {
    const auto head = tensors_.find("head.weight"), cls = tensors_.find("cls_token");
    if (head == tensors_.end()) return;
    if (classifier_fault_.empty() && cls != tensors_.end() && head->second.shape.rank() == 2 &&
        head->second.shape[1] != cls->second.shape.back())
      classifier_fault_ = joined({"the file's reads ", head->second.shape[1], " numbers"});
    if (classifier_fault_.empty()) return;
    for (const char* const name : {"head.weight", "head.bias"}) {
      const auto found = tensors_.find(name);
      if (found == tensors_.end()) continue;
      dropped_.push_back(found->second.from[0].name);
      tensors_.erase(found);
    }
  }

  io::SafeTensors file_;
  std::map<std::string, Origin, std::less<>> tensors_;
  std::vector<std::string> names_, dropped_, notes_;
  std::string classifier_fault_;
  std::map<std::string, std::array<std::string, 3>> thirds_;
  std::map<std::string, std::string> scales_;
  Index extra_tokens_ = 0;
};

/// The sizes that the shapes of a file's tensors tell. They do not tell the number of heads, which
/// is set to the usual dim / 64, or 0; without a classifier, classes is 0.
/// Errors  StorageError (wrong_content) if a tensor that tells a size is missing or has another
///         rank, or the positions are of no square grid.
inline VitConfig sizes_of(const VitWeights& file) {
  const auto extent = [&](std::string_view name, std::size_t rank, std::size_t axis) {
    if (!file.contains(name))
      throw StorageError(Reason::wrong_content,
                         {file.source(), ": no weights of a ViT; there is no ", name});
    const Shape& shape = file.shape(name);
    if (shape.rank() != rank || shape.elements() == 0)
      throw StorageError(Reason::wrong_content,
                         {file.source(), ": ", name, " ", shape, ", wanted ", rank, " extents"});
    return shape[axis];
  };
  VitConfig out{.image = 0, .depth = 0};
  out.dim = extent("patch_embed.proj.weight", 4, 0);
  out.channels = extent("patch_embed.proj.weight", 4, 1);
  out.patch = extent("patch_embed.proj.weight", 4, 2);
  const Index side = grid_side(extent("pos_embed", 3, 1) - 1);
  if (side == 0)
    throw StorageError(Reason::wrong_content,
                       {file.source(), ": pos_embed ", file.shape("pos_embed"),
                        ", wanted CLS and the patches of a square image"});
  out.image = side * out.patch;
  while (file.contains(joined({"blocks.", out.depth, ".norm1.weight"}))) ++out.depth;
  out.mlp_ratio = std::max<Index>(extent("blocks.0.mlp.fc1.weight", 2, 0) / out.dim, 1);
  out.heads = out.dim % 64 == 0 ? out.dim / 64 : 0;
  out.classes = file.contains("head.weight") ? extent("head.weight", 2, 0) : 0;
  return out;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
