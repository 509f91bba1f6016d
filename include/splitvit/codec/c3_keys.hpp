// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy, find, min, rotate
#include <cmath>      // sqrt
#include <memory>     // make_shared, shared_ptr
#include <tuple>      // get, tuple

#include <splitvit/core/error.hpp>         // ShapeError
#include <splitvit/core/finite.hpp>        // limited
#include <splitvit/core/parallel.hpp>      // parallel_for
#include <splitvit/core/random.hpp>        // Rng
#include <splitvit/kernel/fft.hpp>         // Fft, fft_lanes
#include <splitvit/kernel/vector_ops.hpp>  // power_of_two_scale
#include <splitvit/tensor/tensor.hpp>      // Tensor, TensorView

// The keys of C3-SL: with them several samples are added up in one vector and taken apart
// again. Letters: B samples, n values a sample, R samples in a group, G = ceil(B / R) groups.

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// R keys of n values and unit length, which seed and n determine; the first ones are the same
/// for every R.
///
/// Each value is the sum of twelve 32-bit draws over 2^32, minus 6: nearly normal, and made
/// of operations that every machine rounds alike.
///
/// Shapes  -> (R, n), R and n at least 1.
inline Tensor<double> draw_c3_keys(Index R, Index n, std::uint64_t seed) {
  constexpr std::uint64_t purpose = 0x63336b6579;  // "c3key"
  constexpr std::uint64_t blocks = 6;              // of two draws, for each value
  Tensor<double> keys = Tensor<double>::uninitialised({R, n});
  for (Index r = 0; r < R; ++r) {
    double* const key = keys.data() + r * n;
    const Rng draws =
        Rng{.seed = seed}.at(purpose, static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(r));
    parallel_for(n, 1024, [&](Index begin, Index end) {
      Rng rng = draws;
      rng.position = static_cast<std::uint64_t>(begin) * blocks;
      for (Index i = begin; i < end; ++i) {
        std::uint64_t sum = 0;
        for (std::uint64_t block = 0; block < blocks; ++block) {
          const std::uint64_t bits = rng.bits();
          sum += (bits & 0xFFFFFFFFu) + (bits >> 32);
        }
        key[i] = static_cast<double>(sum) * 0x1p-32 - 6.0;
      }
    });
    double square = 0;
    for (Index i = 0; i < n; ++i) square += key[i] * key[i];
    // All draws may be exactly one half, though hardly ever.
    const double length = square > 0 ? std::sqrt(square) : 1.0;
    for (Index i = 0; i < n; ++i) key[i] /= length;
  }
  return keys;
}

/// Keys, ready for use. Never changed by it, so copies and threads may share them.
///
///   superpose  V_g[t]  = sum over r, m of z_(gR+r)[m] key_r[(t - m) mod n]
///   separate   z'_gR+r[t] = sum over m of V_g[m] key_r[(m - t) mod n]
///
/// Both are linear, and each is the adjoint of the other. A short last group uses the first
/// keys. Results beyond the largest number become it.
///
/// Source  arXiv:2207.12397, encoding and decoding; authors' code: WesleyHsieh0806/C3-SL.
template <std::floating_point T>
class C3Keys {
 public:
  /// Shapes  keys (R, n), R and n at least 1. `unitary`: each key is replaced by the one whose
  ///         spectrum has the same phases and magnitude 1 (phase 0 where the spectrum is 0).
  /// Errors  ShapeError.
  explicit C3Keys(TensorView<const double> keys, bool unitary = false)
      : plan_{size_of(keys.shape())}, R_{keys.dim(0)} {
    constexpr Index L = kernel::fft_lanes<double>;
    const Index n = plan_.size();
    const kernel::Fft<double> plan{n};  // the same positions as plan_'s
    spectra_ = Tensor<T>::uninitialised({n, R_, 2});
    parallel_for((R_ + L - 1) / L, 1, [&](Index batch, Index) {
      const Index first = batch * L, count = std::min(L, R_ - first);
      Tensor<double> work{{n, 2, L}};
      for (Index lane = 0; lane < count; ++lane)
        for (Index t = 0; t < n; ++t) work[2 * t * L + lane] = keys[(first + lane) * n + t];
      plan.forward(work.data());
      for (Index f = 0; f < n; ++f)
        for (Index lane = 0; lane < count; ++lane) {
          double re = work[2 * f * L + lane], im = work[(2 * f + 1) * L + lane];
          if (unitary) {
            const double size = std::sqrt(re * re + im * im);
            re = size > 0 ? re / size : 1.0;
            im = size > 0 ? im / size : 0.0;
          }
          T* const to = spectra_.data() + 2 * (f * R_ + first + lane);
          to[0] = static_cast<T>(re / static_cast<double>(n));  // the factor of the inverse
          to[1] = static_cast<T>(im / static_cast<double>(n));
        }
    });
  }

  Index ratio() const { return R_; }
  Index size() const { return plan_.size(); }

