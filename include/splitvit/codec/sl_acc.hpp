// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // find, max_element, sort, unique
#include <cmath>      // sqrt
#include <numeric>    // iota

#include <splitvit/codec/concepts.hpp>             // Pass
#include <splitvit/codec/detail/coded_groups.hpp>  // CodedGroup, get_coded, put_coded
#include <splitvit/core/bits.hpp>                  // BitReader, BitWriter, bits_for
#include <splitvit/core/bytes.hpp>                 // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>                 // Reason, ShapeError
#include <splitvit/core/options.hpp>               // describe_options, names_of, Real, Whole
#include <splitvit/core/parallel.hpp>              // parallel_for
#include <splitvit/core/random.hpp>                // Rng
#include <splitvit/kernel/kmeans.hpp>              // kmeans_from
#include <splitvit/kernel/softmax_entropy.hpp>     // softmax_entropy
#include <splitvit/tensor/reduce.hpp>              // sum_of_squares
#include <splitvit/tensor/tensor.hpp>              // Tensor, TensorView
#include <splitvit/tensor/transpose.hpp>           // transposed

// SlAcc: channels in groups, each with its own number of bits, by their entropy. Letters: D
// channels of V values, G groups.

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// Which numbers share low and scale.
enum class SlAccRange : std::uint8_t {
  group,   ///< all channels of a group
  channel  ///< a channel
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
/// Errors  See Codec.
/// Source  "SL-ACC: A Communication-Efficient Split Learning Framework with Adaptive
///         Channel-wise Compression", arXiv:2508.12984.
/// Differs Formulas are ours: no code is known. With `direction` 1, more bits for more entropy,
///         channels that spread wide get few bits.
struct SlAcc {
  int groups = 4;                        ///< at most, 1..16
  int min_bits = 2;                      ///< of a code, 1..16
  int max_bits = 8;                      ///< of a code, min_bits..16
  double blend = 0.5;                    ///< share of the history, in [0, 1)
  int direction = 1;                     ///< 1: more bits for more entropy; -1: for less
  SlAccRange range = SlAccRange::group;  ///< which numbers share low and scale

  /// Empty before the first step.
  struct State {
    std::vector<double> forward;   ///< (D) importance of channels, at the sender of activations
    std::vector<double> backward;  ///< (D) the same of gradients, at their sender
  };
  State history = {};

  static constexpr std::string_view name = "slacc";
  static void each_option(auto& self, auto&& see) {
    see("", self.groups, Whole{1, 16, "GROUPS"});
    see("max_bits", self.max_bits, Whole{1, 16, "BITS"});
    see("min_bits", self.min_bits, Whole{1, self.max_bits, "BITS"});
    see("blend", self.blend, Real{0, 1, "SHARE", false, true});
    see("direction", self.direction, names_of<int>({{"1", 1}, {"-1", -1}}));
    see("range", self.range,
        names_of<SlAccRange>({{"group", SlAccRange::group}, {"channel", SlAccRange::channel}}));
  }
  std::string description() const { return describe_options(*this); }

  template <std::floating_point T>
  Index put(TensorView<const T> x, Pass pass, std::vector<std::byte>& out, Rng&) {
    if (x.size() == 0)
      throw ShapeError({"slacc: tensor ", x.shape().text(), ", wanted (..., D) with values"});
    const Index D = x.shape().back(), V = x.size() / D;
    const Tensor<T> channels = transposed(x.data(), V, D);

    // 1. How important each channel is, and the groups.
    const double size = std::sqrt(sum_of_squares(x) / static_cast<double>(x.size()));
    std::vector<double> importance(static_cast<std::size_t>(D));
    std::vector<detail::Extremes<T>> ends(importance.size());
    parallel_for(D, 1, [&](Index d, Index) {
      const auto at = static_cast<std::size_t>(d);
      const auto channel = channels.view().slice(d, d + 1).span();
      importance[at] = size > 0 ? kernel::softmax_entropy(channel, size) : 1.0;
      ends[at] = detail::find_extremes(channel);
    });
    std::vector<double>& before = pass == Pass::forward ? history.forward : history.backward;
    if (before.size() == importance.size())
      for (std::size_t d = 0; d < importance.size(); ++d)
        importance[d] = blend * before[d] + (1 - blend) * importance[d];
    before = importance;
    const std::vector<std::uint8_t> group = group_channels(importance);
    const Index G = Index{*std::ranges::max_element(group)} + 1;

    // 2. Ranges.
    if (range == SlAccRange::group) ends = joined_by_group(ends, group, G);
    std::vector<detail::Range<T>> ranges;
    for (std::size_t i = 0; i < ends.size(); ++i)
      ranges.push_back(detail::range_between(
          ends[i], bits_of(range == SlAccRange::channel ? group[i] : static_cast<Index>(i), G)));

    // 3. Bytes.
    ByteWriter writer{out};
    writer.put(static_cast<std::uint8_t>(G));
    BitWriter packed{out};
    if (G > 1) packed.put_all(std::span<const std::uint8_t>{group}, bits_for(G));
    packed.finish();
    std::vector<int> bits;
    for (Index g = 0; g < G; ++g) bits.push_back(bits_of(g, G));
    for (const int width : bits) writer.put(static_cast<std::uint8_t>(width));
    for (const auto& one : ranges) detail::put_range(writer, one);
    detail::put_coded<T>(channels.span(), coded_groups(group, bits, ranges, V), out);
    return 0;
  }

