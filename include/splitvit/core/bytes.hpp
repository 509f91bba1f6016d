// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // reverse
#include <bit>        // bit_cast, endian
#include <cstring>    // memcpy

#include <splitvit/core/error.hpp>  // joined, Reason, TextParts, WireError
#include <splitvit/core/shape.hpp>  // Index
#include <splitvit/core/text.hpp>   // counted

namespace splitvit::inline SPLITVIT_BUILD {

namespace detail {
/// A number's bytes from native order to little-endian, or back.
template <class T>
std::array<std::byte, sizeof(T)> little_endian(std::array<std::byte, sizeof(T)> bytes) {
  if constexpr (std::endian::native == std::endian::big) std::reverse(bytes.begin(), bytes.end());
  return bytes;
}
}  // namespace detail

/// The unsigned number of `width` bytes, at most 8, that begins at bytes[at], in a file of another
/// program. The caller has checked that they are there.
inline std::uint64_t number_at(std::span<const std::byte> bytes, std::size_t at, std::size_t width,
                               std::endian order) {
  std::uint64_t value = 0;
  for (std::size_t k = 0; k < width; ++k)
    value = value << 8 | std::to_integer<std::uint64_t>(
                             bytes[at + (order == std::endian::big ? k : width - 1 - k)]);
  return value;
}

template <class T>
concept Arithmetic = std::is_arithmetic_v<T>;

/// Appends numbers to a vector of bytes: little-endian, on every machine.
class ByteWriter {
 public:
  explicit ByteWriter(std::vector<std::byte>& out) : out_{&out} {}

  template <Arithmetic... Numbers>
  void put(Numbers... values) {
    (put_bytes(detail::little_endian<Numbers>(
         std::bit_cast<std::array<std::byte, sizeof(Numbers)>>(values))),
     ...);
  }

  void put_bytes(std::span<const std::byte> bytes) {
    const std::size_t at = out_->size();
    out_->resize(at + bytes.size());
    if (!bytes.empty()) std::memcpy(out_->data() + at, bytes.data(), bytes.size());
  }

  template <Arithmetic T>
  void put_array(std::span<const T> values) {
    if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1)
      put_bytes(std::as_bytes(values));
    else
      for (const T value : values) put(value);
  }

  /// A length (u32) and the characters.
  void put_text(const std::string& text) {
    put(static_cast<std::uint32_t>(text.size()));
    put_bytes(std::as_bytes(std::span{text}));
  }

 private:
  std::vector<std::byte>* out_;
};

/// Takes numbers that ByteWriter wrote from bytes that may be hostile.
///
/// Errors  WireError (truncated) naming `what` when fewer bytes are left than asked for.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes, std::string what = "message")
      : bytes_{bytes}, size_{bytes.size()}, what_{std::move(what)} {}

  std::size_t left() const { return bytes_.size(); }
  /// How many bytes have been taken.
  std::size_t position() const { return size_ - left(); }

  /// Throws WireError, whose text names `what`.
  [[noreturn]] void refuse(Reason reason, TextParts parts) const {
    throw WireError(reason, {what_, ": ", joined(parts)});
  }
  /// Refuses (truncated) unless `count` elements of `size` bytes are left: before memory is taken.
  void require(Index count, std::size_t size) const {
    // Divided, not multiplied: a hostile count must not overflow.
    if (static_cast<std::size_t>(count) > left() / size)
      refuse(Reason::truncated, {counted(left(), "byte"), " for ", counted(count, "element"),
                                 " of ", counted(size, "byte")});
  }

  template <Arithmetic T>
  T get() {
    std::array<std::byte, sizeof(T)> raw;
    const auto from = get_bytes(sizeof(T));
    std::memcpy(raw.data(), from.data(), sizeof(T));
    return std::bit_cast<T>(detail::little_endian<T>(raw));
  }
  /// Several numbers, in order.
  template <class... Numbers>
  void get_to(Numbers&... values) {
    ((values = get<Numbers>()), ...);
  }

  std::span<const std::byte> get_bytes(std::size_t count) {
    if (count > left())
      refuse(Reason::truncated, {count, " more bytes wanted, ", left(), " are left"});
    const auto taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }

  template <Arithmetic T>
  void get_array(std::span<T> into) {
    if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1) {
      const auto from = get_bytes(into.size_bytes());
      if (!from.empty()) std::memcpy(into.data(), from.data(), from.size());
    } else {
      for (T& value : into) value = get<T>();
    }
  }

  /// The counterpart of put_text; refuses more than `limit` characters.
  std::string get_text(std::size_t limit) {
    const std::size_t size = get<std::uint32_t>();
    if (size > limit)
      refuse(Reason::too_long,
             {"a text of ", size, " characters, at most ", limit, " are allowed"});
    const auto from = get_bytes(size);
    return {reinterpret_cast<const char*>(from.data()), from.size()};
  }

  /// Every byte must have been used.
  void expect_end() const {
    if (left() > 0) refuse(Reason::malformed, {counted(left(), "byte"), " too many at its end"});
  }

 private:
  std::span<const std::byte> bytes_;  // that are left
  std::size_t size_;
  std::string what_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD
