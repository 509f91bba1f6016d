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

TEST_CASE("block: the arrays of a piece lie beside each other", "[kernel][block]") {
  const BlockSizes s{.B = 6, .N = 5, .D = 8, .H = 2, .hidden = 12};
  REQUIRE(s.samples_a_piece() == 1);
  CHECK(s.attention_numbers() == 64);  // 5 (8 + 2), in whole lines
  CHECK(s.other_numbers() == 240);     // 5 (32 + 12 + 4)
  CHECK(s.stored_numbers(Checkpointing::store) == 304);
  CHECK(s.stored_numbers(Checkpointing::recompute) == 64);
  std::vector<float> memory(304);
  Scratch<float> scratch;
  const detail::BlockKept<float> all{memory.data(), Checkpointing::store, scratch, 5, s};
  CHECK(scratch.data() == nullptr);
  CHECK(all.attended == memory.data());
  CHECK(all.log_sums == memory.data() + 5 * 8);
  CHECK(all.qkv == memory.data() + 64);
  CHECK(all.norm2(5).scale + 5 == memory.data() + 304);

  const detail::BlockKept<float> some{memory.data(), Checkpointing::recompute, scratch, 5, s};
  CHECK(some.log_sums == all.log_sums);
  CHECK(some.qkv == scratch.data());
  Scratch<float> own;
  const detail::BlockKept<float> none{nullptr, Checkpointing::recompute, own, 5, s};
  CHECK(none.attended == own.data());
  CHECK(none.qkv == own.data() + 64);
}

TEST_CASE("block: how many parameters it has", "[kernel][block]") {
  const BlockSizes s{.B = 6, .N = 5, .D = 8, .H = 2, .hidden = 12};
  Index sum = 0;
  for (const Index size : s.part_sizes()) sum += size;
  CHECK(sum == s.parameters());
  CHECK(s.parameters() == 4 * 8 + 24 * 9 + 8 * 9 + 12 * 9 + 8 * 13);
}

}  // namespace splitvit::kernel
