// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min, max, fill_n

#include <splitvit/core/parallel.hpp>     // parallel_for
#include <splitvit/kernel/attention.hpp>  // attend, attend_backward
#include <splitvit/kernel/block_kept.hpp>  // BlockPart, BlockPointers, BlockSizes, BlockKept, KeptMemory
#include <splitvit/kernel/gelu.hpp>        // gelu_values, gelu_values_and_gradient
#include <splitvit/kernel/gemm.hpp>        // multiply, Packed
#include <splitvit/kernel/layer_norm.hpp>  // normalise_rows, norm_rows_backward
#include <splitvit/kernel/matrix.hpp>      // dense, Matrix, Scratch
#include <splitvit/kernel/simd.hpp>        // lanes, prefetch
#include <splitvit/kernel/tile.hpp>        // tile_cols
#include <splitvit/kernel/vector_ops.hpp>  // add_numbers, add_rows

// A pre-norm transformer block as one operation:
//
//   middle = x + proj(attention(qkv(norm1 x)))     y = middle + fc2(gelu(fc1(norm2 middle)))
//
// A thread computes the whole block for a few samples while they are in its cache. Norms, GELU and
// probabilities are always recomputed, because that is cheaper than storing them.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

namespace detail {
/// Prefetches what a `finish` for multiply() will read for the tile at `column`.
template <class T>
void fetch(const Matrix<const T>& from, Index row, Index column) {
  if (from.cols < column + tile_cols<T>) return;
  prefetch(from.row(row) + column);
  prefetch(from.row(row) + column + lanes<T>);
}

/// A `finish` for multiply(): adds `around` to the result.
template <class T>
auto adding(const T* around, const Matrix<T>& c) {
  return
      [from = dense(around, c.rows, c.cols), c](Index row, Index rows, Index column, Index cols) {
        for (Index i = row; i < row + rows; ++i) {
          fetch(from, i, column + cols);
          add_numbers(c.row(i) + column, from.row(i) + column, cols);
        }
      };
}

/// The weights of a block, packed for multiply(): the transposes, or for `backward` the weights
/// themselves. For the backward pass, `forward_again` has what leads to the input of GELU, and
/// `middle_again` what leads from the output of attention to the middle.
template <class T, class Stored>
struct PackedBlock {
  Packed<T, Stored> qkv, proj, fc1, fc2;

  enum class Way { forward, forward_again, middle_again, backward };

  PackedBlock(const BlockPointers<const T>& p, const BlockSizes& s, Way way) {
    const auto pack = [way](Packed<T, Stored>& to, const T* w, Index out, Index in) {
      const Matrix<const T> weight = dense(w, out, in);
      to.pack_in_parallel(way == Way::backward ? Factor<T>{weight} : transposed(weight));
    };
    pack(proj, p[proj_weight], s.D, s.D);
    if (way == Way::middle_again) return;
    pack(qkv, p[qkv_weight], 3 * s.D, s.D);
    pack(fc1, p[fc1_weight], s.hidden, s.D);
    if (way != Way::forward_again) pack(fc2, p[fc2_weight], s.D, s.hidden);
  }
};

/// dw (out, in) (+)= dy^T x and db (out) += the sums of dy's columns.
template <class T, class Stored>
void weight_gradient(const Matrix<const T>& dy, const Packed<T, Stored>& x, T* dw, T* db,
                     Into into) {
  multiply<T>(transposed(dy), x, dense(dw, dy.cols, x.cols()), into);
  add_rows(db, dy.data, dy.rows, dy.cols, dy.stride);
}

/// A few samples, which one thread computes.
template <class T, class Stored>
struct BlockPiece {
  using Weights = PackedBlock<T, Stored>;

  const T* x;
  const T* bias;  ///< of the scores, or null
  BlockKept<T> kept;
  Index samples;
  const BlockPointers<const T>& p;
  T eps;
  const BlockSizes& s;
  Index rows = samples * s.N;

  NormWeights<T> norm1() const { return {p[norm1_weight], p[norm1_bias], eps}; }
  NormWeights<T> norm2() const { return {p[norm2_weight], p[norm2_bias], eps}; }

  /// The forward pass up to queries, keys and values. normal is memory for (rows, D).
  void project(const Weights& w, T* normal) const {
    normalise_rows(x, norm1(), kept.norm1(rows), normal, rows, s.D);
    multiply<T>(dense(normal, rows, s.D), w.qkv, dense(kept.qkv, rows, 3 * s.D), Into::replace,
                p[qkv_bias]);
  }

  /// From the output of attention to the middle. As pairs, rounded outputs give the same bits.
  void join(const Weights& w) const {
    const auto middle = dense(kept.middle, rows, s.D);
    multiply<T>(dense(kept.attended, rows, s.D), w.proj, middle, Into::replace, p[proj_bias],
                adding(x, middle));
  }

