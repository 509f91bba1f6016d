// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, max, min, min_element
#include <cmath>      // sqrt

#include <splitvit/core/error.hpp>           // ShapeError
#include <splitvit/core/options.hpp>         // at_least, names_of, Real, require_options
#include <splitvit/core/parallel.hpp>        // parallel_for, parallel_reduce
#include <splitvit/core/random.hpp>          // Rng
#include <splitvit/core/shape.hpp>           // Index, Shape
#include <splitvit/core/workspace.hpp>       // RecycledVector
#include <splitvit/kernel/kmeans_start.hpp>  // distinct_rows, plus_plus_rows, random_rows
#include <splitvit/kernel/matrix.hpp>        // dense, Matrix
#include <splitvit/kernel/sub_vectors.hpp>   // NearestCodeword, sum_of_block, SubVectors
#include <splitvit/kernel/vector_ops.hpp>    // power_of_two_scale

// k-means: groups rows that are close to each other, a few long ones or very many short ones. The
// bits are the same for any number of threads. Letters: m rows of d numbers, K clusters.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// The most clusters of k-means: their numbers have 16 bits.
inline constexpr Index most_clusters = 65536;

/// Which rows are the first centroids. Equal rows are never taken twice.
enum class KMeansStart : std::uint8_t {
  random,     ///< each row equally likely
  plus_plus,  ///< with probability proportional to the squared distance to the nearest taken one
};

/// When the rounds end, at the latest after `max_iterations`.
enum class KMeansStop : std::uint8_t {
  shift,     ///< (sum over clusters of how far the centroid moved)^2 < tolerance
  fixpoint,  ///< a round repeats the assignment of the round before
};

struct KMeansOptions {
  int max_iterations = 50;                  ///< rounds, at least 1
  double tolerance = 1e-4;                  ///< of KMeansStop::shift, at least 0
  KMeansStart start = KMeansStart::random;  ///< where to begin
  KMeansStop stop = KMeansStop::shift;      ///< when to end
  /// In the end assigns each row to the nearest of the last centroids, which are then not always
  /// the means of their rows; a cluster may be empty.
  bool reassign = false;

  /// `self` may be another policy with members of these names.
  static void each_option(auto& self, auto&& see) {
    constexpr double any_number = std::numeric_limits<double>::infinity();
    see("max_iterations", self.max_iterations, at_least(1, "ROUNDS"));
    see("tolerance", self.tolerance, Real{0, any_number, "SHIFT"});
    using Start = KMeansStart;
    using Stop = KMeansStop;
    see("start", self.start,
        names_of<Start>({{"random", Start::random}, {"plus_plus", Start::plus_plus}}));
    see("stop", self.stop, names_of<Stop>({{"shift", Stop::shift}, {"fixpoint", Stop::fixpoint}}));
  }
};

/// What k-means found. `centroids` are the means of the rows that `assignment` gives them.
template <class T>
struct Clustering {
  RecycledVector<T> centroids;               ///< (K, d)
  RecycledVector<std::uint16_t> assignment;  ///< (m): the cluster of each row, 0..K-1
  Index clusters = 0;                        ///< K
  int rounds = 0;                            ///< the last one included
};

namespace detail {
/// The sum and the number of the vectors in each cluster, in double.
template <class T>
class ClusterTotals {
 public:
  using Codes = typename NearestCodeword<T>::Codes;

  explicit ClusterTotals(Index clusters = 0, Index width = 0)
      : row_{width + 1}, totals_(static_cast<std::size_t>(clusters * row_)) {}

  /// The d sums of cluster k, then the number of vectors.
  double* row(Index k) { return totals_.data() + k * row_; }
  const double* row(Index k) const { return totals_.data() + k * row_; }
  double size(Index k) const { return row(k)[row_ - 1]; }

