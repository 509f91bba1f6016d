// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // any_of, clamp, count_if, find, find_if, max, min, minmax
#include <cmath>      // isfinite, sqrt
#include <numeric>    // accumulate

#include <splitvit/core/text.hpp>      // counted
#include <splitvit/report/format.hpp>  // broken, columns, fixed, human_bytes, one_line, percent
#include <splitvit/report/run.hpp>     // Run
#include <splitvit/report/table.hpp>   // Table
#include <splitvit/split/report.hpp>   // Seconds, Traffic

namespace splitvit::inline SPLITVIT_BUILD::report {

/// What the runs of one method with the same settings came to, averaged over their seeds.
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
  /// Mean of the last evaluations with stages and codec, and of their bytes for each image.
  std::optional<double> compressed_accuracy, bytes_an_image;
  split::Traffic traffic;  ///< mean over the runs, at their ends
  split::Traffic evaluation_traffic;
  split::Seconds seconds;
  /// Bytes per step, both directions, divided by the reference method with the same seed;
  /// mean over the seeds that have such a run.
  std::optional<double> ratio;
  std::optional<double> baseline;  ///< what always naming the most frequent class would reach
  /// Of each run that has failed: seed, step and reason. Means are over the other runs, if there
  /// are any.
  std::vector<std::string> failures;
};

/// Links for which simulated_seconds is shown, in Mbit/s.
inline constexpr std::array<double, 3> simulated_links{1, 10, 100};

/// The seconds that training would take over a link of `megabits` Mbit/s (1e6 bits) without
/// latency: client, compression and server, plus the time to send all bytes.
inline double simulated_seconds(const Summary& summary, double megabits) {
  const split::Seconds& s = summary.seconds;
  return s.client + s.compression + s.server +
         8e-6 * static_cast<double>(summary.traffic.total()) / megabits;
}

