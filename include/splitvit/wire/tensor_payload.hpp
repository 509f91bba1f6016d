// SPDX-License-Identifier: MIT
#pragma once

#include <array>        // array
#include <bit>          // endian
#include <concepts>     // same_as, floating_point
#include <cstddef>      // byte, size_t
#include <cstdint>      // int32_t, uint8_t, uint32_t, uint64_t
#include <deque>        // deque
#include <span>         // span, as_bytes
#include <string>       // string, to_string
#include <type_traits>  // is_arithmetic_v
#include <utility>      // move
#include <vector>       // vector

#include <splitvit/core/bytes.hpp>   // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>   // Reason, ShapeError, WireError
#include <splitvit/core/finite.hpp>  // all_finite
#include <splitvit/core/shape.hpp>   // Index, Shape

// PayloadWriter and PayloadReader: numbers, texts and tensors as the payload of a message.
//
// A tensor is its type (u8), its rank (u8), its extents (u32 each), zeros up to the next
// multiple of 64 from the start of the payload, and its numbers, little-endian.

namespace splitvit::wire {

/// The type of a tensor's elements, as a number in the format.
enum class Dtype : std::uint8_t { float32 = 1, float64 = 2, int32 = 3, uint8 = 4 };

template <class T>
concept WireElement = std::same_as<T, float> || std::same_as<T, double> ||
                      std::same_as<T, std::int32_t> || std::same_as<T, std::uint8_t>;

template <WireElement T>
inline constexpr Dtype dtype_of = std::same_as<T, float>          ? Dtype::float32
                                  : std::same_as<T, double>       ? Dtype::float64
                                  : std::same_as<T, std::int32_t> ? Dtype::int32
                                                                  : Dtype::uint8;

inline constexpr std::size_t tensor_alignment = 64;
inline constexpr std::size_t largest_rank = 4;
inline constexpr Index largest_extent = Index{1} << 24;

namespace detail {

/// True for integers.
template <class T>
bool no_nan(std::span<const T> values) {
  if constexpr (std::floating_point<T>)
    return all_finite(values);
  else
    return true;
}

inline std::size_t padding_at(std::size_t position) {
  return (tensor_alignment - position % tensor_alignment) % tensor_alignment;
}

}  // namespace detail

/// Collects a payload as parts. Tensors are borrowed, not copied: they must live until the
/// message has been sent.
class PayloadWriter {
 public:
  PayloadWriter() = default;
  PayloadWriter(const PayloadWriter&) = delete;
  PayloadWriter& operator=(const PayloadWriter&) = delete;

  template <class T>
    requires std::is_arithmetic_v<T>
  void put(T value) {
    ByteWriter{own()}.put(value);
  }
  void put_text(const std::string& text) { ByteWriter{own()}.put_text(text); }
  void put_bytes(std::span<const std::byte> bytes) { ByteWriter{own()}.put_bytes(bytes); }

  /// Errors  ShapeError for a rank above 4, an extent outside [1, 2^24], or another number of
  ///         values than the shape says; WireError (not_finite) for NaN or infinity.
  template <WireElement T>
  void put_tensor(const Shape& shape, std::span<const T> values) {
    check(shape, values.size());
    if (!detail::no_nan(values))
      throw WireError(Reason::not_finite,
                      "put_tensor: NaN or infinity in a tensor " + shape.text());
    ByteWriter out{own()};
    out.put(static_cast<std::uint8_t>(dtype_of<T>));
    out.put(static_cast<std::uint8_t>(shape.rank()));
    for (const Index extent : shape.extents()) out.put(static_cast<std::uint32_t>(extent));
    const std::array<std::byte, tensor_alignment> zeros{};
    out.put_bytes(std::span{zeros}.first(detail::padding_at(size())));
    if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1)
      borrow(std::as_bytes(values));
    else
      out.put_array(values);
  }

  /// Bytes so far.
  std::size_t size() const {
    std::size_t sum = 0;
    for (const Part& part : parts_) sum += part.bytes().size();
    return sum;
  }
  /// What Session::send takes; valid until the next put.
  std::vector<std::span<const std::byte>> parts() const {
    std::vector<std::span<const std::byte>> all;
    for (const Part& part : parts_) all.push_back(part.bytes());
    return all;
  }
  /// All parts in one vector: a copy, for a caller that keeps the payload.
  std::vector<std::byte> gather() const {
    std::vector<std::byte> all;
    all.reserve(size());
    for (const Part& part : parts_) all.insert(all.end(), part.bytes().begin(), part.bytes().end());
    return all;
  }

 private:
  struct Part {
    std::vector<std::byte> own;
    std::span<const std::byte> borrowed;
    std::span<const std::byte> bytes() const {
      return borrowed.empty() ? std::span<const std::byte>{own} : borrowed;
    }
  };

