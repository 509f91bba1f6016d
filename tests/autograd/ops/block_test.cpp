// SPDX-License-Identifier: MIT
#include <array>
#include <span>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/activation.hpp>
#include <splitvit/autograd/ops/block.hpp>
#include <splitvit/autograd/ops/layer_norm.hpp>
#include <splitvit/autograd/ops/linear.hpp>
#include <splitvit/core/parallel.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

namespace splitvit {

namespace {

struct Sizes {
  Index B, N, D, H, hidden;
};

template <class T>
BlockVariables<T> drawn_block(const Sizes& s, Rng& rng) {
  const std::array<Shape, 12> shapes{Shape{s.D},      Shape{s.D},           Shape{3 * s.D, s.D},
                                     Shape{3 * s.D},  Shape{s.D, s.D},      Shape{s.D},
                                     Shape{s.D},      Shape{s.D},           Shape{s.hidden, s.D},
                                     Shape{s.hidden}, Shape{s.D, s.hidden}, Shape{s.D}};
  BlockVariables<T> parameters;
  for (std::size_t i = 0; i < shapes.size(); ++i)
    parameters[i] = Variable<T>::parameter(scale(test::drawn<T>(shapes[i], rng), T(0.2)));
  return parameters;
}

/// The block from small operations: the plain version of the fused one.
template <class T>
AttentionOutput<T> plain_block(const Variable<T>& x, const BlockVariables<T>& p, Index heads,
                               const Tensor<T>& bias = {}) {
  AttentionOutput<T> out =
      attention(linear(layer_norm(x, p[0], p[1]), p[2], p[3]), heads, NeedWeights::cls, bias);
  const auto middle = add(x, linear(out.y, p[4], p[5]));
  out.y =
      add(middle, linear(gelu(linear(layer_norm(middle, p[6], p[7]), p[8], p[9])), p[10], p[11]));
  return out;
}

/// Value, CLS attention and all gradients, x first.
template <class T, class Block>
std::vector<Tensor<T>> results(const Sizes& s, const Block& block) {
  Rng rng{.seed = 4};
  const auto x = Variable<T>::parameter(test::drawn<T>({s.B, s.N, s.D}, rng));
  const BlockVariables<T> parameters = drawn_block<T>(s, rng);
  const AttentionOutput<T> out = block(x, parameters);
  std::vector<Tensor<T>> all{out.y.value(), out.cls_attention};
  backward(out.y, test::drawn<T>({s.B, s.N, s.D}, rng));
  all.push_back(x.gradient());
  for (const auto& parameter : parameters) all.push_back(parameter.gradient());
  return all;
}

}  // namespace

TEMPLATE_TEST_CASE("transformer_block: what its parts compute, sizes odd and even", "[autograd]",
                   float, double) {
  using T = TestType;
  for (const Sizes& s : {Sizes{3, 5, 12, 3, 20}, Sizes{1, 1, 4, 1, 4}, Sizes{40, 17, 24, 2, 33},
                         Sizes{2, 131, 16, 2, 64}, Sizes{9, 65, 32, 4, 128}}) {
    INFO(s.B << " x " << s.N << " x " << s.D);
    const auto ours = results<T>(s, [&](const auto& x, const auto& p) {
      return transformer_block(x, p, s.H, T(1e-6), NeedWeights::cls);
    });
    const auto plain =
        results<T>(s, [&](const auto& x, const auto& p) { return plain_block(x, p, s.H); });
    for (std::size_t i = 0; i < ours.size(); ++i) {
      INFO("result " << i);
      double largest = 0;
      for (const T v : plain[i].span())
        largest = std::max(largest, std::abs(static_cast<double>(v)));
      CHECK(test::apart(ours[i], plain[i]) <= 200 * test::unit<T> * (1 + largest));
    }
  }
}

TEMPLATE_TEST_CASE("transformer_block: a bias of the scores, stored or computed once more",
                   "[autograd]", float, double) {
  using T = TestType;
  const Sizes s{9, 33, 12, 3, 20};
  Rng rng{.seed = 8};
  const auto bias = test::drawn<T>({s.B, s.N}, rng);
  const auto plain =
      results<T>(s, [&](const auto& x, const auto& p) { return plain_block(x, p, s.H, bias); });
  for (const Checkpointing way : {Checkpointing::store, Checkpointing::recompute}) {
    const auto ours = results<T>(s, [&](const auto& x, const auto& p) {
      return transformer_block(x, p, s.H, T(1e-6), NeedWeights::cls, way, bias);
    });
    for (std::size_t i = 0; i < ours.size(); ++i) {
      INFO("result " << i);
      CHECK(test::apart(ours[i], plain[i]) <= 2000 * test::unit<T>);
    }
  }
  const auto block = drawn_block<T>(s, rng);
  const Variable<T> x{test::drawn<T>({2, 3, s.D}, rng)};
  CHECK_THROWS_AS(transformer_block(x, block, s.H, T(1e-6), NeedWeights::none, Checkpointing::store,
                                    Tensor<T>{{2, 4}}),
                  ShapeError);
}

TEST_CASE("transformer_block: the same bits for any number of threads", "[autograd]") {
  const Sizes s{23, 9, 16, 2, 32};
  const auto run = [&](int threads) {
    return with_threads(threads, [&] {
      return results<float>(s, [&](const auto& x, const auto& p) {
        return transformer_block(x, p, s.H, 1e-6f, NeedWeights::cls);
      });
    });
  };
  const auto one = run(1);
  for (const int threads : {2, 3, 8}) {
    const auto more = run(threads);
    for (std::size_t i = 0; i < one.size(); ++i) CHECK(test::equal_bits(one[i], more[i]));
  }
}

TEST_CASE("transformer_block: computed once more instead of stored, the same bits", "[autograd]") {
  for (const Sizes& s : {Sizes{23, 9, 16, 2, 32}, Sizes{40, 17, 24, 2, 33}}) {
    const auto run = [&](Checkpointing checkpointing) {
      return results<float>(s, [&](const auto& x, const auto& p) {
        return transformer_block(x, p, s.H, 1e-6f, NeedWeights::cls, checkpointing);
      });
    };
    const auto stored = run(Checkpointing::store);
    const auto recomputed = run(Checkpointing::recompute);
    for (std::size_t i = 0; i < stored.size(); ++i)
      CHECK(test::equal_bits(stored[i], recomputed[i]));
  }
}

TEST_CASE("transformer_block: bf16 gives what float32 gives", "[autograd]") {
  const Sizes s{9, 65, 32, 4, 128};
  const auto run = [&]<class Stored>(Stored, Checkpointing checkpointing = Checkpointing::store) {
    return results<float>(s, [&](const auto& x, const auto& p) {
      return transformer_block<float, Stored>(x, p, s.H, 1e-6f, NeedWeights::cls, checkpointing);
    });
  };
  const auto exact = run(0.0f), rounded = run(kernel::BrainPair{});
  const auto recomputed = run(kernel::BrainPair{}, Checkpointing::recompute);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    if (i == 3 + kernel::qkv_bias) continue;  // that of keys is zero but for roundings
    INFO("result " << i);
    CHECK(test::relative_error(rounded[i].span(), exact[i].span()) <= 0.02);
    CHECK(test::equal_bits(recomputed[i], rounded[i]));
  }
  CHECK_FALSE(test::equal_bits(rounded[0], exact[0]));
}

