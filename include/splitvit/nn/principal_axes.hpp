// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min
#include <concepts>   // floating_point
#include <cstddef>    // size_t
#include <stdexcept>  // invalid_argument
#include <string>     // to_string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/core/finite.hpp>                // all_finite
#include <splitvit/core/parallel.hpp>              // parallel_for
#include <splitvit/nn/detail/symmetric_eigen.hpp>  // symmetric_eigen
#include <splitvit/tensor/tensor.hpp>              // Tensor

// Principal axes: the directions in which tokens differ most, collected batch by batch.

namespace splitvit::nn {

/// Mean and covariance of all tokens that were added.
///
///   TokenMoments moments{192};
///   for (const auto& batch : batches) moments.add(client_part.to_cut(batch).tokens.value());
///   const PrincipalAxes axes = principal_axes(moments);
class TokenMoments {
 public:
  /// Letter: D, the width of a token.
  explicit TokenMoments(Index D)
      : first_(static_cast<std::size_t>(D)), sum_(static_cast<std::size_t>(D)), products_{D} {}

  /// Shapes  tokens (..., D).
  /// Errors  ShapeError for another width; std::invalid_argument if a number is not finite.
  template <std::floating_point T>
  void add(const Tensor<T>& tokens) {
    const Index D = width();
    if (tokens.shape().rank() < 1 || tokens.shape().back() != D)
      throw ShapeError("TokenMoments: tokens " + tokens.shape().text() + ", wanted (..., " +
                       std::to_string(D) + ")");
    if (!all_finite<T>(tokens.span()))
      throw std::invalid_argument("TokenMoments: a token is not finite");
    const Index rows = D > 0 ? tokens.size() / D : 0;
    if (count_ == 0 && rows > 0)
      for (Index d = 0; d < D; ++d)
        first_[static_cast<std::size_t>(d)] = static_cast<double>(tokens[d]);
    constexpr Index block = 64;  // tokens that fit in the cache
    for (Index begin = 0; begin < rows; begin += block)
      add_block(tokens.data() + begin * D, std::min(block, rows - begin));
    count_ += rows;
  }

  Index width() const { return products_.n; }
  /// The number of tokens that were added.
  Index count() const { return count_; }

  /// (D); zeros before the first token.
  std::vector<double> mean() const {
    std::vector<double> out = first_;
    for (std::size_t d = 0; d < out.size(); ++d)
      if (count_ > 0) out[d] += sum_[d] / static_cast<double>(count_);
    return out;
  }

  /// (D, D): mean of (x - mean)(x - mean)^T; zeros before the first token.
  detail::SquareMatrix covariance() const {
    const Index D = width();
    detail::SquareMatrix out{D};
    const auto n = static_cast<double>(count_);
    for (Index i = 0; i < D && count_ > 0; ++i)
      for (Index j = i; j < D; ++j) {
        const double si = sum_[static_cast<std::size_t>(i)] / n;
        const double sj = sum_[static_cast<std::size_t>(j)] / n;
        out.row(i)[j] = out.row(j)[i] = products_.row(i)[j] / n - si * sj;
      }
    return out;
  }

 private:
  // Differences from the first token are summed: where all tokens are far from zero, squares
  // of the tokens themselves would drown them.
  template <class T>
  void add_block(const T* tokens, Index rows) {
    const Index D = width();
    std::vector<double> x(static_cast<std::size_t>(rows * D));
    for (Index m = 0; m < rows; ++m)
      for (Index d = 0; d < D; ++d)
        x[static_cast<std::size_t>(m * D + d)] =
            static_cast<double>(tokens[m * D + d]) - first_[static_cast<std::size_t>(d)];
    parallel_for(D, 16, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i)
        for (Index m = 0; m < rows; ++m) {
          const double* const row = x.data() + m * D;
          sum_[static_cast<std::size_t>(i)] += row[i];
          detail::add_scaled(products_.row(i) + i, row + i, row[i], D - i);
        }
    });
  }

  Index count_ = 0;
  std::vector<double> first_;      // the first token
  std::vector<double> sum_;        // of x - first
  detail::SquareMatrix products_;  // sum of (x - first)(x - first)^T, upper half
};

/// The principal axes of a set of tokens, by descending variance.
struct PrincipalAxes {
  std::vector<double> mean;      ///< (D)
  std::vector<double> variance;  ///< (D): along each axis, descending
  detail::SquareMatrix axes;     ///< (D, D): one axis a row, orthonormal
};

/// Errors  std::invalid_argument if no token was added, or if their squares overflow.
inline PrincipalAxes principal_axes(const TokenMoments& moments) {
  if (moments.count() == 0) throw std::invalid_argument("principal_axes: no token was added");
  detail::SquareMatrix covariance = moments.covariance();
  if (!all_finite<double>(covariance.values))
    throw std::invalid_argument("principal_axes: tokens are too large to be squared");
  detail::SymmetricEigen found = detail::symmetric_eigen(std::move(covariance));
  return {moments.mean(), std::move(found.values), std::move(found.vectors)};
}

}  // namespace splitvit::nn