  static void check(const Shape& shape, std::size_t values) {
    bool fits = shape.rank() <= largest_rank;
    for (const Index extent : shape.extents())
      fits = fits && extent >= 1 && extent <= largest_extent;
    if (!fits)
      throw ShapeError("put_tensor: shape " + shape.text() +
                       ": at most 4 extents, each from 1 to 2^24, can be sent");
    if (static_cast<std::size_t>(shape.elements()) != values)
      throw ShapeError("put_tensor: " + std::to_string(values) + " values for shape " +
                       shape.text());
  }

  std::vector<std::byte>& own() {
    if (parts_.empty() || !parts_.back().borrowed.empty()) parts_.emplace_back();
    return parts_.back().own;
  }
  void borrow(std::span<const std::byte> bytes) { parts_.push_back({{}, bytes}); }

  std::deque<Part> parts_;
};

/// A tensor within a payload: its shape, and exactly the bytes of its numbers.
template <WireElement T>
struct TensorPayload {
  Shape shape;
  std::span<const std::byte> bytes;

  /// Errors  WireError (wrong_shape) naming `what` unless the shape is the agreed one.
  void require_shape(const Shape& agreed, const std::string& what) const {
    if (!(shape == agreed))
      throw WireError(Reason::wrong_shape,
                      what + ": shape " + shape.text() + " came, " + agreed.text() + " was agreed");
  }

  /// Errors  ShapeError if `into` has another size; WireError (not_finite) for NaN or infinity.
  void copy_to(std::span<T> into) const {
    if (static_cast<Index>(into.size()) != shape.elements())
      throw ShapeError("copy_to: room for " + std::to_string(into.size()) + " elements, shape is " +
                       shape.text());
    ByteReader{bytes}.get_array(into);
    if (!detail::no_nan(std::span<const T>{into}))
      throw WireError(Reason::not_finite, "copy_to: NaN or infinity in a tensor " + shape.text());
  }
};

/// Reads a payload that may be hostile. For a tensor it allocates nothing, but checks type, shape
/// and length and returns its bytes.
///
/// Errors  WireError: truncated, too_long, malformed or wrong_shape, naming `what`.
class PayloadReader {
 public:
  explicit PayloadReader(std::span<const std::byte> payload, std::string what = "payload")
      : size_{payload.size()}, what_{std::move(what)}, in_{payload, what_} {}

  template <class T>
    requires std::is_arithmetic_v<T>
  T get() {
    return in_.get<T>();
  }
  std::string get_text(std::size_t limit) { return in_.get_text(limit); }
  std::span<const std::byte> get_bytes(std::size_t count) { return in_.get_bytes(count); }
  std::size_t left() const { return in_.left(); }
  void expect_end() const { in_.expect_end(); }

  template <WireElement T>
  TensorPayload<T> get_tensor() {
    const auto dtype = in_.get<std::uint8_t>();
    const auto rank = in_.get<std::uint8_t>();
    if (dtype != static_cast<std::uint8_t>(dtype_of<T>))
      throw WireError(Reason::wrong_shape,
                      what_ + ": a tensor of element type " + std::to_string(dtype) + ", type " +
                          std::to_string(static_cast<int>(dtype_of<T>)) + " is expected");
    if (rank > largest_rank)
      throw WireError(Reason::wrong_shape, what_ + ": a tensor of rank " + std::to_string(rank) +
                                               ", at most " + std::to_string(largest_rank) +
                                               " is allowed");
    std::array<Index, largest_rank> extents{};
    std::uint64_t bytes = sizeof(T);
    for (std::size_t axis = 0; axis < rank; ++axis) {
      const auto extent = in_.get<std::uint32_t>();
      if (extent < 1 || extent > largest_extent)
        throw WireError(Reason::wrong_shape, what_ + ": an extent of " + std::to_string(extent) +
                                                 ", allowed are 1 to 2^24");
      // No overflow: bytes is at most left() here, far below 2^40, and the extent 2^24.
      bytes *= extent;
      if (bytes > in_.left())
        throw WireError(Reason::truncated, what_ + ": a tensor of at least " +
                                               std::to_string(bytes) + " bytes, " +
                                               std::to_string(in_.left()) + " are left");
      extents[axis] = static_cast<Index>(extent);
    }
    for (const std::byte zero : in_.get_bytes(detail::padding_at(size_ - in_.left())))
      if (zero != std::byte{0})
        throw WireError(Reason::malformed, what_ + ": padding that is not zero");
    return {Shape{std::span<const Index>{extents.data(), rank}},
            in_.get_bytes(static_cast<std::size_t>(bytes))};
  }

 private:
  std::size_t size_;
  std::string what_;
  ByteReader in_;
};

}  // namespace splitvit::wire
