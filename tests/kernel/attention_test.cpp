// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <vector>

#include <splitvit/kernel/attention.hpp>

#include "kernel/grid.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {
namespace {

using test::apart;
using test::at;
using test::drawn_vector;
using test::unit;

/// What attention gives, forward and backward.
template <class T>
struct Result {
  std::vector<T> y, log_sums, cls, dqkv;

  explicit Result(const AttentionSizes& s)
      : y(at(s.B * s.N * s.D)),
        log_sums(at(s.B * s.H * s.N)),
        cls(at(s.B * s.N)),
        dqkv(at(3 * s.B * s.N * s.D)) {}
};

template <class Stored, class T>
Result<T> run(const AttentionSizes& s, const std::vector<T>& qkv, const std::vector<T>& dy,
              const T* bias = nullptr) {
  Result<T> r{s};
  attention_forward<T, Stored>(qkv.data(), r.y.data(), r.log_sums.data(), r.cls.data(), s, bias);
  attention_backward<T, Stored>(qkv.data(), r.y.data(), r.log_sums.data(), dy.data(), r.dqkv.data(),
                                s, bias);
  return r;
}

/// The same by plain loops in double, with the whole Jacobian of softmax.
template <class T>
Result<double> plain(const AttentionSizes& s, const std::vector<T>& qkv, const std::vector<T>& dy,
                     const std::vector<T>& bias) {
  Result<double> r{s};
  const Index d = s.head_width();
  const double factor = 1 / std::sqrt(static_cast<double>(d));
  for (Index b = 0; b < s.B; ++b)
    for (Index h = 0; h < s.H; ++h) {
      const auto place = [&](Index which, Index i, Index j) {
        return at((b * s.N + i) * 3 * s.D + which * s.D + h * d + j);
      };
      const auto value = [&](Index which, Index i, Index j) {
        return static_cast<double>(qkv[place(which, i, j)]);
      };
      const auto out = [&](Index i, Index j) { return at((b * s.N + i) * s.D + h * d + j); };
      for (Index i = 0; i < s.N; ++i) {
        std::vector<double> p(at(s.N)), dp(at(s.N));
        double sum = 0, dot = 0;
        for (Index k = 0; k < s.N; ++k) {
          double score = 0;
          for (Index j = 0; j < d; ++j) score += value(0, i, j) * value(1, k, j);
          const double added = bias.empty() ? 0 : static_cast<double>(bias[at(b * s.N + k)]);
          sum += p[at(k)] = std::exp(factor * score + added);
        }
        r.log_sums[at((b * s.H + h) * s.N + i)] = std::log(sum);
        for (Index k = 0; k < s.N; ++k) {
          p[at(k)] /= sum;
          if (i == 0) r.cls[at(b * s.N + k)] += p[at(k)] / static_cast<double>(s.H);
          for (Index j = 0; j < d; ++j) {
            const auto g = static_cast<double>(dy[out(i, j)]);
            r.y[out(i, j)] += p[at(k)] * value(2, k, j);
            r.dqkv[place(2, k, j)] += p[at(k)] * g;
            dp[at(k)] += g * value(2, k, j);
          }
          dot += p[at(k)] * dp[at(k)];
        }
        for (Index k = 0; k < s.N; ++k) {
          const double ds = factor * p[at(k)] * (dp[at(k)] - dot);
          for (Index j = 0; j < d; ++j) {
            r.dqkv[place(0, i, j)] += ds * value(1, k, j);
            r.dqkv[place(1, k, j)] += ds * value(0, i, j);
          }
        }
      }
    }
  return r;
}

}  // namespace

