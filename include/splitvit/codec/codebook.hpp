// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>      // max, min
#include <concepts>       // floating_point
#include <cstddef>        // size_t
#include <cstdint>        // uint16_t, uint32_t
#include <functional>     // hash
#include <limits>         // numeric_limits
#include <numeric>        // iota
#include <stdexcept>      // invalid_argument
#include <string>         // string, to_string
#include <unordered_set>  // unordered_set
#include <utility>        // move, swap
#include <vector>         // vector

#include <splitvit/codec/detail/finite_values.hpp>  // limited
#include <splitvit/codec/detail/nearest_word.hpp>   // find_nearest, Planes, unit_of
#include <splitvit/core/error.hpp>                  // ShapeError
#include <splitvit/core/parallel.hpp>               // parallel_for, parallel_reduce
#include <splitvit/core/random.hpp>                 // Rng
#include <splitvit/tensor/tensor.hpp>               // Tensor, TensorView

// Codebooks: a few words that stand for very many short pieces, found by k-means. Letters: m
// pieces of d numbers, W words. compress/kmeans.hpp does the same for a few long rows.

namespace splitvit::codec {

/// The most words of a codebook: their numbers are 16-bit.
inline constexpr Index most_words = 65536;

/// Words, and which of them each piece belongs to.
template <std::floating_point T>
struct Codebook {
  Tensor<T> words;                   ///< (W, d): the means of their pieces
  std::vector<std::uint16_t> codes;  ///< (m): below W
};

namespace detail {

template <class T>
void require_pieces(const Shape& pieces, const Shape& words, const char* what) {
  if (pieces.rank() != 2 || words.rank() != 2 || pieces.elements() == 0 || words.elements() == 0 ||
      pieces[1] != words[1] || words[0] > most_words ||
      pieces[0] > Index{std::numeric_limits<std::uint32_t>::max()})
    throw ShapeError(std::string{what} + ": pieces " + pieces.text() + ", words " + words.text() +
                     ", wanted (m, d) and (W, d) with m below 2^32, W from 1 to 65536");
}

/// Numbers of distinct pieces (m, d) in random order: as many as there are, at most `count`.
template <class T>
std::vector<Index> draw_distinct(TensorView<const T> pieces, Index count, Rng& rng) {
  const Index m = pieces.dim(0), d = pieces.dim(1);
  const auto hash = [&](Index i) {
    std::size_t mixed = 0;
    for (Index j = 0; j < d; ++j)
      mixed = (mixed ^ std::hash<T>{}(pieces[i * d + j])) * 0x9E3779B97F4A7C15u;  // -0 and +0 agree
    return mixed;
  };
  const auto equal = [&](Index a, Index b) {
    for (Index j = 0; j < d; ++j)
      if (pieces[a * d + j] != pieces[b * d + j]) return false;
    return true;
  };
  std::unordered_set<Index, decltype(hash), decltype(equal)> taken(
      static_cast<std::size_t>(2 * count), hash, equal);
  std::vector<std::uint32_t> order(static_cast<std::size_t>(m));
  std::iota(order.begin(), order.end(), 0u);
  std::vector<Index> out;
  // A shuffle, as far as it is needed.
  for (Index i = 0; i < m && static_cast<Index>(out.size()) < count; ++i) {
    std::swap(order[static_cast<std::size_t>(i)],
              order[static_cast<std::size_t>(i + rng.below(m - i))]);
    const Index piece = order[static_cast<std::size_t>(i)];
    if (taken.insert(piece).second) out.push_back(piece);
  }
  return out;
}

/// Neighbours often have the same word. Sums that go round so many tables do not wait for each
/// other.
inline constexpr Index tables = 4;

/// How many pieces each word has.
inline std::vector<Index> count_members(const std::vector<std::uint16_t>& codes, Index words) {
  using Sizes = std::vector<Index>;
  const auto count = [&](Index begin, Index end) {
    Sizes all(static_cast<std::size_t>(tables * words));
    for (Index i = begin; i < end; ++i)
      ++all[static_cast<std::size_t>(i % tables * words + codes[static_cast<std::size_t>(i)])];
    for (std::size_t k = 0; k < all.size(); ++k)
      if (const auto k0 = k % static_cast<std::size_t>(words); k0 != k) all[k0] += all[k];
    all.resize(static_cast<std::size_t>(words));
    return all;
  };
  const auto add = [](Sizes a, const Sizes& b) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
    return a;
  };
  return parallel_reduce(static_cast<Index>(codes.size()), std::max<Index>(1 << 16, words),
                         Sizes(static_cast<std::size_t>(words)), count, add);
}

/// Gives every word without pieces the one that is farthest from its own word, of those that
/// are not alone; the first one of several. Ends if there are as many pieces as words.
template <class T>
void fill_empty_words(const Planes<T>& x, std::vector<std::uint16_t>& codes,
                      std::vector<T>& distances, std::vector<Index>& sizes) {
  const auto comes_first = [&](std::size_t a, std::size_t b) {
    return x.piece(static_cast<Index>(a)) < x.piece(static_cast<Index>(b));
  };
  for (std::size_t empty = 0; empty < sizes.size(); ++empty) {
    if (sizes[empty] > 0) continue;
    std::size_t farthest = codes.size();
    for (std::size_t i = 0; i < codes.size(); ++i)
      if (sizes[codes[i]] >= 2 &&
          (farthest == codes.size() || distances[i] > distances[farthest] ||
           (distances[i] == distances[farthest] && comes_first(i, farthest))))
        farthest = i;
    --sizes[codes[farthest]];
    codes[farthest] = static_cast<std::uint16_t>(empty);
    distances[farthest] = T{0};
    sizes[empty] = 1;
  }
}

/// Each word becomes the mean of its pieces: added in double, in fixed blocks and tables, then one
/// division and one rounding.
template <class T>
void move_words(const Planes<T>& x, const std::vector<std::uint16_t>& codes,
                const std::vector<Index>& sizes, std::vector<T>& words) {
  const Index block = std::max<Index>(1 << 16, static_cast<Index>(words.size()));
  const Index blocks = (x.count + block - 1) / block;
  std::vector<double> sums(static_cast<std::size_t>(blocks) * words.size());
  parallel_for(blocks, 1, [&](Index piece_of_work, Index) {
    const auto size = static_cast<Index>(words.size());
    std::vector<double> all(static_cast<std::size_t>(tables * size));
    const Index end = std::min(x.count, (piece_of_work + 1) * block);
    for (Index i = piece_of_work * block; i < end; ++i) {
      double* const sum =
          all.data() + i % tables * size + codes[static_cast<std::size_t>(i)] * x.width;
      for (Index j = 0; j < x.width; ++j) sum[j] += static_cast<double>(x.at(i, j));
    }
    double* const sum = sums.data() + piece_of_work * size;
    for (Index t = 0; t < tables; ++t)
      for (Index k = 0; k < size; ++k) sum[k] += all[static_cast<std::size_t>(t * size + k)];
  });
  for (std::size_t k = 0; k < words.size(); ++k) {
    double sum = 0;
    for (Index b = 0; b < blocks; ++b) sum += sums[static_cast<std::size_t>(b) * words.size() + k];
    words[k] =
        static_cast<T>(sum / static_cast<double>(sizes[k / static_cast<std::size_t>(x.width)]));
  }
}

/// The rounds of k-means from given words, until one repeats the codes of the one before. Changes
/// the words and returns the code of each place of x.
template <class T>
std::vector<std::uint16_t> refine(const Planes<T>& x, std::vector<T>& words, int rounds) {
  const Index W = static_cast<Index>(words.size()) / x.width;
  std::vector<std::uint16_t> codes(static_cast<std::size_t>(x.count)), before(codes.size());
  std::vector<T> distances(codes.size());
  for (int round = 0; round < rounds; ++round) {
    find_nearest(x, words, codes, distances);
    std::vector<Index> sizes = count_members(codes, W);
    fill_empty_words(x, codes, distances, sizes);
    move_words(x, codes, sizes, words);
    if (round > 0 && codes == before) break;
    if (round + 1 < rounds) std::swap(codes, before);
  }
  return codes;
}

/// Words (divided by x's unit) and the codes of places as what they are.
template <class T>
Codebook<T> codebook_of(const Planes<T>& x, const std::vector<T>& words,
                        std::vector<std::uint16_t> codes) {
  Tensor<T> result =
      Tensor<T>::uninitialised({static_cast<Index>(words.size()) / x.width, x.width});
  for (Index i = 0; i < result.size(); ++i)
    result[i] = limited(words[static_cast<std::size_t>(i)] * x.unit);
  return {std::move(result), x.by_piece(std::move(codes))};
}

inline void require_rounds(int rounds, const char* what) {
  if (rounds < 1)
    throw std::invalid_argument(std::string{what} + ": " + std::to_string(rounds) +
                                " rounds, wanted at least 1");
}

}  // namespace detail