  /// From the output of attention to the input of GELU; `finish` is multiply()'s, for kept.before.
  void expand(const Weights& w, T* normal, const Finish& finish = {}) const {
    join(w);
    normalise_rows<T>(kept.middle, norm2(), kept.norm2(rows), normal, rows, s.D);
    multiply<T>(dense(normal, rows, s.D), w.fc1, dense(kept.before, rows, s.hidden), Into::replace,
                p[fc1_bias], finish);
  }

  void forward(const Weights& w, T* y, T* cls_attention) const {
    Scratch<T> memory(rows * (s.D + s.hidden));
    project(w, memory.data());
    for (Index b = 0; b < samples; ++b)
      attend<T, Stored>(kept.qkv + b * s.N * 3 * s.D, kept.attended + b * s.N * s.D,
                        kept.log_sums + b * s.N * s.H, row_of(cls_attention, b, s.N), s.attention(),
                        row_of(bias, b, s.N));
    const auto before = dense(kept.before, rows, s.hidden);
    const auto active = dense(memory.data() + rows * s.D, rows, s.hidden);
    expand(w, memory.data(), [&](Index row, Index count, Index column, Index cols) {
      for (Index i = row; i < row + count; ++i)
        gelu_values<T, Stored>(before.row(i) + column, active.row(i) + column, cols);
    });
    const auto out = dense(y, rows, s.D);
    multiply<T>(active, w.fc2, out, Into::replace, p[fc2_bias], adding<T>(kept.middle, out));
  }

  /// The backward pass. Gradients of parameters are added to `gradient`, or replace it with
  /// Into::replace; null: they are not computed.
  void backward(const Weights& w, const T* dy, T* dx, const BlockPointers<T>* gradient,
                Into into) const {
    Scratch<T> memory(rows * (s.hidden + 5 * s.D));
    const auto d_before = dense(memory.data(), rows, s.hidden);
    const auto d_normal = dense(d_before.row(rows), rows, s.D);
    const auto d_middle = dense(d_normal.row(rows), rows, s.D);
    const auto d_qkv = dense(d_middle.row(rows), rows, 3 * s.D);
    Packed<T, Stored> active, normal;  // right-hand factors of the gradients of weights
    const auto part = [gradient](BlockPart which) {
      return gradient == nullptr ? nullptr : (*gradient)[which];
    };
    const Matrix<const T> d_out = dense(dy, rows, s.D);

    // y = middle + fc2(gelu(before)), before = fc1(norm2 middle)
    const auto before = dense(kept.before, rows, s.hidden);
    active.begin(rows, s.hidden);
    multiply<T>(d_out, w.fc2, d_before, Into::replace, nullptr,
                [&](Index row, Index count, Index column, Index cols) {
                  active.write(row, count, column, cols, [&](Index i, Index j, Index n, T* to) {
                    fetch<T>(before, i, j + n);
                    T* const slope = d_before.row(i) + j;
                    gelu_values_and_gradient<T, Stored>(before.row(i) + j, slope, to, slope, n);
                  });
                });
    if (gradient != nullptr) {
      normalise_rows_again(kept.middle, norm2(), kept.norm2(rows), normal, rows, s.D);
      weight_gradient<T>(d_out, active, (*gradient)[fc2_weight], (*gradient)[fc2_bias], into);
      weight_gradient<T>(d_before, normal, (*gradient)[fc1_weight], (*gradient)[fc1_bias], into);
    }
    multiply<T>(d_before, w.fc1, d_normal);
    norm_rows_backward(kept.middle, p[norm2_weight], kept.norm2(rows), d_normal.data, dy,
                       d_middle.data, part(norm2_weight), part(norm2_bias), rows, s.D);

    // middle = x + proj(attended), attended = attention(qkv(norm1 x))
    const auto d_attended = d_normal;  // reuses the memory
    multiply<T>(d_middle, w.proj, d_attended);
    for (Index b = 0; b < samples; ++b)
      attend_backward<T, Stored>(kept.qkv + b * s.N * 3 * s.D, kept.attended + b * s.N * s.D,
                                 kept.log_sums + b * s.N * s.H, d_attended.row(b * s.N),
                                 d_qkv.row(b * s.N), s.attention(), row_of(bias, b, s.N));
    if (gradient != nullptr) {
      normal.pack(dense(kept.attended, rows, s.D));
      weight_gradient<T>(d_middle, normal, (*gradient)[proj_weight], (*gradient)[proj_bias], into);
      normalise_rows_again(x, norm1(), kept.norm1(rows), normal, rows, s.D);
      weight_gradient<T>(d_qkv, normal, (*gradient)[qkv_weight], (*gradient)[qkv_bias], into);
    }
    multiply<T>(d_qkv, w.qkv, d_normal);
    norm_rows_backward<T>(x, p[norm1_weight], kept.norm1(rows), d_normal.data, d_middle.data, dx,
                          part(norm1_weight), part(norm1_bias), rows, s.D);
  }
};

/// The parts of a block's gradient in one piece of memory.
template <class T>
BlockPointers<T> parts_in(T* memory, const BlockSizes& s) {
  BlockPointers<T> parts;
  for (std::size_t i = 0; i < block_parts; ++i) {
    parts[i] = memory;
    memory += s.part_sizes()[i];
  }
  return parts;
}
}  // namespace detail

