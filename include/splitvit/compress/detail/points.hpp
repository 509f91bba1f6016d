// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min

#include <splitvit/core/shape.hpp>         // Index
#include <splitvit/core/workspace.hpp>     // RecycledVector
#include <splitvit/kernel/vector_ops.hpp>  // power_of_two_scale
#include <splitvit/tensor/tensor.hpp>      // Tensor

namespace splitvit::inline SPLITVIT_BUILD::compress::detail {

/// Sums that run side by side: as many on every processor, so that none gives other bits.
inline constexpr Index lanes = 8;

constexpr std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// Rows of `width` numbers in double precision, each followed by zeros up to `stride`, a multiple
/// of `lanes`.
struct Points {
  Points(Index rows, Index columns)
      : count{rows},
        width{columns},
        stride{(columns + lanes - 1) / lanes * lanes},
        values(at(count * stride)) {}

  std::span<double> row(Index i) { return std::span{values}.subspan(at(i * stride), at(stride)); }
  std::span<const double> row(Index i) const {
    return std::span{values}.subspan(at(i * stride), at(stride));
  }

  Index count;
  Index width;
  Index stride;
  RecycledVector<double> values;
};

/// A power of two that rows are divided by so that squares and sums cannot overflow.
template <std::floating_point T>
double power_of_two_scale(const Tensor<T>& rows) {
  return static_cast<double>(kernel::power_of_two_scale<T>(rows.span(), 400));
}

/// The rows of x (m, d), divided by `unit`.
template <std::floating_point T>
Points points_of(const T* x, Index m, Index d, double unit) {
  Points out{m, d};
  for (Index i = 0; i < m; ++i) {
    double* const row = out.row(i).data();
    for (Index j = 0; j < d; ++j) row[j] = static_cast<double>(x[i * d + j]) / unit;
  }
  return out;
}

inline double total(const std::array<double, at(lanes)>& s) {
  return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

/// The sum of (a - b)^2, or a part of it that is at least `enough`: sums only grow.
inline double squared_distance(std::span<const double> a, std::span<const double> b,
                               double enough = std::numeric_limits<double>::infinity()) {
  constexpr Index block = 4 * lanes;
  const auto n = static_cast<Index>(a.size());
  std::array<double, at(lanes)> sum{};
  for (Index begin = 0; begin < n;) {
    const Index end = std::min(n, begin + block);
    for (; begin < end; begin += lanes)
      for (Index lane = 0; lane < lanes; ++lane) {
        const double difference = a[at(begin + lane)] - b[at(begin + lane)];
        sum[at(lane)] += difference * difference;
      }
    if (begin < n && total(sum) >= enough) break;
  }
  return total(sum);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::compress::detail
