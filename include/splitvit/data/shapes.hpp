// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, max, min
#include <array>      // array
#include <cmath>      // abs, atan2, cos, floor, hypot, lround, sin, sqrt
#include <cstddef>    // size_t
#include <cstdint>    // uint8_t, uint64_t
#include <numbers>    // pi
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <vector>     // vector

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/core/random.hpp>    // Rng
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/data/concepts.hpp>  // ImageSet, TrainTest
#include <splitvit/tensor/tensor.hpp>  // Tensor

// Drawn shapes: a data set that needs no download, made on the fly from a seed.

namespace splitvit::data {

/// The kinds that can be drawn; a kind's position is its label.
inline constexpr std::array<const char*, 10> shape_names = {
    "disc",    "cross", "stripes", "ring",   "triangle",
    "checker", "pair",  "star",    "square", "crescent"};

/// What make_shapes draws.
struct ShapesOptions {
  Index samples = 4000;       ///< for training, at least 1
  Index test_samples = 1000;  ///< at least 1
  Index classes = 8;          ///< 2 to 10: so many of shape_names
  Index image = 32;           ///< height and width in pixels, at least 8
  double noise = 0.02;        ///< deviation of each value, of a range of 1
  std::uint64_t seed = 0;
};

namespace detail {

/// A place in a shape's own coordinates: upright, and cut off by the unit circle.
struct Place {
  double u, v;
};

/// Whether a shape of this kind covers a place.
inline bool covers(Index kind, Place p) {
  const double radius = std::hypot(p.u, p.v);
  if (radius > 1.0) return false;
  const double x = std::abs(p.u);
  const double y = std::abs(p.v);
  const auto stripe = [](double at, double width) {
    return static_cast<Index>(std::floor(at / width)) % 2 == 0;
  };
  switch (kind) {
    case 0:  // disc
      return radius <= 0.85;
    case 1:  // cross
      return std::min(x, y) <= 0.26 && std::max(x, y) <= 0.95;
    case 2:  // stripes: three bars
      return std::max(x, y) <= 0.85 && stripe(p.u + 0.85, 0.34);
    case 3:  // ring
      return radius <= 0.95 && radius >= 0.5;
    case 4:  // triangle
      return p.v >= -0.5 && std::sqrt(3.0) * x + p.v <= 1.0;
    case 5:  // checker: three by three
      return std::max(x, y) <= 0.85 && stripe(p.u + 0.85, 0.5667) == stripe(p.v + 0.85, 0.5667);
    case 6:  // pair of discs
      return std::hypot(x - 0.52, p.v) <= 0.42;
    case 7: {  // star: five points; each tenth of the circle ends at one straight edge
      constexpr double tenth = std::numbers::pi / 5.0;
      constexpr double inner = 0.4;
      const double turn = std::abs(std::atan2(p.u, p.v)) / tenth;  // in tenths from a point
      const double fold = turn - 2.0 * std::floor(turn / 2.0);
      const double angle = tenth * std::min(fold, 2.0 - fold);
      // The edge runs from (1, 0) to inner * (cos, sin)(tenth); inside is where the origin is.
      const double ex = inner * std::cos(tenth) - 1.0;
      const double ey = inner * std::sin(tenth);
      return ex * (radius * std::sin(angle)) - ey * (radius * std::cos(angle) - 1.0) >= 0.0;
    }
    case 8:  // square
      return std::max(x, y) <= 0.72;
    default:  // crescent
      return radius <= 0.95 && std::hypot(p.u - 0.45, p.v) >= 0.7;
  }
}

using Colour = std::array<double, 3>;

/// A dark and a light colour, in either order: which of shape and ground is the brighter one is
/// a coin toss, so no pixel's value alone says anything about the kind.
inline std::array<Colour, 2> contrasting_colours(Rng& rng) {
  std::array<Colour, 2> colours{};
  const std::size_t dark = rng.uniform() < 0.5 ? 0 : 1;
  const double low = rng.uniform(0.15, 0.3);
  const double high = rng.uniform(0.7, 0.85);
  for (std::size_t c = 0; c < 3; ++c) {
    colours[dark][c] = low + rng.uniform(-0.1, 0.1);
    colours[1 - dark][c] = high + rng.uniform(-0.1, 0.1);
  }
  return colours;
}

/// A number with mean 0 and deviation 1 from the low 20 bits: the sum of two even ones.
/// Much cheaper than Rng::normal, and as good for a little noise.
inline double bell(std::uint64_t bits) {
  const auto sum = static_cast<double>((bits & 1023u) + ((bits >> 10) & 1023u));
  return (sum / 1023.0 - 1.0) * std::sqrt(6.0);
}

/// Draws one sample. Shapes  out (3, image, image).
inline void draw_shape(Index kind, Index image, double noise, Rng rng,
                       std::span<std::uint8_t> out) {
  constexpr int fine = 3;  // samples a pixel, in each direction: smooth edges
  const auto colours = contrasting_colours(rng);
  const double scale = static_cast<double>(image) / 32.0;
  const double radius = scale * rng.uniform(11.0, 13.5);
  const double reach = static_cast<double>(image) / 2.0 - radius;  // stays within the picture
  const double centre_x = static_cast<double>(image) / 2.0 + rng.uniform(-0.5, 0.5) * reach;
  const double centre_y = static_cast<double>(image) / 2.0 + rng.uniform(-0.5, 0.5) * reach;
  const double turn = rng.uniform(-1.0, 1.0) * std::numbers::pi / 15.0;
  const double cosine = std::cos(turn) / radius;
  const double sine = std::sin(turn) / radius;
  const double ramp_x = rng.uniform(-0.05, 0.05) / static_cast<double>(image);  // uneven light
  const double ramp_y = rng.uniform(-0.05, 0.05) / static_cast<double>(image);

  for (Index row = 0; row < image; ++row)
    for (Index column = 0; column < image; ++column) {
      int inside = 0;
      const double far = std::hypot(static_cast<double>(column) + 0.5 - centre_x,
                                    static_cast<double>(row) + 0.5 - centre_y);
      for (int i = 0; i < fine && far < radius + 1.0; ++i)
        for (int j = 0; j < fine; ++j) {
          const double x = static_cast<double>(column) + (j + 0.5) / fine - centre_x;
          const double y = static_cast<double>(row) + (i + 0.5) / fine - centre_y;
          inside += covers(kind, {cosine * x + sine * y, cosine * y - sine * x}) ? 1 : 0;
        }
      const double share = static_cast<double>(inside) / (fine * fine);
      const double light = ramp_x * (static_cast<double>(2 * column - image)) +
                           ramp_y * (static_cast<double>(2 * row - image));
      const std::uint64_t bits = rng.bits();
      for (std::size_t c = 0; c < 3; ++c) {
        const double value = share * colours[0][c] + (1.0 - share) * colours[1][c] + light +
                             noise * bell(bits >> (20 * c));
        out[c * static_cast<std::size_t>(image * image) +
            static_cast<std::size_t>(row * image + column)] =
            static_cast<std::uint8_t>(std::lround(255.0 * std::clamp(value, 0.0, 1.0)));
      }
    }
}

inline ImageSet draw_shapes(const ShapesOptions& options, Index samples, std::uint64_t part) {
  constexpr std::uint64_t purpose = 0x736861706573;  // "shapes"
  ImageSet set{
      .name = "shapes",
      .images = Tensor<std::uint8_t>::uninitialised({samples, 3, options.image, options.image}),
      .labels = std::vector<Index>(static_cast<std::size_t>(samples)),
      .class_count = options.classes};
  const Rng rng{.seed = options.seed};
  parallel_for(samples, 16, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index kind = i % options.classes;
      set.labels[static_cast<std::size_t>(i)] = kind;
      draw_shape(kind, options.image, options.noise,
                 rng.at(purpose, part, static_cast<std::uint64_t>(i)),
                 set.images.view().slice(i, i + 1).span());
    }
  });
  return set;
}

}  // namespace detail

