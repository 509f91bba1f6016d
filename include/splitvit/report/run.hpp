// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max

#include <splitvit/split/report.hpp>  // Seconds, Traffic

namespace splitvit::inline SPLITVIT_BUILD::report {

/// A line of a run's log, usually one an epoch.
struct Row {
  std::uint64_t epoch = 0;
  std::uint64_t step = 0;                 ///< training steps since the start of the run
  double loss = 0;                        ///< training loss since the row before
  std::optional<double> test_accuracy{};  ///< in [0, 1]; absent where nothing was evaluated
  split::Traffic traffic{};               ///< training traffic since the start of the run
  split::Seconds seconds{};               ///< since the start of the run
  /// Of an evaluation with the stages that keep all samples and the codec, where there was one.
  std::optional<double> compressed_accuracy{};
  std::uint64_t compressed_bytes = 0;  ///< of that evaluation, both ways
  std::string codec{};                 ///< of a single step: what its codec has chosen
};

/// A name and a value, both for people.
struct Setting {
  std::string key;
  std::string value;

  friend bool operator==(const Setting&, const Setting&) = default;
};

/// The test images of one class, and how many of them the last evaluation has recognised.
struct ClassScore {
  std::string name;
  std::uint64_t samples = 0, correct = 0;
};

/// One of several clients that have trained one model together.
struct ClientSummary {
  std::uint32_t client = 0;             ///< its number
  std::vector<std::uint64_t> images{};  ///< of each class, that it trains with
  std::uint64_t steps = 0;
  split::Traffic cut{};                 ///< training traffic
  split::Traffic weights{};             ///< the traffic of weights that the clients share
  std::vector<std::string> left_out{};  ///< of which averages, and why, such as "round 3: late"
};

/// The name of the method that compresses nothing, to which others are compared.
inline constexpr const char* reference_method = "none";

/// What a training run left behind. Runs of one method with the same settings and different seeds
/// are averaged, so settings hold what is alike for all seeds, such as model, cut and batch; one
/// named "seed" is not looked at.
struct Run {
  std::string method;
  std::uint64_t seed = 0;
  std::vector<Setting> settings{};       ///< in the order in which they are shown
  std::vector<Row> rows{};               ///< in the order of their steps
  std::uint64_t test_samples = 0;        ///< images in an evaluation; 0 where that is not known
  split::Traffic evaluation_traffic{};   ///< of all evaluations, kept apart from training
  std::vector<ClassScore> classes{};     ///< empty where that is not known
  std::vector<ClientSummary> clients{};  ///< empty for a client alone, and where the run has failed
  std::string failure{};                 ///< why it ended too early; empty if it did not
  // Only for metrics.jsonl:
  std::vector<Setting> program{};  ///< what ran: version, compiler, date
  std::vector<Setting> options{};  ///< how it was called, in the words of the command line
};

/// The last row that was evaluated; null for a run that has failed, and where there is none.
inline const Row* last_evaluation(const Run& run) {
  if (!run.failure.empty()) return nullptr;
  for (auto row = run.rows.rbegin(); row != run.rows.rend(); ++row)
    if (row->test_accuracy) return &*row;
  return nullptr;
}

/// The accuracy of the last evaluation, not of the best.
inline std::optional<double> final_accuracy(const Run& run) {
  const Row* const last = last_evaluation(run);
  return last == nullptr ? std::nullopt : last->test_accuracy;
}

/// The accuracy of always naming the most frequent class of the test images.
inline std::optional<double> majority_baseline(const Run& run) {
  std::uint64_t most = 0, all = 0;
  for (const ClassScore& one : run.classes) {
    most = std::max(most, one.samples);
    all += one.samples;
  }
  if (all == 0) return std::nullopt;
  return static_cast<double>(most) / static_cast<double>(all);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::report
