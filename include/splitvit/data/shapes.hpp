// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, max, min
#include <cmath>      // abs, atan2, cos, floor, hypot, lround, sin, sqrt
#include <numbers>    // pi

#include <splitvit/core/parallel.hpp>  // parallel_for
#include <splitvit/core/random.hpp>    // Rng
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/data/concepts.hpp>  // ImageSet, TrainTest
#include <splitvit/tensor/tensor.hpp>  // Tensor

namespace splitvit::inline SPLITVIT_BUILD::data {

/// The kinds that can be drawn; a kind's position is its label.
inline constexpr std::array<const char*, 10> shape_names = {
    "disc",    "cross", "stripes", "ring",   "triangle",
    "checker", "pair",  "star",    "square", "crescent"};

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
  const double x = std::abs(p.u), y = std::abs(p.v);
  const auto stripe = [](double at, double width) {
    return static_cast<Index>(std::floor(at / width)) % 2 == 0;
  };
  const bool in_square = std::max(x, y) <= 0.85;
  if (kind == 0) return radius <= 0.85;                                    // disc
  if (kind == 1) return std::min(x, y) <= 0.26 && std::max(x, y) <= 0.95;  // cross
  if (kind == 2) return in_square && stripe(p.u + 0.85, 0.34);             // stripes: three bars
  if (kind == 3) return radius <= 0.95 && radius >= 0.5;                   // ring
  if (kind == 4) return p.v >= -0.5 && std::sqrt(3.0) * x + p.v <= 1.0;    // triangle
  if (kind == 5)  // checker: three by three
    return in_square && stripe(p.u + 0.85, 0.5667) == stripe(p.v + 0.85, 0.5667);
  if (kind == 6) return std::hypot(x - 0.52, p.v) <= 0.42;                     // pair of discs
  if (kind == 8) return std::max(x, y) <= 0.72;                                // square
  if (kind == 9) return radius <= 0.95 && std::hypot(p.u - 0.45, p.v) >= 0.7;  // crescent
  // star of five points: each tenth of the circle ends at one straight edge, which runs from (1, 0)
  // to inner * (cos, sin)(tenth); inside is where the origin is
  constexpr double tenth = std::numbers::pi / 5.0, inner = 0.4;
  const double turn = std::abs(std::atan2(p.u, p.v)) / tenth;  // in tenths from a point
  const double fold = turn - 2.0 * std::floor(turn / 2.0);
  const double angle = tenth * std::min(fold, 2.0 - fold);
  const double ex = inner * std::cos(tenth) - 1.0, ey = inner * std::sin(tenth);
  return ex * (radius * std::sin(angle)) - ey * (radius * std::cos(angle) - 1.0) >= 0.0;
}

using Colour = std::array<double, 3>;

/// A dark and a light colour, in either order, so that no pixel's value alone tells the kind.
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

/// A number with mean 0 and deviation 1 from the low 20 bits; much cheaper than Rng::normal.
inline double bell(std::uint64_t bits) {
  const auto sum = static_cast<double>((bits & 1023u) + ((bits >> 10) & 1023u));
  return (sum / 1023.0 - 1.0) * std::sqrt(6.0);
}

/// Draws one sample. Shapes  out (3, image, image).
inline void draw_shape(Index kind, Index image, double noise, Rng rng,
                       std::span<std::uint8_t> out) {
  constexpr int fine = 3;  // samples a pixel, in each direction: smooth edges
  const auto colours = contrasting_colours(rng);
  const auto size = static_cast<double>(image);
  const double radius = size / 32.0 * rng.uniform(11.0, 13.5);
  const double reach = size / 2.0 - radius;  // stays within the picture
  const double centre_x = size / 2.0 + rng.uniform(-0.5, 0.5) * reach;
  const double centre_y = size / 2.0 + rng.uniform(-0.5, 0.5) * reach;
  const double turn = rng.uniform(-1.0, 1.0) * std::numbers::pi / 15.0;
  const double cosine = std::cos(turn) / radius;
  const double sine = std::sin(turn) / radius;
  const double ramp_x = rng.uniform(-0.05, 0.05) / size;  // uneven light
  const double ramp_y = rng.uniform(-0.05, 0.05) / size;

  for (Index row = 0; row < image; ++row)
    for (Index column = 0; column < image; ++column) {
      const auto left = static_cast<double>(column), top = static_cast<double>(row);
      const double far = std::hypot(left + 0.5 - centre_x, top + 0.5 - centre_y);
      int inside = 0;
      for (int i = 0; i < fine && far < radius + 1.0; ++i)
        for (int j = 0; j < fine; ++j) {
          const double x = left + (j + 0.5) / fine - centre_x;
          const double y = top + (i + 0.5) / fine - centre_y;
          inside += covers(kind, {cosine * x + sine * y, cosine * y - sine * x}) ? 1 : 0;
        }
      const double share = static_cast<double>(inside) / (fine * fine);
      const double light = ramp_x * (2.0 * left - size) + ramp_y * (2.0 * top - size);
      const std::uint64_t bits = rng.bits();
      for (std::size_t c = 0; c < 3; ++c) {
        const double value = share * colours[0][c] + (1.0 - share) * colours[1][c] + light +
                             noise * bell(bits >> (20 * c));
        out[static_cast<std::size_t>((static_cast<Index>(c) * image + row) * image + column)] =
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

/// A data set that needs no download: one shape a picture, at a random place, size, angle and
/// colour. The kind is the label. Of 8 kinds a linear model on pixels gets about a fifth right, the
/// ViT `vit_micro` 99 % after 10 epochs of 8,000 pictures. Sample i depends on seed, split and i
/// alone; labels go round in turn.
///
/// Shapes  images (samples, 3, image, image).
/// Errors  std::invalid_argument for options out of range.
inline TrainTest make_shapes(const ShapesOptions& options) {
  const auto require = [](bool fine, const char* wanted, auto got) {
    if (!fine) throw ArgumentError({"make_shapes: ", wanted, ", not ", got});
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

}  // namespace splitvit::inline SPLITVIT_BUILD::data
