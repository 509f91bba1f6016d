// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // count, max, max_element, min, sort
#include <cmath>       // exp, log, sqrt
#include <functional>  // function
#include <numeric>     // iota

#include <splitvit/core/error.hpp>     // ArgumentError
#include <splitvit/core/options.hpp>   // at_least, describe, describe_options, Real
#include <splitvit/core/random.hpp>    // Rng
#include <splitvit/core/shape.hpp>     // Index
#include <splitvit/core/text.hpp>      // counted, number_from
#include <splitvit/data/concepts.hpp>  // Dataset

// How the samples of a data set are shared out among clients. A partition is a function of labels,
// number of clients and seed, so every client computes its own share without asking anybody:
//
//   const auto shares = make_shares(labels_of(set), 10, Dirichlet{.alpha = 0.5}, seed);
//   const Subset mine{set, shares[0]};  // of the first client

namespace splitvit::inline SPLITVIT_BUILD::data {

/// The samples of each client, in ascending order.
using Shares = std::vector<std::vector<Index>>;

/// Shares samples out.
///
///   partition(labels, clients, rng)  the samples of each client, in any order: every sample of
///                                    0 <= i < labels.size() exactly once, at least one for each
///                                    client; std::invalid_argument where that cannot be
///
/// labels[i], 0 or more, is the class of sample i. 1 <= clients <= labels.size(). It keeps nothing
/// between calls and draws random numbers only from rng.
template <class P>
concept Partition =
    std::copy_constructible<P> &&
    requires(const P& partition, std::span<const Index> labels, Index clients, Rng rng) {
      { partition(labels, clients, rng) } -> std::same_as<Shares>;
    };

/// The labels of a data set, as a partition takes them.
template <Dataset Set>
std::vector<Index> labels_of(const Set& set) {
  std::vector<Index> labels;
  for (Index i = 0; i < set.size(); ++i) labels.push_back(set.label(i));
  return labels;
}

namespace detail {
/// The samples of each class, in ascending order.
inline Shares samples_by_class(std::span<const Index> labels) {
  Shares classes;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto label = static_cast<std::size_t>(labels[i]);
    if (label >= classes.size()) classes.resize(label + 1);
    classes[label].push_back(static_cast<Index>(i));
  }
  return classes;
}

/// Appends piece `number` of `pieces` of the samples to a share; sizes differ by one at most.
inline void append_piece(std::vector<Index>& share, std::span<const Index> samples, Index number,
                         Index pieces) {
  const auto end_of = [&](Index n) {
    return samples.begin() + static_cast<Index>(samples.size()) * n / pieces;
  };
  share.insert(share.end(), end_of(number), end_of(number + 1));
}

/// The logarithm of a number from the gamma distribution with shape `alpha` > 0 and scale 1. The
/// number itself may be too small for a double.
/// Source  Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26,
///         2000; for alpha < 1 a number for alpha + 1 times u^(1 / alpha), as they propose.
inline double log_gamma_draw(double alpha, Rng& rng) {
  if (alpha < 1) {
    const double more = log_gamma_draw(alpha + 1, rng);
    return more + std::log(1.0 - rng.uniform()) / alpha;  // 1 - u is never 0
  }
  const double d = alpha - 1.0 / 3.0, c = 1.0 / std::sqrt(9.0 * d);
  while (true) {
    const double x = rng.normal(), root = 1.0 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(1.0 - rng.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v))
      return std::log(d * v);
  }
}

/// `count` numbers that sum to 1, from the symmetric Dirichlet distribution.
inline std::vector<double> dirichlet_draw(double alpha, Index count, Rng& rng) {
  std::vector<double> parts;
  for (Index i = 0; i < count; ++i) parts.push_back(log_gamma_draw(alpha, rng));
  const double largest = *std::max_element(parts.begin(), parts.end());
  double sum = 0;
  for (double& part : parts) sum += part = std::exp(part - largest);
  for (double& part : parts) part /= sum;
  return parts;
}
}  // namespace detail

/// Each client gets equally many samples, plus or minus one, drawn from all of them.
struct Iid {
  static constexpr std::string_view name = "iid";
  static void each_option(auto&, auto&&) {}
  std::string description() const { return describe_options(*this); }

  Shares operator()(std::span<const Index> labels, Index clients, Rng rng) const {
    std::vector<Index> order(labels.size());
    std::iota(order.begin(), order.end(), Index{0});
    rng.shuffle<Index>(std::span{order});
    Shares shares(static_cast<std::size_t>(clients));
    for (Index i = 0; i < clients; ++i)
      detail::append_piece(shares[static_cast<std::size_t>(i)], order, i, clients);
    return shares;
  }
};

/// The samples of each class are divided by proportions from a symmetric Dirichlet distribution:
/// the smaller alpha, the fewer classes a client has most of its samples from. A client that would
/// have no sample gets one of the client with the most.
/// Source  Hsu, Qi and Brown, arXiv:1909.06335, with proportions by class as Li et al.,
///         arXiv:2102.02079, draw them.
struct Dirichlet {
  double alpha = 0.5;

  static constexpr std::string_view name = "dirichlet";
  static void each_option(auto& self, auto&& see) { see("", self.alpha, Real{1e-3, 1e6, "ALPHA"}); }
  std::string description() const { return describe_options(*this); }

