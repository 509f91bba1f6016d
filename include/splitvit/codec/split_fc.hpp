// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy, max

#include <splitvit/codec/concepts.hpp>             // Decoded
#include <splitvit/codec/detail/column_coder.hpp>  // ColumnBits, decode_columns, encode_columns
#include <splitvit/codec/detail/columns.hpp>  // ColumnStatistics, choose_columns, gather_columns, keep_probabilities
#include <splitvit/codec/detail/index_set.hpp>  // get_index_sets, put_index_sets
#include <splitvit/codec/detail/require.hpp>  // announced_sample_size, require_finite, sample_size
#include <splitvit/core/bytes.hpp>            // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>            // Reason, WireError
#include <splitvit/core/finite.hpp>           // limited
#include <splitvit/core/options.hpp>          // describe_options, names_of, require_options, Whole
#include <splitvit/core/parallel.hpp>         // parallel_for
#include <splitvit/core/random.hpp>           // Rng
#include <splitvit/kernel/float16.hpp>        // HalfFloat
#include <splitvit/kernel/largest.hpp>        // kept_entries
#include <splitvit/tensor/tensor.hpp>         // Tensor, TensorView

// SplitFc: the columns that vary over the batch, with more bits the wider they are. Letters: B
// samples of n values, so n columns; D channels; J columns that are kept.

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// What arrives where a column was not sent.
enum class SplitFcFill : std::uint8_t {
  zero,  ///< zeros
  mean   ///< the column's mean, as float16
};

