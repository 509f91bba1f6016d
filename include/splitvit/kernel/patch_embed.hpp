// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, copy_n, fill_n

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/kernel/gemm.hpp>    // Into, multiply, multiply_long, Packed
#include <splitvit/kernel/linear.hpp>  // add_parts
#include <splitvit/kernel/matrix.hpp>  // dense, Matrix, Scratch, transposed

// A linear layer over images as rows of pixels, one for each patch. To save memory, the rows exist
// for one image at a time, and the backward pass makes them again.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

struct PatchSizes {
  Index channels, height, width;  ///< of an image
  Index patch;                    ///< height and width of a patch; divides height and width

  Index patches() const { return (height / patch) * (width / patch); }
  Index pixels() const { return channels * patch * patch; }  ///< of a patch, all channels
  Index image() const { return channels * height * width; }
};

namespace detail {
/// Calls f(image offset, row offset) for each run of `patch` pixels of one image.
template <class F>
void each_patch_line(const PatchSizes& s, const F& f) {
  const Index across = s.width / s.patch;
  for (Index c = 0; c < s.channels; ++c)
    for (Index y = 0; y < s.height; ++y)
      for (Index x = 0; x < across; ++x)
        f((c * s.height + y) * s.width + x * s.patch,
          (y / s.patch * across + x) * s.pixels() + (c * s.patch + y % s.patch) * s.patch);
}
}  // namespace detail

/// rows (patches, pixels) from one image (channels, height, width).
template <class T>
void cut_patches(const T* image, T* rows, const PatchSizes& s) {
  detail::each_patch_line(
      s, [&](Index from, Index to) { std::copy_n(image + from, s.patch, rows + to); });
}

/// The inverse: one image from its rows.
template <class T>
void join_patches(const T* rows, T* image, const PatchSizes& s) {
  detail::each_patch_line(
      s, [&](Index to, Index from) { std::copy_n(rows + from, s.patch, image + to); });
}

/// y (B, patches, D) = patches w^T + bias, with w (D, pixels) and bias (D) or null. Stored is
/// the type of the factors in the products, here and below (gemm.hpp).
template <class T, class Stored = T>
void patch_embed_forward(const T* images, Index B, const Matrix<const T>& w, const T* bias, T* y,
                         const PatchSizes& s) {
  Packed<T, Stored> packed;
  packed.pack_in_parallel(transposed(w));
  parallel_for(B, 1, [&](Index b, Index) {
    const Scratch<T> rows(s.image());
    cut_patches(images + b * s.image(), rows.data(), s);
    multiply<T>(dense<const T>(rows.data(), s.patches(), s.pixels()), packed,
                dense(y + b * s.patches() * w.rows, s.patches(), w.rows), Into::replace, bias);
  });
}

/// Gradients of the images from dy (B, patches, D).
template <class T, class Stored = T>
void patch_embed_image_gradient(const T* dy, Index B, const Matrix<const T>& w, T* d_images,
                                const PatchSizes& s) {
  Packed<T, Stored> packed;
  packed.pack_in_parallel(w);
  parallel_for(B, 1, [&](Index b, Index) {
    const Scratch<T> rows(s.image());
    multiply<T>(dense(dy + b * s.patches() * w.rows, s.patches(), w.rows), packed,
                dense(rows.data(), s.patches(), s.pixels()));
    join_patches(rows.data(), d_images + b * s.image(), s);
  });
}

/// dw (D, pixels) = the sum of dy_b^T patches_b over B images, in slots, whose number depends on B
/// alone. Images are summed in order, then slots.
template <class T, class Stored = T>
void patch_embed_weight_gradient(const T* images, const T* dy, Index B, const Matrix<T>& dw,
                                 const PatchSizes& s) {
  const Index slots = std::clamp<Index>(B, 1, 4);
  const Index size = dw.rows * dw.cols;
  Scratch<T> memory;  // of all slots except the first, which is dw
  T* const sums = memory.room((slots - 1) * size);
  parallel_for(slots, 1, [&](Index slot, Index) {
    const Matrix<T> sum = slot == 0 ? dw : dense(sums + (slot - 1) * size, dw.rows, dw.cols);
    const Scratch<T> rows(s.image());
    Packed<T, Stored> packed;
    std::fill_n(sum.data, size, T{});
    for (Index b = slot * B / slots; b < (slot + 1) * B / slots; ++b) {
      cut_patches(images + b * s.image(), rows.data(), s);
      multiply_long<T>(dense(dy + b * s.patches() * dw.rows, s.patches(), dw.rows),
                       dense<const T>(rows.data(), s.patches(), s.pixels()), sum, Into::add,
                       packed);
    }
  });
  detail::add_parts(dw.data, sums, slots - 1, size);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
