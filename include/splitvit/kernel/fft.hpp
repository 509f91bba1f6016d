// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <numbers>    // pi

#include <splitvit/core/shape.hpp>   // Index
#include <splitvit/kernel/simd.hpp>  // lanes, load, multiply_add, Pack, store

namespace splitvit::inline SPLITVIT_BUILD::kernel {

struct UnitRoot {
  double cosine;
  double sine;
};

/// The point at k / n of a full turn, to a few units in the last place; exact at quarters of a
/// turn. The same bits on every machine. k >= 0, n from 1 to 2^53 - 1.
inline UnitRoot unit_root(Index k, Index n) {
  // k / n = (eighth + rest) / 8 with rest in [0, 1); odd eighths are counted from their end.
  const Index turned = k % n * 8;
  const Index eighth = turned / n;
  const Index left = eighth % 2 == 0 ? turned % n : n - turned % n;
  const double x = std::numbers::pi / 4 * (static_cast<double>(left) / static_cast<double>(n));

  // Taylor series; the first term left out is below 2^-58.
  const double square = x * x;
  double cosine = 1, sine = 1;
  for (int i = 16; i > 0; i -= 2) {
    cosine = 1 - square / (i * (i - 1)) * cosine;
    sine = 1 - square / (i * (i + 1)) * sine;
  }
  sine *= x;
  if ((eighth + 1) % 4 >= 2) std::swap(cosine, sine);
  return {eighth >= 2 && eighth < 6 ? -cosine : cosine, eighth >= 4 ? -sine : sine};
}

/// The number of transforms that run side by side: at least as many as one instruction computes.
template <class T>
inline constexpr Index fft_lanes = lanes<T> > 8 ? lanes<T> : 8;

/// A plan for discrete Fourier transforms of any length n, several side by side.
///
///   forward  X[k] = sum over t of x[t] exp(-2 pi i k t / n), for k and t in 0..n-1
///   inverse  x[t] = sum over k of X[k] exp(+2 pi i k t / n): n times the input
///
/// X[k] lies at `position(k)`. This order needs no sorting.
///
/// Shapes  numbers (n, 2, fft_lanes): for each point the real parts of all lanes, then the
///         imaginary parts. Bits depend on whether multiply_add rounds once, not on lanes.
/// Errors  std::invalid_argument for n < 1.
/// Cost    n times the sum of n's prime factors.
/// Source  Cooley and Tukey, "An algorithm for the machine calculation of complex Fourier
///         series", 1965.
template <std::floating_point T>
class Fft {
 public:
  explicit Fft(Index n) : n_{n} {
    if (n < 1) throw std::invalid_argument("Fft: length " + std::to_string(n));
    // Large radices first: the remaining length is small and fits into the first-level cache.
    std::vector<Index> radices;
    Index rest = n, twos = 0;
    for (; rest % 2 == 0; rest /= 2) ++twos;
    for (Index p = 3; rest > 1; p += 2) {
      if (p * p > rest) p = rest;  // a prime
      for (; rest % p == 0; rest /= p) radices.insert(radices.begin(), p);
    }
    for (; twos > 1; twos -= 2) radices.push_back(4);
    if (twos == 1) radices.push_back(2);

    Index length = n;
    for (const Index p : radices) {
      passes_.push_back(Pass{p, length});
      largest_ = std::max(largest_, p);
      length /= p;
    }
  }

  Index size() const { return n_; }

  Index position(Index k) const {
    Index place = 0;
    for (const Pass& pass : passes_) {
      place += k % pass.radix * pass.columns;
      k /= pass.radix;
    }
    return place;
  }

  void forward(T* x) const { transform<true>(x); }
  void inverse(T* x) const { transform<false>(x); }

 private:
  using P = Pack<T>;
  static constexpr Index W = fft_lanes<T>;

