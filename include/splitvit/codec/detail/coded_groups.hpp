// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min

#include <splitvit/codec/detail/range_quantiser.hpp>  // Extremes, Range, quantise
#include <splitvit/core/bits.hpp>                     // BitReader, BitWriter
#include <splitvit/core/bytes.hpp>                    // ByteReader
#include <splitvit/core/error.hpp>                    // Reason
#include <splitvit/core/parallel.hpp>                 // parallel_for
#include <splitvit/core/shape.hpp>                    // Index, Shape
#include <splitvit/core/workspace.hpp>                // RecycledVector
#include <splitvit/tensor/tensor.hpp>                 // Tensor

// Coded groups: consecutive numbers that share a range and a width of codes. All groups of a tensor
// are quantised together; their codes follow each other in one section of bits. A group whose scale
// is 0 has no codes.

namespace splitvit::inline SPLITVIT_BUILD::codec::detail {

template <std::floating_point T>
struct CodedGroup {
  Index count = 0;  ///< numbers
  int bits = 8;     ///< of a code
  Range<T> range = {};

  bool has_codes() const { return count > 0 && range.scale != T{0}; }
};

/// A part of a group, small enough for one thread.
struct GroupPart {
  std::size_t group;
  Index value;  ///< index of its first number
  Index code;   ///< index of its first code
  Index count;
};

/// The groups' numbers in parts of at most numbers_a_piece.
template <class T>
RecycledVector<GroupPart> parts_of(std::span<const CodedGroup<T>> groups) {
  RecycledVector<GroupPart> parts;
  parts.reserve(groups.size());
  Index value = 0, code = 0;
  for (std::size_t g = 0; g < groups.size(); ++g)
    for (Index left = groups[g].count; left > 0;) {
      const Index count = std::min(left, numbers_a_piece);
      parts.push_back({g, value, code, count});
      value += count;
      code += groups[g].has_codes() ? count : 0;
      left -= count;
    }
  return parts;
}

/// Calls body(part) for all parts, on several threads.
template <class Body>
void for_each_part(const RecycledVector<GroupPart>& parts, const Body& body) {
  if (parts.empty()) return;
  const Index numbers = parts.back().value + parts.back().count;
  const auto count = static_cast<Index>(parts.size());
  parallel_for(count, std::max<Index>(1, count * numbers_a_piece / numbers),
               [&](Index begin, Index end) {
                 for (Index i = begin; i < end; ++i) body(parts[static_cast<std::size_t>(i)]);
               });
}

/// Sets the range of each group: from its least to its greatest number.
template <std::floating_point T>
void find_ranges(std::span<const T> values, std::span<CodedGroup<T>> groups) {
  const auto parts = parts_of<T>(groups);
  RecycledVector<Extremes<T>> ends(parts.size());
  for_each_part(parts, [&](const GroupPart& part) {
    ends[static_cast<std::size_t>(&part - parts.data())] = find_extremes(
        values.subspan(static_cast<std::size_t>(part.value), static_cast<std::size_t>(part.count)));
  });
  for (std::size_t i = 0; i < parts.size();) {
    CodedGroup<T>& group = groups[parts[i].group];
    Extremes<T> all = ends[i];
    for (const std::size_t g = parts[i].group; ++i < parts.size() && parts[i].group == g;)
      all = joined(all, ends[i]);
    group.range = range_between(all, group.bits);
  }
}

/// The codes of all numbers. `round(place, i)` rounds number i, see quantise.
template <std::floating_point T, class Round>
Tensor<std::uint16_t> quantise_groups(std::span<const T> values,
                                      std::span<const CodedGroup<T>> groups, const Round& round) {
  const auto parts = parts_of(groups);
  const Index codes_in_all =
      parts.empty()
          ? 0
          : parts.back().code + (groups[parts.back().group].has_codes() ? parts.back().count : 0);
  auto codes = Tensor<std::uint16_t>::uninitialised({codes_in_all});
  for_each_part(parts, [&](const GroupPart& part) {
    const CodedGroup<T>& group = groups[part.group];
    if (!group.has_codes()) return;
    const auto first = static_cast<std::size_t>(part.value);
    quantise<T>(values.subspan(first, static_cast<std::size_t>(part.count)), group.range,
                group.bits, codes.data() + part.code,
                [&](T place, std::size_t i) { return round(place, first + i); });
  });
  return codes;
}

/// The tensor of which quantise_groups made these codes.
template <std::floating_point T>
Tensor<T> dequantise_groups(const Tensor<std::uint16_t>& codes,
                            std::span<const CodedGroup<T>> groups, const Shape& shape) {
  auto x = Tensor<T>::uninitialised(shape);
  for_each_part(parts_of(groups), [&](const GroupPart& part) {
    const CodedGroup<T>& group = groups[part.group];
    dequantise<T>(codes.data() + part.code, group.range, group.bits,
                  {x.data() + part.value, static_cast<std::size_t>(part.count)});
  });
  return x;
}

/// Calls body(first code, count, bits) for each run of codes of one width.
template <class T, class Body>
void for_each_run(std::span<const CodedGroup<T>> groups, const Body& body) {
  Index begin = 0, count = 0;
  int bits = 0;
  const auto end_run = [&] {
    if (count > 0) body(begin, count, bits);
    begin += count;
    count = 0;
  };
  for (const CodedGroup<T>& group : groups) {
    if (!group.has_codes()) continue;
    if (group.bits != bits) end_run();
    bits = group.bits;
    count += group.count;
  }
  end_run();
}

/// How many codes all groups have.
template <class T>
Index code_count(std::span<const CodedGroup<T>> groups) {
  Index count = 0;
  for (const CodedGroup<T>& group : groups) count += group.has_codes() ? group.count : 0;
  return count;
}

/// Appends all codes, in their order, as one section.
template <class T>
void put_codes(const Tensor<std::uint16_t>& codes, std::span<const CodedGroup<T>> groups,
               std::vector<std::byte>& out) {
  BitWriter packed{out};
  for_each_run(groups, [&](Index begin, Index count, int bits) {
    packed.put_all(
        codes.span().subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)),
        bits);
  });
  packed.finish();
}

/// Reads what put_codes wrote.
///
/// Errors  WireError: malformed; truncated, before any memory is taken.
template <class T>
Tensor<std::uint16_t> get_codes(ByteReader& reader, std::span<const CodedGroup<T>> groups) {
  Index codes_in_all = 0, bits_left = static_cast<Index>(reader.left()) * 8;
  for_each_run(groups, [&](Index, Index count, int bits) {
    // Divided, not multiplied: a hostile count must not overflow.
    if (count > bits_left / bits)
      reader.refuse(Reason::truncated,
                    {bits_left, " bits for ", count, " codes of ", bits, " bits"});
    bits_left -= count * bits;
    codes_in_all += count;
  });
  auto codes = Tensor<std::uint16_t>::uninitialised({codes_in_all});
  BitReader packed{reader};
  for_each_run(groups, [&](Index begin, Index count, int bits) {
    packed.get_all(
        codes.span().subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)),
        bits);
  });
  packed.finish();
  return codes;
}

/// Quantises to the nearest codes and appends them.
template <std::floating_point T>
void put_coded(std::span<const T> values, std::span<const CodedGroup<T>> groups,
               std::vector<std::byte>& out) {
  put_codes(quantise_groups(values, groups, to_nearest), groups, out);
}
template <std::floating_point T>
Tensor<T> get_coded(ByteReader& reader, std::span<const CodedGroup<T>> groups, const Shape& shape) {
  return dequantise_groups(get_codes(reader, groups), groups, shape);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::codec::detail
