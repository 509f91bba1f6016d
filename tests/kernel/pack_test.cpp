// SPDX-License-Identifier: MIT
#include <vector>

#include <splitvit/kernel/pack.hpp>

#include "kernel/grid.hpp"
#include "support/catch.hpp"

namespace splitvit::kernel {

using test::at;
using test::Grid;

namespace {
/// The pair of column j in rows 2 k and 2 k + 1 of b, the second of which may not exist.
bool is_pair(const BrainPair& pair, const Factor<float>& b, Index k, Index j) {
  const bool inside = j < b.cols;
  const float first = inside ? *b.at(2 * k, j) : 0.0f;
  const float second = inside && 2 * k + 1 < b.rows ? *b.at(2 * k + 1, j) : 0.0f;
  return pair.first == brain_bits(first) && pair.second == brain_bits(second);
}
}  // namespace

TEST_CASE("pack: B as pairs of rows, every size, as it is and transposed", "[kernel][pack]") {
  Rng rng{.seed = 51};
  constexpr Index width = tile_cols<float>;
  for (const Index K : {1, 2, 3, 31, 32, 33, 65})
    for (const Index N : {Index{1}, width - 1, width, width + 3}) {
      INFO("K " << K << ", N " << N);
      const Grid<float> grid{K, N, 3, rng}, turned{N, K, 2, rng};
      for (const Factor<float>& b : {Factor<float>{grid.matrix()}, transposed(turned.matrix())})
        for (Index column = 0; column < N; column += width) {
          const Index depth = (K + 1) / 2;
          std::vector<BrainPair> panel(at(depth * width + 1), {7, 7});
          detail::fill_panel(b, column, 0, K, panel.data());
          int wrong = 0;
          for (Index k = 0; k < depth; ++k)
            for (Index j = 0; j < width; ++j)
              wrong += !is_pair(panel[at(k * width + j)], b, k, column + j);
          CHECK(wrong == 0);
          CHECK(panel.back().first == 7);
        }
    }
}

TEST_CASE("pack: rows of A as pairs, from any row and pair on", "[kernel][pack]") {
  Rng rng{.seed = 52};
  constexpr Index R = tile_rows<float>;
  const auto left = std::make_unique<detail::LeftRows<float, BrainPair>>();
  for (const Index K : {Index{1}, Index{2}, Index{7}, Index{64}, 2 * detail::depth_block + 5}) {
    const Grid<float> grid{R + 2, K, 1, rng}, turned{K, R + 2, 0, rng};
    for (const Factor<float>& a : {Factor<float>{grid.matrix()}, transposed(turned.matrix())})
      for (const Index rows : {Index{1}, R - 1, R})
        for (const Index k : {Index{0}, (K - 1) / 4}) {
          const Index depth = std::min((K + 1) / 2 - k, detail::depth_block);
          INFO("K " << K << ", rows " << rows << ", from pair " << k);
          const TileRows<BrainPair> some = (*left)(a, 2, rows, k, depth);
          const Factor<float> columns{a.data, a.cols, a.rows, a.col_step, a.row_step};
          int wrong = 0;
          for (Index i = 0; i < rows; ++i)
            for (Index j = 0; j < depth; ++j)
              wrong +=
                  !is_pair(some.a[i * some.row_step + j * some.col_step], columns, k + j, 2 + i);
          CHECK(wrong == 0);
        }
  }
}

}  // namespace splitvit::kernel
