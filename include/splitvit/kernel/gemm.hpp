// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, fill_n, max, min

#include <splitvit/core/parallel.hpp>       // parallel_for
#include <splitvit/core/shape.hpp>          // Index
#include <splitvit/kernel/brain_pair.hpp>   // terms
#include <splitvit/kernel/matrix.hpp>       // Matrix, Factor, Scratch
#include <splitvit/kernel/matrix_unit.hpp>  // by_matrix_unit, unit_size, UnitOf
#include <splitvit/kernel/pack.hpp>         // depth_block, fill_panel, LeftRows, pair_rows
#include <splitvit/kernel/simd.hpp>         // Pack
#include <splitvit/kernel/tile.hpp>         // multiply_rows, tile_cols, tile_rows, TileResult
#if !SPLITVIT_USE_XSIMD
#include <splitvit/kernel/eigen_gemm.hpp>  // add_product
#endif

// Matrix products. B is packed once, in the order in which tiles read it, for many A. Without SIMD
// instructions eigen_gemm.hpp computes them.
//
// The type Stored of a packed B is that of the numbers, T, or BrainPair: then both factors are
// rounded to bfloat16, A while a tile's rows of it are in the first-level cache, and the products
// are summed in float, two at a time (add_pair in brain_pair.hpp).

namespace splitvit::inline SPLITVIT_BUILD::kernel {

template <class T>
void add_product(const Factor<T>& a, const Factor<T>& b, const Matrix<T>& c);

/// Whether a product replaces what is in its result, or is added to it.
enum class Into { replace, add };

namespace detail {
template <class T, class Stored = T>
inline constexpr bool has_tiles = !std::same_as<T, Stored> || !std::is_arithmetic_v<Pack<T>>;

/// A product is computed in blocks of B, of depth_block rows of elements. With block_bytes, the
/// block stays in the second-level cache.
inline constexpr Index block_bytes = 448 << 10;
/// The most rows and columns of B that multiply_long packs at a time, for the second-level cache.
inline constexpr Index long_block = 256;
inline constexpr Index long_columns = 256;

/// Panels of B in a block of `depth` rows of elements.
template <class T>
constexpr Index panels_in_block(Index depth) {
  return std::max<Index>(1, block_bytes / (depth * tile_cols<T> * static_cast<Index>(sizeof(T))));
}
}  // namespace detail

/// The right-hand factor of a product, in panels of tile_cols columns, row by row, or pair of rows
/// by pair; the last panel is filled with zeros. Without tiles it only points to B.
template <class T, class Stored = T>
class Packed {
 public:
  Packed() = default;
  explicit Packed(const Factor<T>& b) { pack(b); }

  void pack(const Factor<T>& b) {
    prepare(b);
    // A few rows of all panels at a time, so that a B that is not transposed is read in order.
    const Index rows_at_once = b.col_step == 1 ? 8 : b.rows;
    if constexpr (tiled)
      for (Index k = 0; k < b.rows; k += rows_at_once)
        for (Index p = 0; p < panels(); ++p) fill_panel(p, k, std::min(k + rows_at_once, b.rows));
  }
  /// The same on several threads, for the weights of a layer.
  void pack_in_parallel(const Factor<T>& b) {
    prepare(b);
    if constexpr (tiled)
      parallel_for(panels(), 1, [this](Index p, Index) { fill_panel(p, 0, b_.rows); });
  }

  /// Makes room for a factor that the caller writes through write().
  void begin(Index rows, Index cols) {
    if constexpr (tiled) {
      prepare({nullptr, rows, cols, cols, 1});
    } else {
      b_ = {memory_.room(rows * cols), rows, cols, cols, 1};
    }
  }
  /// Writes `rows` rows from `row` on, a multiple of `terms`, and `cols` columns from `column` on,
  /// the first one of a panel: f(i, j, count, to) writes row i's numbers from column j on, `count`
  /// that lie in one panel, to `to`. More rows follow only if `rows` is a multiple of `terms`.
  template <class F>
  void write(Index row, Index rows, Index column, Index cols, const F& f) {
    const Index width = tiled ? tile_cols<T> : std::max<Index>(cols, 1);
    for (const Index end = column + cols; column < end; column += width) {
      const Index count = std::min(width, end - column);
      if constexpr (std::same_as<T, Stored>) {
        for (Index i = row; i < row + rows; ++i) f(i, column, count, at(i, column));
      } else {
        std::array<T, 2 * tile_cols<T>> numbers;
        T *const first = numbers.data(), *const second = first + tile_cols<T>;
        for (Index i = row; i < row + rows; i += 2) {
          f(i, column, count, first);
          const bool has_second = i + 1 < row + rows;
          if (has_second) f(i + 1, column, count, second);
          detail::pair_rows(first, has_second ? second : nullptr, count, at(i / 2, column));
        }
      }
    }
  }

