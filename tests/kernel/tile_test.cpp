// SPDX-License-Identifier: MIT
#include <vector>

#include <splitvit/kernel/tile.hpp>

#include "kernel/grid.hpp"
#include "support/catch.hpp"

namespace splitvit::kernel {

using test::at;
using test::Grid;

TEMPLATE_TEST_CASE("tile: any rows, columns and depth, with every start", "[kernel][tile]", float,
                   double) {
  using T = TestType;
  Rng rng{.seed = 3};
  for (const Index K : {0, 1, 2, 13, 65})
    for (Index rows = 1; rows <= tile_rows<T>; ++rows)
      for (Index cols = 1; cols <= tile_cols<T>; cols += cols < 3 ? 1 : 5) {
        const Grid<T> a{rows, K, 2, rng}, turned{K, rows, 2, rng};
        const Grid<T> b{K, tile_cols<T>, 0, rng};
        const std::vector<T> bias = test::drawn_vector<T>(cols, rng);
        const Matrix<const T> from = a.matrix();
        const Matrix<const T> used = b.matrix().columns(0, cols);
        const double tolerance = test::product_tolerance<T>(K);

        Grid<T> c{rows, cols, 4, rng};
        std::vector<double> before;
        for (const T v : c.packed()) before.push_back(static_cast<double>(v));
        std::vector<double> biases;
        for (Index i = 0; i < rows; ++i)
          for (const T v : bias) biases.push_back(static_cast<double>(v));
        const auto multiply = [&](const TileRows<T>& left, const T* start, bool add) {
          multiply_rows<tile_rows<T>>(rows, K, left, b.numbers.data(),
                                      TileResult<T>{c.numbers.data(), c.stride, cols, start, add});
        };
        const auto run = [&](const T* start, bool add) {
          multiply({from.data, from.stride, 1}, start, add);
        };
        INFO("K " << K << ", rows " << rows << ", cols " << cols);
        run(nullptr, true);
        CHECK(test::apart(c.packed(), test::plain_product<T>(from, used, before)) <= tolerance);
        run(bias.data(), false);
        CHECK(test::apart(c.packed(), test::plain_product<T>(from, used, biases)) <= tolerance);
        run(nullptr, false);
        CHECK(test::apart(c.packed(), test::plain_product<T>(from, used)) <= tolerance);
        const Matrix<const T> columns = turned.matrix();
        multiply({columns.data, 1, columns.stride}, nullptr, false);
        CHECK(test::apart(c.packed(), test::plain_product<T>(transposed(columns), used)) <=
              tolerance);
        CHECK(c.gaps_untouched());
      }
}

TEMPLATE_TEST_CASE("tile: a row's bits do not depend on the rows beside it", "[kernel][tile]",
                   float, double) {
  using T = TestType;
  Rng rng{.seed = 4};
  constexpr Index K = 31, R = tile_rows<T>, W = tile_cols<T>;
  const Grid<T> a{R, K, 0, rng};
  const Grid<T> b{K, W, 0, rng};
  std::vector<T> whole(at(R * W)), one(at(W));
  multiply_rows<R>(R, K, TileRows<T>{a.numbers.data(), K, 1}, b.numbers.data(),
                   TileResult<T>{whole.data(), W, W, nullptr, false});
  for (Index i = 0; i < R; ++i) {
    multiply_rows<1>(1, K, TileRows<T>{a.numbers.data() + i * K, K, 1}, b.numbers.data(),
                     TileResult<T>{one.data(), W, W, nullptr, false});
    CHECK(test::equal_bits(one, {whole.begin() + i * W, whole.begin() + (i + 1) * W}));
  }
}

}  // namespace splitvit::kernel
