// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, min
#include <cmath>      // ldexp

#include <splitvit/codec/concepts.hpp>              // Pass
#include <splitvit/codec/detail/coded_groups.hpp>   // CodedGroup, find_ranges, get_codes, put_coded
#include <splitvit/codec/detail/require.hpp>        // require_finite
#include <splitvit/codec/detail/token_spectra.hpp>  // TokenSpectra
#include <splitvit/core/bytes.hpp>                  // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>                  // Reason, ShapeError
#include <splitvit/core/options.hpp>                // describe_options, fraction, Whole
#include <splitvit/core/parallel.hpp>               // parallel_for
#include <splitvit/core/random.hpp>                 // Rng
#include <splitvit/tensor/tensor.hpp>               // Tensor, TensorView

// SlFac: tokens as cosine coefficients, the low frequencies with more bits than the high ones.
// Letters: B samples, N tokens, T = N - 1 without CLS, D channels.

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// How the patch tokens lie in the image.
struct TokenGrid {
  Index rows = 0;
  Index columns = 0;
};

namespace detail {
/// The kind of an option (core/options.hpp) that is a grid or none: "14x14".
struct GridSize {
  static constexpr Whole<int> side{1, 65536, ""};

  std::string usage() const { return "ROWSxCOLUMNS"; }
  std::string wanted() const { return "two whole numbers from 1 to 65536, as in 14x14, or none"; }
  bool allows(const std::optional<TokenGrid>& grid) const {
    return !grid || (side.allows(grid->rows) && side.allows(grid->columns));
  }
  std::string text(const std::optional<TokenGrid>& grid) const {
    return grid ? std::to_string(grid->rows) + "x" + std::to_string(grid->columns) : "none";
  }
  template <class Grid>
  std::optional<Grid> read(std::string_view text) const {
    if (text == "none") return Grid{};
    const std::size_t mark = std::min(text.find('x'), text.size());
    const auto rows = number_from<Index>(text.substr(0, mark));
    const auto columns = number_from<Index>(text.substr(std::min(mark + 1, text.size())));
    if (!rows || !columns) return {};
    return Grid{{*rows, *columns}};
  }
};
}  // namespace detail

/// SL-FAC-style: the tokens of each sample and channel through a discrete cosine transform; the
/// first coefficients that hold `theta` of a channel's energy, and the others, are quantised
/// each in a range and with a number of bits of their own:
///
///   bits = mid_bits + log2(m / m*) / 2, to the nearest whole number (halves to even), within
///   min_bits..max_bits; m = mean energy of a coefficient of this part, m* = of all
///
/// Shapes  x (B, N, D) with values, N at most 65536. The transform has two axes if `grid` is
///         given and has T places, else one, over ascending tokens.
/// Sent    Token 0 as it is, 4 B D bytes (8 for double). If T > 0, for each channel: u16 f, the
///         number of its low coefficients; u8 bits - 1 of the low part (lower half) and of the
///         high part; low and scale of the low part and, if f < T, of the high part (8 bytes
///         each, 16 for double). Then the codes in one section, channel by channel: coefficients
///         by ascending frequency, each for all samples; none for a part with scale 0.
/// Grad    The same on the gradient; straight-through.
/// Errors  See Codec.
/// Source  "SL-FAC: A Communication-Efficient Split Learning Framework with Frequency-Aware
///         Compression", arXiv:2604.07316.
/// Differs Formulas are ours: no code is known. Energies are of the whole batch; CLS, which has no
///         place in the image, is sent exactly.
struct SlFac {
  double theta = 0.9;                  ///< share of the energy that is low, in (0, 1]
  int mid_bits = 4;                    ///< of a code of mean energy, 1..16
  int min_bits = 2;                    ///< of a code, 1..16
  int max_bits = 8;                    ///< of a code, min_bits..16
  std::optional<TokenGrid> grid = {};  ///< places of the patch tokens

  static constexpr std::string_view name = "slfac";
  static void each_option(auto& self, auto&& see) {
    see("", self.theta, fraction("THETA"));
    see("mid_bits", self.mid_bits, Whole{1, 16, "BITS"});
    see("max_bits", self.max_bits, Whole{1, 16, "BITS"});
    see("min_bits", self.min_bits, Whole{1, self.max_bits, "BITS"});
    see("grid", self.grid, detail::GridSize{});
  }
  std::string description() const { return describe_options(*this); }

  template <std::floating_point T>
  Index put(TensorView<const T> x, Pass, std::vector<std::byte>& out, Rng&) const {
    if (!fits(x.shape()))
      throw ShapeError({"slfac: tensor ", x.shape().text(),
                        ", wanted (B, N, D) with values and N at most 65536"});
    const Index B = x.dim(0), N = x.dim(1), D = x.dim(2), count = N - 1;
    ByteWriter writer{out};
    for (Index b = 0; b < B; ++b)
      writer.put_array(
          x.span().subspan(static_cast<std::size_t>(b * N * D), static_cast<std::size_t>(D)));
    if (count == 0) return 0;

    // 1. Coefficients (D, T, B), and how each channel is divided: two groups a channel.
    const Tensor<T> values = spectra_of(x.shape()).forward(x);
    const std::vector<double> energies = energies_of(values);
    double total = 0;
    for (const double energy : energies) total += energy;
    const double mean_energy = total / static_cast<double>(D) / static_cast<double>(count * B);
    std::vector<detail::CodedGroup<T>> parts;
    for (Index d = 0; d < D; ++d)
      divide<T>(std::span{energies}.subspan(static_cast<std::size_t>(d * count),
                                            static_cast<std::size_t>(count)),
                mean_energy, B, parts);
    detail::find_ranges<T>(values.span(), parts);

    // 2. Bytes.
    for (std::size_t i = 0; i < parts.size(); i += 2) {
      writer.put(static_cast<std::uint16_t>(parts[i].count / B));
      writer.put(static_cast<std::uint8_t>((parts[i].bits - 1) | ((parts[i + 1].bits - 1) << 4)));
      for (const auto& part : {parts[i], parts[i + 1]})
        if (part.count > 0) detail::put_range(writer, part.range);
    }
    detail::put_coded<T>(values.span(), parts, out);
    return 0;
  }

