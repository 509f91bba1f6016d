// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, max, min
#include <cmath>      // ceil, floor
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint8_t, uint16_t
#include <span>       // span
#include <string>     // string, to_string
#include <vector>     // vector

#include <splitvit/codec/detail/packed_bits.hpp>      // BitReader, BitWriter
#include <splitvit/codec/detail/portable_math.hpp>    // log2_of
#include <splitvit/codec/detail/range_quantiser.hpp>  // Range, range_between, quantise
#include <splitvit/core/bytes.hpp>                    // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>                    // WireError
#include <splitvit/core/parallel.hpp>                 // parallel_for
#include <splitvit/tensor/tensor.hpp>                 // Tensor, TensorView

// Columns as bytes: wide ones with many bits, narrow ones by their mean. Letters: J columns of B
// values.
//
//   low and scale of the ends, low and scale of the means
//   4 bits a column: b, 0 or 2..8                               (one section)
//   two codes of `end_bits` for each column with b > 0          (one section)
//   a code of `mean_bits` for each column with b = 0            (one section)
//   B codes of b bits for each column                           (one section)
//
// Where a scale is 0 there are no codes of that kind.

namespace splitvit::codec::detail {

/// How many bits columns may take.
struct ColumnBits {
  double mean = 4;   ///< of a code, on average over all columns, 0..8
  int of_ends = 8;   ///< of the ends of a column's range, 1..16
  int of_means = 8;  ///< of the mean of a narrow column, 1..16
};

/// The bits of each column: floor(t + log2(r_j / largest r)), 0 or 2..8, with the largest t that
/// keeps their sum within `budget`. Minimises the sum of r_j^2 / 4^b.
inline std::vector<std::uint8_t> allot_bits(std::span<const double> ranges, double budget) {
  double largest = 0;
  for (const double r : ranges) largest = std::max(largest, r);
  constexpr double never = -1e9;
  std::vector<double> logs;
  double least = 0;
  for (const double r : ranges) {
    const double log = r > 0 ? log2_of(r / largest) : never;
    logs.push_back(log);
    if (r > 0) least = std::min(least, log);
  }
  const auto bits_at = [](double t, double log) {
    const double bits = std::min(8.0, std::floor(t + log));
    return bits < 2 ? 0.0 : bits;
  };
  const auto fits = [&](double t) {
    double sum = 0;
    for (const double log : logs) sum += bits_at(t, log);
    return sum <= budget;
  };
  double low = 0, high = 9 - least;
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (fits(middle) ? low : high) = middle;
  }
  std::vector<std::uint8_t> out;
  for (const double log : logs) out.push_back(static_cast<std::uint8_t>(bits_at(low, log)));
  return out;
}

/// Appends columns (J, B), J and B at least 1.
template <class T>
void encode_columns(const Tensor<T>& columns, const ColumnBits& bits, std::vector<std::byte>& out) {
  const Index J = columns.dim(0), B = columns.dim(1);
  const auto at = [](Index j) { return static_cast<std::size_t>(j); };

  // 1. What each column spans, and its bits.
  std::vector<Extremes<T>> ends(at(J));
  std::vector<double> spans(at(J));
  parallel_for(J, 64, [&](Index begin, Index end) {
    for (Index j = begin; j < end; ++j) {
      ends[at(j)] = find_extremes(Strided<const T>{columns.data() + j * B, B});
      spans[at(j)] = static_cast<double>(ends[at(j)].high) * 0.5 -  // halves: never infinite
                     static_cast<double>(ends[at(j)].low) * 0.5;
    }
  });
  const std::vector<std::uint8_t> widths = allot_bits(spans, bits.mean * static_cast<double>(J));

  // 2. Ends, rounded outwards, and means.
  std::vector<T> all_ends, means;
  for (Index j = 0; j < J; ++j)
    if (widths[at(j)] > 0) {
      all_ends.push_back(ends[at(j)].low);
      all_ends.push_back(ends[at(j)].high);
    } else {
      const T* const values = columns.data() + j * B;
      double sum = 0;  // of differences, so that equal values are their mean
      for (Index b = 0; b < B; ++b)
        sum += static_cast<double>(values[b]) * 0.5 - static_cast<double>(values[0]) * 0.5;
      const double mean = static_cast<double>(values[0]) + sum / static_cast<double>(B) * 2.0;
      means.push_back(std::clamp(static_cast<T>(mean), ends[at(j)].low, ends[at(j)].high));
    }
  Range<T> end_range, mean_range;
  std::vector<std::uint16_t> end_codes(all_ends.size()), mean_codes(means.size());
  if (!all_ends.empty()) {
    end_range = find_range(Strided<const T>{std::span<const T>{all_ends}}, bits.of_ends);
    const T top = top_code<T>(bits.of_ends);
    const bool wide = is_wide(end_range, top);
    for (std::size_t i = 0; i < all_ends.size() && end_range.scale != T{0}; ++i) {
      const T place = wide ? place_in<true>(end_range, all_ends[i], top)
                           : place_in<false>(end_range, all_ends[i], top);
      end_codes[i] = static_cast<std::uint16_t>(i % 2 == 0 ? std::floor(place) : std::ceil(place));
    }
    dequantise(end_codes.data(), end_range, bits.of_ends, Strided<T>{std::span<T>{all_ends}});
  }
  if (!means.empty()) {
    mean_range = find_range(Strided<const T>{std::span<const T>{means}}, bits.of_means);
    if (mean_range.scale != T{0})
      quantise(Strided<const T>{std::span<const T>{means}}, mean_range, bits.of_means,
               mean_codes.data());
  }

  // 3. Codes between the ends, as the receiver knows them.
  std::vector<Range<T>> ranges(at(J));
  for (std::size_t j = 0, next = 0; j < ranges.size(); ++j)
    if (widths[j] > 0) {
      ranges[j] = range_between(Extremes<T>{all_ends[next], all_ends[next + 1]}, widths[j]);
      next += 2;
    }
  Tensor<std::uint16_t> codes = Tensor<std::uint16_t>::uninitialised({J, B});
  parallel_for(J, 64, [&](Index begin, Index end) {
    for (Index j = begin; j < end; ++j)
      if (ranges[at(j)].scale != T{0})
        quantise(Strided<const T>{columns.data() + j * B, B}, ranges[at(j)], widths[at(j)],
                 codes.data() + j * B);
  });

  // 4. Bytes.
  ByteWriter writer{out};
  put_range(writer, end_range);
  put_range(writer, mean_range);
  BitWriter packed{out};
  packed.put_all(std::span<const std::uint8_t>{widths}, 4);
  packed.finish();
  if (end_range.scale != T{0})
    packed.put_all(std::span<const std::uint16_t>{end_codes}, bits.of_ends);
  packed.finish();
  if (mean_range.scale != T{0})
    packed.put_all(std::span<const std::uint16_t>{mean_codes}, bits.of_means);
  packed.finish();
  for (Index j = 0; j < J; ++j)
    if (ranges[at(j)].scale != T{0})
      packed.put_all(std::span<const std::uint16_t>{codes.data() + j * B, at(B)}, widths[at(j)]);
  packed.finish();
}

