// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, max, min
#include <cmath>      // ceil, floor

#include <splitvit/codec/detail/coded_groups.hpp>     // CodedGroup, get_coded, put_coded
#include <splitvit/codec/detail/range_quantiser.hpp>  // Extremes, find_extremes, range_between
#include <splitvit/core/bits.hpp>                     // BitReader, BitWriter
#include <splitvit/core/bytes.hpp>                    // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>                    // Reason
#include <splitvit/core/parallel.hpp>                 // parallel_for
#include <splitvit/kernel/softmax_entropy.hpp>        // log2_of
#include <splitvit/tensor/tensor.hpp>                 // Tensor

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

namespace splitvit::inline SPLITVIT_BUILD::codec::detail {

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
    const double log = r > 0 ? kernel::log2_of(r / largest) : never;
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

/// Means of columns, or ends of their ranges, quantised in one range of their own.
template <class T>
struct SideValues {
  std::vector<T> values;
  CodedGroup<T> group;

  SideValues(std::vector<T> numbers, int bits)
      : values{std::move(numbers)},
        group{.count = static_cast<Index>(values.size()), .bits = bits, .range = {}} {}

  std::span<const CodedGroup<T>> groups() const { return {&group, 1}; }

  /// Their codes; the values become what the receiver will read.
  template <class Round>
  Tensor<std::uint16_t> quantise(const Round& round) {
    find_ranges<T>(values, {&group, 1});
    auto codes = quantise_groups<T>(values, groups(), round);
    set(codes);
    return codes;
  }
  void get(ByteReader& reader) { set(get_codes(reader, groups())); }

 private:
  void set(const Tensor<std::uint16_t>& codes) {
    dequantise<T>(codes.data(), group.range, group.bits, values);
  }
};

/// The mean, which is exact for equal numbers and within their extremes.
template <class T>
T mean_within(std::span<const T> values, const Extremes<T>& ends) {
  double sum = 0;  // of differences, halved: never infinite
  for (const T value : values)
    sum += static_cast<double>(value) * 0.5 - static_cast<double>(values[0]) * 0.5;
  const double mean =
      static_cast<double>(values[0]) + sum / static_cast<double>(values.size()) * 2.0;
  return std::clamp(static_cast<T>(mean), ends.low, ends.high);
}

/// How the B values of each column are coded: between its ends, or all as its mean.
template <class T>
std::vector<CodedGroup<T>> column_groups(std::span<const std::uint8_t> widths, Index B,
                                         std::span<const T> ends, std::span<const T> means) {
  std::vector<CodedGroup<T>> groups;
  groups.reserve(widths.size());
  std::size_t next_end = 0, next_mean = 0;
  for (const std::uint8_t width : widths) {
    CodedGroup<T> group{.count = B, .bits = width, .range = {}};
    if (width == 0) {
      group.range.low = means[next_mean++];
    } else {
      group.range = range_between(Extremes<T>{ends[next_end], ends[next_end + 1]}, width);
      next_end += 2;
    }
    groups.push_back(group);
  }
  return groups;
}

/// Appends columns (J, B), J and B at least 1.
template <class T>
void encode_columns(const Tensor<T>& columns, const ColumnBits& bits, std::vector<std::byte>& out) {
  const Index J = columns.dim(0), B = columns.dim(1);
  const auto column = [&](Index j) { return columns.view().slice(j, j + 1).span(); };

  // 1. What each column spans, and its bits.
  std::vector<Extremes<T>> ends(static_cast<std::size_t>(J));
  std::vector<double> spans(ends.size());
  parallel_for(J, 64, [&](Index begin, Index end) {
    for (Index j = begin; j < end; ++j) {
      const auto own = ends[static_cast<std::size_t>(j)] = find_extremes(column(j));
      spans[static_cast<std::size_t>(j)] =  // halves: never infinite
          static_cast<double>(own.high) * 0.5 - static_cast<double>(own.low) * 0.5;
    }
  });
  const std::vector<std::uint8_t> widths = allot_bits(spans, bits.mean * static_cast<double>(J));

  // 2. Ends, rounded outwards, and means.
  std::vector<T> wide, narrow;
  for (std::size_t j = 0; j < widths.size(); ++j)
    if (widths[j] > 0)
      wide.insert(wide.end(), {ends[j].low, ends[j].high});
    else
      narrow.push_back(mean_within(column(static_cast<Index>(j)), ends[j]));
  SideValues<T> all_ends{std::move(wide), bits.of_ends}, means{std::move(narrow), bits.of_means};
  const auto end_codes = all_ends.quantise([](T place, std::size_t i) {
    return static_cast<std::uint16_t>(i % 2 == 0 ? std::floor(place) : std::ceil(place));
  });
  const auto mean_codes = means.quantise(to_nearest);

  // 3. Bytes; codes between the ends as the receiver knows them.
  ByteWriter writer{out};
  put_range(writer, all_ends.group.range);
  put_range(writer, means.group.range);
  BitWriter packed{out};
  packed.put_all(std::span<const std::uint8_t>{widths}, 4);
  packed.finish();
  put_codes(end_codes, all_ends.groups(), out);
  put_codes(mean_codes, means.groups(), out);
  const auto groups = column_groups<T>(widths, B, all_ends.values, means.values);
  put_coded<T>(columns.span(), groups, out);
}

/// The columns (J, B) that encode_columns wrote; J and B at least 1.
///
/// Errors  WireError: truncated, not_finite or malformed. Memory is taken for columns of which
///         the bytes are there, and for equal ones as announced.
template <class T>
Tensor<T> decode_columns(ByteReader& reader, Index J, Index B, const ColumnBits& bits) {
  const auto end_range = get_range<T>(reader), mean_range = get_range<T>(reader);
  BitReader packed{reader};
  packed.require(J, 4);
  std::vector<std::uint8_t> widths(static_cast<std::size_t>(J));
  packed.get_all(std::span{widths}, 4);
  packed.finish();
  std::size_t wide = 0;
  for (const std::uint8_t width : widths) {
    if (width == 1 || width > 8) reader.refuse(Reason::malformed, {"a column of ", width, " bits"});
    wide += width > 0 ? 1 : 0;
  }
  SideValues<T> ends{std::vector<T>(2 * wide), bits.of_ends};
  SideValues<T> means{std::vector<T>(widths.size() - wide), bits.of_means};
  ends.group.range = end_range;
  means.group.range = mean_range;
  ends.get(reader);
  means.get(reader);
  for (std::size_t i = 0; i < ends.values.size(); i += 2)
    if (ends.values[i] > ends.values[i + 1])
      reader.refuse(Reason::malformed, {"a column whose ends are in the wrong order"});
  return get_coded<T>(reader, column_groups<T>(widths, B, ends.values, means.values), {J, B});
}

}  // namespace splitvit::inline SPLITVIT_BUILD::codec::detail