  template <std::floating_point T>
  Tensor<T> get(ByteReader& reader, const Shape& shape, Pass) const {
    if (!fits(shape))
      reader.refuse(Reason::wrong_shape,
                    {"a tensor ", shape.text(), ", wanted (B, N, D) with values, N to 65536"});
    const Index B = shape[0], N = shape[1], D = shape[2], count = N - 1;
    reader.require(B * D, sizeof(T));  // B D is at most the number of elements
    Tensor<T> cls = Tensor<T>::uninitialised({B, D});
    reader.get_array(cls.span());
    detail::require_finite<T>(cls.view(), "slfac");
    std::vector<detail::CodedGroup<T>> parts;
    for (Index d = 0; d < D && count > 0; ++d) read_channel(reader, count, B, parts);
    const Tensor<std::uint16_t> codes = detail::get_codes<T>(reader, parts);

    Tensor<T> x = Tensor<T>::uninitialised(shape);
    for (Index b = 0; b < B; ++b) std::copy_n(cls.data() + b * D, D, x.data() + b * N * D);
    if (count > 0)
      spectra_of(shape).inverse(detail::dequantise_groups<T>(codes, parts, {D, count, B}), x);
    return x;
  }

 private:
  static constexpr Index most_tokens = 65536;
  static bool fits(const Shape& shape) {
    return shape.rank() == 3 && shape.elements() > 0 && shape[1] <= most_tokens;
  }
  detail::TokenSpectra spectra_of(const Shape& shape) const {
    const bool planar = grid && grid->rows <= shape[1] && grid->columns <= shape[1] &&
                        grid->rows * grid->columns == shape[1] - 1;
    return planar ? detail::TokenSpectra{shape, grid->rows, grid->columns}
                  : detail::TokenSpectra{shape, shape[1] - 1, 1};
  }

  /// The sum of squares over the batch of each coefficient of each channel, (D T).
  template <class T>
  static std::vector<double> energies_of(const Tensor<T>& coefficients) {
    const Index B = coefficients.shape().back();
    std::vector<double> energies(static_cast<std::size_t>(coefficients.shape().rows()));
    parallel_for(coefficients.shape().rows(), 16, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        double sum = 0;
        for (Index b = 0; b < B; ++b) {
          const auto value = static_cast<double>(coefficients[i * B + b]);
          sum += value * value;
        }
        energies[static_cast<std::size_t>(i)] = sum;
      }
    });
    return energies;
  }

  /// The bits for a part whose numbers have `ratio` times the mean energy. Compared with powers
  /// of two rather than through a logarithm: exact, so that halves go to even everywhere.
  int bits_for_energy(double ratio) const {
    int bits = min_bits;
    for (int more = min_bits + 1; more <= max_bits; ++more) {
      const double half = std::ldexp(1.0, 2 * (more - mid_bits) - 1);  // halfway below `more`
      if (ratio > half || (ratio == half && more % 2 == 0)) bits = more;
    }
    return bits;
  }

  /// Appends the two parts of a channel with these energies (T) of its coefficients: the first ones
  /// that hold theta of their sum, at least one, and the others.
  template <class T>
  void divide(std::span<const double> energies, double mean_energy, Index B,
              std::vector<detail::CodedGroup<T>>& parts) const {
    double total = 0;
    for (const double energy : energies) total += energy;
    std::size_t low = 1;
    for (double sum = energies[0]; sum < theta * total && low < energies.size(); ++low)
      sum += energies[low];
    for (const auto part : {energies.first(low), energies.subspan(low)}) {
      const Index count = static_cast<Index>(part.size()) * B;
      double own = 0;
      for (const double energy : part) own += energy;
      const bool measured = count > 0 && mean_energy > 0;
      parts.push_back({.count = count,
                       .bits = measured
                                   ? bits_for_energy(own / static_cast<double>(count) / mean_energy)
                                   : min_bits,
                       .range = {}});
    }
  }

  /// Reads what is known of a channel; appends its two parts.
  template <class T>
  void read_channel(ByteReader& reader, Index count, Index B,
                    std::vector<detail::CodedGroup<T>>& parts) const {
    const Index low = reader.get<std::uint16_t>();
    if (low < 1 || low > count)
      reader.refuse(Reason::malformed, {low, " low coefficients of ", count});
    const int widths = reader.get<std::uint8_t>();
    for (const auto& [coefficients, bits] :
         {std::pair{low, widths & 15}, std::pair{count - low, widths >> 4}}) {
      detail::CodedGroup<T> part{.count = coefficients * B, .bits = bits + 1, .range = {}};
      if (part.bits < min_bits || part.bits > max_bits)
        reader.refuse(Reason::malformed, {"codes of ", part.bits, " bits"});
      if (part.count > 0) part.range = detail::get_range<T>(reader);
      parts.push_back(part);
    }
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
