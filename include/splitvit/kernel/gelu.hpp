// SPDX-License-Identifier: MIT
#pragma once

#include <numbers>  // sqrt2, inv_sqrtpi

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/kernel/simd.hpp>    // erf, exp_of_nonpositive, multiply_add, transform

// GELU in its exact form, x Phi(x) = x/2 (1 + erf(x / sqrt 2)), and its slope
// Phi(x) + x phi(x), with Phi and phi of the normal distribution.

namespace splitvit::inline SPLITVIT_BUILD::kernel {

inline constexpr Index gelu_grain = 1 << 14;

template <class P>
struct GeluParts {
  P cumulative;  ///< Phi(x)
  P density;     ///< phi(x)

  P value(const P& x) const { return x * cumulative; }
  P slope(const P& x) const { return multiply_add(x, density, cumulative); }
};

/// Both values from one exponential. In double Phi comes from erf. In float, to a unit in the last
/// place: near zero 1/2 + x q(x^2); else, for x < 0, exp(-x^2 / 2) times a polynomial in
/// t = 1 / (1 + 0.275 |x|), as Abramowitz and Stegun's 7.1.26 with one term more.
template <class T, class P>
GeluParts<P> gelu_parts(const P& x) {
  const auto number = [](double value) { return P(static_cast<T>(value)); };
  const P bell = exp_of_nonpositive<T>(x * x * number(-0.5));
  const P density = number(std::numbers::inv_sqrtpi / std::numbers::sqrt2) * bell;
  if constexpr (std::same_as<T, float>) {
    const P t = inverse_of(multiply_add(number(0.275), absolute(x), number(1.0)));
    P tail = number(-0.114885228);
    tail = multiply_add(tail, t, number(0.452103557));
    tail = multiply_add(tail, t, number(-0.331155843));
    tail = multiply_add(tail, t, number(0.334057311));
    tail = multiply_add(tail, t, number(0.0420636916));
    tail = multiply_add(tail, t, number(0.11781651));
    const P far = with_sign_of(x, number(0.5) - tail * t * bell);

    const P u = x * x;
    P q = number(-6.64003942e-06);
    q = multiply_add(q, u, number(1.10306921e-04));
    q = multiply_add(q, u, number(-1.1826778e-03));
    q = multiply_add(q, u, number(9.97147923e-03));
    q = multiply_add(q, u, number(-6.64899795e-02));
    q = multiply_add(q, u, number(3.98942258e-01));
    return {number(0.5) + if_smaller(u, number(1.5625), x * q, far), density};
  } else {
    const P half_erf = number(0.5) * erf(x * number(1 / std::numbers::sqrt2));
    return {number(0.5) + half_erf, density};
  }
}

/// The same of float, less exact, where a product rounds the results to bfloat16. Phi(x) - 1/2 and
/// slope - 1/2 are odd: x times a polynomial of x^2 up to |x| = 4.5, and beyond it what they are
/// there, 1/2. The polynomials are nearly those of the least largest error, in x^2 - 4.5^2 / 2.
///
/// The value is off by at most 2^-14, for x > -1 by 2^-12 of itself, the slope by 2^-13. For -inf
/// both are zero, as in the limit; NaN stays NaN.
template <class P>
class CoarseGelu {
 public:
  explicit CoarseGelu(const P& x)
      : above_{larger(P(-4.5f), x)},  // this order of the arguments keeps NaN
        x_{smaller(P(4.5f), above_)},
        square_{multiply_add(x_, x_, P(-10.125f))} {}

  P value(const P&) const {
    return above_ * half_and_odd(3.00000719e-11f, -8.53906668e-10f, 1.13917586e-08f,
                                 -1.57526202e-07f, 2.62599269e-06f, -3.90659407e-05f,
                                 5.34780265e-04f, -7.62197515e-03f, 1.56902000e-01f);
  }
  P slope(const P&) const {
    return half_and_odd(-2.21401994e-11f, 5.08399156e-10f, -4.18378798e-09f, 4.40688446e-08f,
                        -8.22196625e-07f, 1.00036859e-05f, -9.19848098e-05f, 8.40632827e-04f,
                        -8.88027716e-03f, 1.59445733e-01f);
  }

 private:
  P half_and_odd(float highest, auto... others) const {
    P sum(highest);
    ((sum = multiply_add(sum, square_, P(others))), ...);
    return multiply_add(sum, x_, P(0.5f));
  }

  P above_, x_, square_;
};

/// As exact as results need to be that a product reads as Stored (gemm.hpp).
template <class T, class Stored, class P>
auto gelu_for(const P& x) {
  if constexpr (std::same_as<T, Stored>)
    return gelu_parts<T>(x);
  else
    return CoarseGelu<P>{x};
}

/// y_i = gelu(x_i), on one thread, for a product that reads y as Stored.
template <class T, class Stored = T>
void gelu_values(const T* x, T* y, Index n) {
  transform<T>(n, y, [](const auto& v) { return gelu_for<T, Stored>(v).value(v); }, x);
}

/// y = gelu(x) and dx = dy gelu'(x), on one thread, for products that read both as Stored. dx may
/// be dy.
template <class T, class Stored = T>
void gelu_values_and_gradient(const T* x, const T* dy, T* y, T* dx, Index n) {
  const auto both = [](const Pack<T>& v, const Pack<T>& g, const auto& put) {
    const auto gelu = gelu_for<T, Stored>(v);
    put(gelu.value(v), g * gelu.slope(v));
  };
  Index i = 0;
  for (; i + lanes<T> <= n; i += lanes<T>)
    both(load<T>(x + i), load<T>(dy + i), [&](const Pack<T>& value, const Pack<T>& gradient) {
      store<T>(y + i, value);
      store<T>(dx + i, gradient);
    });
  if (i < n)
    both(load_part<T>(x + i, n - i, T{}), load_part<T>(dy + i, n - i, T{}),
         [&](const Pack<T>& value, const Pack<T>& gradient) {
           store_part<T>(y + i, value, n - i);
           store_part<T>(dx + i, gradient, n - i);
         });
}

template <class T>
void gelu_forward(const T* x, T* y, Index n) {
  parallel_for(n, gelu_grain,
               [&](Index begin, Index end) { gelu_values(x + begin, y + begin, end - begin); });
}

template <class T>
void gelu_backward(const T* x, const T* dy, T* dx, Index n) {
  parallel_for(n, gelu_grain, [&](Index begin, Index end) {
    transform<T>(
        end - begin, dx + begin,
        [](const auto& v, const auto& g) { return g * gelu_parts<T>(v).slope(v); }, x + begin,
        dy + begin);
  });
}

}  // namespace splitvit::inline SPLITVIT_BUILD::kernel
