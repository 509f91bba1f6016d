// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min

#include <splitvit/core/finite.hpp>             // all_finite
#include <splitvit/core/parallel.hpp>           // parallel_for
#include <splitvit/kernel/symmetric_eigen.hpp>  // symmetric_eigen
#include <splitvit/kernel/vector_ops.hpp>       // add_scaled
#include <splitvit/nn/bottleneck.hpp>           // BottleneckOptions, Decoder, Encoder
#include <splitvit/tensor/tensor.hpp>           // Tensor

// splitvit.hpp leaves this header out, because it takes seconds to compile.

namespace splitvit::inline SPLITVIT_BUILD::nn {

/// Mean and covariance of all tokens that were added. Letter: D, the width of a token.
///
///   TokenMoments moments{192};
///   for (const auto& batch : batches) moments.add(client_part.to_cut(batch).tokens.value());
///   const auto pair = pca_bottleneck<float>(moments, {.ratio = 0.1, .layers = 1});
class TokenMoments {
 public:
  explicit TokenMoments(Index D)
      : first_(static_cast<std::size_t>(D)),
        sum_(static_cast<std::size_t>(D)),
        products_{Shape{D, D}} {}

  /// Shapes  tokens (..., D).
  /// Errors  ShapeError for another width; std::invalid_argument if a number is not finite.
  template <std::floating_point T>
  void add(const Tensor<T>& tokens) {
    const Index D = width();
    if (tokens.shape().rank() < 1 || tokens.shape().back() != D)
      throw ShapeError({"TokenMoments: tokens ", tokens.shape().text(), ", wanted (..., ", D, ")"});
    if (!all_finite<T>(tokens.span()))
      throw std::invalid_argument("TokenMoments: a token is not finite");
    const Index rows = D > 0 ? tokens.size() / D : 0;
    if (count_ == 0 && rows > 0) first_.assign(tokens.data(), tokens.data() + D);
    constexpr Index block = 64;  // tokens that fit in the cache
    for (Index begin = 0; begin < rows; begin += block)
      add_block(tokens.data() + begin * D, std::min(block, rows - begin));
    count_ += rows;
  }

  Index width() const { return products_.dim(0); }
  Index count() const { return count_; }  ///< of the tokens that were added

  /// (D); zeros before the first token.
  std::vector<double> mean() const {
    std::vector<double> out = first_;
    for (std::size_t d = 0; d < out.size() && count_ > 0; ++d)
      out[d] += sum_[d] / static_cast<double>(count_);
    return out;
  }

  /// (D, D): mean of (x - mean)(x - mean)^T; zeros before the first token.
  Tensor<double> covariance() const {
    const Index D = width();
    Tensor<double> out{{D, D}};
    const auto n = static_cast<double>(count_);
    for (Index i = 0; i < D && count_ > 0; ++i)
      for (Index j = i; j < D; ++j) {
        const double si = sum_[static_cast<std::size_t>(i)] / n;
        const double sj = sum_[static_cast<std::size_t>(j)] / n;
        out[i * D + j] = out[j * D + i] = products_[i * D + j] / n - si * sj;
      }
    return out;
  }

 private:
  // Sums differences from the first token: if all tokens are far from zero, their own squares would
  // lose the digits of the differences.
  template <class T>
  void add_block(const T* tokens, Index rows) {
    const Index D = width();
    std::vector<double> x(tokens, tokens + rows * D);
    for (Index m = 0; m < rows; ++m)
      for (std::size_t d = 0; d < first_.size(); ++d)
        x[static_cast<std::size_t>(m * D) + d] -= first_[d];
    parallel_for(D, 16, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i)
        for (Index m = 0; m < rows; ++m) {
          const double* const row = x.data() + m * D;
          sum_[static_cast<std::size_t>(i)] += row[i];
          kernel::add_scaled(products_.data() + i * D + i, row + i, row[i], D - i);
        }
    });
  }

  Index count_ = 0;
  std::vector<double> first_;  // the first token
  std::vector<double> sum_;    // of x - first
  Tensor<double> products_;    // sum of (x - first)(x - first)^T, upper half
};

/// The principal axes of a set of tokens, by descending variance.
struct PrincipalAxes {
  std::vector<double> mean;      ///< (D)
  std::vector<double> variance;  ///< (D): along each axis, descending
  Tensor<double> axes;           ///< (D, D): one axis a row, orthonormal
};

/// Errors  std::invalid_argument if no token was added, or if their squares overflow.
inline PrincipalAxes principal_axes(const TokenMoments& moments) {
  if (moments.count() == 0) throw std::invalid_argument("principal_axes: no token was added");
  const Tensor<double> covariance = moments.covariance();
  if (!all_finite<double>(covariance.span()))
    throw std::invalid_argument("principal_axes: tokens are too large to be squared");
  PrincipalAxes found{moments.mean(), std::vector<double>(moments.mean().size()),
                      Tensor<double>::uninitialised(covariance.shape())};
  kernel::symmetric_eigen(covariance.data(), moments.width(), found.variance.data(),
                          found.axes.data());
  return found;
}

template <std::floating_point T>
struct Bottleneck {
  Encoder<T> encoder;
  Decoder<T> decoder;
};

/// The pair with one layer each that has the smallest squared error for the tokens in `moments`:
/// the encoder has the w leading principal axes of the centred tokens, the decoder their transpose
/// and the mean. The client computes it and sends the decoder: see split::Client::give_decoder.
///
/// Errors  std::invalid_argument if no token was added, or options have more than one layer;
///         as bottleneck_width.
template <std::floating_point T>
Bottleneck<T> pca_bottleneck(const TokenMoments& moments, const BottleneckOptions& options) {
  if (options.layers != 1)
    throw ArgumentError({"pca_bottleneck: ", options.layers, " layers, wanted one"});
  const Index D = moments.width();
  Bottleneck<T> pair{{D, options}, {D, options}};
  const Index w = pair.encoder.output_width();
  const PrincipalAxes found = principal_axes(moments);
  const Linear<T>& down = pair.encoder.layers[0];
  const Linear<T>& up = pair.decoder.layers[0];
  for (Index k = 0; k < w; ++k) {
    const double* const axis = found.axes.data() + k * D;
    double shift = 0.0;
    for (Index d = 0; d < D; ++d) {
      shift += axis[d] * found.mean[static_cast<std::size_t>(d)];
      down.weight.mutable_value()[k * D + d] = static_cast<T>(axis[d]);
      up.weight.mutable_value()[d * w + k] = static_cast<T>(axis[d]);
    }
    down.bias.mutable_value()[k] = static_cast<T>(-shift);
  }
  for (Index d = 0; d < D; ++d)
    up.bias.mutable_value()[d] = static_cast<T>(found.mean[static_cast<std::size_t>(d)]);
  return pair;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