/// SplitFC-style: keeps columns at random, with a higher probability p the more they deviate, and
/// divides their values above a base by p, so that the sum is right on average. Wide columns
/// are quantised with more bits than narrow ones; the narrowest send their mean alone.
///
/// Shapes  x (B, ..., D) with values, n below 2^32. A column is a place in the sample.
/// Sent    Which columns are kept, as an index set (nothing but its mode if all are); with `fill`
///         mean 2 n bytes; then the columns: two ranges (8 bytes each, 16 for double), 4 bits a
///         column, 2 end_bits for a wide one, mean_bits for a narrow one, and the codes, at most
///         B J up_bits bits. The same columns of the gradient come back with down_bits, without
///         set.
/// Grad    At the columns kept: what arrives over p, the base being a constant; zero elsewhere.
/// Errors  See Codec.
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

  static constexpr std::string_view name = "splitfc";
  static void each_option(auto& self, auto&& see) {
    see("", self.keep, fraction("KEEP"));
    see("up_bits", self.up_bits, Real{0, 8, "BITS"});
    see("down_bits", self.down_bits, Real{0, 8, "BITS"});
    see("end_bits", self.end_bits, Whole{1, 16, "BITS"});
    see("mean_bits", self.mean_bits, Whole{1, 16, "BITS"});
    see("fill", self.fill,
        names_of<SplitFcFill>({{"zero", SplitFcFill::zero}, {"mean", SplitFcFill::mean}}));
    see("keep_cls", self.keep_cls, yes_no);
  }
  std::string description() const { return describe_options(*this); }

  /// The context of both sides.
  struct Context {
    std::vector<std::uint32_t> columns;  ///< (J) that were sent
    Shape shape;                         ///< of the tensor
    std::vector<double> probabilities;   ///< (J) of these columns; the receiver does not know them
  };

  template <std::floating_point T>
  Context encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) const {
    require_options(name, *this);
    const Index n = detail::sample_size(x.shape(), "splitfc");
    detail::require_finite(x, "splitfc");
    const Index D = sure_columns(x.shape()), J = count(x.shape());

    // 1. Which columns.
    const detail::ColumnStatistics<T> stats{x};
    std::vector<double> all(static_cast<std::size_t>(n), 1.0);
    const auto others = static_cast<std::size_t>(D);
    const auto chances =
        detail::keep_probabilities(std::span{stats.deviations}.subspan(others), J - D);
    std::copy(chances.begin(), chances.end(), all.begin() + D);
    Context sent{detail::choose_columns(all, J, rng.uniform()), x.shape(), {}};
    for (const std::uint32_t j : sent.columns) sent.probabilities.push_back(all[j]);

    // 2. What is sent of them.
    std::vector<std::uint16_t> bases;
    if (fill == SplitFcFill::mean)
      for (const T mean : stats.means) bases.push_back(kernel::HalfFloat::from(mean));
    const std::vector<T> base = base_values<T>(bases);
    Tensor<T> columns = detail::gather_columns<T>(x, sent.columns);
    divide(columns, sent, base);
    detail::put_index_sets(sent.columns, J, n, out);
    ByteWriter{out}.put_array(std::span<const std::uint16_t>{bases});
    detail::encode_columns(columns, bits(up_bits), out);
    return sent;
  }

  template <std::floating_point T>
  Decoded<T, Context> decode(std::span<const std::byte> in, const Shape& shape) const {
    require_options(name, *this);
    const Index n = detail::announced_sample_size(shape, "splitfc");
    if (n > Index{std::numeric_limits<std::uint32_t>::max()})
      throw WireError(Reason::wrong_shape, {"splitfc: a tensor ", shape.text(),
                                            ", wanted (B, ..., D) with 1 to 2^32 - 1 columns"});
    const Index J = count(shape);
    ByteReader reader{in, "splitfc"};
    reader.require(J / 2, 1);  // 4 bits a column at least
    Context received{detail::get_index_sets(reader, 1, J, n), shape, {}};
    std::vector<std::uint16_t> bases;
    if (fill == SplitFcFill::mean) {
      reader.require(n, 2);
      bases.resize(static_cast<std::size_t>(n));
      reader.get_array(std::span{bases});
      for (const std::uint16_t base : bases)
        if (!kernel::HalfFloat::is_finite(base))
          reader.refuse(Reason::not_finite, {"NaN or infinity among means of columns"});
    }
    const Tensor<T> columns = detail::decode_columns<T>(reader, J, shape[0], bits(up_bits));
    reader.expect_end();
    Tensor<T> values =
        detail::scatter_columns(columns, received.columns, shape, base_values<T>(bases));
    return {std::move(values), std::move(received)};
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient, const Context& received,
                       std::vector<std::byte>& out, Rng&) const {
    detail::require_gradient_shape(gradient.shape(), received.shape, "splitfc");
    detail::require_finite(gradient, "splitfc");
    detail::encode_columns(detail::gather_columns<T>(gradient, received.columns), bits(down_bits),
                           out);
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const Context& sent,
                            const Shape& shape) const {
    detail::require_announced_gradient(shape, sent.shape, "splitfc");
    ByteReader reader{in, "splitfc"};
    Tensor<T> columns = detail::decode_columns<T>(reader, static_cast<Index>(sent.columns.size()),
                                                  shape[0], bits(down_bits));
    reader.expect_end();
    divide(columns, sent, {});
    return detail::scatter_columns(columns, sent.columns, shape, std::vector<T>{});
  }

 private:
  detail::ColumnBits bits(double mean) const { return {mean, end_bits, mean_bits}; }
  /// Columns that are always kept.
  Index sure_columns(const Shape& shape) const {
    return keep_cls && shape.rank() > 1 ? shape.back() : 0;
  }
  /// Columns that are kept, J.
  Index count(const Shape& shape) const {
    return std::max(sure_columns(shape), kernel::kept_entries(keep, shape.elements() / shape[0]));
  }

  /// What arrives in the place of each column; empty for zeros.
  template <class T>
  static std::vector<T> base_values(const std::vector<std::uint16_t>& bases) {
    std::vector<T> out;
    for (const std::uint16_t base : bases) out.push_back(kernel::HalfFloat::to<T>(base));
    return out;
  }

  /// Columns minus their base, divided by their probability.
  template <class T>
  static void divide(Tensor<T>& columns, const Context& sent, const std::vector<T>& base) {
    parallel_for(columns.dim(0), 64, [&](Index begin, Index end) {
      for (Index j = begin; j < end; ++j) {
        const auto at = static_cast<std::size_t>(j);
        const T low = base.empty() ? T{0} : base[sent.columns[at]];
        // Columns with a lower probability are practically never kept.
        const T p = static_cast<T>(std::max(sent.probabilities[at], 1e-30));
        const std::span<T> column = columns.view().slice(j, j + 1).span();
        for (T& value : column) value = limited((value - low) / p);
      }
    });
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
