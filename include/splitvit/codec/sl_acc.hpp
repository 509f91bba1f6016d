// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // find, max_element, sort, unique
#include <cmath>      // log, sqrt
#include <concepts>   // floating_point
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint8_t, uint16_t
#include <numeric>    // iota
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <utility>    // as_const
#include <vector>     // vector

#include <splitvit/codec/codebook.hpp>                // refine_words
#include <splitvit/codec/concepts.hpp>                // Decoded, NoReceipt
#include <splitvit/codec/detail/entropy.hpp>          // softmax_entropy
#include <splitvit/codec/detail/finite_values.hpp>    // require_finite
#include <splitvit/codec/detail/packed_bits.hpp>      // BitReader, BitWriter, bits_for
#include <splitvit/codec/detail/range_quantiser.hpp>  // Range, find_extremes, quantise
#include <splitvit/codec/detail/transpose.hpp>        // transpose
#include <splitvit/core/bytes.hpp>                    // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>                    // ShapeError, WireError
#include <splitvit/core/parallel.hpp>                 // parallel_for
#include <splitvit/core/random.hpp>                   // Rng
#include <splitvit/core/text.hpp>                     // exact_text
#include <splitvit/tensor/reduce.hpp>                 // sum_of_squares
#include <splitvit/tensor/tensor.hpp>                 // Tensor, TensorView

// SlAcc: channels in groups, each with its own number of bits, by their entropy. Letters: D
// channels of V values, G groups.

namespace splitvit::codec {

/// Which numbers share low and scale.
enum class SlAccRange : std::uint8_t {
  group,   ///< those of all channels of a group
  channel  ///< those of a channel
};

/// SL-ACC-style: the entropy of a channel, blended with its history, says how important it is;
/// channels of like entropy form a group and share a number of bits.
///
///   H_d = -sum p ln p / ln V,  p = softmax of the channel's values over the root mean square
///   of the tensor;  importance = blend * before + (1 - blend) * H_d
///
/// Shapes  x (..., D) with values: a channel is a place in the last axis.
/// Sent    u8 G; the group of each channel, ceil(log2 G) bits; u8 bits of each group; low and
///         scale of each group or channel (8 bytes, 16 for double); then the codes, channel by
///         channel. Where scale is 0 there are no codes, and numbers come back exactly.
/// Grad    The same on the gradient with a history of its own; straight-through.
/// State   `history` at the side that sends activations, `gradient_history` at the other one.
///         Empty before the first step.
/// Errors  std::invalid_argument for options outside their range; ShapeError for a tensor
///         without values; WireError: not_finite, wrong_shape, truncated or malformed.
/// Source  "SL-ACC: A Communication-Efficient Split Learning Framework with Adaptive
///         Channel-wise Compression", arXiv:2508.12984.
/// Differs Formulas are ours: no code is known. With `direction` 1, more bits for more entropy,
///         channels that spread wide get few bits.
struct SlAcc {
  int groups = 4;                             ///< at most, 1..16
  int min_bits = 2;                           ///< of a code, 1..16
  int max_bits = 8;                           ///< of a code, min_bits..16
  double blend = 0.5;                         ///< share of the history, in [0, 1)
  int direction = 1;                          ///< 1: more bits for more entropy; -1: for less
  SlAccRange range = SlAccRange::group;       ///< which numbers share low and scale
  std::vector<double> history = {};           ///< (D) importance of channels of activations
  std::vector<double> gradient_history = {};  ///< (D) of channels of gradients

  template <std::floating_point T>
  NoReceipt encode(TensorView<const T> x, std::vector<std::byte>& out, Rng&) {
    write(x, history, out);
    return {};
  }

  template <std::floating_point T>
  Decoded<T, NoReceipt> decode(std::span<const std::byte> in, const Shape& shape) const {
    return {read<T>(in, shape), {}};
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient, const NoReceipt&, std::vector<std::byte>& out,
                       Rng&) {
    write(gradient, gradient_history, out);
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const NoReceipt&,
                            const Shape& shape) const {
    return read<T>(in, shape);
  }

  /// What it does and with which options, on one line.
  std::string description() const {
    return "sl_acc groups=" + std::to_string(groups) + " min_bits=" + std::to_string(min_bits) +
           " max_bits=" + std::to_string(max_bits) + " blend=" + exact_text(blend) +
           " direction=" + std::to_string(direction) +
           " range=" + (range == SlAccRange::group ? "group" : "channel");
  }

  /// See StateVisitor.
  void each_state(auto&& see) {
    see(std::string{"history"}, history);
    see(std::string{"gradient_history"}, gradient_history);
  }