  template <std::floating_point T>
  Tensor<T> get(ByteReader& reader, const Shape& shape, Pass) const {
    if (shape.elements() == 0)
      reader.refuse(Reason::wrong_shape, {"a tensor ", shape.text(), " without values"});
    const Index D = shape.back(), V = shape.elements() / D;

    const Index G = reader.get<std::uint8_t>();
    if (G < 1 || G > groups) reader.refuse(Reason::malformed, {G, " groups, at most ", groups});
    BitReader id_bits{reader};
    id_bits.require(D, bits_for(G));
    if (range == SlAccRange::channel) reader.require(D, 2 * sizeof(T));
    std::vector<std::uint8_t> group(static_cast<std::size_t>(D));
    if (G > 1) id_bits.get_all(std::span{group}, bits_for(G));
    id_bits.finish();
    for (const std::uint8_t g : group)
      if (g >= G) reader.refuse(Reason::malformed, {"group ", g, " of ", G});
    std::vector<int> bits;
    for (Index g = 0; g < G; ++g) {
      bits.push_back(reader.get<std::uint8_t>());
      if (bits.back() < min_bits || bits.back() > max_bits)
        reader.refuse(Reason::malformed, {"a group of ", bits.back(), " bits"});
    }
    std::vector<detail::Range<T>> ranges;
    for (Index i = range == SlAccRange::channel ? D : G; i > 0; --i)
      ranges.push_back(detail::get_range<T>(reader));
    const auto channels =
        detail::get_coded<T>(reader, coded_groups(group, bits, ranges, V), {D, V});
    return transposed(channels.data(), D, V).reshaped(shape);
  }

  /// See StateVisitor.
  void each_state(auto&& see) {
    see(std::string{"history"}, history.forward);
    see(std::string{"gradient_history"}, history.backward);
  }

 private:
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
    const auto found = kernel::kmeans_from(kernel::dense<const double>(importance.data(), D, 1),
                                           kernel::dense<const double>(start.data(), G, 1),
                                           {.stop = kernel::KMeansStop::fixpoint});

    std::vector<Index> order(start.size());
    std::iota(order.begin(), order.end(), Index{0});
    std::sort(order.begin(), order.end(), [&](Index a, Index b) {
      const double x = found.centroids[static_cast<std::size_t>(a)];
      const double y = found.centroids[static_cast<std::size_t>(b)];
      return x != y ? x < y : a < b;
    });
    std::vector<std::uint8_t> rank(start.size()), out(importance.size());
    for (std::size_t i = 0; i < order.size(); ++i)
      rank[static_cast<std::size_t>(order[i])] = static_cast<std::uint8_t>(i);
    for (std::size_t d = 0; d < out.size(); ++d) out[d] = rank[found.assignment[d]];
    return out;
  }

  /// The extremes of all channels of each group; no group is empty.
  template <class T>
  static std::vector<detail::Extremes<T>> joined_by_group(
      const std::vector<detail::Extremes<T>>& ends, const std::vector<std::uint8_t>& group,
      Index G) {
    std::vector<detail::Extremes<T>> all;
    for (Index g = 0; g < G; ++g)
      all.push_back(ends[static_cast<std::size_t>(std::ranges::find(group, g) - group.begin())]);
    for (std::size_t d = 0; d < ends.size(); ++d)
      all[group[d]] = detail::joined(all[group[d]], ends[d]);
    return all;
  }

  /// How the V values of each channel are coded.
  template <class T>
  std::vector<detail::CodedGroup<T>> coded_groups(const std::vector<std::uint8_t>& group,
                                                  const std::vector<int>& bits,
                                                  const std::vector<detail::Range<T>>& ranges,
                                                  Index V) const {
    std::vector<detail::CodedGroup<T>> coded;
    for (std::size_t d = 0; d < group.size(); ++d)
      if (range == SlAccRange::group && d > 0 && group[d] == group[d - 1])
        coded.back().count += V;  // the same range and width
      else
        coded.push_back({.count = V,
                         .bits = bits[group[d]],
                         .range = ranges[range == SlAccRange::channel ? d : group[d]]});
    return coded;
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