  /// Shapes  z (B, n) -> (G, n). Errors  ShapeError.
  Tensor<T> superpose(TensorView<const T> z) const {
    require(z.shape(), "superpose");
    const Index n = size(), B = z.dim(0);
    const Groups groups{B, R_};
    Tensor<T> out = Tensor<T>::uninitialised({groups.count, n});
    const T unit = kernel::power_of_two_scale<T>(z.span(), safe_exponent);

    Tensor<T> terms = Tensor<T>::uninitialised({groups.term_batches(), n, 2, W});
    parallel_for(groups.term_batches(), 1, [&](Index batch, Index) {
      T* const work = terms.data() + batch * n * 2 * W;
      gather(z.data(), work, T{1} / unit,
             [&](Index lane) { return groups.samples(batch * W + lane); });
      plan_.forward(work);
    });

    Tensor<T> sums = Tensor<T>::uninitialised({groups.sum_batches(), n, 2, W});
    parallel_for(n, 256, [&](Index begin, Index end) {
      for (Index f = begin; f < end; ++f) add_up(groups, f, terms, sums);
    });
    parallel_for(groups.sum_batches(), 1, [&](Index batch, Index) {
      T* const work = sums.data() + batch * n * 2 * W;
      plan_.inverse(work);
      scatter(work, out.data(), unit, [&](Index lane) { return groups.sums(batch * W + lane); });
    });
    return out;
  }

  /// Shapes  V (G, n) -> (samples, n), G = ceil(samples / R). Errors  ShapeError.
  Tensor<T> separate(TensorView<const T> V, Index samples) const {
    require(V.shape(), "separate");
    const Index n = size();
    const Groups groups{samples, R_};
    if (samples < 0 || V.dim(0) != groups.count)
      throw ShapeError({"C3Keys: separate: ", V.shape().text(), " for ", samples,
                        " samples, wanted ", groups.count, " rows"});
    Tensor<T> out = Tensor<T>::uninitialised({samples, n});
    const T unit = kernel::power_of_two_scale<T>(V.span(), safe_exponent);

    Tensor<T> sums = Tensor<T>::uninitialised({groups.sum_batches(), n, 2, W});
    parallel_for(groups.sum_batches(), 1, [&](Index batch, Index) {
      T* const work = sums.data() + batch * n * 2 * W;
      gather(V.data(), work, T{1} / unit,
             [&](Index lane) { return groups.sums(batch * W + lane); });
      plan_.forward(work);
    });
    parallel_for(groups.term_batches(), 1, [&](Index batch, Index) {
      Tensor<T> work = Tensor<T>::uninitialised({n, 2, W});
      unbind(groups, batch, sums, work.data());
      plan_.inverse(work.data());
      scatter(work.data(), out.data(), unit,
              [&](Index lane) { return groups.samples(batch * W + lane); });
    });
    return out;
  }

 private:
  static constexpr Index W = kernel::fft_lanes<T>;

  /// The rows that become the real and the imaginary part of a lane; -1 for none.
  struct Rows {
    Index re = -1;
    Index im = -1;
  };

  /// Which row goes where. Keys are real, so a lane carries two groups, one as real and one as
  /// imaginary part: pair p is groups 2p and 2p + 1. Term r * pairs + p is their samples r.
  struct Groups {
    Groups(Index samples, Index size)
        : B{samples},
          ratio{size},
          used{std::min(size, samples)},
          count{(samples + size - 1) / size},
          pairs{(count + 1) / 2} {}

    Index term_batches() const { return (used * pairs + W - 1) / W; }
    Index sum_batches() const { return (pairs + W - 1) / W; }
    Rows samples(Index term) const {
      const Index r = term / pairs, first = 2 * (term % pairs) * ratio + r;
      if (r >= used) return {};
      return {first < B ? first : -1, first + ratio < B ? first + ratio : -1};
    }
    Rows sums(Index pair) const {
      return {2 * pair < count ? 2 * pair : -1, 2 * pair + 1 < count ? 2 * pair + 1 : -1};
    }

    Index B, ratio;
    Index used;  // keys: no more than there are samples
    Index count, pairs;
  };

  static Index size_of(const Shape& shape) {
    if (shape.rank() != 2 || shape.elements() == 0)
      throw ShapeError({"C3Keys: keys ", shape.text(), ", wanted (R, n), both at least 1"});
    return shape[1];
  }
  void require(const Shape& shape, const char* what) const {
    if (shape.rank() != 2 || shape[1] != size())
      throw ShapeError({"C3Keys: ", what, ": ", shape.text(), ", wanted rows of ", size()});
  }

  static constexpr int safe_exponent = 64;  // no sum of smaller numbers overflows
  static constexpr Index block = 64;        // points at a time: they stay in the nearest cache

  /// Calls body(row, offset, begin, end) for the row of each part of each lane, block by block: its
  /// numbers begin..end belong to work[offset + 2 W t]. The row is -1 for unused parts.
  template <class RowsOf, class Body>
  void for_each_row(const RowsOf& rows_of, const Body& body) const {
    for (Index begin = 0; begin < size(); begin += block) {
      const Index end = std::min(size(), begin + block);
      for (Index lane = 0; lane < W; ++lane) {
        const Rows own = rows_of(lane);
        body(own.re, lane, begin, end);
        body(own.im, W + lane, begin, end);
      }
    }
  }

