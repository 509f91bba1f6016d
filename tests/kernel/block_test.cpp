// SPDX-License-Identifier: MIT
#include <cmath>
#include <vector>

#include <splitvit/kernel/block.hpp>

#include "kernel/grid.hpp"
#include "support/catch.hpp"

// What it computes is compared with its parts in autograd/ops/block_test.cpp.

namespace splitvit::kernel {

namespace {

/// What a block gives from drawn numbers around `level`: y, the attention of CLS, dx, then all
/// gradients.
template <class Stored>
std::vector<std::vector<float>> block_results(const BlockSizes& s, Checkpointing checkpointing,
                                              float level = 0) {
  using test::at;
  Rng rng{.seed = 71};
  const Index numbers = s.B * s.N * s.D;
  auto x = test::drawn_vector<float>(numbers, rng);
  for (float& value : x) value += level;
  const auto dy = test::drawn_vector<float>(numbers, rng);
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
    const auto wanted = block_results<float>(s, Checkpointing::store, level);
    const auto ours = block_results<BrainPair>(s, Checkpointing::store, level);
    for (const std::size_t i : {std::size_t{2}, 3 + norm2_weight, 3 + norm1_weight, 3 + fc1_weight})
      CHECK(test::relative_error<float>(ours[i], wanted[i]) <= 0.01);
  }
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
