// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max

#include <splitvit/core/error.hpp>     // joined, Reason, ShapeError, StorageError, TextParts
#include <splitvit/core/shape.hpp>     // Index, Shape
#include <splitvit/tensor/tensor.hpp>  // Tensor

namespace splitvit::inline SPLITVIT_BUILD::data {

/// Labelled images, 8 bits a value.
///
///   expression         returns               meaning
///   set.size()         Index                 number of samples
///   set.classes()      Index                 labels lie in [0, classes)
///   set.image_shape()  Shape                 (channels, height, width), channels 1 or 3; height
///                                            and width are 0 if images differ in size
///   set.label(i)       Index                 of sample i, 0 <= i < size
///   set.image(i)       Tensor<std::uint8_t>  sample i, (channels, height, width)
///
/// All are const and may be called from several threads at once. Sample i never changes.
template <class S>
concept Dataset = requires(const S& set, Index i) {
  { set.size() } -> std::convertible_to<Index>;
  { set.classes() } -> std::convertible_to<Index>;
  { set.image_shape() } -> std::convertible_to<Shape>;
  { set.label(i) } -> std::convertible_to<Index>;
  { set.image(i) } -> std::convertible_to<Tensor<std::uint8_t>>;
};

/// A data set in memory, as all readers return it.
/// Shapes  images (S, channels, height, width), labels S values in [0, class_count).
struct ImageSet {
  std::string name;  ///< for people
  Tensor<std::uint8_t> images;
  std::vector<Index> labels;
  Index class_count = 0;

  Index size() const { return static_cast<Index>(labels.size()); }
  Index classes() const { return class_count; }
  Shape image_shape() const { return {images.dim(1), images.dim(2), images.dim(3)}; }
  Index label(Index i) const { return labels.at(static_cast<std::size_t>(i)); }

  /// Errors  ShapeError if there is no sample i.
  Tensor<std::uint8_t> image(Index i) const {
    return {image_shape(), images.view().slice(i, i + 1).span()};
  }
};

/// What is learnt from, and what is only looked at afterwards.
struct TrainTest {
  ImageSet train;
  ImageSet test;
};

/// Samples begin..end-1 as a set of their own, for example to keep some back for a test.
/// Errors  ShapeError if they are not all there.
inline ImageSet slice(const ImageSet& set, Index begin, Index end) {
  const auto images = set.images.view().slice(begin, end);
  if (end > set.size())
    throw ShapeError({"slice: samples ", begin, " to ", end, " of ", set.size(), " labels"});
  return {.name = set.name,
          .images = Tensor<std::uint8_t>{images.shape(), images.span()},
          .labels = {set.labels.begin() + begin, set.labels.begin() + end},
          .class_count = set.class_count};
}

namespace detail {
/// Throws a StorageError that names the source and the byte; `why` is joined.
[[noreturn]] inline void fail_at(Reason reason, const std::string& source, std::size_t byte,
                                 TextParts why) {
  throw StorageError(reason, {source, ": byte ", byte, ": ", joined(why)});
}
}  // namespace detail

/// Gives both sets the larger number of classes.
/// Errors  StorageError (wrong_content) naming `source`, the test file, if images differ in shape.
inline void require_alike(TrainTest& pair, const std::string& source) {
  if (!(pair.train.image_shape() == pair.test.image_shape()))
    throw StorageError(Reason::wrong_content,
                       {source, ": images of ", pair.test.image_shape().text(),
                        ", those for training are ", pair.train.image_shape().text()});
  pair.train.class_count = pair.test.class_count =
      std::max(pair.train.class_count, pair.test.class_count);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::data
