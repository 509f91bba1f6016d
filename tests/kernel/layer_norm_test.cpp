// SPDX-License-Identifier: MIT
#include <cmath>
#include <vector>

#include <splitvit/kernel/layer_norm.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {
namespace {

using test::apart;
using test::at;
using test::drawn_vector;
using test::unit;

/// All that a layer norm reads and writes.
template <class T>
struct Case {
  Index M, D;
  std::vector<T> x, w, b, dy;
  std::vector<T> y, mean, scale, dx, dw, db;

  Case(Index M_, Index D_, Rng& rng)
      : M{M_},
        D{D_},
        x{drawn_vector<T>(M * D, rng)},
        w{drawn_vector<T>(D, rng)},
        b{drawn_vector<T>(D, rng)},
        dy{drawn_vector<T>(M * D, rng)},
        y(at(M * D)),
        mean(at(M)),
        scale(at(M)),
        dx(at(M * D)),
        dw(at(D), T{1}),
        db(at(D), T{2}) {}

  void run() {
    layer_norm_forward<T>(x.data(), {w.data(), b.data(), T(1e-6)}, {mean.data(), scale.data()},
                          y.data(), M, D);
    layer_norm_backward<T>(x.data(), w.data(), {mean.data(), scale.data()}, dy.data(), dx.data(),
                           dw.data(), db.data(), M, D);
  }

  /// y, dx, dw and db by plain loops in double.
  Case<double> plain() const {
    Rng unused;
    Case<double> p{M, D, unused};
    const auto number = [](const std::vector<T>& from, Index i) {
      return static_cast<double>(from[at(i)]);
    };
    for (Index i = 0; i < M; ++i) {
      double sum = 0, squares = 0, g_sum = 0, gn_sum = 0;
      for (Index j = 0; j < D; ++j) sum += number(x, i * D + j);
      const double centre = sum / static_cast<double>(D);
      for (Index j = 0; j < D; ++j) squares += std::pow(number(x, i * D + j) - centre, 2);
      const double inverse = 1 / std::sqrt(squares / static_cast<double>(D) + 1e-6);
      const auto n = [&](Index j) { return (number(x, i * D + j) - centre) * inverse; };
      for (Index j = 0; j < D; ++j) {
        const double g = number(dy, i * D + j);
        p.y[at(i * D + j)] = n(j) * number(w, j) + number(b, j);
        g_sum += g * number(w, j);
        gn_sum += g * number(w, j) * n(j);
        p.dw[at(j)] += g * n(j);
        p.db[at(j)] += g;
      }
      for (Index j = 0; j < D; ++j)
        p.dx[at(i * D + j)] = inverse * (number(dy, i * D + j) * number(w, j) -
                                         (g_sum + n(j) * gn_sum) / static_cast<double>(D));
    }
    return p;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("layer_norm: equals the plain version, both directions", "[kernel][layer_norm]",
                   float, double) {
  using T = TestType;
  Rng rng{.seed = 15};
  std::vector<std::pair<Index, Index>> sizes;
  for (const Index D : {2, 3, 5, 12, 13, 17, 31, 33, 65, 192, 197}) sizes.push_back({3, D});
  for (const Index M : {0, 1, 2, 63, 64, 65, 129, 197}) sizes.push_back({M, 13});
  for (const auto& [M, D] : sizes) {
    INFO("M " << M << ", D " << D);
    Case<T> ours{M, D, rng};
    ours.run();
    const auto wanted = ours.plain();
    // A gradient is multiplied by 1 / deviation, which is large where a short row is even.
    double most = 1;
    for (const T s : ours.scale) most = std::max(most, static_cast<double>(s));
    CHECK(apart(ours.y, wanted.y) <= 16 * most * unit<T>);
    CHECK(apart(ours.dx, wanted.dx) <= 16 * most * unit<T>);
    CHECK(apart(ours.dw, wanted.dw) <= 16 * most * unit<T>);
    CHECK(apart(ours.db, wanted.db) <= 16 * unit<T>);
  }
}

TEMPLATE_TEST_CASE("layer_norm: rows of one number, equal numbers, large numbers",
                   "[kernel][layer_norm]", float, double) {
  using T = TestType;
  Rng rng{.seed = 16};
  Case<T> single{4, 1, rng};
  single.run();
  for (const T y : single.y) CHECK(y == single.b[0]);
  for (const T dx : single.dx) CHECK(dx == T{0});

  Case<T> constant{3, 16, rng};
  std::fill(constant.x.begin(), constant.x.end(), T{0.75});
  constant.run();
  for (std::size_t i = 0; i < constant.y.size(); ++i) CHECK(constant.y[i] == constant.b[i % 16]);
  for (const T scale : constant.scale) CHECK(scale == Approx(1000));
  CHECK(apart(constant.dx, constant.plain().dx) <= 1000 * unit<T>);

  Case<T> offset{3, 33, rng};  // E[x^2] - E[x]^2 would have no digit left in float
  for (T& v : offset.x) v += T{4096};
  offset.run();
  CHECK(apart(offset.y, offset.plain().y) <= 4096 * 8 * unit<T>);
  CHECK(apart(offset.dx, offset.plain().dx) <= 4096 * 8 * unit<T>);

  Case<T> huge{2, 17, rng};
  for (T& v : huge.x) v *= T{1e15f};
  huge.run();
  CHECK(apart(huge.y, huge.plain().y) <= 32 * unit<T>);
}

TEMPLATE_TEST_CASE("layer_norm: the same bits for any number of threads", "[kernel][layer_norm]",
                   float, double) {
  using T = TestType;
  Rng rng{.seed = 17};
  const Case<T> given{500, 31, rng};
  const auto run = [&](int threads) {
    Case<T> ours = given;
    with_threads(threads, [&] { ours.run(); });
    std::vector<T> all = ours.y;
    for (const auto* part : {&ours.dx, &ours.dw, &ours.db})
      all.insert(all.end(), part->begin(), part->end());
    return all;
  };
  const auto once = run(1);
  for (const int threads : {2, 3, 8}) CHECK(test::equal_bits(run(threads), once));
}

}  // namespace splitvit::kernel
