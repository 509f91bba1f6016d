// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <cmath>      // abs, sqrt
#include <cstdint>    // uint64_t
#include <string>     // string

#include <splitvit/tensor/tensor.hpp>  // Tensor

#include "support/golden.hpp"  // File, difference

// Tensors of large models: made by a formula, stored as samples and sums.

namespace splitvit::golden {

/// offset + amplitude u, with u in [-1, 1) from the tensor's name, the seed and the position.
template <class T>
Tensor<T> filled(const std::string& name, const Shape& shape, double amplitude, double offset,
                 std::uint64_t seed) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  Tensor<T> out{shape};
  for (Index i = 0; i < out.size(); ++i) {
    std::uint64_t z = (hash + seed + static_cast<std::uint64_t>(i) + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    const auto u = static_cast<double>((z ^ (z >> 31)) >> 48);
    out[i] = static_cast<T>(offset + amplitude * (u - 32768.0) / 32768.0);
  }
  return out;
}

template <class T>
Tensor<T> filled_parameter(const std::string& name, const Shape& shape, std::uint64_t seed) {
  if (name == "cls_token" || name == "pos_embed") return filled<T>(name, shape, 0.5, 0.0, seed);
  if (shape.rank() > 1)
    return filled<T>(name, shape, name.ends_with("qkv.weight") ? 0.125 : 0.0625, 0.0, seed);
  if (name.find("norm") != std::string::npos && name.ends_with("weight"))
    return filled<T>(name, shape, 0.125, 1.0, seed);
  return filled<T>(name, shape, 0.0625, 0.0, seed);
}

/// Compares a tensor with its stored sample and sums. Empty if they agree.
template <class T>
std::string sampled_difference(const File& file, const std::string& what, const Tensor<T>& ours,
                               double rtol) {
  const auto sample = file.get<double>(what + "/sample");
  const auto stats = file.get<double>(what + "/stats");
  const Index step = std::max<Index>(1, ours.size() / sample.size());
  Tensor<double> own_sample{sample.shape()}, own_stats{{3}};
  double largest = 0, squares = 0;
  for (Index i = 0; i < ours.size(); ++i) {
    const auto value = static_cast<double>(ours[i]);
    own_stats[0] += value;
    own_stats[1] += std::abs(value);
    squares += value * value;
    largest = std::max(largest, std::abs(value));
    if (i % step == 0 && i / step < sample.size()) own_sample[i / step] = value;
  }
  own_stats[2] = std::sqrt(squares);
  // Sums are compared in units of the sum of absolute values, since numbers may cancel.
  const double sum_unit = stats[1] > 0 ? stats[1] : 1, norm_unit = stats[2] > 0 ? stats[2] : 1;
  Tensor<double> wanted = stats;
  for (Tensor<double>* three : {&own_stats, &wanted}) {
    (*three)[0] /= sum_unit;
    (*three)[1] /= sum_unit;
    (*three)[2] /= norm_unit;
  }
  const std::string text = file.name() + ": " + what;
  const std::string wrong = difference(text + "/stats", own_stats, wanted, {.atol = rtol});
  // The largest element is not stored; ours stands for it.
  return !wrong.empty()
             ? wrong
             : difference(text + "/sample", own_sample, sample, {.atol = rtol * largest});
}

}  // namespace splitvit::golden
