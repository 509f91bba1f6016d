// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, fill_n, max, min

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/kernel/matrix.hpp>  // Matrix, Factor, Scratch
#include <splitvit/kernel/simd.hpp>    // lanes, load, Pack, store
#include <splitvit/kernel/tile.hpp>    // multiply_rows, tile_cols, tile_rows, TileResult, TileRows
#if !SPLITVIT_USE_XSIMD
#include <splitvit/kernel/eigen_gemm.hpp>  // add_product
#endif

// Matrix products. B is packed once, in the order in which tiles read it, for many A. Without SIMD
// instructions eigen_gemm.hpp computes them.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

template <class T>
void add_product(const Factor<T>& a, const Factor<T>& b, const Matrix<T>& c);

/// Whether a product replaces what is in its result, or is added to it.
enum class Into { replace, add };

namespace detail {
template <class T>
inline constexpr bool has_tiles = !std::is_arithmetic_v<Pack<T>>;

/// A product is computed in blocks of B. With depth_block rows, a tile's rows of A stay in the
/// first-level cache; with block_bytes, the block stays in the second-level cache.
inline constexpr Index depth_block = 384;
inline constexpr Index block_bytes = 448 << 10;
/// The most rows and columns of B that multiply_long packs at a time, for the second-level cache.
inline constexpr Index long_block = 256;
inline constexpr Index long_columns = 256;

/// Panels of B in a block of `depth` rows.
template <class T>
constexpr Index panels_in_block(Index depth) {
  return std::max<Index>(1, block_bytes / (depth * tile_cols<T> * static_cast<Index>(sizeof(T))));
}
}  // namespace detail

/// The right-hand factor of a product, in panels of tile_cols columns, row by row; the last one is
/// filled with zeros. Without tiles it only points to B.
template <class T>
class Packed {
 public:
  Packed() = default;
  explicit Packed(const Factor<T>& b) { pack(b); }

  void pack(const Factor<T>& b) {
    prepare(b);
    // A few rows of all panels at a time, so that a B that is not transposed is read in order.
    const Index rows_at_once = b.col_step == 1 ? 8 : b.rows;
    if constexpr (detail::has_tiles<T>)
      for (Index k = 0; k < b.rows; k += rows_at_once)
        for (Index p = 0; p < panels(); ++p) fill_panel(p, k, std::min(k + rows_at_once, b.rows));
  }
  /// The same on several threads, for the weights of a layer.
  void pack_in_parallel(const Factor<T>& b) {
    prepare(b);
    if constexpr (detail::has_tiles<T>)
      parallel_for(panels(), 1, [this](Index p, Index) { fill_panel(p, 0, b_.rows); });
  }

  /// Makes room for a factor that the caller writes through at() or set_row().
  void begin(Index rows, Index cols) {
    if constexpr (detail::has_tiles<T>) {
      prepare({nullptr, rows, cols, cols, 1});
    } else {
      b_ = {memory_.room(rows * cols), rows, cols, cols, 1};
    }
  }
  /// The place of a row's numbers from `column`, the first one of a panel, to the panel's end.
  T* at(Index row, Index column) {
    if constexpr (detail::has_tiles<T>)
      return memory_.data() + (column * b_.rows + row * tile_cols<T>);
    else
      return memory_.data() + row * b_.cols + column;
  }
  void set_row(Index row, const T* numbers) {
    for (Index column = 0; column < b_.cols; column += tile_cols<T>)
      std::copy_n(numbers + column, std::min(tile_cols<T>, b_.cols - column), at(row, column));
  }

  Index rows() const { return b_.rows; }
  Index cols() const { return b_.cols; }
  const Factor<T>& factor() const { return b_; }
  Index panels() const { return (b_.cols + tile_cols<T> - 1) / tile_cols<T>; }
  const T* panel(Index p, Index k) const {
    return memory_.data() + (p * b_.rows + k) * tile_cols<T>;
  }

 private:
  void prepare(const Factor<T>& b) {
    b_ = b;
    if constexpr (detail::has_tiles<T>) memory_.room(panels() * b.rows * tile_cols<T>);
  }