TEMPLATE_TEST_CASE("attention: equals the plain version, both directions", "[kernel][attention]",
                   float, double, BrainPair) {
  using T = test::NumberOf<TestType>;
  // As pairs: probabilities and slopes of scores are rounded, each by at most 2^-8 of itself, and
  // are factors for values, keys, queries and dy of at most 4 in size; in dqkv two such errors
  // meet.
  constexpr double rounding = std::same_as<TestType, BrainPair> ? 0x1p-8 : 0.0;
  Rng rng{.seed = 18};
  std::vector<AttentionSizes> sizes;
  for (const Index N : {1, 2, 3, 5, 12, 13, 17, 31, 33, 65})
    sizes.push_back({.B = 2, .N = N, .D = 10, .H = 2});
  for (const Index d : {1, 2, 3, 13, 16, 33}) sizes.push_back({.B = 1, .N = 7, .D = 3 * d, .H = 3});
  sizes.push_back({.B = 3, .N = 4, .D = 5, .H = 1});
  sizes.push_back({.B = 1, .N = 197, .D = 64, .H = 1});
  sizes.push_back({.B = 0, .N = 5, .D = 4, .H = 2});
  for (const AttentionSizes& s : sizes) {
    INFO("B " << s.B << ", N " << s.N << ", D " << s.D << ", H " << s.H);
    const auto qkv = test::storable<TestType>(drawn_vector<T>(3 * s.B * s.N * s.D, rng));
    const auto dy = test::storable<TestType>(drawn_vector<T>(s.B * s.N * s.D, rng));
    for (const auto& bias : {std::vector<T>{}, drawn_vector<T>(s.B * s.N, rng)}) {
      const auto ours = run<TestType>(s, qkv, dy, bias.empty() ? nullptr : bias.data());
      const auto wanted = plain(s, qkv, dy, bias);
      CHECK(apart(ours.y, wanted.y) <= 32 * unit<T> + 4 * rounding);
      CHECK(apart(ours.log_sums, wanted.log_sums) <= 32 * unit<T>);
      CHECK(apart(ours.cls, wanted.cls) <= 32 * unit<T>);
      CHECK(apart(ours.dqkv, wanted.dqkv) <= 128 * unit<T> + 8 * rounding);
    }
  }
}

TEMPLATE_TEST_CASE("attention: does not need to hand out the row of CLS", "[kernel][attention]",
                   float, double) {
  using T = TestType;
  Rng rng{.seed = 19};
  const AttentionSizes s{.B = 2, .N = 9, .D = 12, .H = 3};
  const auto qkv = drawn_vector<T>(3 * s.B * s.N * s.D, rng);
  Result<T> with{s}, without{s};
  attention_forward(qkv.data(), with.y.data(), with.log_sums.data(), with.cls.data(), s);
  attention_forward<T>(qkv.data(), without.y.data(), without.log_sums.data(), nullptr, s);
  CHECK(test::equal_bits(with.y, without.y));
  CHECK(test::equal_bits(with.log_sums, without.log_sums));
}

TEMPLATE_TEST_CASE("attention: sharp and even scores", "[kernel][attention]", float, double,
                   BrainPair) {
  using T = test::NumberOf<TestType>;
  Rng rng{.seed = 20};
  const AttentionSizes s{.B = 1, .N = 6, .D = 8, .H = 2};
  const auto dy = drawn_vector<T>(s.B * s.N * s.D, rng);
  auto qkv = drawn_vector<T>(3 * s.B * s.N * s.D, rng);
  for (T& v : qkv) v *= T{1e4};  // each row looks at one token alone
  const auto sharp = run<TestType>(s, qkv, dy);
  CHECK(apart(sharp.y, sharp.y) == 0);  // finite
  CHECK(apart(sharp.dqkv, sharp.dqkv) == 0);
  std::fill(qkv.begin(), qkv.end(), T{3});  // each row looks at all alike
  const auto even = run<TestType>(s, qkv, dy);
  for (const T v : even.y) CHECK(v == Approx(3).epsilon(8 * unit<T>));
  for (const T p : even.cls) CHECK(p == Approx(1.0 / 6).epsilon(8 * unit<T>));
  // As pairs, the slopes of scores are not zero but the roundings of dy, times d values and N keys.
  const double rounding = std::same_as<TestType, BrainPair> ? 3 * 3 * 4 * 0x1p-9 : 0;
  CHECK(apart(even.dqkv, plain(s, qkv, dy, {}).dqkv) <= 512 * unit<T> + rounding);
}

