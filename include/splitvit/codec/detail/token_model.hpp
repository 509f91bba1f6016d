// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // fill_n, min
#include <bit>        // bit_width

#include <splitvit/codec/detail/coded_streams.hpp>  // SymbolsSeen
#include <splitvit/codec/detail/symbol_counts.hpp>  // geometric_counts, SymbolCounts, table_of
#include <splitvit/core/shape.hpp>                  // Index
#include <splitvit/core/state.hpp>                  // show_numbers

// In which context each symbol of a token is coded, and what both sides learn from a message.
// Letter: R components of a token.

namespace splitvit::inline SPLITVIT_BUILD::codec::detail {

/// No number has a magnitude above it: all are exact as float.
inline constexpr std::int32_t largest_number = 1 << 24;

/// Mean magnitudes, in units of 1/1024, as half octaves.
inline constexpr int levels = 70;
inline int level_of(std::uint64_t size) {
  const int width = static_cast<int>(std::bit_width(size));
  return width < 2 ? 0 : 2 * (width - 1) + static_cast<int>(size >> (width - 2) & 1);
}
inline std::uint64_t size_of_level(int level) {
  return std::uint64_t(2 + level % 2) << (level / 2) >> 1;
}

/// The context of a symbol, as an index of a table.
struct TokenContexts {
  static constexpr std::size_t scales = 16, neighbours = 5, recents = 7;

  // Of magnitudes: whether the component is in the token's last group, how large it usually is, how
  // large it was in two earlier tokens, and how large the components before it are.
  static constexpr std::size_t magnitudes = 2 * scales * neighbours * recents;
  static std::size_t magnitude(bool in_last_group, std::size_t scale, unsigned near,
                               std::uint32_t recent) {
    static constexpr std::array<std::uint8_t, 2 * alphabet> class_of_sum{
        0, 1, 2, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
        4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4};
    const auto before = std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(recent)), 6);
    return ((in_last_group * scales + scale) * neighbours + class_of_sum[near]) * recents + before;
  }
  /// The recent magnitudes of a token, weighted by 1, 3/4, 9/16, ...
  static std::uint32_t with_recent(std::uint32_t recent, std::uint32_t magnitude) {
    return recent - recent / 4 + 4 * magnitude;
  }

  // Of the number of groups: its upper part after the mean of two earlier tokens, and its lower two
  // bits after the upper part. The first token of a sample is apart.
  static constexpr unsigned groups_a_table = 4, most_groups = 63;
  static constexpr std::size_t upper = magnitudes, lower = upper + alphabet + 1;
  static constexpr std::size_t count = lower + alphabet;
};

/// What both sides know from earlier messages.
struct TokenModel {
  std::vector<SymbolCounts> counts;  ///< by context
  std::vector<SymbolTable> tables;   ///< of these counts
  std::vector<std::uint64_t> sizes;  ///< (2, R) mean magnitudes in units of 1/1024

  /// Before the first message: numbers of all contexts fall off geometrically.
  static const TokenModel& initial() {
    static const TokenModel model = [] {
      using C = TokenContexts;
      TokenModel made;
      made.counts.resize(C::count);
      for (std::size_t c = 0; c < C::magnitudes; ++c) {
        const auto recent = (std::uint64_t{1} << (c % C::recents)) * 64;
        const auto near = (c / C::recents % C::neighbours) * 512;
        const std::uint64_t scale =
            size_of_level(static_cast<int>(c / (C::recents * C::neighbours) % C::scales) + 8);
        made.counts[c] = geometric_counts((2 * scale + near + recent) / 4);
      }
      for (std::size_t c = C::upper; c < C::count; ++c)
        std::fill_n(made.counts[c].begin(), c < C::lower ? alphabet : C::groups_a_table, 1u);
      made.tables = tables_of(made.counts);
      return made;
    }();
    return model;
  }

  /// Before the symbols of a message with so many components: sums for first and other tokens.
  static SymbolsSeen nothing(Index components) {
    return {TokenContexts::count, 2 * static_cast<std::size_t>(components)};
  }

  bool fits(Index components) const {
    return counts.size() == TokenContexts::count &&
           sizes.size() == 2 * static_cast<std::size_t>(components);
  }

  /// Learns from a message with so many first tokens and other tokens.
  void learn(const SymbolsSeen& seen, std::uint64_t first, std::uint64_t others) {
    for (std::size_t c = 0; c < counts.size(); ++c)
      if (add_counts(counts[c], seen.counts[c])) tables[c] = table_of(counts[c]);
    for (std::size_t j = 0; j < sizes.size(); ++j) {
      const std::uint64_t tokens = j < sizes.size() / 2 ? first : others;
      if (tokens > 0) sizes[j] = (sizes[j] + (seen.sums[j] * 1024 + tokens / 2) / tokens) / 2;
    }
  }

  /// See core/state.hpp.
  void each_state(auto&& see, const std::string& prefix) {
    show_counts(see, prefix + "counts", counts, tables);
    show_numbers(see, prefix + "sizes", sizes);
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec::detail
