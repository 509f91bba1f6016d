// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, sort
#include <cmath>      // ldexp
#include <concepts>   // floating_point
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint8_t, uint16_t
#include <numeric>    // iota
#include <optional>   // optional
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <utility>    // as_const
#include <vector>     // vector

#include <splitvit/codec/concepts.hpp>                // Decoded, NoReceipt
#include <splitvit/codec/detail/finite_values.hpp>    // limited, require_finite
#include <splitvit/codec/detail/packed_bits.hpp>      // BitReader, BitWriter
#include <splitvit/codec/detail/range_quantiser.hpp>  // Range, find_range, quantise
#include <splitvit/codec/detail/token_spectra.hpp>    // TokenSpectra
#include <splitvit/core/bytes.hpp>                    // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>                    // ShapeError, WireError
#include <splitvit/core/parallel.hpp>                 // parallel_for
#include <splitvit/core/random.hpp>                   // Rng
#include <splitvit/core/text.hpp>                     // exact_text
#include <splitvit/tensor/tensor.hpp>                 // Tensor, TensorView

// SlFac: tokens as cosine coefficients, the low frequencies with more bits than the high ones.
// Letters: B samples, N tokens, T = N - 1 without CLS, D channels.

namespace splitvit::codec {

/// How the patch tokens lie in the image.
struct TokenGrid {
  Index rows = 0;
  Index columns = 0;
};

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
/// Errors  std::invalid_argument for options outside their range; ShapeError for other shapes;
///         WireError: not_finite, wrong_shape, truncated or malformed.
/// Source  "SL-FAC: A Communication-Efficient Split Learning Framework with Frequency-Aware
///         Compression", arXiv:2604.07316.
/// Differs Formulas are ours: no code is known. Energies are those of the whole batch; CLS, which
///         has no place in the image, is sent exactly.
struct SlFac {
  double theta = 0.9;                  ///< share of the energy that is low, in (0, 1]
  int mid_bits = 4;                    ///< of a code of mean energy, 1..16
  int min_bits = 2;                    ///< of a code, 1..16
  int max_bits = 8;                    ///< of a code, min_bits..16
  std::optional<TokenGrid> grid = {};  ///< places of the patch tokens

  template <std::floating_point T>
  NoReceipt encode(TensorView<const T> x, std::vector<std::byte>& out, Rng&) const {
    write(x, out);
    return {};
  }

  template <std::floating_point T>
  Decoded<T, NoReceipt> decode(std::span<const std::byte> in, const Shape& shape) const {
    return {read<T>(in, shape), {}};
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient, const NoReceipt&, std::vector<std::byte>& out,
                       Rng&) const {
    write(gradient, out);
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const NoReceipt&,
                            const Shape& shape) const {
    return read<T>(in, shape);
  }

  /// What it does and with which options, on one line.
  std::string description() const {
    return "sl_fac theta=" + exact_text(theta) + " mid_bits=" + std::to_string(mid_bits) +
           " min_bits=" + std::to_string(min_bits) + " max_bits=" + std::to_string(max_bits) +
           " grid=" +
           (grid ? std::to_string(grid->rows) + "x" + std::to_string(grid->columns) : "none");
  }

 private:
  /// The first `low` coefficients of a channel and the others; each with its bits and range.
  template <class T>
  struct Channel {
    struct Part {
      Index begin = 0;  // in numbers of the channel: coefficients times samples
      Index count = 0;
      int bits = 1;
      detail::Range<T> range = {};

      bool has_codes() const { return count > 0 && range.scale != T{0}; }
    };
    Index low = 0;
    Part parts[2] = {};
  };

  void require_options() const {
    const auto refuse = [](const std::string& text) {
      throw std::invalid_argument("SlFac: " + text);
    };
    if (!(theta > 0 && theta <= 1)) refuse("theta is " + exact_text(theta) + ", wanted (0, 1]");
    if (min_bits < 1 || max_bits > 16 || min_bits > max_bits || mid_bits < 1 || mid_bits > 16)
      refuse(std::to_string(min_bits) + " to " + std::to_string(max_bits) + " bits around " +
             std::to_string(mid_bits) + ", wanted 1 <= min_bits <= max_bits <= 16, mid_bits 1..16");
    if (grid && (grid->rows < 1 || grid->columns < 1))
      refuse("a grid of " + std::to_string(grid->rows) + " times " + std::to_string(grid->columns) +
             " places");
  }

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

