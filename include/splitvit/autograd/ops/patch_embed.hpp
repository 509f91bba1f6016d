// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n
#include <concepts>   // floating_point

#include <splitvit/autograd/ops/linear.hpp>   // linear
#include <splitvit/autograd/ops/reshape.hpp>  // reshape
#include <splitvit/autograd/variable.hpp>     // Variable, record
#include <splitvit/core/parallel.hpp>         // parallel_for

// patches and patch_embed: an image as rows of pixels, so that a linear layer can embed them.

namespace splitvit {

namespace detail {

/// Calls f(image offset, row offset) for each run of `patch` pixels of one image.
template <class F>
void each_patch_line(Index C, Index height, Index width, Index patch, const F& f) {
  const Index across = width / patch;
  const Index row_size = C * patch * patch;
  for (Index c = 0; c < C; ++c)
    for (Index y = 0; y < height; ++y)
      for (Index x = 0; x < across; ++x)
        f((c * height + y) * width + x * patch,
          (y / patch * across + x) * row_size + (c * patch + y % patch) * patch);
}

}  // namespace detail

/// Cuts images into square patches, left to right and top to bottom.
///
/// Shapes  images (B, channels, H, W) -> (B, patches, channels * patch * patch); H and W
///         are multiples of `patch`.
/// Errors  ShapeError otherwise.
template <std::floating_point T>
Variable<T> patches(const Variable<T>& images, Index patch) {
  const Shape& shape = images.shape();
  if (shape.rank() != 4 || patch < 1 || shape[2] % patch != 0 || shape[3] % patch != 0)
    throw ShapeError("patches: images " + shape.text() + " in patches of " + std::to_string(patch) +
                     ": wanted (B, channels, H, W) with H and W multiples of the patch");
  const Index B = shape[0], C = shape[1], height = shape[2], width = shape[3];
  const Index size = C * height * width;
  Tensor<T> rows =
      Tensor<T>::uninitialised(Shape{B, (height / patch) * (width / patch), C * patch * patch});
  parallel_for(B, 1, [&](Index b, Index) {
    const T* image = images.value().data() + b * size;
    T* out = rows.data() + b * size;
    detail::each_patch_line(C, height, width, patch, [&](Index from, Index to) {
      std::copy_n(image + from, patch, out + to);
    });
  });
  return record(std::move(rows), {images}, [=](const Tensor<T>&, const Tensor<T>& dy) {
    Tensor<T> dx = Tensor<T>::uninitialised(images.shape());
    parallel_for(B, 1, [&](Index b, Index) {
      detail::each_patch_line(C, height, width, patch, [&](Index to, Index from) {
        std::copy_n(dy.data() + b * size + from, patch, dx.data() + b * size + to);
      });
    });
    images.add_gradient(std::move(dx));
  });
}

/// A convolution whose stride is its kernel's size: one vector for each patch.
///
/// Shapes  images (B, channels, H, W), weight (D, channels, P, P), bias (D)
///         -> (B, patches, D), patches in row-major order.
/// Grad    all three.
/// Errors  ShapeError.
template <std::floating_point T>
Variable<T> patch_embed(const Variable<T>& images, const Variable<T>& weight,
                        const Variable<T>& bias) {
  const Shape& w = weight.shape();
  if (images.shape().rank() != 4 || w.rank() != 4 || w[1] != images.dim(1) || w[2] != w[3])
    throw ShapeError("patch_embed: images " + images.shape().text() + ", weight " + w.text() +
                     ": wanted (B, channels, H, W) and (D, channels, P, P)");
  return linear(patches(images, w[2]), reshape(weight, Shape{w[0], w[1] * w[2] * w[3]}), bias);
}

}  // namespace splitvit
