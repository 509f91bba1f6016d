// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // copy_n, fill, fill_n, max, min, min_element, sort
#include <bit>         // countr_zero
#include <cmath>       // isnan, pow
#include <functional>  // negate
#include <numeric>     // accumulate, exclusive_scan, iota

#include <splitvit/core/parallel.hpp>   // parallel_for
#include <splitvit/core/shape.hpp>      // Index
#include <splitvit/core/workspace.hpp>  // RecycledVector
#include <splitvit/kernel/matrix.hpp>   // Matrix, Scratch
#include <splitvit/kernel/simd.hpp>  // if_smaller, Lanes, larger, largest, load, Pack, smaller, store

// The vectors that k-means groups, m of d numbers, and the nearest of K codewords of each.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// Whether there may be very many short vectors of T. Those in double are few and long, such as
/// rows of attention: the code for short ones would be compiled for nothing.
template <class T>
inline constexpr bool may_be_short = std::same_as<T, float>;

/// Calls work(width), with a constant of the compiler for 1 to 4: loops over it are then faster.
template <class T, class Work>
void with_width(Index width, const Work& work) {
  if constexpr (may_be_short<T>) {
    if (width == 1) return work(std::integral_constant<Index, 1>{});
    if (width == 2) return work(std::integral_constant<Index, 2>{});
    if (width == 3) return work(std::integral_constant<Index, 3>{});
    if (width == 4) return work(std::integral_constant<Index, 4>{});
  }
  return work(width);
}