/// Draws one shape a picture, at a random place, size, angle and colour, on a plain ground.
///
/// The kind is the label. Shape and ground exchange their colours freely, so a linear model on
/// pixels stays far behind: of 8 kinds it gets about a fifth right, the ViT `vit_micro` 99 % after
/// 10 epochs of 8,000 pictures.
/// Sample i depends on seed, split and i alone: asking for more leaves the first ones unchanged.
/// Labels go round in turn, so every prefix is balanced.
///
/// Shapes  images (samples, 3, image, image).
/// Errors  std::invalid_argument for options out of range.
inline TrainTest make_shapes(const ShapesOptions& options) {
  const auto require = [](bool fine, const char* wanted, auto got) {
    if (!fine)
      throw std::invalid_argument(std::string("make_shapes: ") + wanted + ", not " +
                                  std::to_string(got));
  };
  constexpr auto kinds = static_cast<Index>(shape_names.size());
  require(options.samples >= 1, "samples must be at least 1", options.samples);
  require(options.test_samples >= 1, "test_samples must be at least 1", options.test_samples);
  require(options.classes >= 2 && options.classes <= kinds, "classes must be 2 to 10",
          options.classes);
  require(options.image >= 8 && options.image <= 4096, "image must be 8 to 4096", options.image);
  require(options.noise >= 0.0 && options.noise <= 1.0, "noise must be 0 to 1", options.noise);
  return {.train = detail::draw_shapes(options, options.samples, 0),
          .test = detail::draw_shapes(options, options.test_samples, 1)};
}

}  // namespace splitvit::data
