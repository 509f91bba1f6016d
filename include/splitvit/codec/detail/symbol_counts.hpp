// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max_element

#include <splitvit/codec/detail/range_coder.hpp>  // alphabet, probability_bits, SymbolTable
#include <splitvit/core/state.hpp>                // show_numbers

// How often each symbol was seen in each context, and the tables of probabilities that follow from
// it. Tables stand still within a message and are the same on every machine: all is whole numbers.

namespace splitvit::inline SPLITVIT_BUILD::codec::detail {

/// Of one context.
using SymbolCounts = std::array<std::uint32_t, alphabet>;

inline std::uint64_t sum_of(const SymbolCounts& counts) {
  std::uint64_t sum = 0;
  for (const std::uint32_t count : counts) sum += count;
  return sum;
}

/// Shares in proportion to the counts, at least 1 each. Without counts all are equal.
inline SymbolTable table_of(const SymbolCounts& counts) {
  constexpr std::uint32_t whole = 1u << probability_bits;
  const std::uint64_t sum = sum_of(counts);
  std::array<std::uint32_t, alphabet> share;
  std::uint32_t given = 0;
  for (std::size_t s = 0; s < alphabet; ++s)
    given += share[s] =
        sum == 0
            ? whole / alphabet
            : 1 + static_cast<std::uint32_t>(std::uint64_t{counts[s]} * (whole - alphabet) / sum);
  *std::max_element(share.begin(), share.end()) += whole - given;
  SymbolTable table;
  for (std::uint32_t s = 0, end = 0; s < alphabet; ++s)
    table[s] = static_cast<std::uint16_t>(end += share[s]);
  return table;
}

/// Counts of numbers whose probability falls by the same factor from one to the next. Their mean is
/// `mean` / 1024.
inline SymbolCounts geometric_counts(std::uint64_t mean) {
  constexpr int fraction = 16;  // bits
  SymbolCounts counts{};
  std::uint64_t count = std::uint64_t{128} << fraction;
  for (std::uint32_t& one : counts) {
    one = static_cast<std::uint32_t>(count >> fraction);
    count = count * mean / (mean + 1024);
  }
  return counts;
}

/// Adds what a message had, and returns whether it had anything. What came before counts for little
/// once it is much.
inline bool add_counts(SymbolCounts& counts, const SymbolCounts& seen) {
  constexpr std::uint64_t kept = 1u << 13, most = 1u << 24;
  const auto halvings = [](std::uint64_t sum, std::uint64_t limit) {
    int times = 0;
    for (; sum > limit; sum /= 2) ++times;
    return times;
  };
  const std::uint64_t added = sum_of(seen);
  if (added == 0) return false;
  const int before = halvings(sum_of(counts), kept), now = halvings(added, most);
  for (std::size_t s = 0; s < alphabet; ++s) counts[s] = (counts[s] >> before) + (seen[s] >> now);
  return true;
}

/// The tables of some contexts.
inline std::vector<SymbolTable> tables_of(std::span<const SymbolCounts> counts) {
  std::vector<SymbolTable> tables;
  tables.reserve(counts.size());
  for (const SymbolCounts& one : counts) tables.push_back(table_of(one));
  return tables;
}

/// Shows counts as state (core/state.hpp); their tables follow.
void show_counts(auto&& see, const std::string& name, std::vector<SymbolCounts>& counts,
                 std::vector<SymbolTable>& tables) {
  std::vector<std::uint32_t> flat;
  for (const SymbolCounts& one : counts) flat.insert(flat.end(), one.begin(), one.end());
  show_numbers(see, name, flat);
  counts.resize(flat.size() / alphabet);
  for (std::size_t i = 0; i < counts.size() * alphabet; ++i)
    counts[i / alphabet][i % alphabet] = flat[i];
  tables = tables_of(counts);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::codec::detail