 private:
  void require_options() const {
    const auto refuse = [](const std::string& text) {
      throw std::invalid_argument("SlAcc: " + text);
    };
    if (groups < 1 || groups > 16) refuse(std::to_string(groups) + " groups, wanted 1 to 16");
    if (min_bits < 1 || max_bits > 16 || min_bits > max_bits)
      refuse(std::to_string(min_bits) + " to " + std::to_string(max_bits) +
             " bits, wanted 1 <= min_bits <= max_bits <= 16");
    if (!(blend >= 0 && blend < 1)) refuse("blend is " + exact_text(blend) + ", wanted [0, 1)");
    if (direction != 1 && direction != -1)
      refuse("direction is " + std::to_string(direction) + ", wanted 1 or -1");
  }

  /// Bits of the group with rank i of G, lowest importance first.
  int bits_of(Index i, Index G) const {
    const Index rank = direction > 0 ? i : G - 1 - i;
    // half to even of (max - min) * rank / (G - 1), in whole numbers; G = 1: of the middle
    const Index above = G == 1 ? max_bits - min_bits : (max_bits - min_bits) * rank;
    const Index parts = G == 1 ? 2 : G - 1;
    const Index whole = above / parts, twice = 2 * (above % parts);
    const bool up = twice > parts || (twice == parts && (whole + (G == 1 ? min_bits : 0)) % 2 != 0);
    return min_bits + static_cast<int>(whole + (up ? 1 : 0));
  }

  /// The group of each channel by ascending importance.
  std::vector<std::uint8_t> group_channels(const std::vector<double>& importance) const {
    const auto D = static_cast<Index>(importance.size());
    std::vector<double> sorted = importance, start;
    std::sort(sorted.begin(), sorted.end());
    for (Index i = 0; i < groups; ++i)
      start.push_back(sorted[static_cast<std::size_t>((2 * i + 1) * D / (2 * groups))]);
    start.erase(std::unique(start.begin(), start.end()), start.end());
    const auto G = static_cast<Index>(start.size());
    const auto found = refine_words<double>({importance, {D, 1}}, {start, {G, 1}}, 50);

    std::vector<Index> order(start.size());
    std::iota(order.begin(), order.end(), Index{0});
    std::sort(order.begin(), order.end(), [&](Index a, Index b) {
      return found.words[a] != found.words[b] ? found.words[a] < found.words[b] : a < b;
    });
    std::vector<std::uint8_t> rank(start.size()), out(importance.size());
    for (std::size_t i = 0; i < order.size(); ++i)
      rank[static_cast<std::size_t>(order[i])] = static_cast<std::uint8_t>(i);
    for (std::size_t d = 0; d < out.size(); ++d) out[d] = rank[found.codes[d]];
    return out;
  }

  template <class T>
  void write(TensorView<const T> x, std::vector<double>& before,
             std::vector<std::byte>& out) const {
    require_options();
    if (x.size() == 0)
      throw ShapeError("SlAcc: tensor " + x.shape().text() + ", wanted (..., D) with values");
    detail::require_finite(x, "SlAcc");
    const Index D = x.shape().back(), V = x.size() / D;
    Tensor<T> channels = Tensor<T>::uninitialised({D, V});
    parallel_for(V, 64, [&](Index begin, Index end) {
      detail::transpose(x.data() + begin * D, D, end - begin, D, channels.data() + begin, V);
    });
    const auto channel = [&](Index d) {
      return std::span<const T>{channels.data() + d * V, static_cast<std::size_t>(V)};
    };

    // 1. How important each channel is, and the groups.
    const double size = std::sqrt(sum_of_squares(x) / static_cast<double>(x.size()));
    std::vector<double> importance(static_cast<std::size_t>(D));
    std::vector<detail::Extremes<T>> ends(importance.size());
    parallel_for(D, 1, [&](Index d, Index) {
      const auto at = static_cast<std::size_t>(d);
      importance[at] = size > 0 ? detail::softmax_entropy(channel(d), size) : 1.0;
      ends[at] = detail::find_extremes(detail::Strided<const T>{channel(d)});
    });
    if (before.size() == importance.size())
      for (std::size_t d = 0; d < importance.size(); ++d)
        importance[d] = blend * before[d] + (1 - blend) * importance[d];
    before = importance;
    const std::vector<std::uint8_t> group = group_channels(importance);
    const Index G = Index{*std::max_element(group.begin(), group.end())} + 1;

    // 2. Ranges.
    std::vector<detail::Range<T>> ranges;
    if (range == SlAccRange::channel) {
      for (std::size_t d = 0; d < ends.size(); ++d)
        ranges.push_back(detail::range_between(ends[d], bits_of(group[d], G)));
    } else {
      for (Index g = 0; g < G; ++g) {
        const auto first =
            static_cast<std::size_t>(std::find(group.begin(), group.end(), g) - group.begin());
        detail::Extremes<T> all = ends[first];
        for (std::size_t d = first; d < ends.size(); ++d)
          if (group[d] == g) all = detail::joined(all, ends[d]);
        ranges.push_back(detail::range_between(all, bits_of(g, G)));
      }
    }
    const auto range_of = [&](Index d) -> const detail::Range<T>& {
      const auto at = static_cast<std::size_t>(d);
      return ranges[range == SlAccRange::channel ? at : group[at]];
    };

    // 3. Codes, in place of the values.
    Tensor<std::uint16_t> codes = Tensor<std::uint16_t>::uninitialised({D, V});
    parallel_for(D, 1, [&](Index d, Index) {
      if (range_of(d).scale != T{0})
        detail::quantise<T>(channel(d), range_of(d), bits_of(group[static_cast<std::size_t>(d)], G),
                            codes.data() + d * V);
    });

    ByteWriter writer{out};
    writer.put(static_cast<std::uint8_t>(G));
    detail::BitWriter packed{out};
    if (G > 1) packed.put_all(std::span<const std::uint8_t>{group}, detail::bits_for(G));
    packed.finish();
    for (Index g = 0; g < G; ++g) writer.put(static_cast<std::uint8_t>(bits_of(g, G)));
    for (const detail::Range<T>& one : ranges) detail::put_range(writer, one);
    for (Index d = 0; d < D; ++d)
      if (range_of(d).scale != T{0})
        packed.put_all(std::as_const(codes).view().slice(d, d + 1).span(),
                       bits_of(group[static_cast<std::size_t>(d)], G));
    packed.finish();
  }

