// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, max, min
#include <cmath>      // isfinite
#include <concepts>   // floating_point
#include <cstddef>    // byte, size_t
#include <cstdint>    // uint16_t, uint32_t, uint8_t
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <utility>    // exchange, move
#include <vector>     // vector

#include <splitvit/codec/codebook.hpp>              // learn_words, most_words, nearest_words
#include <splitvit/codec/concepts.hpp>              // Decoded, NoReceipt
#include <splitvit/codec/detail/finite_values.hpp>  // limited, require_finite
#include <splitvit/codec/detail/packed_bits.hpp>    // BitReader, BitWriter, bits_for
#include <splitvit/codec/detail/with_width.hpp>     // with_width
#include <splitvit/codec/float32.hpp>               // Float32
#include <splitvit/codec/receipts.hpp>              // StraightThrough
#include <splitvit/core/bytes.hpp>                  // ByteReader, ByteWriter
#include <splitvit/core/describe.hpp>               // describe
#include <splitvit/core/error.hpp>                  // ShapeError, WireError
#include <splitvit/core/parallel.hpp>               // parallel_for
#include <splitvit/core/random.hpp>                 // Rng
#include <splitvit/core/state.hpp>                  // show_state
#include <splitvit/core/text.hpp>                   // exact_text
#include <splitvit/tensor/tensor.hpp>               // Tensor, TensorView

// FedLite: pieces of a sample as numbers of words in a codebook. Letters: B samples of n values,
// q pieces a sample, d = n / q values a piece, W_g words of group g.

namespace splitvit::codec {

/// Product quantisation: each sample is cut into `pieces`, and each piece is replaced by the
/// nearest of a few words, which are found anew for every tensor by k-means and sent with it.
///
/// Shapes  x (B, ...) with values; `pieces` must divide n.
/// Sent    For each group u32 W_g and its words, 4 W_g d bytes (8 for double); then for each
///         group and sample the codes of its pieces, ceil(log2 W_g) bits each, in one section.
/// Grad    Sent by the codec `Gradient`; then g + correction (x - x'), which pulls the numbers
///         towards their words.
/// Errors  std::invalid_argument for options outside their range, or pieces that do not divide
///         n; ShapeError for a tensor without values; WireError: not_finite, wrong_shape,
///         truncated or malformed.
/// Source  "FedLite: A Scalable Approach for Federated Learning on Resource-constrained
///         Clients", arXiv:2201.11865; code: Federico-Alvetreti/Split-Learning_ADC,
///         methods/fedlite.py.
/// Differs A group is a range of positions, the same in each sample; the code's groups are runs
///         of samples. One start of k-means, drawn from rng; the code takes the best of eight.
template <class Gradient = Float32>
struct FedLite {
  Index pieces = 18912;      ///< of a sample, q: of 2 values for 197 tokens of width 192
  Index groups = 1;          ///< with a codebook each, 1..pieces: piece p is in p groups / q
  Index words = 64;          ///< of a codebook at most, 2..65536
  int iterations = 10;       ///< rounds of k-means at most, at least 1
  double correction = 5e-5;  ///< of the gradient, lambda, at least 0
  Gradient gradient = {};    ///< writes the gradient; straight-through

  /// What the client remembers: x - x'.
  template <class T>
  struct Sent {
    Tensor<T> difference;
  };

  template <std::floating_point T>
  Sent<T> encode(TensorView<const T> x, std::vector<std::byte>& out, Rng& rng) const {
    return encode_groups(x, out, [&](TensorView<const T> own) {
      return learn_words(own, words, iterations, rng, Codes::nearest);
    });
  }

  /// The same with given words (W, d), one codebook for each group.
  ///
  /// Errors  ShapeError for another number of codebooks, WireError (not_finite) for NaN in one.
  template <std::floating_point T>
  Sent<T> encode_with(TensorView<const T> x, std::span<const Tensor<T>> codebooks,
                      std::vector<std::byte>& out) const {
    if (static_cast<Index>(codebooks.size()) != groups)
      throw ShapeError("FedLite: " + std::to_string(codebooks.size()) + " codebooks for " +
                       std::to_string(groups) + " groups");
    for (const Tensor<T>& given : codebooks)
      detail::require_finite<T>(given.view(), "FedLite: a codebook");
    return encode_groups(x, out, [&, g = std::size_t{0}](TensorView<const T> own) mutable {
      const Tensor<T>& given = codebooks[g++];
      return Codebook<T>{given, nearest_words<T>(own, given.view())};
    });
  }

