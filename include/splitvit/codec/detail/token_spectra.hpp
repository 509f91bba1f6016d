// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // sort
#include <numeric>    // iota

#include <splitvit/core/finite.hpp>        // limited
#include <splitvit/core/parallel.hpp>      // parallel_for
#include <splitvit/core/shape.hpp>         // Index, Shape
#include <splitvit/kernel/dct.hpp>         // Dct
#include <splitvit/kernel/vector_ops.hpp>  // power_of_two_scale
#include <splitvit/tensor/tensor.hpp>      // Tensor, TensorView
#include <splitvit/tensor/transpose.hpp>   // transpose

// Tokens as cosine coefficients, arranged by channel and frequency. Letters: B samples, N
// tokens, T = N - 1 without the first one, D channels.

namespace splitvit::inline SPLITVIT_BUILD::codec::detail {

/// The transform of tokens 1..N-1 of x (B, N, D), which lie in h rows of w; w = 1: in one row.
///
/// Coefficients are (D, T, B): for each channel by ascending sum of the two frequencies, then by
/// the first one.
class TokenSpectra {
 public:
  /// shape (B, N, D) with N - 1 = h w >= 1.
  TokenSpectra(const Shape& shape, Index h, Index w)
      : B_{shape[0]}, N_{shape[1]}, D_{shape[2]}, h_{h}, w_{w} {
    order_.resize(static_cast<std::size_t>(h * w));
    std::iota(order_.begin(), order_.end(), Index{0});
    std::sort(order_.begin(), order_.end(), [w](Index a, Index b) {
      const Index low = a / w + a % w, high = b / w + b % w;
      return low != high ? low < high : a < b;
    });
  }

  /// Coefficients beyond the largest number become it.
  template <std::floating_point T>
  Tensor<T> forward(TensorView<const T> x) const {
    const Index count = h_ * w_;
    const kernel::Dct<T> down{h_}, across{w_};
    const T unit = kernel::power_of_two_scale<T>(x.span(), safe_exponent);
    Tensor<T> spectra = Tensor<T>::uninitialised({B_, count, D_});
    parallel_for(B_, 1, [&](Index b, Index) {
      T* const own = spectra.data() + b * count * D_;
      const T* from = x.data() + (b * N_ + 1) * D_;
      if (unit != T{1}) {
        for (Index i = 0; i < count * D_; ++i) own[i] = from[i] / unit;
        from = own;
      }
      down.forward(from, own, w_ * D_);
      if (w_ > 1)
        for (Index row = 0; row < h_; ++row)
          across.forward(own + row * w_ * D_, own + row * w_ * D_, D_);
      if (unit != T{1})
        for (Index i = 0; i < count * D_; ++i) own[i] = limited(own[i] * unit);
    });
    Tensor<T> out = Tensor<T>::uninitialised({D_, count, B_});
    parallel_for(count, 2, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i)
        transpose(spectra.data() + order_[static_cast<std::size_t>(i)] * D_, count * D_, B_, D_,
                  out.data() + i * B_, count * B_);
    });
    return out;
  }

  /// Writes tokens 1..N-1 of x; numbers beyond the largest one become it.
  template <std::floating_point T>
  void inverse(Tensor<T> coefficients, Tensor<T>& x) const {
    const Index count = h_ * w_;
    const kernel::Dct<T> down{h_}, across{w_};
    const T unit = kernel::power_of_two_scale<T>(coefficients.span(), safe_exponent);
    parallel_for(count, 2, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i)
        transpose(coefficients.data() + i * B_, count * B_, D_, B_,
                  x.data() + (1 + order_[static_cast<std::size_t>(i)]) * D_, N_ * D_);
    });
    parallel_for(B_, 1, [&](Index b, Index) {
      T* const own = x.data() + (b * N_ + 1) * D_;
      if (unit != T{1})
        for (Index i = 0; i < count * D_; ++i) own[i] /= unit;
      if (w_ > 1)
        for (Index row = 0; row < h_; ++row)
          across.inverse(own + row * w_ * D_, own + row * w_ * D_, D_);
      down.inverse(own, own, w_ * D_);
      if (unit != T{1})
        for (Index i = 0; i < count * D_; ++i) own[i] = limited(own[i] * unit);
    });
  }

 private:
  static constexpr int safe_exponent = 64;  // no sum of smaller numbers overflows

  Index B_, N_, D_, h_, w_;
  std::vector<Index> order_;  // where each coefficient of the result lies in (h, w)
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec::detail