  template <class T>
  Tensor<T> read(std::span<const std::byte> in, const Shape& shape) const {
    require_options();
    const auto refuse = [](const std::string& text, Reason reason = Reason::malformed) {
      throw WireError(reason, "SlAcc: " + text);
    };
    if (shape.elements() == 0)
      refuse("a tensor " + shape.text() + " without values", Reason::wrong_shape);
    const Index D = shape.back(), V = shape.elements() / D;

    // 1. Groups and ranges.
    ByteReader reader{in, "SlAcc"};
    const Index G = reader.get<std::uint8_t>();
    if (G < 1 || G > groups)
      refuse(std::to_string(G) + " groups, at most " + std::to_string(groups));
    detail::BitReader id_bits{reader, "SlAcc"};
    id_bits.require(D, detail::bits_for(G));
    if (range == SlAccRange::channel && D > static_cast<Index>(in.size() / (2 * sizeof(T))))
      refuse("too few bytes for ranges", Reason::truncated);
    std::vector<std::uint8_t> group(static_cast<std::size_t>(D));
    if (G > 1) id_bits.get_all(std::span{group}, detail::bits_for(G));
    id_bits.finish();
    std::vector<int> bits;
    for (Index g = 0; g < G; ++g) {
      bits.push_back(reader.get<std::uint8_t>());
      if (bits.back() < min_bits || bits.back() > max_bits)
        refuse("a group of " + std::to_string(bits.back()) + " bits");
    }
    std::vector<detail::Range<T>> ranges;
    for (Index i = range == SlAccRange::channel ? D : G; i > 0; --i)
      ranges.push_back(detail::get_range<T>(reader, "SlAcc"));

    // 2. Is all there? Only then memory is taken.
    detail::BitReader packed{reader, "SlAcc"};
    const auto left = static_cast<Index>(reader.left());
    Index wanted = 0;  // bits, divided by V
    for (std::size_t d = 0; d < group.size(); ++d) {
      const std::uint8_t g = group[d];
      if (g >= G) refuse("group " + std::to_string(g) + " of " + std::to_string(G));
      if (ranges[range == SlAccRange::channel ? d : g].scale != T{0}) wanted += bits[g];
    }
    if (wanted > 0 && V > left * 8 / wanted)
      refuse(std::to_string(left) + " bytes for codes", Reason::truncated);

    // 3. Codes, then values. Channels of equal numbers have no codes.
    Tensor<T> channels = Tensor<T>::uninitialised({D, V});
    Tensor<std::uint16_t> codes = Tensor<std::uint16_t>::uninitialised({wanted > 0 ? D : 0, V});
    const auto range_of = [&](Index d) -> const detail::Range<T>& {
      const auto at = static_cast<std::size_t>(d);
      return ranges[range == SlAccRange::channel ? at : group[at]];
    };
    const auto bits_of_channel = [&](Index d) { return bits[group[static_cast<std::size_t>(d)]]; };
    for (Index d = 0; d < D; ++d)
      if (range_of(d).scale != T{0})
        packed.get_all(codes.view().slice(d, d + 1).span(), bits_of_channel(d));
    packed.finish();
    reader.expect_end();
    parallel_for(D, 1, [&](Index d, Index) {
      detail::dequantise(codes.data() + d * V, range_of(d), bits_of_channel(d),
                         detail::Strided<T>{channels.data() + d * V, V});
    });
    Tensor<T> out = Tensor<T>::uninitialised(shape);
    parallel_for(V, 64, [&](Index begin, Index end) {
      detail::transpose(channels.data() + begin, V, D, end - begin, out.data() + begin * D, D);
    });
    return out;
  }
};

}  // namespace splitvit::codec
