// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // all_of, any_of, find, find_if

#include <splitvit/report/charts.hpp>            // accuracy_against_bytes, traffic_bars, ...
#include <splitvit/report/clients.hpp>           // fairness, fairness_text, weights_traffic
#include <splitvit/report/detail/svg_parts.hpp>  // colour_rules
#include <splitvit/report/format.hpp>            // escape_markup, fixed, human_bytes, human_seconds
#include <splitvit/report/run.hpp>               // Run
#include <splitvit/report/summary.hpp>           // Summary, headline, summarise

// report.html: one file with the finding, the numbers, the charts and the settings, no script.

namespace splitvit::inline SPLITVIT_BUILD::report {

struct PageText {
  std::string title = "splitvit report";
  std::string subtitle{};  ///< such as date, version and machine: the library knows none of them
};

namespace detail {
/// The style sheet of the page: light, narrow and on paper.
inline constexpr std::string_view page_rules = R"(:root{color-scheme:light dark;
--page:#f4f6f8;--card:#fff;--ink:#232a35;--strong:#0d1219;--soft:#5a6575;--rule:#dde2e8;--mark:#0a5aa8}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
main{max-width:1200px;margin:0 auto;padding:2.2rem 1.2rem 3rem}
header p{margin:0;color:var(--soft)}
h1{margin:.35rem 0 1.7rem;max-width:34em;font-size:clamp(1.35rem,2.4vw + .7rem,2.1rem);line-height:1.25;
font-weight:650;letter-spacing:-.012em;color:var(--strong);border-left:5px solid var(--mark);padding-left:.9rem}
h2{margin:2.2rem 0 .8rem;font-size:1.15rem;color:var(--strong)}
.card{background:var(--card);border:1px solid var(--rule);border-radius:10px}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:.5rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}
thead th{font-weight:600;color:var(--soft);vertical-align:bottom}
tbody tr:last-child>*{border-bottom:0}
th:first-child,td:first-child{padding-left:.9rem}th:last-child,td:last-child{padding-right:.9rem}
th:first-child{text-align:left;position:sticky;left:0;background:var(--card);color:var(--strong)}
td.text{text-align:left;white-space:normal}
.note{color:var(--soft);font-size:.88rem;max-width:62em}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:1rem;align-items:start}
figure{margin:0;padding:.9rem .9rem .5rem;break-inside:avoid}
figure svg{display:block;width:100%;height:auto}
dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.35rem 1.2rem;margin:0}
dt{font-weight:600;color:var(--strong)}
dd{margin:0}
.explained{padding:1rem 1.2rem}
summary{cursor:pointer;margin-bottom:.6rem}
@media (max-width:560px){main{padding:1.3rem .7rem 2rem}th,td{padding:.45rem .55rem}
figure{padding:.6rem .4rem .3rem}dl{grid-template-columns:1fr;gap:.1rem}dd{margin-bottom:.6rem}}
@media print{body{background:none;font-size:10.5pt}main{max-width:none;padding:0}.wide{overflow:visible}
table{font-size:8pt}th,td{padding:.2rem .35rem}
.charts{grid-template-columns:1fr 1fr}h2{break-after:avoid}.card{border-color:#bbb}}
)";

/// The colours of the page on a dark screen.
inline std::string dark_page_rules() {
  return "@media screen and (prefers-color-scheme:dark){:root{--page:#0f1217;--card:#171b22;"
         "--ink:#c6ceda;--strong:#f2f5f9;--soft:#98a3b3;--rule:#2b323d;--mark:#5fb0f0}\n" +
         colour_rules(Paper::dark, ".card .sv") + "}\n";
}

inline std::string element(const std::string& tag, std::string_view text,
                           const std::string& attributes = "") {
  return "<" + tag + (attributes.empty() ? "" : " ") + attributes + ">" + escape_markup(text) +
         "</" + tag + ">";
}

inline std::string section(std::string_view heading, const std::string& content,
                           std::string_view note = "") {
  std::string out = "<section>\n" + element("h2", heading) + "\n" + content;
  if (!note.empty()) out += element("p", note, "class=\"note\"") + "\n";
  return out + "</section>\n";
}

inline std::string row(std::string_view name, const std::string& cells) {
  return "<tr>" + element("th", name, "scope=\"row\"") + cells + "</tr>\n";
}

inline std::string table(const std::string& header_cells, const std::string& rows) {
  return "<div class=\"card wide\" tabindex=\"0\">\n<table>\n<thead><tr>" + header_cells +
         "</tr></thead>\n<tbody>\n" + rows + "</tbody>\n</table>\n</div>\n";
}

/// A table with a row for each method: its label, then cells_of(summary).
template <class CellsOf>
std::string method_table(std::span<const Summary> groups, const std::vector<std::string>& header,
                         const CellsOf& cells_of) {
  std::string header_cells, rows;
  for (const std::string& name : header) header_cells += element("th", name, "scope=\"col\"");
  for (const Summary& group : groups) {
    std::string cells;
    for (const std::string& cell : cells_of(group)) cells += element("td", cell);
    rows += row(group.label, cells);
  }
  return table(header_cells, rows);
}

inline std::string summary_section(std::span<const Summary> groups) {
  const bool evaluated = std::ranges::any_of(
      groups, [](const Summary& group) { return group.evaluation_traffic.total() > 0; });
  std::vector<std::string> header{"Method",   "Seeds",      "Epochs",        "Test accuracy",
                                  "Bytes up", "Bytes down", "Bytes vs. none"};
  const bool has_baseline =
      std::ranges::any_of(groups, [](const Summary& group) { return group.baseline.has_value(); });
  if (has_baseline) header.insert(header.begin() + 4, "Majority class");
  if (evaluated) header.emplace_back("Evaluation bytes");
  const bool has_compressed = any_compressed(groups);
  if (has_compressed)
    header.insert(header.end(), {"Accuracy with stages and codec", "Its bytes an image"});
  const auto cells = [&](const Summary& group) {
    std::string seeds;
    for (const std::uint64_t seed : group.seeds) seeds += joined({seeds.empty() ? "" : ", ", seed});
    std::vector<std::string> all{seeds,
                                 std::to_string(group.epochs),
                                 accuracy_text(group),
                                 human_bytes(group.traffic.up.total()),
                                 human_bytes(group.traffic.down.total()),
                                 ratio_text(group)};
    if (has_baseline)
      all.insert(all.begin() + 3,
                 group.baseline ? percent(*group.baseline) : std::string{no_number});
    if (evaluated) all.push_back(human_bytes(group.evaluation_traffic.total()));
    if (has_compressed)
      for (std::string& text : compressed_texts(group)) all.push_back(std::move(text));
    return all;
  };
  return section("Summary", method_table(groups, header, cells),
                 "Accuracy is that of the last evaluation, not of the best. After \xC2\xB1: "
                 "with several seeds the population standard deviation over them; with one, "
                 "the standard error that follows from the number of test images. Majority class: "
                 "what always naming the most frequent class of the test images would reach. Bytes "
                 "are means over seeds, since the start of training.");
}

/// The runs that have failed; nothing if none has.
inline std::string failure_section(std::span<const Summary> groups) {
  std::string rows;
  for (const Summary& group : groups)
    for (const std::string& failure : group.failures)
      rows += row(group.label, element("td", failure, "class=\"text\""));
  if (rows.empty()) return {};
  return section("Failed",
                 table(element("th", "Method", "scope=\"col\"") +
                           element("th", "Reason", "scope=\"col\" style=\"text-align:left\""),
                       rows),
                 "A run that has failed has no accuracy. Where other seeds of its method have come "
                 "to their end, the numbers of the method are means over those.");
}

/// The share of a class that was recognised, as a mean over the runs of a group that have this
/// class at this place.
inline std::optional<double> class_accuracy(std::span<const Run> runs, const Summary& group,
                                            std::size_t place, const std::string& name) {
  std::vector<double> shares;
  for (const std::size_t at : group.runs) {
    const auto& classes = runs[at].classes;
    if (place >= classes.size() || classes[place].name != name || classes[place].samples == 0)
      continue;
    shares.push_back(static_cast<double>(classes[place].correct) /
                     static_cast<double>(classes[place].samples));
  }
  return mean(shares);
}

/// A row for each class, a column for each method; many classes are folded away.
inline std::string class_section(std::span<const Run> runs, std::span<const Summary> groups) {
  constexpr std::size_t many = 20;
  const auto known =
      std::ranges::find_if(runs, [](const Run& run) { return majority_baseline(run).has_value(); });
  if (known == runs.end()) return {};
  std::string header_cells =
      element("th", "Class", "scope=\"col\"") + element("th", "Test images", "scope=\"col\"");
  for (const Summary& group : groups) header_cells += element("th", group.label, "scope=\"col\"");
  std::string rows;
  for (std::size_t place = 0; place < known->classes.size(); ++place) {
    const ClassScore& one = known->classes[place];
    std::string cells = element("td", std::to_string(one.samples));
    for (const Summary& group : groups) {
      const auto share = class_accuracy(runs, group, place, one.name);
      cells += element("td", share ? percent(*share) : no_number);
    }
    rows += row(one.name, cells);
  }
  std::string content = table(header_cells, rows);
  if (known->classes.size() > many)
    content = "<details>\n" +
              element("summary", "All " + std::to_string(known->classes.size()) + " classes") +
              "\n" + content + "</details>\n";
  return section("Accuracy by class", content,
                 "Of the last evaluation: correct over all test images of the class. Means over "
                 "seeds.");
}

/// A table with one row for each run that had several clients, not one for each client; without
/// such a run no text.
inline std::string clients_section(std::span<const Run> runs, std::span<const Summary> groups) {
  std::string header_cells, rows, left_out;
  for (const char* name : {"Method", "Seed", "Clients", "Best", "Worst", "Standard deviation",
                           "Weights up", "Weights down"})
    header_cells += element("th", name, "scope=\"col\"");
  for (const Summary& group : groups)
    for (const std::size_t at : group.runs) {
      const Run& run = runs[at];
      if (run.clients.empty()) continue;
      const auto fair = fairness(run);
      const split::Traffic weights = weights_traffic(run);
      std::string cells;
      for (const std::string& cell :
           {std::to_string(run.seed), std::to_string(run.clients.size()),
            fair ? fairness_text(fair->best) : std::string{no_number},
            fair ? fairness_text(fair->worst) : std::string{no_number},
            fair ? percent(fair->deviation) : std::string{no_number},
            human_bytes(weights.up.total()), human_bytes(weights.down.total())})
        cells += element("td", cell);
      rows += row(group.label, cells);
      for (const ClientSummary& client : run.clients)
        for (const std::string& when : client.left_out)
          left_out += element("li", joined({run.method, ", seed ", run.seed, ": client ",
                                            client.client, ", ", when}));
    }
  if (rows.empty()) return {};
  if (!left_out.empty())
    left_out = "<details>\n" + element("summary", "Left out of an average") + "\n" + "<ul>" +
               left_out + "</ul>\n</details>\n";
  return section("Clients", table(header_cells, rows) + left_out,
                 "Best, worst and deviation are of the accuracy on images like a client's own: "
                 "that of each class in the last evaluation, each counted as often as the client "
                 "has images of it. Weights: the bytes of weights that clients share, which are "
                 "not among those above.");
}

inline std::string time_section(std::span<const Summary> groups) {
  std::vector<std::string> header{"Method", "Client", "Compression", "Server", "Link"};
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
  return section("Time", method_table(groups, header, cells),
                 "Means over seeds, since the start of training. At so many Mbit/s: how long all "
                 "of it would take over such a link without latency, computed from the measured "
                 "bytes and the time of the two parties.");
}

inline std::string charts_section(std::span<const Run> runs, std::span<const Summary> groups) {
  std::string out = "<div class=\"charts\">\n";
  for (const std::string& svg : {render_svg(accuracy_against_bytes(runs, groups)),
                                 render_svg(accuracy_against_epochs(runs, groups)),
                                 render_svg(accuracy_against_time(runs, groups)),
                                 render_svg(loss_against_steps(runs, groups)),
                                 render_svg(traffic_bars(groups)), render_svg(time_bars(groups))})
    out += "<figure class=\"card\">\n" + svg + "</figure>\n";
  return section("Charts", out + "</div>\n",
                 "A line is the mean over a method's seeds; the band or bar around it reaches "
                 "from the lowest to the highest. Lines of more than 400 points show means of "
                 "neighbours.");
}

/// A row for each setting, a column for each method; one column where all agree.
inline std::string settings_section(std::span<const Run> runs, std::span<const Summary> groups) {
  std::string header_cells = element("th", "Setting", "scope=\"col\""), rows;
  std::vector<std::string> keys;
  for (const Summary& group : groups) {
    header_cells += element("th", group.label, "scope=\"col\" style=\"text-align:left\"");
    for (const Setting& setting : settings_without_seed(runs[group.runs.front()]))
      if (std::ranges::find(keys, setting.key) == keys.end()) keys.push_back(setting.key);
  }
  if (keys.empty()) return {};
  for (const std::string& key : keys) {
    std::vector<std::string> values;
    for (const Summary& group : groups) {
      const auto& settings = runs[group.runs.front()].settings;
      const auto found = std::ranges::find(settings, key, &Setting::key);
      values.push_back(found == settings.end() ? std::string{no_number} : found->value);
    }
    std::string cells;
    if (std::ranges::all_of(values, [&](const auto& value) { return value == values.front(); }))
      cells =
          element("td", values.front(), joined({"class=\"text\" colspan=\"", values.size(), "\""}));
    else
      for (const std::string& value : values) cells += element("td", value, "class=\"text\"");
    rows += row(key, cells);
  }
  return section("Settings", table(header_cells, rows));
}

inline std::string explanation_section() {
  std::string out = "<div class=\"card explained\">\n<dl>\n";
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
        "the rest of the wait. Evaluations are not in it.");
  entry("Accuracy",
        "Correct over all test images. Test images are never merged with each other; the settings "
        "say whether anything else was compressed in evaluations.");
  return section("What is counted", out + "</dl>\n</div>\n");
}
}  // namespace detail

/// The page for several runs of any methods and seeds; also for none.
inline std::string render_html(std::span<const Run> runs, const PageText& text = {}) {
  const std::vector<Summary> groups = summarise(runs);
  const std::string separator = text.subtitle.empty() ? "" : " \xC2\xB7 ";
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n" +
      detail::element("title", text.title) + "\n<style>\n" + std::string{detail::page_rules} +
      detail::dark_page_rules() + "</style>\n</head>\n<body>\n<main>\n<header>\n" +
      detail::element("p", text.title + separator + text.subtitle) + "\n" +
      detail::element("h1", headline(groups)) + "\n</header>\n";
  if (!groups.empty())
    out += detail::summary_section(groups) + detail::failure_section(groups) +
           detail::charts_section(runs, groups) + detail::class_section(runs, groups) +
           detail::clients_section(runs, groups) + detail::time_section(groups) +
           detail::settings_section(runs, groups);
  return out + detail::explanation_section() + "</main>\n</body>\n</html>\n";
}

}  // namespace splitvit::inline SPLITVIT_BUILD::report
