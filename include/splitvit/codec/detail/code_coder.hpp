// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min

#include <splitvit/codec/detail/coded_streams.hpp>  // get_streams, put_streams, SymbolsSeen
#include <splitvit/codec/detail/range_coder.hpp>    // alphabet, RangeDecoder, RangeEncoder
#include <splitvit/codec/detail/symbol_counts.hpp>  // SymbolCounts, SymbolTable, table_of
#include <splitvit/core/bytes.hpp>                  // ByteReader
#include <splitvit/core/shape.hpp>                  // Index
#include <splitvit/core/state.hpp>                  // show_numbers

// A quantiser's codes (M, W) as bytes: the upper four bits of each in a context of what is usual in
// its column and of the codes above it, the other bits as they are.

namespace splitvit::inline SPLITVIT_BUILD::codec::detail {

/// What both sides know from earlier messages.
struct CodeModel {
  // Of an upper part: the column's mean, that of the row before, and whether that of another
  // earlier row is below it, equal or above it.
  static constexpr std::size_t contexts = alphabet * alphabet * 3;
  static std::size_t context(unsigned mean, unsigned before, unsigned other) {
    return (mean * alphabet + before) * 3 + (other < before ? 0u : other == before ? 1u : 2u);
  }

  std::vector<SymbolCounts> counts;  ///< by context
  std::vector<SymbolTable> tables;   ///< of these counts
  std::vector<std::uint64_t> means;  ///< (W) of upper parts, in units of 1/1024

  /// Before the first message, with the means of its columns (W) in units of 1/16: codes of `bits`
  /// bits lie near the mean and the code above.
  static CodeModel initial(std::span<const std::uint8_t> columns, int bits) {
    CodeModel model{.counts = std::vector<SymbolCounts>(contexts), .tables = {}, .means = {}};
    for (std::size_t c = 0; c < contexts; ++c) {
      const auto centre = (c / (3 * alphabet) + c / 3 % alphabet) / 2;
      for (std::size_t s = 0; s < std::size_t{1} << std::min(bits, 4); ++s)
        model.counts[c][s] =
            1 + (32u >> std::min<std::size_t>(s < centre ? centre - s : s - centre, 5));
    }
    model.tables = tables_of(model.counts);
    for (const std::uint8_t mean : columns) model.means.push_back(std::uint64_t{mean} * 64);
    return model;
  }

  bool fits(Index W) const {
    return counts.size() == contexts && means.size() == static_cast<std::size_t>(W);
  }

  /// Learns from a message of M rows.
  void learn(const SymbolsSeen& seen, Index M) {
    for (std::size_t c = 0; c < contexts; ++c)
      if (add_counts(counts[c], seen.counts[c])) tables[c] = table_of(counts[c]);
    const auto rows = static_cast<std::uint64_t>(M);
    for (std::size_t w = 0; w < means.size() && M > 0; ++w)
      means[w] = (means[w] + seen.sums[w] * 1024 / rows) / 2;
  }

  /// See core/state.hpp.
  void each_state(auto&& see, const std::string& prefix) {
    show_counts(see, prefix + "counts", counts, tables);
    show_numbers(see, prefix + "means", means);
  }
};

/// Codes of `bits` bits, 1..16. Streams are runs of rows.
struct CodeLayout {
  Index M, W;
  int bits;
  Index above;  ///< how many rows before another one is a neighbour, too
  Index streams = stream_count(M * W, M);

  Index first_row(Index stream) const { return stream * M / streams; }
};

/// The means of the columns' upper parts, in units of 1/16.
inline std::vector<std::uint8_t> column_means(const CodeLayout& of, const std::uint16_t* codes) {
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(of.W));
  for (Index i = 0; i < of.M * of.W; ++i)
    sums[static_cast<std::size_t>(i % of.W)] += unsigned{codes[i]} >> std::max(of.bits - 4, 0);
  std::vector<std::uint8_t> means;
  for (const std::uint64_t sum : sums)
    means.push_back(static_cast<std::uint8_t>(
        sum * 16 / std::max<std::uint64_t>(1, static_cast<std::uint64_t>(of.M))));
  return means;
}

/// Codes the rows of one stream.
template <class Coder>
void code_rows(Coder& coder, const CodeModel& model, const CodeLayout& of, Index stream,
               std::uint16_t* codes, SymbolsSeen& seen) {
  const int lower_bits = std::max(of.bits - 4, 0);
  const unsigned mask = (1u << lower_bits) - 1, most = (1u << (of.bits - lower_bits)) - 1;
  std::vector<std::uint8_t> means;
  for (const std::uint64_t mean : model.means)
    means.push_back(
        static_cast<std::uint8_t>(std::min<std::uint64_t>((mean + 512) / 1024, alphabet - 1)));
  const Index first = of.first_row(stream), end = of.first_row(stream + 1);
  for (Index row = first; row < end; ++row) {
    std::uint16_t* const own = codes + row * of.W;
    const std::uint16_t* const before = row > first ? own - of.W : nullptr;
    const std::uint16_t* const other = row - of.above >= first ? own - of.above * of.W : before;
    for (Index w = 0; w < of.W; ++w) {
      const unsigned mean = means[static_cast<std::size_t>(w)];
      const unsigned near = before == nullptr ? mean : unsigned{before[w]} >> lower_bits;
      const unsigned far = other == nullptr ? mean : unsigned{other[w]} >> lower_bits;
      const std::size_t context = CodeModel::context(mean, near, far);
      unsigned upper = coder.symbol(model.tables[context], unsigned{own[w]} >> lower_bits);
      ++seen.counts[context][upper];
      if (upper > most) {
        seen.sound = false;
        upper = 0;
      }
      seen.sums[static_cast<std::size_t>(w)] += upper;
      const unsigned lower = lower_bits == 0 ? 0 : coder.bits(lower_bits, own[w] & mask);
      const unsigned code = upper << lower_bits | lower;
      seen.mix(code);
      if constexpr (Coder::decodes) own[w] = static_cast<std::uint16_t>(code);
    }
  }
}

/// Appends the streams of codes (M, W).
inline SymbolsSeen put_code_streams(const CodeModel& model, const CodeLayout& layout,
                                    std::uint16_t* codes, std::vector<std::byte>& out) {
  return put_streams(layout.streams, {CodeModel::contexts, static_cast<std::size_t>(layout.W)}, out,
                     [&](RangeEncoder& coder, Index stream, SymbolsSeen& seen) {
                       code_rows(coder, model, layout, stream, codes, seen);
                     });
}

/// Reads what put_code_streams wrote, into zeros. Errors  As get_streams.
inline SymbolsSeen get_code_streams(ByteReader& reader, const CodeModel& model,
                                    const CodeLayout& layout, std::uint16_t* codes) {
  return get_streams(reader, layout.streams,
                     {CodeModel::contexts, static_cast<std::size_t>(layout.W)},
                     [&](RangeDecoder& coder, Index stream, SymbolsSeen& seen) {
                       code_rows(coder, model, layout, stream, codes, seen);
                     });
}

}  // namespace splitvit::inline SPLITVIT_BUILD::codec::detail
