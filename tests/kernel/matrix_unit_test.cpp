// SPDX-License-Identifier: MIT
#include <vector>

#include <splitvit/kernel/matrix_unit.hpp>

#include "kernel/grid.hpp"
#include "support/catch.hpp"

namespace splitvit::kernel {

using test::at;

TEST_CASE("matrix_unit: a build without it may not use it", "[kernel][matrix_unit]") {
  if (!detail::has_matrix_unit) CHECK(!detail::may_use_matrix_unit());
  STATIC_REQUIRE(!detail::by_matrix_unit<float, float>);
  STATIC_REQUIRE(detail::by_matrix_unit<float, BrainPair> == detail::has_matrix_unit);
}

#if SPLITVIT_HAS_AMX
TEST_CASE("matrix_unit: any rows and columns, from C, a bias or zero on", "[kernel][matrix_unit]") {
  if (!detail::may_use_matrix_unit()) return;
  Rng rng{.seed = 81};
  const detail::MatrixUnit unit;
  constexpr Index K = 48, R = detail::unit_rows, width = 32, stride = 37;
  const auto drawn = [&](Index n) {
    std::vector<BrainPair> pairs;
    for (Index i = 0; i < n; ++i)
      pairs.push_back({brain_bits(static_cast<float>(rng.normal())),
                       brain_bits(static_cast<float>(rng.normal()))});
    return pairs;
  };
  const auto a = drawn(R * K), b = drawn(K * width);
  const auto bias = test::drawn_vector<float>(width, rng);
  const auto wanted = [&](Index i, Index j, float sum) {
    for (Index k = 0; k < K; k += detail::unit_size) {
      std::vector<BrainPair> left, right;
      for (Index p = k; p < k + detail::unit_size; ++p) {
        left.push_back(a[at(i * K + p)]);
        right.push_back(b[at(p * width + j)]);
      }
      sum = test::add_pairs(left, right, sum);
    }
    return sum;
  };
  for (const Index rows : {1, 3, 15, 16, 17, 31, 32})
    for (const Index cols : {1, 5, 16, 31, 32})
      for (const int way : {0, 1, 2}) {  // C, bias, zero
        INFO(rows << " x " << cols << ", way " << way);
        const auto old = test::drawn_vector<float>(R * stride, rng);
        auto c = old;
        unit.multiply(rows, K, {a.data(), K, 1}, b.data(),
                      {c.data(), stride, cols, way == 1 ? bias.data() : nullptr, way == 0});
        int wrong = 0;
        for (Index i = 0; i < R; ++i)
          for (Index j = 0; j < stride; ++j) {
            const float before = old[at(i * stride + j)];
            const float start = way == 0 ? before : way == 1 && j < width ? bias[at(j)] : 0.0f;
            wrong += c[at(i * stride + j)] != (i < rows && j < cols ? wanted(i, j, start) : before);
          }
        CHECK(wrong == 0);
      }
}
#endif

}  // namespace splitvit::kernel
