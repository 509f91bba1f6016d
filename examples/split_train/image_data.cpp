// SPDX-License-Identifier: MIT
#include "split_train/image_data.hpp"

#include <chrono>      // steady_clock
#include <cstdio>      // fprintf
#include <filesystem>  // exists, path
#include <functional>  // function
#include <string>      // string
#include <utility>     // move

#include "split_train/augmentation.hpp"  // wants_own_size

#if SPLITVIT_HAS_IMAGES
#include <splitvit/images/folder_listing.hpp>  // divide, list_folder, list_folders
#include <splitvit/images/folder_set.hpp>      // FolderSet
#include <splitvit/images/idx_gz.hpp>          // read_idx_or_gz
#include <splitvit/images/npz.hpp>             // read_npz
#else
#include <splitvit/data/idx.hpp>  // read_idx
#endif

namespace split_train {

Data load_idx(const Options& o) {
  const auto files = files_of(o.data, 4, "idx:TRAIN-IMAGES,TRAIN-LABELS,TEST-IMAGES,TEST-LABELS");
#if SPLITVIT_HAS_IMAGES
  using splitvit::images::read_idx_or_gz;
#else
  const auto read_idx_or_gz = [](const auto&... both) { return splitvit::data::read_idx(both...); };
#endif
  return data_from(
      read_idx_or_gz(splitvit::data::IdxFiles{.images = files[0], .labels = files[1]},
                     splitvit::data::IdxFiles{.images = files[2], .labels = files[3]}));
}

#if SPLITVIT_HAS_IMAGES

namespace images = splitvit::images;

namespace {

/// DIR is one folder that is to be divided; if it is divided already, says how to name its parts.
images::ListedPair divided(const Options& o, const std::filesystem::path& folder) {
  for (const char* const test : {"test", "val", "valid", "validation"})
    if (std::filesystem::exists(folder / "train") && std::filesystem::exists(folder / test))
      throw UsageError("--data '" + o.data + "' is divided already, wanted --data folder:" +
                       (folder / "train").string() + "," + (folder / test).string());
  if (!o.test_share)
    throw UsageError("--data '" + o.data +
                     "' needs --test-share S, such as 0.2, or --data folder:TRAIN,TEST");
  auto parts = images::divide(images::list_folder(folder), *o.test_share);
  if (parts.test.files.empty())
    throw UsageError("--data '" + o.data + "': no class has two images, so none is left to test");
  return parts;
}

/// Says now and then how far reading is; silent for what is read at once.
std::function<void(Index, Index)> reading_of(const std::string& name, const Options& o) {
  if (o.progress == "none") return {};
  return [name, last = std::chrono::steady_clock::now()](Index read, Index files) mutable {
    const auto now = std::chrono::steady_clock::now();
    if (now - last < std::chrono::seconds{5}) return;
    last = now;
    std::fprintf(stderr, "%s: %lld of %lld images read\n", name.c_str(),
                 static_cast<long long>(read), static_cast<long long>(files));
  };
}

/// The folders of --data, one or two, and their images.
struct ListedFolders {
  std::vector<std::string> folders;
  images::ListedPair images;
};

ListedFolders listed_folders(const Options& o) {
  const bool two = o.data.find(',') != std::string::npos;
  auto folders = files_of(o.data, two ? 2 : 1, "folder:TRAIN,TEST or folder:DIR");
  auto listed = two ? images::list_folders(folders[0], folders[1]) : divided(o, folders[0]);
  return {std::move(folders), std::move(listed)};
}

}  // namespace

std::vector<ImageFiles> list_images(const Options& o) {
  const auto [folders, listed] = listed_folders(o);
  std::vector<ImageFiles> all{{folders.front(), {}}, {folders.back(), {}}};
  for (const auto& file : listed.train.files)
    all[0].files.push_back(file.path.lexically_relative(folders.front()));
  for (const auto& file : listed.test.files)
    all[1].files.push_back(file.path.lexically_relative(folders.back()));
  return all;
}

Data load_folder(const Options& o) {
  auto [folders, listed] = listed_folders(o);
  const bool two = folders.size() == 2;
  // A folder for training is mostly called "train": the one around it says more.
  const auto around = (std::filesystem::absolute(folders[0]) / "..").lexically_normal();
  const std::string name =
      (two ? around.parent_path().filename().string() + "/" : "") + listed.train.name;
  images::FolderOptions options{
      .image = wants_own_size(o.augment) ? 0 : o.vit(2).image,
      .memory = static_cast<std::uintmax_t>(o.data_memory_mib) << 20,
      .on_bad_file = o.on_bad_file == "skip" ? images::OnBadFile::skip : images::OnBadFile::refuse,
      .progress = reading_of(name, o)};
  images::FolderSet train{std::move(listed.train), options};
  options.memory -= train.kept_bytes();
  options.image = o.vit(2).image;
  images::FolderSet test{std::move(listed.test), options};
  std::vector<std::string> skipped = train.skipped();
  skipped.insert(skipped.end(), test.skipped().begin(), test.skipped().end());
  const auto statistics = splitvit::data::channel_statistics(train, 10000);  // enough for 3 digits
  std::vector<std::string> classes = train.class_names();
  return {.train = std::move(train),
          .test = std::move(test),
          .name = name,
          .class_names = std::move(classes),
          .skipped = std::move(skipped),
          .statistics = statistics};
}

Data load_npz(const Options& o) {
  return data_from(images::read_npz(files_of(o.data, 1, "npz:FILE")[0]));
}

#else

namespace {

[[noreturn]] void refuse(const Options& o) {
  throw UsageError("--data '" + o.data + "': " + built_without_images);
}

}  // namespace

std::vector<ImageFiles> list_images(const Options& o) { refuse(o); }
Data load_folder(const Options& o) { refuse(o); }
Data load_npz(const Options& o) { refuse(o); }

#endif

}  // namespace split_train
