// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/ops/linear.hpp>  // add_bias_gradient, bias_text
#include <splitvit/autograd/variable.hpp>    // Variable, record
#include <splitvit/core/parallel.hpp>        // parallel_for
#include <splitvit/kernel/patch_embed.hpp>   // PatchSizes, patch_embed_forward and its gradients

namespace splitvit::inline SPLITVIT_BUILD {

namespace detail {
template <class T>
kernel::PatchSizes require_patches(const Variable<T>& images, Index patch) {
  const Shape& shape = images.shape();
  if (shape.rank() != 4 || patch < 1 || shape[2] % patch != 0 || shape[3] % patch != 0)
    throw ShapeError({"patches: images ", shape, " in patches of ", patch,
                      ": wanted (B, channels, H, W) with H and W multiples of the patch"});
  return {.channels = shape[1], .height = shape[2], .width = shape[3], .patch = patch};
}
}  // namespace detail

/// Cuts images into square patches, in row-major order.
///
/// Shapes  images (B, channels, H, W) -> (B, patches, channels * patch * patch).
/// Errors  ShapeError unless H and W are multiples of `patch`.
template <std::floating_point T>
Variable<T> patches(const Variable<T>& images, Index patch) {
  const kernel::PatchSizes s = detail::require_patches(images, patch);
  const Index B = images.dim(0);
  Tensor<T> rows = Tensor<T>::uninitialised(Shape{B, s.patches(), s.pixels()});
  parallel_for(B, 1, [&](Index b, Index) {
    kernel::cut_patches(images.value().data() + b * s.image(), rows.data() + b * s.image(), s);
  });
  return record(std::move(rows), {images}, [=](const Tensor<T>&, const Tensor<T>& dy) {
    images.add_gradient_from([&](Tensor<T>& dx) {
      parallel_for(B, 1, [&](Index b, Index) {
        kernel::join_patches(dy.data() + b * s.image(), dx.data() + b * s.image(), s);
      });
    });
  });
}

/// A convolution whose stride is its kernel's size: one vector for each patch.
///
/// Shapes  images (B, channels, H, W), weight (D, channels, P, P), bias (D) or not defined
///         -> (B, patches, D), patches in row-major order.
/// Grad    all three.
/// Errors  ShapeError.
template <std::floating_point T, class Stored = T>
Variable<T> patch_embed(const Variable<T>& images, const Variable<T>& weight,
                        const Variable<T>& bias) {
  const Shape& w = weight.shape();
  if (images.shape().rank() != 4 || w.rank() != 4 || w[1] != images.dim(1) || w[2] != w[3] ||
      (bias.defined() && bias.shape() != Shape{w[0]}))
    throw ShapeError({"patch_embed: images ", images.shape(), ", weight ", w,
                      detail::bias_text(bias),
                      ": wanted (B, channels, H, W), (D, channels, P, P), (D)"});
  const kernel::PatchSizes s = detail::require_patches(images, w[2]);
  const Index B = images.dim(0), D = w[0];
  Tensor<T> y = Tensor<T>::uninitialised(Shape{B, s.patches(), D});
  const auto as_matrix = [D, pixels = s.pixels()](auto& numbers) {
    return kernel::dense(numbers.data(), D, pixels);
  };
  kernel::patch_embed_forward<T, Stored>(images.value().data(), B, as_matrix(weight.value()),
                                         bias.defined() ? bias.value().data() : nullptr, y.data(),
                                         s);
  return record(std::move(y), {images, weight, bias}, [=](const Tensor<T>&, const Tensor<T>& dy) {
    // a linear layer over rows of pixels: dx = dy W, dW = dy^T x, db = the sum of dy's rows
    images.add_gradient_from([&](Tensor<T>& dx) {
      kernel::patch_embed_image_gradient<T, Stored>(dy.data(), B, as_matrix(weight.value()),
                                                    dx.data(), s);
    });
    weight.add_gradient_from([&](Tensor<T>& dw) {
      kernel::patch_embed_weight_gradient<T, Stored>(images.value().data(), dy.data(), B,
                                                     as_matrix(dw), s);
    });
    detail::add_bias_gradient(bias, dy);
  });
}

SPLITVIT_ONCE(Variable<float> patches(const Variable<float>&, Index));
SPLITVIT_ONCE(Variable<float> patch_embed<float, float>(const Variable<float>&,
                                                        const Variable<float>&,
                                                        const Variable<float>&));

}  // namespace splitvit::inline SPLITVIT_BUILD