/// For each piece the nearest word, by squared Euclidean distance in the element type; the
/// first one of several.
///
/// Shapes  pieces (m, d), words (W, d) -> (m). Errors  ShapeError.
template <std::floating_point T>
std::vector<std::uint16_t> nearest_words(TensorView<const T> pieces, TensorView<const T> words) {
  detail::require_pieces<T>(pieces.shape(), words.shape(), "nearest_words");
  const T unit = std::max(detail::unit_of<T>(pieces.span()), detail::unit_of<T>(words.span()));
  const detail::Planes<T> x{pieces, unit};
  std::vector<T> scaled(words.span().begin(), words.span().end());
  for (T& value : scaled) value /= unit;
  std::vector<std::uint16_t> codes(static_cast<std::size_t>(x.count));
  std::vector<T> distances(codes.size());
  detail::find_nearest(x, scaled, codes, distances);
  return x.by_piece(std::move(codes));
}

/// k-means from given words, of which no two are equal: gives each piece to the nearest one;
/// an empty word takes over the piece that is farthest from its own; then each word becomes the
/// mean of its pieces. Ends when a round repeats the codes of the one before, or after
/// `rounds`.
///
/// Shapes  pieces (m, d), words (W, d), W at most the number of distinct pieces.
/// Errors  ShapeError; std::invalid_argument for rounds < 1.
template <std::floating_point T>
Codebook<T> refine_words(TensorView<const T> pieces, TensorView<const T> words, int rounds) {
  detail::require_pieces<T>(pieces.shape(), words.shape(), "refine_words");
  detail::require_rounds(rounds, "refine_words");
  const T unit = std::max(detail::unit_of<T>(pieces.span()), detail::unit_of<T>(words.span()));
  std::vector<T> scaled(words.span().begin(), words.span().end());
  for (T& value : scaled) value /= unit;
  const detail::Planes<T> x{pieces, unit};
  auto codes = detail::refine(x, scaled, rounds);
  return detail::codebook_of(x, scaled, std::move(codes));
}