  /// Splits blocks of `length` points into `radix` blocks of `columns` points.
  struct Pass {
    Pass(Index p, Index length) : radix{p}, columns{length / p} {
      twiddles.reserve(static_cast<std::size_t>(2 * (p - 1) * columns));
      for (Index j = 0; j < columns; ++j)
        for (Index k = 1; k < p; ++k) append(twiddles, unit_root(j * k, length));
      for (Index k = 0; k < p; ++k) append(roots, unit_root(k, p));
    }
    static void append(std::vector<T>& table, const UnitRoot& root) {
      table.push_back(static_cast<T>(root.cosine));
      table.push_back(static_cast<T>(root.sine));
    }
    Index radix;
    Index columns;
    std::vector<T> twiddles;  // (columns, radix - 1, 2): exp(2 pi i j k / length), k >= 1
    std::vector<T> roots;     // (radix, 2): exp(2 pi i k / radix)
  };

  struct Complex {
    P re, im;
    friend Complex operator+(const Complex& a, const Complex& b) {
      return {a.re + b.re, a.im + b.im};
    }
    friend Complex operator-(const Complex& a, const Complex& b) {
      return {a.re - b.re, a.im - b.im};
    }
  };
  static Complex take(const T* from) { return {load<T>(from), load<T>(from + W)}; }
  static void put(T* to, const Complex& z) {
    store<T>(to, z.re);
    store<T>(to + W, z.im);
  }
  /// z times the root w, conjugated in the forward direction.
  template <bool forwards>
  static Complex turn(const Complex& z, const T* w) {
    const P c(w[0]), s(forwards ? -w[1] : w[1]), back(forwards ? w[1] : -w[1]);
    return {multiply_add(z.re, c, z.im * back), multiply_add(z.re, s, z.im * c)};
  }
  /// The inverse multiplies by roots what it reads, the forward transform what it writes.
  template <bool forwards>
  static Complex take_turned(const T* from, const T* w) {
    return forwards ? take(from) : turn<false>(take(from), w);
  }
  template <bool forwards>
  static void put_turned(T* to, const Complex& z, const T* w) {
    put(to, forwards ? turn<true>(z, w) : z);
  }
  /// i z, or -i z in the forward direction.
  template <bool forwards>
  static Complex quarter(const Complex& z) {
    return forwards ? Complex{z.im, P(T{0}) - z.re} : Complex{P(T{0}) - z.im, z.re};
  }

  template <bool forwards>
  void transform(T* x) const {
    std::vector<T> scratch(static_cast<std::size_t>(2 * W * (largest_ + 1)));
    run_from<forwards>(0, x, scratch.data());
  }

  /// Forward: a pass, then each of its blocks by itself. Inverse: the same steps backwards.
  template <bool forwards>
  void run_from(std::size_t depth, T* x, T* scratch) const {
    if (depth == passes_.size()) return;
    const Pass& pass = passes_[depth];
    if (forwards) run<true>(pass, x, scratch);
    if (pass.columns > 1)
      for (Index k = 0; k < pass.radix; ++k)
        run_from<forwards>(depth + 1, x + k * pass.columns * 2 * W, scratch);
    if (!forwards) run<false>(pass, x, scratch);
  }

  /// The butterflies of all columns of a block.
  template <bool forwards>
  static void run(const Pass& pass, T* x, T* scratch) {
    const Index step = pass.columns * 2 * W;  // from one point of a column to the next
    for (Index j = 0; j < pass.columns; ++j) {
      const T* const w = pass.twiddles.data() + 2 * j * (pass.radix - 1);
      for (Index lane = 0; lane < W; lane += lanes<T>) {
        T* const column = x + j * 2 * W + lane;
        if (pass.radix == 2)
          two<forwards>(column, step, w);
        else if (pass.radix == 4)
          four<forwards>(column, step, w);
        else
          odd<forwards>(pass, column, step, w, scratch);
      }
    }
  }

