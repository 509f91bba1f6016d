// SPDX-License-Identifier: MIT
#include "split_train/data.hpp"

#include <cstddef>     // size_t
#include <cstdio>      // fprintf
#include <filesystem>  // path
#include <fstream>     // ifstream
#include <iterator>    // ssize
#include <utility>     // move
#include <vector>      // vector

#include <splitvit/core/text.hpp>    // counted
#include <splitvit/data/cifar.hpp>   // read_cifar10, read_cifar100, read_cifar_files
#include <splitvit/data/shapes.hpp>  // make_shapes

#include "split_train/data_digest.hpp"  // data_digest
#include "split_train/image_data.hpp"   // load_folder, load_idx, load_npz
#include "split_train/options.hpp"      // UsageError

namespace split_train {

namespace data = splitvit::data;

namespace {

constexpr Index shape_classes = 8;

/// The set with the names of its classes, which a text file has, a line each, in the folder of
/// --data or the one that its archive unpacks to. Without them if there is no such file.
Data with_class_names(Data set, const std::filesystem::path& folder, const char* unpacked,
                      const char* file) {
  for (const auto& path : {folder / file, folder / unpacked / file}) {
    std::ifstream in{path};
    std::vector<std::string> names;
    for (std::string name; std::ssize(names) <= set.train.classes() && std::getline(in, name);)
      if (!name.empty()) names.push_back(name);
    if (std::ssize(names) == set.train.classes()) set.class_names = names;
  }
  return set;
}

}  // namespace

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

Data data_from(data::TrainTest pair) {
  const auto statistics = data::channel_statistics(pair.train);
  std::string name = pair.train.name;
  return {.train = std::move(pair.train),
          .test = std::move(pair.test),
          .name = std::move(name),
          .statistics = statistics};
}

namespace {

Data read_data(const Options& options) {
  const std::string& text = options.data;
  const std::string kind = text.substr(0, text.find(':'));
  if (options.test_share && (kind != "folder" || text.find(',') != std::string::npos))
    throw UsageError("--test-share goes with --data folder:DIR only");
  if (options.on_bad_file != "refuse" && kind != "folder")
    throw UsageError("--on-bad-file goes with --data folder: only");
  if (text == "shapes") {
    Data shapes = data_from(
        data::make_shapes({.samples = 8000, .test_samples = 1000, .classes = shape_classes}));
    shapes.class_names.assign(data::shape_names.begin(), data::shape_names.begin() + shape_classes);
    return shapes;
  }
  if (kind == "cifar10") {
    const std::string folder = files_of(text, 1, "cifar10:DIR")[0];
    return with_class_names(data_from(data::read_cifar10(folder)), folder, "cifar-10-batches-bin",
                            "batches.meta.txt");
  }
  if (kind == "cifar100") {
    const std::string folder = files_of(text, 1, "cifar100:DIR")[0];
    return with_class_names(data_from(data::read_cifar100(folder)), folder, "cifar-100-binary",
                            "fine_label_names.txt");
  }
  if (kind == "cifar") {
    const auto files = files_of(text, 2, "cifar:TRAIN.bin,TEST.bin");
    return data_from(data::read_cifar_files(files[0], files[1]));
  }
  if (kind == "idx") return load_idx(options);
  if (kind == "npz") return load_npz(options);
  if (kind == "folder") return load_folder(options);
  throw UsageError(
      "--data '" + text +
      "': wanted shapes, folder:TRAIN,TEST, folder:DIR with --test-share, cifar10:DIR, "
      "cifar100:DIR, cifar:TRAIN.bin,TEST.bin, npz:FILE or "
      "idx:TRAIN-IMAGES,TRAIN-LABELS,TEST-IMAGES,TEST-LABELS");
}

}  // namespace

Data load_data(const Options& options) {
  Data data = read_data(options);
  data.digest = data_digest(options);
  return data;
}

void tell_skipped(const std::vector<std::string>& skipped) {
  if (skipped.empty()) return;
  std::fprintf(stderr, "split_train: %s could not be read and %s skipped, the first: %s\n",
               splitvit::counted(skipped.size(), "file").c_str(),
               skipped.size() == 1 ? "was" : "were", skipped.front().c_str());
}

Index classes_of(const std::string& text) {
  const std::string kind = text.substr(0, text.find(':'));
  if (kind == "shapes") return shape_classes;
  if (kind == "cifar10" || kind == "cifar") return 10;
  if (kind == "cifar100") return 100;
  return 0;
}

}  // namespace split_train
