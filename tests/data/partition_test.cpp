// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <splitvit/data/partition.hpp>

#include "support/catch.hpp"
#include "support/image_sets.hpp"

using namespace splitvit;
using data::AnyPartition;
using data::Shares;

namespace {

/// So many samples of each class, one class after the other in turn.
std::vector<Index> label_cycle(Index samples, Index classes) {
  std::vector<Index> labels;
  for (Index i = 0; i < samples; ++i) labels.push_back(i % classes);
  return labels;
}

std::set<Index> classes_in(const std::vector<Index>& share, const std::vector<Index>& labels) {
  std::set<Index> classes;
  for (const Index sample : share) classes.insert(labels[static_cast<std::size_t>(sample)]);
  return classes;
}

/// The mean over clients of the share of its most frequent class.
double purity(const Shares& shares, const std::vector<Index>& labels) {
  double sum = 0;
  for (const auto& share : shares) {
    std::vector<double> counts(10);
    for (const Index sample : share)
      counts[static_cast<std::size_t>(labels[static_cast<std::size_t>(sample)])] += 1;
    sum += *std::ranges::max_element(counts) / static_cast<double>(share.size());
  }
  return sum / static_cast<double>(shares.size());
}

struct ForgetsSamples {
  Shares operator()(std::span<const Index>, Index clients, Rng) const {
    Shares shares(static_cast<std::size_t>(clients));
    for (Index i = 0; i < clients; ++i) shares[static_cast<std::size_t>(i)] = {i};
    return shares;
  }
};
struct GivesTwice {
  Shares operator()(std::span<const Index> labels, Index, Rng) const {
    std::vector<Index> all;
    for (Index i = 0; i < static_cast<Index>(labels.size()); ++i) all.push_back(i);
    return {all, all};
  }
};
static_assert(data::Partition<ForgetsSamples> && data::Partition<AnyPartition>);
static_assert(!data::Partition<int>);

}  // namespace

TEST_CASE("partition: every sample belongs to one client, and each client has some", "[data]") {
  const std::string text = GENERATE(values<std::string>(
      {"iid", "dirichlet:0.001", "dirichlet:0.1", "dirichlet:100", "by-class:2", "by-class:10"}));
  const auto [samples, clients] = GENERATE(
      values<std::pair<Index, Index>>({{1000, 10}, {1000, 7}, {60, 5}, {1000, 100}, {20, 20}}));
  CAPTURE(text, samples, clients);
  const auto labels = label_cycle(samples, 10);
  const AnyPartition partition = data::parse_partition(text);
  CHECK(partition.description() == text);
  if (text.starts_with("by-class") && samples == 20) return;  // too few samples of a class
  const Shares shares = data::make_shares(labels, clients, partition, 3);
  REQUIRE(static_cast<Index>(shares.size()) == clients);
  std::set<Index> seen;
  for (const auto& share : shares) {
    CHECK(!share.empty());
    CHECK(std::ranges::is_sorted(share));
    seen.insert(share.begin(), share.end());
  }
  CHECK(static_cast<Index>(seen.size()) == samples);
  CHECK(shares == data::make_shares(labels, clients, partition, 3));
  CHECK(shares != data::make_shares(labels, clients, partition, 4));
}

TEST_CASE("partition: iid shares are of equal size", "[data]") {
  const Shares shares = data::make_shares(label_cycle(103, 10), 10, data::Iid{}, 1);
  for (const auto& share : shares) CHECK((share.size() == 10 || share.size() == 11));
}

TEST_CASE("partition: by-class gives each client so many classes, evenly", "[data]") {
  const auto labels = label_cycle(600, 6);
  const Shares shares = data::make_shares(labels, 9, data::ByClass{.classes = 2}, 1);
  std::vector<int> holders(6);
  for (const auto& share : shares) {
    const auto classes = classes_in(share, labels);
    CHECK(classes.size() == 2);
    for (const Index one : classes) ++holders[static_cast<std::size_t>(one)];
    CHECK((share.size() == 66 || share.size() == 67 || share.size() == 68));
  }
  CHECK(holders == std::vector<int>(6, 3));
}