  /// How the coefficients (T, B) of a channel are divided; `energies` (T) over the batch.
  template <class T>
  Channel<T> divide(std::span<const T> values, std::span<const double> energies,
                    double mean_energy) const {
    const auto count = static_cast<Index>(energies.size());
    const Index B = static_cast<Index>(values.size()) / count;
    double total = 0, sum = energies[0];
    for (const double energy : energies) total += energy;
    Channel<T> channel{.low = 1};
    for (; sum < theta * total && channel.low < count; ++channel.low)
      sum += energies[static_cast<std::size_t>(channel.low)];

    const Index ends[] = {0, channel.low, count};
    for (std::size_t i = 0; i < 2; ++i) {
      auto& part = channel.parts[i];
      part.begin = ends[i] * B;
      part.count = (ends[i + 1] - ends[i]) * B;
      part.bits = min_bits;
      if (part.count == 0) continue;
      double own = 0;
      for (Index u = ends[i]; u < ends[i + 1]; ++u) own += energies[static_cast<std::size_t>(u)];
      if (mean_energy > 0)
        part.bits = bits_for_energy(own / static_cast<double>(part.count) / mean_energy);
      part.range = detail::find_range<T>({values.data() + part.begin, part.count}, part.bits);
    }
    return channel;
  }

  template <class T>
  void write(TensorView<const T> x, std::vector<std::byte>& out) const {
    require_options();
    if (!fits(x.shape()))
      throw ShapeError("SlFac: tensor " + x.shape().text() +
                       ", wanted (B, N, D) with values and N at most 65536");
    detail::require_finite(x, "SlFac");
    const Index B = x.dim(0), N = x.dim(1), D = x.dim(2), count = N - 1, each = count * B;
    ByteWriter writer{out};
    for (Index b = 0; b < B; ++b)
      writer.put_array(
          x.span().subspan(static_cast<std::size_t>(b * N * D), static_cast<std::size_t>(D)));
    if (count == 0) return;

    // 1. Coefficients (D, T, B) and how each channel is divided.
    const Tensor<T> values = spectra_of(x.shape()).forward(x);
    std::vector<double> energies(static_cast<std::size_t>(D * count));
    parallel_for(D * count, 16, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        double sum = 0;
        for (Index b = 0; b < B; ++b) {
          const auto value = static_cast<double>(values[i * B + b]);
          sum += value * value;
        }
        energies[static_cast<std::size_t>(i)] = sum;
      }
    });
    double total = 0;
    for (const double energy : energies) total += energy;
    const double mean_energy = total / static_cast<double>(D) / static_cast<double>(each);
    std::vector<Channel<T>> channels(static_cast<std::size_t>(D));
    Tensor<std::uint16_t> codes = Tensor<std::uint16_t>::uninitialised({D, each});
    parallel_for(D, 1, [&](Index d, Index) {
      auto& channel = channels[static_cast<std::size_t>(d)];
      channel = divide<T>(values.view().slice(d, d + 1).span(),
                          std::span{energies}.subspan(static_cast<std::size_t>(d * count),
                                                      static_cast<std::size_t>(count)),
                          mean_energy);
      for (const auto& part : channel.parts)
        if (part.has_codes())
          detail::quantise<T>({values.data() + d * each + part.begin, part.count}, part.range,
                              part.bits, codes.data() + d * each + part.begin);
    });

