// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // all_of
#include <cmath>      // isfinite
#include <concepts>   // floating_point
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint8_t, uint16_t
#include <optional>   // nullopt
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <vector>     // vector

#include <splitvit/codec/detail/target_rows.hpp>  // entries_of, list_lengths
#include <splitvit/core/bytes.hpp>                // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>                // ShapeError, WireError
#include <splitvit/core/shape.hpp>                // Index
#include <splitvit/core/workspace.hpp>            // RecycledVector
#include <splitvit/tensor/tensor.hpp>             // Tensor, TensorView

// Targets as bytes: what each row of a batch should be classified as, in the smallest of four
// forms, bit for bit. Letters: K rows, C classes.
//
//   u8 form, then for each row
//   0 class_ids    id of the class
//   1 class_lists  u16 m, m ids in ascending order; a class that comes c times has c / m
//   2 sparse       u16 n, n times id (strictly ascending) and probability
//   3 dense        C probabilities
//
// An id takes 1 byte for C <= 256, 2 for C <= 65536, else 4. A probability is of the element
// type. The mean of the labels of m merged samples is a class list: 128 samples of 100 classes
// in 40 rows take 209 bytes, where dense rows of float take 16000.

namespace splitvit::codec {

enum class TargetForm : std::uint8_t { class_ids, class_lists, sparse, dense };

/// Appends targets to `out`, in the smallest form (the first one of several).
///
/// Shapes  targets (K, C), K and C at least 1.
/// Units   class probabilities; each row sums to 1 (+- 1e-4).
/// Errors  ShapeError for another shape; std::invalid_argument for a row that is no set of
///         probabilities. `out` is then left as it was.
template <std::floating_point T>
void encode_targets(TensorView<const T> targets, std::vector<std::byte>& out);

/// The targets of `rows` rows that encode_targets wrote, bit for bit.
///
/// Errors  WireError for anything that is no such targets: unknown form, too few or too many
///         bytes, ids that do not exist or do not ascend, probabilities that are not finite,
///         negative, or do not sum to 1 (+- 1e-4). No memory is taken for rows before as many
///         bytes are there as they need at least.
template <std::floating_point T>
Tensor<T> decode_targets(std::span<const std::byte> in, Index rows, Index classes);

template <std::floating_point T>
void encode_targets(TensorView<const T> targets, std::vector<std::byte>& out) {
  const Shape& shape = targets.shape();
  if (shape.rank() != 2 || shape.elements() == 0)
    throw ShapeError("encode_targets: targets " + shape.text() +
                     ", wanted (K, C) with K and C at least 1");
  const Index K = shape[0], C = shape[1];
  const Index id = detail::id_bytes(C), number = sizeof(T);

  // 1. What each form would take. Class ids are the smallest wherever they are possible.
  bool ids = true, sparse = true;
  Index sparse_bytes = 1;
  RecycledVector<RecycledVector<detail::Entry<T>>> rows;
  for (Index k = 0; k < K; ++k) {
    const auto row =
        targets.span().subspan(static_cast<std::size_t>(k * C), static_cast<std::size_t>(C));
    if (const std::string fault = detail::fault_of(row); !fault.empty())
      throw std::invalid_argument("encode_targets: row " + std::to_string(k) + " has " + fault);
    rows.push_back(detail::entries_of(row));
    const auto n = static_cast<Index>(rows.back().size());
    ids = ids && n == 1 && rows.back()[0].value == T{1};
    sparse = sparse && n <= detail::most_per_row;
    sparse_bytes += 2 + n * (id + number);
  }
  const Index dense_bytes = 1 + K * C * number;
  const bool sparse_wins = sparse && sparse_bytes <= dense_bytes;
  const auto lengths =
      ids ? std::nullopt : detail::list_lengths(rows, C, sparse_wins ? sparse_bytes : dense_bytes);

  // 2. The smallest one.
  ByteWriter writer{out};
  const auto begin = [&](TargetForm form) { writer.put(static_cast<std::uint8_t>(form)); };
  if (ids) {
    begin(TargetForm::class_ids);
    for (const auto& row : rows) detail::put_id(writer, row[0].id, C);
  } else if (lengths) {
    begin(TargetForm::class_lists);
    for (std::size_t k = 0; k < rows.size(); ++k) {
      const Index m = (*lengths)[k];
      writer.put(static_cast<std::uint16_t>(m));
      for (const auto& entry : rows[k])
        for (Index i = detail::count_of(entry.value, m); i > 0; --i)
          detail::put_id(writer, entry.id, C);
    }
  } else if (sparse_wins) {
    begin(TargetForm::sparse);
    for (const auto& row : rows) {
      writer.put(static_cast<std::uint16_t>(row.size()));
      for (const auto& entry : row) {
        detail::put_id(writer, entry.id, C);
        writer.put(entry.value);
      }
    }
  } else {
    begin(TargetForm::dense);
    writer.put_array(targets.span());
  }
}

template <std::floating_point T>
Tensor<T> decode_targets(std::span<const std::byte> in, Index rows, Index classes) {
  const auto refuse = [](const std::string& text, Reason reason = Reason::malformed) {
    throw WireError(reason, "targets: " + text);
  };
  ByteReader reader{in, "targets"};
  const auto form = static_cast<TargetForm>(reader.get<std::uint8_t>());
  if (rows < 1 || classes < 1)
    refuse(std::to_string(rows) + " rows of " + std::to_string(classes) + " classes",
           Reason::wrong_shape);

  // 1. Are there as many bytes as these rows need at least? Divided: nothing overflows.
  const Index id = detail::id_bytes(classes), number = sizeof(T);
  Index least = id;  // bytes of a row
  switch (form) {
    case TargetForm::class_ids:
      break;
    case TargetForm::class_lists:
      least = 2 + id;
      break;
    case TargetForm::sparse:
      least = 2 + id + number;
      break;
    case TargetForm::dense:
      if (classes > static_cast<Index>(reader.left()) / number)
        refuse("too few bytes for a dense row", Reason::truncated);
      least = classes * number;
      break;
    default:
      refuse("form " + std::to_string(static_cast<int>(form)) + " does not exist");
  }
  if (rows > static_cast<Index>(reader.left()) / least)
    refuse(std::to_string(reader.left()) + " bytes for " + std::to_string(rows) + " rows",
           Reason::truncated);

  // 2. The rows.
  Tensor<T> out{{rows, classes}};
  for (Index k = 0; k < rows; ++k) {
    T* const row = out.data() + k * classes;
    Index last = -1;
    switch (form) {
      case TargetForm::class_ids:
        row[detail::get_id(reader, classes)] = T{1};
        break;
      case TargetForm::class_lists: {
        const Index m = reader.get<std::uint16_t>();
        for (Index i = 0; i < m; ++i) {
          const Index c = detail::get_id(reader, classes);
          if (c < last) refuse("a class list that does not ascend");
          row[c] += T{1};
          last = c;
        }
        if (m == 0) refuse("an empty class list");
        for (Index c = 0; c < classes; ++c) row[c] /= static_cast<T>(m);
        break;
      }
      case TargetForm::sparse: {
        const Index n = reader.get<std::uint16_t>();
        for (Index i = 0; i < n; ++i) {
          const Index c = detail::get_id(reader, classes);
          if (c <= last) refuse("classes of a row that do not ascend");
          row[c] = reader.get<T>();
          last = c;
        }
        break;
      }
      case TargetForm::dense:
        reader.get_array(std::span{row, static_cast<std::size_t>(classes)});
        break;
    }
    const std::span<const T> done{row, static_cast<std::size_t>(classes)};
    if (!std::ranges::all_of(done, [](T value) { return std::isfinite(value); }))
      refuse("NaN or infinity in row " + std::to_string(k), Reason::not_finite);
    if (const std::string fault = detail::fault_of(done); !fault.empty())
      refuse("row " + std::to_string(k) + " has " + fault);
  }
  reader.expect_end();
  return out;
}

}  // namespace splitvit::codec
