// SPDX-License-Identifier: MIT
#pragma once

// SPLITVIT_BUILD: the instruction set and the libraries that a file is compiled for, as one name.
// Everything lives in an inline namespace of that name, so that files of one program that are
// compiled for different levels of the list below do not share functions of this library. They
// still share the standard library's, and cannot exchange this library's types or errors.

#ifndef SPLITVIT_USE_TBB
#define SPLITVIT_USE_TBB 0
#endif
#ifndef SPLITVIT_USE_XSIMD
#define SPLITVIT_USE_XSIMD 0
#endif

#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512BF16__) && \
    defined(__AMX_TILE__) && defined(__AMX_BF16__)
#define SPLITVIT_SIMD avx512_bf16_amx
#elif defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512BF16__)
#define SPLITVIT_SIMD avx512_bf16
#elif defined(__AVX512BW__) && defined(__AVX512DQ__)
#define SPLITVIT_SIMD avx512
#elif defined(__AVX512F__)
#define SPLITVIT_SIMD avx512f
#elif defined(__AVX2__) && defined(__FMA__)
#define SPLITVIT_SIMD avx2_fma
#elif defined(__AVX2__)
#define SPLITVIT_SIMD avx2
#elif defined(__AVX__) && defined(__FMA__)
#define SPLITVIT_SIMD avx_fma
#elif defined(__AVX__)
#define SPLITVIT_SIMD avx
#elif defined(__SSE4_2__)
#define SPLITVIT_SIMD sse4_2
#elif defined(__SSE4_1__)
#define SPLITVIT_SIMD sse4_1
#elif defined(__SSSE3__)
#define SPLITVIT_SIMD ssse3
#elif defined(__SSE3__)
#define SPLITVIT_SIMD sse3
#else
#define SPLITVIT_SIMD base
#endif

#define SPLITVIT_JOIN_NOW(simd, xsimd, tbb) simd##_xsimd##xsimd##_tbb##tbb
#define SPLITVIT_JOIN(simd, xsimd, tbb) SPLITVIT_JOIN_NOW(simd, xsimd, tbb)
/// For example avx512_xsimd1_tbb1.
#define SPLITVIT_BUILD SPLITVIT_JOIN(SPLITVIT_SIMD, SPLITVIT_USE_XSIMD, SPLITVIT_USE_TBB)

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ == 1)
#error "splitvit needs NaN and infinity, and the order of sums: compile without -ffast-math"
#endif
#ifndef __cpp_exceptions
#error "splitvit reports errors by exceptions: compile without -fno-exceptions"
#endif

// With SPLITVIT_SEPARATE 1, files do not compile what SPLITVIT_ONCE(...) names, the larger
// templates for float. One file of the program does, with SPLITVIT_SEPARATE_SOURCE 1, for the same
// instruction set and libraries: cmake/splitvit_separate.cpp. Member functions that this is for are
// defined outside of their classes: g++ compiles the others anyway, to be able to inline them.
#ifndef SPLITVIT_SEPARATE
#define SPLITVIT_SEPARATE 0
#endif
#ifndef SPLITVIT_SEPARATE_SOURCE
#define SPLITVIT_SEPARATE_SOURCE 0
#endif
#if SPLITVIT_SEPARATE_SOURCE
#define SPLITVIT_ONCE(...) template __VA_ARGS__
#elif SPLITVIT_SEPARATE
#define SPLITVIT_ONCE(...) extern template __VA_ARGS__
#else
#define SPLITVIT_ONCE(...) static_assert(true)
#endif

// Macros that some systems' headers define. They would change std::min and numeric_limits::max.
#undef min
#undef max
