// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/bytes.hpp>     // ByteReader
#include <splitvit/core/error.hpp>     // Reason, ShapeError, WireError
#include <splitvit/core/shape.hpp>     // Index, Shape
#include <splitvit/tensor/reduce.hpp>  // all_finite
#include <splitvit/tensor/tensor.hpp>  // TensorView

namespace splitvit::inline SPLITVIT_BUILD::codec::detail {

/// Errors  WireError (not_finite) naming the codec and the tensor's shape.
template <std::floating_point T>
void require_finite(TensorView<const T> x, const std::string& codec) {
  if (!all_finite(x))
    throw WireError(Reason::not_finite,
                    {codec, ": NaN or infinity in a tensor ", x.shape().text()});
}

inline bool has_samples(const Shape& shape) { return shape.rank() > 0 && shape.elements() > 0; }

/// How many values a sample has.
///
/// Errors  ShapeError for a tensor without samples or without values.
inline Index sample_size(const Shape& shape, const std::string& codec) {
  if (!has_samples(shape))
    throw ShapeError({codec, ": tensor ", shape.text(), ", wanted samples (B, ...) with values"});
  return shape.elements() / shape[0];
}

/// The same for a shape that a peer announced.
///
/// Errors  WireError (wrong_shape).
inline Index announced_sample_size(const Shape& shape, const std::string& codec) {
  if (!has_samples(shape))
    throw WireError(Reason::wrong_shape, {codec, ": a tensor ", shape.text(), " without values"});
  return shape.elements() / shape[0];
}

/// Errors  ShapeError if a gradient does not have the shape of its tensor.
inline void require_gradient_shape(const Shape& gradient, const Shape& x,
                                   const std::string& codec) {
  if (!(gradient == x))
    throw ShapeError({codec, ": gradient ", gradient.text(), " of a tensor ", x.text()});
}

/// The same for a gradient that a peer announced.
///
/// Errors  WireError (wrong_shape).
inline void require_announced_gradient(const Shape& gradient, const Shape& x,
                                       const std::string& codec) {
  if (!(gradient == x))
    throw WireError(Reason::wrong_shape,
                    {codec, ": a gradient ", gradient.text(), " of a tensor ", x.text()});
}

/// Errors  WireError (wrong_shape) unless all bytes left are the tensor's elements.
inline void require_exactly(const ByteReader& reader, const Shape& shape, std::size_t bytes_each) {
  // Divided, not multiplied: a hostile shape must not overflow.
  if (reader.left() % bytes_each != 0 ||
      reader.left() / bytes_each != static_cast<std::size_t>(shape.elements()))
    reader.refuse(Reason::wrong_shape, {reader.left(), " bytes for a tensor ", shape.text(), " of ",
                                        bytes_each, " bytes each"});
}

}  // namespace splitvit::inline SPLITVIT_BUILD::codec::detail