  Shares operator()(std::span<const Index> labels, Index clients, Rng rng) const {
    require_options("dirichlet", *this);
    Shares shares(static_cast<std::size_t>(clients));
    for (std::vector<Index>& samples : detail::samples_by_class(labels)) {
      rng.shuffle<Index>(std::span{samples});
      const std::vector<double> parts = detail::dirichlet_draw(alpha, clients, rng);
      const auto size = static_cast<double>(samples.size());
      double sum = 0;
      auto begin = samples.begin();
      for (std::size_t client = 0; client < shares.size(); ++client) {
        sum += parts[client];
        const bool is_last = client + 1 == shares.size();
        const auto end =
            is_last
                ? samples.end()
                : std::max(begin, samples.begin() + static_cast<Index>(std::min(size, sum * size)));
        shares[client].insert(shares[client].end(), begin, end);
        begin = end;
      }
    }
    for (std::vector<Index>& share : shares) {
      if (!share.empty()) continue;
      auto& most = *std::ranges::max_element(shares, {}, &std::vector<Index>::size);
      share.push_back(most.back());
      most.pop_back();
    }
    return shares;
  }
};

/// Each client has samples of `classes` classes. The classes, in a random order, are dealt like
/// cards, and the samples of a class are divided evenly among the clients that have it.
/// Errors  std::invalid_argument if a class is left over, or a client gets no sample.
struct ByClass {
  Index classes = 2;

  static constexpr std::string_view name = "by-class";
  static void each_option(auto& self, auto&& see) { see("", self.classes, at_least(1, "N")); }
  std::string description() const { return describe_options(*this); }

  Shares operator()(std::span<const Index> labels, Index clients, Rng rng) const {
    require_options("by-class", *this);
    Shares by_class = detail::samples_by_class(labels);
    std::erase_if(by_class, [](const auto& samples) { return samples.empty(); });
    const auto all = static_cast<Index>(by_class.size());
    if (classes > all || classes > std::numeric_limits<Index>::max() / clients ||
        classes * clients < all)
      throw ArgumentError({"by-class: ", classes, " classes for each of ",
                           counted(clients, "client"), ", but there are ", all,
                           "; wanted at most that for one client, and at least that for all"});
    rng.shuffle<std::vector<Index>>(std::span{by_class});
    Shares shares(static_cast<std::size_t>(clients));
    for (Index dealt = 0; dealt < classes * clients; ++dealt) {
      std::vector<Index>& samples = by_class[static_cast<std::size_t>(dealt % all)];
      if (dealt < all) rng.shuffle<Index>(std::span{samples});
      // Of all that are dealt, this class comes at dealt % all, and then after every `all`.
      const Index holders = (classes * clients - dealt % all + all - 1) / all;
      detail::append_piece(shares[static_cast<std::size_t>(dealt / classes)], samples, dealt / all,
                           holders);
    }
    for (std::size_t i = 0; i < shares.size(); ++i)
      if (shares[i].empty())
        throw ArgumentError({"by-class: client ", i + 1, " of ", clients,
                             " gets no sample: ", labels.size(), " samples are too few"});
    return shares;
  }
};

/// Any partition, chosen while the program runs.
class AnyPartition {
 public:
  // The concept is checked inside: as a constraint it would depend on itself.
  template <class P>
    requires(!std::same_as<P, AnyPartition>)
  AnyPartition(P partition) : description_{describe(partition)}, partition_{std::move(partition)} {
    static_assert(Partition<P>);
  }

  const std::string& description() const { return description_; }
  Shares operator()(std::span<const Index> labels, Index clients, Rng rng) const {
    return partition_(labels, clients, rng);
  }

 private:
  std::string description_;
  std::function<Shares(std::span<const Index>, Index, Rng)> partition_;
};

/// The partition that describes itself so: "iid", "dirichlet:0.5", "by-class:2".
/// Errors  std::invalid_argument for any other text.
inline AnyPartition parse_partition(std::string_view text) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string_view name = text.substr(0, colon);
  const std::string_view value = text.substr(std::min(colon + 1, text.size()));
  if (text == Iid::name) return Iid{};
  if (const auto alpha = number_from<double>(value); alpha && name == Dirichlet::name) {
    const Dirichlet dirichlet{.alpha = *alpha};
    require_options(name, dirichlet);
    return dirichlet;
  }
  if (const auto classes = number_from<Index>(value); classes && name == ByClass::name) {
    const ByClass by_class{.classes = *classes};
    require_options(name, by_class);
    return by_class;
  }
  throw ArgumentError({"partition '", text, "': wanted iid, dirichlet:ALPHA or by-class:N"});
}

/// The share of each client. For the same arguments the same, whoever asks.
/// Errors  std::invalid_argument unless 1 <= clients <= samples, for options out of range, and if
///         the partition breaks its contract.
template <Partition P>
Shares make_shares(std::span<const Index> labels, Index clients, const P& partition,
                   std::uint64_t seed) {
  const auto samples = static_cast<Index>(labels.size());
  if (clients < 1 || clients > samples)
    throw ArgumentError({"make_shares: ", counted(samples, "sample"), " for ",
                         counted(clients, "client"), ", wanted one for each at least"});
  constexpr std::uint64_t purpose = 0x7368617265;  // "share"
  Shares shares = partition(labels, clients, Rng{.seed = seed}.at(purpose));
  std::vector<int> seen(labels.size());
  bool fits = static_cast<Index>(shares.size()) == clients;
  for (std::vector<Index>& share : shares) {
    std::sort(share.begin(), share.end());
    fits = fits && !share.empty() && share.front() >= 0 && share.back() < samples;
    if (fits)
      for (const Index sample : share) ++seen[static_cast<std::size_t>(sample)];
  }
  if (!fits || std::ranges::count(seen, 1) != samples)
    throw ArgumentError(
        {"make_shares: the partition does not give every sample to one client, "
         "and some to each"});
  return shares;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::data
