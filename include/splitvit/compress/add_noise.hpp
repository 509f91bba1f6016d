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

/// Scales each token down to a norm of at most `clip`, then adds Gaussian noise: the Gaussian
/// mechanism for a single token. It is no bound by itself: a bound has to count every token that is
/// sent in every step, and what the stages before this one do with the samples.
///
/// Shapes  unchanged.
/// Units   noise: a number gets noise of standard deviation noise * clip / sqrt(D), so the noise of
///         a whole token has a norm of about noise * clip. Without clip the root mean square of the
///         norms in the batch takes its place; it depends on the data, so no bound can use it.
/// Grad    tokens only, through the scaling; the noise is a constant.
/// Errors  std::invalid_argument for an option outside its range, and for tokens that are not
///         finite; ShapeError for an inconsistent batch.
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
/// The Euclidean norm of some numbers, as largest * rest, so that their squares do not overflow.
struct SafeNorm {
  double largest = 0, rest = 0;

  template <class T>
  explicit SafeNorm(std::span<const T> numbers) {
    for (const T x : numbers) largest = std::max(largest, std::abs(static_cast<double>(x)));
    if (largest == 0) return;
    for (const T x : numbers) rest += std::pow(static_cast<double>(x) / largest, 2);
    rest = std::sqrt(rest);
  }
  double value() const { return std::min(largest * rest, std::numeric_limits<double>::max()); }
};

/// Turns the gradient of y = x clip / |x| into that of x, in place: its part orthogonal to x, times
/// clip / |x|, since the norm of y does not depend on x.
template <std::floating_point T>
void pass_clipped(std::span<const T> x, const SafeNorm& norm, double clip, std::span<T> gradient) {
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
  const auto D = static_cast<std::size_t>(batch.width());
  const auto row_of = [D](const auto& span, std::size_t row) { return span.subspan(row * D, D); };
  std::vector<detail::SafeNorm> norms;  // of the tokens
  std::vector<double> values;
  for (Index row = 0; row < tokens.shape().rows(); ++row) {
    norms.emplace_back(row_of(tokens.value().span(), static_cast<std::size_t>(row)));
    values.push_back(norms.back().value());
  }
  const double norm = clip > 0 ? clip
                               : detail::SafeNorm{std::span<const double>{values}}.value() /
                                     std::sqrt(static_cast<double>(values.size()));
  const double deviation = D == 0 ? 0 : noise * norm / std::sqrt(static_cast<double>(D));
  const auto is_clipped = [clip = clip](double value) { return clip > 0 && value > clip; };
  Tensor<T> y = Tensor<T>::uninitialised(tokens.shape());
  for (std::size_t row = 0; row < norms.size(); ++row) {
    const auto from = row_of(tokens.value().span(), row);
    const auto to = row_of(y.span(), row);
    const double scale = is_clipped(values[row]) ? clip / norms[row].largest / norms[row].rest : 1;
    constexpr auto most = static_cast<double>(std::numeric_limits<T>::max());
    for (std::size_t i = 0; i < D; ++i)
      to[i] = static_cast<T>(
          std::clamp(scale * static_cast<double>(from[i]) + deviation * rng.normal(), -most, most));
  }
  batch.tokens = record(std::move(y), {tokens},
                        [tokens, row_of, is_clipped, norms = std::move(norms), clip = clip](
                            const Tensor<T>&, Tensor<T> dy) {
                          for (std::size_t row = 0; row < norms.size(); ++row)
                            if (is_clipped(norms[row].value()))
                              detail::pass_clipped<T>(row_of(tokens.value().span(), row),
                                                      norms[row], clip, row_of(dy.span(), row));
                          tokens.add_gradient(std::move(dy));
                        });
  return batch;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::compress
