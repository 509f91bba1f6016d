// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>     // same_as
#include <type_traits>  // is_arithmetic_v

#include <splitvit/kernel/simd.hpp>  // exp, multiply_add

// The exponential of numbers that are not positive, as softmax and GELU need it.

namespace splitvit::kernel {

/// exp(x) for x <= 0, NaN for NaN. T is the element type of P.
///
/// In float: a polynomial, accurate to 2 units in the last place, and zero below x = -86; half the
/// instructions of the general function. In double: the function of xsimd or the standard library.
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

}  // namespace splitvit::kernel
