// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n
#include <bit>        // bit_cast
#include <cmath>      // abs, copysign, fma

#include <splitvit/kernel/simd.hpp>  // lanes, Lanes, load, load_part, Pack, store

// BrainPair: two numbers in bfloat16, as products read them, and what simd.hpp has for numbers. The
// only header that names the instructions of AVX512_BF16.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

/// Two numbers in bfloat16, the upper half of a float, which a product multiplies and adds at once:
/// k and k + 1 of a row of A or of a column of B.
struct BrainPair {
  std::uint16_t first, second;
};
/// The numbers of a product's sum that one element holds.
template <class Stored>
inline constexpr Index terms = std::same_as<Stored, BrainPair> ? 2 : 1;

namespace detail {
/// Zero for a number below 2^-126.
inline float without_denormal(float x) {
  return std::abs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x;
}
}  // namespace detail

/// x in bfloat16, to nearest, halves to even: infinite from 3.3962e38 on; zero below 2^-126.
inline std::uint16_t brain_bits(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(detail::without_denormal(x));
  if ((bits & 0x7FFF'FFFFu) > 0x7F80'0000u) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

inline float brain_value(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

/// sum + a b of the second numbers, then of the first, each rounded once, to the bits of VDPBF16PS:
/// to nearest, numbers below 2^-126 being zero before and after, whatever the processor's state.
inline float add_pair(BrainPair a, BrainPair b, float sum) {
  using detail::without_denormal;
  const auto number = [](std::uint16_t bits) { return without_denormal(brain_value(bits)); };
  sum = without_denormal(std::fma(number(a.second), number(b.second), without_denormal(sum)));
  return without_denormal(std::fma(number(a.first), number(b.first), sum));
}

/// Pairs that one instruction handles. A build for AVX512_BF16 has that instruction; in others
/// plain code gives the same bits, slowly.
#if SPLITVIT_USE_XSIMD && defined(__AVX512BF16__) && defined(__AVX512BW__) && defined(__AVX512DQ__)
#define SPLITVIT_HAS_BRAIN_UNIT 1
#else
#define SPLITVIT_HAS_BRAIN_UNIT 0
#endif
#if SPLITVIT_HAS_BRAIN_UNIT
inline constexpr bool has_brain_unit = true;
struct PairPack {
  __m512i data;
};
inline PairPack load(const BrainPair* from) { return {_mm512_loadu_si512(from)}; }
inline void store(BrainPair* to, const PairPack& pack) { _mm512_storeu_si512(to, pack.data); }
inline PairPack spread(const BrainPair& pair) {
  return {_mm512_set1_epi32(std::bit_cast<int>(pair))};
}
inline Pack<float> multiply_add_in_place(const PairPack& a, const PairPack& b,
                                         const Pack<float>& c) {
#if defined(__clang__) && __clang_major__ >= 16 && __clang_major__ < 18
  // Its optimiser recurses without end where numbers that were shuffled become bfloat:
  // github.com/llvm/llvm-project/issues/68117
  auto sum = c.data;
  asm("{vdpbf16ps %2, %1, %0|vdpbf16ps %0, %1, %2}" : "+v"(sum) : "v"(b.data), "v"(a.data));
  return sum;
#else
  return _mm512_dpbf16_ps(c.data, (__m512bh)a.data, (__m512bh)b.data);
#endif
}
inline Pack<float> multiply_add_at(const BrainPair* a, const PairPack& b, const Pack<float>& c) {
  auto sum = c.data;
  asm("{vdpbf16ps %2%{1to16%}, %1, %0|vdpbf16ps %0, %1, %2%{1to16%}}"
      : "+v"(sum)
      : "v"(b.data), "m"(*a));
  return sum;
}
/// The pairs of neighbours: of `low`, then of `high`.
inline PairPack neighbours(const Pack<float>& low, const Pack<float>& high) {
  return {(__m512i)_mm512_cvtne2ps_pbh(high.data, low.data)};
}
/// The inverse, of numbers that are in bfloat16.
inline std::pair<Pack<float>, Pack<float>> widened(const PairPack& pack) {
  const auto half = [](__m256i bits) -> Pack<float> {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  };
  return {half(_mm512_castsi512_si256(pack.data)), half(_mm512_extracti64x4_epi64(pack.data, 1))};
}
/// The pairs (first_i, second_i).
inline PairPack interleaved(const Pack<float>& first, const Pack<float>& second) {
  const __m512i order = _mm512_setr_epi32(
      0x100000, 0x110001, 0x120002, 0x130003, 0x140004, 0x150005, 0x160006, 0x170007, 0x180008,
      0x190009, 0x1A000A, 0x1B000B, 0x1C000C, 0x1D000D, 0x1E000E, 0x1F000F);
  return {_mm512_permutexvar_epi16(order, neighbours(first, second).data)};
}
/// Number j of row i becomes number i of row j.
inline void transpose(std::array<PairPack, 16>& rows) {
  // Blocks of Step by Step numbers are exchanged between rows that are Step apart.
  const auto exchange = [&]<std::size_t Step>(std::integral_constant<std::size_t, Step>) {
    constexpr auto order = [](std::size_t low, std::size_t high) {
      std::array<std::int32_t, 16> from{};  // from 16 on: a number of the second row
      for (std::size_t i = 0; i < 16; ++i)
        from[i] = static_cast<std::int32_t>((i & Step) == 0 ? i + low : 16 + i - high);
      return from;
    };
    static constexpr auto first = order(0, Step), second = order(Step, 0);
    const __m512i to_first = _mm512_loadu_si512(first.data());
    const __m512i to_second = _mm512_loadu_si512(second.data());
    for (std::size_t i = 0; i < 16; ++i)
      if ((i & Step) == 0) {
        const __m512i a = rows[i].data, b = rows[i + Step].data;
        rows[i].data = _mm512_permutex2var_epi32(a, to_first, b);
        rows[i + Step].data = _mm512_permutex2var_epi32(a, to_second, b);
      }
  };
  exchange(std::integral_constant<std::size_t, 8>{});
  exchange(std::integral_constant<std::size_t, 4>{});
  exchange(std::integral_constant<std::size_t, 2>{});
  exchange(std::integral_constant<std::size_t, 1>{});
}
/// A Pack of the first `count` numbers and zeros behind them.
inline Pack<float> load_first(const float* from, Index count) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), from);
}
#else
inline constexpr bool has_brain_unit = false;
using PairPack = std::array<BrainPair, static_cast<std::size_t>(lanes<float>)>;
inline PairPack load(const BrainPair* from) {
  PairPack pack;
  std::copy_n(from, lanes<float>, pack.begin());
  return pack;
}
inline void store(BrainPair* to, const PairPack& pack) {
  std::copy_n(pack.begin(), lanes<float>, to);
}
inline PairPack spread(const BrainPair& pair) {
  PairPack pack;
  pack.fill(pair);
  return pack;
}
inline Pack<float> multiply_add_in_place(const PairPack& a, const PairPack& b,
                                         const Pack<float>& c) {
  Lanes<float> sums;
  store(sums.data(), c);
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = add_pair(a[i], b[i], sums[i]);
  return load(sums.data());
}
inline Pack<float> multiply_add_at(const BrainPair* a, const PairPack& b, const Pack<float>& c) {
  return multiply_add_in_place(spread(*a), b, c);
}
inline PairPack neighbours(const Pack<float>& low, const Pack<float>& high) {
  std::array<float, 2 * static_cast<std::size_t>(lanes<float>)> all;
  store(all.data(), low);
  store(all.data() + lanes<float>, high);
  PairPack pack;
  for (std::size_t i = 0; i < pack.size(); ++i)
    pack[i] = {brain_bits(all[2 * i]), brain_bits(all[2 * i + 1])};
  return pack;
}
inline std::pair<Pack<float>, Pack<float>> widened(const PairPack& pack) {
  std::array<float, 2 * static_cast<std::size_t>(lanes<float>)> all;
  for (std::size_t i = 0; i < pack.size(); ++i) {
    all[2 * i] = brain_value(pack[i].first);
    all[2 * i + 1] = brain_value(pack[i].second);
  }
  return {load(all.data()), load(all.data() + lanes<float>)};
}
inline PairPack interleaved(const Pack<float>& first, const Pack<float>& second) {
  Lanes<float> a, b;
  store(a.data(), first);
  store(b.data(), second);
  PairPack pack;
  for (std::size_t i = 0; i < pack.size(); ++i) pack[i] = {brain_bits(a[i]), brain_bits(b[i])};
  return pack;
}
inline void transpose(std::array<PairPack, static_cast<std::size_t>(lanes<float>)>& rows) {
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) std::swap(rows[i][j], rows[j][i]);
}
inline Pack<float> load_first(const float* from, Index count) {
  return load_part(from, count, 0.0f);
}
#endif

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
