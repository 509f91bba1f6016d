// SPDX-License-Identifier: MIT
#pragma once

#include <cstring>  // memcpy

#include <png.h>

#include <splitvit/core/bytes.hpp>            // number_at
#include <splitvit/core/error.hpp>            // StorageError
#include <splitvit/core/shape.hpp>            // Index
#include <splitvit/images/exif.hpp>           // exif_orientation, upright
#include <splitvit/images/library_calls.hpp>  // LibraryCalls
#include <splitvit/images/limits.hpp>         // ImageLimits, require_size
#include <splitvit/tensor/tensor.hpp>         // Tensor

namespace splitvit::inline SPLITVIT_BUILD::images {

namespace detail {
/// The EXIF data of a PNG file, empty if there are none. Checks that each chunk lies within the
/// file, because libpng takes memory for what a chunk claims. Errors  StorageError (damaged_file)
/// naming `source`.
inline std::span<const std::byte> png_exif(std::span<const std::byte> bytes,
                                           const std::string& source) {
  const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  std::span<const std::byte> exif;
  for (std::size_t at = 8;;) {  // length, four letters, data, checksum
    if (bytes.size() < at + 12)
      throw StorageError(Reason::damaged_file, {source, ": PNG: the end is missing"});
    const std::size_t length = number_at(bytes, at, 4, std::endian::big);
    if (length > bytes.size() - at - 12)
      throw StorageError(Reason::damaged_file, {source, ": PNG: the end is missing"});
    const std::string_view name = text.substr(at + 4, 4);
    if (name == "eXIf") exif = bytes.subspan(at + 8, length);
    if (name == "IEND") return exif;
    at += 12 + length;
  }
}

/// One file in libpng's hands.
class PngReader {
 public:
  PngReader(std::span<const std::byte> bytes, const std::string& source)
      : bytes_{bytes},
        source_{source},
        png_{png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning)},
        info_{png_ == nullptr ? nullptr : png_create_info_struct(png_)} {
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw StorageError(Reason::damaged_file, {source, ": PNG: libpng does not start"});
    }
  }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }

  Tensor<std::uint8_t> decode(const ImageLimits& limits) {
    const std::span<const std::byte> exif = png_exif(bytes_, source_);
    calls_.step([&] {
      png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
      png_set_chunk_malloc_max(png_, 1 << 22);
      png_set_read_fn(png_, this, on_read);
      png_read_info(png_, info_);
    });
    const png_uint_32 height = png_get_image_height(png_, info_);
    const png_uint_32 width = png_get_image_width(png_, info_);
    require_size(height, width, limits, source_);
    calls_.step([&] {  // whatever it is, to RGB of 8 bits
      png_set_expand(png_);
      png_set_strip_16(png_);
      png_set_strip_alpha(png_);
      png_set_gray_to_rgb(png_);
      png_set_interlace_handling(png_);
      png_read_update_info(png_, info_);
    });
    const std::size_t row = std::size_t{3} * width;
    if (png_get_rowbytes(png_, info_) != row)
      throw StorageError(Reason::wrong_content, {source_, ": a PNG that does not become RGB"});
    std::vector<std::uint8_t> pixels(row * height);
    std::vector<png_bytep> rows;
    for (std::size_t y = 0; y < height; ++y) rows.push_back(pixels.data() + y * row);
    calls_.step([&] {
      png_read_image(png_, rows.data());
      png_read_end(png_, info_);
    });
    auto out = Tensor<std::uint8_t>::uninitialised({3, Index{height}, Index{width}});
    const std::size_t plane = std::size_t{height} * width;
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t p = 0; p < plane; ++p)
        out[static_cast<Index>(c * plane + p)] = pixels[3 * p + c];
    return upright(std::move(out), exif_orientation(exif));
  }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp text) {
    static_cast<PngReader*>(png_get_error_ptr(png))->calls_.fail(text);
  }
  static void on_warning(png_structp, png_const_charp) {}
  static void on_read(png_structp png, png_bytep to, std::size_t size) {
    auto& self = *static_cast<PngReader*>(png_get_io_ptr(png));
    if (self.bytes_.size() - self.at_ < size) png_error(png, "Premature end of PNG file");
    std::memcpy(to, self.bytes_.data() + self.at_, size);
    self.at_ += size;
  }

  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  const std::string& source_;
  LibraryCalls calls_{source_, "PNG"};
  png_structp png_;
  png_infop info_;
};
}  // namespace detail

/// Decodes a PNG file of any kind (grey, palette, 16 bits, interlaced) and turns it upright, if it
/// has EXIF data. Transparency is dropped and 16 bits lose their lower half.
/// `source` names the file in messages.
///
/// Shapes  returns (3, height, width); the three channels of a grey image are equal.
/// Errors  StorageError: damaged_file if it is cut off or makes no sense, too_long for more pixels
///         than allowed.
inline Tensor<std::uint8_t> decode_png(std::span<const std::byte> bytes, const std::string& source,
                                       const ImageLimits& limits = {}) {
  return detail::PngReader{bytes, source}.decode(limits);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::images
