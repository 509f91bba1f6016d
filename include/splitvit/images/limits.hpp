// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/error.hpp>  // StorageError
#include <splitvit/core/shape.hpp>  // Index

namespace splitvit::inline SPLITVIT_BUILD::images {

/// How large an image file may be. Checked before memory is taken.
struct ImageLimits {
  Index pixels = 89'478'485;                       ///< height times width; where Pillow warns
  std::uintmax_t bytes = std::uintmax_t{1} << 28;  ///< of the file
};

namespace detail {
/// Errors  StorageError (too_long) naming `source` for more pixels than `limits` allow, or for a
///         side above 65536.
inline void require_size(std::uint32_t height, std::uint32_t width, const ImageLimits& limits,
                         const std::string& source) {
  if (std::uint64_t{height} * width > static_cast<std::uint64_t>(limits.pixels) || height > 65536 ||
      width > 65536)
    throw StorageError(Reason::too_long,
                       {source, ": an image of ", height, " by ", width, " pixels, at most ",
                        limits.pixels, " and 65536 a side are allowed"});
}
}  // namespace detail

}  // namespace splitvit::inline SPLITVIT_BUILD::images
