// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, copy_n, max, stable_sort
#include <cmath>      // abs, isfinite, nearbyint, sqrt
#include <numeric>    // iota

#include <splitvit/core/bytes.hpp>         // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>         // Reason
#include <splitvit/core/options.hpp>       // names_of
#include <splitvit/core/shape.hpp>         // Index
#include <splitvit/core/state.hpp>         // show_numbers
#include <splitvit/kernel/linear.hpp>      // linear_forward, linear_weight_gradient
#include <splitvit/kernel/matrix.hpp>      // dense, Matrix
#include <splitvit/kernel/vector_ops.hpp>  // dot
#include <splitvit/tensor/tensor.hpp>      // Tensor

// Tokens as components: the mean is subtracted, and the rest is rotated so that few components hold
// most of it. Both sides use the mean and the rotation that are sent. Letters: D channels, R <= D
// components, M tokens.

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// What the components of a token are.
enum class Basis : std::uint8_t {
  none,     ///< its channels
  channel,  ///< its channels less their means
  klt       ///< its coordinates along the principal axes (Karhunen-Loeve transform)
};

namespace detail {
inline constexpr auto basis_names =
    names_of<Basis>({{"none", Basis::none}, {"channel", Basis::channel}, {"klt", Basis::klt}});

/// Makes the rows of a symmetric a (D, D) without negative eigenvalues orthogonal by rotations:
/// they become its eigenvectors times their eigenvalues. One-sided Jacobi, to a ten-thousandth:
/// more would be lost when the rows are rounded to bytes.
inline void orthogonalise_rows(double* a, Index D) {
  constexpr int most_sweeps = 30;
  constexpr double tolerance = 1e-4;
  double floor = 0;  // of squared lengths: shorter rows are only noise
  for (Index i = 0; i < D; ++i) floor = std::max(floor, kernel::dot(a + i * D, a + i * D, D));
  floor *= 1e-24;
  bool rotated = true;
  for (int sweep = 0; rotated && sweep < most_sweeps; ++sweep) {
    rotated = false;
    for (Index i = 0; i + 1 < D; ++i)
      for (Index j = i + 1; j < D; ++j) {
        double *const p = a + i * D, *const q = a + j * D;
        const double pp = kernel::dot(p, p, D), qq = kernel::dot(q, q, D);
        const double pq = kernel::dot(p, q, D);
        if (pp <= floor || qq <= floor || std::abs(pq) <= tolerance * std::sqrt(pp * qq)) continue;
        const double ratio = (qq - pp) / (2 * pq);
        const double tangent =
            (ratio < 0 ? -1 : 1) / (std::abs(ratio) + std::sqrt(1 + ratio * ratio));
        const double c = 1 / std::sqrt(1 + tangent * tangent), s = c * tangent;
        for (Index d = 0; d < D; ++d) {
          const double x = p[d], y = q[d];
          p[d] = c * x - s * y;
          q[d] = s * x + c * y;
        }
        rotated = true;
      }
  }
}

/// A mean and R axes of length 1. Axes are kept as they are sent: rows of D whole numbers of a
/// byte, or the number of a channel.
class TokenBasis {
 public:
  Index components() const { return R_; }

  bool fits(Basis kind, Index D) const {
    return R_ >= 0 && R_ <= D &&
           mean_.size() == (kind == Basis::none ? 0 : static_cast<std::size_t>(D)) &&
           (kind == Basis::klt
                ? channels_.empty() && rows_.size() == static_cast<std::size_t>(R_ * D)
                : rows_.empty() && channels_.size() == static_cast<std::size_t>(R_));
  }

