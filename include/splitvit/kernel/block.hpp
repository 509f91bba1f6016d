// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // min, max, fill_n
#include <array>      // array
#include <optional>   // optional

#include <splitvit/core/parallel.hpp>      // parallel_for
#include <splitvit/kernel/attention.hpp>   // attend, attend_backward
#include <splitvit/kernel/gelu.hpp>        // gelu_values, gelu_values_and_gradient
#include <splitvit/kernel/gemm.hpp>        // multiply, Packed
#include <splitvit/kernel/layer_norm.hpp>  // normalise_rows, norm_rows_backward
#include <splitvit/kernel/matrix.hpp>      // dense, Matrix, Scratch
#include <splitvit/kernel/simd.hpp>        // lanes, prefetch
#include <splitvit/kernel/tile.hpp>        // tile_cols
#include <splitvit/kernel/vector_ops.hpp>  // add_numbers

// A pre-norm transformer block as one operation:
//
//   middle = x + proj(attention(qkv(norm1 x)))     y = middle + fc2(gelu(fc1(norm2 middle)))
//
// A bias (B, N), if there is one, is added to the scores of attention, one number for each key.
//
// A thread computes the whole block for a few samples while they are in its cache. The backward
// pass either stores its inputs or recomputes all of them except the output of attention. Norms,
// GELU and probabilities are always recomputed, because that is cheaper than storing them.

namespace splitvit::kernel {

/// The parameters of a block, or their gradients, in the order of timm's names.
enum BlockPart : std::size_t {
  norm1_weight,
  norm1_bias,
  qkv_weight,
  qkv_bias,
  proj_weight,
  proj_bias,
  norm2_weight,
  norm2_bias,
  fc1_weight,
  fc1_bias,
  fc2_weight,
  fc2_bias
};
inline constexpr std::size_t block_parts = 12;

template <class T>
using BlockPointers = std::array<T*, block_parts>;

struct BlockSizes {
  Index B;       ///< samples
  Index N;       ///< tokens
  Index D;       ///< width
  Index H;       ///< heads
  Index hidden;  ///< width of the MLP

  AttentionSizes attention() const { return {B, N, D, H}; }

  /// How many numbers each part has.
  std::array<Index, block_parts> part_sizes() const {
    return {D, D, 3 * D * D, 3 * D, D * D, D, D, D, hidden * D, hidden, hidden * D, D};
  }
  Index parameters() const {
    Index sum = 0;
    for (const Index size : part_sizes()) sum += size;
    return sum;
  }

  /// Samples that a thread takes at a time: about 256 rows, and enough pieces for several threads.
  Index samples_a_piece() const {
    return std::max<Index>(1, std::min(256 / std::max<Index>(1, N), (B + 7) / 8));
  }
  Index pieces() const { return (B + samples_a_piece() - 1) / samples_a_piece(); }

  /// The number of slots for gradients of parameters. Each slot sums its own samples in order, then
  /// the slots are summed in order. It depends on sizes alone, so that the bits do not depend on
  /// threads.
  Index slots() const {
    constexpr Index numbers = Index{16} << 20 >> 2;  // in 16 MiB of floats
    return std::min(pieces(), std::clamp<Index>(numbers / parameters(), 4, 8));
  }
};

/// Activation checkpointing: what the forward pass does with the activations that the backward
/// pass needs.
enum class Checkpointing {
  store,      ///< keeps all of them, 9 numbers for each one of x: the fastest
  recompute,  ///< keeps the output of attention, 1 number for each one of x, and computes the
              ///< rest again, to the same bits
};

/// What the forward pass stores, for each sample in turn.
template <class T>
struct BlockKept {
  T* attended;  ///< (N, D)
  T* log_sums;  ///< (H, N)
  // Null where they are recomputed.
  T* qkv = nullptr;        ///< (N, 3 D)
  T* middle = nullptr;     ///< (N, D)
  T* before = nullptr;     ///< (N, hidden): the input of GELU
  T* norm_rows = nullptr;  ///< (4, N): mean and scale of both norms

  /// Places the arrays of `samples` samples in one block of memory, matrices first, so that their
  /// rows begin at cache lines.
  BlockKept(T* memory, Index samples, const BlockSizes& s, Checkpointing checkpointing)
      : attended{memory} {
    log_sums = attended + samples * s.N * s.D;
    if (checkpointing == Checkpointing::recompute) return;
    place_rest(log_sums, samples, s);
    log_sums += rest_numbers(samples, s);
  }
  static Index numbers(Index samples, const BlockSizes& s, Checkpointing checkpointing) {
    const Index attention = samples * s.N * (s.D + s.H);
    return attention + (checkpointing == Checkpointing::store ? rest_numbers(samples, s) : 0);
  }

