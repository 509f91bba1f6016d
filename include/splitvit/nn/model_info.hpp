// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // ranges::all_of
#include <cmath>      // isfinite

#include <splitvit/core/error.hpp>      // Reason, StorageError
#include <splitvit/core/text.hpp>       // exact_text
#include <splitvit/core/utf8.hpp>       // json_quoted, replace_characters
#include <splitvit/io/json.hpp>         // Json, parse_json
#include <splitvit/io/safetensors.hpp>  // Metadata
#include <splitvit/nn/bottleneck.hpp>   // BottleneckOptions
#include <splitvit/nn/vit.hpp>          // VitConfig
#include <splitvit/nn/vit_weights.hpp>  // sizes_of, VitWeights

namespace splitvit::inline SPLITVIT_BUILD::nn {

/// What one needs to use a model, besides its weights; nothing of how it was trained. In the
/// metadata of a safetensors file it is a JSON text under the key "splitvit", beside
/// {"format", "pt"}, which other tools ask for.
///
/// Units  as data::ChannelStatistics: a value v in 0..255 becomes (v / 255 - mean) / deviation.
struct ModelInfo {
  std::string name;  ///< of the model, such as vit_micro
  VitConfig sizes;
  std::array<double, 3> mean = {};  ///< of each colour channel
  std::array<double, 3> deviation = {};
  std::vector<std::string> class_names = {};  ///< in the order of the labels; empty: not known
  std::string data = {};                      ///< name of the data that it was trained on
  std::optional<BottleneckOptions> bottleneck =
      {};         ///< part of the model; start and frozen are not kept
  Index cut = 0;  ///< the block that the bottleneck comes after; 0 without one

  /// Shows the sizes of a config, const or not.
  static void each_size(auto& config, auto&& see) {
    see("image", config.image);
    see("patch", config.patch);
    see("channels", config.channels);
    see("dim", config.dim);
    see("heads", config.heads);
    see("depth", config.depth);
    see("classes", config.classes);
    see("mlp_ratio", config.mlp_ratio);
  }
};

/// Equal facts give equal texts.
inline io::Metadata metadata_of(const ModelInfo& info) {
  const auto quoted = [](std::string_view text) {
    return json_quoted(replace_characters(text, [](char32_t) { return std::string_view{}; }));
  };
  const auto numbers = [](const std::array<double, 3>& all) {
    return "[" + exact_text(all[0]) + "," + exact_text(all[1]) + "," + exact_text(all[2]) + "]";
  };
  std::string text = "{\"model\":" + quoted(info.name);
  ModelInfo::each_size(
      info.sizes, [&](const char* key, Index size) { text += joined({",\"", key, "\":", size}); });
  text += ",\"mean\":" + numbers(info.mean) + ",\"std\":" + numbers(info.deviation);
  text += ",\"data\":" + quoted(info.data);
  if (!info.class_names.empty()) {
    text += ",\"class_names\":[";
    for (const std::string& name : info.class_names)
      text += (text.back() == '[' ? "" : ",") + quoted(name);
    text += "]";
  }
  if (info.bottleneck)
    text += joined({",\"bottleneck\":{\"ratio\":", exact_text(info.bottleneck->ratio),
                    ",\"layers\":", info.bottleneck->layers,
                    ",\"decoder_relu\":", info.bottleneck->decoder_relu ? "true" : "false",
                    ",\"after_block\":", info.cut, "}"});
  return {{"format", "pt"}, {"splitvit", text + "}"}};
}

/// What a file says of its model; nothing if another program has written it.
/// Errors  StorageError (wrong_content) for a text that is not as metadata_of writes it, or sizes
///         that are not those of the tensors.
inline std::optional<ModelInfo> model_info(const VitWeights& file) {
  const auto found = file.metadata().find("splitvit");
  if (found == file.metadata().end()) return {};
  const std::string where = file.source() + ": metadata of the model";
  const auto fail = [&](TextParts why) {
    throw StorageError(Reason::wrong_content, {where, ": ", joined(why)});
  };
  const io::Json json = io::parse_json(found->second, where, {.depth = 4});
  const auto member = [&](const io::Json& of, const char* key) -> const io::Json& {
    const io::Json* const value = of.find(key);
    if (value == nullptr) fail({"no ", key});
    return *value;
  };
  const auto whole = [&](const io::Json& of, const char* key) {
    const std::int64_t* const value = member(of, key).whole();
    if (value == nullptr || *value < 0 || *value > 1 << 24)
      fail({key, ", wanted a whole number from 0 to 16777216"});
    return static_cast<Index>(*value);
  };
  const auto text = [&](const io::Json& value, const char* key) {
    if (value.text() == nullptr) fail({key, " is no text"});
    return *value.text();
  };
  const auto number = [&](const io::Json& value, const char* key) {
    const double* const fraction = value.fraction();
    if (fraction == nullptr && value.whole() == nullptr) fail({key, " is no number"});
    return fraction != nullptr ? *fraction : static_cast<double>(*value.whole());
  };

  ModelInfo out;
  out.name = text(member(json, "model"), "model");
  ModelInfo::each_size(out.sizes, [&](const char* key, Index& size) { size = whole(json, key); });
  for (auto [key, to] : {std::pair{"mean", &out.mean}, std::pair{"std", &out.deviation}}) {
    const io::Json::Array* const all = member(json, key).array();
    if (all == nullptr || all->size() != 3) fail({key, " are not three numbers"});
    for (std::size_t c = 0; c < 3; ++c) (*to)[c] = number((*all)[c], key);
  }
  if (!std::ranges::all_of(out.deviation, [](double value) { return value > 0; }))
    fail({"std, wanted numbers above 0"});
  out.data = text(member(json, "data"), "data");
  if (const io::Json* const names = json.find("class_names")) {
    if (names->array() == nullptr) fail({"class_names is no list"});
    for (const io::Json& name : *names->array())
      out.class_names.push_back(text(name, "class_names"));
    if (static_cast<Index>(out.class_names.size()) != out.sizes.classes)
      fail({out.class_names.size(), " class_names for ", out.sizes.classes, " classes"});
  }
  if (const io::Json* const bottleneck = json.find("bottleneck")) {
    const bool* const relu = member(*bottleneck, "decoder_relu").boolean();
    if (relu == nullptr) fail({"decoder_relu is neither true nor false"});
    out.bottleneck = {.ratio = number(member(*bottleneck, "ratio"), "ratio"),
                      .layers = whole(*bottleneck, "layers"),
                      .decoder_relu = *relu};
    out.cut = whole(*bottleneck, "after_block");
    if (out.cut < 1 || out.cut >= out.sizes.depth) fail({"after_block is ", out.cut});
  }
  try {
    require_valid(out.sizes);
    if (out.bottleneck) bottleneck_width(out.sizes.dim, *out.bottleneck);
  } catch (const std::invalid_argument& error) {
    fail({error.what()});
  }
  // So that a text cannot ask for more memory than the tensors take.
  VitConfig told = sizes_of(file);
  told.heads = out.sizes.heads;
  std::string own, of_tensors;
  ModelInfo::each_size(out.sizes,
                       [&](const char* key, Index size) { own += joined({key, " ", size, ", "}); });
  ModelInfo::each_size(
      told, [&](const char* key, Index size) { of_tensors += joined({key, " ", size, ", "}); });
  if (own != of_tensors)
    fail({own, "but the tensors have ", of_tensors.substr(0, of_tensors.size() - 2)});
  return out;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
