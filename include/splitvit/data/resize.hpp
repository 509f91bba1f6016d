// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, copy, fill, transform

#include <splitvit/core/shape.hpp>       // Index, ShapeError
#include <splitvit/kernel/resample.hpp>  // Resample

namespace splitvit::inline SPLITVIT_BUILD::data {

namespace detail {
/// For each place along one axis: which places of the source it is made of, and their weights.
struct ResizeAxis {
  Index from, to;
  Index taps;                         ///< weights a place, the last ones may be unused
  std::vector<Index> first, count;    ///< `to` values each
  std::vector<std::int32_t> weights;  ///< (to, taps), in units of 2^-22, sum about 2^22

  ResizeAxis(Index from_size, Index to_size) : from{from_size}, to{to_size} {
    for (const Index extent : {from, to})
      if (extent < 1 || extent > 65536)
        throw ArgumentError({"Resizer: an extent must be 1 to 65536, not ", extent});
    kernel::Resample exact{from, to};
    taps = exact.taps;
    first = std::move(exact.first);
    count = std::move(exact.count);
    for (const double weight : exact.weights)
      weights.push_back(static_cast<std::int32_t>(weight * 0x1p22 + (weight < 0.0 ? -0.5 : 0.5)));
  }
};
}  // namespace detail

/// Resizes 8-bit images from one size to another; weights are worked out once. Bicubic, see
/// kernel::Resample. Bit for bit what Pillow 13's `resize((w, h), BICUBIC)` gives: first along the
/// rows, then along the columns, each rounded to 8 bits; the other way round if the height loses
/// more than twice as many pixels as the width. Older versions of Pillow always take rows first. An
/// axis that keeps its size is copied.
///
/// Errors  std::invalid_argument for an extent below 1 or above 65536.
class Resizer {
 public:
  Resizer(Index in_height, Index in_width, Index out_height, Index out_width)
      : rows_{in_height, out_height}, columns_{in_width, out_width} {}

  /// Shapes  in (channels, in_height, in_width), out (channels, out_height, out_width).
  /// Errors  ShapeError if the spans are not as long as that.
  void operator()(Index channels, std::span<const std::uint8_t> in,
                  std::span<std::uint8_t> out) const {
    const Index in_plane = rows_.from * columns_.from;
    const Index out_plane = rows_.to * columns_.to;
    if (static_cast<Index>(in.size()) != channels * in_plane ||
        static_cast<Index>(out.size()) != channels * out_plane)
      throw ShapeError({"Resizer: ", in.size(), " values to ", out.size(), " with ", channels,
                        " channels: wanted ", channels * in_plane, " and ", channels * out_plane});
    const Index lost_rows = rows_.from - rows_.to, lost_columns = columns_.from - columns_.to;
    const bool columns_first = lost_rows > 0 && lost_rows > 2 * lost_columns;
    std::vector<std::uint8_t> between(static_cast<std::size_t>(
        columns_first ? rows_.to * columns_.from : rows_.from * columns_.to));
    for (Index c = 0; c < channels; ++c) {
      const std::uint8_t* const from = in.data() + c * in_plane;
      std::uint8_t* const to = out.data() + c * out_plane;
      if (columns_first) {
        resize_columns(from, columns_.from, between.data());
        resize_rows(between.data(), rows_.to, to);
      } else {
        resize_rows(from, rows_.from, between.data());
        resize_columns(between.data(), columns_.to, to);
      }
    }
  }

 private:
  static constexpr int bits = 22;  // of a weight, behind the point
  static constexpr std::int32_t half = std::int32_t{1} << (bits - 1);

  static std::uint8_t to_byte(std::int32_t sum) {
    return static_cast<std::uint8_t>(std::clamp(sum >> bits, 0, 255));
  }

  void resize_rows(const std::uint8_t* in, Index height, std::uint8_t* out) const {
    if (columns_.from == columns_.to) {
      std::copy(in, in + height * columns_.from, out);
      return;
    }
    for (Index row = 0; row < height; ++row, in += columns_.from)
      for (Index x = 0; x < columns_.to; ++x) {
        const auto at = static_cast<std::size_t>(x);
        const std::int32_t* weights = columns_.weights.data() + x * columns_.taps;
        std::int32_t sum = half;
        for (Index k = 0; k < columns_.count[at]; ++k)
          sum += weights[k] * in[columns_.first[at] + k];
        *out++ = to_byte(sum);
      }
  }

  void resize_columns(const std::uint8_t* in, Index width, std::uint8_t* out) const {
    if (rows_.from == rows_.to) {
      std::copy(in, in + rows_.from * width, out);
      return;
    }
    std::vector<std::int32_t> sums(static_cast<std::size_t>(width));
    for (Index y = 0; y < rows_.to; ++y) {
      const auto at = static_cast<std::size_t>(y);
      const std::int32_t* weights = rows_.weights.data() + y * rows_.taps;
      std::fill(sums.begin(), sums.end(), half);
      for (Index k = 0; k < rows_.count[at]; ++k) {  // whole rows at a time: fits vector units
        const std::uint8_t* source = in + (rows_.first[at] + k) * width;
        const std::int32_t weight = weights[k];
        for (Index x = 0; x < width; ++x) sums[static_cast<std::size_t>(x)] += weight * source[x];
      }
      out = std::transform(sums.begin(), sums.end(), out, to_byte);
    }
  }

  detail::ResizeAxis rows_, columns_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::data