/// Which codes learn_words gives.
enum class Codes {
  of_means,  ///< of the assignment whose means the words are
  nearest,   ///< of the word that is nearest then; a word may have no piece
};

/// k-means as refine_words does it, from distinct pieces drawn at random: at most `words`, fewer if
/// fewer pieces are distinct.
///
/// Errors  ShapeError; std::invalid_argument for words outside 1..65536, or rounds < 1.
template <std::floating_point T>
Codebook<T> learn_words(TensorView<const T> pieces, Index words, int rounds, Rng& rng,
                        Codes wanted = Codes::of_means) {
  if (words < 1 || words > most_words)
    throw std::invalid_argument("learn_words: " + std::to_string(words) +
                                " words, wanted 1 to 65536");
  detail::require_pieces<T>(pieces.shape(), pieces.shape().with(0, 1), "learn_words");
  detail::require_rounds(rounds, "learn_words");
  const detail::Planes<T> x{pieces, detail::unit_of<T>(pieces.span())};
  std::vector<T> found;
  for (const Index piece : detail::draw_distinct(pieces, std::min(words, x.count), rng))
    for (Index j = 0; j < x.width; ++j) found.push_back(pieces[piece * x.width + j] / x.unit);
  auto codes = detail::refine(x, found, rounds);
  if (wanted == Codes::nearest) {
    std::vector<T> distances(codes.size());
    detail::find_nearest(x, found, codes, distances);
  }
  return detail::codebook_of(x, found, std::move(codes));
}

}  // namespace splitvit::codec