TEMPLATE_TEST_CASE("attention: the same bits for any number of threads", "[kernel][attention]",
                   float, double, BrainPair) {
  using T = test::NumberOf<TestType>;
  Rng rng{.seed = 21};
  const AttentionSizes s{.B = 7, .N = 33, .D = 24, .H = 3};
  const auto qkv = drawn_vector<T>(3 * s.B * s.N * s.D, rng);
  const auto dy = drawn_vector<T>(s.B * s.N * s.D, rng);
  const auto once = with_threads(1, [&] { return run<TestType>(s, qkv, dy); });
  for (const int threads : {2, 3, 8}) {
    const auto again = with_threads(threads, [&] { return run<TestType>(s, qkv, dy); });
    CHECK(test::equal_bits(again.y, once.y));
    CHECK(test::equal_bits(again.cls, once.cls));
    CHECK(test::equal_bits(again.dqkv, once.dqkv));
  }
}

TEMPLATE_TEST_CASE("cls_attention: row 0 of attention, both directions", "[kernel][attention]",
                   float, double) {
  using T = TestType;
  Rng rng{.seed = 41};
  std::vector<AttentionSizes> sizes;
  for (const Index N : {1, 2, 15, 16, 17, 65}) sizes.push_back({.B = 3, .N = N, .D = 10, .H = 2});
  for (const Index d : {1, 3, 16, 33}) sizes.push_back({.B = 1, .N = 7, .D = 3 * d, .H = 3});
  sizes.push_back({.B = 0, .N = 5, .D = 4, .H = 2});
  for (const AttentionSizes& s : sizes) {
    INFO("B " << s.B << ", N " << s.N << ", D " << s.D << ", H " << s.H);
    const auto qkv = drawn_vector<T>(3 * s.B * s.N * s.D, rng);
    const auto dy = drawn_vector<T>(s.B * s.D, rng);
    std::vector<T> y(dy.size()), probabilities(at(s.B * s.H * s.N)), dqkv(qkv.size());
    const auto bias = drawn_vector<T>(s.B * s.N, rng);
    cls_attention_forward(qkv.data(), y.data(), probabilities.data(), s, bias.data());
    cls_attention_backward(qkv.data(), probabilities.data(), dy.data(), dqkv.data(), s);

    // attention of all tokens, of which the others have no gradient
    std::vector<T> all(at(s.B * s.N * s.D)), log_sums(probabilities.size()), d_all(all.size());
    std::vector<T> wanted_y(y.size()), wanted_dqkv(dqkv.size());
    attention_forward<T>(qkv.data(), all.data(), log_sums.data(), nullptr, s, bias.data());
    for (Index b = 0; b < s.B; ++b) {
      std::copy_n(all.data() + b * s.N * s.D, s.D, wanted_y.data() + b * s.D);
      std::copy_n(dy.data() + b * s.D, s.D, d_all.data() + b * s.N * s.D);
    }
    attention_backward(qkv.data(), all.data(), log_sums.data(), d_all.data(), wanted_dqkv.data(), s,
                       bias.data());
    CHECK(apart(y, wanted_y) <= 32 * unit<T>);
    CHECK(apart(dqkv, wanted_dqkv) <= 128 * unit<T>);
  }
}

TEMPLATE_TEST_CASE("cls_attention: sharp and even scores", "[kernel][attention]", float, double) {
  using T = TestType;
  Rng rng{.seed = 42};
  const AttentionSizes s{.B = 1, .N = 6, .D = 8, .H = 2};
  auto qkv = drawn_vector<T>(3 * s.N * s.D, rng);
  for (T& v : qkv) v *= T{1e4};  // CLS looks at one token alone
  std::vector<T> y(at(s.D)), probabilities(at(s.H * s.N)), dqkv(qkv.size());
  cls_attention_forward(qkv.data(), y.data(), probabilities.data(), s);
  cls_attention_backward(qkv.data(), probabilities.data(), y.data(), dqkv.data(), s);
  CHECK(apart(y, y) == 0);  // finite
  CHECK(apart(dqkv, dqkv) == 0);
  std::fill(qkv.begin(), qkv.end(), T{3});  // at all alike
  cls_attention_forward(qkv.data(), y.data(), probabilities.data(), s);
  for (const T v : y) CHECK(v == Approx(3).epsilon(8 * unit<T>));
  for (const T p : probabilities) CHECK(p == Approx(1.0 / 6).epsilon(8 * unit<T>));
}

}  // namespace splitvit::kernel
