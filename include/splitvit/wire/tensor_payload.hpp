// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/bytes.hpp>   // ByteReader, ByteWriter
#include <splitvit/core/dtype.hpp>   // dtype_of, HasDtype
#include <splitvit/core/error.hpp>   // joined, Reason, ShapeError, WireError
#include <splitvit/core/finite.hpp>  // all_finite
#include <splitvit/core/shape.hpp>   // Index, Shape

namespace splitvit::inline SPLITVIT_BUILD::wire {

/// An element that can be sent; its type is written as the number of its Dtype.
template <class T>
concept WireElement = HasDtype<T> && !std::same_as<T, std::int64_t>;

inline constexpr std::size_t largest_rank = 4;
inline constexpr Index largest_extent = Index{1} << 24;

namespace detail {
/// Errors  WireError (not_finite) for NaN or infinity.
template <class T>
void require_finite(std::span<const T> values, const std::string& what) {
  if constexpr (std::floating_point<T>)
    if (!all_finite(values)) throw WireError(Reason::not_finite, {what, ": NaN or infinity"});
}

/// How many zeros are between a position and the next multiple of 64.
inline std::size_t padding_at(std::size_t position) { return (64 - position % 64) % 64; }
}  // namespace detail

/// Appends a tensor to a payload: type (u8), rank (u8), extents (u32 each), zeros up to the next
/// multiple of 64 from the start of the payload, and the numbers, little-endian.
///
/// Errors  ShapeError for a rank above 4, an extent outside [1, 2^24], or another number of
///         values than the shape says; WireError (not_finite) for NaN or infinity.
template <WireElement T>
void put_tensor(std::vector<std::byte>& payload, const Shape& shape, std::span<const T> values) {
  bool can_be_sent = shape.rank() <= largest_rank;
  for (const Index extent : shape.extents())
    can_be_sent = can_be_sent && extent >= 1 && extent <= largest_extent;
  if (!can_be_sent)
    throw ShapeError({"put_tensor: shape ", shape.text(),
                      ": at most 4 extents, each from 1 to 2^24, can be sent"});
  if (static_cast<std::size_t>(shape.elements()) != values.size())
    throw ShapeError({"put_tensor: ", values.size(), " values for shape ", shape.text()});
  detail::require_finite(values, "put_tensor: " + shape.text());
  ByteWriter out{payload};
  out.put(static_cast<std::uint8_t>(dtype_of<T>), static_cast<std::uint8_t>(shape.rank()));
  for (const Index extent : shape.extents()) out.put(static_cast<std::uint32_t>(extent));
  payload.resize(payload.size() + detail::padding_at(payload.size()));
  out.put_array(values);
}

/// Reads a tensor of the agreed shape into `values`. `what` names it in errors.
///
/// Errors  WireError: truncated; wrong_shape for another type or shape; malformed for padding that
///         is not zero; not_finite. ShapeError if `values` has another size than the shape.
template <WireElement T>
void get_tensor(ByteReader& in, const Shape& agreed, std::span<T> values, const std::string& what) {
  if (static_cast<std::size_t>(agreed.elements()) != values.size())
    throw ShapeError({"get_tensor: room for ", values.size(), " values of shape ", agreed.text()});
  const auto dtype = in.get<std::uint8_t>();
  const auto rank = in.get<std::uint8_t>();
  if (dtype != static_cast<std::uint8_t>(dtype_of<T>))
    throw WireError(Reason::wrong_shape, {what, ": a tensor of element type ", dtype, ", type ",
                                          static_cast<int>(dtype_of<T>), " is expected"});
  bool is_agreed = rank == agreed.rank();
  std::string came;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const auto extent = in.get<std::uint32_t>();
    is_agreed = is_agreed && Index{extent} == agreed[axis];
    came += joined({axis > 0 ? ", " : "", extent});
  }
  if (!is_agreed)
    throw WireError(Reason::wrong_shape,
                    {what, ": shape (", came, ") came, ", agreed.text(), " was agreed"});
  for (const std::byte zero : in.get_bytes(detail::padding_at(in.position())))
    if (zero != std::byte{0})
      throw WireError(Reason::malformed, {what, ": padding that is not zero"});
  in.get_array(values);
  detail::require_finite(std::span<const T>{values}, what);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::wire
