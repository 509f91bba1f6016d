// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <splitvit/kernel/block.hpp>

#include "kernel/grid.hpp"
#include "support/catch.hpp"

// What it computes is compared with its parts in autograd/ops/block_test.cpp.

namespace splitvit::kernel {

namespace {

/// What a block gives from drawn numbers that change(x, dy) has changed: y, the attention of CLS,
/// dx, then all gradients.
template <class Stored>
std::vector<std::vector<float>> block_results(const BlockSizes& s, Checkpointing checkpointing,
                                              const auto& change) {
  using test::at;
  Rng rng{.seed = 71};
  const Index numbers = s.B * s.N * s.D;
  auto x = test::drawn_vector<float>(numbers, rng);
  auto dy = test::drawn_vector<float>(numbers, rng);
  change(x, dy);
  std::vector<std::vector<float>> parameters, out{x, std::vector<float>(at(s.B * s.N)), dy};
  BlockPointers<const float> values;
  BlockPointers<float> gradients;
  for (const Index size : s.part_sizes()) {
    parameters.push_back(test::drawn_vector<float>(size, rng));
    const float scale =
        size > s.hidden && size > 3 * s.D ? 1 / std::sqrt(static_cast<float>(s.D)) : 0.2f;
    for (float& v : parameters.back()) v *= scale;
    out.emplace_back(at(size));
  }
  for (std::size_t i = 0; i < block_parts; ++i) {
    values[i] = parameters[i].data();
    gradients[i] = out[3 + i].data();
  }
  std::vector<float> stored(at(s.pieces() * s.stored_numbers<Stored>(checkpointing)));
  block_forward<float, Stored>(x.data(), nullptr, values, 1e-6f, out[0].data(), out[1].data(),
                               stored.data(), checkpointing, s);
  block_backward<float, Stored>(x.data(), nullptr, dy.data(), stored.data(), checkpointing, values,
                                1e-6f, out[2].data(), &gradients, s);
  return out;
}
template <class Stored>
auto block_results(const BlockSizes& s, Checkpointing checkpointing) {
  return block_results<Stored>(s, checkpointing, [](auto&, auto&) {});
}

}  // namespace

TEST_CASE("block: pairs of bfloat16 give what float gives, within 1 %", "[kernel][block]") {
  // Roundings are independent, so the error of a product's sums is about 2^-9 of their norm,
  // whatever their length; it grows with the number of products in a row, at most ten.
  for (const BlockSizes& s : {BlockSizes{.B = 3, .N = 65, .D = 192, .H = 3, .hidden = 768},
                              BlockSizes{.B = 5, .N = 17, .D = 30, .H = 2, .hidden = 50},
                              BlockSizes{.B = 1, .N = 197, .D = 64, .H = 1, .hidden = 256}}) {
    INFO(s.B << " x " << s.N << " x " << s.D);
    auto wanted = block_results<float>(s, Checkpointing::store);
    auto ours = block_results<BrainPair>(s, Checkpointing::store);
    CHECK(block_results<BrainPair>(s, Checkpointing::recompute) == ours);
    for (auto* const all :
         {&wanted, &ours})  // the gradient of keys' bias is zero but for roundings
      std::fill_n((*all)[3 + qkv_bias].begin() + s.D, s.D, 0.0f);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      INFO("result " << i);
      CHECK(test::relative_error<float>(ours[i], wanted[i]) <= 0.01);
    }
    CHECK(test::relative_error<float>(ours[0], wanted[0]) > 1e-5);
  }
}

TEST_CASE("block: pairs keep the gradients of large, almost constant rows", "[kernel][block]") {
  const BlockSizes s{.B = 2, .N = 17, .D = 64, .H = 2, .hidden = 128};
  for (const float level : {20.0f, 100.0f}) {
    const auto raise = [&](std::vector<float>& x, std::vector<float>&) {
      for (float& value : x) value += level;
    };
    const auto wanted = block_results<float>(s, Checkpointing::store, raise);
    const auto ours = block_results<BrainPair>(s, Checkpointing::store, raise);
    for (const std::size_t i : {std::size_t{2}, 3 + norm2_weight, 3 + norm1_weight, 3 + fc1_weight})
      CHECK(test::relative_error<float>(ours[i], wanted[i]) <= 0.01);
  }
}

TEST_CASE("block: pairs end as float does with infinities, NaN and huge numbers, in their sample",
          "[kernel][block]") {
  const BlockSizes s{.B = 2, .N = 9, .D = 32, .H = 2, .hidden = 64};
  using Limits = std::numeric_limits<float>;
  const auto one = static_cast<std::ptrdiff_t>(s.N * s.D);  // the first sample's numbers
  for (const float extreme :
       {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(), 1e38f, -3e38f, 1e20f})
    for (const bool in_x : {true, false}) {
      INFO(extreme << (in_x ? " in x" : " in dy"));
      const auto change = [&](std::vector<float>& x, std::vector<float>& dy) {
        (in_x ? x : dy)[5] = extreme;
      };
      const auto usual = block_results<BrainPair>(s, Checkpointing::store);
      const auto exact = block_results<float>(s, Checkpointing::store, change);
      for (const Checkpointing way : {Checkpointing::store, Checkpointing::recompute}) {
        const auto ours = block_results<BrainPair>(s, way, change);
        for (const std::size_t i : {std::size_t{0}, std::size_t{2}}) {  // y and dx
          int different = 0;
          for (std::ptrdiff_t j = 0; j < one; ++j)
            different +=
                std::isfinite(ours[i][test::at(j)]) != std::isfinite(exact[i][test::at(j)]);
          CHECK(different == 0);
          CHECK(std::equal(ours[i].begin() + one, ours[i].end(), usual[i].begin() + one));
        }
      }
    }
}

TEST_CASE("block: pairs take numbers below 2^-126 for zero", "[kernel][block]") {
  const BlockSizes s{.B = 2, .N = 5, .D = 16, .H = 2, .hidden = 32};
  const auto with = [&](float number) {
    return block_results<BrainPair>(s, Checkpointing::store, [&](auto&, std::vector<float>& dy) {
      std::fill(dy.begin(), dy.end(), number);
    });
  };
  const auto zeros = with(0.0f);
  CHECK(zeros[2] == std::vector<float>(test::at(s.B * s.N * s.D)));
  CHECK(with(1e-39f) == zeros);
  CHECK(with(1e-36f)[2] != zeros[2]);
}

TEST_CASE("block: pairs give the same bits for any number of threads", "[kernel][block]") {
  const BlockSizes s{.B = 23, .N = 9, .D = 16, .H = 2, .hidden = 32};
  const auto run = [&](int threads) {
    return with_threads(threads, [&] { return block_results<BrainPair>(s, Checkpointing::store); });
  };
  const auto one = run(1);
  for (const int threads : {2, 3, 4, 8}) CHECK(run(threads) == one);
}

}  // namespace splitvit::kernel
