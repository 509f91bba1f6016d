// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // for_each, max

#include <splitvit/report/format.hpp>  // columns, one_line, padding

namespace splitvit::inline SPLITVIT_BUILD::report {

/// Cells of text. The first column is aligned left, the others right. A row of one cell is a line
/// of its own, for what is too long for its column.
struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

/// The table as lines of aligned columns; no tabs and no control codes.
inline std::string render_table(const Table& table) {
  std::vector<std::size_t> widths;
  const auto measure = [&widths](const std::vector<std::string>& cells) {
    widths.resize(std::max(widths.size(), cells.size()));
    for (std::size_t i = 0; i < cells.size(); ++i)
      widths[i] = std::max(widths[i], columns(one_line(cells[i])));
  };
  measure(table.header);
  for (const auto& cells : table.rows)
    if (cells.size() > 1) measure(cells);
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) text += "  ";
      const std::string cell = one_line(cells[i]), space = padding(cell, widths[i]);
      text += i == 0 ? cell + space : space + cell;
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
  std::ranges::for_each(table.rows, line);
  return out;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::report
