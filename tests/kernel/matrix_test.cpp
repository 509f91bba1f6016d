// SPDX-License-Identifier: MIT
#include <cstdint>
#include <type_traits>

#include <splitvit/kernel/matrix.hpp>

#include "kernel/grid.hpp"
#include "support/catch.hpp"

namespace splitvit::kernel {

TEST_CASE("Matrix: slices and columns point into the same numbers", "[kernel][matrix]") {
  Rng rng{.seed = 1};
  test::Grid<float> grid{5, 4, 3, rng};
  const Matrix<float> m = grid.matrix();
  CHECK(m.row(2) == grid.numbers.data() + 14);
  const Matrix<float> part = m.slice(1, 4).columns(2, 4);
  CHECK(part.rows == 3);
  CHECK(part.cols == 2);
  CHECK(part.stride == 7);
  CHECK(part.row(2) == m.row(3) + 2);
  CHECK(m.slice(5, 5).rows == 0);
  CHECK(m.columns(4, 4).cols == 0);
  STATIC_REQUIRE(std::is_convertible_v<Matrix<float>, Matrix<const float>>);
  STATIC_REQUIRE(!std::is_convertible_v<Matrix<const float>, Matrix<float>>);
}

TEST_CASE("Factor: a matrix and its transpose", "[kernel][matrix]") {
  Rng rng{.seed = 2};
  test::Grid<double> grid{4, 6, 1, rng};
  const Matrix<double> m = grid.matrix();
  const Factor<double> straight = m;
  const Factor<double> turned = transposed(m);
  CHECK(straight.rows == 4);
  CHECK(straight.cols == 6);
  CHECK(turned.rows == 6);
  CHECK(turned.cols == 4);
  for (Index i = 0; i < 4; ++i)
    for (Index j = 0; j < 6; ++j) {
      CHECK(straight.at(i, j) == &grid(i, j));
      CHECK(turned.at(j, i) == &grid(i, j));
    }
  const Matrix<const double> read = m;
  CHECK(transposed(read).at(5, 3) == turned.at(5, 3));
}

TEST_CASE("Scratch: grows when asked, stays where it is otherwise", "[kernel][matrix]") {
  Scratch<float> memory;
  CHECK(memory.data() == nullptr);
  CHECK(memory.room(0) == nullptr);
  float* const small = memory.room(3);
  CHECK(reinterpret_cast<std::uintptr_t>(small) % 64 == 0);
  small[2] = 5.0f;
  CHECK(memory.room(2) == small);
  CHECK(memory.data()[2] == 5.0f);
  float* const large = memory.room(1000);
  large[999] = 1.0f;
  CHECK(memory.room(1000) == large);
  CHECK(reinterpret_cast<std::uintptr_t>(large) % 64 == 0);
}

}  // namespace splitvit::kernel
