// SPDX-License-Identifier: MIT

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <span>
#include <vector>

#include <splitvit/core/random.hpp>
#include <splitvit/wire/labels.hpp>

#include "support/catch.hpp"

namespace splitvit::wire {
namespace {

using LabelBytes = std::vector<std::byte>;
using LabelIds = std::vector<Index>;

LabelBytes written(const Labels& labels, Index classes) {
  LabelBytes out;
  put_labels(labels, classes, out);
  return out;
}

LabelBytes label_bytes(std::initializer_list<int> values) {
  LabelBytes out;
  for (const int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

/// B drawn class ids in K rows.
Labels merged_ids(Index B, Index K, Index C, Rng& rng) {
  LabelIds ids, starts{0}, members;
  for (Index b = 0; b < B; ++b) ids.push_back(rng.below(C));
  for (Index k = 0; k < K; ++k) {
    for (Index b = k; b < B; b += K) members.push_back(b);
    starts.push_back(static_cast<Index>(members.size()));
  }
  return Labels{ids}.merge(starts, members);
}

Labels drawn_weights(Index K, Index C, Rng& rng) {
  std::vector<std::vector<ClassWeight>> rows;
  for (Index k = 0; k < K; ++k) {
    const auto share = static_cast<float>(rng.uniform());
    rows.push_back({{rng.below(C), share}, {rng.below(C), 1 - share}});
  }
  return Labels::weighted(rows);
}

Reason label_refusal(const LabelBytes& bytes, Index rows, Index classes) {
  try {
    read_labels(bytes, rows, classes);
  } catch (const WireError& error) {
    return error.reason();
  }
  FAIL("no WireError");
  return {};
}

}  // namespace

TEST_CASE("wire labels: one class a row is one id a row", "[wire]") {
  const auto check = [](const LabelIds& ids, Index classes, const LabelBytes& bytes) {
    CHECK(written(ids, classes) == bytes);
    CHECK(read_labels(bytes, static_cast<Index>(ids.size()), classes) == ids);
  };
  check({2, 0}, 3, label_bytes({0, 2, 0}));
  check({255}, 256, label_bytes({0, 255}));
  check({256}, 257, label_bytes({0, 0, 1}));
  check({65535}, 65536, label_bytes({0, 255, 255}));
  check({65536}, 65537, label_bytes({0, 0, 0, 1, 0}));
  check({0}, 1, label_bytes({0, 0}));
}

TEST_CASE("wire labels: merged rows are class lists", "[wire]") {
  const auto merged = Labels::from_lists({2, 4}, {0, 1, 1, 2}, RecycledVector<Index>{1, 2, 1, 1});
  const LabelBytes bytes = label_bytes({1, 3, 0, 0, 1, 1, 2, 0, 1, 2});
  CHECK(written(merged, 3) == bytes);
  CHECK(read_labels(bytes, 2, 3) == merged);
}

TEST_CASE("wire labels: counts are sent in lowest terms", "[wire]") {
  const auto even = Labels::from_lists({2, 3}, {0, 1, 2}, RecycledVector<Index>{2, 4, 5});
  CHECK(written(even, 3) == label_bytes({1, 3, 0, 0, 1, 1, 1, 0, 2}));
  // all rows are single ids
  CHECK(written(Labels::from_lists({1, 2}, {4, 0}, RecycledVector<Index>{3, 1}), 5) ==
        label_bytes({0, 4, 0}));
}

TEST_CASE("wire labels: weights", "[wire]") {
  const auto soft = Labels::weighted({{{1, 0.5f}, {0, 0.5f}}, {{2, 1.0f}}});  // 0.5f is 0 0 0 63
  const LabelBytes bytes =
      label_bytes({2, 2, 0, 0, 0, 0, 0, 63, 1, 0, 0, 0, 63, 1, 0, 2, 0, 0, 128, 63});
  CHECK(written(soft, 3) == bytes);
  CHECK(read_labels(bytes, 2, 3) == soft);
}

TEST_CASE("wire labels: 128 samples in 40 rows take at most 209 bytes", "[wire]") {
  Rng rng{.seed = 1};
  for (int run = 0; run < 200; ++run)
    REQUIRE(written(merged_ids(128, 40, 100, rng), 100).size() <= 209);
}

TEST_CASE("wire labels: what is written is read", "[wire]") {
  Rng rng{.seed = 2};
  for (int run = 0; run < 500; ++run) {
    const Index K = 1 + rng.below(12), C = 1 + rng.below(run % 10 == 0 ? 100000 : 20);
    const bool weighted = rng.below(2) == 0;
    const Labels labels =
        weighted ? drawn_weights(K, C, rng) : merged_ids(K + rng.below(30), K, C, rng);
    const LabelBytes bytes = written(labels, C);
    const Labels again = read_labels(bytes, K, C);
    REQUIRE(written(again, C) == bytes);
    if (weighted) REQUIRE(again == labels);
    for (Index k = 0; k < K && !weighted; ++k) {
      const Labels::Row a = labels.row(k), b = again.row(k);
      REQUIRE(std::ranges::equal(a.classes, b.classes));
      for (std::size_t c = 0; c < a.counts.size(); ++c)  // the same fractions
        REQUIRE(a.counts[c] * b.total() == b.counts[c] * a.total());
    }
  }
}

TEST_CASE("wire labels: merged weights at the edge of the tolerance are read", "[wire]") {
  Rng rng{.seed = 3};
  for (int run = 0; run < 100; ++run) {
    std::vector<std::vector<ClassWeight>> rows(7);
    for (auto& row : rows) {
      const auto share = static_cast<float>(rng.uniform(0.1, 0.9));
      row = {{rng.below(20), share}, {rng.below(20), 1.0000995f - share}};
    }
    const auto merged = Labels::weighted(rows).merge(LabelIds{0, 7}, LabelIds{0, 1, 2, 3, 4, 5, 6});
    REQUIRE(read_labels(written(merged, 20), 1, 20) == merged);
  }
}

TEST_CASE("wire labels: the longest list", "[wire]") {
  LabelBytes out = label_bytes({7});
  const auto put = [&](Index first, Index second) {
    put_labels(Labels::from_lists({2}, {0, 1}, RecycledVector<Index>{first, second}), 2, out);
  };
  CHECK_THROWS_WITH(put(65535, 1), "put_labels: row 0 has a list of 65536, wanted at most 65535");
  CHECK(out == label_bytes({7}));
  put(65534, 1);
  CHECK(out.size() == 1 + 1 + 2 + 65535);
  CHECK(read_labels(std::span{out}.subspan(1), 1, 2) ==
        Labels::from_lists({2}, {0, 1}, RecycledVector<Index>{65534, 1}));
  CHECK_NOTHROW(put(131068, 2));  // 65534 to 1
}

TEST_CASE("wire labels: the writer refuses what the reader would", "[wire]") {
  LabelBytes out = label_bytes({7});
  CHECK_THROWS_WITH(put_labels(Labels{}, 3, out), "put_labels: no rows, wanted at least one");
  CHECK_THROWS_WITH(put_labels(LabelIds{0, 3}, 3, out),
                    "put_labels: row 1 of the labels has class 3, wanted less than 3");
  CHECK(out == label_bytes({7}));
}

TEST_CASE("wire labels: hostile bytes are refused", "[wire]") {
  constexpr Index huge = std::numeric_limits<Index>::max() / 8;
  const auto refusal = [](std::initializer_list<int> bytes, Index rows, Index classes) {
    return label_refusal(label_bytes(bytes), rows, classes);
  };
  CHECK(refusal({}, 1, 2) == Reason::truncated);
  CHECK(refusal({3, 0}, 1, 2) == Reason::malformed);
  CHECK(refusal({255, 0}, 1, 2) == Reason::malformed);
  CHECK(refusal({0, 0}, 0, 2) == Reason::wrong_shape);
  CHECK(refusal({0, 0}, -1, 2) == Reason::wrong_shape);
  CHECK(refusal({0, 0}, 1, 0) == Reason::wrong_shape);
  for (const int mode : {0, 1, 2}) {
    CHECK(refusal({mode}, 1, 2) == Reason::truncated);
    CHECK(refusal({mode, 1, 0, 1}, huge, 2) == Reason::truncated);
    CHECK(refusal({mode, 1, 0, 1}, huge, huge) == Reason::truncated);
  }
  // Class ids.
  CHECK(refusal({0, 2}, 1, 2) == Reason::malformed);
  CHECK(refusal({0, 1}, 2, 2) == Reason::truncated);
  CHECK(refusal({0, 1, 1}, 1, 2) == Reason::malformed);
  CHECK(refusal({0, 0, 0, 0, 128}, 1, 65537) == Reason::malformed);
  // Class lists.
  CHECK(read_labels(label_bytes({1, 2, 0, 0, 1}), 1, 2).row(0).total() == 2);
  CHECK(refusal({1, 0, 0, 0}, 1, 2) == Reason::malformed);
  CHECK(refusal({1, 2, 0, 1, 0}, 1, 2) == Reason::malformed);
  CHECK(refusal({1, 2, 0, 0, 2}, 1, 2) == Reason::malformed);
  CHECK(refusal({1, 3, 0, 0, 1}, 1, 2) == Reason::truncated);
  CHECK(refusal({1, 255, 255, 0}, 1, 2) == Reason::truncated);
  CHECK(refusal({1, 1, 0, 0, 1}, 1, 2) == Reason::malformed);
  // Weighted: 1.0f is 0 0 128 63, 0.5f is 0 0 0 63.
  CHECK(read_labels(label_bytes({2, 1, 0, 1, 0, 0, 128, 63}), 1, 2).row(0).weights[0] == 1.0f);
  CHECK(refusal({2, 0, 0, 1, 0, 0, 128, 63}, 1, 2) == Reason::malformed);
  CHECK(refusal({2, 1, 0, 2, 0, 0, 128, 63}, 1, 2) == Reason::malformed);
  CHECK(refusal({2, 1, 0, 1, 0, 0, 0, 63}, 1, 2) == Reason::malformed);
  CHECK(refusal({2, 1, 0, 1, 0, 0, 192, 127}, 1, 2) == Reason::not_finite);
  CHECK(refusal({2, 1, 0, 1, 0, 0, 128, 127}, 1, 2) == Reason::not_finite);
  CHECK(refusal({2, 2, 0, 0, 0, 0, 128, 191, 1, 0, 0, 0, 64}, 1, 2) ==
        Reason::malformed);  // -1 and 2
  CHECK(refusal({2, 2, 0, 1, 0, 0, 0, 63, 1, 0, 0, 0, 63}, 1, 2) == Reason::malformed);
  CHECK(refusal({2, 2, 0, 1, 0, 0, 0, 63, 0, 0, 0, 0, 63}, 1, 2) == Reason::malformed);
  CHECK(refusal({2, 2, 0, 0, 0, 0, 0, 63, 1}, 1, 2) == Reason::truncated);
  CHECK(refusal({2, 1, 0, 1, 0, 0, 128, 63, 0}, 1, 2) == Reason::malformed);
}

TEST_CASE("wire labels: damaged bytes are refused or can be written again", "[wire]") {
  Rng rng{.seed = 4};
  for (int run = 0; run < 3000; ++run) {
    const Index K = 1 + rng.below(5), C = 1 + rng.below(12);
    LabelBytes bytes = written(
        rng.below(2) == 0 ? merged_ids(K + rng.below(9), K, C, rng) : drawn_weights(K, C, rng), C);
    for (Index i = 1 + rng.below(3); i > 0; --i)
      bytes[static_cast<std::size_t>(rng.below(static_cast<Index>(bytes.size())))] =
          static_cast<std::byte>(rng.below(256));
    if (rng.below(3) == 0) bytes.resize(static_cast<std::size_t>(rng.below(30)));
    try {
      const Labels labels = read_labels(bytes, K, C);
      REQUIRE_NOTHROW(written(labels, C));
    } catch (const WireError&) {
    }
  }
}

}  // namespace splitvit::wire
