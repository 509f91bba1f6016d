// SPDX-License-Identifier: MIT
#pragma once

#include <numbers>  // pi

#include <splitvit/core/shape.hpp>  // Index

// Cosine and sine of parts of a full turn, the same bits on every machine: the system's own
// functions may differ in the last place.

namespace splitvit::kernel {

struct UnitRoot {
  double cosine;
  double sine;
};

/// The point at k / n of a full turn: cos(2 pi k / n) and sin(2 pi k / n), each off by at most
/// a few units in the last place; exact at quarters of a turn.
///
/// Units   n >= 1, k >= 0, n below 2^53.
inline UnitRoot unit_root(Index k, Index n) {
  // k / n = (eighth + rest) / 8 with rest in [0, 1); odd eighths are counted from their end.
  const Index turned = k % n * 8;
  const Index eighth = turned / n;
  const Index left = eighth % 2 == 0 ? turned % n : n - turned % n;
  const double x = std::numbers::pi / 4 * (static_cast<double>(left) / static_cast<double>(n));

  // Taylor series; the first term left out is below 2^-58.
  const double square = x * x;
  double cosine = 1, sine = 1;
  for (int i = 16; i > 0; i -= 2) {
    cosine = 1 - square / (i * (i - 1)) * cosine;
    sine = 1 - square / (i * (i + 1)) * sine;
  }
  sine *= x;
  switch (eighth) {
    case 0:
      return {cosine, sine};
    case 1:
      return {sine, cosine};
    case 2:
      return {-sine, cosine};
    case 3:
      return {-cosine, sine};
    case 4:
      return {-cosine, -sine};
    case 5:
      return {-sine, -cosine};
    case 6:
      return {sine, -cosine};
    default:
      return {cosine, -sine};
  }
}

}  // namespace splitvit::kernel
