// SPDX-License-Identifier: MIT
#pragma once

#include <numeric>  // iota

#include <splitvit/core/bits.hpp>   // bits_for, BitReader, BitWriter, packed_bytes
#include <splitvit/core/bytes.hpp>  // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>  // Reason
#include <splitvit/core/shape.hpp>  // Index

// Index sets: which `count` of n positions stay, for one or more sets of equal size, in the
// smallest of four forms.
//
//   u8 mode, then
//   0 all     nothing: count = n
//   1 bitmap  n bits a set
//   2 plain   u32 count; indices of ceil(log2 n) bits
//   3 rice    u32 count, u8 r (0..15); for each index the gap i_t - i_(t-1) - 1, i_(-1) = -1:
//             its quotient by 2^r as ones and a zero, then its r low bits

namespace splitvit::inline SPLITVIT_BUILD::codec::detail {

enum class IndexMode : std::uint8_t { all, bitmap, plain, rice };

/// How many positions lie between each index of a set and the one before.
template <class F>
void for_each_gap(std::span<const std::uint32_t> indices, Index count, const F& f) {
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const bool first = i % static_cast<std::size_t>(count) == 0;
    f(first ? indices[i] : indices[i] - indices[i - 1] - 1);
  }
}

/// The Rice parameter with which the gaps take the fewest bits, lowest first, and those bits.
inline std::pair<int, std::uint64_t> best_rice(std::span<const std::uint32_t> indices,
                                               Index count) {
  std::array<std::uint64_t, 16> quotients{};
  for_each_gap(indices, count, [&](std::uint32_t gap) {
    for (std::size_t r = 0; r < quotients.size(); ++r) quotients[r] += gap >> r;
  });
  int best = 0;
  const auto bits = [&](int r) {
    return quotients[static_cast<std::size_t>(r)] +
           indices.size() * (static_cast<std::size_t>(r) + 1);
  };
  for (int r = 1; r < 16; ++r)
    if (bits(r) < bits(best)) best = r;
  return {best, bits(best)};
}

/// Sets of a size that the four forms can hold.
inline bool are_index_sets(Index sets, Index count, Index n) {
  return sets >= 0 && count >= 1 && count <= n &&
         n <= Index{std::numeric_limits<std::uint32_t>::max()} &&
         (sets == 0 || n <= std::numeric_limits<Index>::max() / sets);
}

inline void put_bitmaps(std::span<const std::uint32_t> indices, Index count, Index n,
                        std::vector<std::byte>& out) {
  const std::size_t begin = out.size(), each = static_cast<std::size_t>(count);
  out.resize(begin + packed_bytes(static_cast<Index>(indices.size()) / count * n, 1));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const std::size_t bit = i / each * static_cast<std::size_t>(n) + indices[i];
    out[begin + bit / 8] |= std::byte{1} << (bit % 8);
  }
}

inline void put_gaps(std::span<const std::uint32_t> indices, Index count, int r, BitWriter& bits) {
  for_each_gap(indices, count, [&](std::uint32_t gap) {
    const std::uint32_t quotient = gap >> r, low = gap & ((1u << r) - 1u);
    if (quotient < 16)  // all at once
      return bits.put(((1u << quotient) - 1u) | low << (quotient + 1),
                      static_cast<int>(quotient) + 1 + r);
    bits.put_unary(quotient);
    bits.put(low, r);
  });
}

/// Appends sets of `count` indices each, one after the other, each strictly ascending and
/// below n, in the smallest form (the first one of several).
///
/// Errors  std::invalid_argument unless 1 <= count <= n < 2^32 and there are whole sets.
inline void put_index_sets(std::span<const std::uint32_t> indices, Index count, Index n,
                           std::vector<std::byte>& out) {
  const auto total = static_cast<Index>(indices.size());
  if (count < 1 || total % count != 0 || !are_index_sets(total / count, count, n))
    throw std::invalid_argument("index sets: " + std::to_string(total) + " indices for sets of " +
                                std::to_string(count) + " of " + std::to_string(n) + " positions");
  ByteWriter writer{out};
  const auto begin = [&](IndexMode mode) { writer.put(static_cast<std::uint8_t>(mode)); };
  if (count == n) return begin(IndexMode::all);

  const auto [r, rice_bits] = best_rice(indices, count);
  const std::size_t bitmap = packed_bytes(total / count * n, 1);
  const std::size_t plain = 4 + packed_bytes(total, bits_for(n));
  const std::size_t rice = 5 + (rice_bits + 7) / 8;
  if (bitmap <= plain && bitmap <= rice) {
    begin(IndexMode::bitmap);
    return put_bitmaps(indices, count, n, out);
  }
  begin(plain <= rice ? IndexMode::plain : IndexMode::rice);
  writer.put(static_cast<std::uint32_t>(count));
  if (plain > rice) writer.put(static_cast<std::uint8_t>(r));
  BitWriter bits{out};
  if (plain <= rice)
    bits.put_all(indices, bits_for(n));
  else
    put_gaps(indices, count, r, bits);
  bits.finish();
}

