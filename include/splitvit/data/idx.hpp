// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // copy, max_element
#include <filesystem>  // path, exists

#include <splitvit/core/bytes.hpp>     // number_at
#include <splitvit/core/error.hpp>     // Reason, StorageError
#include <splitvit/core/file.hpp>      // read_file
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/core/text.hpp>      // counted
#include <splitvit/data/concepts.hpp>  // fail_at, ImageSet, require_alike, TrainTest
#include <splitvit/tensor/tensor.hpp>  // Tensor

// The IDX format of MNIST: images in one file, labels in another, numbers big-endian.
//
//   images   0x00000803, count, height, width, then bytes: grey, or
//            0x00000804, count, channels (1 or 3), height, width, then bytes
//   labels   0x00000801, count, then bytes, or 0x00000B01, count, then 16-bit numbers

namespace splitvit::inline SPLITVIT_BUILD::data {

namespace detail {
struct IdxReader {
  std::span<const std::byte> bytes;
  const std::string& source;
  std::size_t at = 0;

  /// The next big-endian number.
  std::uint32_t number() {
    if (bytes.size() - at < 4)
      fail_at(at == 0 ? Reason::foreign_file : Reason::damaged_file, source, at,
              {"the header is cut off"});
    at += 4;
    return static_cast<std::uint32_t>(number_at(bytes, at - 4, 4, std::endian::big));
  }

  /// The number that tells what is in the file.
  std::uint32_t magic(std::uint32_t one, std::uint32_t other, const std::string& wanted) {
    const std::uint32_t value = number();
    if (value >> 16 == 0x1F8B)
      fail_at(Reason::foreign_file, source, 0, {"is compressed with gzip: unpack it with gunzip"});
    if (value != one && value != other)
      fail_at(Reason::foreign_file, source, 0,
              {"magic number ", value, " is not that of IDX ", wanted});
    return value;
  }

  /// What is behind the header; it must have exactly so many bytes.
  std::span<const std::byte> rest(std::uintmax_t wanted) const {
    const std::size_t left = bytes.size() - at;
    if (left != wanted)
      fail_at(Reason::damaged_file, source, at,
              {counted(left, "byte"), " behind the header, wanted ", wanted});
    return bytes.subspan(at);
  }
};
}  // namespace detail

/// Takes apart an image file; `source` names it in messages.
/// Shapes  returns (count, channels, height, width).
/// Errors  StorageError: foreign_file for another magic number, damaged_file if the size differs,
///         wrong_content unless there are 1 or 3 channels, height and width from 1 to 65536.
inline Tensor<std::uint8_t> parse_idx_images(std::span<const std::byte> bytes,
                                             const std::string& source) {
  detail::IdxReader reader{bytes, source};
  const bool has_channels = reader.magic(0x803, 0x804, "images of 8 bits") == 0x804;
  const std::uint32_t count = reader.number();
  const std::uint32_t channels = has_channels ? reader.number() : 1;
  const std::uint32_t height = reader.number();
  const std::uint32_t width = reader.number();
  if ((channels != 1 && channels != 3) || height < 1 || width < 1 || height > 65536 ||
      width > 65536)
    detail::fail_at(Reason::wrong_content, source, reader.at,
                    {counted(channels, "channel"), " of ", height, " by ", width, " pixels"});
  const std::uintmax_t pixels = std::uintmax_t{channels} * height * width;  // below 2^34
  if (count > (std::uintmax_t{1} << 62) / pixels)
    detail::fail_at(Reason::damaged_file, source, 4, {"more pixels than can be counted"});
  const auto values = reader.rest(count * pixels);
  auto out = Tensor<std::uint8_t>::uninitialised(
      {Index{count}, Index{channels}, Index{height}, Index{width}});
  std::ranges::copy(values, std::as_writable_bytes(out.span()).begin());
  return out;
}

/// Takes apart a label file. Errors  as for images; wrong_content for a negative label.
inline std::vector<Index> parse_idx_labels(std::span<const std::byte> bytes,
                                           const std::string& source) {
  detail::IdxReader reader{bytes, source};
  const bool wide = reader.magic(0x801, 0xB01, "labels of 8 or 16 bits") == 0xB01;
  const std::uint32_t count = reader.number();
  const std::size_t width = wide ? 2 : 1;
  const auto values = reader.rest(std::uintmax_t{count} * width);
  std::vector<Index> out;
  out.reserve(count);
  for (std::size_t i = 0; i < values.size(); i += width) {
    auto label = std::to_integer<Index>(values[i]);
    if (wide && label >= 128)
      detail::fail_at(Reason::wrong_content, source, reader.at + i, {"a negative label"});
    if (wide) label = label * 256 + std::to_integer<Index>(values[i + 1]);
    out.push_back(label);
  }
  return out;
}

struct IdxFiles {
  std::filesystem::path images;
  std::filesystem::path labels;
};

/// The files that begin with `prefix`: PREFIX-images.idx4 and PREFIX-labels.idx1, or the names
/// of MNIST, PREFIX-images-idx3-ubyte and PREFIX-labels-idx1-ubyte.
inline IdxFiles idx_files(const std::string& prefix) {
  const std::filesystem::path mnist = prefix + "-images-idx3-ubyte";
  if (std::filesystem::exists(mnist)) return {mnist, prefix + "-labels-idx1-ubyte"};
  return {prefix + "-images.idx4", prefix + "-labels.idx1"};
}

struct IdxOptions {
  Index classes = 0;                               ///< 0: one more than the largest label
  std::uintmax_t limit = std::uintmax_t{1} << 33;  ///< bytes of a file
};

/// Makes a set of the contents of its two files.
/// Errors  as parsing; StorageError (wrong_content) if there are not as many labels as images, none
///         at all, or a label is not below the number of classes.
inline ImageSet parse_idx(std::span<const std::byte> images, std::span<const std::byte> labels,
                          const IdxFiles& files, const IdxOptions& options = {}) {
  ImageSet set;
  set.name = files.images.filename().string();
  set.images = parse_idx_images(images, files.images.string());
  const std::string source = files.labels.string();
  set.labels = parse_idx_labels(labels, source);
  if (set.size() != set.images.dim(0))
    detail::fail_at(Reason::wrong_content, source, 4,
                    {counted(set.size(), "label"), " for ", counted(set.images.dim(0), "image"),
                     " in ", files.images.string()});
  if (set.labels.empty()) throw StorageError(Reason::wrong_content, {source, ": no samples"});
  const auto largest = std::ranges::max_element(set.labels);
  if (options.classes > 0 && *largest >= options.classes)
    throw StorageError(Reason::wrong_content,
                       {source, ": label ", *largest, " at sample ", largest - set.labels.begin(),
                        "; wanted below ", options.classes});
  set.class_count = options.classes > 0 ? options.classes : *largest + 1;
  return set;
}

/// Reads a set from its two files. Compressed ones need images::read_idx_or_gz.
/// Errors  as read_file and parse_idx.
inline ImageSet read_idx(const IdxFiles& files, const IdxOptions& options = {}) {
  const auto images = read_file(files.images, options.limit);
  return parse_idx(images, read_file(files.labels, options.limit), files, options);
}

/// Reads a set for training and one for testing; both get the larger number of classes.
/// Errors  as above; StorageError (wrong_content) if their images differ in shape.
inline TrainTest read_idx(const IdxFiles& train, const IdxFiles& test,
                          const IdxOptions& options = {}) {
  TrainTest out{.train = read_idx(train, options), .test = read_idx(test, options)};
  require_alike(out, test.images.string());
  return out;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::data
