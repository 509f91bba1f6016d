// SPDX-License-Identifier: MIT
#include <cmath>
#include <vector>

#include <splitvit/kernel/token_statistics.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {
namespace {

using test::apart;
using test::at;
using test::drawn_vector;
using test::unit;

/// One sample by plain loops in double.
struct Plain {
  std::vector<double> attention, received, value, keys;

  template <class T>
  Plain(const AttentionSizes& s, const std::vector<T>& qkv)
      : attention(at(s.N * s.N)),
        received(at(s.N)),
        value(at(s.N)),
        keys(at(s.N * s.head_width())) {
    const Index d = s.head_width();
    const auto heads = static_cast<double>(s.H);
    for (Index h = 0; h < s.H; ++h) {
      const auto number = [&](Index which, Index i, Index j) {
        return static_cast<double>(qkv[at(i * 3 * s.D + which * s.D + h * d + j)]);
      };
      for (Index i = 0; i < s.N; ++i) {
        std::vector<double> p(at(s.N));
        double sum = 0;
        for (Index k = 0; k < s.N; ++k) {
          double score = 0;
          for (Index j = 0; j < d; ++j) score += number(0, i, j) * number(1, k, j);
          sum += p[at(k)] = std::exp(score / std::sqrt(static_cast<double>(d)));
        }
        for (Index k = 0; k < s.N; ++k) {
          attention[at(i * s.N + k)] += p[at(k)] / sum / heads;
          received[at(k)] += p[at(k)] / sum / heads / static_cast<double>(s.N);
          if (i > 0) continue;
          double square = 0;
          for (Index j = 0; j < d; ++j) square += number(2, k, j) * number(2, k, j);
          value[at(k)] += p[at(k)] / sum * std::sqrt(square);
        }
        for (Index j = 0; j < d; ++j) keys[at(i * d + j)] += number(1, i, j) / heads;
      }
    }
  }
};

}  // namespace

TEMPLATE_TEST_CASE("token statistics: equal the plain version", "[kernel]", float, double) {
  using T = TestType;
  Rng rng{.seed = 51};
  for (const Index N : {1, 2, 13, 16, 33, 100})
    for (const Index d : {1, 3, 16}) {
      const AttentionSizes s{.B = 1, .N = N, .D = 3 * d, .H = 3};
      INFO("N " << N << ", d " << d);
      const auto qkv = drawn_vector<T>(3 * N * s.D, rng);
      const Plain plain{s, qkv};
      std::vector<T> attention(at(N * N)), received(at(N)), value(at(N)), keys(at(N * d));
      mean_attention(qkv.data(), attention.data(), s);
      received_attention(attention.data(), received.data(), N);
      value_attention(qkv.data(), value.data(), s);
      mean_keys(qkv.data(), keys.data(), s);
      CHECK(apart(attention, plain.attention) <= 32 * unit<T>);
      CHECK(apart(received, plain.received) <= 32 * unit<T>);
      CHECK(apart(value, plain.value) <= 64 * unit<T>);
      CHECK(apart(keys, plain.keys) <= 32 * unit<T>);
    }
}

TEST_CASE("token statistics: rolling out is a product from the left", "[kernel]") {
  std::vector<double> row{1.0, 0.0};
  const std::vector<double> attention{0.5, 0.5, 0.25, 0.75};
  roll_out(attention.data(), row.data(), 2);
  CHECK(row == std::vector<double>{0.75, 0.25});
  roll_out(attention.data(), row.data(), 2);
  CHECK(row == std::vector<double>{0.59375, 0.40625});
}

}  // namespace splitvit::kernel
