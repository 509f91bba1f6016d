// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>  // FILE, which jpeglib.h uses

#include <jerror.h>
#include <jpeglib.h>

#include <splitvit/core/error.hpp>            // StorageError
#include <splitvit/core/shape.hpp>            // Index
#include <splitvit/images/exif.hpp>           // exif_orientation, upright
#include <splitvit/images/library_calls.hpp>  // LibraryCalls
#include <splitvit/images/limits.hpp>         // ImageLimits, require_size
#include <splitvit/tensor/tensor.hpp>         // Tensor

namespace splitvit::inline SPLITVIT_BUILD::images {

namespace detail {
/// One file in libjpeg's hands.
class JpegReader {
 public:
  explicit JpegReader(const std::string& source) : source_{source} {
    state_.err = jpeg_std_error(&errors_);
    state_.client_data = this;
    errors_.error_exit = on_error;
    errors_.emit_message = on_message;
    progress_.progress_monitor = on_progress;
  }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&state_); }

  Tensor<std::uint8_t> decode(std::span<const std::byte> bytes, const ImageLimits& limits) {
    calls_.step([&] {
      jpeg_create_decompress(&state_);  // keeps err and client_data
      state_.progress = &progress_;
      jpeg_mem_src(&state_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
      jpeg_save_markers(&state_, exif_marker, 0xFFFF);
      jpeg_read_header(&state_, TRUE);
    });
    require_size(state_.image_height, state_.image_width, limits, source_);
    if (state_.jpeg_color_space == JCS_CMYK || state_.jpeg_color_space == JCS_YCCK)
      throw StorageError(Reason::wrong_content,
                         {source_, ": a CMYK JPEG, wanted RGB or grey (convert it first)"});
    calls_.step([&] {
      state_.out_color_space = JCS_RGB;  // from grey, too
      jpeg_start_decompress(&state_);
    });
    const auto height = static_cast<Index>(state_.output_height);
    const auto width = static_cast<Index>(state_.output_width);
    auto out = Tensor<std::uint8_t>::uninitialised({3, height, width});
    std::vector<std::uint8_t> row(static_cast<std::size_t>(3 * width));
    for (Index y = 0; y < height; ++y) {
      calls_.step([&] {
        JSAMPROW rows = row.data();
        jpeg_read_scanlines(&state_, &rows, 1);
      });
      for (Index c = 0; c < 3; ++c)
        for (Index x = 0; x < width; ++x)
          out[(c * height + y) * width + x] = row[static_cast<std::size_t>(3 * x + c)];
    }
    return upright(std::move(out), orientation());
  }

 private:
  static constexpr int exif_marker = JPEG_APP0 + 1;
  static constexpr int max_scans = 200;  // of a progressive file; more is an attack on our time

  static JpegReader& self(j_common_ptr state) {
    return *static_cast<JpegReader*>(state->client_data);
  }
  [[noreturn]] static void on_error(j_common_ptr state) {
    std::array<char, JMSG_LENGTH_MAX> text;
    state->err->format_message(state, text.data());
    self(state).calls_.fail(text.data());
  }
  // Most warnings are about what does not matter; these mean that pixels are missing.
  static void on_message(j_common_ptr state, int level) {
    if (level < 0 &&
        (state->err->msg_code == JWRN_JPEG_EOF || state->err->msg_code == JWRN_HIT_MARKER))
      on_error(state);
  }
  static void on_progress(j_common_ptr state) {
    if (reinterpret_cast<j_decompress_ptr>(state)->input_scan_number <= max_scans) return;
    self(state).calls_.fail("too many scans");
  }

  int orientation() const {
    constexpr std::string_view exif{"Exif\0\0", 6};
    for (auto marker = state_.marker_list; marker != nullptr; marker = marker->next) {
      const std::string_view text{reinterpret_cast<const char*>(marker->data), marker->data_length};
      if (marker->marker == exif_marker && text.starts_with(exif))
        return exif_orientation(std::as_bytes(std::span{text}).subspan(exif.size()));
    }
    return 1;
  }

  const std::string& source_;
  jpeg_decompress_struct state_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  LibraryCalls calls_{source_, "JPEG"};
};
}  // namespace detail

/// Decodes a JPEG file, baseline or progressive, grey or in colour, and turns it upright. `source`
/// names it in messages.
///
/// Shapes  returns (3, height, width); the three channels of a grey image are equal.
/// Errors  StorageError: damaged_file if it is cut off or makes no sense, wrong_content for CMYK,
///         too_long for more pixels than allowed.
/// Source  the pixels are libjpeg-turbo's, with its accurate transform.
inline Tensor<std::uint8_t> decode_jpeg(std::span<const std::byte> bytes, const std::string& source,
                                        const ImageLimits& limits = {}) {
  return detail::JpegReader{source}.decode(bytes, limits);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::images
