// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // ranges::reverse
#include <array>        // array
#include <bit>          // bit_cast, endian
#include <concepts>     // integral
#include <cstddef>      // byte, size_t
#include <cstring>      // memcpy
#include <span>         // span, as_bytes
#include <string>       // string
#include <type_traits>  // is_arithmetic_v
#include <vector>       // vector

#include <splitvit/core/error.hpp>  // WireError

// ByteWriter and ByteReader: numbers as little-endian bytes, on every machine.

namespace splitvit {

namespace detail {

/// A number's bytes from native order to little-endian, or back.
template <class T>
std::array<std::byte, sizeof(T)> little_endian(std::array<std::byte, sizeof(T)> bytes) {
  if constexpr (std::endian::native == std::endian::big) std::ranges::reverse(bytes);
  return bytes;
}

}  // namespace detail

/// Appends numbers to a vector of bytes.
class ByteWriter {
 public:
  explicit ByteWriter(std::vector<std::byte>& out) : out_{&out} {}

  template <class T>
    requires std::is_arithmetic_v<T>
  void put(T value) {
    const auto bytes =
        detail::little_endian<T>(std::bit_cast<std::array<std::byte, sizeof(T)>>(value));
    put_bytes(bytes);
  }

  void put_bytes(std::span<const std::byte> bytes) {
    const std::size_t at = out_->size();
    out_->resize(at + bytes.size());
    if (!bytes.empty()) std::memcpy(out_->data() + at, bytes.data(), bytes.size());
  }

  template <class T>
    requires std::is_arithmetic_v<T>
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

/// Takes numbers from bytes that may be hostile.
///
/// Errors  WireError (truncated) naming `what` when fewer bytes are left than asked for.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes, std::string what = "message")
      : bytes_{bytes}, what_{std::move(what)} {}

  std::size_t left() const { return bytes_.size(); }

  template <class T>
    requires std::is_arithmetic_v<T>
  T get() {
    std::array<std::byte, sizeof(T)> raw;
    const auto from = get_bytes(sizeof(T));
    std::memcpy(raw.data(), from.data(), sizeof(T));
    return std::bit_cast<T>(detail::little_endian<T>(raw));
  }

  std::span<const std::byte> get_bytes(std::size_t count) {
    if (count > bytes_.size())
      throw WireError(Reason::truncated, what_ + ": " + std::to_string(count) +
                                             " more bytes wanted, " +
                                             std::to_string(bytes_.size()) + " are left");
    const auto taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }

  template <class T>
    requires std::is_arithmetic_v<T>
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
      throw WireError(Reason::too_long, what_ + ": a text of " + std::to_string(size) +
                                            " characters, at most " + std::to_string(limit) +
                                            " are allowed");
    const auto from = get_bytes(size);
    return {reinterpret_cast<const char*>(from.data()), from.size()};
  }

  /// Every byte must have been used.
  void expect_end() const {
    if (!bytes_.empty())
      throw WireError(Reason::malformed,
                      what_ + ": " + std::to_string(bytes_.size()) + " bytes too many at its end");
  }

 private:
  std::span<const std::byte> bytes_;
  std::string what_;
};

}  // namespace splitvit