namespace detail {
inline std::vector<Setting> settings_without_seed(const Run& run) {
  std::vector<Setting> kept = run.settings;
  std::erase_if(kept, [](const Setting& setting) { return setting.key == "seed"; });
  return kept;
}

inline bool has_setting(const Run& run, const Setting& wanted) {
  return std::ranges::find(run.settings, wanted) != run.settings.end();
}

inline std::optional<double> bytes_per_step(const Run& run) {
  if (run.rows.empty() || run.rows.back().step == 0) return std::nullopt;
  return static_cast<double>(run.rows.back().traffic.total()) /
         static_cast<double>(run.rows.back().step);
}

/// Bytes per step divided by the reference run with the same seed; of several, the one that
/// shares most settings.
inline std::optional<double> bytes_ratio(const Run& run, std::span<const Run> runs) {
  const Run* reference = nullptr;
  std::ptrdiff_t most = -1;
  for (const Run& other : runs) {
    if (other.method != reference_method || other.seed != run.seed || other.rows.empty()) continue;
    const auto shared = std::ranges::count_if(
        run.settings, [&](const Setting& setting) { return has_setting(other, setting); });
    if (shared <= most) continue;
    reference = &other;
    most = shared;
  }
  const auto own = bytes_per_step(run);
  const auto full = reference == nullptr ? std::nullopt : bytes_per_step(*reference);
  if (!own || !full || *full <= 0) return std::nullopt;
  return *own / *full;
}

inline std::optional<double> mean(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

inline split::Traffic mean_traffic(const split::Traffic& sum, std::size_t count) {
  const auto part = [count](std::uint64_t total) { return (total + count / 2) / count; };
  return {{part(sum.up.payload), part(sum.up.framing)},
          {part(sum.down.payload), part(sum.down.framing)}};
}

/// Computes everything but the label from the runs of a group.
inline void fill(Summary& out, std::span<const Run> runs) {
  std::vector<double> accuracies, losses, ratios, compressed, bytes;
  std::size_t averaged = 0, with_rows = 0;
  const auto is_complete = [&](std::size_t place) { return runs[place].failure.empty(); };
  const bool any_complete = std::ranges::any_of(out.runs, is_complete);
  for (const std::size_t place : out.runs) {
    const Run& run = runs[place];
    out.seeds.push_back(run.seed);
    if (!run.failure.empty())
      out.failures.push_back(
          joined({"seed ", run.seed, ", step ", run.rows.empty() ? 0 : run.rows.back().step, ": ",
                  run.failure}));
    if (any_complete && !run.failure.empty()) continue;
    ++averaged;
    out.evaluation_traffic += run.evaluation_traffic;
    if (const auto accuracy = final_accuracy(run); accuracy && std::isfinite(*accuracy))
      accuracies.push_back(*accuracy);
    if (const Row* const last = last_evaluation(run);
        last != nullptr && last->compressed_accuracy) {
      compressed.push_back(*last->compressed_accuracy);
      if (run.test_samples > 0)
        bytes.push_back(static_cast<double>(last->compressed_bytes) /
                        static_cast<double>(run.test_samples));
    }
    if (run.rows.empty()) continue;
    ++with_rows;
    const Row& last = run.rows.back();
    out.epochs = std::max(out.epochs, last.epoch);
    out.steps = std::max(out.steps, last.step);
    if (std::isfinite(last.loss)) losses.push_back(last.loss);
    out.traffic += last.traffic;
    out.seconds += last.seconds;
    if (const auto ratio = bytes_ratio(run, runs)) ratios.push_back(*ratio);
  }
  out.evaluation_traffic = mean_traffic(out.evaluation_traffic, averaged);
  if (with_rows > 0) {
    out.traffic = mean_traffic(out.traffic, with_rows);
    for (double* const seconds :
         {&out.seconds.client, &out.seconds.compression, &out.seconds.server, &out.seconds.link})
      *seconds /= static_cast<double>(with_rows);
  }
  out.loss = mean(losses);
  out.ratio = mean(ratios);
  out.accuracy = mean(accuracies);
  out.compressed_accuracy = mean(compressed);
  out.bytes_an_image = mean(bytes);
  out.baseline = majority_baseline(runs[out.runs.front()]);
  const std::uint64_t samples = runs[out.runs.front()].test_samples;
  if (accuracies.size() > 1) {
    for (double& value : accuracies) value = (value - *out.accuracy) * (value - *out.accuracy);
    out.deviation = std::sqrt(*mean(accuracies));
  } else if (out.accuracy && samples > 0 && averaged == 1) {
    const double p = std::clamp(*out.accuracy, 0.0, 1.0);
    out.standard_error = std::sqrt(p * (1 - p) / static_cast<double>(samples));
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
}  // namespace detail

/// One Summary for each method and its settings, in order of first appearance.
inline std::vector<Summary> summarise(std::span<const Run> runs) {
  using detail::settings_without_seed;
  std::vector<Summary> groups;
  for (std::size_t place = 0; place < runs.size(); ++place) {
    const Run& run = runs[place];
    auto group = std::ranges::find_if(groups, [&](const Summary& known) {
      return known.method == run.method &&
             settings_without_seed(runs[known.runs.front()]) == settings_without_seed(run);
    });
    if (group == groups.end()) group = groups.emplace(group);
    group->method = run.method;
    group->runs.push_back(place);
  }
  for (Summary& group : groups) detail::fill(group, runs);
  detail::make_labels_unique(groups, runs);
  return groups;
}

/// The key finding in one sentence: what was reached, with how many bytes. It is about the method
/// with the fewest bytes within one percentage point of the reference; where there is none, or all
/// were given the same traffic, about the most accurate one.
inline std::string headline(std::span<const Summary> summaries) {
  const auto found = std::ranges::find_if(summaries, [](const Summary& summary) {
    return summary.method == reference_method && summary.accuracy;
  });
  const Summary* const reference = found == summaries.end() ? nullptr : &*found;
  const Summary* best = nullptr;    // the most accurate
  const Summary* chosen = nullptr;  // the smallest that is about as good as the reference
  for (const Summary& summary : summaries) {
    if (!summary.accuracy || &summary == reference) continue;
    if (best == nullptr || *summary.accuracy > *best->accuracy) best = &summary;
    if (reference == nullptr || !summary.ratio || *summary.accuracy < *reference->accuracy - 0.01)
      continue;
    if (chosen == nullptr || *summary.ratio < *chosen->ratio) chosen = &summary;
  }
  const bool alike = reference != nullptr && best != nullptr && detail::equal_traffic(summaries);
  if (chosen == nullptr || alike) chosen = best;
  if (chosen == nullptr) chosen = reference;
  if (summaries.empty()) return "No runs to report.";
  if (chosen == nullptr) {
    const Summary& first = summaries.front();
    if (!first.failures.empty()) return first.label + " failed: " + first.failures.front() + ".";
    if (first.steps == 0) return "No training steps to report.";
    return first.label + " trained for " + counted(first.steps, "step") +
           (first.loss ? " to a loss of " + fixed(*first.loss, 3) : "") + ".";
  }
  const std::string reached = chosen->label + " reached " + percent(*chosen->accuracy);
  const std::string bytes = " with " + human_bytes(chosen->traffic.total()) + " over the link.";
  if (alike)
    return reached + ", " + reference->label + " " + percent(*reference->accuracy) + ", each" +
           bytes;
  if (reference != nullptr && chosen != reference && chosen->ratio)
    return reached + " with " + percent(*chosen->ratio) + " of the bytes of " + reference->label +
           " (" + percent(*reference->accuracy) + ").";
  return reached + bytes;
}

/// "96.3 %", followed by the deviation or standard error where there is one: "96.3 ± 0.2 %";
/// "failed" if all runs have, or "96.3 %, 1 of 3 failed".
inline std::string accuracy_text(const Summary& summary) {
  const std::size_t failed = summary.failures.size();
  if (!summary.accuracy) return failed == 0 ? std::string{no_number} : "failed";
  const auto spread = summary.deviation ? summary.deviation : summary.standard_error;
  std::string text = fixed(100 * *summary.accuracy, 1);
  if (spread) text += " \xC2\xB1 " + fixed(100 * *spread, 1);
  text += " %";
  return failed == 0 ? text : joined({text, ", ", failed, " of ", summary.runs.size(), " failed"});
}

inline std::string ratio_text(const Summary& summary) {
  return summary.ratio ? percent(*summary.ratio) : std::string{no_number};
}

/// Of evaluations with stages and codec: "85.9 %" and "1.2 KB".
inline std::vector<std::string> compressed_texts(const Summary& summary) {
  return {
      summary.compressed_accuracy ? percent(*summary.compressed_accuracy) : std::string{no_number},
      summary.bytes_an_image ? human_bytes(*summary.bytes_an_image) : std::string{no_number}};
}
inline bool any_compressed(std::span<const Summary> summaries) {
  return std::ranges::any_of(
      summaries, [](const Summary& one) { return one.compressed_accuracy.has_value(); });
}

/// The screen's columns that summary_table keeps to, with no method longer than all of them.
inline constexpr std::size_t summary_columns = 80;

/// A line for each method, averaged over seeds: accuracy, bytes both ways, their ratio to those of
/// the reference, seconds of training; where there were such evaluations, accuracy with stages and
/// codec, and their bytes for each image. At most summary_columns wide: a label that is too long
/// stands in lines of its own above its numbers. All else is in the report.
inline Table summary_table(std::span<const Run> runs) {
  Table table{.header = {"method", "test accuracy", "MiB", "ratio", "seconds"}, .rows = {}};
  const std::vector<Summary> summaries = summarise(runs);
  const bool has_compressed = any_compressed(summaries);
  if (has_compressed) table.header.insert(table.header.end(), {"compressed", "an image"});
  for (const Summary& summary : summaries) {
    table.rows.push_back(
        {one_line(summary.label), accuracy_text(summary),
         fixed(static_cast<double>(summary.traffic.total()) / (1024.0 * 1024.0), 2),
         ratio_text(summary), fixed(summary.seconds.total(), 1)});
    if (has_compressed)
      for (std::string& text : compressed_texts(summary))
        table.rows.back().push_back(std::move(text));
  }
  std::size_t room = summary_columns;
  for (std::size_t column = 1; column < table.header.size(); ++column) {
    std::size_t width = columns(table.header[column]);
    for (const auto& cells : table.rows) width = std::max(width, columns(cells[column]));
    room -= std::min(room, width + 2);
  }
  std::vector<std::vector<std::string>> rows;
  for (auto& cells : table.rows) {
    if (columns(cells[0]) > room) {
      for (const std::string& line : broken(cells[0], summary_columns)) rows.push_back({line});
      cells[0].clear();
    }
    rows.push_back(std::move(cells));
  }
  table.rows = std::move(rows);
  return table;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::report
