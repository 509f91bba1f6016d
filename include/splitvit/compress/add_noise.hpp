// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, max, min
#include <cmath>      // abs, pow, sqrt

#include <splitvit/autograd/variable.hpp>   // record, Variable
#include <splitvit/compress/cut_batch.hpp>  // CutBatch
#include <splitvit/core/options.hpp>        // describe_options, Real, require_options, Required
#include <splitvit/core/random.hpp>         // Rng
#include <splitvit/tensor/reduce.hpp>       // all_finite
#include <splitvit/tensor/tensor.hpp>       // Tensor

namespace splitvit::inline SPLITVIT_BUILD::compress {

/// Scales each token down to a norm of at most `clip`, and adds Gaussian noise: the Gaussian
/// mechanism, for one token. Whoever wants a bound has to add up what all tokens, steps and stages
/// before it give away; see the page on leakage in bench/.
///
/// Shapes  as they are.
/// Units   noise: the standard deviation of a number is noise * clip / sqrt(D), so that the noise
///         of a token has about the norm noise * clip. Without clip the root mean square of the
///         batch's norms stands for it, which no bound can use.
/// Grad    tokens only: that of the scaling; the noise has none.
/// Errors  std::invalid_argument for an option outside its range, and for tokens that are not
/// finite;
///         ShapeError for an inconsistent batch.
struct AddNoise {
  double noise = 1;  ///< over the norm of a token, at least 0
  double clip = 0;   ///< the largest norm of a token; 0: they stay as they are

  template <std::floating_point T>
  CutBatch<T> operator()(CutBatch<T> batch, Rng& rng) const;

  static constexpr std::string_view name = "noise";
  static void each_option(auto& self, auto&& see) {
    see("", self.noise, Required{Real{0, 1e6, "S"}});
    see("clip", self.clip, Real{0, 1e6, "C"});
  }
  std::string description() const { return describe_options(*this); }
};

namespace detail {
/// The norm of a token, as largest * rest, so that neither overflows: `largest` of its numbers.
struct TokenNorm {
  double largest = 0, rest = 0;

  template <std::floating_point T>
  explicit TokenNorm(std::span<const T> token) {
    for (const T x : token) largest = std::max(largest, std::abs(static_cast<double>(x)));
    if (largest == 0) return;
    for (const T x : token) rest += std::pow(static_cast<double>(x) / largest, 2);
    rest = std::sqrt(rest);
  }
  double value() const { return std::min(largest * rest, std::numeric_limits<double>::max()); }
};

/// Of a gradient behind y = x clip / |x|, what passes: clip / |x| of what is across x.
template <std::floating_point T>
void pass_clipped(std::span<const T> x, double clip, std::span<T> gradient) {
  const TokenNorm norm{x};
  if (norm.value() <= clip) return;
  const auto unit = [&](std::size_t i) {
    return static_cast<double>(x[i]) / norm.largest / norm.rest;
  };
  double along = 0;
  for (std::size_t i = 0; i < x.size(); ++i) along += unit(i) * static_cast<double>(gradient[i]);
  const double scale = clip / norm.largest / norm.rest;
  for (std::size_t i = 0; i < x.size(); ++i)
    gradient[i] = static_cast<T>(scale * (static_cast<double>(gradient[i]) - along * unit(i)));
}
}  // namespace detail

template <std::floating_point T>
CutBatch<T> AddNoise::operator()(CutBatch<T> batch, Rng& rng) const {
  require_consistent("AddNoise", batch);
  require_options("AddNoise", *this);
  const Variable<T> tokens = batch.tokens;
  if (!all_finite<T>(tokens.value().view()))
    throw std::invalid_argument("AddNoise: a token is not finite");
  const auto rows = static_cast<std::size_t>(tokens.shape().rows());
  const auto D = static_cast<std::size_t>(batch.width());
  const auto row_of = [D](const auto& span, std::size_t row) { return span.subspan(row * D, D); };
  const std::span<const T> x = tokens.value().span();
  double norm = clip;
  if (clip == 0) {  // their root mean square, of numbers that may be large
    double largest = 0, squares = 0;
    for (std::size_t row = 0; row < rows; ++row)
      largest = std::max(largest, detail::TokenNorm{row_of(x, row)}.value());
    for (std::size_t row = 0; largest > 0 && row < rows; ++row)
      squares += std::pow(detail::TokenNorm{row_of(x, row)}.value() / largest, 2);
    norm = largest * std::sqrt(squares / static_cast<double>(rows));
  }
  const double deviation = D == 0 ? 0 : noise * norm / std::sqrt(static_cast<double>(D));
  Tensor<T> y = Tensor<T>::uninitialised(tokens.shape());
  for (std::size_t row = 0; row < rows; ++row) {
    const auto from = row_of(x, row);
    const auto to = row_of(y.span(), row);
    const detail::TokenNorm its{from};
    const bool is_clipped = clip > 0 && its.value() > clip;
    const double scale = is_clipped ? clip / its.largest / its.rest : 1;
    constexpr auto most = static_cast<double>(std::numeric_limits<T>::max());
    for (std::size_t i = 0; i < D; ++i)
      to[i] = static_cast<T>(
          std::clamp(scale * static_cast<double>(from[i]) + deviation * rng.normal(), -most, most));
  }
  batch.tokens = record(
      std::move(y), {tokens}, [tokens, rows, row_of, clip = clip](const Tensor<T>&, Tensor<T> dy) {
        const std::span<const T> before = tokens.value().span();
        for (std::size_t row = 0; clip > 0 && row < rows; ++row)
          detail::pass_clipped<T>(row_of(before, row), clip, row_of(dy.span(), row));
        tokens.add_gradient(std::move(dy));
      });
  return batch;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::compress