  /// Adds the vectors of blocks begin..end-1, each to its cluster in `codes`.
  void add(const SubVectors<T>& x, Index begin, Index end, const std::uint16_t* codes) {
    const T* const from = x.column(0);
    const Index last = std::min(end * x.block, x.count);
    for (Index i = begin * x.block; i < last; ++i) {
      double* const total = row(codes[i]);
      for (Index j = 0; j < x.width; ++j) total[j] += static_cast<double>(from[j * x.stride + i]);
      total[x.width] += 1;
    }
  }

  /// Adds the vectors of block b whose code is k. For few clusters, several such passes are faster
  /// than one that goes from cluster to cluster.
  void add_cluster(const SubVectors<T>& x, Index b, const Codes& codes, T k) {
    std::int32_t size = 0;
    for (const T code : codes) size += code == k ? 1 : 0;
    if (size == 0) return;
    double* const total = row(static_cast<Index>(k));
    for (Index j = 0; j < x.width; ++j) {
      const T* const from = x.column(j) + b * x.block;
      Codes values;
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = codes[i] == k ? from[i] : T{0};
      total[j] += sum_of_block<SubVectors<T>::block>(values.data());
    }
    total[x.width] += size;
  }

  /// Adds the vectors of block b, all of which are in cluster k.
  void add_all(const SubVectors<T>& x, Index b, T k) {
    double* const total = row(static_cast<Index>(k));
    for (Index j = 0; j < x.width; ++j) total[j] += x.summary(b)[j].sum;
    total[x.width] += static_cast<double>(x.filled(b));
  }

  ClusterTotals& operator+=(const ClusterTotals& other) {
    for (std::size_t i = 0; i < totals_.size(); ++i) totals_[i] += other.totals_[i];
    return *this;
  }

 private:
  Index row_;
  RecycledVector<double> totals_;  // (K, d + 1)
};

template <class T>
class Lloyd {
 public:
  /// centroids (K, d), K at most the number of vectors.
  Lloyd(const SubVectors<T>& x, const Matrix<const T>& centroids)
      : x_{x},
        K_{centroids.rows},
        centroids_(centroids.data, centroids.data + K_ * centroids.cols) {
    for (T& value : centroids_) value /= x.unit;
  }

  Clustering<T> run(const KMeansOptions& options) {
    RecycledVector<std::uint16_t> before;
    int rounds = 0;
    for (bool done = false; !done;) {
      std::swap(before, codes_);
      ClusterTotals<T> totals = assign();
      fill_empty_clusters(totals);
      const double shift = move_to_means(totals);
      done = ++rounds >= options.max_iterations ||
             (options.stop == KMeansStop::shift ? shift * shift < options.tolerance
                                                : codes_ == before);
    }
    if (options.reassign) assign();
    constexpr T most = std::numeric_limits<T>::max();
    for (T& value : centroids_) value = std::clamp(value * x_.unit, -most, most);
    return {std::move(centroids_), by_row(), K_, rounds};
  }

  /// Gives each vector to the nearest centroid.
  ClusterTotals<T> assign() {
    codes_.resize(static_cast<std::size_t>(x_.count));
    const auto codewords = dense<const T>(centroids_.data(), K_, x_.width);
    const Index grain = std::max<Index>(1, 4096 / std::max<Index>(1, K_ * x_.width));
    return totals_of([&](ClusterTotals<T>& part, Index begin, Index end) {
      if (!x_.sorted()) {
        parallel_for(end - begin, grain, [&](Index first, Index last) {
          NearestCodeword<T> nearest{x_, codewords};
          for (Index b = begin + first; b < begin + last; ++b) find(nearest, b);
        });
        part.add(x_, begin, end, codes_.data());
        return;
      }
      NearestCodeword<T> nearest{x_, codewords};
      for (Index b = begin; b < end; ++b) {
        find(nearest, b);
        if (nearest.candidates().size() == 1)
          part.add_all(x_, b, nearest.candidates()[0]);
        else if (nearest.candidates().size() > 8)
          part.add(x_, b, b + 1, codes_.data());
        else
          for (const T k : nearest.candidates()) part.add_cluster(x_, b, nearest.codes(), k);
      }
    });
  }

