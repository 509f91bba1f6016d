// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // max, max_element, transform
#include <cstddef>     // byte, size_t
#include <cstdint>     // uint8_t, uint32_t, uintmax_t
#include <filesystem>  // path, exists
#include <span>        // span
#include <string>      // string, to_string
#include <vector>      // vector

#include <splitvit/core/error.hpp>     // StorageError
#include <splitvit/core/file.hpp>      // read_file
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/data/concepts.hpp>  // ImageSet, TrainTest, require_alike
#include <splitvit/tensor/tensor.hpp>  // Tensor

// The IDX format of MNIST and its relatives: images in one file, labels in another, numbers
// big-endian.
//
//   images   0x00000803, count, height, width, then bytes: grey, or
//            0x00000804, count, channels (1 or 3), height, width, then bytes
//   labels   0x00000801, count, then bytes, or 0x00000B01, count, then 16-bit numbers

namespace splitvit::data {

/// Takes apart an image file; `source` names it in messages.
///
/// Shapes  returns (count, channels, height, width).
/// Errors  StorageError naming the source, the byte and the reason: foreign_file for another
///         magic number, wrong_content for images without pixels, above 65536 in height or
///         width, or with channels other than 1 or 3; damaged_file if the size differs.
Tensor<std::uint8_t> parse_idx_images(std::span<const std::byte> bytes, const std::string& source);

/// Takes apart a label file. Errors  as for images; wrong_content for a negative label.
std::vector<Index> parse_idx_labels(std::span<const std::byte> bytes, const std::string& source);

/// The two files of a set.
struct IdxFiles {
  std::filesystem::path images;
  std::filesystem::path labels;
};

/// How sets are read.
struct IdxOptions {
  Index classes = 0;                               ///< 0: one more than the largest label
  std::uintmax_t limit = std::uintmax_t{1} << 33;  ///< bytes of a file
};

/// Reads a set from its two files.
///
/// Errors  those of read_file and of the two functions above; StorageError (wrong_content) if
///         there are more or fewer labels than images, none at all, or a label is not below
///         the number of classes.
ImageSet read_idx(const IdxFiles& files, const IdxOptions& options = {});

/// The files that begin with `prefix`: PREFIX-images.idx4 and PREFIX-labels.idx1, or the names
/// of MNIST, PREFIX-images-idx3-ubyte and PREFIX-labels-idx1-ubyte.
inline IdxFiles idx_files(const std::string& prefix) {
  const std::filesystem::path mnist = prefix + "-images-idx3-ubyte";
  if (std::filesystem::exists(mnist)) return {mnist, prefix + "-labels-idx1-ubyte"};
  return {prefix + "-images.idx4", prefix + "-labels.idx1"};
}

namespace detail {

/// Big-endian numbers from the front of an IDX file.
class IdxReader {
 public:
  IdxReader(std::span<const std::byte> bytes, const std::string& source)
      : bytes_{bytes}, source_{source} {}

  [[noreturn]] void fail(Reason reason, std::size_t at, const std::string& why) const {
    throw StorageError(reason, source_ + ": byte " + std::to_string(at) + ": " + why);
  }

  std::uint32_t number() {
    if (bytes_.size() - at_ < 4)
      fail(at_ == 0 ? Reason::foreign_file : Reason::damaged_file, at_, "the header is cut off");
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i)
      value = (value << 8) | std::to_integer<std::uint32_t>(bytes_[at_++]);
    return value;
  }

  /// What is behind the header; it must have exactly so many bytes.
  std::span<const std::byte> rest(std::uintmax_t wanted) const {
    const std::size_t left = bytes_.size() - at_;
    if (left != wanted)
      fail(Reason::damaged_file, at_,
           std::to_string(left) + " bytes behind the header, wanted " + std::to_string(wanted));
    return bytes_.subspan(at_);
  }

  std::size_t at() const { return at_; }

