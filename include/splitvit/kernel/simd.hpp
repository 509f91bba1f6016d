// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // max_element, copy_n, fill
#include <cmath>       // abs, copysign, erf, exp, sqrt
#include <functional>  // identity

#ifndef SPLITVIT_USE_XSIMD
#define SPLITVIT_USE_XSIMD 0
#endif

#if SPLITVIT_USE_XSIMD
#include <xsimd/xsimd.hpp>
#endif

#include <splitvit/core/shape.hpp>  // Index

// Pack: the numbers that one instruction handles. This is the only header that names xsimd; without
// it a Pack is one number, and the same kernels compile to plain code.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

#if SPLITVIT_USE_XSIMD
template <class T>
using Pack = xsimd::batch<T>;
template <class T>
inline constexpr Index lanes = static_cast<Index>(Pack<T>::size);
namespace detail {
namespace math = xsimd;
}
#else
template <class T>
using Pack = T;
template <class T>
inline constexpr Index lanes = 1;
namespace detail {
namespace math = std;
}
#endif

/// The instruction set that kernels were compiled for, for benchmark headers.
inline const char* instruction_set() {
#if SPLITVIT_USE_XSIMD
  return xsimd::default_arch::name();
#else
  return "scalar";
#endif
}

template <class T>
Pack<T> load(const T* from) {
  if constexpr (std::is_arithmetic_v<Pack<T>>)
    return *from;
  else
    return Pack<T>::load_unaligned(from);
}

template <class T>
void store(T* to, const Pack<T>& pack) {
  if constexpr (std::is_arithmetic_v<Pack<T>>)
    *to = pack;
  else
    pack.store_unaligned(to);
}

/// The numbers of a Pack.
template <class T>
using Lanes = std::array<T, static_cast<std::size_t>(lanes<T>)>;

/// The first `count` numbers, then `fill`; a count of 0 reads nothing.
template <class T>
Pack<T> load_part(const T* from, Index count, T fill) {
  Lanes<T> all;
  all.fill(fill);
  std::copy_n(from, count, all.begin());
  return load(all.data());
}

template <class T>
void store_part(T* to, const Pack<T>& pack, Index count) {
  Lanes<T> all;
  store(all.data(), pack);
  std::copy_n(all.begin(), count, to);
}

/// Prefetches memory that will be read. Without the empty assembly g++ 12 removes the calls.
inline void prefetch(const void* address) {
  __builtin_prefetch(address);
  asm volatile("");
}

/// The same pointer, which the compiler keeps instead of computing it again.
template <class T>
const T* opaque(const T* pointer) {
  asm("" : "+r"(pointer));
  return pointer;
}

using detail::math::erf;
using detail::math::exp;

namespace detail {
// xsimd 8.1 takes two instructions to multiply and add with AVX-512: half the speed. The functions
// without arguments declare the names in every build.
void fused();
void first_guess();
void exact_quotient();
void exact_root();
#if SPLITVIT_USE_XSIMD && defined(__AVX512F__)
inline __m512 fused(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(a, b, c); }
inline __m512d fused(__m512d a, __m512d b, __m512d c) { return _mm512_fmadd_pd(a, b, c); }
inline __m512 first_guess(__m512 x) { return _mm512_rcp14_ps(x); }  // accurate to 14 bits
#endif
#if SPLITVIT_USE_XSIMD && defined(__FMA__)
inline __m256 fused(__m256 a, __m256 b, __m256 c) { return _mm256_fmadd_ps(a, b, c); }
inline __m256d fused(__m256d a, __m256d b, __m256d c) { return _mm256_fmadd_pd(a, b, c); }
#endif
#if SPLITVIT_USE_XSIMD && defined(__aarch64__)  // where xsimd only estimates both
inline float32x4_t exact_quotient(float32x4_t a, float32x4_t b) { return vdivq_f32(a, b); }
inline float32x4_t exact_root(float32x4_t x) { return vsqrtq_f32(x); }
#endif
}  // namespace detail