  template <bool forwards>
  static void two(T* x, Index step, const T* w) {
    const Complex a = take(x), b = take_turned<forwards>(x + step, w);
    put(x, a + b);
    put_turned<forwards>(x + step, a - b, w);
  }

  template <bool forwards>
  static void four(T* x, Index step, const T* w) {
    const Complex a = take(x), b = take_turned<forwards>(x + step, w);
    const Complex c = take_turned<forwards>(x + 2 * step, w + 2);
    const Complex d = take_turned<forwards>(x + 3 * step, w + 4);
    const Complex even = a + c, odd = a - c, sum = b + d, turned = quarter<forwards>(b - d);
    put(x, even + sum);
    put_turned<forwards>(x + step, odd + turned, w);
    put_turned<forwards>(x + 2 * step, even - sum, w + 2);
    put_turned<forwards>(x + 3 * step, odd - turned, w + 4);
  }

  /// For a radix p, x_a and x_(p-a) are multiplied by the same cosine and opposite sines, so they
  /// are added and subtracted first: outputs k and p - k are the sum and difference of two sums.
  template <bool forwards>
  static void odd(const Pass& pass, T* x, Index step, const T* w, T* scratch) {
    constexpr Index V = lanes<T>;
    const Index p = pass.radix, half = (p - 1) / 2;
    const Complex first = take(x);
    Complex total = first;
    for (Index a = 1; a <= half; ++a) {
      const Complex low = take_turned<forwards>(x + a * step, w + 2 * (a - 1));
      const Complex high = take_turned<forwards>(x + (p - a) * step, w + 2 * (p - a - 1));
      const Complex sum = low + high, gap = low - high;
      total = total + sum;
      T* const pair = scratch + (a - 1) * 4 * V;
      store<T>(pair, sum.re);
      store<T>(pair + V, sum.im);
      store<T>(pair + 2 * V, gap.re);
      store<T>(pair + 3 * V, gap.im);
    }
    put(x, total);
    Index k = 1;
    for (; k + 3 <= half; k += 4) odd_outputs<forwards, 4>(pass, x, step, w, first, scratch, k);
    for (; k <= half; ++k) odd_outputs<forwards, 1>(pass, x, step, w, first, scratch, k);
  }

  /// Outputs k0, k0 + 1, ... and p - k0, ...: several at once, since each reads all pairs.
  template <bool forwards, std::size_t count>
  static void odd_outputs(const Pass& pass, T* x, Index step, const T* w, const Complex& first,
                          const T* pair, Index k0) {
    constexpr Index V = lanes<T>;
    const Index p = pass.radix, half = (p - 1) / 2;
    std::array<Complex, count> even, uneven;
    even.fill(first);
    uneven.fill({P(T{0}), P(T{0})});
    std::array<Index, count> turned{};  // a k mod p
    for (Index a = 1; a <= half; ++a, pair += 4 * V) {
      const Complex sum = {load<T>(pair), load<T>(pair + V)};
      const Complex gap = {load<T>(pair + 2 * V), load<T>(pair + 3 * V)};
      for (std::size_t i = 0; i < count; ++i) {
        turned[i] += k0 + static_cast<Index>(i);
        turned[i] -= turned[i] >= p ? p : 0;
        const T* const root = pass.roots.data() + 2 * turned[i];
        const P c(root[0]), s(root[1]);
        even[i] = {multiply_add(c, sum.re, even[i].re), multiply_add(c, sum.im, even[i].im)};
        uneven[i] = {multiply_add(s, gap.re, uneven[i].re), multiply_add(s, gap.im, uneven[i].im)};
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      const Index k = k0 + static_cast<Index>(i);
      const Complex gap = quarter<forwards>(uneven[i]);
      put_turned<forwards>(x + k * step, even[i] + gap, w + 2 * (k - 1));
      put_turned<forwards>(x + (p - k) * step, even[i] - gap, w + 2 * (p - k - 1));
    }
  }

  Index n_;
  Index largest_ = 2;
  std::vector<Pass> passes_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