TEST_CASE("transformer_block: without a gradient the same bits, and nothing kept", "[autograd]") {
  const Sizes s{5, 7, 12, 3, 16};
  Rng rng{.seed = 8};
  const BlockVariables<float> learning = drawn_block<float>(s, rng);
  BlockVariables<float> fixed;
  for (std::size_t i = 0; i < fixed.size(); ++i)
    fixed[i] = Variable<float>{Tensor<float>{learning[i].value()}};
  const Variable<float> x{test::drawn<float>({s.B, s.N, s.D}, rng)};
  const auto with = transformer_block(x, learning, s.H, 1e-6f, NeedWeights::cls);
  const auto without = transformer_block(x, fixed, s.H, 1e-6f, NeedWeights::cls);
  CHECK(test::equal_bits(with.y.value(), without.y.value()));
  CHECK(test::equal_bits(with.cls_attention, without.cls_attention));
  CHECK_FALSE(without.y.requires_grad());
  // only x wants one
  const auto leaf = Variable<float>::parameter(Tensor<float>{x.value()});
  const auto again = Variable<float>::parameter(Tensor<float>{x.value()});
  const auto seed = test::drawn<float>({s.B, s.N, s.D}, rng);
  backward(transformer_block(leaf, fixed, s.H, 1e-6f).y, Tensor<float>{seed});
  backward(transformer_block(again, learning, s.H, 1e-6f).y, Tensor<float>{seed});
  CHECK(test::equal_bits(leaf.gradient(), again.gradient()));
  CHECK_FALSE(fixed[0].has_gradient());
}

TEST_CASE("transformer_block: wrong shapes are named", "[autograd]") {
  Rng rng{.seed = 9};
  const Sizes s{2, 3, 12, 3, 8};
  const Variable<float> x{test::drawn<float>({s.B, s.N, s.D}, rng)};
  BlockVariables<float> parameters = drawn_block<float>(s, rng);
  CHECK_THROWS_AS(transformer_block(x, parameters, 5, 1e-6f), ShapeError);
  CHECK_THROWS_AS(transformer_block(x, parameters, 0, 1e-6f), ShapeError);
  parameters[kernel::proj_bias] = parameters[kernel::fc1_bias];
  CHECK_THROWS_WITH(transformer_block(x, parameters, s.H, 1e-6f),
                    ContainsSubstring("parameter 5 of 12"));
}

}  // namespace splitvit