/// The sum of n numbers in double, n a multiple of 8.
template <Index n, class T>
double sum_of_block(const T* x) {
  std::array<double, 8> sums{};
  for (Index i = 0; i < n; i += 8)
    for (std::size_t lane = 0; lane < sums.size(); ++lane)
      sums[lane] += double{x[i + static_cast<Index>(lane)]};
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

/// Vectors (sub-vectors of product quantisation) in dimension-major layout: all first numbers, then
/// all second ones. Padded with zeros to whole blocks. Very many short ones are sorted by the
/// cells of a grid of quantile bins, so that a block of them is near to few codewords.
template <class T>
class SubVectors {
 public:
  static constexpr Index block = 256;

  /// The range and the sum of one number of the vectors in a block.
  struct Summary {
    T least, largest;
    double sum;
  };

  /// rows (m, d), m below 2^32, divided by `scale`, a power of two.
  SubVectors(const Matrix<const T>& rows, T scale)
      : count{rows.rows},
        width{rows.cols},
        stride{(count + block - 1) / block * block},
        unit{scale},
        values_(width * stride) {
    for (Index j = 0; j < width; ++j)
      std::fill_n(values_.data() + j * stride + count, stride - count, T{0});
    const T factor = T{1} / unit;  // exact
    with_width<T>(width, [&](auto d) {
      if constexpr (may_be_short<T>)
        if (count >= 1 << 14 && width >= 1 && width <= 4) sort(d, rows);
      each_place([&](Index place, Index row) {
        for (Index j = 0; j < d; ++j)
          values_.data()[j * stride + place] = rows.row(row)[j] * factor;
      });
    });
    if (!sorted()) return;
    summaries_.resize(static_cast<std::size_t>(blocks() * width));
    parallel_for(blocks() * width, 128, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        const T* const x = column(i % width) + i / width * block;
        const Index n = filled(i / width);
        summaries_.data()[i] = {-largest(x, n, std::negate{}), largest(x, n),
                                sum_of_block<block>(x)};
      }
    });
  }

  Index blocks() const { return stride / block; }
  /// The vectors in block b; the last one may have fewer than `block`.
  Index filled(Index b) const { return std::min(block, count - b * block); }
  /// Numbers j of all vectors.
  const T* column(Index j) const { return values_.data() + j * stride; }
  bool sorted() const { return may_be_short<T> && cells_ > 0; }
  /// The d summaries of block b; only if the vectors are sorted.
  const Summary* summary(Index b) const { return summaries_.data() + b * width; }

  /// Calls visit(place, row) for every vector: its place here, and its row. On several threads.
  template <class Visit>
  void each_place(const Visit& visit) const {
    parallel_for(count, section, [&](Index begin, Index end) {
      if (!sorted()) {
        for (Index i = begin; i < end; ++i) visit(i, i);
        return;
      }
      const std::uint16_t* row = order_.data() + begin;
      for (Index c = 0; c < cells_; ++c) {
        const std::uint32_t* const place = places_.data() + c * sections() + begin / section;
        for (std::uint32_t p = place[0]; p < place[1]; ++p) visit(Index{p}, begin + *row++);
      }
    });
  }

  const Index count, width, stride;
  const T unit;

 private:
  static constexpr Index section = 1 << 16;  // rows that are sorted together, in the cache
  static constexpr std::int32_t most_cells = 1 << 12;
  static constexpr Index segments = 8;

  Index sections() const { return (count + section - 1) / section; }

  /// Orders the rows by their cells; rows of one cell keep their order.
  template <class Width>
  void sort(Width d, const Matrix<const T>& rows) {
    const auto cells = static_cast<double>(std::min(Index{most_cells}, blocks()));
    const auto bins =
        static_cast<std::int32_t>(std::pow(cells, 1.0 / static_cast<double>(width)) + 1e-6);
    cells_ = 1;
    for (Index j = 0; j < d; ++j) cells_ *= bins;
    const RecycledVector<T> quantiles = quantiles_of(rows);
    order_.room(count);
    places_.resize(static_cast<std::size_t>(cells_ * sections() + 1));
    parallel_for(count, section, [&](Index begin, Index end) {
      RecycledVector<std::uint16_t> cell(static_cast<std::size_t>(end - begin));
      for (Index i = begin; i < end; i += block)
        find_cells(d, rows.slice(i, std::min(i + block, end)), quantiles, bins,
                   cell.data() + i - begin);
      RecycledVector<std::uint32_t> next(static_cast<std::size_t>(cells_));
      for (const std::uint16_t c : cell) ++next[c];
      for (Index c = 0; c < cells_; ++c)
        places_.data()[c * sections() + begin / section] = next.data()[c];
      std::exclusive_scan(next.begin(), next.end(), next.begin(), 0u);
      std::uint16_t* const order = order_.data() + begin;
      for (std::size_t i = 0; i < cell.size(); ++i)
        order[next[cell[i]]++] = static_cast<std::uint16_t>(i);
    });
    std::exclusive_scan(places_.begin(), places_.end(), places_.begin(), 0u);
  }

  /// Quantiles of each number, (d, segments + 1), from a sample; closer together towards both ends.
  RecycledVector<T> quantiles_of(const Matrix<const T>& rows) const {
    constexpr Index n = 2048;
    RecycledVector<T> sample(n), quantiles;
    for (Index j = 0; j < width; ++j) {
      for (Index i = 0; i < n; ++i) {
        const T value = rows.row(i * count / n)[j];
        sample.data()[i] = std::isnan(value) ? T{0} : value;  // can be sorted
      }
      std::sort(sample.begin(), sample.end());
      for (Index q = 0; q <= segments; ++q) {
        const double part = static_cast<double>(q) / static_cast<double>(segments);
        const double below = part * part * (3 - 2 * part);
        quantiles.push_back(sample[static_cast<std::size_t>(below * (n - 1))]);
      }
    }
    return quantiles;
  }

  /// The cells of at most a block of rows, from a distribution function that is linear between
  /// quantiles. Each line of cells runs against the one before: neighbours stay neighbours.
  template <class Width>
  static void find_cells(Width d, const Matrix<const T>& rows, const RecycledVector<T>& quantiles,
                         std::int32_t bins, std::uint16_t* cells) {
    std::array<T, block> x{}, place;
    std::array<std::int32_t, block> cell{};
    const T bins_of_segment = static_cast<T>(bins) / static_cast<T>(segments);
    for (Index j = 0; j < d; ++j) {
      for (Index i = 0; i < rows.rows; ++i) x[static_cast<std::size_t>(i)] = rows.row(i)[j];
      place.fill(T{0});
      const T* const quantile = quantiles.data() + j * (segments + 1);
      for (Index q = 0; q < segments; ++q) {
        const T low = quantile[q], slope = T{1} / (quantile[q + 1] - low);
        for (std::size_t i = 0; i < x.size(); ++i)
          place[i] += std::min(T{1}, std::max(T{0}, (x[i] - low) * slope));
      }
      for (std::size_t i = 0; i < x.size(); ++i) {
        const auto bin = std::min(bins - 1, static_cast<std::int32_t>(place[i] * bins_of_segment));
        cell[i] = cell[i] * bins + (cell[i] % 2 == 0 ? bin : bins - 1 - bin);
      }
    }
    std::copy_n(cell.begin(), rows.rows, cells);
  }

  Scratch<T> values_;                     // (d, stride)
  Index cells_ = 0;                       // 0: not sorted, and the rest is empty
  Scratch<std::uint16_t> order_;          // the rows of each section by cell
  RecycledVector<std::uint32_t> places_;  // (cells, sections): where their vectors begin; the end
  RecycledVector<Summary> summaries_;     // (blocks, d)
};

/// Searches block after block, on one thread. Codes are the numbers of codewords, as T: so they
/// fill as many lanes as distances.
template <class T>
class NearestCodeword {
 public:
  static constexpr Index block = SubVectors<T>::block;
  using Codes = std::array<T, static_cast<std::size_t>(block)>;

