// SPDX-License-Identifier: MIT

#include <limits>
#include <vector>

#include <splitvit/core/random.hpp>
#include <splitvit/kernel/rows.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {
namespace {

using test::at;
using test::drawn_vector;
using test::equal_bits;

/// Groups as the kernels take them, from a group number for each row.
struct Layout {
  std::vector<Index> starts{0};
  std::vector<Index> members;
  explicit Layout(const std::vector<Index>& ids) {
    for (Index g = 0; members.size() < ids.size(); ++g) {
      for (std::size_t i = 0; i < ids.size(); ++i)
        if (ids[i] == g) members.push_back(static_cast<Index>(i));
      starts.push_back(static_cast<Index>(members.size()));
    }
  }
};

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

TEMPLATE_TEST_CASE("merge: equals the plain version bit for bit", "[kernel]", float, double) {
  using T = TestType;
  Rng rng{.seed = 1};
  for (const Index W : {0, 1, 3, 1023, 1024, 1025, 5000}) {
    const std::vector<Index> ids{1, 0, 1, 2, 1, 0, 3, 1};
    const Index rows = 8, G = 4;
    const Layout layout{ids};
    const auto x = drawn_vector<T>(rows * W, rng);
    std::vector<T> plain(at(G * W)), fast(at(G * W), T{7});
    for (Index g = 0; g < G; ++g)
      for (Index j = 0; j < W; ++j) {
        double sum = 0.0, m = 0.0;
        for (Index i = 0; i < rows; ++i)
          if (ids[at(i)] == g) {
            sum += static_cast<double>(x[at(i * W + j)]);
            m += 1.0;
          }
        plain[at(g * W + j)] = static_cast<T>(sum / m);
      }
    mean_of_groups<T>(x, fast, W, layout.starts, layout.members);
    CHECK(equal_bits(fast, plain));

    const auto dy = drawn_vector<T>(G * W, rng);
    std::vector<T> plain_dx(at(rows * W)), dx(at(rows * W), T{7});
    for (Index i = 0; i < rows; ++i) {
      const Index g = ids[at(i)];
      const T m = static_cast<T>(layout.starts[at(g + 1)] - layout.starts[at(g)]);
      for (Index j = 0; j < W; ++j) plain_dx[at(i * W + j)] = dy[at(g * W + j)] / m;
    }
    spread_to_groups<T>(dy, dx, W, layout.starts, layout.members);
    CHECK(equal_bits(dx, plain_dx));
  }
}

TEMPLATE_TEST_CASE("merge: a group of one is copied, whatever it holds", "[kernel]", float,
                   double) {
  using T = TestType;
  using Limits = std::numeric_limits<T>;
  const std::vector<T> x{-T{0}, Limits::denorm_min(), Limits::max(), Limits::lowest()};
  const Layout layout{{0}};
  std::vector<T> y(4), dx(4);
  mean_of_groups<T>(x, y, 4, layout.starts, layout.members);
  CHECK(equal_bits(y, x));
  spread_to_groups<T>(x, dx, 4, layout.starts, layout.members);
  CHECK(equal_bits(dx, x));
}

TEMPLATE_TEST_CASE("merge: the mean of huge numbers lies between them", "[kernel]", float, double) {
  using T = TestType;
  const T huge = std::numeric_limits<T>::max();
  const std::vector<T> x{huge, huge, huge, huge, -huge, huge / 2};
  const Layout layout{{0, 0, 0}};
  std::vector<T> y(3);
  mean_of_groups<T>(x, y, 2, layout.starts, layout.members);
  CHECK(static_cast<double>(y[0] / huge) == Approx(1.0 / 3.0));
  CHECK(static_cast<double>(y[1] / huge) == Approx(2.5 / 3.0));
  const std::vector<T> full(9, huge);
  mean_of_groups<T>(full, y, 3, layout.starts, layout.members);
  CHECK(y[0] == huge);
}

TEST_CASE("merge: equal rows are their own mean", "[kernel]") {
  Rng rng{.seed = 2};
  for (const Index m : {2, 3, 7, 100}) {
    const auto row = drawn_vector<float>(33, rng);
    std::vector<float> x, y(33);
    for (Index i = 0; i < m; ++i) x.insert(x.end(), row.begin(), row.end());
    const Layout layout{std::vector<Index>(at(m), 0)};
    mean_of_groups<float>(x, y, 33, layout.starts, layout.members);
    CHECK(equal_bits(y, row));
  }
}

TEST_CASE("merge: the same bits for any number of threads", "[kernel]") {
  Rng rng{.seed = 3};
  std::vector<Index> ids;
  for (Index i = 0; i < 40; ++i) ids.push_back(i < 9 ? i : rng.below(9));
  const Layout layout{ids};
  const auto x = drawn_vector<float>(40 * 4100, rng);
  const auto run = [&](int threads) {
    std::vector<float> y(9 * 4100), dx(x.size());
    with_threads(threads, [&] {
      mean_of_groups<float>(x, y, 4100, layout.starts, layout.members);
      spread_to_groups<float>(y, dx, 4100, layout.starts, layout.members);
    });
    y.insert(y.end(), dx.begin(), dx.end());
    return y;
  };
  const auto once = run(1);
  for (const int threads : {2, 3, 8}) CHECK(equal_bits(run(threads), once));
}

}  // namespace splitvit::kernel
