// SPDX-License-Identifier: MIT
#include <splitvit/kernel/block.hpp>

#include "support/catch.hpp"

// What it computes is compared with its parts in autograd/ops/block_test.cpp.

namespace splitvit::kernel {

TEST_CASE("block: pieces cover the batch, and slots the pieces", "[kernel][block]") {
  for (const Index B : {0, 1, 2, 7, 40, 128, 1000})
    for (const Index N : {1, 20, 65, 197, 577}) {
      const BlockSizes s{.B = B, .N = N, .D = 192, .H = 3, .hidden = 768};
      CHECK(s.samples_a_piece() >= 1);
      CHECK((s.samples_a_piece() == 1 || s.samples_a_piece() * N <= 256));
      CHECK(s.pieces() * s.samples_a_piece() >= B);
      CHECK((s.pieces() - 1) * s.samples_a_piece() < std::max<Index>(B, 1));
      CHECK(s.slots() <= s.pieces());
      CHECK((B == 0 || s.slots() >= 1));
      if (B >= 8) CHECK(s.pieces() >= 4);
    }
  CHECK(BlockSizes{.B = 32, .N = 197, .D = 192, .H = 3, .hidden = 768}.slots() == 8);
  CHECK(BlockSizes{.B = 32, .N = 197, .D = 768, .H = 12, .hidden = 3072}.slots() == 4);
}

TEST_CASE("block: the parts of its memory lie beside each other", "[kernel][block]") {
  const BlockSizes s{.B = 6, .N = 5, .D = 8, .H = 2, .hidden = 12};
  std::vector<float> memory(
      static_cast<std::size_t>(BlockKept<float>::numbers(s.B, s, Checkpointing::store)));
  const BlockKept<float> all{memory.data(), s.B, s, Checkpointing::store};
  CHECK(all.log_sums + s.H * s.B * s.N == memory.data() + memory.size());
  const BlockKept<float> part = all.from(4, s);
  CHECK(part.qkv == all.qkv + 4 * 5 * 24);
  CHECK(part.log_sums == all.log_sums + 4 * 5 * 2);
  CHECK(part.before == all.before + 4 * 5 * 12);
  CHECK(part.norm2(10).scale == part.norm_rows + 30);

  std::vector<float> little(
      static_cast<std::size_t>(BlockKept<float>::numbers(s.B, s, Checkpointing::recompute)));
  CHECK(little.size() == 6 * 5 * (8 + 2));
  BlockKept<float> attention =
      BlockKept<float>{little.data(), s.B, s, Checkpointing::recompute}.from(5, s);
  CHECK(attention.log_sums + 5 * 2 == little.data() + little.size());
  CHECK_FALSE(attention.has_rest());
  attention.place_rest(memory.data(), 1, s);
  CHECK(attention.has_rest());
  CHECK(attention.norm_rows + 4 * 5 == memory.data() + BlockKept<float>::rest_numbers(1, s));
}

TEST_CASE("block: how many parameters it has", "[kernel][block]") {
  const BlockSizes s{.B = 6, .N = 5, .D = 8, .H = 2, .hidden = 12};
  Index sum = 0;
  for (const Index size : s.part_sizes()) sum += size;
  CHECK(sum == s.parameters());
  CHECK(s.parameters() == 4 * 8 + 24 * 9 + 8 * 9 + 12 * 9 + 8 * 13);
}

}  // namespace splitvit::kernel
