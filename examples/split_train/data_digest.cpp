// SPDX-License-Identifier: MIT
#include "split_train/data_digest.hpp"

#include <algorithm>     // min, sort
#include <array>         // array
#include <cstddef>       // byte, size_t
#include <cstdint>       // uint64_t, uintmax_t
#include <filesystem>    // exists, file_size, is_regular_file, path
#include <fstream>       // ifstream
#include <ios>           // ios, streamsize
#include <span>          // span
#include <string>        // string
#include <system_error>  // error_code
#include <utility>       // pair
#include <vector>        // vector

#include <splitvit/core/digest.hpp>  // Digest
#include <splitvit/core/error.hpp>   // StorageError

#include "split_train/data.hpp"        // files_of
#include "split_train/image_data.hpp"  // list_images

namespace split_train {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void refuse(const fs::path& path) {
  throw splitvit::StorageError(splitvit::Reason::cannot_open, {path.string(), ": cannot be read"});
}

std::uintmax_t size_of(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) refuse(path);
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) refuse(path);
  return size;
}

/// The size of a file, then its bytes.
void add_file(splitvit::Digest& digest, const fs::path& path) {
  digest.add_number(size_of(path));
  std::ifstream in{path, std::ios::binary};
  std::array<char, 65536> part;
  while (in.read(part.data(), part.size()), in.gcount() > 0)
    digest.add_bytes(std::as_bytes(std::span{part}.first(static_cast<std::size_t>(in.gcount()))));
  if (!in.eof()) refuse(path);
}

/// The files of CIFAR-10 or CIFAR-100: in the folder, or in the one that the archive unpacks to.
std::vector<fs::path> cifar_files(const fs::path& folder, bool ten) {
  std::vector<fs::path> files;
  const fs::path unpacked = folder / (ten ? "cifar-10-batches-bin" : "cifar-100-binary");
  std::error_code none;
  const auto names =
      ten ? std::vector<const char*>{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                     "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"}
          : std::vector<const char*>{"train.bin", "test.bin"};
  const fs::path& place = fs::exists(unpacked / names.front(), none) ? unpacked : folder;
  for (const char* const name : names) files.push_back(place / name);
  return files;
}

void add_images(splitvit::Digest& digest, const ImageFiles& images) {
  constexpr std::size_t most = 1000;
  std::vector<std::pair<std::uint64_t, std::size_t>> order;  // digest of the path, place
  for (const fs::path& path : images.files) {
    const std::string name = path.generic_string();
    splitvit::Digest of_name;
    of_name.add_text(name);
    order.emplace_back(of_name.value(), order.size());
    digest.add_text(name);
    digest.add_number(size_of(images.folder / path));
  }
  std::ranges::sort(order);
  order.resize(std::min(order.size(), most));
  for (const auto& [ignored, place] : order) add_file(digest, images.folder / images.files[place]);
}

}  // namespace

std::string data_digest(const Options& options) {
  const std::string& text = options.data;
  const std::string kind = text.substr(0, text.find(':'));
  splitvit::Digest digest;
  if (kind == "shapes") return {};
  if (kind == "folder") {
    for (const ImageFiles& images : list_images(options)) add_images(digest, images);
  } else if (kind == "cifar10" || kind == "cifar100") {
    const bool ten = kind == "cifar10";
    for (const fs::path& file : cifar_files(files_of(text, 1, kind + ":DIR")[0], ten))
      add_file(digest, file);
  } else {
    const std::size_t count = kind == "idx" ? 4 : kind == "cifar" ? 2 : 1;
    for (const std::string& file : files_of(text, count, kind + ":FILE,..."))
      add_file(digest, file);
  }
  return digest.text();
}

}  // namespace split_train
