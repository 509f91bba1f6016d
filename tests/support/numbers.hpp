// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>         // equal, max, ranges::sort, ranges::stable_sort
#include <cmath>             // abs, isfinite, sqrt
#include <concepts>          // floating_point
#include <cstdint>           // uint32_t
#include <cstring>           // memcmp
#include <initializer_list>  // initializer_list
#include <limits>            // numeric_limits
#include <numeric>           // iota
#include <span>              // span
#include <string>            // string
#include <vector>            // vector

#include <splitvit/core/random.hpp>    // Rng
#include <splitvit/tensor/tensor.hpp>  // Tensor

// Drawn numbers, and how far two sets of numbers are apart.

namespace splitvit::test {

/// The gap between 1 and the next number: the unit in which tolerances are stated.
template <std::floating_point T>
inline constexpr double unit = static_cast<double>(std::numeric_limits<T>::epsilon());

inline std::size_t at(Index i) { return static_cast<std::size_t>(i); }

/// n normal numbers.
template <std::floating_point T>
std::vector<T> drawn_vector(Index n, Rng& rng) {
  std::vector<T> out(at(n));
  for (T& value : out) value = static_cast<T>(rng.normal());
  return out;
}

template <std::floating_point T>
Tensor<T> drawn(const Shape& shape, Rng& rng) {
  return {shape, drawn_vector<T>(shape.elements(), rng)};
}

/// Where the k largest magnitudes are, of equal ones the first, found by sorting; ascending.
template <class T>
std::vector<std::uint32_t> largest_by_sorting(std::span<const T> values, std::size_t k) {
  std::vector<std::uint32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::stable_sort(
      order, [&](auto a, auto b) { return std::abs(values[a]) > std::abs(values[b]); });
  order.resize(k);
  std::ranges::sort(order);
  return order;
}

/// The same numbers in another precision.
template <std::floating_point To, std::floating_point From>
Tensor<To> as(const Tensor<From>& x) {
  Tensor<To> out{x.shape()};
  for (Index i = 0; i < x.size(); ++i) out[i] = static_cast<To>(x[i]);
  return out;
}

template <class T>
Tensor<T> tensor(const Shape& shape, std::initializer_list<T> values) {
  return {shape, std::span<const T>{values.begin(), values.size()}};
}

/// The largest |a_i - b_i| over max(1, largest |b_i|); infinite where they cannot be compared.
template <class A, class B>
double apart(std::span<const A> a, std::span<const B> b) {
  constexpr double never = std::numeric_limits<double>::infinity();
  if (a.size() != b.size()) return never;
  double largest = 1, difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto ours = static_cast<double>(a[i]), theirs = static_cast<double>(b[i]);
    if (!std::isfinite(ours) || !std::isfinite(theirs)) return never;
    largest = std::max(largest, std::abs(theirs));
    difference = std::max(difference, std::abs(ours - theirs));
  }
  return difference / largest;
}
template <class A, class B>
double apart(const std::vector<A>& a, const std::vector<B>& b) {
  return apart(std::span<const A>{a}, std::span<const B>{b});
}
template <class A, class B>
double apart(const Tensor<A>& a, const Tensor<B>& b) {
  if (a.shape() != b.shape()) return std::numeric_limits<double>::infinity();
  return apart(a.span(), b.span());
}

/// The Euclidean norm of a - b over that of b.
template <class T>
double relative_error(std::span<const T> a, std::span<const T> b) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const auto theirs = static_cast<double>(b[i]);
    const double off = static_cast<double>(a[i]) - theirs;
    difference += off * off;
    size += theirs * theirs;
  }
  return std::sqrt(difference / size);
}

/// Whether two sets of numbers have the same bits.
template <class T>
bool equal_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}
template <class T>
bool equal_bits(const Tensor<T>& a, const Tensor<T>& b) {
  return a.shape() == b.shape() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.span().size_bytes()) == 0);
}

/// The text of the error that `work` throws; empty if it throws none of this type.
template <class Error, class Work>
std::string text_of(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace splitvit::test