TEST_CASE("partition: by-class needs as many classes as there are, and samples for all", "[data]") {
  const auto labels = label_cycle(60, 6);
  const auto by_class = [&](Index classes, Index clients) {
    return data::make_shares(labels, clients, data::ByClass{classes}, 1);
  };
  CHECK_THROWS_WITH(by_class(7, 3), ContainsSubstring("by-class: 7 classes for each of 3 clients"));
  CHECK_THROWS_WITH(by_class(1, 5), ContainsSubstring("there are 6"));
  CHECK_THROWS_WITH(by_class(0, 5), ContainsSubstring("at least 1"));
  // Class 0 has one sample, and two clients get it.
  const std::vector<Index> few{0, 1, 1, 1};
  CHECK_THROWS_WITH(data::make_shares(few, 4, data::ByClass{1}, 1),
                    ContainsSubstring("gets no sample: 4 samples are too few"));
}

TEST_CASE("partition: the smaller alpha, the purer the shares", "[data]") {
  const auto labels = label_cycle(10000, 10);
  const auto purity_at = [&](double alpha) {
    return purity(data::make_shares(labels, 10, data::Dirichlet{alpha}, 5), labels);
  };
  CHECK(purity_at(1e5) == Approx(0.1).margin(0.01));
  CHECK(purity_at(0.01) > 0.8);
  CHECK(purity_at(0.1) > purity_at(0.5));
  CHECK(purity_at(0.5) > purity_at(5));
}

TEST_CASE("partition: Dirichlet proportions have the moments of their distribution", "[data]") {
  // Of K proportions each has mean 1/K and variance (1/K)(1 - 1/K) / (K alpha + 1).
  const double alpha = GENERATE(0.1, 0.5, 1.0, 4.0);
  CAPTURE(alpha);
  constexpr int draws = 20000;
  Rng rng{.seed = 9};
  double mean = 0, square = 0;
  for (int i = 0; i < draws; ++i) {
    const auto parts = data::detail::dirichlet_draw(alpha, 4, rng);
    CHECK(parts[0] + parts[1] + parts[2] + parts[3] == Approx(1));
    mean += parts[1] / draws;
    square += parts[1] * parts[1] / draws;
  }
  const double variance = 0.25 * 0.75 / (4 * alpha + 1);
  CHECK(mean == Approx(0.25).margin(0.01));
  CHECK(square - mean * mean == Approx(variance).epsilon(0.05));
}

TEST_CASE("partition: labels of a data set", "[data]") {
  CHECK(data::labels_of(support::counting_set(3, 1, 2, 2)) == std::vector<Index>{0, 1, 2});
}

TEST_CASE("partition: what cannot be shared out is refused, and a partition that breaks its rule",
          "[data]") {
  const auto labels = label_cycle(8, 4);
  CHECK_THROWS_WITH(data::make_shares(labels, 9, data::Iid{}, 1),
                    ContainsSubstring("8 samples for 9 clients"));
  CHECK_THROWS_AS(data::make_shares(labels, 0, data::Iid{}, 1), std::invalid_argument);
  CHECK_THROWS_WITH(data::make_shares(labels, 2, ForgetsSamples{}, 1),
                    ContainsSubstring("does not give every sample to one client"));
  CHECK_THROWS_WITH(data::make_shares(labels, 2, GivesTwice{}, 1),
                    ContainsSubstring("does not give every sample to one client"));
  CHECK_THROWS_WITH(data::make_shares(labels, 2, data::Dirichlet{0}, 1),
                    ContainsSubstring("dirichlet: ALPHA is 0"));
}

TEST_CASE("partition: texts that are none", "[data]") {
  for (const std::string text : {"", "iid:1", "dirichlet", "dirichlet:", "dirichlet:x", "by-class",
                                 "by-class:1.5", "IID", "dirichlet:0.5:1"})
    CHECK_THROWS_WITH(data::parse_partition(text),
                      "partition '" + text + "': wanted iid, dirichlet:ALPHA or by-class:N");
  CHECK_THROWS_WITH(data::parse_partition("dirichlet:-1"), ContainsSubstring("ALPHA is -1"));
  CHECK_THROWS_WITH(data::parse_partition("dirichlet:nan"), ContainsSubstring("ALPHA is nan"));
  CHECK_THROWS_WITH(data::parse_partition("by-class:0"), ContainsSubstring("N is 0"));
}