/// The columns (J, B) that encode_columns wrote; J and B at least 1. The reader then stands
/// behind them.
///
/// Errors  WireError: truncated, not_finite or malformed. Memory is taken for columns of which
///         the bytes are there, and for equal ones as announced.
template <class T>
Tensor<T> decode_columns(ByteReader& reader, Index J, Index B, const ColumnBits& bits,
                         const std::string& codec) {
  const auto at = [](Index j) { return static_cast<std::size_t>(j); };
  const auto end_range = get_range<T>(reader, codec), mean_range = get_range<T>(reader, codec);
  const auto section = [&](auto& codes, const auto& size, int width, bool there) {
    BitReader packed{reader, codec};
    if (there) packed.require(size, width);
    codes.resize(at(size));
    if (there) packed.get_all(std::span{codes}, width);
    packed.finish();
  };

  // 1. Bits, ends and means.
  std::vector<std::uint8_t> widths;
  section(widths, J, 4, true);
  Index wide = 0;
  for (const std::uint8_t width : widths) {
    if (width == 1 || width > 8)
      throw WireError(Reason::malformed,
                      codec + ": a column of " + std::to_string(width) + " bits");
    wide += width > 0 ? 1 : 0;
  }
  std::vector<std::uint16_t> end_codes, mean_codes;
  section(end_codes, 2 * wide, bits.of_ends, end_range.scale != T{0});
  section(mean_codes, J - wide, bits.of_means, mean_range.scale != T{0});
  std::vector<T> ends(end_codes.size()), means(mean_codes.size());
  dequantise(end_codes.data(), end_range, bits.of_ends, Strided<T>{std::span<T>{ends}});
  dequantise(mean_codes.data(), mean_range, bits.of_means, Strided<T>{std::span<T>{means}});

  // 2. What codes mean, and whether all are there.
  std::vector<Range<T>> ranges(at(J));
  BitReader packed{reader, codec};
  Index wanted = 0;  // bits, divided by B
  for (std::size_t j = 0, next_end = 0, next_mean = 0; j < ranges.size(); ++j) {
    if (widths[j] == 0) {
      ranges[j].low = means[next_mean++];
      continue;
    }
    const Extremes<T> own{ends[next_end], ends[next_end + 1]};
    next_end += 2;
    if (own.low > own.high)
      throw WireError(Reason::malformed, codec + ": a column whose ends are the wrong way round");
    ranges[j] = range_between(own, widths[j]);
    if (ranges[j].scale != T{0}) wanted += widths[j];
  }
  if (wanted > 0 && B > 8 * static_cast<Index>(reader.left()) / wanted)
    throw WireError(Reason::truncated, codec + ": " + std::to_string(reader.left()) +
                                           " bytes for columns of " + std::to_string(wanted) +
                                           " bits together");

  // 3. The columns.
  Tensor<T> out = Tensor<T>::uninitialised({J, B});
  Tensor<std::uint16_t> codes = Tensor<std::uint16_t>::uninitialised({wanted > 0 ? J : 0, B});
  for (Index j = 0; j < J; ++j)
    if (ranges[at(j)].scale != T{0})
      packed.get_all(std::span{codes.data() + j * B, at(B)}, widths[at(j)]);
  packed.finish();
  parallel_for(J, 64, [&](Index begin, Index end) {
    for (Index j = begin; j < end; ++j)
      dequantise(codes.data() + j * B, ranges[at(j)], widths[at(j)],
                 Strided<T>{out.data() + j * B, B});
  });
  return out;
}

}  // namespace splitvit::codec::detail
