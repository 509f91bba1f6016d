// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, max, min

#include <splitvit/codec/concepts.hpp>        // contexts, Decoded, NoContext, StraightThrough
#include <splitvit/codec/detail/require.hpp>  // announced_sample_size, require_finite
#include <splitvit/codec/float32.hpp>         // Float32
#include <splitvit/core/bits.hpp>             // BitReader, BitWriter, bits_for
#include <splitvit/core/bytes.hpp>            // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>            // Reason, ShapeError
#include <splitvit/core/finite.hpp>           // limited
#include <splitvit/core/options.hpp>          // describe_options, Nested, Real, Whole
#include <splitvit/core/parallel.hpp>         // parallel_for
#include <splitvit/core/random.hpp>           // Rng
#include <splitvit/core/state.hpp>            // show_state
#include <splitvit/core/workspace.hpp>        // RecycledVector
#include <splitvit/kernel/kmeans.hpp>         // kmeans, most_clusters, nearest_codewords
#include <splitvit/kernel/sub_vectors.hpp>    // with_width
#include <splitvit/tensor/tensor.hpp>         // Tensor, TensorView

// FedLite: product quantisation with codebooks that k-means finds for every tensor. Letters: B
// samples of n values, q sub-vectors a sample, d = n / q values of each, W_g codewords of group g.

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// Each sample is divided into sub-vectors, and each sub-vector is replaced by the nearest of a few
/// codewords. k-means finds these anew for every tensor, and they are sent with it.
///
/// Shapes  x (B, ...) with values; `sub_vectors` must divide n.
/// Sent    For each group u32 W_g and its codewords, 4 W_g d bytes (8 for double); then for each
///         group and sample the codes of its sub-vectors, ceil(log2 W_g) bits each, in one section.
/// Grad    Sent by the codec `Gradient`; then g + correction (x - x'), which pulls the numbers
///         towards their codewords.
/// Errors  See Codec; std::invalid_argument also for sub-vectors that do not divide n.
/// Source  "FedLite: A Scalable Approach for Federated Learning on Resource-constrained
///         Clients", arXiv:2201.11865; code: Federico-Alvetreti/Split-Learning_ADC,
///         methods/fedlite.py.
/// Differs A group is a range of positions, the same in each sample; the code's groups are runs
///         of samples. One start of k-means, drawn from rng; the code takes the best of eight.
template <class Gradient = Float32>
struct FedLite {
  Index sub_vectors = 18912;  ///< of a sample, q: of 2 values for 197 tokens of width 192
  Index groups = 1;           ///< with a codebook each, 1..q: sub-vector p is in p groups / q
  Index codewords = 64;       ///< of a codebook at most, 2..65536
  int iterations = 10;        ///< rounds of k-means at most, 1..1000000
  double correction = 5e-5;   ///< of the gradient, lambda, 0..1e6
  Gradient gradient = {};     ///< writes the gradient; straight-through

  static constexpr std::string_view name = "fedlite";
  static void each_option(auto& self, auto&& see) {
    see("", self.sub_vectors,
        Whole{1, Index{std::numeric_limits<std::uint32_t>::max()}, "VECTORS"});
    see("groups", self.groups, Whole{1, self.sub_vectors, "GROUPS"});
    see("words", self.codewords, Whole{2, kernel::most_clusters, "CODEWORDS"});
    see("iterations", self.iterations, Whole{1, 1'000'000, "ROUNDS"});
    see("correction", self.correction, Real{0, 1e6, "LAMBDA"});
    see("gradient", self.gradient, Nested{.straight_through = true});
  }
  std::string description() const { return describe_options(*this); }

  /// The sender's context: x - x'.
  template <class T>
  struct Sent {
    Tensor<T> difference;
  };