  Index rows() const { return b_.rows; }
  Index cols() const { return b_.cols; }
  /// Rows of elements; for the unit for matrices filled with zeros to a multiple of its size.
  Index depth() const {
    constexpr Index size = detail::by_matrix_unit<T, Stored> ? detail::unit_size : 1;
    constexpr Index rows = terms<Stored> * size;
    return (b_.rows + rows - 1) / rows * size;
  }
  const Factor<T>& factor() const { return b_; }
  Index panels() const { return (b_.cols + tile_cols<T> - 1) / tile_cols<T>; }
  /// Panel p from the k-th row of elements on.
  const Stored* panel(Index p, Index k) const {
    return memory_.data() + (p * depth() + k) * tile_cols<T>;
  }

 private:
  static constexpr bool tiled = detail::has_tiles<T, Stored>;

  void prepare(const Factor<T>& b) {
    b_ = b;
    if constexpr (tiled) memory_.room(panels() * depth() * tile_cols<T>);
    if constexpr (detail::by_matrix_unit<T, Stored>) {
      const Index used = (b.rows + 1) / 2;
      for (Index column = 0; column < b.cols; column += tile_cols<T>)
        std::fill_n(at(used, column), (depth() - used) * tile_cols<T>, detail::no_pair);
    }
  }

  /// The place of the k-th row of elements from `column`, the first one of a panel, to its end.
  Stored* at(Index k, Index column) {
    if constexpr (tiled)
      return memory_.data() + (column * depth() + k * tile_cols<T>);
    else
      return memory_.data() + k * b_.cols + column;
  }

  /// Rows begin..end-1 of panel p. begin is a multiple of `terms`.
  void fill_panel(Index p, Index begin, Index end) {
    if (begin == end) return;  // a B without rows may be null
    const Index column = p * tile_cols<T>;
    detail::fill_panel(b_, column, begin, end, at(begin / terms<Stored>, column));
  }

  Factor<T> b_{nullptr, 0, 0, 0, 1};
  Scratch<Stored> memory_;
};

namespace detail {
/// A block of left_rows rows or fewer of C, by the unit for matrices where it is for that.
template <class T, class Stored>
void multiply_block([[maybe_unused]] const UnitOf<T, Stored>& unit, Index rows, Index depth,
                    const TileRows<Stored>& a, const Stored* panel, const TileResult<T>& to) {
  if constexpr (by_matrix_unit<T, Stored>)
    if (unit.ready()) return unit.multiply(rows, depth, a, panel, to);
  multiply_rows<tile_rows<T>>(rows, depth, a, panel, to);
}
}  // namespace detail

/// What is called for blocks of a product, by reference, or nothing. Behind a pointer to a
/// function, so that multiply() is compiled once for all.
class Finish {
 public:
  Finish() = default;
  template <class F>
  Finish(const F& f)
      : f_{&f}, call_{[](const void* self, Index row, Index rows, Index column, Index columns) {
          (*static_cast<const F*>(self))(row, rows, column, columns);
        }} {}

  void operator()(Index row, Index rows, Index column, Index columns) const {
    if (call_ != nullptr) call_(f_, row, rows, column, columns);
  }

 private:
  const void* f_ = nullptr;
  void (*call_)(const void*, Index, Index, Index, Index) = nullptr;
};

/// C (M, N) = A (M, K) B (K, N) + bias, or added to C. On one thread. bias (N) or null, only with
/// Into::replace. `finish(row, rows, column, columns)` is called once for each block of C as soon
/// as it is complete, while it is in the first-level cache.
template <class T, class Stored>
void multiply(const Factor<T>& a, const Packed<T, Stored>& b, const Matrix<T>& c,
              Into into = Into::replace, const T* bias = nullptr, const Finish& finish = {}) {
  const Index K = b.depth();
  if constexpr (!detail::has_tiles<T, Stored>) {
    if (into == Into::replace)
      for (Index i = 0; i < c.rows; ++i) std::fill_n(c.row(i), c.cols, T{});
    if (bias != nullptr)
      for (Index i = 0; i < c.rows; ++i) std::copy_n(bias, c.cols, c.row(i));
    add_product(a, b.factor(), c);
    finish(0, c.rows, 0, c.cols);
  } else {
    constexpr Index R = detail::left_rows<T, Stored>;
    detail::LeftRows<T, Stored> left;
    const detail::UnitOf<T, Stored> unit;
    for (Index k = 0; k == 0 || k < K; k += detail::depth_block) {
      const Index depth = std::min(detail::depth_block, K - k);
      const bool add = into == Into::add || k > 0;
      const Index group = detail::panels_in_block<T>(std::max<Index>(1, depth));
      for (Index first = 0; first < b.panels(); first += group) {
        const Index last = std::min(first + group, b.panels());
        for (Index i = 0; i < c.rows; i += R) {
          const Index rows = std::min(R, c.rows - i);
          // An empty sum reads nothing: an A without columns may be null.
          const TileRows<Stored> some =
              depth > 0 ? left(a, i, rows, k, depth) : TileRows<Stored>{nullptr, 0, 1};
          for (Index p = first; p < last; ++p) {
            const Index column = p * tile_cols<T>;
            const Index cols = std::min(tile_cols<T>, c.cols - column);
            detail::multiply_block<T, Stored>(
                unit, rows, depth, some, b.panel(p, k),
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
template <class T, class Stored>
void multiply_long(const Matrix<const T>& a, const Matrix<const T>& b, const Matrix<T>& c,
                   Into into, Packed<T, Stored>& packed) {
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
