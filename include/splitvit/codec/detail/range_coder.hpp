// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min

#include <splitvit/core/std.hpp>

// A range coder: symbols as bytes, each in as many bits as its probability is worth. Only whole
// numbers of 64 bits decide what is written and read, so it is the same on every machine.
//
// Encoder and decoder have the same functions. A decoder returns the symbol; an encoder writes the
// one that it is given, and returns it. So one function describes both directions of a format.

namespace splitvit::inline SPLITVIT_BUILD::codec::detail {

/// How many symbols there are, 0..alphabet-1.
inline constexpr unsigned alphabet = 16;
/// Probabilities are multiples of 2^-probability_bits.
inline constexpr int probability_bits = 15;
/// The end of each symbol's share: that of s begins where that of s - 1 ends, the first one at 0.
/// Shares are at least 1; the last end is 2^probability_bits.
using SymbolTable = std::array<std::uint16_t, alphabet>;

/// Appends one stream to a vector of bytes.
class RangeEncoder {
 public:
  static constexpr bool decodes = false;

  explicit RangeEncoder(std::vector<std::byte>& out) : out_{&out}, begin_{out.size()} {}

  unsigned symbol(const SymbolTable& table, unsigned s) {
    const std::uint64_t unit = range_ >> probability_bits;
    const std::uint32_t start = s == 0 ? 0 : table[s - 1];
    take(unit * start, unit * (table[s] - start));
    return s;
  }

  /// The lowest `count` (0..24) bits of `value`, all equally likely; the others must be zero.
  std::uint32_t bits(int count, std::uint32_t value) {
    const std::uint64_t unit = range_ >> count;
    take(unit * value, unit);
    return value;
  }

  /// Ends the stream with as few bytes as tell it from all others.
  void finish() {
    for (int count = 0; count <= 8; ++count) {
      const std::uint64_t rest =
          count == 0 ? ~std::uint64_t{0} : (std::uint64_t{1} << (64 - 8 * count)) - 1;
      const std::uint64_t value = count == 8 ? low_ : (low_ + rest) & ~rest;  // not below low_
      if (value - low_ >= range_) continue;
      if (value < low_) carry();
      for (int i = 0; i < count; ++i) append(value >> (56 - 8 * i));
      break;
    }
    while (out_->size() > begin_ && out_->back() == std::byte{0}) out_->pop_back();
  }

 private:
  /// Narrows the interval [low, low + range) to `size` numbers that begin `start` above it.
  void take(std::uint64_t start, std::uint64_t size) {
    low_ += start;
    if (low_ < start) carry();
    range_ = size;
    if (range_ >> 32 != 0) return;
    for (int i = 0; i < 4; ++i) append(low_ >> (56 - 8 * i));
    low_ <<= 32;
    range_ <<= 32;
  }

  void append(std::uint64_t value) { out_->push_back(static_cast<std::byte>(value & 0xFF)); }

  /// Adds 1 to the number that all bytes so far form.
  void carry() {
    for (std::size_t i = out_->size(); i > begin_;) {
      std::byte& digit = (*out_)[--i];
      digit = static_cast<std::byte>(std::to_integer<unsigned>(digit) + 1);
      if (digit != std::byte{0}) return;
    }
  }

  std::vector<std::byte>* out_;
  std::size_t begin_;
  std::uint64_t low_ = 0;
  std::uint64_t range_ = ~std::uint64_t{0};
};

/// Reads a stream. Any bytes give symbols; behind their end there are zeros. Symbols that were not
/// written have to be noticed by a check of their own.
class RangeDecoder {
 public:
  static constexpr bool decodes = true;

  explicit RangeDecoder(std::span<const std::byte> in) : in_{in} {
    refill();
    refill();
  }

  unsigned symbol(const SymbolTable& table, unsigned = 0) {
    const std::uint64_t unit = range_ >> probability_bits;
    unsigned s = 0;
    std::uint64_t start = 0, end = unit * table[0];
    while (above_ >= end && s + 1 < alphabet) {
      start = end;
      end = unit * table[++s];
    }
    take(start, end - start);
    return s;
  }

  std::uint32_t bits(int count, std::uint32_t = 0) {
    const std::uint64_t unit = range_ >> count;
    const std::uint64_t most = (std::uint64_t{1} << count) - 1;
    const std::uint64_t value =
        count == 1 ? std::uint64_t{above_ >= unit} : std::min(above_ / unit, most);
    take(unit * value, unit);
    return static_cast<std::uint32_t>(value);
  }

  /// Whether all bytes have been read.
  bool at_end() const { return next_ >= in_.size(); }

 private:
  void take(std::uint64_t start, std::uint64_t size) {
    above_ -= start;
    range_ = size;
    if (range_ >> 32 != 0) return;
    range_ <<= 32;
    refill();
  }

  void refill() {
    for (int i = 0; i < 4; ++i, ++next_)
      above_ = above_ << 8 | (next_ < in_.size() ? std::to_integer<std::uint64_t>(in_[next_]) : 0);
  }

  std::span<const std::byte> in_;
  std::size_t next_ = 0;
  std::uint64_t above_ = 0;  // how far the number that the bytes form lies above the interval's low
  std::uint64_t range_ = ~std::uint64_t{0};
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec::detail
