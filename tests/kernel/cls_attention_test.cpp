// SPDX-License-Identifier: MIT
#include <algorithm>
#include <vector>

#include <splitvit/kernel/cls_attention.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit::kernel {

using test::apart;
using test::at;
using test::drawn_vector;
using test::unit;

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
