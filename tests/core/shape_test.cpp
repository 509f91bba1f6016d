// SPDX-License-Identifier: MIT
#include <limits>
#include <vector>

#include <splitvit/core/shape.hpp>

#include "support/catch.hpp"

using splitvit::Index;
using splitvit::Shape;
using splitvit::ShapeError;

TEST_CASE("Shape: counts, rows and text", "[core]") {
  const Shape shape{64, 197, 192};
  CHECK(shape.rank() == 3);
  CHECK(shape.elements() == 64 * 197 * 192);
  CHECK(shape.back() == 192);
  CHECK(shape.rows() == 64 * 197);
  CHECK(shape.text() == "(64, 197, 192)");
}

TEST_CASE("Shape: a scalar has one element, an empty axis none", "[core]") {
  CHECK(Shape{}.elements() == 1);
  CHECK(Shape{}.back() == 1);
  CHECK(Shape{}.rows() == 1);
  CHECK(Shape{}.text() == "()");
  CHECK(Shape{3, 0, 5}.elements() == 0);
}

TEST_CASE("Shape: with changes one extent and the count", "[core]") {
  const Shape shape = Shape{2, 3, 4}.with(1, 5);
  CHECK(shape == Shape{2, 5, 4});
  CHECK(shape.elements() == 40);
  CHECK(shape.with(0, 0).elements() == 0);
}

TEST_CASE("Shape: equal extents are equal, rank counts", "[core]") {
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK_FALSE(Shape{2, 3} == Shape{3, 2});
  CHECK_FALSE(Shape{2, 3} == Shape{2, 3, 1});
}

TEST_CASE("Shape: refuses what cannot be", "[core]") {
  CHECK_THROWS_AS((Shape{2, -1}), ShapeError);
  CHECK_THROWS_AS((Shape{1, 1, 1, 1, 1, 1, 1}), ShapeError);
  CHECK_NOTHROW(Shape{1, 1, 1, 1, 1, 1});
  const Index large = std::numeric_limits<Index>::max() / 2;
  CHECK_THROWS_AS((Shape{large, 3}), ShapeError);
  CHECK_THROWS_AS((Shape{0, large, 3}), ShapeError);
  CHECK_THROWS_AS(Shape{2}.with(0, -1), ShapeError);
}
