// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>     // copy, max
#include <filesystem>    // exists, is_regular_file, path
#include <system_error>  // error_code

#include <splitvit/core/error.hpp>     // ArgumentError, Reason
#include <splitvit/core/file.hpp>      // read_file
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/data/concepts.hpp>  // fail_at, ImageSet, require_alike, TrainTest
#include <splitvit/tensor/tensor.hpp>  // Tensor

namespace splitvit::inline SPLITVIT_BUILD::data {

/// The binary layout of CIFAR-10 and CIFAR-100: one record after another, each one or two label
/// bytes and then the red, green and blue planes.
struct CifarLayout {
  Index label_bytes = 1;  ///< 1, or 2 as in CIFAR-100: coarse, then fine; the last one counts
  Index image = 32;       ///< height and width
  Index classes = 0;      ///< 0: one more than the largest label
  std::uintmax_t limit = std::uintmax_t{1} << 33;  ///< bytes of a file
};

inline constexpr CifarLayout cifar10_layout = {.label_bytes = 1, .classes = 10};
inline constexpr CifarLayout cifar100_layout = {.label_bytes = 2, .classes = 100};

/// Takes apart the records of a file; `source` names it in messages.
/// Shapes  images (records, 3, image, image).
/// Errors  StorageError: damaged_file if the last record is cut off, wrong_content if there is no
///         record or a label too large. std::invalid_argument for a layout out of range.
inline ImageSet parse_cifar(std::span<const std::byte> bytes, const CifarLayout& layout,
                            const std::string& source) {
  if (layout.label_bytes < 1 || layout.label_bytes > 2 || layout.image < 1 ||
      layout.image > 65536 || layout.classes < 0)
    throw ArgumentError({"parse_cifar: ", layout.label_bytes, " label bytes, image ", layout.image,
                         ", ", layout.classes, " classes"});
  const auto pixels = static_cast<std::size_t>(3 * layout.image * layout.image);
  const std::size_t record = pixels + static_cast<std::size_t>(layout.label_bytes);
  const std::size_t count = bytes.size() / record, left = bytes.size() % record;
  const auto begins = [&](int first, int second) {
    return bytes.size() > 2 && bytes[0] == std::byte(first) && bytes[1] == std::byte(second);
  };
  if (left != 0 && begins(0x1F, 0x8B))
    detail::fail_at(Reason::foreign_file, source, 0, {"is compressed with gzip: unpack it first"});
  if (left != 0 && (begins(0x80, 2) || begins(0x80, 3) || begins(0x80, 4)))
    detail::fail_at(Reason::foreign_file, source, 0,
                    {"is a pickle of Python; wanted the binary version of the data"});
  if (left != 0)
    detail::fail_at(Reason::damaged_file, source, count * record,
                    {"only ", left, " of the ", record, " bytes of a record"});
  if (count == 0) detail::fail_at(Reason::wrong_content, source, 0, {"no records"});
  ImageSet set{.name = source,
               .images = Tensor<std::uint8_t>::uninitialised(
                   {static_cast<Index>(count), 3, layout.image, layout.image}),
               .labels = {},
               .class_count = layout.classes};
  const std::span<std::byte> values = std::as_writable_bytes(set.images.span());
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = (i + 1) * record - pixels;
    const auto label = std::to_integer<Index>(bytes[at - 1]);
    if (layout.classes > 0 && label >= layout.classes)
      detail::fail_at(Reason::wrong_content, source, at - 1,
                      {"label ", label, ", there are ", layout.classes, " classes"});
    set.labels.push_back(label);
    std::ranges::copy(bytes.subspan(at, pixels), values.subspan(i * pixels).begin());
    set.class_count = std::max(set.class_count, label + 1);
  }
  return set;
}

/// Reads one or more files as one set, in this order.
/// Errors  as parse_cifar and read_file; std::invalid_argument for no file.
inline ImageSet read_cifar(std::span<const std::filesystem::path> files,
                           const CifarLayout& layout = {}) {
  if (files.empty()) throw std::invalid_argument("read_cifar: no file");
  std::vector<ImageSet> parts;
  Index samples = 0;
  for (const auto& file : files) {
    parts.push_back(parse_cifar(read_file(file, layout.limit), layout, file.string()));
    samples += parts.back().size();
  }
  ImageSet set;
  set.name = files.front().filename().string();
  set.images = Tensor<std::uint8_t>::uninitialised({samples, 3, layout.image, layout.image});
  auto to = set.images.span().begin();
  for (const ImageSet& part : parts) {
    to = std::ranges::copy(part.images.span(), to).out;
    set.labels.insert(set.labels.end(), part.labels.begin(), part.labels.end());
    set.class_count = std::max(set.class_count, part.class_count);
  }
  return set;
}