  /// Rows of n numbers, times `factor`, into the lanes that rows_of(lane) names.
  template <class RowsOf>
  void gather(const T* rows, T* work, T factor, const RowsOf& rows_of) const {
    for_each_row(rows_of, [&](Index row, Index offset, Index begin, Index end) {
      T* const to = work + offset;
      const T* const from = rows + row * size();
      for (Index t = begin; t < end; ++t) to[2 * t * W] = row < 0 ? T{0} : from[t] * factor;
    });
  }

  /// The opposite: lanes times `factor`, no larger than the largest number, into rows.
  template <class RowsOf>
  void scatter(const T* work, T* rows, T factor, const RowsOf& rows_of) const {
    for_each_row(rows_of, [&](Index row, Index offset, Index begin, Index end) {
      if (row < 0) return;
      const T* const from = work + offset;
      T* const to = rows + row * size();
      for (Index t = begin; t < end; ++t) to[t] = from[2 * t * W];
      for (Index t = begin; t < end; ++t) to[t] = limited(to[t] * factor);
    });
  }

  /// Where a lane's number for frequency f lies; the imaginary part W behind it.
  Index place(Index lane, Index f) const { return (lane / W * size() + f) * 2 * W + lane % W; }

  /// The spectra of the sums at frequency f: each term times its key.
  void add_up(const Groups& groups, Index f, const Tensor<T>& terms, Tensor<T>& sums) const {
    for (Index batch = 0; batch < groups.sum_batches(); ++batch) {
      std::array<T, 2 * static_cast<std::size_t>(W)> sum{};
      const Index first = batch * W, count = std::min(W, groups.pairs - first);
      for (Index r = 0; r < groups.used; ++r) {
        const T* const key = spectra_.data() + 2 * (f * R_ + r);
        for (Index lane = 0, run = 0; lane < count; lane += run) {
          const Index term = r * groups.pairs + first + lane;
          run = std::min(count - lane, W - term % W);  // terms that lie side by side
          const T* const z = terms.data() + place(term, f);
          T* const to = sum.data() + lane;
          for (Index l = 0; l < run; ++l) {
            to[l] += z[l] * key[0] - z[l + W] * key[1];
            to[l + W] += z[l] * key[1] + z[l + W] * key[0];
          }
        }
      }
      std::ranges::copy(sum, sums.data() + place(first, f));
    }
  }

  /// The spectra of a batch of terms: their sum times the conjugate of their key.
  void unbind(const Groups& groups, Index batch, const Tensor<T>& sums, T* work) const {
    struct Run {  // terms of one key whose sums lie side by side
      Index lane, lanes, key;
      const T* sums;
    };
    std::vector<Run> runs;
    for (Index lane = 0; lane < W;) {
      const Index term =
          std::min(batch * W + lane, groups.used * groups.pairs - 1);  // rest: unused
      const Index pair = term % groups.pairs;
      const Index count = std::min({W - lane, groups.pairs - pair, W - pair % W});
      runs.push_back({lane, count, term / groups.pairs, sums.data() + place(pair, 0)});
      lane += count;
    }
    for (Index f = 0; f < size(); ++f)
      for (const Run& run : runs) {
        const T* const key = spectra_.data() + 2 * (f * R_ + run.key);
        const T* const V = run.sums + f * 2 * W;
        T* const to = work + f * 2 * W + run.lane;
        for (Index l = 0; l < run.lanes; ++l) {
          to[l] = V[l] * key[0] + V[l + W] * key[1];
          to[l + W] = V[l + W] * key[0] - V[l] * key[1];
        }
      }
  }

  kernel::Fft<T> plan_;
  Index R_;
  Tensor<T> spectra_;  // (n, R, 2), over n, at the positions of plan_
};

/// The keys that were used last, so that they are drawn once a run. Copies share them. A cache is
/// no state of a codec: seed and sizes determine the keys.
class C3KeyCache {
 public:
  /// Keys for n values from `seed`, drawn if they are not there.
  template <std::floating_point T>
  const C3Keys<T>& get(Index ratio, Index n, std::uint64_t seed, bool unitary) {
    auto& kept = std::get<std::vector<Entry<T>>>(kept_);
    const Recipe wanted{ratio, n, seed, unitary};
    const auto found = std::ranges::find(kept, wanted, &Entry<T>::recipe);
    if (found != kept.end()) {
      std::rotate(kept.begin(), found, found + 1);
    } else {
      const Tensor<double> drawn = draw_c3_keys(ratio, n, seed);
      if (kept.size() == most) kept.pop_back();
      kept.insert(kept.begin(), {wanted, std::make_shared<const C3Keys<T>>(drawn.view(), unitary)});
    }
    return *kept.front().keys;
  }

 private:
  static constexpr std::size_t most = 4;  // different n in a run: a few, whatever a peer sends

  using Recipe = std::tuple<Index, Index, std::uint64_t, bool>;
  template <class T>
  struct Entry {
    Recipe recipe;
    std::shared_ptr<const C3Keys<T>> keys;
  };
  std::tuple<std::vector<Entry<float>>, std::vector<Entry<double>>> kept_;  // last used first
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
