// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // find, find_if, max, min, minmax
#include <array>      // array
#include <cmath>      // isfinite, sqrt
#include <cstddef>    // size_t
#include <cstdint>    // uint64_t
#include <optional>   // optional
#include <span>       // span
#include <string>     // string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/report/format.hpp>  // fixed, human_bytes, percent
#include <splitvit/report/run.hpp>     // Run
#include <splitvit/split/report.hpp>   // Seconds, Traffic

// Summary: what a method's runs came to, averaged over their seeds, and in one sentence.

namespace splitvit::report {

/// The runs of one method with the same settings.
struct Summary {
  std::string label;  ///< the method; where that is not unique, with settings
  std::string method;
  std::vector<std::size_t> runs;  ///< their places in what was summarised
  std::vector<std::uint64_t> seeds;
  std::uint64_t epochs = 0;  ///< the most that any run has reached
  std::uint64_t steps = 0;
  std::optional<double> loss;            ///< mean of the last rows
  std::optional<double> accuracy;        ///< mean of the last evaluations
  std::optional<double> deviation;       ///< several seeds: population standard deviation
  std::optional<double> standard_error;  ///< one seed, known number of test images
  split::Traffic traffic;                ///< mean over the runs, at their ends
  split::Traffic evaluation_traffic;
  split::Seconds seconds;
  /// Bytes per step, both directions, over those of the reference method with the same seed;
  /// mean over the seeds that have such a run.
  std::optional<double> ratio;
};

/// Links for which simulated_seconds is shown, in Mbit/s.
inline constexpr std::array<double, 3> simulated_links{1, 10, 100};

/// How long the training would take over a link of so many Mbit/s (1e6 bits) in each direction:
/// the time of client, compression and server, and that of all bytes; no latency.
inline double simulated_seconds(const Summary& summary, double megabits) {
  const split::Seconds& s = summary.seconds;
  return s.client + s.compression + s.server +
         8e-6 * static_cast<double>(summary.traffic.total()) / megabits;
}

/// One Summary for each method and its settings, in order of first appearance.
std::vector<Summary> summarise(std::span<const Run> runs);

/// The key finding in one sentence: what was reached, with how many bytes. Where the reference
/// method was run too, the finding is the method with the fewest bytes that comes within one
/// percentage point of it, else the most accurate one. Where all were given the same traffic, as
/// with a budget, it is the most accurate one, too.
std::string headline(std::span<const Summary> summaries);

/// "96.3 %", followed by the deviation or standard error where there is one: "96.3 ± 0.2 %".
std::string accuracy_text(const Summary& summary);

namespace detail {

inline std::vector<Setting> settings_without_seed(const Run& run) {
  std::vector<Setting> kept;
  for (const Setting& setting : run.settings)
    if (setting.key != "seed") kept.push_back(setting);
  return kept;
}

inline bool has_setting(const Run& run, const Setting& wanted) {
  return std::find(run.settings.begin(), run.settings.end(), wanted) != run.settings.end();
}

inline std::optional<double> bytes_per_step(const Run& run) {
  if (run.rows.empty() || run.rows.back().step == 0) return std::nullopt;
  return static_cast<double>(run.rows.back().traffic.total()) /
         static_cast<double>(run.rows.back().step);
}

/// The reference run with the same seed; of several, the one that shares most settings.
inline const Run* reference_for(const Run& run, std::span<const Run> runs) {
  const Run* best = nullptr;
  std::size_t most = 0;
  for (const Run& other : runs) {
    if (other.method != reference_method || other.seed != run.seed || other.rows.empty()) continue;
    std::size_t shared = 0;
    for (const Setting& setting : run.settings) shared += has_setting(other, setting) ? 1u : 0u;
    if (best == nullptr || shared > most) {
      best = &other;
      most = shared;
    }
  }
  return best;
}

inline double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

inline double population_deviation(const std::vector<double>& values) {
  const double centre = mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - centre) * (value - centre);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

inline split::Traffic mean_traffic(const split::Traffic& sum, std::size_t count) {
  const auto part = [count](std::uint64_t total) { return (total + count / 2) / count; };
  return {{part(sum.up.payload), part(sum.up.framing)},
          {part(sum.down.payload), part(sum.down.framing)}};
}

inline void fill(Summary& out, std::span<const Run> runs) {
  std::vector<double> accuracies, losses, ratios;
  std::size_t with_rows = 0;
  for (const std::size_t place : out.runs) {
    const Run& run = runs[place];
    out.seeds.push_back(run.seed);
    out.evaluation_traffic += run.evaluation_traffic;
    if (const auto accuracy = final_accuracy(run); accuracy && std::isfinite(*accuracy))
      accuracies.push_back(*accuracy);
    if (run.rows.empty()) continue;
    ++with_rows;
    const Row& last = run.rows.back();
    out.epochs = std::max(out.epochs, last.epoch);
    out.steps = std::max(out.steps, last.step);
    if (std::isfinite(last.loss)) losses.push_back(last.loss);
    out.traffic += last.traffic;
    out.seconds += last.seconds;
    const Run* reference = reference_for(run, runs);
    const auto own = bytes_per_step(run);
    const auto full = reference == nullptr ? std::nullopt : bytes_per_step(*reference);
    if (own && full && *full > 0) ratios.push_back(*own / *full);
  }
  out.evaluation_traffic = mean_traffic(out.evaluation_traffic, out.runs.size());
  if (with_rows > 0) {
    const auto n = static_cast<double>(with_rows);
    out.traffic = mean_traffic(out.traffic, with_rows);
    out.seconds = {out.seconds.client / n, out.seconds.compression / n, out.seconds.server / n,
                   out.seconds.link / n};
  }
  if (!losses.empty()) out.loss = mean(losses);
  if (!ratios.empty()) out.ratio = mean(ratios);
  if (accuracies.empty()) return;
  out.accuracy = mean(accuracies);
  if (accuracies.size() > 1) {
    out.deviation = population_deviation(accuracies);
  } else if (const std::uint64_t n = runs[out.runs.front()].test_samples;
             n > 0 && out.runs.size() == 1) {
    const double p = std::min(1.0, std::max(0.0, *out.accuracy));
    out.standard_error = std::sqrt(p * (1 - p) / static_cast<double>(n));
  }
}

/// Tells apart groups of one method: "adc:0.1 (cut 6)", by the settings not shared by all.
inline void make_labels_unique(std::vector<Summary>& groups, std::span<const Run> runs) {
  for (Summary& group : groups) {
    group.label = group.method;
    std::string differing;
    for (const Setting& setting : settings_without_seed(runs[group.runs.front()]))
      for (const Summary& other : groups)
        if (other.method == group.method && !has_setting(runs[other.runs.front()], setting)) {
          differing += (differing.empty() ? "" : ", ") + setting.key + " " + setting.value;
          break;
        }
    if (!differing.empty()) group.label += " (" + differing + ")";
  }
}

/// Whether no method has spent a tenth more or less than another one.
inline bool equal_traffic(std::span<const Summary> summaries) {
  const auto total = [](const Summary& s) { return s.traffic.total(); };
  const auto [least, most] = std::ranges::minmax(summaries, {}, total);
  return static_cast<double>(total(most)) <= 1.1 * static_cast<double>(total(least));
}

inline std::string reached(const Summary& summary) {
  return summary.label + " reached " + percent(*summary.accuracy);
}

}  // namespace detail

inline std::vector<Summary> summarise(std::span<const Run> runs) {
  std::vector<Summary> groups;
  for (std::size_t place = 0; place < runs.size(); ++place) {
    const Run& run = runs[place];
    const auto same = [&](const Summary& group) {
      return group.method == run.method && detail::settings_without_seed(runs[group.runs[0]]) ==
                                               detail::settings_without_seed(run);
    };
    auto group = std::find_if(groups.begin(), groups.end(), same);
    if (group == groups.end()) {
      Summary fresh;
      fresh.method = run.method;
      group = groups.insert(groups.end(), std::move(fresh));
    }
    group->runs.push_back(place);
  }
  for (Summary& group : groups) detail::fill(group, runs);
  detail::make_labels_unique(groups, runs);
  return groups;
}

inline std::string headline(std::span<const Summary> summaries) {
  const Summary* reference = nullptr;
  const Summary* best = nullptr;    // the most accurate
  const Summary* chosen = nullptr;  // the smallest that is about as good as the reference
  for (const Summary& summary : summaries)
    if (summary.method == reference_method && summary.accuracy && reference == nullptr)
      reference = &summary;
  for (const Summary& summary : summaries) {
    if (!summary.accuracy || &summary == reference) continue;
    if (best == nullptr || *summary.accuracy > *best->accuracy) best = &summary;
    if (reference == nullptr || !summary.ratio) continue;
    if (*summary.accuracy < *reference->accuracy - 0.01) continue;
    if (chosen == nullptr || *summary.ratio < *chosen->ratio) chosen = &summary;
  }
  const bool alike = reference != nullptr && best != nullptr && detail::equal_traffic(summaries);
  if (chosen == nullptr || alike) chosen = best;
  if (chosen == nullptr) chosen = reference;
  if (summaries.empty()) return "No runs to report.";
  if (chosen == nullptr) {
    const Summary& first = summaries.front();
    if (first.steps == 0) return "No training steps to report.";
    return first.label + " trained for " + std::to_string(first.steps) + " steps" +
           (first.loss ? " to a loss of " + fixed(*first.loss, 3) : "") + ".";
  }
  if (alike)
    return detail::reached(*chosen) + ", " + reference->label + " " +
           percent(*reference->accuracy) + ", each with " +
           human_bytes(static_cast<double>(chosen->traffic.total())) + " over the link.";
  if (reference != nullptr && chosen != reference && chosen->ratio)
    return detail::reached(*chosen) + " with " + percent(*chosen->ratio) + " of the bytes of " +
           reference->label + " (" + percent(*reference->accuracy) + ").";
  return detail::reached(*chosen) + " with " +
         human_bytes(static_cast<double>(chosen->traffic.total())) + " over the link.";
}

inline std::string accuracy_text(const Summary& summary) {
  if (!summary.accuracy) return std::string{no_number};
  const auto spread = summary.deviation ? summary.deviation : summary.standard_error;
  if (!spread) return percent(*summary.accuracy);
  return fixed(100 * *summary.accuracy, 1) + " \xC2\xB1 " + fixed(100 * *spread, 1) + " %";
}

}  // namespace splitvit::report