/// Reads single files in the layout of CIFAR-10; both sets get the larger number of classes.
inline TrainTest read_cifar_files(const std::filesystem::path& train,
                                  const std::filesystem::path& test,
                                  const CifarLayout& layout = {}) {
  TrainTest out{.train = read_cifar(std::span{&train, 1}, layout),
                .test = read_cifar(std::span{&test, 1}, layout)};
  require_alike(out, test.string());
  return out;
}

namespace detail {
/// Where `file` lies: `given` or, as its archive unpacks, a folder in it.
/// Errors  StorageError that says what is there instead: the archive itself (wrong_content), the
///         version for Python or the other set of the two (foreign_file), none of it (cannot_open).
inline std::filesystem::path cifar_folder(const std::filesystem::path& given,
                                          const std::string& file, const std::string& digits) {
  namespace fs = std::filesystem;
  const bool ten = digits == "10";
  const auto has = [](const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path, ignored);
  };
  const std::string binary = ten ? "cifar-10-batches-bin" : "cifar-100-binary";
  const std::string python = ten ? "cifar-10-batches-py" : "cifar-100-python";
  if (has(given / binary / file)) return given / binary;
  const auto refuse = [&](Reason reason, TextParts why) {
    throw StorageError(reason, {given.string(), ": ", joined(why)});
  };
  if (has(given / file) || !has(given)) return given;
  std::error_code ignored;
  if (fs::is_regular_file(given, ignored))
    refuse(Reason::wrong_content, {"is a file; wanted the folder ", binary, " that cifar-", digits,
                                   "-binary.tar.gz unpacks to (tar xf)"});
  if (has(given / python) || has(given / (ten ? "data_batch_1" : "train")))
    refuse(Reason::foreign_file, {"is the Python version of CIFAR-", digits,
                                  "; wanted the binary version, cifar-", digits, "-binary.tar.gz"});
  if (has(given / (ten ? "train.bin" : "data_batch_1.bin")))
    refuse(Reason::foreign_file, {"is CIFAR-", ten ? "100" : "10", ", wanted CIFAR-", digits});
  if (has(given / ("cifar-" + digits + "-binary.tar.gz")))
    refuse(Reason::wrong_content, {"unpack cifar-", digits, "-binary.tar.gz there first (tar xf)"});
  throw StorageError(Reason::cannot_open,
                     {given.string(), ": has no ", file, "; wanted the folder ", binary,
                      " that cifar-", digits, "-binary.tar.gz unpacks to"});
}
}  // namespace detail

/// The files of a set.
struct CifarFiles {
  std::vector<std::filesystem::path> train;
  std::filesystem::path test;
};

/// The files of CIFAR-10 in its folder, data_batch_1.bin to data_batch_5.bin and test_batch.bin, or
/// in the folder that this one is in.
///
/// Errors  StorageError that says what is there instead of the first one.
inline CifarFiles cifar10_files(const std::filesystem::path& given) {
  const auto folder = detail::cifar_folder(given, "data_batch_1.bin", "10");
  CifarFiles files{.train = {}, .test = folder / "test_batch.bin"};
  for (const char* const number : {"1", "2", "3", "4", "5"})
    files.train.push_back(folder / ("data_batch_" + std::string{number} + ".bin"));
  return files;
}

/// The same of CIFAR-100: train.bin and test.bin.
inline CifarFiles cifar100_files(const std::filesystem::path& given) {
  const auto folder = detail::cifar_folder(given, "train.bin", "100");
  return {.train = {folder / "train.bin"}, .test = folder / "test.bin"};
}

/// Reads the files of cifar10_files.
inline TrainTest read_cifar10(const std::filesystem::path& given) {
  const CifarFiles files = cifar10_files(given);
  TrainTest out{.train = read_cifar(files.train, cifar10_layout),
                .test = read_cifar(std::span{&files.test, 1}, cifar10_layout)};
  out.train.name = out.test.name = "CIFAR-10";
  return out;
}

/// Reads the files of cifar100_files, with the fine labels.
inline TrainTest read_cifar100(const std::filesystem::path& given) {
  const CifarFiles files = cifar100_files(given);
  TrainTest out = read_cifar_files(files.train.front(), files.test, cifar100_layout);
  out.train.name = out.test.name = "CIFAR-100";
  return out;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::data