  /// codewords (K, d), K at most 2^24, in the unit of x.
  NearestCodeword(const SubVectors<T>& x, const Matrix<const T>& codewords)
      : x_{x}, codewords_{codewords}, candidates_(static_cast<std::size_t>(codewords.rows)) {
    std::iota(candidates_.begin(), candidates_.end(), T{0});
    if (!x.sorted()) return;
    stride_ = (codewords.rows + together - 1) / together * together;
    gaps_.resize(static_cast<std::size_t>(stride_));
    columns_.resize(static_cast<std::size_t>(x.width * stride_),
                    std::numeric_limits<T>::infinity());
    for (Index k = 0; k < codewords.rows; ++k)
      for (Index j = 0; j < x.width; ++j) columns_.data()[j * stride_ + k] = codewords.row(k)[j];
  }

  /// For each vector of block b the nearest codeword by squared Euclidean distance, the first of
  /// several; -1 behind the last vector.
  void find(Index b) {
    if constexpr (may_be_short<T>)
      if (x_.sorted()) prune(x_.summary(b));
    if (candidates_.size() == 1) {
      codes_.fill(candidates_[0]);
    } else {
      const T* const x = x_.column(0) + b * block;
      with_width<T>(x_.width, [&](auto d) { search(d, x, x_.filled(b)); });
    }
    std::fill(codes_.begin() + x_.filled(b), codes_.end(), T{-1});
  }

  const Codes& codes() const { return codes_; }
  /// The codewords among which the nearest ones are, ascending.
  std::span<const T> candidates() const { return candidates_; }

 private:
  using P = Pack<T>;
  static constexpr Index together = 16;  // a multiple of the lanes of every processor

  /// Leaves out codewords that are farther from all of a box than another one is. Some slack covers
  /// steps that are rounded in another way than in a distance.
  void prune(const typename SubVectors<T>::Summary* box) {
    static_assert(together % lanes<T> == 0);
    P least(std::numeric_limits<T>::infinity());
    for (Index k = 0; k < stride_; k += lanes<T>) {
      P near(T{0}), far(T{0});
      for (Index j = 0; j < x_.width; ++j) {
        const P w = load<T>(columns_.data() + j * stride_ + k);
        const P below = P(box[j].least) - w, above = w - P(box[j].largest);
        const P gap = larger(P(T{0}), larger(below, above)), reach = smaller(below, above);
        near = multiply_add(gap, gap, near);
        far = multiply_add(reach, reach, far);
      }
      store<T>(gaps_.data() + k, near);
      least = smaller(least, far);
    }
    Lanes<T> limits;
    store<T>(limits.data(), least);
    const T limit = *std::min_element(limits.begin(), limits.end()) *
                    (1 + 64 * std::numeric_limits<T>::epsilon());

    candidates_.clear();
    values_.clear();
    for (Index first = 0; first < stride_; first += together) {
      unsigned near = 0;  // a bit for each codeword: no branch on each, which would be a guess
      for (Index lane = 0; lane < together; ++lane)
        near |= (gaps_[static_cast<std::size_t>(first + lane)] <= limit ? 1u : 0u) << lane;
      for (; near != 0; near &= near - 1) {
        const Index k = first + std::countr_zero(near);
        if (k >= codewords_.rows) break;  // padding, near to a box that is infinitely large
        const T* const value = codewords_.row(k);
        candidates_.push_back(static_cast<T>(k));
        values_.append(value, value + x_.width);
      }
    }
  }

  /// Compares the n vectors at x with all candidates, several packs at a time.
  template <class Width>
  void search(Width d, const T* x, Index n) {
    constexpr std::size_t packs = 4;
    constexpr auto step = static_cast<Index>(packs) * lanes<T>;
    static_assert(block % step == 0);
    for (Index i = 0; i < n; i += step) {
      std::array<P, packs> least, code;
      least.fill(P(std::numeric_limits<T>::infinity()));
      code.fill(P(T{0}));
      const T* value = x_.sorted() ? values_.data() : codewords_.data;
      for (const T candidate : candidates_) {
        std::array<P, packs> sum;
        sum.fill(P(T{0}));
        for (Index j = 0; j < d; ++j) {
          const P w(*value++);
          for (std::size_t p = 0; p < packs; ++p) {
            const P gap = load<T>(x + j * x_.stride + i + static_cast<Index>(p) * lanes<T>) - w;
            sum[p] = sum[p] + gap * gap;
          }
        }
        for (std::size_t p = 0; p < packs; ++p) {
          code[p] = if_smaller(sum[p], least[p], P(candidate), code[p]);
          least[p] = smaller(sum[p], least[p]);
        }
      }
      for (std::size_t p = 0; p < packs; ++p)
        store<T>(codes_.data() + i + static_cast<Index>(p) * lanes<T>, code[p]);
    }
  }

  const SubVectors<T>& x_;
  Matrix<const T> codewords_;
  Index stride_ = 0;
  RecycledVector<T> columns_;     // codewords in dimension-major layout, padded with infinity
  RecycledVector<T> gaps_;        // from each codeword to the box, squared
  RecycledVector<T> candidates_;  // numbers of codewords
  RecycledVector<T> values_;      // the candidates of a sorted block, one after the other
  Codes codes_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
