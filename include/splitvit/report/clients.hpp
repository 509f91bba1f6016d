// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // count_if, max_element, min, min_element
#include <cmath>      // sqrt
#include <numeric>    // accumulate

#include <splitvit/core/error.hpp>     // joined
#include <splitvit/report/format.hpp>  // human_bytes, no_number, percent, shortest
#include <splitvit/report/run.hpp>     // ClassScore, ClientSummary, majority_baseline, Run
#include <splitvit/report/table.hpp>   // Table

// What several clients of one model have: images, bytes, and how fair the model is to them.

namespace splitvit::inline SPLITVIT_BUILD::report {

/// The accuracy on images with the client's own mix of classes: the mean of the accuracies by
/// class, weighted by how many images the client has of each. Absent where no test image is of its
/// classes.
inline std::optional<double> own_accuracy(const ClientSummary& client,
                                          std::span<const ClassScore> classes) {
  double sum = 0, images = 0;
  for (std::size_t i = 0; i < std::min(classes.size(), client.images.size()); ++i) {
    if (classes[i].samples == 0) continue;
    const auto count = static_cast<double>(client.images[i]);
    images += count;
    sum +=
        count * static_cast<double>(classes[i].correct) / static_cast<double>(classes[i].samples);
  }
  return images > 0 ? std::optional{sum / images} : std::nullopt;
}

/// How much the accuracy differs from client to client, see own_accuracy.
struct Fairness {
  struct One {
    std::uint32_t client = 0;
    double accuracy = 0;
  };
  One best, worst;       ///< of equal ones the first
  double deviation = 0;  ///< the population standard deviation over the clients
};

/// Absent for a client alone, and where no accuracy is known.
inline std::optional<Fairness> fairness(const Run& run) {
  std::vector<Fairness::One> all;
  for (const ClientSummary& client : run.clients)
    if (const auto accuracy = own_accuracy(client, run.classes))
      all.push_back({client.client, *accuracy});
  if (all.empty()) return std::nullopt;
  double mean = 0, squares = 0;
  const auto count = static_cast<double>(all.size());
  for (const auto& one : all) mean += one.accuracy / count;
  for (const auto& one : all) squares += (one.accuracy - mean) * (one.accuracy - mean) / count;
  const auto worse = [](const Fairness::One& a, const Fairness::One& b) {
    return a.accuracy < b.accuracy;
  };
  return Fairness{.best = *std::ranges::max_element(all, worse),
                  .worst = *std::ranges::min_element(all, worse),
                  .deviation = std::sqrt(squares)};
}

/// "96.1 % (client 3)"
inline std::string fairness_text(const Fairness::One& one) {
  return joined({percent(one.accuracy), " (client ", one.client, ")"});
}

/// The traffic of all clients' weights.
inline split::Traffic weights_traffic(const Run& run) {
  split::Traffic all;
  for (const ClientSummary& client : run.clients) all += client.weights;
  return all;
}

/// For a terminal: a row for each run that had several clients; without such a run no row. The
/// majority class is the accuracy of always naming the most frequent one.
inline Table clients_table(std::span<const Run> runs) {
  Table table;
  for (const Run& run : runs) {
    if (run.clients.empty()) continue;
    table.header = {"clients of",   "majority class", "best client",
                    "worst client", "deviation",      "weights"};
    const auto majority = majority_baseline(run);
    const auto fair = fairness(run);
    const std::string none{no_number};
    table.rows.push_back(
        {joined({run.method, ", seed ", run.seed}), majority ? percent(*majority) : none,
         fair ? fairness_text(fair->best) : none, fair ? fairness_text(fair->worst) : none,
         fair ? percent(fair->deviation) : none, human_bytes(weights_traffic(run).total())});
  }
  return table;
}

/// Bytes are payload and framing; accuracy is own_accuracy, or empty; left_out: of how many rounds.
inline constexpr std::string_view clients_header =
    "client,images,classes,steps,accuracy,cut_up,cut_down,weights_up,weights_down,left_out\n";

/// The file clients.csv: a line for each client.
inline std::string clients_csv(const Run& run) {
  std::string text{clients_header};
  for (const ClientSummary& client : run.clients) {
    const auto accuracy = own_accuracy(client, run.classes);
    const auto has_images = [](std::uint64_t images) { return images > 0; };
    text += joined({client.client,
                    ",",
                    std::accumulate(client.images.begin(), client.images.end(), std::uint64_t{0}),
                    ",",
                    std::ranges::count_if(client.images, has_images),
                    ",",
                    client.steps,
                    ",",
                    accuracy ? shortest(*accuracy) : "",
                    ",",
                    client.cut.up.total(),
                    ",",
                    client.cut.down.total(),
                    ",",
                    client.weights.up.total(),
                    ",",
                    client.weights.down.total(),
                    ",",
                    client.left_out.size(),
                    "\n"});
  }
  return text;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::report