  template <std::floating_point T>
  Decoded<T, NoReceipt> decode(std::span<const std::byte> in, const Shape& shape) const {
    require_options();
    if (shape.rank() == 0 || shape.elements() == 0 || shape.elements() / shape[0] % pieces != 0)
      throw WireError(Reason::wrong_shape, "FedLite: a tensor " + shape.text() + " for " +
                                               std::to_string(pieces) + " pieces a sample");
    const Pieces cut{shape, pieces, groups};
    ByteReader reader{in, "FedLite"};
    std::vector<Tensor<T>> books;
    for (Index g = 0; g < groups; ++g) {
      const Index W = reader.get<std::uint32_t>();
      // Divided, not multiplied: a hostile shape must not overflow.
      if (W < 1 || W > words)
        throw WireError(Reason::malformed, "FedLite: a codebook of " + std::to_string(W) +
                                               " words, at most " + std::to_string(words));
      if (cut.length > static_cast<Index>(reader.left() / sizeof(T)) / W)
        throw WireError(Reason::truncated, "FedLite: too few bytes for a codebook");
      books.push_back(Tensor<T>::uninitialised({W, cut.length}));
      reader.get_array(books.back().span());
      detail::require_finite<T>(books.back().view(), "FedLite");
    }

    detail::BitReader bits{reader, "FedLite"};
    Decoded<T, NoReceipt> came{Tensor<T>{}, {}};
    std::vector<std::uint16_t> codes;
    for (Index g = 0; g < groups; ++g) {
      const Tensor<T>& book = books[static_cast<std::size_t>(g)];
      const int width = detail::bits_for(book.dim(0));
      bits.require(cut.count(g), width);
      if (g == 0) came.values = Tensor<T>::uninitialised(shape);
      codes.assign(static_cast<std::size_t>(cut.count(g)), std::uint16_t{0});
      if (width > 0) bits.get_all(std::span{codes}, width);
      for (const std::uint16_t code : codes)
        if (code >= book.dim(0))
          throw WireError(Reason::malformed, "FedLite: word " + std::to_string(code) + " of " +
                                                 std::to_string(book.dim(0)));
      cut.replace(g, codes, book, came.values.data(), [](Index, Index) {});
    }
    bits.finish();
    reader.expect_end();
    return came;
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> g, const NoReceipt&, std::vector<std::byte>& out,
                       Rng& rng) {
    static_assert(StraightThrough<Gradient, T>, "FedLite: the gradient's codec must stand alone");
    gradient.encode_gradient(g, ReceiverReceipt<Gradient, T>{}, out, rng);
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const Sent<T>& sent,
                            const Shape& shape) {
    if (!(sent.difference.shape() == shape))
      throw WireError(Reason::wrong_shape, "FedLite: a gradient " + shape.text() +
                                               " for a tensor " + sent.difference.shape().text() +
                                               " that was sent");
    Tensor<T> g = gradient.template decode_gradient<T>(in, SenderReceipt<Gradient, T>{}, shape);
    const auto weight = static_cast<T>(correction);
    parallel_for(g.size(), 1 << 14, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i)
        g[i] = detail::limited(g[i] + weight * sent.difference[i]);
    });
    return g;
  }

  /// What it does and with which options, on one line.
  std::string description() const {
    return "fedlite pieces=" + std::to_string(pieces) + " groups=" + std::to_string(groups) +
           " words=" + std::to_string(words) + " iterations=" + std::to_string(iterations) +
           " correction=" + exact_text(correction) + " gradient=(" + describe(gradient) + ")";
  }

  /// See StateVisitor.
  void each_state(auto&& see) { show_state(gradient, see, "gradient."); }

 private:
  /// Which numbers of a tensor are the pieces of which group.
  struct Pieces {
    Pieces(const Shape& shape, Index q, Index R)
        : samples{shape[0]}, pieces{q}, groups{R}, length{shape.elements() / shape[0] / q} {}

    /// The first piece of group g: the smallest p with floor(p R / q) = g.
    Index first(Index g) const { return (g * pieces + groups - 1) / groups; }
    /// Numbers of a sample that belong to group g.
    Index width(Index g) const { return (first(g + 1) - first(g)) * length; }
    /// Pieces of group g in all samples.
    Index count(Index g) const { return samples * (first(g + 1) - first(g)); }

    template <class T>
    T* begin(T* x, Index sample, Index g) const {
      return x + (sample * pieces + first(g)) * length;
    }
    /// The pieces of group g, sample by sample: (count, length).
    template <class T>
    Tensor<T> take(TensorView<const T> x, Index g) const {
      Tensor<T> out = Tensor<T>::uninitialised({count(g), length});
      for (Index b = 0; b < samples; ++b)
        std::copy_n(begin(x.data(), b, g), width(g), out.data() + b * width(g));
      return out;
    }
    /// Writes words in the place of the pieces of group g; calls then(begin, end) for each run of
    /// numbers that was written, while it is in the nearest cache.
    template <class T, class Then>
    void replace(Index g, const std::vector<std::uint16_t>& codes, const Tensor<T>& book, T* out,
                 const Then& then) const {
      const Index each = first(g + 1) - first(g), most = std::max<Index>(1, 2048 / length);
      parallel_for(samples, 4, [&](Index from, Index to) {
        for (Index b = from; b < to; ++b)
          for (Index p = 0; p < each; p += most) {
            const Index count = std::min(most, each - p);
            T* const y = begin(out, b, g) + p * length;
            detail::with_width(length, [&](auto width) {
              copy_words(width, codes.data() + b * each + p, count, book.data(), y);
            });
            then(y - out, y - out + count * length);
          }
      });
    }
    template <class T, class Width>
    static void copy_words(Width width, const std::uint16_t* codes, Index count, const T* book,
                           T* to) {
      for (Index p = 0; p < count; ++p, to += width)
        for (Index j = 0; j < width; ++j) to[j] = book[codes[p] * width + j];
    }

    Index samples, pieces, groups, length;
  };

  void require_options() const {
    const auto refuse = [](const std::string& text) {
      throw std::invalid_argument("FedLite: " + text);
    };
    if (pieces < 1) refuse(std::to_string(pieces) + " pieces, wanted at least 1");
    if (groups < 1 || groups > pieces)
      refuse(std::to_string(groups) + " groups of " + std::to_string(pieces) +
             " pieces, wanted 1 to as many as pieces");
    if (words < 2 || words > most_words)
      refuse(std::to_string(words) + " words, wanted 2 to 65536");
    if (iterations < 1) refuse(std::to_string(iterations) + " iterations, wanted at least 1");
    if (!(correction >= 0 && std::isfinite(correction)))
      refuse("correction is " + exact_text(correction) + ", wanted at least 0");
  }

  /// book_of(pieces of a group) -> their words, and the nearest of each.
  template <class T, class BookOf>
  Sent<T> encode_groups(TensorView<const T> x, std::vector<std::byte>& out,
                        BookOf&& book_of) const {
    require_options();
    if (x.shape().rank() == 0 || x.size() == 0)
      throw ShapeError("FedLite: tensor " + x.shape().text() + ", wanted samples with values");
    if (const Index n = x.size() / x.dim(0); n % pieces != 0)
      throw std::invalid_argument("FedLite: " + std::to_string(pieces) +
                                  " pieces do not divide the " + std::to_string(n) +
                                  " values of a sample of " + x.shape().text());
    detail::require_finite(x, "FedLite");

    const Pieces cut{x.shape(), pieces, groups};
    std::vector<Tensor<T>> books;
    std::vector<std::vector<std::uint16_t>> codes;
    Sent<T> sent{Tensor<T>::uninitialised(x.shape())};
    for (Index g = 0; g < groups; ++g) {
      const auto assign = [&](TensorView<const T> own) {
        Codebook<T> book = book_of(own);
        codes.push_back(std::move(book.codes));
        books.push_back(used_words(std::move(book.words), codes.back()));
      };
      if (groups == 1)
        assign({x.span(), {cut.count(0), cut.length}});
      else
        assign(cut.take(x, g).view());
      T* const difference = sent.difference.data();
      cut.replace(g, codes.back(), books.back(), difference, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) difference[i] = detail::limited(x[i] - difference[i]);
      });
    }

    ByteWriter writer{out};
    for (const Tensor<T>& book : books) {
      writer.put(static_cast<std::uint32_t>(book.dim(0)));
      writer.put_array(book.span());
    }
    detail::BitWriter bits{out};
    for (std::size_t g = 0; g < books.size(); ++g)
      if (const int width = detail::bits_for(books[g].dim(0)); width > 0)
        bits.put_all(std::span<const std::uint16_t>{codes[g]}, width);
    bits.finish();
    return sent;
  }

  /// The words that pieces have, in their order; codes are changed to match.
  template <class T>
  static Tensor<T> used_words(Tensor<T> book, std::vector<std::uint16_t>& codes) {
    std::vector<std::uint8_t> is_used(static_cast<std::size_t>(book.dim(0)));
    Index unused = book.dim(0);
    for (std::size_t i = 0; i < codes.size() && unused > 0; ++i)
      unused -= std::exchange(is_used[codes[i]], 1) == 0 ? 1 : 0;
    if (unused == 0) return book;
    std::vector<std::uint16_t> renumbered(is_used.size());
    std::vector<T> used;
    Index count = 0;
    for (std::size_t k = 0; k < is_used.size(); ++k) {
      if (is_used[k] == 0) continue;
      renumbered[k] = static_cast<std::uint16_t>(count++);
      const auto word = book.view().slice(static_cast<Index>(k), static_cast<Index>(k) + 1).span();
      used.insert(used.end(), word.begin(), word.end());
    }
    for (std::uint16_t& code : codes) code = renumbered[code];
    return Tensor<T>{{count, book.dim(1)}, std::span<const T>{used}};
  }
};

}  // namespace splitvit::codec
