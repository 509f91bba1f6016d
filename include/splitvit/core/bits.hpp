// SPDX-License-Identifier: MIT
#pragma once

#include <bit>      // bit_width, endian
#include <cstring>  // memcpy

#include <splitvit/core/bytes.hpp>     // ByteReader
#include <splitvit/core/error.hpp>     // Reason
#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/core/shape.hpp>     // Index

// BitWriter and BitReader: packed whole numbers. Little-endian, lowest bit first, without gaps
// inside a section; a section ends with zero bits up to the next byte.

namespace splitvit::inline SPLITVIT_BUILD {

/// How many bits tell `count` >= 1 things apart: ceil(log2 count).
inline int bits_for(Index count) {
  return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(count) - 1));
}

/// How many bytes a section of `count` numbers of `bits` bits takes.
inline std::size_t packed_bytes(Index count, int bits) {
  return (static_cast<std::size_t>(count) * static_cast<std::size_t>(bits) + 7) / 8;
}

/// Numbers for one thread, at least; a multiple of eight.
inline constexpr Index numbers_a_piece = 1 << 14;

/// Appends one section to a vector of bytes; `finish` ends it.
class BitWriter {
 public:
  explicit BitWriter(std::vector<std::byte>& out) : out_{&out} {}

  /// The lowest `bits` (0..32) bits of `value`; the others must be zero.
  void put(std::uint32_t value, int bits) {
    waiting_ |= std::uint64_t{value} << filled_;
    filled_ += bits;
    if (filled_ < 32) return;
    out_->resize(out_->size() + 4);
    store_word(out_->data() + out_->size() - 4);
  }

  /// `count` ones and a zero.
  void put_unary(Index count) {
    for (; count >= 32; count -= 32) put(0xFFFFFFFFu, 32);
    put(static_cast<std::uint32_t>((std::uint64_t{1} << count) - 1), static_cast<int>(count));
    put(0, 1);
  }

  /// Many numbers of 1..32 bits each.
  template <class Unsigned>
  void put_all(std::span<const Unsigned> values, int bits) {
    append_whole_bytes();
    // Eight numbers that begin with a byte end with one: several threads can write such groups.
    const std::size_t eights = filled_ == 0 ? values.size() / 8 * 8 : 0;
    const std::size_t begin = out_->size(), each = static_cast<std::size_t>(bits);
    out_->resize(begin + eights * each / 8);
    std::byte* const to = out_->data() + begin;
    parallel_for(static_cast<Index>(eights), numbers_a_piece, [&](Index first, Index last) {
      const auto at = static_cast<std::size_t>(first);
      BitWriter own{*out_};
      own.pack(values.subspan(at, static_cast<std::size_t>(last) - at), bits, to + at * each / 8);
    });
    const std::size_t rest = values.size() - eights;
    const std::size_t end = out_->size();
    out_->resize(end + (static_cast<std::size_t>(filled_) + rest * each) / 8);
    pack(values.subspan(eights), bits, out_->data() + end);
  }

  /// Fills the last byte with zeros. The writer can then begin another section.
  void finish() {
    append_whole_bytes();
    if (filled_ > 0) out_->push_back(static_cast<std::byte>(waiting_));
    waiting_ = 0;
    filled_ = 0;
  }

 private:
  void append_whole_bytes() {
    for (; filled_ >= 8; filled_ -= 8, waiting_ >>= 8)
      out_->push_back(static_cast<std::byte>(waiting_ & 0xFF));
  }

  /// Writes what waits and then `values`, as many whole bytes as they fill. The rest waits.
  template <class Unsigned>
  void pack(std::span<const Unsigned> values, int bits, std::byte* to) {
    for (const Unsigned value : values) {
      waiting_ |= std::uint64_t{value} << filled_;
      filled_ += bits;
      if (filled_ < 32) continue;
      store_word(to);
      to += 4;
    }
    for (; filled_ >= 8; filled_ -= 8, waiting_ >>= 8)
      *to++ = static_cast<std::byte>(waiting_ & 0xFF);
  }

  /// Writes the lowest 32 bits that wait.
  void store_word(std::byte* to) {
    const auto word = static_cast<std::uint32_t>(waiting_);
    const auto bytes =
        detail::little_endian<std::uint32_t>(std::bit_cast<std::array<std::byte, 4>>(word));
    std::memcpy(to, bytes.data(), bytes.size());
    waiting_ >>= 32;
    filled_ -= 32;
  }