  template <std::floating_point T>
  Sent<T> encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) const {
    return encode_groups(x, out, [&](TensorView<const T> own) {
      auto found = kernel::kmeans(
          rows_of(own), codewords,
          {.max_iterations = iterations, .stop = kernel::KMeansStop::fixpoint, .reassign = true},
          rng);
      const Shape shape = own.shape().with(0, found.clusters);
      return Codebook<T>{{shape, std::span<const T>{found.centroids}}, std::move(found.assignment)};
    });
  }

  /// The same with given codewords (W, d), one codebook for each group.
  ///
  /// Errors  ShapeError for another number of codebooks, WireError (not_finite) for NaN in one.
  template <std::floating_point T>
  Sent<T> encode_with(TensorView<const T> x, std::span<const Tensor<T>> codebooks,
                      std::vector<std::byte>& out) const {
    if (static_cast<Index>(codebooks.size()) != groups)
      throw ShapeError({"fedlite: ", codebooks.size(), " codebooks for ", groups, " groups"});
    for (const Tensor<T>& given : codebooks) {
      if (given.shape().rank() != 2)
        throw ShapeError({"fedlite: a codebook ", given.shape().text(), ", wanted (W, d)"});
      detail::require_finite<T>(given.view(), "fedlite: a codebook");
    }
    return encode_groups(x, out, [&, g = std::size_t{0}](TensorView<const T> own) mutable {
      const Tensor<T>& given = codebooks[g++];
      return Codebook<T>{given, kernel::nearest_codewords(rows_of(own), rows_of(given.view()))};
    });
  }

  template <std::floating_point T>
  Decoded<T, NoContext> decode(std::span<const std::byte> in, const Shape& shape) const {
    require_options(name, *this);
    ByteReader reader{in, "fedlite"};
    if (detail::announced_sample_size(shape, "fedlite") % sub_vectors != 0)
      reader.refuse(Reason::wrong_shape,
                    {"a tensor ", shape.text(), " for ", sub_vectors, " sub-vectors a sample"});
    const Division division{shape, sub_vectors, groups};
    std::vector<Tensor<T>> books;
    for (Index g = 0; g < groups; ++g) {
      const Index W = reader.get<std::uint32_t>();
      if (W < 1 || W > codewords)
        reader.refuse(Reason::malformed, {"a codebook of ", W, " codewords, at most ", codewords});
      reader.require(division.length, static_cast<std::size_t>(W) * sizeof(T));
      books.push_back(Tensor<T>::uninitialised({W, division.length}));
      reader.get_array(books.back().span());
      detail::require_finite<T>(books.back().view(), "fedlite");
    }

    BitReader bits{reader};
    Tensor<T> x;
    RecycledVector<std::uint16_t> codes;
    for (Index g = 0; g < groups; ++g) {
      const Tensor<T>& book = books[static_cast<std::size_t>(g)];
      const int width = bits_for(book.dim(0));
      bits.require(division.count(g), width);
      if (g == 0) x = Tensor<T>::uninitialised(shape);
      codes.assign(static_cast<std::size_t>(division.count(g)), std::uint16_t{0});
      if (width > 0) bits.get_all(std::span{codes}, width);
      for (const std::uint16_t code : codes)
        if (code >= book.dim(0))
          reader.refuse(Reason::malformed, {"codeword ", code, " of ", book.dim(0)});
      division.replace(g, codes, book, x.data(), [](Index, Index) {});
    }
    bits.finish();
    reader.expect_end();
    return {std::move(x), {}};
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> g, const NoContext&, std::vector<std::byte>& out,
                       Rng& rng) {
    static_assert(StraightThrough<Gradient, T>, "fedlite: the gradient's codec has a context");
    codec::encode_gradient<T>(gradient, g, ReceiverContext<Gradient, T>{}, out, rng);
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const Sent<T>& sent,
                            const Shape& shape) {
    detail::require_announced_gradient(shape, sent.difference.shape(), "fedlite");
    Tensor<T> g = codec::decode_gradient<T>(gradient, in, SenderContext<Gradient, T>{}, shape);
    const auto weight = static_cast<T>(correction);
    parallel_for(g.size(), 1 << 14, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) g[i] = limited(g[i] + weight * sent.difference[i]);
    });
    return g;
  }

  /// See StateVisitor.
  void each_state(auto&& see) { show_state(gradient, see, "gradient."); }

 private:
  template <class T>
  struct Codebook {
    Tensor<T> codewords;                  ///< (W, d)
    RecycledVector<std::uint16_t> codes;  ///< of each sub-vector, below W
  };

  template <class T>
  static kernel::Matrix<const T> rows_of(TensorView<const T> x) {
    return kernel::dense(x.data(), x.dim(0), x.dim(1));
  }

  /// Which numbers of a tensor belong to the sub-vectors of which group.
  struct Division {
    Division(const Shape& shape, Index q, Index R)
        : samples{shape[0]}, sub_vectors{q}, groups{R}, length{shape.elements() / shape[0] / q} {}

    /// The first sub-vector of group g: the smallest p with floor(p R / q) = g.
    Index first(Index g) const { return (g * sub_vectors + groups - 1) / groups; }
    /// Sub-vectors of group g in a sample, and in all samples.
    Index each(Index g) const { return first(g + 1) - first(g); }
    Index count(Index g) const { return samples * each(g); }

    template <class T>
    T* begin(T* x, Index sample, Index g) const {
      return x + (sample * sub_vectors + first(g)) * length;
    }
    /// The sub-vectors of group g, sample by sample: (count, length).
    template <class T>
    Tensor<T> take(TensorView<const T> x, Index g) const {
      Tensor<T> out = Tensor<T>::uninitialised({count(g), length});
      const Index width = each(g) * length;
      for (Index b = 0; b < samples; ++b)
        std::copy_n(begin(x.data(), b, g), width, out.data() + b * width);
      return out;
    }
    /// Writes codewords in the place of the sub-vectors of group g. Calls then(begin, end) for each
    /// run of numbers that was written, while it is in the nearest cache.
    template <class T, class Then>
    void replace(Index g, const RecycledVector<std::uint16_t>& codes, const Tensor<T>& book, T* out,
                 const Then& then) const {
      const Index own_count = each(g), most = std::max<Index>(1, 2048 / length);
      parallel_for(samples, 4, [&](Index from, Index to) {
        for (Index b = from; b < to; ++b)
          for (Index p = 0; p < own_count; p += most) {
            const Index run = std::min(most, own_count - p);
            T* const y = begin(out, b, g) + p * length;
            const std::uint16_t* const own = codes.data() + b * own_count + p;
            kernel::with_width<T>(length, [&](auto width) {
              T* to_vector = y;
              for (Index i = 0; i < run; ++i, to_vector += width)
                for (Index j = 0; j < width; ++j) to_vector[j] = book[own[i] * width + j];
            });
            then(y - out, y - out + run * length);
          }
      });
    }

    Index samples, sub_vectors, groups, length;
  };

  /// codebook_of(sub-vectors of a group) gives their codewords, and the nearest of each.
  template <class T, class CodebookOf>
  Sent<T> encode_groups(TensorView<const T> x, std::vector<std::byte>& out,
                        CodebookOf&& codebook_of) const {
    require_options(name, *this);
    if (const Index n = detail::sample_size(x.shape(), "fedlite"); n % sub_vectors != 0)
      throw std::invalid_argument("fedlite: " + std::to_string(sub_vectors) +
                                  " sub-vectors do not divide the " + std::to_string(n) +
                                  " values of a sample of " + x.shape().text());
    detail::require_finite(x, "fedlite");

    const Division division{x.shape(), sub_vectors, groups};
    std::vector<Codebook<T>> books;
    Sent<T> sent{Tensor<T>::uninitialised(x.shape())};
    T* const difference = sent.difference.data();
    for (Index g = 0; g < groups; ++g) {
      books.push_back(groups == 1 ? codebook_of({x.span(), {division.count(0), division.length}})
                                  : codebook_of(division.take(x, g).view()));
      drop_unused(books.back());
      division.replace(g, books.back().codes, books.back().codewords, difference,
                       [&](Index begin, Index end) {
                         for (Index i = begin; i < end; ++i)
                           difference[i] = limited(x[i] - difference[i]);
                       });
    }

    ByteWriter writer{out};
    for (const Codebook<T>& book : books) {
      writer.put(static_cast<std::uint32_t>(book.codewords.dim(0)));
      writer.put_array(book.codewords.span());
    }
    BitWriter bits{out};
    for (const Codebook<T>& book : books)
      if (const int width = bits_for(book.codewords.dim(0)); width > 0)
        bits.put_all(std::span<const std::uint16_t>{book.codes}, width);
    bits.finish();
    return sent;
  }

  /// Removes codewords that no sub-vector has; the others keep their order.
  template <class T>
  static void drop_unused(Codebook<T>& book) {
    const Index W = book.codewords.dim(0), d = book.codewords.dim(1);
    std::vector<Index> number(static_cast<std::size_t>(W), -1);  // -1: unused
    Index used = 0;
    for (std::size_t i = 0; i < book.codes.size() && used < W; ++i)
      if (Index& own = number[book.codes[i]]; own < 0) {
        own = 0;
        ++used;
      }
    if (used == W) return;
    Tensor<T> kept = Tensor<T>::uninitialised({used, d});
    Index next = 0;
    for (Index k = 0; k < W; ++k) {
      Index& own = number[static_cast<std::size_t>(k)];
      if (own < 0) continue;
      std::copy_n(book.codewords.data() + k * d, d, kept.data() + next * d);
      own = next++;
    }
    for (std::uint16_t& code : book.codes) code = static_cast<std::uint16_t>(number[code]);
    book.codewords = std::move(kept);
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
