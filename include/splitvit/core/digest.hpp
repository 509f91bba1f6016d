// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/std.hpp>

namespace splitvit::inline SPLITVIT_BUILD {

/// A number that tells contents apart: equal contents have equal digests, and two others have the
/// same one with a chance of about 2^-64. It does not protect against an attacker.
///
///   Digest digest;
///   digest.add_text("head.bias");
///   digest.add_bytes(bytes);
///   digest.text();  // 16 hexadecimal digits
///
/// Source  FNV-1a with 64 bits, by Fowler, Noll and Vo.
class Digest {
 public:
  /// In one call or in several.
  void add_bytes(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes)
      value_ = (value_ ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001B3;
  }
  /// As eight bytes, little-endian.
  void add_number(std::uint64_t number) {
    std::array<std::byte, 8> bytes;
    for (std::byte& byte : bytes) {
      byte = static_cast<std::byte>(number & 0xFF);
      number >>= 8;
    }
    add_bytes(bytes);
  }
  /// Its length, too, so that "ab", "c" is not "a", "bc".
  void add_text(std::string_view text) {
    add_number(text.size());
    add_bytes(std::as_bytes(std::span{text}));
  }

  std::uint64_t value() const { return value_; }
  std::string text() const {
    std::string digits(16, '0');
    for (std::size_t i = 0; i < digits.size(); ++i)
      digits[i] = "0123456789abcdef"[(value_ >> (60 - 4 * i)) & 15];
    return digits;
  }

  friend bool operator==(const Digest&, const Digest&) = default;

 private:
  std::uint64_t value_ = 0xCBF29CE484222325;
};

}  // namespace splitvit::inline SPLITVIT_BUILD