  RecycledVector<std::uint16_t> by_row() {
    if (!x_.sorted()) return std::move(codes_);
    RecycledVector<std::uint16_t> out(codes_.size());
    x_.each_place([&](Index place, Index row) { out.data()[row] = codes_.data()[place]; });
    return out;
  }

 private:
  /// The sum of what add(part, begin, end) makes of ranges of blocks, which depend on sizes alone.
  template <class Add>
  ClusterTotals<T> totals_of(const Add& add) const {
    const Index least = (1 << 14) / x_.block, size = K_ * (x_.width + 1);
    return parallel_reduce(
        x_.blocks(), std::max(least, size / x_.block), ClusterTotals<T>{},
        [&](Index begin, Index end) {
          ClusterTotals<T> part{K_, x_.width};
          add(part, begin, end);
          return part;
        },
        [](ClusterTotals<T>& a, const ClusterTotals<T>& b) { return std::move(a += b); });
  }

  void find(NearestCodeword<T>& nearest, Index b) {
    nearest.find(b);
    std::uint16_t* const codes = codes_.data() + b * x_.block;
    for (Index i = 0; i < x_.filled(b); ++i) {
      const auto code = static_cast<std::int32_t>(nearest.codes().data()[i]);
      codes[i] = static_cast<std::uint16_t>(code);
    }
  }

  /// Each empty cluster takes the vector farthest from its centroid, from clusters of at least two;
  /// the first row of several.
  void fill_empty_clusters(ClusterTotals<T>& totals) {
    RecycledVector<Index> sizes;
    for (Index k = 0; k < K_; ++k) sizes.push_back(static_cast<Index>(totals.size(k)));
    if (*std::min_element(sizes.begin(), sizes.end()) > 0) return;

    const auto at = [](Index i) { return static_cast<std::size_t>(i); };
    auto distances = squared_distances(
        x_, [&](Index place) { return centroids_.data() + codes_[at(place)] * x_.width; });
    RecycledVector<Index> place_of(codes_.size());  // of each row
    x_.each_place([&](Index place, Index row) { place_of[at(row)] = place; });
    for (Index k = 0; k < K_; ++k) {
      if (sizes[at(k)] > 0) continue;
      Index farthest = -1;
      for (const Index place : place_of)
        if (sizes[codes_[at(place)]] >= 2 &&
            (farthest < 0 || distances[at(place)] > distances[at(farthest)]))
          farthest = place;
      --sizes[codes_[at(farthest)]];
      sizes[at(k)] = 1;
      codes_[at(farthest)] = static_cast<std::uint16_t>(k);
      distances[at(farthest)] = T{0};
    }
    totals = totals_of([&](ClusterTotals<T>& part, Index begin, Index end) {
      part.add(x_, begin, end, codes_.data());
    });
  }

  /// Makes each centroid the mean of its vectors: one division and one rounding. Returns the sum
  /// over clusters of how far it moves (not squared).
  double move_to_means(const ClusterTotals<T>& totals) {
    double sum = 0.0;
    for (Index k = 0; k < K_; ++k) {
      double square = 0.0;
      for (Index j = 0; j < x_.width; ++j) {
        T& centroid = centroids_[static_cast<std::size_t>(k * x_.width + j)];
        const auto mean = static_cast<T>(totals.row(k)[j] / totals.size(k));
        const double gap = static_cast<double>(mean) - static_cast<double>(centroid);
        square += gap * gap;
        centroid = mean;
      }
      sum += std::sqrt(square);
    }
    return sum * static_cast<double>(x_.unit);
  }