  std::vector<std::byte>* out_;
  std::uint64_t waiting_ = 0;  // bits that were not appended yet, lowest first
  int filled_ = 0;             // how many they are, below 32 between calls
};

/// Takes one section from the bytes that are left of a message; `finish` ends it.
///
/// Errors  WireError: truncated when fewer bits are left than asked for, malformed when a
///         padding bit is not zero.
class BitReader {
 public:
  /// Reads where `from` stands, which must outlive the reader and move only by `finish`.
  explicit BitReader(ByteReader& from) : from_{&from} {
    ByteReader ahead = from;
    bytes_ = ahead.get_bytes(ahead.left());
  }

  /// Refuses unless `count` numbers of `bits` bits are left: to be asked before taking memory.
  void require(Index count, int bits) const {
    const std::size_t left = 8 * (bytes_.size() - next_) + static_cast<std::size_t>(filled_);
    // Divided, not multiplied: a hostile count must not overflow.
    if (bits > 0 && static_cast<std::size_t>(count) > left / static_cast<std::size_t>(bits))
      from_->refuse(Reason::truncated, {left, " bits for ", count, " numbers of ", bits, " bits"});
  }

  /// A number of 0..32 bits.
  std::uint32_t get(int bits) {
    if (filled_ < bits) refill();
    if (filled_ < bits) require(1, bits);
    return take(bits);
  }

  /// How many ones come before the next zero, which is taken, too. Refuses more than `limit`.
  Index get_unary(Index limit) {
    Index ones = 0;
    for (; get(1) == 1; ++ones)
      if (ones == limit) from_->refuse(Reason::malformed, {"a unary number above ", limit});
    return ones;
  }

  /// Many numbers of 1..32 bits each.
  template <class Unsigned>
  void get_all(std::span<Unsigned> values, int bits) {
    require(static_cast<Index>(values.size()), bits);
    if (filled_ % 8 == 0) {  // several threads, as BitWriter does it
      next_ -= static_cast<std::size_t>(filled_ / 8);
      waiting_ = 0;
      filled_ = 0;
      const std::size_t eights = values.size() / 8 * 8, each = static_cast<std::size_t>(bits);
      parallel_for(static_cast<Index>(eights), numbers_a_piece, [&](Index first, Index last) {
        const auto at = static_cast<std::size_t>(first);
        BitReader own = *this;
        own.next_ += at * each / 8;
        own.unpack(values.subspan(at, static_cast<std::size_t>(last) - at), bits);
      });
      next_ += eights * each / 8;
      values = values.subspan(eights);
    }
    unpack(values, bits);
  }

  /// The rest of the last byte must be zero. What was read is now taken from the message.
  void finish() {
    const std::size_t used = next_ - static_cast<std::size_t>(filled_ / 8);
    if (take(filled_ % 8) != 0)
      from_->refuse(Reason::malformed, {"padding bits that are not zero"});
    from_->get_bytes(used);
    bytes_ = bytes_.subspan(used);
    next_ = 0;
    waiting_ = 0;
    filled_ = 0;
  }

 private:
  template <class Unsigned>
  void unpack(std::span<Unsigned> values, int bits) {
    for (Unsigned& value : values) {
      if (filled_ < bits) refill();
      value = static_cast<Unsigned>(take(bits));
    }
  }

  /// Has more than 32 bits wait, if as many are there.
  void refill() {
    if (bytes_.size() - next_ >= 4) {
      waiting_ |= std::uint64_t{word()} << filled_;
      next_ += 4;
      filled_ += 32;
      return;
    }
    for (; next_ < bytes_.size() && filled_ <= 56; ++next_, filled_ += 8)
      waiting_ |= std::to_integer<std::uint64_t>(bytes_[next_]) << filled_;
  }

  std::uint32_t word() const {
    std::array<std::byte, 4> bytes;
    std::memcpy(bytes.data(), bytes_.data() + next_, bytes.size());
    return std::bit_cast<std::uint32_t>(detail::little_endian<std::uint32_t>(bytes));
  }

  std::uint32_t take(int bits) {
    const auto value = static_cast<std::uint32_t>(waiting_ & ((std::uint64_t{1} << bits) - 1));
    waiting_ >>= bits;
    filled_ -= bits;
    return value;
  }

  ByteReader* from_;
  std::span<const std::byte> bytes_;  // all that was left when the section began
  std::size_t next_ = 0;              // the first byte that does not wait yet
  std::uint64_t waiting_ = 0;
  int filled_ = 0;  // how many bits wait
};

}  // namespace splitvit::inline SPLITVIT_BUILD