/// a / b, rounded as IEEE 754 asks.
template <class P>
P quotient(const P& a, const P& b) {
  if constexpr (requires { detail::exact_quotient(a.data, b.data); })
    return detail::exact_quotient(a.data, b.data);
  else
    return a / b;
}

/// The square root, rounded likewise.
template <class P>
P sqrt(const P& x) {
  if constexpr (requires { detail::exact_root(x.data); })
    return detail::exact_root(x.data);
  else
    return detail::math::sqrt(x);
}

/// a * b + c, rounded once where an instruction does that (AVX-512, AVX2 with FMA), else twice.
template <class P>
P multiply_add(const P& a, const P& b, const P& c) {
  if constexpr (requires { detail::fused(a.data, b.data, c.data); })
    return detail::fused(a.data, b.data, c.data);
  else
    return a * b + c;
}

/// The same; with AVX2 by the form of the instruction that overwrites c. With the other forms g++
/// 12 copies packs in a loop that needs all 16 registers. AVX-512 has 32.
template <class T>
Pack<T> multiply_add_in_place(const Pack<T>& a, const Pack<T>& b, const Pack<T>& c) {
#if SPLITVIT_USE_XSIMD && defined(__FMA__) && !defined(__AVX512F__)
  auto sum = c.data;  // AT&T's notation, and Intel's for -masm=intel
  if constexpr (sizeof(T) == 4)
    asm("{vfmadd231ps %2, %1, %0|vfmadd231ps %0, %1, %2}" : "+x"(sum) : "x"(b.data), "x"(a.data));
  else
    asm("{vfmadd231pd %2, %1, %0|vfmadd231pd %0, %1, %2}" : "+x"(sum) : "x"(b.data), "x"(a.data));
  return sum;
#else
  return multiply_add(a, b, c);
#endif
}

/// The same with a in memory: one instruction with AVX-512, not two, even if a is used twice.
template <class T>
Pack<T> multiply_add_at(const T* a, const Pack<T>& b, const Pack<T>& c) {
#if SPLITVIT_USE_XSIMD && defined(__AVX512F__)
  static_assert(sizeof(Pack<T>) == 64);
  auto sum = c.data;
  if constexpr (sizeof(T) == 4)
    asm("{vfmadd231ps %2%{1to16%}, %1, %0|vfmadd231ps %0, %1, %2%{1to16%}}"
        : "+v"(sum)
        : "v"(b.data), "m"(*a));
  else
    asm("{vfmadd231pd %2%{1to8%}, %1, %0|vfmadd231pd %0, %1, %2%{1to8%}}"
        : "+v"(sum)
        : "v"(b.data), "m"(*a));
  return sum;
#else
  return multiply_add_in_place<T>(Pack<T>(*a), b, c);
#endif
}

template <class T>
Pack<T> spread(const T& number) {
  return Pack<T>(number);
}

/// 1 / x for normal x, accurate to 2 units in the last place: an estimate and a Newton step if the
/// processor has an estimate, which is faster than a division.
template <class P>
P inverse_of(const P& x) {
  if constexpr (requires { detail::first_guess(x.data); }) {
    const P guess = detail::first_guess(x.data);
    return multiply_add(guess, multiply_add(-x, guess, P(1)), guess);
  } else {
    return quotient(P(1), x);
  }
}

template <class P>
P absolute(const P& x) {
  return detail::math::abs(x);
}

/// |x| with the sign of `sign`, for x >= 0.
template <class P>
P with_sign_of(const P& sign, const P& x) {
  return detail::math::copysign(x, sign);
}

/// yes where a < b, else no.
template <class P>
P if_smaller(const P& a, const P& b, const P& yes, const P& no) {
  if constexpr (std::is_arithmetic_v<P>)
    return a < b ? yes : no;
  else
    return select(a < b, yes, no);  // of xsimd, by argument-dependent lookup
}

