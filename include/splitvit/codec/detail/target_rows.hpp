// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min
#include <cmath>      // abs, floor, isfinite, signbit
#include <cstddef>    // size_t
#include <cstdint>    // uint8_t, uint16_t, uint32_t
#include <optional>   // nullopt, optional
#include <span>       // span
#include <string>     // string, to_string

#include <splitvit/core/bytes.hpp>      // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>      // WireError
#include <splitvit/core/shape.hpp>      // Index
#include <splitvit/core/workspace.hpp>  // RecycledVector

// What targets.hpp needs to know about a single row of targets. Letter: C classes.

namespace splitvit::codec::detail {

inline constexpr double target_sum_tolerance = 1e-4;
inline constexpr Index most_per_row = 65535;

inline Index id_bytes(Index C) { return C <= 256 ? 1 : C <= 65536 ? 2 : 4; }

inline void put_id(ByteWriter& out, Index id, Index C) {
  switch (id_bytes(C)) {
    case 1:
      return out.put(static_cast<std::uint8_t>(id));
    case 2:
      return out.put(static_cast<std::uint16_t>(id));
    default:
      return out.put(static_cast<std::uint32_t>(id));
  }
}

/// Errors  WireError (malformed) for an id that does not exist.
inline Index get_id(ByteReader& in, Index C) {
  const Index width = id_bytes(C);
  const Index id = width == 1   ? Index{in.get<std::uint8_t>()}
                   : width == 2 ? Index{in.get<std::uint16_t>()}
                                : static_cast<Index>(in.get<std::uint32_t>());
  if (id >= C)
    throw WireError(Reason::malformed,
                    "targets: class " + std::to_string(id) + " of " + std::to_string(C));
  return id;
}

/// An empty text if a row is a set of probabilities, else what is wrong with it.
template <class T>
std::string fault_of(std::span<const T> row) {
  double sum = 0.0;
  for (const T value : row) {
    if (!std::isfinite(value) || value < T{0})
      return "probability " + std::to_string(value) + ", wanted finite and not negative";
    sum += static_cast<double>(value);
  }
  if (std::abs(sum - 1.0) <= target_sum_tolerance) return {};
  return "probabilities that sum to " + std::to_string(sum) + ", wanted 1";
}

/// An entry that is not +0 in every bit.
template <class T>
struct Entry {
  Index id;
  T value;
};

template <class T>
RecycledVector<Entry<T>> entries_of(std::span<const T> row) {
  RecycledVector<Entry<T>> entries;
  for (std::size_t c = 0; c < row.size(); ++c)
    if (row[c] != T{0} || std::signbit(row[c])) entries.push_back({static_cast<Index>(c), row[c]});
  return entries;
}

/// How often a class must come in a list of m so that its share is `value` in every bit; 0 if
/// no number does it.
template <class T>
Index count_of(T value, Index m) {
  const auto count =
      static_cast<Index>(std::floor(static_cast<double>(value) * static_cast<double>(m) + 0.5));
  return count >= 1 && static_cast<T>(count) / static_cast<T>(m) == value ? count : 0;
}

/// The length of the shortest class list that rebuilds a row in every bit, if one of at most
/// `longest` ids does.
template <class T>
std::optional<Index> list_length(const RecycledVector<Entry<T>>& entries, Index longest) {
  for (auto m = static_cast<Index>(entries.size()); m <= std::min(longest, most_per_row); ++m) {
    Index sum = 0;
    for (const Entry<T>& entry : entries) {
      const Index count = count_of(entry.value, m);
      if (count == 0) {
        sum = 0;
        break;
      }
      sum += count;
    }
    if (sum == m) return m;
  }
  return std::nullopt;
}

/// The lengths of all rows' lists, if the whole form takes at most `budget` bytes.
template <class T>
std::optional<RecycledVector<Index>> list_lengths(
    const RecycledVector<RecycledVector<Entry<T>>>& rows, Index C, Index budget) {
  RecycledVector<Index> lengths;
  Index left = budget - 1 - 2 * static_cast<Index>(rows.size());
  for (const auto& entries : rows) {
    const auto length = list_length(entries, left / id_bytes(C));
    if (left < 0 || !length) return std::nullopt;
    left -= *length * id_bytes(C);
    lengths.push_back(*length);
  }
  return lengths;
}

}  // namespace splitvit::codec::detail
