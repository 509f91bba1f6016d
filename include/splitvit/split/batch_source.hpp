// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/labels.hpp>    // Labels
#include <splitvit/tensor/tensor.hpp>  // Tensor

namespace splitvit::inline SPLITVIT_BUILD::split {

/// Batches, one after the other, such as an epoch of data::Loader.
///
///   source.next()  something like std::optional<Batch>: the next batch, or nothing at the
///                  end, with batch.images (B, channels, H, W) and batch.labels: Labels of B
///                  rows, or B ids
template <class S, class T>
concept BatchSource = std::floating_point<T> && requires(S& source) {
  static_cast<bool>(source.next());
  { (*source.next()).images } -> std::convertible_to<const Tensor<T>&>;
  { (*source.next()).labels } -> std::convertible_to<Labels>;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::split
