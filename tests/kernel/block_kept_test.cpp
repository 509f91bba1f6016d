// SPDX-License-Identifier: MIT
#include <vector>

#include <splitvit/kernel/block_kept.hpp>

#include "kernel/grid.hpp"
#include "support/catch.hpp"

namespace splitvit::kernel {

TEST_CASE("block_kept: pieces cover the batch, and slots the pieces", "[kernel][block_kept]") {
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

TEST_CASE("block_kept: the arrays of a piece lie beside each other", "[kernel][block_kept]") {
  const BlockSizes s{.B = 6, .N = 5, .D = 8, .H = 2, .hidden = 12};
  REQUIRE(s.samples_a_piece() == 1);
  CHECK(s.attention_numbers() == 64);  // 5 (8 + 2), in whole lines
  CHECK(s.other_numbers() == 240);     // 5 (32 + 12 + 4)
  CHECK(s.stored_numbers<float>(Checkpointing::store) == 304);
  CHECK(s.stored_numbers<float>(Checkpointing::recompute) == 64);
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

TEST_CASE("block_kept: how many parameters it has", "[kernel][block_kept]") {
  const BlockSizes s{.B = 6, .N = 5, .D = 8, .H = 2, .hidden = 12};
  Index sum = 0;
  for (const Index size : s.part_sizes()) sum += size;
  CHECK(sum == s.parameters());
  CHECK(s.parameters() == 4 * 8 + 24 * 9 + 8 * 9 + 12 * 9 + 8 * 13);
}

TEST_CASE("block_kept: as pairs, rounded numbers come back, sums and norms as they were",
          "[kernel][block_kept]") {
  for (const BlockSizes& s : {BlockSizes{.B = 1, .N = 5, .D = 9, .H = 3, .hidden = 7},
                              BlockSizes{.B = 1, .N = 33, .D = 64, .H = 2, .hidden = 96}})
    for (const Checkpointing way : {Checkpointing::store, Checkpointing::recompute}) {
      INFO(s.N << " x " << s.D);
      using test::at;
      Rng rng{.seed = 5};
      std::vector<float> stored(at(s.stored_numbers<BrainPair>(way) + 1), 7.0f);
      Scratch<float> before, after;
      const detail::KeptMemory<float, BrainPair> saved{stored.data(), way, before, s.N, s};
      const Index D = s.N * s.D, others = s.N * (3 * s.D + s.hidden);
      const auto fill = [&](float* to, Index n) {
        for (Index i = 0; i < n; ++i) to[i] = static_cast<float>(rng.normal());
      };
      fill(saved.kept().attended, D);
      fill(saved.kept().log_sums, s.N * s.H);
      fill(saved.kept().qkv, others);
      fill(saved.kept().norm_rows, 4 * s.N);
      saved.save();
      CHECK(stored.back() == 7.0f);
      const detail::KeptMemory<float, BrainPair> loaded{stored.data(), way, after, s.N, s};
      loaded.load();
      const auto wrong = [](const float* a, const float* b, Index n, bool rounded) {
        int count = 0;
        for (Index i = 0; i < n; ++i) count += a[i] != (rounded ? test::to_brain(b[i]) : b[i]);
        return count;
      };
      CHECK(wrong(loaded.kept().attended, saved.kept().attended, D, true) == 0);
      CHECK(wrong(loaded.kept().log_sums, saved.kept().log_sums, s.N * s.H, false) == 0);
      if (way == Checkpointing::store) {
        CHECK(wrong(loaded.kept().qkv, saved.kept().qkv, others, true) == 0);
        CHECK(wrong(loaded.kept().norm_rows, saved.kept().norm_rows, 4 * s.N, false) == 0);
      } else {
        std::copy_n(saved.kept().qkv, others, loaded.kept().qkv);
        std::copy_n(saved.kept().norm_rows, 4 * s.N, loaded.kept().norm_rows);
        loaded.round();
        CHECK(wrong(loaded.kept().qkv, saved.kept().qkv, others, true) == 0);
        CHECK(wrong(loaded.kept().norm_rows, saved.kept().norm_rows, 4 * s.N, false) == 0);
      }
    }
  const BlockSizes deit{.B = 32, .N = 197, .D = 192, .H = 3, .hidden = 768};
  CHECK(deit.stored_numbers<BrainPair>(Checkpointing::store) <
        deit.stored_numbers<float>(Checkpointing::store) * 46 / 100);
}

}  // namespace splitvit::kernel
