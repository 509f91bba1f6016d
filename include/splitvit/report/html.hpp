// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // find
#include <cstdint>      // uint64_t
#include <span>         // span
#include <string>       // string, to_string
#include <string_view>  // string_view
#include <vector>       // vector

#include <splitvit/report/charts.hpp>             // accuracy_against_bytes, traffic_bars, ...
#include <splitvit/report/detail/html_style.hpp>  // page_style
#include <splitvit/report/format.hpp>             // fixed, human_bytes, human_seconds, percent
#include <splitvit/report/markup.hpp>             // escape_markup
#include <splitvit/report/run.hpp>                // Run
#include <splitvit/report/summary.hpp>            // Summary, headline, summarise

// report.html: one file with the finding, the numbers, the charts and the settings. It loads
// nothing from elsewhere and needs no script.

namespace splitvit::report {

struct PageText {
  std::string title = "splitvit report";
  std::string subtitle{};  ///< such as date, version and machine: the library knows none of them
};

/// The page for several runs of any methods and seeds; also for none.
std::string render_html(std::span<const Run> runs, const PageText& text = {});

namespace detail {

inline std::string element(std::string_view tag, std::string_view content,
                           std::string_view attributes = "") {
  std::string out = "<" + std::string{tag};
  if (!attributes.empty()) out.append(" ").append(attributes);
  return out + ">" + escape_markup(content) + "</" + std::string{tag} + ">";
}

inline std::string seeds_text(const Summary& summary) {
  std::string out;
  for (const std::uint64_t seed : summary.seeds)
    out += (out.empty() ? "" : ", ") + std::to_string(seed);
  return out;
}

inline std::string bytes_text(std::uint64_t bytes) {
  return human_bytes(static_cast<double>(bytes));
}

/// A table with a row for each method: its label, then cells_of(summary).
template <class CellsOf>
std::string method_table(std::span<const Summary> groups, const std::vector<std::string>& header,
                         const CellsOf& cells_of) {
  std::string out = "<div class=\"card wide\" tabindex=\"0\">\n<table>\n<thead><tr>" +
                    element("th", "Method", "scope=\"col\"");
  for (const std::string& name : header) out += element("th", name, "scope=\"col\"");
  out += "</tr></thead>\n<tbody>\n";
  for (const Summary& group : groups) {
    out += "<tr>" + element("th", group.label, "scope=\"row\"");
    for (const std::string& cell : cells_of(group)) out += element("td", cell);
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table>\n</div>\n";
}

inline std::string summary_section(std::span<const Summary> groups) {
  bool evaluated = false;
  for (const Summary& group : groups) evaluated = evaluated || group.evaluation_traffic.total() > 0;
  std::vector<std::string> header{"Seeds",    "Epochs",     "Test accuracy",
                                  "Bytes up", "Bytes down", "Bytes vs. none"};
  if (evaluated) header.emplace_back("Evaluation bytes");
  const auto cells = [&](const Summary& group) {
    std::vector<std::string> all{seeds_text(group),
                                 std::to_string(group.epochs),
                                 accuracy_text(group),
                                 bytes_text(group.traffic.up.total()),
                                 bytes_text(group.traffic.down.total()),
                                 group.ratio ? percent(*group.ratio) : std::string{no_number}};
    if (evaluated) all.push_back(bytes_text(group.evaluation_traffic.total()));
    return all;
  };
  return "<section>\n<h2>Summary</h2>\n" + method_table(groups, header, cells) +
         element("p",
                 "Accuracy is that of the last evaluation, not of the best. After \xC2\xB1: "
                 "with several seeds the population standard deviation over them; with one, "
                 "the standard error that follows from the number of test images. Bytes are "
                 "means over seeds, since the start of training.",
                 "class=\"note\"") +
         "\n</section>\n";
}

inline std::string time_section(std::span<const Summary> groups) {
  std::vector<std::string> header{"Client", "Compression", "Server", "Link"};
  for (const double megabits : simulated_links)
    header.push_back("At " + fixed(megabits, 0) + " Mbit/s");
  const auto cells = [](const Summary& group) {
    const split::Seconds& s = group.seconds;
    std::vector<std::string> all{human_seconds(s.client), human_seconds(s.compression),
                                 human_seconds(s.server), human_seconds(s.link)};
    for (const double megabits : simulated_links)
      all.push_back(human_seconds(simulated_seconds(group, megabits)));
    return all;
  };
  return "<section>\n<h2>Time</h2>\n" + method_table(groups, header, cells) +
         element("p",
                 "Means over seeds, since the start of training. At so many Mbit/s: how long all "
                 "of it would take over such a link without latency, computed from the measured "
                 "bytes and the time of the two parties.",
                 "class=\"note\"") +
         "\n</section>\n";
}

inline std::string charts_section(std::span<const Run> runs, std::span<const Summary> groups) {
  std::string out = "<section>\n<h2>Charts</h2>\n<div class=\"charts\">\n";
  for (const std::string& svg : {render_svg(accuracy_against_bytes(runs, groups)),
                                 render_svg(accuracy_against_epochs(runs, groups)),
                                 render_svg(accuracy_against_time(runs, groups)),
                                 render_svg(loss_against_steps(runs, groups)),
                                 render_svg(traffic_bars(groups)), render_svg(time_bars(groups))})
    out += "<figure class=\"card\">\n" + svg + "</figure>\n";
  out += "</div>\n";
  return out +
         element("p",
                 "A line is the mean over a method's seeds; the band or bar around it reaches "
                 "from the lowest to the highest. Lines of more than 400 points show means of "
                 "neighbours.",
                 "class=\"note\"") +
         "\n</section>\n";
}

/// A row for each setting, a column for each method; one column where all agree.
inline std::string settings_section(std::span<const Run> runs, std::span<const Summary> groups) {
  std::vector<std::string> keys;
  const auto value_of = [](const Run& run, const std::string& key) {
    for (const Setting& setting : run.settings)
      if (setting.key == key) return setting.value;
    return std::string{no_number};
  };
  for (const Summary& group : groups)
    for (const Setting& setting : settings_without_seed(runs[group.runs.front()]))
      if (std::find(keys.begin(), keys.end(), setting.key) == keys.end())
        keys.push_back(setting.key);
  if (keys.empty()) return {};
  std::string out =
      "<section>\n<h2>Settings</h2>\n<div class=\"card wide\" "
      "tabindex=\"0\">\n<table>\n<thead><tr>" +
      element("th", "Setting", "scope=\"col\"");
  for (const Summary& group : groups)
    out += element("th", group.label, "scope=\"col\" style=\"text-align:left\"");
  out += "</tr></thead>\n<tbody>\n";
  for (const std::string& key : keys) {
    out += "<tr>" + element("th", key, "scope=\"row\"");
    std::vector<std::string> values;
    for (const Summary& group : groups) values.push_back(value_of(runs[group.runs.front()], key));
    bool alike = true;
    for (const std::string& value : values) alike = alike && value == values.front();
    if (alike)
      out += element("td", values.front(),
                     "class=\"text\" colspan=\"" + std::to_string(values.size()) + "\"");
    else
      for (const std::string& value : values) out += element("td", value, "class=\"text\"");
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table>\n</div>\n</section>\n";
}

inline std::string explanation_section() {
  std::string out = "<section>\n<h2>What is counted</h2>\n<div class=\"card explained\">\n<dl>\n";
  const auto entry = [&out](const char* term, const char* meaning) {
    out += element("dt", term) + element("dd", meaning) + "\n";
  };
  entry("Bytes",
        "Counted where they cross the link, never computed from a ratio: activations and "
        "gradients, labels, indices, ranges, codebooks, the handshake. Up is from the client to "
        "the server, down is back. Traffic of evaluations is kept apart from training.");
  entry("Payload, framing",
        "Framing is what the protocol adds to each message: its header and checksum. What the "
        "network adds below (TCP, encryption) is not seen from here.");
  entry("Bytes vs. none",
        "Bytes per training step, both directions together, over those of the run without "
        "compression (\"none\") with the same seed. A dash: there is no such run.");
  entry("Time",
        "Client: its blocks, forward and backward, and their optimiser. Compression: stages, "
        "bottleneck and codec at the client. Server: from a message's arrival to its answer. Link: "
        "the rest of "
        "the wait. Evaluations are not in it.");
  entry("Accuracy",
        "Correct over all test images. Test images are never merged with each other; the settings "
        "say whether anything else was compressed in evaluations.");
  return out + "</dl>\n</div>\n</section>\n";
}

}  // namespace detail

inline std::string render_html(std::span<const Run> runs, const PageText& text) {
  const std::vector<Summary> groups = summarise(runs);
  const std::string finding = headline(groups);
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  out += detail::element("title", text.title) + "\n<style>\n" + detail::page_style() +
         "</style>\n</head>\n<body>\n<main>\n<header>\n";
  out += detail::element("p",
                         text.title + (text.subtitle.empty() ? "" : " \xC2\xB7 ") + text.subtitle);
  out += "\n" + detail::element("h1", finding) + "\n</header>\n";
  if (!groups.empty())
    out += detail::summary_section(groups) + detail::charts_section(runs, groups) +
           detail::time_section(groups) + detail::settings_section(runs, groups);
  return out + detail::explanation_section() + "</main>\n</body>\n</html>\n";
}

}  // namespace splitvit::report
