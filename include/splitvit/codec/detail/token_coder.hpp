// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, fill, max, min
#include <bit>        // bit_width, countl_zero

#include <splitvit/codec/detail/coded_streams.hpp>  // get_streams, put_streams, SymbolsSeen
#include <splitvit/codec/detail/range_coder.hpp>    // RangeDecoder, RangeEncoder
#include <splitvit/codec/detail/symbol_counts.hpp>  // alphabet, SymbolTable
#include <splitvit/codec/detail/token_model.hpp>    // TokenContexts, TokenModel
#include <splitvit/core/bytes.hpp>                  // ByteReader
#include <splitvit/core/shape.hpp>                  // Index, Shape

// Whole numbers (B, N, R) as bytes. Components come by descending size, so a token says first in
// how many groups of them it has numbers other than zero; then come the magnitudes in these groups,
// with their signs. Samples are divided among streams, which threads code side by side.

namespace splitvit::inline SPLITVIT_BUILD::codec::detail {

/// Codes samples one after the other. Coder is RangeEncoder or RangeDecoder; the numbers are read,
/// or written in zeros.
template <class Coder>
class TokenCoder {
 public:
  /// `above`: the token so many places before is a neighbour, too.
  TokenCoder(Coder& coder, const TokenModel& model, Index N, Index R, Index above,
             SymbolsSeen& seen)
      : coder_{coder},
        tables_{model.tables},
        seen_{seen},
        N_{N},
        R_{R},
        above_{above},
        group_size_{
            std::max<Index>(1, (R + TokenContexts::most_groups - 1) / TokenContexts::most_groups)},
        scales_(model.sizes.size()),
        magnitudes_(static_cast<std::size_t>((N + 1) * R)),
        groups_(static_cast<std::size_t>(N)) {
    for (std::size_t j = 0; j < scales_.size(); ++j) {
      // Large numbers: only the upper bits depend on the context.
      const auto shift = std::clamp(static_cast<int>(std::bit_width(model.sizes[j])) - 12, 0, 24);
      scales_[j] = {
          static_cast<std::uint8_t>(shift),
          static_cast<std::uint8_t>(std::clamp(level_of(model.sizes[j] >> shift) - 8, 0, 15))};
    }
  }

  /// values (N, R)
  void sample(std::int32_t* values) {
    for (Index t = 0; t < N_; ++t) token(t, values + t * R_);
  }

 private:
  struct Scale {
    std::uint8_t shift, bin;
  };

  void token(Index t, std::int32_t* row) {
    // Row 0 of magnitudes_ is zero: tokens outside.
    const auto magnitudes_of = [&](Index token) {
      return magnitudes_.data() + std::max<Index>(token + 1, 0) * R_;
    };
    const Index other = t > above_ ? t - above_ : -1;
    const std::uint16_t *const left = magnitudes_of(t - 1), *const up = magnitudes_of(other);
    std::uint16_t* const own = magnitudes_.data() + (t + 1) * R_;
    const Scale* const scales = scales_.data() + (t == 0 ? 0 : R_);
    std::uint64_t* const sums = seen_.sums.data() + (t == 0 ? 0 : R_);

    const Index groups = code_groups(t, other < 0 ? t - 1 : other, row);
    const Index end = std::min(groups * group_size_, R_), last = (groups - 1) * group_size_;
    std::uint32_t recent = 0;
    for (Index j = 0; j < end; ++j) {
      const std::size_t context = TokenContexts::magnitude(
          j >= last, scales[j].bin, static_cast<unsigned>(left[j]) + up[j], recent);
      const std::int32_t value = code_value(context, scales[j].shift, row[j]);
      const std::uint32_t size = magnitude(value);
      own[j] = static_cast<std::uint16_t>(std::min(size >> scales[j].shift, alphabet - 1));
      recent = TokenContexts::with_recent(recent, own[j]);
      if (value == 0) continue;
      if constexpr (Coder::decodes) row[j] = value;
      sums[j] += size;
      seen_.mix(static_cast<std::uint64_t>(j) << 32 | static_cast<std::uint32_t>(value));
    }
    std::fill(own + end, own + R_, std::uint16_t{0});
  }

  Index code_groups(Index t, Index other, const std::int32_t* row) {
    using C = TokenContexts;
    unsigned groups = 0;
    if constexpr (!Coder::decodes) {
      Index end = R_;
      while (end > 0 && row[end - 1] == 0) --end;
      groups = static_cast<unsigned>((end + group_size_ - 1) / group_size_);
    }
    const std::size_t context =
        t == 0 ? alphabet : (groups_[index(t - 1)] + groups_[index(other)]) / 2 / C::groups_a_table;
    const unsigned upper = code(C::upper + context, groups / C::groups_a_table);
    const unsigned lower = code(C::lower + upper, groups % C::groups_a_table);
    groups = upper * C::groups_a_table + lower;
    if (lower >= C::groups_a_table || (groups > 0 && (groups - 1) * group_size_ >= R_)) {
      seen_.sound = false;
      groups = 0;
    }
    groups_[index(t)] = groups;
    seen_.mix(groups);
    return groups;
  }

