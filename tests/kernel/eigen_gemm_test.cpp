// SPDX-License-Identifier: MIT
#include <vector>

#include <splitvit/kernel/eigen_gemm.hpp>

#include "support/catch.hpp"

using namespace splitvit;

TEMPLATE_TEST_CASE("eigen_gemm: adds a product to what is there, in place of any layout",
                   "[kernel]", float, double) {
  using T = TestType;
  const std::vector<T> a{1, 2, 3, 4, 5, 6}, b{1, 0, 2, -1, 3, 1};
  std::vector<T> c{10, 10, 99, 10, 10, 99};  // rows lie further apart than they are long
  const kernel::Matrix<T> result{c.data(), 2, 2, 3};
  kernel::add_product<T>({a.data(), 2, 3, 3, 1}, {b.data(), 3, 2, 2, 1}, result);
  CHECK(c == std::vector<T>{10 + 14, 10 + 1, 99, 10 + 32, 10 + 1, 99});
  // A stored as its transpose gives the same
  const std::vector<T> turned{1, 4, 2, 5, 3, 6};
  std::vector<T> again{10, 10, 99, 10, 10, 99};
  kernel::add_product<T>({turned.data(), 2, 3, 1, 2}, {b.data(), 3, 2, 2, 1},
                         {again.data(), 2, 2, 3});
  CHECK(again == c);
}