/// The smaller of two numbers. If b is NaN, so is the result.
template <class P>
P smaller(const P& a, const P& b) {
  if constexpr (std::is_arithmetic_v<P>)
    return a < b ? a : b;
  else
    return detail::math::min(a, b);
}

/// The larger of two numbers. If b is NaN, so is the result.
template <class P>
P larger(const P& a, const P& b) {
  if constexpr (std::is_arithmetic_v<P>)
    return a > b ? a : b;
  else
    return detail::math::max(a, b);
}

/// exp(x) for x <= 0, NaN for NaN. T is the element type of P. In float a polynomial, accurate to 2
/// units in the last place, and zero below x = -86: half the instructions of the general function.
template <class T, class P>
P exp_of_nonpositive(const P& x) {
#if SPLITVIT_USE_XSIMD
  if constexpr (std::same_as<T, float> && !std::is_arithmetic_v<P>) {
    // x = n ln 2 + r with |r| <= ln 2 / 2, in which ln 2 has two parts; adding 1.5 * 2^23 rounds.
    // The order of the arguments keeps NaN.
    const P bounded = larger(P(-86.0f), x);
    const P magic(12582912.0f);
    const P n = multiply_add(bounded, P(1.44269504f), magic) - magic;
    const P r = multiply_add(n, P(2.12194440e-4f), multiply_add(n, P(-0.693359375f), bounded));
    // exp(r) = 1 + r + r^2 q(r), by its series; the error is below 1e-8
    P q(1.9841270e-4f);
    q = multiply_add(q, r, P(1.3888889e-3f));
    q = multiply_add(q, r, P(8.3333333e-3f));
    q = multiply_add(q, r, P(4.1666667e-2f));
    q = multiply_add(q, r, P(1.6666667e-1f));
    q = multiply_add(q, r, P(0.5f));
    const P near_one = multiply_add(q, r * r, r) + P(1.0f);
    return if_smaller(x, P(-86.0f), P(0.0f), xsimd::ldexp(near_one, xsimd::to_int(n)));
  }
#endif
  // Bounded, since xsimd converts any argument to an integer. The result is zero anyway.
  return exp(if_smaller(x, P(T(-1000)), P(T(-1000)), x));
}

/// The sum of the lanes, pairwise: the same order with every version of xsimd.
template <class T>
T sum_lanes(const Pack<T>& pack) {
  Lanes<T> all;
  store(all.data(), pack);
  for (std::size_t half = all.size() / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) all[i] += all[i + half];
  return all[0];
}

/// y_i = f(x_i, ...) for i < n, where f works on packs. Inputs may be the output.
template <class T, class F, class... Inputs>
void transform(Index n, T* y, const F& f, const Inputs*... x) {
  Index i = 0;
  for (; i + lanes<T> <= n; i += lanes<T>) store<T>(y + i, f(load<T>(x + i)...));
  if (i < n) store_part<T>(y + i, f(load_part<T>(x + i, n - i, T{})...), n - i);
}

/// The sum of f(x_i, ...) for i < n. f must give 0 for the inputs 0 that fill the last pack.
template <class T, class F, class... Inputs>
T accumulate(Index n, const F& f, const Inputs*... x) {
  Pack<T> sum(T{});
  Index i = 0;
  for (; i + lanes<T> <= n; i += lanes<T>) sum = sum + f(load<T>(x + i)...);
  if (i < n) sum = sum + f(load_part<T>(x + i, n - i, T{})...);
  return sum_lanes<T>(sum);
}

/// The largest f(x_i) of n >= 1 numbers, where f works on packs.
template <class T, class F = std::identity>
T largest(const T* x, Index n, const F& f = {}) {
  Pack<T> most = f(Pack<T>(x[0]));
  Index i = 0;
  for (; i + lanes<T> <= n; i += lanes<T>) most = larger(most, Pack<T>(f(load<T>(x + i))));
  if (i < n) most = larger(most, Pack<T>(f(load_part<T>(x + i, n - i, x[0]))));
  Lanes<T> all;
  store(all.data(), most);
  return *std::max_element(all.begin(), all.end());
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