/// y (B N, D) from x (B N, D) and bias (B, N) or null, as for attend(). cls_attention (B, N) or
/// null gets the attention of CLS to each token, averaged over heads. stored has room for
/// stored_numbers() of each piece; null: nothing is stored, and no backward pass is possible.
/// Stored is the type of the factors in all products (gemm.hpp), the same for both passes.
template <class T, class Stored = T>
void block_forward(const T* x, const T* bias, const BlockPointers<const T>& parameters, T eps, T* y,
                   T* cls_attention, T* stored, Checkpointing checkpointing, const BlockSizes& s) {
  using Packs = detail::PackedBlock<T, Stored>;
  const Packs weights{parameters, s, Packs::Way::forward};
  const Index most = s.samples_a_piece(), numbers = s.stored_numbers<Stored>(checkpointing);
  parallel_for(s.B, most, [&](Index begin, Index end) {
    const Index samples = end - begin, offset = begin * s.N * s.D;
    T* const own = stored == nullptr ? nullptr : stored + begin / most * numbers;
    Scratch<T> scratch;
    const detail::KeptMemory<T, Stored> memory{own, checkpointing, scratch, samples * s.N, s};
    const T* const piece_bias = detail::row_of(bias, begin, s.N);
    const detail::BlockPiece<T, Stored> piece{
        x + offset, piece_bias, memory.kept(), samples, parameters, eps, s};
    piece.forward(weights, y + offset, detail::row_of(cls_attention, begin, s.N));
    memory.save();
  });
}

/// dx (B N, D) from dy (B N, D), given what block_forward read and stored; the rest is recomputed,
/// to the bits that it would have stored. dx may be dy. `gradient` gets the gradients of all
/// parameters; null: they are not computed.
template <class T, class Stored = T>
void block_backward(const T* x, const T* bias, const T* dy, T* stored, Checkpointing checkpointing,
                    const BlockPointers<const T>& parameters, T eps, T* dx,
                    const BlockPointers<T>* gradient, const BlockSizes& s) {
  using Packs = detail::PackedBlock<T, Stored>;
  const Packs weights{parameters, s, Packs::Way::backward};
  const bool recompute = checkpointing == Checkpointing::recompute;
  std::optional<Packs> forward_weights;
  if (recompute || detail::KeptMemory<T, Stored>::as_pairs)
    forward_weights.emplace(parameters, s,
                            recompute ? Packs::Way::forward_again : Packs::Way::middle_again);
  const Index pieces = s.pieces(), slots = s.slots(), numbers = s.parameters();
  Scratch<T> memory;
  if (gradient != nullptr) memory.room(slots * numbers);
  parallel_for(slots, 1, [&](Index slot, Index) {
    std::optional<BlockPointers<T>> sums;
    if (gradient != nullptr) {
      sums = detail::parts_in(memory.data() + slot * numbers, s);
      for (const BlockPart vector : {norm1_weight, norm1_bias, qkv_bias, proj_bias, norm2_weight,
                                     norm2_bias, fc1_bias, fc2_bias})
        std::fill_n((*sums)[vector], s.part_sizes()[vector], T{});
    }
    const Index first = slot * pieces / slots, last = (slot + 1) * pieces / slots;
    Scratch<T> scratch, normal;
    for (Index i = first; i < last; ++i) {
      const Index begin = i * s.samples_a_piece(), offset = begin * s.N * s.D;
      const Index samples = std::min(s.samples_a_piece(), s.B - begin);
      T* const own = stored + i * s.stored_numbers<Stored>(checkpointing);
      const detail::KeptMemory<T, Stored> kept{own, checkpointing, scratch, samples * s.N, s};
      kept.load();
      const T* const piece_bias = detail::row_of(bias, begin, s.N);
      const detail::BlockPiece<T, Stored> piece{
          x + offset, piece_bias, kept.kept(), samples, parameters, eps, s};
      if (recompute) {
        piece.project(*forward_weights, normal.room(piece.rows * s.D));
        piece.expand(*forward_weights, normal.data());
        kept.round();
      } else if (forward_weights) {
        piece.join(*forward_weights);
      }
      piece.backward(weights, dy + offset, dx + offset, sums ? &*sums : nullptr,
                     i == first ? Into::replace : Into::add);
    }
  });
  if (gradient == nullptr) return;
  const BlockPointers<T> first = detail::parts_in(memory.data(), s);
  for (std::size_t i = 0; i < block_parts; ++i)
    parallel_for(s.part_sizes()[i], Index{1} << 14, [&](Index begin, Index end) {
      T* const to = (*gradient)[i] + begin;
      std::copy_n(first[i] + begin, end - begin, to);
      for (Index slot = 1; slot < slots; ++slot)
        add_numbers(to, first[i] + slot * numbers + begin, end - begin);
    });
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
