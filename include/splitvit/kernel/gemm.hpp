// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // min
#include <type_traits>  // is_arithmetic_v

#include <Eigen/Core>  // Map

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/kernel/matrix.hpp>  // Matrix, Factor, Scratch
#include <splitvit/kernel/simd.hpp>    // lanes
#include <splitvit/kernel/tile.hpp>    // multiply_tile

// Matrix products. B is packed once, in the order in which tiles read it, and may then be
// multiplied by many A; where there are no SIMD instructions, Eigen does the work. The only
// header that names Eigen.

namespace splitvit::kernel {

/// Whether a product replaces what is in its result, or is added to it.
enum class Into { replace, add };

namespace detail {

template <class T>
inline constexpr bool has_tiles = !std::is_arithmetic_v<Pack<T>>;

/// So many rows of B are worked on at a time: a panel of them fits the first cache.
inline constexpr Index depth_block = 256;

template <class T>
auto as_eigen(const T* data, Index rows, Index cols, Index row_step, Index col_step) {
  using Plain = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Steps = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
  return Eigen::Map<const Plain, Eigen::Unaligned, Steps>(data, rows, cols,
                                                          Steps(row_step, col_step));
}

}  // namespace detail

/// The right-hand factor of a product, prepared.
///
/// Numbers lie in panels of tile_cols columns, each row of a panel together, the last panel
/// filled with zeros. Without tiles it only remembers where B is.
template <class T>
class Packed {
 public:
  Packed() = default;
  explicit Packed(const Factor<T>& b) { pack(b); }

  /// Prepares another factor in the same memory.
  void pack(const Factor<T>& b) {
    prepare(b);
    if constexpr (detail::has_tiles<T>)
      for (Index p = 0; p < panels(); ++p) fill_panel(p);
  }
  /// The same on several threads: worth it for the weights of a layer.
  void pack_in_parallel(const Factor<T>& b) {
    prepare(b);
    if constexpr (detail::has_tiles<T>)
      parallel_for(panels(), 1, [this](Index p, Index) { fill_panel(p); });
  }

  Index rows() const { return b_.rows; }
  Index cols() const { return b_.cols; }
  const Factor<T>& factor() const { return b_; }
  Index panels() const { return (b_.cols + tile_cols<T> - 1) / tile_cols<T>; }
  /// Panel p from row k on.
  const T* panel(Index p, Index k) const {
    return memory_.data() + (p * b_.rows + k) * tile_cols<T>;
  }

 private:
  void prepare(const Factor<T>& b) {
    b_ = b;
    if constexpr (detail::has_tiles<T>) memory_.room(panels() * b.rows * tile_cols<T>);
  }

  void fill_panel(Index p) {
    constexpr Index width = tile_cols<T>;
    T* to = memory_.room(0) + p * b_.rows * width;
    const Index count = std::min(width, b_.cols - p * width);
    const T* from = b_.at(0, p * width);
    if (b_.col_step == 1 && count == width) {
      for (Index k = 0; k < b_.rows; ++k, from += b_.row_step, to += width) {
        store<T>(to, load<T>(from));
        store<T>(to + lanes<T>, load<T>(from + lanes<T>));
      }
      return;
    }
    for (Index k = 0; k < b_.rows; ++k, from += b_.row_step, to += width)
      for (Index j = 0; j < width; ++j) to[j] = j < count ? from[j * b_.col_step] : T{};
  }

  Factor<T> b_{nullptr, 0, 0, 0, 1};
  Scratch<T> memory_;
};

/// C (M, N) = A (M, K) B (K, N) + bias, or added to C. On one thread.
///
/// bias (N) or null, only with Into::replace. A is read where it lies: a transposed A whose
/// rows are far apart is faster through multiply_long.
template <class T>
void multiply(const Factor<T>& a, const Packed<T>& b, const Matrix<T>& c, Into into = Into::replace,
              const T* bias = nullptr) {
  const Index K = b.rows();
  if constexpr (!detail::has_tiles<T>) {
    using Plain = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    Eigen::Map<Plain, Eigen::Unaligned, Eigen::OuterStride<>> result(
        c.data, c.rows, c.cols, Eigen::OuterStride<>(c.stride));
    const Factor<T>& f = b.factor();
    const auto product = detail::as_eigen(a.data, a.rows, a.cols, a.row_step, a.col_step) *
                         detail::as_eigen(f.data, f.rows, f.cols, f.row_step, f.col_step);
    if (into == Into::replace) result.setZero();
    if (bias != nullptr)
      for (Index i = 0; i < c.rows; ++i) std::copy_n(bias, c.cols, c.row(i));
    result.noalias() += product;
  } else {
    constexpr Index R = tile_rows<T>;
    for (Index k = 0; k == 0 || k < K; k += detail::depth_block) {
      const Index depth = std::min(detail::depth_block, K - k);
      const bool goes_on = into == Into::add || k > 0;
      for (Index p = 0; p < b.panels(); ++p) {
        const Index column = p * tile_cols<T>;
        const Index cols = std::min(tile_cols<T>, c.cols - column);
        for (Index i = 0; i < c.rows; i += R) {
          T* to = c.row(i) + column;
          const T* start = goes_on ? to : bias == nullptr ? nullptr : bias + column;
          detail::multiply_short_tile<R>(
              std::min(R, c.rows - i), depth, TileRows<T>{a.at(i, k), a.row_step, a.col_step},
              b.panel(p, k), to, c.stride, cols, start, goes_on ? c.stride : 0);
        }
      }
    }
  }
}

/// Memory for multiply_long, to be used again.
template <class T>
struct LongScratch {
  Scratch<T> a;
  Packed<T> b;
};

/// C (M, N) (+)= A^T B for A (K, M) and B (K, N) with K much longer than M and N, as in the
/// gradient of a weight. Both factors are packed, a block of rows at a time. On one thread.
template <class T>
void multiply_long(const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& c,
                   Into into, LongScratch<T>& scratch) {
  if constexpr (!detail::has_tiles<T>) {
    scratch.b.pack(b);
    multiply<T>(transposed(a), scratch.b, c, into);
  } else {
    constexpr Index R = tile_rows<T>;
    const Index tiles = (a.cols + R - 1) / R;
    T* packed = scratch.a.room(tiles * R * detail::depth_block);
    for (Index k = 0; k == 0 || k < a.rows; k += detail::depth_block) {
      const Index depth = std::min(detail::depth_block, a.rows - k);
      scratch.b.pack(b.slice(k, k + depth));
      for (Index t = 0; t < tiles; ++t) {  // rows of the tile beside each other
        const Index count = std::min(R, a.cols - t * R);
        T* to = packed + t * R * depth;
        for (Index i = 0; i < depth; ++i, to += R) std::copy_n(a.row(k + i) + t * R, count, to);
      }
      const bool goes_on = into == Into::add || k > 0;
      for (Index p = 0; p < scratch.b.panels(); ++p) {
        const Index column = p * tile_cols<T>;
        const Index cols = std::min(tile_cols<T>, c.cols - column);
        for (Index t = 0; t < tiles; ++t) {
          T* to = c.row(t * R) + column;
          detail::multiply_short_tile<R>(std::min(R, c.rows - t * R), depth,
                                         TileRows<T>{packed + t * R * depth, 1, R},
                                         scratch.b.panel(p, 0), to, c.stride, cols,
                                         goes_on ? to : nullptr, goes_on ? c.stride : 0);
        }
      }
    }
  }
}

}  // namespace splitvit::kernel
