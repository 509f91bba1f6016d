// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max
#include <cstddef>    // size_t
#include <span>       // span
#include <string>     // string, to_string
#include <vector>     // vector

#include <splitvit/report/format.hpp>   // fixed, human_seconds, percent
#include <splitvit/report/run.hpp>      // Run
#include <splitvit/report/summary.hpp>  // Summary, summarise
#include <splitvit/report/utf8.hpp>     // columns, one_line, pad_left, pad_right

// Results as plain text with aligned columns, for the end of a program.

namespace splitvit::report {

/// Cells of text. The first column is aligned left, the others right.
struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

/// The table as lines, each with an end of line; no tabs and no control codes.
std::string render_table(const Table& table);

/// A line for each method: accuracy, bytes, ratio, seconds, and how long training would take over
/// links of 1, 10 and 100 Mbit/s; averaged over seeds.
Table summary_table(std::span<const Run> runs);

inline std::string render_table(const Table& table) {
  std::vector<std::size_t> widths;
  const auto measure = [&widths](const std::vector<std::string>& cells) {
    if (cells.size() > widths.size()) widths.resize(cells.size(), 0);
    for (std::size_t i = 0; i < cells.size(); ++i)
      widths[i] = std::max(widths[i], columns(one_line(cells[i])));
  };
  measure(table.header);
  for (const auto& row : table.rows) measure(row);

  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) text += "  ";
      const std::string cell = one_line(cells[i]);
      text += i == 0 ? pad_right(cell, widths[i]) : pad_left(cell, widths[i]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  if (!table.header.empty()) {
    line(table.header);
    std::vector<std::string> rules;
    for (const std::size_t width : widths) rules.emplace_back(width, '-');
    line(rules);
  }
  for (const auto& row : table.rows) line(row);
  return out;
}

inline Table summary_table(std::span<const Run> runs) {
  const auto mebibytes = [](const split::Bytes& bytes) {
    return fixed(static_cast<double>(bytes.total()) / (1024.0 * 1024.0), 2);
  };
  Table table;
  table.header = {"method",   "seeds", "epochs", "test accuracy", "up MiB",
                  "down MiB", "ratio", "client", "compression",   "server"};
  for (const double megabits : simulated_links)
    table.header.push_back("at " + fixed(megabits, 0) + " Mbit/s");
  for (const Summary& summary : summarise(runs)) {
    table.rows.push_back(
        {summary.label, std::to_string(summary.seeds.size()), std::to_string(summary.epochs),
         accuracy_text(summary), mebibytes(summary.traffic.up), mebibytes(summary.traffic.down),
         summary.ratio ? percent(*summary.ratio) : std::string{no_number},
         human_seconds(summary.seconds.client), human_seconds(summary.seconds.compression),
         human_seconds(summary.seconds.server)});
    for (const double megabits : simulated_links)
      table.rows.back().push_back(human_seconds(simulated_seconds(summary, megabits)));
  }
  return table;
}

}  // namespace splitvit::report
