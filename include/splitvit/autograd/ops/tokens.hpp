// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // any_of, copy_n

#include <splitvit/autograd/variable.hpp>  // Variable, record
#include <splitvit/core/parallel.hpp>      // parallel_for
#include <splitvit/kernel/linear.hpp>      // add_column_sums
#include <splitvit/kernel/rows.hpp>        // gather_tokens, scatter_tokens

namespace splitvit::inline SPLITVIT_BUILD {

/// y = [cls, x] + positions, for each sample.
///
/// Shapes  x (B, N, D), cls (1, 1, D), positions (1, N + 1, D) -> (B, N + 1, D).
/// Grad    all three.
/// Errors  ShapeError.
template <std::floating_point T>
Variable<T> with_cls_token(const Variable<T>& x, const Variable<T>& cls,
                           const Variable<T>& positions) {
  const Shape& shape = x.shape();
  if (shape.rank() != 3 || cls.shape() != Shape{1, 1, shape[2]} ||
      positions.shape() != Shape{1, shape[1] + 1, shape[2]})
    throw ShapeError({"with_cls_token: x ", shape, ", cls ", cls.shape(), ", positions ",
                      positions.shape(), ": wanted (B, N, D), (1, 1, D), (1, N + 1, D)"});
  const Index B = shape[0], D = shape[2];
  const Index size = shape[1] * D;  // of one sample's patches
  Tensor<T> y = Tensor<T>::uninitialised(Shape{B, shape[1] + 1, D});
  const auto plus = [](const auto& a, const auto& b) { return a + b; };
  parallel_for(B, 1, [&](Index b, Index) {
    T* out = y.data() + b * (size + D);
    const T* place = positions.value().data();
    kernel::transform<T>(D, out, plus, cls.value().data(), place);
    kernel::transform<T>(size, out + D, plus, x.value().data() + b * size, place + D);
  });
  return record(std::move(y), {x, cls, positions}, [=](const Tensor<T>&, const Tensor<T>& dy) {
    x.add_gradient_from([&](Tensor<T>& dx) {
      parallel_for(B, 1, [&](Index b, Index) {
        std::copy_n(dy.data() + b * (size + D) + D, size, dx.data() + b * size);
      });
    });
    Tensor<T> dp{positions.shape()};
    kernel::add_column_sums<T>({dy.data(), B, size + D, size + D}, dp.data());
    cls.add_gradient_from([&](Tensor<T>& dcls) {
      std::copy_n(dp.data(), D, dcls.data());  // CLS is added at position 0 alone
    });
    positions.add_gradient(std::move(dp));
  });
}

/// Token 0 of each sample.
///
/// Shapes  x (B, N, D), N >= 1 -> (B, D).
/// Grad    zero for all other tokens.
/// Errors  ShapeError.
template <std::floating_point T>
Variable<T> cls_token(const Variable<T>& x) {
  const Shape& shape = x.shape();
  if (shape.rank() != 3 || shape[1] < 1)
    throw ShapeError({"cls_token: x ", shape, ": wanted (B, N, D) with at least one token"});
  const Index B = shape[0], D = shape[2], stride = shape[1] * shape[2];
  Tensor<T> y = Tensor<T>::uninitialised(Shape{B, D});
  for (Index b = 0; b < B; ++b) std::copy_n(x.value().data() + b * stride, D, y.data() + b * D);
  return record(std::move(y), {x}, [=](const Tensor<T>&, const Tensor<T>& dy) {
    Tensor<T> dx{x.shape()};
    for (Index b = 0; b < B; ++b) std::copy_n(dy.data() + b * D, D, dx.data() + b * stride);
    x.add_gradient(std::move(dx));
  });
}

/// The mean of the tokens of each sample.
///
/// Shapes  x (B, N, D), N >= 1 -> (B, D).
/// Errors  ShapeError.
template <std::floating_point T>
Variable<T> mean_of_tokens(const Variable<T>& x) {
  const Shape& shape = x.shape();
  if (shape.rank() != 3 || shape[1] < 1)
    throw ShapeError({"mean_of_tokens: x ", shape, ": wanted (B, N, D) with at least one token"});
  const Index B = shape[0], N = shape[1], D = shape[2];
  const T share = T{1} / static_cast<T>(N);
  Tensor<T> y{Shape{B, D}};
  parallel_for(B, 1, [&](Index b, Index) {
    T* const out = y.data() + b * D;
    kernel::add_column_sums<T>({x.value().data() + b * N * D, N, D, D}, out);
    for (Index d = 0; d < D; ++d) out[d] *= share;
  });
  return record(std::move(y), {x}, [=](const Tensor<T>&, const Tensor<T>& dy) {
    x.add_gradient_from([&](Tensor<T>& dx) {
      parallel_for(B, 1, [&](Index b, Index) {
        T* const first = dx.data() + b * N * D;
        for (Index d = 0; d < D; ++d) first[d] = dy[b * D + d] * share;
        for (Index n = 1; n < N; ++n) std::copy_n(first, D, first + n * D);
      });
    });
  });
}

/// Picks tokens of each sample: y[b, p] = x[b, index[b, p]].
///
/// Shapes  x (B, N, D), index (B, P) with P >= 1 -> (B, P, D).
/// Grad    zero for tokens that are not picked. No token of a sample may be picked twice.
/// Errors  ShapeError; std::invalid_argument for an index outside of 0 to N - 1.
template <std::floating_point T>
Variable<T> pick_tokens(const Variable<T>& x, const Tensor<Index>& index) {
  const Shape &shape = x.shape(), &picks = index.shape();
  if (shape.rank() != 3 || picks.rank() != 2 || picks[0] != shape[0] || picks[1] < 1)
    throw ShapeError(
        {"pick_tokens: x ", shape, ", index ", picks, ": wanted (B, N, D) and (B, P) with P >= 1"});
  const Index N = shape[1], P = picks[1], D = shape[2];
  const std::span<const Index> all = index.span();
  if (std::any_of(all.begin(), all.end(), [N](Index one) { return one < 0 || one >= N; }))
    throw ArgumentError({"pick_tokens: an index outside of 0 to ", N - 1});
  Tensor<T> y = Tensor<T>::uninitialised(Shape{shape[0], P, D});
  kernel::gather_tokens<T>(x.value().span(), y.span(), N, P, D, all);
  return record(std::move(y), {x}, [=](const Tensor<T>&, const Tensor<T>& dy) {
    x.add_gradient_from([&](Tensor<T>& dx) {
      kernel::scatter_tokens<T>(dy.span(), dx.span(), N, P, D, index.span());
    });
  });
}

SPLITVIT_ONCE(Variable<float> with_cls_token(const Variable<float>&, const Variable<float>&,
                                             const Variable<float>&));
SPLITVIT_ONCE(Variable<float> cls_token(const Variable<float>&));
SPLITVIT_ONCE(Variable<float> mean_of_tokens(const Variable<float>&));
SPLITVIT_ONCE(Variable<float> pick_tokens(const Variable<float>&, const Tensor<Index>&));

}  // namespace splitvit::inline SPLITVIT_BUILD
