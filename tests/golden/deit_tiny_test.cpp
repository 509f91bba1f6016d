// SPDX-License-Identifier: MIT
// A model of DeiT-Tiny's size against PyTorch. Its parameters come from a formula, and large
// tensors are stored as samples and sums. Any deit_tiny* file in the format of the README is run.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <splitvit/nn/cut.hpp>

#include "golden/whole_vit.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"

namespace splitvit {
namespace {

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
std::string difference(const golden::File& file, const std::string& what, const Tensor<T>& ours,
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
  const std::string wrong = golden::difference(text + "/stats", own_stats, wanted, {.atol = rtol});
  // The largest element is not stored; ours stands for it.
  return !wrong.empty()
             ? wrong
             : golden::difference(text + "/sample", own_sample, sample, {.atol = rtol * largest});
}

template <class T>
void check_file(const std::string& name) {
  const golden::File file{name};
  INFO(name);
  const nn::VitConfig config = golden::config_of(file);
  const auto seed = static_cast<std::uint64_t>(file.integer("fill_seed"));
  const std::vector<Index> target = file.indices("target");

  // 1. The filler.
  const auto images = filled<T>(
      "input", {static_cast<Index>(target.size()), config.channels, config.image, config.image},
      2.0, 0.0, seed);
  CHECK(difference(file, "input", images, 1e-12) == "");
  const nn::Vit<T> vit{config};
  for (const auto& [key, parameter] : nn::parameters<T>(vit)) {
    parameter.mutable_value() = filled_parameter<T>(key, parameter.shape(), seed);
    CHECK(difference(file, "param." + key, parameter.value(), 1e-12) == "");
  }

  // 2. The model.
  const auto out = golden::run(vit, images, std::span<const Index>{target});
  const auto close = golden::activation_tolerance<T>();
  CHECK(file.compare("f64/logits", out.logits, close) == "");
  CHECK(file.compare("f64/loss", out.loss, close) == "");
  for (const auto& [stage, value] : out.stages)
    CHECK(difference(file, "f64/" + stage, value, close.rtol) == "");
  const Tensor<T> cls = cls_token(Variable<T>{out.stages.back().second}).value();
  CHECK(file.compare("f64/cls_out", cls, close) == "");
  if constexpr (std::same_as<T, float>) {
    CHECK(file.compare("f32/logits", out.logits, close) == "");
    CHECK(file.compare("f32/loss", out.loss, close) == "");
    CHECK(file.compare("f32/cls_out", cls, close) == "");
  }

  // 3. Its gradients; some are stored complete, rounded to float.
  const double allowed = golden::gradient_tolerance<T>().rtol;
  for (const auto& [key, parameter] : nn::parameters<T>(vit)) {
    CHECK(difference(file, "f64/grad." + key, parameter.gradient(), allowed) == "");
    if (file.has("f64/gradfull." + key))
      CHECK(file.compare("f64/gradfull." + key, parameter.gradient(),
                         {.rtol = std::max(allowed, 1e-7)}) == "");
  }
}

template <class T>
void check_files() {
  const auto names = golden::files("deit_tiny");
  REQUIRE(std::ranges::count(names, "deit_tiny") == 1);
  for (const std::string& name : names) check_file<T>(name);
}

}  // namespace

TEST_CASE("golden: the filler gives the README's numbers", "[golden][deit_tiny]") {
  const auto input = filled<float>("input", {3}, 2.0, 0.0, 0);
  CHECK(input[0] == 1.5985107421875f);
  CHECK(input[1] == -1.7950439453125f);
  CHECK(input[2] == 0.08282470703125f);
  const auto cls = filled_parameter<double>("cls_token", {1, 1, 2}, 0);
  CHECK(cls[0] == -0.2635650634765625);
  CHECK(cls[1] == -0.2752532958984375);
  const auto norm = filled_parameter<double>("norm.weight", {2}, 0);
  CHECK(norm[0] == 1.0712509155273438);
  CHECK(norm[1] == 0.9411201477050781);
}

TEST_CASE("golden: DeiT-Tiny's size in double", "[golden][deit_tiny]") { check_files<double>(); }

TEST_CASE("golden: DeiT-Tiny's size in float", "[golden][deit_tiny]") { check_files<float>(); }

}  // namespace splitvit
