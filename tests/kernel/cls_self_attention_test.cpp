// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <vector>

#include <splitvit/kernel/cls_self_attention.hpp>

#include "kernel/grid.hpp"
#include "support/catch.hpp"

namespace splitvit::kernel {
namespace {

using test::apart;
using test::at;
using test::drawn_vector;
using test::unit;

template <class T>
struct Inputs {
  std::vector<T> x, weight, bias, score_bias, dy;

  Inputs(const AttentionSizes& s, Rng& rng)
      : x{drawn_vector<T>(s.B * s.N * s.D, rng)},
        weight{drawn_vector<T>(3 * s.D * s.D, rng)},
        bias{drawn_vector<T>(3 * s.D, rng)},
        score_bias{drawn_vector<T>(s.B * s.N, rng)},
        dy{drawn_vector<T>(s.B * s.D, rng)} {
    for (T& w : weight) w /= std::sqrt(static_cast<T>(s.D));
  }
};

/// y, dx, dweight, dbias.
template <class T>
using Results = std::vector<std::vector<T>>;

template <class T>
Results<T> results(const AttentionSizes& s, const Inputs<T>& in, bool with_bias) {
  Results<T> r{std::vector<T>(in.dy.size()), std::vector<T>(in.x.size(), T{9}),
               std::vector<T>(in.weight.size(), T{9}), std::vector<T>(in.bias.size(), T{9})};
  std::vector<T> memory(at(ClsSelfKept<T>::numbers(s) + 1), T{7});
  const ClsSelfKept<T> kept{memory.data(), s};
  cls_self_attention_forward(in.x.data(), in.weight.data(), in.bias.data(),
                             with_bias ? in.score_bias.data() : nullptr, r[0].data(), kept, s);
  cls_self_attention_backward(in.x.data(), in.weight.data(), kept, in.dy.data(), r[1].data(),
                              r[2].data(), r[3].data(), s);
  CHECK(memory.back() == T{7});
  return r;
}

/// The same by queries, keys and values of all tokens.
template <class T>
Results<T> plain_results(const AttentionSizes& s, const Inputs<T>& in, bool with_bias) {
  Results<T> r{std::vector<T>(in.dy.size()), std::vector<T>(in.x.size()),
               std::vector<T>(in.weight.size()), std::vector<T>(in.bias.size())};
  std::vector<T> qkv(3 * in.x.size()), dqkv(qkv.size()), probabilities(at(s.B * s.H * s.N));
  const Index rows = s.B * s.N;
  const Matrix<const T> x{in.x.data(), rows, s.D, s.D};
  const Matrix<const T> weight{in.weight.data(), 3 * s.D, s.D, s.D};
  linear_forward<T>(x, weight, in.bias.data(), dense(qkv.data(), rows, 3 * s.D));
  cls_attention_forward(qkv.data(), r[0].data(), probabilities.data(), s,
                        with_bias ? in.score_bias.data() : nullptr);
  cls_attention_backward(qkv.data(), probabilities.data(), in.dy.data(), dqkv.data(), s);
  const Matrix<const T> slopes{dqkv.data(), rows, 3 * s.D, 3 * s.D};
  linear_input_gradient<T>(slopes, weight, dense(r[1].data(), rows, s.D));
  linear_weight_gradient<T>(slopes, x, dense(r[2].data(), 3 * s.D, s.D));
  add_column_sums<T>(slopes, r[3].data());
  return r;
}

}  // namespace

TEMPLATE_TEST_CASE("cls_self_attention: what keys and values of all tokens give",
                   "[kernel][cls_self_attention]", float, double) {
  using T = TestType;
  Rng rng{.seed = 43};
  std::vector<AttentionSizes> sizes;
  for (const Index N : {1, 2, 16, 17, 65}) sizes.push_back({.B = 3, .N = N, .D = 10, .H = 2});
  for (const Index d : {1, 3, 16, 33}) sizes.push_back({.B = 1, .N = 7, .D = 3 * d, .H = 3});
  sizes.push_back({.B = 100, .N = 5, .D = 32, .H = 1});
  sizes.push_back({.B = 0, .N = 5, .D = 4, .H = 2});
  for (const AttentionSizes& s : sizes)
    for (const bool with_bias : {false, true}) {
      INFO("B " << s.B << ", N " << s.N << ", D " << s.D << ", H " << s.H);
      const Inputs<T> in{s, rng};
      const auto ours = results(s, in, with_bias), plain = plain_results(s, in, with_bias);
      for (std::size_t i = 0; i < ours.size(); ++i) {
        INFO("result " << i);
        CHECK(apart(ours[i], plain[i]) <= 256 * unit<T>);
      }
      for (Index i = s.D; i < 2 * s.D; ++i) CHECK(ours[3][at(i)] == 0);  // the bias of keys
    }
}

TEMPLATE_TEST_CASE("cls_self_attention: sharp scores and equal tokens",
                   "[kernel][cls_self_attention]", float, double) {
  using T = TestType;
  Rng rng{.seed = 44};
  const AttentionSizes s{.B = 1, .N = 6, .D = 8, .H = 2};
  Inputs<T> in{s, rng};
  for (T& v : in.x) v *= T{1e4};  // CLS looks at one token alone
  for (const auto& result : results(s, in, false)) CHECK(apart(result, result) == 0);  // finite
  std::fill(in.x.begin(), in.x.end(), T{0});  // values are their bias
  const std::vector<T> y = results(s, in, false)[0];
  for (Index j = 0; j < s.D; ++j) CHECK(y[at(j)] == in.bias[at(2 * s.D + j)]);
}

TEST_CASE("cls_self_attention: the same bits for any number of threads",
          "[kernel][cls_self_attention]") {
  Rng rng{.seed = 45};
  const AttentionSizes s{.B = 130, .N = 9, .D = 48, .H = 3};
  const Inputs<float> in{s, rng};
  const auto run = [&](int threads) {
    return with_threads(threads, [&] { return results(s, in, true); });
  };
  const auto once = run(1);
  for (const int threads : {2, 3, 8}) CHECK(run(threads) == once);
}

}  // namespace splitvit::kernel