  /// The arrays from a sample on.
  BlockKept from(Index sample, const BlockSizes& s) const {
    const Index rows = sample * s.N;
    BlockKept part = *this;
    part.attended += rows * s.D;
    part.log_sums += rows * s.H;
    if (!has_rest()) return part;
    part.qkv += rows * 3 * s.D;
    part.middle += rows * s.D;
    part.before += rows * s.hidden;
    part.norm_rows += rows * 4;
    return part;
  }

  bool has_rest() const { return qkv != nullptr; }
  /// Places all arrays that `recompute` does not store.
  void place_rest(T* memory, Index samples, const BlockSizes& s) {
    const Index rows = samples * s.N;
    qkv = memory;
    middle = qkv + rows * 3 * s.D;
    before = middle + rows * s.D;
    norm_rows = before + rows * s.hidden;
  }
  static Index rest_numbers(Index samples, const BlockSizes& s) {
    return samples * s.N * (4 * s.D + s.hidden + 4);
  }

  NormKept<T> norm1(Index rows) const { return {norm_rows, norm_rows + rows}; }
  NormKept<T> norm2(Index rows) const { return {norm_rows + 2 * rows, norm_rows + 3 * rows}; }
};

namespace detail {

/// Prefetches what a `finish` for multiply() will read of a row for the tile that begins at
/// `column`, while that tile is computed.
template <class T>
void fetch(const Matrix<const T>& from, Index row, Index column) {
  if (column + tile_cols < T >> from.cols) return;
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

/// The weights of a block, packed for multiply(). For y = x w^T the transposes are packed, for dx =
/// dy w the weights themselves.
template <class T>
struct PackedBlock {
  Packed<T> qkv, proj, fc1, fc2;

  enum class Way {
    forward,
    forward_again,  ///< up to the input of GELU, for the backward pass
    backward
  };

  PackedBlock(const BlockPointers<const T>& p, const BlockSizes& s, Way way) {
    const auto pack = [way](Packed<T>& to, const T* w, Index out, Index in) {
      const Matrix<const T> weight = dense(w, out, in);
      to.pack_in_parallel(way == Way::backward ? Factor<T>{weight} : transposed(weight));
    };
    pack(qkv, p[qkv_weight], 3 * s.D, s.D);
    pack(proj, p[proj_weight], s.D, s.D);
    pack(fc1, p[fc1_weight], s.hidden, s.D);
    if (way != Way::forward_again) pack(fc2, p[fc2_weight], s.D, s.hidden);
  }
};

/// The forward pass of `samples` samples, on one thread, up to queries, keys and values. normal is
/// memory for (samples N, D).
template <class T>
void project_piece(const T* x, const BlockKept<T>& kept, Index samples,
                   const BlockPointers<const T>& p, const PackedBlock<T>& w, T eps,
                   const BlockSizes& s, T* normal) {
  const Index rows = samples * s.N;
  normalise_rows(x, {p[norm1_weight], p[norm1_bias], eps}, kept.norm1(rows), normal, rows, s.D);
  multiply<T>(dense(normal, rows, s.D), w.qkv, dense(kept.qkv, rows, 3 * s.D), Into::replace,
              p[qkv_bias]);
}

/// From the output of attention to the input of GELU; `finish` is multiply()'s, for kept.before.
template <class T, class Finish = NoFinish>
void expand_piece(const T* x, const BlockKept<T>& kept, Index samples,
                  const BlockPointers<const T>& p, const PackedBlock<T>& w, T eps,
                  const BlockSizes& s, T* normal, const Finish& finish = {}) {
  const Index rows = samples * s.N;
  const auto middle = dense(kept.middle, rows, s.D);
  multiply<T>(dense(kept.attended, rows, s.D), w.proj, middle, Into::replace, p[proj_bias],
              adding(x, middle));
  normalise_rows<T>(middle.data, {p[norm2_weight], p[norm2_bias], eps}, kept.norm2(rows), normal,
                    rows, s.D);
  multiply<T>(dense(normal, rows, s.D), w.fc1, dense(kept.before, rows, s.hidden), Into::replace,
              p[fc1_bias], finish);
}

/// The whole forward pass of `samples` samples.
template <class T>
void block_forward_piece(const T* x, const T* bias, T* y, T* cls_attention,
                         const BlockKept<T>& kept, Index samples, const BlockPointers<const T>& p,
                         const PackedBlock<T>& w, T eps, const BlockSizes& s) {
  const Index rows = samples * s.N;
  Scratch<T> memory(rows * (s.D + s.hidden));
  project_piece(x, kept, samples, p, w, eps, s, memory.data());
  for (Index b = 0; b < samples; ++b)
    attend<T>(kept.qkv + b * s.N * 3 * s.D, kept.attended + b * s.N * s.D,
              kept.log_sums + b * s.N * s.H, row_of(cls_attention, b, s.N), s.attention(),
              row_of(bias, b, s.N));
  const auto before = dense(kept.before, rows, s.hidden);
  const auto active = dense(memory.data() + rows * s.D, rows, s.hidden);
  expand_piece(x, kept, samples, p, w, eps, s, memory.data(),
               [&](Index row, Index count, Index column, Index cols) {
                 for (Index i = row; i < row + count; ++i)
                   gelu_values(before.row(i) + column, active.row(i) + column, cols);
               });
  const auto out = dense(y, rows, s.D);
  multiply<T>(active, w.fc2, out, Into::replace, p[fc2_bias], adding<T>(kept.middle, out));
}

/// dw (out, in) (+)= dy^T x and db (out) += the sums of dy's columns.
template <class T>
void weight_gradient(const Matrix<const T>& dy, const Packed<T>& x, T* dw, T* db, Into into) {
  multiply<T>(transposed(dy), x, dense(dw, dy.cols, x.cols()), into);
  for (Index i = 0; i < dy.rows; ++i) add_numbers(db, dy.row(i), dy.cols);
}

/// The backward pass of `samples` samples, on one thread. Gradients of parameters are added to
/// `gradient`, or replace it with Into::replace; null: they are not computed.
template <class T>
void block_backward_piece(const T* x, const T* bias, const T* dy, T* dx, const BlockKept<T>& kept,
                          Index samples, const BlockPointers<const T>& p, const PackedBlock<T>& w,
                          T eps, const BlockSizes& s, const BlockPointers<T>* gradient, Into into) {
  const Index rows = samples * s.N;
  Scratch<T> memory(rows * (s.hidden + 5 * s.D) + 2 * s.D);
  const auto d_before = dense(memory.data(), rows, s.hidden);
  const auto d_normal = dense(d_before.row(rows), rows, s.D);
  const auto d_middle = dense(d_normal.row(rows), rows, s.D);
  const auto d_qkv = dense(d_middle.row(rows), rows, 3 * s.D);
  T* unwanted = d_qkv.row(rows);  // for sums that are not used
  std::fill_n(unwanted, 2 * s.D, T{});
  Packed<T> active, normal;  // right-hand factors of the gradients of weights
  const auto part = [&](BlockPart which, Index offset) {
    return gradient == nullptr ? unwanted + offset : (*gradient)[which];
  };
  const Matrix<const T> d_out = dense(dy, rows, s.D);

  // y = middle + fc2(gelu(before)), before = fc1(norm2 middle)
  const auto before = dense(kept.before, rows, s.hidden);
  active.begin(rows, s.hidden);
  multiply<T>(d_out, w.fc2, d_before, Into::replace, nullptr,
              [&](Index row, Index count, Index column, Index cols) {
                for (Index i = row; i < row + count; ++i) {
                  fetch<T>(before, i, column + cols);
                  gelu_values_and_gradient<T>(before.row(i) + column, d_before.row(i) + column,
                                              active.at(i, column), d_before.row(i) + column, cols);
                }
              });
  const NormWeights<T> weights2{p[norm2_weight], p[norm2_bias], eps};
  if (gradient != nullptr) {
    normalise_rows_again(kept.middle, weights2, kept.norm2(rows), normal, rows, s.D);
    weight_gradient<T>(d_out, active, (*gradient)[fc2_weight], (*gradient)[fc2_bias], into);
    weight_gradient<T>(d_before, normal, (*gradient)[fc1_weight], (*gradient)[fc1_bias], into);
  }
  multiply<T>(d_before, w.fc1, d_normal);
  norm_rows_backward(kept.middle, weights2.w, kept.norm2(rows), d_normal.data, dy, d_middle.data,
                     part(norm2_weight, 0), part(norm2_bias, s.D), rows, s.D);

  // middle = x + proj(attended), attended = attention(qkv(norm1 x))
  const auto d_attended = d_normal;  // reuses the memory
  multiply<T>(d_middle, w.proj, d_attended);
  for (Index b = 0; b < samples; ++b)
    attend_backward<T>(kept.qkv + b * s.N * 3 * s.D, kept.attended + b * s.N * s.D,
                       kept.log_sums + b * s.N * s.H, d_attended.row(b * s.N), d_qkv.row(b * s.N),
                       s.attention(), row_of(bias, b, s.N));
  const NormWeights<T> weights1{p[norm1_weight], p[norm1_bias], eps};
  if (gradient != nullptr) {
    normal.pack(dense(kept.attended, rows, s.D));
    weight_gradient<T>(d_middle, normal, (*gradient)[proj_weight], (*gradient)[proj_bias], into);
    normalise_rows_again(x, weights1, kept.norm1(rows), normal, rows, s.D);
    weight_gradient<T>(d_qkv, normal, (*gradient)[qkv_weight], (*gradient)[qkv_bias], into);
  }
  multiply<T>(d_qkv, w.qkv, d_normal);
  norm_rows_backward<T>(x, weights1.w, kept.norm1(rows), d_normal.data, d_middle.data, dx,
                        part(norm1_weight, 0), part(norm1_bias, s.D), rows, s.D);
}

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

/// y (B N, D) from x (B N, D). cls_attention (B, N), unless null, gets how CLS looks at each token:
/// row 0 of the attention, averaged over heads. kept is for the whole batch; null: nothing is
/// stored, and no backward pass is possible.
template <class T>
void block_forward(const T* x, const T* bias, const BlockPointers<const T>& parameters, T eps, T* y,
                   T* cls_attention, const BlockKept<T>* kept, const BlockSizes& s) {
  using Packs = detail::PackedBlock<T>;
  const Packs weights{parameters, s, Packs::Way::forward};
  const Index piece = s.samples_a_piece();
  parallel_for(s.B, piece, [&](Index begin, Index end) {
    const Index count = end - begin;
    Scratch<T> passing;
    const BlockKept<T> stored = [&] {
      if (kept == nullptr) {
        constexpr auto all = Checkpointing::store;
        return BlockKept<T>{passing.room(BlockKept<T>::numbers(count, s, all)), count, s, all};
      }
      BlockKept<T> part = kept->from(begin, s);
      if (!part.has_rest())
        part.place_rest(passing.room(BlockKept<T>::rest_numbers(count, s)), count, s);
      return part;
    }();
    detail::block_forward_piece(x + begin * s.N * s.D, detail::row_of(bias, begin, s.N),
                                y + begin * s.N * s.D, detail::row_of(cls_attention, begin, s.N),
                                stored, count, parameters, weights, eps, s);
  });
}

/// dx (B N, D) from dy (B N, D), given what block_forward read and stored; what it did not store is
/// recomputed, piece by piece, to the same bits. `gradient` gets the gradients of all parameters;
/// null: they are not computed.
template <class T>
void block_backward(const T* x, const T* bias, const T* dy, const BlockKept<T>& kept,
                    const BlockPointers<const T>& parameters, T eps, T* dx,
                    const BlockPointers<T>* gradient, const BlockSizes& s) {
  using Packs = detail::PackedBlock<T>;
  const Packs weights{parameters, s, Packs::Way::backward};
  std::optional<Packs> forward_weights;
  if (!kept.has_rest()) forward_weights.emplace(parameters, s, Packs::Way::forward_again);
  const Index piece = s.samples_a_piece(), pieces = s.pieces(), slots = s.slots();
  const Index numbers = s.parameters();
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
    Scratch<T> again;
    for (Index i = first; i < last; ++i) {
      const Index begin = i * piece, end = std::min(begin + piece, s.B);
      const T* const piece_x = x + begin * s.N * s.D;
      BlockKept<T> stored = kept.from(begin, s);
      if (!stored.has_rest()) {
        const Index count = end - begin, size = count * s.N * s.D;
        T* const normal = again.room(size + BlockKept<T>::rest_numbers(count, s));
        stored.place_rest(normal + size, count, s);
        detail::project_piece(piece_x, stored, count, parameters, *forward_weights, eps, s, normal);
        detail::expand_piece(piece_x, stored, count, parameters, *forward_weights, eps, s, normal);
      }
      detail::block_backward_piece(piece_x, detail::row_of(bias, begin, s.N),
                                   dy + begin * s.N * s.D, dx + begin * s.N * s.D, stored,
                                   end - begin, parameters, weights, eps, s,
                                   sums ? &*sums : nullptr, i == first ? Into::replace : Into::add);
    }
  });
  if (gradient == nullptr) return;
  const BlockPointers<T> first = detail::parts_in(memory.data(), s);
  for (std::size_t i = 0; i < block_parts; ++i) {
    const T* from = first[i];
    T* to = (*gradient)[i];
    parallel_for(s.part_sizes()[i], Index{1} << 14, [&](Index begin, Index end) {
      std::copy_n(from + begin, end - begin, to + begin);
      for (Index slot = 1; slot < slots; ++slot)
        add_numbers(to + begin, from + slot * numbers + begin, end - begin);
    });
  }
}

}  // namespace splitvit::kernel
