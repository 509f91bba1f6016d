// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // copy, max_element, search
#include <charconv>    // from_chars
#include <filesystem>  // path

#include <splitvit/core/bytes.hpp>     // number_at
#include <splitvit/core/error.hpp>     // StorageError
#include <splitvit/core/file.hpp>      // read_file
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/core/text.hpp>      // counted
#include <splitvit/data/concepts.hpp>  // ImageSet, require_alike, TrainTest
#include <splitvit/images/zip.hpp>     // ZipArchive
#include <splitvit/tensor/tensor.hpp>  // Tensor

// Image sets as NumPy's savez and savez_compressed write them.

namespace splitvit::inline SPLITVIT_BUILD::images {

/// One array of a .npy file, in C order.
struct NpyArray {
  std::string type;  ///< such as |u1 or <i8: byte order, kind, bytes a value
  std::vector<Index> shape;
  std::vector<std::byte> file;
  std::size_t begin = 0;  ///< where the values begin in `file`

  std::span<const std::byte> values() const { return std::span{file}.subspan(begin); }
  /// Bytes of a value.
  Index width() const { return type.back() - '0'; }
};

/// Takes apart a .npy file; `source` names it in messages.
/// Errors  StorageError: foreign_file for another kind of file; damaged_file if header and size do
/// not fit;
///         wrong_content for Fortran order or values that are no whole numbers of 1 to 8 bytes.
/// Source  numpy.lib.format, versions 1.0 to 3.0.
inline NpyArray parse_npy(std::vector<std::byte> file, const std::string& source) {
  const auto refuse = [&](Reason reason, const std::string& why) {
    throw StorageError(reason, {source, ": ", why});
  };
  const std::string_view text{reinterpret_cast<const char*>(file.data()), file.size()};
  if (!text.starts_with("\x93NUMPY") || text.size() < 12)
    refuse(Reason::foreign_file, "no array of NumPy");
  const std::size_t length_bytes = text[6] == 1 ? 2 : 4;
  const std::size_t length = number_at(file, 8, length_bytes, std::endian::little);
  const std::size_t begin = 8 + length_bytes;
  if (length > text.size() - begin) refuse(Reason::damaged_file, "the header is cut off");
  const std::string_view header = text.substr(begin, length);
  const auto behind = [&](const std::string& key) {
    const std::size_t at = header.find("'" + key + "':");
    if (at == std::string_view::npos) refuse(Reason::damaged_file, "no " + key + " in the header");
    const std::string_view rest = header.substr(at + key.size() + 3);
    return rest.substr(std::min(rest.find_first_not_of(' '), rest.size()));
  };

  NpyArray out{.type = std::string{behind("descr").substr(0, 5)},
               .shape = {},
               .file = {},
               .begin = begin + length};
  const std::string& type = out.type;  // with its quotation marks
  const std::string widths = "1248";
  if (type.size() != 5 || type[0] != '\'' || type[4] != '\'' ||
      (type[2] != 'u' && type[2] != 'i') || (type[1] != '<' && type[3] != '1') ||
      widths.find(type[3]) == std::string::npos)
    refuse(Reason::wrong_content,
           "values of type " + type + ", wanted whole numbers such as '|u1'");
  out.type = type.substr(1, 3);
  if (!behind("fortran_order").starts_with("False"))
    refuse(Reason::wrong_content, "values in Fortran order, wanted C order");
  std::string_view shape = behind("shape");
  if (!shape.starts_with('(')) refuse(Reason::damaged_file, "no shape in the header");
  std::uintmax_t wanted = static_cast<std::uintmax_t>(out.width());
  for (;;) {
    shape.remove_prefix(std::min(shape.find_first_not_of("(, ", 0), shape.size()));
    if (shape.starts_with(')')) break;
    Index extent = -1;
    const auto [end, error] = std::from_chars(shape.data(), shape.data() + shape.size(), extent);
    if (error != std::errc{} || extent < 0 || out.shape.size() == 8)
      refuse(Reason::damaged_file, "no shape in the header");
    shape.remove_prefix(static_cast<std::size_t>(end - shape.data()));
    out.shape.push_back(extent);
    if (extent > 0 && wanted > (std::uintmax_t{1} << 62) / static_cast<std::uintmax_t>(extent))
      refuse(Reason::damaged_file, "more values than can be counted");
    wanted *= static_cast<std::uintmax_t>(extent);
  }
  if (file.size() - out.begin != wanted)
    refuse(Reason::damaged_file,
           joined({counted(file.size() - out.begin, "byte"), " of values, wanted ", wanted}));
  out.file = std::move(file);
  return out;
}

/// Images from an array (count, height, width) or (count, height, width, channels), 8 bits a value.
/// Shapes  returns (count, channels, height, width).
/// Errors  StorageError (wrong_content) naming `source` for another array.
inline Tensor<std::uint8_t> npy_images(const NpyArray& array, const std::string& source) {
  const auto& shape = array.shape;
  const bool fits = shape.size() == 3 || (shape.size() == 4 && (shape[3] == 1 || shape[3] == 3));
  if (array.type != "|u1" || !fits || shape[1] < 1 || shape[2] < 1 || shape[1] > 65536 ||
      shape[2] > 65536) {
    std::string text;
    for (const Index extent : shape) text += (text.empty() ? "" : ", ") + std::to_string(extent);
    throw StorageError(
        Reason::wrong_content,
        {source, ": (", text, ") values of type ", array.type,
         ", wanted (count, height, width) or (count, height, width, 3) of type |u1"});
  }
  const Index channels = shape.size() == 3 ? 1 : shape[3], plane = shape[1] * shape[2];
  auto out = Tensor<std::uint8_t>::uninitialised({shape[0], channels, shape[1], shape[2]});
  const std::byte* from = array.values().data();
  for (Index i = 0; i < shape[0]; ++i)
    for (Index p = 0; p < plane; ++p)
      for (Index c = 0; c < channels; ++c)
        out[(i * channels + c) * plane + p] = std::to_integer<std::uint8_t>(*from++);
  return out;
}

/// Labels from an array (count) or (count, 1) of whole numbers.
/// Errors  StorageError (wrong_content) naming `source` for several labels an image, or a label
///         below 0 or above 65535.
inline std::vector<Index> npy_labels(const NpyArray& array, const std::string& source) {
  const auto& shape = array.shape;
  if (shape.empty() || shape.size() > 2 || (shape.size() == 2 && shape[1] != 1))
    throw StorageError(
        Reason::wrong_content,
        {source, ": ", shape.size() == 2 ? shape[1] : static_cast<Index>(shape.size()),
         shape.size() == 2 ? " labels an image" : " axes", ", wanted one label each"});
  std::vector<Index> out;
  const auto width = static_cast<std::size_t>(array.width());
  for (std::size_t at = 0; at < array.values().size(); at += width) {
    const std::uint64_t value = number_at(array.values(), at, width, std::endian::little);
    // A negative number is a large one: its highest bit is set.
    const bool negative = array.type[1] == 'i' && value >> (8 * width - 1) != 0;
    if (negative || value > 65535)
      throw StorageError(Reason::wrong_content, {source, ": label ", out.size(),
                                                 negative ? " is negative" : " is above 65535"});
    out.push_back(static_cast<Index>(value));
  }
  return out;
}

namespace detail {
inline data::ImageSet npz_set(const ZipArchive& archive, const std::string& images,
                              const std::string& labels, const std::filesystem::path& file,
                              std::uintmax_t limit) {
  const auto array = [&](const std::string& name) {
    return parse_npy(archive.read(name + ".npy", limit), file.string() + ": " + name);
  };
  data::ImageSet set;
  set.name = file.stem().string();
  set.images = npy_images(array(images), file.string() + ": " + images);
  set.labels = npy_labels(array(labels), file.string() + ": " + labels);
  if (set.labels.empty() || set.size() != set.images.dim(0))
    throw StorageError(Reason::wrong_content,
                       {file.string(), ": ", counted(set.images.dim(0), "image"), " in ", images,
                        ", ", counted(set.size(), "label"), " in ", labels});
  set.class_count = *std::ranges::max_element(set.labels) + 1;
  return set;
}
}  // namespace detail

/// Reads a file with train_images, train_labels, test_images and test_labels, the form of MedMNIST
/// (whose val_images and val_labels are left alone), or with x_train, y_train, x_test and y_test,
/// the form of Keras. Both sets get the larger number of classes.
///
/// Errors  as ZipArchive, parse_npy, npy_images and npy_labels; StorageError (wrong_content) if an
///         array is missing or images and labels do not fit; too_long if the file or an array has
///         more than `limit` bytes.
inline data::TrainTest read_npz(const std::filesystem::path& file,
                                std::uintmax_t limit = std::uintmax_t{1} << 32) {
  const auto bytes = read_file(file, limit);
  const ZipArchive archive{bytes, file.string()};
  const bool keras = archive.has("x_train.npy");
  if (!keras && !archive.has("train_images.npy")) {
    std::string names;
    for (const auto& entry : archive.entries())
      if (names.size() < 200) names += (names.empty() ? "" : ", ") + entry.name;
    throw StorageError(Reason::wrong_content,
                       {file.string(), ": has ", names,
                        "; wanted train_images, train_labels, test_images and test_labels"});
  }
  data::TrainTest out{.train = detail::npz_set(archive, keras ? "x_train" : "train_images",
                                               keras ? "y_train" : "train_labels", file, limit),
                      .test = detail::npz_set(archive, keras ? "x_test" : "test_images",
                                              keras ? "y_test" : "test_labels", file, limit)};
  data::require_alike(out, file.string());
  return out;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::images
