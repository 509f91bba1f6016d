// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // equal, min
#include <numeric>    // iota

#include <splitvit/core/hash_set.hpp>       // HashSet
#include <splitvit/core/random.hpp>         // Rng
#include <splitvit/core/shape.hpp>          // Index
#include <splitvit/core/workspace.hpp>      // RecycledVector
#include <splitvit/kernel/matrix.hpp>       // Matrix
#include <splitvit/kernel/sub_vectors.hpp>  // SubVectors

// The rows at which k-means starts. Equal rows (-0 equals +0) count once.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// An empty set of row numbers in which equal rows count once.
template <class T>
auto set_of_rows(const Matrix<const T>& rows, Index expected) {
  const auto row = [rows](std::uint64_t i) { return rows.row(static_cast<Index>(i)); };
  const auto hash = [row, rows](std::uint64_t i) {
    std::size_t mixed = 0;
    for (Index j = 0; j < rows.cols; ++j)
      mixed = (mixed ^ std::hash<T>{}(row(i)[j])) * 0x9E3779B97F4A7C15u;
    return mixed;
  };
  const auto equal = [row, rows](std::uint64_t a, std::uint64_t b) {
    return std::equal(row(a), row(a) + rows.cols, row(b));
  };
  return HashSet{static_cast<std::size_t>(expected), hash, equal};
}

/// The first `count` distinct rows in the order next(0), next(1), ..., or all if there are fewer.
template <class T, class Next>
RecycledVector<Index> distinct_rows(const Matrix<const T>& rows, Index count, const Next& next) {
  auto taken = set_of_rows(rows, count);
  RecycledVector<Index> out;
  for (Index i = 0; i < rows.rows && static_cast<Index>(out.size()) < count; ++i)
    if (const Index row = next(i); taken.insert(static_cast<std::uint64_t>(row)))
      out.push_back(row);
  return out;
}

/// `count` distinct rows in random order, or all if there are fewer.
template <class T>
RecycledVector<Index> random_rows(const Matrix<const T>& rows, Index count, Rng& rng) {
  RecycledVector<std::uint32_t> order(static_cast<std::size_t>(rows.rows));
  std::iota(order.begin(), order.end(), 0u);
  return distinct_rows(rows, count, [&](Index i) {  // a shuffle, as far as it is needed
    std::uint32_t* const next = order.data() + i;
    std::swap(next[0], next[rng.below(rows.rows - i)]);
    return Index{next[0]};
  });
}

/// The squared distance of each vector to codeword_of(place), by place.
template <class T, class CodewordOf>
RecycledVector<T> squared_distances(const SubVectors<T>& x, const CodewordOf& codeword_of) {
  RecycledVector<T> out(static_cast<std::size_t>(x.count));
  for (Index j = 0; j < x.width; ++j)
    for (Index i = 0; i < x.count; ++i) {
      const T gap = x.column(j)[i] - codeword_of(i)[j];
      out.data()[i] += gap * gap;
    }
  return out;
}

/// `count` distinct rows, far apart rather than close together, or all if there are fewer.
template <class T>
RecycledVector<Index> plus_plus_rows(const Matrix<const T>& rows, const SubVectors<T>& x,
                                     Index count, Rng& rng) {
  auto taken = set_of_rows(rows, count);
  RecycledVector<Index> out{rng.below(rows.rows)};
  RecycledVector<T> nearest(static_cast<std::size_t>(rows.rows),
                            std::numeric_limits<T>::infinity());
  const auto at = [&](Index row) -> T& { return nearest[static_cast<std::size_t>(row)]; };
  while (static_cast<Index>(out.size()) < count) {
    const T* const row_of_last = rows.row(out.back());
    RecycledVector<T> last(row_of_last, row_of_last + rows.cols);
    for (T& value : last) value /= x.unit;
    taken.insert(static_cast<std::uint64_t>(out.back()));
    const auto distances = squared_distances(x, [&](Index) { return last.data(); });
    x.each_place(
        [&](Index place, Index row) { at(row) = std::min(at(row), distances.data()[place]); });
    double sum = 0.0;
    for (const T distance : nearest) sum += static_cast<double>(distance);
    // Rows may be distinct and yet so close that the square of their distance is zero.
    Index choice = 0;
    while (choice < rows.rows && !(at(choice) > T{0}) &&
           taken.contains(static_cast<std::uint64_t>(choice)))
      ++choice;
    if (choice == rows.rows) break;  // all rows equal one that is taken
    const double target = rng.uniform() * sum;
    double prefix = 0.0;
    for (Index i = choice; i < rows.rows && prefix <= target; ++i) {
      const T distance = at(i);
      prefix += static_cast<double>(distance);
      if (distance > T{0}) choice = i;
    }
    out.push_back(choice);
  }
  return out;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