 private:
  std::span<const std::byte> bytes_;
  const std::string& source_;
  std::size_t at_ = 0;
};

inline void copy_bytes(std::span<const std::byte> from, std::span<std::uint8_t> to) {
  std::ranges::transform(from, to.begin(),
                         [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
}

/// Settles the number of classes: as told, or one more than the largest label.
inline Index settle_classes(const std::vector<Index>& labels, Index told,
                            const std::string& source) {
  if (labels.empty()) throw StorageError(Reason::wrong_content, source + ": no samples");
  const Index largest = std::ranges::max(labels);
  if (told > 0 && largest >= told)
    throw StorageError(Reason::wrong_content,
                       source + ": label " + std::to_string(largest) + " at sample " +
                           std::to_string(std::ranges::max_element(labels) - labels.begin()) +
                           ", there are " + std::to_string(told) + " classes");
  return told > 0 ? told : largest + 1;
}

}  // namespace detail

inline Tensor<std::uint8_t> parse_idx_images(std::span<const std::byte> bytes,
                                             const std::string& source) {
  detail::IdxReader reader{bytes, source};
  const std::uint32_t magic = reader.number();
  if (magic != 0x803 && magic != 0x804)
    reader.fail(Reason::foreign_file, 0,
                "magic number " + std::to_string(magic) + " is not that of IDX images of 8 bits");
  const std::uint32_t count = reader.number();
  const std::uint32_t channels = magic == 0x804 ? reader.number() : 1;
  const std::uint32_t height = reader.number();
  const std::uint32_t width = reader.number();
  if ((channels != 1 && channels != 3) || height < 1 || width < 1 || height > 65536 ||
      width > 65536)
    reader.fail(Reason::wrong_content, reader.at(),
                std::to_string(channels) + " channels of " + std::to_string(height) + " by " +
                    std::to_string(width) + " pixels");
  const std::uintmax_t pixels = std::uintmax_t{channels} * height * width;  // below 2^34
  if (count > (std::uintmax_t{1} << 62) / pixels)
    reader.fail(Reason::damaged_file, 4, "more pixels than can be counted");
  const auto values = reader.rest(count * pixels);
  auto out =
      Tensor<std::uint8_t>::uninitialised({static_cast<Index>(count), static_cast<Index>(channels),
                                           static_cast<Index>(height), static_cast<Index>(width)});
  detail::copy_bytes(values, out.span());
  return out;
}

inline std::vector<Index> parse_idx_labels(std::span<const std::byte> bytes,
                                           const std::string& source) {
  detail::IdxReader reader{bytes, source};
  const std::uint32_t magic = reader.number();
  if (magic != 0x801 && magic != 0xB01)
    reader.fail(
        Reason::foreign_file, 0,
        "magic number " + std::to_string(magic) + " is not that of IDX labels of 8 or 16 bits");
  const std::uint32_t count = reader.number();
  const std::size_t width = magic == 0x801 ? 1 : 2;
  const auto values = reader.rest(std::uintmax_t{count} * width);
  std::vector<Index> out;
  out.reserve(count);
  for (std::size_t i = 0; i < values.size(); i += width) {
    auto label = std::to_integer<Index>(values[i]);
    if (width == 2) {
      if (label >= 128) reader.fail(Reason::wrong_content, reader.at() + i, "a negative label");
      label = label * 256 + std::to_integer<Index>(values[i + 1]);
    }
    out.push_back(label);
  }
  return out;
}

inline ImageSet read_idx(const IdxFiles& files, const IdxOptions& options) {
  ImageSet set;
  set.name = files.images.filename().string();
  set.images = parse_idx_images(read_file(files.images, options.limit), files.images.string());
  const std::string label_source = files.labels.string();
  set.labels = parse_idx_labels(read_file(files.labels, options.limit), label_source);
  if (set.size() != set.images.dim(0))
    throw StorageError(Reason::wrong_content,
                       label_source + ": byte 4: " + std::to_string(set.size()) + " labels for " +
                           std::to_string(set.images.dim(0)) + " images in " +
                           files.images.string());
  set.class_count = detail::settle_classes(set.labels, options.classes, label_source);
  return set;
}

/// Reads a set for training and one for testing; both get the larger number of classes.
///
/// Errors  as read_idx; StorageError (wrong_content) if their images differ in shape.
inline TrainTest read_idx(const IdxFiles& train, const IdxFiles& test,
                          const IdxOptions& options = {}) {
  TrainTest out{.train = read_idx(train, options), .test = read_idx(test, options)};
  require_alike(out, test.images.string());
  return out;
}

}  // namespace splitvit::data
