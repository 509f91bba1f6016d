// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>      // abs
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint8_t, uint16_t, uint32_t
#include <numeric>    // gcd
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/core/bytes.hpp>      // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>      // Reason, WireError
#include <splitvit/core/finite.hpp>     // all_finite
#include <splitvit/core/labels.hpp>     // Labels
#include <splitvit/core/shape.hpp>      // Index
#include <splitvit/core/workspace.hpp>  // RecycledVector

// Labels as bytes. Letter: C classes.
//
//   u8 mode, then for each row
//   0 class_ids    one class id
//   1 class_lists  u16 m, then m class ids in ascending order; an id that comes c times has count c
//   2 weighted     u16 n, then n times a class id (strictly ascending) and its weight, float32
//
// A class id takes 1 byte for C <= 256, 2 for C <= 65536, else 4. 128 samples of 100 classes that
// are merged to 40 rows take at most 209 bytes.

namespace splitvit::wire {

enum class LabelMode : std::uint8_t { class_ids, class_lists, weighted };

namespace detail {

inline constexpr Index longest_label_list = 65535;

inline Index class_id_bytes(Index C) { return C <= 256 ? 1 : C <= 65536 ? 2 : 4; }

inline void put_class_id(ByteWriter& out, Index id, Index C) {
  switch (class_id_bytes(C)) {
    case 1:
      return out.put(static_cast<std::uint8_t>(id));
    case 2:
      return out.put(static_cast<std::uint16_t>(id));
    default:
      return out.put(static_cast<std::uint32_t>(id));
  }
}

/// Errors  WireError: truncated; malformed for a class that does not exist.
inline Index get_class_id(ByteReader& in, Index C) {
  const Index width = class_id_bytes(C);
  const Index id = width == 1   ? Index{in.get<std::uint8_t>()}
                   : width == 2 ? Index{in.get<std::uint16_t>()}
                                : static_cast<Index>(in.get<std::uint32_t>());
  if (id >= C)
    throw WireError(Reason::malformed, "labels: class " + std::to_string(id) +
                                           " came, wanted less than " + std::to_string(C));
  return id;
}

/// The greatest common divisor of a counted row's counts. Counts that are divided by it stand
/// for the same probabilities, bit for bit.
inline Index common_divisor(const Labels::Row& row) {
  Index divisor = 0;
  for (const Index count : row.counts) divisor = std::gcd(divisor, count);
  return divisor;
}

/// How many class ids, or pairs of class id and weight, are sent for a row.
inline Index list_length(const Labels::Row& row) {
  return row.counts.empty() ? static_cast<Index>(row.classes.size())
                            : row.total() / common_divisor(row);
}

}  // namespace detail

/// Appends labels to `out`: in mode class_ids if each row has one class only, else in
/// class_lists, and in mode weighted if they are weighted. Counts are sent in lowest terms.
///
/// Errors  std::invalid_argument for no rows, a class id that is not below `classes`, and a list of
///         more than 65535 ids or weights. `out` is unchanged then.
inline void put_labels(const Labels& labels, Index classes, std::vector<std::byte>& out) {
  if (labels.empty()) throw std::invalid_argument("put_labels: no rows, wanted at least one");
  labels.require_classes("put_labels", classes);
  auto mode = labels.is_weighted() ? LabelMode::weighted : LabelMode::class_ids;
  for (Index i = 0; i < labels.row_count(); ++i) {
    const Index length = detail::list_length(labels.row(i));
    if (length > detail::longest_label_list)
      throw std::invalid_argument("put_labels: row " + std::to_string(i) + " has a list of " +
                                  std::to_string(length) + ", wanted at most " +
                                  std::to_string(detail::longest_label_list));
    if (length > 1 && mode == LabelMode::class_ids) mode = LabelMode::class_lists;
  }

  ByteWriter writer{out};
  writer.put(static_cast<std::uint8_t>(mode));
  for (Index i = 0; i < labels.row_count(); ++i) {
    const Labels::Row row = labels.row(i);
    if (mode != LabelMode::class_ids)
      writer.put(static_cast<std::uint16_t>(detail::list_length(row)));
    const Index divisor = detail::common_divisor(row);
    for (std::size_t c = 0; c < row.classes.size(); ++c) {
      const Index times = mode == LabelMode::weighted ? 1 : row.counts[c] / divisor;
      for (Index n = 0; n < times; ++n) detail::put_class_id(writer, row.classes[c], classes);
      if (mode == LabelMode::weighted) writer.put(row.weights[c]);
    }
  }
}

/// Reads the labels of `rows` samples, as put_labels writes them.
///
/// Errors  WireError: wrong_shape for no rows or no classes; truncated for too few bytes;
///         not_finite for a weight that is not finite; malformed for an unknown mode, a class id
///         that is not below `classes`, ids that do not ascend, an empty list, a negative weight,
///         weights of a row that do not sum to 1 (+- 1e-4), and bytes after the last row. Memory
///         for rows is taken only after there are enough bytes for the shortest possible rows.
inline Labels read_labels(std::span<const std::byte> in, Index rows, Index classes) {
  const auto refuse = [](const std::string& text, Reason reason = Reason::malformed) {
    throw WireError(reason, "labels: " + text);
  };
  ByteReader reader{in, "labels"};
  const auto mode = static_cast<LabelMode>(reader.get<std::uint8_t>());
  if (mode > LabelMode::weighted)
    refuse("mode " + std::to_string(static_cast<int>(mode)) + " came, wanted 0 to 2");
  if (rows < 1 || classes < 1)
    refuse(std::to_string(rows) + " rows of " + std::to_string(classes) +
               " classes, wanted at least one of each",
           Reason::wrong_shape);
  const Index id = detail::class_id_bytes(classes);
  const Index weight = mode == LabelMode::weighted ? static_cast<Index>(sizeof(float)) : 0;
  const Index shortest = mode == LabelMode::class_ids ? id : 2 + id + weight;  // bytes of a row
  if (rows > static_cast<Index>(reader.left()) / shortest)
    refuse(std::to_string(reader.left()) + " bytes came for " + std::to_string(rows) + " rows",
           Reason::truncated);

  RecycledVector<Index> ends, ids, counts;
  RecycledVector<float> weights;
  for (Index k = 0; k < rows; ++k) {
    const auto in_row = [&](const std::string& text) {
      return "row " + std::to_string(k) + " has " + text;
    };
    const Index length =
        mode == LabelMode::class_ids ? 1 : static_cast<Index>(reader.get<std::uint16_t>());
    if (length == 0) refuse(in_row("an empty list"));
    if (length > static_cast<Index>(reader.left()) / (id + weight))
      refuse(in_row("a list of " + std::to_string(length) + " in " + std::to_string(reader.left()) +
                    " bytes"),
             Reason::truncated);
    Index last = -1;
    double sum = 0;
    for (Index i = 0; i < length; ++i) {
      const Index c = detail::get_class_id(reader, classes);
      if (c < last || (c == last && mode == LabelMode::weighted))
        refuse(in_row("class " + std::to_string(c) + " after class " + std::to_string(last)));
      if (c != last) ids.push_back(c);
      if (mode == LabelMode::weighted) {
        weights.push_back(reader.get<float>());
        if (!all_finite(std::span<const float>{weights}.last(1)))
          refuse(in_row("a weight that is not finite"), Reason::not_finite);
        if (weights.back() < 0) refuse(in_row("a negative weight"));
        sum += static_cast<double>(weights.back());
      } else if (c == last) {
        ++counts.back();
      } else {
        counts.push_back(1);
      }
      last = c;
    }
    if (mode == LabelMode::weighted && std::abs(sum - 1.0) > Labels::merged_sum_tolerance)
      refuse(in_row("weights that sum to " + std::to_string(sum) + ", wanted 1"));
    ends.push_back(static_cast<Index>(ids.size()));
  }
  reader.expect_end();
  return mode == LabelMode::weighted
             ? Labels::from_lists(std::move(ends), std::move(ids), std::move(weights))
             : Labels::from_lists(std::move(ends), std::move(ids), std::move(counts));
}

}  // namespace splitvit::wire