    // 2. Bytes.
    for (const auto& channel : channels) {
      writer.put(static_cast<std::uint16_t>(channel.low));
      writer.put(static_cast<std::uint8_t>((channel.parts[0].bits - 1) |
                                           ((channel.parts[1].bits - 1) << 4)));
      for (const auto& part : channel.parts)
        if (part.count > 0) detail::put_range(writer, part.range);
    }
    detail::BitWriter packed{out};
    for_each_part(channels, [&](Index d, const auto& part) {
      packed.put_all(std::span<const std::uint16_t>{codes.data() + d * each + part.begin,
                                                    static_cast<std::size_t>(part.count)},
                     part.bits);
    });
    packed.finish();
  }

  /// Calls f(channel number, part) for all parts with codes, in the order of their codes.
  template <class T, class F>
  static void for_each_part(const std::vector<Channel<T>>& channels, const F& f) {
    for (std::size_t d = 0; d < channels.size(); ++d)
      for (const auto& part : channels[d].parts)
        if (part.has_codes()) f(static_cast<Index>(d), part);
  }

  template <class T>
  Channel<T> read_channel(ByteReader& reader, Index count, Index B) const {
    const auto refuse = [](const std::string& text) {
      throw WireError(Reason::malformed, "SlFac: a channel with " + text);
    };
    Channel<T> channel;
    channel.low = reader.get<std::uint16_t>();
    if (channel.low < 1 || channel.low > count)
      refuse(std::to_string(channel.low) + " low coefficients of " + std::to_string(count));
    const int bits = reader.get<std::uint8_t>();
    const Index ends[] = {0, channel.low, count};
    for (std::size_t i = 0; i < 2; ++i) {
      auto& part = channel.parts[i];
      part.begin = ends[i] * B;
      part.count = (ends[i + 1] - ends[i]) * B;
      part.bits = ((bits >> (4 * i)) & 15) + 1;
      if (part.bits < min_bits || part.bits > max_bits)
        refuse("codes of " + std::to_string(part.bits) + " bits");
      if (part.count > 0) part.range = detail::get_range<T>(reader, "SlFac");
    }
    return channel;
  }

  template <class T>
  Tensor<T> read(std::span<const std::byte> in, const Shape& shape) const {
    require_options();
    if (!fits(shape))
      throw WireError(
          Reason::wrong_shape,
          "SlFac: a tensor " + shape.text() + ", wanted (B, N, D) with values and N at most 65536");
    const Index B = shape[0], N = shape[1], D = shape[2], count = N - 1, each = count * B;

    // 1. CLS tokens and channels. Divided, not multiplied: a hostile shape must not overflow.
    ByteReader reader{in, "SlFac"};
    if (B > static_cast<Index>(in.size() / sizeof(T)) / D)
      throw WireError(Reason::truncated, "SlFac: " + std::to_string(in.size()) +
                                             " bytes for a tensor " + shape.text());
    Tensor<T> cls = Tensor<T>::uninitialised({B, D});
    reader.get_array(cls.span());
    detail::require_finite<T>(cls.view(), "SlFac");
    std::vector<Channel<T>> channels;
    for (Index d = 0; d < D && count > 0; ++d)
      channels.push_back(read_channel<T>(reader, count, B));

    // 2. Codes, if all are there; then coefficients and tokens.
    detail::BitReader packed{reader, "SlFac"};
    std::size_t wanted = 0;
    for_each_part(channels, [&](Index, const auto& part) {
      packed.require(part.count, part.bits);
      wanted += static_cast<std::size_t>(part.count) * static_cast<std::size_t>(part.bits);
    });
    if (wanted / 8 > reader.left())
      throw WireError(Reason::truncated, "SlFac: " + std::to_string(reader.left()) +
                                             " bytes for codes of " + std::to_string(wanted) +
                                             " bits");
    Tensor<T> out = Tensor<T>::uninitialised(shape);
    for (Index b = 0; b < B; ++b) std::copy_n(cls.data() + b * D, D, out.data() + b * N * D);
    if (count > 0) {
      Tensor<std::uint16_t> codes =
          Tensor<std::uint16_t>::uninitialised({wanted > 0 ? D : 0, each});
      for_each_part(channels, [&](Index d, const auto& part) {
        packed.get_all(
            std::span{codes.data() + d * each + part.begin, static_cast<std::size_t>(part.count)},
            part.bits);
      });
      packed.finish();
      Tensor<T> values = Tensor<T>::uninitialised({D, count, B});
      parallel_for(D, 1, [&](Index d, Index) {
        for (const auto& part : channels[static_cast<std::size_t>(d)].parts)
          detail::dequantise(codes.data() + d * each + part.begin, part.range, part.bits,
                             detail::Strided<T>{values.data() + d * each + part.begin, part.count});
      });
      spectra_of(shape).inverse(std::move(values), out);
    }
    reader.expect_end();
    return out;
  }
};

}  // namespace splitvit::codec
