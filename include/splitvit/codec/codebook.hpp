// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>      // copy_n, find, max, min
#include <array>          // array
#include <atomic>         // atomic
#include <concepts>       // floating_point
#include <cstddef>        // size_t
#include <cstdint>        // uint16_t, uint32_t
#include <functional>     // hash
#include <limits>         // numeric_limits
#include <numeric>        // accumulate, iota
#include <stdexcept>      // invalid_argument
#include <string>         // string, to_string
#include <unordered_map>  // unordered_map
#include <unordered_set>  // unordered_set
#include <utility>        // move
#include <vector>         // vector

#include <splitvit/codec/detail/cell_order.hpp>     // CellOrder
#include <splitvit/codec/detail/finite_values.hpp>  // limited
#include <splitvit/codec/detail/nearest_word.hpp>  // Assignment, FewWords, find_nearest, NumberLike, WordPlanes
#include <splitvit/codec/detail/planes.hpp>        // Planes
#include <splitvit/core/error.hpp>                 // ShapeError
#include <splitvit/core/parallel.hpp>              // parallel_reduce
#include <splitvit/core/random.hpp>                // Rng
#include <splitvit/kernel/power_of_two_scale.hpp>  // power_of_two_scale
#include <splitvit/tensor/tensor.hpp>              // Tensor, TensorView

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

/// What pieces are divided by, so that no squared distance overflows.
template <class T>
T piece_unit(TensorView<const T> pieces) {
  return kernel::power_of_two_scale<T>(pieces.span(), sizeof(T) == 4 ? 50 : 480);
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
  // A shuffle of 0..m-1, as far as it is needed; only what lies elsewhere by now is kept.
  std::unordered_map<Index, Index> moved;
  const auto at = [&](Index i) {
    const auto found = moved.find(i);
    return found == moved.end() ? i : found->second;
  };
  std::vector<Index> out;
  for (Index i = 0; i < m && static_cast<Index>(out.size()) < count; ++i) {
    const Index from = i + rng.below(m - i), piece = at(from);
    moved[from] = at(i);
    moved.erase(i);
    if (taken.insert(piece).second) out.push_back(piece);
  }
  return out;
}

/// Adds the pieces of block b to the totals of their words, (W, d + 1).
template <class T>
class BlockTotals {
 public:
  BlockTotals(const Planes<T>& x, const Assignment& a) : x_{x}, a_{a}, row_{x.width + 1} {}

  void add(Index b, std::vector<double>& totals) {
    const FewWords& few = a_.words_of_block[static_cast<std::size_t>(b)];
    if (few.alone())
      add_whole(b, totals.data() + few.numbers()[0] * row_);
    else if (few.known())
      add_few(b, few, totals);
    else
      add_any(b, totals);
  }

 private:
  using Codes = std::array<NumberLike<T>, static_cast<std::size_t>(Planes<T>::block)>;

  void add_whole(Index b, double* total) {
    for (Index j = 0; j < x_.width; ++j) total[j] += x_.summary(b, j).sum;
    total[x_.width] += static_cast<double>(x_.filled(b));
  }

  /// Goes through the block once for each word: faster than from total to total, piece by piece.
  /// Where no sum is rounded, the last word has what the others leave.
  void add_few(Index b, const FewWords& few, std::vector<double>& totals) {
    Codes own;
    own.fill(-1);
    std::copy_n(a_.codes.data() + b * Planes<T>::block, x_.filled(b), own.begin());
    std::array<double, static_cast<std::size_t>(CellOrder<T>::widest) + 1> left{};
    bool exact = true;
    for (Index j = 0; j < x_.width; ++j) {
      left[static_cast<std::size_t>(j)] = x_.summary(b, j).sum;
      exact = exact && x_.summary(b, j).exact;
    }
    left[static_cast<std::size_t>(x_.width)] = static_cast<double>(x_.filled(b));
    for (const std::uint16_t word : few.numbers()) {
      const bool has_rest = exact && word == few.numbers().back();
      for (Index j = 0; j <= x_.width; ++j) {
        double& rest = left[static_cast<std::size_t>(j)];
        const double sum = has_rest       ? rest
                           : j < x_.width ? sum_of(own, word, b, j)
                                          : count(own, word);
        totals[static_cast<std::size_t>(word * row_ + j)] += sum;
        rest -= sum;
      }
    }
  }

