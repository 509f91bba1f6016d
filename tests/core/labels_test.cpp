// SPDX-License-Identifier: MIT

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include <splitvit/core/labels.hpp>
#include <splitvit/core/random.hpp>

#include "support/catch.hpp"

namespace splitvit {
namespace {

using Ids = std::vector<Index>;
using Counts = RecycledVector<Index>;
using Weights = RecycledVector<float>;

static_assert(std::convertible_to<std::vector<Index>, Labels>);
static_assert(std::convertible_to<std::span<const Index>, Labels>);
static_assert(std::regular<Labels>);

/// Each row as one list of ids, with every id as often as it is counted.
std::vector<Ids> lists_of(const Labels& labels) {
  std::vector<Ids> lists;
  for (Index i = 0; i < labels.row_count(); ++i) {
    const Labels::Row row = labels.row(i);
    lists.emplace_back();
    for (std::size_t c = 0; c < row.classes.size(); ++c)
      lists.back().insert(lists.back().end(), static_cast<std::size_t>(row.counts[c]),
                          row.classes[c]);
  }
  return lists;
}

}  // namespace

TEST_CASE("Labels: one class id a row", "[core]") {
  const Labels labels = Ids{3, 0, 3};
  CHECK(labels.row_count() == 3);
  CHECK(!labels.is_weighted());
  CHECK(lists_of(labels) == std::vector<Ids>{{3}, {0}, {3}});
  CHECK(labels.row(0).argmax() == 3);
  CHECK(labels.row(0).total() == 1);
  CHECK(labels.row(0).weights.empty());
  CHECK(labels == Ids{3, 0, 3});
  CHECK(labels != Ids{3, 0});
  CHECK(Labels{}.empty());
  CHECK(Labels{Ids{}} == Labels{});
}

TEST_CASE("Labels: soft labels are sorted, and equal classes added", "[core]") {
  const auto labels =
      Labels::weighted({{{5, 0.25f}, {2, 0.75f}}, {{4, 0.5f}, {4, 0.5f}}, {{1, 0.0f}, {0, 1.0f}}});
  CHECK(labels.is_weighted());
  CHECK(labels ==
        Labels::from_lists({2, 3, 5}, {2, 5, 4, 0, 1}, Weights{0.75f, 0.25f, 1.0f, 1.0f, 0.0f}));
  CHECK(labels.row(0).counts.empty());
  CHECK(labels.row(0).argmax() == 2);
  CHECK(Labels::weighted({{{7, 0.5f}, {6, 0.5f}}}).row(0).argmax() == 6);
  CHECK(Labels::weighted({{{0, 1.0f}}}) != Labels{Ids{0}});  // of different kinds
}

TEST_CASE("Labels: gather takes rows in the order that is asked for", "[core]") {
  const Ids rows{2, 0, 2};
  CHECK(Labels{Ids{7, 8, 9}}.gather(rows) == Ids{9, 7, 9});
  const auto soft = Labels::weighted({{{0, 1.0f}}, {{1, 1.0f}}, {{2, 0.5f}, {3, 0.5f}}});
  CHECK(soft.gather(rows) ==
        Labels::weighted({{{2, 0.5f}, {3, 0.5f}}, {{0, 1.0f}}, {{2, 0.5f}, {3, 0.5f}}}));
  CHECK(soft.gather(Ids{}).row_count() == 0);
  CHECK_THROWS_WITH(soft.gather(Ids{0, 3}), "Labels: row 3, wanted 0 to 2");
  CHECK_THROWS_AS(soft.gather(Ids{-1}), std::invalid_argument);
}

TEST_CASE("Labels: merge adds counts", "[core]") {
  const Labels labels = Ids{4, 1, 4, 0, 4};
  const auto merged = labels.merge(Ids{0, 3, 5}, Ids{0, 1, 2, 3, 4});
  CHECK(merged == Labels::from_lists({2, 4}, {1, 4, 0, 4}, Counts{1, 2, 1, 1}));
  CHECK(lists_of(merged) == std::vector<Ids>{{1, 4, 4}, {0, 4}});
  // merged rows are merged further
  const auto once_more = merged.merge(Ids{0, 2}, Ids{0, 1});
  CHECK(lists_of(once_more) == std::vector<Ids>{{0, 1, 4, 4, 4}});
  CHECK(once_more == labels.merge(Ids{0, 5}, Ids{0, 1, 2, 3, 4}));
  // a group of one stays as it is
  CHECK(merged.merge(Ids{0, 1, 2}, Ids{0, 1}) == merged);
}

TEST_CASE("Labels: merge takes the mean of weights", "[core]") {
  const auto labels =
      Labels::weighted({{{0, 0.5f}, {2, 0.5f}}, {{2, 1.0f}}, {{1, 0.1f}, {3, 0.9f}}});
  const auto merged = labels.merge(Ids{0, 2, 3}, Ids{0, 1, 2});
  CHECK(merged == Labels::from_lists({2, 4}, {0, 2, 1, 3}, Weights{0.25f, 0.75f, 0.1f, 0.9f}));
  // one division and one rounding
  const auto third = labels.merge(Ids{0, 3}, Ids{0, 1, 2}).row(0).weights[3];
  CHECK(third == static_cast<float>(static_cast<double>(0.9f) / 3));
}

TEST_CASE("Labels: merged rows list all ids of their members, by plain loops", "[core]") {
  Rng rng{.seed = 3};
  for (int run = 0; run < 200; ++run) {
    const Index B = 1 + rng.below(20), K = 1 + rng.below(B), C = 1 + rng.below(9);
    Ids ids, starts{0}, members;
    for (Index b = 0; b < B; ++b) ids.push_back(rng.below(C));
    std::vector<Ids> wanted;
    for (Index k = 0; k < K; ++k) {
      wanted.emplace_back();
      for (Index b = k; b < B; b += K) {
        members.push_back(b);
        wanted.back().push_back(ids[static_cast<std::size_t>(b)]);
      }
      std::ranges::sort(wanted.back());
      starts.push_back(static_cast<Index>(members.size()));
    }
    REQUIRE(lists_of(Labels{ids}.merge(starts, members)) == wanted);
  }
}

TEST_CASE("Labels: class ids are checked where the number of classes is known", "[core]") {
  const auto merged = Labels{Ids{0, 3, 2}}.merge(Ids{0, 1, 3}, Ids{0, 1, 2});
  CHECK_NOTHROW(merged.require_classes("train_step", 4));
  CHECK_THROWS_WITH(merged.require_classes("train_step", 3),
                    "train_step: row 1 of the labels has class 3, wanted less than 3");
  CHECK_NOTHROW(Labels{}.require_classes("train_step", 0));
}

TEST_CASE("Labels: misuse", "[core]") {
  CHECK_THROWS_WITH(Labels(Ids{0, -1}), "Labels: row 1 has class -1, wanted 0 or more");
  const auto soft = [](float a, float b) { Labels::weighted({{{0, 1.0f}}, {{0, a}, {1, b}}}); };
  CHECK_NOTHROW(soft(0.5f, 0.50009f));
  CHECK_THROWS_WITH(soft(0.5f, 0.75f),
                    "Labels: row 1 has weights that sum to 1.250000, wanted 1 (+- 1e-4)");
  CHECK_THROWS_AS(soft(0.5f, 0.49985f), std::invalid_argument);
  CHECK_THROWS_WITH(soft(1.5f, -0.5f), ContainsSubstring("row 1 has weight -0.5"));
  CHECK_THROWS_AS(soft(std::nanf(""), 1.0f), std::invalid_argument);
  CHECK_THROWS_AS(soft(0, std::numeric_limits<float>::infinity()), std::invalid_argument);
  CHECK_THROWS_WITH(Labels::weighted({{{0, 1.0f}}, {}}),
                    "Labels: row 1 has no class, wanted at least one");
  CHECK_THROWS_AS(Labels::weighted({{{-2, 1.0f}}}), std::invalid_argument);

  const auto lists = [](Counts ends, Counts classes, Counts counts) {
    Labels::from_lists(std::move(ends), std::move(classes), std::move(counts));
  };
  CHECK_NOTHROW(lists({2}, {0, 1}, {1, 1}));
  CHECK_THROWS_AS(lists({2}, {0, 1}, {1}), std::invalid_argument);
  CHECK_THROWS_AS(lists({1}, {0, 1}, {1, 1}), std::invalid_argument);
  CHECK_THROWS_AS(lists({3}, {0, 1}, {1, 1}), std::invalid_argument);
  CHECK_THROWS_AS(lists({0, 2}, {0, 1}, {1, 1}), std::invalid_argument);
  CHECK_THROWS_AS(lists({2, 1}, {0, 1}, {1, 1}), std::invalid_argument);
  CHECK_THROWS_AS(lists({-1}, {}, {}), std::invalid_argument);
  CHECK_THROWS_WITH(lists({2}, {1, 1}, {1, 1}), ContainsSubstring("class 1 after class 1"));
  CHECK_THROWS_AS(lists({2}, {1, 0}, {1, 1}), std::invalid_argument);
  CHECK_THROWS_AS(lists({1}, {-1}, {1}), std::invalid_argument);
  CHECK_THROWS_WITH(lists({1, 2}, {0, 1}, {1, 0}), ContainsSubstring("row 1 has count 0"));
  CHECK_THROWS_AS(lists({2}, {0, 1}, {Labels::largest_count, 1}), std::invalid_argument);
  CHECK_THROWS_AS(Labels::from_lists({1}, {0}, Weights{0.9f}), std::invalid_argument);

  const Labels three = Ids{0, 1, 2};
  const auto merge = [&](const Ids& starts, const Ids& members) { three.merge(starts, members); };
  CHECK_THROWS_AS(merge({}, {}), std::invalid_argument);
  CHECK_THROWS_AS(merge({1, 2}, {0, 1}), std::invalid_argument);
  CHECK_THROWS_AS(merge({0, 1}, {0, 1}), std::invalid_argument);
  CHECK_THROWS_WITH(merge({0, 2, 2}, {0, 1}), ContainsSubstring("group 1 has no members"));
  CHECK_THROWS_AS(merge({0, 3, 2}, {0, 1}), std::invalid_argument);
  CHECK_THROWS_AS(merge({0, 1}, {3}), std::invalid_argument);
  CHECK_THROWS_AS(three.row(3), std::invalid_argument);
}

}  // namespace splitvit
