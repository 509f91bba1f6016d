// SPDX-License-Identifier: MIT

#include <limits>
#include <vector>

#include <splitvit/core/random.hpp>
#include <splitvit/kernel/gather.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {
namespace {

using test::at;
using test::equal_bits;

/// P different tokens of 0..N-1 for each of B samples.
std::vector<Index> drawn_index(Index B, Index N, Index P, Rng& rng) {
  std::vector<Index> all;
  for (Index b = 0; b < B; ++b) {
    std::vector<Index> order;
    for (Index j = 0; j < N; ++j) order.push_back(j);
    rng.shuffle(std::span{order});
    all.insert(all.end(), order.begin(), order.begin() + P);
  }
  return all;
}

}  // namespace

TEMPLATE_TEST_CASE("gather: equals the plain version bit for bit", "[kernel]", float, double) {
  using T = TestType;
  Rng rng{.seed = 1};
  const Index B = 5, N = 9, P = 4;
  for (const Index W : {0, 1, 7, 192, 20000}) {
    const auto index = drawn_index(B, N, P, rng);
    std::vector<T> x(at(B * N * W)), dy(at(B * P * W));
    for (T& value : x) value = static_cast<T>(rng.normal());
    for (T& value : dy) value = static_cast<T>(rng.normal());
    if (W > 1) dy[1] = -std::numeric_limits<T>::denorm_min();  // nothing is rounded or flushed
    std::vector<T> y(dy.size()), plain_y(dy.size()), dx(x.size(), T{7}), plain_dx(x.size());
    for (Index b = 0; b < B; ++b)
      for (Index p = 0; p < P; ++p)
        for (Index j = 0; j < W; ++j) {
          const Index from = (b * N + index[at(b * P + p)]) * W + j;
          plain_y[at((b * P + p) * W + j)] = x[at(from)];
          plain_dx[at(from)] = dy[at((b * P + p) * W + j)];
        }
    gather_tokens<T>(x, y, N, P, W, index);
    scatter_tokens<T>(dy, dx, N, P, W, index);
    CHECK(equal_bits(y, plain_y));
    CHECK(equal_bits(dx, plain_dx));
  }
}

TEST_CASE("gather: scatter is its transpose", "[kernel]") {
  Rng rng{.seed = 2};
  const Index B = 3, N = 8, P = 5, W = 6;
  const auto index = drawn_index(B, N, P, rng);
  std::vector<double> x(at(B * N * W)), dy(at(B * P * W)), y(dy.size()), dx(x.size());
  for (double& value : x) value = static_cast<double>(rng.below(9)) - 4.0;
  for (double& value : dy) value = static_cast<double>(rng.below(9)) - 4.0;
  gather_tokens<double>(x, y, N, P, W, index);
  scatter_tokens<double>(dy, dx, N, P, W, index);
  double left = 0.0, right = 0.0;  // <y, dy> = <x, dx>, exact for small whole numbers
  for (std::size_t i = 0; i < y.size(); ++i) left += y[i] * dy[i];
  for (std::size_t i = 0; i < x.size(); ++i) right += x[i] * dx[i];
  CHECK(left == right);
}

TEST_CASE("gather: the same bits for any number of threads", "[kernel]") {
  Rng rng{.seed = 3};
  const Index B = 20, N = 50, P = 21, W = 48;
  const auto index = drawn_index(B, N, P, rng);
  std::vector<float> x(at(B * N * W));
  for (float& value : x) value = static_cast<float>(rng.normal());
  const auto run = [&](int threads) {
    std::vector<float> y(at(B * P * W)), dx(x.size());
    with_threads(threads, [&] {
      gather_tokens<float>(x, y, N, P, W, index);
      scatter_tokens<float>(y, dx, N, P, W, index);
    });
    y.insert(y.end(), dx.begin(), dx.end());
    return y;
  };
  const auto once = run(1);
  for (const int threads : {2, 3, 8}) CHECK(equal_bits(run(threads), once));
}

}  // namespace splitvit::kernel
