// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n, fill_n

#include <splitvit/core/shape.hpp>         // Index
#include <splitvit/kernel/brain_pair.hpp>  // BrainPair, has_brain_unit
#include <splitvit/kernel/tile.hpp>        // TileResult, TileRows

#if SPLITVIT_HAS_BRAIN_UNIT && defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__linux__)
#define SPLITVIT_HAS_AMX 1
#include <sys/syscall.h>  // SYS_arch_prctl
#include <unistd.h>       // syscall
#else
#define SPLITVIT_HAS_AMX 0
#endif

// A larger tile of C, by the unit for matrices of bfloat16 (AMX). An instruction adds the products
// of 16 pairs to C: it sums those of the first numbers and those of the second ones, each from zero
// on, adds both sums and then adds that to C, with the roundings of add_pair. The only header that
// names AMX.

namespace splitvit::inline SPLITVIT_BUILD::kernel::detail {

/// Pairs that an instruction sums, and the rows and columns of one part of a tile.
inline constexpr Index unit_size = 16;
/// Rows of C that are computed at a time.
inline constexpr Index unit_rows = 2 * unit_size;

#if SPLITVIT_HAS_AMX
inline constexpr bool has_matrix_unit = true;

/// Whether this process may use the unit, which Linux grants once, on request.
inline bool may_use_matrix_unit() {
  constexpr long request = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM
  static const bool granted = syscall(SYS_arch_prctl, request, tile_data) == 0;
  return granted;
}

/// The unit of this thread, ready for multiply(), or idle if it may not be used.
class MatrixUnit {
 public:
  MatrixUnit() : ready_{may_use_matrix_unit()} {
    struct alignas(64) Shape {
      std::uint8_t palette = 1, start = 0, reserved[14]{};
      std::uint16_t bytes[16]{};
      std::uint8_t rows[16]{};
    };
    if (!ready_) return;
    Shape shape;
    std::fill_n(shape.bytes, 8, std::uint16_t{64});
    std::fill_n(shape.rows, 8, std::uint8_t{16});
    asm volatile("" : : "m"(shape));  // g++ 12 knows of 8 of the 64 bytes that are read
    _tile_loadconfig(&shape);
  }
  ~MatrixUnit() {
    if (ready_) _tile_release();
  }
  MatrixUnit(const MatrixUnit&) = delete;
  MatrixUnit& operator=(const MatrixUnit&) = delete;

  bool ready() const { return ready_; }

  /// `rows` rows, at most unit_rows, of C = bias + A B, or C += A B. K is a multiple of unit_size,
  /// col_step is 1, and unit_rows rows of A can be read.
  static void multiply(Index rows, Index K, const TileRows<BrainPair>& a, const BrainPair* b,
                       const TileResult<float>& to) {
    constexpr Index width = 2 * unit_size;
    const bool lower = rows > unit_size;
    const float* const start = to.add ? to.c : to.bias;
    const Index start_stride = to.add ? to.stride : 0;
    if (to.cols == width && rows == (lower ? unit_rows : unit_size))
      return sum(lower, K, a, b, start, start_stride, to.c, to.stride);
    alignas(64) std::array<float, unit_rows * width> sums;
    for (Index i = 0; start != nullptr && i < rows; ++i)
      std::copy_n(start + i * start_stride, to.cols, sums.data() + i * width);
    sum(lower, K, a, b, start == nullptr ? nullptr : sums.data(), width, sums.data(), width);
    for (Index i = 0; i < rows; ++i)
      std::copy_n(sums.data() + i * width, to.cols, to.c + i * to.stride);
  }

 private:
  /// The sums of one or two times unit_size rows, from `start` on (null: from zero on).
  static void sum(bool lower, Index K, const TileRows<BrainPair>& a, const BrainPair* b,
                  const float* start, Index start_stride, float* c, Index stride) {
    asm volatile("" : : : "memory");  // g++ 12 does not know that the unit reads memory
    const auto bytes = [](Index numbers) -> long { return 4 * numbers; };
    if (start == nullptr) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    } else {
      _tile_loadd(0, start, bytes(start_stride));
      _tile_loadd(1, start + unit_size, bytes(start_stride));
      if (lower) {
        _tile_loadd(2, start + unit_size * start_stride, bytes(start_stride));
        _tile_loadd(3, start + unit_size * start_stride + unit_size, bytes(start_stride));
      }
    }
    const long step = bytes(a.row_step), panel = bytes(2 * unit_size);
    const BrainPair* upper = a.a;
    for (Index k = 0; k < K; k += unit_size, upper += unit_size, b += unit_size * 2 * unit_size) {
      _tile_loadd(6, b, panel);
      _tile_loadd(4, upper, step);
      _tile_loadd(7, b + unit_size, panel);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      if (lower) {
        _tile_loadd(5, upper + unit_size * a.row_step, step);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    _tile_stored(0, c, bytes(stride));
    _tile_stored(1, c + unit_size, bytes(stride));
    if (lower) {
      _tile_stored(2, c + unit_size * stride, bytes(stride));
      _tile_stored(3, c + unit_size * stride + unit_size, bytes(stride));
    }
  }

  bool ready_;
};
#else
inline constexpr bool has_matrix_unit = false;
inline bool may_use_matrix_unit() { return false; }
class MatrixUnit;
#endif

/// Whether products of this type are for the unit.
template <class T, class Stored>
inline constexpr bool by_matrix_unit = has_matrix_unit && !std::same_as<T, Stored>;

/// What multiplies blocks of them: NoUnit where tiles do it.
struct NoUnit {};
template <class T, class Stored>
using UnitOf = std::conditional_t<by_matrix_unit<T, Stored>, MatrixUnit, NoUnit>;

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel::detail