  /// The upper bits of the magnitude in context, the lower ones and the sign as they are.
  std::int32_t code_value(std::size_t context, int shift, std::int32_t value) {
    constexpr std::uint32_t escape = alphabet - 1;
    const std::uint32_t size = Coder::decodes ? 0 : magnitude(value);
    std::uint32_t upper = code(context, std::min(size >> shift, escape));
    if (upper == escape) {  // beyond the table: how many bits, and the bits
      const std::uint32_t beyond = (size >> shift) - escape + 1;
      const int width = static_cast<int>(coder_.bits(5, Coder::decodes ? 0u : bits_of(beyond) - 1));
      if (width > 24) {
        seen_.sound = false;
        return 0;
      }
      const std::uint32_t top = 1u << width;
      upper = escape - 1 + (top | coder_.bits(width, Coder::decodes ? 0 : beyond - top));
    }
    const std::uint64_t whole = std::uint64_t{upper} << shift |
                                (shift > 0 ? coder_.bits(shift, size & ((1u << shift) - 1)) : 0);
    if (whole == 0) return 0;
    const bool negative = coder_.bits(1, value < 0 ? 1u : 0u) != 0;
    if (whole > largest_number) {
      seen_.sound = false;
      return 0;
    }
    return negative ? -static_cast<std::int32_t>(whole) : static_cast<std::int32_t>(whole);
  }

  unsigned code(std::size_t context, unsigned symbol) {
    const unsigned coded = coder_.symbol(tables_[context], symbol);
    ++seen_.counts[context][coded];
    return coded;
  }

  static std::uint32_t magnitude(std::int32_t value) {
    return static_cast<std::uint32_t>(value < 0 ? -value : value);
  }
  static std::uint32_t bits_of(std::uint32_t number) {
    return static_cast<std::uint32_t>(std::numeric_limits<std::uint32_t>::digits -
                                      std::countl_zero(number));
  }
  static std::size_t index(Index i) { return static_cast<std::size_t>(i); }

  Coder& coder_;
  std::span<const SymbolTable> tables_;
  SymbolsSeen& seen_;
  Index N_, R_, above_, group_size_;
  std::vector<Scale> scales_;              // (2, R)
  std::vector<std::uint16_t> magnitudes_;  // (N + 1, R) of the sample, at most 15
  std::vector<unsigned> groups_;           // (N) of the sample
};

/// Samples, tokens and components of some numbers, and how they are divided among streams.
struct TokenLayout {
  Index B, N, R;
  Index above;    ///< neighbours in a square grid of N - 1 tokens, else the token before the last
  Index streams;  ///< of consecutive samples

  /// Tokens of a shape (..., N, D), or (N, D), with R components.
  TokenLayout(const Shape& shape, Index R_) : R{R_} {
    const Index rows = shape.rows();
    N = std::max<Index>(1, shape.rank() < 2 ? 1 : shape[shape.rank() - 2]);
    B = rows / N;
    Index side = 1;
    while ((side + 1) * (side + 1) < N) ++side;
    above = side > 1 && side * side == N - 1 ? side : 2;
    streams = stream_count(rows * R, B);
    if (R == 0) streams = 0;
  }

  Index first_sample(Index stream) const { return stream * B / streams; }
};

/// Codes the samples of a stream.
template <class Coder>
void code_stream(Coder& coder, const TokenModel& model, const TokenLayout& of, Index stream,
                 std::int32_t* values, SymbolsSeen& seen) {
  TokenCoder<Coder> samples{coder, model, of.N, of.R, of.above, seen};
  for (Index b = of.first_sample(stream); b < of.first_sample(stream + 1); ++b)
    samples.sample(values + b * of.N * of.R);
}

/// Appends the streams of values (B, N, R).
inline SymbolsSeen put_tokens(const TokenModel& model, const TokenLayout& layout,
                              std::int32_t* values, std::vector<std::byte>& out) {
  return put_streams(layout.streams, TokenModel::nothing(layout.R), out,
                     [&](RangeEncoder& coder, Index stream, SymbolsSeen& seen) {
                       code_stream(coder, model, layout, stream, values, seen);
                     });
}

/// Reads what put_tokens wrote, into zeros. Errors  As get_streams.
inline SymbolsSeen get_tokens(ByteReader& reader, const TokenModel& model,
                              const TokenLayout& layout, std::int32_t* values) {
  return get_streams(reader, layout.streams, TokenModel::nothing(layout.R),
                     [&](RangeDecoder& coder, Index stream, SymbolsSeen& seen) {
                       code_stream(coder, model, layout, stream, values, seen);
                     });
}

}  // namespace splitvit::inline SPLITVIT_BUILD::codec::detail