  /// Rows begin..end-1 of panel p.
  void fill_panel(Index p, Index begin, Index end) {
    constexpr Index width = tile_cols<T>;
    T* to = memory_.data() + (p * b_.rows + begin) * width;
    const Index count = std::min(width, b_.cols - p * width);
    const T* from = b_.at(begin, p * width);
    if (b_.col_step == 1 && count == width) {
      for (Index k = begin; k < end; ++k, from += b_.row_step, to += width) {
        store<T>(to, load<T>(from));
        store<T>(to + lanes<T>, load<T>(from + lanes<T>));
      }
      return;
    }
    for (Index k = begin; k < end; ++k, from += b_.row_step, to += width)
      for (Index j = 0; j < width; ++j) to[j] = j < count ? from[j * b_.col_step] : T{};
  }

  Factor<T> b_{nullptr, 0, 0, 0, 1};
  Scratch<T> memory_;
};

struct NoFinish {
  void operator()(Index, Index, Index, Index) const {}
};

/// C (M, N) = A (M, K) B (K, N) + bias, or added to C. On one thread. bias (N) or null, only with
/// Into::replace. `finish(row, rows, column, columns)` is called once for each block of C as soon
/// as it is complete, while it is in the first-level cache.
template <class T, class Finish = NoFinish>
void multiply(const Factor<T>& a, const Packed<T>& b, const Matrix<T>& c, Into into = Into::replace,
              const T* bias = nullptr, const Finish& finish = {}) {
  const Index K = b.rows();
  if constexpr (!detail::has_tiles<T>) {
    if (into == Into::replace)
      for (Index i = 0; i < c.rows; ++i) std::fill_n(c.row(i), c.cols, T{});
    if (bias != nullptr)
      for (Index i = 0; i < c.rows; ++i) std::copy_n(bias, c.cols, c.row(i));
    add_product(a, b.factor(), c);
    finish(0, c.rows, 0, c.cols);
  } else {
    constexpr Index R = tile_rows<T>;
    for (Index k = 0; k == 0 || k < K; k += detail::depth_block) {
      const Index depth = std::min(detail::depth_block, K - k);
      const bool add = into == Into::add || k > 0;
      const Index group = detail::panels_in_block<T>(std::max<Index>(1, depth));
      for (Index first = 0; first < b.panels(); first += group) {
        const Index last = std::min(first + group, b.panels());
        for (Index i = 0; i < c.rows; i += R) {
          const Index rows = std::min(R, c.rows - i);
          for (Index p = first; p < last; ++p) {
            const Index column = p * tile_cols<T>;
            const Index cols = std::min(tile_cols<T>, c.cols - column);
            multiply_rows<R, T>(rows, depth, TileRows<T>{a.at(i, k), a.row_step, a.col_step},
                                b.panel(p, k),
                                TileResult<T>{c.row(i) + column, c.stride, cols,
                                              bias == nullptr ? nullptr : bias + column, add});
            if (k + depth >= K) finish(i, rows, column, cols);
          }
        }
      }
    }
  }
}

/// C (M, N) (+)= A^T B for A (K, M) and B (K, N) with K much longer than M and N. B is packed in
/// blocks of equally many rows, in `packed`, whose memory is reused. On one thread.
template <class T>
void multiply_long(const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& c,
                   Into into, Packed<T>& packed) {
  const Index blocks = (a.rows + detail::long_block - 1) / detail::long_block;
  const Index block = blocks > 1 ? (a.rows + blocks - 1) / blocks : detail::long_block;
  for (Index k = 0; k == 0 || k < a.rows; k += block) {
    const Index end = std::min(k + block, a.rows);
    for (Index j = 0; j < b.cols; j += detail::long_columns) {
      const Index last = std::min(j + detail::long_columns, b.cols);
      packed.pack(b.slice(k, end).columns(j, last));
      multiply<T>(transposed(a.slice(k, end)), packed, c.columns(j, last),
                  k == 0 ? into : Into::add);
    }
  }
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
