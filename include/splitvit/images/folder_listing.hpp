// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // find, max, min, sort, transform
#include <cmath>       // round
#include <filesystem>  // directory_iterator, path, recursive_directory_iterator
#include <fstream>     // ifstream

#include <splitvit/core/error.hpp>   // StorageError
#include <splitvit/core/random.hpp>  // Rng
#include <splitvit/core/shape.hpp>   // Index

namespace splitvit::inline SPLITVIT_BUILD::images {

/// Image files and their classes, as a folder with a sub-folder for each class has them.
struct FolderListing {
  struct File {
    std::filesystem::path path;
    Index label;
  };
  std::string name;                  ///< of the folder, for people
  std::vector<std::string> classes;  ///< names of the sub-folders, sorted
  std::vector<File> files;           ///< by class, then by path
};

namespace detail {
/// Whether a file is meant to be an image: by its name, or else by its first bytes. Other files,
/// such as notes and tables, and hidden ones may lie beside images.
inline bool is_image_file(const std::filesystem::path& file) {
  if (file.filename().string().starts_with('.')) return false;
  std::string extension = file.extension().string();
  std::ranges::transform(extension, extension.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  for (const char* const known : {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".tif",
                                  ".tiff", ".webp", ".heic", ".avif", ".ppm", ".pgm"})
    if (extension == known) return true;
  std::array<char, 4> first{};
  std::ifstream{file, std::ios::binary}.read(first.data(), 4);
  const std::string_view text{first.data(), first.size()};
  return text.starts_with("\xFF\xD8\xFF") || text == "\x89PNG";
}
}  // namespace detail

/// Lists the images below each sub-folder of `folder`: the classes are the sub-folders' names, in
/// the order of their bytes. Hidden files and folders, and files that are no images, are left out.
///
/// Errors  StorageError naming the folder: cannot_open if it cannot be listed; wrong_content if it
///         has no sub-folder, or one without an image.
inline FolderListing list_folder(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  FolderListing out;
  fs::path here = folder;
  try {
    out.name = (fs::absolute(folder) / "").lexically_normal().parent_path().filename().string();
    bool has_images = false;
    for (const auto& entry : fs::directory_iterator{folder}) {
      const std::string name = entry.path().filename().string();
      if (entry.is_directory() && !name.starts_with('.'))
        out.classes.push_back(name);
      else
        has_images = has_images || (entry.is_regular_file() && detail::is_image_file(entry.path()));
    }
    std::ranges::sort(out.classes);
    if (out.classes.empty())
      throw StorageError(Reason::wrong_content,
                         {folder.string(), has_images ? ": images without classes" : ": no images",
                          ", wanted a sub-folder of images for each class"});
    for (std::size_t label = 0; label < out.classes.size(); ++label) {
      here = folder / out.classes[label];
      const auto begin = static_cast<std::ptrdiff_t>(out.files.size());
      for (fs::recursive_directory_iterator at{here}, end; at != end; ++at)
        if (at->is_directory() && at->path().filename().string().starts_with('.'))
          at.disable_recursion_pending();
        else if (at->is_regular_file() && detail::is_image_file(at->path()))
          out.files.push_back({at->path(), static_cast<Index>(label)});
      if (begin == static_cast<std::ptrdiff_t>(out.files.size()))
        throw StorageError(Reason::wrong_content,
                           {here.string(), ": no images, wanted JPEG or PNG files of this class"});
      std::ranges::sort(out.files.begin() + begin, out.files.end(), {}, &FolderListing::File::path);
    }
  } catch (const fs::filesystem_error& error) {
    throw StorageError(Reason::cannot_open,
                       {here.string(), ": ", error.code().message(),
                        ", wanted a folder with a sub-folder of images for each class"});
  }
  return out;
}

struct ListedPair {
  FolderListing train;
  FolderListing test;
};

/// Lists a folder for training and one for testing. The first one numbers the classes of both.
/// Errors  as list_folder; StorageError (wrong_content) if the second has a class of its own.
inline ListedPair list_folders(const std::filesystem::path& train,
                               const std::filesystem::path& test) {
  ListedPair out{.train = list_folder(train), .test = list_folder(test)};
  for (auto& file : out.test.files) {
    const std::string& name = out.test.classes[static_cast<std::size_t>(file.label)];
    const auto found = std::ranges::find(out.train.classes, name);
    if (found == out.train.classes.end())
      throw StorageError(Reason::wrong_content, {(test / name).string(), ": there is no class '",
                                                 name, "' in ", train.string()});
    file.label = found - out.train.classes.begin();
  }
  out.test.classes = out.train.classes;
  return out;
}

/// Takes `test_share` of each class for testing: rounded, at least one image of two or more, never
/// all. Which ones depends on the listing alone.
///
/// Errors  std::invalid_argument unless 0 < test_share < 1.
inline ListedPair divide(const FolderListing& all, double test_share) {
  if (!(test_share > 0.0 && test_share < 1.0))
    throw ArgumentError(
        {"divide: the share for testing must be between 0 and 1, not ", test_share});
  ListedPair out{.train = {.name = all.name, .classes = all.classes, .files = {}},
                 .test = {.name = all.name, .classes = all.classes, .files = {}}};
  for (std::size_t begin = 0, end = 0; begin < all.files.size(); begin = end) {
    const Index label = all.files[begin].label;
    std::vector<std::size_t> places;
    for (end = begin; end < all.files.size() && all.files[end].label == label; ++end)
      places.push_back(end);
    const auto count = static_cast<Index>(places.size());
    const auto wanted = static_cast<Index>(std::round(test_share * static_cast<double>(count)));
    const Index taken = std::min(std::max<Index>(wanted, 1), count - 1);
    constexpr std::uint64_t for_division = 0x646976696465;  // "divide"
    Rng{}.at(for_division, static_cast<std::uint64_t>(label)).choose(std::span{places}, taken);
    const auto middle = places.begin() + taken;
    std::sort(places.begin(), middle);
    std::sort(middle, places.end());
    for (auto place = places.begin(); place != places.end(); ++place)
      (place < middle ? out.test : out.train).files.push_back(all.files[*place]);
  }
  return out;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::images
