// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy, max
#include <concepts>   // floating_point
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint16_t, uint32_t
#include <limits>     // numeric_limits
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/codec/concepts.hpp>                // Decoded
#include <splitvit/codec/detail/batch_columns.hpp>    // ColumnStatistics, gather_columns
#include <splitvit/codec/detail/column_choice.hpp>    // choose_columns, keep_probabilities
#include <splitvit/codec/detail/column_coder.hpp>     // ColumnBits, decode_columns, encode_columns
#include <splitvit/codec/detail/finite_values.hpp>    // limited, require_finite
#include <splitvit/codec/detail/index_set.hpp>        // get_index_sets, put_index_sets
#include <splitvit/codec/detail/largest_entries.hpp>  // kept_entries
#include <splitvit/codec/detail/small_float.hpp>      // HalfFloat
#include <splitvit/core/bytes.hpp>                    // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>                    // ShapeError, WireError
#include <splitvit/core/parallel.hpp>                 // parallel_for
#include <splitvit/core/random.hpp>                   // Rng
#include <splitvit/core/text.hpp>                     // exact_text
#include <splitvit/tensor/tensor.hpp>                 // Tensor, TensorView

// SplitFc: the columns that vary over the batch, with more bits the wider they are. Letters: B
// samples of n values, so n columns; D channels; J columns that are kept.

namespace splitvit::codec {

/// What arrives where a column was not sent.
enum class SplitFcFill : std::uint8_t {
  zero,  ///< zeros
  mean   ///< the column's mean, as float16
};

/// SplitFC-style: keeps columns at random, those that deviate more with a higher probability p,
/// and divides what they have above their base by p, so that all is right on average. Wide columns
/// are quantised with more bits than narrow ones; the narrowest send their mean alone.
///
/// Shapes  x (B, ..., D) with values, n below 2^32. A column is a place in the sample.
/// Sent    Which columns are kept, as an index set (nothing but its mode if all are); with `fill`
///         mean 2 n bytes; then the columns: two ranges (8 bytes each, 16 for double), 4 bits a
///         column, 2 end_bits for a wide one, mean_bits for a narrow one, and the codes, at most
///         B J up_bits bits. Back the same columns of the gradient with down_bits, without set.
/// Grad    At the columns kept: what arrives over p, the base being a constant; zero elsewhere.
/// Errors  std::invalid_argument for options outside their range; ShapeError for a tensor without
///         values, or a gradient of another shape; WireError: not_finite, wrong_shape, truncated
///         or malformed.
/// Source  "Communication-Efficient Split Learning via Adaptive Feature-Wise Compression",
///         arXiv:2307.10805.
/// Differs Probability, exact counts, levels and fills are ours: no code is known. Without
///         `keep_cls`, zeros in the place of columns wreck a residual stream.
struct SplitFc {
  double keep = 0.5;                     ///< share of the columns, in (0, 1]
  double up_bits = 4;                    ///< of a code on average, of activations, 0..8
  double down_bits = 4;                  ///< the same of gradients
  int end_bits = 8;                      ///< of the ends of a column's range, 1..16
  int mean_bits = 8;                     ///< of the mean of a narrow column, 1..16
  SplitFcFill fill = SplitFcFill::zero;  ///< in the place of columns that are not sent
  bool keep_cls = true;                  ///< keeps the columns of token 0, the first D, always

  /// What the client remembers.
  struct Sent {
    std::vector<std::uint32_t> columns;
    std::vector<double> probabilities;  ///< of these columns
    Shape shape;
  };
  /// What the server remembers.
  struct Received {
    std::vector<std::uint32_t> columns;
    Shape shape;
  };

  template <std::floating_point T>
  Sent encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) const {
    require_options();
    if (x.shape().rank() == 0 || x.size() == 0)
      throw ShapeError("SplitFc: tensor " + x.shape().text() + ", wanted (B, ..., D) with values");
    detail::require_finite(x, "SplitFc");
    const Index B = x.dim(0), n = x.size() / B, D = sure_columns(x.shape()), J = count(x.shape());

    // 1. Which columns.
    const detail::ColumnStatistics<T> stats{x};
    std::vector<double> all(static_cast<std::size_t>(n), 1.0);
    const auto others = static_cast<std::size_t>(D);
    const auto chances =
        detail::keep_probabilities(std::span{stats.deviations}.subspan(others), J - D);
    std::copy(chances.begin(), chances.end(), all.begin() + D);
    Sent sent{detail::choose_columns(all, J, rng.uniform()), {}, x.shape()};
    for (const std::uint32_t j : sent.columns) sent.probabilities.push_back(all[j]);

    // 2. What of them is sent.
    std::vector<std::uint16_t> bases;
    if (fill == SplitFcFill::mean)
      for (const T mean : stats.means) bases.push_back(detail::HalfFloat::from(mean));
    Tensor<T> columns = detail::gather_columns<T>(x, sent.columns);
    const std::vector<T> base = base_values<T>(bases);
    parallel_for(J, 64, [&](Index begin, Index end) {
      for (Index j = begin; j < end; ++j) {
        const auto at = static_cast<std::size_t>(j);
        const T low = base.empty() ? T{0} : base[sent.columns[at]];
        const T p = divisor<T>(sent.probabilities[at]);
        for (T& value : columns.view().slice(j, j + 1).span())
          value = detail::limited((value - low) / p);
      }
    });
    detail::put_index_sets(sent.columns, J, n, out);
    ByteWriter{out}.put_array(std::span<const std::uint16_t>{bases});
    detail::encode_columns(columns, bits(up_bits), out);
    return sent;
  }

