// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, sort
#include <cmath>      // abs, sqrt
#include <cstddef>    // size_t
#include <limits>     // numeric_limits
#include <numeric>    // iota
#include <span>       // span
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/core/shape.hpp>  // Index

// Eigenvectors of a symmetric matrix, in double precision, with the same bits everywhere.
// Letter: n rows and columns.
//
// Two steps, as in Golub and Van Loan, "Matrix Computations", section 8.3: reflections make the
// matrix tridiagonal, then rotations make it diagonal. All work goes along rows, which lie
// together in memory.

namespace splitvit::nn::detail {

/// n rows of n numbers.
struct SquareMatrix {
  explicit SquareMatrix(Index n_) : n{n_}, values(static_cast<std::size_t>(n_ * n_)) {}

  double* row(Index i) { return values.data() + i * n; }
  const double* row(Index i) const { return values.data() + i * n; }

  Index n;
  std::vector<double> values;
};

/// a = vectors^T diag(values) vectors.
struct SymmetricEigen {
  std::vector<double> values;  ///< (n), descending
  SquareMatrix vectors;        ///< row i belongs to value i; orthonormal
};

/// y += factor x, n numbers
inline void add_scaled(double* y, const double* x, double factor, Index n) {
  for (Index i = 0; i < n; ++i) y[i] += factor * x[i];
}

/// What is left of a symmetric matrix when reflections have made it tridiagonal.
struct Tridiagonal {
  std::vector<double> diagonal;  ///< (n)
  std::vector<double> beside;    ///< (n): entry i couples i and i + 1, the last one is 0
  SquareMatrix basis;            ///< a = basis^T tridiagonal basis
};

/// Reflects coordinates k + 1 to n - 1 so that row k of `a` has one number beside the diagonal.
/// Returns that number.
inline double reflect(SquareMatrix& a, SquareMatrix& basis, Index k) {
  const Index n = a.n, first = k + 1;
  std::vector<double> v(a.row(k) + first, a.row(k) + n);
  const auto m = static_cast<Index>(v.size());
  double rest = 0.0;
  for (std::size_t i = 1; i < v.size(); ++i) rest += v[i] * v[i];
  if (rest == 0.0) return v[0];  // nothing to do
  const double length = std::sqrt(v[0] * v[0] + rest);
  const double beside = v[0] > 0.0 ? -length : length;
  v[0] -= beside;
  const double beta = 2.0 / (v[0] * v[0] + rest);  // the reflection is 1 - beta v v^T

  std::vector<double> w(v.size());  // a v, a being symmetric
  for (Index i = 0; i < m; ++i)
    add_scaled(w.data(), a.row(first + i) + first, v[static_cast<std::size_t>(i)], m);
  double vw = 0.0;
  for (std::size_t i = 0; i < v.size(); ++i) vw += v[i] * w[i];
  for (std::size_t i = 0; i < v.size(); ++i) w[i] = beta * (w[i] - 0.5 * beta * vw * v[i]);
  for (Index i = 0; i < m; ++i) {
    add_scaled(a.row(first + i) + first, w.data(), -v[static_cast<std::size_t>(i)], m);
    add_scaled(a.row(first + i) + first, v.data(), -w[static_cast<std::size_t>(i)], m);
  }

  std::vector<double> across(static_cast<std::size_t>(n));  // v^T basis
  for (Index i = 0; i < m; ++i)
    add_scaled(across.data(), basis.row(first + i), v[static_cast<std::size_t>(i)], n);
  for (Index i = 0; i < m; ++i)
    add_scaled(basis.row(first + i), across.data(), -beta * v[static_cast<std::size_t>(i)], n);
  return beside;
}

inline Tridiagonal tridiagonal(SquareMatrix a) {
  const Index n = a.n;
  Tridiagonal t{std::vector<double>(static_cast<std::size_t>(n)),
                std::vector<double>(static_cast<std::size_t>(n)), SquareMatrix{n}};
  for (Index i = 0; i < n; ++i) t.basis.row(i)[i] = 1.0;
  for (Index k = 0; k < n; ++k) {
    if (k + 1 < n) t.beside[static_cast<std::size_t>(k)] = reflect(a, t.basis, k);
    t.diagonal[static_cast<std::size_t>(k)] = a.row(k)[k];
  }
  return t;
}

/// One implicit QR step with Wilkinson's shift on entries low to high, which are all coupled.
inline void rotate_once(Tridiagonal& t, std::size_t low, std::size_t high) {
  std::vector<double>&d = t.diagonal, &e = t.beside;
  const double last = e[high - 1];
  const double half = 0.5 * (d[high - 1] - d[high]);
  const double root = std::sqrt(half * half + last * last);
  const double shift = d[high] - last * last / (half + (half < 0.0 ? -root : root));
  double x = d[low] - shift, z = e[low];
  for (std::size_t k = low; k < high; ++k) {
    const double r = std::sqrt(x * x + z * z);
    const double c = r > 0.0 ? x / r : 1.0, s = r > 0.0 ? z / r : 0.0;
    if (k > low) e[k - 1] = r;
    const double dk = d[k], next = d[k + 1], ek = e[k];
    d[k] = c * c * dk + 2.0 * c * s * ek + s * s * next;
    d[k + 1] = s * s * dk - 2.0 * c * s * ek + c * c * next;
    e[k] = c * s * (next - dk) + (c * c - s * s) * ek;
    x = e[k];
    if (k + 1 < high) {
      z = s * e[k + 1];
      e[k + 1] = c * e[k + 1];
    }
    double* const a = t.basis.row(static_cast<Index>(k));
    double* const b = t.basis.row(static_cast<Index>(k) + 1);
    for (Index i = 0; i < t.basis.n; ++i) {
      const double upper = c * a[i] + s * b[i];
      b[i] = c * b[i] - s * a[i];
      a[i] = upper;
    }
  }
}

/// Makes it diagonal. Converges in about two steps for each value; what does not within thirty
/// is as good as it gets.
inline void diagonalise(Tridiagonal& t) {
  constexpr double tiny = std::numeric_limits<double>::epsilon();
  const std::size_t n = t.diagonal.size();
  std::size_t steps_left = 30 * n;
  for (std::size_t high = n > 0 ? n - 1 : 0; high > 0 && steps_left > 0;) {
    std::size_t low = high;
    for (std::size_t i = high; i-- > 0;) {
      const double around = std::abs(t.diagonal[i]) + std::abs(t.diagonal[i + 1]);
      if (std::abs(t.beside[i]) <= tiny * around) {
        t.beside[i] = 0.0;
        break;
      }
      low = i;
    }
    if (low == high) {
      --high;
      continue;
    }
    rotate_once(t, low, high);
    --steps_left;
  }
}

/// All eigenvalues and eigenvectors of a symmetric matrix of finite numbers. Of each vector the
/// largest number, the first of several, is positive.
inline SymmetricEigen symmetric_eigen(SquareMatrix a) {
  const Index n = a.n;
  double scale = 0.0;  // so that no square overflows
  for (const double value : a.values) scale = std::max(scale, std::abs(value));
  if (scale == 0.0) scale = 1.0;
  for (double& value : a.values) value /= scale;
  Tridiagonal t = tridiagonal(std::move(a));
  diagonalise(t);

  std::vector<Index> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), Index{0});
  const auto value_of = [&](Index i) { return t.diagonal[static_cast<std::size_t>(i)]; };
  std::sort(order.begin(), order.end(), [&](Index i, Index j) {
    return value_of(i) > value_of(j) || (value_of(i) == value_of(j) && i < j);
  });
  SymmetricEigen out{{}, SquareMatrix{n}};
  for (Index i = 0; i < n; ++i) {
    const Index from = order[static_cast<std::size_t>(i)];
    out.values.push_back(value_of(from) * scale);
    const double* const row = t.basis.row(from);
    Index largest = 0;
    for (Index j = 1; j < n; ++j)
      if (std::abs(row[j]) > std::abs(row[largest])) largest = j;
    add_scaled(out.vectors.row(i), row, row[largest] < 0.0 ? -1.0 : 1.0, n);
  }
  return out;
}

}  // namespace splitvit::nn::detail
