// SPDX-License-Identifier: MIT
#include "split_train/data.hpp"

#include <cstddef>  // size_t
#include <vector>   // vector

#include <splitvit/data/cifar.hpp>   // read_cifar10, read_cifar100, read_cifar_files
#include <splitvit/data/idx.hpp>     // read_idx
#include <splitvit/data/shapes.hpp>  // make_shapes

#include "split_train/options.hpp"  // UsageError

namespace split_train {

namespace data = splitvit::data;

namespace {

constexpr Index shape_classes = 8;

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == ',')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

/// The files behind the colon, of which there must be so many.
std::vector<std::string> files_of(const std::string& text, std::size_t count,
                                  const std::string& wanted) {
  const std::size_t colon = text.find(':');
  std::vector<std::string> files = colon == std::string::npos
                                       ? std::vector<std::string>{}
                                       : split_at_commas(text.substr(colon + 1));
  bool complete = files.size() == count;
  for (const std::string& file : files) complete = complete && !file.empty();
  if (!complete) throw UsageError("--data '" + text + "': wanted " + wanted);
  return files;
}

}  // namespace

data::TrainTest load_data(const std::string& text, std::uint64_t seed) {
  const std::string kind = text.substr(0, text.find(':'));
  if (text == "shapes")
    return data::make_shapes(
        {.samples = 8000, .test_samples = 1000, .classes = shape_classes, .seed = seed});
  if (kind == "cifar10") return data::read_cifar10(files_of(text, 1, "cifar10:DIR")[0]);
  if (kind == "cifar100") return data::read_cifar100(files_of(text, 1, "cifar100:DIR")[0]);
  if (kind == "cifar") {
    const auto files = files_of(text, 2, "cifar:TRAIN.bin,TEST.bin");
    return data::read_cifar_files(files[0], files[1]);
  }
  if (kind == "idx") {
    const auto files = files_of(text, 4, "idx:TRAIN-IMAGES,TRAIN-LABELS,TEST-IMAGES,TEST-LABELS");
    return data::read_idx({.images = files[0], .labels = files[1]},
                          {.images = files[2], .labels = files[3]});
  }
  throw UsageError("--data '" + text +
                   "': wanted shapes, cifar10:DIR, cifar100:DIR, cifar:TRAIN.bin,TEST.bin or "
                   "idx:TRAIN-IMAGES,TRAIN-LABELS,TEST-IMAGES,TEST-LABELS");
}

Index classes_of(const std::string& text) {
  const std::string kind = text.substr(0, text.find(':'));
  if (kind == "shapes") return shape_classes;
  if (kind == "cifar10" || kind == "cifar") return 10;
  if (kind == "cifar100") return 100;
  return 0;
}

}  // namespace split_train
