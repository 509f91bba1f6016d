// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>  // path

#include <splitvit/core/error.hpp>     // StorageError
#include <splitvit/core/file.hpp>      // read_file
#include <splitvit/images/jpeg.hpp>    // decode_jpeg
#include <splitvit/images/limits.hpp>  // ImageLimits
#include <splitvit/images/png.hpp>     // decode_png
#include <splitvit/tensor/tensor.hpp>  // Tensor

namespace splitvit::inline SPLITVIT_BUILD::images {

/// Decodes a JPEG or a PNG file: which one, its first bytes say.
///
/// Shapes  returns (3, height, width).
/// Errors  as decode_jpeg and decode_png; StorageError (foreign_file) for anything else, by name
///         where it is known.
inline Tensor<std::uint8_t> decode_image(std::span<const std::byte> bytes,
                                         const std::string& source,
                                         const ImageLimits& limits = {}) {
  const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  if (text.starts_with("\xFF\xD8\xFF")) return decode_jpeg(bytes, source, limits);
  if (text.starts_with("\x89PNG\r\n\x1A\n")) return decode_png(bytes, source, limits);
  const char* is = "neither JPEG nor PNG";
  if (text.empty()) is = "an empty file";
  if (text.starts_with("GIF8")) is = "GIF";
  if (text.starts_with("BM")) is = "BMP";
  if (text.starts_with("II*") || text.starts_with("MM")) is = "TIFF";
  if (text.starts_with("RIFF") && text.substr(0, 12).ends_with("WEBP")) is = "WebP";
  if (text.substr(0, 8).ends_with("ftyp")) is = "HEIC or AVIF";
  throw StorageError(Reason::foreign_file, {source, ": ", is, ", wanted JPEG or PNG"});
}

/// Reads an image file. Errors  as above and as read_file.
inline Tensor<std::uint8_t> read_image_file(const std::filesystem::path& file,
                                            const ImageLimits& limits = {}) {
  return decode_image(read_file(file, limits.bytes), file.string(), limits);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::images
