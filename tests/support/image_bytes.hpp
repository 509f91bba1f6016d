// SPDX-License-Identifier: MIT
#pragma once

#include <csetjmp>  // what png.h uses
#include <cstddef>  // byte, size_t
#include <cstdint>  // uint8_t
#include <cstdio>   // FILE, which jpeglib.h uses
#include <cstdlib>  // free
#include <span>     // span
#include <string>   // string
#include <vector>   // vector

#include <jpeglib.h>
#include <png.h>

// JPEG and PNG files in memory, written by the libraries that read them.

namespace support {

using FileBytes = std::vector<std::byte>;

struct JpegForm {
  J_COLOR_SPACE space = JCS_RGB;  ///< of the values: JCS_RGB, JCS_GRAYSCALE or JCS_CMYK
  bool progressive = false;
  int quality = 95;
  std::string exif = {};  ///< what follows "Exif\0\0"; none if empty
};

/// `values` has height * width pixels, channels together.
inline FileBytes jpeg_bytes(unsigned height, unsigned width, std::vector<std::uint8_t> values,
                            const JpegForm& form = {}) {
  jpeg_compress_struct state{};
  jpeg_error_mgr errors{};
  state.err = jpeg_std_error(&errors);
  jpeg_create_compress(&state);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&state, &out, &size);
  state.image_height = height;
  state.image_width = width;
  state.in_color_space = form.space;
  state.input_components = form.space == JCS_GRAYSCALE ? 1 : form.space == JCS_CMYK ? 4 : 3;
  jpeg_set_defaults(&state);
  jpeg_set_quality(&state, form.quality, TRUE);
  if (form.progressive) jpeg_simple_progression(&state);
  jpeg_start_compress(&state, TRUE);
  if (!form.exif.empty()) {
    const std::string exif = std::string("Exif\0\0", 6) + form.exif;
    jpeg_write_marker(&state, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(exif.data()),
                      static_cast<unsigned>(exif.size()));
  }
  const std::size_t row = width * static_cast<std::size_t>(state.input_components);
  for (std::size_t y = 0; y < height; ++y) {
    JSAMPROW rows = values.data() + y * row;
    jpeg_write_scanlines(&state, &rows, 1);
  }
  jpeg_finish_compress(&state);
  jpeg_destroy_compress(&state);
  const auto bytes = std::as_bytes(std::span{out, size});
  FileBytes copy(bytes.begin(), bytes.end());
  std::free(out);
  return copy;
}

struct PngForm {
  int depth = 8;
  int kind = PNG_COLOR_TYPE_RGB;
  bool interlaced = false;
  std::vector<png_color> palette = {};
  std::string exif = {};  ///< none if empty
};

/// `values` are the rows as PNG has them: 16-bit values with the upper byte first.
inline FileBytes png_bytes(unsigned height, unsigned width, std::vector<std::uint8_t> values,
                           PngForm form = {}) {
  FileBytes out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &out,
      [](png_structp self, png_bytep from, std::size_t size) {
        const auto bytes = std::as_bytes(std::span{from, size});
        auto& to = *static_cast<FileBytes*>(png_get_io_ptr(self));
        to.insert(to.end(), bytes.begin(), bytes.end());
      },
      nullptr);
  png_set_IHDR(png, info, width, height, form.depth, form.kind,
               form.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!form.palette.empty())
    png_set_PLTE(png, info, form.palette.data(), static_cast<int>(form.palette.size()));
  if (!form.exif.empty())
    png_set_eXIf_1(png, info, static_cast<png_uint_32>(form.exif.size()),
                   reinterpret_cast<png_bytep>(form.exif.data()));
  png_write_info(png, info);
  std::vector<png_bytep> rows;
  for (std::size_t y = 0; y < height; ++y)
    rows.push_back(values.data() + y * (values.size() / height));
  png_write_image(png, rows.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return out;
}

/// EXIF data that say how the camera was held, in either byte order.
inline std::string exif_with(int orientation, bool big_endian) {
  const auto value = static_cast<char>(orientation);
  if (big_endian)
    return std::string("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", 19) + value +
           std::string(6, '\0');
  return std::string("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 18) + value +
         std::string(7, '\0');
}

}  // namespace support
