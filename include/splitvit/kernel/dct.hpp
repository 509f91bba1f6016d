// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, fill_n, min
#include <cmath>      // sqrt

#include <splitvit/core/shape.hpp>   // Index
#include <splitvit/kernel/fft.hpp>   // Fft, fft_lanes, unit_root
#include <splitvit/kernel/simd.hpp>  // Pack, load, store

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// A plan for the orthonormal discrete cosine transform of columns of any length t.
///
///   forward  X_u = s_u sum over i of x_i cos(pi (2i + 1) u / (2t)),
///            s_0 = sqrt(1/t), else sqrt(2/t)                         (DCT-II)
///   inverse  its transpose, which is its inverse                     (DCT-III)
///
/// Shapes  x, y (t, columns), row by row; y may be x.
/// Source  Makhoul, "A fast cosine transform in one and two dimensions", 1980: the even numbers,
///         then the odd ones backwards, through a Fourier transform. Two columns share a lane, as
///         real and imaginary part.
template <std::floating_point T>
class Dct {
 public:
  /// Errors  std::invalid_argument for t < 1.
  explicit Dct(Index t) : plan_{t} {
    for (Index k = 0; k <= t / 2; ++k) {
      const UnitRoot root = unit_root(k, 4 * t);
      const Index other = (t - k) % t;
      const double scale = std::sqrt((k == 0 ? 1.0 : 2.0) / static_cast<double>(t));
      steps_.push_back({k, other, 2 * W * plan_.position(k), 2 * W * plan_.position(other),
                        static_cast<T>(root.cosine * scale), static_cast<T>(root.sine * scale)});
    }
  }

  Index size() const { return plan_.size(); }

  void forward(const T* x, T* y, Index columns) const {
    for_each_batch(columns, [&](Index first, Index count, T* work) {
      for (Index i = 0; i < size(); ++i)
        fill_lanes(x + i * columns + first, count, work + place(i));
      plan_.forward(work);
      for (const Step& step : steps_) unmix(step, y + first, columns, count, work);
    });
  }

  void inverse(const T* x, T* y, Index columns) const {
    for_each_batch(columns, [&](Index first, Index count, T* work) {
      for (const Step& step : steps_) mix(step, x + first, columns, count, work);
      plan_.inverse(work);
      for (Index i = 0; i < size(); ++i)
        std::copy_n(work + place(i), count, y + i * columns + first);
    });
  }

 private:
  using P = Pack<T>;
  static constexpr Index W = fft_lanes<T>;
  static constexpr auto row_width = static_cast<std::size_t>(2 * W);

  /// Coefficients k and t - k, which are computed from the same two numbers of a spectrum.
  struct Step {
    Index k, other;
    Index at, at_other;  // their places
    T cosine, sine;      // of pi k / (2t), times s_k
  };

  template <class Body>
  void for_each_batch(Index columns, const Body& body) const {
    std::vector<T> work(static_cast<std::size_t>(2 * W * size()));
    for (Index first = 0; first < columns; first += 2 * W)
      body(first, std::min(2 * W, columns - first), work.data());
  }

  /// The position of number i: the even ones forwards, then the odd ones backwards.
  Index place(Index i) const { return 2 * W * (i % 2 == 0 ? i / 2 : size() - 1 - i / 2); }

  /// The first columns are real parts, the others imaginary parts.
  static void fill_lanes(const T* row, Index count, T* lanes_of_point) {
    std::copy_n(row, count, lanes_of_point);
    std::fill_n(lanes_of_point + count, 2 * W - count, T{0});
  }

  /// With A and B the spectra of the real and of the imaginary columns:
  ///   Z_k = A_k + i B_k, A_(t-k) = conj A_k;  Y = exp(-i pi k / 2t) A_k = C_k - i C_(t-k)
  void unmix(const Step& step, T* y, Index columns, Index count, const T* work) const {
    T low[row_width], high[row_width];
    const P c(step.cosine * T{0.5}), s(step.sine * T{0.5});
    for (Index lane = 0; lane < W; lane += lanes<T>) {
      const T *const z = work + step.at + lane, *const v = work + step.at_other + lane;
      const P a_re = load<T>(z) + load<T>(v), a_im = load<T>(z + W) - load<T>(v + W);
      const P b_re = load<T>(z + W) + load<T>(v + W), b_im = load<T>(v) - load<T>(z);
      store<T>(low + lane, c * a_re + s * a_im);
      store<T>(low + lane + W, c * b_re + s * b_im);
      store<T>(high + lane, s * a_re - c * a_im);
      store<T>(high + lane + W, s * b_re - c * b_im);
    }
    std::copy_n(low, count, y + step.k * columns);
    if (step.other > step.k) std::copy_n(high, count, y + step.other * columns);
  }

  /// The inverse: A_k = exp(i pi k / 2t) (C_k - i C_(t-k)), where C_t = 0. The transform
  /// multiplies by t, so a coefficient is divided by t s_k, which is s_k / 2, or s_0.
  void mix(const Step& step, const T* x, Index columns, Index count, T* work) const {
    T low[row_width], high[row_width];
    fill_lanes(x + step.k * columns, count, low);
    fill_lanes(x + step.other * columns, step.k == 0 ? 0 : count, high);
    const T share = step.k == 0 ? T{1} : T{0.5};
    const P c(step.cosine * share), s(step.sine * share);
    for (Index lane = 0; lane < W; lane += lanes<T>) {
      const P a_low = load<T>(low + lane), a_high = load<T>(high + lane);
      const P b_low = load<T>(low + lane + W), b_high = load<T>(high + lane + W);
      const P a_re = c * a_low + s * a_high, a_im = s * a_low - c * a_high;
      const P b_re = c * b_low + s * b_high, b_im = s * b_low - c * b_high;
      T *const z = work + step.at + lane, *const v = work + step.at_other + lane;
      store<T>(v, a_re + b_im);
      store<T>(v + W, b_re - a_im);
      store<T>(z, a_re - b_im);
      store<T>(z + W, a_im + b_re);
    }
  }

  Fft<T> plan_;
  std::vector<Step> steps_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