  const SubVectors<T>& x_;
  Index K_;
  RecycledVector<T> centroids_;          // in the unit of x
  RecycledVector<std::uint16_t> codes_;  // the cluster of the vector at each place
};

/// The rows in a unit in which no squared distance to a centroid overflows, or ShapeError.
template <class T>
SubVectors<T> vectors_of(const char* operation, const Matrix<const T>& rows,
                         const Matrix<const T>& centroids) {
  if (rows.rows < 1 || rows.rows > Index{std::numeric_limits<std::uint32_t>::max()} ||
      centroids.rows < 1 || centroids.rows > most_clusters || rows.cols != centroids.cols ||
      rows.stride != rows.cols || centroids.stride != centroids.cols)
    throw ShapeError({operation, ": rows ", Shape{rows.rows, rows.cols}.text(), ", centroids ",
                      Shape{centroids.rows, centroids.cols}.text(),
                      ", wanted (m, d) and (K, d) without gaps, 1 <= m < 2^32, 1 <= K <= 65536"});
  T unit{1};
  for (const Matrix<const T>& each : {rows, centroids})
    unit = std::max(
        unit, power_of_two_scale<T>({each.data, static_cast<std::size_t>(each.rows * each.cols)},
                                    sizeof(T) == 4 ? 50 : 400));
  return {rows, unit};
}
}  // namespace detail

/// For each row the nearest codeword, by squared Euclidean distance in the element type; the first
/// one of several. rows (m, d), codewords (K, d), finite -> (m). Errors  ShapeError.
template <std::floating_point T>
RecycledVector<std::uint16_t> nearest_codewords(const Matrix<const T>& rows,
                                                const Matrix<const T>& codewords) {
  const SubVectors<T> x = detail::vectors_of("nearest_codewords", rows, codewords);
  detail::Lloyd<T> lloyd{x, codewords};
  lloyd.assign();
  return lloyd.by_row();
}

/// Groups rows into at most `clusters` clusters, fewer if fewer rows are distinct.
///
/// A round gives each row to the nearest centroid (squared Euclidean distance in the element type,
/// the lowest number wins a tie); an empty cluster then takes over the row that is farthest from
/// its own centroid; then each centroid becomes the mean of its rows.
///
/// Shapes  rows (m, d), finite, without gaps, m from 1 to 2^32 - 1.
/// Errors  ShapeError; std::invalid_argument for clusters outside 1..65536, or options outside
///         their range.
/// Source  arXiv:2509.15058, batch compression; authors' code:
///         Federico-Alvetreti/Split-Learning_ADC, methods/proposal.py.
/// Differs Draws come from rng. Empty clusters are filled: the authors' code leaves them
///         without a row, so that their means are NaN.
template <std::floating_point T>
Clustering<T> kmeans(const Matrix<const T>& rows, Index clusters, const KMeansOptions& options,
                     Rng& rng) {
  require_option("kmeans", "clusters", clusters, Whole<Index>{1, most_clusters, "COUNT"});
  require_options("kmeans", options);
  const SubVectors<T> x = detail::vectors_of("kmeans", rows, rows.slice(0, 1));
  const RecycledVector<Index> taken = options.start == KMeansStart::random
                                          ? random_rows(rows, clusters, rng)
                                          : plus_plus_rows(rows, x, clusters, rng);
  RecycledVector<T> start;
  for (const Index row : taken) start.append(rows.row(row), rows.row(row + 1));
  const auto K = static_cast<Index>(taken.size());
  return detail::Lloyd<T>{x, dense<const T>(start.data(), K, rows.cols)}.run(options);
}

/// The same from given centroids (K, d). If fewer rows are distinct, the first ones are used;
/// `options.start` plays no role.
template <std::floating_point T>
Clustering<T> kmeans_from(const Matrix<const T>& rows, const Matrix<const T>& start,
                          const KMeansOptions& options = {}) {
  require_options("kmeans_from", options);
  const SubVectors<T> x = detail::vectors_of("kmeans_from", rows, start);
  const auto in_order = [](Index i) { return i; };
  const auto K = static_cast<Index>(distinct_rows(rows, start.rows, in_order).size());
  return detail::Lloyd<T>{x, start.slice(0, K)}.run(options);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
