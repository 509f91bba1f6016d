// SPDX-License-Identifier: MIT
#include "split_train/weights.hpp"

#include <algorithm>   // equal, find
#include <filesystem>  // path
#include <numeric>     // iota
#include <utility>     // move
#include <vector>      // vector

#include <splitvit/core/error.hpp>         // joined
#include <splitvit/data/relabelled.hpp>    // Relabelled
#include <splitvit/io/weights_digest.hpp>  // weights_digest
#include <splitvit/nn/model_info.hpp>      // metadata_of, model_info, ModelInfo
#include <splitvit/nn/weights.hpp>         // listed, load_notes

#include "split_train/method.hpp"  // method_of

namespace split_train {

namespace sv = splitvit;

namespace {

/// Whether two models differ in image size and classes at most.
bool alike(sv::nn::VitConfig a, const sv::nn::VitConfig& b) {
  return a.patch == b.patch && a.channels == b.channels && a.dim == b.dim && a.heads == b.heads &&
         a.depth == b.depth && a.mlp_ratio == b.mlp_ratio;
}

/// What the shapes in a file of another program tell.
sv::nn::ModelInfo foreign_info(const Options& o, const sv::nn::VitWeights& file, bool model_given) {
  sv::nn::ModelInfo info{.name = o.model,
                         .sizes = sv::nn::sizes_of(file),
                         .mean = sv::data::imagenet_statistics.mean,
                         .deviation = sv::data::imagenet_statistics.deviation};
  if (model_given) {  // what does not fit is named when the weights are loaded
    const sv::Index classes = info.sizes.classes;
    info.sizes = sv::nn::vit_named(o.model);
    info.sizes.classes = classes;
    return info;
  }
  const sv::nn::VitConfig& told = info.sizes;
  info.name = sv::joined({"vit_", told.dim, "x", told.depth, "_patch", told.patch});
  for (const sv::nn::NamedVit& known : sv::nn::named_vits) {
    sv::nn::VitConfig same = told;
    same.heads = known.config.heads;
    if (!alike(same, known.config)) continue;
    info.name = known.name;
    info.sizes = same;
    return info;
  }
  if (told.heads == 0)
    throw UsageError("--weights " + o.weights + ": no model has " + std::to_string(told.depth) +
                     " blocks of width " + std::to_string(told.dim) + " and patches of " +
                     std::to_string(told.patch) + " pixels; name one with --model");
  return info;
}

/// The place of each of `names` in `all`; empty if one is not there.
std::vector<sv::Index> places(const std::vector<std::string>& names,
                              const std::vector<std::string>& all) {
  std::vector<sv::Index> out;
  for (const std::string& name : names) {
    const auto at = std::ranges::find(all, name);
    if (at == all.end()) return {};
    out.push_back(at - all.begin());
  }
  return out;
}

}  // namespace

void use_weights(Options& o, const Given& given) {
  if (o.weights.empty()) return;
  sv::io::SafeTensors tensors = sv::io::read_safetensors(o.weights);
  o.weights_digest = sv::io::weights_digest(tensors).text();
  const sv::nn::VitWeights& file = o.file.emplace(std::move(tensors));
  auto info = sv::nn::model_info(file);
  o.own_weights = info.has_value();
  if (info && given.model && !alike(sv::nn::vit_named(o.model), info->sizes))
    throw UsageError("--model " + o.model + ": the weights in " + o.weights + " are of " +
                     info->name);
  if (!info) info = foreign_info(o, file, given.model);
  if (info->bottleneck) {
    if (given.cut && o.cut != info->cut)
      throw UsageError("--cut " + std::to_string(o.cut) + ": the bottleneck in " + o.weights +
                       " comes after block " + std::to_string(info->cut));
    o.cut = info->cut;
    if (!given.method && o.role != Role::server) o.methods = {info->bottleneck->description()};
  }
  o.model = info->name;
  o.start = std::move(info);
}

void use_weights(Data& data, const Options& o) {
  std::vector<sv::Index> labels(static_cast<std::size_t>(data.train.classes()));
  std::iota(labels.begin(), labels.end(), sv::Index{0});
  sv::Index classes = data.train.classes();
  if (o.start) {
    data.statistics = {.mean = o.start->mean, .deviation = o.start->deviation};
    const std::vector<std::string>& names = o.start->class_names;
    const sv::Index known = o.start->sizes.classes;
    const bool both_named = !names.empty() && !data.class_names.empty();
    const auto same = both_named ? places(data.class_names, names) : std::vector<sv::Index>{};
    if (!same.empty() && (o.eval_only || known == classes)) {
      labels = same;
      classes = known;
      data.class_names = names;
    } else if (o.eval_only && known > 0) {
      if (both_named)
        throw UsageError("--eval-only: the classes of the data are " +
                         sv::nn::listed(data.class_names) + ", those of " + o.weights + " are " +
                         sv::nn::listed(names));
      if (known < classes)
        throw UsageError("--eval-only: the data has " + std::to_string(classes) + " classes, " +
                         o.weights + " has " + std::to_string(known));
      classes = known;
      if (!names.empty()) data.class_names = names;
    }
  }
  if (o.classes != 0) {
    if (o.classes < classes)
      throw UsageError("--classes " + std::to_string(o.classes) + ": there are " +
                       std::to_string(classes) + " classes");
    if (o.eval_only && o.start && o.start->sizes.classes > 0 && o.classes != classes)
      throw UsageError("--classes " + std::to_string(o.classes) + ": " + o.weights + " has " +
                       std::to_string(classes));
    for (; !data.class_names.empty() && classes < o.classes; ++classes)
      data.class_names.push_back(std::to_string(classes));
    classes = o.classes;
  }
  if (o.start) {
    data.weights_notes = weights_notes(o, classes);
    if (classes != data.train.classes())
      data.weights_notes += "; the data have " + std::to_string(data.train.classes()) + " of " +
                            std::to_string(classes) + " classes";
    else if (!o.start->class_names.empty() && o.start->class_names != data.class_names &&
             o.start->sizes.classes == classes)
      data.weights_notes +=
          "; its classifier was for the classes " + sv::nn::listed(o.start->class_names);
  }
  if (classes == data.train.classes() && std::ranges::is_sorted(labels)) return;
  data.train = sv::data::Relabelled{data.train, labels, classes};
  data.test = sv::data::Relabelled{data.test, labels, classes};
}

std::string weights_notes(const Options& o, sv::Index classes) {
  const sv::nn::VitWeights& file = *o.file;
  sv::nn::require_fit(o.vit(classes), file);
  const std::string notes = sv::nn::load_notes(o.vit(classes), file);
  const std::string& data = o.start->data;
  const bool named = std::ranges::find(sv::nn::named_vits, o.model, &sv::nn::NamedVit::name) !=
                     sv::nn::named_vits.end();
  const std::string heads = std::to_string(o.start->sizes.heads);
  return o.start->name + (data.empty() ? "" : " trained on " + data) +
         (named || o.own_weights ? "" : "; taken to have " + heads + " heads") +
         (notes.empty() ? "" : "; " + notes) +
         (o.own_weights ? "; normalised as in its training" : "; normalised as for ImageNet");
}

sv::io::Metadata saved_metadata(const Options& o, const std::string& method, const Data& data) {
  sv::nn::ModelInfo info{.name = o.model,
                         .sizes = o.vit(data.train.classes()),
                         .mean = data.statistics.mean,
                         .deviation = data.statistics.deviation,
                         .class_names = data.class_names,
                         .data = data.name};
  info.bottleneck = method_of(method).bottleneck;
  if (info.bottleneck) info.cut = o.cut;
  return sv::nn::metadata_of(info);
}

}  // namespace split_train