  template <std::floating_point T>
  Decoded<T, Received> decode(std::span<const std::byte> in, const Shape& shape) const {
    require_options();
    if (shape.rank() == 0 || shape.elements() == 0 ||
        shape.elements() / shape[0] > Index{std::numeric_limits<std::uint32_t>::max()})
      throw WireError(Reason::wrong_shape, "SplitFc: a tensor " + shape.text() +
                                               ", wanted (B, ..., D) with 1 to 2^32 - 1 columns");
    const Index n = shape.elements() / shape[0], J = count(shape);
    // 4 bits a column at least, which are asked for before memory is taken.
    if (J / 2 > static_cast<Index>(in.size()))
      throw WireError(Reason::truncated, "SplitFc: " + std::to_string(in.size()) + " bytes for " +
                                             std::to_string(J) + " columns");
    ByteReader reader{in, "SplitFc"};
    Received receipt{detail::get_index_sets(reader, 1, J, n, "SplitFc"), shape};
    std::vector<std::uint16_t> bases;
    if (fill == SplitFcFill::mean) {
      if (static_cast<std::size_t>(n) > reader.left() / 2)
        throw WireError(Reason::truncated, "SplitFc: too few bytes for the means of columns");
      bases.resize(static_cast<std::size_t>(n));
      reader.get_array(std::span{bases});
      for (const std::uint16_t base : bases)
        if (!detail::HalfFloat::is_finite(base))
          throw WireError(Reason::not_finite, "SplitFc: NaN or infinity among means of columns");
    }
    const Tensor<T> columns =
        detail::decode_columns<T>(reader, J, shape[0], bits(up_bits), "SplitFc");
    reader.expect_end();
    Tensor<T> values =
        detail::scatter_columns(columns, receipt.columns, shape, base_values<T>(bases));
    return {std::move(values), std::move(receipt)};
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient, const Received& received,
                       std::vector<std::byte>& out, Rng&) const {
    if (!(gradient.shape() == received.shape))
      throw ShapeError("SplitFc: gradient " + gradient.shape().text() + " for a tensor " +
                       received.shape.text());
    detail::require_finite(gradient, "SplitFc");
    detail::encode_columns(detail::gather_columns<T>(gradient, received.columns), bits(down_bits),
                           out);
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const Sent& sent,
                            const Shape& shape) const {
    if (!(shape == sent.shape))
      throw WireError(Reason::wrong_shape,
                      "SplitFc: a gradient " + shape.text() + " for a tensor " + sent.shape.text());
    const auto J = static_cast<Index>(sent.columns.size());
    ByteReader reader{in, "SplitFc"};
    Tensor<T> columns = detail::decode_columns<T>(reader, J, shape[0], bits(down_bits), "SplitFc");
    reader.expect_end();
    for (Index j = 0; j < J; ++j) {
      const T p = divisor<T>(sent.probabilities[static_cast<std::size_t>(j)]);
      for (T& value : columns.view().slice(j, j + 1).span()) value = detail::limited(value / p);
    }
    return detail::scatter_columns(columns, sent.columns, shape, std::vector<T>{});
  }

  /// What it does and with which options, on one line.
  std::string description() const {
    return "split_fc keep=" + exact_text(keep) + " up_bits=" + exact_text(up_bits) +
           " down_bits=" + exact_text(down_bits) + " end_bits=" + std::to_string(end_bits) +
           " mean_bits=" + std::to_string(mean_bits) +
           " fill=" + (fill == SplitFcFill::zero ? "zero" : "mean") +
           " keep_cls=" + (keep_cls ? "yes" : "no");
  }

 private:
  void require_options() const {
    const auto refuse = [](const std::string& text) {
      throw std::invalid_argument("SplitFc: " + text);
    };
    if (!(keep > 0 && keep <= 1)) refuse("keep is " + exact_text(keep) + ", wanted (0, 1]");
    for (const double mean : {up_bits, down_bits})
      if (!(mean >= 0 && mean <= 8)) refuse(exact_text(mean) + " bits on average, wanted 0 to 8");
    for (const int bits_of : {end_bits, mean_bits})
      if (bits_of < 1 || bits_of > 16)
        refuse(std::to_string(bits_of) + " bits for ends or means, wanted 1 to 16");
  }

  detail::ColumnBits bits(double mean) const { return {mean, end_bits, mean_bits}; }
  /// Columns that are always kept.
  Index sure_columns(const Shape& shape) const {
    return keep_cls && shape.rank() > 1 ? shape.back() : 0;
  }
  /// Columns that are kept, J.
  Index count(const Shape& shape) const {
    return std::max(sure_columns(shape), detail::kept_entries(keep, shape.elements() / shape[0]));
  }

  /// What arrives in the place of each column; empty for zeros.
  template <class T>
  static std::vector<T> base_values(const std::vector<std::uint16_t>& bases) {
    std::vector<T> out;
    for (const std::uint16_t base : bases) out.push_back(detail::HalfFloat::to<T>(base));
    return out;
  }

  /// A probability to divide by. Columns with less are as good as never kept.
  template <class T>
  static T divisor(double probability) {
    return static_cast<T>(std::max(probability, 1e-30));
  }
};

}  // namespace splitvit::codec