  /// Of numbers j of the pieces of block b that have a word.
  double sum_of(const Codes& codes, NumberLike<T> word, Index b, Index j) const {
    const T* const x = x_.plane(j) + b * Planes<T>::block;
    constexpr std::size_t quarter = Codes{}.size() / 4;
    std::array<T, 4 * quarter> values;
    std::array<double, quarter> sums;
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = codes[i] == word ? x[i] : T{0};
    for (std::size_t i = 0; i < quarter; ++i)
      sums[i] = (double{values[i]} + double{values[i + quarter]}) +
                (double{values[i + 2 * quarter]} + double{values[i + 3 * quarter]});
    for (std::size_t half = quarter / 2; half >= 8; half /= 2)
      for (std::size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
    return std::accumulate(sums.begin(), sums.begin() + 8, 0.0);
  }

  static double count(const Codes& codes, NumberLike<T> word) {
    NumberLike<T> pieces = 0;
    for (const NumberLike<T> code : codes) pieces += code == word ? 1 : 0;
    return static_cast<double>(pieces);
  }

  void add_any(Index b, std::vector<double>& totals) {
    const Index first = b * Planes<T>::block;
    for (Index i = first; i < first + x_.filled(b); ++i) {
      double* const total = totals.data() + a_.codes[static_cast<std::size_t>(i)] * row_;
      for (Index j = 0; j < x_.width; ++j) total[j] += static_cast<double>(x_.at(i, j));
      total[x_.width] += 1;
    }
  }

  const Planes<T>& x_;
  const Assignment& a_;
  Index row_;
};

/// What the pieces of each word add up to, (W, d + 1): their numbers, and how many they are. In
/// double, in parts that depend on sizes alone; before(begin, end) is called for the blocks of a
/// part before they are added up.
template <class T, class Before>
std::vector<double> totals_of(const Planes<T>& x, const Assignment& a, Index words,
                              const Before& before) {
  constexpr Index least_part = (1 << 14) / Planes<T>::block;
  const Index size = words * (x.width + 1);
  const Index part = std::max(least_part, size / Planes<T>::block);
  std::vector<double> zeros(static_cast<std::size_t>(size));
  const auto partial = [&](Index begin, Index end) {
    before(begin, end);
    std::vector<double> totals = zeros;
    BlockTotals<T> blocks{x, a};
    for (Index b = begin; b < end; ++b) blocks.add(b, totals);
    return totals;
  };
  const auto together = [](std::vector<double> to, const std::vector<double>& from) {
    for (std::size_t k = 0; k < to.size(); ++k) to[k] += from[k];
    return to;
  };
  return parallel_reduce(x.blocks(), part, zeros, partial, together);
}

/// Gives every word without pieces the one that is farthest from its own word, of those that
/// are not alone; the first one of several. Ends if there are as many pieces as words. Says
/// whether there was such a word.
template <class T>
bool fill_empty_words(const Planes<T>& x, const std::vector<T>& words,
                      const std::vector<double>& totals, Assignment& a) {
  std::vector<double> sizes;
  for (std::size_t k = static_cast<std::size_t>(x.width); k < totals.size();
       k += static_cast<std::size_t>(x.width + 1))
    sizes.push_back(totals[k]);
  if (std::ranges::find(sizes, 0.0) == sizes.end()) return false;

  std::vector<T> distances(a.codes.size());
  for (std::size_t i = 0; i < distances.size(); ++i)
    for (Index j = 0; j < x.width; ++j) {
      const T gap = x.at(static_cast<Index>(i), j) -
                    words[static_cast<std::size_t>(a.codes[i] * x.width + j)];
      distances[i] += gap * gap;
    }
  // In the order of their pieces, so that the first one of several is found.
  std::vector<std::uint32_t> places(a.codes.size());
  std::iota(places.begin(), places.end(), 0u);
  places = x.by_piece(std::move(places));
  for (std::size_t empty = 0; empty < sizes.size(); ++empty) {
    if (sizes[empty] > 0) continue;
    std::size_t farthest = distances.size();
    for (const std::size_t i : places)
      if (sizes[a.codes[i]] >= 2 &&
          (farthest == distances.size() || distances[i] > distances[farthest]))
        farthest = i;
    sizes[a.codes[farthest]] -= 1;
    a.codes[farthest] = static_cast<std::uint16_t>(empty);
    a.words_of_block[farthest / static_cast<std::size_t>(Planes<T>::block)] = {};
    distances[farthest] = T{0};
    sizes[empty] = 1;
  }
  return true;
}

/// Each word becomes the mean of its pieces: one division and one rounding.
template <class T>
void move_words(const std::vector<double>& totals, Index width, std::vector<T>& words) {
  for (Index k = 0; k * width < static_cast<Index>(words.size()); ++k) {
    const double* const total = totals.data() + k * (width + 1);
    for (Index j = 0; j < width; ++j)
      words[static_cast<std::size_t>(k * width + j)] = static_cast<T>(total[j] / total[width]);
  }
}

/// The rounds of k-means from given words, until one fills no empty word and repeats the codes of
/// the one before. Changes the words and returns the word of each place of x.
template <class T>
Assignment refine(const Planes<T>& x, std::vector<T>& words, int rounds) {
  const Index W = static_cast<Index>(words.size()) / x.width;
  Assignment found{x};
  for (int round = 0; round < rounds; ++round) {
    const WordPlanes<T> planes{words, x.width};
    std::atomic<bool> is_new = round == 0;
    std::vector<double> totals = totals_of(x, found, W, [&](Index begin, Index end) {
      if (find_nearest(x, planes, begin, end, found)) is_new = true;
    });
    if (fill_empty_words(x, words, totals, found)) {
      totals = totals_of(x, found, W, [](Index, Index) {});
      is_new = true;
    }
    move_words(totals, x.width, words);
    if (!is_new) break;
  }
  return found;
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
  const T unit = std::max(detail::piece_unit(pieces), detail::piece_unit(words));
  const detail::Planes<T> x{pieces, unit};
  std::vector<T> scaled(words.span().begin(), words.span().end());
  for (T& value : scaled) value /= unit;
  detail::Assignment found{x};
  detail::find_nearest(x, detail::WordPlanes<T>{scaled, x.width}, 0, x.blocks(), found);
  return x.by_piece(std::move(found.codes));
}

/// k-means from given words, of which no two are equal: gives each piece to the nearest one;
/// an empty word takes over the piece that is farthest from its own; then each word becomes the
/// mean of its pieces. Ends when a round finds no empty word and repeats the codes of the one
/// before, or after `rounds`.
///
/// Shapes  pieces (m, d), words (W, d), W at most m and the number of distinct pieces.
/// Errors  ShapeError; std::invalid_argument for rounds < 1.
template <std::floating_point T>
Codebook<T> refine_words(TensorView<const T> pieces, TensorView<const T> words, int rounds) {
  detail::require_pieces<T>(pieces.shape(), words.shape(), "refine_words");
  detail::require_rounds(rounds, "refine_words");
  if (words.shape()[0] > pieces.shape()[0])
    throw ShapeError("refine_words: " + words.shape().text() + " words for pieces " +
                     pieces.shape().text() + ", wanted at most as many");
  const T unit = std::max(detail::piece_unit(pieces), detail::piece_unit(words));
  std::vector<T> scaled(words.span().begin(), words.span().end());
  for (T& value : scaled) value /= unit;
  const detail::Planes<T> x{pieces, unit};
  auto found = detail::refine(x, scaled, rounds);
  return detail::codebook_of(x, scaled, std::move(found.codes));
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
  const detail::Planes<T> x{pieces, detail::piece_unit(pieces)};
  std::vector<T> found;
  for (const Index piece : detail::draw_distinct(pieces, std::min(words, x.count), rng))
    for (Index j = 0; j < x.width; ++j) found.push_back(pieces[piece * x.width + j] / x.unit);
  auto assigned = detail::refine(x, found, rounds);
  if (wanted == Codes::nearest)
    detail::find_nearest(x, detail::WordPlanes<T>{found, x.width}, 0, x.blocks(), assigned);
  return detail::codebook_of(x, found, std::move(assigned.codes));
}

}  // namespace splitvit::codec