  /// The basis for tokens x (M, D). Components smaller than `least` times `step` are left out.
  template <std::floating_point T>
  void fit(Basis kind, const kernel::Matrix<const T>& x, double step, double least) {
    const Index D = x.cols;
    *this = {};
    if (kind != Basis::none) mean_ = column_means(x);
    // 1. Second moments, in units of the step.
    Tensor<T> centred = Tensor<T>::uninitialised({x.rows, D});
    parallel_for(x.rows, 64, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i)
        for (Index d = 0; d < D; ++d)
          centred[i * D + d] =
              static_cast<T>((static_cast<double>(x.row(i)[d]) - mean(d)) * (1 / step));
    });
    std::vector<double> moments(static_cast<std::size_t>(D)), axes;
    const kernel::Matrix<const T> y = kernel::dense<const T>(centred.data(), x.rows, D);
    if (kind == Basis::klt) {
      Tensor<T> products{{D, D}};
      kernel::linear_weight_gradient<T>(y, y, kernel::dense(products.data(), D, D));
      axes.assign(products.data(), products.data() + D * D);
      for (double& one : axes) one /= static_cast<double>(x.rows);
      orthogonalise_rows(axes.data(), D);
      for (Index r = 0; r < D; ++r)
        moments[index(r)] = std::sqrt(kernel::dot(axes.data() + r * D, axes.data() + r * D, D));
    } else {
      for (Index i = 0; i < x.rows; ++i)
        for (Index d = 0; d < D; ++d)
          moments[index(d)] += static_cast<double>(y.row(i)[d]) * static_cast<double>(y.row(i)[d]) /
                               static_cast<double>(x.rows);
    }
    // 2. The axes, largest moments first.
    std::vector<std::uint32_t> order(moments.size());
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(),
                     [&](auto a, auto b) { return moments[a] > moments[b]; });
    for (const std::uint32_t r : order) {
      if (!(moments[r] > least * least)) break;
      ++R_;
      kind == Basis::klt ? append_row(axes.data() + r * D, D) : channels_.push_back(r);
    }
  }

  /// Writes the mean in the element type, and the axes.
  template <std::floating_point T>
  void put(ByteWriter& writer) const {
    writer.put(static_cast<std::uint32_t>(R_));
    for (const double m : mean_) writer.put(static_cast<T>(m));
    writer.put_array(std::span<const std::int8_t>{rows_});
    writer.put_array(std::span<const std::uint32_t>{channels_});
  }

  /// Errors  WireError: truncated, malformed, not_finite.
  template <std::floating_point T>
  static TokenBasis get(ByteReader& reader, Basis kind, Index D) {
    TokenBasis basis;
    basis.R_ = reader.get<std::uint32_t>();
    if (basis.R_ > D) reader.refuse(Reason::malformed, {basis.R_, " components of ", D});
    if (kind != Basis::none) {
      reader.require(D, sizeof(T));
      for (Index d = 0; d < D; ++d) basis.mean_.push_back(static_cast<double>(reader.get<T>()));
    }
    if (kind == Basis::klt && basis.R_ > 0) {
      reader.require(basis.R_, static_cast<std::size_t>(D));
      basis.rows_.resize(index(basis.R_ * D));
    } else if (kind != Basis::klt) {
      reader.require(basis.R_, sizeof(std::uint32_t));
      basis.channels_.resize(index(basis.R_));
    }
    reader.get_array(std::span{basis.rows_});
    reader.get_array(std::span{basis.channels_});
    for (const double m : basis.mean_)
      if (!std::isfinite(m)) reader.refuse(Reason::not_finite, {"NaN or infinity in a mean"});
    if (!basis.is_sound(D)) reader.refuse(Reason::malformed, {"an axis of no direction"});
    return basis;
  }

  /// Whether every axis has a direction, and the mean is finite. Also for a state from a file.
  bool is_sound(Index D) const {
    for (const double m : mean_)
      if (!std::isfinite(m)) return false;
    for (const std::uint32_t channel : channels_)
      if (static_cast<Index>(channel) >= D) return false;
    for (Index r = 0; r < R_ && !rows_.empty(); ++r)
      if (length(r, D) == 0) return false;
    return true;
  }

  /// The same basis for tokens that are divided by `unit`.
  TokenBasis in_units_of(double unit) const {
    TokenBasis scaled = *this;
    for (double& m : scaled.mean_) m /= unit;
    return scaled;
  }

  /// components (M, R) = (x - mean) axes / step, for x (M, D).
  template <std::floating_point T>
  void forward(const kernel::Matrix<const T>& x, T step,
               const kernel::Matrix<T>& components) const {
    const Index D = x.cols;
    Tensor<T> shift{{R_}};
    if (rows_.empty()) {
      for (Index r = 0; r < R_; ++r) shift[r] = bounded<T>(mean(channel(r)) / step);
      parallel_for(x.rows, 64, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i)
          for (Index r = 0; r < R_; ++r)
            components.row(i)[r] = x.row(i)[channel(r)] / step - shift[r];
      });
      return;
    }
    Tensor<T> weights = Tensor<T>::uninitialised({R_, D});
    for (Index r = 0; r < R_; ++r) {
      const double scale = 1 / (length(r, D) * static_cast<double>(step));
      double sum = 0;
      for (Index d = 0; d < D; ++d) {
        const double weight = scale * rows_[index(r * D + d)];
        weights[r * D + d] = static_cast<T>(weight);
        sum += weight * mean(d);
      }
      shift[r] = bounded<T>(-sum);
    }
    kernel::linear_forward<T>(x, kernel::dense<const T>(weights.data(), R_, D), shift.data(),
                              components);
  }

  /// How much of x is in none of these components: a mean square over D, in steps.
  template <std::floating_point T>
  double left_out(const kernel::Matrix<const T>& x, T step,
                  const kernel::Matrix<const T>& components) const {
    if (R_ == x.cols) return 0;
    const auto square = [](double value) { return value * value; };
    const double unit = 1 / static_cast<double>(step);
    const double all = parallel_reduce(
        x.rows, 64, 0.0,
        [&](Index begin, Index end) {
          double sum = 0;
          for (Index i = begin; i < end; ++i) {
            for (Index d = 0; d < x.cols; ++d)
              sum += square((static_cast<double>(x.row(i)[d]) - mean(d)) * unit);
            for (Index r = 0; r < R_; ++r) sum -= square(static_cast<double>(components.row(i)[r]));
          }
          return sum;
        },
        [](double a, double b) { return a + b; });
    return all / static_cast<double>(x.rows * x.cols);
  }

  /// x (M, D) = mean + step components axes^T.
  template <std::floating_point T>
  void inverse(const kernel::Matrix<const T>& components, T step,
               const kernel::Matrix<T>& x) const {
    const Index D = x.cols;
    Tensor<T> shift{{D}};
    for (Index d = 0; d < D; ++d) shift[d] = bounded<T>(mean(d));
    if (rows_.empty()) {
      parallel_for(x.rows, 64, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) {
          std::copy_n(shift.data(), D, x.row(i));
          for (Index r = 0; r < R_; ++r) x.row(i)[channel(r)] += step * components.row(i)[r];
        }
      });
      return;
    }
    Tensor<T> weights = Tensor<T>::uninitialised({D, R_});
    for (Index r = 0; r < R_; ++r) {
      const double scale = static_cast<double>(step) / length(r, D);
      for (Index d = 0; d < D; ++d)
        weights[d * R_ + r] = static_cast<T>(scale * rows_[index(r * D + d)]);
    }
    kernel::linear_forward<T>(components, kernel::dense<const T>(weights.data(), D, R_),
                              shift.data(), x);
  }

  /// See core/state.hpp.
  void each_state(auto&& see, const std::string& prefix) {
    see(prefix + "mean", mean_);
    show_numbers(see, prefix + "axes", rows_);
    show_numbers(see, prefix + "channels", channels_);
    std::uint64_t components = static_cast<std::uint64_t>(R_);
    see(prefix + "components", components);
    R_ = static_cast<Index>(components);
  }

 private:
  static std::size_t index(Index i) { return static_cast<std::size_t>(i); }
  double mean(Index d) const { return mean_.empty() ? 0.0 : mean_[index(d)]; }
  Index channel(Index r) const { return channels_[index(r)]; }

  /// Finite, whatever a mean far from all values is divided by.
  template <std::floating_point T>
  static T bounded(double value) {
    constexpr double most = 1e30;
    return static_cast<T>(std::clamp(value, -most, most));
  }

  /// Exact but for the root.
  double length(Index r, Index D) const {
    double sum = 0;
    for (Index d = 0; d < D; ++d) sum += rows_[index(r * D + d)] * rows_[index(r * D + d)];
    return std::sqrt(sum);
  }

  void append_row(const double* row, Index D) {
    double most = 0;
    for (Index d = 0; d < D; ++d) most = std::max(most, std::abs(row[d]));
    for (Index d = 0; d < D; ++d)
      rows_.push_back(static_cast<std::int8_t>(std::nearbyint(127 * row[d] / most)));
  }

  template <class T>
  static std::vector<double> column_means(const kernel::Matrix<const T>& x) {
    std::vector<double> sum(static_cast<std::size_t>(x.cols));
    for (Index i = 0; i < x.rows; ++i)
      for (Index d = 0; d < x.cols; ++d) sum[index(d)] += static_cast<double>(x.row(i)[d]);
    for (double& one : sum)
      one = static_cast<double>(static_cast<T>(one / static_cast<double>(x.rows)));
    return sum;
  }

  Index R_ = 0;
  std::vector<double> mean_;             // (D), or none
  std::vector<std::int8_t> rows_;        // (R, D), or none
  std::vector<std::uint32_t> channels_;  // (R), or none
};

}  // namespace detail
}  // namespace splitvit::inline SPLITVIT_BUILD::codec