/// Reads one set of a form into `own`; refuses indices that do not ascend or are not below n.
inline void get_bitmap(BitReader& bits, std::span<std::uint32_t> own, Index n,
                       const ByteReader& reader) {
  std::size_t found = 0;
  for (Index i = 0; i < n; ++i) {
    if (bits.get(1) == 0) continue;
    if (found == own.size())
      reader.refuse(Reason::malformed, {"index sets with too many bits in a bitmap"});
    own[found++] = static_cast<std::uint32_t>(i);
  }
  if (found != own.size())
    reader.refuse(Reason::malformed, {"index sets with too few bits in a bitmap"});
}
inline void get_plain(BitReader& bits, std::span<std::uint32_t> own, Index n,
                      const ByteReader& reader) {
  bits.get_all(own, bits_for(n));
  Index last = -1;
  for (const std::uint32_t index : own) {
    if (Index{index} <= last || Index{index} >= n)
      reader.refuse(Reason::malformed, {"index sets with an index out of order or too large"});
    last = index;
  }
}
inline void get_gaps(BitReader& bits, std::span<std::uint32_t> own, Index n, int r,
                     const ByteReader& reader) {
  Index next = 0;  // the lowest index that is possible
  for (std::uint32_t& index : own) {
    const Index largest_gap = n - 1 - next;
    if (largest_gap < 0)
      reader.refuse(Reason::malformed, {"index sets with more indices than are possible"});
    const Index quotient = bits.get_unary(largest_gap >> r);
    const Index gap = (quotient << r) + bits.get(r);
    if (gap > largest_gap)
      reader.refuse(Reason::malformed, {"index sets with an index that is too large"});
    index = static_cast<std::uint32_t>(next + gap);
    next += gap + 1;
  }
}

/// What put_index_sets wrote: `sets` sets of `count` indices of n positions, one after the other.
///
/// Errors  WireError for anything else: a mode that does not exist, another count, indices that
///         do not ascend or are not below n, bytes that end too early, padding that is not
///         zero. Takes 4 bytes of memory for each index, all of which the caller wants.
inline std::vector<std::uint32_t> get_index_sets(ByteReader& reader, Index sets, Index count,
                                                 Index n) {
  const auto refuse = [&](const std::string& text, Reason reason = Reason::malformed) {
    reader.refuse(reason, {"index sets with ", text});
  };
  if (!are_index_sets(sets, count, n))
    refuse(std::to_string(sets) + " times " + std::to_string(count) + " of " + std::to_string(n) +
               " positions",
           Reason::wrong_shape);
  const auto mode = static_cast<IndexMode>(reader.get<std::uint8_t>());
  if (mode > IndexMode::rice) refuse("mode " + std::to_string(static_cast<int>(mode)));
  if (mode == IndexMode::all && count != n) refuse("all positions, where some must be left out");
  if (mode == IndexMode::plain || mode == IndexMode::rice)
    if (const Index came = reader.get<std::uint32_t>(); came != count)
      refuse(std::to_string(came) + " indices a set, wanted " + std::to_string(count));
  const int r = mode == IndexMode::rice ? reader.get<std::uint8_t>() : 0;
  if (r > 15) refuse("Rice parameter " + std::to_string(r));

  // Before memory is taken: are there as many bits as are needed at least?
  BitReader bits{reader};
  if (mode == IndexMode::bitmap) bits.require(sets * n, 1);
  if (mode == IndexMode::plain) bits.require(sets * count, bits_for(n));
  if (mode == IndexMode::rice) bits.require(sets * count, r + 1);
  std::vector<std::uint32_t> indices(static_cast<std::size_t>(sets * count));
  for (Index set = 0; set < sets; ++set) {
    const std::span own{indices.data() + set * count, static_cast<std::size_t>(count)};
    if (mode == IndexMode::all) std::iota(own.begin(), own.end(), 0u);
    if (mode == IndexMode::bitmap) get_bitmap(bits, own, n, reader);
    if (mode == IndexMode::plain) get_plain(bits, own, n, reader);
    if (mode == IndexMode::rice) get_gaps(bits, own, n, r, reader);
  }
  bits.finish();
  return indices;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::codec::detail
