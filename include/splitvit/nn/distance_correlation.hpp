// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <cmath>      // isfinite, sqrt
#include <numeric>    // inner_product

#include <splitvit/autograd/variable.hpp>  // record, Variable
#include <splitvit/core/error.hpp>         // ShapeError
#include <splitvit/core/parallel.hpp>      // parallel_for
#include <splitvit/kernel/simd.hpp>        // accumulate
#include <splitvit/kernel/vector_ops.hpp>  // add_scaled
#include <splitvit/tensor/tensor.hpp>      // Tensor

// Distance correlation: how much the distances between samples say of the distances between what
// was made of them. 0: nothing (of infinitely many samples); 1: all, up to a scale.
//
// Source  Szekely, Rizzo, Bakirov 2007, doi:10.1214/009053607000000505; as a loss against
//         reconstruction: NoPeek, arXiv:2008.09161.

namespace splitvit::inline SPLITVIT_BUILD::nn {

namespace detail {

/// The distances between all samples, (B, B), and the same centred: without the means of rows and
/// columns.
template <std::floating_point T>
class Distances {
 public:
  explicit Distances(const Tensor<T>& x)
      : x_{x}, B_{x.dim(0)}, width_{x.size() / std::max(Index{1}, B_)} {
    all_.resize(static_cast<std::size_t>(B_ * B_));
    parallel_for(B_, 1, [&](Index begin, Index end) {
      const auto square = [](const auto& p, const auto& q) { return (p - q) * (p - q); };
      for (Index i = begin; i < end; ++i)
        for (Index j = 0; j < i; ++j)
          at(i, j) = at(j, i) =
              std::sqrt(static_cast<double>(kernel::accumulate<T>(width_, square, row(i), row(j))));
    });
    centred_ = all_;
    std::vector<double> means(static_cast<std::size_t>(B_));  // of rows, and of columns alike
    double mean = 0;
    const auto count = static_cast<double>(B_);
    for (Index i = 0; i < B_; ++i) {
      double& sum = means[static_cast<std::size_t>(i)];
      for (Index j = 0; j < B_; ++j) sum += at(i, j) / count;
      mean += sum / count;
    }
    for (Index i = 0; i < B_; ++i)
      for (Index j = 0; j < B_; ++j)
        centred_[place(i, j)] +=
            mean - means[static_cast<std::size_t>(i)] - means[static_cast<std::size_t>(j)];
  }

  double centred(Index i, Index j) const { return centred_[place(i, j)]; }
  double operator()(Index i, Index j) const { return all_[place(i, j)]; }
  /// The sum of products of all centred distances.
  double dot(const Distances& other) const {
    return std::inner_product(centred_.begin(), centred_.end(), other.centred_.begin(), 0.0);
  }

  /// Adds sum_j weight(i, j) (x_i - x_j) to row i of `out`, for all i.
  void add_gaps(Tensor<T>& out, const auto& weight) const {
    parallel_for(B_, 1, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i)
        for (Index j = 0; j < B_; ++j) {
          const auto factor = static_cast<T>(weight(i, j));
          T* const to = out.data() + i * width_;
          kernel::add_scaled(to, row(i), factor, width_);
          kernel::add_scaled(to, row(j), -factor, width_);
        }
    });
  }

 private:
  const T* row(Index i) const { return x_.data() + i * width_; }
  std::size_t place(Index i, Index j) const { return static_cast<std::size_t>(i * B_ + j); }
  double& at(Index i, Index j) { return all_[place(i, j)]; }

  const Tensor<T>& x_;
  Index B_, width_;
  std::vector<double> all_, centred_;
};

template <std::floating_point T>
void require_pairs(const Tensor<T>& x, const Tensor<T>& z) {
  if (x.shape().rank() == 0 || z.shape().rank() == 0 || x.dim(0) != z.dim(0) || x.dim(0) == 0)
    throw ShapeError({"distance_correlation: x ", x.shape(), ", z ", z.shape(),
                      ": wanted (B, ...) and (B, ...), a sample a row"});
}

}  // namespace detail

/// The distance correlation of two descriptions of B samples, in [0, 1]; 0 if all samples are equal
/// in one of them. It takes B^2 distances of each.
///
/// Shapes  x (B, ...), z (B, ...).
/// Errors  ShapeError.
template <std::floating_point T>
double distance_correlation(const Tensor<T>& x, const Tensor<T>& z) {
  detail::require_pairs(x, z);
  const detail::Distances<T> a{x}, b{z};
  const double both = std::sqrt(a.dot(a)) * std::sqrt(b.dot(b));
  return both > 0 ? std::sqrt(std::max(0.0, a.dot(b) / both)) : 0;
}

/// Returns z as it is. In the backward pass the gradient of weight * distance_correlation(x, z) is
/// added to that of z: a further term of the loss, which nobody else has to know of.
///
/// Shapes  x (B, ...), z (B, ...) -> as z.
/// Grad    z only.
/// Errors  ShapeError.
template <std::floating_point T>
Variable<T> with_distance_correlation(const Variable<T>& z, const Tensor<T>& x, double weight) {
  detail::require_pairs(x, z.value());
  return record(z.value(), {z}, [z, x, weight](const Tensor<T>&, Tensor<T> dz) {
    const detail::Distances<T> a{x}, b{z.value()};
    const double aa = a.dot(a), ab = a.dot(b), bb = b.dot(b);
    const double square = ab / (std::sqrt(aa) * std::sqrt(bb));
    if (square > 0 && std::isfinite(square)) {
      // Of the root of the square; each pair of samples counts twice.
      const double scale = weight / std::sqrt(square) / (std::sqrt(aa) * std::sqrt(bb));
      b.add_gaps(dz, [&](Index i, Index j) {
        const double distance = b(i, j);
        if (distance == 0) return 0.0;
        return scale * (a.centred(i, j) - ab / bb * b.centred(i, j)) / distance;
      });
    }
    z.add_gradient(std::move(dz));
  });
}

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
