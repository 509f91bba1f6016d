// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, copy_n, max, min

#include <splitvit/kernel/attention.hpp>   // AttentionSizes
#include <splitvit/kernel/brain_pair.hpp>  // BrainPair
#include <splitvit/kernel/layer_norm.hpp>  // NormKept
#include <splitvit/kernel/matrix.hpp>      // Scratch
#include <splitvit/kernel/pack.hpp>        // pair_numbers, widen_numbers

// The sizes of a transformer block, and which of its activations are kept for the backward pass.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

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

/// Activation checkpointing: which activations the forward pass stores for the backward pass.
enum class Checkpointing {
  store,      ///< all, 9 numbers for each one of x, or 8 as pairs: the fastest
  recompute,  ///< the output of attention, 1 number for each one of x
};

struct BlockSizes {
  Index B;       ///< samples
  Index N;       ///< tokens
  Index D;       ///< width
  Index H;       ///< heads
  Index hidden;  ///< width of the MLP

  AttentionSizes attention() const { return {B, N, D, H}; }

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

  /// The numbers of a piece that both modes store, and that `store` adds, in whole cache lines.
  Index attention_numbers() const { return whole_lines(D + H); }
  Index other_numbers() const { return whole_lines(4 * D + hidden + 4); }
  /// The room for what a piece stores, in floats. A pair takes the room of one float. The sums of
  /// attention, and the means and scales of norms, are always floats. Where attention's output is
  /// stored as pairs, the middle of the block is not stored: it comes from that output.
  template <class Stored>
  Index stored_numbers(Checkpointing checkpointing) const {
    const bool all = checkpointing == Checkpointing::store;
    if constexpr (std::same_as<Stored, BrainPair>)
      return whole_lines(H) + whole_lines(D) / 2 + 16 +
             (all ? whole_lines(4) + whole_lines(3 * D + hidden) / 2 + 16 : 0);
    else
      return attention_numbers() + (all ? other_numbers() : 0);
  }

  /// The slots for gradients of parameters. Each sums its own samples in order, then the slots are
  /// summed in order. Their number depends on sizes alone, so the bits do not depend on threads.
  Index slots() const {
    constexpr Index numbers = Index{16} << 20 >> 2;  // in 16 MiB of floats
    return std::min(pieces(), std::clamp<Index>(numbers / parameters(), 4, 8));
  }

 private:
  /// For `numbers` of each token of a piece.
  Index whole_lines(Index numbers) const {
    return (samples_a_piece() * N * numbers + 15) / 16 * 16;
  }
};

namespace detail {
/// The activations of a piece that the backward pass reads, for each sample in turn.
template <class T>
struct BlockKept {
  T* attended;   ///< (N, D): the output of attention
  T* log_sums;   ///< (H, N)
  T* qkv;        ///< (N, 3 D)
  T* before;     ///< (N, hidden): the input of GELU
  T* middle;     ///< (N, D)
  T* norm_rows;  ///< (4, N): mean and scale of both norms

  /// The arrays of `rows` tokens lie in `stored`, with room for stored_numbers(), or null; what is
  /// not stored lies in `scratch`.
  BlockKept(T* stored, Checkpointing checkpointing, Scratch<T>& scratch, Index rows,
            const BlockSizes& s)
      : attended{stored != nullptr ? stored
                                   : scratch.room(s.stored_numbers<T>(Checkpointing::store))},
        log_sums{attended + rows * s.D},
        qkv{stored != nullptr && checkpointing == Checkpointing::recompute
                ? scratch.room(s.other_numbers())
                : attended + s.attention_numbers()},
        before{qkv + rows * 3 * s.D},
        middle{before + rows * s.hidden},
        norm_rows{middle + rows * s.D} {}

  NormKept<T> norm1(Index rows) const { return {norm_rows, norm_rows + rows}; }
  NormKept<T> norm2(Index rows) const { return {norm_rows + 2 * rows, norm_rows + 3 * rows}; }
};

/// Where a piece's activations are during a pass: in the memory that keeps them; or as numbers in
/// `scratch`, of which `stored` keeps pairs, but for `middle`. Only the backward pass then sees
/// rounded numbers, the same ones whether they were stored or recomputed.
template <class T, class Stored>
class KeptMemory {
 public:
  static constexpr bool as_pairs = !std::same_as<T, Stored>;

  /// stored may be null, for a forward pass that keeps nothing.
  KeptMemory(T* stored, Checkpointing checkpointing, Scratch<T>& scratch, Index rows,
             const BlockSizes& s)
      : stored_{stored},
        checkpointing_{checkpointing},
        rows_{rows},
        s_{s},
        kept_{as_pairs ? nullptr : stored, checkpointing, scratch, rows, s} {}

  const BlockKept<T>& kept() const { return kept_; }

  /// At the end of the forward pass.
  void save() const {
    if constexpr (as_pairs)
      if (stored_ != nullptr)
        each_array([](T* from, T* to, Index n) { std::copy_n(from, n, to); },
                   [](T* from, BrainPair* to, Index n) { pair_numbers(from, n, to); });
  }
  /// At the begin of the backward pass.
  void load() const {
    if constexpr (as_pairs)
      each_array([](T* to, T* from, Index n) { std::copy_n(from, n, to); },
                 [](T* to, BrainPair* from, Index n) { widen_numbers(from, n, to); });
  }
  /// After what is not stored was recomputed: rounds it as save() does.
  void round() const {
    if constexpr (as_pairs) {
      T* x = kept_.qkv;
      for (Index n = others(); n > 0; n -= chunk, x += chunk) {
        std::array<BrainPair, chunk / 2> pairs;
        pair_numbers(x, std::min(n, chunk), pairs.data());
        widen_numbers(pairs.data(), std::min(n, chunk), x);
      }
    }
  }

 private:
  static constexpr Index chunk = 512;

  /// Calls exact(numbers, stored, n) or rounded(numbers, stored, n) for each array that is stored.
  void each_array(const auto& exact, const auto& rounded) const {
    T* at = stored_;
    const auto next = [&](Index numbers) {
      return std::exchange(at, at + (numbers + 15) / 16 * 16);
    };
    const auto pairs = [](T* memory) { return reinterpret_cast<BrainPair*>(memory); };
    const Index n = rows_ * s_.D;
    exact(kept_.log_sums, next(rows_ * s_.H), rows_ * s_.H);
    rounded(kept_.attended, pairs(next((n + 1) / 2)), n);
    if (checkpointing_ == Checkpointing::recompute) return;
    exact(kept_.norm_rows, next(4 * rows_), 4 * rows_);
    rounded(kept_.qkv, pairs(next((others() + 1) / 2)), others());
  }
  Index others() const { return rows_ * (3 * s_.D + s_.hidden); }  // qkv, before

  T* stored_;
  Checkpointing checkpointing_;
  Index rows_;
  const BlockSizes& s_;
  BlockKept<T> kept_;
};
}  // namespace detail

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
