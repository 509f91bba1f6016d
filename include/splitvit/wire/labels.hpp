// SPDX-License-Identifier: MIT
#pragma once

#include <numeric>  // gcd

#include <splitvit/core/bytes.hpp>      // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>      // ArgumentError, Reason
#include <splitvit/core/finite.hpp>     // all_finite
#include <splitvit/core/labels.hpp>     // Labels
#include <splitvit/core/shape.hpp>      // Index
#include <splitvit/core/workspace.hpp>  // RecycledVector

// Labels as bytes: u8 mode, then for each row
//
//   0 class_ids    one class id
//   1 class_lists  u16 m, then m class ids in ascending order; an id that comes c times has count c
//   2 weighted     u16 n, then n times a class id (strictly ascending) and its weight, float32
//
// A class id takes 1 byte for C <= 256 classes, 2 for C <= 65536, else 4.

namespace splitvit::inline SPLITVIT_BUILD::wire {

enum class LabelMode : std::uint8_t { class_ids, class_lists, weighted };

namespace detail {
inline constexpr Index longest_label_list = 65535;

inline Index class_id_bytes(Index C) { return C <= 256 ? 1 : C <= 65536 ? 2 : 4; }

inline void put_class_id(ByteWriter& out, Index id, Index C) {
  for (Index byte = 0; byte < class_id_bytes(C); ++byte)
    out.put(static_cast<std::uint8_t>(id >> (8 * byte)));
}

/// Errors  WireError: truncated; malformed for a class that does not exist.
inline Index get_class_id(ByteReader& in, Index C) {
  Index id = 0;
  for (Index byte = 0; byte < class_id_bytes(C); ++byte)
    id |= Index{in.get<std::uint8_t>()} << (8 * byte);
  if (id >= C) in.refuse(Reason::malformed, {"class ", id, " came, wanted less than ", C});
  return id;
}

/// The greatest common divisor of a row's counts, which changes no bit of the probabilities.
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
      throw ArgumentError({"put_labels: row ", i, " has a list of ", length, ", wanted at most ",
                           detail::longest_label_list});
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
/// Errors  WireError: wrong_shape for no rows or no classes; truncated, before memory is taken;
///         not_finite for a weight; malformed for an unknown mode, a class id that is not below
///         `classes`, ids that do not ascend, an empty list, a negative weight, weights of a row
///         that do not sum to 1 (+- 1e-4), and bytes after the last row.
inline Labels read_labels(std::span<const std::byte> in, Index rows, Index classes) {
  ByteReader reader{in, "labels"};
  const auto mode = static_cast<LabelMode>(reader.get<std::uint8_t>());
  if (mode > LabelMode::weighted)
    reader.refuse(Reason::malformed, {"mode ", static_cast<int>(mode), " came, wanted 0 to 2"});
  if (rows < 1 || classes < 1)
    reader.refuse(Reason::wrong_shape,
                  {rows, " rows of ", classes, " classes, wanted at least one of each"});
  const bool is_weighted = mode == LabelMode::weighted;
  const std::size_t entry =
      static_cast<std::size_t>(detail::class_id_bytes(classes)) + (is_weighted ? sizeof(float) : 0);
  reader.require(rows, mode == LabelMode::class_ids ? entry : 2 + entry);

  RecycledVector<Index> ends, ids, counts;
  RecycledVector<float> weights;
  for (Index k = 0; k < rows; ++k) {
    const Index length =
        mode == LabelMode::class_ids ? 1 : static_cast<Index>(reader.get<std::uint16_t>());
    reader.require(length, entry);
    Index last = -1;
    for (Index i = 0; i < length; ++i) {
      const Index c = detail::get_class_id(reader, classes);
      if (c < last || (c == last && is_weighted))
        reader.refuse(Reason::malformed, {"class ", c, " comes after class ", last, " in a row"});
      if (c == last && !is_weighted) {
        ++counts.back();
        continue;
      }
      ids.push_back(last = c);
      if (is_weighted)
        weights.push_back(reader.get<float>());
      else
        counts.push_back(1);
    }
    ends.push_back(static_cast<Index>(ids.size()));
  }
  reader.expect_end();
  if (!all_finite(std::span<const float>{weights}))
    reader.refuse(Reason::not_finite, {"a weight that is not finite came"});
  try {
    return is_weighted ? Labels::from_lists(std::move(ends), std::move(ids), std::move(weights))
                       : Labels::from_lists(std::move(ends), std::move(ids), std::move(counts));
  } catch (const std::invalid_argument& error) {
    reader.refuse(Reason::malformed, {error.what()});
  }
}

}  // namespace splitvit::inline SPLITVIT_BUILD::wire
